"""How did agents learn, and how did they end? Datasets of diagnostics.learning in, figures out; nothing is saved."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from tfpg.report import captions, sheets
from tfpg.report.figures import PALETTE

_EACH = 6  # agents of an algorithm, from so many on only their mean and band
_COLUMNS = 3
_PAPER = "0.45"


class Published(NamedTuple):
    """A score of the literature."""

    mean: float
    low: float
    high: float
    task: str  # with its version


def curves(datasets: Sequence[xr.Dataset], *, title: str | None = None) -> Figure:
    """Return against environment steps, a panel for each task, mean and 95 % band of each algorithm's agents."""
    columns = min(_COLUMNS, len(datasets))
    rows = -(-len(datasets) // columns)
    figure = sheets.blank(3.7 * rows, width=max(7.0, 4.4 * columns))
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, dataset in zip(grid.flat, datasets, strict=False):
        for group in range(dataset.sizes["group"]):
            one = dataset.isel(group=group)
            _agents(axes, one, _colours(dataset)[one["preset"].item()])
        axes.set_title(str(dataset.attrs["task"]), fontsize=sheets.MEDIUM, fontweight="bold")
        _limits(axes, dataset)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        sheets.ticks(axes.yaxis)
        axes.set_xlabel("environment steps", fontsize=sheets.MEDIUM)
        sheets.tidy(axes)
        axes.margins(x=0.01)
        axes.set_xlim(left=0)
    for axes in grid.flat[len(datasets):]:
        axes.set_axis_off()
    for row in grid:
        row[0].set_ylabel("mean episode return", fontsize=sheets.MEDIUM)
    tasks = sheets.joined([str(dataset.attrs["task"]) for dataset in datasets])
    return sheets.finish(figure, title or f"Learning curves: {tasks}", _curve_notes(datasets), warnings=_warnings(datasets))


def scores(dataset: xr.Dataset, published: Mapping[tuple[str, str], Published] | None = None, *, title: str | None = None) -> Figure:
    """Final scores, a panel for each task: mean and interquartile mean with 95 % intervals, every agent, the best iteration's.

    Args: published: by (task, preset), drawn beside ours."""
    published = published or {}
    tasks = list(dict.fromkeys(dataset["task"].values.tolist()))
    presets = [preset for preset in (*PALETTE, *dataset["preset"].values.tolist()) if preset in dataset["preset"].values]
    presets = list(dict.fromkeys(presets))
    figure = sheets.blank(0.62 * len(presets) + 1.1, width=max(7.0, 3.6 * len(tasks) + 1.0))
    panels = figure.subplots(1, len(tasks), squeeze=False, sharey=True)[0]
    for axes, task in zip(panels, tasks, strict=True):
        for place, preset in enumerate(presets):
            chosen = np.flatnonzero((dataset["task"].values == task) & (dataset["preset"].values == preset))
            if chosen.size:
                _score(axes, dataset.isel(group=int(chosen[0])), place, _colours(dataset)[preset])
            if paper := published.get((task, preset)):
                axes.errorbar(paper.mean, place + 0.3, xerr=[[paper.mean - paper.low], [paper.high - paper.mean]], color=_PAPER, marker="s",
                              markersize=4.5, markerfacecolor="white", capsize=2.5, linewidth=1.2, linestyle="none",
                              label="published (80 agents and more)")
        axes.set_title(task, fontsize=sheets.MEDIUM, fontweight="bold")
        axes.set_xlabel("mean episode return", fontsize=sheets.MEDIUM)
        sheets.ticks(axes.xaxis)
        sheets.tidy(axes)
        if not np.isfinite(axes.dataLim.intervalx).all():
            axes.set_xticks([])
            axes.text(0.5, 0.5, "no episode ended", transform=axes.transAxes, ha="center", va="center", color="0.5", fontsize=sheets.MEDIUM)
    for label, (marker, _, style) in _MARKS.items():
        panels[0].plot([], [], linestyle="none", marker=marker, color="0.3", label=label, **style)
    panels[0].set_yticks(range(len(presets)), [captions.named(preset) for preset in presets], fontsize=sheets.MEDIUM)
    panels[0].set_ylim(len(presets) - 0.45, -0.55)
    counts = [f"{captions.named(str(d['preset'].values))} on {d['task'].item()}: {int(d['final_return_count'])}"
              for d in (dataset.isel(group=g) for g in range(dataset.sizes["group"]))]
    notes = [f"agents: {', '.join(counts)}", f"intervals: {dataset.attrs['intervals']}",
             "final: the episodes of the last 5 iterations; best iteration: the maximum over iterations, biased upward"]
    if published:
        versions = sheets.joined(sorted({each.task for (task, _), each in published.items() if task in tasks}))
        notes.append(f"published: {versions}, of which the tasks here are later versions: compare shapes and order")
    few = [count for count in dataset["final_return_count"].values if count < 3]
    return sheets.finish(figure, title or "Final scores", notes, warnings=["fewer than 3 agents say nothing of an algorithm"] if few else [])


def _colours(dataset: xr.Dataset) -> dict[str, str]:
    """By preset as everywhere; variants (ppo: anneal=false) and the unknown have others."""
    others = itertools.cycle(("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F"))
    return {name: PALETTE.get(name) or next(others) for name in dict.fromkeys(dataset["preset"].values.tolist())}


# Of a score: marker, its place beside the algorithm's, and how it is drawn.
_MARKS: dict[str, tuple[str, float, dict[str, Any]]] = {
    "an agent": ("|", 0.0, {"markersize": 9, "alpha": 0.55}),
    "final, mean": ("o", -0.12, {"markersize": 6, "markeredgecolor": "white", "markeredgewidth": 0.6}),
    "final, interquartile mean": ("D", 0.1, {"markersize": 5.5, "markeredgecolor": "white", "markeredgewidth": 0.6}),
    "best iteration, mean": (">", -0.3, {"markersize": 5, "markerfacecolor": "none"}),
}


def _score(axes: Axes, one: xr.Dataset, place: int, colour: str) -> None:
    own = one["final_return_agents"].values
    shown = {"an agent": own[np.isfinite(own)], "final, mean": one["final_return"], "final, interquartile mean": one["iqm_return"],
             "best iteration, mean": one["best_return"]}
    for name, shift in (("final_return", _MARKS["final, mean"][1]), ("iqm_return", _MARKS["final, interquartile mean"][1])):
        low, high = float(one[f"{name}_low"]), float(one[f"{name}_high"])
        if np.isfinite(low):
            axes.plot([low, high], [place + shift] * 2, color=colour, linewidth=1.8, solid_capstyle="butt")
    for label, values in shown.items():
        marker, shift, style = _MARKS[label]
        values = np.ravel(values)
        axes.plot(values, np.full(len(values), place + shift), linestyle="none", marker=marker, color=colour, **style)


def _agents(axes: Axes, one: xr.Dataset, colour: str) -> None:
    """One algorithm: its mean, its band, and where there are few its agents."""
    preset = str(one["preset"].values)
    steps, mean, count = one["env_steps"].values, one["mean_return"].values, one["mean_return_count"].values
    agents = int(one["agents"])
    # Thinner where some have ended or not begun: there the mean is of others than before.
    full = np.where(count == count.max(), mean, np.nan)
    axes.plot(steps, mean, color=colour, linewidth=0.9, linestyle=(0, (4, 2)), zorder=3)
    axes.plot(steps, full, color=colour, linewidth=1.8, zorder=4, label=f"{captions.named(preset)}")
    if 1 < agents < _EACH:
        for own in one["mean_return_agents"].values:
            axes.plot(steps, own, color=colour, linewidth=0.6, alpha=0.4, zorder=2)
    low, high = one["mean_return_low"].values, one["mean_return_high"].values
    if np.isfinite(low).any():
        axes.fill_between(steps, low, high, color=colour, linewidth=0, alpha=0.16 if agents >= _EACH else 0.09, zorder=1)


def _limits(axes: Axes, dataset: xr.Dataset) -> None:
    """Of the lines: a band of three agents is four times as high as they are apart."""
    agents = dataset["mean_return_agents"].values if int(dataset["agents"].max()) < _EACH else dataset["mean_return_high"].values
    values = np.concatenate([np.ravel(agents), np.ravel(dataset["mean_return"].values)])
    values = values[np.isfinite(values)]
    if values.size:
        margin = 0.05 * (np.ptp(values) or 1)
        axes.set_ylim(values.min() - margin, values.max() + margin)


def _curve_notes(datasets: Sequence[xr.Dataset]) -> list[str]:
    counts = [f"{captions.named(preset)} {agents}" + (f" on {d.attrs['task']}" if len(datasets) > 1 else "")
              for d in datasets for preset, agents in zip(d["preset"].values.tolist(), d["agents"].values.tolist(), strict=True)]
    few = any(1 < agents < _EACH for d in datasets for agents in d["agents"].values)
    said = [f"agents: {', '.join(counts)}; lines: means over agents, of running means of {datasets[0].attrs['window']} iterations",
            f"bands: {datasets[0].attrs['intervals']}{'; thin: each agent; bands are cut off at the lines’ limits' if few else ''}"]
    return said


def _warnings(datasets: Sequence[xr.Dataset]) -> list[str]:
    """Where a mean is not of the same agents throughout."""
    short = [f"{captions.named(preset)} on {d.attrs['task']}: {unfinished} of {agents}"
             for d in datasets for preset, agents, unfinished in zip(
                 d["preset"].values.tolist(), d["agents"].values.tolist(), d["unfinished"].values.tolist(), strict=True) if unfinished]
    said = [f"not finished: {', '.join(short)}"] if short else []
    if any(_uneven(d) for d in datasets):
        said.append("runs of unequal length: where only some are left, the mean (dashed) is of those")
    return said


def _uneven(dataset: xr.Dataset) -> bool:
    """Whether agents of one algorithm end at different steps."""
    ends = [[steps[np.isfinite(own)].max() for own in group if np.isfinite(own).any()]
            for steps in (dataset["env_steps"].values,) for group in dataset["mean_return_agents"].values]
    return any(len(each) > 1 and max(each) > 1.02 * min(each) for each in ends)
