"""What did trust regions, steps, gradients and values show? A chapter for each instrument."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import xarray as xr

from launch.reporting.chapters.shared import Chapter, by, by_scale, first_seed, section, to_figure
from launch.reporting.drawing import Drawer, slug
from launch.shared.gathering import Results
from tfpg.diagnostics.trust_regions import over_agents
from tfpg.errors import UserError
from tfpg.report import gradients, steps, trust_regions, values, within_run
from tfpg.report.page.contents import Link, Picture


def regions(found: Results, draw: Drawer) -> Chapter:
    """KL and ratio through training, over agents; the first agent of each algorithm from within."""
    parts: list[Picture | None] = []
    links: dict[tuple[str, str], list[Link]] = {}
    for task, some in by(found.trust_regions, "task").items():
        name = slug("trust-regions", task)
        try:
            window = within_run.WINDOW if max(d.sizes["iteration"] for d in some) >= within_run.LONG else 1
            summary = over_agents.over_seeds(some, window=window)
        except UserError as error:
            draw.missing.append(f"no figure of trust regions on {task}: {error}")
            continue
        kept = draw.data(name, summary)
        parts.append(draw.picture(name, functools.partial(trust_regions.over_seeds, summary, title=f"Trust regions, {task}"), [kept, *some]))
        links["trust_region", task] = [Link("figure", f"#{name}"), *draw.links([kept])]
        for preset, own in by(some, "preset").items():
            first = min(own, key=lambda d: int(d.attrs["run_seed"]))
            parts.append(draw.picture(slug("inside", preset, task), functools.partial(within_run.inside, first), [first]))
    words = ("How far each update moved the policy, on its own pairs and on held-out pairs of the old policy. Dotted: TRPO's δ, 1 + ε.",)
    return Chapter(section("trust-regions", "Trust regions", words, parts), links)


def gains(found: Results, draw: Drawer) -> Chapter:
    """What single updates did to the true return, around checkpoints."""
    parts: list[Any] = []
    links: dict[tuple[str, str], list[Link]] = {}
    for task, of_task in by(found.steps, "task").items():
        for preset, scale, some in by_scale(of_task):
            picture = draw.picture(slug("steps", preset, task, scale), functools.partial(steps.gains, some), some)
            parts.append(picture)
            if picture is not None:
                links.setdefault(("steps", task), []).append(to_figure(preset, picture.name, *_which(scale, of_task)))
    words = (("The true return after an update less that before it, both played on the same start states and noise, over updates around each "
             "checkpoint."),)
    return Chapter(section("steps", "What single updates do", words, parts), links)


def agreement(found: Results, draw: Drawer) -> Chapter:
    """Gradient quality of the first agent of each algorithm; noise scales of all."""
    parts, links = _first_agents("gradients", found.gradients, draw, gradients.agreement)
    for task, some in by(found.gradients, "task").items():
        for scale, own in by(some, "scale").items():
            parts.append(draw.picture(slug("noise-scale", task, scale), functools.partial(gradients.noise_scales, own), own))
    words = (("How well independent estimates of the gradient, and of the algorithm's step, agree with each other and with what very many "
              "pairs say, against the pairs behind each. Of the first seed of each algorithm; noise scales are of all."),)
    return Chapter(section("gradients", "Gradient estimates", words, parts), links)


def predictions(found: Results, draw: Drawer) -> Chapter:
    """Value prediction and baselines of the first agent of each algorithm."""
    parts, links = _first_agents("values", found.values, draw, lambda some: values.by_iteration(some) if len(some) > 1 else values.study(some[0]))
    words = ("Whether the value net predicts returns or only its own targets, and what three baselines do to the gradient. Of the first seed.",)
    return Chapter(section("values", "Value prediction", words, parts), links)


def _first_agents(instrument: str, datasets: Sequence[xr.Dataset], draw: Drawer, figure: Callable[[Sequence[xr.Dataset]], Any]) -> tuple[
        list[Picture | None], dict[tuple[str, str], list[Link]]]:
    """A figure of the first agent of each algorithm, task by task and scale by scale, and links to them."""
    parts: list[Picture | None] = []
    links: dict[tuple[str, str], list[Link]] = {}
    for task, some in by(datasets, "task").items():
        for preset, scale, own in by_scale(some):
            shown = first_seed(own)
            picture = draw.picture(slug(instrument, preset, task, scale), functools.partial(figure, shown), shown)
            parts.append(picture)
            if picture is not None:
                links.setdefault((instrument, task), []).append(to_figure(preset, picture.name, *_which(scale, some)))
    return parts, links


def _which(scale: str, datasets: Sequence[xr.Dataset]) -> list[str]:
    """The scale, where there are others."""
    return [f"scale {scale}"] if len(by(datasets, "scale")) > 1 else []
