"""How is a number shown to people, whatever its unit?"""

from __future__ import annotations

import math


def rough(value: float) -> str:
    """Two significant digits, written out: 330 and 0.72, not 3.3e+02."""
    return f"{float(f'{value:.2g}'):,.6g}" if abs(value) < 1e6 else f"{value:,.2g}"


def quantity(value: float) -> str:
    """A return, a reward, a spread: 1,234.5; where one decimal would show zeros or a wall of digits three significant ones, 1.23e-07.

    unknown where it is none."""
    size = abs(value)
    if math.isnan(value):
        return "unknown"
    if 0 < size < 0.05 or size >= 1e9:
        return f"{value:.3g}"
    return f"{round(value, 1) + 0:,.1f}"  # + 0: no -0.0
