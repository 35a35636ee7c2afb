"""Grids through θ_k: where their points lie, and how long their directions are."""

import numpy as np
import pytest
import tensorflow as tf

from tests.diagnostics.subjects import Linear
from tfpg.diagnostics.landscapes import plane
from tfpg.errors import UserError
from tfpg.numerics.flat import Layout

LAYOUT = Layout(((3, 4), (4,), (4, 2), (2,), (2,)))  # a small policy: two layers and log std
P = LAYOUT.size


@pytest.fixture
def draw():
    return np.random.default_rng(0)


@pytest.fixture
def theta(draw):
    return draw.normal(size=P).astype(np.float32)


@pytest.fixture
def step(draw):
    return 0.03 * draw.normal(size=P)


def scaled(direction, how, theta, step, mean_kl=None):
    return plane.scaled(direction, how, theta=theta, layout=LAYOUT, step=step, mean_kl=mean_kl)


# --- points ---------------------------------------------------------------------------------------------------------


def test_a_linear_function_of_theta_is_a_plane(theta, step, draw):
    random, weights = draw.normal(size=P), draw.normal(size=P)
    xs, ys = plane.grid(7, -1, 3), plane.grid(4, 0, 2)
    found = plane.evaluate(plane.surface(theta, step, random, xs, ys), lambda theta: float(weights @ theta), "height")
    # c·(θ_k + x·step + y·random), up to the one rounding of θ to float32 (2⁻²⁴ of each of P elements below 10)
    expected = weights @ theta + xs[:, None] * (weights @ step) + ys * (weights @ random)
    np.testing.assert_allclose(found["height"], expected, atol=10 * 2**-24 * np.abs(weights).sum())
    assert found["height"].dims == ("x", "y")
    np.testing.assert_array_equal(found["x"], xs)
    assert found["x"].attrs["long_name"] == "steps of the algorithm"


def test_several_numbers_at_once_keep_their_names(theta, step):
    found = plane.evaluate(plane.line(theta, step, [0, 1]), lambda theta: {"a": theta[0], "a_stderr": 0.5})
    np.testing.assert_array_equal(found["a"], plane.line(theta, step, [0, 1]).thetas()[:, 0])
    np.testing.assert_array_equal(found["a_stderr"], 0.5)


def test_one_step_is_the_next_theta_bit_for_bit_and_no_step_is_theta_itself(theta, draw):
    # of another magnitude than θ, by up to 10⁶: float32 arithmetic would not come back to it, float64 does
    next_theta = (draw.normal(size=P) * 10.0 ** draw.integers(-5, 3, P)).astype(np.float32)
    step = next_theta.astype(np.float64) - theta
    thetas = plane.surface(theta, step, draw.normal(size=P), [-1, 0, 1, 2], [0, 1]).thetas().reshape(4, 2, P)
    np.testing.assert_array_equal(thetas[1, 0], theta)
    np.testing.assert_array_equal(thetas[2, 0], next_theta)
    assert thetas.dtype == np.float32


def test_points_are_in_the_order_of_their_coordinates(theta, step, draw):
    surface = plane.surface(theta, step, draw.normal(size=P), [-1, 0, 1], [0, 2])
    np.testing.assert_array_equal(surface.coordinates, [[-1, 0], [-1, 2], [0, 0], [0, 2], [1, 0], [1, 2]])
    assert surface.shape == (3, 2)
    assert surface.centre == 2
    assert plane.line(theta, step, [1, 2, 3]).centre is None


@pytest.mark.parametrize(("points", "low", "high"), [
    (21, 0, 3), (9, 0, 3), (20, -1, 3), (21, -1, 3), (4, -1, 3), (3, 0, 1), (4, -0.001, 1.001), (13, -2, 2),
    (50, -0.3, 7.77), (4, -100, 100), (5, 0.5, 2), (5, 0.99, 1.01), (7, -3, -1), (3, 0, 1000), (3, -1000, 1),
    (5, -0.5, 0.5), (4, -1e-9, 1e9)])
def test_grids_hold_their_ends_zero_and_one_where_the_extent_does_and_ascend(points, low, high):
    coordinates = plane.grid(points, low, high)
    assert len(coordinates) == points
    assert (np.diff(coordinates) > 0).all()
    assert (coordinates[0], coordinates[-1]) == (low, high)
    for special in (0.0, 1.0):
        assert (special in coordinates) == (low <= special <= high)
    # all but two are evenly spaced
    assert np.isin(coordinates, np.linspace(low, high, points)).sum() >= points - 2


@pytest.mark.parametrize(("arguments", "sentence"), [
    ((5, 1, 1), r"the extent 1,1 is empty"), ((5, 3, -1), r"the extent 3,-1 is empty"),
    ((2, 0, 3), r"points=2 is too few for the extent 0,3: 0, 1, 3 make 3"), ((3, -1, 3), r"-1, 0, 1, 3 make 4"),
    ((2, 2, 3), r"2, 3 and one more make 3")])
def test_a_bad_grid_is_refused_in_a_sentence(arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        plane.grid(*arguments)


# --- directions -----------------------------------------------------------------------------------------------------


def test_a_direction_is_named_by_seed_iteration_and_number():
    size = 5000
    first = plane.gaussian(3, 150, 0, size)
    np.testing.assert_array_equal(first, plane.gaussian(3, 150, 0, size))
    assert abs(first.mean()) < 4 / np.sqrt(size) and abs(first.std() - 1) < 4 / np.sqrt(2 * size)
    others = [plane.gaussian(*name, size) for name in ((3, 150, 1), (3, 150, 2), (3, 300, 0), (4, 150, 0))]
    for i, a in enumerate([first, *others]):
        for b in others[i:]:
            # the cosine of independent Gaussian vectors is Normal(0, 1/P)
            assert abs(a @ b) / np.linalg.norm(a) / np.linalg.norm(b) < 4.5 / np.sqrt(size)


def test_the_paper_norm_is_two_and_the_step_norm_that_of_the_step(theta, step, draw):
    direction = draw.normal(size=P)
    for how, norm in (("paper", 2.0), ("step", np.linalg.norm(step))):
        found = scaled(direction, how, theta, step)
        assert np.linalg.norm(found) == pytest.approx(norm, rel=1e-12)
        np.testing.assert_allclose(found / norm, direction / np.linalg.norm(direction))


def test_under_the_filter_norm_each_unit_has_the_norm_of_its_own_weights(theta, step, draw):
    direction = draw.normal(size=P)
    found, start = scaled(direction, "filter", theta, step), 0
    for shape in LAYOUT.shapes:
        ours, own, drawn = (x[start:start + int(np.prod(shape))].reshape(shape) for x in (found, theta, direction))
        start += ours.size
        # [inputs, units]: a column is what comes into a unit; a vector is one filter
        columns = range(shape[1]) if len(shape) == 2 else [slice(None)]
        for column in columns:
            a, b, d = ours[..., column], own[..., column], drawn[..., column]
            assert np.linalg.norm(a) == pytest.approx(np.linalg.norm(b), rel=1e-6)
            np.testing.assert_allclose(a / np.linalg.norm(a), d / np.linalg.norm(d))
    assert start == P


def test_weights_that_are_zero_have_directions_that_are_zero(step, draw):
    theta = np.zeros(P, np.float32)
    np.testing.assert_array_equal(scaled(draw.normal(size=P), "filter", theta, step), 0)


def test_under_the_kl_norm_the_random_direction_is_as_far_in_mean_kl_as_the_step(draw):
    linear = Linear()
    obs = tf.constant(draw.normal(size=(500, 1)), tf.float32)
    pi_old = linear.pi(linear.theta.astype(np.float64), tf.cast(obs, tf.float64))

    def mean_kl(theta):
        pi = linear.pi(theta.astype(np.float64), tf.cast(obs, tf.float64))
        return float(tf.reduce_mean(pi_old.kl_divergence(pi)))

    step, direction = np.array([0.03, -0.02, 0.01]), draw.normal(size=3)
    found = plane.scaled(direction, "kl", theta=linear.theta, layout=linear.layout, step=step, mean_kl=mean_kl)
    # the scale is known to 1e-6, the KL grows with its square; θ itself is rounded to 1e-7 of about 1
    ours, target = (mean_kl(np.float32(linear.theta + moved)) for moved in (found, step))
    assert ours == pytest.approx(target, rel=1e-4)
    np.testing.assert_allclose(found / np.linalg.norm(found), direction / np.linalg.norm(direction))


@pytest.mark.parametrize("target", [1e-9, 1e-3, 10.0, 1e6])
def test_the_kl_norm_is_found_whatever_the_scale(target, theta):
    # KL = c‖d‖², so the scale is √(target / c); the step has norm 1 and the target's KL
    step, direction = np.eye(P)[0], np.ones(P)

    def mean_kl(at):
        moved = at.astype(np.float64) - theta
        return target if np.array_equal(at, np.float32(theta + step)) else 0.07 * float(moved @ moved)

    found = scaled(direction, "kl", theta, step, mean_kl)
    assert np.linalg.norm(found) == pytest.approx(np.sqrt(target / 0.07), rel=2e-3 if target < 1e-6 else 1e-5)


def test_bad_norms_are_refused_in_a_sentence(theta, step, draw):
    direction = draw.normal(size=P)
    for how in ("step", "kl"):
        with pytest.raises(UserError, match=rf"norm={how} matches the step, but the step is zero: choose norm=paper"):
            scaled(direction, how, theta, np.zeros(P), lambda theta: 0.0)
    with pytest.raises(UserError, match="norm=kl matches the step's KL, which is zero"):
        scaled(direction, "kl", theta, step, lambda theta: 0.0)
    with pytest.raises(UserError, match="norm=kl needs the states of a training batch"):
        scaled(direction, "kl", theta, step)
    with pytest.raises(UserError, match="norm=papr is not known: did you mean paper"):
        scaled(direction, "papr", theta, step)


def test_every_norm_that_is_documented_is_known(theta, step, draw):
    for how in plane.NORMS:
        found = scaled(draw.normal(size=P), how, theta, step, lambda at: float(np.sum((at - theta)**2)))
        assert np.isfinite(found).all()
