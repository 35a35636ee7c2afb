"""What step would the algorithm have taken from this checkpoint? The one it took, and the update repeated from other pairs.

    stored(probe), proposed(probe)                       θ_{k+1} − θ_k, and TRPO's before its line search
    repeater = Repeater(probe)
    repeater(probe.trajectory, training_stream(probe))   the stored step again, bit for bit
    repeater(pool, stream(probe, seed=0, repeat=7))      the step that these pairs would have led to

A repeat goes through the functions that trained, from the same θ_k, φ_k, normaliser, optimiser slots and step size or δ;
what changes is the pairs, their number, and what chance decides."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfpg import seeds
from tfpg.algos import batches, steps
from tfpg.algos.networks import Networks, networks
from tfpg.config import Ppo, Trpo
from tfpg.diagnostics.parts import digest
from tfpg.diagnostics.probe import Probe
from tfpg.errors import RunError, UserError, nearest
from tfpg.objectives import normalised
from tfpg.settings import to_dict
from tfpg.types import Batch, PpoUpdate, Tensor, Trajectory, TrpoUpdate

MINIBATCHES = {
    "same number": "as many minibatches an epoch as in training, whatever the number of pairs",
    "same size": "minibatches as large as in training, as many as the pairs fill",
}
VERSION = 1  # to be raised when the same pairs lead to other bits by a change of this code, so that kept repeats are not taken
CHUNK = 65_536  # pairs differentiated together: a million of Hopper at once would take 1.5 GB more, and twice the time


class Step(NamedTuple):
    """From θ_k to where the algorithm went, or would have gone."""

    kind: str  # stored | proposed (before TRPO's line search; PPO has none) | recomputed
    pairs: int  # B, that it was made from
    theta_old: Tensor  # [P] float32  θ_k
    theta_next: Tensor  # [P] float32
    accepted: bool  # False: TRPO's line search, or a curvature that was not positive, left the policy at θ_k

    @property
    def step(self) -> np.ndarray:
        """[P] float64, exact: θ_k + 1·step, rounded to float32, is theta_next bit for bit."""
        return np.asarray(self.theta_next, np.float64) - self.theta_old

    @property
    def norm(self) -> float:
        """‖step‖₂; 0 for a refused step."""
        return float(np.linalg.norm(self.step))


class Repeated(NamedTuple):
    """One update that was not part of the run. Arrays are NumPy's."""

    step: Step
    proposed: Step  # before TRPO's line search; PPO's is `step`
    batch: Batch  # the B pairs as the learner sees them
    update: TrpoUpdate | PpoUpdate  # what the algorithm reported


def stored(probe: Probe) -> Step:
    """The step that the run took, θ_{k+1} − θ_k."""
    return _stored(probe, "stored", probe.theta_next)


def proposed(probe: Probe) -> Step:
    """The step that TRPO's line search began with; PPO's is the stored one."""
    return _stored(probe, "proposed", probe.theta_proposed)


def training_stream(probe: Probe) -> np.random.Generator:
    """What the run drew its minibatches, or its states for the Fisher matrix, from in iteration k."""
    return steps.training_stream(probe.config.algorithm, probe.config.seed, probe.iteration)


def stream(probe: Probe, *, seed: int, repeat: int) -> np.random.Generator:
    """The same for the repeat with this number. Args: seed: the instrument's. Streams share no numbers with each other."""
    return seeds.generator(seed, "update_minibatches", probe.iteration, repeat)


def facts(probe: Probe, *, minibatches: str) -> dict[str, Any]:
    """All that a repeat's bits depend on besides its pairs and its stream, as parts.Parts takes it. Args: as of Repeater."""
    settings = {name: value for name, value in to_dict(probe.config).items() if not name.startswith("runtime.env")}
    return {**{name: value for name, value in probe.provenance().items() if name != "policy"}, "settings": settings,
            "learner": digest(*map(np.asarray, (probe.phi, *probe.policy_slots))), "schedule": probe.schedule,
            "minibatches": minibatches, "version": VERSION}


class Repeater:
    """Repeats a probe's policy update; compiled once for each number of pairs.

    Hopper, one thread of a busy machine, after compiling: 2,048 pairs 25 ms (TRPO) and 50 ms (PPO), 10⁵ 1 and 2 s, 10⁶ 6 and
    17 s with 2.5 GB for the whole process. Observations decide the memory: 3·10⁵ pairs of Humanoid take 5.5 GB."""

    def __init__(self, probe: Probe, *, minibatches: str = "same number"):
        """Args: minibatches: one of MINIBATCHES, for PPO; TRPO takes all pairs at once.

        Errors: UserError for an unknown `minibatches`, and where the configuration's network is not the saved one."""
        if minibatches not in MINIBATCHES:
            raise UserError(f"minibatches={minibatches} is not known: {nearest(minibatches, MINIBATCHES)}")
        self._probe, self._minibatches = probe, minibatches
        self._networks = networks_of(probe)
        self._compiled: dict[Trpo | Ppo, Callable] = {}
        self._prepare = tf.function(self._prepared, autograph=False)

    def __call__(self, trajectory: Trajectory, stream: np.random.Generator) -> Repeated:
        """The update from θ_k that these B = T·N pairs would have led to.

        Args: trajectory: raw, [T, N, …]; or a pool [B, 1, …], episode after episode, the last one cut and bootstrapped.
        Where PPO's minibatches do not divide B, each epoch leaves out the last B mod M pairs of its own permutation.
        Errors: UserError for too few pairs; RunError naming the cause where something is not finite."""
        return self.update(self.prepare(trajectory), stream)

    def update(self, batch: Batch, stream: np.random.Generator) -> Repeated:
        """The same from a batch that `prepare` made, its advantages changed perhaps. Args, errors: as of the call."""
        probe, pairs = self._probe, len(batch.advantages)
        algorithm = self._algorithm(pairs)
        draws = tf.constant(steps.draws(algorithm, pairs, stream))
        plan = {name: tf.constant(number, tf.float32) for name, number in probe.schedule.items()}
        update = self._step(algorithm)(*_tensors((probe.theta, probe.policy_slots, batch)), draws, plan)
        update = tf.nest.map_structure(np.asarray, update)
        _refuse_non_finite(probe, batch, update)
        trpo = isinstance(update, TrpoUpdate)
        accepted = bool(update.accepted) if trpo else True
        made = Step("recomputed", pairs, probe.theta, update.theta, accepted)
        before = Step("proposed", pairs, probe.theta, update.proposed, accepted) if trpo else made
        return Repeated(made, before, batch, update)

    def prepare(self, trajectory: Trajectory) -> Batch:
        """The batch that training would have made of a trajectory: normalised, with advantages by V_φk. NumPy."""
        probe = self._probe
        typed = Trajectory(*(np.asarray(x, like.dtype) for x, like in zip(trajectory, probe.trajectory, strict=True)))
        return tf.nest.map_structure(np.asarray, self._prepare(*_tensors((typed, probe.normaliser, probe.phi))))

    @property
    def traces(self) -> int:
        """How many times anything was traced: two for each number of pairs."""
        return sum(f.experimental_get_tracing_count() for f in (self._prepare, *self._compiled.values()))

    def _prepared(self, trajectory, normaliser, phi):
        config = self._probe.config
        return batches.prepare(
            trajectory, normaliser, phi, self._networks.value, time_limit=self._probe.task.time_limit, rollout=config.rollout,
            advantages=config.advantages, value=config.value, code_level=config.code_level)

    def _step(self, algorithm: Trpo | Ppo) -> Callable:
        """The policy's step as one program: that of training, so that equal pairs give equal bits."""

        def step(theta, slots, batch, draws, plan):
            config = self._probe.config
            return steps.policy_step(
                self._networks.policy, self._networks.value, theta, slots, batch, draws, plan=plan, algorithm=algorithm,
                optimiser=config.optimiser, code_level=config.code_level)

        if algorithm not in self._compiled:
            self._compiled[algorithm] = tf.function(step, autograph=False, jit_compile=self._probe.config.runtime.xla)
        return self._compiled[algorithm]

    def _algorithm(self, pairs: int) -> Trpo | Ppo:
        """The algorithm as it treats B pairs."""
        config, algorithm = self._probe.config, self._probe.config.algorithm
        if isinstance(algorithm, Trpo):
            return algorithm
        smallest = 2 if algorithm.advantage_norm == "minibatch" else 1  # a pair alone has the normalised advantage 0
        if self._minibatches == "same size":
            smallest = config.rollout.num_steps // algorithm.minibatches
            algorithm = dataclasses.replace(algorithm, minibatches=max(1, pairs // smallest))
        if pairs < smallest * algorithm.minibatches:
            raise UserError(f"an update of {self._probe.path} cannot be repeated from {pairs} pairs: its {algorithm.minibatches} "
                            f"minibatches need at least {smallest * algorithm.minibatches}.")
        return algorithm


def surrogate_gradient(probe: Probe, batch: Batch) -> np.ndarray:
    """The ordinary gradient of the surrogate at θ_k, in float64.

        ∇E[ρ_θ Â] = E[Â ∇log π_θk(a|s)]

    Â is standardised over the batch; no entropy term. Clipping changes nothing here: ρ = 1 lies inside 1 ± ε.
    Args: batch: as of Repeater.prepare or probe.batch. Returns: [P] float64."""
    pi, theta = networks_of(probe).policy, tf.constant(probe.theta, tf.float64)
    advantages = normalised(tf.constant(batch.advantages, tf.float64), "batch").numpy()

    @tf.function(autograph=False, reduce_retracing=True)
    def summed(obs, actions, advantages):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(theta)
            total = tf.reduce_sum(advantages * pi(theta, obs).log_prob(actions))
        return tape.gradient(total, theta)

    total = np.zeros(len(probe.theta))
    for first in range(0, len(advantages), CHUNK):
        rows = slice(first, first + CHUNK)
        obs, actions = batch.obs[rows].astype(np.float64), batch.actions[rows]
        actions = actions if probe.task.discrete else actions.astype(np.float64)
        total += summed(*_tensors((obs, actions, advantages[rows]))).numpy()
    return total / len(advantages)


def _stored(probe: Probe, kind: str, theta: Tensor) -> Step:
    moved = not np.array_equal(probe.theta, probe.theta_next)
    return Step(kind, len(probe.batch.advantages), probe.theta, theta, moved or isinstance(probe.config.algorithm, Ppo))


def networks_of(probe: Probe) -> Networks:
    """π and V as functions of normalised observations, compiled into a program of their own rather than called by endpoint."""
    config = probe.config
    nets = networks(probe.task, algorithm=config.algorithm, value=config.value, network=config.network,
                    code_level=config.code_level, seed=config.seed)
    found, made = (len(probe.theta), len(probe.phi)), (nets.policy.layout.size, nets.value.layout.size)
    if found != made:
        raise UserError(f"{probe.path} holds {found[0]} and {found[1]} parameters of policy and value net, but this version of "
                        f"tfpg makes {made[0]} and {made[1]} by its configuration: it is of another version.")
    return nets


def _refuse_non_finite(probe: Probe, batch: Batch, update: TrpoUpdate | PpoUpdate) -> None:
    """A NaN must stop where it arises, as in training."""
    for what, fine in (
            ("an advantage", np.isfinite(batch.advantages).all()),
            ("a value target", np.isfinite(batch.value_targets).all()),
            ("the policy's objective or its gradient", bool(update.finite)),
            ("a parameter of the policy", np.isfinite(update.theta).all())):
        if not fine:
            raise RunError(f"the update of {probe.path} repeated from {len(batch.advantages)} pairs: {what} is not finite.")


def _tensors(tree):
    return tf.nest.map_structure(tf.constant, tree)
