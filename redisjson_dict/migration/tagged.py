"""The values of redis-dict: a type's name, a colon, and text.

Source: redis_dict/type_management.py of redis-dict 3.4; its own reading is followed to the letter,
so that what comes out is what a `RedisDict` would have given.
"""

from __future__ import annotations

import base64
import json
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal, DecimalException
from typing import Any
from uuid import UUID

from redisjson_dict.migration.items import Refusal

__all__ = ["Decoders", "is_tagged", "read"]

Decoders = Mapping[str, Callable[[str], Any]]

_UNREADABLE = (ValueError, TypeError, LookupError, DecimalException, RecursionError)


def _complex(text: str) -> complex:
    real, imaginary = text.split(",")
    return complex(float(real), float(imaginary))


_DECODERS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": lambda text: text == "True",
    "NoneType": lambda text: None,
    "tuple": lambda text: tuple(json.loads(text)),
    "set": lambda text: set(json.loads(text)),
    "frozenset": lambda text: frozenset(json.loads(text)),
    "OrderedDict": lambda text: OrderedDict(json.loads(text)),
    "defaultdict": lambda text: defaultdict(None, json.loads(text)),
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": lambda text: timedelta(seconds=float(text)),
    "Decimal": Decimal,
    "complex": _complex,
    "bytes": base64.b64decode,
    "UUID": UUID,
}


class _Unknown(ValueError):
    """A type that the program has registered, met inside a list or a dict."""


def read(text: str, own: Decoders) -> Any:
    """Return the value of a text that redis-dict has written, or why there is none.

    Args:
        text: what the Redis key holds.
        own: the decoders that the program had registered by `extends_type`, by the type's name.
    """
    tag, colon, rest = text.partition(":")
    if not colon:
        return Refusal("text", "redis-dict has not written it: no type and colon in front")
    try:
        return _decoder(tag, own)(rest)
    except _Unknown as unknown:
        return _unknown(str(unknown))
    except _UNREADABLE as error:
        return Refusal(tag, f"redis-dict could not read it either: {type(error).__name__}: {error}")


def is_tagged(text: bytes) -> bool:
    """Return whether a text begins as redis-dict writes it."""
    tag, colon, _ = text[:40].partition(b":")
    return bool(colon) and tag.decode(errors="replace") in (*_DECODERS, "list", "dict")


def _decoder(tag: str, own: Decoders) -> Callable[[str], Any]:
    if tag in own:
        return own[tag]
    if tag in ("list", "dict"):
        return lambda text: json.loads(text, object_hook=lambda found: _object(found, own))
    if tag in _DECODERS:
        return _DECODERS[tag]
    raise _Unknown(tag)


def _object(found: dict[str, Any], own: Decoders) -> Any:
    """Return what an object inside a list or a dict stands for: itself, or a value of a type."""
    if "__type__" not in found or "value" not in found:
        return found
    tag = found["__type__"]
    if not isinstance(tag, str):
        return found
    return _decoder(tag, own)(found["value"])


def _unknown(tag: str) -> Refusal:
    if not tag.partition("[")[0].isidentifier():  # a generic class may be called Box[int]
        why = f"redis-dict has not written it: {_beginning(tag)} is no name of a type"
        return Refusal("text", f"{why}; is --from right?")
    return Refusal(
        tag,
        f"{tag!r} is none of redis-dict's own types: its text is what extends_type has registered, "
        "or else str(value), as for numpy's arrays; in Python, RedisDictSource(types=) takes a "
        "decoder for it that returns values of JSON",
    )


def _beginning(tag: str) -> str:
    """Return a text on one line, shortened: where there is no type, it may be a whole value."""
    return repr(tag) if len(tag) <= 40 else f"{tag[:40]!r}..."
