"""Do the claims read the right numbers out of the results? Datasets made by hand, whose verdicts are known."""

import math

import numpy as np
import pytest
import xarray as xr

from tests.claims.test_gains import steps
from tests.claims.test_landscapes import concentration, slices
from tfpg.algos import ppo
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
        {"mean_kl": (both, np.stack([1 / kl, kl], 1)), "max_ratio": (both, np.stack([5 / ratio, ratio], 1)),
         "pairs": (both, np.full((len(kl), 2), pairs)), "delta": ("iteration", np.full(len(kl), delta))},
        {"pool": ["train", "heldout"], "iteration": np.arange(len(kl))}, {"task": TASK, "preset": preset, "run_seed": seed, "reference_delta": 0.1})


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


def test_a_region_is_kept_where_19_of_20_iterations_are_within_it():
    for beyond, expected in ((9, HOLDS), (11, FAILS)):
        kl = np.where(np.arange(200) < beyond, 1.0, 0.05)
        some = [region("trpo", seed, kl * (1 + 0.01 * seed), np.ones(200)) for seed in range(3)]
        assert verdict(judging.of_trust_regions(some), "C5").verdict == expected


def test_agents_that_were_looked_at_in_few_iterations_say_nothing():
    found, = verdict(judging.of_trust_regions(regions("trpo", 0.05, 3.0, iterations=19)), "C5").statements
    assert (found.agents, found.verdict) == (0, UNDECIDED)


def test_runs_without_held_out_pairs_are_left_out():
    blind = [each.assign(pairs=each["pairs"] * [1, 0]) for each in regions("ppo_m", 0.05, 2.0)]
    found = judging.of_trust_regions([*regions("ppo", 0.05, 2.0), *blind])
    assert verdict(found, "C7").verdict == UNDECIDED


@pytest.mark.parametrize(("ppo", "ppo_m", "expected"), [(0.05, 0.5, HOLDS), (0.05, 0.05, FAILS), (0.5, 0.5, FAILS)])
def test_c6_holds_where_ppo_keeps_the_region_and_ppo_m_does_not(ppo, ppo_m, expected):
    found = judging.of_trust_regions([*regions("ppo", ppo, 2.0), *regions("ppo_m", ppo_m, 2.0)])
    assert verdict(found, "C6").verdict == expected


@pytest.mark.parametrize("preset", ["ppo", "ppo_m"])
def test_half_of_a_claim_decides_nothing(preset):
    found = judging.of_trust_regions(regions(preset, 0.05 if preset == "ppo" else 0.5, 2.0))
    assert {verdict(found, claim).verdict for claim in ("C6", "C7")} == {UNDECIDED}


def test_infinite_ratios_are_not_left_out():
    ratio = np.where(np.arange(200) < 180, np.inf, 1.05)
    found = judging.of_trust_regions([*regions("ppo", 0.05, 2.0), *(region("ppo_m", seed, np.full(200, 0.05), ratio) for seed in range(3))])
    assert verdict(found, "C7").verdict == UNDECIDED
    assert math.isinf(verdict(found, "C7").statements[1].value)


def test_the_bound_of_the_ratio_is_the_runs_own():
    own = [each.assign(ratio_high=("iteration", np.full(200, 2.5))) for each in regions("ppo", 0.05, 2.0)]
    assert verdict(judging.of_trust_regions(own), "C7").verdict == FAILS


def test_algorithms_are_compared_in_iterations_that_both_were_looked_at_in():
    # PPO-M's ratio falls: over all of its iterations it is PPO's half, in PPO's 100 it is the same and a little larger
    falling = [region("ppo_m", seed, np.full(200, 0.05), np.where(np.arange(200) < 100, 2.1, 1.21) * (1 + 0.002 * seed)) for seed in range(3)]
    short = [region("ppo", seed, np.full(100, 0.05), np.full(100, 2.0 + 0.002 * seed)) for seed in range(3)]
    *_, difference = verdict(judging.of_trust_regions([*short, *falling]), "C7").statements
    assert difference.value == pytest.approx(np.log(2.0 / 2.1), abs=0.01)


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
    return [xr.Dataset({"cosine": (("kind", "size"), [[0.9, value], [0.9, 0.9]]),
                        "chance_cosine": (("kind", "size"), [[0.9, 0.01], [0.9, 0.9]])}, {"kind": ["gradient", "step"], "size": [200, 2048]},
                       {"task": TASK, "preset": "ppo", "run_seed": seed, "iteration": iteration})
            for iteration, values in cosines.items() for seed, value in enumerate(values)]


@pytest.mark.parametrize(("later", "expected"), [([0.01, 0.03, 0.02], HOLDS), ([0.5, 0.55, 0.52], FAILS)])
def test_c8_reads_the_cosine_of_gradients_at_an_agents_pairs(later, expected):
    found = verdict(judging.of_gradients(gradients({0: [0.6, 0.62, 0.61], 150: later, 300: later})), "C8")
    assert found.verdict == expected
    assert found.statements[0].value == pytest.approx(np.mean(later))
    assert found.statements[1].value == pytest.approx(0.61 - np.mean(later))


def test_only_checkpoints_that_every_agent_has_count():
    found = gradients({0: [0.6, 0.6, 0.6], 450: [0.02, 0.03, 0.04]}) + gradients({150: [0.5]})
    assert verdict(judging.of_gradients(found), "C8").statements[0].value == pytest.approx(0.03)


def test_one_policy_at_two_scales_is_refused_and_so_are_two_scales_of_a_group():
    some = gradients({150: [0.02, 0.03, 0.04]})
    with pytest.raises(UserError, match="looked at twice"):
        judging.of_gradients([*some, some[0]])
    with pytest.raises(UserError, match="scales paper and small"):
        judging.of_gradients([each.assign_attrs(scale=scale) for each, scale in zip(some, ("small", "paper", "small"), strict=True)])


def test_estimates_of_other_sizes_do_not_stand_for_an_agents():
    with pytest.raises(UserError, match="none near 2048"):
        judging.of_gradients([each.isel(size=[0]) for each in gradients({150: [0.02, 0.03, 0.04]})])


def values(own, returns, variance, agents=3):
    """Of each agent one policy, all alike but for a little. variance: without baseline, with V, with V*."""
    draw = np.random.default_rng(0)
    made = []
    for seed in range(agents):
        near = draw.uniform(0.98, 1.02, 3)
        made.append(xr.Dataset(
            {"mre": (("judged", "target"), [[9.0, 9.0], [own * near[0], returns]]),
             "variance": (("form", "baseline", "size"), [[[9.0, variance[0]], [9.0, variance[1] * near[1]], [9.0, variance[2]]],
                                                       [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]])},
            {"judged": ["train", "heldout"], "target": ["gae", "returns"], "form": ["monte_carlo", "authors"], "baseline": ["zero", "learned", "true"],
             "size": [500, 2000]}, {"task": TASK, "preset": "ppo", "run_seed": seed, "iteration": 150}))
    return made


@pytest.mark.parametrize(("own", "returns", "expected"), [(0.05, 0.3, HOLDS), (0.2, 0.3, FAILS)])
def test_c9_compares_the_held_out_errors_of_both_targets(own, returns, expected):
    assert verdict(judging.of_values(values(own, returns, (1.0, 0.5, 0.5))), "C9").verdict == expected


@pytest.mark.parametrize(("variance", "expected"), [
    ((1.0, 0.9, 0.1), HOLDS), ((1.0, 0.2, 0.1), FAILS), ((1.0, 0.5, 1.1), FAILS)])  # also where V* takes nothing away
def test_c10_compares_what_both_baselines_take_away(variance, expected):
    found = verdict(judging.of_values(values(0.05, 0.3, variance)), "C10")
    assert found.verdict == expected
    none, learned, true = variance
    assert found.statements[0].value == pytest.approx((none - learned) - (none - true) / 2, abs=0.02)


def test_policies_before_any_learning_do_not_count_for_the_value_net():
    found = judging.of_values([each.assign_attrs(iteration=0) for each in values(0.05, 0.3, (1.0, 0.5, 0.5))])
    assert {each.verdict for each in found} == {UNDECIDED}
    assert all(math.isnan(each.statements[0].value) for each in found)


@pytest.mark.parametrize(("means", "expected"), [
    ({"ppo": 3000, "ppo_m": 1000, "trpo_plus": 3000, "trpo": 1000}, HOLDS),  # code moves the score, the algorithm does not
    ({"ppo": 3000, "ppo_m": 3000, "trpo_plus": 1000, "trpo": 1000}, FAILS),
    ({"ppo": 2000, "ppo_m": 2000, "trpo_plus": 2000, "trpo": 2000}, UNDECIDED)])
def test_c11_judges_acli_less_aai_and_tells_their_bias(means, expected):
    draw = np.random.default_rng(0)
    found = verdict(judging.of_final_scores({TASK: {preset: draw.normal(mean, 50, 40) for preset, mean in means.items()}}), "C11")
    assert found.verdict == expected
    assert "with no effect at all" in found.statements[0].note
    assert "best iteration" not in found.statements[0].note


def test_c11_shows_the_best_iterations_scores_and_judges_the_last():
    draw = np.random.default_rng(0)
    last, best = ({TASK: {preset: draw.normal(mean, 50, 40) for preset, mean in zip(("ppo", "ppo_m", "trpo_plus", "trpo"), means, strict=True)}}
                  for means in ((3000, 1000, 3000, 1000), (3000, 3000, 1000, 1000)))
    found = verdict(judging.of_final_scores(last, best), "C11")
    assert found.verdict == HOLDS  # by the best iterations it would not
    last_words, best_words = found.statements[0].note.split("; best iteration of each agent instead: ")
    assert last_words.startswith("last iterations: ACLI 2,0") and best_words.startswith("ACLI ")
    assert "AAI 2,0" in best_words


def test_c6_tells_how_many_times_ppos_kl_ppo_ms_is_in_both_windows():
    some = [*regions("ppo", 0.01, 2.0, iterations=450), *regions("ppo_m", 0.03, 2.0, iterations=450)]
    _, ppo_m = verdict(judging.of_trust_regions(some), "C6").statements
    found = [each["mean_kl"].sel(pool="heldout").values[0] for each in some]
    times = np.exp(np.mean(np.log(found[3:])) - np.mean(np.log(found[:3])))
    assert f"{times:.2g} [" in ppo_m.note
    assert "in iterations 50–250" in ppo_m.note and "in iterations 250–450" in ppo_m.note
    *_, short = verdict(judging.of_trust_regions([each.isel(iteration=slice(0, 250)) for each in some]), "C6").statements
    assert "in iterations 50–250" in short.note and "250–450" not in short.note


def test_c11_needs_all_four_cells():
    assert judging.of_final_scores({TASK: {preset: np.ones(40) for preset in ("ppo", "ppo_m", "trpo_plus")}}) == []


def test_one_agent_a_cell_has_sizes_and_no_intervals_in_its_note():
    # ACLI = max(|4 − 1|, |2 − 3|) = 3, AAI = max(|4 − 2|, |1 − 3|) = 2; what is not known is not said
    scores = {preset: np.array([score]) for preset, score in (("ppo", 4.0), ("ppo_m", 1.0), ("trpo_plus", 2.0), ("trpo", 3.0))}
    note = verdict(judging.of_final_scores({TASK: scores}), "C11").statements[0].note
    assert note == "last iterations: ACLI 3, AAI 2, ACLI less AAI 1"


def test_the_ratio_of_what_does_not_clip_has_trainings_usual_bound():
    assert judging.REPORTED_EPSILON == ppo.REPORTED_EPSILON


def test_the_claims_are_those_that_are_judged():
    everything = [*judging.of_trust_regions([*regions("trpo", 0.05, 3.0), *regions("ppo", 0.05, 2.0)]),
                  *judging.of_gradients(gradients({150: [0.1] * 3})), *judging.of_values(values(0.05, 0.3, (1.0, 0.5, 0.5))),
                  *judging.of_slices([slices(seed) for seed in range(3)]), *judging.of_surrogates([slices(seed, 150) for seed in range(3)]),
                  *judging.of_concentrations([concentration(seed) for seed in range(3)]), *judging.of_steps([steps(seed, {150: 1.0}) for seed in range(3)]),
                  *judging.of_final_scores({TASK: {preset: np.arange(3.0) for preset in ("ppo", "ppo_m", "trpo", "trpo_plus")}})]
    assert {each.claim for each in everything} == set(CLAIMS)
    bounds = {bound for claim in CLAIMS.values() for bound in claim.bounds.values()}
    assert {statement.bound for each in everything for statement in each.statements} == bounds
