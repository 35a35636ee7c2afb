import signal
import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from tfpg.envs.guard import EnvironmentHangs
from tfpg.errors import RunError

ZEROS = np.zeros((10, 3, 1), np.float32)


def as_it_comes(obs, noise):
    return noise


def nan_in_the_third(obs, noise):
    return noise + tf.where(obs[:, :1] == 2, [[0.0], [0.0], [np.nan]], 0.0)


def wrong_shape(obs, noise):
    return tf.concat([noise, noise], axis=1)


def wrong_type(obs, noise):
    return tf.cast(noise, tf.float64)


@pytest.mark.parametrize(("how", "sentence"), [
    ("nan_obs", "returned a non-finite observation (nan in component 1)"),
    ("nan_reward", "returned the non-finite reward nan"),
    ("shape", "returned an observation of shape (5,) instead of (2,)"),
    ("raise", "raised ValueError: the motor is hot"),
    ("exit", "raised SystemExit: enough"),
    ("panic", "raised Panic: the motor is gone"),
    ("huge", "returned an observation beyond float32 (4e+39 in component 0)"),
    ("huge_reward", "returned the reward -1e+39, which is beyond float32"),
    ("text", "returned an observation that is no vector of numbers but ndarray"),
    ("none", "returned an observation that is no vector of numbers but NoneType"),
    ("ragged", "returned an observation that is no vector of numbers but list"),
    ("no_reward", "returned the reward None, which is no number"),
    ("two_rewards", "returned the reward array([1., 1.]), which is no number"),
    ("perhaps", "returned terminated None, which is neither true nor false"),
    ("both", "returned terminated array([ True, False]), which is neither true nor false"),
])
def test_a_broken_environment_is_named_in_one_sentence(sampler, how, sentence):
    broken = sampler("TfpgBroken-v0", 3, how=how)
    with pytest.raises(RunError) as error:
        broken.collect(as_it_comes, 10, ZEROS)
    assert str(error.value) == f"environment 0 of TfpgBroken-v0 {sentence} at step 3 of its episode."
    if how == "raise":
        assert isinstance(error.value.__cause__, ValueError)


@pytest.mark.parametrize(("env_id", "how", "sentence"), [
    # a time limit's wrapper unpacks the answer before we see it
    ("TfpgUnlimitedBroken-v0", "four", "returned 4 things from step instead of observation, reward, terminated, truncated and info at step 3"),
    ("TfpgBroken-v0", "four", "raised ValueError: not enough values to unpack (expected 5, got 4) at step 3"),
    ("TfpgUnlimitedBroken-v0", "bare_reset", "returned ndarray from reset instead of observation and info at step 0"),
])
def test_an_environment_of_an_older_interface_is_named(sampler, env_id, how, sentence):
    with pytest.raises(RunError) as error:
        sampler(env_id, 3, how=how).collect(as_it_comes, 10, ZEROS)
    assert str(error.value) == f"environment 0 of {env_id} {sentence} of its episode."


@pytest.mark.parametrize(("act", "sentence"), [
    (nan_in_the_third, "a non-finite action [nan] for environment 2 of TfpgBroken-v0 at step 2 of its episode."),
    (wrong_shape,
     "float32 actions of shape (3, 2), but TfpgBroken-v0 with 3 environments takes float32 (3, 1)."),
    (wrong_type,
     "float64 actions of shape (3, 1), but TfpgBroken-v0 with 3 environments takes float32 (3, 1)."),
])
def test_a_policy_that_acts_wrongly_is_named_in_one_sentence(sampler, act, sentence):
    with pytest.raises(RunError) as error:
        sampler("TfpgBroken-v0", 3).collect(act, 10, ZEROS)
    assert str(error.value) == "the policy produced " + sentence


def test_envpool_sees_no_nan_action(sampler):
    with pytest.raises(RunError, match="non-finite action .* for environment 1 of Hopper-v5 at step 0 of its episode"):
        hopper = sampler("Hopper-v5", 2)
        hopper.collect(lambda obs, noise: noise + [[0.0], [np.inf]], 2, np.zeros((2, 2, 3), np.float32))


def test_an_unknown_discrete_action_is_named(sampler):
    with pytest.raises(RunError, match="unknown action 2 for environment 0 of CartPole-v1"):
        sampler("CartPole-v1", 2).collect(lambda obs, noise: tf.constant([2, 0]), 2, np.zeros((2, 2, 1), np.float32))


def test_a_policy_that_raises_while_compiling_raises_its_own_error(sampler):
    def raising(obs, noise):
        raise KeyError("no such weight")

    with pytest.raises(KeyError, match="no such weight"):
        sampler("TfpgCounter-v0", 3).collect(raising, 10, ZEROS)


def test_a_hanging_environment_is_named_after_patience(sampler):
    # One environment: its thread is one of TensorFlow's own, which no rollout can use while it hangs.
    hanging = sampler("TfpgBroken-v0", 1, how="hang", patience=1.0)
    began = time.monotonic()
    with pytest.raises(EnvironmentHangs, match=r"environment 0 of TfpgBroken-v0 has not answered for 1 s"):
        hanging.collect(as_it_comes, 10, ZEROS[:, :1])
    hanging.close()  # at once
    assert time.monotonic() - began < 2.4


def test_slow_compilation_is_no_silence(sampler):
    def slow_to_compile(obs, noise):
        time.sleep(1.0)
        return noise

    sampler("TfpgCounter-v0", 3, patience=0.3).collect(slow_to_compile, 10, ZEROS)


def test_many_steps_each_within_patience_are_no_silence(sampler):
    # 3 environments × 20 steps × 10 ms
    sampler("TfpgSlow-v0", 3, patience=0.3).collect(as_it_comes, 20, np.zeros((20, 3, 1), np.float32))


def interrupt_soon():
    threading.Timer(0.5, lambda: signal.raise_signal(signal.SIGINT)).start()


def test_ctrl_c_ends_a_rollout_at_once_and_the_sampler_can_be_wound_back(sampler):
    slow = sampler("TfpgSlow-v0", 2)
    slow.collect(as_it_comes, 3, np.zeros((3, 2, 1), np.float32))
    state = slow.state()
    interrupt_soon()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        slow.collect(as_it_comes, 2000, np.zeros((2000, 2, 1), np.float32))  # 40 s
    assert time.monotonic() - began < 4
    slow.restore(state)
    trajectory, _ = slow.collect(as_it_comes, 1, np.zeros((1, 2, 1), np.float32))
    np.testing.assert_array_equal(trajectory.obs[0, :, 0], [3, 3])


def test_ctrl_c_ends_an_evaluation(episode_sampler):
    slow = episode_sampler("TfpgSlow-v0", 2)
    interrupt_soon()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        slow.run(as_it_comes, 2, 0)
    assert time.monotonic() - began < 4


def test_rollouts_work_in_other_threads(sampler):
    counter, lengths = sampler("TfpgCounter-v0", 3), []
    thread = threading.Thread(target=lambda: lengths.append(len(counter.collect(as_it_comes, 10, ZEROS)[0].obs)))
    thread.start()
    thread.join()
    assert lengths == [10]


def test_an_evaluation_names_the_environment_that_broke(episode_sampler):
    with pytest.raises(RunError, match="environment 0 of TfpgBroken-v0 raised ValueError: the motor is hot at step 3"):
        episode_sampler("TfpgBroken-v0", 3, how="raise").run(as_it_comes, 3, 0)
