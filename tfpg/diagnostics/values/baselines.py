"""What does a baseline do to the gradient? Estimates from K disjoint samples with b ∈ {0, V_φk, V*}, in two forms.

    monte_carlo   g = 1/N Σ (R_t − b(s_t)) ∇log π(a_t|s_t)             un-normalised: one expectation, only the variance differs
    authors       g = 1/N Σ (Â_t − mean Â)/std Â · ∇log π(a_t|s_t)      Â the returns for b = 0, GAE(λ) with V_φk and with V*

(EXPERIMENTS §5; Ilyas 2020, §3.2.) R_t is the discounted return to the episode's end. The form of the authors changes the
expectation with the baseline: its gradients are compared with a reference of their own, those of the first form with the
one of the least noise, V*'s.

Both are made of the same sums over pairs, Σ ∇log π and Σ x ∇log π for each x in COLUMNS: exact in float64, and a reference of
a million pairs needs no more memory than an estimate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfpg.diagnostics import blocks, offsets
from tfpg.diagnostics.gradients.derivatives import Scores
from tfpg.diagnostics.parts import Parts, digest
from tfpg.diagnostics.probe import Probe
from tfpg.diagnostics.updates import networks_of
from tfpg.types import Batch, Trajectory

STREAM, REFERENCE_STREAM = 14, 15
BASELINES = {"zero": "no baseline", "learned": "V_φk", "true": "V*"}
FORMS = {"monte_carlo": "returns less the baseline, un-normalised",
         "authors": "batch-normalised: returns, GAE with V, GAE with V*"}
COLUMNS = ("return", "value_learned", "value_true", "gae_learned", "gae_true", "one")
_FORM_A = {"zero": None, "learned": "value_learned", "true": "value_true"}  # what is subtracted from the return
_FORM_B = {"zero": "return", "learned": "gae_learned", "true": "gae_true"}  # what is normalised
REFERENCE_BLOCK = 50_000


class Sums(NamedTuple):
    """Over N pairs, for each x in COLUMNS."""

    pairs: np.ndarray  # []  N
    gradients: np.ndarray  # [len(COLUMNS), P] float64  Σ x ∇log π_θk(a|s)
    first: np.ndarray  # [len(COLUMNS)]  Σ x
    second: np.ndarray  # [len(COLUMNS)]  Σ x²


class Study(NamedTuple):
    """Gradients under every form and baseline."""

    estimates: np.ndarray  # [len(FORMS), len(BASELINES), sizes, K, P]
    halves: np.ndarray  # [2, len(FORMS), len(BASELINES), P]  the reference, from two halves of its pairs
    reference: np.ndarray  # [len(FORMS), len(BASELINES), P]  from all of them
    reference_pairs: int


def gradients(sums: Sums) -> np.ndarray:
    """Every form and baseline from the sums: [len(FORMS), len(BASELINES), P]. Advantages that are all equal give 0."""
    pairs, column = float(sums.pairs), COLUMNS.index
    whole = sums.gradients[column("one")]
    found: tuple[list[np.ndarray], list[np.ndarray]] = [], []
    for baseline in BASELINES:
        of, less = sums.gradients[column("return")], _FORM_A[baseline]
        found[0].append((of - (sums.gradients[column(less)] if less else 0.0)) / pairs)
        x = column(_FORM_B[baseline])
        mean = sums.first[x] / pairs
        std = np.sqrt(max(sums.second[x] / pairs - mean**2, 0.0))
        alike = std <= 1e-6 * np.sqrt(sums.second[x] / pairs)  # rounding, as in objectives.normalised
        found[1].append(np.zeros_like(whole) if alike else (sums.gradients[x] - mean * whole) / (std * pairs))
    return np.array(found)


def merged(many: Sequence[Sums]) -> Sums:
    """The sums of all the pairs together."""
    return Sums(*(np.sum(column, 0) for column in zip(*many, strict=True)))


def block_pairs(sizes: Sequence[int]) -> int:
    """Pairs of a block that serves an estimate of every size."""
    return max(*sizes, offsets.SPREAD)


def sums(probe: Probe, scores: Scores, v: Any, true: tuple[Any, np.ndarray], block: blocks.Block, pairs: int,
         begin: int = 0) -> Sums:
    """Of `pairs` pairs of a block from row `begin` on; GAE is cut and bootstrapped at their end, returns are whole.

    Args: v: the run's value net. true: V* and its φ."""
    rows = slice(begin, begin + pairs)
    trajectory = Trajectory(*(column[rows] for column in block.trajectory))
    learned = blocks.prepared(probe, trajectory, probe.phi, v)
    columns = _columns(block.returns[rows], learned, blocks.prepared(probe, trajectory, true[1], true[0]))
    return Sums(np.array(pairs), scores(learned.obs, learned.actions, columns), columns.sum(1), np.square(columns).sum(1))


def study(probe: Probe, true: tuple[Any, np.ndarray], *, sizes: Sequence[int], estimates: int, reference_pairs: int, seed: int,
          threads: int = 2, parts: Parts | None = None, facts: dict[str, Any] | None = None,
          progress: Callable[[int, bool], None] = lambda pairs, played: None) -> Study:
    """K estimates of every size, those of one size without an episode in common, and a reference from other episodes.

    A block serves an estimate of every size, each at a random place of its own within it (offsets).
    Args: true: V* and its φ. estimates: K. reference_pairs: played in blocks of up to 50,000, an even number of them.
        parts, facts: where sums are kept, and what they depend on besides seed and V*. progress: called after each block with
        its pairs, and whether they were played now."""
    parts, scores, v = parts or Parts(None), Scores(probe), networks_of(probe).value
    facts = {**(facts or {}), "seed": seed, "true": digest(true[1]), "columns": COLUMNS}

    def read(number: int, sizes: Sequence[int], count: int, within: int, named: dict[str, int]) -> list[list[Sums]]:
        shape = len(sizes), len(COLUMNS)
        shapes = {"pairs": shape[:1], "gradients": (*shape, len(probe.theta)), "first": shape, "second": shape}
        found = []
        with blocks.Blocks(probe, number, within, count=count, seed=seed, threads=threads) as stream:
            for index in range(count):
                computed: list[int] = []

                def compute(index=index, computed=computed):
                    computed.append(index)
                    block = stream[index]
                    begins = [offsets.offset(size, number, size, index, spread=within, seed=seed, iteration=probe.iteration)
                              for size in sizes]
                    each = [sums(probe, scores, v, true, block, *rows) for rows in zip(sizes, begins, strict=True)]
                    return dict(zip(Sums._fields, map(np.stack, zip(*each, strict=True)), strict=True))

                what = {**facts, "stream": number, "sizes": list(sizes), "count": count, "block": index, **named}
                kept = parts.kept(what, shapes, compute)
                found.append([Sums(*(kept[name][i] for name in Sums._fields)) for i in range(len(sizes))])
                progress(within, bool(computed))
        return found

    whole = block_pairs(sizes)
    of_sizes = read(STREAM, sizes, estimates, whole, {"sums": 2, "within": whole})
    count = 2 * -(-reference_pairs // (2 * REFERENCE_BLOCK))
    piece = reference_pairs // count
    pieces = [each for each, in read(REFERENCE_STREAM, [piece], count, piece, {"sums": 1})]
    halves = np.stack([gradients(merged(pieces[half::2])) for half in (0, 1)])
    found = np.stack([[gradients(each) for each in block] for block in of_sizes])  # [K, sizes, forms, baselines, P]
    return Study(found.transpose(2, 3, 1, 0, 4), halves, gradients(merged(pieces)), count * (reference_pairs // count))


def _columns(returns: np.ndarray, learned: Batch, true: Batch) -> np.ndarray:
    """[len(COLUMNS), B] float64."""
    one = np.ones(len(returns))
    return np.stack([returns, learned.values, true.values, learned.advantages, true.advantages, one]).astype(np.float64)
