"""python -m launch.study STUDY: trains the agents of a study, looks at them, and says what is done, failed and left.

The same command goes on where it was: what is done is not done again, what failed is tried again, and agents that were added are
added."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from launch.publishing import records
from launch.shared import commandline
from launch.shared.commandline import say
from launch.studies import jobs as studyjobs
from launch.studies import view as studyview
from tfpg import storage
from tfpg.errors import UserError
from tfpg.lock import Lock
from tfpg.studies import cluster, local, plan
from tfpg.studies.jobs import Job, Ledger, Progress, put_first

ABOUT = ("Runs a study: every agent's training, then every look at them, as many at once as there are processors. STUDY is the name of "
         "one of ours ({known}) or the path of a Python file, which is run. The same command goes on with what is left; agents added "
         "to the file later are added.")


def define(values: flags.FlagValues) -> None:
    """The launcher's flags."""
    flags.DEFINE_string("study", None, "the study; its name may also stand alone", flag_values=values)
    flags.DEFINE_string("output", None, "directory of the study; default studies/<its name>", flag_values=values)
    flags.DEFINE_string("published", None, "directory that launch.publish wrote; agents of which everything is done there count as done; "
                        "default none", flag_values=values)
    flags.DEFINE_list("first", [], "names of jobs (* stands for anything) that come before all others, in this order, with what they "
                      "need: --first='train.*,gradients.*-0.*'", flag_values=values)
    flags.DEFINE_bool("dry_run", False, "only lists the jobs, with their pairs, hours and disk, about", flag_values=values)
    flags.DEFINE_enum("executor", "local", ["local", "ray"], "local: processes on this machine; ray: the machines of a Ray cluster that "
                      "share the study's directory", flag_values=values)
    commandline.define_whole("slots", None, "local: jobs at once; default one for each processor", values=values)
    flags.DEFINE_string("address", None, "ray: host:port of the cluster, or auto; unless given one is begun on this machine",
                        flag_values=values)
    flags.DEFINE_float("processors", float(studyjobs.THREADS), "ray: that each job is given", lower_bound=0.1, flag_values=values)
    flags.DEFINE_float("gigabytes", 2.0, "ray: of memory that each job is given", lower_bound=0.1, flag_values=values)
    commandline.define_whole("attempts", 2, "of each job, before it counts as failed", values=values)


def main(argv: list[str] | None = None) -> int:
    """The command; in process where `argv` is given. Returns the exit code."""
    about = ABOUT.format(known=", ".join(studyjobs.known()))
    return commandline.run(body, argv, program="launch.study", about=about, define=define, word="study")


def body(values: flags.FlagValues) -> int:
    """All that can be refused first; then the jobs. Returns the exit code: 1 where a job failed."""
    if not values.study:
        raise UserError(f"which study? python -m launch.study NAME, of {', '.join(studyjobs.known())}, or the path of a file.")
    _check_executor(values)
    named = studyjobs.load(values.study)
    agents = studyjobs.agents(named.groups)
    jobs = studyjobs.jobs(agents)
    ordered = put_first(jobs, values.first)
    directory = Path(os.path.abspath(Path(values.output or Path("studies") / named.name).expanduser()))
    ledger = Ledger(directory)
    slots = values.slots or len(os.sched_getaffinity(0))
    where = "ray" if values.executor == "ray" else slots
    if values.dry_run:
        progress = _progress(ordered, ledger, directory)
        say(studyview.opening(named, agents, progress, directory, where))
        say(studyview.plan(progress, where))
        return 0
    storage.make_directory(directory)
    with Lock(directory, "runs the study in"):
        if values.published is not None:
            _take(Path(values.published).expanduser(), agents, directory)
        plan.write(directory, named.name, named.about, jobs)
        progress = _progress(ordered, ledger, directory)  # now nobody else adds to it
        say(studyview.opening(named, agents, progress, directory, where))
        with studyview.View(progress, sys.stdout) as view:
            common: dict[str, Any] = {"attempts": values.attempts, "tell": view.tell, "tick": view.tick}
            if where == "ray":
                cluster.run(progress, ledger, address=values.address, processors=values.processors,
                            gigabytes=values.gigabytes, **common)
            else:
                local.run(progress, ledger, slots=slots, **common)
    say(studyview.closing(progress, ledger))
    return 1 if progress.failed else 0


def _progress(jobs: Sequence[Job], ledger: Ledger, directory: Path) -> Progress:
    """Errors: UserError where a policy that is still to be looked at was not kept."""
    for job in jobs:
        if damaged := ledger.damage(job):
            say(f"once more: {damaged}")
    progress = Progress(jobs, ledger.endings(jobs))
    studyjobs.refuse_unkept(progress.left, directory)
    return progress


def _take(published: Path, agents: Sequence[studyjobs.Agent], directory: Path) -> None:
    """Errors: UserError where nothing was published there, or the disk refuses."""
    taken, partly = records.take(published, agents, directory)
    if taken:
        say(f"taken from {published}: {len(taken):,} agents, of which everything is done")
    if partly:
        say(f"of {len(partly):,} agents of {published} looks are missing, and policies are not published: they are trained and looked at anew")


def _check_executor(values: flags.FlagValues) -> None:
    """Errors: UserError for a flag of the executor that was not chosen."""
    theirs = {"local": ("slots",), "ray": ("address", "processors", "gigabytes")}
    chosen = values.executor
    for executor, names in theirs.items():
        for name in names:
            if executor != chosen and values[name].present:
                raise UserError(f"{name} has no effect with executor={chosen}: it belongs to executor={executor}.")


if __name__ == "__main__":
    main()
