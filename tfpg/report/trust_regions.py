"""What do trust regions look like? Several agents of several algorithms beside each other, and the inside of one run.

Datasets in, Figures out; nothing is saved. Colours are those of figures.PALETTE, an algorithm one everywhere."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter

from tfpg.report.figures import PALETTE, running_mean

_BOUND = {"linestyle": (0, (1, 2)), "linewidth": 1.4, "zorder": 1.5}
_USUAL_RATIO = 1.2  # the published figures draw it for every algorithm
_ROWS = {"mean_return": "mean return of episodes", "mean_kl": r"mean KL($\pi_\mathrm{old}$ ‖ $\pi_\mathrm{new}$), nats",
         "max_ratio": r"max $\pi_\mathrm{new}(a|s)$ / $\pi_\mathrm{old}(a|s)$"}
_LINES = {"train": "-", "heldout": (0, (3, 1.5))}
_WORDS = {"train": "on the update's own pairs", "heldout": "on held-out pairs"}
_EPOCHS = 4  # curves of a panel
_EACH = 5  # fewer agents are also drawn one by one: a band of so few is wide, and says little of where they are
WINDOW, LONG = 10, 50  # runs so long are shown as running means, so wide


def over_seeds(found: xr.Dataset, *, title: str | None = None) -> Figure:
    """Mean return, mean KL and largest ratio against environment steps: two columns a task, the updates' own pairs and held-out
    ones (one where none were looked at), a colour an algorithm.

    Args: found: of diagnostics.trust_regions.over_agents.over_seeds."""
    pools = [pool for pool in _WORDS if pool == "train" or np.isfinite(found["mean_kl"].sel(pool=pool)).any()]
    columns = list(itertools.product(dict.fromkeys(found["task"].values.tolist()), pools))
    figure = Figure(figsize=(max(6.4, 4.4 * len(columns) + 0.8), 9.0), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(_ROWS), len(columns), squeeze=False, sharex="col")
    colours = _colours(found["preset"].values.tolist())
    for column, (task, pool) in enumerate(columns):
        own = found.isel(group=np.flatnonzero(found["task"].values == task))
        for row, name in enumerate(_ROWS):
            axes = grid[row, column]
            for group in range(own.sizes["group"]):
                part = own.isel(group=group)
                _agents(axes, part.sel(pool=pool), name, colours[str(part["preset"].values)], joined=pool == "train")
            _dress(axes, name, own.sel(pool=pools))
        grid[0, column].set_title(f"{task}, {_WORDS[pool]}", fontsize="medium")
        grid[-1, column].set_xlabel("environment steps")
    for row, label in enumerate(_ROWS.values()):
        grid[row, 0].set_ylabel(label)
    handles = [Line2D([], [], color=colour, linewidth=2, label=preset) for preset, colour in colours.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=max(3, len(handles)), frameon=False, fontsize="small",
                  title="\n".join(textwrap.wrap(_caption(found), 34 + 60 * len(columns))), title_fontsize="x-small")
    figure.suptitle(title or "Trust regions", fontweight="bold")
    return figure


def inside(dataset: xr.Dataset) -> Figure:
    """One run from within: PPO by epochs, TRPO's promises against what came, and what the normaliser's own update does.

    Args: dataset: of diagnostics.trust_regions.of_runs.dataset."""
    ppo = "epoch_mean_kl" in dataset
    panels: list[Callable[[Axes, xr.Dataset], None]] = [_epoch_kl, _epoch_ratio] if ppo else [_predicted_kl, _gain]
    panels += [_shares, _normaliser]
    figure = Figure(figsize=(10.5, 7.2), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, panel in zip(figure.subplots(2, 2).flat, panels, strict=True):
        panel(axes, dataset)
        axes.grid(True, color="0.9", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize="x-small", frameon=False, loc="upper right" if panel is _shares else "best")
    attrs, count = dataset.attrs, dataset.sizes["iteration"]
    smooth = f" (curves of KL and ratio: running geometric means of {WINDOW})" if count >= LONG else ""
    figure.suptitle(f"{attrs['preset']} on {attrs['task']}, seed {attrs['run_seed']}: {count} iterations of "
                    f"{int(dataset['pairs'][0, 0]):,} pairs{smooth}")
    return figure


def _agents(axes: Axes, part: xr.Dataset, name: str, colour: str, *, joined: bool) -> None:
    """One algorithm in one pool: the mean of its agents with its band; few agents also one by one."""
    steps, mean = part["env_steps"].values, part[name].values
    known = np.isfinite(mean)
    sparse = not joined or known.sum() < 4
    style = {"marker": "o", "markersize": 2.8} if sparse else {}
    axes.plot(steps[known], mean[known], color=colour, linewidth=0.9 if sparse else 1.5, zorder=3, **style)
    if 1 < int(part["agents"]) < _EACH:
        for agent in part[f"{name}_agents"].values:
            shown = np.isfinite(agent)
            if shown.any():
                axes.plot(steps[shown], agent[shown], color=colour, linewidth=0.6, alpha=0.5, zorder=2)
    low, high = (part[f"{name}_{end}"].values for end in ("low", "high"))
    banded = known & np.isfinite(low)
    if banded.any():
        axes.fill_between(steps[banded], low[banded], high[banded], color=colour, linewidth=0, zorder=1,
                          alpha=0.18 if part["agents"] >= _EACH else 0.07)
    if name == "mean_kl" and np.isfinite(part["delta"]).any():
        known = np.isfinite(part["delta"].values)
        axes.plot(steps[known], part["delta"].values[known], color=colour, **_BOUND)


def _dress(axes: Axes, name: str, own: xr.Dataset) -> None:
    """Scales, bounds and limits of a panel; a task's columns have the same ones.

    The limits are those of lines and bounds: of two agents Student's band is thirteen times as wide as they are apart.
    Args: own: one task, the pools that have columns."""
    axes.grid(True, color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.margins(x=0.01)
    lines = [own[name].values] + [own[f"{name}_agents"].isel(group=group).values for group in range(own.sizes["group"])
                                  if int(own["agents"][group]) < _EACH]
    values = np.concatenate([np.ravel(line) for line in lines])
    values = values[np.isfinite(values)]
    if not values.size:
        return
    if name == "mean_return":
        margin = 0.05 * (np.ptp(values) or 1)
        axes.set_ylim(values.min() - margin, values.max() + margin)
        return
    _log(axes)
    bounds = own["delta" if name == "mean_kl" else "ratio_high"].values
    bounds = sorted(set(bounds[np.isfinite(bounds)].tolist()))
    if name == "mean_kl":
        if not bounds:  # no algorithm with a δ of its own beside
            bounds = [float(own["reference_delta"][0])]
            axes.axhline(bounds[0], color="0.4", **_BOUND)
        # A step size annealed to 0 ends in a KL of 0, which is not to press the rest flat.
        low = min(np.quantile(values, 0.02) / 2, bounds[0] / 1.2)
    else:
        bounds, low = bounds or [_USUAL_RATIO], 1
        for bound in bounds:
            axes.axhline(bound, color="0.25", **_BOUND)
    axes.set_ylim(low, 1.2 * max(values.max(), bounds[-1]))


def _log(axes: Axes, subs: tuple[float, ...] = (1, 2, 5)) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _spare(axes: Axes, values: np.ndarray) -> None:
    """A step size annealed to 0 ends in a KL of 0, which is not to press the rest flat."""
    positive = values[values > 0]
    if positive.size:
        axes.set_ylim(bottom=max(axes.get_ylim()[0], np.quantile(positive, 0.02) / 2))


def _smooth(values: np.ndarray) -> np.ndarray:
    """Running geometric mean where the run is long, of what is positive and finite."""
    known = (values > 0) & np.isfinite(values)
    logs = np.log(np.where(known, values, 1))
    if len(logs) < LONG:
        return np.where(known, values, np.nan)
    with np.errstate(invalid="ignore"):  # 0/0 where a window has nothing
        mean = running_mean(logs, known.astype(np.float64), WINDOW)
    return np.where(known, np.exp(mean), np.nan)


def _caption(found: xr.Dataset) -> str:
    attrs, window = found.attrs, found.attrs["window"]
    held = found["mean_kl_count"].sel(pool="heldout").max("iteration").values
    counts = ", ".join(
        f"{preset} on {task}: {int(n)} agent{'s' if n > 1 else ''}{f' ({int(few)} held-out)' if 0 < few < n else ''}"
        for preset, task, n, few in zip(found["preset"].values, found["task"].values, found["agents"].values, held, strict=True))
    heldout = f", {attrs['pairs_heldout']} held-out" if attrs["pairs_heldout"] else ""
    said = [f"{counts}. {attrs['pairs_train']} pairs an update{heldout}"]
    if "," in attrs["pairs_train"] or attrs["pairs_heldout"] not in ("", attrs["pairs_train"]):
        said.append("largest ratios of unequal numbers of pairs do not compare")
    several = found["agents"].values > 1
    said.append("lines: means over agents (KL and ratio: geometric), "
                + (f"bands: {attrs['intervals']}; limits of the axes are those of the lines (of KL but the lowest 2 %), bands are cut off there"
                   if several.any() else "one agent has no band"))
    if (several & (found["agents"].values < _EACH)).any():
        said.append("thin: each agent")
    if window > 1:
        said.append(f"own pairs: running means of the last {window} iterations (KL and ratio: geometric)")
    if attrs["pairs_heldout"]:
        said.append("held-out pairs: a dot is one iteration, not smoothed")
    if attrs["unmoved"]:
        said.append(f"{attrs['unmoved']} updates that did not move (KL 0) are left out of its mean")
    if attrs["infinite"]:
        said.append(f"{attrs['infinite']} largest ratios are infinite and not drawn")
    return "; ".join(said) + ". Dotted: δ of TRPO in its colour (grey: the δ that TRPO has on the task), 1 + ε."


def _epoch_kl(axes: Axes, dataset: xr.Dataset) -> None:
    _epochs(axes, dataset, "epoch_mean_kl")
    axes.set(title="Mean KL after epochs", ylabel="nats", xlabel="iteration")


def _epoch_ratio(axes: Axes, dataset: xr.Dataset) -> None:
    _epochs(axes, dataset, "epoch_max_ratio")
    _log(axes, (1, 1.2, 1.5, 2, 3, 5, 7))
    _bounds(axes, dataset)
    axes.set(title="Largest ratio after epochs (1 + ε dotted)", ylabel="ratio", xlabel="iteration")


def _epochs(axes: Axes, dataset: xr.Dataset, name: str) -> None:
    epochs = np.unique(np.geomspace(1, dataset.sizes["epoch"], _EPOCHS).round().astype(int))
    base = PALETTE.get(dataset.attrs["preset"], "#000000")
    for i, epoch in enumerate(epochs):
        axes.plot(dataset["iteration"], _smooth(dataset[name].sel(epoch=epoch).values), color=base, linewidth=1.1,
                  alpha=0.25 + 0.75 * (i + 1) / len(epochs), label=f"epoch {epoch}")
    _log(axes)
    _spare(axes, dataset[name].values)


def _predicted_kl(axes: Axes, dataset: xr.Dataset) -> None:
    _against(axes, dataset["predicted_kl"].values, dataset["fisher_kl"].values, "on the states of the Fisher matrix")
    _against(axes, dataset["predicted_kl"].values, dataset["mean_kl"].sel(pool="train").values, "on the whole batch", "^")
    axes.set(title="KL: the quadratic model's against the real one", xlabel="predicted ½ ΔθᵀFΔθ, nats", ylabel="mean KL, nats")


def _gain(axes: Axes, dataset: xr.Dataset) -> None:
    fraction = dataset["accepted_fraction"].values
    _against(axes, dataset["expected_gain"].values * fraction, dataset["actual_gain"].values, "_")
    axes.set(title="Gain of the surrogate: promised against real", xlabel="gᵀΔθ of the applied step", ylabel="L(θ) − L(θ_old)")
    # One outlier of the ratio makes a gain a hundred times as large as was promised: logarithmic beyond what is usual.
    axes.set_xscale("symlog", linthresh=0.1)
    axes.set_yscale("symlog", linthresh=0.1)


def _against(axes: Axes, promised: np.ndarray, real: np.ndarray, label: str, marker: str = "o") -> None:
    axes.plot(promised, real, marker, markersize=2.5, alpha=0.5, linewidth=0, label=label)
    high = float(np.nanmax([*promised, *real, 0]))
    axes.plot([0, high], [0, high], color="0.25", **_BOUND)


def _shares(axes: Axes, dataset: xr.Dataset) -> None:
    for (name, words), pool in itertools.product(
            (("outside_fraction", "outside [1 − ε, 1 + ε]"), ("without_gradient", "without gradient")), _LINES):
        values = dataset[name].sel(pool=pool).values
        known = np.isfinite(values)
        if known.any():
            colour = "#0072B2" if name == "outside_fraction" else "#D55E00"
            axes.plot(dataset["iteration"].values[known], values[known], color=colour, linestyle=_LINES[pool], linewidth=0.9,
                      label=f"{words}, {_WORDS[pool].removeprefix('on ')}")
    axes.set(title="Share of pairs", xlabel="iteration", ylabel="share")
    axes.set_ylim(0, 1.4 * axes.get_ylim()[1])  # room for the legend above the curves


def _normaliser(axes: Axes, dataset: xr.Dataset) -> None:
    shown = []
    for name, label, colour in (("normaliser_mean_kl", "by the normaliser's own update", "#009E73"),
                                ("", "by the update of θ", "0.5")):
        values = dataset[name].values if name in dataset else dataset["mean_kl"].sel(pool="train").values
        if name and name not in dataset:
            continue
        axes.plot(dataset["iteration"], _smooth(values), color=colour, linewidth=1.1, label=label)
        shown.append(values)
    _log(axes)
    _spare(axes, np.concatenate(shown))
    axes.set(title="Mean KL between one iteration's policy and the next", xlabel="iteration", ylabel="nats")


def _bounds(axes: Axes, dataset: xr.Dataset) -> None:
    if "ratio_high" in dataset:
        axes.axhline(float(dataset["ratio_high"][0]), color="0.25", **_BOUND)


def _colours(presets: list[str]) -> dict[str, str]:
    others = itertools.cycle(("#000000", "#7F7F7F", "#8C564B", "#5D3A9B"))
    return {preset: PALETTE.get(preset) or next(others) for preset in dict.fromkeys(presets)}
