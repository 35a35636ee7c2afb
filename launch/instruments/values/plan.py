"""What is a study of values asked to do? One frozen plan, read from flags; nothing here imports TensorFlow."""

from __future__ import annotations

import dataclasses

from tfpg.diagnostics.offsets import SPREAD
from tfpg.errors import UserError

# A reference is only then much surer than what is compared with it.
REFERENCE_SHARE = 5


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything that a study's numbers depend on, besides the policy."""

    scale: str
    repeats: int
    fit_pairs: int
    check_pairs: int
    sizes: tuple[int, ...]
    estimates: int
    reference_pairs: int
    seed: int

    def __post_init__(self):
        if self.reference_pairs < REFERENCE_SHARE * max(self.sizes):
            raise UserError(f"reference_pairs={self.reference_pairs} is too few for sizes up to {max(self.sizes)}: give at least "
                            f"{REFERENCE_SHARE * max(self.sizes)}, or smaller sizes.")
        if min(self.sizes) < 2:
            raise UserError(f"sizes={','.join(map(str, self.sizes))}: one pair alone has no spread to normalise by; give at "
                            "least 2.")

    def tasks(self, update_pairs: int) -> dict[str, int]:
        """Pairs of each stage, in the order in which they come. Args: update_pairs: behind an update of training."""
        return {"pool of V*": self.fit_pairs, "V* checked": self.check_pairs, "predictions": 2 * self.repeats * update_pairs,
                "gradients": self.estimates * max(*self.sizes, SPREAD) + self.reference_pairs}
