"""Do the claims read the right numbers out of the results? Datasets made by hand, whose verdicts are known."""

import math

import numpy as np
import pytest
import xarray as xr

from tfpg.claims import judging
from tfpg.claims.catalogue import CLAIMS
from tfpg.claims.verdicts import FAILS, HOLDS, UNDECIDED
from tfpg.errors import UserError

TASK = "Task-v0"


def region(preset, seed, kl, ratio, *, delta=0.1, pairs=2048):
    """An agent's trust regions; kl, ratio: held-out, [iteration]."""
    kl, ratio = np.asarray(kl, float), np.asarray(ratio, float)
    both = ("iteration", "pool")
    return xr.Dataset(
        {"mean_kl": (both, np.stack([np.zeros_like(kl), kl], 1)), "max_ratio": (both, np.stack([np.ones_like(ratio), ratio], 1)),
         "pairs": (both, np.full((len(kl), 2), pairs)), "delta": ("iteration", np.full(len(kl), delta))},
        {"pool": ["train", "heldout"]}, {"task": TASK, "preset": preset, "run_seed": seed, "reference_delta": 0.1})


def regions(preset, kl, ratio, agents=3, iterations=200):
    draw = np.random.default_rng(len(preset))
    return [region(preset, seed, np.full(iterations, kl) * draw.uniform(0.9, 1.1), np.full(iterations, ratio) * draw.uniform(0.95, 1.05))
            for seed in range(agents)]


def verdict(found, claim):
    one, = [each for each in found if each.claim == claim]
    return one


def test_trpo_that_stays_within_delta_keeps_its_region_and_one_beyond_does_not():
    assert verdict(judging.of_trust_regions(regions("trpo", 0.05, 3.0)), "C5").verdict == HOLDS
    assert verdict(judging.of_trust_regions(regions("trpo", 0.5, 3.0)), "C5").verdict == FAILS


def test_agents_that_agree_are_no_surer_than_their_iterations():
    # all of 9 iterations: by Clopper and Pearson at least 66 % of all
    found, = verdict(judging.of_trust_regions(regions("trpo", 0.05, 3.0, iterations=3)), "C5").statements
    assert (found.value, found.verdict) == (1.0, UNDECIDED)
    assert found.low == pytest.approx(0.025 ** (1 / 9))


@pytest.mark.parametrize(("ppo", "ppo_m", "expected"), [(0.05, 0.5, HOLDS), (0.05, 0.05, FAILS), (0.5, 0.5, FAILS)])
def test_c6_holds_where_ppo_keeps_the_region_and_ppo_m_does_not(ppo, ppo_m, expected):
    found = judging.of_trust_regions([*regions("ppo", ppo, 2.0), *regions("ppo_m", ppo_m, 2.0)])
    assert verdict(found, "C6").verdict == expected


def test_c6_says_nothing_of_one_algorithm_alone():
    assert "C6" not in {each.claim for each in judging.of_trust_regions(regions("ppo", 0.05, 2.0))}


@pytest.mark.parametrize(("ppo", "ppo_m", "expected"), [(1.5, 2.5, HOLDS), (2.5, 1.5, FAILS), (1.1, 2.5, FAILS)])
def test_c7_holds_where_every_ratio_is_beyond_its_bound_and_ppos_is_smaller(ppo, ppo_m, expected):
    found = judging.of_trust_regions([*regions("ppo", 0.05, ppo), *regions("ppo_m", 0.05, ppo_m)])
    assert verdict(found, "C7").verdict == expected


def test_largest_ratios_of_unequal_pairs_are_not_compared():
    few = [each.assign(pairs=each["pairs"] // 2) for each in regions("ppo_m", 0.05, 2.0)]
    with pytest.raises(UserError, match="1024 and 2048 held-out pairs"):
        judging.of_trust_regions([*regions("ppo", 0.05, 2.0), *few])


def gradients(cosines):
    """iteration ↦ cosines of the agents at 2,048 pairs."""
    return [xr.Dataset({"cosine": (("kind", "size"), [[0.9, value], [0.9, 0.9]])}, {"kind": ["gradient", "step"], "size": [200, 2048]},
                       {"task": TASK, "preset": "ppo", "run_seed": seed, "iteration": iteration})
            for iteration, values in cosines.items() for seed, value in enumerate(values)]


@pytest.mark.parametrize(("later", "expected"), [([0.01, 0.03, 0.02], HOLDS), ([0.5, 0.55, 0.52], FAILS)])
def test_c8_reads_the_cosine_of_gradients_at_an_agents_pairs(later, expected):
    found = verdict(judging.of_gradients(gradients({0: [0.6, 0.62, 0.61], 150: later, 300: later})), "C8")
    assert found.verdict == expected
    assert found.statements[0].value == pytest.approx(np.mean(later))
    assert found.statements[1].value == pytest.approx(0.61 - np.mean(later))


def values(own, returns, variance, agents=3):
    """Of each agent one policy, all alike but for a little. variance: without baseline, with V, with V*."""
    draw = np.random.default_rng(0)
    made = []
    for seed in range(agents):
        near = draw.uniform(0.98, 1.02, 3)
        made.append(xr.Dataset(
            {"mre": (("judged", "target"), [[9.0, 9.0], [own * near[0], returns]]),
             "variance": (("form", "baseline", "size"), [[[9.0, variance[0]], [9.0, variance[1] * near[1]], [9.0, variance[2]]]])},
            {"judged": ["train", "heldout"], "target": ["gae", "returns"], "form": ["monte_carlo"], "baseline": ["zero", "learned", "true"],
             "size": [500, 2000]}, {"task": TASK, "preset": "ppo", "run_seed": seed, "iteration": 150}))
    return made


@pytest.mark.parametrize(("own", "returns", "expected"), [(0.05, 0.3, HOLDS), (0.2, 0.3, FAILS)])
def test_c9_compares_the_held_out_errors_of_both_targets(own, returns, expected):
    assert verdict(judging.of_values(values(own, returns, (1.0, 0.5, 0.5))), "C9").verdict == expected


@pytest.mark.parametrize(("variance", "share", "expected"), [((1.0, 0.9, 0.1), 1 / 9, HOLDS), ((1.0, 0.2, 0.1), 8 / 9, FAILS)])
def test_c10_compares_what_both_baselines_take_away(variance, share, expected):
    found = verdict(judging.of_values(values(0.05, 0.3, variance)), "C10")
    assert found.verdict == expected
    assert found.statements[0].value == pytest.approx(share, rel=0.15)


def test_policies_before_any_learning_do_not_count_for_the_value_net():
    found = judging.of_values([each.assign_attrs(iteration=0) for each in values(0.05, 0.3, (1.0, 0.5, 0.5))])
    assert {each.verdict for each in found} == {UNDECIDED}
    assert all(math.isnan(each.statements[0].value) for each in found)


def test_c11_needs_all_four_cells_and_judges_acli_less_aai():
    draw = np.random.default_rng(0)
    cells = {"ppo": 3000, "ppo_m": 1000, "trpo_plus": 3000, "trpo": 1000}
    scores = {TASK: {preset: draw.normal(mean, 50, 40) for preset, mean in cells.items()}}
    assert verdict(judging.of_final_scores(scores), "C11").verdict == HOLDS
    del scores[TASK]["trpo"]
    assert judging.of_final_scores(scores) == []


def test_every_statistic_has_its_margin_in_the_table():
    assert list(CLAIMS) == [f"C{number}" for number in range(5, 12)]
    assert all(claim.bounds for claim in CLAIMS.values())
