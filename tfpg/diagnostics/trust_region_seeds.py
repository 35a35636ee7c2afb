"""What do the trust regions of several agents say of their algorithms? The agent is the unit, iterations are not independent.

Datasets of trust_region_runs.dataset in, one Dataset or one record out; intervals are 95 %."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats
import xarray as xr

from tfpg.diagnostics.estimates import Estimate, means, student
from tfpg.diagnostics.resampling import CONFIDENCE
from tfpg.errors import UserError

SHOWN = ("mean_return", "mean_kl", "max_ratio")
# From so many agents on the bootstrap; with 3 its interval covers 72 %, with 5 85 %: fewer take Student's t.
MANY_AGENTS = 20
_FREE = ("seed", "total_steps", "patience", "runtime")  # settings, or sections, in which agents of one group may differ


class Share(NamedTuple):
    """In what part of the iterations something holds."""

    mean: float  # over agents
    low: float  # 95 %: of agents (Student's t), or for one agent of its iterations, as if they were independent
    high: float
    iterations: int  # counted, of all agents
    agents: int


def groups(datasets: Sequence[xr.Dataset]) -> dict[tuple[str, str], list[xr.Dataset]]:
    """Agents of one algorithm on one task, by (task, preset).

    Errors: UserError where they differ in a setting besides the seed, or two are one run, or in their numbers of pairs."""
    found: dict[tuple[str, str], list[xr.Dataset]] = {}
    for dataset in datasets:
        found.setdefault((dataset.attrs["task"], dataset.attrs["preset"]), []).append(dataset)
    for (task, preset), agents in found.items():
        first = json.loads(agents[0].attrs["settings"])
        for other in agents[1:]:
            its = json.loads(other.attrs["settings"])
            for name in first:
                if not set(name.split(".")) & set(_FREE) and its.get(name) != first[name]:
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

    Intervals: BCa bootstrap of agents from 20 on, Student's t below, none for one agent. An iteration that some agents lack
    (no episode ended, an unfinished run) is the mean of the others.
    Args: window: iterations that each agent's numbers are averaged over first, the last so many. Errors: as of `groups`."""
    grouped = groups(datasets)
    iterations = np.unique(np.concatenate([d["iteration"].values for d in datasets]))
    columns: dict[str, list[np.ndarray]] = {}
    for agents in grouped.values():
        aligned = [agent.reindex(iteration=iterations, fill_value=np.nan) for agent in agents]
        for name in SHOWN:
            log, exp = (np.log, np.exp) if name == "max_ratio" else (np.asarray, np.asarray)  # one large ratio is to stay one
            found = of_agents(np.stack([exp(running(log(agent[name].values), window)) for agent in aligned]))
            for suffix, values in zip(("", "_stderr", "_low", "_high", "_count"), found, strict=True):
                columns.setdefault(name + suffix, []).append(values)
        for name in ("env_steps", "delta", "ratio_high"):
            values = [agent[name].values if name in agent else np.full(len(iterations), np.nan) for agent in aligned]
            columns.setdefault(name, []).append(_nanmean(np.stack(values)))
    dims = {name: ("group", "iteration", "pool") if np.ndim(values[0]) == 2 else ("group", "iteration")
            for name, values in columns.items()}
    made = xr.Dataset({name: (dims[name], np.stack(values)) for name, values in columns.items()},
                      {"iteration": iterations, "pool": datasets[0]["pool"].values,
                       "task": ("group", [task for task, _ in grouped]), "preset": ("group", [preset for _, preset in grouped]),
                       "agents": ("group", [len(agents) for agents in grouped.values()]),
                       "reference_delta": ("group", [float(a[0].attrs["reference_delta"]) for a in grouped.values()])})
    sizes = {f"pairs_{pool}": ", ".join(sorted({str(int(d["pairs"].sel(pool=pool).max())) for d in datasets} - {"0"}))
             for pool in ("train", "heldout")}
    return made.assign_attrs(window=window, intervals="95 %, of agents: Student's t below 20, BCa bootstrap from 20 on",
                             runs=json.dumps([str(d.attrs["run"]) for d in datasets]), **sizes)


def running(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of what is known of the last `window` rows, where the row itself is. Args: values: [iterations, …]."""
    past = np.stack([np.concatenate([np.full((back, *values.shape[1:]), np.nan), values[:len(values) - back]])
                     for back in range(min(window, len(values)))])
    return np.where(np.isfinite(values), _nanmean(past), np.nan)


def of_agents(values: np.ndarray) -> Estimate:
    """Mean over the agents that have a value. Args: values: [agents, …]. Returns: Estimate […], count agents."""
    count = np.isfinite(values).sum(0)
    mean = _nanmean(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        squares = np.nansum((values - mean) ** 2, 0)
        stderr = np.where(count > 1, np.sqrt(squares / (count - 1) / count), np.nan)
    found = student(mean, stderr, count - 1, count)
    if len(values) >= MANY_AGENTS:
        whole = count == len(values)
        boot = means(np.moveaxis(values, 0, -1))
        found = found._replace(low=np.where(whole, boot.low, found.low), high=np.where(whole, boot.high, found.high))
    return found


def share(datasets: Sequence[xr.Dataset], pool: str, bound: Sequence[float | np.ndarray]) -> Share:
    """In what part of the measured iterations mean KL ≤ bound. Args: bound: of each agent, [] or [iteration]."""
    parts, counts, kept = [], [], []
    for dataset, limit in zip(datasets, bound, strict=True):
        kl = dataset["mean_kl"].sel(pool=pool).values
        known = np.isfinite(kl)
        if known.any():
            within = (kl <= np.broadcast_to(limit, kl.shape))[known]
            parts.append(within.mean())
            counts.append(known.sum())
            kept.append(within.sum())
    if not parts:
        return Share(np.nan, np.nan, np.nan, 0, 0)
    if len(parts) == 1:
        low, high = scipy.stats.binomtest(int(kept[0]), int(counts[0])).proportion_ci(CONFIDENCE, "exact")
        return Share(float(parts[0]), float(low), float(high), int(counts[0]), 1)
    found = of_agents(np.array(parts))
    low, high = np.clip([found.low, found.high], 0, 1)
    return Share(float(found.mean), float(low), float(high), int(sum(counts)), len(parts))


def _nanmean(values: np.ndarray) -> np.ndarray:
    count = np.isfinite(values).sum(0)
    return np.where(count > 0, np.nansum(values, 0) / np.maximum(count, 1), np.nan)
