"""How is a model one vector? θ as a flat tensor: its layout, and exact derivatives of functions of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf


class Layout(NamedTuple):
    """Shapes of a model's weights, in the order in which the flat vector holds them."""

    shapes: tuple[tuple[int, ...], ...]

    @property
    def size(self) -> int:
        """P, the length of the flat vector."""
        return sum(math.prod(shape) for shape in self.shapes)


def layout_of(tensors: Sequence) -> Layout:
    """The layout of a list of tensors or variables."""
    return Layout(tuple(tuple(int(n) for n in tensor.shape) for tensor in tensors))


def flatten(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    """One vector [P] from a list of tensors, in order."""
    return tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0)


def unflatten(vector: tf.Tensor, layout: Layout) -> list[tf.Tensor]:
    """The inverse of `flatten`; leading dimensions (stacked θ) are kept.

    Args: vector: [..., P].
    Returns: tensors [..., *shape], one for each shape of the layout."""
    stack = vector.shape[:-1].as_list()
    tensors, start = [], 0
    for shape in layout.shapes:
        size = math.prod(shape)
        tensors.append(tf.reshape(vector[..., start:start + size], [-1 if n is None else n for n in stack] + list(shape)))
        start += size
    return tensors


def value_and_gradient(function: Callable[[tf.Tensor], tf.Tensor], theta: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """f(θ) [] and ∇f(θ) [P], by reverse differentiation."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(theta)
        value = function(theta)
    return value, tape.gradient(value, theta)


def hessian_vector_product(
        function: Callable[[tf.Tensor], tf.Tensor], theta: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
    """The linear map v ↦ ∇²f(θ) v = ∇(∇f(θ)ᵀv), exact (Pearlmutter 1994), by reverse over reverse."""

    def product(vector: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch(theta)
            _, gradient = value_and_gradient(function, theta)
            along = tf.tensordot(gradient, vector, 1)
        return outer.gradient(along, theta)

    return product
