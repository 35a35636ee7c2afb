"""A snapshot acts as the policy did, with TensorFlow alone, and no damage passes unseen."""

import gc
import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.diagnostics import handmade
from tfpg import snapshot, sums
from tfpg.checkpoint import named, rebuild
from tfpg.config import Ppo
from tfpg.envs.transforms import normalise_observation
from tfpg.errors import UserError
from tfpg.numerics import moments
from tfpg.types import Batch, Normaliser, Slots, Trajectory

KINDS = {
    "gaussian": {"env": "Hopper-v5"},
    "discrete": {"env": "CartPole-v1", "algorithm": Ppo(minibatches=2)},
    "timed": {"env": "Pendulum-v1", "value_target": "returns"},
}


@pytest.fixture(scope="module", params=KINDS)
def made(request):
    return handmade.Made(handmade.config(**KINDS[request.param]))


@pytest.fixture(scope="module")
def directory(made, tmp_path_factory):
    return made.save(tmp_path_factory.mktemp("policies") / "000007")


@pytest.fixture(scope="module")
def contents(directory):
    return snapshot.load(directory)


@pytest.fixture(scope="module")
def plain(made):
    """What the policy did before saving, as a compiled function of normalised observations."""

    def see(obs):
        return normalise_observation(obs, made.iteration.normaliser.observation, made.config.code_level)

    def outputs(theta, obs, seed):
        noise = made.policy.draw_noise(seed, [tf.shape(obs)[0]])
        return (made.policy.greedy(theta, see(obs)), made.policy.act(theta, see(obs), noise),
                made.policy.parameters(theta, see(obs)))

    return tf.function(outputs)


# Runs where nothing but TensorFlow may be imported; prints what the snapshot says, as bytes.
ALONE = r"""
import sys
class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tfpg", "launch", "configs", "keras", "tf_keras", "tensorflow_probability", "gymnasium", "envpool"):
            raise ImportError("forbidden: " + name)
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np, tensorflow as tf
sys.meta_path.insert(0, Forbidden())  # after TensorFlow, which imports parts of Keras itself where it finds it
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
model = tf.saved_model.load(sys.argv[1])
obs = np.load(sys.argv[2])
default = model.signatures["serving_default"](tf.constant(obs))["actions"]
np.savez(sys.argv[3], greedy=model.greedy(obs), default=default, sample=model.sample(obs, [1, 2]),
         at=np.concatenate([np.ravel(p) for p in model.parameters_at(model.record["theta_next"], obs)]),
         names=np.array(sorted(model.record)), metadata=model.record["metadata"].numpy().decode(),
         config=model.record["config"].numpy().decode())
print("imported" if {"tfpg", "tensorflow_probability", "gymnasium"} & set(sys.modules) else "loaded")
"""


def test_it_acts_bit_for_bit_the_same_where_there_is_tensorflow_alone(made, directory, plain, tmp_path):
    obs = made.obs(64)
    np.save(tmp_path / "obs.npy", obs)
    done = subprocess.run([sys.executable, "-c", ALONE, directory, tmp_path / "obs.npy", tmp_path / "out.npz"],
                          check=False, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": ""})
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "loaded\n"
    out = np.load(tmp_path / "out.npz")
    greedy, sample, _ = plain(made.iteration.before.theta, obs, [1, 2])
    np.testing.assert_array_equal(out["greedy"], greedy)
    np.testing.assert_array_equal(out["default"], greedy)
    np.testing.assert_array_equal(out["sample"], sample)
    *_, at_next = plain(made.iteration.update.learner.theta, obs, [1, 2])
    np.testing.assert_array_equal(out["at"], np.concatenate([np.ravel(p) for p in at_next]))
    assert json.loads(str(out["metadata"]))["iteration"] == 7
    assert json.loads(str(out["config"]))["env"] == made.config.env
    assert "policy_slots/first" in out["names"]


def test_every_endpoint_takes_any_batch_and_equals_its_model(made, contents, plain):
    model, before = contents.model, made.iteration.before
    for n in (1, 5):
        obs, steps = made.obs(n), np.arange(n, dtype=np.int32)
        greedy, sample, parameters = plain(before.theta, obs, [4, 5])
        np.testing.assert_array_equal(model.greedy(obs), greedy)
        np.testing.assert_array_equal(model.greedy_at(before.theta, obs), greedy)
        np.testing.assert_array_equal(model.sample(obs, [4, 5]), sample)
        for a, b, c in zip(model.parameters(obs), model.parameters_at(before.theta, obs), parameters, strict=True):
            np.testing.assert_array_equal(a, c)
            np.testing.assert_array_equal(b, c)
        log_prob = made.policy.distribution(parameters).log_prob(sample)
        np.testing.assert_allclose(model.log_prob(obs, sample), log_prob, rtol=1e-5, atol=1e-5)
        critic = normalise_observation(obs, made.iteration.normaliser.observation, made.config.code_level)
        if made.config.value.target == "returns":
            critic = tf.concat([critic, steps[:, None] / np.float32(made.task.time_limit)], -1)
        np.testing.assert_allclose(model.value(obs, steps), made.value(before.phi, critic), rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(model.value_at(before.phi, obs, steps), model.value(obs, steps))


def test_stacked_endpoints_do_not_depend_on_how_many_are_stacked(made, contents):
    model, before, after = contents.model, made.iteration.before, made.iteration.update.learner
    thetas = tf.stack([before.theta, after.theta, before.theta])
    obs = np.stack([made.obs(4)] * 3)
    noise = made.policy.draw_noise([1, 2], [3, 4])
    acts, greedy = model.act_stacked(thetas, obs, noise), model.greedy_stacked(thetas, obs)
    parameters = model.parameters_stacked(thetas, obs)
    for i in range(3):
        one = slice(i, i + 1)
        np.testing.assert_array_equal(acts[one], model.act_stacked(thetas[one], obs[one], noise[one]))
        np.testing.assert_array_equal(greedy[one], model.greedy_stacked(thetas[one], obs[one]))
        for stacked, alone in zip(parameters, model.parameters_at(thetas[i], obs[i]), strict=True):
            np.testing.assert_allclose(tf.broadcast_to(stacked, [3, 4, alone.shape[-1]])[i], alone, rtol=1e-5, atol=1e-6)


def test_observations_far_outside_stay_bounded(made, contents):
    obs = np.full((1, made.task.obs_size), 1e30, np.float32)
    assert all(np.isfinite(part).all() for part in contents.model.parameters(obs))


def test_the_record_holds_the_step_the_batch_and_the_optimisers_bit_for_bit(made, contents):
    record, it = contents.record, made.iteration
    expected = {"theta": it.before.theta, "phi": it.before.phi, "theta_next": it.update.learner.theta,
                "phi_next": it.update.learner.phi, **named(it.before.policy_slots, "policy_slots/"),
                **named(it.before.value_slots, "value_slots/"), **named(it.normaliser, "normaliser/"),
                **named(it.batch, "batch/"), **named(it.trajectory, "trajectory/")}
    proposed = getattr(it.update.policy, "proposed", it.update.learner.theta)
    for name, array in {**expected, "theta_proposed": proposed}.items():
        assert record[name].dtype == np.asarray(array).dtype, name
        np.testing.assert_array_equal(record[name], array, err_msg=name)
    assert {name[9:]: record[name] for name in record if name.startswith("schedule/")} == it.update.schedule
    for kind, prefix in ((Slots, "value_slots/"), (Batch, "batch/"), (Trajectory, "trajectory/"), (Normaliser, "normaliser/")):
        assert isinstance(rebuild(kind, record, prefix), kind)


def test_metadata_say_what_it_is_of(made, contents, directory):
    metadata = contents.metadata
    assert metadata == json.loads((directory / "metadata.json").read_text())
    assert contents.config == made.config
    assert metadata["task"]["id"] == made.config.env and metadata["iteration"] == 7
    assert metadata["env_steps"] == made.iteration.env_steps and "tensorflow" in metadata["versions"]
    assert set(metadata["endpoints"]) == set(snapshot.ENDPOINTS)


def test_the_normaliser_hash_changes_with_the_last_bit(made):
    normaliser = made.iteration.normaliser
    moved = normaliser.observation.mean.numpy()
    moved[0] = np.nextafter(moved[0], np.inf)
    other = normaliser._replace(observation=normaliser.observation._replace(mean=moved))
    assert snapshot.normaliser_hash(normaliser) == snapshot.normaliser_hash(normaliser)
    assert snapshot.normaliser_hash(normaliser) != snapshot.normaliser_hash(other)


def test_sums_are_those_of_sha256sum_and_nothing_temporary_is_left(directory):
    for line in (directory / "SHA256SUMS").read_text().splitlines():
        total, name = line.split("  ")
        assert hashlib.sha256((directory / name).read_bytes()).hexdigest() == total
    assert [entry.name for entry in directory.parent.iterdir()] == [directory.name]


def test_saving_again_replaces(made, tmp_path):
    made.save(tmp_path / "p")
    (tmp_path / "p" / "stray").write_text("x")
    made.save(tmp_path / "p")
    assert not (tmp_path / "p" / "stray").exists()
    assert snapshot.load(tmp_path / "p").metadata["iteration"] == 7


def refusal(path) -> str:
    with pytest.raises(UserError) as caught:
        snapshot.load(path)
    text = str(caught.value)
    assert "\n" not in text and text.endswith("."), text
    return text


def test_what_is_no_snapshot_is_refused_in_one_sentence(tmp_path):
    assert "no directory" in refusal(tmp_path / "absent")
    (tmp_path / "file").write_text("x")
    assert "is no directory" in refusal(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    assert "holds no SavedModel" in refusal(tmp_path / "empty")
    tf.saved_model.save(tf.Module(), str(tmp_path / "foreign"))
    assert "without tfpg's endpoints" in refusal(tmp_path / "foreign")


def test_one_of_another_version_is_refused_in_one_sentence(tmp_path):
    module = tf.Module()
    module.greedy = tf.function(lambda obs: obs, input_signature=[tf.TensorSpec([None])])
    tf.saved_model.save(module, str(tmp_path / "other"))
    (tmp_path / "other" / "metadata.json").write_text("{}")
    sums.write(tmp_path / "other")
    assert "without sample, parameters" in refusal(tmp_path / "other")


def test_nothing_of_a_snapshot_stays_in_memory(tmp_path):
    """Resident memory says the same, flat at 814 MB from the 6th to the 60th save, but wavers too much for a test."""
    made = handmade.Made(handmade.config("Hopper-v5"))
    made.save(tmp_path / "p")
    counts = []
    for _ in range(3):
        made.save(tmp_path / "p")
        gc.collect()
        counts.append(len(gc.get_objects()))
    assert not any(type(thing) is snapshot.Endpoints for thing in gc.get_objects())
    assert counts[2] - counts[1] < 200  # 11 measured


def test_moments_of_no_samples_are_the_identity(tmp_path):
    made = handmade.Made(handmade.config("CartPole-v1"))
    empty = Normaliser(moments.empty([made.task.obs_size]), moments.empty([]))
    made.iteration = made.iteration._replace(normaliser=empty)
    obs = made.obs(3)
    model = snapshot.load(made.save(tmp_path / "p")).model
    np.testing.assert_allclose(model.parameters(obs)[0], made.policy.parameters(
        made.iteration.before.theta, np.clip(obs, -5, 5))[0], rtol=1e-5, atol=1e-6)


def test_a_snapshot_of_real_training_sees_the_raw_batch_as_the_learner_did(tmp_path):
    """Batch rows are the trajectory's, flattened: so V_φk and π_θk of raw observations must be the batch's."""
    from tfpg import training
    from tfpg.algos.agent import Agent
    from tfpg.envs.make import describe

    config = handmade.config(**KINDS["timed"])
    task = describe(config.env, config.env_args, config.rollout.engine)
    agent = Agent(config, task)
    runner = training.iterations(config)
    iteration = next(runner)
    runner.close()
    snapshot.Writer(config, task, agent.policy, agent.value).save(tmp_path / "p", iteration)
    contents = snapshot.load(tmp_path / "p")
    record, trajectory = contents.record, iteration.trajectory
    obs = trajectory.obs.reshape(-1, task.obs_size)
    np.testing.assert_allclose(contents.model.value(obs, trajectory.episode_step.reshape(-1)), record["batch/values"],
                               rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(contents.model.parameters(obs), agent.policy.parameters(record["theta"], record["batch/obs"]),
                            strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(record["theta_next"], iteration.state.learner.theta)
    assert contents.metadata["env_steps"] == iteration.env_steps


def test_a_writer_saves_the_next_iteration_as_a_new_one_would_and_traces_nothing_for_it(tmp_path, monkeypatch):
    first, second = handmade.Made(handmade.config("CartPole-v1"), index=3), handmade.Made(handmade.config("CartPole-v1"), index=9)
    writer = snapshot.Writer(first.config, first.task, first.policy, first.value)
    writer.save(tmp_path / "first", first.iteration)
    traced, real = [], first.policy.greedy
    monkeypatch.setattr(type(first.policy), "greedy", lambda self, *given: traced.append(None) or real(*given))
    writer.save(tmp_path / "second", second.iteration)
    assert not traced
    monkeypatch.undo()
    fresh = snapshot.Writer(first.config, first.task, first.policy, first.value)
    fresh.save(tmp_path / "fresh", second.iteration)
    ours, theirs = (snapshot.load(tmp_path / name) for name in ("second", "fresh"))
    assert ours.metadata == theirs.metadata and ours.record.keys() == theirs.record.keys()
    for name, array in theirs.record.items():
        np.testing.assert_array_equal(ours.record[name], array)
    obs = second.obs(5)
    np.testing.assert_array_equal(ours.model.greedy(obs), theirs.model.greedy(obs))
    np.testing.assert_array_equal(ours.model.parameters(obs)[0], theirs.model.parameters(obs)[0])
