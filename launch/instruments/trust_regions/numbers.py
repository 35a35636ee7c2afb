"""What do trust regions of runs say, in a few lines? Every share with its interval and what it is of."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import xarray as xr

from launch.shared import tables
from tfpg.claims.catalogue import WINDOWS
from tfpg.diagnostics.statistics.estimates import Estimate
from tfpg.diagnostics.trust_regions import over_agents
from tfpg.diagnostics.trust_regions.over_agents import Share

_HEAD = ("", "pairs", "iterations", "mean KL ≤ own δ", "mean KL ≤ δ of trpo", "max ratio: median", "90 %", "largest")


def report(datasets: Sequence[xr.Dataset]) -> str:
    """A table: for each algorithm on each task, on its own pairs, on those of the iterations that were looked at on held-out
    pairs, and on held-out ones."""
    rows, shares = [], []
    for (task, preset), agents in over_agents.groups(datasets).items():
        for pool, words, some in _pools(agents):
            ratios = np.concatenate([agent["max_ratio"].sel(pool=pool).values for agent in some])
            ratios = np.sort(ratios[~np.isnan(ratios)])  # infinite ones count
            if not ratios.size:
                continue
            own = None if "delta" not in some[0] else over_agents.share(some, pool, [a["delta"].values for a in some])
            reference = float(agents[0].attrs["reference_delta"])
            theirs = over_agents.share(some, pool, [reference] * len(some))
            shares += [share for share in (own, theirs) if share is not None]
            count = "1 agent" if theirs.agents == 1 else f"{theirs.agents} agents"
            levels = (np.quantile(ratios, level, method="inverted_cdf") for level in (0.5, 0.9, 1))
            rows.append((f"{preset} on {task}, {count}", f"{words}, {int(agents[0]['pairs'].sel(pool=pool).max()):,}",
                         f"{theirs.iterations:,}", "" if own is None else _share(own), f"{_share(theirs)} ({reference:g})",
                         *(f"{level:.2f}" for level in levels)))
    return "\n".join([*tables.aligned([_HEAD, *rows], left=(0, 1)), *_notes(shares), *_factors(datasets)])


def _factors(datasets: Sequence[xr.Dataset]) -> list[str]:
    """How many times as large KL and ratio are with one algorithm as with another, where both have two agents and more."""
    grouped = {key: some for key, some in over_agents.groups(datasets).items() if len(some) > 1}
    rows = []
    for ((task, preset), some), ((other_task, other), others) in itertools.combinations(grouped.items(), 2):
        if task != other_task:
            continue
        shortest = min(int(d["iteration"].max()) + 1 for d in (*some, *others))
        for pool, words in (("train", "own pairs"), ("heldout", "held-out")):
            equal = len({int(d["pairs"].sel(pool=pool).max()) for d in (*some, *others)}) == 1  # else largest ratios do not compare
            found = [_times(over_agents.factor(others, some, name, pool=pool, window=window))
                     if window[1] <= shortest and (equal or name == "mean_kl") else ""
                     for name in ("mean_kl", "max_ratio") for window in WINDOWS]
            if any(found):
                rows.append((f"{other} : {preset} on {task}", words, *found))
    if not rows:
        return []
    heads = [f"{name}, iterations {low}–{high}" for name in ("mean KL", "max ratio") for low, high in WINDOWS]
    return ["", *tables.aligned([("times as large", "", *heads), *rows], left=(0, 1)),
            "geometric means over iterations, then agents; 95 % by Welch's t of agents on the logarithm"]


def _times(found: Estimate) -> str:
    """1.24 [1.02, 1.51]."""
    return f"{found.mean:.2f} [{found.low:.2f}, {found.high:.2f}]" if np.isfinite(found.mean) else ""


def _pools(agents: Sequence[xr.Dataset]) -> list[tuple[str, str, list[xr.Dataset]]]:
    """Pool, its words, and the agents in the iterations it is shown for."""
    both = [agent.isel(iteration=agent["pairs"].sel(pool="heldout").values > 0) for agent in agents]
    found = [("train", "own", list(agents)), ("train", "own, where held-out", both), ("heldout", "held-out", both)]
    every = all(few.sizes == agent.sizes for few, agent in zip(both, agents, strict=True))
    return found[::2] if every else found


def _notes(shares: Sequence[Share]) -> list[str]:
    """What the intervals are, and what compares."""
    kinds = {(share.interval, share.agents > 1) for share in shares}
    notes = ["shares of iterations with their 95 % intervals: of agents (Student's t over their shares)"]
    if ("clopper-pearson", True) in kinds:
        notes.append("*: agents agree more than their iterations alone would let them; widened to Clopper–Pearson's interval of all "
                     "iterations, as if they were independent")
    if ("clopper-pearson", False) in kinds:
        notes.append("of one agent: of its iterations (Clopper–Pearson) as if they were independent, which they are not: a "
                     "statement about this agent, and too narrow")
    return [*notes, "a largest ratio is of all pairs of its row: compare rows of equal numbers of pairs and iterations only"]


def _share(share: Share) -> str:
    """.93 [.81, .99], with a star where several agents' interval is that of their iterations."""
    star = "*" if share.interval == "clopper-pearson" and share.agents > 1 else ""
    return f"{share.mean:.3f} [{share.low:.3f}, {share.high:.3f}]{star}"
