"""How well do so many pairs say where to go? Agreement of gradients and steps with each other and with two truths, as a Dataset.

    with Collector(probe, seed=0) as collect:
        quality(probe, collect, sizes=(2_000, 20_000), estimates=10, reference_pairs=10**6,
                step_sizes=(2_000,), step_reference_pairs=10**5)

Truths: "limit", the estimator's own from very many pairs; "return", Monte-Carlo ∇J; "step", the step from many pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.optimize
import xarray as xr

from tfpg.config import Trpo
from tfpg.diagnostics import offsets
from tfpg.diagnostics.gradients import agreement, references
from tfpg.diagnostics.gradients.collecting import Collector, Estimates, Group
from tfpg.diagnostics.gradients.derivatives import PERMUTED, Sums
from tfpg.diagnostics.gradients.sizes import GROUPS
from tfpg.diagnostics.probe import Probe
from tfpg.diagnostics.results import estimate
from tfpg.diagnostics.statistics.estimates import CONFIDENCE, Estimate
from tfpg.numerics import similarity

KINDS, TRUTHS = ("gradient", "step"), ("limit", "return", "step")
_UNKNOWN = Estimate(*map(np.array, (np.nan, np.nan, np.nan, np.nan, 0)))


def quality(probe: Probe, collect: Collector, *, sizes: Sequence[int], estimates: int, reference_pairs: int,
            step_sizes: Sequence[int] = (), step_reference_pairs: int = 0) -> xr.Dataset:
    """Args: sizes: pairs of an estimate of the gradient; step_sizes: of a step, among them. estimates: K of each.

    reference_pairs: M, in GROUPS groups. Returns: dims kind, truth, size, estimate, noise_pairs, parameter."""
    groups = [collect.group(reference_pairs // GROUPS, number) for number in range(GROUPS)]
    truths, found = _truths(groups)
    if step_sizes:
        whole, *halves = collect.step_reference(step_reference_pairs)
        truths["step"] = whole
        found["split_half"].append(_UNKNOWN._replace(mean=similarity.cosine(*halves), count=np.array(2)))
        found["freed"].append(_UNKNOWN)
    names = tuple(truths)
    made = {size: collect.estimates(size, estimates, steps=size in step_sizes) for size in sizes}
    kinds = KINDS if step_sizes else KINDS[:1]
    variables = {
        **_agreements(made, truths, kinds),
        **_stacked("split_half", found["split_half"], ("truth",), (len(names),), "groups"),
        **_stacked("freed_cosine_to_limit", found["freed"], ("truth",), (len(names),), "groups"),
        "cosine_to_limit": ("truth", np.array([float(similarity.cosine(truths[n], truths["limit"])) for n in names])),
        "trusted": ("truth", np.array([e.mean >= references.TRUSTED for e in found["split_half"]], np.int8),
                    {"long_name": f"split-half cosine of at least {references.TRUSTED}: called the truth"}),
        "truth_vector": (("truth", "parameter"), np.stack(list(truths.values()))),
        **_noise(made, groups, reference_pairs // GROUPS),
        "accepted": (("size", "estimate"), np.stack([made[size].accepted for size in sizes]),
                     {"long_name": "0: refused by TRPO's line search, its proposed step shown; NaN: no step made"}),
    }
    coordinates = {"kind": list(kinds), "truth": list(names), "size": ("size", np.array(sizes), {"units": "pairs an estimate"}),
                   "estimate": np.arange(estimates)}
    return xr.Dataset(variables, coordinates, _attributes(probe, groups, estimates, reference_pairs, step_reference_pairs))


def _truths(groups: list[Group]) -> tuple[dict[str, np.ndarray], dict[str, list[Estimate]]]:
    """The references that the groups make, what their halves say, and how far ∇J is the limit."""
    limits = np.stack([group.sums.gradient() for group in groups])
    returns = np.stack([group.return_gradient for group in groups])
    monte_carlo = np.asarray(sum(group.monte_carlo for group in groups))
    truths = {"limit": Sums.joined([group.sums for group in groups]).gradient(),
              "return": monte_carlo / sum(group.episodes for group in groups)}
    return truths, {"split_half": [references.split_half(limits), references.split_half(returns)],
                    "freed": [_UNKNOWN, references.between(returns, limits)]}


def _agreements(made: dict[int, Estimates], truths: dict[str, np.ndarray], kinds: Sequence[str]) -> dict[str, tuple]:
    """Pairwise cosines and cosines to the truths, of the estimates and of those by chance."""
    variables: dict[str, tuple] = {}
    shape = (len(kinds), len(made))
    for prefix, suffix in (("", ""), ("chance_", "_chance")):
        vectors = [[getattr(each, name) for each in made.values()] for name in _fields(kinds, suffix)]
        cosines = [agreement.pairwise(_directed(each)) for row in vectors for each in row]
        towards = [agreement.to_reference(_directed(each), truth) for row in vectors for truth in truths.values() for each in row]
        variables |= _stacked(f"{prefix}cosine", cosines, ("kind", "size"), shape, "estimates")
        variables |= _stacked(f"{prefix}cosine_to", towards, ("kind", "truth", "size"),
                              (len(kinds), len(truths), len(made)), "estimates")
    vectors = [[getattr(each, name) for each in made.values()] for name in _fields(kinds, "")]
    variables["norm"] = (("kind", "size", "estimate"), np.linalg.norm(np.array(vectors), axis=-1))
    variables["each_cosine_to"] = (("kind", "truth", "size", "estimate"), np.array(
        [[[similarity.cosines_to(each, truth) for each in row] for truth in truths.values()] for row in vectors]))
    return variables


def _noise(made: dict[int, Estimates], groups: list[Group], group_pairs: int) -> dict[str, tuple]:
    """Noise scale of the gradient by pairs per estimate, the reference's groups among them; the last is of the largest pools."""
    vectors = {size: each.gradient for size, each in made.items()}
    if group_pairs not in vectors:
        vectors[group_pairs] = np.stack([group.sums.gradient() for group in groups])
    vectors = dict(sorted(vectors.items()))
    found = [agreement.noise_scale(each, pairs) for pairs, each in vectors.items()]
    return {"noise_pairs": ("noise_pairs", np.array(list(vectors)), {"units": "pairs an estimate"}),
            **_stacked("noise_scale", found, ("noise_pairs",), (len(found),), "estimates", units="pairs")}


def fitted_scale(sizes: np.ndarray, cosines: np.ndarray, stderr: np.ndarray) -> float:
    """B of the curve N/(N + B) through measured pairwise cosines, weighted by their errors: a check of the moments' B.

    Args: all [n]; entries without an error are left out. Returns: NaN where fewer than two are left."""
    sizes, cosines, stderr = (np.asarray(x, np.float64) for x in (sizes, cosines, stderr))
    known = np.isfinite(cosines) & (stderr > 0)
    if known.sum() < 2:
        return np.nan

    def misfit(log_scale: float) -> float:
        curve = agreement.predicted_pairwise(sizes[known], 10**log_scale)
        return float((((cosines[known] - curve) / stderr[known])**2).sum())

    return float(10**scipy.optimize.minimize_scalar(misfit, bounds=(-2, 12), method="bounded").x)


def _attributes(probe: Probe, groups: list[Group], estimates: int, reference_pairs: int,
                step_reference_pairs: int) -> dict[str, Any]:
    size = len(probe.theta)
    return {
        **probe.provenance(), "instrument": "gradients", "parameters": size, "chance": agreement.chance(size),
        "training_pairs": len(probe.batch.advantages), "reference_pairs": reference_pairs,
        "reference_episodes": sum(group.episodes for group in groups), "reference_groups": len(groups),
        "step_reference_pairs": step_reference_pairs, "estimates": estimates, "confidence": CONFIDENCE, "permuted": PERMUTED,
        "estimator": "gradient of the surrogate at θ_k, GAE of training normalised over the pairs of each estimate",
        "step_kind": "TRPO's step before its line search" if isinstance(probe.config.algorithm, Trpo) else "PPO's update",
        "minibatches": "as many an epoch as in training",
        "estimates_begin": f"at random, up to {offsets.SPREAD} pairs less their own after an episode's start"}


def _fields(kinds: Sequence[str], suffix: str) -> list[str]:
    """Of Estimates: gradient, step; chance, step_chance."""
    names = {"gradient": {"": "gradient", "_chance": "chance"}, "step": {"": "step", "_chance": "step_chance"}}
    return [names[kind][suffix] for kind in kinds]


def _directed(vectors: np.ndarray) -> np.ndarray:
    """Those that have a direction: a step that TRPO could not propose has none, and the count says so."""
    return vectors[np.isfinite(vectors).all(1) & (np.abs(vectors).max(1, initial=0) > 0)]


def _stacked(name: str, found: Sequence[Estimate], dims: Sequence[str], shape: Sequence[int], counted: str, **attrs: Any) -> dict:
    fields = Estimate(*(np.stack([np.asarray(x) for x in column]) for column in zip(*found, strict=True)))
    return estimate(name, fields, dims, shape, counted, **{"units": "1", **attrs})  # cosines have none
