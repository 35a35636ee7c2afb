"""Policies side by side: a column for each, a row for each quantity, scales shared or not."""

import numpy as np
import pytest

from tests.report.surfaces import flat, hill, returns, solid, surrogates, words
from tfpg.errors import UserError
from tfpg.report.side_by_side import panels, panels_3d

SMALL = np.linspace(-1, 3, 5)


def policies(iterations=(0, 150, 450), **attrs):
    return [returns(lambda x, y, k=k: hill(x, y, base=20 + 5 * k), xs=SMALL, iteration=k, policy=str(k), **attrs)
            for k in iterations]


def limits(figure):
    return [(axes.collections[0].norm.vmin, axes.collections[0].norm.vmax) for axes in flat(figure)]


def test_shared_colour_limits_are_equal_in_all_panels_and_hold_every_value():
    found = policies()
    [(low, high)] = set(limits(panels(found)))
    values = np.stack([each["mean_return"].values for each in found])
    assert low == values.min() and high == values.max()


def test_own_colour_limits_are_each_panels_own():
    assert len(set(limits(panels(policies(), shared=False)))) == 3


def test_shared_hills_have_one_height_also_over_several_rows():
    figure = panels_3d(policies(range(0, 600, 100)))
    assert len(solid(figure)) == 6 and len({axes.get_zlim() for axes in solid(figure)}) == 1
    assert len({axes.get_zlim() for axes in solid(panels_3d(policies(), shared=False))}) == 3


def test_the_published_figure_has_returns_above_surrogates_and_a_column_for_each_iteration():
    found = [*policies(), *(surrogates(xs=SMALL, iteration=k, policy=str(k)) for k in (0, 150, 450))]
    figure = panels_3d(found[::-1])  # in any order: columns follow the first mention
    titles = [axes.get_title().split("\n")[0] for axes in solid(figure)]
    assert titles == ["iteration 450", "iteration 150", "iteration 0"] * 2
    said = words(figure)
    assert "True return and surrogate: Hopper-v5, PPO, seed 0" in said and "Surrogate (clipped)" in said


def test_surrogate_and_return_have_scales_of_their_own():
    both = limits(panels([returns(xs=SMALL), surrogates(xs=SMALL)]))
    assert both[0][0] > 1000 and both[1][1] < 1


def test_a_policy_without_a_surrogate_leaves_its_place_empty():
    figure = panels([*policies((0, 150)), surrogates(xs=SMALL, iteration=150, policy="150")])
    titles = [axes.get_title().split("\n")[0] for axes in flat(figure)]
    assert titles == ["iteration 0", "iteration 150", "iteration 150"]


def test_policies_are_told_apart_by_what_differs():
    figure = panels([returns(xs=SMALL, preset="trpo"), returns(xs=SMALL, preset="ppo_m", run_seed=3)])
    assert [axes.get_title().split("\n")[0] for axes in flat(figure)] == ["TRPO, seed 0", "PPO-M, seed 3"]


def test_each_panel_has_its_standard_error_and_the_caption_the_sample():
    found = policies()
    said = words(panels(found))
    assert f"standard error {np.median(found[1]['mean_return_stderr']):.3g}" in said and "34 episodes a point" in said


def test_few_episodes_names_the_policies_that_have_them():
    said = words(panels([*policies((0,), few_episodes=1), *policies((150,))]))
    assert "few episodes (iteration 0)" in said


def test_the_chosen_update_is_shown_and_one_too_many_is_refused():
    found = returns(xs=SMALL, updates=(2048, 100_000))
    assert flat(panels([found], update=1))[0].collections[0].get_array().tolist() == \
        found["mean_return"].values[1].T.tolist()
    with pytest.raises(UserError, match="there is no update 2"):
        panels([found], update=2)


def test_no_landscape_at_all_is_refused():
    with pytest.raises(UserError, match="at least one"):
        panels([])
