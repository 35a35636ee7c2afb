"""Which run does --run name?"""

from __future__ import annotations

import os
from pathlib import Path

from tfpg.errors import UserError
from tfpg.run_directory import RunDirectory


def named(given: str | None) -> RunDirectory:
    """Errors: UserError where none is named, there is none, or its configuration is damaged."""
    if not given:
        raise UserError("which run? --run=DIR names the directory of a training run, such as runs/trpo-Hopper-v5-0.")
    path = Path(os.path.abspath(Path(given).expanduser()))
    if not path.is_dir():
        raise UserError(f"there is no directory {path}.")
    run = RunDirectory(path)
    run.config  # noqa: B018  (one sentence where it is none, or damaged)
    return run
