"""Scores of agents: closed forms, slow twins, and intervals that hold the truth as often as they say.

Coverage is wanted to be 90 % at least where 95 % is nominal; k simulations have a standard error of √(.95·.05/k)."""

import itertools

import numpy as np
import pytest
import scipy.stats

from tests.diagnostics.draws import bimodal, bimodal_mean, covered
from tfpg.diagnostics.statistics import agents, resampling
from tfpg.diagnostics.statistics.estimates import Estimate
from tfpg.errors import UserError
from tfpg.report import metrics

# Engstrom 2020, tables 2 and 3: the order of agents.PRESETS.
PUBLISHED = {"Walker2d-v2": (3292, 2735, 2791, 3050), "Hopper-v2": (2513, 2142, 2043, 2466),
             "Humanoid-v2": (806, 674, 586, 1030)}
SPREAD = 550.0  # between agents, as the published intervals imply


@pytest.fixture
def draw():
    return np.random.default_rng(1)


def stacked(found):
    return Estimate(*map(np.array, zip(*found, strict=True)))


def cells(draw, means, counts, spread=SPREAD):
    return {preset: mean + spread * draw.normal(size=count)
            for preset, mean, count in zip(agents.PRESETS, means, counts, strict=True)}


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


# Algorithms and code-level optimisations


@pytest.mark.parametrize(("task", "aai", "acli"), [("Walker2d-v2", 242, 557), ("Hopper-v2", 99, 423), ("Humanoid-v2", 224, 444)])
def test_the_published_means_give_the_published_improvements(task, aai, acli):
    """Engstrom 2020, tables 2 and 3: Walker2d PPO − TRPO+ = 3292 − 3050 = 242, PPO − PPO-M = 3292 − 2735 = 557."""
    found = agents.algorithm_and_code({preset: [mean] for preset, mean in zip(agents.PRESETS, PUBLISHED[task], strict=True)})
    assert (found.aai.mean, found.acli.mean, found.difference.mean) == (aai, acli, acli - aai)
    assert np.isnan([found.aai.low, found.acli.high, found.difference.low, found.bias.aai]).all()  # one agent each


def test_missing_cells_are_named():
    with pytest.raises(UserError, match="no agent of ppo_m, trpo_plus has"):
        agents.algorithm_and_code({"ppo": [1.0, 2.0], "trpo": [1.0], "trpo_plus": [np.nan], "ppo_noclip": [3.0]})


@pytest.mark.parametrize("count", [5, 80])
def test_the_bias_is_the_expected_largest_difference_of_equal_means(draw, count):
    """max(|X|, |Y|) = (|X + Y| + |X − Y|)/2, and E|N(0, 2τ²)| = 2τ/√π: so is the expected maximum. τ² = 2σ²/n."""
    scores = [(x - x.mean()) / x.std(ddof=1) for x in draw.normal(size=(4, count))]
    means = (5.0, 1.0, 2.0, 9.0)  # are taken out
    given = {preset: 550 * x + mean for preset, x, mean in zip(agents.PRESETS, scores, means, strict=True)}
    found = agents.algorithm_and_code(given)
    expected = 2 * 550 * np.sqrt(2 / count) / np.sqrt(np.pi)
    np.testing.assert_allclose(found.bias[:2], expected, rtol=0.06)  # 2000 resamples: ±.9 %; 5 agents are not quite normal
    assert abs(found.bias.difference) < 0.05 * expected
    np.testing.assert_allclose(found.aai.mean, max(abs(given["ppo"].mean() - given["trpo_plus"].mean()),
                                                   abs(given["ppo_m"].mean() - given["trpo"].mean())))


def test_the_standard_error_of_one_difference_that_stands_out_is_its_own(draw):
    """PPO − TRPO+ = 10: AAI is that difference whatever the resample, ACLI is |PPO − PPO-M|: σ√(2/n)."""
    given = cells(draw, (10, 0, 0, 0), (400,) * 4, spread=1)
    found = agents.algorithm_and_code(given)
    for estimate, other in ((found.aai, "trpo_plus"), (found.acli, "ppo_m")):
        assert float(estimate.stderr) == pytest.approx(np.sqrt(given["ppo"].var() / 400 + given[other].var() / 400), rel=0.06)


@pytest.mark.parametrize("means", [(0, 0, 0, 0), PUBLISHED["Hopper-v2"], (1000, 500, 0, 500)])
@pytest.mark.parametrize("counts", [(3, 3, 3, 3), (20, 20, 20, 20), (3, 40, 5, 20)])
def test_the_intervals_of_the_improvements_cover(draw, means, counts):
    """400 simulations: no effect, the published one, and AAI equal to ACLI with both differences of either equal."""
    found = [agents.algorithm_and_code(cells(draw, means, counts)) for _ in range(400)]
    ppo, ppo_m, trpo, trpo_plus = means
    aai = max(abs(ppo - trpo_plus), abs(ppo_m - trpo))
    acli = max(abs(ppo - ppo_m), abs(trpo_plus - trpo))
    for name, truth in (("aai", aai), ("acli", acli), ("difference", acli - aai)):
        assert covered(stacked([getattr(each, name) for each in found]), truth) >= 0.92
    assert found[0].agents == counts and int(found[0].aai.count) == sum(counts)


# Factorials


def test_one_minus_the_cdf_counts_those_that_reach_a_score():
    found = agents.one_minus_cdf([3.0, 1.0, 2.0, 2.0, np.nan])
    np.testing.assert_array_equal(found.levels, [1, 2, 3])
    np.testing.assert_array_equal(found.share.mean, [1, 0.75, 0.25])
    np.testing.assert_array_equal(found.share.count, 4)
    assert agents.one_minus_cdf([]).share.mean.shape == (0,)


def test_each_level_has_the_exact_binomial_interval(draw):
    scores = draw.integers(0, 6, 11)
    found = agents.one_minus_cdf(scores)
    for level, low, high in zip(found.levels, found.share.low, found.share.high, strict=True):
        exact = scipy.stats.binomtest(int((scores >= level).sum()), 11).proportion_ci(0.95, "exact")
        np.testing.assert_allclose([low, high], [exact.low, exact.high], rtol=1e-9)


def test_the_band_of_one_minus_the_cdf_covers_at_a_level(draw):
    """Scores 0 or 1, the latter with .3: 2000 simulations of 9 agents of whom some have 1."""
    scores = 1.0 * (draw.random((2000, 9)) < 0.3)
    found = [agents.one_minus_cdf(each).share for each in scores[scores.any(-1)]]
    assert np.mean([share.low[-1] <= 0.3 <= share.high[-1] for share in found]) >= 0.95


def factorial(draw, effects, count, spread):
    names = sorted(effects)
    return {frozenset(on): sum(effects[name] for name in on) + spread * draw.normal(size=count)
            for size in range(len(names) + 1) for on in itertools.combinations(names, size)}


def test_main_effects_of_a_full_factorial_are_what_each_toggle_adds(draw):
    effects = {"anneal": 50.0, "orthogonal": 100.0, "reward_scaling": 400.0, "value_clip": 0.0}
    found = agents.toggles(factorial(draw, effects, 2, 0.0))
    assert list(found) == sorted(effects)
    for name, toggle in found.items():
        assert float(toggle.effect.mean) == pytest.approx(effects[name]) and toggle.balanced
        assert (toggle.agents_on, toggle.agents_off, int(toggle.effect.count)) == (16, 16, 32)
        assert len(toggle.on) == len(toggle.off) == 16


def test_a_toggle_pools_the_scores_with_it_and_without():
    found = agents.toggles({frozenset(): [1.0, 2.0], frozenset({"a"}): [3.0, 5.0], frozenset({"b"}): [7.0, 8.0],
                            frozenset({"a", "b"}): [9.0, 13.0]})["a"]
    assert (sorted(found.on), sorted(found.off)) == ([3, 5, 9, 13], [1, 2, 7, 8])
    ends = scipy.stats.ttest_ind([3, 5, 9, 13], [1, 2, 7, 8], equal_var=False).confidence_interval(0.95)
    np.testing.assert_allclose([found.effect.mean, found.effect.low, found.effect.high], [3, *ends])


def test_an_unfinished_factorial_says_so():
    """Without the cell {a, b} b's effect, 10, counts against a: 1 − (0 + 10)/2 = −4 in place of 1."""
    settings = [frozenset(), frozenset("a"), frozenset("b"), frozenset("ab")]
    found = agents.toggles(dict(zip(settings, ([0.0], [1.0], [10.0], [np.nan]), strict=True)))
    assert float(found["a"].effect.mean) == -4 and not found["a"].balanced
    assert (found["a"].agents_on, found["a"].agents_off) == (1, 2) and np.isnan(found["a"].effect.low)


def test_cells_of_unequal_numbers_are_balanced_where_the_shares_of_the_others_are_equal():
    settings = [frozenset(), frozenset("a"), frozenset("b"), frozenset("ab")]
    found = agents.toggles(dict(zip(settings, ([0.0] * 2, [1.0] * 4, [10.0], [11.0] * 2), strict=True)))
    assert found["a"].balanced and found["b"].balanced
    assert (float(found["a"].effect.mean), float(found["b"].effect.mean)) == pytest.approx((1, 10))


def test_a_toggle_that_is_always_on_has_no_effect_to_show():
    found = agents.toggles({frozenset({"a"}): [1.0, 2.0]})["a"]
    assert (found.agents_on, found.agents_off, found.balanced) == (2, 0, False) and np.isnan(found.effect.mean)


def test_the_interval_of_a_main_effect_covers(draw):
    """400 simulations of 2⁴ cells of two agents, spread 550. The others' effects widen it, so that it covers more."""
    effects = {"anneal": 50.0, "orthogonal": 300.0, "reward_scaling": 800.0, "value_clip": 0.0}
    found = [agents.toggles(factorial(draw, effects, 2, 550.0)) for _ in range(400)]
    for name, effect in effects.items():
        assert covered(stacked([each[name].effect for each in found]), effect) >= 0.92


# Scores of one agent


def test_the_final_score_is_of_the_last_five_iterations_that_have_a_return():
    returns = np.array([100.0, 1, 2, np.nan, 3, 4, np.nan, 5, np.nan])
    assert float(agents.final_score(returns)) == 3
    assert float(agents.final_score(returns[:2])) == 50.5 and np.isnan(agents.final_score(returns[3:4]))


def test_runs_of_unequal_length_have_their_own_last_iterations():
    returns = np.array([np.arange(8.0), [9, 8, 7, 6, 5, 4, np.nan, np.nan]])
    np.testing.assert_array_equal(agents.final_score(returns), [5, 6])


def test_with_the_episodes_the_final_score_is_the_runs_own(draw):
    returns, episodes = draw.normal(size=12), draw.integers(1, 9, 12)
    rows = [{"rollout/return": r, "rollout/episodes": float(m)} for r, m in zip(returns, episodes, strict=True)]
    expected = metrics.final_scores(rows)
    assert float(agents.final_score(returns, episodes)) == pytest.approx(expected["final/return"])
    assert float(agents.maximum_score(returns)) == expected["final/best_return"]
    assert agents.FINAL_ITERATIONS == metrics.FINAL_ITERATIONS


def test_episodes_of_iterations_without_a_return_do_not_count():
    assert float(agents.final_score([2.0, np.nan, 4.0], [1, 0, 3])) == 3.5
    assert float(agents.final_score([2.0, np.nan, 4.0], [1, np.nan, 3])) == 3.5


def test_the_maximum_score_is_of_what_is_known():
    np.testing.assert_array_equal(agents.maximum_score([[1, np.nan, 3], [np.nan] * 3, [-2, -1, -5]]), [3, np.nan, -1])
    assert np.isnan(agents.maximum_score([]))


def test_curves_are_linear_between_an_agents_own_points_and_end_with_them():
    found = agents.aligned([([0, 10, 20], [0.0, 1.0, 3.0]), ([5, 10], [4.0, 8.0])])
    np.testing.assert_array_equal(found.env_steps, [0, 5, 10, 20])
    np.testing.assert_allclose(found.values, [[0, 0.5, 1, 3], [np.nan, 4, 8, np.nan]])
    np.testing.assert_array_equal(found.agents, [1, 2, 2, 1])


def test_a_grid_of_ones_own_is_kept_and_points_without_a_value_are_passed_over():
    curves = [([0, 10, 20, 30], [0.0, np.nan, 4.0, np.nan]), ([0, 10], [np.nan, np.nan])]
    found = agents.aligned(curves, np.array([0, 10, 20, 25]))
    np.testing.assert_allclose(found.values, [[0, 2, 4, np.nan], [np.nan] * 4])
    np.testing.assert_array_equal(found.agents, [1, 1, 1, 0])


def test_curves_of_the_same_steps_stay_as_they_are(draw):
    steps, values = 2048 * np.arange(1, 9), draw.normal(size=(3, 8))
    found = agents.aligned([(steps, own) for own in values])
    np.testing.assert_array_equal(found.values, values)
    np.testing.assert_allclose(agents.iqm(found.values).mean, values.mean(0))


@pytest.mark.parametrize(("curves", "words"), [
    ([], "no learning curves"), ([([1, 2], [1.0])], "Agent 0"), ([([1], [1.0]), ([2, 2], [1.0, 2.0])], "agent 1 do not ascend")])
def test_curves_that_are_none_are_refused(curves, words):
    with pytest.raises(UserError, match=words):
        agents.aligned(curves)
