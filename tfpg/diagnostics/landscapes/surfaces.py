"""What does the ground look like that an algorithm walks on? Returns and surrogates on planes and lines, as Datasets.

    plane = plane.surface(θ_k, step, random, xs, ys)
    returns(subject, plane, episodes=60, seed=0)      J(θ) on it
    surrogates(probe, plane, {"train": pairs, …})     what the algorithm believes, on the same points
    concentration(subject, plane, {2000: 6, …}, …)    J(θ) as it looks from few episodes and from many

Every estimate x comes with x_stderr, x_low, x_high (95 %) and a count; a point that is not computed is NaN with done 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from tfpg.diagnostics.landscapes.plane import Plane
from tfpg.diagnostics.landscapes.surrogates import OBJECTIVES, Pairs, Surrogate, epsilon, normalisation, optimised
from tfpg.diagnostics.probe import Probe, Subject
from tfpg.diagnostics.results import REWARD, STEPS, estimate, field
from tfpg.diagnostics.returns import Job, play
from tfpg.diagnostics.statistics import estimates, orderings, ranks
from tfpg.envs.episodes import EpisodeResults

OWN = "train"  # the pool of the update's own pairs


def returns(subject: Subject, plane: Plane, *, episodes: int, seed: int, noise: str = "common", max_steps: int | None = None,
            numbers: tuple[int, ...] = (0,), **playing: Any) -> xr.Dataset:
    """J(θ) at every point of a plane, with paired differences to θ_k where the numbers are common.

    Args: episodes: M, of every point. noise: common or independent. numbers: name of the plane's own streams where they
    are independent. playing: threads, store, progress of diagnostics.returns.play."""
    asked = job(plane, episodes=episodes, seed=seed, noise=noise, max_steps=max_steps, numbers=numbers)
    return returns_dataset(subject, plane, play(subject, asked, **playing), seed=seed, noise=noise)


def job(plane: Plane, *, episodes: int, seed: int, noise: str = "common", max_steps: int | None = None,
        numbers: tuple[int, ...] = (0,)) -> Job:
    """What `returns` plays; `concentration` too, its noise independent, its largest sample the episodes. Args: as of `returns`."""
    thetas = plane.thetas()
    own = tuple((*numbers, i) for i in range(len(thetas))) if noise == "independent" else None
    return Job(thetas, episodes, seed, noise, own, max_steps)


def returns_dataset(subject: Subject, plane: Plane, played: EpisodeResults, *, seed: int, noise: str) -> xr.Dataset:
    """What episodes say of a plane. Args: played: [n, M] in the order of the plane's points, NaN where not yet played."""
    names, shape = tuple(axis.name for axis in plane.axes), plane.shape
    done = np.isfinite(played.returns).all(axis=1)
    lengths = np.where(done[:, np.newaxis], played.lengths, np.nan)
    variables = {
        **estimate("mean_return", estimates.means(played.returns), names, shape, "episodes", **REWARD),
        "mean_length": field(lengths.mean(axis=1), names, shape, **STEPS),
        "pairs": field(np.where(done, played.lengths.sum(axis=1), 0), names, shape, units="pairs"),
        "cut": field(played.cut.sum(axis=1), names, shape, units="episodes", long_name="ended by max_steps: returns are parts"),
        "done": field(done.astype(np.int8), names, shape, long_name="0: not yet computed"),
        "episode_return": ((*names, "episode"), played.returns.reshape(*shape, -1), REWARD),
        "episode_length": ((*names, "episode"), played.lengths.reshape(*shape, -1), STEPS),
        **plane.vectors(),
    }
    if plane.centre is not None:
        centre = played.returns[plane.centre]
        if noise == "common":
            gain, pairing = estimates.differences(played.returns, centre), "paired by episode"
            variables["correlation"] = field(
                estimates.correlations(played.returns, centre), names, shape,
                long_name="of a point's episode returns with the centre's: what common numbers buy")
        else:
            gain, pairing = estimates.unpaired_differences(played.returns, centre), "independent episodes"
            # against itself the centre has played the same episodes after all
            own = done & (np.arange(len(done)) == plane.centre)
            gain = gain._replace(**{part: np.where(own, 0.0, getattr(gain, part)) for part in ("mean", "stderr", "low", "high")})
        variables |= estimate("gain", gain, names, shape, "episodes", **REWARD, long_name=f"J(θ) − J(θ_k), {pairing}")
    episodes = played.returns.shape[1]
    return xr.Dataset(variables, {**plane.labelled(), "episode": np.arange(episodes)}, {
        **subject.provenance(), "instrument": "landscape", "surface": "return", "seed": seed, "noise": noise,
        "episodes": episodes, "confidence": estimates.CONFIDENCE, "few_episodes": int(episodes < estimates.FEW)})


def surrogates(probe: Probe, plane: Plane, pools: Mapping[str, Pairs | Surrogate]) -> xr.Dataset:
    """Both objectives at every point of a plane, on each pool of pairs.

    Args: pools: by name, "train" and "heldout"; a Surrogate instead of its Pairs where several planes share them."""
    names, shape, thetas = tuple(axis.name for axis in plane.axes), plane.shape, plane.thetas()
    measures = [pool if isinstance(pool, Surrogate) else Surrogate(probe, pool) for pool in pools.values()]
    found = [measure(thetas) for measure in measures]
    dims, size = ("pool", "objective", *names), (len(found), len(OBJECTIVES), *shape)

    def stacked(field: str, **attrs: Any) -> tuple:
        return dims, np.stack([getattr(each, field) for each in found]).reshape(size), attrs

    def plain(field: str, **attrs: Any) -> tuple:
        return ("pool", *names), np.stack([getattr(each, field) for each in found]).reshape(len(found), *shape), attrs

    counts = np.array([len(measure.pairs.advantages) for measure in measures])
    variables = {
        "surrogate": stacked("value", units="1", long_name="surrogate, 0 at θ_k"),
        "surrogate_stderr": stacked("stderr", long_name="robust against dependence within episodes (train: environments)"),
        "surrogate_low": stacked("low"), "surrogate_high": stacked("high"),
        "surrogate_count": ("pool", counts, {"units": "pairs"}),
        "surrogate_clusters": ("pool", np.array([len(np.unique(measure.pairs.clusters)) for measure in measures])),
        "mean_kl": plain("mean_kl", units="nats", long_name="E KL(π_θk ‖ π_θ)"), "max_ratio": plain("max_ratio"),
        "surrogate_influence": (
            ("pool", *names, "cluster"), _influences(found, list(pools), OBJECTIVES.index(optimised(probe)), shape),
            {"long_name": "what each cluster of held-out pairs adds to the error of the optimised surrogate"}),
        **plane.vectors(),
    }
    coordinates = {**plane.labelled(), "pool": list(pools), "objective": list(OBJECTIVES)}
    return xr.Dataset(variables, coordinates, {
        **probe.provenance(), "instrument": "landscape", "surface": "surrogate", "optimised": optimised(probe),
        "epsilon": epsilon(probe), "advantage_norm": normalisation(probe), "confidence": estimates.CONFIDENCE})


def concentration(subject: Subject, plane: Plane, budgets: Mapping[int, int], *, seed: int, max_steps: int | None = None,
                  numbers: tuple[int, ...] = (2,), reference: np.ndarray | None = None, **playing: Any) -> xr.Dataset:
    """J(θ) at several sample sizes, each point on numbers of its own: the first episodes of the largest sample.

    Args: budgets: nominal pairs ↦ episodes, ascending. reference: episode returns of the same points from other random
    numbers [I, J, M₀], by which it is judged whether points are ordered rightly; None: half of the episodes is judged by
    the other half, and the largest sample, which has no such half, not at all. Others: as of `returns`."""
    largest = max(budgets.values())
    whole = returns(subject, plane, episodes=largest, seed=seed, noise="independent", max_steps=max_steps,
                    numbers=numbers, **playing)
    names, shape = tuple(axis.name for axis in plane.axes), plane.shape
    played = whole["episode_return"].values.reshape(-1, largest)
    lengths = whole["episode_length"].values.reshape(-1, largest)
    parts = [estimate("mean_return", estimates.means(played[:, :m]), names, shape, None, **REWARD) for m in budgets.values()]
    variables: dict[str, Any] = {
        name: (("size", *names), np.stack([part[name][1] for part in parts]), parts[0][name][2]) for name in parts[0]}
    variables["mean_return_count"] = ("size", np.array(list(budgets.values())), {"units": "episodes"})
    variables["pairs"] = (("size", *names), np.stack([lengths[:, :m].sum(1).reshape(shape) for m in budgets.values()]),
                          {"units": "pairs"})
    variables["done"] = whole["done"].variable
    ordering, coordinates = _ordering(played, list(budgets.values()), reference)
    return xr.Dataset(
        {**variables, **ordering, "episode_return": whole["episode_return"].variable,
         "episode_length": whole["episode_length"].variable,
         **{name: whole[name].variable for name in plane.vectors()}},
        {**plane.labelled(), **coordinates, "size": ("size", np.array(list(budgets)), {"units": "nominal pairs a point"})},
        {**whole.attrs, "surface": "concentration", "few_episodes": int(min(budgets.values()) < estimates.FEW),
         "reference": "half of the episodes" if reference is None else f"{reference.shape[-1]} other episodes a point"})


def grid_correlations(returns: xr.Dataset, surrogates: xr.Dataset) -> xr.Dataset:
    """Spearman's correlation of surrogate and true return over the points of a plane, by pool: how far the algorithm's map
    is the ground's. Over an equal-norm plane (norm step or kl) both axes count alike; on the published one the random
    direction, some ten times the step, decides.

    Args: returns, surrogates: of one plane (dims x, y), as of the functions above. Returns: dim pool."""
    climbed = surrogates["surrogate"].sel(objective=surrogates.attrs["optimised"]).transpose("pool", "x", "y").values
    episodes = returns["episode_return"].transpose("x", "y", "episode").values
    flat = episodes.reshape(-1, episodes.shape[-1])
    each = []
    for row, pool in zip(climbed, map(str, surrogates["pool"].values), strict=True):
        influence = influence_on(surrogates, pool, ("x", "y"))
        each.append(ranks.rank_correlation(
            row.ravel(), flat, independent=returns.attrs["noise"] == "independent",
            influence=None if influence is None else influence.reshape(len(flat), -1)))
    return xr.Dataset(rank_correlations("rank_correlation_grid", each))


def influence_on(surrogates: xr.Dataset, pool: str, dims: tuple[str, ...]) -> np.ndarray | None:
    """What each cluster of a pool adds to the error of the surrogate, [*dims, C]; None where the surrogate is taken as it is:
    on the update's own pairs, for that very map is the one that was climbed."""
    if pool == OWN or "surrogate_influence" not in surrogates:
        return None
    part = surrogates.sel(pool=pool)
    return part["surrogate_influence"].transpose(*dims, "cluster").values[..., :int(np.ravel(part["surrogate_clusters"])[0])]


def _influences(found: Sequence[Any], pools: Sequence[str], objective: int, shape: tuple[int, ...]) -> np.ndarray:
    """[pools, *shape, C], NaN for the update's own pairs and filled up with NaN where a pool has fewer clusters."""
    each = {i: one.influence[objective].T for i, one in enumerate(found) if pools[i] != OWN}
    whole = np.full((len(found), int(np.prod(shape)), max((one.shape[-1] for one in each.values()), default=0)), np.nan)
    for i, one in each.items():
        whole[i, :, :one.shape[-1]] = one
    return whole.reshape(len(found), *shape, whole.shape[-1])


def rank_correlations(name: str, each: Sequence[ranks.RankCorrelation]) -> dict[str, tuple]:
    """As seen, freed of noise (_corrected), and how much of the spread between points is no noise (_reliability of the returns,
    _surrogate_reliability), by pool. The intervals say what other episodes would have shown at these points, and on held-out
    pairs other pairs."""
    variables: dict[str, tuple] = {}
    for suffix, part in (("", "observed"), ("_corrected", "corrected")):
        stacked = estimates.Estimate(*(np.stack(column) for column in zip(*(getattr(e, part) for e in each), strict=True)))
        variables |= estimate(f"{name}{suffix}", stacked, ("pool",), (len(each),), "points", units="1")
    return {**variables, f"{name}_reliability": ("pool", np.array([float(e.reliability) for e in each]), {}),
            f"{name}_surrogate_reliability": ("pool", np.array([float(e.surrogate_reliability) for e in each]), {})}


def _ordering(played: np.ndarray, sizes: Sequence[int], reference: np.ndarray | None) -> tuple[dict, dict]:
    """Probability that two points are ordered rightly from so many episodes each: variables, coordinates."""
    least = played.shape[1] // 2 if reference is None else reference.shape[-1]
    if not np.isfinite(played).all() or least < 2:  # the reference needs a spread
        return {}, {}
    if reference is not None:
        reference = reference.reshape(len(played), -1)
    found = orderings.ordering(played, sizes, reference=reference)
    dims = {"ordering": (found.probability, ("size",)), "agreement": (found.agreement, ("size",)),
            "ordering_by_gap": (found.by_gap, ("size", "gap"))}
    variables: dict[str, Any] = {}
    for name, (values, axes) in dims.items():
        variables |= estimate(name, values, axes, np.shape(values.mean), "pairs of points", units="1")
    variables["ordering"][2]["long_name"] = "over pairs of points whose order the reference knows (|Δ| ≥ 2 SE)"
    variables["agreement"][2]["long_name"] = "over all pairs: agreement with the reference"
    variables["resolved_by_gap"] = ("gap", found.resolved_by_gap)
    variables |= estimate("needed_episodes", orderings.episodes_for(found), ("gap",), found.gaps.shape, "pairs of points",
                          units="episodes", long_name="of each of two points so far apart, to order them rightly, p = .95")
    return variables, {"gap": ("gap", found.gaps, {"units": "reward", "long_name": "mean |ΔJ| of the pairs in a bin"})}



