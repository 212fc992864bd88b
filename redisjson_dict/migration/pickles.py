"""Pickles of plain data, read without running what they say.

A pickle names functions to be called, which is how opening a foreign one runs foreign code. Here a
name is looked up in a short list and nowhere else: nothing is imported, nothing foreign is called.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict, defaultdict
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from redisjson_dict.migration.items import Refusal

__all__ = ["unpickle"]

_KNOWN: dict[tuple[str, str], Any] = {
    (kind.__module__, kind.__qualname__): kind
    for kind in (
        *(set, frozenset, complex, int, float, str, bool, list, dict, tuple),
        *(OrderedDict, defaultdict, date, datetime, time, timedelta, timezone, Decimal, UUID),
    )
}
_DAMAGED = (
    *(pickle.UnpicklingError, ArithmeticError, AttributeError, EOFError, LookupError),
    *(MemoryError, RecursionError, TypeError, ValueError),
)


class _ForeignName(Exception):
    """A class or function that is not plain data."""


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = _KNOWN.get((module, name))
        if found is None:
            raise _ForeignName(f"{module}.{name}")
        return found


def unpickle(data: object) -> Any:
    """Return the value in a pickle, or a `Refusal` where it is more than plain data, or damaged."""
    if not isinstance(data, bytes):
        return Refusal(
            type(data).__name__,
            "it is no pickle: say how values were encoded, as decode=json.loads (--values json)",
        )
    try:
        return _Reader(io.BytesIO(data)).load()
    except _ForeignName as name:
        return Refusal(str(name), f"it needs {name}, which is no plain data; nothing of it was run")
    except _DAMAGED as error:
        return Refusal("pickle", f"it cannot be unpickled: {type(error).__name__}: {error}")
