import hypothesis
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from hypothesis import strategies as st

from tests import oracles
from tests.modes import every_mode
from tfpg import objectives
from tfpg.types import QUANTILES, TrustRegion

quick = hypothesis.settings(deadline=None, max_examples=25)
tfd = tfp.distributions
RNG = np.random.default_rng(0)
B, A = 40, 3
RHO, ADVANTAGES = np.exp(RNG.normal(size=B)), RNG.normal(size=B)
MEAN_OLD, MEAN, ACTIONS = RNG.normal(size=(3, B, A))
STD_OLD, STD = np.exp(0.3 * RNG.normal(size=(2, A)))


def gaussian(mean, std):
    return tfd.Independent(tfd.Normal(mean, tf.zeros_like(mean) + std), 1)


@every_mode
def test_the_clipped_surrogate_equals_the_pair_by_pair_minimum(run):
    actual = run(lambda rho, a: objectives.clipped_surrogate(rho, a, 0.2))(tf.constant(RHO), tf.constant(ADVANTAGES))
    np.testing.assert_allclose(actual, oracles.clipped_surrogate(RHO, ADVANTAGES, 0.2), rtol=1e-12)


@pytest.mark.parametrize(("rho", "advantage", "gradient"), [
    (1.5, 1.0, 0.0), (1.5, -1.0, -1.0), (0.5, 1.0, 1.0), (0.5, -1.0, 0.0), (1.1, 1.0, 1.0), (0.9, -1.0, -1.0)])
def test_clipping_takes_the_gradient_only_where_the_ratio_has_gone_too_far_the_right_way(rho, advantage, gradient):
    rho = tf.constant([rho])
    with tf.GradientTape() as tape:
        tape.watch(rho)
        value = objectives.clipped_surrogate(rho, tf.constant([advantage]), 0.2)
    assert float(tape.gradient(value, rho)[0]) == gradient


def test_no_clipping_is_the_plain_surrogate_and_so_is_a_very_wide_clip():
    plain = objectives.surrogate(tf.constant(RHO), tf.constant(ADVANTAGES))
    np.testing.assert_allclose(plain, np.mean(RHO * ADVANTAGES), rtol=1e-12)
    for epsilon in (None, 1e32):
        clipped = objectives.clipped_surrogate(tf.constant(RHO), tf.constant(ADVANTAGES), epsilon)
        np.testing.assert_array_equal(clipped, plain)


@every_mode
@pytest.mark.parametrize("clip", [0.2, 10.0])
def test_the_clipped_value_loss_is_the_larger_of_the_two_squares(run, clip):
    # Trap 4: not the square of the larger signed residual.
    values, targets, values_old = RNG.normal(size=(3, B))
    actual = run(lambda *data: objectives.value_loss(*data, clip))(*map(tf.constant, (values, targets, values_old)))
    np.testing.assert_allclose(actual, oracles.value_loss(values, targets, values_old, clip), rtol=1e-12)


def test_the_value_clip_tells_squares_from_signed_residuals():
    # V = −2, V_targ = V_old = 0, c = .5: squares 4 and .25, the larger 4; the larger signed residual −.5, squared .25.
    assert float(objectives.value_loss(tf.constant([-2.0]), tf.constant([0.0]), tf.constant([0.0]), 0.5)) == 4.0


def test_without_clip_the_value_loss_is_the_mean_square():
    values, targets, values_old = RNG.normal(size=(3, B))
    np.testing.assert_allclose(
        objectives.value_loss(values, targets, values_old, None), np.mean((values - targets) ** 2), rtol=1e-12)


@every_mode
@pytest.mark.parametrize("how", ["batch", "minibatch"])
def test_normalised_advantages_have_mean_0_and_std_1_over_all_pairs(run, how):
    actual = run(lambda a: objectives.normalised(a, how))(tf.constant(5 + 3 * ADVANTAGES))
    np.testing.assert_allclose(actual, (ADVANTAGES - ADVANTAGES.mean()) / ADVANTAGES.std(), rtol=1e-9)


def test_advantages_that_are_not_normalised_are_what_they_are():
    np.testing.assert_array_equal(objectives.normalised(tf.constant(ADVANTAGES), "none"), ADVANTAGES)


@quick
@hypothesis.given(st.integers(-8, 8), st.floats(-10, 10))
def test_normalised_advantages_do_not_depend_on_unit_or_origin(exponent, offset):
    moved = tf.constant(10.0**exponent * (ADVANTAGES + offset))
    expected = objectives.normalised(tf.constant(ADVANTAGES), "batch")
    np.testing.assert_allclose(objectives.normalised(moved, "batch"), expected, rtol=1e-6, atol=1e-8)


@every_mode
@pytest.mark.parametrize("value", [0.0, 0.1, 1e-8, -1e8])
def test_equal_advantages_become_0_not_nan(run, value):
    actual = run(lambda a: objectives.normalised(a, "batch"))(tf.fill([B], np.float32(value)))
    np.testing.assert_array_equal(actual, np.zeros(B))


@every_mode
def test_ratios_are_quotients_of_densities(run):
    actual = run(lambda new, old: objectives.ratios(new, old))(tf.math.log(tf.constant(RHO)), tf.zeros(B, tf.float64))
    np.testing.assert_allclose(actual, RHO, rtol=1e-12)


def test_mean_kl_is_that_of_old_to_new():
    expected = np.mean(oracles.gaussian_kl(MEAN_OLD, STD_OLD, MEAN, STD))
    actual = objectives.mean_kl(gaussian(MEAN_OLD, STD_OLD), gaussian(MEAN, STD))
    np.testing.assert_allclose(actual, expected, rtol=1e-12)
    assert abs(actual - objectives.mean_kl(gaussian(MEAN, STD), gaussian(MEAN_OLD, STD_OLD))) > 0.01


def test_entropy_is_the_mean_over_states():
    np.testing.assert_allclose(objectives.entropy(gaussian(MEAN, STD)), oracles.gaussian_entropy(STD), rtol=1e-12)


def test_advantages_in_a_column_are_those_of_the_pairs():
    regions = [objectives.trust_region(gaussian(MEAN_OLD, STD_OLD), gaussian(MEAN, STD), tf.constant(ACTIONS), 0.2, tf.constant(advantages))
               for advantages in (ADVANTAGES, ADVANTAGES[:, np.newaxis])]
    assert float(regions[0].without_gradient) == float(regions[1].without_gradient) > 0


@every_mode
def test_the_trust_region_record_equals_its_definitions(run):
    record = run(lambda mean_old, mean, actions, advantages: objectives.trust_region(
        gaussian(mean_old, STD_OLD), gaussian(mean, STD), actions, 0.2, advantages))(
            *map(tf.constant, (MEAN_OLD, MEAN, ACTIONS, ADVANTAGES)))
    kl, reverse = oracles.gaussian_kl(MEAN_OLD, STD_OLD, MEAN, STD), oracles.gaussian_kl(MEAN, STD, MEAN_OLD, STD_OLD)
    rho = np.exp(oracles.gaussian_log_prob(ACTIONS, MEAN, STD) - oracles.gaussian_log_prob(ACTIONS, MEAN_OLD, STD_OLD))
    expected = TrustRegion(
        mean_kl=kl.mean(), max_kl=kl.max(), kl_quantiles=np.quantile(kl, QUANTILES), mean_reverse_kl=reverse.mean(),
        mean_ratio=rho.mean(), max_ratio=rho.max(), min_ratio=rho.min(), ratio_quantiles=np.quantile(rho, QUANTILES),
        mean_ratio_distance=np.abs(rho - 1).mean(), outside_fraction=np.mean((rho < 0.8) | (rho > 1.2)),
        without_gradient=oracles.without_gradient(rho, ADVANTAGES, 0.2))
    for name, actual in record._asdict().items():
        np.testing.assert_allclose(actual, getattr(expected, name), rtol=1e-11, err_msg=name)
    assert 0 < expected.without_gradient < expected.outside_fraction < 1


def test_the_kl_of_two_gaussians_is_that_of_old_to_new_and_the_other_is_named_so():
    # old N(0, 1), new N(1, 2²):  KL(old‖new) = ln 2 + (1 + 1)/8 − ½ = .443,  KL(new‖old) = −ln 2 + (4 + 1)/2 − ½ = 1.307
    old, new = gaussian(tf.zeros([5, 1]), [1.0]), gaussian(tf.ones([5, 1]), [2.0])
    record = objectives.trust_region(old, new, tf.zeros([5, 1]), 0.2)
    np.testing.assert_allclose(record.mean_kl, np.log(2) - 0.25, rtol=1e-6)
    np.testing.assert_allclose(record.mean_reverse_kl, 2 - np.log(2), rtol=1e-6)
    # ρ(0) = N(0; 1, 2²) / N(0; 0, 1) = ½ exp(−1/8)
    np.testing.assert_allclose(record.max_ratio, 0.5 * np.exp(-0.125), rtol=1e-6)
    np.testing.assert_allclose(record.mean_ratio_distance, 1 - 0.5 * np.exp(-0.125), rtol=1e-6)


def test_kl_and_ratio_of_two_categoricals_are_those_of_their_probabilities():
    # KL(old‖new) = ½ ln(½ / ¾) + ¼ ln(¼ / ⅛) + ¼ ln(¼ / ⅛); actions 0, 1, 2 have ratios 3/2, 1/2, 1/2
    p, q = np.array([0.5, 0.25, 0.25]), np.array([0.75, 0.125, 0.125])
    old, new = (tfd.Categorical(logits=np.tile(np.log(x) + 3, (3, 1))) for x in (p, q))
    record = objectives.trust_region(old, new, tf.range(3), 0.2)
    np.testing.assert_allclose(record.mean_kl, np.sum(p * np.log(p / q)), rtol=1e-9)
    np.testing.assert_allclose(record.mean_reverse_kl, np.sum(q * np.log(q / p)), rtol=1e-9)
    np.testing.assert_allclose([record.min_ratio, record.mean_ratio, record.max_ratio], [0.5, 2.5 / 3, 1.5], rtol=1e-9)


def test_a_policy_against_itself_has_ratio_1_and_kl_0():
    pi = gaussian(MEAN.astype(np.float32), STD.astype(np.float32))
    record = objectives.trust_region(pi, pi, ACTIONS.astype(np.float32), 0.2, ADVANTAGES.astype(np.float32))
    for name, value in record._asdict().items():
        np.testing.assert_array_equal(value, 1.0 if "ratio" in name and name != "mean_ratio_distance" else 0.0, err_msg=name)


@pytest.mark.parametrize(("rho", "advantage", "lost"), [
    (1.5, 1.0, 1), (1.5, -1.0, 0), (0.5, 1.0, 0), (0.5, -1.0, 1), (1.1, 1.0, 0), (0.9, -1.0, 0), (1.5, 0.0, 0)])
def test_a_pair_has_lost_its_gradient_where_clipping_takes_it(rho, advantage, lost):
    # one-point densities: log ρ = log π − log π_old is the difference of two Exponential(rate) at a = 0, log rate
    old, new = tfd.Exponential([1.0]), tfd.Exponential([rho])
    assert float(objectives.trust_region(old, new, tf.constant([0.0]), 0.2, tf.constant([advantage])).without_gradient) == lost


def test_without_advantages_nobody_knows_who_lost_the_gradient():
    record = objectives.trust_region(gaussian(MEAN_OLD, STD_OLD), gaussian(MEAN, STD), ACTIONS, 0.2)
    assert np.isnan(record.without_gradient)
    assert all(np.isfinite(value).all() for name, value in record._asdict().items() if name != "without_gradient")


@every_mode
@pytest.mark.parametrize("count", [1, 2, 7, 2048])
def test_quantiles_are_linear_between_neighbours(run, count):
    x = RNG.normal(size=count).astype(np.float32)
    np.testing.assert_allclose(run(objectives.quantiles)(tf.constant(x)), np.quantile(x, QUANTILES), rtol=1e-5, atol=1e-6)


def test_quantiles_of_what_holds_a_nan_are_nan():
    assert np.isnan(objectives.quantiles(tf.constant([0.0, np.nan, 1.0]))).all()
