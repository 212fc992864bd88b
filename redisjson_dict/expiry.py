"""How long a document lives: what is in force when it is assigned. Redis does the counting."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from contextvars import ContextVar
from datetime import datetime, timedelta

from redisjson_dict.errors import UnsupportedValueError, ValueRangeError

__all__ = ["Block", "Expiry", "Owner", "Seconds", "milliseconds", "moment", "owner"]

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
        seconds = timedelta.total_seconds(time)
    elif isinstance(time, (int, float)) and not isinstance(time, bool):
        seconds = _plain(time)
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
        when = datetime.timestamp(when)
    if isinstance(when, bool) or not isinstance(when, (int, float)):
        raise UnsupportedValueError(
            f"a moment is an aware datetime or seconds since the epoch, not {type(when).__name__}"
        )
    when = _plain(when)
    if not 0 <= when <= _LONGEST / 1000:
        raise ValueRangeError(f"the moment {when} is not between the epoch and {_LONGEST // 1000}")
    return round(when * 1000)


def _plain(number: float) -> float:
    """Return a number as it is, not as a subclass shows, compares or rounds itself."""
    return int.__int__(number) if isinstance(number, int) else float.__float__(number)


Owner = tuple[int, threading.Thread, "asyncio.Task[object] | None"]
"""Who is running. The objects themselves, whose numbers are used again when one has ended; and the
process, because a fork copies the thread that forks."""


def owner() -> Owner:
    """Return who is running: this process, this thread and, inside an event loop, this task.

    Child tasks and ``asyncio.to_thread`` inherit context variables, so the owner is compared.
    """
    loop = asyncio._get_running_loop()  # current_task() raises where there is none, which is slow
    task = None if loop is None else asyncio.current_task(loop)
    return os.getpid(), threading.current_thread(), task


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
            for entry in reversed(blocks):
                if entry.expiry is self and entry.entered_by == now and entry.block() is not None:
                    expire = entry.span
                    break
        keep = b"k" if self._preserve else b""
        return keep if expire is None else b"%b%d" % (keep, expire)

    def block(self, time: Seconds) -> Block:
        """Return a block that puts another time to live in force for this thread and task."""
        return Block(self, milliseconds(time))


class Block:
    """A ``with`` block in which another time to live is in force.

    May be entered again, and by several threads and tasks: each ends its own.
    """

    __slots__ = ("__weakref__", "_expiry", "_span")

    def __init__(self, expiry: Expiry, span: int) -> None:
        self._expiry = expiry
        self._span = span

    def __enter__(self) -> None:
        alive = [entry for entry in _blocks.get() if entry.block() is not None]
        _blocks.set((*alive, _Entry(weakref.ref(self), self._expiry, owner(), self._span)))

    def __exit__(self, *error: object) -> None:
        entries = list(_blocks.get())
        now = owner()
        for number in range(len(entries) - 1, -1, -1):
            if entries[number].block() is self and entries[number].entered_by == now:
                del entries[number]
                break
        _blocks.set(tuple(entries))


class _Entry:
    """A block that was entered; weakly, for an interrupt at its edge may keep it from ending."""

    __slots__ = ("block", "entered_by", "expiry", "span")

    def __init__(
        self, block: weakref.ref[Block], expiry: Expiry, entered_by: Owner, span: int
    ) -> None:
        self.block = block
        self.expiry = expiry
        self.entered_by = entered_by
        self.span = span


_blocks: ContextVar[tuple[_Entry, ...]] = ContextVar("redisjson_dict_expiry", default=())
