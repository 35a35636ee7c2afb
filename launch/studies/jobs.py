"""Which jobs is a study? Every agent's training, then what looks at it, with what each will cost. Nothing here imports TensorFlow.

    train.<preset>-<task>-<seed>[-<variant>]                 runs/<preset>-<task>-<seed>[-<variant>]
    <instrument>.<preset>-<task>-<seed>[-<variant>].<k>      its results among the run's diagnostics; a long landscape's
                                                             shares before it (launch/studies/shares.py)"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from launch import landscape
from launch.instruments.gradients import plan as gradientplan
from launch.instruments.values import plan as valueplan
from launch.shared import commandline, scales
from launch.studies import costs as studycosts
from launch.studies import shares as studyshares
from tfpg import settings
from tfpg import study as study_
from tfpg.config import Config
from tfpg.errors import UserError, nearest
from tfpg.studies.jobs import Job
from tfpg.study import AT_FILMS, AT_POLICIES, AT_RUNS, Agents, Look

_STUDIES = Path(__file__).resolve().parents[2] / "configs" / "studies"
THREADS = 1  # of each agent's environments: more agents at once use processors better than more threads, and never change a bit
_DIRECTORY = {"landscape": "landscapes", "gradients": "gradients", "values": "values"}
_RESERVED = ("policy", "run", "output", "dry_run", "share", "iterations")  # flags that say what a job looks at and where its results are
_DEFAULT_SCALE = "small"  # of every launcher that has one


class Agent(NamedTuple):
    """One agent of a study."""

    label: str  # of its run and in the names of its jobs
    config: Config
    flags: tuple[str, ...]  # settings that differ from the preset, as launch.train takes them
    looks: tuple[Look, ...]


class Named(NamedTuple):
    """A study file, read."""

    name: str
    about: str  # first line of its docstring
    groups: tuple[Agents, ...]


def known() -> list[str]:
    """The bare names of our studies."""
    return sorted(path.stem for path in _STUDIES.glob("*.py") if not path.stem.startswith("_"))


def load(named: str) -> Named:
    """A study by its bare name or by the path of its file, which is run as the Python that it is.

    Errors: UserError for an unknown name, a file that fails, or one without STUDY."""
    path = _STUDIES / f"{named}.py" if re.fullmatch(r"\w+", named) else Path(named).expanduser()
    if not path.is_file():
        hint = nearest(named, known())
        raise UserError(f"there is no study {named}: {hint if path.parent == _STUDIES else 'there is no such file.'}")
    spec = importlib.util.spec_from_file_location("_tfpg_study", path)
    if spec is None or spec.loader is None:
        raise UserError(f"the study {named} must be a Python file, its name ending in .py.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        groups = study_.groups(getattr(module, "STUDY", None))
    except UserError as error:
        raise UserError(f"study {named}: {error}") from error
    except Exception as error:
        line = (str(error).splitlines() or [""])[0]
        raise UserError(f"the study file {path} raised {type(error).__name__}: {line}") from error
    return Named(path.stem, ((module.__doc__ or "").strip().splitlines() or [""])[0], groups)


def agents(groups: Sequence[Agents]) -> list[Agent]:
    """Every agent, seed after seed, so that a study broken off has as many of each algorithm as can be.

    Errors: UserError for an unknown preset or setting, and for two agents of one name that differ."""
    found: dict[str, Agent] = {}
    ordered = sorted(itertools.chain.from_iterable(map(_of_group, groups)), key=lambda each: each.config.seed)
    for agent in ordered:
        same = found.get(agent.label)
        if same is None:
            found[agent.label] = agent
        elif same.config == agent.config:
            found[agent.label] = same._replace(looks=(*same.looks, *(look for look in agent.looks if look not in same.looks)))
        else:
            differ = "; ".join(settings.difference(settings.to_dict(same.config), settings.to_dict(agent.config)))
            raise UserError(f"two agents of the study would share the run {agent.label}, with other settings ({differ}): name "
                            "variants.")
    return list(found.values())


def jobs(each: Sequence[Agent]) -> list[Job]:
    """The jobs of all agents, seed after seed, and of a seed agent after agent: its training, then what looks at it. So a study broken
    off has whole agents, and as many of each algorithm as can be.

    Errors: UserError for an unknown task, scale, or iteration beyond a run's end."""
    tasks: dict[tuple, studycosts.Task] = {}
    for agent in each:
        if _task(agent) not in tasks:
            tasks[_task(agent)] = studycosts.Task.of(agent.config)
    found: list[Job] = []
    for agent in each:
        training = _training(agent, tasks[_task(agent)])
        found.append(training)
        found += [dataclasses.replace(job, needs=(training.name, *job.needs), basis=training.identity)
                  for look in agent.looks for job in _looks(agent, look, tasks[_task(agent)])]
    names = [job.name for job in found]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"the study asks for {twice} twice, with different flags: one study has one look of an instrument at a policy.")
    return found


def _of_group(group: Agents) -> Iterator[Agent]:
    for task, preset, (variant, changes), seed in itertools.product(group.tasks, group.algorithms, group.variants.items(), group.seeds):
        changed = {**group.settings, **changes}
        if reserved := {"env", "seed", "preset", "algo", "workdir"} & changed.keys():
            raise UserError(f"a study's settings name {', '.join(sorted(reserved))}, which its tasks, algorithms and seeds say.")
        changed = {"runtime.env_threads": THREADS, **changed}
        config = settings.override(commandline.load_preset(preset, task), {
            "env": task, "seed": str(seed), **{name: as_text(value) for name, value in changed.items()}})
        label = re.sub(r"[^\w.-]+", "-", "-".join([preset, task, str(seed), *([variant] if variant else [])]))
        looks = tuple(look for look in group.looks if look.at(task, preset, seed))
        yield Agent(label, config, tuple(f"--{name}={as_text(value)}" for name, value in changed.items()), looks)


def _training(agent: Agent, task: studycosts.Task) -> Job:
    config, last = agent.config, agent.config.num_iterations - 1
    kept = sorted(set(_policies_of(agent)) - {last})
    arguments = f"--algo={config.preset}", f"--env={config.env}", f"--seed={config.seed}", *agent.flags, f"--workdir={_run(agent)}"
    cost = studycosts.training(config, task, snapshots=len(kept) + 1)
    return Job(f"train.{agent.label}", "launch.train", arguments, (), f"{_run(agent)}/finished.json", *cost,
               aside=(f"--snapshots={','.join(map(str, kept))}",))


def _looks(agent: Agent, look: Look, task: studycosts.Task) -> Iterator[Job]:
    name = f"{look.instrument}.{agent.label}"
    if "scale" in look.flags:
        raise UserError(f"a look of {look.instrument} has its scale among its flags: Look(…, scale=…) takes it.")
    scale = None if look.instrument == "evaluate" else look.scale or _DEFAULT_SCALE
    given = tuple(f"--{flag}={as_text(value)}" for flag, value in {**({"scale": scale} if scale else {}), **look.flags}.items())
    budget = _budget(look, scale)
    values = _parsed(look.instrument, given)
    if look.instrument == "landscape":
        budget = landscape.plan_of(values)
    if look.instrument in AT_RUNS:
        every = values.heldout_every
        cost = studycosts.heldout(agent.config, task, every=budget.heldout_every if every is None else every)
        yield Job(name, f"launch.{look.instrument}", (f"--run={_run(agent)}", *given), (), f"{_run(agent)}/diagnostics/trust_region", *cost)
        return
    iterations = tuple(dict.fromkeys(_iteration(k, agent) for k in look.iterations))
    if look.instrument in AT_FILMS:
        asked: dict[str, Any] = {each: getattr(budget, each) if values[each].value is None else values[each].value
                                 for each in ("count", "episodes")}
        cost = studycosts.steps(agent.config, task, checkpoints=len(iterations), **asked)
        yield Job(name, f"launch.{look.instrument}", (f"--run={_run(agent)}", f"--iterations={as_text(sorted(iterations))}", *given), (),
                  f"{_run(agent)}/diagnostics/steps/{scale}", *cost)
        return
    for k in iterations:
        if look.instrument == "evaluate":
            product = f"evaluation-{k:06d}.nc"
            cost = studycosts.evaluation(task, episodes=values.episodes)
        else:
            product = f"{_DIRECTORY[look.instrument]}/{k:06d}-{scale}"
            cost = studycosts.playing(task, _pairs(look, budget, agent.config), look.instrument)
        job = Job(f"{name}.{k:06d}", f"launch.{look.instrument}", (f"--policy={_policy(agent, k)}", *given), (),
                  f"{_run(agent)}/diagnostics/{product}", *cost)
        if look.instrument == "landscape":
            shares = studyshares.count(cost.seconds, look.shares)
            yield from studyshares.split(job, shares, studycosts.in_shares(task, cost.pairs, shares, budget, _surfaces(look)))
        else:
            yield job


def refuse_unkept(some: Sequence[Job], directory: Path) -> None:
    """Errors: UserError where a finished run did not keep a policy that a job looks at: a look added too late. Args: some: jobs that are
    not done."""
    for job in some:
        for argument in job.arguments:
            policy = Path(argument.removeprefix("--policy="))
            run = policy.parent.parent
            if argument.startswith("--policy=") and (directory / run / "finished.json").exists() and not (directory / policy).is_dir():
                raise UserError(f"{directory / run} is finished and did not keep its policy of iteration {int(policy.name)}, which the study looks "
                                "at: remove that directory, and it is trained again, to the same bits on the same machine, and keeps it.")


def _budget(look: Look, scale: str | None) -> Any:
    """What its scale says. Errors: UserError for an unknown one."""
    if scale is None:
        return None
    budgets = scales.of({"landscape": "LANDSCAPES", "gradients": "GRADIENTS", "values": "VALUES", "trust_region": "TRUST_REGIONS",
                         "steps": "STEPS"}[look.instrument])
    if scale not in budgets:
        raise UserError(f"a look of {look.instrument} has scale={scale}: {nearest(scale, budgets)}")
    return budgets[scale]


@functools.cache
def _parsed(instrument: str, given: tuple[str, ...]) -> flags.FlagValues:
    """A look's flags as its launcher will read them. Errors: UserError for one that it does not take, before anything is trained."""
    values = flags.FlagValues()
    importlib.import_module(f"launch.{instrument}").define(values)
    try:
        commandline.parsed(values, [instrument, *given])
    except UserError as error:
        raise UserError(f"a look of {instrument}: {error}") from error
    if reserved := [name for name in _RESERVED if name in values and values[name].present]:
        raise UserError(f"a look of {instrument} sets {reserved[0]}, which the study decides.")
    return values


def _pairs(look: Look, budget: Any, config: Config) -> int:
    """What a look at one policy plays, about; of gradients and values flags of its own are left out."""
    pairs = config.rollout.num_steps
    if look.instrument == "gradients":
        plan = gradientplan.Plan(scale="", what=tuple(gradientplan.WHAT), seed=0, **budget._asdict())
        return sum(plan.pairs(pairs, getattr(config.algorithm, "minibatches", 1)).values())
    if look.instrument == "values":
        return sum(valueplan.Plan(scale="", seed=0, **budget._asdict()).tasks(pairs).values())
    return studycosts.landscape_pairs(budget, _surfaces(look))


def _surfaces(look: Look) -> list[str] | None:
    surfaces = look.flags.get("surface")
    return None if surfaces is None else as_text(surfaces).split(",")


def _policies_of(agent: Agent) -> list[int]:
    """Iterations whose policy something looks at, ascending."""
    return sorted({_iteration(k, agent) for look in agent.looks if look.instrument in AT_POLICIES for k in look.iterations})


def _iteration(k: int, agent: Agent) -> int:
    """k, where −1 is the last. Errors: UserError beyond the run's end."""
    count = agent.config.num_iterations
    if not -count <= k < count:
        raise UserError(f"the study looks at iteration {k} of {agent.label}, which has iterations 0 to {count - 1}.")
    return k % count


def _task(agent: Agent) -> tuple:
    return agent.config.env, agent.config.env_args, agent.config.rollout.engine


def _run(agent: Agent) -> str:
    return f"runs/{agent.label}"


def _policy(agent: Agent, k: int) -> str:
    return f"{_run(agent)}/policies/{k:06d}"


def as_text(value: Any) -> str:
    """A setting's or flag's value as a command line takes it."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return json.dumps(value)
    if isinstance(value, (list, tuple)):
        return ",".join(map(as_text, value))
    return repr(value) if isinstance(value, float) else str(value)
