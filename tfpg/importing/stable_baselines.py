"""What is in a zip that Stable-Baselines3 saved? Its policy and value net as arrays, or one sentence on why they cannot be had.

    model.zip   data        JSON; what JSON cannot hold is a pickle in base64, which is read and never run
                policy.pth  a zip by torch.save: the tensors' bytes, and a pickle that says which are whose

Neither Stable-Baselines3 nor PyTorch is needed, and TensorFlow neither. What can be represented: the actor-critic `MlpPolicy`
of PPO, A2C and TRPO on flat observations, with Box actions (a diagonal Gaussian, log std the same in every state) or Discrete
ones. Everything else is refused by its name: a policy that is almost the original is another policy."""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfpg import storage
from tfpg.errors import UserError
from tfpg.importing import arrays, pickles
from tfpg.importing.pickles import Damaged, Global

ACTIVATIONS = {"Tanh": "tanh", "ReLU": "relu", "ELU": "elu"}
LARGEST = 2**28  # bytes of a file within the zip: a damaged or malicious header could ask for any memory

_POLICY = Global("stable_baselines3.common.policies", "ActorCriticPolicy")
_LIKELY = {  # classes that people will try, and what is wrong with them
    "ActorCriticCnnPolicy": "CnnPolicy sees images",
    "MultiInputActorCriticPolicy": "MultiInputPolicy sees dictionaries",
    "MaskableActorCriticPolicy": "MaskablePPO's policy is told which actions are allowed",
    "RecurrentActorCriticPolicy": "the recurrent policy remembers from step to step",
    "SACPolicy": "SAC's policy is squashed by a tanh, with a log std of its own in every state",
    "TD3Policy": "TD3's and DDPG's policy has no distribution of actions",
    "DQNPolicy": "DQN has values of actions and no distribution over them",
    "QRDQNPolicy": "QR-DQN has values of actions and no distribution over them",
}
_SETTINGS = {"net_arch", "activation_fn", "ortho_init", "log_std_init", "optimizer_class", "optimizer_kwargs", "normalize_images",
             "share_features_extractor", "features_extractor_class", "features_extractor_kwargs", "use_sde", "squash_output",
             "full_std", "use_expln"}  # of policy_kwargs
_FLATTEN = Global("stable_baselines3.common.torch_layers", "FlattenExtractor")


class Layer(NamedTuple):
    """x ↦ x·kernel + bias."""

    kernel: np.ndarray  # [in, out]
    bias: np.ndarray  # [out]


class Spaces(NamedTuple):
    """What the policy sees and does."""

    obs_size: int  # S
    discrete: bool
    action_size: int  # A, or the number of discrete actions
    low: np.ndarray | None  # [A], where actions are clipped on their way to the task; None: discrete
    high: np.ndarray | None


class Found(NamedTuple):
    """A policy and its value net, as float32 arrays."""

    spaces: Spaces
    policy: tuple[Layer, ...]  # the last one gives mean or logits
    value: tuple[Layer, ...]
    log_std: np.ndarray | None  # [A]; None: discrete
    activation: str  # tanh, relu or elu, after every layer but the last
    normalised: bool  # whether it was trained behind VecNormalize, whose statistics lie in another file
    version: str  # of Stable-Baselines3
    steps: int  # that it was trained for


def read(path: Path) -> Found:
    """The policy in a zip of PPO, A2C or TRPO.

    Errors: UserError, one sentence: no such file, damaged, or what cannot be represented."""
    with storage.user_errors("read", path):
        data = path.read_bytes()
    try:
        with _opened(data) as archive:
            settings = _settings(archive)
            _check_policy(path, settings)
            spaces = _spaces(path, settings)
            activation = _activation(path, settings)
            with _opened(archive.read("policy.pth")) as inner:
                tensors = arrays.tensors(inner)
            version = archive.read("_stable_baselines3_version").decode() if "_stable_baselines3_version" in archive.namelist() else "?"
        found = _found(path, tensors, spaces, activation)
        return found._replace(normalised=settings.get("_last_original_obs") is not None, version=version.strip(),
                              steps=int(settings.get("num_timesteps") or 0))
    except UserError as error:
        raise error if str(error).startswith(str(path)) else UserError(f"{path} is not read: {error}.") from None
    except Exception as error:  # a flipped bit can fail anywhere in zipfile, zlib, JSON, base64
        raise UserError(f"{path} is damaged, or no model of Stable-Baselines3 ({storage.short(error)}).") from error


def _opened(data: bytes) -> zipfile.ZipFile:
    archive = zipfile.ZipFile(io.BytesIO(data))
    if sum(entry.file_size for entry in archive.infolist()) > LARGEST:
        raise UserError(f"it would take more than {LARGEST // 2**20} MB")
    return archive


# Settings


def _settings(archive: zipfile.ZipFile) -> dict[str, Any]:
    names = set(archive.namelist())
    if absent := sorted({"data", "policy.pth"} - names):
        raise Damaged(f"it has no {absent[0]}")
    settings = json.loads(archive.read("data"))
    if not isinstance(settings, dict) or "policy_class" not in settings:
        raise Damaged("its settings name no policy_class")
    return settings


def _value(settings: Mapping[str, Any], name: str) -> Any:
    """A setting; where it is a pickle, what that says."""
    value = settings.get(name)
    if isinstance(value, dict) and ":serialized:" in value:
        return pickles.read(base64.b64decode(value[":serialized:"], validate=True))
    return value


def _check_policy(path: Path, settings: Mapping[str, Any]) -> None:
    kind = _value(settings, "policy_class")
    if kind != _POLICY:
        if not isinstance(kind, Global):
            raise UserError(f"{path} has a policy class of its own, code that is not read: only MlpPolicy of PPO, A2C and TRPO can be "
                            "represented.")
        why = f": {_LIKELY[kind.name]}" if kind.name in _LIKELY else ""
        raise UserError(f"{path} has a {kind.name}, only MlpPolicy of PPO, A2C and TRPO can be represented{why}.")
    options = _value(settings, "policy_kwargs") or {}
    if not isinstance(options, dict):
        raise Damaged("its policy_kwargs are no dictionary")
    if settings.get("use_sde") or options.get("use_sde"):
        raise UserError(f"{path} explores by gSDE, whose noise is held over steps and depends on the state: only a log std that is the "
                        "same in every state can be represented.")
    if options.get("squash_output"):
        raise UserError(f"{path} squashes its actions by a tanh: only plain Gaussians can be represented.")
    if options.get("features_extractor_class", _FLATTEN) != _FLATTEN:
        raise UserError(f"{path} has the features extractor {_shown(options['features_extractor_class'])}: only FlattenExtractor can be "
                        "represented.")
    if unknown := sorted(str(name) for name in options if name not in _SETTINGS):
        raise UserError(f"{path} sets policy_kwargs {unknown[0]}, which is not known here: it may change the policy.")


def _activation(path: Path, settings: Mapping[str, Any]) -> str:
    kind = (_value(settings, "policy_kwargs") or {}).get("activation_fn", Global("torch.nn.modules.activation", "Tanh"))
    if not isinstance(kind, Global) or kind.module != "torch.nn.modules.activation" or kind.name not in ACTIVATIONS:
        raise UserError(f"{path} has the activation {_shown(kind)}: only {', '.join(ACTIVATIONS)} can be represented.")
    return ACTIVATIONS[kind.name]


def _shown(kind: Any) -> str:
    return kind.name if isinstance(kind, Global) else "of its own code"


def _spaces(path: Path, settings: Mapping[str, Any]) -> Spaces:
    observations, actions = (_space(path, settings, name) for name in ("observation_space", "action_space"))
    if observations[0] != "Box" or len(observations[1]["low"].shape) != 1:
        raise UserError(f"{path} sees observations {_described(*observations)}: only a Box of one dimension can be represented.")
    kind, state = actions
    size = len(observations[1]["low"])
    if kind == "Discrete" and int(state["start"]) == 0:
        return Spaces(size, True, int(state["n"]), None, None)
    if kind == "Box" and len(state["low"].shape) == 1:
        return Spaces(size, False, len(state["low"]), state["low"].astype(np.float32), state["high"].astype(np.float32))
    raise UserError(f"{path} has actions {_described(kind, state)}: only a Box of one dimension or Discrete from 0 can be represented.")


def _space(path: Path, settings: Mapping[str, Any], name: str) -> tuple[str, dict[str, np.ndarray]]:
    """Its kind, and its numbers."""
    space = _value(settings, name)
    state = arrays.state(space)
    kind = space.kind if isinstance(space.kind, Global) and space.kind.module.startswith(("gymnasium.spaces", "gym.spaces")) else None
    wanted = {"Box": ("low", "high"), "Discrete": ("n", "start")}.get(kind.name if kind else "", ())
    return kind.name if kind else "of its own code", {each: arrays.numpy_array(state.get(each, 0)) for each in wanted}


def _described(kind: str, state: Mapping[str, np.ndarray]) -> str:
    if kind == "Box":
        return f"Box{state['low'].shape}"
    return f"Discrete({int(state['n'])}, start={int(state['start'])})" if kind == "Discrete" else kind


# Networks


def _found(path: Path, tensors: dict[str, np.ndarray], spaces: Spaces, activation: str) -> Found:
    """The networks, when the tensors are those of an MlpPolicy and no others."""
    left = dict(tensors)
    shared = _stack(left, "mlp_extractor.shared_net.")  # until version 1.7 the first layers could be common
    policy = (*shared, *_stack(left, "mlp_extractor.policy_net."), _layer(left, "action_net"))
    value = (*shared, *_stack(left, "mlp_extractor.value_net."), _layer(left, "value_net"))
    log_std = None if spaces.discrete else left.pop("log_std", None)
    if left:
        raise UserError(f"{path} has the tensor {min(left)}, which no MlpPolicy has: it cannot be represented.")
    _check_shapes(path, policy, spaces.obs_size, spaces.action_size)
    _check_shapes(path, value, spaces.obs_size, 1)
    if not spaces.discrete and (log_std is None or log_std.shape != (spaces.action_size,)):
        raise UserError(f"{path} has {'no log_std' if log_std is None else f'a log_std of shape {list(log_std.shape)}'}: one number for "
                        f"each of {spaces.action_size} actions is wanted.")
    if not all(np.isfinite(array).all() for array in tensors.values()):
        raise UserError(f"{path} has weights that are not finite numbers.")
    return Found(spaces, policy, value, log_std, activation, False, "", 0)


def _stack(left: dict[str, np.ndarray], prefix: str) -> list[Layer]:
    """Layers 0, 2, 4, …: between them stand the activations, which hold nothing."""
    numbers = sorted({int(found[1]) for name in left if (found := re.fullmatch(re.escape(prefix) + r"(\d{1,4})\.weight", name))})
    if numbers != list(range(0, 2 * len(numbers), 2)):
        raise Damaged(f"the layers of {prefix[:-1]} are numbered {numbers}")
    return [_layer(left, f"{prefix}{number}") for number in numbers]


def _layer(left: dict[str, np.ndarray], name: str) -> Layer:
    weight, bias = left.pop(f"{name}.weight", None), left.pop(f"{name}.bias", None)
    if weight is None or bias is None or weight.ndim != 2 or bias.shape != weight.shape[:1]:
        raise Damaged(f"it has no layer {name} with weight and bias")
    return Layer(np.ascontiguousarray(weight.T), bias)


def _check_shapes(path: Path, layers: tuple[Layer, ...], inputs: int, outputs: int) -> None:
    sizes = [inputs, *(layer.kernel.shape[1] for layer in layers)]
    for layer, size in zip(layers, sizes, strict=False):
        if layer.kernel.shape[0] != size:
            raise UserError(f"{path} has a layer of {layer.kernel.shape[0]} inputs where {size} come: it is no plain perceptron.")
    if sizes[-1] != outputs:
        raise UserError(f"{path} has {sizes[-1]} outputs where its spaces want {outputs}.")
