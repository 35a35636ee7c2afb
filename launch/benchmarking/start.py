"""How long is the way from the command to the first iteration, and how much memory does a training take? A real one, watched."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tfpg.benchmark.workers import Answer, WorkerFailed

_POLL = 0.005  # s, until the first line of metrics
_SAMPLE = 0.05  # s, between looks at the memory
PATIENCE = 900.0  # s for the whole training


def watched(arguments: Sequence[str], directory: Path, num_steps: int) -> Answer:
    """Runs `python -m launch.train` to its end, final evaluation included.

    Args: directory: for its workdir. num_steps: pairs of an iteration.
    Returns: first, s to the first line of metrics.jsonl; peak, MB; memory, [pairs, MB] as the iterations went.
    Errors: WorkerFailed in one sentence."""
    metrics = directory / "metrics.jsonl"
    command = [sys.executable, "-m", "launch.train", *arguments, f"--workdir={directory}"]
    with tempfile.TemporaryFile() as said:
        begin = time.monotonic()
        # A session of its own: Ctrl-C is ours, who end it.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
        try:
            first, memory, lines, peak = None, [], 0, 0.0
            while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
                peak = max(peak, _peak(process.pid))
                seen = _lines(metrics)
                if seen and first is None:
                    first = time.monotonic() - begin
                if seen > lines:
                    lines = seen
                    memory += [[lines * num_steps, held]] if (held := _resident(process.pid)) else []
                if time.monotonic() - begin > PATIENCE:
                    raise WorkerFailed(f"a training did not end within {PATIENCE:.0f} s.")
                time.sleep(_POLL if first is None else _SAMPLE)
            process.returncode = os.waitstatus_to_exitcode(ended[1])
            if process.returncode or first is None:
                said.seek(0)
                words = [line for line in said.read().decode(errors="replace").splitlines() if line.strip()]
                raise WorkerFailed(f"a training ended with exit code {process.returncode}: {words[-1] if words else 'it said nothing.'}")
            return {"first": first, "peak": peak, "memory": memory}
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()


def _lines(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.read_bytes().count(b"\n")
    return 0


def _resident(pid: int) -> float | None:
    """MB that a process holds; None where it is gone."""
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return None


def _peak(pid: int) -> float:
    """MB that a process has held at most so far; 0 where it is gone. Not wait4's, which counts who started it, until the program began."""
    with contextlib.suppress(OSError, StopIteration, ValueError):
        return next(int(line.split()[1]) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:")) * 1024 / 1e6
    return 0.0
