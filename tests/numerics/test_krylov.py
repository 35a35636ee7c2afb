import numpy as np
import pytest
import tensorflow as tf

from tests.modes import every_mode
from tfpg.numerics.krylov import conjugate_gradient


def problem(size=8, seed=0):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(size, size))
    return root @ root.T + np.eye(size), rng.normal(size=size)


def solve(a, b, run=lambda f: f, **settings):
    return run(lambda a, b: conjugate_gradient(lambda v: tf.linalg.matvec(a, v), b, **settings))(
        tf.constant(a), tf.constant(b))


@every_mode
def test_as_many_iterations_as_dimensions_solve_the_system(run):
    a, b = problem()
    solution = solve(a, b, run, iterations=16, tolerance=1e-24)
    np.testing.assert_allclose(solution.x, np.linalg.solve(a, b), rtol=1e-8)
    assert solution.positive


@every_mode
@pytest.mark.parametrize("iterations", [1, 3, 5])
def test_k_iterations_give_the_best_point_of_the_krylov_space(run, iterations):
    # x_k minimises ½xᵀAx − bᵀx over span{b, Ab, …, Aᵏ⁻¹b}: solve the projected system.
    a, b = problem()
    basis, _ = np.linalg.qr(np.stack([np.linalg.matrix_power(a, k) @ b for k in range(iterations)], 1))
    expected = basis @ np.linalg.solve(basis.T @ a @ basis, basis.T @ b)
    solution = solve(a, b, run, iterations=iterations)
    np.testing.assert_allclose(solution.x, expected, rtol=1e-6)
    assert int(solution.iterations) == iterations


@pytest.mark.parametrize("iterations", [1, 4, 7])
def test_the_residual_reported_is_the_true_one(iterations):
    a, b = problem()
    solution = solve(a, b, iterations=iterations)
    true = np.linalg.norm(b - a @ solution.x.numpy()) / np.linalg.norm(b)
    np.testing.assert_allclose(solution.residual, true, rtol=1e-6, atol=1e-12)


@every_mode
def test_negative_curvature_stops_the_solver_and_says_so_without_a_nan(run):
    solution = solve(-np.eye(4), np.ones(4), run, iterations=10)
    assert not solution.positive
    np.testing.assert_array_equal(solution.x, np.zeros(4))


@every_mode
def test_zero_curvature_stops_the_solver_and_says_so_without_a_nan(run):
    solution = solve(np.zeros((4, 4)), np.ones(4), run, iterations=10)
    assert not solution.positive and np.all(np.isfinite(solution.x))


def test_curvature_that_turns_negative_later_keeps_what_was_reached():
    # A = diag(1, −2), b = (2, 1): first pᵀAp = 4 − 2 = 2 > 0, α = 5/2, x = (5, 2.5); then the direction is negative.
    solution = solve(np.diag([1.0, -2.0]), np.array([2.0, 1.0]), iterations=10)
    assert not solution.positive
    np.testing.assert_allclose(solution.x, [5, 2.5])


@every_mode
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_product_that_is_not_a_number_is_refused(run, bad):
    solution = solve(np.full((3, 3), bad), np.ones(3), run, iterations=5)
    assert not solution.positive and np.all(np.isfinite(solution.x))


@every_mode
def test_a_right_side_of_zero_has_solution_zero_and_residual_zero(run):
    a, _ = problem()
    solution = solve(a, np.zeros(8), run, iterations=10)
    np.testing.assert_array_equal(solution.x, np.zeros(8))
    assert float(solution.residual) == 0 and int(solution.iterations) == 0


def test_the_solver_stops_when_the_residual_is_small_enough():
    solution = solve(2 * np.eye(5), np.arange(5.0), iterations=10)
    assert int(solution.iterations) == 1  # for a multiple of the identity the first direction is the solution
