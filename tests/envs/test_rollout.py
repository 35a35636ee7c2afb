import ctypes
import gc
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from tfpg import seeds
from tfpg.envs.make import describe
from tfpg.envs.rollout import Sampler
from tfpg.errors import RunError


def noise_of(num_steps, num_envs, size, seed=0):
    return np.random.default_rng(seed).normal(size=(num_steps, num_envs, size)).astype(np.float32)


def as_it_comes(obs, noise):
    return noise


def coin(obs, noise):
    return tf.cast(noise[:, 0] + 0.1 * tf.reduce_sum(obs, axis=1) > 0, tf.int32)


def leaning(obs, noise, gain):
    """Depends on everything: a policy that shows a wrong row."""
    return tf.tanh(gain * obs[:, :noise.shape[1]]) + noise


def assert_equal(a, b):
    for left, right in zip(a, b, strict=True):
        np.testing.assert_array_equal(left, right)


def test_every_row_is_a_transition_and_every_observation_the_one_before_led_to(sampler):
    hopper = sampler("Hopper-v5", 8)
    first, _ = hopper.collect(as_it_comes, 64, noise_of(64, 8, 3))
    second, episodes = hopper.collect(as_it_comes, 64, noise_of(64, 8, 3, seed=1))
    obs, rewards, terminated, truncated, successors, steps = (
        np.concatenate([getattr(half, name) for half in (first, second)])
        for name in ("obs", "rewards", "terminated", "truncated", "successors", "episode_step"))
    ended = terminated | truncated
    assert ended.sum() > 20
    np.testing.assert_array_equal(obs[1:][~ended[:-1]], successors[:-1][~ended[:-1]])
    assert (obs[1:][ended[:-1]] != successors[:-1][ended[:-1]]).any(axis=1).all()
    np.testing.assert_array_equal(steps[1:], np.where(ended[:-1], 0, steps[:-1] + 1))
    # a reset row would have reward 0 and not move
    assert (rewards != 0).all()
    assert (obs != successors).any(axis=2).all()
    assert len(episodes.returns) == second.terminated.sum()


def test_types_and_shapes_are_those_of_a_trajectory(sampler):
    trajectory, episodes = sampler("Hopper-v5", 4).collect(as_it_comes, 6, noise_of(6, 4, 3))
    expected = [((6, 4, 11), np.float32), ((6, 4, 3), np.float32), ((6, 4), np.float32), ((6, 4), bool), ((6, 4), bool),
                ((6, 4, 11), np.float32), ((6, 4), np.int32)]
    assert [(array.shape, array.dtype) for array in trajectory] == expected
    assert (episodes.returns.dtype, episodes.lengths.dtype) == (np.float64, np.int64)


def test_batches_belong_to_the_caller(sampler):
    hopper = sampler("Hopper-v5", 4)
    first, _ = hopper.collect(as_it_comes, 6, noise_of(6, 4, 3))
    kept = [array.copy() for array in first]
    hopper.collect(as_it_comes, 6, noise_of(6, 4, 3, seed=1))
    assert_equal(first, kept)


def test_arguments_reach_the_policy_in_every_call(sampler):
    hopper = sampler("Hopper-v5", 4)
    zeros = np.zeros((3, 4, 3), np.float32)
    for gain in (0.0, 1.0, 2.0):
        trajectory, _ = hopper.collect(leaning, 3, zeros, gain)
        np.testing.assert_allclose(trajectory.actions, np.tanh(gain * trajectory.obs[..., :3]), rtol=1e-5, atol=1e-6)
    assert hopper.traces == 1


def test_neighbouring_run_seeds_share_no_start():
    starts = []
    for seed in (0, 1):
        one = Sampler(describe("Hopper-v5"), seeds.environments(seed, "environments", 16))
        starts.append(one.collect(as_it_comes, 1, noise_of(1, 16, 3))[0].obs[0])
        one.close()
    assert len(np.unique(np.concatenate(starts), axis=0)) == 32


def test_trajectories_do_not_depend_on_the_thread_count(sampler):
    results = [sampler("Hopper-v5", 6, threads=threads).collect(leaning, 80, noise_of(80, 6, 3), 1.0)
               for threads in (1, 2)]
    assert_equal(results[0][0], results[1][0])
    assert_equal(results[0][1], results[1][1])


def test_termination_and_truncation_are_kept_apart_and_successors_come_before_the_reset(sampler):
    trajectory, _ = sampler("TfpgLimitedCounter-v0", 16).collect(as_it_comes, 60, np.zeros((60, 16, 1), np.float32))
    count, length = trajectory.successors[..., 0], trajectory.successors[..., 1]
    # it terminates at its length; the limit of 5 steps truncates, at length 5 both are true in Gymnasium
    np.testing.assert_array_equal(trajectory.terminated, count == length)
    np.testing.assert_array_equal(trajectory.truncated, count == 5)
    assert (trajectory.truncated & ~trajectory.terminated).any()
    assert (trajectory.terminated & ~trajectory.truncated).any()
    ended = trajectory.terminated | trajectory.truncated
    assert (trajectory.successors[ended][:, 0] > 0).all()
    assert (trajectory.obs[1:][ended[:-1]][:, 0] == 0).all()
    np.testing.assert_array_equal(trajectory.obs[..., 0], trajectory.episode_step)


def test_returns_and_lengths_of_ended_episodes_are_exact_over_batches(sampler):
    counter = sampler("TfpgCounter-v0", 8)
    halves = [counter.collect(as_it_comes, 15, np.zeros((15, 8, 1), np.float32)) for _ in range(4)]
    lengths = np.concatenate([episodes.lengths for _, episodes in halves])
    returns = np.concatenate([episodes.returns for _, episodes in halves])
    ends = np.concatenate([t.successors[t.terminated][:, 0] for t, _ in halves])
    np.testing.assert_array_equal(lengths, ends)
    np.testing.assert_array_equal(returns, lengths * (lengths + 1) / 2)  # 1 + 2 + … + n


def test_discrete_actions_are_named_as_the_task_names_them(sampler):
    trajectory, _ = sampler("TfpgNamed-v0", 4).collect(coin, 12, noise_of(12, 4, 1))
    assert set(trajectory.actions.flat) == {0, 1}
    np.testing.assert_array_equal(trajectory.rewards, trajectory.actions + 5)  # Named: the reward is the name


def test_reset_all_begins_a_new_episode_everywhere(sampler):
    hopper = sampler("Hopper-v5", 4)
    before, _ = hopper.collect(as_it_comes, 5, noise_of(5, 4, 3))
    hopper.reset_all()
    after, episodes = hopper.collect(as_it_comes, 2, noise_of(2, 4, 3))
    assert (after.episode_step[0] == 0).all()
    assert (after.obs[0] != before.obs[0]).any(axis=1).all()
    assert len(episodes.lengths) == 0  # dropped, not ended


@pytest.mark.parametrize(("env_id", "act", "size"), [
    ("Hopper-v5", as_it_comes, 3), ("TfpgDrift-v0", as_it_comes, 3), ("CartPole-v1", coin, 1),
    ("TfpgNamed-v0", coin, 1)])
def test_a_restored_sampler_goes_on_bit_for_bit(sampler, env_id, act, size):
    first = sampler(env_id, 5)
    first.collect(act, 43, noise_of(43, 5, size))
    state = first.state()
    assert state.lengths.any() and state.lengths.sum() == len(state.actions)
    expected, episodes = first.collect(act, 43, noise_of(43, 5, size, seed=1))
    for other in (sampler(env_id, 5, threads=1), first):  # a new one, and the same one wound back
        other.restore(state)
        assert_equal(other.state(), state)
        actual, again = other.collect(act, 43, noise_of(43, 5, size, seed=1))
        assert_equal(actual, expected)
        assert_equal(again, episodes)


def test_an_episode_longer_than_the_first_memory_is_restored(sampler):
    slow = sampler("Pendulum-v1", 2, max_episode_steps=700)
    slow.collect(as_it_comes, 600, noise_of(600, 2, 1))
    state = slow.state()
    np.testing.assert_array_equal(state.lengths, [600, 600])
    again = sampler("Pendulum-v1", 2, max_episode_steps=700)
    again.restore(state)
    assert_equal(again.state(), state)


def test_a_state_from_before_the_first_batch_is_restored(sampler):
    untouched, used = sampler("Hopper-v5", 3), sampler("Hopper-v5", 3)
    state = untouched.state()
    used.collect(as_it_comes, 20, noise_of(20, 3, 3))
    used.restore(state)
    again, expected = (one.collect(as_it_comes, 20, noise_of(20, 3, 3))[0] for one in (used, untouched))
    assert_equal(again, expected)


def test_a_tampered_state_is_detected(sampler):
    hopper = sampler("Hopper-v5", 3)
    hopper.collect(as_it_comes, 9, noise_of(9, 3, 3))
    state = hopper.state()
    obs, actions, returns = state.obs.copy(), state.actions.copy(), state.returns.copy()
    obs[1, 2] = np.nextafter(obs[1, 2], 9)  # one bit
    actions[-1] += 0.01  # the last action of the last environment
    returns[0] = np.nextafter(returns[0], 9)
    for index, tampered in ((1, state._replace(obs=obs)), (2, state._replace(actions=actions)),
                            (0, state._replace(returns=returns)), (0, state._replace(starts=state.starts + [1, 0, 0]))):
        with pytest.raises(RunError, match=f"environment {index} of Hopper-v5 did not come back"):
            hopper.restore(tampered)
    with pytest.raises(RunError, match="does not fit 2 environments of Hopper-v5"):
        sampler("Hopper-v5", 2).restore(state)
    hopper.restore(state)
    assert_equal(hopper.state(), state)


def test_compiled_once_and_memory_flat_over_fifty_batches(sampler):
    hopper, noise = sampler("Hopper-v5", 4), noise_of(8, 4, 3)
    for _ in range(10):
        hopper.collect(leaning, 8, noise, 1.0)
    before = resident()
    for k in range(50):
        hopper.collect(leaning, 8, noise, float(k))
    assert hopper.traces == 1
    assert resident() - before < 5e6


def test_memory_grows_little_over_samplers_made_and_closed():
    task, noise = describe("Hopper-v5"), noise_of(4, 32, 3)

    def use(seed):
        one = Sampler(task, seeds.environments(seed, "environments", 32), 2)
        one.collect(as_it_comes, 4, noise)
        one.close()

    for seed in range(3):
        use(seed)
    before, threads = resident(), threads_now()
    for seed in range(20):
        use(seed)
    # pools kept alive by their compiled loops were 25 MB and 3 threads each
    assert resident() - before < 40e6
    assert threads_now() <= threads + 2


def resident():
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return status("VmRSS") * 1024


def threads_now():
    return status("Threads")


def status(name):
    """A number that Linux knows of this process."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))
