"""Variances of gradient estimates and their ratios."""

import numpy as np
import pytest

from tfpg.diagnostics.values import spreads


def copies(count=10, size=50, scale=1.0, seed=0):
    return 3 + scale * np.random.default_rng(seed).normal(size=(count, size))


def test_the_variance_is_of_one_pair_summed_over_coordinates():
    vectors = copies()
    assert spreads.variance(vectors, 7).mean == pytest.approx(7 * vectors.var(axis=0, ddof=1).sum())


def test_each_estimate_is_left_out_once():
    vectors, others = copies(), copies(scale=2.0, seed=1)
    found = spreads.ratio(vectors, others)
    without = np.array([np.log(np.delete(vectors, k, 0).var(0, ddof=1).sum() / np.delete(others, k, 0).var(0, ddof=1).sum())
                        for k in range(10)])
    stderr = np.sqrt(0.9 * np.square(without - without.mean()).sum())
    assert found.stderr == pytest.approx(found.mean * stderr) and found.count == 10
    assert found.high / found.mean == pytest.approx(found.mean / found.low) == pytest.approx(np.exp(2.262157 * stderr))


def test_a_ratio_on_the_same_pairs_knows_what_they_share():
    vectors = copies()
    same = spreads.ratio(0.5 * vectors, vectors)
    assert same.mean == pytest.approx(0.25) and same.high - same.low < 1e-9
    apart = spreads.ratio(0.5 * copies(seed=1), vectors)
    assert apart.high - apart.low > 0.05


def test_estimates_that_do_not_scatter_have_variance_zero_and_no_ratio():
    still = np.ones((4, 3))
    assert spreads.variance(still, 5).mean == 0
    found = spreads.ratio(copies(4, 3), still)
    assert np.isnan(found.mean) and np.isnan(found.low)


def test_two_estimates_have_a_variance_without_an_interval():
    found = spreads.variance(copies(2), 3)
    assert found.mean > 0 and np.isnan(found.low)


@pytest.mark.long
def test_intervals_cover():
    # 1000 simulations: the share's own standard error is .7 %
    draw, hits = np.random.default_rng(0), np.zeros(2)
    for _ in range(1000):
        a, b = draw.normal(size=(2, 10, 100))
        one, two = spreads.variance(a, 1), spreads.ratio(0.3 * a + 0.5 * b, a)
        hits += [one.low <= 100 <= one.high, two.low <= 0.34 <= two.high]
    assert (hits > 925).all()
