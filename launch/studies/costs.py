"""What will a job cost, before anything is known of its agents? Pairs, seconds on one processor, megabytes on disk.

Rough on purpose: lengths of episodes, the task's speed and the machine's are not known yet. What was measured is Hopper, Walker2d and
Humanoid, one process a core, on two cores of an AMD EPYC (Zen 4); a slower machine takes longer in proportion."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from tfpg.config import Config
from tfpg.envs.make import describe

# Pairs a second of one process on one core, all cores at it: trained, and played by the instruments.
RATES = {"Hopper": (12_000, 10_000), "Walker2d": (6_500, 7_500), "Humanoid": (2_300, 3_400)}
OTHERS = (5_000, 7_000)  # tasks that were not measured
STARTED = 12.0  # s from the command on until anything is played
LENGTH = 500  # pairs an episode, about, where it is not known
_WORK = {"landscape": 1.4, "gradients": 1.6, "values": 1.3}  # seconds, in those of the playing alone
_JOINED = 0.02  # of a landscape's seconds that come after all playing: statistics, surrogates and figures (scale small: 0.01)
_LEFT = {"landscape": 15.0, "gradients": 3.0, "values": 2.0}  # MB, most of it what was played, and figures
_METRICS = 4_500 + 2_000  # bytes an iteration of metrics.jsonl and events


class Task(NamedTuple):
    """What costs depend on."""

    obs_size: int
    action_size: int
    trained: float  # pairs a second
    played: float

    @classmethod
    def of(cls, config: Config) -> Task:
        """Errors: UserError for a task that is not known."""
        found = describe(config.env, config.env_args, config.rollout.engine, patience=config.rollout.patience)
        rates = RATES.get(re.sub(r"-v\d+$", "", config.env), OTHERS)
        return cls(found.obs_size, found.action_size, *map(float, rates))


class Cost(NamedTuple):
    """Of one job."""

    pairs: int
    seconds: float
    megabytes: float


def training(config: Config, task: Task, *, snapshots: int) -> Cost:
    """A training with its final evaluation. Args: snapshots: policies kept."""
    pairs = config.num_iterations * config.rollout.num_steps
    sizes = (task.obs_size, *config.network.hidden)
    trunk = sum((a + 1) * b for a, b in itertools.pairwise(sizes))
    weights = 2 * trunk + (sizes[-1] + 1) * (task.action_size + 1) + task.action_size
    batch = config.rollout.num_steps * 4 * (2 * task.obs_size + task.action_size + 4)
    megabytes = (config.num_iterations * (4 * weights + 16 * task.obs_size + _METRICS) + snapshots * (500_000 + 20 * weights + batch)) / 1e6
    return Cost(pairs, STARTED + pairs / task.trained + 2 * 100 * LENGTH / task.played, megabytes)


def heldout(config: Config, task: Task, *, every: int) -> Cost:
    """Held-out pairs of every so-manieth update."""
    pools = math.ceil(config.num_iterations / every) if every else 0
    pairs = pools * (config.rollout.num_steps + 32 * LENGTH)  # a pool takes whole episodes of 32 environments
    return Cost(pairs, STARTED + pairs / task.played, 0.5)


def steps(config: Config, task: Task, *, checkpoints: int, count: int, episodes: int) -> Cost:
    """So many updates around each checkpoint, so many episodes of both ends of each, and a first look of 64."""
    updates = checkpoints * min(count, config.num_iterations)
    pairs = 2 * (updates * episodes + checkpoints * 64) * LENGTH
    return Cost(pairs, STARTED + pairs / task.played, 0.5 + 40 * updates * episodes / 1e6)


def evaluation(task: Task, *, episodes: int) -> Cost:
    """So many greedy and so many stochastic episodes."""
    pairs = 2 * episodes * LENGTH
    return Cost(pairs, STARTED + pairs / task.played, 0.1)


def playing(task: Task, pairs: int, instrument: str) -> Cost:
    """A look at one policy."""
    return Cost(pairs, STARTED + _WORK[instrument] * pairs / task.played, _LEFT[instrument])


class Split(NamedTuple):
    """Of the jobs of a landscape in shares."""

    first: Cost
    share: Cost
    joined: Cost


def in_shares(task: Task, pairs: int, shares: int, budget: Any, surfaces: Sequence[str] | None) -> Split:
    """A landscape of so many pairs in so many shares. Args: budget, surfaces: as of landscape_pairs."""
    updates = budget.repeats * 2_048 if surfaces is None or "updates" in surfaces else 0
    first = min(pairs, _recomputed(budget) + updates)
    each, second = -(-(pairs - first) // shares), _WORK["landscape"] / task.played
    return Split(Cost(first, STARTED + first * second, 1.0), Cost(each, STARTED + each * second, _LEFT["landscape"] / shares),
                 Cost(0, STARTED + _JOINED * pairs * second, 1.0))


def _recomputed(budget: Any) -> int:
    """Pairs that updates are repeated from."""
    return sum(int(pairs) for pairs in budget.update_pairs if pairs != "stored")


def landscape_pairs(budget: Any, surfaces: Sequence[str] | None) -> int:
    """Pairs of the surfaces asked for; None: all but the film. Args: budget: a surveyplan.Plan."""
    grid, steps = budget.points[0] * budget.points[1], len(budget.update_pairs)
    costs = {
        "return": steps * grid * budget.pairs,
        "surrogate": budget.heldout_pairs,
        "slices": (steps + budget.directions) * budget.slice_points * budget.slice_pairs + (1 + steps) * budget.end_pairs,
        "concentration": grid * max(budget.concentration),
        "updates": budget.repeats * (2_048 + budget.repeat_episodes * LENGTH),
    }
    return int(sum(cost for name, cost in costs.items() if surfaces is None or name in surfaces)) + _recomputed(budget)
