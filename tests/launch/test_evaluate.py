"""The command: numbers, file and film, or one sentence and an exit code."""

import os
import re
import subprocess
import sys
import time

import pytest

from launch import evaluate
from tests.diagnostics import handmade
from tfpg import storage
from tfpg.config import Ppo
from tfpg.diagnostics import results
from tfpg.envs import render
from tfpg.errors import RunError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run directory with one policy."""
    run = tmp_path_factory.mktemp("run")
    storage.write_json(run / "config.json", {})
    handmade.Made(handmade.config("CartPole-v1", algorithm=Ppo(minibatches=2))).save(run / "policies" / "000007")
    (run / "iterates").mkdir()
    for file in ("iterates/000007.npz", "model.zip"):
        (run / file).touch()
    return run


def test_it_prints_both_forms_and_stores_them_with_the_run(run, capsys):
    assert evaluate.main([f"--policy={run}/policies/000007", "--episodes=9", "--seed=2"]) == 0
    out = capsys.readouterr().out
    for form in ("greedy", "stochastic"):
        assert re.search(rf"^{form} +[\d.]+ ± [\d.]+ +[\d.]+ … [\d.]+ .* 9$", out, re.MULTILINE), out
    assert "few episodes" in out and "steps/s" in out
    stored = run / "diagnostics" / "evaluation-000007.nc"
    assert str(stored) in out
    data = results.load(stored)
    assert data.sizes == {"policy": 2, "episode": 9} and data.attrs["iteration"] == 7
    assert f"{float(data['mean_return'][0]):.1f} ±" in out


def test_the_real_command_line_evaluates_and_is_quiet(run, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "launch.evaluate", f"--policy={run}/policies/000007", "--episodes=3", f"--output={tmp_path}"],
        capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "stochastic" in done.stdout and (tmp_path / "evaluation-000007.nc").exists()


def test_output_and_the_directory_of_a_policy_elsewhere(run, tmp_path, monkeypatch):
    policy = f"--policy={run}/policies/000007"
    assert evaluate.main([policy, "--episodes=2", f"--output={tmp_path}/o"]) == 0
    assert (tmp_path / "o" / "evaluation-000007.nc").exists()
    (tmp_path / "alone").symlink_to(run / "policies" / "000007")
    monkeypatch.chdir(tmp_path)
    assert evaluate.main(["--policy=alone", "--episodes=2"]) == 0
    assert (tmp_path / "evaluation-000007.nc").exists()


def test_a_film_that_cannot_be_made_leaves_the_numbers(run, tmp_path, monkeypatch, capsys):
    def broken(recording, path):
        raise RunError("no video: for a test.")

    monkeypatch.setattr(render, "make_video", broken)
    code = evaluate.main([f"--policy={run}/policies/000007", "--episodes=2", f"--output={tmp_path}", f"--video={tmp_path}/v.mp4"])
    captured = capsys.readouterr()
    assert code == 1 and captured.err == "launch.evaluate: no video: for a test.\n"
    assert "greedy" in captured.out and (tmp_path / "evaluation-000007.nc").exists()


def test_the_film_is_cut_where_the_episodes_are(run, tmp_path, monkeypatch):
    lengths = []
    monkeypatch.setattr(render, "make_video", lambda recording, path: lengths.append(len(recording.actions)))
    assert evaluate.main([f"--policy={run}/policies/000007", "--episodes=2", "--max_steps=3", f"--output={tmp_path}",
                          f"--video={tmp_path}/v.mp4"]) == 0
    assert lengths == [3]  # CartPole's pole stands longer, whatever is done


@pytest.mark.parametrize(("arguments", "words"), [
    ([], "which policy?"),
    (["--policy={run}"], "choose one of 000007"),
    (["--policy={run}/absent"], "there is no directory"),
    (["--policy={run}/diagnostics_"], "there is no directory"),
    (["--policy={run}/policies"], "is no SavedModel but holds such: choose one of "),
    (["--policy={run}/config.json"], "config.json is a file, --policy takes the directory of a SavedModel, or a .keras file.\n"),
    (["--policy={run}/policies/000007/saved_model.pb"], "a .keras file: {run}/policies/000007 is one.\n"),
    (["--policy={run}/iterates/000007.npz"], "a .keras file: choose one of 000007 in {run}/policies.\n"),
    (["--policy={run}/model.zip"], "a .keras file: python -m launch.import_policy makes one of what Stable-Baselines3 saved.\n"),
    (["--policy={run}/policies/000007", "--video=film.txt"], "must end in one of"),
    (["--policy={run}/policies/000007", "--episodes=0"], "episodes"),
    (["--policy={run}/policies/000007", "--episode=3"], "--episodes"),
    (["--policy={run}/policies/000007", "--seed=-1"], "seed"),
])
def test_bad_input_is_one_sentence_and_exit_code_2(run, capsys, arguments, words):
    assert evaluate.main([argument.format(run=run) for argument in arguments]) == 2
    err = capsys.readouterr().err
    assert words.format(run=run) in err and err.count("\n") == 1


def test_damage_is_named_with_exit_code_2(run, tmp_path, capsys):
    import shutil

    shutil.copytree(run / "policies" / "000007", tmp_path / "p")
    data = bytearray((tmp_path / "p" / "variables" / "variables.data-00000-of-00001").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "p" / "variables" / "variables.data-00000-of-00001").write_bytes(data)
    assert evaluate.main([f"--policy={tmp_path}/p"]) == 2
    assert "variables.data-00000-of-00001 is damaged" in capsys.readouterr().err


def test_help_is_answered_without_tensorflow():
    code = ("import sys; from launch import evaluate; code = evaluate.main(['--help']); "
            "sys.exit(code or 'tensorflow' in sys.modules)")
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    assert "--policy" in done.stdout and time.monotonic() - began < 10
