"""When does a claim hold? An interval against a margin that was fixed before any data.

    holds            the 95 % interval lies beyond the margin, on the side that is claimed
    does not hold    it lies on the other side
    undecided        it holds the margin, or there are fewer than three agents

So a number that is at the margin or beyond it on the wrong side "holds" in 2.5 % of studies at most, where the interval covers as it
says. A claim of several numbers holds where all do; it "does not hold" where one does not, so a true claim of m numbers is turned down
in up to 2.5 m % of studies. The unit is the agent: one agent says something of itself, three say something of their algorithm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats

from tfpg.diagnostics.statistics.agents import MANY_AGENTS, of_agents
from tfpg.diagnostics.statistics.estimates import Estimate, student
from tfpg.diagnostics.statistics.resampling import CONFIDENCE

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"
LEAST_AGENTS = 3  # of each algorithm that a claim is about
_MOST = 100_000  # agents that a forecast looks at


class Bound(NamedTuple):
    """A margin and the side of it that is claimed."""

    above: bool  # claimed: the statistic is larger
    margin: float


class Statement(NamedTuple):
    """One number of a claim, and what it decides."""

    what: str  # in words, what the number is
    task: str
    presets: tuple[str, ...]  # algorithms that it is about
    value: float
    low: float  # 95 %
    high: float
    agents: int  # the fewest of any of the algorithms
    bound: Bound
    verdict: str  # HOLDS, FAILS or UNDECIDED
    needed: int | None  # agents of each algorithm that would decide if the effect is as seen; None: decided, or not known
    note: str = ""  # what one should know beside it


class Verdict(NamedTuple):
    """A claim on a task."""

    claim: str  # C5
    task: str
    verdict: str
    statements: tuple[Statement, ...]  # all of them must hold


def judge(what: str, task: str, presets: Sequence[str], found: Estimate, bound: Bound, *, agents: int,
          spread: float = math.nan, note: str = "") -> Statement:
    """What an estimate decides.

    Args: agents: of the algorithm with the fewest. spread: standard deviation between agents, for the forecast."""
    value, low, high = (float(end) for end in (found.mean, found.low, found.high))
    verdict = UNDECIDED if agents < LEAST_AGENTS else _side(low, high, bound)
    needed = agents_needed(abs(value - bound.margin), spread, agents) if verdict == UNDECIDED else None
    return Statement(what, task, tuple(presets), value, low, high, agents, bound, verdict, needed, note)


def of_scores(what: str, task: str, preset: str, values: Sequence[float] | np.ndarray, bound: Bound, note: str = "") -> Statement:
    """The mean over agents. Args: values: [agents]; NaN, an agent that was not looked at, is left out; an infinite one is never left
    out: it makes the mean infinite, and nothing is decided.

    Interval: Student's t below 20 agents; from there on what holds both it and the bootstrap's, for that alone lets 4 % of false
    claims about 30 agents hold (normal scores, 2000 studies)."""
    scores = np.asarray(values, np.float64)
    scores = scores[~np.isnan(scores)]
    if np.isinf(scores).any():
        endless = Estimate(*map(np.asarray, (np.sum(scores), math.nan, math.nan, math.nan, len(scores))))
        return judge(what, task, (preset,), endless, bound, agents=len(scores), note=note)
    found = of_agents(scores)
    if len(scores) >= MANY_AGENTS:
        plain = student(found.mean, found.stderr, np.asarray(len(scores) - 1), found.count)
        found = found._replace(low=np.minimum(found.low, plain.low), high=np.maximum(found.high, plain.high))
    spread = float(np.std(scores, ddof=1)) if len(scores) > 1 else math.nan
    return judge(what, task, (preset,), found, bound, agents=len(scores), spread=spread, note=note)


def together(claim: str, task: str, statements: Sequence[Statement]) -> Verdict:
    """A claim that says several things holds where all of them do, and does not where one does not."""
    verdicts = {statement.verdict for statement in statements}
    whole = FAILS if FAILS in verdicts else HOLDS if verdicts == {HOLDS} else UNDECIDED
    return Verdict(claim, task, whole, tuple(statements))


def agents_needed(effect: float, spread: float, agents: int) -> int | None:
    """The fewest agents, more than there are, whose interval would leave the margin out, were effect and spread as seen.

        t_{n−1, .975} · s/√n < |x̄ − margin|

    Returns: None where it is not known: no spread, no effect, or more than 100,000."""
    if not (np.isfinite([effect, spread]).all() and effect > 0 and spread > 0):
        return None
    counts = np.unique(np.geomspace(max(agents + 1, LEAST_AGENTS), _MOST, 4000).astype(int))
    half = scipy.stats.t.ppf((1 + CONFIDENCE) / 2, counts - 1) * spread / np.sqrt(counts)
    enough = np.flatnonzero(half < effect)
    return int(counts[enough[0]]) if enough.size else None


def _side(low: float, high: float, bound: Bound) -> str:
    beyond, before = (low > bound.margin, high < bound.margin) if bound.above else (high < bound.margin, low > bound.margin)
    return HOLDS if beyond else FAILS if before else UNDECIDED
