"""Large JSON text to Python values, a piece at a time. Knows nothing but text.

orjson needs almost four times the size of a text while it decodes that, besides the value. So a
large text is cut at commas outside of strings. Each piece is decoded with what is open at its start
opened before it, and what is open at its end closed behind it; then its values move to the
containers that are there already. What is open is told by the brackets; all that is done with every
character is done in C.
"""

from __future__ import annotations

from typing import Any

import orjson

__all__ = ["loads"]

_OTHERS = bytes(set(range(256)).difference(b'"[]{}'))
_CLOSING = bytes.maketrans(b"[{", b"]}")


def loads(text: bytes, size: int) -> Any:
    """Return the value of JSON text.

    Args:
        text: as the server writes it: no object has a name twice.
        size: about how many bytes are decoded at once. With a string of more than eight times as
            many, for which orjson needs little, all is.

    Raises:
        orjson.JSONDecodeError: the text is no JSON, or nested too deep.
    """
    try:
        return _loads(text, size)
    except (orjson.JSONDecodeError, _NoPieces):  # an error is to show the whole text
        return orjson.loads(text)


class _NoPieces(Exception):
    """The text is not to be cut."""


def _loads(text: bytes, size: int) -> Any:
    value: Any = None
    around: list[Any] = []  # the containers that are open, each the last child of the one before
    start = 0
    while start <= len(text):
        if start and not around:
            raise _NoPieces  # something comes after the value
        piece, marked = _piece(text, start, size)
        brackets = _unpaired(marked)
        opened = brackets.lstrip(b"]}")
        closed = len(brackets) - len(opened)
        staying = around[: len(around) - closed]
        ends = b"".join([*map(_bracket, staying), opened]).translate(_CLOSING)[::-1]
        fresh = orjson.loads(b"".join([*_openings(around), piece, ends]))
        if around:
            _move(fresh, around)
        else:
            value = fresh
        around = staying
        for _ in opened:
            around.append(_last(around[-1]) if around else value)
        start += len(piece) + 1
    if around:
        raise _NoPieces  # something is missing at the end
    return value


def _piece(text: bytes, start: int, size: int) -> tuple[bytes, bytes]:
    """Return what comes before one of the next commas outside of strings, or all that is left.

    Returns:
        The piece, and the same without escaped quotes.
    """
    for length in (size, 8 * size):
        piece = text[start : start + length]
        marked = _unescaped(piece)
        if start + length >= len(text):
            return piece, marked
        cut = marked.rfind(b",")
        while cut >= 0 and marked.count(b'"', 0, cut) % 2:  # in a string, which starts further left
            cut = marked.rfind(b",", 0, marked.rfind(b'"', 0, cut))
        if cut >= 0:
            return piece[:cut], marked[:cut]
    raise _NoPieces


def _unescaped(text: bytes) -> bytes:
    """Return the text with other characters, as many, in the place of escapes."""
    if b"\\" not in text:
        return text
    return text.replace(b"\\\\", b"__").replace(b'\\"', b"__")


def _unpaired(text: bytes) -> bytes:
    """Return the brackets outside of strings, without those that a text opens and closes."""
    marks = text.translate(None, _OTHERS).replace(b'""', b"")
    brackets = b"".join(marks.split(b'"')[::2])
    before = -1
    while len(brackets) != before:
        before = len(brackets)
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return brackets


def _bracket(container: Any) -> bytes:
    return b"[" if type(container) is list else b"{"


def _openings(around: list[Any]) -> list[bytes]:
    """Return what opens containers again such that the next child of the innermost may follow."""
    openings = [
        b"[" if type(outer) is list else b"{%b:" % orjson.dumps(next(reversed(outer)))
        for outer in around[:-1]
    ]
    return openings + [_bracket(innermost) for innermost in around[-1:]]


def _move(fresh: Any, around: list[Any]) -> None:
    """Move the values of a piece to the containers that were open at its start."""
    for outer in around[:-1]:
        first = 0 if type(outer) is list else next(reversed(outer))
        further = fresh.pop(first)
        _add(outer, fresh)
        fresh = further
    _add(around[-1], fresh)


def _add(container: Any, fresh: Any) -> None:
    if type(container) is list:
        container += fresh
    else:
        container.update(fresh)


def _last(container: Any) -> Any:
    """Return the last child."""
    return container[-1 if type(container) is list else next(reversed(container))]
