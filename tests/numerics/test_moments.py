import hypothesis
import numpy as np
import tensorflow as tf
from hypothesis import strategies as st

from tests.modes import every_mode
from tfpg.numerics import moments
from tfpg.types import Moments

quick = hypothesis.settings(deadline=None, max_examples=25)


def close(a: Moments, b: Moments, rtol=1e-10):
    for left, right in zip(a, b, strict=True):
        np.testing.assert_allclose(left, right, rtol=rtol, atol=1e-12)


@every_mode
def test_moments_of_a_batch_are_its_count_mean_and_centred_squares(run):
    samples = np.random.default_rng(0).normal(3, 2, size=(5, 7, 3)).astype(np.float32)
    actual = run(lambda x: moments.of(x, 1))(tf.constant(samples))
    rows = samples.astype(np.float64).reshape(35, 3)
    close(actual, Moments(35.0, rows.mean(0), rows.var(0) * 35))


def test_scalars_are_averaged_over_every_axis():
    samples = np.arange(12.0).reshape(4, 3)
    close(moments.of(samples, 0), Moments(12.0, 5.5, np.var(samples) * 12))


def test_everything_is_float64_whatever_comes_in():
    merged = moments.merge(moments.empty([2]), moments.of(np.ones((3, 2), np.float32), 1))
    assert {part.dtype for part in merged} == {tf.float64}


@every_mode
def test_merging_equals_the_moments_of_both_sets(run):
    a, b = np.random.default_rng(1).normal(size=(11, 2)), np.random.default_rng(2).normal(5, 3, size=(4, 2))
    merged = run(lambda a, b: moments.merge(moments.of(a, 1), moments.of(b, 1)))(tf.constant(a), tf.constant(b))
    close(merged, moments.of(np.concatenate([a, b]), 1))


@quick
@hypothesis.given(st.integers(0, 10**6), st.floats(-8, 8))
def test_merging_is_associative_and_commutative(seed, exponent):
    rng = np.random.default_rng(seed)
    a, b, c = (moments.of(10**exponent * rng.normal(rng.normal(), 1, size=(rng.integers(1, 9), 3)), 1)
               for _ in range(3))
    close(moments.merge(moments.merge(a, b), c), moments.merge(a, moments.merge(b, c)), rtol=1e-9)
    close(moments.merge(a, b), moments.merge(b, a), rtol=1e-9)


@every_mode
def test_merging_with_no_samples_changes_nothing(run):
    some = moments.of(np.random.default_rng(3).normal(size=(6, 2)), 1)
    for merged in (run(moments.merge)(some, moments.empty([2])), run(moments.merge)(moments.empty([2]), some)):
        for left, right in zip(merged, some, strict=True):
            np.testing.assert_array_equal(left, right)


def test_no_samples_have_mean_0_and_spread_0_not_nan():
    nothing = moments.of(np.zeros((0, 3)), 1)
    close(nothing, moments.empty([3]))
    np.testing.assert_array_equal(moments.std(nothing), np.zeros(3))


def test_std_is_the_population_s():
    # Samples 1 and 3: mean 2, variance (1 + 1) / 2 = 1; the sample variance would be 2.
    np.testing.assert_allclose(moments.std(moments.of(np.array([1.0, 3.0]), 0)), 1.0)


def test_a_small_spread_beside_a_large_mean_survives_many_merges():
    rng = np.random.default_rng(4)
    samples = 1e8 + rng.normal(size=(100, 32, 2))
    running = moments.empty([2])
    for part in samples:
        running = moments.merge(running, moments.of(part, 1))
    np.testing.assert_allclose(moments.std(running), samples.reshape(-1, 2).std(0), rtol=1e-6)
