"""Blocks of pairs whose episodes are played to their end: returns hold no guess, and nothing is met twice."""

import dataclasses

import numpy as np
import pytest

from tests import linear_quadratic as lq
from tests.diagnostics import handmade, linear_probe
from tests.diagnostics.subjects import ENDLESS
from tfpg.config import Ppo
from tfpg.diagnostics import blocks, pools
from tfpg.diagnostics.blocks import Blocks
from tfpg.diagnostics.updates import Repeater, networks_of
from tfpg.diagnostics.values import baselines, fit_pools, predictions
from tfpg.diagnostics.values import study as value_study
from tfpg.types import Trajectory

ALL = (0, 1, 2, 3, 5, predictions.TRAIN_STREAM, predictions.HELDOUT_STREAM, fit_pools.STREAM, value_study.CHECK_STREAM, baselines.STREAM,
       baselines.REFERENCE_STREAM)


@pytest.fixture(scope="module")
def probe_of(untrained):
    return lambda env: untrained(handmade.config(env, algorithm=Ppo(minibatches=2)))


def slow_returns(rewards, ended, gamma):
    """The definition, a sum for each row."""
    found = []
    for t in range(len(rewards)):
        end = next(u for u in range(t, len(rewards)) if ended[u])
        found.append(sum(gamma**(u - t) * float(rewards[u]) for u in range(t, end + 1)))
    return np.array(found)


@pytest.mark.parametrize("env", ["Hopper-v5", "CartPole-v1", lq.TASK])
def test_returns_go_to_the_end_of_their_episode(env, probe_of):
    probe = probe_of(env)
    with Blocks(probe, 10, 50, count=2, seed=3) as read:
        block = read[1]
    whole = block.trajectory
    ended = (whole.terminated | whole.truncated)[:, 0]
    assert ended[-1] and len(whole.rewards) >= 50
    expected = slow_returns(whole.rewards[:, 0], ended, probe.config.advantages.gamma)
    np.testing.assert_allclose(block.returns, expected, rtol=1e-9)


def test_returns_are_in_the_frozen_reward_scale(untrained):
    scaled = handmade.config(lq.TASK)
    scaled = dataclasses.replace(scaled, code_level=dataclasses.replace(scaled.code_level, reward_scaling="returns"))
    probe = untrained(scaled)
    with Blocks(probe, 10, 16, count=1, seed=3) as read:
        block = read[0]
    moments = probe.normaliser.reward
    count, spread = float(moments.count), np.sqrt(float(moments.m2) / float(moments.count))
    rewards = np.clip(block.trajectory.rewards[:, 0] / spread, -np.sqrt(count), np.sqrt(count))
    expected = slow_returns(rewards, block.trajectory.truncated[:, 0], probe.config.advantages.gamma)
    np.testing.assert_allclose(block.returns, expected, rtol=1e-5)


def test_the_task_without_an_end_is_cut_and_its_return_ends_there(probe_of, monkeypatch):
    monkeypatch.setattr(pools, "LIMIT", 20)
    with Blocks(probe_of(ENDLESS), 10, 30, count=1, seed=3) as read:
        assert len(read[0].returns) == 40


def test_blocks_follow_one_another_in_one_stream_and_begin_with_an_episode(probe_of):
    probe = probe_of("Hopper-v5")
    with Blocks(probe, 10, 30, count=4, seed=3) as read:
        found = [read[i] for i in range(4)]
    whole = Trajectory(*(np.concatenate(column) for column in zip(*(each.trajectory for each in found), strict=True)))
    pool = pools.draw(probe, len(whole.rewards), 10, seed=3)
    for name, one, other in zip(Trajectory._fields, whole, pool, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)
    assert all(each.trajectory.episode_step[0, 0] == 0 and len(each.cut.rewards) == 30 for each in found)


def test_a_block_does_not_depend_on_which_before_it_were_read(probe_of):
    probe = probe_of("Hopper-v5")
    with Blocks(probe, 10, 30, count=4, seed=3) as read:
        found = [read[i] for i in range(4)]
    with Blocks(probe, 10, 30, count=4, seed=3) as read:
        np.testing.assert_array_equal(read[3].trajectory.obs, found[3].trajectory.obs)
        with pytest.raises(ValueError, match="block 1 was passed"):
            read[1]


def test_every_purpose_has_pairs_of_its_own(probe_of):
    assert len(set(ALL)) == len(ALL)
    drawn = []
    for number in (10, 11, 12, 13, 14, 15, 0, 2):
        with Blocks(probe_of(lq.TASK), number, 100, count=1, seed=3) as read:
            drawn.append(read[0].trajectory)
    for name in ("obs", "actions", "successors"):
        numbers = np.concatenate([getattr(each, name).ravel() for each in drawn])
        assert len(np.unique(numbers)) == len(numbers) == sum(len(each.rewards) for each in drawn)


@pytest.mark.parametrize(("time_limit", "count"), [("terminal", 2), ("bootstrap", 0)])
def test_dead_rows_are_those_whose_successor_is_worth_nothing(time_limit, count, untrained):
    probe = untrained(handmade.config(lq.TASK, time_limit=time_limit))
    with Blocks(probe, 10, 16, count=1, seed=3) as read:
        assert blocks.dead(probe, read[0].cut).sum() == count


def test_a_batch_prepared_here_is_that_of_training(untrained):
    probe = untrained(linear_probe.config())
    with Blocks(probe, 10, 20, count=1, seed=3) as read:
        cut = read[0].cut
    made = blocks.prepared(probe, cut, probe.phi, networks_of(probe).value)
    for name, one, other in zip(made._fields, made, Repeater(probe).prepare(cut), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5, err_msg=name)
