"""How is a training batch collected? T·N real transitions, the whole rollout one compiled loop.

    a_t = act(s_t, noise_t);   s'_t, r_t = task(s_t, a_t);   s_{t+1} = s'_t, or a new start if the episode ended

The graph holds the policy; the environments are one Python callback a step, which writes what it sees into NumPy
arrays. A finished environment is reset within the step that finished it: no row of a batch is a reset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfpg.envs.engines import Engine
from tfpg.envs.guard import Guard
from tfpg.envs.make import Task, make
from tfpg.envs.world import World
from tfpg.errors import RunError
from tfpg.types import EngineState, Episodes, Trajectory

_FIRST_CAPACITY = 256  # steps of the current episodes remembered before the memory first grows


class Sampler:
    """N environments whose episodes go on from one batch to the next.

    Args: task: from `describe`. seeds: [N], one per environment (tfpg.seeds.environments). threads: of EnvPool.
        patience: seconds one call of the environments may take before EnvironmentHangs is raised.
        maker: what makes the environments; None: `make`. Another one may look at how they are called.
    Errors: UserError if the task cannot be made. Of collect, reset_all and restore: RunError naming task, environment
        and step; EnvironmentHangs, after which only os._exit ends the process; KeyboardInterrupt. After any of them
        the rollout is lost, and the sampler can only be restored or closed."""

    def __init__(self, task: Task, seeds: Sequence[int], threads: int = 1, patience: float = 60.0,
                 maker: Callable[..., Engine] | None = None):
        self.task, self.num_envs = task, len(seeds)
        self.traces = 0  # how often a loop was compiled: constant after the first batch of each act and T
        self._guard = Guard(task.id, patience)
        # The compiled loops know the sampler alone: another pool behind it does not compile them anew, and closing
        # empties it, since TensorFlow keeps what a compiled loop refers to (a pool each, 25 MB).
        self._world = World(task, (maker or make)(task, seeds, threads))
        self._everywhere = np.arange(self.num_envs, dtype=np.int32)
        self._memory = _actions(task, self.num_envs, _FIRST_CAPACITY)  # [N, capacity, …] of the current episodes
        self._compiled: dict[Callable, Callable] = {}
        self._batch: _Batch  # of the call under way

    def collect(self, act: Callable, num_steps: int, noise: Any, *arguments: Any) -> tuple[Trajectory, Episodes]:
        """T steps of every environment, from where each stands.

        Args: act: act(obs [N, S] float32, noise_t, *arguments) → actions [N, A] float32, or [N] int32 from 0; pure
            TensorFlow (no AutoGraph), compiled once for each object `act` and each T. num_steps: T.
            noise: [T, N, …], whose row t is noise_t. arguments: nested tensors.
        Returns: Trajectory and Episodes of NumPy arrays, the caller's own."""
        noise, arguments = as_tensors((noise, arguments))
        if noise.shape[0] != num_steps:
            raise ValueError(f"noise has {noise.shape[0]} rows for {num_steps} steps")
        batch = self._batch = _Batch(self.task, num_steps, self.num_envs)

        def work():
            if not self._world.starts.any():
                self._world.begin(self._everywhere)
            self._loop(act)(tf.constant(self._world.obs, tf.float32), noise, arguments)

        self._guard.run(self._world.engine, work)
        del self._batch
        return batch.trajectory, batch.episodes()

    def reset_all(self) -> None:
        """Begins a new episode in every environment; the unfinished ones are dropped, as the authors sampled."""
        self._guard.run(self._world.engine, lambda: self._world.begin(self._everywhere))

    def state(self) -> EngineState:
        """Where every environment stands. EnvPool cannot save itself: the state is the way to get there again."""
        world = self._world
        played = np.arange(self._memory.shape[1]) < world.lengths[:, None]
        return EngineState(world.starts.copy(), world.lengths.copy(), self._memory[played], world.obs.copy(),
                           world.returns.copy())

    def restore(self, state: EngineState) -> None:
        """Brings every environment to where it stood: as many starts, then the current episode's actions again.

        Errors: RunError if an observation or return differs by a single bit from the stored one, or if the state is
            that of another number of environments or another task."""
        state = EngineState(*map(np.asarray, state))
        self._check_fits(state)
        # room for the longest episode, filled environment by environment, as state() emptied it
        self._memory = _actions(self.task, self.num_envs, max(_FIRST_CAPACITY, int(state.lengths.max())))
        self._memory[np.arange(self._memory.shape[1]) < state.lengths[:, None]] = state.actions
        self._guard.run(self._world.engine, lambda: self._replay(state))

    def close(self) -> None:
        """Frees the environments, unless one hangs: waiting for it would hang as well."""
        if self._world is not None and not self._guard.hangs:
            self._world.engine.close()
        self._world = None  # type: ignore[assignment]  # nothing but `close` may be called afterwards
        self._compiled = {}

    def _loop(self, act: Callable) -> Callable:
        """The compiled rollout of one `act`."""
        if act not in self._compiled:

            def rollout(obs, noise, arguments):
                self.traces += 1

                def step(t, obs, _):
                    actions = act(obs, noise[t], *arguments)
                    after, going = tf.numpy_function(self._advance, [actions], [tf.float32, tf.bool])
                    return t + 1, tf.ensure_shape(after, obs.shape), tf.ensure_shape(going, [])

                return tf.while_loop(lambda t, _, going: (t < noise.shape[0]) & going, step,
                                     (tf.constant(0), obs, tf.constant(True)), parallel_iterations=1)[0]

            self._compiled[act] = tf.function(rollout, autograph=False)
        return self._compiled[act]

    def _advance(self, actions: np.ndarray) -> tuple[np.ndarray, np.bool_]:
        """The callback: s_{t+1} and whether to go on. TensorFlow may keep what it returns: never a buffer."""
        try:
            self._guard.check()
            self._step(actions)
            return self._world.obs.astype(np.float32), np.True_
        except BaseException as error:  # noqa: BLE001  (raised again by Guard.run)
            self._guard.keep(error)
            return np.zeros((self.num_envs, self.task.obs_size), np.float32), np.False_

    def _step(self, actions: np.ndarray) -> None:
        world, batch = self._world, self._batch
        obs, steps = world.obs.copy(), world.lengths.copy()
        outcome = world.advance(actions, self._everywhere)
        if steps.max() == self._memory.shape[1]:
            self._memory = np.concatenate([self._memory, np.zeros_like(self._memory)], axis=1)
        self._memory[self._everywhere, steps] = actions
        batch.write(Trajectory(obs, actions, outcome.rewards, outcome.terminated, outcome.truncated,
                               outcome.successors, steps))
        ended = np.flatnonzero(outcome.terminated | outcome.truncated).astype(np.int32)
        if ended.size:
            batch.ended(world.returns[ended], world.lengths[ended])
            world.begin(ended)

    def _replay(self, state: EngineState) -> None:
        world = self._world
        world.skip_to(np.maximum(state.starts - 1, 0))
        world.forget()
        if not state.starts.any():
            return  # stored before the first batch
        world.begin(self._everywhere)
        early = np.zeros(self.num_envs, bool)
        for t in range(int(state.lengths.max())):
            self._guard.check()
            ids = np.flatnonzero(state.lengths > t).astype(np.int32)
            outcome = world.advance(self._memory[ids, t], ids)
            early[ids] |= outcome.terminated | outcome.truncated  # an episode that ended would have been reset
        differs = _bits(world.obs, state.obs).any(axis=1) | _bits(world.returns, state.returns) | early
        if differs.any():
            raise RunError(f"environment {np.flatnonzero(differs)[0]} of {self.task.id} did not come back to where it "
                           "stood: the checkpoint is damaged, or was written with other versions or another machine.")

    def _check_fits(self, state: EngineState) -> None:
        n, shape = self.num_envs, self._memory.shape[2:]
        fits = (state.starts.shape == state.lengths.shape == state.returns.shape == (n,)
                and state.obs.shape == (n, self.task.obs_size)
                and state.actions.shape == (state.lengths.sum(), *shape)
                and (state.starts > 0).all() == (state.starts > 0).any() and (state.lengths >= 0).all())
        if not fits:
            raise RunError(f"the stored state of the environments does not fit {n} environments of {self.task.id}.")


class _Batch:
    """The arrays of one rollout, written a step at a time."""

    def __init__(self, task: Task, num_steps: int, num_envs: int):
        def rows(*shape, dtype=np.float32):
            return np.zeros((num_steps, num_envs, *shape), dtype)

        actions = rows(dtype=np.int32) if task.discrete else rows(task.action_size)
        self.trajectory = Trajectory(
            rows(task.obs_size), actions, rows(), rows(dtype=bool), rows(dtype=bool), rows(task.obs_size),
            rows(dtype=np.int32))
        self._t = 0
        self._returns: list[np.ndarray] = []
        self._lengths: list[np.ndarray] = []

    def write(self, row: Trajectory) -> None:
        for array, values in zip(self.trajectory, row, strict=True):
            array[self._t] = values
        self._t += 1

    def ended(self, returns: np.ndarray, lengths: np.ndarray) -> None:
        self._returns.append(returns)
        self._lengths.append(lengths)

    def episodes(self) -> Episodes:
        return Episodes(np.concatenate([np.zeros(0), *self._returns]),
                        np.concatenate([np.zeros(0, np.int64), *self._lengths]))


def _actions(task: Task, num_envs: int, capacity: int) -> np.ndarray:
    if task.discrete:
        return np.zeros((num_envs, capacity), np.int32)
    return np.zeros((num_envs, capacity, task.action_size), np.float32)


def _bits(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where two float64 arrays differ in any bit: == would let 0 pass for −0."""
    return np.ascontiguousarray(a).view(np.int64) != np.ascontiguousarray(b, np.float64).view(np.int64)


def as_tensors(nested: Any) -> Any:
    """Nested arrays and numbers as tensors."""
    # a Python number would be part of the graph, which each new number would then compile anew
    return tf.nest.map_structure(lambda leaf: None if leaf is None else tf.convert_to_tensor(leaf), nested)
