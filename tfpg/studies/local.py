"""How are jobs run on this machine? A process each, as many at once as there are slots; no server.

A job's environments have one thread, so with as many slots as processors they and TensorFlow keep out of each other's way."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from tfpg.errors import UserError
from tfpg.studies.jobs import FAILED, Ending, Job, Ledger, Progress, final
from tfpg.studies.process import Process, here

POLL = 0.1  # s
ORPHANS = 3.0  # s: what an attempt leaves here dies with it, so nobody is waited for long
PATIENCE = 20.0  # s that interrupted jobs have to keep what they did

Tell = Callable[[Job, Ending | None], None]


def run(progress: Progress, ledger: Ledger, *, slots: int, attempts: int, tell: Tell, tick: Callable[[], None] = lambda: None) -> None:
    """Runs what is left until nothing more can be done; a failed job is tried again, and what does not need it goes on.

    Args: slots: jobs at once. attempts: of each job. tell: called when a job begins (None) and when an attempt ended. tick: called
    every tenth of a second.
    Errors: KeyboardInterrupt, after the jobs under way have kept what they had."""
    running: list[Process] = []

    def begin(job: Job, attempt: int) -> None:
        progress.begun(job)
        tell(job, None)
        try:
            running.append(Process(job, attempt, ledger, ORPHANS))
        except UserError as error:  # a full disk is no reason to stop the others
            end(job, Ending(FAILED, attempt, 0.0, here(), None, str(error)))

    def end(job: Job, ending: Ending) -> None:
        if final(ending, attempts):
            ledger.write(job, ending)
            progress.ended(job, ending)
        tell(job, ending)
        if not final(ending, attempts):
            begin(job, ending.attempts + 1)

    try:
        while True:
            while len(running) < slots and (job := progress.next()) is not None:
                begin(job, 1)
            if not running and progress.next() is None:
                return
            tick()
            time.sleep(POLL)
            for each in [each for each in running if each.ended]:
                running.remove(each)
                end(each.job, each.ending())
    finally:
        until = time.monotonic() + PATIENCE
        for each in running:
            each.signal(signal.SIGINT)
        for each in running:
            each.stop(until - time.monotonic())
