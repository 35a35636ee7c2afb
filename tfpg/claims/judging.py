"""What do the results of many agents say of the claims? Datasets in, verdicts out, by task.

The unit is the agent: what an agent's own result is unsure of is in the spread between agents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import xarray as xr

from tfpg.claims.catalogue import AGENT_PAIRS, CLAIMS
from tfpg.claims.verdicts import Bound, Statement, Verdict, judge, of_scores, together
from tfpg.diagnostics.statistics import agents as agents_
from tfpg.diagnostics.statistics.estimates import Estimate
from tfpg.diagnostics.trust_regions.over_agents import share
from tfpg.errors import UserError

Datasets = Sequence[xr.Dataset]
Found = Iterable[tuple[str, Sequence[Statement]]]  # task, statements


def of_trust_regions(datasets: Datasets) -> list[Verdict]:
    """C5 to C7. Args: datasets: of trust_regions.of_runs, an agent each."""
    return [*_verdicts("C5", _kept_by_trpo(datasets)), *_verdicts("C6", _kept_by_ppo(datasets)), *_verdicts("C7", _ratios(datasets))]


def of_gradients(datasets: Datasets) -> list[Verdict]:
    """C8. Args: datasets: of launch.gradients, a policy each."""
    return _verdicts("C8", _agreement(datasets))


def of_values(datasets: Datasets) -> list[Verdict]:
    """C9 and C10. Args: datasets: of launch.values, a policy each."""
    return [*_verdicts("C9", _relative_errors(datasets)), *_verdicts("C10", _baselines(datasets))]


def of_final_scores(scores: Mapping[str, Mapping[str, np.ndarray]]) -> list[Verdict]:
    """C11. Args: scores: task ↦ preset ↦ final scores [agents]."""
    return _verdicts("C11", _code_against_algorithm(scores))


def _verdicts(claim: str, found: Found) -> list[Verdict]:
    return [together(claim, task, statements) for task, statements in found if statements]


def _kept_by_trpo(datasets: Datasets) -> Found:
    what, bound = _only("C5")
    for task, groups in _by_task(datasets).items():
        for preset in ("trpo", "trpo_plus"):
            if some := groups.get(preset):
                yield task, [_kept(f"{preset}: {what}", task, preset, some, [d["delta"].values for d in some], bound)]


def _kept_by_ppo(datasets: Datasets) -> Found:
    for task, groups in _by_task(datasets).items():
        statements = [_kept(what, task, preset, groups[preset], [float(d.attrs["reference_delta"]) for d in groups[preset]], bound)
                      for (what, bound), preset in zip(CLAIMS["C6"].bounds.items(), ("ppo", "ppo_m"), strict=True) if preset in groups]
        yield task, statements if len(statements) == 2 else []


def _kept(what: str, task: str, preset: str, some: Datasets, limits: Sequence[float | np.ndarray], bound: Bound) -> Statement:
    """The share of iterations with held-out mean KL ≤ limit; agents that agree do not make it surer than their iterations are."""
    found = share(some, "heldout", limits)
    each = np.array([share([d], "heldout", [limit]).mean for d, limit in zip(some, limits, strict=True)])
    known = each[np.isfinite(each)]
    spread = float(np.std(known, ddof=1)) if len(known) > 1 else np.nan
    return judge(what, task, (preset,), Estimate(found.mean, np.nan, found.low, found.high, found.agents), bound, agents=found.agents,
                 spread=spread)


def _ratios(datasets: Datasets) -> Found:
    (what, bound), (better, below) = CLAIMS["C7"].bounds.items()
    for task, groups in _by_task(datasets).items():
        logs = {preset: np.array([_mean_log_ratio(d) for d in some]) for preset, some in groups.items()}
        statements = [of_scores(f"{preset}: {what}", task, preset, values, bound) for preset, values in logs.items()]
        if {"ppo", "ppo_m"} <= logs.keys():
            pairs = {int(d["pairs"].sel(pool="heldout").max()) for preset in ("ppo", "ppo_m") for d in groups[preset]}
            if len(pairs) > 1:
                raise UserError(f"the runs on {task} were looked at with {' and '.join(map(str, sorted(pairs)))} held-out pairs: largest "
                                "ratios are compared at equal numbers only.")
            statements.append(_difference(better, task, logs["ppo"], logs["ppo_m"], below))
        yield task, statements


def _agreement(datasets: Datasets) -> Found:
    (what, bound), (fall, above) = CLAIMS["C8"].bounds.items()
    for task, groups in _by_task(datasets).items():
        for preset, some in groups.items():
            first, later = [], []
            for agent in _by_agent(some):
                early = [_cosine(d) for d in agent if int(d.attrs["iteration"]) == 0]
                late = [_cosine(d) for d in agent if int(d.attrs["iteration"]) > 0]
                first.append(np.mean(early) if early else np.nan)
                later.append(np.mean(late) if late else np.nan)
            yield task, [of_scores(f"{preset}: {what}", task, preset, later, bound),
                         of_scores(f"{preset}: {fall}", task, preset, np.subtract(first, later), above)]


def _relative_errors(datasets: Datasets) -> Found:
    what, bound = _only("C9")

    def ratio(d: xr.Dataset) -> float:
        mre = d["mre"].sel(judged="heldout")
        return float(mre.sel(target="gae") / mre.sel(target="returns"))

    yield from _of_later_policies(datasets, what, bound, ratio)


def _baselines(datasets: Datasets) -> Found:
    what, bound = _only("C10")

    def taken(d: xr.Dataset) -> float:
        """(σ²_0 − σ²_V) / (σ²_0 − σ²_V*), Monte-Carlo gradients of about 2,048 pairs: one expectation, other variances."""
        size = d["size"].values[np.abs(np.log(d["size"].values / AGENT_PAIRS)).argmin()]
        variance = d["variance"].sel(form="monte_carlo", size=size)
        none, learned, true = (float(variance.sel(baseline=name)) for name in ("zero", "learned", "true"))
        return (none - learned) / (none - true) if none > true else np.nan

    yield from _of_later_policies(datasets, what, bound, taken)


def _code_against_algorithm(scores: Mapping[str, Mapping[str, np.ndarray]]) -> Found:
    what, bound = _only("C11")
    for task, cells in scores.items():
        if set(agents_.PRESETS) <= cells.keys():
            found = agents_.algorithm_and_code(cells)
            yield task, [judge(what, task, agents_.PRESETS, found.difference, bound, agents=min(found.agents))]


def _of_later_policies(datasets: Datasets, what: str, bound: Bound, number: Callable[[xr.Dataset], float]) -> Found:
    """Each agent's mean over its policies after iteration 0, which has learnt nothing yet."""
    for task, groups in _by_task(datasets).items():
        for preset, some in groups.items():
            values = []
            for agent in _by_agent(some):
                late = [number(d) for d in agent if int(d.attrs["iteration"]) > 0]
                values.append(np.mean(late) if late else np.nan)
            yield task, [of_scores(f"{preset}: {what}", task, preset, values, bound)]


def _difference(what: str, task: str, first: np.ndarray, second: np.ndarray, bound: Bound) -> Statement:
    """Of the means of two algorithms, PPO and PPO-M, unpaired: equal seeds do not pair them."""
    first, second = (each[np.isfinite(each)] for each in (first, second))
    fewest = min(len(first), len(second))
    spread = float(np.sqrt(np.var(first, ddof=1) + np.var(second, ddof=1))) if fewest > 1 else np.nan
    return judge(what, task, ("ppo", "ppo_m"), agents_.difference(first, second), bound, agents=fewest, spread=spread)


def _mean_log_ratio(dataset: xr.Dataset) -> float:
    """Mean over one agent's iterations of log(largest held-out ratio / (1 + ε)); infinite ones are above every bound."""
    ratio = dataset["max_ratio"].sel(pool="heldout").values
    ratio = ratio[np.isfinite(ratio)]
    return float(np.mean(np.log(ratio / _highest(dataset)))) if ratio.size else np.nan


def _highest(dataset: xr.Dataset) -> float:
    """1 + ε; the usual ε for what does not clip."""
    high = dataset["ratio_high"].values if "ratio_high" in dataset else np.array([1.2])
    high = high[np.isfinite(high) & (high < 1e6)]
    return float(high.flat[0]) if high.size else 1.2


def _cosine(dataset: xr.Dataset) -> float:
    sizes = dataset["size"].values
    near = sizes[np.abs(np.log(sizes / AGENT_PAIRS)).argmin()]
    return float(dataset["cosine"].sel(kind="gradient", size=near))


def _only(claim: str):
    return next(iter(CLAIMS[claim].bounds.items()))


def _by_task(datasets: Datasets) -> dict[str, dict[str, list[xr.Dataset]]]:
    """task ↦ preset ↦ datasets."""
    found: dict[str, dict[str, list[xr.Dataset]]] = {}
    for dataset in datasets:
        found.setdefault(str(dataset.attrs["task"]), {}).setdefault(str(dataset.attrs["preset"]), []).append(dataset)
    return found


def _by_agent(datasets: Datasets) -> list[list[xr.Dataset]]:
    """Of one preset on one task: the policies of each seed."""
    found: dict[int, list[xr.Dataset]] = {}
    for dataset in datasets:
        found.setdefault(int(dataset.attrs["run_seed"]), []).append(dataset)
    return list(found.values())
