"""How is the plan of an instrument read from flags, kept as a file, and told from another? Nothing here imports TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfpg.errors import UserError

_FLAGS = {"concentration": "sizes"}  # where a flag has another name than its field


def as_json(plan: Any) -> dict[str, Any]:
    """A plan, a frozen dataclass, as a file holds it."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(plan).items()}


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Where two plans differ, by the names of the flags, for the message that refuses the second."""
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return "; ".join(f"{_FLAGS.get(name, name)}={shown(old.get(name))} there, {shown(new.get(name))} asked" for name in names)


def shown(value: Any) -> str:
    """A value as a flag takes it."""
    return "none" if value is None else ",".join(f"{each:g}" if isinstance(each, float) else str(each) for each in _all(value))


def parse_numbers(name: str, text: str, *, ascending: bool = True) -> tuple[int, ...]:
    """Whole numbers above 0; 1e5 will do."""
    try:
        numbers = tuple(_whole(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1:
        raise UserError(f"{name}={text} is no list of whole numbers above 0, such as 2000,20000.")
    if ascending and list(numbers) != sorted(set(numbers)):
        raise UserError(f"{name}={text} must rise: each sample is a part of the next.")
    return numbers


def _whole(text: str) -> int:
    number = float(text.replace("_", ""))
    if not number.is_integer():  # neither are inf and nan
        raise ValueError(text)
    return int(number)


def _all(value: Any) -> tuple:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)
