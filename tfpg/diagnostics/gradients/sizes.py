"""Which sample sizes can a reference judge? Needs no TensorFlow: a launcher refuses bad sizes before its seconds."""

from __future__ import annotations

from collections.abc import Iterable

GROUPS = 10  # that a reference is made of
SHARE = 5  # sizes above a fifth of their reference are dropped: it would lack less than they do, but not much less
LEAST_STEP = 640  # pairs: PPO's epochs have 32 minibatches, and a step from fewer than 20 pairs each is their noise
LEAST_MINIBATCH = 2  # pairs: one alone has no spread to normalise advantages by


def usable(sizes: Iterable[int], reference_pairs: int, least: int = 1) -> tuple[int, ...]:
    """The sizes that a reference of so many pairs can judge, ascending. Args: least: smallest that makes sense."""
    return tuple(size for size in sorted(set(sizes)) if least <= size and SHARE * size <= reference_pairs)


def least_step(minibatches: int) -> int:
    """Fewest pairs of a step. Args: minibatches: an epoch, of the run's own; 1 where there are none."""
    return max(LEAST_STEP, LEAST_MINIBATCH * minibatches)
