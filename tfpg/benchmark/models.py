"""What do the measured speeds say of machines that nobody has measured? Two models, fitted to what was, and what they predict.

    a vector step of N environments on k threads      t = a + b N + c N / k
        a once a step, b for every environment on the one thread that samples, c what the threads share: the physics
    an iteration of B pairs                           u + B/N · t,   u all that is no rollout
    a landscape of V vector steps and B pairs, P parameters      a V + (b + c P) B

Coefficients are not negative. What cores share besides (memory, heat, other programs) is in neither: predictions are bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls


class Fit(NamedTuple):
    """Coefficients, and how far the model is from what it was fitted to."""

    coefficients: tuple[float, ...]  # seconds
    error: float  # median of |model / measured − 1|


class Point(NamedTuple):
    """One measurement of sampling."""

    num_envs: int  # N
    threads: int  # k
    rate: float  # steps/s


class Played(NamedTuple):
    """One measurement of a landscape."""

    vector_steps: int  # V
    pairs: int  # B
    parameters: int  # P
    seconds: float


def fit_sampling(points: Sequence[Point]) -> Fit:
    """a, b, c of a vector step."""
    return _fit([(1.0, p.num_envs, p.num_envs / p.threads) for p in points], [p.num_envs / p.rate for p in points])


def fit_landscapes(played: Sequence[Played]) -> Fit:
    """a, b, c of a landscape."""
    return _fit([(p.vector_steps, p.pairs, p.pairs * p.parameters) for p in played], [p.seconds for p in played])


def sampling_rate(fit: Fit, num_envs: int, threads: int) -> float:
    """Steps a second of N environments on k threads, of which no more than N have work."""
    a, b, c = fit.coefficients
    return num_envs / (a + b * num_envs + c * num_envs / min(threads, num_envs))


def training_rate(fit: Fit, num_envs: int, threads: int, *, pairs: int, update: float) -> float:
    """Pairs a second of whole iterations. Args: update: u, seconds."""
    return pairs / (update + pairs / sampling_rate(fit, num_envs, threads))


def _fit(columns: Sequence[Sequence[float]], seconds: Sequence[float]) -> Fit:
    # divided by what was measured: every point counts by its relative error, the slow ones no more than the fast
    rows = np.asarray(columns, float) / np.asarray(seconds, float)[:, np.newaxis]
    scale = rows.max(axis=0)
    coefficients = nnls(rows / scale, np.ones(len(rows)))[0] / scale
    return Fit(tuple(coefficients.tolist()), float(np.median(np.abs(rows @ coefficients - 1))))
