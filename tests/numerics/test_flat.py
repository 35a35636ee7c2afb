import numpy as np
import pytest
import tensorflow as tf

from tests.modes import every_mode
from tfpg.numerics.flat import Layout, flatten, hessian_vector_product, layout_of, unflatten, value_and_gradient

LAYOUT = Layout(((2, 3), (3,), (), (1, 4)))


def quartic(theta):
    """f(θ) = Σ θ_i⁴ + (Σ θ_i)²: ∇f = 4θ³ + 2Σθ, ∇²f = diag(12θ²) + 2·11ᵀ."""
    return tf.reduce_sum(theta**4) + tf.reduce_sum(theta) ** 2


def test_the_size_of_a_layout_counts_every_weight():
    assert LAYOUT.size == 6 + 3 + 1 + 4


@every_mode
def test_flatten_undoes_unflatten(run):
    vector = tf.constant(np.arange(14.0))
    np.testing.assert_array_equal(run(lambda v: flatten(unflatten(v, LAYOUT)))(vector), vector)


def test_weights_stand_in_the_vector_in_their_order():
    a, b, c, d = unflatten(tf.range(14), LAYOUT)
    np.testing.assert_array_equal(a, [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(b, [6, 7, 8])
    assert int(c) == 9
    np.testing.assert_array_equal(d, [[10, 11, 12, 13]])


@every_mode
def test_stacked_vectors_come_apart_one_by_one(run):
    stacked = np.random.default_rng(0).normal(size=(5, 14))
    together = run(lambda v: unflatten(v, LAYOUT))(tf.constant(stacked))
    for k in range(5):
        for ours, alone in zip(together, unflatten(tf.constant(stacked[k]), LAYOUT), strict=True):
            np.testing.assert_array_equal(ours[k], alone)


def test_the_layout_of_tensors_is_their_shapes():
    assert layout_of([tf.zeros(shape) for shape in LAYOUT.shapes]) == LAYOUT


@every_mode
def test_value_and_gradient_are_those_of_the_closed_form(run):
    theta = np.random.default_rng(1).normal(size=6)
    value, gradient = run(lambda t: value_and_gradient(quartic, t))(tf.constant(theta))
    np.testing.assert_allclose(value, np.sum(theta**4) + np.sum(theta) ** 2, rtol=1e-12)
    np.testing.assert_allclose(gradient, 4 * theta**3 + 2 * theta.sum(), rtol=1e-12)


@every_mode
@pytest.mark.parametrize("seed", range(3))
def test_the_hessian_vector_product_is_that_of_the_closed_form(run, seed):
    theta, v = np.random.default_rng(seed).normal(size=(2, 6))
    actual = run(lambda t, v: hessian_vector_product(quartic, t)(v))(tf.constant(theta), tf.constant(v))
    np.testing.assert_allclose(actual, 12 * theta**2 * v + 2 * v.sum(), rtol=1e-11)
