"""Numbers, booleans and text, changed in place."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from redisjson_dict.codec import Encoded, decode, encode, plain
from redisjson_dict.errors import ValueRangeError
from redisjson_dict.location import Location
from redisjson_dict.operations import (
    Flow,
    Operation,
    Steps,
    Verb,
    concerned,
    encode_at,
    kind_of,
    nothing,
    repair_arguments,
    revise,
    scripted,
    walk,
)
from redisjson_dict.replies import Reply, absent, only

__all__ = ["concat", "incr", "toggle"]

_NUMBERS = ("integer", "number")
_EXACT = 2**53


def incr(at: Location, amount: float = 1, default: float = 0) -> Verb[Any]:
    """Add to a number and return the new one; where nothing is, store ``default + amount``.

    A sum of integers stays an integer: one that leaves [-2^63, 2^64-1] is refused.

    Raises:
        ValueRangeError: the sum is outside what the server keeps.
    """
    amount, default = _number(amount, "amount"), _number(default, "default")
    slowly: Flow[Any] = Flow(at, partial(_add_here, at, amount, default), writes=True)
    if not at.writable:
        return slowly
    added = encode(amount)
    spelled = b"" if added.repairs else added.text  # no spelling carries it
    try:
        created = encode(default + amount)
    except ValueRangeError:  # matters only if there is nothing yet: then the slow way says it
        created = Encoded(b"")
    needed = repair_arguments(at, created.repairs) if created.repairs else ()
    arguments = (spelled, created.text, at.document.settings.lifetime(), *needed)
    return scripted("incr", at, _sum, *arguments, wants="number", fallback=slowly, answers=True)


def _add_here(at: Location, amount: float, default: float) -> Steps[Any]:
    """Add where the server's arithmetic is not exact: by compare-and-set."""
    addition = _Addition(at, amount, default)
    if not at.steps:
        return (yield from addition.whole())
    return (yield from revise(at.parent(), addition.below, blamed=at).start())


class _Addition:
    """What `_add_here` does with the values that it reads."""

    def __init__(self, at: Location, amount: float, default: float) -> None:
        self.at = at
        self.amount = amount
        self.default = default

    def add(self, value: Any) -> tuple[Any, Any]:
        """Add to what is at the place."""
        if kind_of(value) not in _NUMBERS:
            raise absent(self.at, len(self.at.steps), kind_of(value), "number")
        total = _checked(self.at, value + self.amount)
        return total, total

    def below(self, holder: Any) -> tuple[Any, Any]:
        """Add to a member or an element of what holds it."""
        step = self.at.steps[-1]
        if isinstance(holder, dict) and isinstance(step, str) and step not in holder:
            total = self._first()
        else:
            value, steps = walk(self.at, len(self.at.steps) - 1, holder)
            step, total = steps[-1], self.add(value)[0]
        holder[step] = total
        return total, holder

    def whole(self) -> Steps[Any]:
        """Add to a document that is a number."""
        try:
            return (yield from revise(self.at, self.add).start())
        except KeyError:
            self._first()
            raise

    def _first(self) -> Any:
        """Return what to store where nothing is."""
        return decode(encode_at(self.at, _checked(self.at, self.default + self.amount)).text)


def toggle(at: Location) -> Verb[bool]:
    """Negate a boolean and return the new one."""
    if not at.writable:
        return revise(at, lambda value: (not value, not value), "boolean")
    command = ("JSON.TOGGLE", at.key, at.path)
    script = partial(scripted, "toggle", at, _flag, wants="boolean", answers=True)
    return Operation(at, command, _toggled, wants="boolean", answers=True, in_batch=script)


def concat(at: Location, text: str) -> Verb[None]:
    """Append to a text."""
    if not isinstance(text, str):
        raise TypeError(f"can only concatenate str to text, not {type(text).__name__}")
    encoded = encode_at(at, text)
    if not at.writable:
        return revise(at, lambda value: (None, value + decode(encoded.text)), "string")
    command = ("JSON.STRAPPEND", at.key, at.path, encoded.text)
    script = partial(scripted, "concat", at, nothing, encoded.text, wants="string")
    return Operation(at, command, concerned, wants="string", in_batch=script)


def _flag(_: Location, reply: Reply) -> bool:
    return bool(reply)


def _toggled(at: Location, reply: Reply) -> bool:
    concerned(at, reply)
    return bool(reply[0])


def _sum(_: Location, reply: Reply) -> Any:
    return only(reply)


def _checked(at: Location, total: float) -> float:
    whole = isinstance(total, int)
    if -(2**63) <= total < 2**64 if whole else math.isfinite(total):
        return total
    limits = "[-2**63, 2**64 - 1]" if whole else "the floats"
    raise ValueRangeError(
        f"the sum for {at.describe()} is outside {limits}; nothing was changed",
        location=at.describe(),
    )


def _number(value: Any, role: str) -> Any:
    if type(value) is int and -_EXACT <= value <= _EXACT:
        return value
    number = plain(value)
    if type(number) in (int, float):
        return number
    raise TypeError(f"{role} is {type(value).__name__}, not a number")
