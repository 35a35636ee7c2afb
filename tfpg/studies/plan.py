"""Of what does a study consist, for who looks at its directory later? study.json: its name, what it is about, and its jobs.

Written when a study begins or goes on; a report reads it to say what is missing."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tfpg import storage
from tfpg.errors import UserError
from tfpg.studies.jobs import DONE, FAILED, Job

FILE = "study.json"


class Plan(NamedTuple):
    """A study as it was begun."""

    directory: Path
    name: str
    about: str
    jobs: dict[str, str]  # name ↦ identity


class Undone(NamedTuple):
    """What a study lacks."""

    failed: dict[str, str]  # name ↦ reason
    waiting: list[str]  # not ended, or ended as another edition's


def write(directory: Path, name: str, about: str, jobs: Sequence[Job]) -> None:
    """Keeps it, where it is not kept already. Errors: UserError when the disk refuses."""
    record = {"name": name, "about": about, "jobs": {job.name: job.identity for job in jobs}}
    path = directory / FILE
    with contextlib.suppress(UserError):  # a damaged one is written anew
        if path.exists() and storage.read_json(path) == record:
            return
    storage.write_json(path, record)


def read(directory: Path) -> Plan | None:
    """None where the directory is no study's. Errors: UserError for a damaged file."""
    path = directory / FILE
    if not path.exists():
        return None
    record = storage.read_json(path)
    try:
        return Plan(directory, str(record["name"]), str(record["about"]), {str(name): str(each) for name, each in record["jobs"].items()})
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged: it names no study and jobs; python -m launch.study writes it anew.") from error


def undone(plan: Plan) -> Undone:
    """Jobs that are not done, by their records."""
    failed, waiting = {}, []
    for name, identity in plan.jobs.items():
        try:
            record = storage.read_json(plan.directory / "jobs" / f"{name}.json")
            current, state, reason = record["identity"] == identity, record["state"], record["reason"]
        except (UserError, KeyError, TypeError):
            waiting.append(name)
            continue
        if current and state == FAILED:
            failed[name] = str(reason)
        elif not current or state != DONE:
            waiting.append(name)
    return Undone(failed, waiting)
