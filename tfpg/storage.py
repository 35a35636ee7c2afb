"""How does a file get onto the disk so that a kill at any moment leaves either the old one or the new one?

Everything is written under a temporary name in the same directory, flushed to the disk, then renamed. Below a
directory that has a manifest, each of these writes is also recorded there, with SHA-256 sums:

    1. write the temporary file, flush it      a kill here leaves a stray temporary file
    2. append its line to manifest.jsonl       from here on the new content counts
    3. rename it                               a kill before this is made good by the next writer (`settle`)

So the manifest never disagrees with the files, except where something damaged them: `verify` tells.
Files that grow line by line (metrics.jsonl) are not in the manifest; a torn last line is passed over."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import secrets
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tfpg.errors import UserError

MANIFEST = "manifest.jsonl"
_HEADER = b'{"manifest": "tfpg", "sums": "sha256"}\n'
_TEMPORARY = ".tfpg-tmp-"
_ZIP_END = struct.Struct("<4s4H2LH")  # a zip's last record, where it has no comment: signature, disks, members here, members, …
_DEPTH = 4  # how far above a file its manifest may be: policies/000150/variables/… is three levels deep


# Writing


@contextlib.contextmanager
def atomically(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path beside `path`; the file or directory written there becomes `path` when the block ends well.

    An existing `path` is replaced. If the block fails, the temporary goes and `path` stays as it was.
    Errors: UserError, one sentence, when the disk refuses."""
    path = _absolute(path)
    temporary = _temporary(path)
    with user_errors("write", path):
        try:
            yield temporary
            _flush_tree(temporary)
            sums = _sums(temporary)
        except BaseException:
            _discard(temporary)
            raise
        _commit(temporary, path, sums)


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Writes `data` atomically."""
    with atomically(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes `text` atomically, UTF-8."""
    # A lone surrogate (a file name that is not UTF-8) becomes \udcXX, which JSON reads back.
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Writes plain JSON values atomically, indented. Errors: ValueError for nan and inf, which JSON does not have."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_npz(path: str | os.PathLike, /, **arrays: Any) -> None:
    """Writes arrays by name atomically. Equal arrays make equal bytes. Errors: ValueError for object arrays."""
    with atomically(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, value in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(value), allow_pickle=False)


def make_directory(path: str | os.PathLike) -> None:
    """Makes a directory and those above it."""
    with user_errors("make the directory", path):
        Path(path).mkdir(parents=True, exist_ok=True)


def remove(path: str | os.PathLike) -> None:
    """Removes a file or directory, and its sums from the manifest."""
    path = _absolute(path)
    with user_errors("remove", path):
        root = manifest_root(path)
        if root is not None:
            with _locked(root) as manifest:
                _settle(root, manifest)
                _append(manifest, _line(root, path, {}, None))
                _discard(path)
        else:
            _discard(path)


# Reading


def read_json(path: str | os.PathLike) -> Any:
    """The value in a JSON file.

    Errors: UserError naming the file when it is missing or damaged; below a manifest also when it differs from its recorded sum,
    for a digit may be another one and the text be JSON still."""
    for _ in range(2):  # it may have been replaced between the reading of it and of its sum
        with user_errors("read", path):
            data = Path(path).read_bytes()
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path} is damaged: it is no JSON ({short(error)}).") from None
        if _recorded_sum(_absolute(path)) in (None, hashlib.sha256(data).hexdigest()):
            return value
    raise UserError(f"{path} is damaged: it differs from its sum in {MANIFEST}.")


def read_npz(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of a file by `write_npz`. Errors: UserError naming the file when it is missing or damaged."""
    with user_errors("read", path), open(path, "rb") as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                # A damaged length within the list of members makes the ones that follow disappear; its end says how many there are.
                file.seek(-_ZIP_END.size, os.SEEK_END)
                mark, *_, count = _ZIP_END.unpack(file.read(_ZIP_END.size))[:5]
                if mark == b"PK\5\6" and count != len(archive.zip.namelist()):
                    raise ValueError("its list of arrays is cut")
                # Each member wholly: an array whose header was damaged to a shorter one ends before its CRC is looked at.
                members = {name.removesuffix(".npy"): archive.zip.read(name) for name in archive.zip.namelist()}
                return {name: np.lib.format.read_array(io.BytesIO(data), allow_pickle=False) for name, data in members.items()}
        except Exception as error:  # noqa: BLE001  a flipped bit can fail anywhere in zipfile, zlib, NumPy's reader
            raise UserError(f"{path} is damaged: it cannot be read as arrays ({short(error)}).") from None


# Files that grow line by line


def append_line(path: str | os.PathLike, text: str) -> None:
    """Appends one line and flushes it to the disk; what a kill left of a torn last line is cut off before.

    One writer at a time. Errors: ValueError when `text` itself has a line break."""
    if "\n" in text:
        raise ValueError("a line must not contain a line break")
    with user_errors("write", path), open(path, "a+b") as file:
        _append(file, text.encode("utf-8", "backslashreplace") + b"\n")


def read_lines(path: str | os.PathLike) -> list[str]:
    """The complete lines of a file, without a torn last one; none when there is no file."""
    with user_errors("read", path):
        try:
            data = Path(path).read_bytes()
        except FileNotFoundError:
            return []
    try:
        return data[: data.rfind(b"\n") + 1].decode("utf-8").split("\n")[:-1]
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is damaged: it is no text ({short(error)}).") from None


def read_records(path: str | os.PathLike) -> list[dict[str, Any]]:
    """The lines of a JSON-lines file as dictionaries. Errors: UserError naming file and line when one is damaged."""
    records = []
    for number, line in enumerate(read_lines(path), start=1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise UserError(f"{path} is damaged: line {number} is no JSON object.")
        records.append(record)
    return records


def cut_lines(path: str | os.PathLike, keep: int) -> None:
    """Keeps the first `keep` lines: metrics back to a checkpoint.

    Errors: UserError when the file has fewer, for then something is lost."""
    with user_errors("write", path), open(path, "a+b") as file:
        file.seek(0)
        end = 0
        for number in range(keep):
            line = file.readline()
            if not line.endswith(b"\n"):
                raise UserError(f"{path} is damaged: it has {number} complete lines where {keep} are needed.")
            end += len(line)
        file.truncate(end)
        os.fsync(file.fileno())


# The manifest


def create_manifest(directory: str | os.PathLike) -> None:
    """Starts a manifest in `directory` unless it has one: writes below it are recorded from now on."""
    directory = _absolute(directory)
    if manifest_root(directory) != directory:
        write_bytes(directory / MANIFEST, _HEADER)


def manifest_root(path: str | os.PathLike) -> Path | None:
    """The nearest directory at or above `path` that has a manifest of ours, if any."""
    path = _absolute(path)
    for directory in (path, *path.parents)[: _DEPTH + 1]:
        try:
            with open(directory / MANIFEST, "rb") as file:
                if file.read(len(_HEADER)) == _HEADER:
                    return directory
        except OSError:
            continue
    return None


def settle(directory: str | os.PathLike) -> None:
    """Finishes a recorded write that a kill kept from its rename."""
    root = manifest_root(directory)
    if root is not None:
        with user_errors("write", root / MANIFEST), _locked(root) as manifest:
            _settle(root, manifest)


def verify(path: str | os.PathLike) -> list[str]:
    """What is wrong with the recorded files at or below `path`, a sentence each; empty when all is well.

    Errors: UserError when there is no manifest at or above `path`, or it is damaged itself."""
    path = _absolute(path)
    root = manifest_root(path)
    if root is None:
        raise UserError(f"{path} cannot be verified: there is no {MANIFEST} in it or above it.")
    faults = []
    for name, digest in sorted(_sums_of(root).items()):
        file = root / name
        if file != path and path not in file.parents:
            continue
        try:
            if _digest(file) != digest:
                faults.append(f"{file} is damaged: it differs from its recorded sum.")
        except FileNotFoundError:
            faults.append(f"{file} is missing.")
        except OSError as error:
            faults.append(f"{file} cannot be read: {_reason(error)}.")
    return faults


def remove_temporaries(directory: str | os.PathLike) -> None:
    """Removes what killed writers left in `directory` itself. Only where no other process is writing; settle first."""
    with user_errors("clean", directory):
        for entry in Path(directory).iterdir():
            if is_temporary(entry.name):
                _discard(entry)


def is_temporary(name: str) -> bool:
    """Whether a file name is one of our temporary names."""
    return name.startswith(_TEMPORARY)


def _commit(temporary: Path, path: Path, sums: dict[str, str]) -> None:
    root = manifest_root(path.parent)
    if root is None:
        _install(temporary, path)
        return
    with _locked(root) as manifest:
        _settle(root, manifest)
        _append(manifest, _line(root, path, sums, temporary))
        _install(temporary, path)


def _install(temporary: Path, path: Path) -> None:
    old = None
    if path.is_dir() and not path.is_symlink():  # a rename does not replace a directory that has files
        old = _temporary(path)
        os.rename(path, old)
    os.replace(temporary, path)
    sync(path.parent)
    if old is not None:
        _discard(old)


def _settle(root: Path, manifest: BinaryIO) -> None:
    record = _last(root, manifest)
    if record.get("temporary") and (temporary := root / record["temporary"]).exists():
        _install(temporary, root / record["path"])


def _sums_of(root: Path, about: Callable[[str], bool] = lambda line: True) -> dict[str, str]:
    """Sums by name. Args: about: which lines are looked at."""
    lines = read_lines(root / MANIFEST)
    sums: dict[str, str] = {}
    for number, line in enumerate(lines[1:], start=2):
        if not about(line):
            continue
        try:
            record = json.loads(line)
            target = record["path"]
            pending = number == len(lines) and record.get("temporary") and (root / record["temporary"]).exists()
            if pending and os.path.lexists(root / target):
                break  # recorded, not yet renamed: what is there is what was there before
            sums = {name: digest for name, digest in sums.items()
                    if name != target and not name.startswith(target + "/")}
            if pending:
                break  # nothing is there: never was, or a directory that is being replaced has been moved out of the way
            sums.update({f"{target}/{name}" if name else target: digest for name, digest in record["sums"].items()})
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
            raise UserError(f"{root / MANIFEST} is damaged: line {number} is no record.") from None
    return sums


def _recorded_sum(path: Path) -> str | None:
    """The sum that the manifest above a file has for it, if any. Only lines that name it are parsed: a manifest has thousands."""
    root = manifest_root(path.parent)
    if root is None:
        return None
    name = path.relative_to(root)
    words = [f"{json.dumps(name.name)[1:-1]}\"", *(f"\"path\": {json.dumps(above.as_posix())}" for above in name.parents)]
    return _sums_of(root, lambda line: any(word in line for word in words)).get(name.as_posix())


def _line(root: Path, path: Path, sums: dict[str, str], temporary: Path | None) -> bytes:
    record = {"path": path.relative_to(root).as_posix(), "sums": sums}
    if temporary is not None:
        record["temporary"] = temporary.relative_to(root).as_posix()
    return json.dumps(record).encode() + b"\n"


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[BinaryIO]:
    with open(root / MANIFEST, "a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed, also by the death of the process
        yield file


def _append(file: BinaryIO, line: bytes) -> None:
    end = _complete(file)
    if end != file.seek(0, os.SEEK_END):
        file.truncate(end)
    file.write(line)
    file.flush()
    os.fsync(file.fileno())


def _last(root: Path, file: BinaryIO) -> dict[str, Any]:
    end = _complete(file)
    file.seek(_line_start(file, end - 1))
    try:
        record = json.loads(file.read(end - file.tell()))
        return {key: str(record[key]) for key in ("path", "temporary") if key in record}
    except (ValueError, TypeError):
        raise UserError(f"{root / MANIFEST} is damaged: its last line is no record.") from None


def _complete(file: BinaryIO) -> int:
    """Length of the file without a torn last line."""
    return _line_start(file, file.seek(0, os.SEEK_END))


def _line_start(file: BinaryIO, end: int) -> int:
    """Where the line begins that holds the byte before `end` (or that would begin at `end`)."""
    start, step = end, 4096
    while start > 0:
        start = max(0, start - step)
        file.seek(start)
        position = file.read(min(step, end - start)).rfind(b"\n")
        if position >= 0:
            return start + position + 1
        end = start
    return 0


def fingerprint(path: str | os.PathLike) -> str:
    """SHA-256 of a file, or of a directory's names and files. Errors: UserError when it cannot be read."""
    with user_errors("read", path):
        sums = _sums(Path(path))
    return hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in sums.items()).encode()).hexdigest()


# Helpers


@contextlib.contextmanager
def user_errors(verb: str, path: str | os.PathLike) -> Iterator[None]:
    """What the operating system refuses, as a UserError of one sentence."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot {verb} {path}: {_reason(error)}.") from error


def _reason(error: OSError) -> str:
    return (error.strerror or short(error)).lower()


def short(error: BaseException) -> str:
    """The first line of what went wrong, without its full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:200]


def _absolute(path: str | os.PathLike) -> Path:
    return Path(os.path.abspath(path))


def _temporary(path: Path) -> Path:
    return path.with_name(f"{_TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}-{path.name}")


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Waits until a file, or the names in a directory, are on the disk: a power cut does not take them."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_tree(path: Path) -> None:
    for directory, _, names in os.walk(path):
        for name in names:
            sync(Path(directory) / name)
        sync(Path(directory))
    if not path.is_dir():
        sync(path)


def _sums(path: Path) -> dict[str, str]:
    """SHA-256 by relative name; the name of a single file is empty."""
    if not path.is_dir():
        return {"": _digest(path)}
    return {file.relative_to(path).as_posix(): _digest(file) for file in sorted(path.rglob("*")) if file.is_file()}


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
