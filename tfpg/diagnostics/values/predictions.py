"""How well does the value net predict? Mean relative error, explained variance and bias, against its own target and the returns.

    MRE = mean |V(s) − target| / |target|        terminal steps left out, |target| floored at 1 % of its root mean square

V after its update, which is repeated U times from φ_k, each time on whole episodes of as many pairs as training has, and then
judged on the same pairs ("train") and on as many others ("heldout"). The targets are

    gae       V_φk(s) + Â, what the update fits             (Ilyas 2020, §3.2)
    returns   the discounted return to the episode's end    what V is meant to predict

both in the frozen reward scale of iteration k. A repeat with its held-out pairs shares nothing with the others: intervals are
over repeats, so they hold the episodes' chance and the update's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfpg import seeds
from tfpg.algos import steps
from tfpg.algos.critic import value_update
from tfpg.diagnostics import blocks, updates
from tfpg.diagnostics.parts import Parts, digest
from tfpg.diagnostics.probe import Probe
from tfpg.diagnostics.statistics.estimates import Estimate, clustered
from tfpg.diagnostics.values.judgements import Judgement, judged
from tfpg.errors import RunError
from tfpg.numerics.errors import relative_errors
from tfpg.types import Batch, Trajectory

TRAIN_STREAM, HELDOUT_STREAM = 10, 11
NUMBER = 1  # of the updates among what draws from "fit_minibatches"
TARGETS = ("gae", "returns")
JUDGED = {
    "train": "V after a repeated update, on the pairs it was fitted to",
    "heldout": "V after a repeated update, on held-out pairs",
    "run": "the run's own V after its update, on held-out pairs",
    "before": "V before its update, on held-out pairs",
    "true": "V*, on held-out pairs",
}


class Rows(NamedTuple):
    """Predictions and targets of U repeats of N pairs."""

    values: np.ndarray  # [len(JUDGED), U, N]
    targets: np.ndarray  # [len(JUDGED), len(TARGETS), U, N]
    kept: np.ndarray  # [len(JUDGED), U, N] bool  not terminal


class ValueUpdates:
    """A probe's value update, repeated on other pairs from φ_k; compiled once for each number of pairs."""

    def __init__(self, probe: Probe):
        self._probe, self._repeater = probe, updates.Repeater(probe)
        self.networks = updates.networks_of(probe)
        self._fit = tf.function(self._fitted, autograph=False, jit_compile=probe.config.runtime.xla)

    def __call__(self, trajectory: Trajectory, number: int, *, seed: int) -> np.ndarray:
        """φ after the update that these pairs would have led to. With shared weights V moves as the policy does.

        Args: trajectory: as of updates.Repeater. number: of the repeat: which minibatch orders. Returns: [Q].
        Errors: RunError where it is not finite."""
        if self.networks.shared:
            return self._repeater(trajectory, self.stream(number, seed)).step.theta_next
        return self.fitted(self._repeater.prepare(trajectory), self.stream(number, seed))

    def fitted(self, batch: Batch, stream: np.random.Generator) -> np.ndarray:
        """φ after the update on this batch, orders from `stream`; where minibatches do not divide it, as in updates.Repeater."""
        probe, value = self._probe, self._probe.config.value
        order = steps.orders(stream, len(batch.values), epochs=value.epochs, minibatches=value.minibatches)
        phi, slots, batch = tf.nest.map_structure(tf.constant, (probe.phi, probe.value_slots, batch))
        update = self._fit(phi, slots, batch, tf.constant(order), tf.constant(probe.schedule["value_step_size"], tf.float32))
        if not bool(update.finite):
            raise RunError(f"the value update of {probe.path} repeated from {len(batch.values)} pairs is not finite.")
        return update.phi.numpy()

    def stream(self, number: int, seed: int) -> np.random.Generator:
        """What repeat `number` draws its minibatches from."""
        return seeds.generator(seed, "fit_minibatches", self._probe.iteration, NUMBER, number)

    def _fitted(self, phi, slots, batch, order, step_size):
        config = self._probe.config
        return value_update(self.networks.value, phi, slots, batch, order, step_size=step_size, value=config.value,
                            optimiser=config.optimiser, code_level=config.code_level)


def rows(probe: Probe, true: tuple[Any, np.ndarray], *, repeats: int, seed: int, threads: int = 2, parts: Parts | None = None,
         facts: dict[str, Any] | None = None, progress: Callable[[int, bool], None] = lambda pairs, played: None) -> Rows:
    """Predictions of every V in JUDGED for U repeats.

    Args: true: V* and its φ. repeats: U. parts, facts: where repeats are kept, and what they depend on besides seed and V*.
        progress: called after each repeat with its pairs, and whether they were played now."""
    pairs, parts = len(probe.batch.values), parts or Parts(None)
    facts = {**(facts or {}), "seed": seed, "true": digest(true[1]), "pairs": pairs, "repeats": repeats, "rows": 1}
    shapes = {"values": (len(JUDGED), pairs), "targets": (len(JUDGED), len(TARGETS), pairs), "kept": (len(JUDGED), pairs)}
    updating, found = ValueUpdates(probe), []
    with (blocks.Blocks(probe, TRAIN_STREAM, pairs, count=repeats, seed=seed, threads=threads) as train,
          blocks.Blocks(probe, HELDOUT_STREAM, pairs, count=repeats, seed=seed, threads=threads) as heldout):
        for number in range(repeats):
            computed: list[int] = []

            def compute(number=number, computed=computed):
                computed.append(number)
                return _repeat(probe, updating, true, train[number], heldout[number], number, seed)

            found.append(parts.kept({**facts, "repeat": number}, shapes, compute))
            progress(2 * pairs, bool(computed))
    return Rows(*(np.stack([each[name] for each in found], axis=-2) for name in Rows._fields))


def judge(rows: Rows) -> Judgement:
    """Arrays [len(JUDGED), len(TARGETS)], the interval's clusters the repeats."""
    count = rows.values.shape[-2]
    clusters = np.repeat(np.arange(count), rows.values.shape[-1])
    found = [[judged(values=rows.values[i].ravel(), targets=rows.targets[i, j].ravel(), kept=rows.kept[i].ravel(),
                     clusters=clusters) for j in range(len(TARGETS))] for i in range(len(JUDGED))]
    return tf.nest.map_structure(lambda *leaves: np.array(leaves).reshape(len(JUDGED), len(TARGETS)), *(
        each for row in found for each in row))


def excess(rows: Rows) -> Estimate:
    """MRE against the returns less that against the net's own target, on the same pairs: [len(JUDGED)]."""
    count = rows.values.shape[-2]
    clusters, found = np.repeat(np.arange(count), rows.values.shape[-1]), []
    for values, targets, kept in zip(rows.values, rows.targets, rows.kept, strict=True):
        keep = kept.ravel()
        errors = [relative_errors(values=values.ravel()[keep], targets=target.ravel()[keep]).errors for target in targets]
        found.append(clustered(errors[1] - errors[0], clusters[keep]))
    return Estimate(*map(np.array, zip(*found, strict=True)))


def _repeat(probe: Probe, updating: ValueUpdates, true: tuple[Any, np.ndarray], train: blocks.Block, heldout: blocks.Block,
            number: int, seed: int) -> dict[str, np.ndarray]:
    """One repeat: every V's predictions with their targets."""
    v, phi = updating.networks.value, updating(train.cut, number, seed=seed)
    on = [(name, heldout if name != "train" else train) for name in JUDGED]
    nets = {"train": (v, phi), "heldout": (v, phi), "run": (v, probe.phi_next), "before": (v, probe.phi), "true": true}
    batches = {id(block): blocks.prepared(probe, block.cut, probe.phi, v) for block in (train, heldout)}
    values, targets, kept = [], [], []
    for name, block in on:
        batch, (net, weights) = batches[id(block)], nets[name]
        values.append(np.asarray(net(tf.constant(weights), tf.constant(batch.critic_obs))))
        targets.append(np.stack([batch.values.astype(np.float64) + batch.advantages, block.returns[:block.pairs]]))
        kept.append(~blocks.dead(probe, block.cut))
    return {"values": np.stack(values).astype(np.float64), "targets": np.stack(targets), "kept": np.stack(kept)}
