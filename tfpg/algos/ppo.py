"""Proximal policy optimisation: one update (Schulman 2017, eq. 7 and algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfpg.algos.epochs import descend
from tfpg.config import CodeLevel, Optimiser, Ppo
from tfpg.objectives import clipped_surrogate, entropy, normalised, ratios, trust_region
from tfpg.types import Batch, Epochs, PpoUpdate, Slots, Tensor

# Where nothing is clipped (ε = none), distances from ratio 1 are still counted against the usual region.
REPORTED_EPSILON = 0.2


def ppo_update(
        pi: Callable, theta_old: Tensor, slots: Slots, batch: Batch, order: Tensor, *,
        step_size: Tensor, ppo: Ppo, optimiser: Optimiser, code_level: CodeLevel,
        value_objective: Callable[[Tensor, Batch], Tensor] | None = None) -> PpoUpdate:
    """θ up the clipped surrogate by epochs of minibatches.

        L(θ) = E[min(ρ_θ Â, clip(ρ_θ, 1 − ε, 1 + ε) Â)] + c_H E[H(π_θ)] − c_V E[value loss]

    The last term only with shared weights, where θ also holds the value net.
    Args: pi: (θ [P], obs [B, S]) ↦ distribution. order: [E, B], the order of the pairs in each epoch.
    Differs: advantages are normalised per minibatch by default, as in the authors' code (advantage_norm)."""
    log_prob_old = pi(theta_old, batch.obs).log_prob(batch.actions)
    if ppo.advantage_norm == "batch":
        batch = batch._replace(advantages=normalised(batch.advantages, "batch"))
    per_minibatch = "minibatch" if ppo.advantage_norm == "minibatch" else "none"

    def loss(theta, pairs):
        minibatch, log_prob_old = pairs
        pi_theta = pi(theta, minibatch.obs)
        rho = ratios(pi_theta.log_prob(minibatch.actions), log_prob_old)
        advantages = normalised(minibatch.advantages, per_minibatch)
        objective = clipped_surrogate(rho, advantages, ppo.clip_epsilon) + ppo.entropy_coefficient * entropy(pi_theta)
        if value_objective is not None:
            objective -= ppo.value_coefficient * value_objective(theta, minibatch)
        return -objective

    descent = descend(
        loss, theta_old, slots, (batch, log_prob_old), order, minibatches=ppo.minibatches, step_size=step_size,
        optimiser=optimiser, code_level=code_level)
    finite = descent.finite & tf.reduce_all(tf.math.is_finite(descent.parameters))
    return PpoUpdate(theta=descent.parameters, slots=descent.slots, thetas=descent.after_epochs, finite=finite)


def look_at_epochs(pi: Callable, pi_old, thetas: Tensor, batch: Batch, ppo: Ppo, *, pi_new) -> Epochs:
    """π after each epoch against π_old on the whole batch.

    The quantiles of a TrustRegion are left out: to sort ten times an update costs more than all the rest.
    Args: pi: as of `ppo_update`. pi_old: the distribution on the batch before the update, [B]. thetas: [E, P] after each epoch.
    pi_new: the distribution after the update, that of thetas[−1]."""
    log_prob_old = pi_old.log_prob(batch.actions)
    whole_batch = normalised(batch.advantages, "batch")
    taken = batch.advantages if ppo.advantage_norm == "none" else whole_batch

    def look(pi_theta):
        rho = ratios(pi_theta.log_prob(batch.actions), log_prob_old)
        region = trust_region(pi_old, pi_theta, batch.actions, ppo.clip_epsilon or REPORTED_EPSILON, taken)
        return Epochs(clipped_surrogate(rho, whole_batch, ppo.clip_epsilon), region.mean_kl, region.max_kl, region.max_ratio,
                      region.min_ratio, region.mean_ratio_distance, region.outside_fraction, region.without_gradient,
                      entropy(pi_theta))

    last = look(pi_new)
    if thetas.shape[0] == 1:
        return Epochs(*(number[tf.newaxis] for number in last))  # XLA compiles no loop over nothing
    before_the_last = tf.map_fn(lambda theta: look(pi(theta, batch.obs)), thetas[:-1], parallel_iterations=1,
                                fn_output_signature=Epochs(*[thetas.dtype] * len(Epochs._fields)))
    return Epochs(*(tf.concat([some, number[tf.newaxis]], 0) for some, number in zip(before_the_last, last, strict=True)))
