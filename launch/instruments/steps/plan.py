"""What is a look at steps asked to do? One frozen plan, read from flags; nothing here imports TensorFlow."""

from __future__ import annotations

import dataclasses

from launch.training.plan import SNAPSHOTS
from tfpg.errors import UserError


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything that the numbers of a look depend on, besides the run."""

    scale: str
    iterations: tuple[int, ...]  # checkpoints, ascending
    count: int  # updates around each
    spread: int  # iterations of the window that they are drawn from
    episodes: int  # of both ends of every update
    seed: int

    def __post_init__(self):
        if self.count > self.spread:
            raise UserError(f"count={self.count} updates cannot be drawn from a window of spread={self.spread} iterations.")

    @property
    def total(self) -> int:
        """Episodes, at most."""
        return len(self.iterations) * self.count * 2 * self.episodes


def checkpoints(given: str | None, updates: int, run: object) -> tuple[int, ...]:
    """The iterations that are named, or those at which policies are kept, as far as the run has them; ascending.

    Args: updates: that the film shows. Errors: UserError for one beyond them."""
    if given is None:
        return tuple(k for k in SNAPSHOTS if k < updates)
    try:
        found = tuple(sorted({int(each) for each in given.split(",")}))
    except ValueError:
        raise UserError(f"iterations={given} is no list of whole numbers, such as 0,150.") from None
    if beyond := [k for k in found if not 0 <= k < updates]:
        raise UserError(f"iterations={given}: the film of {run} shows the updates of iterations 0 to {updates - 1}, not of {beyond[0]}.")
    return found
