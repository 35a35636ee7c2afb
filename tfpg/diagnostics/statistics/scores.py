"""What is one agent's score, and what is its learning curve on the steps of others?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfpg.errors import UserError

FINAL_ITERATIONS = 5  # as the run's own final score (tfpg.report.metrics)


class Curves(NamedTuple):
    """Learning curves on one grid."""

    env_steps: np.ndarray  # [G]
    values: np.ndarray  # [agents, G], NaN before an agent's first point and after its last
    agents: np.ndarray  # [G], those that have a value


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
