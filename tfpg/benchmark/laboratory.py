"""How fast are the parts that every experiment stands on? Physics, environments, rollouts, landscapes of one task.

Each subject is a function of a budget in seconds: it works for about so long, one unit at least, and says what it did.
Rollouts and landscapes answer twice: `bare` is the same environments told the same, without sampler and policy."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tfpg import seeds, snapshot
from tfpg.algos.agent import Agent
from tfpg.benchmark.replay import Pair, play
from tfpg.benchmark.workers import Answer
from tfpg.config import Config
from tfpg.diagnostics import probe as probes
from tfpg.diagnostics.returns import LIMIT, NUM_ENVS, SLOTS
from tfpg.envs import physics
from tfpg.envs.episodes import EpisodeSampler
from tfpg.envs.make import Task, make
from tfpg.envs.rollout import Sampler
from tfpg.training import Training
from tfpg.types import Learner, Normaliser

Subject = Callable[[float], Answer]

STRETCHES = 256  # of physics, played in one call
PRACTICE = 5  # iterations before a policy is looked at: an untrained hopper falls after twenty steps
PREPARED = 64  # steps of actions drawn beforehand
EPISODES = 3  # that an environment plays of its θ, as in launch.landscape's units, where the budget allows


class Practised:
    """A policy after some iterations of training, and its SavedModel."""

    def __init__(self, config: Config, directory: Path, iterations: int = PRACTICE):
        with Training(config) as training:
            for last in itertools.islice(training, iterations):
                pass
            self.agent: Agent = training.agent
            self.task: Task = training.task
            snapshot.Writer(config, self.task, self.agent.policy, self.agent.value).save(directory / "policy", last)
        self.learner: Learner = last.state.learner
        self.normaliser: Normaliser = last.state.normaliser
        self.path = directory / "policy"


def thread_counts(config: Config) -> list[int]:
    """1, 2, and what the configuration has."""
    return sorted({1, 2, config.runtime.env_threads})


def bare_physics(config: Config, task: Task) -> dict[str, Subject]:
    """Physics alone, on each number of threads; nothing for a task without MuJoCo."""
    stretches = physics.record(task, STRETCHES, config.seed)
    if stretches is None:
        return {}

    def subject(threads: int) -> Subject:
        engine = physics.Physics(stretches, threads)
        if not np.array_equal(engine.play(), stretches.ends):
            raise ValueError(f"the physics of {task.id} alone did not end where the task did: it is not the same work.")
        return lambda seconds: _repeated(seconds, lambda: _timed(stretches.steps, engine.play))

    return {f"physics/{threads}": subject(threads) for threads in thread_counts(config)}


def bare_environments(config: Config, task: Task, threads: Sequence[int]) -> dict[str, Subject]:
    """The environments alone, random actions (standard normal, as an untrained policy's), finished ones reset at once."""
    draw, num_envs = seeds.generator(config.seed, "action_noise", 0), config.rollout.num_envs
    if task.discrete:
        actions = draw.integers(task.action_size, size=(PREPARED, num_envs)).astype(np.int32)
    else:
        actions = draw.normal(size=(PREPARED, num_envs, task.action_size)).astype(np.float32)

    length = config.rollout.num_steps // num_envs  # T, as in an iteration

    def subject(count: int) -> Subject:
        engine = make(task, seeds.environments(config.seed, "environments", num_envs), count)
        following = itertools.cycle(actions).__next__
        play(engine, following, 1, begun=False)
        return lambda seconds: _repeated(seconds, lambda: play(engine, following, length, begun=True))

    return {f"environments/{count}": subject(count) for count in threads}


def rollouts(config: Config, task: Task, agent: Agent, learner: Learner, normaliser: Normaliser) -> Subject:
    """Batches as training collects them, the drawing of noise included."""
    num_envs, threads = config.rollout.num_envs, config.runtime.env_threads
    starts = seeds.environments(config.seed, "heldout", num_envs, 0)
    pair = Pair(task, starts, threads)
    sampler = Sampler(task, starts, threads, config.rollout.patience, pair.maker)
    batch, length = itertools.count(), config.rollout.num_steps // num_envs

    def collect():
        sampler.collect(agent.act, length, agent.noise(next(batch), length), learner.theta, normaliser)

    def once(seconds: float) -> Answer:
        found = _repeated(seconds, lambda: _timed(length * num_envs, collect))
        return {**found, "bare": dict(zip(("steps", "seconds"), pair.replay(), strict=True))}

    once(0.0)
    return once


def landscapes(config: Config, practised: Practised) -> Subject:
    """Returns of θ + x·step, x = 0 … 3, played as launch.landscape plays them: from the SavedModel, 512 environments."""
    probe = probes.load(practised.path)
    task, threads = probe.task, config.runtime.env_threads
    points = SLOTS // NUM_ENVS
    thetas = probe.theta + np.linspace(0, 3, points, dtype=np.float32)[:, np.newaxis] * (probe.theta_next - probe.theta)
    starts = seeds.environments(config.seed, "evaluation_environments", NUM_ENVS)
    noise = [int(word) for word in seeds.words(config.seed, "evaluation_noise")]
    pair = Pair(task, starts * points, threads)
    sampler = EpisodeSampler(task, starts, points, threads, probe.patience, pair.maker)
    limit = LIMIT if task.time_limit is None else None

    played = 0  # episodes of each environment

    def unit(episodes: int, max_steps: int | None) -> tuple[int, float]:
        nonlocal played
        begin = time.perf_counter()
        found = sampler.run(probe.act, episodes * NUM_ENVS, noise, thetas, first_episode=played * NUM_ENVS,
                            max_steps=max_steps, noise_kind=probe.noise_kind)
        played += episodes
        return int(found.lengths.sum()), time.perf_counter() - begin

    def once(seconds: float) -> Answer:
        episodes = min(max(int(seconds / one), 1), EPISODES)
        steps, took = unit(episodes, limit)
        return {"steps": steps, "seconds": took, "bare": dict(zip(("steps", "seconds"), pair.replay(), strict=True)),
                "episodes": episodes, "length": steps / (SLOTS * episodes)}

    unit(1, 2)  # compiles
    one = unit(1, limit)[1]
    pair.replay()
    return once


def _timed(steps: int, work: Callable) -> tuple[int, float]:
    begin = time.perf_counter()
    work()
    return steps, time.perf_counter() - begin


def _repeated(seconds: float, unit: Callable[[], tuple[int, float]]) -> Answer:
    """Units for so long, one at least."""
    steps, spent = unit()
    while spent < seconds:
        more, took = unit()
        steps, spent = steps + more, spent + took
    return {"steps": steps, "seconds": spent}
