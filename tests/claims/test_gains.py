"""Does C2 read mean gains as shares of the final return, and hold only where they are below the margin? Known truths."""

import numpy as np
import pytest
import xarray as xr

from tfpg.claims import judging
from tfpg.claims.verdicts import FAILS, HOLDS, UNDECIDED
from tfpg.errors import UserError

FINAL = 2000.0  # margin 2


def steps(seed, gains, *, preset="ppo", scale="small", final=FINAL, **plan):
    """What launch.steps leaves. Args: gains: by checkpoint."""
    one = ("checkpoint",)
    return xr.Dataset(
        {"mean_gain": (one, list(gains.values())), "drops": (one, [0.4] * len(gains)), "detectable": (one, [30.0] * len(gains)),
         "curve_slope": (one, [4.0] * len(gains))}, {"checkpoint": list(gains)},
        {"task": "Task-v0", "preset": preset, "run_seed": seed, "final_return": final, "scale": scale, "run": f"runs/{preset}-{seed}",
         "plan": str({"scale": scale, "episodes": 100, "iterations": tuple(gains), "seed": 0, **plan})})


def judged(values, **options):
    verdict, = judging.of_steps([steps(seed, {0: 500.0, 150: value, 300: value + 0.1}, **options) for seed, value in enumerate(values)])
    return verdict


@pytest.mark.parametrize(("values", "expected"), [
    ([-9.0, -10.0, -11.0], HOLDS), ([0.0, 0.1, -0.1], HOLDS), ([9.0, 10.0, 11.0], FAILS), ([-5.0, 1.0, 9.0], UNDECIDED), ([-9.0, -10.0], UNDECIDED)])
def test_c2_holds_where_an_updates_mean_gain_is_below_a_thousandth_of_the_final_return(values, expected):
    assert judged(values).verdict == expected


def test_the_number_of_an_agent_is_the_mean_of_its_later_checkpoints_as_a_share():
    statement, = judged([2.0, 4.0, 6.0]).statements
    assert statement.value == pytest.approx((4.0 + 0.05) / FINAL)


def test_negative_returns_have_a_size():
    assert judged([-9.0, -10.0, -11.0], final=-FINAL).statements[0].value == pytest.approx(-9.95 / FINAL)


def test_the_note_tells_lowering_from_not_raising_and_shows_the_learning_curve():
    lowers, neither = (judged(values).statements[0].note for values in ([-9.0, -10.0, -11.0], [0.0, 0.1, -0.1]))
    assert "it lowers the return" in lowers and "whether it lowers the return is open" in neither
    assert "by iteration 25.00% at 0" in lowers and "drops seen 40% at 0" in lowers and "learning curve rose 0.20% at 0" in lowers
    assert "an agent's own updates find 1.50% at 0" in lowers


def test_algorithms_are_judged_apart_and_scales_and_plans_not_joined():
    both = judging.of_steps([steps(seed, {150: -9.0 - seed}, preset=preset) for preset in ("ppo", "trpo") for seed in range(3)])
    assert [each.statements[0].presets for each in both] == [("ppo",), ("trpo",)]
    with pytest.raises(UserError, match="with scales paper and small"):
        judging.of_steps([steps(0, {150: 1.0}), steps(1, {150: 1.0}, scale="paper")])
    with pytest.raises(UserError, match="with episodes=100 and 7"):
        judging.of_steps([steps(0, {150: 1.0}), steps(1, {150: 1.0}, episodes=7)])
    with pytest.raises(UserError, match="looked at twice"):
        judging.of_steps([steps(0, {150: 1.0}), steps(0, {150: 1.0})])


@pytest.mark.parametrize("agents", [3, 10])
def test_updates_that_gain_just_the_margin_pass_for_ones_that_do_not_in_one_study_of_forty_at_most(agents):
    # agents whose true mean gain is the margin on average, 20 of them apart; updates 30, the episodes' share of an update's error 140
    draw, holds, studies = np.random.default_rng(agents), 0, 500
    for _ in range(studies):
        gains = FINAL / 1000 + 20 * draw.normal(size=(agents, 1)) + 30 * draw.normal(size=(agents, 25)) + 140 * draw.normal(size=(agents, 25))
        verdict, = judging.of_steps([steps(seed, {150: gain}) for seed, gain in enumerate(gains.mean(1))])
        holds += verdict.verdict == HOLDS
    assert holds / studies < 0.025 + 3 * np.sqrt(0.025 / studies)
