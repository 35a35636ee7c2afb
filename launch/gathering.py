"""What did the instruments leave in all these runs, and which runs are agents that may be compared?

Reads; computes nothing anew. What is damaged, unfinished or of another run is passed over and named; what does not compare is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from launch import commandline
from tfpg import settings
from tfpg.config import Config
from tfpg.errors import UserError
from tfpg.run_directory import RunDirectory

_FREE = ("seed", "runtime.env_threads", "rollout.patience")  # settings in which agents of one algorithm may differ
_COMMON = ("total_steps", "env_args", "rollout", "runtime")  # settings, or sections, that all runs on a task share
_NEEDED = {"trust_region": ("mean_kl", "max_ratio", "pairs"), "gradients": ("cosine", "chance_cosine"), "values": ("mre", "variance"),
           "steps": ("mean_gain", "drops", "detectable"), "return": ("mean_return",), "surrogate": ("surrogate",),
           "slices": ("slope", "mean_return", "role"), "concentration": ("mean_return",), "updates": ("gain",)}
SURFACES = ("return", "surrogate", "slices", "concentration", "updates")  # of landscapes that say something of a run's own step
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
    notes: tuple[str, ...] = ()  # what should be known, and is no fault


def results(given: Sequence[Path]) -> Results:
    """All that is found below these directories: of a study, of runs, or of single runs.

    Errors: UserError for a directory without any run, and for runs that do not compare."""
    missing: list[str] = []
    runs = _configured(_runs(given), missing)
    finished, unfinished = ([each for each in runs if each[0].finished == done] for done in (True, False))
    missing += [f"{run.path} is not finished: nothing of it counts." for run, _ in unfinished]
    own = [each for each in finished if not _changed(each[1])] or finished
    variants = [run for run, _ in finished if all(run is not agent for agent, _ in own)]
    notes = [f"{len(variants)} runs of variants, whose settings are not their preset's, are not judged."] if variants else []
    _refuse_unlike(own)
    return _read(own, missing)._replace(unfinished=[run for run, config in unfinished if not _changed(config)], variants=variants,
                                         notes=tuple(notes))


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
    """Runs with their configurations; damaged ones are named in `missing`."""
    found = []
    for run in runs:
        try:
            found.append((run, run.config))
        except UserError as error:
            missing.append(str(error))
    return found


def _refuse_unlike(runs: Sequence[tuple[RunDirectory, Config]]) -> None:
    """Errors: UserError where agents of one algorithm differ in more than their seed, algorithms on a task in what must be equal to
    compare them, or two runs are one agent."""
    first: dict[tuple, tuple[RunDirectory, dict[str, Any]]] = {}
    taken: dict[tuple, RunDirectory] = {}
    for run, config in runs:
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


def _changed(config: Config) -> list[str]:
    """Settings that are not the preset's own, for the task."""
    preset = settings.to_dict(commandline.load_preset(config.preset, config.env))
    return [name for name, value in settings.to_dict(config).items()
            if value != preset[name] and name not in _FREE and name.split(".")[0] not in (*_COMMON, "env")]


def _read(runs: Sequence[tuple[RunDirectory, Config]], missing: list[str]) -> Results:
    """Every result of the instruments; what is damaged or not theirs is passed over and named."""
    from tfpg.diagnostics import results
    from tfpg.report import metrics

    found = Results([run for run, _ in runs], [], [], [], {surface: [] for surface in SURFACES}, [], {}, {}, missing, [], [])
    places = [("trust_region", "trust_region/*.nc", found.trust_regions), ("gradients", "gradients/*/gradients.nc", found.gradients),
              ("values", "values/*/values.nc", found.values), ("steps", "steps/*/steps.nc", found.steps),
              *((surface, f"landscapes/*/{surface}.nc", found.landscapes[surface]) for surface in SURFACES)]
    for run, config in runs:
        for name, pattern, into in places:
            for path in sorted(run.diagnostics.glob(pattern)):
                if path.name == "summary.nc":
                    continue
                try:
                    into.append(_its_own(results.load(path), path, config, _NEEDED[name]))
                except UserError as error:
                    missing.append(str(error))
        try:
            scores = metrics.final_scores(metrics.read(run.metrics))
        except UserError as error:
            missing.append(str(error))
            continue
        for into, name in ((found.scores, "final/return"), (found.best_scores, "final/best_return")):
            into.setdefault(config.env, {}).setdefault(config.preset, []).append(scores[name])
    return found


def _its_own(dataset: Any, path: Path, config: Config, needed: Sequence[str]) -> Any:
    """A result, if it is what its place says, without what its numbers were made from. Errors: UserError where it is of another run or another instrument."""
    whose = dataset.attrs.get("task"), dataset.attrs.get("preset"), int(dataset.attrs.get("run_seed", -1))
    if whose != (config.env, config.preset, config.seed):
        raise UserError(f"{path} is of another run: {whose[1]} on {whose[0]}, seed {whose[2]}.")
    if lacking := [name for name in needed if name not in dataset]:
        raise UserError(f"{path} is of another instrument or version: it has no {lacking[0]}.")
    return dataset.drop_dims([dim for dim in _BULK if dim in dataset.dims])
