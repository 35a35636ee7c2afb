import math

import pytest

from tfpg.shown import quantity, rough


@pytest.mark.parametrize(("value", "said"), [
    (1234.56, "1,234.6"), (-0.25, "-0.2"), (0.0, "0.0"), (-0.0, "0.0"), (0.05, "0.1"), (7.9e30, "7.9e+30"), (-2e7, "-20,000,000.0"),
    (1.234e-7, "1.23e-07"), (-0.04, "-0.04"), (math.nan, "unknown"), (math.inf, "inf")])
def test_a_quantity_shows_something_whatever_its_unit(value, said):
    assert quantity(value) == said


@pytest.mark.parametrize(("value", "said"), [
    (330.4, "330"), (1234.0, "1,200"), (66.2, "66"), (0.716, "0.72"), (2.0, "2"), (-95.4, "-95"), (4.2e6, "4.2e+06"), (math.inf, "inf"),
    (math.nan, "nan")])
def test_a_rough_number_has_two_digits_written_out(value, said):
    assert rough(value) == said
