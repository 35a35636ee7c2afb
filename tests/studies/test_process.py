"""What does the end of a job's process mean?"""

import signal

import pytest

from tfpg.errors import UserError
from tfpg.studies import process
from tfpg.studies.jobs import DONE, FAILED, Job, Ledger


def job(*arguments, product="made/a"):
    return Job("a", "tests.studies.worker", arguments, (), product, 1, 1.0, 1.0)


def ending(directory, *arguments, **others):
    return process.Process(job(*arguments, **others), 1, Ledger(directory)).ending()


@pytest.mark.parametrize(("arguments", "state", "code", "reason"), [
    (("make", "made/a"), DONE, 0, None),
    (("fail", "made/a"), FAILED, 1, "worker: the motor is hot."),
    (("refuse", "made/a"), FAILED, 2, "worker: seed=x is no number."),
    (("nothing",), FAILED, 0, "it ended without made/a"),
    (("leave", "3"), FAILED, 3, "it said nothing"),
])
def test_an_exit_code_says_how_a_job_ended(tmp_path, arguments, state, code, reason):
    found = ending(tmp_path, *arguments)
    assert (found.state, found.code, found.reason) == (state, code, reason)
    assert found.where == process.here()


def test_a_signal_is_named(tmp_path):
    begun = process.Process(job("hang", "made/a"), 1, Ledger(tmp_path))
    begun.signal(signal.SIGKILL)
    found = begun.ending()
    assert (found.state, found.code, found.reason) == (FAILED, None, "signal 9 ended it")


def test_a_refusal_of_several_lines_is_told_whole(tmp_path):
    assert ending(tmp_path, "explain").reason == "launch.worker: another configuration: seed: 1 → 2"


def test_a_log_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs/a.log").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"cannot begin .*a\.log"):
        process.Process(job("make", "made/a"), 1, Ledger(tmp_path))


def test_a_log_holds_every_attempt(tmp_path):
    ledger = Ledger(tmp_path)
    for attempt in (1, 2):
        process.Process(job("fail", "made/a"), attempt, ledger).ending()
    lines = ledger.log(job()).read_text().splitlines()
    assert [line.split(" on ")[0] for line in lines if line.startswith("attempt")] == ["attempt 1", "attempt 2"]


def test_an_attempt_waits_until_the_last_one_is_gone(tmp_path):
    orphan = process.Process(job("doze", "made/first"), 1, Ledger(tmp_path))
    assert not orphan.ended
    process.Process(job("make", "made/a"), 2, Ledger(tmp_path)).ending()
    assert orphan.ended


def test_a_job_that_does_not_listen_is_killed(tmp_path):
    deaf = process.Process(job("deaf", "made/a"), 1, Ledger(tmp_path))
    while not (tmp_path / "made/a.begun").exists():
        assert not deaf.ended
    deaf.signal(signal.SIGINT)
    deaf.stop(0.3)
    assert deaf.ended
