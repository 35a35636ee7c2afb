"""What came of each step in the end? Blocks of pairs from one stream, every episode in them played to its end.

    R_t = Σ_{u ≥ t} γ^{u−t} r_u        to the episode's end, rewards in the frozen scale of iteration k

A block is the next N pairs from the start of an episode onwards. Its last episode goes on beyond them: for an update it is
cut there, as a batch is; its returns are whole. Where the task's time limit ends an episode the return ends too, whatever
rollout.time_limit says: it is a sum of rewards that came, and holds no guess.

    with Blocks(probe, 10, 2048, seed=0) as blocks:
        block = blocks[3]        those before it are played and passed over, so that a resumed study meets the same pairs"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
import scipy.signal
import tensorflow as tf

from tfpg.algos import batches
from tfpg.diagnostics import pools
from tfpg.diagnostics.probe import Probe
from tfpg.envs.transforms import scale_rewards
from tfpg.types import Batch, Trajectory

FEW_PAIRS, MANY_PAIRS = 10_000, 500_000  # in all, between which a stream is played in pools.MANY_ENVS environments


class Block(NamedTuple):
    """Whole episodes of π_θk, the first N pairs of which are the block."""

    pairs: int  # N
    trajectory: Trajectory  # [n ≥ N, 1, …]  raw, to the end of the last episode
    returns: np.ndarray  # [n] float64  R_t

    @property
    def cut(self) -> Trajectory:
        """The N pairs alone."""
        return pools.first(self.trajectory, self.pairs)


class Blocks:
    """Blocks of `pairs` pairs from one stream, read forwards.

    Args: number: the stream's, which no other purpose has. count: blocks there will be, which with `pairs` decides in how many
    environments the stream is played: part of its identity. seed: the instrument's. threads: of EnvPool.
    To be closed, or used in a `with`; nothing is played before the first block is asked for."""

    def __init__(self, probe: Probe, number: int, pairs: int, *, count: int, seed: int, threads: int = 2):
        self._probe, self._number, self._pairs, self._seed, self._threads = probe, number, pairs, seed, threads
        total = pairs * count
        self.envs = pools.FEW_ENVS if total < FEW_PAIRS else pools.MANY_ENVS if total < MANY_PAIRS else pools.SLOTS
        self._stream: pools.Stream | None = None
        self._next = 0

    def __getitem__(self, index: int) -> Block:
        """Block `index`. Errors: ValueError for one that was passed already."""
        if index < self._next:
            raise ValueError(f"block {index} was passed: the stream stands before block {self._next}")
        while True:
            parts = self._read()
            self._next += 1
            if self._next > index:
                trajectory = Trajectory(*(np.concatenate(column) for column in zip(*parts, strict=True)))
                return Block(self._pairs, trajectory, returns(self._probe, trajectory))

    def close(self) -> None:
        """Frees the environments."""
        if self._stream is not None:
            self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _read(self) -> list[Trajectory]:
        if self._stream is None:
            self._stream = pools.Stream(self._probe, self._number, seed=self._seed, threads=self._threads, envs=self.envs)
        return [*self._stream.take(self._pairs), self._stream.rest()]


def returns(probe: Probe, trajectory: Trajectory) -> np.ndarray:
    """R_t of whole episodes. Args: trajectory: [n, 1, …], its last row the end of an episode. Returns: [n] float64."""
    rewards = scale_rewards(trajectory.rewards[:, 0], probe.normaliser.reward, probe.config.code_level).numpy().astype(np.float64)
    ends = np.flatnonzero(trajectory.terminated[:, 0] | trajectory.truncated[:, 0]) + 1
    if not ends.size or ends[-1] != len(rewards):
        raise ValueError("the last episode has not ended: its returns are not known")
    found, gamma = np.empty_like(rewards), probe.config.advantages.gamma
    for begin, end in zip([0, *ends[:-1]], ends, strict=True):
        # R_t = r_t + γ R_{t+1}, a recursion that runs backwards
        found[begin:end] = scipy.signal.lfilter([1.0], [1.0, -gamma], rewards[begin:end][::-1])[::-1]
    return found


def dead(probe: Probe, trajectory: Trajectory) -> np.ndarray:
    """Rows that end an episode for the learner, bool [B]: what relative errors leave out, as in training's metrics."""
    terminal = probe.config.rollout.time_limit == "terminal"
    return trajectory.terminated[:, 0] | trajectory.truncated[:, 0] & terminal


def prepared(probe: Probe, trajectory: Trajectory, phi, v) -> Batch:
    """The batch that training would make of these pairs if φ and V were these; not compiled, for every length is another program.

    Args: v: (φ, critic observations) ↦ [n]. Returns: NumPy."""
    config = probe.config
    made = batches.prepare(
        Trajectory(*map(tf.constant, trajectory)), probe.normaliser, tf.constant(phi), v, time_limit=probe.task.time_limit,
        rollout=config.rollout, advantages=config.advantages, value=config.value, code_level=config.code_level)
    return Batch(*map(np.asarray, made))
