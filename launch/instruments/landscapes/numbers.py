"""What do the Datasets of a survey say, in a few lines? Every number with its interval and its sample size."""

from __future__ import annotations

import shutil
import textwrap
from typing import Any

import numpy as np
import xarray as xr

from launch.instruments.landscapes.moves import described
from launch.shared.numbers import digits_for, interval, number, rounded, title
from tfpg.diagnostics.landscapes import post_update
from tfpg.diagnostics.probe import Subject
from tfpg.diagnostics.statistics.estimates import FEW

_POOLS = {"train": "the update's own pairs (a step made from them looks better there than it is)", "heldout": "held-out pairs",
          "given": "the pairs of the run's own update"}  # from which a step that --step gives was not made
RESOLVED = 0.5  # share of the pairs of points in a bin whose order is known: of fewer, those are the lucky ones
_LABEL = 15  # characters of the column that names the surface


def report(subject: Subject, found: dict[str, xr.Dataset], width: int | None = None) -> str:
    """The numbers beside the pictures. Args: width: in characters; None: the terminal's."""
    lines = ["", f"{title(subject)} (95 % intervals in brackets)"]
    width = width or min(max(shutil.get_terminal_size((120, 24)).columns, 60), 120)
    for name, say in (("slices", _slices), ("return", _return), ("surrogate", _surrogate), ("concentration", _concentration),
                      ("updates", _updates), ("film", _film)):
        for place, line in enumerate(say(found[name]) if name in found else []):
            label = f"  {'' if place else name}".ljust(2 + _LABEL)
            lines += textwrap.wrap(line, width, initial_indent=label, subsequent_indent=" " * (4 + _LABEL))
    if refused := {str(d.attrs["refused_steps"]) for d in found.values() if "refused_steps" in d.attrs}:
        lines.append(f"refused by TRPO's line search, norm 0, so not looked at: {', '.join(sorted(refused))}")
    if any("rank correlation" in line for line in lines):
        lines += textwrap.wrap("rank correlations: the intervals say what other episodes would show at these points, and on held-out "
                               "pairs other pairs. The surrogate on the update's own pairs is taken as it is: it was climbed.", width)
    if any("(few)" in line for line in lines):
        lines.append(f"few: with fewer than {FEW} the intervals can be far too short")
    return "\n".join(lines)


def _episodes(count: Any, of: str = "") -> str:
    """547 episodes a point, and whether that is few."""
    return f"{int(count):,} episodes{of}{' (few)' if count < FEW else ''}"


def _slices(d: xr.Dataset) -> list[str]:
    lines = [f"J(θ_k) = {interval(d, 'origin_return', move=0)}, {_episodes(d['origin_return_count'][0])}"]
    lines += [f"J(θ_k + step) − J(θ_k) = {interval(d, 'end_gain', move=i)}, "
              f"{described(d['move_kind'].values[i], int(d['move_pairs'][i]))}{_needed(d, i)}" for i in range(d.sizes["move"])]
    others = d.sizes["direction"] - 1
    roles = d["role"].values if "role" in d else np.array(["step"] + ["random"] * others)  # an older file
    slopes = d["slope"].values[roles == "random"]
    digits = digits_for(float(d["slope_high"][0] - d["slope_low"][0]))
    ends = f", {number(slopes.min(), digits)} to {number(slopes.max(), digits)}" if len(slopes) > 1 else ""
    lines.append(f"slope, reward a step: {interval(d, 'slope', direction=0)} along the step (norm {float(d['norm'][0]):.3g}); "
                 f"along {len(slopes)} random direction{'s' if len(slopes) > 1 else ''} of that norm "
                 f"{interval(d, 'random_slope', digits)}{' on average' if ends else ''}{ends}; "
                 f"{_episodes(d['slope_count'][0], ' a point')}")
    gain = f", {interval(d, 'rank_gain', 0)} by the gain of the full step" if "rank_gain" in d else ""
    lines.append(f"the step's slope less the others' mean: {interval(d, 'slope_difference')}; among the {1 + len(slopes)} "
                 f"directions the step ranks {interval(d, 'rank_slope', 0)} by slope (so high by chance: "
                 f"{float(d['rank_slope_chance'][0]):.2f}){gain}")
    lines += [(f"{d['label'].values[i]}, at the same norm: slope {interval(d, 'slope', digits, direction=i)}, among it and the "
               f"{len(slopes)} random directions it ranks {interval(d, 'rank_slope_recomputed', 0, recomputed=j)}")
              for j, i in enumerate(np.flatnonzero(roles == "recomputed"))]
    if "rank_correlation_along_step" in d:
        lines += _beliefs(d)
    return lines


def _needed(d: xr.Dataset, move: int) -> str:
    """What it takes to know the sign of a gain."""
    if "needed_pairs" not in d:
        return ""
    value, low, high = (float(d[f"needed_pairs{suffix}"][move]) for suffix in ("", "_low", "_high"))
    if not np.isfinite([value, low]).all():
        return ""
    return f"; to order both rightly with probability .95 takes {rounded(value)} [{rounded(low)}, {rounded(high)}] pairs of each"


def _beliefs(d: xr.Dataset) -> list[str]:
    """What the surrogate says of the same lines."""
    lines = []
    for i, pool in enumerate(map(str, d["pool"].values)):
        pool, end = "given" if pool == "train" and d.attrs.get("update_kind") == "given" else pool, ""
        if 1.0 in d["t"].values:
            one = d.sel(t=1.0, objective=d.attrs["optimised"]).isel(direction=0, pool=i)
            end = f"; at the full step it is {float(one['surrogate']):.4f} ± {float(one['surrogate_stderr']):.4f}"
        along, whole = (f"{interval(d, f'rank_correlation_{part}', 2, pool=i)} over the "
                        f"{int(d[f'rank_correlation_{part}_count'][i])} points {where}"
                        for part, where in (("along_step", "along the step"), ("all_lines", "of all lines, which have its norm")))
        lines.append(f"surrogate on {_POOLS.get(pool, pool)}: rank correlation with the return {along}, {whole}{end}")
    return lines


def _return(d: xr.Dataset) -> list[str]:
    lines = []
    for i in range(d.sizes["update"]):
        part = d.isel(update=i)
        error, alike = (float(part[name].median()) if name in part else np.nan
                        for name in ("mean_return_stderr", "correlation"))
        lines.append(f"{described(str(part['update_kind'].values), int(part['update']))}: norm {float(part['step_norm']):.3g}"
                     f"{_kl(part['step_kl'])}, random direction {float(part['random_norm']):.3g}{_kl(part['random_kl'])}; returns "
                     f"{number(part['mean_return'].min())} to {number(part['mean_return'].max())}, median standard error "
                     f"{number(error)}, {_episodes(d.attrs['episodes'], ' a point')}, {int(part['pairs'].sum()):,} pairs"
                     + (f"; median correlation with the centre's episodes {alike:.2f}" if np.isfinite(alike) else ""))
        if cut := int(part["cut"].sum()):
            lines.append(f"{cut:,} episodes were cut by --max_steps: their returns are parts")
    return lines


def _kl(value: xr.DataArray) -> str:
    return f" (mean KL {float(value):.3g})" if np.isfinite(value) else ""


def _surrogate(d: xr.Dataset) -> list[str]:
    lines = []
    for i in range(d.sizes["update"]):
        part = d.sel(objective=d.attrs["optimised"]).isel(update=i)
        for j, pool in enumerate(map(str, d["pool"].values)):
            values, count = part["surrogate"].isel(pool=j), int(np.ravel(part["surrogate_count"].isel(pool=j))[0])
            lines.append(f"{described(str(part['update_kind'].values), int(part['update']))}, {count:,} "
                         f"{'pairs of the update' if pool == 'train' else _POOLS.get(pool, pool)}: {number(values.min(), 3)} to "
                         f"{number(values.max(), 3)}{_alike(part, j)}")
    return [*lines, f"the {d.attrs['optimised']} objective; {d.attrs['advantage_norm']}"]


def _alike(part: xr.Dataset, pool: int) -> str:
    """How far this map is the ground's, over the points of the plane."""
    if "rank_correlation_grid" not in part:
        return ""
    ratio = float(part["random_norm"] / part["step_norm"])
    return (f"; rank correlation with the return over the {int(part['rank_correlation_grid_count'][pool])} points (random axis "
            f"{ratio:.2g} × the step) {interval(part, 'rank_correlation_grid', 2, pool=pool)}")


def _concentration(d: xr.Dataset) -> list[str]:
    lines = []
    for i, size in enumerate(d["size"].values):
        line = f"{int(size):,} pairs a point, {_episodes(d['mean_return_count'][i])}: median standard error "
        line += number(d["mean_return_stderr"].isel(size=i).median())
        if "agreement" in d and np.isfinite(d["agreement"].values[i]):
            line += f"; two points ordered as {d.attrs['reference']} order them: {interval(d, 'agreement', 2, size=i)}"
        if "ordering" in d and np.isfinite(d["ordering"].values[i]):
            line += f", where those are sure {interval(d, 'ordering', 2, size=i)}"
        lines.append(line)
    if "needed_episodes" in d and len(sure := np.flatnonzero(d["resolved_by_gap"].values >= RESOLVED)):
        lines.append("to order two points rightly with probability .95 takes " + ", ".join(
            f"{_needed_pairs(d, i)} nominal pairs of each where they are {number(d['gap'][i], 0)} apart" for i in sorted({sure[0], sure[-1]})))
    return lines


def _needed_pairs(d: xr.Dataset, gap: int) -> str:
    """Of the samples that were looked at, by the law that was fitted to them; beyond them no more than that it is beyond."""
    counts, sizes = d["mean_return_count"].values.astype(float), d["size"].values.astype(float)
    value, low, high = (float(d[f"needed_episodes{suffix}"][gap]) * sizes[-1] / counts[-1] for suffix in ("", "_low", "_high"))
    if value < sizes[0]:
        return f"fewer than {sizes[0]:,.0f}"
    if value > sizes[-1]:
        return f"more than {sizes[-1]:,.0f}"
    return f"{rounded(value)} [{rounded(low)}, {rounded(high)}]"


def _updates(d: xr.Dataset) -> list[str]:
    spread = [np.sqrt(max(float(d[f"variance_{name}"][0]), 0)) for name in ("between", "within")]
    repeats, episodes = d.sizes["repeat"], d.attrs["episodes"]
    gains = (f"{repeats} independent updates{' (few)' if repeats < FEW else ''} of {d.attrs['update_pairs']:,} pairs, {episodes} "
             f"episodes each: mean gain {interval(d, 'mean_gain')}; mean of the worst {100 * d.attrs['cvar_level']:.0f} % "
             f"{interval(d, 'cvar')}, episode noise taken out {interval(d, 'cvar_shrunken')}")
    drops = (f"an update lowers the return with probability {interval(d, 'drop_probability', 2)}, episode noise taken out "
             f"{interval(d, 'drop_probability_normal', 2)}")
    ends = [np.sqrt(max(float(d[f"variance_{name}"][0]), 0)) for name in ("low", "high")]
    spreads = (f"standard deviation between updates {number(spread[0])} [{number(ends[0])}, {number(ends[1])}], of an episode "
               f"{number(spread[1])}; cosine of a step with the others' mean {number(d['cosine'].mean(), 2)}")
    refused = f"; {d.attrs['refused']} of {repeats} updates were refused" if d.attrs["refused"] else ""
    return [gains, drops, spreads + refused, post_update.DRAWN]


def _film(d: xr.Dataset) -> list[str]:
    end = f"gain at its end {interval(d.sel(t=1.0), 'gain')}; " if 1.0 in d["t"].values else ""
    return [(f"on the way to iteration {d.attrs['to_iteration']}: returns {number(d['mean_return'].min())} to "
             f"{number(d['mean_return'].max())}, {_episodes(d.attrs['episodes'], ' a point')}; {end}largest action difference of the "
             f"re-expressed policy {d.attrs['action_difference']:.2g}")]
