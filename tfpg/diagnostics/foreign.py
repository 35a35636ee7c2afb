"""How is a policy looked at that other TensorFlow code wrote, and that knows nothing of this project?

What `--policy=PATH` may be, and what is asked of it:

    PATH          a .keras file (`model.save("policy.keras")`), or the directory of a SavedModel (`model.export(…)`,
                  `tf.saved_model.save(module, …)`). Of a SavedModel the endpoint is, unless `endpoint` names another:
                  parameters, serve, the signature serving_default, __call__, the signature action that TF-Agents'
                  PolicySaver writes (stateless, of a greedy policy: its actions are the means), or the only signature
                  there is. Or what launch.import_policy wrote, which says all of the following itself.
    input         observations [B, S] as the task gives them, for any B, and nothing else; a row's output depends on
                  that row alone and not on chance.
    output        discrete actions: logits [B, n], or probabilities (no number below 0, rows that sum to 1), whose
                  logarithm is taken. Continuous actions a = mean + exp(log_std) · noise: two outputs mean and log_std
                  in this order, or so named (std in the place of log_std will do); mean [B, A], log_std [A] or
                  [B, A]; or both side by side in one output [B, 2A]; or the mean alone, and `log_std` gives the
                  number. Further outputs, of other sizes or names (a value), are left alone.
    θ             the trainable variables that these outputs depend on (the weights of a value head are not among them):
                  of a Keras model in the order of model.trainable_variables, of a tf.Module in that of
                  module.trainable_variables; `names` and `layout` tell. float32. (A Keras model written by
                  tf.saved_model.save rather than model.export has lost which layers were frozen.)
    normaliser    in the model (keras.layers.Normalization), or `normaliser`: a file with arrays mean [S], std [S] and
                  perhaps clip []: the model then gets (s − mean)/std, clipped to ±clip. Neither is ever updated.
    task          `env`, `env_args`: as of launch.train.
    step          nothing is stored in such a model, so θ_{k+1} − θ_k comes from a second policy of the same make, or
                  from a file with the step [P]: .npy, or .npz with an array `step`. See `direction`.

A Keras model is a pure function of its weights. A SavedModel's graph reads variables: they are assigned before each
use, within the same graph, so two threads must not use one probe at a time, and derivatives by θ are not to be had."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfpg import storage, sums
from tfpg.checkpoint import digest
from tfpg.diagnostics import foreign_imports, foreign_models, probe
from tfpg.diagnostics.probe import Subject
from tfpg.envs.make import Task, describe
from tfpg.errors import UserError
from tfpg.models import policy
from tfpg.numerics import flat
from tfpg.types import Tensor

ROWS = 16  # observations that a new model is tried on


class ForeignProbe:
    """A policy of other code as a function of θ: what an instrument needs that looks at the policy only."""

    patience = 60.0  # seconds one call of the environments may take

    def __init__(self, path: Path, task: Task, parameters: Callable, theta: np.ndarray, layout: flat.Layout,
                 names: tuple[str, ...], options: dict[str, Any], normaliser_sha256: str,
                 imported: foreign_imports.Contents | None = None):
        """Args: parameters: (θ [P], raw obs [B, S]) → parameters of the task's family. names: of θ's variables.
        options: those of `load` that another policy of the same make is loaded with. imported: what launch.import_policy
        wrote, which bounds its actions; None: any other policy, whose actions reach the task as they are."""
        self.path, self.task, self.theta, self.layout, self.names, self.options = path, task, theta, layout, names, options
        self.imported = imported
        self.metadata = {"algorithm": "foreign", "normaliser_sha256": normaliser_sha256}
        self.noise_kind = "gumbel" if task.discrete else "normal"
        self.family = policy.Categorical(task.action_size) if task.discrete else _Gaussian(task.action_size, 0.0)
        self._parameters = tf.function(parameters, autograph=False, input_signature=[
            tf.TensorSpec([layout.size]), tf.TensorSpec([None, task.obs_size])])

    def parameters(self, theta: Tensor, obs: Tensor) -> Any:
        """Parameters of π_θ(·|s). Args: theta: [P]. obs: raw [B, S]."""
        return self._parameters(tf.cast(theta, tf.float32), tf.cast(obs, tf.float32))

    def pi(self, theta: Tensor, obs: Tensor) -> Any:
        """π_θ(·|s) as a TFP distribution, batch shape [B]. Args: theta: [P]. obs: raw [B, S]."""
        return self.family.distribution(self.parameters(theta, obs))

    def pi_stacked(self, thetas: Tensor, obs: Tensor) -> Any:
        """K policies, each on observations of its own: batch shape [K, n]. Args: thetas: [K, P]. obs: raw [K, n, S]."""
        row = tf.TensorSpec([None, self.task.action_size])
        kind = policy.CategoricalParameters(row) if self.task.discrete else policy.GaussianParameters(row, row)
        return self.family.distribution(_one_by_one(self._parameters, kind, thetas, obs))

    def act(self, obs: Tensor, noise: Tensor, thetas: Tensor) -> Tensor:
        """Actions of K policies, as EpisodeSampler asks for them; bit for bit the same however many are stacked, for
        they are computed one after the other.

        Args: obs: raw [K, n, S]. noise: [K, n, A] of noise_kind. thetas: [K, P]. Returns: [K, n, A] or int32 [K, n]."""
        return _one_by_one(lambda theta, obs, noise: self._bounded(self.family.act(self._parameters(theta, obs), noise)),
                           self._actions(), thetas, obs, noise)

    def greedy(self, obs: Tensor, noise: Tensor, thetas: Tensor) -> Tensor:
        """Their most probable actions. Args: as of `act`; the noise is not looked at. Returns: as of `act`."""
        return _one_by_one(lambda theta, obs: self._bounded(self.family.greedy(self._parameters(theta, obs))),
                           self._actions(), thetas, obs)

    def provenance(self, theta: Tensor | None = None) -> dict[str, Any]:
        """What a result was measured on, as attributes of a Dataset. Args: theta: [P] where it is not the file's."""
        given = self.theta if theta is None else np.asarray(theta)
        option = {name: value for name, value in self.options.items() if name in ("endpoint", "log_std") and value is not None}
        return {
            "policy": os.fspath(self.path), "task": self.task.id, "engine": self.task.engine,
            "env_args": str(dict(self.task.env_args)), **self.metadata, **option,
            "theta": "theta" if np.array_equal(given, self.theta) else "given",
            "theta_norm": float(np.linalg.norm(given)), "theta_sha256": hashlib.sha256(given.tobytes()).hexdigest(),
            "function_sha256": probe.function_hash(self), **probe.computed_by(),
        }

    def _bounded(self, actions: Tensor) -> Tensor:
        """What reaches the task."""
        if self.imported is None or self.task.discrete:
            return actions
        return tf.clip_by_value(actions, self.imported.low, self.imported.high)

    def _actions(self) -> tf.TensorSpec:
        return tf.TensorSpec([None], tf.int32) if self.task.discrete else tf.TensorSpec([None, self.task.action_size])


def is_foreign(path: str | os.PathLike) -> bool:
    """Whether a policy is other code's: a .keras file, a SavedModel without tfpg's metadata, or what was imported."""
    path = Path(path).expanduser()
    ours = (path / sums.METADATA).exists() or (path / sums.SUMS).exists()
    return path.suffix == ".keras" or is_imported(path) or (path / "saved_model.pb").exists() and not ours


def is_imported(path: Path) -> bool:
    """Whether launch.import_policy wrote a policy."""
    return (path / sums.IMPORTED).exists()


def load(path: str | os.PathLike, *, env: str | None, env_args: Sequence[tuple[str, Any]] = (), engine: str = "auto",
         endpoint: str | None = None, log_std: float | None = None,
         normaliser: str | os.PathLike | None = None) -> ForeignProbe:
    """The probe of a policy that other code wrote; this module's docstring says what it may look like.

    Args: env, env_args, engine: as of tfpg.envs.make.describe; None where launch.import_policy wrote it. endpoint: of a SavedModel. log_std: for a model that
    gives a mean alone. normaliser: .npz file.
    Errors: UserError, one sentence: no such file, damaged, a task that cannot be made, and whatever in the model
    departs from what is asked of it."""
    path = Path(os.path.abspath(Path(path).expanduser()))
    if is_imported(path):
        return _imported(path, env, env_args, engine, {"endpoint": endpoint, "log_std": log_std, "normaliser": normaliser})
    if env is None:
        raise UserError(f"{path} was not written by tfpg: --env names the task it acts in.")
    task = describe(env, env_args, engine)
    see, seen = _normaliser(normaliser, task)
    if log_std is not None and not math.isfinite(log_std):
        raise UserError(f"log_std={log_std} is no finite number.")
    model = foreign_models.read(path, endpoint)
    obs = _observations(task)
    outputs = _tried(model, see(obs), task, path)
    read = foreign_models.reading(outputs, task, log_std, path)

    def whole(weights, obs):
        return read(model.outputs(weights, see(obs)))

    _check_rows(lambda rows: whole(model.weights, rows), obs, task, path)
    felt = _felt(whole, model.weights, obs)
    if not felt:
        raise UserError(f"{path} has no trainable variables that its outputs depend on, so there is no θ to vary.")
    layout = flat.layout_of([model.weights[i] for i in felt])
    theta = np.concatenate([np.ravel(model.weights[i]) for i in felt]).astype(np.float32)
    if not np.isfinite(theta).all():
        raise UserError(f"{path} has weights that are not finite numbers.")

    def parameters(theta, obs):
        weights = list(model.weights)
        for i, weight in zip(felt, flat.unflatten(theta, layout), strict=True):
            weights[i] = weight
        return whole(weights, obs)

    options = {"env": env, "env_args": env_args, "engine": engine, "endpoint": endpoint, "log_std": log_std,
               "normaliser": normaliser}
    return ForeignProbe(path, task, parameters, theta, layout, tuple(model.names[i] for i in felt), options,
                        digest({**{f"frozen/{i}": array for i, array in enumerate(model.frozen)}, **seen}).hex())


def direction(path: str | os.PathLike, probed: Subject, theta: Tensor | None = None) -> np.ndarray:
    """A step [P] from outside, float32: that to a second policy, or one that a file holds.

        step = θ(second policy) − θ            or            step = array of the file

    Of imported policies the second is brought under the first one's statistics of observations, which move while a policy
    is trained: it stays the same function of them, but for their clip.

    Args: path: .npy; .npz with an array `step`; else a policy: of the probe's own kind, at whose θ it is then the same
    function. theta: [P]; None: the probe's θ.
    Errors: UserError for another length, numbers that are not finite, a policy of another make or normaliser."""
    path = Path(path).expanduser()
    origin = np.asarray(probed.theta if theta is None else theta, np.float32)
    if path.suffix in (".npy", ".npz"):
        return _stored_step(path, len(origin))
    if isinstance(probed, ForeignProbe):
        other = load(path, **probed.options)
        if other.imported is not None and probed.imported is not None:
            return foreign_imports.under_normaliser(other.imported, probed.imported) - origin
        _check_same_make(other, other.parameters, probed, probed.parameters)
        return other.theta - origin
    first, second = probe.of_a_run(probed), probe.load(path)
    if second.metadata["normaliser_sha256"] != first.metadata["normaliser_sha256"]:
        raise UserError(f"{second.path} was made under another normaliser than {first.path}: use --to, which expresses "
                        "it under the first one's.")
    _check_same_make(second, second.model.parameters_at, first, first.model.parameters_at)
    return second.theta - origin


# Loading


def _imported(path: Path, env: str | None, env_args: Sequence[tuple[str, Any]], engine: str, others: dict[str, Any]) -> ForeignProbe:
    """The probe of what launch.import_policy wrote."""
    if given := [name for name, value in others.items() if value is not None]:
        raise UserError(f"{path} was imported with all that it needs: leave the option {given[0]} away.")
    contents = foreign_imports.load(path)
    there, model = contents.metadata["task"], contents.model
    if env not in (None, there["id"]) or env_args and dict(env_args) != there["env_args"]:
        raise UserError(f"{path} was imported for {there['id']} with {there['env_args']}: leave --env and --env_args away, or import it "
                        "anew.")
    task = describe(there["id"], tuple(there["env_args"].items()), engine)
    if (task.obs_size, task.discrete, task.action_size) != (there["obs_size"], there["discrete"], there["action_size"]):
        raise UserError(f"{path} was imported for a {task.id} of {there['obs_size']} numbers seen and {there['action_size']} done, which "
                        f"here has {task.obs_size} and {task.action_size}.")
    kind = policy.CategoricalParameters if task.discrete else policy.GaussianParameters

    def parameters(theta, obs):
        return kind(*model.parameters_at(theta, obs))

    options = {"env": task.id, "env_args": task.env_args, "engine": engine}
    probed = ForeignProbe(path, task, parameters, contents.theta, contents.layout, contents.names, options,
                          digest(contents.statistics._asdict()).hex(), contents)
    probed.metadata.update({f"imported_{name}": value for name, value in contents.metadata["source"].items()})
    return probed


class _Gaussian(policy.Gaussian):
    """Normal distributions whose standard deviation may depend on the state."""

    def act(self, parameters: policy.GaussianParameters, noise: Tensor) -> Tensor:
        return parameters.mean + tf.exp(parameters.log_std) * noise


def _one_by_one(function: Callable, result: Any, *stacked: Tensor) -> Any:
    """function(row, …) for each of K rows, in order and never two at a time: a SavedModel's variables are shared."""
    return tf.map_fn(lambda row: function(*row), tuple(map(tf.convert_to_tensor, stacked)), fn_output_signature=result,
                     parallel_iterations=1)


def _observations(task: Task) -> np.ndarray:
    """[ROWS, S], some far out."""
    draw = np.random.default_rng(0)
    scale = np.repeat([0.1, 1.0, 10.0, 1.0], ROWS // 4)
    return (scale[:, None] * draw.normal(size=(ROWS, task.obs_size))).astype(np.float32)


def _tried(model: foreign_models.Model, obs: Tensor, task: Task, path: Path) -> dict:
    if model.obs_shape is not None and len(model.obs_shape) == 2 and model.obs_shape[1] not in (None, task.obs_size):
        raise UserError(f"{path} takes observations of size {model.obs_shape[1]}, but {task.id} gives observations of size "
                        f"{task.obs_size}.")
    try:
        model.outputs(model.weights, obs[:5])
        return model.outputs(model.weights, obs)
    except Exception as error:
        takes = "" if model.obs_shape is None else f", for it takes {list(model.obs_shape)}"
        raise UserError(f"{path} cannot be called with [B, {task.obs_size}], any number of observations of {task.id}{takes} "
                        f"({foreign_models.first_line(error)}).") from error


def _check_rows(answer: Callable, obs: Tensor, task: Task, path: Path) -> None:
    try:
        together, alone = answer(obs), answer(obs[:5])
    except (tf.errors.OpError, ValueError, TypeError) as error:
        raise UserError(f"{path} gives outputs that do not fit together ({foreign_models.first_line(error)}).") from error
    for rows, few in zip(together, alone, strict=True):
        if rows.shape != (ROWS, task.action_size):
            raise UserError(f"{path} gives outputs of shape {list(rows.shape)} for {ROWS} observations of {task.id}: "
                            f"{[ROWS, task.action_size]} is wanted.")
        if not np.allclose(rows[:5], few, rtol=1e-3, atol=1e-5, equal_nan=True):
            raise UserError(f"{path} does not answer the same for the same observation: its outputs depend on chance, or "
                            "on the other observations of the batch.")


def _felt(function: Callable, weights: list[np.ndarray], obs: Tensor) -> list[int]:
    """Which weights the parameters depend on: those whose change changes some of them.

    Tried at random weights, for behind a layer that starts at zero no change is felt."""
    draw = np.random.default_rng(1)
    felt: set[int] = set()
    for _ in range(3):
        base = [0.3 * draw.normal(size=weight.shape).astype(np.float32) for weight in weights]
        still = [part.numpy() for part in function(base, obs)]
        for i in set(range(len(weights))) - felt:
            other = 0.3 * draw.normal(size=weights[i].shape).astype(np.float32)
            moved = function([*base[:i], other, *base[i + 1:]], obs)
            if any(not np.array_equal(a, b) for a, b in zip(still, moved, strict=True)):
                felt.add(i)
    return sorted(felt)


def _normaliser(path: str | os.PathLike | None, task: Task) -> tuple[Callable, dict[str, np.ndarray]]:
    """What the model gets of raw observations, and the statistics."""
    if path is None:
        return lambda obs: obs, {}
    arrays = storage.read_npz(path)
    if absent := [name for name in ("mean", "std") if name not in arrays]:
        raise UserError(f"{path} has no array {absent[0]}: a normaliser has mean, std and perhaps clip.")
    shapes = {"mean": (task.obs_size,), "std": (task.obs_size,), "clip": ()}
    for name, shape in shapes.items():
        array = arrays.get(name, np.float32(1))
        if array.shape != shape:
            raise UserError(f"{path} has {name} of shape {list(array.shape)}, but {task.id} gives observations of size "
                            f"{task.obs_size}: {list(shape)} is wanted.")
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all() or name != "mean" and not (array > 0).all():
            raise UserError(f"{path}: {name} must hold finite numbers{'' if name == 'mean' else ' above 0'}.")
    mean, std = (arrays[name].astype(np.float32) for name in ("mean", "std"))
    clip = float(arrays.get("clip", np.inf))
    return (lambda obs: tf.clip_by_value((obs - mean) / std, -clip, clip),
            {name: arrays[name] for name in shapes if name in arrays})


# Steps


def _stored_step(path: Path, size: int) -> np.ndarray:
    if path.suffix == ".npz":
        arrays = storage.read_npz(path)
        if "step" not in arrays:
            raise UserError(f"{path} has no array step, only {', '.join(arrays) or 'none at all'}.")
        step = arrays["step"]
    else:
        with storage.user_errors("read", path), open(path, "rb") as file:
            try:
                step = np.load(file, allow_pickle=False)
            except Exception as error:  # what does not begin as an array is taken for a pickle
                raise UserError(f"{path} is damaged: it cannot be read as an array of numbers.") from error
    if not np.issubdtype(step.dtype, np.floating):
        raise UserError(f"{path} holds numbers of type {step.dtype}, but a step has float32 or float64.")
    if step.shape != (size,):
        raise UserError(f"{path} has a step of shape {list(step.shape)}, but the policy has {size} parameters: [{size}] is "
                        "wanted.")
    with np.errstate(over="ignore"):
        step = step.astype(np.float32)
    if not np.isfinite(step).all():
        raise UserError(f"{path} has a step with numbers that are not finite.")
    return step


def _check_same_make(second: Subject, answer: Callable, probed: Subject, reference: Callable) -> None:
    """Whether both are one function of θ: a difference of normalisers, activations or the order of the weights shows."""
    sizes = [(each.task.obs_size, each.task.action_size, len(each.theta)) for each in (second, probed)]
    if sizes[0] != sizes[1] or second.layout != probed.layout:
        raise UserError(f"{second.path} has {len(second.theta)} parameters in variables of other shapes than the "
                        f"{len(probed.theta)} of {probed.path}: there is no step between them.")
    obs = _observations(probed.task)
    for theirs, ours in zip(answer(probed.theta, obs), reference(probed.theta, obs), strict=True):
        if not np.allclose(theirs, ours, rtol=1e-5, atol=1e-6):
            raise UserError(f"{second.path} with the parameters of {probed.path} is another policy than {probed.path}: it "
                            "has another normaliser, other layers or another order of variables.")
