"""Do C1, C3 and C4 read the right numbers out of landscapes, and do they say no more than the data do? Known truths."""

import math

import numpy as np
import pytest
import xarray as xr

from tfpg.claims import judging
from tfpg.claims.landscapes import contrast
from tfpg.claims.verdicts import FAILS, HOLDS, UNDECIDED, Bound, of_scores
from tfpg.errors import UserError

TASK, DIRECTIONS = "Task-v0", 16
PLAN = {"scale": "small", "step": "taken", "update_pairs": ("stored", "100000"), "seed": 0}


def attributes(seed, iteration, preset="trpo", plan=None, **more):
    return {"task": TASK, "preset": preset, "run_seed": seed, "iteration": iteration, "scale": "small", "policy": f"runs/{preset}-{seed}/{iteration}",
            "plan": str({**PLAN, **(plan or {})}), **more}


def slices(seed, iteration=0, *, step=10.0, random=1.0, noise=0.1, surrogate=(0.05, 0.02), directions=DIRECTIONS, draw=None, **more):
    """What launch.landscape leaves of lines: the step, random directions, and a recomputed step that no claim is about."""
    draw = draw or np.random.default_rng(100 * seed + iteration)
    slope = np.concatenate([[step], random * draw.normal(size=directions), [1e6]]) + noise * draw.normal(size=directions + 2)
    ts = np.linspace(-1, 3, 13)
    climbed = np.multiply.outer(np.array([[9.0, 9.0], surrogate]), np.multiply.outer(np.ones(directions + 2), ts)).transpose(1, 0, 2, 3)
    return xr.Dataset(
        {"slope": ("direction", slope), "slope_stderr": ("direction", np.full(directions + 2, noise)),
         "surrogate": (("pool", "objective", "direction", "t"), climbed),
         "rank_correlation_along_step": ("pool", [0.9, 0.4]), "rank_correlation_all_lines": ("pool", [0.8, 0.3])},
        {"direction": np.arange(directions + 2), "role": ("direction", ["step", *["random"] * directions, "recomputed"]), "t": ts,
         "pool": ["train", "heldout"], "objective": ["clipped", "unclipped"]}, attributes(seed, iteration, optimised="unclipped", **more))


def concentration(seed, iteration=150, *, ordering=0.6, sizes=(2000, 20_000), **more):
    return xr.Dataset(
        {"ordering": ("size", [ordering, 0.99]), "agreement": ("size", [0.5 + (ordering - 0.5) / 2, 0.9]),
         "needed_episodes": ("gap", [np.inf, 50.0, 10.0])}, {"size": list(sizes), "gap": [1.0, 10.0, 100.0]},
        attributes(seed, iteration, pilot_mean_length=400.0, **more))


def statements(found):
    one, = found
    return one.statements


# C1


@pytest.mark.parametrize(("step", "random", "expected"), [(30.0, 1.0, HOLDS), (1.0, 5.0, FAILS), (-30.0, 1.0, FAILS)])
def test_c1_holds_where_the_step_rises_and_is_more_than_twice_as_steep(step, random, expected):
    verdict, = judging.of_slices([slices(seed, step=step * (1 + 0.05 * seed), random=random) for seed in range(3)])
    assert (verdict.claim, verdict.verdict) == ("C1", expected)


def test_c1_is_judged_at_iteration_0_and_at_no_other():
    found = statements(judging.of_slices([slices(seed, k, step=30.0 if k == 0 else -500.0) for seed in range(3) for k in (0, 150)]))
    assert found[0].agents == 3 and found[0].value == pytest.approx(30, abs=1)
    assert judging.of_slices([slices(seed, 150) for seed in range(3)]) == []


def test_c1_says_the_steps_rank_and_how_many_times_as_steep_it_is():
    note = statements(judging.of_slices([slices(seed, step=-3.0 if seed == 2 else 30.0) for seed in range(3)]))[0].note
    assert "16 random directions" in note and "the largest in 2 of 3 agents (chance 1 in 17)" in note


def test_one_agent_decides_nothing_of_c1():
    assert statements(judging.of_slices([slices(0, step=100.0)]))[0].verdict == UNDECIDED


def test_fewer_random_directions_than_sixteen_are_refused():
    with pytest.raises(UserError, match="along 15 random directions: at least 16"):
        judging.of_slices([slices(0, directions=15)])


@pytest.mark.parametrize("plan", [{"step": "proposed"}, {"step": "direction.npy"}, {"update_pairs": ("100000",)}])
def test_another_step_than_the_one_taken_is_refused(plan):
    with pytest.raises(UserError, match="another step than the one that the run took"):
        judging.of_slices([slices(0, plan=plan)])


def test_the_contrast_is_0_where_the_step_is_just_twice_as_steep_and_1_or_minus_1_at_the_ends():
    random = np.full(16, 3.0) * np.where(np.arange(16) % 2, 1, -1)
    none = np.zeros(16)
    assert contrast(6.0, 0.0, random, none) == pytest.approx(0)
    assert contrast(60.0, 0.0, random, none) == pytest.approx(math.tanh(math.log(60 / 6)))
    assert contrast(0.0, 0.0, random, none) == -1 and contrast(5.0, 0.0, none, none) == 1
    assert math.isnan(contrast(0.0, 0.0, none, none))


def test_a_measurement_that_is_all_noise_says_neither():
    draw = np.random.default_rng(0)
    found = [contrast(draw.normal(), 1.0, draw.normal(size=16), np.ones(16)) for _ in range(4000)]
    assert abs(np.mean(found)) < 0.05  # "as steep as any" would be −0.6


# Simulations of many agents take seconds each.
MANY = [pytest.param(agents, marks=pytest.mark.long) for agents in (5, 10, 30)]


@pytest.mark.parametrize("agents", [3, *MANY])
@pytest.mark.parametrize("noise", [0.0, 0.5, 2.0])
def test_a_step_just_twice_as_steep_passes_for_much_steeper_in_one_study_of_forty_at_most(agents, noise):
    draw, studies = np.random.default_rng(agents), 1500 if agents < 20 else 300
    scores = np.empty((studies, agents))
    for index in np.ndindex(studies, agents):
        # directions whose slopes have root mean square 1 exactly: what is judged is a step against those sixteen
        random = draw.normal(size=16)
        random /= np.sqrt(np.square(random).mean())
        scores[index] = contrast(2 + noise * draw.normal(), noise, random + noise * draw.normal(size=16), np.full(16, noise))
    if noise == 0:
        np.testing.assert_allclose(scores, 0, atol=1e-12)  # no spread at all: at the margin, and not beyond it
        return
    holds = [of_scores("x", TASK, "ppo", each, Bound(True, 0.0)).verdict == HOLDS for each in scores]
    assert np.mean(holds) < 0.025 + 3 * np.sqrt(0.025 / len(holds))


# C3


@pytest.mark.parametrize(("surrogate", "expected"), [((0.05, 0.02), HOLDS), ((0.05, -0.02), FAILS)])
def test_c3_reads_the_surrogate_at_the_whole_of_the_step_on_both_pools(surrogate, expected):
    # rows of the fixture are pools: train climbs by the first number, held-out by the second, of the objective that is optimised
    some = [slices(seed, 150) for seed in range(3)]
    some = [each.assign(surrogate=each["surrogate"] * 0 + xr.DataArray(np.array(surrogate) * (1 + 0.01 * seed), dims="pool") * each["t"])
            for seed, each in enumerate(some)]
    verdict, = judging.of_surrogates(some)
    assert verdict.verdict == expected
    assert [each.value for each in verdict.statements] == pytest.approx([number * 1.01 for number in surrogate])


def test_c3_reads_the_objective_that_the_algorithm_climbs():
    found = statements(judging.of_surrogates([slices(seed, 150, surrogate=(0.05, 0.02)) for seed in range(3)]))
    # objective unclipped: 0.05 on its own pairs, 0.02 on held-out ones; clipped would be 9
    assert [each.value for each in found] == pytest.approx([0.05, 0.02])


def test_c3_tells_rank_correlations_by_iteration_and_those_of_an_equal_norm_grid_only():
    some = [slices(seed, k) for seed in range(3) for k in (0, 150)]
    grid = [xr.Dataset({"rank_correlation_grid": (("update", "pool"), [[0.7, 0.2], [9, 9]])}, {"pool": ["train", "heldout"]},
                       attributes(seed, 150, norm=norm)) for seed, norm in ((0, "step"), (1, "paper"))]
    own, heldout = (each.note for each in statements(judging.of_surrogates(some, grid)))
    assert "along the step 0.9 at 0, 0.9 at 150" in own and "over the equal-norm grid 0.7 at 150" in own
    assert "lines of its norm 0.3 at 0, 0.3 at 150" in heldout and "0.2 at 150" in heldout


# C4


@pytest.mark.parametrize(("ordering", "expected"), [(0.6, HOLDS), (0.9, FAILS)])
def test_c4_reads_how_often_an_agents_pairs_order_two_points(ordering, expected):
    verdict, = judging.of_concentrations([concentration(seed, ordering=ordering + 0.01 * seed) for seed in range(3)])
    assert verdict.verdict == expected
    assert verdict.statements[0].value == pytest.approx(ordering + 0.01)


def test_c4_says_what_pairs_would_do_and_leaves_iteration_0_out_of_the_verdict():
    found = statements(judging.of_concentrations([concentration(seed, k, ordering=0.99 if k == 0 else 0.6) for seed in range(3) for k in (0, 150)]))[0]
    assert found.value == pytest.approx(0.6)
    assert "by iteration 0.99 at 0, 0.6 at 150" in found.note
    assert "20,000 at 0, 20,000 at 150" in found.note  # 50 episodes of 400


def test_other_sample_sizes_do_not_stand_for_an_agents():
    with pytest.raises(UserError, match="looked at with 200, 1000 pairs, none near 2048"):
        judging.of_concentrations([concentration(0, sizes=(200, 1000))])


# What may be joined


def test_landscapes_of_two_scales_or_plans_are_not_joined():
    with pytest.raises(UserError, match="with scales paper and small"):
        judging.of_slices([slices(0), slices(1).assign_attrs(scale="paper")])
    with pytest.raises(UserError, match="with slice_pairs=None and 7"):
        judging.of_slices([slices(0), slices(1, plan={"slice_pairs": 7})])
    with pytest.raises(UserError, match="looked at twice"):
        judging.of_slices([slices(0), slices(0)])
    assert judging.of_slices([slices(0), slices(1, plan={"seed": 5})])  # other random numbers are no other plan
