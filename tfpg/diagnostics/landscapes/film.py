"""Where did the run go from θ_k? The straight line to any later θ, both under one normaliser.

A later θ was made to see observations through later statistics. It is re-expressed under θ_k's: shift and scale go into
its first layer, and it is the same function of raw observations,

    W' ((s − μ') / σ') + b'  =  W ((s − μ) / σ) + b,      W = W' diag(σ / σ'),   b = b' + W' ((μ − μ') / σ')

(W of shape [units, S]; Keras stores its transpose) but for the clipping of normalised observations, which cannot be moved:
the largest difference of the mean action is reported."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import xarray as xr

from tfpg import checkpoint
from tfpg.algos.networks import networks
from tfpg.config import Config
from tfpg.diagnostics import probe
from tfpg.diagnostics.landscapes import surfaces
from tfpg.diagnostics.landscapes.plane import Plane, line
from tfpg.diagnostics.probe import Probe
from tfpg.envs.transforms import normalise_observation, scale
from tfpg.errors import UserError
from tfpg.models import mlp
from tfpg.run_directory import RunDirectory
from tfpg.settings import to_dict
from tfpg.types import Moments, Tensor

_FREE = ("total_steps", "patience", "runtime")  # settings, or sections of them, in which two parts of one run may differ


class Later(NamedTuple):
    """A later θ, as θ_k's normaliser must have it."""

    theta: np.ndarray  # [P] float32
    iteration: int
    action_difference: float  # largest |difference of the mean action, or of a logit| on θ_k's own batch
    path: Path


def later(origin: Probe, path: str | os.PathLike) -> Later:
    """The θ of another iteration of a run, re-expressed under the origin's normaliser.

    Args: path: SavedModel directory, or an iterate of the film (runs/…/iterates/000300.npz).
    Errors: UserError where it belongs to another run, network, task or kind of normalisation."""
    path = Path(os.path.abspath(Path(path).expanduser()))
    if path.is_dir():
        other = probe.load(path)
        _check_alike(origin, other.config, path)
        theta, moments, iteration = other.theta, other.normaliser.observation, other.iteration
    else:
        if not (path.suffix == ".npz" and path.stem.isdecimal()):
            raise UserError(f"{path} is neither a policy's directory nor an iterate: --to takes runs/…/policies/000300 or "
                            "runs/…/iterates/000300.npz.")
        run = RunDirectory(path.parent.parent)
        if run.config_file.exists():  # an iterate that lies alone says nothing of where it is from
            _check_alike(origin, run.config, path)
        iterate = checkpoint.load_iterate(path.parent, int(path.stem))
        theta, moments, iteration = iterate.theta, iterate.normaliser.observation, iterate.iteration
    if np.shape(theta) != np.shape(origin.theta):
        raise UserError(f"{path} has {np.size(theta)} parameters, the policy at the origin {np.size(origin.theta)}: "
                        "choose an iteration of the same run.")
    if np.shape(moments.mean) != (origin.task.obs_size,):
        raise UserError(f"{path} was made for observations of size {np.size(moments.mean)}, the policy at the origin for size "
                        f"{origin.task.obs_size}: choose an iteration of the same run.")
    if not origin.config.code_level.observation_normalisation:
        expressed = np.asarray(theta, np.float32)
    else:
        expressed = reexpress(theta, moments, origin.normaliser.observation, origin.layout.shapes[0])
    return Later(expressed, iteration, _difference(origin, theta, moments, expressed), path)


def reexpress(theta: Tensor, theirs: Moments, ours: Moments, kernel: Sequence[int]) -> np.ndarray:
    """θ' under other statistics, float32 [P].

    Args: theta: [P], whose first weights are the kernel [S, units] and the bias [units] of the layer that sees the
    observation. theirs: the statistics it was made under. ours: those it is to have."""
    their_std = np.asarray(scale(theirs))
    shift = (np.asarray(ours.mean) - np.asarray(theirs.mean)) / their_std
    return mlp.reexpressed(theta, shift, np.asarray(scale(ours)) / their_std, kernel)


def film(origin: Probe, other: Later, ts: np.ndarray, **settings: Any) -> xr.Dataset:
    """J along θ_k + t (θ_later − θ_k). Args: ts: [T]. settings: as of landscapes.returns."""
    found = surfaces.returns(origin, way(origin, other, ts), **settings)
    return found.assign_attrs(surface="film", to_iteration=other.iteration, action_difference=other.action_difference)


def way(origin: Probe, other: Later, ts: np.ndarray) -> Plane:
    """The line of a film. Args: as of `film`."""
    direction = other.theta.astype(np.float64) - np.asarray(origin.theta, np.float64)
    return line(origin.theta, direction, ts, f"from iteration {origin.iteration} (0) to {other.iteration} (1)")


def _difference(origin: Probe, theta: Tensor, moments: Moments, expressed: np.ndarray) -> float:
    """Largest difference of the first distribution parameter on the origin's own batch."""
    config = origin.config
    nets = networks(origin.task, algorithm=config.algorithm, value=config.value, network=config.network,
                    code_level=config.code_level, seed=config.seed)
    obs = np.asarray(origin.trajectory.obs).reshape(-1, origin.task.obs_size)

    def first(theta, moments):
        return nets.policy.parameters(tf.constant(theta), normalise_observation(obs, moments, config.code_level))[0]

    ours, theirs = first(expressed, origin.normaliser.observation), first(np.asarray(theta), moments)
    return float(tf.reduce_max(tf.abs(ours - theirs)))


def _check_alike(origin: Probe, config: Config, path: Path) -> None:
    """Errors: UserError naming the first setting by which a policy at `path` is of another run."""
    mine, its = to_dict(origin.config), to_dict(config)
    for name in sorted(mine, key=lambda name: not name.startswith("env")):  # another task says more than what follows from it
        if not set(name.split(".")) & set(_FREE) and its.get(name) != mine[name]:
            raise UserError(f"{path} was made with {name}={its.get(name)}, {origin.path} with {mine[name]}: a line between them "
                            "is no film, so choose an iteration of the same run.")
