"""Landscapes: a picture shows the points that are known, how sure they are, and where the algorithm stands."""

import functools
import itertools

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.report.surfaces import (
    UPDATES,
    concentrations,
    film,
    flat,
    labelled,
    returns,
    slices,
    solid,
    surrogates,
    updated,
    words,
)
from tfpg.diagnostics import results
from tfpg.errors import UserError
from tfpg.report import figures, landscapes, repeats, side_by_side
from tfpg.report import slices as lines
from tfpg.report.planes import ALIKE, INTERVAL, LEVEL, ORIGIN, STEP, UNKNOWN

SMALL = np.linspace(-1, 3, 5)
EVERY_FIGURE = {
    "surface": lambda **attrs: landscapes.surface(returns(xs=SMALL, **attrs)),
    "surrogate": lambda **attrs: landscapes.surrogate(surrogates(xs=SMALL, **attrs)),
    "comparison": lambda **attrs: landscapes.comparison(
        returns(xs=SMALL, **attrs), surrogates(xs=SMALL, **{**attrs, "few_episodes": 0})),
    "concentration": lambda **attrs: landscapes.concentration(concentrations(xs=SMALL, **attrs)),
    "panels": lambda **attrs: side_by_side.panels([returns(xs=SMALL, **attrs), returns(xs=SMALL, policy="other")]),
    "panels_3d": lambda **attrs: side_by_side.panels_3d([returns(xs=SMALL, **attrs), surrogates(xs=SMALL)]),
    "slices": lambda **attrs: lines.slices(slices(**attrs)),
    "film": lambda **attrs: lines.film(film(**attrs)),
    "updates": lambda **attrs: repeats.updates(updated(**attrs)),
}


@functools.cache
def drawn(name, few_episodes):
    return EVERY_FIGURE[name](few_episodes=few_episodes)


def mesh(axes):
    """The values of a heat map, [J, I]."""
    return axes.collections[0].get_array()


@pytest.mark.parametrize(("kind", "chosen"), [("stored", True), ("recomputed", True), ("given", False)])
def test_the_pairs_a_step_was_chosen_on_are_told_from_those_it_only_meets(kind, chosen):
    said = words(landscapes.surrogate(surrogates(xs=SMALL, kinds=(kind,))))
    assert ("the update's own pairs, on which the step was chosen: 2,048" in said) == chosen and "held-out pairs: 20,480" in said


@pytest.mark.parametrize("name", EVERY_FIGURE)
def test_few_episodes_is_said_exactly_when_the_result_is_flagged(name):
    few = "few updates" if name == "updates" else "few episodes"
    assert few in words(drawn(name, 1)) and few not in words(drawn(name, 0))


@pytest.mark.parametrize("name", EVERY_FIGURE)
def test_every_figure_names_task_algorithm_and_iteration_and_becomes_a_picture(name):
    figure = drawn(name, 0)
    assert figures.png(figure, dpi=30).startswith(b"\x89PNG")
    assert all(part in words(figure) for part in ("Hopper-v5", "PPO", "iteration 150"))


@pytest.mark.parametrize("name", ["surface", "panels", "slices"])
def test_head_legend_and_panels_do_not_overlap(name):
    figure = drawn(name, 1)
    figure.canvas.draw()
    height = figure.bbox.height
    above = sorted((text.get_window_extent() for text in figure.texts), key=lambda box: -box.y1)
    panels = [axes.get_tightbbox() for axes in figure.get_axes()]
    [legend] = [legend.get_window_extent() for legend in figure.legends]
    assert above[0].y1 <= height and all(a.y0 >= b.y1 for a, b in itertools.pairwise(above))
    assert max(box.y1 for box in panels) <= above[-1].y0 + 1
    assert min(box.y0 for box in panels) >= legend.y1 - 1 and legend.y0 >= 0
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in [*above, legend])


def test_origin_and_full_step_are_marked_where_they_are():
    figure = landscapes.surface(returns(xs=SMALL, stderr=0))
    [axes], [hill] = flat(figure), solid(figure)
    assert labelled(axes, ORIGIN)[0].get_xydata().tolist() == [[0, 0]]
    assert labelled(axes, STEP)[0].get_xydata().tolist() == [[1, 0]]
    [origin] = labelled(hill, ORIGIN)
    # 1200 + 600 exp(−1/1.6²) at distance 1 from the top; 1800 on it.
    assert np.ravel(origin.get_data_3d()) == pytest.approx([0, 0, 1200 + 600 * np.exp(-1 / 2.56)])
    assert np.ravel(labelled(hill, STEP)[0].get_data_3d()) == pytest.approx([1, 0, 1800])


def test_a_full_step_between_the_points_is_marked_at_the_height_between_them():
    figure = landscapes.surface(returns(lambda x, y: 10 * x, xs=[0, 0.5, 2, 3], stderr=0))
    assert np.ravel(labelled(solid(figure)[0], STEP)[0].get_data_3d()) == pytest.approx([1, 0, 10])
    assert "full step" not in [text.get_text() for text in figure.get_children() if hasattr(text, "get_text")]


def test_nothing_outside_the_extent_is_marked():
    axes = flat(landscapes.surface(returns(xs=[-2, -1, -0.5])))[0]
    assert not labelled(axes, ORIGIN) and not labelled(axes, STEP)


def test_a_refused_step_is_said_and_not_marked():
    figure = landscapes.surface(returns(xs=SMALL).assign(step_norm=("update", [0.0])))
    assert "refused" in words(figure) and not labelled(flat(figure)[0], STEP)


def test_another_step_than_the_runs_own_is_not_called_theta_k_plus_1():
    said = words(landscapes.surface(returns(xs=SMALL, kinds=("recomputed",))))
    assert "Recomputed step from 2,048 pairs" in said and "{k+1}" not in said


def test_a_point_not_done_is_masked_whatever_it_holds_and_does_not_stretch_the_colours():
    figure = landscapes.surface(returns(xs=SMALL, unknown=[(0, 3, 1)]))
    [axes] = flat(figure)
    assert np.argwhere(np.ma.getmaskarray(mesh(axes))).tolist() == [[1, 3]]  # rows are y
    assert axes.collections[0].norm.vmin > 1000  # the unknown point holds a 0
    assert UNKNOWN in words(figure) and UNKNOWN not in words(landscapes.surface(returns(xs=SMALL)))
    # 4 × 4 faces, of which the point is a corner of four
    assert len(solid(figure)[0].collections[0].get_array()) == 12


def test_a_landscape_of_which_nothing_is_done_is_still_a_figure():
    every = [(0, i, j) for i in range(5) for j in range(5)]
    figure = landscapes.surface(returns(xs=SMALL, unknown=every))
    assert np.ma.getmaskarray(mesh(flat(figure)[0])).all() and figures.png(figure, dpi=30)


def test_the_order_of_dimensions_and_coordinates_changes_nothing():
    dataset = returns(xs=SMALL, ys=[0, 1, 2])
    shuffled = dataset.transpose("y", "update", "x").isel(x=[3, 0, 4, 1, 2], y=[2, 0, 1])
    once, again = (landscapes.surface(each) for each in (dataset, shuffled))
    assert mesh(flat(once)[0]).tolist() == mesh(flat(again)[0]).tolist()
    assert words(once) == words(again)


def test_a_result_without_updates_intervals_or_gains_is_drawn_without_them():
    dataset = returns(xs=SMALL).isel(update=0, drop=True)[["mean_return"]]
    dataset["x"].attrs["norm"] = 0.25
    figure = landscapes.surface(dataset)
    assert "norm 0.25" in words(figure)
    assert not labelled(flat(figure)[0], ALIKE) and "interval" not in words(figure)
    assert mesh(flat(figure)[0]).tolist() == dataset["mean_return"].values.T.tolist()


def test_dots_are_the_points_whose_gain_may_be_0_but_the_origin():
    dataset = returns(xs=SMALL)
    axes = flat(landscapes.surface(dataset))[0]
    low, high = (dataset[f"gain_{side}"].values[0] for side in ("low", "high"))
    expected = {(SMALL[i], SMALL[j]) for i, j in np.argwhere((low <= 0) & (high >= 0))} - {(0, 0)}
    assert {tuple(point) for point in labelled(axes, ALIKE)[0].get_xydata()} == expected


def test_the_level_of_the_origin_is_not_drawn_through_noise():
    smooth, noise = (landscapes.surface(returns(function, xs=np.linspace(0, 3, 9), stderr=5))
                     for function in (lambda x, y: 1000 + 90 * x - 200 * y, lambda x, y: 1000 + 0 * x))
    assert labelled(flat(smooth)[0], LEVEL) and not labelled(flat(noise)[0], LEVEL)


def test_whiskers_reach_from_low_to_high():
    dataset = returns(xs=SMALL)
    hill = solid(landscapes.surface(dataset))[0]
    x, y, z = np.asarray(labelled(hill, INTERVAL)[0].get_data_3d())
    ends = z[(x == -1) & (y == 3)]  # the corner that is the grid's [0, −1]
    assert list(ends) == [dataset["mean_return_low"].values[0, 0, -1], dataset["mean_return_high"].values[0, 0, -1]]
    assert hill.get_zlim()[0] <= min(ends) and hill.get_zlim()[1] >= max(ends)


def test_a_row_for_each_update_and_one_scale_for_all():
    figure = landscapes.surface(returns(xs=SMALL, updates=UPDATES))
    norms = [axes.collections[0].norm for axes in flat(figure)]
    assert len(norms) == 2 and (norms[0].vmin, norms[0].vmax) == (norms[1].vmin, norms[1].vmax)
    assert "2,048 pairs" in words(figure) and "100,000 pairs" in words(figure)


def test_sample_size_and_uncertainty_are_said():
    dataset = returns(xs=SMALL)
    pairs, stderr = dataset["pairs"].values, np.median(dataset["mean_return_stderr"])
    said = words(landscapes.surface(dataset))
    assert "34 episodes a point" in said and f"median standard error {stderr:.3g}" in said
    assert f"actual pairs {pairs.min():,.0f}–{pairs.max():,.0f} a point, {pairs.sum():,.0f} in all" in said
    assert "common random numbers" in said and "mean episode return" in said


def test_the_correlation_achieved_and_episodes_cut_short_are_said():
    dataset = returns(xs=SMALL)
    dataset["correlation"] = (("update", "x", "y"), np.full((1, 5, 5), 0.42))
    dataset["cut"] = (("update", "x", "y"), np.eye(5)[np.newaxis])
    said = words(landscapes.surface(dataset))
    assert "correlation with the origin 0.42" in said and "episodes cut short" in said
    assert "cut short" not in words(landscapes.surface(returns(xs=SMALL)))


@pytest.mark.parametrize(("norm", "said"), [
    ("paper", "(1 = norm 2)"), ("step", "the step's)"), ("filter", "filter by filter)"), ("kl", "equal mean KL to")])
def test_axes_say_what_1_is(norm, said):
    axes = flat(landscapes.surface(returns(xs=SMALL, norm=norm)))[0]
    assert said in axes.get_ylabel() and "norm 0.18" in axes.get_xlabel() and "steps" in axes.get_xlabel()


@pytest.mark.parametrize("function", [
    lambda x, y: -900 - 400 * x, lambda x, y: 250 + 0 * x, lambda x, y: 0 * x, lambda x, y: 1e-9 * x + 1e6],
    ids=["negative", "flat", "zero", "nearly flat"])
def test_awkward_returns_have_a_scale_of_some_width_that_holds_them(function):
    figure = landscapes.surface(returns(function, xs=SMALL, stderr=0))
    [axes] = flat(figure)
    norm = axes.collections[0].norm
    assert norm.vmin < norm.vmax and norm.vmin <= mesh(axes).min() and norm.vmax >= mesh(axes).max()
    assert figures.png(figure, dpi=30)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([3, 5]), st.sampled_from([2, 4]))
def test_what_is_drawn_is_what_is_stored(seed, columns, rows):
    dataset = returns(xs=np.linspace(-1, 3, columns), ys=np.linspace(0, 3, rows), seed=seed)
    axes = flat(landscapes.surface(dataset))[0]
    assert mesh(axes).tolist() == dataset["mean_return"].values[0].T.tolist()


def test_pictures_are_reproducible_to_the_byte():
    once, again = (figures.png(EVERY_FIGURE["surface"](few_episodes=0), dpi=30) for _ in range(2))
    assert once == again


def test_a_stored_result_is_drawn_as_it_was_before_it_was_stored(tmp_path):
    for draw, dataset in ((landscapes.surface, returns(xs=SMALL)), (landscapes.surrogate, surrogates(xs=SMALL)),
                          (lines.slices, slices())):
        stored = results.load(results.save(dataset, tmp_path / "landscape.nc"))
        assert words(draw(stored)) == words(draw(dataset))


def test_surrogates_have_a_row_for_each_pool_and_update_and_show_both_objectives():
    figure = landscapes.surrogate(surrogates(xs=SMALL, updates=UPDATES))
    assert len(solid(figure)) == 4 and len(flat(figure)) == 8
    said = words(figure)
    assert "optimised: clipped" in said and "not optimised: unclipped" in said
    assert "0 at the origin" in said and "each minibatch" in said and "20,480" in said


def test_the_optimised_objective_is_the_large_one_and_pools_share_its_colours():
    dataset = surrogates(xs=SMALL, optimised="unclipped")
    first, _, second, _ = flat(landscapes.surrogate(dataset))
    values = dataset["surrogate"].sel(objective="unclipped").values[0]
    assert mesh(first).tolist() == values[0].T.tolist() and mesh(second).tolist() == values[1].T.tolist()
    assert first.collections[0].norm is second.collections[0].norm


def test_one_wild_ratio_is_clipped_and_the_colour_bar_says_so_but_a_return_is_never_clipped():
    xs = np.linspace(0, 3, 9)
    wild = surrogates(xs=xs)
    wild["surrogate"][:, :, 0, 8, 8] = -1e6
    axes = flat(landscapes.surrogate(wild))[0]
    assert axes.collections[0].norm.vmin > -10 and axes.collections[0].colorbar.extend == "min"
    peak = returns(lambda x, y: 1000 + 1e6 * ((x == 3) & (y == 3)), xs=xs)
    axes = flat(landscapes.surface(peak))[0]
    assert axes.collections[0].norm.vmax > 9e5 and axes.collections[0].colorbar.extend == "neither"


def test_return_and_surrogate_have_different_colours():
    ours, theirs, _ = flat(landscapes.comparison(returns(xs=SMALL), surrogates(xs=SMALL)))
    assert ours.collections[0].cmap.name != theirs.collections[0].cmap.name


def test_the_surrogates_of_all_pools_stand_beside_the_return_in_the_same_colours():
    figure = landscapes.comparison(returns(xs=SMALL), surrogates(xs=SMALL))
    _, own, other = flat(figure)
    assert own.collections[0].get_clim() == other.collections[0].get_clim()
    assert "surrogate, the update's own pairs" in words(figure) and "surrogate, held-out pairs" in words(figure)
    assert len(flat(landscapes.comparison(returns(xs=SMALL), surrogates(xs=SMALL), pools=["train"]))) == 2


def test_a_given_step_was_not_made_from_the_pairs_of_the_runs_update():
    alike = {"xs": SMALL, "updates": (0,), "kinds": ("given",)}
    said = words(landscapes.comparison(returns(**alike), surrogates(**alike)))
    assert "surrogate, pairs of the run's update" in said and "own pairs" not in said and "was chosen" not in said


def test_a_comparison_shows_the_updates_that_both_have_over_the_same_axes():
    figure = landscapes.comparison(returns(xs=SMALL, updates=UPDATES), surrogates(xs=SMALL, updates=UPDATES[1:],
                                                                                          kinds=("recomputed",)))
    left, right, _ = flat(figure)
    assert "100,000 pairs" in words(figure) and "from 2,048" not in words(figure)
    assert left.get_xlim() == right.get_xlim()


@pytest.mark.parametrize(("theirs", "named"), [
    ({"iteration": 300}, "iteration 150 against 300"), ({"normaliser_sha256": "cd"}, "normaliser_sha256"),
    ({"updates": (999,)}, "2,048 pairs against 999")])
def test_a_comparison_of_different_policies_or_updates_is_refused(theirs, named):
    with pytest.raises(UserError, match=named):
        landscapes.comparison(returns(xs=SMALL), surrogates(xs=SMALL, **theirs))


def test_a_comparison_keeps_apart_two_steps_of_equally_many_pairs():
    alike = {"xs": SMALL, "updates": (2048, 2048), "kinds": ("stored", "recomputed")}
    said = words(landscapes.comparison(returns(**alike), surrogates(**alike)))
    assert "The run's own step from 2,048 pairs" in said and "Recomputed step from 2,048 pairs" in said


def test_a_given_step_has_no_number_of_pairs():
    said = words(landscapes.surface(returns(xs=SMALL, updates=(0,), kinds=("given",))))
    assert "Given step" in said and "0 pairs" not in said.split("Given step")[1][:20]


@pytest.mark.parametrize("draw", [landscapes.surface, landscapes.concentration, lines.slices, lines.film])
def test_another_kind_of_result_is_refused_by_name(draw):
    with pytest.raises(UserError, match="has no variable mean_return"):
        draw(surrogates(xs=SMALL))


def test_a_plane_without_extent_or_an_unknown_pool_is_refused():
    with pytest.raises(UserError, match="5×1"):
        landscapes.surface(returns(xs=SMALL, ys=[0]))
    with pytest.raises(UserError, match="no pool 'test'"):
        landscapes.comparison(returns(xs=SMALL), surrogates(xs=SMALL), pools=["test"])


def test_concentration_has_one_colour_scale_and_one_height_for_all_sizes():
    figure = landscapes.concentration(concentrations(xs=SMALL))
    assert len({(axes.collections[0].norm.vmin, axes.collections[0].norm.vmax) for axes in flat(figure)}) == 1
    assert len({axes.get_zlim() for axes in solid(figure)}) == 1 and len(solid(figure)) == 3


def test_concentration_says_how_many_pairs_and_episodes_each_panel_has():
    said = words(landscapes.concentration(concentrations(xs=SMALL)))
    # 2000 pairs in episodes of 333 are 7 begun, a standard error of 420/√7 = 159.
    assert "2,000 pairs a point (7 episodes, standard error 159)" in said and "(61 episodes" in said


def test_ordering_is_drawn_with_intervals_between_chance_and_95_percent():
    dataset = concentrations(xs=SMALL)
    by_size, by_gap = [axes for axes in landscapes.concentration(dataset).get_axes() if axes.get_ylim()[1] == 1.03]
    levels = [line.get_ydata()[0] for line in by_size.get_lines() if len(set(line.get_ydata())) == 1]
    assert {0.5, 0.95} <= set(levels)
    ends = np.stack([segment[:, 1] for segment in by_size.collections[0].get_segments()], axis=1)
    assert ends == pytest.approx(np.stack([dataset["ordering_low"], dataset["ordering_high"]]))
    assert by_gap.get_lines()[0].get_ydata().tolist() == dataset["ordering_by_gap"].values[0].tolist()


def test_bins_whose_order_is_mostly_unknown_are_left_out_and_it_is_said():
    dataset = concentrations(xs=SMALL)
    dataset["resolved_by_gap"] = ("gap", [0.1, 0.49, 0.5, 0.9, 1.0])
    figure = landscapes.concentration(dataset)
    _, by_gap = [axes for axes in figure.get_axes() if axes.get_ylim()[1] == 1.03]
    assert by_gap.get_lines()[0].get_xdata().tolist() == dataset["gap"].values[2:].tolist()
    assert by_gap.get_lines()[0].get_ydata().tolist() == dataset["ordering_by_gap"].values[0, 2:].tolist()
    assert "2 nearer bins not known well enough" in words(figure)
    dataset["resolved_by_gap"][:] = 0.2
    assert "By how far" not in words(landscapes.concentration(dataset))


def test_the_order_of_all_points_stands_beside_that_of_the_sure_ones():
    dataset = concentrations(xs=SMALL)
    for suffix, change in (("", 0.0), ("_low", -0.02), ("_high", 0.02)):
        dataset[f"agreement{suffix}"] = dataset["ordering"] - 0.1 + change
    by_size, _ = [axes for axes in landscapes.concentration(dataset).get_axes() if axes.get_ylim()[1] == 1.03]
    assert any(line.get_ydata().tolist() == dataset["agreement"].values.tolist() for line in by_size.get_lines())
    ends = np.stack([segment[:, 1] for segment in by_size.collections[1].get_segments()], axis=1)
    np.testing.assert_allclose(ends, [dataset["agreement_low"], dataset["agreement_high"]])


def test_any_function_on_a_plane_can_be_drawn():
    dataset = xr.Dataset({"entropy": (("x", "y"), np.arange(12.0).reshape(4, 3))}, {"x": [0, 1, 2, 3], "y": [0, 1, 2]})
    figure = landscapes.surface(dataset, variable="entropy")
    [axes] = flat(figure)
    assert axes.collections[0].get_array().size == 12 and "Entropy" in words(figure) and "J(" not in words(figure)
    with pytest.raises(UserError, match="no variable height"):
        landscapes.surface(dataset, variable="height")


def test_orderings_by_gap_have_their_intervals():
    dataset = concentrations(xs=SMALL)
    value = dataset["ordering_by_gap"]
    dataset["ordering_by_gap_low"], dataset["ordering_by_gap_high"] = value - 0.05, value + 0.02
    _, by_gap = [axes for axes in landscapes.concentration(dataset).get_axes() if axes.get_ylim()[1] == 1.03]
    for row, bars in enumerate(by_gap.collections):
        ends = np.stack([segment[:, 1] for segment in bars.get_segments()], axis=1)
        np.testing.assert_allclose(ends, [value[row] - 0.05, value[row] + 0.02])
    assert len(by_gap.collections) == len(dataset["size"])


def test_concentration_without_an_ordering_shows_the_planes_only():
    figure = landscapes.concentration(concentrations(xs=SMALL).drop_vars(["ordering", "ordering_by_gap"]))
    assert len(flat(figure)) == 3 and "right order" not in words(figure)
