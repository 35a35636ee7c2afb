import numpy as np
import pytest
import tensorflow as tf

from tfpg import seeds
from tfpg.envs.episodes import EpisodeSampler
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


def test_renewed_environments_play_as_a_new_sampler_does_without_compiling_again(episode_sampler):
    one, other = episode_sampler("Hopper-v5", 4, 2), seeds.environments(9, "evaluation_environments", 4)
    one.run(noisy, 6, 5)
    one.renew(other)
    fresh = EpisodeSampler(one.task, other, points=2)
    assert_equal(one.run(noisy, 6, 5), fresh.run(noisy, 6, 5))
    fresh.close()
    assert one.traces == 1
    with pytest.raises(ValueError, match="2 points of 4 environments"):
        one.renew(other[:3])


def test_compiled_once_over_many_calls(episode_sampler):
    one = episode_sampler("TfpgDrift-v0", 3, 3)
    for k in range(20):
        one.run(by_point, 3, k, tf.fill([3], float(k) / 20))
    assert one.traces == 1


# --- points of their own, points that leave -------------------------------------------------------------------------


def test_each_point_can_have_seeds_and_noise_of_its_own(episode_sampler):
    # point k of three as it is alone, with its own row of seeds and its own words of noise
    table = [seeds.environments(0, "landscape_environments", 3, k) for k in range(3)]
    words, gains = [[1, 2], [3, 4], [1, 2]], tf.constant([0.5, 0.5, -1.0])
    together = EpisodeSampler(describe("Hopper-v5"), table, 3)
    found = together.run(by_point, 7, words, gains)
    together.close()
    for point in range(3):
        one = EpisodeSampler(describe("Hopper-v5"), table[point])
        assert_equal([array[0] for array in one.run(by_point, 7, words[point], gains[point:point + 1])],
                     [array[point] for array in found])
        one.close()
    assert len(np.unique(found.returns)) == 21
    shared = episode_sampler("Hopper-v5", 3, 2)
    same, other = (shared.run(by_point, 7, [[1, 2], second], gains[:2]) for second in ([1, 2], [3, 4]))
    np.testing.assert_array_equal(same.returns[0], same.returns[1])
    np.testing.assert_array_equal(other.returns[0], same.returns[0])
    assert (other.returns[1] != same.returns[1]).all()


def test_rows_of_seeds_that_are_not_one_a_point_are_refused():
    with pytest.raises(ValueError, match="2 rows of seeds for 3 points"):
        EpisodeSampler(describe("TfpgDrift-v0"), [[1, 2], [3, 4]], 3)


def test_points_that_have_played_leave_and_change_nothing_for_the_others(episode_sampler):
    # One environment a point and noise of its own: the points end at different steps.
    seen, gains = [], tf.constant([-3.0, 0.1, 3.0, 1.0])

    def watched(obs, noise, gain):
        tf.py_function(lambda count: seen.append(int(count)), [tf.shape(obs)[0]], [])
        return by_point(obs, noise, gain)

    found = episode_sampler("Hopper-v5", 1, 4).run(watched, 2, [[k] for k in range(4)], gains)
    steps = np.sort(found.lengths.sum(axis=1))
    assert len(np.unique(steps)) > 1
    # at step t those play that have more than t steps to play
    assert seen == [int((steps > t).sum()) for t in range(steps[-1])]
    for point in range(4):
        alone = episode_sampler("Hopper-v5", 1).run(by_point, 2, [point], gains[point:point + 1])
        assert_equal([array[0] for array in alone], [array[point] for array in found])


def test_a_call_may_have_fewer_points_than_there_is_room_for(episode_sampler):
    four, gains = episode_sampler("Hopper-v5", 3, 4), tf.constant([0.5, -1.0, 2.0, 0.1])
    whole = four.run(by_point, 6, 5, gains)
    for count in (1, 3, 4, 2):
        part = four.run(by_point, 6, 5, gains[:count])
        assert_equal(part, [array[:count] for array in whole])
    assert four.traces == 1
    for wrong in ((tf.zeros(5),), (tf.zeros(2), tf.zeros(3))):
        with pytest.raises(ValueError, match="for at most 4 points"):
            four.run(lambda obs, noise, *gains: noise, 6, 5, *wrong)


# --- the transitions ------------------------------------------------------------------------------------------------


def trajectories_of(sampler, act, episodes, *arguments, **options):
    """Collected and run: two lists by point."""
    collected = sampler.collect(act, episodes, 5, *arguments, **options)
    return collected, sampler.run(act, episodes, 5, *arguments, **options)


@pytest.mark.parametrize(("env", "act", "options"), [
    ("Hopper-v5", noisy, {}), ("CartPole-v1", sampled, {"noise_kind": "gumbel"}),
    ("TfpgCounter-v0", idle, {"max_steps": 6, "noise_kind": None})])
def test_the_transitions_sum_to_the_returns_and_lengths(env, act, options, episode_sampler):
    collected, results = trajectories_of(episode_sampler(env, 3, 2), act, 8, **options)
    for point, trajectory in enumerate(collected):
        assert [x.shape[:2] for x in trajectory] == [(results.lengths[point].sum(), 1)] * 7
        last = np.cumsum(results.lengths[point]) - 1
        first = np.concatenate([[0], last[:-1] + 1])
        steps = trajectory.episode_step[:, 0]
        np.testing.assert_array_equal(steps, np.concatenate([np.arange(n) for n in results.lengths[point]]))
        # rewards are float32, returns sums of float64
        sums = np.add.reduceat(trajectory.rewards[:, 0].astype(float), first)
        np.testing.assert_allclose(sums, results.returns[point], rtol=1e-6)
        # an episode ends where it ends, and is not marked where max_steps cut it
        ended = (trajectory.terminated | trajectory.truncated)[:, 0]
        np.testing.assert_array_equal(ended[last], ~results.cut[point])
        assert ended.sum() == (~results.cut[point]).sum()
        # each state is the successor of the one before it
        inside = np.setdiff1d(np.arange(len(steps)), first)
        np.testing.assert_array_equal(trajectory.obs[inside], trajectory.successors[inside - 1])


def test_the_transitions_hold_what_the_policy_saw_and_did(episode_sampler):
    # elementwise act: its actions can be computed again from the observations; Drift: s' = s + a + noise
    gains = tf.constant([0.5, -1.0])
    collected = episode_sampler("TfpgDrift-v0", 2, 2).collect(
        lambda obs, noise, gain: gain[:, None, None] * obs + 0 * noise, 5, 5, gains)
    for trajectory, gain in zip(collected, gains.numpy(), strict=True):
        np.testing.assert_array_equal(trajectory.actions, gain * trajectory.obs)
        assert [x.dtype for x in trajectory] == [np.float32] * 3 + [bool] * 2 + [np.float32, np.int32]
        np.testing.assert_allclose(trajectory.rewards, trajectory.successors.sum(-1), rtol=1e-5, atol=1e-5)


def test_collecting_in_parts_is_collecting_at_once(episode_sampler):
    one = episode_sampler("Hopper-v5", 3, 2)
    whole = one.collect(noisy, 7, 5)
    parts = [one.collect(noisy, count, 5, first_episode=first) for first, count in ((0, 2), (2, 5))]
    for point in range(2):
        joined = [np.concatenate(columns) for columns in zip(parts[0][point], parts[1][point], strict=True)]
        assert_equal(joined, whole[point])


@pytest.mark.parametrize(("env", "act", "kind"), [("Hopper-v5", noisy, "normal"), ("CartPole-v1", sampled, "gumbel")])
def test_no_episodes_have_no_transitions_but_their_shapes(env, act, kind, episode_sampler):
    sampler = episode_sampler(env, 2, 2)
    none, some = (sampler.collect(act, count, 5, noise_kind=kind) for count in (0, 1))
    assert len(none) == 2
    for empty, full in zip(none, some, strict=True):
        assert [(x.shape[1:], x.dtype) for x in empty] == [(x.shape[1:], x.dtype) for x in full]
        assert len(empty.obs) == 0
