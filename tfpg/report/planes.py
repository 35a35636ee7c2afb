"""How is a function on the plane drawn? As a heat map and as a hill, from a Field and the scale it shares with others.

White is kept for points not computed. The surrogate has another colour map than the return: their units differ."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps, patheffects
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, Normalize
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from tfpg.report.captions import INTERVAL, ORIGIN
from tfpg.report.fields import Field
from tfpg.report.sheets import MEDIUM, SMALL, ticks

STEP = "full step"
UNKNOWN, ALIKE, LEVEL = "not computed yet", "not distinguishable from the origin (95 %)", "level of the origin"
_ORIGIN = {"marker": "o", "color": "white", "markeredgecolor": "black", "markersize": 7, "linestyle": "none"}
_STEP = {"marker": "D", "color": "#D55E00", "markeredgecolor": "black", "markersize": 6.5, "linestyle": "none"}
_HALO = [patheffects.withStroke(linewidth=2.2, foreground="white")]
# The origin is the left corner, x comes to the front, y goes to the back: a rise along the step and a fall along the
# random direction both stay visible from 24 degrees on, for a plane as high as the box.
_VIEW, _BOX = {"elev": 32, "azim": -47}, (1, 1, 0.62)
_ZOOM = 1.1  # mplot3d leaves room for a box that is turned
_WHISKERS = 5  # of them an axis: one at each of 21 × 21 points hides the surface


class Scale(NamedTuple):
    """Colours, and the limits of the third axis."""

    norm: Normalize
    colours: Colormap
    low: float
    high: float
    extend: str  # "neither", or where colours are clipped


def scale_of(fields: Iterable[Field]) -> Scale:
    """The scale that several fields share; a flat one has some width still.

    A few ratios can make the surrogate of a few points a hundred times that of all others. Where the range exceeds ten
    times the middle 90 %, colours are clipped there, and the colour bar says so by its pointed end. A return is never
    clipped: one narrow peak may be all there is to see."""
    fields = list(fields)
    values = np.concatenate([field.values[np.isfinite(field.values)] for field in fields] or [np.zeros(0)])
    if not values.size:
        values = np.zeros(1)
    low, high = values.min(), values.max()
    least, most = low, high
    if fields and fields[0].surrogate:
        inner, outer = np.percentile(values, (5, 95))
        spread = outer - inner
        if 0 < 10 * spread < high - low:
            low, high = max(low, min(inner - spread, 0.0)), min(high, max(outer + spread, 0.0))
    if _flat(low, high):
        half = 0.05 * abs(low) or 1.0
        low, high = low - half, high + half
    extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[bool(least < low), bool(most > high)]
    colours = colormaps["cividis" if fields and fields[0].surrogate else "viridis"]
    return Scale(Normalize(low, high), colours, float(low), float(high), extend)


def heat(
        axes: Axes, field: Field, scale: Scale, *, labels: tuple[bool, bool] = (True, True), short: bool = False,
        contours: bool = True) -> QuadMesh:
    """Heat map with contours, the level of the origin, and dots where a point cannot be told from the origin.

    Args: labels: whether x and y are labelled. short: with few words. contours: others than the origin's level."""
    mesh = axes.pcolormesh(field.xs, field.ys, np.ma.masked_invalid(field.values), shading="nearest", norm=scale.norm,
                           cmap=scale.colours)
    if contours:
        _contours(axes, field, scale)
    _level(axes, field)
    if field.alike is not None and field.alike.any():
        row, column = np.nonzero(field.alike)
        axes.plot(field.xs[column], field.ys[row], linestyle="none", marker=".", markersize=4.5, color="black",
                  markeredgecolor="white", markeredgewidth=0.5, label=ALIKE)
    if not np.isfinite(field.values).all():
        axes.plot([], [], linestyle="none", marker="s", markersize=8, color="white", markeredgecolor="0.4",
                  label=UNKNOWN)
    for place, name, label, style in _places(field):
        axes.plot(*place, **style, label=label, zorder=4, clip_on=False)
        axes.annotate(name, place, (5, 6), textcoords="offset points", fontsize=MEDIUM, path_effects=_HALO, zorder=5)
    axes.set_box_aspect(1)
    axes.tick_params(labelsize=SMALL)
    axes.spines[["top", "right"]].set_visible(False)
    for axis in (axes.xaxis, axes.yaxis):
        ticks(axis)
    x_label, y_label = (field.x_short, field.y_short) if short else (field.x_label, field.y_label)
    axes.set_xlabel(x_label if labels[0] else "", fontsize=SMALL)
    axes.set_ylabel(y_label if labels[1] else "", fontsize=SMALL)
    return mesh


def hill(axes: Axes3D, field: Field, scale: Scale, *, z_label: bool = True) -> None:
    """Surface in three dimensions; whiskers show the intervals of some of its points."""
    axes.view_init(**_VIEW)
    axes.set_box_aspect(_BOX, zoom=_ZOOM)
    corners = _faces(field, scale)
    if len(corners):
        faces = Poly3DCollection(corners, cmap=scale.colours, norm=scale.norm, linewidth=0.25,
                                 edgecolor=(0, 0, 0, 0.25), zorder=1)
        faces.set_array(corners[..., 2].mean(axis=-1))
        axes.add_collection3d(faces)
    reach = _whiskers(axes, field, scale)
    for (x, y), name, label, style in _places(field):
        value = np.clip(field.at(x, y), scale.low, scale.high)
        if np.isfinite(value):
            axes.plot([x], [y], [value], **style, label=label, zorder=6)
            axes.text(x, y, value, f" {name}", fontsize=MEDIUM, va="bottom", path_effects=_HALO, zorder=7)
    for artist in (*axes.collections, *axes.lines):
        artist.set_clip_on(False)  # mplot3d clips at the panel's rectangle, and a corner of the box may reach over it
        artist.set_in_layout(False)  # without clipping the layout would ask for its extent, in coordinates of the data
    axes.set_zlim(min(scale.low, reach[0]), max(scale.high, reach[1]))
    axes.set_xlim(field.xs[0], field.xs[-1])
    axes.set_ylim(field.ys[0], field.ys[-1])
    for axis, pad, count in ((axes.xaxis, -2, 4), (axes.yaxis, -2, 4), (axes.zaxis, 3, 5)):
        axis.set_tick_params(labelsize=SMALL - 0.5, pad=pad)
        ticks(axis, count)
    axes.set_xlabel("steps", fontsize=SMALL, labelpad=-5)
    axes.set_ylabel("random", fontsize=SMALL, labelpad=-5)
    axes.set_zlabel(field.name if z_label else "", fontsize=SMALL, labelpad=5)


def colour_bar(
        mesh: QuadMesh, axes: Axes, field: Field, scale: Scale, *, shared: bool = False,
        named: bool = True) -> Colorbar:
    """The colours' meaning and unit, right of the axes; a line at the origin's value, unless panels share the bar."""
    beside = axes.inset_axes((1.05, 0, 0.05, 1))  # as high as the panel, whatever room its row has
    bar = axes.figure.colorbar(mesh, cax=beside, extend=scale.extend)
    bar.set_label(field.name if named else "", fontsize=SMALL)
    beside.tick_params(labelsize=SMALL)
    bar.outline.set_edgecolor("0.6")
    ticks(beside.yaxis, 6)
    level = field.at(0, 0)
    if not shared and np.isfinite(level):
        beside.axhline(level, color="black", linewidth=1.8)
    return bar


def share_z(several: Iterable[Axes3D]) -> None:
    """The widest limits of the third axis, for all."""
    several = list(several)
    low, high = zip(*(axes.get_zlim() for axes in several), strict=True)
    for axes in several:
        axes.set_zlim(min(low), max(high))


def _faces(field: Field, scale: Scale) -> np.ndarray:
    """Corners of the faces between four known points, [F, 4, 3]; plot_surface would draw what is left of the others."""
    points = np.stack([*np.meshgrid(field.xs, field.ys), np.clip(field.values, scale.low, scale.high)], axis=-1)
    faces = np.stack([points[:-1, :-1], points[:-1, 1:], points[1:, 1:], points[1:, :-1]], axis=2).reshape(-1, 4, 3)
    return faces[np.isfinite(faces).all(axis=(1, 2))]


def _contours(axes: Axes, field: Field, scale: Scale) -> None:
    """Thin contours at round values, further apart than the noise."""
    known = np.ma.masked_invalid(field.values)
    if not known.count() or _flat(known.min(), known.max()):
        return
    # A contour closer to the next than an interval is wide winds about the noise of single points.
    widths = np.zeros(0) if field.low is None or field.high is None else np.ravel(field.high - field.low)
    width = float(np.median(widths[np.isfinite(widths)])) if np.isfinite(widths).any() else 0.0
    count = int(min(7, (scale.high - scale.low) / width)) if width > 0 else 7
    levels = MaxNLocator(count).tick_values(scale.low, scale.high) if count else []
    apart, origin = np.diff(levels)[0] if len(levels) > 1 else 0, field.at(0, 0)
    levels = [level for level in levels if known.min() < level < known.max() and not abs(level - origin) < apart / 4]
    if levels:
        # White on the dark half of the colours, black on the light half.
        ink = ["white" if scale.norm(level) < 0.55 else "black" for level in levels]
        lines = axes.contour(field.xs, field.ys, known, levels=levels, colors=ink, linewidths=0.6, alpha=0.8,
                             linestyles="solid")
        axes.clabel(lines, fontsize=SMALL - 1, fmt=lambda level: f"{level:,.4g}".replace("-", "−"))


def _level(axes: Axes, field: Field) -> None:
    """The contour at the origin's value; not where most points cannot be told from it: it would follow their noise."""
    known, level = np.ma.masked_invalid(field.values), field.at(0, 0)
    blurred = field.alike is not None and field.alike.sum() > 0.5 * known.count()
    if not blurred and known.count() and known.min() < level < known.max():
        axes.contour(field.xs, field.ys, known, levels=[level], colors="black", linewidths=1.8, linestyles="solid")
        axes.plot([], [], color="black", linewidth=1.8, label=LEVEL)


def _flat(low: float, high: float) -> bool:
    return high - low <= 1e-9 * max(abs(low), abs(high))


def _places(field: Field) -> list[tuple[tuple[float, float], str, str, dict]]:
    """What is marked: the origin and the full step, where the extent has them."""
    x_inside, y_inside = field.xs[0] <= 1 <= field.xs[-1], field.ys[0] <= 0 <= field.ys[-1]
    places = []
    if field.xs[0] <= 0 <= field.xs[-1] and y_inside:
        places.append(((0.0, 0.0), r"$\theta_k$", ORIGIN, _ORIGIN))
    if x_inside and y_inside and not field.refused:
        places.append(((1.0, 0.0), field.step, STEP, _STEP))
    return places


def _whiskers(axes: Axes3D, field: Field, scale: Scale) -> tuple[float, float]:
    """Intervals at a coarse grid of points, corners included. Returns: how far they reach."""
    if field.low is None or field.high is None:
        return np.inf, -np.inf
    chosen = np.ix_(*(np.linspace(0, size - 1, _WHISKERS).round().astype(int) for size in field.values.shape))
    low, high, values = (found[chosen] for found in (field.low, field.high, field.values))
    shown = (low < high) & (scale.low <= values) & (values <= scale.high)
    if not shown.any():
        return np.inf, -np.inf
    x, y = (found[chosen][shown] for found in np.meshgrid(field.xs, field.ys))
    gap = np.full(len(x), np.nan)  # one line with gaps
    ends = (np.stack(each, axis=1).ravel() for each in ((x, x, gap), (y, y, gap), (low[shown], high[shown], gap)))
    axes.plot(*ends, color="black", linewidth=1.1, alpha=0.55, label=INTERVAL, zorder=3)
    return float(low[shown].min()), float(high[shown].max())
