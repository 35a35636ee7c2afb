"""What does a result of gradient quality say, in a few lines? Every number with its interval."""

from __future__ import annotations

import shutil
import textwrap

import numpy as np
import xarray as xr

from launch.shared import tables
from launch.shared.numbers import interval, title
from tfpg.diagnostics.gradients.quality import fitted_scale
from tfpg.diagnostics.probe import Probe
from tfpg.diagnostics.statistics.estimates import student
from tfpg.report.sheets import significant

_TRUTHS = {"limit": "the estimator's limit", "return": "Monte-Carlo ∇J", "step": "the step from many pairs"}


def report(probe: Probe, d: xr.Dataset, width: int | None = None) -> str:
    """The numbers beside the picture. Args: width: in characters; None: the terminal's."""
    width = width or min(max(shutil.get_terminal_size((120, 24)).columns, 60), 120)
    lines = [f"{title(probe)} (95 % intervals in brackets)", *_table(d)]
    for text in (*_at_training(d), *_scales(d), *_references(d), *_others(d)):
        lines += textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(lines)


def _table(d: xr.Dataset) -> list[str]:
    """Cosines by kind and size."""
    truths = [str(t) for t in d["truth"].values]
    rows = [("", "pairs", "two estimates", "… permuted", *(f"to {_TRUTHS[t]}" for t in truths))]
    for i, kind in enumerate(map(str, d["kind"].values)):
        for j, size in enumerate(d["size"].values):
            if not np.isfinite(d["cosine"].values[i, j]):
                continue
            cosines = [interval(d, name, 3, kind=i, size=j) for name in ("cosine", "chance_cosine")]
            rows.append((kind, f"{int(size):,}", *cosines,
                         *(interval(d, "cosine_to", 3, kind=i, size=j, truth=t) for t in range(len(truths)))))
    return [f"  {line}" for line in tables.aligned(rows, left=(0,))]


def _at_training(d: xr.Dataset) -> list[str]:
    """What an agent sees: agreement at the training batch's size against chance."""
    lines, pairs = [], int(d.attrs["training_pairs"])
    where = np.flatnonzero(d["size"].values == pairs)
    for i, kind in enumerate(map(str, d["kind"].values) if where.size else ()):
        j = int(where[0])
        if not np.isfinite(d["cosine"].values[i, j]):
            continue
        gap, low, high = _difference(d.isel(kind=i, size=j))
        verdict = "above" if low > 0 else "below" if high < 0 else "not told from"
        cosine, chance = (interval(d, name, 3, kind=i, size=j) for name in ("cosine", "chance_cosine"))
        lines.append(f"at the training batch's {pairs:,} pairs two {kind}s have cosine {cosine}, by chance (advantages permuted) "
                     f"{chance}: a difference of {gap:.3f} [{low:.3f}, {high:.3f}], {verdict} chance")
    return lines


def _difference(d: xr.Dataset) -> tuple[float, float, float]:
    """Agreement less that by chance, with Student's t interval of two jackknives taken as independent (the
    same pairs are behind both, but permuted advantages keep nothing of their signal): mean, low, high."""
    gap, stderr = float(d["cosine"] - d["chance_cosine"]), float(np.hypot(d["cosine_stderr"], d["chance_cosine_stderr"]))
    found = student(gap, stderr, max(int(d["cosine_count"]) - 1, 1), int(d["cosine_count"]))
    return float(found.mean), float(found.low), float(found.high)


def _scales(d: xr.Dataset) -> list[str]:
    """Gradient noise scale."""
    lines, training = [], int(d.attrs["training_pairs"])
    for k in dict.fromkeys([*np.flatnonzero(d["noise_pairs"].values == training).tolist(), d.sizes["noise_pairs"] - 1]):
        value, low, high = (significant(float(d[f"noise_scale{end}"].values[k])) for end in ("", "_low", "_high"))
        pairs = int(d["noise_pairs"].values[k])
        words = (f"at least {low:,.0f} pairs (the gradient cannot be told from 0)" if not np.isfinite(high)
                 else f"{value:,.0f} [{low:,.0f}, {high:,.0f}] pairs")
        lines.append(f"gradient noise scale B, from estimates of {pairs:,} pairs: {words if np.isfinite(low) else 'unknown'}")
    first = d.isel(kind=0)
    fit = fitted_scale(first["size"].values, first["cosine"].values, first["cosine_stderr"].values)
    # where no cosine leaves 0 the fit runs away to its end
    return [*lines, f"check: the curve N/(N + B) through the pairwise cosines has B = {significant(fit):,.0f}"] if fit < 1e9 else lines


def _references(d: xr.Dataset) -> list[str]:
    """Can the references be believed, and are they one direction?"""
    lines = []
    for t, truth in enumerate(map(str, d["truth"].values)):
        pairs = int(d.attrs["step_reference_pairs" if truth == "step" else "reference_pairs"])
        known = np.isfinite(d["split_half_low"].values[t])  # of two halves alone there is no interval
        halves = interval(d, "split_half", 3, truth=t) if known else f"{float(d['split_half'][t]):.3f}"
        verdict = "called the truth" if d["trusted"].values[t] else "below .9, so not called the truth"
        lines.append(f"{_TRUTHS[truth]}, {pairs:,} pairs: its halves have cosine {halves}, {verdict}")
    raw, known = float(d["cosine_to_limit"].values[1]), np.isfinite(d["freed_cosine_to_limit"].values[1])
    free = interval(d, "freed_cosine_to_limit", 3, truth=1) if known else "unknown, for one of them cannot be told from 0"
    lines.append(f"cosine between the two truths, limit and ∇J: {raw:.3f} as they are; freed of noise {free}")
    return lines


def _others(d: xr.Dataset) -> list[str]:
    lines = [f"chance for a single cosine of unrelated directions, 1/√P: {d.attrs['chance']:.3f}; {d.attrs['permuted']}"]
    made, refused = np.isfinite(d["accepted"].values), int((d["accepted"].values == 0).sum())
    if refused:
        lines.append(f"{refused} of {int(made.sum())} steps were refused by the line search; the proposed ones stand here")
    if d.attrs.get("left_out"):
        lines.append(f"left out: {d.attrs['left_out']}")
    return lines
