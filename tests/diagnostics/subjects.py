"""Policies whose mean return is known at every θ = (w, b, log std): a = w s + b + std·ε, on two tasks.

    Linear(lq.TASK)      J of tests.linear_quadratic, negative
    Linear(BIMODAL)      falls early when its first action is below 0:  J = p·300 + (1 − p)·3000,  p = Φ(−b/std)

The bimodal task is registered as "tests.diagnostics.subjects:Bimodal-v0"."""

import hashlib
from pathlib import Path

import gymnasium as gym
import numpy as np
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from tests import linear_quadratic as lq
from tests.diagnostics.draws import FALL, REACH
from tfpg.envs.make import describe
from tfpg.numerics.flat import Layout

BIMODAL = "tests.diagnostics.subjects:Bimodal-v0"
ENDLESS = "tests.diagnostics.subjects:EndlessQuadratic-v0"
CLOCK, LOTTERY = "tests.diagnostics.subjects:Clock-v0", "tests.diagnostics.subjects:Lottery-v0"
HOURS, STOP = 100, 0.02
AT_LQ = np.array([-0.6, 0.2, np.log(0.4)], np.float32)  # a θ_k far from the optimum


class Bimodal(gym.Env):
    """s = 0. Falls at the first step if a < 0, with a Gamma return of mean 300; else reaches 3000 ± 60."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        # drawn before the action is known: with common numbers two points differ by which of the two they meet
        self.fallen, self.reached = self.np_random.gamma(2, FALL / 2), self.np_random.normal(REACH, 60)
        self.steps = 0
        return np.zeros(1), {}

    def step(self, action):
        self.steps += 1
        if self.steps == 1:
            falls = bool(action[0] < 0)
            return np.zeros(1), self.fallen if falls else 0.0, falls, False, {}
        return np.zeros(1), self.reached, False, False, {}


class Clock(gym.Env):
    """s = steps since the start, whatever is done."""

    observation_space = gym.spaces.Box(0, np.inf, (1,), np.float64)
    action_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return np.zeros(1), {}

    def step(self, action):
        self.time += 1
        return np.full(1, float(self.time)), 1.0, self.stops(), False, {}

    def stops(self):
        return False


class Lottery(Clock):
    """The same, ended at every step with probability STOP."""

    def stops(self):
        return bool(self.np_random.random() < STOP)


gym.register("Clock-v0", entry_point=Clock, max_episode_steps=HOURS)
gym.register("Lottery-v0", entry_point=Lottery, max_episode_steps=100_000)
gym.register("Bimodal-v0", entry_point=Bimodal, max_episode_steps=2)
gym.register("EndlessQuadratic-v0", entry_point=lq.LinearQuadratic)  # without a time limit


def falling(fall):
    """θ that falls with this probability."""
    return np.array([0, -scipy.stats.norm.ppf(fall), 0], np.float32)


class Linear:
    """A Subject: tfpg.diagnostics.probe.Subject."""

    noise_kind, patience, iteration = "normal", 60.0, 0
    layout = Layout(((1, 1), (1,), (1,)))

    def __init__(self, env=lq.TASK, theta=AT_LQ):
        self.path, self.task, self.theta = Path(f"/linear/{env}"), describe(env), np.asarray(theta, np.float32)

    def act(self, obs, noise, thetas):
        w, b, log_std = (column[:, tf.newaxis, tf.newaxis] for column in tf.unstack(thetas, axis=1))
        # the exponential of whole rows: of a single number it may differ in the last bit from that of a packet
        return w * obs + b + tf.exp(log_std + tf.zeros_like(obs)) * noise

    def pi(self, theta, obs):
        normal = tfp.distributions.Normal(theta[0] * obs + theta[1], tf.exp(theta[2]))
        return tfp.distributions.Independent(normal, 1)

    def provenance(self, theta=None):
        theta = self.theta if theta is None else np.asarray(theta)
        return {"policy": str(self.path), "task": self.task.id, "normaliser_sha256": "none",
                "theta_sha256": hashlib.sha256(theta.tobytes()).hexdigest()}

    def mean_return(self, thetas):
        """J of many θ, exact. Args: thetas: [..., 3]. Returns: float64 [...]."""
        w, b, log_std = np.moveaxis(np.asarray(thetas, np.float64), -1, 0)
        if self.task.id == lq.TASK:
            return lq.mean_return(tf.constant(w), tf.constant(b), tf.constant(np.exp(log_std))).numpy()
        p = scipy.stats.norm.cdf(-b / np.exp(log_std))
        return p * FALL + (1 - p) * REACH
