"""python -m launch.train --algo=trpo: trains one agent and leaves a run directory that every instrument reads.

The loop below is the only consumer of a run's records: it writes them down and changes nothing. The same command goes
on with an unfinished run from its last checkpoint, and ends at once on a finished one."""

from __future__ import annotations

import math
import sys
import time
from typing import NamedTuple

from absl import flags, logging

from launch import commandline
from tfpg import run_directory
from tfpg.config import Config
from tfpg.envs.make import describe
from tfpg.errors import RunError, UserError
from tfpg.run_directory import RunDirectory

ABOUT = ("Trains a policy on a Gymnasium task. The same command continues an unfinished run; results, checkpoints and "
         "policies go to the workdir, curves to TensorBoard (tensorboard --logdir runs).")


class Plan(NamedTuple):
    """What is written down, and when; nothing here changes the run."""

    snapshots: frozenset[int]  # iterations whose SavedModel is kept
    checkpoint_seconds: float
    final_episodes: int  # evaluated when the run is over, by π_θK as it acts and greedily; 0 = none
    histograms: bool


def define(values: flags.FlagValues) -> None:
    """The launcher's flags."""
    commandline.define_settings(values)
    flags.DEFINE_list("snapshots", ["0", "150", "300", "450"],
                      "iterations whose policy is saved with its update, besides the last one; empty for only that",
                      flag_values=values)
    flags.DEFINE_float("checkpoint_seconds", 20.0, "seconds between checkpoints, at least; at most this much work is lost",
                       lower_bound=0.0, flag_values=values)
    flags.DEFINE_integer("final_episodes", 100, "episodes that evaluate the final policy, stochastic and greedy; 0 = none",
                         lower_bound=0, flag_values=values)
    flags.DEFINE_boolean("histograms", False, "also write histograms to TensorBoard", flag_values=values)


def main(argv: list[str] | None = None) -> int:
    """The command; in process where `argv` is given. Returns the exit code."""
    return commandline.run(body, argv, program="launch.train", about=ABOUT, define=define)


def body(values: flags.FlagValues) -> int:
    """One training run, from the flags to the last file."""
    config = commandline.resolve(values)
    plan = Plan(_snapshots(values, config), values["checkpoint_seconds"].value, values["final_episodes"].value,
                values["histograms"].value)
    # Before anything is written: a mistyped task must not leave a directory that then refuses the right one.
    describe(config.env, config.env_args, config.rollout.engine)
    path = values["workdir"].value or run_directory.default_path(config)
    command = ["python", "-m", "launch.train", *sys.argv[1:]]
    with RunDirectory.open(path, config, command) as run:
        if run.finished:
            _say(f"{run.path} is finished: nothing to do. Another --seed or --workdir begins another run.")
            return 0
        from tfpg import runtime  # everything above answers bad input before TensorFlow's seconds

        runtime.start(config.runtime)
        logging.set_verbosity(logging.WARNING)  # SavedModel tells of every file it writes
        train(run, config, plan)
    return 0


def train(run: RunDirectory, config: Config, plan: Plan) -> None:
    """Trains to the end, from the run's last checkpoint where it has one; writes as it goes.

    Errors: as tfpg.training.iterations; on KeyboardInterrupt the last finished iteration is checkpointed first."""
    from tfpg import checkpoint
    from tfpg.report.progress import Progress
    from tfpg.report.summaries import Summaries
    from tfpg.training import Training

    state, notes = _resumed(run)
    with (Training(config, state) as training, Summaries(run.train, histograms=plan.histograms) as summaries,
          Progress(config.num_iterations, 0 if state is None else state.iteration) as progress):
        if state is None:
            summaries.text("configuration", _table(config))
        summaries.hparams(config, env_steps=0 if state is None else state.env_steps)
        for note in (*notes, _opening(run, config, state)):
            progress.note(note)
        saved = time.monotonic()
        try:
            for iteration in training:
                _record(run, config, plan, training, iteration, summaries, progress)
                state = iteration.state
                if time.monotonic() - saved >= plan.checkpoint_seconds:
                    summaries.flush()
                    checkpoint.save(run.checkpoints, state, config)
                    saved = time.monotonic()
        except (KeyboardInterrupt, RunError):
            # What is finished is kept; the iteration that broke off begins anew.
            if state is not None:
                summaries.flush()
                checkpoint.save(run.checkpoints, state, config)
            raise
        summaries.flush()
        checkpoint.save(run.checkpoints, state, config)
        learner = state.learner
        checkpoint.save_iterate(run.iterates, state.iteration, learner.theta, learner.phi, state.normaliser)
        progress.close()
        _conclude(run, config, plan, summaries, state)


def _record(run, config, plan, training, iteration, summaries, progress) -> None:
    """Writes one iteration down: the film, the numbers, and the policy where it was asked for."""
    from tfpg import checkpoint, snapshot, storage
    from tfpg.report import metrics

    before = iteration.before
    checkpoint.save_iterate(run.iterates, iteration.index, before.theta, before.phi, iteration.normaliser)
    numbers = metrics.metrics(iteration, config)
    if iteration.index in plan.snapshots:
        agent = training.agent
        snapshot.save(run.policy(iteration.index), iteration, config, training.task, agent.policy, agent.value)
    storage.append_line(run.metrics, metrics.as_line(iteration, numbers))
    summaries.write(iteration, numbers)
    progress.update(iteration, numbers)


def _resumed(run: RunDirectory):
    """The state to go on from, or None, and what the user should know; metrics and events are cut back to it."""
    from tfpg import checkpoint, storage
    from tfpg.report import summaries

    loaded = checkpoint.load(run.checkpoints)
    changes = run.version_changes() if run.continued else ()
    notes = [*loaded.warnings,
             *(f"the run began with another version, so its bits may differ from here on: {change}" for change in changes)]
    state = loaded.state
    if state is not None or run.metrics.exists():
        storage.cut_lines(run.metrics, 0 if state is None else state.iteration)
    summaries.cut(run.train, -1 if state is None else state.env_steps)
    return state, notes


def _conclude(run: RunDirectory, config: Config, plan: Plan, summaries, state) -> None:
    """Final scores, the figure of the run, and the mark that it is finished."""
    from tfpg import storage
    from tfpg.report import figures, metrics

    rows = metrics.read(run.metrics)
    scores = metrics.final_scores(rows)
    _say(f"final return {scores['final/return']:,.1f} (mean over the episodes of the last 5 iterations), "
         f"best iteration {scores['final/best_return']:,.1f}")
    if plan.final_episodes:
        try:
            scores |= _evaluated(run, config, plan.final_episodes)
        except RunError as error:  # the run itself is whole
            _say(f"the final policy could not be evaluated: {error}")
    png = figures.png(figures.overview([(config.preset, rows)], title=f"{config.preset} on {config.env}, seed {config.seed}"))
    storage.write_bytes(run.diagnostics / "overview.png", png)
    summaries.figure("run/overview", png, env_steps=state.env_steps)
    summaries.hparams(config, scores, env_steps=state.env_steps)
    summaries.flush()
    run.finish(**{name: None if math.isnan(value) else value for name, value in scores.items()})
    _say(f"results in {run.path}: metrics.jsonl, iterates, policies; figure diagnostics/overview.png; "
         f"curves: tensorboard --logdir {run.path}")


def _evaluated(run: RunDirectory, config: Config, episodes: int) -> dict[str, float]:
    """Scores of the final policy π_θK in episodes of their own, under the normaliser of the last iteration."""
    from tfpg.diagnostics import evaluation, probe, results

    last = probe.load(run.policy(config.num_iterations - 1))
    found = evaluation.evaluate(last, episodes=episodes, seed=config.seed, threads=config.runtime.env_threads,
                                theta=last.theta_next)
    results.save(found.dataset, run.diagnostics / f"evaluation-{config.num_iterations:06d}.nc")
    scores = {}
    for form, summary in (("stochastic", found.stochastic), ("greedy", found.greedy)):
        _say(f"final policy, {form}: return {summary.mean:,.1f} ± {summary.stderr:,.1f} (standard error, {episodes} episodes)")
        scores[f"final/{form}_return"] = summary.mean
    return scores


def _opening(run: RunDirectory, config: Config, state) -> str:
    where = "" if state is None else f", going on from iteration {state.iteration}"
    return (f"{config.preset} on {config.env}, seed {config.seed}: {config.num_iterations} iterations of "
            f"{config.rollout.num_steps} pairs, in {run.path}{where}")


def _table(config: Config) -> str:
    from tfpg.report.summaries import configuration_table

    return configuration_table(config)


def _snapshots(values: flags.FlagValues, config: Config) -> frozenset[int]:
    """The iterations to keep: those asked for, and the last. A default beyond a short run's end is no error."""
    flag = values["snapshots"]
    last = config.num_iterations - 1
    try:
        asked = {int(text) for text in flag.value if text.strip()}
    except ValueError:
        raise UserError(f"snapshots={','.join(flag.value)} is not a list of iterations, for example 0,150,300.") from None
    beyond = [k for k in sorted(asked) if not 0 <= k <= last]
    if beyond and flag.present:
        raise UserError(f"snapshots={','.join(flag.value)} names iteration {beyond[0]}, but the run has iterations 0 to {last}.")
    return frozenset(asked - set(beyond)) | {last}


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
