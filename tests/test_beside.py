"""Is everything done once, in order, by whoever is free, and is no error lost?"""

import signal
import threading

import pytest

from tfpg.beside import Beside


def who(gate=None):
    if gate is not None:
        assert gate.wait(10)
    return threading.current_thread()


def test_the_helper_does_what_is_begun_while_the_caller_does_something_else():
    beside, done = Beside("helper"), threading.Event()
    work = beside.begin(done.set)
    assert done.wait(10)
    assert work.result() is None


def test_who_asks_for_what_nobody_has_taken_up_does_it():
    beside, gate = Beside("helper"), threading.Event()
    first, second = beside.begin(who, gate), beside.begin(who)
    assert second.result() is threading.main_thread()  # the helper waits at the gate
    gate.set()
    assert first.result().name.startswith("helper")


def test_everything_is_done_once():
    beside, gate, done = Beside("helper"), threading.Event(), []
    beside.begin(gate.wait, 10)
    works = [beside.begin(done.append, number) for number in range(50)]
    works[30].result()
    gate.set()
    for work in works[:30] + works[31:]:
        work.result()
    assert sorted(done) == list(range(50))


def test_who_waits_leaves_the_work_to_the_helper():
    beside, gate = Beside("helper"), threading.Event()
    beside.begin(gate.wait, 10)
    work = beside.begin(who)
    threading.Timer(0.05, gate.set).start()
    assert work.wait().name.startswith("helper")


def test_an_interrupted_wait_neither_breaks_the_work_off_nor_begins_it_twice():
    beside, gate, done = Beside("helper"), threading.Event(), []
    beside.begin(gate.wait, 10)
    work = beside.begin(done.append, 1)
    threading.Timer(0.1, signal.raise_signal, [signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        work.wait()
    gate.set()
    work.wait()
    assert done == [1]


@pytest.mark.parametrize("by_the_helper", [True, False])
def test_an_error_comes_out_of_the_result(by_the_helper):
    beside, gate = Beside("helper"), threading.Event()
    beside.begin(gate.wait, 10)
    work = beside.begin(int, "no number")
    if by_the_helper:
        gate.set()
        beside.begin(int).result()
    with pytest.raises(ValueError, match="no number"):
        work.result()
    gate.set()


def test_leaving_can_have_everything_done_that_was_begun():
    beside, gate, done = Beside("helper"), threading.Event(), []
    beside.begin(gate.wait, 10)
    works = [beside.begin(done.append, number) for number in range(5)]
    threading.Timer(0.05, gate.set).start()
    beside.leave(take_back=False)
    assert done == list(range(5))
    works[4].wait()


def test_leaving_takes_back_what_waits_and_waits_for_what_is_under_way():
    beside, entered, done = Beside("helper"), threading.Event(), []

    def slow():
        entered.set()
        threading.Event().wait(0.2)
        done.append("slow")

    beside.begin(slow)
    beside.begin(done.append, "never")
    assert entered.wait(10)
    beside.leave()
    assert done == ["slow"]
