"""What does a pickle say? Its opcodes are read and nothing that they ask for is done.

    read(data, allowed)  →  numbers, texts, tuples, lists, dictionaries as they are;
                            Global(module, name) where a class or function is named, never imported;
                            Made(kind, arguments, state, items) where one would have been called

Python's own unpickler imports and calls, and a class that refuses names (`find_class`) still hands it things to call. Here
there is nothing to call: a file that would run `os.system` gives a record that says so, or is refused by that name."""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from tfpg.errors import UserError


class Global(NamedTuple):
    """The name of a class or function."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Made:
    """What a call would have made."""

    def __init__(self, kind: Any, arguments: Any):
        self.kind, self.arguments = kind, arguments
        self.state: Any = None  # what it would have been set to
        self.items: dict[Any, Any] = {}  # of a mapping


class Persistent(NamedTuple):
    """What a pickle refers to that lies elsewhere."""

    reference: Any


class Damaged(ValueError):
    """No pickle, or not the whole of one."""


def read(data: bytes, allowed: Collection[Global] | None = None) -> Any:
    """The value that a pickle describes.

    Args: allowed: the names that may occur; None: any, for all of them are names only.
    Errors: Damaged. UserError naming what is not allowed, or an opcode that no file of this kind has."""
    machine = _Machine(allowed)
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return machine.pop()
            machine.step(opcode.name, argument)
    except UserError:
        raise
    except Exception as error:  # a flipped bit can fail in pickletools' decoders, the stack, the memo, a dictionary's keys
        raise Damaged(str(error) or type(error).__name__) from error
    raise Damaged("it has no end")


class _Machine:
    """A pickle's stack and memo."""

    def __init__(self, allowed: Collection[Global] | None):
        self._allowed = allowed
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        if name in _LITERALS:
            self._stack.append(argument)
        elif name in _STEPS:
            _STEPS[name](self, argument)
        elif name not in _NOTHING:
            raise UserError(f"it has the opcode {name}, which nothing that is read here needs")

    def pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise Damaged("its stack is empty")
        return self._stack.pop()

    def popped(self, count: int) -> tuple[Any, ...]:
        return tuple(reversed([self.pop() for _ in range(count)]))

    def since_mark(self) -> list[Any]:
        start = self._marks.pop()
        found = self._stack[start:]
        del self._stack[start:]
        return found

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def mark(self) -> None:
        self._marks.append(len(self._stack))

    def name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise Damaged("a name is no text")
        found = Global(module, name)
        if self._allowed is not None and found not in self._allowed:
            raise UserError(f"it names {found}, which no such file needs")
        self.push(found)

    def made(self, kind: Any, *arguments: Any) -> None:
        if not isinstance(kind, Global):
            raise Damaged("what it calls has no name")
        self.push(Made(kind, *arguments))

    def extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise Damaged("it appends to what is no list")
        target.extend(values)

    def set_items(self, flat: list[Any]) -> None:
        target = self._stack[-1]
        items = target.items if isinstance(target, Made) else target
        if not isinstance(items, dict) or len(flat) % 2:
            raise Damaged("it sets items of what has none")
        items.update(zip(flat[::2], flat[1::2], strict=True))

    def build(self, state: Any) -> None:
        if not isinstance(self._stack[-1], Made):
            raise Damaged("it sets the state of what has none")
        self._stack[-1].state = state

    def remember(self, place: int) -> None:
        self._memo[place] = self._stack[-1]

    def remember_next(self) -> None:
        self.remember(len(self._memo))

    def recall(self, place: int) -> None:
        self.push(self._memo[place])


_LITERALS = {"INT", "LONG", "LONG1", "LONG4", "BININT", "BININT1", "BININT2", "FLOAT", "BINFLOAT", "UNICODE", "BINUNICODE",
             "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
_NOTHING = {"PROTO", "FRAME"}
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "NONE": lambda m, _: m.push(None), "NEWTRUE": lambda m, _: m.push(True), "NEWFALSE": lambda m, _: m.push(False),
    "MARK": lambda m, _: m.mark(), "POP": lambda m, _: m.pop(),
    "EMPTY_TUPLE": lambda m, _: m.push(()), "EMPTY_LIST": lambda m, _: m.push([]), "EMPTY_DICT": lambda m, _: m.push({}),
    "TUPLE": lambda m, _: m.push(tuple(m.since_mark())), "TUPLE1": lambda m, _: m.push(m.popped(1)),
    "TUPLE2": lambda m, _: m.push(m.popped(2)), "TUPLE3": lambda m, _: m.push(m.popped(3)),
    "APPEND": lambda m, _: m.extend([m.pop()]), "APPENDS": lambda m, _: m.extend(m.since_mark()),
    "SETITEM": lambda m, _: m.set_items(list(m.popped(2))), "SETITEMS": lambda m, _: m.set_items(m.since_mark()),
    "GLOBAL": lambda m, words: m.name(*words.split(" ", 1)), "STACK_GLOBAL": lambda m, _: m.name(*m.popped(2)),
    "REDUCE": lambda m, _: m.made(*m.popped(2)), "NEWOBJ": lambda m, _: m.made(*m.popped(2)),
    "BUILD": lambda m, _: m.build(m.pop()), "BINPERSID": lambda m, _: m.push(Persistent(m.pop())),
    "PUT": lambda m, place: m.remember(place), "BINPUT": lambda m, place: m.remember(place),
    "LONG_BINPUT": lambda m, place: m.remember(place), "MEMOIZE": lambda m, _: m.remember_next(),
    "GET": lambda m, place: m.recall(place), "BINGET": lambda m, place: m.recall(place),
    "LONG_BINGET": lambda m, place: m.recall(place),
}
