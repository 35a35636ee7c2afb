"""What is said of how speeds grow: from a machine that obeys the model."""

import pytest

from launch.benchmarking import scaling as benchscaling

A, B, C = 2e-4, 1e-6, 5e-5  # seconds of a vector step: fixed, for every environment, shared by threads


def answers(steps, seconds, **others):
    return {number: {"steps": steps, "seconds": seconds, **others} for number in (0, 1)}


@pytest.fixture
def told():
    found = {f"{kind}/{n}/{threads}@{cores}": answers(n, A + B * n + C * n / threads)
             for kind in ("environments", "rollouts") for n in (8, 32, 128) for cores, threads in ((1, 1), (2, 1), (2, 2))}
    for points, vector_steps, parameters in ((1, 100, 5000), (4, 90, 5000), (16, 80, 70_000)):
        pairs = 1000 * points
        found[f"landscape/{points}/1/64@2"] = answers(
            pairs, 3e-4 * vector_steps + (4e-5 + 2e-10 * parameters) * pairs, vector_steps=vector_steps, parameters=parameters)
    for algorithm in ("trpo", "ppo"):
        found[f"training/{algorithm}@2"] = {number: {"parts": {"whole": 0.3, "rollout": 0.2}} for number in (0, 1)}
    return benchscaling._told("Hopper-v5", found, 2048, (8, 32, 128), [1, 2])


def test_predictions_are_the_models_and_are_called_so(told):
    row, = [row for row in told["predicted"] if (row["cores"], row["environments_each"]) == (16, 128)]
    step = A + B * 128 + C * 128 / 16
    assert row["rollouts"] == pytest.approx(128 / step)
    assert row["ppo"] == pytest.approx(2048 / (0.1 + 16 * step))  # .3 − .2 s of update, 16 vector steps of 128
    assert "Predicted, not measured" in told["text"] and {row["cores"] for row in told["predicted"]} == {16, 64}


def test_the_text_has_what_was_measured(told):
    line, = [line for line in told["text"].splitlines() if "rollouts, 2 cores, 2 threads" in line]
    assert line.split()[-3:] == [benchscaling.number(128 / (A + B * 128 + C * 64)), "±0", "%"]
    assert "21 × 21 points of 1,000,000 pairs" in told["text"]
