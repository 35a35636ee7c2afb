"""What do gradients and values of many agents say of C8 to C10? Datasets, a policy each, in; verdicts out."""

from __future__ import annotations

import functools

import numpy as np
import xarray as xr

from tfpg.claims.catalogue import CLAIMS
from tfpg.claims.grouping import Datasets, Found, at_agents_pairs, first, groups, later, numbers, verdicts
from tfpg.claims.verdicts import Verdict, of_scores


def of_gradients(datasets: Datasets) -> list[Verdict]:
    """C8. Args: datasets: of launch.gradients, a policy each."""
    return verdicts("C8", _agreement(datasets))


def of_values(datasets: Datasets) -> list[Verdict]:
    """C9 and C10. Args: datasets: of launch.values, a policy each."""
    return [*relative_errors(datasets), *baselines(datasets)]


def relative_errors(datasets: Datasets) -> list[Verdict]:
    """C9."""
    return verdicts("C9", _relative_errors(datasets))


def baselines(datasets: Datasets) -> list[Verdict]:
    """C10."""
    return verdicts("C10", _baselines(datasets))


def _agreement(datasets: Datasets) -> Found:
    (what, bound), (fall, above) = CLAIMS["C8"].bounds.items()
    for task, preset, some in groups(datasets):
        cosines = numbers(some, lambda d: _of_gradient(d, "cosine"))
        chance = [_of_gradient(d, "chance_cosine") for d in some]
        note = f"with advantages permuted {np.nanmean(chance):.3g}" if np.isfinite(chance).any() else ""
        yield task, [of_scores(f"{preset}: {what}", task, preset, later(cosines), bound, note),
                     of_scores(f"{preset}: {fall}", task, preset, first(cosines) - later(cosines), above)]


def _relative_errors(datasets: Datasets) -> Found:
    (what, bound), = CLAIMS["C9"].bounds.items()

    def ratio(d: xr.Dataset) -> float:
        mre = d["mre"].sel(judged="heldout")
        return float(mre.sel(target="gae") / mre.sel(target="returns"))

    for task, preset, some in groups(datasets):
        yield task, [of_scores(f"{preset}: {what}", task, preset, later(numbers(some, ratio)), bound)]


def _baselines(datasets: Datasets) -> Found:
    (what, bound), = CLAIMS["C10"].bounds.items()

    def taken(d: xr.Dataset, form: str) -> float:
        """1 − σ²_V/σ²_0 − ½ (1 − σ²_V*/σ²_0) at about 2,048 pairs; no quotient of what both take away: V* may take nothing."""
        variance = at_agents_pairs(d)["variance"].sel(form=form)
        none, learned, true = (float(variance.sel(baseline=name)) for name in ("zero", "learned", "true"))
        return (1 - learned / none) - (1 - true / none) / 2

    for task, preset, some in groups(datasets):
        # Monte-Carlo returns less a baseline have one expectation; the authors' estimators have not, so they are a note.
        plain, theirs = (later(numbers(some, functools.partial(taken, form=form))) for form in ("monte_carlo", "authors"))
        note = f"as the authors compared {np.nanmean(theirs):.3g}" if np.isfinite(theirs).any() else ""
        yield task, [of_scores(f"{preset}: {what}", task, preset, plain, bound, note)]


def _of_gradient(dataset: xr.Dataset, name: str) -> float:
    return float(at_agents_pairs(dataset)[name].sel(kind="gradient"))
