"""How did many agents learn, and how did they end? Rows of metrics.jsonl in, labelled arrays out; the agent is the unit.

    curves(agents)   return against environment steps, by algorithm, of one task
    scores(agents)   final, interquartile and best, by task and algorithm"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from tfpg.diagnostics.results import REWARD, estimate
from tfpg.diagnostics.statistics import agents as over
from tfpg.diagnostics.statistics import scores as statistics
from tfpg.errors import UserError
from tfpg.numerics.running import running_mean

WINDOW = 10  # iterations that an agent's curve is averaged over
INTERVALS = f"95 %, of agents: Student's t below {over.MANY_AGENTS}, bootstrap from there on"


class Agent(NamedTuple):
    """One run as its metrics have it."""

    task: str
    preset: str
    seed: int
    rows: Sequence[Mapping[str, Any]]  # of metrics.jsonl, in order
    final: float = np.nan  # mean over the episodes of the last 5 iterations; NaN where none ended
    best: float = np.nan  # best mean of one iteration
    finished: bool = True  # its scores count


def curves(agents: Sequence[Agent], *, window: int = WINDOW) -> xr.Dataset:
    """Learning curves of one task, [group, env_steps], and each agent's own, [group, agent, env_steps].

        an agent's:  running mean over `window` iterations of the mean return, weighted by the episodes that ended in each,
                     linear between its own points and unknown outside of them
        mean_return: mean over the agents that are known there (mean_return_count), with its interval

    Where the count changes the mean jumps from some agents to others: runs of unequal length.
    Errors: UserError for no agent, for several tasks, or steps that do not ascend."""
    if len(tasks := {agent.task for agent in agents}) != 1:
        raise UserError(f"learning curves share their environment steps within one task, not {', '.join(sorted(tasks)) or 'none'}.")
    groups = _groups(agents)
    own = {preset: [_smooth(agent.rows, window) for agent in some] for preset, some in groups.items()}
    grid = np.unique(np.concatenate([steps for some in own.values() for steps, _ in some]))
    if not len(grid):
        raise UserError(f"no episode ended in any agent on {next(iter(tasks))}.")
    aligned = [statistics.aligned(some, grid).values for some in own.values()]
    found = [over.of_agents(values) for values in aligned]
    most = max(map(len, aligned))
    shape = (len(groups), len(grid))
    stacked = type(found[0])(*map(np.stack, zip(*found, strict=True)))
    each = np.stack([np.concatenate([values, np.full((most - len(values), len(grid)), np.nan)]) for values in aligned])
    return xr.Dataset(
        {**estimate("mean_return", stacked, ("group", "env_steps"), shape, "agents", **REWARD),
         "mean_return_agents": (("group", "agent", "env_steps"), each, REWARD)},
        {"env_steps": ("env_steps", grid, {"units": "steps"}), "preset": ("group", list(groups)),
         "agents": ("group", list(map(len, aligned))), "unfinished": ("group", [sum(not a.finished for a in some) for some in groups.values()])},
        {"task": tasks.pop(), "window": window, "intervals": INTERVALS})


def scores(agents: Sequence[Agent]) -> xr.Dataset:
    """Scores of the agents that are finished, [group]; `task` and `preset` say which.

        final_return  mean over agents of the mean over the episodes of the last 5 iterations
        iqm_return    interquartile mean over agents of the same
        best_return   mean over agents of the best mean return of one iteration: biased upward by the iterations' noise

    final_return_agents, best_return_agents: [group, agent]. Errors: UserError where none is finished."""
    groups: dict[tuple[str, str], list[Agent]] = {}
    for agent in agents:
        if agent.finished:
            groups.setdefault((agent.task, agent.preset), []).append(agent)
    if not groups:
        raise UserError("no agent is finished, so there are no scores.")
    own = {"final_return": [np.array([agent.final for agent in some]) for some in groups.values()],
           "best_return": [np.array([agent.best for agent in some]) for some in groups.values()]}
    shape = (len(groups),)
    variables: dict[str, Any] = {}
    for name, values, summary in (("final_return", own["final_return"], over.of_agents), ("iqm_return", own["final_return"], over.iqm),
                                  ("best_return", own["best_return"], over.of_agents)):
        found = [summary(each) for each in values]
        stacked = type(found[0])(*map(np.stack, zip(*found, strict=True)))
        variables |= estimate(name, stacked, ("group",), shape, "agents", **REWARD)
    most = max(map(len, groups.values()))
    for name, values in own.items():
        padded = [np.concatenate([each, np.full(most - len(each), np.nan)]) for each in values]
        variables[f"{name}_agents"] = (("group", "agent"), np.stack(padded), REWARD)
    return xr.Dataset(variables, {"task": ("group", [task for task, _ in groups]), "preset": ("group", [preset for _, preset in groups])},
                      {"intervals": INTERVALS})


def _groups(agents: Sequence[Agent]) -> dict[str, list[Agent]]:
    found: dict[str, list[Agent]] = {}
    for agent in agents:
        found.setdefault(agent.preset, []).append(agent)
    return found


def _smooth(rows: Sequence[Mapping[str, Any]], window: int) -> tuple[np.ndarray, np.ndarray]:
    """Environment steps and return of the iterations in which an episode ended."""
    ended = [row for row in rows if "rollout/return" in row]
    steps, returns, episodes = (np.array([row[name] for row in ended], np.float64)
                                for name in ("env_steps", "rollout/return", "rollout/episodes"))
    return steps, running_mean(returns, episodes, window)
