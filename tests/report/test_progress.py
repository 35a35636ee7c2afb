"""Progress: a bar on a terminal, a few lines in a log."""

import contextlib
import fcntl
import io
import os
import pty
import struct
import termios

import pytest

from tests.report.records import PPO, iteration
from tfpg.report.progress import Progress

NUMBERS = {"rollout/return": 1234.5, "trust_region/train/mean_kl": 0.0123, "time/steps_per_second": 6800.0}


def read_all(leader):
    """What a terminal whose other end is closed was sent; the end is an error on Linux."""
    found = b""
    with os.fdopen(leader, "rb", buffering=0) as terminal, contextlib.suppress(OSError):
        while part := terminal.read(4096):
            found += part
    return found.decode()


def logged(total, start=0, *, seconds=1.0, every=30.0, numbers=lambda k: NUMBERS):
    """The lines that a log gets when each iteration takes `seconds`."""
    now, stream = [0.0], io.StringIO()
    with Progress(total, start, stream=stream, every=every, clock=lambda: now[0]) as progress:
        for k in range(start, total):
            now[0] += seconds
            progress.update(iteration(PPO, k), numbers(k))
    return stream.getvalue().splitlines()


def test_a_log_gets_the_first_line_one_every_thirty_seconds_and_the_last():
    assert [line.split(",")[0] for line in logged(100)] == [f"iteration {k}/100" for k in (1, 31, 61, 91, 100)]


def test_a_line_names_return_kl_speed_and_time_left():
    assert logged(100)[1] == "iteration 31/100, return 1,234.5, KL 0.0123, 6,800 steps/s, 01:09 left"


def test_time_left_of_a_continued_run_counts_only_this_session():
    # 10 of 20 iterations done before; the 11th compiled, the 12th took 2 s, 8 are left.
    assert logged(20, 10, seconds=2, every=0)[1].endswith("00:16 left")


def test_the_first_iteration_tells_nothing_of_the_time_left():
    assert logged(20, 10, seconds=2)[0].endswith("? left")


def test_the_last_known_return_stays_where_no_episode_ended():
    without = {tag: value for tag, value in NUMBERS.items() if tag != "rollout/return"}
    lines = logged(3, every=0, numbers=lambda k: NUMBERS if k == 1 else without)
    assert [line.split(", ")[1] for line in lines] == ["return –", "return 1,234.5", "return 1,234.5"]


def test_an_interrupted_log_ends_with_what_was_done():
    stream = io.StringIO()
    progress = Progress(10, stream=stream, clock=lambda: 0.0)
    for k in range(4):
        progress.update(iteration(PPO, k), NUMBERS)
    progress.note("stopped")
    progress.close()
    progress.close()
    lines = stream.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == ["iteration 1/10", "stopped", "iteration 4/10"]


@pytest.mark.parametrize("width", [200, 60, 20, 5, 2, 0])
def test_a_bar_never_breaks_the_line_however_narrow_the_terminal(width):
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    with os.fdopen(follower, "w", encoding="utf-8") as stream:
        progress = Progress(5, 2, stream=stream)
        for k in range(2, 5):
            progress.update(iteration(PPO, k), NUMBERS)
        progress.close()
    shown = read_all(leader)
    states = [state for state in shown.replace("\n", "\r").split("\r") if state]
    assert max(len(state) for state in states) <= (width or 80)  # 0: a terminal that does not know its width
    if width == 200:
        assert "5/5, return 1,234.5, KL 0.0123, 6,800 steps/s" in states[-1] and "100%" in states[-1]
        assert "2/5" in states[0]
