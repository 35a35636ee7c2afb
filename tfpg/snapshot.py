"""What is left of iteration k for whoever asks later? A SavedModel: the policy, and all that its next step was made from.

    policies/000150/saved_model.pb, variables/    for TensorFlow alone: tf.saved_model.load(directory)
    policies/000150/metadata.json                 for people and other programs
    policies/000150/SHA256SUMS                    of every other file (`sha256sum -c` reads it)

    model = tf.saved_model.load(directory)
    model.greedy(obs), model.parameters_at(theta, obs), …     see ENDPOINTS; observations are raw
    model.record["theta_next"], …                              see RECORD; variables by name

Loading needs nothing of this project and no Keras: the graphs hold the networks, the frozen and bounded normaliser is
inside. Every save builds a module of its own and drops it, so nothing grows with the number of snapshots."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfpg import settings, storage, sums
from tfpg.checkpoint import digest, named
from tfpg.config import CodeLevel, Config
from tfpg.envs.make import Task
from tfpg.envs.transforms import normalise_observation, time_feature
from tfpg.errors import UserError
from tfpg.models.policy import Policy
from tfpg.models.value import ValueFunction
from tfpg.run_directory import versions
from tfpg.types import Iteration, Moments, Normaliser

FORMAT = 1  # of record and endpoints; to be raised when either loses or changes something

ENDPOINTS = {
    "greedy": "(obs [B, S]) → the most probable actions of π_θk, [B, A] or int32 [B]; the default signature",
    "sample": "(obs [B, S], seed int32 [2]) → actions drawn from π_θk; the same for the same seed",
    "parameters": "(obs [B, S]) → (mean, log_std) each [B, A], or (logits) [B, A]",
    "log_prob": "(obs [B, S], actions) → log π_θk(a|s), [B]",
    "value": "(obs [B, S], episode_step int32 [B]) → V_φk(s), [B], in units of the value targets; the step is read "
             "only where value.target is returns",
    "parameters_at": "(theta [P], obs [B, S]) → parameters of π_θ",
    "greedy_at": "(theta [P], obs [B, S]) → the most probable actions of π_θ",
    "value_at": "(phi [Q], obs [B, S], episode_step int32 [B]) → V_φ(s), [B]",
    "parameters_stacked": "(thetas [K, P], obs [K, n, S]) → parameters of K policies, each on observations of its own",
    "greedy_stacked": "(thetas [K, P], obs [K, n, S]) → their most probable actions, [K, n, A] or int32 [K, n]",
    "act_stacked": "(thetas [K, P], obs [K, n, S], noise [K, n, A]) → their actions; the noise is standard normal, "
                   "or for discrete actions Gumbel",
}

RECORD = {
    "theta, phi": "θ_k [P] and φ_k [Q], which acted and valued",
    "theta_next, phi_next": "θ_{k+1} and φ_{k+1}, after the update",
    "theta_proposed": "the step before TRPO's line search; PPO's is θ_{k+1}",
    "policy_slots/, value_slots/": "count, first, second: the optimisers before the update, by position",
    "normaliser/": "observation/, reward/: count, mean, m2, frozen during the iteration",
    "schedule/": "step sizes or δ in force",
    "trajectory/": "obs, actions, rewards, terminated, truncated, successors, episode_step: raw, [T, N, …]",
    "batch/": "obs, critic_obs, actions, advantages (un-normalised), value_targets, values (of V_φk): [B, …]",
    "update/": "what the policy's update reported, for example step_size, cg_residual, applied_kl",
    "config, metadata": "JSON",
}


class Contents(NamedTuple):
    """A snapshot that has been read and found whole."""

    path: Path
    model: Any  # what tf.saved_model.load returned: the endpoints
    record: dict[str, np.ndarray]  # by name, without config and metadata
    config: Config
    metadata: dict[str, Any]


class Writer:
    """Writes iterations of one run as SavedModels.

    Args: policy, value: the pure functions that the iterations' θ and φ belong to. The endpoints are traced for the first and
    kept: two thirds of the time of a save."""

    def __init__(self, config: Config, task: Task, policy: Policy, value: ValueFunction):
        self._config, self._task, self._policy, self._value = config, task, policy, value
        self._traced: tuple[Endpoints, Callable] | None = None  # with its signature

    def save(self, directory: str | os.PathLike, iteration: Iteration) -> None:
        """Writes `directory`, under a temporary name first; an old one is replaced. Errors: UserError when the disk refuses."""
        storage.make_directory(Path(directory).parent)
        metadata = _metadata(iteration, self._config, self._task)
        model, signature = self._holding(_record(iteration, self._config, metadata))
        with storage.atomically(directory) as temporary:
            write(model, signature, temporary)
            text = json.dumps(metadata, indent=2, ensure_ascii=False, allow_nan=False)
            (temporary / sums.METADATA).write_text(text + "\n", encoding="utf-8")
            sums.write(temporary)

    def _holding(self, record: dict[str, Any]) -> tuple[Endpoints, Callable]:
        """The model over this record, and its signature."""
        if self._traced is None:
            model = Endpoints(record, self._task, self._policy, self._value, functools.partial(_eyes, self._config, self._task))
            self._traced = model, signature_of(model, self._task)
        else:
            for name, variable in self._traced[0].record.items():
                variable.assign(record[name])
        return self._traced


def load(directory: str | os.PathLike) -> Contents:
    """Reads a snapshot after comparing every file with its sum.

    Errors: UserError, one sentence: no directory, no SavedModel, not one of ours, damaged, of another version."""
    path = Path(os.path.abspath(Path(directory).expanduser()))
    sums.check(path)
    try:
        model = tf.saved_model.load(os.fspath(path))
    except Exception as error:
        reason = (str(error).splitlines() or ["no reason given"])[0].rstrip(".")
        raise UserError(f"{path} cannot be loaded by this TensorFlow: {reason}.") from error
    absent = [name for name in (*ENDPOINTS, "record") if not hasattr(model, name)]
    if absent:
        raise UserError(f"{path} is a SavedModel without {', '.join(absent)}: it is of another version of tfpg.")
    try:
        record = {name: variable.numpy() for name, variable in model.record.items()}
        config = settings.from_dict(json.loads(record.pop("config")))
        metadata = json.loads(record.pop("metadata"))
    except (KeyError, ValueError) as error:
        raise UserError(f"{path} is of another version of tfpg: {error}") from None
    if metadata.get("format") != FORMAT:
        raise UserError(f"{path} has format {metadata.get('format')}, this version of tfpg reads {FORMAT}.")
    return Contents(path, model, record, config, metadata)


def normaliser_hash(normaliser: Normaliser) -> str:
    """SHA-256 of the statistics: results under different normalisers must not be mixed within one picture."""
    return digest(named(normaliser)).hex()


class Endpoints(tf.Module):
    """ENDPOINTS over the variables of a record with theta and phi; nothing of it is trainable."""

    def __init__(self, record: dict[str, Any], task: Task, policy: Policy, value: ValueFunction, eyes: Callable,
                 bound: Callable = lambda actions: actions):
        """Args: record: theta, phi and whatever else is to be kept, by name. eyes: record's variables → two functions, what the
        policy sees of raw observations, what the value net sees of them at a step. bound: what becomes of an action
        on its way to the task."""
        super().__init__(name="tfpg")
        # The value, and not the array: a variable of one 0-d text is text.
        self.record = {name: tf.Variable(content, trainable=False) for name, content in record.items()}
        theta, phi = self.record["theta"], self.record["phi"]
        see, judge = eyes(self.record)
        obs, stacked_obs, step = _rows(task.obs_size), _spec(None, None, task.obs_size), _spec(None, dtype=tf.int32)
        actions = _spec(None, dtype=tf.int32) if task.discrete else _rows(task.action_size)
        a_theta, a_phi, thetas = _spec(policy.layout.size), _spec(value.layout.size), _rows(policy.layout.size)
        noise = _spec(None, None, *policy.noise_shape)

        def sample(obs, seed):
            return bound(policy.act(theta, see(obs), policy.draw_noise(seed, [tf.shape(obs)[0]])))

        self.greedy = _endpoint(lambda obs: bound(policy.greedy(theta, see(obs))), obs)
        self.sample = _endpoint(sample, obs, _spec(2, dtype=tf.int32, name="seed"))
        self.parameters = _endpoint(lambda obs: policy.parameters(theta, see(obs)), obs)
        self.log_prob = _endpoint(lambda obs, actions: policy(theta, see(obs)).log_prob(actions), obs, actions)
        self.value = _endpoint(lambda obs, episode_step: value(phi, judge(obs, episode_step)), obs, step)
        self.parameters_at = _endpoint(lambda theta, obs: policy.parameters(theta, see(obs)), a_theta, obs)
        self.greedy_at = _endpoint(lambda theta, obs: bound(policy.greedy(theta, see(obs))), a_theta, obs)
        self.value_at = _endpoint(lambda phi, obs, episode_step: value(phi, judge(obs, episode_step)), a_phi, obs, step)
        self.parameters_stacked = _endpoint(
            lambda thetas, obs: policy.parameters_stacked(thetas, see(obs)), thetas, stacked_obs)
        self.greedy_stacked = _endpoint(
            lambda thetas, obs: bound(policy.greedy_stacked(thetas, see(obs))), thetas, stacked_obs)
        self.act_stacked = _endpoint(
            lambda thetas, obs, noise: bound(policy.act_stacked(thetas, see(obs), noise)), thetas, stacked_obs, noise)


def signature_of(model: Endpoints, task: Task) -> Callable:
    """The default signature: the most probable actions."""
    return _endpoint(lambda obs: {"actions": model.greedy(obs)}, _rows(task.obs_size))


def write(model: Endpoints, signature: Callable, directory: Path) -> None:
    """Writes a SavedModel, quietly. Errors: UserError when the disk refuses."""
    with _quiet():
        try:
            tf.saved_model.save(model, os.fspath(directory), signatures={"serving_default": signature})
        except tf.errors.OpError as error:  # what TensorFlow makes of a full disk
            raise UserError(f"cannot write {directory}: {error.message}") from error


def _eyes(config: Config, task: Task, record: dict[str, tf.Variable]) -> tuple[Callable, Callable]:
    """What policy and value net see of a raw observation, with the frozen normaliser."""
    moments = Moments(*(record[f"normaliser/observation/{name}"] for name in Moments._fields))
    code_level: CodeLevel = config.code_level

    def see(obs):
        return normalise_observation(obs, moments, code_level)

    def judge(obs, episode_step):
        if config.value.target != "returns":
            return see(obs)
        return tf.concat([see(obs), time_feature(episode_step, task.time_limit)[:, tf.newaxis]], axis=-1)

    return see, judge


def _record(iteration: Iteration, config: Config, metadata: dict[str, Any]) -> dict[str, Any]:
    before, update, epochs = iteration.before, iteration.update, iteration.moved.epochs
    after, step = update.learner, named(update.policy) | ({} if epochs is None else named(epochs))
    return {
        "theta": before.theta, "phi": before.phi, "theta_next": after.theta, "phi_next": after.phi,
        "theta_proposed": getattr(update.policy, "proposed", after.theta),
        **named(before.policy_slots, "policy_slots/"),
        **named(before.value_slots, "value_slots/"),
        **named(iteration.normaliser, "normaliser/"),
        **{f"schedule/{name}": np.float64(number) for name, number in update.schedule.items()},
        **named(iteration.trajectory, "trajectory/"),
        **named(iteration.batch, "batch/"),
        **{f"update/{name}": array for name, array in step.items()
           if name not in ("theta", "thetas", "proposed") and not name.startswith("slots/")},
        "config": json.dumps(settings.to_dict(config)),
        "metadata": json.dumps(metadata, ensure_ascii=False),
    }


def _metadata(iteration: Iteration, config: Config, task: Task) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "task": {**task._asdict(), "env_args": dict(task.env_args)},
        "algorithm": config.algorithm.name,
        "preset": config.preset,
        "iteration": int(iteration.index),
        "steps": int(iteration.steps),
        "env_steps": int(iteration.env_steps),
        "seed": config.seed,
        "seeds": "numpy.random.SeedSequence((seed, purpose, iteration, …)), the purposes in tfpg.seeds",
        "normaliser_sha256": normaliser_hash(iteration.normaliser),
        "versions": {**versions(), "python": platform.python_version()},
        "settings": settings.to_dict(config),
        "endpoints": ENDPOINTS,
        "record": RECORD,
    }


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without TensorFlow's own account of the saving, five lines each time where absl's log is on."""
    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)


def _endpoint(function: Callable, *signature: tf.TensorSpec) -> tf.types.experimental.PolymorphicFunction:
    return tf.function(function, input_signature=signature, autograph=False)


def _spec(*shape: int | None, dtype=tf.float32, name: str | None = None) -> tf.TensorSpec:
    return tf.TensorSpec(shape, dtype, name)


def _rows(size: int) -> tf.TensorSpec:
    return _spec(None, size)
