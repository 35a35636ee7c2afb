"""What does a run look like? Functions from rows of metrics.jsonl to matplotlib figures; none saves anything.

A run is a pair (label, rows). Its colour comes from the preset that its label begins with ("ppo_m, seed 3"), so that an
algorithm has one colour in every figure. The palette is Okabe and Ito's, told apart also by the colour-blind."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter

from tfpg.numerics.running import running_mean

Run = tuple[str, Sequence[Mapping[str, Any]]]

PALETTE = {
    "trpo": "#0072B2",
    "trpo_plus": "#56B4E9",
    "ppo": "#D55E00",
    "ppo_m": "#E69F00",
    "ppo_noclip": "#009E73",
    "ppo_bare": "#CC79A7",
}
_OTHERS = ("#000000", "#7F7F7F", "#8C564B", "#5D3A9B")
_LINES = ("-", (0, (6, 2)), (0, (6, 2, 1, 2)), (0, (3, 1)))  # runs of one colour; dotted lines are bounds
# Long runs are shown as a running mean, this wide, over the iterations themselves in a faint line.
_WINDOW, _LONG = 10, 50
_STYLE: dict[str, Any] = {"linewidth": 1.7, "solid_capstyle": "round"}
_BOUND: dict[str, Any] = {"linestyle": (0, (1, 2)), "linewidth": 1.6, "zorder": 1.5}
# The ratio's bound where no run clips: the published figures draw it for every algorithm.
_USUAL_RATIO_BOUND = 1.2

_NOTHING = "nothing"  # marks the word of an empty panel


class _Look(NamedTuple):
    colour: str
    line: Any


def learning_curve(runs: Sequence[Run], *, title: str | None = None) -> Figure:
    """Mean return of the episodes that ended in each iteration, against environment steps."""
    return _arranged([return_panel], runs, title)


def trust_region(runs: Sequence[Run], *, title: str | None = None) -> Figure:
    """Mean KL and largest ratio of each update on its own batch, with their bounds dotted."""
    return _arranged([kl_panel, ratio_panel], runs, title)


def overview(runs: Sequence[Run], *, title: str | None = None) -> Figure:
    """A run at a glance: return, mean KL, largest ratio, explained variance of the value net."""
    return _arranged([return_panel, kl_panel, ratio_panel, value_panel], runs, title)


def png(figure: Figure, *, dpi: int = 150) -> bytes:
    """The figure as the bytes of a PNG."""
    buffer = io.BytesIO()
    settled(figure).savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def settled(figure: Figure) -> Figure:
    """The figure, with a word in each panel whose logarithmic axis has nothing above 0 to show, which matplotlib refuses to draw."""
    for axes in figure.axes:
        for scale, ends, least, limit in ((axes.get_xscale(), axes.get_xlim(), axes.dataLim.minposx, axes.set_xlim),
                                          (axes.get_yscale(), axes.get_ylim(), axes.dataLim.minposy, axes.set_ylim)):
            if scale == "log" and (min(ends) <= 0 or not np.isfinite(least)):
                limit(0.5, 2)
                for old in [text for text in axes.texts if text.get_gid() == _NOTHING]:  # a figure is saved in several forms
                    old.remove()
                axes.text(0.5, 0.53, "nothing above 0", transform=axes.transAxes, ha="center", va="bottom", color="0.5", fontsize=8, gid=_NOTHING)
    return figure


def return_panel(axes: Axes, runs: Sequence[Run]) -> None:
    """Return against environment steps."""
    _curves(axes, runs, "rollout/return", weight="rollout/episodes")
    axes.set_title("Return")
    axes.set_ylabel("mean episode return")
    large = max(abs(limit) for limit in axes.get_ylim()) >= 1e4
    axes.yaxis.set_major_formatter(EngFormatter(sep="") if large else FuncFormatter(lambda y, _: f"{y:,g}"))


def kl_panel(axes: Axes, runs: Sequence[Run]) -> None:
    """Mean KL against environment steps; δ dotted, in the colour of its run."""
    _curves(axes, runs, "trust_region/train/mean_kl")
    looks = _looks(runs)
    for label, rows in runs:
        axes.plot(*_series(rows, "trust_region/bounds/mean_kl"), color=looks[label].colour, **_BOUND)
    axes.set_title("Mean KL (δ dotted)")
    axes.set_ylabel(r"mean KL($\pi_\mathrm{old}$ ‖ $\pi_\mathrm{new}$), nats")
    axes.set_ylim(bottom=0)


def ratio_panel(axes: Axes, runs: Sequence[Run]) -> None:
    """Largest ratio against environment steps, on a log axis; 1 + ε dotted."""
    _curves(axes, runs, "trust_region/train/max_ratio", log=True)
    key = "trust_region/bounds/max_ratio"
    bounds = sorted({row[key] for _, rows in runs for row in rows if key in row} or {_USUAL_RATIO_BOUND})
    for bound in bounds:
        axes.axhline(bound, color="0.25", **_BOUND)
    axes.set_title(f"Largest ratio ({', '.join(f'{bound:g}' for bound in bounds)} dotted)")
    axes.set_ylabel(r"max $\pi_\mathrm{new}(a|s)$ / $\pi_\mathrm{old}(a|s)$")
    axes.set_yscale("log")
    axes.set_ylim(1, max(axes.get_ylim()[1], 2))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def value_panel(axes: Axes, runs: Sequence[Run]) -> None:
    """Explained variance of the value net's own targets, after its update."""
    _curves(axes, runs, "value/train/explained_variance")
    axes.axhline(1, color="0.25", **_BOUND)
    axes.set_title("Value net")
    axes.set_ylabel("explained variance of its targets")
    axes.set_ylim(max(-1.0, axes.get_ylim()[0]), 1.05)  # one bad iteration (−50) would flatten all others


def _arranged(
        panels: Sequence[Callable[[Axes, Sequence[Run]], None]], runs: Sequence[Run], title: str | None) -> Figure:
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=((5.0 if columns == 2 else 6.5) * columns, 3.3 * rows + 0.7), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False)
    for index, (axes, panel) in enumerate(zip(grid.flat, panels, strict=True)):
        panel(axes, runs)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.margins(x=0.01)
        axes.set_xlim(left=0)
        if index >= len(panels) - columns:
            axes.set_xlabel("environment steps")
        axes.grid(True, color="0.9", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    if handles:
        long = any(len(rows) >= _LONG for _, rows in runs)
        legend = figure.legend(
            handles, labels, loc="outside lower center", ncols=min(4, len(labels)), frameon=False, alignment="center",
            title=f"thin: each iteration, thick: mean of the last {_WINDOW}" if long else None)
        legend.get_title().set_fontsize("small")
    if title:
        figure.suptitle(title, fontweight="bold")
    return figure


def _curves(axes: Axes, runs: Sequence[Run], key: str, *, weight: str | None = None, log: bool = False) -> None:
    looks, named = _looks(runs), set()
    for label, rows in runs:
        look = looks[label]
        steps, values = _series(rows, key)
        finite = np.isfinite(values)
        steps, values = steps[finite], values[finite]
        style: dict[str, Any] = {"color": look.colour, "linestyle": look.line, "label": label if label not in named else "_"}
        named.add(label)
        if len(values) < _LONG:
            axes.plot(steps, values, marker="o" if len(values) < 4 else None, **style, **_STYLE)
            continue
        axes.plot(steps, values, color=look.colour, linewidth=0.6, alpha=0.3, zorder=1)
        weights = _series(rows, weight, where=key)[1][finite] if weight else np.ones_like(values)
        mean = np.exp(running_mean(np.log(values), weights, _WINDOW)) if log else running_mean(values, weights, _WINDOW)
        axes.plot(steps, mean, **style, **_STYLE)


def _series(rows: Sequence[Mapping[str, Any]], key: str, *, where: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Environment steps and values of the rows that have `key` (and `where`)."""
    found = [(row["env_steps"], row[key]) for row in rows if key in row and (where is None or where in row)]
    steps, values = zip(*found, strict=True) if found else ((), ())
    return np.asarray(steps, np.float64), np.asarray(values, np.float64)


def _looks(runs: Sequence[Run]) -> dict[str, _Look]:
    """Colour and line of each label: by preset, and by order where labels share a preset or have none."""
    others, looks = itertools.cycle(_OTHERS), {}
    seen: dict[str, int] = {}
    for label in dict.fromkeys(label for label, _ in runs):
        words = label.lower().replace("-", "_").replace(",", " ").split()
        colour = PALETTE.get(words[0] if words else "") or next(others)
        looks[label] = _Look(colour, _LINES[seen.get(colour, 0) % len(_LINES)])
        seen[colour] = seen.get(colour, 0) + 1
    return looks
