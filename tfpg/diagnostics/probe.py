"""What does every instrument look at? A saved iteration: its policy as a function of θ, its step, its batch.

An instrument is a function of (Probe, θ). It never changes what it looks at: the normaliser is frozen inside the
saved graphs, environments and random streams are the instrument's own."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from tfpg import snapshot
from tfpg.algos.networks import networks
from tfpg.checkpoint import rebuild
from tfpg.config import Config
from tfpg.envs.make import Task, describe
from tfpg.errors import UserError
from tfpg.models import policy
from tfpg.numerics.flat import Layout
from tfpg.run_directory import versions
from tfpg.types import Batch, Normaliser, Slots, Tensor, Trajectory


class Subject(Protocol):
    """What instruments need that ask for a policy alone: Probe, and policies that other code wrote (foreign)."""

    @property
    def path(self) -> Path:
        """Where it was loaded from."""

    @property
    def task(self) -> Task:
        """What it acts in."""

    @property
    def theta(self) -> Tensor:
        """Its parameters, [P] float32."""

    @property
    def layout(self) -> Layout:
        """Which variable is where in θ."""

    @property
    def noise_kind(self) -> str:
        """The noise that `act` takes: normal or gumbel."""

    @property
    def patience(self) -> float:
        """Seconds that its task may be silent."""

    def act(self, obs: Tensor, noise: Tensor, thetas: Tensor) -> Tensor:
        """Actions of K policies. Args: obs: raw [K, n, S]. noise: [K, n, A] of noise_kind. thetas: [K, P]. Returns: [K, n, A] or int32 [K, n]."""

    def greedy(self, obs: Tensor, noise: Tensor, thetas: Tensor) -> Tensor:
        """Their most probable actions; the noise is not used."""

    def pi(self, theta: Tensor, obs: Tensor) -> Any:
        """π_θ(·|s), a distribution of TensorFlow Probability. obs: [B, S], raw."""

    def provenance(self, theta: Tensor | None = None) -> dict[str, Any]:
        """Labels of results: what it is, and sums of its arrays. Args: theta: another point than its own."""


class Probe(NamedTuple):
    """Iteration k of a run. Arrays are NumPy's; `model` holds the endpoints, which take raw observations."""

    path: Path
    metadata: dict[str, Any]  # see tfpg.snapshot: iteration, env_steps, normaliser_sha256, …
    config: Config
    task: Task
    theta: Tensor  # [P]  θ_k
    theta_next: Tensor  # [P]  θ_{k+1}
    theta_proposed: Tensor  # [P]  before TRPO's line search
    phi: Tensor  # [Q]  φ_k
    phi_next: Tensor  # [Q]  φ_{k+1}
    policy_slots: Slots  # before the update
    value_slots: Slots  # before the update
    schedule: dict[str, float]  # step sizes or δ in force
    normaliser: Normaliser  # frozen during iteration k
    trajectory: Trajectory  # raw, [T, N, …]
    batch: Batch  # as the learner saw it, advantages un-normalised
    model: Any  # endpoints of tfpg.snapshot.ENDPOINTS

    @property
    def iteration(self) -> int:
        """k."""
        return self.metadata["iteration"]

    def pi(self, theta: Tensor, obs: Tensor) -> Any:
        """π_θ(·|s) as a TFP distribution, batch shape [B]. Args: theta: [P]. obs: raw [B, S]."""
        return self.family.distribution(self.model.parameters_at(theta, obs))

    def pi_stacked(self, thetas: Tensor, obs: Tensor) -> Any:
        """K policies, each on observations of its own: batch shape [K, n]. Args: thetas: [K, P]. obs: raw [K, n, S]."""
        return self.family.distribution(self.model.parameters_stacked(thetas, obs))

    def act(self, obs: Tensor, noise: Tensor, thetas: Tensor) -> Tensor:
        """Actions of K policies, as EpisodeSampler asks for them; bit for bit the same however many are stacked.

        Args: obs: raw [K, n, S]. noise: [K, n, A] of noise_kind. thetas: [K, P]. Returns: [K, n, A] or int32 [K, n]."""
        return self.model.act_stacked(thetas, obs, noise)

    def greedy(self, obs: Tensor, noise: Tensor, thetas: Tensor) -> Tensor:
        """Their most probable actions. Args: as of `act`; the noise is not looked at. Returns: as of `act`."""
        return self.model.greedy_stacked(thetas, obs)

    @property
    def noise_kind(self) -> str:
        """The noise that `act` takes, as EpisodeSampler names it."""
        return "gumbel" if self.task.discrete else "normal"

    @property
    def patience(self) -> float:
        """Seconds an environment may be silent."""
        return self.config.rollout.patience

    @property
    def layout(self) -> Layout:
        """Shapes of θ's weights. They follow from the configuration: the network is built, and dropped."""
        config = self.config
        return networks(self.task, algorithm=config.algorithm, value=config.value, network=config.network,
                        code_level=config.code_level, seed=config.seed).policy.layout

    def provenance(self, theta: Tensor | None = None) -> dict[str, Any]:
        """What a result was measured on: see `provenance`."""
        return provenance(self, theta)

    @property
    def family(self) -> Any:
        """The family of distributions of the task's actions: of_outputs, distribution, act, greedy."""
        return policy.family_of(self.task.action_size, self.task.discrete, self.config.network)


def load(path: str | os.PathLike, *, engine: str | None = None) -> Probe:
    """The probe of a saved iteration.

    Args: path: directory of the SavedModel. engine: what is to step the task, auto, envpool or gymnasium; None: as
    the run was configured.
    Errors: UserError, one sentence: no SavedModel of ours, damaged, a task that cannot be made here, or that has
    other observations or actions than the policy was trained on."""
    contents = snapshot.load(path)
    record, config = contents.record, contents.config
    task = describe(config.env, config.env_args, engine or config.rollout.engine, patience=config.rollout.patience)
    _check_task(contents, task)
    try:
        return Probe(
            path=contents.path, metadata=contents.metadata, config=config, task=task,
            theta=record["theta"], theta_next=record["theta_next"], theta_proposed=record["theta_proposed"],
            phi=record["phi"], phi_next=record["phi_next"],
            policy_slots=rebuild(Slots, record, "policy_slots/"), value_slots=rebuild(Slots, record, "value_slots/"),
            schedule={name.removeprefix("schedule/"): float(value) for name, value in record.items()
                      if name.startswith("schedule/")},
            normaliser=rebuild(Normaliser, record, "normaliser/"),
            trajectory=rebuild(Trajectory, record, "trajectory/"), batch=rebuild(Batch, record, "batch/"),
            model=contents.model)
    except KeyError as error:
        raise UserError(f"{contents.path} is of another version of tfpg: its record has no {error.args[0]}.") from None


def of_a_run(subject: Subject) -> Probe:
    """The subject of what needs a run's batch or the state of its optimiser.

    Errors: TypeError for a policy that other code wrote, which launchers refuse before they ask for such a thing."""
    if not isinstance(subject, Probe):
        raise TypeError(f"{subject.path} carries no batch and no optimiser's state.")
    return subject


def provenance(probe: Probe, theta: Tensor | None = None) -> dict[str, Any]:
    """What a result was measured on, as attributes of a Dataset. Args: theta: [P] where it is not the probe's θ_k."""
    theta = np.asarray(probe.theta if theta is None else theta)
    names = {"theta": probe.theta, "theta_next": probe.theta_next, "theta_proposed": probe.theta_proposed}
    metadata = probe.metadata
    return {
        "policy": os.fspath(probe.path), "task": probe.task.id, "engine": probe.task.engine,
        "env_args": str(dict(probe.task.env_args)), "algorithm": metadata["algorithm"], "preset": metadata["preset"],
        "run_seed": metadata["seed"], "iteration": metadata["iteration"], "env_steps": metadata["env_steps"],
        "normaliser_sha256": metadata["normaliser_sha256"],
        "theta": next((name for name, vector in names.items() if np.array_equal(vector, theta)), "given"),
        "theta_norm": float(np.linalg.norm(theta)), "theta_sha256": hashlib.sha256(theta.tobytes()).hexdigest(),
        "function_sha256": function_hash(probe), **computed_by(),
    }


def function_hash(subject: Subject) -> str:
    """SHA-256 of what the policy is as a function of θ and s, by its answers on made-up observations at two θ: networks that
    differ in an activation or a normaliser differ here, also where their parameters are equal."""
    draw = np.random.default_rng(0)
    obs = draw.normal(size=(16, subject.task.obs_size)).astype(np.float32)
    theta = np.asarray(subject.theta, np.float32)
    other = theta + draw.normal(scale=0.1, size=theta.shape).astype(np.float32)
    total = hashlib.sha256()
    for at in (theta, other):
        pi = subject.pi(tf.constant(at), tf.constant(obs))
        for answer in (pi.mode(), pi.entropy()):
            total.update(np.ascontiguousarray(answer).tobytes())
    return total.hexdigest()


def computed_by() -> dict[str, Any]:
    """What else changes bits: TensorFlow as it was started, and the libraries that step and draw."""
    found = versions()
    return {"intra_op_threads": tf.config.threading.get_intra_op_parallelism_threads(),
            **{name: found[name] for name in ("tensorflow", "numpy", "gymnasium", "envpool", "mujoco") if name in found}}


def _check_task(contents: snapshot.Contents, task: Task) -> None:
    trained = contents.metadata["task"]
    if trained["obs_size"] != task.obs_size:
        raise UserError(f"{contents.path} was trained on observations of size {trained['obs_size']}, but {task.id} "
                        f"gives observations of size {task.obs_size} here.")
    if (trained["discrete"], trained["action_size"]) != (task.discrete, task.action_size):
        raise UserError(f"{contents.path} was trained with {_actions(trained['discrete'], trained['action_size'])}, but "
                        f"{task.id} takes {_actions(task.discrete, task.action_size)} here.")


def _actions(discrete: bool, size: int) -> str:
    return f"{size} discrete actions" if discrete else f"actions of size {size}"
