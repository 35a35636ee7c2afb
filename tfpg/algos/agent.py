"""How do models, estimators and update rules come together? The wiring of one run, and its compiled boundary.

Config stops here: below this file everything takes the settings it needs as arguments. Each method is one compiled
function of tensors; nothing is kept between calls."""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from tfpg import seeds
from tfpg.algos.critic import shared_value_update, value_objective, value_update
from tfpg.algos.ppo import REPORTED_EPSILON, ppo_update
from tfpg.algos.schedule import schedule
from tfpg.algos.trpo import trpo_update
from tfpg.config import Config, Ppo
from tfpg.envs.make import Task
from tfpg.envs.transforms import normalise_observation, reward_statistic, scale_rewards, time_feature
from tfpg.models import policy, shared, value
from tfpg.numerics import moments, optimisers, returns
from tfpg.objectives import entropy, trust_region
from tfpg.types import Batch, Learner, Normaliser, PpoUpdate, Tensor, Trajectory, Update


class Agent:
    """The pure functions of one run: act, prepare, update, observe."""

    def __init__(self, config: Config, task: Task):
        self.config, self.task = config, task
        self._timed = config.value.target == "returns"
        self.shared = isinstance(config.algorithm, Ppo) and config.algorithm.shared_weights  # θ and φ are one vector
        spaces = (task.obs_size, task.action_size, task.discrete)
        nets = (config.network, config.code_level, config.seed)
        if self.shared:
            self.policy, self.value = shared.build(*spaces, *nets)
        else:
            self.policy = policy.build(*spaces, *nets)
            self.value = value.build(task.obs_size + self._timed, *nets)
        compiled = functools.partial(tf.function, autograph=False)
        self._prepare, self._observe = compiled(self._prepared), compiled(self._observed)
        # Only here is there enough to do for XLA: it takes seconds to compile and makes the epochs three times faster.
        self._learn = compiled(self._learned, jit_compile=config.runtime.xla)

    def initial(self) -> Learner:
        """θ_0, φ_0 and optimisers that have not moved."""
        theta = tf.constant(self.policy.initial_theta())
        phi = theta if self.shared else tf.constant(self.value.initial_phi())
        return Learner(theta, phi, optimisers.start(theta), optimisers.start(phi))

    def empty_normaliser(self) -> Normaliser:
        """Statistics before any sample: the identity."""
        return Normaliser(moments.empty([self.task.obs_size]), moments.empty([]))

    def act(self, obs: Tensor, noise: Tensor, theta: Tensor, normaliser: Normaliser) -> Tensor:
        """a = π_θ(s) with the given noise; raw observations [N, S] → actions [N, A] or [N]. Traced into the rollout."""
        return self.policy.act(theta, normalise_observation(obs, normaliser.observation, self.config.code_level), noise)

    def noise(self, k: int, num_steps: int) -> Tensor:
        """The action noise of iteration k (−1: the warm-up batch), [T, N, …]."""
        seed = seeds.stateless(self.config.seed, "action_noise", k + 1)
        return self.policy.draw_noise(seed, [num_steps, self.config.rollout.num_envs])

    def prepare(self, learner: Learner, normaliser: Normaliser, trajectory: Trajectory) -> Batch:
        """The batch as the learner sees it: normalised, with advantages and value targets."""
        return self._prepare(learner.phi, normaliser, trajectory)

    def update(self, learner: Learner, batch: Batch, k: int) -> Update:
        """Iteration k's learning: the value net first, then the policy, on advantages already fixed."""
        planned = schedule(self.config, k)
        plan = {name: tf.constant(number, tf.float32) for name, number in planned.items()}
        order = None if self.shared else self._order("value_minibatches", k, self.config.value.epochs)
        learnt = self._learn(learner, batch, order, self._draws(k), plan)
        return learnt._replace(schedule=planned)

    def observe(
            self, normaliser: Normaliser, accumulators: Tensor, trajectory: Trajectory) -> tuple[Normaliser, Tensor]:
        """The statistics with a batch merged in, and the discounted accumulators [N] at its end."""
        return self._observe(normaliser, accumulators, trajectory)

    @property
    def traces(self) -> int:
        """How many times anything was traced: constant after the first iteration."""
        return sum(f.experimental_get_tracing_count() for f in (self._prepare, self._observe, self._learn))

    def _prepared(self, phi, normaliser, trajectory):
        config = self.config
        obs = normalise_observation(trajectory.obs, normaliser.observation, config.code_level)
        successors = normalise_observation(trajectory.successors, normaliser.observation, config.code_level)
        critic_obs = self._critic_obs(obs, trajectory.episode_step)
        critic_successors = self._critic_obs(successors, trajectory.episode_step + 1)
        values, next_values = self._values(phi, critic_obs), self._values(phi, critic_successors)
        rewards = scale_rewards(trajectory.rewards, normaliser.reward, config.code_level)
        ended = trajectory.terminated | trajectory.truncated
        # Differs: the correct estimator bootstraps where only the clock ended the episode; the authors did not.
        dead = ended if config.rollout.time_limit == "terminal" else trajectory.terminated
        gamma, lam = config.advantages.gamma, config.advantages.lam
        advantages = returns.gae(rewards, values, next_values, dead, ended, gamma=gamma, lam=lam)
        if config.value.target == "gae":
            targets = values + advantages
        else:
            targets = returns.discounted_returns(rewards, next_values, dead, ended, gamma=gamma)
        rows = (obs, critic_obs, trajectory.actions, advantages, targets, values)
        return Batch(*(tf.reshape(x, [-1, *x.shape[2:]]) for x in rows))

    def _learned(self, learner, batch, order, draws, plan):
        """V first, then π: with shared weights V moves with π instead."""
        config, v = self.config, self.value
        if self.shared:
            policy = self._stepped_policy(learner, batch, draws, plan)
            value = shared_value_update(v, policy.theta, learner.value_slots, batch, code_level=config.code_level)
        else:
            value = value_update(
                v, learner.phi, learner.value_slots, batch, order, step_size=plan["value_step_size"],
                value=config.value, optimiser=config.optimiser, code_level=config.code_level)
            policy = self._stepped_policy(learner, batch, draws, plan)
        policy_slots = policy.slots if isinstance(policy, PpoUpdate) else learner.policy_slots
        pi_old = self.policy(learner.theta, batch.obs)
        epsilon = getattr(config.algorithm, "clip_epsilon", None) or REPORTED_EPSILON
        before, after = (trust_region(pi_old, self.policy(theta, batch.obs), batch.actions, epsilon)
                         for theta in (learner.theta, policy.theta))
        return Update(
            learner=Learner(policy.theta, value.phi, policy_slots, value.slots), policy=policy, value=value, before=before,
            after=after, entropy=entropy(pi_old), std=self.policy.mean_std(learner.theta),
            values_after=v(value.phi, batch.critic_obs), schedule=None)

    def _stepped_policy(self, learner, batch, draws, plan):
        config = self.config
        if isinstance(config.algorithm, Ppo):
            objective = value_objective(self.value, config.code_level) if self.shared else None
            return ppo_update(
                self.policy, learner.theta, learner.policy_slots, batch, draws, step_size=plan["policy_step_size"],
                ppo=config.algorithm, optimiser=config.optimiser, code_level=config.code_level, value_objective=objective)
        return trpo_update(self.policy, learner.theta, batch, tf.gather(batch.obs, draws), delta=plan["delta"],
                           trpo=config.algorithm)

    def _observed(self, normaliser, accumulators, trajectory):
        config = self.config
        ended = trajectory.terminated | trajectory.truncated
        running = returns.running_discounted(
            tf.cast(trajectory.rewards, tf.float64), ended, accumulators, gamma=config.advantages.gamma)
        scored = reward_statistic(trajectory.rewards, running.discounted, config.code_level)
        return Normaliser(
            observation=moments.merge(normaliser.observation, moments.of(trajectory.obs, 1)),
            reward=moments.merge(normaliser.reward, moments.of(scored, 0))), running.accumulators

    def _critic_obs(self, obs, episode_step):
        if not self._timed:
            return obs
        return tf.concat([obs, time_feature(episode_step, self.task.time_limit)[..., tf.newaxis]], axis=-1)

    def _values(self, phi, critic_obs):
        time, envs, size = critic_obs.shape
        return tf.reshape(self.value(phi, tf.reshape(critic_obs, [time * envs, size])), [time, envs])

    def _order(self, purpose: str, k: int, epochs: int) -> Tensor:
        """[E, B] permutations, drawn outside XLA, where TensorFlow's stateless shuffle does not compile."""
        draw = seeds.generator(self.config.seed, purpose, k)
        pairs = self.config.rollout.num_steps
        return tf.constant(np.stack([draw.permutation(pairs) for _ in range(epochs)]), tf.int32)

    def _draws(self, k: int) -> Tensor:
        """What chance decides in the policy's step: PPO's minibatch order, TRPO's states for the Fisher matrix."""
        if isinstance(self.config.algorithm, Ppo):
            return self._order("policy_minibatches", k, self.config.algorithm.epochs)
        pairs = self.config.rollout.num_steps
        size = max(1, round(self.config.algorithm.fisher_fraction * pairs))
        subset = seeds.generator(self.config.seed, "fisher_subset", k).permutation(pairs)[:size]
        return tf.constant(subset, tf.int32)
