"""How is one policy's ground surveyed? Steps and directions first, then an announced number of episodes, then Datasets.

    survey = Survey(subject, plan, surfaces, directory, …)
    survey.tasks()           what will be played: points and episodes
    survey.measure("return") → Dataset, stored as return.nc

Everything is named by the plan: episodes that were played before are read, so the same call goes on after a kill."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from launch.instruments.landscapes.moves import Move, Moves, described
from launch.instruments.landscapes.plan import NEEDS_STEP, Plan
from launch.shared import firstlook
from tfpg.diagnostics import results, returns, updates
from tfpg.diagnostics.landscapes import film, plane, post_update, slices, surfaces
from tfpg.diagnostics.parts import Parts
from tfpg.diagnostics.probe import Probe, Subject, of_a_run


class Task(NamedTuple):
    """A part of what a surface takes: episodes of points, and pairs that updates and surrogates are made from."""

    surface: str
    what: str
    points: int
    episodes: int = 0  # of each point
    pairs: int = 0

    @property
    def total(self) -> int:
        """Episodes."""
        return self.points * self.episodes


class Survey:
    """One policy. Args: subject: Probe or ForeignProbe. surfaces: asked for. directory: of the results. threads: of EnvPool.

    Errors: UserError for a step, a later policy or a directory that will not do, before anything is played."""

    def __init__(self, subject: Subject, plan: Plan, surfaces: tuple[str, ...], directory: Path, threads: int):
        self.subject, self.plan, self.surfaces, self.directory = subject, plan, surfaces, directory
        self._threads, self._store = threads, returns.Store(directory / "parts")
        self._progress: returns.Progress = lambda episodes, pairs, seconds: None
        self.missing = tuple(name for name in surfaces if not (directory / f"{name}.nc").exists())
        self._parts = Parts(directory / "parts")
        self._made = Moves(subject, plan, threads, self._parts)
        self._check()
        self.pilot = firstlook.look(subject, directory, seed=plan.seed, threads=threads, max_steps=plan.max_steps)

    # What will be done

    @property
    def begun(self) -> bool:
        """Whether an earlier session played for it."""
        return self._store.directory.exists()

    def tasks(self) -> list[Task]:
        """What the missing surfaces take, in the order in which they do."""
        steps = [Task("steps", f"update repeated from {int(token):,} pairs", 0, pairs=int(token))
                 for token in self.plan.update_pairs if token != "stored" and self._needs_step]
        return steps + [task for surface in self.missing for task in getattr(self, f"_{surface}_tasks")()]

    def cost(self, task: Task) -> float:
        """Pairs, by the mean length of the first look's episodes."""
        return task.total * self.pilot.mean_length + task.pairs

    def budgets(self) -> dict[int, int]:
        """Episodes of each sample size of the concentration panels, ascending."""
        return {pairs: self.pilot.episodes_for(pairs) for pairs in sorted(self.plan.concentration)}

    def moves(self) -> tuple[Move, ...]:
        """The steps, each made once. Errors: UserError for a step of norm 0, which spans no plane."""
        return self._made.all

    @functools.cached_property
    def later(self) -> film.Later:
        """The θ that --to names, under this policy's normaliser."""
        assert self.plan.to is not None  # surface film is refused without it
        return film.later(self._probe, self.plan.to)

    def _return_tasks(self) -> list[Task]:
        episodes = self.pilot.episodes_for(self.plan.pairs)
        return [Task("return", step, self._points, episodes) for step in self._steps]

    def _surrogate_tasks(self) -> list[Task]:
        return [Task("surrogate", "on held-out pairs too", self._points * len(self._steps), pairs=self.plan.heldout_pairs)]

    def _slices_tasks(self) -> list[Task]:
        plan, again = self.plan, len(self.plan.update_pairs) - 1
        lines = 1 + plan.directions + again
        others = f", {again} recomputed" if again else ""
        return [Task("slices", f"the step{others}, {plan.directions} random directions", 1 + lines * (plan.slice_points - 1),
                     self.pilot.episodes_for(plan.slice_pairs)),
                Task("slices", "θ_k and θ_k + step", 1 + len(self._steps), self.pilot.episodes_for(plan.end_pairs))]

    def _concentration_tasks(self) -> list[Task]:
        return [Task("concentration", self._steps[0], self._points, max(self.budgets().values()))]

    def _updates_tasks(self) -> list[Task]:
        plan, pairs = self.plan, len(self._probe.batch.advantages)
        return [Task("updates", f"updates of {pairs:,} pairs", plan.repeats, plan.repeat_episodes, plan.repeats * pairs),
                Task("updates", "θ_k", 1, plan.repeats * plan.repeat_episodes)]

    def _film_tasks(self) -> list[Task]:
        return [Task("film", f"to iteration {self.later.iteration}", self.plan.slice_points,
                     self.pilot.episodes_for(self.plan.slice_pairs))]

    @property
    def _steps(self) -> list[str]:
        """Every step in words, before it is made."""
        return [self._made.first.described if token == "stored" else described("recomputed", int(token))
                for token in self.plan.update_pairs]

    @property
    def _points(self) -> int:
        return self.plan.points[0] * self.plan.points[1]

    @property
    def _needs_step(self) -> bool:
        return not set(NEEDS_STEP).isdisjoint(self.missing)

    def _check(self) -> None:
        """What costs nothing to find out. Errors: UserError for a step or a later policy that will not do."""
        if self._needs_step and "stored" in self.plan.update_pairs:
            _ = self._made.first
        if "film" in self.missing:
            _ = self.later

    # Doing it

    def prepare(self) -> None:
        """Makes and keeps what all else is played from: recomputed steps, and the updates of surface updates."""
        if self._needs_step:
            _ = self.moves()
        if "updates" in self.missing:
            _ = self._updated

    def jobs(self) -> list[returns.Job]:
        """Everything that `measure` plays of the missing surfaces, surface after surface."""
        return [job for surface in self.missing for job in getattr(self, f"_{surface}_jobs", list)()]

    def play_share(self, number: int, count: int, progress: returns.Progress) -> int:
        """One of `count` shares of that, left where `measure` finds it. Args, returns: as of returns.play_share."""
        return returns.play_share(self.subject, self.jobs(), number, count, store=self._store, threads=self._threads, progress=progress)

    def measure(self, surface: str, progress: returns.Progress) -> xr.Dataset:
        """One surface, stored as <surface>.nc by the caller."""
        self._progress = progress
        found = getattr(self, f"_{surface}")()
        texts = {"step_norm": "norm of the step", "random_norm": "norm of the random direction",
                 "step_kl": "mean KL(π_θk ‖ π) at the full step", "random_kl": "… at the random direction's end"}
        if "update" in found.dims:
            facts = [self._made.facts(move) for move in self.moves()]
            for name, text in texts.items():
                found[name] = ("update", np.array([fact[name] for fact in facts]), {"long_name": text})
            found = found.assign_coords(update_kind=("update", [move.label for move in self.moves()]))
        elif surface in ("slices", "concentration"):
            first = self.moves()[0]
            norm = "step" if surface == "slices" else None
            found = found.assign_attrs(self._made.facts(first, norm), update=first.pairs, update_kind=first.label)
        plan = dataclasses.asdict(self.plan)
        if self._made.refused and surface in NEEDS_STEP:
            found = found.assign_attrs(refused_steps=", ".join(self._made.refused))
        return found.assign_attrs(
            surface=surface, norm="step" if surface == "slices" else self.plan.norm, scale=self.plan.scale,
            nominal_pairs=self._nominal(surface), pilot_mean_length=self.pilot.mean_length, pilot_std=self.pilot.std,
            plan=str({name: value for name, value in plan.items() if value is not None}))

    def _return(self) -> xr.Dataset:
        return self._by_update([surfaces.returns(self.subject, ground, **asked, **self._playing()) for ground, asked in self._grounds()])

    def _return_jobs(self) -> list[returns.Job]:
        return [surfaces.job(ground, **asked) for ground, asked in self._grounds()]

    def _grounds(self) -> list[tuple[plane.Plane, dict[str, Any]]]:
        """Every step's plane, and what is played on it."""
        episodes = self.pilot.episodes_for(self.plan.pairs)
        return [(self._made.plane_of(move), {"episodes": episodes, "numbers": (0, number), **self._sampling()})
                for number, move in enumerate(self.moves())]

    def _surrogate(self) -> xr.Dataset:
        grounds = self._finished("return")
        found = []
        for number, move in enumerate(self.moves()):
            assert move.train is not None  # a run's policies have their pairs; others are refused this surface
            pools = {"train": move.train, "heldout": self._made.heldout}
            each = surfaces.surrogates(self._probe, self._made.plane_of(move), pools)
            if grounds is not None:
                each = each.merge(surfaces.grid_correlations(grounds.isel(update=number), each), combine_attrs="override")
            found.append(each)
        return self._by_update(found)

    def _concentration(self) -> xr.Dataset:
        sampling = {**self._sampling(), **self._playing(), "numbers": (2,)}
        del sampling["noise"]  # independent by its nature
        grounds = self._finished("return")  # other episodes of the same points
        reference = None if grounds is None else grounds["episode_return"].isel(update=0).transpose("x", "y", "episode").values
        return surfaces.concentration(self.subject, self._made.plane_of(self.moves()[0]), self.budgets(),
                                        reference=reference, **sampling)

    def _concentration_jobs(self) -> list[returns.Job]:
        sampling = {**self._sampling(), "noise": "independent", "numbers": (2,)}
        return [surfaces.job(self._made.plane_of(self.moves()[0]), episodes=max(self.budgets().values()), **sampling)]

    def _slices(self) -> xr.Dataset:
        plan, moves, pilot = self.plan, self.moves(), self.pilot
        lines, again, ts = self._lines()
        playing = {**self._sampling(), **self._playing()}
        found = slices.slices(self.subject, lines, ts, episodes=pilot.episodes_for(plan.slice_pairs), recomputed=again, **playing)
        if moves[0].train is not None:
            pairs = {"train": moves[0].train, "heldout": self._made.heldout}
            climbed = slices.slice_surrogates(self._probe, {**lines, **again}, ts, pairs)
            found = found.merge(climbed, combine_attrs="drop_conflicts")
        found = slices.compared(found)
        ends = slices.ends(self.subject, [move.step for move in moves], episodes=pilot.episodes_for(plan.end_pairs), **playing)
        ends = ends.assign_coords(move_pairs=("move", [move.pairs for move in moves]), move_kind=("move", [m.label for m in moves]),
                                  move_norm=("move", [move.norm for move in moves]))
        return found.merge(ends, combine_attrs="drop_conflicts")

    def _slices_jobs(self) -> list[returns.Job]:
        plan, pilot, sampling = self.plan, self.pilot, self._sampling()
        lines, again, ts = self._lines()
        return [slices.job(self.subject, {**lines, **again}, ts, episodes=pilot.episodes_for(plan.slice_pairs), **sampling),
                slices.ends_job(self.subject, [move.step for move in self.moves()], episodes=pilot.episodes_for(plan.end_pairs), **sampling)]

    def _lines(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]:
        """Of the slices: the step and random directions, recomputed steps at the step's norm, and where on each."""
        plan, moves = self.plan, self.moves()
        lines = {"step": moves[0].step} | {
            f"random {i + 1}": self._made.random(i, moves[0], norm="step") for i in range(plan.directions)}
        again = {move.described: move.step * (moves[0].norm / move.norm) for move in moves[1:]}
        return lines, again, plane.grid(plan.slice_points, *plan.slice_extent)

    def _updates(self) -> xr.Dataset:
        plan = self.plan
        return post_update.distribution(
            self._probe, repeats=plan.repeats, episodes=plan.repeat_episodes, seed=plan.seed, minibatches=plan.minibatches,
            max_steps=plan.max_steps, parts=self._parts, **self._playing())

    def _updates_jobs(self) -> list[returns.Job]:
        plan = self.plan
        return [*post_update.jobs(self._probe, self._updated, episodes=plan.repeat_episodes, seed=plan.seed, max_steps=plan.max_steps)]

    @functools.cached_property
    def _updated(self) -> list[updates.Step]:
        plan = self.plan
        return post_update.updated(self._probe, repeats=plan.repeats, seed=plan.seed, minibatches=plan.minibatches,
                                   threads=self._threads, parts=self._parts)

    def _film(self) -> xr.Dataset:
        ts, asked = self._film_of()
        return film.film(self._probe, self.later, ts, **asked, **self._playing())

    def _film_jobs(self) -> list[returns.Job]:
        ts, asked = self._film_of()
        return [surfaces.job(film.way(self._probe, self.later, ts), **asked)]

    def _film_of(self) -> tuple[np.ndarray, dict[str, Any]]:
        """Where on the way something is played, and what."""
        ts = plane.grid(self.plan.slice_points, 0.0, 1.0)  # from θ_k to the later θ: beyond, nothing was ever trained
        return ts, {"episodes": self.pilot.episodes_for(self.plan.slice_pairs), "numbers": (3,), **self._sampling()}

    # Small things

    @property
    def _probe(self) -> Probe:
        return of_a_run(self.subject)

    def _finished(self, surface: str) -> xr.Dataset | None:
        """A surface that was measured before, or earlier in this survey."""
        path = self.directory / f"{surface}.nc"
        return results.load(path) if path.exists() else None

    def _sampling(self) -> dict[str, Any]:
        plan = self.plan
        return {"seed": plan.seed, "noise": plan.noise, "max_steps": plan.max_steps}

    def _playing(self) -> dict[str, Any]:
        return {"threads": self._threads, "store": self._store, "progress": self._progress}

    def _by_update(self, found: list[xr.Dataset]) -> xr.Dataset:
        whole = xr.concat(found, "update", combine_attrs="drop_conflicts", join="override")
        return whole.assign_coords(update=("update", [move.pairs for move in self.moves()], {"units": "pairs behind the step"}))

    def _nominal(self, surface: str) -> int:
        plan = self.plan
        return {"return": plan.pairs, "surrogate": plan.heldout_pairs, "concentration": max(plan.concentration),
                "updates": 0}.get(surface, plan.slice_pairs)
