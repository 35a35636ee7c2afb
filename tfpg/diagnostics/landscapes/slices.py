"""Does the step lead up, and further up than chance would? Straight lines from θ_k, which decide where surfaces illustrate.

    J(θ_k + t·d)   along the step (t = 1: the whole of it) and along random directions of its norm

With common numbers one set of episodes serves every point: slopes and differences are means over episodes, and their
errors know how the points hang together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from tfpg.diagnostics.landscapes import surfaces
from tfpg.diagnostics.landscapes.plane import line
from tfpg.diagnostics.landscapes.surrogates import Pairs, Surrogate
from tfpg.diagnostics.probe import Probe, Subject
from tfpg.diagnostics.results import REWARD, STEPS, estimate, field
from tfpg.diagnostics.returns import Job, play
from tfpg.diagnostics.statistics import estimates, ranks
from tfpg.errors import UserError


def slices(subject: Subject, directions: Mapping[str, np.ndarray], ts: np.ndarray, *, episodes: int, seed: int,
           recomputed: Mapping[str, np.ndarray] | None = None, noise: str = "common", max_steps: int | None = None,
           **playing: Any) -> xr.Dataset:
    """J along straight lines from θ_k: the first direction is the step, the others are what it is compared with.

        slope = Σ_t w_t J(θ_k + t·d),   w the least-squares weights of |t| ≤ 1

    With common numbers one set of episodes serves every point, so a slope is a mean over episodes and its error knows
    how they hang together. θ_k itself is played once.
    Args: directions: by label; t = 1 is the whole of each. ts: [T], with 0 among them. recomputed: further lines by label,
    the same update from other pairs: each is compared with the random ones too, and is none of them. Others: as of `returns`."""
    roles = ["step"] + ["random"] * (len(directions) - 1) + ["recomputed"] * len(recomputed or {})
    directions = {**directions, **(recomputed or {})}
    lines = [line(subject.theta, direction, ts) for direction in directions.values()]
    zero, rest = _zero_and_rest(ts)
    played = play(subject, job(subject, directions, ts, episodes=episodes, seed=seed, noise=noise, max_steps=max_steps), **playing)

    def spread(values: np.ndarray) -> np.ndarray:
        """[1 + D (T − 1), M] → [D, T, M], θ_k in every row."""
        spacious = np.empty((len(lines), len(ts), episodes), values.dtype)
        spacious[:, zero], spacious[:, rest] = values[0], values[1:].reshape(len(lines), len(rest), episodes)
        return spacious

    found, lengths = spread(played.returns), spread(played.lengths)
    dims, shape, each = ("direction", "t"), found.shape[:2], ("direction",)
    done = np.isfinite(found).all(axis=-1)
    variables = {
        **estimate("mean_return", estimates.means(found), dims, shape, "episodes", **REWARD),
        **estimate("gain", _gains(found, found[0, zero], noise, zero), dims, shape, "episodes", **REWARD,
                   long_name=f"J(θ) − J(θ_k), {'paired by episode' if noise == 'common' else 'independent episodes'}"),
        "mean_length": field(np.where(done, lengths.mean(axis=-1), np.nan), dims, shape, **STEPS),
        "pairs": field(np.where(done, lengths.sum(axis=-1), 0), dims, shape, units="pairs"),
        "done": field(done.astype(np.int8), dims, shape, long_name="0: not yet computed"),
        "norm": (each, np.array([axis.axes[0].norm for axis in lines])),
        "origin": ("parameter", np.asarray(subject.theta, np.float32)),
        "t_direction": ((*each, "parameter"), np.stack([axis.axes[0].direction for axis in lines])),
        "episode_return": ((*dims, "episode"), found, REWARD), "episode_length": ((*dims, "episode"), lengths, STEPS),
        **estimate("slope", estimates.slopes(found, ts), each, shape[:1], "episodes", units="reward a step"),
    }
    if noise == "common":
        variables["correlation"] = field(estimates.correlations(found, found[0, zero]), dims, shape)
    if 1.0 in ts:
        one = _gains(found[:, list(ts).index(1.0)], found[0, zero], noise)
        variables |= estimate("at_one", one, each, shape[:1], "episodes", **REWARD, long_name="J(t = 1) − J(θ_k)")
    coordinates = {"direction": np.arange(len(lines)), "label": ("direction", list(directions)),
                   "role": ("direction", roles), "t": np.asarray(ts, np.float64),
                   "episode": np.arange(episodes)}
    attributes = {**subject.provenance(), "instrument": "landscape", "surface": "slices", "seed": seed, "noise": noise,
                  "episodes": episodes, "confidence": estimates.CONFIDENCE, "few_episodes": int(episodes < estimates.FEW)}
    return xr.Dataset(variables, coordinates, attributes)


def job(subject: Subject, directions: Mapping[str, np.ndarray], ts: np.ndarray, *, episodes: int, seed: int, noise: str = "common",
        max_steps: int | None = None) -> Job:
    """What `slices` plays: θ_k, then all other points of line after line. Args: directions: the recomputed ones last among them."""
    zero, rest = _zero_and_rest(ts)
    thetas = np.stack([line(subject.theta, direction, ts).thetas() for direction in directions.values()])  # [D, T, P]
    flat = np.concatenate([thetas[0, zero][np.newaxis], thetas[:, rest].reshape(-1, thetas.shape[-1])])
    numbers = tuple((1, i) for i in range(len(flat))) if noise == "independent" else None
    return Job(flat, episodes, seed, noise, numbers, max_steps)


def _zero_and_rest(ts: np.ndarray) -> tuple[int, np.ndarray]:
    """Where t = 0 is, and where all else. Errors: UserError where it is nowhere."""
    zeros = np.flatnonzero(np.asarray(ts) == 0)
    if not zeros.size:
        raise UserError("a slice needs t = 0 among its points: choose an extent that holds 0.")
    return int(zeros[0]), np.delete(np.arange(len(ts)), zeros[0])


def slice_surrogates(probe: Probe, directions: Mapping[str, np.ndarray], ts: np.ndarray, pools: Mapping[str, Pairs]) -> xr.Dataset:
    """The surrogate on the same lines. Args: as of `slices`; pools: by name. Returns: dims pool, objective, direction, t."""
    measures = {name: Surrogate(probe, pairs) for name, pairs in pools.items()}  # compiled once for all lines
    # the directions themselves are variables of `slices`
    found = [surfaces.surrogates(probe, line(probe.theta, direction, ts), measures).drop_vars("t_direction", errors="ignore")
             for direction in directions.values()]
    return xr.concat(found, "direction", data_vars=[name for name in found[0].data_vars if "t" in found[0][name].dims],
                     combine_attrs="drop_conflicts", join="override").assign_coords(direction=np.arange(len(found)))


def compared(dataset: xr.Dataset) -> xr.Dataset:
    """A Dataset of `slices` with what the step is among the random directions, and how the surrogate goes with the return.

    Adds slope_difference and rank_slope, rank_gain (1: the step is best), rank_slope_recomputed of each recomputed step
    among the random directions; with surrogates on the lines rank_correlation along the step and over the step's and the
    random lines, as seen and freed of noise."""
    ts, whole = dataset["t"].values, dataset["episode_return"].values
    again = dataset["role"].values == "recomputed"
    found = whole[~again]
    new: dict[str, Any] = estimate("slope_difference", estimates.slope_differences(found, ts), (), (), None,
                                   units="reward a step",
                                   long_name="slope along the step minus that of random directions; the interval is of both")
    slopes = estimates.episode_slopes(found, ts)
    new |= estimate("random_slope", estimates.crossed(slopes[1:]), (), (), None, units="reward a step",
                    long_name="mean slope along random directions; the interval is of the directions and of the episodes")
    new |= _rank("rank_slope", ranks.rank_interval(slopes[0], slopes[1:]))
    if again.any():
        places = [ranks.rank_interval(own, slopes[1:]) for own in estimates.episode_slopes(whole[again], ts)]
        together = estimates.Estimate(*(np.stack(column) for column in zip(*places, strict=True)))
        new |= estimate("rank_slope_recomputed", together, ("recomputed",), (len(places),), None, units="1")
    # how likely one of 1 + R directions drawn alike takes this place or a better one
    new["rank_slope_chance"] = field(ranks.rank(slopes[0].mean(), slopes[1:].mean(-1)).chance, (), ())
    if 1.0 in ts:
        ends = found[:, list(ts).index(1.0)]
        new |= _rank("rank_gain", ranks.rank_interval(ends[0], ends[1:]))
    if "surrogate" in dataset:
        new |= _rank_correlations(dataset.isel(direction=~again), found)
    return dataset.assign(_one_row(new)).assign_attrs(compared_with=len(found) - 1)


def ends(subject: Subject, steps: Sequence[np.ndarray], *, episodes: int, seed: int, noise: str = "common",
         max_steps: int | None = None, **playing: Any) -> xr.Dataset:
    """J(θ_k), J(θ_k + step) and their paired difference for each of several steps, from many episodes.

    Args: steps: of several updates, [P] each. Others: as of `slices`. Returns: dim move."""
    asked = ends_job(subject, steps, episodes=episodes, seed=seed, noise=noise, max_steps=max_steps)
    played = play(subject, asked, **playing)
    origin, after = played.returns[0], played.returns[1:]
    dims, shape = ("move",), (len(steps),)
    variables = {
        **estimate("origin_return", _repeated(estimates.means(origin), len(steps)), dims, shape, "episodes", **REWARD),
        **estimate("end_return", estimates.means(after), dims, shape, "episodes", **REWARD),
        **estimate("end_gain", _gains(after, origin, noise), dims, shape, "episodes", **REWARD,
                   long_name="J(θ_k + step) − J(θ_k)"),
        "end_pairs": field(played.lengths[1:].sum(axis=1), dims, shape, units="pairs"),
    }
    variables |= _needed(_gains(after, origin, noise), after, origin, played.lengths, dims)
    if noise == "common":
        variables["end_correlation"] = field(estimates.correlations(after, origin), dims, shape)
    return xr.Dataset(variables, attrs=subject.provenance())


def ends_job(subject: Subject, steps: Sequence[np.ndarray], *, episodes: int, seed: int, noise: str = "common",
             max_steps: int | None = None) -> Job:
    """What `ends` plays. Args: as of it."""
    thetas = np.stack([np.asarray(subject.theta, np.float32)] + [
        (np.asarray(subject.theta, np.float64) + step).astype(np.float32) for step in steps])
    numbers = tuple((4, i) for i in range(len(thetas))) if noise == "independent" else None
    return Job(thetas, episodes, seed, noise, numbers, max_steps)


def _needed(gain: estimates.Estimate, after: np.ndarray, origin: np.ndarray, lengths: np.ndarray,
            dims: tuple[str, ...]) -> dict[str, Any]:
    """Pairs at each of θ_k and θ_k + step whose mean returns are then ordered rightly with probability .95, were the gain
    what is seen, or an end of its interval; infinite where that holds 0. Of independent episodes, as an agent meets them."""
    std = np.sqrt((after.var(axis=1, ddof=1) + origin.var(ddof=1)) / 2) if after.shape[1] > 1 else np.full(len(after), np.nan)
    near = np.where((gain.low <= 0) & (gain.high >= 0), 0.0, np.minimum(np.abs(gain.low), np.abs(gain.high)))
    ends = {"": gain.mean, "_low": np.maximum(np.abs(gain.low), np.abs(gain.high)), "_high": near}
    return {f"needed_pairs{suffix}": field(estimates.pairs_needed(difference, std, lengths.mean()), dims, (len(after),), units="pairs")
            for suffix, difference in ends.items()}


def _gains(returns: np.ndarray, origin: np.ndarray, noise: str, zero: int | None = None) -> estimates.Estimate:
    """Differences to θ_k; θ_k's own, at place `zero` of the last axis but one, is 0 without error."""
    if noise == "common":
        return estimates.differences(returns, origin)
    found = estimates.unpaired_differences(returns, origin)
    if zero is None:
        return found
    known = np.isfinite(found.mean) & (np.arange(returns.shape[-2]) == zero)
    return found._replace(**{part: np.where(known, 0.0, getattr(found, part)) for part in ("mean", "stderr", "low", "high")})


def _rank_correlations(dataset: xr.Dataset, found: np.ndarray) -> dict[str, Any]:
    """Spearman's of surrogate and return along the step and over all lines, θ_k once; by pool."""
    zero = list(dataset["t"].values).index(0.0)
    climbed = dataset["surrogate"].sel(objective=dataset.attrs["optimised"]).transpose("pool", "direction", "t").values
    rest = np.delete(np.arange(found.shape[1]), zero)
    variables: dict[str, Any] = {}
    for name, lines in (("along_step", slice(0, 1)), ("all_lines", slice(None))):
        returns = np.concatenate([found[:1, zero], found[lines][:, rest].reshape(-1, found.shape[-1])])
        each = []
        for row, pool in zip(climbed, map(str, dataset["pool"].values), strict=True):
            influence = surfaces.influence_on(dataset, pool, ("direction", "t"))
            if influence is not None:  # none at θ_k, where the surrogate is 0 on any pairs
                influence = influence[lines][:, rest].reshape(-1, influence.shape[-1])
                influence = np.concatenate([np.zeros((1, influence.shape[-1])), influence])
            each.append(ranks.rank_correlation(
                np.concatenate([[0.0], row[lines][:, rest].ravel()]), returns, influence=influence,
                independent=dataset.attrs["noise"] == "independent"))
        variables |= surfaces.rank_correlations(f"rank_correlation_{name}", each)
    return variables


def _rank(name: str, found: estimates.Estimate) -> dict[str, Any]:
    return estimate(name, found, (), (), None, units="1", long_name="1: the step is largest; interval by resampled episodes")


def _one_row(variables: dict[str, Any]) -> dict[str, Any]:
    """Numbers as arrays of one element: a NetCDF variable without dimensions carries no check sum."""
    return {name: (("one",), np.asarray(values).reshape(1), attrs) if not dims else (dims, values, attrs)
            for name, (dims, values, attrs) in ((n, v if len(v) == 3 else (*v, {})) for n, v in variables.items())}


def _repeated(found: estimates.Estimate, count: int) -> estimates.Estimate:
    return estimates.Estimate(*(np.repeat(np.atleast_1d(value), count) for value in found))
