"""A policy made by plain Keras, which knows nothing of tfpg: it clones a hand-written controller of the pendulum.

    for i, model in enumerate(train()):
        model.save(f"pendulum-{i}.keras")
        model.export(f"pendulum-{i}")"""

import gymnasium as gym
import keras
import numpy as np


def controller(obs):
    """Swings up by energy, then balances; torques [B, 1]."""
    cos, sin, speed = obs[:, 0], obs[:, 1], obs[:, 2]
    energy = speed**2 / 6 + 5 * cos  # 5 at rest upright
    torque = np.where(cos > 0.9, -14 * sin - 3 * speed, np.clip(5 - energy, -2, 2) * np.sign(speed + 1e-3))
    return np.clip(torque, -2, 2)[:, None].astype(np.float32)


def observations(episodes=20):
    """What the controller sees."""
    env, seen = gym.make("Pendulum-v1"), []
    for seed in range(episodes):
        obs, _ = env.reset(seed=seed)
        for _ in range(200):
            seen.append(obs)
            obs, *_ = env.step(controller(obs[None])[0])
    return np.array(seen, np.float32)


def build(obs):
    """Mean and log_std of a Gaussian policy over a normalisation layer."""
    see = keras.layers.Normalization()
    see.adapt(obs)
    inputs = keras.Input((obs.shape[1],))
    features = see(inputs)
    for _ in range(2):
        features = keras.layers.Dense(32, "tanh")(features)
    mean = keras.layers.Dense(1, name="mean")(features)
    log_std = keras.layers.Dense(1, "tanh", name="log_std")(features)  # else the loss lets go of what is hard
    return keras.Model(inputs, keras.layers.Concatenate()([mean, log_std]))


def loss(actions, outputs):
    """−log π(a|s), without its constant."""
    mean, log_std = keras.ops.split(outputs, 2, axis=-1)
    return keras.ops.mean(0.5 * ((actions - mean) / keras.ops.exp(log_std)) ** 2 + log_std)


def train(epochs=(15, 1), seed=0):
    """One model, after each number of further epochs."""
    keras.utils.set_random_seed(seed)
    obs = observations()
    model = build(obs)
    model.compile(keras.optimizers.Adam(3e-3), loss)
    for number in epochs:
        model.fit(obs, controller(obs), batch_size=64, epochs=number, verbose=0)
        yield model
