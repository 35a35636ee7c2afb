"""What is asked of gradients? One frozen plan, read from flags; nothing here imports TensorFlow."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfpg.diagnostics.gradient_sizes import GROUPS, LEAST_STEP, usable
from tfpg.errors import UserError, nearest

WHAT = {"gradient": "the policy gradient", "step": "TRPO's step or PPO's update"}


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything that the numbers depend on, besides the policy."""

    scale: str
    what: tuple[str, ...]  # of WHAT
    sizes: tuple[int, ...]
    reference_pairs: int
    estimates: int
    step_sizes: tuple[int, ...]
    step_reference_pairs: int
    seed: int
    max_steps: None = None  # pools end episodes as training does

    def __post_init__(self):
        for name in self.what:
            if name not in WHAT:
                raise UserError(f"there is no what={name}: {nearest(name, WHAT)}")
        if not self.what or len(set(self.what)) < len(self.what):
            raise UserError(f"what={','.join(self.what)} must name gradient, step, or both once.")
        for name in ("reference_pairs", *(["step_reference_pairs"] if "step" in self.what else [])):
            if getattr(self, name) % (2 * GROUPS):
                raise UserError(f"{name}={getattr(self, name)} must be a multiple of {2 * GROUPS}: it is cut into {GROUPS} "
                                "groups and two halves.")

    def sizes_for(self, training_pairs: int) -> tuple[int, ...]:
        """Sizes of gradient estimates that the reference can judge, the training batch's and those of steps among them."""
        wanted = {*self.sizes, training_pairs, *self.step_sizes_for(training_pairs)}
        return usable(wanted, self.reference_pairs)

    def step_sizes_for(self, training_pairs: int) -> tuple[int, ...]:
        """The same of steps; none where none is asked for."""
        if "step" not in self.what:
            return ()
        pairs = min(self.step_reference_pairs, self.reference_pairs)
        return usable({*self.step_sizes, training_pairs}, pairs, LEAST_STEP)

    def dropped(self, training_pairs: int) -> tuple[str, ...]:
        """What was asked for and is left out, in words."""
        kept, steps = self.sizes_for(training_pairs), self.step_sizes_for(training_pairs)
        gradients, updates = set(self.sizes) - set(kept), set(self.step_sizes) - set(steps) if "step" in self.what else set()
        words = []
        if gradients:
            words.append(f"gradients of {_words(gradients)} pairs, above a fifth of the reference's {self.reference_pairs:,}")
        if updates:
            words.append(f"steps of {_words(updates)} pairs, above a fifth of their reference's {self.step_reference_pairs:,} "
                         f"or below {LEAST_STEP}")
        return tuple(words)

    def pairs(self, training_pairs: int) -> dict[str, int]:
        """What is played, by part."""
        sizes, steps = self.sizes_for(training_pairs), self.step_sizes_for(training_pairs)
        return {"reference": self.reference_pairs, "step reference": self.step_reference_pairs if steps else 0,
                "estimates": self.estimates * sum(sizes)}


def _words(sizes: set[int]) -> str:
    return ", ".join(f"{size:,}" for size in sorted(sizes))


def as_facts(plan: Plan) -> dict[str, Any]:
    """The plan as attributes of a Dataset."""
    return {"scale": plan.scale, "seed": plan.seed, "what": ",".join(plan.what)}
