"""Does watching a run change it? Everything that can be written down, against as little as possible."""

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from launch import train
from tests.launch.runs import QUICK, assert_equal_runs, scalars

WATCHED = ["--histograms", "--snapshots=0,1,2", "--checkpoint_seconds=0"]
UNWATCHED = ["--nohistograms", "--snapshots=", "--checkpoint_seconds=1e6"]


def has_histograms(run):
    """Whether TensorBoard shows the histogram of the actions."""
    return "policy/actions" in EventAccumulator(str(run / "train")).Reload().Tags()["tensors"]


@pytest.mark.parametrize("arguments", [["--algo=trpo"], ["--algo=ppo", "--ppo.epochs=2"]], ids=["trpo", "ppo"])
def test_histograms_snapshots_and_checkpoints_leave_a_run_bit_for_bit_as_it_was(arguments, tmp_path):
    watched, unwatched = tmp_path / "watched", tmp_path / "unwatched"
    for run, how in ((watched, WATCHED), (unwatched, UNWATCHED)):
        assert train.main([*QUICK, "--total_steps=768", *arguments, *how, f"--workdir={run}"]) == 0
    assert_equal_runs(watched, unwatched)
    assert scalars(unwatched)
    # and the two were indeed watched differently: three policies or the last one only, checkpoints on the way or at the end
    assert [len(list((run / "policies").iterdir())) for run in (watched, unwatched)] == [3, 1]
    assert [len(list((run / "checkpoints").glob("*.npz"))) > 1 for run in (watched, unwatched)] == [True, False]
    assert [has_histograms(run) for run in (watched, unwatched)] == [True, False]
