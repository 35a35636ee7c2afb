"""P(few episodes order two points rightly): closed forms, and truths that the tested episodes had no part in."""

import time

import numpy as np
import pytest
from scipy.special import ndtr

from tfpg.diagnostics.statistics import orderings
from tfpg.errors import UserError


@pytest.fixture
def draw():
    return np.random.default_rng(3)


def test_two_normal_points_are_ordered_as_the_closed_form_says(draw):
    """P = Φ(Δ/(σ√(2/m))), Δ = 1, σ = 3: .593, .702, .854 for m = 1, 5, 20. 40,000 episodes make the standard errors
    √(p(1−p)m/20000)/√2: below .008."""
    sizes = [1, 5, 20]
    found = orderings.ordering(np.array([[0.0], [1]]) + 3 * draw.normal(size=(2, 40_000)), sizes)
    np.testing.assert_allclose(found.probability.mean, ndtr(1 / (3 * np.sqrt(2 / np.array(sizes)))), atol=0.025)
    np.testing.assert_array_equal(found.probability.mean, found.agreement.mean)
    assert found.resolved == 1 and (found.probability.count == 1).all()


def test_points_of_pure_noise_are_ordered_by_chance(draw):
    """Fails where tested episodes have a part in the reference: of 40 episodes, groups of 20 that belonged to it would
    agree with it 3 times in 4 (corr(R̄₂₀, R̄₄₀) = √½; ½ + arcsin(√½)/π = .75)."""
    returns = draw.normal(size=(120, 40))
    found = orderings.ordering(returns, [1, 5, 20])
    np.testing.assert_allclose(found.agreement.mean, 0.5, atol=0.05)
    np.testing.assert_allclose(found.probability.mean, 0.5, atol=0.15)
    assert (found.agreement.low < 0.5).all() and (found.agreement.high > 0.5).all()
    assert 0.02 < found.resolved < 0.1  # as |z| ≥ 2 is by chance: 4.6 % (Student's t of 20 episodes: 6 %)
    overlapping = orderings.ordering(returns[:, :20], [20], reference=returns)  # what must not be done
    np.testing.assert_allclose(overlapping.agreement.mean, 0.75, atol=0.05)


def test_the_average_over_points_is_the_closed_forms(draw):
    """J ~ N(0, 1), σ = 4: E Φ(|Δ|/(4√(2/m))), Δ ~ N(0, 2), which is ½ + arctan(√m/4)/π (the angle of two normals).
    The reference is as good as known; 60 simulations, of 25 points each."""
    sizes = np.array([5, 20, 40])
    truth = 0.5 + np.arctan(np.sqrt(sizes) / 4) / np.pi
    hits, means = 0, []
    for _ in range(60):
        points = draw.normal(size=(25, 1))
        found = orderings.ordering(points + 4 * draw.normal(size=(25, 40)), sizes,
                                   reference=points + 0.01 * draw.normal(size=(25, 9))).agreement
        hits += (found.low <= truth) & (truth <= found.high)
        means.append(found.mean)
    np.testing.assert_allclose(np.mean(means, 0), truth, atol=0.02)
    assert (hits / 60 >= 0.87).all()  # 2.8 % is the standard error of 95 %


def test_the_reference_must_know_an_order_for_it_to_count(draw):
    """Two clusters of points, far apart and within themselves equal: half the pairs and a bit are resolved, and ordered
    rightly always; the others agree with their guess by chance: about ½ + ½·½ over all."""
    returns = np.repeat([0.0, 100], 20)[:, np.newaxis] + draw.normal(size=(40, 60))
    found = orderings.ordering(returns, [10])
    across = 20 * 20 / (40 * 39 / 2)
    assert across < found.resolved < across + 0.06
    np.testing.assert_allclose(found.agreement.mean, across + (1 - across) / 2, atol=0.03)
    assert found.probability.mean > 0.95
    found = orderings.ordering(returns, [10], edges=[0, 50, 200])
    np.testing.assert_allclose(found.by_gap.mean[0, 1], 1)
    assert found.resolved_by_gap[1] == 1 and found.resolved_by_gap[0] < 0.1 and found.by_gap.count[0, 1] == 400
    np.testing.assert_allclose(found.gaps[1], 100, atol=2)


def test_wide_gaps_are_ordered_more_often(draw):
    """In bins of |Δ| the closed form at the mean gap, in the limit of a good reference."""
    points = draw.normal(size=(60, 1)) * 2
    found = orderings.ordering(points + 4 * draw.normal(size=(60, 400)), [8], reference=points + np.zeros((60, 2)))
    assert found.resolved == 1 and np.all(np.diff(found.by_gap.mean[0]) > 0)
    np.testing.assert_allclose(found.by_gap.mean[0], ndtr(found.gaps / (4 * np.sqrt(2 / 8))), atol=0.03)
    np.testing.assert_allclose(found.by_gap.count[0], 60 * 59 / 2 / 6, atol=1)


def test_equal_means_count_a_half():
    returns = np.tile([[0.0], [0.0], [1.0]], 8)
    found = orderings.ordering(returns, [2])
    np.testing.assert_allclose(found.agreement.mean, (0.5 + 1 + 1) / 3)
    np.testing.assert_allclose([found.resolved, found.probability.mean[0]], [2 / 3, 1])


def test_sizes_beyond_the_tested_episodes_and_points_not_computed_give_nan(draw):
    returns = draw.normal(size=(6, 20)) + 10 * np.arange(6.0)[:, np.newaxis]
    found = orderings.ordering(returns, [10, 11])
    assert np.isfinite(found.probability.mean[0]) and np.isnan(found.probability.mean[1])
    assert list(found.probability.count) == [15, 0] and np.isnan(found.by_gap.low[1]).all()
    holed = returns.copy()
    holed[4:] = np.nan
    part, whole = orderings.ordering(holed, [5]), orderings.ordering(returns[:4], [5])
    assert (part.agreement, part.resolved) == (whole.agreement, whole.resolved)
    nothing = orderings.ordering(np.full((6, 20), np.nan), [5])
    assert np.isnan([nothing.agreement.mean[0], nothing.resolved, *nothing.by_gap.mean[0]]).all()


def test_what_cannot_be_ordered_is_refused():
    returns = np.zeros((3, 20))
    for sizes, reference, words in (([0], None, "1 episode each"), ([1], np.zeros((4, 9)), "4 points, the returns 3"),
                                    ([1], np.zeros((3, 1)), "2 episodes a point")):
        with pytest.raises(UserError, match=words):
            orderings.ordering(returns, sizes, reference=reference)


def test_a_large_plane_is_ordered_in_seconds(draw):
    """441 points of 300 episodes took .9 s and 60 MB."""
    begin = time.process_time()
    orderings.ordering(draw.normal(size=(441, 300)), [8, 25, 100])
    assert time.process_time() - begin < 10


def test_episodes_needed_follow_from_what_was_measured_where_points_differ_in_spread(draw):
    """30 points with J 0 and spread 1 and 10 with J 2 and spread 5: pairs of both kinds lie 2 apart with variance 26, so
    m = 1.645² 26/4 = 17.6. A spread pooled over the plane, √7, would say 9.5."""
    height, spread = np.repeat([0.0, 2.0], [30, 10]), np.repeat([1.0, 5.0], [30, 10])
    returns = height[:, np.newaxis] + spread[:, np.newaxis] * draw.normal(size=(40, 4000))
    reference = height[:, np.newaxis] + 0.01 * draw.normal(size=(40, 20))
    found = orderings.ordering(returns, [4, 8, 16], reference=reference, edges=np.array([1.0, 3.0]))
    needed = orderings.episodes_for(found)
    np.testing.assert_allclose(needed.mean, 17.6, rtol=0.05)
    assert needed.low < needed.mean < needed.high and needed.count == 300


def test_where_order_is_chance_no_number_of_episodes_is_known_to_be_enough(draw):
    reference = np.linspace(0, 1, 30)[:, np.newaxis] + 0.001 * draw.normal(size=(30, 20))
    found = orderings.ordering(draw.normal(size=(30, 64)), [2, 8], reference=reference, bins=2)
    assert np.isinf(orderings.episodes_for(found).high).all()
