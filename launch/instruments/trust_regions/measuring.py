"""How are runs looked at for how far their updates went? Announce the cost, play what is missing, store, draw, say."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from launch.instruments.trust_regions import numbers as regionnumbers
from launch.shared import commandline, pictures, stored
from launch.shared.commandline import say
from launch.shared.tables import duration
from tfpg import storage
from tfpg.config import Trpo
from tfpg.diagnostics import results
from tfpg.diagnostics.parts import Parts
from tfpg.diagnostics.pools import FEW_ENVS
from tfpg.diagnostics.trust_regions import of_runs, over_agents
from tfpg.diagnostics.trust_regions.heldout import HeldoutRegion, frames
from tfpg.errors import UserError
from tfpg.report import metrics, trust_regions, within_run
from tfpg.report.progress import Budget
from tfpg.run_directory import RunDirectory

SUMMARY, NUMBERS = "summary.nc", "numbers.txt"


class Work(NamedTuple):
    """One run, and what is to be done for it."""

    run: RunDirectory
    rows: list[dict[str, Any]]  # of metrics.jsonl
    live: dict[int, HeldoutRegion]  # what the run itself found
    missing: list[int]  # iterations to be played
    pairs: int


def look(runs: Sequence[RunDirectory], *, every: int, pairs: int | None, output: Path, dry_run: bool) -> int:
    """All runs, then what they say together. Returns: the exit code."""
    works = [_work(run, every, pairs) for run in runs]
    say("\n".join(_announced(works)))
    if dry_run:
        return 0
    with stored.held([output]):
        with Budget(sum(len(work.missing) for work in works), unit="updates") as budget:
            found = [_looked(work, every, output, budget) for work in works]
        summary = over_agents.over_seeds(found)
        results.save(summary, output / SUMMARY)
        smooth = over_agents.over_seeds(found, window=_window(found))
        drawn = {"trust_region": functools.partial(trust_regions.over_seeds, smooth)}
        drawn |= {f"{work.run.path.name}-inside": functools.partial(within_run.inside, dataset) for work, dataset in zip(works, found, strict=True)}
        pictures.keep(drawn, output, int(np.nanmax(summary["env_steps"])), under="trust_region")
        text = regionnumbers.report(found)
        storage.write_text(output / NUMBERS, text + "\n")
        say(text)
        say(f"stored in {output}: {', '.join(f'{work.run.path.name}.nc' for work in works)}, {SUMMARY}, {NUMBERS}; figures "
            f"{', '.join(f'{name}.png' for name in drawn)}, also for TensorBoard")
        return 0


def _work(run: RunDirectory, every: int, pairs: int | None) -> Work:
    rows = metrics.of_run(run)
    if not rows:
        raise UserError(f"{run.path} has no finished iteration yet.")
    pairs = pairs or run.config.rollout.num_steps
    live = of_runs.live(rows, pairs)
    shown = set(frames(run)) & {int(row["iteration"]) for row in rows}
    missing = [k for k in sorted(shown) if every and k % every == 0 and k not in live]
    return Work(run, rows, live, missing, pairs)


def _announced(works: Sequence[Work]) -> list[str]:
    """What will be played, by the lengths of episodes and the speed of the rollouts while the runs trained."""
    lines, total = [], 0.0
    for work in works:
        config, lengths = work.run.config, {}
        for row in work.rows:
            lengths[int(row["iteration"])] = row.get("rollout/length", np.nan)
        known = np.nanmean(list(lengths.values())) if np.isfinite(list(lengths.values())).any() else 1000.0
        played = sum(np.ceil(work.pairs / (FEW_ENVS * length)) * FEW_ENVS * length for length in (
            lengths[k] if np.isfinite(lengths[k]) else known for k in work.missing))
        speed = config.rollout.num_steps / np.median([row["time/rollout"] for row in work.rows])
        total += played / speed
        live = f", {len(work.live)} read from its metrics" if work.live else ""
        lines.append(f"{config.preset} on {config.env}, seed {config.seed}: {len(work.rows)} iterations; held-out pools of "
                     f"{work.pairs:,} pairs for {len(work.missing)}{live}: about {played:,.0f} steps")
    return [*lines, f"about {duration(total)}, by the speed of the runs' own rollouts; what was played before is read"]


def _looked(work: Work, every: int, output: Path, budget: Budget) -> xr.Dataset:
    """One run: its held-out pools, its Dataset on the disk."""
    run, config = work.run, work.run.config
    budget.begin(f"{config.preset} on {config.env}, seed {config.seed}")
    found = of_runs.on_film(run, work.missing, pairs=work.pairs, parts=Parts(output / "parts"), progress=budget.advance)
    dataset = of_runs.dataset(
        work.rows, {**found, **work.live}, config, run=str(run.path), heldout_every=every, heldout_live=len(work.live),
        reference_delta=reference_delta(config.env))
    results.save(dataset, output / f"{run.path.name}.nc")
    return dataset


def reference_delta(env: str) -> float:
    """δ that the preset trpo has on a task: what PPO's KL is held against."""
    trpo = commandline.load_preset("trpo", env).algorithm
    assert isinstance(trpo, Trpo)
    return float(trpo.delta)


def _window(found: Sequence[xr.Dataset]) -> int:
    return within_run.WINDOW if max(dataset.sizes["iteration"] for dataset in found) >= within_run.LONG else 1
