"""python -m launch.train, as a user meets it: what a run leaves, how it goes on, what it refuses."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from launch import train
from launch.shared import commandline
from tests.launch.runs import QUICK, arrays, assert_equal_policies, assert_equal_runs, metrics, scalars
from tfpg import checkpoint, storage, training
from tfpg.diagnostics.trust_regions.heldout import Heldout
from tfpg.envs.guard import EnvironmentHangs
from tfpg.errors import RunError

PRESETS = ("trpo", "trpo_plus", "ppo", "ppo_m", "ppo_noclip", "ppo_bare")


def command(*arguments):
    return [sys.executable, "-m", "launch.train", *arguments]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small run to its end."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    assert train.main([*QUICK, f"--workdir={run}", "--snapshots=0,2"]) == 0
    return run


def interrupted(run, after, error=KeyboardInterrupt, arguments=()):
    """Runs until `after` iterations are recorded, then meets `error`; returns the exit code."""
    real = training.Training.__iter__

    def limited(self):
        for count, iteration in enumerate(real(self)):
            if count == after:
                raise error
            yield iteration

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.Training, "__iter__", limited)
        return train.main([*QUICK, f"--workdir={run}", "--snapshots=0,2", *arguments])


def assert_trained(run, preset, env_steps):
    rows = metrics(run)
    assert [row["iteration"] for row in rows] == list(range(len(env_steps)))
    assert [row["env_steps"] for row in rows] == env_steps
    assert all(np.isfinite(row["trust_region/train/mean_kl"]) for row in rows)
    if preset.startswith("trpo"):
        assert all(row["trust_region/train/mean_kl"] <= row["trust_region/bounds/mean_kl"] * (1 + 1e-5) for row in rows)
    assert tf.saved_model.contains_saved_model(str(run / f"policies/{len(rows) - 1:06}"))


@pytest.mark.parametrize("preset", ["trpo_plus", "ppo", "ppo_bare"])  # TRPO: `finished`
def test_three_small_iterations_of_presets_on_hopper(preset, tmp_path):
    few = ["--ppo.minibatches=4", "--ppo.epochs=2"] if preset.startswith("ppo") else []
    assert train.main([*QUICK, f"--algo={preset}", "--total_steps=768", f"--workdir={tmp_path / 'run'}", *few]) == 0
    assert_trained(tmp_path / "run", preset, [512, 768, 1024])


@pytest.mark.long
@pytest.mark.parametrize("preset", PRESETS)
def test_three_iterations_of_every_preset_on_hopper_as_it_is(preset, tmp_path):
    assert train.main([f"--algo={preset}", "--total_steps=6144", f"--workdir={tmp_path / 'run'}", "--snapshots=0",
                       "--final_episodes=4"]) == 0
    assert_trained(tmp_path / "run", preset, [4096, 6144, 8192])
    finished = json.loads((tmp_path / "run/finished.json").read_text())
    assert {"final/return", "final/stochastic_return", "final/greedy_return"} <= finished.keys()


def test_the_real_command_line_trains_and_is_quiet(tmp_path):
    run = tmp_path / "run"
    done = subprocess.run(command("--algo=ppo", "--total_steps=4096", "--final_episodes=4", f"--workdir={run}"), capture_output=True,
                          text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert "final return" in done.stdout
    finished = json.loads((run / "finished.json").read_text())
    assert {"final/return", "final/stochastic_return", "final/greedy_return"} <= finished.keys()
    assert str(run) in done.stdout
    # progress and nothing else: no greeting of TensorFlow, no warning
    noise = [line for line in done.stderr.splitlines() if line and not line.startswith(("iteration ", "ppo on Hopper-v5"))]
    assert noise == []


def test_a_finished_run_leaves_everything_the_instruments_need(finished):
    names = {str(path.relative_to(finished)) for path in finished.rglob("*")}
    assert {"config.json", "metrics.jsonl", "finished.json", "diagnostics/overview.png", "iterates/000000.npz",
            "iterates/000004.npz", "policies/000000/saved_model.pb", "policies/000002/metadata.json",
            "policies/000003/saved_model.pb", "checkpoints/000004.npz"} <= names
    assert storage.verify(finished) == []
    assert_trained(finished, "trpo", [512, 768, 1024, 1280])
    record = json.loads((finished / "config.json").read_text())
    assert record["settings"]["rollout.num_steps"] == 256
    assert {"command", "versions", "python", "processor", "created"} <= record.keys()


def test_the_film_holds_what_the_metrics_speak_of(finished):
    first, second = (checkpoint.load_iterate(finished / "iterates", k) for k in (0, 1))
    row = metrics(finished)[0]
    assert np.linalg.norm(second.theta - first.theta) == pytest.approx(row["policy/step_norm"], rel=1e-5)


def test_tensorboard_holds_the_same_numbers_as_the_metrics(finished):
    curves, rows = scalars(finished), metrics(finished)
    for tag in ("trust_region/train/mean_kl", "policy/entropy", "trpo/cg_residual"):
        assert [step for step, _ in curves[tag]] == [row["env_steps"] for row in rows]
        np.testing.assert_allclose([value for _, value in curves[tag]], [row[tag] for row in rows], rtol=1e-6)


def test_the_same_command_on_a_finished_run_says_so_and_changes_nothing(finished, capsys):
    before = arrays(finished)
    assert train.main([*QUICK, f"--workdir={finished}"]) == 0
    assert "finished" in capsys.readouterr().out
    assert arrays(finished).keys() == before.keys()


def test_a_run_interrupted_by_ctrl_c_goes_on_to_the_same_end(finished, tmp_path, capsys):
    run = tmp_path / "run"
    assert interrupted(run, after=2) == 130
    assert len(metrics(run)) == 2
    assert train.main([*QUICK, f"--workdir={run}", "--snapshots=0,2"]) == 0
    assert "going on from iteration 2" in capsys.readouterr().err
    assert_equal_runs(finished, run)
    assert_equal_policies(finished, run)


def test_what_was_written_after_the_checkpoint_is_taken_back(finished, tmp_path):
    # an error that nobody expects leaves no last checkpoint: the one of the clock is 10⁶ s away, so the run begins anew
    run = tmp_path / "run"
    with pytest.raises(ZeroDivisionError):
        interrupted(run, after=3, error=ZeroDivisionError, arguments=["--checkpoint_seconds=1e6"])
    assert len(metrics(run)) == 3
    assert train.main([*QUICK, f"--workdir={run}", "--snapshots=0,2"]) == 0
    assert_equal_runs(finished, run)


def test_a_run_that_cannot_go_on_keeps_its_last_good_state(tmp_path, capsys):
    run = tmp_path / "run"
    assert interrupted(run, after=2, error=RunError("iteration 2: a NaN.")) == 1
    assert "iteration 2: a NaN." in capsys.readouterr().err
    assert checkpoint.load(run / "checkpoints").state.iteration == 2


def test_a_fault_on_held_out_pairs_is_one_line_and_the_training_goes_on(finished, tmp_path, capsys, monkeypatch):
    measure = Heldout.measure

    def faulty(self, steps):
        if steps[0].iteration == 1:
            raise RunError("an environment died:\nno answer.")
        return measure(self, steps)

    monkeypatch.setattr(Heldout, "measure", faulty)
    assert train.main([*QUICK, f"--workdir={tmp_path / 'run'}", "--snapshots=0,2", "--heldout_every=1"]) == 0
    said, = [line for line in capsys.readouterr().err.splitlines() if "no held-out pairs at iteration 1" in line]
    assert "an environment died: no answer." in said
    assert_equal_runs(finished, tmp_path / "run", but="trust_region/heldout")
    assert ["trust_region/heldout/mean_kl" in row for row in metrics(tmp_path / "run")] == [True, False, True, True]


def test_a_task_that_hangs_on_held_out_pairs_ends_the_training(tmp_path, capsys, monkeypatch):
    """Its thread is one of TensorFlow's, which the next rollout would wait for."""
    def hanging(self, steps):
        raise EnvironmentHangs("environment 0 has not answered for 1 s.")

    ended = []
    monkeypatch.setattr(Heldout, "measure", hanging)
    monkeypatch.setattr(commandline.os, "_exit", ended.append)
    assert train.main([*QUICK, f"--workdir={tmp_path / 'run'}", "--heldout_every=1"]) == 1
    assert ended == [1] and "environment 0 has not answered for 1 s." in capsys.readouterr().err


def test_a_run_whose_words_cannot_be_written_is_finished_all_the_same(finished, tmp_path, monkeypatch):
    streams = [open("/dev/full", "w") for _ in range(2)]  # noqa: SIM115  # closing one is refused as well
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    assert train.main([*QUICK, f"--workdir={tmp_path / 'run'}", "--snapshots=0,2"]) == 0
    for stream in streams:
        with contextlib.suppress(OSError):
            stream.close()
    assert (tmp_path / "run" / "finished.json").exists()
    assert_equal_runs(finished, tmp_path / "run")


def test_ctrl_c_on_held_out_pairs_stops_the_training(tmp_path, monkeypatch):
    def stopped(self, steps):
        raise KeyboardInterrupt

    monkeypatch.setattr(Heldout, "measure", stopped)
    assert train.main([*QUICK, f"--workdir={tmp_path / 'run'}", "--heldout_every=1"]) == 130


def test_another_configuration_in_the_same_workdir_is_refused_with_the_difference(finished, capsys):
    assert train.main([*QUICK, f"--workdir={finished}", "--trpo.delta=0.2"]) == 2
    assert "trpo.delta: 0.13 → 0.2" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "sentence"), [
    (["--algo=trop"], "there is no preset algo=trop: did you mean trpo?"),
    (["--env=Hoper-v5"], "did you mean Hopper-v5?"),
    (["--env=Hopper-v3"], "Hopper-v"),
    (["--env=FrozenLake-v1"], "observation"),
    (["--trpo.detla=1"], "did you mean --trpo.delta?"),
    (["--trpo.delta=-1"], "trpo.delta=-1.0 is out of range"),
    (["--trpo.delta=much"], "trpo.delta=much is not a number"),
    (["--code_level.reward_clip=5"], "code_level.reward_clip has no effect without code_level.reward_scaling"),
    (["--algo=ppo", "--ppo.value_coefficient=1"], "ppo.value_coefficient has no effect without ppo.shared_weights"),
    (["--algo=ppo", "--ppo.shared_weights", "--value.target=returns"], "value.target=returns does not apply"),
    (["--algo=ppo", "--ppo.minibatches=256"], "ppo.minibatches=256 leaves one pair a minibatch"),
    (["--ppo.epochs=3"], "ppo.epochs does not apply to trpo"),
    (["--rollout.num_steps=500"], "not a multiple of rollout.num_envs=8"),
    (["--snapshots=0,9"], "the run has iterations 0 to 3"),
    (["--snapshots=first"], "is not a list of iterations"),
    (["--checkpoint_seconds=-1"], "checkpoint_seconds"),
    (["--env_args={\"no_such\": 1}"], "no_such"),
    (["--env=no_such_module:Task-v0"], "no_such_module"),
    (["stray"], "stands alone"),
])
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, sentence, tmp_path, capsys):
    assert train.main([*QUICK, f"--workdir={tmp_path / 'run'}", *arguments]) == 2
    message = capsys.readouterr().err.strip()
    assert sentence in message
    assert "Traceback" not in message
    assert len(message.splitlines()) == 1


def test_a_mistyped_task_leaves_no_directory_that_refuses_the_right_one(tmp_path):
    run = tmp_path / "run"
    assert train.main([*QUICK, f"--workdir={run}", "--env=Hoper-v5"]) == 2
    assert not run.exists()


def test_a_directory_that_cannot_be_written_is_refused(tmp_path, capsys):
    (tmp_path / "file").write_text("not a directory")
    assert train.main([*QUICK, f"--workdir={tmp_path / 'file' / 'run'}"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_help_names_every_flag_with_its_default(capsys):
    assert train.main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in ("--algo", "--snapshots", "--checkpoint_seconds", "--trpo.delta", "--code_level.value_clip", "--ppo.epochs"):
        assert name in text


def test_presets_are_those_the_documentation_names():
    assert set(commandline.presets()) == set(PRESETS)


@pytest.mark.long
def test_a_hanging_environment_is_named_and_the_process_ends(tmp_path):
    # the fourth step sleeps, patience is one second: a sentence, exit code 1, and no waiting for the lost thread
    done = subprocess.run(
        command(*QUICK, "--env=tests.envs.registered:TfpgBroken-v0", '--env_args={"how": "hang"}', "--rollout.patience=1",
                f"--workdir={tmp_path / 'run'}"), capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1
    assert "warm-up batch: environment 0 of tests.envs.registered:TfpgBroken-v0 has not answered for 1 s" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("preset", ["trpo", "ppo"])
def test_runs_killed_at_random_moments_end_bit_identical_to_an_uninterrupted_one(preset, tmp_path):
    arguments = [f"--algo={preset}", "--total_steps=61440", "--snapshots=0,7,20", "--checkpoint_seconds=0.5"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    begin = time.monotonic()
    subprocess.run(command(*arguments, f"--workdir={whole}"), check=True, capture_output=True, timeout=400)
    took = time.monotonic() - begin
    draw = random.Random(preset)
    kills = 0
    for _ in range(40):
        process = subprocess.Popen(command(*arguments, f"--workdir={killed}"), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        # Some moments lie in imports, most in training and in writing, on a fast machine and on a slow one. A run that goes on
        # has its start-up and less to do, so it comes to its end among the later ones.
        deadline = time.monotonic() + took * draw.uniform(0.1, 0.95 if kills < 3 else 1.5)
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        if process.poll() is not None:
            assert process.returncode == 0
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
    else:
        pytest.fail("the killed run never ended")
    assert kills > 0
    assert_equal_runs(whole, killed)
    assert_equal_policies(whole, killed)
    assert storage.verify(killed) == []
