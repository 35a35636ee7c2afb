"""Where in a stream does a small estimate begin? At a random place, so that it holds early and late steps as a stream does.

A stream stands at an episode's start whenever an estimate is asked for. Read from there, 500 pairs of episodes of 1,000 steps
would be early steps alone: on Hopper their gradients have a sixth of the variance a pair. Offsets at equal distances do not
help: they may meet the same steps of every episode."""

from __future__ import annotations

from tfpg import seeds

SPREAD = 10_000  # pairs within which an estimate lies: ten of the longest episodes of MuJoCo's tasks
_OFFSETS = 1000  # tells these numbers from permutations, which are named by the stream at this place


def offset(pairs: int, *name: int, spread: int, seed: int, iteration: int) -> int:
    """How many pairs to pass over before an estimate of `pairs`: uniform on 0 … spread − pairs, 0 where pairs ≥ spread.

    Args: name: the stream, its pairs and the estimate. seed: the instrument's. iteration: k."""
    if pairs >= spread:
        return 0
    return int(seeds.generator(seed, "permutations", iteration, _OFFSETS, *name).integers(spread - pairs + 1))


def expected(pairs: int, spread: int) -> int:
    """Its mean, for what an estimate costs."""
    return max(spread - pairs, 0) // 2
