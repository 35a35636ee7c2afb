"""What does the learner see of a trajectory? The batch: normalised, flattened, with advantages and value targets.

Pure functions: training makes its batches with them, and an instrument that repeats an update makes the same ones."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfpg.config import Advantages, CodeLevel, Rollout, Value
from tfpg.envs.transforms import normalise_observation, scale_rewards, time_feature
from tfpg.numerics import returns
from tfpg.types import Batch, Normaliser, Tensor, Trajectory


def prepare(
        trajectory: Trajectory, normaliser: Normaliser, phi: Tensor, v: Callable, *, time_limit: int | None,
        rollout: Rollout, advantages: Advantages, value: Value, code_level: CodeLevel) -> Batch:
    """The B = T·N pairs of a trajectory as an update takes them.

        Â = GAE of the scaled rewards under V_φ,   V_targ = V_φ(s) + Â   or the discounted return (value.target)

    Each column of the trajectory is one stream in time: N environments for T steps, or one stream of B steps in which
    episode follows episode. A last row that has not ended its episode is bootstrapped from its successor.
    Args: trajectory: raw, T known when traced. normaliser: frozen. v: (φ [Q], critic observations [n, S]) ↦ [n].
    time_limit: the task's, steps. rollout: says what an episode counts as that the clock ended.
    Returns: rows time-major, advantages un-normalised."""
    timed = value.target == "returns"

    def judged(obs, episode_step):
        return _with_time(obs, episode_step, time_limit) if timed else obs

    obs = normalise_observation(trajectory.obs, normaliser.observation, code_level)
    successors = normalise_observation(trajectory.successors, normaliser.observation, code_level)
    critic_obs = judged(obs, trajectory.episode_step)
    critic_successors = judged(successors, trajectory.episode_step + 1)
    values, next_values = _values(v, phi, critic_obs), _values(v, phi, critic_successors)
    rewards = scale_rewards(trajectory.rewards, normaliser.reward, code_level)
    ended = trajectory.terminated | trajectory.truncated
    # Differs: the correct estimator bootstraps where only the clock ended the episode; the authors did not.
    dead = ended if rollout.time_limit == "terminal" else trajectory.terminated
    gamma, lam = advantages.gamma, advantages.lam
    estimates = returns.gae(rewards, values, next_values, dead, ended, gamma=gamma, lam=lam)
    if timed:
        targets = returns.discounted_returns(rewards, next_values, dead, ended, gamma=gamma)
    else:
        targets = values + estimates
    rows = (obs, critic_obs, trajectory.actions, estimates, targets, values)
    return Batch(*(tf.reshape(x, [-1, *x.shape[2:]]) for x in rows))


def _with_time(obs: Tensor, episode_step: Tensor, time_limit: int | None) -> Tensor:
    """[T, N, S + 1]: a value net that predicts a finite return needs to know how much of the episode is left."""
    return tf.concat([obs, time_feature(episode_step, time_limit)[..., tf.newaxis]], axis=-1)


def _values(v: Callable, phi: Tensor, critic_obs: Tensor) -> Tensor:
    time, envs, size = critic_obs.shape
    return tf.reshape(v(phi, tf.reshape(critic_obs, [time * envs, size])), [time, envs])
