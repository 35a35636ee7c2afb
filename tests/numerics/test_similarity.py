import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfpg.numerics import similarity


def test_cosines_of_known_angles():
    # 45°, 90°, 180°, and one and the same direction
    a = np.array([1.0, 0.0])
    np.testing.assert_allclose(similarity.cosine(np.tile(a, (4, 1)), [[3, 3], [0, 2], [-1, 0], [7, 0]]),
                               [np.sqrt(0.5), 0, -1, 1], atol=1e-15)


def test_pairwise_cosines_come_in_the_order_of_pairs():
    # (0,1): 0, (0,2): 1/√2, (1,2): 1/√2
    vectors = [[2, 0], [0, 3], [1, 1]]
    np.testing.assert_allclose(similarity.pairwise_cosines(vectors), [0, np.sqrt(0.5), np.sqrt(0.5)], atol=1e-15)
    assert similarity.mean_pairwise_cosine(vectors) == pytest.approx(np.sqrt(2) / 3)


def test_a_zero_vector_has_no_cosine():
    assert np.isnan(similarity.cosine([0.0, 0.0], [1.0, 0.0]))
    assert np.isnan(similarity.mean_pairwise_cosine([[0, 0], [1, 0], [0, 1]]))
    np.testing.assert_array_equal(np.isnan(similarity.cosines_to([[0, 0], [1, 0]], [1, 0])), [True, False])


def test_one_vector_makes_no_pair():
    assert np.isnan(similarity.mean_pairwise_cosine([[1.0, 2.0]]))


@given(st.floats(-300, 300), st.floats(-300, 300))
def test_lengths_do_not_matter(a, b):
    x, y = np.array([3.0, 4.0, 0.0]), np.array([1.0, 2.0, 2.0])
    # cos = 11/15
    assert similarity.cosine(x * 10.0**a, y * 10.0**b) == pytest.approx(11 / 15, rel=1e-12)


def test_cosines_do_not_leave_their_interval():
    vectors = np.random.default_rng(0).normal(size=(50, 7))
    assert np.abs(similarity.cosine(vectors, 3 * vectors)).max() <= 1
    assert np.abs(similarity.pairwise_cosines(np.concatenate([vectors, -vectors]))).max() <= 1


def test_moments_equal_their_double_sum():
    vectors = np.random.default_rng(1).normal(size=(5, 3))
    cross = np.mean([vectors[i] @ vectors[j] for i in range(5) for j in range(5) if i != j])
    found = similarity.moments(vectors)
    np.testing.assert_allclose(found.square_norm, cross)
    np.testing.assert_allclose(found.trace, np.mean([v @ v for v in vectors]) - cross)
    np.testing.assert_allclose(found.trace, vectors.var(0, ddof=1).sum())  # the same in other words


def test_moments_have_no_bias():
    # g = (1, 2), noise of variance 4 in each of two coordinates: ‖g‖² = 5, tr Cov = 8
    draw = np.random.default_rng(2)
    found = [similarity.moments(np.array([1.0, 2.0]) + 2 * draw.normal(size=(4, 2))) for _ in range(20_000)]
    for values, truth in zip(np.array(found).T, (5, 8), strict=True):
        assert abs(values.mean() - truth) < 4 * values.std() / np.sqrt(len(values))
