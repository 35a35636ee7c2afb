"""A small task whose rewards, observations and lengths can be made odd, for real command lines: --env=tests.envs.odd:TfpgOdd-v0."""

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete


class Odd(gym.Env):
    """s' = 0.9 s + 0.3 a + noise, s ∈ R²; r = reward_scale (1 − |s|²) + reward_shift; observations observation_scale · s.

    Args: length: steps until termination; 0: never. drawn: the length is drawn from 1 … length at each start. discrete: two actions,
    a = ±(1, 1), instead of a ∈ [−1, 1]²."""

    def __init__(self, reward_scale=1.0, reward_shift=0.0, observation_scale=1.0, length=20, drawn=False, discrete=False):
        self.reward_scale, self.reward_shift, self.observation_scale = float(reward_scale), float(reward_shift), float(observation_scale)
        self.longest, self.drawn = int(length), drawn
        self.observation_space = Box(-np.inf, np.inf, (2,), np.float64)
        self.action_space = Discrete(2) if discrete else Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count, self.length = 0, int(self.np_random.integers(1, self.longest + 1)) if self.drawn else self.longest
        self.state = self.np_random.normal(size=2)
        return self.observation_scale * self.state, {}

    def step(self, action):
        push = np.clip(action, -1, 1) if isinstance(self.action_space, Box) else 2.0 * action - 1
        self.count += 1
        self.state = 0.9 * self.state + 0.3 * push + 0.1 * self.np_random.normal(size=2)
        reward = self.reward_scale * (1 - float(self.state @ self.state)) + self.reward_shift
        return self.observation_scale * self.state, reward, self.count == self.length, False, {}


gym.register("TfpgOdd-v0", entry_point=Odd)
gym.register("TfpgOddLimited-v0", entry_point=Odd, max_episode_steps=30)
