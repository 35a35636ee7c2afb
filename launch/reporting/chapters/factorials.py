"""What did each code-level optimisation do? A chapter with 1 − CDF by toggle and the main effects."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import xarray as xr

from launch.reporting.chapters.shared import Chapter, by_algorithm, interval, section
from launch.reporting.drawing import Drawer, slug
from launch.reporting.verdicts import number
from launch.shared.gathering import FREE, Results
from tfpg import settings
from tfpg.diagnostics import ablations
from tfpg.errors import UserError
from tfpg.report import ablations as ablation_figures
from tfpg.report import captions, metrics
from tfpg.report.page.contents import Cell, Table
from tfpg.run_directory import RunDirectory


def toggles(found: Results, draw: Drawer) -> Chapter:
    """1 − CDF of the score by toggle, for each factorial among the variants."""
    parts: list[Any] = []
    for (task, preset), variants in by_algorithm(found.variants).items():
        runs = [*variants, *_preset_cell(variants, found)]
        agents = []
        for run in runs:
            try:
                scores = metrics.final_scores(metrics.of_run(run))
            except UserError as error:
                draw.missing.append(str(error))
                continue
            agents.append(ablations.Agent(settings.to_dict(run.config), scores["final/return"], scores["final/best_return"]))
        try:
            dataset = ablations.ablation(agents, free=FREE).assign_attrs(task=task, preset=captions.named(preset))
        except UserError as error:
            draw.missing.append(f"no ablation of {preset} on {task}: {error}")
            continue
        kept = draw.data(slug("ablation", preset, task), dataset)
        for score in ablations.SCORES:
            parts.append(draw.picture(slug("ablation", preset, task, score), functools.partial(
                ablation_figures.exceedance, dataset, score=score), [kept], says=_toggles_say(dataset, score)))
        parts.append(_toggle_table(dataset, task, preset))
    words = ("Agents of a factorial of code-level optimisations: the share of them that reaches at least a score, with each toggle and without it.",)
    return Chapter(section("ablations", "Code-level optimisations", words, parts), {})


def _preset_cell(variants: Sequence[RunDirectory], found: Results) -> list[RunDirectory]:
    """Runs of the preset itself that are a cell of the variants' factorial: its own, else agents of the same seeds.

    They are that where they differ from a variant in code-level optimisations alone."""
    def apart(run: RunDirectory) -> tuple:
        return tuple((name, str(value)) for name, value in settings.to_dict(run.config).items()
                     if not name.startswith("code_level.") and name not in FREE)

    alike, seeds = {apart(run) for run in variants}, {run.config.seed for run in variants}
    for some in (found.copies, found.runs):
        if cell := [run for run in some if apart(run) in alike and run.config.seed in seeds]:
            return cell
    return []


def _toggles_say(dataset: xr.Dataset, score: str) -> str:
    chosen = dataset.sel(score=score)
    return "Main effects: " + ", ".join(f"{name.removeprefix('code_level.')} {number(float(effect))}" for name, effect in zip(
        dataset["toggle"].values.tolist(), chosen["effect"].values, strict=True))


def _toggle_table(dataset: xr.Dataset, task: str, preset: str) -> Table:
    rows: list[tuple[str | Cell, ...]] = []
    for toggle in dataset["toggle"].values.tolist():
        one = dataset.sel(toggle=toggle)
        rows.append((f"{toggle}: {one['on'].item()} against {one['off'].item()}",
                     Cell(" + ".join(str(int(n)) for n in one["agents"].sel(score="final").values), "number"),
                     *(Cell(interval(one.sel(score=score), "effect"), "number") for score in ablations.SCORES)))
    return Table(slug("effects", preset, task), f"Main effects of {captions.named(preset)} on {task}, with 95 % intervals",
                 ("toggle", "agents with + without", "final score", "best iteration"), tuple(rows))
