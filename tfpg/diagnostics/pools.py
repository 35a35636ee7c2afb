"""Which pairs may a policy be judged on that it was not made from? Pools: a stream of whole episodes in order of their start.

N pairs are the first N of the stream; the last episode is cut there, and bootstrapped like the end of a training batch.
Never the first steps of many fresh environments: 2048 pairs of 32 would be 64 early steps each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfpg import seeds
from tfpg.diagnostics.probe import Probe
from tfpg.diagnostics.returns import LIMIT
from tfpg.envs.episodes import EpisodeSampler
from tfpg.types import Trajectory

# Environments a stream is played in: part of its identity (episode m is a start of environment m mod N), so it depends on
# the number of pairs alone. Few for small pools, for every environment plays whole episodes.
FEW_ENVS, MANY_ENVS, MANY_PAIRS = 8, 64, 10_000
SLOTS = 512  # as for returns: streams that are played together


def draw(probe: Probe, pairs: int, stream: int, *, seed: int, threads: int = 2) -> Trajectory:
    """`pairs` transitions of π_θk.

    Args: stream: which; others share no random number. seed: the instrument's.
    Returns: Trajectory [B, 1, …], raw, episode after episode. Errors: as of tfpg.envs.episodes."""
    return draw_many(probe, pairs, [stream], seed=seed, threads=threads)[0]


def draw_many(probe: Probe, pairs: int, streams: Sequence[int], *, seed: int, threads: int = 2) -> list[Trajectory]:
    """One pool a stream, many played at once. A pool does not depend on those beside it. Args: as of `draw`."""
    envs = MANY_ENVS if pairs >= MANY_PAIRS else FEW_ENVS
    together = max(1, SLOTS // envs)
    pools: list[Trajectory] = []
    for first in range(0, len(streams), together):
        pools += _drawn(probe, pairs, streams[first:first + together], envs, seed, threads)
    return pools


def clusters(trajectory: Trajectory) -> np.ndarray:
    """Which rows hang together, int [T·N] time-major: whole episodes of a pool [B, 1], environments of a training batch.

    Differences between rows of one environment's episodes are not independent; those of several environments are."""
    rewards = np.asarray(trajectory.rewards)
    if rewards.shape[1] > 1:
        return np.tile(np.arange(rewards.shape[1]), rewards.shape[0])
    ended = np.asarray(trajectory.terminated | trajectory.truncated)[:, 0]
    return np.concatenate([[0], np.cumsum(ended)[:-1]]).astype(np.int64)


def _drawn(probe: Probe, pairs: int, streams: Sequence[int], envs: int, seed: int, threads: int) -> list[Trajectory]:
    k = probe.iteration
    sampler = EpisodeSampler(
        probe.task, [seeds.environments(seed, "pool_environments", envs, k, stream) for stream in streams],
        points=len(streams), threads=threads, patience=probe.patience)
    noise = [[int(word) for word in seeds.words(seed, "pool_noise", k, stream)] for stream in streams]
    thetas = np.tile(probe.theta, (len(streams), 1))
    max_steps = LIMIT if probe.task.time_limit is None else None
    parts: list[list[Trajectory]] = [[] for _ in streams]
    sizes, first = np.zeros(len(streams), np.int64), 0
    try:
        while sizes.min() < pairs:  # one episode of each environment at a time, until all streams are long enough
            played = sampler.collect(probe.act, envs, noise, thetas, first_episode=first, max_steps=max_steps,
                                     noise_kind=probe.noise_kind)
            first += envs
            for i, part in enumerate(played):
                if sizes[i] < pairs:
                    parts[i].append(_ended(part, max_steps))
                    sizes[i] += len(part.rewards)
    finally:
        sampler.close()
    return [Trajectory(*(np.concatenate(column)[:pairs] for column in zip(*stream, strict=True))) for stream in parts]


def _ended(part: Trajectory, max_steps: int | None) -> Trajectory:
    """Episodes cut by max_steps end there for the estimator too: as if by a time limit."""
    return part if max_steps is None else part._replace(truncated=part.truncated | (part.episode_step + 1 >= max_steps) & ~part.terminated)
