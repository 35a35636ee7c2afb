"""How do policy and value net share their hidden layers? One Keras model with two heads, and one vector for both."""

from __future__ import annotations

from typing import NamedTuple

import keras

from tfpg.config import CodeLevel, Network
from tfpg.models import mlp, policy, value


class Shared(NamedTuple):
    """Two functions of one vector: θ = φ. Each ignores the other's head."""

    policy: policy.Policy
    value: value.ValueFunction


def build(obs_size: int, action_size: int, discrete: bool, network: Network, code_level: CodeLevel,
          seed: int) -> Shared:
    """Policy and value function on one trunk; weights that they do not share begin as in separate networks.

    Args: obs_size: S. action_size: A, or the number of discrete actions. seed: the run's."""
    family, style = policy.family_of(action_size, discrete, network), mlp.style(code_level)

    def skeleton(dtype: str) -> keras.Model:
        obs, features = mlp.trunk(obs_size, hidden=network.hidden, activation=style.activation,
                                  initialisation=style.initialisation, seed=seed, dtype=dtype)
        values = mlp.head(features, 1, "value", initialisation=style.initialisation, gain=value.HEAD_GAIN,
                          seed=seed, stream=(mlp.VALUE, len(network.hidden)), dtype=dtype)
        parameters = policy.outputs(features, family, network, style.initialisation, seed, dtype)
        return keras.Model(obs, [*parameters, values])

    model = mlp.FlatModel(skeleton)
    return Shared(policy.Policy(model, policy.layers(family, network), family, style.activation),
                  value.ValueFunction(model))
