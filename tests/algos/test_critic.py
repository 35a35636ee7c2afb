"""Fitting V, with and without value clipping."""

import numpy as np
import tensorflow as tf

from tests.algos.bandits import batch_of
from tfpg.algos.critic import shared_value_update, value_update
from tfpg.config import CodeLevel, Optimiser, Value
from tfpg.numerics import optimisers


def linear(phi, obs):
    return tf.linalg.matvec(obs, phi)


def fit(value, *, code_level=CodeLevel(), optimiser=Optimiser("sgd"), step_size=0.1, seed=0, size=64):  # noqa: B008
    rng = np.random.default_rng(seed)
    obs = rng.normal(size=(size, 2))
    targets = obs @ [1.0, -2.0]
    batch = batch_of(obs, np.zeros((size, 1)), np.zeros(size), targets, values=np.zeros(size))
    phi = tf.zeros([2], tf.float64)
    order = tf.constant(np.stack([rng.permutation(size) for _ in range(value.epochs)]), tf.int32)
    compiled = tf.function(lambda: value_update(
        linear, phi, optimisers.start(phi), batch, order, step_size=tf.constant(step_size, tf.float64), value=value,
        optimiser=optimiser, code_level=code_level), jit_compile=True, autograph=False)
    return compiled()


def test_a_linear_value_function_finds_the_exact_weights():
    update = fit(Value(epochs=30, minibatches=4))
    np.testing.assert_allclose(update.phi, [1, -2], atol=1e-6)
    assert update.losses.shape == (30,)
    assert update.losses[-1] < 1e-8 < update.losses[0]
    assert update.finite


def test_value_clip_keeps_predictions_near_the_old_ones():
    # V_old = 0 and clip .01: beyond ±.01 the clipped square is the larger and has no gradient
    free, clipped = (fit(Value(epochs=30, minibatches=4), code_level=CodeLevel(value_clip=c), step_size=0.01)
                     for c in (None, 0.01))
    assert np.linalg.norm(clipped.phi) < 0.1
    assert np.linalg.norm(free.phi) > 1


def test_epochs_and_minibatches_multiply_the_steps_taken():
    assert float(fit(Value(epochs=3, minibatches=8)).slots.count) == 24


def test_shared_weights_report_the_loss_that_the_policy_left():
    batch = batch_of(np.eye(2), np.zeros((2, 1)), np.zeros(2), targets=np.array([1.0, 3.0]))
    theta = tf.constant([1.0, 1.0], tf.float64)
    update = shared_value_update(linear, theta, optimisers.start(theta), batch, code_level=CodeLevel())
    np.testing.assert_allclose(update.losses, [2.0])  # ((1 − 1)² + (1 − 3)²) / 2
    assert update.phi is theta
