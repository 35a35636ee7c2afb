"""What is each step worth? Advantages and discounted returns of time-major batches.

All three are one linear recurrence, x_t = b_t + c_t x_{t+1}, solved in log₂ T vectorised passes: a loop over
T = 2048 rows costs 2048 small operations in a plain graph, and eleven large ones compile anywhere."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfpg.types import Tensor


class Running(NamedTuple):
    """Running discounted sums of rewards, and where they stand after the last row."""

    discounted: Tensor  # [T, N]
    accumulators: Tensor  # [N]


def gae(rewards, values, next_values, terminated, ended, *, gamma, lam) -> Tensor:
    """Generalised advantage estimates.

        Â_t = Σ_k (γλ)^k δ_{t+k},   δ_t = r_t + γV(s_{t+1}) − V(s_t)      (Schulman 2016, eq. 16)

    V(s_{t+1}) is 0 after termination; truncation and the batch's last row bootstrap and end the sum.
    Args: rewards: [T, N], as the learner sees them. values: [T, N] V(s_t). next_values: [T, N] V of the true
        successor of each row, before any reset. terminated: [T, N] bool, V(s_{t+1}) = 0 (a time limit that counts
        as terminal belongs here). ended: [T, N] bool, terminated or truncated. gamma, lam: γ, λ in [0, 1].
    Returns: advantages [T, N], un-normalised, in units of the rewards, dtype of `values`.
    Raises: ValueError if T is not known when the function is traced."""
    values = tf.convert_to_tensor(values)
    td_errors = tf.cast(rewards, values.dtype) + gamma * _unless(terminated, next_values, values.dtype) - values
    return _backward(td_errors, _unless(ended, gamma * lam, values.dtype))


def discounted_returns(rewards, next_values, terminated, ended, *, gamma) -> Tensor:
    """Discounted returns to the episode's end.

        R_t = r_t + γ R_{t+1},   R_{t+1} = V(s_{t+1}) where the data stop: at a truncation and in the last row

    and R_{t+1} = 0 after termination.
    Args: as for `gae`.
    Returns: returns [T, N], in units of the rewards, dtype of `next_values`.
    Raises: ValueError if T is not known when the function is traced."""
    next_values = tf.convert_to_tensor(next_values)
    last = tf.range(tf.shape(next_values)[0])[:, None] == tf.shape(next_values)[0] - 1
    inside = tf.logical_not(tf.logical_or(ended, last))
    bootstrap = _unless(tf.logical_or(terminated, inside), next_values, next_values.dtype)
    discounts = _unless(ended, gamma, next_values.dtype)
    return _backward(tf.cast(rewards, next_values.dtype) + gamma * bootstrap, discounts)


def running_discounted(rewards, ended, accumulators, *, gamma) -> Running:
    """Discounted sums of the rewards so far: the quantity whose spread reward scaling divides by.

        R_t = γ R_{t−1} + r_t,   R = 0 at the start of an episode      (Engstrom 2020, §3, algorithm 1)

    Args: rewards: [T, N], raw. ended: [T, N] bool, terminated or truncated. accumulators: [N], R before the first
        row, 0 for an environment at a start state. gamma: γ in [0, 1].
    Returns: `Running`: discounted [T, N]; accumulators [N], to be passed on with the next batch. Both have the
        dtype of `accumulators`, float64 in a run: they are carried through all of it.
    Raises: ValueError if T is not known when the function is traced."""
    accumulators = tf.convert_to_tensor(accumulators)
    rewards = tf.cast(rewards, accumulators.dtype)
    carried = _unless(ended, gamma, accumulators.dtype)
    # The sum runs forward: row t takes γ·[row t − 1 did not end] from the row before it, row 0 from the accumulators.
    first = rewards[:1] + gamma * accumulators
    backwards = _backward(tf.reverse(tf.concat([first, rewards[1:]], 0), [0]),
                          tf.reverse(tf.concat([tf.zeros_like(carried[:1]), carried[:-1]], 0), [0]))
    discounted = tf.reverse(backwards, [0])
    return Running(discounted, _unless(ended[-1], discounted[-1], accumulators.dtype))


def _backward(b: Tensor, c: Tensor) -> Tensor:
    """x_t = b_t + c_t x_{t+1}, x_T = 0, by doubling: after k passes x_t covers the rows t … t + 2ᵏ − 1.

    Args: b, c: [T, …]. Returns: x [T, …]."""
    rows = b.shape[0]
    if rows is None:
        raise ValueError("The number of rows must be known when the function is traced: it sets the number of passes.")
    span = 1
    while span < rows:
        b = b + c * _ahead(b, span)
        c = c * _ahead(c, span)
        span *= 2
    return b


def _ahead(x: Tensor, rows: int) -> Tensor:
    """x_{t + rows}, 0 beyond the end."""
    return tf.concat([x[rows:], tf.zeros_like(x[:rows])], 0)


def _unless(condition, x, dtype) -> Tensor:
    """x where `condition` is false, else 0 (a product with 0 would keep a NaN)."""
    # tf.cast takes a Python number to float32 first: γ would be right to seven digits only.
    x = tf.constant(x, dtype) if isinstance(x, int | float) else tf.cast(x, dtype)
    return tf.where(condition, tf.zeros_like(x), x)
