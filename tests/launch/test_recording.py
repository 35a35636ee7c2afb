"""Does what is written beside the training stand before what relies on it, and is no error of its writing lost?"""

import dataclasses
import subprocess
import sys
import time

import pytest

from launch.training import recording
from launch.training.plan import Plan
from tests.test_training import small
from tfpg import checkpoint
from tfpg.errors import UserError
from tfpg.run_directory import RunDirectory

AT_EVERY_ITERATION = Plan(frozenset(), 0.0, 0, False, 0)


@pytest.fixture
def run(tmp_path):
    config = dataclasses.replace(small("CartPole-v1"), runtime=dataclasses.replace(small().runtime, xla=False))
    with RunDirectory.open(tmp_path, config, ["train"]) as opened:
        yield opened, config


def test_a_checkpoint_follows_the_film_up_to_it(run, monkeypatch):
    directory, config = run
    save, save_iterate, filmed = checkpoint.save, checkpoint.save_iterate, []

    def slowly(*given):
        time.sleep(0.1)
        return save_iterate(*given)

    def saved(path, state, config):
        filmed.append((state.iteration, len(list(directory.iterates.glob("*.npz")))))
        return save(path, state, config)

    monkeypatch.setattr(checkpoint, "save_iterate", slowly)
    monkeypatch.setattr(checkpoint, "save", saved)
    recording.train(directory, config, AT_EVERY_ITERATION)
    assert filmed == [(1, 1), (2, 2), (3, 3), (3, 3)]
    assert len(list(directory.iterates.glob("*.npz"))) == 4


@pytest.mark.parametrize("lost", [1, 2])
def test_a_frame_that_cannot_be_written_ends_the_training(run, monkeypatch, lost):
    directory, config = run
    save_iterate = checkpoint.save_iterate

    def full(path, k, *given):
        if k == lost:
            raise UserError("cannot write the frame: no space left on device.")
        return save_iterate(path, k, *given)

    monkeypatch.setattr(checkpoint, "save_iterate", full)
    with pytest.raises(UserError, match="no space left"):
        recording.train(directory, config, AT_EVERY_ITERATION)
    assert not directory.finished
    assert checkpoint.load(directory.checkpoints).state.iteration == lost


def test_what_only_the_final_evaluation_needs_is_not_imported_before_it():
    code = "import sys, launch.training.recording; print({'scipy.stats', 'xarray'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout == "set()\n"
