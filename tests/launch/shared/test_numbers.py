"""What a survey says in words: digits that mean something, intervals, counts, and no number where there is none."""

import numpy as np
import pytest
import xarray as xr

from launch.shared import numbers, tables
from launch.shared.tables import duration


def found(value, low, high):
    return xr.Dataset({name: ("one", [number]) for name, number in (("x", value), ("x_low", low), ("x_high", high))})


@pytest.mark.parametrize(("value", "low", "high", "said"), [
    (1234.56, 1200.4, 1270.2, "1,235 [1,200, 1,270]"),  # 70 wide: units
    (12.345, 10.2, 15.9, "12.3 [10.2, 15.9]"),  # 6 wide: tenths
    (0.01234, 0.0101, 0.0149, "0.0123 [0.0101, 0.0149]"), (1e-9, -1e-9, 2e-9, "1e-09 [-1e-09, 2e-09]"),
    (3.21e30, 3.1e30, 3.3e30, "3.21e+30 [3.1e+30, 3.3e+30]"), (2e-7, np.nan, np.nan, "2e-07 [interval unknown]"), (0.0, 0.0, 0.0, "0.0 [0.0, 0.0]"),
    (-0.04, -1.5, 1.5, "0.0 [-1.5, 1.5]"),  # no minus before nothing
    (5.0, 5.0, 5.0, "5.0 [5.0, 5.0]"), (5.06, np.nan, np.nan, "5.1 [interval unknown]"), (np.nan, np.nan, np.nan, "unknown")])
def test_an_interval_has_as_many_digits_as_its_width_allows(value, low, high, said):
    assert numbers.interval(found(value, low, high), "x") == said


def test_digits_can_be_given():
    assert numbers.interval(found(0.5, 0.25, 0.75), "x", 2) == "0.50 [0.25, 0.75]"
    assert (numbers.number(1234.5), numbers.number(np.nan), numbers.number(-0.01)) == ("1,234.5", "unknown", "0.0")


@pytest.mark.parametrize(("seconds", "said"), [
    (0.2, "1 s"), (89, "89 s"), (90, "2 min"), (3_000, "50 min"), (5_400, "1.5 h"), (200_000, "55.6 h")])
def test_durations_are_told_as_people_tell_them(seconds, said):
    assert duration(seconds) == said


def test_columns_stand_below_each_other():
    rows = [("", "points", "few"), ("return", "9", ""), ("concentration", "1,234", "x")]
    assert tables.aligned(rows, left=(0, 2)) == ["               points  few", "return              9", "concentration   1,234  x"]
