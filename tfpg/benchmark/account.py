"""What do the answers of all rounds say? Rows of speeds, of ratios, of the parts of an iteration, of a process's start.

    training's iteration = the iterations' mean + its share of a checkpoint + its share of a snapshot

Checkpoints come by the clock and snapshots at some iterations, so neither would fall into a round as often as into a run: one
of each is timed every round, and an iteration gets its share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tfpg.benchmark.rounds import Row, ratio, slope

Found = Mapping[str, Mapping[int, Mapping[str, Any]]]  # subject ↦ round ↦ what its process answered

ALGORITHMS = ("ppo", "trpo")
RECORDS = ("summaries", "iterates", "checkpoint", "snapshot")
HALVES = ("value", "policy")
_WARM_PAIRS = 10 * 2048  # of a training, before its memory is taken to be what it stays


class Shares(NamedTuple):
    """How often a run writes what is timed apart."""

    checkpoint_seconds: float  # from one to the next
    snapshots: int  # of a run
    iterations: int


def rows(task: str, found: Found, *, threads: int, shares: Shares) -> list[Row]:
    """Every row of one task. Args: threads: of the environments in training."""
    speeds = {name: _speeds(found.get(name, {})) for name in found if name.split("/")[0] in
              ("physics", "environments", "rollouts", "landscapes", "peer")}
    bare = {f"{name}/bare": _speeds({r: answer["bare"] for r, answer in found[name].items()})
            for name in ("rollouts", "landscapes") if name in found}
    parts = {algorithm: _parts(found, algorithm, shares) for algorithm in ALGORITHMS}
    for algorithm, each in parts.items():
        if each:
            speeds[f"training/{algorithm}"] = {r: 1e3 * found[f"iterations/{algorithm}"][r]["pairs"] / part["whole"]
                                               for r, part in each.items()}
    every = [Row("speed", name, task, "steps/s", values) for name, values in (speeds | bare).items() if values]
    every += _ratios(task, speeds | bare, threads)
    for algorithm, each in parts.items():
        every += _iteration(task, algorithm, each)
    return every + _start(task, found)


def _speeds(answers: Mapping[int, Mapping[str, Any]]) -> dict[int, float]:
    return {r: answer["steps"] / answer["seconds"] for r, answer in answers.items()}


def _ratios(task: str, speeds: Mapping[str, Mapping[int, float]], threads: int) -> list[Row]:
    environments = f"environments/{threads}"
    pairs = [(environments, f"physics/{threads}"), ("rollouts", "rollouts/bare"), ("landscapes", "landscapes/bare")]
    pairs += [(f"training/{algorithm}", environments) for algorithm in ALGORITHMS]
    pairs += [(f"training/{name.split('/')[1]}", name) for name in speeds if name.startswith("peer/")]
    found = [Row("ratio", f"{above} : {below}", task, "1", ratio(speeds.get(above, {}), speeds.get(below, {})))
             for above, below in pairs]
    return [row for row in found if row.values]


def _parts(found: Found, algorithm: str, shares: Shares) -> dict[int, dict[str, float]]:
    """Milliseconds of an iteration by round and part, what is written now and then by its share."""
    apart = found.get(f"apart/{algorithm}", {})
    each = {}
    for r, answer in found.get(f"iterations/{algorithm}", {}).items():
        if r not in apart:
            continue
        seconds, others = dict(answer["parts"]), apart[r]["parts"]
        whole = seconds.pop("whole")
        seconds["rest"] = whole - sum(seconds.values())
        seconds["checkpoint"] = others["checkpoint"] * whole / shares.checkpoint_seconds
        snapshots = others["first snapshot"] + (shares.snapshots - 1) * others["snapshot"]  # the first traces what the others save
        seconds["snapshot"] = snapshots / shares.iterations
        whole += seconds["checkpoint"] + seconds["snapshot"]
        seconds |= {f"{half} alone": others[half] for half in HALVES}
        seconds |= {f"one {what}": others[what] for what in ("checkpoint", "snapshot", "first snapshot")}
        seconds |= {"records": sum(seconds.get(what, 0.0) for what in RECORDS), "whole": whole}
        each[r] = {name: 1e3 * value for name, value in seconds.items()}
    return each


def _iteration(task: str, algorithm: str, parts: Mapping[int, Mapping[str, float]]) -> list[Row]:
    names = dict.fromkeys(name for part in parts.values() for name in part)
    group, every = f"iteration/{algorithm}", []
    for name in names:
        values = {r: part[name] for r, part in parts.items() if name in part}
        every.append(Row(group, name, task, "ms", values))
        if not name.startswith("one "):
            every.append(Row(group, f"{name}, share", task, "share", {r: value / parts[r]["whole"] for r, value in values.items()}))
    return every


def _start(task: str, found: Found) -> list[Row]:
    every = []
    for algorithm in ALGORITHMS:
        answers = found.get(f"start/{algorithm}", {})
        if not answers:
            continue
        growth = {r: 1e6 * slope(*zip(*late, strict=True)) for r, answer in answers.items()
                  if len(late := [sample for sample in answer["memory"] if sample[0] > _WARM_PAIRS]) > 2}
        every += [Row("start", f"first iteration/{algorithm}", task, "s", {r: a["first"] for r, a in answers.items()}),
                  Row("start", f"peak memory/{algorithm}", task, "MB", {r: a["peak"] for r, a in answers.items()}),
                  Row("start", f"growth/{algorithm}", task, "MB/million steps", growth)]
    return [row for row in every if row.values]
