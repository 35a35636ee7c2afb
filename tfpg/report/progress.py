"""How far is the run? A bar on a terminal; elsewhere a line now and then, so that logs stay readable."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Self, TextIO

from tqdm import tqdm

from tfpg.types import Iteration

_BAR = "{percentage:3.0f}% |{bar:24}| {n_fmt}/{total_fmt}{postfix}, {remaining} left"


class Progress:
    """Shows the iterations done of `total`; the run went on from iteration `start`.

    Args: stream: where to; if absent standard error. every: seconds between lines where it is no terminal."""

    def __init__(self, total: int, start: int = 0, *, stream: TextIO | None = None, every: float = 30.0,
                 clock: Callable[[], float] = time.monotonic):
        self._stream = sys.stderr if stream is None else stream
        self._total, self._start, self._done = total, start, start
        self._every, self._clock = every, clock
        self._began, self._said = clock(), None
        self._line, self._last_return = "", "–"
        self._bar = None
        if self._stream.isatty():
            # Some terminals say their width is 0; a longer line would wrap at each update.
            width = {"dynamic_ncols": True} if os.get_terminal_size(self._stream.fileno()).columns else {"ncols": 79}
            self._bar = tqdm(total=total, initial=start, file=self._stream, bar_format=_BAR, miniters=1, **width)

    def update(self, iteration: Iteration, metrics: Mapping[str, float]) -> None:
        """One more iteration is done."""
        self._done = iteration.index + 1
        if "rollout/return" in metrics:  # where no episode ended, the last one known stays
            self._last_return = f"{metrics['rollout/return']:,.1f}"
        shown = (f"return {self._last_return}, KL {metrics['trust_region/train/mean_kl']:.4f}, "
                 f"{metrics['time/steps_per_second']:,.0f} steps/s")
        if self._bar is not None:
            self._bar.set_postfix_str(shown, refresh=False)
            self._bar.update(self._done - self._bar.n)
            return
        now = self._clock()
        if self._done - self._start == 1:
            self._began = now
        self._line = f"iteration {self._done}/{self._total}, {shown}, {self._left(now)} left"
        if self._said is None or now - self._said >= self._every or self._done == self._total:
            self._say(now)

    def note(self, text: str) -> None:
        """One line of text above the bar."""
        if self._bar is not None:
            tqdm.write(text, file=self._stream)
        else:
            self._write(text)

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

    def _say(self, now: float) -> None:
        self._write(self._line)
        self._said, self._line = now, ""

    def _write(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()

    def _left(self, now: float) -> str:
        # The first iteration compiles everything: seconds that tell nothing of those to come.
        if self._done - self._start < 2:
            return "?"
        pace = (now - self._began) / (self._done - self._start - 1)
        return tqdm.format_interval(pace * (self._total - self._done))
