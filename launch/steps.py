"""python -m launch.steps --run=DIR …: does an update raise the true return? J(θ_{i+1}) − J(θ_i) around several iterations."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from absl import flags

from launch.instruments.steps import plan as stepplan
from launch.instruments.steps.plan import Plan
from launch.shared import commandline, scales
from launch.shared.runs import named
from tfpg.errors import UserError
from tfpg.run_directory import RunDirectory

ABOUT = ("The true return after an update less that before it, for many updates of a run's film around several iterations: both ends "
         "play the same episodes under the same frozen normaliser, every update its own. Says before what it costs and which mean gain "
         "it can find, goes on after a kill, and gives the same numbers again.")


def define(values: flags.FlagValues) -> None:
    """The launcher's flags."""
    text, whole = flags.DEFINE_string, commandline.define_whole

    def number(name: str, words: str, low: int) -> None:
        whole(name, None, f"{words}; default by --scale: {scales.by_scale('STEPS', name)}", low=low, values=values)

    flags.DEFINE_multi_string("run", None, "directory of a run, for example runs/trpo-Hopper-v5-0; may be given often", flag_values=values)
    text("scale", "small", f"budgets: {scales.names('STEPS')} (configs/diagnostics.py); of Hopper on two cores a run takes seconds, ten "
         "minutes, some hours", flag_values=values)
    text("iterations", None, "checkpoints that updates are looked at around, for example 0,150; default 0,150,300,450 as far as the run "
         "goes", flag_values=values)
    number("count", "updates around each checkpoint", 2)
    number("spread", "iterations of the window that these are drawn from, the checkpoint in its middle", 2)
    number("episodes", "episodes of both ends of every update, the same for both", 2)
    whole("seed", 0, "seed of start states, noise, and which updates are drawn", low=0, high=2**32 - 1, values=values)
    flags.DEFINE_bool("dry_run", False, "only says what it would cost and find, after a first look of 64 episodes a checkpoint",
                      flag_values=values)
    text("output", None, "directory of the results, below it one for each run where they are several; default "
         "diagnostics/steps/<scale> of each run", flag_values=values)


def main(argv: list[str] | None = None) -> int:
    """The command; in process where `argv` is given. Returns the exit code."""
    return commandline.run(body, argv, program="launch.steps", about=ABOUT, define=define, word="run")


def body(values: flags.FlagValues) -> int:
    """All that can be refused without TensorFlow first; then the runs."""
    runs = [_run(given) for given in values.run or [None]]
    if len({run.path for run in runs}) < len(runs):
        raise UserError("one run is given twice.")
    runtimes = {run.config.runtime for run in runs}
    if len(runtimes) > 1:
        raise UserError("the runs were trained with different runtime settings, which change every bit: look at them one command each.")
    plan = _plan(values)
    plans = [dataclasses.replace(plan, iterations=stepplan.checkpoints(values.iterations, _updates(run), run.path)) for run in runs]
    directories = [_directory(values.output, run, plan, len(runs)) for run in runs]
    if len(set(directories)) < len(directories):
        raise UserError("two of the runs have one name, and would be stored in one directory: look at them one command each.")

    from tfpg import runtime

    runtime.start(runtimes.pop())
    from launch.instruments.steps import measuring as stepping

    return stepping.look(runs, plans, directories, dry_run=values.dry_run)


def _plan(values: flags.FlagValues) -> Plan:
    """The scale with what was given instead."""
    name, scale = scales.chosen("STEPS", values)
    budgets = scale._asdict()
    budgets.update({key: values[key].value for key in budgets if values[key].present})
    return Plan(scale=name, seed=values.seed, iterations=(), **budgets)


def _run(given: str | None) -> RunDirectory:
    """Errors: UserError where there is no run."""
    run = named(given)
    if not run.finished:
        raise UserError(f"{run.path} is not finished: the margin is a share of its final return.")
    return run


def _updates(run: RunDirectory) -> int:
    """That the film shows. Errors: UserError for a run without a film, or whose film has a gap."""
    count = 0
    while run.iterate(count + 1).exists():
        count += 1
    if not count or not run.iterate(0).exists():
        raise UserError(f"{run.path} has no film to play updates from ({run.iterate(0)} and what follows are missing).")
    return count


def _directory(output: str | None, run: RunDirectory, plan: Plan, runs: int) -> Path:
    if output is None:
        return run.diagnostics / "steps" / plan.scale
    given = Path(output).expanduser()
    return given if runs == 1 else given / run.path.name


if __name__ == "__main__":
    main()
