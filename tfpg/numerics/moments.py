"""What are mean and spread of everything seen so far? Statistics as values: nothing here remembers.

Always float64: over 10⁶ samples a float32 sum loses the digits that the spread is made of."""

from __future__ import annotations

import tensorflow as tf

from tfpg.types import Moments, Tensor


def empty(shape) -> Moments:
    """Moments of no samples.

    Args: shape: shape of one sample. Returns: count 0, mean 0 and m2 0 of that shape, float64."""
    return Moments(tf.zeros([], tf.float64), tf.zeros(shape, tf.float64), tf.zeros(shape, tf.float64))


def of(samples, event_rank: int) -> Moments:
    """Moments of a batch of samples, in two passes.

        mean = Σ x / n,   m2 = Σ (x − mean)²

    Args: samples: [..., *shape]. event_rank: number of trailing axes that one sample has (rewards 0, observations 1);
        all axes before them are averaged over.
    Returns: float64 moments of shape `shape`; those of `empty` where there are no samples."""
    samples = tf.cast(samples, tf.float64)
    shape = tf.shape(samples)
    samples = tf.reshape(samples, tf.concat([[-1], shape[tf.rank(samples) - event_rank:]], 0))
    count = tf.cast(tf.shape(samples)[0], tf.float64)
    mean = tf.math.divide_no_nan(tf.reduce_sum(samples, 0), count)
    return Moments(count, mean, tf.reduce_sum(tf.square(samples - mean), 0))


def merge(a: Moments, b: Moments) -> Moments:
    """Moments of both sets of samples together.

        n = n_a + n_b,   d = mean_b − mean_a,   mean = mean_a + d n_b / n,   m2 = m2_a + m2_b + d² n_a n_b / n

    (Chan, Golub & LeVeque 1983, eq. 2.1.) Merging with `empty` changes nothing.
    Args: a, b: moments of one shape. Returns: float64 moments of that shape."""
    a, b = (Moments(*(tf.cast(part, tf.float64) for part in moments)) for moments in (a, b))
    count = a.count + b.count
    share = tf.math.divide_no_nan(b.count, count)  # n_b / n
    difference = b.mean - a.mean
    return Moments(count, a.mean + difference * share, a.m2 + b.m2 + tf.square(difference) * a.count * share)


def std(moments: Moments) -> Tensor:
    """Population standard deviation √(m2 / n), float64, 0 where there are no samples."""
    return tf.sqrt(tf.math.divide_no_nan(moments.m2, moments.count))
