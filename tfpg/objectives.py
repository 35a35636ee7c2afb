"""What is optimised, and how far apart are two policies? Functions of distributions, log-probabilities and advantages.

They know no models and no environments, so they serve anybody's training loop. [B] pairs throughout; every mean is over
all pairs. π_old is the policy that acted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from tfpg.types import QUANTILES, Tensor, TrustRegion


def ratios(log_prob: Tensor, log_prob_old: Tensor) -> tf.Tensor:
    """ρ = π_θ(a|s) / π_old(a|s), [B]."""
    return tf.exp(log_prob - log_prob_old)


def normalised(advantages: Tensor, how: str) -> tf.Tensor:
    """(Â − mean) / std over the pairs given ("batch", "minibatch"), or Â itself ("none").

    The standard deviation is that of the pairs themselves. Differs: the authors' code divides its sum by n − 1, which
    for a minibatch of 64 makes advantages .8 % smaller.
    Advantages that are all equal carry no preference: they become 0, never a division by zero."""
    if how == "none":
        return advantages
    centred = advantages - tf.reduce_mean(advantages)
    std = tf.math.reduce_std(advantages)
    # Relative to the largest: rewards of 1e-8 and of 1e8 must both pass, and rounding of a constant must not.
    # Asked this way round, a NaN counts as varied and stays a NaN for the run to find.
    varied = ~(std <= 1e-6 * tf.reduce_max(tf.abs(advantages)))
    return tf.where(varied, centred / tf.where(varied, std, tf.ones_like(std)), tf.zeros_like(centred))


def surrogate(rho: Tensor, advantages: Tensor) -> tf.Tensor:
    """L = E[ρ Â]  (Schulman 2015, eq. 14), []."""
    return tf.reduce_mean(rho * advantages)


def clipped_surrogate(rho: Tensor, advantages: Tensor, epsilon: float | None) -> tf.Tensor:
    """L = E[min(ρ Â, clip(ρ, 1 − ε, 1 + ε) Â)]  (Schulman 2017, eq. 7), []; ε = None is no clipping."""
    if epsilon is None:
        return surrogate(rho, advantages)
    return tf.reduce_mean(tf.minimum(rho * advantages, tf.clip_by_value(rho, 1 - epsilon, 1 + epsilon) * advantages))


def mean_kl(pi_old, pi) -> tf.Tensor:
    """D̄_KL = E_s KL(π_old ‖ π_θ), exact, nats, []."""
    return tf.reduce_mean(pi_old.kl_divergence(pi))


def entropy(pi) -> tf.Tensor:
    """E_s H(π(·|s)), nats, []."""
    return tf.reduce_mean(pi.entropy())


def value_loss(values: Tensor, targets: Tensor, values_old: Tensor, clip: float | None) -> tf.Tensor:
    """E[(V − V_targ)²], or with value clipping the larger of it and of the clipped prediction's square, pair by pair:

        E[max((V − V_targ)², (clip(V, V_old − c, V_old + c) − V_targ)²)]

    The larger of the two squares, not the square of the larger signed residual."""
    plain = tf.square(values - targets)
    if clip is None:
        return tf.reduce_mean(plain)
    near = values_old + tf.clip_by_value(values - values_old, -clip, clip)
    return tf.reduce_mean(tf.maximum(plain, tf.square(near - targets)))


def quantiles(x: Tensor, levels: Sequence[float] = QUANTILES) -> tf.Tensor:
    """Quantiles of [B] numbers, linear between neighbours (NumPy's default), [len(levels)]; nan where one of them is."""
    ordered = tf.sort(x)
    last = tf.cast(tf.shape(x)[0] - 1, tf.float64)  # float32 would place the rank of 10⁸ pairs wrongly
    rank = last * tf.constant(levels, tf.float64)
    below = tf.floor(rank)
    share = tf.cast(rank - below, x.dtype)
    low, high = (tf.gather(ordered, tf.cast(place, tf.int32)) for place in (below, tf.minimum(below + 1, last)))
    found = low + share * (high - low)
    return tf.where(tf.reduce_all(~tf.math.is_nan(x)), found, tf.constant(math.nan, x.dtype))


def trust_region(
        pi_old, pi, actions: Tensor, epsilon: float, advantages: Tensor | None = None, *,
        condensed: Callable[[tf.Tensor], tf.Tensor] = quantiles) -> TrustRegion:
    """How far π_θ is from π_old on all the pairs: exact KL over states, ratio over state-action pairs.

    Args: pi_old, pi: batched distributions [B] with log_prob and kl_divergence. actions: [B, A] or [B]. epsilon:
    half-width of the ratio's region. advantages: Â [B] or [B, 1], as the update takes them: their sign says on which side a ratio
    outside the region has lost its gradient. condensed: [B] ↦ what stands in the fields of quantiles."""
    kl = pi_old.kl_divergence(pi)
    rho = ratios(pi.log_prob(actions), pi_old.log_prob(actions))
    high, low = rho - 1 > epsilon, 1 - rho > epsilon
    if advantages is not None:
        advantages = tf.reshape(advantages, tf.shape(rho))  # [B, 1] would meet [B] as [B, B]
    lost = tf.fill(tf.shape(rho), math.nan) if advantages is None else (high & (advantages > 0)) | (low & (advantages < 0))
    return TrustRegion(
        mean_kl=tf.reduce_mean(kl),
        max_kl=tf.reduce_max(kl),
        kl_quantiles=condensed(kl),
        mean_reverse_kl=mean_kl(pi, pi_old),
        mean_ratio=tf.reduce_mean(rho),
        max_ratio=tf.reduce_max(rho),
        min_ratio=tf.reduce_min(rho),
        ratio_quantiles=condensed(rho),
        mean_ratio_distance=tf.reduce_mean(tf.abs(rho - 1)),
        outside_fraction=tf.reduce_mean(tf.cast(high | low, rho.dtype)),
        without_gradient=tf.reduce_mean(tf.cast(lost, rho.dtype)),
    )
