"""What of a long computation is done already? Arrays by what they depend on: one file each, kept as they come.

    parts = Parts(directory / "parts")
    arrays = parts.kept({"policy": …, "pairs": 2048}, {"gradient": (P,)}, lambda: {"gradient": …})

A killed instrument reads what it finds and computes the rest; the same question gives the same bits again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfpg import storage
from tfpg.errors import UserError


class Parts:
    """Parts that are done. Args: directory: theirs; None: nothing is kept."""

    def __init__(self, directory: Path | None):
        self.directory = None if directory is None else Path(directory)

    def kept(self, facts: Mapping[str, Any], shapes: Mapping[str, tuple[int | None, ...]],
             compute: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """The arrays of a part: read where they were computed before, computed and kept otherwise.

        Args: facts: all that their bits depend on, as JSON takes it. shapes: by name; None is any length.
        Errors: UserError when the file is damaged."""
        found = self.get(facts, shapes)
        return self.put(facts, shapes, compute()) if found is None else found

    def get(self, facts: Mapping[str, Any], shapes: Mapping[str, tuple[int | None, ...]]) -> dict[str, np.ndarray] | None:
        """The arrays of a part that was computed before, else None. Args, errors: as of `kept`."""
        path = self._path(facts)
        if path is None or not path.exists():
            return None
        try:
            arrays = storage.read_npz(path)
        except UserError as error:
            raise UserError(f"{str(error).rstrip('.')}: remove it to compute it again.") from error
        # A zip's sums cover its members, not their names.
        if arrays.keys() != shapes.keys() or not all(_fits(arrays[name].shape, shapes[name]) for name in shapes):
            raise UserError(f"{path} is damaged: it does not hold {', '.join(shapes)} of the right shapes; remove it to "
                            "compute it again.")
        return arrays

    def put(self, facts: Mapping[str, Any], shapes: Mapping[str, tuple[int | None, ...]],
            arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Keeps a part that was computed now. Returns: its arrays."""
        path, arrays = self._path(facts), {name: np.asarray(array) for name, array in arrays.items()}
        if arrays.keys() != shapes.keys() or not all(_fits(arrays[name].shape, shapes[name]) for name in shapes):
            raise ValueError(f"computed {({name: array.shape for name, array in arrays.items()})}, not {dict(shapes)}")
        if path is not None:
            storage.make_directory(path.parent)
            storage.write_npz(path, **arrays)
        return arrays

    def _path(self, facts: Mapping[str, Any]) -> Path | None:
        return None if self.directory is None else self.directory / f"{identity(facts)}.npz"


def identity(facts: Mapping[str, Any]) -> str:
    """A name for all that a part's bits depend on; 32 hexadecimal digits."""
    return digest(np.frombuffer(json.dumps(facts, sort_keys=True, default=str).encode(), np.uint8))[:32]


def digest(*arrays: np.ndarray) -> str:
    """SHA-256 over arrays, shapes and dtypes included."""
    total = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        total.update(f"{array.dtype.str}{array.shape}".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(w in (None, s) for s, w in zip(shape, wanted, strict=True))
