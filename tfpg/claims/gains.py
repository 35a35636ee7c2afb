"""What do the updates of many agents' films say of C2? Datasets of steps.gains, a run each, in; verdicts out."""

from __future__ import annotations

import numpy as np

from tfpg.claims.catalogue import CLAIMS
from tfpg.claims.grouping import Datasets, Found, Numbers, by_iteration, groups, later, numbers_of_runs, verdicts
from tfpg.claims.verdicts import HOLDS, Verdict, of_scores


def of_steps(datasets: Datasets) -> list[Verdict]:
    """C2. Args: datasets: of launch.steps, an agent each.

    An agent's number is the mean over its later checkpoints of an update's mean gain, as a share of the size of its final return."""
    return verdicts("C2", _gains(datasets))


def _gains(datasets: Datasets) -> Found:
    (what, bound), = CLAIMS["C2"].bounds.items()
    for task, preset, some in groups(datasets):
        gains = _shares(some, "mean_gain")
        statement = of_scores(f"{preset}: {what}", task, preset, later(gains), bound)
        said = [f"by iteration {by_iteration(gains, '.2%')}",
                f"drops seen {by_iteration(numbers_of_runs(some, 'checkpoint', lambda d: d['drops']), '.0%')}",
                f"an agent's own updates find {by_iteration(_shares(some, 'detectable'), '.2%')}"]
        if all("curve_slope" in d for d in some):
            said.append(f"its learning curve rose {by_iteration(_shares(some, 'curve_slope'), '.2%')} an iteration")
        if any(int(d.attrs.get("few_updates", 0)) or int(d.attrs.get("few_episodes", 0)) for d in some):
            said.insert(0, "fewer updates or episodes than an interval needs")
        if statement.verdict == HOLDS:
            said.insert(0, "it lowers the return" if statement.high < -bound.margin else "whether it lowers the return is open")
        yield task, [statement._replace(note="; ".join(said))]


def _shares(datasets: Datasets, name: str) -> Numbers:
    """Of the size of each run's final return."""
    return numbers_of_runs(datasets, "checkpoint", lambda d: d[name] / np.abs(float(d.attrs["final_return"])))
