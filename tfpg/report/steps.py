"""Does an update raise the true return? Gains of single updates around each checkpoint, and their means; Datasets in, a Figure out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tfpg.report import sheets
from tfpg.report.captions import INTERVAL, named
from tfpg.report.figures import PALETTE

_ROW = 2.7  # inches
_GREY = "0.62"


def gains(datasets: Sequence[xr.Dataset], *, title: str | None = None) -> Figure:
    """A row for each run: every update's gain by iteration, a panel a checkpoint, and the checkpoints' mean gains beside the margin.

    Args: datasets: of diagnostics.steps.gains.dataset."""
    columns = max(dataset.sizes["checkpoint"] for dataset in datasets)
    figure = sheets.blank(_ROW * len(datasets) + 0.3, width=max(8.0, 2.1 * columns + 3.2))
    strips = sheets.rows(figure, [_name(dataset) for dataset in datasets] if len(datasets) > 1 else [""])
    for strip, dataset in zip(strips, datasets, strict=True):
        panels = strip.subplots(1, columns + 1, width_ratios=[1] * columns + [1.35])
        colour = PALETTE.get(str(dataset.attrs["preset"]), "#000000")
        for place in range(columns):
            if place < dataset.sizes["checkpoint"]:
                _updates(panels[place], dataset.isel(checkpoint=place), colour)
            else:
                panels[place].set_axis_off()
        _level(panels[:dataset.sizes["checkpoint"]])
        panels[0].set_ylabel("change of the mean episode return", fontsize=sheets.MEDIUM)
        _means(panels[-1], dataset, colour)
    return sheets.finish(figure, title or f"Does an update raise the true return? {_name(datasets[0]) if len(datasets) == 1 else ''}".strip(),
                         _notes(datasets), warnings=_warnings(datasets))


def _updates(axes: Axes, part: xr.Dataset, colour: str) -> None:
    """One checkpoint: single updates with their intervals, their mean as a band over the window."""
    there = part["iteration"].values >= 0
    x, y, low, high = (part[name].values[there] for name in ("iteration", "gain", "gain_low", "gain_high"))
    still = part["moved"].values[there] == 0
    axes.axhline(0, color="black", linewidth=0.8, zorder=1)
    axes.vlines(x, low, high, color=_GREY, linewidth=1, zorder=2, label=f"one update, {INTERVAL} of its episodes")
    axes.plot(x[~still], y[~still], linestyle="none", marker="o", markersize=3, color=colour, zorder=3)
    if still.any():
        axes.plot(x[still], y[still], linestyle="none", marker="x", markersize=4, color="black", zorder=3, label="θ did not move")
    mean, ends = float(part["mean_gain"]), [float(part[f"mean_gain_{end}"]) for end in ("low", "high")]
    if ends[0] <= ends[1]:
        axes.fill_between([x.min() - 0.5, x.max() + 0.5], ends[0], ends[1], color=colour, alpha=0.22, linewidth=0, zorder=0, label=f"mean of the updates, {INTERVAL}")
    axes.hlines(mean, x.min() - 0.5, x.max() + 0.5, color=colour, linewidth=1.6, zorder=2)
    axes.set_title(f"around iteration {int(part['checkpoint'])}", fontsize=sheets.MEDIUM)
    axes.set_xlabel("iteration", fontsize=sheets.MEDIUM)
    sheets.tidy(axes)
    sheets.ticks(axes.xaxis, 3, whole=True)
    sheets.ticks(axes.yaxis)


def _level(panels: Sequence[Axes]) -> None:
    """One scale for all checkpoints of a run."""
    ends = np.array([axes.get_ylim() for axes in panels])
    for number, axes in enumerate(panels):
        axes.set_ylim(ends[:, 0].min(), ends[:, 1].max())
        if number:
            axes.set_yticklabels([])


def _means(axes: Axes, dataset: xr.Dataset, colour: str) -> None:
    """The mean gain of every checkpoint against the margin, and what could have been found."""
    places = np.arange(dataset.sizes["checkpoint"])
    mean, low, high = (dataset[f"mean_gain{end}"].values for end in ("", "_low", "_high"))
    margin = float(dataset.attrs["margin"])
    axes.axhspan(-margin, margin, color="0.85", linewidth=0, zorder=0, label=f"margin, ±{100 * float(dataset.attrs['margin_share']):g} % of the final return")
    axes.axhline(0, color="black", linewidth=0.8, zorder=1)
    axes.vlines(places, low, high, color=colour, linewidth=1.6, zorder=2)
    axes.plot(places, mean, linestyle="none", marker="o", markersize=5, color=colour, zorder=3)
    axes.plot(places, dataset["detectable"].values, linestyle="none", marker="_", markersize=11, color="black", zorder=2,
              label="smallest mean gain that shows with probability .8")
    if "curve_slope" in dataset:
        slope, below, above = (dataset[f"curve_slope{end}"].values for end in ("", "_low", "_high"))
        axes.vlines(places + 0.18, below, above, color="0.45", linewidth=1.2, zorder=2)
        axes.plot(places + 0.18, slope, linestyle="none", marker="D", markersize=3.5, color="0.45", zorder=3,
                  label="rise of the run's own episodes an iteration")
    axes.set_xticks(places, [str(int(k)) for k in dataset["checkpoint"].values])
    axes.set_xlim(-0.6, places[-1] + 0.6)
    axes.set_title("mean gain of an update", fontsize=sheets.MEDIUM)
    axes.set_xlabel("around iteration", fontsize=sheets.MEDIUM)
    sheets.tidy(axes)
    sheets.ticks(axes.yaxis)


def _notes(datasets: Sequence[xr.Dataset]) -> list[str]:
    notes = []
    for dataset in datasets:
        episodes, counts = int(dataset.attrs["episodes"]), (dataset["iteration"] >= 0).sum("place").values
        pairs = int(dataset["pairs"].sum())
        drops = ", ".join(f"{100 * float(share):.0f} %" for share in dataset["drops"].values)
        own = f"{_name(dataset)}: " if len(datasets) > 1 else ""
        updates = f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
        notes.append(f"{own}{updates} updates around each iteration, {episodes:,} episodes of both ends of each, {pairs:,} pairs; "
                     f"final return {sheets.number(float(dataset.attrs['final_return']))}; share of drops seen {drops}")
    return [*notes, r"both ends of an update play the same episodes under the normaliser of iteration $i$, every update its own; means: Student's t over updates"]


def _warnings(datasets: Sequence[xr.Dataset]) -> list[str]:
    said = {"few episodes": "intervals of single updates can be far too short", "few updates": "they say little of the others"}
    found = [f"{name}: {words}" for name, words in said.items() if any(int(d.attrs[name.replace(" ", "_")]) for d in datasets)]
    cut = any(bool((dataset["cut"] > 0).any()) for dataset in datasets)
    return found + (["episodes cut short: their returns are parts"] if cut else [])


def _name(dataset: xr.Dataset) -> str:
    attrs = dataset.attrs
    return f"{named(attrs['preset'])} on {attrs['task']}, seed {attrs['run_seed']}"
