"""How good are predictions of pairs that hang together? Relative error, explained variance, bias; intervals over clusters.

A cluster is what is independent of the others: an episode, or all that one repeated update saw. NumPy arrays in, records out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tfpg.diagnostics.statistics.estimates import Estimate, clustered, jackknife, student
from tfpg.numerics.errors import relative_errors


class Judgement(NamedTuple):
    """What V says of a target, over C independent clusters of pairs. Arrays of one shape."""

    mre: Estimate
    floored: np.ndarray  # share of the targets
    explained_variance: Estimate
    bias: Estimate  # E[V − target]
    rms: np.ndarray  # of the targets: the scale of the bias


def judged(*, values: np.ndarray, targets: np.ndarray, kept: np.ndarray, clusters: np.ndarray) -> Judgement:
    """V against one target. Args: [B] each; kept: not terminal. Explained variance and bias are of all pairs, as in training."""
    errors = relative_errors(values=values[kept], targets=targets[kept])
    return Judgement(
        positive(clustered(errors.errors, clusters[kept])), np.asarray(errors.floored.mean() if errors.floored.size else np.nan),
        explained_variances(values=values, targets=targets, clusters=clusters), clustered(values - targets, clusters),
        np.sqrt(np.mean(np.square(targets))))


def positive(found: Estimate) -> Estimate:
    """The same estimate of a number that is never negative, its interval Student's t on the logarithm.

        exp(log m ± t · stderr/m)

    Coverage of nominal 95 % for the MRE of a V that misses what an episode's luck is, 4, 8, 16, 64, 200 episodes of 50 steps,
    some targets near 0 (1000 simulations, standard error .7 %): 93.2 91.1 89.1 91.2 93.5; on the natural scale 88.8 86.7 86.8
    89.4 93.7."""
    with np.errstate(invalid="ignore", divide="ignore"):
        logarithm = student(np.log(found.mean), found.stderr / found.mean, np.maximum(found.count - 1, 1), found.count)
    return found._replace(low=np.exp(logarithm.low), high=np.exp(logarithm.high))


def explained_variances(*, values: np.ndarray, targets: np.ndarray, clusters: np.ndarray) -> Estimate:
    """1 − q,  q = Var(target − V) / Var(target), over all pairs; each cluster is left out once for the error (the jackknife).

        stderr² = (C−1)/C Σ_c (q_(c) − q_(·))²        interval: Student's t with C − 1 degrees on log q, so never above 1

    Coverage of nominal 95 %, as of `positive`: 95.2 96.0 94.2 94.9 94.9.
    Args: [B] each. Returns: Estimate [], count C; NaN where the targets are all equal."""
    values, targets = np.asarray(values, np.float64), np.asarray(targets, np.float64)
    _, index = np.unique(clusters, return_inverse=True)
    count = int(index.max()) + 1
    # about the means: differences of large squares would lose digits
    errors, spread = targets - values - np.mean(targets - values), targets - targets.mean()
    if not spread.any():
        return student(np.nan, np.nan, 1, 0)
    size = np.bincount(index, minlength=count)
    sums = [np.bincount(index, column, count) for column in (errors, errors**2, spread, spread**2)]

    def share(sums: list[np.ndarray], size: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return (sums[1] / size - (sums[0] / size)**2) / (sums[3] / size - (sums[2] / size)**2)

    whole = share([each.sum() for each in sums], size.sum())
    if count < 2:
        return student(1 - whole, np.nan, 1, count)
    without = share([each.sum() - each for each in sums], size.sum() - size)

    if not (whole > 0 and (without > 0).all()):  # predictions without an error
        return student(1 - whole, jackknife(without), count - 1, count)
    found = student(np.log(whole), jackknife(np.log(without)), count - 1, count)
    low, high = 1 - np.exp(found.high), 1 - np.exp(found.low)
    return Estimate(np.asarray(1 - whole), np.asarray(jackknife(without)), low, high, found.count)
