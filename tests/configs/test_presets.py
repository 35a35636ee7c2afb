"""Do the presets hold the authors' settings, row by row? The table is EXPERIMENTS §1, typed here by hand."""

import dataclasses
import inspect
import sys

import pytest

from launch.shared.commandline import load_preset, presets
from tfpg.config import CodeLevel, Ppo, Trpo
from tfpg.errors import UserError
from tfpg.settings import from_dict, to_dict

# task, preset: step size or (δ, final δ), value step, reward scaling, init, anneal, value clip, reward clip,
# observation clip, gradient clip, entropy, λ.
# Silent about clips: ±10 with reward scaling (the authors' default), none without. "Value clip yes" is ±.2.
TABLE = [
    ("Hopper", "ppo", 3e-4, 2.5e-4, "returns", "orthogonal", True, None, 10, 10, None, 0, 0.95),
    ("Hopper", "ppo_m", 1.7e-4, 4e-4, "none", "xavier", False, None, None, None, None, 0, 0.95),
    ("Hopper", "ppo_noclip", 6e-5, 4e-4, "rewards", "orthogonal", True, None, 2.5, 10, 4, -0.005, 0.925),
    ("Hopper", "trpo", (0.13, None), 2e-4, "none", "xavier", False, None, None, None, None, 0, 0.95),
    ("Hopper", "trpo_plus", (0.04, 0.07), 2e-4, "returns", "orthogonal", False, None, 10, 10, None, 0, 0.95),
    ("Walker2d", "ppo", 4e-4, 3e-4, "returns", "orthogonal", True, 0.2, 10, 10, None, 0, 0.95),
    ("Walker2d", "ppo_m", 1e-4, 2e-4, "none", "xavier", False, None, None, None, None, 0, 0.95),
    ("Walker2d", "ppo_noclip", 7.25e-5, 6e-4, "rewards", "orthogonal", True, None, 30, None, 0.1, -0.01, 0.85),
    ("Walker2d", "trpo", (0.04, None), 3e-4, "none", "xavier", False, None, None, None, None, 0, 0.95),
    ("Walker2d", "trpo_plus", (0.07, 0.04), 1e-4, "returns", "orthogonal", False, None, 10, 10, None, 0, 0.95),
    ("Humanoid", "ppo", 1.5e-4, 1e-4, "returns", "orthogonal", True, 0.2, 10, 10, None, 0, 0.95),
    ("Humanoid", "ppo_m", 9e-5, 4e-4, "none", "xavier", False, None, None, None, None, 0, 0.95),
    ("Humanoid", "ppo_noclip", 2e-5, 5e-5, "returns", "xavier", False, 0.2, 10, 10, 0.5, 0.005, 0.85),
    ("Humanoid", "trpo", (0.07, None), 3e-4, "none", "xavier", False, None, None, None, None, 0, 0.95),
    ("Humanoid", "trpo_plus", (0.10, 0.05), 5e-5, "returns", "xavier", False, 0.2, 10, 10, None, 0, 0.85),
]
OTHERS = ("CartPole-v1", "Pendulum-v1", "HalfCheetah-v5", "mine:Task-v0")


@pytest.mark.parametrize("version", ["-v4", "-v5", ""])
@pytest.mark.parametrize("row", TABLE, ids=[f"{row[0]}-{row[1]}" for row in TABLE])
def test_row_of_the_authors_table(row, version):
    task, preset, policy, value, scaling, init, anneal, *clips, entropy, lam = row
    value_clip, reward_clip, observation_clip, gradient_clip = clips
    config = load_preset(preset, task + version)

    if isinstance(policy, tuple):
        assert (config.algorithm.delta, config.algorithm.delta_final) == policy
    else:
        assert config.algorithm.step_size == policy
        assert config.algorithm.clip_epsilon == (None if preset == "ppo_noclip" else 0.2)
    assert config.algorithm.entropy_coefficient == entropy
    assert config.value.step_size == value
    assert config.advantages.lam == lam
    assert config.code_level == CodeLevel(
        value_clip=value_clip, reward_scaling=scaling, initialisation=init, anneal=anneal, reward_clip=reward_clip,
        observation_normalisation=True, observation_clip=observation_clip, activation="tanh",
        gradient_clip=gradient_clip)


@pytest.mark.parametrize("env", ["Hopper-v5", "Walker2d-v4", "Humanoid-v5", *OTHERS])
@pytest.mark.parametrize("name", presets())
def test_every_preset_has_the_common_settings(name, env):
    config = load_preset(name, env)

    assert (config.preset, config.env, config.total_steps, config.num_iterations) == (name, env, 999_424, 488)
    assert (config.rollout.num_steps, config.advantages.gamma, config.network.hidden) == (2048, 0.99, (64, 64))
    assert (config.rollout.time_limit, config.rollout.carry_over) == ("terminal", True)
    assert (config.value.epochs, config.value.minibatches, config.value.target) == (10, 32, "gae")
    assert (config.optimiser.kind, config.optimiser.adam_epsilon, config.network.initial_log_std) == ("adam", 1e-5, 0)
    if isinstance(config.algorithm, Trpo):
        common = dataclasses.replace(config.algorithm, delta=1.0, delta_final=None)
        assert common == Trpo(delta=1.0, cg_iterations=10, damping=0.1, fisher_fraction=0.1, backtracks=10,
                              backtrack_ratio=0.5, accept_ratio=0.1, entropy_coefficient=0.0, advantage_norm="batch")
    else:
        assert isinstance(config.algorithm, Ppo)
        assert (config.algorithm.epochs, config.algorithm.minibatches) == (10, 32)
        assert (config.algorithm.advantage_norm, config.algorithm.shared_weights) == ("minibatch", False)
    assert from_dict(to_dict(config)) == config


@pytest.mark.parametrize("env", ["Hopper-v5", "Walker2d-v5", "Humanoid-v5", "CartPole-v1"])
def test_bare_ppo_has_all_nine_off_and_the_step_sizes_of_ppo_m(env):
    bare, minimal = load_preset("ppo_bare", env), load_preset("ppo_m", env)

    assert bare.code_level == CodeLevel(
        value_clip=None, reward_scaling="none", initialisation="xavier", anneal=False, reward_clip=None,
        observation_normalisation=False, observation_clip=None, activation="relu", gradient_clip=None)
    assert (bare.algorithm, bare.value) == (minimal.algorithm, minimal.value)


def test_a_task_of_another_module_gets_the_general_settings():
    assert load_preset("trpo", "mine:Hopper-v5").algorithm == load_preset("trpo", "CartPole-v1").algorithm


def test_unknown_preset_names_the_nearest():
    with pytest.raises(UserError, match=r"^there is no preset algo=trpoo: did you mean trpo\?$"):
        load_preset("trpoo", "Hopper-v5")


@pytest.mark.parametrize("name", ["base", "environments", "__init__", "../launch/train", ""])
def test_what_lies_beside_the_presets_is_no_preset(name):
    with pytest.raises(UserError):
        load_preset(name, "Hopper-v5")


def test_presets_differ_from_ppo_m_to_ppo_only_in_settings():
    ppo, minimal = load_preset("ppo", "Hopper-v5"), load_preset("ppo_m", "Hopper-v5")

    assert dataclasses.replace(minimal.algorithm, step_size=ppo.algorithm.step_size) == ppo.algorithm


def test_the_presets_departures_are_marked():
    load_preset("trpo_plus", "Hopper-v5")
    assert "Differs:" in inspect.getsource(sys.modules["_tfpg_configs.trpo_plus"])
    assert "Differs:" in inspect.getsource(sys.modules["_tfpg_configs.base"])
