"""What do θ_i and θ_{i+1} earn? Every update of a run's film that is asked for, both ends on the same episodes.

    J(θ_{i+1}) − J(θ_i),   both under the normaliser that was frozen during iteration i

Start states and action noise are named by (seed, i, episode, step): the same for both ends of an update, others for every other
update, so that the differences of several updates are independent given the film. Every episode is finished."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

import numpy as np

from tfpg import seeds
from tfpg.algos.networks import networks
from tfpg.checkpoint import digest, named
from tfpg.diagnostics.parts import Parts
from tfpg.diagnostics.probe import computed_by
from tfpg.diagnostics.returns import LIMIT, NUM_ENVS
from tfpg.diagnostics.trust_regions.heldout import Step, step_on_film
from tfpg.envs.episodes import CHUNK, EpisodeSampler
from tfpg.envs.make import describe
from tfpg.envs.transforms import normalise_observation
from tfpg.run_directory import RunDirectory
from tfpg.settings import to_dict
from tfpg.types import Moments

ENDS = ("before", "after")  # θ_i, θ_{i+1}
VERSION = 1  # to be raised when the same update gets other numbers by a change of this code
TOGETHER = 8  # updates, two points each: 512 environments stepped as one, as in diagnostics.returns
RUN = 3 * NUM_ENVS  # episodes of a unit that is kept: half a minute of eight updates of Hopper on 2 cores may be lost to a kill
_OTHER = 2**32 - 1  # the first look at iteration i has the numbers of iteration 2³² − 1 − i, which no run has

Progress = Callable[[int, int, float], None]  # episodes, pairs, seconds (0: read)


class Played(NamedTuple):
    """Episodes of several updates (NumPy). An update that did not move θ is not played: NaN, and length 0."""

    iterations: np.ndarray  # [n]
    moved: np.ndarray  # [n] bool: θ_{i+1} ≠ θ_i
    returns: np.ndarray  # [n, 2, M] float64, of ENDS
    lengths: np.ndarray  # [n, 2, M] int64
    cut: np.ndarray  # [n, 2, M] bool: ended by the limit of tasks that have none

    def gains(self) -> np.ndarray:
        """R_m(θ_{i+1}) − R_m(θ_i), [n, M]; exactly 0 where θ did not move."""
        return np.where(self.moved[:, np.newaxis], self.returns[:, 1] - self.returns[:, 0], 0.0)


class Player:
    """Plays the updates of a run; to be closed, or used in a `with`.

    Args: seed: of start states and noise. parts: where what is done is kept. first_look: on numbers of its own.
    Errors: UserError for a task that cannot be made here; as of tfpg.envs.episodes."""

    def __init__(self, run: RunDirectory, *, seed: int, parts: Parts | None = None, first_look: bool = False):
        self._run, self._config, self._seed, self._first = run, run.config, seed, first_look
        config = self._config
        self.task = describe(config.env, config.env_args, config.rollout.engine, patience=config.rollout.patience)
        self._nets = networks(self.task, algorithm=config.algorithm, value=config.value, network=config.network,
                              code_level=config.code_level, seed=config.seed)
        self._parts = parts or Parts(None)
        self._facts = {"instrument": "steps", "settings": to_dict(config), "engine": self.task.engine, **computed_by(), "seed": seed,
                       "first_look": first_look, "num_envs": NUM_ENVS, "chunk": CHUNK, "limit": LIMIT, "version": VERSION}
        self._sampler: EpisodeSampler | None = None

    def play(self, iterations: Sequence[int] | np.ndarray, episodes: int,
             progress: Progress = lambda episodes, pairs, seconds: None) -> Played:
        """M episodes of both ends of each update. No update's numbers depend on those beside it, nor on M but for how many there are.

        Errors: UserError naming a missing or damaged frame; KeyboardInterrupt, after which finished units stay."""
        steps = [step_on_film(self._run, int(i)) for i in iterations]
        moved = np.array([not np.array_equal(step.theta, step.theta_next) for step in steps], bool)
        shape = (len(steps), len(ENDS), episodes)
        found = Played(np.array(iterations, np.int64), moved, np.full(shape, np.nan), np.zeros(shape, np.int64), np.zeros(shape, bool))
        progress(len(ENDS) * episodes * int((~moved).sum()), 0, 0.0)
        places = np.flatnonzero(moved)
        for some in (places[first:first + TOGETHER] for first in range(0, len(places), TOGETHER)):
            self._group([steps[place] for place in some], some, found, progress)
        return found

    def moved(self, iteration: int) -> bool:
        """Whether the update of an iteration moved θ. Errors: UserError naming a missing or damaged frame."""
        step = step_on_film(self._run, int(iteration))
        return not np.array_equal(step.theta, step.theta_next)

    def close(self) -> None:
        """Frees the environments."""
        if self._sampler is not None:
            self._sampler.close()
        self._sampler = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _group(self, steps: Sequence[Step], places: np.ndarray, found: Played, progress: Progress) -> None:
        """Updates that are played together, unit after unit."""
        episodes, fresh = found.returns.shape[-1], True
        for start in range(0, episodes, RUN):
            unit = range(start, min(start + RUN, episodes))
            facts = [self._facts_of(step, unit) for step in steps]
            shapes = dict.fromkeys(("returns", "lengths", "cut"), (len(ENDS), len(unit)))
            kept, seconds = [own for each in facts if (own := self._parts.get(each, shapes)) is not None], 0.0
            if len(kept) < len(steps):
                began = time.perf_counter()
                arrays = self._unit(steps, unit, fresh)
                seconds, fresh = time.perf_counter() - began, False
                kept = [self._parts.put(each, shapes, own) for each, own in zip(facts, arrays, strict=True)]
            for place, own in zip(places, kept, strict=True):
                for name, array in own.items():
                    getattr(found, name)[place, :, unit.start:unit.stop] = array
            progress(len(steps) * len(ENDS) * len(unit), int(sum(own["lengths"].sum() for own in kept)), seconds)

    def _unit(self, steps: Sequence[Step], episodes: range, fresh: bool) -> list[dict[str, np.ndarray]]:
        """These episodes of these updates. Args: fresh: the environments are not yet those of these updates."""
        if fresh:
            self._renew([self._number(step) for step in steps])
        noise = [[int(word) for word in seeds.words(self._seed, "step_noise", self._number(step))] for step in steps for _ in ENDS]
        thetas = np.stack([np.asarray(theta) for step in steps for theta in (step.theta, step.theta_next)])
        moments = [Moments(*map(np.asarray, step.normaliser.observation)) for step in steps for _ in ENDS]
        count, mean, m2 = (np.stack(parts) for parts in zip(*moments, strict=True))
        stacked = Moments(count[:, None, None], mean[:, None], m2[:, None])  # beside observations [K, n, S]
        assert self._sampler is not None  # made when the first updates were new
        results = self._sampler.run(
            self._act, len(episodes), noise, thetas, stacked, first_episode=episodes.start,
            max_steps=LIMIT if self.task.time_limit is None else None, noise_kind="gumbel" if self.task.discrete else "normal")
        return [{name: getattr(results, name)[2 * i:2 * i + 2] for name in ("returns", "lengths", "cut")} for i in range(len(steps))]

    def _renew(self, numbers: Sequence[int]) -> None:
        """The environments of these updates; the compiled loop is kept."""
        rows = [*numbers, *[numbers[-1]] * (TOGETHER - len(numbers))]  # environments that nobody will step
        table = [seeds.environments(self._seed, "step_environments", NUM_ENVS, number) for number in rows for _ in ENDS]
        if self._sampler is None:
            self._sampler = EpisodeSampler(self.task, table, points=len(table), threads=self._config.runtime.env_threads,
                                           patience=self._config.rollout.patience)
        else:
            self._sampler.renew(table)

    def _act(self, obs, noise, thetas, moments):
        return self._nets.policy.act_stacked(thetas, normalise_observation(obs, moments, self._config.code_level), noise)

    def _number(self, step: Step) -> int:
        """What names an update's random numbers."""
        return _OTHER - step.iteration if self._first else step.iteration

    def _facts_of(self, step: Step, episodes: range) -> dict:
        """All that a unit's bits depend on."""
        return {**self._facts, "iteration": step.iteration, "frame": digest(named(step)).hex(), "episodes": [episodes.start, episodes.stop]}


def window(checkpoint: int, *, spread: int, end: int) -> range:
    """Iterations around a checkpoint, which is in their middle but where the run begins or ends.

    Args: spread: how many. end: number of iterations that have an update."""
    first = max(0, min(checkpoint - spread // 2, end - spread))
    return range(first, min(first + spread, end))


def sampled(checkpoint: int, count: int, *, spread: int, end: int, seed: int) -> np.ndarray:
    """`count` iterations of the window, drawn without replacement, ascending; all of it where it has no more. Args: as of `window`.

    Returns: int64 [≤ count]."""
    around = window(checkpoint, spread=spread, end=end)
    draw = seeds.generator(seed, "step_iterations", checkpoint)
    return np.sort(draw.choice(around, min(count, len(around)), replace=False))
