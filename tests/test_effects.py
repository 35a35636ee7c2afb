"""Does each setting do what its line in config.py says? One property each, on data small enough to work out by hand.

Optimisations at code level have their tests in test_training, transforms and objectives; these are all the others."""

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.algos.bandits import gaussian_bandit, linear_gaussian, random_batch
from tfpg import runtime
from tfpg.algos.agent import Agent
from tfpg.algos.trpo import trpo_update
from tfpg.clock import Clock
from tfpg.config import Advantages, CodeLevel, Config, Network, Optimiser, Ppo, Rollout, Runtime, Trpo, Value
from tfpg.envs.make import Task
from tfpg.errors import UserError
from tfpg.training import iterations
from tfpg.types import RunState, Trajectory

# No environment is stepped: trajectories are written down below. S = 2, A = 1, T = 4, N = 2.
TASK = Task("hand-made", (), obs_size=2, discrete=False, action_size=1, action_start=0, time_limit=10, engine="gymnasium")
SIZE = 8
SGD, ONE_STEP = Optimiser(kind="sgd"), Value(step_size=0.1, epochs=1, minibatches=1)
# Linear nets on raw observations: V(s) = w·s + b with φ = (w, b), so values and gradients are sums by hand.
HAND = Config(
    total_steps=4 * SIZE, rollout=Rollout(num_steps=SIZE, num_envs=2), network=Network(hidden=()), value=ONE_STEP, optimiser=SGD,
    code_level=CodeLevel(observation_normalisation=False), runtime=Runtime(xla=False))
PHI = np.array([1.0, -0.5, 2.0])
DRAW = np.random.default_rng(0)
OBS, SUCCESSORS = DRAW.normal(size=(2, 4, 2, 2)).astype(np.float32)  # a successor is no row of OBS: every state is its own
REWARDS = DRAW.normal(size=(4, 2)).astype(np.float32)
NEVER = np.zeros((4, 2), bool)
# environment 0 ends at t = 1 for good; environment 1 is cut by the clock at t = 3, the batch's last row
TERMINATED = np.array([[0, 0], [1, 0], [0, 0], [0, 0]], bool)
TRUNCATED = np.array([[0, 0], [0, 0], [0, 0], [0, 1]], bool)


@pytest.fixture(autouse=True)
def eager(request):
    """Traced, each of these single updates would take a second or two. XLA's test asks for graphs, as real runs do."""
    tf.config.run_functions_eagerly("xla" not in request.node.name)
    yield
    tf.config.run_functions_eagerly(False)


def of(**settings):
    return dataclasses.replace(HAND, **settings)


def v(obs):
    """V(s) = w·s + b."""
    return obs @ PHI[:2] + PHI[2]


@functools.cache
def agent_of(config):
    return Agent(config, TASK)


def trajectory(terminated=NEVER, truncated=NEVER):
    actions = np.random.default_rng(1).normal(size=(4, 2, 1)).astype(np.float32)
    steps = np.repeat(np.arange(4, dtype=np.int32)[:, None], 2, 1)
    return Trajectory(*map(tf.constant, (OBS, actions, REWARDS, terminated, truncated, SUCCESSORS, steps)))


def prepared(config, *ends):
    """The batch, under V = w·s + b."""
    agent = agent_of(config)
    learner = agent.initial()._replace(phi=tf.constant(PHI, tf.float32))
    return agent.prepare(learner, agent.empty_normaliser(), trajectory(*ends))


def advantages(config, *ends):
    return np.asarray(prepared(config, *ends).advantages).reshape(4, 2)


def learned(config, k=0):
    """One update of the initial learner by the hand-made trajectory: (learner before, batch, Update)."""
    agent = agent_of(config)
    learner = agent.initial()
    normaliser, collected = agent.empty_normaliser(), trajectory()
    batch = agent.prepare(learner, normaliser, collected)
    state = RunState(k, 0, learner, normaliser, tf.zeros([2], tf.float64), engine=None)
    return learner, batch, agent.learn(state, collected, batch, Clock()).update


def value_change(config):
    """φ_1 − φ_0, and the gradient of E[(V − V_targ)²] at φ_0: (2/B) Σ (V − V_targ) (s, 1)."""
    learner, batch, update = learned(config)
    inputs = np.column_stack([batch.obs, np.ones(SIZE)])
    gradient = 2 / SIZE * (np.asarray(batch.values) - np.asarray(batch.value_targets)) @ inputs
    return np.asarray(update.learner.phi) - np.asarray(learner.phi), gradient


# --- advantages -----------------------------------------------------------------------------------------------------


def test_gamma_zero_leaves_the_reward_less_the_state_value():
    config = of(advantages=Advantages(gamma=0.0, lam=0.95))
    np.testing.assert_allclose(advantages(config, TERMINATED, TRUNCATED), REWARDS - v(OBS), rtol=1e-5, atol=1e-6)


def test_lam_zero_leaves_the_td_error():
    config = of(advantages=Advantages(gamma=0.9, lam=0.0))
    # by default an episode that the clock cuts has V = 0 after it, as one that ends
    following = np.where(TERMINATED | TRUNCATED, 0, v(SUCCESSORS))
    expected = REWARDS + 0.9 * following - v(OBS)
    np.testing.assert_allclose(advantages(config, TERMINATED, TRUNCATED), expected, rtol=1e-5, atol=1e-6)


def test_lam_weighs_the_td_errors_that_follow_by_powers_of_gamma_lam():
    td_errors = REWARDS + 0.9 * v(SUCCESSORS) - v(OBS)
    powers = 0.45 ** np.arange(4)[:, None]  # (γλ)^k with γ = .9, λ = .5
    expected = [(powers[:4 - t] * td_errors[t:]).sum(0) for t in range(4)]
    np.testing.assert_allclose(advantages(of(advantages=Advantages(gamma=0.9, lam=0.5))), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("ends", "time_limit"), [((NEVER, NEVER), "terminal"), ((NEVER, TRUNCATED), "bootstrap")])
def test_the_last_row_of_a_batch_bootstraps_from_its_true_successor(ends, time_limit):
    # the authors took V of the last state itself, V(s_T−1), for that of its successor
    config = of(rollout=dataclasses.replace(HAND.rollout, time_limit=time_limit), advantages=Advantages(gamma=0.9, lam=0.5))
    last = advantages(config, *ends)[-1]
    np.testing.assert_allclose(last, REWARDS[-1] + 0.9 * v(SUCCESSORS[-1]) - v(OBS[-1]), rtol=1e-5, atol=1e-6)
    assert (np.abs(v(SUCCESSORS[-1]) - v(OBS[-1])) > 0.01).all()  # the two can be told apart


def test_gamma_discounts_the_returns_that_rewards_are_scaled_by():
    agent = agent_of(of(advantages=Advantages(gamma=0.5)))
    # R_t = r_t + ½ R_{t−1}, from an accumulator of 1
    running, discounted = np.ones(2), []
    for row in REWARDS.astype(np.float64):
        running = row + 0.5 * running
        discounted.append(running)
    normaliser, accumulators = agent.observe(agent.empty_normaliser(), tf.ones([2], tf.float64), trajectory())
    assert float(normaliser.reward.mean) == pytest.approx(np.mean(discounted))
    np.testing.assert_allclose(accumulators, running)


# --- the value net --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step_size", [0.1, 0.3])
def test_a_step_of_sgd_is_the_value_step_size_times_the_gradient(step_size):
    change, gradient = value_change(of(value=dataclasses.replace(ONE_STEP, step_size=step_size)))
    np.testing.assert_allclose(change, -step_size * gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("epsilon", [1e-5, 1.0])
def test_the_first_step_of_adam_is_its_sign_or_with_a_large_epsilon_less(epsilon):
    change, gradient = value_change(of(optimiser=Optimiser(kind="adam", adam_epsilon=epsilon)))
    # m̂ = g and v̂ = g² after one step: the change is −α g / (|g| + ε), α times the sign as ε → 0
    np.testing.assert_allclose(change, -0.1 * gradient / (np.abs(gradient) + epsilon), rtol=1e-4)


def test_the_gradient_clip_acts_on_the_value_net_of_trpo():
    free, gradient = value_change(HAND)
    clipped, _ = value_change(of(code_level=dataclasses.replace(HAND.code_level, gradient_clip=0.01)))
    assert np.linalg.norm(gradient) > 0.01
    assert np.linalg.norm(clipped) == pytest.approx(0.1 * 0.01, rel=1e-4)  # α · clip
    np.testing.assert_allclose(clipped / np.linalg.norm(clipped), free / np.linalg.norm(free), rtol=1e-3)


def test_epochs_and_minibatches_of_each_net_are_its_own():
    algorithm = Ppo(epochs=2, minibatches=2)
    slots = learned(of(algorithm=algorithm, value=Value(epochs=3, minibatches=4)))[2].learner
    assert float(slots.policy_slots.count) == 2 * 2
    assert float(slots.value_slots.count) == 3 * 4


@pytest.mark.parametrize("coefficient", [0.0, 0.7])
def test_the_value_coefficient_is_the_share_of_the_value_loss_in_the_shared_step(coefficient):
    algorithm = Ppo(step_size=0.1, epochs=1, minibatches=1, shared_weights=True, value_coefficient=coefficient)
    config = of(algorithm=algorithm)
    _, batch, update = learned(config)
    residual = np.asarray(batch.values) - np.asarray(batch.value_targets)
    inputs = np.column_stack([batch.obs, np.ones(SIZE)])
    # without hidden layers only the head moves V: by −α c (2/B) Σ (V − V_targ) (s, 1), and for c = 0 by nothing at all
    change = -0.1 * coefficient * 2 / SIZE * residual @ inputs
    np.testing.assert_allclose(update.values_after - batch.values, inputs @ change, rtol=1e-3, atol=1e-6)
    if coefficient == 0:
        np.testing.assert_array_equal(update.values_after, agent_of(config).value(agent_of(config).initial().phi, batch.obs))


# --- TRPO -----------------------------------------------------------------------------------------------------------

PI, PI_SIZE = linear_gaussian(3, 2)


def linear_step(trpo, *, fisher_obs=None, delta=0.01, seed=0):
    """One eager step of a linear Gaussian policy; returns (θ_old, batch, update)."""
    theta = tf.constant(0.3 * np.random.default_rng(seed).normal(size=PI_SIZE))
    batch = random_batch(seed, PI, theta, 40, 3)
    fisher_obs = batch.obs if fisher_obs is None else fisher_obs(batch.obs)
    return theta, batch, trpo_update(PI, theta, batch, fisher_obs, delta=tf.constant(delta, tf.float64), trpo=trpo)


def dense_fisher(theta, obs):
    """F of Normal(Ws, σ²): E[ssᵀ] ⊗ diag(1/σ²) for W, 2 for each log σ."""
    fisher = 2 * np.eye(PI_SIZE)
    fisher[:6, :6] = np.kron(obs.T @ obs / len(obs), np.diag(np.exp(-2 * theta[6:])))
    return fisher


def along(update, theta):
    """The direction of the full step, of length 1."""
    step = np.asarray(update.proposed - theta)
    return step / np.linalg.norm(step)


def test_one_iteration_of_conjugate_gradient_steps_along_the_gradient():
    theta, _, update = linear_step(Trpo(cg_iterations=1))
    gradient = update.gradient.numpy()
    np.testing.assert_allclose(along(update, theta), gradient / np.linalg.norm(gradient), rtol=1e-10)
    assert update.cg_residual > 0.01


def test_enough_iterations_of_conjugate_gradient_solve_for_the_natural_gradient():
    theta, batch, update = linear_step(Trpo(cg_iterations=PI_SIZE))
    damped = dense_fisher(theta.numpy(), batch.obs.numpy()) + 0.1 * np.eye(PI_SIZE)
    natural = np.linalg.solve(damped, update.gradient.numpy())
    np.testing.assert_allclose(along(update, theta), natural / np.linalg.norm(natural), rtol=1e-4, atol=1e-6)
    assert update.cg_residual < 1e-4


def test_the_fisher_matrix_is_that_of_the_states_given_for_it():
    theta, batch, update = linear_step(Trpo(cg_iterations=PI_SIZE), fisher_obs=lambda obs: obs[:7])
    damped = dense_fisher(theta.numpy(), batch.obs.numpy()[:7]) + 0.1 * np.eye(PI_SIZE)
    natural = np.linalg.solve(damped, update.gradient.numpy())
    np.testing.assert_allclose(along(update, theta), natural / np.linalg.norm(natural), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("fraction", "size"), [(0.1, 26), (0.5, 128), (1.0, 256), (1e-4, 1)])  # of 256, one at least
def test_the_fisher_fraction_is_the_share_of_the_batch_drawn_anew_each_iteration(fraction, size):
    agent = agent_of(of(algorithm=Trpo(fisher_fraction=fraction), total_steps=256, rollout=Rollout(num_steps=256, num_envs=8)))
    first, second = agent._draws(0).numpy(), agent._draws(1).numpy()
    assert len(first) == len(set(first)) == size
    assert set(first) <= set(range(256))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("ratio", [0.5, 0.8])
def test_each_backtrack_shortens_the_step_by_the_ratio(ratio):
    # F from states of a quarter of the size promises a KL far below the true one, so that first trials are refused
    trpo = Trpo(backtrack_ratio=ratio, backtracks=30)
    _, _, update = linear_step(trpo, fisher_obs=lambda obs: obs / 4)
    assert update.accepted
    assert update.backtracks > 0
    assert float(update.accepted_fraction) == pytest.approx(ratio ** int(update.backtracks), rel=1e-12)
    assert update.applied_kl <= 0.01 < update.rejected_kl  # the first trial that keeps the bound


def test_backtracks_limit_the_trials():
    # as above, eight tenths at a time, but twice only: not enough
    theta, _, update = linear_step(Trpo(backtrack_ratio=0.8, backtracks=2), fisher_obs=lambda obs: obs / 4)
    assert not update.accepted
    assert update.backtracks == 2
    np.testing.assert_array_equal(update.theta, theta)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_the_advantages_of_trpo_are_standardised_over_the_batch_or_left_as_they_are(norm):
    pi, theta = gaussian_bandit((1.0, 1.0)), tf.constant([0.3, -1.0], tf.float64)
    batch = random_batch(0, pi, theta, 50, 1)
    scaled = batch._replace(advantages=5 * batch.advantages + 3)
    found = [trpo_update(pi, theta, b, b.obs, delta=tf.constant(0.01, tf.float64), trpo=Trpo(advantage_norm=norm)).gradient
             for b in (batch, scaled)]
    # g = E[Â (a − θ)] for std 1
    score, a = batch.actions.numpy() - theta.numpy(), batch.advantages.numpy()
    if norm == "batch":
        expected = [np.mean(((a - a.mean()) / a.std())[:, None] * score, axis=0)] * 2  # neither scale nor shift is seen
    else:
        expected = [np.mean(x[:, None] * score, axis=0) for x in (a, 5 * a + 3)]
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_delta_final_bounds_the_last_step_and_not_the_first():
    config = of(algorithm=Trpo(delta=0.1, delta_final=1e-3, damping=0.0, fisher_fraction=1.0, advantage_norm="none"))
    assert config.num_iterations == 4
    first, last = (learned(config, k)[2] for k in (0, 3))
    for update, delta in ((first, 0.1), (last, 1e-3)):
        assert update.policy.accepted
        assert 0 < float(update.policy.applied_kl) <= delta
        # undamped and solved, ½ sᵀFs of the full step s is δ, and that of its part f is f² δ
        assert float(update.policy.predicted_kl / update.policy.accepted_fraction**2) == pytest.approx(delta, rel=1e-2)
    assert float(first.policy.applied_kl) > 1e-3


# --- networks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hidden", "trunk"), [((), []), ((5, 3), [(2, 5), (5,), (5, 3), (3,)])])
def test_hidden_is_the_size_of_the_layers_of_both_nets(hidden, trunk):
    agent = agent_of(of(network=Network(hidden=hidden)))
    head = [((2, *hidden)[-1], 1), (1,)]
    assert list(agent.value.layout.shapes) == trunk + head
    assert sorted(agent.policy.layout.shapes) == sorted([*trunk, *head, (1,)])  # and log σ
    assert agent.initial().theta.shape == (agent.policy.layout.size,)


@pytest.mark.parametrize("log_std", [0.0, -1.5])
def test_a_gaussian_policy_begins_with_the_initial_log_std(log_std):
    agent = agent_of(of(network=Network(hidden=(), initial_log_std=log_std)))
    theta = agent.initial().theta
    assert float(agent.policy.mean_std(theta)) == pytest.approx(np.exp(log_std))
    states = tf.constant(OBS[0])
    # a − mean = std · noise
    spread = agent.policy.act(theta, states, tf.ones([2, 1])) - agent.policy.act(theta, states, tf.zeros([2, 1]))
    np.testing.assert_allclose(spread, np.full((2, 1), np.exp(log_std)), rtol=1e-6)


# --- collection and runtime -----------------------------------------------------------------------------------------


def test_num_steps_are_the_pairs_of_all_num_envs_together():
    config = of(env="CartPole-v1", total_steps=24, rollout=Rollout(num_steps=24, num_envs=3))
    iteration = next(iter(iterations(config)))
    assert iteration.trajectory.obs.shape == (8, 3, 4)  # T = 24 / 3
    assert iteration.batch.obs.shape == (24, 4)
    assert (iteration.steps, iteration.env_steps) == (24, 48)  # the warm-up batch counts as taken


@pytest.mark.parametrize("algorithm", [Trpo(), Ppo(epochs=2, minibatches=2)], ids=["trpo", "ppo"])
def test_xla_computes_the_same_update_to_rounding(algorithm):
    config = of(algorithm=algorithm, optimiser=Optimiser(), value=Value(epochs=2, minibatches=2))
    compiled = dataclasses.replace(config, runtime=Runtime(xla=True))
    (start, _, plain), (_, _, fast) = learned(config), learned(compiled)
    for program in ("_learn_policy", "_learn_value", *(["_look"] if isinstance(algorithm, Ppo) else [])):
        assert [bool(getattr(agent_of(c), program)._jit_compile) for c in (config, compiled)] == [False, True]
    for name in ("theta", "phi"):
        old, a, b = (np.asarray(getattr(learner, name)) for learner in (start, plain.learner, fast.learner))
        # of a step's length, float32 may lose four digits in TRPO's conjugate gradient
        assert np.linalg.norm(a - b) <= 1e-3 * np.linalg.norm(a - old)
        assert np.linalg.norm(a - old) > 0


@pytest.mark.parametrize("field", ["intra_op_threads", "inter_op_threads"])
def test_other_thread_counts_are_refused_once_tensorflow_runs(field):
    tf.zeros([]).numpy()  # it runs
    with pytest.raises(UserError, match=f"runtime.{field}=7"):
        runtime.start(Runtime(**{field: 7}))
    runtime.start(Runtime())  # those that it runs with are still right
