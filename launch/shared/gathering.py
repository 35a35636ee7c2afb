"""What did the instruments leave in all these runs, and which runs are agents that may be compared?

Reads; computes nothing anew. What is damaged, unfinished or of another run is passed over and named; what does not compare is refused."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from launch.shared import commandline
from tfpg import settings
from tfpg.config import Config
from tfpg.errors import UserError
from tfpg.run_directory import RunDirectory
from tfpg.studies import plan

FREE = ("seed", "runtime.env_threads", "rollout.patience")  # settings in which agents of one algorithm may differ
_COMMON = ("total_steps", "env_args", "rollout", "runtime")  # settings, or sections, that all runs on a task share
_NEEDED = {"trust_region": ("mean_kl", "max_ratio", "pairs"), "gradients": ("cosine", "chance_cosine"), "values": ("mre", "variance"),
           "steps": ("mean_gain", "drops", "detectable"), "return": ("mean_return",), "surrogate": ("surrogate",),
           "slices": ("slope", "mean_return", "role"), "concentration": ("mean_return",), "updates": ("gain",), "film": ("mean_return",)}
SURFACES = ("return", "surrogate", "slices", "concentration", "updates")  # of landscapes that say something of a run's own step
SUMMARY = "summary.nc"  # of several agents, which reports make anew
_BULK = ("episode", "parameter", "cluster", "centre_episode")  # dimensions of what numbers were made from: gigabytes of many policies


class Results(NamedTuple):
    """What was found below the directories."""

    runs: list[RunDirectory]
    trust_regions: list[Any]  # xarray Datasets
    gradients: list[Any]
    values: list[Any]
    landscapes: dict[str, list[Any]]  # surface (of SURFACES) ↦ Datasets, without their episodes, clusters and vectors
    steps: list[Any]
    scores: dict[str, dict[str, Any]]  # task ↦ preset ↦ [agents], over the last iterations
    best_scores: dict[str, dict[str, Any]]  # the same of each agent's best iteration
    missing: list[str]  # what was passed over, a sentence each
    unfinished: list[RunDirectory]  # of which only the learning curve counts
    variants: list[RunDirectory]  # finished runs whose settings are not their preset's
    copies: list[RunDirectory]  # finished runs of an agent that is among `runs` already
    refused: dict[str, list[str]]  # claim ↦ why its results were not compared
    notes: list[str]  # what should be known, and is no fault


def results(given: Sequence[Path]) -> Results:
    """All that is found below these directories: of a study, of runs, or of single runs.

    Errors: UserError for a directory without any run, and for runs that do not compare."""
    missing: list[str] = []
    runs = _configured(run_directories(given), missing)
    finished, unfinished = ([each for each in runs if each[0].finished == done] for done in (True, False))
    agents, variants, notes = _told_apart(finished)
    own, copies = _once(agents)
    _refuse_unlike(own)
    going = _alike(unfinished, own, missing)
    missing += [f"{run.path} is not finished: of it the learning curve counts alone." for run in going]
    missing += [damage for run in unfinished if (damage := run[0].mark_damage) is not None]
    notes += [f"{len(variants)} runs of variants, whose settings are not their preset's, are not judged."] if variants else []
    notes += [f"{run.path} is an agent that is there already, under another name: it counts once." for run in copies]
    return _read(own, missing)._replace(unfinished=going, variants=variants, copies=copies, notes=notes)


def own_result(path: Path, config: Config, instrument: str) -> Any:
    """A stored result, if it is what its place says. Errors: UserError where it is damaged, or of another run, instrument or version."""
    from tfpg.diagnostics import results

    return _its_own(results.load(path), path, config, _NEEDED[instrument])


def run_directories(given: Sequence[Path]) -> list[RunDirectory]:
    """Every run at or below the directories, once. Errors: UserError for a directory without any."""
    found: dict[Path, RunDirectory] = {}
    for path in given:
        if not path.is_dir():
            raise UserError(f"there is no directory {path}.")
        own = [path] if (path / "config.json").exists() else sorted(file.parent for pattern in ("*/config.json", "*/*/config.json")
                                                                   for file in path.glob(pattern))
        if not own and not (path / plan.FILE).exists():  # a study in which nothing was trained has still its plan
            raise UserError(f"{path} holds no run: none has a config.json in it, or one or two levels below.")
        found |= {each.path: each for each in map(RunDirectory, own)}
    return list(found.values())


def _configured(runs: Sequence[RunDirectory], missing: list[str]) -> list[tuple[RunDirectory, Config]]:
    """Runs with their configurations; damaged ones are named in `missing`."""
    found = []
    for run in runs:
        try:
            found.append((run, run.config))
        except UserError as error:
            missing.append(str(error))
    return found


def _told_apart(runs: Sequence[tuple[RunDirectory, Config]]) -> tuple[list[tuple[RunDirectory, Config]], list[RunDirectory], list[str]]:
    """Agents, variants, and what should be known.

    Of an algorithm on a task the agents are the runs with the preset's settings; where there are none, those that all have the same
    settings of their own; else all are variants."""
    agents, variants, notes = [], [], []
    groups: dict[tuple[str, str], list[tuple[RunDirectory, Config]]] = {}
    for run, config in runs:
        groups.setdefault((config.env, config.preset), []).append((run, config))
    for (task, preset), some in groups.items():
        own = [each for each in some if not changed(each[1])]
        if not own and len({str(changed(config)) for _, config in some}) == 1:
            own = some
            notes.append(f"{preset} on {task} has settings of its own, not the preset's: "
                         f"{', '.join(f'{name}={value}' for name, value in changed(some[0][1]).items())}.")
        agents += own
        variants += [run for run, _ in some if all(run is not agent for agent, _ in own)]
    return agents, variants, notes


def _once(runs: Sequence[tuple[RunDirectory, Config]]) -> tuple[list[tuple[RunDirectory, Config]], list[RunDirectory]]:
    """Each agent once, the one of the shortest path, and the runs that are the same agents again: a factorial's cell may be the preset."""
    first: dict[tuple, tuple[RunDirectory, Config]] = {}
    copies = []
    for run, config in sorted(runs, key=lambda each: (len(str(each[0].path)), str(each[0].path))):
        values = settings.to_dict(config)
        key = tuple((name, str(value)) for name, value in values.items() if name == "seed" or name not in FREE)
        if first.setdefault(key, (run, config))[0] is not run:
            copies.append(run)
    kept = [each[0] for each in first.values()]
    return [each for each in runs if any(each[0] is run for run in kept)], copies


def _alike(unfinished: Sequence[tuple[RunDirectory, Config]], own: Sequence[tuple[RunDirectory, Config]], missing: list[str]) -> list[RunDirectory]:
    """Unfinished runs that are other seeds of the finished ones, or of each other; the rest is named."""
    found, there = [], list(own)
    for run, config in unfinished:
        try:
            _refuse_unlike([*there, (run, config)])
        except UserError as error:
            missing.append(f"{run.path} is not finished, and not shown: {error}")
            continue
        there.append((run, config))
        found.append(run)
    return found


def _refuse_unlike(runs: Sequence[tuple[RunDirectory, Config]]) -> None:
    """Errors: UserError where agents of one algorithm differ in more than their seed, algorithms on a task in what must be equal to
    compare them, or two runs are one agent."""
    first: dict[tuple, tuple[RunDirectory, dict[str, Any]]] = {}
    taken: dict[tuple, RunDirectory] = {}
    for run, config in runs:
        values = settings.to_dict(config)
        for key, names in (((config.env, config.preset), values.keys() - set(FREE)),
                           ((config.env,), {name for name in values if name.split(".")[0] in _COMMON or name in _COMMON})):
            mine = {name: values[name] for name in values if name in names and name not in FREE}
            other, theirs = first.setdefault(key, (run, mine))
            if lines := settings.difference(theirs, mine):
                raise UserError(f"{other.path} and {run.path} differ in {'; '.join(lines)}: their results are not compared; name runs "
                                "that differ in their seed and preset alone.")
        same = taken.setdefault((config.env, config.preset, config.seed), run)
        if same is not run:
            raise UserError(f"{same.path} and {run.path} are one agent, {config.preset} on {config.env}, seed {config.seed}: leave one away.")


def changed(config: Config) -> dict[str, Any]:
    """Settings that are not the preset's own for the task, but for those that all runs on a task share."""
    preset = settings.to_dict(commandline.load_preset(config.preset, config.env))
    return {name: value for name, value in settings.to_dict(config).items()
            if value != preset[name] and name not in FREE and name.split(".")[0] not in (*_COMMON, "env")}


def _read(runs: Sequence[tuple[RunDirectory, Config]], missing: list[str]) -> Results:
    """Every result of the instruments; what is damaged or not theirs is passed over and named."""
    from tfpg.report import metrics

    found = Results([run for run, _ in runs], [], [], [], {surface: [] for surface in SURFACES}, [], {}, {}, missing, [], [], [], {}, [])
    places = [("trust_region", "trust_region/*.nc", found.trust_regions), ("gradients", "gradients/*/gradients.nc", found.gradients),
              ("values", "values/*/values.nc", found.values), ("steps", "steps/*/steps.nc", found.steps),
              *((surface, f"landscapes/*/{surface}.nc", found.landscapes[surface]) for surface in SURFACES)]
    for run, config in runs:
        for name, pattern, into in places:
            for path in sorted(run.diagnostics.glob(pattern)):
                if path.name == SUMMARY:
                    continue
                try:
                    into.append(light(own_result(path, config, name)))
                except UserError as error:
                    missing.append(str(error))
        try:
            scores = metrics.final_scores(metrics.of_run(run))
        except UserError as error:
            missing.append(str(error))
            continue
        for table, name in ((found.scores, "final/return"), (found.best_scores, "final/best_return")):
            table.setdefault(config.env, {}).setdefault(config.preset, []).append(scores[name])
    return found


def _its_own(dataset: Any, path: Path, config: Config, needed: Sequence[str]) -> Any:
    """A result, if it is what its place says. Errors: UserError where it is of another run or another instrument, or its labels are damaged."""
    labels = dataset.attrs
    try:
        whose = str(labels["task"]), str(labels["preset"]), int(labels["run_seed"])
        plan = ast.literal_eval(str(labels.get("plan", "{}")))
        iteration = int(labels.get("iteration", 0))
    except (KeyError, TypeError, ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise UserError(f"{path} is damaged: its labels do not say what it is of ({error}).") from error
    if whose != (config.env, config.preset, config.seed):
        raise UserError(f"{path} is of another run: {whose[1]} on {whose[0]}, seed {whose[2]}.")
    if lacking := [name for name in needed if name not in dataset]:
        raise UserError(f"{path} is of another instrument or version: it has no {lacking[0]}.")
    if hollow := [name for name in needed if name != "role" and (not dataset[name].size or dataset[name].dtype.kind not in "biuf")]:
        raise UserError(f"{path} is of another instrument or version: its {hollow[0]} is no array of numbers.")
    if not isinstance(plan, dict) or iteration < 0 or ("iteration" not in labels and _of_a_policy(path)):
        raise UserError(f"{path} is damaged: its labels do not say of which iteration it is, or with which plan it was made.")
    return dataset


def _of_a_policy(path: Path) -> bool:
    """Whether it lies where results of one iteration do."""
    return path.parent.parent.name in ("landscapes", "gradients", "values")


def light(dataset: Any) -> Any:
    """Without what its numbers were made from."""
    return dataset.drop_dims([dim for dim in _BULK if dim in dataset.dims])
