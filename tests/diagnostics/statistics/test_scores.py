"""Scores and learning curves of one agent: by hand, and equal to the run's own."""


import numpy as np
import pytest

from tfpg.diagnostics.statistics import agents
from tfpg.diagnostics.statistics import scores as scores_of
from tfpg.errors import UserError
from tfpg.report import metrics


@pytest.fixture
def draw():
    return np.random.default_rng(1)


# Scores of one agent


def test_the_final_score_is_of_the_last_five_iterations_that_have_a_return():
    returns = np.array([100.0, 1, 2, np.nan, 3, 4, np.nan, 5, np.nan])
    assert float(scores_of.final_score(returns)) == 3
    assert float(scores_of.final_score(returns[:2])) == 50.5 and np.isnan(scores_of.final_score(returns[3:4]))


def test_runs_of_unequal_length_have_their_own_last_iterations():
    returns = np.array([np.arange(8.0), [9, 8, 7, 6, 5, 4, np.nan, np.nan]])
    np.testing.assert_array_equal(scores_of.final_score(returns), [5, 6])


def test_with_the_episodes_the_final_score_is_the_runs_own(draw):
    returns, episodes = draw.normal(size=12), draw.integers(1, 9, 12)
    rows = [{"rollout/return": r, "rollout/episodes": float(m)} for r, m in zip(returns, episodes, strict=True)]
    expected = metrics.final_scores(rows)
    assert float(scores_of.final_score(returns, episodes)) == pytest.approx(expected["final/return"])
    assert float(scores_of.maximum_score(returns)) == expected["final/best_return"]
    assert scores_of.FINAL_ITERATIONS == metrics.FINAL_ITERATIONS


def test_episodes_of_iterations_without_a_return_do_not_count():
    assert float(scores_of.final_score([2.0, np.nan, 4.0], [1, 0, 3])) == 3.5
    assert float(scores_of.final_score([2.0, np.nan, 4.0], [1, np.nan, 3])) == 3.5


def test_the_maximum_score_is_of_what_is_known():
    np.testing.assert_array_equal(scores_of.maximum_score([[1, np.nan, 3], [np.nan] * 3, [-2, -1, -5]]), [3, np.nan, -1])
    assert np.isnan(scores_of.maximum_score([]))


def test_curves_are_linear_between_an_agents_own_points_and_end_with_them():
    found = scores_of.aligned([([0, 10, 20], [0.0, 1.0, 3.0]), ([5, 10], [4.0, 8.0])])
    np.testing.assert_array_equal(found.env_steps, [0, 5, 10, 20])
    np.testing.assert_allclose(found.values, [[0, 0.5, 1, 3], [np.nan, 4, 8, np.nan]])
    np.testing.assert_array_equal(found.agents, [1, 2, 2, 1])


def test_a_grid_of_ones_own_is_kept_and_points_without_a_value_are_passed_over():
    curves = [([0, 10, 20, 30], [0.0, np.nan, 4.0, np.nan]), ([0, 10], [np.nan, np.nan])]
    found = scores_of.aligned(curves, np.array([0, 10, 20, 25]))
    np.testing.assert_allclose(found.values, [[0, 2, 4, np.nan], [np.nan] * 4])
    np.testing.assert_array_equal(found.agents, [1, 1, 1, 0])


def test_curves_of_the_same_steps_stay_as_they_are(draw):
    steps, values = 2048 * np.arange(1, 9), draw.normal(size=(3, 8))
    found = scores_of.aligned([(steps, own) for own in values])
    np.testing.assert_array_equal(found.values, values)
    np.testing.assert_allclose(agents.iqm(found.values).mean, values.mean(0))


@pytest.mark.parametrize(("curves", "words"), [
    ([], "no learning curves"), ([([1, 2], [1.0])], "Agent 0"), ([([1], [1.0]), ([2, 2], [1.0, 2.0])], "agent 1 do not ascend")])
def test_curves_that_are_none_are_refused(curves, words):
    with pytest.raises(UserError, match=words):
        scores_of.aligned(curves)
