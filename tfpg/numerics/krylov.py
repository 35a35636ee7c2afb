"""How is A x = b solved from products A v alone? Conjugate gradient that reports how far it came."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


class Solution(NamedTuple):
    """x with A x ≈ b, and what the solver saw."""

    x: tf.Tensor  # [P]
    residual: tf.Tensor  # []  ‖b − A x‖ / ‖b‖ by the recurrence, 0 where b is 0
    iterations: tf.Tensor  # [] int32
    positive: tf.Tensor  # [] bool  every curvature pᵀA p met was positive; False also where it was not a number


def conjugate_gradient(
        product: Callable[[tf.Tensor], tf.Tensor], b: tf.Tensor, *, iterations: int, tolerance: float = 1e-10) -> Solution:
    """Conjugate gradient for a positive definite A, begun at x = 0 (Hestenes & Stiefel 1952).

        α = rᵀr / pᵀA p,   x ← x + α p,   r′ ← r − α A p,   p ← r′ + (r′ᵀr′ / rᵀr) p

    Ends after `iterations` products, at rᵀr ≤ tolerance · bᵀb, or at the first pᵀA p that is not positive: x is then what
    was reached before it and `positive` is False, so that the caller refuses the step instead of meeting a NaN.
    Args: b: [P]. tolerance: relative, on squared norms; below 1e-14 float32 rounding decides."""
    bb = tf.tensordot(b, b, 1)

    def going(i, x, r, p, rr, positive):
        return (i < iterations) & positive & (rr > tolerance * bb)

    def iterate(i, x, r, p, rr, positive):
        ap = product(p)
        curvature = tf.tensordot(p, ap, 1)  # pᵀA p
        good = (curvature > 0) & tf.math.is_finite(curvature)
        alpha = tf.where(good, rr / tf.where(good, curvature, tf.ones_like(curvature)), tf.zeros_like(rr))
        x_next = x + alpha * p
        # A product with infinities leaves r and p unused: the loop ends with the x of the last good iteration.
        r_next = r - alpha * ap
        rr_next = tf.tensordot(r_next, r_next, 1)
        p_next = r_next + rr_next / rr * p
        return (i + 1, tf.where(good, x_next, x), tf.where(good, r_next, r), tf.where(good, p_next, p),
                tf.where(good, rr_next, rr), good)

    start = (tf.constant(0), tf.zeros_like(b), b, b, bb, tf.math.is_finite(bb))
    i, x, _, _, rr, positive = tf.while_loop(going, iterate, start, parallel_iterations=1)
    residual = tf.where(bb > 0, tf.sqrt(rr / tf.where(bb > 0, bb, tf.ones_like(bb))), tf.zeros_like(bb))
    return Solution(x, residual, i, positive)
