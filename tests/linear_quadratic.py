"""A task whose return and gradient are known: a noisy scalar system with quadratic costs, ended by its time limit.

    s' = A s + B a + NOISE·ξ,   r = −(s² + C a²),   s_0 ~ Normal(0, 1),   HORIZON steps

Under a = w s + b + σ ε every moment of s_t obeys a linear recursion, so J(w, b, σ) is exact. Registered as
"tests.linear_quadratic:LinearQuadratic-v0"."""

import gymnasium as gym
import numpy as np
import tensorflow as tf

A, B, C, NOISE, HORIZON = 0.9, 0.5, 0.1, 0.2, 8
TASK = "tests.linear_quadratic:LinearQuadratic-v0"


class LinearQuadratic(gym.Env):
    observation_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = self.np_random.normal(size=1)
        return self.state.copy(), {}

    def step(self, action):
        reward = -float(self.state[0] ** 2 + C * action[0] ** 2)
        self.state = A * self.state + B * action + NOISE * self.np_random.normal(size=1)
        return self.state.copy(), reward, False, False, {}


gym.register("LinearQuadratic-v0", entry_point=LinearQuadratic, max_episode_steps=HORIZON)


def mean_return(w, b, std):
    """J = E Σ_t r_t by the recursion of E s and E s², as a tensor that can be differentiated."""
    mean, second, total = tf.zeros_like(w), tf.ones_like(w), tf.zeros_like(w)
    gain = A + B * w
    for _ in range(HORIZON):
        action_second = w**2 * second + 2 * w * b * mean + b**2 + std**2
        total -= second + C * action_second
        second = gain**2 * second + 2 * gain * B * b * mean + B**2 * (b**2 + std**2) + NOISE**2
        mean = gain * mean + B * b
    return total


def values(w, b, std, gamma):
    """V(s, t) = p_t s² + q_t s + r_t, the discounted return that is left at step t, by the recursion from the end. With
    g = A + B w and s' = g s + B b + B σ ε + NOISE ξ:

        p_t = −(1 + C w²) + γ p' g²
        q_t = −2 C w b + γ (2 p' g B b + q' g)
        r_t = −C (b² + σ²) + γ (p' (B² (b² + σ²) + NOISE²) + q' B b + r')

    Returns: [HORIZON, 3] float64, NumPy."""
    gain, after, found = A + B * w, np.zeros(3), []
    for _ in range(HORIZON):
        p, q, r = after
        after = np.array([
            -(1 + C * w**2) + gamma * p * gain**2,
            -2 * C * w * b + gamma * (2 * p * gain * B * b + q * gain),
            -C * (b**2 + std**2) + gamma * (p * (B**2 * (b**2 + std**2) + NOISE**2) + q * B * b + r)])
        found.append(after)
    return np.array(found[::-1])
