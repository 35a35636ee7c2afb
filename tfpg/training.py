"""What is training? An iterator of immutable records; who writes, draws or diagnoses consumes them.

    for iteration in iterations(config):
        print(iteration.index, iteration.episodes.returns.mean())
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import numpy as np
import tensorflow as tf

from tfpg import runtime, seeds
from tfpg.algos.agent import Agent
from tfpg.clock import Clock
from tfpg.config import Config
from tfpg.envs.make import describe
from tfpg.envs.rollout import Sampler
from tfpg.errors import RunError
from tfpg.types import Batch, Iteration, RunState, Trajectory, Update

HUGE = 1e12  # a reward from which on squares in float32 are in danger


def iterations(config: Config, state: RunState | None = None) -> Iterator[Iteration]:
    """The iterations k = state.iteration … K − 1 of a run, one record each.

    Each collects num_steps pairs with π_θk and a frozen normaliser, fits V, moves θ, and only then merges the batch
    into the normaliser. A new run begins with one warm-up batch for the statistics, no update.
    Args: state: where to go on (an earlier record's `state`, perhaps from a checkpoint); None begins.
    Errors: RunError naming iteration and cause for a non-finite loss, gradient, observation or reward; UserError for
    a task that cannot be had. The environments are closed when the iterator is."""
    with Training(config, state) as training:
        yield from training


class Training:
    """A run that can be iterated once, with the task and the agent it is made of."""

    def __init__(self, config: Config, state: RunState | None = None):
        """Args: as `iterations`."""
        self.config = config
        self.task = describe(config.env, config.env_args, config.rollout.engine, patience=config.rollout.patience)
        self.agent = Agent(config, self.task)
        self._state = state
        self.sampler = Sampler(
            self.task, seeds.environments(config.seed, "environments", config.rollout.num_envs),
            threads=config.runtime.env_threads, patience=config.rollout.patience)

    def __iter__(self) -> Iterator[Iteration]:
        config, state = self.config, self._state
        length = config.rollout.num_steps // config.rollout.num_envs  # T
        if state is None:
            state = _warm_up(config, self.agent, self.sampler, length)
        else:
            self.sampler.restore(state.engine)
        first = state.iteration
        for k in range(first, config.num_iterations):
            iteration = _iterate(config, self.agent, self.sampler, length, k, state)
            state = iteration.state
            yield iteration
            _ = iteration.moved  # nothing runs beside the next rollout
            if k == first:
                runtime.give_back()  # now everything is compiled

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.agent.leave()
        self.sampler.close()


def _warm_up(config: Config, agent: Agent, sampler: Sampler, length: int) -> RunState:
    """One batch by π_θ0 that only initialises the statistics. Differs: the authors' filters began empty."""
    learner, normaliser = agent.initial(), agent.empty_normaliser()
    try:
        trajectory, _ = sampler.collect(agent.act, length, agent.noise(-1, length), learner.theta, normaliser)
    except RunError as error:
        raise type(error)(f"warm-up batch: {error}") from error
    accumulators = tf.zeros([config.rollout.num_envs], tf.float64)
    normaliser, accumulators = agent.observe(normaliser, accumulators, trajectory)
    return RunState(0, config.rollout.num_steps, learner, normaliser, accumulators, sampler.state())


def _iterate(config: Config, agent: Agent, sampler: Sampler, length: int, k: int, state: RunState) -> Iteration:
    clock, learner, normaliser = Clock(), state.learner, state.normaliser
    try:
        if not config.rollout.carry_over:
            sampler.reset_all()
            state = state._replace(accumulators=tf.zeros_like(state.accumulators))
        trajectory, episodes = sampler.collect(agent.act, length, agent.noise(k, length), learner.theta, normaliser)
    except RunError as error:
        raise type(error)(f"iteration {k}: {error}") from error
    clock.lap("rollout")
    batch = agent.prepare(learner, normaliser, trajectory)
    clock.lap("advantages")
    update, moving, merged, accumulators = agent.learn(state, trajectory, batch, clock)
    _refuse_non_finite(k, trajectory, batch, update)
    steps, env_steps = (k + 1) * config.rollout.num_steps, state.env_steps + config.rollout.num_steps
    after = RunState(k + 1, env_steps, update.learner, merged, accumulators, sampler.state())
    clock.lap("update")
    return Iteration(k, steps, env_steps, learner, normaliser, trajectory, batch, episodes, update, moving, clock.seconds, after)


def _refuse_non_finite(k: int, trajectory: Trajectory, batch: Batch, update: Update) -> None:
    """A NaN must stop the run where it arises, before it reaches a checkpoint."""
    for what, fine in (
            ("an advantage", np.isfinite(batch.advantages).all()),
            ("a value target", np.isfinite(batch.value_targets).all()),
            ("the value loss or its gradient", bool(update.value.finite)),
            ("the policy's objective or its gradient", bool(update.policy.finite)),
            ("a parameter of the value net", np.isfinite(update.learner.phi).all()),
            ("a parameter of the policy", np.isfinite(update.learner.theta).all())):
        if not fine:
            largest = float(np.max(np.abs(trajectory.rewards)))
            # float32 ends at 3e38: the square of a return must stay below, and so must sums of it over a batch.
            why = "" if largest < HUGE else (f" (rewards reach {largest:.2g}: divide them, or let --code_level.reward_scaling=returns do it)")
            raise RunError(f"iteration {k}: {what} is not finite{why}; what was stored is from before it.")
