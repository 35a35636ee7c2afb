"""What does the plane around a policy look like? Functions from stored landscapes to figures; none saves anything.

Every figure states its sample size and uncertainty, marks the origin θ_k and the full step, and leaves points that are
not computed white. The surface illustrates; statements are made from the slices (report.slices)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import NullLocator

from tfpg.errors import UserError
from tfpg.report import captions, fields, planes, sheets
from tfpg.report.fields import Field

_CHANCE, _SURE = 0.5, 0.95
_KNOWN = 0.5  # share of a bin's pairs whose order must be known for the bin to be shown


def surface(dataset: xr.Dataset, *, variable: str = "mean_return", title: str | None = None) -> Figure:
    """The true return around one policy, a row for each update, all on one scale: hill, heat map.

    Args: variable: another one of dims x, y to draw instead, for example what plane.evaluate found."""
    rows = [(update, fields.of_return(update) if variable == "mean_return" else fields.of_variable(update, variable))
            for update in fields.updates(dataset)]
    scale = planes.scale_of(field for _, field in rows)
    figure = sheets.blank(4.1 * len(rows))
    strips = sheets.rows(figure, [_row_title(update, field) for update, field in rows])
    for strip, (_, field) in zip(strips, rows, strict=True):
        planes.hill(sheets.solid(strip, 1, 2, 1), field, scale)
        axes = strip.add_subplot(1, 2, 2)
        planes.colour_bar(planes.heat(axes, field, scale), axes, field, scale)
    name = "True return" if variable == "mean_return" else captions.sentence(variable)
    return _finished(figure, title or ": ".join(filter(None, (name, captions.subject(dataset)))), [dataset])


def surrogate(dataset: xr.Dataset, *, title: str | None = None) -> Figure:
    """The surrogate around one policy, a row for each update and pool: hill and heat map of what the algorithm
    optimises, small heat map of the other objective. The pools of one update share their colours."""
    fields.needed(dataset, "surrogate", "surrogate")
    optimised, others = fields.objectives(dataset)
    pools = fields.texts(dataset, "pool")
    rows = [(update, pool) for update in fields.updates(dataset) for pool in pools]
    scales = {}
    figure = sheets.blank(3.4 * len(rows))
    titles = [_row_title(update, fields.of_surrogate(update, pool, optimised), pool) for update, pool in rows]
    for index, strip in enumerate(sheets.rows(figure, titles)):
        update, pool = rows[index]
        grid = strip.add_gridspec(1, 3 if others else 2, width_ratios=[1.3, 1, 0.62][:3 if others else 2])
        for column, objective in enumerate([optimised, *others[:1]]):
            key = (index // len(pools), objective)
            if key not in scales:
                scales[key] = planes.scale_of(fields.of_surrogate(update, each, objective) for each in pools)
            field = fields.of_surrogate(update, pool, objective)
            if objective == optimised:
                planes.hill(sheets.solid(strip, grid[0, 0]), field, scales[key], z_label=False)
            axes = strip.add_subplot(grid[0, 1 + column])
            mesh = planes.heat(axes, field, scales[key], labels=(True, column == 0), short=column > 0)
            planes.colour_bar(mesh, axes, field, scales[key])
            axes.set_title(f"{'not ' if column else ''}optimised: {objective}", fontsize=sheets.SMALL)
    return _finished(figure, title or f"Surrogate: {captions.subject(dataset)}", [dataset], both=bool(others))


def comparison(
        returns: xr.Dataset, surrogates: xr.Dataset, *, pools: Sequence[str] | None = None, title: str | None = None) -> Figure:
    """True return (left) and optimised surrogate, on each pool, over the same axes; two rows for each update; one scale for all
    returns, one for all surrogates.

    Args: pools: which; None: all. Errors: UserError when the two are not of one policy, or share no update."""
    _check_same(returns, surrogates)
    optimised, _ = fields.objectives(surrogates)
    pairs, pools = _matched(returns, surrogates), pools or fields.texts(surrogates, "pool")
    figure = sheets.blank(7.4 * len(pairs), width=4.75 * (1 + len(pools)))
    titles = [_row_title(left, fields.of_return(left)) for left, _ in pairs]
    grounds = [fields.of_return(left) for left, _ in pairs]
    maps = [[fields.of_surrogate(right, pool, optimised) for pool in pools] for _, right in pairs]
    scales = [planes.scale_of(grounds), *[planes.scale_of(itertools.chain(*maps))] * len(pools)]
    for strip, ground, believed, (_, right) in zip(sheets.rows(figure, titles), grounds, maps, pairs, strict=True):
        grid = strip.add_gridspec(2, 1 + len(pools))
        names = ["true return", *(f"surrogate, {captions.pool(pool, right)}" for pool in pools)]
        for column, (field, scale, name) in enumerate(zip([ground, *believed], scales, names, strict=True)):
            solid = sheets.solid(strip, grid[0, column])
            planes.hill(solid, field, scale)
            solid.set_title(name, fontsize=sheets.MEDIUM, fontweight="bold")
            axes = strip.add_subplot(grid[1, column])
            planes.colour_bar(planes.heat(axes, field, scale), axes, field, scale)
    return _finished(figure, title or f"True return and surrogate: {captions.subject(returns)}", [returns, surrogates])


def concentration(dataset: xr.Dataset, *, title: str | None = None) -> Figure:
    """One plane seen with few and with many samples, on one scale; below, how often two points are ordered rightly."""
    fields.needed(dataset, "mean_return", "concentration")
    dataset = fields.updates(dataset)[0]
    sizes = [dataset.isel(size=index) for index in range(dataset.sizes["size"])]
    shown = [fields.of_return(each) for each in sizes]
    scale = planes.scale_of(shown)
    ordered = "ordering" in dataset and bool(np.isfinite(dataset["ordering"].values).any())
    figure = sheets.blank(6.3 + 2.9 * ordered, width=max(7.0, 3.3 * len(sizes)))
    strips = sheets.rows(figure, ["", ""] if ordered else [""], [6.3, 2.9] if ordered else None)
    grid = strips[0].add_gridspec(2, len(sizes))
    solids = [sheets.solid(strips[0], grid[0, column]) for column in range(len(sizes))]
    for column, (solid, each, field) in enumerate(zip(solids, sizes, shown, strict=True)):
        planes.hill(solid, field, scale, z_label=False)
        solid.set_title(_sized(each), fontsize=sheets.MEDIUM, fontweight="bold")
    flat = [strips[0].add_subplot(grid[1, column]) for column in range(len(sizes))]
    for column, (axes, field) in enumerate(zip(flat, shown, strict=True)):
        mesh = planes.heat(axes, field, scale, labels=(True, column == 0), short=True, contours=False)
    planes.colour_bar(mesh, flat[-1], shown[-1], scale, shared=True)
    planes.share_z(solids)
    if ordered:
        _ordering(strips[1], dataset)
    note = captions.samples([dataset], spread=False)
    return sheets.finish(figure, title or f"Concentration of the return: {captions.subject(dataset)}", note,
                         warnings=captions.warnings([dataset]))


def _ordering(strip: SubFigure, dataset: xr.Dataset) -> None:
    """How often two points are ordered rightly: by sample size, and by how far apart they are. A sample that is too large
    for the reference is left out, and a bin of differences most of which the reference does not know the sign of: the few that
    it does are those where luck helped it."""
    dataset = dataset.isel(size=np.isfinite(dataset["ordering"].values))
    hidden = 0
    if "resolved_by_gap" in dataset:
        known = dataset["resolved_by_gap"].values >= _KNOWN
        dataset, hidden = dataset.isel(gap=known), int((~known).sum())
    gaps = fields.array(dataset, "ordering_by_gap", "size", "gap") if dataset.sizes.get("gap") else None
    left = strip.add_subplot(1, 2 if gaps is not None else 1, 1)
    size = np.asarray(dataset["size"], np.float64)
    value = fields.present(dataset, "ordering", "size")
    low, high = fields.bounds(dataset, "ordering", "size")
    errors = None if low is None or high is None else np.maximum([value - low, high - value], 0)
    left.errorbar(size, value, errors, color="black", marker="o", markersize=5, capsize=3, linewidth=1.7,
                  label="of the points whose order the reference knows")
    if (every := fields.array(dataset, "agreement", "size")) is not None:
        low, high = fields.bounds(dataset, "agreement", "size")
        errors = None if low is None or high is None else np.maximum([every - low, high - every], 0)
        left.errorbar(size, every, errors, color="0.45", marker="s", markersize=4, capsize=3, linewidth=1.4, linestyle="--",
                      label="of all points, as the reference orders them")
    left.set_xscale("log")
    left.set_xticks(size, [f"{each:,.0f}" for each in size])
    left.xaxis.set_minor_locator(NullLocator())
    left.set_xlabel("pairs a point (nominal)", fontsize=sheets.MEDIUM)
    left.set_ylabel("probability of the right order", fontsize=sheets.MEDIUM)
    left.set_title("Two points ordered rightly", fontsize=sheets.MEDIUM)
    drawn = [left]
    if gaps is not None:
        drawn.append(strip.add_subplot(1, 2, 2))
        shades = colormaps["viridis"](np.linspace(0.0, 0.8, len(size)))
        lines = [drawn[1].plot(dataset["gap"], row, color=shade, marker="o", markersize=4, linewidth=1.7)[0]
                 for shade, row in zip(shades, gaps, strict=True)]
        low, high = fields.bounds(dataset, "ordering_by_gap", "size", "gap")
        if low is not None and high is not None:
            for shade, *ends in zip(shades, low, high, strict=True):
                drawn[1].vlines(dataset["gap"], *ends, color=shade, linewidth=1.0, alpha=0.8)
        drawn[1].legend(lines, [f"{each:,.0f} pairs" for each in size], fontsize=sheets.SMALL, frameon=False,
                        loc="lower right", bbox_to_anchor=(1, 0.18))
        drawn[1].set_xlabel("difference of their returns in the reference", fontsize=sheets.MEDIUM)
        hint = f"\n({hidden} nearer bin{'s' if hidden > 1 else ''} not known well enough)" if hidden else ""
        drawn[1].set_title(f"By how far apart they are{hint}", fontsize=sheets.MEDIUM)
    for axes in drawn:
        for level, name in ((_CHANCE, "chance, .5"), (_SURE, ".95")):
            axes.axhline(level, color="0.25", linewidth=1.4, linestyle=(0, (1, 2)), zorder=1)
            outside = level == _SURE  # where points lie on the line
            axes.annotate(name, (1.0 if outside else 0.01, level), xycoords=("axes fraction", "data"), xytext=(3 if outside else 0, 0 if outside else 2),
                          textcoords="offset points", fontsize=sheets.SMALL, color="0.25", ha="left", va="center" if outside else "baseline")
        axes.set_ylim(min(0.4, axes.get_ylim()[0]), 1.03)
        sheets.tidy(axes)


def _finished(figure: Figure, title: str, datasets: Sequence[xr.Dataset], *, both: bool = False) -> Figure:
    return sheets.finish(figure, title, captions.notes(datasets, both=both), warnings=captions.warnings(datasets))


def _row_title(update: xr.Dataset, field: Field, pool: str | None = None) -> str:
    parts = [captions.sentence(captions.described(update)), captions.pool(pool, update) if pool else "",
             captions.change(field, update)]
    return "  ·  ".join(part for part in parts if part)


def _matched(returns: xr.Dataset, surrogates: xr.Dataset) -> list[tuple[xr.Dataset, xr.Dataset]]:
    """The updates that both have, by kind and pairs of the step; one that is not named matches one that is not."""
    left, right = ({(fields.scalar(each, "update"), fields.kind(each)): each for each in fields.updates(dataset)}
                   for dataset in (returns, surrogates))
    if len(left) == len(right) == 1 and not np.isfinite([pairs for pairs, _ in (*left, *right)]).all():
        return list(zip(left.values(), right.values(), strict=True))
    both = [update for update in left if update in right]
    if not both:
        names = [", ".join(f"{pairs:,.0f}" for pairs, _ in side) for side in (left, right)]
        raise UserError(f"return and surrogate share no update: {names[0]} pairs against {names[1]}.")
    return [(left[update], right[update]) for update in both]


def _check_same(left: xr.Dataset, right: xr.Dataset) -> None:
    """Errors: UserError naming what differs, where one picture would mix policies or normalisers."""
    for name in ("task", "preset", "run_seed", "iteration", "normaliser_sha256"):
        values = [each.attrs.get(name) for each in (left, right)]
        if None not in values and values[0] != values[1]:
            raise UserError(f"return and surrogate are of different policies: {name} {values[0]} against {values[1]}.")


def _sized(dataset: xr.Dataset) -> str:
    """2,000 pairs a point (6 episodes, standard error 120)."""
    count, stderr = fields.scalar(dataset, "mean_return_count"), captions.median(dataset, "mean_return_stderr")
    parts = [f"{count:,.0f} episode{'' if count == 1 else 's'}"] if np.isfinite(count) else []
    parts += [f"standard error {sheets.number(stderr)}"] if np.isfinite(stderr) else []
    return f"{int(dataset['size']):,} pairs a point" + (f"\n({', '.join(parts)})" if parts else "")
