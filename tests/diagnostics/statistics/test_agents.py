"""Scores of agents: closed forms, slow twins, and intervals that hold the truth as often as they say.

Coverage is wanted to be 90 % at least where 95 % is nominal; k simulations have a standard error of √(.95·.05/k)."""


import numpy as np
import pytest
import scipy.stats

from tests.diagnostics.draws import bimodal, bimodal_mean, covered, stacked
from tfpg.diagnostics.statistics import agents, resampling
from tfpg.errors import UserError

SPREAD = 550.0  # between agents, as the published intervals imply


@pytest.fixture
def draw():
    return np.random.default_rng(1)


# Means


def test_the_band_of_many_agents_is_the_bootstraps():
    values = np.random.default_rng(0).exponential(size=(24, 2))
    found = agents.of_agents(values)
    expected = scipy.stats.bootstrap((values[:, 0],), np.mean, method="BCa", rng=0).confidence_interval
    np.testing.assert_allclose([found.low[0], found.high[0]], expected, atol=0.05)
    assert found.high[0] - found.mean[0] > found.mean[0] - found.low[0]  # skewed, as Student's t is not


def test_the_band_of_few_agents_is_students_of_those_that_have_a_value():
    found = agents.of_agents(np.array([[0.0, 1.0], [10.0, np.nan], [30.0, np.nan]]))
    low, high = scipy.stats.t.interval(0.95, 2, 40 / 3, scipy.stats.sem([0, 10, 30]))
    np.testing.assert_allclose([found.mean, found.low, found.high], [[40 / 3, 1], [low, np.nan], [high, np.nan]])
    np.testing.assert_array_equal(found.count, [3, 1])


# Interquartile means


@pytest.mark.parametrize("count", range(1, 26))
def test_the_interquartile_mean_is_the_fields(draw, count):
    values = draw.exponential(size=(count, 3))
    found = agents.iqm(values)
    np.testing.assert_allclose(found.mean, scipy.stats.trim_mean(values, 0.25, axis=0), rtol=1e-12)  # as rliable has it
    assert (found.count == count).all()


@pytest.mark.parametrize("count", range(6, 20))
def test_the_interval_of_a_trimmed_mean_is_yuens_against_a_constant(draw, count):
    """Against zeros, Yuen's two-sample t for trimmed means has the one sample's standard error and h − 1 degrees."""
    values = draw.exponential(size=count)
    found = agents.iqm(values)
    oracle = scipy.stats.ttest_ind(values, np.zeros(count), equal_var=False, trim=0.25)
    np.testing.assert_allclose(found.stderr, found.mean / oracle.statistic, rtol=1e-9)
    half = scipy.stats.t.ppf(0.975, oracle.df) * found.stderr
    np.testing.assert_allclose([found.low, found.high], [found.mean - half, found.mean + half], rtol=1e-9)


@pytest.mark.parametrize(("scores", "middle"), [([1, 2, 4, 50], 3), ([1, 2, 3, 7, 50], 4)])  # (2 + 4)/2, (2 + 3 + 7)/3
def test_fewer_than_six_agents_have_the_standard_error_of_the_mean(scores, middle):
    found = agents.iqm(np.array(scores))
    half = scipy.stats.t.ppf(0.975, len(scores) - 1) * scipy.stats.sem(scores)
    np.testing.assert_allclose([found.mean, found.low, found.high], [middle, middle - half, middle + half])


def test_three_agents_have_their_mean(draw):
    values = draw.normal(size=(3, 4))
    for found, expected in zip(agents.iqm(values), agents.of_agents(values), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_interval_of_many_agents_is_the_percentile_bootstraps(draw):
    values = draw.exponential(size=(21, 2))
    found = agents.iqm(values)
    middle = [np.sort(np.sort(values[:, 1])[drawn])[5:16].mean()  # 21 agents: ⌊21/4⌋ = 5 cut off at each end
              for drawn in np.random.default_rng(0).integers(0, 21, (resampling.RESAMPLES, 21))]
    np.testing.assert_allclose([found.low[1], found.high[1]], np.quantile(middle, [0.025, 0.975]), rtol=1e-12)


def test_agents_without_a_value_are_left_out_of_the_interquartile_mean(draw):
    values = draw.normal(size=(24, 2, 3))
    values[:3, 1, 2], values[:, 0, 0] = [np.nan, np.inf, np.nan], np.nan
    found = agents.iqm(values)
    for field, expected in zip(found, agents.iqm(values[3:, 1, 2]), strict=True):
        np.testing.assert_allclose(field[1, 2], expected, rtol=1e-12)
    assert found.mean.shape == (2, 3) and np.isnan([field[0, 0] for field in found[:4]]).all()
    np.testing.assert_array_equal(found.count, [[0, 24, 24], [24, 24, 21]])
    assert np.isnan(agents.iqm(np.empty(0)).mean) and np.isnan(agents.iqm(np.array([2.0])).low)


def test_one_agent_that_fell_far_does_not_move_the_interquartile_mean(draw):
    values = draw.normal(size=12)
    values[values.argmin()] = -1e6
    assert abs(agents.iqm(values).mean) < 1 and agents.iqm(values).stderr < 1


@pytest.mark.parametrize("count", [3, 4, 5, 6, 8, 12, 19])
def test_the_interval_of_few_interquartile_means_covers(draw, count):
    """2000 simulations. A uniform quantile function's middle half has mean ½; of the exponential's, −log(1 − q):
    2 ∫ −log u du over [¼, ¾] = 2 [u − u log u] = 1 − 1.5 log .75 + .5 log .25."""
    exponential = 1 - 1.5 * np.log(0.75) + 0.5 * np.log(0.25)
    assert covered(agents.iqm(draw.exponential(size=(count, 2000))), exponential) >= 0.9
    assert covered(agents.iqm(draw.normal(size=(count, 2000))), 0) >= 0.92


def test_the_interval_of_many_interquartile_means_covers(draw):
    """500 simulations of 20 agents: standard error 1 %."""
    exponential = 1 - 1.5 * np.log(0.75) + 0.5 * np.log(0.25)
    assert covered(agents.iqm(draw.exponential(size=(20, 500))), exponential) >= 0.9


# Differences


@pytest.mark.parametrize(("ours", "theirs"), [(3, 4), (2, 60), (60, 19)])
def test_the_difference_of_few_agents_is_welchs(draw, ours, theirs):
    first, second = draw.normal(1, 1, ours), draw.normal(0, 3, theirs)
    found = agents.difference(first, second)
    ends = scipy.stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    np.testing.assert_allclose([found.mean, found.low, found.high], [first.mean() - second.mean(), *ends], rtol=1e-9)
    assert found.count == ours + theirs


def test_the_difference_of_many_agents_is_the_symmetric_bootstrap_t(draw):
    first, second = draw.exponential(size=20), draw.normal(size=25)
    found = agents.difference(first, second)
    draws = [np.random.default_rng(stream).integers(0, n, (resampling.RESAMPLES, n)) for stream, n in enumerate((20, 25))]
    largest = []
    for one, other in zip(first[draws[0]], second[draws[1]], strict=True):
        error = one.mean() - other.mean() - (first.mean() - second.mean())
        largest.append(abs(error) / np.sqrt(one.var(ddof=1) / 20 + other.var(ddof=1) / 25))
    half = np.quantile(largest, 0.95, method="higher") * np.sqrt(first.var(ddof=1) / 20 + second.var(ddof=1) / 25)
    np.testing.assert_allclose([found.low, found.high], [found.mean - half, found.mean + half], rtol=1e-9)


@pytest.mark.parametrize(("ours", "theirs"), [(3, 3), (20, 20), (20, 40)])
def test_the_interval_of_a_difference_covers(draw, ours, theirs):
    """500 simulations, spreads 1 and 3."""
    found = [agents.difference(draw.normal(2, 1, ours), draw.normal(0, 3, theirs)) for _ in range(500)]
    assert covered(stacked(found), 2) >= 0.92


@pytest.mark.parametrize(("ours", "theirs"), [(20, 20), (20, 40)])
def test_the_interval_of_a_difference_of_many_bimodal_agents_covers(draw, ours, theirs):
    """500 simulations; one falls in 5 %, the other in 20. Three agents of either show too few falls: 58 %."""
    found = [agents.difference(bimodal(draw, ours, 0.05), bimodal(draw, theirs, 0.2)) for _ in range(500)]
    assert covered(stacked(found), bimodal_mean(0.05) - bimodal_mean(0.2)) >= 0.92


def test_groups_that_do_not_vary_differ_by_a_number():
    found = agents.difference(np.full(20, 3.0), np.full(30, 1.0))
    assert tuple(map(float, found)) == (2, 0, 2, 2, 50)


def test_where_too_many_resamples_do_not_vary_the_interval_is_welchs():
    """One agent in 20 is different: a resample of both groups lacks it with probability (.95²⁰)² = .13 > .05."""
    first, second = 2 * np.eye(1, 20)[0], 0.1 + np.eye(1, 20)[0]
    ends = scipy.stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    np.testing.assert_allclose(agents.difference(first, second)[2:4], ends)


def test_one_agent_has_a_difference_and_no_interval_and_none_has_nothing():
    one, none = agents.difference([1.0], [3.0, 4.0, np.nan]), agents.difference([np.nan], [1.0, 2.0])
    assert (float(one.mean), int(one.count), int(none.count)) == (-2.5, 3, 0)
    assert np.isnan([one.low, one.high, none.mean, none.low]).all()


@pytest.mark.parametrize("count", [5, 30])
def test_paired_differences_are_of_each_agent_with_itself(draw, count):
    own = 100 * draw.normal(size=(count, 2))
    first, second = own + draw.normal(1, 1, own.shape), own
    found = agents.paired_difference(first, second)
    np.testing.assert_array_equal(found.count, count)
    assert (found.high - found.low < 6).all() and ((found.low < 1) & (found.high > 1)).all()
    assert (agents.difference(first[:, 0], second[:, 0]).stderr > 10).all()
    if count == 5:
        ends = scipy.stats.ttest_rel(first[:, 0], second[:, 0]).confidence_interval(0.95)
        np.testing.assert_allclose([found.low[0], found.high[0]], ends)


def test_agents_of_other_numbers_are_not_paired():
    with pytest.raises(UserError, match="unpaired"):
        agents.paired_difference(np.zeros(3), np.zeros(4))
