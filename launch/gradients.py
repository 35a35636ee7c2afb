"""python -m launch.gradients --policy=DIR …: how well do so many pairs say where to go?"""

from __future__ import annotations

from typing import Any

from absl import flags

from launch.instruments.gradients.plan import WHAT, Plan
from launch.shared import commandline, plans, policies, scales
from tfpg.errors import UserError

ABOUT = ("Quality of gradient estimates of saved policies: how far independent estimates agree with each other and with "
         "large-sample references, by pairs per estimate, for the policy gradient and for the algorithm's step; chance levels, "
         "gradient noise scale. Announces its cost, shows progress, goes on after a kill, and gives the same numbers again.")


def define(values: flags.FlagValues) -> None:
    """The launcher's flags."""
    text, whole = flags.DEFINE_string, commandline.define_whole

    def number(name: str, words: str, low: int) -> None:
        whole(name, None, f"{words}; default by --scale: {scales.by_scale('GRADIENTS', name)}", low=low, values=values)

    flags.DEFINE_multi_string("policy", None, "directory of a SavedModel, for example runs/…/policies/000150; several make "
                              "panels", flag_values=values)
    text("scale", "small", f"budgets: {scales.names('GRADIENTS')} (configs/diagnostics.py); of Hopper on two cores a policy takes a "
         "minute and a half, four minutes, half an hour", flag_values=values)
    text("what", ",".join(WHAT), "list of gradient (the policy gradient) and step (TRPO's step, or PPO's update)", flag_values=values)
    text("sizes", None, "pairs of an estimate, ascending, for example 200,2048,20000; the training batch's are added; default "
         f"by --scale: {scales.by_scale('GRADIENTS', 'sizes')}", flag_values=values)
    number("reference_pairs", "pairs of both large-sample references; sizes above a fifth are left out", 20)
    number("estimates", "independent estimates of each size", 3)
    text("step_sizes", None, f"the same of a step; default by --scale: {scales.by_scale('GRADIENTS', 'step_sizes')}", flag_values=values)
    number("step_reference_pairs", "pairs of the step that others are compared with, held in memory", 20)
    whole("seed", 0, "seed of all pools", low=0, high=2**32 - 1, values=values)
    flags.DEFINE_bool("dry_run", False, "only says what it would cost, after a first look of 128 episodes", flag_values=values)
    text("output", None, "directory of the results, which lie in gradients/ below it; default the diagnostics "
         "of the policy's run, or the current directory for a policy that lies elsewhere", flag_values=values)


def main(argv: list[str] | None = None) -> int:
    """The command; in process where `argv` is given. Returns the exit code."""
    return commandline.run(body, argv, program="launch.gradients", about=ABOUT, define=define)


def body(values: flags.FlagValues) -> int:
    """All that can be refused without TensorFlow first; then the measuring."""
    paths = [policies.named(given) for given in values.policy or [None]]
    plan = _plan(values)
    for path in paths:
        if policies.is_foreign(path):
            raise UserError(f"{path} was not written by tfpg: gradients need the value net, the normaliser and the "
                            "optimiser's state.")
    runtime = policies.runtime_of_all(paths)

    from tfpg import runtime as start

    start.start(runtime)
    from launch.instruments.gradients import measuring as gradientruns

    return gradientruns.run(paths, plan, runtime=runtime, output=values.output, dry_run=values.dry_run)


def _plan(values: flags.FlagValues) -> Plan:
    """The scale with what was given instead. Errors: UserError naming the flag."""
    name, scale = scales.chosen("GRADIENTS", values)
    budgets: dict[str, Any] = {key: values[key].value if values[key].present else value for key, value in scale._asdict().items()}
    for key in ("sizes", "step_sizes"):
        if values[key].present:
            budgets[key] = plans.parse_numbers(key, budgets[key])
    what = tuple(each.strip() for each in values.what.split(","))
    if "step" not in what:
        for key in ("step_sizes", "step_reference_pairs"):
            if values[key].present:
                raise UserError(f"{key} has no effect on what={values.what}: add step.")
    return Plan(scale=name, what=what, seed=values.seed, **budgets)


if __name__ == "__main__":
    main()
