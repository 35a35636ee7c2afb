"""How do numbers stand in columns on a terminal, and how is a time said?"""

from __future__ import annotations

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], *, left: Sequence[int] = (0,), gap: int = 2) -> list[str]:
    """A line for each row, columns as wide as their widest cell. Args: left: columns that are flush left; others right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [(" " * gap).join(cell.ljust(width) if column in left else cell.rjust(width)
                             for column, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip() for row in rows]


def duration(seconds: float) -> str:
    """As people say it."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 72 * 3600 else f"{seconds / 86400:,.0f} days"
