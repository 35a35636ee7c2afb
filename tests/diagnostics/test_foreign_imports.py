"""An imported policy answers as the original did, with this project's endpoints, and is found damaged when it is."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests.importing.files import NORMALISED, TASKS, answers, imported, read
from tfpg import snapshot, sums
from tfpg.diagnostics import foreign, foreign_imports
from tfpg.errors import UserError

CONTINUOUS = [name for name in TASKS if name != "a2c"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Directories of all policies."""
    folder = tmp_path_factory.mktemp("imported")
    return {name: imported(name, folder / name) for name in TASKS}


@pytest.fixture(scope="module")
def models(kept):
    """Loaded with TensorFlow alone."""
    return {name: tf.saved_model.load(str(path)) for name, path in kept.items()}


@pytest.mark.parametrize("name", TASKS)
def test_greedy_actions_are_those_that_the_original_predicts(name, models):
    original = answers(name)
    np.testing.assert_allclose(models[name].greedy(original["obs"]), original["greedy"], rtol=1e-5, atol=1e-6)
    default = models[name].signatures["serving_default"](obs=tf.constant(original["obs"]))["actions"]
    np.testing.assert_array_equal(default, models[name].greedy(original["obs"]))


@pytest.mark.parametrize("name", TASKS)
def test_distributions_and_values_are_the_originals(name, models):
    model, original = models[name], answers(name)
    obs, actions = original["obs"], original["actions"]
    if name == "a2c":
        np.testing.assert_allclose(tf.nn.softmax(model.parameters(obs).logits), original["probabilities"], rtol=1e-5, atol=1e-6)
        actions = actions.astype(np.int32)
    else:
        np.testing.assert_allclose(model.parameters(obs).mean, original["mean"], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(tf.exp(model.parameters(obs).log_std), original["std"], rtol=1e-6)
    np.testing.assert_allclose(model.log_prob(obs, actions), original["log_prob"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.value(obs, np.zeros(64, np.int32)), original["value"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", TASKS)
def test_every_endpoint_of_a_policy_of_this_project_is_there_and_agrees(name, models):
    model, obs = models[name], answers(name)["obs"]
    assert all(hasattr(model, endpoint) for endpoint in snapshot.ENDPOINTS)
    theta, phi, step = model.record["theta"], model.record["phi"], np.zeros(64, np.int32)
    for at, here in zip(model.parameters_at(theta, obs), model.parameters(obs), strict=True):
        np.testing.assert_array_equal(at, here)
    np.testing.assert_array_equal(model.greedy_at(theta, obs), model.greedy(obs))
    np.testing.assert_array_equal(model.value_at(phi, obs, step), model.value(obs, step))
    thetas, stacked = tf.stack([theta, 0.5 * theta]), np.stack([obs, obs])
    np.testing.assert_allclose(model.parameters_stacked(thetas, stacked)[0][0], model.parameters(obs)[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(model.greedy_stacked(thetas, stacked)[0], model.greedy(obs), rtol=1e-5, atol=1e-5)
    noise = np.zeros((2, 64, len(model.parameters(obs)[0][0])), np.float32)
    np.testing.assert_array_equal(model.act_stacked(thetas, stacked, noise), model.greedy_stacked(thetas, stacked))
    assert model.sample(obs, [1, 2]).shape == model.greedy(obs).shape


@pytest.mark.parametrize("name", CONTINUOUS)
def test_actions_are_clipped_as_the_original_clips_them_and_their_distribution_is_not(name, models, kept):
    model, original = models[name], answers(name)
    low, high = read(name)[0].spaces[3:]
    assert (original["mean"] > high).any() or (original["mean"] < low).any()  # of random observations some lie beyond
    noise = np.random.default_rng(0).normal(size=(1, 64, len(low))).astype(np.float32)
    expected = np.clip(original["mean"] + original["std"] * noise[0], low, high)
    acted = model.act_stacked(model.record["theta"][None], original["obs"][None], noise)[0]
    np.testing.assert_allclose(acted, expected, rtol=1e-5, atol=1e-5)
    probed = foreign.load(kept[name], env=None)
    np.testing.assert_allclose(probed.act(original["obs"][None], noise, probed.theta[None])[0], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(probed.greedy(original["obs"][None], noise, probed.theta[None])[0], original["greedy"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(probed.pi(probed.theta, original["obs"]).mean(), original["mean"], rtol=1e-5, atol=1e-5)
    assert (np.abs(model.sample(original["obs"], [3, 4])) <= high).all()


def test_a_probe_knows_its_task_its_source_and_the_names_of_its_weights(kept):
    probed = foreign.load(kept["ppo"], env=None)
    assert probed.task.id == "Hopper-v5" and probed.provenance()["imported_library"] == "Stable-Baselines3"
    assert probed.names == ("hidden_0/kernel", "hidden_0/bias", "hidden_1/kernel", "hidden_1/bias", "mean/kernel", "mean/bias", "log_std")
    assert [int(np.prod(shape)) for shape in probed.layout.shapes] == [11 * 16, 16, 16 * 8, 8, 8 * 3, 3, 3]
    assert foreign.load(kept["ppo"], env="Hopper-v5").provenance() == probed.provenance()
    assert foreign.load(kept["later"], env=None).metadata["normaliser_sha256"] != probed.metadata["normaliser_sha256"]


def test_a_step_leads_to_the_second_policy_as_a_function_of_raw_observations(kept, models):
    """Its own statistics are others: where nothing is clipped the same actions come from the first one's."""
    first, second = (foreign.load(kept[name], env=None) for name in ("ppo", "later"))
    assert not np.allclose(read("ppo")[1].mean, read("later")[1].mean, atol=1e-4)
    reached = first.theta + foreign.direction(kept["later"], first)
    draw, statistics = np.random.default_rng(0), read("later")[1]
    obs = (statistics.mean + np.sqrt(statistics.var) * draw.uniform(-1, 1, (64, 11))).astype(np.float32)
    for name in ("ppo", "later"):
        own = read(name)[1]
        assert (np.abs((obs - own.mean) / np.sqrt(own.var + own.epsilon)) < own.clip).all(axis=1).sum() > 10
    inside = np.all([(np.abs((obs - own.mean) / np.sqrt(own.var + own.epsilon)) < own.clip).all(axis=1)
                     for own in (read("ppo")[1], read("later")[1])], axis=0)
    np.testing.assert_allclose(first.pi(reached, obs[inside]).mean(), second.pi(second.theta, obs[inside]).mean(), rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(foreign.direction(kept["ppo"], first), 0)


def test_there_is_no_step_to_another_make(kept):
    with pytest.raises(UserError, match=r"has (hidden|activation) .*: there is no step between them"):
        foreign.direction(kept["trpo"], foreign.load(kept["elu"], env=None))


def test_options_of_a_policy_that_says_all_itself_are_refused(kept):
    for options, words in (({"env": "Walker2d-v5"}, "was imported for Hopper-v5 with {}: leave --env"),
                           ({"env": None, "log_std": 0.0}, "leave the option log_std away"),
                           ({"env": None, "env_args": (("reset_noise_scale", 0.1),)}, "was imported for Hopper-v5")):
        with pytest.raises(UserError, match=words):
            foreign.load(kept["ppo"], **options)


@pytest.mark.parametrize("file", ["saved_model.pb", "imported.json", "variables/variables.data-00000-of-00001"])
def test_damage_is_named(file, tmp_path):
    path = imported("elu", tmp_path / "p")
    data = bytearray((path / file).read_bytes())
    data[len(data) // 2] ^= 1
    (path / file).write_bytes(data)
    with pytest.raises(UserError, match=f"{file} is damaged: it differs from its sum"):
        foreign.load(path, env=None)


def test_another_format_is_named(tmp_path):
    path = imported("elu", tmp_path / "p")
    text = json.loads((path / sums.IMPORTED).read_text())
    (path / sums.IMPORTED).write_text(json.dumps({**text, "format": 99}))
    sums.write(path)
    with pytest.raises(UserError, match="is of another version of tfpg"):
        foreign_imports.load(path)


def test_what_is_infinite_is_kept_where_json_has_no_number_for_it(kept):
    assert foreign_imports.load(kept["a2c"]).low.tolist() == [-np.inf, -np.inf]
    assert [foreign_imports.load(kept[name]).statistics.clip for name in NORMALISED] == [2.0, 2.0, 10.0]
