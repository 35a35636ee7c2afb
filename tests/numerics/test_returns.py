import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from tests import oracles
from tests.modes import every_mode
from tfpg.numerics import returns

quick = hypothesis.settings(deadline=None, max_examples=25)
seeds = st.integers(0, 10**6)
discounts = st.floats(0, 1)


def batch(seed=0, rows=13, columns=4, dtype=np.float64):
    """Random rows with terminations and truncations: rewards, values, next_values, terminated, ended."""
    rng = np.random.default_rng(seed)
    rewards, values, next_values = rng.normal(size=(3, rows, columns)).astype(dtype)
    terminated, truncated = rng.random((2, rows, columns)) < 0.15
    return rewards, values, next_values, terminated, terminated | truncated


@every_mode
@pytest.mark.parametrize("shape", [(13, 4), (1, 3), (64, 5), (3, 7)])
def test_gae_equals_the_recursion(run, shape):
    data = batch(1, *shape)
    actual = run(lambda *data: returns.gae(*data, gamma=0.97, lam=0.9))(*map(tf.constant, data))
    np.testing.assert_allclose(actual, oracles.gae(*data, 0.97, 0.9), rtol=1e-12, atol=1e-12)


@every_mode
@pytest.mark.parametrize("shape", [(13, 4), (1, 3), (64, 5), (3, 7)])
def test_discounted_returns_equal_the_recursion(run, shape):
    rewards, _, *data = batch(2, *shape)
    actual = run(lambda *data: returns.discounted_returns(*data, gamma=0.97))(*map(tf.constant, (rewards, *data)))
    np.testing.assert_allclose(actual, oracles.discounted_returns(rewards, *data, 0.97), rtol=1e-12, atol=1e-12)


@every_mode
@pytest.mark.parametrize("shape", [(13, 4), (1, 3), (64, 5), (3, 7)])
def test_running_discounted_equals_the_recursion(run, shape):
    rewards, *_, ended = batch(3, *shape)
    carried = np.arange(shape[1], dtype=np.float64)
    data = map(tf.constant, (rewards, ended, carried))
    actual = run(lambda *data: returns.running_discounted(*data, gamma=0.97))(*data)
    for ours, theirs in zip(actual, oracles.running_discounted(rewards, ended, carried, 0.97), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_float32_over_2048_rows_of_one_environment_is_right_to_rounding():
    rewards, values, next_values, terminated, ended = batch(4, 2048, 1, np.float32)
    actual = returns.gae(rewards, values, next_values, terminated, ended, gamma=0.99, lam=0.95)
    assert actual.dtype == tf.float32
    np.testing.assert_allclose(
        actual, oracles.gae(rewards, values, next_values, terminated, ended, 0.99, 0.95), rtol=1e-5, atol=1e-5)


@quick
@hypothesis.given(seeds, discounts)
def test_with_lambda_0_gae_is_the_td_error(seed, gamma):
    rewards, values, next_values, terminated, ended = batch(seed)
    actual = returns.gae(rewards, values, next_values, terminated, ended, gamma=gamma, lam=0.0)
    td_errors = rewards + gamma * np.where(terminated, 0, next_values) - values
    np.testing.assert_allclose(actual, td_errors, rtol=1e-12, atol=1e-12)


@quick
@hypothesis.given(seeds, discounts)
def test_with_lambda_1_gae_is_the_return_less_the_value_where_values_agree(seed, gamma):
    rewards, values, next_values, terminated, ended = batch(seed)
    # δ's inner terms cancel only where V of the successor is V of the next row.
    next_values = np.where(ended | (np.arange(13) == 12)[:, None], next_values, np.roll(values, -1, 0))
    actual = returns.gae(rewards, values, next_values, terminated, ended, gamma=gamma, lam=1.0)
    expected = returns.discounted_returns(rewards, next_values, terminated, ended, gamma=gamma) - values
    np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-10)


@quick
@hypothesis.given(seeds, discounts, discounts, st.floats(-1e3, 1e3))
def test_gae_is_linear_in_rewards_and_values(seed, gamma, lam, factor):
    *numbers, terminated, ended = batch(seed)
    *others, _, _ = batch(seed + 1)

    def gae(numbers):
        return returns.gae(*numbers, terminated, ended, gamma=gamma, lam=lam)

    combined = gae([factor * a + b for a, b in zip(numbers, others, strict=True)])
    np.testing.assert_allclose(combined, factor * gae(numbers) + gae(others), rtol=1e-9, atol=1e-9)


@quick
@hypothesis.given(seeds)
def test_environments_do_not_mix(seed):
    order = np.random.default_rng(seed).permutation(4)
    data = batch(seed)
    shuffled = returns.gae(*(part[:, order] for part in data), gamma=0.99, lam=0.95)
    np.testing.assert_array_equal(shuffled, returns.gae(*data, gamma=0.99, lam=0.95).numpy()[:, order])


def test_truncation_bootstraps_but_ends_the_sum():
    rewards, values, next_values = np.array([[1.0], [2.0]]), np.array([[10.0], [20.0]]), np.array([[4.0], [6.0]])
    ended, terminated = np.array([[True], [False]]), np.array([[False], [False]])
    # Row 0: 1 + .5·4 − 10 = −7, nothing from row 1.  Row 1: 2 + .5·6 − 20 = −15.
    np.testing.assert_allclose(
        returns.gae(rewards, values, next_values, terminated, ended, gamma=0.5, lam=0.8), [[-7], [-15]])
    # Row 0: 1 + .5·4 = 3.  Row 1: 2 + .5·6 = 5.
    np.testing.assert_allclose(
        returns.discounted_returns(rewards, next_values, terminated, ended, gamma=0.5), [[3], [5]])


def test_the_last_row_bootstraps_from_its_successor_not_from_its_own_state():
    # Trap 5: 1 + .9·7 − 3 = 4.3; from the state itself it would be 1 + .9·3 − 3 = .7.
    no = np.array([[False]])
    actual = returns.gae(np.array([[1.0]]), np.array([[3.0]]), np.array([[7.0]]), no, no, gamma=0.9, lam=0.95)
    np.testing.assert_allclose(actual, [[4.3]])


@every_mode
def test_after_termination_the_successor_plays_no_part_even_if_its_value_is_nan(run):
    rewards, values, next_values, terminated, ended = batch(5)
    next_values[terminated] = np.nan
    gae = run(lambda *data: returns.gae(*data, gamma=0.99, lam=0.95))(
        *map(tf.constant, (rewards, values, next_values, terminated, ended)))
    assert np.all(np.isfinite(gae))
    assert np.all(np.isfinite(returns.discounted_returns(rewards, next_values, terminated, ended, gamma=0.99)))


def test_running_discounted_of_two_batches_in_turn_equals_that_of_both_at_once():
    rewards, *_, ended = batch(6, 20, 3)
    whole = returns.running_discounted(rewards, ended, np.zeros(3), gamma=0.99)
    first = returns.running_discounted(rewards[:8], ended[:8], np.zeros(3), gamma=0.99)
    second = returns.running_discounted(rewards[8:], ended[8:], first.accumulators, gamma=0.99)
    np.testing.assert_allclose(tf.concat([first.discounted, second.discounted], 0), whole.discounted, rtol=1e-12)
    np.testing.assert_allclose(second.accumulators, whole.accumulators, rtol=1e-12)


def test_running_discounted_begins_again_after_an_end():
    # 1, .5·1 + 1 = 1.5 and the end, 1 again; the accumulator after an end in the last row is 0.
    rewards, ended = np.ones((3, 1)), np.array([[False], [True], [True]])
    running = returns.running_discounted(rewards, ended, np.zeros(1), gamma=0.5)
    np.testing.assert_allclose(running.discounted, [[1], [1.5], [1]])
    np.testing.assert_allclose(running.accumulators, [0])


def test_running_discounted_keeps_the_float64_of_its_accumulators():
    running = returns.running_discounted(np.ones((2, 3), np.float32), np.zeros((2, 3), bool), np.zeros(3), gamma=0.99)
    assert running.discounted.dtype == running.accumulators.dtype == tf.float64


def test_an_unknown_number_of_rows_is_refused_when_traced():
    spec = tf.TensorSpec([None, 3])
    function = tf.function(lambda x: returns.gae(x, x, x, x > 0, x > 0, gamma=0.9, lam=0.9), input_signature=[spec])
    with pytest.raises(ValueError, match="number of rows"):
        function(tf.zeros([4, 3]))
