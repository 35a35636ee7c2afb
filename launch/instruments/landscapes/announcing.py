"""What will a survey cost, and which differences can it find? Said before anything long is played."""

from __future__ import annotations

from collections.abc import Sequence

from launch.instruments.landscapes.surveying import Survey, Task
from launch.shared import tables
from launch.shared.numbers import title
from tfpg.diagnostics.statistics.estimates import FEW, detectable
from tfpg.shown import quantity

_HEAD = ("", "", "points", "episodes", "pairs", "time", "finds", "")


def announcement(surveys: Sequence[Survey]) -> str:
    """A table for each policy, then what all of it takes."""
    lines, pairs, seconds = [], 0.0, 0.0
    for survey in surveys:
        pilot, tasks = survey.pilot, survey.tasks()
        lines += [title(survey.subject),
                  (f"  first look: return {quantity(pilot.mean_return)}, standard deviation {quantity(pilot.std)}, length "
                   f"{pilot.mean_length:,.0f} ± {pilot.length_stderr:,.0f}, {pilot.episodes} episodes")]
        if finished := [name for name in survey.surfaces if name not in survey.missing]:
            lines.append(f"  finished before, read from files: {', '.join(finished)}")
        if tasks:
            lines += [f"  {line}" for line in tables.aligned([_HEAD, *_rows(survey, tasks)], left=(0, 1, 7))]
        pairs += sum(survey.cost(task) for task in tasks)
        seconds += sum(survey.cost(task) / pilot.pairs_per_second for task in tasks)
        if tasks and survey.begun:
            lines.append("  begun before: what was played is read, not played again")
    if pairs:
        lines += [f"about {pairs:,.0f} pairs, {tables.duration(seconds)} by the speed of the first look",
                  "finds: the smallest difference of two points' returns that shows with probability .8 where their random numbers",
                  "are independent; common ones find smaller differences"]
    return "\n".join(lines)


def _rows(survey: Survey, tasks: Sequence[Task]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    last = ""
    for task in tasks:
        cost = survey.cost(task)
        episodes = ("", "", "") if not task.episodes else (
            f"{task.episodes:,}", quantity(float(detectable(survey.pilot.std, task.episodes))), "few episodes" if task.episodes < FEW else "")
        rows.append(("" if task.surface == last else task.surface, task.what, f"{task.points:,}" if task.points else "", episodes[0],
                     f"{cost:,.0f}", tables.duration(cost / survey.pilot.pairs_per_second) if cost else "", *episodes[1:]))
        last = task.surface
    return rows
