"""What was published of the same algorithms, to stand beside ours? Final returns, how much code and algorithm move them, findings.

    mean final return after about 1 M steps, 95 % bootstrap interval, over at least 80 agents of each preset
    (Engstrom 2020, "Implementation Matters in Deep Policy Gradients", tables 2 and 3)

On Gymnasium's v2 tasks. The v5 tasks differ a little (contact costs and healthy ranges, MuJoCo itself), so compare order and shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tfpg.diagnostics.statistics.agents import iqm, known, of_agents
from tfpg.diagnostics.statistics.estimates import Estimate

SOURCE = "Engstrom 2020, tables 2 and 3"
VERSION = "v2"  # of the tasks
AGENTS = 80  # at least, of each
STEPS = 1_000_000  # about, that they were trained for


class Published(NamedTuple):
    """A final return as it was published."""

    mean: float
    low: float  # 95 %, bootstrap
    high: float


class Improvements(NamedTuple):
    """As it was published: how much the algorithm moves the final return, and how much the code-level optimisations do."""

    aai: float
    acli: float


class Beside(NamedTuple):
    """Our final returns of a preset on a task, and the published ones."""

    task: str
    preset: str
    agents: int  # with a score
    mean: Estimate  # of the last iterations, over agents
    iqm: Estimate
    best: Estimate  # mean over agents of each one's best iteration
    published: Published | None  # None: nothing was
    published_task: str  # "Hopper-v2"; "" where nothing was published


# by the task without its version, then by preset
SCORES: dict[str, dict[str, Published]] = {
    "Walker2d": {"ppo": Published(3292, 3157, 3426), "ppo_m": Published(2735, 2602, 2866), "trpo": Published(2791, 2709, 2873),
                 "trpo_plus": Published(3050, 2976, 3126), "ppo_noclip": Published(2867, 2701, 3024)},
    "Hopper": {"ppo": Published(2513, 2391, 2632), "ppo_m": Published(2142, 2008, 2279), "trpo": Published(2043, 1948, 2136),
               "trpo_plus": Published(2466, 2381, 2549), "ppo_noclip": Published(2371, 2316, 2424)},
    "Humanoid": {"ppo": Published(806, 785, 827), "ppo_m": Published(674, 656, 695), "trpo": Published(586, 576, 596),
                 "trpo_plus": Published(1030, 979, 1083), "ppo_noclip": Published(831, 798, 869)},
}
IMPROVEMENTS = {"Walker2d": Improvements(242, 557), "Hopper": Improvements(99, 423), "Humanoid": Improvements(224, 444)}

# In words, by claim, where what was published is more than the claim's own text, or contradicts it.
FINDINGS = {
    "C1": "the return rises significantly faster along the step than along the random direction (one agent, surfaces)",
    "C2": "at later iterations going in the step direction lowers the return (one agent, surfaces)",
    "C5": "TRPO keeps its mean-KL region very well (SEED); all algorithms' mean KL stays below .07 (IM)",
    "C6": "the seed study: PPO keeps mean KL well, PPO-M does not; Engstrom 2020: all three stay below .07, PPO-M's rises through training, "
          "PPO's peaks mid-way and falls",
    "C7": "largest ratios of up to about 30 on Hopper and 17 on Humanoid: no algorithm keeps them within 1.2",
    "C11": "ACLI above AAI on all three tasks: 557 and 242 (Walker2d), 423 and 99 (Hopper), 444 and 224 (Humanoid)",
}


def of(task: str, preset: str) -> Published | None:
    """The published final return of a preset on a task of any version; None where nothing was published."""
    return SCORES.get(family(task), {}).get(preset)


def family(task: str) -> str:
    """Hopper-v5 ↦ Hopper."""
    return re.sub(r"-v\d+$", "", task)


def beside(scores: Mapping[str, Mapping[str, np.ndarray]], best: Mapping[str, Mapping[str, np.ndarray]]) -> list[Beside]:
    """Ours and theirs, a row for each task and preset.

    Args: scores: of the last iterations, task ↦ preset ↦ [agents]. best: of each agent's best iteration, alike."""
    rows = []
    for task, cells in sorted(scores.items()):
        order = list(SCORES["Hopper"])
        for preset in sorted(cells, key=lambda each: (order.index(each) if each in order else len(order), each)):
            own, theirs = known(cells[preset]), of(task, preset)
            rows.append(Beside(task, preset, len(own), of_agents(own), iqm(own), of_agents(known(best.get(task, {}).get(preset, ()))), theirs,
                               f"{family(task)}-{VERSION}" if theirs else ""))
    return rows
