"""What is a run? One frozen, validated value; every setting has one dotted name, one meaning, one reader.

`settings(config)` lists them with their documentation; tfpg.settings changes, stores and compares them.
Nothing here imports TensorFlow."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tfpg.errors import UserError, nearest


def _setting(default: Any, text: str, *, low=None, high=None, above=None, below=None, choices=None) -> Any:
    """A field with its documentation: meaning, unit, off-value; bounds inclusive (low, high) or open (above, below)."""
    bounds = {"low": low, "high": high, "above": above, "below": below, "choices": choices}
    return field(default=default, metadata={"text": text, **bounds})


@dataclass(frozen=True)
class CodeLevel:
    """The nine code-level optimisations (Engstrom 2020, §3). Off is the default and the identity."""

    value_clip: float | None = _setting(
        None, "1. keep V within ± this of its old prediction, in units of the value targets; none = off", above=0)
    reward_scaling: str = _setting(
        "none", "2. returns: divide rewards by the std of the discounted return; "
        "rewards: standardise them, keeping the mean; none = off",
        choices=("none", "returns", "rewards"))
    initialisation: str = _setting(
        "xavier", "3. orthogonal (hidden gain √2, policy mean .01, value 1); xavier (uniform, gain 1) = off; "
        "normal (mean 0, std .01)",
        choices=("orthogonal", "xavier", "normal"))
    anneal: bool = _setting(False, "4. lower the Adam step sizes linearly to zero over the run; false = off")
    reward_clip: float | None = _setting(
        None, "5. clip scaled rewards to ± this (acts only with reward_scaling); none = off", above=0)
    observation_normalisation: bool = _setting(True, "6. standardise each observation dimension; false = off")
    observation_clip: float | None = _setting(
        None, "7. clip normalised observations to ± this; none = off", above=0)
    activation: str = _setting("tanh", "8. hidden activation: tanh; relu = off", choices=("tanh", "relu"))
    gradient_clip: float | None = _setting(
        None, "9. bound the global 2-norm of each Adam gradient, policy's and value net's; none = off", above=0)


@dataclass(frozen=True)
class Trpo:
    """Trust region policy optimisation (Schulman 2015)."""

    name: typing.ClassVar[str] = "trpo"
    delta: float = _setting(0.01, "δ, bound on mean KL(π_old ‖ π_new), nats", above=0)
    delta_final: float | None = _setting(
        None, "δ at the end of the run, reached linearly, nats; none = constant δ", above=0)
    cg_iterations: int = _setting(10, "conjugate-gradient iterations", low=1)
    damping: float = _setting(0.1, "c added to the Fisher matrix's diagonal", low=0)
    fisher_fraction: float = _setting(0.1, "share of the batch the Fisher matrix is estimated from", above=0, high=1)
    backtracks: int = _setting(10, "line-search trials, the full step included", low=1)
    backtrack_ratio: float = _setting(0.5, "each trial's step relative to the one before", above=0, below=1)
    accept_ratio: float = _setting(0.1, "least share of the expected gain that a step must realise", low=0, below=1)
    entropy_coefficient: float = _setting(0.0, "weight of the entropy bonus; 0 = off")
    advantage_norm: str = _setting(
        "batch", "standardise advantages over the batch; none = off", choices=("batch", "none"))


@dataclass(frozen=True)
class Ppo:
    """Proximal policy optimisation, clipped surrogate (Schulman 2017)."""

    name: typing.ClassVar[str] = "ppo"
    step_size: float = _setting(3e-4, "policy step size", above=0)
    clip_epsilon: float | None = _setting(
        0.2, "ε of the clipped ratio 1 ± ε; none = no clipping (ε → ∞)", above=0)
    epochs: int = _setting(10, "passes over the batch", low=1)
    minibatches: int = _setting(32, "minibatches an epoch", low=1)
    entropy_coefficient: float = _setting(0.0, "weight of the entropy bonus (negative: a penalty); 0 = off")
    advantage_norm: str = _setting(
        "minibatch", "standardise advantages over each minibatch, over the batch; none = off",
        choices=("minibatch", "batch", "none"))
    shared_weights: bool = _setting(
        False, "policy and value net share their hidden layers, trained together by one loss; false = separate nets")
    value_coefficient: float = _setting(0.5, "weight of the value loss when weights are shared", low=0)


@dataclass(frozen=True)
class Rollout:
    """How experience is collected."""

    num_steps: int = _setting(2048, "state-action pairs an iteration (a multiple of num_envs)", low=1)
    num_envs: int = _setting(32, "environments stepped together", low=1)
    carry_over: bool = _setting(
        True, "episodes go on from one iteration to the next; "
        "false = every batch begins with resets, as the authors sampled")
    time_limit: str = _setting(
        "terminal", "an episode cut by its time limit counts as: terminal (V = 0, as the authors did), "
        "bootstrap (V of the successor)",
        choices=("terminal", "bootstrap"))
    engine: str = _setting(
        "auto", "auto: EnvPool where it has the task, Gymnasium elsewhere; or one of them by name",
        choices=("auto", "envpool", "gymnasium"))
    patience: float = _setting(60.0, "seconds an environment may be silent before the run is ended", above=0)


@dataclass(frozen=True)
class Advantages:
    """Generalised advantage estimation (Schulman 2016)."""

    gamma: float = _setting(0.99, "γ, discount", low=0, high=1)
    lam: float = _setting(0.95, "λ of GAE", low=0, high=1)


@dataclass(frozen=True)
class Value:
    """How the value net is fitted."""

    step_size: float = _setting(3e-4, "value step size", above=0)
    epochs: int = _setting(10, "passes over the batch", low=1)
    minibatches: int = _setting(32, "minibatches an epoch", low=1)
    target: str = _setting(
        "gae", "gae: V_old + Â; returns: discounted return, with the time within the episode as an input",
        choices=("gae", "returns"))


@dataclass(frozen=True)
class Network:
    """The multilayer perceptrons of policy and value net."""

    hidden: tuple[int, ...] = _setting((64, 64), "hidden units, layer by layer", low=1)
    initial_log_std: float = _setting(0.0, "log standard deviation of a Gaussian policy at the start")


@dataclass(frozen=True)
class Optimiser:
    """First-order optimiser of PPO's policy and of every value net."""

    kind: str = _setting("adam", "adam or sgd", choices=("adam", "sgd"))
    adam_epsilon: float = _setting(1e-5, "Adam's ε, outside the bias correction", above=0)


@dataclass(frozen=True)
class Runtime:
    """How TensorFlow computes: part of the run's identity, for it changes the bits (never the number of cores)."""

    intra_op_threads: int = _setting(1, "TensorFlow threads within an operation", low=1)
    inter_op_threads: int = _setting(1, "TensorFlow operations at once", low=1)
    env_threads: int = _setting(2, "EnvPool threads (trajectories do not depend on it)", low=1)
    xla: bool = _setting(
        True, "compile updates with XLA: seconds at the start, then three times faster; false = plain graphs, other bits")


@dataclass(frozen=True)
class Config:
    """One run, completely."""

    preset: str = _setting("trpo", "name of the preset the settings began from")
    env: str = _setting("Hopper-v5", "Gymnasium task id, or module:id")
    env_args: tuple[tuple[str, Any], ...] = _setting((), 'the task\'s keyword arguments, as JSON: {"xml_file": …}')
    seed: int = _setting(0, "seed of every random number", low=0, high=2**32 - 1)
    total_steps: int = _setting(999_424, "pairs that updates are made from, over the whole run", low=1)
    algorithm: Trpo | Ppo = field(default_factory=Trpo)
    code_level: CodeLevel = field(default_factory=CodeLevel)
    rollout: Rollout = field(default_factory=Rollout)
    advantages: Advantages = field(default_factory=Advantages)
    value: Value = field(default_factory=Value)
    network: Network = field(default_factory=Network)
    optimiser: Optimiser = field(default_factory=Optimiser)
    runtime: Runtime = field(default_factory=Runtime)

    def __post_init__(self):
        for setting in settings(self):
            _check(setting)
        parts = {"rollout.num_envs": self.rollout.num_envs, "value.minibatches": self.value.minibatches}
        if isinstance(self.algorithm, Ppo):
            parts["ppo.minibatches"] = self.algorithm.minibatches
        _divides("rollout.num_steps", self.rollout.num_steps, "rollout.num_envs", parts)
        if self.total_steps < self.rollout.num_steps:
            raise UserError(f"total_steps={self.total_steps} is less than one iteration of "
                            f"rollout.num_steps={self.rollout.num_steps} pairs.")
        _divides("rollout.num_steps", self.rollout.num_steps, "value.minibatches", parts)
        if isinstance(self.algorithm, Ppo):
            if self.algorithm.shared_weights and self.value.target == "returns":
                raise UserError("value.target=returns does not apply with ppo.shared_weights: its value net has the time as an "
                                "input, which the policy has not; choose value.target=gae.")
            if self.algorithm.advantage_norm == "minibatch" and self.rollout.num_steps < 2 * self.algorithm.minibatches:
                raise UserError(f"ppo.minibatches={self.algorithm.minibatches} leaves one pair a minibatch, whose normalised "
                                f"advantage is 0: at most {self.rollout.num_steps // 2}, or ppo.advantage_norm=batch.")
            _divides("rollout.num_steps", self.rollout.num_steps, "ppo.minibatches", parts)

    @property
    def num_iterations(self) -> int:
        """Number of iterations, ⌊total_steps / num_steps⌋."""
        return self.total_steps // self.rollout.num_steps


class Setting(NamedTuple):
    """One setting as the command line sees it."""

    name: str  # dotted, for example "trpo.delta"
    value: Any
    kind: Any  # its type annotation
    text: str  # meaning, unit, off-value
    bounds: dict[str, Any]


ALGORITHMS = {"trpo": Trpo, "ppo": Ppo}


def settings(config: Config) -> Iterator[Setting]:
    """Every setting that applies to `config`, in the order of the dataclasses."""
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            yield from _fields(value, config.algorithm.name if item.name == "algorithm" else item.name)
        else:
            yield _as_setting(item, type(config), "", value)


def all_settings() -> Iterator[Setting]:
    """Every setting of every algorithm with its default, for --help."""
    yield from settings(Config(algorithm=Trpo()))
    yield from _fields(Ppo(), "ppo")


def _fields(section: Any, prefix: str) -> Iterator[Setting]:
    for item in dataclasses.fields(section):
        yield _as_setting(item, type(section), prefix + ".", getattr(section, item.name))


def _as_setting(item: dataclasses.Field, owner: type, prefix: str, value: Any) -> Setting:
    bounds = {key: bound for key, bound in item.metadata.items() if key != "text" and bound is not None}
    return Setting(prefix + item.name, value, _hints(owner)[item.name], item.metadata["text"], bounds)


def _check(setting: Setting) -> None:
    name, value, bounds = setting.name, setting.value, setting.bounds
    if isinstance(setting.kind, types.UnionType):
        if value is None:
            return
        kind = next(k for k in setting.kind.__args__ if k is not type(None))
    else:
        kind = setting.kind
    if "choices" in bounds and value not in bounds["choices"]:
        raise UserError(f"{name}={value} is not known: {nearest(value, bounds['choices'])}")
    if kind in (int, float, bool, str):
        right = isinstance(value, (int, float) if kind is float else kind)
        right = right and (kind is bool or not isinstance(value, bool))
        if not right or (kind is float and not math.isfinite(value)):
            expected = {float: "a finite number", int: "an int"}.get(kind, f"a {kind.__name__}")
            raise UserError(f"{name}={value!r} is not {expected}.")
    elif not isinstance(value, tuple):
        raise UserError(f"{name}={value!r} is not {'a JSON object' if name == 'env_args' else 'a list'}.")
    elif name != "env_args" and not all(type(item) is int for item in value):
        raise UserError(f"{name}={value!r} is not a list of integers.")
    numbers = value if isinstance(value, tuple) and name != "env_args" else (value,)
    for number in numbers:
        for bound, outside, words in (("low", lambda x, b: x < b, "at least"), ("high", lambda x, b: x > b, "at most"),
                                      ("above", lambda x, b: x <= b, "above"), ("below", lambda x, b: x >= b, "below")):
            if bound in bounds and (not isinstance(number, (int, float)) or outside(number, bounds[bound])):
                raise UserError(f"{name}={value} is out of range: it must be {words} {bounds[bound]}.")


def _divides(name: str, whole: int, by: str, parts: dict[str, int]) -> None:
    """Errors: UserError where `whole` is no multiple of parts[by], with the nearest that are multiples of all."""
    if whole % parts[by]:
        step = math.lcm(*parts.values())
        low = whole // step * step
        near = f"{low} or {low + step}" if low else f"{step}"
        others = " and ".join(f"{other}={part}" for other, part in parts.items() if parts[by] % part)
        raise UserError(f"{name}={whole} is not a multiple of {by}={parts[by]}: the nearest are {near}{f', for {others} as well' if others else ''}.")


@functools.cache
def _hints(owner: type) -> dict[str, Any]:
    return typing.get_type_hints(owner)
