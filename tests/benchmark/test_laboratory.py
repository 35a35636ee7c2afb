"""Do the subjects do what they say? A small task, a policy that was hardly trained."""

import pytest

from launch.shared import commandline
from tfpg.benchmark import laboratory
from tfpg.envs.make import describe
from tfpg.settings import replace

SMALL = {"rollout.num_steps": 128, "rollout.num_envs": 8, "value.minibatches": 4, "value.epochs": 1, "runtime.xla": False}


@pytest.fixture(scope="module")
def config():
    return replace(commandline.load_preset("trpo", "Hopper-v5"), SMALL)


@pytest.fixture(scope="module")
def practised(config, tmp_path_factory):
    return laboratory.Practised(config, tmp_path_factory.mktemp("practised"), iterations=1)


def test_environments_are_stepped_in_whole_batches(config):
    subjects = laboratory.bare_environments(config, describe("Hopper-v5"), [1, 2])
    assert list(subjects) == ["environments/1", "environments/2"]
    for subject in subjects.values():
        assert subject(0.0)["steps"] == 128
        answer = subject(0.05)
        assert answer["steps"] % 128 == 0 and answer["seconds"] >= 0.05


def test_physics_is_played_on_one_thread_and_two(config):
    subjects = laboratory.bare_physics(config, describe("Hopper-v5"))
    assert list(subjects) == ["physics/1", "physics/2"]
    assert subjects["physics/1"](0.0)["steps"] == laboratory.STRETCHES * 8
    assert laboratory.bare_physics(config, describe("CartPole-v1")) == {}


def test_rollouts_answer_with_their_twin(config, practised):
    subject = laboratory.rollouts(config, practised.task, practised.agent, practised.learner, practised.normaliser)
    for _ in range(2):
        answer = subject(0.0)
        assert answer["steps"] == answer["bare"]["steps"] == 128


def test_landscapes_answer_with_their_twin(config, practised):
    answer = laboratory.landscapes(config, practised)(0.0)
    assert answer["steps"] == answer["bare"]["steps"] and answer["episodes"] == 1
    assert answer["length"] == answer["steps"] / 512
