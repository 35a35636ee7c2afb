"""Pools of gradients and steps: disjoint, kept, the same again, and of bounded memory."""

import dataclasses
import tracemalloc

import numpy as np
import pytest

from tests import linear_quadratic as lq
from tests.diagnostics import handmade
from tests.diagnostics.subjects import CLOCK, HOURS
from tfpg.config import Ppo, Runtime, Trpo
from tfpg.diagnostics import offsets, pools, updates
from tfpg.diagnostics.gradients import collecting, quality
from tfpg.diagnostics.gradients.collecting import Collector
from tfpg.diagnostics.parts import Parts


@pytest.fixture
def probe_of(untrained):
    """Made-up second moments may be negative; nothing is compiled with XLA, for its seconds."""
    def get(algorithm, env=lq.TASK):
        found = untrained(dataclasses.replace(handmade.config(env, algorithm=algorithm), runtime=Runtime(xla=False)))
        return found._replace(policy_slots=found.policy_slots._replace(second=np.abs(found.policy_slots.second)))

    return get


@pytest.fixture(params=[Trpo(), Ppo(minibatches=2, epochs=2)], ids=["trpo", "ppo"])
def probe(request, probe_of):
    return probe_of(request.param)


@pytest.fixture
def ppo(probe_of):
    return probe_of(Ppo(minibatches=2, epochs=2))


@pytest.fixture(autouse=True)
def spread(monkeypatch):
    """Tasks of eight steps need no more."""
    monkeypatch.setattr(offsets, "SPREAD", 300)


@pytest.fixture
def read(monkeypatch):
    """Everything that is read of any stream, and not passed over: the rows by which pairs are told apart."""
    seen = []

    class Watched(pools.Stream):
        def skip(self, pairs):
            before = len(seen)
            super().skip(pairs)
            del seen[before:]

        def take(self, pairs):
            for part in super().take(pairs):
                seen.append(part)
                yield part

    monkeypatch.setattr(collecting, "Stream", Watched)
    return seen


def rows(parts):
    return np.concatenate([np.concatenate([part.obs[:, 0], part.actions[:, 0], part.successors[:, 0]], axis=1) for part in parts])


def test_reference_estimates_and_steps_share_no_pair_with_each_other_or_with_held_out_pools(probe, read, monkeypatch):
    monkeypatch.setattr(collecting, "UNIT_PAIRS", 200)  # several units of one size
    with Collector(probe, seed=0) as collect:
        quality.quality(probe, collect, sizes=(60, 100), estimates=4, reference_pairs=800, step_sizes=(100,),
                                 step_reference_pairs=400)
    assert sum(len(part.rewards) for part in read) == 800 + 400 + 4 * 160
    others = [pools.draw(probe, 300, number, seed=0) for number in (0, 1, 1000)]
    trained = probe.trajectory  # [T, N, …], one environment after the other
    others.append(type(trained)(*(np.moveaxis(np.asarray(x), 1, 0).reshape(-1, 1, *x.shape[2:]) for x in trained)))
    mine = rows(read)
    everything = np.concatenate([mine, rows(others)])
    assert len(np.unique(everything, axis=0)) == len(everything)


def test_no_two_estimates_share_an_episode(ppo, read):
    with Collector(ppo, seed=0) as collect:
        collect.estimates(30, 6)
    found = np.concatenate([part.obs[:, 0, 0] for part in read]).reshape(6, 30)
    with pools.Stream(ppo, (3, 30, 0), seed=0, envs=pools.FEW_ENVS) as stream:  # all that was played: 300 pairs each at most
        states = np.concatenate([part.obs[:, 0, 0] for part in stream.take(6 * 308)])
    row = {state: i for i, state in enumerate(states)}
    first = [row[each[0]] for each in found]
    for begin, each in zip(first, found, strict=True):
        np.testing.assert_array_equal(each, states[begin:begin + 30])
    assert len({begin % 8 for begin in first}) > 1  # 8 steps an episode: not all begin with one
    episodes = [{(begin + i) // 8 for i in range(30)} for begin in first]
    assert len(set().union(*episodes)) == sum(map(len, episodes))


def test_small_estimates_see_every_hour_equally_often(probe_of, read, monkeypatch):
    # episodes of 100 steps, estimates of 20: from an episode's start they would see the first 20 hours alone, 200 times each.
    # Of 1,000 places to begin at, 200 of each thousand see an hour: binomial, mean 40, standard deviation 5.7
    monkeypatch.setattr(offsets, "SPREAD", 1_019)
    with Collector(probe_of(Ppo(minibatches=2, epochs=2), CLOCK), seed=0) as collect:
        collect.estimates(20, 200)
    hours = np.concatenate([part.episode_step[:, 0] for part in read])
    counts = np.bincount(hours, minlength=HOURS)
    assert len(hours) == 4_000 and np.abs(counts - 40).max() < 4 * 5.7


def test_references_that_were_kept_stay_and_estimates_of_another_version_do_not(ppo, tmp_path, monkeypatch):
    def files():
        with Collector(ppo, seed=0, parts=Parts(tmp_path)) as collect:
            collect.group(80, 0)
            collect.estimates(30, 2)
        return set(tmp_path.iterdir())

    first = files()
    monkeypatch.setitem(collecting.VERSIONS, "estimates", 99)
    assert len(first) == 2 and len(files() - first) == 1


def test_what_is_passed_over_is_counted(ppo):
    said = []
    with Collector(ppo, seed=0, progress=lambda pairs, seconds: said.append(pairs)) as collect:
        collect.estimates(100, 3)
        collect.estimates(400, 2)
    assert said == [3 * (100 + 100), 2 * 400]  # 0 … 200 are passed over, 100 on average


def test_what_was_kept_is_read_and_equal(probe, tmp_path, monkeypatch):
    def measured(parts):
        with Collector(probe, seed=0, parts=parts) as collect:
            return quality.quality(probe, collect, sizes=(60, 100), estimates=3, reference_pairs=800, step_sizes=(100,),
                                            step_reference_pairs=400)

    fresh = measured(None)
    first = measured(Parts(tmp_path))
    files = sorted(tmp_path.iterdir())
    for lost in files[::2]:  # a kill left some
        lost.unlink()
    again = measured(Parts(tmp_path))
    assert fresh.identical(first) and fresh.identical(again)
    assert sorted(tmp_path.iterdir()) == files
    monkeypatch.setattr(collecting, "Stream", None)  # nothing is played
    assert measured(Parts(tmp_path)).identical(fresh)


def test_another_seed_has_other_pairs(ppo):
    found = []
    for seed in (0, 1):
        with Collector(ppo, seed=seed) as collect:
            found.append(collect.estimates(50, 2).gradient)
    assert len(np.unique(np.concatenate(found)[:, 0])) == 4


def test_gradient_and_step_are_those_of_the_same_pool(probe):
    with Collector(probe, seed=0) as collect:
        found = collect.estimates(100, 2, steps=True)
        alone = collect.estimates(100, 2)
    np.testing.assert_allclose(found.gradient, alone.gradient, rtol=1e-4, atol=1e-6)
    assert np.isnan(alone.step).all()
    with pools.Stream(probe, (3, 100, 0), seed=0, envs=pools.FEW_ENVS) as stream:
        stream.skip(offsets.offset(100, 3, 100, 0, spread=offsets.SPREAD, seed=0, iteration=probe.iteration))
        pool = collecting._joined(list(stream.take(100)))
    repeater = updates.Repeater(probe)
    expected = updates.surrogate_gradient(probe, repeater.prepare(pool))
    np.testing.assert_allclose(found.gradient[0], expected, rtol=1e-9, atol=1e-12)
    if not isinstance(probe.config.algorithm, Trpo):
        assert (found.accepted == 1).all()
    assert np.linalg.norm(found.step, axis=1).min() > 0
    assert not np.allclose(found.step, found.step_chance)


@pytest.mark.long
def test_a_references_memory_does_not_grow_with_its_pairs(ppo, monkeypatch):
    monkeypatch.setattr(pools, "PART_PAIRS", 2_000)
    monkeypatch.setattr(collecting, "environments_for", lambda pairs: 64)
    peaks = []
    with Collector(ppo, seed=0) as collect:
        collect.group(33_000, 0)  # compiles, and fills the cache of noise
        for pairs in (6_000, 36_000):
            tracemalloc.start()
            collect.group(pairs, 1)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0], peaks
