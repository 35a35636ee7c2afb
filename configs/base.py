"""What do all presets share? The common settings of the authors' runs (Ilyas 2020, table 1), and where we depart."""

from tfpg.config import Advantages, CodeLevel, Config, Network, Optimiser, Ppo, Rollout, Trpo, Value

# The authors' code calls this CLIP_VAL_EPS: one number for every task that clips the value function.
VALUE_CLIP = 0.2

# Rewards divided by the spread of the discounted return, both clips at ±10: PPO and TRPO+ of the authors.
SCALED_AND_CLIPPED = CodeLevel(
    reward_scaling="returns",
    initialisation="orthogonal",
    reward_clip=10.0,
    observation_normalisation=True,
    observation_clip=10.0,
    activation="tanh",
)

# The authors' "-M" for minimal: observation normalisation and tanh stay on, everything else is off.
MINIMAL = CodeLevel(initialisation="xavier", observation_normalisation=True, activation="tanh")


def common(preset: str, env: str, algorithm: Trpo | Ppo, code_level: CodeLevel) -> Config:
    """A run of 488 iterations of 2048 pairs; networks 64-64, 10 value epochs of 32 minibatches, textbook Adam."""
    rollout = Rollout(
        num_steps=2048,
        # Differs: 32 environments whose episodes go on from one iteration to the next. The authors stepped one
        # environment and reset it at each batch: --rollout.num_envs=1 --norollout.carry_over.
        num_envs=32,
        carry_over=True,
        # A time limit counts as death, as in the authors' code. Differs from the estimator that theory asks for:
        # --rollout.time_limit=bootstrap.
        time_limit="terminal",
    )
    return Config(
        preset=preset,
        env=env,
        total_steps=488 * 2048,
        algorithm=algorithm,
        code_level=code_level,
        rollout=rollout,
        advantages=Advantages(gamma=0.99, lam=0.95),
        value=Value(epochs=10, minibatches=32, target="gae"),
        network=Network(hidden=(64, 64), initial_log_std=0.0),
        optimiser=Optimiser(kind="adam", adam_epsilon=1e-5),
    )
