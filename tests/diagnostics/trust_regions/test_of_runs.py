"""A run's rows and held-out pairs as one Dataset; through the launcher: tests/launch/test_trust_region.py."""

import numpy as np

from tests.report.records import PPO, iteration, small, trust_region
from tfpg.diagnostics import results
from tfpg.diagnostics.trust_regions import of_runs
from tfpg.diagnostics.trust_regions.heldout import HeldoutRegion
from tfpg.report import metrics

CONFIG = small(PPO)
FOUND = HeldoutRegion(trust_region(0.5), np.float64(0.25), 12.5, 2.5, 8, 3, 16)


def rows(count, live=()):
    made = []
    for k in range(count):
        row = iteration(CONFIG, k, kl=k / 64)
        numbers = metrics.metrics(row, CONFIG) | (metrics.heldout(FOUND) if k in live else {})
        made.append({"iteration": k, "env_steps": row.env_steps, **numbers, **metrics.epoch_curves(row)})
    return made


def test_what_a_run_wrote_of_held_out_pairs_is_read_back_to_the_last_bit():
    found = of_runs.live(rows(4, live=(1, 3)), 8)
    assert list(found) == [1, 3]
    for a, b in zip((*found[1].region, *found[1][1:]), (*FOUND.region, *FOUND[1:]), strict=True):
        np.testing.assert_array_equal(a, b)
    assert of_runs.live(rows(4, live=(1,)), 9) == {}  # another number of pairs: other largest ratios


def test_the_dataset_tells_pools_apart_and_what_was_not_measured(tmp_path):
    found = of_runs.dataset(rows(3), {1: FOUND}, CONFIG, run="runs/x")
    np.testing.assert_array_equal(found["mean_kl"].sel(pool="train"), [0, 1 / 64, 2 / 64])
    np.testing.assert_array_equal(found["mean_kl"].sel(pool="heldout"), [np.nan, 0.5, np.nan])
    np.testing.assert_array_equal(found["pairs"], [[8, 0], [8, 8], [8, 0]])
    np.testing.assert_array_equal(found["ratio_quantile"].sel(pool="heldout", iteration=1), [0.5, 0.75, 1, 1.25, 1.5])
    np.testing.assert_array_equal(found["epoch_mean_kl"].sel(epoch=2), [2 / 16] * 3)
    np.testing.assert_allclose(found["ratio_high"], 1.2)
    np.testing.assert_array_equal(found["mean_return"].sel(iteration=1), [20, 12.5])
    assert "predicted_kl" not in found and found.attrs["run"] == "runs/x"
    assert results.load(results.save(found, tmp_path / "found.nc")).identical(found)


def test_rows_of_before_the_details_leave_them_unknown():
    old = [{key: value for key, value in row.items() if "quantile" not in key and "normaliser" not in key} for row in rows(2)]
    found = of_runs.dataset(old, {}, CONFIG)
    assert np.isnan(found["kl_quantile"]).all() and np.isfinite(found["mean_kl"].sel(pool="train")).all()
    assert "normaliser_mean_kl" not in found


def test_numbers_have_their_units():
    found = of_runs.dataset(rows(2), {}, CONFIG)
    assert [found[name].attrs["units"] for name in ("mean_kl", "epoch_mean_kl", "epoch_entropy", "epoch_surrogate", "max_ratio")] == [
        "nats", "nats", "nats", "1", "1"]
    bounded = [{**row, "trust_region/bounds/mean_kl": 0.13} for row in rows(2)]
    assert of_runs.dataset(bounded, {}, CONFIG)["delta"].attrs["units"] == "nats"
