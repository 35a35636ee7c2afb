"""Errors of predictions: explained variance the right way round, relative errors with their floor."""

import math

import numpy as np
import pytest

from tfpg.numerics.errors import explained_variance, relative_error, relative_errors


def test_explained_variance_divides_by_the_variance_of_the_targets():
    # V is half the target: 1 − Var(t/2)/Var(t) = 3/4. Swapped, 1 − Var(t/2)/Var(t/2) = 0.
    targets = np.asarray([2.0, 4.0, 6.0, 8.0])
    assert explained_variance(values=targets / 2, targets=targets) == pytest.approx(0.75)


def test_explained_variance_of_a_constant_is_zero_and_of_the_truth_one():
    targets = np.asarray([1.0, 2.0, 5.0])
    assert explained_variance(values=np.full(3, 7.0), targets=targets) == pytest.approx(0)
    assert explained_variance(values=targets, targets=targets) == 1


def test_explained_variance_of_equal_targets_is_nan():
    assert math.isnan(explained_variance(values=[1.0, 2.0], targets=[3.0, 3.0]))


def test_explained_variance_takes_no_positional_arguments():
    with pytest.raises(TypeError):
        explained_variance([1.0], [2.0])


def test_relative_error_floors_targets_at_one_percent_of_their_rms():
    # RMS of (√2, 0) is 1, the floor .01: errors .5/√2 and .02/.01 = 2; one target of two is floored.
    error = relative_error(values=[math.sqrt(2) + 0.5, 0.02], targets=[math.sqrt(2), 0.0])
    assert error.mean == pytest.approx((0.5 / math.sqrt(2) + 2) / 2)
    assert error.floored == 0.5


def test_errors_pair_by_pair_have_the_mean_as_their_mean():
    draw = np.random.default_rng(0)
    values, targets = draw.normal(size=(2, 500))
    found, whole = relative_errors(values=values, targets=targets), relative_error(values=values, targets=targets)
    assert (found.errors.mean(), found.floored.mean()) == whole
    assert 0 < whole.floored < 0.05


def test_errors_relative_to_nothing_are_nan():
    assert math.isnan(relative_error(values=[1.0, 2.0], targets=[0.0, 0.0]).mean)
    assert math.isnan(relative_error(values=[], targets=[]).mean)
    assert np.isnan(relative_errors(values=[1.0], targets=[0.0]).errors).all()
