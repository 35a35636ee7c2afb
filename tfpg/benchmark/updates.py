"""What do the two halves of an update take, each for itself? In training they run beside each other."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfpg.algos.agent import Agent
from tfpg.types import Iteration


def halves(agent: Agent, iteration: Iteration) -> dict[str, float]:
    """Seconds of value epochs and of policy epochs, or TRPO's step, on an iteration's batch: the programs of training, the drawing
    of minibatches included. With shared weights all of it is the policy's."""
    found = {"policy": timed(lambda: _waited(agent.learn_policy(iteration.before, iteration.batch, iteration.index)))}
    if not agent.shared:
        found["value"] = timed(lambda: _waited(agent.learn_value(iteration.before, iteration.batch, iteration.index)))
    return found


def _waited(record: Any) -> None:
    tf.nest.map_structure(np.asarray, record)


def timed(work: Callable[[], Any]) -> float:
    """Seconds that it takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
