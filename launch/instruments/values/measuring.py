"""How are the value nets of several policies studied? Announce the cost, measure, store, draw, say what was found.

Everything that is finished is a file: the same command again reads it, and goes on where it was."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import xarray as xr

from launch.instruments.values import numbers as valuenumbers
from launch.instruments.values.plan import Plan
from launch.shared import firstlook, numbers, pictures, plans, policies, stored, tables
from launch.shared.commandline import say
from launch.shared.tables import duration
from tfpg import storage
from tfpg.diagnostics import probe, results
from tfpg.diagnostics.parts import Parts
from tfpg.diagnostics.probe import Probe
from tfpg.diagnostics.returns import Pilot
from tfpg.diagnostics.values import fit_pools
from tfpg.diagnostics.values import study as value_study
from tfpg.report import values as drawn
from tfpg.report.progress import Budget
from tfpg.shown import quantity

RESULT, NUMBERS = "values.nc", "numbers.txt"
SINGLE, TOGETHER = "values", "by-iteration"  # figures of one policy, and of several
# Fits and gradients take this share of the playing time besides, and what is compiled so many seconds a policy: on Hopper.
COMPUTED, COMPILED = 0.35, 15


class Study(NamedTuple):
    """One policy and its directory."""

    probe: Probe
    plan: Plan
    directory: Path
    pilot: Pilot

    @property
    def done(self) -> bool:
        """Whether the result is there."""
        return (self.directory / RESULT).exists()


def run(paths: Sequence[Path], plan: Plan, *, threads: int, output: str | None, dry_run: bool) -> int:
    """Studies of all policies, one after the other; every policy's input is checked before the first is played.

    Returns: the exit code."""
    probes = [probe.load(path) for path in paths]
    for each in probes:
        fit_pools.megabytes(each, plan.fit_pairs)
    directories = [policies.directory(output, path, "values", plan.scale) for path in paths]
    policies.check_apart(paths, directories)
    for directory in directories:
        stored.check(directory, plan)
    with stored.held(directories):
        studies = []
        for each, directory in zip(probes, directories, strict=True):
            if not (directory / firstlook.PILOT).exists():
                say(f"first look at {each.path} …")
            studies.append(Study(each, plan, directory, firstlook.look(each, directory, seed=plan.seed, threads=threads)))
        say(announcement(studies))
        if dry_run:
            return 0
        for study in studies:
            storage.write_json(study.directory / stored.PLAN, plans.as_json(plan))
        total = sum(sum(plan.tasks(len(study.probe.batch.values)).values()) for study in studies if not study.done)
        with Budget(total, unit="pairs") as budget:
            found = [_studied(study, threads, budget) for study in studies]
        if len(found) > 1:
            _together(found, directories[0].parent)
        return 0


def announcement(studies: Sequence[Study]) -> str:
    """A table for each policy, then what all of it takes."""
    lines, pairs, seconds = [], 0, 0.0
    for study in studies:
        pilot = study.pilot
        lines += [numbers.title(study.probe),
                  (f"  first look: return {quantity(pilot.mean_return)}, standard deviation {quantity(pilot.std)}, length "
                   f"{pilot.mean_length:,.0f} ± {pilot.length_stderr:,.0f}, {pilot.episodes} episodes")]
        if study.done:
            lines.append(f"  finished before, read from {RESULT}")
            continue
        tasks = study.plan.tasks(len(study.probe.batch.values))
        rows = [("", "pairs", "time"), *(
            (name, f"{count:,}", duration(count / pilot.pairs_per_second)) for name, count in tasks.items())]
        lines += [f"  {line}" for line in tables.aligned(rows)]
        lines.append(f"  V*'s pool takes {fit_pools.megabytes(study.probe, study.plan.fit_pairs):,.0f} MB of memory")
        if (study.directory / "parts").exists():
            lines.append("  begun before: what is done is read, not done again")
        pairs += sum(tasks.values())
        seconds += sum(tasks.values()) / pilot.pairs_per_second
    if pairs:
        seconds = seconds * (1 + COMPUTED) + COMPILED * sum(not study.done for study in studies)
        lines.append(f"about {pairs:,} pairs, {duration(seconds)} by the speed of the first look, fits and gradients included")
    return "\n".join(lines)


def _studied(study: Study, threads: int, budget: Budget) -> xr.Dataset:
    """One policy: measured if it is not, drawn and said."""
    path, new = study.directory / RESULT, not study.done
    if new:
        budget.begin(numbers.title(study.probe))
        last = time.perf_counter()

        def progress(what: str, pairs: int, played: bool) -> None:
            nonlocal last
            now = time.perf_counter()
            budget.begin(f"{what}, {numbers.title(study.probe)}")
            if pairs:
                budget.advance(pairs, pairs, now - last if played else 0.0)
                last = now

        budgets = value_study.Budgets(*(getattr(study.plan, name) for name in value_study.Budgets._fields))
        found = value_study.measure(study.probe, budgets, seed=study.plan.seed, threads=threads,
                                    parts=Parts(study.directory / "parts"), progress=progress)
        results.save(found.assign_attrs(scale=study.plan.scale), path)
    found = stored.loaded(path)
    if new or not (study.directory / f"{SINGLE}.png").exists():
        pictures.keep({SINGLE: functools.partial(drawn.study, found)}, study.directory, int(found.attrs["env_steps"]), under="values")
    storage.write_text(study.directory / NUMBERS, valuenumbers.report(found) + "\n")
    with budget.aside():
        say(f"\n{valuenumbers.report(found)}\nstored in {study.directory}: {RESULT}, {SINGLE}.png, {NUMBERS}")
    return found


def _together(found: Sequence[xr.Dataset], directory: Path) -> None:
    """Several policies: a table of all, and a figure of each run that has more than one of them."""
    text = valuenumbers.table(found)
    storage.write_text(directory / f"{TOGETHER}.txt", text + "\n")
    runs = {drawn.run_of(each): [other for other in found if drawn.run_of(other) == drawn.run_of(each)] for each in found}
    names = []
    for (task, preset, seed), each in runs.items():
        if len(each) > 1:
            names.append(TOGETHER if len(runs) == 1 else f"{TOGETHER}-{preset}-{task}-{seed}".replace(":", "-").replace("/", "-"))
            pictures.keep({names[-1]: functools.partial(drawn.by_iteration, each)}, directory, 0, under="values")
    say(f"\n{text}\nall policies: {', '.join([f'{TOGETHER}.txt', *(f'{name}.png' for name in names)])} in {directory}")
