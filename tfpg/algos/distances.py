"""How far did an update move the policy? The trust region of a batch, as training and the instruments report it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfpg.algos.ppo import REPORTED_EPSILON, look_at_epochs
from tfpg.config import Ppo, Trpo
from tfpg.objectives import normalised, quantiles, trust_region
from tfpg.types import QUANTILES, Batch, Drift, Moved, Tensor, TrustRegion


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


def looked_at(
        pi: Callable, pi_old, theta: Tensor, batch: Batch, algorithm: Trpo | Ppo, *, thetas: Tensor | None, later_obs: Tensor) -> Moved:
    """`moved`, the same after each of PPO's epochs, and what it does to π_θ to see the batch's states as `later_obs` [B, S].

    Args: pi_old: the distribution on the batch, [B]. thetas: [E, P] after each epoch; None for TRPO.
    Returns: in the fields of quantiles the numbers themselves, [B]: `with_quantiles` sorts them in a fraction of the time."""
    pi_new = pi(theta, batch.obs)
    after = _moved(pi_old, pi_new, batch, algorithm, condensed=tf.identity)
    drift = trust_region(pi_new, pi(theta, later_obs), batch.actions, epsilon_of(algorithm), condensed=tf.identity)
    epochs = None
    if thetas is not None and isinstance(algorithm, Ppo):
        epochs = look_at_epochs(pi, pi_old, thetas, batch, algorithm, pi_new=pi_new)
    return Moved(after, epochs, Drift(*(getattr(drift, name) for name in Drift._fields)))


def with_quantiles(region: TrustRegion) -> TrustRegion:
    """A region whose fields of quantiles hold the numbers themselves, [B], condensed to quantiles (NumPy)."""
    return region._replace(kl_quantiles=_quantiles(region.kl_quantiles), ratio_quantiles=_quantiles(region.ratio_quantiles))


def _quantiles(x: Tensor) -> np.ndarray:
    """As `objectives.quantiles`, in float64; np.quantile takes five times as long for 2,048 numbers."""
    ordered = np.sort(np.asarray(x))  # NaN comes last
    found = np.interp(np.multiply(QUANTILES, ordered.size - 1), np.arange(ordered.size), ordered)
    return np.where(np.isnan(ordered[-1]), np.nan, found)


def _moved(pi_old, pi_theta, batch: Batch, algorithm: Trpo | Ppo, condensed: Callable = quantiles) -> TrustRegion:
    advantages = normalised(batch.advantages, algorithm.advantage_norm)
    return trust_region(pi_old, pi_theta, batch.actions, epsilon_of(algorithm), advantages, condensed=condensed)
