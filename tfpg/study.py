"""What is a study? Which agents are trained, and what is looked at in them. A study file holds one:

    from tfpg.study import Agents, Look

    STUDY = Agents(tasks=["Hopper-v5"], algorithms=["trpo", "ppo"], seeds=range(3),
                   looks=[Look("landscape", iterations=[0, 150], scale="small")])

or a tuple of several Agents. Nothing here imports a heavy library: a study is read before anything is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tfpg.errors import UserError, nearest

# Instruments and whether they look at policies, one iteration each, at a whole run, or at a run's film around iterations.
AT_POLICIES = ("evaluate", "landscape", "gradients", "values")
AT_RUNS = ("trust_region",)
AT_FILMS = ("steps",)  # one job a run, and no policy needs to be kept
INSTRUMENTS = (*AT_POLICIES, *AT_RUNS, *AT_FILMS)


@dataclasses.dataclass(frozen=True)
class Look:
    """An instrument pointed at agents.

    Errors: UserError for an unknown instrument, policies or films without iterations, or iterations of what looks at a
    whole run."""

    instrument: str  # of INSTRUMENTS
    iterations: Sequence[int] = ()  # k of the policies looked at, or around which a film is; −1 is the run's last
    scale: str | None = None  # smoke, small or paper; evaluate has none
    flags: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # more flags of its launcher, by name
    tasks: Sequence[str] | None = None  # only agents of these; None: all
    algorithms: Sequence[str] | None = None
    seeds: Sequence[int] | None = None
    shares: int | None = None  # jobs that play a landscape beside each other; None: so many that each takes two hours at most; 1: never

    def __post_init__(self):
        for name, kind in (("iterations", int), ("tasks", str), ("algorithms", str), ("seeds", int)):
            _frozen(self, name, kind, "a look's")
        _check_table(self.flags, f"flags of a look of {self.instrument}")
        if self.instrument not in INSTRUMENTS:
            raise UserError(f"there is no instrument {self.instrument}: {nearest(self.instrument, INSTRUMENTS)}")
        if self.instrument not in AT_RUNS and not self.iterations:
            raise UserError(f"{self.instrument} looks at {'films' if self.instrument in AT_FILMS else 'policies'}: its look needs iterations, for example iterations=[0, 150].")
        if self.instrument in AT_RUNS and self.iterations:
            raise UserError(f"{self.instrument} looks at whole runs: its look takes no iterations.")
        if self.shares is not None and (self.instrument != "landscape" or type(self.shares) is not int or self.shares < 1):
            raise UserError(f"shares={self.shares!r} of a look of {self.instrument}: a landscape alone is split, into 1 or more jobs.")
        if self.instrument == "evaluate" and self.scale is not None:
            raise UserError("evaluate has no scale: flags={'episodes': 100} says how many.")

    def at(self, task: str, algorithm: str, seed: int) -> bool:
        """Whether it is pointed at this agent."""
        return all(wanted is None or own in wanted
                   for own, wanted in ((task, self.tasks), (algorithm, self.algorithms), (seed, self.seeds)))


@dataclasses.dataclass(frozen=True)
class Agents:
    """Tasks × algorithms × variants × seeds, an agent each."""

    tasks: Sequence[str]
    algorithms: Sequence[str]  # presets
    seeds: Sequence[int]
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # of all of them, by dotted name
    variants: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=lambda: {"": {}})  # name ↦ settings besides
    looks: Sequence[Look] = ()

    def __post_init__(self):
        for name, kind in (("tasks", str), ("algorithms", str), ("seeds", int), ("looks", Look)):
            _frozen(self, name, kind, "a study's")
            values = getattr(self, name)
            if not values and name != "looks":
                raise UserError(f"a study's Agents have no {name}.")
            if name != "looks" and len(set(values)) < len(values):
                raise UserError(f"a study's Agents name one of their {name} twice: {', '.join(map(str, values))}.")
        if not self.variants:
            raise UserError("a study's Agents have no variants; leave them away for none besides the presets.")
        for what, table in (("settings", self.settings), ("variants", self.variants),
                            *((f"variant {name!r}", settings) for name, settings in _items(self.variants))):
            _check_table(table, f"{what} of a study's Agents")
        for look in self.looks:
            for name in ("tasks", "algorithms", "seeds"):
                if strange := [value for value in getattr(look, name) or () if value not in getattr(self, name)]:
                    raise UserError(f"a look of {look.instrument} is pointed at {name} {strange[0]}, of which there is no agent: "
                                    f"{nearest(strange[0], getattr(self, name))}")


def groups(study: Any) -> tuple[Agents, ...]:
    """The groups of agents of what a study file calls STUDY. Errors: UserError where it is something else."""
    found = (study,) if isinstance(study, Agents) else tuple(study) if isinstance(study, Iterable) else ()
    if not found or not all(isinstance(group, Agents) for group in found):
        raise UserError(f"STUDY must be Agents(…) or a tuple of them, not {type(study).__name__}.")
    return found


def _frozen(record: Any, name: str, kind: type, whose: str) -> None:
    """Lists and ranges become tuples; one value alone, a tuple of it. Errors: UserError for values of another kind."""
    value = getattr(record, name)
    if value is None:
        return
    values = (value,) if isinstance(value, kind) or not isinstance(value, Iterable) else tuple(value)
    for each in values:
        if not isinstance(each, kind) or isinstance(each, bool):
            raise UserError(f"{whose} {name} are {'Look(…)' if kind is Look else {int: 'whole numbers', str: 'texts'}[kind]}, not {each!r}.")
    object.__setattr__(record, name, values)


def _items(table: Any) -> Iterable[tuple[Any, Any]]:
    return table.items() if isinstance(table, Mapping) else ()


def _check_table(table: Any, what: str) -> None:
    """Errors: UserError where it is no mapping whose keys are names."""
    if not isinstance(table, Mapping) or not all(isinstance(name, str) for name in table):
        raise UserError(f"the {what} must be a dict by name, not {table!r}.")
