"""Algorithms, code and toggles: the published numbers, slow twins, and intervals that hold the truth as often as they say."""

import itertools

import numpy as np
import pytest
import scipy.stats

from tests.diagnostics.draws import covered, stacked
from tfpg.diagnostics.statistics import factorials
from tfpg.errors import UserError

# Engstrom 2020, tables 2 and 3: the order of factorials.PRESETS.
PUBLISHED = {"Walker2d-v2": (3292, 2735, 2791, 3050), "Hopper-v2": (2513, 2142, 2043, 2466),
             "Humanoid-v2": (806, 674, 586, 1030)}
SPREAD = 550.0  # between agents, as the published intervals imply


@pytest.fixture
def draw():
    return np.random.default_rng(1)


def cells(draw, means, counts, spread=SPREAD):
    return {preset: mean + spread * draw.normal(size=count)
            for preset, mean, count in zip(factorials.PRESETS, means, counts, strict=True)}


# Algorithms and code-level optimisations


@pytest.mark.parametrize(("task", "aai", "acli"), [("Walker2d-v2", 242, 557), ("Hopper-v2", 99, 423), ("Humanoid-v2", 224, 444)])
def test_the_published_means_give_the_published_improvements(task, aai, acli):
    """Engstrom 2020, tables 2 and 3: Walker2d PPO − TRPO+ = 3292 − 3050 = 242, PPO − PPO-M = 3292 − 2735 = 557."""
    found = factorials.algorithm_and_code({preset: [mean] for preset, mean in zip(factorials.PRESETS, PUBLISHED[task], strict=True)})
    assert (found.aai.mean, found.acli.mean, found.difference.mean) == (aai, acli, acli - aai)
    assert np.isnan([found.aai.low, found.acli.high, found.difference.low, found.bias.aai]).all()  # one agent each


def test_missing_cells_are_named():
    with pytest.raises(UserError, match="no agent of ppo_m, trpo_plus has"):
        factorials.algorithm_and_code({"ppo": [1.0, 2.0], "trpo": [1.0], "trpo_plus": [np.nan], "ppo_noclip": [3.0]})


@pytest.mark.parametrize("count", [5, 80])
def test_the_bias_is_the_expected_largest_difference_of_equal_means(draw, count):
    """max(|X|, |Y|) = (|X + Y| + |X − Y|)/2, and E|N(0, 2τ²)| = 2τ/√π: so is the expected maximum. τ² = 2σ²/n."""
    scores = [(x - x.mean()) / x.std(ddof=1) for x in draw.normal(size=(4, count))]
    means = (5.0, 1.0, 2.0, 9.0)  # are taken out
    given = {preset: 550 * x + mean for preset, x, mean in zip(factorials.PRESETS, scores, means, strict=True)}
    found = factorials.algorithm_and_code(given)
    expected = 2 * 550 * np.sqrt(2 / count) / np.sqrt(np.pi)
    np.testing.assert_allclose(found.bias[:2], expected, rtol=0.06)  # 2000 resamples: ±.9 %; 5 agents are not quite normal
    assert abs(found.bias.difference) < 0.05 * expected
    np.testing.assert_allclose(found.aai.mean, max(abs(given["ppo"].mean() - given["trpo_plus"].mean()),
                                                   abs(given["ppo_m"].mean() - given["trpo"].mean())))


def test_the_standard_error_of_one_difference_that_stands_out_is_its_own(draw):
    """PPO − TRPO+ = 10: AAI is that difference whatever the resample, ACLI is |PPO − PPO-M|: σ√(2/n)."""
    given = cells(draw, (10, 0, 0, 0), (400,) * 4, spread=1)
    found = factorials.algorithm_and_code(given)
    for estimate, other in ((found.aai, "trpo_plus"), (found.acli, "ppo_m")):
        assert float(estimate.stderr) == pytest.approx(np.sqrt(given["ppo"].var() / 400 + given[other].var() / 400), rel=0.06)


@pytest.mark.parametrize("means", [(0, 0, 0, 0), PUBLISHED["Hopper-v2"], (1000, 500, 0, 500)])
@pytest.mark.parametrize("counts", [(3, 3, 3, 3), (20, 20, 20, 20), (3, 40, 5, 20)])
def test_the_intervals_of_the_improvements_cover(draw, means, counts):
    """400 simulations: no effect, the published one, and AAI equal to ACLI with both differences of either equal."""
    found = [factorials.algorithm_and_code(cells(draw, means, counts)) for _ in range(400)]
    ppo, ppo_m, trpo, trpo_plus = means
    aai = max(abs(ppo - trpo_plus), abs(ppo_m - trpo))
    acli = max(abs(ppo - ppo_m), abs(trpo_plus - trpo))
    for name, truth in (("aai", aai), ("acli", acli), ("difference", acli - aai)):
        assert covered(stacked([getattr(each, name) for each in found]), truth) >= 0.92
    assert found[0].agents == counts and int(found[0].aai.count) == sum(counts)


# Factorials


def test_one_minus_the_cdf_counts_those_that_reach_a_score():
    found = factorials.one_minus_cdf([3.0, 1.0, 2.0, 2.0, np.nan])
    np.testing.assert_array_equal(found.levels, [1, 2, 3])
    np.testing.assert_array_equal(found.share.mean, [1, 0.75, 0.25])
    np.testing.assert_array_equal(found.share.count, 4)
    assert factorials.one_minus_cdf([]).share.mean.shape == (0,)


def test_each_level_has_the_exact_binomial_interval(draw):
    scores = draw.integers(0, 6, 11)
    found = factorials.one_minus_cdf(scores)
    for level, low, high in zip(found.levels, found.share.low, found.share.high, strict=True):
        exact = scipy.stats.binomtest(int((scores >= level).sum()), 11).proportion_ci(0.95, "exact")
        np.testing.assert_allclose([low, high], [exact.low, exact.high], rtol=1e-9)


def test_the_band_of_one_minus_the_cdf_covers_at_a_level(draw):
    """Scores 0 or 1, the latter with .3: 2000 simulations of 9 agents of whom some have 1."""
    scores = 1.0 * (draw.random((2000, 9)) < 0.3)
    found = [factorials.one_minus_cdf(each).share for each in scores[scores.any(-1)]]
    assert np.mean([share.low[-1] <= 0.3 <= share.high[-1] for share in found]) >= 0.95


def factorial(draw, effects, count, spread):
    names = sorted(effects)
    return {frozenset(on): sum(effects[name] for name in on) + spread * draw.normal(size=count)
            for size in range(len(names) + 1) for on in itertools.combinations(names, size)}


def test_main_effects_of_a_full_factorial_are_what_each_toggle_adds(draw):
    effects = {"anneal": 50.0, "orthogonal": 100.0, "reward_scaling": 400.0, "value_clip": 0.0}
    found = factorials.toggles(factorial(draw, effects, 2, 0.0))
    assert list(found) == sorted(effects)
    for name, toggle in found.items():
        assert float(toggle.effect.mean) == pytest.approx(effects[name]) and toggle.balanced
        assert (toggle.agents_on, toggle.agents_off, int(toggle.effect.count)) == (16, 16, 32)
        assert len(toggle.on) == len(toggle.off) == 16


def test_a_toggle_pools_the_scores_with_it_and_without():
    found = factorials.toggles({frozenset(): [1.0, 2.0], frozenset({"a"}): [3.0, 5.0], frozenset({"b"}): [7.0, 8.0],
                            frozenset({"a", "b"}): [9.0, 13.0]})["a"]
    assert (sorted(found.on), sorted(found.off)) == ([3, 5, 9, 13], [1, 2, 7, 8])
    ends = scipy.stats.ttest_ind([3, 5, 9, 13], [1, 2, 7, 8], equal_var=False).confidence_interval(0.95)
    np.testing.assert_allclose([found.effect.mean, found.effect.low, found.effect.high], [3, *ends])


def test_an_unfinished_factorial_says_so():
    """Without the cell {a, b} b's effect, 10, counts against a: 1 − (0 + 10)/2 = −4 in place of 1."""
    settings = [frozenset(), frozenset("a"), frozenset("b"), frozenset("ab")]
    found = factorials.toggles(dict(zip(settings, ([0.0], [1.0], [10.0], [np.nan]), strict=True)))
    assert float(found["a"].effect.mean) == -4 and not found["a"].balanced
    assert (found["a"].agents_on, found["a"].agents_off) == (1, 2) and np.isnan(found["a"].effect.low)


def test_cells_of_unequal_numbers_are_balanced_where_the_shares_of_the_others_are_equal():
    settings = [frozenset(), frozenset("a"), frozenset("b"), frozenset("ab")]
    found = factorials.toggles(dict(zip(settings, ([0.0] * 2, [1.0] * 4, [10.0], [11.0] * 2), strict=True)))
    assert found["a"].balanced and found["b"].balanced
    assert (float(found["a"].effect.mean), float(found["b"].effect.mean)) == pytest.approx((1, 10))


def test_a_toggle_that_is_always_on_has_no_effect_to_show():
    found = factorials.toggles({frozenset({"a"}): [1.0, 2.0]})["a"]
    assert (found.agents_on, found.agents_off, found.balanced) == (2, 0, False) and np.isnan(found.effect.mean)


def test_the_interval_of_a_main_effect_covers(draw):
    """400 simulations of 2⁴ cells of two agents, spread 550. The others' effects widen it, so that it covers more."""
    effects = {"anneal": 50.0, "orthogonal": 300.0, "reward_scaling": 800.0, "value_clip": 0.0}
    found = [factorials.toggles(factorial(draw, effects, 2, 550.0)) for _ in range(400)]
    for name, effect in effects.items():
        assert covered(stacked([each[name].effect for each in found]), effect) >= 0.92
