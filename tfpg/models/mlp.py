"""What function does a multilayer perceptron compute? As a Keras model, as a pure function of one vector, and as
hand-written matrix products over many stacked vectors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfpg import seeds
from tfpg.config import CodeLevel
from tfpg.numerics import flat
from tfpg.types import Tensor

POLICY, VALUE = 0, 1  # which network a stream of initial weights belongs to; part of every run's identity
ACTIVATIONS = {"tanh": tf.tanh, "relu": tf.nn.relu, "elu": tf.nn.elu}  # elu: of policies that other libraries trained


class Style(NamedTuple):
    """What the code-level optimisations say of a network."""

    activation: str  # tanh or relu
    initialisation: str  # orthogonal, xavier or normal


def style(code_level: CodeLevel) -> Style:
    """The style of every network of a run."""
    return Style(code_level.activation, code_level.initialisation)


class FlatModel:
    """A Keras model as a pure function of one flat vector: [output, …] = model(vector, obs).

    Keras casts inputs and weights to the dtype a model was built with, so there is one model for each dtype;
    both are skeletons, and their own variables serve only for the initial vector."""

    def __init__(self, build: Callable[[str], keras.Model]):
        """Args: build: dtype → model, the same structure for each."""
        self._models = {tf.as_dtype(dtype): build(dtype) for dtype in ("float32", "float64")}
        weights = self._models[tf.float32].trainable_variables
        self.layout = flat.layout_of(weights)
        self._initial = np.concatenate([np.ravel(weight.numpy()) for weight in weights])

    def __call__(self, vector, obs) -> list[Tensor]:
        """The list of the model's outputs at a vector [P] (float32 or float64: so are the outputs), obs [B, S]."""
        vector = tf.convert_to_tensor(vector)
        model = self._models[vector.dtype]
        outputs, _ = model.stateless_call(flat.unflatten(vector, self.layout), [], tf.cast(obs, vector.dtype))
        return tf.nest.flatten(outputs)  # Keras returns a single output without its list

    def initial(self) -> Tensor:
        """The initial weights, float32 [P]."""
        return tf.constant(self._initial)

    def positions(self, *layers: str) -> tuple[int, ...]:
        """Where the weights of the named layers stand in the layout, layer by layer."""
        model = self._models[tf.float32]
        order = {id(weight): i for i, weight in enumerate(model.trainable_variables)}
        return tuple(order[id(weight)] for name in layers for weight in model.get_layer(name).trainable_variables)


def build(obs_size: int, outputs: int, *, hidden: Sequence[int], activation: str, initialisation: str,
          head_gain: float, seed: int, role: int = POLICY, dtype: str = "float32") -> keras.Model:
    """A multilayer perceptron, obs [B, S] → [B, outputs], linear in its last layer.

    Args: hidden: units, layer by layer. activation: tanh or relu. initialisation: see `head`. head_gain: gain of
        the last layer where initialisation is orthogonal. seed: the run's. role: POLICY or VALUE, which random numbers.
    Returns: Keras model; kernel and bias of each layer in turn."""
    obs, features = trunk(obs_size, hidden=hidden, activation=activation, initialisation=initialisation,
                          seed=seed, role=role, dtype=dtype)
    return keras.Model(obs, head(features, outputs, "output", initialisation=initialisation, gain=head_gain,
                                 seed=seed, stream=(role, len(hidden)), dtype=dtype))


def trunk(obs_size: int, *, hidden: Sequence[int], activation: str, initialisation: str, seed: int,
          role: int = POLICY, dtype: str = "float32"):
    """The hidden layers, named hidden_0, hidden_1, …; orthogonal gain √2. Returns: Keras tensors (obs, features)."""
    obs = keras.Input((obs_size,), dtype=dtype)
    features = obs
    for i, units in enumerate(hidden):
        features = keras.layers.Dense(units, activation, name=f"hidden_{i}", dtype=dtype,
                                      kernel_initializer=_initialiser(initialisation, math.sqrt(2), seed, (role, i)),
                                      bias_initializer="zeros")(features)
    return obs, features


def head(features, outputs: int, name: str, *, initialisation: str, gain: float, seed: int,
         stream: tuple[int, int], dtype: str = "float32"):
    """A linear layer on `features`.

    Args: initialisation: orthogonal (scaled by gain), xavier (uniform, gain 1 whatever `gain` says, as in the
        authors' code) or normal (mean 0, std .01); biases 0. stream: (role, layer), which random numbers.
    Returns: Keras tensor [B, outputs]."""
    return keras.layers.Dense(outputs, name=name, dtype=dtype, bias_initializer="zeros",
                              kernel_initializer=_initialiser(initialisation, gain, seed, stream))(features)


def apply(weights: Sequence, obs, activation: str) -> Tensor:
    """The same function by matrix products, for one or many stacked sets of weights.

    In graph mode and float32 the result for one set does not depend on how many are stacked, from two upwards; that
    of `tf.vectorized_map` and of XLA does, by one part in 10⁷, which over a HalfCheetah episode becomes whole percents
    of the return.
    Args: weights: kernel [..., in, out] and bias [..., out] of each layer in turn. obs: [..., n, S], cast to the
        weights' dtype. activation: of ACTIVATIONS. Returns: [..., n, outputs]."""
    x = tf.cast(obs, weights[0].dtype)
    for i in range(0, len(weights), 2):
        x = tf.matmul(x, weights[i]) + weights[i + 1][..., None, :]
        if i + 2 < len(weights):
            x = ACTIVATIONS[activation](x)
    return x


def reexpressed(theta, shift, factor, kernel: Sequence[int]) -> np.ndarray:
    """The θ whose perceptron does with x what that of the given one does with factor·x + shift, float32 [P].

        W = diag(factor) W',   b = b' + shiftᵀW'

    Args: theta: [P], whose first weights are the kernel W' [S, units] and the bias b' [units]. shift, factor: [S]."""
    theta, (size, units) = np.asarray(theta, np.float64).copy(), kernel
    weights = theta[:size * units].reshape(size, units)
    theta[size * units:(size + 1) * units] += np.asarray(shift) @ weights
    weights *= np.asarray(factor)[:, np.newaxis]  # a view: θ itself
    return theta.astype(np.float32)


def _initialiser(kind: str, gain: float, seed: int, stream: tuple[int, int]) -> keras.initializers.Initializer:
    number = int(seeds.words(seed, "initialisation", *stream, count=1)[0] >> 1)  # Keras casts its seeds to int32
    match kind:
        case "orthogonal":
            return keras.initializers.Orthogonal(gain, seed=number)
        case "xavier":
            return keras.initializers.GlorotUniform(seed=number)
        case "normal":
            return keras.initializers.RandomNormal(mean=0.0, stddev=0.01, seed=number)
    raise ValueError(f"No initialisation is called {kind!r}.")
