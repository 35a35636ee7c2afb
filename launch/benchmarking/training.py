"""How fast is a whole training, and what is in it? One run as launch.train makes it, iteration by iteration when it is asked."""

from __future__ import annotations

import collections
import contextlib
import math
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from launch.training import recording
from launch.training.plan import Plan
from tfpg import checkpoint, snapshot
from tfpg.benchmark.updates import halves, timed
from tfpg.benchmark.workers import Answer
from tfpg.config import Config
from tfpg.report.progress import Progress
from tfpg.report.summaries import Summaries
from tfpg.run_directory import RunDirectory
from tfpg.training import Training
from tfpg.types import Iteration

# Checkpoints and snapshots are timed apart: by the clock they would fall on whoever has waited for its turn.
_PLAN = Plan(frozenset(), math.inf, 0, False, 0)
_WARM = 2  # iterations before anything is timed: the first compiles


class TrainingSubject:
    """A run in a directory of its own."""

    def __init__(self, config: Config, directory: Path):
        self._config, self._directory = config, directory
        self._open = contextlib.ExitStack()
        run = self._open.enter_context(RunDirectory.open(directory / "run", config, ["python", "-m", "launch.benchmark"]))
        self._training = self._open.enter_context(Training(config))
        events = self._open.enter_context(Summaries(run.train))
        progress = self._open.enter_context(Progress(config.num_iterations, every=math.inf))
        self._recorder = recording.Recorder(run, config, _PLAN, self._training, events, progress)
        self._recorder.open(recording.Resumed(None, ()))
        self._following: Iterator[Iteration] = iter(self._training)
        self._policies = snapshot.Writer(config, self._training.task, self._training.agent.policy, self._training.agent.value)
        self._first_snapshot: float | None = None
        for _ in range(_WARM):
            self._iterate()

    def iterations(self, seconds: float) -> Answer:
        """Iterations for about so long, one at least: means of their parts in seconds."""
        parts: list[dict[str, float]] = []
        begin = time.perf_counter()
        while not parts or time.perf_counter() - begin < seconds:
            parts.append(self._iterate())
        names = {name for part in parts for name in part}
        return {"pairs": self._config.rollout.num_steps, "parts": {name: statistics.fmean(part.get(name, 0.0) for part in parts) for name in sorted(names)}}

    def apart(self, seconds: float) -> Answer:
        """What is timed by itself: the halves of the update, a checkpoint, a snapshot. Means of several, but one snapshot."""
        if self._first_snapshot is None:
            self._first_snapshot = timed(self._snapshot)  # traces what the others save
        found: list[dict[str, float]] = []
        begin = time.perf_counter()
        while not found or time.perf_counter() - begin < seconds:
            found.append(halves(self._training.agent, self._last) | {"checkpoint": timed(self._checkpoint)})
        means = {name: statistics.fmean(part[name] for part in found) for name in found[0]}
        return {"parts": means | {"snapshot": timed(self._snapshot), "first snapshot": self._first_snapshot}}

    def close(self) -> None:
        """Ends the run."""
        self._recorder.leave()
        self._open.close()

    def _iterate(self) -> dict[str, float]:
        """One more iteration, recorded. Returns: seconds by part, and of the whole."""
        begin = time.perf_counter()
        self._last = next(self._following)
        self._recorder.record(self._last)
        whole = time.perf_counter() - begin
        parts = collections.Counter(self._last.seconds)
        parts.update(self._recorder.seconds)
        return {**parts, "whole": whole}

    def _checkpoint(self) -> None:
        checkpoint.save(self._directory / "checkpoints", self._last.state, self._config)

    def _snapshot(self) -> None:
        self._policies.save(self._directory / "policy", self._last)
