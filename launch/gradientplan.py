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
        return usable({*self.step_sizes, training_pairs}, self._judged_by, LEAST_STEP)

    def check(self, training_pairs: int) -> None:
        """Errors: UserError where the references are too small to judge anything that was asked for."""
        if not self.sizes_for(training_pairs):
            raise UserError(f"reference_pairs={self.reference_pairs} can judge estimates of up to a fifth of it, and none is that "
                            "small.")
        if "step" in self.what and not self.step_sizes_for(training_pairs):
            raise UserError(f"a reference of {self._judged_by:,} pairs can judge steps of up to a fifth of it, and none of at "
                            f"least {LEAST_STEP} is that small: raise reference_pairs and step_reference_pairs, or take what=gradient.")

    @property
    def _judged_by(self) -> int:
        """Pairs of the smaller of the references that a step is compared with."""
        return min(self.step_reference_pairs, self.reference_pairs)

    def dropped(self, training_pairs: int) -> tuple[str, ...]:
        """What was asked for and is left out, in words."""
        kept, steps = self.sizes_for(training_pairs), self.step_sizes_for(training_pairs)
        gradients, updates = set(self.sizes) - set(kept), set(self.step_sizes) - set(steps) if "step" in self.what else set()
        words = []
        if gradients:
            words.append(f"gradients of {_words(gradients)} pairs, above a fifth of the reference's {self.reference_pairs:,}")
        if updates:
            words.append(f"steps of {_words(updates)} pairs, above a fifth of their reference's {self._judged_by:,} "
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
