"""V* against values known in closed form: its error goes to 0 as samples grow; what it is fitted by; going on after a kill."""


import numpy as np
import pytest
import tensorflow as tf

from tests import linear_quadratic as lq
from tests.diagnostics import linear_probe
from tfpg.diagnostics import blocks
from tfpg.diagnostics.parts import Parts
from tfpg.diagnostics.values import fit_pools, fitting, judgements
from tfpg.envs.make import describe
from tfpg.errors import UserError
from tfpg.numerics.errors import relative_error

GAMMA = 0.9


@pytest.fixture(scope="module")
def probe(untrained):
    """Its value net sees the time within the episode: without it no function of the state is the value."""
    return linear_probe.linear(untrained(linear_probe.config(gamma=GAMMA)))


@pytest.fixture(scope="module")
def heldout(probe):
    with blocks.Blocks(probe, 13, 4000, count=1, seed=3) as read:
        return read[0].trajectory


def exact(trajectory):
    return linear_probe.exact(trajectory.obs[:, 0, 0].astype(np.float64), trajectory.episode_step[:, 0], GAMMA)


def fit_of(probe, pairs, **changes):
    return fitting.fit(probe, fit_pools.pool_of(probe, pairs, seed=3), seed=3, **changes)


def error_of(probe, found, trajectory):
    predicted = found.value(tf.constant(found.phi), tf.constant(fit_pools.critic_obs(probe, trajectory))).numpy()
    return relative_error(values=predicted, targets=exact(trajectory)).mean


def test_the_closed_form_is_the_mean_of_the_returns(probe):
    with blocks.Blocks(probe, 12, 80_000, count=1, seed=5) as read:
        block = read[0]
    steps, rest = block.trajectory.episode_step[:, 0], block.returns - exact(block.trajectory)
    for t in range(lq.HORIZON):  # 10,000 episodes: also where the state is large, and where it is small
        here, large = rest[steps == t], np.abs(block.trajectory.obs[steps == t, 0, 0]) > 0.5
        for part in (here, here[large], here[~large]):
            assert abs(part.mean()) < 4 * part.std() / np.sqrt(len(part))


def test_the_relative_error_of_v_star_goes_to_zero_as_samples_grow(probe, heldout):
    errors = [error_of(probe, fit_of(probe, pairs), heldout) for pairs in (400, 4_000, 40_000)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.2 and errors[-1] < 0.1


@pytest.mark.long
def test_the_relative_error_goes_on_falling_with_more(probe, heldout):
    errors = [error_of(probe, fit_of(probe, pairs), heldout) for pairs in (40_000, 1_000_000)]
    assert errors[1] < 0.75 * errors[0] and errors[1] < 0.05  # measured: .065 and .042


def test_v_star_explains_what_can_be_known_of_the_returns(probe):
    # the most that can be explained: 1 − E Var(R | s, t) / Var(R), by the closed form
    found = fit_of(probe, 40_000)
    with blocks.Blocks(probe, 13, 40_000, count=1, seed=3) as read:
        block = read[0]
    episode = np.cumsum(block.trajectory.episode_step[:, 0] == 0)
    predicted = found.value(tf.constant(found.phi), tf.constant(fit_pools.critic_obs(probe, block.trajectory))).numpy()
    most, got = (judgements.explained_variances(values=each, targets=block.returns, clusters=episode)
                 for each in (exact(block.trajectory), predicted))
    assert 0.3 < most.mean < 0.95
    assert most.mean - 0.02 < got.mean < most.mean + 0.005
    # and its loss on the tenth says the same of other episodes
    assert 1 - found.checks[found.best] == pytest.approx(float(got.mean), abs=0.05)


def test_the_tenth_that_stops_it_is_every_tenth_episode_and_never_fitted_to(probe):
    pool = fit_pools.pool_of(probe, 800, seed=3)
    np.testing.assert_array_equal(pool.checks, (np.arange(800) // lq.HORIZON) % 10 == 9)
    spoilt = pool._replace(returns=np.where(pool.checks, 1e6, pool.returns).astype(np.float32))
    a, b = (fitting.fit(probe, each, seed=3) for each in (pool, spoilt))
    # the losses of the first epochs are those of the others alone
    assert a.losses[0] == b.losses[0] and a.checks[0] != b.checks[0]


def test_the_last_layer_takes_the_scale_exactly(probe):
    pool = fit_pools.pool_of(probe, 800, seed=3)
    far = pool._replace(returns=(1000 + 50 * pool.returns).astype(np.float32))
    near, scaled = (fitting.fit(probe, each, seed=3) for each in (pool, far))
    a, b = (each.value(tf.constant(each.phi), tf.constant(pool.critic_obs)).numpy() for each in (near, scaled))
    np.testing.assert_allclose(b, 1000 + 50 * a, rtol=2e-4)


def test_a_fit_goes_on_after_a_kill_and_ends_in_the_same_bits(probe, tmp_path):
    pool = fit_pools.pool_of(probe, 1600, seed=3)
    whole = fitting.fit(probe, pool, seed=3)
    for stop in (1, 4):
        def kill(epoch, check, stop=stop):
            if epoch == stop:
                raise KeyboardInterrupt
        with pytest.raises(KeyboardInterrupt):
            fitting.fit(probe, pool, seed=3, parts=Parts(tmp_path), progress=kill)
        assert len(list(tmp_path.iterdir())) == stop
    again = fitting.fit(probe, pool, seed=3, parts=Parts(tmp_path))
    np.testing.assert_array_equal(again.phi, whole.phi)
    np.testing.assert_array_equal(again.losses, whole.losses)


def test_other_seeds_are_other_weights_and_other_orders(probe):
    pool = fit_pools.pool_of(probe, 800, seed=3)
    a, b = (fitting.fit(probe, pool, seed=seed).phi for seed in (3, 4))
    assert not np.array_equal(a, b)


def test_a_pool_that_does_not_fit_into_memory_is_refused_with_the_number_that_does(probe):
    large = probe._replace(task=describe("Humanoid-v5", (), "auto"))
    with pytest.raises(UserError, match=r"fit_pairs=5000000 of Humanoid-v5 would take 6.5 GB: at most 1530000 pairs fit"):
        fit_pools.megabytes(large, 5_000_000)
    assert fit_pools.megabytes(large, 1_530_000) < 2048


def test_too_few_episodes_for_a_tenth_are_refused(probe):
    with pytest.raises(UserError, match="fit_pairs=100 are 13 episodes .* give at least 160"):
        fit_pools.pool_of(probe, 100, seed=3)


def test_returns_that_are_all_equal_cannot_be_fitted(probe):
    pool = fit_pools.pool_of(probe, 800, seed=3)
    with pytest.raises(UserError, match="all returns are 7, so there is nothing to fit"):
        fitting.fit(probe, pool._replace(returns=np.full(800, 7, np.float32)), seed=3)


def test_a_net_that_does_not_see_the_time_is_fitted_as_it_is(untrained):
    probe = linear_probe.linear(untrained(linear_probe.config(target="gae")))
    pool = fit_pools.pool_of(probe, 400, seed=3)
    assert pool.critic_obs.shape == (400, 1) and fitting.fit(probe, pool, seed=3).best >= 0


def test_the_time_that_v_star_sees_is_that_of_training(probe, heldout):
    seen = fit_pools.critic_obs(probe, heldout)
    made = blocks.prepared(probe, heldout, probe.phi, lambda phi, obs: tf.zeros(len(obs)))
    np.testing.assert_array_equal(seen, made.critic_obs)


