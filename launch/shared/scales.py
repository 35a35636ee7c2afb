"""What do the scales of an instrument say? Budgets by name, from configs/diagnostics.py; nothing here imports TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from absl import flags

from launch.shared import commandline
from tfpg.errors import UserError, nearest


def of(instrument: str) -> Mapping[str, Any]:
    """Its scales by name. Args: instrument: LANDSCAPES, TRUST_REGIONS, GRADIENTS, VALUES or STEPS."""
    return getattr(commandline.configuration("diagnostics"), instrument)


def names(instrument: str) -> str:
    """smoke | small | paper, for --help."""
    return " | ".join(of(instrument))


def chosen(instrument: str, values: flags.FlagValues) -> tuple[str, Any]:
    """The scale that --scale names: name and budgets. Errors: UserError for an unknown one."""
    known, name = of(instrument), values.scale
    if name not in known:
        raise UserError(f"there is no scale={name}: {nearest(name, known)}")
    return name, known[name]


def by_scale(instrument: str, field: str) -> str:
    """What every scale says of a budget, for --help; once where they agree."""
    found = {name: getattr(scale, field) for name, scale in of(instrument).items()}
    words = {name: ",".join(map(str, value)) if isinstance(value, tuple) else str(value) for name, value in found.items()}
    if len(set(words.values())) == 1:
        return next(iter(words.values()))
    return " | ".join(f"{name} {value}" for name, value in words.items())
