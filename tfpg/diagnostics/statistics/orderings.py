"""How often do few episodes tell rightly which of two points is the better one?

    P( sgn(R̄_A − R̄_B) = sgn(J(A) − J(B)) ),   R̄ the mean of m episodes

The order that counts as right is known from other episodes than those that are tested; it is an estimate too, so pairs
whose order is not known are counted apart. Points that hold NaN (not computed yet) are left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from tfpg.diagnostics.statistics.estimates import Estimate, student
from tfpg.errors import UserError

# Standard errors from which the order of a pair is taken as known: a normal error then turns it once in forty times.
RESOLVED = 2.0


class Ordering(NamedTuple):
    """Probabilities of ordering two points rightly from m episodes each, for K sizes m; counts are pairs of points."""

    sizes: np.ndarray  # m, [K]
    # [K], over the pairs whose order the reference knows (|Δ| ≥ 2 standard errors). They are the easier ones: the
    # probability over all pairs is lower.
    probability: Estimate
    # [K], over all pairs: agreement with the reference's order. Where the reference guesses, agreement is ½ whatever
    # the truth: the probability over all pairs is higher.
    agreement: Estimate
    resolved: np.ndarray  # share of the pairs whose order the reference knows
    edges: np.ndarray  # of the G bins of |Δ|, [G + 1]
    gaps: np.ndarray  # mean |Δ| of the pairs in each bin, [G]
    by_gap: Estimate  # as `probability`, [K, G]
    resolved_by_gap: np.ndarray  # as `resolved`, [G]


def ordering(returns: np.ndarray, sizes: Sequence[int] | np.ndarray, *, reference: np.ndarray | None = None, bins: int = 6,
             edges: np.ndarray | None = None) -> Ordering:
    """Probability that the means of m episodes at A and at B order them as J does.

        P = E over pairs (A, B) and groups g [ sgn(R̄_A^g − R̄_B^g) = sgn Δ_AB ],   equal means count ½

    Δ_AB comes from other episodes than the groups: from `reference`, or else from one half of the episodes while the
    other half is cut into disjoint groups of m, and then the other way round. With common random numbers this is what a
    paired comparison achieves; an agent's batches are independent, and so should these returns be.
    The standard error is the jackknife's over points (pairs that share a point hang together), the interval Student's
    t: they say how the probability would differ at other points of the plane, with other episodes. Bins are of the
    reference's |Δ|, which noise makes too large where it is largest.
    Args: returns: [n, M]. sizes: m; NaN where m exceeds M/2 (M, with a reference). reference: [n, M₀], M₀ ≥ 2. bins: of
    |Δ|, equally many pairs in each. edges: of the bins, instead. Memory: tens of tables [n, n].
    Errors: UserError: a size below 1, a reference of other points, too few episodes to know any order."""
    sizes = np.asarray(sizes, np.int64)
    if (sizes < 1).any():
        raise UserError(f"Two points are ordered from 1 episode each or more; {sizes.min()} was asked for.")
    folds = [(*_differences(first), second) for first, second in _folds(returns, reference)]
    if edges is None:
        gaps = np.concatenate([np.abs(delta[np.triu_indices(len(delta), 1)]) for delta, _, _ in folds])
        edges = np.quantile(gaps, np.linspace(0, 1, bins + 1)) if gaps.size else np.full(bins + 1, np.nan)
    tallies = [_tally(*fold, sizes, np.asarray(edges, np.float64)) for fold in folds]
    right, pairs, gaps = (np.mean(parts, axis=0) for parts in zip(*tallies, strict=True))
    found = _jackknifed(right, pairs)
    with np.errstate(invalid="ignore"):  # 0/0: no pairs in a bin
        total, resolved = pairs[:2].sum(-1)
        return Ordering(sizes, Estimate(*(field[:, 1] for field in found)), Estimate(*(field[:, 0] for field in found)),
                        resolved / total, np.asarray(edges), gaps[1] / gaps[0],
                        Estimate(*(field[:, 2:] for field in found)), gaps[2] / gaps[0])


def episodes_for(found: Ordering, probability: float = 0.95) -> Estimate:
    """Episodes of each of two points that order them rightly with that probability, by how far apart they are.

        Φ⁻¹(P_m) = c √m  over the sizes measured (least squares)    ⟹    m = (z / c)²

    The normal law with a constant that is measured, not made of pooled spreads: points of one plane differ in theirs by tens of
    times. Beyond the sizes it is an extrapolation. The interval is that of P. Returns: Estimate [G], stderr NaN; count: pairs of
    points; infinite where P does not rise above ½."""
    sizes, by_gap = found.sizes.astype(np.float64), found.by_gap
    last = 1 - 0.5 / np.maximum(by_gap.count, 1)  # a share of all pairs says no more than this

    def needed(share: np.ndarray) -> np.ndarray:
        known = np.isfinite(share)
        z = np.where(known, ndtri(np.clip(share, 0.0, last).clip(1e-9)), 0)
        weights = np.where(known, sizes[:, np.newaxis], 0).sum(0)
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = (np.sqrt(sizes)[:, np.newaxis] * z).sum(0) / weights
            episodes = np.where(slope > 0, (ndtri(probability) / slope)**2, np.inf)
        return np.where(known.any(0), episodes, np.nan)

    # the surer P, the fewer episodes
    mean, low, high = needed(by_gap.mean), needed(by_gap.high), needed(by_gap.low)
    return Estimate(mean, np.full_like(mean, np.nan), low, high, by_gap.count.max(0))


def _folds(returns: np.ndarray, reference: np.ndarray | None) -> list[tuple[np.ndarray, np.ndarray]]:
    """[(episodes that make the reference, episodes that are tested)], points with NaN left out."""
    returns = np.asarray(returns, np.float64)
    if reference is None:
        known, half = np.isfinite(returns).all(-1), returns.shape[-1] // 2
        first, second = returns[known, :half], returns[known, half:2 * half]
        folds = [(first, second), (second, first)]
    else:
        reference = np.asarray(reference, np.float64)
        if len(reference) != len(returns):
            raise UserError(f"The reference has {len(reference)} points, the returns {len(returns)}; give the same.")
        known = np.isfinite(returns).all(-1) & np.isfinite(reference).all(-1)
        folds = [(reference[known], returns[known])]
    if folds[0][0].shape[-1] < 2:
        raise UserError("The reference needs 2 episodes a point, besides those it is tested on; play at least 4.")
    return folds


def _differences(returns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Δ_AB and whether its sign is known. Args: returns: [n, M]. Returns: [n, n], [n, n] bool.

    The standard error is that of the paired differences, which is right for independent numbers too."""
    means = returns.mean(-1)
    centred = returns - means[:, np.newaxis]
    covariance = centred @ centred.T / (returns.shape[-1] - 1)
    variance = np.diag(covariance)
    square = np.maximum(variance[:, np.newaxis] + variance - 2 * covariance, 0) / returns.shape[-1]
    delta = means[:, np.newaxis] - means
    return delta, (np.abs(delta) >= RESOLVED * np.sqrt(square)) & (delta != 0)


def _tally(delta: np.ndarray, known: np.ndarray, tested: np.ndarray, sizes: np.ndarray,
           edges: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs ordered rightly, and pairs, of every point: among all, among the known, among the known of each bin.

    Args: delta, known: [n, n]. tested: [n, M]. sizes: [K]. edges: [G + 1].
    Returns: [K, 2 + G, n], NaN where m > M; [2 + G, n]; and of each bin, pairs, sum of |Δ|, known pairs: [3, G]."""
    gap, others = np.abs(delta), ~np.eye(len(delta), dtype=bool)
    place = np.searchsorted(edges[1:-1], gap, side="right")
    within = others & (gap >= edges[0]) & (gap <= edges[-1])
    bins = [within & (place == g) for g in range(len(edges) - 1)]
    classes = [others, known, *(inside & known for inside in bins)]
    right = np.full((len(sizes), len(classes), len(delta)), np.nan)
    for k, size in enumerate(sizes):
        if size <= tested.shape[-1]:
            correct = (1 + np.sign(delta) * _preference(tested, size)) / 2
            right[k] = [(correct * chosen).sum(-1) for chosen in classes]
    pairs = np.array([chosen.sum(-1) for chosen in classes], np.float64)
    return right, pairs, np.array([[inside.sum(), gap[inside].sum(), known[inside].sum()] for inside in bins]).T


def _preference(returns: np.ndarray, size: int) -> np.ndarray:
    """Mean over disjoint groups of m episodes of sgn(R̄_A − R̄_B). Args: returns: [n, M]. Returns: [n, n]."""
    groups = returns.shape[-1] // size
    means = returns[:, :groups * size].reshape(len(returns), groups, size).mean(-1)
    total = np.zeros((len(returns), len(returns)))
    for group in means.T:  # one [n, n] at a time
        total += np.sign(group[:, np.newaxis] - group)
    return total / groups


def _jackknifed(right: np.ndarray, pairs: np.ndarray) -> Estimate:
    """Mean over pairs, and its error by leaving out one point after the other (every pair stands in two rows).

        P₋ᵢ = (S − s_i)/(N − n_i)        stderr² = (n−1)/n Σ_i (P₋ᵢ − P̄₋)²

    Args: right: s, [K, C, n]. pairs: n_i, [C, n]. Returns: Estimate [K, C]."""
    points = np.float64(right.shape[-1])  # 0/0 is NaN
    sums, counts = right.sum(-1) / 2, pairs.sum(-1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):  # 0/0: a class that is empty, or is one point's
        mean = sums / counts
        without = (sums[..., np.newaxis] - right) / (counts[:, np.newaxis] - pairs)
        middle = without.sum(-1, keepdims=True) / points
        spread = ((without - middle)**2).sum(-1)
        found = student(mean, np.sqrt((points - 1) / points * spread), points - 1,
                        np.where(np.isfinite(mean), counts, 0).astype(np.int64))
    return found._replace(low=np.clip(found.low, 0, 1), high=np.clip(found.high, 0, 1))
