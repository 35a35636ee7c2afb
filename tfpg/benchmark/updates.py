"""What do the two halves of an update take, each for itself? Training compiles them into one program, which has no clock inside.

Value epochs and policy epochs, or TRPO's step, are compiled once more, each alone, on an iteration that training has made.
Together they may take more than the one program: XLA can share and order what is in one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfpg import seeds
from tfpg.algos import steps
from tfpg.algos.agent import Agent
from tfpg.algos.critic import value_update
from tfpg.algos.schedule import schedule
from tfpg.config import Config
from tfpg.types import Iteration


class Halves:
    """The two programs of an agent."""

    def __init__(self, config: Config, agent: Agent):
        self._config = config

        def value(learner, batch, order, plan):
            return value_update(
                agent.value, learner.phi, learner.value_slots, batch, order, step_size=plan["value_step_size"],
                value=config.value, optimiser=config.optimiser, code_level=config.code_level).phi

        def policy(learner, batch, draws, plan):
            return steps.policy_step(
                agent.policy, agent.value, learner.theta, learner.policy_slots, batch, draws, plan=plan,
                algorithm=config.algorithm, optimiser=config.optimiser, code_level=config.code_level).theta

        self._value, self._policy = (
            tf.function(half, autograph=False, jit_compile=config.runtime.xla) for half in (value, policy))

    def seconds(self, iteration: Iteration) -> dict[str, float]:
        """What each takes on an iteration's batch, the drawing of its minibatches included."""
        config, k = self._config, iteration.index
        plan = {name: tf.constant(number, tf.float32) for name, number in schedule(config, k).items()}

        def order():
            stream = seeds.generator(config.seed, "value_minibatches", k)
            return steps.orders(stream, config.rollout.num_steps, epochs=config.value.epochs, minibatches=config.value.minibatches)

        def draws():
            return steps.draws(config.algorithm, config.rollout.num_steps, steps.training_stream(config.algorithm, config.seed, k))

        def half(program: Callable, chance: Callable) -> Callable[[], Any]:
            return lambda: program(iteration.before, iteration.batch, tf.constant(chance()), plan).numpy()

        return {"value": timed(half(self._value, order)), "policy": timed(half(self._policy, draws))}


def timed(work: Callable[[], Any]) -> float:
    """Seconds that it takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
