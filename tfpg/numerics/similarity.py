"""How alike are vectors? Cosines, and what independent noisy copies of one vector say of the vector and of the noise.

NumPy in float64. Pairwise numbers come from the Gram matrix G_ij = g_i·g_j [K, K]: that of K vectors is all that any of them
needs. A zero vector has no direction: its cosines are NaN, and so is every mean that holds one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class VectorMoments(NamedTuple):
    """What K independent copies g_i = g + noise say, without bias."""

    square_norm: np.ndarray  # ‖g‖²; noise can bring it below 0
    trace: np.ndarray  # tr Cov(g_i), the variance of one copy summed over coordinates


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a·b / (‖a‖ ‖b‖) along the last axis, others broadcast. NaN where either is zero."""
    a, b = directions(a), directions(b)
    return np.clip((a * b).sum(-1), -1, 1)


def directions(vectors: np.ndarray) -> np.ndarray:
    """g / ‖g‖ along the last axis; NaN for a zero vector. The largest entry is divided out first, so that squares of 1e-200
    do not vanish."""
    vectors = np.asarray(vectors, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        vectors = vectors / np.abs(vectors).max(-1, keepdims=True)
        return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def gram(vectors: np.ndarray) -> np.ndarray:
    """G_ij = g_i·g_j. Args: vectors: [K, P]. Returns: [K, K]."""
    vectors = np.asarray(vectors, np.float64)
    return vectors @ vectors.T


def pairwise_cosines(vectors: np.ndarray) -> np.ndarray:
    """The cosine of every two of K vectors. Args: vectors: [K, P]. Returns: [K(K−1)/2], in the order (0,1), (0,2), …"""
    cosines = np.clip(gram(directions(vectors)), -1, 1)
    return cosines[np.triu_indices(len(cosines), 1)]


def mean_pairwise_cosine(vectors: np.ndarray) -> float:
    """Their mean, 2/(K(K−1)) Σ_{i<j} cos(g_i, g_j); NaN of fewer than two. Args: vectors: [K, P]."""
    found = pairwise_cosines(vectors)
    return float(found.mean()) if found.size else np.nan


def cosines_to(vectors: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The cosine of each vector with one of its own. Args: vectors: [K, P]. reference: [P]. Returns: [K]."""
    return cosine(vectors, np.asarray(reference)[np.newaxis])


def off_diagonal_mean(matrix: np.ndarray) -> np.ndarray:
    """Mean over i ≠ j of a [..., K, K] matrix; NaN for K < 2."""
    count = matrix.shape[-1]
    total = matrix.sum((-2, -1)) - np.trace(matrix, axis1=-2, axis2=-1)
    return total / (count * (count - 1)) if count > 1 else np.full_like(total, np.nan)


def moments(vectors: np.ndarray) -> VectorMoments:
    """Unbiased ‖g‖² and tr Cov of K independent estimates of one vector.

        ‖g‖²   ≈ 1/(K(K−1)) Σ_{i≠j} g_i·g_j
        tr Cov ≈ 1/K Σ_i ‖g_i‖² − ‖g‖²

    Args: vectors: [K, P], K ≥ 2. The gradient noise scale of estimates of n pairs each is B = n·tr Cov / ‖g‖²."""
    products = gram(vectors)
    square_norm = off_diagonal_mean(products)
    return VectorMoments(square_norm, np.trace(products) / len(products) - square_norm)
