"""How does a compiled rollout end when it cannot go on: Ctrl-C, an exception, an environment that hangs?

A signal handler of Python runs only between byte codes of the main thread, so a compiled loop in that thread would
serve Ctrl-C when it is over. The loop runs in a thread of its own; the calling thread polls an Event (an interrupted
Thread.join aborts the process in Python 3.11). No exception passes through TensorFlow, which would make 28 lines of
it without the cause: the callback keeps it here and lets the loop end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from tfpg.envs.engines import Engine
from tfpg.errors import RunError

SLICE = 0.1  # s between polls: how long Ctrl-C and the detection of silence may take


class EnvironmentHangs(RunError):
    """An environment has been silent for too long. Its thread cannot be ended: the process must be, by os._exit."""

    hangs = True  # what launchers ask, who do not know this class


class _Stopped(Exception):
    """The rollout was asked to stop."""


class _Job:
    """One piece of work, shared by the thread that does it and the one that waits."""

    def __init__(self):
        self.started = self.stop = False
        self.done = threading.Event()
        self.result: Any = None
        self.failure: BaseException | None = None


class Guard:
    """Runs work that steps environments, so that it can be interrupted, timed and believed.

    Args: name: of the task, for messages. patience: seconds that one call of the engine may take."""

    def __init__(self, name: str, patience: float):
        self.hangs = False  # a thread is lost inside an environment: closing would wait for it
        self._name, self._patience = name, patience
        self._job: _Job  # the work under way

    def run(self, engine: Engine, work: Callable[[], Any]) -> Any:
        """`work()` in a thread of its own, which costs a fraction of a millisecond a rollout.

        Args: engine: the one `work` steps; its beats are watched, so tracing a graph is not taken for silence.
        Errors: what `work` raised, or what `keep` was given first; EnvironmentHangs; KeyboardInterrupt."""
        job = self._job = _Job()
        try:
            threading.Thread(target=_do, args=(job, work), name=f"rollout of {self._name}", daemon=True).start()
            self._wait(job, engine)
        except KeyboardInterrupt:
            job.stop = True
            self._wait_out(job, engine)
            raise
        if job.failure is not None:
            raise job.failure
        return job.result

    def check(self) -> None:
        """To be called between steps, in the working thread. Errors: an exception if the work is to stop."""
        if self._job.stop:
            raise _Stopped

    def keep(self, error: BaseException) -> None:
        """Keeps the first exception of a callback, to be raised where `run` was called."""
        if self._job.failure is None:
            self._job.failure = error

    def _wait_out(self, job: _Job, engine: Engine) -> None:
        """Waits whatever is pressed: a pool closed while its thread still steps it would end the process."""
        while True:
            try:
                return self._wait(job, engine)
            except KeyboardInterrupt:
                continue

    def _wait(self, job: _Job, engine: Engine) -> None:
        beats, since = engine.beats, time.monotonic()
        while not job.done.wait(SLICE):
            if job.stop and not job.started:
                return  # interrupted before the thread was there
            now = time.monotonic()
            if engine.beats != beats or beats % 2 == 0:  # it moved, or nothing is inside an environment
                beats, since = engine.beats, now
            elif now - since > self._patience:
                self.hangs = job.stop = True
                which = "an environment" if engine.current is None else f"environment {engine.current}"
                raise EnvironmentHangs(f"{which} of {self._name} has not answered for {self._patience:g} s "
                                       "(rollout.patience).") from None


def _do(job: _Job, work: Callable[[], Any]) -> None:
    job.started = True
    try:
        if not job.stop:
            job.result = work()
    except BaseException as error:  # noqa: BLE001  (raised again by Guard.run)
        # the first cause wins: an exception of TensorFlow after a kept one is only its echo
        job.failure = job.failure or error
    finally:
        job.done.set()
