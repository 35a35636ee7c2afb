"""Which numbers describe one iteration? A flat table by TensorBoard tag, and its line in metrics.jsonl.

Everything comes from the record of the iteration; nothing here imports TensorFlow. All but `time/` is reproducible."""

from __future__ import annotations

import json
import math
import os
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tfpg import storage
from tfpg.config import Config, Ppo
from tfpg.errors import UserError
from tfpg.numerics.errors import explained_variance, relative_error
from tfpg.run_directory import RunDirectory
from tfpg.types import QUANTILES, Iteration, TrpoUpdate, TrustRegion

_SUM = re.compile(r', "crc32": "[0-9a-f]{8}"}$')
# Episodes of this many last iterations make the final score (the authors' statistic).
FINAL_ITERATIONS = 5
# What a trust region has besides its means and ends stands in metrics.jsonl alone: TensorBoard shows few curves.
_DETAILS = ("quantile", "mean_reverse_kl", "mean_ratio_distance", "stderr", "pairs", "episodes")


def metrics(iteration: Iteration, config: Config, at_once: Mapping[str, float] | None = None) -> dict[str, float]:
    """Every number of one iteration by its TensorBoard tag.

    What does not exist is absent: the return where no episode ended, the standard deviation of discrete actions,
    a bound that the algorithm does not have. Args: at_once: its `numbers_at_once`, where they are there."""
    return {
        **(numbers_at_once(iteration, config) if at_once is None else at_once),
        **_trust_region(iteration, config),
        **_algorithm(iteration),
        **_time(iteration, config),
    }


def numbers_at_once(iteration: Iteration, config: Config) -> dict[str, float]:
    """Those that do not wait for what the update did to the policy."""
    return {**_rollout(iteration), **_policy(iteration), **_value(iteration, config)}


def epoch_curves(iteration: Iteration) -> dict[str, list[float]]:
    """PPO's whole-batch values after each epoch, [E] each; nothing for TRPO."""
    epochs = iteration.moved.epochs
    if epochs is None:
        return {}
    return {f"ppo/epochs/{name}": np.asarray(curve, np.float64).tolist() for name, curve in epochs._asdict().items()}


def trust_region(region: TrustRegion, pool: str) -> dict[str, float]:
    """A trust region by tag: trust_region/<pool>/mean_kl, …, kl_quantile_50, … Args: pool: train or heldout."""
    found: dict[str, float] = {}
    for name, value in zip(TrustRegion._fields, region, strict=True):
        if name.endswith("_quantiles"):
            names = [f"{name.removesuffix('s')}_{100 * level:02.0f}" for level in QUANTILES]
            found |= dict(zip(names, np.asarray(value, np.float64).tolist(), strict=True))
        else:
            found[name] = float(value)
    return {f"trust_region/{pool}/{name}": value for name, value in found.items()}


def heldout(found: Any) -> dict[str, float]:
    """An update on held-out pairs by tag. Args: found: a tfpg.diagnostics.trust_regions.heldout.HeldoutRegion."""
    others = {name: float(getattr(found, name)) for name in ("mean_kl_stderr", "mean_return", "mean_return_stderr", "pairs", "episodes", "episodes_played")}
    return trust_region(found.region, "heldout") | {f"trust_region/heldout/{name}": value for name, value in others.items()}


def curves(metrics: Mapping[str, float]) -> dict[str, float]:
    """Those that TensorBoard shows: all but the details of the trust regions."""
    return {tag: value for tag, value in metrics.items()
            if not (tag.startswith("trust_region/") and any(detail in tag for detail in _DETAILS))}


def as_line(iteration: Iteration, metrics: Mapping[str, float]) -> str:
    """One line of metrics.jsonl: iteration, steps, env_steps, the metrics, then PPO's epoch curves as lists, and last crc32, a sum over
    the line without it.

    Numbers read back are equal to the last bit; what JSON does not have is null for nan, "inf", "-inf"."""
    row = {"iteration": iteration.index, "steps": iteration.steps, "env_steps": iteration.env_steps,
           **metrics, **epoch_curves(iteration)}
    return summed(json.dumps({key: _plain(value) for key, value in row.items()}, allow_nan=False))


def summed(line: str) -> str:
    """A line, a JSON object, with its sum: another digit is JSON still."""
    return f'{line[:-1]}, "crc32": "{zlib.crc32(line.encode()):08x}"}}'


def read(path: str | os.PathLike) -> list[dict[str, Any]]:
    """The rows of a metrics.jsonl, a torn last line passed over; null comes back as nan, "inf" and "-inf" as what they say.

    Lines without a sum, as from an older version, are believed. Errors: UserError naming file and line where one is damaged."""
    rows = storage.read_records(path)
    for number, (row, line) in enumerate(zip(rows, storage.read_lines(path), strict=False), start=1):
        if row.pop("crc32", None) is not None and line != summed(_SUM.sub("}", line)):
            raise UserError(f"{path} is damaged: line {number} differs from its sum.")
    return [{key: _number(value) for key, value in row.items()} for row in rows]


def of_run(run: RunDirectory) -> list[dict[str, Any]]:
    """The rows of a run's metrics.jsonl, one for each iteration.

    Errors: as `read`, and UserError where one is missing: before the last row, or at all of a finished run."""
    rows, path = read(run.metrics), run.metrics
    if [row.get("iteration") for row in rows] != list(range(len(rows))):
        raise UserError(f"{path} is damaged: its lines are not those of iterations 0 to {len(rows) - 1}.")
    if run.finished and len(rows) != run.config.num_iterations:
        raise UserError(f"{path} is damaged: it has {len(rows)} lines of the {run.config.num_iterations} iterations of a finished run.")
    return rows


def final_scores(rows: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The scores of a run: final/return, the mean over the episodes of its last 5 iterations, and final/best_return,
    the best mean of one iteration. nan where no episode ended."""
    rows = list(rows)
    ended = [row for row in rows if "rollout/return" in row]
    last = [row for row in rows[-FINAL_ITERATIONS:] if "rollout/return" in row]
    episodes = sum(row["rollout/episodes"] for row in last)
    total = sum(row["rollout/return"] * row["rollout/episodes"] for row in last)
    if not last and ended:  # long episodes that begin together end together: the last iteration where some did
        episodes, total = 1, ended[-1]["rollout/return"]
    return {"final/return": total / episodes if episodes else math.nan,
            "final/best_return": max((row["rollout/return"] for row in ended), default=math.nan)}


def _rollout(iteration: Iteration) -> dict[str, float]:
    episodes = iteration.episodes
    count = {"rollout/episodes": float(len(episodes.returns))}
    if not len(episodes.returns):
        return count
    means = {"rollout/return": float(np.mean(episodes.returns)), "rollout/length": float(np.mean(episodes.lengths))}
    return means | count


def _policy(iteration: Iteration) -> dict[str, float]:
    update = iteration.update
    step = np.asarray(update.learner.theta, np.float64) - np.asarray(iteration.before.theta, np.float64)
    found = {"policy/entropy": float(update.entropy), "policy/std": float(update.std),
             "policy/step_norm": float(np.linalg.norm(step))}
    if math.isnan(found["policy/std"]):
        del found["policy/std"]
    if "policy_step_size" in update.schedule:
        found["policy/step_size"] = float(update.schedule["policy_step_size"])
    return found


def _trust_region(iteration: Iteration, config: Config) -> dict[str, float]:
    found = trust_region(iteration.moved.after, "train")
    if config.code_level.observation_normalisation:
        found |= {f"trust_region/normaliser/{name}": float(value) for name, value in iteration.moved.drift._asdict().items()}
    if "delta" in iteration.update.schedule:
        found["trust_region/bounds/mean_kl"] = float(iteration.update.schedule["delta"])
    match config.algorithm:
        case Ppo(clip_epsilon=float() | int() as epsilon):
            found["trust_region/bounds/max_ratio"] = 1 + float(epsilon)
            found["trust_region/bounds/min_ratio"] = 1 - float(epsilon)
    return found


def _algorithm(iteration: Iteration) -> dict[str, float]:
    update, epochs = iteration.update, iteration.moved.epochs
    if isinstance(update.policy, TrpoUpdate):
        names = ("cg_residual", "accepted_fraction", "backtracks", "expected_gain", "actual_gain", "predicted_kl",
                 "fisher_kl", "rejected_kl", "curvature_ok")
        return {f"trpo/{name}": float(getattr(update.policy, name)) for name in names}
    # As arrays first: each index into a tensor is an operation of TensorFlow's.
    assert epochs is not None  # PPO's
    curves = {name: np.asarray(curve) for name, curve in epochs._asdict().items()}
    found = {f"ppo/{name}": float(curves[name][-1]) for name in ("surrogate", "clip_fraction")}
    last = len(curves["mean_kl"])
    for epoch in sorted({1, last // 2} - {0, last}):  # the last is trust_region/train; all are in metrics.jsonl
        for name in ("mean_kl", "max_ratio", "clip_fraction"):
            found[f"ppo/epoch_{epoch:02d}/{name}"] = float(curves[name][epoch - 1])
    return found


def _value(iteration: Iteration, config: Config) -> dict[str, float]:
    """V after its update, on the batch it was fitted to, in the batch's frozen reward scale."""
    batch, trajectory = iteration.batch, iteration.trajectory
    values = np.asarray(iteration.update.values_after, np.float64)
    targets = np.asarray(batch.value_targets, np.float64)
    gae = np.asarray(batch.values, np.float64) + np.asarray(batch.advantages, np.float64)
    dead = np.asarray(trajectory.terminated)
    if config.rollout.time_limit == "terminal":
        dead = dead | np.asarray(trajectory.truncated)
    kept = ~dead.reshape(-1)
    error = relative_error(values=values[kept], targets=gae[kept])
    found = {"value/train/mre_gae": error.mean, "value/train/mre_floored": error.floored}
    if config.value.target == "returns":  # cut at the batch's end, hence no `mre_returns`
        found["value/train/mre_returns_cut"] = relative_error(values=values[kept], targets=targets[kept]).mean
    return {
        **found,
        "value/train/explained_variance": explained_variance(values=values, targets=targets),
        "value/train/bias": float(np.mean(values - targets)),
        "value/train/loss": float(iteration.update.value.losses[-1]),
    }


def _time(iteration: Iteration, config: Config) -> dict[str, float]:
    total = sum(iteration.seconds.values())
    parts = {f"time/{part}": float(seconds) for part, seconds in iteration.seconds.items()}
    speed = config.rollout.num_steps / total if total else math.nan
    return {**parts, "time/iteration": total, "time/steps_per_second": speed}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return None if math.isnan(value) else str(float(value))  # inf or -inf


def _number(value: Any) -> Any:
    if isinstance(value, list):
        return [_number(item) for item in value]
    return math.nan if value is None else float(value) if value in ("inf", "-inf") else value
