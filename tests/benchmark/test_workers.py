"""Do children answer, fail in a sentence, and never outlive their parent?"""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tfpg.benchmark.workers import Worker, WorkerFailed

FAKE = ["-m", "tests.benchmark.fake_worker"]


@pytest.fixture
def worker():
    with Worker("the fake", FAKE, {}) as one:
        assert one.wait() == {"ready": True}
        yield one


def test_what_a_library_prints_is_not_taken_for_an_answer(worker):
    assert worker.ask({"what": "echo", "text": "σ"}) == {"said": "σ"}


def test_an_exception_is_a_sentence_and_the_child_goes_on(worker):
    with pytest.raises(WorkerFailed, match="the fake: KeyError: 'nothing'"):
        worker.ask({"what": "fail"})
    assert worker.ask({"what": "echo", "text": "still here"}) == {"said": "still here"}


def test_a_dead_child_is_a_sentence_with_its_last_words(worker):
    with pytest.raises(WorkerFailed, match=r"the fake ended \(exit code 3\): the last words"):
        worker.ask({"what": "die"})
    assert not worker.alive


def test_a_child_that_cannot_begin_says_why():
    with Worker("the fake", FAKE, {"refuse": True}) as one, pytest.raises(WorkerFailed, match="the fake: it will not"):
        one.wait()


def test_a_child_that_says_nothing_is_given_up(worker):
    worker._send({"what": "sleep"})
    with pytest.raises(WorkerFailed, match="signal 9"):
        worker.wait(0.3)


def test_no_child_outlives_a_killed_parent():
    code = ("import time; from tfpg.benchmark.workers import Worker; "
            f"one = Worker('a', {FAKE}, {{}}); one.wait(); one._send({{'what': 'sleep'}}); print(one._process.pid, flush=True); time.sleep(60)")
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 10
    while time.monotonic() < until and _alive(child):
        time.sleep(0.05)
    assert not _alive(child)


def _alive(pid):
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as file:  # one that nobody has waited for yet is dead too
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_wait_that_is_broken_off_while_its_timer_starts_leaves_nothing_to_wait_for(worker, monkeypatch):
    def interrupted(self):
        real(self)
        raise KeyboardInterrupt

    real = threading.Timer.start
    monkeypatch.setattr(threading.Timer, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        worker.wait()
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer) and not thread.daemon]
