"""python -m launch.train --algo=trpo: trains one agent and leaves a run directory that every instrument reads.

The same command goes on with an unfinished run from its last checkpoint, and ends at once on a finished one. Everything
here answers bad input before TensorFlow's seconds; launch.training.recording, imported after it has started, is the loop."""

from __future__ import annotations

import sys

from absl import flags, logging

from launch.shared import commandline
from launch.training.plan import CHECKPOINT_SECONDS, SNAPSHOTS, Plan
from tfpg import run_directory, runtime
from tfpg.config import Config
from tfpg.envs.make import describe
from tfpg.errors import UserError
from tfpg.run_directory import RunDirectory

ABOUT = ("Trains a policy on a Gymnasium task. The same command continues an unfinished run; results, checkpoints and "
         "policies go to the workdir, curves to TensorBoard (tensorboard --logdir runs).")


def define(values: flags.FlagValues) -> None:
    """The launcher's flags."""
    commandline.define_settings(values)
    flags.DEFINE_list("snapshots", list(map(str, SNAPSHOTS)),
                      "iterations whose policy is saved with its update, besides the last one; empty for only that",
                      flag_values=values)
    flags.DEFINE_float("checkpoint_seconds", CHECKPOINT_SECONDS, "seconds between checkpoints, at least; at most these and an iteration are lost",
                       lower_bound=0.0, flag_values=values)
    flags.DEFINE_integer("final_episodes", 100, "episodes that evaluate the final policy, stochastic and greedy; 0 = none",
                         lower_bound=0, flag_values=values)
    flags.DEFINE_boolean("histograms", False, "also write histograms to TensorBoard", flag_values=values)
    commandline.define_whole(
        "heldout_every", 0, "every so many iterations the update is looked at on held-out pairs too: as many as a batch has, from environments of their "
        "own; 0 = never (python -m launch.trust_region does it afterwards)", low=0, values=values)


def main(argv: list[str] | None = None) -> int:
    """The command; in process where `argv` is given. Returns the exit code."""
    return commandline.run(body, argv, program="launch.train", about=ABOUT, define=define)


def body(values: flags.FlagValues) -> int:
    """One training run, from the flags to the last file."""
    config = commandline.resolve(values)
    plan = Plan(_snapshots(values, config), values.checkpoint_seconds, values.final_episodes,
                values.histograms, values.heldout_every)
    # Before anything is written: a mistyped task must not leave a directory that then refuses the right one.
    describe(config.env, config.env_args, config.rollout.engine, patience=config.rollout.patience)
    path = values.workdir or run_directory.default_path(config)
    command = ["python", "-m", "launch.train", *sys.argv[1:]]
    with RunDirectory.open(path, config, command) as run:
        if run.finished:
            print(f"{run.path} is finished: nothing to do. Another --seed or --workdir begins another run.", flush=True)
            return 0
        runtime.start(config.runtime)
        logging.set_verbosity(logging.WARNING)  # SavedModel tells of every file it writes
        from launch.training import recording

        recording.train(run, config, plan)
    return 0


def _snapshots(values: flags.FlagValues, config: Config) -> frozenset[int]:
    """The iterations to keep: those asked for, and the last. A default beyond a short run's end is no error."""
    given, last = values.snapshots, config.num_iterations - 1
    try:
        asked = {int(text) for text in given if text.strip()}
    except ValueError:
        raise UserError(f"snapshots={','.join(given)} is not a list of iterations, for example 0,150,300.") from None
    beyond = [k for k in sorted(asked) if not 0 <= k <= last]
    if beyond and values["snapshots"].present:
        raise UserError(f"snapshots={','.join(given)} names iteration {beyond[0]}, but the run has iterations 0 to {last}.")
    return frozenset(asked - set(beyond)) | {last}


if __name__ == "__main__":
    main()
