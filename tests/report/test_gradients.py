"""Figures of gradient quality say and draw what the Dataset holds."""

import numpy as np
import pytest
import xarray as xr

from tfpg.errors import UserError
from tfpg.report import figures, gradients

SIZES = np.array([200, 2_048, 20_000])


def estimate(name, values, dims, width=0.05):
    values = np.asarray(values, np.float64)
    return {name: (dims, values), f"{name}_stderr": (dims, 0 * values + width / 2), f"{name}_low": (dims, values - width),
            f"{name}_high": (dims, values + width), f"{name}_count": (dims, np.full(values.shape, 10))}


def made(*, preset="ppo", iteration=150, kinds=("gradient", "step"), split_half=(0.95, 0.92, 0.5), low=2_000.0, high=5_000.0,
         accepted=1.0):
    truths = ("limit", "return", "step")[:1 + len(kinds)]
    curve = SIZES / (SIZES + 3_000)
    step = np.array([np.nan, 0.1, 0.3])
    rows = np.stack([curve, step][:len(kinds)])
    towards = np.stack([np.stack([np.sqrt(row)] * len(truths)) for row in rows])
    variables = {
        **estimate("cosine", rows, ("kind", "size")), **estimate("chance_cosine", 0 * rows, ("kind", "size")),
        **estimate("cosine_to", towards, ("kind", "truth", "size")),
        **estimate("split_half", split_half[:len(truths)], ("truth",)),
        "trusted": ("truth", (np.array(split_half[:len(truths)]) >= 0.9).astype(np.int8)),
        "accepted": (("size", "estimate"), np.full((3, 10), accepted)),
        "noise_scale": ("noise_pairs", [3_000.0]), "noise_scale_low": ("noise_pairs", [low]),
        "noise_scale_high": ("noise_pairs", [high])}
    return xr.Dataset(variables, {"kind": list(kinds), "truth": list(truths), "size": SIZES, "noise_pairs": [100_000]}, {
        "task": "Hopper-v5", "preset": preset, "algorithm": preset, "run_seed": 0, "iteration": iteration, "chance": 0.014,
        "training_pairs": 2_048, "reference_pairs": 1_000_000, "reference_groups": 10, "step_reference_pairs": 320_000,
        "estimates": 10, "step_kind": "PPO's update", "left_out": ""})


def words(figure):
    figure.draw_without_rendering()
    return "\n".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def line(axes, label):
    return next(each for each in axes.get_lines() if each.get_label().startswith(label))


def test_a_row_for_each_kind_and_a_column_for_each_policy():
    figure = gradients.agreement([made(iteration=k) for k in (300, 0)])
    panels = figure.get_axes()
    assert len(panels) == 4
    assert [axes.get_title() for axes in panels] == ["Iteration 0", "Iteration 300"] * 2
    assert all(axes.get_xscale() == "log" for axes in panels)
    assert len(gradients.agreement([made(kinds=("gradient",))]).get_axes()) == 1


def test_curves_and_bands_are_those_of_the_dataset():
    axes = gradients.agreement([made()]).get_axes()[0]
    np.testing.assert_allclose(line(axes, "two estimates (").get_ydata(), SIZES / (SIZES + 3_000))
    np.testing.assert_allclose(line(axes, "cosine to the estimator").get_ydata(), np.sqrt(SIZES / (SIZES + 3_000)))
    band = axes.collections[1].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(200 / 3_200 - 0.05)


def test_steps_begin_where_they_were_made():
    axes = gradients.agreement([made()]).get_axes()[1]
    np.testing.assert_array_equal(line(axes, "two estimates (").get_xdata(), SIZES[1:])


def test_the_training_batch_and_chance_are_marked():
    axes = gradients.agreement([made()]).get_axes()[0]
    assert line(axes, "training batch").get_xdata()[0] == 2_048
    chance = line(axes, "chance")
    assert chance.get_ydata()[0] == 0.014 and chance.get_linestyle() == ":" or chance.is_dashed()


def test_the_training_batch_is_told_from_advantages_permuted():
    axes = gradients.agreement([made()]).get_axes()[0]
    assert line(axes, "training batch").is_dashed() and not line(axes, "two estimates, advantages permuted").is_dashed()


def test_b_is_said_to_be_of_the_largest_pools():
    # where a size exceeds the reference's groups these are estimates, not the groups
    assert "B from the largest pools" in words(gradients.agreement([made()]))
    assert "from the largest pools, of 100,000 pairs each" in words(gradients.noise_scales([made()])).replace("\n", " ")


def test_a_reference_that_is_not_the_truth_is_named():
    said = words(gradients.agreement([made(), made(iteration=300, split_half=(0.5, 0.95, 0.95))]))
    assert "not the truth: limit (iteration 300), step from many pairs (iteration 150)" in said.replace("\n", " ")
    assert "not the truth" not in words(gradients.agreement([made(split_half=(0.95, 0.95, 0.95))]))


def test_refused_steps_are_counted():
    assert "refused by the line search, their proposed ones shown: 30" in words(gradients.agreement([made(accepted=0.0)]))


def test_a_noise_scale_without_an_upper_end_is_a_lower_bound():
    assert "B = 2,000 or more" in words(gradients.agreement([made(high=np.inf)]))
    assert "B = 281,000 or more" in words(gradients.agreement([made(high=np.inf, low=281_026.0)]))
    figure = gradients.noise_scales([made(), made(iteration=300, high=np.inf), made(preset="trpo")])
    assert len(figures.png(figure)) > 10_000
    assert figure.get_axes()[0].get_yscale() == "log"


def test_other_results_are_refused():
    with pytest.raises(UserError, match="no gradient result"):
        gradients.agreement([xr.Dataset({"mean_return": ("x", [1.0])})])
