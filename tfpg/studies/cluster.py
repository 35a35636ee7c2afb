"""How are jobs run on the machines of a Ray cluster? A task each, in the same processes as on one machine.

All machines see the study's directory under the same path and have this package installed. What a lost machine was at is begun again on
another, from what it left in that directory."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfpg.errors import RunError, UserError
from tfpg.studies.jobs import FAILED, Ending, Job, Ledger, Progress, final
from tfpg.studies.local import PATIENCE, Tell
from tfpg.studies.process import Process

POLL = 0.5  # s
LOST = 10  # machines that may be lost under one attempt
# s without a single machine that is large enough for a job: what replaces lost ones, where something does, takes some minutes
DESERTED = 600.0


def run(progress: Progress, ledger: Ledger, *, address: str | None, processors: float, gigabytes: float, attempts: int, tell: Tell,
        tick: Callable[[], None] = lambda: None) -> None:
    """As local.run, on a cluster. Args: address: of Ray, host:port or "auto"; None begins one on this machine. processors, gigabytes:
    that each job is given.

    Errors: UserError where Ray is not installed or does not answer; RunError where no machine is large enough for a job, or none has
    been left for DESERTED seconds. What is done stays done."""
    ray = _connected(address)
    try:
        _run(ray, progress, ledger, {"num_cpus": processors, "memory": int(gigabytes * 2**30)}, attempts, tell, tick)
    finally:
        ray.shutdown()


def _run(ray: Any, progress: Progress, ledger: Ledger, resources: dict[str, float], attempts: int, tell: Tell, tick: Callable) -> None:
    task = ray.remote(**resources, max_retries=LOST)(_attempt)
    running: dict[Any, tuple[Job, int]] = {}
    peopled = time.monotonic()  # when a machine was last seen

    def begin(job: Job, attempt: int) -> None:
        running[task.options(name=job.name).remote(job, attempt, os.fspath(ledger.directory))] = (job, attempt)
        progress.begun(job)
        tell(job, None)

    try:
        while True:
            room = _room(ray, resources)
            if room > 0:
                peopled = time.monotonic()
            elif running and time.monotonic() - peopled > DESERTED:
                raise RunError(f"the cluster has had no machine for a job for {DESERTED:g} s, and {len(running)} wait for one: what is done "
                               "stays done, and the same command goes on when there are machines again.")
            while len(running) < room and (job := progress.next()) is not None:
                begin(job, 1)
            if not running:
                if progress.next() is not None:
                    raise RunError(f"no machine of the cluster has {resources['num_cpus']:g} processors and "
                                   f"{resources['memory'] / 2**30:g} GB for a job: --processors and --gigabytes ask for less.")
                return
            tick()
            ready, _ = ray.wait(list(running), num_returns=1, timeout=POLL)
            for each in ready:
                job, attempt = running.pop(each)
                ending = _ending(ray, each, attempt)
                if final(ending, attempts):
                    ledger.write(job, ending)
                    progress.ended(job, ending)
                tell(job, ending)
                if not final(ending, attempts):
                    begin(job, attempt + 1)
    finally:
        for each in running:
            ray.cancel(each)  # a KeyboardInterrupt in the task
        if running and _room(ray, resources):
            ray.wait(list(running), num_returns=len(running), timeout=PATIENCE)


def _attempt(job: Job, attempt: int, directory: str) -> Ending:
    """In a task: the job's process, waited for."""
    process = Process(job, attempt, Ledger(Path(directory)))
    try:
        while not process.ended:
            time.sleep(POLL / 5)
        return process.ending()
    finally:
        process.signal(signal.SIGINT)
        process.stop(PATIENCE / 2)


def _ending(ray: Any, task: Any, attempt: int) -> Ending:
    try:
        return ray.get(task)
    except ray.exceptions.RayError as error:  # of Ray, or of what the task did before its process began
        line = next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__).strip()
        return Ending(FAILED, attempt, 0.0, "unknown", None, line[:500])


def _room(ray: Any, resources: dict[str, float]) -> int:
    """Jobs that fit on the machines that are there, beside each other."""
    total = 0
    for node in ray.nodes():
        if node["Alive"]:
            has = node["Resources"]
            total += int(min(has.get("CPU", 0.0) // resources["num_cpus"], has.get("memory", 0.0) // max(resources["memory"], 1)))
    return total


def _reachable(address: str) -> None:
    """Errors: UserError where nobody listens there: Ray itself would ask for minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError) as error:
        raise UserError(f"Ray does not answer at address={address} ({error}): --address takes host:port of a cluster, as `ray start` "
                        "prints it, or auto.") from None


def _connected(address: str | None) -> Any:
    if address not in (None, "auto", "local"):
        _reachable(address)
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # no warning about accelerators that nobody asks for
    try:
        import ray
    except ImportError:
        raise UserError("executor=ray needs Ray: pip install -e '.[ray]'.") from None
    with contextlib.suppress(Exception):
        ray.shutdown()
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, include_dashboard=None if address else False)
    except Exception as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"Ray does not answer at address={address}: {line}") from error
    return ray
