"""Do updates raise the true return? What the episodes of a run's updates say around each checkpoint, as a Dataset.

    d_i = J(θ_{i+1}) − J(θ_i)        mean: Student's t over the n updates, each with the mean of its M paired episodes
    s²(d̂) = between + within/M       what updates differ by, and what the episodes add to it (tails.variance_components)

An update that did not move θ, as of a refused TRPO step, has d = 0 exactly; it is no drop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.stats
import xarray as xr

from tfpg.diagnostics.results import REWARD, STEPS, estimate, field
from tfpg.diagnostics.statistics import estimates, tails
from tfpg.diagnostics.statistics.estimates import Estimate
from tfpg.diagnostics.statistics.resampling import CONFIDENCE
from tfpg.diagnostics.steps.playing import ENDS, Played

MARGIN = 0.001  # of the run's final return: a gain below it is none
USUAL = 25  # updates around a checkpoint that its mean should be of; fewer carry a warning
_NUMBERS = ("mean_gain", "drops", "drops_freed")


class FirstLook(NamedTuple):
    """What is known of a checkpoint before it is played."""

    std: float  # of an episode's return
    paired_std: float  # of the difference of two ends on the same episode
    correlation: float  # of the two ends' returns
    mean_length: float

    def finds(self, updates: int, episodes: int) -> float:
        """The smallest mean gain that would show with probability .8, if all updates gained alike; where they differ it is larger."""
        return detectable(self.paired_std / np.sqrt(updates * episodes))

    def episodes_for(self, gain: float, updates: int) -> float:
        """M of each end that would find this mean gain, if all updates gained alike."""
        return np.inf if gain <= 0 else max(2.0, float(np.ceil((detectable(self.paired_std) / gain)**2 / updates)))


def detectable(stderr: np.ndarray | float) -> Any:
    """(z_.975 + z_.8) · stderr: the smallest mean that a 95 % interval leaves 0 out for with probability .8."""
    return estimates.detectable(np.asarray(stderr) / np.sqrt(2), 1)[()]


def first_look(played: Played) -> FirstLook:
    """Args: played: one update that moved θ."""
    (before, after), lengths = played.returns[0], played.lengths[0]
    return FirstLook(float(np.sqrt((before.var(ddof=1) + after.var(ddof=1)) / 2)), float((after - before).std(ddof=1)),
                     float(estimates.correlations(after, before)), float(lengths.mean()))


def learning_curve(rows: Sequence[Mapping[str, Any]], window: range) -> Estimate:
    """How steeply the run's own returns rose over a window: free of cost, and far surer than the gains.

        R̄_i = a + b i + error of variance ∝ 1/episodes_i        b: weighted least squares, Student's t with n − 2 degrees

    What the returns rose by in all is the sum of the updates' gains and of what moving the normaliser between them did. So b is the mean
    gain where the curve is straight and the normaliser's moves do little, which need not be so in a run's first iterations. Episodes that end in
    an iteration may have begun before it.
    Args: rows: of metrics.jsonl. Returns: Estimate [], count iterations; NaN for fewer than three with a return."""
    some = [row for row in rows if int(row["iteration"]) in window and "rollout/return" in row]
    if len(some) < 3:
        return estimates.student(np.nan, np.nan, 1, len(some))
    x, y, weights = (np.array([row[name] for row in some], np.float64) for name in ("iteration", "rollout/return", "rollout/episodes"))
    centred = x - np.average(x, weights=weights)
    squares = (weights * centred**2).sum()
    slope = (weights * centred * y).sum() / squares
    residuals = y - np.average(y, weights=weights) - slope * centred
    stderr = np.sqrt((weights * residuals**2).sum() / (len(some) - 2) / squares)
    return estimates.student(slope, stderr, len(some) - 2, len(some))


def dataset(found: Mapping[int, Played], *, final_return: float, curves: Mapping[int, Estimate] | None = None,
            first_looks: Mapping[int, FirstLook] | None = None, **attributes: Any) -> xr.Dataset:
    """Updates around checkpoints, [checkpoint, place], and their episodes, [checkpoint, place, end, episode].

    Args: found: by checkpoint; one with fewer updates is filled up with NaN and iteration −1. final_return: the run's; the margin
    is MARGIN of its size. curves: of `learning_curve`. first_looks: what was announced. attributes: provenance."""
    places = max(len(played.iterations) for played in found.values())
    padded = [_padded(played, places) for played in found.values()]
    iterations, moved, returns, lengths, cut = (np.stack(column) for column in zip(*padded, strict=True))
    there = iterations >= 0
    gains = np.where(moved[..., np.newaxis], returns[:, :, 1] - returns[:, :, 0], np.where(there, 0.0, np.nan)[..., np.newaxis])
    dims, shape, episodes = ("checkpoint", "place"), there.shape, gains.shape[-1]
    each = [_about(own[mask]) for own, mask in zip(gains, there, strict=True)]
    variables: dict[str, Any] = {
        **estimate("gain", estimates.means(gains), dims, shape, "episodes", **REWARD, long_name="J(θ_{i+1}) − J(θ_i), paired by episode"),
        "iteration": field(iterations, dims, shape, long_name="i; −1: none"),
        "moved": field(moved.astype(np.int8), dims, shape, long_name="0: θ did not move, the gain is exactly 0"),
        "correlation": field(_correlations(returns), dims, shape, long_name="of the two ends' returns: what common numbers buy"),
        "mean_return": ((*dims, "end"), returns.mean(-1), REWARD),
        "mean_length": ((*dims, "end"), np.where(moved[..., np.newaxis], lengths.mean(-1), np.nan), STEPS),
        "cut": field(cut.sum((-1, -2)), dims, shape, units="episodes", long_name="ended by the limit: returns are parts"),
        "pairs": field(lengths.sum((-1, -2)), dims, shape, units="pairs"),
        "episode_return": ((*dims, "end", "episode"), returns, REWARD),
    }
    for name in _NUMBERS:
        numbers = Estimate(*(np.stack(column) for column in zip(*(own[name] for own in each), strict=True)))
        variables |= estimate(name, numbers, ("checkpoint",), (len(each),), "updates", units="reward" if name == "mean_gain" else "1")
    variables |= {name: (("checkpoint",), np.array([own[name] for own in each]), {"units": unit}) for name, unit in (
        ("variance_between", "reward²"), ("variance_between_low", "reward²"), ("variance_between_high", "reward²"),
        ("variance_within", "reward²"), ("noise_stderr", "reward"), ("detectable", "reward"))}
    variables["variance_between"][2]["long_name"] = "of the true gains of updates; negative where they differ less than noise alone makes them"
    variables["noise_stderr"][2]["long_name"] = "part of mean_gain_stderr that the episodes alone make"
    variables["detectable"][2]["long_name"] = "mean gain that shows with probability .8, by the spread of the updates seen"
    if curves is not None:
        stacked = Estimate(*(np.stack(column) for column in zip(*(curves[k] for k in found), strict=True)))
        variables |= estimate("curve_slope", stacked, ("checkpoint",), (len(found),), "iterations", units="reward an iteration",
                              long_name="slope of a line through the run's own returns over the window; what moving the normaliser does is in it")
    if first_looks is not None:
        variables["announced"] = ("checkpoint", np.array([first_looks[k].finds(len(played.iterations), episodes) for k, played in found.items()]),
                                  {"units": "reward", "long_name": "mean gain that was said beforehand to show with probability .8"})
    few = min(int(mask.sum()) for mask in there)
    return xr.Dataset(variables, {"checkpoint": np.array(list(found)), "place": np.arange(places), "end": list(ENDS),
                                  "episode": np.arange(episodes)}, {
        **attributes, "instrument": "steps", "noise": "common", "final_return": final_return, "margin": MARGIN * abs(final_return),
        "margin_share": MARGIN, "episodes": episodes, "confidence": CONFIDENCE, "few_episodes": int(episodes < estimates.FEW),
        "few_updates": int(few < USUAL)})


def _correlations(returns: np.ndarray) -> np.ndarray:
    """Of the two ends of every update. Args: returns: [C, n, 2, M]. Returns: [C, n]."""
    return np.array([[estimates.correlations(after, before) for before, after in own] for own in returns], np.float64).reshape(returns.shape[:2])


def _about(gains: np.ndarray) -> dict[str, Any]:
    """The numbers of a checkpoint. Args: gains: [n, M]."""
    count, episodes = gains.shape
    means = gains.mean(-1)
    parts = tails.variance_components(gains)
    stderr = means.std(ddof=1) / np.sqrt(count) if count > 1 else np.nan
    return {"mean_gain": estimates.student(means.mean(), stderr, count - 1, count), "drops": _drops(means),
            "drops_freed": tails.drop_normal(gains, np.zeros(2)), "variance_between": parts.between, "variance_between_low": parts.low,
            "variance_between_high": parts.high, "variance_within": parts.within,
            "noise_stderr": float(np.sqrt(parts.within / episodes / count)), "detectable": float(detectable(stderr))}


def _drops(means: np.ndarray) -> Estimate:
    """Share of the updates whose mean return fell, with Clopper and Pearson's interval; the episodes' noise draws it towards ½."""
    found = scipy.stats.binomtest(int((means < 0).sum()), len(means))
    ends = found.proportion_ci(CONFIDENCE, "exact")
    share = found.statistic
    return Estimate(*(np.asarray(x) for x in (share, np.sqrt(share * (1 - share) / len(means)), ends.low, ends.high, len(means))))


def _padded(played: Played, places: int) -> Sequence[np.ndarray]:
    """Its arrays with so many places."""
    rest = places - len(played.iterations)
    fill = {"iterations": -1, "moved": False, "returns": np.nan, "lengths": 0, "cut": False}
    return [np.concatenate([array, np.full((rest, *array.shape[1:]), fill[name], array.dtype)]) for name, array in played._asdict().items()]
