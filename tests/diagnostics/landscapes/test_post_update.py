"""Many updates from one checkpoint: how many, how different, and what is episode noise in what they earn."""

import dataclasses

import numpy as np
import pytest

from tests import linear_quadratic as lq
from tests.diagnostics import handmade
from tests.diagnostics.landscapes.test_surfaces import assert_complete, assert_kept
from tfpg.config import Ppo, Runtime, Trpo
from tfpg.diagnostics import pools, updates
from tfpg.diagnostics.landscapes import post_update, surrogates
from tfpg.diagnostics.returns import Job, Store, play
from tfpg.diagnostics.statistics import tails

U, E = 6, 8
PPO, TRPO = Ppo(minibatches=2, epochs=3), Trpo()


@pytest.fixture(scope="module")
def probe_of(untrained):
    """24 pairs an update; without XLA, which takes seconds to compile."""

    def get(algorithm):
        config = dataclasses.replace(handmade.config(lq.TASK, algorithm=algorithm), runtime=Runtime(xla=False))
        found = untrained(config)
        slots = found.policy_slots  # random, but Adam's second moments are squares
        return found._replace(policy_slots=slots._replace(second=np.square(slots.second)))

    return get


@pytest.fixture(scope="module")
def probed(probe_of):
    return probe_of(PPO)


@pytest.fixture(scope="module")
def found(probed):
    return post_update.distribution(probed, repeats=U, episodes=E, seed=1)


def test_there_are_so_many_updates_episodes_and_numbers(found, probed):
    assert dict(found.sizes) == {"repeat": U, "episode": E, "centre_episode": U * E, "one": 1}
    assert_complete(found, "mean_return", "gain", "mean_gain", "centre_return", "cvar", "cvar_shrunken",
                    "drop_probability", "drop_probability_normal")
    for name in ("norm", "mean_kl", "accepted", "cosine"):
        assert found[name].dims == ("repeat",)
    assert (found["episode_length"] == 8).all()
    attributes = {"surface": "updates", "repeats": U, "episodes": E, "update_pairs": handmade.T * handmade.N, "seed": 1,
                  "noise": "independent", "refused": int((found["accepted"] == 0).sum())}
    assert {name: found.attrs[name] for name in attributes} == attributes


def test_probabilities_have_no_unit_and_returns_have_theirs(found):
    units = {"mean_gain": "reward", "cvar": "reward", "cvar_shrunken": "reward", "centre_return": "reward",
             "drop_probability": "1", "drop_probability_normal": "1", "variance_between": "reward²", "mean_kl": "nats"}
    assert {name: found[name].attrs["units"] for name in units} == units


def test_every_update_differs_and_its_episodes_are_its_own(found):
    assert (found["norm"] > 0).all() and len(np.unique(found["norm"])) == U
    assert len(np.unique(found["mean_kl"])) == U
    everything = np.concatenate([found["episode_return"].values.ravel(), found["centre_episode_return"]])
    assert len(np.unique(everything)) == 2 * U * E


def test_each_update_is_the_one_that_its_pool_leads_to(found, probed):
    """The slow twin: update by update."""
    repeater = updates.Repeater(probed)
    kl = surrogates.Surrogate(probed, surrogates.stored_pairs(probed)).mean_kl
    steps = []
    for number in range(U):
        pool = pools.draw(probed, handmade.T * handmade.N, post_update.FIRST_STREAM + number, seed=1)
        made = repeater(pool, updates.stream(probed, seed=1, repeat=1 + number)).step
        steps.append(made.step)
        assert float(found["norm"][number]) == made.norm
        assert float(found["mean_kl"][number]) == kl(made.theta_next)
        if number in (0, U - 1):
            played = play(probed, Job(made.theta_next[np.newaxis], E, 1, "independent", ((5, number),)))
            np.testing.assert_array_equal(found["episode_return"][number], played.returns[0])
    for number, step in enumerate(steps):
        others = np.mean([other for i, other in enumerate(steps) if i != number], axis=0)
        cosine = step @ others / np.linalg.norm(step) / np.linalg.norm(others)
        assert float(found["cosine"][number]) == pytest.approx(cosine)


def test_the_numbers_are_those_of_the_episodes(found):
    returns, centre = found["episode_return"].values, found["centre_episode_return"].values
    np.testing.assert_allclose(found["gain"], returns.mean(1) - centre.mean())
    assert float(found["mean_gain"][0]) == pytest.approx(returns.mean() - centre.mean())
    assert float(found["centre_return"][0]) == pytest.approx(centre.mean())
    assert float(found["cvar"][0]) == pytest.approx(float(tails.cvar(returns.mean(1), 0.1).mean) - centre.mean())
    components = tails.variance_components(returns)
    assert float(found["variance_between"][0]) == pytest.approx(components.between)
    assert float(found["variance_within"][0]) == pytest.approx(returns.var(axis=1, ddof=1).mean())
    assert 0 <= float(found["drop_probability"][0]) <= 1


def test_fewer_updates_in_smaller_groups_are_the_first_of_more(found, probed, monkeypatch):
    monkeypatch.setattr(post_update, "TOGETHER", 2)
    fewer = post_update.distribution(probed, repeats=3, episodes=E, seed=1)
    np.testing.assert_array_equal(fewer["norm"], found["norm"][:3])
    np.testing.assert_array_equal(fewer["episode_return"], found["episode_return"][:3])
    np.testing.assert_array_equal(fewer["centre_episode_return"], found["centre_episode_return"][:3 * E])


def test_a_killed_distribution_goes_on_with_the_same_bits(found, probed, tmp_path):
    told = []

    def interrupt(*unit):
        told.append(unit)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        post_update.distribution(probed, repeats=U, episodes=E, seed=1, store=Store(tmp_path), progress=interrupt)
    again = post_update.distribution(probed, repeats=U, episodes=E, seed=1, store=Store(tmp_path),
                                     progress=lambda *unit: told.append(unit))
    assert again.equals(found)
    assert [(episodes, seconds > 0) for episodes, _, seconds in told] == [(U * E, True), (U * E, False), (U * E, True)]


def test_the_distribution_is_stored_and_read_again(found, tmp_path):
    assert_kept(found, tmp_path / "updates.nc")


def test_updates_of_no_length_differ_by_their_episodes_alone(probe_of):
    probed = probe_of(PPO)
    still = probed._replace(schedule={**probed.schedule, "policy_step_size": 1e-30})
    found = post_update.distribution(still, repeats=30, episodes=E, seed=1)
    assert (found["norm"] == 0).all() and (found["mean_kl"] == 0).all() and np.isnan(found["cosine"]).all()
    assert found.attrs["refused"] == 0
    # between: nothing beyond noise, whose share of the variance of the means is within/E
    assert float(found["variance_low"][0]) <= 0 <= float(found["variance_high"][0])
    within = float(found["variance_within"][0])
    assert float(found["variance_between"][0]) < within / E
    assert float(found["mean_gain_low"][0]) <= 0 <= float(found["mean_gain_high"][0])
    # what is seen of equal updates spreads like their noise
    np.testing.assert_allclose(found["mean_return"].std(ddof=1), np.sqrt(within / E), rtol=0.4)


def test_real_differences_between_updates_are_seen_as_such(probe_of):
    # Longer steps: what they earn differs by more than the noise of 30 episodes.
    probed = probe_of(PPO)
    bold = probed._replace(schedule={**probed.schedule, "policy_step_size": 0.02})
    found = post_update.distribution(bold, repeats=20, episodes=30, seed=1)
    made = post_update.updated(bold, repeats=20, seed=1)
    truth = play(bold, Job(np.stack([each.theta_next for each in made]), 200, 9)).returns.mean(axis=1).var(ddof=1)
    assert 0 < float(found["variance_low"][0]) < truth < float(found["variance_high"][0])


def test_steps_that_trpo_refuses_are_counted_and_leave_the_policy_where_it_was(probe_of):
    probed = probe_of(TRPO)
    # One trial, so long that the surrogate cannot rise by all of what the gradient promises.
    algorithm = dataclasses.replace(probed.config.algorithm, accept_ratio=0.9999, backtracks=1)
    refusing = probed._replace(config=dataclasses.replace(probed.config, algorithm=algorithm), schedule={"delta": 10.0})
    found = post_update.distribution(refusing, repeats=U, episodes=E, seed=1)
    refused = found["accepted"].values == 0
    assert found.attrs["refused"] == refused.sum() > 0
    assert (found["norm"].values[refused] == 0).all() and (found["norm"].values[~refused] > 0).all()
    assert np.isnan(found["cosine"].values[refused]).all()
    assert (found["mean_kl"].values[refused] == 0).all()
