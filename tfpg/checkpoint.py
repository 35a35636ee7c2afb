"""How does a run go on where it stopped, and where was it at iteration k? Records of arrays ⇄ files, bit for bit.

    checkpoints/000150.npz   RunState from which iteration 150 follows, and the configuration; the last two are kept
    iterates/000150.npz      θ_150, φ_150 and the normaliser frozen during iteration 150

No pickle. Every array keeps its dtype; optimiser slots are named by position, not by Keras's variable paths, which
count up over the life of a process. Each file carries a SHA-256 sum of its own content: the CRC of a zip archive
covers the bytes of its members, but not their names and order, nor the directory that says which there are."""

from __future__ import annotations

import hashlib
import json
import os
import typing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfpg import settings, storage
from tfpg.config import Config
from tfpg.errors import UserError
from tfpg.types import Learner, Normaliser, RunState, Tensor

KEPT = 2  # checkpoints: the last, and the one before in case the last is damaged
_SUM = "sha256"


class Loaded(NamedTuple):
    """The last good checkpoint of a directory, and what was wrong with later ones."""

    state: RunState | None  # None: there is no checkpoint
    config: Config | None  # of the run that wrote it
    path: Path | None
    warnings: tuple[str, ...]  # one sentence for each damaged checkpoint that was passed over


class Iterate(NamedTuple):
    """One frame of the film: what acted during iteration k."""

    iteration: int  # k
    theta: Tensor  # [P]
    phi: Tensor  # [Q]
    normaliser: Normaliser


def save(directory: str | os.PathLike, state: RunState, config: Config) -> Path:
    """Writes the checkpoint from which iteration `state.iteration` follows; older ones than the last two go.

    Later ones go as well: they are of a future that a resumption has taken back.
    Returns: the file. Errors: UserError when the disk refuses."""
    directory = Path(directory)
    storage.make_directory(directory)
    path = _file(directory, int(state.iteration))
    _write(path, {**named(state, "state/"), "config": _text(json.dumps(settings.to_dict(config)))})
    files = _numbered(directory)
    kept = [number for number in files if number <= state.iteration][-KEPT:]
    for number, file in files.items():
        if number not in kept:
            storage.remove(file)
    return path


def load(directory: str | os.PathLike) -> Loaded:
    """The last checkpoint that is whole; damaged ones are named in `warnings` and passed over.

    Errors: UserError when there are checkpoints and none is whole: to begin anew is for the user to decide."""
    warnings: list[str] = []
    files = _numbered(Path(directory))
    for number in reversed(files):
        path = files[number]
        try:
            state, config = _load(path)
            if state.iteration != number:
                raise UserError(f"{path} is damaged: it holds the state before iteration {state.iteration}.")
            return Loaded(state, config, path, tuple(warnings))
        except UserError as error:
            warnings.append(f"{error} It was passed over.")
    if warnings:
        raise UserError(f"{directory} has no whole checkpoint ({len(warnings)} damaged, the last: {_clause(warnings[0])}); "
                        "to begin the run anew, remove that directory.")
    return Loaded(None, None, None, tuple(warnings))


def save_iterate(directory: str | os.PathLike, k: int, theta: Tensor, phi: Tensor, normaliser: Normaliser) -> Path:
    """Writes θ_k [P], φ_k [Q] and the normaliser frozen during iteration k. Returns: the file."""
    path = _file(Path(directory), k)
    storage.make_directory(path.parent)
    _write(path, named(Iterate(k, theta, phi, normaliser)))
    return path


def load_iterate(directory: str | os.PathLike, k: int) -> Iterate:
    """The inverse of `save_iterate`, as NumPy arrays. Errors: UserError naming a missing or damaged file."""
    path = _file(Path(directory), k)
    arrays = _read(path)
    iterate = _rebuilt(Iterate, arrays, path)
    if int(iterate.iteration) != k:
        raise UserError(f"{path} is damaged: it holds iteration {int(iterate.iteration)}.")
    return iterate._replace(iteration=k)


def named(record: Any, prefix: str = "") -> dict[str, np.ndarray]:
    """The arrays of nested NamedTuples by path: learner/policy_slots/first, …"""
    if not hasattr(record, "_fields"):
        return {prefix.removesuffix("/"): np.asarray(record)}
    arrays = {}
    for name, value in zip(record._fields, record, strict=True):
        arrays.update(named(value, f"{prefix}{name}/"))
    return arrays


def rebuild(kind: type[NamedTuple], arrays: dict[str, Any], prefix: str = "") -> Any:
    """The inverse of `named`: a NamedTuple type and its arrays by path. Errors: KeyError for a missing one."""
    kinds = typing.get_type_hints(kind)
    return kind(*(rebuild(kinds[name], arrays, f"{prefix}{name}/") if hasattr(kinds[name], "_fields")
                  else arrays[prefix + name] for name in kind._fields))


def digest(arrays: dict[str, np.ndarray]) -> bytes:
    """SHA-256 over names, dtypes, shapes and bytes of arrays, in the order of their names."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        total.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        total.update(array.tobytes())
    return total.digest()


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    storage.write_npz(path, **arrays, **{_SUM: np.frombuffer(digest(arrays), np.uint8)})


def _read(path: Path) -> dict[str, np.ndarray]:
    arrays = storage.read_npz(path)
    if not np.array_equal(arrays.pop(_SUM, np.empty(0, np.uint8)), np.frombuffer(digest(arrays), np.uint8)):
        raise UserError(f"{path} is damaged: it differs from the SHA-256 sum that it carries.")
    return arrays


def _load(path: Path) -> tuple[RunState, Config]:
    arrays = _read(path)
    try:
        config = settings.from_dict(json.loads(bytes(arrays.pop("config"))))
    except (KeyError, ValueError) as error:
        raise UserError(f"{path} is of another version: {error}") from None
    state = _rebuilt(RunState, arrays, path, "state/")
    return state._replace(
        iteration=int(state.iteration), env_steps=int(state.env_steps), learner=_tensors(state.learner),
        normaliser=_tensors(state.normaliser), accumulators=tf.constant(state.accumulators)), config


def _rebuilt(kind: type, arrays: dict[str, np.ndarray], path: Path, prefix: str = "") -> Any:
    try:
        record = rebuild(kind, arrays, prefix)
    except KeyError as error:
        raise UserError(f"{path} is of another version: it has no {error.args[0]}.") from None
    if strange := sorted(arrays.keys() - named(record, prefix).keys()):
        raise UserError(f"{path} is of another version: it has {strange[0]}, which nothing reads.")
    return record


def _tensors(record: Learner | Normaliser) -> Any:
    """The same record with tensors, as training makes it: a compiled function is then not traced anew."""
    return tf.nest.map_structure(tf.constant, record)


def _clause(warning: str) -> str:
    return warning.removesuffix(" It was passed over.").rstrip(".")


def _text(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)


def _file(directory: Path, number: int) -> Path:
    return directory / f"{number:06d}.npz"


def _numbered(directory: Path) -> dict[int, Path]:
    """Files by number, in ascending order."""
    with storage.user_errors("read", directory):
        files = list(directory.glob("*.npz")) if directory.is_dir() else []
    return {int(file.stem): file for file in sorted(files, key=lambda f: f.stem.zfill(20)) if file.stem.isdecimal()}
