"""Do the models find what made the numbers?"""

import pytest

from tfpg.benchmark import models
from tfpg.benchmark.models import Played, Point


def test_a_machine_that_obeys_the_model_is_found_and_predicted():
    a, b, c = 2e-4, 1e-6, 5e-5

    def seconds(n, k):
        return a + b * n + c * n / k

    fit = models.fit_sampling([Point(n, k, n / seconds(n, k)) for n in (8, 32, 128, 512) for k in (1, 2)])
    assert fit.coefficients == pytest.approx((a, b, c)) and fit.error < 1e-9
    assert models.sampling_rate(fit, 512, 16) == pytest.approx(512 / seconds(512, 16))
    assert models.sampling_rate(fit, 8, 64) == pytest.approx(8 / seconds(8, 8))  # no more threads than environments work
    # 2048 pairs are 4 vector steps of 512
    assert models.training_rate(fit, 512, 16, pairs=2048, update=0.1) == pytest.approx(2048 / (0.1 + 4 * seconds(512, 16)))


def test_landscapes_are_found_with_their_parameters():
    a, b, c = 3e-4, 4e-5, 2e-10
    fit = models.fit_landscapes([Played(v, n, p, a * v + (b + c * p) * n) for v, n, p in
                                 ((100, 3000, 5000), (100, 40_000, 5000), (200, 50_000, 70_000), (50, 900, 600))])
    assert fit.coefficients == pytest.approx((a, b, c))


def test_no_coefficient_is_negative():
    # faster with more environments than any sum of positive terms allows
    fit = models.fit_sampling([Point(8, 1, 1000), Point(32, 1, 8000), Point(128, 1, 64_000)])
    assert min(fit.coefficients) >= 0 and fit.error > 0.1
