"""A bounded look at a value: the part of it that a reader is shown. Plain data where it is all.

What is complete is a plain `dict`, `list` or scalar; what is cut is one of the classes here, and
may be anywhere in what is shown. Limits and the shape of replies are those of
``scripts/_look.lua``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from redisjson_dict.codec import decode
from redisjson_dict.errors import ValueRangeError
from redisjson_dict.location import Step

__all__ = ["SHARE", "WIDE", "Note", "Part", "Start", "Unseen", "View", "parse"]

SHARE = 1000
"""What one look may cost: one for each value, one more for each 50 bytes of a text or a name."""

WIDE = 100
"""Children shown of a container that is not shown whole."""

_KINDS = {b"o": "object", b"a": "array"}
_ESCAPE = 6  # bytes, of the longest one


class Start(NamedTuple):
    """How a long text starts.

    Attributes:
        text: what is shown; may be empty.
        size: bytes of all of it, as UTF-8.
    """

    text: str
    size: int


class Unseen(NamedTuple):
    """A value that cannot be looked at in bounds; below a name that paths cannot spell.

    Attributes:
        kind: as JSON.TYPE names it.
    """

    kind: str


class Note:
    """What is shown instead of a value: words that are none, such as why it could not be read.

    Attributes:
        text: the words, which are its `repr`, too.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


class Part(NamedTuple):
    """A container as far as it is shown.

    Attributes:
        kind: ``"object"`` or ``"array"``.
        size: its members or elements; None: nobody knows how many.
        names: those of the members that are shown; empty for an array.
        values: what is shown, in order.
        searched: False: it is not known, either, whether there are more than are shown.
    """

    kind: str
    size: int | None
    names: tuple[str | Start, ...]
    values: tuple[View, ...]
    searched: bool = True

    def child(self, step: Step) -> View:
        """Return what is shown of a member or an element."""
        if isinstance(step, str) and step in self.names:
            return self.values[self.names.index(step)]
        if isinstance(step, int) and not self.names and 0 <= step < len(self.values):
            return self.values[step]
        return Unseen("")


View = Any
"""Plain data, `Part`, `Start`, `Unseen` or `Note`, nested."""


def parse(reply: Any) -> View:
    """Return what a reply of ``scripts/_look.lua`` shows."""
    if not isinstance(reply, list):
        return decode(reply)
    letter, second, *rest = reply
    if letter == b"t":
        return Start(_start(rest[0]), second)
    if letter == b"u":
        return Unseen(second.decode())
    if letter == b"a":
        return Part("array", second, (), tuple(map(parse, rest)))
    return Part("object", second, tuple(map(_name, rest[::2])), tuple(map(parse, rest[1::2])))


def _name(reply: Any) -> str | Start:
    if isinstance(reply, list):
        return Start(reply[2].decode("utf-8", "ignore"), reply[1])
    name: str = reply.decode()
    return name


def _start(text: bytes) -> str:
    """Return the text that the first bytes of a JSON text spell: the last character may be cut."""
    clean = text.decode("utf-8", "ignore").encode()
    for dropped in range(min(_ESCAPE, len(clean))):
        try:
            found: str = decode(clean[: len(clean) - dropped] + b'"')
        except ValueRangeError:
            continue
        return found
    return ""
