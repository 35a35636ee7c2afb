"""What do the few lines about trust regions say? Which iterations a row is of, and that nothing infinite is lost."""

import numpy as np

from launch.instruments.trust_regions import numbers as regionnumbers
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


def test_algorithms_of_several_agents_are_compared_in_the_windows_that_their_runs_hold():
    found = [agent(seed, preset=preset, kl=kl, iterations=300) for preset, kl in (("ppo", 0.01), ("ppo_m", 0.03)) for seed in (0, 1)]
    text = regionnumbers.report(found)
    assert "mean KL, iterations 50–250" in text
    row, = [line for line in text.splitlines() if line.startswith("ppo_m : ppo on Hopper-v5") and "own pairs" in line]
    assert "3.00 [3.00, 3.00]" in row and "1.00 [1.00, 1.00]" in row
    assert "times as large" not in regionnumbers.report(found[:3])  # one agent has no spread


def test_largest_ratios_of_unequal_numbers_of_pairs_are_not_divided():
    found = [agent(seed, preset=preset, ratio=ratio, iterations=300)
             for preset, ratio in (("ppo", 2.0), ("ppo_m", 4.0)) for seed in (0, 1)]
    for one in found[2:]:
        one["pairs"][:, 0] = 8192
    row, = [line for line in regionnumbers.report(found).splitlines() if line.startswith("ppo_m : ppo") and "own pairs" in line]
    assert "1.00 [1.00, 1.00]" in row and "2.00" not in row


def test_a_short_run_of_another_task_takes_no_window_away():
    found = [agent(seed, preset=preset, iterations=300) for preset in ("ppo", "ppo_m") for seed in (0, 1)]
    short = [agent(seed, preset="ppo", task="Walker2d-v5") for seed in (0, 1)]
    assert "ppo_m : ppo on Hopper-v5" in regionnumbers.report([*found, *short])
