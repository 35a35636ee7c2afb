"""What do the results of many agents say of the claims? Datasets in, verdicts out, by task.

The unit is the agent: what an agent's own result is unsure of is in the spread between agents."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import xarray as xr

from tfpg.claims.catalogue import AGENT_PAIRS, CLAIMS, FEWEST_ITERATIONS, KEPT, NEAR
from tfpg.claims.verdicts import Bound, Statement, Verdict, judge, of_scores, together
from tfpg.diagnostics.statistics import factorials
from tfpg.diagnostics.statistics.agents import difference
from tfpg.diagnostics.statistics.estimates import Estimate
from tfpg.errors import UserError

REPORTED_EPSILON = 0.2  # as tfpg.algos.ppo has it, which would import TensorFlow
_NO_CLIP = 1e6  # from here on a bound of the ratio is PPO-NoClip's 1e32: none
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
    (what, bound), = CLAIMS["C5"].bounds.items()
    for task, groups in _by_task(_looked_at(datasets)).items():
        for preset in ("trpo", "trpo_plus"):
            if some := groups.get(preset):
                yield task, [of_scores(f"{preset}: {what}", task, preset, [_log_quantile(d, d["delta"].values) for d in some], bound)]


def _kept_by_ppo(datasets: Datasets) -> Found:
    for task, groups in _by_task(_looked_at(datasets)).items():
        statements = [of_scores(what, task, preset, [_log_quantile(d, float(d.attrs["reference_delta"])) for d in groups.get(preset, ())], bound)
                      for (what, bound), preset in zip(CLAIMS["C6"].bounds.items(), ("ppo", "ppo_m"), strict=True)]
        yield task, statements if {"ppo", "ppo_m"} & groups.keys() else []


def _ratios(datasets: Datasets) -> Found:
    (what, bound), (better, below) = CLAIMS["C7"].bounds.items()
    for task, groups in _by_task(_looked_at(datasets)).items():
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
    common = functools.reduce(np.intersect1d, shown) if shown else []
    first, second = (np.array([_median_log_ratio(d.sel(iteration=common), 1.0) for d in some]) for some in (ppo, ppo_m))
    first, second = (each[~np.isnan(each)] for each in (first, second))
    fewest = min(len(first), len(second))
    if fewest < 2 or np.isinf([*first, *second]).any():
        unknown = Estimate(math.nan, math.nan, math.nan, math.nan, fewest)
        return judge(what, task, ("ppo", "ppo_m"), unknown, bound, agents=fewest)
    spread = float(np.sqrt(np.var(first, ddof=1) + np.var(second, ddof=1)))
    return judge(what, task, ("ppo", "ppo_m"), difference(first, second), bound, agents=fewest, spread=spread)


def _agreement(datasets: Datasets) -> Found:
    (what, bound), (fall, above) = CLAIMS["C8"].bounds.items()
    for task, groups in _by_task(datasets).items():
        for preset, some in groups.items():
            first, later = _first_and_later(some, lambda d: _at_agents_pairs(d, "cosine"))
            chance = [_at_agents_pairs(d, "chance_cosine") for d in some]
            note = f"with advantages permuted {np.nanmean(chance):.3g}" if np.isfinite(chance).any() else ""
            yield task, [of_scores(f"{preset}: {what}", task, preset, later, bound, note),
                         of_scores(f"{preset}: {fall}", task, preset, np.subtract(first, later), above)]


def _relative_errors(datasets: Datasets) -> Found:
    (what, bound), = CLAIMS["C9"].bounds.items()

    def ratio(d: xr.Dataset) -> float:
        mre = d["mre"].sel(judged="heldout")
        return float(mre.sel(target="gae") / mre.sel(target="returns"))

    for task, preset, some in _groups(datasets):
        yield task, [of_scores(f"{preset}: {what}", task, preset, _first_and_later(some, ratio)[1], bound)]


def _baselines(datasets: Datasets) -> Found:
    (what, bound), = CLAIMS["C10"].bounds.items()

    def taken(d: xr.Dataset, form: str) -> float:
        """1 − σ²_V/σ²_0 − ½ (1 − σ²_V*/σ²_0) at about 2,048 pairs; no quotient of what both take away: V* may take nothing."""
        variance = _near(d)["variance"].sel(form=form)
        none, learned, true = (float(variance.sel(baseline=name)) for name in ("zero", "learned", "true"))
        return (1 - learned / none) - (1 - true / none) / 2

    for task, preset, some in _groups(datasets):
        # Monte-Carlo returns less a baseline have one expectation; the authors' estimators have not, so they are a note.
        plain, theirs = (_first_and_later(some, functools.partial(taken, form=form))[1] for form in ("monte_carlo", "authors"))
        note = f"as the authors compared {np.nanmean(theirs):.3g}" if np.isfinite(theirs).any() else ""
        yield task, [of_scores(f"{preset}: {what}", task, preset, plain, bound, note)]


def _code_against_algorithm(scores: Mapping[str, Mapping[str, np.ndarray]]) -> Found:
    (what, bound), = CLAIMS["C11"].bounds.items()
    for task, cells in scores.items():
        if set(factorials.PRESETS) <= cells.keys():
            found = factorials.algorithm_and_code(cells)
            note = (f"ACLI {found.acli.mean:,.0f} [{found.acli.low:,.0f}, {found.acli.high:,.0f}], AAI {found.aai.mean:,.0f} "
                    f"[{found.aai.low:,.0f}, {found.aai.high:,.0f}]; with no effect at all {found.bias.acli:,.0f} and {found.bias.aai:,.0f}")
            yield task, [judge(what, task, factorials.PRESETS, found.difference, bound, agents=min(found.agents), note=note)]


# An agent's numbers


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


def _at_agents_pairs(dataset: xr.Dataset, name: str) -> float:
    return float(_near(dataset)[name].sel(kind="gradient"))


def _near(dataset: xr.Dataset) -> xr.Dataset:
    """At the size that stands for an agent's 2,048 pairs. Errors: UserError where none is near."""
    sizes = dataset["size"].values
    near = sizes[np.abs(np.log(sizes / AGENT_PAIRS)).argmin()]
    if abs(math.log(near / AGENT_PAIRS)) > math.log(NEAR):
        raise UserError(f"{dataset.attrs.get('policy', 'a policy')} was looked at with {', '.join(map(str, sizes))} pairs, none near {AGENT_PAIRS}.")
    return dataset.sel(size=near)


def _first_and_later(datasets: Datasets, number: Callable[[xr.Dataset], float]) -> tuple[np.ndarray, np.ndarray]:
    """Each agent's number at iteration 0, and its mean over the later iterations that every agent was looked at in; NaN for none."""
    by_agent: dict[int, dict[int, float]] = {}
    for d in datasets:
        of_agent = by_agent.setdefault(int(d.attrs["run_seed"]), {})
        if int(d.attrs["iteration"]) in of_agent:
            raise UserError(f"{d.attrs.get('policy', 'a policy')} was looked at twice, at different scales: leave one result away.")
        of_agent[int(d.attrs["iteration"])] = number(d)
    later = set.intersection(*(set(each) for each in by_agent.values())) - {0}
    return (np.array([each.get(0, math.nan) for each in by_agent.values()]),
            np.array([np.mean([each[k] for k in sorted(later)]) if later else math.nan for each in by_agent.values()]))


# Which belong together


def _by_task(datasets: Datasets) -> dict[str, dict[str, list[xr.Dataset]]]:
    """task ↦ preset ↦ datasets. Errors: UserError where they were made at different scales."""
    found: dict[str, dict[str, list[xr.Dataset]]] = {}
    for dataset in datasets:
        found.setdefault(str(dataset.attrs["task"]), {}).setdefault(str(dataset.attrs["preset"]), []).append(dataset)
    for task, groups in found.items():
        for preset, some in groups.items():
            if len(scales := {str(d.attrs["scale"]) for d in some if "scale" in d.attrs}) > 1:
                raise UserError(f"policies of {preset} on {task} were looked at with scales {' and '.join(sorted(scales))}: name results of one.")
    return found


def _groups(datasets: Datasets) -> Iterable[tuple[str, str, list[xr.Dataset]]]:
    """task, preset, datasets."""
    return ((task, preset, some) for task, groups in _by_task(datasets).items() for preset, some in groups.items())
