"""launch.study end to end: a study runs, goes on, says what failed, and costs nothing when it is done."""

import json
import os
import time

import pytest
import xarray as xr

from launch import study
from tests.launch.grounds import PLAYED, TINY, command
from tfpg.diagnostics import results

STUDY = '''"""Two agents, two iterations."""
from tfpg.study import Agents, Look

STUDY = Agents(tasks=["CartPole-v1"], algorithms=["trpo"], seeds={seeds},
               settings={{"total_steps": 512, "rollout.num_steps": 256, "rollout.num_envs": 8, "value.minibatches": 4, "value.epochs": 2,
                          "runtime.xla": False}},
               looks=[Look("evaluate", iterations=[0], seeds=[0], flags={{"episodes": {episodes}}})])
'''


def run(directory, *, seeds="[0]", episodes=8, more=()):
    file = directory / "mine.py"
    file.write_text(STUDY.format(seeds=seeds, episodes=episodes))
    return command(study, str(file), f"--output={directory / 'study'}", *more)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    directory = tmp_path_factory.mktemp("study")
    code, out, err = run(directory)
    assert code == 0, out + err
    return directory, out


def test_a_study_trains_and_looks(done):
    directory, out = done
    assert "study mine: Two agents, two iterations." in out
    assert "2 of 2 jobs are done" in out
    assert (directory / "study/runs/trpo-CartPole-v1-0/diagnostics/evaluation-000000.nc").exists()


def test_asked_again_it_does_nothing_and_is_quick(done):
    directory, _ = done
    files = {path: path.stat().st_mtime_ns for path in (directory / "study").rglob("*") if path.is_file() and path.name != "lock"}
    began = time.monotonic()
    code, out, _ = run(directory)
    assert code == 0
    assert time.monotonic() - began < 20
    assert "2 jobs, 2 of them done before" in out
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_a_dry_run_says_what_is_left_and_begins_nothing(done):
    directory, _ = done
    code, out, _ = run(directory, seeds="[0, 1]", more=["--dry_run"])
    assert code == 0
    assert "left: 1 jobs, about 512 pairs" in out
    assert not (directory / "study/runs/trpo-CartPole-v1-1").exists()


def test_what_comes_first_changes_nothing_that_is_done_and_must_be_there(done):
    directory, _ = done
    code, out, _ = run(directory, more=["--first=evaluate.*"])
    assert code == 0
    assert "2 jobs, 2 of them done before" in out
    code, _, err = run(directory, more=["--first=evaluates.*"])
    assert code == 2
    assert "no job of the study is called evaluates.*" in err


def test_what_fails_is_named_with_its_reason_and_the_exit_code_says_so(tmp_path):
    occupied = tmp_path / "study/runs/trpo-CartPole-v1-0"
    occupied.mkdir(parents=True)
    (occupied / "letters.txt").write_text("not a run")
    code, out, _ = run(tmp_path)
    assert code == 1
    assert "failed: train.trpo-CartPole-v1-0, 2 attempts: launch.train: " in out
    assert "is not empty and no run directory" in out
    assert "not begun, for they need what failed: evaluate.trpo-CartPole-v1-0.000000" in out
    record = json.loads((tmp_path / "study/jobs/train.trpo-CartPole-v1-0.json").read_text())
    assert (record["state"], record["code"]) == ("failed", 2)


def test_a_study_that_another_process_runs_is_refused(tmp_path):
    import fcntl

    (tmp_path / "study").mkdir()
    with open(tmp_path / "study/lock", "w") as lock:
        lock.write(f"(pid {os.getpid()} on here)")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, _, err = run(tmp_path)
    assert code == 2
    assert "runs the study in" in err


def found(directory, surface):
    dataset = results.load(directory / f"{surface}.nc")
    return dataset.assign_attrs(policy="")  # where it lies


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_landscape_in_shares_equals_one_in_one_job_and_is_mended_when_a_result_is_cut(tmp_path):
    tiny = dict(flag.removeprefix("--").split("=") for flag in TINY if not flag.startswith("--scale"))
    file = tmp_path / "mine.py"
    text = STUDY.format(seeds="[0]", episodes=8).partition("looks=")[0]

    def run(shares, directory):
        file.write_text(f"{text}looks=[Look('landscape', iterations=[1], scale='smoke', shares={shares}, flags={tiny})])\n")
        return command(study, str(file), f"--output={tmp_path / directory}")

    for shares, directory in ((1, "one"), (3, "split")):
        code, out, err = run(shares, directory)
        assert code == 0, out + err
    assert "6 of 6 jobs are done" in out  # train, first, three shares, landscape
    landscape = "runs/trpo-CartPole-v1-0/diagnostics/landscapes/000001-smoke"
    one, split = (tmp_path / directory / landscape for directory in ("one", "split"))
    assert {path.name for path in (split / "shares").glob("*.json")} == {"first.json", *(f"{i}-of-3.json" for i in (1, 2, 3))}
    for name in PLAYED:
        xr.testing.assert_identical(found(one, name), found(split, name))
    code, out, _ = run(4, "split")  # shares of another number have nothing left to do
    assert code == 0 and "7 jobs, 7 of them done before" in out

    cut = split / "return.nc"
    content = cut.read_bytes()
    cut.write_bytes(content[:1000])
    code, out, _ = run(3, "split")
    assert f"once more: {cut} has 1,000 bytes where landscape.trpo-CartPole-v1-0.000001 left {len(content):,}" in out
    assert code == 1 and f"{cut} is damaged" in out and "remove it, and the same command makes it anew from what was played" in out
    cut.unlink()
    assert run(3, "split")[0] == 0
    xr.testing.assert_identical(found(one, "return"), found(split, "return"))


@pytest.mark.parametrize(("arguments", "sentence"), [
    ([], "which study?"),
    (["smok"], "did you mean smoke?"),
    (["smoke", "--slots=0"], "slots"),
    (["smoke", "hopper"], "stands alone"),
    (["--output", "somewhere", "smok"], "did you mean smoke?"),
    (["smoke", "--executor=ray", "--slots=3"], "slots has no effect with executor=ray"),
    (["smoke", "--address=auto"], "address has no effect with executor=local"),
])
def test_bad_input_is_one_sentence(arguments, sentence):
    code, _, err = command(study, *arguments)
    assert code == 2
    assert sentence in err
