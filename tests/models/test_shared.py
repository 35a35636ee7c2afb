import numpy as np
import pytest
import tensorflow as tf

from tests.modes import every_mode
from tfpg import config
from tfpg.models import policy, shared
from tfpg.numerics import flat

S, A, B = 5, 3, 7
NETWORK, CODE_LEVEL = config.Network(hidden=(8, 6)), config.CodeLevel(initialisation="orthogonal")
kinds = pytest.mark.parametrize("discrete", [False, True], ids=["gaussian", "categorical"])
OBS = tf.constant(np.random.default_rng(1).normal(size=(B, S)))


def make(discrete):
    return shared.build(S, A, discrete, NETWORK, CODE_LEVEL, 0)


@kinds
def test_policy_and_value_function_are_functions_of_one_vector(discrete):
    pi, v = make(discrete)
    assert pi.layout == v.layout
    np.testing.assert_array_equal(pi.initial_theta(), v.initial_phi())
    # Trunk 5·8 + 8 + 8·6 + 6, policy head 6·3 + 3 (and 3 of log std), value head 6 + 1.
    assert pi.layout.size == 102 + 21 + (0 if discrete else 3) + 7


@every_mode
@kinds
def test_each_ignores_the_other_s_head_and_both_feel_the_trunk(run, discrete):
    pi, v = make(discrete)
    actions = tf.range(B) % A if discrete else OBS[:, :A]

    def gradients(theta):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(theta)
            log_prob, values = tf.reduce_sum(pi(theta, OBS).log_prob(actions)), tf.reduce_sum(v(theta, OBS))
        return tape.gradient(log_prob, theta), tape.gradient(values, theta)

    of_policy, of_value = ([np.any(part != 0) for part in flat.unflatten(gradient, pi.layout)]
                           for gradient in run(gradients)(tf.cast(pi.initial_theta(), tf.float64)))
    assert of_policy[:4] == of_value[:4] == [True] * 4  # two hidden layers, kernel and bias
    assert all(a != b for a, b in zip(of_policy[4:], of_value[4:], strict=True))
    assert sum(of_value[4:]) == 2  # kernel and bias of the value head


@kinds
def test_a_policy_with_shared_weights_begins_as_one_with_its_own(discrete):
    pi, _ = make(discrete)
    own = policy.build(S, A, discrete, NETWORK, CODE_LEVEL, 0)
    np.testing.assert_array_equal(pi.greedy(pi.initial_theta(), OBS), own.greedy(own.initial_theta(), OBS))


@kinds
def test_stacked_shared_policies_act_as_each_alone(discrete):
    pi, _ = make(discrete)
    thetas = tf.constant(np.random.default_rng(2).normal(size=(3, pi.layout.size)))
    obs, noise = tf.stack([OBS, 2 * OBS, -OBS]), np.random.default_rng(3).normal(size=(3, B, A))
    actions = pi.act_stacked(thetas, obs, noise)
    for k in range(3):
        np.testing.assert_allclose(actions[k], pi.act(thetas[k], obs[k], noise[k]), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(pi.greedy_stacked(thetas, obs)[1], pi.greedy(thetas[1], obs[1]), rtol=1e-12, atol=1e-13)
