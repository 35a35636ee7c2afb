"""What happens along a line from θ_k? Functions from stored slices and films to figures; none saves anything.

Unlike a surface a slice holds still: the step and the random directions have one norm, every line has its band, and the
step's rank among the directions is stated."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from tfpg.errors import UserError, nearest
from tfpg.report import captions, fields, sheets
from tfpg.report.captions import INTERVAL, ORIGIN

_STEP, _RANDOM = "the algorithm's step", "random directions (shaded: their range)"
_DIFFERENCE = r"95 % interval of the difference to $\theta_k$"
_DASHED = (0, (5, 2))
_GREY, _DARK, _AGAIN = "0.62", "0.25", "#7b3294"  # random directions; held-out pairs; a step made again
_MARK: dict[str, Any] = {"marker": "o", "color": "white", "markeredgecolor": "black", "markersize": 7, "linestyle": "none", "zorder": 6}
_BY = {"slope": ("slope", "slope of the return, a step"), "gain": ("at_one", "gain of a full step, J(t = 1) − J(0)")}


def slices(dataset: xr.Dataset, *, by: str = "slope", title: str | None = None) -> Figure:
    """The step against random directions of equal norm, a row for each update: return, surrogate, slopes in order.

    Args: by: what the right panel ranks, "slope" at the origin or "gain" of a full step.
    Errors: UserError when the Dataset is of another kind."""
    fields.needed(dataset, "mean_return", "slice")
    fields.needed(dataset, "direction", "slice")
    if by not in _BY:
        raise UserError(f"slices cannot be ranked by {by!r}: {nearest(by, _BY)}")
    rows = fields.updates(dataset)
    with_surrogate, ranked = "surrogate" in dataset, _BY[by][0] in dataset
    widths = [1.2] + [1.0] * with_surrogate + [0.8] * ranked
    figure = sheets.blank(3.5 * len(rows))
    strips = sheets.rows(figure, [captions.sentence(captions.described(each)) for each in rows])
    for strip, update in zip(strips, rows, strict=True):
        panels = strip.subplots(1, len(widths), width_ratios=widths, squeeze=False)[0]
        _returns(panels[0], update)
        if with_surrogate:
            _surrogates(panels[1], update)
            panels[1].set_xlim(panels[0].get_xlim())
        if ranked:
            _ranks(panels[-1], update, by)
    notes = captions.samples([dataset]) + _ends(dataset)
    notes += captions.surrogate_samples(dataset) if with_surrogate else []
    title = title or f"Along the step and random directions{_likeness(dataset)}: {captions.subject(dataset)}"
    return sheets.finish(figure, title, notes, warnings=captions.warnings([dataset]))


def film(dataset: xr.Dataset, *, title: str | None = None) -> Figure:
    """The return on the straight line from θ_k to a later θ of the same run."""
    fields.needed(dataset, "mean_return", "film")
    colour, later = captions.colour(dataset), dataset.attrs.get("to_iteration")
    figure = sheets.blank(3.9, width=8)
    axes = figure.subplots()
    ts, values, low, high = _lines(dataset, "t")
    _band(axes, ts, low, high, colour)
    axes.plot(ts, values, color=colour, linewidth=2, marker="o", markersize=3.5, label="return on the line")
    first = dataset.attrs.get("iteration")
    for t, name in ((0, rf"$\theta_k$, iteration {first}"), (1, f"iteration {later}")):
        value = np.interp(t, ts, values, left=np.nan, right=np.nan)
        if np.isfinite(value):
            axes.plot(t, value, **_MARK)
            axes.axvline(t, color=_DARK, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)
            axes.annotate(name, (t, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
                          ha={ts[0]: "left", ts[-1]: "right"}.get(t, "center"), fontsize=sheets.SMALL)
    axes.set_xlabel(rf"t, from $\theta_k$ (0) to $\theta$ of iteration {later} (1)", fontsize=sheets.MEDIUM)
    axes.set_ylabel(fields.RETURN, fontsize=sheets.MEDIUM)
    _dress(axes)
    notes = captions.samples([dataset])
    difference = dataset.attrs.get("action_difference")
    if difference is not None:
        notes.append(r"the later policy is seen through the normaliser of $\theta_k$: "
                     f"its actions differ by {float(difference):.2g} at most")
    title = title or f"From iteration {first} to {later}: {_without_iteration(dataset)}"
    return sheets.finish(figure, title, notes, warnings=captions.warnings([dataset]))


def _returns(axes: Axes, update: xr.Dataset) -> None:
    """The return along every direction, the step's thick and with its band."""
    ts, values, low, high = _lines(update, "direction", "t")
    (low, high), (step, random, again) = _differences(update, values, low, high), _directions(update)
    colour, band = captions.colour(update), _DIFFERENCE if "gain" in update else INTERVAL
    if random.size:
        known = np.isfinite(values[random]).any(axis=0)
        others = values[random][:, known]
        axes.fill_between(ts[known], np.nanmin(others, axis=0), np.nanmax(others, axis=0), color="0.88", linewidth=0,
                          zorder=1)
        lines = axes.plot(ts, values[random].T, color=_GREY, linewidth=0.7, zorder=2)
        lines[0].set_label(f"{random.size} {_RANDOM}")
    _band(axes, ts, None if low is None else low[step], None if high is None else high[step], colour, label=band)
    axes.plot(ts, values[step], color=colour, linewidth=2.4, zorder=4, label=_STEP)
    for index in again:
        _band(axes, ts, None if low is None else low[index], None if high is None else high[index], _AGAIN, alpha=0.15, label="_")
        axes.plot(ts, values[index], color=_AGAIN, linestyle="-.", linewidth=1.9, zorder=4,
                  label=f"direction of the {fields.texts(update, 'label')[index]}")
    for place, full in enumerate(_full_steps(update)[:len(again)]):
        axes.plot(full, np.interp(full, ts, values[again[place]]), marker="D", color=_AGAIN, markeredgecolor="black", markersize=5,
                  linestyle="none", zorder=5, label="end of the recomputed step itself")
    _mark(axes, ts, values[step])
    axes.set_ylabel(fields.RETURN, fontsize=sheets.MEDIUM)
    axes.set_title("True return", fontsize=sheets.MEDIUM)
    axes.set_xlabel(_distance(update), fontsize=sheets.SMALL)
    _dress(axes)


def _surrogates(axes: Axes, update: xr.Dataset) -> None:
    """What the algorithm optimises, along the step, on both pools; along steps made again on held-out pairs, which neither was
    chosen on."""
    (objective, _), (step, _, again) = fields.objectives(update), _directions(update)
    lines = update.sortby("t").isel(objective=fields.texts(update, "objective").index(objective))
    chosen = lines.isel(direction=step)
    ts, colour = np.asarray(chosen["t"], np.float64), captions.colour(update)
    for index, pool in enumerate(fields.texts(update, "pool")):
        one = chosen.isel(pool=index)
        shade, line = (colour, "-") if pool == "train" else (_DARK, _DASHED)
        _band(axes, ts, *fields.bounds(one, "surrogate", "t"), shade, alpha=0.18, label="_")
        values = fields.present(one, "surrogate", "t")
        axes.plot(ts, values, color=shade, linestyle=line, linewidth=1.9,
                  label=f"surrogate, {captions.pool(pool, update)}")
    for index in again if "heldout" in fields.texts(update, "pool") else ():
        other = lines.isel(direction=index, pool=fields.texts(update, "pool").index("heldout"))
        _band(axes, ts, *fields.bounds(other, "surrogate", "t"), _AGAIN, alpha=0.15, label="_")
        axes.plot(ts, fields.present(other, "surrogate", "t"), color=_AGAIN, linestyle="-.", linewidth=1.6,
                  label=f"held-out pairs, {fields.texts(update, 'label')[index]}")
    axes.axhline(0, color=_DARK, linewidth=0.9, zorder=1)
    _mark(axes, ts, values)
    axes.set_title(f"Surrogate along the step ({objective})", fontsize=sheets.MEDIUM)
    axes.set_xlabel(_distance(update), fontsize=sheets.SMALL)
    _dress(axes)


def _ranks(axes: Axes, update: xr.Dataset, by: str) -> None:
    """Every direction's slope or gain with its interval, in order, the step's large."""
    name, label = _BY[by]
    values, (low, high) = fields.present(update, name, "direction"), fields.bounds(update, name, "direction")
    step, random, again = _directions(update)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known])]
    places = np.arange(len(order))
    own = {step: captions.colour(update), **dict.fromkeys(again.tolist(), _AGAIN)}  # the steps; all others are random
    colours = [own.get(index, _GREY) for index in order.tolist()]
    if low is not None and high is not None:
        widths = [2.2 if index in own else 1.0 for index in order.tolist()]
        axes.hlines(places, low[order], high[order], colors=colours, linewidth=widths, zorder=2)
        axes.plot([], [], color=_GREY, linewidth=1, label=INTERVAL)
    axes.scatter(values[order], places, color=colours, s=[48 if index in own else 14 for index in order.tolist()], zorder=3)
    axes.axvline(0, color=_DARK, linewidth=0.9, zorder=1)
    between = sheets.interval(*(fields.scalar(update, f"rank_{by}_{side}") for side in ("low", "high")))
    axes.set_title("\n".join([_rank(values, step, random) + between, *_ranks_again(update, by)]), fontsize=sheets.MEDIUM)
    axes.set_xlabel(label, fontsize=sheets.SMALL)
    axes.set_ylabel("directions, in order", fontsize=sheets.SMALL)
    sheets.tidy(axes)
    sheets.ticks(axes.xaxis, 5)
    axes.set_yticks([])


def _lines(dataset: xr.Dataset, *dims: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]:
    """t; the mean return along it, and its interval, NaN where a point is not computed."""
    dataset = dataset.sortby("t")
    values, done = fields.present(dataset, "mean_return", *dims), fields.array(dataset, "done", *dims)
    known = np.ones_like(values, bool) if done is None else done != 0
    low, high = (None if end is None else np.where(known, end, np.nan) for end in fields.bounds(dataset, "mean_return", *dims))
    return np.asarray(dataset["t"], np.float64), np.where(known, values, np.nan), low, high


def _differences(
        update: xr.Dataset, values: np.ndarray, low: np.ndarray | None, high: np.ndarray | None) -> tuple[np.ndarray | None, ...]:
    """The interval of J − J(θ_k), laid around J(θ_k) as it is: what decides whether a line rises. That of J where the difference
    is not known."""
    update = update.sortby("t")
    ends, zero = fields.bounds(update, "gain", "direction", "t"), np.flatnonzero(np.isclose(update["t"], 0))
    if ends[0] is None or not zero.size:
        return low, high
    known = np.isfinite(values)
    return tuple(np.where(known, values[:, zero] + end, np.nan) for end in ends)


def _directions(update: xr.Dataset) -> tuple[int, np.ndarray, np.ndarray]:
    """Which direction is the step, which are random, and which are the step made again from other pairs."""
    labels = fields.texts(update, "label") if "label" in update else []
    step = labels.index("step") if "step" in labels else 0
    again = np.array([role == "recomputed" for role in fields.texts(update, "role")] if "role" in update else
                     [False] * update.sizes["direction"])
    others = np.delete(np.arange(len(again)), step)
    return step, others[~again[others]], others[again[others]]


def _rank(values: np.ndarray, step: int, random: np.ndarray) -> str:
    others = values[random][np.isfinite(values[random])]
    if not np.isfinite(values[step]) or not others.size:
        return "the step has no rank yet"
    return f"step ranks {1 + int((others > values[step]).sum())} of {1 + others.size}"


def _ranks_again(update: xr.Dataset, by: str) -> list[str]:
    """The places of the steps made again, each among itself and the random directions."""
    places = fields.array(update, f"rank_{by}_recomputed", "recomputed")
    if places is None:
        return []
    ends = fields.ends(update, f"rank_{by}_recomputed", "recomputed")
    return [f"made again: {place:.0f}{sheets.interval(*between)}" for place, *between in zip(places, *ends, strict=True)]


def _full_steps(update: xr.Dataset) -> list[float]:
    """Where on their lines the steps made again end, which were brought to the first step's norm: t."""
    norms = fields.array(update, "move_norm", "move")
    return [] if norms is None else (norms[1:] / norms[0]).tolist()


def _ends(dataset: xr.Dataset) -> list[str]:
    """What whole steps change, from more episodes than a line's points have."""
    if "end_gain" not in dataset:
        return []
    gains, (low, high) = fields.present(dataset, "end_gain", "move"), fields.ends(dataset, "end_gain", "move")
    labels, pairs = fields.texts(dataset, "move_kind"), fields.present(dataset, "move_pairs", "move")
    counts = fields.present(dataset, "end_gain_count", "move")
    said = [f"{captions.step(*what)} {sheets.signed(gain)}{sheets.interval(*ends)}"
            for what, gain, *ends in zip(zip(labels, pairs, strict=True), gains, low, high, strict=True)]
    return [f"whole steps, {counts.max():,.0f} episodes each: {'; '.join(said)}"]


def _likeness(dataset: xr.Dataset) -> str:
    """What the directions have in common, so that t compares them."""
    if "norm" in dataset:
        norms = np.asarray(dataset["norm"].values, np.float64)
        return " of equal norm" if np.allclose(norms, norms.flat[0]) else ""
    return {"step": " of equal norm", "kl": " of equal mean KL"}.get(str(dataset.attrs.get("norm")), "")


def _distance(update: xr.Dataset) -> str:
    norm = fields.scalar(update, "step_norm")
    return "t (1 = a full step" + (f", norm {sheets.number(norm, 2)})" if np.isfinite(norm) else ")")


def _mark(axes: Axes, ts: np.ndarray, values: np.ndarray) -> None:
    value = np.interp(0, ts, values, left=np.nan, right=np.nan)
    if np.isfinite(value):
        axes.plot(0, value, **_MARK, label=ORIGIN)
    if ts[0] <= 1 <= ts[-1]:
        axes.axvline(1, color=_DARK, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1, label="full step")


def _band(axes: Axes, ts: np.ndarray, low: np.ndarray | None, high: np.ndarray | None, colour: str, alpha: float = 0.25,
          label: str = INTERVAL) -> None:
    if low is not None and high is not None:
        axes.fill_between(ts, low, high, color=colour, alpha=alpha, linewidth=0, zorder=3, label=label)


def _dress(axes: Axes) -> None:
    sheets.tidy(axes)
    sheets.ticks(axes.xaxis)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}".replace("-", "−")))
    axes.margins(x=0.02)


def _without_iteration(dataset: xr.Dataset) -> str:
    return ", ".join(part for part in captions.subject(dataset).split(", ") if not part.startswith("iteration"))
