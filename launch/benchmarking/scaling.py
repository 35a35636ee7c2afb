"""How do speeds grow with cores and environments, and landscapes with what is asked of them? Measured here, predicted beyond.

A process for each number of cores, 1, 2, 4 … all, pinned to them before any library counts them; all take turns."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from launch.benchmarking.table import number
from launch.shared.tables import aligned, duration
from tfpg import settings
from tfpg.benchmark import models
from tfpg.benchmark.models import Fit, Played, Point
from tfpg.benchmark.rounds import Row, summarise
from tfpg.benchmark.workers import Answer, Worker
from tfpg.config import Config

SIZES = (8, 32, 128, 512)
BEYOND = (16, 64)  # cores that are predicted
_GRID = (21, 1_000_000)  # points of an axis and pairs of each, as the largest scale of launch.landscape has
_SLOTS = 512  # environments of its sampler


def measure(configs: Mapping[str, Mapping[str, Config]], rounds: int, seconds: float, say: Callable[[str], None], *,
            sizes: tuple[int, ...] = SIZES) -> dict[str, Any]:
    """Rows, fits and predictions of the first task, and their text. Errors: WorkerFailed where a process cannot measure."""
    env, both = next(iter(configs.items()))
    every = sorted(os.sched_getaffinity(0))
    counts = sorted({min(2**i, len(every)) for i in range(len(every).bit_length() + 1)})
    found: dict[str, dict[int, Answer]] = {}
    with tempfile.TemporaryDirectory(prefix="tfpg-benchmark-", ignore_cleanup_errors=True) as directory:
        workers: dict[int, Worker] = {}
        try:
            for count in counts:
                workers[count] = _open(env, both, every[:count], sizes, count == counts[-1], Path(directory))
            names = {}
            for count, worker in workers.items():
                worker.wait()
                names[count] = worker.ask({"what": "names", "seconds": 0})["names"]
                say(f"{env}: {count} core{'s' if count > 1 else ''} ready")
            for number_ in range(rounds):
                for count, worker in workers.items():
                    for what in names[count]:
                        found.setdefault(f"{what}@{count}", {})[number_] = worker.ask({"what": what, "seconds": seconds})
                say(f"{env}: round {number_ + 1} of {rounds}")
        finally:
            for worker in workers.values():
                worker.close()
    return _told(env, found, both["ppo"].rollout.num_steps, sizes, counts)


def _open(env: str, both: Mapping[str, Config], cores: list[int], sizes: tuple[int, ...], whole: bool, directory: Path) -> Worker:
    own = directory / str(len(cores))
    own.mkdir()
    return Worker(f"scaling on {len(cores)} cores of {env}", ["-m", "launch.benchmarking.worker"], {
        "kind": "scaling", "cores": cores, "sizes": sizes, "threads": sorted({1, len(cores)}), "whole": whole,
        "directory": os.fspath(own), "configs": [settings.to_dict(both[algorithm]) for algorithm in ("trpo", "ppo")]})


def _told(env: str, found: Mapping[str, Mapping[int, Answer]], pairs: int, sizes: tuple[int, ...], counts: list[int]) -> dict[str, Any]:
    points: dict[str, list[Point]] = {"environments": [], "rollouts": []}
    rows, played, updates = [], [], {}
    for name, answers in found.items():
        what, cores = name.split("@")
        kind, *sizes_of = what.split("/")
        if kind == "training":
            others = {r: a["parts"]["whole"] - a["parts"]["rollout"] for r, a in answers.items()}
            updates[sizes_of[0]] = summarise(others.values()).median
            rows.append(Row("scaling", f"{what}, all but the rollout", env, "s", others))
            continue
        rates = {r: a["steps"] / a["seconds"] for r, a in answers.items()}
        rows.append(Row("scaling", f"{what}, {cores} cores", env, "steps/s", rates))
        if kind in points:
            points[kind].append(Point(int(sizes_of[0]), int(sizes_of[1]), summarise(rates.values()).median))
        else:
            played += [Played(a["vector_steps"], a["steps"], a["parameters"], a["seconds"]) for a in answers.values()]
    fits = {kind: models.fit_sampling(each) for kind, each in points.items()}
    fits["landscapes"] = models.fit_landscapes(played)
    # on one core the model cannot tell what threads share from what they do not
    predicted = _predictions(fits, updates, pairs, sizes) if counts[-1] > 1 else []
    parameters = sorted(each.parameters for each in played)[len(played) // 2]  # of most: 64-64
    lines = [*_sampling(env, rows, sizes, counts), "", *_predicted(fits, predicted), "", *_landscapes(rows, fits["landscapes"], parameters)]
    return {"settings": {"env": env, "sizes": sizes, "cores": counts, "pairs": pairs}, "rows": [row.as_dict() for row in rows],
            "fits": {kind: fit._asdict() for kind, fit in fits.items()}, "updates": updates, "predicted": predicted,
            "failures": [], "text": "\n".join(lines)}


def _predictions(fits: Mapping[str, Fit], updates: Mapping[str, float], pairs: int, sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    """By the models alone: steps a second on so many cores, a thread each."""
    found = []
    for cores in BEYOND:
        for num_envs in (size for size in sizes if size >= 32 or size == sizes[-1]):
            row: dict[str, float] = {"cores": cores, "environments_each": num_envs}
            row |= {kind: models.sampling_rate(fits[kind], num_envs, cores) for kind in ("environments", "rollouts")}
            row |= {algorithm: models.training_rate(fits["rollouts"], num_envs, cores, pairs=pairs, update=update)
                    for algorithm, update in updates.items()}
            found.append(row)
    return found


def _sampling(env: str, rows: list[Row], sizes: tuple[int, ...], counts: list[int]) -> list[str]:
    shown = {row.name: row.summary for row in rows}
    body = [["steps a second, by environments", *map(str, sizes)]]
    for kind in ("environments", "rollouts"):
        for cores in counts:
            for threads in sorted({1, cores}):
                cells = [shown[f"{kind}/{size}/{threads}, {cores} cores"] for size in sizes]
                body.append([f"  {kind}, {cores} core{'s' if cores > 1 else ''}, {threads} thread{'s' if threads > 1 else ''}",
                             *(f"{number(cell.median)} ±{100 * cell.spread / cell.median:.0f} %" for cell in cells)])
    return [f"{env}: measured", "", *aligned(body)]


def _predicted(fits: Mapping[str, Fit], predicted: list[dict[str, Any]]) -> list[str]:
    if not predicted:
        return ["Nothing is predicted for more cores: one core does not tell what threads share from what they do not."]
    lines = ["Predicted, not measured, a thread for every core: a vector step of N environments on k threads takes a + b N + c N/k"]
    for kind in ("environments", "rollouts"):
        a, b, c = (1e6 * value for value in fits[kind].coefficients)
        lines.append(f"  {kind}: a {number(a)}, b {number(b)}, c {number(c)} µs; the model's median error {100 * fits[kind].error:.0f} %")
    names = [name for name in predicted[0] if name not in ("cores", "environments_each")]
    body = [["  cores", "environments", *("environments alone" if name == "environments" else name.upper() if name in ("ppo", "trpo")
                                          else name for name in names)]]
    body += [[f"  {row['cores']}", str(row["environments_each"]), *(number(row[name]) for name in names)] for row in predicted]
    return [*lines, *aligned(body)]


def _landscapes(rows: list[Row], fit: Fit, parameters: int) -> list[str]:
    a, b, c = (1e6 * value for value in fit.coefficients)
    body = [["  policies at once", "episodes", "hidden units", "µs a pair"]]
    for row in rows:
        kind, *sizes = row.name.split(",")[0].split("/")
        if kind == "landscape":
            body.append([f"  {sizes[0]}", sizes[1], f"{sizes[2]}-{sizes[2]}", number(1e6 / row.summary.median)])
    points, pairs = _GRID
    cost = (a / _SLOTS + b + c * parameters) * 1e-6 * points**2 * pairs
    return ["Landscapes: time goes with points × episodes; a pair takes", *aligned(body),
            (f"  model: {number(a)} µs a vector step, {number(b)} µs a pair, {number(1e3 * c)} µs more for every 1,000 parameters; its "
             f"median error {100 * fit.error:.0f} %"),
            f"  predicted: {points} × {points} points of {pairs:,} pairs take {duration(cost)} with {parameters:,} parameters"]
