"""Which task is meant, can it be learned here, and which engine steps it?

`describe` answers for a task id, or says in one sentence what is wrong with it; `make` builds its environments.
EnvPool steps what it has (MuJoCo and the classics, in C++ threads), Gymnasium everything else, a user's own tasks
included. Where both have a MuJoCo or classic task (all of v4, v5 and classic control: checked), their spaces and
time limits agree. Gymnasium and EnvPool are imported only when a task is described."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from tfpg.envs.engines import Engine, EnvPoolEngine, GymnasiumEngine, closed, quiet
from tfpg.envs.opened import opened
from tfpg.errors import UserError, nearest

PATIENCE = 60.0  # seconds that a task may take to be made and closed
UNLIMITED = 2**31 - 1  # EnvPool's way of saying that a task has no time limit

# Options of EnvPool and of gymnasium.make that belong to the engine: a task argument of that name would, for example,
# change the number of environments or open a window for each.
_ENGINE_OPTIONS = {
    "num_envs", "batch_size", "num_threads", "max_num_players", "thread_affinity_offset", "base_path", "seed",
    "env_seed", "gym_reset_return_info", "reward_threshold", "render_mode", "gymnasium_v5_render_camera",
    "disable_env_checker", "order_enforce", "autoreset", "apply_api_compatibility"}


# Of EnvPool's tasks those whose starts and steps were checked: all chance lies in the start, so the k-th start depends on
# seed and k alone, and replaying an episode's actions gives it back. LunarLander, for one, draws in every step.
_ENVPOOL_MUJOCO = {"Ant", "HalfCheetah", "Hopper", "Humanoid", "HumanoidStandup", "InvertedDoublePendulum",
                   "InvertedPendulum", "Pusher", "Reacher", "Swimmer", "Walker2d"}
_ENVPOOL_TASKS = {f"{name}-{version}" for name in _ENVPOOL_MUJOCO for version in ("v4", "v5")} | {
    "CartPole-v0", "CartPole-v1", "Pendulum-v1", "Acrobot-v1", "MountainCar-v0", "MountainCarContinuous-v0"}


class Task(NamedTuple):
    """A task that can be sampled: what it is called, what it shows, what it takes, who steps it."""

    id: str  # as registered, or "module:id"
    env_args: tuple[tuple[str, Any], ...]
    obs_size: int  # S
    discrete: bool
    action_size: int  # A, or the number of discrete actions
    action_start: int  # the task's name of discrete action 0
    time_limit: int | None  # steps after which an episode is truncated; None = no limit
    engine: str  # "envpool" or "gymnasium"


def describe(env_id: str, env_args: Sequence[tuple[str, Any]] = (), engine: str = "auto", *, patience: float = PATIENCE) -> Task:
    """The task named `env_id`, checked.

    With engine "auto" EnvPool steps the task if it has it with these arguments, Gymnasium otherwise; an id that the
    user registered over one of Gymnasium's own is the user's.

    Args: env_args: the task's keyword arguments, as pairs. engine: auto, envpool or gymnasium. patience: seconds that making and
    closing one may take.
    Errors: UserError for an unknown or removed task, an argument it does not take, spaces that cannot be learned, one that hangs."""
    if engine not in ("auto", "envpool", "gymnasium"):
        raise UserError(f"rollout.engine={engine} is not known: {nearest(engine, ('auto', 'envpool', 'gymnasium'))}")
    env_args = tuple(env_args)
    for name, _ in env_args:
        if name in _ENGINE_OPTIONS:
            raise UserError(f"env_args of {env_id}: {name} is set by the sampling engine, not by the task's arguments.")
    with quiet():
        if engine == "envpool" or (engine == "auto" and _envpool_has(env_id, env_args)):
            return _from_envpool(env_id, env_args)
        return _within(patience, lambda: _from_gymnasium(env_id, env_args), env_id)


def make(task: Task, seeds: Sequence[int], threads: int = 1) -> Engine:
    """The task's environments, one for each seed; nothing is reset yet.

    Args: seeds: [N], each 0 ≤ s < 2³¹. threads: of EnvPool; trajectories do not depend on it.
    Errors: UserError if the task cannot be made."""
    kind = EnvPoolEngine if task.engine == "envpool" else GymnasiumEngine
    try:
        return kind(task, seeds, threads)
    except Exception as error:
        raise UserError(f"{task.id} could not be made by {task.engine}: {_first_line(error)}") from error


def _from_envpool(env_id: str, env_args: tuple) -> Task:
    import envpool

    if env_id not in envpool.list_all_envs():
        raise UserError(f"EnvPool has no task {env_id}: {_suggestion(env_id, envpool.list_all_envs())}")
    if env_id not in _ENVPOOL_TASKS:
        raise UserError(f"EnvPool's {env_id} has not been checked to repeat its episodes: use --rollout.engine=gymnasium.")
    taken = _envpool_arguments(env_id)
    for name, _ in env_args:
        if name not in taken:
            raise UserError(f"{env_id} takes no argument {name} in EnvPool: {nearest(name, taken)}")
    try:
        spec = envpool.make_spec(env_id, **dict(env_args))
        if env_args:
            # A value of the right type can still be wrong (a missing XML file), which only a pool finds out.
            envpool.make(env_id, env_type="gymnasium", num_envs=1, **dict(env_args)).close()
    except Exception as error:
        raise UserError(f"EnvPool cannot make {env_id} with {dict(env_args)}: {_first_line(error)}") from error
    limit = spec.config.max_episode_steps
    spaces = spec.gymnasium_observation_space, spec.gymnasium_action_space
    return _task(env_id, env_args, *spaces, limit if 0 < limit < UNLIMITED else None, "envpool")


def _from_gymnasium(env_id: str, env_args: tuple) -> Task:
    import gymnasium as gym

    module, _, name = env_id.rpartition(":")
    if module:
        try:
            with _undrawn():
                __import__(module)
        except (Exception, SystemExit) as error:
            why = f"{type(error).__name__}: {_first_line(error)}"
            raise UserError(f"{env_id}: the module {module} could not be imported ({why})") from error
    if name not in gym.registry:
        raise UserError(f"there is no task {env_id}: {_suggestion(name, _maintained())}")
    if name not in _maintained():
        raise UserError(f"{env_id} was removed from Gymnasium: {_suggestion(name, _maintained())}")
    try:
        with _undrawn():
            env = opened(name, dict(env_args))
    except TypeError as error:
        raise UserError(_wrong_argument(env_id, gym.registry[name], env_args, error)) from error
    except Exception as error:
        raise UserError(f"{env_id} could not be made: {_first_line(error)}") from error
    try:
        assert env.spec is not None  # what gym.make makes has one
        return _task(env_id, env_args, env.observation_space, env.action_space, env.spec.max_episode_steps, "gymnasium")
    finally:
        closed(env)


def _within(patience: float, call: Callable[[], Task], env_id: str) -> Task:
    """What `call` returns or raises. Errors: UserError where it takes longer (its thread is lost then), or ends its thread."""
    found: list[Task] = []
    raised: list[BaseException] = []

    def work() -> None:
        try:
            found.append(call())
        except BaseException as error:  # noqa: BLE001  # raised again where it was asked for
            raised.append(error)

    thread = threading.Thread(target=work, daemon=True)  # nobody waits for it at the end of the process
    thread.start()
    thread.join(patience)
    if raised and isinstance(raised[0], Exception):
        raise raised[0]
    if raised:  # a panic of another language
        raise UserError(f"{env_id} could not be made: {type(raised[0]).__name__}: {_first_line(raised[0])}") from raised[0]
    if not found:
        raise UserError(f"{env_id} could not be made and closed within {patience:g} s: it hangs (--rollout.patience).")
    return found[0]


@contextlib.contextmanager
def _undrawn() -> Iterator[None]:
    """Without OpenGL, whatever MUJOCO_GL says to who draws: dm_control opens a display when it is imported, and Mesa's compiler and
    XLA's end each other's process."""
    name = "MUJOCO_GL"
    before = os.environ.get(name)
    os.environ[name] = "disabled"
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


def _task(env_id: str, env_args: tuple, observations: Any, actions: Any, time_limit: int | None, engine: str) -> Task:
    from gymnasium.spaces import Box, Discrete

    if not isinstance(observations, Box) or len(observations.shape) != 1:
        raise UserError(f"{env_id} has observations {_space(observations)}: only flat vectors (a Box of one dimension, "
                        "or a dictionary of such) can be learned from; wrap the task in gymnasium.wrappers.FlattenObservation.")
    if not observations.shape[0]:
        raise UserError(f"{env_id} has observations {_space(observations)}: there is nothing to learn from.")
    if isinstance(actions, Discrete):
        size, start = int(actions.n), int(actions.start)
    elif isinstance(actions, Box) and len(actions.shape) == 1 and actions.shape[0] and actions.dtype.kind == "f":
        size, start = int(actions.shape[0]), 0
    else:
        kind = f" of {actions.dtype}" if isinstance(actions, Box) else ""
        raise UserError(f"{env_id} has actions {_space(actions)}{kind}: only a Box of floating-point numbers, of one dimension, or "
                        "Discrete can be learned.")
    discrete = isinstance(actions, Discrete)
    return Task(env_id, env_args, int(observations.shape[0]), discrete, size, start, time_limit, engine)


def _envpool_has(env_id: str, env_args: tuple) -> bool:
    import envpool
    import gymnasium as gym

    if env_id not in _ENVPOOL_TASKS or env_id not in envpool.list_all_envs():
        return False
    if env_id in gym.registry:
        entry = gym.registry[env_id].entry_point
        # A callable of Gymnasium's own only says that the task was removed; any other entry point is the user's.
        if not isinstance(entry, str) or not entry.startswith("gymnasium.envs."):
            return False
    known = set(_envpool_arguments(env_id))
    return all(name in known for name, _ in env_args)


def _envpool_arguments(env_id: str) -> list[str]:
    import envpool

    return [name for name in envpool.make_spec(env_id).config._fields if name not in _ENGINE_OPTIONS]


def _wrong_argument(env_id: str, spec: Any, env_args: tuple, error: Exception) -> str:
    found = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    if not found:
        return f"{env_id} could not be made with {dict(env_args)}: {_first_line(error)}"
    from gymnasium.envs.registration import load_env_creator

    creator = load_env_creator(spec.entry_point) if isinstance(spec.entry_point, str) else spec.entry_point
    taken = [parameter.name for parameter in inspect.signature(creator).parameters.values()
             if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)]
    taken = [name for name in taken if name not in _ENGINE_OPTIONS] + ["max_episode_steps"]
    return f"{env_id} takes no argument {found[1]}: {nearest(found[1], taken)}"


def _maintained() -> list[str]:
    """Ids that Gymnasium still makes: the removed MuJoCo v2 and v3 stay registered with a function that only raises."""
    import gymnasium as gym

    return [name for name, spec in gym.registry.items()
            if not (inspect.isfunction(spec.entry_point) and spec.entry_point.__module__.startswith("gymnasium."))]


def _suggestion(env_id: str, known: Sequence[str]) -> str:
    """The newest version of the task whose name is nearest, without regard to case."""
    newest: dict[str, tuple[int, str]] = {}
    for name in known:
        base, _, version = name.partition("-v")
        newest[base.lower()] = max(newest.get(base.lower(), (-1, "")), (int(version) if version.isdigit() else 0, name))
    close = difflib.get_close_matches(env_id.partition("-v")[0].lower(), newest, n=1, cutoff=0.6)
    if close:
        return f"did you mean {newest[close[0]][1]}?"
    return "gymnasium.pprint_registry() and envpool.list_all_envs() name all there are, and one that a module registers is module:Id."


def _space(space: Any) -> str:
    shape = getattr(space, "shape", None)
    return type(space).__name__ + (str(shape) if shape else "")


def _first_line(error: BaseException) -> str:
    line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__).strip()
    line = re.split(r", for more information|\. The following argument types", line)[0]
    return line if line.endswith((".", "?", "!")) else line + "."
