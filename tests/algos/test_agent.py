"""Do two programs beside each other learn what they learn one after the other, and is no error lost?"""

import dataclasses
import functools
import time

import numpy as np
import pytest

from tests.test_training import same, small
from tfpg.algos.agent import Agent
from tfpg.algos.distances import moved
from tfpg.clock import Clock
from tfpg.config import Ppo, Runtime, Trpo
from tfpg.envs.make import describe
from tfpg.training import Training


@pytest.fixture(scope="module", params=[Trpo(), Ppo(epochs=3, minibatches=4)], ids=["trpo", "ppo"])
def trained(request):
    """An agent and its last iteration."""
    config = dataclasses.replace(small(), algorithm=request.param)
    with Training(config) as training:
        last = list(training)[-1]
    return training.agent, last


def test_the_update_is_that_of_its_halves_one_after_the_other(trained):
    agent, last = trained
    policy, entropies, *_ = agent.learn_policy(last.before, last.batch, last.index)
    value, values = agent.learn_value(last.before, last.batch, last.index)
    same((policy.theta, value.phi, value.slots, entropies, values),
         (last.update.learner.theta, last.update.learner.phi, last.update.learner.value_slots, last.update.entropy,
          last.update.values_after))


@pytest.mark.parametrize("broken", ["learn_value", "learn_policy", "observe", "_look"])
def test_an_error_of_any_part_ends_the_update_with_nothing_left_under_way(trained, broken, monkeypatch):
    agent, last = trained
    under_way, real = set(), {name: getattr(agent, name) for name in ("learn_value", "learn_policy", "observe", "_look")}

    def entered(name, *given):
        under_way.add(name)
        time.sleep(0.05)
        if name == broken:
            under_way.remove(name)
            raise ArithmeticError(broken)
        try:
            return real[name](*given)
        finally:
            under_way.remove(name)

    for name in real:
        monkeypatch.setattr(agent, name, functools.partial(entered, name))
    state = last.state._replace(iteration=last.index, learner=last.before, normaliser=last.normaliser)
    with pytest.raises(ArithmeticError, match=broken):
        agent.learn(state, last.trajectory, last.batch, Clock()).moving()
    agent.leave()
    assert not under_way


def test_the_last_of_ppos_epochs_is_the_update_and_trpo_has_none(trained):
    agent, last = trained
    if isinstance(agent.config.algorithm, Trpo):
        assert last.moved.epochs is None
        return
    assert last.moved.epochs.mean_kl.shape == (3,)
    for name in ("mean_kl", "max_kl", "max_ratio", "min_ratio", "mean_ratio_distance"):
        np.testing.assert_allclose(getattr(last.moved.epochs, name)[-1], getattr(last.moved.after, name), rtol=1e-4)


def test_what_is_looked_at_beside_is_the_updates_trust_region(trained):
    agent, last = trained
    expected = moved(agent.policy, last.before.theta, last.update.learner.theta, last.batch, agent.config.algorithm)
    for name, found, wanted in zip(expected._fields, last.moved.after, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("epochs", [1, 3])
def test_xla_looks_at_one_epoch_and_at_several(epochs):
    config = dataclasses.replace(small(), algorithm=Ppo(epochs=epochs, minibatches=4), runtime=Runtime(xla=True), total_steps=512)
    with Training(config) as training:
        last = list(training)[-1]
    expected = moved(training.agent.policy, last.before.theta, last.update.learner.theta, last.batch, config.algorithm)
    assert last.moved.epochs.mean_kl.shape == (epochs,)
    np.testing.assert_allclose(last.moved.epochs.mean_kl[-1], expected.mean_kl, rtol=1e-3)
    for name, found, wanted in zip(expected._fields, last.moved.after, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5, err_msg=name)


def test_an_error_while_epochs_are_looked_at_comes_out_of_the_iteration(monkeypatch):
    config = dataclasses.replace(small(), algorithm=Ppo(epochs=1, minibatches=2))
    agent = Agent(config, describe(config.env, config.env_args, config.rollout.engine))

    def broken(*_):
        raise ArithmeticError("epochs")

    monkeypatch.setattr(agent, "_look", broken)
    monkeypatch.setattr(Agent, "__init__", lambda self, *_: self.__dict__.update(agent.__dict__))
    with Training(config) as training, pytest.raises(ArithmeticError, match="epochs"):
        _ = next(iter(training)).moved
    with Training(config) as training, pytest.raises(ArithmeticError, match="epochs"):
        list(training)  # also where nobody asks
