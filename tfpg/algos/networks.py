"""Which networks does a run have? Policy and value net as pure functions, separate or of one vector."""

from __future__ import annotations

from typing import NamedTuple

from tfpg.algos.steps import shares_weights
from tfpg.config import CodeLevel, Network, Ppo, Trpo, Value
from tfpg.envs.make import Task
from tfpg.models import policy, shared
from tfpg.models import value as value_models
from tfpg.models.policy import Policy
from tfpg.models.value import ValueFunction


class Networks(NamedTuple):
    """π and V, and whether they are functions of one vector."""

    policy: Policy
    value: ValueFunction
    shared: bool  # θ = φ


def networks(
        task: Task, *, algorithm: Trpo | Ppo, value: Value, network: Network, code_level: CodeLevel, seed: int) -> Networks:
    """The networks for a task. Args: value: its target decides whether V sees the time. seed: the run's."""
    spaces, nets = (task.obs_size, task.action_size, task.discrete), (network, code_level, seed)
    if shares_weights(algorithm):
        return Networks(*shared.build(*spaces, *nets), True)
    timed = value.target == "returns"
    return Networks(policy.build(*spaces, *nets), value_models.build(task.obs_size + timed, *nets), False)
