"""Where does the time go? Wall-clock seconds by part."""

from __future__ import annotations

import time


class Clock:
    """Seconds from one lap to the next, by the name of what was done in between."""

    def __init__(self):
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, part: str) -> None:
        """What was done since the last lap was `part`, perhaps once more."""
        now = time.perf_counter()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self._last
        self._last = now
