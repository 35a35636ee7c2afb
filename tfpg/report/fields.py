"""What of a landscape's Dataset is drawn? Fields on the plane, whatever the order and number of its dimensions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from tfpg.errors import UserError
from tfpg.report.sheets import number

RETURN = "mean episode return"
# What 1 on the random axis is, by convention (EXPERIMENTS §2).
_NORMS = {"step": ", the step's", "filter": ", filter by filter", "kl": ", equal mean KL to the step's"}


class Field(NamedTuple):
    """A function on the plane: arrays [J, I] over ys [J] and xs [I], NaN where nothing is known."""

    xs: np.ndarray
    ys: np.ndarray
    values: np.ndarray
    low: np.ndarray | None  # interval of each value
    high: np.ndarray | None
    alike: np.ndarray | None  # bool: the interval of the difference to the origin contains 0
    name: str  # what the values are, for the colour bar
    surrogate: bool
    step: str  # what (1, 0) is called
    refused: bool  # a step of norm 0: nothing to mark
    x_label: str
    y_label: str
    x_short: str
    y_short: str

    def at(self, x: float, y: float) -> float:
        """The value between the points, bilinearly; NaN outside and beside unknown points."""
        along = [np.interp(x, self.xs, row, left=np.nan, right=np.nan) for row in self.values]
        return float(np.interp(y, self.ys, along, left=np.nan, right=np.nan))


def updates(dataset: xr.Dataset) -> list[xr.Dataset]:
    """The Dataset of each update; one that has no such dimension is one."""
    if "update" not in dataset.dims:
        return [dataset]
    return [dataset.isel(update=index) for index in range(dataset.sizes["update"])]


def array(dataset: xr.Dataset, name: str, *dims: str) -> np.ndarray | None:
    """A variable with its dimensions in that order, as float64; None where the Dataset has none of that name."""
    return present(dataset, name, *dims) if name in dataset else None


def present(dataset: xr.Dataset, name: str, *dims: str) -> np.ndarray:
    """The same of a variable that is there. Errors: KeyError where it is not."""
    return np.asarray(dataset[name].transpose(*dims).values, np.float64)


def needed(dataset: xr.Dataset, name: str, kind: str) -> None:
    """Errors: UserError when the Dataset is of another kind."""
    if name not in dataset and name not in dataset.dims:
        raise UserError(f"this is no {kind} result: it has no variable {name}, but {', '.join(map(str, dataset))}.")


def bounds(dataset: xr.Dataset, name: str, *dims: str) -> tuple[np.ndarray | None, np.ndarray | None]:
    """low and high of an estimate; ± 1.96 standard errors where only those are known; else None."""
    low, high = array(dataset, f"{name}_low", *dims), array(dataset, f"{name}_high", *dims)
    stderr = array(dataset, f"{name}_stderr", *dims)
    if low is not None and high is not None:
        return low, high
    if stderr is None or name not in dataset:
        return None, None
    value = present(dataset, name, *dims)
    return value - 1.96 * stderr, value + 1.96 * stderr


def ends(dataset: xr.Dataset, name: str, *dims: str) -> tuple[np.ndarray, np.ndarray]:
    """The same of an estimate that has them. Errors: KeyError where it has not."""
    low, high = bounds(dataset, name, *dims)
    if low is None or high is None:
        raise KeyError(f"{name}_low")
    return low, high


def of_return(dataset: xr.Dataset) -> Field:
    """The true return of one update's plane."""
    needed(dataset, "mean_return", "return")
    return _field(dataset, "mean_return", difference="gain", name=RETURN, surrogate=False)


def of_variable(dataset: xr.Dataset, name: str) -> Field:
    """Any variable of one plane; <name>_low and _high, or _stderr, are its uncertainty where there are such."""
    needed(dataset, name, "plane")
    text = str(dataset[name].attrs.get("long_name", name))
    return _field(dataset, name, difference="", name=text, surrogate=False)


def of_surrogate(dataset: xr.Dataset, pool: str, objective: str) -> Field:
    """The surrogate of one update, on one pool's pairs. Its own interval is that of the difference: 0 at the origin."""
    needed(dataset, "surrogate", "surrogate")
    for dim, wanted in (("pool", pool), ("objective", objective)):
        if wanted not in texts(dataset, dim):
            raise UserError(f"this surrogate has no {dim} {wanted!r}, but {', '.join(texts(dataset, dim))}.")
    chosen = dataset.isel(pool=texts(dataset, "pool").index(pool),
                          objective=texts(dataset, "objective").index(objective))
    return _field(chosen, "surrogate", difference="surrogate", name=f"{objective} surrogate", surrogate=True)


def objectives(dataset: xr.Dataset) -> tuple[str, list[str]]:
    """The objective that the algorithm optimises, and the others."""
    known = texts(dataset, "objective")
    optimised = str(dataset.attrs.get("optimised", known[0]))
    return optimised, [each for each in known if each != optimised]


def texts(dataset: xr.Dataset, dim: str) -> list[str]:
    """A text coordinate as a list."""
    return [text(label) for label in dataset[dim].values]


def text(value: Any) -> str:
    """Text as NetCDF may give it."""
    value = value.item() if isinstance(value, np.generic | np.ndarray) else value
    return value.decode() if isinstance(value, bytes) else str(value)


def scalar(dataset: xr.Dataset, name: str) -> float:
    """A number of one update, from a variable or an attribute; NaN where there is none."""
    found = dataset[name].values if name in dataset else dataset.attrs.get(name, np.nan)
    return float(np.ravel(found)[0]) if np.size(found) == 1 else np.nan


def norm(dataset: xr.Dataset, name: str, axis: str) -> float:
    """What 1 on an axis is long; the axis itself may say so."""
    found = scalar(dataset, name)
    return found if np.isfinite(found) or axis not in dataset else float(dataset[axis].attrs.get("norm", np.nan))


def kind(dataset: xr.Dataset) -> str:
    """stored, proposed, recomputed or given."""
    found = dataset["update_kind"].values if "update_kind" in dataset else dataset.attrs.get("update_kind", "stored")
    return text(found)


def refused(dataset: xr.Dataset) -> bool:
    """Whether the step has norm 0: TRPO's line search, or a curvature that was not positive, left the policy."""
    return norm(dataset, "step_norm", "x") == 0


def _field(dataset: xr.Dataset, variable: str, *, difference: str, name: str, surrogate: bool) -> Field:
    dataset = dataset.sortby(["x", "y"])
    size = f"{dataset.sizes['x']}×{dataset.sizes['y']}"
    if min(dataset.sizes["x"], dataset.sizes["y"]) < 2:
        raise UserError(f"a surface needs at least two points on each axis, and this one has {size}.")
    values = present(dataset, variable, "y", "x")
    done = array(dataset, "done", "y", "x")
    known = np.isfinite(values) if done is None else np.isfinite(values) & (done != 0)
    low, high, difference_low, difference_high = (
        None if found is None else np.where(known, found, np.nan)
        for found in (*bounds(dataset, variable, "y", "x"), *bounds(dataset, difference, "y", "x")))
    alike = None
    if difference_low is not None and difference_high is not None:
        alike = (difference_low <= 0) & (difference_high >= 0)
        alike[np.ix_(np.isclose(dataset["y"], 0), np.isclose(dataset["x"], 0))] = False  # the origin is itself
    xs, ys = (np.asarray(dataset[axis], np.float64) for axis in ("x", "y"))
    step = r"$\theta_{k+1}$" if kind(dataset) == "stored" else r"$\theta_k$ + step"
    return Field(xs, ys, np.where(known, values, np.nan), low, high, alike, name, surrogate, step, refused(dataset), *_labels(dataset))


def _labels(dataset: xr.Dataset) -> tuple[str, str, str, str]:
    """Names of the axes: x and y in full, and both in few words."""
    unit = r"$\theta_{k+1} - \theta_k$" if kind(dataset) == "stored" else f"the {kind(dataset)} step"
    norms = [norm(dataset, "step_norm", "x"), norm(dataset, "random_norm", "y")]
    step, random = (f"norm {number(length, 2)}" if np.isfinite(length) else "" for length in norms)
    convention = _NORMS.get(str(dataset.attrs.get("norm")), "") if random else ""
    return (f"steps of the algorithm (1 = {unit}{step and ', '}{step})",
            "random direction" + (f" (1 = {random}{convention})" if random else ""),
            "steps" + (f" (1 = {step})" if step else ""), "random" + (f" (1 = {random})" if random else ""))
