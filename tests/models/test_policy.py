import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests import oracles
from tests.modes import every_mode
from tfpg import config
from tfpg.models import policy
from tfpg.numerics import flat

S, A, B = 5, 3, 7
kinds = pytest.mark.parametrize("discrete", [False, True], ids=["gaussian", "categorical"])


def make(discrete=False, seed=0, log_std=0.0, **code_level):
    network = config.Network(hidden=(8, 6), initial_log_std=log_std)
    return policy.build(S, A, discrete, network, config.CodeLevel(**code_level), seed)


def random_theta(pi, seed=0, scale=0.5):
    """Float64 weights with every part of θ, log std included, away from its special values."""
    return tf.constant(scale * np.random.default_rng(seed).normal(size=pi.layout.size))


def observations(seed=0, shape=(B,)):
    return tf.constant(np.random.default_rng(100 + seed).normal(size=(*shape, S)))


def gaussian(pi, theta, obs):
    """Mean [B, A] and std [A] by the oracle."""
    *weights, log_std = flat.unflatten(theta, pi.layout)
    return oracles.mlp(weights, obs, "tanh"), np.exp(log_std)


@every_mode
def test_gaussian_log_probability_is_the_density_s_also_where_std_is_not_1(run):
    # Trap 1: (a − μ)² / σ in the authors' code of 2019, right only at σ = 1.
    pi = make()
    theta, obs, actions = random_theta(pi), observations(), observations(1)[:, :A]
    actual = run(lambda theta, obs, actions: pi(theta, obs).log_prob(actions))(theta, obs, actions)
    np.testing.assert_allclose(actual, oracles.gaussian_log_prob(actions, *gaussian(pi, theta, obs)), rtol=1e-11)


@every_mode
def test_gaussian_kl_is_that_of_old_to_new_with_squares_of_the_std(run):
    # Trap 1 again: σ stood for the variance in the KL.
    pi = make()
    theta_old, theta, obs = random_theta(pi), random_theta(pi, 1), observations()
    actual = run(lambda old, new, obs: pi(old, obs).kl_divergence(pi(new, obs)))(theta_old, theta, obs)
    expected = oracles.gaussian_kl(*gaussian(pi, theta_old, obs), *gaussian(pi, theta, obs))
    np.testing.assert_allclose(actual, expected, rtol=1e-11)


@every_mode
def test_gaussian_entropy_is_the_density_s_in_every_state(run):
    pi = make()
    theta, obs = random_theta(pi), observations()
    expected = np.full(B, oracles.gaussian_entropy(gaussian(pi, theta, obs)[1]))
    np.testing.assert_allclose(run(lambda theta, obs: pi(theta, obs).entropy())(theta, obs), expected, rtol=1e-12)


@every_mode
def test_categorical_log_probability_kl_and_entropy_are_exact(run):
    # Trap 9: the authors' discrete entropy lacked its minus sign.
    pi = make(discrete=True)
    theta_old, theta, obs = random_theta(pi), random_theta(pi, 1), observations()
    actions = np.arange(B, dtype=np.int32) % A

    def all_three(theta_old, theta, obs, actions):
        pi_old = pi(theta_old, obs)
        return pi_old.log_prob(actions), pi_old.kl_divergence(pi(theta, obs)), pi_old.entropy()

    p_old, p = (oracles.probabilities(oracles.mlp(flat.unflatten(t, pi.layout), obs, "tanh"))
                for t in (theta_old, theta))
    log_prob, kl, entropy = run(all_three)(theta_old, theta, obs, tf.constant(actions))
    np.testing.assert_allclose(log_prob, np.log(p_old[np.arange(B), actions]), rtol=1e-11)
    np.testing.assert_allclose(kl, np.sum(p_old * np.log(p_old / p), -1), rtol=1e-10)
    np.testing.assert_allclose(entropy, -np.sum(p_old * np.log(p_old), -1), rtol=1e-11)


def test_a_uniform_categorical_policy_has_entropy_log_n():
    pi = make(discrete=True)
    np.testing.assert_allclose(pi(tf.zeros(pi.layout.size), observations()).entropy(), np.log(A), rtol=1e-6)


@every_mode
@kinds
def test_a_policy_is_itself_kl_0_and_ratio_1_exactly(run, discrete):
    pi = make(discrete)
    theta, obs = tf.cast(random_theta(pi), tf.float32), tf.cast(observations(), tf.float32)
    np.testing.assert_array_equal(run(lambda t, o: pi(t, o).kl_divergence(pi(t, o)))(theta, obs), np.zeros(B))


def test_a_small_gaussian_kl_is_right_in_float32():
    # Annealed steps end in KLs below 1e-6: MultivariateNormalDiag is 2e-7 off in float32, whatever the KL.
    pi = make()
    theta_old = random_theta(pi)
    theta = theta_old + 5e-5 * random_theta(pi, 1)
    exact, rounded = (
        tf.reduce_mean(pi(tf.cast(theta_old, d), observations()).kl_divergence(pi(tf.cast(theta, d), observations())))
        for d in (tf.float64, tf.float32))
    assert exact < 1e-7
    np.testing.assert_allclose(rounded, exact, rtol=0.02)


@every_mode
@kinds
@pytest.mark.parametrize(("dtype", "tolerance"), [(tf.float32, 2e-5), (tf.float64, 1e-12)])
@pytest.mark.parametrize("rows", [1, B])
def test_a_distribution_that_is_only_looked_at_says_the_same(run, discrete, dtype, tolerance, rows):
    pi = make(discrete)
    old, new, other, obs = (tf.cast(x, dtype) for x in (
        random_theta(pi), random_theta(pi, 1), random_theta(pi, 2), observations()[:rows]))
    actions = pi.greedy(other, obs)

    def numbers(of):
        return (of(old, obs).kl_divergence(of(new, obs)), of(new, obs).kl_divergence(of(old, obs)), of(new, obs).log_prob(actions),
                of(new, obs).entropy())

    found, expected = run(lambda: numbers(lambda t, o: pi.looked_at(pi.parameters(t, o))))(), run(lambda: numbers(pi))()
    for one, same in zip(found, expected, strict=True):
        assert one.shape == same.shape == (rows,)
        np.testing.assert_allclose(one, same, rtol=tolerance, atol=tolerance)


@every_mode
@kinds
@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_everything_follows_the_dtype_of_theta(run, discrete, dtype):
    pi = make(discrete)
    theta, obs = tf.cast(random_theta(pi), dtype), observations()
    actions = pi.greedy(theta, obs)
    log_prob, entropy = run(lambda t, o, a: (pi(t, o).log_prob(a), pi(t, o).entropy()))(theta, obs, actions)
    assert log_prob.dtype == entropy.dtype == pi.mean_std(theta).dtype == dtype
    assert actions.dtype == (tf.int32 if discrete else dtype)


@kinds
def test_a_batch_of_distributions_has_one_distribution_a_row(discrete):
    pi = make(discrete)
    pi_theta = pi(pi.initial_theta(), observations())
    assert isinstance(pi_theta, tfp.distributions.Distribution)
    assert pi_theta.batch_shape == (B,)
    assert pi_theta.event_shape == (() if discrete else (A,))
    assert all(len(parameter) == B for parameter in pi.parameters(pi.initial_theta(), observations()))


@every_mode
def test_a_gaussian_action_is_mean_plus_std_times_noise(run):
    pi = make()
    theta, obs, noise = random_theta(pi), observations(), observations(2)[:, :A]
    mean, std = gaussian(pi, theta, obs)
    np.testing.assert_allclose(run(pi.act)(theta, obs, noise), mean + std * noise, rtol=1e-11)
    np.testing.assert_allclose(run(pi.greedy)(theta, obs), mean, rtol=1e-11)


@every_mode
def test_a_discrete_action_is_the_argmax_of_logits_plus_noise(run):
    pi = make(discrete=True)
    theta, obs, noise = random_theta(pi), observations(), observations(2)[:, :A]
    logits = oracles.mlp(flat.unflatten(theta, pi.layout), obs, "tanh")
    np.testing.assert_array_equal(run(pi.act)(theta, obs, noise), np.argmax(logits + noise, -1))
    np.testing.assert_array_equal(run(pi.greedy)(theta, obs), np.argmax(logits, -1))


def test_discrete_actions_come_with_the_policy_s_probabilities():
    pi, samples = make(discrete=True), 20_000
    theta, obs = random_theta(pi, scale=2.0), tf.repeat(observations()[:1], samples, 0)
    actions = pi.act(theta, obs, pi.draw_noise((1, 2), (samples,)))
    expected = tf.exp(pi(theta, obs[:A]).log_prob(range(A)))
    # Five standard errors of a frequency are at most 5 · √(¼ / 20000) = .018.
    np.testing.assert_allclose(np.bincount(actions, minlength=A) / samples, expected, atol=0.018)


def test_gaussian_actions_come_with_the_policy_s_mean_and_std():
    pi, samples = make(), 20_000
    theta, obs = random_theta(pi), tf.repeat(observations()[:1], samples, 0)
    actions = pi.act(theta, obs, pi.draw_noise((1, 2), (samples,))).numpy()
    mean, std = gaussian(pi, theta, obs[:1])
    np.testing.assert_allclose(((actions.mean(0) - mean) / std)[0], np.zeros(A), atol=5 / np.sqrt(samples))
    np.testing.assert_allclose(actions.std(0) / std, np.ones(A), atol=5 / np.sqrt(2 * samples))


@kinds
def test_noise_is_finite_and_named_by_its_seed(discrete):
    pi = make(discrete)
    noise = pi.draw_noise((1, 2), (400, 50))
    assert noise.shape == (400, 50, *pi.noise_shape) and np.all(np.isfinite(noise))
    np.testing.assert_array_equal(noise, pi.draw_noise((1, 2), (400, 50)))
    assert np.all(noise[:4, :5] != pi.draw_noise((1, 3), (4, 5)))


@kinds
def test_stacked_policies_act_as_each_alone(discrete):
    pi, K = make(discrete), 4
    thetas = tf.stack([random_theta(pi, k) for k in range(K)])
    obs, noise = observations(shape=(K, B)), observations(3, (K, B))[..., :A]
    actions, greedy = pi.act_stacked(thetas, obs, noise), pi.greedy_stacked(thetas, obs)
    for k in range(K):
        np.testing.assert_allclose(actions[k], pi.act(thetas[k], obs[k], noise[k]), rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(greedy[k], pi.greedy(thetas[k], obs[k]), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("environments", [1, 2, 3, 8, 32])
def test_a_stacked_policy_s_actions_do_not_depend_on_how_many_are_stacked(environments):
    pi, K = make(), 6
    thetas = tf.cast([random_theta(pi, k) for k in range(K)], tf.float32)
    obs = tf.cast(observations(shape=(K, environments)), tf.float32)
    noise = pi.draw_noise((1, 2), (K, environments))
    act = tf.function(pi.act_stacked)
    together = act(thetas, obs, noise)
    for k in range(K):
        np.testing.assert_array_equal(act(thetas[k:k + 1], obs[k:k + 1], noise[k:k + 1])[0], together[k])
    np.testing.assert_array_equal(act(thetas[2:5], obs[2:5], noise[2:5]), together[2:5])


@kinds
def test_a_policy_keeps_nothing_of_the_theta_it_was_asked_about(discrete):
    pi = make(discrete)
    theta_0, first = pi.initial_theta(), pi.greedy(pi.initial_theta(), observations())
    pi(random_theta(pi), observations())
    np.testing.assert_array_equal(pi.initial_theta(), theta_0)
    np.testing.assert_array_equal(pi.greedy(theta_0, observations()), first)


@kinds
def test_a_compiled_policy_captures_no_variables(discrete):
    pi = make(discrete)
    concrete = tf.function(lambda t, o: pi(t, o).entropy()).get_concrete_function(pi.initial_theta(), tf.zeros([4, S]))
    assert concrete.captured_inputs == [] and concrete.variables == ()


@every_mode
@kinds
def test_every_part_of_theta_has_a_gradient(run, discrete):
    pi = make(discrete)

    def gradient(theta, obs, actions):
        with tf.GradientTape() as tape:
            tape.watch(theta)
            objective = tf.reduce_sum(pi(theta, obs).log_prob(actions))
        return tape.gradient(objective, theta)

    theta, obs = random_theta(pi), observations()
    actual = run(gradient)(theta, obs, pi.act(theta, obs, observations(2)[:, :A]))
    assert actual.shape == theta.shape and np.all(np.isfinite(actual)) and np.all(actual != 0)


def test_the_standard_deviation_begins_as_configured_and_its_mean_is_reported():
    pi = make(log_std=-0.5)
    np.testing.assert_allclose(pi.mean_std(pi.initial_theta()), np.exp(-0.5), rtol=1e-6)
    _, std = gaussian(pi, random_theta(pi), observations())
    np.testing.assert_allclose(pi.mean_std(random_theta(pi)), std.mean(), rtol=1e-12)


def test_discrete_actions_have_no_standard_deviation():
    pi = make(discrete=True)
    assert np.isnan(pi.mean_std(pi.initial_theta()))


def test_an_orthogonal_policy_begins_with_means_near_0_a_xavier_one_does_not():
    near, far = (make(initialisation=i) for i in ("orthogonal", "xavier"))
    assert np.abs(near.greedy(near.initial_theta(), observations())).max() < 0.05
    assert np.abs(far.greedy(far.initial_theta(), observations())).max() > 0.1


@kinds
def test_theta_0_is_float32_of_the_layout_s_size_and_named_by_the_seed(discrete):
    pi = make(discrete)
    assert pi.initial_theta().dtype == tf.float32 and pi.initial_theta().shape == (pi.layout.size,)
    np.testing.assert_array_equal(pi.initial_theta(), make(discrete).initial_theta())
    assert np.any(pi.initial_theta() != make(discrete, seed=1).initial_theta())


def test_relu_is_read_from_the_code_level():
    pi = make(activation="relu")
    theta, obs = random_theta(pi), observations()
    *weights, _ = flat.unflatten(theta, pi.layout)
    expected = oracles.mlp(weights, obs, "relu")
    np.testing.assert_allclose(pi.greedy(theta, obs), expected, rtol=1e-11)
    np.testing.assert_allclose(pi.greedy_stacked(theta[None], obs[None])[0], expected, rtol=1e-11)
