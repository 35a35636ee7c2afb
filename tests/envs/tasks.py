"""Small Gymnasium tasks whose every transition is known, and one for each way to break."""

import sys
import time

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete


class Counter(gym.Env):
    """s = (steps so far, length); r = steps so far; ends after `length` steps, drawn at the start from 1 … longest."""

    observation_space = Box(-np.inf, np.inf, (2,), np.float64)
    action_space = Box(-1, 1, (1,), np.float32)

    def __init__(self, longest=9):
        self.longest = longest

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count, self.length = 0, int(self.np_random.integers(1, self.longest + 1))
        return np.array([0.0, self.length]), {}

    def step(self, action):
        self.count += 1
        return np.array([self.count, self.length], float), float(self.count), self.count >= self.length, False, {}


class Drift(gym.Env):
    """s' = s + a + noise: random transitions."""

    observation_space = Box(-np.inf, np.inf, (3,), np.float32)
    action_space = Box(-1, 1, (3,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = self.np_random.normal(size=3)
        return self.state.astype(np.float32), {}

    def step(self, action):
        self.state = self.state + action + self.np_random.normal(size=3)
        return self.state.astype(np.float32), float(self.state.sum()), bool(self.np_random.random() < 0.1), False, {}


class Panic(BaseException):
    """As a task in Rust raises it."""


class Broken(Counter):
    """Breaks in one way at its fourth step."""

    def __init__(self, how="nan_obs"):
        super().__init__(longest=1)
        self.how = how
        if how == "slow_start":
            time.sleep(2.5)
        if how == "bad_start":
            raise Panic("no motor")

    def close(self):
        if self.how == "slow_end":
            time.sleep(2.5)
        if self.how == "bad_end":
            raise Panic("closed badly")

    def reset(self, *, seed=None, options=None):
        obs, info = super().reset(seed=seed)
        self.length = 100
        return obs if self.how == "bare_reset" else (obs, info)

    def step(self, action):
        obs, reward, terminated, truncated, info = super().step(action)
        if self.count == 4:
            if self.how == "four":
                return obs, reward, terminated, info
            if self.how == "exit":
                sys.exit("enough")
            obs = {"text": np.array(["left", "right"]), "none": None, "ragged": [[1.0], 2.0], "huge": 1e39 * obs}.get(self.how, obs)
            reward = {"no_reward": None, "two_rewards": np.ones(2), "huge_reward": -1e39}.get(self.how, reward)
            terminated = {"perhaps": None, "both": np.array([True, False])}.get(self.how, terminated)
            if self.how == "nan_obs":
                obs[1] = np.nan
            elif self.how == "nan_reward":
                reward = np.nan
            elif self.how == "shape":
                obs = np.zeros(5)
            elif self.how == "raise":
                raise ValueError("the motor is hot\nand smokes")
            elif self.how == "panic":
                raise Panic("the motor is gone")
            elif self.how == "hang":
                time.sleep(2.5)
        return obs, reward, terminated, truncated, info


class Slow(Counter):
    """Each step takes 10 ms, an episode 10,000 steps."""

    def reset(self, *, seed=None, options=None):
        obs, info = super().reset(seed=seed)
        self.length = 10_000
        return obs, info

    def step(self, action):
        time.sleep(0.01)
        return super().step(action)


class Named(gym.Env):
    """Two actions called 5 and 6; the reward is the action's name."""

    observation_space = Box(-1, 1, (1,), np.float32)
    action_space = Discrete(2, start=5)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        assert self.action_space.contains(action)
        return np.zeros(1, np.float32), float(action), False, False, {}


class Pictures(Named):
    observation_space = Box(0, 255, (8, 8), np.uint8)


class Dictionary(Named):
    observation_space = Dict({"a": Box(0, 1, (1,)), "b": Box(0, 255, (8, 8), np.uint8)})


class Goal(Counter):
    """Counter, which shows its length as a goal apart."""

    observation_space = Dict({"observation": Box(-np.inf, np.inf, (1,), np.float64), "goal": Box(-np.inf, np.inf, (), np.float64)})

    def reset(self, *, seed=None, options=None):
        obs, info = super().reset(seed=seed)
        return {"observation": obs[:1], "goal": obs[1]}, info

    def step(self, action):
        obs, *others = super().step(action)
        return {"goal": obs[1], "observation": obs[:1]}, *others


class Vector(Counter):
    action_space = gym.spaces.MultiDiscrete([2, 2])


class Whole(Counter):
    action_space = Box(-3, 3, (1,), np.int64)


class Nothing(Counter):
    observation_space = Box(-1, 1, (0,), np.float32)


def register():
    for name, kind, limit in (
            ("Counter", Counter, None), ("LimitedCounter", Counter, 5), ("Drift", Drift, 50), ("Broken", Broken, 200), ("UnlimitedBroken", Broken, None),
            ("Slow", Slow, 10_000), ("Named", Named, 10), ("Pictures", Pictures, 10), ("Dictionary", Dictionary, 10),
            ("Vector", Vector, 10), ("Whole", Whole, 10), ("Goal", Goal, 20), ("Nothing", Nothing, 10)):
        gym.register(f"Tfpg{name}-v0", entry_point=kind, max_episode_steps=limit)
