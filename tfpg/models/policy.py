"""What does the agent do in a state? A distribution over actions, as a pure function of a flat θ.

    pi(theta, obs)  →  Normal(mean(s), diag(std²)), std the same in every state      (Gaussian)
                    →  Categorical(softmax(logits(s)))                               (discrete actions)

The Keras model ends at the distribution's parameters; the distribution is built outside it, for layers that return
TFP distributions do not work with Keras 3. Nothing here holds weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfpg.config import CodeLevel, Network
from tfpg.models import mlp
from tfpg.numerics import flat
from tfpg.types import Tensor

HEAD_GAIN = 0.01  # orthogonal initialisation: the first policy acts alike in all states (Engstrom 2020, §3)


class GaussianParameters(NamedTuple):
    """Parameters of Normal(mean, diag(exp(2 log_std)))."""

    mean: Tensor  # [..., A]
    log_std: Tensor  # [..., A], the same in every row


class CategoricalParameters(NamedTuple):
    """Parameters of Categorical(softmax(logits))."""

    logits: Tensor  # [..., num_actions]


class Policy:
    """π as a pure function of θ. The results' dtype is θ's: float32 or float64."""

    def __init__(self, model: mlp.FlatModel, layers: Sequence[str], family: Gaussian | Categorical, activation: str):
        """Args: model: (θ, obs) → parameters first, perhaps more. layers: the perceptron's, hidden ones first."""
        self._model, self._activation = model, activation
        self._family: Any = family  # takes the parameters that it made, which the union of both does not say
        self._perceptron = model.positions(*layers)
        self._log_std = model.positions(*family.extra_layers)
        self.layout = model.layout
        self.discrete = isinstance(family, Categorical)
        self.noise_shape = (family.size,)

    def initial_theta(self) -> Tensor:
        """θ_0, float32 [P]."""
        return self._model.initial()

    def __call__(self, theta, obs) -> tfd.Distribution:
        """π_θ(·|s): a TFP distribution with batch shape [B], exact log_prob, entropy and kl_divergence.

        Args: theta: [P]. obs: [B, S]."""
        return self.distribution(self.parameters(theta, obs))

    def parameters(self, theta, obs) -> GaussianParameters | CategoricalParameters:
        """Parameters of π_θ(·|s), one row per observation. Args: theta: [P]. obs: [B, S]."""
        return self._family.of_outputs(self._model(theta, obs))

    def distribution(self, parameters) -> tfd.Distribution:
        """The distribution with these parameters."""
        return self._family.distribution(parameters)

    def looked_at(self, parameters) -> tfd.Distribution:
        """The distribution, equal to rounding, for who does not differentiate it: numbers that are the same in every row are computed
        once. Of a look at an update the exponentials and logarithms of all rows' standard deviations would be a seventh."""
        return self.distribution(self._family.one_row(parameters))

    def act(self, theta, obs, noise) -> Tensor:
        """An action for each observation, the policy's when `noise` is from `draw_noise`.

            a = mean + std · noise        or        argmax(logits + noise)

        Args: theta: [P]. obs: [B, S]. noise: [B, *noise_shape]. Returns: [B, A], or int32 [B]."""
        return self._family.act(self.parameters(theta, obs), noise)

    def greedy(self, theta, obs) -> Tensor:
        """The most probable action, [B, A] or int32 [B]: `act` without noise."""
        return self._family.greedy(self.parameters(theta, obs))

    def act_stacked(self, thetas, obs, noise) -> Tensor:
        """Actions of K policies, each for its own observations; in graph mode and float32 bit for bit the same however
        many are stacked (float64 is not: its tanh depends on an element's place).

        Args: thetas: [K, P]. obs: [K, n, S]. noise: [K, n, *noise_shape]. Returns: [K, n, A], or int32 [K, n]."""
        return self._family.act(self.parameters_stacked(thetas, obs), noise)

    def greedy_stacked(self, thetas, obs) -> Tensor:
        """Most probable actions of K policies, [K, n, A] or int32 [K, n]."""
        return self._family.greedy(self.parameters_stacked(thetas, obs))

    def draw_noise(self, seed, shape_prefix: Sequence[int], dtype=tf.float32) -> Tensor:
        """Noise for `act`, standard normal or Gumbel; the same numbers for the same seed (not inside XLA).

        Args: seed: int32 [2]. shape_prefix: shape before noise_shape. Returns: [*shape_prefix, *noise_shape]."""
        return self._family.draw_noise(seed, (*shape_prefix, *self.noise_shape), dtype)

    def mean_std(self, theta) -> Tensor:
        """Standard deviation averaged over action dimensions, []; NaN for discrete actions, which have none."""
        theta = tf.convert_to_tensor(theta)
        if not self._log_std:
            return tf.constant(math.nan, theta.dtype)
        return tf.reduce_mean(tf.exp(flat.unflatten(theta, self.layout)[self._log_std[0]]))

    def parameters_stacked(self, thetas, obs) -> GaussianParameters | CategoricalParameters:
        """Parameters of n policies at once, to the same bits as one by one. Args: thetas: [n, P]. obs: [n, B, S]."""
        thetas, obs = tf.convert_to_tensor(thetas), tf.convert_to_tensor(obs)
        # Without oneDNN a batched product of one small matrix takes another path than one of several, with other bits:
        # the first policy is computed twice, so that one alone is never alone.
        weights, obs = flat.unflatten(tf.concat([thetas, thetas[:1]], 0), self.layout), tf.concat([obs, obs[:1]], 0)
        first = mlp.apply([weights[i] for i in self._perceptron], obs, self._activation)
        stacked = [first, *(weights[i][..., None, :] for i in self._log_std)]
        return self._family.of_outputs([output[:-1] for output in stacked])


def build(obs_size: int, action_size: int, discrete: bool, network: Network, code_level: CodeLevel,
          seed: int) -> Policy:
    """A policy with its own network.

    Args: obs_size: S. action_size: A, or the number of discrete actions. seed: the run's."""
    family, style = family_of(action_size, discrete, network), mlp.style(code_level)

    def skeleton(dtype: str) -> keras.Model:
        obs, features = mlp.trunk(obs_size, hidden=network.hidden, activation=style.activation,
                                  initialisation=style.initialisation, seed=seed, dtype=dtype)
        return keras.Model(obs, outputs(features, family, network, style.initialisation, seed, dtype))

    return Policy(mlp.FlatModel(skeleton), layers(family, network), family, style.activation)


def family_of(action_size: int, discrete: bool, network: Network) -> Gaussian | Categorical:
    """The family of distributions for an action space."""
    return Categorical(action_size) if discrete else Gaussian(action_size, network.initial_log_std)


def layers(family, network: Network) -> list[str]:
    """Names of the perceptron's layers, from observation to the family's first parameter."""
    return [f"hidden_{i}" for i in range(len(network.hidden))] + [family.head]


def outputs(features, family, network: Network, initialisation: str, seed: int, dtype: str) -> list:
    """The distribution's parameters as Keras tensors on top of `features`."""
    first = mlp.head(features, family.size, family.head, initialisation=initialisation, gain=HEAD_GAIN, seed=seed,
                     stream=(mlp.POLICY, len(network.hidden)), dtype=dtype)
    return family.outputs(first, dtype)


class Gaussian:
    """Normal distributions with diagonal covariance and a state-independent standard deviation."""

    head, extra_layers = "mean", ("log_std",)

    def __init__(self, size: int, initial_log_std: float):
        self.size, self._initial_log_std = size, initial_log_std

    def outputs(self, mean, dtype: str) -> list:
        return [mean, LogStd(self._initial_log_std, name="log_std", dtype=dtype)(mean)]

    def of_outputs(self, outputs) -> GaussianParameters:
        return GaussianParameters(*outputs[:2])

    def distribution(self, parameters: GaussianParameters) -> tfd.Distribution:
        # Not MultivariateNormalDiag: its KL adds the small terms to A and subtracts A again, which in float32 leaves
        # an error of 2e-7 that averaging does not remove; step sizes annealed to zero make KLs below that.
        return tfd.Independent(tfd.Normal(parameters.mean, tf.exp(parameters.log_std)), 1)

    def one_row(self, parameters: GaussianParameters) -> GaussianParameters:
        return parameters._replace(log_std=parameters.log_std[..., :1, :])

    def act(self, parameters: GaussianParameters, noise) -> Tensor:
        std = _whole_packets(tf.exp, parameters.log_std[..., :1, :])  # all rows are alike
        return parameters.mean + std * tf.cast(noise, parameters.mean.dtype)

    def greedy(self, parameters: GaussianParameters) -> Tensor:
        return parameters.mean

    def draw_noise(self, seed, shape, dtype) -> Tensor:
        return tf.random.stateless_normal(shape, seed, dtype=dtype)


class Categorical:
    """Distributions over a finite set of actions."""

    head, extra_layers = "logits", ()

    def __init__(self, size: int):
        self.size = size

    def outputs(self, logits, dtype: str) -> list:
        return [logits]

    def of_outputs(self, outputs) -> CategoricalParameters:
        return CategoricalParameters(outputs[0])

    def distribution(self, parameters: CategoricalParameters) -> tfd.Distribution:
        return tfd.Categorical(logits=parameters.logits)

    def one_row(self, parameters: CategoricalParameters) -> CategoricalParameters:
        return parameters

    def act(self, parameters: CategoricalParameters, noise) -> Tensor:
        return tf.argmax(parameters.logits + tf.cast(noise, parameters.logits.dtype), -1, tf.int32)

    def greedy(self, parameters: CategoricalParameters) -> Tensor:
        return tf.argmax(parameters.logits, -1, tf.int32)

    def draw_noise(self, seed, shape, dtype) -> Tensor:
        # −log(−log U) with U in (0, 1): at U = 0 the Gumbel number would be −∞ and its action impossible.
        tiny = np.finfo(dtype.as_numpy_dtype).tiny
        uniform = tf.random.stateless_uniform(shape, seed, minval=tiny, maxval=1, dtype=dtype)
        return -tf.math.log(-tf.math.log(uniform))


def _whole_packets(function, x) -> Tensor:
    """function(x), elementwise, with the same bits however many elements x has.

    The processor takes elements in packets of 4, 8 or 16 and those left over one by one, with another exponential
    that may differ in its last bit: without copies that fill the packets one policy's std would depend on how many
    are stacked."""
    return function(tf.tile(x[None], [16] + [1] * x.shape.rank))[0]


class LogStd(keras.layers.Layer):
    """log std as a weight [A] of its own, repeated for each row of the mean."""

    def __init__(self, initial: float, **kwargs):
        super().__init__(**kwargs)
        self._initial = initial

    def build(self, shape):
        self.log_std = self.add_weight(shape=(shape[-1],), initializer=keras.initializers.Constant(self._initial),
                                       name="log_std")

    def call(self, mean):
        return tf.zeros_like(mean) + self.log_std
