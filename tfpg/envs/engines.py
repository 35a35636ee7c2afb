"""What steps the environments? Two engines with one interface: EnvPool's C++ pool, and a list of Gymnasium tasks.

An engine knows nothing of episodes: it resets and steps the environments it is told to, no others, and never resets
one by itself. The k-th start of environment i depends only on (seed_i, k), whatever happened before."""

from __future__ import annotations

import contextlib
import ctypes
import reprlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from tfpg.envs.opened import opened


class Outcome(NamedTuple):
    """What one step of n environments gave; never an observation after a reset."""

    successors: np.ndarray  # [n, S] float64
    rewards: np.ndarray  # [n] float64
    terminated: np.ndarray  # [n] bool
    truncated: np.ndarray  # [n] bool


class Fault(Exception):
    """An environment broke; the world that knows task and episode makes a RunError of it."""

    def __init__(self, index: int | None, what: str):
        super().__init__(what)
        self.index = index  # which environment; None: the engine cannot tell
        self.what = what


class Engine(Protocol):
    """N environments. Ids are ascending int32 [n]; rows of every answer are in their order."""

    @property
    def num_envs(self) -> int:
        """N."""

    @property
    def beats(self) -> int:
        """Counts entries into and returns from the environments: odd while inside, so silence can be timed."""

    @property
    def current(self) -> int | None:
        """The environment stepped at the moment, if the engine can tell."""

    def skip_to(self, starts: np.ndarray) -> None:
        """Makes the next reset of environment i its start number starts_i, counted from 0. starts: int64 [N]."""

    def reset(self, ids: np.ndarray) -> np.ndarray:
        """The next start of some environments: observations [n, S] float64."""

    def step(self, actions: np.ndarray, ids: np.ndarray) -> Outcome:
        """One step of some environments. actions: [n, A] float32, or [n] int32 from 0."""

    def close(self) -> None:
        """Frees what the environments hold. Nothing may be called afterwards."""


class EnvPoolEngine:
    """EnvPool's pool of C++ environments; each draws its starts from its own stream, one reset after the other.

    A fall in the very step that reaches the time limit is reported as truncated only: with time_limit="bootstrap" such a
    state is valued as if the episode could have gone on. Gymnasium reports both."""

    def __init__(self, task: Any, seeds: Sequence[int], threads: int):
        self.num_envs = len(seeds)
        self.beats = 0
        self.current: int | None = None
        self._task, self._seeds, self._threads = task, [int(seed) for seed in seeds], threads
        self._pool: Any  # EnvPool's, of a class that it makes when it is asked for a task; None once closed
        self._open()

    def skip_to(self, starts: np.ndarray) -> None:
        if np.any(starts < self._starts):
            self.close()  # a pool's streams cannot be wound back
            self._open()
        while (ids := np.flatnonzero(self._starts < starts).astype(np.int32)).size:
            self.reset(ids)

    def reset(self, ids: np.ndarray) -> np.ndarray:
        self._starts[ids] += 1
        with self._entered():
            obs, info = self._pool.reset(ids)
        return np.asarray(obs[self._order(info, ids)], np.float64)

    def step(self, actions: np.ndarray, ids: np.ndarray) -> Outcome:
        if self._task.discrete:
            actions = actions + self._task.action_start
        with self._entered():
            obs, rewards, terminated, truncated, info = self._pool.step(actions.astype(self._action_dtype), ids)
        order = self._order(info, ids)
        return Outcome(np.asarray(obs[order], np.float64), rewards[order].astype(np.float64),
                       terminated[order].astype(bool), truncated[order].astype(bool))

    def close(self) -> None:
        self._pool.close()
        self._pool = None
        _trim()

    def _open(self) -> None:
        import envpool

        with quiet():
            self._pool = envpool.make(
                self._task.id, env_type="gymnasium", num_envs=self.num_envs, seed=self._seeds,
                num_threads=min(self._threads, self.num_envs), **dict(self._task.env_args))
            self._action_dtype = self._pool.action_space.dtype
            _ = self._pool.observation_space  # EnvPool makes it when it is first asked for, and warns then
        self._starts = np.zeros(self.num_envs, np.int64)

    @contextlib.contextmanager
    def _entered(self):
        self.beats += 1
        try:
            yield
        except Exception as error:
            raise Fault(None, _raised(error)) from error
        finally:
            self.beats += 1

    @staticmethod
    def _order(info: dict, ids: np.ndarray) -> Any:
        """Rows by environment: EnvPool promises them in the order in which environments finished."""
        return slice(None) if np.array_equal(info["env_id"], ids) else np.argsort(info["env_id"])


class GymnasiumEngine:
    """A list of Gymnasium tasks, stepped one after the other.

    Not Gymnasium's SyncVectorEnv: it steps all environments or none, whereas an evaluation stops those that have
    played their quota; and it neither names the environment that raised nor sees an observation of another shape.
    The plain loop is also 10–20 % faster (CartPole 87,000 against 71,000 steps/s, Pendulum 52,000 against 47,000).

    Every start is seeded with SeedSequence((seed_i, k)): so also a task with random transitions can be resumed by
    replaying one episode, and a user's own task needs no support for it."""

    def __init__(self, task: Any, seeds: Sequence[int], threads: int):
        self.num_envs = len(seeds)
        self.beats = 0
        self.current: int | None = None
        self._task, self._seeds = task, [int(seed) for seed in seeds]
        with quiet():
            self._envs = [opened(task.id, dict(task.env_args)) for _ in seeds]
        self._action_dtype = np.int64 if task.discrete else self._envs[0].action_space.dtype
        self._starts = np.zeros(self.num_envs, np.int64)

    def skip_to(self, starts: np.ndarray) -> None:
        self._starts = np.array(starts, np.int64)

    def reset(self, ids: np.ndarray) -> np.ndarray:
        obs = np.empty((len(ids), self._task.obs_size))
        for row, i in enumerate(ids.tolist()):
            words = np.random.SeedSequence((self._seeds[i], int(self._starts[i]))).generate_state(1)
            self._starts[i] += 1
            first = self._enter(i, lambda env, seed=int(words[0] >> 1): env.reset(seed=seed))
            if not isinstance(first, tuple) or len(first) != 2:
                raise Fault(i, f"returned {_counted(first)} from reset instead of observation and info")
            obs[row] = self._vector(i, first[0])
        return obs

    def step(self, actions: np.ndarray, ids: np.ndarray) -> Outcome:
        n = len(ids)
        outcome = Outcome(np.empty((n, self._task.obs_size)), np.empty(n), np.empty(n, bool), np.empty(n, bool))
        actions = actions.astype(self._action_dtype)
        if self._task.discrete:
            actions += self._task.action_start
        for row, i in enumerate(ids.tolist()):
            answer = self._enter(i, lambda env, a=actions[row]: env.step(a))
            if not isinstance(answer, tuple) or len(answer) != 5:
                raise Fault(i, f"returned {_counted(answer)} from step instead of observation, reward, terminated, truncated and info")
            outcome.successors[row] = self._vector(i, answer[0])
            outcome.rewards[row] = _number(i, answer[1])
            outcome.terminated[row] = _truth(i, "terminated", answer[2])
            outcome.truncated[row] = _truth(i, "truncated", answer[3])
        return outcome

    def close(self) -> None:
        for env in self._envs:
            closed(env)
        self._envs = []

    def _enter(self, i: int, call: Callable[..., Any]) -> Any:
        self.current = i
        self.beats += 1
        try:
            return call(self._envs[i])
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a task that ends the process, or panics in another language, is one that raises
            raise Fault(i, _raised(error)) from error
        finally:
            self.beats += 1
            self.current = None

    def _vector(self, i: int, obs: Any) -> np.ndarray:
        try:
            vector = None if obs is None else np.asarray(obs, np.float64)  # NumPy makes NaN of None
        except (TypeError, ValueError):
            vector = None
        if vector is None:
            raise Fault(i, f"returned an observation that is no vector of numbers but {type(obs).__name__}")
        if vector.shape != (self._task.obs_size,):
            raise Fault(i, f"returned an observation of shape {vector.shape} instead of ({self._task.obs_size},)")
        return vector


def closed(env: Any) -> None:
    """Closes a Gymnasium task. What it raises then costs nothing any more."""
    try:
        env.close()
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: S110, BLE001
        pass


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of Gymnasium that v4 is out of date and that bounds were cast to float32."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _number(i: int, reward: Any) -> float:
    try:
        return float(reward)
    except (TypeError, ValueError):
        raise Fault(i, f"returned the reward {_short(reward)}, which is no number") from None


def _truth(i: int, name: str, flag: Any) -> bool:
    try:
        if flag is not None:
            return bool(flag)
    except ValueError:  # an array
        pass
    raise Fault(i, f"returned {name} {_short(flag)}, which is neither true nor false")


def _counted(answer: Any) -> str:
    """What came instead of a tuple of the right length."""
    return f"{len(answer)} things" if isinstance(answer, tuple) else type(answer).__name__


def _short(value: Any) -> str:
    return reprlib.repr(value).replace("\n", " ")


def _raised(error: BaseException) -> str:
    lines = str(error).split("\n")
    return f"raised {type(error).__name__}" + (f": {lines[0]}" if lines[0] else "")


def _trim() -> None:
    """Gives freed memory back: without it glibc keeps every closed pool's (8 MB and more each)."""
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)
