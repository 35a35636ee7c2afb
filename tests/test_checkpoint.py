"""Checkpoints and iterates: bit for bit, or named as damaged."""

import numpy as np
import pytest
import tensorflow as tf

from tests.diagnostics import handmade
from tfpg import checkpoint, storage
from tfpg.checkpoint import named
from tfpg.config import Ppo
from tfpg.errors import UserError


@pytest.fixture(scope="module", params=["Hopper-v5", "CartPole-v1"])
def made(request):
    return handmade.Made(handmade.config(request.param, algorithm=Ppo(minibatches=2)))


def same_bits(a, b) -> bool:
    a, b = named(a), named(b)
    return list(a) == list(b) and all(
        a[name].dtype == b[name].dtype and a[name].shape == b[name].shape and a[name].tobytes() == b[name].tobytes()
        for name in a)


def with_number(state, k):
    return state._replace(iteration=k)


def test_a_checkpoint_returns_the_state_bit_for_bit_with_its_dtypes(made, tmp_path):
    state = made.iteration.state
    path = checkpoint.save(tmp_path, state, made.config)
    loaded = checkpoint.load(tmp_path)
    assert loaded.path == path and loaded.warnings == () and loaded.config == made.config
    assert same_bits(loaded.state, state)
    assert type(loaded.state.iteration) is int and type(loaded.state.env_steps) is int
    assert tf.is_tensor(loaded.state.learner.policy_slots.first) and tf.is_tensor(loaded.state.accumulators)


def test_float64_learners_and_special_values_survive(made, tmp_path):
    theta = tf.constant([np.nan, -0.0, np.inf, 5e-324, 1 / 3], tf.float64)
    state = made.iteration.state
    state = state._replace(learner=state.learner._replace(theta=theta))
    checkpoint.save(tmp_path, state, made.config)
    assert same_bits(checkpoint.load(tmp_path).state, state)


def test_equal_states_make_equal_files(made, tmp_path):
    a = checkpoint.save(tmp_path / "a", made.iteration.state, made.config)
    b = checkpoint.save(tmp_path / "b", made.iteration.state, made.config)
    assert a.read_bytes() == b.read_bytes()


def test_the_last_two_are_kept_and_a_future_taken_back_is_removed(made, tmp_path):
    for k in (5, 12, 999_999, 1_000_000, 7, 20, 21):
        checkpoint.save(tmp_path, with_number(made.iteration.state, k), made.config)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["000020.npz", "000021.npz"]
    checkpoint.save(tmp_path, with_number(made.iteration.state, 1_000_000), made.config)
    assert checkpoint.load(tmp_path).state.iteration == 1_000_000  # seven digits come after six


def test_no_checkpoint_is_no_state_and_no_warning(tmp_path):
    assert checkpoint.load(tmp_path) == (None, None, None, ())
    assert checkpoint.load(tmp_path / "absent") == (None, None, None, ())


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(made, tmp_path):
    for k in (10, 20):
        last = checkpoint.save(tmp_path, with_number(made.iteration.state, k), made.config)
    last.write_bytes(last.read_bytes()[:-100])
    loaded = checkpoint.load(tmp_path)
    assert loaded.state.iteration == 10
    assert len(loaded.warnings) == 1 and str(last) in loaded.warnings[0] and "damaged" in loaded.warnings[0]
    checkpoint.save(tmp_path, with_number(made.iteration.state, 15), made.config)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["000010.npz", "000015.npz"]


def test_a_checkpoint_under_another_number_is_not_believed(made, tmp_path):
    checkpoint.save(tmp_path, with_number(made.iteration.state, 10), made.config).rename(tmp_path / "000011.npz")
    with pytest.raises(UserError, match=r"000011.npz is damaged: it holds the state before iteration 10\); to begin"):
        checkpoint.load(tmp_path)


def test_the_manifest_of_a_run_directory_knows_the_checkpoints(made, tmp_path):
    storage.create_manifest(tmp_path)
    directory = tmp_path / "checkpoints"
    for k in (1, 2, 3):
        path = checkpoint.save(directory, with_number(made.iteration.state, k), made.config)
    assert storage.verify(tmp_path) == []
    path.write_bytes(path.read_bytes()[:-1])
    assert len(storage.verify(tmp_path)) == 1


def test_an_iterate_returns_bit_for_bit(made, tmp_path):
    it = made.iteration
    path = checkpoint.save_iterate(tmp_path, 150, it.before.theta, it.before.phi, it.normaliser)
    assert path.name == "000150.npz"
    assert same_bits(checkpoint.load_iterate(tmp_path, 150), checkpoint.Iterate(150, it.before.theta, it.before.phi, it.normaliser))


def test_a_missing_or_damaged_iterate_is_named(made, tmp_path):
    it = made.iteration
    path = checkpoint.save_iterate(tmp_path, 150, it.before.theta, it.before.phi, it.normaliser)
    with pytest.raises(UserError, match="000151.npz"):
        checkpoint.load_iterate(tmp_path, 151)
    path.rename(tmp_path / "000151.npz")
    with pytest.raises(UserError, match="holds iteration 150"):
        checkpoint.load_iterate(tmp_path, 151)
    data = bytearray((tmp_path / "000151.npz").read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    with pytest.raises(UserError, match="000150.npz is damaged"):
        checkpoint.load_iterate(tmp_path, 150)


def test_a_file_of_another_version_is_named(made, tmp_path):
    arrays = named(made.iteration.state, "state/")
    arrays.pop("state/env_steps")
    for extra in ({}, {"state/env_steps": np.int64(1), "state/new": np.int64(1)}):
        content = {**arrays, **extra, "config": checkpoint._text("{}")}
        checkpoint._write(tmp_path / "000008.npz", content)
        with pytest.raises(UserError, match="of another version"):
            checkpoint.load(tmp_path)
