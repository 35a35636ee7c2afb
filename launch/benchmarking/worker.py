"""python -m launch.benchworker: one process of launch.benchmark. It is told what to be, then when to work, by lines of JSON.

    {"kind": "laboratory" | "training" | "peers" | "scaling", "configs": […], "directory": …, "groups": […]}
    {"what": "rollouts", "seconds": 0.5}"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from tfpg import settings
from tfpg.benchmark import workers
from tfpg.benchmark.workers import Answer, Handler
from tfpg.config import Config
from tfpg.errors import UserError

Subjects = dict[str, Callable[[float], Answer]]


def make(task: Answer) -> Handler:
    """What the first line asks for."""
    if task.get("cores"):
        os.sched_setaffinity(0, task["cores"])  # before any library counts them
    configs = [settings.from_dict(values) for values in task["configs"]]
    subjects = _KINDS[task["kind"]](configs, task)

    def handle(request: Answer) -> Answer:
        if request["what"] not in subjects:
            raise UserError(f"there is no {request['what']} here")
        return subjects[request["what"]](request["seconds"])

    return handle


def _laboratory(configs: list[Config], task: Answer) -> Subjects:
    config, groups = configs[0], task["groups"]
    _start(config)
    from tfpg.benchmark import laboratory
    from tfpg.envs.make import describe

    subjects: Subjects = {}
    described = describe(config.env, config.env_args, config.rollout.engine)
    if "physics" in groups:
        subjects |= laboratory.bare_physics(config, described)
    # all ratios of training are to the environments
    subjects |= laboratory.bare_environments(config, described, laboratory.thread_counts(config))
    if {"rollouts", "landscapes"} & set(groups):
        practised = laboratory.Practised(config, Path(task["directory"]))
        if "rollouts" in groups:
            subjects["rollouts"] = laboratory.rollouts(
                config, practised.task, practised.agent, practised.learner, practised.normaliser)
        if "landscapes" in groups:
            subjects["landscapes"] = laboratory.landscapes(config, practised)
    return subjects | {"names": _names(subjects)}


def _training(configs: list[Config], task: Answer) -> Subjects:
    _start(configs[0])
    from launch.benchmarking.training import TrainingSubject

    subject = TrainingSubject(configs[0], Path(task["directory"]))
    return {"iterations": subject.iterations, "apart": subject.apart}


def _peers(configs: list[Config], task: Answer) -> Subjects:
    from tfpg.benchmark import peers

    peers.start()
    subjects: Subjects = {}
    for config in configs:
        subjects |= peers.subjects(config)
    return subjects | {"names": _names(subjects)}


def _scaling(configs: list[Config], task: Answer) -> Subjects:
    _start(configs[0])
    from launch.benchmarking.training import TrainingSubject
    from tfpg.benchmark import grown

    subjects: Subjects = grown.sampling(configs[0], task["sizes"], task["threads"])
    if task["whole"]:
        subjects |= grown.landscapes(configs[0])
        for config in configs:
            directory = Path(task["directory"]) / config.algorithm.name
            directory.mkdir()
            subjects[f"training/{config.algorithm.name}"] = TrainingSubject(config, directory).iterations
    return subjects | {"names": _names(subjects)}


def _names(subjects: Subjects) -> Callable[[float], Answer]:
    found = list(subjects)
    return lambda seconds: {"names": found}


def _start(config: Config) -> None:
    from tfpg import runtime

    runtime.start(config.runtime)


_KINDS = {"laboratory": _laboratory, "training": _training, "peers": _peers, "scaling": _scaling}


if __name__ == "__main__":
    sys.exit(workers.serve(make))
