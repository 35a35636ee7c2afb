"""Where do a report's figures go? Into files for a paper, onto the page, and into TensorBoard: each drawn once."""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

from launch.shared.commandline import say
from tfpg import storage
from tfpg.diagnostics import results
from tfpg.errors import UserError
from tfpg.report import summaries
from tfpg.report.page import pictures
from tfpg.report.page.contents import Link, Picture

FIGURES, DATA, EVENTS = "figures", "data", "tensorboard/report"


class Drawer:
    """Draws into a report's directory. Args: missing: where what could not be drawn is said. linked: small: a PNG each, which
    the page shows, no PDF, no events, data packed."""

    def __init__(self, output: Path, missing: list[str], *, linked: bool = False):
        self.output, self.missing, self.linked = output, missing, linked
        self._names: set[str] = set()
        for name in (FIGURES, DATA, *(() if linked else (EVENTS,))):
            storage.make_directory(output / name)
        for old in (output / EVENTS).glob("events.out.tfevents.*"):  # of the last report
            storage.remove(old)
        self._writer = None if linked else summaries.Summaries(output / EVENTS)

    def picture(self, name: str, draw: Callable[[], Any], data: Iterable[Any], *, says: str = "") -> Picture | None:
        """A figure as PNG, PDF, picture and event; None, and a sentence in `missing`, where its results do not go together.

        Args: name: what the files are called. data: Datasets that were read, or paths. says: its numbers in a sentence."""
        name = self._own(name)
        try:
            make = pictures.linked if self.linked else pictures.drawn
            made = make(name, draw(), says=says, links=self.links(data))
        except UserError as error:
            self.missing.append(f"no figure {name}: {error}")
            return None
        except (ValueError, KeyError, IndexError, TypeError) as error:  # a result of another version, or made up: it costs its own figure
            self.missing.append(f"no figure {name}: its results are not as this version has them ({type(error).__name__}: {error}).")
            return None
        for ending, content in (("png", made.png), ("pdf", made.pdf)):
            if content is not None:
                storage.write_bytes(self.output / FIGURES / f"{name}.{ending}", content)
        if self._writer is not None:
            self._writer.figure(f"report/{name}", made.png)
        say(f"  {FIGURES}/{name}.png{', .pdf' if made.pdf else ''}")
        return made.picture

    def _own(self, name: str) -> str:
        """A name that no other figure of the report has."""
        count, wanted = 2, name
        while name in self._names:
            name, count = f"{wanted}-{count}", count + 1
        self._names.add(name)
        return name

    def data(self, name: str, dataset: Any) -> Path:
        """Keeps numbers that the report itself computed; a figure links to them."""
        return results.save(dataset, self.output / DATA / f"{name}.nc", compact=self.linked)

    def links(self, data: Iterable[Any]) -> tuple[Link, ...]:
        """Links to the files of these results, relative to the page."""
        paths = [Path(each if isinstance(each, (str, os.PathLike)) else each.encoding["source"]) for each in data]
        return tuple(Link(f"data: {_short(path)}", self.relative(path)) for path in dict.fromkeys(paths))

    def relative(self, path: Path) -> str:
        """A file as the page names it."""
        return urllib.parse.quote(Path(os.path.relpath(path, self.output)).as_posix())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        if self._writer is not None:
            self._writer.close()


def slug(*parts: Any) -> str:
    """A name of files and of places on the page."""
    return re.sub(r"[^A-Za-z0-9]+", "-", " ".join(map(str, parts))).strip("-").lower()


def _short(path: Path) -> str:
    """The end of a path that tells it from others: 000150-small/slices.nc."""
    return path.name if path.parent.name in (DATA, "") else f"{path.parent.name}/{path.name}"
