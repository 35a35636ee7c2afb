"""TRPO's step against closed forms, a dense Fisher matrix and its own promises."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.algos.bandits import batch_of, gaussian_bandit, linear_gaussian, random_batch
from tfpg.algos.trpo import trpo_update
from tfpg.config import Trpo
from tfpg.numerics.flat import hessian_vector_product
from tfpg.objectives import mean_kl

# Without any damping the full step lies exactly on KL = δ and rounding decides: 1e-9 is nothing but keeps it inside.
UNDAMPED = Trpo(damping=1e-9, advantage_norm="none")


def stepper(pi, trpo=UNDAMPED):
    """The compiled step, (θ, batch, δ) ↦ record."""
    return tf.function(lambda theta, batch, delta: trpo_update(pi, theta, batch, batch.obs, delta=delta, trpo=trpo),
                       jit_compile=True, autograph=False)


def update(pi, theta, batch, delta=0.01, trpo=UNDAMPED, compiled=False):
    delta = tf.constant(delta, theta.dtype)
    if compiled:
        return stepper(pi, trpo)(theta, batch, delta)
    return trpo_update(pi, theta, batch, batch.obs, delta=delta, trpo=trpo)


def bandit(seed=0, size=50, std=(0.5, 2.0)):
    theta = tf.constant([0.3, -1.0], tf.float64)
    pi = gaussian_bandit(std)
    return pi, theta, random_batch(seed, pi, theta, size, 1)


def test_full_step_on_a_gaussian_bandit_is_the_closed_form():
    pi, theta, batch = bandit()
    std, a = np.array([0.5, 2.0]), batch.actions.numpy()
    # ∇E[ρ Â] = E[Â (a − θ)/std²];  F⁻¹ = diag(std²);  the step on the ellipsoid ½ΔᵀFΔ = δ along F⁻¹g
    g = np.mean(batch.advantages.numpy()[:, None] * (a - theta.numpy()) / std**2, axis=0)
    direction = std**2 * g
    expected = theta.numpy() + np.sqrt(2 * 0.01 / (direction @ (direction / std**2))) * direction
    result = update(pi, theta, batch)
    np.testing.assert_allclose(result.gradient, g, rtol=1e-10)
    np.testing.assert_allclose(result.proposed, expected, rtol=1e-8)


def test_the_fisher_product_equals_the_dense_fisher_matrix():
    pi, size = linear_gaussian(3, 2)
    rng = np.random.default_rng(1)
    theta, obs = tf.constant(rng.normal(size=size)), rng.normal(size=(40, 3))
    # F of Normal(Ws, σ²): E[ssᵀ] ⊗ diag(1/σ²) for W (row-major S×A), 2 for each log σ
    precision = np.diag(np.exp(-2 * theta.numpy()[6:]))
    dense = np.zeros((size, size))
    dense[:6, :6] = np.kron(obs.T @ obs / 40, precision)
    dense[6:, 6:] = 2 * np.eye(2)
    pi_old = pi(theta, tf.constant(obs))
    product = hessian_vector_product(lambda t: mean_kl(pi_old, pi(t, tf.constant(obs))), theta)
    columns = np.stack([product(tf.constant(row)) for row in np.eye(size)])
    np.testing.assert_allclose(columns, dense, atol=1e-12)


def test_damping_adds_to_the_diagonal_of_the_fisher_matrix():
    pi, theta, batch = bandit()
    std = np.array([0.5, 2.0])
    result = update(pi, theta, batch, trpo=dataclasses.replace(UNDAMPED, damping=0.7))
    damped = np.diag(1 / std**2 + 0.7)
    direction = np.linalg.solve(damped, result.gradient.numpy())
    expected = theta.numpy() + np.sqrt(0.02 / (direction @ damped @ direction)) * direction
    np.testing.assert_allclose(result.proposed, expected, rtol=1e-8)


LINEAR, LINEAR_SIZE = linear_gaussian(3, 2)
STEPPERS = {damping: stepper(LINEAR, Trpo(damping=damping)) for damping in (0.0, 0.1)}


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), delta=st.floats(1e-4, 1.0), damping=st.sampled_from([0.0, 0.1]))
def test_an_accepted_step_keeps_the_bound_and_gains_and_a_rejected_one_stays(seed, delta, damping):
    theta = tf.constant(np.random.default_rng(seed).normal(size=LINEAR_SIZE) * 0.3)
    batch = random_batch(seed, LINEAR, theta, 30, 3)
    result = STEPPERS[damping](theta, batch, tf.constant(delta, tf.float64))
    if bool(result.accepted):
        assert result.applied_kl <= delta
        assert result.actual_gain > 0
        assert result.actual_gain > 0.1 * result.accepted_fraction * result.expected_gain
    else:
        assert (result.theta.numpy() == theta.numpy()).all()
        assert result.applied_kl == 0


@pytest.mark.parametrize("compiled", [False, True])
def test_rejected_search_returns_theta_unchanged_and_keeps_its_kl_apart(compiled):
    pi, theta, batch = bandit()
    # one trial that must gain a million times what the gradient promised: impossible
    trpo = dataclasses.replace(UNDAMPED, backtracks=1, accept_ratio=1e6)
    result = update(pi, theta, batch, delta=5.0, trpo=trpo, compiled=compiled)
    assert not result.accepted
    assert (result.theta.numpy() == theta.numpy()).all()
    assert result.applied_kl == result.actual_gain == result.accepted_fraction == result.predicted_kl == 0
    assert float(result.rejected_kl) == pytest.approx(5.0, rel=1e-6)
    assert result.backtracks == 1
    assert not (result.proposed.numpy() == theta.numpy()).all()


def test_equal_advantages_give_a_refused_step_and_no_nan():
    pi, theta, batch = bandit()
    result = update(pi, theta, batch._replace(advantages=tf.ones_like(batch.advantages)), trpo=Trpo())
    assert not result.accepted
    assert not result.curvature_ok
    assert (result.theta.numpy() == theta.numpy()).all()
    assert np.isfinite(result.proposed).all()
    assert result.finite


def test_negative_curvature_is_refused_without_a_nan():
    # advantages and states are fine, but a damping of −10 stands for a Fisher matrix that is not positive
    pi, theta, batch = bandit(std=(1.0, 1.0))
    object.__setattr__(trpo := dataclasses.replace(UNDAMPED), "damping", -10.0)
    result = update(pi, theta, batch, trpo=trpo)
    assert not result.accepted
    assert not result.curvature_ok
    assert (result.theta.numpy() == theta.numpy()).all()
    assert np.isfinite(result.proposed).all()


def test_a_nan_advantage_leaves_theta_and_is_reported():
    pi, theta, batch = bandit()
    spoiled = batch.advantages.numpy()
    spoiled[3] = np.nan
    result = update(pi, theta, batch._replace(advantages=tf.constant(spoiled)))
    assert not result.finite
    assert not result.accepted
    assert (result.theta.numpy() == theta.numpy()).all()


def test_predicted_kl_is_exact_where_the_kl_is_quadratic():
    pi, theta, batch = bandit()
    result = update(pi, theta, batch, trpo=dataclasses.replace(UNDAMPED, accept_ratio=0.0, backtrack_ratio=0.9))
    assert result.accepted
    assert float(result.predicted_kl) == pytest.approx(float(result.applied_kl), rel=1e-8)
    assert float(result.predicted_kl) == pytest.approx(0.01 * float(result.accepted_fraction) ** 2, rel=1e-8)


def test_backtracks_count_the_refused_trials():
    counts = []
    for seed in range(20):
        theta = tf.zeros([LINEAR_SIZE], tf.float64)
        result = STEPPERS[0.0](theta, random_batch(seed, LINEAR, theta, 30, 3), tf.constant(0.5, tf.float64))
        if result.accepted:
            counts.append(int(result.backtracks))
            assert float(result.accepted_fraction) == 0.5 ** counts[-1]
    assert max(counts) > 0


def test_a_larger_region_gives_a_larger_step_by_the_square_root():
    pi, theta, batch = bandit()
    small, large = (update(pi, theta, batch, delta).proposed - theta for delta in (0.01, 0.04))
    np.testing.assert_allclose(large, 2 * small, rtol=1e-8)


def test_the_entropy_bonus_enters_the_gradient():
    pi, size = linear_gaussian(2, 2)
    theta = tf.zeros([size], tf.float64)
    batch = random_batch(0, pi, theta, 30, 2)
    plain, bonus = (update(pi, theta, batch, trpo=dataclasses.replace(UNDAMPED, entropy_coefficient=c)) for c in (0.0, 0.5))
    # H = Σ log σ + const, so its gradient is 1 for each log σ and 0 for W
    np.testing.assert_allclose(bonus.gradient - plain.gradient, [0, 0, 0, 0, 0.5, 0.5], atol=1e-12)


def test_compiled_and_eager_agree():
    pi, theta, batch = bandit()
    eager, compiled = update(pi, theta, batch), update(pi, theta, batch, compiled=True)
    np.testing.assert_allclose(eager.theta, compiled.theta, rtol=1e-10)
    assert int(eager.backtracks) == int(compiled.backtracks)


def test_the_step_climbs_a_known_bandit_to_its_best_action():
    # reward −‖a − 1‖²: the best mean is 1; 60 steps of δ = .02 travel far enough from 0 with std .5
    pi, theta = gaussian_bandit([0.5, 0.5]), tf.zeros([2], tf.float64)
    rng, step = np.random.default_rng(0), stepper(pi, Trpo(damping=0.0))
    for _ in range(60):
        actions = theta.numpy() + 0.5 * rng.normal(size=(500, 2))
        reward = -np.sum((actions - 1) ** 2, axis=1)
        theta = step(theta, batch_of(np.zeros((500, 1)), actions, reward), tf.constant(0.02, tf.float64)).theta
    np.testing.assert_allclose(theta, [1, 1], atol=0.15)
