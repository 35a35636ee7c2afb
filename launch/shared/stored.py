"""What lies in the directory of a result already, and may this command go on with it?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from launch.shared import plans
from tfpg import storage
from tfpg.diagnostics import results
from tfpg.errors import UserError
from tfpg.lock import Lock

PLAN = "plan.json"


def loaded(path: Path) -> xr.Dataset:
    """A result. Errors: UserError for a damaged one, which says how to have it again."""
    try:
        return results.load(path)
    except UserError as error:
        raise UserError(f"{str(error).rstrip('.')}: remove it, and the same command makes it anew from what was played.") from error


def plan_of(directory: Path) -> dict[str, Any] | None:
    """The settings of what was measured here; None where nothing was. Errors: UserError for a damaged file."""
    path = directory / PLAN
    if not path.exists() or not ((directory / "parts").exists() or any(directory.glob("*.nc"))):
        return None
    there = storage.read_json(path)
    if not isinstance(there, dict):
        raise UserError(f"{path} is damaged: it holds no settings; remove {directory}, or --output=DIR takes this elsewhere.")
    return there


@contextlib.contextmanager
def held(directories: Sequence[Path]) -> Iterator[None]:
    """The directories, for one process. Errors: UserError where another one measures into one of them."""
    with contextlib.ExitStack() as stack:
        for directory in dict.fromkeys(directories):
            storage.make_directory(directory)
            stack.enter_context(Lock(directory, "measures into"))
        yield


def check(directory: Path, plan: Any) -> None:
    """Errors: UserError where the directory holds results of other settings."""
    there = plan_of(directory)
    if there is not None:
        check_alike(directory, there, plan)


def check_alike(directory: Path, there: dict[str, Any], plan: Any) -> None:
    """Errors: UserError where two plans differ, for that would mix their results."""
    if differs := plans.difference(there, plans.as_json(plan)):
        raise UserError(f"{directory} holds results of other settings ({differs}): --output=DIR takes these elsewhere.")
