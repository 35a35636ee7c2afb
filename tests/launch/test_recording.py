"""Does what is written beside the training stand before what relies on it, and is no error of its writing lost?"""

import dataclasses
import subprocess
import sys
import threading
import time

import pytest

from launch.training import recording
from launch.training.plan import Plan
from tests.test_training import small
from tfpg import checkpoint, storage
from tfpg.errors import UserError
from tfpg.report.progress import Progress
from tfpg.report.summaries import Summaries
from tfpg.run_directory import RunDirectory
from tfpg.training import Training

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


def test_a_checkpoint_follows_the_lines_up_to_it(run, monkeypatch):
    directory, config = run
    save, append_line, written = checkpoint.save, storage.append_line, []

    def slowly(*given):
        time.sleep(0.1)
        append_line(*given)

    def saved(path, state, config):
        written.append((state.iteration, len(storage.read_lines(directory.metrics))))
        return save(path, state, config)

    monkeypatch.setattr(storage, "append_line", slowly)
    monkeypatch.setattr(checkpoint, "save", saved)
    recording.train(directory, config, AT_EVERY_ITERATION)
    assert written == [(1, 1), (2, 2), (3, 3), (3, 3)]


def test_the_next_rollout_does_not_wait_for_the_line_and_the_events(run, monkeypatch):
    directory, config = run
    append_line, write, recorded, written = storage.append_line, Summaries.write, threading.Event(), []

    def line(path, text):
        assert recorded.wait(60)  # whoever waits for the line within `record` waits until this fails
        append_line(path, text)

    def events(self, *given):
        assert recorded.wait(60)
        write(self, *given)
        written.append(given)

    monkeypatch.setattr(storage, "append_line", line)
    monkeypatch.setattr(Summaries, "write", events)
    with Training(config) as training, Summaries(directory.train) as summaries, Progress(config.num_iterations) as progress:
        recorder = recording.Recorder(directory, config, Plan(frozenset(), 1e9, 0, False, 0), training, summaries, progress)
        for iteration in training:
            recorded.clear()
            recorder.record(iteration)
            recorded.set()
            recorder.keep(iteration.state)
            assert len(storage.read_lines(directory.metrics)) == len(written) == iteration.index + 1
        recorder.leave()


def test_the_last_line_is_there_however_late_the_helper_is(run, monkeypatch):
    directory, config = run
    save_iterate = checkpoint.save_iterate

    def slowly(*given):  # the line waits behind the film until the training has ended
        time.sleep(0.3)
        return save_iterate(*given)

    monkeypatch.setattr(checkpoint, "save_iterate", slowly)
    recording.train(directory, config, Plan(frozenset(), 1e9, 0, False, 0))
    assert directory.finished and len(storage.read_lines(directory.metrics)) == 3


@pytest.mark.parametrize("lost", [0, 1, 2])
@pytest.mark.parametrize("place", [(storage, "append_line"), (Summaries, "write")])
def test_a_line_or_an_event_that_cannot_be_written_ends_the_training(run, monkeypatch, place, lost):
    directory, config = run
    write, written = getattr(*place), []

    def full(*given):
        written.append(given)
        if len(written) == lost + 1:
            raise UserError("cannot write it: no space left on device.")
        write(*given)

    monkeypatch.setattr(*place, full)
    with pytest.raises(UserError, match="no space left"):
        recording.train(directory, config, AT_EVERY_ITERATION)
    assert not directory.finished and len(written) == lost + 1
    if lost:
        assert checkpoint.load(directory.checkpoints).state.iteration == lost


def test_what_only_the_final_evaluation_needs_is_not_imported_before_it():
    code = "import sys, launch.training.recording; print({'scipy.stats', 'xarray'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout == "set()\n"
