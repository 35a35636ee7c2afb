"""What do the returns of M episodes at each of many points say, and how surely?

Means, differences, slopes: each is the mean over episodes of a number that every episode has, with

    stderr = s/√M        interval: 95 %, bias-corrected and accelerated bootstrap (BCa, Efron 1987)

NumPy arrays in, records of arrays out. A row that holds NaN (a point not computed yet) comes back as NaN with count 0;
a single episode has no spread (NaN); returns that are all equal have their value as interval."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.stats
from scipy.special import ndtri

from tfpg.diagnostics.statistics.resampling import CONFIDENCE, WORDS, interval_ends
from tfpg.errors import UserError

# Below this an interval of the mean can be far too short. Coverage of nominal 95 % on a bimodal return (fall early
# around 300, or reach the limit around 3000; 300 simulations, standard error 1–2 %), BCa bootstrap:
#     episodes    falls 50 %    20 %    10 %     5 %
#           20        95.7      98.0    88.3    62.3
#           30        96.0      97.0    93.3    77.7
#           50        94.0      97.7    95.7    85.7
#          100        96.3      95.3    96.0    94.7
# What happens once in twenty episodes has then most likely been seen; the percentile bootstrap and Student's t give
# 91 and 89 % in the last cell.
FEW = 50
_BELOW_1 = 1 - 1e-15  # arctanh 1 is infinite: vectors that are equal but for rounding
Numbers = np.ndarray | float  # one, or an array of them
NEAR = 1e-9  # a coordinate computed as 1 may read 1.0000000000000002


class Estimate(NamedTuple):
    """A mean, or another statistic, and its uncertainty: arrays of one shape."""

    mean: np.ndarray
    stderr: np.ndarray
    low: np.ndarray  # 95 %
    high: np.ndarray
    # Episodes, or whatever the estimate says is independent; 0 where nothing is known.
    count: np.ndarray  # type: ignore[assignment]  # a field; nobody counts in this tuple


def means(returns: np.ndarray) -> Estimate:
    """Mean return of each point.

        J = mean_m R_m        stderr = s/√M

    The interval is evaluation.interval's, from the same resamples, where equal resampled means are counted as equal
    (scipy's rounding tells them apart: it shows at 4 episodes, or with two different returns in all). Above 1000
    episodes it is ABC's (resampling.LARGE).
    Args: returns: [..., M]. Returns: Estimate [...], count M."""
    returns = np.asarray(returns, np.float64)
    shape, count = returns.shape[:-1], returns.shape[-1]
    rows = returns.reshape(math.prod(shape), count)
    known = np.isfinite(rows).all(-1) & (count > 0)
    mean, stderr, low, high = found = np.full((4, len(rows)), np.nan)
    pieces = max(1, rows.size // WORDS)  # bounds the tables that are as large as the rows
    for some in np.array_split(np.flatnonzero(known), pieces) if known.any() else ():
        mean[some] = rows[some].mean(-1)
        if count > 1:
            stderr[some] = rows[some].std(-1, ddof=1) / np.sqrt(count)
            low[some], high[some] = mean[some] + interval_ends(rows[some])
    mean, stderr, low, high = found.reshape(4, *shape)
    return Estimate(mean, stderr, low, high, np.where(known, count, 0).reshape(shape))


def jackknife(without: np.ndarray) -> float:
    """Standard error of a statistic of C clusters, from its C values with one left out each (Tukey 1958).

        stderr² = (C−1)/C Σ_c (q_(c) − q_(·))²

    Args: without: [C]."""
    return float(np.sqrt((len(without) - 1) / len(without) * np.square(without - without.mean()).sum()))


def jackknifed_cosine(found: float, without: np.ndarray) -> Estimate:
    """A statistic in [−1, 1]: Student's t with C − 1 degrees on its arctanh, where errors near 1 are even.

    Args: found: of all clusters. without: [C], with each left out. Returns: Estimate [], count C; no interval where a value
    is unknown."""
    count = len(without)
    if not np.isfinite(found) or not np.isfinite(without).all():
        return student(found, np.nan, 1, count if np.isfinite(found) else 0)
    stderr = jackknife(without)
    if not stderr > 0 or abs(found) == 1:  # copies of one vector
        return Estimate(*(np.asarray(x) for x in (found, stderr, found, found, count)))
    even = student(np.arctanh(found), jackknife(np.arctanh(np.clip(without, -_BELOW_1, _BELOW_1))), count - 1, count)
    return Estimate(*(np.asarray(x) for x in (found, stderr, np.tanh(even.low), np.tanh(even.high), count)))


def differences(returns: np.ndarray, reference: np.ndarray) -> Estimate:
    """Mean return minus the reference's, where both played the same episodes (common random numbers).

        Δ = mean_m (R_m − R⁰_m)

    Args: returns: [..., M]. reference: [M]. Returns: Estimate [...], count M.
    Errors: UserError: the numbers of episodes differ."""
    return means(np.subtract(*_paired(returns, reference)))


def unpaired_differences(returns: np.ndarray, reference: np.ndarray) -> Estimate:
    """Mean return minus the reference's, where their random numbers are independent (Welch 1947).

        stderr² = s²/M + s₀²/M₀        ν = stderr⁴ / ((s²/M)²/(M−1) + (s₀²/M₀)²/(M₀−1))

    Student's t: the skewness of two points cancels. Coverage of nominal 95 % at 60 episodes each, bimodal returns (see
    FEW) that fall in 20 and 20, 5 and 20, 5 and 5 %: 95.5, 95.2, 95.6; the two-sample BCa bootstrap 94.9, 94.5, 87.4.
    Args: returns: [..., M]. reference: [M₀]. Returns: Estimate [...], count M."""
    returns, reference = np.asarray(returns, np.float64), np.asarray(reference, np.float64)
    count, known = returns.shape[-1], np.isfinite(returns).all(-1) & np.isfinite(reference).all()
    mean = np.where(known, returns.mean(-1) - reference.mean(), np.nan)
    if min(count, len(reference)) < 2:
        return student(mean, np.full_like(mean, np.nan), np.ones_like(mean), np.where(known, count, 0))
    ours, theirs = (x.var(-1, ddof=1) / x.shape[-1] for x in (returns, reference))
    with np.errstate(invalid="ignore"):  # 0/0 where neither varies: ν does not matter
        freedom = (ours + theirs)**2 / (ours**2 / (count - 1) + theirs**2 / (len(reference) - 1))
    stderr = np.where(known, np.sqrt(ours + theirs), np.nan)
    return student(mean, stderr, np.where(stderr > 0, freedom, 1), np.where(known, count, 0))


def correlations(returns: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Pearson's correlation of the episode returns with the reference's: how common the numbers still are.

    Args: returns: [..., M]. reference: [M]. Returns: [...]; NaN where either does not vary, and of two episodes, whose is ±1 whatever
    they are."""
    returns, reference = _paired(returns, reference)
    varied = (np.ptp(returns, -1) > 0) & (np.ptp(reference) > 0) & (returns.shape[-1] > 2)
    x, y = returns - returns.mean(-1, keepdims=True), reference - reference.mean()
    with np.errstate(invalid="ignore", divide="ignore"):
        found = x @ y / np.sqrt((x**2).sum(-1) * (y**2).sum())
    return np.where(varied, found, np.nan)


def episode_slopes(returns: np.ndarray, ts: np.ndarray, limit: float = 1.0) -> np.ndarray:
    """Least-squares slope along t of each episode's returns, over the points with |t| ≤ limit.

        b_m = Σ_t (t − t̄) R_tm / Σ_t (t − t̄)²

    Args: returns: [..., T, M]. ts: [T]. Returns: [..., M].
    Errors: UserError: fewer than two different t lie within the limit."""
    returns, ts = np.asarray(returns, np.float64), np.asarray(ts, np.float64)
    near = np.abs(ts) <= limit + NEAR
    t = ts[near] - ts[near].mean() if near.any() else ts[near]
    if t.size < 2 or not np.ptp(t) > 0:
        raise UserError(f"A slope needs two points with |t| ≤ {limit:g}; of {ts.tolist()} too few are that near.")
    return np.einsum("t,...tm->...m", t / (t @ t), returns[..., near, :])


def slopes(returns: np.ndarray, ts: np.ndarray, limit: float = 1.0) -> Estimate:
    """Slope of the mean return along t: the mean of the episodes' slopes.

    With common random numbers every t is played by the same episodes: averaging the slope of each keeps what they share
    out of the standard error. With independent numbers episode m of one t meets episode m of another by chance, and the
    standard error is as right. The interval is of the line fitted to J at these t, whether or not J is straight.
    Args: returns: [..., T, M]. ts: [T]. Returns: Estimate [...]. Errors: as episode_slopes."""
    return means(episode_slopes(returns, ts, limit))


def slope_differences(returns: np.ndarray, ts: np.ndarray, limit: float = 1.0) -> Estimate:
    """Slope along the first direction minus the mean slope along directions drawn as the others were: `crossed`.

    Args: returns: [1 + R, T, M], the same episodes everywhere. ts: [T]. Returns: Estimate [].
    Errors: as episode_slopes; UserError: no others."""
    found = episode_slopes(returns, ts, limit)
    if len(found) < 2:
        raise UserError("The slope of one direction has no others to be compared with; give at least two directions.")
    return crossed(found[0] - found[1:])


def crossed(values: np.ndarray) -> Estimate:
    """Mean over two things that were drawn, R directions and M episodes that all of them played.

        v_rm = μ + d_r + e_m + (de)_rm        stderr² = s²(v̄_·m)/M + s²(v̄_r·)/R − s²_de/(RM)

    v̄_·m are the episodes' means over directions, v̄_r· the directions' over episodes; the last term, what is left of v_rm
    without both, stands in each of the others. Student's t, its degrees of freedom by Satterthwaite. Coverage of nominal
    95 %, 60 bimodal episodes, directions' spread from nothing to twice the episodes': 93–96 % with 16 directions, 91–96 with 4. A single direction has the interval of its episodes.
    Args: values: [R, M]. Returns: Estimate [], count M."""
    values = np.asarray(values, np.float64)
    directions, episodes = values.shape
    if directions < 2 or episodes < 2 or not np.isfinite(values).all():
        return means(values.mean(0))
    rows, columns = values.mean(1), values.mean(0)
    rest = values - rows[:, np.newaxis] - columns + values.mean()
    overlap = (rest**2).sum() / ((directions - 1) * (episodes - 1)) / (directions * episodes)
    terms = np.array([columns.var(ddof=1) / episodes, max(rows.var(ddof=1) / directions - overlap, 0.0)])
    total = terms.sum()
    freedom = total**2 / (terms**2 / (episodes - 1, directions - 1)).sum() if total > 0 else 1.0
    return student(values.mean(), np.sqrt(total), freedom, episodes)


def clustered(values: np.ndarray, clusters: np.ndarray) -> Estimate:
    """Mean over all pairs, where the pairs of a cluster (an episode, an environment) hang together.

        mean = Σ_c s_c / B        stderr = √(C/(C−1) Σ_c (s_c − n_c·mean)²) / B

    s_c and n_c are a cluster's sum and number of pairs: the linearised ratio, as the clusters' sizes are random too.
    The interval is Student's t with C − 1 degrees: coverage of nominal 95 % with 8, 20, 60, 300 episodes of which a
    fifth end early and are worse: 95.1, 95.1, 94.8, 95.2; BCa over clusters: 87.9, 93.3, 94.2, 94.8.
    Args: values: [..., B]. clusters: [B], a label of any type. Returns: Estimate [...], count C."""
    return of_influence(*cluster_influence(values, clusters))


def cluster_influence(values: np.ndarray, clusters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean over all pairs, and what each cluster adds to its error: u_c = (s_c − n_c·mean) / B, with sum 0.

    Args: as of `clustered`. Returns: [...]; [..., C], clusters in the order of their labels."""
    values = np.asarray(values, np.float64)
    _, index, sizes = np.unique(np.asarray(clusters), return_inverse=True, return_counts=True)
    shape, (count, pairs) = values.shape[:-1], (len(sizes), values.shape[-1])
    rows = values.reshape(math.prod(shape), pairs)
    known = np.isfinite(rows).all(-1)
    sums = np.stack([np.bincount(index, row, count) for row in rows]) if len(rows) else np.zeros((0, count))
    mean = np.where(known, sums.sum(-1) / pairs, np.nan) if pairs else np.full(len(rows), np.nan)  # of nothing: unknown
    influence = (sums - sizes * mean[:, np.newaxis]) / max(pairs, 1)
    return mean.reshape(shape), influence.reshape(*shape, count)


def of_influence(mean: np.ndarray, influence: np.ndarray) -> Estimate:
    """`clustered` from what `cluster_influence` gives."""
    count = influence.shape[-1]
    squares = (influence**2).sum(-1)
    stderr = np.sqrt(count / (count - 1) * squares) if count > 1 else np.full_like(mean, np.nan)
    return student(mean, stderr, count - 1, np.where(np.isfinite(mean), count, 0))


def detectable(std: Numbers, count: Numbers, *, paired_correlation: float = 0.0, power: float = 0.8,
               confidence: float = CONFIDENCE) -> np.ndarray:
    """Smallest difference of two mean returns that M episodes at each point find with that power.

        Δ = (z_{(1+confidence)/2} + z_power) · σ·√(2(1−ρ)/M)

    Normal: at 20 episodes Student's t asks for 3 % more. Args: std: σ of the episode returns. count: M.
    paired_correlation: ρ of the two points' episodes, 0 for independent numbers."""
    z = ndtri((1 + confidence) / 2) + ndtri(power)
    return z * np.asarray(std, np.float64) * np.sqrt(2 * (1 - paired_correlation) / np.asarray(count, np.float64))


def episodes_needed(difference: np.ndarray, std: np.ndarray, *, paired_correlation: float = 0.0,
                    probability: float = 0.95) -> np.ndarray:
    """Episodes at each of two points whose means are then ordered rightly with that probability, by the normal law.

        P(right) = Φ(|Δ| / (σ·√(2(1−ρ)/m)))    ⟹    m = 2(1−ρ) (z·σ/Δ)², rounded up

    Args: difference: Δ. std: σ, of an episode's return. Returns: at least 1; infinite where Δ = 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = 2 * (1 - paired_correlation) * (ndtri(probability) * np.asarray(std, np.float64) / difference)**2
    return np.maximum(np.ceil(np.where(np.equal(difference, 0), np.inf, needed)), 1)


def pairs_needed(difference: np.ndarray, std: np.ndarray, mean_length: np.ndarray, *, paired_correlation: float = 0.0,
                 probability: float = 0.95) -> np.ndarray:
    """State-action pairs at each of two points: episodes_needed times the mean length."""
    return mean_length * episodes_needed(
        difference, std, paired_correlation=paired_correlation, probability=probability)


def student(mean: Numbers, stderr: Numbers, freedom: Numbers, count: Numbers) -> Estimate:
    """A mean with Student's t interval; numbers, or arrays of one shape."""
    half = scipy.stats.t.ppf((1 + CONFIDENCE) / 2, np.maximum(freedom, 1)) * stderr
    return Estimate(*(np.array(x) for x in np.broadcast_arrays(mean, stderr, mean - half, mean + half, count)))


def _paired(returns: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    returns, reference = np.asarray(returns, np.float64), np.asarray(reference, np.float64)
    if returns.shape[-1] != reference.shape[-1]:
        raise UserError(f"{returns.shape[-1]} episodes cannot be paired with {reference.shape[-1]}; play the same ones "
                        "or take unpaired differences.")
    return returns, reference
