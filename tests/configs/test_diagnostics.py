"""Do the scales hold what EXPERIMENTS §2 asks of them? Typed here by hand."""

import numpy as np
import pytest

from launch.instruments.values.plan import Plan
from launch.shared.commandline import configuration

SCALES = configuration("diagnostics").LANDSCAPES


def test_the_scales_are_those_that_the_documentation_names():
    assert list(SCALES) == ["smoke", "small", "paper"]


def test_small_is_the_table_of_the_experiments():
    small = SCALES["small"]
    assert (small.points, small.pairs, small.slice_points, small.slice_pairs, small.end_pairs) == (9, 20_000, 13, 100_000, 500_000)
    assert small.concentration[0] == 2_000 and "100000" in small.update_pairs


def test_paper_is_at_least_as_fine_as_published():
    paper = SCALES["paper"]
    assert paper.points >= 21 and paper.pairs >= 1_000_000 and "1000000" in paper.update_pairs
    assert paper.concentration == (2_000, 20_000, 100_000)


@pytest.mark.parametrize("name", SCALES)
def test_every_scale_can_show_what_it_is_for(name):
    scale = SCALES[name]
    assert scale.extent == (0, 3)  # both axes, as published
    low, high = scale.slice_extent
    assert low < 0 and high > 1  # what lies behind θ_k and beyond the full step
    ts = np.linspace(low, high, scale.slice_points)
    assert np.abs(ts).min() < 1e-9 and np.abs(ts - 1).min() < 1e-9  # evenly spaced, with θ_k and the full step among them
    assert scale.directions >= 16 and scale.repeat_episodes >= 8
    assert list(scale.concentration) == sorted(set(scale.concentration))
    assert scale.update_pairs[0] == "stored" and scale.update_pairs[1].isdecimal()


@pytest.mark.parametrize("field", ["points", "pairs", "slice_points", "slice_pairs", "end_pairs", "heldout_pairs", "repeats",
                                   "repeat_episodes"])
def test_a_larger_scale_has_the_larger_budget(field):
    budgets = [getattr(SCALES[name], field) for name in ("smoke", "small", "paper")]
    assert budgets == sorted(budgets) and budgets[0] < budgets[-1]


GRADIENTS = configuration("diagnostics").GRADIENTS


def test_gradient_scales_have_their_table():
    assert list(GRADIENTS) == ["smoke", "small", "paper"]
    assert GRADIENTS["paper"].sizes[0] == 100 and GRADIENTS["paper"].sizes[-1] == 1_000_000
    assert GRADIENTS["paper"].reference_pairs == 10_000_000
    for scale in GRADIENTS.values():
        assert scale.estimates == 10 and 2_048 in scale.sizes and 2_048 in scale.step_sizes
        assert min(scale.step_sizes) >= 640  # PPO's minibatches


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradient_scales_ask_for_no_size_that_their_reference_cannot_judge(name):
    scale = GRADIENTS[name]
    assert max(scale.sizes) <= scale.reference_pairs // 5 and max(scale.step_sizes) <= scale.step_reference_pairs // 5
    assert list(scale.sizes) == sorted(set(scale.sizes)) and set(scale.step_sizes[:2]) <= set(scale.sizes) | {640}


VALUES = configuration("diagnostics").VALUES


def test_values_at_paper_are_those_of_the_experiments():
    paper = VALUES["paper"]
    assert list(VALUES) == list(SCALES) and paper.fit_pairs >= 5_000_000 and paper.estimates == 10
    assert max(paper.sizes) == 10_000 and 1_000_000 <= paper.reference_pairs <= 10_000_000


@pytest.mark.parametrize("name", VALUES)
def test_every_scale_of_values_can_be_planned(name):
    scale = VALUES[name]
    assert Plan(scale=name, seed=0, **scale._asdict()).tasks(2048)["predictions"] == 2 * 2048 * scale.repeats
    assert scale.estimates >= 3 and scale.repeats >= 2 and 2_000 in scale.sizes


@pytest.mark.parametrize("field", ["repeats", "fit_pairs", "check_pairs", "reference_pairs"])
def test_a_larger_scale_of_values_has_the_larger_budget(field):
    budgets = [getattr(VALUES[name], field) for name in ("smoke", "small", "paper")]
    assert budgets == sorted(set(budgets))


def test_trust_regions_have_the_same_scales_and_paper_looks_at_every_iteration():
    scales = configuration("diagnostics").TRUST_REGIONS
    assert list(scales) == list(SCALES) and scales["paper"].heldout_every == 1
    assert scales["smoke"].heldout_every > scales["small"].heldout_every > 1


STEPS = configuration("diagnostics").STEPS


def test_a_mean_gain_is_of_25_updates_at_least_where_it_is_to_stand_for_the_others():
    assert all(STEPS[name].count >= 25 and STEPS[name].episodes >= 50 for name in ("small", "paper"))
    assert all(scale.count <= scale.spread for scale in STEPS.values())
