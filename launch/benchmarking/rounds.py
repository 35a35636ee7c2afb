"""How do all measurements of a task take turns, and when is it enough? Round after round, every one once, within a budget.

The processes of a task are all alive while it is measured, and one works at a time. The first unit of a measurement, after its
wait, is not counted. Every second round goes the other way round, so what drifts does not favour the first. A process that
fails costs its own rows alone."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from launch.benchmarking import start as benchstart
from launch.shared.tables import duration
from launch.training.plan import CHECKPOINT_SECONDS, SNAPSHOTS
from tfpg import settings
from tfpg.benchmark import account
from tfpg.benchmark.account import ALGORITHMS, Shares
from tfpg.benchmark.rounds import Row
from tfpg.benchmark.workers import Answer, Worker, WorkerFailed
from tfpg.config import Config

GROUPS = ("physics", "environments", "rollouts", "landscapes", "training", "peers", "start")
LEAST = 2  # rounds, for a spread to exist
STARTS = 2  # rounds in which a training is started from nothing: it takes 20 s each
_LANDSCAPE = 4.0  # times the seconds of another subject: 512 environments play whole episodes
# One unit of every other subject comes before it is timed: who has waited 40 s for its turn takes a fifth longer over the first.
_LONG = ("landscapes",)  # a unit takes so long that this does not matter
_RESERVED = 4  # rounds of every later task that time is kept for
Say = Callable[[str], None]


class Plan(NamedTuple):
    """What is measured, and how long."""

    groups: tuple[str, ...]
    rounds: int
    seconds: float  # of a subject in a round, about; one unit of it at least
    deadline: float  # time.monotonic()
    memory_steps: int  # of the trainings that are started from nothing


class Measured(NamedTuple):
    """What is known of a task."""

    rows: list[Row]
    rounds: int
    failures: list[str]  # a sentence each
    facts: dict[str, Any]  # episodes of landscapes


def task(env: str, configs: dict[str, Config], plan: Plan, *, later: int, peers: bool, say: Say) -> Measured:
    """Every row of one task.

    Args: configs: of each algorithm. later: tasks to come. peers: whether the libraries to compare with are here."""
    began = time.monotonic()
    groups = [group for group in plan.groups if group != "peers" or peers]
    with Stage(env, configs, groups, plan) as stage:
        say(f"{env}: {stage.opening}")
        stage.ready()
        opening = time.monotonic() - began
        for number in range(plan.rounds):
            begin = time.monotonic()
            starting = stage.round(number)
            took = time.monotonic() - begin
            ordinary = took - starting
            kept = later * (opening + _RESERVED * ordinary)
            following = took if number + 1 < STARTS else ordinary
            say(f"{env}: round {number + 1} of {plan.rounds} took {duration(took)}"
                + _left(plan.rounds - number - 1, following, later, opening + plan.rounds * ordinary))
            if number + 1 >= LEAST and time.monotonic() + following + kept > plan.deadline and number + 1 < plan.rounds:
                say(f"{env}: no time for more rounds (--minutes gives it)")
                break
        return stage.measured(number + 1)


class Stage:
    """The processes of one task, and what they answered."""

    def __init__(self, env: str, configs: dict[str, Config], groups: Sequence[str], plan: Plan):
        self._env, self._configs, self._plan, self._groups = env, configs, plan, groups
        self._directory = tempfile.TemporaryDirectory(prefix="tfpg-benchmark-", ignore_cleanup_errors=True)
        self._workers: dict[str, Worker] = {}
        self._requests: list[tuple[str, str, str]] = []  # of a round: worker, what, subject
        self._found: dict[str, dict[int, Answer]] = {}
        self.failures: list[str] = []
        for name, kind, algorithms in self._wanted():
            self._open(name, kind, algorithms)
        self.opening = f"{len(self._workers)} processes start" if self._workers else "begins"

    def ready(self) -> None:
        """Waits until every process can work, and asks for what it has to offer."""
        for name, worker in list(self._workers.items()):
            with self._kept(name):
                worker.wait()
                if name.startswith("training"):
                    algorithm = name.split("/")[1]
                    self._requests += [(name, what, f"{what}/{algorithm}") for what in ("iterations", "apart")]
                else:
                    names = worker.ask({"what": "names", "seconds": 0})["names"]
                    self._requests += [(name, what, f"peer/{what}" if name == "peers" else what) for what in names]

    def round(self, number: int) -> float:
        """Everything once. Returns: the seconds that starting trainings from nothing took."""
        began = time.monotonic()
        if "start" in self._groups and number < STARTS:
            for algorithm in ALGORITHMS:
                self._start(algorithm, number)
        starting = time.monotonic() - began
        for name, what, subject in self._requests[::-1 if number % 2 else 1]:
            if name in self._workers:
                seconds = self._plan.seconds * (_LANDSCAPE if what == "landscapes" else 1)
                with self._kept(name):
                    if what not in _LONG:
                        self._workers[name].ask({"what": what, "seconds": 0})
                    self._found.setdefault(subject, {})[number] = self._workers[name].ask({"what": what, "seconds": seconds})
        return starting

    def measured(self, rounds: int) -> Measured:
        """What all rounds say. A subject that has fewer than two of them has no spread, and is left out."""
        config = self._configs[ALGORITHMS[0]]
        snapshots = len({*SNAPSHOTS, config.num_iterations - 1})
        rows = account.rows(self._env, self._found, threads=config.runtime.env_threads,
                            shares=Shares(CHECKPOINT_SECONDS, snapshots, config.num_iterations))
        kept = [row for row in rows if len(row.values) >= LEAST]
        landscapes = self._found.get("landscapes", {}).values()
        facts = {"episodes": [answer["episodes"] for answer in landscapes], "length": [answer["length"] for answer in landscapes]}
        return Measured(kept, rounds, self.failures, facts)

    def close(self) -> None:
        """Ends every process and removes what they wrote."""
        for worker in self._workers.values():
            worker.close()
        self._directory.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _wanted(self) -> list[tuple[str, str, Sequence[str]]]:
        """Name, kind and algorithms of every process."""
        groups = set(self._groups)
        wanted: list[tuple[str, str, Sequence[str]]] = []
        if groups - {"start", "peers"}:
            wanted.append(("laboratory", "laboratory", ("trpo",)))
        if "training" in groups:
            wanted += [(f"training/{algorithm}", "training", (algorithm,)) for algorithm in ALGORITHMS]
        if "peers" in groups:
            wanted.append(("peers", "peers", ALGORITHMS))
        return wanted

    def _open(self, name: str, kind: str, algorithms: Sequence[str]) -> None:
        directory = Path(self._directory.name) / name.replace("/", "-")
        directory.mkdir()
        message = {"kind": kind, "groups": list(self._groups), "directory": os.fspath(directory),
                   "configs": [settings.to_dict(self._configs[algorithm]) for algorithm in algorithms]}
        self._workers[name] = Worker(f"{name.replace('/', ' of ')} on {self._env}", ["-m", "launch.benchmarking.worker"], message)

    def _start(self, algorithm: str, number: int) -> None:
        steps = self._configs[algorithm].rollout.num_steps
        directory = Path(self._directory.name) / f"start-{algorithm}-{number}"
        arguments = [f"--algo={algorithm}", f"--env={self._env}", f"--total_steps={self._plan.memory_steps}"]
        try:
            self._found.setdefault(f"start/{algorithm}", {})[number] = benchstart.watched(arguments, directory, steps)
        except WorkerFailed as error:
            self.failures.append(f"{self._env}, {algorithm}: {error}")

    @contextlib.contextmanager
    def _kept(self, name: str) -> Any:
        """A failure costs what is measured, and where the process died all that it would have measured."""
        try:
            yield
        except WorkerFailed as error:
            if str(error) not in self.failures:
                self.failures.append(str(error))
            if not self._workers[name].alive:
                self._workers.pop(name).close()


def to_standard_error(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def _left(rounds: int, took: float, later: int, whole: float) -> str:
    seconds = rounds * took + later * whole
    return f"; about {duration(seconds)} left" if seconds else ""
