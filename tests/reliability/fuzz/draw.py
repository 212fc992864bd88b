"""Decisions out of bytes: names, paths and values that a fuzzer can steer."""

from __future__ import annotations

import struct
from collections import ChainMap, OrderedDict, UserDict, UserList, defaultdict, deque, namedtuple
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")

# Rich in what could end, escape, widen or confuse a path, a pattern or a JSON text.
ALPHABET = (
    *("'", '"', "\\", "[", "]", "(", ")", "{", "}", ".", "..", "$", "@", "*", "?", "^", ":", ","),
    *(" ", "\x00", "\x01", "\n", "\t", "\x1f", "\x7f", "\u00a0", "\u2028", "\ufeff", "\u200f"),
    *("a", "b", "n", "u0041", "0", "1", "-1", "e", "/", "~", "|", "&", "=", "<", "!", "+", "-"),
    *("\u00e9", "e\u0301", "\u0301", "\u05d0", "\u0100", "\u3000", "\u4e00", "\uac00"),
    *("\U0001f600", "\U00010000", "\U0010ffff", '"]', "']", '["', "\\'", '\\"', "[*]", "$.a"),
)
SURROGATES = ("\ud800", "\udfff", "\udc00\ud800")


class Draw:
    """Decisions out of bytes; when they run out, every decision is the first one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        part = self._data[self._at : self._at + count]
        self._at += count
        return part.ljust(count, b"\0")

    def below(self, count: int) -> int:
        """An integer below a count."""
        return int.from_bytes(self.take(1 if count <= 256 else 4), "big") % count

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self.below(len(choices))]

    def text(self, longest: int = 6, surrogates: bool = False) -> str:
        alphabet = ALPHABET + SURROGATES if surrogates else ALPHABET
        return "".join(self.pick(alphabet) for _ in range(self.below(longest + 1)))

    def integer(self) -> int:
        near = self.pick((0, 2**31, 2**53, 2**63, 2**64, 10**30, -(2**53), -(2**63), -(10**30)))
        return near + self.below(5) - 2

    def number(self) -> float:
        kind = self.below(4)
        if kind == 0:
            return float(self.below(1000)) / self.pick((1, 2, 3, 7, 10, 1000))
        if kind == 1:
            return self.pick((0.0, -0.0, 1e16, 5e-324, 1.7976931348623157e308, 1e22, 0.1 + 0.2))
        return float(struct.unpack(">d", self.take(8))[0])

    def step(self, surrogates: bool = False) -> str | int:
        if self.below(4) == 3:
            return self.pick((0, 1, -1, -2, 7, 2**31, 2**53, 2**63, -(2**63) - 1, 10**300))
        return self.text(surrogates=surrogates)

    def json(self, depth: int = 3) -> Any:
        """A value that the server keeps exactly."""
        kind = self.below(8 if depth else 5)
        if kind == 0:
            return self.pick((None, True, False))
        if kind == 1:
            return max(-(2**63), min(2**64 - 1, self.integer()))
        if kind == 2:
            number = self.number()
            return number if abs(number) < float("inf") else 0.5
        if kind in (3, 4):
            return self.text()
        if kind == 5:
            return {self.text(): self.json(depth - 1) for _ in range(self.below(4))}
        return [self.json(depth - 1) for _ in range(self.below(4))]

    def value(self, depth: int = 4) -> Any:
        """Any value: JSON's types, what converts to them, and what must be refused."""
        kind = self.below(8)
        if kind == 0:
            return self.json(depth)
        if kind == 1 or not depth:
            return self.pick(ODD)()
        if kind == 2:
            return self.pick((float("nan"), float("inf"), self.number(), self.integer(), 10**5000))
        if kind == 3:
            return self.text(surrogates=True)
        if kind == 4:
            return self._deep(self.value(depth - 1))
        if kind == 5:
            names = [self.pick((self.text(surrogates=True), "n")) for _ in range(self.below(4))]
            members = {self.pick((name, name, Text(name))): self.value(depth - 1) for name in names}
            return self.pick(MAPPINGS)(members)
        return self.pick(SEQUENCES)([self.value(depth - 1) for _ in range(self.below(4))])

    def _deep(self, core: Any) -> Any:
        wrap = self.pick((lambda x: [x], lambda x: (x,), lambda x: {"a": x}, lambda x: [x, x]))
        levels = self.pick((1, 5, 120, 126, 127, 128, 200))
        if wrap(0) == [0, 0]:
            levels = min(levels, 3)
        for _ in range(levels):
            core = wrap(core)
        return core


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "other"

    def encode(self, *_: Any) -> bytes:
        return b"evil"


class Whole(int):
    def __int__(self) -> int:
        return 99

    def __repr__(self) -> str:
        return "evil"


class Real(float):
    def __float__(self) -> float:
        return 0.5

    def __repr__(self) -> str:
        return "evil"


class Colour(Enum):
    RED = 1


class Level(IntEnum):
    HIGH = 7


class Word(StrEnum):
    YES = "y"


class Members(dict[str, Any]):
    def items(self) -> Any:
        return [("own", 1)]


class Elements(list[Any]):
    def __iter__(self) -> Any:
        return iter(["own"])


Pair = namedtuple("Pair", "left right")


@dataclass
class Record:
    a: int = 1


def _cycle() -> Any:
    value: list[Any] = [1]
    value.append({"back": value})
    return value


MAPPINGS: tuple[Callable[[Any], Any], ...] = (
    *(dict, OrderedDict, UserDict, MappingProxyType, ChainMap, Members),
    lambda members: defaultdict(list, members),
)
SEQUENCES: tuple[Callable[[Any], Any], ...] = (list, tuple, UserList, deque, Elements)
ODD: tuple[Callable[[], Any], ...] = (
    *(lambda: b"bytes", lambda: bytearray(b"b"), lambda: memoryview(b"m"), lambda: {1}, object),
    *(lambda: Decimal("1.5"), lambda: 1j, lambda: Colour.RED, lambda: Level.HIGH),
    *(lambda: Word.YES, Record, lambda: Pair(1, "r"), lambda: range(3), lambda: iter([1])),
    *(lambda: (x for x in "ab"), lambda: Text("t"), lambda: Whole(5), lambda: Real(2.5), _cycle),
    *(lambda: {1: 2}, lambda: {None: 1}, lambda: {("a",): 1}, lambda: {Colour.RED: 1}),
    *(lambda: {"a": 1, Text("b"): 2}, lambda: UserDict({1: 2}), lambda: Members(a=[1])),
    *(lambda: np.array(5), lambda: np.arange(3), lambda: np.array([[0.1], [0.2]])),
    *(lambda: np.float16(0.1), lambda: np.float32(0.1), lambda: np.float64(0.1)),
    *(lambda: np.longdouble(1) / 3, lambda: np.array([1], np.longdouble), lambda: np.int8(-3)),
    *(lambda: np.uint64(2**64 - 1), lambda: np.bool_(True), lambda: np.str_("s")),
    *(lambda: np.bytes_(b"b"), lambda: np.datetime64("2026-01-01"), lambda: np.timedelta64(5)),
    *(lambda: np.array(["2026"], "M8[Y]"), lambda: np.array([(1, 2.0)], "i4,f8")),
    *(lambda: np.array([1, "a", None], object), lambda: np.array([b"x", 1j], object)),
    *(lambda: np.array({"a": 1}, object), lambda: np.array([np.nan]), lambda: np.complex64(1)),
    *(lambda: np.ma.masked_array([1, 2], [0, 1]), lambda: np.ma.masked, lambda: np.void(b"v")),
    *(lambda: np.array([]), lambda: np.zeros((2, 0)), lambda: np.array(["\ud800"])),
)
