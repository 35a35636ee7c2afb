"""What the rounds say: rows from answers made by hand."""

import pytest

from tfpg.benchmark.account import Shares, rows

SHARES = Shares(checkpoint_seconds=20.0, snapshots=5, iterations=500)


def found():
    """Two rounds of a task."""
    iteration = {"pairs": 2000, "parts": {"rollout": 0.1, "update": 0.05, "iterates": 0.02, "summaries": 0.01, "whole": 0.2}}
    apart = {"parts": {"value": 0.02, "policy": 0.03, "checkpoint": 1.0, "snapshot": 2.0, "first snapshot": 7.0}}
    start = {"first": 12.0, "peak": 900.0, "memory": [[2048 * i, 800 + i] for i in range(1, 21)]}
    return {
        "physics/2": {0: {"steps": 800, "seconds": 1.0}, 1: {"steps": 400, "seconds": 1.0}},
        "environments/2": {0: {"steps": 400, "seconds": 1.0}, 1: {"steps": 100, "seconds": 1.0}},
        "rollouts": {r: {"steps": 300, "seconds": 2.0, "bare": {"steps": 300, "seconds": 1.5}} for r in (0, 1)},
        "iterations/ppo": {0: iteration, 1: iteration}, "apart/ppo": {0: apart, 1: apart},
        "peer/ppo/plain": {r: {"steps": 2000, "seconds": 4.0} for r in (0, 1)},
        "start/ppo": {0: start, 1: start}}


def values(name, group, every=None):
    row, = [row for row in every or rows("T", found(), threads=2, shares=SHARES) if (row.group, row.name) == (group, name)]
    return row.values


def test_ratios_are_paired_by_round():
    assert values("environments/2 : physics/2", "ratio") == {0: 0.5, 1: 0.25}
    assert values("rollouts : rollouts/bare", "ratio") == {0: 0.75, 1: 0.75}


def test_an_iteration_has_its_share_of_checkpoints_and_snapshots():
    # .2 s of iteration, 1 s of checkpoint every 20 s: .2/20; snapshots of 7 and four times 2 s in 500 iterations: .03
    assert values("checkpoint", "iteration/ppo")[0] == pytest.approx(10)
    assert values("snapshot", "iteration/ppo")[0] == pytest.approx(30)
    assert values("whole", "iteration/ppo")[0] == pytest.approx(240)
    assert values("training/ppo", "speed")[0] == pytest.approx(2000 / 0.24)
    assert values("training/ppo : peer/ppo/plain", "ratio")[0] == pytest.approx(2000 / 0.24 / 500)


def test_the_parts_sum_to_the_whole():
    parts = [values(name, "iteration/ppo")[0]
             for name in ("rollout", "update", "iterates", "summaries", "checkpoint", "snapshot", "rest")]
    assert sum(parts) == pytest.approx(values("whole", "iteration/ppo")[0])
    assert values("rest", "iteration/ppo")[0] == pytest.approx(20)
    assert values("records, share", "iteration/ppo")[0] == pytest.approx((20 + 10 + 10 + 30) / 240)


def test_memory_grows_by_the_slope_after_the_first_iterations():
    assert values("growth/ppo", "start")[0] == pytest.approx(1e6 / 2048)
    assert values("peak memory/ppo", "start")[0] == 900


def test_what_failed_in_a_round_costs_that_round_alone():
    some = found()
    del some["apart/ppo"][0], some["rollouts"][1], some["physics/2"]
    every = rows("T", some, threads=2, shares=SHARES)
    assert set(values("training/ppo", "speed", every)) == {1} and set(values("rollouts", "speed", every)) == {0}
    assert not [row for row in every if "physics" in row.name]
