"""What gains of updates say: closed forms, and simulated updates whose true gains are known."""

import numpy as np
import pytest
import scipy.stats

from tfpg.diagnostics import results
from tfpg.diagnostics.steps import gains
from tfpg.diagnostics.steps.gains import FirstLook, detectable, first_look, learning_curve
from tfpg.diagnostics.steps.playing import Played


def played(differences, first=0, *, still=()):
    """Updates whose ends differ by these numbers. Args: differences: [n, M]. still: places that did not move."""
    differences = np.asarray(differences, float)
    draw = np.random.default_rng(first)
    before = draw.normal(1000, 300, differences.shape)
    returns = np.stack([before, before + differences], 1)
    moved = ~np.isin(np.arange(len(differences)), still)
    returns[~moved] = np.nan
    lengths = np.where(moved[:, None, None], 500, 0) * np.ones(returns.shape, int)
    return Played(first + np.arange(len(differences)), moved, returns, lengths, np.zeros(returns.shape, bool))


def simulated(updates=25, episodes=50, *, mean=3.0, between=20.0, within=400.0, seed=0):
    """Normal true gains and normal episodes."""
    draw = np.random.default_rng(seed)
    return mean + between * draw.normal(size=(updates, 1)) + within * draw.normal(size=(updates, episodes))


def dataset(differences, **options):
    return gains.dataset({150: played(differences, 140, **options)}, final_return=2500.0, task="Task-v0", preset="ppo", run_seed=0)


def test_the_mean_gain_is_that_of_updates_with_students_interval_over_them():
    differences = simulated()
    found = dataset(differences).isel(checkpoint=0)
    means = differences.mean(1)
    assert float(found["mean_gain"]) == pytest.approx(means.mean())
    expected = scipy.stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert (float(found["mean_gain_low"]), float(found["mean_gain_high"])) == pytest.approx((expected.low, expected.high))
    np.testing.assert_allclose(found["gain"], means)


def test_the_interval_holds_the_truth_in_19_of_20_runs():
    held = 0
    for seed in range(120):
        found = dataset(simulated(episodes=8, seed=seed)).isel(checkpoint=0)
        held += float(found["mean_gain_low"]) < 3 < float(found["mean_gain_high"])
    assert 0.89 < held / 120  # three standard errors below .95


def test_what_updates_differ_by_is_told_from_the_episodes_noise():
    found = [dataset(simulated(updates=200, episodes=400, between=60.0, seed=seed)).isel(checkpoint=0) for seed in range(5)]
    assert np.mean([float(each["variance_between"]) for each in found]) == pytest.approx(60**2, rel=0.15)
    assert np.mean([float(each["variance_within"]) for each in found]) == pytest.approx(400**2, rel=0.02)
    assert float(found[0]["noise_stderr"]) == pytest.approx(400 / np.sqrt(200 * 400), rel=0.02)


def test_drops_are_counted_with_the_exact_interval_and_freed_of_noise():
    # true gains N(20, 20²): Φ(−1) = 16 % are drops; noise of 400/√100 = 40 makes Φ(−20/44.7) = 33 % seem so
    found = dataset(simulated(updates=2000, episodes=100, mean=20.0)).isel(checkpoint=0)
    assert float(found["drops"]) == pytest.approx(scipy.stats.norm.cdf(-20 / np.hypot(20, 40)), abs=0.03)
    assert float(found["drops_freed"]) == pytest.approx(scipy.stats.norm.cdf(-1), abs=0.05)
    few = dataset(np.array([[-1.0, -2.0], [3.0, 4.0], [1.0, 2.0]])).isel(checkpoint=0)
    exact = scipy.stats.binomtest(1, 3).proportion_ci(0.95, "exact")
    assert (float(few["drops_low"]), float(few["drops_high"])) == pytest.approx((exact.low, exact.high))


def test_an_update_that_did_not_move_is_a_gain_of_0_and_no_drop():
    found = dataset([[-4.0, -6.0], [9.0, 9.0], [1.0, 3.0]], still=(1,)).isel(checkpoint=0)
    np.testing.assert_array_equal(found["gain"], [-5, 0, 2])
    assert (float(found["gain_low"][1]), float(found["gain_high"][1])) == (0, 0)
    assert float(found["mean_gain"]) == pytest.approx(-1)
    assert float(found["drops"]) == pytest.approx(1 / 3)
    assert np.isnan(found["correlation"][1]) and int(found["pairs"][1]) == 0


def test_checkpoints_with_fewer_updates_are_filled_up_and_not_counted():
    found = gains.dataset({0: played(simulated(3), 0), 150: played(simulated(5), 140)}, final_return=-200.0)
    np.testing.assert_array_equal(found["iteration"].sel(checkpoint=0), [0, 1, 2, -1, -1])
    assert np.isnan(found["gain"].sel(checkpoint=0)[3:]).all()
    np.testing.assert_array_equal(found["mean_gain_count"], [3, 5])
    assert float(found["mean_gain"][0]) == pytest.approx(simulated(3).mean())
    assert found.attrs["margin"] == pytest.approx(0.2)  # 0.1 %, of its size


def test_few_episodes_and_few_updates_are_flagged():
    flags = [(int(each.attrs["few_episodes"]), int(each.attrs["few_updates"])) for each in (
        dataset(simulated(25, 50)), dataset(simulated(25, 49)), dataset(simulated(24, 50)))]
    assert flags == [(0, 0), (1, 0), (0, 1)]


def test_the_detectable_gain_is_found_four_times_in_five():
    updates, episodes, std = 25, 40, 400.0
    gain = FirstLook(300.0, std, 0.5, 100.0).finds(updates, episodes)
    assert gain == pytest.approx((1.9600 + 0.8416) * std / np.sqrt(updates * episodes), rel=1e-4)
    shown = [gain + z > 1.96 * std / np.sqrt(updates * episodes) for z in
             np.random.default_rng(0).normal(0, std / np.sqrt(updates * episodes), 4000)]
    assert np.mean(shown) == pytest.approx(0.8, abs=0.02)


def test_as_many_episodes_as_are_said_find_the_gain():
    first = FirstLook(300.0, 400.0, 0.5, 100.0)
    needed = first.episodes_for(2.5, 25)
    assert first.finds(25, needed) <= 2.5 < first.finds(25, needed - 2)
    assert first.episodes_for(0.0, 25) == np.inf


def test_the_first_look_reads_spreads_and_correlation_off_one_update():
    one = played(simulated(1, 4000, mean=0, between=0, within=100.0))
    found = first_look(one)
    assert found.paired_std == pytest.approx(100, rel=0.05)
    assert found.correlation == pytest.approx(300 / np.hypot(300, 100), abs=0.01)
    assert found.mean_length == 500


def test_the_learning_curve_is_the_weighted_line_through_the_windows_returns():
    draw = np.random.default_rng(0)
    rows = [{"iteration": i, "rollout/return": 100 + 2.5 * i + draw.normal(0, 50 / np.sqrt(1 + i % 4)), "rollout/episodes": 1 + i % 4}
            for i in range(200)]
    del rows[160]["rollout/return"]  # no episode ended
    found = learning_curve(rows, range(140, 190))
    some = [row for row in rows[140:190] if "rollout/return" in row]
    slope, _ = np.polyfit([row["iteration"] for row in some], [row["rollout/return"] for row in some], 1,
                          w=np.sqrt([row["rollout/episodes"] for row in some]))
    assert float(found.mean) == pytest.approx(slope)
    assert float(found.low) < 2.5 < float(found.high) and int(found.count) == 49
    assert np.isnan(learning_curve(rows, range(2)).mean)


def test_its_interval_holds_the_truth_in_19_of_20_runs():
    draw, held = np.random.default_rng(1), 0
    for _ in range(500):
        rows = [{"iteration": i, "rollout/return": 3 * i + draw.normal(0, 50 / np.sqrt(1 + i % 4)), "rollout/episodes": 1 + i % 4} for i in range(20)]
        found = learning_curve(rows, range(20))
        held += float(found.low) < 3 < float(found.high)
    assert 0.925 < held / 500 < 0.975


def test_the_dataset_is_kept_whole(tmp_path):
    curve = learning_curve([{"iteration": i, "rollout/return": 1.0 * i, "rollout/episodes": 2} for i in range(9)], range(9))
    found = gains.dataset({0: played(simulated())}, final_return=1.0, curves={0: curve}, first_looks={0: FirstLook(1.0, 1.0, 0.5, 9.0)})
    assert results.load(results.save(found, tmp_path / "steps.nc")).identical(found)
    assert float(found["announced"][0]) == pytest.approx(float(detectable(1 / np.sqrt(25 * 50))))
