"""A zip of Stable-Baselines3 is read as it was meant, or refused in one sentence that names what cannot be represented."""

import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.importing.files import FIXTURES, TASKS, answers, changed, naming, pickled, read
from tests.importing.test_pickles import Evil
from tfpg.errors import UserError
from tfpg.importing import stable_baselines, vec_normalize

NONLINEAR = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0), "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))}


def perceptron(layers, x, activation):
    """In float64, as the equation."""
    for number, (kernel, bias) in enumerate(layers):
        x = x @ kernel.astype(float) + bias
        x = NONLINEAR[activation](x) if number < len(layers) - 1 else x
    return x


@pytest.mark.parametrize("name", TASKS)
def test_arrays_are_those_that_answer_as_the_original(name):
    found, statistics = read(name)
    original = answers(name)
    seen = np.clip((original["obs"] - statistics.mean) / np.sqrt(statistics.var + statistics.epsilon), -statistics.clip, statistics.clip)
    np.testing.assert_array_equal(seen.astype(np.float32), original["seen"])
    first = perceptron(found.policy, seen, found.activation)
    np.testing.assert_allclose(perceptron(found.value, seen, found.activation)[:, 0], original["value"], rtol=1e-5, atol=1e-5)
    if found.spaces.discrete:
        np.testing.assert_allclose(np.exp(first) / np.exp(first).sum(1, keepdims=True), original["probabilities"], rtol=1e-4, atol=1e-6)
    else:
        np.testing.assert_allclose(first, original["mean"], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(np.tile(np.exp(found.log_std), (64, 1)), original["std"], rtol=1e-6)
        np.testing.assert_array_equal(np.clip(original["mean"], found.spaces.low, found.spaces.high), original["greedy"])


def test_what_else_the_zip_says_is_found():
    # of make_fixtures.py: network sizes, activations, whether VecNormalize stood before it, 128 steps
    found, statistics = read("ppo")
    assert [len(layer.bias) for layer in found.policy] == [16, 8, 3] and [len(layer.bias) for layer in found.value] == [16, 8, 1]
    assert (found.normalised, found.steps, found.version, statistics.clip, statistics.epsilon) == (True, 128, "2.9.2", 2.0, 1e-8)
    assert [read(name)[0].activation for name in TASKS] == ["tanh", "tanh", "relu", "elu", "elu"]
    assert not read("a2c")[0].normalised and read("a2c")[0].spaces == (4, True, 2, None, None)
    np.testing.assert_array_equal(read("elu")[0].spaces.high, [2])  # Pendulum's torque


def test_neither_torch_nor_stable_baselines_nor_tensorflow_is_imported():
    code = ("import sys; from pathlib import Path; from tfpg.importing import stable_baselines, vec_normalize; "
            f"stable_baselines.read(Path('{FIXTURES}/ppo.zip')); vec_normalize.read(Path('{FIXTURES}/ppo.pkl'), 11); "
            "sys.exit(bool({'torch', 'stable_baselines3', 'cloudpickle', 'pickle', 'tensorflow'} & set(sys.modules) - before))")
    code = "import sys, numpy, multiprocessing.reduction; before = set(sys.modules); " + code  # NumPy itself imports pickle
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=100).returncode == 0


# Refusals


def refused(match, path):
    with pytest.raises(UserError, match=match) as caught:
        stable_baselines.read(path)
    assert "\n" not in str(caught.value) and str(caught.value).startswith((str(path), f"cannot read {path}")) and len(str(caught.value)) < 400


COMMON, CONTRIB = "stable_baselines3.common.policies", "sb3_contrib.common"


@pytest.mark.parametrize(("module", "name", "words"), [
    (COMMON, "ActorCriticCnnPolicy", "CnnPolicy sees images"),
    (COMMON, "MultiInputActorCriticPolicy", "MultiInputPolicy sees dictionaries"),
    ("stable_baselines3.sac.policies", "SACPolicy", "SAC's policy is squashed by a tanh"),
    ("stable_baselines3.td3.policies", "TD3Policy", "has no distribution of actions"),
    ("stable_baselines3.dqn.policies", "DQNPolicy", "DQN has values of actions"),
    (f"{CONTRIB}.recurrent.policies", "RecurrentActorCriticPolicy", "remembers from step to step"),
    (f"{CONTRIB}.maskable.policies", "MaskableActorCriticPolicy", "is told which actions are allowed"),
    ("my.code", "MyPolicy", "only MlpPolicy of PPO, A2C and TRPO can be represented."),
])
def test_another_policy_is_named(module, name, words, tmp_path):
    refused(f"has a {name}, only MlpPolicy .*{words}" if "only" not in words else f"has a {name}, {words}",
            changed(tmp_path / "m.zip", {"policy_class": naming(module, name)}))


TANH = naming("torch.nn.modules.activation", "Tanh")


@pytest.mark.parametrize(("settings", "words"), [
    ({"policy_class": pickled(pickle.dumps(Evil(os.system, "true"), 4))}, "has a policy class of its own, code that is not read"),
    ({"use_sde": True}, "explores by gSDE"),
    ({"policy_kwargs": {"use_sde": True}}, "explores by gSDE"),
    ({"policy_kwargs": {"squash_output": True}}, "squashes its actions by a tanh"),
    ({"policy_kwargs": {"lstm_hidden_size": 3}}, "sets policy_kwargs lstm_hidden_size, which is not known here"),
    ({"policy_kwargs": pickled(b"}Vactivation_fn\nctorch.nn.modules.activation\nSiLU\ns.")}, "has the activation SiLU: only Tanh, ReLU, ELU"),
    ({"policy_kwargs": pickled(b"}Vactivation_fn\ncmy.code\nTanh\ns.")}, "has the activation Tanh: only"),
    ({"policy_kwargs": pickled(b"}Vfeatures_extractor_class\ncstable_baselines3.common.torch_layers\nNatureCNN\ns.")},
     "has the features extractor NatureCNN: only FlattenExtractor"),
    ({"action_space": pickled(b"cgymnasium.spaces.multi_discrete\nMultiDiscrete\n)R}b.")}, "has actions MultiDiscrete: only a Box of one"),
    ({"action_space": pickled(b"cgymnasium.spaces.discrete\nDiscrete\n)R}(Vn\nI3\nVstart\nI1\nub.")}, r"has actions Discrete\(3, start=1\)"),
    ({"action_space": pickled(b"cmy.code\nSpace\n)R}b.")}, "has actions of its own code"),
    ({"observation_space": pickled(b"cgymnasium.spaces.dict\nDict\n)R}b.")}, "sees observations Dict: only a Box of one dimension"),
    ({"observation_space": pickled(b"cgymnasium.spaces.discrete\nDiscrete\n)R}(Vn\nI3\nVstart\nI0\nub.")}, "sees observations Discrete"),
    ({"policy_class": None}, "has a policy class of its own"),
    ({"policy_kwargs": 3}, "is damaged"),
    ({"action_space": 3}, "is damaged"),
    ({"action_space": {":serialized:": "!"}}, "is damaged"),
])
def test_settings_that_cannot_be_represented_are_named(settings, words, tmp_path):
    refused(words, changed(tmp_path / "m.zip", settings))


def listing(change):
    return lambda name, data: change(data) if name.endswith("data.pkl") else data


@pytest.mark.parametrize(("tensors", "words"), [
    (listing(lambda d: d.replace(b"X\x0f\0\0\0action_net.bias", b"X\x0f\0\0\0action_net.bits")), "has no layer action_net with weight and bias"),
    (listing(lambda d: d.replace(b"X\x07\0\0\0log_std", b"X\x07\0\0\0log_dts")), "has the tensor log_dts, which no MlpPolicy has"),
    (listing(lambda d: d.replace(b"collections\nOrderedDict", b"posix\nsystem")), "it names posix.system, which no such file needs"),
    (listing(lambda d: d.replace(b"torch\nFloatStorage", b"torch\nBoolStorage")), "it names torch.BoolStorage"),
    (listing(lambda d: d[:100]), "is damaged"),
    (lambda name, data: data[:-4] if name.endswith("/data/1") else data, "is damaged"),
    (lambda name, data: b"big" if name.endswith("byteorder") else data, "its numbers are not little-endian"),
    (lambda name, data: b"\xff" * len(data) if name.endswith("/data/1") else data, "weights that are not finite numbers"),
])
def test_tensors_that_are_no_mlp_policy_are_named(tensors, words, tmp_path):
    refused(words, changed(tmp_path / "m.zip", tensors=tensors))


def test_what_is_no_zip_of_a_model_is_refused(tmp_path):
    (tmp_path / "text.zip").write_text("no zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("notes.txt", "x")
    refused("is damaged, or no model of Stable-Baselines3", tmp_path / "text.zip")
    refused("it has no data", tmp_path / "other.zip")
    refused("no such file", tmp_path / "absent.zip")
    refused("it has no policy.pth", changed(tmp_path / "m.zip", **{"policy.pth": None}))
    refused("is damaged", changed(tmp_path / "n.zip", **{"policy.pth": b"an old one by torch.save"}))


def test_a_zip_that_would_unpack_to_more_than_any_policy_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(stable_baselines, "LARGEST", 1000)
    refused("it would take more than", FIXTURES / "ppo.zip")


def test_the_first_layers_may_be_common_to_both_nets():
    """As until version 1.7: the same numbers under the older names."""
    found = stable_baselines.read(FIXTURES / "ppo.zip")
    tensors = {"mlp_extractor.shared_net.0.weight": found.policy[0].kernel.T, "mlp_extractor.shared_net.0.bias": found.policy[0].bias,
               "mlp_extractor.policy_net.0.weight": found.policy[1].kernel.T, "mlp_extractor.policy_net.0.bias": found.policy[1].bias,
               "action_net.weight": found.policy[2].kernel.T, "action_net.bias": found.policy[2].bias, "log_std": found.log_std,
               "value_net.weight": np.ones((1, 16), np.float32), "value_net.bias": np.ones(1, np.float32)}
    older = stable_baselines._found(FIXTURES, tensors, found.spaces, "tanh")
    for ours, theirs in zip(older.policy, found.policy, strict=True):
        np.testing.assert_array_equal(ours.kernel, theirs.kernel)
    assert [layer.kernel.shape for layer in older.value] == [(11, 16), (16, 1)]


# Damage


WHOLE = (FIXTURES / "ppo.zip").read_bytes()


@settings(max_examples=120, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255), st.booleans())
def test_a_damaged_or_truncated_zip_is_one_sentence_or_the_same_policy(tmp_path_factory, place, flip, cut):
    path = tmp_path_factory.mktemp("damaged") / "m.zip"
    path.write_bytes(WHOLE[:place] if cut else WHOLE[:place] + bytes([WHOLE[place] ^ flip]) + WHOLE[place + 1:])
    try:
        found = stable_baselines.read(path)
    except UserError as error:
        assert "\n" not in str(error) and str(path) in str(error)
    else:  # a time stamp, an attribute of a file
        np.testing.assert_array_equal(found.policy[0].kernel, read("ppo")[0].policy[0].kernel)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 1900), st.integers(1, 255))
def test_a_damaged_list_of_tensors_with_a_right_sum_is_one_sentence_or_arrays(tmp_path_factory, place, flip):
    """As a malicious file has it."""
    path = tmp_path_factory.mktemp("damaged") / "m.zip"
    changed(path, tensors=listing(lambda d: d[:place] + bytes([d[place] ^ flip]) + d[place + 1:]))
    try:
        assert stable_baselines.read(path).policy[0].kernel.shape == (11, 16)
    except UserError as error:
        assert "\n" not in str(error) and str(path) in str(error)


# VecNormalize


def test_statistics_of_other_observations_are_named():
    with pytest.raises(UserError, match=r"has statistics of observations of shape \[11\], but the policy sees 4 numbers"):
        vec_normalize.read(FIXTURES / "ppo.pkl", 4)


def test_observations_left_as_they_are_have_the_identity(tmp_path):
    data = (FIXTURES / "ppo.pkl").read_bytes()
    assert data.count(b"\x8c\x08norm_obs\x94\x88") == 1
    (tmp_path / "v.pkl").write_bytes(data.replace(b"\x8c\x08norm_obs\x94\x88", b"\x8c\x08norm_obs\x94\x89"))
    found = vec_normalize.read(tmp_path / "v.pkl", 11)
    assert (found.mean == 0).all() and (found.var == 1).all() and (found.epsilon, found.clip) == (0, np.inf)


@pytest.mark.parametrize("data", [pickle.dumps(Evil(os.system, "touch {0}")), pickle.dumps({"obs_rms": Evil(os.system, "touch {0}")})])
def test_a_malicious_file_of_statistics_runs_nothing_and_is_named(data, tmp_path):
    (tmp_path / "v.pkl").write_bytes(data.replace(b"touch {0}", b"touch ./x"))
    with pytest.raises(UserError, match=r"v.pkl is not read: it names posix.system, which no such file needs\.$"):
        vec_normalize.read(tmp_path / "v.pkl", 11)
    assert not os.path.exists("x")


def test_a_pickle_of_something_else_is_no_file_of_statistics(tmp_path):
    (tmp_path / "v.pkl").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(UserError, match="is damaged, or no file of VecNormalize"):
        vec_normalize.read(tmp_path / "v.pkl", 11)


STATISTICS = (FIXTURES / "ppo.pkl").read_bytes()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(STATISTICS) - 1), st.integers(1, 255), st.booleans())
def test_a_damaged_file_of_statistics_is_one_sentence_or_statistics(tmp_path_factory, place, flip, cut):
    """It has no sums: a flipped bit of a number is a number."""
    path = tmp_path_factory.mktemp("damaged") / "v.pkl"
    path.write_bytes(STATISTICS[:place] if cut else STATISTICS[:place] + bytes([STATISTICS[place] ^ flip]) + STATISTICS[place + 1:])
    try:
        found = vec_normalize.read(path, 11)
    except UserError as error:
        assert "\n" not in str(error) and str(path) in str(error)
    else:
        assert np.isfinite(found.mean).all() and (found.var + found.epsilon > 0).all() and not cut
