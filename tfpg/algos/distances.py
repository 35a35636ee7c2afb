"""How far did an update move the policy? The trust region of a batch, as training and the instruments report it."""

from __future__ import annotations

from collections.abc import Callable

from tfpg.algos.ppo import REPORTED_EPSILON
from tfpg.config import Ppo, Trpo
from tfpg.objectives import normalised, trust_region
from tfpg.types import Batch, Drift, Tensor, TrustRegion


def epsilon_of(algorithm: Trpo | Ppo) -> float:
    """Half-width of the ratio's region: PPO's ε, and the usual one for what does not clip."""
    return getattr(algorithm, "clip_epsilon", None) or REPORTED_EPSILON


def moved(pi: Callable, theta_old: Tensor, theta: Tensor, batch: Batch, algorithm: Trpo | Ppo) -> TrustRegion:
    """π_θ against π_θold on a batch.

    The advantages whose sign tells the pairs without gradient are normalised as the update normalises them; where it does
    so in each minibatch, over the batch, around whose mean those of minibatches scatter. For what does not clip, it is the
    share that clipping would take the gradient from.
    Args: pi: (θ [P], obs [B, S]) ↦ distribution."""
    return _moved(pi(theta_old, batch.obs), pi(theta, batch.obs), batch, algorithm)


def moved_and_drifted(pi: Callable, theta_old: Tensor, theta: Tensor, batch: Batch, later_obs: Tensor,
                      algorithm: Trpo | Ppo) -> tuple[TrustRegion, Drift]:
    """`moved`, and what it does to π_θ to see the batch's states as `later_obs` [B, S]."""
    pi_theta = pi(theta, batch.obs)
    drift = trust_region(pi_theta, pi(theta, later_obs), batch.actions, epsilon_of(algorithm))
    return (_moved(pi(theta_old, batch.obs), pi_theta, batch, algorithm),
            Drift(*(getattr(drift, name) for name in Drift._fields)))


def _moved(pi_old, pi_theta, batch: Batch, algorithm: Trpo | Ppo) -> TrustRegion:
    advantages = normalised(batch.advantages, algorithm.advantage_norm)
    return trust_region(pi_old, pi_theta, batch.actions, epsilon_of(algorithm), advantages)
