"""How is a model that other code wrote a function of its weights? A Keras file and a SavedModel, opened alike.

Nothing is executed but what Keras and TensorFlow execute when they load a model: Keras in its safe mode, without
compiling. What the model may look like stands in tfpg.diagnostics.foreign."""

from __future__ import annotations

import inspect
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfpg.envs.make import Task
from tfpg.errors import UserError, nearest
from tfpg.models.policy import CategoricalParameters, GaussianParameters
from tfpg.types import Tensor

ENDPOINTS = ("parameters", "serve", "serving_default", "__call__", "action")  # looked for in this order
_TIME_STEP = {"step_type": 1, "reward": 0, "discount": 1}  # TF-Agents' besides the observation; 1: in the middle of an episode


class Model(NamedTuple):
    """A model as a function of the list of its trainable variables' values."""

    outputs: Callable  # (weights, obs [B, S]) → dict: outputs by name, those without names by position
    weights: list[np.ndarray]  # their values in the file
    names: list[str]
    frozen: list[np.ndarray]  # all other floating-point variables: normalisers, moving statistics
    obs_shape: tuple[int | None, ...] | None  # what it says that it takes
    owner: Any  # to be held as long as `outputs` is used: functions of a SavedModel hold their variables only weakly


def read(path: Path, endpoint: str | None) -> Model:
    """Opens a .keras file or a SavedModel. Args: endpoint: of a SavedModel; None: found by its name.

    Errors: UserError, one sentence: nothing there, damaged, code that would have to be trusted, no endpoint."""
    if not path.exists():
        raise UserError(f"there is no policy {path}.")
    if path.is_dir():
        return _saved_model(path, endpoint)
    if path.suffix != ".keras":
        raise UserError(f"{path} is neither a .keras file nor the directory of a SavedModel.")
    if endpoint is not None:
        raise UserError(f"{path} is a Keras model, which has no endpoint {endpoint}: leave the option endpoint away.")
    return _keras_file(path)


# Keras


def _keras_file(path: Path) -> Model:
    try:
        with zipfile.ZipFile(path) as archive:  # Keras does not compare every sum
            damaged = archive.testzip()
        if damaged is not None:
            raise UserError(f"{path} is damaged: its {damaged} differs from its check sum.")
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except UserError:
        raise
    except Exception as error:  # a flipped bit can fail anywhere in zipfile, JSON, HDF5 and Keras
        raise UserError(_unreadable(path, error)) from error
    trainable, frozen = model.trainable_variables, model.non_trainable_variables
    fixed = [(variable, variable.value.numpy()) for variable in frozen]
    # A call that has no such argument does not accept it either.
    mode = {"training": False} if "training" in inspect.signature(model.call).parameters else {}
    names, shape = getattr(model, "output_names", None), getattr(model, "input_shape", None)
    if isinstance(shape, list | dict):
        raise UserError(f"{path} takes {len(shape)} inputs where observations alone are wanted.")

    def outputs(weights, obs):
        values = [(variable, tf.cast(weight, variable.dtype)) for variable, weight in zip(trainable, weights, strict=True)]
        with keras.StatelessScope(values + fixed):  # the model's own variables stay as they are
            found = model(obs, **mode)
            if isinstance(found, list | tuple) and names and {"mean", "logits"} & set(names):
                found = dict(zip(names, found, strict=True))
            # An output may be a variable itself; its value here is that of the scope.
            return {name: output.value if isinstance(output, keras.Variable) else output
                    for name, output in labelled(found).items()}

    return Model(outputs, [variable.value.numpy() for variable in trainable], [variable.path for variable in trainable],
                 _floats(variable.value for variable in frozen), shape, model)


def _unreadable(path: Path, error: Exception) -> str:
    text = str(error)
    if "`Lambda` layer" in text:
        return (f"{path} has a Lambda layer, whose Python code would be run on loading: save the model with layers of "
                "Keras in its place, or as a SavedModel with model.export.")
    if found := re.search(r"Could not locate (?:class|function) '(\w+)'", text):
        return f"{path} needs {found[1]}, Python code that is not in the file: save it as a SavedModel with model.export."
    return f"{path} is damaged, or no model of Keras 3: it cannot be loaded ({first_line(error)})."


# SavedModels


def _saved_model(path: Path, endpoint: str | None) -> Model:
    if not (path / "saved_model.pb").is_file():
        raise UserError(f"{path} is no SavedModel: it has no saved_model.pb.")
    try:
        loaded = tf.saved_model.load(str(path))
    except Exception as error:
        raise UserError(f"{path} is damaged: TensorFlow cannot load it ({first_line(error)}).") from error
    call, spec = _endpoint(loaded, endpoint, path)
    shape, dtype = (None, tf.float32) if spec is None else (spec.shape, spec.dtype)
    trainable, frozen = _sorted_out(loaded)
    variables = [variable for _, variable in trainable]

    def outputs(weights, obs):
        # The graph reads its variables where they are. A tf.function keeps writes and reads of a variable in the order
        # of the program, also within a loop whose iterations follow one another.
        for variable, weight in zip(variables, weights, strict=True):
            variable.assign(tf.cast(weight, variable.dtype))
        return labelled(call(tf.cast(obs, dtype)))

    return Model(outputs, [variable.numpy() for variable in variables], [name for name, _ in trainable],
                 _floats(frozen), None if shape is None or shape.rank is None else tuple(shape), loaded)


def _sorted_out(loaded: Any) -> tuple[list[tuple[str, tf.Variable]], list[tf.Variable]]:
    """Variables that were trained, with their names, and the others. Keras lists them: what it froze looks trainable
    to TensorFlow, and its export holds a second copy of all, which nothing reads."""
    first_names: dict[Any, str] = {}
    for name, variable in _variables(loaded):
        first_names.setdefault(variable.ref(), name)
    everything = [(name, reference.deref()) for reference, name in first_names.items()]
    trainable, frozen = (getattr(loaded, name, None) for name in ("trainable_variables", "non_trainable_variables"))
    if isinstance(trainable, list | tuple):
        trained = [(variable.name.removesuffix(":0"), variable) for variable in trainable]
    else:
        trained = [(name, variable) for name, variable in everything if variable.trainable and variable.dtype.is_floating]
    if isinstance(frozen, list | tuple):
        return trained, list(frozen)
    theirs = {variable.ref() for _, variable in trained}
    return trained, [variable for _, variable in everything if variable.ref() not in theirs]


def _endpoint(loaded: Any, name: str | None, path: Path) -> tuple[Callable, tf.TensorSpec | None]:
    """The function of observations alone, and what it says that it takes."""
    signatures = dict(getattr(loaded, "signatures", {}))
    functions = {key: value for key, value in vars(loaded).items()
                 if callable(value) and (key == "__call__" or not key.startswith("_"))}
    endpoints = {**signatures, **functions}
    usual = [key for key in ENDPOINTS if key in endpoints] or (list(signatures) if len(signatures) == 1 else [])
    if name is None and not usual:
        advice = (f"choose one of {', '.join(sorted(endpoints))} with the option endpoint." if endpoints else
                  "nothing in it can be called.")
        raise UserError(f"{path} is a SavedModel without any of {', '.join(ENDPOINTS)}: {advice}")
    name = usual[0] if name is None else name
    if name not in endpoints:
        raise UserError(f"{path} has no endpoint {name}: " + (
            nearest(name, sorted(endpoints)) if endpoints else "nothing in it can be called."))
    if name in signatures and _takes_time_steps(signatures[name]):
        return _time_step_taking(signatures[name], name, path)
    if name in functions:
        traces = getattr(functions[name], "concrete_functions", None)
        return functions[name], _first_spec(traces[0].structured_input_signature) if traces else None
    signature = signatures[name]
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1:
        raise UserError(f"{path}: {name} takes {', '.join(sorted(inputs)) or 'nothing'} where observations alone are wanted.")
    (key, spec), = inputs.items()
    return lambda obs: signature(**{key: obs}), spec


def _part(key: str, spec: tf.TensorSpec) -> str:
    """The last part of an input's name: TF-Agents has 0/observation, of which TensorFlow makes arg_0_observation, or observation."""
    return (spec.name or key).rpartition("/")[2]


def _takes_time_steps(signature: Any) -> bool:
    return {_part(*each) for each in signature.structured_input_signature[1].items()} > _TIME_STEP.keys()


def _time_step_taking(signature: Any, name: str, path: Path) -> tuple[Callable, tf.TensorSpec]:
    """The signature that TF-Agents' PolicySaver writes, as a function of observations alone."""
    specs = signature.structured_input_signature[1]
    keys = {_part(key, spec): key for key, spec in specs.items()}
    if keys.keys() != {*_TIME_STEP, "observation"} or len(specs) != len(keys):
        more = sorted(spec.name or key for key, spec in specs.items() if _part(key, spec) not in (*_TIME_STEP, "observation"))
        raise UserError(f"{path}: {name} takes {', '.join(more)} besides a time step of one flat observation: a policy that has a state, or "
                        "sees several things, cannot be represented.")
    if not all(output.dtype.is_floating for output in signature.structured_outputs.values()):
        raise UserError(f"{path}: {name} gives discrete actions and not their probabilities: save a function of observations that gives "
                        "logits, and name it with the option endpoint.")

    def call(obs):
        rows = tf.shape(obs)[:1]
        rest = {keys[part]: tf.cast(tf.fill(rows, value), specs[keys[part]].dtype) for part, value in _TIME_STEP.items()}
        return signature(**{keys["observation"]: obs}, **rest)

    return call, specs[keys["observation"]]


def _first_spec(signature: Any) -> tf.TensorSpec | None:
    return next((spec for spec in tf.nest.flatten(signature) if isinstance(spec, tf.TensorSpec)), None)


def _variables(node: Any, prefix: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, tf.Variable]]:
    """Names and variables below a loaded object, in the order of tf.Module.trainable_variables: by the attributes'
    names, an object's own before those of the objects it holds."""
    seen = set() if seen is None else seen
    seen.add(id(node))
    below = []
    for attribute in sorted(vars(node)):
        if attribute.startswith("_self_"):  # TensorFlow's own bookkeeping, which names everything once more
            continue
        leaves = tf.nest.flatten(vars(node)[attribute])
        for i, leaf in enumerate(leaves):
            name = f"{prefix}{attribute}" + (f"/{i}" if len(leaves) > 1 else "")
            if isinstance(leaf, tf.Variable):
                yield name, leaf
            elif type(leaf).__qualname__ == type(node).__qualname__:  # TensorFlow makes a class for each loaded object
                below.append((name, leaf))
    for name, leaf in below:
        if id(leaf) not in seen:
            yield from _variables(leaf, f"{name}/", seen)


# Outputs


def labelled(outputs: Any) -> dict[str | int, Tensor]:
    """Outputs by name; by position where they have no names, or the names that a signature makes up."""
    if hasattr(outputs, "_asdict"):
        outputs = outputs._asdict()
    if not isinstance(outputs, Mapping):
        return dict(enumerate(outputs if isinstance(outputs, list | tuple) else [outputs]))
    numbers = {name: int(match[1]) for name in outputs if (match := re.fullmatch(r"output_(\d+)", name))}
    if len(numbers) == len(outputs):
        return {numbers[name]: outputs[name] for name in sorted(outputs, key=numbers.__getitem__)}
    return dict(outputs)


def reading(outputs: Mapping[str | int, Tensor], task: Task, log_std: float | None, path: Path) -> Callable:
    """How outputs are to be read: outputs → parameters of the task's distribution.

    Args: outputs: of some observations [B, S], eager. log_std: for models that give a mean alone.
    Errors: UserError naming sizes that do not fit, or what cannot be told apart."""
    sizes = {name: int(tensor.shape[-1]) if tensor.shape.rank else 1 for name, tensor in outputs.items()}
    if not task.discrete:
        return _gaussian(sizes, task, log_std, path)
    if log_std is not None:
        raise UserError(f"{task.id} has discrete actions, which have no log_std: leave the option away.")
    names = ["logits"] if "logits" in sizes else [name for name, size in sizes.items() if size == task.action_size]
    if len(names) > 1:
        raise UserError(f"{path} has {len(names)} outputs of size {task.action_size}: name one of them logits.")
    if not names or sizes[names[0]] != task.action_size:
        raise UserError(f"{path} {_gives(sizes)}, but {task.id} has {task.action_size} discrete actions: logits of size "
                        f"{task.action_size} are wanted.")
    if _probabilities(outputs[names[0]]):
        tiny = np.finfo(np.float32).tiny
        return lambda found: CategoricalParameters(tf.math.log(tf.maximum(_float(found[names[0]]), tiny)))
    return lambda found: CategoricalParameters(_float(found[names[0]]))


def _gaussian(sizes: Mapping[str | int, int], task: Task, log_std: float | None, path: Path) -> Callable:
    size = task.action_size
    names = [name for name in ("mean", "log_std", "std") if name in sizes][:2] if "mean" in sizes else [
        name for name, wide in sizes.items() if wide == size]
    pairs = [] if names else [name for name, wide in sizes.items() if wide == 2 * size]
    if any(sizes[name] != size for name in names) or not names and len(pairs) != 1:
        raise UserError(f"{path} {_gives(sizes)}, but {task.id} takes actions of size {size}: mean and log_std of size "
                        f"{size}, or both side by side in one output of size {2 * size}, are wanted.")
    if len(names) > 2 or len(names) == 2 and "mean" not in names and any(isinstance(name, str) for name in names):
        raise UserError(f"{path} has {len(names)} outputs of size {size}: name two of them mean and log_std.")
    if (len(names) == 1) != (log_std is not None):
        raise UserError(f"{path} gives a mean and no log_std: set the option log_std, for example log_std=-1."
                        if log_std is None else f"{path} has a log_std of its own: leave the option log_std away.")

    def read(found):
        if pairs:
            mean, spread = tf.split(_float(found[pairs[0]]), 2, axis=-1)
        else:
            mean = _float(found[names[0]])
            spread = tf.constant(log_std, tf.float32) if log_std is not None else _float(found[names[1]])
            spread = tf.math.log(spread) if "std" in names else spread
        return GaussianParameters(mean, tf.broadcast_to(spread, tf.shape(mean)))

    return read


def _probabilities(output: Tensor) -> bool:
    rows = np.asarray(output, np.float64)
    return bool((rows >= 0).all() and np.allclose(rows.sum(-1), 1, rtol=0, atol=1e-4))


def _gives(sizes: Mapping[str | int, int]) -> str:
    named = " and ".join(f"size {size}" + (f" ({name})" if isinstance(name, str) else "") for name, size in sizes.items())
    return f"gives outputs of {named}" if len(sizes) > 1 else f"gives an output of {named}"


# Helpers


def _float(tensor: Tensor) -> Tensor:
    return tf.cast(tensor, tf.float32)


def _floats(variables: Iterable[tf.Variable]) -> list[np.ndarray]:
    return [variable.numpy() for variable in variables if variable.dtype.is_floating]


def first_line(error: BaseException) -> str:
    """What an error says, in one line of at most 200 letters."""
    line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__).strip()
    return line.rstrip(".:")[:200]
