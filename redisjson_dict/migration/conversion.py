"""The mappings that are made on demand only: Python types that JSON lacks, to values of JSON."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from redisjson_dict.errors import UnsupportedValueError

__all__ = ["CONVERSIONS", "Converter"]

_RANKS = {type(None): 0, bool: 1, int: 2, float: 2, str: 3}


def _sorted(values: set[Any] | frozenset[Any]) -> list[Any]:
    """Return the elements of a set in an order that does not change from run to run.

    Raises:
        UnsupportedValueError: they cannot be ordered.
    """
    if any(type(value) not in _RANKS for value in values):
        raise UnsupportedValueError(
            "the elements of a set are put in order, which is done for null, booleans, numbers and "
            "texts only"
        )
    return sorted(values, key=lambda value: (_RANKS[type(value)], value is None or value))


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


CONVERSIONS: dict[type, tuple[str, Callable[[Any], Any]]] = {
    set: ("an array, sorted: null, booleans, numbers, texts", _sorted),
    frozenset: ("an array, sorted: null, booleans, numbers, texts", _sorted),
    datetime: ("text, ISO 8601", datetime.isoformat),
    date: ("text, ISO 8601", date.isoformat),
    time: ("text, ISO 8601", time.isoformat),
    timedelta: ("a number: seconds", timedelta.total_seconds),
    Decimal: ("text, as str() gives it", str),
    UUID: ("text, as str() gives it", str),
    complex: ("an array of real and imaginary part", lambda value: [value.real, value.imag]),
    bytes: ("text, base64", _encoded),
}
"""What ``convert=True`` stores for each type: in words, and the function."""


class Converter:
    """Converts what `CONVERSIONS` lists, and counts it.

    Attributes:
        counts: how many values of each type were converted.
    """

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def __call__(self, value: Any) -> Any:
        """Return a value of JSON for one of another type; what is not listed as it is."""
        kind = type(value)
        if kind not in CONVERSIONS:
            return value
        converted = CONVERSIONS[kind][1](value)
        self.counts[kind.__name__] += 1
        return converted
