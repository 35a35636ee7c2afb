"""What is there to know of a value net's predictions and of what they do to the gradient? One Dataset of one policy.

    V*, fitted to the returns of very many episodes              (fitting)
    every V against both targets, train and held-out             (values)
    gradients under three baselines in two forms, at every size  (baselines)

Each part that is done is kept, so the same call goes on after a kill and gives the same bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import xarray as xr

from tfpg.diagnostics import blocks
from tfpg.diagnostics.gradients import agreement
from tfpg.diagnostics.parts import Parts, digest
from tfpg.diagnostics.probe import Probe
from tfpg.diagnostics.results import estimate
from tfpg.diagnostics.statistics.estimates import CONFIDENCE, Estimate
from tfpg.diagnostics.updates import networks_of
from tfpg.diagnostics.values import baselines, fit_pools, fitting, judgements, predictions, spreads
from tfpg.settings import to_dict

CHECK_STREAM = 13
RATIOS = {"learned/zero": ("learned", "zero"), "true/zero": ("true", "zero"), "true/learned": ("true", "learned")}
NETS = {"before": "V before its update", "run": "the run's own V after its update", "true": "V*"}
Progress = Callable[[str, int, bool], None]  # what, its pairs, whether they were played now


class Budgets(NamedTuple):
    """How much is looked at."""

    repeats: int  # value updates, each with held-out pairs of its own
    fit_pairs: int  # that V* is fitted to and checked on while it is
    check_pairs: int  # whole episodes that every V is judged on when all is done
    sizes: tuple[int, ...]  # pairs of a gradient estimate, ascending
    estimates: int  # of each size
    reference_pairs: int


def measure(probe: Probe, budgets: Budgets, *, seed: int, threads: int = 2, parts: Parts | None = None,
            progress: Progress = lambda what, pairs, played: None) -> xr.Dataset:
    """The study of a policy.

    Returns: dims judged × target, net, form × baseline × size, form × ratio × size, epoch.
    Errors: UserError where V* cannot be fitted; RunError where something is not finite."""
    parts = parts or Parts(None)
    facts = identity(probe)
    fit = fitted(probe, budgets.fit_pairs, seed=seed, threads=threads, parts=parts, facts=facts, progress=progress)
    true = (fit.value, fit.phi)
    checked = _checked(probe, true, budgets.check_pairs, seed, threads, parts, facts, progress)
    rows = predictions.rows(probe, true, repeats=budgets.repeats, seed=seed, threads=threads, parts=parts, facts=facts,
                       progress=lambda pairs, played: progress("predictions", pairs, played))
    study = baselines.study(
        probe, true, sizes=budgets.sizes, estimates=budgets.estimates, reference_pairs=budgets.reference_pairs, seed=seed,
        threads=threads, parts=parts, facts=facts, progress=lambda pairs, played: progress("gradients", pairs, played))
    coordinates = {
        "judged": list(predictions.JUDGED), "target": list(predictions.TARGETS), "net": list(NETS),
        "epoch": np.arange(1, len(fit.losses) + 1),
        "form": list(baselines.FORMS), "baseline": list(baselines.BASELINES), "ratio": list(RATIOS), "size": list(budgets.sizes)}
    variables = {**_of_predictions(rows), **_of_nets(checked), **_of_fit(fit), **_of_gradients(study, budgets.sizes)}
    return xr.Dataset(variables, coordinates, {
        **probe.provenance(), "instrument": "values", "seed": seed, "confidence": CONFIDENCE, **budgets._asdict(),
        "sizes": ",".join(map(str, budgets.sizes)), "update_pairs": len(probe.batch.values),
        "reference_pairs": study.reference_pairs,
        "value_target": probe.config.value.target, "time_limit_counts_as": probe.config.rollout.time_limit,
        "gamma": probe.config.advantages.gamma, "lam": probe.config.advantages.lam, "parameters": len(probe.theta),
        "fitted_pairs": fit.pairs, "fit_episodes": fit.episodes, "fit_best_epoch": fit.best + 1,
        "phi_true_sha256": digest(fit.phi),
        "heldout_pairs": budgets.repeats * len(probe.batch.values)})


def identity(probe: Probe) -> dict[str, Any]:
    """All of a policy that a part's bits depend on, wherever it lies."""
    record = [probe.phi, probe.phi_next, *probe.value_slots, *probe.normaliser.observation, *probe.normaliser.reward]
    settings = {name: value for name, value in to_dict(probe.config).items() if not name.startswith("runtime.env")}
    return {**{name: value for name, value in probe.provenance().items() if name not in ("policy", "theta")},
            "values": digest(*map(np.asarray, record)), "settings": settings}


def fitted(probe: Probe, pairs: int, *, seed: int, threads: int, parts: Parts, facts: dict[str, Any],
           progress: Progress) -> fitting.Fit:
    """V*; its pool is played only where the fit is not finished."""
    value, rest = fitting.network(probe, seed), ("losses", "checks", "best", "pairs", "episodes")
    shapes = {"phi": (value.layout.size,), "losses": (None,), "checks": (None,), "best": (), "pairs": (), "episodes": ()}
    played = []

    def compute() -> dict[str, np.ndarray]:
        def done(count: int) -> None:
            played.append(count)
            progress("pool of V*", count, True)

        pool = fit_pools.pool_of(probe, pairs, seed=seed, threads=threads, progress=done)
        found = fitting.fit(
            probe, pool, seed=seed, parts=parts, facts=facts,
            progress=lambda epoch, check: progress(f"V*, epoch {epoch}: {check:.3f} of the variance left", 0, True))
        return {"phi": found.phi, **{name: np.array(getattr(found, name)) for name in rest}}

    kept = parts.kept({**facts, "seed": seed, "fit": pairs, "rule": fitting.rule()}, shapes, compute)
    if not played:
        progress("pool of V*", pairs, False)
    return fitting.Fit(value, kept["phi"], kept["losses"], kept["checks"], *(int(kept[name]) for name in rest[2:]))


def _checked(probe: Probe, true: tuple[Any, np.ndarray], pairs: int, seed: int, threads: int, parts: Parts, facts: dict[str, Any],
             progress: Progress) -> dict[str, np.ndarray]:
    """Every net's predictions and the returns of whole episodes that none has seen, and which episode each row is of."""
    count = -(-pairs // fit_pools.BLOCK)
    each, found = -(-pairs // count), []
    v = networks_of(probe).value
    nets = {"before": (v, probe.phi), "run": (v, probe.phi_next), "true": true}
    shapes = {"values": (len(NETS), None), "returns": (None,), "starts": (None,)}
    with blocks.Blocks(probe, CHECK_STREAM, each, count=count, seed=seed, threads=threads) as stream:
        for index in range(count):
            computed: list[int] = []

            def compute(index=index, computed=computed):
                computed.append(index)
                block = stream[index]
                seen = tf.constant(fit_pools.critic_obs(probe, block.trajectory))
                found = [np.asarray(net(tf.constant(weights), seen)) for net, weights in nets.values()]
                return {"values": np.stack(found), "returns": block.returns, "starts": block.trajectory.episode_step[:, 0] == 0}

            what = {**facts, "seed": seed, "true": digest(true[1]), "checked": [each, count, index]}
            found.append(parts.kept(what, shapes, compute))
            progress("V* checked", min(each, pairs - index * each), bool(computed))
    return {name: np.concatenate([each[name] for each in found], -1) for name in shapes}


def _of_predictions(rows: predictions.Rows) -> dict[str, Any]:
    found, dims, shape = predictions.judge(rows), ("judged", "target"), (len(predictions.JUDGED), len(predictions.TARGETS))
    reward = {"units": "scaled reward"}
    repeats = "repeated updates"
    return {
        **estimate("mre", found.mre, dims, shape, repeats, long_name="mean |V − target| / |target|", units="1"),
        **estimate("explained_variance", found.explained_variance, dims, shape, repeats, units="1"),
        **estimate("bias", found.bias, dims, shape, repeats, long_name="mean of V − target", **reward),
        **estimate("mre_excess", predictions.excess(rows), dims[:1], shape[:1], repeats, units="1",
                   long_name="MRE against the returns less that against V_old + Â"),
        "floored_share": (dims, found.floored, {"long_name": "share of targets whose size was floored"}),
        "target_rms": (dims, found.rms, reward),
    }


def _of_nets(checked: dict[str, np.ndarray]) -> dict[str, Any]:
    episode = np.cumsum(checked["starts"])
    found = [judgements.explained_variances(values=each, targets=checked["returns"], clusters=episode)
             for each in checked["values"]]
    return estimate("check_explained_variance", Estimate(*map(np.array, zip(*found, strict=True))), ("net",), (len(NETS),),
                    "episodes", units="1", long_name="of the returns of episodes that no net has seen")


def _of_fit(fit: fitting.Fit) -> dict[str, Any]:
    attrs = {"units": "variance of the returns"}
    return {"fit_loss": ("epoch", fit.losses, attrs),
            "fit_check_loss": ("epoch", fit.checks, {**attrs, "long_name": "on the tenth of the episodes that is not fitted to"})}


def _of_gradients(study: baselines.Study, sizes: Sequence[int]) -> dict[str, Any]:
    forms, names = len(baselines.FORMS), list(baselines.BASELINES)
    dims, shape = ("form", "baseline", "size"), (forms, len(names), len(sizes))
    cells = list(np.ndindex(*shape))
    # of the first form every baseline has one expectation: V*'s reference, the least noisy, serves all
    references = [(0, names.index("true")) if i == 0 else (i, j) for i, j, _ in cells]

    def each(function: Callable[..., Estimate], of: Sequence[tuple]) -> Estimate:
        return Estimate(*map(np.array, zip(*(function(*arguments) for arguments in of), strict=True)))

    vectors = study.estimates
    of_one = [(vectors[cell], sizes[cell[-1]]) for cell in cells]
    variables = {
        **estimate("variance", each(spreads.variance, of_one), dims, shape, "estimates",
                   long_name="of one pair's share of the gradient, summed over coordinates"),
        **estimate("noise_scale", each(agreement.noise_scale, of_one), dims, shape, "estimates", units="pairs"),
        **estimate("cosine", each(agreement.pairwise, [(vectors[cell],) for cell in cells]), dims, shape, "estimates",
                   long_name="of two estimates"),
        **estimate("cosine_reference", each(agreement.to_reference, [
            (vectors[cell], study.reference[of]) for cell, of in zip(cells, references, strict=True)]), dims, shape, "estimates",
            long_name="of an estimate with the reference"),
    }
    pairs = [(vectors[i, names.index(a), k], vectors[i, names.index(b), k])
             for i in range(forms) for a, b in RATIOS.values() for k in range(len(sizes))]
    variables |= estimate("variance_ratio", each(spreads.ratio, pairs), ("form", "ratio", "size"),
                          (forms, len(RATIOS), len(sizes)), "estimates",
                          long_name="of the variances under two baselines, on the same pairs")
    halves = [[float(agreement.pairwise(study.halves[:, i, j]).mean) for j in range(len(names))] for i in range(forms)]
    norms = np.linalg.norm(study.reference, axis=-1)
    alike = {"long_name": "cosine of two halves of the reference"}
    return variables | {"reference_split_half": (dims[:2], np.array(halves), alike), "reference_norm": (dims[:2], norms)}
