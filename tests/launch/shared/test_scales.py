"""Scales by name, and what --help says of their budgets."""

import pytest

from launch.shared import scales


def test_budgets_that_differ_are_said_scale_by_scale_and_equal_ones_once():
    assert scales.by_scale("VALUES", "repeats") == "smoke 4 | small 16 | paper 64"
    assert scales.by_scale("GRADIENTS", "estimates") == "10"


@pytest.mark.parametrize("instrument", ["LANDSCAPES", "TRUST_REGIONS", "GRADIENTS", "VALUES", "STEPS"])
def test_every_instrument_has_the_three_scales(instrument):
    assert scales.names(instrument) == "smoke | small | paper"
