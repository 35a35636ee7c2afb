import numpy as np
import pytest

from tfpg.diagnostics.gradients import references


def groups(draw, gradient, noise, count=10):
    """Of which each has noise of that expected square length, isotropic."""
    return gradient + np.sqrt(noise / gradient.size) * draw.normal(size=(count, gradient.size))


def unit(size):
    return np.full(size, size**-0.5)


@pytest.mark.parametrize("noise", [0.5, 5, 50])
def test_split_halves_agree_as_their_noise_lets_them(noise):
    draw = np.random.default_rng(0)
    found = [references.split_half(groups(draw, unit(1000), noise)) for _ in range(200)]
    expected = 1 / (1 + noise / 5)  # five groups a half
    means = np.array([e.mean for e in found])
    assert abs(means.mean() - expected) < 4 * means.std() / np.sqrt(200) + 2e-3
    assert np.mean([e.low <= expected <= e.high for e in found]) > 0.93


def test_two_limits_are_compared_free_of_the_noise_that_they_share():
    draw = np.random.default_rng(1)
    a = unit(1000)
    b = 0.6 * a + 0.8 * np.where(np.arange(1000) % 2, 1, -1) / np.sqrt(1000)  # cosine .6
    found = []
    for _ in range(200):
        shared = np.sqrt(5 / 1000) * draw.normal(size=(10, 1000))
        found.append(references.between(a + shared, b + shared))  # the same pairs: raw cosines lie far too high
    means = np.array([e.mean for e in found])
    assert abs(np.mean(means) - 0.6) < 4 * means.std() / np.sqrt(200) + 0.01
    assert np.mean([e.low <= 0.6 <= e.high for e in found]) > 0.93


def test_a_limit_that_cannot_be_told_from_nothing_has_no_cosine():
    draw = np.random.default_rng(2)
    found = [references.between(draw.normal(size=(10, 50)), draw.normal(size=(10, 50))) for _ in range(50)]
    assert 0.4 < np.mean([np.isnan(e.mean) for e in found]) <= 1  # three quarters by chance
    assert all(np.isnan(e.low) and e.count == 0 for e in found if np.isnan(e.mean))
    # a number without an interval is none: what is divided by could be 0
    assert all(np.isfinite([e.low, e.high]).all() for e in found if np.isfinite(e.mean))
    assert any(np.isfinite(e.mean) for e in found)


def test_two_groups_have_halves_but_no_interval():
    found = references.split_half(np.array([[1.0, 0], [1, 1]]))
    assert found.mean == pytest.approx(np.sqrt(0.5))
    assert np.isnan(found.low)
