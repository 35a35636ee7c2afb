"""What return does each of K policies earn? Whole episodes, the same start states and the same noise for all.

Episode m is played in environment m mod N, its start m div N: a fixed quota for each environment, every episode that
began is finished, so short episodes are not favoured (the first M to end would be the short ones). Point k has its
own N environments with the seeds of every other point's; noise is named by (episode, step). So two points differ by
their policies alone (common random numbers), and a point's results do not depend on which others are beside it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfpg.envs.guard import Guard
from tfpg.envs.make import Task, make
from tfpg.envs.rollout import as_tensors
from tfpg.envs.world import World
from tfpg.errors import UserError

CHUNK = 256  # steps of noise drawn at a time: part of every result's identity


class EpisodeResults(NamedTuple):
    """M episodes of each of K points (NumPy)."""

    returns: np.ndarray  # [K, M] float64  undiscounted raw return
    lengths: np.ndarray  # [K, M] int64  steps
    cut: np.ndarray  # [K, M] bool  ended by max_steps, not by the task: the return is a lower part of one


class EpisodeSampler:
    """K points of N environments each, stepped as one vector of K·N.

    Args: task: from `describe`. seeds: [N]. points: K. threads: of EnvPool. patience: seconds one call of the
        environments may take.
    Errors: as of tfpg.envs.rollout.Sampler."""

    def __init__(self, task: Task, seeds: Sequence[int], points: int = 1, threads: int = 1, patience: float = 60.0):
        self.task, self.points, self.num_envs = task, points, len(seeds)
        self.traces = 0
        self._guard = Guard(task.id, patience)
        self._world: World | None = World(task, make(task, list(seeds) * points, threads))
        self._compiled: dict[Callable, Callable] = {}
        self._play: _Play | None = None

    def run(self, act: Callable, episodes: int, noise_seed: int | Sequence[int], *arguments: Any,
            first_episode: int = 0, max_steps: int | None = None, noise_kind: str | None = "normal") -> EpisodeResults:
        """Episodes first_episode … first_episode + M − 1 of every point.

        Results depend on the episode numbers, not on what was run before; going back makes the environments anew
        where the engine cannot wind back (EnvPool: some 100 ms), so continue forwards where there is a choice.

        Args: act: act(obs [K, N, S] float32, noise [K, N, D] float32, *arguments) → actions [K, N, A] float32, or
                [K, N] int32; one row must not depend on another; compiled once for each object `act` and each D. Rows
                of environments that have played their quota go through it and are ignored.
            episodes: M. noise_seed: of all noise of this call. arguments: nested tensors.
            max_steps: cuts episodes of any task; needed where the task has no time limit of its own.
            noise_kind: "normal": D = A standard normal numbers; "gumbel": D = number of actions, so that
                argmax(logits + noise) is a sample of the categorical; None: D = 0, for greedy policies.
        Errors: UserError for a task without a time limit and no max_steps."""
        if max_steps is None and self.task.time_limit is None:
            raise UserError(f"{self.task.id} has no time limit, so an episode may never end: set max_steps.")
        noise = _Noise(noise_seed, noise_kind, self.task.action_size)
        play = _Play(self._world, noise, self.num_envs, range(first_episode, first_episode + episodes), max_steps)
        arguments = as_tensors(arguments)

        def work():
            play.begin()
            if play.active.size:
                self._loop(act)(*map(tf.constant, play.seen()), arguments)

        self._play = play
        self._guard.run(self._world.engine, work)
        self._play = None
        return EpisodeResults(play.returns, play.lengths, play.cut)

    def close(self) -> None:
        """Frees the environments, unless one hangs: waiting for it would hang as well."""
        if self._world is not None and not self._guard.hangs:
            self._world.engine.close()
        self._world, self._compiled = None, {}

    def _loop(self, act: Callable) -> Callable:
        """The compiled loop of one `act`: until every quota is played."""
        if act not in self._compiled:
            grid = [self.points, self.num_envs]

            def play(obs, noise, arguments):
                self.traces += 1

                def step(_, obs, noise):
                    actions = act(tf.reshape(obs, grid + [obs.shape[1]]), tf.reshape(noise, grid + [noise.shape[1]]),
                                  *arguments)
                    going, after, drawn = tf.numpy_function(self._advance, [actions], [tf.bool, tf.float32, tf.float32])
                    return (tf.ensure_shape(going, []), tf.ensure_shape(after, obs.shape),
                            tf.ensure_shape(drawn, noise.shape))

                return tf.while_loop(lambda going, *_: going, step, (tf.constant(True), obs, noise),
                                     parallel_iterations=1)[0]

            self._compiled[act] = tf.function(play, autograph=False)
        return self._compiled[act]

    def _advance(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        try:
            self._guard.check()
            self._play.step(actions)
            return np.bool_(self._play.active.size > 0), *self._play.seen()
        except BaseException as error:  # noqa: BLE001  (raised again by Guard.run)
            self._guard.keep(error)
            return np.False_, *map(np.zeros_like, self._play.seen())


class _Play:
    """One call of `run`: which episode each of the K·N slots plays, and what came of those that ended."""

    def __init__(self, world: World, noise: _Noise, num_envs: int, episodes: range, max_steps: int | None):
        slots = world.engine.num_envs
        points = slots // num_envs
        self._world, self._noise, self._num_envs, self._episodes = world, noise, num_envs, episodes
        self._max_steps = np.iinfo(np.int64).max if max_steps is None else max_steps
        self._point, environment = np.divmod(np.arange(slots), num_envs)
        # the first episode of each environment that is not before the range: m ≡ i (mod N)
        self._episode = episodes.start + (environment - episodes.start) % num_envs  # [K·N]
        self._chunks = np.zeros((slots, CHUNK, noise.size), np.float32)  # noise of the next steps
        self.active = np.zeros(0, np.int32)  # slots that have still to play, ascending
        self.returns = np.zeros((points, len(episodes)))
        self.lengths = np.zeros((points, len(episodes)), np.int64)
        self.cut = np.zeros((points, len(episodes)), bool)

    def begin(self) -> None:
        """The first episode of every environment that has one."""
        self._world.skip_to(self._episode // self._num_envs)
        self._world.forget()
        self._start(np.flatnonzero(self._episode < self._episodes.stop).astype(np.int32))
        self.active = np.flatnonzero(self._episode < self._episodes.stop).astype(np.int32)

    def seen(self) -> tuple[np.ndarray, np.ndarray]:
        """What the policies see next: obs [K·N, S] and noise [K·N, D], float32, fresh arrays."""
        step = self._world.lengths % CHUNK
        return self._world.obs.astype(np.float32), self._chunks[np.arange(len(step)), step]

    def step(self, actions: np.ndarray) -> None:
        """One step of every environment that has still to play. actions: [K, N, …]."""
        world, active = self._world, self.active
        actions = actions.reshape(-1, *actions.shape[2:])
        outcome = world.advance(actions[active], active)
        over = outcome.terminated | outcome.truncated
        cut = ~over & (world.lengths[active] >= self._max_steps)
        self._draw(active[world.lengths[active] % CHUNK == 0])
        if over.any() or cut.any():
            self._finish(active[over | cut], cut[over | cut])

    def _finish(self, slots: np.ndarray, cut: np.ndarray) -> None:
        where = self._point[slots], self._episode[slots] - self._episodes.start
        self.returns[where], self.lengths[where] = self._world.returns[slots], self._world.lengths[slots]
        self.cut[where] = cut
        self._episode[slots] += self._num_envs
        self._start(slots[self._episode[slots] < self._episodes.stop])
        self.active = self.active[self._episode[self.active] < self._episodes.stop]

    def _start(self, slots: np.ndarray) -> None:
        if slots.size:
            self._world.begin(slots)
            self._draw(slots)

    def _draw(self, slots: np.ndarray) -> None:
        """The next chunk of noise of slots that stand at its first step."""
        for slot in slots:
            self._chunks[slot] = self._noise.chunk(int(self._episode[slot]), int(self._world.lengths[slot]) // CHUNK)


class _Noise:
    """Random numbers named by (noise seed, episode, step), whoever asks and in whatever order."""

    def __init__(self, seed: int | Sequence[int], kind: str | None, size: int):
        if kind not in ("normal", "gumbel", None):
            raise ValueError(f"noise_kind={kind!r} is not normal, gumbel or None")
        self.size = 0 if kind is None else size  # D
        self._kind, self._seed = kind, tuple(int(word) for word in np.atleast_1d(seed))
        # K points ask for the same chunk, at different times if their episodes differ in length
        self.chunk = functools.lru_cache(maxsize=4096)(self._chunk) if kind else self._none

    def _chunk(self, episode: int, chunk: int) -> np.ndarray:
        words = np.random.SeedSequence((*self._seed, episode, chunk))
        generator = np.random.Generator(np.random.Philox(words))
        if self._kind == "normal":
            return generator.standard_normal((CHUNK, self.size), np.float32)
        return generator.gumbel(size=(CHUNK, self.size)).astype(np.float32)

    def _none(self, episode: int, chunk: int) -> np.ndarray:
        return np.zeros((CHUNK, 0), np.float32)
