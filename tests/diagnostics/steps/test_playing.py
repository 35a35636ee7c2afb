"""Both ends of updates on a task whose J is known: a film written by hand, of a linear policy behind a normaliser."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests import linear_quadratic as lq
from tests.diagnostics import linear_probe
from tfpg import checkpoint
from tfpg.config import CodeLevel
from tfpg.diagnostics.parts import Parts
from tfpg.diagnostics.steps import playing
from tfpg.diagnostics.steps.playing import Player, sampled, window
from tfpg.run_directory import RunDirectory
from tfpg.types import Moments, Normaliser

# (w, b, log σ) of frames 0 to 4: a rise, a tiny step, none at all, a fall
FRAMES = np.array([[-0.6, 0.2, -0.9], [-0.9, 0.1, -1.0], [-0.9, 0.1001, -1.0], [-0.9, 0.1001, -1.0], [0.3, 0.8, -0.2]], np.float32)
# mean and standard deviation of the normaliser during each iteration: no two alike
MOMENTS = ((0.3, 2.0), (-0.2, 1.5), (0.1, 0.8), (0.0, 1.2), (0.4, 1.1))
COUNT = 400.0


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = dataclasses.replace(linear_probe.config(hidden=()), code_level=CodeLevel(observation_clip=None))
    directory = RunDirectory.open(tmp_path_factory.mktemp("film") / "run", config, [])
    directory.close()
    reward = Moments(tf.constant(COUNT, tf.float64), tf.constant(0.0, tf.float64), tf.constant(COUNT, tf.float64))
    for i, (theta, (mean, std)) in enumerate(zip(FRAMES, MOMENTS, strict=True)):
        seen = Moments(tf.constant(COUNT, tf.float64), tf.constant([mean], tf.float64), tf.constant([std**2 * COUNT], tf.float64))
        checkpoint.save_iterate(directory.iterates, i, theta, np.zeros(2, np.float32), Normaliser(seen, reward))
    return directory


def play(run, iterations=(0, 1, 2, 3), episodes=400, *, seed=0, parts=None, **options):
    with Player(run, seed=seed, parts=parts, **options) as player:
        return player.play(iterations, episodes)


def true_return(theta, moments):
    """J of a = w (s − μ)/σ + b + std·ε, a linear policy of s again: w/σ and b − w μ/σ."""
    (w, b, log_std), (mean, std) = np.asarray(theta, np.float64), moments
    return float(lq.mean_return(tf.constant(w / std), tf.constant(b - w * mean / std), tf.constant(np.exp(log_std))))


@pytest.fixture(scope="module")
def played(run):
    return play(run, episodes=1_500)


@pytest.mark.parametrize("i", [0, 1, 3])
def test_both_ends_earn_what_they_do_under_the_normaliser_of_the_iteration(played, i):
    returns, truth = played.returns[i], [true_return(FRAMES[i + end], MOMENTS[i]) for end in (0, 1)]
    stderr = returns.std(-1, ddof=1) / np.sqrt(returns.shape[-1])
    np.testing.assert_array_less(np.abs(returns.mean(-1) - truth), 4 * stderr)
    gains = played.gains()[i]
    # the tiny step's error is far below that of unpaired episodes, and yet the truth lies within it
    assert abs(gains.mean() - (truth[1] - truth[0])) < 4 * gains.std(ddof=1) / np.sqrt(len(gains))


def test_common_numbers_make_a_tiny_step_visible(played):
    before, after = played.returns[1]
    assert np.corrcoef(before, after)[0, 1] > 0.9999
    assert played.gains()[1].std() < 0.01 * before.std()


def test_an_update_that_did_not_move_is_not_played_and_gains_exactly_nothing(played):
    assert played.moved.tolist() == [True, True, False, True]
    assert np.isnan(played.returns[2]).all() and (played.lengths[2] == 0).all()
    assert (played.gains()[2] == 0).all()


def test_different_updates_have_different_episodes(played):
    # θ_1 acts before update 1 and θ_1 ≈ θ_2 after it: under one normaliser and the same episodes their returns would be one
    assert abs(np.corrcoef(played.returns[0, 0], played.returns[1, 0])[0, 1]) < 0.1


def test_an_updates_numbers_depend_neither_on_those_beside_it_nor_on_how_many_episodes_follow(run, played):
    alone = play(run, (3,), 200)
    np.testing.assert_array_equal(alone.returns[0], played.returns[3, :, :200])
    np.testing.assert_array_equal(play(run, (3, 1), 200).returns[0], alone.returns[0])


def test_more_updates_than_are_played_together_are_the_same(run, played, monkeypatch):
    monkeypatch.setattr(playing, "TOGETHER", 1)
    np.testing.assert_array_equal(play(run, episodes=200).returns, played.returns[..., :200])


def test_another_seed_and_the_first_look_have_episodes_of_their_own(run):
    found = [play(run, (0,), 64, **options).returns[0, 0] for options in ({}, {"seed": 1}, {"first_look": True})]
    assert len(np.unique(np.concatenate(found))) == 3 * 64


def test_what_was_played_is_read_and_what_a_kill_took_is_played_again_to_the_same_bits(run, tmp_path):
    parts = Parts(tmp_path / "parts")
    whole = play(run, episodes=200, parts=parts)
    files = sorted(parts.directory.iterdir())
    assert len(files) == 3 * 3  # three updates that moved, episodes 0–95, 96–191, 192–199
    for file in files[::2]:
        file.unlink()
    seconds = []
    with Player(run, seed=0, parts=parts) as player:
        again = player.play((0, 1, 2, 3), 200, lambda episodes, pairs, taken: seconds.append(taken))
    np.testing.assert_array_equal(again.returns, whole.returns)
    with Player(run, seed=0, parts=parts) as player:
        player.play((0, 1, 2, 3), 200, lambda episodes, pairs, taken: seconds.append(taken))
    assert seconds[-3:] == [0.0] * 3


def test_progress_ends_at_what_was_announced(run):
    done = []
    with Player(run, seed=0) as player:
        player.play((0, 1, 2, 3), 100, lambda episodes, pairs, taken: done.append((episodes, pairs)))
    assert sum(episodes for episodes, _ in done) == 4 * 2 * 100
    assert sum(pairs for _, pairs in done) == 3 * 2 * 100 * lq.HORIZON


@pytest.mark.parametrize(("checkpoint", "expected"), [(150, range(125, 175)), (0, range(50)), (487, range(438, 488)), (10, range(50))])
def test_the_window_is_around_the_checkpoint_but_where_the_run_begins_or_ends(checkpoint, expected):
    assert window(checkpoint, spread=50, end=488) == expected


def test_a_short_run_is_its_own_window():
    assert window(10, spread=50, end=12) == range(12)
    np.testing.assert_array_equal(sampled(10, 25, spread=50, end=12, seed=0), np.arange(12))


def test_iterations_are_drawn_without_replacement_evenly_and_by_the_seed():
    drawn = [sampled(150, 25, spread=50, end=488, seed=seed) for seed in range(400)]
    assert all(len(set(each.tolist())) == 25 and (np.diff(each) > 0).all() for each in drawn)
    np.testing.assert_array_equal(drawn[3], sampled(150, 25, spread=50, end=488, seed=3))
    share = np.bincount(np.concatenate(drawn), minlength=175)[125:175] / 400
    assert np.abs(share - 0.5).max() < 4.5 * np.sqrt(0.25 / 400)  # each is drawn half of the time
