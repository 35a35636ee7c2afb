"""The Datasets of surfaces: every number with its error and count, and nothing where nothing was played."""

import numpy as np
import pytest

from tests import linear_quadratic as lq
from tests.diagnostics import handmade
from tests.diagnostics.subjects import BIMODAL, Linear, falling
from tfpg.config import Ppo
from tfpg.diagnostics import pools, results, updates
from tfpg.diagnostics.landscapes import plane, surfaces, surrogates
from tfpg.diagnostics.returns import Job, play
from tfpg.envs.episodes import EpisodeResults

XS, YS = np.array([-1.0, 0, 1, 2]), np.array([0.0, 1, 2])
STEP, RANDOM = np.array([0.2, -0.1, 0.1]), np.array([0.3, 0.4, -0.2])


@pytest.fixture(scope="module")
def linear():
    return Linear()


@pytest.fixture(scope="module")
def surface(linear):
    return plane.surface(linear.theta, STEP, RANDOM, XS, YS)


@pytest.fixture(scope="module", params=["common", "independent"])
def found(request, linear, surface):
    return surfaces.returns(linear, surface, episodes=60, seed=1, noise=request.param)


@pytest.fixture(scope="module")
def probed(untrained):
    return untrained(handmade.config(lq.TASK, algorithm=Ppo(minibatches=2)))


def assert_complete(dataset, *names):
    """Each estimate with its error, interval and count, of its own shape, the interval around it."""
    for name in names:
        assert dataset[name].attrs["units"], name
        for suffix in ("_stderr", "_low", "_high"):
            assert dataset[name + suffix].dims == dataset[name].dims
        assert set(dataset[f"{name}_count"].dims) <= set(dataset[name].dims)
        known = np.isfinite(dataset[name].values)
        assert (dataset[f"{name}_low"].values <= dataset[name].values)[known].all()
        assert (dataset[name].values <= dataset[f"{name}_high"].values)[known].all()
        assert (dataset[f"{name}_stderr"].values >= 0)[known].all()


def assert_kept(dataset, path):
    """Stored and read again it is the same, attributes and all."""
    loaded = results.load(results.save(dataset, path))
    assert loaded.equals(dataset)
    assert {name: str(value) for name, value in loaded.attrs.items()} == {n: str(v) for n, v in dataset.attrs.items()}
    for name in dataset.variables:
        assert loaded[name].attrs == dataset[name].attrs


# --- the return -----------------------------------------------------------------------------------------------------


def test_a_surface_has_units_errors_counts_and_says_what_it_is(found, linear, surface):
    assert found["mean_return"].dims == ("x", "y") and found["mean_return"].shape == (4, 3)
    assert_complete(found, "mean_return", "gain")
    assert (found["mean_return_count"] == 60).all() and found["mean_return_count"].attrs["units"] == "episodes"
    assert (found["mean_length"] == 8).all() and (found["pairs"] == 480).all() and (found["cut"] == 0).all()
    np.testing.assert_array_equal(found["x"], XS)
    assert found["x"].attrs["long_name"] == "steps of the algorithm"
    attributes = {"instrument": "landscape", "surface": "return", "seed": 1, "episodes": 60, "confidence": 0.95,
                  "few_episodes": 0, "task": lq.TASK, "policy": str(linear.path)}
    assert {name: found.attrs[name] for name in attributes} == attributes
    assert surfaces.returns(linear, surface, episodes=49, seed=1).attrs["few_episodes"] == 1


def test_the_numbers_are_those_of_the_episodes(found, linear, surface):
    noise = found.attrs["noise"]
    own = tuple((0, i) for i in range(12)) if noise == "independent" else None
    played = play(linear, Job(surface.thetas(), 60, 1, noise, own))
    np.testing.assert_array_equal(found["episode_return"].values.reshape(12, 60), played.returns)
    np.testing.assert_array_equal(found["episode_length"].values.reshape(12, 60), played.lengths)
    np.testing.assert_allclose(found["mean_return"], found["episode_return"].mean("episode"))
    spread = found["episode_return"].std("episode", ddof=1)
    np.testing.assert_allclose(found["mean_return_stderr"], spread / np.sqrt(60))
    np.testing.assert_allclose(found["gain"], found["mean_return"] - found["mean_return"].sel(x=0, y=0), atol=1e-12)


def test_the_surface_is_that_of_the_task(found, linear, surface):
    truth = linear.mean_return(surface.thetas()).reshape(4, 3)
    assert (np.abs(found["mean_return"] - truth) < 4 * found["mean_return_stderr"]).all()
    gains, elsewhere = truth - truth[1, 0], found["gain_stderr"].values > 0
    assert elsewhere.sum() == 11
    assert (np.abs(found["gain"].values - gains) < 4 * found["gain_stderr"].values)[elsewhere].all()


def test_the_points_can_be_had_again_from_the_dataset_alone(found, surface):
    point = found["origin"].astype(float) + 2 * found["x_direction"] + found["y_direction"]
    np.testing.assert_array_equal(point.astype(np.float32), surface.thetas().reshape(4, 3, 3)[3, 1])


def test_theta_k_gains_nothing_and_that_is_certain(found):
    centre = found.sel(x=0, y=0)
    assert [float(centre[f"gain{suffix}"]) for suffix in ("", "_stderr", "_low", "_high")] == [0, 0, 0, 0]


def test_common_numbers_say_how_common_they_still_are(found):
    if found.attrs["noise"] == "independent":
        assert "correlation" not in found and "independent" in found["gain"].attrs["long_name"]
        return
    assert "paired" in found["gain"].attrs["long_name"]
    assert float(found["correlation"].sel(x=0, y=0)) == pytest.approx(1)
    expected = np.corrcoef(found["episode_return"].sel(x=0, y=0), found["episode_return"].sel(x=1, y=2))[0, 1]
    assert float(found["correlation"].sel(x=1, y=2)) == pytest.approx(expected)


def test_independent_points_are_named_by_their_place_and_the_surfaces_number(linear, surface):
    one, two = (surfaces.returns(linear, surface, episodes=4, seed=1, noise="independent", numbers=(0, n))
                for n in (0, 1))
    assert len(np.unique([one["episode_return"], two["episode_return"]])) == 2 * 12 * 4
    # common numbers know no names: θ_k is the same in every surface
    one, two = (surfaces.returns(linear, surface, episodes=4, seed=1, numbers=(0, n)) for n in (0, 1))
    assert one.equals(two)


def test_a_grid_that_misses_theta_k_has_no_gains(linear):
    found = surfaces.returns(linear, plane.line(linear.theta, STEP, [1, 2]), episodes=4, seed=1)
    assert "gain" not in found and "correlation" not in found
    assert np.isfinite(found["mean_return"]).all()


def test_what_is_not_played_is_marked_and_never_by_its_value(found, linear, surface):
    whole = found["episode_return"].values.reshape(12, 60)
    lengths = found["episode_length"].values.reshape(12, 60).copy()
    played = EpisodeResults(whole.copy(), lengths, np.zeros((12, 60), bool))
    missing = np.zeros(12, bool)
    missing[[1, 7]] = True
    played.returns[missing], played.lengths[missing] = np.nan, 0
    played.returns[7, :30] = whole[7, :30]  # half a point is not a point
    assert (whole < 0).all()
    part = surfaces.returns_dataset(linear, surface, played, seed=1, noise=found.attrs["noise"])
    missing = missing.reshape(4, 3)
    np.testing.assert_array_equal(part["done"], ~missing)
    for name in ("mean_return", "mean_return_stderr", "mean_return_low", "mean_return_high", "gain", "gain_stderr",
                 "gain_low", "gain_high", "mean_length"):
        assert np.isnan(part[name].values[missing]).all(), name
        np.testing.assert_array_equal(part[name].values[~missing], found[name].values[~missing])
    for name in ("mean_return_count", "gain_count", "pairs"):
        assert (part[name].values[missing] == 0).all() and (part[name].values[~missing] > 0).all()


def test_without_theta_k_the_other_points_have_returns_but_no_gains(found, linear, surface):
    played = EpisodeResults(found["episode_return"].values.reshape(12, 60).copy(),
                            found["episode_length"].values.reshape(12, 60), np.zeros((12, 60), bool))
    played.returns[surface.centre] = np.nan
    part = surfaces.returns_dataset(linear, surface, played, seed=1, noise=found.attrs["noise"])
    assert np.isnan(part["gain"]).all() and (part["gain_count"] == 0).all()
    assert int(part["done"].sum()) == 11 and int(np.isfinite(part["mean_return"]).sum()) == 11


def test_a_surface_is_stored_and_read_again(found, tmp_path):
    assert_kept(found, tmp_path / "return.nc")


# --- the surrogate --------------------------------------------------------------------------------------------------


def test_surrogates_stand_on_the_same_points_for_each_pool_and_objective(probed, tmp_path):
    pool = pools.draw(probed, 300, 0, seed=1)
    held = surrogates.pool_pairs(pool, updates.Repeater(probed).prepare(pool))
    train = surrogates.stored_pairs(probed)
    step = updates.stored(probed).step
    drawn = plane.gaussian(1, 7, 0, len(step))
    random = plane.scaled(drawn, "step", theta=probed.theta, layout=probed.layout, step=step)
    surface = plane.surface(probed.theta, step, random, XS, YS)
    found = surfaces.surrogates(probed, surface, {"train": train, "heldout": held})
    assert found["surrogate"].dims == ("pool", "objective", "x", "y") and found["surrogate"].shape == (2, 2, 4, 3)
    assert_complete(found, "surrogate")
    for name, pairs in (("train", train), ("heldout", held)):
        expected, ours = surrogates.Surrogate(probed, pairs)(surface.thetas()), found.sel(pool=name)
        for row, objective in enumerate(("clipped", "unclipped")):
            part = ours.sel(objective=objective)
            np.testing.assert_array_equal(part["surrogate"].values.ravel(), expected.value[row])
            np.testing.assert_array_equal(part["surrogate_stderr"].values.ravel(), expected.stderr[row])
        np.testing.assert_array_equal(ours["mean_kl"].values.ravel(), expected.mean_kl)
        np.testing.assert_array_equal(ours["max_ratio"].values.ravel(), expected.max_ratio)
    np.testing.assert_array_equal(found["surrogate_count"], [handmade.T * handmade.N, 300])
    np.testing.assert_array_equal(found["surrogate_clusters"], [handmade.N, 38])  # environments; 300 / 8 episodes
    assert (found["surrogate"].sel(x=0, y=0) == 0).all() and (found["surrogate_stderr"].sel(x=0, y=0) == 0).all()
    assert (found["surrogate"].sel(objective="clipped") <= found["surrogate"].sel(objective="unclipped")).all()
    assert found.attrs["optimised"] == "clipped" and found.attrs["epsilon"] == 0.2
    assert found.attrs["normaliser_sha256"] == probed.metadata["normaliser_sha256"]
    assert_kept(found, tmp_path / "surrogate.nc")


# --- how it looks from few episodes and from many -------------------------------------------------------------------


BUDGETS = {40: 5, 160: 20, 640: 80}  # nominal pairs ↦ episodes of 8 steps


@pytest.fixture(scope="module")
def concentration(linear, surface):
    return surfaces.concentration(linear, surface, BUDGETS, seed=1)


def test_smaller_samples_are_the_first_episodes_of_the_largest(concentration):
    returns, lengths = concentration["episode_return"], concentration["episode_length"]
    assert concentration["mean_return"].dims == ("size", "x", "y") and returns.sizes["episode"] == 80
    np.testing.assert_array_equal(concentration["size"], list(BUDGETS))
    np.testing.assert_array_equal(concentration["mean_return_count"], list(BUDGETS.values()))
    for nominal, m in BUDGETS.items():
        part, first = concentration.sel(size=nominal), returns.isel(episode=slice(m))
        np.testing.assert_allclose(part["mean_return"], first.mean("episode"))
        np.testing.assert_allclose(part["mean_return_stderr"], first.std("episode", ddof=1) / np.sqrt(m))
        np.testing.assert_array_equal(part["pairs"], lengths.isel(episode=slice(m)).sum("episode"))
    assert (concentration["done"] == 1).all()
    assert concentration.attrs["surface"] == "concentration" and concentration.attrs["noise"] == "independent"
    assert_complete(concentration, "mean_return")


def test_its_points_have_numbers_of_their_own(concentration):
    returns = concentration["episode_return"].values.reshape(12, 80)
    assert len(np.unique(returns)) == 12 * 80
    correlations = np.corrcoef(returns)[np.triu_indices(12, 1)]
    assert abs(correlations.mean()) < 4 / np.sqrt(80 * 66)


def test_more_episodes_order_points_more_surely(concentration):
    assert_complete(concentration, "ordering", "agreement", "ordering_by_gap")
    assert concentration["ordering"].dims == ("size",) and concentration["ordering_by_gap"].dims == ("size", "gap")
    known = concentration["agreement"].values[:2]  # 80 episodes leave none to compare with
    assert 0.5 < known[0] < known[1] < 1
    assert np.isnan(concentration["agreement"].values[2])


def test_from_pure_noise_the_order_of_two_points_is_a_guess():
    # One θ everywhere: points that differ by their episodes alone. Means of 2 · 1176 pairs of 49 points in three
    # pictures: an agreement's own standard error is about .07 at most, that of the mean of three .04.
    linear, agreements = Linear(BIMODAL, falling(0.5)), []
    flat = plane.surface(linear.theta, np.zeros(3), np.zeros(3), np.arange(7.0), np.arange(7.0))
    for seed in range(2, 5):
        found = surfaces.concentration(linear, flat, {4: 4, 16: 16}, seed=seed).sel(size=4)
        agreements.append(float(found["agreement"]))
        assert found["agreement_low"] <= 0.5 <= found["agreement_high"]
    assert abs(np.mean(agreements) - 0.5) < 0.1


def test_a_reference_of_other_episodes_judges_the_largest_sample_too(linear, surface):
    other = surfaces.returns(linear, surface, episodes=200, seed=5, noise="independent")["episode_return"].values
    found = surfaces.concentration(linear, surface, BUDGETS, seed=1, reference=other)
    known = found["agreement"].values
    assert known[0] < known[1] < known[2] < 1 and known[2] > 0.8
    assert found.attrs["reference"] == "200 other episodes a point"


def test_too_few_episodes_to_know_any_order_say_nothing_of_it(linear, surface):
    found = surfaces.concentration(linear, surface, {8: 2, 24: 3}, seed=1)
    assert "ordering" not in found and np.isfinite(found["mean_return"]).all()


def test_concentration_is_stored_and_read_again(concentration, tmp_path):
    assert_kept(concentration, tmp_path / "concentration.nc")
