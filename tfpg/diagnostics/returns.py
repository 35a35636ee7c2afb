"""What does each of many θ earn? Episodes fixed beforehand, every one finished, played hundreds at once and kept as they come.

    J(θ) = E[Σ_t r_t],  undiscounted, raw, of the stochastic policy, the normaliser frozen

Common numbers: episode m has the same start state and the same noise at every θ, those of launch.evaluate; so θ_k earns
here what it earns there. Independent numbers: every θ has its own, as an agent meets it.
Work is cut into units of about half a minute. A unit that is done is a file; asked again it is read, not played. So a
killed run goes on where it was, and gives the same bits; and several machines can play the units of one store side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfpg import seeds, storage
from tfpg.diagnostics import parts
from tfpg.diagnostics.parts import digest
from tfpg.diagnostics.probe import Subject
from tfpg.envs.episodes import CHUNK, EpisodeResults, EpisodeSampler
from tfpg.errors import UserError

SAMPLER = 1  # to be raised when the same question gets other bits by a change of this code, so that stored units are not taken
NUM_ENVS = 32  # environments a θ has, as launch.evaluate: episode m is start m div 32 of environment m mod 32
# Environments stepped as one vector. Hopper on 2 cores: 13,000 to 19,000 steps/s bare with 32, 18,000 to 20,000 with 128, 20,000
# to 25,000 with 512, and the policy's share falls likewise; each environment costs a millisecond to make and 0.7 MB.
SLOTS = 512
UNIT_PAIRS = 400_000  # what a kill may cost: about half a minute of Hopper on 2 cores
PILOT_POINTS = 4  # times 32 episodes: the mean length that budgets are divided by is right to some percent
LIMIT = 1000  # steps, for tasks that have no time limit: that of MuJoCo's tasks
Progress = Callable[[int, int, float], None]  # episodes, pairs, seconds
NOISES = {
    "common": "the same start states and action noise at every point: differences between points are sharper",
    "independent": "every point its own, as an agent meets them",
}


class Job(NamedTuple):
    """M episodes of each of n θ."""

    thetas: np.ndarray  # [n, P] float32
    episodes: int  # M
    seed: int
    noise: str = "common"  # of NOISES
    numbers: tuple[tuple[int, ...], ...] | None = None  # names of the points' own streams, for independent numbers
    max_steps: int | None = None  # None: the task's time limit, and LIMIT where it has none


class Pilot(NamedTuple):
    """A first look at θ_k, from episodes of its own: what budgets and announcements are made from."""

    mean_length: float
    length_stderr: float
    mean_return: float
    std: float  # of an episode's return
    episodes: int
    pairs_per_second: float

    def episodes_for(self, pairs: int) -> int:
        """M = ⌈pairs / mean length⌉, the number of episodes of a nominal budget; at least 2, for an error to exist."""
        return max(2, int(np.ceil(pairs / self.mean_length)))


class Store:
    """Units that are done, by what they are: one file each in a directory."""

    def __init__(self, directory: Path):
        self.directory = Path(directory)

    def get(self, identity: str, points: int, episodes: int) -> EpisodeResults | None:
        """The unit [points, episodes], if it was played before. Errors: UserError when its file is damaged."""
        path = self._path(identity)
        if not path.exists():
            return None
        try:
            arrays = storage.read_npz(path)
        except UserError as error:
            raise UserError(f"{str(error).rstrip('.')}: remove it, and the same command plays it again.") from error
        # A zip's sums cover its members, not their names; and NumPy would spread a unit of one point over several.
        if {name: array.shape for name, array in arrays.items()} != dict.fromkeys(EpisodeResults._fields, (points, episodes)):
            raise UserError(f"{path} is damaged: it does not hold {episodes} episodes of {points} points: remove it, and the same "
                            "command plays it again.")
        return EpisodeResults(**arrays)

    def put(self, identity: str, results: EpisodeResults) -> None:
        """Keeps a unit."""
        storage.make_directory(self.directory)
        storage.write_npz(self._path(identity), **results._asdict())

    def _path(self, identity: str) -> Path:
        return self.directory / f"{identity}.npz"


def play(subject: Subject, job: Job, *, threads: int = 2, store: Store | None = None,
         progress: Progress = lambda episodes, pairs, seconds: None) -> EpisodeResults:
    """The returns of every θ.

    Args: subject: a policy as a function of θ. threads: of EnvPool; no result depends on it. store: of finished units.
        progress: called after each unit with its episodes, its pairs and the seconds it took, 0 where it was read.
    Returns: EpisodeResults [n, M]. Memory: that of the results and of SLOTS environments, whatever n is.
    Errors: RunError naming the environment that broke; KeyboardInterrupt, after which finished units stay."""
    count = len(job.thetas)
    found = EpisodeResults(np.full((count, job.episodes), np.nan), np.zeros((count, job.episodes), np.int64),
                           np.zeros((count, job.episodes), bool))
    for points, runs in _units(count, job.episodes):
        for episodes, results in _played(subject, job, points, runs, threads=threads, store=store, progress=progress):
            for whole, part in zip(found, results, strict=True):
                whole[points.start:points.stop, episodes.start:episodes.stop] = part
    return found


def play_share(subject: Subject, jobs: Sequence[Job], number: int, count: int, *, store: Store, threads: int = 2,
               progress: Progress = lambda episodes, pairs, seconds: None) -> int:
    """One of `count` shares of all units of several jobs: those whose running number is `number` modulo `count`.

    They are left in the store, where `play` finds them: after all shares it plays nothing. Another count later on plays only
    what is missing. Args: number: 0 … count − 1. Others, errors: as of `play`. Returns: how many units it has."""
    first = units = 0
    for job in jobs:
        for points, runs in _units(len(job.thetas), job.episodes):
            mine = runs[(number - first) % count::count]
            for _ in _played(subject, job, points, mine, threads=threads, store=store, progress=progress):
                units += 1
            first += len(runs)
    return units


def episodes_of_share(jobs: Sequence[Job], number: int, count: int) -> int:
    """Episodes that `play_share` plays or finds. Args: as of it."""
    sizes = [len(points) * len(run) for job in jobs for points, runs in _units(len(job.thetas), job.episodes) for run in runs]
    return sum(sizes[number::count])


def pilot(subject: Subject, seed: int, *, threads: int = 2, max_steps: int | None = None) -> Pilot:
    """128 episodes of θ_k on streams of their own. Args: as of `play`."""
    thetas = np.tile(subject.theta, (PILOT_POINTS, 1))
    numbers = tuple((2**32 - 1, i) for i in range(PILOT_POINTS))
    job = Job(thetas, NUM_ENVS, seed, "independent", numbers, max_steps)
    player = _Player(subject, job, range(PILOT_POINTS), threads)
    try:
        player.run(range(NUM_ENVS), max_steps=2)  # compiles
        begin = time.perf_counter()
        results = player.run(range(NUM_ENVS, 2 * NUM_ENVS))
        seconds = time.perf_counter() - begin
    finally:
        player.close()
    lengths, returns = results.lengths.ravel(), results.returns.ravel()
    return Pilot(float(lengths.mean()), float(lengths.std(ddof=1) / np.sqrt(lengths.size)), float(returns.mean()),
                 float(returns.std(ddof=1)), lengths.size, float(lengths.sum() / seconds))


def _played(subject: Subject, job: Job, points: range, runs: Sequence[range], *, threads: int, store: Store | None,
            progress: Progress) -> Iterator[tuple[range, EpisodeResults]]:
    """Some units of the same points, read or played, by their episodes."""
    player = None
    try:
        for episodes in runs:
            identity = _identity(subject, job, points, episodes)
            results = store.get(identity, len(points), len(episodes)) if store is not None else None
            begin, seconds = time.perf_counter(), 0.0
            if results is None:
                player = player or _Player(subject, job, points, threads)
                results = player.run(episodes)
                seconds = time.perf_counter() - begin
                if store is not None:
                    store.put(identity, results)
            progress(results.lengths.size, int(results.lengths.sum()), seconds)
            yield episodes, results
    finally:
        if player is not None:
            player.close()


class _Player:
    """The environments of one unit's points."""

    def __init__(self, subject: Subject, job: Job, points: range, threads: int):
        self._subject, self._job = subject, job
        self._thetas = job.thetas[points.start:points.stop]
        if job.noise == "common":
            table: Sequence[Any] = seeds.environments(job.seed, "evaluation_environments", NUM_ENVS)
            self._noise: list[Any] = [int(word) for word in seeds.words(job.seed, "evaluation_noise")]
        else:
            names = _names(job, points)
            table = [seeds.environments(job.seed, "landscape_environments", NUM_ENVS, *name) for name in names]
            self._noise = [[int(word) for word in seeds.words(job.seed, "landscape_noise", *name)] for name in names]
        self._sampler = EpisodeSampler(subject.task, table, points=len(points), threads=threads, patience=subject.patience)

    def run(self, episodes: range, max_steps: int | None = None) -> EpisodeResults:
        subject = self._subject
        return self._sampler.run(subject.act, len(episodes), self._noise, self._thetas, first_episode=episodes.start,
                                 max_steps=max_steps or self._max_steps(), noise_kind=subject.noise_kind)

    def close(self) -> None:
        self._sampler.close()

    def _max_steps(self) -> int | None:
        return self._job.max_steps or (LIMIT if self._subject.task.time_limit is None else None)


def _units(count: int, episodes: int) -> Iterator[tuple[range, list[range]]]:
    """Points that are played together, and the runs of episodes in which they are.

    A unit's size follows from the counts alone, never from what was measured: it names the files that resume."""
    points = max(1, SLOTS // NUM_ENVS)
    # 300 steps an episode are typical of a hopper; whole rounds of the environments, none idle
    run = max(1, round(UNIT_PAIRS / 300 / min(count, points) / NUM_ENVS)) * NUM_ENVS
    for first in range(0, count, points):
        yield (range(first, min(first + points, count)),
               [range(start, min(start + run, episodes)) for start in range(0, episodes, run)])


def _names(job: Job, points: range) -> list[tuple[int, ...]]:
    """Of the points' own streams, where numbers are independent."""
    if job.numbers is None:
        raise ValueError(f"points of {job.noise} noise have no names")
    return [job.numbers[i] for i in points]


def _identity(subject: Subject, job: Job, points: range, episodes: range) -> str:
    """A name that says all a unit's bits depend on."""
    facts: dict[str, Any] = {
        **{name: value for name, value in subject.provenance().items() if name not in ("policy",)},
        "thetas": digest(job.thetas[points.start:points.stop]), "noise": job.noise, "seed": job.seed,
        "numbers": None if job.noise == "common" else [list(name) for name in _names(job, points)],
        "max_steps": job.max_steps, "limit": LIMIT, "episodes": [episodes.start, episodes.stop], "num_envs": NUM_ENVS,
        "chunk": CHUNK, "sampler": SAMPLER,
    }
    return parts.identity(facts)
