"""What do trust regions of many agents say of C5 to C7? Datasets of trust_regions.of_runs in, verdicts out.

The unit is the agent: what an agent's own result is unsure of is in the spread between agents."""

from __future__ import annotations

import functools
import math

import numpy as np
import xarray as xr

from tfpg.claims.catalogue import CLAIMS, FEWEST_ITERATIONS, KEPT, WINDOWS
from tfpg.claims.grouping import Datasets, Found, by_task, verdicts
from tfpg.claims.verdicts import Bound, Statement, Verdict, judge, of_scores
from tfpg.diagnostics.statistics.agents import difference
from tfpg.diagnostics.statistics.estimates import Estimate
from tfpg.diagnostics.trust_regions import over_agents
from tfpg.errors import UserError

REPORTED_EPSILON = 0.2  # as tfpg.algos.ppo has it, which would import TensorFlow
_NO_CLIP = 1e6  # from here on a bound of the ratio is PPO-NoClip's 1e32: none


def of_trust_regions(datasets: Datasets) -> list[Verdict]:
    """C5 to C7. Args: datasets: of trust_regions.of_runs, an agent each."""
    return [*kept_by_trpo(datasets), *kept_by_ppo(datasets), *largest_ratios(datasets)]


def kept_by_trpo(datasets: Datasets) -> list[Verdict]:
    """C5."""
    return verdicts("C5", _kept_by_trpo(datasets))


def kept_by_ppo(datasets: Datasets) -> list[Verdict]:
    """C6."""
    return verdicts("C6", _kept_by_ppo(datasets))


def largest_ratios(datasets: Datasets) -> list[Verdict]:
    """C7."""
    return verdicts("C7", _ratios(datasets))


def _kept_by_trpo(datasets: Datasets) -> Found:
    (what, bound), = CLAIMS["C5"].bounds.items()
    for task, groups in by_task(_looked_at(datasets)).items():
        for preset in ("trpo", "trpo_plus"):
            if some := groups.get(preset):
                yield task, [of_scores(f"{preset}: {what}", task, preset, [_log_quantile(d, d["delta"].values) for d in some], bound)]


def _kept_by_ppo(datasets: Datasets) -> Found:
    for task, groups in by_task(_looked_at(datasets)).items():
        statements = [of_scores(what, task, preset, [_log_quantile(d, float(d.attrs["reference_delta"])) for d in groups.get(preset, ())], bound)
                      for (what, bound), preset in zip(CLAIMS["C6"].bounds.items(), ("ppo", "ppo_m"), strict=True)]
        if times := _times(groups.get("ppo_m", ()), groups.get("ppo", ())):
            statements[-1] = statements[-1]._replace(note=times)
        yield task, statements if {"ppo", "ppo_m"} & groups.keys() else []


def _times(ppo_m: Datasets, ppo: Datasets) -> str:
    """How many times as large PPO-M's held-out mean KL is as PPO's, in the windows that all runs reach and were looked at in: where it
    is above 1 PPO-M goes further, whatever both have to do with a bound. In words; empty where an algorithm has one agent."""
    said = []
    for window in WINDOWS:
        reached = all(int(d["iteration"].max()) + 1 >= window[1] for d in (*ppo, *ppo_m))
        found = over_agents.factor(ppo_m, ppo, "mean_kl", pool="heldout", window=window) if reached else None
        if found is not None and np.isfinite(found.mean):
            said.append(f"{found.mean:.2g} [{found.low:.2g}, {found.high:.2g}] times PPO's mean KL in iterations {window[0]}–{window[1]}")
    return f"held-out: {'; '.join(said)}" if said else ""


def _ratios(datasets: Datasets) -> Found:
    (what, bound), (better, below) = CLAIMS["C7"].bounds.items()
    for task, groups in by_task(_looked_at(datasets)).items():
        statements = [of_scores(f"{preset}: {what}", task, preset, [_median_log_ratio(d, _highest(d)) for d in some], bound)
                      for preset, some in groups.items()]
        yield task, [*statements, _ppo_against_ppo_m(better, task, groups.get("ppo", ()), groups.get("ppo_m", ()), below)]


def _ppo_against_ppo_m(what: str, task: str, ppo: Datasets, ppo_m: Datasets, bound: Bound) -> Statement:
    """Unpaired: equal seeds do not pair algorithms. In iterations that all were looked at in, at equal numbers of pairs."""
    pairs = {int(count) for d in (*ppo, *ppo_m) for count in np.unique(d["pairs"].sel(pool="heldout").values)} - {0}
    if len(pairs) > 1:
        raise UserError(f"runs on {task} were looked at with {' and '.join(map(str, sorted(pairs)))} held-out pairs: largest ratios are "
                        "compared at equal numbers only.")
    shown = [d["iteration"].values[d["pairs"].sel(pool="heldout").values > 0] for d in (*ppo, *ppo_m)]
    common = functools.reduce(np.intersect1d, shown) if shown else np.empty(0, int)
    first, second = (np.array([_median_log_ratio(d.sel(iteration=common), 1.0) for d in some]) for some in (ppo, ppo_m))
    first, second = (each[~np.isnan(each)] for each in (first, second))
    fewest = min(len(first), len(second))
    if fewest < 2 or np.isinf([*first, *second]).any():
        unknown = Estimate(*map(np.asarray, (math.nan, math.nan, math.nan, math.nan, fewest)))
        return judge(what, task, ("ppo", "ppo_m"), unknown, bound, agents=fewest)
    spread = float(np.sqrt(np.var(first, ddof=1) + np.var(second, ddof=1)))
    return judge(what, task, ("ppo", "ppo_m"), difference(first, second), bound, agents=fewest, spread=spread)


def _looked_at(datasets: Datasets) -> list[xr.Dataset]:
    """Those that have held-out pairs."""
    return [d for d in datasets if int(d["pairs"].sel(pool="heldout").max()) > 0]


def _log_quantile(dataset: xr.Dataset, bound: float | np.ndarray) -> float:
    """log of the 95 % quantile over one agent's iterations of held-out mean KL / bound; NaN where too few were looked at."""
    kl = dataset["mean_kl"].sel(pool="heldout").values
    relative = (kl / np.broadcast_to(bound, kl.shape))[~np.isnan(kl)]
    if len(relative) < FEWEST_ITERATIONS:
        return math.nan
    with np.errstate(divide="ignore"):  # an agent that never moves
        return float(np.log(np.quantile(relative, KEPT, method="higher")))


def _median_log_ratio(dataset: xr.Dataset, bound: float) -> float:
    """Median over one agent's iterations of log(largest held-out ratio / bound); infinite ratios count as what they are."""
    ratio = dataset["max_ratio"].sel(pool="heldout").values
    ratio = ratio[~np.isnan(ratio)]
    return float(np.log(np.quantile(ratio, 0.5, method="higher") / bound)) if ratio.size else math.nan


def _highest(dataset: xr.Dataset) -> float:
    """1 + ε; that of the usual ε for what does not clip."""
    high = dataset["ratio_high"].values if "ratio_high" in dataset else np.array([])
    high = high[np.isfinite(high) & (high < _NO_CLIP)]
    return float(high[0]) if high.size else 1 + REPORTED_EPSILON
