"""One run from within: panels of its algorithm, smoothed where the run is long."""

import numpy as np
import pytest

from tests.report.test_trust_regions import K, run
from tfpg.report import figures, within_run


@pytest.mark.parametrize(("preset", "titles"), [
    ("ppo", ["Mean KL after epochs", "Largest ratio after epochs (1 + ε dotted)"]),
    ("trpo", ["KL: the quadratic model's against the real one", "Gain of the surrogate: promised against real"])])
def test_the_inside_of_a_run_is_that_of_its_algorithm(preset, titles):
    figure = within_run.inside(run(preset))
    assert [axes.get_title() for axes in figure.axes[:2]] == titles
    assert "6 iterations of 2,048 pairs" in figure.get_suptitle()
    assert len(figure.axes[3].lines) == 1
    shifted = within_run.inside(run(preset, normaliser_mean_kl=("iteration", np.full(K, 0.001))))
    assert len(shifted.axes[3].lines) == 2


def test_a_run_of_which_nothing_old_was_stored_is_drawn_all_the_same():
    nothing, still = np.full((K, 2), np.nan), np.zeros((K, 2))
    empty = run("trpo", without_gradient=(("iteration", "pool"), nothing), mean_kl=(("iteration", "pool"), still))
    assert figures.png(within_run.inside(empty))[:4] == b"\x89PNG"


def test_one_update_that_did_not_move_leaves_the_other_iterations_smooth():
    values = np.tile([1.0, 4.0], within_run.LONG)
    values[0] = 0
    drawn = within_run._smooth(values)
    assert np.isnan(drawn[0])
    np.testing.assert_allclose(drawn[within_run.WINDOW:], 2)  # √(1 · 4)
