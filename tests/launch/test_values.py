"""The command as a user meets it: what a study leaves and says, how it goes on, what it refuses before TensorFlow starts."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import xarray as xr
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from launch import train
from launch import values as launcher
from launch.instruments.values import measuring as valuing
from tests.launch.grounds import command, stored, trained
from tests.launch.runs import QUICK
from tests.test_architecture import ROOT
from tfpg.diagnostics import pools, returns
from tfpg.diagnostics.values import baselines, fit_pools, predictions
from tfpg.diagnostics.values import study as value_study

TINY = ["--scale=smoke", "--repeats=2", "--fit_pairs=600", "--check_pairs=300", "--sizes=20,60", "--estimates=3",
        "--reference_pairs=300"]


@pytest.fixture(scope="module")
def ppo(tmp_path_factory):
    """Discrete actions, returns of a few dozen steps."""
    return trained(tmp_path_factory.mktemp("runs") / "ppo", "ppo", "CartPole-v1")


def study(*arguments):
    """Exit code, standard output and standard error of one command."""
    return command(launcher, *TINY, *map(str, arguments))


@pytest.fixture(scope="module")
def whole(ppo, tmp_path_factory):
    """Both policies of a run, uninterrupted: directory of the results, what was printed, what was reported on the way."""
    output = tmp_path_factory.mktemp("studies")
    code, out, err = study(f"--policy={ppo}/policies/000000", f"--policy={ppo}/policies/000002", f"--output={output}")
    assert code == 0, err
    return output / "values", out, err


# What it leaves and says


def test_every_policy_leaves_numbers_and_a_figure_and_the_run_a_figure_by_iteration(whole):
    directory, _, _ = whole
    names = {path.name for path in directory.iterdir() if not path.name.startswith("events")}
    assert names == {"ppo-CartPole-v1-0-000000-smoke", "ppo-CartPole-v1-0-000002-smoke", "by-iteration.png", "by-iteration.txt"}
    for each in ("ppo-CartPole-v1-0-000000-smoke", "ppo-CartPole-v1-0-000002-smoke"):
        names = {path.name for path in (directory / each).iterdir() if not path.name.startswith("events")}
        assert names == {"values.nc", "values.png", "numbers.txt", "plan.json", "pilot.json", "parts", "lock"}
        assert set(EventAccumulator(str(directory / each)).Reload().Tags()["images"]) == {"values/values"}
    assert set(EventAccumulator(str(directory)).Reload().Tags()["images"]) == {"values/by-iteration"}


def test_the_result_is_labelled_and_says_what_it_was_measured_on(whole, ppo):
    found = stored(whole[0] / "ppo-CartPole-v1-0-000002-smoke", "values")
    assert dict(found.sizes) == {"judged": 5, "target": 2, "net": 3, "epoch": found.sizes["epoch"], "form": 2, "baseline": 3,
                                 "ratio": 3, "size": 2}
    attrs = found.attrs
    assert (attrs["instrument"], attrs["task"], attrs["preset"], attrs["iteration"]) == ("values", "CartPole-v1", "ppo", 2)
    assert attrs["policy"] == f"{ppo}/policies/000002" and attrs["scale"] == "smoke" and len(attrs["phi_true_sha256"]) == 64
    for name in ("mre", "explained_variance", "bias", "mre_excess", "variance", "cosine", "cosine_reference", "noise_scale",
                 "variance_ratio", "check_explained_variance"):
        assert {f"{name}{suffix}" for suffix in ("", "_stderr", "_low", "_high", "_count")} <= set(found), name
    assert (found["mre_low"] <= found["mre"]).all() and (found["mre"] <= found["mre_high"]).all()


def test_the_cost_is_announced_before_it_is_played(whole):
    _, out, err = whole
    head, _, report = out.partition("\n\n")
    for words in ("first look: return ", "pool of V*      600", "V* checked      300", "predictions   1,024",
                  "gradients    30,300", "V*'s pool takes 0 MB of memory", "about 64,448 pairs, "):
        assert words in head
    for words in ("95 % intervals in brackets", "V* / none", "all policies: by-iteration.txt, by-iteration.png"):
        assert words in report
    assert "0 %, " in err and "100 %" in err


def test_the_numbers_printed_are_those_stored(whole):
    text = (whole[0] / "ppo-CartPole-v1-0-000002-smoke" / "numbers.txt").read_text()
    found = stored(whole[0] / "ppo-CartPole-v1-0-000002-smoke", "values").sel(judged="heldout", target="returns")
    line = next(line for line in text.splitlines() if line.startswith("  V, held-out"))
    assert f"{float(found['mre']):.3f} [{float(found['mre_low']):.3f}, {float(found['mre_high']):.3f}]" in line
    assert text.strip() in whole[1]


def test_no_printed_line_is_wider_than_120_but_paths(whole):
    for line in whole[1].splitlines():
        assert len(line) <= 120 or "/" in line, line


# The same directory again


def never(*_, **__):
    raise AssertionError("this should not have been done again")


def test_the_same_command_again_plays_nothing_and_prints_the_same_numbers(whole, ppo, monkeypatch):
    directory, out, _ = whole
    for module, name in ((returns, "pilot"), (value_study, "measure"), (pools, "Stream")):
        monkeypatch.setattr(module, name, never)
    before = (directory / "ppo-CartPole-v1-0-000002-smoke" / "values.nc").read_bytes()
    code, again, err = study(*(f"--policy={ppo}/policies/{k}" for k in ("000000", "000002")), f"--output={directory.parent}")
    assert (code, err) == (0, "")
    assert again.count("finished before, read from values.nc") == 2
    assert again.partition("\n\n")[2] == out.partition("\n\n")[2]
    assert (directory / "ppo-CartPole-v1-0-000002-smoke" / "values.nc").read_bytes() == before


def interrupted(monkeypatch, count):
    """Ctrl-C after so many parts of a study."""
    plain, calls = value_study.measure, []

    def measure(*arguments, progress, **named):
        def report(*what):
            progress(*what)
            calls.append(what)
            if len(calls) == count:
                raise KeyboardInterrupt

        return plain(*arguments, progress=report, **named)

    monkeypatch.setattr(valuing.value_study, "measure", measure)


def test_a_study_that_was_stopped_goes_on_and_ends_in_the_same_bits(whole, ppo, tmp_path, monkeypatch):
    policy = f"--policy={ppo}/policies/000002"
    for count in (3, 6, 4):
        with monkeypatch.context() as patch:
            interrupted(patch, count)
            code, _, err = study(policy, f"--output={tmp_path}")
            assert code == 130 and "the same command goes on" in err
    code, out, err = study(policy, f"--output={tmp_path}")
    assert code == 0, err
    assert "begun before: what is done is read, not done again" in out
    found = stored(tmp_path / "values" / "ppo-CartPole-v1-0-000002-smoke", "values")
    xr.testing.assert_identical(found, stored(whole[0] / "ppo-CartPole-v1-0-000002-smoke", "values"))


@pytest.mark.long
def test_killed_again_and_again_it_ends_in_the_same_bits(whole, ppo, tmp_path):
    arguments = [sys.executable, "-m", "launch.values", *TINY, f"--policy={ppo}/policies/000002", f"--output={tmp_path}"]
    result = tmp_path / "values" / "ppo-CartPole-v1-0-000002-smoke" / "values.nc"
    for extra in range(3, 30, 3):  # seconds of the start, then a little more each time
        process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(6 + extra)
        if process.poll() is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    else:
        subprocess.run(arguments, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=280)
    assert result.exists()
    xr.testing.assert_identical(stored(result.parent, "values"), stored(whole[0] / "ppo-CartPole-v1-0-000002-smoke", "values"))


def test_another_plan_in_the_same_directory_is_refused_with_the_difference(whole, ppo):
    code, out, err = study(f"--policy={ppo}/policies/000002", f"--output={whole[0].parent}", "--seed=1", "--estimates=4")
    assert (code, out) == (2, "")
    assert "holds results of other settings (estimates=3 there, 4 asked; seed=0 there, 1 asked)" in err and err.count("\n") == 1


def test_a_dry_run_says_what_it_would_cost_and_nothing_more(ppo, tmp_path, monkeypatch):
    monkeypatch.setattr(value_study, "measure", never)
    code, out, _ = study(f"--policy={ppo}/policies/000002", f"--output={tmp_path}", "--dry_run")
    assert code == 0 and "about 32,224 pairs" in out
    assert {path.name for path in (tmp_path / "values" / "ppo-CartPole-v1-0-000002-smoke").iterdir()} == {"lock", "pilot.json"}


# Other runs


def test_the_default_directory_is_the_runs_own(ppo):
    code, _, err = study(f"--policy={ppo}/policies/000000", "--dry_run")
    assert code == 0, err
    assert (ppo / "diagnostics" / "values" / "000000-smoke" / "pilot.json").exists()


def test_policies_of_two_runs_with_one_iteration_stand_apart(ppo, tmp_path_factory, monkeypatch):
    other = trained(tmp_path_factory.mktemp("runs") / "trpo", "trpo", "CartPole-v1")
    output = tmp_path_factory.mktemp("studies")
    code, _, err = study(*(f"--policy={run}/policies/000002" for run in (ppo, other)), f"--output={output}", "--dry_run")
    assert code == 0, err
    names = {path.name for path in (output / "values").iterdir()}
    assert names == {"ppo-CartPole-v1-0-000002-smoke", "trpo-CartPole-v1-0-000002-smoke"}


@pytest.mark.parametrize("extra", [
    pytest.param(["--ppo.shared_weights=true"], marks=pytest.mark.long), ["--value.target=returns", "--value.minibatches=4"]])
def test_shared_weights_and_returns_as_targets_can_be_studied(extra, tmp_path):
    run, quick = tmp_path / "run", [each for each in QUICK if not each.startswith("--value.")]
    code, _, err = command(train, *quick, "--algo=ppo", "--env=CartPole-v1", "--total_steps=512", "--ppo.minibatches=4",
                           "--ppo.epochs=2", "--snapshots=1", f"--workdir={run}", *extra)
    assert code == 0, err
    code, _, err = study(f"--policy={run}/policies/000001", f"--output={tmp_path}")
    assert code == 0, err
    assert np.isfinite(stored(tmp_path / "values" / "ppo-CartPole-v1-0-000001-smoke", "values")["mre"]).all()


# What is refused


@pytest.mark.parametrize(("arguments", "sentence"), [
    ([], "which policy? --policy=DIR names the directory of a SavedModel"),
    (["--policy=/nowhere"], "there is no directory /nowhere"),
    (["--policy={ppo}"], "is a run, --policy takes one of its policies"),
    (["--policy={ppo}/policies/000002", "--scale=smal"], "there is no scale=smal: did you mean small?"),
    (["--policy={ppo}/policies/000002", "--sizes=60,20"], "sizes=60,20 must rise"),
    (["--policy={ppo}/policies/000002", "--sizes=1,20"], "sizes=1,20: one pair alone has no spread to normalise by"),
    (["--policy={ppo}/policies/000002", "--reference_pairs=100"],
     "reference_pairs=100 is too few for sizes up to 60: give at least 300, or smaller sizes."),
    (["--policy={ppo}/policies/000002", "--estimates=2"], "estimates"),
    (["--policy={ppo}/policies/000002", "--estimate=4"], "there is no flag --estimate: did you mean --estimates?"),
    (["--policy={ppo}/policies/000002", "--policy={ppo}/policies/000002"], "is given twice"),
])
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, sentence, ppo):
    code, out, err = study(*(argument.format(ppo=ppo) for argument in arguments))
    assert (code, out) == (2, "") and err.startswith("launch.values: ") and err.count("\n") == 1
    assert sentence in err


def test_help_and_bad_input_come_before_tensorflow():
    code = ("import sys; from launch import values; a = values.main(['--help']); b = values.main(['--policy=/nowhere']); "
            "print(a, b, 'tensorflow' in sys.modules)")
    printed = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True, stderr=subprocess.DEVNULL, timeout=60)
    assert printed.endswith("0 2 False\n") and "--reference_pairs=" in printed and "smoke 4 | small 16 | paper 64" in printed


def test_too_large_a_pool_is_refused_before_anything_is_played(ppo, tmp_path, monkeypatch):
    monkeypatch.setattr(returns, "pilot", never)
    code, _, err = study(f"--policy={ppo}/policies/000002", f"--output={tmp_path}", "--fit_pairs=1e9")
    assert code == 2 and re.search(r"fit_pairs=1000000000 of CartPole-v1 would take \d+\.\d GB: at most", err)


def test_a_damaged_result_is_named(whole, ppo, tmp_path):
    shutil.copytree(whole[0] / "ppo-CartPole-v1-0-000002-smoke", tmp_path / "values" / "ppo-CartPole-v1-0-000002-smoke")
    (tmp_path / "values" / "ppo-CartPole-v1-0-000002-smoke" / "values.nc").write_bytes(b"no result")
    code, _, err = study(f"--policy={ppo}/policies/000002", f"--output={tmp_path}")
    assert code == 2 and "values.nc is damaged" in err and "remove it, and the same command makes it anew from what was played" in err


def test_parts_are_keyed_by_what_their_bits_depend_on(whole):
    plan = json.loads((whole[0] / "ppo-CartPole-v1-0-000002-smoke" / "plan.json").read_text())
    assert plan["sizes"] == [20, 60] and plan["seed"] == 0
    kept = len(list((whole[0] / "ppo-CartPole-v1-0-000002-smoke" / "parts").iterdir()))
    epochs = stored(whole[0] / "ppo-CartPole-v1-0-000002-smoke", "values").sizes["epoch"]
    # every epoch and the fit, one block that V* is checked on, 2 repeats, 3 estimates, 2 halves of the reference
    assert kept == epochs + 1 + 1 + 2 + 3 + 2
    assert {fit_pools.STREAM, value_study.CHECK_STREAM, predictions.TRAIN_STREAM, predictions.HELDOUT_STREAM, baselines.STREAM,
            baselines.REFERENCE_STREAM} == {10, 11, 12, 13, 14, 15}
