"""Are the published numbers those of the tables, and do ours stand beside the right ones? Typed here by hand."""

import numpy as np
import pytest

from tfpg.claims import published
from tfpg.claims.catalogue import CLAIMS
from tfpg.diagnostics.statistics.factorials import PRESETS


def test_the_table_is_whole_and_every_mean_lies_in_its_interval():
    assert {(task, preset) for task, cells in published.SCORES.items() for preset in cells} == {
        (task, preset) for task in ("Walker2d", "Hopper", "Humanoid") for preset in ("ppo", "ppo_m", "trpo", "trpo_plus", "ppo_noclip")}
    assert all(low < mean < high for cells in published.SCORES.values() for mean, low, high in cells.values())
    assert published.of("Hopper-v5", "trpo") == (2043, 1948, 2136)
    assert published.of("Humanoid-v4", "trpo_plus") == (1030, 979, 1083)


@pytest.mark.parametrize("task", ["Walker2d", "Hopper", "Humanoid"])
def test_aai_and_acli_follow_from_the_means(task):
    # max(|PPO − TRPO+|, |PPO-M − TRPO|) and max(|PPO − PPO-M|, |TRPO+ − TRPO|); the printed ones are of unrounded means
    ppo, ppo_m, trpo, trpo_plus = (published.SCORES[task][preset].mean for preset in PRESETS)
    found = published.IMPROVEMENTS[task]
    assert found.aai == pytest.approx(max(abs(ppo - trpo_plus), abs(ppo_m - trpo)), abs=1)
    assert found.acli == pytest.approx(max(abs(ppo - ppo_m), abs(trpo_plus - trpo)), abs=1)


def test_what_nobody_published_has_none():
    assert published.of("HalfCheetah-v5", "ppo") is None and published.of("Hopper-v5", "ppo_bare") is None


def test_ours_stand_beside_theirs_with_every_statistic():
    scores = {"Hopper-v5": {"trpo": [1000.0, 2000.0, 3000.0], "ppo_bare": [5.0], "ppo": [1.0, np.nan]}}
    best = {"Hopper-v5": {"trpo": [2500.0, 3000.0, 3500.0]}}
    ppo, trpo, bare = published.beside(scores, best)
    assert (trpo.task, trpo.preset, trpo.agents, trpo.published.mean, trpo.published_task) == ("Hopper-v5", "trpo", 3, 2043, "Hopper-v2")
    assert (float(trpo.mean.mean), float(trpo.iqm.mean), float(trpo.best.mean)) == (2000, 2000, 3000)
    assert float(trpo.mean.low) < 1000  # Student's t of three
    assert (ppo.preset, ppo.agents) == ("ppo", 1)
    assert bare.published is None and bare.published_task == "" and np.isnan(bare.best.mean)


def test_findings_are_of_claims():
    assert published.FINDINGS.keys() <= CLAIMS.keys()
