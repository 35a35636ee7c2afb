"""Figures of learning curves and scores say and draw what the Datasets hold."""

import numpy as np
import pytest

from tests.diagnostics.test_learning import agent
from tests.report.surfaces import words
from tfpg.diagnostics import learning as measured
from tfpg.report import figures, learning


def curves(**changes):
    made = [agent([0, 10, 20, 30], preset=preset, seed=seed) for preset in ("trpo", "ppo_m") for seed in range(3)]
    return measured.curves([*made, *changes.get("more", ())], window=1)


def line(axes, label):
    return next(each for each in axes.get_lines() if each.get_label() == label)


def test_a_panel_for_each_task_and_a_line_for_each_algorithm():
    other = measured.curves([agent([5, 6], task="Walker2d-v5")], window=1)
    figure = learning.curves([curves(), other])
    assert [axes.get_title() for axes in figure.axes if axes.axison] == ["Hopper-v5", "Walker2d-v5"]
    drawn = line(figure.axes[0], "TRPO")
    assert drawn.get_color() == figures.PALETTE["trpo"]
    np.testing.assert_allclose(drawn.get_ydata(), [0, 10, 20, 30])


def test_sample_sizes_stand_above_the_curves():
    said = words(learning.curves([curves()]))
    assert "TRPO 3" in said and "PPO-M 3" in said and "Student's t below 20" in said


def test_where_some_agents_have_ended_the_mean_is_dashed_and_said():
    figure = learning.curves([curves(more=[agent([0, 10], preset="trpo", seed=9, finished=False)])])
    full = line(figure.axes[0], "TRPO").get_ydata()
    assert np.isfinite(full[:2]).all() and np.isnan(full[2:]).all()
    assert "not finished: TRPO on Hopper-v5: 1 of 4" in words(figure) and "runs of unequal length" in words(figure)


def test_scores_stand_beside_what_was_published():
    scored = measured.scores([agent([0], seed=seed, final=100.0 + seed, best=150.0) for seed in range(3)])
    figure = learning.scores(scored, {("Hopper-v5", "ppo"): learning.Published(2513, 2391, 2632, "Hopper-v2")})
    said = words(figure)
    assert "Hopper-v2" in said and "PPO on Hopper-v5: 3" in said and "fewer than 3" not in said
    assert 2513 == pytest.approx(max(x for each in figure.axes[0].get_lines() for x in np.ravel(each.get_xdata())), abs=130)


def test_fewer_than_three_agents_carry_a_warning():
    assert "fewer than 3 agents" in words(learning.scores(measured.scores([agent([0], final=1.0, best=2.0)])))


def test_a_task_without_a_score_has_a_word_in_its_panel():
    scored = measured.scores([agent([0], final=1.0, best=2.0), agent([0], task="Endless-v0", final=np.nan, best=np.nan)])
    panels = learning.scores(scored).get_axes()
    assert [[text.get_text() for text in axes.texts] for axes in panels] == [[], ["no episode ended"]]
    assert len(panels[1].get_xticks()) == 0
