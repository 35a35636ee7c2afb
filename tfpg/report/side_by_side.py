"""How do several policies compare? Their landscapes side by side, as heat maps or as hills; nothing is saved.

The published figure is `panels_3d` of returns and surrogates at iterations 0, 150, 450: the ones above the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.gridspec import GridSpec

from tfpg.errors import UserError
from tfpg.report import captions, fields, planes, sheets
from tfpg.report.fields import Field

_ABREAST, _WIDEST = 4, 10.5  # panels in a row, inches


def panels(datasets: Sequence[xr.Dataset], *, shared: bool = True, update: int = 0, pool: str = "train",
           title: str | None = None) -> Figure:
    """Several policies as heat maps: a column for each policy, a row for returns and one for surrogates.

    Args: datasets: return and surrogate results in any mixture. shared: one scale for all returns and one for all
    surrogates; else one for each panel. update: which of each, by place. pool: of the surrogate.
    Errors: UserError for no dataset, or no such update or pool."""
    return _side_by_side(datasets, _heats, shared, update, pool, title)


def panels_3d(datasets: Sequence[xr.Dataset], *, shared: bool = True, update: int = 0, pool: str = "train",
              title: str | None = None) -> Figure:
    """Several policies as hills; arguments as in `panels`, and `shared` holds for the third axes too."""
    return _side_by_side(datasets, _hills, shared, update, pool, title)


def _side_by_side(
        datasets: Sequence[xr.Dataset], draw: Callable[..., dict[int, Axes]], shared: bool, update: int, pool: str,
        title: str | None) -> Figure:
    if not datasets:
        raise UserError("panels need at least one landscape.")
    rows = _rows(datasets, update)
    abreast = max(len(row) for row in rows)
    cell = min(3.3, _WIDEST / abreast)
    # A heat map is as wide as high, and a colour bar beside each takes of its width; a hill is wider than high.
    # Few panels are wider than a cell, so higher; titles of two lines stand above them.
    height = cell + (0.45 if draw is _heats and shared else 0.1) + (0.35 if abreast < _ABREAST - 1 else 0.0)
    figure = sheets.blank(height * len(rows), width=max(7.0, cell * abreast))
    strips, scales = sheets.rows(figure, [_row_name(row, pool) for row in rows]), _scales(rows, shared, pool)
    drawn: dict[str, list[Axes]] = {}
    for strip, row, scale in zip(strips, rows, scales, strict=True):
        panels = draw(strip, strip.add_gridspec(1, abreast), _shown(row, pool), scale, shared)
        for column, axes in panels.items():
            if (own := row[column]) is not None:
                axes.set_title(_panel_title(own, datasets), fontsize=sheets.MEDIUM, fontweight="bold")
        drawn.setdefault(_kind(row), []).extend(panels.values())
    if shared and draw is _hills:
        for of_kind in drawn.values():
            planes.share_z(of_kind)
    what, (common, _) = " and ".join(drawn).capitalize(), captions.names(datasets)
    return sheets.finish(figure, title or what + (f": {common}" if common else ""),
                         captions.notes(datasets, spread=False), warnings=captions.warnings(datasets))


def _rows(datasets: Sequence[xr.Dataset], update: int) -> list[list[xr.Dataset | None]]:
    """Returns above surrogates, a policy below itself; None where a policy has no such result. More than four
    policies take several rows of each."""
    found = {(_policy(each), "surrogate" in each): _one_update(each, update) for each in datasets}
    policies = list(dict.fromkeys(policy for policy, _ in found))
    parts = np.array_split(np.arange(len(policies)), -(-len(policies) // _ABREAST))
    rows = [[found.get((policies[index], is_surrogate)) for index in part]
            for part in parts for is_surrogate in (False, True)]
    return [row for row in rows if any(each is not None for each in row)]


def _scales(rows: Sequence[Sequence[xr.Dataset | None]], shared: bool, pool: str) -> list[dict[int, planes.Scale]]:
    """The scale of every panel by its place: one for all of a kind, or one for each."""
    of_kind: dict[str, list[Field]] = {}
    for row in rows:
        of_kind.setdefault(_kind(row), []).extend(_shown(row, pool).values())
    everyone = {name: planes.scale_of(of_name) for name, of_name in of_kind.items()}
    return [{column: everyone[_kind(row)] if shared else planes.scale_of([field])
             for column, field in _shown(row, pool).items()} for row in rows]


def _shown(row: Sequence[xr.Dataset | None], pool: str) -> dict[int, Field]:
    """By place in the row: the return, or the surrogate that the algorithm optimises."""
    return {column: fields.of_surrogate(each, pool, fields.objectives(each)[0]) if "surrogate" in each else
            fields.of_return(each) for column, each in enumerate(row) if each is not None}


def _kind(row: Sequence[xr.Dataset | None]) -> str:
    return "Surrogate" if any(each is not None and "surrogate" in each for each in row) else "True return"


def _heats(strip: SubFigure, grid: GridSpec, shown: Mapping[int, Field], scales, shared: bool) -> dict[int, Axes]:
    drawn = {column: strip.add_subplot(grid[0, column]) for column in shown}
    for column, axes in drawn.items():
        mesh = planes.heat(axes, shown[column], scales[column], labels=(True, column == min(shown)), short=True)
        last = column == max(shown)
        if last or not shared:
            planes.colour_bar(mesh, axes, shown[column], scales[column], shared=shared, named=last)
    return drawn


def _hills(strip: SubFigure, grid: GridSpec, shown: Mapping[int, Field], scales, shared: bool) -> dict[int, Axes]:
    drawn = {column: sheets.solid(strip, grid[0, column]) for column in shown}
    for column, axes in drawn.items():
        planes.hill(axes, shown[column], scales[column], z_label=False)
    return drawn


def _row_name(row: Sequence[xr.Dataset | None], pool: str) -> str:
    """What a row of panels shows: the quantity, and the update where all have the same."""
    chosen = [each for each in row if each is not None]
    optimised = sorted({fields.objectives(each)[0] for each in chosen if "surrogate" in each})
    name = f"Surrogate ({' or '.join(optimised)}), {captions.pool(pool, chosen[0])}" if optimised else \
        f"True return ({fields.RETURN})"
    said = {captions.described(each) for each in chosen}
    return name + (f"  ·  {said.pop()}" if len(said) == 1 else "")


def _panel_title(dataset: xr.Dataset, datasets: Sequence[xr.Dataset]) -> str:
    stderr = captions.median(dataset, "mean_return_stderr")
    name = captions.own(dataset, datasets)
    return name if not np.isfinite(stderr) else f"{name}\nstandard error {sheets.number(stderr)}"


def _policy(dataset: xr.Dataset) -> tuple:
    return tuple(str(dataset.attrs.get(name)) for name in ("task", "preset", "run_seed", "iteration", "policy"))


def _one_update(dataset: xr.Dataset, index: int) -> xr.Dataset:
    found = fields.updates(dataset)
    if not 0 <= index < len(found):
        raise UserError(f"{captions.subject(dataset)} has {len(found)} updates: there is no update {index}.")
    return found[index]
