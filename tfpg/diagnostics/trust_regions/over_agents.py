"""What do the trust regions of several agents say of their algorithms? The agent is the unit, iterations are not independent.

Datasets of of_runs.dataset in, one Dataset or one record out; intervals are 95 %."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats
import xarray as xr

from tfpg.diagnostics.statistics.agents import MANY_AGENTS, known_mean, of_agents
from tfpg.diagnostics.statistics.estimates import Estimate, student, unpaired_differences
from tfpg.diagnostics.statistics.resampling import CONFIDENCE
from tfpg.errors import UserError

# What is shown, and the scale its means and intervals are made on: KL and ratio are positive and skewed.
SCALES = {"mean_return": "linear", "mean_kl": "log", "max_ratio": "log"}
_UNITS = {"mean_return": "raw reward", "mean_kl": "nats", "delta": "nats"}
_FREE = ("seed", "total_steps", "patience", "runtime")  # settings, or sections, in which agents of one group may differ
_SCHEDULES = ("code_level.anneal", "trpo.delta_final")  # where one is on, total_steps sets the pace of every update
_PROVENANCE = ("run", "task", "preset", "run_seed", "settings", "reference_delta", "heldout_every", "heldout_live", "algorithm")


class Share(NamedTuple):
    """In what part of the iterations something holds."""

    mean: float  # over agents
    low: float  # 95 %
    high: float
    iterations: int  # counted, of all agents
    agents: int
    interval: str  # student: of agents. clopper-pearson: of iterations, as if they were independent


def groups(datasets: Sequence[xr.Dataset]) -> dict[tuple[str, str], list[xr.Dataset]]:
    """Agents of one algorithm on one task, by (task, preset).

    The length of the runs may differ where nothing is annealed over it.
    Errors: UserError where they differ in a setting besides the seed, or two are one run, or in their held-out pairs."""
    found: dict[tuple[str, str], list[xr.Dataset]] = {}
    for dataset in datasets:
        found.setdefault((dataset.attrs["task"], dataset.attrs["preset"]), []).append(dataset)
    for (task, preset), agents in found.items():
        first = json.loads(agents[0].attrs["settings"])
        free = set(_FREE) - ({"total_steps"} if any(first.get(name) for name in _SCHEDULES) else set())
        for other in agents[1:]:
            its = json.loads(other.attrs["settings"])
            for name in first:
                if not set(name.split(".")) & free and its.get(name) != first[name]:
                    raise UserError(f"{other.attrs['run']} has {name}={its.get(name)}, {agents[0].attrs['run']} {first[name]}: "
                                    f"they are not two seeds of {preset} on {task}; look at them one command each.")
        seeds = [agent.attrs["run_seed"] for agent in agents]
        if len(set(seeds)) < len(seeds):
            raise UserError(f"two runs of {preset} on {task} have one seed, so they are no two agents: leave one away.")
    if len(sizes := {int(d["pairs"].isel(pool=1).max()) for d in datasets} - {0}) > 1:
        raise UserError(f"the runs were looked at with {' and '.join(map(str, sorted(sizes)))} held-out pairs: largest ratios "
                        "are compared at equal numbers only.")
    return dict(sorted(found.items()))


def over_seeds(datasets: Sequence[xr.Dataset], *, window: int = 1) -> xr.Dataset:
    """Means over agents, [group, iteration, pool], of return, mean KL and largest ratio: x, x_stderr, x_low, x_high, x_count.

        return:         mean over agents          KL, ratio:   exp mean log x, interval exp(mean log x ± t · stderr)

    x_stderr of KL and ratio is that of the logarithm. Intervals: BCa bootstrap of agents from 20 on, Student's t below, none
    for one agent. An iteration that some agents lack (no episode ended, an unfinished run) is the mean of the others; an update
    that did not move (KL 0) has no logarithm and is left out; one infinite ratio makes the mean infinite, without interval.
    Attributes unmoved and infinite count such updates on their own pairs and ratios in all.
    x_agents: [group, agent, iteration, pool], each agent's own.
    Args: window: iterations that each agent's numbers on its own pairs are averaged over first, the last so many, on the same
    scale; held-out numbers, which few iterations have, stay single. Errors: as of `groups`."""
    grouped = groups(datasets)
    iterations = np.unique(np.concatenate([d["iteration"].values for d in datasets]))
    most = max(map(len, grouped.values()))
    columns: dict[str, list[np.ndarray]] = {}
    for agents in grouped.values():
        aligned = [agent.reindex(iteration=iterations, fill_value=np.nan) for agent in agents]
        for name, scale in SCALES.items():
            own = np.stack([_smoothed(agent[name], scale, window) for agent in aligned])
            for suffix, values in zip(("", "_stderr", "_low", "_high", "_count"), _over_agents(own, scale), strict=True):
                columns.setdefault(name + suffix, []).append(values)
            absent = np.full((most - len(own), *own.shape[1:]), np.nan)
            columns.setdefault(f"{name}_agents", []).append(np.concatenate([own, absent]))
        for name in ("env_steps", "delta", "ratio_high"):
            own = np.stack([agent[name].values if name in agent else np.full(len(iterations), np.nan) for agent in aligned])
            columns.setdefault(name, []).append(known_mean(own))
    dims = {1: ("group", "iteration"), 2: ("group", "iteration", "pool"), 3: ("group", "agent", "iteration", "pool")}
    made = xr.Dataset({name: (dims[np.ndim(values[0])], np.stack(values), {"units": _unit(name)})
                       for name, values in columns.items()},
                      {"iteration": iterations, "pool": datasets[0]["pool"].values,
                       "task": ("group", [task for task, _ in grouped]), "preset": ("group", [preset for _, preset in grouped]),
                       "agents": ("group", [len(agents) for agents in grouped.values()]),
                       "reference_delta": ("group", [float(a[0].attrs["reference_delta"]) for a in grouped.values()],
                                           {"units": "nats"})})
    return made.assign_attrs(window=window, intervals=f"95 %, of agents: Student's t below {MANY_AGENTS}, BCa bootstrap from "
                             f"{MANY_AGENTS} on; of KL and ratio on the log scale",
                             unmoved=sum(int((d["mean_kl"].sel(pool="train") <= 0).sum()) for d in datasets),
                             infinite=sum(int(np.isposinf(d["max_ratio"]).sum()) for d in datasets), **_provenance(datasets))


def _smoothed(values: xr.DataArray, scale: str, window: int) -> np.ndarray:
    """One agent's numbers, [iteration, pool]: the last `window` averaged on their scale, held-out ones as they are."""
    own = values.values
    if scale == "linear":
        smooth = running(own, window)
    else:
        logs = _logs(own)
        finite = np.where(np.isposinf(logs), np.nan, logs)
        smooth = np.where(np.isposinf(logs), np.inf, np.exp(running(finite, window)))  # infinite where it was, not for a window
        own = np.exp(logs)  # what has no logarithm is unknown
    return np.where(values["pool"].values == "train", smooth, own)


def _over_agents(values: np.ndarray, scale: str) -> Estimate:
    """Mean over agents with its interval, on a scale. Args: values: [agents, …]."""
    if scale == "linear":
        return of_agents(values)
    found = of_agents(_logs(values))
    endless = np.isposinf(values).any(0)
    stderr, low, high = (np.where(endless, np.nan, end) for end in (found.stderr, np.exp(found.low), np.exp(found.high)))
    return Estimate(np.where(endless, np.inf, np.exp(found.mean)), stderr, low, high, np.isfinite(values).sum(0) + np.isposinf(values).sum(0))


def _logs(values: np.ndarray) -> np.ndarray:
    return np.log(np.where(values > 0, values, np.nan))


def _unit(name: str) -> str:
    base = next((base for base in _UNITS if name.startswith(base)), "")
    logarithm = name.endswith("_stderr") and SCALES.get(base) == "log"
    return "1" if logarithm or name.endswith("_count") else _UNITS.get(base, "1")


def _provenance(datasets: Sequence[xr.Dataset]) -> dict[str, str]:
    """What the summary is of: runs, tasks, presets, numbers of pairs, and the versions that computed them."""
    found = {f"pairs_{pool}": ", ".join(map(str, sorted({int(d["pairs"].sel(pool=pool).max()) for d in datasets} - {0})))
             for pool in ("train", "heldout")}
    for plural, name in (("runs", "run"), ("tasks", "task"), ("presets", "preset"), ("seeds", "run_seed")):
        found[plural] = json.dumps([_plain(d.attrs[name]) for d in datasets])
    versions = dict.fromkeys(name for d in datasets for name in d.attrs if name not in _PROVENANCE)
    return found | {name: ", ".join(dict.fromkeys(str(d.attrs[name]) for d in datasets if name in d.attrs)) for name in versions}


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


def running(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of what is known of the last `window` rows, up to the last known one. Args: values: [iterations, …].

    A row of which nothing is known has the mean of those before: else the mean over agents would jump from one to another."""
    past = np.stack([np.concatenate([np.full((back, *values.shape[1:]), np.nan), values[:len(values) - back]])
                     for back in range(min(window, len(values)))])
    followed = np.flip(np.logical_or.accumulate(np.isfinite(np.flip(values, 0)), 0), 0)
    return np.where(followed, known_mean(past), np.nan)


def share(datasets: Sequence[xr.Dataset], pool: str, bound: Sequence[float | np.ndarray]) -> Share:
    """In what part of the measured iterations mean KL ≤ bound.

    The interval is of agents, Student's t over their shares. Agents that agree would make it narrower than their iterations
    allow, down to nothing: it is then widened to hold Clopper and Pearson's (1934) of all iterations, which alone speaks for
    one agent.
    Args: bound: of each agent, [] or [iteration]."""
    counts, kept = [], []
    for dataset, limit in zip(datasets, bound, strict=True):
        kl = dataset["mean_kl"].sel(pool=pool).values
        known = ~np.isnan(kl)  # an infinite KL is beyond every bound
        if known.any():
            counts.append(int(known.sum()))
            kept.append(int((kl <= np.broadcast_to(limit, kl.shape))[known].sum()))
    if not counts:
        return Share(np.nan, np.nan, np.nan, 0, 0, "none")
    mean = float(np.mean(np.divide(kept, counts)))
    exact = scipy.stats.binomtest(sum(kept), sum(counts)).proportion_ci(CONFIDENCE, "exact")
    if len(counts) == 1:
        return Share(mean, float(exact.low), float(exact.high), counts[0], 1, "clopper-pearson")
    found = of_agents(np.divide(kept, counts))
    low, high = (float(end) for end in np.clip([found.low, found.high], 0, 1))
    if high - low >= exact.high - exact.low:
        return Share(mean, low, high, sum(counts), len(counts), "student")
    return Share(mean, min(low, float(exact.low)), max(high, float(exact.high)), sum(counts), len(counts), "clopper-pearson")


def factor(datasets: Sequence[xr.Dataset], others: Sequence[xr.Dataset], name: str, *, pool: str, window: tuple[int, int]) -> Estimate:
    """How many times as large KL or ratio is with one algorithm as with another.

        exp(m̄ − m̄')        m: an agent's mean of log x over the iterations first … last − 1

    Agents are unpaired: the same seed of two algorithms shares the first weights alone. The interval is Welch's on the logarithm.
    Updates that did not move (KL 0) and infinite ratios have no logarithm and are left out.
    Args: name: mean_kl or max_ratio. window: first, last. Returns: Estimate [], count agents of both; stderr is the logarithm's;
    NaN where an algorithm has fewer than two agents in the window."""
    first, second = (np.array([_mean_log(d, name, pool, window) for d in some]) for some in (datasets, others))
    first, second = (each[np.isfinite(each)] for each in (first, second))
    if min(len(first), len(second)) < 2:
        return student(np.nan, np.nan, 1, 0)
    found = unpaired_differences(first, second)
    return Estimate(np.exp(found.mean), found.stderr, np.exp(found.low), np.exp(found.high), np.asarray(len(first) + len(second)))


def _mean_log(dataset: xr.Dataset, name: str, pool: str, window: tuple[int, int]) -> float:
    inside = (dataset["iteration"].values >= window[0]) & (dataset["iteration"].values < window[1])
    logs = _logs(dataset[name].sel(pool=pool).values[inside])
    return float(known_mean(logs[np.isfinite(logs)])) if np.isfinite(logs).any() else np.nan
