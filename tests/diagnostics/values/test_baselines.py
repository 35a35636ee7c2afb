"""Gradients under baselines: against the known gradient, against each other, against the surrogate's."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests import linear_quadratic as lq
from tests.diagnostics import handmade, linear_probe
from tfpg.config import Ppo
from tfpg.diagnostics import blocks, offsets, updates
from tfpg.diagnostics.parts import Parts
from tfpg.diagnostics.values import baselines, fit_pools, fitting
from tfpg.diagnostics.values.baselines import BASELINES, COLUMNS, FORMS, Scores, gradients, sums

FORM_A, FORM_B = range(len(FORMS))
ZERO, LEARNED, TRUE = range(len(BASELINES))


@pytest.fixture(scope="module")
def probe_of(untrained):
    return lambda env: untrained(handmade.config(env, algorithm=Ppo(minibatches=2)))


def true_of(probe):
    value = fitting.network(probe, 3)
    return value, np.asarray(value.initial_phi())


def net(probe):
    return updates.networks_of(probe).value


def block_of(probe, pairs, number=14):
    with blocks.Blocks(probe, number, pairs, count=1, seed=3) as read:
        return read[0]


def test_the_authors_form_with_the_learned_baseline_is_the_surrogates_gradient(probe_of):
    probe = probe_of("Hopper-v5")
    block, scores = block_of(probe, 60), Scores(probe)
    batch = blocks.prepared(probe, block.cut, probe.phi, net(probe))
    expected = updates.surrogate_gradient(probe, batch)
    found = gradients(sums(probe, scores, net(probe), true_of(probe), block, 60))[FORM_B, LEARNED]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8 * np.abs(expected).max())


def test_weights_are_what_the_forms_say(probe_of):
    probe = probe_of(lq.TASK)
    block, scores, true = block_of(probe, 40), Scores(probe), true_of(probe)
    learned = blocks.prepared(probe, block.cut, probe.phi, net(probe))
    other = blocks.prepared(probe, block.cut, true[1], true[0])
    returns = block.returns[:40]

    def normalised(x):
        return (x - np.mean(x, dtype=np.float64)) / np.std(x, dtype=np.float64)

    weights = [returns, returns - learned.values, returns - other.values,
               normalised(returns), normalised(learned.advantages), normalised(other.advantages)]
    expected = scores(learned.obs, learned.actions, np.array(weights, np.float64)) / 40
    found = gradients(sums(probe, scores, net(probe), true, block, 40)).reshape(6, -1)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9 * np.abs(expected).max())


def test_all_baselines_of_the_first_form_have_the_known_gradient_as_their_mean(untrained):
    # γ = 1: returns are J's; all 8 steps of an episode count, so 8 times the mean over pairs is ∇J
    config = dataclasses.replace(linear_probe.config(hidden=(), target="gae"), advantages=dataclasses.replace(
        linear_probe.config().advantages, gamma=1.0))
    probe = linear_probe.linear(untrained(config))
    theta = tf.constant(probe.theta, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(theta)
        mean_return = lq.mean_return(theta[0], theta[1], tf.exp(theta[2]))
    known = tape.gradient(mean_return, theta).numpy()
    scores, true, found = Scores(probe), (fitting.network(probe, 3), np.array([0.5, -3.0], np.float32)), []
    with blocks.Blocks(probe, 14, 800, count=60, seed=3) as read:
        for i in range(60):
            found.append(8 * gradients(sums(probe, scores, net(probe), true, read[i], 800))[FORM_A])
    found = np.array(found)  # [60, baselines, P]
    mean, stderr = found.mean(0), found.std(0, ddof=1) / np.sqrt(60)
    assert (np.abs(mean - known) < 4 * stderr).all()
    # what a baseline that is nowhere near changes is noise alone; all saw the same pairs
    assert np.linalg.norm(mean[ZERO] - known) < 0.1 * np.linalg.norm(known)


def test_the_true_value_has_the_least_variance_of_the_first_form(untrained):
    probe = linear_probe.linear(untrained(linear_probe.config()))
    fit = fitting.fit(probe, fit_pools.pool_of(probe, 20_000, seed=3), seed=3)
    found = baselines.study(probe, (fit.value, fit.phi), sizes=(200,), estimates=10, reference_pairs=2000, seed=3)
    spread = found.estimates[FORM_A, :, 0].var(axis=1, ddof=1).sum(-1)
    assert spread[TRUE] < 0.8 * spread[ZERO] and spread[TRUE] < spread[LEARNED]


def test_a_baseline_that_is_a_constant_changes_nothing_in_the_authors_form(probe_of):
    # the normalisation takes the mean off: returns less a constant are the returns
    probe = probe_of(lq.TASK)
    made = sums(probe, Scores(probe), net(probe), true_of(probe), block_of(probe, 40), 40)
    column, one = COLUMNS.index("return"), COLUMNS.index("one")
    moved = made._replace(gradients=made.gradients.copy(), first=made.first.copy(), second=made.second.copy())
    moved.gradients[column] += 5 * made.gradients[one]
    moved.first[column] += 5 * 40
    moved.second[column] += 2 * 5 * made.first[column] + 25 * 40
    np.testing.assert_allclose(gradients(moved)[FORM_B, ZERO], gradients(made)[FORM_B, ZERO], rtol=1e-9)


def test_advantages_that_are_all_equal_have_no_gradient(probe_of):
    probe = probe_of(lq.TASK)
    made = sums(probe, Scores(probe), net(probe), true_of(probe), block_of(probe, 40), 40)
    column = COLUMNS.index("gae_true")
    made.gradients[column], made.first[column], made.second[column] = 3 * made.gradients[COLUMNS.index("one")], 3 * 40, 9 * 40
    assert (gradients(made)[FORM_B, TRUE] == 0).all()


def test_small_estimates_begin_at_random_places_of_their_block_and_references_at_its_start(probe_of, monkeypatch):
    monkeypatch.setattr(offsets, "SPREAD", 80)
    begun, plain = [], baselines.sums

    def watched(*arguments):
        begun.append((len(arguments[4].trajectory.rewards) >= 80, *arguments[5:]))
        return plain(*arguments)

    monkeypatch.setattr(baselines, "sums", watched)
    probe = probe_of(lq.TASK)
    baselines.study(probe, true_of(probe), sizes=(20, 50), estimates=4, reference_pairs=300, seed=3)
    small = [begin for _, pairs, begin in begun if pairs == 20]
    assert len(begun) == 2 * 4 + 2 and all(whole for whole, *_ in begun)
    assert all(0 <= begin <= 60 for begin in small) and len(set(np.diff(small))) > 1
    assert [(pairs, begin) for _, pairs, begin in begun[-2:]] == [(150, 0), (150, 0)]


def test_a_block_is_long_enough_for_the_smallest_sizes_to_see_late_steps():
    assert baselines.block_pairs((500,)) == offsets.SPREAD and baselines.block_pairs((500, 20_000)) == 20_000


def test_a_reference_is_the_gradient_of_all_its_pairs(probe_of):
    probe, scores = probe_of(lq.TASK), Scores(probe_of(lq.TASK))
    true = true_of(probe)
    with blocks.Blocks(probe, 15, 80, count=2, seed=3) as read:  # 80 pairs are whole episodes: nothing is cut between them
        pieces = [sums(probe, scores, net(probe), true, read[i], 80) for i in range(2)]
    whole = sums(probe, scores, net(probe), true, block_of(probe, 160, 15), 160)
    np.testing.assert_allclose(gradients(baselines.merged(pieces)), gradients(whole), rtol=1e-5, atol=1e-6)


def test_a_study_goes_on_after_a_kill_and_ends_in_the_same_bits(probe_of, tmp_path):
    probe = probe_of("CartPole-v1")
    asked = {"sizes": (20, 50), "estimates": 3, "reference_pairs": 300, "seed": 3}
    whole = baselines.study(probe, true_of(probe), **asked)
    assert whole.estimates.shape == (2, 3, 2, 3, len(probe.theta)) and whole.reference_pairs == 300
    for stop in (1, 4):
        said = []

        def kill(pairs, played, said=said, stop=stop):
            said.append(played)
            if len(said) == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            baselines.study(probe, true_of(probe), **asked, parts=Parts(tmp_path), progress=kill)
    again = baselines.study(probe, true_of(probe), **asked, parts=Parts(tmp_path))
    for name, one, other in zip(whole._fields, whole, again, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)
