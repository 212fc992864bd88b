"""How long a document lives: what is in force when it is assigned. Redis does the counting."""

from __future__ import annotations

import asyncio
import math
import threading
from contextvars import ContextVar, Token
from datetime import datetime, timedelta

from redisjson_dict.errors import UnsupportedValueError, ValueRangeError

__all__ = ["Expiry", "Seconds", "milliseconds", "moment", "owner"]

Seconds = float | timedelta

_LONGEST = 2**53  # milliseconds; later moments overflow in the server


def milliseconds(time: Seconds) -> int:
    """Return a time span in milliseconds.

    Args:
        time: seconds, or a timedelta.

    Raises:
        UnsupportedValueError: it is neither.
        ValueRangeError: it is below one millisecond, NaN, or too long.
    """
    if isinstance(time, timedelta):
        seconds = time.total_seconds()
    elif isinstance(time, (int, float)) and not isinstance(time, bool):
        seconds = time
    else:
        raise UnsupportedValueError(
            f"a time to live is seconds (int or float) or a timedelta, not {type(time).__name__}"
        )
    if not 0.001 <= seconds <= _LONGEST / 1000:
        raise ValueRangeError(
            f"a time to live of {seconds} seconds: it must be between 0.001 and {_LONGEST // 1000}"
        )
    return round(seconds * 1000)


def moment(when: float | datetime) -> int:
    """Return a moment in milliseconds since the epoch.

    Args:
        when: an aware datetime, or seconds since the epoch.

    Raises:
        UnsupportedValueError: it is neither.
        ValueRangeError: a naive datetime, a negative number, NaN, or too late.
    """
    if isinstance(when, datetime):
        if when.tzinfo is None:
            raise ValueRangeError(f"{when!r} has no time zone: its moment is not known")
        when = when.timestamp()
    if isinstance(when, bool) or not isinstance(when, (int, float)):
        raise UnsupportedValueError(
            f"a moment is an aware datetime or seconds since the epoch, not {type(when).__name__}"
        )
    if math.isnan(when) or not 0 <= when <= _LONGEST / 1000:
        raise ValueRangeError(f"the moment {when} is not between the epoch and {_LONGEST // 1000}")
    return round(when * 1000)


def owner() -> tuple[int, int]:
    """Return who is running: this thread and, inside an event loop, this task.

    Child tasks and ``asyncio.to_thread`` inherit context variables, so the owner is compared.
    """
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return threading.get_ident(), id(task) if task is not None else 0


class Expiry:
    """The lifetime of documents that one dict assigns.

    Args:
        expire: the time to live of an assigned document; None: permanent.
        preserve: whether a document that is there already keeps its remaining time.
    """

    __slots__ = ("_expire", "_preserve")

    def __init__(self, expire: Seconds | None, preserve: bool) -> None:
        self._expire = None if expire is None else milliseconds(expire)
        self._preserve = bool(preserve)

    def lifetime(self) -> bytes:
        """Return what is in force now, as ``scripts/_lifetime.lua`` reads it."""
        expire = self._expire
        blocks = _blocks.get()
        if blocks:
            now = owner()
            for expiry, entered_by, span in reversed(blocks):
                if expiry is self and entered_by == now:
                    expire = span
                    break
        keep = b"k" if self._preserve else b""
        return keep if expire is None else b"%b%d" % (keep, expire)

    def block(self, time: Seconds) -> Block:
        """Return a block that puts another time to live in force for this thread and task."""
        return Block(self, milliseconds(time))


class Block:
    """A ``with`` block in which another time to live is in force; may be entered again."""

    __slots__ = ("_expiry", "_span", "_tokens")

    def __init__(self, expiry: Expiry, span: int) -> None:
        self._expiry = expiry
        self._span = span
        self._tokens: list[Token[_Blocks]] = []

    def __enter__(self) -> None:
        self._tokens.append(_blocks.set((*_blocks.get(), (self._expiry, owner(), self._span))))

    def __exit__(self, *error: object) -> None:
        _blocks.reset(self._tokens.pop())


_Blocks = tuple[tuple[Expiry, tuple[int, int], int], ...]
_blocks: ContextVar[_Blocks] = ContextVar("redisjson_dict_expiry", default=())
