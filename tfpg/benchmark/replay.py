"""What do the environments alone take for what a sampler had them do? The same calls again, without the sampler.

An engine's answers depend on its seeds and on what it was told alone, so a twin with the same seeds, told the same, does the
same work: steps with the same actions, resets of the same environments, in the same order."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tfpg.envs.engines import Engine, Outcome
from tfpg.envs.make import Task, make


class Call(NamedTuple):
    """One call of an engine."""

    kind: str  # skip_to, reset, step
    actions: np.ndarray | None
    ids: np.ndarray  # of skip_to: the starts


class Listening:
    """An engine that writes down how it is called; copying the actions takes some microseconds a call."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self.calls: list[Call] = []

    @property
    def num_envs(self) -> int:
        return self._engine.num_envs

    @property
    def beats(self) -> int:
        return self._engine.beats

    @property
    def current(self) -> int | None:
        return self._engine.current

    def skip_to(self, starts: np.ndarray) -> None:
        self.calls.append(Call("skip_to", None, starts.copy()))
        self._engine.skip_to(starts)

    def reset(self, ids: np.ndarray) -> np.ndarray:
        self.calls.append(Call("reset", None, ids.copy()))
        return self._engine.reset(ids)

    def step(self, actions: np.ndarray, ids: np.ndarray) -> Outcome:
        self.calls.append(Call("step", actions.copy(), ids.copy()))
        return self._engine.step(actions, ids)

    def close(self) -> None:
        self._engine.close()


class Pair:
    """A listening engine for a sampler, and its twin. Args: task, seeds, threads: of both."""

    def __init__(self, task: Task, seeds: list[int], threads: int):
        self.listening: Listening  # once the sampler is made
        self._twin = make(task, seeds, threads)

    def maker(self, task: Task, seeds: list[int], threads: int) -> Listening:
        """Makes the sampler's environments: to be handed to it."""
        self.listening = Listening(make(task, seeds, threads))
        return self.listening

    def replay(self) -> tuple[int, float]:
        """Has the twin do what the sampler's environments did since the last time. Returns: steps, seconds."""
        calls, self.listening.calls = self.listening.calls, []
        return replay(self._twin, calls)

    def close(self) -> None:
        """Frees the twin."""
        self._twin.close()


def replay(engine: Engine, calls: list[Call]) -> tuple[int, float]:
    """The same calls again. Returns: environment steps, seconds."""
    steps, begin = 0, time.perf_counter()
    for call in calls:
        if call.actions is not None:
            engine.step(call.actions, call.ids)
            steps += len(call.ids)
        else:
            getattr(engine, call.kind)(call.ids)
    return steps, time.perf_counter() - begin


def play(engine: Engine, draw: Callable[[], np.ndarray], num_steps: int, *, begun: bool) -> tuple[int, float]:
    """Every environment so many steps, finished ones reset at once. Args: draw: the actions of one step, made beforehand.

    Returns: environment steps, seconds."""
    everywhere = np.arange(engine.num_envs, dtype=np.int32)
    if not begun:
        engine.reset(everywhere)
    begin = time.perf_counter()
    for _ in range(num_steps):
        outcome = engine.step(draw(), everywhere)
        ended = np.flatnonzero(outcome.terminated | outcome.truncated).astype(np.int32)
        if ended.size:
            engine.reset(ended)
    return num_steps * engine.num_envs, time.perf_counter() - begin
