"""Where does one update lead? The returns after many updates from one θ_k, as a figure; nothing is saved."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tfpg.report import captions, fields, sheets
from tfpg.report.captions import INTERVAL

_GREY = "0.62"
_FREED = {"cvar_shrunken": "CVaR", "drop_probability_normal": "probability of a drop"}


def updates(dataset: xr.Dataset, *, title: str | None = None) -> Figure:
    """Returns after many independent updates from one θ_k: their distribution above, each with its interval below."""
    fields.needed(dataset, "gain", "repeated-update")
    gains = fields.present(dataset, "gain", "repeat")
    known = np.isfinite(gains)
    order = np.flatnonzero(known)[np.argsort(gains[known])]
    colour, summary = captions.colour(dataset), _summary(dataset, gains[known])
    figure = sheets.blank(5.4, width=8)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1, 1.5])
    above.hist(gains[known], bins="auto", color=colour, alpha=0.45, edgecolor="white")
    above.set_ylabel("updates", fontsize=sheets.MEDIUM)
    above.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    low, high = fields.bounds(dataset, "gain", "repeat")
    places = np.arange(len(order))
    if low is not None and high is not None:
        below.hlines(places, low[order], high[order], color=_GREY, linewidth=min(1.2, 90 / max(1, len(order))),
                     label=f"one update, {INTERVAL}")
    below.plot(gains[order], places, linestyle="none", marker="o", markersize=3.5, color=colour)
    below.set_ylabel("updates, in order", fontsize=sheets.MEDIUM)
    below.set_yticks([])
    below.set_xlabel(r"change of the mean episode return against $\theta_k$", fontsize=sheets.MEDIUM)
    for axes in (above, below):
        _verticals(axes, dataset, summary, colour)
        sheets.tidy(axes)
    sheets.ticks(below.xaxis, 7)
    episodes = dataset.sizes.get("episode", dataset.attrs.get("episodes", 0))
    refused = int(dataset.attrs.get("refused", 0))
    notes = [f"{len(order):,} updates{f' ({refused:,} refused)' if refused else ''}, {episodes:,} episodes after each",
             *_words(dataset, summary)]
    title = title or f"After one update: {captions.subject(dataset)}"
    return sheets.finish(figure, title, notes, warnings=captions.warnings([dataset], of="updates"))


def _verticals(axes: Axes, dataset: xr.Dataset, summary: dict[str, float], colour: str) -> None:
    """Where the centre, the mean and the worst updates lie."""
    low, high = (_attribute(dataset, f"centre_return_{side}") - summary["centre"] for side in ("low", "high"))
    if low <= high:
        axes.axvspan(low, high, color="0.9", linewidth=0, zorder=0, label=rf"$J(\theta_k)$, {INTERVAL}")
    axes.axvline(0, color="black", linewidth=1.2, zorder=3, label=r"$\theta_k$: no change")
    axes.axvline(summary["mean"], color=colour, linewidth=2, zorder=3, label="mean of the updates")
    axes.axvline(summary["cvar"], color=colour, linewidth=2, linestyle=(0, (2, 1.5)), zorder=3,
                 label=f"mean of the worst {100 * summary['level']:.0f} % (CVaR)")


def _summary(dataset: xr.Dataset, gains: np.ndarray) -> dict[str, float]:
    """Mean, CVaR and share of drops: the stored ones, else those of the estimates as they are."""
    level = _attribute(dataset, "cvar_level", 0.1)
    worst = np.sort(gains)[:max(1, round(level * len(gains)))] if gains.size else np.array([np.nan])
    mean = float(gains.mean()) if gains.size else np.nan
    share = float(np.mean(gains < 0)) if gains.size else np.nan
    return {"level": level, "centre": _attribute(dataset, "centre_return"),
            "mean": _attribute(dataset, "mean_gain", mean), "cvar": _attribute(dataset, "cvar", float(worst.mean())),
            "drop": _attribute(dataset, "drop_probability", share)}


def _words(dataset: xr.Dataset, summary: dict[str, float]) -> list[str]:
    """Centre, mean, probability of a drop and the two variances as sentences."""
    def between(name: str) -> str:
        return sheets.interval(_attribute(dataset, f"{name}_low"), _attribute(dataset, f"{name}_high"))

    centre = rf"$J(\theta_k)$ = {sheets.number(summary['centre'])}{between('centre_return')}"
    said = [*([centre] if np.isfinite(summary["centre"]) else []),
            f"mean change {sheets.signed(summary['mean'])}{between('mean_gain')}",
            f"probability of a drop {summary['drop']:.2f}{between('drop_probability')}"]
    sentences = ["; ".join(said)]
    found = [_attribute(dataset, f"variance_{name}") for name in ("between", "within")]
    if np.isfinite(found).all():
        spreads = [sheets.number(float(np.sqrt(max(0.0, variance)))) for variance in found]
        ends = [np.sqrt(np.maximum(0.0, _attribute(dataset, f"variance_{side}"))) for side in ("low", "high")]
        sentences.append(f"standard deviation between updates {spreads[0]}{sheets.interval(*ends)}, "
                         f"of the episodes of one {spreads[1]}")
    freed = [f"{words} {sheets.number(_attribute(dataset, name))}{between(name)}" for name, words in _FREED.items()
             if np.isfinite(_attribute(dataset, name))]
    drawn = [str(dataset.attrs["drawn"])] if "drawn" in dataset.attrs else []
    return sentences + (["freed of the episodes' noise: " + ", ".join(freed)] if freed else []) + drawn


def _attribute(dataset: xr.Dataset, name: str, absent: float = np.nan) -> float:
    """A number from the attributes, or a variable with one."""
    found = fields.scalar(dataset, name)
    return found if np.isfinite(found) else absent
