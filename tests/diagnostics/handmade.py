"""An iteration that nobody trained: right names, shapes and dtypes, random numbers; and its snapshot."""

import numpy as np
import tensorflow as tf

from tfpg import snapshot
from tfpg.config import CodeLevel, Config, Network, Ppo, Rollout, Trpo, Value
from tfpg.envs.make import describe
from tfpg.models import policy, value
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

T, N = 6, 4


def config(env="Hopper-v5", *, algorithm=None, value_target="gae", seed=3, **rollout) -> Config:
    minibatches = {"minibatches": 2}
    return Config(
        preset="ppo" if isinstance(algorithm, Ppo) else "trpo", env=env, seed=seed, total_steps=20 * T * N,
        algorithm=algorithm or Trpo(), code_level=CodeLevel(observation_clip=5.0),
        rollout=Rollout(num_steps=T * N, num_envs=N, **rollout), network=Network(hidden=(8, 7)),
        value=Value(target=value_target, **minibatches))


class Made:
    """A configuration with its task, models and one iteration."""

    def __init__(self, config: Config, *, index: int = 7):
        self.config = config
        self.task = describe(config.env, config.env_args, config.rollout.engine)
        sizes = (self.task.obs_size, self.task.action_size, self.task.discrete)
        self.policy = policy.build(*sizes, config.network, config.code_level, config.seed)
        critic_size = self.task.obs_size + (config.value.target == "returns")
        self.value = value.build(critic_size, config.network, config.code_level, config.seed)
        self.draw = np.random.default_rng(index)
        self.iteration = self._iteration(index)

    def save(self, directory):
        snapshot.Writer(self.config, self.task, self.policy, self.value).save(directory, self.iteration)
        return directory

    def obs(self, n: int) -> np.ndarray:
        """Raw observations as the normaliser expects them, and a few far out."""
        obs = 3 + 2 * self.draw.normal(size=(n, self.task.obs_size))
        obs[: n // 8] *= 1e6
        return obs.astype(np.float32)

    def _iteration(self, k: int) -> Iteration:
        trpo = isinstance(self.config.algorithm, Trpo)
        before, after = self._learner(), self._learner()
        region = TrustRegion(
            *(self._floats(*([5] if name.endswith("quantiles") else [])) for name in TrustRegion._fields))
        theta = after.theta
        record = TrpoUpdate if trpo else PpoUpdate
        fields = {name: np.float32(self.draw.normal()) for name in record._fields}
        fields["theta"], fields["finite"] = theta, np.True_
        if trpo:
            fields.update(proposed=tf.constant(before.theta + 2 * (theta - before.theta)), gradient=before.theta,
                          accepted=np.True_, curvature_ok=np.True_, backtracks=np.int32(1))
        else:
            fields.update(slots=after.policy_slots, thetas=self._floats(10, len(theta)))
        schedule = {"value_step_size": 3e-4, ("delta" if trpo else "policy_step_size"): 0.01}
        update = Update(after, record(**fields), ValueUpdate(after.phi, after.value_slots, self._floats(10), np.True_),
                        np.float32(1), np.float32(1), self._floats(T * N), schedule)
        moved = Moved(region, None if trpo else Epochs(*(self._floats(10) for _ in Epochs._fields)), Drift(*self._floats(4)))
        batch, trajectory = self._data()
        normaliser = self._normaliser()
        state = RunState(k + 1, (k + 2) * T * N, after, self._normaliser(), self.draw.normal(size=N), self._engine())
        return Iteration(k, (k + 1) * T * N, (k + 2) * T * N, before, normaliser, trajectory, batch,
                         Episodes(self.draw.normal(size=2), np.array([3, 4])), update, lambda: moved,
                         {"update": 0.1}, state)

    def _learner(self) -> Learner:
        theta = self.policy.initial_theta() + 0.3 * self._floats(self.policy.layout.size)
        phi = self.value.initial_phi() + 0.3 * self._floats(self.value.layout.size)
        return Learner(theta, phi, self._slots(theta), self._slots(phi))

    def _slots(self, like) -> Slots:
        return Slots(tf.constant(12.0), tf.constant(self._floats(like.shape[0])), tf.constant(self._floats(like.shape[0])))

    def _normaliser(self) -> Normaliser:
        size = self.task.obs_size
        return Normaliser(Moments(tf.constant(400.0, tf.float64), tf.constant(3 + self.draw.normal(size=size)),
                                  tf.constant(1600.0 + self.draw.normal(size=size))),
                          Moments(tf.constant(400.0, tf.float64), tf.constant(1 / 3, tf.float64), tf.constant(9.0, tf.float64)))

    def _engine(self) -> EngineState:
        lengths = np.arange(N)
        return EngineState(np.full(N, 2), lengths, self._actions(int(lengths.sum())),
                           self.draw.normal(size=(N, self.task.obs_size)), self.draw.normal(size=N))

    def _data(self) -> tuple[Batch, Trajectory]:
        size, timed = self.task.obs_size, self.config.value.target == "returns"
        obs, actions = self._floats(T, N, size), self._actions(T, N)
        flags = self.draw.random((2, T, N)) < 0.2
        trajectory = Trajectory(obs, actions, self._floats(T, N), *flags, self._floats(T, N, size),
                                np.arange(T * N, dtype=np.int32).reshape(T, N))
        flat = obs.reshape(T * N, size)
        return Batch(flat, self._floats(T * N, size + timed), actions.reshape(T * N, *actions.shape[2:]),
                     *(self._floats(T * N) for _ in range(3))), trajectory

    def _actions(self, *shape: int) -> np.ndarray:
        if self.task.discrete:
            return self.draw.integers(self.task.action_size, size=shape).astype(np.int32)
        return self._floats(*shape, self.task.action_size)

    def _floats(self, *shape: int) -> np.ndarray:
        return self.draw.normal(size=shape).astype(np.float32)
