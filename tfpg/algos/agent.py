"""How do models, estimators and update rules come together? The wiring of one run, and its compiled boundary.

Config stops here: below this file everything takes the settings it needs as arguments. Each method is one compiled
function of tensors; nothing is kept between calls."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tfpg import seeds
from tfpg.algos import batches, distances, steps
from tfpg.algos.critic import shared_value_update, value_update
from tfpg.algos.networks import networks
from tfpg.algos.schedule import schedule
from tfpg.beside import Beside
from tfpg.clock import Clock
from tfpg.config import Config, Ppo
from tfpg.envs.make import Task
from tfpg.envs.transforms import normalise_observation, reward_statistic
from tfpg.numerics import moments, optimisers, returns
from tfpg.objectives import entropy
from tfpg.types import (
    Batch,
    Learner,
    Moments,
    Moved,
    Normaliser,
    PpoUpdate,
    RunState,
    Tensor,
    Trajectory,
    TrpoUpdate,
    Update,
    ValueUpdate,
)


class Learnt(NamedTuple):
    """What one iteration's learning leaves."""

    update: Update
    moving: Callable[[], Moved]  # what it did to π: under way beside what follows
    normaliser: Normaliser  # with the batch merged in
    accumulators: Tensor  # [N] float64


class Agent:
    """The pure functions of one run: act, prepare, learn, observe."""

    def __init__(self, config: Config, task: Task):
        self.config, self.task = config, task
        self.policy, self.value, self.shared = networks(
            task, algorithm=config.algorithm, value=config.value, network=config.network, code_level=config.code_level,
            seed=config.seed)
        compiled = functools.partial(tf.function, autograph=False)
        self._prepare, self._observe = compiled(self._prepared), compiled(self._observed)
        # Only here is there enough to do for XLA: it takes seconds to compile and makes the epochs three times faster.
        learning = functools.partial(compiled, jit_compile=config.runtime.xla)
        self._learn_policy, self._learn_value = learning(self._learned_policy), learning(self._learned_value)
        self._recall = compiled(self._recalled)
        self._look = (learning if isinstance(config.algorithm, Ppo) else compiled)(self._looked)  # TRPO's one policy is not worth XLA's second
        self._beside = Beside("beside the policy")

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

    def learn(self, state: RunState, trajectory: Trajectory, batch: Batch, clock: Clock) -> Learnt:
        """Iteration k's learning: the value net and the policy on advantages already fixed, then the statistics with the batch
        merged in, and what the update did to the policy.

        Neither π nor V sees the other move, so each is a program of its own, and V's runs beside π's and what follows it; with
        shared weights V moves with π instead. What is looked at is of programs of its own too, so it cannot change a bit of
        what is learnt: it falls into the time that one of V and π takes longer than the other, or else runs beside what is
        done with the update.
        Args: state: of iteration k. clock: gets laps."""
        k, learner, normaliser, beside = state.iteration, state.learner, state.normaliser, self._beside

        def observe():
            observed = self.observe(normaliser, state.accumulators, trajectory)
            return *observed, *self.recall(learner.theta, batch.obs, observed[0].observation, trajectory.obs)

        try:
            valued = None if self.shared else beside.begin(self.learn_value, learner, batch, k)
            observed = beside.begin(observe)
            policy, entropies, std, value, values = self.learn_policy(learner, batch, k)
            clock.lap("update")
            merged, accumulators, old, later_obs = observed.result()
            clock.lap("statistics")
            looked = beside.begin(self.look, old, policy, batch, later_obs)
            if valued is not None:
                if not valued.done():
                    looked.result()
                    clock.lap("trust_region")
                value, values = valued.result()
            clock.lap("update")
        except BaseException:
            self.leave()
            raise
        slots = policy.slots if isinstance(policy, PpoUpdate) else learner.policy_slots
        update = Update(
            learner=Learner(policy.theta, value.phi, slots, value.slots), policy=policy, value=value,
            entropy=entropies, std=std, values_after=values, schedule=schedule(self.config, k))
        return Learnt(update, looked.result, merged, accumulators)

    def leave(self) -> None:
        """Waits for what is under way beside, and takes back what is not."""
        self._beside.leave()

    def learn_policy(self, learner: Learner, batch: Batch, k: int) -> tuple:
        """Iteration k's half of the update that moves π: its record, H and mean std of π_θk, and with shared weights the value
        net's record and its values, else None."""
        return self._learn_policy(learner, batch, self._draws(k), self._plan(k))

    def learn_value(self, learner: Learner, batch: Batch, k: int) -> tuple[ValueUpdate, Tensor]:
        """The half that moves V: its record, and V_φ(k+1) of the batch [B]."""
        return self._learn_value(learner, batch, self._value_order(k), self._plan(k))

    def observe(
            self, normaliser: Normaliser, accumulators: Tensor, trajectory: Trajectory) -> tuple[Normaliser, Tensor]:
        """The statistics with a batch merged in, and the discounted accumulators [N] at its end."""
        return self._observe(normaliser, accumulators, trajectory)

    def recall(self, theta: Tensor, obs: Tensor, merged: Moments, raw: Tensor) -> tuple[NamedTuple, Tensor]:
        """What a look at an update needs that does not wait for it: the parameters of π_old [B], and the batch's states as the
        next iteration normalises them [B, S].

        A plain graph computes it, XLA the look at PPO's: a policy that has not moved has KL and ratio 0 and 1 to rounding.
        Args: theta: that acted. obs: [B, S] as it saw them. raw: [T, N, S]."""
        return self._recall(theta, obs, merged, raw)

    def look(self, old: NamedTuple, update: TrpoUpdate | PpoUpdate, batch: Batch, later_obs: Tensor) -> Moved:
        """What an update did to π on its batch. Args: old, later_obs: of `recall`."""
        moved = self._look(old, update.theta, getattr(update, "thetas", None), batch, later_obs)
        return moved._replace(after=distances.with_quantiles(moved.after))

    @property
    def traces(self) -> int:
        """How many times anything was traced: constant after the first iteration."""
        functions = self._prepare, self._observe, self._learn_policy, self._learn_value, self._recall, self._look
        return sum(function.experimental_get_tracing_count() for function in functions)

    def _prepared(self, phi, normaliser, trajectory):
        config = self.config
        return batches.prepare(
            trajectory, normaliser, phi, self.value, time_limit=self.task.time_limit, rollout=config.rollout,
            advantages=config.advantages, value=config.value, code_level=config.code_level)

    def _learned_policy(self, learner, batch, draws, plan):
        """π, how random it was, and with shared weights V, else None."""
        config, v = self.config, self.value
        policy = self._stepped_policy(learner, batch, draws, plan)
        value = shared_value_update(v, policy.theta, learner.value_slots, batch, code_level=config.code_level) if self.shared else None
        return (policy, entropy(self.policy(learner.theta, batch.obs)), self.policy.mean_std(learner.theta), value,
                None if value is None else v(value.phi, batch.critic_obs))

    def _learned_value(self, learner, batch, order, plan):
        """V, and what it says of the batch."""
        config, v = self.config, self.value
        value = value_update(
            v, learner.phi, learner.value_slots, batch, order, step_size=plan["value_step_size"],
            value=config.value, optimiser=config.optimiser, code_level=config.code_level)
        return value, v(value.phi, batch.critic_obs)

    def _recalled(self, theta_old, obs, merged, raw):
        later_obs = normalise_observation(tf.reshape(raw, obs.shape), merged, self.config.code_level)
        return self.policy.parameters(theta_old, obs), later_obs

    def _looked(self, old, theta, thetas, batch, later_obs):
        policy = self.policy

        def pi(theta, obs):
            return policy.looked_at(policy.parameters(theta, obs))

        return distances.looked_at(
            pi, policy.looked_at(old), theta, batch, self.config.algorithm, thetas=thetas, later_obs=later_obs)

    def _stepped_policy(self, learner, batch, draws, plan):
        config = self.config
        return steps.policy_step(
            self.policy, self.value, learner.theta, learner.policy_slots, batch, draws, plan=plan,
            algorithm=config.algorithm, optimiser=config.optimiser, code_level=config.code_level)

    def _observed(self, normaliser, accumulators, trajectory):
        config = self.config
        ended = trajectory.terminated | trajectory.truncated
        running = returns.running_discounted(
            tf.cast(trajectory.rewards, tf.float64), ended, accumulators, gamma=config.advantages.gamma)
        scored = reward_statistic(trajectory.rewards, running.discounted, config.code_level)
        return Normaliser(
            observation=moments.merge(normaliser.observation, moments.of(trajectory.obs, 1)),
            reward=moments.merge(normaliser.reward, moments.of(scored, 0))), running.accumulators

    def _plan(self, k: int) -> dict[str, Tensor]:
        return {name: tf.constant(number, tf.float32) for name, number in schedule(self.config, k).items()}

    def _value_order(self, k: int) -> Tensor:
        config = self.config
        stream = seeds.generator(config.seed, "value_minibatches", k)
        return tf.constant(steps.orders(
            stream, config.rollout.num_steps, epochs=config.value.epochs, minibatches=config.value.minibatches))

    def _draws(self, k: int) -> Tensor:
        config = self.config
        stream = steps.training_stream(config.algorithm, config.seed, k)
        return tf.constant(steps.draws(config.algorithm, config.rollout.num_steps, stream))
