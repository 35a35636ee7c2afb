"""How does the table of speeds look on a terminal? A column for each task, a line for each measurement, at most 100 wide."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from tfpg.benchmark.rounds import Row, Summary, summarise

WIDTH = 100
_ABREAST = 3  # tasks beside each other
_LABEL = 32

_PARTS = (("rollout", "rollout"), ("advantages", "advantages"), ("update", "update"), ("value alone", "  value epochs alone"),
          ("policy alone", "  {policy} alone"), ("statistics", "statistics"), ("trust_region", "trust region"),
          ("summaries", "summaries, metrics"), ("iterates", "iterates"), ("checkpoint", "checkpoints"), ("snapshot", "snapshots"),
          ("rest", "rest"), ("whole", "whole"), ("records", "all that is written"))
_LIBRARIES = {"ppo": "Stable-Baselines3 PPO", "trpo": "sb3-contrib TRPO"}
_UNITS = {"first iteration": "s", "peak memory": "MB", "growth": "MB a million steps"}


def table(rows: Sequence[Row], rounds: Mapping[str, int], settings: Mapping[str, Any]) -> str:
    """The rows of all tasks. Args: rounds: of each task. settings: envs, pairs, threads."""
    tasks, blocks = list(rounds), []
    for first in range(0, len(tasks), _ABREAST):
        some = tasks[first:first + _ABREAST]
        found = {(row.group, row.name, row.task): row.summary for row in rows if row.task in some}
        lines = [_line("", [(_cut(task), "", "") for task in some]), _line("", [("", f"{rounds[task]} rounds", "") for task in some])]
        for title, entries in _sections(found, settings):
            lines += ["", title, *(_line(f"  {label}", [_cells(found, group, name, task) for task in some])
                                   for label, group, name in entries)]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def notes(settings: Mapping[str, Any], one: Mapping[str, float]) -> str:
    """What the lines mean, for who reads the table for the first time. Args: one: of `once`."""
    lines = [
        (f"All: {settings['envs']} environments, {settings['pairs']:,} pairs an iteration, {settings['threads']} EnvPool threads, one "
         "thread of TensorFlow for each program."),
        "±: half of what lies between the smallest and the largest round, of the median. Ratios are taken within each round.",
        ("physics: the same stretches of random episodes in MuJoCo's own loop, without observations and rewards; environments: random "
        "actions, resets included. same actions: the environments alone, told what sampler and policy had told theirs."),
        (f"PPO, TRPO: the command launch.train, {settings['epochs']} of {settings['minibatches']} minibatches, all records included; "
        "ratios to the environments with random actions."),
        ("Value and policy epochs are two programs that run beside each other in training. Statistics and TRPO's trust region fall "
         "into the time that the longer one takes more; PPO's is looked at, all pairs and every epoch, beside what is done with the update.")]
    if len(one) == 3:
        lines.append(f"An iteration has its share of checkpoints (one takes {one['checkpoint']:.0f} ms, every "
                     f"{settings['checkpoint_seconds']:.0f} s) and snapshots ({settings['snapshots']} a run, the first "
                     f"{one['first snapshot']:,.0f} ms, another {one['snapshot']:,.0f}).")
    if settings.get("episodes"):
        lines.append(f"landscapes: launch.landscape's sampler, 512 environments, {settings['episodes']} an environment.")
    if settings.get("peers"):
        lines.append("Stable-Baselines3, sb3-contrib: the same work an iteration (sb3-contrib takes its surrogate, too, from the "
                     "tenth that is the Fisher matrix's), DummyVecEnv with VecNormalize. As they come: one "
                     "environment, PyTorch's own threads; tuned: 8 environments, one thread.")
    return "\n".join(textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in lines)


def machine(facts: Mapping[str, Any]) -> str:
    """On what it was measured, two lines."""
    versions = facts["versions"]
    names = {"tensorflow": "TensorFlow", "envpool": "EnvPool", "mujoco": "MuJoCo", "stable-baselines3": "Stable-Baselines3",
             "torch": "PyTorch"}
    used = ", ".join(f"{names[name]} {versions[name]}" for name in names if name in versions)
    commit = f", commit {facts['commit'][:10]}" if facts.get("commit") else ""
    busy = f"; busy before: load {facts['load']:.1f}" if facts["load"] > 0.5 else ""
    return textwrap.fill(
        f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gb']:.0f} GB{busy}. {used}{commit}, {facts['date'][:10]}.", WIDTH)


def _sections(found: Mapping[tuple, Summary], settings: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Titles, and below each the labels, groups and names of lines that some task has."""
    present = {(group, name) for group, name, _ in found}
    threads, peers = settings["threads"], sorted((name for group, name in present if group == "speed" and name.startswith("peer/")),
                                                 key=lambda name: name.split("/")[1:])
    counts = sorted({int(name.split("/")[1]) for group, name in present if group == "speed" and name.startswith(("physics/", "environments/"))
                     and name.count("/") == 1})
    speeds = [(f"physics alone, {_threads(n)}", "speed", f"physics/{n}") for n in counts]
    speeds += [(f"environments, {_threads(n)}", "speed", f"environments/{n}") for n in counts]
    speeds += [("rollouts with policy", "speed", "rollouts"), ("landscapes", "speed", "landscapes"),
               ("PPO", "speed", "training/ppo"), *((_peer(name), "speed", name) for name in peers if "/ppo/" in name),
               ("TRPO", "speed", "training/trpo"), *((_peer(name), "speed", name) for name in peers if "/trpo/" in name)]
    bare = f"environments/{threads}"
    ratios = [("environments : physics", f"{bare} : physics/{threads}"),
              ("rollouts : same actions", "rollouts : rollouts/bare"), ("landscapes : same actions", "landscapes : landscapes/bare"),
              ("PPO : environments", f"training/ppo : {bare}"), ("TRPO : environments", f"training/trpo : {bare}")]
    ratios += [(f"{name.split('/')[1].upper()} : {_peer(name, short=True)}", f"training/{name.split('/')[1]} : {name}") for name in peers]
    groups = [("steps a second", speeds), (f"ratios ({_threads(threads)})", [(label, "ratio", name) for label, name in ratios])]
    for algorithm, policy in (("ppo", "policy epochs"), ("trpo", "TRPO's step")):
        groups.append((f"an iteration of {algorithm.upper()}, ms and share",
                       [(label.format(policy=policy), f"iteration/{algorithm}", name) for name, label in _PARTS]))
    groups.append((f"a training of {settings.get('start_iterations', '')} iterations from the command on, {settings.get('starts', '')} rounds", [
        (f"{algorithm.upper()}, {what}, {unit}", "start", f"{what}/{algorithm}")
        for what, unit in _UNITS.items() for algorithm in ("ppo", "trpo")]))
    kept = [(title, [entry for entry in entries if entry[1:] in present]) for title, entries in groups]
    return [(title, entries) for title, entries in kept if entries]


def _line(label: str, cells: Sequence[tuple[str, str, str]]) -> str:
    """A label and each task's median, spread and share, wherever they stand in columns of the same width."""
    return (label.ljust(_LABEL) + "".join(f"  {f'{value:>7} {spread:>6}':>14} {share:>5}" for value, spread, share in cells)).rstrip()


def _cut(name: str) -> str:
    return name if len(name) <= 14 else f"{name[:13]}…"


def _cells(found: Mapping[tuple, Summary], group: str, name: str, task: str) -> tuple[str, str, str]:
    """Median, spread and share."""
    summary = found.get((group, name, task))
    if summary is None:
        return "–", "", ""
    share = found.get((group, f"{name}, share", task))
    spread = summary.spread if name.startswith("growth") else 100 * summary.spread / abs(summary.median) if summary.median else 0.0
    unit = "" if name.startswith("growth") else " %"
    part = 100 * share.median if share else 0.0
    return number(summary.median), f"±{spread:.0f}{unit}", f"{part:.{0 if part >= 9.95 else 1}f} %" if share else ""


def number(value: float) -> str:
    """To three digits: 17,300, 162, 8.21, .83."""
    if not math.isfinite(value):
        return "–"
    digits = 2 - math.floor(math.log10(abs(value))) if value else 0
    rounded = round(value, digits)
    if abs(rounded) >= 100:
        return f"{rounded:,.0f}"
    text = f"{rounded:.{min(max(digits, 0), 3)}f}"
    return text[1:] if text.startswith("0.") else text


def once(rows: Sequence[Row]) -> dict[str, float]:
    """Median ms of one checkpoint and of one snapshot, over tasks and algorithms."""
    found = {what: [row.summary.median for row in rows if row.name == f"one {what}"] for what in ("checkpoint", "snapshot")}
    return {what: summarise(values).median for what, values in found.items() if values}


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _peer(name: str, *, short: bool = False) -> str:
    _, algorithm, variant = name.split("/")
    library = _LIBRARIES[algorithm].split()[0] if short else _LIBRARIES[algorithm]
    return library if variant == "plain" else f"{library}, tuned"
