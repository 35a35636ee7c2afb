"""python -m launch.values --policy=DIR …: does the value net predict the returns, and what do baselines do to the gradient?"""

from __future__ import annotations

from absl import flags

from launch.instruments.values.plan import Plan
from launch.shared import commandline, plans, policies, scales
from tfpg.errors import UserError

ABOUT = ("Value prediction of saved policies: mean relative error, explained variance and bias against the value net's own "
         "target and against the returns, on the pairs it was fitted to and on held-out ones; a value net fitted to the returns "
         "of very many episodes; and what no baseline, the learned and that one do to the gradient's variance and agreement. "
         "Announces its cost, shows progress, goes on after a kill, and gives the same numbers again.")


def define(values: flags.FlagValues) -> None:
    """The launcher's flags."""
    text, whole = flags.DEFINE_string, commandline.define_whole

    def number(name: str, words: str, low: int) -> None:
        whole(name, None, f"{words}; default by --scale: {scales.by_scale('VALUES', name)}", low=low, values=values)

    flags.DEFINE_multi_string("policy", None, "directory of a SavedModel, for example runs/…/policies/000150; several make a "
                              "figure by iteration", flag_values=values)
    text("scale", "small", f"budgets: {scales.names('VALUES')} (configs/diagnostics.py); of Hopper on two cores a policy takes a "
         "minute, some five minutes, an hour", flag_values=values)
    number("repeats", "value updates repeated, each judged on as many held-out pairs", 2)
    number("fit_pairs", "pairs of whole episodes that V* is fitted to", 1)
    number("check_pairs", "pairs of whole episodes that V* is measured on", 1)
    text("sizes", None, f"pairs of a gradient estimate, ascending; default by --scale: {scales.by_scale('VALUES', 'sizes')}", flag_values=values)
    number("estimates", "gradient estimates of each size", 3)
    number("reference_pairs", "pairs of the gradient they are compared with, at least five times the largest size", 2)
    whole("seed", 0, "seed of start states, noise, minibatch orders and V*'s first weights", low=0, high=2**32 - 1, values=values)
    flags.DEFINE_bool("dry_run", False, "only says what it would cost, after a first look of 128 episodes", flag_values=values)
    text("output", None, "directory of the results, which lie in values/ below it; default the diagnostics of the policy's run, or the "
         "current directory for a policy that lies elsewhere", flag_values=values)


def main(argv: list[str] | None = None) -> int:
    """The command; in process where `argv` is given. Returns the exit code."""
    return commandline.run(body, argv, program="launch.values", about=ABOUT, define=define)


def body(values: flags.FlagValues) -> int:
    """All that can be refused without TensorFlow first; then the studies."""
    paths = [policies.named(given) for given in values.policy or [None]]
    plan = _plan(values)
    for path in paths:
        if policies.is_foreign(path):
            raise UserError(f"{path} was not written by tfpg: it carries no value net and no optimiser's state.")
    runtime = policies.runtime_of_all(paths)

    from tfpg import runtime as start

    start.start(runtime)
    from launch.instruments.values import measuring as valuing

    return valuing.run(paths, plan, threads=runtime.env_threads, output=values.output, dry_run=values.dry_run)


def _plan(values: flags.FlagValues) -> Plan:
    """The scale with what was given instead. Errors: UserError naming the flag."""
    name, scale = scales.chosen("VALUES", values)
    budgets = scale._asdict()
    budgets.update({key: values[key].value for key in budgets if values[key].present})
    if values["sizes"].present:
        budgets["sizes"] = plans.parse_numbers("sizes", values.sizes)
    return Plan(scale=name, seed=values.seed, **budgets)


if __name__ == "__main__":
    main()
