"""Slices and films: the step against random directions, with bands and rank; the return towards a later policy."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from tests.report.surfaces import UPDATES, film, labelled, slices, words
from tfpg.errors import UserError
from tfpg.report import figures
from tfpg.report.captions import ORIGIN
from tfpg.report.slices import film as draw_film
from tfpg.report.slices import slices as draw


def with_slopes(values):
    dataset = slices(directions=len(values) - 1)
    dataset["slope"][:] = values
    return dataset


def test_the_step_is_drawn_in_its_algorithms_colour_over_every_random_direction():
    dataset = slices(preset="trpo")
    axes = draw(dataset).get_axes()[0]
    [step] = labelled(axes, "the algorithm's step")
    assert step.get_color() == figures.PALETTE["trpo"]
    assert step.get_ydata().tolist() == dataset["mean_return"].values[0, 0].tolist()
    thin = [line for line in axes.get_lines() if line.get_linewidth() == 0.7]
    assert [line.get_ydata().tolist() for line in thin] == dataset["mean_return"].values[0, 1:].tolist()
    assert "16 random directions" in thin[0].get_label()


def test_the_origin_lies_at_0_and_the_band_from_low_to_high():
    dataset = slices()
    axes = draw(dataset).get_axes()[0]
    assert labelled(axes, ORIGIN)[0].get_xydata().tolist() == [[0, 1200]]
    colour = figures.PALETTE["ppo"].lower()
    [band] = [found for found in axes.collections if to_hex(found.get_facecolor()[0]) == colour]
    # the interval of the difference, around J(θ_k) = 1200: no width at θ_k itself
    ys = band.get_paths()[0].vertices[:, 1]
    assert ys.min() == pytest.approx(1200 + dataset["gain_low"].values[0, 0].min())
    assert ys.max() == pytest.approx(1200 + dataset["gain_high"].values[0, 0].max())
    assert band.get_label() == r"95 % interval of the difference to $\theta_k$"


def test_where_differences_are_not_known_the_band_is_that_of_the_return():
    dataset = slices()
    dataset = dataset.drop_vars([name for name in dataset if name.startswith("gain")])
    axes = draw(dataset).get_axes()[0]
    colour = figures.PALETTE["ppo"].lower()
    [band] = [found for found in axes.collections if to_hex(found.get_facecolor()[0]) == colour]
    ys = band.get_paths()[0].vertices[:, 1]
    assert ys.min() == dataset["mean_return_low"].values[0, 0].min()
    assert ys.max() == dataset["mean_return_high"].values[0, 0].max()


@pytest.mark.parametrize(("values", "rank"), [
    ([3, 1, 2], "step ranks 1 of 3"), ([1, 3, 2], "step ranks 3 of 3"), ([2, 2, 1], "step ranks 1 of 3"),
    ([2, np.nan, 3], "step ranks 2 of 2"), ([np.nan, 1, 2], "the step has no rank yet")])
def test_rank_counts_the_random_directions_that_are_better(values, rank):
    assert rank in words(draw(with_slopes(values)))


def test_the_rank_has_its_interval_where_one_is_stored():
    dataset = slices()
    dataset["rank_slope_low"], dataset["rank_slope_high"] = ("one", [1.0]), ("one", [6.0])
    assert "step ranks 1 of 17 [1, 6]" in words(draw(dataset))


def test_whole_steps_played_for_themselves_are_said_with_their_episodes():
    dataset = slices()
    for name, values in {"end_gain": [23.4, -5], "end_gain_low": [-4, -9], "end_gain_high": [50, -1],
                         "end_gain_count": [600, 600]}.items():
        dataset[name] = ("move", np.asarray(values, float))
    dataset = dataset.assign_coords(move_pairs=("move", [2048, 8192]), move_kind=("move", ["stored", "recomputed"]))
    said = words(draw(dataset))
    assert "whole steps, 600 episodes each: the run's own step from 2,048 pairs +23.4 [−4, 50]; recomputed" in said


def test_an_update_named_in_the_attributes_is_said():
    said = words(draw(slices(with_update=False, update=4096, update_kind="recomputed")))
    assert "Recomputed step from 4,096 pairs" in said


def test_directions_are_in_the_order_of_their_slopes_with_intervals():
    dataset = slices(directions=4)
    axes = draw(dataset).get_axes()[-1]
    order = np.argsort(dataset["slope"].values[0])
    bars, dots = axes.collections
    assert dots.get_offsets()[:, 0].tolist() == dataset["slope"].values[0, order].tolist()
    assert [segment[:, 0].tolist() for segment in bars.get_segments()] == np.stack(
        [dataset["slope_low"].values[0, order], dataset["slope_high"].values[0, order]], 1).tolist()


def test_gains_of_the_full_step_can_be_ranked_instead_and_nothing_else():
    assert "gain of a full step" in words(draw(slices(), by="gain"))
    with pytest.raises(UserError, match="slope"):
        draw(slices(), by="slop")


def test_surrogate_is_the_optimised_one_on_both_pools_over_the_same_axis():
    dataset = slices(optimised="unclipped")
    left, middle, _ = draw(dataset).get_axes()
    expected = dataset["surrogate"].sel(objective="unclipped").isel(update=0, direction=0)
    for pool, label in (("train", "the update's own pairs"), ("heldout", "held-out pairs")):
        [line] = labelled(middle, f"surrogate, {label}")
        assert line.get_ydata().tolist() == expected.sel(pool=pool).values.tolist()
    assert left.get_xlim() == middle.get_xlim() and "unclipped" in middle.get_title()


def test_a_row_for_each_update():
    figure = draw(slices(updates=UPDATES))
    assert len(figure.get_axes()) == 6
    assert "own step from 2,048 pairs" in words(figure) and "Recomputed step from 100,000 pairs" in words(figure)


def test_a_step_made_again_is_a_line_of_its_own_and_counts_among_no_random_ones():
    dataset = slices(with_update=False)
    roles = ["step", *["random"] * 15, "recomputed"]
    labels = [*dataset["label"].values[:16], "recomputed step of 100,000 pairs"]
    dataset = dataset.assign_coords(role=("direction", roles), label=("direction", labels))
    dataset["slope"][16] = 1e4  # steeper than all, and the step's place is the same
    figure = draw(dataset)
    left, _, right = figure.get_axes()
    [line] = labelled(left, "direction of the recomputed step of 100,000 pairs")
    assert line.get_ydata().tolist() == dataset["mean_return"].values[16].tolist()
    assert "15 random directions" in words(figure) and " of 16" in right.get_title() and "ranks 17" not in words(figure)
    assert "made again" not in right.get_title()


def test_the_place_of_a_step_made_again_is_said_with_its_interval():
    dataset = slices(with_update=False)
    dataset = dataset.assign_coords(role=("direction", ["step", *["random"] * 15, "recomputed"]))
    for suffix, value in (("", 3.0), ("_low", 1.0), ("_high", 7.0)):
        dataset[f"rank_slope_recomputed{suffix}"] = ("recomputed", [value])
    assert "made again: 3 [1, 7]" in draw(dataset).get_axes()[-1].get_title()


def test_the_surrogate_of_a_step_made_again_is_drawn_on_held_out_pairs_alone():
    dataset = slices(with_update=False)
    labels = [*dataset["label"].values[:16], "recomputed step of 100,000 pairs"]
    dataset = dataset.assign_coords(role=("direction", ["step", *["random"] * 15, "recomputed"]), label=("direction", labels))
    middle = draw(dataset).get_axes()[1]
    objective = [str(name) for name in dataset["objective"].values].index(dataset.attrs["optimised"])
    pool = [str(name) for name in dataset["pool"].values].index("heldout")
    [line] = labelled(middle, "held-out pairs, recomputed step of 100,000 pairs")
    expected = dataset["surrogate"].isel(objective=objective, pool=pool, direction=16)
    assert line.get_ydata().tolist() == expected.values.tolist()
    assert len([one for one in middle.get_lines() if "recomputed" in str(one.get_label())]) == 1
    assert len([one for one in middle.collections if one.get_paths() and one.get_alpha()]) == 3  # each line has its band


def test_a_step_made_again_ends_on_its_line_where_its_own_norm_does():
    dataset = slices(with_update=False)
    dataset = dataset.assign_coords(role=("direction", ["step", *["random"] * 15, "recomputed"]), move_norm=("move", [0.4, 0.1]))
    [mark] = labelled(draw(dataset).get_axes()[0], "end of the recomputed step itself")
    line = dataset["mean_return"].values[16]
    assert mark.get_xydata().tolist() == [[0.25, pytest.approx(np.interp(0.25, dataset["t"], line))]]


def test_a_clip_is_said_only_where_a_clipped_surrogate_is_drawn():
    assert "clipped at 1 ± 0.2" in words(draw(slices(epsilon=0.2)))
    assert "clipped at" not in words(draw(slices(epsilon=0.2, optimised="unclipped")))


def test_panels_that_were_not_computed_are_left_out():
    bare = slices(with_update=False).drop_vars(["surrogate", "surrogate_stderr"])
    assert len(draw(bare).get_axes()) == 2
    assert len(draw(bare[["mean_return"]]).get_axes()) == 1


def test_dimensions_in_another_order_change_nothing():
    dataset = slices()
    other = dataset.transpose("t", "direction", ...).isel(t=slice(None, None, -1))
    once, again = ([line.get_xydata().tolist() for axes in draw(each).get_axes() for line in axes.get_lines()]
                   for each in (dataset, other))
    assert once == again


def test_a_point_not_done_leaves_a_gap_in_line_and_band():
    dataset = slices()
    dataset["done"] = (("update", "direction", "t"), np.ones((1, 17, 13), np.int8))
    dataset["done"][0, 0, 5] = 0
    for name in ("mean_return", "mean_return_low", "mean_return_high"):
        dataset[name][0, 0, 5] = 0
    axes = draw(dataset).get_axes()[0]
    assert np.isnan(labelled(axes, "the algorithm's step")[0].get_ydata()[5]) and axes.get_ylim()[0] > 100


def test_equal_norm_is_claimed_only_where_norms_are_equal():
    assert "of equal norm" in words(draw(slices(norm="step"))) and "of equal mean KL" in words(draw(slices(norm="kl")))
    paper = slices(norm="paper")
    assert "equal" not in words(draw(paper))
    paper["norm"] = ("direction", np.full(17, 0.2))  # what was measured outweighs what was asked for
    assert "of equal norm" in words(draw(paper))


def test_film_goes_from_theta_k_to_the_later_policy():
    dataset = film(preset="trpo")
    figure = draw_film(dataset)
    [axes] = figure.get_axes()
    [line] = labelled(axes, "return on the line")
    assert line.get_ydata().tolist() == dataset["mean_return"].values.tolist()
    assert line.get_color() == figures.PALETTE["trpo"]
    marks = [mark.get_xydata().tolist() for mark in axes.get_lines() if mark.get_marker() == "o"]
    assert [mark[0] for mark in marks if len(mark) == 1] == [[0, dataset["mean_return"].values[0]], [1, dataset["mean_return"].values[-1]]]
    said = words(figure)
    assert "iteration 150" in said and "iteration 300" in said and "0.012 at most" in said and "34 episodes" in said
