"""How does an update turn out when it is repeated from one checkpoint: how differently, how well, how badly at worst?

    R_ue = J + gain_u + noise_ue,   u = 1…U independent updates, e = 1…E episodes of each

What is seen of an update is its mean of E episodes: its tail and its drops are partly the episodes'. Each statistic
comes as seen, and beside it with the episode noise taken out, gain_u being normal. Episodes of different updates, and
those of the centre, have independent random numbers, if not said otherwise. Updates that hold NaN are left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.stats
from scipy.special import ndtr

from tfpg.diagnostics.statistics.estimates import Estimate, means, student, unpaired_differences
from tfpg.diagnostics.statistics.resampling import CONFIDENCE, RESAMPLES, TAILS
from tfpg.errors import UserError


class Components(NamedTuple):
    """Variances of a return: between updates, and between episodes of one update."""

    between: float  # by the method of moments; negative where the means differ less than noise alone makes them
    truncated: float  # max(between, 0)
    low: float  # of `between`, 95 %; may be negative
    high: float
    within: float
    updates: int  # U
    episodes: int  # E


def variance_components(returns: np.ndarray, *, common: bool = False) -> Components:
    """Variance of the true gains, episode noise taken out.

        between = s²(R̄_u) − within/E        within = mean_u s²_u

    The interval joins χ² intervals of the two terms (Zou & Donner 2008). The degrees of freedom of the first are those
    of a variance whose samples have the excess kurtosis seen, if positive: ν = 2/(κ/U + 2/(U−1)). Coverage of nominal
    95 % with 8 episodes, normal and bimodal, between/within 0, 1/16, 3/8: at 30 and 100 updates 92–98 %, where gains
    are skewed 88–97; at 12 updates 93–98 and 88–97, but 72 where one update in ten falls far and makes the variance.
    Args: returns: [U, E]. common: every update was played with the same random numbers: what episode e adds to all of
    them is taken out first (it would count as noise that the differences of the updates do not have).
    Returns: NaN for fewer than 2 updates, or than 2 episodes of each."""
    returns = _known(returns)
    updates, episodes = returns.shape
    if min(updates, episodes) < 2:
        return Components(np.nan, np.nan, np.nan, np.nan, np.nan, updates, episodes)
    if common:
        returns = returns - returns.mean(0)
    freedom = (updates - 1 if common else updates) * (episodes - 1)
    means, residuals = returns.mean(-1), returns - returns.mean(-1, keepdims=True)
    within = (residuals**2).sum() / freedom
    seen, noise = means.var(ddof=1), within / episodes
    kurtosis = scipy.stats.kurtosis(means, bias=False) if updates > 3 and seen > 0 else 0.0  # it needs 4 numbers
    seen_low, seen_high = _variance_interval(seen, 2 / (max(kurtosis, 0.0) / updates + 2 / (updates - 1)))
    noise_low, noise_high = _variance_interval(noise, freedom)
    between = seen - noise
    low = between - np.hypot(seen - seen_low, noise_high - noise)
    high = between + np.hypot(seen_high - seen, noise - noise_low)
    return Components(float(between), max(float(between), 0.0), float(low), float(high), float(within), updates, episodes)


def mean_gain(returns: np.ndarray, centre: np.ndarray) -> Estimate:
    """Mean over updates of the return gained, by Welch's interval; an update counts once, however many its episodes.

    Args: returns: [U, E]. centre: returns at θ_k, [M₀]. Returns: Estimate [], count U."""
    returns = _known(returns)
    return unpaired_differences(returns.mean(-1), centre) if len(returns) else _unknown(0)


def cvar(values: np.ndarray, share: float = 0.1) -> Estimate:
    """Mean of the lowest share of values (conditional value at risk, expected shortfall).

        CVaR = (Σ_{i ≤ k} v_(i) + (q·U − k) v_(k+1)) / (q·U),   k = ⌊q·U⌋

    Of update means it is too low: noise of variance σ²/E widens a normal distribution, and its tail with it, to
    √(1 + σ²/(E·between)) of the truth; see cvar_shrunken. Standard error: jackknife; interval: Student's t with as many
    degrees as values lie in the tail, at least 1: coverage of nominal 95 % at 20 updates 89–95, at 50 and 100 92–98
    (with U − 1 degrees 77–86 and 89–94).
    Args: values: [U]; NaN is left out. share: q, 0–1. Returns: Estimate [], count U; of 2 without an interval."""
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    return _jackknifed(values, np.zeros_like(values), share)


def cvar_shrunken(returns: np.ndarray, share: float = 0.1) -> Estimate:
    """CVaR of the true returns of the updates: their means, drawn together until only the gains' variance is left.

        v_u = R̄ + √(between / s²(R̄_u)) (R̄_u − R̄)        CVaR of v

    Exact in the limit where gains and noise are normal, as then the means have the gains' distribution but for scale;
    if gains have a heavier tail than the noise it is too mild, and `cvar` of the means too harsh. (Posterior means,
    drawn together by the square of this, would have too small a variance and too short a tail: Louis 1984.)
    NaN where no variance is left (between ≤ 0): noise hides whatever tail there is.
    Args: returns: [U, E]. Returns: Estimate [], count U."""
    found = _jackknifed(*_updates(returns), share)
    return found if _some_left(returns) else _hidden(found)


def drop(returns: np.ndarray, centre: np.ndarray) -> Estimate:
    """Share of the updates whose mean return lies below the centre's; half of those that equal it.

    Episode noise draws it towards ½. Interval: percentile bootstrap over updates and over the centre's episodes, joined
    with the exact binomial one (Clopper & Pearson 1934): where no update of many is below, the bootstrap says 0 to 0.
    Args: returns: [U, E]. centre: [M₀]. Returns: Estimate [], count U."""
    found = _bootstrapped(returns, centre, lambda means, noise, at: _below(means, at[..., np.newaxis]).mean(-1))
    count = int(found.count)
    if count < 1 or not np.isfinite(found.mean):
        return found
    below = float(found.mean) * count
    ends = [scipy.stats.binomtest(int(whole), count).proportion_ci(CONFIDENCE) for whole in (np.floor(below), np.ceil(below))]
    return found._replace(low=np.minimum(found.low, ends[0].low), high=np.maximum(found.high, ends[1].high))


def drop_normal(returns: np.ndarray, centre: np.ndarray) -> Estimate:
    """Probability that an update's true return lies below the centre's, if the gains are normal.

        P = Φ((J − R̄) / √between)

    NaN where no variance is left (between ≤ 0): noise hides what a normal law could be fitted to. Interval: percentile
    bootstrap as of `drop`. Args: returns: [U, E]. centre: [M₀]. Returns: Estimate [], count U."""

    def probability(means: np.ndarray, noise: np.ndarray, at: np.ndarray) -> np.ndarray:
        between, middle = _between(means, noise), means.mean(-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            smooth = ndtr((at - middle) / np.sqrt(between))
        found = np.where(between > 0, smooth, _below(middle, at))
        return np.where(np.isnan(between), np.nan, found)  # one episode of each update: the noise is not known

    found = _bootstrapped(returns, centre, probability)
    return found if _some_left(returns) else _hidden(found)


def against(tail: Estimate, centre: np.ndarray) -> Estimate:
    """A tail of returns as a gain: less J at the centre, whose own error is joined to the tail's (Zou & Donner 2008).

    Args: centre: returns at θ_k, independent of the updates', [M₀]. Returns: Estimate of the tail's shape and count."""
    level = means(centre)
    difference = tail.mean - level.mean
    return tail._replace(
        mean=difference, stderr=np.hypot(tail.stderr, level.stderr),
        low=difference - np.hypot(tail.mean - tail.low, level.high - level.mean),
        high=difference + np.hypot(tail.high - tail.mean, level.mean - level.low))


def _known(returns: np.ndarray) -> np.ndarray:
    returns = np.asarray(returns, np.float64)
    return returns[np.isfinite(returns).all(-1)]


def _updates(returns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean return of each update, and the variance of its error (NaN of one episode): [U], [U]."""
    returns = _known(returns)
    episodes = returns.shape[-1]
    return returns.mean(-1), returns.var(-1, ddof=1) / episodes if episodes > 1 else np.full(len(returns), np.nan)


def _some_left(returns: np.ndarray) -> bool:
    """Whether the means vary by more than the episodes' noise; true of fewer than two updates, who say it otherwise."""
    return len(_known(returns)) < 2 or bool(_between(*_updates(returns)) > 0)


def _hidden(found: Estimate) -> Estimate:
    return found._replace(**dict.fromkeys(("mean", "stderr", "low", "high"), np.array(np.nan)))


def _between(means: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """max(0, s²(R̄_u) − mean noise). Args: both: [..., U]."""
    return np.maximum(means.var(-1, ddof=1) - noise.mean(-1), 0)


def _shrunken(means: np.ndarray, noise: np.ndarray) -> np.ndarray:
    seen, middle = means.var(-1, ddof=1), means.mean(-1)
    factor = np.sqrt(np.divide(_between(means, noise), seen, out=np.zeros_like(seen), where=seen > 0))
    return middle[..., np.newaxis] + factor[..., np.newaxis] * (means - middle[..., np.newaxis])


def _lowest(values: np.ndarray, share: float) -> np.ndarray:
    """CVaR. Args: values: [..., U]."""
    tail = share * values.shape[-1]
    weights = np.clip(tail - np.arange(values.shape[-1]), 0, 1)
    return np.sort(values, -1) @ weights / tail


def _below(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    return (values < at) + 0.5 * (values == at)


def _jackknifed(means: np.ndarray, noise: np.ndarray, share: float) -> Estimate:
    """CVaR of the shrunken means (noise 0: of the means), each update left out once. Args: both: [U]."""
    if not 0 < share <= 1:
        raise UserError(f"The tail's share must lie above 0 and not above 1; {share:g} was given.")
    updates = len(means)
    if updates < 2:
        return _unknown(updates)
    found, stderr = _lowest(_shrunken(means, noise), share), np.nan
    if updates > 2:  # without one, two must be left, to have a variance
        without = [_lowest(_shrunken(np.delete(means, u), np.delete(noise, u)), share) for u in range(updates)]
        stderr = np.sqrt((updates - 1) * np.var(without))
    return student(found, stderr, np.ceil(share * updates), updates)


def _bootstrapped(returns: np.ndarray, centre: np.ndarray, statistic: Callable[..., np.ndarray]) -> Estimate:
    """A statistic of (means, noise, J at the centre), its updates resampled, the centre's mean drawn from its error."""
    (means, noise), centre = _updates(returns), np.asarray(centre, np.float64)
    if len(means) < 2 or not np.isfinite(centre).all():
        return _unknown(len(means))
    at, draw = centre.mean(), np.random.default_rng(0)
    chosen = draw.integers(0, len(means), (RESAMPLES, len(means)))
    found = statistic(means, noise, at)
    error = centre.std(ddof=1) / np.sqrt(len(centre)) if len(centre) > 1 else np.nan
    if not np.isfinite(error):  # one return has no error to draw from
        return _unknown(len(means))._replace(mean=np.asarray(found))
    drawn = statistic(means[chosen], noise[chosen], at + error * draw.standard_normal(RESAMPLES))
    low, high = np.quantile(drawn, TAILS)
    return Estimate(*map(np.asarray, (found, drawn.std(ddof=1), low, high, len(means))))


def _unknown(count: int) -> Estimate:
    return Estimate(*map(np.array, (np.nan, np.nan, np.nan, np.nan, count)))


def _variance_interval(variance: float, freedom: float) -> tuple[float, float]:
    """95 %: ν s²/χ²_ν."""
    return tuple(variance * freedom / scipy.stats.chi2.ppf(TAILS[::-1], freedom))
