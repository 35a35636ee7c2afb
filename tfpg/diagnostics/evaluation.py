"""How good is a saved policy? Whole episodes of its greedy and of its stochastic form, with intervals.

    J = E[Σ_t r_t], undiscounted, in the task's own rewards, the normaliser frozen

Both forms meet the same start states. Their numbers come from streams of the evaluation's own."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
import scipy.stats
import xarray as xr

from tfpg import seeds
from tfpg.diagnostics.probe import Subject
from tfpg.diagnostics.statistics.estimates import FEW
from tfpg.diagnostics.statistics.resampling import CONFIDENCE, RESAMPLES, bootstrap, interval, varied
from tfpg.envs.episodes import EpisodeResults, EpisodeSampler
from tfpg.types import Tensor

FORMS = ("greedy", "stochastic")
LIMIT = 1000  # steps, for tasks that have no time limit: those of MuJoCo's tasks


class Summary(NamedTuple):
    """Statistics of M returns. Intervals are of the mean, 95 %."""

    count: int  # type: ignore[assignment]  # a field; M
    mean: float
    stderr: float  # s / √M
    low: float  # BCa bootstrap
    high: float
    t_low: float  # Student's t
    t_high: float
    median: float
    median_stderr: float  # bootstrap
    minimum: float
    maximum: float
    mean_length: float  # steps
    length_stderr: float

    @property
    def few(self) -> bool:
        """Whether there are too few episodes to trust the intervals."""
        return self.count < FEW


class Evaluation(NamedTuple):
    """What a policy earns."""

    greedy: Summary
    stochastic: Summary
    dataset: xr.Dataset  # dimensions policy (greedy, stochastic), episode
    steps: int  # transitions taken
    seconds: float  # playing, the making of environments and tracing included


def evaluate(
        probe: Subject, *, episodes: int = 100, seed: int = 0, num_envs: int = 32, threads: int = 2,
        max_steps: int | None = None, theta: Tensor | None = None) -> Evaluation:
    """Plays `episodes` whole episodes of each form.

    Args: seed: of start states and noise. num_envs: environments stepped together (with another number the start
    states are others). threads: of EnvPool. max_steps: cuts longer episodes; None: the task's time limit, and 1000
    steps where there is none. theta: [P]; None: the probe's θ_k.
    Errors: RunError naming the environment that broke."""
    num_envs = min(num_envs, episodes)
    if max_steps is None and probe.task.time_limit is None:
        max_steps = LIMIT
    thetas = np.asarray(probe.theta if theta is None else theta)[np.newaxis]
    begin = time.perf_counter()
    sampler = EpisodeSampler(
        probe.task, seeds.environments(seed, "evaluation_environments", num_envs), points=1, threads=threads,
        patience=probe.patience)
    noise_seed = [int(word) for word in seeds.words(seed, "evaluation_noise")]
    try:
        played = (
            sampler.run(probe.greedy, episodes, noise_seed, thetas, max_steps=max_steps, noise_kind=None),
            sampler.run(probe.act, episodes, noise_seed, thetas, max_steps=max_steps, noise_kind=probe.noise_kind))
    finally:
        sampler.close()
    seconds = time.perf_counter() - begin
    summaries = [summarise(results.returns[0], results.lengths[0]) for results in played]
    facts = {"seed": seed, "num_envs": num_envs, "max_steps": max_steps or probe.task.time_limit, "seconds": seconds}
    dataset = _dataset(played, summaries).assign_attrs({**probe.provenance(theta), **facts})
    steps = sum(int(results.lengths.sum()) for results in played)
    greedy, stochastic = summaries
    return Evaluation(greedy, stochastic, dataset, steps, seconds)


def summarise(returns: np.ndarray, lengths: np.ndarray) -> Summary:
    """Statistics of M episodes. Args: returns, lengths: [M]. Where M = 1, spreads and intervals are NaN."""
    returns, lengths = np.asarray(returns, np.float64), np.asarray(lengths, np.float64)
    count, mean, stderr = len(returns), float(returns.mean()), _stderr(returns)
    half = float(scipy.stats.t.ppf((1 + CONFIDENCE) / 2, max(count - 1, 1))) * stderr
    low, high = interval(returns)
    median_stderr = bootstrap(returns, np.median, "percentile").standard_error if varied(returns) else _stderr(returns)
    return Summary(count, mean, stderr, low, high, mean - half, mean + half, float(np.median(returns)),
                   float(median_stderr), float(returns.min()), float(returns.max()), float(lengths.mean()), _stderr(lengths))


def _stderr(samples: np.ndarray) -> float:
    return float(samples.std(ddof=1) / np.sqrt(len(samples))) if len(samples) > 1 else np.nan


def _dataset(played: tuple[EpisodeResults, ...], summaries: list[Summary]) -> xr.Dataset:
    def each(field: str, **attrs) -> tuple:
        return "policy", np.array([getattr(summary, field) for summary in summaries]), attrs

    def episode(field: str, **attrs) -> tuple:
        return ("policy", "episode"), np.stack([getattr(results, field)[0] for results in played]), attrs

    reward, steps = {"units": "reward"}, {"units": "steps"}
    count = each("count", units="episodes")
    variables = {
        "episode_return": episode("returns", **reward, long_name="undiscounted raw return"),
        "episode_length": episode("lengths", **steps),
        "episode_cut": (("policy", "episode"), np.stack([r.cut[0] for r in played]).astype(np.int8),
                        {"long_name": "1: cut at max_steps, the return is a part"}),
        "mean_return": each("mean", **reward), "mean_return_stderr": each("stderr", **reward), "mean_return_count": count,
        "mean_return_low": each("low", **reward, long_name="95 % interval, BCa bootstrap"),
        "mean_return_high": each("high", **reward, long_name="95 % interval, BCa bootstrap"),
        "mean_return_t_low": each("t_low", **reward, long_name="95 % interval, Student's t"),
        "mean_return_t_high": each("t_high", **reward, long_name="95 % interval, Student's t"),
        "median_return": each("median", **reward), "median_return_stderr": each("median_stderr", **reward),
        "median_return_count": count,
        "minimum_return": each("minimum", **reward), "maximum_return": each("maximum", **reward),
        "mean_length": each("mean_length", **steps), "mean_length_stderr": each("length_stderr", **steps),
        "mean_length_count": count,
    }
    attributes = {"instrument": "evaluation", "confidence": CONFIDENCE, "resamples": RESAMPLES,
                  "few_episodes": int(summaries[0].few)}
    return xr.Dataset(variables, {"policy": list(FORMS), "episode": np.arange(summaries[0].count)}, attributes)
