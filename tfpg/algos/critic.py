"""How is the value net fitted? Epochs of minibatches on a squared error, before the policy moves."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfpg.algos.epochs import descend
from tfpg.config import CodeLevel, Optimiser, Value
from tfpg.objectives import value_loss
from tfpg.types import Batch, Slots, Tensor, ValueUpdate


def value_update(
        v: Callable, phi_old: Tensor, slots: Slots, batch: Batch, order: Tensor, *,
        step_size: Tensor, value: Value, optimiser: Optimiser, code_level: CodeLevel) -> ValueUpdate:
    """φ down E[(V_φ(s) − V_targ)²], clipped around V_φold if code_level.value_clip says so.

    Args: v: (φ [Q], critic observations [B, S]) ↦ [B]. order: [E, B], the order of the pairs in each epoch."""
    descent = descend(
        value_objective(v, code_level), phi_old, slots, batch, order,
        minibatches=value.minibatches, step_size=step_size, optimiser=optimiser, code_level=code_level)
    return ValueUpdate(phi=descent.parameters, slots=descent.slots, losses=descent.losses, finite=descent.finite)


def shared_value_update(v: Callable, theta: Tensor, slots: Slots, batch: Batch, *, code_level: CodeLevel) -> ValueUpdate:
    """With shared weights the policy's update has already moved V: φ is the new θ [P], and its loss is what it left."""
    loss = value_objective(v, code_level)(theta, batch)
    return ValueUpdate(phi=theta, slots=slots, losses=loss[tf.newaxis], finite=tf.math.is_finite(loss))


def value_objective(v: Callable, code_level: CodeLevel) -> Callable[[Tensor, Batch], Tensor]:
    """(φ, batch) ↦ the value loss on that batch, []."""

    def loss(phi, batch):
        return value_loss(v(phi, batch.critic_obs), batch.value_targets, batch.values, code_level.value_clip)

    return loss
