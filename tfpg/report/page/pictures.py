"""How does a figure come onto a page and into files?

Embedded: drawn once on light and once on dark paper, and its own words become its caption. Linked: one small PNG with its words."""

from __future__ import annotations

import base64
import io
import logging
import re
from pathlib import Path
from typing import NamedTuple

import matplotlib
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tfpg.report import dark
from tfpg.report.figures import settled
from tfpg.report.page.contents import Link, Picture

_DPI, _SCREEN = 150, 96  # dots an inch, in files and as a page counts them
_SMALL_DPI, _COLOURS = 120, 256  # of a PNG that is to be small
_SYMBOLS = {r"\theta": "θ", r"\pi": "π", r"\phi": "φ", r"\lambda": "λ", r"\Sigma": "Σ", r"\nabla": "∇", r"\epsilon": "ε", r"\rho": "ρ",
            r"\delta": "δ", r"\sqrt": "√", r"\mathrm": "", r"\hat": "", r"\,": " "}


logging.getLogger("fontTools").setLevel(logging.WARNING)  # tells every table of every font that a PDF takes a part of


class Drawn(NamedTuple):
    """A figure's files and its picture."""

    picture: Picture
    png: bytes
    pdf: bytes | None


def drawn(name: str, figure: Figure, *, says: str = "", links: tuple[Link, ...] = ()) -> Drawn:
    """Everything that is made of a figure, which is used up.

    Args: says: what the numbers in it say, a sentence for who does not see it. links: to its data."""
    title, notes, warnings = words(figure)
    alt = _alt(figure, title, says)
    png = _saved(figure, "png")
    figure.set_layout_engine("none")  # where everything is, is known now
    with matplotlib.rc_context({"pdf.fonttype": 42}):  # letters stay letters: journals ask for it
        pdf = _saved(figure, "pdf", metadata={"CreationDate": None})
    files = (Link("PNG", f"figures/{name}.png"), Link("PDF", f"figures/{name}.pdf"))
    _bare(figure)
    light = _image(figure)
    night = _image(dark.darken(figure))
    return Drawn(Picture(name, title, alt, notes, warnings, _webp(light), _webp(night), (*files, *links), _shown(light, _DPI)), png, pdf)


def linked(name: str, figure: Figure, *, says: str = "", links: tuple[Link, ...] = ()) -> Drawn:
    """As `drawn`, the picture a file beside the page: a PNG of 256 colours that carries its title, less than a third of the bytes that one takes
    embedded."""
    title, notes, warnings = words(figure)
    image = Image.open(io.BytesIO(_saved(figure, "png", dpi=_SMALL_DPI))).convert("RGB")
    buffer = io.BytesIO()
    image.quantize(_COLOURS, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True, pnginfo=_titled(title))
    file = Link("PNG", f"figures/{name}.png")
    return Drawn(Picture(name, title, _alt(figure, title, says), notes, warnings, file.href, "", (file, *links), _shown(image, _SMALL_DPI)),
                 buffer.getvalue(), None)


def title(path: Path) -> str:
    """What a linked picture is called; nothing for another PNG."""
    with Image.open(path) as image:
        return str(image.info.get("Title", ""))


def _titled(title: str) -> PngInfo:
    info = PngInfo()
    info.add_itxt("Title", title)
    return info


def _alt(figure: Figure, title: str, says: str) -> str:
    return ". ".join(part.rstrip(".") for part in (title, panels(figure), says) if part) + "."


def words(figure: Figure) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Title, caption and warnings as the figure itself says them."""
    found: dict[str, list[str]] = {}
    for text in _notes(figure):
        found.setdefault(text.get_gid() or "note", []).append(plain(text.get_text()))
    notes = [" ".join(lines) for name, lines in found.items() if name.startswith("note")]
    notes += [said for legend in figure.legends if (said := plain(legend.get_title().get_text()))]
    warned = tuple(" ".join(lines) for name, lines in found.items() if name.startswith("warning"))
    return plain(figure.get_suptitle().replace("\n", " ")), tuple(notes), warned


def panels(figure: Figure) -> str:
    """What its axes show: their titles and what is on them."""
    found = []
    for axes in figure.get_axes():
        title, x, y = (plain(each) for each in (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()))
        said = ": ".join(part for part in (title, f"{y} against {x}" if x and y else y or x) if part)
        if said and axes.get_label() != "<colorbar>":
            found.append(said)
    found = list(dict.fromkeys(found))
    return f"Panels: {'; '.join(found)}" if found else ""


def plain(text: str) -> str:
    r"""Mathematics of matplotlib as a line of text: $\theta_{k+1}$ is θ_k+1."""
    def formula(match: re.Match) -> str:
        inside = match[1]
        for symbol, letter in _SYMBOLS.items():
            inside = inside.replace(symbol, letter)
        return re.sub(r"[{}\\]", "", inside)

    return re.sub(r"\s+", " ", re.sub(r"\$([^$]*)\$", formula, text or "")).strip()


def _notes(figure: Figure) -> list[Text]:
    """All of its texts but the title."""
    return [text for text in figure.texts if text is not figure._suptitle]  # type: ignore[attr-defined]  # no public way


def _bare(figure: Figure) -> None:
    """Without the words that the page says in letters of its own."""
    figure.suptitle("")
    for text in _notes(figure):
        text.remove()
    for legend in figure.legends:
        legend.set_title("")
        legend.set_in_layout(True)  # else it is cut off


def _saved(figure: Figure, kind: str, *, dpi: int = _DPI, **options) -> bytes:
    buffer = io.BytesIO()
    settled(figure).savefig(buffer, format=kind, dpi=dpi, **options)
    return buffer.getvalue()


def _image(figure: Figure) -> Image.Image:
    return Image.open(io.BytesIO(_saved(figure, "png", bbox_inches="tight", pad_inches=0.06))).convert("RGB")


def _shown(image: Image.Image, dpi: int) -> tuple[int, int]:
    return image.width * _SCREEN // dpi, image.height * _SCREEN // dpi


def _webp(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=90, method=4)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
