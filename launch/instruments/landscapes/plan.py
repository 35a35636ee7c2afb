"""What is a survey asked to do? One frozen plan, read from flags; nothing here imports TensorFlow."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import NamedTuple

from launch.shared.plans import parse_numbers
from tfpg.errors import UserError, nearest

SURFACES = {
    "return": "true return over step × random direction",
    "surrogate": "what the algorithm believes, over the same grid",
    "slices": "return and surrogate along the step and along random directions of equal norm",
    "concentration": "true return from few and from many episodes",
    "updates": "returns after many independent updates from the same checkpoint",
    "film": "true return on the way to a later iteration (--to)",
}
NEEDS_STEP = ("return", "surrogate", "slices", "concentration")
NEEDS_TRAINING = ("surrogate", "updates")  # what a policy alone does not carry
CHOICES = {"norm": ("paper", "step", "filter", "kl"), "noise": ("common", "independent"),
           "minibatches": ("same number", "same size")}
FIRST = "first"  # the share of what all others need


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything that a survey's numbers depend on, besides the policy."""

    scale: str
    points: tuple[int, int]
    extent: tuple[float, float, float, float]  # x low, x high, y low, y high
    pairs: int
    concentration: tuple[int, ...]
    slice_points: int
    slice_extent: tuple[float, float]
    slice_pairs: int
    directions: int
    end_pairs: int
    update_pairs: tuple[str, ...]
    minibatches: str
    heldout_pairs: int
    repeats: int
    repeat_episodes: int
    norm: str
    step: str  # taken, proposed, or the path of a second policy or direction file
    to: str | None
    noise: str
    seed: int
    max_steps: int | None
    step_sha256: str | None = None  # of what lies at that path: other contents are another step
    to_sha256: str | None = None

    def __post_init__(self):
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise UserError(f"{name}={value} is not known: {nearest(value, choices)}")
        for prefix, points, low, high in (("", self.points[0], *self.extent[:2]), ("", self.points[1], *self.extent[2:]),
                                          ("slice_", self.slice_points, *self.slice_extent)):
            _check_axis(prefix, points, low, high)


def _check_axis(prefix: str, points: int, low: float, high: float) -> None:
    """As tfpg.diagnostics.landscapes.plane.grid will have it. Errors: UserError naming the flag."""
    if not low <= 0 < high:
        raise UserError(f"{prefix}extent={low:g},{high:g} must hold 0, from where every difference is taken, and end above it.")
    held = sorted({low, 0.0, high} | ({1.0} if high > 1 else set()))  # ends, θ_k, the full step
    least = max(3, len(held))
    if points < least:
        raise UserError(f"{prefix}points={points} is too few for {prefix}extent={low:g},{high:g}: {', '.join(f'{c:g}' for c in held)} "
                        f"{'and one more ' if len(held) < least else ''}make {least}.")


class Share(NamedTuple):
    """Which part of a survey one process plays."""

    number: int  # 1 … count; 0: only what all shares need
    count: int  # type: ignore[assignment]  # a field; nobody counts in this tuple

    @property
    def name(self) -> str:
        """As its record is called: first, 2-of-8."""
        return f"{self.number}-of-{self.count}" if self.number else FIRST

    def __str__(self) -> str:
        return f"{self.number} of {self.count}" if self.number else FIRST


def parse_share(text: str) -> Share:
    """first, or I/N."""
    if text.strip() == FIRST:
        return Share(0, 0)
    found = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
    number, count = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= count:
        raise UserError(f"share={text} is no share: give I/N, for example 2/8 for the second of eight, or {FIRST}.")
    return Share(number, count)


def parse_points(text: str) -> tuple[int, int]:
    """N, or NX,NY."""
    numbers = parse_numbers("points", text, ascending=False)
    if len(numbers) > 2:
        raise UserError(f"points={text} has {len(numbers)} numbers: give N, or NX,NY.")
    return (numbers[0], numbers[-1])


def parse_extent(name: str, text: str, axes: int) -> tuple[float, ...]:
    """LOW,HIGH of every axis, or for two axes XLOW,XHIGH,YLOW,YHIGH."""
    try:
        ends = tuple(float(part) for part in text.split(","))
    except ValueError:
        ends = ()
    if len(ends) not in (2, 2 * axes) or not all(abs(end) < 1e6 for end in ends):
        four = " or XLOW,XHIGH,YLOW,YHIGH" if axes > 1 else ""
        raise UserError(f"{name}={text} is no extent: give LOW,HIGH{four}, for example -1,3.")
    return ends if len(ends) == 2 * axes else ends * axes


def parse_updates(given: str | Sequence[str]) -> tuple[str, ...]:
    """stored, which comes first wherever it is named, and numbers of pairs."""
    tokens = [token.strip() for token in (given.split(",") if isinstance(given, str) else given)]
    parsed = tuple(token if token == "stored" else _pairs(token) for token in tokens)
    if len(set(parsed)) < len(parsed):
        raise UserError(f"update_pairs={','.join(tokens)} names one twice.")
    return tuple(sorted(parsed, key=lambda token: token != "stored"))  # the run's own step is what others stand beside


def _pairs(token: str) -> str:
    try:
        return str(parse_numbers("update_pairs", token)[0])
    except UserError:
        raise UserError(f"update_pairs={token} is neither stored nor a number of pairs, such as stored,100000.") from None
