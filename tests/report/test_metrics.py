"""The numbers of an iteration: closed forms, and a line of JSON that gives them back."""

import math
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.records import EPOCHS, PPO, TRPO, N, T, iteration, small, trust_region
from tfpg.errors import UserError
from tfpg.report.metrics import as_line, curves, epoch_curves, final_scores, heldout, metrics, read
from tfpg.settings import replace

BOTH = pytest.mark.parametrize("config", [small(TRPO), small(PPO)], ids=["trpo", "ppo"])
SHARED = {
    "rollout/return", "rollout/length", "rollout/episodes", "policy/entropy", "policy/std", "policy/step_norm",
    *(f"trust_region/train/{name}" for name in (
        "mean_kl", "max_kl", "max_ratio", "min_ratio", "mean_ratio", "outside_fraction", "without_gradient",
        "mean_reverse_kl", "mean_ratio_distance",
        *(f"{what}_quantile_{level}" for what in ("kl", "ratio") for level in ("01", "10", "50", "90", "99")))),
    *(f"trust_region/normaliser/{name}" for name in ("mean_kl", "max_kl", "max_ratio", "min_ratio")),
    *(f"value/train/{name}" for name in ("mre_gae", "mre_floored", "explained_variance", "bias", "loss")),
    "time/rollout", "time/update", "time/iteration", "time/steps_per_second"}


def test_tags_of_trpo_are_the_documented_ones():
    own = {f"trpo/{name}" for name in ("cg_residual", "accepted_fraction", "backtracks", "expected_gain", "actual_gain",
                                       "predicted_kl", "fisher_kl", "rejected_kl", "curvature_ok")}
    assert set(metrics(iteration(TRPO), small(TRPO))) == SHARED | own | {"trust_region/bounds/mean_kl"}


def test_tags_of_ppo_are_the_documented_ones():
    own = {"ppo/clip_fraction", "ppo/surrogate", "policy/step_size", "trust_region/bounds/max_ratio",
           "trust_region/bounds/min_ratio"}
    own |= {f"ppo/epoch_{e}/{name}" for e in ("01", "02") for name in ("mean_kl", "max_ratio", "clip_fraction")}
    assert set(metrics(iteration(PPO), small(PPO))) == SHARED | own


@BOTH
def test_every_metric_is_a_python_float(config):
    assert {type(value) for value in metrics(iteration(config), config).values()} == {float}


def test_values_are_those_of_the_record():
    found = metrics(iteration(TRPO), small(TRPO))
    expected = {
        "rollout/return": 20.0, "rollout/length": 6.0, "rollout/episodes": 2.0, "policy/step_norm": 5.0,
        "trust_region/train/max_ratio": 3.0, "trust_region/train/min_ratio": 0.25, "trust_region/bounds/mean_kl": 0.13,
        "trpo/rejected_kl": 0.75, "trpo/backtracks": 1.0, "value/train/loss": 2.0, "time/iteration": 0.4,
        "time/steps_per_second": T * N / 0.4}
    assert {tag: found[tag] for tag in expected} == expected


def test_last_and_early_epochs_of_ppo_stand_apart():
    found = metrics(iteration(PPO), small(PPO))
    assert found["ppo/clip_fraction"] == EPOCHS / 32
    assert (found["ppo/epoch_01/mean_kl"], found["ppo/epoch_02/mean_kl"]) == (1 / 16, 2 / 16)
    assert (found["trust_region/bounds/max_ratio"], found["trust_region/bounds/min_ratio"]) == (1.2, 0.8)


def test_quantiles_stand_under_their_level():
    found = metrics(iteration(TRPO), small(TRPO))
    assert [found[f"trust_region/train/ratio_quantile_{level}"] for level in ("01", "10", "50", "90", "99")] == [
        0.5, 0.75, 1.0, 1.25, 1.5]


def test_a_run_without_observation_normalisation_has_no_kl_of_its_normaliser():
    bare = replace(small(TRPO), {"code_level.observation_normalisation": False})
    assert not any("normaliser" in tag for tag in metrics(iteration(TRPO), bare))


def test_tensorboard_is_spared_the_details():
    shown = curves(metrics(iteration(TRPO), small(TRPO)))
    assert {tag for tag in shown if tag.startswith("trust_region/train/")} == {f"trust_region/train/{name}" for name in (
        "mean_kl", "max_kl", "mean_ratio", "max_ratio", "min_ratio", "outside_fraction", "without_gradient")}
    assert shown["trpo/backtracks"] == 1.0


def test_what_held_out_pairs_say_has_tags_of_its_own():
    found = heldout(SimpleNamespace(
        region=trust_region(0.5), mean_kl_stderr=np.float64(0.25), mean_return=3.0, mean_return_stderr=0.5, pairs=2048,
        episodes=7, episodes_played=8))
    assert found["trust_region/heldout/mean_kl"] == 0.5
    assert {tag.rpartition("/")[2]: value for tag, value in found.items() if tag.rpartition("/")[2] in (
        "mean_kl_stderr", "mean_return", "pairs", "episodes")} == {
        "mean_kl_stderr": 0.25, "mean_return": 3.0, "pairs": 2048.0, "episodes": 7.0}
    assert {type(value) for value in found.values()} == {float}


def test_ppo_without_clipping_has_no_bound_on_the_ratio():
    free = replace(small(PPO), {"ppo.clip_epsilon": None})
    assert "trust_region/bounds/max_ratio" not in metrics(iteration(PPO), free)


def test_return_is_absent_where_no_episode_ended():
    found = metrics(iteration(TRPO, returns=(), lengths=()), small(TRPO))
    assert found["rollout/episodes"] == 0 and "rollout/return" not in found and "rollout/length" not in found


def test_std_is_absent_for_discrete_actions():
    assert "policy/std" not in metrics(iteration(TRPO, std=np.nan), small(TRPO))


def test_relative_error_is_of_the_value_net_after_its_update_against_the_gae_target():
    # V_old = 0 and Â = target: V = 1.5·target is off by a half everywhere.
    targets = np.arange(1.0, 9)
    found = metrics(iteration(TRPO, values_after=1.5 * targets), small(TRPO))
    assert found["value/train/mre_gae"] == pytest.approx(0.5)
    assert found["value/train/bias"] == pytest.approx(0.5 * targets.mean())


def test_terminal_steps_are_left_out_of_the_relative_error():
    values, terminated = np.arange(1.0, 9), np.zeros([T, N], bool)
    values[3], terminated[1, 1] = 1e6, True  # pair 3 = time 1, environment 1: time-major
    found = metrics(iteration(TRPO, values_after=values, terminated=terminated), small(TRPO))
    assert found["value/train/mre_gae"] == 0


@pytest.mark.parametrize(("time_limit", "counts"), [("terminal", False), ("bootstrap", True)])
def test_time_limits_are_left_out_only_where_they_count_as_terminal(time_limit, counts):
    values, truncated = np.arange(1.0, 9), np.zeros([T, N], bool)
    values[3], truncated[1, 1] = 1e6, True
    config = replace(small(TRPO), {"rollout.time_limit": time_limit})
    found = metrics(iteration(TRPO, values_after=values, truncated=truncated), config)
    assert (found["value/train/mre_gae"] > 1) == counts


def test_returns_target_has_an_error_of_its_own():
    config = replace(small(TRPO), {"value.target": "returns"})
    assert metrics(iteration(TRPO), config)["value/train/mre_returns_cut"] == 0


@BOTH
def test_a_line_gives_back_every_number_exactly(config, tmp_path):
    record = iteration(config, 3)
    numbers = metrics(record, config)
    path = tmp_path / "metrics.jsonl"
    path.write_text(as_line(record, numbers) + "\n")
    [row] = read(path)
    assert list(row)[:3] == ["iteration", "steps", "env_steps"]
    assert (row["iteration"], row["steps"], row["env_steps"]) == (3, 4 * T * N, 5 * T * N)
    assert {tag: row[tag] for tag in numbers} == numbers
    assert {tag: row[tag] for tag in epoch_curves(record)} == epoch_curves(record)
    assert len(row) == 3 + len(numbers) + len(epoch_curves(record))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_finite_number_survives_the_line(value):
    import json

    assert json.loads(as_line(iteration(TRPO), {"x": value}))["x"] == value


def test_what_is_not_finite_is_written_as_json_has_it_and_comes_back_as_it_was(tmp_path):
    line = as_line(iteration(TRPO), {"a": math.nan, "b": math.inf, "c": -math.inf, "d": [1.0, math.inf]})
    assert line.count("null") == 1 and "NaN" not in line and "Infinity" not in line
    (tmp_path / "m").write_text(line + "\n")
    [row] = read(tmp_path / "m")
    assert math.isnan(row["a"]) and (row["b"], row["c"], row["d"]) == (math.inf, -math.inf, [1, math.inf])


def test_reading_passes_over_a_torn_last_line(tmp_path):
    lines = [as_line(iteration(TRPO, k), {"x": 1.0}) for k in range(3)]
    (tmp_path / "m").write_text("\n".join(lines)[:-5])
    assert [row["iteration"] for row in read(tmp_path / "m")] == [0, 1]


def test_reading_names_a_damaged_line(tmp_path):
    (tmp_path / "m").write_text('{"x": 1}\nrubbish\n{"x": 2}\n')
    with pytest.raises(UserError, match="line 2"):
        read(tmp_path / "m")


def test_final_score_weighs_the_last_five_iterations_by_their_episodes():
    rows = [{"rollout/return": 1000.0, "rollout/episodes": 9.0}] + [{"rollout/episodes": 0.0}] * 3 + [
        {"rollout/return": 10.0, "rollout/episodes": 1.0}, {"rollout/return": 40.0, "rollout/episodes": 2.0}]
    # The first is outside the last five: (10·1 + 40·2) / 3 = 30.
    assert final_scores(rows) == {"final/return": 30.0, "final/best_return": 1000.0}


def test_final_score_without_episodes_is_nan():
    assert all(math.isnan(score) for score in final_scores([{"rollout/episodes": 0.0}]).values())


def test_importing_metrics_imports_no_tensorflow():
    code = "import sys, tfpg.report.metrics; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
