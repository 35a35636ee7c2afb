"""Which pairs may a policy be judged on that it was not made from? Pools: a stream of whole episodes in order of their start.

N pairs are the first N of the stream; the last episode is cut there, and bootstrapped like the end of a training batch.
Never the first steps of many fresh environments: 2048 pairs of 32 would be 64 early steps each.

    draw(probe, 20_000, 0, seed=0)              one Trajectory
    with Stream(probe, 2, seed=0) as stream:
        for part in stream.take(10**7): …       the same, a part at a time: memory does not grow with the pairs

Streams that are spoken for; a tuple such as (3, 2048, 0) is a stream by itself:
    0 held-out pairs            2 gradient references       5 step references                  1000… repeated updates
    1 recomputed steps          3 gradient estimates        10 … 19 value prediction"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import numpy as np
import tensorflow as tf

from tfpg import seeds
from tfpg.diagnostics.probe import Probe
from tfpg.diagnostics.returns import LIMIT
from tfpg.envs.episodes import EpisodeSampler
from tfpg.types import Trajectory

# Environments a stream is played in: part of its identity (episode m is a start of environment m mod N), so it depends on
# the number of pairs alone. Few for small pools, for every environment plays whole episodes.
FEW_ENVS, MANY_ENVS, MANY_PAIRS = 8, 64, 10_000
SLOTS = 512  # as for returns: streams that are played together, or environments of a long stream
PART_PAIRS = 65_536  # pairs of a long stream that are held at a time: Hopper's take 8 MB, Humanoid's 190


def draw(probe: Probe, pairs: int, stream: int, *, seed: int, threads: int = 2) -> Trajectory:
    """`pairs` transitions of π_θk.

    Args: stream: which; others share no random number. seed: the instrument's.
    Returns: Trajectory [B, 1, …], raw, episode after episode. Errors: as of tfpg.envs.episodes."""
    return draw_many(probe, pairs, [stream], seed=seed, threads=threads)[0]


def draw_many(probe: Probe, pairs: int, streams: Sequence[int], *, seed: int, threads: int = 2) -> list[Trajectory]:
    """One pool a stream, many played at once. A pool does not depend on those beside it. Args: as of `draw`."""
    envs = environments_for(pairs)
    together = max(1, SLOTS // envs)
    pools: list[Trajectory] = []
    for begin in range(0, len(streams), together):
        pools += _drawn(probe, pairs, streams[begin:begin + together], envs, seed, threads)
    return pools


def whole_episodes(sampler: EpisodeSampler, act: Callable, pairs: int, noise: Sequence[Sequence[int]], *arguments: Any,
                   noise_kind: str) -> list[Trajectory]:
    """At least `pairs` transitions of each of K points in whole episodes, in order of their starts.

    One episode of each environment at a time. A point that has enough keeps nothing more, and rests when all after it have
    enough too: those that need most are best put first.
    Args: sampler: at its environments' first starts. act, noise, arguments, noise_kind: as of EpisodeSampler.
    Returns: Trajectory [B, 1, …] a point, B ≥ pairs."""
    max_steps = LIMIT if sampler.task.time_limit is None else None
    parts: list[list[Trajectory]] = [[] for _ in noise]
    sizes, start = np.zeros(len(noise), np.int64), 0
    while sizes.min() < pairs:
        playing = int(np.flatnonzero(sizes < pairs)[-1]) + 1
        theirs = tf.nest.map_structure(lambda leaf, n=playing: leaf[:n], arguments)
        played = sampler.collect(act, sampler.num_envs, noise[:playing], *theirs, first_episode=start, max_steps=max_steps,
                                 noise_kind=noise_kind)
        start += sampler.num_envs
        for i, part in enumerate(played):
            if sizes[i] < pairs:
                parts[i].append(_ended(part, max_steps))
                sizes[i] += len(part.rewards)
    return [Trajectory(*(np.concatenate(column) for column in zip(*point, strict=True))) for point in parts]


def first(trajectory: Trajectory, pairs: int) -> Trajectory:
    """Its first pairs, a view."""
    return Trajectory(*(column[:pairs] for column in trajectory))


def environments_for(pairs: int) -> int:
    """How many a pool of so many pairs is played in."""
    return MANY_ENVS if pairs >= MANY_PAIRS else FEW_ENVS


class Stream:
    """Whole episodes of π_θk without end, in order of their starts, read onwards.

    Args: probe: anything with task, theta, act, noise_kind, patience, iteration. number: which stream; others share no random
        number. seed: the instrument's. envs: environments it is played in: part of its identity.
    To be closed, or used in a `with`. Errors: as of tfpg.envs.episodes."""

    def __init__(self, probe: Probe, number: int | tuple[int, ...], *, seed: int, threads: int = 2, envs: int = SLOTS):
        self._probe, self._envs, self._seed = probe, envs, seed
        self._max_steps = LIMIT if probe.task.time_limit is None else None
        self._sampler = EpisodeSampler(probe.task, self._named(number), threads=threads, patience=probe.patience)

    def restart(self, number: int | tuple[int, ...]) -> None:
        """From here on it is the stream with another number, or the same one from its beginning; what is compiled stays."""
        self._sampler.renew(self._named(number))

    def _named(self, number: int | tuple[int, ...]) -> list[int]:
        """Sets everything that a stream's number decides. Returns: the seeds of its environments."""
        k, name = self._probe.iteration, (number,) if isinstance(number, int) else tuple(number)
        self._noise = [int(word) for word in seeds.words(self._seed, "pool_noise", k, *name)]
        self._first = 0  # episode to be played next
        self._round: int | None = None  # pairs of an episode of each environment, as last seen
        self._left: Trajectory | None = None  # played, and not read yet
        return seeds.environments(self._seed, "pool_environments", self._envs, k, *name)

    def take(self, pairs: int) -> Iterator[Trajectory]:
        """The next `pairs` transitions in parts [B, 1, …] of at most PART_PAIRS; a part ends where an episode does, if one of
        that length can, and the last one where the pairs do. To be read to its end before the next is asked for."""
        while pairs > 0:
            part = self._next(pairs)
            size = min(len(part.rewards), pairs)
            if size > PART_PAIRS:
                ended = np.flatnonzero((part.terminated | part.truncated)[:PART_PAIRS])
                size = int(ended[-1]) + 1 if ended.size else PART_PAIRS
            self._left = Trajectory(*(column[size:] for column in part))
            pairs -= size
            yield first(part, size)

    def skip(self, pairs: int) -> None:
        """Passes over the next `pairs` transitions."""
        for _ in self.take(pairs):
            pass

    def align(self) -> None:
        """Goes on to the start of the next episode, where the last pairs ended within one."""
        self.rest()

    def rest(self) -> Trajectory:
        """What the last pairs cut off of their last episode, [B, 1, …]; nothing, B = 0, where they ended with one."""
        # Whole episodes are played: the rest of one stands wholly before the next one's start.
        part = self._left if self._left is not None else self._next(1)
        starts = np.flatnonzero(part.episode_step[:, 0] == 0)
        size = int(starts[0]) if starts.size else len(part.rewards)
        self._left = Trajectory(*(column[size:] for column in part))
        return Trajectory(*(column[:size] for column in part))

    def close(self) -> None:
        """Frees the environments."""
        self._sampler.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _next(self, wanted: int) -> Trajectory:
        """What is played and not read, or the next episodes. How many at a time changes no result."""
        if self._left is None or not len(self._left.rewards):
            probe = self._probe
            # Several rounds at once leave fewer environments idle at their end; short episodes would make tiny parts.
            rounds = 1 if self._round is None else max(1, min(2 * PART_PAIRS // self._round, -(-wanted // self._round)))
            part, = self._sampler.collect(probe.act, rounds * self._envs, self._noise, np.asarray(probe.theta)[np.newaxis],
                                          first_episode=self._first, max_steps=self._max_steps, noise_kind=probe.noise_kind)
            self._first += rounds * self._envs
            self._left, self._round = _ended(part, self._max_steps), -(-len(part.rewards) // rounds)
        return self._left


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
    try:
        played = whole_episodes(sampler, probe.act, pairs, noise, thetas, noise_kind=probe.noise_kind)
    finally:
        sampler.close()
    return [first(stream, pairs) for stream in played]


def _ended(part: Trajectory, max_steps: int | None) -> Trajectory:
    """Episodes cut by max_steps end there for the estimator too: as if by a time limit."""
    return part if max_steps is None else part._replace(truncated=part.truncated | (part.episode_step + 1 >= max_steps) & ~part.terminated)
