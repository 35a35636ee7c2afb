"""The update repeated afterwards: the stored one bit for bit, and others as the algorithm would have made them."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests import linear_quadratic as lq
from tfpg import checkpoint, snapshot
from tfpg.algos import steps
from tfpg.config import CodeLevel, Config, Network, Ppo, Rollout, Runtime, Trpo, Value
from tfpg.diagnostics import probe as probes
from tfpg.diagnostics import updates
from tfpg.errors import RunError, UserError
from tfpg.objectives import normalised, ratios, surrogate
from tfpg.training import Training
from tfpg.types import Trajectory

T, N, K = 32, 8, 2  # pairs of an update: 256; the iteration that is saved: optimisers have moved, δ and step sizes too
ANNEALED = CodeLevel(reward_scaling="returns", reward_clip=10.0, anneal=True, value_clip=0.2, gradient_clip=0.5,
                     observation_clip=10.0)
RUNS = {
    "trpo": Config(env="Hopper-v5", algorithm=Trpo(delta=0.05, delta_final=0.01, fisher_fraction=1.0)),
    "ppo": Config(env="Hopper-v5", algorithm=Ppo(epochs=2, minibatches=4, entropy_coefficient=0.01), code_level=ANNEALED),
    "trpo, discrete": Config(env="CartPole-v1", algorithm=Trpo(fisher_fraction=0.5)),
    "ppo, discrete": Config(env="CartPole-v1", algorithm=Ppo(epochs=2, minibatches=4)),
    "ppo, shared": Config(env="Pendulum-v1", algorithm=Ppo(
        epochs=2, minibatches=4, shared_weights=True, advantage_norm="batch")),
    "trpo, returns": Config(env=lq.TASK, algorithm=Trpo(), value=Value(target="returns"),
                            rollout=Rollout(time_limit="bootstrap")),
    "trpo, xla": Config(env=lq.TASK, algorithm=Trpo(), runtime=Runtime(xla=True)),
    "ppo, xla": Config(env=lq.TASK, algorithm=Ppo(epochs=2, minibatches=4), runtime=Runtime(xla=True)),
}


# XLA compiles each algorithm's update for seconds: TRPO's every time, PPO's in the long tier.
EVERY = [pytest.param(name, marks=pytest.mark.long) if name == "ppo, xla" else name for name in RUNS]


def small(name):
    """A run of three iterations; XLA only where it is what is asked about."""
    of, base = dataclasses.replace, RUNS[name]
    return of(base, seed=3, total_steps=(K + 1) * T * N, network=Network(hidden=(16,)),
              rollout=of(base.rollout, num_steps=T * N, num_envs=N), value=of(base.value, epochs=2, minibatches=4),
              runtime=Runtime(xla="xla" in name))


@pytest.fixture(scope="module")
def probe_of(tmp_path_factory):
    """Probes of real runs, each trained once."""
    made = {}

    def get(name):
        if name not in made:
            path, config = tmp_path_factory.mktemp("policies") / f"{K:06}", small(name)
            with Training(config) as training:
                iteration = list(training)[-1]
                snapshot.Writer(config, training.task, training.agent.policy, training.agent.value).save(path, iteration)
            made[name] = probes.load(path)
        return made[name]

    return get


@pytest.fixture(scope="module")
def repeater_of(probe_of):
    made = {}
    return lambda name: made.setdefault(name, updates.Repeater(probe_of(name)))


def twice(trajectory):
    """The same pairs two times over, side by side: [T, 2N, …]."""
    return Trajectory(*(np.concatenate([x, x], axis=1) for x in trajectory))


def rows(trajectory, select):
    return Trajectory(*(x[select] for x in trajectory))


def with_algorithm(probe, **changes):
    """The probe as if its algorithm had been another."""
    algorithm = dataclasses.replace(probe.config.algorithm, **changes)
    return probe._replace(config=dataclasses.replace(probe.config, algorithm=algorithm))


# --- the stored update ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
def test_the_stored_batch_is_what_becomes_of_the_stored_trajectory(name, probe_of, repeater_of):
    probe, batch = probe_of(name), repeater_of(name).prepare(probe_of(name).trajectory)
    assert checkpoint.digest(checkpoint.named(batch)) == checkpoint.digest(checkpoint.named(probe.batch))


@pytest.mark.parametrize("name", EVERY)
def test_the_stored_update_repeated_from_its_own_pairs_is_the_stored_step_bit_for_bit(name, probe_of, repeater_of):
    probe = probe_of(name)
    again = repeater_of(name)(probe.trajectory, updates.training_stream(probe))
    np.testing.assert_array_equal(again.step.theta_next, probe.theta_next)
    np.testing.assert_array_equal(again.proposed.theta_next, probe.theta_proposed)
    assert again.step.accepted == updates.stored(probe).accepted
    assert again.step.norm > 0


@pytest.mark.parametrize("name", ["trpo", "ppo"])
def test_one_step_along_the_stored_direction_is_the_next_policy(name, probe_of):
    probe = probe_of(name)
    for made, theta in ((updates.stored(probe), probe.theta_next), (updates.proposed(probe), probe.theta_proposed)):
        np.testing.assert_array_equal((probe.theta + made.step).astype(np.float32), theta)
        assert made.norm == pytest.approx(np.linalg.norm(made.step))
        assert (made.pairs, made.accepted) == (T * N, True)


def test_a_refused_step_has_norm_zero_and_the_proposed_one_can_be_had(probe_of):
    probe = probe_of("trpo")
    # One trial, so long that the surrogate cannot rise by all of what the gradient promises.
    refusing = with_algorithm(probe._replace(schedule={"delta": 10.0}), accept_ratio=0.9999, backtracks=1)
    again = updates.Repeater(refusing)(probe.trajectory, updates.training_stream(probe))
    assert not again.step.accepted and again.step.norm == 0
    assert not again.proposed.accepted
    # β = √(2δ / dᵀ(F + c I) d): the direction is that of the stored step, the length grows with the root of δ
    longer = np.sqrt(10 / probe.schedule["delta"]) * updates.proposed(probe).step
    np.testing.assert_allclose(again.proposed.step, longer, rtol=1e-3, atol=1e-5)
    kept = updates.stored(probe._replace(theta_next=probe.theta))
    assert not kept.accepted and kept.norm == 0


# --- other pairs, other chance --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["trpo, discrete", "ppo"])
def test_what_chance_decides_depends_on_seed_and_repeat_alone(name, probe_of, repeater_of):
    probe, repeater = probe_of(name), repeater_of(name)

    def made(seed, repeat):
        return repeater(probe.trajectory, updates.stream(probe, seed=seed, repeat=repeat)).step.theta_next

    first, other, later, again = made(0, 0), made(0, 1), made(1, 0), made(0, 0)
    np.testing.assert_array_equal(first, again)
    for a, b in ((first, other), (first, later), (first, probe.theta_next)):
        assert not np.array_equal(a, b)
        # the same pairs still: the steps differ by chance, they do not point elsewhere
        u, v = a - probe.theta, b - probe.theta
        assert u @ v > 0.5 * np.linalg.norm(u) * np.linalg.norm(v)


@pytest.mark.parametrize("name", ["trpo, discrete", "ppo"])
def test_many_updates_are_traced_once_for_each_number_of_pairs(name, probe_of, repeater_of):
    probe, repeater = probe_of(name), repeater_of(name)
    repeater(probe.trajectory, updates.training_stream(probe))
    made, before = set(), repeater.traces
    for repeat in range(64):
        made.add(repeater(probe.trajectory, updates.stream(probe, seed=0, repeat=repeat)).step.theta_next.tobytes())
    assert len(made) == 64
    assert repeater.traces == before
    fewer = rows(probe.trajectory, slice(0, 15))
    for repeat in range(2):
        repeater(fewer, updates.stream(probe, seed=0, repeat=repeat))
    assert repeater.traces == before + 2  # batch and step


def test_the_same_pairs_twice_over_are_the_same_step_of_trpo(probe_of, repeater_of):
    # With all states in the Fisher matrix nothing is left to chance, and every mean over pairs is what it was.
    probe, repeater = probe_of("trpo"), repeater_of("trpo")
    once, double = (repeater(pairs, updates.stream(probe, seed=0, repeat=0))
                    for pairs in (probe.trajectory, twice(probe.trajectory)))
    assert (once.step.pairs, double.step.pairs) == (T * N, 2 * T * N)
    assert np.linalg.norm(double.step.step - once.step.step) < 1e-2 * once.step.norm  # float32 through ten CG iterations


@pytest.mark.parametrize(("minibatches", "pairs", "expected"), [
    ("same size", 512, 8),  # 64 in each of training's 4
    ("same number", 250, 4), ("same size", 250, 3)])  # 250 = 4·62 + 2 = 3·64 + 58: the rest sits out
def test_minibatches_keep_their_number_or_their_size(minibatches, pairs, expected, probe_of):
    probe = probe_of("ppo, discrete")
    stream_of_pairs = Trajectory(*(x.reshape(-1, 1, *x.shape[2:])[:pairs] for x in twice(probe.trajectory)))
    again = updates.Repeater(probe, minibatches=minibatches)(stream_of_pairs, updates.stream(probe, seed=0, repeat=0))
    taken = float(again.update.slots.count - probe.policy_slots.count)
    assert taken == 2 * expected  # 2 epochs
    assert again.step.pairs == pairs


def test_the_pairs_that_sit_out_do_not_move_the_policy(probe_of):
    # Advantages left as they are: a pair is then seen through its minibatch alone.
    probe = with_algorithm(probe_of("ppo, discrete"), epochs=1, advantage_norm="none")
    pool = Trajectory(*(x[:31, :1] for x in probe.trajectory))  # 31 = 4·7 + 3
    order = steps.draws(probe.config.algorithm, 31, updates.stream(probe, seed=0, repeat=0))[0]
    out = np.setdiff1d(np.arange(31), order)
    repeater = updates.Repeater(probe)
    theta = repeater(pool, updates.stream(probe, seed=0, repeat=0)).step.theta_next
    for row, moves in ((out[0], False), (order[0], True)):
        actions = pool.actions.copy()
        actions[row] = 1 - actions[row]
        changed = repeater(pool._replace(actions=actions), updates.stream(probe, seed=0, repeat=0)).step.theta_next
        assert np.array_equal(changed, theta) != moves


# --- pools of whole episodes ----------------------------------------------------------------------------------------


def test_in_a_pool_each_episode_is_judged_by_itself(probe_of, repeater_of):
    probe, repeater = probe_of("trpo, returns"), repeater_of("trpo, returns")
    # Episodes of the linear quadratic task last 8 steps; 32 rows of 8 environments hold 4 each.
    episodes = [rows(probe.trajectory, (slice(start, start + 8), slice(n, n + 1))) for n in range(3) for start in (0, 8)]
    assert all(episode.truncated[-1, 0] for episode in episodes)
    pool = Trajectory(*(np.concatenate(parts)[:43] for parts in zip(*episodes, strict=True)))  # the last cut after 3 steps
    together = repeater.prepare(pool)
    alone = [repeater.prepare(episode) for episode in (*episodes[:-1], rows(episodes[-1], slice(0, 3)))]
    for name in together._fields:
        expected = np.concatenate([getattr(batch, name) for batch in alone])
        np.testing.assert_allclose(getattr(together, name), expected, rtol=1e-5, atol=1e-6, err_msg=name)
    assert repeater(pool, updates.stream(probe, seed=0, repeat=0)).step.norm > 0


@pytest.mark.parametrize("name", ["trpo, discrete", "ppo, shared", "trpo, returns"])
def test_every_kind_of_run_can_be_repeated_from_a_pool(name, probe_of, repeater_of):
    probe = probe_of(name)
    pool = Trajectory(*(x[:, :2].swapaxes(0, 1).reshape(-1, 1, *x.shape[2:])[:53] for x in probe.trajectory))
    again = repeater_of(name)(pool, updates.stream(probe, seed=0, repeat=0))
    assert again.step.pairs == len(again.batch.obs) == 53
    assert np.isfinite(again.step.norm)
    assert again.step.norm > 0 or not again.step.accepted
    assert again.proposed.norm > 0


# --- the gradient of the surrogate ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["trpo", "ppo, discrete", "ppo, shared"])
def test_the_gradient_is_the_slope_of_the_surrogate_in_every_direction(name, probe_of, monkeypatch):
    monkeypatch.setattr(updates, "CHUNK", 100)  # 256 = 100 + 100 + 56
    probe = probe_of(name)
    pi, batch = updates.networks_of(probe).policy, probe.batch
    theta, obs = probe.theta.astype(np.float64), tf.constant(batch.obs, tf.float64)
    actions = batch.actions if probe.task.discrete else batch.actions.astype(np.float64)
    advantages = normalised(tf.constant(batch.advantages, tf.float64), "batch")
    log_prob_old = pi(theta, obs).log_prob(actions)

    def value(at):
        return float(surrogate(ratios(pi(at, obs).log_prob(actions), log_prob_old), advantages))

    gradient = updates.surrogate_gradient(probe, batch)
    assert gradient.dtype == np.float64 and gradient.shape == probe.theta.shape
    draw = np.random.default_rng(0)
    for direction in (draw.normal(size=len(theta)), updates.stored(probe).step):
        direction = direction / np.linalg.norm(direction)
        h = 1e-4  # central differences are then right to about h² = 1e-8 of a third derivative
        slope = (value(theta + h * direction) - value(theta - h * direction)) / (2 * h)
        assert gradient @ direction == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_the_gradient_is_that_which_trpo_reports(probe_of, repeater_of):
    probe = probe_of("trpo")
    reported = repeater_of("trpo")(probe.trajectory, updates.training_stream(probe)).update.gradient
    gradient = updates.surrogate_gradient(probe, probe.batch)
    assert np.linalg.norm(reported - gradient) < 1e-4 * np.linalg.norm(gradient)  # float32 against float64


# --- what cannot be repeated ----------------------------------------------------------------------------------------


def test_too_few_pairs_and_unknown_minibatches_are_named(probe_of):
    probe = probe_of("ppo")
    pool = Trajectory(*(x[:7, :1] for x in probe.trajectory))
    with pytest.raises(UserError, match=r"from 7 pairs: its 4 minibatches need at least 8"):
        updates.Repeater(probe)(pool, updates.stream(probe, seed=0, repeat=0))
    with pytest.raises(UserError, match=r"from 7 pairs: its 1 minibatches need at least 64"):
        updates.Repeater(probe, minibatches="same size")(pool, updates.stream(probe, seed=0, repeat=0))
    with pytest.raises(UserError, match="minibatches=same sice is not known: did you mean same size"):
        updates.Repeater(probe, minibatches="same sice")


def test_a_network_of_another_size_is_named(probe_of):
    probe = probe_of("trpo")
    other = dataclasses.replace(probe.config, network=Network(hidden=(7,)))
    with pytest.raises(UserError, match=rf"holds {len(probe.theta)} and {len(probe.phi)} parameters"):
        updates.Repeater(probe._replace(config=other))


def test_what_is_not_finite_is_named(probe_of, repeater_of):
    probe = probe_of("trpo")
    rewards = probe.trajectory.rewards.copy()
    rewards[5, 2] = np.nan
    with pytest.raises(RunError, match="repeated from 256 pairs: an advantage is not finite"):
        repeater_of("trpo")(probe.trajectory._replace(rewards=rewards), updates.training_stream(probe))
    probe = probe_of("ppo, discrete")
    probe = probe._replace(schedule={**probe.schedule, "policy_step_size": 1e38})
    with pytest.raises(RunError, match="the policy's objective or its gradient is not finite"):
        updates.Repeater(probe)(probe.trajectory, updates.training_stream(probe))
