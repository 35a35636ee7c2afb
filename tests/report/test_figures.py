"""Figures: what is drawn is what the rows say, and nothing else in the process notices."""

import math
import sys

import pytest

from tfpg.report import figures


def rows(count, *, delta=None, bound=None, episodes=4.0, base=100.0):
    found = []
    for k in range(count):
        row = {"env_steps": 2048 * (k + 2), "rollout/episodes": episodes, "trust_region/train/mean_kl": 0.01 * (k + 1),
               "trust_region/train/max_ratio": 1.5 + k, "value/train/explained_variance": 1 - 1 / (k + 1)}
        if k % 3 != 1:  # now and then no episode ends
            row["rollout/return"] = base + k
        if delta:
            row["trust_region/bounds/mean_kl"] = delta
        if bound:
            row["trust_region/bounds/max_ratio"] = bound
        found.append(row)
    return found


def lines(axes, label):
    return [line for line in axes.get_lines() if line.get_label() == label]


def test_learning_curve_goes_through_the_iterations_that_have_a_return():
    figure = figures.learning_curve([("trpo", rows(6))])
    [line] = lines(figure.axes[0], "trpo")
    assert line.get_xydata().tolist() == [[2048 * (k + 2), 100 + k] for k in (0, 2, 3, 5)]


def test_long_runs_are_drawn_as_weighted_running_means():
    figure = figures.trust_region([("ppo", rows(60))])
    [line] = lines(figure.axes[0], "ppo")
    # The mean of the last ten of .01, .02, …, .60.
    assert line.get_ydata()[-1] == pytest.approx(0.01 * (51 + 60) / 2)


def test_an_algorithm_has_one_colour_and_its_runs_differ_by_line():
    runs = [("ppo, seed 0", rows(5)), ("trpo, seed 0", rows(5)), ("ppo, seed 1", rows(5)), ("ppo-m", rows(5))]
    axes = figures.overview(runs).axes[0]
    [a], [b], [c], [d] = (lines(axes, label) for label, _ in runs)
    assert a.get_color() == c.get_color() == figures.PALETTE["ppo"] and a.get_linestyle() != c.get_linestyle()
    assert b.get_color() == figures.PALETTE["trpo"] and d.get_color() == figures.PALETTE["ppo_m"]


def test_delta_is_dotted_in_the_colour_of_its_run():
    axes = figures.trust_region([("trpo", rows(5, delta=0.13))]).axes[0]
    [bound] = [line for line in axes.get_lines() if set(line.get_ydata()) == {0.13}]
    assert bound.get_color() == figures.PALETTE["trpo"]


@pytest.mark.parametrize(("bound", "drawn"), [(None, 1.2), (1.3, 1.3)])
def test_ratio_axis_is_logarithmic_with_its_bound(bound, drawn):
    axes = figures.trust_region([("ppo", rows(5, bound=bound))]).axes[1]
    assert axes.get_yscale() == "log"
    assert drawn in [line.get_ydata()[0] for line in axes.get_lines()]


def test_one_wild_explained_variance_does_not_flatten_the_rest():
    wild = rows(5)
    wild[0]["value/train/explained_variance"] = -50.0
    assert figures.overview([("ppo", wild)]).axes[3].get_ylim()[0] == -1


@pytest.mark.parametrize(
    "runs", [[], [("ppo", [])], [("ppo", rows(1))], [("mine", [{"env_steps": 1, "rollout/return": math.nan}])]],
    ids=["none", "empty", "one row", "nan"])
def test_runs_with_hardly_any_rows_still_make_a_figure(runs):
    assert figures.png(figures.overview(runs), dpi=30).startswith(b"\x89PNG")


def test_pictures_are_reproducible_to_the_byte():
    once, again = (figures.png(figures.learning_curve([("trpo", rows(5))]), dpi=40) for _ in range(2))
    assert once == again


def test_no_global_state_of_matplotlib_is_used():
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
