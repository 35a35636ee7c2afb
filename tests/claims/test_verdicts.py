"""Does a verdict say no more than the data do? Simulated studies with known truth."""

import math

import numpy as np
import pytest
import scipy.stats

from tfpg.claims.verdicts import FAILS, HOLDS, UNDECIDED, Bound, agents_needed, judge, of_scores, together
from tfpg.diagnostics.statistics.estimates import Estimate


def judged(low, high, bound, agents=5):
    middle = (low + high) / 2
    return judge("x", "Task-v0", ["ppo"], Estimate(middle, 1.0, low, high, agents), bound, agents=agents).verdict


@pytest.mark.parametrize(("low", "high", "above", "below"), [
    (1.1, 2.0, HOLDS, FAILS), (0.2, 0.9, FAILS, HOLDS), (0.5, 1.5, UNDECIDED, UNDECIDED), (1.0, 2.0, UNDECIDED, UNDECIDED),
    (math.nan, math.nan, UNDECIDED, UNDECIDED)])
def test_an_interval_decides_where_it_leaves_the_margin_out(low, high, above, below):
    assert judged(low, high, Bound(True, 1.0)) == above
    assert judged(low, high, Bound(False, 1.0)) == below


@pytest.mark.parametrize("agents", [0, 1, 2])
def test_fewer_than_three_agents_decide_nothing(agents):
    assert judged(5.0, 6.0, Bound(True, 1.0), agents) == UNDECIDED


@pytest.mark.parametrize(("parts", "whole"), [
    ([HOLDS, HOLDS], HOLDS), ([HOLDS, UNDECIDED], UNDECIDED), ([HOLDS, FAILS], FAILS), ([UNDECIDED, FAILS], FAILS), ([], UNDECIDED)])
def test_a_claim_of_several_parts_holds_where_all_do(parts, whole):
    ends = {HOLDS: (2.0, 3.0), FAILS: (-1.0, 0.0), UNDECIDED: (0.5, 1.5)}
    statements = [judge("x", "Task-v0", ["ppo"], Estimate(0.0, 1.0, *ends[part], 5), Bound(True, 1.0), agents=5) for part in parts]
    assert together("C0", "Task-v0", statements).verdict == whole


# Simulations of many agents take seconds each.
MANY = [pytest.param(agents, marks=pytest.mark.long) for agents in (5, 10, 30)]


@pytest.mark.parametrize("agents", [3, *MANY])
@pytest.mark.parametrize("truth", [1.0, 0.5])
def test_what_is_false_holds_in_one_study_of_forty_at_most(agents, truth):
    # at the margin 2.5 %, give or take three standard errors
    draw, studies = np.random.default_rng(agents), 2000 if agents < 20 else 500
    verdicts = [of_scores("x", "Task-v0", "ppo", scores, Bound(True, 1.0)).verdict for scores in draw.normal(truth, 1.0, (studies, agents))]
    assert verdicts.count(HOLDS) / studies < (0.025 if truth == 1.0 else 0.01) + 3 * np.sqrt(0.025 / studies)


def test_what_is_true_by_far_holds_in_nearly_every_study():
    draw = np.random.default_rng(1)
    verdicts = [of_scores("x", "Task-v0", "ppo", scores, Bound(False, 1.0)).verdict for scores in draw.normal(-2.0, 1.0, (200, 5))]
    assert verdicts.count(HOLDS) > 190


@pytest.mark.parametrize(("effect", "spread"), [(1.0, 1.0), (0.5, 1.0), (30.0, 500.0)])
def test_so_many_agents_decide_and_one_less_does_not(effect, spread):
    needed = agents_needed(effect, spread, 3)
    halves = [scipy.stats.t.ppf(0.975, n - 1) * spread / np.sqrt(n) for n in (needed, 0.98 * needed - 1)]
    assert halves[0] < effect < halves[1]


@pytest.mark.parametrize(("effect", "spread"), [(0.0, 1.0), (1.0, math.nan), (1e-9, 1.0)])
def test_no_forecast_where_none_can_be_made(effect, spread):
    assert agents_needed(effect, spread, 3) is None


def test_a_decided_statement_needs_no_more_agents_and_an_undecided_one_says_how_many():
    assert of_scores("x", "Task-v0", "ppo", [5.0, 5.1, 5.2], Bound(True, 1.0)).needed is None
    undecided = of_scores("x", "Task-v0", "ppo", [0.0, 2.0, 4.0], Bound(True, 1.0))
    assert undecided.verdict == UNDECIDED
    assert undecided.needed > 3


def test_agents_without_a_number_are_left_out():
    found = of_scores("x", "Task-v0", "ppo", [1.0, math.nan, 3.0], Bound(True, 0.0))
    assert (found.agents, found.verdict) == (2, UNDECIDED)
