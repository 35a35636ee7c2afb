"""What does the learner see of what the environment gave? Normalised observations, scaled rewards, the time feature.

Functions of statistics and settings; nothing here remembers. The statistics are frozen while a batch is collected
and used, so a snapshot means one thing and the ratio before an update is 1.
Differs: the authors' filters move at every step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tfpg.config import CodeLevel
from tfpg.numerics import moments as stats
from tfpg.types import Moments, Tensor

# A spread below this share of the mean is rounding, not variation: sums over 10⁶ float64 samples are right to about
# 1e-14, and one float32 sample in 10⁶ that differs in its last bit makes a spread of 6e-11. Without it a dimension
# that has never varied would be divided by its rounding error.
ROUNDING = 1e-12
UNLIMITED_TIME = 1000  # scale of the time feature where the task has no time limit: that of the MuJoCo tasks


def normalise_observation(obs, moments: Moments, code_level: CodeLevel) -> Tensor:
    """Observations as the networks see them.

        z = clip((s − mean) / std, ± √count),   then clip(z, ± observation_clip)

    Dimensions that have not varied have scale 1; without samples z = s. A sample cannot lie further than √count
    standard deviations from the mean of a set it belongs to: the authors' moving filter obeys that bound by
    construction, and a frozen one must be given it (6 of Humanoid's 348 dimensions have next to no spread in the
    first batch and would reach 10¹⁰ later).
    Args: obs: [..., S], the environment's units. moments: of observations, [S].
    Returns: float32 [..., S]."""
    z = _standardise(obs, moments) if code_level.observation_normalisation else tf.cast(obs, tf.float64)
    return tf.cast(_clip(z, code_level.observation_clip), tf.float32)


def scale_rewards(rewards, moments: Moments, code_level: CodeLevel) -> Tensor:
    """Rewards as the learner sees them, by code_level.reward_scaling.

        none      r
        returns   clip(r / std, ± √count),                      moments of the running discounted return
        rewards   clip((r − mean) / std, ± √count) + mean,      moments of the raw rewards

    then, where there is scaling, clip(·, ± reward_clip). Scale 1 and no bound as for observations: the bound keeps
    a reward finite that is huge beside a spread seen only in a short first batch.
    Args: rewards: [...], raw. moments: [], of what the scaling needs (`none`: anything).
    Returns: float32 [...]."""
    scale = _reward_scaling(code_level).scale
    if scale is None:
        return tf.cast(rewards, tf.float32)
    return tf.cast(_clip(scale(tf.cast(rewards, tf.float64), moments), code_level.reward_clip), tf.float32)


def reward_statistic(rewards, discounted, code_level: CodeLevel) -> Tensor:
    """What the reward's moments are taken of: the rewards, or the running discounted returns. Args and returns: [T, N]."""
    return _reward_scaling(code_level).statistic(rewards, discounted)


def time_feature(episode_step, time_limit: int | None) -> Tensor:
    """How far into its episode a state is, t / time_limit: what a value net needs to predict a finite return.

    Args: episode_step: [...] t, 0 at a start state. time_limit: steps, None = the task has none (t / 1000).
    Returns: float32 [...], in [0, 1] where there is a time limit."""
    return tf.cast(episode_step, tf.float32) / float(time_limit or UNLIMITED_TIME)


class _RewardScaling(NamedTuple):
    """One way to scale rewards."""

    statistic: Callable[[Tensor, Tensor], Tensor]  # (rewards, running discounted returns) ↦ what the moments are of
    scale: Callable[[Tensor, Moments], Tensor] | None  # (rewards, moments) ↦ scaled rewards, float64; None = identity


def _reward_scaling(code_level: CodeLevel) -> _RewardScaling:
    return {
        "none": _RewardScaling(lambda rewards, discounted: discounted, None),
        "returns": _RewardScaling(
            lambda rewards, discounted: discounted, lambda r, moments: _bound(r / scale(moments), moments)),
        "rewards": _RewardScaling(
            lambda rewards, discounted: rewards, lambda r, moments: _standardise(r, moments) + moments.mean),
    }[code_level.reward_scaling]


def _standardise(x, moments: Moments) -> Tensor:
    """(x − mean) / scale within ± √count, float64."""
    return _bound((tf.cast(x, tf.float64) - moments.mean) / scale(moments), moments)


def scale(moments: Moments) -> Tensor:
    """What is divided by: the standard deviation, 1 where nothing has varied. The test is relative, for units may be 1e-8
    or 1e8."""
    std = stats.std(moments)
    return tf.where(std > ROUNDING * tf.abs(moments.mean), std, tf.ones_like(std))


def _bound(z: Tensor, moments: Moments) -> Tensor:
    """z within ± √count, untouched while there are no samples."""
    limit = tf.where(moments.count > 0, tf.sqrt(moments.count), tf.constant(math.inf, tf.float64))
    return tf.clip_by_value(z, -limit, limit)


def _clip(x: Tensor, limit: float | None) -> Tensor:
    """x within ± limit; None = identity."""
    return x if limit is None else tf.clip_by_value(x, -limit, limit)
