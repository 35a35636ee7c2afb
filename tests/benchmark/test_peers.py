"""Do the libraries get the same work as we do? Stand-ins take their place, whether they are installed or not."""

import sys
import types

import pytest

from launch.shared import commandline
from tfpg.benchmark import peers


class StandIn:
    """A training that writes down what it was asked for."""

    def __init__(self, **arguments):
        self.arguments, self.learnt = arguments, []

    def learn(self, pairs, reset_num_timesteps):
        self.learnt.append((pairs, reset_num_timesteps))


@pytest.fixture
def libraries(monkeypatch):
    """Modules of their names. Returns: numbers of threads that PyTorch was given."""
    threads = [2]
    vec_env = types.ModuleType("stable_baselines3.common.vec_env")
    vec_env.DummyVecEnv = lambda makers: makers
    vec_env.VecNormalize = lambda environments, **arguments: types.SimpleNamespace(makers=environments, **arguments)
    torch = types.ModuleType("torch")
    torch.get_num_threads, torch.set_num_threads = lambda: threads[-1], threads.append
    modules = {"stable_baselines3.common.vec_env": vec_env, "torch": torch}
    for name, algorithm in (("stable_baselines3", "PPO"), ("stable_baselines3.common", None), ("sb3_contrib", "TRPO")):
        modules[name] = types.ModuleType(name)
        if algorithm:
            setattr(modules[name], algorithm, StandIn)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return threads


@pytest.mark.parametrize("algorithm", ["ppo", "trpo"])
def test_an_iteration_is_the_presets_work(libraries, algorithm):
    config = commandline.load_preset(algorithm, "Hopper-v5")
    for name, (num_envs, threads) in peers.VARIANTS.items():
        peer = peers.Peer(config, num_envs, threads or 2)
        asked = peer._model.arguments
        assert asked["n_steps"] * num_envs == 2048 and len(asked["env"].makers) == num_envs, name
        assert asked["batch_size"] * 32 == 2048 and asked["device"] == "cpu"
        assert asked["policy_kwargs"]["net_arch"] == {"pi": [64, 64], "vf": [64, 64]}
        assert asked["env"].norm_obs and asked["env"].norm_reward == (algorithm == "ppo")
        if algorithm == "ppo":
            assert asked["n_epochs"] == 10 and asked["clip_range"] == 0.2
        else:
            assert (asked["cg_max_steps"], asked["n_critic_updates"], asked["sub_sampling_factor"]) == (10, 10, 10)


def test_whole_iterations_are_timed(libraries):
    subjects = peers.subjects(commandline.load_preset("ppo", "Hopper-v5"))
    assert set(subjects) == {"ppo/plain", "ppo/tuned"}
    answer = subjects["ppo/tuned"](0.0)
    assert answer["steps"] == 2048 and answer["seconds"] > 0 and libraries[-1] == 1
    subjects["ppo/plain"](0.0)
    assert libraries[-1] == 2  # as it comes
    assert subjects["ppo/plain"]._model.learnt == [(2048, False)] * 2  # the first before anything is timed


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None if name == "sb3_contrib" else object())
    assert peers.absent() == ["sb3_contrib"]
