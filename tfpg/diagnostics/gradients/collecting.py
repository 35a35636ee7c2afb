"""From which pairs are gradients and steps estimated? Disjoint pools, read once, part by part, and kept as they come.

    with Collector(probe, seed=0) as collect:
        collect.group(100_000, 3)               a tenth of a reference of 10⁶ pairs
        collect.estimates(2048, 10)             ten estimates of 2048 pairs each
        collect.step_reference(200_000)         steps from many pairs, and from each half of them

Every group and every unit of estimates has a stream of its own (pools). N pairs are the next N; the last episode is cut and
bootstrapped, and the next estimate begins a random number of pairs after the next episode's start (offsets), so no two share
an episode. Memory is that of a part, for steps that of their pairs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Self

import numpy as np

from tfpg import seeds
from tfpg.diagnostics import offsets
from tfpg.diagnostics.gradients.derivatives import Measure, Sums, whole_episodes
from tfpg.diagnostics.parts import Parts, digest
from tfpg.diagnostics.pools import Stream, environments_for
from tfpg.diagnostics.probe import Probe
from tfpg.diagnostics.updates import Repeated, Repeater
from tfpg.types import Batch, Trajectory

REFERENCES, ESTIMATES, STEP_REFERENCES = 2, 3, 5  # streams, see pools
UNIT_PAIRS = 400_000  # of small estimates that share a stream, and what a kill may cost: about half a minute of Hopper on 2 cores
# To be raised when the same question gets other bits by a change of this code, so that kept parts are not taken.
VERSIONS = {"reference": 1, "step reference": 1, "estimates": 2}
Progress = Callable[[int, float], None]  # pairs, seconds


class Group(NamedTuple):
    """A share of the reference."""

    sums: Sums
    monte_carlo: np.ndarray  # [P]  Σ over episodes of Σ_t ∇log π (G_t − V)
    episodes: int

    @property
    def return_gradient(self) -> np.ndarray:
        """Its estimate of ∇J."""
        return self.monte_carlo / self.episodes


class Estimates(NamedTuple):
    """K independent estimates of one size."""

    gradient: np.ndarray  # [K, P]
    chance: np.ndarray  # [K, P]  with advantages permuted
    step: np.ndarray  # [K, P]  NaN where steps were not asked for
    step_chance: np.ndarray  # [K, P]
    accepted: np.ndarray  # [K]  0: refused by TRPO's line search; the step here is the proposed one


class Collector:
    """Reads the pools of one probe. Args: parts: what was done before. progress: called after each estimate or part."""

    def __init__(self, probe: Probe, *, seed: int, threads: int = 2, parts: Parts | None = None,
                 progress: Progress = lambda pairs, seconds: None):
        self._probe, self._seed, self._threads = probe, seed, threads
        self._parts, self._progress = parts or Parts(None), progress
        self._repeater = Repeater(probe)
        self._measure = Measure(probe, self._repeater)
        self._streams: dict[int, Stream] = {}  # by the number of environments: restarted, never made anew
        self._facts = {
            **{name: value for name, value in probe.provenance().items() if name != "policy"},
            "settings": probe.metadata["settings"],
            "learner": digest(np.asarray(probe.phi), *map(np.asarray, probe.policy_slots)),
            "schedule": probe.schedule, "seed": seed, "unit": UNIT_PAIRS}

    def group(self, pairs: int, number: int) -> Group:
        """The sums of group `number`'s pairs, and of its whole episodes: those that began within them are played to their end.

        (By Wald's identity neither short nor long episodes are favoured so.)"""
        size = len(self._probe.theta)
        shapes = dict.fromkeys(Sums.FIELDS, ()) | dict.fromkeys(("score", "weighted", "permuted", "monte_carlo"), (size,))
        kept = self._kept({"kind": "reference", "pairs": pairs, "group": number}, {**shapes, "episodes": ()}, pairs,
                          lambda: self._grouped(pairs, number))
        return Group(Sums.of(kept), kept["monte_carlo"], int(kept["episodes"]))

    def estimates(self, pairs: int, count: int, *, steps: bool = False) -> Estimates:
        """K estimates of the gradient, and where asked for of the algorithm's step, from the same pairs each.

        A TRPO step is the proposed one: its line search changes the length of a step and not its direction, and a refused
        step has a direction too."""
        shared = max(1, UNIT_PAIRS // self._cost(pairs))
        return Estimates(*(np.concatenate(column) for column in zip(*(
            self._unit(pairs, first, min(shared, count - first), steps) for first in range(0, count, shared)), strict=True)))

    def step_reference(self, pairs: int) -> np.ndarray:
        """Steps from `pairs` pairs, and from each half of them: [3, P]. Held at once."""
        half = pairs // 2

        def compute():
            pools = []
            for number in range(2):
                stream = self._stream((STEP_REFERENCES, half, number), half)
                pools.append(self._repeater.prepare(_joined(list(stream.take(half)))))
            whole = Batch(*(np.concatenate(column) for column in zip(*pools, strict=True)))
            pools.clear()  # the halves are views of the whole from here on: held twice they would be a third of the memory
            halves = [Batch(*(column[some] for column in whole)) for some in (slice(half), slice(half, None))]
            made = [self._step(batch, STEP_REFERENCES, pairs, i) for i, batch in enumerate([whole, *halves])]
            return {"steps": np.stack([direction(each) for each in made])}

        shapes = {"steps": (3, len(self._probe.theta))}
        return self._kept({"kind": "step reference", "pairs": pairs}, shapes, pairs, compute)["steps"]

    def close(self) -> None:
        """Frees the environments."""
        for stream in self._streams.values():
            stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _unit(self, pairs: int, first: int, count: int, steps: bool) -> Estimates:
        shapes = {name: (count, len(self._probe.theta)) for name in Estimates._fields} | {"accepted": (count,)}
        facts = {"kind": "estimates", "pairs": pairs, "first": first, "count": count, "steps": steps,
                 "spread": offsets.SPREAD}
        cost = count * self._cost(pairs)

        def compute():
            stream = self._stream((ESTIMATES, pairs, first), cost)
            made = []
            for i in range(first, first + count):
                stream.align()
                stream.skip(offsets.offset(pairs, ESTIMATES, pairs, i, spread=offsets.SPREAD, seed=self._seed,
                                           iteration=self._probe.iteration))
                parts = stream.take(pairs)
                made.append(self._held(_joined(list(parts)), i) if steps else self._streamed(parts, pairs, i))
            return {name: np.stack(column) for name, column in zip(Estimates._fields, zip(*made, strict=True), strict=True)}

        return Estimates(**self._kept(facts, shapes, cost, compute))

    @staticmethod
    def _cost(pairs: int) -> int:
        """Pairs that are played for an estimate, on average."""
        return pairs + offsets.expected(pairs, offsets.SPREAD)

    def _streamed(self, parts: Iterator[Trajectory], pairs: int, number: int) -> tuple:
        sums = self._sums(parts, ESTIMATES, pairs, number)
        nothing = np.full(len(self._probe.theta), np.nan)
        return sums.gradient(), sums.chance(), nothing, nothing, np.nan

    def _held(self, pool: Trajectory, number: int) -> tuple:
        """Gradient and step from the same pairs, their advantages permuted by the same order."""
        batch, pairs = self._repeater.prepare(pool), len(pool.rewards)
        order = self._order(pairs, ESTIMATES, pairs, number)
        sums = Sums(len(self._probe.theta))
        sums.add(batch.advantages, self._measure.surrogate(batch, order))
        step = self._step(batch, ESTIMATES, pairs, number, 0)
        chance = self._step(batch._replace(advantages=batch.advantages[order]), ESTIMATES, pairs, number, 1)
        return sums.gradient(), sums.chance(), direction(step), direction(chance), float(step.step.accepted)

    def _grouped(self, pairs: int, number: int) -> dict[str, np.ndarray]:
        stream, held = self._stream((REFERENCES, pairs, number), pairs), []
        monte_carlo, count = np.zeros(len(self._probe.theta)), 0

        def episodes(part: Trajectory) -> None:
            nonlocal monte_carlo, count
            held.append(part)
            if (part.terminated | part.truncated)[-1]:
                whole = _joined(held)
                held.clear()
                monte_carlo = monte_carlo + self._measure.monte_carlo(whole)
                count += whole_episodes(whole)

        def watched() -> Iterator[Trajectory]:
            for part in stream.take(pairs):
                yield part
                episodes(part)

        sums = self._sums(watched(), REFERENCES, pairs, number)
        if held:
            episodes(stream.rest())
        return {**sums.arrays(), "monte_carlo": monte_carlo, "episodes": np.asarray(count)}

    def _sums(self, parts: Iterator[Trajectory], *name: int) -> Sums:
        sums = Sums(len(self._probe.theta))
        for index, part in enumerate(parts):
            batch = self._measure.prepare(part)
            sums.add(batch.advantages, self._measure.surrogate(batch, self._order(len(batch.advantages), *name, index)))
        return sums

    def _step(self, batch: Batch, *name: int) -> Repeated:
        return self._repeater.update(batch, seeds.generator(self._seed, "update_minibatches", self._probe.iteration, *name))

    def _order(self, pairs: int, *name: int) -> np.ndarray:
        return seeds.generator(self._seed, "permutations", self._probe.iteration, *name).permutation(pairs)

    def _stream(self, name: tuple[int, ...], pairs: int) -> Stream:
        """A stream from its beginning, to read about `pairs` from."""
        envs = environments_for(pairs)
        if envs in self._streams:
            self._streams[envs].restart(name)
        else:
            self._streams[envs] = Stream(self._probe, name, seed=self._seed, threads=self._threads, envs=envs)
        return self._streams[envs]

    def _kept(self, facts: dict[str, Any], shapes: dict, pairs: int, compute: Callable[[], dict]) -> dict[str, np.ndarray]:
        seconds = 0.0

        def timed():
            nonlocal seconds
            begin = time.perf_counter()
            found = compute()
            seconds = time.perf_counter() - begin
            return found

        found = self._parts.kept({**self._facts, **facts, "version": VERSIONS[facts["kind"]]}, shapes, timed)
        self._progress(pairs, seconds)
        return found


def held_bytes(probe: Probe, pairs: int) -> int:
    """Memory that a step from so many pairs takes at its height, about.

    Measured between 20,000 and 100,000 pairs, bytes a pair: TRPO 1,220 (Hopper, S = 11) and 12,950 (Humanoid, S = 348), PPO
    1,180 and 9,780: nine rows of observations (raw, successors, normalised, the value net's, as tensors) and two of activations."""
    return 4 * pairs * (9 * probe.task.obs_size + 2 * sum(probe.config.network.hidden))


def direction(repeated: Repeated) -> np.ndarray:
    """[P]  PPO's step, TRPO's before its line search; 0 where its curvature was not positive."""
    return repeated.proposed.step


def _joined(parts: list[Trajectory]) -> Trajectory:
    return Trajectory(*(np.concatenate(column) for column in zip(*parts, strict=True)))
