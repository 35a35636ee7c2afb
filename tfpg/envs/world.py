"""Where does every environment stand, and is what it returned a transition at all? The only place that steps.

MuJoCo and EnvPool accept NaN actions and wrong shapes in silence, and a single NaN in a batch ruins a run many
iterations before anybody sees it: so everything is checked here, at the step where it happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tfpg.envs.engines import Engine, Fault, Outcome
from tfpg.envs.make import Task
from tfpg.errors import RunError


class World:
    """The environments of one engine with their episodes so far (state: arrays over all N environments)."""

    def __init__(self, task: Task, engine: Engine):
        n = engine.num_envs
        self.task, self.engine = task, engine
        self.obs = np.zeros((n, task.obs_size))  # s_t, float64
        self.starts = np.zeros(n, np.int64)  # resets so far
        self.lengths = np.zeros(n, np.int64)  # t, steps into the current episode
        self.returns = np.zeros(n)  # Σ r of the current episode

    def skip_to(self, starts: np.ndarray) -> None:
        """Makes the next start of environment i its starts_i-th, counted from 0."""
        self._ask(self.engine.skip_to, starts)
        self.starts[:] = starts

    def forget(self) -> None:
        """Back to before any episode."""
        self.obs[:], self.lengths[:], self.returns[:] = 0, 0, 0

    def begin(self, ids: np.ndarray) -> None:
        """Begins the next episode of some environments. ids: ascending int32 [n]."""
        self.lengths[ids], self.returns[ids] = 0, 0.0
        obs = self._ask(self.engine.reset, ids)
        self.starts[ids] += 1
        self._check_obs(obs, ids)
        self.obs[ids] = obs

    def advance(self, actions: np.ndarray, ids: np.ndarray) -> Outcome:
        """One transition of some environments; finished ones stay where they ended until `begin`.

        Args: actions: [n, A] float32, or [n] int32. ids: ascending int32 [n].
        Errors: RunError naming task, environment and step: a bad action, a non-finite answer, an exception."""
        self._check_actions(actions, ids)
        outcome = self._ask(self.engine.step, actions, ids)
        self._check_obs(outcome.successors, ids)
        with np.errstate(over="ignore"):
            finite = np.isfinite(outcome.rewards.astype(np.float32))  # as the learner sees them
        if not finite.all():
            row = int(np.flatnonzero(~finite)[0])
            reward = outcome.rewards[row]
            what = f"the reward {reward}, which is beyond float32" if np.isfinite(reward) else f"the non-finite reward {reward}"
            raise RunError(f"{self._who(ids[row])} returned {what}{self._when(ids[row])}.")
        self.lengths[ids] += 1
        self.returns[ids] += outcome.rewards
        self.obs[ids] = outcome.successors
        return outcome

    def _ask(self, function: Callable, *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Fault as fault:
            raise RunError(f"{self._who(fault.index)} {fault.what}{self._when(fault.index)}.") from fault.__cause__

    def _check_actions(self, actions: np.ndarray, ids: np.ndarray) -> None:
        shape, dtype = ((), np.int32) if self.task.discrete else ((self.task.action_size,), np.float32)
        if actions.shape != (len(ids), *shape) or actions.dtype != dtype:
            raise RunError(f"the policy produced {actions.dtype} actions of shape {actions.shape}, but {self.task.id} "
                           f"with {len(ids)} environments takes {np.dtype(dtype)} {(len(ids), *shape)}.")
        right = (actions >= 0) & (actions < self.task.action_size) if self.task.discrete else np.isfinite(actions)
        if not right.all():
            row = int(np.argwhere(~right)[0][0])
            kind = "unknown" if self.task.discrete else "non-finite"
            raise RunError(f"the policy produced a {kind} action {actions[row]} for {self._who(ids[row])}"
                           f"{self._when(ids[row])}.")

    def _check_obs(self, obs: np.ndarray, ids: np.ndarray) -> None:
        if obs.shape != (len(ids), self.task.obs_size):
            raise RunError(f"{self.task.id} returned observations of shape {obs.shape} instead of "
                           f"{(len(ids), self.task.obs_size)}.")
        # float32 is what the policy sees: 1e39 is finite as float64 only
        with np.errstate(over="ignore"):
            finite = np.isfinite(obs.astype(np.float32))
        if not finite.all():
            row, column = np.argwhere(~finite)[0].tolist()
            what = "an observation beyond float32" if np.isfinite(obs[row, column]) else "a non-finite observation"
            raise RunError(f"{self._who(ids[row])} returned {what} ({obs[row, column]} in component {column}){self._when(ids[row])}.")

    def _who(self, index: int | None) -> str:
        return self.task.id if index is None else f"environment {index} of {self.task.id}"

    def _when(self, index: int | None) -> str:
        return "" if index is None else f" at step {self.lengths[index]} of its episode"
