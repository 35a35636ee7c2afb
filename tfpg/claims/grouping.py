"""Which results are of agents that may be compared, and which numbers belong to which iteration? Datasets in."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from tfpg.claims.catalogue import AGENT_PAIRS, NEAR
from tfpg.claims.verdicts import Statement, Verdict, together
from tfpg.errors import UserError

Datasets = Sequence[xr.Dataset]
Found = Iterable[tuple[str, Sequence[Statement]]]  # task, statements
Numbers = dict[int, dict[int, float]]  # agent's seed ↦ iteration ↦ number
_FREE = ("seed", "to", "to_sha256", "iterations")  # of a plan: no number of an iteration depends on them but by chance


def verdicts(claim: str, found: Found) -> list[Verdict]:
    """A verdict for each task that has statements."""
    return [together(claim, task, statements) for task, statements in found if statements]


def by_task(datasets: Datasets) -> dict[str, dict[str, list[xr.Dataset]]]:
    """task ↦ preset ↦ datasets. Errors: UserError where they were made at different scales, or with other plans."""
    found: dict[str, dict[str, list[xr.Dataset]]] = {}
    for dataset in datasets:
        found.setdefault(str(dataset.attrs["task"]), {}).setdefault(str(dataset.attrs["preset"]), []).append(dataset)
    for task, groups_ in found.items():
        for preset, some in groups_.items():
            if len(scales := {str(d.attrs["scale"]) for d in some if "scale" in d.attrs}) > 1:
                raise UserError(f"policies of {preset} on {task} were looked at with scales {' and '.join(sorted(scales))}: name results of one.")
            _refuse_other_plans(task, preset, [plan_of(d) for d in some])
    return found


def groups(datasets: Datasets) -> Iterable[tuple[str, str, list[xr.Dataset]]]:
    """task, preset, datasets."""
    return ((task, preset, some) for task, presets in by_task(datasets).items() for preset, some in presets.items())


def plan_of(dataset: xr.Dataset) -> dict[str, Any]:
    """The settings that a result was made with; empty where it does not say."""
    return ast.literal_eval(str(dataset.attrs["plan"])) if "plan" in dataset.attrs else {}


def numbers(datasets: Datasets, number: Callable[[xr.Dataset], float]) -> Numbers:
    """Each agent's number at each iteration, from a result an iteration. Errors: UserError for two results of one."""
    found: Numbers = {}
    for d in datasets:
        _add(found, d, int(d.attrs["iteration"]), number(d))
    return found


def numbers_of_runs(datasets: Datasets, dim: str, number: Callable[[xr.Dataset], xr.DataArray]) -> Numbers:
    """The same from a result a run, whose iterations are a dimension."""
    found: Numbers = {}
    for d in datasets:
        for k, value in zip(d[dim].values, number(d).transpose(dim).values, strict=True):
            _add(found, d, int(k), float(value))
    return found


def first(found: Numbers) -> np.ndarray:
    """Each agent's number at iteration 0; NaN for none. [agents]"""
    return np.array([each.get(0, math.nan) for each in found.values()])


def later(found: Numbers) -> np.ndarray:
    """Each agent's mean over the later iterations that every agent was looked at in; NaN for one that was not yet at any. [agents]"""
    reached = [set(each) - {0} for each in found.values() if set(each) - {0}]
    common = set.intersection(*reached) if reached else set()
    return np.array([np.mean([each[k] for k in sorted(common)]) if common and common <= each.keys() else math.nan for each in found.values()])


def by_iteration(found: Numbers, form: str = ".2g") -> str:
    """Means over agents by iteration, in words: 0.93 at 0, 0.4 at 150."""
    means = {k: np.array([each[k] for each in found.values() if k in each]) for k in sorted({k for each in found.values() for k in each})}
    return ", ".join(f"{np.mean(values[np.isfinite(values)]):{form}} at {k}" for k, values in means.items() if np.isfinite(values).any())


def at_agents_pairs(dataset: xr.Dataset) -> xr.Dataset:
    """At the size that stands for an agent's 2,048 pairs. Errors: UserError where none is near."""
    sizes = dataset["size"].values
    near = sizes[np.abs(np.log(sizes / AGENT_PAIRS)).argmin()]
    if abs(math.log(near / AGENT_PAIRS)) > math.log(NEAR):
        raise UserError(f"{name(dataset)} was looked at with {', '.join(map(str, sizes))} pairs, none near {AGENT_PAIRS}.")
    return dataset.sel(size=near)


def name(dataset: xr.Dataset) -> str:
    """What a result is of, for a message."""
    return str(dataset.attrs.get("policy", dataset.attrs.get("run", "a policy")))


def _add(found: Numbers, dataset: xr.Dataset, k: int, value: float) -> None:
    of_agent = found.setdefault(int(dataset.attrs["run_seed"]), {})
    if k in of_agent:
        raise UserError(f"{name(dataset)} was looked at twice, at different scales: leave one result away.")
    of_agent[k] = value


def _refuse_other_plans(task: str, preset: str, plans: Sequence[dict[str, Any]]) -> None:
    for plan in plans[1:]:
        if differs := [key for key in {**plans[0], **plan} if key not in _FREE and plan.get(key) != plans[0].get(key)]:
            raise UserError(f"policies of {preset} on {task} were looked at with {differs[0]}={plans[0].get(differs[0])} and {plan.get(differs[0])}: "
                            "name results of one.")
