"""launch.gradients: from a saved policy to numbers, files and figures; killed and resumed; bad input refused."""

import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from launch import gradients
from launch.instruments.gradients.plan import Plan
from launch.shared.commandline import configuration
from launch.shared.plans import as_json
from tests import linear_quadratic as lq
from tests.launch.grounds import command, stored, trained
from tfpg.errors import UserError

TINY = ["--scale=smoke", "--sizes=64,256", "--reference_pairs=3200", "--estimates=4", "--step_sizes=640",
        "--step_reference_pairs=3200"]


def measure(*arguments):
    return command(gradients, *TINY, *map(str, arguments))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("run"), "trpo", lq.TASK)


@pytest.fixture(scope="module")
def measured(run, tmp_path_factory):
    """Both policies of a run, gradient alone for its speed. Returns: directory, output."""
    output = tmp_path_factory.mktemp("output")
    code, out, err = measure_gradients(output, run / "policies/000000", run / "policies/000002")
    assert code == 0, err
    return output / "gradients", out


def measure_gradients(output, *policies):
    few = [flag for flag in TINY if "step" not in flag]
    return command(gradients, *few, "--what=gradient", f"--output={output}", *(f"--policy={each}" for each in policies))


FIRST = f"trpo-{lq.TASK}-0-000000-smoke".replace(":", "-")


def test_results_numbers_and_figures_are_left(measured):
    directory, _ = measured
    for file in (f"{FIRST}/gradients.nc", f"{FIRST}/gradients.png", f"{FIRST}/numbers.txt", f"{FIRST}/plan.json",
                 "panels-gradients.png", "panels-noise-scale.png"):
        assert (directory / file).stat().st_size > 0, file
    assert list((directory / FIRST).glob("events*"))
    found = stored(directory / FIRST, "gradients")
    assert found["size"].values.tolist() == [64, 256]  # 256 pairs were trained on
    assert (found.attrs["scale"], found.attrs["seed"], found.attrs["iteration"]) == ("smoke", 0, 0)
    assert found.attrs["theta_sha256"] and found.attrs["tensorflow"]


def test_the_cost_is_announced_and_the_numbers_are_said(measured):
    _, out = measured
    assert " by the speed of the first look" in out
    assert "references of 3,200 pairs, 4 estimates each of 64, 256 pairs: 4,480" in out
    assert "passed over before small estimates, which begin at random places: 39,360" in out
    for words in ("at the training batch's 256 pairs two gradients have cosine", "gradient noise scale B",
                  "its halves have cosine", "cosine between the two truths", "stored in"):
        assert words in out
    assert "two gradients have cosine" in (measured[0] / FIRST / "numbers.txt").read_text()


def test_a_finished_measurement_is_read_and_said_again(measured, run):
    directory, _ = measured
    before = (directory / FIRST / "gradients.nc").stat().st_mtime_ns
    code, out, _ = measure_gradients(directory.parent, run / "policies/000000", run / "policies/000002")
    assert code == 0 and "finished before, read from gradients.nc" in out and "two gradients have cosine" in out
    assert (directory / FIRST / "gradients.nc").stat().st_mtime_ns == before


def test_parts_that_a_kill_left_give_the_same_bits(measured, run, tmp_path):
    directory, _ = measured
    again = shutil.copytree(directory / FIRST, tmp_path / "gradients" / FIRST)  # one policy alone: it lies where it lay beside others
    (again / "gradients.nc").unlink()
    for part in sorted((again / "parts").iterdir())[::3]:
        part.unlink()
    code, out, err = measure_gradients(tmp_path, run / "policies/000000")
    assert code == 0, err
    assert "begun before" in out
    assert stored(again, "gradients").identical(stored(directory / FIRST, "gradients"))


def test_other_settings_are_refused_in_the_same_directory(measured, run):
    code, _, err = command(gradients, *[flag for flag in TINY if "step" not in flag], "--what=gradient", "--seed=3",
                           f"--output={measured[0].parent}", f"--policy={run}/policies/000000", f"--policy={run}/policies/000002")
    assert code == 2 and "holds results of other settings (seed=0 there, 3 asked)" in err


def test_steps_that_do_not_fit_into_this_machine_are_refused_before_anything_is_played(run, tmp_path, monkeypatch):
    pages = 40_000_000 // os.sysconf("SC_PAGE_SIZE")
    real = os.sysconf
    monkeypatch.setattr(os, "sysconf", lambda name: pages if name == "SC_PHYS_PAGES" else real(name))
    code, _, err = command(gradients, "--scale=small", f"--output={tmp_path}", f"--policy={run}/policies/000000")
    assert code == 2 and err.count("\n") == 1
    assert "step_reference_pairs=320000 of" in err and "take what=gradient" in err
    assert not any(tmp_path.iterdir())


def test_a_dry_run_only_announces(run, tmp_path):
    code, out, _ = measure("--dry_run", f"--policy={run}/policies/000000", f"--output={tmp_path}")
    assert code == 0 and "about" in out and "two gradients" not in out
    assert not list(tmp_path.rglob("gradients.nc"))


@pytest.mark.long
def test_steps_are_measured_and_a_kill_changes_nothing(run, tmp_path):
    outputs = [tmp_path / "whole", tmp_path / "killed"]
    whole = subprocess.run(_command(run, outputs[0]), capture_output=True, text=True, check=False)
    assert whole.returncode == 0, whole.stderr
    killed = subprocess.Popen(_command(run, outputs[1]), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    parts = outputs[1] / "gradients" / FIRST / "parts"
    while not (parts.is_dir() and len(list(parts.iterdir())) >= 4):
        assert killed.poll() is None
        time.sleep(0.02)
    killed.kill()
    killed.wait()
    assert not list(outputs[1].rglob("gradients.nc"))
    again = subprocess.run(_command(run, outputs[1]), capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    found = [stored(output / "gradients" / FIRST, "gradients") for output in outputs]
    assert found[0].identical(found[1])
    assert np.isfinite(found[0]["cosine"].sel(kind="step", size=640))


def _command(run, output):
    return [sys.executable, "-m", "launch.gradients", *TINY, f"--policy={run}/policies/000000", f"--output={output}"]


P = "--policy={run}/policies/000000"
AT_ONCE = [
    ([], "which policy? --policy=DIR"),
    (["--policy={run}"], "{run} is a run, --policy takes one of its policies"),
    ([P, "--scale=smal"], "there is no scale=smal: did you mean small?"),
    ([P, "--what=gradients"], "there is no what=gradients: did you mean gradient?"),
    ([P, "--what=step,step"], "what=step,step must name"),
    ([P, "--sizes=640,200"], "sizes=640,200 must rise"),
    ([P, "--sizes=many"], "sizes=many is no list of whole numbers"),
    ([P, "--reference_pairs=1001"], "reference_pairs=1001 must be a multiple of 20"),
    ([P, "--estimates=2"], "estimates"),
    ([P, "--what=gradient", "--step_sizes=640"], "step_sizes has no effect on what=gradient: add step."),
    ([P, "--referencepairs=20"], "there is no flag --referencepairs: did you mean --reference_pairs?"),
]


@pytest.mark.parametrize(("arguments", "message"), AT_ONCE)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, message, run):
    code, out, err = command(gradients, *(argument.format(run=run) for argument in arguments))
    assert code == 2 and out == "" and err.count("\n") == 1
    assert message.format(run=run) in err


def test_sizes_that_the_reference_cannot_judge_are_left_out_and_said():
    scale = configuration("diagnostics").GRADIENTS["smoke"]._asdict()
    plan = Plan(scale="smoke", what=("gradient", "step"), seed=0, **{**scale, "sizes": (200, 5_000), "step_sizes": (200, 640)})
    assert plan.sizes_for(2_048) == (200, 640, 2_048)
    assert plan.step_sizes_for(2_048) == (640, 2_048)
    left = "; ".join(plan.dropped(2_048))
    assert "gradients of 5,000 pairs" in left and "steps of 200 pairs" in left
    assert plan.pairs(2_048) == {"reference": 20_480, "step reference": 10_240, "estimates": 28_880,
                                 "passed over": 10 * (4_900 + 4_680 + 3_976)}
    with pytest.raises(UserError, match="multiple of 20"):
        Plan(scale="smoke", what=("gradient",), seed=0, **{**scale, "reference_pairs": 30})


def test_a_training_batch_that_the_reference_cannot_judge_is_said_to_be_left_out():
    scale = configuration("diagnostics").GRADIENTS["smoke"]._asdict()
    plan = Plan(scale="smoke", what=("gradient", "step"), seed=0, **scale)
    assert 5_120 not in plan.sizes_for(5_120)
    gradients_, steps = plan.dropped(5_120)
    assert "gradients of 5,120 pairs, above a fifth of the reference's 20,480" in gradients_
    assert "steps of 5,120 pairs, above a fifth of their reference's 10,240" in steps
    assert plan.dropped(2_048) == ()


def test_a_step_has_at_least_two_pairs_for_each_of_the_runs_own_minibatches():
    scale = configuration("diagnostics").GRADIENTS["smoke"]._asdict()
    plan = Plan(scale="smoke", what=("gradient", "step"), seed=0, **scale)
    assert plan.step_sizes_for(2_048, 512) == (2_048,)  # 640 of 512 minibatches would be one pair in many
    assert plan.step_sizes_for(2_048, 320) == (640, 2_048)
    assert "or below 1024" in plan.dropped(2_048, 512)[0]
    with pytest.raises(UserError, match="none of at least 4096 is that small"):
        plan.check(2_048, 2_048)


def test_references_that_can_judge_nothing_are_refused():
    scale = configuration("diagnostics").GRADIENTS["smoke"]._asdict()
    with pytest.raises(UserError, match="none of at least 640 is that small"):
        Plan(scale="smoke", what=("step",), seed=0, **{**scale, "step_reference_pairs": 2_000}).check(2_048)
    with pytest.raises(UserError, match="reference_pairs=100 can judge"):
        Plan(scale="smoke", what=("gradient",), seed=0, **{**scale, "reference_pairs": 100}).check(2_048)
    Plan(scale="smoke", what=("gradient", "step"), seed=0, **scale).check(2_048)


def test_plans_are_json():
    scale = configuration("diagnostics").GRADIENTS["smoke"]._asdict()
    assert json.loads(json.dumps(as_json(Plan(scale="smoke", what=("gradient",), seed=0, **scale))))["sizes"] == [200, 640, 2048]
