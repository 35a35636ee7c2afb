"""What is a state worth? V as a pure function of a flat φ."""

from __future__ import annotations

import tensorflow as tf

from tfpg.config import CodeLevel, Network
from tfpg.models import mlp
from tfpg.types import Tensor

HEAD_GAIN = 1.0  # orthogonal initialisation of the last layer (Engstrom 2020, §3)


class ValueFunction:
    """V_φ as a pure function of φ. The results' dtype is φ's: float32 or float64."""

    def __init__(self, model: mlp.FlatModel):
        """Args: model: (φ, obs) → its last output is V, [B, 1]."""
        self._model = model
        self.layout = model.layout

    def initial_phi(self) -> Tensor:
        """φ_0, float32 [Q]."""
        return self._model.initial()

    def __call__(self, phi, obs) -> Tensor:
        """V_φ(s), in units of the value targets. Args: phi: [Q]. obs: [B, S]. Returns: [B]."""
        return tf.squeeze(self._model(phi, obs)[-1], -1)


def build(obs_size: int, network: Network, code_level: CodeLevel, seed: int) -> ValueFunction:
    """A value function with its own network.

    Args: obs_size: S, the time feature included where there is one. seed: the run's."""
    style = mlp.style(code_level)
    return ValueFunction(mlp.FlatModel(lambda dtype: mlp.build(
        obs_size, 1, hidden=network.hidden, activation=style.activation,
        initialisation=style.initialisation, head_gain=HEAD_GAIN, seed=seed, role=mlp.VALUE, dtype=dtype)))
