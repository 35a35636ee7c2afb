"""Is a survey that several processes play together the survey that one plays alone?"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from launch.shared import pictures
from tests.launch.grounds import PLAYED, TINY, assert_equal_surveys, stored, survey, trained
from tfpg import storage
from tfpg.diagnostics import pools, returns


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Discrete actions: the run of an algorithm that clips."""
    return trained(tmp_path_factory.mktemp("runs") / "ppo", "ppo", "CartPole-v1")


@pytest.fixture(scope="module")
def asked(run):
    """Every surface, the film included; units of one point, so that there is something to share."""
    return [f"--policy={run}/policies/000002", f"--to={run}/iterates/000003.npz"]


@pytest.fixture(scope="module", autouse=True)
def small_units():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(returns, "SLOTS", 4 * returns.NUM_ENVS)  # four points a unit
        patch.setattr(pictures, "draw", lambda *_: None)  # figures take most of a small survey's seconds
        yield


@pytest.fixture(scope="module")
def whole(asked, tmp_path_factory):
    """Played by one process."""
    directory = tmp_path_factory.mktemp("whole")
    code, _, err = survey(*asked, f"--output={directory}")
    assert code == 0, err
    return directory


def shared(asked, directory, share):
    code, out, err = survey(*asked, f"--output={directory}", f"--share={share}")
    assert code == 0, err
    return out


def never(*_, **__):
    raise AssertionError("this should not have been played again")


@pytest.fixture(scope="module")
def split(asked, tmp_path_factory):
    """Played in three shares, not joined."""
    directory = tmp_path_factory.mktemp("split")
    said = {share: shared(asked, directory, share) for share in ("3/3", "1/3", "2/3")}
    return directory, said


def test_after_all_shares_the_joining_command_plays_nothing_and_finds_what_one_process_finds(split, asked, whole, tmp_path, monkeypatch):
    directory = tmp_path / "copy"
    shutil.copytree(split[0], directory)
    assert not list(directory.glob("*.nc"))
    monkeypatch.setattr(returns, "_Player", never)
    monkeypatch.setattr(returns, "pilot", never)
    code, _, err = survey(*asked, f"--output={directory}")
    assert code == 0, err
    assert_equal_surveys(whole, directory, (*PLAYED, "film"))
    assert {path.name for path in (whole / "parts").iterdir()} == {path.name for path in (directory / "parts").iterdir()}


def test_every_share_says_what_it_played_and_leaves_a_record(split):
    directory, said = split
    records = {share: json.loads((directory / f"shares/{share}-of-3.json").read_text()) for share in (1, 2, 3)}
    units = [record["units"] for record in records.values()]
    assert max(units) - min(units) <= 1 and sum(units) == len(list((directory / "parts").iterdir())) - 2  # a step, the updates
    for share, record in records.items():
        assert record["played"] == record["units"] and record["pairs"] > 0
        assert f"share {share} of 3: {record['units']:,} units, {record['units']:,} of them played now" in said[f"{share}/3"]
    assert json.loads((directory / "shares/first.json").read_text())["surfaces"] == [*PLAYED, "film"]


def test_another_number_of_shares_plays_nothing_twice_and_makes_nothing_again(split, asked, monkeypatch):
    for name in ("draw", "draw_many"):  # pools, of a recomputed step and of updates
        monkeypatch.setattr(pools, name, never)
    for name in ("pilot", "_Player"):
        monkeypatch.setattr(returns, name, never)
    before = (split[0] / "shares/first.json").read_bytes()
    found = re.search(r"share 2 of 2: (\d+) units, 0 of them played now", shared(asked, split[0], "2/2"))
    assert int(found.group(1)) == (len(list((split[0] / "parts").iterdir())) - 2) // 2
    assert (split[0] / "shares/first.json").read_bytes() == before


def test_another_plan_is_refused_by_every_share(split, asked):
    code, _, err = survey(*asked, f"--output={split[0]}", "--share=2/2", "--pairs=200")
    assert code == 2
    assert "holds results of other settings (pairs=100 there, 200 asked)" in err


@pytest.mark.parametrize("share", ["0/3", "4/3", "2", "a/b", "", "1/0", "second"])
def test_what_is_no_share_is_said_in_one_sentence(run, share):
    code, _, err = survey(f"--policy={run}/policies/000002", f"--share={share}")
    assert code == 2
    assert f"share={share} is no share: give I/N, for example 2/8 for the second of eight, or first." in err


def test_a_damaged_unit_is_named_with_what_to_do(split, asked, tmp_path):
    directory = tmp_path / "copy"
    shutil.copytree(split[0], directory)
    damaged = next(path for path in sorted((directory / "parts").iterdir()) if "returns" in storage.read_npz(path))
    content = damaged.read_bytes()
    damaged.write_bytes(content[:len(content) // 2])
    for more in ([], ["--share=1/1"]):
        code, _, err = survey(*asked, f"--output={directory}", *more)
        assert code == 2
        assert f"{damaged} is damaged: " in err and err.endswith(": remove it, and the same command plays it again.\n")
    damaged.unlink()
    assert " units, 1 of them played now" in shared(asked, directory, "1/1")
    assert damaged.read_bytes() == content


def launched(*arguments):
    return subprocess.Popen([sys.executable, "-m", "launch.landscape", *TINY, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_shares_in_processes_at_the_same_time_of_which_one_is_killed_end_with_the_survey_of_one(run, tmp_path):
    asked = [f"--policy={run}/policies/000002", "--pairs=2000", "--slice_pairs=20000", "--end_pairs=40000", "--repeats=16"]
    process = launched(*asked, f"--output={tmp_path / 'whole'}")
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    both = {share: launched(*asked, f"--output={tmp_path / 'split'}", f"--share={share}") for share in ("1/2", "2/2")}
    until = time.monotonic() + 300
    while not (tmp_path / "split/shares/first.json").exists() and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(2)
    os.kill(both["2/2"].pid, signal.SIGKILL)  # in its first units, or in its last
    both["2/2"].communicate()
    both["2/2"] = launched(*asked, f"--output={tmp_path / 'split'}", "--share=2/2")
    waited = [process.communicate(timeout=600) for process in both.values()]
    assert [process.returncode for process in both.values()] == [0, 0], waited
    process = launched(*asked, f"--output={tmp_path / 'split'}")
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert_equal_surveys(tmp_path / "whole", tmp_path / "split")
    assert all(stored(tmp_path / "split", name).attrs["seed"] == 0 for name in ("return", "slices"))
