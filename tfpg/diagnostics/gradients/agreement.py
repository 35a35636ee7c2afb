"""Do gradient estimates agree? Cosines, noise scale and chance, each with its uncertainty.

    gradients = np.stack([my_gradient(batch) for batch in ten_batches_of_2048_pairs])      [K, P]
    pairwise(gradients)                    mean cosine of two estimates
    to_reference(gradients, reference)     mean cosine to one of many more pairs
    noise_scale(gradients, pairs=2048)     B, the pairs at which noise and gradient are equally long
    chance(gradients.shape[1])             what unrelated directions show

Ordinary functions of arrays, for gradients and steps of whatever training loop; records of estimates.Estimate out. The K
estimates must be independent: disjoint pairs, and whole episodes kept together.

Mean pairwise cosines are U-statistics: their error comes from the jackknife over the K estimates. (Resampling the estimates
pairs a vector with itself, resampling pairs of them ignores that pairs share a vector.)"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tfpg.diagnostics.statistics.estimates import Estimate, Numbers, jackknifed_cosine, student
from tfpg.numerics import similarity


def pairwise(vectors: np.ndarray) -> Estimate:
    """Mean cosine of two of K independent estimates.

        c̄ = 2/(K(K−1)) Σ_{i<j} cos(g_i, g_j)        stderr² = (K−1)/K Σ_i (c̄_(i) − c̄_(·))²

    c̄_(i) leaves out estimate i. The interval is Student's t with K − 1 degrees on arctanh c̄, where errors near 1 are even.
    Coverage of nominal 95 % at K = 10, B/n = .1, 1, 10, 100 (standard error .7 to 1.1 %), natural scale in brackets:
        isotropic noise, P = 10      96.2 96.1 97.1 98.5    (95.3 94.9 96.9 98.5)
        P = 5000                     95.5 94.2 97.2 99.0    (95.2 94.5 97.2 99.0)
        spectrum 1/j, P = 5000       93.0 95.2 99.8 99.0    (92.5 95.2 99.8 98.8)
        … gradient along its first   93.5 95.2 90.8 98.5    (93.0 93.8 90.2 98.5)
        Student's noise, ν = 5       90.0 91.2 97.5 99.5    (87.2 90.2 97.2 99.5)
    Too long where nothing agrees (there the jackknife doubles the variance), too short where a few estimates have most of
    the noise (Student's: one chance length for all of an estimate's noise).
    Args: vectors: [K, P]. Returns: Estimate [], count K; no error for K < 3; NaN where one of them is zero."""
    return _jackknifed(similarity.gram(similarity.directions(vectors)), similarity.off_diagonal_mean)


def to_reference(vectors: np.ndarray, reference: np.ndarray) -> Estimate:
    """Mean cosine of K independent estimates to one vector that shares no pairs with them.

    Student's t: given the reference the K cosines are independent. What the reference itself lacks is not in the interval:
    see its split-half cosine. Coverage of nominal 95 % at K = 10, in the order of `pairwise`: P = 10: 94.6 94.2 94.8 95.0;
    P = 5000: 95.5 93.5 94.0 95.0; spectrum 1/j: 90.5 91.8 93.5 95.8; along its first: 93.5 93.0 93.8 96.2; Student's
    noise: 86.0 88.8 94.5 94.8 (arctanh of each cosine: never better, 77.5 at worst).
    Args: vectors: [K, P]. reference: [P]. Returns: Estimate [], count K; NaN where a vector is zero."""
    found = similarity.cosines_to(vectors, reference)
    count = len(found)
    stderr = found.std(ddof=1) / np.sqrt(count) if count > 1 else np.nan
    mean = found.mean() if count else np.nan
    estimate = student(mean, stderr, max(count - 1, 1), count if np.isfinite(mean) else 0)
    return estimate._replace(low=np.maximum(estimate.low, -1), high=np.minimum(estimate.high, 1))


def noise_scale(vectors: np.ndarray, pairs: int) -> Estimate:
    """Gradient noise scale B = tr Σ / ‖g‖², Σ the covariance of one pair's contribution (McCandlish 2018, eq. 2.9).

        q = ‖g‖² / E‖g_i‖² = n/(n + B)        B = n (1/q − 1)

    from the unbiased moments of K estimates of n pairs (similarity.moments). At n = B noise and gradient are equally long.
    Where pairs hang together, as those of an episode do, B is the iid equivalent at this n: it includes their correlation.
    The interval is the jackknife's on arctanh q. Where that of q reaches 0, so that ‖g‖² may be nothing, only a lower
    bound is known: high is infinite; and so is B itself where ‖g‖² is estimated at 0 or below.
    Coverage of nominal 95 % at K = 10, in the order of `pairwise` (Fieller's interval in brackets):
        P = 10                 97.2 96.2 96.6 99.2    (96.7 95.7 97.5 99.4)
        P = 5000               95.5 94.2 97.5 99.2    (95.5 94.2 97.5 99.0)
        spectrum 1/j           92.2 95.2 99.5 98.8    (91.2 94.0 99.8 99.2)
        … along its first      93.2 97.0 90.8 98.2    (93.2 96.8 90.5 98.8)
        Student's noise        87.5 85.0 93.5 99.8    (81.5 79.5 89.8 100)
    Args: vectors: [K, P] gradients; steps have no noise scale. pairs: n, behind each.
    Returns: Estimate [] in pairs, count K; stderr NaN where B has no finite interval."""
    found = _jackknifed(similarity.gram(_scaled(vectors)), _signal)
    share, low, high = (float(x) for x in (found.mean, found.low, found.high))
    scale, least, most = (_as_scale(q, pairs) for q in (share, high, low))
    stderr = pairs * float(found.stderr) / share**2 if share > 0 and np.isfinite(most) else np.nan  # |dB/dq| = n/q²
    return Estimate(*(np.asarray(x) for x in (scale, stderr, least, most, found.count)))


def chance(size: int) -> float:
    """1/√P: the root mean square of the cosine of two unrelated directions, exact where one of them is isotropic.

    The mean of such cosines is 0. Directions that noise does not spread evenly over all P coordinates lie further from 0:
    put P_eff = (tr Σ)² / tr Σ² in the place of P, or measure, with advantages permuted."""
    return float(1 / np.sqrt(size))


def predicted_pairwise(pairs: Numbers, scale: Numbers) -> np.ndarray:
    """N/(N + B), the cosine of two estimates of N pairs each under independent noise. Args: scale: B."""
    pairs = np.asarray(pairs, np.float64)
    return pairs / (pairs + scale)


def predicted_to_reference(pairs: Numbers, scale: Numbers, reference_pairs: float = np.inf) -> np.ndarray:
    """√(N/(N + B)) · √(M/(M + B)), the cosine of N pairs' estimate to one of M others. Args: scale: B. M infinite: the limit."""
    whole = 1.0 if np.isinf(reference_pairs) else predicted_pairwise(reference_pairs, scale)
    return np.sqrt(predicted_pairwise(pairs, scale) * whole)


def _signal(products: np.ndarray) -> np.ndarray:
    """q = ‖g‖² / E‖g_i‖² of Gram matrices; at most 1 by Cauchy–Schwarz."""
    square = np.trace(products, axis1=-2, axis2=-1) / products.shape[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        return similarity.off_diagonal_mean(products) / square


def _as_scale(share: float, pairs: int) -> float:
    """B = n (1/q − 1)."""
    if np.isnan(share):
        return np.nan
    return pairs * (1 / share - 1) if share > 0 else np.inf


def _scaled(vectors: np.ndarray) -> np.ndarray:
    """All by one number, so that squares neither vanish nor overflow; ratios stay."""
    vectors = np.asarray(vectors, np.float64)
    largest = np.abs(vectors).max(initial=0)
    return vectors / largest if largest > 0 else vectors


def _jackknifed(products: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray]) -> Estimate:
    """A statistic in [−1, 1] of a Gram matrix, each vector left out once. Args: products: [K, K]."""
    count = len(products)
    found = float(np.clip(statistic(products), -1, 1)) if count > 1 else np.nan
    if count < 3 or not np.isfinite(found):
        return student(found, np.nan, 1, count if np.isfinite(found) else 0)
    return jackknifed_cosine(found, np.array([statistic(np.delete(np.delete(products, i, 0), i, 1)) for i in range(count)]))
