"""What happened inside one run? PPO by epochs, TRPO's promises against what came, and what the normaliser's own update did.

A Dataset in, a Figure out; nothing is saved."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tfpg.numerics.running import running_mean
from tfpg.report.captions import named
from tfpg.report.figures import PALETTE
from tfpg.report.trust_regions import BOUND, POOLS, log_scale

WINDOW, LONG = 10, 50  # runs so long are shown as running means, so wide
_LINES = {"train": "-", "heldout": (0, (3, 1.5))}
_EPOCHS = 4  # curves of a panel


def inside(dataset: xr.Dataset) -> Figure:
    """One run from within, on four panels.

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
    figure.suptitle(f"{named(attrs['preset'])} on {attrs['task']}, seed {attrs['run_seed']}: {count} iterations of "
                    f"{int(dataset['pairs'][0, 0]):,} pairs{smooth}")
    return figure


def _epoch_kl(axes: Axes, dataset: xr.Dataset) -> None:
    _epochs(axes, dataset, "epoch_mean_kl")
    axes.set(title="Mean KL after epochs", ylabel="nats", xlabel="iteration")


def _epoch_ratio(axes: Axes, dataset: xr.Dataset) -> None:
    _epochs(axes, dataset, "epoch_max_ratio")
    log_scale(axes, (1, 1.2, 1.5, 2, 3, 5, 7))
    _bounds(axes, dataset)
    axes.set(title="Largest ratio after epochs (1 + ε dotted)", ylabel="ratio", xlabel="iteration")


def _epochs(axes: Axes, dataset: xr.Dataset, name: str) -> None:
    epochs = np.unique(np.geomspace(1, dataset.sizes["epoch"], _EPOCHS).round().astype(int))
    base = PALETTE.get(dataset.attrs["preset"], "#000000")
    for i, epoch in enumerate(epochs):
        axes.plot(dataset["iteration"], _smooth(dataset[name].sel(epoch=epoch).values), color=base, linewidth=1.1,
                  alpha=0.25 + 0.75 * (i + 1) / len(epochs), label=f"epoch {epoch}")
    log_scale(axes)
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
    axes.plot([0, high], [0, high], color="0.25", **BOUND)


def _shares(axes: Axes, dataset: xr.Dataset) -> None:
    for (name, words), pool in itertools.product(
            (("outside_fraction", "outside [1 − ε, 1 + ε]"), ("without_gradient", "without gradient")), _LINES):
        values = dataset[name].sel(pool=pool).values
        known = np.isfinite(values)
        if known.any():
            colour = "#0072B2" if name == "outside_fraction" else "#D55E00"
            axes.plot(dataset["iteration"].values[known], values[known], color=colour, linestyle=_LINES[pool], linewidth=0.9,
                      label=f"{words}, {POOLS[pool].removeprefix('on ')}")
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
    log_scale(axes)
    _spare(axes, np.concatenate(shown))
    axes.set(title="Mean KL between one iteration's policy and the next", xlabel="iteration", ylabel="nats")


def _bounds(axes: Axes, dataset: xr.Dataset) -> None:
    if "ratio_high" in dataset:
        axes.axhline(float(dataset["ratio_high"][0]), color="0.25", **BOUND)


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
