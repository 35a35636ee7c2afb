"""What do trust regions of runs say, in a few lines? Every share with its interval and what it is of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from launch import tables
from tfpg.diagnostics import trust_region_seeds
from tfpg.diagnostics.trust_region_seeds import Share

_HEAD = ("", "pairs", "iterations", "mean KL ≤ own δ", "mean KL ≤ δ of trpo", "max ratio: median", "90 %", "largest")


def report(datasets: Sequence[xr.Dataset]) -> str:
    """A table: for each algorithm on each task, on its own pairs and on held-out ones."""
    rows, single = [], False
    for (task, preset), agents in trust_region_seeds.groups(datasets).items():
        single |= len(agents) == 1
        reference = float(agents[0].attrs["reference_delta"])
        for pool, words in (("train", "own"), ("heldout", "held-out")):
            ratios = np.concatenate([agent["max_ratio"].sel(pool=pool).values for agent in agents])
            ratios = ratios[np.isfinite(ratios)]
            if not ratios.size:
                continue
            own = "" if "delta" not in agents[0] else _share(
                trust_region_seeds.share(agents, pool, [agent["delta"].values for agent in agents]))
            theirs = trust_region_seeds.share(agents, pool, [reference] * len(agents))
            count = "1 agent" if len(agents) == 1 else f"{len(agents)} agents"
            rows.append((f"{preset} on {task}, {count}", f"{words}, {int(agents[0]['pairs'].sel(pool=pool).max()):,}",
                         f"{theirs.iterations:,}", own, f"{_share(theirs)} ({reference:g})",
                         *(f"{np.quantile(ratios, level):.2f}" for level in (0.5, 0.9, 1))))
    notes = ["shares of iterations with their 95 % intervals: of agents (Student's t over their shares)"]
    if single:
        notes.append("of one agent: of its iterations (Clopper–Pearson) as if they were independent, which they are not: a "
                     "statement about this agent, and too narrow")
    return "\n".join([*tables.aligned([_HEAD, *rows], left=(0, 1)), *notes])


def _share(share: Share) -> str:
    """.93 [.81, .99]."""
    return f"{share.mean:.3f} [{share.low:.3f}, {share.high:.3f}]"
