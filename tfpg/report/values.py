"""What does a value net predict, and what do baselines do to the gradient? Functions from stored studies to figures; none saves.

    study(dataset)            one policy: errors, explained variance, gradients at every size
    by_iteration(datasets)    policies of one run: errors against the iteration, gradients side by side"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from tfpg.errors import UserError
from tfpg.report import captions, fields, sheets
from tfpg.report.captions import INTERVAL

_TARGETS = {"gae": (r"its own target $V_\mathrm{old}+\hat A$", "#5D3A9B"),
            "returns": ("the return to the episode's end", "#E66100")}
_JUDGED = {"train": "fitted\npairs", "heldout": "held-out", "run": "the run's,\nheld-out", "before": "before its\nupdate",
           "true": "V*"}
_BASELINES = {"zero": ("no baseline", "0.5", "o"), "learned": (r"$V_{\phi_k}$", "#5D3A9B", "s"), "true": ("V*", "#117733", "^")}
_FORMS = {"monte_carlo": "Returns less the baseline, un-normalised: one expectation, the baseline changes the variance only",
          "authors": r"Batch-normalised, as the authors: returns for no baseline, GAE($\lambda$) for $V_{\phi_k}$ and V*"}
_POOLS = {"train": ("fitted pairs", (0, (4, 2)), "s"), "heldout": ("held-out pairs", "-", "o")}
_AT = 2000  # pairs that an agent sees, about
_SURE = 0.9  # halves of a reference that agree less make no truth


def study(dataset: xr.Dataset, *, title: str | None = None) -> Figure:
    """One policy. Errors: UserError when the Dataset is of another kind."""
    fields.needed(dataset, "mre", "value")
    figure = sheets.blank(9.6)
    strips = sheets.rows(figure, ["Predictions", *_FORMS.values()], [1.15, 1, 1])
    left, middle, right = strips[0].subplots(1, 3, width_ratios=[1.15, 1.15, 0.8])
    _judged(left, dataset, "mre")
    left.set_title("mean relative error", fontsize=sheets.MEDIUM)
    _log2(left)
    _judged(middle, dataset, "explained_variance")
    middle.set_title("explained variance", fontsize=sheets.MEDIUM)
    _whole(middle)
    _nets(right, dataset)
    for strip, form in zip(strips[1:], _FORMS, strict=True):
        panels = strip.subplots(1, 3)
        panels[2].sharey(panels[1])
        for axes, name, label in zip(panels, ("variance", "cosine", "cosine_reference"), (
                r"tr $\Sigma$ of one pair's share", "cosine of two estimates", "cosine with the reference"), strict=True):
            _sizes(axes, dataset.sel(form=form), name)
            axes.set_title(label, fontsize=sheets.MEDIUM)
            axes.set_xlabel("pairs an estimate", fontsize=sheets.SMALL)
    title = title or f"Value prediction and baselines: {captions.subject(dataset)}"
    return sheets.finish(figure, title, notes(dataset), warnings=warnings(dataset))


def by_iteration(datasets: Sequence[xr.Dataset], *, title: str | None = None) -> Figure:
    """Policies of one run against the iteration. Errors: UserError for policies of several runs."""
    for dataset in datasets:
        fields.needed(dataset, "mre", "value")
    if len({run_of(dataset) for dataset in datasets}) > 1:
        raise UserError("a figure by iteration is of one run: its policies are joined by lines.")
    datasets = sorted(datasets, key=lambda each: each.attrs["iteration"])
    figure = sheets.blank(15)
    what = {"variance": "Variance of one pair's share", "cosine": "Cosine of two estimates"}
    how = {"monte_carlo": "returns less the baseline, un-normalised",
           "authors": r"batch-normalised, returns for no baseline, GAE($\lambda$) for $V_{\phi_k}$ and V*"}
    grid = [(name, form) for form in how for name in what]
    strips = sheets.rows(figure, ["Predictions", *(f"{what[name]}: {how[form]}" for name, form in grid)], [1.2, 1, 1, 1, 1])
    left, right = strips[0].subplots(1, 2)
    _against_iteration(left, datasets, "mre")
    left.set_title("mean relative error", fontsize=sheets.MEDIUM)
    _log2(left)
    _against_iteration(right, datasets, "explained_variance")
    right.set_title("explained variance", fontsize=sheets.MEDIUM)
    _whole(right)
    for strip, (name, form) in zip(strips[1:], grid, strict=True):
        panels = strip.subplots(1, len(datasets), sharey=True, squeeze=False)[0]
        for axes, dataset in zip(panels, datasets, strict=True):
            _sizes(axes, dataset.sel(form=form), name)
            axes.set_title(f"iteration {dataset.attrs['iteration']}", fontsize=sheets.MEDIUM)
    for axes in panels:
        axes.set_xlabel("pairs an estimate", fontsize=sheets.SMALL)
    title = title or f"Value prediction and baselines: {captions.names(datasets)[0] or captions.subject(datasets[0])}"
    return sheets.finish(figure, title, notes(datasets[0], references=False))  # none of its cosines is with one


def run_of(dataset: xr.Dataset) -> tuple[str, ...]:
    """Which run a policy is of: its task, preset and seed."""
    return tuple(str(dataset.attrs.get(name)) for name in ("task", "preset", "run_seed"))


def notes(dataset: xr.Dataset, references: bool = True) -> list[str]:
    """Sample sizes and what was compared. Args: references: whether cosines with references are shown."""
    a = dataset.attrs
    predictions = (f"bars: {INTERVAL}; {int(a['repeats'])} value updates repeated from {int(a['update_pairs']):,} pairs each, "
                   f"judged on these and {int(a['heldout_pairs']):,} held-out pairs; V* fitted to {int(a['fit_pairs']):,} pairs")
    return [predictions, _gradient_note(dataset, references)]


def warnings(dataset: xr.Dataset) -> list[str]:
    """What must be known before cosines with references are believed."""
    lowest = min(half for halves in used_halves(dataset).values() for half in halves.values())
    if not lowest < _SURE:
        return []
    shown = f"{lowest:.2f}".replace("-", "−")
    return [f"references whose halves have cosine {shown}, below .9, are not called the truth: cosines with them are too small"]


def used_halves(dataset: xr.Dataset) -> dict[str, dict[str, float]]:
    """Cosines of the halves of the references that cosines are taken with, by form and baseline.

    Of the first form every baseline has one expectation: V*'s reference, the least noisy, serves all."""
    halves = dataset["reference_split_half"]
    return {form: {baseline: float(halves.sel(form=form, baseline=baseline)) for baseline in baselines}
            for form, baselines in (("monte_carlo", ["true"]), ("authors", list(_BASELINES)))}


def _gradient_note(dataset: xr.Dataset, references: bool) -> str:
    a = dataset.attrs
    other = f", a reference of {int(a['reference_pairs']):,} other pairs" if references else ""
    return (f"gradients: {int(a['estimates'])} estimates of each size{other}; "
            f"dotted: {_AT:,} pairs, and 1/√P, unrelated directions")


def _judged(axes: Axes, dataset: xr.Dataset, name: str) -> None:
    """Every V against both targets."""
    for shift, (target, (label, colour)) in zip((-0.14, 0.14), _TARGETS.items(), strict=True):
        one = dataset.sel(target=target)
        _points(axes, np.arange(len(_JUDGED)) + shift, one.sel(judged=list(_JUDGED)), name, colour, "o", label=f"against {label}")
    axes.set_xticks(range(len(_JUDGED)), _JUDGED.values())
    axes.set_xlim(-0.5, len(_JUDGED) - 0.5)
    _dress(axes)
    axes.tick_params(axis="x", labelsize=sheets.SMALL - 1)


def _nets(axes: Axes, dataset: xr.Dataset) -> None:
    """Explained variance of the returns, on the large pool that nobody was fitted to."""
    names = {"before": "before its\nupdate", "run": "the run's", "true": "V*"}
    _points(axes, np.arange(len(names)), dataset.sel(net=list(names)), "check_explained_variance", _TARGETS["returns"][1], "o")
    axes.set_xticks(range(len(names)), names.values())
    axes.set_xlim(-0.5, len(names) - 0.5)
    count = int(dataset["check_explained_variance_count"].max())
    axes.set_title(f"explained variance of\nthe returns of {count:,} episodes\nthat no net has seen", fontsize=sheets.MEDIUM)
    _dress(axes)
    axes.tick_params(axis="x", labelsize=sheets.SMALL - 1)
    _whole(axes)


def _sizes(axes: Axes, dataset: xr.Dataset, name: str) -> None:
    """A number of gradient estimates against their size, under each baseline."""
    sizes = np.asarray(dataset["size"], np.float64)
    spread = 1.06
    for place, (baseline, (label, colour, marker)) in enumerate(_BASELINES.items()):
        _points(axes, sizes * spread**(place - 1), dataset.sel(baseline=baseline), name, colour, marker, label=label, line=True)
    axes.set_xscale("log")
    if name == "variance":
        axes.set_yscale("log")
        narrow = np.ptp(np.log10(np.clip(axes.get_ylim(), 1e-300, None))) < 1.5
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: sheets.number(y)))
    else:
        axes.axhline(0, color="0.25", linewidth=0.8, zorder=1)
        chance = 1 / np.sqrt(float(dataset.attrs["parameters"]))
        axes.axhline(chance, color="0.25", linestyle=(0, (1, 2)), linewidth=1.2, zorder=1)
    axes.axvline(_AT, color="0.25", linestyle=(0, (1, 2)), linewidth=1.2, zorder=1)
    axes.set_xticks(sizes, [f"{size / 1000:g}k" if size >= 1000 else f"{size:g}" for size in sizes])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()
    _dress(axes)


def _against_iteration(axes: Axes, datasets: Sequence[xr.Dataset], name: str) -> None:
    """Both targets on both pools, and V* against the returns: what could be known of them."""
    places = np.array([dataset.attrs["iteration"] for dataset in datasets], np.float64)
    joined = xr.concat([dataset[[name + suffix for suffix in ("", "_low", "_high")]] for dataset in datasets], "policy",
                       combine_attrs="override")
    shift = 0.006 * max(np.ptp(places), 1)
    for i, (target, (label, colour)) in enumerate(_TARGETS.items()):
        for j, (pool, (words, line, marker)) in enumerate(_POOLS.items()):
            _points(axes, places + shift * (2 * i + j - 2), joined.sel(target=target, judged=pool), name, colour, marker,
                    label=f"against {label}, {words}", line=line)
    _points(axes, places + 2 * shift, joined.sel(target="returns", judged="true"), name, "#117733", "^",
            label="V* against the return, held-out pairs", line=(0, (1, 1)))
    axes.set_xticks(places)
    axes.set_xlabel("iteration", fontsize=sheets.SMALL)
    _dress(axes)


def _points(axes: Axes, places: np.ndarray, dataset: xr.Dataset, name: str, colour: str, marker: str, *, label: str | None = None,
            line=None) -> None:
    """Values with their intervals. Args: line: a line style; True: a plain one; None: none."""
    values, low, high = (np.ravel(np.asarray(dataset[name + suffix], np.float64)) for suffix in ("", "_low", "_high"))
    axes.vlines(places, low, high, color=colour, linewidth=1.4, alpha=0.75, zorder=2)
    axes.plot(places, values, color=colour, marker=marker, markersize=4.5, linewidth=1.3, zorder=3, label=label,
              linestyle="none" if line is None else "-" if line is True else line)


def _log2(axes: Axes) -> None:
    axes.set_yscale("log", base=2, nonpositive="mask")  # an interval that reaches 0 goes to the foot of the panel
    axes.yaxis.set_major_locator(LogLocator(base=2))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}" if y >= 1 else f"1/{1 / y:g}"))


def _whole(axes: Axes) -> None:
    """Explained variance: 1 is perfect, 0 a constant; one wild value must not flatten the rest."""
    axes.axhline(0, color="0.25", linewidth=0.8, zorder=1)
    axes.set_ylim(max(-1.0, axes.get_ylim()[0]), 1.05)


def _dress(axes: Axes) -> None:
    sheets.tidy(axes)
