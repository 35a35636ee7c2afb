"""Ranks: of the step among directions, and of the surrogate's points in the order of the return."""

import numpy as np
import pytest
import scipy.stats

from tests.diagnostics.draws import bimodal, bimodal_mean, bimodal_std, covered
from tfpg.diagnostics.statistics import ranks
from tfpg.diagnostics.statistics.estimates import Estimate


@pytest.fixture
def draw():
    return np.random.default_rng(2)


def gathered(found):
    return Estimate(*map(np.array, zip(*found, strict=True)))


def spearman(x, y):
    """Spearman's for many y: 1 − 6 Σd²/(n(n²−1)), without ties."""
    count, gaps = len(x), scipy.stats.rankdata(x) - scipy.stats.rankdata(y, axis=-1)
    return 1 - 6 * (gaps**2).sum(-1) / (count * (count**2 - 1))


def test_the_largest_has_rank_one_and_ties_are_said():
    found = ranks.rank(np.array([5.0, 2.0, 0.0, np.nan]), np.array([1.0, 2, 2, 3]))
    np.testing.assert_array_equal(found.rank, [1, 2, 5, np.nan])
    np.testing.assert_array_equal(found.ties, [0, 2, 0, 0])
    np.testing.assert_array_equal(found.chance, [1 / 5, 4 / 5, 1, np.nan])
    missing = ranks.rank(5.0, np.array([1.0, np.nan, 7]))
    assert (missing.rank, missing.count) == (2, 2)


def test_a_step_far_above_its_directions_is_first_whatever_the_episodes(draw):
    """Ten standard errors of a difference above: no resample lets another pass."""
    others = bimodal(draw, (16, 60))
    first = bimodal(draw, 60) + 10 * bimodal_std() * np.sqrt(2 / 60)
    found = ranks.rank_interval(first, others)
    assert (found.mean, found.low, found.high, found.stderr, found.count) == (1, 1, 1, 0, 60)


def test_equal_directions_have_a_rank_that_nobody_knows(draw):
    found = ranks.rank_interval(bimodal(draw, 60), bimodal(draw, (16, 60)))
    assert found.high - found.low >= 6 and 1 <= found.low <= found.mean <= found.high <= 17


@pytest.mark.parametrize("common", [0.0, 0.8])
def test_the_rank_interval_covers_the_true_rank(draw, common):
    """Slopes N(0, 1) standard error apart, 60 bimodal episodes that share 0 or 80 % of their noise; 120 simulations."""
    hits = 0
    for _ in range(120):
        truth = draw.normal(size=17)
        noise = (bimodal(draw, (17, 60)) - bimodal_mean()) / bimodal_std()
        noise = np.sqrt(common) * noise[0] + np.sqrt(1 - common) * noise
        returns = truth[:, np.newaxis] + np.sqrt(60) * noise
        found = ranks.rank_interval(returns[0], returns[1:])
        hits += found.low <= ranks.rank(truth[0], truth[1:]).rank <= found.high
    assert hits / 120 >= 0.9


def test_ranks_leave_out_directions_not_played_yet(draw):
    first, others = draw.normal(size=20), draw.normal(size=(5, 20))
    holed = np.concatenate([others, np.full((2, 20), np.nan)])
    assert ranks.rank_interval(first, holed) == ranks.rank_interval(first, others)
    assert np.isnan(ranks.rank_interval(first * np.nan, others).mean)
    one = ranks.rank_interval(first[:1], others[:, :1])
    assert np.isfinite(one.mean) and np.isnan([one.stderr, one.low, one.high]).all()


def test_the_rank_correlation_is_spearmans(draw):
    surrogate, returns = draw.integers(0, 9, 30).astype(float), draw.normal(size=(30, 20))
    found = ranks.rank_correlation(surrogate, returns)
    np.testing.assert_allclose(found.observed.mean, scipy.stats.spearmanr(surrogate, returns.mean(-1)).statistic)
    assert found.observed.count == 30 and found.observed.low <= found.observed.mean <= found.observed.high


def test_returns_without_noise_have_reliability_one_and_an_interval_of_no_width(draw):
    surrogate = draw.normal(size=12)
    found = ranks.rank_correlation(surrogate, np.exp(surrogate)[:, np.newaxis] * np.ones(40))
    np.testing.assert_allclose(found.reliability, 1)
    np.testing.assert_allclose([found.observed[:4], found.corrected[:4]], [[1, 0, 1, 1]] * 2)


def test_what_episodes_add_to_every_point_changes_neither_ranks_nor_reliability(draw):
    surrogate, returns = draw.normal(size=20), draw.normal(size=(20, 60)) + draw.normal(size=(20, 1))
    plain, shifted = (ranks.rank_correlation(surrogate, returns + luck) for luck in (0, 100 * draw.normal(size=60)))
    np.testing.assert_allclose(shifted.reliability, plain.reliability)
    np.testing.assert_allclose(shifted.observed[:4], plain.observed[:4])


def test_reliability_is_the_share_that_is_not_noise(draw):
    """J varies by 1, the mean of 50 episodes by 1/2 about it: 1/(1 + 1/4) = .8; and below ½ nothing is corrected."""
    points, surrogate = draw.normal(size=(1000, 1)), draw.normal(size=1000)
    found = ranks.rank_correlation(surrogate, points + np.sqrt(50) / 2 * draw.normal(size=(1000, 50)))
    np.testing.assert_allclose(found.reliability, 0.8, atol=0.03)
    np.testing.assert_allclose(found.corrected.mean, found.observed.mean / np.sqrt(found.reliability))
    noise = ranks.rank_correlation(surrogate, draw.normal(size=(1000, 50)))
    assert abs(noise.reliability) < 0.15 and np.isnan(noise.corrected.mean) and noise.corrected.count == 1000


@pytest.mark.parametrize(("noise", "independent"), [(0.5, True), (0.5, False), (4.0, False)])
def test_the_interval_covers_what_other_episodes_would_show(draw, noise, independent):
    """13 points, correlation .7, bimodal episodes, standard errors ½ and 4 times the spread of J; 120 simulations. The
    truth is the mean of Spearman's over 100 other sets of episodes (their means normal). Common numbers share 36 % of
    the noise, which moves no rank. 90 % is wanted, 2 % the standard error: below .87 is not 91 %, p < .05."""
    hits, corrected, shared = 0, [], 0.0 if independent else 0.6
    for _ in range(120):
        points = draw.normal(size=13)
        surrogate = 0.7 * points + np.sqrt(1 - 0.7**2) * draw.normal(size=13)
        episodes = (bimodal(draw, (13, 60)) - bimodal_mean()) / bimodal_std()
        episodes = np.sqrt(1 - shared**2) * episodes + shared * draw.normal(size=60)
        found = ranks.rank_correlation(surrogate, points[:, np.newaxis] + noise * np.sqrt(60) * episodes,
                                       independent=independent)
        others = points + noise * np.sqrt(1 - shared**2) * draw.normal(size=(100, 13))
        truth = spearman(surrogate, others).mean()
        hits += found.observed.low <= truth <= found.observed.high
        if np.isfinite(found.corrected.mean):
            corrected.append(covered(found.corrected, spearman(surrogate, points)))
    assert hits / 120 >= 0.87
    assert noise > 1 or (len(corrected) > 80 and np.mean(corrected) >= 0.85)


def test_points_not_computed_are_left_out_and_too_few_give_nan(draw):
    surrogate, returns = draw.normal(size=10), draw.normal(size=(10, 20))
    holed = returns.copy()
    holed[7:] = np.nan
    found, part = ranks.rank_correlation(surrogate, holed), ranks.rank_correlation(surrogate[:7], returns[:7])
    np.testing.assert_equal(found, part)
    assert found.observed.count == 7
    holed[2:] = np.nan
    for nothing in (ranks.rank_correlation(surrogate, holed), ranks.rank_correlation(np.ones(10), returns),
                    ranks.rank_correlation(surrogate, np.full((10, 20), np.nan))):
        assert np.isnan([*nothing.observed[:4], nothing.reliability, nothing.corrected.mean]).all()
    one = ranks.rank_correlation(surrogate, returns[:, :1])
    assert np.isfinite(one.observed.mean) and np.isnan([one.observed.low, one.reliability]).all()


@pytest.mark.parametrize(("reliability", "bound"), [
    pytest.param(0.2, 0.9, marks=pytest.mark.long), (0.6, 0.9), pytest.param(0.95, 0.9, marks=pytest.mark.long)])
def test_the_interval_covers_what_other_pairs_would_show_too(draw, reliability, bound):
    """Five points of a line, where the error of a surrogate is one slope: 20 clusters, 100 simulations. Without the influence
    the interval is that of the episodes alone, and covers far less."""
    t, hits, alone = np.array([-1.0, 0, 1, 2, 3]), 0, 0
    spread = np.sqrt((1 / reliability - 1) / t.var(ddof=1))  # of the slope, in units of the surrogate's own spread
    for _ in range(100):
        points = t * draw.normal() + 0.3 * t**2 * draw.normal()
        points /= points.std(ddof=1)
        surrogate = 0.7 * points + 0.7 * t / t.std(ddof=1) * draw.choice([-1, 1])
        surrogate /= surrogate.std(ddof=1)
        errors = np.sqrt(20) * spread * draw.normal(size=20)  # of each cluster's slope
        influence = np.outer(t, errors - errors.mean()) / 20
        returns = points[:, np.newaxis] + 0.3 * np.sqrt(60) * draw.normal(size=(5, 60))
        seen = surrogate + t * errors.mean()
        others = surrogate + spread * draw.normal(size=(200, 1)) * t, points + 0.3 * draw.normal(size=(200, 5))
        truth = np.mean([spearman(own, theirs) for own, theirs in zip(*others, strict=True)])
        for found, kind in ((ranks.rank_correlation(seen, returns, influence=influence), "both"),
                            (ranks.rank_correlation(seen, returns), "episodes")):
            inside = found.observed.low <= truth <= found.observed.high
            hits, alone = hits + (inside and kind == "both"), alone + (inside and kind == "episodes")
    assert hits / 100 >= bound
    assert alone < hits


def test_the_reliability_of_a_surrogate_is_the_share_that_is_not_its_clusters_noise(draw):
    """The surrogate varies by 1, the sum of 400 clusters by 1/2 about it, each point by itself: 1/(1 + 1/4) = .8."""
    own, errors = draw.normal(size=1000), draw.normal(size=(1000, 400)) / 40
    influence = errors - errors.mean(-1, keepdims=True)
    returns = own[:, np.newaxis] + np.sqrt(50) / 2 * draw.normal(size=(1000, 50))
    found = ranks.rank_correlation(own + errors.sum(-1), returns, influence=influence)
    np.testing.assert_allclose(found.surrogate_reliability, 0.8, atol=0.03)
    # both are the same but for noise; Spearman's of two normals with correlation .8 is 6/π asin(.4) = .786, over .8: .98
    np.testing.assert_allclose(found.corrected.mean, 0.98, atol=0.05)
    assert ranks.rank_correlation(own, returns).surrogate_reliability == 1


def test_an_influence_of_nothing_changes_no_correlation(draw):
    surrogate, returns = draw.normal(size=12), draw.normal(size=(12, 30))
    found = ranks.rank_correlation(surrogate, returns, influence=np.zeros((12, 5)))
    assert found.observed.mean == ranks.rank_correlation(surrogate, returns).observed.mean
    np.testing.assert_allclose(found.surrogate_reliability, 1)


def test_one_cluster_of_pairs_tells_no_interval(draw):
    found = ranks.rank_correlation(draw.normal(size=12), draw.normal(size=(12, 30)), influence=np.zeros((12, 1)))
    assert np.isfinite(found.observed.mean) and np.isnan([found.observed.low, found.surrogate_reliability]).all()
