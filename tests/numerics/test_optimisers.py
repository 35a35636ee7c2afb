import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import oracles
from tests.modes import every_mode
from tfpg.numerics.optimisers import adam, clip_norm, sgd, start
from tfpg.types import Slots


def changes(gradients, run=lambda f: f, **settings):
    step = run(lambda slots, g: adam(slots, g, **settings))
    slots, out = start(gradients[0]), []
    for gradient in gradients:
        slots, change = step(slots, tf.constant(gradient))
        out.append(change.numpy())
    return out


@every_mode
def test_adam_equals_the_algorithm_as_printed(run):
    gradients = list(np.random.default_rng(0).normal(size=(30, 5)) * 10.0 ** np.arange(-6, 4, 2))
    actual = changes(gradients, run, step_size=3e-4, epsilon=1e-5)
    np.testing.assert_allclose(actual, oracles.adam(gradients, 3e-4, 1e-5), rtol=1e-12)


def test_adam_equals_keras_where_epsilon_does_not_matter():
    gradients = list(np.random.default_rng(1).normal(size=(20, 5)).astype(np.float32))
    variable, optimiser = tf.Variable(tf.zeros(5)), keras.optimizers.Adam(1e-3, epsilon=1e-12)
    for gradient in gradients:
        optimiser.apply([tf.constant(gradient)], [variable])
    # Keras forms 1 − β₂ᵗ by subtraction in float32: five digits lost at t = 1.
    np.testing.assert_allclose(sum(changes(gradients, step_size=1e-3, epsilon=1e-12)), variable, rtol=1e-4, atol=1e-7)


def test_epsilon_stands_outside_the_bias_correction():
    # The first change is −α g / (|g| + ε): 1e-4 / 1.1e-4 of α. Inside the correction it would be a quarter of α.
    (change,) = changes([np.array([1e-4])], step_size=1.0, epsilon=1e-5)
    np.testing.assert_allclose(change, [-1 / 1.1], rtol=1e-12)


def test_the_first_float32_steps_are_right_to_float32():
    gradients = list(np.random.default_rng(2).normal(size=(3, 50)).astype(np.float32))
    expected = oracles.adam([g.astype(np.float64) for g in gradients], 1e-3, 1e-5)
    np.testing.assert_allclose(changes(gradients, step_size=1e-3, epsilon=1e-5), expected, rtol=2e-6, atol=1e-9)


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
@pytest.mark.parametrize("first_order", [adam, sgd])
def test_the_change_has_the_gradient_s_dtype_and_the_count_grows_by_one(first_order, dtype):
    slots, change = first_order(start(tf.ones(3, dtype)), tf.ones(3, dtype), step_size=tf.constant(0.1), epsilon=1e-5)
    assert change.dtype == dtype
    assert (slots.count.dtype, float(slots.count)) == (tf.float32, 1.0)


@every_mode
def test_sgd_steps_against_the_gradient_and_leaves_adam_s_averages_alone(run):
    slots = Slots(tf.constant(4.0), tf.constant([1.0, 2.0]), tf.constant([3.0, 4.0]))
    after, change = run(lambda slots, g: sgd(slots, g, step_size=0.5, epsilon=1e-5))(slots, tf.constant([2.0, -6.0]))
    np.testing.assert_array_equal(change, [-1.0, 3.0])
    np.testing.assert_array_equal(after.first, slots.first)
    np.testing.assert_array_equal(after.second, slots.second)


@every_mode
def test_a_long_gradient_is_shortened_to_the_limit_in_its_own_direction(run):
    # ‖(3, 4)‖ = 5: to norm 2 it is multiplied by .4.
    np.testing.assert_allclose(run(lambda g: clip_norm(g, 2.0))(tf.constant([3.0, 4.0])), [1.2, 1.6], rtol=1e-6)


@every_mode
@pytest.mark.parametrize("gradient", [[0.3, -0.4], [0.0, 0.0]])
def test_a_gradient_within_the_limit_comes_back_bit_for_bit(run, gradient):
    np.testing.assert_array_equal(run(lambda g: clip_norm(g, 2.0))(tf.constant(gradient)), np.float32(gradient))


def test_without_a_limit_no_gradient_is_changed():
    np.testing.assert_array_equal(clip_norm([1e30, -1e30], None), np.float32([1e30, -1e30]))
