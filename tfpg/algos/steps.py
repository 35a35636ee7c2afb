"""By which rule does the policy move, and what does chance decide in it? One function for every algorithm.

Training and the instruments that repeat an update call the same: a step is a function of θ, slots, batch and draws."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfpg import seeds
from tfpg.algos.critic import value_objective
from tfpg.algos.ppo import ppo_update
from tfpg.algos.trpo import trpo_update
from tfpg.config import CodeLevel, Optimiser, Ppo, Trpo
from tfpg.types import Batch, PpoUpdate, Slots, Tensor, TrpoUpdate


def shares_weights(algorithm: Trpo | Ppo) -> bool:
    """Whether θ and φ are one vector."""
    return isinstance(algorithm, Ppo) and algorithm.shared_weights


def policy_step(
        pi: Callable, v: Callable, theta: Tensor, slots: Slots, batch: Batch, draws: Tensor, *, plan: dict[str, Tensor],
        algorithm: Trpo | Ppo, optimiser: Optimiser, code_level: CodeLevel) -> TrpoUpdate | PpoUpdate:
    """θ_k to θ_{k+1} by TRPO or PPO.

    Args: v: looked at only where θ also holds the value net. slots: PPO's optimiser before the step. draws: of `draws`.
    plan: step size or δ in force, as algos.schedule names them."""
    if isinstance(algorithm, Ppo):
        return ppo_update(
            pi, theta, slots, batch, draws, step_size=plan["policy_step_size"], ppo=algorithm, optimiser=optimiser,
            code_level=code_level, value_objective=value_objective(v, code_level) if shares_weights(algorithm) else None)
    return trpo_update(pi, theta, batch, tf.gather(batch.obs, draws), delta=plan["delta"], trpo=algorithm)


def training_stream(algorithm: Trpo | Ppo, seed: int, k: int) -> np.random.Generator:
    """The random stream that training's policy step draws from in iteration k of the run with this seed."""
    return seeds.generator(seed, "policy_minibatches" if isinstance(algorithm, Ppo) else "fisher_subset", k)


def draws(algorithm: Trpo | Ppo, pairs: int, stream: np.random.Generator) -> np.ndarray:
    """What chance decides in a policy step on B pairs: PPO's minibatch order [E, B], the states [b] of TRPO's Fisher matrix.

    Returns: int32, see `orders` for a B that the minibatches do not divide."""
    if isinstance(algorithm, Ppo):
        return orders(stream, pairs, epochs=algorithm.epochs, minibatches=algorithm.minibatches)
    size = max(1, round(algorithm.fisher_fraction * pairs))
    return stream.permutation(pairs)[:size].astype(np.int32)


def orders(stream: np.random.Generator, pairs: int, *, epochs: int, minibatches: int) -> np.ndarray:
    """The order in which each epoch meets the pairs, drawn outside XLA, where TensorFlow's stateless shuffle does not compile.

    Minibatches are equally large: where they do not divide B, the B mod M pairs that a permutation puts last sit out that
    epoch (in training they divide).
    Returns: int32 [E, M ⌊B/M⌋]."""
    used = pairs // minibatches * minibatches
    return np.stack([stream.permutation(pairs)[:used].astype(np.int32) for _ in range(epochs)])
