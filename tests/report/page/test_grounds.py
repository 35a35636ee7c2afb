"""What the viewer of landscapes is given."""

import json

import numpy as np

from tests.report import surfaces
from tfpg.report.page import grounds


def given(**changes):
    policy = {"return": surfaces.returns(updates=surfaces.UPDATES, unknown=[(0, 2, 3)]), "surrogate": surfaces.surrogates(updates=surfaces.UPDATES),
              "concentration": surfaces.concentrations(), **changes}
    return grounds.viewer([policy])


def test_a_step_has_its_true_return_its_surrogates_and_what_few_samples_show():
    [policy] = given()["policies"]
    assert policy["name"] == "Hopper-v5, PPO, seed 0, iteration 150"
    own, again = policy["steps"]
    assert own["name"] == "The run's own step from 2,048 pairs" and again["name"] == "Recomputed step from 100,000 pairs"
    assert [each["name"] for each in own["surfaces"]] == [
        "True return", "Clipped surrogate, the update's own pairs", "Clipped surrogate, held-out pairs", "True return seen with 2,000 pairs a point",
        "True return seen with 6,000 pairs a point", "True return seen with 20,000 pairs a point"]
    assert next(each["name"] for each in again["surfaces"]) == "True return"


def test_a_surface_is_indexed_by_y_then_x_and_unknown_points_are_none():
    surface = given()["policies"][0]["steps"][0]["surfaces"][0]
    dataset = surfaces.returns(updates=surfaces.UPDATES, unknown=[(0, 2, 3)])
    assert surface["z"][3][2] is None and "not computed" in surface["hover"][3][2]
    assert surface["z"][1][4] == float(f"{dataset['mean_return'].values[0, 4, 1]:.6g}")
    assert "34 episodes" in surface["hover"][1][4]


def test_origin_and_full_step_are_marked_at_their_heights():
    surface = given()["policies"][0]["steps"][0]["surfaces"][0]
    names = [place["name"] for place in surface["places"]]
    assert names == ["θ_k", "θ_k+1"]
    dataset = surfaces.returns(updates=surfaces.UPDATES, unknown=[(0, 2, 3)])
    np.testing.assert_allclose(surface["places"][0]["z"], dataset["mean_return"].values[0, 0, 0])


def test_a_refused_step_has_no_mark():
    refused = surfaces.returns()
    refused["step_norm"] = 0 * refused["step_norm"]
    surface = grounds.viewer([{"return": refused}])["policies"][0]["steps"][0]["surfaces"][0]
    assert [place["name"] for place in surface["places"]] == ["θ_k"]


def test_it_is_what_json_takes():
    json.dumps(given(), allow_nan=False)


def test_a_policy_without_surfaces_is_left_out():
    assert grounds.viewer([{"slices": surfaces.slices()}]) == {"policies": []}
