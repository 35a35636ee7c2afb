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
from tfpg.report.progress import Budget, Progress

NUMBERS = {"rollout/return": 1234.5, "trust_region/train/mean_kl": 0.0123, "time/steps_per_second": 6800.0}


def played(total, *parts, every=0.0):
    """The lines that a log gets of (episodes, pairs, seconds), each reported when it was played."""
    now, stream = [0.0], io.StringIO()
    with Budget(total, stream=stream, every=every, clock=lambda: now[0]) as budget:
        budget.begin("return")
        for episodes, pairs, seconds in parts:
            now[0] += seconds
            budget.advance(episodes, pairs, seconds)
    return stream.getvalue().splitlines()


@contextlib.contextmanager
def terminal(width):
    """A stream that is a terminal, and a function that gives what it was sent once it is closed."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    with os.fdopen(follower, "w", encoding="utf-8") as stream:
        yield stream, lambda: read_all(leader)


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


@pytest.mark.parametrize("refusal", [BrokenPipeError(32, "broken pipe"), OSError(28, "no space left on device")])
def test_a_log_that_cannot_be_written_costs_its_lines_alone(refusal):
    class Full(io.StringIO):
        def write(self, _):
            raise refusal

    with Progress(2, stream=Full()) as progress:
        progress.note("a word")
        progress.update(iteration(PPO, 0), NUMBERS)


def test_a_log_without_greek_letters_gets_the_others():
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    with Progress(2, stream=stream) as progress:
        progress.note("θ ± 1")
    assert stream.buffer.getvalue() == b"? ? 1\n"


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


# Budgets of episodes


def test_a_budget_says_what_is_played_how_fast_and_how_long_it_will_take():
    # 25 of 100 episodes took 10 s: the other 75 take 30
    assert played(100, (25, 5_000, 10.0)) == ["0 %, return", "25 %, 00:30 left, 500 pairs/s, return"]


def test_episodes_of_an_earlier_session_count_as_done_but_not_as_speed():
    # half is read; of the rest 25 took 10 s, so 25 more take 10
    lines = played(100, (50, 10_000, 0.0), (25, 5_000, 10.0))
    assert lines[1:] == ["50 %, read from the store, return", "75 %, 00:10 left, 500 pairs/s, return"]


def test_a_log_of_a_budget_gets_the_first_line_one_every_thirty_seconds_and_the_last():
    lines = played(100, *[(1, 200, 1.0)] * 100, every=30.0)
    assert [line.split(",")[0] for line in lines] == ["0 %", "30 %", "60 %", "90 %", "100 %"]
    assert lines[-1] == "100 %, 00:00 left, 200 pairs/s, return"


def test_a_budget_never_says_100_percent_before_the_end():
    assert played(1000, (999, 10, 1.0))[-1].startswith("99 %")


def test_an_interrupted_budget_ends_with_what_was_done():
    stream = io.StringIO()
    with contextlib.suppress(KeyboardInterrupt), Budget(10, stream=stream, clock=lambda: 0.0) as budget:
        budget.begin("slices")
        budget.advance(4, 100, 2.0)
        raise KeyboardInterrupt
    assert stream.getvalue().splitlines() == ["0 %, slices", "40 %, 00:03 left, 50 pairs/s, slices"]


@pytest.mark.parametrize("width", [200, 60, 20, 5, 0])
def test_the_bar_of_a_budget_never_breaks_the_line(width):
    with terminal(width) as (stream, sent), Budget(40, stream=stream) as budget:
        budget.begin("concentration of ppo on Hopper-v5, seed 0, iteration 150")
        for _ in range(4):
            budget.advance(10, 3_000, 0.5)
    states = [state for state in sent().replace("\n", "\r").split("\r") if state]
    assert max(len(state) for state in states) <= (width or 80)
    if width == 60:
        assert "00:00 left" in states[-1]  # what one waits for is not cut off
    if width == 200:
        assert "100% |" in states[-1] and states[-1].endswith(
            "40/40 episodes, 00:00 left, 6,000 pairs/s, concentration of ppo on Hopper-v5, seed 0, iteration 150")


def test_a_budget_may_count_something_else():
    with terminal(200) as (stream, sent), Budget(40, unit="pairs", stream=stream) as budget:
        budget.advance(40, 40, 0.5)
    assert "40/40 pairs, 00:00 left, 80 pairs/s" in sent()


def test_what_is_said_aside_stands_on_lines_of_its_own():
    with terminal(100) as (stream, sent), Budget(2, stream=stream) as budget:
        budget.begin("return")
        budget.advance(1, 10, 0.5)
        with budget.aside():
            stream.write("J = 3\n")
        budget.advance(1, 10, 0.5)
    shown = sent()
    assert "\rJ = 3\r\n" in shown  # a terminal makes \r\n of a line break; the bar was wiped before


def test_a_budget_of_nothing_shows_no_bar():
    with terminal(100) as (stream, sent), Budget(0, stream=stream) as budget, budget.aside():
        stream.write("all was there\n")
    assert sent() == "all was there\r\n"
