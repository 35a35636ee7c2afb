"""After one update: every repeat is drawn with its interval, and the summary is the stored one."""

import numpy as np
import pytest

from tests.report.surfaces import updated, words
from tfpg.errors import UserError
from tfpg.report.repeats import updates


def at(axes, label):
    [line] = [line for line in axes.get_lines() if line.get_label().startswith(label)]
    return line.get_xdata()[0]


def test_every_update_is_counted_above_and_shown_in_order_below():
    dataset = updated()
    above, below = updates(dataset).get_axes()
    assert sum(patch.get_height() for patch in above.patches if patch.get_width() < 200 and patch.get_y() == 0) >= 48
    [dots] = [line for line in below.get_lines() if line.get_marker() == "o"]
    assert dots.get_xdata().tolist() == np.sort(dataset["gain"].values).tolist()


def test_lines_stand_at_no_change_mean_and_cvar():
    dataset = updated()
    for axes in updates(dataset).get_axes():
        assert at(axes, r"$\theta_k$: no change") == 0
        assert at(axes, "mean of the updates") == dataset.attrs["mean_gain"]
        assert at(axes, "mean of the worst 10 %") == dataset.attrs["cvar"]


def test_probability_of_a_drop_and_both_variances_are_said():
    said = words(updates(updated(drop_probability=0.37)))
    assert "probability of a drop 0.37 [0.4, 0.7]" in said and "48 updates, 8 episodes after each" in said
    # √(300²/8) = 106
    assert "between updates 120" in said and "of the episodes of one 106" in said and "1,200 [1,160, 1,240]" in said


def test_what_is_left_without_the_episodes_noise_and_refused_updates_are_said():
    said = words(updates(updated(cvar_shrunken=-330.0, drop_probability_normal=0.4, refused=3)))
    assert "freed of the episodes' noise: CVaR −330, probability of a drop 0.4" in said
    assert "48 updates (3 refused)" in said


def test_without_a_stored_summary_the_estimates_themselves_are_summarised():
    dataset = updated()
    dataset.attrs = {"few_episodes": 0}
    gains = np.sort(dataset["gain"].values)
    figure = updates(dataset)
    axes = figure.get_axes()[0]
    assert at(axes, "mean of the updates") == pytest.approx(gains.mean())
    assert at(axes, "mean of the worst 10 %") == pytest.approx(gains[:5].mean())  # a tenth of 48, rounded
    assert f"probability of a drop {np.mean(gains < 0):.2f}" in words(figure)


def test_updates_that_are_not_computed_are_not_drawn():
    dataset = updated()
    dataset["gain"][:40] = np.nan
    figure = updates(dataset)
    [dots] = [line for line in figure.get_axes()[1].get_lines() if line.get_marker() == "o"]
    assert len(dots.get_xdata()) == 8 and "8 updates" in words(figure)


def test_another_result_is_refused():
    with pytest.raises(UserError, match="repeated-update"):
        updates(updated().drop_vars("gain"))
