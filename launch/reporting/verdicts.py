"""How do verdicts stand on a page? A card for each claim, with links to the figures and files it rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tfpg.claims import published
from tfpg.claims.catalogue import CLAIMS, SOURCES
from tfpg.claims.verdicts import FAILS, HOLDS
from tfpg.report import captions
from tfpg.report.page.contents import Cell, ClaimCard, Judged, Line, Link, Ruling, Section, Table

_KINDS = {HOLDS: "holds", FAILS: "fails"}
_WORDS = ("A claim holds where the 95 % interval over agents lies beyond a margin that was fixed before any data, does not hold where it "
          "lies on the other side, and is undecided else. A claim of several statements holds where all do. The unit is the agent; fewer "
          "than three decide nothing. Margins: tfpg/claims/catalogue.py.")


def section(verdicts: Sequence[Any], links: Mapping[tuple[str, str], Sequence[Link]], more: Sequence[Link],
            refused: Mapping[str, Sequence[str]]) -> Section:
    """The first chapter.

    Args: links: to figures, by claim or instrument, and task. more: to the file of all verdicts. refused: by claim, why results were
    not compared."""
    cards = []
    for name, claim in CLAIMS.items():
        judged = tuple(_judged(verdict, links.get((name, verdict.task)) or links.get((claim.from_what, verdict.task), ()))
                       for verdict in verdicts if verdict.claim == name)
        lacking = [] if judged else [f"not judged: it needs {claim.needs}"]
        missing = "; ".join([*lacking, *(f"not compared: {sentence}" for sentence in refused.get(name, ()))])
        cards.append(ClaimCard(name, claim.text, claim.source, judged, missing, _published(name)))
    return Section("verdicts", "Verdicts", (_WORDS, SOURCES), (_overview(verdicts, more), *cards))


def number(value: float) -> str:
    """As the terminal has it."""
    if not math.isfinite(value):
        return "unknown" if math.isnan(value) else "infinite"
    return (f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}").replace("-", "−")


def kind(verdict: str) -> str:
    """Its class on the page."""
    return _KINDS.get(verdict, "undecided")


def _published(claim: str) -> str:
    """What was found before, with what it was found on."""
    found = published.FINDINGS.get(claim)
    return f"{found} (about {published.STEPS:,} steps, {published.VERSION} tasks)" if found else ""


def _overview(verdicts: Sequence[Any], more: Sequence[Link]) -> Table:
    """One line a claim, one column a task."""
    tasks = list(dict.fromkeys(verdict.task for verdict in verdicts))
    rows: list[tuple[str | Cell, ...]] = []
    for name, claim in CLAIMS.items():
        cells = []
        for task in tasks:
            of_task = [verdict for verdict in verdicts if verdict.claim == name and verdict.task == task]
            if len(of_task) > 1:
                cells.append(Cell("", lines=tuple(Line(f"{_presets(one)}: {one.verdict}", kind(one.verdict)) for one in of_task)))
            else:
                cells.append(Cell(of_task[0].verdict, kind(of_task[0].verdict)) if of_task else Cell("–"))
        rows.append((Cell(f"{name}  {claim.text}", links=(Link("more", f"#{name}"),)), *cells))
    rows.append((Cell("every number of every statement, as JSON:", links=tuple(more)), *[""] * len(tasks)))
    return Table("claims", "All claims at a glance", ("claim", *tasks), tuple(rows))


def _judged(verdict: Any, links: Sequence[Link]) -> Judged:
    rulings = []
    for statement in verdict.statements:
        more = f"{statement.needed:,} agents would decide, were effect and spread as seen" if statement.needed else ""
        rulings.append(Ruling(
            _what(statement), number(statement.value), _interval(statement),
            f"{statement.agents} agent{'s' * (statement.agents != 1)}",
            f"{'above' if statement.bound.above else 'below'} {statement.bound.margin:g}", statement.verdict, kind(statement.verdict),
            "; ".join(part for part in (statement.note, more) if part)))
    return Judged(verdict.task, _presets(verdict), verdict.verdict, kind(verdict.verdict), tuple(rulings), _own(links, verdict))


def _own(links: Sequence[Link], verdict: Any) -> tuple[Link, ...]:
    """Those to figures of the algorithms that the verdict is of, and of all."""
    own = {preset for statement in verdict.statements for preset in statement.presets}
    return tuple(link for link in links if not link.preset or link.preset in own)


def _what(statement: Any) -> str:
    """With the algorithm's name as papers have it."""
    first, colon, rest = statement.what.partition(": ")
    return f"{captions.named(first)}: {rest}" if colon and first in statement.presets else captions.sentence(statement.what)


def _interval(statement: Any) -> str:
    known = math.isfinite(statement.low) and math.isfinite(statement.high)
    return f"[{number(statement.low)}, {number(statement.high)}]" if known else "none"


def _presets(verdict: Any) -> str:
    names = dict.fromkeys(preset for statement in verdict.statements for preset in statement.presets)
    return ", ".join(captions.named(name) for name in names)
