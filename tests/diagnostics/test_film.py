"""A later θ under θ_k's normaliser is the later policy, and the straight line leads to what that earns."""

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf

from tests import linear_quadratic as lq
from tests.diagnostics import handmade
from tests.diagnostics.subjects import ENDLESS
from tests.diagnostics.test_landscapes import assert_complete, assert_kept
from tfpg import checkpoint
from tfpg.algos.networks import networks
from tfpg.config import CodeLevel, Network, Ppo, Value
from tfpg.diagnostics import evaluation, film, probe
from tfpg.envs.make import describe
from tfpg.errors import UserError
from tfpg.types import Moments

CONFIGS = {
    "separate": handmade.config(lq.TASK, algorithm=Ppo(minibatches=2)),
    "shared": handmade.config(lq.TASK, algorithm=Ppo(minibatches=2, shared_weights=True)),  # not one that handmade makes
    "discrete": handmade.config("CartPole-v1", algorithm=Ppo(minibatches=2)),
    "no normaliser": dataclasses.replace(handmade.config(lq.TASK), code_level=CodeLevel(observation_normalisation=False)),
    "no hidden layer": dataclasses.replace(handmade.config(lq.TASK), network=Network(hidden=())),
}
every_kind = pytest.mark.parametrize("kind", ["separate", "discrete", "no normaliser"])


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """(directory of iteration 7, directory of iteration 9, iterate 9) of a run that nobody trained."""
    made = {}

    def get(kind, config=None):
        if kind not in made:
            directory = tmp_path_factory.mktemp("run")
            first, second = (handmade.Made(config or CONFIGS[kind], index=index) for index in (7, 9))
            iteration = second.iteration
            made[kind] = (
                first.save(directory / "policies" / "000007"), second.save(directory / "policies" / "000009"),
                checkpoint.save_iterate(directory / "iterates", 9, iteration.before.theta, iteration.before.phi,
                                        iteration.normaliser))
        return made[kind]

    return get


@functools.cache
def policy_of(config):
    return networks(describe(config.env), algorithm=config.algorithm, value=config.value, network=config.network,
                    code_level=config.code_level, seed=config.seed).policy


def means(config, theta, obs, moments):
    """The first distribution parameter in float64, of raw observations that are not clipped."""
    z = (obs - moments.mean) / np.sqrt(moments.m2 / moments.count)
    return policy_of(config).parameters(tf.constant(theta, tf.float64), tf.constant(z))[0].numpy()


# --- the same policy under other statistics -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["separate", "discrete", "shared", "no hidden layer"])
def test_a_re_expressed_theta_is_the_same_function_of_raw_observations(kind):
    """Numbers that float32 holds exactly: what is left is the rounding of float64."""
    config, draw = CONFIGS[kind], np.random.default_rng(0)
    layout = policy_of(config).layout
    theta = (draw.integers(-64, 65, layout.size) / 64).astype(np.float32)
    size, count = layout.shapes[0][0], 4.0
    theirs, ours = (Moments(count, draw.integers(-3, 4, size).astype(float), count * 4.0 ** draw.integers(-2, 3, size))
                    for _ in range(2))  # means whole, standard deviations powers of two
    expressed = film.reexpress(theta, theirs, ours, layout.shapes[0])
    assert expressed.dtype == np.float32 and not np.array_equal(expressed, theta)
    obs = draw.normal(size=(200, size))
    np.testing.assert_allclose(means(config, expressed, obs, ours), means(config, theta, obs, theirs), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kind", ["separate", "discrete"])
def test_whatever_the_statistics_what_is_left_is_the_rounding_of_theta(kind, saved):
    origin, other = map(probe.load, saved(kind)[:2])
    expressed = film.later(origin, saved(kind)[1]).theta
    obs = 3 + np.random.default_rng(0).normal(size=(200, origin.task.obs_size))
    ours, theirs = (means(origin.config, theta, obs, probed.normaliser.observation)
                    for theta, probed in ((expressed, origin), (other.theta, other)))
    assert np.abs(ours - theirs).max() < 2e-6 * np.abs(theirs).max()
    plain = means(origin.config, other.theta, obs, origin.normaliser.observation)
    assert np.abs(plain - theirs).max() > 1e-2 * np.abs(theirs).max()  # so it had to be re-expressed


def test_statistics_that_never_varied_are_left_at_scale_one():
    theta = np.arange(1, 10, dtype=np.float32)  # kernel [2, 3] and bias [3]
    theirs = Moments(4.0, np.array([1.0, 5.0]), np.array([16.0, 0.0]))  # std 2 and nothing
    ours = Moments(4.0, np.array([0.0, 5.0]), np.array([4.0, 0.0]))  # std 1 and nothing
    # W = W'·(1/2) in the first row, as it was in the second; b = b' + (0 − 1)/2 · (1, 2, 3)
    np.testing.assert_array_equal(film.reexpress(theta, theirs, ours, (2, 3)), [0.5, 1, 1.5, 4, 5, 6, 6.5, 7, 7.5])


@every_kind
def test_saved_models_and_iterates_lead_to_the_same_place(kind, saved):
    origin, (_, directory, iterate) = probe.load(saved(kind)[0]), saved(kind)
    first, second = film.later(origin, directory), film.later(origin, iterate)
    np.testing.assert_array_equal(first.theta, second.theta)
    assert (first.iteration, second.iteration) == (9, 9)
    assert first.action_difference == second.action_difference


def test_without_a_normaliser_theta_stays_as_it_is(saved):
    origin, other = map(probe.load, saved("no normaliser")[:2])
    found = film.later(origin, saved("no normaliser")[1])
    np.testing.assert_array_equal(found.theta, other.theta)
    assert found.action_difference == 0


def test_the_largest_difference_of_the_action_is_that_on_theta_ks_own_batch(saved):
    # the handmade batch is standard normal and the statistics have mean 3, std 2: nothing is clipped at ± 5
    origin = probe.load(saved("separate")[0])
    assert film.later(origin, saved("separate")[1]).action_difference < 1e-5
    # clipped at ± 1.5 by both, at other places
    config = dataclasses.replace(CONFIGS["separate"], code_level=CodeLevel(observation_clip=1.5))
    directories = saved("clipped", config)
    origin, other = map(probe.load, directories[:2])
    found = film.later(origin, directories[1])
    obs = origin.trajectory.obs.reshape(-1, 1)
    seen = origin.model.parameters_at(found.theta, obs)[0] - other.model.parameters(obs)[0]
    assert found.action_difference == pytest.approx(float(np.abs(seen).max()), rel=1e-5)
    assert found.action_difference > 1e-3


# --- the line -------------------------------------------------------------------------------------------------------


@every_kind
def test_the_end_of_the_line_earns_what_the_later_policy_earns(kind, saved, tmp_path):
    origin, other = map(probe.load, saved(kind)[:2])
    found = film.film(origin, film.later(origin, saved(kind)[1]), np.array([0, 0.5, 1]), episodes=24, seed=2)
    for t, probed in ((0, origin), (1, other)):
        theirs = evaluation.evaluate(probed, episodes=24, seed=2).dataset.sel(policy="stochastic")
        # re-expressed θ is rounded, so the last bits of an action differ
        np.testing.assert_allclose(found["episode_return"].sel(t=t), theirs["episode_return"], rtol=1e-3 if t else 0)
    assert not np.allclose(found["mean_return"].sel(t=0), found["mean_return"].sel(t=1), rtol=1e-2)
    assert_complete(found, "mean_return", "gain")
    assert found.attrs["surface"] == "film" and found.attrs["to_iteration"] == 9 and found.attrs["iteration"] == 7
    assert found.attrs["action_difference"] < 1e-4 and "from iteration 7 (0) to 9 (1)" in found["t"].attrs["long_name"]
    assert_kept(found, tmp_path / "film.nc")


def test_a_line_to_theta_k_itself_goes_nowhere(saved):
    origin = probe.load(saved("separate")[0])
    here = film.later(origin, saved("separate")[0])
    np.testing.assert_array_equal(here.theta, origin.theta)
    assert here.action_difference == 0
    found = film.film(origin, here, np.array([0, 1, 2]), episodes=4, seed=2)
    assert (found["gain"] == 0).all()


# --- what cannot be reached -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("changed", "sentence"), [
    ({"network": Network(hidden=(8, 7), initial_log_std=-1.0)}, r"network.initial_log_std=-1.0"),
    ({"network": Network(hidden=(9,))}, r"network.hidden="),
    ({"code_level": CodeLevel(observation_clip=7.0)}, r"code_level.observation_clip=7.0"),
    ({"env": ENDLESS}, r"env=tests.diagnostics.subjects:EndlessQuadratic-v0")])
def test_policies_of_another_network_task_or_code_level_are_refused(changed, sentence, saved, tmp_path):
    origin = probe.load(saved("separate")[0])
    other = handmade.Made(dataclasses.replace(CONFIGS["separate"], **changed)).save(tmp_path / "000009")
    with pytest.raises(UserError, match=sentence) as caught:
        film.later(origin, other)
    assert str(other) in str(caught.value) and "choose an iteration of the same run" in str(caught.value)


def test_the_value_nets_settings_do_not_matter(saved, tmp_path):
    origin = probe.load(saved("separate")[0])
    other = handmade.Made(dataclasses.replace(CONFIGS["separate"], value=Value(step_size=1.0, minibatches=2)))
    assert film.later(origin, other.save(tmp_path / "000009")).iteration == 7


def test_an_iterate_of_another_network_is_refused(saved):
    origin = probe.load(saved("separate")[0])
    with pytest.raises(UserError, match=r"parameters, the policy at the origin \d+: choose an iteration of the same run"):
        film.later(origin, saved("discrete")[2])


def test_an_iterate_of_observations_of_another_size_is_refused(saved, tmp_path):
    # as many parameters, but statistics of two dimensions: not a θ of this task
    origin = probe.load(saved("separate")[0])
    iteration = handmade.Made(CONFIGS["separate"], index=9).iteration
    two = Moments(tf.constant(4.0, tf.float64), tf.zeros(2, tf.float64), tf.ones(2, tf.float64))
    path = checkpoint.save_iterate(tmp_path, 9, iteration.before.theta, iteration.before.phi,
                                   iteration.normaliser._replace(observation=two))
    with pytest.raises(UserError, match="observations of size 2"):
        film.later(origin, path)


@pytest.mark.parametrize("name", ["absent", "000300.npz", "notes.txt", "latest.npz"])
def test_what_is_no_policy_and_no_iterate_is_named(name, saved, tmp_path):
    (tmp_path / "notes.txt").write_text("θ")
    (tmp_path / "latest.npz").write_bytes(b"")
    with pytest.raises(UserError, match=name) as caught:
        film.later(probe.load(saved("separate")[0]), tmp_path / name)
    assert "\n" not in str(caught.value)
