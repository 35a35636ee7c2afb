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

from launch import commandline, gathering, tables
from launch.commandline import say
from launch.gathering import Results
from tfpg.errors import UserError

ABOUT = ("Judges claims of the study (trust regions, gradients, values, code-level optimisations) from "
         "the results in runs: statistic, 95 % interval over agents, verdict, and how many more agents would decide.")
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
    given = [Path(each).expanduser() for each in values["dir"].value or []]
    if not given:
        raise UserError("which results? python -m launch.claims DIR names the directory of a study, of runs, or a run.")
    found = gathering.results(given)
    verdicts = judged(found)
    if values["json"].value:
        say(json.dumps(as_json(verdicts, found), ensure_ascii=False, allow_nan=False))
    else:
        say(report(verdicts, found))
    return 0


def judged(found: Results) -> list[Any]:
    """Every verdict that can be had; what cannot be compared costs its own claims alone."""
    from tfpg.claims import judging

    verdicts = []
    for judge, results in ((judging.of_trust_regions, found.trust_regions), (judging.of_gradients, found.gradients),
                           (judging.of_values, found.values), (judging.of_final_scores, found.scores)):
        try:
            verdicts += judge(results)
        except UserError as error:
            found.missing.append(str(error))
    return verdicts


def report(verdicts: Sequence[Any], found: Results) -> str:
    """The verdicts first, then what each rests on, then what is missing."""
    from tfpg.claims.catalogue import CLAIMS

    lines = [f"{len(found.runs)} runs"]
    judged: set[str] = set()
    for verdict in verdicts:
        claim = CLAIMS[verdict.claim]
        if verdict.claim not in judged:
            lines += ["", *textwrap.wrap(f"{verdict.claim}  {claim.text} ({claim.source})", _WIDTH, subsequent_indent="    ")]
        judged.add(verdict.claim)
        names = ", ".join(dict.fromkeys(preset for statement in verdict.statements for preset in statement.presets))
        lines.append(f"  {verdict.task}, {names}: {verdict.verdict}")
        lines += [f"    {line}" for line in tables.aligned([_row(statement) for statement in verdict.statements], left=(0, 4))]
        lines += [f"      {statement.note}" for statement in verdict.statements if statement.note]
    without = [f"{name} ({claim.from_what})" for name, claim in CLAIMS.items() if name not in judged]
    if without:
        lines += ["", *textwrap.wrap(f"not judged, for want of results: {', '.join(without)}", _WIDTH, subsequent_indent="  ")]
    lines += [f"passed over: {sentence}" for sentence in found.missing]
    lines += ["", *textwrap.wrap("holds, does not hold: the 95 % interval over agents lies beyond the margin, or on its other side. Intervals: "
                                 "Student's t of agents, from 20 on widened to hold the bootstrap's; fewer than three agents decide "
                                 "nothing. C1 to C4, of landscapes, are not judged yet, nor are variants of presets.", _WIDTH)]
    return "\n".join(lines)


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
    def plain(value: Any) -> Any:
        if hasattr(value, "_asdict"):
            return {name: plain(each) for name, each in value._asdict().items()}
        if isinstance(value, (list, tuple)):
            return [plain(each) for each in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {"runs": [str(run.path) for run in found.runs], "verdicts": plain(list(verdicts)), "passed_over": found.missing}


if __name__ == "__main__":
    main()
