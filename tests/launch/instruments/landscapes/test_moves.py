"""The steps and directions of a survey: what the run took, what is recomputed, what is given, and how long they are."""

import dataclasses

import numpy as np
import pytest

from launch.instruments.landscapes.moves import Moves, described
from tests.diagnostics import handmade
from tests.launch.instruments.landscapes.test_plan import plan
from tfpg.config import Ppo, Runtime, Trpo
from tfpg.diagnostics import pools, probe, updates
from tfpg.errors import UserError

CONFIG = dataclasses.replace(handmade.config("Pendulum-v1", algorithm=Trpo()), runtime=Runtime(xla=False))  # for its seconds


def refused(made):
    """An iteration whose line search left the policy at θ_k."""
    iteration = made.iteration
    learner = iteration.update.learner._replace(theta=iteration.before.theta)
    return iteration._replace(update=iteration.update._replace(learner=learner))


@pytest.fixture(scope="module")
def trpo(tmp_path_factory):
    made = handmade.Made(CONFIG)
    return probe.load(made.save(tmp_path_factory.mktemp("trpo") / "000007"))


@pytest.fixture(scope="module")
def stuck(tmp_path_factory):
    made = handmade.Made(CONFIG)
    made.iteration = refused(made)
    return probe.load(made.save(tmp_path_factory.mktemp("stuck") / "000007"))


def moves(probed, **asked):
    return Moves(probed, plan(**{"update_pairs": ("stored",), **asked}), 2)


def length(vector):
    return float(np.linalg.norm(np.asarray(vector, np.float64)))


def test_the_first_move_is_what_the_run_took_or_proposed(trpo):
    taken, proposed = (moves(trpo, step=step).first for step in ("taken", "proposed"))
    np.testing.assert_array_equal(np.float32(trpo.theta + taken.step), trpo.theta_next)
    np.testing.assert_array_equal(np.float32(trpo.theta + proposed.step), trpo.theta_proposed)
    assert (taken.label, proposed.label, taken.pairs) == ("stored", "proposed", handmade.T * handmade.N)
    assert len(taken.train.advantages) == handmade.T * handmade.N


def test_a_given_direction_keeps_the_updates_pairs(trpo, tmp_path):
    np.save(tmp_path / "d.npy", np.full(trpo.theta.shape, 0.1, np.float32))
    move = moves(trpo, step=str(tmp_path / "d.npy")).first
    assert (move.label, move.pairs, move.described) == ("given", 0, "given step") and move.train is not None
    assert move.norm == pytest.approx(0.1 * np.sqrt(trpo.theta.size), rel=1e-6)


def test_a_recomputed_step_is_the_taken_one_unless_proposals_are_asked_for(trpo, tmp_path):
    np.save(tmp_path / "d.npy", np.full(trpo.theta.shape, 0.1, np.float32))
    repeater = updates.Repeater(trpo)
    for seed in range(20):
        made = repeater(pools.draw(trpo, 64, 1, seed=seed), updates.stream(trpo, seed=seed, repeat=0))
        if 0 < made.step.norm < made.proposed.norm:  # where the line search went back: else there is one step only
            break
    assert made.step.norm < made.proposed.norm
    for step, like in (("taken", made.step), (str(tmp_path / "d.npy"), made.step), ("proposed", made.proposed)):
        move = moves(trpo, step=step, update_pairs=("stored", "64"), seed=seed).all[1]
        np.testing.assert_array_equal(move.step, like.step)
        assert (move.label, move.pairs, len(move.train.advantages)) == ("recomputed", 64, 64)


@pytest.mark.parametrize(("norm", "like"), [("step", "step_norm"), ("kl", "step_kl"), ("paper", 2.0), ("filter", None)])
def test_the_random_direction_has_the_norm_that_was_asked_for(trpo, norm, like):
    asked = moves(trpo, norm=norm, points=(4, 3), extent=(-1.0, 2.0, -0.5, 0.5))
    facts, plane = asked.facts(asked.first), asked.plane_of(asked.first)
    assert plane.shape == (4, 3) and plane.axes[1].norm == pytest.approx(facts["random_norm"])
    if isinstance(like, str):
        assert facts[like.replace("step", "random")] == pytest.approx(facts[like], rel=1e-3)
    else:  # filter: every unit has its own norm, so together they have the policy's
        assert facts["random_norm"] == pytest.approx(like or length(trpo.theta), rel=1e-6)


def test_directions_differ_by_number_and_not_by_norm(trpo):
    asked = moves(trpo)
    a, b, c = (asked.random(number, asked.first, norm) for number, norm in ((0, "step"), (1, "step"), (0, "paper")))
    cosines = [x @ y / length(x) / length(y) for x, y in ((a, b), (a, c))]
    assert abs(cosines[0]) < 0.5 and cosines[1] == pytest.approx(1)


def test_a_refused_step_spans_no_plane_and_the_proposal_can_be_seen(stuck):
    with pytest.raises(UserError) as error:
        _ = moves(stuck, step="taken").first
    assert str(error.value) == (f"the stored step of 24 pairs of {stuck.path} has norm 0, so it spans no plane: TRPO refused it, "
                                "and --step=proposed shows what the line search refused.")
    assert moves(stuck, step="proposed").first.norm > 0


def test_a_recomputed_step_that_is_refused_is_left_out_and_named(trpo, monkeypatch):
    asked = moves(trpo, update_pairs=("stored", "64", "32"))
    recomputed = asked._recomputed
    nothing = {"step": np.zeros(trpo.theta.shape)}
    monkeypatch.setattr(asked, "_recomputed", lambda pairs: dataclasses.replace(recomputed(pairs), **nothing if pairs == 64 else {}))
    assert [move.pairs for move in asked.all] == [handmade.T * handmade.N, 32]
    assert asked.refused == ("recomputed step of 64 pairs",)
    alone = moves(trpo, update_pairs=("64",))
    monkeypatch.setattr(alone, "_recomputed", lambda pairs: dataclasses.replace(recomputed(pairs), **nothing))
    with pytest.raises(UserError, match="recomputed step of 64 pairs of .* has norm 0"):
        _ = alone.all


def test_a_direction_of_zeros_is_refused(trpo, tmp_path):
    np.save(tmp_path / "d.npy", np.zeros(trpo.theta.shape, np.float32))
    with pytest.raises(UserError, match="the given step of .* has norm 0, .* give --step another policy or direction.$"):
        _ = moves(trpo, step=str(tmp_path / "d.npy")).first


def test_a_step_to_a_policy_under_another_normaliser_is_refused_with_the_way_to_it(trpo, tmp_path):
    other = handmade.Made(CONFIG, index=8).save(tmp_path / "000008")
    with pytest.raises(UserError, match="made under another normaliser than .*: use --to"):
        _ = moves(trpo, step=str(other)).first


def test_too_few_pairs_for_ppos_minibatches_are_refused(tmp_path):
    made = handmade.Made(handmade.config("CartPole-v1", algorithm=Ppo(minibatches=2)))
    probed = probe.load(made.save(tmp_path / "000007"))
    with pytest.raises(UserError, match="cannot be repeated from 3 pairs: its 2 minibatches need at least 4.$"):
        _ = moves(probed, update_pairs=("stored", "3")).all


def test_steps_are_described_with_the_pairs_behind_them():
    assert (described("stored", 2048), described("given", 0)) == ("stored step of 2,048 pairs", "given step")
