"""Is a run's configuration frozen, checked and completely listed?"""

import dataclasses
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from tfpg.config import (
    ALGORITHMS,
    Advantages,
    CodeLevel,
    Config,
    Network,
    Optimiser,
    Ppo,
    Rollout,
    Runtime,
    Trpo,
    Value,
    all_settings,
    settings,
)
from tfpg.errors import UserError

ROOT = Path(__file__).resolve().parent.parent


def test_a_configuration_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().seed = 1


def test_iterations_are_whole_batches():
    assert Config(total_steps=3 * 2048 + 2047).num_iterations == 3


def test_off_is_the_default_of_every_optimisation_but_those_the_authors_always_kept():
    assert CodeLevel() == CodeLevel(None, "none", "xavier", False, None, True, None, "tanh", None)


def test_settings_list_every_field_once():
    sections = [Config(), CodeLevel(), Trpo(), Rollout(), Advantages(), Value(), Network(), Optimiser(), Runtime()]
    expected = sum(len(dataclasses.fields(section)) for section in sections) - 8  # the eight sections themselves
    names = [setting.name for setting in settings(Config())]

    assert len(names) == len(set(names)) == expected


def test_all_settings_are_those_of_every_algorithm():
    names = {setting.name for setting in all_settings()}

    for algorithm in ALGORITHMS.values():
        assert {setting.name for setting in settings(Config(algorithm=algorithm()))} <= names


def test_every_setting_is_documented_and_optional_ones_say_what_none_means():
    for setting in all_settings():
        assert setting.text
        if type(None) in typing.get_args(setting.kind):
            assert "none" in setting.text, setting.name


BAD = [
    (lambda: Config(seed=-1), "seed=-1 is out of range: it must be at least 0."),
    (lambda: Config(seed=2**32), "seed=4294967296 is out of range: it must be at most 4294967295."),
    (lambda: Config(seed=1.5), "seed=1.5 is not an int."),
    (lambda: Config(seed=True), "seed=True is not an int."),
    (lambda: Config(env=5), "env=5 is not a str."),
    (lambda: Config(algorithm=Trpo(delta=0.0)), "trpo.delta=0.0 is out of range: it must be above 0."),
    (lambda: Config(algorithm=Trpo(delta=float("nan"))), "trpo.delta=nan is not a finite number."),
    (lambda: Config(algorithm=Trpo(delta=float("inf"))), "trpo.delta=inf is not a finite number."),
    (lambda: Config(algorithm=Trpo(delta=None)), "trpo.delta=None is not a finite number."),
    (lambda: Config(algorithm=Trpo(backtrack_ratio=1.0)),
     "trpo.backtrack_ratio=1.0 is out of range: it must be below 1."),
    (lambda: Config(algorithm=Trpo(advantage_norm="bacth")),
     "trpo.advantage_norm=bacth is not known: did you mean batch?"),
    (lambda: Config(rollout=Rollout(time_limit="death")),
     "rollout.time_limit=death is not known: choose one of terminal, bootstrap."),
    (lambda: Config(code_level=CodeLevel(anneal=1)), "code_level.anneal=1 is not a bool."),
    (lambda: Config(network=Network(hidden=(64, 0))),
     "network.hidden=(64, 0) is out of range: it must be at least 1."),
    (lambda: Config(network=Network(hidden=[64])), "network.hidden=[64] is not a list."),
    (lambda: Config(network=Network(hidden=(1.5,))), "network.hidden=(1.5,) is not a list of integers."),
    (lambda: Config(network=Network(hidden=(True,))), "network.hidden=(True,) is not a list of integers."),
    (lambda: Config(env_args=5), "env_args=5 is not a JSON object."),
    (lambda: Config(total_steps=2047),
     "total_steps=2047 is less than one iteration of rollout.num_steps=2048 pairs."),
    (lambda: Config(rollout=Rollout(num_envs=7)),
     "rollout.num_steps=2048 is not a multiple of rollout.num_envs=7: the nearest are 2016 or 2240, for value.minibatches=32 as well."),
    (lambda: Config(rollout=Rollout(num_envs=4096)),
     "rollout.num_steps=2048 is not a multiple of rollout.num_envs=4096: the nearest are 4096."),
    (lambda: Config(value=Value(minibatches=3)),
     "rollout.num_steps=2048 is not a multiple of value.minibatches=3: the nearest are 2016 or 2112, for rollout.num_envs=32 as well."),
    (lambda: Config(algorithm=Ppo(minibatches=3)),
     "rollout.num_steps=2048 is not a multiple of ppo.minibatches=3: the nearest are 2016 or 2112, for rollout.num_envs=32 and value.minibatches=32 as well."),
]


@pytest.mark.parametrize("make, sentence", BAD, ids=[sentence.split(" is ")[0] for _, sentence in BAD])
def test_a_bad_setting_is_one_sentence_that_names_it(make, sentence):
    with pytest.raises(UserError) as error:
        make()
    assert str(error.value) == sentence


@pytest.mark.parametrize("module", ["tfpg", "tfpg.config", "tfpg.settings", "tfpg.seeds", "tfpg.types",
                                    "tfpg.storage", "tfpg.run_directory", "launch", "launch.shared.commandline", "configs"])
def test_importing_the_light_rooms_imports_no_tensorflow(module):
    code = f"import {module}, sys; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=True)
