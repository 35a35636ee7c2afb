"""The factorial of code-level optimisations, from made-up agents whose effects are known."""

import itertools

import numpy as np
import pytest

from tfpg.config import Config, Ppo
from tfpg.diagnostics import ablations, results
from tfpg.diagnostics.ablations import Agent
from tfpg.errors import UserError
from tfpg.settings import replace, to_dict

BASE = Config(preset="ppo", algorithm=Ppo())
ON = {"code_level.anneal": True, "code_level.reward_scaling": "returns"}
OFF = {"code_level.anneal": False, "code_level.reward_scaling": "none"}


def agent(score, seed=0, **changes):
    return Agent(to_dict(replace(BASE, {"seed": seed, **changes})), score, score + 50)


def factorial(effects=(100.0, 300.0), seeds=3, step_sizes=(3e-4,)):
    """Scores: 1000, the effect of each toggle that is on, and 10 for each seed."""
    made = []
    for first, second in itertools.product((True, False), repeat=2):
        settings = {name: (ON if on else OFF)[name] for name, on in zip(ON, (first, second), strict=True)}
        for seed, size in itertools.product(range(seeds), step_sizes):
            worse = -500 * (size != step_sizes[0])
            made.append(agent(1000 + effects[0] * first + effects[1] * second + 10 * seed + worse, seed, **settings, **{"ppo.step_size": size}))
    return made


def test_a_main_effect_is_the_difference_of_means_with_and_without(tmp_path):
    found = ablations.ablation(factorial())
    assert found["toggle"].values.tolist() == ["code_level.reward_scaling", "code_level.anneal"] or (
        found["toggle"].values.tolist() == ["code_level.anneal", "code_level.reward_scaling"])
    effects = found["effect"].sel(score="final")
    assert float(effects.sel(toggle="code_level.anneal")) == pytest.approx(100)
    assert float(effects.sel(toggle="code_level.reward_scaling")) == pytest.approx(300)
    assert found["agents"].sel(score="final", side="on").values.tolist() == [6, 6]
    assert found.attrs["balanced"] == 1 and found.attrs["cells"] == 4
    assert results.load(results.save(found, tmp_path / "ablation.nc")).identical(found)


def test_the_share_above_a_score_is_one_minus_the_cdf():
    found = ablations.ablation(factorial(effects=(0, 300), seeds=1)).sel(score="final", toggle="code_level.anneal", side="on")
    level, share = found["level"].values, found["share"].values
    assert level[np.isfinite(level)].tolist() == [1000, 1300]
    assert share[np.isfinite(share)].tolist() == [1.0, 0.5]


def test_the_best_step_size_stands_for_a_cell():
    found = ablations.ablation(factorial(step_sizes=(3e-4, 1e-5)))
    assert found.attrs["tuned"] == "ppo.step_size" and found.attrs["chosen"] == "0.0003: 4 cells"
    assert found.attrs["agents"] == 12  # of 24: those at the best step size
    assert float(found["effect"].sel(score="final", toggle="code_level.anneal")) == pytest.approx(100)


def test_a_setting_that_goes_with_a_toggle_is_no_toggle_of_its_own():
    made = [agent(1.0, seed, **settings) for seed in range(2) for settings in (
        {"code_level.reward_scaling": "returns", "code_level.reward_clip": 10.0}, {"code_level.reward_scaling": "none"})]
    found = ablations.ablation(made)
    assert found["toggle"].values.tolist() == ["code_level.reward_scaling"]
    assert found.attrs["linked"] == "code_level.reward_clip with code_level.reward_scaling"


@pytest.mark.parametrize(("made", "sentence"), [
    ([agent(1.0), agent(2.0, 1)], "there is no ablation"),
    ([agent(1.0, **{"code_level.anneal": True}), agent(1.0, **{"rollout.num_envs": 64})], "differ in rollout.num_envs"),
    ([agent(1.0, **{"code_level.reward_scaling": each}) for each in ("none", "returns", "rewards")], "code_level.reward_scaling has the values"),
    ([], "there is no ablation")])
def test_what_is_no_factorial_is_refused(made, sentence):
    with pytest.raises(UserError, match=sentence):
        ablations.ablation(made)


def test_a_toggle_without_effect_is_seen_as_one_in_five_of_a_hundred_studies():
    # Normal scores of spread 550, 2² cells of 5 agents, no effect: Welch's interval leaves 0 out in 5 %, ± 3 standard errors.
    draw, beyond = np.random.default_rng(1), []
    for _ in range(300):
        made = [each._replace(final=draw.normal(1000, 550), best=0.0) for each in factorial(effects=(0, 0), seeds=5)]
        found = ablations.ablation(made).sel(score="final")
        beyond.append((found["effect_low"].values > 0) | (found["effect_high"].values < 0))
    assert np.mean(beyond) == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / 300))
