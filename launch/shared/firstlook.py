"""What did a first look at a policy say, and is it the same policy still? Kept, for budgets must not change on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfpg import storage
from tfpg.diagnostics import parts, returns
from tfpg.diagnostics.probe import Subject
from tfpg.errors import UserError

PILOT = "pilot.json"
_IDENTITY = ("task", "env_args", "algorithm", "preset", "run_seed", "iteration", "endpoint", "log_std", "theta_sha256",
             "normaliser_sha256", "function_sha256")  # what tells a policy from others, wherever it lies


def look(subject: Subject, directory: Path, *, seed: int, threads: int, max_steps: int | None = None) -> returns.Pilot:
    """The first look that a directory holds, or a new one, stored there.

    Errors: UserError where the directory belongs to another policy, its file is damaged, or the disk refuses."""
    path, facts = directory / PILOT, subject.provenance()
    identity = {name: facts[name] for name in _IDENTITY if name in facts}
    asked = {"seed": seed, "max_steps": max_steps}
    if path.exists() and (kept := _kept(path, identity, asked)) is not None:
        return kept
    storage.make_directory(directory)
    found = returns.pilot(subject, seed, threads=threads, max_steps=max_steps)
    record = {"subject": identity, **asked, **found._asdict()}
    storage.write_json(path, {**record, "sum": parts.identity(record)})
    return found


def _kept(path: Path, identity: dict[str, Any], asked: dict[str, Any]) -> returns.Pilot | None:
    """What was seen before; None where it was asked otherwise, as a dry run may have."""
    found = storage.read_json(path)
    try:
        if found.pop("sum", None) not in (None, parts.identity(found)):  # None: of an older version
            raise ValueError("another digit is JSON still")
        pilot = returns.Pilot(**{name: found[name] for name in returns.Pilot._fields})
        there = dict(found.get("subject", identity))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UserError(f"{path} is damaged or of another version: remove it, and the same command looks again.") from None
    for name in {**there, **identity}:
        if there.get(name) != identity.get(name):
            raise UserError(f"{path.parent} holds a survey of another policy ({name}: {there.get(name)} there, "
                            f"{identity.get(name)} asked): --output=DIR takes this one elsewhere.")
    return pilot if all(found.get(name, value) == value for name, value in asked.items()) else None
