"""Is a saved policy what was written? The names of a snapshot's files, and the sums that tell.

Nothing here imports TensorFlow: a launcher reads metadata.json before it starts that, and must not believe a damaged one."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tfpg import storage
from tfpg.errors import UserError

METADATA, SUMS = "metadata.json", "SHA256SUMS"
IMPORTED = "imported.json"  # in the place of metadata.json: the policy comes from another library


def write(directory: Path) -> None:
    """Writes SHA256SUMS over every other file, as `sha256sum -c` reads it."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(_sums(directory).items()))
    (directory / SUMS).write_text(lines, encoding="utf-8")


def check(path: Path, metadata: str = METADATA) -> None:
    """Compares every file with its sum.

    Args: metadata: the file that must be among them, besides the graph.
    Errors: UserError, one sentence: no directory, not one of ours, missing, damaged."""
    if not path.is_dir():
        raise UserError(f"{path} is no directory." if path.exists() else f"there is no directory {path}.")
    try:
        recorded = (path / SUMS).read_text(encoding="utf-8").splitlines() if (path / SUMS).exists() else None
    except (OSError, ValueError):
        raise UserError(f"{path / SUMS} is damaged: it cannot be read.") from None
    if recorded is None:
        if (path / metadata).exists():
            raise UserError(f"{path / SUMS} is missing, so {path} cannot be checked.")
        raise UserError(f"{path} is a SavedModel without tfpg's endpoints: it was not written by tfpg."
                        if (path / "saved_model.pb").exists() else f"{path} holds no SavedModel.")
    expected = {name: total for total, name in (line.split("  ", 1) for line in recorded if "  " in line)}
    if len(expected) != len(recorded) or not {metadata, "saved_model.pb"} <= expected.keys():
        raise UserError(f"{path / SUMS} is damaged: it is no list of sums.")
    with storage.user_errors("read", path):
        found = _sums(path)
    for name, total in expected.items():
        if name not in found:
            raise UserError(f"{path / name} is missing.")
        if found[name] != total:
            raise UserError(f"{path / name} is damaged: it differs from its sum in {SUMS}.")


def _sums(directory: Path) -> dict[str, str]:
    """SHA-256 of every file but SHA256SUMS, by relative name."""
    files = sorted(file for file in directory.rglob("*") if file.is_file() and file.name != SUMS)
    return {file.relative_to(directory).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
