"""A later θ under θ_k's normaliser is the later policy, and the straight line leads to what that earns."""

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf

from tests import linear_quadratic as lq
from tests.diagnostics import handmade
from tests.diagnostics.landscapes.test_surfaces import assert_complete, assert_kept
from tests.diagnostics.subjects import ENDLESS
from tfpg import checkpoint, storage
from tfpg.algos.networks import networks
from tfpg.config import CodeLevel, Network, Ppo, Runtime, Value
from tfpg.diagnostics import evaluation
from tfpg.diagnostics.landscapes import film
from tfpg.envs.make import describe
from tfpg.errors import UserError
from tfpg.settings import to_dict
from tfpg.types import Moments

CONFIGS = {
    "separate": handmade.config(lq.TASK, algorithm=Ppo(minibatches=2)),
    "shared": handmade.config(lq.TASK, algorithm=Ppo(minibatches=2, shared_weights=True)),
    "discrete": handmade.config("CartPole-v1", algorithm=Ppo(minibatches=2)),
    "no hidden layer": dataclasses.replace(handmade.config(lq.TASK), network=Network(hidden=())),
}


@pytest.fixture(scope="module")
def saved(untrained, tmp_path_factory):
    """saved(config) → iterations 7 and 9 of a run that nobody trained, and the file of iterate 9."""

    @functools.cache
    def get(config):
        first, second = untrained(config, 7), untrained(config, 9)
        directory = tmp_path_factory.mktemp("iterates")
        return first, second, checkpoint.save_iterate(directory, 9, second.theta, second.phi, second.normaliser)

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
    expected = means(config, theta, obs, theirs)
    np.testing.assert_allclose(means(config, expressed, obs, ours), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kind", ["separate", "discrete"])
def test_whatever_the_statistics_what_is_left_is_the_rounding_of_theta(kind, saved):
    origin, other, iterate = saved(CONFIGS[kind])
    expressed = film.later(origin, iterate).theta
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


def test_saved_models_and_iterates_lead_to_the_same_place(saved):
    origin, other, iterate = saved(CONFIGS["separate"])
    first, second = film.later(origin, other.path), film.later(origin, iterate)
    np.testing.assert_array_equal(first.theta, second.theta)
    assert (first.iteration, second.iteration) == (9, 9)
    assert first.action_difference == second.action_difference


def with_code_level(probed, **changes):
    """The probe as if its policy saw observations in another way."""
    return probed._replace(config=dataclasses.replace(probed.config, code_level=CodeLevel(**changes)))


def test_without_a_normaliser_theta_stays_as_it_is(saved):
    origin, other, iterate = saved(CONFIGS["separate"])
    found = film.later(with_code_level(origin, observation_normalisation=False), iterate)
    np.testing.assert_array_equal(found.theta, other.theta)
    assert found.action_difference == 0


def test_the_largest_difference_of_the_action_is_that_on_theta_ks_own_batch(saved):
    # the handmade batch is standard normal, the statistics have mean 3 ± 1 and std 2: nothing is clipped at ± 5
    origin, other, iterate = saved(CONFIGS["separate"])
    assert film.later(origin, iterate).action_difference < 1e-5
    # clipped at ± 1.5 by both, at other places
    found = film.later(with_code_level(origin, observation_clip=1.5), iterate)
    actions = []
    for theta, moments in ((found.theta, origin.normaliser.observation), (other.theta, other.normaliser.observation)):
        z = (origin.trajectory.obs.reshape(-1, 1) - moments.mean) / np.sqrt(moments.m2 / moments.count)
        clipped = tf.constant(np.clip(z, -1.5, 1.5))
        actions.append(policy_of(origin.config).parameters(tf.constant(theta, tf.float64), clipped)[0].numpy())
    assert found.action_difference == pytest.approx(np.abs(actions[0] - actions[1]).max(), rel=1e-5)
    assert found.action_difference > 1e-3


# --- the line -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["separate", "discrete"])
def test_the_end_of_the_line_earns_what_the_later_policy_earns(kind, saved, tmp_path):
    origin, other, iterate = saved(CONFIGS[kind])
    found = film.film(origin, film.later(origin, iterate), np.array([0, 0.5, 1]), episodes=24, seed=2)
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
    origin = saved(CONFIGS["separate"])[0]
    here = film.later(origin, origin.path)
    np.testing.assert_array_equal(here.theta, origin.theta)
    assert here.action_difference == 0
    found = film.film(origin, here, np.array([0, 1, 2]), episodes=4, seed=2)
    assert (found["gain"] == 0).all()


# --- what cannot be reached -----------------------------------------------------------------------------------------


@pytest.fixture
def lying_at(saved, monkeypatch, tmp_path):
    """lying_at(changes of the configuration) → directory of such a policy; its weights are not looked at."""

    def get(**changes):
        other = saved(CONFIGS["separate"])[1]
        config = dataclasses.replace(other.config, **changes)
        monkeypatch.setattr(film.probe, "load", lambda path: other._replace(path=path, config=config))
        return tmp_path

    return get


@pytest.mark.parametrize(("changed", "sentence"), [
    ({"network": Network(hidden=(8, 7), initial_log_std=-1.0)}, r"network.initial_log_std=-1.0"),
    ({"network": Network(hidden=(9,))}, r"network.hidden="),
    ({"code_level": CodeLevel(observation_clip=7.0)}, r"code_level.observation_clip=7.0"),
    ({"seed": 1}, r"seed=1, .* with 3"), ({"preset": "ppo_m"}, r"preset=ppo_m"),
    ({"algorithm": Ppo(minibatches=2, step_size=1.0)}, r"ppo.step_size=1.0"),
    ({"value": Value(step_size=1.0, minibatches=2)}, r"value.step_size=1.0"),
    ({"env": ENDLESS}, r"env=tests.diagnostics.subjects:EndlessQuadratic-v0")])
def test_policies_of_another_run_network_task_or_code_level_are_refused(changed, sentence, saved, lying_at):
    with pytest.raises(UserError, match=sentence) as caught:
        film.later(saved(CONFIGS["separate"])[0], path := lying_at(**changed))
    assert str(path) in str(caught.value) and "choose an iteration of the same run" in str(caught.value)


def test_a_run_may_be_made_longer_and_on_other_threads(saved, lying_at):
    origin = saved(CONFIGS["separate"])[0]
    longer = lying_at(total_steps=10 * origin.config.total_steps, runtime=Runtime(env_threads=1))
    assert film.later(origin, longer).iteration == 9


@pytest.mark.parametrize("seed", [3, 1])
def test_an_iterate_is_of_the_run_whose_directory_it_lies_in(seed, saved, tmp_path):
    """Equal in size, and still no film: seed 1 began elsewhere."""
    origin, other, _ = saved(CONFIGS["separate"])
    storage.write_json(tmp_path / "config.json", {"settings": to_dict(dataclasses.replace(origin.config, seed=seed))})
    storage.make_directory(tmp_path / "iterates")
    path = checkpoint.save_iterate(tmp_path / "iterates", 9, other.theta, other.phi, other.normaliser)
    if seed == origin.config.seed:
        assert film.later(origin, path).iteration == 9
    else:
        with pytest.raises(UserError, match="seed=1, .* with 3: a line between them is no film"):
            film.later(origin, path)


def test_an_iterate_of_another_network_is_refused(saved):
    with pytest.raises(UserError, match=r"the policy at the origin \d+: choose an iteration of the same run"):
        film.later(saved(CONFIGS["separate"])[0], saved(CONFIGS["discrete"])[2])


def test_an_iterate_of_observations_of_another_size_is_refused(saved, tmp_path):
    # as many parameters, but statistics of two dimensions: not a θ of this task
    origin, other, _ = saved(CONFIGS["separate"])
    two = other.normaliser._replace(observation=Moments(np.float64(4), np.zeros(2), np.ones(2)))
    path = checkpoint.save_iterate(tmp_path, 9, other.theta, other.phi, two)
    with pytest.raises(UserError, match="observations of size 2"):
        film.later(origin, path)


@pytest.mark.parametrize("name", ["absent", "000300.npz", "notes.txt", "latest.npz"])
def test_what_is_no_policy_and_no_iterate_is_named(name, saved, tmp_path):
    (tmp_path / "notes.txt").write_text("θ")
    (tmp_path / "latest.npz").write_bytes(b"")
    with pytest.raises(UserError, match=name) as caught:
        film.later(saved(CONFIGS["separate"])[0], tmp_path / name)
    assert "\n" not in str(caught.value)
