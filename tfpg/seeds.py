"""Which random stream belongs to which purpose? Every random number of a run comes from here.

A stream is named by (run seed, purpose, indices…) and hashed by NumPy's SeedSequence, so no two
purposes, iterations or environments share numbers, and runs with neighbouring seeds share none
(a base seed + i would give seeds 0 and 1 all but one environment stream in common)."""

from __future__ import annotations

import numpy as np

# The numbers are part of every run's identity: add at the end, never renumber.
PURPOSES = {
    "initialisation": 0,  # θ_0 and φ_0
    "environments": 1,  # training environments, index: environment
    "action_noise": 2,  # index: iteration (0 is the warm-up batch, k + 1 iteration k)
    "value_minibatches": 3,  # index: iteration
    "policy_minibatches": 4,  # index: iteration
    "fisher_subset": 5,  # index: iteration
    "heldout": 6,  # indices: iteration, environment
    "evaluation_environments": 7,  # index: environment
    "evaluation_noise": 8,  # indices: episode, step
    # Of instruments that look at iteration k afterwards; their seed may be another than the run's.
    "pool_environments": 9,  # indices: iteration, stream, environment
    "pool_noise": 10,  # indices: iteration, stream
    "update_minibatches": 11,  # indices: iteration, repeat; minibatch orders, or TRPO's states for the Fisher matrix
    "landscape_environments": 12,  # indices: numbers that name a point, environment
    "landscape_noise": 13,  # indices: numbers that name a point
    "directions": 14,  # indices: numbers that name a direction
    "heldout_noise": 15,  # index: iteration; `heldout` is for the environments
    "permutations": 16,  # indices: iteration, numbers; of advantages, for what chance alone would show, and offsets
    "fit_minibatches": 17,  # indices: iteration, number; a value net fitted afterwards
    "fit_initialisation": 18,  # indices: iteration, number
    "step_environments": 19,  # indices: iteration, environment; of θ_i and θ_{i+1} alike
    "step_noise": 20,  # index: iteration
    "step_iterations": 21,  # index: checkpoint; which iterations around it are looked at
}


def words(seed: int, purpose: str, *indices: int, count: int = 2) -> np.ndarray:
    """`count` uint32 words of the stream (seed, purpose, indices…).

    Args: seed: the run's seed, 0 ≤ seed < 2³². indices: non-negative integers.
    Returns: uint32 [count]. Two words, cast to int32, seed TensorFlow's stateless generators."""
    return np.random.SeedSequence((seed, PURPOSES[purpose], *indices)).generate_state(count)


def stateless(seed: int, purpose: str, *indices: int) -> np.ndarray:
    """Seed of a stateless TensorFlow generator: int32 [2]."""
    return words(seed, purpose, *indices).view(np.int32)


def environments(seed: int, purpose: str, count: int, *indices: int) -> list[int]:
    """One seed per environment, each 0 ≤ s < 2³¹ (EnvPool's seeds are int32)."""
    return [int(words(seed, purpose, *indices, i, count=1)[0] >> 1) for i in range(count)]


def generator(seed: int, purpose: str, *indices: int) -> np.random.Generator:
    """A NumPy generator on the stream, for permutations and subsets drawn outside compiled code."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, PURPOSES[purpose], *indices))))
