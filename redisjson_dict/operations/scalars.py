"""Numbers, booleans and text, changed in place."""

from __future__ import annotations

import math
from typing import Any

from redisjson_dict.codec import decode, encode, plain
from redisjson_dict.errors import ValueRangeError
from redisjson_dict.location import Location
from redisjson_dict.operations import (
    Verb,
    encode_at,
    kind_of,
    repair_arguments,
    revise,
    scripted,
    walk,
)
from redisjson_dict.replies import Reply, absent, only

__all__ = ["concat", "incr", "toggle"]

_NUMBERS = ("integer", "number")


def incr(at: Location, amount: float = 1, default: float = 0) -> Verb[Any]:
    """Add to a number and return the new one; where nothing is, store ``default + amount``.

    A sum of integers stays an integer: one that leaves [-2^63, 2^64-1] is refused.

    Raises:
        ValueRangeError: the sum is outside what the server keeps.
    """
    amount, default = _number(amount, "amount"), _number(default, "default")
    created = encode_at(at, _checked(at, default + amount))

    def add(value: Any) -> tuple[Any, Any]:
        if kind_of(value) not in _NUMBERS:
            raise absent(at, len(at.steps), kind_of(value), "number")
        total = _checked(at, value + amount)
        return total, total

    def add_below(holder: Any) -> tuple[Any, Any]:
        step = at.steps[-1]
        if isinstance(holder, dict) and step not in holder and isinstance(step, str):
            total = decode(created.text)
        else:
            value, steps = walk(at, len(at.steps) - 1, holder)
            step, total = steps[-1], add(value)[0]
        holder[step] = total
        return total, holder

    if not at.writable:
        return revise(at.parent(), add_below)
    spelled = encode(amount)
    return scripted(
        "incr",
        at,
        _sum,
        b"" if spelled.repairs else spelled.text,
        created.text,
        at.settings.lifetime(),
        *repair_arguments(at, created.repairs),
        wants="number",
        fallback=revise(at, add),
        answers=True,
    )


def toggle(at: Location) -> Verb[bool]:
    """Negate a boolean and return the new one."""
    if not at.writable:
        return revise(at, lambda value: (not value, not value), "boolean")
    return scripted("toggle", at, lambda _, reply: bool(reply), wants="boolean", answers=True)


def concat(at: Location, text: str) -> Verb[None]:
    """Append to a text."""
    if not isinstance(text, str):
        raise TypeError(f"can only concatenate str to text, not {type(text).__name__}")
    encoded = encode_at(at, text)
    if not at.writable:
        return revise(at, lambda value: (None, value + decode(encoded.text)), "string")
    return scripted("concat", at, lambda _, reply: None, encoded.text, wants="string")


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
    number = plain(value)
    if type(number) in (int, float):
        return number
    raise TypeError(f"{role} is {type(value).__name__}, not a number")
