"""Which way, and how far, does a first-order optimiser move? Adam and SGD as functions of a flat gradient.

Not Keras's optimisers, for two reasons. Keras's Adam has its ε inside the bias correction, so that the first
updates shrink: with ε 1e-5 and gradients of 1e-4 to a quarter. And it owns variables: they would have to be set
before and restored after every question an instrument asks, and they keep the update out of one compiled loop.
Measured, 10 + 10 epochs of 32 minibatches on 2 cores: these functions in one XLA-compiled loop 32 ms, in a plain
graph 90 ms, Keras optimisers 190–400 ms."""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

from tfpg.types import Slots, Tensor

BETA_1, BETA_2 = 0.9, 0.999  # decay of Adam's two averages (Kingma & Ba 2015, algorithm 1)


class Step(NamedTuple):
    """What an optimiser does with one gradient."""

    slots: Slots
    change: Tensor  # [P], to be added to the parameters


def start(parameters) -> Slots:
    """The state before the first step. Args: parameters: [P]. Returns: zeros, in the parameters' dtype."""
    parameters = tf.convert_to_tensor(parameters)
    return Slots(tf.zeros([], tf.float32), tf.zeros_like(parameters), tf.zeros_like(parameters))


def adam(slots: Slots, gradient, *, step_size, epsilon) -> Step:
    """One step of Adam, downhill.

        m ← β₁m + (1 − β₁)g,   v ← β₂v + (1 − β₂)g²,   m̂ = m / (1 − β₁ᵗ),   v̂ = v / (1 − β₂ᵗ)
        change = −α m̂ / (√v̂ + ε)

    (Kingma & Ba 2015, algorithm 1.) ε stands outside the bias correction, as in the authors' code.
    Args: slots: state so far. gradient: [P], of what is to be made small. step_size: α, number or tensor.
        epsilon: ε, number.
    Returns: `Step`: slots, change [P]."""
    gradient = tf.convert_to_tensor(gradient)
    time = tf.cast(slots.count + 1, gradient.dtype)  # t
    first = BETA_1 * slots.first + (1 - BETA_1) * gradient  # m
    second = BETA_2 * slots.second + (1 - BETA_2) * tf.square(gradient)  # v
    # 1 − βᵗ: the plain difference loses five of float32's seven digits at β₂ and t = 1.
    unbiased_first = first / -tf.math.expm1(time * math.log(BETA_1))  # m̂
    unbiased_second = second / -tf.math.expm1(time * math.log(BETA_2))  # v̂
    change = -_of_dtype(step_size, gradient.dtype) * unbiased_first / (tf.sqrt(unbiased_second) + epsilon)
    return Step(Slots(slots.count + 1, first, second), change)


def sgd(slots: Slots, gradient, *, step_size, epsilon) -> Step:
    """One step of gradient descent, change = −α g.

    Args: as for `adam`, so that either may be passed; ε has no part in it. Returns: `Step`: slots, change [P]."""
    gradient = tf.convert_to_tensor(gradient)
    return Step(slots._replace(count=slots.count + 1), -_of_dtype(step_size, gradient.dtype) * gradient)


def clip_norm(gradient, limit: float | None) -> Tensor:
    """The gradient, shortened to 2-norm `limit` if it is longer: g · min(1, limit / ‖g‖).

    Args: gradient: [P], all parameters in one vector, so the norm is the global one. limit: None = identity.
    Returns: [P]; a gradient within the limit comes back bit for bit."""
    gradient = tf.convert_to_tensor(gradient)
    if limit is None:
        return gradient
    return gradient * (limit / tf.maximum(tf.norm(gradient), limit))


def _of_dtype(x, dtype) -> Tensor:
    """A number or tensor as a tensor of `dtype`; tf.cast alone would take a number to float32 first."""
    return tf.cast(x, dtype) if tf.is_tensor(x) else tf.constant(x, dtype)
