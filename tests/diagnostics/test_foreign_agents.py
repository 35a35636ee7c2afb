"""Policies as TF-Agents saves them: read through their signature `action`, or refused in one sentence."""

import numpy as np
import pytest
import tensorflow as tf

from tests.diagnostics.like_tf_agents import Policy
from tfpg.diagnostics import foreign
from tfpg.errors import UserError

DRAW = np.random.default_rng(0)


@pytest.mark.parametrize("prefix", ["0/", ""])
def test_the_actions_of_a_greedy_policy_are_the_means(prefix, tmp_path):
    policy, obs = Policy(3, 1, prefix=prefix), DRAW.normal(size=(6, 3)).astype(np.float32)
    probed = foreign.load(policy.save(tmp_path / "p"), env="Pendulum-v1", log_std=-1.0)
    found = probed.parameters(probed.theta, obs)
    np.testing.assert_allclose(found.mean, policy.forward(obs), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found.log_std, np.full((6, 1), -1.0))
    assert probed.layout.size == 3 * 8 + 8 + 8 + 1
    moved = probed.parameters(probed.theta + np.float32(0.1), obs).mean
    for variable in policy.model_variables:
        variable.assign_add(tf.fill(variable.shape, 0.1))
    np.testing.assert_allclose(moved, policy.forward(obs), rtol=1e-5, atol=1e-6)


def test_a_step_leads_from_one_to_another(tmp_path):
    first = foreign.load(Policy(3, 1).save(tmp_path / "a"), env="Pendulum-v1", log_std=-1.0)
    second = foreign.load(Policy(3, 1, seed=1).save(tmp_path / "b"), env="Pendulum-v1", log_std=-1.0)
    np.testing.assert_array_equal(foreign.direction(tmp_path / "b", first), second.theta - first.theta)


def refused(match, path, env="Pendulum-v1", **options):
    with pytest.raises(UserError, match=match) as caught:
        foreign.load(path, env=env, **options)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_represented_is_named(tmp_path):
    refused("gives a mean and no log_std: set the option log_std", Policy(3, 1).save(tmp_path / "a"))
    refused("takes 1/actor_network_state/0 besides a time step .* has a state", Policy(3, 1, state=4).save(tmp_path / "b"), log_std=0.0)
    refused("gives discrete actions and not their probabilities", Policy(4, 2, lambda x: tf.argmax(x, -1)).save(tmp_path / "c"), "CartPole-v1")
    drawn = Policy(3, 1, lambda x: x + tf.random.normal(tf.shape(x)))
    refused("its outputs depend on chance", drawn.save(tmp_path / "d"), log_std=0.0)
    refused("takes observations of size 3, but Hopper-v5 gives", tmp_path / "a", "Hopper-v5", log_std=0.0)
