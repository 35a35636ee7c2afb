"""Who works in a directory? A file that one process holds; the death of its holder releases it."""

from __future__ import annotations

import fcntl
import os
import platform
import time
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
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                self._wait()
            except BlockingIOError:
                holder = os.read(self._descriptor, 200).decode(errors="replace").strip()
                self.release()
                raise UserError(f"another process{holder and ' ' + holder} {self._verb} {self._directory}.") from None
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, f"(pid {os.getpid()} on {platform.node()})\n".encode())
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

    def _wait(self) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
