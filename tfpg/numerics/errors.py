"""How far are predictions from what they should be? Relative errors and explained variance, in NumPy.

Named arguments only: `values` are what was predicted, `targets` what came."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tfpg.types import Tensor

# |target| is not taken below this share of its root mean square: relative errors of targets near 0 have no mean.
MRE_FLOOR = 0.01


class RelativeErrors(NamedTuple):
    """Each pair's relative error, and whether its target was floored; NaN where there is nothing to be relative to."""

    errors: np.ndarray  # [B] float64
    floored: np.ndarray  # [B] bool


class RelativeError(NamedTuple):
    """Mean relative error, and the share of targets that were floored."""

    mean: float
    floored: float


def explained_variance(*, values: Tensor, targets: Tensor) -> float:
    """1 − Var(target − V) / Var(target): 1 is perfect, 0 as good as a constant; nan where the targets are all equal.

    Named arguments only: swapped they divide by Var(V), and a critic that has learnt nothing looks well or absurd."""
    values, targets = np.asarray(values, np.float64), np.asarray(targets, np.float64)
    spread = targets.var()
    return float(1 - (targets - values).var() / spread) if spread > 0 else math.nan


def relative_error(*, values: Tensor, targets: Tensor) -> RelativeError:
    """Mean of |V − target| / |target|, |target| floored at 1 % of its root mean square.

    Errors relative to targets that are all 0 are nan."""
    found = relative_errors(values=values, targets=targets)
    if not len(found.errors) or math.isnan(found.errors[0]):
        return RelativeError(math.nan, math.nan)
    return RelativeError(mean=float(np.mean(found.errors)), floored=float(np.mean(found.floored)))


def relative_errors(*, values: Tensor, targets: Tensor) -> RelativeErrors:
    """|V − target| / |target| of every pair, |target| floored at 1 % of the root mean square of all.

    Args: values, targets: [B]. Returns: [B] each; NaN where all targets are 0."""
    values, targets = np.asarray(values, np.float64), np.asarray(targets, np.float64)
    floor = MRE_FLOOR * np.sqrt(np.mean(targets**2)) if targets.size else 0.0
    size = np.abs(targets)
    if not floor > 0:
        return RelativeErrors(np.full(targets.shape, np.nan), np.zeros(targets.shape, bool))
    return RelativeErrors(np.abs(values - targets) / np.maximum(size, floor), size < floor)
