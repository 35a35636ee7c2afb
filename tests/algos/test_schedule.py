"""Step sizes and δ over a run."""

import pytest

from tfpg.algos.schedule import schedule
from tfpg.config import CodeLevel, Config, Ppo, Trpo

STEPS = {"total_steps": 4 * 2048}  # K = 4


def test_annealing_lowers_both_step_sizes_linearly_and_never_to_zero_within_the_run():
    config = Config(algorithm=Ppo(step_size=4.0), code_level=CodeLevel(anneal=True), **STEPS)
    assert [schedule(config, k)["policy_step_size"] for k in range(4)] == [4.0, 3.0, 2.0, 1.0]
    assert schedule(config, 2)["value_step_size"] == pytest.approx(config.value.step_size / 2)


def test_without_annealing_step_sizes_stay():
    config = Config(algorithm=Ppo(step_size=4.0), **STEPS)
    assert {schedule(config, k)["policy_step_size"] for k in range(4)} == {4.0}


def test_delta_reaches_its_final_value_in_the_last_iteration():
    config = Config(algorithm=Trpo(delta=0.1, delta_final=0.4), **STEPS)
    assert [schedule(config, k)["delta"] for k in range(4)] == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_delta_without_a_final_value_is_constant_as_the_authors_code_executed():
    config = Config(algorithm=Trpo(delta=0.1, delta_final=None), **STEPS)
    assert {schedule(config, k)["delta"] for k in range(4)} == {0.1}


def test_trpo_has_no_policy_step_size_and_ppo_no_delta():
    assert "policy_step_size" not in schedule(Config(algorithm=Trpo()), 0)
    assert "delta" not in schedule(Config(algorithm=Ppo()), 0)
