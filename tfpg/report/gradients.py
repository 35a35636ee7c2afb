"""How well do so many pairs say where to go? Functions from stored gradient results to figures; none saves anything."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from tfpg.report import captions, fields, sheets
from tfpg.report.captions import INTERVAL

_DARK, _GREY, _RETURN, _STEP = "0.25", "0.6", "#7b3294", "#1b7837"
_DASHED, _DOTTED = (0, (5, 2)), (0, (1, 2))
_TRUTHS = {"limit": (r"cosine to the estimator's limit", _DARK, _DASHED),
           "return": (r"cosine to Monte-Carlo $\nabla J$", _RETURN, "-."),
           "step": ("cosine to the step from many pairs", _STEP, _DASHED)}
_SHOWN = {"gradient": ("limit", "return"), "step": ("step", "return")}  # the truths that matter to each
_ROWS = {"gradient": "Policy gradient", "step": "Step of the algorithm"}


def agreement(datasets: Sequence[xr.Dataset], *, title: str | None = None) -> Figure:
    """Cosines against pairs per estimate: a row for gradients and one for steps, a column for each policy, with 95 % bands.

    Errors: UserError when a Dataset is of another kind."""
    for each in datasets:
        fields.needed(each, "cosine_to", "gradient")
    datasets = sorted(datasets, key=lambda each: (captions.agent(each), fields.scalar(each, "iteration")))
    kinds = [kind for kind in _ROWS if any(kind in fields.texts(each, "kind") for each in datasets)]
    common, own = captions.names(datasets)
    figure = sheets.blank(2.9 * len(kinds) + 0.2, width=max(7.5, min(3.3 * len(datasets) + 0.6, 16)))
    strips = sheets.rows(figure, [_ROWS[kind] for kind in kinds])
    for strip, kind in zip(strips, kinds, strict=True):
        panels, ends = strip.subplots(1, len(datasets), squeeze=False, sharey=True)[0], [0.0, 0.15]
        for axes, each, name in zip(panels, datasets, own, strict=True):
            ends += _panel(axes, each, kind)
            axes.set_title(captions.sentence(name), fontsize=sheets.MEDIUM)
        panels[0].set_ylabel("mean cosine", fontsize=sheets.MEDIUM)
        _limits(panels[0], min(ends), max(ends))
    for axes in figure.get_axes()[-len(datasets):]:
        axes.set_xlabel("pairs per estimate", fontsize=sheets.MEDIUM)
    title = title or f"Do estimates agree? {common or captions.subject(datasets[0])}"
    return sheets.finish(figure, title, _notes(datasets), warnings=_warnings(datasets))


def noise_scales(datasets: Sequence[xr.Dataset], *, title: str | None = None) -> Figure:
    """The gradient noise scale of each policy against its iteration; lower bounds as arrows."""
    figure = sheets.blank(3.6, width=8)
    axes = figure.subplots()
    agents = sorted({captions.agent(each) for each in datasets})
    iterations = sorted({fields.scalar(each, "iteration") for each in datasets})
    width = max(1, iterations[-1] - iterations[0])
    spread = 0.015 * width  # beside each other, where they were saved at one iteration
    for agent in agents:
        for index, each in enumerate(each for each in datasets if captions.agent(each) == agent):
            _scale(axes, each, shift=spread * agents.index(agent), label=agent if not index else "_")
    training = sorted({fields.scalar(each, "training_pairs") for each in datasets})
    for pairs in training:
        axes.axhline(pairs, color=_GREY, linewidth=1.2, linestyle=_DASHED, zorder=1, label=f"training batch, {pairs:,.0f} pairs")
    axes.set_yscale("log")
    axes.set_xticks(iterations, [f"{k:g}" for k in iterations])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("iteration", fontsize=sheets.MEDIUM)
    axes.set_ylabel("gradient noise scale B, pairs", fontsize=sheets.MEDIUM)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: sheets.number(value)))
    sheets.tidy(axes)
    axes.set_xlim(iterations[0] - 0.1 * width, iterations[-1] + 0.1 * width)
    axes.margins(y=0.1)
    largest = sorted({int(each["noise_pairs"].values[-1]) for each in datasets})
    notes = [(f"from the largest pools, of {sheets.joined([f'{pairs:,}' for pairs in largest])} pairs each, {INTERVAL}s; an arrow: "
              "the gradient cannot be told from 0, and B only be bounded from below")]
    return sheets.finish(figure, title or f"Gradient noise scale: {captions.names(datasets)[0] or 'several policies'}", notes)


def _panel(axes: Axes, dataset: xr.Dataset, kind: str) -> list[float]:
    """One policy, one kind: agreement of estimates, their cosines to the truths, chance. Returns: ends of the bands."""
    sizes = dataset["size"].values
    axes.set_xscale("log")
    sheets.tidy(axes)
    _sizes(axes, sizes)
    axes.axhline(0, color=_DARK, linewidth=0.8, zorder=1)
    axes.axvline(fields.scalar(dataset, "training_pairs"), color=_GREY, linewidth=1.2, linestyle=_DASHED, zorder=1,
                 label=f"training batch, {fields.scalar(dataset, 'training_pairs'):,.0f} pairs")
    if kind not in fields.texts(dataset, "kind"):
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", fontsize=sheets.SMALL)
        return []
    mine = dataset.isel(kind=fields.texts(dataset, "kind").index(kind))
    axes.axhline(fields.scalar(dataset, "chance"), color=_GREY, linewidth=1.3, linestyle=_DOTTED, zorder=1.5,
                 label=r"chance: $1/\sqrt{P}$, a single cosine's spread")
    _curve(axes, mine, "chance_cosine", _GREY, "-", "two estimates, advantages permuted", width=1.0, marker="")
    ends = _curve(axes, mine, "cosine", captions.colour(dataset), "-", f"two estimates ({INTERVAL} shaded)", width=2.2)
    for truth in _SHOWN[kind]:
        if truth in fields.texts(mine, "truth"):
            label, colour, line = _TRUTHS[truth]
            chosen = mine.isel(truth=fields.texts(mine, "truth").index(truth))
            ends += _curve(axes, chosen, "cosine_to", colour, line, label, width=1.6)
    if kind == "gradient" and np.isfinite(scale := _best_scale(dataset)[0]):
        between = np.geomspace(sizes[0], sizes[-1], 60)
        axes.plot(between, between / (between + scale), color=captions.colour(dataset), linewidth=0.9, linestyle=_DOTTED,
                  zorder=2, label="N / (N + B), B from the largest pools")
    axes.text(0.02, 0.97, "\n".join(_said(dataset, kind)), transform=axes.transAxes, va="top", fontsize=sheets.SMALL - 0.5,
              color=_DARK, zorder=6, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5})
    return ends


def _curve(axes: Axes, dataset: xr.Dataset, name: str, colour: str, line: Any, label: str, *, width: float,
           marker: str = "o") -> list[float]:
    """An estimate against the sizes at which it is known, with its band. Returns: the band's ends."""
    values, (low, high) = fields.present(dataset, name, "size"), fields.ends(dataset, name, "size")
    known = np.isfinite(values)
    if not known.any():
        return []
    sizes = np.asarray(dataset["size"], np.float64)[known]
    axes.fill_between(sizes, low[known], high[known], color=colour, alpha=0.18, linewidth=0, zorder=2)
    axes.plot(sizes, values[known], color=colour, linestyle=line, linewidth=width, marker=marker, markersize=3.5, zorder=4,
              label=label)
    return [float(np.nanmin(low[known], initial=0)), float(np.nanmax(high[known], initial=0))]


def _said(dataset: xr.Dataset, kind: str) -> list[str]:
    """What must stand in a panel: B, and how far its references can be believed."""
    lines = []
    if kind == "gradient":
        lines.append("B = " + _scale_words(*_best_scale(dataset)))
    known = fields.texts(dataset, "truth")
    names = {"limit": "limit", "return": r"$\nabla J$", "step": "step"}
    halves = [f"{names[t]} {float(dataset['split_half'].values[known.index(t)]):.2f}" for t in _SHOWN[kind] if t in known]
    return [*lines, f"split halves: {', '.join(halves)}".replace("-", "−")]


def _limits(axes: Axes, low: float, high: float) -> None:
    """All bands, and room above them for the words; ticks end at 1."""
    high = min(high, 1)
    axes.set_ylim(min(low, -0.08 * high) - 0.02 * high, 1.32 * high)
    ticks = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(*axes.get_ylim())
    axes.set_yticks([tick for tick in ticks if axes.get_ylim()[0] <= tick <= min(1, axes.get_ylim()[1]) + 1e-9])


def _sizes(axes: Axes, sizes: np.ndarray) -> None:
    """Ticks at what was measured, at powers of ten where that would be too many."""
    if len(sizes) <= 7:
        axes.set_xticks(sizes)
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1e6:g} M" if value >= 1e6 else f"{value:,.0f}"))
    axes.set_xlim(sizes[0] / 1.35, sizes[-1] * 1.35)


def _best_scale(dataset: xr.Dataset) -> tuple[float, float, float]:
    """B with its ends from the largest pools."""
    scale, low, high = (float(dataset[f"noise_scale{end}"].values[-1]) for end in ("", "_low", "_high"))
    return scale, low, high


def _scale_words(scale: float, low: float, high: float) -> str:
    if not np.isfinite(high):
        return f"{sheets.number(sheets.significant(low))} or more" if np.isfinite(low) else "unknown"
    return f"{sheets.number(sheets.significant(scale))}{sheets.interval(*map(sheets.significant, (low, high)))}"


def _scale(axes: Axes, dataset: xr.Dataset, shift: float, label: str) -> None:
    scale, low, high = _best_scale(dataset)
    x, colour = fields.scalar(dataset, "iteration") + shift, captions.colour(dataset)
    if np.isfinite(high):
        axes.errorbar(x, scale, yerr=[[scale - max(low, 1e-3)], [high - scale]], color=colour, marker="o", markersize=5,
                      capsize=3, label=label)
    elif np.isfinite(low):
        axes.plot(x, low, color=colour, marker="_", markersize=10, linestyle="none", label=label)
        axes.annotate("", (x, 3 * low), (x, low), arrowprops={"arrowstyle": "->", "color": colour})
        axes.plot(x, 3.3 * low, alpha=0)  # room for the arrow


def _notes(datasets: Sequence[xr.Dataset]) -> list[str]:
    first = datasets[0]
    counts = sorted({int(each.attrs["estimates"]) for each in datasets})
    pairs = sorted({int(each.attrs["reference_pairs"]) for each in datasets})
    notes = [(f"{sheets.joined([str(c) for c in counts])} independent estimates of each size, disjoint pools of whole episodes; "
              rf"limit and $\nabla J$ from {sheets.joined([f'{p:,}' for p in pairs])} other pairs")]
    if any("step" in fields.texts(each, "kind") for each in datasets):
        kinds = sheets.joined(sorted({str(each.attrs["step_kind"]) for each in datasets}))
        steps = sorted({int(each.attrs["step_reference_pairs"]) for each in datasets} - {0})
        notes.append(f"steps: {kinds}; from many pairs: {sheets.joined([f'{p:,}' for p in steps])}")
    refused = [int((each["accepted"] == 0).sum()) for each in datasets]
    if any(refused):
        notes.append(f"steps refused by the line search, their proposed ones shown: {', '.join(map(str, refused))}")
    return notes + ([str(first.attrs["left_out"])] if first.attrs.get("left_out") else [])


def _warnings(datasets: Sequence[xr.Dataset]) -> list[str]:
    """Which references are not the truth."""
    names = {"limit": "limit", "return": r"$\nabla J$", "step": "step from many pairs"}
    said, own = [], captions.names(datasets)[1]
    for truth, words in names.items():
        weak = [name for each, name in zip(datasets, own, strict=True) if truth in fields.texts(each, "truth")
                and not each["trusted"].values[fields.texts(each, "truth").index(truth)]]
        if weak:
            said.append(words if len(weak) == len(datasets) or not all(weak) else f"{words} ({'; '.join(weak)})")
    return textwrap.wrap(f"split halves below .9, noisy references and not the truth: {', '.join(said)}", 100) if said else []
