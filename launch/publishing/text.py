"""What stands beside published results? A README: verdicts, scores beside those that were published, how it was made and how to go on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from launch.reporting.verdicts import number
from launch.shared.gathering import Results
from tfpg.claims import published
from tfpg.claims.catalogue import CLAIMS
from tfpg.report import captions


class Made(NamedTuple):
    """How results were made."""

    commands: Sequence[str]  # as they are typed, in order
    seconds: Mapping[str, float]  # on one processor, by what launcher; of a study's jobs
    missing: Sequence[str]  # of the study, or damaged, in sentences


def readme(title: str, about: str, found: Results, verdicts: Sequence[Any], made: Made, findings: str = "") -> str:
    """The whole text, Markdown. Args: findings: somebody's words on what the numbers say."""
    rules = ("A claim holds where the 95 % interval over agents lies beyond a margin that was fixed before any data, does not hold where it "
             "lies on the other side, and is undecided else; fewer than three agents decide nothing of an algorithm.")
    theirs = (f"Means over agents with 95 % intervals, of the episodes of the last 5 iterations. Published: {published.SOURCE}, at least "
              f"{published.AGENTS} agents each, 95 % bootstrap intervals, on {published.VERSION} tasks, which differ a little from ours: compare "
              "order and shape.")
    parts = [f"# {title}", about, _agents(found),
             "Every number here comes from the files beside it; `report/report.html` has them all with their figures.",
             "## Verdicts", claims_table(verdicts), rules, *([findings.strip()] if findings.strip() else []), "## Statistics", statements_table(verdicts),
             "## Final returns", scores_table(found), theirs,
             "## How it was made", _made(made, found)]
    if made.missing:
        parts += ["Still missing:", "\n".join(f"- {sentence}" for sentence in made.missing)]
    parts += ["## What lies here", _FILES]
    return "\n\n".join(parts) + "\n"


def front(output: str, verdicts: Sequence[Any], figure: str | None = None, title: str = "") -> str:
    """The part of a project's README: a figure, and the verdicts.

    Args: output: the directory of what is published, as the README names it. figure: of the report, by its name. title: its own."""
    image = [f"[![{title or figure}]({output}/report/figures/{figure}.png)]({output}/README.md)"] if figure else []
    words = (f"What the seed study and its neighbours claim, judged on today's MuJoCo by agents trained here: "
             f"[statistics, intervals, scores beside the published, what it cost]({output}/README.md).")
    return "\n\n".join([*image, words, claims_table(verdicts)])


def claims_table(verdicts: Sequence[Any]) -> str:
    """A line for each claim, a column for each task."""
    tasks = list(dict.fromkeys(verdict.task for verdict in verdicts))
    rows = []
    for name, claim in CLAIMS.items():
        cells = []
        for task in tasks:
            of_task = [verdict for verdict in verdicts if verdict.claim == name and verdict.task == task]
            cells.append("; ".join(f"{_presets(verdict)}: **{verdict.verdict}**" if len(of_task) > 1 else f"**{verdict.verdict}**"
                                   for verdict in of_task) or "–")
        rows.append((name, f"{claim.text} ({claim.source})", *cells))
    return _table(("", "claim", *tasks), rows)


def statements_table(verdicts: Sequence[Any]) -> str:
    """A line for each statement: what was measured, with its interval, and what was claimed of it."""
    rows = []
    for verdict in verdicts:
        for one in verdict.statements:
            first, colon, rest = one.what.partition(": ")
            own = {each: captions.named(each) for each in one.presets}  # some statements begin with whose they are, by either name
            whose = own.get(first, first) if colon and first in {*own, *own.values()} else None
            what = f"{whose}: {rest}" if whose else f"{_named(one.presets)}: {one.what}"
            needed = f"{one.needed:,} agents would decide" if one.needed else ""
            rows.append((verdict.claim, verdict.task, what, number(one.value), _interval(one), str(one.agents),
                         f"{'above' if one.bound.above else 'below'} {one.bound.margin:g}", one.verdict, needed))
    return _table(("", "task", "statistic", "value", "95 % interval", "agents", "claimed", "verdict", "if effect and spread are as seen"), rows)


def scores_table(found: Results) -> str:
    """Ours beside the published, a line for each preset and task."""
    rows = []
    for row in published.beside(found.scores, found.best_scores):
        theirs = row.published
        rows.append((captions.named(row.preset), row.task, str(row.agents), _estimate(row.mean), number(float(row.iqm.mean)), _estimate(row.best),
                     f"{number(theirs.mean)} [{number(theirs.low)}, {number(theirs.high)}], {row.published_task}" if theirs else "–"))
    return _table(("algorithm", "task", "agents", "final return", "IQM", "best iteration", "published final return"), rows)


def _agents(found: Results) -> str:
    cells: dict[tuple[str, str, str], list[int]] = {}
    for what, runs in (("", found.runs), (", variants of its settings", found.variants)):
        for run in runs:
            cells.setdefault((run.config.env, run.config.preset, what), []).append(run.config.seed)
    rows = [(captions.named(preset) + what, task, str(len(seeds)), ", ".join(map(str, sorted(set(seeds)))))
            for (task, preset, what), seeds in sorted(cells.items(), key=lambda cell: (cell[0][2], cell[0][0], cell[0][1]))]
    agents = [*found.runs, *found.variants]
    pairs = ", ".join(f"{steps:,}" for steps in sorted({run.config.total_steps for run in agents}))
    twice = f" ({len(found.copies)} of them under two names)" if found.copies else ""
    return f"{len(agents)} agents{twice}, {pairs} pairs each:\n\n" + _table(("algorithm", "task", "agents", "seeds"), rows)


def _made(made: Made, found: Results) -> str:
    lines = ["```sh", *made.commands, "```"]
    if made.seconds:
        total = sum(made.seconds.values())
        parts = ", ".join(f"{name} {seconds / 3600:.1f}" for name, seconds in sorted(made.seconds.items(), key=lambda each: -each[1]))
        lines += ["", f"{total / 3600:.1f} hours of one processor in all: {parts}."]
    counts: dict[str, dict[str, int]] = {}
    for run in (*found.runs, *found.variants):
        record = run.record
        versions = record["versions"] if isinstance(record.get("versions"), dict) else {}
        for name, value in {**versions, **{key: record.get(key) for key in ("python", "processor", "commit")}}.items():
            counts.setdefault(name, {}).setdefault(str(value), 0)
            counts[name][str(value)] += 1
    rows = [(name, "; ".join(f"{value} ({count} runs)" if len(values) > 1 else value for value, count in values.items()))
            for name, values in counts.items()]
    return "\n".join(lines) + "\n\n" + _table(("what", "version"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _named(presets: Iterable[str]) -> str:
    return ", ".join(captions.named(name) for name in presets)


def _presets(verdict: Any) -> str:
    return _named(dict.fromkeys(preset for statement in verdict.statements for preset in statement.presets))


def _estimate(found: Any) -> str:
    return number(float(found.mean)) + (f" {_interval(found)}" if math.isfinite(float(found.low)) else "")


def _interval(found: Any) -> str:
    low, high = float(found.low), float(found.high)
    return f"[{number(low)}, {number(high)}]" if math.isfinite(low) and math.isfinite(high) else "none"


_FILES = """\
    report/report.html       one page, opens without a network: verdicts, scores, trust regions, landscapes that can be turned, gradients,
                             values; it shows figures/, which have to stay beside it
    report/figures/          every figure as a small PNG
    report/data/             what the report itself computed: NetCDF, and claims.json with every number of every statement
    runs/<agent>/            config.json (settings, command, versions), metrics.jsonl (returns by iteration), diagnostics/ (NetCDF)
    study.json, jobs/        which jobs the study is, and how long each took

`python -m launch.report DIR` and `python -m launch.claims DIR` read this directory as they read runs; the first draws the same figures
for a paper, as PDF too, and its page has them inside. `xarray.open_dataset(path)` opens a result; every estimate x has x_stderr, x_low,
x_high beside it. Policies, single episodes and vectors are not here: the commands above make them again."""
