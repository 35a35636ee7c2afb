"""What does each code-level optimisation do to the score? A Dataset of diagnostics.ablations in, a figure out; nothing is saved."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tfpg.report import sheets

_SIDES = {"on": ("#0072B2", "-"), "off": ("#D55E00", (0, (5, 1.6)))}
_SCORES = {"final": "final score (mean of the episodes of the last 5 iterations)", "best": "best iteration's score (biased upward)"}
_FEW = 2  # agents a cell, from which on a toggle is more than a cell's luck


def exceedance(dataset: xr.Dataset, *, score: str = "final", title: str | None = None) -> Figure:
    """1 − CDF of the score with each toggle and without it, a panel for each toggle, 95 % bands.

    Args: dataset: of diagnostics.ablations.ablation. score: final or best."""
    toggles = dataset["toggle"].values.tolist()
    columns = min(4, len(toggles))
    rows = -(-len(toggles) // columns)
    figure = sheets.blank(3.1 * rows, width=max(7.0, 3.0 * columns))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes, toggle in zip(grid.flat, toggles, strict=False):
        _panel(axes, dataset.sel(score=score, toggle=toggle))
    for axes in grid.flat[len(toggles):]:
        axes.set_axis_off()
    for row in grid:
        row[0].set_ylabel("share of agents with at least it", fontsize=sheets.MEDIUM)
    for axes in grid[-1]:
        axes.set_xlabel("return", fontsize=sheets.MEDIUM)
        sheets.ticks(axes.xaxis, 4)
    grid.flat[0].set_ylim(0, 1.02)
    return sheets.finish(figure, title or _title(dataset), _notes(dataset, score), warnings=_warnings(dataset))


def _panel(axes: Axes, dataset: xr.Dataset) -> None:
    for side, (colour, line) in _SIDES.items():
        one = dataset.sel(side=side)
        level, share, low, high = (one[name].values for name in ("level", "share", "share_low", "share_high"))
        known = np.isfinite(level)
        if not known.any():
            continue
        level, share, low, high = (each[known] for each in (level, share, low, high))
        # 1 − F is 1 up to the lowest score and falls after each.
        steps = np.concatenate([level[:1], level, level[-1:]])
        axes.step(steps, np.concatenate([[1.0], share, [0.0]]), where="pre", color=colour, linestyle=line, linewidth=1.8, label=side)
        axes.fill_between(level, low, high, step="pre", color=colour, alpha=0.12, linewidth=0)
    effect, *ends = (float(dataset[f"effect{end}"]) for end in ("", "_low", "_high"))
    name = str(dataset["toggle"].values).removeprefix("code_level.").replace("_", " ")
    axes.set_title(f"{name}\n{sheets.signed(effect)}{sheets.interval(*ends)}", fontsize=sheets.MEDIUM)
    sheets.tidy(axes)


def _title(dataset: xr.Dataset) -> str:
    return f"Code-level optimisations: {', '.join(str(dataset.attrs[name]) for name in ('preset', 'task') if name in dataset.attrs)}"


def _notes(dataset: xr.Dataset, score: str) -> list[str]:
    attrs = dataset.attrs
    said = [f"{attrs['agents']} agents in {attrs['cells']} cells; {_SCORES[score]}; 95 % bands, exact binomial at each level",
            "above each panel: mean with it less mean without it, Welch's 95 % interval"]
    if attrs["tuned"]:
        said.append(f"{attrs['tuned']} tuned in each cell by the mean final score ({attrs['chosen']}): that of the best is biased upward")
    return said + ([f"together: {attrs['linked']}"] if attrs["linked"] else [])


def _warnings(dataset: xr.Dataset) -> list[str]:
    found = []
    if dataset.attrs["agents"] < _FEW * dataset.attrs["cells"]:
        found.append("about one agent a cell cannot rank toggles: a main effect's error is about as large as the effects")
    if not dataset.attrs["balanced"]:
        found.append("cells are missing: the effects of other toggles are in each")
    return found
