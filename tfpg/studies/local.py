"""How are jobs run on this machine? A process each, as many at once as there are slots; no server.

A job's environments have one thread, so with as many slots as processors they and TensorFlow keep out of each other's way."""

from __future__ import annotations

import time
from collections.abc import Callable

from tfpg.studies.jobs import Ending, Job, Ledger, Progress, final
from tfpg.studies.process import Process

POLL = 0.1  # s
PATIENCE = 20.0  # s that interrupted jobs have to keep what they did

Tell = Callable[[Job, Ending | None], None]


def run(progress: Progress, ledger: Ledger, *, slots: int, attempts: int, tell: Tell, tick: Callable[[], None] = lambda: None) -> None:
    """Runs what is left until nothing more can be done; a failed job is tried again, and what does not need it goes on.

    Args: slots: jobs at once. attempts: of each job. tell: called when a job begins (None) and when an attempt ended. tick: called
    every tenth of a second.
    Errors: KeyboardInterrupt, after the jobs under way have kept what they had."""
    running: list[Process] = []

    def begin(job: Job, attempt: int) -> None:
        running.append(Process(job, attempt, ledger))
        progress.begun(job)
        tell(job, None)

    try:
        while True:
            while len(running) < slots and (job := progress.next()) is not None:
                begin(job, 1)
            if not running:
                return
            tick()
            time.sleep(POLL)
            for each in [each for each in running if each.ended]:
                running.remove(each)
                ending = each.ending()
                tell(each.job, ending)
                if final(ending, attempts):
                    ledger.write(each.job, ending)
                    progress.ended(each.job, ending)
                else:
                    begin(each.job, each.attempt + 1)
    finally:
        until = time.monotonic() + PATIENCE
        for each in running:
            each.stop(until - time.monotonic())
