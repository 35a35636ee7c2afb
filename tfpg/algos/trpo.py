"""Trust region policy optimisation: one step (Schulman 2015, §6 and appendix C)."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfpg.config import Trpo
from tfpg.numerics.flat import hessian_vector_product, value_and_gradient
from tfpg.numerics.krylov import conjugate_gradient
from tfpg.numerics.linesearch import backtracking
from tfpg.objectives import entropy, mean_kl, normalised, ratios, surrogate
from tfpg.types import Batch, Tensor, TrpoUpdate


def trpo_update(pi: Callable, theta_old: Tensor, batch: Batch, fisher_obs: Tensor, *, delta: Tensor, trpo: Trpo) -> TrpoUpdate:
    """The step that maximises the surrogate within the KL ball, by natural gradient and line search.

        maximise_θ  L(θ) = E[ρ_θ Â]   subject to   D̄_KL(θ) = E_s KL(π_old ‖ π_θ) ≤ δ
        θ = θ_old + β αʲ d,   d = (F + c I)⁻¹ g,   β = √(2δ / dᵀ(F + c I) d)

    j is the first at which the surrogate rises by at least accept_ratio of what the gradient promised and D̄_KL ≤ δ. Where
    the curvature is not positive, or no j will do, θ is θ_old bit for bit.
    Args: pi: (θ [P], obs [B, S]) ↦ distribution. fisher_obs: [b, S], the states F is estimated on. delta: δ > 0, nats.
    Differs: with an entropy bonus, L carries c_H·H (0 in every preset), as in the authors' code."""
    pi_old = pi(theta_old, batch.obs)
    log_prob_old = pi_old.log_prob(batch.actions)
    pi_old_fisher = pi(theta_old, fisher_obs)
    advantages = normalised(batch.advantages, trpo.advantage_norm)

    def objective(theta):
        pi_theta = pi(theta, batch.obs)
        rho = ratios(pi_theta.log_prob(batch.actions), log_prob_old)
        return surrogate(rho, advantages) + trpo.entropy_coefficient * entropy(pi_theta)

    kl_hessian = hessian_vector_product(lambda theta: mean_kl(pi_old_fisher, pi(theta, fisher_obs)), theta_old)

    def fisher(vector):
        return kl_hessian(vector) + trpo.damping * vector  # (F + c I) v

    before, g = value_and_gradient(objective, theta_old)
    solution = conjugate_gradient(fisher, g, iterations=trpo.cg_iterations)
    direction = solution.x
    dfd = tf.tensordot(direction, fisher(direction), 1)  # dᵀ(F + c I) d
    dd = tf.tensordot(direction, direction, 1)
    # Not-positive curvature would make β a NaN; the step is refused instead.
    curvature_ok = solution.positive & (dfd > 0) & tf.math.is_finite(dfd)
    beta = tf.where(curvature_ok, tf.sqrt(2 * delta / tf.where(curvature_ok, dfd, tf.ones_like(dfd))), tf.zeros_like(dfd))
    step = beta * direction
    expected_gain = tf.tensordot(g, step, 1)

    def measure(theta):
        return objective(theta) - before, mean_kl(pi_old, pi(theta, batch.obs))

    def acceptable(fraction, gain, kl):
        return curvature_ok & (gain > 0) & (gain > trpo.accept_ratio * fraction * expected_gain) & (kl <= delta)

    trials = tf.where(curvature_ok, trpo.backtracks, 0)
    search = backtracking(measure, acceptable, theta_old, step, ratio=trpo.backtrack_ratio, trials=trials)
    actual_gain, applied_kl = search.measured
    return TrpoUpdate(
        theta=search.point,
        proposed=theta_old + step,
        gradient=g,
        step_size=beta,
        expected_gain=expected_gain,
        actual_gain=actual_gain,
        predicted_kl=0.5 * (search.fraction * beta) ** 2 * (dfd - trpo.damping * dd),  # ½ ΔθᵀF Δθ
        fisher_kl=mean_kl(pi_old_fisher, pi(search.point, fisher_obs)),
        applied_kl=applied_kl,
        rejected_kl=search.refused[1],
        accepted=search.accepted,
        accepted_fraction=search.fraction,
        backtracks=search.backtracks,
        cg_residual=solution.residual,
        curvature_ok=curvature_ok,
        finite=tf.math.is_finite(before) & tf.reduce_all(tf.math.is_finite(g)),
    )
