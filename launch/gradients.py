"""python -m launch.gradients --policy=DIR …: how well do so many pairs say where to go?"""

from __future__ import annotations

from typing import Any

from absl import flags

from launch import commandline, policies, surveyplan
from launch.gradientplan import WHAT, Plan
from tfpg.errors import UserError, nearest

ABOUT = ("Quality of gradient estimates of saved policies: how far independent estimates agree with each other and with "
         "large-sample references, by pairs per estimate, for the policy gradient and for the algorithm's step; chance levels, "
         "gradient noise scale. Announces its cost, shows progress, goes on after a kill, and gives the same numbers again.")


def define(values: flags.FlagValues) -> None:
    """The launcher's flags."""
    text, whole = flags.DEFINE_string, commandline.define_whole

    def number(name: str, words: str, low: int) -> None:
        whole(name, None, f"{words}; default by --scale: {_by_scale(name)}", low=low, values=values)

    flags.DEFINE_multi_string("policy", None, "directory of a SavedModel, for example runs/…/policies/000150; several make "
                              "panels", flag_values=values)
    text("scale", "small", f"budgets: {' | '.join(_scales())} (configs/diagnostics.py); of Hopper on two cores a policy takes a "
         "minute and a half, four minutes, half an hour", flag_values=values)
    text("what", ",".join(WHAT), "step: TRPO's, or PPO's update, beside the gradient; gradient: that alone", flag_values=values)
    text("sizes", None, "pairs of an estimate, ascending, for example 200,2048,20000; the training batch's are added; default "
         f"by --scale: {_by_scale('sizes')}", flag_values=values)
    number("reference_pairs", "pairs of both large-sample references; sizes above a fifth are left out", 20)
    number("estimates", "independent estimates of each size", 3)
    text("step_sizes", None, f"the same of a step; default by --scale: {_by_scale('step_sizes')}", flag_values=values)
    number("step_reference_pairs", "pairs of the step that others are compared with, held in memory", 20)
    whole("seed", 0, "seed of all pools", low=0, high=2**32 - 1, values=values)
    flags.DEFINE_bool("dry_run", False, "only says what it would cost, after a first look of 128 episodes", flag_values=values)
    text("output", None, "directory of the results, which lie in gradients/<iteration>-<scale> below it; default the diagnostics "
         "of the policy's run, or the current directory for a policy that lies elsewhere", flag_values=values)


def main(argv: list[str] | None = None) -> int:
    """The command; in process where `argv` is given. Returns the exit code."""
    return commandline.run(body, argv, program="launch.gradients", about=ABOUT, define=define)


def body(values: flags.FlagValues) -> int:
    """All that can be refused without TensorFlow first; then the measuring."""
    paths = [policies.named(given) for given in values["policy"].value or [None]]
    plan = _plan(values)
    for path in paths:
        if policies.is_foreign(path):
            raise UserError(f"{path} was not written by tfpg: gradients need the value net, the normaliser and the "
                            "optimiser's state.")
    runtime = policies.runtime_of_all(paths)

    from tfpg import runtime as start

    start.start(runtime)
    from launch import gradientruns

    return gradientruns.run(paths, plan, runtime=runtime, output=values["output"].value, dry_run=values["dry_run"].value)


def _plan(values: flags.FlagValues) -> Plan:
    """The scale with what was given instead. Errors: UserError naming the flag."""
    scales, name = _scales(), values["scale"].value
    if name not in scales:
        raise UserError(f"there is no scale={name}: {nearest(name, scales)}")
    scale = scales[name]
    budgets = {key: values[key].value if values[key].present else value for key, value in scale._asdict().items()}
    for key in ("sizes", "step_sizes"):
        if values[key].present:
            budgets[key] = surveyplan.parse_numbers(key, values[key].value)
    what = tuple(each.strip() for each in values["what"].value.split(","))
    if "step" not in what:
        for key in ("step_sizes", "step_reference_pairs"):
            if values[key].present:
                raise UserError(f"{key} has no effect on what={values['what'].value}: add step.")
    return Plan(scale=name, what=what, seed=values["seed"].value, **budgets)


def _by_scale(field: str) -> str:
    """What every scale says of a budget, for --help."""
    def words(value: Any) -> str:
        return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)

    return " | ".join(f"{name} {words(getattr(scale, field))}" for name, scale in _scales().items())


def _scales() -> dict[str, Any]:
    return commandline.configuration("diagnostics").GRADIENTS


if __name__ == "__main__":
    main()
