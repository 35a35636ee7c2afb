"""Updates on held-out pairs: whose they are, how they are distributed, and that it does not matter when they are looked at."""

import itertools

import numpy as np
import pytest
import scipy.stats

from tests import linear_quadratic as lq
from tests import oracles
from tests.diagnostics import handmade
from tests.diagnostics.subjects import CLOCK, HOURS, LOTTERY, STOP
from tfpg import checkpoint
from tfpg.algos.networks import networks
from tfpg.config import Ppo
from tfpg.diagnostics import pools
from tfpg.diagnostics.trust_regions.heldout import Heldout, frames, step_of, step_on_film
from tfpg.envs.transforms import normalise_observation
from tfpg.run_directory import RunDirectory
from tfpg.training import iterations


def made(env, indices=(0, 1, 5), **settings):
    """Configuration, task and the steps of iterations that nobody trained."""
    config = handmade.config(env, algorithm=Ppo(minibatches=2), **settings)
    every = [handmade.Made(config, index=k) for k in indices]
    return config, every[0].task, [step_of(each.iteration) for each in every]


def assert_equal(a, b):
    for name, left, right in zip(a.region._fields + a._fields[1:], (*a.region, *a[1:]), (*b.region, *b[1:]), strict=True):
        np.testing.assert_array_equal(left, right, err_msg=name)


@pytest.mark.parametrize("env", ["Hopper-v5", "CartPole-v1", lq.TASK])
def test_an_update_looked_at_alone_is_the_same_bit_for_bit_as_beside_others(env):
    config, task, steps = made(env)
    with Heldout(config, task, pairs=300) as one, Heldout(config, task, pairs=300, points=4) as many:
        alone = [one.measure([step])[0] for step in steps]  # as beside the training
        for a, b in zip(alone, many.measure(steps), strict=True):  # as from the film
            assert_equal(a, b)
    assert len({float(found.region.mean_kl) for found in alone}) == len(steps)


def test_the_instrument_may_be_made_anew_between_two_iterations():
    config, task, steps = made("Hopper-v5", (3, 4))
    with Heldout(config, task, pairs=200) as whole:
        expected = [whole.measure([step])[0] for step in steps]
    with Heldout(config, task, pairs=200) as resumed:
        assert_equal(resumed.measure(steps[1:])[0], expected[1])


@pytest.mark.parametrize("env", ["Hopper-v5", "CartPole-v1"])
def test_the_numbers_are_those_of_the_two_policies_on_the_pool(env):
    config, task, steps = made(env, (7,))
    with Heldout(config, task, pairs=300) as heldout:
        pool, = heldout.play(steps)
        found, = heldout.measure(steps)
    policy = networks(task, algorithm=config.algorithm, value=config.value, network=config.network, code_level=config.code_level,
                      seed=config.seed).policy
    step, actions = steps[0], pool.actions[:300, 0]
    obs = normalise_observation(pool.obs[:300, 0], step.normaliser.observation, config.code_level)
    old, new = (policy.parameters(theta, obs) for theta in (step.theta, step.theta_next))
    old, new = (type(x)(*(np.asarray(part, np.float64) for part in x)) for x in (old, new))
    if task.discrete:
        p, q = (oracles.probabilities(x.logits) for x in (old, new))
        kl, rho = np.sum(p * np.log(p / q), 1), (q / p)[np.arange(300), actions]
    else:
        (mean_old, log_std_old), (mean, log_std) = old, new
        kl = oracles.gaussian_kl(mean_old, np.exp(log_std_old), mean, np.exp(log_std))
        rho = np.exp(oracles.gaussian_log_prob(actions, mean, np.exp(log_std))
                     - oracles.gaussian_log_prob(actions, mean_old, np.exp(log_std_old)))
    np.testing.assert_allclose(found.region.mean_kl, kl.mean(), rtol=1e-4)
    np.testing.assert_allclose([found.region.max_ratio, found.region.min_ratio], [rho.max(), rho.min()], rtol=1e-3)
    assert 0 < found.region.without_gradient < found.region.outside_fraction
    episode = pools.clusters(pool)
    begun = int(episode[299]) + 1
    assert (found.pairs, found.episodes) == (300, begun)
    returns = [pool.rewards[episode == i].sum(dtype=np.float64) for i in range(episode[-1] + 1)]  # of all that was played
    assert found.episodes_played == len(returns) >= begun
    np.testing.assert_allclose(found.mean_return, np.mean(returns), rtol=1e-6)
    np.testing.assert_allclose(found.mean_return_stderr, np.std(returns, ddof=1) / np.sqrt(len(returns)), rtol=1e-6)
    assert found.mean_kl_stderr > 0


def test_the_pools_time_within_an_episode_is_that_of_a_long_run():
    # episodes of 100 steps: in a long run each hour is as frequent, 4 times in 400 pairs; the first 50 steps of 8 fresh
    # environments would be the early hours 8 times each
    config, task, steps = made(CLOCK, (2,))
    with Heldout(config, task, pairs=400) as heldout:
        pool = pools.first(heldout.play(steps)[0], 400)
    np.testing.assert_array_equal(np.bincount(pool.episode_step[:, 0], minlength=HOURS), 4)
    np.testing.assert_array_equal(pool.obs[:, 0, 0], pool.episode_step[:, 0])


def test_the_pools_ages_are_geometric_where_chance_ends_episodes():
    # a long run is at age a with probability p (1 − p)ᵃ; 2000 pairs of 8 fresh environments would all be younger than 250
    config, task, steps = made(LOTTERY, range(5))
    with Heldout(config, task, pairs=4000, points=5) as heldout:
        ages = np.concatenate([pools.first(pool, 4000).episode_step[:, 0] for pool in heldout.play(steps)])
    # 20,000 pairs of some 400 episodes: the mean of ages is (1 − p)/p = 49, its standard deviation by simulation 3.4
    assert abs(ages.mean() - (1 - STOP) / STOP) < 3 * 3.4
    expected = scipy.stats.geom(STOP, loc=-1).ppf([0.25, 0.5, 0.75])
    np.testing.assert_allclose(np.quantile(ages, [0.25, 0.5, 0.75]), expected, rtol=0.25)


def test_iterations_and_seeds_share_no_pair():
    config, task, steps = made(lq.TASK, (0, 1))
    other, _, others = made(lq.TASK, (0,), seed=4)
    with Heldout(config, task, pairs=100, points=2) as ours, Heldout(other, task, pairs=100) as theirs:
        drawn = [pools.first(pool, 100) for pool in (*ours.play(steps), *theirs.play(others))]
    assert len(np.unique(np.concatenate([pool.obs for pool in drawn]))) == 300
    assert len(np.unique(np.concatenate([pool.actions for pool in drawn]))) == 300


def test_held_out_pairs_are_none_that_the_run_was_trained_on():
    config, task, steps = made(lq.TASK, (0, 1))
    trained = [record.trajectory for record in itertools.islice(iterations(config), 2)]
    with Heldout(config, task, pairs=100, points=2) as heldout:
        drawn = [pools.first(pool, 100) for pool in heldout.play(steps)]
    for column in ("obs", "actions"):
        ours, theirs = (np.unique(np.concatenate([np.ravel(getattr(each, column)) for each in group])) for group in (drawn, trained))
        assert not np.intersect1d(ours, theirs).size and len(theirs) > 10


def test_the_film_gives_the_steps_that_the_records_gave(tmp_path):
    config, task, steps = made(lq.TASK, (0, 1))
    run = RunDirectory(tmp_path)
    assert frames(run) == range(0)
    following = [steps[0], steps[1]._replace(theta=steps[0].theta_next)]
    for step in following:
        checkpoint.save_iterate(run.iterates, step.iteration, step.theta, step.phi, step.normaliser)
    assert frames(run) == range(1)
    found = step_on_film(run, 0)
    with Heldout(config, task, pairs=100) as heldout:
        assert_equal(heldout.measure([found])[0], heldout.measure([steps[0]])[0])
