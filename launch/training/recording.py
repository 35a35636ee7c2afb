"""How is a training run written down? The one consumer of its records: it stores, shows and changes nothing.

The order of writing is what makes a kill harmless: film, policy, metrics line and events of an iteration come before
the checkpoint that follows it, and a resumption cuts metrics and events back to its checkpoint."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from launch.shared.commandline import say
from launch.training.plan import Plan
from tfpg import checkpoint, snapshot, storage
from tfpg.beside import Beside, Work
from tfpg.clock import Clock
from tfpg.config import Config
from tfpg.diagnostics import probe
from tfpg.errors import RunError
from tfpg.report import figures, metrics, summaries
from tfpg.report.progress import Progress
from tfpg.report.summaries import Summaries
from tfpg.run_directory import RunDirectory
from tfpg.shown import quantity
from tfpg.training import Training
from tfpg.types import Iteration, Learner, Normaliser, RunState

if TYPE_CHECKING:
    from tfpg.diagnostics.trust_regions.heldout import Heldout


def train(run: RunDirectory, config: Config, plan: Plan) -> None:
    """Trains to the end, from the run's last checkpoint where it has one; writes as it goes.

    Errors: as tfpg.training.iterations; on these and on KeyboardInterrupt the last finished iteration is kept."""
    resumed = resume(run)
    state = resumed.state
    with (Training(config, state) as training, Summaries(run.train, histograms=plan.histograms) as events,
          _heldout(config, training) if plan.heldout_every else contextlib.nullcontext() as heldout,
          Progress(config.num_iterations, 0 if state is None else state.iteration) as progress):
        recorder = Recorder(run, config, plan, training, events, progress, heldout)
        recorder.open(resumed)
        try:
            for iteration in training:
                recorder.record(iteration)
                state = iteration.state
        except (KeyboardInterrupt, RunError):
            if state is not None:  # the iteration that broke off begins anew
                recorder.keep(state)
            raise
        finally:
            recorder.leave()
        assert state is not None  # a run has an iteration at least
        recorder.keep(state)
        recorder.conclude(state)


def _heldout(config: Config, training: Training) -> Heldout:
    """Held-out pools, with the statistics that only they need."""
    from tfpg.diagnostics.trust_regions.heldout import Heldout

    return Heldout(config, training.task)


class Resumed(NamedTuple):
    """Where a run goes on."""

    state: RunState | None  # None: it begins
    notes: tuple[str, ...]  # what the user should know, a sentence each


def resume(run: RunDirectory) -> Resumed:
    """The last good checkpoint; metrics and events are cut back to it.

    Errors: UserError where all checkpoints are damaged, or the metrics lack lines that the checkpoint follows."""
    loaded = checkpoint.load(run.checkpoints)
    state = loaded.state
    changes = run.version_changes() if run.continued else ()
    warnings = (f"the run began with another version, so its bits may differ from here on: {line}" for line in changes)
    if state is not None or run.metrics.exists():
        storage.cut_lines(run.metrics, 0 if state is None else state.iteration)
        metrics.read(run.metrics)  # a damaged line would be refused when all is trained
    summaries.cut(run.train, -1 if state is None else state.env_steps)
    mark = () if run.mark_damage is None else (f"{run.mark_damage} It is written anew.",)
    return Resumed(state, (*loaded.warnings, *mark, *warnings))


class Recorder:
    """Writes one run into its directory, its event file and the terminal."""

    def __init__(self, run: RunDirectory, config: Config, plan: Plan, training: Training, events: Summaries,
                 progress: Progress, heldout: Heldout | None = None):
        self._run, self._config, self._plan = run, config, plan
        self._training, self._events, self._progress, self._heldout = training, events, progress, heldout
        self._policies = snapshot.Writer(config, training.task, training.agent.policy, training.agent.value)
        self._writing = Beside("writes what has happened")
        self._begun: list[Work] = []  # what may not be written yet, in its order
        self._kept = time.monotonic()
        self.seconds: dict[str, float] = {}  # what the last iteration waited for here, by part: its trust region, and what is written

    def open(self, resumed: Resumed) -> None:
        """Says what begins or goes on."""
        run, config, state = self._run, self._config, resumed.state
        if state is None:
            self._events.text("configuration", summaries.configuration_table(config))
        self._events.hparams(config, env_steps=0 if state is None else state.env_steps)
        where = "" if state is None else f", going on from iteration {state.iteration}"
        opening = (f"{config.preset} on {config.env}, seed {config.seed}: {config.num_iterations} iterations of "
                   f"{config.rollout.num_steps} pairs, in {run.path}{where}")
        for note in (*resumed.notes, opening):
            self._progress.note(note)

    def record(self, iteration: Iteration) -> None:
        """One iteration: the film, the policy where it was asked for, the numbers, and a checkpoint by the clock."""
        # An iteration's speed is that of the whole program, so what it cost to record the one before is a part of it.
        recording, clock = sum(seconds for part, seconds in self.seconds.items() if part != "trust_region"), Clock()
        run = self._run
        self._film(iteration.index, iteration.before, iteration.normaliser)
        clock.lap("iterates")
        if iteration.index in self._plan.snapshots:
            self._policies.save(run.policy(iteration.index), iteration)
            clock.lap("snapshot")
        at_once = metrics.numbers_at_once(iteration, self._config)
        clock.lap("summaries")
        _ = iteration.moved
        clock.lap("trust_region")
        looked = iteration.seconds.get("trust_region", 0.0) + clock.seconds["trust_region"]
        iteration = iteration._replace(seconds={**iteration.seconds, "trust_region": looked, "recording": recording})
        numbers = metrics.metrics(iteration, self._config, at_once) | self._held_out(iteration)
        self._begun.append(self._writing.begin(self._write, iteration, numbers))
        self._progress.update(iteration, numbers)
        clock.lap("summaries")
        if time.monotonic() - self._kept >= self._plan.checkpoint_seconds:
            self.keep(iteration.state)
            clock.lap("checkpoint")
        self.seconds = clock.seconds

    def _held_out(self, iteration: Iteration) -> dict[str, float]:
        """Numbers of the update on held-out pairs, where it is its turn. A fault costs these numbers, not the run: the film
        has what they are made from."""
        if self._heldout is None or iteration.index % self._plan.heldout_every:
            return {}
        from tfpg.diagnostics.trust_regions.heldout import step_of

        try:
            found, = self._heldout.measure([step_of(iteration)])
        except RunError as error:
            if getattr(error, "hangs", False):  # a thread of TensorFlow's own is lost in there: the next rollout would wait for it
                raise
            self._progress.note(f"no held-out pairs at iteration {iteration.index}: {' '.join(str(error).split())} The training goes "
                                "on; launch.trust_region plays them from the film.")
            self._heldout.close()  # the next turn begins with new environments
            return {}
        return metrics.heldout(found)

    def _film(self, k: int, learner: Learner, normaliser: Normaliser) -> None:
        """Begins a frame, when what was begun before it is on the disk."""
        self._all_written()
        self._begun.append(self._writing.begin(
            checkpoint.save_iterate, self._run.iterates, k, learner.theta, learner.phi, normaliser))

    def _write(self, iteration: Iteration, numbers: Mapping[str, float]) -> None:
        """The numbers' line and events. Beside the next rollout, like the frame: most of it is waiting for the disk."""
        storage.append_line(self._run.metrics, metrics.as_line(iteration, numbers))
        self._events.write(iteration, metrics.curves(numbers))

    def _all_written(self) -> None:
        """What was begun is written. Errors: what its writing raised."""
        while self._begun:
            self._begun[0].wait()  # a line that an interrupt broke off here would be written twice
            del self._begun[0]  # only now: an interrupted wait is waited for again

    def leave(self) -> None:
        """Waits for what is being written; errors of it are for who asks next."""
        self._writing.leave(take_back=False)

    def keep(self, state: RunState) -> None:
        """A checkpoint. Film, line and events first: a run continued from it writes only what follows."""
        self._all_written()
        self._events.flush()
        checkpoint.save(self._run.checkpoints, state, self._config)
        self._kept = time.monotonic()

    def conclude(self, state: RunState) -> None:
        """The last frame of the film, final scores, the figure of the run, and the mark that it is finished."""
        run, config = self._run, self._config
        self._film(state.iteration, state.learner, state.normaliser)
        self._all_written()
        self._progress.close()
        rows = metrics.read(run.metrics)
        scores = metrics.final_scores(rows)
        if math.isnan(scores["final/return"]):
            say("no episode ended in this run, so it has no final return")
        else:
            say(f"final return {quantity(scores['final/return'])} (mean over the episodes of the last 5 iterations), "
                f"best iteration {quantity(scores['final/best_return'])}")
        if self._plan.final_episodes:
            try:
                scores |= self._evaluated(self._plan.final_episodes)
            except RunError as error:  # the run itself is whole
                say(f"the final policy could not be evaluated: {error}")
        title = f"{config.preset} on {config.env}, seed {config.seed}"
        png = figures.png(figures.overview([(config.preset, rows)], title=title))
        storage.write_bytes(run.diagnostics / "overview.png", png)
        self._events.figure("run/overview", png, env_steps=state.env_steps)
        self._events.hparams(config, scores, env_steps=state.env_steps)
        self._events.flush()
        run.finish(**{name: value if math.isfinite(value) else None for name, value in scores.items()})
        say(f"results in {run.path}: metrics.jsonl, iterates, policies; figure diagnostics/overview.png; "
            f"curves: tensorboard --logdir {run.path}")

    def _evaluated(self, episodes: int) -> dict[str, float]:
        """Scores of the final policy π_θK in episodes of their own, under the normaliser of the last iteration."""
        # SciPy and xarray are half a second and 50 MB that training does not need; the most is needed while it compiles.
        from tfpg.diagnostics import evaluation, results

        run, config = self._run, self._config
        last = probe.load(run.policy(config.num_iterations - 1))
        found = evaluation.evaluate(last, episodes=episodes, seed=config.seed, threads=config.runtime.env_threads,
                                    theta=last.theta_next)
        results.save(found.dataset, run.diagnostics / f"evaluation-{config.num_iterations:06d}.nc")
        scores = {}
        for form, summary in (("stochastic", found.stochastic), ("greedy", found.greedy)):
            say(f"final policy, {form}: return {quantity(summary.mean)} ± {quantity(summary.stderr)} "
                f"(standard error, {episodes} episodes)")
            scores[f"final/{form}_return"] = summary.mean
        return scores
