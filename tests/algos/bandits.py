"""Small policies whose steps can be worked out by hand."""

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfpg.types import Batch

tfd = tfp.distributions


def gaussian_bandit(std):
    """π_θ = Normal(θ, diag(std²)) in every state: KL(θ_old ‖ θ) = ½ Σ (Δ/std)² exactly, so F = diag(1/std²)."""
    std = tf.constant(std, tf.float64)

    def pi(theta, obs):
        mean = tf.ones([tf.shape(obs)[0], 1], theta.dtype) * theta
        return tfd.MultivariateNormalDiag(mean, tf.cast(std, theta.dtype) * tf.ones_like(mean))

    return pi


def linear_gaussian(obs_size, action_size):
    """π_θ = Normal(W s, exp(log_std)²), θ = (W, log_std)."""

    def pi(theta, obs):
        split = obs_size * action_size
        mean = obs @ tf.reshape(theta[:split], [obs_size, action_size])
        return tfd.MultivariateNormalDiag(mean, tf.exp(theta[split:]) * tf.ones_like(mean))

    return pi, obs_size * action_size + action_size


def batch_of(obs, actions, advantages, targets=None, values=None):
    zeros = np.zeros_like(advantages)
    rows = (obs, obs, actions, advantages, zeros if targets is None else targets, zeros if values is None else values)
    return Batch(*(tf.constant(x) for x in rows))


def random_batch(seed, pi, theta, size, obs_size, dtype=np.float64):
    """Pairs from π_θ with random advantages."""
    rng = np.random.default_rng(seed)
    obs = rng.normal(size=(size, obs_size)).astype(dtype)
    actions = pi(theta, tf.constant(obs)).sample(seed=tf.constant([seed, 0], tf.int32)).numpy()  # stateless: a pair
    return batch_of(obs, actions, rng.normal(size=size).astype(dtype))
