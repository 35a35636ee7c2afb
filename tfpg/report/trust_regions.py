"""What do trust regions look like? Several agents of several algorithms beside each other.

Datasets in, Figures out; nothing is saved. Colours are those of figures.PALETTE, an algorithm one everywhere."""

from __future__ import annotations

import itertools
import textwrap
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter

from tfpg.report.captions import named
from tfpg.report.figures import PALETTE

BOUND: dict[str, Any] = {"linestyle": (0, (1, 2)), "linewidth": 1.4, "zorder": 1.5}  # how a bound is drawn
POOLS = {"train": "on the update's own pairs", "heldout": "on held-out pairs"}
_USUAL_RATIO = 1.2  # the published figures draw it for every algorithm
_ROWS = {"mean_return": "mean return of episodes", "mean_kl": r"mean KL($\pi_\mathrm{old}$ ‖ $\pi_\mathrm{new}$), nats",
         "max_ratio": r"max $\pi_\mathrm{new}(a|s)$ / $\pi_\mathrm{old}(a|s)$"}
_EACH = 5  # fewer agents are also drawn one by one: a band of so few is wide, and says little of where they are


def over_seeds(found: xr.Dataset, *, title: str | None = None) -> Figure:
    """Mean return, mean KL and largest ratio against environment steps: two columns a task, the updates' own pairs and held-out
    ones (one where none were looked at), a colour an algorithm.

    Args: found: of diagnostics.trust_regions.over_agents.over_seeds."""
    pools = [pool for pool in POOLS if pool == "train" or np.isfinite(found["mean_kl"].sel(pool=pool)).any()]
    columns = list(itertools.product(dict.fromkeys(found["task"].values.tolist()), pools))
    figure = Figure(figsize=(max(6.4, 4.4 * len(columns) + 0.8), 9.0), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(_ROWS), len(columns), squeeze=False, sharex="col")
    colours = _colours(found["preset"].values.tolist())
    for column, (task, pool) in enumerate(columns):
        own = found.isel(group=np.flatnonzero(found["task"].values == task))
        for row, name in enumerate(_ROWS):
            axes = grid[row, column]
            for group in range(own.sizes["group"]):
                part = own.isel(group=group)
                _agents(axes, part.sel(pool=pool), name, colours[str(part["preset"].values)], joined=pool == "train")
            _dress(axes, name, own.sel(pool=pools))
        grid[0, column].set_title(f"{task}, {POOLS[pool]}", fontsize="medium")
        grid[-1, column].set_xlabel("environment steps")
    for row, label in enumerate(_ROWS.values()):
        grid[row, 0].set_ylabel(label)
    handles = [Line2D([], [], color=colour, linewidth=2, label=named(preset)) for preset, colour in colours.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=max(3, len(handles)), frameon=False, fontsize="small",
                  title="\n".join(textwrap.wrap(_caption(found), 34 + 60 * len(columns))), title_fontsize="x-small")
    figure.suptitle(title or "Trust regions", fontweight="bold")
    return figure


def log_scale(axes: Axes, subs: tuple[float, ...] = (1, 2, 5)) -> None:
    """The y axis logarithmic, with plain numbers at these multiples of powers of ten."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _agents(axes: Axes, part: xr.Dataset, name: str, colour: str, *, joined: bool) -> None:
    """One algorithm in one pool: the mean of its agents with its band; few agents also one by one."""
    steps, mean = part["env_steps"].values, part[name].values
    known = np.isfinite(mean)
    sparse = not joined or known.sum() < 4
    style: dict[str, Any] = {"marker": "o", "markersize": 2.8} if sparse else {}
    axes.plot(steps[known], mean[known], color=colour, linewidth=0.9 if sparse else 1.5, zorder=3, **style)
    if 1 < int(part["agents"]) < _EACH:
        for agent in part[f"{name}_agents"].values:
            shown = np.isfinite(agent)
            if shown.any():
                axes.plot(steps[shown], agent[shown], color=colour, linewidth=0.6, alpha=0.5, zorder=2)
    low, high = (part[f"{name}_{end}"].values for end in ("low", "high"))
    banded = known & np.isfinite(low)
    if banded.any():
        axes.fill_between(steps[banded], low[banded], high[banded], color=colour, linewidth=0, zorder=1,
                          alpha=0.18 if part["agents"] >= _EACH else 0.07)
    if name == "mean_kl" and np.isfinite(part["delta"]).any():
        known = np.isfinite(part["delta"].values)
        axes.plot(steps[known], part["delta"].values[known], color=colour, **BOUND)


def _dress(axes: Axes, name: str, own: xr.Dataset) -> None:
    """Scales, bounds and limits of a panel; a task's columns have the same ones.

    The limits are those of lines and bounds: of two agents Student's band is thirteen times as wide as they are apart.
    Args: own: one task, the pools that have columns."""
    axes.grid(True, color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.margins(x=0.01)
    lines = [own[name].values] + [own[f"{name}_agents"].isel(group=group).values for group in range(own.sizes["group"])
                                  if int(own["agents"][group]) < _EACH]
    values = np.concatenate([np.ravel(line) for line in lines])
    values = values[np.isfinite(values)]
    if not values.size:
        return
    if name == "mean_return":
        margin = 0.05 * (np.ptp(values) or 1)
        axes.set_ylim(values.min() - margin, values.max() + margin)
        return
    log_scale(axes)
    every = own["delta" if name == "mean_kl" else "ratio_high"].values
    bounds = sorted(set(every[np.isfinite(every)].tolist()))
    if name == "mean_kl":
        if not bounds:  # no algorithm with a δ of its own beside
            bounds = [float(own["reference_delta"][0])]
            axes.axhline(bounds[0], color="0.4", **BOUND)
        # A step size annealed to 0 ends in a KL of 0, which is not to press the rest flat.
        low = min(np.quantile(values, 0.02) / 2, bounds[0] / 1.2)
    else:
        bounds, low = bounds or [_USUAL_RATIO], 1
        for bound in bounds:
            axes.axhline(bound, color="0.25", **BOUND)
    axes.set_ylim(low, 1.2 * max(values.max(), bounds[-1]))


def _caption(found: xr.Dataset) -> str:
    attrs, window = found.attrs, found.attrs["window"]
    held = found["mean_kl_count"].sel(pool="heldout").max("iteration").values
    counts = ", ".join(
        f"{named(preset)} on {task}: {int(n)} agent{'s' if n > 1 else ''}{f' ({int(few)} held-out)' if 0 < few < n else ''}"
        for preset, task, n, few in zip(found["preset"].values, found["task"].values, found["agents"].values, held, strict=True))
    heldout = f", {attrs['pairs_heldout']} held-out" if attrs["pairs_heldout"] else ""
    said = [f"{counts}. {attrs['pairs_train']} pairs an update{heldout}"]
    if "," in attrs["pairs_train"] or attrs["pairs_heldout"] not in ("", attrs["pairs_train"]):
        said.append("largest ratios of unequal numbers of pairs do not compare")
    several = found["agents"].values > 1
    said.append("lines: means over agents (KL and ratio: geometric), "
                + (f"bands: {attrs['intervals']}; limits of the axes are those of the lines (of KL but the lowest 2 %), bands are cut off there"
                   if several.any() else "one agent has no band"))
    if (several & (found["agents"].values < _EACH)).any():
        said.append("thin: each agent")
    if window > 1:
        said.append(f"own pairs: running means of the last {window} iterations (KL and ratio: geometric)")
    if attrs["pairs_heldout"]:
        said.append("held-out pairs: a dot is one iteration, not smoothed")
    if attrs["unmoved"]:
        said.append(f"{attrs['unmoved']} updates that did not move (KL 0) are left out of its mean")
    if attrs["infinite"]:
        said.append(f"{attrs['infinite']} largest ratios are infinite and not drawn")
    return "; ".join(said) + ". Dotted: δ of TRPO in its colour (grey: the δ that TRPO has on the task), 1 + ε."


def _colours(presets: list[str]) -> dict[str, str]:
    others = itertools.cycle(("#000000", "#7F7F7F", "#8C564B", "#5D3A9B"))
    return {preset: PALETTE.get(preset) or next(others) for preset in dict.fromkeys(presets)}
