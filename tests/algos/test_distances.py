"""Does NumPy condense a trust region as TensorFlow does?"""

import numpy as np
import pytest
import tensorflow as tf

from tfpg.algos.distances import with_quantiles
from tfpg.objectives import quantiles
from tfpg.types import TrustRegion


@pytest.mark.parametrize("size", [1, 2, 7, 2048])
def test_quantiles_outside_the_program_are_those_inside_it(size):
    kl, ratio = np.random.default_rng(size).normal(size=(2, size)).astype(np.float32)
    found = with_quantiles(TrustRegion(*range(11))._replace(kl_quantiles=tf.constant(kl), ratio_quantiles=tf.constant(ratio)))
    np.testing.assert_allclose(found.kl_quantiles, quantiles(kl), rtol=1e-6)
    np.testing.assert_allclose(found.ratio_quantiles, quantiles(ratio), rtol=1e-6)
    assert (found.mean_kl, found.mean_ratio) == (0, 4)


def test_one_nan_makes_every_quantile_nan_for_the_run_to_find():
    x = np.float32([1, np.nan, 2])
    region = with_quantiles(TrustRegion(*range(11))._replace(kl_quantiles=x, ratio_quantiles=x[:1]))
    assert np.isnan(region.kl_quantiles).all()
    np.testing.assert_array_equal(region.ratio_quantiles, np.ones(5))
