"""Means of agents: which interval, what is refused, what one agent may say."""

import json

import numpy as np
import pytest
import scipy.stats
import xarray as xr

from tfpg.diagnostics import trust_region_seeds as seeds
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
             "settings": json.dumps({"seed": seed, "total_steps": iterations, "runtime.xla": bool(seed), "ppo.epochs": 10,
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


def test_the_band_of_many_agents_is_the_bootstraps():
    values = np.random.default_rng(0).exponential(size=(24, 2))
    found = seeds.of_agents(values)
    expected = scipy.stats.bootstrap((values[:, 0],), np.mean, method="BCa", rng=0).confidence_interval
    np.testing.assert_allclose([found.low[0], found.high[0]], expected, atol=0.05)
    assert found.high[0] - found.mean[0] > found.mean[0] - found.low[0]  # skewed, as Student's t is not


def test_one_agent_has_no_band():
    found = seeds.over_seeds([agent(0)])
    assert np.isnan(found["mean_kl_low"]).all()
    np.testing.assert_array_equal(found["mean_kl"].sel(pool="heldout").isel(group=0), [0.02, np.nan] * 3)


def test_iterations_that_an_agent_lacks_are_the_mean_of_the_others():
    found = seeds.over_seeds([agent(0, kl=0.01), agent(1, kl=0.03, iterations=2)])["mean_kl"].sel(pool="train").isel(group=0)
    np.testing.assert_allclose(found, [0.02, 0.02, 0.01, 0.01, 0.01, 0.01])


@pytest.mark.parametrize(("others", "words"), [
    ([agent(1, **{"ppo.epochs": 3})], "ppo.epochs=3"), ([agent(0)], "one seed"), ([agent(1, heldout=64)], "equal numbers only")])
def test_agents_that_do_not_belong_together_are_refused(others, words):
    with pytest.raises(UserError, match=words):
        seeds.over_seeds([agent(0), *others])


def test_running_means_are_of_the_last_iterations_and_only_where_something_was_measured():
    values = np.array([1.0, 3.0, np.nan, 5.0, 7.0])
    np.testing.assert_array_equal(seeds.running(values, 2), [1, 2, np.nan, 5, 6])
    np.testing.assert_array_equal(seeds.running(values, 3), [1, 2, np.nan, 4, 6])
    np.testing.assert_array_equal(seeds.running(values, 1), values)


def test_the_share_of_one_agent_is_of_its_iterations():
    one = agent(0, kl=0.1)
    one["mean_kl"][:4, 0] = 0.2
    found = seeds.share([one], "train", [0.13])
    # Clopper–Pearson of 2 in 6: the beta quantiles
    assert found == pytest.approx((2 / 6, scipy.stats.beta.ppf(0.025, 2, 5), scipy.stats.beta.ppf(0.975, 3, 4), 6, 1))
    assert seeds.share([one], "heldout", [0.3]).iterations == 3


def test_the_share_of_several_agents_is_of_agents():
    found = seeds.share([agent(0, kl=0.1), agent(1, kl=0.2), agent(2, kl=0.1)], "train", [0.13] * 3)
    assert (found.mean, found.agents, found.iterations) == (pytest.approx(2 / 3), 3, 18)
    assert (found.low, found.high) == (0, 1)
