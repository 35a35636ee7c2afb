"""Tasks with odd rewards, lengths and observations: training and every instrument say something finite, or one sentence."""

import json

import numpy as np
import pytest

from launch import evaluate, gradients, landscape, steps, train, trust_region, values
from tests.launch import test_gradients, test_steps, test_values
from tests.launch.grounds import TINY, command
from tests.launch.runs import metrics
from tfpg import storage

pytestmark = pytest.mark.long

ODD = {
    "as usual": {}, "rewards of 1e8": {"reward_scale": 1e8}, "rewards of 1e-8": {"reward_scale": 1e-8}, "rewards of 1e-30": {"reward_scale": 1e-30},
    "constant rewards": {"reward_scale": 0, "reward_shift": 1}, "rewards of 0": {"reward_scale": 0},
    "rewards far from 0": {"reward_scale": 1e-3, "reward_shift": -1e6}, "episodes of one step": {"length": 1},
    "lengths by chance": {"drawn": True}, "episodes that never end": {"length": 0}, "observations of 1e-8": {"observation_scale": 1e-8},
    "observations of 1e8": {"observation_scale": 1e8}, "observations of 1e30": {"observation_scale": 1e30},
    "observations of 0": {"observation_scale": 0},
}
RELATIVE = {"value/train/mre_gae", "value/train/mre_floored"}  # errors relative to targets: unknown where all are 0


def asked(path, algo, odd):
    few = ["--ppo.minibatches=4", "--ppo.epochs=2"] if algo.startswith("ppo") else []
    return command(train, f"--algo={algo}", "--env=tests.envs.odd:TfpgOdd-v0", f"--env_args={json.dumps(odd)}", "--total_steps=768",
                   "--rollout.num_steps=256", "--rollout.num_envs=8", "--value.minibatches=4", "--value.epochs=2", "--noruntime.xla",
                   "--final_episodes=0", "--snapshots=0,2", f"--workdir={path}", *few)


def theta(path):
    return storage.read_npz(max((path / "iterates").glob("*.npz")))["theta"]


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """PPO's θ after three iterations on the task as usual."""
    path = tmp_path_factory.mktemp("usual") / "run"
    assert asked(path, "ppo", {})[0] == 0
    return theta(path)


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("algo", ["trpo", "ppo"])
def test_an_odd_task_is_trained_on_and_every_number_is_finite(algo, odd, usual, tmp_path):
    code, _, err = asked(tmp_path / "run", algo, ODD[odd])
    assert code == 0, err
    rows = metrics(tmp_path / "run")
    unknown = {name for row in rows for name, value in row.items() if value is None or not np.all(np.isfinite(value))}
    assert len(rows) == 3 and unknown <= RELATIVE
    after = theta(tmp_path / "run")
    assert np.isfinite(after).all()
    # Normalised observations and scaled rewards know no unit: the same run but for float32's rounding, which TRPO's solver enlarges.
    if algo == "ppo" and odd.startswith(("observations of 1e", "rewards of 1e")):
        np.testing.assert_allclose(after, usual, atol=2e-3)


@pytest.mark.parametrize(("scale", "words"), [
    (1e30, "iteration 0: the value loss or its gradient is not finite (rewards reach"), (1e45, "which is beyond float32")])
def test_rewards_that_float32_cannot_take_are_named_with_what_to_do(scale, words, tmp_path):
    code, _, err = asked(tmp_path / "run", "trpo", {"reward_scale": scale})
    assert code == 1 and words in err.splitlines()[-1]


@pytest.mark.parametrize("odd", ["rewards of 0", "rewards of 1e-30", "episodes of one step", "episodes that never end"])
def test_every_instrument_looks_at_an_odd_task(odd, tmp_path):
    run = tmp_path / "run"
    assert asked(run, "trpo", ODD[odd])[0] == 0
    policy, endless = f"--policy={run}/policies/000000", odd.endswith("never end")
    refused = ({"values": "episodes", "steps": "ended no episode"} if endless
               else {"values": "all returns are 0, so there is nothing to fit a value net to"} if odd == "rewards of 0" else {})
    for name, launcher, arguments in (
            ("evaluate", evaluate, [policy, "--episodes=8"]),
            ("landscape", landscape, [*TINY, policy, "--max_steps=60"]),
            ("gradients", gradients, [*test_gradients.TINY, policy]),
            ("values", values, [*test_values.TINY, policy]),
            ("trust_region", trust_region, [f"--run={run}", "--heldout_every=2"]),
            ("steps", steps, [f"--run={run}", *test_steps.QUICK])):
        code, _, err = command(launcher, *arguments)
        assert "Traceback" not in err and "Warning" not in err, err
        if name in refused:
            assert code == 2 and refused[name] in err.splitlines()[-1]
        else:
            assert code == 0, err
