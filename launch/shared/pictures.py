"""Which figures does a survey leave, as PNG and as images in TensorBoard?"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from tfpg import storage
from tfpg.report import figures, landscapes, repeats, side_by_side, slices, summaries

DRAWERS = {"return": landscapes.surface, "surrogate": landscapes.surrogate, "concentration": landscapes.concentration,
           "slices": slices.slices, "updates": repeats.updates, "film": slices.film}
Draw = Callable[[], Any]


def draw(found: dict[str, xr.Dataset], directory: Path, new: Sequence[str]) -> None:
    """The figures of one policy; what was drawn before stays. Args: found: by surface. new: surfaces measured just now."""
    drawers: dict[str, Draw] = {name: functools.partial(DRAWERS[name], dataset) for name, dataset in found.items()}
    if "return" in found and "surrogate" in found:
        drawers["comparison"] = lambda: landscapes.comparison(found["return"], found["surrogate"])
    steps = int(next(iter(found.values())).attrs.get("env_steps", 0))
    keep({name: draw for name, draw in drawers.items() if name in new or not (directory / f"{name}.png").exists()},
          directory, steps)


def panels(found: Sequence[dict[str, xr.Dataset]], directory: Path) -> str:
    """Several policies beside each other, on one scale and each on its own, for each step that all of them have: a run's first
    iterations are flat on the scale of its last. Returns: the files' names."""
    drawers: dict[str, Draw] = {}
    for name in ("return", "surrogate"):
        datasets = [each[name] for each in found if name in each]
        if len(datasets) < 2:
            continue
        for update in range(min(dataset.sizes["update"] for dataset in datasets)):
            file = f"panels-{name}" + (f"-recomputed-{int(datasets[0]['update'][update])}" if update else "")
            drawers[file] = functools.partial(side_by_side.panels, datasets, update=update)
            drawers[f"{file}-own-scales"] = functools.partial(side_by_side.panels, datasets, shared=False, update=update)
            drawers[f"{file}-3d"] = functools.partial(side_by_side.panels_3d, datasets, update=update)
    keep(drawers, directory, 0)
    return f"{', '.join(f'{name}.png' for name in drawers)} in {directory}" if drawers else "none, for they share no surface"


def keep(drawers: Mapping[str, Draw], directory: Path, steps: int, *, under: str = "landscape") -> None:
    """Draws each. The event comes first: a figure whose PNG a kill left out is drawn again."""
    if not drawers:
        return
    with summaries.Summaries(directory) as writer:
        for name, draw in drawers.items():
            png = figures.png(draw())
            writer.figure(f"{under}/{name}", png, env_steps=steps)
            writer.flush()
            storage.write_bytes(directory / f"{name}.png", png)
