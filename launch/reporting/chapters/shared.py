"""What is a chapter of a report, and which results belong together in one?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from launch.reporting.verdicts import number
from tfpg.report import captions
from tfpg.report.page.contents import Link, Section
from tfpg.run_directory import RunDirectory


class Chapter(NamedTuple):
    """A section, and what verdicts point to in it."""

    section: Section | None
    links: dict[tuple[str, str], list[Link]]  # (instrument or claim, task) ↦ figures and data


def section(name: str, title: str, words: Sequence[str], parts: Iterable[Any]) -> Section | None:
    """A section of the parts that there are; None where there is none. Args: name: its place on the page. words: before them."""
    parts = tuple(part for part in parts if part is not None)
    return Section(name, title, tuple(words), parts) if parts else None


def by(datasets: Iterable[xr.Dataset], attribute: str) -> dict[str, list[xr.Dataset]]:
    """By what an attribute says, "" where there is none, in the order in which it is met."""
    found: dict[str, list[xr.Dataset]] = {}
    for dataset in datasets:
        found.setdefault(str(dataset.attrs.get(attribute, "")), []).append(dataset)
    return found


def by_scale(datasets: Iterable[xr.Dataset]) -> Iterable[tuple[str, str, list[xr.Dataset]]]:
    """preset, scale, datasets."""
    return ((preset, scale, some) for preset, own in by(datasets, "preset").items() for scale, some in by(own, "scale").items())


def by_algorithm(runs: Sequence[RunDirectory]) -> dict[tuple[str, str], list[RunDirectory]]:
    """(task, preset) ↦ runs."""
    found: dict[tuple[str, str], list[RunDirectory]] = {}
    for run in runs:
        found.setdefault((run.config.env, run.config.preset), []).append(run)
    return found


def first_seed(datasets: Sequence[xr.Dataset]) -> list[xr.Dataset]:
    """One agent's, in the order of its iterations."""
    first = min(int(d.attrs["run_seed"]) for d in datasets)
    return sorted((d for d in datasets if int(d.attrs["run_seed"]) == first), key=lambda d: int(d.attrs["iteration"]))


def interval(one: xr.Dataset, name: str) -> str:
    """An estimate of no dimensions with its 95 % interval, where it has one: 470 [222, 718]."""
    value, low, high = (float(one[name + end]) for end in ("", "_low", "_high"))
    return number(value) + (f" [{number(low)}, {number(high)}]" if np.isfinite([low, high]).all() else "")


def to_figure(preset: str, name: str, *what: str) -> Link:
    """A link to a figure of one algorithm. Args: name: its place on the page. what: tells it from others of the algorithm."""
    return Link(f"figure: {', '.join((captions.named(preset), *what))}", f"#{name}", preset)
