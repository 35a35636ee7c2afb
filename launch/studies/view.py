"""What does a study look like on a terminal: before it begins, while it runs, when it has ended?"""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self, TextIO

from launch.shared import tables
from launch.studies.jobs import Agent, Named
from tfpg.studies.jobs import DONE, Ending, Job, Ledger, Progress, summed
from tfpg.study import INSTRUMENTS

_KINDS = ("train", *INSTRUMENTS)
_LISTED = 40  # jobs of one kind that a plan names; more are counted
_EVERY = 30.0  # s between lines where nobody sees them redrawn


def opening(named: Named, agents: Sequence[Agent], progress: Progress, directory: Path, where: int | str) -> str:
    """What the study is and how far it has come. Args: where: jobs at once on this machine, or "ray"."""
    jobs = list(progress.jobs.values())
    tasks, presets = (dict.fromkeys(getattr(agent.config, name) for agent in agents) for name in ("env", "preset"))
    done = f", {len(progress.done)} of them done before" if progress.done else ""
    at_once = "on a Ray cluster" if where == "ray" else f"{where} at once"
    return (f"study {named.name}: {named.about}\n"
            f"{len(agents):,} agents ({', '.join(presets)}; {', '.join(tasks)}), {len(jobs):,} jobs{done}; {at_once}, in {directory}")


def plan(progress: Progress, where: int | str) -> str:
    """Every job with its cost, then what all of it takes. Args: where: as of `opening`."""
    rows = [("", "job", "pairs", "time", "disk", "")]
    for kind in _KINDS:
        some = [job for job in progress.jobs.values() if job.name.startswith(f"{kind}.")]
        together = [list(each) for _, each in itertools.groupby(some, key=lambda job: job.towards or job)]
        for each in together[:_LISTED]:
            done = sum(job.name in progress.endings for job in each)
            rows.append((kind, _named(each), *_cost(each), "done" if done == len(each) else f"{done} done" if done else ""))
            kind = ""
        if rest := list(itertools.chain.from_iterable(together[_LISTED:])):
            rows.append(("", f"and {len(rest):,} more", *_cost(rest), ""))
    left = progress.left
    pairs, seconds, megabytes = summed(left)
    longest = max((_chain(job, progress) for job in left), default=0.0)
    return "\n".join([*(f"  {line}" for line in tables.aligned(rows, left=(0, 1, 5))), (
        f"left: {len(left):,} jobs, about {_rounded(pairs):,} pairs, {tables.duration(seconds)} on one processor, "
        + (f"{tables.duration(longest)} at least on any number" if isinstance(where, str) else
           f"{tables.duration(max(seconds / where, longest))} with {where} at once") + f", {_size(megabytes)}"),
        "(by the speeds of one machine and episodes of 500 steps: what a study really takes is known when its first jobs are done)"])


def closing(progress: Progress, ledger: Ledger) -> str:
    """What came of it; failures with their reasons."""
    lines = [f"{len(progress.done):,} of {len(progress.jobs):,} jobs are done, in {ledger.directory}"]
    for job in progress.failed:
        ending = progress.endings[job.name]
        lines.append(f"failed: {job.name}, {ending.attempts} attempt{'s' * (ending.attempts > 1)}: {ending.reason} ({ledger.log(job)})")
    if blocked := progress.blocked:
        lines.append(f"not begun, for they need what failed: {', '.join(job.name for job in blocked[:6])}"
                     f"{f' and {len(blocked) - 6:,} more' if len(blocked) > 6 else ''}")
    if progress.failed:
        lines.append("the same command tries them again")
    return "\n".join(lines)


class View:
    """Says what begins and ends; on a terminal one more line stays at the bottom and tells how far everything is."""

    def __init__(self, progress: Progress, stream: TextIO):
        self._progress, self._stream = progress, stream
        self._drawn, self._next = "", 0.0
        self._spent, self._expected = 0.0, 0.0  # seconds of jobs that ended here, and what had been expected of them
        self._starts: dict[str, float] = {}

    def tell(self, job: Job, ending: Ending | None) -> None:
        """A job begins (None), or an attempt ended."""
        now = time.monotonic()
        if ending is None:
            self._starts[job.name] = now
            return
        if ending.state == DONE:
            self._spent, self._expected = self._spent + ending.seconds, self._expected + job.seconds
            self._line(f"done    {job.name}, {tables.duration(ending.seconds)}")
        else:
            self._line(f"failed  {job.name}, attempt {ending.attempts}, {tables.duration(ending.seconds)}: {ending.reason}")
        if self._stream.isatty():
            self._next = 0.0  # drawn anew at once

    def tick(self) -> None:
        """Draws the line of progress anew where it is time."""
        now, live = time.monotonic(), self._stream.isatty()
        if now < self._next:
            return
        self._next = now + (1.0 if live else _EVERY)
        self._draw(self._status()) if live else self._line(self._status())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self._draw("")

    def _status(self) -> str:
        progress = self._progress
        parts = [f"{len(progress.done):,} done", f"{len(progress.running):,} running"]
        if lost := len(progress.failed) + len(progress.blocked):
            parts.append(f"{lost:,} failed or waiting for what failed")
        parts.append(f"{len(progress.left) - len(progress.running):,} to come")
        if self._expected:
            parts.append(f"about {tables.duration(self._left())} left")
        return f"{', '.join(parts)}; {', '.join(progress.running)}"

    def _left(self) -> float:
        """Seconds, by how long those done took against what was expected."""
        pace, now = self._spent / self._expected, time.monotonic()
        waits = [max(0.0, pace * job.seconds - (now - self._starts[job.name] if job.name in self._starts else 0.0))
                 for job in self._progress.left]
        return max(sum(waits) / max(1, len(self._progress.running)), max(waits, default=0.0))

    def _line(self, text: str) -> None:
        self._draw("")
        print(text, file=self._stream, flush=True)

    def _draw(self, text: str) -> None:
        if not self._drawn and not text:
            return
        width = shutil.get_terminal_size().columns - 1
        text = text if len(text) <= width else f"{text[:width - 1]}…"
        self._stream.write("\r" + " " * len(self._drawn) + "\r" + text)
        self._stream.flush()
        self._drawn = text


def _named(jobs: Sequence[Job]) -> str:
    """One job, or what plays parts of one: its first and its shares."""
    name = jobs[0].name.partition(".")[2]
    return name if len(jobs) == 1 else f"{name} and {len(jobs) - 1} shares"


def _cost(jobs: Iterable[Job]) -> tuple[str, str, str]:
    pairs, seconds, megabytes = summed(jobs)
    return f"{pairs:,}", tables.duration(seconds), _size(megabytes)


def _rounded(number: int) -> int:
    """To three digits."""
    return round(number, min(0, 3 - len(str(number))))


def _size(megabytes: float) -> str:
    if megabytes < 1_000:
        return f"{max(megabytes, 1):,.0f} MB"
    return f"{megabytes / 1e3:,.1f} GB" if megabytes < 1e6 else f"{megabytes / 1e6:,.1f} TB"


def _chain(job: Job, progress: Progress) -> float:
    """Seconds of a job and the longest line of those before it that are not done."""
    before = [_chain(progress.jobs[need], progress) for need in job.needs if need not in progress.endings]
    return job.seconds + max(before, default=0.0)
