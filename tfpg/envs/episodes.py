"""What return does each of K policies earn? Whole episodes, and where asked the transitions they are made of.

Episode m is played in environment m mod N, its start m div N: a fixed quota for each environment, every episode that
began is finished, so short episodes are not favoured (the first M to end would be the short ones). Point k has N
environments of its own; noise is named by (noise seed, episode, step). Given the same seeds, two points differ by
their policies alone (common random numbers); given seeds of their own, their errors are independent. Either way a
point's results do not depend on which others are beside it.

Many environments are stepped as one vector, so that what a step costs beside the physics is shared by many; points
whose episodes are all played leave it."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfpg.envs.engines import Engine, Outcome
from tfpg.envs.guard import Guard
from tfpg.envs.make import Task, make
from tfpg.envs.rollout import as_tensors
from tfpg.envs.world import World
from tfpg.errors import UserError
from tfpg.types import Trajectory

CHUNK = 256  # steps of noise drawn at a time: part of every result's identity


class EpisodeResults(NamedTuple):
    """M episodes of each of K points (NumPy)."""

    returns: np.ndarray  # [K, M] float64  undiscounted raw return
    lengths: np.ndarray  # [K, M] int64  steps
    cut: np.ndarray  # [K, M] bool  ended by max_steps, not by the task: the return is a lower part of one


class EpisodeSampler:
    """K points of N environments each, stepped as one vector of K·N.

    Args: task: from `describe`. seeds: [N], the same for every point, or [K][N]. points: K, the most that one call may
        have. threads: of EnvPool. patience: seconds one call of the environments may take. maker: as of rollout.Sampler.
    Errors: as of tfpg.envs.rollout.Sampler."""

    def __init__(self, task: Task, seeds: Sequence[int] | Sequence[Sequence[int]], points: int = 1, threads: int = 1,
                 patience: float = 60.0, maker: Callable[..., Engine] | None = None):
        table = np.asarray(seeds)
        table = np.tile(table, (points, 1)) if table.ndim == 1 else table
        if len(table) != points:
            raise ValueError(f"{len(table)} rows of seeds for {points} points")
        self.task, self.points, self.num_envs = task, points, table.shape[1]
        self.traces = 0
        self._guard, self._threads, self._make = Guard(task.id, patience), threads, maker or make
        self._world = World(task, self._make(task, table.ravel().tolist(), threads))
        self._compiled: dict[Any, Callable] = {}
        self._play: _Play  # of the call under way

    def run(self, act: Callable, episodes: int, noise_seed: Any, *arguments: Any, first_episode: int = 0,
            max_steps: int | None = None, noise_kind: str | None = "normal") -> EpisodeResults:
        """Episodes first_episode … first_episode + M − 1 of every point.

        Results depend on the episode numbers, not on what was run before; going back makes the environments anew
        where the engine cannot wind back (EnvPool: a millisecond each), so continue forwards where there is a choice.

        Args: act: act(obs [k, N, S] float32, noise [k, N, D] float32, *arguments) → actions [k, N, A] float32, or
                [k, N] int32, for the k ≤ K points that have still to play; one row must not depend on another; compiled
                once for each object `act` and each D. Rows of environments that have played their quota go through it
                and are ignored.
            episodes: M. noise_seed: words of all noise of this call, or a list with those of each point.
            arguments: nested tensors, stacked by point [K, …]; their length says how many points play (without
                arguments all do).
            max_steps: cuts episodes of any task; needed where the task has no time limit of its own.
            noise_kind: "normal": D = A standard normal numbers; "gumbel": D = number of actions, so that
                argmax(logits + noise) is a sample of the categorical; None: D = 0, for greedy policies.
        Errors: UserError for a task without a time limit and no max_steps."""
        play = self._played(act, range(first_episode, first_episode + episodes), noise_seed, arguments, max_steps,
                            noise_kind, record=False)
        return EpisodeResults(play.returns, play.lengths, play.cut)

    def collect(self, act: Callable, episodes: int, noise_seed: Any, *arguments: Any, first_episode: int = 0,
                max_steps: int | None = None, noise_kind: str | None = "normal") -> list[Trajectory]:
        """The transitions of the same episodes, one Trajectory [B, 1, …] a point: episode after episode in the order of
        their numbers, raw. Args, errors: as of `run`."""
        play = self._played(act, range(first_episode, first_episode + episodes), noise_seed, arguments, max_steps,
                            noise_kind, record=True)
        return play.trajectories()

    def renew(self, seeds: Sequence[int] | Sequence[Sequence[int]]) -> None:
        """Other environments, the compiled loops kept: a sampler made anew would compile them again, and leak the old ones.

        Args: as of the class; as many rows, or one for all, and columns as before."""
        table = np.asarray(seeds)
        table = np.tile(table, (self.points, 1)) if table.ndim == 1 else table
        if table.shape != (self.points, self.num_envs):
            raise ValueError(f"seeds of shape {table.shape} for {self.points} points of {self.num_envs} environments")
        self._world.engine.close()
        self._world = World(self.task, self._make(self.task, table.ravel().tolist(), self._threads))

    def close(self) -> None:
        """Frees the environments, unless one hangs: waiting for it would hang as well."""
        if self._world is not None and not self._guard.hangs:
            self._world.engine.close()
        self._world = None  # type: ignore[assignment]  # nothing but `close` may be called afterwards
        self._compiled = {}

    def _played(self, act: Callable, episodes: range, noise_seed: Any, arguments: tuple, max_steps: int | None,
                noise_kind: str | None, record: bool) -> _Play:
        if max_steps is None and self.task.time_limit is None:
            raise UserError(f"{self.task.id} has no time limit, so an episode may never end: set max_steps.")
        arguments = as_tensors(arguments)
        points = self._points(arguments)
        noise = _Noise(_words(noise_seed, points), noise_kind, self.task.action_size)
        play = _Play(self._world, noise, self.num_envs, points, episodes, max_steps, record)

        def work():
            play.begin()
            if play.active.size:
                live, obs, drawn = play.seen()
                self._loop(act, noise.size, arguments)(live, obs, drawn, arguments)

        self._play = play
        self._guard.run(self._world.engine, work)
        del self._play
        return play

    def _points(self, arguments: tuple) -> int:
        """How many points play: the length of the arguments."""
        stacked = {leaf.shape[0] for leaf in tf.nest.flatten(arguments)}
        if not stacked:
            return self.points
        if len(stacked) > 1 or max(stacked) > self.points:
            raise ValueError(f"arguments are stacked {sorted(stacked)} times, for at most {self.points} points")
        return stacked.pop()

    def _loop(self, act: Callable, noise_size: int, arguments: tuple) -> Callable:
        """The compiled loop of one `act`: until every quota is played."""
        stacked = tf.nest.map_structure(lambda leaf: tf.TensorSpec([None, *leaf.shape[1:]], leaf.dtype), arguments)
        key = (act, noise_size, repr(stacked))
        if key not in self._compiled:
            shapes = [None], [None, self.num_envs, self.task.obs_size], [None, self.num_envs, noise_size]
            seen = [tf.TensorSpec(shape, dtype) for shape, dtype in zip(shapes, (tf.int32, tf.float32, tf.float32), strict=True)]
            invariants = tf.nest.map_structure(lambda spec: spec.shape, (tf.TensorSpec([]), *seen, stacked))

            def play(live, obs, noise, arguments):
                self.traces += 1

                def of(live):
                    return tf.nest.map_structure(lambda leaf: tf.gather(leaf, live), arguments)

                def step(going, live, obs, noise, theirs):
                    actions = act(obs, noise, *theirs)
                    going, fewer, after, obs, noise = tf.numpy_function(
                        self._advance, [actions], [tf.bool, tf.bool, tf.int32, tf.float32, tf.float32])
                    for tensor, shape in ((going, []), (fewer, []), *zip((after, obs, noise), shapes, strict=True)):
                        tensor.set_shape(shape)
                    return going, after, obs, noise, tf.cond(fewer, lambda: of(after), lambda: theirs)

                return tf.while_loop(
                    lambda going, *_: going, step, (tf.constant(True), live, obs, noise, of(live)),
                    shape_invariants=invariants, parallel_iterations=1)[0]

            self._compiled[key] = tf.function(play, autograph=False, input_signature=[*seen, stacked])
        return self._compiled[key]

    def _advance(self, actions: np.ndarray) -> tuple:
        """The callback: whether to go on, whether points have left, and what the policies see next."""
        try:
            self._guard.check()
            points = len(self._play.live)
            self._play.step(actions)
            return np.bool_(self._play.active.size > 0), np.bool_(len(self._play.live) != points), *self._play.seen()
        except BaseException as error:  # noqa: BLE001  (raised again by Guard.run)
            self._guard.keep(error)
            return np.False_, np.False_, *map(np.zeros_like, self._play.seen())


class _Play:
    """One call: which episode each of the K·N slots plays, and what came of those that ended."""

    def __init__(self, world: World, noise: _Noise, num_envs: int, points: int, episodes: range, max_steps: int | None,
                 record: bool):
        slots = points * num_envs  # those of further points sleep
        self._world, self._noise, self._num_envs, self._episodes = world, noise, num_envs, episodes
        self._max_steps = np.iinfo(np.int64).max if max_steps is None else max_steps
        self._point, environment = np.divmod(np.arange(slots), num_envs)
        # the first episode of each environment that is not before the range: m ≡ i (mod N)
        self._episode = episodes.start + (environment - episodes.start) % num_envs  # [K·N]
        self._chunks = np.zeros((slots, CHUNK, noise.size), np.float32)  # noise of the next steps
        self._recorder = _Recorder() if record else None
        self.active = np.zeros(0, np.int32)  # slots that have still to play, ascending
        self.live = np.zeros(0, np.int32)  # points that have such slots, ascending
        self.returns = np.zeros((points, len(episodes)))
        self.lengths = np.zeros((points, len(episodes)), np.int64)
        self.cut = np.zeros((points, len(episodes)), bool)

    def begin(self) -> None:
        """The first episode of every environment that has one."""
        world, starts = self._world, self._world.starts.copy()
        playing = np.flatnonzero(self._episode < self._episodes.stop).astype(np.int32)
        starts[playing] = self._episode[playing] // self._num_envs
        world.skip_to(starts)
        world.forget()
        self._start(playing)
        self._set_active(playing)

    def seen(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the policies see next: live [k], obs [k, N, S] and noise [k, N, D], fresh arrays."""
        slots = (self.live[:, np.newaxis] * self._num_envs + np.arange(self._num_envs))  # [k, N]
        noise = self._chunks[slots, self._world.lengths[slots] % CHUNK]
        return self.live.copy(), self._world.obs[slots].astype(np.float32), noise

    def step(self, actions: np.ndarray) -> None:
        """One step of every environment that has still to play. actions: [k, N, …]."""
        world, active = self._world, self.active
        rows = np.searchsorted(self.live, self._point[active]) * self._num_envs + active % self._num_envs
        actions = actions.reshape(-1, *actions.shape[2:])[rows]
        before = world.obs[active], world.lengths[active]
        outcome = world.advance(actions, active)
        if self._recorder is not None:
            self._recorder.add(self._point[active], self._episode[active], *before, actions, outcome)
        over = outcome.terminated | outcome.truncated
        cut = ~over & (world.lengths[active] >= self._max_steps)
        self._draw(active[world.lengths[active] % CHUNK == 0])
        if over.any() or cut.any():
            self._finish(active[over | cut], cut[over | cut])

    def trajectories(self) -> list[Trajectory]:
        """What was recorded, a Trajectory [B, 1, …] a point."""
        assert self._recorder is not None  # only what is recorded is asked for
        return self._recorder.trajectories(len(self.returns), self._world.task)

    def _finish(self, slots: np.ndarray, cut: np.ndarray) -> None:
        where = self._point[slots], self._episode[slots] - self._episodes.start
        self.returns[where], self.lengths[where] = self._world.returns[slots], self._world.lengths[slots]
        self.cut[where] = cut
        self._episode[slots] += self._num_envs
        self._start(slots[self._episode[slots] < self._episodes.stop])
        self._set_active(self.active[self._episode[self.active] < self._episodes.stop])

    def _set_active(self, slots: np.ndarray) -> None:
        self.active, self.live = slots, np.unique(self._point[slots]).astype(np.int32)

    def _start(self, slots: np.ndarray) -> None:
        if slots.size:
            self._world.begin(slots)
            self._draw(slots)

    def _draw(self, slots: np.ndarray) -> None:
        """The next chunk of noise of slots that stand at its first step."""
        for slot in slots:
            self._chunks[slot] = self._noise.chunk(
                int(self._point[slot]), int(self._episode[slot]), int(self._world.lengths[slot]) // CHUNK)


class _Recorder:
    """Transitions of all points, in the order in which they happened."""

    def __init__(self):
        self._rows: list[tuple[np.ndarray, ...]] = []

    def add(self, points: np.ndarray, episodes: np.ndarray, obs: np.ndarray, steps: np.ndarray, actions: np.ndarray,
            outcome: Outcome) -> None:
        self._rows.append((
            points, episodes, obs.astype(np.float32), actions, outcome.rewards.astype(np.float32), outcome.terminated,
            outcome.truncated, outcome.successors.astype(np.float32), steps.astype(np.int32)))

    def trajectories(self, count: int, task: Task) -> list[Trajectory]:
        if not self._rows:
            return [_empty(task)] * count
        points, episodes, *columns = (np.concatenate(column) for column in zip(*self._rows, strict=True))
        self._rows = []
        order = np.lexsort((columns[-1], episodes, points))
        bounds = np.searchsorted(points[order], np.arange(count + 1))
        return [Trajectory(*(column[order[low:high], np.newaxis] for column in columns))
                for low, high in itertools.pairwise(bounds)]


def _empty(task: Task) -> Trajectory:
    obs, scalar, flag = np.zeros((0, 1, task.obs_size), np.float32), np.zeros((0, 1), np.float32), np.zeros((0, 1), bool)
    actions = np.zeros((0, 1), np.int32) if task.discrete else np.zeros((0, 1, task.action_size), np.float32)
    return Trajectory(obs, actions, scalar, flag, flag, obs, np.zeros((0, 1), np.int32))


class _Noise:
    """Random numbers named by (noise seed, episode, step), whoever asks and in whatever order."""

    def __init__(self, words: list[tuple[int, ...]], kind: str | None, size: int):
        """Args: words: of each point; equal ones share their numbers."""
        if kind not in ("normal", "gumbel", None):
            raise ValueError(f"noise_kind={kind!r} is not normal, gumbel or None")
        self.size = 0 if kind is None else size  # D
        self._words = words
        # K points ask for the same chunk, at different times if their episodes differ in length. A bound method here would make
        # a cycle, and every call's cache would wait for the garbage collector, which does not see the size of arrays.
        self._drawn = functools.lru_cache(maxsize=4096)(functools.partial(_chunk, kind, self.size))

    def chunk(self, point: int, episode: int, chunk: int) -> np.ndarray:
        """[CHUNK, D]."""
        return self._drawn(self._words[point], episode, chunk)


def _chunk(kind: str | None, size: int, seed: tuple[int, ...], episode: int, chunk: int) -> np.ndarray:
    if kind is None:
        return np.zeros((CHUNK, 0), np.float32)
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence((*seed, episode, chunk))))
    if kind == "normal":
        return generator.standard_normal((CHUNK, size), np.float32)
    return generator.gumbel(size=(CHUNK, size)).astype(np.float32)


def _words(noise_seed: Any, points: int) -> list[tuple[int, ...]]:
    """The words of each point's noise: a list of lists is one a point."""
    words = np.atleast_1d(np.asarray(noise_seed))
    table = np.tile(words, (points, 1)) if words.ndim == 1 else words
    return [tuple(int(word) for word in row) for row in table]
