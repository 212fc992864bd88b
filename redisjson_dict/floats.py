"""Floats that survive the server's number parser, bit for bit. Knows nothing but numbers and text.

The parser computes ``digits * 10**exponent`` in doubles, which is exact up to 15 digits and moves
one in ten longer floats by an ulp. `spell` mirrors it and picks another spelling of the same
number where `repr` would be misread; where there is none, it says which increment is missing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from functools import cache
from heapq import merge
from io import BytesIO

import orjson

from redisjson_dict.errors import ValueRangeError

__all__ = ["respell", "spell"]

_POWERS = [float(f"1e{exponent}") for exponent in range(309)]
_U64 = 2**64
# Number tokens of orjson that may be misread: 16 or more digits around a point, or an exponent.
# Each pattern starts with a literal, so that the scan runs at memchr's speed.
_POINT = rb"\.(?:[0-9]{8}|(?<=[0-9]{9}\.)[0-9]|[0-9]+e)[0-9]*(?:e?[-+]?[0-9]+)?"
_EXPONENT = rb"e[-+]?[0-9]+"
_BELOW_ONE = rb"-(?<=e-)[0-9]"  # starts with the rarer character of the two
_SIGNED = b"e+" in orjson.dumps(1e16)  # since orjson 3.12
_SIGN_AND_DIGITS = b"-.0123456789"


def _parsed(digits: int, exponent: int) -> float | None:
    """What the server makes of ``digits * 10**exponent``; None where it would refuse.

    Source: serde_json's `f64_from_parts` without its `float_roundtrip` feature.
    """
    if digits >= _U64:
        return None
    number = float(digits)
    while exponent < -308:
        if number == 0.0:
            return number
        number /= 1e308
        exponent += 308
    if exponent < 0:
        return number / _POWERS[-exponent]
    return number * _POWERS[exponent] if exponent < 309 else None


def _parts(token: str) -> tuple[int, int]:
    """Split an unsigned decimal into its digits and the exponent of ten."""
    mantissa, _, exponent = token.partition("e")
    whole, _, fraction = mantissa.partition(".")
    return int(whole + fraction), int(exponent or 0) - len(fraction)


def spell(value: float) -> tuple[bytes, tuple[bytes, bytes] | None]:
    """Return a spelling that the server reads as this float, bit for bit.

    Returns:
        The text; and, where no spelling was found, what to add afterwards and the float wanted.

    Raises:
        ValueRangeError: neither exists (never seen for a normal float).
    """
    text = repr(value)
    if len(text) < 17 and "e" not in text:  # at most 15 digits: exact in every parser
        return text.encode(), None
    sign, token = ("-", text[1:]) if text[0] == "-" else ("", text)
    size = abs(value)
    if _parsed(*_parts(token)) == size:
        return text.encode(), None
    other = _respelled(size)
    if other is not None:
        return (sign + other).encode(), None
    return _with_increment(value, sign, token)


def _respelled(size: float) -> str | None:
    """Search the decimals near a float, longest first, for one that both parsers read right."""
    magnitude = math.floor(math.log10(size))
    numerator, denominator = size.as_integer_ratio()
    for count in range(20, 0, -1):
        exponent = magnitude - count + 1
        if exponent >= 0:
            digits = numerator // (denominator * 10**exponent)
        else:
            digits = numerator * 10**-exponent // denominator
        for near in (digits, digits + 1):
            if not 0 < near < _U64:
                continue
            double = float(near)
            for candidate in (
                double,
                math.nextafter(double, math.inf),
                math.nextafter(double, 0.0),
            ):
                whole = int(candidate)
                if 0 < whole < _U64 and _parsed(whole, exponent) == size:
                    text = f"{whole}e{exponent}"
                    if float(text) == size:  # right on a correctly rounding server, too
                        return text
    return None


def _with_increment(
    value: float, sign: str, token: str
) -> tuple[bytes, tuple[bytes, bytes] | None]:
    stored = _parsed(*_parts(token))
    if stored is not None and math.isfinite(stored):
        missing = abs(value) - stored
        text = repr(abs(missing))
        increment = _parsed(*_parts(text))
        if increment is not None and stored + math.copysign(increment, missing) == abs(value):
            added = math.copysign(1.0, missing) * (-1.0 if sign else 1.0)
            spelled = ("-" if added < 0 else "") + text
            return (sign + token).encode(), (spelled.encode(), repr(value).encode())
    raise ValueRangeError(
        f"the float {value!r} cannot be stored exactly on this server: round it, or store text"
    )


def respell(text: bytes) -> tuple[bytes, bool]:
    """Return JSON text with every float spelled such that the server reads it right.

    Scans the text instead of walking the value: one without long floats costs next to nothing.

    Args:
        text: as orjson writes it, without white space.

    Returns:
        The text, and whether a float is left that no spelling carries.
    """
    exponents = b"e" in text and _has_exponent(text)
    if not exponents and (b"." not in text or _compiled(_POINT).search(text) is None):
        return text, False
    # Escaped quotes and backslashes are masked, so that the quotes left over delimit strings.
    mask = text
    if b"\\" in text:
        mask = text.replace(b"\\\\", b"__").replace(b'\\"', b"__")
    tokens: Iterable[tuple[int, int]] = _tokens(_POINT, mask)
    if exponents:
        tokens = merge(tokens, _tokens(_EXPONENT, mask))
    return _rewritten(text, tokens)


def _rewritten(text: bytes, tokens: Iterable[tuple[int, int]]) -> tuple[bytes, bool]:
    """Return the text with another spelling for each of some number tokens that needs one."""
    old, new = memoryview(text), BytesIO()  # pieces of a large text would fragment the memory
    done = seen = 0
    left = False
    for start, end in tokens:
        if start < seen:  # found by both patterns
            continue
        seen = end
        token = text[start:end]
        value = float(token)
        if _is_read_right(token, abs(value)):
            continue
        spelled, missing = spell(value)
        if missing is not None:
            left = True
        else:
            new.write(old[done:start])
            new.write(spelled)
            done = end
    if done == 0:
        return text, left
    new.write(old[done:])
    return new.getvalue(), left


def _is_read_right(token: bytes, size: float) -> bool:
    """Return whether the server reads a number token of orjson as a float of this size."""
    mantissa, _, exponent = token.partition(b"e")
    whole, _, fraction = mantissa.partition(b".")
    digits = int(whole + fraction)
    power = int(exponent or 0) - len(fraction)
    if -308 <= power < 0:  # nearly all, so in place
        return abs(digits) < _U64 and abs(digits) / _POWERS[-power] == size
    return _parsed(abs(digits), power) == size


@cache
def _compiled(pattern: bytes) -> re.Pattern[bytes]:
    """Return a pattern, compiled when first needed: that takes as long as loading a module."""
    return re.compile(pattern)


def _has_exponent(text: bytes) -> bool:
    if not _SIGNED:
        return _compiled(_EXPONENT).search(text) is not None
    if b"+" in text and b"e+" in text:  # a plus is nearly never there, and found at once
        return True
    return _compiled(_BELOW_ONE).search(text) is not None


def _tokens(pattern: bytes, mask: bytes) -> Iterator[tuple[int, int]]:
    """Where number tokens start and end; what only looks like one inside a string is left out."""
    quoted = b'"' in mask
    quotes = counted = 0
    for match in _compiled(pattern).finditer(mask):
        at, end = match.span()
        if quoted:
            quotes += mask.count(b'"', counted, at)
            counted = at
            if quotes % 2:
                continue
        before = mask[max(0, at - 40) : at]
        yield at - len(before) + len(before.rstrip(_SIGN_AND_DIGITS)), end
