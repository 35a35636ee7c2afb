"""Learning curves and scores of made-up agents, against numbers worked out by hand."""

import numpy as np
import pytest
import scipy.stats

from tfpg.diagnostics import learning, results
from tfpg.diagnostics.learning import Agent
from tfpg.errors import UserError


def rows(returns, *, episodes=2.0, first=2048):
    """One row an iteration of 2,048 steps; None where no episode ended."""
    return [{"env_steps": first + 2048 * k, **({} if value is None else {"rollout/return": value, "rollout/episodes": episodes})}
            for k, value in enumerate(returns)]


def agent(returns, *, preset="ppo", seed=0, task="Hopper-v5", final=np.nan, best=np.nan, finished=True):
    return Agent(task, preset, seed, rows(returns), final, best, finished)


def test_a_curve_is_the_mean_over_agents_of_their_running_means():
    found = learning.curves([agent([0, 10, 20]), agent([2, 4, 6], seed=1)], window=2)
    # Running means of two: 0, 5, 15 and 2, 3, 5.
    np.testing.assert_allclose(found["mean_return"], [[1, 4, 10]])
    np.testing.assert_allclose(found["mean_return_agents"], [[[0, 5, 15], [2, 3, 5]]])
    low, high = scipy.stats.t.interval(0.95, 1, 10, 10 / 2)
    np.testing.assert_allclose([found["mean_return_low"][0, 2], found["mean_return_high"][0, 2]], [low, high])
    assert found["env_steps"].values.tolist() == [2048, 4096, 6144]
    assert found["agents"].values.tolist() == [2] and found.attrs["task"] == "Hopper-v5"


def test_episodes_weigh_in_an_agents_running_mean():
    own = rows([0, 30])
    own[1]["rollout/episodes"] = 4.0
    found = learning.curves([Agent("Hopper-v5", "ppo", 0, own)], window=2)
    np.testing.assert_allclose(found["mean_return"], [[0, (2 * 0 + 4 * 30) / 6]])


def test_a_shorter_run_counts_as_far_as_it_goes():
    found = learning.curves([agent([0, 10, 20]), agent([2, 4], seed=1, finished=False)], window=1)
    np.testing.assert_allclose(found["mean_return"], [[1, 7, 20]])
    assert found["mean_return_count"].values.tolist() == [[2, 2, 1]]
    assert found["unfinished"].values.tolist() == [1]


def test_iterations_without_an_ended_episode_are_passed_over():
    found = learning.curves([agent([1, None, 3])], window=1)
    assert found["env_steps"].values.tolist() == [2048, 6144]
    np.testing.assert_allclose(found["mean_return"], [[1, 3]])


def test_an_agent_in_which_no_episode_ended_is_there_without_a_curve():
    found = learning.curves([agent([1, 2]), agent([None, None], seed=1)], window=1)
    assert found["mean_return_count"].values.tolist() == [[1, 1]]
    assert found["agents"].values.tolist() == [2]


def test_curves_of_several_tasks_are_refused():
    with pytest.raises(UserError, match="within one task, not Hopper-v5, Walker2d-v5"):
        learning.curves([agent([1]), agent([1], task="Walker2d-v5")])


def test_scores_are_final_middle_and_best_of_those_that_are_finished(tmp_path):
    finals = [10.0, 20.0, 30.0, 1000.0]
    some = [agent([0], seed=seed, final=final, best=final + 5) for seed, final in enumerate(finals)]
    found = learning.scores([*some, agent([0], seed=9, final=1e6, finished=False), agent([0], preset="trpo", final=7.0, best=8.0)])
    assert list(zip(found["task"].values, found["preset"].values, strict=True)) == [("Hopper-v5", "ppo"), ("Hopper-v5", "trpo")]
    np.testing.assert_allclose(found["final_return"], [265, 7])
    np.testing.assert_allclose(found["iqm_return"], [25, 7])  # of four the two in the middle
    np.testing.assert_allclose(found["best_return"], [270, 8])
    assert found["final_return_count"].values.tolist() == [4, 1]
    assert np.isnan(found["final_return_low"][1])
    assert results.load(results.save(found, tmp_path / "scores.nc")).identical(found)


def test_no_finished_agent_has_no_scores():
    with pytest.raises(UserError, match="no agent is finished"):
        learning.scores([agent([1], finished=False)])


def test_the_interval_of_a_curve_covers_the_mean_it_is_of():
    # 8 agents whose returns are N(100, 20²): Student's interval is exact; 95 % of 2,000 pointwise intervals, ± 3 standard errors.
    draw, covered = np.random.default_rng(3), []
    for _ in range(100):
        found = learning.curves([agent(draw.normal(100, 20, 20).tolist(), seed=seed) for seed in range(8)], window=1)
        covered.append((found["mean_return_low"].values <= 100) & (found["mean_return_high"].values >= 100))
    assert np.mean(covered) == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 2000))
