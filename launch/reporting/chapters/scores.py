"""How did agents learn and end, beside what was published? A chapter with curves, scores and a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from launch.reporting.chapters.shared import Chapter, interval, section
from launch.reporting.drawing import Drawer, slug
from launch.reporting.verdicts import number
from launch.shared import commandline, gathering
from launch.shared.gathering import Results
from tfpg.claims import published
from tfpg.diagnostics import learning
from tfpg.errors import UserError
from tfpg.report import captions, metrics
from tfpg.report import learning as learning_figures
from tfpg.report.page.contents import Cell, Link, Table
from tfpg.run_directory import RunDirectory

_AS_LONG = 1.2  # as the published agents: at most so many times longer or shorter


def scores(found: Results, draw: Drawer) -> Chapter:
    """Learning curves and final scores, beside what was published of agents trained as long."""
    agents = _agents(found)
    curves, tables, parts, links = [], [], [], {}
    tasks = list(dict.fromkeys(agent.task for agent in agents))
    for task in tasks:
        try:
            curves.append(learning.curves([agent for agent in agents if agent.task == task]))
        except UserError as error:
            draw.missing.append(f"no learning curves of {task}: {error}")
    if curves:
        kept = [draw.data(slug("learning", each.attrs["task"]), each) for each in curves]
        parts.append(draw.picture("learning-curves", lambda: learning_figures.curves(curves), kept, says=_curves_say(curves)))
    if any(agent.finished for agent in agents):
        summary = learning.scores(agents)
        data = draw.data("scores", summary)
        theirs = _published(found)
        parts.append(draw.picture("final-scores", lambda: learning_figures.scores(summary, theirs), [data], says=_scores_say(summary)))
        tables.append(_score_table(summary, theirs))
        links = {("scores", task): [Link("figure", "#final-scores"), *draw.links([data])] for task in tasks}
    words = ("Final: the mean over the episodes of the last 5 iterations, then over agents. IQM: the interquartile mean over agents.",)
    return Chapter(section("scores", "Learning curves and scores", words, [*parts, *tables]), links)


def _agents(found: Results) -> list[learning.Agent]:
    """All that learn: agents of presets; where there are none, those of variants, under names of their own."""
    runs = [*((run, run.config.preset, True) for run in found.runs), *((run, run.config.preset, False) for run in found.unfinished)]
    agents = []
    for run, name, finished in runs or [(run, _variant(run), True) for run in found.variants]:
        try:
            rows = metrics.of_run(run)
        except UserError as error:
            if str(error) not in found.missing:  # of finished ones who gathered has named it
                found.missing.append(str(error))
            continue
        scores, config = metrics.final_scores(rows), run.config
        if finished and rows and not np.isfinite(scores["final/return"]):
            found.missing.append(f"{run.path} has no score, for no episode ended in it: it does not count in any mean.")
        agents.append(learning.Agent(config.env, name, config.seed, rows, scores["final/return"], scores["final/best_return"], finished))
    return [agent for agent in agents if agent.rows]


def _variant(run: RunDirectory) -> str:
    """ppo: anneal=false"""
    changed = gathering.changed(run.config)
    return f"{run.config.preset}: " + ", ".join(f"{name.rpartition('.')[2]}={json.dumps(value)}" for name, value in changed.items())


def _published(found: Results) -> dict[tuple[str, str], learning_figures.Published]:
    """By task and preset, where the agents were trained for about as many steps."""
    shown = {}
    for run in found.runs:
        config = run.config
        paper = published.of(config.env, config.preset)
        usual = commandline.load_preset(config.preset, config.env).rollout
        alike = (config.rollout.num_steps, config.env_args) == (usual.num_steps, ()) and not gathering.changed(config)
        if paper is not None and alike and abs(np.log(config.total_steps / published.STEPS)) < np.log(_AS_LONG):
            shown[config.env, config.preset] = learning_figures.Published(*paper, f"{published.family(config.env)}-{published.VERSION}")
    return shown


def _curves_say(curves: Sequence[xr.Dataset]) -> str:
    said = []
    for each in curves:
        last = [(captions.named(preset), row[np.isfinite(row)][-1]) for preset, row in zip(
            each["preset"].values.tolist(), each["mean_return"].values, strict=True) if np.isfinite(row).any()]
        said.append(f"At the end on {each.attrs['task']}: {', '.join(f'{name} {number(value)}' for name, value in last)}")
    return ". ".join(said)


def _scores_say(summary: xr.Dataset) -> str:
    rows = (summary.isel(group=group) for group in range(summary.sizes["group"]))
    return "Final scores: " + ", ".join(f"{captions.named(row['preset'].item())} on {row['task'].item()} {interval(row, 'final_return')}"
                                        for row in rows)


def _score_table(summary: xr.Dataset, theirs: Mapping[tuple[str, str], learning_figures.Published]) -> Table:
    rows = []
    for group in range(summary.sizes["group"]):
        one = summary.isel(group=group)
        task, preset = one["task"].item(), one["preset"].item()
        paper = theirs.get((task, preset))
        said = f"{number(paper.mean)} [{number(paper.low)}, {number(paper.high)}] ({paper.task})" if paper else "–"
        rows.append((Cell(f"{captions.named(preset)}, {task}"), Cell(str(int(one["final_return_count"])), "number"),
                     *(Cell(interval(one, name), "number") for name in ("final_return", "iqm_return", "best_return")), Cell(said, "number")))
    return Table("score-table", "Scores with 95 % intervals over agents", ("agents of", "n", "final, mean", "final, IQM", "best iteration, mean",
                                                                        "published final mean"), tuple(rows))
