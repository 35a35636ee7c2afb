"""The known tasks, and samplers that are closed after the test."""

import pytest

from tests.envs import tasks
from tfpg import seeds
from tfpg.envs.episodes import EpisodeSampler
from tfpg.envs.make import describe
from tfpg.envs.rollout import Sampler


@pytest.fixture(autouse=True, scope="session")
def known_tasks():
    tasks.register()


@pytest.fixture
def sampler():
    """sampler(env_id, N, …) → Sampler"""
    yield from _closing(lambda env_id, n, *, seed=0, threads=2, patience=60.0, **arguments: Sampler(
        describe(env_id, tuple(arguments.items())), seeds.environments(seed, "environments", n), threads, patience))


@pytest.fixture
def episode_sampler():
    """episode_sampler(env_id, N, K, …) → EpisodeSampler"""
    yield from _closing(lambda env_id, n, k=1, *, seed=0, patience=60.0, **arguments: EpisodeSampler(
        describe(env_id, tuple(arguments.items())), seeds.environments(seed, "evaluation_environments", n), k, 2,
        patience))


def _closing(make):
    made = []

    def remembered(*positional, **named):
        made.append(make(*positional, **named))
        return made[-1]

    yield remembered
    for one in made:
        one.close()
