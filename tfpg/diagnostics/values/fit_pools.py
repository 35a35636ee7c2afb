"""What is V* fitted to? States of very many whole episodes as the value net sees them, with their returns, held in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tfpg.algos.steps import shares_weights
from tfpg.diagnostics.blocks import Blocks
from tfpg.diagnostics.probe import Probe
from tfpg.envs.transforms import normalise_observation, time_feature
from tfpg.errors import UserError
from tfpg.types import Trajectory

STREAM = 12
BLOCK = 50_000  # pairs played and reduced at a time
TENTH = 10  # every tenth episode checks
MAX_BYTES = 2 * 2**30  # of a pool, which takes twice as much while it is put together: beyond it a machine of 8 GB would swap


class FitPool(NamedTuple):
    """Whole episodes as V sees them."""

    critic_obs: np.ndarray  # [B, S], or [B, S + 1] with the time feature, float32
    returns: np.ndarray  # [B] float32
    checks: np.ndarray  # [B] bool  in the tenth of the episodes that is not fitted to
    episodes: int


def megabytes(probe: Probe, pairs: int) -> float:
    """What a pool of so many pairs takes. Errors: UserError where that is more than may be held."""
    each = 4 * (probe.task.obs_size + timed(probe) + 1) + 1
    if pairs * each > MAX_BYTES:
        raise UserError(f"fit_pairs={pairs} of {probe.task.id} would take {pairs * each / 2**30:.1f} GB: at most "
                        f"{MAX_BYTES // each // 10_000 * 10_000} pairs fit into {MAX_BYTES / 2**30:.0f} GB.")
    return pairs * each / 2**20


def pool_of(probe: Probe, pairs: int, *, seed: int, threads: int = 2,
            progress: Callable[[int], None] = lambda pairs: None) -> FitPool:
    """Whole episodes of at least `pairs` pairs. Args: progress: called with the pairs of each block.

    Errors: UserError where they would not fit into memory."""
    megabytes(probe, pairs)
    count = -(-pairs // BLOCK)
    each = -(-pairs // count)
    seen, returns, episodes = [], [], []
    with Blocks(probe, STREAM, each, count=count, seed=seed, threads=threads) as blocks:
        for index in range(count):
            block = blocks[index]
            seen.append(critic_obs(probe, block.trajectory))
            returns.append(block.returns.astype(np.float32))
            episodes.append(block.trajectory.episode_step[:, 0] == 0)
            progress(min(each, pairs - index * each))
    number = np.cumsum(np.concatenate(episodes)) - 1
    if number[-1] + 1 < 2 * TENTH:
        raise UserError(f"fit_pairs={pairs} are {number[-1] + 1} episodes of {probe.task.id}: a tenth of them is too few to "
                        f"check a fit on; give at least {2 * TENTH * -(-pairs // int(number[-1] + 1))}.")
    return FitPool(np.concatenate(seen), np.concatenate(returns), number % TENTH == TENTH - 1, int(number[-1]) + 1)


def critic_obs(probe: Probe, trajectory: Trajectory) -> np.ndarray:
    """What V sees of each row, float32 [B, S] or [B, S + 1]."""
    seen = normalise_observation(trajectory.obs[:, 0], probe.normaliser.observation, probe.config.code_level).numpy()
    if not timed(probe):
        return seen
    return np.column_stack([seen, time_feature(trajectory.episode_step[:, 0], probe.task.time_limit).numpy()])


def timed(probe: Probe) -> bool:
    """Whether V sees the time."""
    return probe.config.value.target == "returns" and not shares_weights(probe.config.algorithm)
