"""How are the steps of runs looked at? A first look, the cost and what it can find, the episodes, Datasets, a figure, numbers."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from launch.instruments.steps import numbers as stepnumbers
from launch.instruments.steps.plan import Plan
from launch.shared import pictures, plans, stored
from launch.shared.commandline import say
from launch.shared.tables import aligned, duration
from tfpg import storage
from tfpg.diagnostics import results
from tfpg.diagnostics.parts import Parts
from tfpg.diagnostics.probe import computed_by
from tfpg.diagnostics.statistics.estimates import FEW, Estimate
from tfpg.diagnostics.steps import gains
from tfpg.diagnostics.steps.gains import FirstLook
from tfpg.diagnostics.steps.playing import Player, sampled, window
from tfpg.errors import UserError
from tfpg.report import metrics
from tfpg.report import steps as drawn
from tfpg.report.progress import Budget
from tfpg.run_directory import RunDirectory
from tfpg.shown import quantity, rough

RESULT, NUMBERS = "steps.nc", "numbers.txt"
FIRST = 64  # episodes of both ends of one update, for each checkpoint, that the announcement is made from


class Work(NamedTuple):
    """One run, and what is to be done for it."""

    run: RunDirectory
    plan: Plan
    directory: Path
    around: dict[int, np.ndarray]  # checkpoint ↦ iterations
    looks: dict[int, FirstLook]
    curves: dict[int, Estimate]
    final_return: float
    speed: float  # pairs a second of the run's own rollouts
    env_steps: int

    @property
    def done(self) -> bool:
        """Whether its result is stored."""
        return (self.directory / RESULT).exists()

    @property
    def total(self) -> int:
        """Episodes."""
        return 0 if self.done else sum(len(some) for some in self.around.values()) * 2 * self.plan.episodes


def look(runs: Sequence[RunDirectory], plans: Sequence[Plan], directories: Sequence[Path], *, dry_run: bool) -> int:
    """All runs, then what they say beside each other. Returns: the exit code."""
    for directory, plan in zip(directories, plans, strict=True):
        stored.check(directory, plan)
    with stored.held(directories):
        works = [_work(*each) for each in zip(runs, plans, directories, strict=True)]
        say(announcement(works))
        if dry_run:
            return 0
        with Budget(sum(work.total for work in works)) as budget:
            found = [_looked(work, budget) for work in works]
        say(stepnumbers.report(found))
        say(f"stored in {', '.join(map(str, directories))}: {RESULT}, steps.png, {NUMBERS}; the figure also for TensorBoard")
        return 0


def announcement(works: Sequence[Work]) -> str:
    """A table for each run: what will be played, and which mean gain it can find; then what all of it takes."""
    lines, pairs, seconds = [], 0.0, 0.0
    for work in works:
        plan, margin = work.plan, gains.MARGIN * abs(work.final_return)
        lines += [f"{_title(work)}: final return {work.final_return:,.0f}, margin ±{rough(margin)} ({100 * gains.MARGIN:g} %)"]
        if work.done:
            lines.append(f"  finished before, read from {work.directory / RESULT}")
            continue
        rows = [("around", "iterations", "updates", "episodes", "pairs", "time", "spread", "paired", "finds", "for the margin")]
        for k, iterations in work.around.items():
            first, count = work.looks[k], len(iterations)
            cost = count * 2 * plan.episodes * first.mean_length
            pairs, seconds = pairs + cost, seconds + cost / work.speed
            needed = first.episodes_for(margin, count)
            rows.append((str(k), f"{iterations[0]}–{iterations[-1]}", str(count), f"{plan.episodes:,}", f"{cost:,.0f}", duration(cost / work.speed),
                         quantity(first.std), quantity(first.paired_std), rough(first.finds(count, plan.episodes)),
                         f"{needed:,.0f} episodes" if np.isfinite(needed) else "never"))
        lines += [f"  {line}" for line in aligned(rows, left=(0,))]
        if plan.episodes < FEW:
            lines.append("  few episodes: intervals of single updates can be far too short")
        if min(map(len, work.around.values())) < gains.USUAL:
            lines.append(f"  few updates: fewer than {gains.USUAL} around a checkpoint say little of the others")
    if pairs:
        lines += [f"about {pairs:,.0f} pairs, {duration(seconds)} by the speed of the runs' own rollouts; what was played before is read",
                  "spread: standard deviation of an episode's return; paired: of the difference of both ends on one episode; finds: the",
                  "smallest mean gain that shows with probability .8 if all updates gain alike, more where they differ; for the margin:",
                  "episodes of each end that would find a gain of its size"]
    return "\n".join(lines)


def _work(run: RunDirectory, plan: Plan, directory: Path) -> Work:
    rows = metrics.of_run(run)
    final = metrics.final_scores(rows)["final/return"]
    if not np.isfinite(final):
        raise UserError(f"{run.path} ended no episode, so it has no final return to take a margin of.")
    updates = max(int(row["iteration"]) for row in rows) + 1
    around = {k: sampled(k, plan.count, spread=plan.spread, end=updates, seed=plan.seed) for k in plan.iterations}
    looks = {} if (directory / RESULT).exists() else _first_looks(run, plan, directory, around)
    speed = run.config.rollout.num_steps / np.median([row["time/rollout"] for row in rows])
    curves = {k: gains.learning_curve(rows, window(k, spread=plan.spread, end=updates)) for k in plan.iterations}
    return Work(run, plan, directory, around, looks, curves, final, float(speed), int(rows[-1]["env_steps"]))


def _first_looks(run: RunDirectory, plan: Plan, directory: Path, around: dict[int, np.ndarray]) -> dict[int, FirstLook]:
    """Of one update around each checkpoint, the first that moved θ, on episodes of its own; kept among the parts.

    Errors: UserError where no update around a checkpoint moved θ."""
    found = {}
    with Player(run, seed=plan.seed, parts=Parts(directory / "parts"), first_look=True) as player:
        chosen = {k: next((i for i in iterations if player.moved(i)), None) for k, iterations in around.items()}
        if still := [k for k, i in chosen.items() if i is None]:
            raise UserError(f"no update of {run.path} around iteration {still[0]} moved the policy: its return cannot have changed.")
        played = player.play([i for i in chosen.values() if i is not None], FIRST)
    for place, k in enumerate(chosen):
        found[k] = gains.first_look(type(played)(*(part[place:place + 1] for part in played)))
    return found


def _looked(work: Work, budget: Budget) -> xr.Dataset:
    """One run: its Dataset on the disk, a figure and numbers beside it."""
    path, new = work.directory / RESULT, not work.done
    if new:
        storage.make_directory(work.directory)
        storage.write_json(work.directory / stored.PLAN, plans.as_json(work.plan))
        config, found = work.run.config, {}
        with Player(work.run, seed=work.plan.seed, parts=Parts(work.directory / "parts")) as player:
            for k, iterations in work.around.items():
                budget.begin(f"around iteration {k} of {_title(work)}")
                found[k] = player.play(iterations, work.plan.episodes, budget.advance)
            engine = player.task.engine
        results.save(gains.dataset(
            found, final_return=work.final_return, curves=work.curves, first_looks=work.looks, run=str(work.run.path), task=config.env,
            preset=config.preset, algorithm=config.algorithm.name, run_seed=config.seed, seed=work.plan.seed, scale=work.plan.scale, spread=work.plan.spread,
            plan=str(dataclasses.asdict(work.plan)), engine=engine, env_steps=work.env_steps, **computed_by()), path)
    dataset = stored.loaded(path)
    if new or not (work.directory / "steps.png").exists():
        pictures.keep({"steps": functools.partial(drawn.gains, [dataset])}, work.directory, work.env_steps, under="steps")
    storage.write_text(work.directory / NUMBERS, stepnumbers.report([dataset]) + "\n")
    return dataset


def _title(work: Work) -> str:
    return f"{work.run.config.preset} on {work.run.config.env}, seed {work.run.config.seed}"
