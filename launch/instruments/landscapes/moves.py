"""Which steps does a survey look at, and along which random directions? Each is made once, from what the plan names."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from launch.instruments.landscapes.plan import Plan
from tfpg.diagnostics import foreign, pools, updates
from tfpg.diagnostics.landscapes import plane, surrogates
from tfpg.diagnostics.parts import Parts
from tfpg.diagnostics.probe import Probe, Subject, of_a_run
from tfpg.errors import UserError
from tfpg.types import Trajectory

_REFUSED = "TRPO refused it, and --step=proposed shows what the line search refused"
_NORM_0 = {  # what a step of norm 0 means, and what to do
    "stored": _REFUSED, "recomputed": _REFUSED, "given": "it leads nowhere, so give --step another policy or direction",
    "proposed": "nothing was proposed either, so choose another iteration",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Move:
    """One step that is looked at."""

    label: str  # stored | proposed | given | recomputed
    pairs: int  # that it was made from; 0 where nobody knows
    step: np.ndarray  # [P] float64
    have_train: Callable[[], surrogates.Pairs | None]  # of a kept step they are drawn again, and only where they are asked for

    @functools.cached_property
    def train(self) -> surrogates.Pairs | None:
        """The update's own pairs."""
        return self.have_train()

    @property
    def norm(self) -> float:
        """‖step‖₂."""
        return float(np.linalg.norm(self.step))

    @property
    def described(self) -> str:
        """Which step, in words."""
        return described(self.label, self.pairs)


class Moves:
    """The steps of one policy. Args: as of surveying.Survey; parts: where recomputed steps are kept."""

    def __init__(self, subject: Subject, plan: Plan, threads: int, parts: Parts | None = None):
        self._subject, self._plan, self._threads, self._parts = subject, plan, threads, parts or Parts(None)
        self._layout = subject.layout  # asked once: a probe builds a network for it
        self.refused: tuple[str, ...] = ()  # recomputed steps that are not among `all`, in words

    @functools.cached_property
    def all(self) -> tuple[Move, ...]:
        """The plan's update_pairs in their order, without recomputed steps that TRPO refused: those span no plane.

        Errors: UserError where none is left, or the step that --step names has norm 0."""
        made = [self.first if token == "stored" else self._recomputed(int(token)) for token in self._plan.update_pairs]
        whole = tuple(move for move in made if move.norm > 0)
        self.refused = tuple(move.described for move in made if not move.norm > 0)
        return whole or (self._checked(made[0]),)

    @functools.cached_property
    def first(self) -> Move:
        """The step that --step names. Errors: as of `all`, and where what it names will not do."""
        subject, plan = self._subject, self._plan
        if plan.step in ("taken", "proposed"):
            own = of_a_run(subject)
            found = updates.stored(own) if plan.step == "taken" else updates.proposed(own)
            return self._checked(Move(found.kind, found.pairs, found.step, lambda: surrogates.stored_pairs(own)))
        step = foreign.direction(plan.step, subject).astype(np.float64)
        return self._checked(Move(
            "given", 0, step, lambda: surrogates.stored_pairs(subject) if isinstance(subject, Probe) else None))

    @functools.cached_property
    def heldout(self) -> surrogates.Pairs:
        """Pairs that no update was made from."""
        own = of_a_run(self._subject)
        pool = pools.draw(own, self._plan.heldout_pairs, 0, seed=self._plan.seed, threads=self._threads)
        return surrogates.pool_pairs(pool, updates.Repeater(own).prepare(pool))

    def plane_of(self, move: Move) -> plane.Plane:
        """Step × random direction of one update."""
        (x_points, y_points), (x_low, x_high, y_low, y_high) = self._plan.points, self._plan.extent
        return plane.surface(self._subject.theta, move.step, self.random(0, move),
                             plane.grid(x_points, x_low, x_high), plane.grid(y_points, y_low, y_high))

    def random(self, number: int, move: Move, norm: str | None = None) -> np.ndarray:
        """The random direction of that number, [P] float64. Args: norm: the plan's where it is not given."""
        subject = self._subject
        drawn = plane.gaussian(self._plan.seed, iteration(subject), number, len(subject.theta))
        return plane.scaled(drawn, norm or self._plan.norm, theta=subject.theta, layout=self._layout, step=move.step,
                            mean_kl=self._mean_kl)

    def facts(self, move: Move, norm: str | None = None) -> dict[str, float]:
        """Lengths of the step and of its random direction, in parameters and in KL."""
        random, kl = self.random(0, move, norm), self._mean_kl
        ends = [(self._subject.theta + direction).astype(np.float32) for direction in (move.step, random)]
        kls = [kl(end) if kl else np.nan for end in ends]
        return {"step_norm": move.norm, "random_norm": float(np.linalg.norm(random)), "step_kl": kls[0], "random_kl": kls[1]}

    def _recomputed(self, pairs: int) -> Move:
        subject, plan = of_a_run(self._subject), self._plan
        repeater = updates.Repeater(subject, minibatches=plan.minibatches)

        own: list[surrogates.Pairs] = []  # where the step is made now: a million pairs are not held twice

        def drawn() -> Trajectory:
            return pools.draw(subject, pairs, 1, seed=plan.seed, threads=self._threads)

        def compute() -> dict[str, np.ndarray]:
            pool = drawn()
            made = repeater(pool, updates.stream(subject, seed=plan.seed, repeat=0))
            own.append(surrogates.pool_pairs(pool, made.batch))
            return {"step": (made.proposed if plan.step == "proposed" else made.step).step}

        def train() -> surrogates.Pairs:
            if own:
                return own[0]
            pool = drawn()
            return surrogates.pool_pairs(pool, repeater.prepare(pool))

        facts = {**updates.facts(subject, minibatches=plan.minibatches), "kind": "step", "pairs": pairs, "seed": plan.seed,
                 "proposed": plan.step == "proposed"}
        kept = self._parts.kept(facts, {"step": (len(subject.theta),)}, compute)
        return Move("recomputed", pairs, kept["step"], train)

    def _checked(self, move: Move) -> Move:
        if not move.norm > 0:
            why = _NORM_0["proposed" if self._plan.step == "proposed" else move.label]
            raise UserError(f"the {move.described} of {self._subject.path} has norm 0, so it spans no plane: {why}.")
        return move

    @functools.cached_property
    def _mean_kl(self) -> Callable[[np.ndarray], float] | None:
        """Mean KL on the states of the stored batch; None for a policy that carries none."""
        if not isinstance(self._subject, Probe):
            return None
        return surrogates.Surrogate(self._subject, surrogates.stored_pairs(self._subject)).mean_kl


def described(label: str, pairs: int) -> str:
    """A step in words: stored step of 2,048 pairs. Args: pairs: 0 where nobody knows."""
    return f"{label} step" + (f" of {pairs:,} pairs" if pairs else "")


def iteration(subject: Subject) -> int:
    """k; 0 for a policy that no run of ours made."""
    return getattr(subject, "iteration", 0)
