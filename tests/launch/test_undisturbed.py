"""Does watching a run change it? Everything that can be written down, against as little as possible."""

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from launch import train
from launch.shared import commandline
from launch.training import recording
from tests.launch.runs import QUICK, assert_equal_runs, metrics, scalars

HELDOUT = "trust_region/heldout/"
WATCHED = ["--histograms", "--snapshots=0,1,2", "--checkpoint_seconds=0", "--heldout_every=1"]
UNWATCHED = ["--nohistograms", "--snapshots=", "--checkpoint_seconds=1e6", "--heldout_every=0"]


def has_histograms(run):
    """Whether TensorBoard shows the histogram of the actions."""
    return "policy/actions" in EventAccumulator(str(run / "train")).Reload().Tags()["tensors"]


@pytest.mark.parametrize("arguments", [["--algo=trpo"], ["--algo=ppo", "--ppo.epochs=2"]], ids=["trpo", "ppo"])
def test_whatever_watches_a_run_leaves_it_bit_for_bit_as_it_was(arguments, tmp_path):
    watched, unwatched = tmp_path / "watched", tmp_path / "unwatched"
    for run, how in ((watched, WATCHED), (unwatched, UNWATCHED)):
        assert train.main([*QUICK, "--total_steps=768", *arguments, *how, f"--workdir={run}"]) == 0
    assert_equal_runs(watched, unwatched, but=HELDOUT)
    assert scalars(unwatched)
    # and the two were indeed watched differently: three policies or the last one only, checkpoints on the way or at the end
    assert [len(list((run / "policies").iterdir())) for run in (watched, unwatched)] == [3, 1]
    assert [len(list((run / "checkpoints").glob("*.npz"))) > 1 for run in (watched, unwatched)] == [True, False]
    assert [has_histograms(run) for run in (watched, unwatched)] == [True, False]
    assert [looked_at(run) for run in (watched, unwatched)] == [3, 0]


@pytest.mark.long
@pytest.mark.parametrize("env", ["Hopper-v5", "CartPole-v1"])
@pytest.mark.parametrize("preset", commandline.presets())
def test_no_preset_is_disturbed_by_what_watches_it(preset, env, tmp_path):
    watched, unwatched = tmp_path / "watched", tmp_path / "unwatched"
    size = ["--total_steps=10240", "--final_episodes=0"]  # five iterations, compiled as a real run's are
    for run, how in ((watched, WATCHED), (unwatched, UNWATCHED)):
        assert train.main([*size, f"--algo={preset}", f"--env={env}", *how, f"--workdir={run}"]) == 0
    assert_equal_runs(watched, unwatched, but=HELDOUT)
    assert [looked_at(run) for run in (watched, unwatched)] == [5, 0]


def test_a_run_that_is_watched_from_its_middle_on_is_the_same_run(tmp_path, monkeypatch):
    # the setting is the instrument's, not the run's: the same run goes on with another, and a resumed one looks no differently
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    assert train.main([*QUICK, "--heldout_every=1", f"--workdir={whole}"]) == 0
    with monkeypatch.context() as patch:
        patch.setattr(recording.Recorder, "record", until(2, recording.Recorder.record))
        assert train.main([*QUICK, f"--workdir={resumed}"]) == 130
    assert train.main([*QUICK, "--heldout_every=1", f"--workdir={resumed}"]) == 0
    assert_equal_runs(whole, resumed, but=HELDOUT)
    assert metrics(whole)[2:] == metrics(resumed)[2:] and looked_at(resumed) == 2


def looked_at(run):
    """How many updates were looked at on held-out pairs."""
    return sum(any(key.startswith(HELDOUT) for key in row) for row in metrics(run))


def until(count, record):
    """A recorder that is interrupted instead of its next iteration."""
    def limited(self, iteration):
        if iteration.index >= count:
            raise KeyboardInterrupt
        record(self, iteration)

    return limited
