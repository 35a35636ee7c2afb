"""Does the twin do exactly what the sampler's environments did?"""

import numpy as np
import pytest
import tensorflow as tf

from tests.envs import tasks
from tfpg import seeds
from tfpg.benchmark.replay import Pair, play
from tfpg.envs.episodes import EpisodeSampler
from tfpg.envs.make import describe, make
from tfpg.envs.rollout import Sampler

STARTS = seeds.environments(0, "environments", 4)


@pytest.fixture(autouse=True, scope="module")
def known_tasks():
    tasks.register()


def random_act(obs, noise):
    return noise


class Remembering:
    """An engine that keeps its last answer."""

    def __init__(self, engine):
        self.engine = engine

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def step(self, actions, ids):
        self.last = self.engine.step(actions, ids)
        return self.last


def test_the_twin_of_a_rollout_sees_what_it_saw():
    task = describe("Hopper-v5")
    pair = Pair(task, STARTS, 2)
    pair._twin = Remembering(pair._twin)
    sampler = Sampler(task, STARTS, 2, maker=pair.maker)
    for batch in range(2):
        noise = tf.random.stateless_normal([40, 4, 3], [0, batch])
        trajectory, episodes = sampler.collect(random_act, 40, noise)
        steps, seconds = pair.replay()
        assert steps == 160 and seconds > 0
        np.testing.assert_array_equal(pair._twin.last.successors.astype(np.float32), trajectory.successors[-1])
    assert len(episodes.lengths)  # resets among the calls
    sampler.close()
    pair.close()


def test_the_twin_of_a_landscape_plays_as_many_steps():
    task = describe("Hopper-v5")
    pair = Pair(task, STARTS * 2, 1)
    sampler = EpisodeSampler(task, STARTS, points=2, maker=pair.maker)

    def act(obs, noise, thetas):
        return noise + thetas[:, tf.newaxis]

    thetas = np.array([[0, 0, 0], [1, 0, -1]], np.float32)
    for first in (0, 8):
        found = sampler.run(act, 8, [0], thetas, first_episode=first)
        steps, _ = pair.replay()
        assert steps == found.lengths.sum()
    # both stand where the last episodes ended
    outcomes = [engine.step(np.zeros((8, 3), np.float32), np.arange(8, dtype=np.int32))
                for engine in (pair.listening, pair._twin)]
    np.testing.assert_array_equal(outcomes[0].successors, outcomes[1].successors)
    sampler.close()
    pair.close()


def test_bare_environments_are_reset_at_once():
    engine = make(describe("Hopper-v5"), STARTS)
    steps, _ = play(engine, lambda: np.ones((4, 3), np.float32), 100, begun=False)
    assert steps == 400 and engine._starts.min() > 1
    engine.close()
