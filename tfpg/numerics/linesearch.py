"""How much of a step is taken? Backtracking that keeps the origin bit for bit when nothing is acceptable."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


class Search(NamedTuple):
    """Where a backtracking search ended."""

    point: tf.Tensor  # [P]  origin + fraction · step, or the origin itself
    accepted: tf.Tensor  # [] bool
    fraction: tf.Tensor  # []  of the full step; 0 if none was accepted
    backtracks: tf.Tensor  # [] int32  trials refused
    measured: tuple[tf.Tensor, ...]  # the accepted trial's measurements, zeros if none
    refused: tuple[tf.Tensor, ...]  # the last refused trial's measurements, zeros if none was refused


def backtracking(
        measure: Callable[[tf.Tensor], tuple[tf.Tensor, ...]],
        acceptable: Callable[..., tf.Tensor],
        origin: tf.Tensor,
        step: tf.Tensor,
        *,
        ratio: float,
        trials: int | tf.Tensor) -> Search:
    """The first of origin + ratioʲ · step, j = 0 … trials − 1, that is acceptable.

    Args: measure: θ ↦ scalars worth keeping. acceptable: (fraction, *scalars) ↦ [] bool; a NaN among the scalars must
    make it False, as comparisons do. origin, step: [P]."""
    zeros = tuple(tf.zeros_like(scalar) for scalar in measure(origin))  # for their number and types; pruned when compiled

    def going(j, fraction, accepted, measured, refused):
        return (j < trials) & ~accepted

    def attempt(j, fraction, accepted, measured, refused):
        fraction = tf.constant(ratio, origin.dtype) ** tf.cast(j, origin.dtype)
        scalars = tuple(measure(origin + fraction * step))
        accepted = acceptable(fraction, *scalars)
        return (j + 1, fraction, accepted,
                tuple(tf.where(accepted, new, zero) for new, zero in zip(scalars, zeros, strict=True)),
                tuple(tf.where(accepted, old, new) for old, new in zip(refused, scalars, strict=True)))

    start = (tf.constant(0), tf.zeros_like(origin[0]), tf.constant(False), zeros, zeros)
    j, fraction, accepted, measured, refused = tf.while_loop(going, attempt, start, parallel_iterations=1)
    fraction = tf.where(accepted, fraction, tf.zeros_like(fraction))
    # A choice, not origin + 0 · step: an infinite step would turn the origin into NaN.
    point = tf.where(accepted, origin + fraction * step, origin)
    return Search(point, accepted, fraction, tf.where(accepted, j - 1, j), measured, refused)
