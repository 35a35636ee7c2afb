"""Pools of whole episodes: a stream in the order of their starts, whatever is drawn beside it."""

import tracemalloc  # knows NumPy's arrays, which is where parts would pile up

import numpy as np
import pytest

from tests import linear_quadratic as lq
from tests.diagnostics import handmade
from tests.diagnostics.subjects import ENDLESS
from tfpg import seeds
from tfpg.config import Ppo
from tfpg.diagnostics import pools, updates
from tfpg.envs.episodes import EpisodeSampler
from tfpg.types import Trajectory


@pytest.fixture(scope="module")
def probe_of(untrained):
    """Hopper falls after some 8 steps, the linear quadratic task ends after 8."""
    return lambda env: untrained(handmade.config(env, algorithm=Ppo(minibatches=2)))


def assert_equal(a, b):
    for name, left, right in zip(Trajectory._fields, a, b, strict=True):
        np.testing.assert_array_equal(left, right, err_msg=name)


def first(pool, count):
    return Trajectory(*(column[:count] for column in pool))


def ends(pool):
    return (pool.terminated | pool.truncated)[:, 0]


@pytest.mark.parametrize("env", ["Hopper-v5", "CartPole-v1", lq.TASK])
def test_rows_follow_one_another_and_every_episode_begins_at_its_start(env, probe_of):
    pool = pools.draw(probe_of(env), 500, 0, seed=3)
    assert [column.shape[:2] for column in pool] == [(500, 1)] * 7
    ended, steps = ends(pool), pool.episode_step[:, 0]
    assert 3 < ended.sum() < 100
    np.testing.assert_array_equal(pool.obs[1:][~ended[:-1]], pool.successors[:-1][~ended[:-1]])
    assert (pool.obs[1:][ended[:-1]] != pool.successors[:-1][ended[:-1]]).any(axis=(1, 2)).all()
    # 0, 1, … and 0 again after each end
    expected = np.zeros(500, int)
    for t in range(1, 500):
        expected[t] = 0 if ended[t - 1] else expected[t - 1] + 1
    np.testing.assert_array_equal(steps, expected)


def test_episodes_stand_in_the_order_of_their_starts_and_none_is_left_out(probe_of):
    probed = probe_of("Hopper-v5")
    pool = pools.draw(probed, 300, 4, seed=3)
    # the slow twin: the same stream's episodes one after the other, episode m a start of environment m mod 8
    sampler = EpisodeSampler(probed.task, seeds.environments(3, "pool_environments", pools.FEW_ENVS, 7, 4))
    played = sampler.run(probed.act, 64, seeds.words(3, "pool_noise", 7, 4).tolist(), probed.theta[np.newaxis])
    sampler.close()
    lengths = np.diff(np.concatenate([[-1], np.flatnonzero(ends(pool))]))  # of whole episodes
    assert len(lengths) > 2 * pools.FEW_ENVS
    np.testing.assert_array_equal(lengths, played.lengths[0, :len(lengths)])
    episode = np.concatenate([[0], np.cumsum(ends(pool))[:-1]])
    rewards = np.bincount(episode, pool.rewards[:, 0])[:len(lengths)]
    np.testing.assert_allclose(rewards, played.returns[0, :len(lengths)], rtol=1e-5)


@pytest.mark.parametrize("env", ["Hopper-v5", lq.TASK])
def test_fewer_pairs_are_the_first_of_more(env, probe_of):
    many = pools.draw(probe_of(env), 700, 1, seed=3)
    for count in (1, 8, 65, 699):
        assert_equal(pools.draw(probe_of(env), count, 1, seed=3), first(many, count))


def test_large_pools_are_another_stream_from_more_environments(probe_of, monkeypatch):
    monkeypatch.setattr(pools, "MANY_PAIRS", 100)
    probed = probe_of(lq.TASK)
    many = pools.draw(probed, 1100, 1, seed=3)  # 138 episodes: three rounds of 64 environments
    assert_equal(pools.draw(probed, 100, 1, seed=3), first(many, 100))
    few = pools.draw(probed, 99, 1, seed=3)
    assert_equal(first(few, 64), first(many, 64))  # the first 8 episodes are first starts of the first 8 environments
    assert not np.array_equal(few.obs[64], many.obs[64])


def test_a_pool_does_not_depend_on_those_beside_it(probe_of, monkeypatch):
    monkeypatch.setattr(pools, "SLOTS", 3 * pools.FEW_ENVS)  # three streams at a time
    probed, streams = probe_of("Hopper-v5"), [0, 5, 1000, 2, 1]
    alone = [pools.draw(probed, 300, stream, seed=3, threads=1) for stream in streams]
    # after two rounds of the environments some streams have enough pairs, and others beside them need a third
    sizes = [np.flatnonzero(ends(pool))[2 * pools.FEW_ENVS - 1] + 1 for pool in alone]
    pairs = (min(sizes[:3]) + max(sizes[:3]) + 1) // 2
    assert min(sizes[:3]) < pairs <= max(sizes[:3])
    together = pools.draw_many(probed, pairs, streams, seed=3)
    assert len(together) == 5
    for whole, pool in zip(alone, together, strict=True):
        assert_equal(pool, first(whole, pairs))


def test_streams_seeds_and_iterations_share_no_pair(probe_of):
    probed = probe_of(lq.TASK)
    later = probed._replace(metadata={**probed.metadata, "iteration": 8})
    drawn = [pools.draw(probed, 100, 0, seed=3), pools.draw(probed, 100, 1, seed=3), pools.draw(probed, 100, 0, seed=4),
             pools.draw(later, 100, 0, seed=3)]
    assert len(np.unique(np.concatenate([pool.obs for pool in drawn]))) == 400
    assert len(np.unique(np.concatenate([pool.actions for pool in drawn]))) == 400


def test_pairs_are_of_theta_k_under_the_frozen_normaliser(probe_of):
    probed = probe_of("Hopper-v5")
    pool = pools.draw(probed, 400, 0, seed=3)
    parameters = probed.model.parameters(pool.obs[:, 0])
    residuals = (pool.actions[:, 0] - parameters[0]) / np.exp(parameters[1])
    # 1200 standard normal numbers
    assert abs(np.mean(residuals)) < 3.5 / np.sqrt(1200) and abs(np.std(residuals) - 1) < 3.5 / np.sqrt(2400)


def test_episodes_without_a_time_limit_are_cut_as_if_by_one(probe_of, monkeypatch):
    monkeypatch.setattr(pools, "LIMIT", 20)
    pool = pools.draw(probe_of(ENDLESS), 170, 0, seed=3)
    assert not pool.terminated.any()
    np.testing.assert_array_equal(np.flatnonzero(pool.truncated), np.arange(19, 170, 20))
    np.testing.assert_array_equal(pool.episode_step[:, 0], np.arange(170) % 20)


def test_a_terminated_episode_is_not_also_truncated_by_max_steps():
    flags = np.array([[False], [True], [False]])
    zeros = np.zeros((3, 1), np.float32)
    part = Trajectory(zeros, zeros, zeros, flags, np.zeros((3, 1), bool), zeros, np.array([[8], [9], [9]], np.int32))
    found = pools._ended(part, 10)
    np.testing.assert_array_equal(found.truncated[:, 0], [False, False, True])
    assert pools._ended(part, None) is part


def test_clusters_are_the_episodes_of_a_pool_and_the_environments_of_a_training_batch(probe_of):
    pool = pools.draw(probe_of(lq.TASK), 20, 0, seed=3)
    np.testing.assert_array_equal(pools.clusters(pool), [0] * 8 + [1] * 8 + [2] * 4)
    batch = probe_of(lq.TASK).trajectory
    # time-major: the pairs of a time step stand together
    np.testing.assert_array_equal(pools.clusters(batch), list(range(handmade.N)) * handmade.T)
    obs = batch.obs.reshape(-1, 1)
    np.testing.assert_array_equal(obs[pools.clusters(batch) == 2], batch.obs[:, 2])


def test_a_pool_can_be_prepared_as_training_prepares_its_batches(probe_of):
    probed = probe_of("Hopper-v5")
    pool = pools.draw(probed, 200, 0, seed=3)
    batch = updates.Repeater(probed).prepare(pool)
    assert len(batch.obs) == 200
    np.testing.assert_array_equal(batch.actions, pool.actions[:, 0])


def joined(parts):
    return Trajectory(*(np.concatenate(column) for column in zip(*parts, strict=True)))


@pytest.mark.parametrize("env", ["Hopper-v5", lq.TASK])
def test_a_long_stream_is_the_pool_of_as_many_environments_read_in_parts(env, probe_of, monkeypatch):
    whole = pools.draw(probe_of(env), 700, 2, seed=3)
    monkeypatch.setattr(pools, "PART_PAIRS", 60)
    with pools.Stream(probe_of(env), 2, seed=3, envs=pools.FEW_ENVS) as stream:
        takes = [list(stream.take(pairs)) for pairs in (1, 64, 200, 435)]
    assert [sum(len(part.rewards) for part in take) for take in takes] == [1, 64, 200, 435]
    parts = [part for take in takes for part in take]
    assert max(len(part.rewards) for part in parts) <= 60
    assert_equal(joined(parts), whole)
    for take in takes:  # only where the pairs end is an episode cut
        assert all(ends(part)[-1] for part in take[:-1])


def test_how_many_rounds_are_played_at_once_changes_no_pair(probe_of, monkeypatch):
    read = []
    for size in (20, 10_000):
        monkeypatch.setattr(pools, "PART_PAIRS", size)
        with pools.Stream(probe_of("Hopper-v5"), 2, seed=3, envs=4) as stream:
            read.append(joined(list(stream.take(900))))
    assert_equal(*read)


def test_an_episode_longer_than_a_part_is_cut_into_parts_without_loss(probe_of, monkeypatch):
    whole = pools.draw(probe_of(lq.TASK), 40, 2, seed=3)
    monkeypatch.setattr(pools, "PART_PAIRS", 5)  # episodes have 8 steps
    with pools.Stream(probe_of(lq.TASK), 2, seed=3, envs=pools.FEW_ENVS) as stream:
        parts = list(stream.take(40))
    assert [len(part.rewards) for part in parts] == [5, 3] * 5
    assert_equal(joined(parts), whole)


def test_align_goes_to_the_next_start(probe_of):
    with pools.Stream(probe_of(lq.TASK), 2, seed=3, envs=2) as stream:
        list(stream.take(11))
        stream.align()
        after = joined(list(stream.take(8)))
        stream.align()  # at a start already
        then = joined(list(stream.take(3)))
    whole = pools.draw(probe_of(lq.TASK), 40, 2, seed=3)
    assert after.episode_step[0, 0] == then.episode_step[0, 0] == 0
    assert len(np.unique(np.concatenate([after.obs, then.obs]))) == 11
    assert whole.obs[0, 0, 0] not in after.obs


def test_the_rest_is_what_was_cut_off_the_last_episode(probe_of):
    with pools.Stream(probe_of(lq.TASK), 2, seed=3, envs=pools.FEW_ENVS) as stream:
        begun = joined(list(stream.take(19)))  # 8 steps an episode: two, and three of the third
        rest = stream.rest()
        assert len(stream.rest().rewards) == 0
        after = joined(list(stream.take(8)))
    assert_equal(joined([begun, rest, after]), pools.draw(probe_of(lq.TASK), 32, 2, seed=3))


def test_a_stream_restarted_is_the_stream_with_that_number(probe_of):
    probed = probe_of(lq.TASK)
    with pools.Stream(probed, 2, seed=3, envs=pools.FEW_ENVS) as stream:
        for number in (5, (5, 0, 1), 2, 2):
            list(stream.take(13))
            stream.restart(number)
            again = joined(list(stream.take(100)))
            with pools.Stream(probed, number, seed=3, envs=pools.FEW_ENVS) as other:
                assert_equal(again, joined(list(other.take(100))))


def test_streams_named_by_several_numbers_are_streams_by_themselves(probe_of):
    names = [3, (3, 0), (3, 1), (3, 0, 0), (3, 640, 0), (3, 640, 1)]
    drawn = []
    for name in names:
        with pools.Stream(probe_of(lq.TASK), name, seed=3, envs=pools.FEW_ENVS) as stream:
            drawn.append(joined(list(stream.take(50))))
    assert len(np.unique(np.concatenate([pool.obs for pool in drawn]))) == 50 * len(names)
    assert len(np.unique(np.concatenate([pool.actions for pool in drawn]))) == 50 * len(names)


@pytest.mark.long
def test_a_long_streams_memory_does_not_grow_with_its_pairs(probe_of, monkeypatch):
    monkeypatch.setattr(pools, "PART_PAIRS", 2_000)
    peaks = []
    with pools.Stream(probe_of(lq.TASK), 2, seed=3, envs=64) as stream:
        tracemalloc.start()
        try:
            for pairs in (36_000, 8_000, 64_000):  # 4,500 episodes first, which fill the noise's cache of 4,096 chunks
                tracemalloc.reset_peak()
                for _ in stream.take(pairs):
                    pass
                peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[2] < 1.2 * peaks[1]
