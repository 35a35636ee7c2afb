import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import oracles
from tests.modes import every_mode
from tfpg.models import mlp
from tfpg.numerics import flat

SETTINGS = {"hidden": (8, 6), "activation": "tanh", "initialisation": "orthogonal", "head_gain": 0.01, "seed": 3}


def build(**changes):
    return mlp.build(5, 2, **{**SETTINGS, **changes})


def kernels(model):
    return [layer.kernel.numpy() for layer in model.layers if hasattr(layer, "kernel")]


@every_mode
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_matrix_products_by_hand_equal_keras(run, activation):
    model = mlp.FlatModel(lambda dtype: build(activation=activation, head_gain=1.0, dtype=dtype))
    vector = tf.cast(model.initial(), tf.float64)
    obs = tf.constant(np.random.default_rng(0).normal(size=(9, 5)))
    by_hand = run(lambda vector, obs: mlp.apply(flat.unflatten(vector, model.layout), obs, activation))(vector, obs)
    np.testing.assert_allclose(by_hand, run(model)(vector, obs)[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_keras_equals_the_perceptron_written_out(activation):
    model = build(activation=activation, head_gain=1.0)
    obs = np.random.default_rng(1).normal(size=(9, 5))
    expected = oracles.mlp([weight.numpy() for weight in model.trainable_variables], obs, activation)
    np.testing.assert_allclose(model(obs.astype(np.float32)), expected, rtol=1e-5, atol=1e-6)


def test_stacked_weights_act_each_on_their_own_observations():
    rng = np.random.default_rng(2)
    weights = [rng.normal(size=(4, *shape)) for shape in ((5, 8), (8,), (8, 2), (2,))]
    obs = rng.normal(size=(4, 7, 5))
    stacked = mlp.apply([tf.constant(weight) for weight in weights], obs, "tanh")
    for k in range(4):
        np.testing.assert_allclose(stacked[k], oracles.mlp([w[k] for w in weights], obs[k], "tanh"), rtol=1e-12)


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_a_flat_model_computes_in_the_dtype_of_its_vector(dtype):
    # Keras casts inputs and weights to the dtype a model was built with: float64 through one of float32 is float32.
    model = mlp.FlatModel(lambda dtype: build(head_gain=1.0, dtype=dtype))
    vector, obs = tf.cast(model.initial(), dtype), np.random.default_rng(3).normal(size=(9, 5))
    (actual,) = model(vector, obs)
    assert actual.dtype == dtype
    expected = oracles.mlp(flat.unflatten(vector, model.layout), tf.cast(obs, dtype), "tanh")
    np.testing.assert_allclose(actual, expected, rtol=1e-13 if dtype == tf.float64 else 1e-5, atol=1e-6)


def test_a_flat_model_captures_no_variables():
    model = mlp.FlatModel(lambda dtype: build(dtype=dtype))
    function = tf.function(lambda vector, obs: model(vector, obs))
    concrete = function.get_concrete_function(model.initial(), tf.zeros([4, 5]))
    assert concrete.captured_inputs == [] and concrete.variables == ()


def test_orthogonal_hidden_layers_have_gain_root_2_and_the_head_its_own():
    first, second, head = kernels(build())
    # The shorter side's vectors are orthonormal times the gain: W Wᵀ = gain² I, or Wᵀ W where there are more rows.
    np.testing.assert_allclose(first @ first.T, 2 * np.eye(5), atol=1e-5)
    np.testing.assert_allclose(second.T @ second, 2 * np.eye(6), atol=1e-5)
    np.testing.assert_allclose(head.T @ head, 1e-4 * np.eye(2), atol=1e-9)


def test_xavier_is_uniform_with_gain_1_on_the_head_too():
    for kernel in kernels(build(initialisation="xavier", hidden=(300, 200))):
        limit = np.sqrt(6 / sum(kernel.shape))
        assert 0.98 * limit < np.abs(kernel).max() <= limit
        # A uniform spread has std limit / √3.
        np.testing.assert_allclose(kernel.std(), limit / np.sqrt(3), rtol=0.1)


def test_normal_has_mean_0_and_std_a_hundredth():
    # Trap 9: the other way about, mean .01 and std 1, in the authors' code.
    for kernel in kernels(build(initialisation="normal", hidden=(300, 200))):
        assert abs(kernel.mean()) < 5 * 0.01 / np.sqrt(kernel.size)
        np.testing.assert_allclose(kernel.std(), 0.01, rtol=0.1)


@pytest.mark.parametrize("initialisation", ["orthogonal", "xavier", "normal"])
def test_biases_begin_at_0(initialisation):
    biases = [w for w in build(initialisation=initialisation).trainable_variables if len(w.shape) == 1]
    assert len(biases) == 3 and all(np.all(bias == 0) for bias in biases)


def test_an_unknown_initialisation_is_refused():
    with pytest.raises(ValueError, match="glorot"):
        build(initialisation="glorot")


@pytest.mark.parametrize("initialisation", ["orthogonal", "xavier", "normal"])
def test_initial_weights_depend_on_nothing_but_seed_role_and_layer(initialisation):
    first = kernels(build(initialisation=initialisation))
    keras.utils.set_random_seed(99)
    build()
    for a, b in zip(first, kernels(build(initialisation=initialisation)), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("change", [{"seed": 4}, {"role": mlp.VALUE}])
def test_another_seed_or_role_gives_other_weights(change):
    for a, b in zip(kernels(build()), kernels(build(**change)), strict=True):
        assert np.all(a != b)


def test_equal_layers_begin_with_different_weights():
    _, second, third, _ = kernels(build(hidden=(6, 6, 6)))
    assert np.all(second != third)
