"""What is asked of gradients? One frozen plan, read from flags; nothing here imports TensorFlow."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfpg.diagnostics.gradients.sizes import GROUPS, least_step, usable
from tfpg.diagnostics.offsets import SPREAD, expected
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

    def sizes_for(self, training_pairs: int, minibatches: int = 1) -> tuple[int, ...]:
        """Sizes of gradient estimates that the reference can judge, the training batch's and those of steps among them.

        Args, of all that follow: minibatches: of the run's policy update an epoch; 1 where it has none."""
        wanted = {*self.sizes, training_pairs, *self.step_sizes_for(training_pairs, minibatches)}
        return usable(wanted, self.reference_pairs)

    def step_sizes_for(self, training_pairs: int, minibatches: int = 1) -> tuple[int, ...]:
        """The same of steps; none where none is asked for."""
        if "step" not in self.what:
            return ()
        return usable({*self.step_sizes, training_pairs}, self._judged_by, least_step(minibatches))

    def check(self, training_pairs: int, minibatches: int = 1) -> None:
        """Errors: UserError where the references are too small to judge anything that was asked for."""
        if not self.sizes_for(training_pairs, minibatches):
            raise UserError(f"reference_pairs={self.reference_pairs} can judge estimates of up to a fifth of it, and none is that "
                            "small.")
        if "step" in self.what and not self.step_sizes_for(training_pairs, minibatches):
            raise UserError(f"a reference of {self._judged_by:,} pairs can judge steps of up to a fifth of it, and none of at "
                            f"least {least_step(minibatches)} is that small: raise reference_pairs and step_reference_pairs, or take "
                            "what=gradient.")

    @property
    def _judged_by(self) -> int:
        """Pairs of the smaller of the references that a step is compared with."""
        return min(self.step_reference_pairs, self.reference_pairs)

    def dropped(self, training_pairs: int, minibatches: int = 1) -> tuple[str, ...]:
        """What was asked for and is left out, the training batch too, in words."""
        kept, steps = self.sizes_for(training_pairs, minibatches), self.step_sizes_for(training_pairs, minibatches)
        gradients = {*self.sizes, training_pairs} - set(kept)
        updates = {*self.step_sizes, training_pairs} - set(steps) if "step" in self.what else set()
        words = []
        if gradients:
            words.append(f"gradients of {_words(gradients)} pairs, above a fifth of the reference's {self.reference_pairs:,}")
        if updates:
            words.append(f"steps of {_words(updates)} pairs, above a fifth of their reference's {self._judged_by:,} "
                         f"or below {least_step(minibatches)}")
        return tuple(words)

    def pairs(self, training_pairs: int, minibatches: int = 1) -> dict[str, int]:
        """What is played, by part; passed over: before small estimates, on average."""
        sizes, steps = self.sizes_for(training_pairs, minibatches), self.step_sizes_for(training_pairs, minibatches)
        return {"reference": self.reference_pairs, "step reference": self.step_reference_pairs if steps else 0,
                "estimates": self.estimates * sum(sizes),
                "passed over": self.estimates * sum(expected(size, SPREAD) for size in sizes)}


def _words(sizes: set[int]) -> str:
    return ", ".join(f"{size:,}" for size in sorted(sizes))


def as_facts(plan: Plan) -> dict[str, Any]:
    """The plan as attributes of a Dataset."""
    return {"scale": plan.scale, "seed": plan.seed, "what": ",".join(plan.what)}
