import numpy as np
import tensorflow as tf

from tests.modes import every_mode
from tfpg.numerics.linesearch import backtracking

ORIGIN, STEP = tf.constant([1.0, -0.1, 1e-9]), tf.constant([4.0, 8.0, 1e9])


def search(acceptable, run=lambda f: f, step=STEP, ratio=0.5, trials=5):
    def measure(theta):
        return (tf.reduce_sum(theta), theta[0])

    search_from = run(lambda origin, step: backtracking(measure, acceptable, origin, step, ratio=ratio, trials=trials))
    return search_from(ORIGIN, step)


@every_mode
def test_a_full_step_that_is_acceptable_is_taken(run):
    found = search(lambda fraction, *_: fraction > 0, run)
    np.testing.assert_array_equal(found.point, ORIGIN + STEP)
    assert found.accepted and float(found.fraction) == 1 and int(found.backtracks) == 0
    np.testing.assert_array_equal(found.refused, [0, 0])


@every_mode
def test_the_first_acceptable_fraction_is_taken(run):
    # θ_0 = 1 + 4·fraction ≤ 2.5: fractions 1 and ½ are refused, ¼ gives 2.
    found = search(lambda fraction, total, first: first <= 2.5, run)
    assert found.accepted and float(found.fraction) == 0.25 and int(found.backtracks) == 2
    np.testing.assert_array_equal(found.point, ORIGIN + 0.25 * STEP)
    assert float(found.measured[1]) == 2.0  # of the accepted trial
    assert float(found.refused[1]) == 3.0  # of the last refused one: 1 + 4·½


@every_mode
def test_rejected_search_returns_theta_unchanged(run):
    found = search(lambda fraction, *_: fraction > 2, run)
    np.testing.assert_array_equal(found.point, ORIGIN)
    assert not found.accepted and float(found.fraction) == 0 and int(found.backtracks) == 5
    np.testing.assert_array_equal(found.measured, [0, 0])
    assert float(found.refused[1]) == 1.25  # the fifth trial: 1 + 4/16


@every_mode
def test_an_infinite_or_undefined_step_returns_theta_unchanged(run):
    for bad in (np.inf, np.nan):
        found = search(lambda fraction, total, first: total < 1e30, run, step=tf.fill([3], np.float32(bad)))
        np.testing.assert_array_equal(found.point, ORIGIN)
        assert not found.accepted


def test_the_ratio_and_the_number_of_trials_are_those_given():
    found = search(lambda fraction, *_: fraction < 0.12, ratio=0.1, trials=2)
    np.testing.assert_allclose(found.fraction, 0.1, rtol=1e-6)
    assert not search(lambda fraction, *_: fraction < 0.12, ratio=0.1, trials=1).accepted
