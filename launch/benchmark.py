"""python -m launch.benchmark: how fast everything is on this machine, and how far from what the physics allows."""

from __future__ import annotations

import json
import time
from typing import Any

from absl import flags

from launch.benchmarking import rounds as benchrounds
from launch.benchmarking import table as benchtable
from launch.benchmarking.rounds import GROUPS, Plan, to_standard_error
from launch.shared import commandline
from launch.training.plan import CHECKPOINT_SECONDS, SNAPSHOTS
from tfpg import settings, storage
from tfpg.benchmark import machine, peers
from tfpg.benchmark.account import ALGORITHMS
from tfpg.config import Config, Ppo
from tfpg.envs.make import describe
from tfpg.errors import UserError, nearest

ABOUT = ("The speed table: physics, environments, rollouts, landscapes, training and its parts, start and memory, and other "
         "libraries where they are installed. Everything takes turns, round after round, so that a busy machine favours nobody; "
         "run it on an idle one. --json prints one JSON object and nothing else.")
TASKS = "Hopper-v5,Walker2d-v5,Humanoid-v5"
_MARGIN = 15.0  # s of the budget that ending takes


def define(values: flags.FlagValues) -> None:
    """The launcher's flags."""
    flags.DEFINE_list("env", TASKS.split(","), "tasks, a column each; starts are measured on the first", flag_values=values)
    flags.DEFINE_list("only", None, f"some of {','.join(GROUPS)}; default all", flag_values=values)
    commandline.define_whole("rounds", 5, "rounds, fewer where the time is over", low=benchrounds.LEAST, values=values)
    flags.DEFINE_float("minutes", 8.0, "time for everything; two rounds are made in any case", lower_bound=0.0, flag_values=values)
    flags.DEFINE_float("seconds", 0.4, "seconds of each measurement in a round, one unit of its work at least", lower_bound=0.0,
                       flag_values=values)
    commandline.define_whole("memory_steps", 20 * 2048, "pairs of the trainings that are watched from the command on; 1e6 shows "
                             "whether their memory stays flat", low=2048, values=values)
    flags.DEFINE_bool("scaling", False, "instead of the table: steps a second over environments, threads and cores, the model that "
                      "they follow, and what landscapes cost", flag_values=values)
    flags.DEFINE_bool("json", False, "one JSON object on standard output, nothing else", flag_values=values)
    flags.DEFINE_string("output", None, "file that gets the JSON object as well", flag_values=values)


def main(argv: list[str] | None = None) -> int:
    """The command; in process where `argv` is given. Returns the exit code."""
    return commandline.run(body, argv, program="launch.benchmark", about=ABOUT, define=define)


def body(values: flags.FlagValues) -> int:
    """The table, or the scaling; as text or as JSON."""
    began, before = time.monotonic(), machine.facts()  # its load is not yet ours
    _check_scaling(values)
    groups, configs = _groups(values.only or []), _configs(values.env)
    try:
        if values.scaling:
            from launch.benchmarking import scaling as benchscaling

            found = benchscaling.measure(configs, values.rounds, values.seconds, to_standard_error)
        else:
            plan = Plan(groups, values.rounds, values.seconds,
                        began + 60 * values.minutes - _MARGIN, values.memory_steps)
            found = _measure(configs, plan, values.minutes)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted; nothing was stored, and every process it had started is ended.") from None
    result = {"machine": before, "seconds": round(time.monotonic() - began, 1), **found}
    text = result.pop("text")
    if values.output:
        storage.write_json(values.output, result)
    if values.json:
        commandline.say(json.dumps(result, ensure_ascii=False, allow_nan=False))
    else:
        commandline.say(f"{benchtable.machine(result['machine'])}\n\n{text}")
    return 0 if result["rows"] else 1


def _measure(configs: dict[str, dict[str, Config]], plan: Plan, minutes: float) -> dict[str, Any]:
    missing = peers.absent() if "peers" in plan.groups else []
    many = f"{len(configs)} task{'s' if len(configs) > 1 else ''}"
    to_standard_error(f"{many}, {plan.rounds} rounds, within {minutes:g} min: fewer rounds where that is too short, {benchrounds.LEAST} in any case")
    rows, rounds, failures, facts = [], {}, [], {}
    for number, (env, both) in enumerate(configs.items()):
        groups = tuple(group for group in plan.groups if group != "start" or number == 0)
        measured = benchrounds.task(env, both, plan._replace(groups=groups), later=len(configs) - number - 1, peers=not missing,
                                    say=to_standard_error)
        rows += measured.rows
        rounds[env], facts[env] = measured.rounds, measured.facts
        failures += measured.failures
    about = _settings(next(iter(configs.values())), plan, facts)
    lines = [benchtable.table(rows, rounds, about), "", benchtable.notes(about, benchtable.once(rows))]
    if missing:
        lines.append(f"Other libraries are not installed ({', '.join(missing)}): {peers.INSTALL} brings them.")
    lines += [f"Not measured: {sentence}" for sentence in failures]
    return {"settings": about, "rounds": rounds, "rows": [row.as_dict() for row in rows], "failures": failures,
            "missing": missing, "landscapes": facts, "text": "\n".join(lines)}


def _settings(configs: dict[str, Config], plan: Plan, facts: dict[str, Any]) -> dict[str, Any]:
    """What every row has in common, for the table and the JSON object."""
    ppo, trpo = configs["ppo"], configs["trpo"]
    assert isinstance(ppo.algorithm, Ppo)
    episodes = [str(max(fact["episodes"])) for fact in facts.values() if fact["episodes"]]
    return {
        "envs": ppo.rollout.num_envs, "pairs": ppo.rollout.num_steps, "threads": ppo.runtime.env_threads,
        "epochs": f"{ppo.value.epochs} + {ppo.algorithm.epochs} epochs", "minibatches": ppo.algorithm.minibatches,
        "checkpoint_seconds": CHECKPOINT_SECONDS, "snapshots": len({*SNAPSHOTS, ppo.num_iterations - 1}),
        "starts": benchrounds.STARTS, "start_iterations": -(-plan.memory_steps // ppo.rollout.num_steps),
        "seconds": plan.seconds, "groups": list(plan.groups), "peers": "peers" in plan.groups and not peers.absent(),
        "episodes": f"{', '.join(episodes)} episode{'s' if episodes != ['1'] else ''}" if episodes else "",
        "configurations": {"ppo": settings.to_dict(ppo), "trpo": settings.to_dict(trpo)}}


def _check_scaling(values: flags.FlagValues) -> None:
    """Errors: UserError for a flag of the table's, which --scaling would pass over."""
    for name in ("only", "minutes", "memory_steps"):
        if values.scaling and values[name].present:
            raise UserError(f"{name} has no effect with --scaling, which makes no table.")


def _groups(given: list[str]) -> tuple[str, ...]:
    for name in given:
        if name not in GROUPS:
            raise UserError(f"only={','.join(given)}: there is no {name}, {nearest(name, GROUPS)}")
    return tuple(group for group in GROUPS if group in given or not given)


def _configs(names: list[str]) -> dict[str, dict[str, Config]]:
    """The presets that are measured, by task. Errors: UserError for a task that cannot be had."""
    names = [name.strip() for name in names if name.strip()]
    if not names:
        raise UserError(f"env is empty: name a task, for example --env={TASKS}.")
    found = {name: {algorithm: commandline.load_preset(algorithm, name) for algorithm in ALGORITHMS} for name in names}
    for both in found.values():
        describe(both["ppo"].env, both["ppo"].env_args, both["ppo"].rollout.engine)
    return found


if __name__ == "__main__":
    main()
