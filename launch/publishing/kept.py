"""What of a run do figures and verdicts rest on? Its settings, its returns and the instruments' results, in a directory that reports read like a run's.

    config.json, finished.json      as they are               metrics.jsonl      what episodes returned, nothing else
    diagnostics/**/*.nc             without single episodes and vectors; names of files relative

Policies, iterates, checkpoints, events, and what was played stay behind: megabytes become kilobytes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from launch.shared import gathering
from tfpg import storage
from tfpg.diagnostics import results
from tfpg.errors import UserError
from tfpg.report import metrics
from tfpg.run_directory import RunDirectory

ROWS = ("iteration", "env_steps", "rollout/return", "rollout/episodes")  # of metrics: what curves and scores are made from
_RECORDS = ("config.json", "finished.json")
_TRAINED = ("policies", "iterates", "checkpoints")  # whose presence says that a directory is a run's, and none that was kept


def run(source: RunDirectory, target: Path, base: Path, missing: list[str]) -> None:
    """Keeps a finished run in `target`, in the place of what was kept of it before.

    Args: base: directory that its files' names become relative to. missing: where results that cannot be read are named.
    Errors: UserError where `target` is a run that was trained there, a record is damaged, or the disk refuses."""
    refuse_trained(target)
    metrics.of_run(source)  # refuses damaged ones
    lines = "".join(metrics.summed(json.dumps(_returns(row))) + "\n" for row in storage.read_records(source.metrics))
    records = {name: _relative(storage.read_json(source.path / name), base) for name in _RECORDS}
    shutil.rmtree(target, ignore_errors=True)
    storage.make_directory(target)
    for path in sorted(source.diagnostics.rglob("*.nc")):
        if path.name == gathering.SUMMARY or any(part in ("parts", "shares") for part in path.relative_to(source.diagnostics).parts):
            continue
        try:
            dataset = gathering.light(results.load(path))
        except UserError as error:
            missing.append(str(error))
            continue
        dataset.attrs = _relative(dataset.attrs, base)
        results.save(dataset, target / path.relative_to(source.path), compact=True)
    storage.write_text(target / "metrics.jsonl", lines)
    for name, record in records.items():  # finished.json last
        storage.write_json(target / name, record)


def refuse_trained(target: Path) -> None:
    """Errors: UserError where a run was trained in `target`: it would be lost."""
    if any((target / name).exists() for name in _TRAINED):
        raise UserError(f"{target} is the directory of a run, with its policies: --output=DIR keeps results elsewhere.")


def _returns(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in ROWS}


def _relative(value: Any, base: Path) -> Any:
    """The value with every file's name in its texts relative to `base`; names of other places end where they are."""
    if isinstance(value, str):
        for prefix in _prefixes(base):
            value = value.replace(prefix, "")
        return value
    if isinstance(value, Mapping):
        return {name: _relative(each, base) for name, each in value.items()}
    if isinstance(value, list):
        return [_relative(each, base) for each in value]
    return value


def _prefixes(base: Path) -> Sequence[str]:
    return [f"{each}/" for each in dict.fromkeys((base.resolve(), base.absolute()))]
