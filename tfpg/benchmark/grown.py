"""How do speeds grow? Sampling over environments and threads, landscapes over policies, episodes and parameters."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from tfpg import seeds
from tfpg.algos.agent import Agent
from tfpg.benchmark import laboratory
from tfpg.benchmark.replay import Listening
from tfpg.benchmark.workers import Answer
from tfpg.config import Config
from tfpg.diagnostics.returns import LIMIT, NUM_ENVS
from tfpg.envs.episodes import EpisodeSampler
from tfpg.envs.make import Task, describe, make
from tfpg.envs.transforms import normalise_observation
from tfpg.settings import replace

Subject = Callable[[float], Answer]
# Policies at once, episodes of each environment, hidden units: one of them changes at a time.
LANDSCAPES = ((1, 1, 64), (4, 1, 64), (16, 1, 64), (16, 3, 64), (16, 1, 16), (16, 1, 256))


def sampling(config: Config, sizes: Sequence[int], threads: Sequence[int]) -> dict[str, Subject]:
    """Environments alone and rollouts of an untrained policy, by "environments/N/threads" and "rollouts/N/threads"."""
    task, found = describe(config.env, config.env_args, config.rollout.engine), {}
    for num_envs in sizes:
        for count in threads:
            grown = replace(config, {"rollout.num_envs": num_envs, "runtime.env_threads": count,
                                     "rollout.num_steps": max(config.rollout.num_steps, num_envs)})
            agent = Agent(grown, task)
            bare, = laboratory.bare_environments(grown, task, [count]).values()
            found[f"environments/{num_envs}/{count}"] = bare
            found[f"rollouts/{num_envs}/{count}"] = laboratory.rollouts(
                grown, task, agent, agent.initial(), agent.empty_normaliser())
    return found


def landscapes(config: Config) -> dict[str, Subject]:
    """Whole episodes of untrained policies, by "landscape/policies/episodes/hidden"."""
    task = describe(config.env, config.env_args, config.rollout.engine)
    return {f"landscape/{points}/{episodes}/{hidden}": _landscape(config, task, points, episodes, hidden)
            for points, episodes, hidden in LANDSCAPES}


def _landscape(config: Config, task: Task, points: int, episodes: int, hidden: int) -> Subject:
    agent = Agent(replace(config, {"network.hidden": (hidden, hidden)}), task)
    policy, normaliser = agent.policy, agent.empty_normaliser()
    thetas = np.tile(agent.initial().theta, (points, 1))
    made: list[Listening] = []

    def maker(*arguments) -> Listening:
        made.append(Listening(make(*arguments)))
        return made[-1]

    def act(obs, noise, thetas):
        return policy.act_stacked(thetas, normalise_observation(obs, normaliser.observation, config.code_level), noise)

    sampler = EpisodeSampler(task, seeds.environments(config.seed, "evaluation_environments", NUM_ENVS), points,
                             config.runtime.env_threads, config.rollout.patience, maker)
    played, limit = 0, LIMIT if task.time_limit is None else None

    def once(seconds: float) -> Answer:
        nonlocal played
        made[-1].calls.clear()
        begin = time.perf_counter()
        found = sampler.run(act, episodes * NUM_ENVS, [config.seed], thetas, first_episode=played * NUM_ENVS, max_steps=limit,
                            noise_kind="gumbel" if task.discrete else "normal")
        played += episodes
        return {"steps": int(found.lengths.sum()), "seconds": time.perf_counter() - begin, "parameters": policy.layout.size,
                "vector_steps": sum(call.kind == "step" for call in made[-1].calls)}

    once(0.0)  # compiles
    return once
