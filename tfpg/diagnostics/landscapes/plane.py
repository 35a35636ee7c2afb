"""Where in parameter space does a landscape look? Directions, their norms, and the points of an affine grid.

    θ(x, y) = θ_k + x · step + y · random

One axis makes a slice, two a surface. Everything is computed in float64 and rounded once, so that x = 1 is θ_{k+1} bit
for bit. Directions are Gaussian, named by (seed, number), and stored with their results by seed and norm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from tfpg import seeds
from tfpg.errors import UserError, nearest
from tfpg.numerics.flat import Layout

PAPER_NORM = 2.0  # of the random direction in the published figures
NORMS = {
    "paper": "a Gaussian vector of norm 2, as published: typically ten times the step's",
    "step": "a Gaussian vector of the step's norm: the fair comparison",
    "filter": "each unit's incoming weights have the norm of the policy's own (Li 2018)",
    "kl": "a Gaussian vector as far from the policy in mean KL as the step",
}


class Axis(NamedTuple):
    """One direction of a grid."""

    name: str  # the dimension's: x, y, t
    direction: np.ndarray  # [P] float64, what coordinate 1 means
    coordinates: np.ndarray  # [n] float64
    text: str  # what coordinate 1 means, in words

    @property
    def norm(self) -> float:
        """‖direction‖₂."""
        return float(np.linalg.norm(self.direction))


class Plane(NamedTuple):
    """An affine grid through θ_k with one axis or two."""

    origin: np.ndarray  # [P] float32  θ_k
    axes: tuple[Axis, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Points along each axis."""
        return tuple(len(axis.coordinates) for axis in self.axes)

    @property
    def centre(self) -> int | None:
        """Which point of `thetas` is θ_k itself; None if the grid misses it."""
        rows = np.flatnonzero((self.coordinates == 0).all(axis=1))
        return int(rows[0]) if rows.size else None

    @property
    def coordinates(self) -> np.ndarray:
        """Coordinates of every point, the last axis fastest, [n, axes]."""
        grids = np.meshgrid(*(axis.coordinates for axis in self.axes), indexing="ij")
        return np.stack([grid.ravel() for grid in grids], axis=1)

    def thetas(self) -> np.ndarray:
        """θ of every point in that order, float32 [n, P]."""
        directions = np.stack([axis.direction for axis in self.axes])  # [axes, P]
        return np.stack([(self.origin.astype(np.float64) + c @ directions).astype(np.float32) for c in self.coordinates])

    def labelled(self) -> dict[str, tuple]:
        """The axes as coordinates of a Dataset."""
        return {axis.name: (axis.name, axis.coordinates, {"long_name": axis.text}) for axis in self.axes}

    def vectors(self) -> dict[str, tuple]:
        """θ_k and the directions as variables of a Dataset: the points can be had again from it alone."""
        return {"origin": ("parameter", self.origin, {"long_name": "θ_k"}),
                **{f"{axis.name}_direction": ("parameter", axis.direction, {"long_name": f"θ per unit of {axis.name}"})
                   for axis in self.axes}}


def evaluate(plane: Plane, function: Callable[[np.ndarray], float | Mapping[str, float]], name: str = "value") -> xr.Dataset:
    """Any function of θ on a plane.

    Args: function: θ float32 [P] ↦ a number, or numbers by name; to carry its uncertainty along it names `x` and `x_stderr`.
    Returns: Dataset with the plane's dimensions, its origin and directions."""
    found = [function(theta) for theta in plane.thetas()]
    rows: list[Mapping[str, float]] = [row if isinstance(row, Mapping) else {name: row} for row in found]
    names = [axis.name for axis in plane.axes]
    return xr.Dataset(
        {**{key: (names, np.array([float(row[key]) for row in rows]).reshape(plane.shape)) for key in rows[0]}, **plane.vectors()},
        plane.labelled())


def grid(points: int, low: float, high: float) -> np.ndarray:
    """`points` coordinates from low to high, evenly spaced but for 0 and 1: where the extent holds them, the nearest inner
    points are moved there, for every difference is taken against θ_k itself, and the full step is what the algorithm did.

    Errors: UserError for an empty extent, and for too few points to hold its ends, 0 and 1."""
    if not low < high:
        raise UserError(f"the extent {low:g},{high:g} is empty: its first number must be the smaller.")
    held = sorted({low, high} | {special for special in (0.0, 1.0) if low < special < high})
    if points < max(3, len(held)):
        raise UserError(f"points={points} is too few for the extent {low:g},{high:g}: {', '.join(f'{c:g}' for c in held)} "
                        f"{'and one more ' if len(held) < 3 else ''}make {max(3, len(held))}.")
    coordinates = np.linspace(low, high, points)
    free = list(range(1, points - 1))
    for special in held[1:-1]:
        nearest_point = min(free, key=lambda i: abs(coordinates[i] - special))
        coordinates[nearest_point] = special
        free.remove(nearest_point)
    return np.sort(coordinates)


def surface(origin: np.ndarray, step: np.ndarray, random: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> Plane:
    """The plane of the published figures. Args: origin, step, random: [P]. xs: [I]. ys: [J]."""
    step, random = np.asarray(step, np.float64), np.asarray(random, np.float64)
    return Plane(np.asarray(origin, np.float32), (
        Axis("x", step, np.asarray(xs, np.float64), "steps of the algorithm"),
        Axis("y", random, np.asarray(ys, np.float64), "random direction")))


def line(origin: np.ndarray, direction: np.ndarray, ts: np.ndarray, text: str = "steps of the algorithm") -> Plane:
    """A slice. Args: origin, direction: [P]. ts: [T]."""
    return Plane(np.asarray(origin, np.float32),
                 (Axis("t", np.asarray(direction, np.float64), np.asarray(ts, np.float64), text),))


def gaussian(seed: int, iteration: int, number: int, size: int) -> np.ndarray:
    """The random direction of that number at iteration k, before it is scaled: standard normal, float64 [P]."""
    return seeds.generator(seed, "directions", iteration, number).standard_normal(size)


def scaled(
        direction: np.ndarray, how: str, *, theta: np.ndarray, layout: Layout, step: np.ndarray,
        mean_kl: Callable[[np.ndarray], float] | None = None) -> np.ndarray:
    """A direction at the norm that a convention of NORMS asks for.

    Args: direction: [P]. theta: θ_k [P]. layout: of θ. step: [P]. mean_kl: θ ↦ mean KL(π_θk ‖ π_θ), for "kl" only.
    Errors: UserError for an unknown convention, and where the step is nothing that could be matched."""
    direction, step_norm = np.asarray(direction, np.float64), float(np.linalg.norm(step))
    unit = direction / np.linalg.norm(direction)
    match how:
        case "paper":
            return PAPER_NORM * unit
        case "step":
            _check_step(step_norm, how)
            return step_norm * unit
        case "filter":
            return _filter_normalised(direction, np.asarray(theta, np.float64), layout)
        case "kl":
            _check_step(step_norm, how)
            if mean_kl is None:
                raise UserError("norm=kl needs the states of a training batch, and this policy carries none: choose norm=step.")
            return _at_kl(unit, mean_kl((theta + step).astype(np.float32)), step_norm,
                          lambda d: mean_kl((theta + d).astype(np.float32)))
    raise UserError(f"norm={how} is not known: {nearest(how, NORMS)}")



def _check_step(norm: float, how: str) -> None:
    if not norm > 0:
        raise UserError(f"norm={how} matches the step, but the step is zero: choose norm=paper, or step=proposed.")


def _filter_normalised(direction: np.ndarray, theta: np.ndarray, layout: Layout) -> np.ndarray:
    """d_ij · ‖θ_ij‖ / ‖d_ij‖ for the incoming weights ij of each unit (Li 2018, §4).

    Differs: what is no matrix (biases, log std) is one filter each; Li's code leaves it out or copies θ."""
    pieces, start = [], 0
    for shape in layout.shapes:
        size = int(np.prod(shape))
        d, w = direction[start:start + size].reshape(shape), theta[start:start + size].reshape(shape)
        axes: Sequence[int] | None = tuple(range(len(shape) - 1)) if len(shape) > 1 else None
        own = np.sqrt(np.sum(w**2, axis=axes, keepdims=True))
        drawn = np.sqrt(np.sum(d**2, axis=axes, keepdims=True))
        pieces.append((d * own / np.where(drawn > 0, drawn, 1)).ravel())
        start += size
    return np.concatenate(pieces)


def _at_kl(unit: np.ndarray, target: float, guess: float, kl: Callable[[np.ndarray], float]) -> np.ndarray:
    """The multiple of a unit vector whose mean KL is the target: bisection of the scale's logarithm."""
    if not target > 0:
        raise UserError("norm=kl matches the step's KL, which is zero: choose norm=step or norm=paper.")
    low = high = guess
    # a factor of 2 each: 60 reach every float32; the KL of a network is not monotone far out, so the first crossing counts
    for _ in range(60):
        if kl(low * unit) <= target:
            break
        low /= 2
    for _ in range(60):
        if kl(high * unit) > target:
            break
        high *= 2
    for _ in range(40):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if kl(middle * unit) <= target else (low, middle)
        if high / low < 1 + 1e-6:
            break
    return low * unit
