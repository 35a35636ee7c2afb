"""launch.steps: from a run's film to a stored result; the same bits after a kill; bad input is one sentence."""

import shutil

import numpy as np
import pytest

from launch import steps
from launch.instruments.steps import numbers as stepnumbers
from tests.launch.grounds import command, trained
from tfpg.diagnostics import results

QUICK = ["--scale=smoke", "--iterations=0,2", "--count=2", "--spread=2", "--episodes=4"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("steps") / "run", "trpo", "CartPole-v1")


@pytest.fixture(scope="module")
def looked(run):
    code, out, err = command(steps, f"--run={run}", *QUICK)
    assert code == 0, err
    return run / "diagnostics/steps/smoke", out


def test_a_look_says_its_cost_and_what_it_finds_and_stores_its_numbers(looked):
    directory, out = looked
    found = results.load(directory / "steps.nc")
    assert found["iteration"].values.tolist() == [[0, 1], [1, 2]]
    assert (found.attrs["instrument"], found.attrs["preset"], found.attrs["task"], found.attrs["scale"]) == ("steps", "trpo", "CartPole-v1", "smoke")
    assert int(found["pairs"].sum()) == int((found["mean_length"] * 4).sum())  # CartPole: an episode's return is its length
    np.testing.assert_array_equal(found["mean_length"], found["mean_return"])
    before, after = out.split("100 %")[0], (directory / "numbers.txt").read_text()
    assert "finds" in before and "margin ±" in before and "few episodes" in before and "few updates" in before
    assert "learning curve" in after and out.strip().endswith("the figure also for TensorBoard")
    assert (directory / "steps.png").exists()


def test_the_same_command_reads_what_is_there(run, looked):
    directory, _ = looked
    before = (directory / "steps.nc").read_bytes()
    code, out, _ = command(steps, f"--run={run}", *QUICK)
    assert code == 0 and "finished before, read from" in out
    assert (directory / "steps.nc").read_bytes() == before


def test_a_kill_on_the_way_changes_no_number(run, looked, tmp_path):
    directory, _ = looked
    copied = shutil.copytree(directory, tmp_path / "again")
    (copied / "steps.nc").unlink()
    for part in sorted((copied / "parts").iterdir())[::2]:
        part.unlink()
    code, _, err = command(steps, f"--run={run}", *QUICK, f"--output={copied}")
    assert code == 0, err
    assert results.load(copied / "steps.nc").identical(results.load(directory / "steps.nc"))


def test_other_settings_go_elsewhere(run, looked):
    code, _, err = command(steps, f"--run={run}", *QUICK, "--seed=1")
    assert code == 2 and "holds results of other settings (seed=0 there, 1 asked)" in err


def test_a_dry_run_plays_a_first_look_only(run, tmp_path):
    code, out, _ = command(steps, f"--run={run}", *QUICK, f"--output={tmp_path / 'x'}", "--dry_run")
    assert code == 0 and "for the margin" in out
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == ["lock", "parts"]


@pytest.mark.parametrize(("arguments", "sentence"), [
    ([], "which run?"), (["--run=nowhere"], "there is no directory"), (["{run}", "--iterations=0,9"], "shows the updates of iterations 0 to 2, not of 9"),
    (["{run}", "--iterations=x"], "is no list of whole numbers"), (["{run}", "--count=9", "--spread=3"], "cannot be drawn from a window of spread=3"),
    (["{run}", "{run}"], "given twice"), (["{run}", "--scale=smal"], "did you mean small")])
def test_bad_input_is_one_sentence(run, arguments, sentence):
    code, _, err = command(steps, *(each.replace("{run}", f"--run={run}") for each in arguments))
    assert code == 2
    assert sentence in err


def test_a_run_that_is_not_finished_has_no_margin(run, tmp_path):
    copied = shutil.copytree(run, tmp_path / "run")
    (copied / "finished.json").unlink()
    code, _, err = command(steps, f"--run={copied}", *QUICK)
    assert code == 2 and "is not finished: the margin is a share of its final return" in err


@pytest.mark.parametrize(("low", "high", "word"), [
    (3, 9, "raises"), (-9, -3, "lowers"), (-1, 1, "neither"), (-9, 1, "does not raise"), (-1, 9, "does not lower"), (-9, 9, "undecided"),
    (float("nan"), float("nan"), "undecided")])
def test_an_interval_is_said_against_the_margin(low, high, word):
    assert stepnumbers.said(low, high, 2.5) == word
