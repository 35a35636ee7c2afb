"""What is one unit of work, and how is it known that it is done? A command with a name, and a record of how it ended.

    jobs/train.ppo-Hopper-v5-0.json      state, attempts, seconds, the command, sizes of its results; written when it ended
    jobs/train.ppo-Hopper-v5-0.log       what it printed, the last attempt last

A job is the same wherever it runs: its command names everything relative to the study's directory."""

from __future__ import annotations

import dataclasses
import fnmatch
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tfpg import storage
from tfpg.errors import UserError, nearest

DONE, FAILED = "done", "failed"


@dataclasses.dataclass(frozen=True)
class Job:
    """A launcher and its arguments."""

    name: str  # unique in the study, and a file name: train.ppo-Hopper-v5-0, landscape.ppo-Hopper-v5-0.000150
    module: str  # python -m …
    arguments: tuple[str, ...]
    needs: tuple[str, ...]  # names of jobs that must be done before
    product: str  # file or directory that is there when it is done, relative to the study
    pairs: int  # that it plays, about
    seconds: float  # that it takes on one processor, about
    megabytes: float  # that it leaves on disk, about
    aside: tuple[str, ...] = ()  # more arguments, which change none of its results
    basis: str = ""  # identity of the job whose results it looks at
    towards: str = ""  # name of the job that it only plays a part of: once that is done, nothing is left to do of it

    @property
    def command(self) -> tuple[str, ...]:
        """What is run with a Python interpreter in the study's directory."""
        return ("-m", self.module, *self.arguments, *self.aside)

    @property
    def identity(self) -> str:
        """What tells it from a job of the same name in another edition of the study: SHA-256 of its command and its basis."""
        return hashlib.sha256(json.dumps([self.module, self.arguments, self.basis]).encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class Ending:
    """How a job ended."""

    state: str  # DONE or FAILED
    attempts: int
    seconds: float  # of the last attempt
    where: str  # machine and processor
    code: int | None = None  # exit code; None: a signal ended it
    reason: str | None = None  # of a failure, one sentence


class Ledger:
    """What is known of the jobs of a study, in its directory; one process at a time writes of a job."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.jobs = directory / "jobs"

    def log(self, job: Job) -> Path:
        """Where its output goes."""
        return self.jobs / f"{job.name}.log"

    def ending(self, job: Job) -> Ending | None:
        """How it ended; None where it has not, or ended as another command of that name, or its product is gone or `damage` says so.

        A damaged record counts as none: the job is run again, which goes on with what it left."""
        found = self._recorded(job)
        if found is None:
            return None
        ending, sizes = found
        return None if ending.state == DONE and (not made(self.directory / job.product) or self._changed(job, sizes)) else ending

    def endings(self, jobs: Iterable[Job]) -> dict[str, Ending]:
        """How those ended that did, by name; what only played a part of one that is done ended as that did."""
        jobs = list(jobs)
        found = {job.name: ending for job in jobs if (ending := self.ending(job)) is not None}
        whole = {name for name, ending in found.items() if ending.state == DONE}
        return {job.name: found[job.towards] for job in jobs if job.towards in whole} | found

    def damage(self, job: Job) -> str | None:
        """Which file of a job that was done is not as long any more as it left it, or gone, in words; else None. Only sizes are looked
        at: thousands of jobs take no time, and what has other contents of equal length whoever reads it will find out by its sums."""
        found = self._recorded(job)
        return self._changed(job, found[1]) if found is not None and found[0].state == DONE else None

    def write(self, job: Job, ending: Ending) -> None:
        """Keeps how it ended. Errors: UserError when the disk refuses."""
        record = {"name": job.name, "identity": job.identity, "command": ["python", *job.command], **dataclasses.asdict(ending)}
        if ending.state == DONE:
            record["sizes"] = _sizes(self.directory / job.product)
        storage.make_directory(self.jobs)
        storage.write_json(self._file(job), record)

    def _recorded(self, job: Job) -> tuple[Ending, dict[str, int]] | None:
        """What its record says, and how long its results were; None where there is none of this command."""
        try:
            record = storage.read_json(self._file(job))
            if record["identity"] != job.identity:
                return None
            sizes = {str(name): int(size) for name, size in record.get("sizes", {}).items()}
            ending = Ending(**{field.name: record[field.name] for field in dataclasses.fields(Ending)})
            return (ending, sizes) if ending.state in (DONE, FAILED) else None
        except (UserError, KeyError, TypeError, ValueError, AttributeError):
            return None

    def _changed(self, job: Job, sizes: Mapping[str, int]) -> str | None:
        """The first result whose length is another, in words. Args: sizes: as they were."""
        product = self.directory / job.product
        there = _sizes(product)
        for name, size in sizes.items():
            if there.get(name) != size:
                now = f"has {there[name]:,} bytes" if name in there else "is gone"
                return f"{product / name if product.is_dir() else product} {now} where {job.name} left {size:,}"
        return None

    def _file(self, job: Job) -> Path:
        return self.jobs / f"{job.name}.json"


def made(product: Path) -> bool:
    """Whether there is anything at all: a directory with entries, or a file with bytes."""
    return any(product.iterdir()) if product.is_dir() else product.exists() and product.stat().st_size > 0


def _sizes(product: Path) -> dict[str, int]:
    """Bytes of a product's results: of the file that it is, or of the NetCDF files right in its directory. Figures, records and parts
    may change when somebody looks once more."""
    files = sorted(product.glob("*.nc")) if product.is_dir() else [product] if product.exists() else []
    return {file.name: file.stat().st_size for file in files}


class Progress:
    """Which jobs are done, running, waiting, failed, or cannot be begun any more. Pure bookkeeping: who runs them tells it."""

    def __init__(self, jobs: Sequence[Job], endings: Mapping[str, Ending]):
        """Args: jobs: in the order in which they are begun where there is a choice. endings: what is done already."""
        self.jobs = {job.name: job for job in jobs}
        self.endings = {name: ending for name, ending in endings.items() if name in self.jobs and ending.state == DONE}
        self.running: dict[str, Job] = {}
        _refuse_knots(self.jobs)

    def next(self) -> Job | None:
        """The first job whose needs are done and that is neither running nor ended."""
        return next((job for job in self.jobs.values() if self._open(job) and all(self._done(need) for need in job.needs)), None)

    def begun(self, job: Job) -> None:
        """It runs now, perhaps once more."""
        self.running[job.name] = job

    def ended(self, job: Job, ending: Ending) -> None:
        """It ended, for good."""
        self.running.pop(job.name, None)
        self.endings[job.name] = ending

    @property
    def failed(self) -> list[Job]:
        """Those that failed."""
        return [self.jobs[name] for name, ending in self.endings.items() if ending.state == FAILED]

    @property
    def blocked(self) -> list[Job]:
        """Those that need one that failed, directly or through others."""
        lost = {job.name for job in self.failed}
        found: list[Job] = []
        for job in self.jobs.values():  # needs stand before who needs them
            if job.name not in self.endings and any(need in lost for need in job.needs):
                lost.add(job.name)
                found.append(job)
        return found

    @property
    def done(self) -> list[Job]:
        """Those that are done."""
        return [self.jobs[name] for name in self.endings if self._done(name)]

    @property
    def left(self) -> list[Job]:
        """Those that have still to be done and can be, running ones included."""
        blocked = {job.name for job in self.blocked}
        return [job for name, job in self.jobs.items() if name not in self.endings and name not in blocked]

    def _done(self, name: str) -> bool:
        return name in self.endings and self.endings[name].state == DONE

    def _open(self, job: Job) -> bool:
        return job.name not in self.endings and job.name not in self.running


def _refuse_knots(jobs: Mapping[str, Job]) -> None:
    """Errors: ValueError where a job stands before one that it needs, or needs none of these."""
    seen: set[str] = set()
    for job in jobs.values():
        if missing := [need for need in job.needs if need not in seen]:
            raise ValueError(f"{job.name} needs {', '.join(missing)}, which must stand before it")
        seen.add(job.name)


def put_first(jobs: Sequence[Job], patterns: Sequence[str]) -> list[Job]:
    """The same jobs: those whose names match a pattern (*, ?, […]) come first, pattern after pattern, each behind all that it needs.

    Errors: UserError for a pattern that no name matches."""
    named = {job.name: job for job in jobs}
    found: dict[str, Job] = {}

    def put(job):
        for need in job.needs:
            put(named[need])
        found.setdefault(job.name, job)

    for pattern in patterns:
        matching = [job for job in jobs if fnmatch.fnmatchcase(job.name, pattern)]
        if not matching:
            kinds = dict.fromkeys(f"{name.partition('.')[0]}.*" for name in named)
            raise UserError(f"no job of the study is called {pattern}: {nearest(pattern, kinds)}")
        for job in matching:
            put(job)
    return [*found.values(), *(job for job in jobs if job.name not in found)]


def final(ending: Ending, attempts: int) -> bool:
    """Whether that was the last attempt at a job. Args: attempts: that each is given."""
    return ending.state == DONE or ending.attempts >= attempts


def summed(jobs: Iterable[Job]) -> tuple[int, float, float]:
    """Pairs, seconds on one processor and megabytes of several jobs."""
    jobs = list(jobs)
    return sum(job.pairs for job in jobs), sum(job.seconds for job in jobs), sum(job.megabytes for job in jobs)
