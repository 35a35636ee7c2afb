"""Running means against a slow oracle."""

import numpy as np
import pytest

from tfpg.numerics.running import running_mean


def test_running_mean_is_the_weighted_mean_of_the_last_values():
    values, weights = np.arange(30.0), np.arange(1.0, 31)
    found = running_mean(values, weights, 7)
    slow = [np.average(values[max(0, i - 6): i + 1], weights=weights[max(0, i - 6): i + 1]) for i in range(30)]
    assert found == pytest.approx(slow)


def test_nothing_has_no_mean():
    assert len(running_mean(np.zeros(0), np.zeros(0), 7)) == 0
