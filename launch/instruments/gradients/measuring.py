"""How are gradients of several policies measured? Announce the cost, measure, store, draw, say what was found.

Everything that is finished is a file: the same command again reads it, and goes on where it was."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from launch.instruments.gradients import numbers as gradientnumbers
from launch.instruments.gradients.plan import Plan, as_facts
from launch.shared import firstlook, numbers, pictures, plans, policies, stored
from launch.shared.commandline import say
from launch.shared.tables import duration
from tfpg import storage
from tfpg.config import Ppo, Runtime
from tfpg.diagnostics import probe, results
from tfpg.diagnostics.gradients.collecting import Collector, held_bytes
from tfpg.diagnostics.gradients.quality import quality
from tfpg.diagnostics.gradients.sizes import GROUPS
from tfpg.diagnostics.parts import Parts
from tfpg.diagnostics.probe import Probe
from tfpg.errors import UserError
from tfpg.report import gradients as report
from tfpg.report.progress import Budget
from tfpg.shown import quantity

ABREAST = 5  # policies in one figure
RESULT, NUMBERS = "gradients.nc", "numbers.txt"
# Of an update, by pair: ten epochs of PPO take 10 to 20 µs, TRPO less; and what is compiled for each size, seconds.
STEP_SECONDS, COMPILE_SECONDS = 20e-6, 6.0
MEMORY = 0.9  # of the machine's, that steps may take: beyond it the system would end the process


def run(paths: Sequence[Path], plan: Plan, *, runtime: Runtime, output: str | None, dry_run: bool) -> int:
    """All policies, one after the other; every policy's input is checked before the first is measured. Returns: the exit code."""
    probes = [probe.load(path) for path in paths]
    directories = [policies.directory(output, path, "gradients", plan.scale) for path in paths]
    policies.check_apart(paths, directories)
    for each in probes:
        plan.check(*_training(each))
        _check_memory(each, plan)
    for directory in directories:
        stored.check(directory, plan)
    with stored.held(directories):
        pairs, seconds = 0, 0.0
        for each, directory in zip(probes, directories, strict=True):
            if not (directory / firstlook.PILOT).exists():
                say(f"first look at {each.path} …")
            pilot = firstlook.look(each, directory, seed=plan.seed, threads=runtime.env_threads)
            lines, more, longer = _announced(each, plan, directory, pilot)
            say(lines)
            pairs, seconds = pairs + more, seconds + longer
        if pairs:
            say(f"about {pairs:,} pairs, {duration(seconds)} by the speed of the first look")
        if dry_run:
            return 0
        with Budget(pairs, unit="pairs") as budget:
            found = [_measured(each, plan, directory, runtime.env_threads, budget)
                     for each, directory in zip(probes, directories, strict=True)]
        if len(found) > 1:
            say(f"panels of all policies: {_panels(found, directories[0].parent)}")
        return 0


def _announced(each: Probe, plan: Plan, directory: Path, pilot) -> tuple[str, int, float]:
    """What one policy takes: lines, pairs, seconds."""
    training = _training(each)
    lines = [numbers.title(each),
             (f"  first look: return {quantity(pilot.mean_return)}, standard deviation {quantity(pilot.std)}, length "
              f"{pilot.mean_length:,.0f} ± {pilot.length_stderr:,.0f}, {pilot.episodes} episodes")]
    if (directory / RESULT).exists():
        return "\n".join([*lines, f"  finished before, read from {RESULT}"]), 0, 0.0
    parts, steps = plan.pairs(*training), plan.step_sizes_for(*training)
    sizes = _listed(plan.sizes_for(*training))
    lines.append(f"  references of {parts['reference']:,} pairs, {plan.estimates} estimates each of {sizes} pairs: "
                 f"{parts['reference'] + parts['estimates']:,}")
    if parts["passed over"]:
        lines.append(f"  passed over before small estimates, which begin at random places: {parts['passed over']:,}")
    if steps:
        lines.append(f"  steps from the same pools of {_listed(steps)} pairs, and from {parts['step reference']:,} more, "
                     f"held at once: about {held_bytes(each, parts['step reference']) / 2**30:.1f} GB of memory")
    lines += [f"  left out: {words}" for words in plan.dropped(*training)]
    if (directory / "parts").exists():
        lines.append("  begun before: what was played is read, not played again")
    pairs = sum(parts.values())
    updates = 2 * plan.estimates * sum(steps) + 2 * parts["step reference"]
    return "\n".join(lines), pairs, pairs / pilot.pairs_per_second + STEP_SECONDS * updates + COMPILE_SECONDS * (len(steps) + 2)


def _check_memory(each: Probe, plan: Plan) -> None:
    """Errors: UserError where the pairs of the step reference would not fit into this machine."""
    steps, pairs = plan.step_sizes_for(*_training(each)), plan.step_reference_pairs
    wanted, there = held_bytes(each, pairs), os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if steps and wanted > MEMORY * there:
        fits = int(pairs * MEMORY * there / wanted) // (2 * GROUPS) * 2 * GROUPS
        raise UserError(f"step_reference_pairs={pairs} of {each.task.id} would take {wanted / 2**30:.1f} GB of this machine's "
                        f"{there / 2**30:.1f}: at most {fits} pairs fit, or take what=gradient.")


def _training(each: Probe) -> tuple[int, int]:
    """Pairs of the training batch, and minibatches that an epoch of the policy's update cuts it into; TRPO takes it whole."""
    algorithm = each.config.algorithm
    return len(each.batch.advantages), algorithm.minibatches if isinstance(algorithm, Ppo) else 1


def _listed(sizes: Sequence[int]) -> str:
    return ", ".join(f"{size:,}" for size in sizes)


def _measured(each: Probe, plan: Plan, directory: Path, threads: int, budget: Budget) -> xr.Dataset:
    """One policy: measured where it is missing, drawn and said."""
    path, training = directory / RESULT, _training(each)
    if new := not path.exists():
        storage.write_json(directory / stored.PLAN, plans.as_json(plan))
        budget.begin(f"gradients of {numbers.title(each)}")

        def progress(pairs: int, seconds: float) -> None:
            budget.advance(pairs, pairs, seconds)

        steps = plan.step_sizes_for(*training)
        with Collector(each, seed=plan.seed, threads=threads, parts=Parts(directory / "parts"), progress=progress) as collect:
            dataset = quality(each, collect, sizes=plan.sizes_for(*training), estimates=plan.estimates,
                              reference_pairs=plan.reference_pairs, step_sizes=steps,
                              step_reference_pairs=plan.step_reference_pairs if steps else 0)
        facts = {**as_facts(plan), "left_out": "; ".join(plan.dropped(*training))}
        results.save(dataset.assign_attrs(facts), path)
    found = stored.loaded(path)
    if new or not path.with_suffix(".png").exists():
        pictures.keep({"gradients": functools.partial(report.agreement, [found])}, directory, int(found.attrs["env_steps"]),
                      under="gradients")
    storage.write_text(directory / NUMBERS, gradientnumbers.report(each, found, 120) + "\n")
    with budget.aside():
        say("\n" + gradientnumbers.report(each, found))
        say(f"stored in {directory}: {RESULT}, figures beside it")
    return found


def _panels(found: Sequence[xr.Dataset], directory: Path) -> str:
    """Several policies beside each other, and each preset by itself where together they would be too narrow to read.

    Returns: the files' names."""
    drawers = {"panels-noise-scale": lambda: report.noise_scales(found)}
    presets = sorted({str(each.attrs["preset"]) for each in found})
    if len(found) <= ABREAST or len(presets) == 1:
        drawers["panels-gradients"] = lambda: report.agreement(found)
    else:
        drawers |= {f"panels-gradients-{preset}": functools.partial(
            report.agreement, [each for each in found if each.attrs["preset"] == preset]) for preset in presets}
    pictures.keep(drawers, directory, 0, under="gradients")
    return f"{', '.join(f'{name}.png' for name in sorted(drawers))} in {directory}"
