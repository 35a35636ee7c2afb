"""What a survey is asked: read from flags, refused where it makes no sense, compared with what was asked before."""

import dataclasses
import json

import pytest

from launch.instruments.landscapes import plan as surveyplan
from launch.instruments.landscapes.plan import Plan, parse_extent, parse_points, parse_updates
from launch.shared.commandline import configuration
from launch.shared.plans import as_json, difference, parse_numbers
from tfpg.diagnostics.landscapes import plane
from tfpg.errors import UserError


def plan(**others):
    """Scale small."""
    scale = configuration("diagnostics").LANDSCAPES["small"]._asdict()
    given = {**scale, "points": (9, 9), "extent": (0.0, 3.0, 0.0, 3.0), "slice_extent": (-1.0, 3.0), "scale": "small",
             "minibatches": "same number", "norm": "paper", "step": "taken", "to": None,
              "step_sha256": None, "to_sha256": None, "noise": "common", "seed": 0,
             "max_steps": None}
    return Plan(**{**given, **others})


@pytest.mark.parametrize(("text", "numbers"), [("9", (9, 9)), ("9,5", (9, 5)), (" 4 , 3 ", (4, 3)), ("1e1", (10, 10))])
def test_points_are_one_number_or_two(text, numbers):
    assert parse_points(text) == numbers


@pytest.mark.parametrize(("text", "axes", "ends"), [
    ("-1,3", 2, (-1, 3, -1, 3)), ("0,3,-2,2", 2, (0, 3, -2, 2)), ("-1,3", 1, (-1, 3)), (".5,1e2", 1, (0.5, 100))])
def test_an_extent_holds_for_all_axes_or_each_has_its_own(text, axes, ends):
    assert parse_extent("extent", text, axes) == ends


@pytest.mark.parametrize(("text", "axes"), [
    ("3", 2), ("", 2), ("0,1,2", 2), ("0,x", 2), ("0,inf", 2), ("0,nan", 2), ("0,3,0,3", 1), ("0,1,2,3,4", 2)])
def test_what_is_no_extent_is_refused(text, axes):
    with pytest.raises(UserError, match=f"^extent={text} is no extent: give LOW,HIGH.*, for example -1,3.$"):
        parse_extent("extent", text, axes)


@pytest.mark.parametrize(("text", "numbers"), [("2000,6000", (2000, 6000)), ("2e3,1e6", (2000, 1_000_000)), ("2_000", (2000,))])
def test_numbers_are_written_in_all_usual_ways(text, numbers):
    assert parse_numbers("sizes", text) == numbers


@pytest.mark.parametrize("text", ["", "0", "-5", "1.5", "x", "1,,2", "inf", "nan", "2000,"])
def test_what_is_no_list_of_whole_numbers_is_refused(text):
    with pytest.raises(UserError, match=f"^sizes={text} is no list of whole numbers above 0"):
        parse_numbers("sizes", text)


@pytest.mark.parametrize("text", ["2000,200", "200,200"])
def test_sizes_that_do_not_rise_are_refused(text):
    with pytest.raises(UserError, match=f"^sizes={text} must rise: each sample is a part of the next.$"):
        parse_numbers("sizes", text)


def test_updates_are_the_stored_one_and_numbers_of_pairs():
    assert parse_updates("stored, 1e5") == ("stored", "100000")
    assert parse_updates(("stored", "8192")) == ("stored", "8192")
    assert parse_updates("100000,stored,2048") == ("stored", "100000", "2048")
    with pytest.raises(UserError, match="^update_pairs=stord is neither stored nor a number of pairs, such as stored,100000.$"):
        parse_updates("stored,stord")
    with pytest.raises(UserError, match="^update_pairs=2000,2e3 names one twice.$"):
        parse_updates("2000,2e3")


@pytest.mark.parametrize(("field", "value", "sentence"), [
    ("norm", "papper", r"^norm=papper is not known: did you mean paper\?$"),
    ("noise", "shared", "^noise=shared is not known: choose one of common, independent.$"),
    ("minibatches", "same sise", r"^minibatches=same sise is not known: did you mean same size\?$"),
    ("points", (2, 9), "^points=2 is too few for extent=0,3: 0, 1, 3 make 3.$"),
    ("points", (9, 2), "^points=2 is too few for extent=0,3: 0, 1, 3 make 3.$"),
    ("slice_points", 3, "^slice_points=3 is too few for slice_extent=-1,3: -1, 0, 1, 3 make 4.$"),
    ("extent", (1.0, 3.0, 0.0, 3.0), "^extent=1,3 must hold 0, from where every difference is taken, and end above it.$"),
    ("extent", (0.0, 3.0, -2.0, -1.0), "^extent=-2,-1 must hold 0"),
    ("extent", (0.0, 0.0, 0.0, 3.0), "^extent=0,0 must hold 0, .* and end above it.$"),
    ("slice_extent", (0.5, 3.0), "^slice_extent=0.5,3 must hold 0")])
def test_a_plan_that_makes_no_sense_is_refused(field, value, sentence):
    with pytest.raises(UserError, match=sentence):
        plan(**{field: value})


@pytest.mark.parametrize("high", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("low", [-1.0, -0.5, 0.0])
@pytest.mark.parametrize("points", [1, 2, 3, 4, 5])
def test_a_plan_refuses_just_the_points_that_make_no_grid(points, low, high):
    def refused(ask):
        try:
            ask()
        except UserError:
            return True
        return False

    assert refused(lambda: plan(slice_points=points, slice_extent=(low, high))) == refused(lambda: plane.grid(points, low, high))


def test_a_plan_is_the_same_after_it_was_stored():
    asked = plan(extent=(-1.0, 3.0, -0.5, 0.5), to="/runs/a/policies/000300")
    assert json.loads(json.dumps(as_json(asked))) == as_json(asked)
    assert set(as_json(asked)) == {field.name for field in dataclasses.fields(Plan)}


def test_a_difference_is_told_by_the_names_of_the_flags():
    there, asked = as_json(plan()), as_json(plan(concentration=(100,), norm="step", max_steps=50, slice_extent=(0.0, 1.5)))
    assert difference(there, asked) == ("sizes=2000,6000,20000 there, 100 asked; slice_extent=-1,3 there, 0,1.5 asked; "
                                        "norm=paper there, step asked; max_steps=none there, 50 asked")


def test_every_surface_that_needs_a_step_or_the_training_is_one_of_the_surfaces():
    assert {*surveyplan.NEEDS_STEP, *surveyplan.NEEDS_TRAINING} <= set(surveyplan.SURFACES)
