"""python -m launch.claims DIR …: what do the results of all these agents say of the study's claims?

Reads what the instruments left in runs; computes nothing anew. A study's directory, a directory of runs, or single runs."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from launch import commandline, tables
from launch.commandline import say
from tfpg import settings
from tfpg.config import Config
from tfpg.errors import UserError
from tfpg.run_directory import RunDirectory

ABOUT = ("Judges claims of the study (trust regions, gradients, values, code-level optimisations) from "
         "the results in runs: statistic, 95 % interval over agents, verdict, and how many more agents would decide.")
_FREE = ("seed", "runtime.env_threads", "rollout.patience")  # settings in which agents of one algorithm may differ
_COMMON = ("total_steps", "env_args", "rollout", "runtime")  # settings, or sections, that all runs on a task share
_NEEDED = {"trust_region": ("mean_kl", "max_ratio", "pairs"), "gradients": ("cosine", "chance_cosine"), "values": ("mre", "variance")}
_WIDTH = 118


class Results(NamedTuple):
    """What was found below the directories."""

    runs: list[RunDirectory]
    trust_regions: list[Any]  # xarray Datasets
    gradients: list[Any]
    values: list[Any]
    scores: dict[str, dict[str, Any]]  # task ↦ preset ↦ [agents]
    missing: list[str]  # what was passed over, a sentence each


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
    missing: list[str] = []
    found = _read(_alike(_configured(_runs(given), missing), missing), missing)
    verdicts = _judged(found)
    if values["json"].value:
        say(json.dumps(_as_json(verdicts, found), ensure_ascii=False, allow_nan=False))
    else:
        say(report(verdicts, found))
    return 0


def _judged(found: Results) -> list[Any]:
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


def _runs(given: Sequence[Path]) -> list[RunDirectory]:
    """Every run at or below the directories, once. Errors: UserError for a directory without any."""
    found: dict[Path, RunDirectory] = {}
    for path in given:
        if not path.is_dir():
            raise UserError(f"there is no directory {path}.")
        own = [path] if (path / "config.json").exists() else sorted(file.parent for pattern in ("*/config.json", "*/*/config.json")
                                                                   for file in path.glob(pattern))
        if not own:
            raise UserError(f"{path} holds no run: none has a config.json in it, or one or two levels below.")
        found |= {each.path: each for each in map(RunDirectory, own)}
    return list(found.values())


def _configured(runs: Sequence[RunDirectory], missing: list[str]) -> list[tuple[RunDirectory, Config]]:
    """Finished runs with their configurations; others are named in `missing`."""
    found = []
    for run in runs:
        try:
            config = run.config
        except UserError as error:
            missing.append(str(error))
            continue
        if run.finished:
            found.append((run, config))
        else:
            missing.append(f"{run.path} is not finished: nothing of it counts.")
    return found


def _alike(runs: Sequence[tuple[RunDirectory, Config]], missing: list[str]) -> list[tuple[RunDirectory, Config]]:
    """Those that are agents of presets: settings as of the preset, but for those that all runs on a task share.

    Errors: UserError where agents of one algorithm differ in more than their seed, algorithms on a task in what must be equal to
    compare them, or two runs are one agent."""
    own = [(run, config) for run, config in runs if not _changed(config)] or list(runs)
    if len(own) < len(runs):
        missing.append(f"{len(runs) - len(own)} runs of variants, whose settings are not their preset's, are not judged.")
    first: dict[tuple, tuple[RunDirectory, dict[str, Any]]] = {}
    taken: dict[tuple, RunDirectory] = {}
    for run, config in own:
        values = settings.to_dict(config)
        for key, names in (((config.env, config.preset), values.keys() - set(_FREE)),
                           ((config.env,), {name for name in values if name.split(".")[0] in _COMMON or name in _COMMON})):
            mine = {name: values[name] for name in values if name in names and name not in _FREE}
            other, theirs = first.setdefault(key, (run, mine))
            if lines := settings.difference(theirs, mine):
                raise UserError(f"{other.path} and {run.path} differ in {'; '.join(lines)}: their results are not compared; name runs "
                                "that differ in their seed and preset alone.")
        same = taken.setdefault((config.env, config.preset, config.seed), run)
        if same is not run:
            raise UserError(f"{same.path} and {run.path} are one agent, {config.preset} on {config.env}, seed {config.seed}: leave one away.")
    return own


def _changed(config: Config) -> list[str]:
    """Settings that are not the preset's own, for the task."""
    preset = settings.to_dict(commandline.load_preset(config.preset, config.env))
    return [name for name, value in settings.to_dict(config).items()
            if value != preset[name] and name not in _FREE and name.split(".")[0] not in (*_COMMON, "env")]


def _read(runs: Sequence[tuple[RunDirectory, Config]], missing: list[str]) -> Results:
    """Every result of the instruments; what is damaged or not theirs is passed over and named."""
    from tfpg.diagnostics import results
    from tfpg.report import metrics

    found = Results([run for run, _ in runs], [], [], [], {}, missing)
    for run, config in runs:
        for name, pattern, into in (("trust_region", "*.nc", found.trust_regions), ("gradients", "*/gradients.nc", found.gradients),
                                    ("values", "*/values.nc", found.values)):
            for path in sorted((run.diagnostics / name).glob(pattern)):
                if path.name == "summary.nc":
                    continue
                try:
                    into.append(_its_own(results.load(path), path, config, _NEEDED[name]))
                except UserError as error:
                    missing.append(str(error))
        try:
            score = metrics.final_scores(metrics.read(run.metrics))["final/return"]
        except UserError as error:
            missing.append(str(error))
            continue
        found.scores.setdefault(config.env, {}).setdefault(config.preset, []).append(score)
    return found


def _its_own(dataset: Any, path: Path, config: Config, needed: Sequence[str]) -> Any:
    """A result, if it is what its place says. Errors: UserError where it is of another run or another instrument."""
    whose = dataset.attrs.get("task"), dataset.attrs.get("preset"), int(dataset.attrs.get("run_seed", -1))
    if whose != (config.env, config.preset, config.seed):
        raise UserError(f"{path} is of another run: {whose[1]} on {whose[0]}, seed {whose[2]}.")
    if lacking := [name for name in needed if name not in dataset]:
        raise UserError(f"{path} is of another instrument or version: it has no {lacking[0]}.")
    return dataset


def _as_json(verdicts: Sequence[Any], found: Results) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if hasattr(value, "_asdict"):
            return {name: plain(each) for name, each in value._asdict().items()}
        if isinstance(value, (list, tuple)):
            return [plain(each) for each in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {"runs": [str(run.path) for run in found.runs], "verdicts": plain(list(verdicts)), "passed_over": found.missing}


if __name__ == "__main__":
    main()
