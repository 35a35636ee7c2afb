"""Which saved policy does a flag name, how must TensorFlow be started for it, and where do results go?

Shared by every launcher that looks at a policy. Nothing here imports TensorFlow: bad input is answered before its seconds."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from tfpg import run_directory, settings, storage, sums
from tfpg.config import Runtime
from tfpg.errors import UserError

_OURS = (sums.METADATA, sums.SUMS)  # what tfpg.snapshot writes beside a SavedModel, and nobody else


def named(given: str | None, flag: str = "policy") -> Path:
    """The path of a policy.

    Args: flag: that names it. Errors: UserError where none is given, for a run in the place of one of its policies, and
    where there is nothing, or nothing that could be a policy."""
    if not given:
        raise UserError(f"which policy? --{flag}=DIR names the directory of a SavedModel, such as runs/…/policies/000450.")
    path = Path(os.path.abspath(Path(given).expanduser()))
    if not (path / _OURS[0]).exists() and (path / "policies").is_dir():
        raise UserError(f"{path} is a run, --{flag} takes one of its policies: {_choose(path / 'policies')}.")
    if not path.exists():
        hint = f": {_choose(path.parent)}" if path.parent.name == "policies" and path.parent.is_dir() else ""
        raise UserError(f"there is no {'file' if path.suffix else 'directory'} {path}{hint}.")
    if path.is_dir() and not any((path / name).exists() for name in ("saved_model.pb", *_OURS)):
        raise UserError(f"{path} holds no SavedModel.")
    return path


def is_foreign(policy: Path) -> bool:
    """Whether other code wrote a policy: as tfpg.diagnostics.foreign.is_foreign says, which needs TensorFlow."""
    ours = any((policy / name).exists() for name in _OURS)
    return policy.suffix == ".keras" or (policy / "saved_model.pb").exists() and not ours


def runtime_of(policy: Path) -> Runtime:
    """The thread counts that the policy was trained with: they change the bits, and are fixed when TensorFlow starts.

    Errors: UserError for a directory that is not what was written: a flipped bit could be in the thread counts."""
    file = policy / sums.METADATA
    if not file.exists():
        return Runtime()  # loading it says what is wrong
    sums.check(policy)
    metadata = storage.read_json(file)
    try:
        return settings.from_dict(metadata["settings"]).runtime
    except (KeyError, TypeError):
        raise UserError(f"{file} is damaged or of another version: it has no settings.") from None


def runtime_of_all(paths: Sequence[Path]) -> Runtime:
    """The runtime settings that all of them were trained with. Errors: UserError where they differ, and as of `runtime_of`."""
    found = {runtime_of(path) for path in paths}
    if len(found) > 1:
        raise UserError("the policies were trained with different runtime settings, which change every bit: look at them one "
                        "command each.")
    return found.pop()


def output(given: str | None, policy: Path) -> Path:
    """Where results go: what is given, the diagnostics of the policy's run, or the current directory."""
    if given is not None:
        return Path(given).expanduser()
    run = policy.parent.parent
    if policy.parent.name == "policies" and (run / "config.json").exists():
        return run_directory.RunDirectory(run).diagnostics
    return Path.cwd()


def directory(given: str | None, policy: Path, instrument: str, name: str) -> Path:
    """Where the results of one policy go: <instrument>/<iteration>-<name> among the diagnostics of its run; below a directory that
    was given its run is named too, so that it lies there whatever policies are looked at beside it."""
    name = f"{policy.name}-{name}"
    metadata = storage.read_json(policy / sums.METADATA) if given is not None else None
    if metadata is not None:
        name = f"{metadata['preset']}-{metadata['task']['id']}-{metadata['seed']}-{name}"
    return output(given, policy) / instrument / re.sub(r"[^\w.-]+", "-", name)


def check_apart(paths: Sequence[Path], directories: Sequence[Path]) -> None:
    """Errors: UserError where two policies would share a directory."""
    taken: dict[Path, Path] = {}
    for path, directory in zip(paths, directories, strict=True):
        if path in taken.values():
            raise UserError(f"policy={path} is given twice.")
        if directory in taken:
            raise UserError(f"{taken[directory]} and {path} would both be stored in {directory}: look at them one command each, "
                            "with --output.")
        taken[directory] = path


def _choose(policies: Path) -> str:
    known = sorted(entry.name for entry in policies.iterdir() if (entry / _OURS[0]).exists())
    return f"choose one of {', '.join(known)} in {policies}" if known else f"there is none yet in {policies}"
