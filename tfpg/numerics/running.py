"""What does a noisy series look like without its noise? Running means."""

from __future__ import annotations

import numpy as np


def running_mean(values: np.ndarray, weights: np.ndarray, width: int) -> np.ndarray:
    """Weighted mean of the last `width` values at each place, fewer at the beginning.

        m_k = Σ_{j = k−width+1}^{k} w_j x_j / Σ w_j

    Args: values, weights: [n]. Returns: [n]."""
    total, weight = np.zeros(len(values)), np.zeros(len(values))
    for back in range(min(width, len(values))):  # no difference of sums: one huge value would hide all after it
        total[back:] += (values * weights)[:len(values) - back]
        weight[back:] += weights[:len(values) - back]
    return total / weight
