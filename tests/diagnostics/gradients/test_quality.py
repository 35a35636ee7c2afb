"""From pools to a Dataset: on a task with known gradient the cosine to the truth tends to 1, and the noise scale explains it."""

import dataclasses

import numpy as np
import pytest

from tests import linear_quadratic as lq
from tests.diagnostics import handmade
from tests.diagnostics.gradients.test_derivatives import known_gradient
from tests.diagnostics.subjects import AT_LQ
from tfpg.config import Advantages, CodeLevel, Network, Ppo, Rollout, Runtime
from tfpg.diagnostics import results
from tfpg.diagnostics.gradients import agreement, quality
from tfpg.diagnostics.gradients.collecting import Collector
from tfpg.diagnostics.gradients.sizes import usable
from tfpg.numerics import similarity
from tfpg.types import Moments, Normaliser

SIZES = (80, 800, 8_000)


@pytest.fixture(scope="module")
def probe(untrained):
    """a = w s + b + σ ε, V = 0 and γ = λ = 1, so that the estimator's limit is ∇J, up to its normalisation."""
    config = dataclasses.replace(
        handmade.config(lq.TASK, algorithm=Ppo(minibatches=2, epochs=2)), network=Network(hidden=()), runtime=Runtime(xla=False),
        advantages=Advantages(gamma=1.0, lam=1.0), code_level=CodeLevel(observation_normalisation=False),
        rollout=Rollout(num_steps=24, num_envs=4))
    made = untrained(config)
    none = Normaliser(Moments(np.float64(0), np.zeros(1), np.zeros(1)), made.normaliser.reward)
    return made._replace(theta=AT_LQ, normaliser=none, phi=np.zeros_like(made.phi),
                         policy_slots=made.policy_slots._replace(second=np.abs(made.policy_slots.second)))


@pytest.fixture(scope="module")
def found(probe):
    with Collector(probe, seed=0) as collect:
        return quality.quality(probe, collect, sizes=SIZES, estimates=10, reference_pairs=40_000, step_sizes=(800,),
                                        step_reference_pairs=4_000)


def test_cosines_to_the_known_gradient_tend_to_1(probe):
    truth, means = known_gradient(probe), []
    with Collector(probe, seed=1) as collect:
        for size in SIZES:
            vectors = collect.estimates(size, 10).gradient
            means.append(float(agreement.to_reference(vectors, truth).mean))
    assert means == sorted(means)
    # normalising Â by the pool's own mean and spread tilts no direction in the limit
    assert means[-1] > 0.97 > means[0]


def test_both_truths_are_the_known_gradient(probe, found):
    truth = known_gradient(probe)
    for name, least in (("limit", 0.99), ("return", 0.98)):
        assert similarity.cosine(found["truth_vector"].sel(truth=name).values, truth) > least, name
    assert float(found["freed_cosine_to_limit"].sel(truth="return")) == pytest.approx(1, abs=0.03)


def test_the_noise_scale_explains_the_cosines(found):
    # the largest pools' B; each interval holds what it says of smaller ones, errors of three sizes aside
    scale = float(found["noise_scale"][-1])
    for size in SIZES:
        cosine = found.sel(kind="gradient", size=size)
        predicted = agreement.predicted_pairwise(size, scale)
        assert float(cosine["cosine_low"]) - 0.1 < predicted < float(cosine["cosine_high"]) + 0.1, size
    fit = quality.fitted_scale(found["size"].values, found["cosine"][0].values, found["cosine_stderr"][0].values)
    assert 0.3 < fit / scale < 3


def test_a_fit_through_the_exact_curve_finds_its_scale():
    sizes = np.array([100, 1_000, 10_000])
    assert quality.fitted_scale(sizes, sizes / (sizes + 4_321), np.full(3, 0.01)) == pytest.approx(4_321, rel=1e-3)
    assert np.isnan(quality.fitted_scale(sizes[:1], np.array([0.5]), np.array([0.1])))


def test_permuted_advantages_point_nowhere(found):
    chance = found.sel(kind="gradient")
    # Three parameters: two directions agree to 1/√3 by chance, the mean of 45 pairs to a seventh of it.
    assert (np.abs(chance["chance_cosine"]) < 4 / np.sqrt(3 * 45)).all()


def test_every_estimate_has_its_uncertainty_and_survives_the_disk(found, tmp_path):
    for name in ("cosine", "cosine_to", "chance_cosine", "chance_cosine_to", "noise_scale", "split_half"):
        for suffix in ("_stderr", "_low", "_high", "_count"):
            assert found[name + suffix].dims == found[name].dims
    assert results.load(results.save(found, tmp_path / "gradients.nc")).identical(found)


def test_steps_are_known_where_they_were_asked_for(found):
    step = found["cosine"].sel(kind="step")
    np.testing.assert_array_equal(np.isfinite(step), [False, True, False])
    assert (found["cosine_count"].sel(kind="step") == [0, 10, 0]).all()
    assert found["truth"].values.tolist() == ["limit", "return", "step"]


def test_a_reference_is_trusted_by_its_split_halves(found):
    np.testing.assert_array_equal(found["trusted"], found["split_half"] >= 0.9)
    assert found["trusted"].sel(truth="limit") == 1


def test_sizes_that_a_reference_cannot_judge_are_dropped():
    assert usable([100, 20_000, 20_001, 100], 100_000) == (100, 20_000)
    assert usable([100, 640, 2_048], 100_000, 640) == (640, 2_048)
