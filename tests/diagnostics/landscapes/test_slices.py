"""Straight lines from θ_k: known slopes, one θ_k, the step's place among directions, and the surrogate beside J."""

import numpy as np
import pytest
import tensorflow as tf
import xarray as xr

from tests import linear_quadratic as lq
from tests.diagnostics import handmade
from tests.diagnostics.draws import covered
from tests.diagnostics.landscapes.test_surfaces import assert_complete, assert_kept
from tests.diagnostics.subjects import AT_LQ, BIMODAL, Linear, falling
from tfpg.config import Ppo
from tfpg.diagnostics import pools, updates
from tfpg.diagnostics.landscapes import plane, surrogates
from tfpg.diagnostics.landscapes.slices import compared, ends, slice_surrogates, slices
from tfpg.diagnostics.returns import Job, play
from tfpg.diagnostics.statistics import estimates
from tfpg.errors import UserError

TS = plane.grid(9, -1, 2)
POOLS = ("train", "heldout")


@pytest.fixture(scope="module")
def linear():
    return Linear()


def gradient(linear):
    """∇J at θ_k by automatic differentiation of the closed form."""
    w, b, log_std = (tf.Variable(float(x), dtype=tf.float64) for x in linear.theta)
    with tf.GradientTape() as tape:
        value = lq.mean_return(w, b, tf.exp(log_std))
    return np.array(tape.gradient(value, [w, b, log_std]))


@pytest.fixture(scope="module")
def directions(linear):
    """The true gradient direction and 15 random ones of its norm, .1: a step that stays where J is nearly straight."""
    step = gradient(linear)
    step *= 0.1 / np.linalg.norm(step)

    def drawn(i):
        return plane.scaled(plane.gaussian(0, 0, i, 3), "step", theta=linear.theta, layout=linear.layout, step=step)

    return {"step": step, **{f"random {i + 1}": drawn(i) for i in range(15)}}


@pytest.fixture(scope="module", params=["common", "independent"])
def found(request, linear, directions):
    few = dict(list(directions.items())[:4])
    return slices(linear, few, TS, episodes=200, seed=1, noise=request.param)


def weights(ts):
    """Of the least-squares slope over |t| ≤ 1."""
    near = np.abs(ts) <= 1
    t = np.where(near, ts - ts[near].mean(), 0)
    return t / (t @ t)


def true_returns(subject, directions, ts=TS):
    """J along lines, [D, T]."""
    return np.stack([subject.mean_return(plane.line(subject.theta, d, ts).thetas()) for d in directions.values()])


# --- returns along lines --------------------------------------------------------------------------------------------


def test_slices_have_units_errors_counts_and_names(found):
    assert found["mean_return"].dims == ("direction", "t") and found["mean_return"].shape == (4, 9)
    assert_complete(found, "mean_return", "gain", "slope", "at_one")
    np.testing.assert_array_equal(found["label"], ["step", "random 1", "random 2", "random 3"])
    np.testing.assert_allclose(found["norm"], 0.1)
    assert (found["done"] == 1).all() and (found["pairs"] == 200 * 8).all() and (found["mean_length"] == 8).all()
    assert found.attrs["surface"] == "slices" and found.attrs["few_episodes"] == 0


def test_theta_k_is_one_and_the_same_in_every_direction(found, linear):
    origin = found["episode_return"].sel(t=0)
    for direction in range(1, 4):
        np.testing.assert_array_equal(origin[direction], origin[0])
    for suffix in ("", "_stderr", "_low", "_high"):
        assert (found[f"gain{suffix}"].sel(t=0) == 0).all()
    elsewhere = found["episode_return"].sel(t=[t for t in TS if t != 0]).values
    if found.attrs["noise"] == "independent":
        assert len(np.unique(elsewhere)) == elsewhere.size
        assert "correlation" not in found and "independent" in found["gain"].attrs["long_name"]
    else:
        np.testing.assert_allclose(found["correlation"].sel(t=0), 1)
        assert "paired" in found["gain"].attrs["long_name"]
    assert abs(float(origin[0].mean()) - linear.mean_return(linear.theta)) < 4 * float(origin[0].std()) / np.sqrt(200)


def test_each_point_is_the_return_at_its_theta(found, linear, directions):
    truth = true_returns(linear, dict(list(directions.items())[:4]))
    assert (np.abs(found["mean_return"] - truth) < 4 * found["mean_return_stderr"]).all()
    gains, near = truth - truth[:, [list(TS).index(0)]], TS != 0
    errors = np.abs(found["gain"].values - gains)[:, near] / found["gain_stderr"].values[:, near]
    assert errors.max() < 4.5
    np.testing.assert_array_equal(found["at_one"], found["gain"].sel(t=1))


@pytest.mark.parametrize("env", ["quadratic", "bimodal"])
def test_the_interval_of_a_slope_holds_the_slope_of_the_return(env, linear):
    """Coverage of nominal 95 %: 40 experiments of 2 directions and 60 episodes have a standard error of 2 to 3 %."""
    subject = linear if env == "quadratic" else Linear(BIMODAL, falling(0.3))
    draw = np.random.default_rng(0)
    lines = {str(i): 0.2 * draw.normal(size=3) for i in range(2)}
    ts = np.array([-1.0, 0, 1])
    truth = true_returns(subject, lines, ts) @ weights(ts)
    for noise in ("common", "independent")[:1 if env == "quadratic" else 2]:
        whole = slices(subject, lines, ts, episodes=2400, seed=2, noise=noise)["episode_return"].values
        blocks = whole.reshape(2, 3, 40, 60).transpose(2, 0, 1, 3)  # [40 experiments, D, T, 60 episodes]
        slopes = estimates.slopes(blocks, ts)
        assert covered(slopes, truth) >= 0.9 - 2 * np.sqrt(0.9 * 0.1 / 40), noise
        # the mean over experiments is right to a seventh of one's error
        np.testing.assert_allclose(slopes.mean.mean(0), truth, atol=4 * slopes.stderr.mean() / np.sqrt(40))


def test_slopes_with_common_numbers_are_sharper(linear, directions):
    few = {"step": directions["step"]}
    common, own = (slices(linear, few, TS, episodes=200, seed=3, noise=noise) for noise in ("common", "independent"))
    assert float(common["slope_stderr"][0]) < float(own["slope_stderr"][0]) / 3


def test_a_slice_without_theta_k_is_refused(linear, directions):
    with pytest.raises(UserError, match="a slice needs t = 0 among its points"):
        slices(linear, directions, np.array([0.5, 1, 2]), episodes=4, seed=0)


def test_without_the_full_step_there_is_nothing_to_say_of_it(linear, directions):
    found = slices(linear, dict(list(directions.items())[:3]), np.array([-0.5, 0, 0.5]), episodes=8, seed=0)
    assert "at_one" not in found and "rank_gain" not in compared(found)


# --- the step among directions --------------------------------------------------------------------------------------


def test_the_true_gradient_is_first_among_directions_of_its_norm(linear, directions):
    found = compared(slices(linear, directions, np.array([-1.0, 0, 1]), episodes=300, seed=1))
    # ∇J · d is largest along ∇J: the 15 cosines are below .95
    cosines = [directions["step"] @ d / 0.01 for label, d in directions.items() if label != "step"]
    assert max(cosines) < 0.95
    for name in ("rank_slope", "rank_gain"):
        assert float(found[name][0]) == 1 and float(found[f"{name}_low"][0]) == 1
    assert float(found["rank_slope_chance"][0]) == 1 / 16
    assert found.attrs["compared_with"] == 15
    difference = np.linalg.norm(gradient(linear)) * 0.1 * (1 - np.mean(cosines))  # slopes a step
    assert abs(float(found["slope_difference"][0]) - difference) < 4 * float(found["slope_difference_stderr"][0]) + 0.01
    assert float(found["slope_difference_low"][0]) > 0
    np.testing.assert_allclose(found["random_slope"][0], found["slope"][1:].mean(), rtol=1e-9)


def test_the_way_down_is_last(linear, directions):
    down = {"step": -directions["step"], **{label: d for label, d in directions.items() if label != "step"}}
    found = compared(slices(linear, down, np.array([-1.0, 0, 1]), episodes=150, seed=1))
    assert float(found["rank_slope"][0]) == 16 and float(found["rank_slope_high"][0]) == 16


def test_a_step_made_again_is_compared_with_the_random_directions_and_is_none_of_them(linear, directions):
    """Turned round it is last of 6; the step's own place, and the mean of the others, must not know of it."""
    few, ts = dict(list(directions.items())[:6]), np.array([-1.0, 0, 1])
    alone = compared(slices(linear, few, ts, episodes=150, seed=1))
    again = {"uphill": few["step"], "downhill": -few["step"]}
    found = compared(slices(linear, few, ts, episodes=150, seed=1, recomputed=again))
    np.testing.assert_array_equal(found["role"], ["step", *["random"] * 5, "recomputed", "recomputed"])
    np.testing.assert_array_equal(found["rank_slope_recomputed"], [1, 6])
    for name in ("rank_slope", "rank_slope_chance", "slope_difference", "random_slope"):
        np.testing.assert_array_equal(found[name], alone[name])
    assert found.attrs["compared_with"] == 5
    np.testing.assert_array_equal(found["slope"][6], found["slope"][0])  # the same line, the same episodes


# --- ends -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", ["common", "independent"])
def test_the_gain_of_each_step_is_that_of_its_end(noise, linear, directions, tmp_path):
    steps = [directions["step"], 3 * directions["random 1"], np.zeros(3)]
    found = ends(linear, steps, episodes=300, seed=4, noise=noise)
    assert_complete(found, "origin_return", "end_return", "end_gain")
    truth = linear.mean_return(np.stack([AT_LQ + step for step in steps]).astype(np.float32))
    assert (np.abs(found["end_return"] - truth) < 4 * found["end_return_stderr"]).all()
    gains = truth - linear.mean_return(AT_LQ)
    assert (np.abs(found["end_gain"] - gains) <= 4 * found["end_gain_stderr"]).all()
    assert len(np.unique(found["origin_return"])) == 1
    np.testing.assert_array_equal(found["end_pairs"], 300 * 8)
    if noise == "common":  # a step of zero is θ_k again, its episodes too
        assert float(found["end_gain"][2]) == float(found["end_gain_stderr"][2]) == 0
        assert float(found["end_correlation"][2]) == pytest.approx(1)
    else:
        assert float(found["end_gain_stderr"][2]) > 0 and "end_correlation" not in found
    assert_kept(found, tmp_path / "ends.nc")


# --- the surrogate on the same lines --------------------------------------------------------------------------------


def with_surrogate(found, values):
    """The Dataset with these values as the clipped surrogate on both pools, and their negatives as the unclipped."""
    stacked = np.stack([np.stack([values, -values])] * 2)
    return found.assign(surrogate=(("pool", "objective", "direction", "t"), stacked)).assign_coords(
        pool=list(POOLS), objective=["clipped", "unclipped"]).assign_attrs(optimised="clipped")


def test_where_the_surrogate_is_the_return_itself_their_ranks_agree_wholly(linear, directions):
    few = {label: 5 * d for label, d in list(directions.items())[:4]}
    # J along the lines minus J(θ_k): what a perfect surrogate would show
    truth = true_returns(linear, few)
    perfect = truth - truth[:, [list(TS).index(0)]]
    found = slices(linear, few, TS, episodes=200, seed=1)
    known = compared(with_surrogate(found, perfect))
    exact = compared(with_surrogate(found, found["gain"].values))
    for name in ("rank_correlation_along_step", "rank_correlation_all_lines"):
        assert exact[name].dims == ("pool",)
        np.testing.assert_allclose(exact[name], 1)
        assert (known[name] > 0.95).all()  # neighbours lie within each other's noise
        assert (known[f"{name}_reliability"] > 0.9).all()
        np.testing.assert_allclose(compared(with_surrogate(found, -found["gain"].values))[name], -1)
    np.testing.assert_array_equal(exact["rank_correlation_along_step_count"], len(TS))
    np.testing.assert_array_equal(exact["rank_correlation_all_lines_count"], 1 + 4 * (len(TS) - 1))  # θ_k once


def test_which_objective_is_compared_is_the_one_the_algorithm_climbs(found):
    values = found["gain"].values
    assert float(compared(with_surrogate(found, values))["rank_correlation_along_step"][0]) == pytest.approx(1)
    turned = with_surrogate(found, values).assign_attrs(optimised="unclipped")
    assert float(compared(turned)["rank_correlation_along_step"][0]) == pytest.approx(-1)


def test_the_whole_survey_of_slices_is_one_dataset_that_can_be_kept(untrained, tmp_path):
    probed = untrained(handmade.config(lq.TASK, algorithm=Ppo(minibatches=2)))
    step = updates.stored(probed).step
    lines = {"step": step, "random 1": plane.scaled(plane.gaussian(0, 7, 0, len(step)), "step", theta=probed.theta,
                                                    layout=probed.layout, step=step)}
    pool = pools.draw(probed, 200, 0, seed=1)
    pairs = {"train": surrogates.stored_pairs(probed),
             "heldout": surrogates.pool_pairs(pool, updates.Repeater(probed).prepare(pool))}
    ts = np.array([-0.5, 0, 0.5, 1])
    climbed = slice_surrogates(probed, lines, ts, pairs)
    assert set(climbed["surrogate"].dims) == {"direction", "pool", "objective", "t"}
    for i, direction in enumerate(lines.values()):
        thetas = plane.line(probed.theta, direction, ts).thetas()
        expected = surrogates.Surrogate(probed, pairs["heldout"])(thetas).value
        ours = climbed["surrogate"].sel(pool="heldout", direction=i).transpose("objective", "t")
        np.testing.assert_array_equal(ours, expected)
    np.testing.assert_array_equal(climbed["surrogate_count"], [handmade.T * handmade.N, 200])
    assert (climbed["surrogate"].sel(t=0) == 0).all()
    found = slices(probed, lines, ts, episodes=20, seed=0)
    whole = compared(found.merge(climbed, combine_attrs="drop_conflicts"))
    whole = whole.merge(ends(probed, [step], episodes=20, seed=0), combine_attrs="drop_conflicts")
    assert isinstance(whole, xr.Dataset) and {"pool", "objective", "direction", "t", "move", "one"} <= set(whole.dims)
    np.testing.assert_array_equal(whole["episode_return"].sel(direction=0, t=1).mean(), whole["end_return"][0])
    assert_kept(whole, tmp_path / "slices.nc")


def test_pairs_needed_follow_from_the_gain_and_the_spread_of_an_episode(linear):
    """2 (1.645 σ/Δ)² episodes of 8 steps; J is known, and the spread is that of many episodes."""
    step = np.array([0.3, -0.1, 0.0])
    found = ends(linear, [step, 1e-9 * step], episodes=4000, seed=1)
    thetas = np.stack([linear.theta, np.float32(linear.theta + step)])
    before, after = linear.mean_return(thetas)
    std = play(linear, Job(thetas, 4000, 1)).returns.std(axis=1, ddof=1)
    expected = 8 * 2 * (1.6449 * np.sqrt((std**2).mean()) / (after - before))**2
    needed, low, high = (found[f"needed_pairs{suffix}"].values for suffix in ("", "_low", "_high"))
    assert low[0] <= needed[0] <= high[0] < np.inf and abs(needed[0] / expected - 1) < 0.3
    assert np.isinf(high[1])  # a step that is lost in rounding, or nearly: no number of pairs is known to be enough
