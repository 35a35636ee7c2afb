"""What do landscapes of many agents say of C1, C3 and C4? Slices, surrogates and concentrations in, a policy each; verdicts out.

The unit is the agent: what an agent's own result is unsure of is in the spread between agents."""

from __future__ import annotations

import functools
import math

import numpy as np
import xarray as xr

from tfpg.claims.catalogue import CLAIMS, LEAST_DIRECTIONS, MUCH_FASTER
from tfpg.claims.grouping import (
    Datasets,
    Found,
    Numbers,
    at_agents_pairs,
    by_iteration,
    first,
    groups,
    later,
    name,
    numbers,
    plan_of,
    verdicts,
)
from tfpg.claims.verdicts import Verdict, of_scores
from tfpg.errors import UserError

_ON_THE_POINT = 1e-9  # a coordinate computed as 1 may read 1.0000000000000002


def of_slices(datasets: Datasets) -> list[Verdict]:
    """C1. Args: datasets: slices of launch.landscape, a policy each."""
    return verdicts("C1", _slopes(datasets))


def of_surrogates(slices: Datasets, surrogates: Datasets = ()) -> list[Verdict]:
    """C3. Args: slices, surrogates: of launch.landscape, a policy each; surfaces of surrogates are read for their notes alone."""
    return verdicts("C3", _climbed([d for d in slices if "surrogate" in d], surrogates))


def of_concentrations(datasets: Datasets) -> list[Verdict]:
    """C4. Args: datasets: concentration of launch.landscape, a policy each."""
    return verdicts("C4", _ordered(datasets))


def contrast(step: float, step_stderr: float, random: np.ndarray, random_stderr: np.ndarray) -> float:
    """How much steeper a step is than twice a random direction, between −1 and 1; 0 where it is just so.

        c = (ŝ² − q² r̂²) / (s² + q² r²),   q = MUCH_FASTER,   r²: mean over directions,   ŝ² = s² − stderr²,   r̂² alike
          = tanh log(s / q r)  without noise

    The squares above are freed of the episodes' noise, which would bring every quotient to 1: a measurement that finds nothing says
    0, not "as steep". A mere rank could not be judged: among 16 directions that of three agents is often one and the same, and equal
    numbers have no interval. The sign of the slope is judged apart."""
    times = MUCH_FASTER**2
    squares = np.square(step), times * np.square(random).mean()
    noise = np.square(step_stderr), times * np.square(random_stderr).mean()
    whole = float(squares[0] + squares[1])
    return float((squares[0] - noise[0]) - (squares[1] - noise[1])) / whole if whole > 0 else math.nan


def _slopes(datasets: Datasets) -> Found:
    (slope, rises), (steeper, much) = CLAIMS["C1"].bounds.items()
    for task, preset, some in groups(datasets):
        at_start = [d for d in some if int(d.attrs["iteration"]) == 0]
        if not at_start:
            continue
        each = [_step_and_random(d) for d in at_start]
        ranks = [1 + int((random > step).sum()) for (step, _), (random, _) in each]
        times = [step / root if (root := math.sqrt(np.square(random).mean())) > 0 else math.inf for (step, _), (random, _) in each]
        note = (f"at iteration 0: {np.median(times):.2g} times the root mean square of {len(each[0][1][0])} random directions (median agent); the "
                f"step's slope is the largest in {ranks.count(1)} of {len(ranks)} agents (chance 1 in {len(each[0][1][0]) + 1})")
        yield task, [of_scores(f"{preset}: {slope}", task, preset, first(numbers(at_start, lambda d: _step_and_random(d)[0][0])), rises, note),
                     of_scores(f"{preset}: {steeper}", task, preset, first(numbers(at_start, lambda d: contrast(*_flat(_step_and_random(d))))), much)]


def _climbed(slices: Datasets, surrogates: Datasets) -> Found:
    bounds = dict(zip(("train", "heldout"), CLAIMS["C3"].bounds.items(), strict=True))
    grids = {(task, preset): some for task, preset, some in groups([d for d in surrogates if str(d.attrs["norm"]) in ("step", "kl")])}
    for task, preset, some in groups(slices):
        statements = []
        for pool, (what, bound) in bounds.items():
            some_have = [d for d in some if pool in d["pool"].values]
            found = numbers(some_have, functools.partial(_gain_of_surrogate, pool=pool))
            note = _aligned(some_have, grids.get((task, preset), ()), pool)
            statements.append(of_scores(f"{preset}: {what}", task, preset, later(found) if found else np.array([]), bound, note))
        yield task, statements


def _aligned(slices: Datasets, grids: Datasets, pool: str) -> str:
    """How the surrogate's order of points goes with that of the true return, by iteration, in words."""
    def correlation(d: xr.Dataset, of: str) -> float:
        return float(np.ravel(d[f"rank_correlation_{of}"].sel(pool=pool))[0]) if f"rank_correlation_{of}" in d else math.nan

    found: dict[str, Numbers] = {words: numbers(slices, functools.partial(correlation, of=of))
                                 for of, words in (("along_step", "along the step"), ("all_lines", "over step and random lines of its norm"))}
    own = [d.isel(update=0) if "update" in d.dims else d for d in grids]
    found |= {"over the equal-norm grid": numbers(own, functools.partial(correlation, of="grid"))} if own else {}
    said = [f"{words} {values}" for words, each in found.items() if (values := by_iteration(each))]
    whose = "own pairs" if pool == "train" else "held-out pairs"
    return f"{whose}: rank correlation of surrogate and return {'; '.join(said)}" if said else ""


def _ordered(datasets: Datasets) -> Found:
    (what, bound), = CLAIMS["C4"].bounds.items()
    for task, preset, some in groups(datasets):
        found = numbers(some, lambda d: float(at_agents_pairs(d)["ordering"]) if "ordering" in d else math.nan)
        all_pairs = numbers(some, lambda d: float(at_agents_pairs(d)["agreement"]) if "agreement" in d else math.nan)
        needed = numbers(some, _needed_pairs)
        said = [f"by iteration {by_iteration(found)}" if by_iteration(found) else "",
                f"with points whose order is not known {by_iteration(all_pairs)}" if by_iteration(all_pairs) else "",
                f"pairs for .95 at the median |ΔJ|: {_medians(needed)}" if _medians(needed) else ""]
        yield task, [of_scores(f"{preset}: {what}", task, preset, later(found), bound, "; ".join(filter(None, said)))]


# An agent's numbers


def _step_and_random(dataset: xr.Dataset) -> tuple[tuple[float, float], tuple[np.ndarray, np.ndarray]]:
    """Slope of the step and its standard error, and those of the random directions. Errors: UserError for too few, or another step."""
    _refuse_other_step(dataset)
    role = dataset["role"].values.astype(str)
    slope, stderr = dataset["slope"].values, dataset["slope_stderr"].values
    if (count := int((role == "random").sum())) < LEAST_DIRECTIONS:
        raise UserError(f"{name(dataset)} was looked at along {count} random directions: at least {LEAST_DIRECTIONS} say what chance would do.")
    return (float(slope[role == "step"][0]), float(stderr[role == "step"][0])), (slope[role == "random"], stderr[role == "random"])


def _flat(slopes: tuple[tuple, tuple]) -> tuple:
    return *slopes[0], *slopes[1]


def _gain_of_surrogate(dataset: xr.Dataset, pool: str) -> float:
    """The surrogate that the algorithm climbs, at the whole of its own step; it is 0 at θ_k. NaN where the slices have no t = 1."""
    _refuse_other_step(dataset)
    at = np.flatnonzero(np.abs(dataset["t"].values - 1) < _ON_THE_POINT)
    step = dataset["surrogate"].sel(pool=pool, objective=dataset.attrs["optimised"]).isel(direction=0)
    return float(step.isel(t=at[0])) if at.size else math.nan


def _needed_pairs(dataset: xr.Dataset) -> float:
    """Pairs a point that order two points rightly with probability .95 which are as far apart as those of the middle bin."""
    if "needed_episodes" not in dataset:
        return math.nan
    episodes = dataset["needed_episodes"].values
    known = episodes[~np.isnan(episodes)]
    return float(known[len(known) // 2] * float(dataset.attrs["pilot_mean_length"])) if known.size else math.nan


def _medians(found: Numbers) -> str:
    """By iteration, of agents: some may be infinite."""
    medians = {k: np.median(values) for k in sorted({k for each in found.values() for k in each})
               if len(values := [each[k] for each in found.values() if k in each and not math.isnan(each[k])])}
    return ", ".join(f"{f'{value:,.0f}' if math.isfinite(value) else 'no number'} at {k}" for k, value in medians.items())


def _refuse_other_step(dataset: xr.Dataset) -> None:
    """Errors: UserError where the step is not the one that the run took."""
    plan = plan_of(dataset)
    if plan.get("step", "taken") != "taken" or "stored" not in plan.get("update_pairs", ("stored",)):
        raise UserError(f"{name(dataset)} was looked at along another step than the one that the run took: its result says nothing of C1 and C3.")
