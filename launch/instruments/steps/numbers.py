"""What do the steps of runs say, in a few lines? Every mean gain with its interval, what it is of, and what it could have found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from launch.shared.tables import aligned
from tfpg.shown import rough

_HEAD = ("around", "updates", "mean gain", "of the final", "", "drops", "freed", "between", "correlation", "finds", "learning curve")


def report(datasets: Sequence[xr.Dataset]) -> str:
    """A table of all runs, a line a checkpoint, and what its columns are."""
    rows = [row for dataset in datasets for row in _rows(dataset)]
    table, lines = iter(aligned([_HEAD, *rows], left=(0, 4))), []
    head = next(table)
    for dataset in datasets:
        attrs = dataset.attrs
        lines += [(f"{attrs['preset']} on {attrs['task']}, seed {attrs['run_seed']}: final return {float(attrs['final_return']):,.0f}, margin "
                   f"±{rough(float(attrs['margin']))}, {int(attrs['episodes']):,} episodes of both ends of every update"), f"  {head}",
                  *(f"  {next(table)}" for _ in range(dataset.sizes["checkpoint"]))]
    few = [name for name, words in (("few episodes", "few_episodes"), ("few updates", "few_updates"))
           if any(int(dataset.attrs[words]) for dataset in datasets)]
    refused = sum(int(((d["iteration"] >= 0) & (d["moved"] == 0)).sum()) for d in datasets)
    return "\n".join([
        *lines, *([f"{' and '.join(few)}: intervals can be far too short, and say little of other updates"] if few else []),
        *([f"{refused} updates did not move the policy: their gain is exactly 0"] if refused else []),
        "mean gain: of J(θ_{i+1}) − J(θ_i) over the updates, 95 % of Student's t over them; raises, lowers: it lies beyond the margin",
        "drops: updates whose return was seen to fall, which the episodes' noise draws towards ½; freed: of it, if gains are normal",
        "between: standard deviation of the true gains; correlation: of both ends' returns; finds: the mean gain that shows with",
        "probability .8, by the spread seen; learning curve: slope of a line through the run's own returns over the same window,",
        "the mean gain of all its updates where that is straight, but for what moving the normaliser between iterations does"])


def _rows(dataset: xr.Dataset) -> list[tuple[str, ...]]:
    margin, final = float(dataset.attrs["margin"]), float(dataset.attrs["final_return"])
    rows: list[tuple[str, ...]] = []
    for k in dataset["checkpoint"].values:
        part = dataset.sel(checkpoint=k)
        mean, low, high = (float(part[f"mean_gain{end}"]) for end in ("", "_low", "_high"))
        between, known = float(part["variance_between"]), part["correlation"].values[np.isfinite(part["correlation"].values)]
        slope = [float(part[f"curve_slope{end}"]) if "curve_slope" in part else np.nan for end in ("", "_low", "_high")]
        share = f"{100 * mean / abs(final):+.2g} %" if final else ""  # of a final return of 0 nothing is a share
        rows.append((str(int(k)), str(int((part["iteration"] >= 0).sum())), _interval(mean, low, high), share,
                     said(low, high, margin), f"{100 * float(part['drops']):.0f} %", _share(float(part["drops_freed"])),
                     f"{np.sqrt(between):,.3g}" if between > 0 else "unknown", f"{known.mean():.2f}" if known.size else "",
                     _number(float(part["detectable"])), _interval(*slope) if np.isfinite(slope).all() else ""))
    return rows


def said(low: float, high: float, margin: float) -> str:
    """What an interval says of the mean gain."""
    words = {"raises": low > margin, "lowers": high < -margin, "neither": low > -margin and high < margin, "does not raise": high < margin,
             "does not lower": low > -margin}
    return next((word for word, true in words.items() if true), "undecided")


def _interval(mean: float, low: float, high: float) -> str:
    return f"{'+' if mean > 0 else ''}{_number(mean)} [{_number(low)}, {_number(high)}]"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _share(value: float) -> str:
    return f"{100 * value:.0f} %" if np.isfinite(value) else "unknown"
