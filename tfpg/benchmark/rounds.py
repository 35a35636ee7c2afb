"""What do several rounds of one measurement say, and two of them beside each other?

Everything is measured once a round, one after the other, so what slows the machine for a while meets all. A ratio is taken
within each round, then summarised: what both sides met cancels.

    median,   low = smallest,  high = largest of the rounds"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple


class Summary(NamedTuple):
    """What the rounds of one measurement say."""

    median: float
    low: float
    high: float
    rounds: int

    @property
    def spread(self) -> float:
        """Half of what lies between the smallest and the largest."""
        return (self.high - self.low) / 2


class Row(NamedTuple):
    """One line of the table: a measurement of a task, or a ratio of two."""

    group: str  # of GROUPS in tfpg.benchmark.table
    name: str  # what it is, for programs
    task: str
    unit: str  # steps/s, ms, share, s, MB, MB/million steps, 1 for a ratio
    values: Mapping[int, float]  # by round

    @property
    def summary(self) -> Summary:
        """Median and spread over the rounds."""
        return summarise(self.values.values())

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; what JSON does not have is null."""
        found = self.summary
        return {"task": self.task, "group": self.group, "name": self.name, "unit": self.unit,
                "median": found.median, "low": found.low, "high": found.high, "rounds": found.rounds,
                "values": {str(round_): value for round_, value in self.values.items()}}


def summarise(values: Iterable[float]) -> Summary:
    """Args: values: one a round, at least one."""
    numbers = [float(value) for value in values]
    return Summary(statistics.median(numbers), min(numbers), max(numbers), len(numbers))


def ratio(above: Mapping[int, float], below: Mapping[int, float]) -> dict[int, float]:
    """above / below in every round that has both; rounds where below is 0 say nothing."""
    return {round_: value / below[round_] for round_, value in above.items() if below.get(round_)}


def slope(steps: Sequence[float], values: Sequence[float]) -> float:
    """Least squares: how much `values` grow a step. nan for fewer than three."""
    n = len(steps)
    if n < 3:
        return math.nan
    centre, level = statistics.fmean(steps), statistics.fmean(values)
    spread = sum((step - centre) ** 2 for step in steps)
    return sum((step - centre) * (value - level) for step, value in zip(steps, values, strict=True)) / spread if spread else math.nan
