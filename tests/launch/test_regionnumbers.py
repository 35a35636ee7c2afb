"""What do the few lines about trust regions say? Which iterations a row is of, and that nothing infinite is lost."""

import numpy as np

from launch import regionnumbers
from tests.diagnostics.trust_regions.test_over_agents import K, agent


def cells(found, words):
    """The row of a pool, in cells."""
    row, = [line for line in regionnumbers.report(found).splitlines() if f"{words}, 2,048" in line]
    return row.split()


def looked_at():
    """Held-out pairs at every other iteration; the largest ratio on own pairs is where there are none."""
    one = agent(0)
    one["pairs"][1::2, 1] = 0
    one["max_ratio"][:, 0] = [2, 9, 3, 2, 2, 2]
    return one


def test_own_pairs_are_compared_over_the_iterations_that_held_out_ones_have():
    one = looked_at()
    assert cells([one], "own")[-1] == "9.00" and cells([one], "own, where held-out")[-1] == "3.00"
    assert f" {K} " in " ".join(cells([one], "own")) and " 3 " in " ".join(cells([one], "own, where held-out"))
    assert "compare rows of equal numbers of pairs" in regionnumbers.report([one])


def test_runs_looked_at_everywhere_or_nowhere_need_no_third_row():
    nowhere = agent(0, heldout=0)
    nowhere["max_ratio"][:, 1] = np.nan
    everywhere = looked_at()
    everywhere["pairs"][:, 1] = 2048
    for one in (nowhere, everywhere):
        assert "where held-out" not in regionnumbers.report([one])


def test_an_infinite_ratio_counts():
    one = looked_at()
    one["max_ratio"][1, 0] = np.inf
    assert cells([one], "own")[-1] == "inf"
    one["max_ratio"][:5, 0] = np.inf
    assert cells([one], "own")[-3:] == ["inf"] * 3


def test_an_interval_widened_to_that_of_iterations_has_a_star():
    text = regionnumbers.report([agent(0, heldout=0), agent(1, heldout=0)])
    assert "]*" in text and "*: agents agree" in text and "of one agent" not in text
    assert "*" not in regionnumbers.report([agent(0, heldout=0)])
