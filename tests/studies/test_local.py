"""Do jobs run as processes: in order, so many at once, tried again, interrupted and killed without loss?"""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from tfpg.studies import local
from tfpg.studies.jobs import DONE, FAILED, Job, Ledger, Progress

ROOT = pathlib.Path(__file__).resolve().parents[2]


def job(what, name, *needs):
    product = f"made/{name}"
    return Job(name, "tests.studies.worker", (what, product), needs, product, pairs=1, seconds=1.0, megabytes=1.0)


def run(directory, jobs, *, slots=2, attempts=2, tick=lambda: None):
    ledger, told = Ledger(directory), []
    progress = Progress(jobs, {each.name: ending for each in jobs if (ending := ledger.ending(each))})
    local.run(progress, ledger, slots=slots, attempts=attempts, tick=tick,
              tell=lambda each, ending: told.append((each.name, ending and ending.state)))
    return progress, told


def test_every_job_makes_its_product_and_is_not_repeated(tmp_path):
    jobs = [job("make", "a"), job("make", "b", "a"), job("make", "c")]
    progress, told = run(tmp_path, jobs)
    assert len(progress.done) == 3
    assert told.index(("a", DONE)) < told.index(("b", None))
    again, told = run(tmp_path, jobs)
    assert (len(again.done), told) == (3, [])


def test_jobs_added_later_are_all_that_is_run(tmp_path):
    run(tmp_path, [job("make", "a")])
    _, told = run(tmp_path, [job("make", "a"), job("make", "b", "a")])
    assert told == [("b", None), ("b", DONE)]


def test_never_more_at_once_than_there_are_slots(tmp_path):
    jobs, most = [job("make", str(number)) for number in range(5)], []
    ledger = Ledger(tmp_path)
    progress = Progress(jobs, {})
    local.run(progress, ledger, slots=2, attempts=1, tell=lambda *_: most.append(len(progress.running)))
    assert max(most) == 2


def test_a_failed_job_is_tried_again_and_then_reported_while_the_rest_goes_on(tmp_path):
    progress, told = run(tmp_path, [job("fail", "a"), job("make", "b", "a"), job("make", "c")], attempts=3)
    assert (tmp_path / "made/a").read_text() == "tried\n" * 3
    assert [each.name for each in progress.blocked] == ["b"]
    assert ("c", DONE) in told
    ending = Ledger(tmp_path).ending(job("fail", "a"))
    assert (ending.state, ending.attempts, ending.reason) == (FAILED, 3, "worker: the motor is hot.")


def test_a_second_attempt_that_works_is_enough(tmp_path):
    progress, told = run(tmp_path, [job("flaky", "a")])
    assert progress.endings["a"].attempts == 2
    assert told == [("a", None), ("a", FAILED), ("a", None), ("a", DONE)]


def test_jobs_begin_in_the_studys_directory_with_our_launchers_importable(tmp_path):
    shown = Job("a", "launch.study", ("--help",), (), "jobs/a.log", 1, 1.0, 1.0)
    progress, _ = run(tmp_path, [shown])
    assert len(progress.done) == 1
    assert "usage: python -m launch.study" in (tmp_path / "jobs/a.log").read_text()


def test_a_job_that_cannot_be_begun_failed_and_the_rest_goes_on(tmp_path):
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs/a.log").symlink_to("/dev/full")
    progress, told = run(tmp_path, [job("make", "a"), job("make", "b", "a"), job("make", "c")])
    assert [each.name for each in progress.done] == ["c"]
    assert "cannot begin" in progress.endings["a"].reason
    assert [name for name, state in told if state == FAILED] == ["a", "a"]


def wait_for(path):
    until = time.monotonic() + 30
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < until, path
        time.sleep(0.02)
    return path.read_text()


def test_ctrl_c_lets_all_jobs_keep_what_they_did_and_ends_them(tmp_path, monkeypatch):
    begun = tmp_path / "made/a.begun"
    monkeypatch.setattr(local, "PATIENCE", 3.0)  # of four that take a second each to keep what they did

    def interrupt():
        for name in "acde":
            wait_for(tmp_path / f"made/{name}.begun")
        signal.raise_signal(signal.SIGINT)

    threading.Thread(target=interrupt).start()
    jobs = [job("hang", name) for name in "acde"]
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, [*jobs, job("make", "b", "a")], slots=4)
    assert all((tmp_path / f"made/{name}.kept").exists() for name in "acde")
    assert Ledger(tmp_path).ending(job("hang", "a")) is None
    assert gone(int(begun.read_text()))


def test_a_killed_study_leaves_no_job_behind(tmp_path):
    code = ("import pathlib; from tests.studies.test_local import job, run; "
            f"run(pathlib.Path({str(tmp_path)!r}), [job('hang', 'a')])")
    study = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    pid = int(wait_for(tmp_path / "made/a.begun"))
    study.kill()
    study.wait()
    until = time.monotonic() + 10
    while not gone(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert gone(pid)


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return pathlib.Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
