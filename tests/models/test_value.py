import numpy as np
import pytest
import tensorflow as tf

from tests import oracles
from tests.modes import every_mode
from tfpg import config
from tfpg.models import policy, value
from tfpg.numerics import flat

S, B = 5, 7
NETWORK = config.Network(hidden=(8, 6))


def make(seed=0, **code_level):
    return value.build(S, NETWORK, config.CodeLevel(**code_level), seed)


@every_mode
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_the_value_is_the_perceptron_s_one_number_a_row(run, activation, dtype):
    v = make(activation=activation)
    rng = np.random.default_rng(0)
    phi, obs = tf.constant(rng.normal(size=v.layout.size), dtype), tf.constant(rng.normal(size=(B, S)), dtype)
    actual = run(lambda phi, obs: v(phi, obs))(phi, obs)
    assert actual.shape == (B,) and actual.dtype == dtype
    expected = oracles.mlp(flat.unflatten(phi, v.layout), obs, activation)[:, 0]
    np.testing.assert_allclose(actual, expected, rtol=1e-11 if dtype == tf.float64 else 1e-4, atol=1e-11)


def test_the_orthogonal_head_has_gain_1():
    v = make(initialisation="orthogonal")
    np.testing.assert_allclose(tf.norm(flat.unflatten(v.initial_phi(), v.layout)[-2]), 1.0, rtol=1e-5)


def test_phi_0_is_float32_of_the_layout_s_size_and_named_by_the_seed():
    v = make()
    assert v.initial_phi().dtype == tf.float32 and v.initial_phi().shape == (v.layout.size,)
    np.testing.assert_array_equal(v.initial_phi(), make().initial_phi())
    assert np.any(v.initial_phi() != make(seed=1).initial_phi())


@pytest.mark.parametrize("initialisation", ["orthogonal", "xavier", "normal"])
def test_value_net_and_policy_begin_with_different_hidden_layers(initialisation):
    code_level = config.CodeLevel(initialisation=initialisation)
    pi = policy.build(S, 3, False, NETWORK, code_level, 0)
    v = value.build(S, NETWORK, code_level, 0)
    kernel_pi, kernel_v = (flat.unflatten(x, y.layout)[0] for x, y in ((pi.initial_theta(), pi), (v.initial_phi(), v)))
    assert np.all(kernel_pi != kernel_v)
