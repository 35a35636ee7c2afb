"""What would the physics alone cost? The same simulation steps as an environment's, and nothing else.

    x_{t+1} = mj_step(x_t, a_t), frame_skip times

Episodes are played once in Gymnasium's task, and cut into stretches of a few steps; each stretch is then stepped again
from where it began, by MuJoCo's own loop in C++ (mujoco.rollout): no observation, no reward, no Python between steps.
The states are those that an environment meets, fresh starts included, but for an episode's last ones where they do not fill a
stretch: a body left lying costs another time."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tfpg.envs.engines import quiet
from tfpg.envs.make import Task

STRETCH = 8  # environment steps: a random hopper's episode has some twenty
_PATIENCE = 100  # attempts a stretch


class Stretches(NamedTuple):
    """n stretches of an episode each, of STRETCH environment steps."""

    model: Any  # mujoco.MjModel
    frame_skip: int
    states: np.ndarray  # [n, X] where each begins: MuJoCo's full physics state
    warmstarts: np.ndarray  # [n, nv] what its solver begins from
    controls: np.ndarray  # [n, STRETCH · frame_skip, nu]
    ends: np.ndarray  # [n, X] where each ended in Gymnasium's task

    @property
    def steps(self) -> int:
        """Environment steps in all of them."""
        return len(self.states) * STRETCH


def record(task: Task, count: int, seed: int) -> Stretches | None:
    """`count` stretches of random episodes, actions standard normal as an untrained policy's; None for a task without MuJoCo, or
    whose random episodes are shorter."""
    import mujoco

    env = single(task)
    inner = env.unwrapped
    try:
        if not (hasattr(inner, "model") and hasattr(inner, "data") and hasattr(inner, "frame_skip")):
            return None
        model, data, draw = inner.model, inner.data, np.random.default_rng(seed)
        kind = mujoco.mjtState.mjSTATE_FULLPHYSICS

        def state() -> np.ndarray:
            found = np.empty(mujoco.mj_stateSize(model, kind))
            mujoco.mj_getState(model, data, found, kind)
            return found

        rows: list[tuple] = []
        env.reset(seed=seed)
        for _ in range(_PATIENCE * count):
            if len(rows) == count:
                break
            begin, warm, over = state(), data.qacc_warmstart.copy(), False
            controls: list[np.ndarray] = []
            while len(controls) < STRETCH and not over:
                action = draw.normal(size=model.nu).astype(np.float32)
                _, _, terminated, truncated, _ = env.step(action)
                controls.append(data.ctrl.copy())
                over = terminated or truncated
            if len(controls) == STRETCH:
                rows.append((begin, warm, np.repeat(controls, inner.frame_skip, axis=0), state()))
            if over:
                env.reset()
        if len(rows) < count:  # random episodes hardly ever last for a stretch
            return None
        return Stretches(model, inner.frame_skip, *(np.stack(column) for column in zip(*rows, strict=True)))
    finally:
        env.close()


class Physics:
    """Steps stretches on so many threads. To be closed."""

    def __init__(self, stretches: Stretches, threads: int):
        import mujoco
        import mujoco.rollout

        self._stretches = stretches
        self._data = [mujoco.MjData(stretches.model) for _ in range(threads)]
        self._rollout = mujoco.rollout.Rollout(nthread=threads if threads > 1 else 0)
        shape = len(stretches.states), stretches.controls.shape[1]
        # The loop writes every state it passes; where to is ours, for making the arrays would be counted.
        self._out = np.zeros((*shape, stretches.states.shape[1])), np.zeros((*shape, stretches.model.nsensordata))

    def play(self) -> np.ndarray:
        """Every stretch once. Returns: where each ended, [n, X]."""
        s = self._stretches
        states, _ = self._rollout.rollout(
            s.model, self._data, s.states, s.controls, initial_warmstart=s.warmstarts, state=self._out[0],
            sensordata=self._out[1])
        return states[:, -1]

    def close(self) -> None:
        """Ends the threads."""
        self._rollout.close()


def single(task: Task) -> Any:
    """The task as Gymnasium makes it, one environment with its own wrappers."""
    import gymnasium as gym

    with quiet():
        return gym.make(task.id, **dict(task.env_args))
