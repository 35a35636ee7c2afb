"""The ablation's figure draws the shares and says its sample."""

import numpy as np

from tests.diagnostics.test_ablations import factorial
from tests.report.surfaces import words
from tfpg.diagnostics import ablations as measured
from tfpg.report import ablations


def test_a_panel_for_each_toggle_with_its_effect():
    figure = ablations.exceedance(measured.ablation(factorial()).assign_attrs(preset="PPO", task="Hopper-v5"))
    titles = [axes.get_title().split("\n")[0] for axes in figure.axes if axes.axison]
    assert sorted(titles) == ["anneal", "reward scaling"]
    said = words(figure)
    assert "+100 [" in said and "+300 [" in said
    assert "12 agents in 4 cells" in said and "PPO, Hopper-v5" in said


def test_the_curve_falls_from_one_to_nothing_at_the_scores():
    figure = ablations.exceedance(measured.ablation(factorial(effects=(0, 300), seeds=1)))
    panel = next(axes for axes in figure.axes if axes.get_title().startswith("anneal"))
    on = next(line for line in panel.get_lines() if line.get_label() == "on")
    # Scores 1000 and 1300: all agents have at least 1000, half of them at least 1300, none more.
    at = {level: on.get_ydata()[np.flatnonzero(on.get_xdata() == level)].tolist() for level in (1000, 1300)}
    assert at == {1000: [1.0, 1.0], 1300: [0.5, 0.0]}


def test_one_agent_a_cell_cannot_rank_toggles():
    assert "cannot rank toggles" in words(ablations.exceedance(measured.ablation(factorial(seeds=1))))
    assert "cannot rank toggles" not in words(ablations.exceedance(measured.ablation(factorial(seeds=3))))


def test_the_best_iterations_score_is_named_apart():
    assert "best iteration's score (biased upward)" in words(ablations.exceedance(measured.ablation(factorial()), score="best"))


def test_missing_cells_are_said():
    assert "cells are missing" in words(ablations.exceedance(measured.ablation(factorial()[:9])))
