"""Is what is timed a whole training, and do its parts sum to it?"""

import pytest

from launch.benchmarking.training import TrainingSubject
from launch.shared import commandline
from tests.launch.runs import metrics
from tfpg.settings import replace

SMALL = {"rollout.num_steps": 256, "rollout.num_envs": 8, "value.minibatches": 4, "value.epochs": 2, "runtime.xla": False}


@pytest.fixture(scope="module", params=["trpo", "ppo"])
def subject(request, tmp_path_factory):
    few = {"ppo.minibatches": 4, "ppo.epochs": 2} if request.param == "ppo" else {}
    config = replace(commandline.load_preset(request.param, "Hopper-v5"), SMALL | few)
    directory = tmp_path_factory.mktemp("training")
    one = TrainingSubject(config, directory)
    yield one, directory
    one.close()


def test_the_parts_sum_to_the_whole(subject):
    answer = subject[0].iterations(0.3)
    parts = dict(answer["parts"])
    whole = parts.pop("whole")
    assert {"rollout", "advantages", "update", "statistics", "trust_region", "iterates", "summaries"} <= set(parts)
    assert 0.95 * whole < sum(parts.values()) <= whole
    assert answer["pairs"] == 256


def test_every_iteration_is_recorded_as_in_a_run(subject):
    one, directory = subject
    one._recorder.leave()  # lines are written beside what follows
    before = len(metrics(directory / "run"))
    one.iterations(0.0)
    one._recorder.leave()
    assert len(metrics(directory / "run")) == before + 1 == len(list((directory / "run" / "iterates").glob("*.npz")))


def test_halves_checkpoint_and_snapshot_are_timed_apart(subject):
    one, directory = subject
    parts = one.apart(0.0)["parts"]
    assert set(parts) == {"value", "policy", "checkpoint", "snapshot", "first snapshot"} and min(parts.values()) > 0
    assert (directory / "policy" / "saved_model.pb").exists() and list((directory / "checkpoints").glob("*.npz"))
