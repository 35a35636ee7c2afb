import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from tests import oracles
from tests.modes import every_mode
from tfpg.config import CodeLevel
from tfpg.envs.transforms import normalise_observation, scale_rewards, time_feature
from tfpg.numerics import moments

quick = hypothesis.settings(deadline=None, max_examples=25)
ON = CodeLevel(observation_normalisation=True)
SAMPLES = np.random.default_rng(0).normal([1, -20, 300], [0.5, 3, 70], size=(50, 4, 3))


def rewards_of(scaling, **more):
    return CodeLevel(reward_scaling=scaling, **more)


@every_mode
def test_a_normalised_observation_is_in_standard_deviations_from_the_mean(run):
    rows = SAMPLES.reshape(-1, 3)
    actual = run(lambda obs: normalise_observation(obs, moments.of(SAMPLES, 1), ON))(tf.constant(SAMPLES))
    assert actual.dtype == tf.float32
    np.testing.assert_allclose(actual, (SAMPLES - rows.mean(0)) / rows.std(0), rtol=1e-5, atol=1e-6)


def test_normalisation_off_is_the_identity():
    code_level = CodeLevel(observation_normalisation=False)
    np.testing.assert_array_equal(
        normalise_observation(SAMPLES, moments.of(SAMPLES, 1), code_level), SAMPLES.astype(np.float32))


def test_without_samples_normalisation_is_the_identity():
    np.testing.assert_array_equal(normalise_observation(SAMPLES, moments.empty([3]), ON), SAMPLES.astype(np.float32))


@quick
@hypothesis.given(st.integers(-8, 8), st.floats(-100, 100))
def test_normalised_observations_do_not_depend_on_unit_or_origin(exponent, offset):
    moved = 10.0**exponent * (SAMPLES + offset)
    actual = normalise_observation(moved, moments.of(moved, 1), ON)
    np.testing.assert_allclose(actual, normalise_observation(SAMPLES, moments.of(SAMPLES, 1), ON), rtol=1e-4, atol=1e-5)


@quick
@hypothesis.given(st.floats(-9, 9), st.sampled_from([-1, 1]))
def test_a_dimension_that_has_not_varied_has_scale_1(exponent, sign):
    constant = sign * 10.0**exponent
    seen = moments.empty([1])
    for _ in range(20):  # merges leave rounding errors in m2: they are not variation
        seen = moments.merge(seen, moments.of(np.full((97, 1), constant), 1))
    assert normalise_observation(np.array([constant]), seen, ON).numpy() == pytest.approx(0, abs=1e-6)
    z = normalise_observation(np.array([constant + 3]), seen, ON)
    np.testing.assert_allclose(z, [3], rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_a_dimension_that_varied_by_one_float32_bit_has_varied(scale):
    samples = np.full((1000, 1), scale, np.float32)
    samples[500] = np.nextafter(np.float32(scale), np.float32(np.inf))
    # One sample in n away from all others lies √(n − 1) standard deviations out.
    z = normalise_observation(samples, moments.of(samples, 1), ON)
    np.testing.assert_allclose(z[500], np.sqrt([999]), rtol=1e-5)


@quick
@hypothesis.given(st.integers(0, 10**6), st.floats(0, 30), st.integers(1, 50))
def test_no_normalised_observation_is_further_out_than_the_root_of_the_count(seed, exponent, count):
    rng = np.random.default_rng(seed)
    seen = moments.of(rng.normal(size=(count, 3)) * [0, 1e-12, 1], 1)
    z = normalise_observation(10**exponent * rng.normal(size=(8, 3)), seen, ON)
    assert np.all(np.isfinite(z)) and np.abs(z).max() <= np.sqrt(count) * (1 + 1e-6)


@quick
@hypothesis.given(st.integers(0, 10**6), st.integers(2, 50))
def test_the_authors_moving_filter_obeys_the_same_bound(seed, count):
    # The bound is theirs: a sample lies within √(n − 1) standard deviations of the mean of a set it belongs to.
    samples = np.random.default_rng(seed).normal(size=(count, 3))
    samples[-1] *= 1e6
    assert np.abs(oracles.moving_filter(samples)).max() <= np.sqrt(count - 1) * (1 + 1e-9)


@pytest.mark.parametrize("normalisation", [True, False])
def test_the_observation_clip_acts_last(normalisation):
    code_level = CodeLevel(observation_normalisation=normalisation, observation_clip=0.5)
    free = normalise_observation(SAMPLES, moments.of(SAMPLES, 1), CodeLevel(observation_normalisation=normalisation))
    actual = normalise_observation(SAMPLES, moments.of(SAMPLES, 1), code_level)
    np.testing.assert_array_equal(actual, np.clip(free, -0.5, 0.5))


@every_mode
def test_rewards_are_divided_by_the_spread_of_the_discounted_return_and_not_shifted(run):
    rewards, returns = SAMPLES[..., 1], SAMPLES[..., 2]
    actual = run(lambda r: scale_rewards(r, moments.of(returns, 0), rewards_of("returns")))(tf.constant(rewards))
    assert actual.dtype == tf.float32
    np.testing.assert_allclose(actual, rewards / returns.std(), rtol=1e-5)


@every_mode
def test_rewards_are_standardised_about_their_own_mean(run):
    rewards = SAMPLES[..., 2]
    actual = run(lambda r: scale_rewards(r, moments.of(rewards, 0), rewards_of("rewards")))(tf.constant(rewards))
    np.testing.assert_allclose(actual, (rewards - rewards.mean()) / rewards.std() + rewards.mean(), rtol=1e-5)


def test_without_scaling_rewards_are_what_they_are_and_the_clip_does_not_act():
    rewards = SAMPLES[..., 2].astype(np.float32)
    actual = scale_rewards(rewards, moments.of(rewards, 0), rewards_of("none", reward_clip=0.1))
    np.testing.assert_array_equal(actual, rewards)


@pytest.mark.parametrize("scaling", ["returns", "rewards"])
def test_the_reward_clip_acts_after_scaling(scaling):
    rewards = SAMPLES[..., 0]
    free = scale_rewards(rewards, moments.of(rewards, 0), rewards_of(scaling))
    actual = scale_rewards(rewards, moments.of(rewards, 0), rewards_of(scaling, reward_clip=1.1))
    np.testing.assert_array_equal(actual, np.clip(free, -1.1, 1.1).astype(np.float32))
    assert np.any(actual != free)


@pytest.mark.parametrize("scaling", ["returns", "rewards"])
@pytest.mark.parametrize("value", [0.0, 1e-8, -3.0, 1e8])
def test_rewards_that_have_not_varied_keep_their_scale(scaling, value):
    seen = moments.merge(moments.of(np.full(97, value), 0), moments.of(np.full(31, value), 0))
    # (r − mean) / 1 + mean = r; r / 1 = r, but never beyond √count = √128.
    expected = value if scaling == "rewards" else np.clip(value, -np.sqrt(128), np.sqrt(128))
    np.testing.assert_allclose(scale_rewards([value], seen, rewards_of(scaling)), [expected], rtol=1e-6)


@pytest.mark.parametrize("scaling", ["returns", "rewards"])
def test_without_samples_rewards_keep_their_scale(scaling):
    np.testing.assert_array_equal(
        scale_rewards([1e9, -5.0], moments.empty([]), rewards_of(scaling)), np.float32([1e9, -5.0]))


@pytest.mark.parametrize("scaling", ["returns", "rewards"])
def test_a_reward_far_beyond_what_was_seen_stays_bounded(scaling):
    seen = moments.of(np.array([0.0, 1e-9, -1e-9, 0.0]), 0)
    np.testing.assert_allclose(scale_rewards([1e12], seen, rewards_of(scaling)), [2.0], rtol=1e-6)  # √4, mean 0


@quick
@hypothesis.given(st.integers(-8, 8))
def test_scaled_rewards_do_not_depend_on_the_reward_s_unit(exponent):
    rewards, returns = SAMPLES[..., 0], SAMPLES[..., 1]
    factor = 10.0**exponent
    actual = scale_rewards(factor * rewards, moments.of(factor * returns, 0), rewards_of("returns"))
    np.testing.assert_allclose(actual, scale_rewards(rewards, moments.of(returns, 0), rewards_of("returns")), rtol=1e-5)


def test_the_time_feature_runs_from_0_to_1_over_the_time_limit():
    steps = np.array([[0, 50], [100, 200]], np.int32)
    actual = time_feature(steps, 200)
    assert actual.dtype == tf.float32
    np.testing.assert_allclose(actual, [[0, 0.25], [0.5, 1]])


def test_without_a_time_limit_time_is_counted_in_thousands_of_steps():
    np.testing.assert_allclose(time_feature(np.array([0, 500]), None), [0, 0.5])
