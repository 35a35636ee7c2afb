"""How is a page written? One HTML file: no network, and no file beside it but for links to data and pictures that were to stay files."""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any

import jinja2
from plotly.offline import get_plotlyjs

from tfpg.report.page.contents import Cell, ClaimCard, Grounds, Page, Picture, Table


def html(page: Page) -> str:
    """The page as one text."""
    turnable = any(isinstance(part, Grounds) for section in page.sections for part in section.parts)
    return _template().render(
        page=page, style=_asset("style.css"), script=_asset("page.js"), viewer=_asset("viewer.js") if turnable else "",
        plotly=_in_script(get_plotlyjs()) if turnable else "")


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"json": _json, "kind": _kind, "cell": _cell}
    return environment.from_string(_asset("page.html"))


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _kind(part: Any) -> str:
    return {Picture: "picture", Table: "table", Grounds: "grounds", ClaimCard: "claim"}[type(part)]


def _cell(value: str | Cell) -> Cell:
    return value if isinstance(value, Cell) else Cell(value)


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")  # neither </script> nor <!-- can be in it


def _in_script(text: str) -> str:
    """A text that ends no <script> before its time. JSON and JavaScript read <\\/ as </."""
    return text.replace("</", "<\\/")
