"""Where would the algorithm have landed with other pairs? Many independent updates from one checkpoint, and what each earns.

Each update is made from a pool of its own, as many pairs as in training, with draws of its own, from the same θ_k, φ_k,
optimiser slots and normaliser. Pools begin with whole episodes; training's episodes go on from one batch to the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from tfpg.diagnostics import pools, updates
from tfpg.diagnostics.landscapes import surrogates
from tfpg.diagnostics.parts import Parts
from tfpg.diagnostics.probe import Probe
from tfpg.diagnostics.results import REWARD, STEPS, estimate
from tfpg.diagnostics.returns import Job, Progress, Store, play
from tfpg.diagnostics.statistics import estimates, tails

DRAWN = "each update's pairs are whole episodes one after the other, the last one cut; training's go on from batch to batch"
FIRST_STREAM = 1000  # pools of repeats; 0 is held out, 1 belongs to recomputed steps
SHARE = 0.1  # of the updates that make the tail
TOGETHER = 64  # pools drawn at once: 2048 pairs each of Hopper take 12 MB


def distribution(
        probe: Probe, *, repeats: int, episodes: int, seed: int, minibatches: str = "same number", max_steps: int | None = None,
        threads: int = 2, store: Store | None = None, parts: Parts | None = None,
        progress: Progress = lambda episodes, pairs, seconds: None) -> xr.Dataset:
    """U independent updates, E episodes of each, and U·E of θ_k; all on random numbers of their own.

    Args: repeats: U. episodes: E, at least 8, to tell updates from noise. minibatches: as of updates.Repeater. parts: where the
    updates are kept.
    Returns: dims repeat, episode, centre_episode, one (numbers)."""
    made = updated(probe, repeats=repeats, seed=seed, minibatches=minibatches, threads=threads, parts=parts)
    after, at_centre = jobs(probe, made, episodes=episodes, seed=seed, max_steps=max_steps)
    playing: dict[str, Any] = {"threads": threads, "store": store, "progress": progress}
    played, centre = play(probe, after, **playing), play(probe, at_centre, **playing).returns[0]
    found, shape = played.returns, (repeats,)
    components = tails.variance_components(found)
    numbers = {
        "mean_gain": tails.mean_gain(found, centre), "centre_return": estimates.means(centre),
        "cvar": tails.against(tails.cvar(found.mean(-1), SHARE), centre),
        "cvar_shrunken": tails.against(tails.cvar_shrunken(found, SHARE), centre),
        "drop_probability": tails.drop(found, centre), "drop_probability_normal": tails.drop_normal(found, centre)}
    kl = surrogates.Surrogate(probe, surrogates.stored_pairs(probe)).mean_kl
    variables: dict[str, Any] = {
        "episode_return": (("repeat", "episode"), found, REWARD),
        "episode_length": (("repeat", "episode"), played.lengths, STEPS),
        "centre_episode_return": ("centre_episode", centre, REWARD),
        **estimate("mean_return", estimates.means(found), ("repeat",), shape, "episodes", **REWARD),
        **estimate("gain", estimates.unpaired_differences(found, centre), ("repeat",), shape, "episodes", **REWARD),
        "norm": ("repeat", np.array([each.norm for each in made])),
        "mean_kl": ("repeat", np.array([kl(each.theta_next) for each in made]), {"units": "nats"}),
        "accepted": ("repeat", np.array([each.accepted for each in made], np.int8)),
        "cosine": ("repeat", _cosines(made), {"long_name": "of each step with the mean of the others"}),
    }
    for name, number in numbers.items():
        units = {"units": "1"} if name.startswith("drop") else REWARD
        variables |= estimate(name, number, ("one",), (1,), "episodes" if name == "centre_return" else "updates", **units)
    variables |= {f"variance_{name}": ("one", np.array([getattr(components, name)]), {"units": "reward²"})
                  for name in ("between", "low", "high", "within")}
    coordinates = {"repeat": np.arange(repeats), "episode": np.arange(episodes), "centre_episode": np.arange(len(centre))}
    return xr.Dataset(variables, coordinates, {
        **probe.provenance(), "instrument": "landscape", "surface": "updates", "seed": seed, "noise": "independent",
        "episodes": episodes, "repeats": repeats, "update_pairs": len(probe.batch.advantages), "cvar_level": SHARE, "drawn": DRAWN,
        "refused": int(sum(not each.accepted for each in made)), "confidence": estimates.CONFIDENCE,
        "few_episodes": int(repeats < estimates.FEW)})


def updated(probe: Probe, *, repeats: int, seed: int, minibatches: str = "same number", threads: int = 2,
            parts: Parts | None = None) -> list[updates.Step]:
    """The U updates, TOGETHER at a time: read where they were kept. Args: as of `distribution`."""
    repeater, pairs, kept = updates.Repeater(probe, minibatches=minibatches), len(probe.batch.advantages), parts or Parts(None)
    facts = {**updates.facts(probe, minibatches=minibatches), "kind": "updates", "pairs": pairs, "seed": seed}
    made: list[updates.Step] = []
    for first in range(0, repeats, TOGETHER):
        numbers = range(first, min(first + TOGETHER, repeats))

        def compute(numbers=numbers):
            drawn = pools.draw_many(probe, pairs, [FIRST_STREAM + number for number in numbers], seed=seed, threads=threads)
            # repeat 0 is the recomputed steps' stream
            found = [repeater(pool, updates.stream(probe, seed=seed, repeat=1 + number)).step
                     for pool, number in zip(drawn, numbers, strict=True)]
            return {"theta_next": np.stack([each.theta_next for each in found]), "accepted": np.array([each.accepted for each in found])}

        shapes = {"theta_next": (len(numbers), len(probe.theta)), "accepted": (len(numbers),)}
        found = kept.kept({**facts, "numbers": [numbers.start, numbers.stop]}, shapes, compute)
        made += [updates.Step("recomputed", pairs, probe.theta, theta, bool(accepted))
                 for theta, accepted in zip(found["theta_next"], found["accepted"], strict=True)]
    return made


def jobs(probe: Probe, made: Sequence[updates.Step], *, episodes: int, seed: int, max_steps: int | None = None) -> tuple[Job, Job]:
    """What `distribution` plays: every update, and θ_k. Args: made: of `updated`."""
    names = tuple((5, repeat) for repeat in range(len(made)))
    return (Job(np.stack([each.theta_next for each in made]), episodes, seed, "independent", names, max_steps),
            Job(np.asarray(probe.theta)[np.newaxis], len(made) * episodes, seed, "independent", ((6, 0),), max_steps))


def _cosines(made: list[updates.Step]) -> np.ndarray:
    """Of each step with the mean of all others; NaN for a refused one."""
    steps = np.stack([each.step for each in made])
    others = steps.sum(0) - steps
    norms = np.linalg.norm(steps, axis=1) * np.linalg.norm(others, axis=1)
    return np.where(norms > 0, np.einsum("up,up->u", steps, others) / np.where(norms > 0, norms, 1), np.nan)
