"""What an instrument gets, and what it is told when there is nothing to get."""

import gymnasium as gym
import numpy as np
import pytest

from tests.diagnostics import handmade
from tfpg import checkpoint
from tfpg.config import Ppo
from tfpg.diagnostics import probe
from tfpg.errors import UserError


@pytest.fixture(scope="module", params=["Hopper-v5", "CartPole-v1"])
def made(request):
    return handmade.Made(handmade.config(request.param, algorithm=Ppo(minibatches=2)))


@pytest.fixture(scope="module")
def probed(made, tmp_path_factory):
    return probe.load(made.save(tmp_path_factory.mktemp("policies") / "000007"))


def test_a_probe_holds_the_iteration(made, probed):
    it = made.iteration
    assert probed.iteration == 7 and probed.config == made.config and probed.task == made.task
    assert probed.schedule == it.update.schedule
    for ours, theirs in ((probed.theta, it.before.theta), (probed.theta_next, it.update.learner.theta),
                         (probed.phi, it.before.phi), (probed.phi_next, it.update.learner.phi)):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in ((probed.batch, it.batch), (probed.trajectory, it.trajectory), (probed.normaliser, it.normaliser),
                         (probed.policy_slots, it.before.policy_slots), (probed.value_slots, it.before.value_slots)):
        assert checkpoint.digest(checkpoint.named(ours)) == checkpoint.digest(checkpoint.named(theirs))


def test_pi_is_the_policy_at_any_theta_on_raw_observations(made, probed):
    obs, theta = made.obs(6), probed.theta_next
    pi = probed.pi(theta, obs)
    assert pi.batch_shape == (6,)
    np.testing.assert_allclose(pi.kl_divergence(probed.pi(theta, obs)), 0, atol=1e-7)
    stacked = probed.pi_stacked(np.stack([probed.theta, theta]), np.stack([obs, obs]))
    actions = probed.model.greedy_at(theta, obs)
    np.testing.assert_allclose(stacked.log_prob(np.stack([actions, actions]))[1], pi.log_prob(actions), rtol=1e-4, atol=1e-4)


def test_acting_without_noise_is_acting_greedily(made, probed):
    obs, thetas = made.obs(5)[np.newaxis], probed.theta[np.newaxis]
    noise = np.zeros((1, 5, made.task.action_size), np.float32)
    np.testing.assert_array_equal(probed.act(obs, noise, thetas), probed.greedy(obs, noise[..., :0], thetas))
    assert probed.noise_kind == ("gumbel" if made.task.discrete else "normal")


def test_bad_directories_are_named_in_one_sentence(tmp_path):
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(UserError, match=tmp_path.name) as caught:
            probe.load(path)
        assert "\n" not in str(caught.value)


class Task(gym.Env):
    observation_space, action_space = gym.spaces.Box(-1, 1, (2,)), gym.spaces.Box(-1, 1, (3,))

    def __init__(self, size=2, actions=3, render_mode=None):
        self.observation_space = gym.spaces.Box(-1, 1, (size,))
        self.action_space = gym.spaces.Box(-1, 1, (actions,))


def test_a_task_that_has_changed_is_named(tmp_path):
    try:
        gym.register("Changing-v0", Task)
        directory = handmade.Made(handmade.config("Changing-v0")).save(tmp_path / "p")
        gym.register("Changing-v0", lambda render_mode=None: Task(size=5))
        with pytest.raises(UserError, match="observations of size 2, but Changing-v0 gives observations of size 5"):
            probe.load(directory)
        gym.register("Changing-v0", lambda render_mode=None: Task(actions=1))
        with pytest.raises(UserError, match="actions of size 3, but Changing-v0 takes actions of size 1"):
            probe.load(directory)
        del gym.registry["Changing-v0"]
        with pytest.raises(UserError, match="there is no task Changing-v0"):
            probe.load(directory)
    finally:
        gym.registry.pop("Changing-v0", None)
