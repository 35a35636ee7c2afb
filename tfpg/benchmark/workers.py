"""How do many measurements take turns, each in a process of its own? All are alive, and one at a time is told to work.

A child reads one JSON object a line and answers with one: first its task, then every request. It ends when its input does,
also in the middle of its work, so no child outlives its parent, however that ends. What its libraries print goes to
standard error."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import Any, Self

from tfpg.errors import RunError

Answer = dict[str, Any]
Handler = Callable[[Answer], Answer]


class WorkerFailed(RunError):
    """A child could not do its part; the others go on. One sentence."""


class Worker:
    """A child process that measures. Args: name: for messages. command: its program. task: what it is told first."""

    def __init__(self, name: str, command: Sequence[str], task: Answer):
        self.name = name
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  (until close)
        # A session of its own: Ctrl-C is the parent's, who ends its children.
        self._process = subprocess.Popen(
            [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr,
            start_new_session=True, text=True, encoding="utf-8")
        assert self._process.stdin is not None and self._process.stdout is not None  # pipes
        self._requests, self._answers = self._process.stdin, self._process.stdout
        self._send(task)

    @property
    def alive(self) -> bool:
        """Whether its process has not ended."""
        return self._process.poll() is None

    def wait(self, seconds: float = 600.0) -> Answer:
        """Its next answer. Errors: WorkerFailed when it fails, dies, or says nothing for so long."""
        timer = threading.Timer(seconds, self._process.kill)
        timer.daemon = True  # Ctrl-C can come while it starts: the end of the program must not wait for it
        try:
            timer.start()
            line = self._answers.readline()
        finally:
            timer.cancel()
        if not line.endswith("\n"):
            self._process.wait()
            raise WorkerFailed(f"{self.name} ended ({_ending(self._process.returncode)}){self._last_words()}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerFailed(f"{self.name}: {answer['error']}")
        return answer

    def ask(self, request: Answer) -> Answer:
        """Tells it what to do and waits. Errors: as of `wait`."""
        self._send(request)
        return self.wait()

    def close(self) -> None:
        """Ends it."""
        with contextlib.suppress(OSError):
            self._requests.close()
        self._process.kill()
        self._process.wait()
        self._answers.close()
        self._stderr.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _send(self, message: Answer) -> None:
        with contextlib.suppress(BrokenPipeError):  # it is dead, which `wait` says in words
            self._requests.write(json.dumps(message) + "\n")
            self._requests.flush()

    def _last_words(self) -> str:
        self._stderr.seek(0)
        lines = [line.strip() for line in self._stderr.read().decode("utf-8", "replace").splitlines() if line.strip()]
        return f": {lines[-1]}" if lines else "."


def serve(make: Callable[[Answer], Handler]) -> int:
    """The child's side: `make(task)` once, then its handler for every request. Returns: the exit code."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not be taken for an answer
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    handler = None
    while True:
        message = json.loads(requests.get())
        try:
            if handler is None:
                handler = make(message)
                answer: Answer = {"ready": True}
            else:
                answer = handler(message)
        except Exception as error:  # noqa: BLE001  (whatever it is, the parent says it)
            answer = {"error": _sentence(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
        if handler is None:
            return 1


def _read(requests: queue.SimpleQueue) -> None:
    for line in sys.stdin:
        requests.put(line)
    os._exit(0)  # the parent is gone, or wants no more


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or "no reason given"
    return text if isinstance(error, (RunError, ValueError)) else f"{type(error).__name__}: {text}"


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
