"""The figure of steps: every update where it is, the means beside the margin."""

import numpy as np
import pytest
import xarray as xr

from tests.report.surfaces import words
from tfpg.report import figures
from tfpg.report.steps import gains

MARGIN = 2.5


def made(preset="ppo", *, seed=0, few=0, still=()):
    """What diagnostics.steps.gains.dataset gives: two checkpoints, three updates and two."""
    gain = np.array([[5.0, -3.0, 1.0], [-8.0, 2.0, np.nan]])
    both, one = ("checkpoint", "place"), ("checkpoint",)
    moved = np.ones((2, 3), np.int8)
    for place in still:
        moved[0, place] = 0
    variables = {
        "iteration": (both, np.array([[0, 1, 2], [140, 150, -1]])), "gain": (both, gain), "gain_low": (both, gain - 4), "gain_high": (both, gain + 4),
        "moved": (both, moved), "pairs": (both, np.full((2, 3), 1000)), "cut": (both, np.zeros((2, 3))),
        "mean_gain": (one, [1.0, -3.0]), "mean_gain_low": (one, [-9.0, -30.0]), "mean_gain_high": (one, [11.0, 24.0]),
        "detectable": (one, [14.0, 38.0]), "drops": (one, [1 / 3, 0.5])}
    return xr.Dataset(variables, {"checkpoint": [0, 150]}, {
        "preset": preset, "task": "Hopper-v5", "run_seed": seed, "margin": MARGIN, "margin_share": 0.001, "final_return": 2500.0, "episodes": 100,
        "few_episodes": few, "few_updates": few})


def test_every_update_stands_at_its_iteration_with_its_interval():
    first, second, _ = gains([made()]).get_axes()
    dots = [line.get_xydata().tolist() for line in first.get_lines() if line.get_marker() == "o"]
    assert dots == [[[0, 5], [1, -3], [2, 1]]]
    assert [line.get_xydata().tolist() for line in second.get_lines() if line.get_marker() == "o"] == [[[140, -8], [150, 2]]]
    assert first.get_ylim() == second.get_ylim()


def test_iterations_are_ticked_at_whole_numbers():
    made_of = made()
    made_of["iteration"][1] = [147, 152, -1]
    figure = gains([made_of])
    figure.draw_without_rendering()
    assert all(float(tick).is_integer() for axes in figure.get_axes()[:2] for tick in axes.get_xticks())


def test_the_means_stand_beside_the_margin_in_the_algorithms_colour():
    *_, axes = gains([made("trpo")]).get_axes()
    [dots] = [line for line in axes.get_lines() if line.get_marker() == "o"]
    assert dots.get_ydata().tolist() == [1, -3] and dots.get_color() == figures.PALETTE["trpo"]
    [span] = [patch for patch in axes.patches if "margin" in patch.get_label()]
    assert span.get_extents().transformed(axes.transData.inverted()).bounds[1::2] == pytest.approx((-MARGIN, 2 * MARGIN))


def test_an_update_that_did_not_move_is_marked():
    axes = gains([made(still=(1,))]).get_axes()[0]
    assert [line.get_xydata().tolist() for line in axes.get_lines() if line.get_label() == "θ did not move"] == [[[1, -3]]]


def test_several_runs_are_rows_each_with_its_name_and_numbers():
    figure = gains([made(), made("trpo", seed=3)])
    assert len(figure.get_axes()) == 6
    said = words(figure)
    assert "TRPO on Hopper-v5, seed 3" in said and "share of drops seen 33 %, 50 %" in said


def test_few_episodes_are_warned_of():
    assert "few episodes" in words(gains([made(few=1)])) and "few episodes" not in words(gains([made()]))
