"""Returns whose means are known, for the coverage of intervals."""

import numpy as np

from tfpg.diagnostics.statistics.estimates import Estimate

FALL, REACH = 300.0, 3000.0  # mean returns of a robot that falls early, and of one that reaches the time limit


def bimodal(draw, shape, fall=0.2):
    """Fall early (Gamma, mean 300) with probability `fall`, or reach the limit (3000 ± 60)."""
    return np.where(draw.random(shape) < fall, draw.gamma(2, FALL / 2, shape), draw.normal(REACH, 60, shape))


def bimodal_mean(fall=0.2):
    return fall * FALL + (1 - fall) * REACH


def bimodal_std(fall=0.2):
    """Within the modes 2·150² and 60², between them fall(1 − fall)·2700²."""
    return np.sqrt(fall * 2 * 150**2 + (1 - fall) * 60**2 + fall * (1 - fall) * (REACH - FALL)**2)


def covered(estimate, truth):
    """Share of the intervals that hold the truth."""
    return np.mean((estimate.low <= truth) & (truth <= estimate.high))


def stacked(found):
    """Estimates of many simulations as one, [simulations, …]."""
    return Estimate(*map(np.array, zip(*found, strict=True)))
