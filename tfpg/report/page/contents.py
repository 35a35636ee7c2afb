"""What is on a page of results? Records of words, tables, pictures and links; nothing here knows HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Link(NamedTuple):
    """Where to go. A place on the page begins with #; a file's is relative to the page."""

    text: str
    href: str
    preset: str = ""  # the algorithm that it shows; empty: all of them


class Picture(NamedTuple):
    """A figure with what stands under it."""

    name: str  # its place on the page, and its files' name
    title: str
    alt: str  # what it shows, for who does not see it
    notes: tuple[str, ...]  # sample sizes and uncertainty
    warnings: tuple[str, ...]
    light: str  # address of the image: data:, or a file's relative to the page
    dark: str  # on dark paper; empty where the light one says everything itself, title and notes too
    links: tuple[Link, ...]  # its files and its data
    size: tuple[int, int]  # pixels


class Line(NamedTuple):
    """One of several things that a cell says."""

    text: str
    kind: str  # as a cell's


class Cell(NamedTuple):
    """A table's cell that is more than its text."""

    text: str
    kind: str = ""  # number, holds, fails, undecided
    links: tuple[Link, ...] = ()
    lines: tuple[Line, ...] = ()  # under its text


class Table(NamedTuple):
    """Rows under a head."""

    name: str
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str | Cell, ...], ...]
    folded: bool = False  # shown when asked for


class Grounds(NamedTuple):
    """Surfaces that one can turn."""

    name: str
    data: Mapping[str, Any]  # of grounds.viewer


class Ruling(NamedTuple):
    """One statement of a verdict."""

    what: str
    value: str
    interval: str
    agents: str
    claimed: str
    verdict: str
    kind: str  # holds, fails, undecided
    more: str  # what would decide, and notes


class Judged(NamedTuple):
    """A claim on a task."""

    task: str
    presets: str
    verdict: str
    kind: str
    rulings: tuple[Ruling, ...]
    links: tuple[Link, ...]  # to figures and data


class ClaimCard(NamedTuple):
    """A claim with its verdicts."""

    name: str  # C5
    text: str
    source: str
    judged: tuple[Judged, ...]
    missing: str  # why there is none
    published: str = ""  # what was found before, in words


class Section(NamedTuple):
    """A chapter."""

    name: str
    title: str
    words: tuple[str, ...]  # paragraphs before its parts
    parts: tuple[Picture | Table | Grounds | ClaimCard, ...]


class Page(NamedTuple):
    """The whole."""

    title: str
    about: str
    facts: tuple[tuple[str, str], ...]  # name, value
    sections: tuple[Section, ...]
    missing: tuple[str, ...]  # what is passed over or not there yet
    words: Sequence[str] = ()
