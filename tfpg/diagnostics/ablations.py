"""What does each code-level optimisation do to the score? Agents of a factorial in, one labelled array out.

    ablation(agents)    share of agents above each score with a toggle and without it, and its main effect

The step size is tuned in each cell: of those tried the one with the best mean final score stands for the cell. The best of several
means is biased upward, the more so the fewer agents there are; it is so on both sides of every toggle."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from tfpg.config import CodeLevel
from tfpg.diagnostics.results import REWARD, estimate
from tfpg.diagnostics.statistics import factorials
from tfpg.errors import UserError

_SECTION = "code_level."
# Off is a field's default, the identity, but for what the authors' released PPO-M keeps on.
_OFF = {f"{_SECTION}{field.name}": field.default for field in dataclasses.fields(CodeLevel)} | {
    f"{_SECTION}observation_normalisation": False, f"{_SECTION}activation": "relu"}
_TUNED = ("ppo.step_size", "trpo.delta")
SCORES, SIDES = ("final", "best"), ("on", "off")


class Agent(NamedTuple):
    """One agent of the factorial."""

    settings: Mapping[str, Any]  # by dotted name
    final: float  # mean over the episodes of the last 5 iterations
    best: float  # best mean of one iteration


def ablation(agents: Sequence[Agent], *, free: Sequence[str] = ("seed",)) -> xr.Dataset:
    """Toggles of a factorial, [toggle]; scores are the final and the best one, [score].

        score_agents      [score, toggle, side, agent]    of the cells with the toggle, and without it
        level, share      [score, toggle, side, level]    1 − CDF at each score that occurs, exact binomial intervals
        effect            [score, toggle]                 mean with − mean without, Welch's interval

    Attributes: cells, agents, tuned (which setting), chosen (its values, with their cells), balanced.
    Args: free: settings in which agents of one cell may differ.
    Errors: UserError where no toggle varies, one has several values, or agents differ in something else."""
    toggles, linked, tuned = _design(agents, free)
    cells = _tuned(agents, toggles, tuned)
    found = {score: factorials.toggles({on: np.array([getattr(agent, score) for agent in some]) for on, (some, _) in cells.items()})
             for score in SCORES}
    names = list(toggles)
    shape = (len(SCORES), len(names))
    effects = [found[score][name].effect for score in SCORES for name in names]
    effect = type(effects[0])(*map(np.array, zip(*effects, strict=True)))
    sides = [[[getattr(found[score][name], side) for side in SIDES] for name in names] for score in SCORES]
    exceedances = [[[factorials.one_minus_cdf(side) if len(side) else None for side in toggle] for toggle in score] for score in sides]
    dims = ("score", "toggle", "side")
    variables = {
        **estimate("effect", effect, dims[:2], shape, "agents", **REWARD),
        "score_agents": ((*dims, "agent"), _padded(sides, lambda scores: scores), REWARD),
        "level": ((*dims, "level"), _padded(exceedances, lambda each: each.levels), REWARD),
        "share": ((*dims, "level"), _padded(exceedances, lambda each: each.share.mean), {"units": "share of agents"}),
        "share_stderr": ((*dims, "level"), _padded(exceedances, lambda each: each.share.stderr)),
        "share_low": ((*dims, "level"), _padded(exceedances, lambda each: each.share.low)),
        "share_high": ((*dims, "level"), _padded(exceedances, lambda each: each.share.high)),
        "agents": (dims, [[[len(side) for side in toggle] for toggle in score] for score in sides])}
    attrs = {"cells": len(cells), "agents": sum(len(some) for some, _ in cells.values()), "tuned": tuned or "",
             "chosen": "; ".join(f"{value:g}: {count} cell{'s' * (count > 1)}" for value, count in _counted(cells)) if tuned else "",
             "balanced": int(all(found["final"][name].balanced for name in names)),
             "linked": "; ".join(f"{name} with {other}" for name, other in linked.items())}
    return xr.Dataset(variables, {"score": list(SCORES), "toggle": names, "side": list(SIDES),
                                  "on": ("toggle", [str(on) for on, _ in toggles.values()]),
                                  "off": ("toggle", [str(off) for _, off in toggles.values()])}, attrs)


def _design(agents: Sequence[Agent], free: Sequence[str]) -> tuple[dict[str, tuple[Any, Any]], dict[str, str], str | None]:
    """Toggles with their values on and off, those that go with another, and the setting that is tuned."""
    columns = {name: [agent.settings.get(name) for agent in agents] for name in (agents[0].settings if agents else ())}
    varying = {name: values for name, values in columns.items() if name not in free and any(value != values[0] for value in values)}
    tuned = [name for name in varying if name in _TUNED]
    if others := [name for name in varying if not name.startswith(_SECTION) and name not in tuned]:
        raise UserError(f"agents of one ablation differ in {', '.join(others)}, which is neither a code-level optimisation nor a step size.")
    toggles: dict[str, tuple[Any, Any]] = {}
    linked: dict[str, str] = {}
    partitions: dict[tuple[bool, ...], str] = {}
    for name, values in varying.items():
        if not name.startswith(_SECTION):
            continue
        if len(set(map(str, values))) > 2 or all(value != _OFF[name] for value in values):
            raise UserError(f"{name} has the values {', '.join(sorted(set(map(str, values))))} in one ablation: a toggle is off or has "
                            "one other value.")
        on = tuple(value != _OFF[name] for value in values)
        if on in partitions:
            linked[name] = partitions[on]
            continue
        partitions[on] = name
        partitions[tuple(not each for each in on)] = name  # on where the other is off: they say the same
        toggles[name] = (next(value for value in values if value != _OFF[name]), _OFF[name])
    if not toggles:
        raise UserError("no code-level optimisation is on in some agents and off in others: there is no ablation.")
    return toggles, linked, tuned[0] if tuned else None


def _tuned(agents: Sequence[Agent], toggles: Iterable[str], tuned: str | None) -> dict[frozenset[str], tuple[list[Agent], Any]]:
    """The agents of each cell at its best step size, and that step size."""
    cells: dict[frozenset[str], dict[Any, list[Agent]]] = {}
    for agent in agents:
        on = frozenset(name for name in toggles if agent.settings[name] != _OFF[name])
        cells.setdefault(on, {}).setdefault(None if tuned is None else agent.settings.get(tuned), []).append(agent)
    found = {}
    for on, by_value in cells.items():
        means = {value: float(np.mean(known)) for value, some in by_value.items()
                 if (known := [agent.final for agent in some if np.isfinite(agent.final)])}
        best = max(means, key=means.__getitem__) if means else next(iter(by_value))
        found[on] = (by_value[best], best)
    return found


def _counted(cells: Mapping[frozenset[str], tuple[list[Agent], Any]]) -> list[tuple[Any, int]]:
    values = [value for _, value in cells.values()]
    return sorted({value: values.count(value) for value in values}.items())


def _padded(nested: Sequence[Sequence[Sequence[Any]]], of: Any) -> np.ndarray:
    """Vectors of unequal length as one array, NaN behind their ends; None is one without any."""
    rows = [[[np.zeros(0) if each is None else np.asarray(of(each), np.float64) for each in side] for side in score] for score in nested]
    most = max((len(row) for score in rows for side in score for row in side), default=0)
    return np.array([[[np.concatenate([row, np.full(most - len(row), np.nan)]) for row in side] for side in score] for score in rows])
