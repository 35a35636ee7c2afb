"""What is optimised, and how far apart are two policies? Functions of distributions, log-probabilities and advantages.

They know no models and no environments, so they serve anybody's training loop. [B] pairs throughout; every mean is over
all pairs. π_old is the policy that acted."""

from __future__ import annotations

import tensorflow as tf

from tfpg.types import Tensor, TrustRegion


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


def trust_region(pi_old, pi, actions: Tensor, epsilon: float) -> TrustRegion:
    """How far π_θ is from π_old on all the pairs: exact KL over states, ratio over state-action pairs.

    Args: pi_old, pi: batched distributions [B]. actions: [B, A] or [B]. epsilon: half-width of the ratio's region."""
    kl = pi_old.kl_divergence(pi)
    rho = ratios(pi.log_prob(actions), pi_old.log_prob(actions))
    return TrustRegion(
        mean_kl=tf.reduce_mean(kl),
        max_kl=tf.reduce_max(kl),
        mean_ratio=tf.reduce_mean(rho),
        max_ratio=tf.reduce_max(rho),
        min_ratio=tf.reduce_min(rho),
        outside_fraction=tf.reduce_mean(tf.cast(tf.abs(rho - 1) > epsilon, rho.dtype)),
    )
