"""Is physics alone the same work as the task's?"""

import numpy as np
import pytest

from tfpg.envs import physics
from tfpg.envs.make import describe


@pytest.mark.parametrize("threads", [1, 2])
def test_every_stretch_ends_where_the_task_ended_it_bit_for_bit(threads):
    stretches = physics.record(describe("Hopper-v5"), 12, seed=3)
    alone = physics.Physics(stretches, threads)
    for _ in range(2):  # and again: nothing is left of the time before
        np.testing.assert_array_equal(alone.play(), stretches.ends)
    alone.close()
    assert stretches.steps == 12 * physics.STRETCH and stretches.controls.shape[1] == physics.STRETCH * 4


def test_stretches_come_from_several_episodes():
    states = physics.record(describe("Hopper-v5"), 12, seed=3).states
    assert np.sum(np.diff(states[:, 0]) < 0) >= 2  # the time begins anew


def test_a_task_without_mujoco_has_no_physics():
    assert physics.record(describe("CartPole-v1"), 2, seed=0) is None
