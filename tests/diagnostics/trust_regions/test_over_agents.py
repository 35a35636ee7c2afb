"""Means of agents: which interval, what is refused, what one agent may say."""

import json

import numpy as np
import pytest
import scipy.stats
import xarray as xr

from tfpg.diagnostics.trust_regions import over_agents as seeds
from tfpg.errors import UserError

K = 6


def agent(seed, *, preset="ppo", task="Hopper-v5", kl=0.01, ratio=2.0, iterations=K, heldout=2048, **settings):
    """A run whose numbers are constant. Every other iteration was looked at on held-out pairs."""
    def pools(train, held):
        values = np.full((iterations, 2), np.nan)
        values[:, 0], values[::2, 1] = train, held
        return ("iteration", "pool"), values

    variables = {"mean_return": pools(10.0 * seed, 10.0 * seed + 1), "mean_kl": pools(kl, 2 * kl),
                 "max_ratio": pools(ratio, 2 * ratio),
                 "env_steps": ("iteration", 2048.0 * (2 + np.arange(iterations))),
                 "pairs": (("iteration", "pool"), np.tile([2048, heldout], (iterations, 1)))}
    if preset == "trpo":
        variables["delta"] = "iteration", np.full(iterations, 0.13)
    attrs = {"task": task, "preset": preset, "run_seed": seed, "run": f"runs/{preset}-{seed}", "reference_delta": 0.13,
             "tensorflow": "2.0", "settings": json.dumps({"seed": seed, "total_steps": iterations, "runtime.xla": bool(seed), "ppo.epochs": 10,
                                     **settings})}
    return xr.Dataset(variables, {"iteration": np.arange(iterations), "pool": ["train", "heldout"]}, attrs)


def test_a_group_is_the_seeds_of_a_preset_on_a_task():
    found = seeds.over_seeds([agent(0), agent(1), agent(0, preset="trpo"), agent(0, task="Walker2d-v5")])
    assert list(zip(found["task"].values, found["preset"].values, found["agents"].values, strict=True)) == [
        ("Hopper-v5", "ppo", 2), ("Hopper-v5", "trpo", 1), ("Walker2d-v5", "ppo", 1)]
    np.testing.assert_array_equal(found["mean_return"].sel(pool="train").isel(group=0), 5.0)
    np.testing.assert_array_equal(found["delta"].isel(group=1), 0.13)
    assert np.isnan(found["delta"].isel(group=0)).all()


def test_the_band_of_few_agents_is_students():
    returns = [0.0, 10.0, 30.0]
    found = seeds.over_seeds([agent(i) for i in (0, 1, 3)]).sel(pool="train").isel(group=0, iteration=0)
    low, high = scipy.stats.t.interval(0.95, 2, np.mean(returns), scipy.stats.sem(returns))
    np.testing.assert_allclose([found["mean_return_low"], found["mean_return_high"]], [low, high])
    assert int(found["mean_return_count"]) == 3


def test_one_agent_has_no_band():
    found = seeds.over_seeds([agent(0)])
    assert np.isnan(found["mean_kl_low"]).all()
    np.testing.assert_allclose(found["mean_kl"].sel(pool="heldout").isel(group=0), [0.02, np.nan] * 3)


def test_iterations_that_an_agent_lacks_are_the_mean_of_the_others():
    found = seeds.over_seeds([agent(0, kl=0.01), agent(1, kl=0.03, iterations=2)])["mean_kl"].sel(pool="train").isel(group=0)
    np.testing.assert_allclose(found, [0.03 ** 0.5 / 10] * 2 + [0.01] * 4)  # geometric: √(0.01 · 0.03)


@pytest.mark.parametrize(("others", "words"), [
    ([agent(1, **{"ppo.epochs": 3})], "ppo.epochs=3"), ([agent(0)], "one seed"), ([agent(1, heldout=64)], "equal numbers only")])
def test_agents_that_do_not_belong_together_are_refused(others, words):
    with pytest.raises(UserError, match=words):
        seeds.over_seeds([agent(0), *others])


def test_running_means_are_of_what_is_known_of_the_last_iterations_and_end_with_the_run():
    values = np.array([1.0, 3.0, np.nan, 5.0, 7.0, np.nan])
    np.testing.assert_array_equal(seeds.running(values, 2), [1, 2, 3, 5, 6, np.nan])
    np.testing.assert_array_equal(seeds.running(values, 3), [1, 2, 2, 4, 6, np.nan])
    np.testing.assert_array_equal(seeds.running(values, 1), values)


def test_the_share_of_one_agent_is_of_its_iterations():
    one = agent(0, kl=0.1)
    one["mean_kl"][:4, 0] = 0.2
    found = seeds.share([one], "train", [0.13])
    # Clopper–Pearson of 2 in 6: the beta quantiles
    assert found[:5] == pytest.approx((2 / 6, scipy.stats.beta.ppf(0.025, 2, 5), scipy.stats.beta.ppf(0.975, 3, 4), 6, 1))
    assert found.interval == "clopper-pearson"
    assert seeds.share([one], "heldout", [0.3]).iterations == 3


def test_kl_and_ratio_are_averaged_on_the_log_scale_so_that_two_agents_have_a_positive_band():
    found = seeds.over_seeds([agent(0, kl=0.01, ratio=2.0), agent(1, kl=0.04, ratio=8.0)]).sel(pool="train")
    found = found.isel(group=0, iteration=0)
    assert float(found["mean_kl"]) == pytest.approx(0.02) and float(found["max_ratio"]) == pytest.approx(4)
    # log 2 and log 8 lie ± log 2 from log 4: standard error log 2, Student's t with 1 degree of freedom
    half = scipy.stats.t.ppf(0.975, 1) * np.log(2)
    np.testing.assert_allclose([found["max_ratio_low"], found["max_ratio_high"]], 4 * np.exp([-half, half]))
    assert float(found["max_ratio_stderr"]) == pytest.approx(np.log(2)) and float(found["mean_kl_low"]) > 0


def test_an_update_that_did_not_move_is_left_out_and_an_infinite_ratio_is_not():
    still, wild = agent(0, kl=0.0), agent(1, kl=0.01)
    wild["max_ratio"][0, 0] = np.inf
    found = seeds.over_seeds([still, wild], window=3).sel(pool="train").isel(group=0)
    np.testing.assert_allclose(found["mean_kl"], 0.01)
    np.testing.assert_array_equal(found["mean_kl_count"], 1)
    np.testing.assert_allclose(found["max_ratio"], [np.inf, 2, 2, 2, 2, 2])
    np.testing.assert_array_equal(found["max_ratio_count"], 2)
    assert np.isnan(found["max_ratio_high"][0]) and (found.attrs["unmoved"], found.attrs["infinite"]) == (6, 1)


def test_only_own_pairs_are_smoothed_and_kl_geometrically():
    one = agent(0)
    one["mean_kl"][:, 0], one["mean_kl"][:, 1] = [1, 4, 1, 4, 1, 4], [1, np.nan, 4, np.nan, 9, np.nan]
    one["mean_return"][:, 0] = [0, 2, 0, 2, 0, 2]
    found = seeds.over_seeds([one], window=4).isel(group=0)
    # √(1·4) = 2 from four values; (1·4·1)^⅓ from three
    np.testing.assert_allclose(found["mean_kl"].sel(pool="train"), [1, 2, 4 ** (1 / 3), 2, 2, 2])
    np.testing.assert_allclose(found["mean_kl"].sel(pool="heldout"), [1, np.nan, 4, np.nan, 9, np.nan])
    np.testing.assert_allclose(found["mean_return"].sel(pool="train")[3:], 1)


def test_the_summary_keeps_each_agent_its_units_and_where_it_comes_from():
    found = seeds.over_seeds([agent(0), agent(1, kl=0.03), agent(0, preset="trpo")])
    np.testing.assert_allclose(found["mean_kl_agents"].sel(pool="train").isel(iteration=0), [[0.01, 0.03], [0.01, np.nan]])
    units = {name: found[name].attrs["units"] for name in ("mean_return_low", "mean_kl", "mean_kl_high", "delta", "max_ratio",
                                                           "mean_kl_stderr", "mean_return_stderr", "mean_kl_count")}
    assert list(units.values()) == ["raw reward", "nats", "nats", "nats", "1", "1", "raw reward", "1"]
    for name, values in (("tasks", ["Hopper-v5"] * 3), ("presets", ["ppo", "ppo", "trpo"]), ("seeds", [0, 1, 0]),
                         ("runs", ["runs/ppo-0", "runs/ppo-1", "runs/trpo-0"])):
        assert json.loads(found.attrs[name]) == values
    assert found.attrs["tensorflow"] == "2.0"


def test_runs_of_several_batch_sizes_are_told():
    other = agent(0, preset="trpo")
    other["pairs"] = other["pairs"] * [2, 1]
    assert seeds.over_seeds([agent(0), other]).attrs["pairs_train"] == "2048, 4096"


@pytest.mark.parametrize("schedule", [{"code_level.anneal": True}, {"trpo.delta_final": 0.01}])
def test_runs_of_several_lengths_are_no_seeds_of_each_other_where_something_is_annealed(schedule):
    with pytest.raises(UserError, match="total_steps=2"):
        seeds.over_seeds([agent(0, **schedule), agent(1, iterations=2, **schedule)])
    off = dict.fromkeys(schedule)
    assert seeds.over_seeds([agent(0, **off), agent(1, iterations=2, **off)]).sizes["group"] == 1


def test_agents_that_agree_have_at_least_the_interval_of_their_iterations():
    one, two = agent(0, kl=0.1), agent(1, kl=0.1)
    found = seeds.share([one, two], "train", [0.13] * 2)
    # Clopper–Pearson of 12 in 12: ½α = low¹²
    assert found[:5] == pytest.approx((1, 0.025 ** (1 / 12), 1, 12, 2)) and found.interval == "clopper-pearson"
    assert found.high - found.low < seeds.share([one], "train", [0.13]).high - seeds.share([one], "train", [0.13]).low


def test_the_share_of_several_agents_is_of_agents():
    found = seeds.share([agent(0, kl=0.1), agent(1, kl=0.2), agent(2, kl=0.1)], "train", [0.13] * 3)
    assert (found.mean, found.agents, found.iterations) == (pytest.approx(2 / 3), 3, 18)
    assert (found.low, found.high, found.interval) == (0, 1, "student")


def test_how_many_times_as_large_is_welchs_on_the_logarithms_of_agents_in_the_window():
    ppo, ppo_m = ([agent(i, preset=name, kl=kl, iterations=8) for i, kl in enumerate(kls)]
                  for name, kls in (("ppo", (0.01, 0.02, 0.04)), ("ppo_m", (0.08, 0.32))))
    for one in ppo_m:
        one["mean_kl"][:2] = 5.0  # before the window
        one["mean_kl"][4, 0] = 0  # an update that did not move
    found = seeds.factor(ppo_m, ppo, "mean_kl", pool="train", window=(2, 8))
    expected = scipy.stats.ttest_ind(np.log([0.08, 0.32]), np.log([0.01, 0.02, 0.04]), equal_var=False)
    ends = expected.confidence_interval(0.95)
    np.testing.assert_allclose(found.mean, 8.0)  # √(.08 · .32) / (.01 · .02 · .04)^⅓ = .16 / .02
    np.testing.assert_allclose([found.low, found.high], np.exp([ends.low, ends.high]))
    assert int(found.count) == 5
    assert np.isnan(seeds.factor(ppo_m[:1], ppo, "mean_kl", pool="train", window=(2, 8)).mean)


@pytest.mark.long
def test_the_interval_of_how_many_times_as_large_covers():
    draw, inside, count = np.random.default_rng(0), 0, 2000
    for _ in range(count):
        a, b = np.exp(draw.normal(0.7, 0.3, 3)), np.exp(draw.normal(0, 0.5, 4))
        found = seeds.factor([agent(i, kl=x, iterations=1) for i, x in enumerate(a)], [agent(i, kl=x, iterations=1) for i, x in enumerate(b)],
                             "mean_kl", pool="train", window=(0, 1))
        inside += found.low <= np.exp(0.7) <= found.high
    assert 0.93 < inside / count < 0.98  # three and four agents, spreads .3 and .5; standard error .5 %


def test_an_infinite_kl_is_beyond_every_bound():
    one = agent(0, kl=0.1)
    one["mean_kl"][:3, 0] = np.inf
    found = seeds.share([one], "train", [0.13])
    assert (found.mean, found.iterations) == (0.5, K)
