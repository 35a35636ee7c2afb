"""Gradients from pools in parts: equal to those of whole pools, and on a task with known J equal to its gradient."""

import dataclasses
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from tests import linear_quadratic as lq
from tests.diagnostics import handmade
from tfpg.config import CodeLevel, Network, Ppo, Rollout, Trpo
from tfpg.diagnostics import pools, updates
from tfpg.diagnostics.gradients import derivatives
from tfpg.numerics import similarity
from tfpg.types import Moments, Normaliser, Trajectory


def config(env, **changes):
    return dataclasses.replace(handmade.config(env, algorithm=Ppo(minibatches=2)), **changes)


def summed(probe, parts):
    measure, sums = derivatives.Measure(probe), derivatives.Sums(len(probe.theta))
    for part in parts:
        batch = measure.prepare(part)
        sums.add(batch.advantages, measure.surrogate(batch, np.arange(len(batch.advantages))[::-1]))
    return sums


@pytest.mark.parametrize("changes", [
    {}, {"rollout": Rollout(num_steps=24, num_envs=4, time_limit="bootstrap")}, {"algorithm": Trpo()}], ids=str)
@pytest.mark.parametrize("env", ["Hopper-v5", "CartPole-v1", lq.TASK])
def test_a_pool_in_parts_has_the_gradient_of_the_whole(env, changes, untrained, monkeypatch):
    probe = untrained(config(env, **changes))
    whole = pools.draw(probe, 333, 3, seed=1)
    expected = updates.surrogate_gradient(probe, updates.Repeater(probe).prepare(whole))
    monkeypatch.setattr(pools, "PART_PAIRS", 120)  # longer than an episode: those are not cut
    with pools.Stream(probe, 3, seed=1, envs=pools.FEW_ENVS) as stream:
        parts = list(stream.take(333))
    assert len(parts) > 2
    found = summed(probe, parts).gradient()
    # advantages are float32: batches of other shapes differ by rounding
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())
    assert np.linalg.norm(found) > 1e-3


def test_the_modules_example_runs(untrained):
    probe = untrained(config("CartPole-v1"))
    block = derivatives.__doc__.split("\n\n")[1]
    example = textwrap.dedent(block).replace("10**7", "100").replace("sums.gradient()", "found = sums.gradient()")
    with pools.Stream(probe, 3, seed=1, envs=pools.FEW_ENVS) as stream:
        names = {**vars(derivatives), "probe": probe, "stream": stream, "draw": np.random.default_rng(0)}
        exec(example, names)  # noqa: S102
    assert names["found"].shape == probe.theta.shape


def test_sums_can_be_kept_and_joined(untrained):
    probe = untrained(config("CartPole-v1"))
    with pools.Stream(probe, 3, seed=1, envs=pools.FEW_ENVS) as stream:
        parts = [*stream.take(100), *stream.take(150)]
    whole = summed(probe, parts)
    joined = derivatives.Sums.joined([derivatives.Sums.of(summed(probe, [part]).arrays()) for part in parts])
    np.testing.assert_allclose(joined.gradient(), whole.gradient(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(joined.chance(), whole.chance(), rtol=1e-9, atol=1e-12)


def test_advantages_that_are_all_equal_say_nothing(untrained):
    probe = untrained(config("CartPole-v1"))
    measure, sums = derivatives.Measure(probe), derivatives.Sums(len(probe.theta))
    batch = measure.prepare(pools.draw(probe, 50, 3, seed=1))
    batch = batch._replace(advantages=np.full(50, 0.3, np.float32))
    sums.add(batch.advantages, measure.surrogate(batch, np.arange(50)))
    assert not sums.gradient().any()


def test_scores_are_weighted_sums_of_each_pairs_own(untrained, monkeypatch):
    probe = untrained(config("Hopper-v5"))
    batch = updates.Repeater(probe).prepare(pools.draw(probe, 20, 3, seed=1))
    weights = np.random.default_rng(0).normal(size=(2, 20))
    pi, theta = updates.networks_of(probe).policy, tf.constant(probe.theta, tf.float64)
    each = []
    for obs, action in zip(batch.obs.astype(np.float64), batch.actions.astype(np.float64), strict=True):
        with tf.GradientTape() as tape:
            tape.watch(theta)
            log_prob = pi(theta, obs[np.newaxis]).log_prob(action[np.newaxis])
        each.append(tape.gradient(log_prob, theta).numpy())
    scores = derivatives.Scores(probe)
    for chunk in (7, 1000):
        monkeypatch.setattr(derivatives, "CHUNK", chunk)
        np.testing.assert_allclose(scores(batch.obs, batch.actions, weights), weights @ np.array(each), rtol=1e-9, atol=1e-12)


def test_parts_of_many_lengths_are_traced_for_few(untrained):
    probe = untrained(config(lq.TASK))
    repeater, whole = updates.Repeater(probe), pools.draw(probe, 600, 3, seed=1)
    prepare = derivatives.Preparer(repeater)
    for size in range(10, 600, 37):
        assert len(prepare(Trajectory(*(column[:size] for column in whole))).advantages) == size
    assert repeater.traces == 3  # 256, 512, 1024


def test_rewards_to_go_are_sums_to_the_episodes_end():
    zeros = np.zeros((7, 1))
    terminated, truncated = np.zeros((2, 7, 1), bool)
    terminated[2], truncated[4] = True, True
    rewards = np.array([1.0, 2, 3, 10, 20, 100, 200])[:, np.newaxis]
    found = derivatives.rewards_to_go(Trajectory(zeros, zeros, rewards, terminated, truncated, zeros, zeros))
    # 1+2+3, 2+3, 3; 10+20, 20; the rest has not ended: its rewards so far
    np.testing.assert_array_equal(found, [6, 5, 3, 30, 20, 300, 200])


def test_a_monte_carlo_sum_is_that_of_its_definition(untrained):
    scaled = CodeLevel(reward_scaling="returns", observation_clip=5.0)
    probe = untrained(config(lq.TASK, code_level=scaled))
    part = pools.draw(probe, 40, 3, seed=1)  # five episodes of eight steps
    batch, scores = updates.Repeater(probe).prepare(part), derivatives.Scores(probe)
    std = np.sqrt(9 / 400)  # handmade's reward moments: m2 9 of 400
    assert derivatives.reward_scale(probe) == pytest.approx(std)
    expected = np.zeros(len(probe.theta))
    for t in range(40):
        to_go = part.rewards[t:8 * (t // 8 + 1), 0].astype(np.float64).sum()
        expected += scores(batch.obs[t:t + 1], batch.actions[t:t + 1], np.array([[to_go - std * batch.values[t]]]))[0]
    np.testing.assert_allclose(derivatives.Measure(probe).monte_carlo(part), expected, rtol=1e-6, atol=1e-6)


@pytest.fixture(scope="module")
def linear(untrained):
    """a = w s + b + σ ε on the linear-quadratic task, whose J and ∇J are known; V is a bad baseline, and must not matter."""
    made = untrained(config(lq.TASK, network=Network(hidden=()), code_level=CodeLevel(observation_normalisation=False)))
    one = Moments(np.float64(0), np.zeros(1), np.zeros(1))
    return made._replace(normaliser=Normaliser(one, made.normaliser.reward))


def known_gradient(probe):
    """∇J in θ's own layout, by differentiating the recursion of the moments through the policy's parameters."""
    pi, theta = updates.networks_of(probe).policy, tf.constant(probe.theta, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(theta)
        at_0, at_1 = (pi(theta, tf.constant([[s]], tf.float64)) for s in (0.0, 1.0))
        b, w = at_0.mean()[0, 0], at_1.mean()[0, 0] - at_0.mean()[0, 0]
        j = lq.mean_return(w, b, at_0.stddev()[0, 0])
    return tape.gradient(j, theta).numpy()


def test_monte_carlo_gradients_tend_to_the_known_one(linear):
    truth, measure = known_gradient(linear), derivatives.Measure(linear)
    found = []
    with pools.Stream(linear, 2, seed=1, envs=64) as stream:
        for _ in range(40):
            parts = list(stream.take(800))  # a hundred episodes
            found.append(sum(measure.monte_carlo(part) for part in parts) / 100)
    mean, stderr = np.mean(found, 0), np.std(found, 0, ddof=1) / np.sqrt(40)
    assert (np.abs(mean - truth) < 4 * stderr).all()  # unbiased in every coordinate
    assert similarity.cosine(mean, truth) > 0.95
