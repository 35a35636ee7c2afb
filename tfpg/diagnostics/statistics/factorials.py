"""How much does each choice move the score? Two algorithms with and without code-level optimisations, and factorials of toggles.

The agent is the unit; agents whose score is not finite are left out, and every interval is 95 %."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import scipy.stats

from tfpg.diagnostics.statistics.agents import MANY_AGENTS, known, welch
from tfpg.diagnostics.statistics.estimates import Estimate
from tfpg.diagnostics.statistics.resampling import CONFIDENCE, RESAMPLES, TAILS, resampled_means
from tfpg.errors import UserError

PRESETS = ("ppo", "ppo_m", "trpo", "trpo_plus")  # the 2 × 2 of Engstrom 2020, tables 2 and 3


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
    cells = {preset: known(scores.get(preset, ())) for preset in PRESETS}
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
    aai, acli, difference = (Estimate(*map(np.asarray, (*each, sum(agents)))) for each in zip(found, stderr, *ends, strict=True))
    return AlgorithmAndCode(aai, acli, difference, Bias(*map(float, np.mean(_improvements(resampled), -1))), agents)


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
    levels, ties = np.unique(known(scores), return_counts=True)
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
    finite = {setting: known(scores) for setting, scores in cells.items()}
    return {name: _toggle(name, finite) for name in sorted(frozenset().union(*cells))}


def _toggle(name: str, cells: Mapping[frozenset[str], np.ndarray]) -> Toggle:
    sides = [{setting - {name}: scores for setting, scores in cells.items() if (name in setting) == on and len(scores)}
             for on in (True, False)]
    on, off = (np.concatenate([np.empty(0), *side.values()]) for side in sides)
    balanced = sides[0].keys() == sides[1].keys() and all(
        len(sides[0][others]) * len(off) == len(sides[1][others]) * len(on) for others in sides[0])
    return Toggle(on, off, len(on), len(off), welch(on, off), balanced)
