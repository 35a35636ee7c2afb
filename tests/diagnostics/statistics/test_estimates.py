"""Statistics of episode returns: closed forms, and intervals that hold the truth as often as they say.

Coverage is wanted to be 90 % at least where 95 % is nominal; k simulations have a standard error of √(.95·.05/k)."""

import subprocess
import sys
import time

import numpy as np
import pytest
import scipy.stats
from scipy.special import ndtr

from tests.diagnostics.draws import bimodal, bimodal_mean, bimodal_std, covered
from tfpg.diagnostics import evaluation
from tfpg.diagnostics.statistics import estimates, resampling
from tfpg.errors import UserError


@pytest.fixture
def draw():
    return np.random.default_rng(1)


def nan_everywhere(found):
    return all(np.isnan(field).all() for field in (found.mean, found.stderr, found.low, found.high))


# Means


@pytest.mark.parametrize(("kind", "episodes"), [("bimodal", 60), ("gamma", 300), ("integers", 50), ("two values", 40),
                                                ("pair", 2), ("as many as are resampled", 1000)])
def test_the_interval_of_every_row_is_evaluations(draw, kind, episodes):
    shape = (3, 2, episodes)
    returns = {"bimodal": lambda: bimodal(draw, shape), "integers": lambda: 1.0 * draw.integers(490, 501, shape),
               "two values": lambda: np.where(draw.random(shape) < 0.1, 9.0, 500.0)}.get(
                   kind, lambda: draw.gamma(2, 100, shape))()
    found = estimates.means(returns)
    expected = np.array([evaluation.interval(row) for row in returns.reshape(-1, episodes)]).reshape(3, 2, 2)
    np.testing.assert_allclose(np.stack([found.low, found.high], -1), expected, rtol=1e-11)
    np.testing.assert_array_equal(found.mean, returns.mean(-1))
    np.testing.assert_allclose(found.stderr, scipy.stats.sem(returns, axis=-1), rtol=1e-12)
    assert (found.count == episodes).all()


def test_where_every_resample_lies_on_one_side_the_interval_is_evaluations_too(draw):
    returns = np.array([[0.0, 0, 0, 1], [1.0, 2, 2, 2]])
    found = estimates.means(returns)
    np.testing.assert_allclose(np.stack([found.low, found.high], -1), [evaluation.interval(row) for row in returns])


@pytest.mark.parametrize(("episodes", "fall"), [(60, 0.5), (60, 0.2), (300, 0.05), (1500, 0.02)])
def test_the_interval_covers_a_bimodal_mean(draw, episodes, fall):
    """400 simulations: standard error 1.1 %. 1500 episodes are beyond LARGE, where the expansion is used."""
    assert covered(estimates.means(bimodal(draw, (400, episodes), fall)), bimodal_mean(fall)) >= 0.91


def test_the_expansion_and_the_resamples_agree_where_they_meet(draw):
    """Both are right to order 1/M: at 1000 skewed returns they differ by a hundredth of the width, the resampling's own
    noise (2000 resamples place the 2.5 % quantile to ±.35 %, that is .06 standard errors) included."""
    returns = draw.exponential(1, (20, resampling.LARGE))
    found = estimates.means(returns)
    low, high = returns.mean(-1) + resampling._expanded(returns - returns.mean(-1, keepdims=True))
    np.testing.assert_allclose([found.low, found.high], [low, high], atol=0.2 * found.stderr.max())


def test_points_not_computed_come_back_as_nan_and_leave_the_others_alone(draw):
    returns = bimodal(draw, (3, 4, 20))
    holed = returns.copy()
    holed[1, 2], holed[2, 0, 5] = np.nan, np.nan
    whole, found = estimates.means(returns), estimates.means(holed)
    missing = np.zeros((3, 4), bool)
    missing[1, 2] = missing[2, 0] = True
    for field, other in zip(whole[:4], found[:4], strict=True):
        assert np.isnan(other[missing]).all()
        np.testing.assert_allclose(other[~missing], field[~missing], rtol=1e-12)
    np.testing.assert_array_equal(found.count, np.where(missing, 0, 20))
    assert nan_everywhere(estimates.means(np.full((5, 60), np.nan)))


def test_one_episode_has_a_mean_and_no_spread():
    found = estimates.means(np.array([[3.0], [4.0]]))
    np.testing.assert_array_equal(found.mean, [3, 4])
    assert np.isnan([found.stderr, found.low, found.high]).all() and (found.count == 1).all()
    assert nan_everywhere(estimates.means(np.zeros((2, 0)))) and estimates.means(np.zeros((0, 9))).mean.shape == (0,)


@pytest.mark.parametrize("episodes", [10, 1500])
def test_equal_returns_have_their_value_as_interval(episodes):
    found = estimates.means(np.full((2, episodes), 500.0))
    for field in (found.mean, found.low, found.high):
        np.testing.assert_array_equal(field, 500)
    np.testing.assert_array_equal(found.stderr, 0)


def test_a_plane_is_summarised_in_seconds(draw):
    """441 points of 300 episodes took .04 s on one core where a row by row bootstrap takes 2 s; wanted are 10 s."""
    begin = time.process_time()
    estimates.means(bimodal(draw, (441, 300)))
    assert time.process_time() - begin < 10


# Differences


def test_paired_differences_take_out_what_episodes_share(draw):
    """R = 3·difficulty_m + Δ + N(0, 1): paired, σ² is 2; unpaired, 20."""
    difficulty = 3 * draw.normal(size=400)
    reference = difficulty + draw.normal(size=400)
    returns = difficulty + np.array([[0.0], [5.0]]) + draw.normal(size=(2, 400))
    paired, unpaired = estimates.differences(returns, reference), estimates.unpaired_differences(returns, reference)
    np.testing.assert_allclose(paired.mean, unpaired.mean, rtol=1e-12)
    np.testing.assert_allclose(paired.stderr, np.sqrt(2 / 400), rtol=0.15)
    np.testing.assert_allclose(unpaired.stderr, np.sqrt(20 / 400), rtol=0.15)
    np.testing.assert_allclose(estimates.correlations(returns, reference), 9 / 10, atol=0.05)


def test_a_point_does_not_differ_from_itself(draw):
    returns = bimodal(draw, 60)
    found = estimates.differences(returns, returns)
    assert (float(found.mean), float(found.stderr), float(found.low), float(found.high)) == (0, 0, 0, 0)


def test_paired_differences_cover_a_bimodal_one(draw):
    """An episode falls at one θ, at the other, at both, or at neither; 400 simulations."""
    luck = draw.random((400, 60))
    ours, theirs = (np.where(luck < fall, 300.0, 3000.0) + draw.normal(0, 60, luck.shape) for fall in (0.3, 0.1))
    found = estimates.means(ours - theirs)
    one = estimates.differences(ours[:3], theirs[0])
    np.testing.assert_allclose(one.low[0], found.low[0])
    assert covered(found, -0.2 * 2700) >= 0.91


@pytest.mark.parametrize(("ours", "theirs"), [(0.2, 0.2), (0.05, 0.2)])
def test_unpaired_differences_cover_a_bimodal_one(draw, ours, theirs):
    found = [estimates.unpaired_differences(bimodal(draw, 60, ours), bimodal(draw, 60, theirs)) for _ in range(400)]
    truth = bimodal_mean(ours) - bimodal_mean(theirs)
    assert covered(estimates.Estimate(*map(np.array, zip(*found, strict=True))), truth) >= 0.91


def test_unpaired_differences_are_welchs(draw):
    x, y = draw.normal(size=20), draw.normal(1, 3, size=50)
    found = estimates.unpaired_differences(x, y)
    expected = scipy.stats.ttest_ind(x, y, equal_var=False).confidence_interval(0.95)
    np.testing.assert_allclose((found.low, found.high), (expected.low, expected.high))


def test_differences_are_nan_where_either_is_and_equal_returns_have_no_width():
    returns = np.array([[np.nan, 1, 2], [3, 3, 3]])
    for difference in (estimates.differences, estimates.unpaired_differences):
        found = difference(returns, np.array([1.0, 1, 1]))
        np.testing.assert_array_equal([found.mean, found.low, found.high], [[np.nan, 2]] * 3)
        np.testing.assert_array_equal(found.count, [0, 3])
        assert nan_everywhere(difference(returns, np.array([np.nan, 1, 2])))
    assert np.isnan(estimates.unpaired_differences(np.array([1.0]), np.array([2.0, 3])).stderr)
    np.testing.assert_array_equal(estimates.correlations(returns, np.array([1.0, 2, 3])), np.nan)


def test_two_episodes_correlate_by_no_number():
    """Two pairs always lie on a line: ±1, whatever is correlated."""
    found = [estimates.correlations(np.array([5.0, 1, 3])[:count], np.array([1.0, 2, 4])[:count]) for count in (2, 3)]
    assert np.isnan(found[0]) and np.isfinite(found[1])


def test_episodes_that_were_not_shared_cannot_be_paired():
    with pytest.raises(UserError, match="7 episodes cannot be paired with 1"):
        estimates.differences(np.zeros((3, 7)), np.zeros(1))


# Slopes


def test_the_slope_is_that_of_the_least_squares_line_within_the_limit(draw):
    ts = np.array([-2, -1.0000000000000002, -0.5, 0, 0.7, 1, 3])
    returns = draw.normal(size=(4, 7, 30))
    found = estimates.slopes(returns, ts)
    expected = [np.polyfit(ts[1:6], row[1:6].mean(-1), 1)[0] for row in returns]  # slope of the mean = mean of slopes
    np.testing.assert_allclose(found.mean, expected, rtol=1e-10)


def test_the_error_of_a_slope_leaves_out_what_episodes_share(draw):
    """R_tm = 2t + 10·difficulty_m + N(0, 1), t = 0, ½, 1: stderr of the slope is √(1/(M·Σ(t−t̄)²)) = √(2/M)."""
    ts = np.array([0, 0.5, 1])
    returns = 2 * ts[:, np.newaxis] + 10 * draw.normal(size=400) + draw.normal(size=(3, 400))
    found = estimates.slopes(returns, ts)
    np.testing.assert_allclose(found.stderr, np.sqrt(2 / 400), rtol=0.15)
    assert abs(found.mean - 2) < 4 * found.stderr


@pytest.mark.parametrize("common", [True, False])
def test_slopes_cover_the_truth(draw, common):
    """Bimodal at every t, the share of falls rising from 10 to 30 %: J falls by 540 along t, a straight line."""
    ts, falls = np.linspace(0, 1, 5), np.linspace(0.1, 0.3, 5)[:, np.newaxis]
    luck = draw.random((400, 1 if common else 5, 60))
    returns = np.where(luck < falls, 300.0, 3000.0) + draw.normal(0, 60, (400, 5, 60))
    assert covered(estimates.slopes(returns, ts), -540) >= 0.91


def test_the_first_direction_is_compared_with_the_mean_of_the_others(draw):
    ts = np.linspace(0, 2, 5)
    shared = draw.normal(0, 50, (5, 60))
    slopes = np.array([5.0, 1, 2, 3])
    returns = slopes[:, np.newaxis, np.newaxis] * ts[:, np.newaxis] + shared + draw.normal(0, 1, (4, 5, 60))
    found = estimates.slope_differences(returns, ts)
    alone = estimates.slopes(returns, ts)
    np.testing.assert_allclose(found.mean, alone.mean[0] - alone.mean[1:].mean(), rtol=1e-10)
    assert abs(found.mean - 3) < 4 * found.stderr and found.stderr < alone.stderr[0] / 5
    returns[2, 1] = np.nan
    assert nan_everywhere(estimates.slope_differences(returns, ts))
    with pytest.raises(UserError, match="at least two directions"):
        estimates.slope_differences(returns[:1], ts)


def test_a_slope_needs_two_points_within_the_limit():
    with pytest.raises(UserError, match="two points"):
        estimates.slopes(np.zeros((3, 9)), np.array([0, 1.5, 3]))


# Clusters


def test_clusters_of_one_are_plain_samples(draw):
    values = draw.normal(size=(3, 50))
    found, plain = estimates.clustered(values, np.arange(50)), estimates.means(values)
    np.testing.assert_allclose(found.mean, plain.mean)
    np.testing.assert_allclose(found.stderr, plain.stderr)


def test_the_crossed_error_looks_like_the_equation(draw):
    """Both terms of a two-way layout with one value a cell, by their expected mean squares (slow twin: loops)."""
    values = draw.normal(size=(5, 1)) + draw.normal(size=7) + draw.normal(size=(5, 7))
    total = np.mean(values)
    rows, columns = [np.mean(values[r]) for r in range(5)], [np.mean(values[:, m]) for m in range(7)]
    mean_squares = {
        "rows": sum(7 * (row - total)**2 for row in rows) / 4, "columns": sum(5 * (column - total)**2 for column in columns) / 6,
        "rest": sum((values[r, m] - rows[r] - columns[m] + total)**2 for r in range(5) for m in range(7)) / 24}
    expected = np.sqrt((mean_squares["rows"] + mean_squares["columns"] - mean_squares["rest"]) / 35)
    found = estimates.crossed(values)
    np.testing.assert_allclose([found.mean, found.stderr], [total, expected])
    assert found.count == 7


@pytest.mark.parametrize(("directions", "spread"), [(16, 0.0), (16, 2.0), (4, 0.0), (4, 2.0)])
def test_the_crossed_mean_covers_the_truth_whichever_of_both_varies(draw, directions, spread):
    """Episodes bimodal and shared by 64 %; the directions' spread in standard errors of the mean over episodes; 400
    simulations, standard error 1.1 % of 95 and 1.5 of 90, which is wanted of 4 directions."""
    hits = 0
    for _ in range(400):
        shared, own = ((bimodal(draw, size) - bimodal_mean()) / bimodal_std() for size in ((60,), (directions, 60)))
        values = 0.8 * shared + 0.6 * own + spread * np.sqrt(directions / 60) * draw.normal(size=(directions, 1))
        found = estimates.crossed(values)
        hits += found.low <= 0 <= found.high
    assert hits / 400 >= (0.92 if directions == 16 else 0.87)


def test_a_single_direction_has_the_interval_of_its_episodes(draw):
    values = draw.normal(size=(1, 60))
    for left, right in zip(estimates.crossed(values), estimates.means(values[0]), strict=True):
        np.testing.assert_array_equal(left, right)
    values = np.concatenate([values, np.full((1, 60), np.nan)])
    assert nan_everywhere(estimates.crossed(values)) and estimates.crossed(values).count == 0


def test_the_clustered_error_looks_like_the_equation(draw):
    clusters, values = np.array(list("aabbbcaac")), draw.normal(size=9)
    mean, total = values.mean(), 0.0
    for label in "abc":
        mine = values[clusters == label]
        total += (mine.sum() - len(mine) * mean)**2
    found = estimates.clustered(values, clusters)
    np.testing.assert_allclose([found.mean, found.stderr], [mean, np.sqrt(3 / 2 * total) / 9])
    assert found.count == 3


def test_clustered_means_cover_the_truth(draw):
    """Episodes of 40 or 200 pairs (a fifth fall early), short ones worse, each with an effect of its own; 60 episodes.
    The mean over pairs is (.2·40·(−1) + .8·200·.3)/(.2·40 + .8·200) = 40/168."""
    found = []
    for _ in range(400):
        short = draw.random(60) < 0.2
        length = np.where(short, 40, 200)
        effect = np.where(short, -1.0, 0.3) + draw.normal(0, 0.3, 60)
        clusters = np.repeat(np.arange(60), length)
        found.append(estimates.clustered(effect[clusters] + draw.normal(size=clusters.size), clusters))
    assert covered(estimates.Estimate(*map(np.array, zip(*found, strict=True))), 40 / 168) >= 0.91


def test_clusters_of_many_points_are_quick_and_nan_stays_where_it_is(draw):
    """81 points of 20,000 pairs took .006 s."""
    values, clusters = draw.normal(size=(81, 20000)), draw.integers(0, 100, 20000)
    values[7, 3] = np.nan
    begin = time.process_time()
    found = estimates.clustered(values, clusters)
    assert time.process_time() - begin < 2
    assert np.isnan(found.mean).sum() == 1 and found.count[7] == 0 and np.isnan(found.high[7])


def test_one_cluster_has_no_spread():
    found = estimates.clustered(np.arange(4.0), np.zeros(4))
    assert found.mean == 1.5 and np.isnan([found.stderr, found.low, found.high]).all()


# Sizes


def test_what_is_detectable_is_found_with_that_power(draw):
    """σ = 2, M = 100, ρ = .5: (1.95996 + .84162)·2·√(2·.5/100) = .56032; a test at 5 % finds it 80 times in 100."""
    delta = estimates.detectable(2.0, 100, paired_correlation=0.5)
    np.testing.assert_allclose(delta, 0.56032, rtol=1e-4)
    shared = draw.normal(size=(3000, 100))
    x, y = (np.sqrt(0.5) * (shared + draw.normal(size=shared.shape)) * 2 for _ in range(2))
    found = np.abs(scipy.stats.ttest_1samp(x - y + delta, 0, axis=-1).statistic) > 1.96
    assert abs(found.mean() - 0.8) < 0.03  # standard error .7 %


def test_the_episodes_needed_order_two_points_with_that_probability():
    """z.95 = 1.64485; 2·(1.64485·100/10)² = 541.1."""
    assert estimates.episodes_needed(10.0, 100.0) == 542
    np.testing.assert_allclose(ndtr(10 / (100 * np.sqrt(2 / 542))), 0.95, atol=1e-3)
    np.testing.assert_array_equal(estimates.episodes_needed(np.array([-10.0, 0, 1e9, np.nan]), 100.0),
                                  [542, np.inf, 1, np.nan])
    assert estimates.pairs_needed(10.0, 100.0, 250.0) == 542 * 250


def test_estimates_are_numpy_and_scipy_only():
    rooms = "estimates, orderings, ranks, resampling, tails"
    heavy = {"tensorflow", "xarray", "keras"}
    code = f"import sys; from tfpg.diagnostics.statistics import {rooms}; print(*{heavy} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True, timeout=60).split() == []
