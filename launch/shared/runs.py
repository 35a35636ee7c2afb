"""Which run does --run name?"""

from __future__ import annotations

import os
from pathlib import Path

from tfpg.errors import UserError
from tfpg.run_directory import RunDirectory

_CONFIG = "config.json"  # what every run directory has


def named(given: str | None) -> RunDirectory:
    """Errors: UserError where none is named, there is none, or its configuration is damaged."""
    if not given:
        raise UserError("which run? --run=DIR names the directory of a training run, such as runs/trpo-Hopper-v5-0.")
    path = Path(os.path.abspath(Path(given).expanduser()))
    if not path.is_dir():
        raise UserError(f"there is no directory {path}{_choose(path.parent)}.")
    if not (path / _CONFIG).exists():
        own = next((above for above in list(path.parents)[:2] if (above / _CONFIG).exists()), None)
        if own is not None:
            raise UserError(f"{path} is a part of a run, --run takes the whole: did you mean {own}?")
        if choice := _choose(path):
            raise UserError(f"{path} is no run directory but holds such{choice}.")
    run = RunDirectory(path)
    run.config  # noqa: B018  (one sentence where it is none, or damaged)
    return run


def _choose(directory: Path) -> str:
    """The runs in a directory, to choose from; nothing where there are none."""
    known = sorted(entry.name for entry in directory.glob("*") if (entry / _CONFIG).exists())
    return f": choose one of {', '.join(known)} in {directory}" if known else ""
