"""Large JSON text to Python values, a piece at a time. Knows nothing but text.

orjson needs almost four times the size of a text while it decodes that, besides the value. So a
large text is cut at commas outside of strings. Each piece is decoded with what is open at its start
opened before it, and what is open at its end closed behind it; then its values move to the
containers that are there already. What is open is told by the brackets; all that is done with every
character is done in C.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson

__all__ = ["loads"]

_OTHERS = bytes(set(range(256)).difference(b'"[]{}'))
_LIST = ord("[")
_CLOSING = bytes.maketrans(b"[{", b"]}")


def loads(text: bytes, size: int) -> Any:
    """Return the value of JSON text.

    Args:
        text: as the server writes it: no object has a name twice.
        size: about how many bytes are decoded at once; more where there is a longer string.

    Raises:
        orjson.JSONDecodeError: the text is no JSON, or nested too deep.
    """
    with suppress(orjson.JSONDecodeError, _NoPieces):
        return _loads(text, size)
    return orjson.loads(text)  # the error is to show the whole text


class _NoPieces(Exception):
    """The text is to be decoded at once."""


def _loads(text: bytes, size: int) -> Any:
    value: Any = None
    around: list[Any] = []  # the containers that are open, each the last child of the one before
    start = 0
    while start <= len(text):
        piece, marked = _piece(text, start, size)
        _check(piece, first=not start, inside=bool(around))
        if start and len(piece) * 4 > len(text) * 3:
            raise _NoPieces  # nearly all is one string, which orjson copies once and we would twice
        start += len(piece) + 1
        brackets = _unpaired(marked)
        opened = brackets.lstrip(b"]}")
        staying = around[: len(around) + len(opened) - len(brackets)]
        fresh = orjson.loads(_completed(piece, around, staying, opened, size))
        if around:
            _move(fresh, around)
        else:
            value = fresh
        around = staying
        for bracket in opened:
            around.append(_last(around[-1] if around else [value], bracket))
    if around:
        raise _NoPieces  # something is missing at the end
    return value


def _completed(
    piece: bytes, around: list[Any], staying: list[Any], opened: bytes, size: int
) -> bytes:
    """Return a piece with what is open opened before it, and what stays open closed behind it."""
    openings = _openings(around)
    if len(openings) > size:
        raise _NoPieces  # names so long would be most of every piece
    ends = b"".join([*map(_bracket, staying), opened]).translate(_CLOSING)[::-1]
    return openings + piece + ends if openings or ends else piece


def _check(piece: bytes, *, first: bool, inside: bool) -> None:
    """Refuse a piece that is none without the commas around it."""
    bare = piece.strip()
    if not (bare and bare[-1:] not in (b"[", b"{")):
        raise _NoPieces
    if not first and (not inside or bare[:1] in (b"]", b"}")):
        raise _NoPieces


def _piece(text: bytes, start: int, size: int) -> tuple[bytes, bytes]:
    """Return what comes before one of the next commas outside of strings, or all that is left.

    Returns:
        The piece, and the same without escaped quotes.
    """
    while True:
        piece = text[start : start + size]
        marked = _unescaped(piece)
        if start + size >= len(text):
            return piece, marked
        cut = marked.rfind(b",")
        while cut >= 0 and marked.count(b'"', 0, cut) % 2:  # in a string, which starts further left
            cut = marked.rfind(b",", 0, marked.rfind(b'"', 0, cut))
        if cut >= 0:
            return piece[:cut], marked[:cut]
        size *= 2  # a long string


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


def _openings(around: list[Any]) -> bytes:
    """Return what opens containers again such that the next child of the innermost may follow."""
    openings = [
        b"[" if type(outer) is list else b"{%b:" % orjson.dumps(next(reversed(outer)))
        for outer in around[:-1]
    ]
    return b"".join(openings + [_bracket(innermost) for innermost in around[-1:]])


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


def _last(container: Any, bracket: int) -> Any:
    """Return the last child, which a bracket has opened."""
    child = container[-1 if type(container) is list else next(reversed(container))]
    if type(child) is not (list if bracket == _LIST else dict):
        raise _NoPieces  # its name was there before, so it is not the last
    return child
