"""How far is the run? A bar on a terminal; elsewhere a line now and then, so that logs stay readable."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Self, TextIO

from tqdm import tqdm

from tfpg.shown import quantity
from tfpg.types import Iteration

_BAR = "{percentage:3.0f}% |{bar:24}| {n_fmt}/{total_fmt}{postfix}, {remaining} left"
# Without tqdm's time left: the budget knows it better.
_BUDGET_BAR = "{{percentage:3.0f}}% |{{bar:24}}| {{n_fmt}}/{{total_fmt}} {unit}{{postfix}}"


class _Line:
    """One state of affairs, shown as a bar on a terminal and as a line every so often elsewhere."""

    def __init__(self, total: int, start: int, stream: TextIO | None, every: float, clock: Callable[[], float],
                 bar: str = _BAR):
        self._stream = sys.stderr if stream is None else stream
        self._every, self._clock = every, clock
        self._said: float | None = None
        self._line = ""
        self._bar = None
        if total and self._stream.isatty():
            # Some terminals say their width is 0; a longer line would wrap at each update.
            width = {"dynamic_ncols": True} if os.get_terminal_size(self._stream.fileno()).columns else {"ncols": 79}
            self._bar = tqdm(total=total, initial=start, file=self._stream, bar_format=bar, miniters=1, **width)

    def note(self, text: str) -> None:
        """One line of text above the bar."""
        if self._bar is not None:
            tqdm.write(text, file=self._stream)
        else:
            self._write(text)

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """For whoever writes to the same terminal: the bar is away meanwhile."""
        with contextlib.nullcontext() if self._bar is None else tqdm.external_write_mode(file=self._stream):
            yield

    def close(self) -> None:
        """Leaves the last state visible. May be called twice."""
        if self._bar is not None:
            self._bar.refresh()
            self._bar.close()
        elif self._line:
            self._say(self._clock())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _show(self, done: int, shown: str, line: str, now: float, last: bool) -> None:
        """Args: done: of the bar's total. shown: beside the bar. line: what a log gets."""
        if self._bar is not None:
            self._bar.set_postfix_str(shown, refresh=False)
            self._bar.update(done - self._bar.n)
            return
        self._line = line
        if self._said is None or now - self._said >= self._every or last:
            self._say(now)

    def _say(self, now: float) -> None:
        self._write(self._line)
        self._said, self._line = now, ""

    def _write(self, text: str) -> None:
        """A line; none where it cannot be written (a closed pipe, a full disk, letters that the stream has not): it costs no run."""
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        with contextlib.suppress(OSError):
            self._stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
            self._stream.flush()


class Progress(_Line):
    """Shows the iterations done of `total`; the run went on from iteration `start`.

    Args: stream: where to; if absent standard error. every: seconds between lines where it is no terminal."""

    def __init__(self, total: int, start: int = 0, *, stream: TextIO | None = None, every: float = 30.0,
                 clock: Callable[[], float] = time.monotonic):
        super().__init__(total, start, stream, every, clock)
        self._total, self._start, self._done = total, start, start
        self._began, self._last_return = clock(), "–"

    def update(self, iteration: Iteration, metrics: Mapping[str, float]) -> None:
        """One more iteration is done."""
        self._done = iteration.index + 1
        if "rollout/return" in metrics:  # where no episode ended, the last one known stays
            self._last_return = quantity(metrics['rollout/return'])
        shown = (f"return {self._last_return}, KL {metrics['trust_region/train/mean_kl']:.4f}, "
                 f"{metrics['time/steps_per_second']:,.0f} steps/s")
        now = self._clock()
        if self._done - self._start == 1:
            self._began = now
        line = f"iteration {self._done}/{self._total}, {shown}, {self._left(now)} left"
        self._show(self._done, shown, line, now, self._done == self._total)

    def _left(self, now: float) -> str:
        # The first iteration compiles everything: seconds that tell nothing of those to come.
        if self._done - self._start < 2:
            return "?"
        pace = (now - self._began) / (self._done - self._start - 1)
        return tqdm.format_interval(pace * (self._total - self._done))


class Budget(_Line):
    """Shows how much of an announced number of episodes is played.

    Args: total: episodes, or what else `unit` says. Others: as of Progress."""

    def __init__(self, total: int, *, unit: str = "episodes", stream: TextIO | None = None, every: float = 30.0,
                 clock: Callable[[], float] = time.monotonic):
        super().__init__(total, 0, stream, every, clock, _BUDGET_BAR.format(unit=unit))
        self._total, self._done = total, 0
        self._played, self._pairs, self._spent, self._what = 0, 0, 0.0, ""

    def begin(self, what: str) -> None:
        """Names what is played from now on."""
        self._what = what
        self._update()

    def advance(self, episodes: int, pairs: int, seconds: float) -> None:
        """More of it is done. Args: seconds: that it took to play; 0: read from an earlier session's store."""
        self._done += episodes
        if seconds > 0:
            self._played, self._pairs, self._spent = self._played + episodes, self._pairs + pairs, self._spent + seconds
        self._update()

    def _update(self) -> None:
        parts = []
        if self._spent:
            left = tqdm.format_interval((self._total - self._done) * self._spent / self._played)
            parts = [f"{left} left", f"{self._pairs / self._spent:,.0f} pairs/s"]
        elif self._done:
            parts = ["read from the store"]
        shown = ", ".join([*parts, self._what])  # a narrow terminal cuts the last
        share = 100 * self._done // max(self._total, 1)
        self._show(self._done, shown, f"{share} %, {shown}", self._clock(), self._done >= self._total)
