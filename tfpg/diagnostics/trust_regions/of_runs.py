"""How far did the updates of whole runs move their policies? A run's numbers as a Dataset, and several seeds' as one.

    found = on_film(run, frames(run)[::10], parts=Parts(directory))      held-out pairs, from the film
    dataset(metrics.read(run.metrics), found, config)                    beside what was measured while it trained
    over_seeds([…])                                                      means of agents with 95 % intervals"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from tfpg.checkpoint import digest, named
from tfpg.config import Config
from tfpg.diagnostics.parts import Parts
from tfpg.diagnostics.probe import computed_by
from tfpg.diagnostics.trust_regions.heldout import Heldout, HeldoutRegion, step_on_film
from tfpg.envs.make import describe
from tfpg.run_directory import RunDirectory
from tfpg.settings import to_dict
from tfpg.types import QUANTILES, TrustRegion

# Updates looked at together: their 64 environments make good use of a step, and neighbours in a run have episodes of
# similar lengths, so few wait for others.
TOGETHER = 8
VERSION = 2  # raised when the same update gets other numbers by a change of this code
POOLS = ("train", "heldout")
UNITS = {"kl": "nats", "delta": "nats", "entropy": "nats", "gain": "normalised advantage", "return": "raw reward"}
_COUNTS = ("pairs", "episodes", "episodes_played")
_OTHERS = ("mean_kl_stderr", "mean_return", "mean_return_stderr", *_COUNTS)  # of a HeldoutRegion
# Variables [iteration] and the tags they are read from; what a run does not have is absent.
_TAGS = {
    "env_steps": "env_steps", "delta": "trust_region/bounds/mean_kl", "ratio_high": "trust_region/bounds/max_ratio",
    "ratio_low": "trust_region/bounds/min_ratio",
    **{f"normaliser_{name}": f"trust_region/normaliser/{name}" for name in ("mean_kl", "max_kl", "max_ratio", "min_ratio")},
    **{name: f"trpo/{name}" for name in ("predicted_kl", "fisher_kl", "rejected_kl", "expected_gain", "actual_gain",
                                         "accepted_fraction")},
}

Progress = Callable[[int, int, float], None]  # (updates, pairs, seconds)


def on_film(run: RunDirectory, iterations: Sequence[int], *, pairs: int | None = None, parts: Parts | None = None,
            progress: Progress = lambda updates, pairs, seconds: None) -> dict[int, HeldoutRegion]:
    """The updates of these iterations on held-out pairs, as the run itself would have found them.

    Args: parts: where what is done is kept. Errors: UserError naming a damaged frame; as of tfpg.envs.episodes."""
    config, parts, found = run.config, parts or Parts(None), {}
    task = describe(config.env, config.env_args, config.rollout.engine, patience=config.rollout.patience)
    facts = {"instrument": "heldout trust region", "settings": to_dict(config), "engine": task.engine, **computed_by()}
    with Heldout(config, task, pairs=pairs, points=TOGETHER) as heldout:
        # a part for each: no update's numbers depend on those beside it, so other iterations asked for may take it
        facts |= {"pairs": heldout.pairs, "version": VERSION}
        missing = []
        for k in iterations:
            theirs = {**facts, "iteration": k, "frame": digest(named(step_on_film(run, k))).hex()}
            if (kept := parts.get(theirs, _SHAPES)) is None:
                missing.append((k, theirs))
            else:
                found[k] = _region(kept)
                progress(1, heldout.pairs, 0.0)
        for some in _batched(missing, TOGETHER):
            began = time.perf_counter()
            measured = heldout.measure([step_on_film(run, k) for k, _ in some])
            seconds = time.perf_counter() - began
            for (k, theirs), region in zip(some, measured, strict=True):
                found[k] = _region(parts.put(theirs, _SHAPES, _arrays(region)))
            progress(len(some), len(some) * heldout.pairs, seconds)
    return found


def _batched(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[start:start + size] for start in range(0, len(items), size)]


def live(rows: Sequence[Mapping[str, float]], pairs: int) -> dict[int, HeldoutRegion]:
    """What a run found on held-out pairs while it trained, in pools of that many pairs. Args: rows: of metrics.jsonl."""
    found = {}
    for row in rows:
        if row.get("trust_region/heldout/pairs") == pairs:
            region = TrustRegion(*(_read(row, "heldout", name) for name in TrustRegion._fields))
            prefix = "trust_region/heldout/"
            found[int(row["iteration"])] = HeldoutRegion(
                region, **_others({tag.removeprefix(prefix): value for tag, value in row.items() if tag.startswith(prefix)}))
    return found


def dataset(rows: Sequence[Mapping[str, Any]], heldout: Mapping[int, HeldoutRegion], config: Config,
            **attributes: Any) -> xr.Dataset:
    """One run: dimensions iteration, pool (train, heldout), quantile, and for PPO epoch.

    nan where nothing was measured, with 0 pairs; the train pool's numbers are those of the update's own batch, exact for it,
    so mean_kl_stderr is of held-out pairs alone.
    Args: rows: of metrics.jsonl. attributes: further provenance."""
    iterations = np.array([int(row["iteration"]) for row in rows])
    place = {k: i for i, k in enumerate(iterations.tolist())}
    variables: dict[str, Any] = {}
    for name in TrustRegion._fields:
        shape = (len(QUANTILES),) if name.endswith("_quantiles") else ()
        values = np.full((len(rows), 2, *shape), np.nan)
        for i, row in enumerate(rows):
            values[i, 0] = _read(row, "train", name)
        for k, found in heldout.items():
            values[place[k], 1] = getattr(found.region, name)
        variables[name.removesuffix("s") if shape else name] = (("iteration", "pool", "quantile")[:values.ndim], values)
    for name in _OTHERS:
        values = np.full((len(rows), 2), 0.0 if name in _COUNTS else np.nan)
        for k, found in heldout.items():
            values[place[k], 1] = getattr(found, name)
        variables[name] = (("iteration", "pool"), values)
    variables["mean_return"][1][:, 0] = [row.get("rollout/return", np.nan) for row in rows]
    variables["episodes"][1][:, 0] = variables["episodes_played"][1][:, 0] = [row.get("rollout/episodes", 0) for row in rows]
    variables["pairs"][1][:, 0] = config.rollout.num_steps
    for name in _COUNTS:
        variables[name] = (variables[name][0], variables[name][1].astype(np.int64))
    for name, tag in _TAGS.items():
        if any(tag in row for row in rows):
            variables[name] = ("iteration", np.array([row.get(tag, np.nan) for row in rows], np.float64))
    for tag in sorted({tag for row in rows for tag in row if tag.startswith("ppo/epochs/")}):
        epochs = max(len(row.get(tag, ())) for row in rows)
        variables[f"epoch_{tag.rpartition('/')[2]}"] = (
            ("iteration", "epoch"), np.array([row.get(tag) or [np.nan] * epochs for row in rows], np.float64))
    made = xr.Dataset(variables, {"iteration": iterations, "pool": list(POOLS), "quantile": list(QUANTILES)})
    if "epoch_mean_kl" in made:
        made = made.assign_coords(epoch=np.arange(1, made.sizes["epoch"] + 1))
    for each, variable in made.data_vars.items():
        variable.attrs["units"] = next((unit for word, unit in UNITS.items() if word in str(each)), "1")
    return made.assign_attrs(
        task=config.env, preset=config.preset, algorithm=config.algorithm.name, run_seed=config.seed,
        settings=json.dumps(to_dict(config)), **computed_by(), **attributes)


def _read(row: Mapping[str, Any], pool: str, name: str) -> np.ndarray | np.float64:
    """A field of a trust region from a row; nan where a row of an older version lacks it."""
    if name.endswith("_quantiles"):
        tags = [f"{name.removesuffix('s')}_{100 * level:02.0f}" for level in QUANTILES]
        return np.array([row.get(f"trust_region/{pool}/{tag}", np.nan) for tag in tags])
    return np.float64(row.get(f"trust_region/{pool}/{name}", np.nan))


_SHAPES = {**{name: (len(QUANTILES),) if name.endswith("_quantiles") else () for name in TrustRegion._fields},
           **dict.fromkeys(_OTHERS, ())}


def _arrays(measured: HeldoutRegion) -> dict[str, np.ndarray]:
    return {**measured.region._asdict(), **{name: np.asarray(getattr(measured, name)) for name in _OTHERS}}


def _region(arrays: Mapping[str, np.ndarray]) -> HeldoutRegion:
    """The inverse of `_arrays`."""
    return HeldoutRegion(TrustRegion(*(arrays[name] for name in TrustRegion._fields)), **_others(arrays))


def _others(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a HeldoutRegion holds besides, as numbers; nan where a row of an older version lacks it."""
    return {name: int(values.get(name, 0)) if name in _COUNTS else float(values.get(name, np.nan)) for name in _OTHERS}
