"""Made-up iterations, of plain NumPy arrays, in which every number is known."""

import numpy as np

from tfpg.config import Config, Ppo, Trpo
from tfpg.settings import replace
from tfpg.types import (
    Batch,
    Drift,
    EngineState,
    Episodes,
    Epochs,
    Iteration,
    Learner,
    Moments,
    Moved,
    Normaliser,
    PpoUpdate,
    RunState,
    Slots,
    Trajectory,
    TrpoUpdate,
    TrustRegion,
    Update,
    ValueUpdate,
)

TRPO = Config(preset="trpo", total_steps=4096, algorithm=Trpo(delta=0.13))
PPO = Config(preset="ppo", total_steps=4096, algorithm=Ppo())
T, N, EPOCHS = 4, 2, 4


def small(config: Config) -> Config:
    """The configuration with batches of T·N pairs."""
    values = {"rollout.num_steps": T * N, "rollout.num_envs": N, "value.minibatches": 2}
    if isinstance(config.algorithm, Ppo):
        values |= {"ppo.minibatches": 2, "ppo.epochs": EPOCHS}
    return replace(config, values)


def iteration(config: Config, index: int = 0, *, returns=(10.0, 30.0), lengths=(5, 7), values_after=None, targets=None,
              terminated=None, truncated=None, std=0.5, kl=0.01) -> Iteration:
    """Iteration `index`; where nothing else is asked for, V hits its targets 1 … 8 and no episode ended."""
    pairs = T * N
    targets = np.arange(1.0, pairs + 1, dtype=np.float32) if targets is None else np.asarray(targets, np.float32)
    values = np.zeros(pairs, np.float32)
    slots = Slots(np.float32(0), np.zeros(3, np.float32), np.zeros(3, np.float32))
    theta = np.zeros(3, np.float32)
    moved = np.asarray([3.0, 0.0, 4.0], np.float32)  # ‖step‖ = 5
    before = Learner(theta, theta, slots, slots)
    after = Learner(moved, theta, slots, slots)
    never = np.zeros([T, N], bool)
    trajectory = Trajectory(
        obs=np.zeros([T, N, 3], np.float32), actions=np.zeros([T, N, 1], np.float32),
        rewards=np.ones([T, N], np.float32),
        terminated=never if terminated is None else terminated, truncated=never if truncated is None else truncated,
        successors=np.zeros([T, N, 3], np.float32), episode_step=np.zeros([T, N], np.int32))
    batch = Batch(obs=np.zeros([pairs, 3], np.float32), critic_obs=np.zeros([pairs, 3], np.float32),
                  actions=np.zeros([pairs, 1], np.float32), advantages=targets - values, value_targets=targets,
                  values=values)
    region = trust_region(kl)
    update = Update(
        learner=after, policy=_trpo(theta, moved) if isinstance(config.algorithm, Trpo) else _ppo(moved, slots),
        value=ValueUpdate(theta, slots, np.asarray([4.0, 2.0], np.float32), np.True_),
        entropy=np.float32(1.5), std=np.float32(std), values_after=targets if values_after is None else values_after,
        schedule={"value_step_size": 1e-3, **({"delta": 0.13} if isinstance(config.algorithm, Trpo) else
                                              {"policy_step_size": 3e-4})})
    moved = Moved(region, None if isinstance(config.algorithm, Trpo) else _EPOCHS, Drift(*np.float32([0.0625, 0.125, 2, 0.5])))
    moments = Moments(np.float64(1), np.float64(0), np.float64(1))
    env_steps = (index + 2) * pairs  # one warm-up batch before the first
    engine = EngineState(np.zeros(N, int), np.zeros(N, int), np.zeros([0, 1]), np.zeros([N, 3]), np.zeros(N))
    state = RunState(index + 1, env_steps, after, Normaliser(moments, moments), np.zeros(N), engine)
    return Iteration(index, (index + 1) * pairs, env_steps, before, Normaliser(moments, moments), trajectory, batch,
                     Episodes(np.asarray(returns, np.float64), np.asarray(lengths, np.int64)), update, lambda: moved,
                     {"rollout": 0.3, "update": 0.1}, state)


def trust_region(kl) -> TrustRegion:
    """Quantiles 0, 1/64, … 4/64 of the KL, .5, .75, … 1.5 of the ratio."""
    steps = np.arange(5, dtype=np.float32)
    return TrustRegion(
        mean_kl=np.float32(kl), max_kl=np.float32(0.2), kl_quantiles=steps / 64, mean_reverse_kl=np.float32(2 * kl),
        mean_ratio=np.float32(1.01), max_ratio=np.float32(3.0), min_ratio=np.float32(0.25), ratio_quantiles=0.5 + steps / 4,
        mean_ratio_distance=np.float32(0.375), outside_fraction=np.float32(0.125), without_gradient=np.float32(0.0625))


def _trpo(theta, moved) -> TrpoUpdate:
    return TrpoUpdate(
        theta=moved, proposed=moved, gradient=theta, step_size=np.float32(2), expected_gain=np.float32(0.5),
        actual_gain=np.float32(0.25), predicted_kl=np.float32(0.125), fisher_kl=np.float32(0.1), applied_kl=np.float32(0.0625),
        rejected_kl=np.float32(0.75),
        accepted=np.True_, accepted_fraction=np.float32(0.5), backtracks=np.int32(1), cg_residual=np.float32(0.375),
        curvature_ok=np.True_, finite=np.True_)


CURVE = np.asarray([1, 2, 3, 4], np.float32)
_EPOCHS = Epochs(surrogate=CURVE / 8, mean_kl=CURVE / 16, max_kl=CURVE / 4, max_ratio=1 + CURVE, min_ratio=1 / (1 + CURVE),
                 mean_ratio_distance=CURVE / 64, clip_fraction=CURVE / 32, without_gradient=CURVE / 128, entropy=CURVE)


def _ppo(moved, slots) -> PpoUpdate:
    return PpoUpdate(theta=moved, slots=slots, thetas=np.stack([moved] * len(CURVE)), finite=np.True_)
