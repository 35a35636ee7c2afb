"""How is a figure set out? Title and caption above, rows of axes, one legend below; legible when 900 pixels wide.

Heights are in inches and add up: a longer caption makes a longer figure and never smaller panels."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, MaxNLocator

# Points. A figure of 10 inches shown 900 pixels wide leaves 10 pixels of 8 points.
SMALL, MEDIUM, LARGE = 8, 9, 12
WIDTH = 10.0
_TIE = "\0"  # stands for a space within a phrase, which textwrap then does not break
_LINE, _TITLE, _HEADING, _LEGEND = 0.17, 0.36, 0.22, 0.24  # inches: a note's line, the title, each more line of it, the legend's
WARNING = "#B23B00"
_GREY = "0.3"


def blank(height: float, *, width: float = WIDTH) -> Figure:
    """An empty body of that height; `finish` adds what stands above and below it."""
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    _layout(figure).set(h_pad=0.06, w_pad=0.05)
    FigureCanvasAgg(figure)
    return figure


def rows(figure: Figure, titles: Sequence[str], heights: Sequence[float] | None = None) -> list[SubFigure]:
    """One strip of the figure under each title."""
    strips = figure.subfigures(len(titles), 1, squeeze=False, height_ratios=heights)[:, 0]
    for strip, title in zip(strips, titles, strict=True):
        if title:
            strip.suptitle(title, fontsize=MEDIUM + 0.5)
    return list(strips)


def solid(figure: Figure | SubFigure, *position: Any) -> Axes:
    """Axes in three dimensions with light walls, at subplot(*position)."""
    with matplotlib.rc_context({"grid.color": "0.88", "grid.linewidth": 0.6}):  # 3-D axes read them when they are made
        axes = figure.add_subplot(*position, projection="3d", computed_zorder=False)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.pane.set_facecolor("white")
        axis.pane.set_edgecolor("0.85")
        axis.line.set_color("0.4")
    return axes


def tidy(axes: Axes) -> None:
    """The look of figures.py: a light grid, no box."""
    axes.grid(True, color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL)


def finish(figure: Figure, title: str, notes: Sequence[str], *, warnings: Sequence[str] = ()) -> Figure:
    """Puts title, caption, warnings and the legend of everything labelled around the body."""
    width, body = figure.get_size_inches()
    characters = int(width * 72 / (SMALL * 0.57))  # 0.57 em: DejaVu Sans's mean width
    lines: list[tuple[str, str, str, str | None]] = [
        (line, f"note {index}", _GREY, None) for index, note in enumerate(notes) if note for line in _wrapped(note, characters)]
    lines += [(warning, f"warning {index}", WARNING, "bold") for index, warning in enumerate(warnings)]
    titles = _wrapped(title, int(width * 72 / (LARGE * 0.7)))  # bold is wider
    top = _TITLE + _HEADING * (len(titles) - 1)
    named = _labelled(figure)
    columns = _columns(list(named), characters)
    foot = 0.06 + (_LEGEND * -(-len(named) // columns) if named else 0)
    head = top + _LINE * len(lines) + 0.05
    height = body + head + foot
    figure.set_size_inches(width, height)
    _layout(figure).set(rect=(0, foot / height, 1, body / height))
    heading = figure.suptitle("\n".join(titles), fontweight="bold", fontsize=LARGE, y=1 - 0.08 / height, va="top")
    heading.set_in_layout(False)  # its room is the head, not the body's
    for index, (line, name, colour, weight) in enumerate(lines):
        text = figure.text(0.5, 1 - (top + _LINE * index) / height, line, ha="center", va="top", fontsize=SMALL, color=colour,
                           fontweight=weight, gid=name)  # by its name a page puts a note's lines together again
        text.set_in_layout(False)
    if named:
        legend = figure.legend(named.values(), named.keys(), loc="lower center", bbox_to_anchor=(0.5, 0.02 / height),
                               ncols=columns, frameon=False, fontsize=SMALL, borderaxespad=0, borderpad=0.2)
        legend.set_in_layout(False)
    return figure


def number(value: float, digits: int = 3) -> str:
    """A number as it is read: 1,234 and 0.0123; whole above a hundred, in millions above a million."""
    if abs(value) >= 1e6:
        found = f"{value / 1e6:,.{digits}g} M"
    else:
        found = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.{digits}g}"
    return found.replace("-", "−")


def significant(value: float) -> float:
    """To three significant digits: 281,026 is 281,000."""
    return float(f"{value:.3g}")


def signed(value: float) -> str:
    """A difference as it is read, with its sign."""
    return ("+" if value >= 0 else "") + number(value)


def interval(low: float, high: float) -> str:
    """[low, high]; nothing where it is not known."""
    return "" if not low <= high else f" [{number(low)}, {number(high)}]"


def joined(names: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def ticks(axis: Any, count: int = 5, *, whole: bool = False) -> None:
    """Few ticks at round numbers, thousands with a comma. Args: whole: at whole numbers only, as of iterations."""
    axis.set_major_locator(MaxNLocator(count, steps=[1, 2, 5, 10] if whole else [1, 2, 2.5, 5, 10], integer=whole))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}".replace("-", "−")))


def _layout(figure: Figure) -> ConstrainedLayoutEngine:
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)  # as `blank` asks for
    return engine


def _labelled(figure: Figure) -> dict[str, Any]:
    """Every labelled artist, one of each label."""
    found: dict[str, Any] = {}
    for axes in figure.get_axes():
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return found


def _columns(labels: Sequence[str], characters: int) -> int:
    """As many columns of the legend as fit; a handle takes some nine characters. A column is filled before the next."""
    sizes = np.array([_seen(label) + 9 for label in labels])
    for columns in range(len(labels), 1, -1):
        if sum(part.max() for part in np.array_split(sizes, columns)) <= characters:  # as matplotlib divides them
            return columns
    return 1


def _wrapped(note: str, characters: int) -> list[str]:
    """Lines of about equal length, none longer than fits; broken between phrases where those fit."""
    whole = "; ".join(phrase.replace(" ", _TIE) if len(phrase) < characters else phrase for phrase in note.split("; "))

    def tried(width: int) -> list[str]:
        # Words longer than the width, phrases tied together, stand alone on lines that may be longer than it.
        return [line.replace(_TIE, " ") for line in textwrap.wrap(whole, width, break_long_words=False, break_on_hyphens=False)]

    fitting = [lines for lines in map(tried, range(characters // 2, characters + 1)) if max(map(len, lines)) <= characters]
    return min(fitting or [tried(characters)], key=lambda lines: (len(lines), max(map(len, lines))))


def _seen(label: str) -> int:
    """Characters of a label, a formula's commands aside."""
    return len(re.sub(r"[\\${}_]|theta", "", label)) + label.count("theta")
