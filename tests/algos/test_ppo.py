"""PPO's update against hand arithmetic and a NumPy twin."""

import numpy as np
import pytest
import tensorflow as tf

from tests.algos.bandits import batch_of, gaussian_bandit, linear_gaussian, random_batch
from tfpg.algos.ppo import look_at_epochs, ppo_update
from tfpg.config import CodeLevel, Optimiser, Ppo
from tfpg.numerics import optimisers

SGD = Optimiser(kind="sgd")


def order(epochs, size, seed=0):
    rng = np.random.default_rng(seed)
    return tf.constant(np.stack([rng.permutation(size) for _ in range(epochs)]), tf.int32)


def stepper(pi, *, ppo, step_size=0.1, optimiser=SGD, code_level=CodeLevel()):  # noqa: B008
    """The compiled update, (θ, batch, order) ↦ record."""

    def step(theta, batch, rows):
        return ppo_update(pi, theta, optimisers.start(theta), batch, rows, step_size=tf.constant(step_size, theta.dtype),
                          ppo=ppo, optimiser=optimiser, code_level=code_level)

    return tf.function(step, jit_compile=True, autograph=False)


def update(pi, theta, batch, *, seed=0, compiled=True, **settings):
    step = stepper(pi, **settings)
    rows = order(settings["ppo"].epochs, batch.obs.shape[0], seed)
    return (step if compiled else step.python_function)(theta, batch, rows)


def curves(pi, theta, batch, **settings):
    """What the epochs of an update looked like."""
    thetas = update(pi, theta, batch, **settings).thetas
    return look_at_epochs(pi, pi(theta, batch.obs), thetas, batch, settings["ppo"], pi_new=pi(thetas[-1], batch.obs))


def bandit(size=64, std=(1.0, 1.0)):
    theta = tf.constant([0.2, -0.4], tf.float64)
    pi = gaussian_bandit(std)
    return pi, theta, random_batch(3, pi, theta, size, 1)


def test_the_first_step_is_the_policy_gradient():
    pi, theta, batch = bandit()
    ppo = Ppo(epochs=1, minibatches=1, advantage_norm="none")
    # at θ_old all ratios are 1: ∇L = E[Â (a − θ)/std²]
    g = np.mean(batch.advantages.numpy()[:, None] * (batch.actions.numpy() - theta.numpy()), axis=0)
    np.testing.assert_allclose(update(pi, theta, batch, ppo=ppo).theta, theta.numpy() + 0.1 * g, rtol=1e-10)


def numpy_twin(theta, batch, ppo, step_size, rows, std=1.0):
    """PPO by SGD on Normal(θ, 1), minibatch by minibatch, with the gradient of min(ρÂ, clip(ρ)Â) by hand."""
    a, adv, old = batch.actions.numpy(), batch.advantages.numpy(), theta.copy()
    for permutation in rows:
        for ids in permutation.reshape(ppo.minibatches, -1):
            rho = np.exp(-0.5 * np.sum((a[ids] - theta) ** 2 - (a[ids] - old) ** 2, axis=1))
            norm = (adv[ids] - adv[ids].mean()) / adv[ids].std()
            # no gradient where the clipped branch is the smaller
            active = ~(((norm > 0) & (rho > 1 + ppo.clip_epsilon)) | ((norm < 0) & (rho < 1 - ppo.clip_epsilon)))
            theta = theta + step_size * np.mean((active * norm * rho)[:, None] * (a[ids] - theta), axis=0)
    return theta


@pytest.mark.parametrize("compiled", [False, True])
def test_several_epochs_of_minibatches_equal_the_numpy_twin(compiled):
    pi, theta, batch = bandit()
    ppo = Ppo(epochs=3, minibatches=4)
    expected = numpy_twin(theta.numpy(), batch, ppo, 0.3, order(3, 64).numpy())
    np.testing.assert_allclose(update(pi, theta, batch, ppo=ppo, step_size=0.3, compiled=compiled).theta, expected, rtol=1e-9)


def test_without_clipping_the_policy_goes_further():
    pi, theta, batch = bandit()
    clipped, free = (curves(pi, theta, batch, ppo=Ppo(epochs=20, minibatches=1, clip_epsilon=e)) for e in (0.2, None))
    assert free.mean_kl[-1] > clipped.mean_kl[-1]
    assert free.clip_fraction[-1] > clipped.clip_fraction[-1]


def test_advantages_normalised_over_batch_or_minibatch_or_not_at_all_differ():
    pi, theta, batch = bandit()
    ends = [update(pi, theta, batch, ppo=Ppo(epochs=1, minibatches=4, advantage_norm=how)).theta.numpy()
            for how in ("minibatch", "batch", "none")]
    assert not np.allclose(ends[0], ends[1])
    assert not np.allclose(ends[1], ends[2])


def test_batch_normalisation_ignores_the_advantages_scale():
    pi, theta, batch = bandit()
    ppo = Ppo(epochs=2, minibatches=4, advantage_norm="batch")
    scaled = batch._replace(advantages=1e8 * batch.advantages + 5)
    np.testing.assert_allclose(update(pi, theta, batch, ppo=ppo).theta, update(pi, theta, scaled, ppo=ppo).theta, rtol=1e-6)


def test_entropy_coefficient_widens_the_policy_and_a_negative_one_narrows_it():
    pi, size = linear_gaussian(2, 1)
    theta = tf.zeros([size], tf.float64)
    batch = random_batch(0, pi, theta, 32, 2)
    ends = [curves(pi, theta, batch, ppo=Ppo(epochs=2, minibatches=2, entropy_coefficient=c)).entropy[-1] for c in (-0.5, 0.0, 0.5)]
    assert ends[0] < ends[1] < ends[2]


def test_gradient_clip_bounds_each_step():
    pi, theta, batch = bandit()
    end = update(pi, theta, batch, ppo=Ppo(epochs=1, minibatches=1), step_size=1.0, code_level=CodeLevel(gradient_clip=0.01))
    assert np.linalg.norm(end.theta - theta) == pytest.approx(0.01, rel=1e-6)


def test_adam_and_sgd_move_differently():
    pi, theta, batch = bandit()
    ppo = Ppo(epochs=1, minibatches=1)
    step = update(pi, theta, batch, ppo=ppo, step_size=1e-3, optimiser=Optimiser("adam")).theta - theta
    # Adam's first step is step_size · sign(g) up to ε
    np.testing.assert_allclose(np.abs(step), 1e-3, rtol=1e-2)


def test_the_last_epochs_values_are_those_of_the_final_policy():
    pi, theta, batch = bandit()
    settings = {"ppo": Ppo(epochs=4, minibatches=4), "step_size": 0.3}
    result = curves(pi, theta, batch, **settings)
    shift = update(pi, theta, batch, **settings).theta.numpy() - theta.numpy()
    a = batch.actions.numpy()
    rho = np.exp(np.sum((a - theta.numpy()) * shift, axis=1) - 0.5 * shift @ shift)
    assert float(result.mean_kl[-1]) == pytest.approx(0.5 * shift @ shift, rel=1e-9)
    assert float(result.max_ratio[-1]) == pytest.approx(rho.max(), rel=1e-9)
    assert float(result.min_ratio[-1]) == pytest.approx(rho.min(), rel=1e-9)
    assert float(result.clip_fraction[-1]) == pytest.approx(np.mean(np.abs(rho - 1) > 0.2))
    assert result.mean_kl.shape == (4,)


def test_a_nan_is_reported():
    pi, theta, batch = bandit()
    spoiled = batch.advantages.numpy()
    spoiled[0] = np.nan
    assert not update(pi, theta, batch._replace(advantages=tf.constant(spoiled)), ppo=Ppo(epochs=1, minibatches=2)).finite


def test_equal_advantages_move_nothing():
    pi, theta, batch = bandit()
    flat = batch._replace(advantages=tf.fill([64], tf.constant(3.0, tf.float64)))
    np.testing.assert_array_equal(update(pi, theta, flat, ppo=Ppo(epochs=2, minibatches=4)).theta, theta)


def test_the_update_climbs_a_known_bandit_to_its_best_action():
    pi, theta = gaussian_bandit([0.5, 0.5]), tf.zeros([2], tf.float64)
    rng = np.random.default_rng(0)
    step = stepper(pi, ppo=Ppo(epochs=5, minibatches=8), step_size=0.01, optimiser=Optimiser("adam"))
    for i in range(40):
        actions = theta.numpy() + 0.5 * rng.normal(size=(512, 2))
        reward = -np.sum((actions - 1) ** 2, axis=1)
        theta = step(theta, batch_of(np.zeros((512, 1)), actions, reward), order(5, 512, i)).theta
    np.testing.assert_allclose(theta, [1, 1], atol=0.15)


@pytest.mark.parametrize("compiled", [False, True])
def test_the_parameters_after_each_epoch_are_those_of_fewer_epochs(compiled):
    pi, theta, batch = bandit(size=256)
    whole = update(pi, theta, batch, ppo=Ppo(epochs=3, minibatches=4), compiled=compiled)
    for epochs in (1, 2, 3):
        step = stepper(pi, ppo=Ppo(epochs=epochs, minibatches=4))
        part = (step if compiled else step.python_function)(theta, batch, order(3, 256)[:epochs])
        np.testing.assert_allclose(whole.thetas[epochs - 1], part.theta, rtol=1e-12)
    np.testing.assert_array_equal(whole.thetas[-1], whole.theta)
