"""python -m launch.claims DIR …: what do the results of all these agents say of the study's claims?

Reads what the instruments left in runs; computes nothing anew. A study's directory, a directory of runs, or single runs."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from launch.shared import commandline, gathering, tables
from launch.shared.commandline import say
from launch.shared.gathering import Results
from tfpg.errors import UserError

ABOUT = ("Judges the claims of the study (landscapes, steps, trust regions, gradients, values, code-level optimisations) from the results in "
         "runs: statistic, 95 % interval over agents, verdict, and how many more agents would decide; then final returns beside the published.")
_WIDTH = 118


def define(values: flags.FlagValues) -> None:
    """The launcher's flags."""
    flags.DEFINE_multi_string("dir", None, "directory of a study, of runs, or a run; the first may also stand alone", flag_values=values)
    flags.DEFINE_bool("json", False, "one JSON object on standard output, nothing else", flag_values=values)


def main(argv: list[str] | None = None) -> int:
    """The command; in process where `argv` is given. Returns the exit code."""
    return commandline.run(body, argv, program="launch.claims", about=ABOUT, define=define, word="dir")


def body(values: flags.FlagValues) -> int:
    """Finds, judges, says."""
    given = [Path(each).expanduser() for each in values.dir or []]
    if not given:
        raise UserError("which results? python -m launch.claims DIR names the directory of a study, of runs, or a run.")
    found = gathering.results(given)
    verdicts = judged(found)
    if values.json:
        say(json.dumps(as_json(verdicts, found), ensure_ascii=False, allow_nan=False))
    else:
        say(report(verdicts, found))
    return 0


def judged(found: Results) -> list[Any]:
    """Every verdict that can be had, claim by claim and task by task; what cannot be compared costs no other.

    What was refused goes to `found.missing` and, by claim, to `found.refused`."""
    from tfpg.claims.judging import JUDGES

    lands, verdicts = found.landscapes, []
    results = {"C1": (lands["slices"],), "C2": (found.steps,), "C3": (lands["slices"], lands["surrogate"]), "C4": (lands["concentration"],),
               **dict.fromkeys(("C5", "C6", "C7"), (found.trust_regions,)), "C8": (found.gradients,), **dict.fromkeys(("C9", "C10"), (found.values,)),
               "C11": (found.scores, found.best_scores)}
    for claim, judge in JUDGES.items():
        for task in dict.fromkeys(run.config.env for run in found.runs):
            try:
                verdicts += judge(*(_of(task, some) for some in results[claim]))
            except UserError as error:
                refused = str(error)
            except (ValueError, KeyError, IndexError, TypeError, ArithmeticError) as error:  # of another version, or made up
                refused = f"{claim} on {task} could not be judged: a result is not as this version has it ({type(error).__name__}: {error})."
            else:
                continue
            found.refused.setdefault(claim, []).append(refused)
            if refused not in found.missing:
                found.missing.append(refused)
    return verdicts


def _of(task: str, some: Any) -> Any:
    """The results of one task."""
    if isinstance(some, dict):
        return {each: values for each, values in some.items() if each == task}
    return [dataset for dataset in some if dataset.attrs["task"] == task]


def report(verdicts: Sequence[Any], found: Results) -> str:
    """The verdicts first, then what each rests on, then what is missing."""
    from tfpg.claims.catalogue import CLAIMS, SOURCES
    from tfpg.claims.published import FINDINGS

    lines = [f"{len(found.runs)} runs"]
    judged: set[str] = set()
    for verdict in verdicts:
        claim = CLAIMS[verdict.claim]
        if verdict.claim not in judged:
            lines += ["", *textwrap.wrap(f"{verdict.claim}  {claim.text} ({claim.source})", _WIDTH, subsequent_indent="    ")]
            if verdict.claim in FINDINGS:
                lines += textwrap.wrap(f"published: {FINDINGS[verdict.claim]}", _WIDTH, initial_indent="    ", subsequent_indent="    ")
        judged.add(verdict.claim)
        names = ", ".join(dict.fromkeys(preset for statement in verdict.statements for preset in statement.presets))
        lines.append(f"  {verdict.task}, {names}: {verdict.verdict}")
        lines += [f"    {line}" for line in tables.aligned([_row(statement) for statement in verdict.statements], left=(0, 4))]
        lines += [line for statement in verdict.statements if statement.note for line in textwrap.wrap(
            statement.note, _WIDTH, initial_indent="      ", subsequent_indent="        ")]
    without = [f"{name} ({claim.from_what})" for name, claim in CLAIMS.items() if name not in judged]
    if without:
        lines += ["", *textwrap.wrap(f"not judged, for want of results: {', '.join(without)}", _WIDTH, subsequent_indent="  ")]
    lines += ["", *_published(found)] if found.scores else []
    lines += [f"passed over: {sentence}" for sentence in (*found.notes, *found.missing)]
    lines += ["", *textwrap.wrap("holds, does not hold: the 95 % interval over agents lies beyond the margin, or on its other side. Intervals: "
                                 "Student's t of agents, from 20 on widened to hold the bootstrap's; fewer than three agents decide "
                                 "nothing. Variants of presets are not judged.", _WIDTH)]
    lines += textwrap.wrap(SOURCES, _WIDTH) if judged else []
    return "\n".join(lines)


def _published(found: Results) -> list[str]:
    """Final returns of every preset on every task, beside those that were published."""
    from tfpg.claims import published

    rows = published.beside(found.scores, found.best_scores)
    table = [("", "agents", "mean of the last iterations", "IQM", "best iteration", "published")]
    for row in rows:
        theirs = row.published
        table.append((f"{row.preset} on {row.task}", str(row.agents), _estimate(row.mean), _number(float(row.iqm.mean)), _number(float(row.best.mean)),
                      f"{_number(theirs.mean)} [{_number(theirs.low)}, {_number(theirs.high)}] on {row.published_task}" if theirs else ""))
    lines = ["final returns", *(f"  {line}" for line in tables.aligned(table))]
    if compared := sorted({(row.task, row.published_task) for row in rows if row.published}):
        steps = {run.config.env: run.config.total_steps for run in found.runs}
        where = "; ".join(f"{theirs} after about {published.STEPS:,} steps there, {task} after {steps[task]:,} here" for task, theirs in compared)
        lines += textwrap.wrap(f"published: {published.SOURCE}, means over at least {published.AGENTS} agents, 95 % bootstrap intervals; {where}: "
                               "tasks of another version differ a little, so compare order and shape", _WIDTH, initial_indent="  ",
                               subsequent_indent="  ")
    return lines


def _estimate(found: Any) -> str:
    known = math.isfinite(float(found.low))
    return _number(float(found.mean)) + (f" [{_number(float(found.low))}, {_number(float(found.high))}]" if known else "")


def _row(statement: Any) -> tuple[str, ...]:
    more = f"{statement.needed:,} agents would decide" if statement.needed else ""
    side = "above" if statement.bound.above else "below"
    return (statement.what, _number(statement.value), f"[{_number(statement.low)}, {_number(statement.high)}]",
            f"{statement.agents} agent{'s' * (statement.agents != 1)}", f"claimed {side} {statement.bound.margin:g}: {statement.verdict}", more)


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "unknown" if math.isnan(value) else "infinite"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def as_json(verdicts: Sequence[Any], found: Results) -> dict[str, Any]:
    """Every number, as plain JSON values."""
    import numpy as np

    def plain(value: Any) -> Any:
        if hasattr(value, "_asdict"):
            return {name: plain(each) for name, each in value._asdict().items()}
        if isinstance(value, (list, tuple)):
            return [plain(each) for each in value]
        if isinstance(value, (np.ndarray, np.generic)):
            return plain(value.item())
        return None if isinstance(value, float) and not math.isfinite(value) else value

    from tfpg.claims import published

    rows = published.beside(found.scores, found.best_scores)
    return {"runs": [str(run.path) for run in found.runs], "verdicts": plain(list(verdicts)), "final_returns": plain(rows),
            "passed_over": [*found.notes, *found.missing]}


if __name__ == "__main__":
    main()
