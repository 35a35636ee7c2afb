"""Which surfaces can be turned on a page, and from what numbers are they drawn? Stored landscapes in, plain lists out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.colors import to_hex

from tfpg.errors import UserError
from tfpg.report import captions, fields, planes, sheets
from tfpg.report.fields import Field
from tfpg.report.page.pictures import plain

_SHADES = 24  # of a colour scale


def viewer(policies: Iterable[Mapping[str, xr.Dataset]], names: Sequence[str] | None = None) -> dict[str, Any]:
    """All that the viewer shows: policies, their steps, and the surfaces of each. A policy whose results are not landscapes is left out.

    Args: policies: results by surface (return, surrogate, concentration) of each, one at a time in memory. names: what tells them apart
    besides their subject. Returns: what JSON takes; None is a point that was not computed."""
    found = []
    for place, results in enumerate(policies):
        first = next((results[name] for name in ("return", "surrogate", "concentration") if name in results), None)
        if first is None:
            continue
        try:
            steps = _steps(results)
        except (UserError, ValueError, KeyError, IndexError, TypeError):  # what draws its figures says what is wrong with it
            continue
        found.append({"name": captions.subject(first) + (f", {names[place]}" if names else ""), "steps": steps})
    return {"policies": found}


def _steps(results: Mapping[str, xr.Dataset]) -> list[dict[str, Any]]:
    """The surfaces of each step, by its words, in the order in which they were measured."""
    steps: dict[str, list[dict[str, Any]]] = {}
    if "return" in results:
        for update in fields.updates(results["return"]):
            field = fields.of_return(update)
            counts = fields.array(update, "mean_return_count", "y", "x")
            steps.setdefault(captions.described(update), []).append(_surface("true return", field, update, counts))
    if "surrogate" in results:
        dataset = results["surrogate"]
        optimised, _ = fields.objectives(dataset)
        pools = fields.texts(dataset, "pool")
        for update in fields.updates(dataset):
            for pool in pools:
                field = fields.of_surrogate(update, pool, optimised)
                steps.setdefault(captions.described(update), []).append(
                    _surface(f"{optimised} surrogate, {captions.pool(pool, update)}", field, update))
    if "concentration" in results:
        dataset = fields.updates(results["concentration"])[0]
        first = next(iter(steps), captions.described(dataset))  # the panels are of the first step
        for index in range(dataset.sizes["size"]):
            one = dataset.isel(size=index)
            name = f"true return seen with {int(one['size']):,} pairs a point"
            counts = np.full((dataset.sizes["y"], dataset.sizes["x"]), fields.scalar(one, "mean_return_count"))
            steps.setdefault(first, []).append(_surface(name, fields.of_return(one), one, counts))
    return [{"name": captions.sentence(name), "surfaces": surfaces} for name, surfaces in steps.items()]


def _surface(name: str, field: Field, dataset: xr.Dataset, counts: np.ndarray | None = None) -> dict[str, Any]:
    scale = planes.scale_of([field])
    colours = [[float(at), to_hex(scale.colours(float(at)))] for at in np.linspace(0, 1, _SHADES)]
    summary = plain(captions.change(field, dataset)) or plain(field.name)
    return {"name": captions.sentence(name), "x": field.xs.tolist(), "y": field.ys.tolist(), "z": _plain(field.values),
            "hover": _hover(field, counts), "colours": colours, "low": scale.low, "high": scale.high, "unit": plain(field.name),
            "x_name": plain(field.x_short), "y_name": plain(field.y_short), "step": plain(field.step), "refused": field.refused,
            "places": _places(field), "says": summary}


def _places(field: Field) -> list[dict[str, Any]]:
    """θ_k and the full step, where the surface has them."""
    places = [(0.0, "θ_k")] + ([] if field.refused else [(1.0, plain(field.step))])
    return [{"name": name, "x": x, "y": 0.0, "z": value} for x, name in places if np.isfinite(value := field.at(x, 0.0))]


def _hover(field: Field, counts: np.ndarray | None) -> list[list[str]]:
    rows = []
    for j, y in enumerate(field.ys):
        row = []
        for i, x in enumerate(field.xs):
            value = field.values[j, i]
            said = "not computed" if not np.isfinite(value) else sheets.number(value)
            if field.low is not None and field.high is not None and np.isfinite(value):
                said += sheets.interval(field.low[j, i], field.high[j, i])
            if counts is not None and np.isfinite(counts[j, i]):
                said += f"<br>{counts[j, i]:,.0f} episodes"
            row.append(f"step {x:.3g}, random {y:.3g}<br>{said}")
        rows.append(row)
    return rows


def _plain(values: np.ndarray) -> list[list[float | None]]:
    return [[float(f"{value:.6g}") if np.isfinite(value) else None for value in row] for row in values]
