"""What does a figure say of its sample? Subject, sample sizes, uncertainty and warnings of results, as words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from tfpg.report.fields import RETURN, Field, array, bounds, kind, refused, scalar, texts, updates
from tfpg.report.figures import PALETTE
from tfpg.report.sheets import interval, joined, number, signed

INTERVAL, ORIGIN = "95 % interval", r"origin $\theta_k$"
_NAMES = {"ppo_noclip": "PPO-NoClip", "ppo_bare": "PPO-bare"}
_POOLS = {"train": "the update's own pairs", "heldout": "held-out pairs"}
_NOISES = {"common": "common random numbers", "independent": "independent random numbers"}


def agent(dataset: xr.Dataset) -> str:
    """PPO-M, from the preset."""
    return named(str(dataset.attrs.get("preset") or dataset.attrs.get("algorithm", "")))


def named(preset: str) -> str:
    """PPO-M for ppo_m, TRPO+ for trpo_plus, as the papers have them."""
    preset, colon, changed = preset.partition(":")  # ppo: anneal=false, a variant of it
    return (_NAMES.get(preset) or preset.upper().replace("_PLUS", "+").replace("_", "-")) + colon + changed


def colour(dataset: xr.Dataset) -> str:
    """The colour that the preset has in every figure."""
    return PALETTE.get(str(dataset.attrs.get("preset")), "#000000")


def subject(dataset: xr.Dataset) -> str:
    """Hopper-v5, PPO-M, seed 0, iteration 150."""
    which = {"seed": dataset.attrs.get("run_seed"), "iteration": dataset.attrs.get("iteration")}
    parts = [str(dataset.attrs.get("task", "")), agent(dataset),
             *(f"{name} {index}" for name, index in which.items() if index is not None)]
    return ", ".join(part for part in parts if part)


def described(dataset: xr.Dataset) -> str:
    """An update in words: the run's own step from 2,048 pairs."""
    return step(kind(dataset), scalar(dataset, "update")) + (", refused: its norm is 0" if refused(dataset) else "")


def step(label: str, pairs: float) -> str:
    """A step by its label and the pairs behind it, where they are known. Args: pairs: NaN or 0 where they are not."""
    words = "the run's own step" if label == "stored" else f"{label} step"
    return f"{words} from {pairs:,.0f} pairs" if np.isfinite(pairs) and pairs else words


def pool(name: str, update: xr.Dataset) -> str:
    """Which pairs a surrogate was measured on, in words; a step from elsewhere was not made from those of the run's update."""
    return "pairs of the run's update" if name == "train" and kind(update) == "given" else _POOLS.get(name, name)


def sentence(words: str) -> str:
    """With a capital."""
    return words[:1].upper() + words[1:]


def change(field: Field, dataset: xr.Dataset) -> str:
    """The origin's value and what the full step changes, with their intervals, where they are points of the grid."""
    dataset = dataset.sortby(["x", "y"])
    origin, full = _index(field, 0, 0), _index(field, 1, 0)
    sentences = []
    if not field.surrogate and field.name != RETURN:
        return ""
    if origin and not field.surrogate and np.isfinite(field.values[origin]):
        sentences.append(rf"$J(\theta_k)$ = {number(field.values[origin])}" + _between((field.low, field.high), origin))
    gains = field.values if field.surrogate else array(dataset, "gain", "y", "x")
    if full and gains is not None and np.isfinite(field.values[full]) and not field.refused:
        ends = (field.low, field.high) if field.surrogate else bounds(dataset, "gain", "y", "x")
        sentences.append(f"full step {signed(gains[full])}" + _between(ends, full))
    return ", ".join(sentences)


def notes(datasets: Sequence[xr.Dataset], *, spread: bool = True, both: bool = False) -> list[str]:
    """Sample sizes of the returns; pairs, normalisation and origin of the surrogates. Args: both: as of surrogate_samples."""
    played = samples([each for each in datasets if "mean_return" in each], spread=spread)
    surrogates = [each for each in datasets if "surrogate" in each]
    said = [(own(each, datasets), note) for each in surrogates for note in surrogate_samples(each, both=both)]
    alike = len({note for _, note in said}) * len(surrogates) == len(said)
    return played + list(dict.fromkeys(note if alike else f"{name}: {note}" for name, note in said))


def samples(datasets: Sequence[xr.Dataset], *, spread: bool = True) -> list[str]:
    """Sample size and uncertainty of returns in one line, for the caption; no line where nothing is known.

    Args: spread: with the median standard error, which says little where panels differ by it."""
    count, pairs, stderr, alike = (_pooled(datasets, name) for name in (
        "mean_return_count", "pairs", "mean_return_stderr", "correlation"))
    count = count if count.size else np.array([each.attrs["episodes"] for each in datasets if "episodes" in each.attrs])
    parts = [f"{_range(count)} episode{'s' if count.max() > 1 else ''} a point"] if count.size else []
    parts += [f"actual pairs {_range(pairs)} a point, {number(pairs.sum())} in all"] if pairs.size else []
    parts += [f"median standard error {number(float(np.median(stderr)))}"] if stderr.size and spread else []
    noises = dict.fromkeys(str(each.attrs["noise"]) for each in datasets if "noise" in each.attrs)
    parts += [" and ".join(_NOISES.get(noise, f"{noise} random numbers") for noise in noises)] if noises else []
    parts += [f"median correlation with the origin {np.median(alike):.2f}"] if alike.size else []
    return ["; ".join(parts)] if parts else []


def median(dataset: xr.Dataset, name: str) -> float:
    """The median of a variable over every point that is computed; NaN where there is none."""
    found = _finite(dataset, name)
    return float(np.median(found)) if found.size else np.nan


def surrogate_samples(dataset: xr.Dataset, *, both: bool = False) -> list[str]:
    """Pairs, normalisation and origin of a surrogate, for the caption. Args: both: both objectives are shown, not the optimised
    one alone."""
    parts = []
    steps = updates(dataset)
    given = [each for each in steps if kind(each) == "given"]
    if "surrogate_count" in dataset:
        counts = dataset["surrogate_count"]
        for index, name in enumerate(texts(dataset, "pool")):
            sizes = [f"{size:,.0f}" for size in np.unique(counts.isel(pool=index))]
            # what is chosen on some pairs looks better on them than it is
            chosen = ", on which the step was chosen" if name == "train" and not given else ""
            parts.append(f"{pool(name, (given or steps)[0])}{chosen}: {joined(sizes)}")
    epsilon, advantages = dataset.attrs.get("epsilon"), dataset.attrs.get("advantage_norm")
    if epsilon is not None and np.isfinite(float(epsilon)) and (both or dataset.attrs.get("optimised") != "unclipped"):
        parts.append(f"clipped at 1 ± {float(epsilon):g}")
    return ["; ".join(["surrogate, 0 at the origin", *parts]), *([str(advantages)] if advantages else [])]


def names(datasets: Sequence[xr.Dataset]) -> tuple[str, list[str]]:
    """What all the subjects have in common, and what is each one's own: ("Hopper-v5, PPO", ["iteration 0", …])."""
    parts = [subject(dataset).split(", ") for dataset in datasets]
    common = [part for part in parts[0] if all(part in each for each in parts)]
    return ", ".join(common), [", ".join(part for part in each if part not in common) for each in parts]


def own(dataset: xr.Dataset, datasets: Sequence[xr.Dataset]) -> str:
    """What tells a policy from the others shown."""
    return names([dataset, *datasets])[1][0] or subject(dataset)


def warnings(datasets: Sequence[xr.Dataset], *, of: str = "episodes") -> list[str]:
    """What must be known of a result before it is believed: too few for its intervals, episodes cut short.

    Args: of: what the intervals count, and too few of which were made."""
    found = {f"few {of}": [int(dataset.attrs.get("few_episodes", 0)) > 0 for dataset in datasets],
             "episodes cut short": [bool((_finite(dataset, "cut") > 0).any()) for dataset in datasets]}
    means = {f"few {of}": "intervals can be far too short", "episodes cut short": "their returns are parts"}
    said, own = [], names(datasets)[1]
    for name, flags in found.items():
        flagged = list(dict.fromkeys(each for each, flag in zip(own, flags, strict=True) if flag))
        which = f" ({'; '.join(flagged)})" if not all(flags) and all(flagged) else ""
        said += [f"{name}{which}: {means[name]}"] if any(flags) else []
    return said


def _index(field: Field, x: float, y: float) -> tuple[int, int] | None:
    """Where the grid has the point (x, y)."""
    i, j = np.flatnonzero(np.isclose(field.xs, x)), np.flatnonzero(np.isclose(field.ys, y))
    return (int(j[0]), int(i[0])) if i.size and j.size else None


def _between(ends: tuple[np.ndarray | None, np.ndarray | None], index: tuple[int, int]) -> str:
    low, high = ends
    return "" if low is None or high is None else interval(low[index], high[index])


def _pooled(datasets: Sequence[xr.Dataset], name: str) -> np.ndarray:
    return np.concatenate([_finite(dataset, name) for dataset in datasets] or [np.zeros(0)])


def _finite(dataset: xr.Dataset, name: str) -> np.ndarray:
    """Every finite number of a variable whose point is computed."""
    if name not in dataset:
        return np.zeros(0)
    done = dataset[name] if "done" not in dataset else dataset[name].where(dataset["done"] != 0)
    found = np.asarray(done, np.float64).ravel()
    return found[np.isfinite(found)]


def _range(values: np.ndarray) -> str:
    low, high = values.min(), values.max()
    return f"{low:,.0f}" if round(low) == round(high) else f"{low:,.0f}–{high:,.0f}"
