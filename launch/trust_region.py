"""python -m launch.trust_region --run=DIR …: how far every update moved the policy, on its own pairs and on held-out ones."""

from __future__ import annotations

from pathlib import Path

from absl import flags

from launch.shared import commandline, scales
from launch.shared.runs import named
from tfpg.errors import UserError
from tfpg.run_directory import RunDirectory

ABOUT = ("KL and ratio of every update of runs, on the update's own pairs (from metrics.jsonl) and on held-out pairs of whole "
         "episodes (from the film of iterates, or as the run found them live with --heldout_every). Several runs of one preset "
         "are its seeds. Goes on after a kill, and gives the same numbers again.")


def define(values: flags.FlagValues) -> None:
    """The launcher's flags."""
    whole = commandline.define_whole
    flags.DEFINE_multi_string("run", None, "directory of a run, for example runs/trpo-Hopper-v5-0; may be given often",
                              flag_values=values)
    flags.DEFINE_string("scale", "small", f"{scales.names('TRUST_REGIONS')} (configs/diagnostics.py): how many iterations are looked at on "
                        "held-out pairs", flag_values=values)
    whole("heldout_every", None, "every so many iterations held-out pairs are played; 0 = never; what the run itself looked at is shown in any case; "
          f"default by --scale: {scales.by_scale('TRUST_REGIONS', 'heldout_every')}", low=0, values=values)
    whole("heldout_pairs", None, "pairs of a held-out pool; default as many as a batch of the run has, for largest ratios are "
          "compared at equal numbers", low=2, values=values)
    flags.DEFINE_bool("dry_run", False, "only says what it would cost", flag_values=values)
    flags.DEFINE_string("output", None, "directory of the results; default diagnostics/trust_region of the run, or for several "
                        "runs trust_region in the current directory", flag_values=values)


def main(argv: list[str] | None = None) -> int:
    """The command; in process where `argv` is given. Returns the exit code."""
    return commandline.run(body, argv, program="launch.trust_region", about=ABOUT, define=define)


def body(values: flags.FlagValues) -> int:
    """All that can be refused without TensorFlow first; then the runs."""
    runs = [_run(given) for given in values.run or [None]]
    _check_apart(runs)
    every, pairs = _every(values), values.heldout_pairs
    if pairs is not None and not every:
        raise UserError(f"heldout_pairs={pairs} has no effect with heldout_every=0.")
    runtimes = {run.config.runtime for run in runs}
    if len(runtimes) > 1:
        raise UserError("the runs were trained with different runtime settings, which change every bit: look at them one command "
                        "each.")
    for run in runs:
        _check_film(run, every)
    given = values.output
    output = (Path(given).expanduser() if given is not None else
              runs[0].diagnostics / "trust_region" if len(runs) == 1 else Path.cwd() / "trust_region")

    from tfpg import runtime

    runtime.start(runtimes.pop())
    from launch.instruments.trust_regions import measuring as distances

    return distances.look(runs, every=every, pairs=pairs, output=output, dry_run=values.dry_run)


def _every(values: flags.FlagValues) -> int:
    """Errors: UserError for an unknown scale."""
    _, scale = scales.chosen("TRUST_REGIONS", values)
    given = values.heldout_every
    return scale.heldout_every if given is None else given


def _run(given: str | None) -> RunDirectory:
    """Errors: UserError where there is no run, or one without a finished iteration."""
    run = named(given)
    if not run.metrics.exists() or not run.metrics.stat().st_size:
        raise UserError(f"{run.path} has no finished iteration yet.")
    return run


def _check_film(run: RunDirectory, every: int) -> None:
    if every and not (run.iterate(0).exists() and run.iterate(1).exists()):
        raise UserError(f"{run.path} has no film to play held-out pairs from ({run.iterate(0)} and what follows are missing): "
                        "--heldout_every=0 shows what was measured on the updates' own pairs.")


def _check_apart(runs: list[RunDirectory]) -> None:
    """Errors: UserError where two runs are one, or would be stored under one name."""
    taken: dict[str, Path] = {}
    for run in runs:
        if run.path in taken.values():
            raise UserError(f"run={run.path} is given twice.")
        if run.path.name in taken:
            raise UserError(f"{taken[run.path.name]} and {run.path} would both be stored as {run.path.name}.nc: look at them one "
                            "command each, with --output.")
        taken[run.path.name] = run.path


if __name__ == "__main__":
    main()
