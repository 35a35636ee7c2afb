"""python -m launch.landscape --policy=DIR …: the ground that an algorithm walks on, as it is and as the algorithm sees it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from absl import flags

from launch.instruments.landscapes import plan as surveyplan
from launch.instruments.landscapes.plan import CHOICES, NEEDS_TRAINING, SURFACES, Plan
from launch.shared import commandline, plans, policies, scales
from tfpg import storage
from tfpg.errors import UserError, nearest

ABOUT = ("Landscapes of saved policies: the true return and the surrogate over the algorithm's step and random directions, "
         "at several sample sizes, with intervals. Announces its cost, shows progress, goes on after a kill, and gives "
         "the same numbers again.")
STEPS = ("taken", "proposed")


def define(values: flags.FlagValues) -> None:
    """The launcher's flags."""
    text, whole = flags.DEFINE_string, commandline.define_whole

    def number(name: str, words: str, low: int = 1) -> None:
        whole(name, None, f"{words}; default by --scale: {scales.by_scale('LANDSCAPES', name)}", low=low, values=values)

    flags.DEFINE_multi_string("policy", None, "directory of a SavedModel, for example runs/…/policies/000150; policies of "
                              "other code (.keras files too) need --env", flag_values=values)
    text("scale", "small", f"budgets: {scales.names('LANDSCAPES')} (configs/diagnostics.py); of Hopper on two cores a policy takes a "
         "minute, an hour, a day and a half", flag_values=values)
    text("surface", None, f"which of {','.join(SURFACES)}; default all that the policy allows (film needs --to)",
         flag_values=values)
    text("points", None, f"points of the surface's axes, N or NX,NY; default by --scale: {scales.by_scale('LANDSCAPES', 'points')}",
         flag_values=values)
    text("extent", None, "ends of the axes, LOW,HIGH or XLOW,XHIGH,YLOW,YHIGH, in steps and random directions, for example "
         f"--extent=-1,3; default by --scale: {scales.by_scale('LANDSCAPES', 'extent')}", flag_values=values)
    text("norm", "paper", "what 1 means on the random axis: paper (norm 2), step (the step's norm), filter (each unit's own "
         "norm), kl (the step's mean KL)", flag_values=values)
    number("pairs", "nominal pairs of each point of the return surface")
    text("sizes", None, "sample sizes of the concentration panels, nominal pairs a point, ascending; default by --scale: "
         f"{scales.by_scale('LANDSCAPES', 'concentration')}", flag_values=values)
    number("slice_points", "points of a slice", 3)
    text("slice_extent", None, f"ends of the slices, LOW,HIGH, in steps; default by --scale: {scales.by_scale('LANDSCAPES', 'slice_extent')}",
         flag_values=values)
    number("slice_pairs", "nominal pairs of each point of a slice")
    number("directions", "random directions that the step is compared with")
    number("end_pairs", "nominal pairs of θ_k and of θ_k + step, for their difference")
    text("update_pairs", None, "steps to look at: stored, and numbers of pairs that the update is recomputed from, for example "
         f"stored,2000,1000000; default by --scale: {scales.by_scale('LANDSCAPES', 'update_pairs')}", flag_values=values)
    text("minibatches", CHOICES["minibatches"][0], "PPO's, where an update is recomputed from other numbers of pairs: "
         f"{' | '.join(CHOICES['minibatches'])} as in training", flag_values=values)
    number("heldout_pairs", "pairs that the surrogate is measured on besides the update's own", 2)
    number("repeats", "independent updates from the checkpoint", 2)
    number("repeat_episodes", "episodes of each of them, at least 8", 8)
    text("step", STEPS[0], "taken | proposed (before TRPO's line search), a second policy of the same make, or a file with a "
         "direction (.npy)", flag_values=values)
    text("to", None, "a later policy or iterate (runs/…/iterates/000300.npz): the way there is surface film", flag_values=values)
    text("noise", CHOICES["noise"][0], "random numbers of surfaces and slices: common to all points, or independent; the "
         "concentration panels are always independent", flag_values=values)
    whole("seed", 0, "seed of directions, start states and noise", low=0, high=2**32 - 1, values=values)
    whole("max_steps", None, "cuts episodes after so many steps; default the task's time limit, or 1000 where it has none",
          values=values)
    text("share", None, "plays one of N shares, I/N, of what the survey takes and leaves it in the directory, beside others in other "
         "processes or on other machines that share it; first: only what all shares need, recomputed steps and updates; default all of it, "
         "which joins what shares played", flag_values=values)
    flags.DEFINE_bool("dry_run", False, "only says what it would cost, after a first look of 128 episodes", flag_values=values)
    text("output", None, "directory of the results, for several policies one below it for each; default "
         "diagnostics/landscapes/<iteration>-<scale> of the policy's run, or landscapes/… of the current directory for a "
         "policy that lies elsewhere", flag_values=values)
    policies.define_foreign(values)


def main(argv: list[str] | None = None) -> int:
    """The command; in process where `argv` is given. Returns the exit code."""
    return commandline.run(body, argv, program="launch.landscape", about=ABOUT, define=define)


def body(values: flags.FlagValues) -> int:
    """All that can be refused without TensorFlow first; then the surveys."""
    paths = [policies.named(given) for given in values.policy or [None]]
    plan, surfaces = plan_of(values), _surfaces(values)
    share = None if values.share is None else surveyplan.parse_share(values.share)
    others = [path for path in paths if policies.is_foreign(path)]
    foreign = policies.foreign(values, others)
    if others:
        _check_foreign(others[0], plan, surfaces, values)
    runtime = policies.runtime_of_all([path for path in paths if path not in others] or paths[:1])

    from tfpg import runtime as start

    start.start(runtime)
    from launch.instruments.landscapes import surveys

    return surveys.run(paths, plan, surfaces, runtime=runtime, output=values.output,
                       dry_run=values.dry_run, share=share, foreign=foreign)


def plan_of(values: flags.FlagValues) -> Plan:
    """The scale with what was given instead. Errors: UserError naming the flag."""
    name, scale = scales.chosen("LANDSCAPES", values)
    given = {key: values[key].value for key in scale._fields if key in values and values[key].present}
    budgets = {**scale._asdict(), **given}
    budgets["points"] = surveyplan.parse_points(values.points) if values["points"].present else (scale.points,) * 2
    budgets["extent"] = (surveyplan.parse_extent("extent", values.extent, 2) if values["extent"].present
                         else (*map(float, scale.extent),) * 2)
    budgets["slice_extent"] = (surveyplan.parse_extent("slice_extent", values.slice_extent, 1) if values["slice_extent"].present
                               else tuple(map(float, scale.slice_extent)))
    if values["sizes"].present:
        budgets["concentration"] = plans.parse_numbers("sizes", values.sizes)
    budgets["update_pairs"] = surveyplan.parse_updates(budgets["update_pairs"])
    others: dict[str, Any] = {key: values[key].value for key in ("minibatches", "norm", "noise", "seed", "max_steps")}
    step, to = _step(values.step), _later(values.to)
    return Plan(scale=name, step=step, to=to, step_sha256=None if step in STEPS else storage.fingerprint(step),
                to_sha256=None if to is None else storage.fingerprint(to), **budgets, **others)


def _step(given: str) -> str:
    """taken, proposed, or the absolute path of what else the step is."""
    if given in STEPS:
        return given
    path = _absolute(given)
    if not given or not path.exists():
        raise UserError(f"step={given} is neither {' nor '.join(STEPS)}, and there is no file or directory {path}: "
                        f"{nearest(given, STEPS)}")
    return os.fspath(policies.named(given, "step"))


def _later(given: str | None) -> str | None:
    return None if given is None else os.fspath(policies.named(given, "to"))


def _surfaces(values: flags.FlagValues) -> tuple[str, ...] | None:
    """What was asked for by name; None: all that the policy allows."""
    given, to = values.surface, values.to
    if given is None:
        return None
    names = [name.strip() for name in given.split(",") if name.strip()]
    for name in names:
        if name not in SURFACES:
            raise UserError(f"there is no surface={name}: {nearest(name, SURFACES)}")
    if not names:
        raise UserError(f"surface is empty: choose one of {', '.join(SURFACES)}.")
    if "film" in names and not to:
        raise UserError("surface=film needs to know where the film goes: --to=POLICY names a later policy or iterate.")
    if to and "film" not in names:
        raise UserError(f"to={to} has no effect on surface={given}: add film, the way there.")
    return tuple(name for name in SURFACES if name in names)


def _check_foreign(path: Path, plan: Plan, surfaces: tuple[str, ...] | None, values: flags.FlagValues) -> None:
    """What a policy alone cannot give. Errors: UserError naming the flag that asks for it."""
    if refused := [name for name in surfaces or () if name in NEEDS_TRAINING]:
        raise UserError(f"surface={refused[0]} needs the batch and the optimiser's state, which {path} does not carry: choose "
                        "return, slices or concentration.")
    if plan.to is not None:
        raise UserError(f"to={plan.to} follows the film of a run of tfpg, which made no {path}: give --step the second policy.")
    if plan.step in STEPS:
        raise UserError(f"{path} carries no step: --step takes a second policy of the same make, or a file with a direction "
                        "(.npy).")
    if values["update_pairs"].present and plan.update_pairs != ("stored",):
        raise UserError(f"update_pairs={values.update_pairs} needs the optimiser's state, which {path} does not carry: "
                        "leave it away.")
    if plan.norm == "kl":
        raise UserError(f"norm=kl needs the states of a training batch, which {path} does not carry: choose norm=step.")


def _absolute(path: str) -> Path:
    return Path(os.path.abspath(Path(path).expanduser()))


if __name__ == "__main__":
    main()
