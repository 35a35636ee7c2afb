"""What do the scores of several agents say of their algorithms? The agent is the unit.

NumPy arrays in, records out; every interval is 95 %. An agent whose number is not finite is left out, and `count` says how
many are left: where agents fail, look at it first."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy.stats

from tfpg.diagnostics.statistics.estimates import Estimate, means, student, unpaired_differences
from tfpg.diagnostics.statistics.resampling import CONFIDENCE, RESAMPLES, TAILS, resampled_means
from tfpg.errors import UserError

# From so many agents on the bootstrap; with 3 its interval covers 72 %, with 5 85 %: fewer take Student's t.
MANY_AGENTS = 20
# Below this the middle half is two or three agents, and their t with 1 or 2 degrees of freedom is up to four times as wide
# as the t of all, which covers as well (`iqm`).
FEW_IN_THE_MIDDLE = 6
_ALIKE = 1e-12  # of the variance seen: resamples of equal scores have this much by rounding, which would pass for a t of 10⁶


# Means


def of_agents(values: np.ndarray) -> Estimate:
    """Mean over the agents that have a value.

        x̄ = Σ_i x_i / n        stderr = s/√n

    Interval: Student's t with n − 1 degrees; from MANY_AGENTS on, where all have a value, BCa bootstrap of agents (`means`).
    Args: values: [agents, …]. Returns: Estimate […], count agents; no interval for one."""
    count = np.isfinite(values).sum(0)
    mean = known_mean(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        squares = np.nansum((values - mean) ** 2, 0)
        stderr = np.where(count > 1, np.sqrt(squares / (count - 1) / count), np.nan)
    found = student(mean, stderr, count - 1, count)
    if len(values) >= MANY_AGENTS:
        whole = count == len(values)
        boot = means(np.moveaxis(values, 0, -1))
        found = found._replace(low=np.where(whole, boot.low, found.low), high=np.where(whole, boot.high, found.high))
    return found


def known_mean(values: np.ndarray) -> np.ndarray:
    """Mean over the first axis of what is known; NaN where nothing is."""
    count = np.isfinite(values).sum(0)
    return np.where(count > 0, np.nansum(values, 0) / np.maximum(count, 1), np.nan)


def iqm(values: np.ndarray) -> Estimate:
    """Interquartile mean over agents: of the middle half, with a quarter of them, rounded down, cut off at each end.

        IQM = Σ_{g < i ≤ n−g} x_(i) / h        g = ⌊n/4⌋,  h = n − 2g        (Agarwal 2021: scipy.stats.trim_mean, .25)
        stderr² = Σ_i (w_i − w̄)² / (h(h−1))    w: x clipped to [x_(g+1), x_(n−g)]        (Tukey & McLaughlin 1963)

    Interval: Student's t with h − 1 degrees; from MANY_AGENTS on the percentile bootstrap of agents, as the field has it; below 6
    agents standard error and n − 1 degrees are the mean's. Fewer than 4 have none to cut: their IQM is the mean.
    Coverage of nominal 95 %, normal / exponential / bimodal (falls early in 20 %) / Student's t of 3 degrees:
        agents       3                   5                   8                   19                  20                  80
        95 92 95 96         94 93 95 96         93 91 95 95         95 94 96 95         93 93 95 93         95 95 95 94
    Where the middle half and its neighbours are equal, as scores at a task's ceiling are, the interval is a point.
    Args: values: [agents, …]. Returns: Estimate […], count agents; no interval for one."""
    values = np.asarray(values, np.float64)
    values = np.where(np.isfinite(values), values, np.nan)
    shape = values.shape[1:]
    rows = np.sort(values.reshape(len(values), math.prod(shape)).T)  # NaN comes last
    count = np.isfinite(rows).sum(-1)
    cut = count // 4
    clip = np.where(count < FEW_IN_THE_MIDDLE, 0, cut)  # clipping nobody leaves the mean's standard error
    middle, kept = _inside(rows, cut, count), count - 2 * clip
    low, high = (end(np.where(_inside(rows, clip, count), rows, outside), -1, keepdims=True, initial=outside)
                 for end, outside in ((np.min, np.inf), (np.max, -np.inf)))
    clipped = np.clip(rows, low, high)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(middle, rows, 0).sum(-1) / middle.sum(-1)
        squares = np.nansum((clipped - known_mean(clipped.T)[:, np.newaxis])**2, -1)
        stderr = np.sqrt(squares / (kept * (kept - 1)))
    found = student(mean, stderr, kept - 1, count)
    for row in np.flatnonzero(count >= MANY_AGENTS):
        found.low[row], found.high[row] = _trimmed_ends(rows[row, :count[row]])
    return Estimate(*(field.reshape(shape) for field in found))


def _inside(rows: np.ndarray, cut: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Which of each row's `count` numbers, ascending, are left without `cut` of them at each end."""
    place = np.arange(rows.shape[-1])
    return (place >= cut[:, np.newaxis]) & (place < (count - cut)[:, np.newaxis])


def _trimmed_ends(scores: np.ndarray) -> np.ndarray:
    drawn = np.random.default_rng(0).integers(0, len(scores), (RESAMPLES, len(scores)))
    return np.quantile(scipy.stats.trim_mean(scores[drawn], 0.25, axis=-1), TAILS)


# Differences


def difference(first: np.ndarray, second: np.ndarray) -> Estimate:
    """Mean score of one algorithm minus another's, agents unpaired.

        stderr² = s₁²/n₁ + s₂²/n₂        interval: mean ± q·stderr

    q is Welch's (estimates.unpaired_differences) where either has fewer than MANY_AGENTS, else the 95 % quantile of |t*|, with
    each group resampled: the symmetric bootstrap-t (Hall 1988), or Welch's where it is infinite.
    Coverage of nominal 95 % with 20 and 20, 20 and 40, 80 and 80 agents (1000 simulations):
        spreads 1 and 3: 95.6 96.1 94.8    exponential, normal: 94.2 93.7 93.5    bimodal, falling in 5 and 20 %: 95.8 95.6 94.6,
    in 5 and 5 %: 99.0 98.7 96.3. Welch's: equal or up to 4 less; the last by percentile bootstrap 89, 85, 92, BCa 80, 73, 90.
    With 3 and 3 agents: normal 95, exponential and normal 93, but 84 where they fall in 20 and 40 %, 58 in 5 and 20: what is
    rare is not seen.
    Args: first: [n₁]. second: [n₂]. Returns: Estimate [], count n₁ + n₂; NaN where a group is empty, no interval where it has
    one agent."""
    first, second = known(first), known(second)
    found = welch(first, second)
    if min(len(first), len(second)) < MANY_AGENTS or not found.stderr > 0:
        return found
    half = _largest_t(first, second) * found.stderr
    if not np.isfinite(half):
        return found
    return found._replace(low=np.asarray(found.mean - half), high=np.asarray(found.mean + half))


def paired_difference(first: np.ndarray, second: np.ndarray) -> Estimate:
    """Mean over agents of the difference of two scores of the same agent: `of_agents` of first − second.

    Only where the design pairs them: one agent measured twice. The same seed of two algorithms shares the first weights
    alone: take `difference`. Args: both [agents, …]. Returns: Estimate […], count pairs. Errors: UserError: shapes differ."""
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.shape != second.shape:
        raise UserError(f"Scores of shape {list(first.shape)} cannot be paired with {list(second.shape)}: an agent has one in "
                        "each. Take the unpaired difference.")
    return of_agents(first - second)


def welch(first: np.ndarray, second: np.ndarray) -> Estimate:
    """Difference of two means with Welch's interval. Args: [n₁], [n₂], finite. Returns: Estimate [], count n₁ + n₂; NaN where one is empty."""
    if not min(len(first), len(second)):
        return student(np.nan, np.nan, 1, 0)
    return unpaired_differences(first, second)._replace(count=np.asarray(len(first) + len(second)))


def _largest_t(first: np.ndarray, second: np.ndarray) -> float:
    """The 95 % quantile of |t*| = |ē₁* − ē₂*| / stderr*, e = x − x̄; infinite where too many resamples do not vary."""
    errors, variances, seen = np.zeros(RESAMPLES), np.zeros(RESAMPLES), 0.0
    for stream, (sign, scores) in enumerate(((1, first), (-1, second))):
        centred = scores - scores.mean()
        error, square = resampled_means(np.stack([centred, centred**2]), stream)
        errors += sign * error
        variances += np.maximum(square - error**2, 0) / (len(scores) - 1)
        seen += scores.var(ddof=1) / len(scores)
    varied = variances > _ALIKE * seen
    t = np.abs(errors) / np.sqrt(np.where(varied, variances, 1.0))
    return float(np.quantile(np.where(varied, t, np.inf), CONFIDENCE, method="higher"))


def known(scores: Sequence[float] | np.ndarray) -> np.ndarray:
    """The scores that are finite, [n]."""
    scores = np.asarray(scores, np.float64).reshape(-1)
    return scores[np.isfinite(scores)]
