"""What of a study's records do published results hold, and how does a study go on from them?

    study.json     the plan           jobs/<job>.json     of every job of a run that was kept: its command, seconds and processor"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from launch.studies.jobs import Agent, jobs
from tfpg import storage
from tfpg.errors import UserError
from tfpg.studies import plan
from tfpg.studies.jobs import DONE, Ledger

_PLACES = ("--workdir=runs/", "--run=runs/", "--policy=runs/")


def keep(study: Path, output: Path) -> None:
    """The records of a study, of those runs that were kept; nothing where the directory is none's. Errors: UserError when the disk refuses."""
    if not (study / plan.FILE).exists():
        return
    storage.write_json(output / plan.FILE, storage.read_json(study / plan.FILE))
    for path, record in _records(study):
        run = _run_of(record)
        if record.get("state") == DONE and run is not None and (output / "runs" / run / "finished.json").exists():
            # Without the machine's name, and without sizes: what was kept is shorter than what the job left.
            where = str(record.get("where", "")).partition(", ")[2]
            storage.make_directory(output / "jobs")
            storage.write_json(output / "jobs" / path.name, {**record, "where": where, "sizes": {}})


def seconds(output: Path) -> dict[str, float]:
    """What all jobs took, by instrument: the first word of their names."""
    found: dict[str, float] = {}
    for path, record in _records(output):
        name = path.name.partition(".")[0]
        found[name] = found.get(name, 0.0) + float(record.get("seconds", 0.0))
    return found


def take(published: Path, agents: Iterable[Agent], directory: Path) -> tuple[list[str], list[str]]:
    """Takes every agent whose jobs are all done there, and of which nothing is in `directory` yet; the others' would mix two machines' bits.

    Returns: labels of those taken, and of those that are there in part. Errors: UserError where nothing was published, or the disk refuses."""
    if not (published / plan.FILE).exists():
        raise UserError(f"{published} holds no published study: it has no {plan.FILE}.")
    ledger, taken, partly = Ledger(published), [], []
    for agent in agents:
        own = jobs([agent])
        source, target = published / "runs" / agent.label, directory / "runs" / agent.label
        if target.exists() or not source.is_dir():
            continue
        if len(ledger.endings(own)) < len(own):
            partly.append(agent.label)
            continue
        with storage.user_errors("write", target):
            shutil.copytree(source, target)
            (directory / "jobs").mkdir(parents=True, exist_ok=True)
            for job in own:
                if (published / "jobs" / f"{job.name}.json").exists():
                    shutil.copyfile(published / "jobs" / f"{job.name}.json", directory / "jobs" / f"{job.name}.json")
        taken.append(agent.label)
    return taken, partly


def _records(directory: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Of jobs; damaged ones are passed over."""
    for path in sorted((directory / "jobs").glob("*.json")):
        try:
            record = storage.read_json(path)
        except UserError:
            continue
        if isinstance(record, dict):
            yield path, record


def _run_of(record: Mapping[str, Any]) -> str | None:
    """The label of the run that a job is of."""
    for argument in map(str, record.get("command") or []):
        for place in _PLACES:
            if argument.startswith(place):
                return argument.removeprefix(place).partition("/")[0]
    return None
