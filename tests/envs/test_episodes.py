import numpy as np
import pytest
import tensorflow as tf

from tfpg import seeds
from tfpg.envs.make import describe, make
from tfpg.errors import UserError


def noisy(obs, noise):
    return tf.tanh(obs[..., :noise.shape[-1]]) + noise


def idle(obs, noise):
    return tf.zeros_like(obs[..., :1])


def by_point(obs, noise, gain):
    """Each point its own policy, elementwise: no product whose rounding could depend on K."""
    return gain[:, None, None] * obs[..., :3] + noise


def sampled(obs, noise):
    logits = tf.stack([tf.zeros_like(obs[..., 0]), obs[..., 2]], axis=-1)
    return tf.argmax(logits + noise, axis=-1, output_type=tf.int32)


def greedy(obs, noise):
    assert noise.shape[-1] == 0
    return tf.cast(obs[..., 2] > 0, tf.int32)


def assert_equal(a, b):
    for left, right in zip(a, b, strict=True):
        np.testing.assert_array_equal(left, right)


def test_points_meet_the_same_starts_and_the_same_noise(episode_sampler):
    results = episode_sampler("Hopper-v5", 3, 4).run(noisy, 8, 5)
    assert results.returns.shape == results.lengths.shape == (4, 8)
    for point in range(1, 4):
        assert_equal([array[point] for array in results], [array[0] for array in results])
    assert len(np.unique(results.returns[0])) == 8


def test_a_point_does_not_depend_on_the_points_beside_it(episode_sampler):
    gains = tf.constant([0.5, -1.0, 2.0])
    together = episode_sampler("Hopper-v5", 4, 3).run(by_point, 10, 5, gains)
    for point in range(3):
        alone = episode_sampler("Hopper-v5", 4, 1).run(by_point, 10, 5, gains[point:point + 1])
        assert_equal([array[0] for array in alone], [array[point] for array in together])
    assert (together.lengths[0] != together.lengths[1]).any()


def test_episode_m_is_start_m_div_n_of_environment_m_mod_n(episode_sampler):
    # the length of a Counter episode is known from its start state
    results = episode_sampler("TfpgCounter-v0", 3, 2).run(idle, 11, 0, max_steps=100, noise_kind=None)
    engine = make(describe("TfpgCounter-v0"), seeds.environments(0, "evaluation_environments", 3))
    starts = np.array([engine.reset(np.arange(3, dtype=np.int32))[:, 1] for _ in range(4)])  # [start, environment]
    expected = [starts[m // 3, m % 3] for m in range(11)]
    np.testing.assert_array_equal(results.lengths, [expected] * 2)
    np.testing.assert_array_equal(results.returns, results.lengths * (results.lengths + 1) / 2)
    assert not results.cut.any()


def test_short_episodes_are_not_favoured(episode_sampler):
    # lengths are uniform on 1 … 9: mean 5, standard deviation √(80/12) = 2.58, of a mean of 600 .105. The first 600
    # episodes to end among many would have mean below 4.7.
    results = episode_sampler("TfpgCounter-v0", 100).run(idle, 600, 0, max_steps=100, noise_kind=None)
    assert abs(results.lengths.mean() - 5) < 3.5 * 0.105


def test_episodes_can_be_continued_repeated_and_taken_in_any_order(episode_sampler):
    one = episode_sampler("Hopper-v5", 4, 2)
    whole = one.run(noisy, 11, 5)
    for first, count in ((7, 4), (0, 3), (3, 4), (10, 1)):
        part = one.run(noisy, count, 5, first_episode=first)
        assert_equal(part, [array[:, first:first + count] for array in whole])
    assert one.traces == 1


def test_noise_depends_on_seed_episode_and_step_only(episode_sampler):
    def show(obs, noise):
        return noise  # Drift adds the action to its state

    # from one environment or five, episode 0 has environment 0, start 0, and so everything the same
    one, five = (episode_sampler("TfpgDrift-v0", n).run(show, 5, 3) for n in (1, 5))
    assert one.returns[0, 0] == five.returns[0, 0]
    other = episode_sampler("TfpgDrift-v0", 5).run(show, 5, 4)
    assert (other.returns != five.returns).all()


def test_noise_goes_on_over_its_chunks(episode_sampler):
    # 600 steps of Pendulum need three chunks of 256
    seen = []

    def watched(obs, noise):
        tf.py_function(lambda values: seen.append(values.numpy().ravel()), [noise], [])
        return noise

    episode_sampler("Pendulum-v1", 1, max_episode_steps=600).run(watched, 1, 3)
    values = np.concatenate(seen)
    assert len(np.unique(values)) == 600
    assert abs(values.mean()) < 3.5 / np.sqrt(600) and abs(values.std() - 1) < 3.5 / np.sqrt(1200)


def test_gumbel_noise_samples_and_no_noise_is_greedy(episode_sampler):
    cart_pole = episode_sampler("CartPole-v1", 4)
    stochastic = cart_pole.run(sampled, 8, 1, noise_kind="gumbel")
    deterministic = cart_pole.run(greedy, 8, 1, noise_kind=None)
    assert_equal(deterministic, cart_pole.run(greedy, 8, 2, noise_kind=None))
    np.testing.assert_array_equal(stochastic.returns, stochastic.lengths)  # CartPole: one point a step
    assert deterministic.returns.mean() > stochastic.returns.mean()


def test_a_task_without_a_time_limit_needs_max_steps_and_says_what_it_cut(episode_sampler):
    counter = episode_sampler("TfpgCounter-v0", 4)
    with pytest.raises(UserError, match="TfpgCounter-v0 has no time limit"):
        counter.run(idle, 4, 0)
    whole = counter.run(idle, 12, 0, max_steps=100, noise_kind=None)
    results = counter.run(idle, 12, 0, max_steps=5, noise_kind=None)
    np.testing.assert_array_equal(results.lengths, np.minimum(whole.lengths, 5))
    np.testing.assert_array_equal(results.cut, whole.lengths > 5)


def test_fewer_episodes_than_environments_leave_some_idle(episode_sampler):
    five = episode_sampler("Hopper-v5", 5, 2)
    assert_equal(five.run(noisy, 2, 9), [array[:, :2] for array in five.run(noisy, 5, 9)])
    assert five.run(noisy, 0, 9).returns.shape == (2, 0)


def test_compiled_once_over_many_calls(episode_sampler):
    one = episode_sampler("TfpgDrift-v0", 3, 3)
    for k in range(20):
        one.run(by_point, 3, k, tf.fill([3], float(k) / 20))
    assert one.traces == 1
