"""With which settings and versions were the runs made? Tables for the page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tfpg import settings
from tfpg.report import captions
from tfpg.report.page.contents import Section, Table
from tfpg.run_directory import RunDirectory


def section(runs: Sequence[RunDirectory]) -> Section | None:
    """The last chapter; None without runs."""
    if not runs:
        return None
    parts: list[Table] = []
    by_task: dict[str, dict[str, dict[str, Any]]] = {}
    for run in runs:
        config = run.config
        by_task.setdefault(config.env, {}).setdefault(config.preset, {name: _shown(value) for name, value in settings.to_dict(config).items()})
    for task, presets in by_task.items():
        names = list(dict.fromkeys(name for values in presets.values() for name in values if name not in ("seed", "preset", "env")))
        differing = [name for name in names if len({values.get(name, "–") for values in presets.values()}) > 1]
        head = ("setting", *map(captions.named, presets))
        for which, some, folded in (("in which the algorithms differ", differing, False), ("that all have", [
                name for name in names if name not in differing], True)):
            if some:
                rows = tuple((name, *(values.get(name, "–") for values in presets.values())) for name in some)
                parts.append(Table(f"settings-{len(parts)}", f"{task}: settings {which}", head, rows, folded))
    return Section("settings", "Settings and versions", (), (*parts, _versions(runs)))


def _versions(runs: Sequence[RunDirectory]) -> Table:
    """What made the runs, and how many of them."""
    found: dict[str, dict[str, int]] = {}
    for run in runs:
        record = run.record
        versions = record.get("versions")
        versions = versions if isinstance(versions, dict) else {}
        for name, value in {**versions, **{key: record.get(key) for key in ("python", "processor", "commit")}}.items():
            found.setdefault(name, {}).setdefault(str(value), 0)
            found[name][str(value)] += 1
    rows = tuple((name, "; ".join(f"{value} ({count} runs)" if len(counts) > 1 else value for value, count in counts.items()))
                 for name, counts in found.items())
    return Table("versions", f"Versions that made the {len(runs)} runs", ("what", "version"), rows)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else "none" if value is None else json.dumps(value, ensure_ascii=False)
