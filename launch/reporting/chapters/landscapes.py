"""What does the ground look like, and what do claims rest on? A chapter with surfaces that turn, panels, slices and concentrations."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from launch.reporting.chapters.shared import Chapter, section, to_figure
from launch.reporting.drawing import Drawer, slug
from launch.shared import pictures
from launch.shared.gathering import Results, own_result
from tfpg.errors import UserError
from tfpg.report import captions, side_by_side
from tfpg.report.page import grounds
from tfpg.report.page.contents import Grounds, Link, Picture
from tfpg.run_directory import RunDirectory

_TURNED = ("return", "surrogate", "concentration")
_DRAWN = (*_TURNED, "slices", "updates", "film")
_EVIDENCE = {"slices": ("C1", "C3"), "concentration": ("C4",)}  # surfaces that claims are judged from


def grounds_of(found: Results, draw: Drawer) -> Chapter:
    """Surfaces to turn, then what they rest on."""
    policies = [policy for run in found.runs for policy in _policies(run)]
    if not policies:
        return Chapter(None, {})
    scales = {policy.scale for policy in policies}
    turnable = grounds.viewer(policy.surfaces(draw, _TURNED) for policy in policies) if len(scales) == 1 else grounds.viewer(
        (policy.surfaces(draw, _TURNED) for policy in policies), names=[f"scale {policy.scale}" for policy in policies])
    parts: list[Any] = [Grounds("viewer", turnable)] if turnable["policies"] else []
    links: dict[tuple[str, str], list[Link]] = {}
    runs: dict[tuple[str, str, str, int], list[_Policy]] = {}
    for policy in policies:
        config = policy.run.config
        runs.setdefault((config.env, config.preset, policy.scale, config.seed), []).append(policy)
    shown: set[tuple[str, str, str]] = set()
    for (task, preset, scale, _), of_run in sorted(runs.items(), key=lambda item: item[0]):
        if (task, preset, scale) in shown:  # the others can be turned, and have their figures beside their data
            continue
        shown.add((task, preset, scale))
        loaded = [policy.surfaces(draw, _DRAWN) for policy in of_run]
        parts += _panels(loaded, draw, slug(preset, task, scale))
        for surfaces in loaded:
            for name, picture in _stills(surfaces, draw):
                parts.append(picture)
                for claim in _EVIDENCE.get(name, ()):
                    if picture is not None:
                        which = [f"iteration {surfaces[name].attrs['iteration']}", *([f"scale {scale}"] if len(scales) > 1 else [])]
                        links.setdefault((claim, task), []).append(to_figure(preset, picture.name, *which))
    others = len({key[:2] + key[3:] for key in runs}) - len({key[:2] for key in shown})
    words = [("True return and surrogate over the algorithm's step and a random direction. The surface illustrates; statements are made from the "
             "slices, where the step is compared with random directions of equal norm. Points that were not computed are holes. Surfaces are "
             "shown on scales of their own.")]
    if others:
        words.append(f"Still figures are of the first seed of each algorithm; {others} more agents' landscapes can be turned, and have "
                     "theirs beside their data.")
    return Chapter(section("landscapes", "Landscapes", words, parts), links)


class _Policy(NamedTuple):
    """Where the landscapes of one policy lie."""

    run: RunDirectory
    directory: Path

    @property
    def scale(self) -> str:
        return self.directory.name.partition("-")[2]

    def surfaces(self, draw: Drawer, names: Sequence[str]) -> dict[str, xr.Dataset]:
        """By name. What is damaged or another's is named, once, and left out."""
        surfaces = {}
        for name in names:
            path = self.directory / f"{name}.nc"
            try:
                if path.exists():
                    surfaces[name] = own_result(path, self.run.config, name)
            except UserError as error:
                if str(error) not in draw.missing:
                    draw.missing.append(str(error))
        return surfaces


def _policies(run: RunDirectory) -> list[_Policy]:
    """Those of a run that were looked at, in the order of their iterations."""
    return [_Policy(run, directory) for directory in sorted((run.diagnostics / "landscapes").glob("*")) if directory.is_dir()]


def _panels(of_run: Sequence[dict[str, xr.Dataset]], draw: Drawer, name: str) -> list[Picture | None]:
    """All checkpoints of a run beside each other, each on its own scale, for the run's own step and the recomputed one."""
    both = [policy[surface] for policy in of_run for surface in ("return", "surrogate") if surface in policy]
    made = []
    for update in range(min((each.sizes.get("update", 1) for each in both), default=0)):
        pairs = int(both[0]["update"][update]) if "update" in both[0].dims else 0
        label = "own" if update == 0 else f"recomputed-{pairs}"
        step = "the run's own step" if update == 0 else f"the step from {pairs:,} pairs"
        title = f"True return and surrogate: {captions.names(both)[0]}, {step}"
        make = functools.partial(side_by_side.panels, both, shared=False, update=update, pool="heldout", title=title)
        made.append(draw.picture(slug("landscape", name, label), make, both))
    return made


def _stills(policy: dict[str, xr.Dataset], draw: Drawer) -> Iterable[tuple[str, Picture | None]]:
    """Slices, concentration, repeated updates and film of one policy."""
    for name in ("slices", "concentration", "updates", "film"):
        if name in policy:
            dataset = policy[name]
            label = slug(name, *(dataset.attrs.get(each, "") for each in ("preset", "task", "run_seed", "iteration", "scale")))
            yield name, draw.picture(label, functools.partial(pictures.DRAWERS[name], dataset), [dataset],
                                     says=_slices_say(dataset) if name == "slices" else "")


def _slices_say(dataset: xr.Dataset) -> str:
    if "rank_slope" not in dataset:
        return ""
    rank, low, high = (np.ravel(dataset[f"rank_slope{end}"].values)[0] for end in ("", "_low", "_high"))
    return f"The slope along the step ranks {rank:g} [{low:g}, {high:g}] among the step and random directions of equal norm"
