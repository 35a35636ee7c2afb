"""What do the scores of several agents say of their algorithms? The agent is the unit.

NumPy arrays in, records out; every interval is 95 %. An agent whose number is not finite is left out, and `count` says how
many are left: where agents fail, look at it first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

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
PRESETS = ("ppo", "ppo_m", "trpo", "trpo_plus")  # the 2 × 2 of Engstrom 2020, tables 2 and 3
FINAL_ITERATIONS = 5  # as the run's own final score (tfpg.report.metrics)
_ALIKE = 1e-12  # of the variance seen: resamples of equal scores have this much by rounding, which would pass for a t of 10⁶


class Bias(NamedTuple):
    """Expected values where the algorithms do not differ at all."""

    aai: float
    acli: float
    difference: float


class AlgorithmAndCode(NamedTuple):
    """How much the choice of algorithm moves the score, and how much the code-level optimisations do."""

    aai: Estimate  # average algorithmic improvement; count: agents of all four cells
    acli: Estimate  # average code-level improvement
    difference: Estimate  # acli − aai
    bias: Bias  # not subtracted
    agents: tuple[int, ...]  # of each of PRESETS


class Exceedance(NamedTuple):
    """1 − CDF of the agents' scores."""

    levels: np.ndarray  # [L], the different scores, ascending
    share: Estimate  # [L], of agents with score ≥ level; count: agents


class Toggle(NamedTuple):
    """One toggle of a factorial: the scores with it, those without, the others pooled."""

    on: np.ndarray  # [agents_on]
    off: np.ndarray  # [agents_off]
    agents_on: int
    agents_off: int
    effect: Estimate  # mean on − mean off; count: agents of both
    balanced: bool  # the other toggles' settings have the same shares of `on` as of `off`; else their effects are in it


class Curves(NamedTuple):
    """Learning curves on one grid."""

    env_steps: np.ndarray  # [G]
    values: np.ndarray  # [agents, G], NaN before an agent's first point and after its last
    agents: np.ndarray  # [G], those that have a value


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
    first, second = _known(first), _known(second)
    found = _welch(first, second)
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


def _welch(first: np.ndarray, second: np.ndarray) -> Estimate:
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


# Algorithms and code-level optimisations


def algorithm_and_code(scores: Mapping[str, np.ndarray]) -> AlgorithmAndCode:
    """How much the algorithm and how much the code-level optimisations change the mean score (Engstrom 2020).

        AAI  = max(|PPO − TRPO+|, |PPO-M − TRPO|)        ACLI = max(|PPO − PPO-M|, |TRPO+ − TRPO|)

    Intervals from e*, the errors of the four means, by resampling agents within each cell. As |max|x| − max|y|| ≤ max|x − y|,

        AAI:  seen ± q,  not below 0,   q: 95 % quantile of max(|e*_PPO − e*_TRPO+|, |e*_PPO-M − e*_TRPO|);   ACLI alike

    The percentile bootstrap never holds the 0 of no effect. ACLI − AAI has no such end and takes the percentiles.
    In a cell of fewer than MANY_AGENTS e* is s/√n times Student's t with n − 1 degrees, else √(n/(n−1)) times the resampled
    mean of centred scores, which alone makes up stderr and `bias`, what is expected where all four means are equal.
    Coverage of nominal 95 %, AAI / ACLI / difference, normal scores of spread 550, cells of 3, 20, 80 agents (600 simulations):
        no effect: 100 100 100, 94 96 100, 95 96 100    published Hopper means: 100 100 100, 98 98 94, 97 98 97
    The percentile bootstrap holds AAI in 0 % with no effect, in 81 with 20 agents of Hopper's means. `bias`, 490, 196, 98 for AAI
    and ACLI and 0 for their difference, is what was simulated with no effect. An effect leaves less of it, and moves the
    difference: for Hopper 405, 115, 36 (AAI), 246, 76, 26 (ACLI), −159, −39, −10.
    Args: scores: preset → [agents], of PRESETS; others are ignored. Returns: no interval and no bias where a cell has one agent.
    Errors: UserError: a cell is missing, or none of its agents has a score."""
    cells = {preset: _known(scores.get(preset, ())) for preset in PRESETS}
    if missing := [preset for preset, cell in cells.items() if not len(cell)]:
        raise UserError(f"AAI and ACLI compare {', '.join(PRESETS)}; no agent of {', '.join(missing)} has a score.")
    agents = tuple(map(len, cells.values()))
    centre = np.array([cell.mean() for cell in cells.values()])
    resampled = np.stack([_resampled_errors(cell, stream) for stream, cell in enumerate(cells.values())])
    errors = np.stack([plain if len(cell) >= MANY_AGENTS else _student_errors(cell, stream)
                       for stream, (cell, plain) in enumerate(zip(cells.values(), resampled, strict=True))])
    found = np.array(_improvements(centre))
    stderr = np.std(_improvements(centre[:, np.newaxis] + resampled), -1)
    aside = np.quantile(_improvements(errors)[:2], CONFIDENCE, -1)
    low, high = np.quantile(_improvements(centre[:, np.newaxis] + errors)[2], TAILS)
    ends = np.array([[*np.maximum(found[:2] - aside, 0), low], [*(found[:2] + aside), high]])
    estimates = (Estimate(*map(np.asarray, (*each, sum(agents)))) for each in zip(found, stderr, *ends, strict=True))
    return AlgorithmAndCode(*estimates, Bias(*map(float, np.mean(_improvements(resampled), -1))), agents)


def _improvements(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """AAI, ACLI, ACLI − AAI, each […]. Args: cells: means in the order of PRESETS, [4, …]."""
    ppo, ppo_m, trpo, trpo_plus = cells
    aai = np.maximum(np.abs(ppo - trpo_plus), np.abs(ppo_m - trpo))
    acli = np.maximum(np.abs(ppo - ppo_m), np.abs(trpo_plus - trpo))
    return aai, acli, acli - aai


def _resampled_errors(scores: np.ndarray, stream: int) -> np.ndarray:
    """[2000]. The bootstrap's variance is (n−1)/n of what a mean of n has: the root makes up for it."""
    if len(scores) < 2:
        return np.full(RESAMPLES, np.nan)
    centred = (scores - scores.mean())[np.newaxis]
    return np.sqrt(len(scores) / (len(scores) - 1)) * resampled_means(centred, stream)[0]


def _student_errors(scores: np.ndarray, stream: int) -> np.ndarray:
    """[2000]."""
    if len(scores) < 2:
        return np.full(RESAMPLES, np.nan)
    return scipy.stats.sem(scores) * np.random.default_rng(stream).standard_t(len(scores) - 1, RESAMPLES)


# Factorials


def one_minus_cdf(scores: np.ndarray) -> Exceedance:
    """Share of agents with at least a score, at each score that occurs.

        1 − F(x) = k/n,  k: agents with score ≥ x        interval: exact binomial (Clopper & Pearson 1934) at each level

    Pointwise: the true curve leaves the band somewhere more often than in 5 %. Args: scores: [agents]."""
    levels, ties = np.unique(_known(scores), return_counts=True)
    count = ties.sum()
    above = np.cumsum(ties[::-1])[::-1]
    share = above / count
    low, high = scipy.stats.beta.ppf(TAILS[:, np.newaxis], (above, above + 1), (count - above + 1, count - above))
    high = np.where(above == count, 1.0, high)
    return Exceedance(levels, Estimate(share, np.sqrt(share * (1 - share) / count), low, high, np.full(len(levels), count)))


def toggles(cells: Mapping[frozenset[str], np.ndarray]) -> dict[str, Toggle]:
    """Main effect of each toggle of a factorial, over all settings of the others.

        effect = mean of the scores with it − mean of those without        interval: Welch's

    The effects of the other toggles count as spread: where they are large the interval is too wide, never too narrow, as long
    as the design is balanced. Coverage of nominal 95 % in 2⁴ cells, spread 550, effects 0, 50, 300, 800: 98, 99, 99, 98 with one
    agent a cell; 98, 99, 98, 94 with five (500 simulations).
    Args: cells: the toggles that are on → [agents]. Returns: by toggle, in the alphabet's order; no interval where one side has
    fewer than two agents, NaN where it has none."""
    known = {setting: _known(scores) for setting, scores in cells.items()}
    return {name: _toggle(name, known) for name in sorted(frozenset().union(*cells))}


def _toggle(name: str, cells: Mapping[frozenset[str], np.ndarray]) -> Toggle:
    sides = [{setting - {name}: scores for setting, scores in cells.items() if (name in setting) == on and len(scores)}
             for on in (True, False)]
    on, off = (np.concatenate([np.empty(0), *side.values()]) for side in sides)
    balanced = sides[0].keys() == sides[1].keys() and all(
        len(sides[0][others]) * len(off) == len(sides[1][others]) * len(on) for others in sides[0])
    return Toggle(on, off, len(on), len(off), _welch(on, off), balanced)


# Scores of one agent


def final_score(returns: np.ndarray, episodes: np.ndarray | None = None) -> np.ndarray:
    """Mean return of the last 5 iterations that have one.

        Σ_k m_k R_k / Σ_k m_k        m_k: episodes of iteration k, 1 where they are not given

    With the episodes it is a run's final/return (tfpg.report.metrics), but that looks no further back than 5 iterations as long
    as one of them has a return.
    Args: returns: [..., iterations], NaN where no episode ended and after a run's end. episodes: alike. Returns: [...]; NaN where
    there is none."""
    returns = np.asarray(returns, np.float64)
    known = ~np.isnan(returns)
    later = np.flip(np.cumsum(np.flip(known, -1), -1), -1)  # known ones from here on
    weights = np.where(known & (later <= FINAL_ITERATIONS), 1.0 if episodes is None else episodes, 0.0)
    total = weights.sum(-1)
    with np.errstate(invalid="ignore"):
        return np.where(weights > 0, returns * weights, 0.0).sum(-1) / np.where(total > 0, total, np.nan)


def maximum_score(returns: np.ndarray) -> np.ndarray:
    """Largest mean return of one iteration: the score of the authors' notebook, biased upward by the iterations' noise.

    Args: returns: [..., iterations], NaN where unknown. Returns: [...]; NaN where there is none."""
    return np.fmax.reduce(np.asarray(returns, np.float64), axis=-1, initial=np.nan)


def aligned(curves: Sequence[tuple[np.ndarray, np.ndarray]], env_steps: np.ndarray | None = None) -> Curves:
    """Learning curves of several agents on one grid of environment steps, each linear between its own points.

    Points without a value are passed over. Nothing is extrapolated: a mean over agents where `agents` changes jumps from some to
    others. Args: curves: of each agent (env_steps [n_i], ascending; values [n_i]). env_steps: the grid [G]; all agents' steps if
    not given. Errors: UserError: no curves, steps that do not ascend, or not as many values as steps."""
    if not curves:
        raise UserError("There are no learning curves to be aligned.")
    points = [_points(index, *curve) for index, curve in enumerate(curves)]
    grid = np.unique(np.concatenate([steps for steps, _ in points])) if env_steps is None else np.asarray(env_steps, np.float64)
    values = np.stack([np.interp(grid, *own, left=np.nan, right=np.nan) if len(own[0]) else np.full(len(grid), np.nan)
                       for own in points])
    return Curves(grid, values, np.isfinite(values).sum(0))


def _points(index: int, env_steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    env_steps, values = np.asarray(env_steps, np.float64), np.asarray(values, np.float64)
    if env_steps.shape != values.shape or env_steps.ndim != 1:
        raise UserError(f"Agent {index} has environment steps {list(env_steps.shape)} and values {list(values.shape)}; give "
                        "one value to each step.")
    if not (np.diff(env_steps) > 0).all():
        raise UserError(f"The environment steps of agent {index} do not ascend; was a run continued into another's file?")
    known = np.isfinite(values)
    return env_steps[known], values[known]


def _known(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, np.float64).reshape(-1)
    return scores[np.isfinite(scores)]
