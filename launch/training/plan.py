"""What of a training run is written down, and when? Apart from the configuration, for it changes no bit of the run."""

from __future__ import annotations

from typing import NamedTuple

SNAPSHOTS = (0, 150, 300, 450)  # iterations, besides the last
CHECKPOINT_SECONDS = 20.0


class Plan(NamedTuple):
    """What is written down, and when; nothing here changes the run."""

    snapshots: frozenset[int]  # iterations whose SavedModel is kept
    checkpoint_seconds: float
    final_episodes: int  # evaluated when the run is over, by π_θK as it acts and greedily; 0 = none
    histograms: bool
    heldout_every: int  # iterations from one whose update is looked at on held-out pairs to the next; 0 = none
