"""What does the algorithm believe of each θ? Its surrogate, at many θ, on pairs that stay the same.

    L(θ) = E[ρ_θ Â],    L_clip(θ) = E[min(ρ_θ Â, clip(ρ_θ, 1 − ε, 1 + ε) Â)],    ρ_θ = π_θ(a|s) / π_θk(a|s)

Â is normalised over the whole set of pairs once and frozen, so both are 0 at θ_k. The entropy term is left out. A PPO that
normalises each minibatch by itself climbs a slightly different function: captions say so.
Ratios are float32, as in training; their means are float64, or 10⁵ terms would leave the origin at 1e-5.

Errors are those of L(θ) against L(θ_k) = 0: with w the ratio that counts (ρ, or ρ clipped), each pair adds

    t = (w − w̄) Â − ½ L (Â² − 1),     E[t] = L

the terms beside w Â being what the pair did to the mean and the spread that Â was normalised by. Over whole clusters
(episodes; in a training batch environments) these are summed, for pairs of one episode hang together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfpg.algos.ppo import REPORTED_EPSILON
from tfpg.diagnostics.pools import clusters
from tfpg.diagnostics.probe import Probe
from tfpg.diagnostics.statistics.estimates import cluster_influence, of_influence
from tfpg.objectives import normalised, ratios
from tfpg.types import Batch, Trajectory

OBJECTIVES = ("clipped", "unclipped")


class Pairs(NamedTuple):
    """B state-action pairs of π_θk, with what an update would make of them (NumPy)."""

    obs: np.ndarray  # [B, S]  raw
    actions: np.ndarray  # [B, A] or [B]
    advantages: np.ndarray  # [B] float64  Â, normalised over these pairs
    clusters: np.ndarray  # [B] int  which hang together: episodes, or environments of a training batch


class Surrogates(NamedTuple):
    """n points; objectives in the order of OBJECTIVES."""

    value: np.ndarray  # [2, n]
    stderr: np.ndarray  # [2, n]  robust against dependence within clusters
    low: np.ndarray  # [2, n]
    high: np.ndarray  # [2, n]
    influence: np.ndarray  # [2, C, n]  what each cluster of pairs adds to the error
    mean_kl: np.ndarray  # [n]  E_s KL(π_θk ‖ π_θ), nats
    max_ratio: np.ndarray  # [n]


def pairs(obs: np.ndarray, actions: np.ndarray, advantages: np.ndarray, clusters: np.ndarray) -> Pairs:
    """Pairs with their advantages normalised. Args: as the fields, time-major flattened; advantages: un-normalised."""
    frozen = normalised(tf.constant(advantages, tf.float64), "batch").numpy()
    return Pairs(np.asarray(obs, np.float32), np.asarray(actions), frozen, np.asarray(clusters))


def stored_pairs(probe: Probe) -> Pairs:
    """The pairs that the stored step was made from."""
    trajectory, batch = probe.trajectory, probe.batch
    obs = np.asarray(trajectory.obs).reshape(-1, probe.task.obs_size)
    return pairs(obs, batch.actions, batch.advantages, clusters(trajectory))


def pool_pairs(trajectory: Trajectory, batch: Batch) -> Pairs:
    """The pairs of a pool [B, 1, …] and the batch that was prepared of it."""
    return pairs(trajectory.obs[:, 0], batch.actions, batch.advantages, clusters(trajectory))


def epsilon(probe: Probe) -> float:
    """ε of the clipped objective; the usual one where the algorithm does not clip."""
    return getattr(probe.config.algorithm, "clip_epsilon", None) or REPORTED_EPSILON


def optimised(probe: Probe) -> str:
    """Which of OBJECTIVES the algorithm climbs."""
    return "clipped" if getattr(probe.config.algorithm, "clip_epsilon", None) else "unclipped"


def normalisation(probe: Probe) -> str:
    """What a caption says of the advantages."""
    training = {"batch": "over its batch", "minibatch": "over each minibatch", "none": "not at all"}
    return f"advantages normalised over the pairs shown, statistics frozen (training: {training[probe.config.algorithm.advantage_norm]})"


class Surrogate:
    """Both objectives of one probe on one set of pairs, compiled once for every θ."""

    def __init__(self, probe: Probe, pairs: Pairs):
        self.pairs = pairs
        obs, actions = tf.constant(pairs.obs), tf.constant(pairs.actions)
        advantages = tf.constant(pairs.advantages, tf.float64)
        theta_old, half = tf.constant(probe.theta), epsilon(probe)
        log_prob_old = tf.function(lambda: probe.pi(theta_old, obs).log_prob(actions), autograph=False)()

        @tf.function(autograph=False, input_signature=[tf.TensorSpec(theta_old.shape, tf.float32)])
        def terms(theta):
            pi = probe.pi(theta, obs)
            rho32 = ratios(pi.log_prob(actions), log_prob_old)
            rho = tf.cast(rho32, tf.float64)
            near = tf.clip_by_value(rho, 1 - half, 1 + half)
            weights = tf.stack([tf.where(near * advantages < rho * advantages, near, rho), rho])  # [2, B]
            # What each pair adds, the mean and spread that Â was normalised by included: at θ_k nothing is uncertain.
            terms = (weights - tf.reduce_mean(weights, axis=1, keepdims=True)) * advantages
            # E[w Â], the mean of Â being 0 but for rounding, which would leave the origin at 1e-17
            values = tf.reduce_mean(terms, axis=1, keepdims=True)
            terms -= values * (advantages**2 - 1) / 2
            kl = probe.pi(theta_old, obs).kl_divergence(pi)
            return terms, tf.reduce_mean(tf.cast(kl, tf.float64)), tf.reduce_max(rho32)

        self._terms = terms

    def __call__(self, thetas: np.ndarray) -> Surrogates:
        """At each θ. Args: thetas: [n, P]. Memory: 2·C numbers a point."""
        means, influences, kls, largest = [], [], [], []
        for theta in thetas:
            terms, kl, ratio = self._terms(tf.constant(theta, tf.float32))
            mean, influence = cluster_influence(terms.numpy(), self.pairs.clusters)
            means.append(mean)
            influences.append(influence)
            kls.append(float(kl))
            largest.append(float(ratio))
        influence = np.stack(influences, axis=1)
        found = of_influence(np.stack(means, axis=1), influence)
        return Surrogates(*found[:4], np.moveaxis(influence, 1, -1), np.array(kls), np.array(largest))

    def mean_kl(self, theta: np.ndarray) -> float:
        """E_s KL(π_θk ‖ π_θ) on the pairs' states, nats."""
        return float(self._terms(tf.constant(theta, tf.float32))[1])
