"""Resamples: the same for whoever asks, in whatever blocks they come."""

import numpy as np
import scipy.stats

from tfpg.diagnostics.statistics import resampling


def test_every_resample_weighs_as_many_episodes_as_there_are():
    weights = np.concatenate(list(resampling.resamples(7)))
    assert weights.shape == (resampling.RESAMPLES, 7)
    np.testing.assert_allclose(weights.sum(-1), 1)


def test_blocks_change_nothing_and_streams_do(monkeypatch):
    values = np.random.default_rng(0).normal(size=(3, 9))
    whole = resampling.resampled_means(values)
    monkeypatch.setattr(resampling, "WORDS", 70)
    np.testing.assert_allclose(resampling.resampled_means(values), whole, rtol=1e-12)
    assert not np.allclose(resampling.resampled_means(values, stream=1), whole)


def test_the_interval_of_a_point_does_not_depend_on_which_others_are_beside_it():
    """BLAS adds in another order where there are more rows: a bit in the last place, on some processors."""
    rows = np.random.default_rng(0).normal(size=(150, 60))
    whole = resampling.interval_ends(rows)
    for count in (1, 2, 3, 5, 8, 10, 12, 31, 64, 65, 100, 149):
        np.testing.assert_array_equal(resampling.interval_ends(rows[-count:]), whole[:, -count:])
    rows[::7] = 3.0  # points whose episodes are all equal
    np.testing.assert_array_equal(resampling.interval_ends(rows)[:, 1], whole[:, 1])


def test_the_resamples_are_those_of_the_interval():
    values = np.random.default_rng(0).normal(size=30)
    found = scipy.stats.bootstrap((values,), np.mean, n_resamples=resampling.RESAMPLES, batch=500, method="percentile",
                                  rng=np.random.default_rng(0)).bootstrap_distribution
    np.testing.assert_allclose(resampling.resampled_means(values[np.newaxis])[0], found, rtol=1e-10, atol=1e-15)


def test_quantiles_are_numpys():
    samples, shares = np.random.default_rng(0).normal(size=(3, 40)), np.array([[0.0, 0.1, 0.3], [1.0, 0.9, 0.77]])
    expected = [[np.quantile(samples[k], shares[i, k]) for k in range(3)] for i in range(2)]
    np.testing.assert_allclose(resampling.quantiles(samples, shares), expected, rtol=1e-12)
