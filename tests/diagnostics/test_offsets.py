"""Where small estimates begin: everywhere alike, and the same again."""

import numpy as np
import pytest

from tfpg import seeds
from tfpg.diagnostics.offsets import _OFFSETS, expected, offset


def offsets(pairs, spread, count=3_000):
    return np.array([offset(pairs, 3, pairs, i, spread=spread, seed=0, iteration=150) for i in range(count)])


def test_every_step_of_a_long_episode_is_met_equally_often():
    # ten estimates at equal distances, 1,055 pairs, would begin at steps 0, 55, … 500 of episodes of 1,000 steps and no later
    found = offsets(500, 10_499) % 1_000
    counts = np.bincount(found // 100, minlength=10)
    assert (np.abs(counts - 300) < 4 * np.sqrt(300 * 0.9)).all()


def test_an_estimate_lies_within_its_spread():
    found = offsets(7, 10)
    assert sorted(set(found)) == [0, 1, 2, 3]
    assert (offsets(10, 10, 20) == 0).all() and (offsets(11, 10, 20) == 0).all()


def test_offsets_are_the_same_again_and_another_seeds_or_iterations_are_others():
    named = [offset(100, 3, 100, 0, spread=10**6, seed=seed, iteration=k) for seed, k in ((0, 0), (0, 0), (1, 0), (0, 1))]
    assert named[0] == named[1] and len(set(named)) == 3


@pytest.mark.parametrize("name", [(3, 100, 0), (3, 100, 0, 0), (2, 100, 0, 0)])
def test_no_permutation_of_advantages_has_the_random_numbers_of_an_offset(name):
    # orders are named (k, stream, …), offsets (k, _OFFSETS, stream, …): no stream has that number
    mine = seeds.generator(0, "permutations", 150, _OFFSETS, *name).random(4)
    assert not np.isin(mine, seeds.generator(0, "permutations", 150, *name).random(100)).any()


def test_the_expected_offset_is_the_mean():
    assert expected(500, 10_000) == 4_750 and expected(10_000, 10_000) == expected(20_000, 10_000) == 0
    assert abs(offsets(500, 10_000).mean() - 4_750) < 4 * 9_500 / np.sqrt(12 * 3_000)
