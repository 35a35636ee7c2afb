"""Policies by Stable-Baselines3 itself, its VecNormalize files, and what it answers to random observations.

    python tests/importing/make_fixtures.py DIRECTORY [CASE …]        where `pip install -e ".[peers]"` was made

The committed ones were made so by Stable-Baselines3 2.9.2, sb3-contrib 2.9.2, PyTorch 2.14.1, Gymnasium 1.4.0, NumPy 2.4.6.
The committed zips are without the optimiser and the account of the machine, which nothing reads here."""

import sys

sys.modules["tensorflow"] = None  # Stable-Baselines3's logger would load it beside PyTorch, and one process does not bear both
sys.modules["torch.utils.tensorboard"] = None

import pathlib
import zipfile

import gymnasium as gym
import numpy as np
import torch
from sb3_contrib import TRPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

CASES = {  # name: algorithm, task, VecNormalize's options, policy_kwargs
    "ppo": (PPO, "Hopper-v5", {"clip_obs": 2.0}, {"net_arch": [16, 8], "log_std_init": -0.5}),
    "later": (PPO, "Hopper-v5", {"clip_obs": 2.0}, {"net_arch": [16, 8], "log_std_init": -0.5}),
    "a2c": (A2C, "CartPole-v1", None, {"net_arch": {"pi": [12], "vf": [8, 8]}, "activation_fn": torch.nn.ReLU}),
    "trpo": (TRPO, "Pendulum-v1", {}, {"net_arch": {"pi": [], "vf": [8]}, "activation_fn": torch.nn.ELU}),
    "elu": (PPO, "Pendulum-v1", None, {"net_arch": [8, 8], "activation_fn": torch.nn.ELU, "ortho_init": False}),
}
STEPS = {"ppo": 128, "later": 256}
KEPT = ("data", "policy.pth", "_stable_baselines3_version")


def make(name: str, folder: pathlib.Path, small: bool = True) -> None:
    """<name>.zip, <name>.pkl where there is VecNormalize, and <name>.npz with the original's answers."""
    algorithm, task, normalised, kwargs = CASES[name]
    env = DummyVecEnv([lambda: gym.make(task)])
    if normalised is not None:
        env = VecNormalize(env, **normalised)
    env.action_space.seed(0)
    env.action_space.sample()  # its generator is in the pickles then
    options = {} if algorithm is A2C else {"batch_size": 32}
    model = algorithm("MlpPolicy", env, n_steps=64, seed=0, policy_kwargs=kwargs, device="cpu", **options)
    model.learn(STEPS.get(name, 64))
    with torch.no_grad():  # the first layers of an untrained policy give next to nothing
        for each in (model.policy.action_net, model.policy.value_net):
            each.weight += 0.7 * torch.randn(each.weight.shape, generator=torch.Generator().manual_seed(1))
            each.bias += 0.3
    model.save(folder / f"{name}.zip")
    if normalised is not None:
        env.training = False
        env.save(folder / f"{name}.pkl")
    np.savez_compressed(folder / f"{name}.npz", **answers(model, env if normalised is not None else None))
    if small:
        keep(folder / f"{name}.zip")


def answers(model, env) -> dict:
    """What the original says of 64 observations, some far out: observations of float32, as this project has them."""
    draw = np.random.default_rng(0)
    obs = (np.repeat([0.3, 1, 3, 20], 16)[:, None] * draw.normal(size=(64, model.observation_space.shape[0]))).astype(np.float32)
    seen = obs if env is None else env.normalize_obs(obs)
    tensor = torch.as_tensor(seen)
    with torch.no_grad():
        distribution = model.policy.get_distribution(tensor).distribution
        drawn = distribution.sample()
        values, log_prob, _ = model.policy.evaluate_actions(tensor, drawn)
        found = {"obs": obs, "seen": seen, "greedy": model.predict(seen, deterministic=True)[0], "actions": drawn.numpy(),
                 "log_prob": log_prob.numpy(), "value": values.numpy()[:, 0]}
        if hasattr(distribution, "logits"):
            return found | {"probabilities": distribution.probs.numpy()}
        return found | {"mean": distribution.mean.numpy(), "std": distribution.stddev.numpy()}


def keep(path: pathlib.Path) -> None:
    """The zip without what is not read."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in KEPT}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            archive.writestr(zipfile.ZipInfo(name), data)


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1])
    for case in sys.argv[2:] or CASES:
        make(case, target, small=len(sys.argv) == 2)
