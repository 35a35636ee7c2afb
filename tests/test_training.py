"""Training as a whole: records that are right, runs that repeat, and gradients that point where theory says."""

import functools
import itertools
import pathlib
import resource

import numpy as np
import pytest
import tensorflow as tf

from tests import linear_quadratic as lq
from tfpg import seeds
from tfpg.algos.agent import Agent
from tfpg.config import Advantages, CodeLevel, Config, Network, Ppo, Rollout, Runtime, Trpo, Value
from tfpg.envs.make import describe
from tfpg.envs.rollout import Sampler
from tfpg.envs.transforms import normalise_observation
from tfpg.errors import RunError
from tfpg.training import iterations

# Plain graphs: XLA compiles for seconds what these few iterations use for milliseconds. Runs with it: launch/test_train.
SMALL = {"rollout": Rollout(num_steps=256, num_envs=8), "value": Value(epochs=2, minibatches=4), "runtime": Runtime(xla=False)}


def small(env="Hopper-v5", algorithm=None, iterations=3, **settings):
    algorithm = algorithm or Trpo(delta=0.05)
    if isinstance(algorithm, Ppo):
        algorithm = Ppo(epochs=2, minibatches=4, shared_weights=algorithm.shared_weights)
    merged = {**SMALL, **settings}
    return Config(env=env, algorithm=algorithm, total_steps=iterations * merged["rollout"].num_steps, **merged)


def same(a, b):
    """Every tensor of two nested records equal bit for bit."""
    for x, y in zip(tf.nest.flatten(a), tf.nest.flatten(b), strict=True):
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


@pytest.fixture(scope="module")
def hopper():
    """Three TRPO iterations on Hopper, whole records."""
    return list(iterations(small()))


@pytest.fixture(scope="module")
def seed_one():
    """The first iteration of the next seed."""
    return next(iter(iterations(small(seed=1))))


def test_each_iteration_begins_where_the_one_before_ended(hopper):
    for earlier, later in itertools.pairwise(hopper):
        same(earlier.update.learner, later.before)
        same(earlier.state.normaliser, later.normaliser)
    assert [iteration.index for iteration in hopper] == [0, 1, 2]
    assert [iteration.steps for iteration in hopper] == [256, 512, 768]
    assert [iteration.env_steps for iteration in hopper] == [512, 768, 1024]  # the warm-up batch counts here only


def test_the_trust_region_of_an_update_is_that_of_theta_k_and_the_next_on_its_batch(hopper):
    agent = Agent(small(), describe("Hopper-v5"))
    for iteration in hopper:
        thetas = iteration.before.theta, iteration.update.learner.theta
        old, new = (agent.policy(theta, iteration.batch.obs) for theta in thetas)
        rho = np.exp(np.asarray(new.log_prob(iteration.batch.actions) - old.log_prob(iteration.batch.actions)))
        after = iteration.moved.after
        np.testing.assert_allclose(after.mean_kl, np.mean(old.kl_divergence(new)), rtol=1e-4)
        np.testing.assert_allclose(after.mean_reverse_kl, np.mean(new.kl_divergence(old)), rtol=1e-4)
        np.testing.assert_allclose([after.max_ratio, after.min_ratio], [rho.max(), rho.min()], rtol=1e-4)
        advantages = np.asarray(iteration.batch.advantages) - np.mean(iteration.batch.advantages)
        assert float(after.without_gradient) == pytest.approx(np.mean((np.abs(rho - 1) > 0.2) & ((rho > 1) == (advantages > 0))))


def test_the_drift_is_of_the_statistics_alone(hopper):
    agent = Agent(small(), describe("Hopper-v5"))
    for iteration in hopper:
        raw = iteration.trajectory.obs.reshape(-1, 11)
        seen = (normalise_observation(raw, statistics.observation, small().code_level)
                for statistics in (iteration.normaliser, iteration.state.normaliser))
        saw, will_see = (agent.policy(iteration.update.learner.theta, obs) for obs in seen)
        np.testing.assert_allclose(iteration.moved.drift.mean_kl, np.mean(saw.kl_divergence(will_see)), rtol=1e-3)
        assert float(iteration.moved.drift.mean_kl) > 0


def test_without_observation_normalisation_nothing_drifts():
    it = next(iter(iterations(small(code_level=CodeLevel(observation_normalisation=False)))))
    np.testing.assert_array_equal(it.moved.drift, [0, 0, 1, 1])


def test_the_noise_of_the_rollout_gives_back_the_probability_that_the_update_uses(hopper):
    # log π_old(a|s) of the update must be that of the policy and normaliser that acted: a = mean + std·noise, so
    # log π_old = −½‖noise‖² − Σ log std − ½ A log 2π, whatever mean was.
    config = small()
    agent = Agent(config, describe("Hopper-v5"))
    for iteration in hopper:
        noise = np.asarray(agent.noise(iteration.index, 32)).reshape(256, 3)
        theta, batch = iteration.before.theta, iteration.batch
        log_std = np.asarray(agent.policy.parameters(theta, batch.obs).log_std)
        acted = -0.5 * (noise**2).sum(1) - log_std.sum(1) - 1.5 * np.log(2 * np.pi)
        recomputed = np.asarray(agent.policy(theta, batch.obs).log_prob(batch.actions))
        assert np.abs(np.exp(recomputed - acted) - 1).max() < 1e-5


def test_the_bound_on_the_kl_holds_after_every_iteration(hopper):
    for iteration in hopper:
        assert float(iteration.moved.after.mean_kl) <= 0.05 * (1 + 1e-5)  # float32, evaluated anew
        assert float(iteration.update.policy.applied_kl) == pytest.approx(float(iteration.moved.after.mean_kl), abs=1e-6)


def test_value_targets_are_old_values_plus_advantages(hopper):
    batch = hopper[0].batch
    np.testing.assert_allclose(batch.value_targets, batch.values + batch.advantages, rtol=1e-6)


def test_the_normaliser_is_frozen_during_an_iteration_and_holds_every_earlier_pair(hopper):
    assert float(hopper[0].normaliser.observation.count) == 256  # the warm-up batch
    assert float(hopper[2].normaliser.observation.count) == 3 * 256
    seen = np.concatenate([hopper[0].trajectory.obs.reshape(-1, 11), hopper[1].trajectory.obs.reshape(-1, 11)])
    first, last = hopper[0].normaliser.observation, hopper[2].normaliser.observation
    expected = (256 * np.asarray(first.mean) + seen.sum(0, dtype=np.float64)) / 768
    np.testing.assert_allclose(last.mean, expected, rtol=1e-10)


@pytest.mark.parametrize("algorithm", [Trpo(delta=0.05), Ppo()])
def test_the_same_seed_gives_the_same_bits(algorithm, hopper):
    config = small(algorithm=algorithm)
    first = hopper if config == small() else list(iterations(config))
    for a, b in zip(first, iterations(config), strict=True):
        same(a._replace(moving=a.moved, seconds={}), b._replace(moving=b.moved, seconds={}))


def test_another_seed_gives_another_policy_and_other_states(hopper, seed_one):
    assert not np.array_equal(seed_one.before.theta, hopper[0].before.theta)
    assert not np.isin(seed_one.trajectory.obs[0], hopper[0].trajectory.obs[0]).all(axis=1).any()


# On Hopper too, from files: test_a_run_interrupted_by_ctrl_c_goes_on_to_the_same_end of launch/test_train.
@pytest.mark.parametrize("env", ["CartPole-v1", lq.TASK])
def test_going_on_from_a_state_equals_never_having_stopped(env):
    config = small(env=env, iterations=4, code_level=CodeLevel(reward_scaling="returns"))
    whole = list(iterations(config))
    rest = list(iterations(config, whole[1].state))
    assert [iteration.index for iteration in rest] == [2, 3]
    for a, b in zip(whole[2:], rest, strict=True):
        same(a._replace(moving=a.moved, seconds={}), b._replace(moving=b.moved, seconds={}))


def test_seeds_zero_and_one_share_no_environment_stream(hopper, seed_one):
    streams = [seeds.environments(seed, "environments", 32) for seed in (0, 1)]
    assert len({*streams[0], *streams[1]}) == 64
    starts = [first.trajectory.obs.reshape(-1, 11) for first in (hopper[0], seed_one)]
    rows = [{row.tobytes() for row in start} for start in starts]
    assert not rows[0] & rows[1]


@pytest.mark.parametrize(("env", "algorithm"), [
    ("CartPole-v1", Trpo()), ("CartPole-v1", Ppo()), ("Pendulum-v1", Ppo()), (lq.TASK, Ppo(shared_weights=True)),
    ("CartPole-v1", Ppo(shared_weights=True))])
def test_discrete_and_continuous_tasks_train_with_either_algorithm_and_shared_weights(env, algorithm):
    last = list(iterations(small(env=env, algorithm=algorithm, iterations=2)))[-1]
    assert np.isfinite(last.update.learner.theta).all()
    assert not np.array_equal(last.update.learner.theta, last.before.theta)
    if getattr(algorithm, "shared_weights", False):
        np.testing.assert_array_equal(last.update.learner.theta, last.update.learner.phi)


def test_without_carry_over_every_batch_begins_with_start_states():
    config = small(rollout=Rollout(num_steps=256, num_envs=8, carry_over=False))
    assert all((iteration.trajectory.episode_step[0] == 0).all() for iteration in iterations(config))


def test_with_carry_over_episodes_go_on():
    config = small(env="Pendulum-v1")  # 200 steps an episode: after 32 + 32 all are under way
    second = list(iterations(config))[1]
    assert (second.trajectory.episode_step[0] == 64).all()


def test_bootstrapping_adds_the_successors_value_where_the_time_limit_cuts():
    terminal, bootstrap = (
        next(iter(iterations(small(env=lq.TASK, rollout=Rollout(num_steps=256, num_envs=8, time_limit=how)))))
        for how in ("terminal", "bootstrap"))
    same(terminal.trajectory, bootstrap.trajectory)
    difference = np.asarray(bootstrap.batch.advantages - terminal.batch.advantages).reshape(32, 8)
    at_the_limit = terminal.trajectory.truncated
    # Â at the cut row differs by exactly γ V(s'): the successor's value that the other convention leaves out
    agent = Agent(small(env=lq.TASK), describe(lq.TASK))
    from tfpg.envs.transforms import normalise_observation

    successors = normalise_observation(terminal.trajectory.successors[at_the_limit], terminal.normaliser.observation, CodeLevel())
    expected = 0.99 * np.asarray(agent.value(terminal.before.phi, successors))
    np.testing.assert_allclose(difference[at_the_limit], expected, rtol=1e-4, atol=1e-6)


def test_returns_as_value_targets_come_with_the_time_as_an_input():
    config = small(env=lq.TASK, value=Value(epochs=2, minibatches=4, target="returns"))
    batch = next(iter(iterations(config))).batch
    assert batch.critic_obs.shape == (256, 2)
    time = np.asarray(batch.critic_obs)[:, 1].reshape(32, 8)
    np.testing.assert_allclose(time[:9, 0] * lq.HORIZON, [0, 1, 2, 3, 4, 5, 6, 7, 0], atol=1e-5)


@functools.cache
def _end(level):
    return list(iterations(small(algorithm=Ppo(), code_level=CodeLevel(**dict(level)))))[-1].update.learner


@pytest.mark.parametrize("field", [
    {"value_clip": 0.01}, {"reward_scaling": "returns"}, {"reward_scaling": "rewards"}, {"initialisation": "orthogonal"},
    {"initialisation": "normal"}, {"anneal": True}, {"reward_scaling": "returns", "reward_clip": 0.01},
    {"observation_normalisation": False}, {"observation_clip": 0.1}, {"activation": "relu"}, {"gradient_clip": 1e-3}])
def test_each_code_level_optimisation_changes_the_run(field):
    # the last of 3 iterations: annealing begins to act in the second, clipping of V after its first step
    base = {"reward_scaling": field["reward_scaling"]} if "reward_clip" in field else {}
    ends = [_end(tuple(level.items())) for level in (base, field)]
    assert not np.array_equal(ends[0].phi, ends[1].phi)


def test_reward_clip_without_scaling_is_the_identity():
    off, on = (next(iter(iterations(small(code_level=CodeLevel(reward_clip=clip))))) for clip in (None, 0.01))
    same(off.update.learner, on.update.learner)


def test_nothing_is_traced_again_over_many_updates_and_memory_stays_flat():
    traces, memory = [], []
    config = small(iterations=60, env="CartPole-v1", algorithm=Ppo())
    from tfpg.training import Training

    with Training(config) as training:
        for iteration in training:
            traces.append((training.agent.traces, training.sampler.traces))
            if iteration.index in (10, 59):
                pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
                memory.append(pages * resource.getpagesize() / 2**20)
    assert set(traces[1:]) == {traces[1]}
    assert memory[1] - memory[0] < 30  # MB over 50 updates


def test_a_non_finite_loss_stops_the_run_naming_iteration_and_cause():
    config = small(env=lq.TASK, value=Value(epochs=2, minibatches=4, step_size=1e30))
    with pytest.raises(RunError, match=r"iteration 0: .* not finite"):
        list(iterations(config))


def test_the_measured_return_and_gradient_are_those_of_the_linear_quadratic_task():
    # Linear policy, V = 0, γ = λ = 1, whole episodes: E[(1/B) Σ Â ∇log π] = ∇J / HORIZON
    config = Config(
        env=lq.TASK, algorithm=Trpo(advantage_norm="none"), network=Network(hidden=(), initial_log_std=-0.5),
        advantages=Advantages(gamma=1.0, lam=1.0), code_level=CodeLevel(observation_normalisation=False, activation="relu"),
        rollout=Rollout(num_steps=512, num_envs=64), runtime=Runtime(xla=False),
        value=Value(epochs=1, minibatches=1), total_steps=512)
    task = describe(config.env)
    agent = Agent(config, task)
    theta = tf.constant([-0.4, 0.3, -0.5])  # w, b, log σ
    learner = agent.initial()._replace(theta=theta, phi=tf.zeros([2]))
    normaliser = agent.empty_normaliser()
    sampler = Sampler(task, seeds.environments(0, "environments", 64), threads=1, patience=60)
    gradients, returns = [], []
    for k in range(60):
        trajectory, episodes = sampler.collect(agent.act, 8, agent.noise(k, 8), theta, normaliser)
        gradients.append(agent.learn_policy(learner, agent.prepare(learner, normaliser, trajectory), 0)[0].gradient.numpy())
        returns.append(episodes.returns.mean())
    sampler.close()
    exact = [tf.Variable(x, dtype=tf.float64) for x in (-0.4, 0.3, np.exp(-0.5))]
    with tf.GradientTape() as tape:
        j = lq.mean_return(*exact)
    dw, db, dstd = tape.gradient(j, exact)
    truth = np.array([dw, db, dstd * np.exp(-0.5)]) / lq.HORIZON
    z = (np.mean(gradients, 0) - truth) / (np.std(gradients, 0, ddof=1) / np.sqrt(60))
    assert (np.abs(z) < 4).all(), (np.mean(gradients, 0), truth)
    assert abs(np.mean(returns) - float(j)) < 4 * np.std(returns, ddof=1) / np.sqrt(60)
