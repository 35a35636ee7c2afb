"""Who works in a directory? A file that one process holds; the death of its holder releases it."""

from __future__ import annotations

import fcntl
import math
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from tfpg import storage
from tfpg.errors import UserError

PATIENCE = 1.0  # s that a lock is waited for: a killed holder may take a moment to be gone


class Lock:
    """The file `lock` of a directory, held from `hold` to `release`."""

    def __init__(self, directory: Path, verb: str):
        """Args: directory: exists. verb: what its holder does there, for who comes second: "is training in"."""
        self._directory, self._verb = directory, verb
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether we hold it."""
        return self._descriptor is not None

    def hold(self) -> Self:
        """Takes it. Errors: UserError naming the process that has it."""
        path = self._directory / "lock"
        with storage.user_errors("hold", path):
            self._descriptor = descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            if not _taken(descriptor, PATIENCE):
                sentence = self._holder(descriptor)
                self.release()
                raise UserError(sentence)
            _sign(descriptor)
        return self

    def wait(self, tell: Callable[[str], None]) -> Self:
        """Takes it as soon as nobody else has it. Args: tell: called once, with a sentence, where somebody has it."""
        path = self._directory / "lock"
        with storage.user_errors("hold", path):
            self._descriptor = descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            if not _taken(descriptor, PATIENCE):
                tell(self._holder(descriptor))
                _taken(descriptor, math.inf)
            _sign(descriptor)
        return self

    def release(self) -> None:
        """Gives it back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self if self.held else self.hold()

    def __exit__(self, *_) -> None:
        self.release()

    def _holder(self, descriptor: int) -> str:
        """Who has it, a sentence."""
        holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
        return f"another process{holder and ' ' + holder} {self._verb} {self._directory}."


def _taken(descriptor: int, patience: float) -> bool:
    """Whether the file could be locked within so many seconds."""
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)


def _sign(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"(pid {os.getpid()} on {platform.node()})\n".encode())
