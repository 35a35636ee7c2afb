"""Are medians, spreads, paired ratios and slopes those of examples by hand?"""

import math

import pytest

from tfpg.benchmark.rounds import Row, ratio, slope, summarise


def test_a_summary_has_median_ends_and_half_their_distance():
    found = summarise([3, 1, 10])
    assert found == (3, 1, 10, 3) and found.spread == 4.5


def test_a_ratio_is_taken_within_each_round():
    # 10/2, 20/5, and 30/15; round 3 has no partner. Medians alone would give 20/5 = 4 as well, their ends 15 and .67.
    found = ratio({0: 10, 1: 20, 2: 30, 3: 40}, {0: 2, 1: 5, 2: 15})
    assert found == {0: 5, 1: 4, 2: 2}
    assert summarise(found.values())[:3] == (4, 2, 5)


def test_a_round_that_measured_nothing_has_no_ratio():
    assert ratio({0: 1.0}, {0: 0.0}) == {}


def test_a_slope_is_that_of_least_squares():
    assert slope([0, 1, 2, 3], [1, 3, 2, 4]) == pytest.approx(0.8)  # Σ(x−1.5)(y−2.5) / Σ(x−1.5)² = 4 / 5
    assert math.isnan(slope([0, 1], [0, 1])) and math.isnan(slope([1, 1, 1], [0, 1, 2]))


def test_a_row_keeps_its_rounds():
    found = Row("speed", "rollouts", "Hopper-v5", "steps/s", {0: 1.0, 2: 3.0}).as_dict()
    assert found["values"] == {"0": 1.0, "2": 3.0} and found["median"] == 2 and found["rounds"] == 2
