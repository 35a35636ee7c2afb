"""How is a policy of another library kept here? As a SavedModel with the endpoints of tfpg.snapshot.ENDPOINTS.

    imported/saved_model.pb, variables/    for TensorFlow alone, as of a run
    imported/imported.json                 where it comes from, its task, its bounds, the layout of θ
    imported/SHA256SUMS                    of every other file

The record has θ, φ and the normaliser, and nothing of a training: neither batch nor step. Box actions are clipped to the bounds
of the original's action space on their way to the task (greedy, sample, greedy_at, greedy_stacked, act_stacked), as
Stable-Baselines3 does in training and in `predict`; parameters and log_prob are of the distribution before that, as there."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfpg import snapshot, storage, sums
from tfpg.config import Network
from tfpg.envs.make import Task
from tfpg.errors import UserError
from tfpg.importing.stable_baselines import Found, Layer
from tfpg.importing.vec_normalize import Statistics
from tfpg.models import mlp, policy, value
from tfpg.numerics import flat
from tfpg.run_directory import versions
from tfpg.types import Tensor

FORMAT = 1
_UNUSED = "normal"  # initial weights are replaced
_SEEN = "normaliser/observation/"


class Contents(NamedTuple):
    """An imported policy that has been read and found whole."""

    path: Path
    model: Any  # what tf.saved_model.load returned: the endpoints
    theta: np.ndarray  # [P]
    layout: flat.Layout
    names: tuple[str, ...]  # of θ's weights
    low: np.ndarray  # [A], −∞ where actions are not clipped
    high: np.ndarray
    statistics: Statistics  # of observations
    metadata: dict[str, Any]


def write(directory: str | os.PathLike, found: Found, statistics: Statistics, task: Task, source: dict[str, Any]) -> dict[str, Any]:
    """Writes `directory`, under a temporary name first; an old one is replaced.

    Args: source: where it comes from, for JSON. Returns: what stands in imported.json. Errors: UserError when the disk refuses."""
    pi, v = _policy(found, task), _value(found, task)
    log_std = () if found.log_std is None else (found.log_std,)
    record = {
        "theta": _flat((*_weights(found.policy), *log_std), pi.layout), "phi": _flat(_weights(found.value), v.layout),
        f"{_SEEN}mean": statistics.mean, f"{_SEEN}var": statistics.var,
        f"{_SEEN}epsilon": np.float64(statistics.epsilon), f"{_SEEN}clip": np.float64(statistics.clip)}
    metadata = {
        "format": FORMAT, "source": source, "task": {**task._asdict(), "env_args": dict(task.env_args)},
        "hidden": [len(layer.bias) for layer in found.policy[:-1]], "activation": found.activation,
        "low": _bounds(found.spaces.low), "high": _bounds(found.spaces.high),
        "layout": [list(shape) for shape in pi.layout.shapes], "names": _names(found), "versions": versions(),
        "endpoints": snapshot.ENDPOINTS, "record": {
            "theta, phi": "θ [P] and φ [Q]", _SEEN: "mean, var [S], epsilon, clip: z = clip((s − mean) / √(var + epsilon), ± clip)"}}
    model = snapshot.Endpoints(record, task, pi, v, _eyes, _bound(found, task))
    storage.make_directory(Path(directory).parent)
    with storage.atomically(directory) as temporary:
        snapshot.write(model, snapshot.signature_of(model, task), temporary)
        text = json.dumps(metadata, indent=2, ensure_ascii=False, allow_nan=False)
        (temporary / sums.IMPORTED).write_text(text + "\n", encoding="utf-8")
        sums.write(temporary)
    return metadata


def load(path: Path) -> Contents:
    """Reads an imported policy after comparing every file with its sum. Errors: UserError, one sentence: damaged, of another version."""
    metadata = described(path)
    try:
        model = tf.saved_model.load(os.fspath(path))
        theta = model.record["theta"].numpy()
        layout = flat.Layout(tuple(tuple(shape) for shape in metadata["layout"]))
        size = metadata["task"]["action_size"]
        low, high = (_unbounded(metadata[name], infinite, size) for name, infinite in (("low", -np.inf), ("high", np.inf)))
        statistics = Statistics(*(model.record[f"{_SEEN}{name}"].numpy() for name in Statistics._fields))
        return Contents(path, model, theta, layout, tuple(metadata["names"]), low, high, statistics, metadata)
    except Exception as error:
        raise UserError(f"{path} cannot be loaded by this TensorFlow and this version of tfpg ({storage.short(error)}).") from error


def described(path: Path) -> dict[str, Any]:
    """What stands in imported.json. Errors: UserError, one sentence: damaged, of another version."""
    sums.check(path, sums.IMPORTED)
    metadata = storage.read_json(path / sums.IMPORTED)
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise UserError(f"{path} is of another version of tfpg: {sums.IMPORTED} is not of format {FORMAT}.")
    return metadata


def under_normaliser(second: Contents, first: Contents) -> np.ndarray:
    """The second policy's θ as the first one's statistics must have it: the same function of raw observations but for their clip.

    Returns: float32 [P]. Errors: UserError where they are of different make."""
    for name in ("task", "hidden", "activation", "low", "high"):
        if second.metadata[name] != first.metadata[name]:
            raise UserError(f"{second.path} has {name} {second.metadata[name]}, {first.path} {first.metadata[name]}: there is no step "
                            "between them.")
    theirs, ours = second.statistics, first.statistics
    if all(np.array_equal(getattr(theirs, name), getattr(ours, name)) for name in ("mean", "var", "epsilon")):
        return second.theta
    std, their_std = np.sqrt(ours.var + ours.epsilon), np.sqrt(theirs.var + theirs.epsilon)
    return mlp.reexpressed(second.theta, (ours.mean - theirs.mean) / their_std, std / their_std, first.layout.shapes[0])


# Networks


def _policy(found: Found, task: Task) -> policy.Policy:
    hidden = tuple(len(layer.bias) for layer in found.policy[:-1])
    network = Network(hidden=hidden)
    family = policy.family_of(task.action_size, task.discrete, network)

    def skeleton(dtype: str) -> keras.Model:
        obs, features = mlp.trunk(task.obs_size, hidden=hidden, activation=found.activation, initialisation=_UNUSED, seed=0, dtype=dtype)
        return keras.Model(obs, policy.outputs(features, family, network, _UNUSED, 0, dtype))

    return policy.Policy(mlp.FlatModel(skeleton), policy.layers(family, network), family, found.activation)


def _value(found: Found, task: Task) -> value.ValueFunction:
    hidden = tuple(len(layer.bias) for layer in found.value[:-1])
    return value.ValueFunction(mlp.FlatModel(lambda dtype: mlp.build(
        task.obs_size, 1, hidden=hidden, activation=found.activation, initialisation=_UNUSED, head_gain=1.0, seed=0,
        role=mlp.VALUE, dtype=dtype)))


def _weights(layers: tuple[Layer, ...]) -> tuple[np.ndarray, ...]:
    return tuple(array for layer in layers for array in layer)


def _flat(weights: tuple[np.ndarray, ...], layout: flat.Layout) -> np.ndarray:
    if flat.layout_of(weights) != layout:  # a difference of what was read and what was built would be a fault here
        raise ValueError(f"weights {flat.layout_of(weights).shapes} for a layout {layout.shapes}")
    return np.concatenate([np.ravel(weight) for weight in weights]).astype(np.float32)


def _names(found: Found) -> list[str]:
    layers = [*(f"hidden_{i}" for i in range(len(found.policy) - 1)), "logits" if found.spaces.discrete else "mean"]
    return [f"{layer}/{part}" for layer in layers for part in Layer._fields] + ([] if found.spaces.discrete else ["log_std"])


# Observations and actions


def _eyes(record: dict[str, tf.Variable]) -> tuple[Callable, Callable]:
    """z = clip((s − mean) / √(var + epsilon), ± clip), in float64 as in the original, for both networks."""
    mean, var, epsilon, clip = (record[f"{_SEEN}{name}"] for name in Statistics._fields)

    def see(obs: Tensor) -> Tensor:
        z = (tf.cast(obs, tf.float64) - mean) / tf.sqrt(var + epsilon)
        return tf.cast(tf.clip_by_value(z, -clip, clip), tf.float32)

    return see, lambda obs, episode_step: see(obs)


def _bound(found: Found, task: Task) -> Callable:
    if task.discrete:
        return lambda actions: actions
    return functools.partial(tf.clip_by_value, clip_value_min=found.spaces.low, clip_value_max=found.spaces.high)


def _bounds(bounds: np.ndarray | None) -> list[float | None] | None:
    """For JSON, which has no infinity: null."""
    return None if bounds is None else [float(bound) if np.isfinite(bound) else None for bound in bounds]


def _unbounded(bounds: list[float | None] | None, infinite: float, size: int) -> np.ndarray:
    return np.array([infinite if bound is None else bound for bound in bounds or [None] * size], np.float32)
