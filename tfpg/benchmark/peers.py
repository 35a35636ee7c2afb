"""How fast do the libraries train that most people use? Stable-Baselines3's PPO and sb3-contrib's TRPO, the same work.

The same task, pairs, nets, epochs and minibatches an iteration, conjugate-gradient steps, share of the batch in the policy's
step (sub_sampling), normalisation; their own engine, as their users run it: DummyVecEnv, VecNormalize, on the processor.

Twice: as it comes, one environment and PyTorch's own number of threads; and as well as we could make it, eight environments,
so that the policy acts on a batch, and one thread: with two, nets so small waited for each other whenever another program ran."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable
from typing import Any

from tfpg.benchmark.workers import Answer
from tfpg.config import Config, Ppo
from tfpg.envs import physics
from tfpg.envs.make import describe

LIBRARIES = {"ppo": "stable_baselines3", "trpo": "sb3_contrib"}
INSTALL = "pip install -e '.[peers]'"
VARIANTS = {"plain": (1, None), "tuned": (8, 1)}  # environments, threads


def absent() -> list[str]:
    """The libraries that are not installed. Nothing is imported."""
    return [name for name in LIBRARIES.values() if importlib.util.find_spec(name) is None]


class Peer:
    """One library's training on a task."""

    def __init__(self, config: Config, num_envs: int, threads: int):
        """Args: config: ours, whose work is to be done. threads: of PyTorch."""
        self._pairs, self._threads = config.rollout.num_steps, threads
        self._model = _model(config, _environments(config, num_envs), num_envs)
        self._learn()  # the first iteration makes what later ones use again

    def __call__(self, seconds: float) -> Answer:
        """Whole iterations for so long, one at least."""
        import torch

        torch.set_num_threads(self._threads)
        steps, begin = 0, time.perf_counter()
        while not steps or time.perf_counter() - begin < seconds:
            self._learn()
            steps += self._pairs
        return {"steps": steps, "seconds": time.perf_counter() - begin}

    def _learn(self) -> None:
        self._model.learn(self._pairs, reset_num_timesteps=False)


def start() -> None:
    """Before anything else of theirs is imported. TensorFlow stays out of this process: their logger would load it through
    TensorBoard, and beside PyTorch 2.14 it ends the process; their users seldom have it."""
    sys.modules["tensorflow"] = None  # type: ignore[assignment]  # how an import is told that there is none


def subjects(config: Config) -> dict[str, Callable[[float], Answer]]:
    """A training for each variant, by "algorithm/variant"."""
    import torch

    default = torch.get_num_threads()
    torch.set_num_threads(1)  # while they are made
    found: dict[str, Callable[[float], Answer]] = {
        f"{config.algorithm.name}/{name}": Peer(config, num_envs, threads or default)
        for name, (num_envs, threads) in VARIANTS.items()}
    torch.set_num_threads(default)
    return found


def _environments(config: Config, num_envs: int) -> Any:
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    task, code_level = describe(config.env, config.env_args, "gymnasium"), config.code_level
    scaled = code_level.reward_scaling != "none"
    return VecNormalize(
        DummyVecEnv([lambda: physics.single(task)] * num_envs), gamma=config.advantages.gamma,
        norm_obs=code_level.observation_normalisation, clip_obs=code_level.observation_clip or float("inf"),
        norm_reward=scaled, clip_reward=code_level.reward_clip or float("inf"))


def _model(config: Config, environments: Any, num_envs: int) -> Any:
    hidden = list(config.network.hidden)
    common = {
        "policy": "MlpPolicy", "env": environments, "device": "cpu", "seed": config.seed % 2**31, "verbose": 0,
        "n_steps": config.rollout.num_steps // num_envs, "gamma": config.advantages.gamma, "gae_lambda": config.advantages.lam,
        "batch_size": config.rollout.num_steps // config.value.minibatches,
        "policy_kwargs": {"net_arch": {"pi": hidden, "vf": hidden}}}  # tanh is their default
    algorithm = config.algorithm
    if isinstance(algorithm, Ppo):
        from stable_baselines3 import PPO

        # policy and value net of a minibatch in one step, where we take one each
        return PPO(**common, learning_rate=algorithm.step_size, n_epochs=algorithm.epochs, clip_range=algorithm.clip_epsilon,
                   ent_coef=algorithm.entropy_coefficient)
    from sb3_contrib import TRPO

    # Theirs takes one share of the batch for Fisher matrix and surrogate, where we thin out the Fisher matrix alone.
    return TRPO(**common, learning_rate=config.value.step_size, target_kl=algorithm.delta, cg_max_steps=algorithm.cg_iterations,
                cg_damping=algorithm.damping, line_search_max_iter=algorithm.backtracks,
                line_search_shrinking_factor=algorithm.backtrack_ratio, n_critic_updates=config.value.epochs,
                sub_sampling_factor=max(1, round(1 / algorithm.fisher_fraction)))
