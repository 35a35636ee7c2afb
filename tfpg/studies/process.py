"""How is one attempt at a job made? A Python process in the study's directory, whatever began it.

Its output goes to the job's log, which it holds locked: an attempt begun elsewhere while an orphan of the last one still works waits
for it. The system ends it when the process that began it is gone (Linux)."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import os
import platform
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

from tfpg import storage
from tfpg.errors import UserError
from tfpg.run_directory import processor
from tfpg.studies.jobs import DONE, FAILED, Ending, Job, Ledger

ORPHANS = 60.0  # s that the last attempt's process is waited for
_ROOT = Path(__file__).resolve().parents[2]  # where the launchers are importable from
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


class Process:
    """One attempt, under way from the beginning."""

    def __init__(self, job: Job, attempt: int, ledger: Ledger, patience: float = ORPHANS):
        """Args: ledger: its directory exists. patience: seconds that an orphan of the last attempt is waited for.

        Errors: UserError where it cannot be begun."""
        self.job, self.attempt = job, attempt
        self._ledger, self._began = ledger, time.monotonic()
        storage.make_directory(ledger.jobs)
        with storage.user_errors("begin", ledger.log(job)), open(ledger.log(job), "ab") as log:
            _hold(log, patience)
            log.write(f"{'' if log.tell() == 0 else chr(10)}attempt {attempt} on {platform.node()}\n".encode())
            log.flush()
            self._process = subprocess.Popen(
                [sys.executable, *job.command], cwd=ledger.directory, env=_environment(), stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=_die_with_parent)  # noqa: PLW1509  (one system call, and whoever begins jobs does little else)

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self._process.poll() is not None

    def ending(self) -> Ending:
        """How it ended; waits for that."""
        return _ending(self.job, self._process.wait(), self.attempt, time.monotonic() - self._began, self._ledger)

    def signal(self, number: int) -> None:
        """To the job and whatever it began; nothing where it is over."""
        with contextlib.suppress(ProcessLookupError):
            if not self.ended:
                os.killpg(self._process.pid, number)

    def stop(self, patience: float) -> None:
        """Waits so many seconds for it to keep what it did, after `signal` interrupted it as Ctrl-C would; then kills it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.1, patience))
        self.signal(signal.SIGKILL)
        self._process.wait()


@functools.cache
def here() -> str:
    """This machine, as endings name it: its processor decides about bits."""
    return f"{platform.node()}, {processor()}"


def _ending(job: Job, code: int, attempt: int, seconds: float, ledger: Ledger) -> Ending:
    """What an exit code means. Args: code: as subprocess says it, negative for a signal."""
    if code == 0 and (ledger.directory / job.product).exists():
        return Ending(DONE, attempt, seconds, here(), code)
    said = _last_words(ledger.log(job))
    reason = f"it ended without {job.product}" if code == 0 else said or "it said nothing"
    if code < 0:
        reason = f"signal {-code} ended it" + (f", after: {said}" if said else "")
    return Ending(FAILED, attempt, seconds, here(), code if code >= 0 else None, reason)


def _last_words(log: Path) -> str:
    """What a launcher said at its end, `launch.train: …`, else the last line that says anything; of the last attempt."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, log.stat().st_size - 20_000))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in re.split(r"^attempt \d+ on .*$", text, flags=re.MULTILINE)[-1].splitlines() if line.strip()]
    ends = [place for place, line in enumerate(lines) if re.match(r"launch\.\w+: ", line)]
    return " ".join(lines[ends[-1]:] if ends else lines[-1:])[:500]


def _hold(log: BinaryIO, patience: float) -> None:
    """Locks the log, for this process and the one that will write it. Errors: UserError where somebody has it for too long."""
    until = time.monotonic() + patience
    while True:
        try:
            return fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise UserError(f"an earlier attempt still writes to {log.name}.") from None
            time.sleep(0.1)


def _environment() -> dict[str, str]:
    """The surroundings of a job: ours, and our launchers importable."""
    path = os.pathsep.join(part for part in (str(_ROOT), os.environ.get("PYTHONPATH", "")) if part)
    return {**os.environ, "PYTHONPATH": path, "COLUMNS": "120"}


def _die_with_parent() -> None:
    """In the new process, before its program: the system ends it when we are gone, however we ended."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
