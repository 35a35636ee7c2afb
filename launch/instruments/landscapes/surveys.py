"""How are several policies surveyed? Announce the cost, measure surface by surface, store, draw, say what was found.

Everything that is finished is a file: the same command again reads it, and goes on where it was."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from launch.instruments.landscapes import numbers, shares
from launch.instruments.landscapes.announcing import announcement
from launch.instruments.landscapes.plan import NEEDS_TRAINING, SURFACES, Plan, Share
from launch.instruments.landscapes.surveying import Survey
from launch.shared import pictures, policies, stored
from launch.shared.commandline import say
from launch.shared.firstlook import PILOT
from launch.shared.numbers import title
from launch.shared.plans import as_json
from tfpg import storage
from tfpg.config import Runtime
from tfpg.diagnostics import foreign as other_code
from tfpg.diagnostics import probe, results
from tfpg.diagnostics.probe import Probe, Subject
from tfpg.report.progress import Budget

NUMBERS = "numbers.txt"


def run(paths: Sequence[Path], plan: Plan, surfaces: tuple[str, ...] | None, *, runtime: Runtime, output: str | None,
        dry_run: bool, share: Share | None, foreign: dict[str, Any] | None) -> int:
    """Surveys of all policies, one after the other; every policy's input is checked before the first is played.

    Args: share: that is played of each; None: all of it, and results. foreign: how policies of other code are read.
    Returns: the exit code."""
    subjects = [_subject(path, foreign) for path in paths]
    directories = [_directory(output, path, subject, plan, len(paths)) for path, subject in zip(paths, subjects, strict=True)]
    policies.check_apart(paths, directories)

    def begun() -> list[Survey]:
        return _begun(subjects, directories, plan, surfaces, threads=runtime.env_threads, dry_run=dry_run)

    if share is not None and not dry_run:
        with shares.alone(directories):
            surveys = begun()
            for survey in surveys:
                shares.prepare(survey)
        if share.number:
            shares.play(surveys, share)
        return 0
    surveys = begun()
    if dry_run:
        return 0
    with Budget(sum(task.total for survey in surveys for task in survey.tasks())) as budget:
        found = [_surveyed(survey, budget) for survey in surveys]
    if len(found) > 1:
        say(f"panels of all policies: {pictures.panels(found, directories[0].parent)}")
    return 0


def _begun(subjects: Sequence[Subject], directories: Sequence[Path], plan: Plan, surfaces: tuple[str, ...] | None, *, threads: int,
           dry_run: bool) -> list[Survey]:
    """Every policy looked at, its cost announced, and its plan stored."""
    plans = [_plan_of(subject, plan, directory) for subject, directory in zip(subjects, directories, strict=True)]
    surveys = []
    for subject, own, directory in zip(subjects, plans, directories, strict=True):
        if not (directory / PILOT).exists():
            say(f"first look at {subject.path} …")
        surveys.append(Survey(subject, own, _surfaces(subject, plan, surfaces), directory, threads))
    say(announcement(surveys))
    for survey in () if dry_run else surveys:
        storage.write_json(survey.directory / stored.PLAN, as_json(survey.plan))
    return surveys


def _surveyed(survey: Survey, budget: Budget) -> dict[str, xr.Dataset]:
    """One policy: what is missing is measured, all of it drawn and said."""
    found: dict[str, xr.Dataset] = {}
    for name in survey.surfaces:
        path = survey.directory / f"{name}.nc"
        if name in survey.missing:
            budget.begin(f"{name} of {title(survey.subject)}")
            results.save(survey.measure(name, budget.advance), path)
        found[name] = stored.loaded(path)
    pictures.draw(found, survey.directory, survey.missing)
    paths = {name: survey.directory / f"{name}.nc" for name in SURFACES}
    everything = {name: found[name] if name in found else stored.loaded(path) for name, path in paths.items() if path.exists()}
    storage.write_text(survey.directory / NUMBERS, numbers.report(survey.subject, everything, 120).lstrip() + "\n")
    with budget.aside():
        say(numbers.report(survey.subject, found))
        say(f"stored in {survey.directory}: {', '.join(f'{name}.nc' for name in found)}, figures beside them")
    return found


def _subject(path: Path, given: dict[str, Any] | None) -> Subject:
    return probe.load(path) if given is None or not policies.is_foreign(path) else other_code.load(path, **given)


def _surfaces(subject: Subject, plan: Plan, given: tuple[str, ...] | None) -> tuple[str, ...]:
    """What was named, else what this policy allows."""
    if given is not None:
        return given
    ours = isinstance(subject, Probe)
    return tuple(name for name in SURFACES if (ours or name not in NEEDS_TRAINING) and (name != "film" or plan.to))


def _directory(output: str | None, path: Path, subject: Subject, plan: Plan, count: int) -> Path:
    """<diagnostics>/landscapes/<iteration>-<scale>, or the directory that was given (below it, where policies are several)."""
    name = f"{path.name if isinstance(subject, Probe) else path.stem}-{plan.scale}"
    if output is None:
        return policies.output(None, path) / "landscapes" / name
    given = Path(output).expanduser()
    if count == 1:
        return given
    if isinstance(subject, Probe):
        name = f"{subject.metadata['preset']}-{subject.task.id}-{subject.metadata['seed']}-{name}"
    return given / re.sub(r"[^\w.-]+", "-", name)


def _plan_of(subject: Subject, plan: Plan, directory: Path) -> Plan:
    """The plan as it holds for a policy and its directory. Errors: UserError where the directory has another one, for that
    would mix results."""
    if not isinstance(subject, Probe):
        plan = dataclasses.replace(plan, update_pairs=("stored",))  # nothing to recompute an update from
    there = stored.plan_of(directory)
    if there is None:
        return plan  # nothing was played by it
    if plan.to is None:
        plan = dataclasses.replace(plan, to=there.get("to"), to_sha256=there.get("to_sha256"))  # a film not asked for stays
    elif not (directory / "film.nc").exists():
        there["to"], there["to_sha256"] = plan.to, plan.to_sha256  # no stored number depends on it: a film may join what is there
    stored.check_alike(directory, there, plan)
    return plan
