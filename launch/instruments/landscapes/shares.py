"""How do several processes, on several machines perhaps, play one survey together? A share of its units each, in one directory.

    --share=first      what all of them need: the first look, recomputed steps, updates
    --share=2/8        the second of eight shares; makes that too where nobody has
    no --share         joins them: everything is found played, and results are computed, stored and drawn

Units are files named by all that their bits depend on. So a killed share goes on where it was, another number of shares plays only
what is missing, and what nobody played the joining command plays. The machines must have one type of processor, which decides about
bits, and see the directory under one path."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from launch.instruments.landscapes.plan import FIRST, Share
from launch.instruments.landscapes.surveying import Survey
from launch.shared.commandline import say
from launch.shared.numbers import title
from tfpg import storage
from tfpg.diagnostics import returns
from tfpg.lock import Lock
from tfpg.report.progress import Budget

SHARES = "shares"  # directory of the records of shares that ended


@contextlib.contextmanager
def alone(directories: Sequence[Path]) -> Iterator[None]:
    """One process at a time: whoever comes while another is within waits for it, and then finds what that one made."""
    with contextlib.ExitStack() as stack:
        for directory in sorted(directories):
            storage.make_directory(directory / SHARES)
            stack.enter_context(Lock(directory / SHARES, "makes what all shares need in").wait(lambda holder: say(f"waiting: {holder}")))
        yield


def prepare(survey: Survey) -> None:
    """What all shares need, made and kept where it is not yet."""
    storage.make_directory(survey.directory / "parts")  # from now on the directory belongs to its plan
    began = time.monotonic()
    survey.prepare()
    path = survey.directory / SHARES / f"{FIRST}.json"
    if not path.exists():
        _record(path, survey, {"seconds": time.monotonic() - began})


def play(surveys: Sequence[Survey], share: Share) -> None:
    """The share of every survey; says what it was and leaves a record of it."""
    jobs = [survey.jobs() for survey in surveys]
    with Budget(sum(returns.episodes_of_share(each, share.number - 1, share.count) for each in jobs)) as budget:
        for survey in surveys:
            found = _Played(budget)
            budget.begin(f"share {share} of {title(survey.subject)}")
            units = survey.play_share(share.number - 1, share.count, found.advance)
            path = survey.directory / SHARES / f"{share.name}.json"
            _record(path, survey, {"units": units, "played": found.units, "episodes": found.episodes, "pairs": found.pairs,
                                   "seconds": found.seconds})
            with budget.aside():
                say(f"share {share}: {units:,} units, {found.units:,} of them played now, {found.pairs:,} pairs; in {survey.directory}")


class _Played:
    """What a share played itself."""

    def __init__(self, budget: Budget):
        self._budget, self.units, self.episodes, self.pairs, self.seconds = budget, 0, 0, 0, 0.0

    def advance(self, episodes: int, pairs: int, seconds: float) -> None:
        """One more unit; seconds 0: it was read."""
        self._budget.advance(episodes, pairs, seconds)
        if seconds > 0:
            self.units, self.episodes, self.pairs = self.units + 1, self.episodes + episodes, self.pairs + pairs
            self.seconds += seconds


def _record(path: Path, survey: Survey, facts: dict[str, Any]) -> None:
    storage.write_json(path, {"surfaces": list(survey.missing), **facts})
