"""How is a number said, how one with its interval, and of which policy?"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from tfpg.diagnostics.probe import Probe, Subject


def title(subject: Subject) -> str:
    """Which policy."""
    if isinstance(subject, Probe):
        return f"{subject.metadata['preset']} on {subject.task.id}, seed {subject.metadata['seed']}, iteration {subject.iteration}"
    return f"{subject.path.name} on {subject.task.id}"


def interval(dataset: xr.Dataset, name: str, digits: int | None = None, **where: Any) -> str:
    """estimate [low, high]. Args: digits: after the point; None: so many that the interval's width shows two."""
    value, low, high = values = [float(np.ravel(dataset[name + suffix].isel(where).values)[0]) for suffix in ("", "_low", "_high")]
    if np.isnan(value):
        return "unknown"
    size = np.nanmax(np.abs(values))
    odd = digits is None and (0 < size < 1e-3 or size >= 1e12)  # rewards of such a unit
    places = digits_for(high - low) if digits is None else digits
    said = [f"{each:.4g}" if odd else number(each, places) for each in values]
    if np.isnan(low) or np.isnan(high):
        return f"{said[0]} [interval unknown]"
    return f"{said[0]} [{said[1]}, {said[2]}]"


def number(value: Any, digits: int = 1) -> str:
    """1,234.5; unknown where it is none."""
    value = float(value)
    return "unknown" if np.isnan(value) else f"{round(value, digits) + 0:,.{digits}f}"  # + 0: no -0.0


def rounded(value: float) -> str:
    """To two digits: 58,000."""
    if not np.isfinite(value):
        return "no bound"
    place = 10 ** max(int(np.floor(np.log10(value))) - 1, 0) if value > 0 else 1
    return f"{round(value / place) * place:,.0f}"


def digits_for(width: float) -> int:
    """After the point, for two significant ones of a width."""
    return int(np.clip(1 - np.floor(np.log10(width)), 0, 4)) if width > 0 and np.isfinite(width) else 1
