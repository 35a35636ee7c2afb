"""What can a second processor do meanwhile? Work in the order in which it was begun, and whoever needs it first does it.

    work = beside.begin(function, …)      the helper takes it up when it is free
    …
    work.result()                         nobody has: then it is done here, now
    work.wait()                           nobody has: then the helper will"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any


class Work:
    """What was begun. Its result does not depend on who does it. One thread asks for it."""

    def __init__(self, future: concurrent.futures.Future, function: Callable, arguments: tuple):
        self._future, self._function, self._arguments = future, function, arguments
        self._found: list[Any] = []  # once it has been done here

    def done(self) -> bool:
        """Whether nobody would have to wait for its result."""
        return bool(self._found) or self._future.done()

    def result(self) -> Any:
        """What the function returns or raises; computed here where nobody has taken it up."""
        if not self._found and self._future.cancel():
            self._found.append(self._function(*self._arguments))
        return self._found[0] if self._found else self._future.result()

    def wait(self) -> Any:
        """As `result`, but the helper does it in any case: an interrupt ends the wait, not the work, so nothing is begun twice."""
        return self._future.result()


class Beside:
    """A thread that helps the one that has it. TensorFlow's programs run in it for themselves, outside Python's lock."""

    def __init__(self, name: str):
        self._pool = concurrent.futures.ThreadPoolExecutor(1, name)
        self._begun: list[Work] = []

    def begin(self, function: Callable, *arguments: Any) -> Work:
        """Begins function(*arguments), for the helper or for who asks for the result."""
        work = Work(self._pool.submit(function, *arguments), function, arguments)
        self._begun = [*(each for each in self._begun if not each.done()), work]  # what is done holds its arguments
        return work

    def leave(self, *, take_back: bool = True) -> None:
        """Takes back what nobody has taken up, or has it done, and waits for what is under way: an error must not leave it to be
        waited for at the exit."""
        begun, self._begun = [work._future for work in self._begun], []
        if take_back:
            for future in begun:
                future.cancel()
        concurrent.futures.wait(begun)
