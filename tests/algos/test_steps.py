"""What chance decides in an update: the numbers of training, and what happens to pairs that no minibatch holds."""

import numpy as np
import pytest

from tfpg import seeds
from tfpg.algos import steps
from tfpg.config import Ppo, Trpo


def test_each_epoch_meets_every_pair_once():
    orders = steps.orders(np.random.default_rng(0), 12, epochs=3, minibatches=4)
    assert orders.shape == (3, 12)
    assert (np.sort(orders) == np.arange(12)).all()
    assert len({row.tobytes() for row in orders}) == 3


def test_pairs_that_the_minibatches_do_not_divide_sit_out_an_epoch_chosen_by_chance():
    orders = steps.orders(np.random.default_rng(0), 14, epochs=200, minibatches=4)
    assert orders.shape == (200, 12)  # 3 in each of 4 minibatches, 2 sit out
    assert all(len(set(row)) == 12 for row in orders)
    absences = 200 - np.bincount(orders.ravel(), minlength=14)
    # each of 14 pairs sits out 200 · 2/14 = 28.6 epochs, standard deviation √(200 · 1/7 · 6/7) = 4.9
    assert (np.abs(absences - 28.6) < 4 * 4.9).all()


def test_a_step_of_ppo_draws_its_minibatches_and_one_of_trpo_its_states():
    ppo, trpo = Ppo(epochs=3, minibatches=4), Trpo(fisher_fraction=0.25)
    assert steps.draws(ppo, 40, np.random.default_rng(0)).shape == (3, 40)
    states = steps.draws(trpo, 40, np.random.default_rng(0))
    assert len(set(states)) == 10
    assert steps.draws(trpo, 1, np.random.default_rng(0)).tolist() == [0]  # one at least
    assert states.dtype == steps.draws(ppo, 40, np.random.default_rng(0)).dtype == np.int32


@pytest.mark.parametrize(("algorithm", "purpose"), [(Ppo(), "policy_minibatches"), (Trpo(), "fisher_subset")])
def test_training_draws_from_the_stream_of_run_and_iteration(algorithm, purpose):
    drawn = steps.training_stream(algorithm, 5, 7).permutation(100)
    np.testing.assert_array_equal(drawn, seeds.generator(5, purpose, 7).permutation(100))
    assert not np.array_equal(drawn, steps.training_stream(algorithm, 5, 8).permutation(100))


def test_only_ppo_can_share_weights():
    assert [steps.shares_weights(a) for a in (Trpo(), Ppo(), Ppo(shared_weights=True))] == [False, False, True]
