"""Commands as they travel: RESP, the protocol of Redis. Knows nothing of connections.

Source: the specification of RESP 2 and 3; requests are the same in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

__all__ = ["Command", "packed", "packed_all"]

Command = tuple[Any, ...]
"""A command's name and its arguments: bytes, or text and numbers that are still to be spelled."""

_LARGE = 2**16  # bytes that are not worth copying
_MANY = 24  # parts of a command
_FORMS = [b"*%d\r\n" % count + b"$%d\r\n%b\r\n" * count for count in range(_MANY)]


def packed(command: Command) -> list[bytes]:
    """Return a command in RESP: chunks, of which what is large is one, without a copy.

    Packed here, in half of the time that redis-py needs. (And hiredis 3.5 crashes when an interrupt
    comes while it spells a number.)
    """
    if len(command) >= _MANY:
        return _many(command)
    fields: list[Any] = []
    for part in command:
        if type(part) is not bytes:
            part = _spelled(part)
        fields.append(len(part))
        fields.append(part)
    if sum(fields[::2]) > _LARGE:
        return _chunks(fields[1::2])
    return [_FORMS[len(command)] % tuple(fields)]


def _many(command: Command) -> list[bytes]:
    parts = [part if type(part) is bytes else _spelled(part) for part in command]
    if max(map(len, parts)) > _LARGE:
        return _chunks(parts)
    fields = chain.from_iterable(zip(map(len, parts), parts, strict=True))
    return [b"*%d\r\n" % len(parts) + b"$%d\r\n%b\r\n" * len(parts) % tuple(fields)]


def _spelled(part: Any) -> bytes:
    if type(part) is int:
        return b"%d" % part
    if type(part) is str:
        return part.encode()
    raise TypeError(f"{type(part).__name__} is no part of a command")


def _chunks(parts: list[bytes]) -> list[bytes]:
    """Return a large request: long texts by themselves, what is between them joined."""
    chunks: list[bytes] = []
    small = [b"*%d\r\n" % len(parts)]
    for part in parts:
        small.append(b"$%d\r\n" % len(part))
        if len(part) > _LARGE:
            chunks += [b"".join(small), part]
            small = [b"\r\n"]
        else:
            small += [part, b"\r\n"]
    return [*chunks, b"".join(small)]


def packed_all(commands: Sequence[Command]) -> list[bytes]:
    """Return several commands as one request."""
    chunks: list[bytes] = []
    small: list[bytes] = []
    for command in commands:
        request = packed(command)
        if len(request) == 1:
            small += request
        else:
            chunks += [b"".join(small), *request]
            small = []
    return [*chunks, b"".join(small)]
