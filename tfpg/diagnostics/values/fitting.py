"""What is a state really worth? V*: the value net's own architecture, fitted to the returns of very many whole episodes.

    V* = argmin_φ E[(V_φ(s) − R)²],   R the discounted return to the episode's end

by Adam from fresh weights, until a tenth of the episodes, which it is not fitted to, says that it no longer improves. So V* is
what the architecture could know of the returns under π_θk; what it cannot explain is chance, and what the net cannot see.

    pool = fit_pools.pool_of(probe, 5_000_000, seed=0)
    found = fit(probe, pool, seed=0)          found.phi, with found.value a V* like any other: (φ, critic observations) ↦ [n]

Returns are standardised for the fit; their mean and spread then go into the last layer: exact, and no step of Adam is spent on
them. An epoch that is done is kept: a kill costs the pool, which is played again, and one epoch."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfpg import seeds
from tfpg.diagnostics.parts import Parts, digest
from tfpg.diagnostics.probe import Probe
from tfpg.diagnostics.values.fit_pools import FitPool, timed
from tfpg.errors import RunError, UserError
from tfpg.models import value as value_models
from tfpg.models.value import ValueFunction
from tfpg.numerics import flat, optimisers
from tfpg.types import Slots

NUMBER = 0  # of the fit among what draws from "fit_minibatches" and "fit_initialisation"
# Minibatches, and Adam's step: lowered tenfold at each plateau of PATIENCE epochs, and after the last of them it stops.
MINIBATCH, STEP_SIZES, PATIENCE, MAX_EPOCHS = 256, (1e-3, 1e-4, 1e-5), 3, 100
CHUNK = 512  # minibatches handed to one call: 130,000 pairs


class Fit(NamedTuple):
    """V*, and how it came to be."""

    value: ValueFunction
    phi: np.ndarray  # [Q] float32
    losses: np.ndarray  # [E]  mean square error of each epoch, in the variance of the returns
    checks: np.ndarray  # [E]  the same on the tenth: 1 less its explained variance but for a constant
    best: int  # epoch whose weights these are; −1: none improved on the first weights
    pairs: int  # fitted to
    episodes: int


def network(probe: Probe, seed: int) -> ValueFunction:
    """A value net of the run's architecture with weights of its own: beside the policy also where the run shares them."""
    config = probe.config
    drawn = int(seeds.words(seed, "fit_initialisation", probe.iteration, NUMBER, count=1)[0])
    return value_models.build(probe.task.obs_size + timed(probe), config.network, config.code_level, drawn)


def fit(probe: Probe, pool: FitPool, *, seed: int, parts: Parts | None = None, facts: dict[str, Any] | None = None,
        progress: Callable[[int, float], None] = lambda epoch, check: None) -> Fit:
    """V* of a pool.

    Args: parts, facts: where epochs are kept, and what they depend on besides the pool. progress: called after each epoch with
        its number and the share of the tenth's variance that is left.
    Errors: RunError where it is not finite; UserError for returns that are all equal."""
    fitted = np.flatnonzero(~pool.checks)
    mean, std = float(pool.returns[fitted].mean(dtype=np.float64)), float(pool.returns[fitted].std(dtype=np.float64))
    if not std > 0:
        raise UserError(f"{probe.path}: all returns are {mean:g}, so there is nothing to fit a value net to.")
    value = network(probe, seed)
    descent = _Descent(probe, value, pool, fitted, (mean, std))
    parts, facts = parts or Parts(None), {**(facts or {}), "fit_pool": digest(pool.returns, pool.critic_obs), **rule()}
    state = _State.start(np.asarray(value.initial_phi()), descent.check(value.initial_phi()))
    while not state.over:
        order = seeds.generator(seed, "fit_minibatches", probe.iteration, NUMBER, state.epoch).permutation(len(fitted))
        what = {**facts, "seed": seed, "epoch": state.epoch}
        kept = parts.kept(what, _shapes(state), functools.partial(descent.epoch, state, order))
        state = state.after(kept)
        if not np.isfinite(state.losses[-1] + state.check_losses[-1]):
            raise RunError(f"the fit of a value net to {len(fitted)} pairs of {probe.path} is not finite in epoch {state.epoch}.")
        progress(state.epoch, state.check_losses[-1])
    phi = _rescaled(state.best_phi, value, mean, std)
    return Fit(value, phi, np.array(state.losses), np.array(state.check_losses), state.best, len(fitted), pool.episodes)


@dataclasses.dataclass(frozen=True)
class _State:
    """Where the fit stands between two epochs."""

    phi: np.ndarray
    slots: Slots
    best_phi: np.ndarray
    best_check: float
    best: int = -1
    epoch: int = 0
    plateau: int = 0  # index of the step size
    waited: int = 0  # epochs since the best one, at this step size
    losses: tuple[float, ...] = ()
    check_losses: tuple[float, ...] = ()

    @classmethod
    def start(cls, phi: np.ndarray, check: float) -> _State:
        return cls(phi, Slots(*map(np.asarray, optimisers.start(phi))), phi, check)

    @property
    def over(self) -> bool:
        return self.plateau == len(STEP_SIZES) or self.epoch == MAX_EPOCHS

    def after(self, kept: dict[str, np.ndarray]) -> _State:
        """One epoch on; at the end of a plateau the next step size goes on from the best weights."""
        better = kept["check"] < self.best_check
        phi, check = (kept["phi"], float(kept["check"])) if better else (self.best_phi, self.best_check)
        waited = 0 if better else self.waited + 1
        state = dataclasses.replace(
            self, phi=kept["phi"], slots=Slots(kept["count"], kept["first"], kept["second"]), best_phi=phi, best_check=check,
            best=self.epoch if better else self.best, epoch=self.epoch + 1, waited=waited,
            losses=(*self.losses, float(kept["loss"])), check_losses=(*self.check_losses, float(kept["check"])))
        if waited < PATIENCE:
            return state
        return dataclasses.replace(state, phi=phi, slots=Slots(*map(np.asarray, optimisers.start(phi))), plateau=self.plateau + 1,
                                   waited=0)


class _Descent:
    """Epochs of Adam on one pool, compiled once."""

    def __init__(self, probe: Probe, value: ValueFunction, pool: FitPool, fitted: np.ndarray, scale: tuple[float, float]):
        self._pool, self._fitted, self._optimiser = pool, fitted, probe.config.optimiser
        self._checked = np.flatnonzero(pool.checks)
        self._mean, self._std = map(np.float32, scale)
        self._size = min(MINIBATCH, len(fitted))

        def loss(phi, obs, targets):
            return tf.reduce_mean(tf.square(value(phi, obs) - targets))

        def run(phi, slots, obs, targets, count, step_size):
            def step(i, phi, slots, total):
                error, gradient = flat.value_and_gradient(lambda p: loss(p, obs[i], targets[i]), phi)
                slots, change = optimisers.adam(slots, gradient, step_size=step_size, epsilon=self._optimiser.adam_epsilon)
                return i + 1, phi + change, slots, total + error

            start = (tf.constant(0), phi, slots, tf.zeros([]))
            _, phi, slots, total = tf.while_loop(lambda i, *_: i < count, step, start, parallel_iterations=1)
            return phi, slots, total

        # One shape, padded: another length would be another program.
        self._run = tf.function(run, autograph=False, jit_compile=probe.config.runtime.xla)
        self._values = tf.function(value, autograph=False, reduce_retracing=True)

    def epoch(self, state: _State, order: np.ndarray) -> dict[str, np.ndarray]:
        """One pass over the pool in this order; what does not fill a minibatch sits out."""
        phi, slots = tf.constant(state.phi), Slots(*map(tf.constant, state.slots))
        rows = self._fitted[order[:len(order) // self._size * self._size]].reshape(-1, self._size)
        total = 0.0
        for first in range(0, len(rows), CHUNK):
            some = rows[first:first + CHUNK]
            padded = np.concatenate([some, np.repeat(some[:1], CHUNK - len(some), 0)]) if len(some) < CHUNK else some
            phi, slots, error = self._run(
                phi, slots, tf.constant(self._pool.critic_obs[padded]), tf.constant(self._targets(padded)),
                tf.constant(len(some)), tf.constant(STEP_SIZES[state.plateau]))
            total += float(error)
        count, one, two = map(np.asarray, slots)
        return {"phi": np.asarray(phi), "count": count, "first": one, "second": two, "loss": np.array(total / len(rows)),
                "check": np.array(self.check(phi))}

    def check(self, phi) -> float:
        """Mean square error on the tenth, in the variance of the returns fitted to."""
        total = 0.0
        for first in range(0, len(self._checked), CHUNK * MINIBATCH):
            rows = self._checked[first:first + CHUNK * MINIBATCH]
            values = self._values(tf.constant(phi), tf.constant(self._pool.critic_obs[rows])).numpy()
            total += float(np.square(values - self._targets(rows), dtype=np.float64).sum())
        return total / len(self._checked)

    def _targets(self, rows: np.ndarray) -> np.ndarray:
        return (self._pool.returns[rows] - self._mean) / self._std


def _rescaled(phi: np.ndarray, value: ValueFunction, mean: float, std: float) -> np.ndarray:
    """The net that says mean + std · V: the last kernel and bias are scaled, the bias shifted."""
    outputs = value.layout.shapes[-1][0]  # of the last bias: 1
    kernel = int(np.prod(value.layout.shapes[-2]))
    phi = phi.astype(np.float64)
    phi[-outputs - kernel:] *= std
    phi[-outputs:] += mean
    return phi.astype(np.float32)


def _shapes(state: _State) -> dict[str, tuple[int, ...]]:
    size = state.phi.shape
    return {"phi": size, "count": (), "first": size, "second": size, "loss": (), "check": ()}


def rule() -> dict[str, Any]:
    """How fits are made and stopped, as results are labelled."""
    return {"minibatch": MINIBATCH, "step_sizes": STEP_SIZES, "patience": PATIENCE, "max_epochs": MAX_EPOCHS}
