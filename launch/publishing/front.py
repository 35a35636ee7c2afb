"""Where do results stand in a project's README? Between two comments of it; what is between them is written anew."""

from __future__ import annotations

from tfpg.errors import UserError

FIRST, LAST = "<!-- results: written by launch.publish -->", "<!-- end of results -->"


def replaced(readme: str, part: str) -> str:
    """The README with `part` between FIRST and LAST. Errors: UserError where it has no such place."""
    before, first, rest = readme.partition(FIRST)
    _, last, after = rest.partition(LAST)
    if not first or not last:
        raise UserError(f"--readme has no place for results: lines {FIRST} and {LAST} say where it is.")
    return f"{before}{first}\n{part}\n{last}{after}"
