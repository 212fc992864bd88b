"""Verbs at a place that may be a whole document or a value inside one, and at a key below a place.

What a document needs more (a lifetime, no foreign key overwritten) is decided here, once for all
shells.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from redisjson_dict.codec import is_live
from redisjson_dict.errors import UnsupportedValueError, ValueRangeError
from redisjson_dict.keys import named_items, path_of, place, several, ssize
from redisjson_dict.location import Location
from redisjson_dict.operations import (
    MISSING,
    Found,
    Operation,
    Verb,
    arrays,
    documents,
    objects,
    or_else,
    scalars,
    values,
)

__all__ = [
    "HERE",
    "append",
    "assign",
    "clear",
    "concat",
    "contains",
    "delete",
    "exists",
    "extend",
    "get",
    "get_many",
    "incr",
    "insert",
    "kind",
    "length",
    "merge",
    "modify",
    "plain_items",
    "pop",
    "pop_at",
    "query",
    "read",
    "replace",
    "setdefault",
    "setdefault_at",
    "sort",
    "toggle",
    "trim",
    "update",
]


class Here:
    """The place itself, where a verb could also name a key below it."""

    def __repr__(self) -> str:
        return "HERE"


HERE: Final = Here()


def assign(at: Location, value: Any) -> Verb[None]:
    """Store a value at a place."""
    return values.assign(at, value) if at.steps else documents.assign(at, value)


def delete(at: Location) -> Verb[None]:
    """Remove what is at a place."""
    return values.delete(at) if at.steps else documents.delete(at)


def pop_at(at: Location, default: Any = MISSING) -> Verb[Any]:
    """Remove what is at a place and return it, or a default, as plain data."""
    verb = values.pop(at) if at.steps else documents.pop(at)
    return verb if default is MISSING else or_else(verb, default)


def setdefault_at(at: Location, default: Any = None) -> Verb[Any]:
    """Return what is at a place, after storing a default if nothing is."""
    return objects.setdefault(at, default) if at.steps else documents.setdefault(at, default)


def exists(at: Location) -> Verb[bool]:
    """Return whether something is at a place; a foreign key is none of ours."""
    if not at.steps:
        return documents.contains(at)
    verb = values.contains(at)
    return or_else(verb, False, documents.FOREIGN_TOO) if at.own < 0 else verb


def kind(at: Location) -> Verb[str]:
    """Return which kind of value is at a place, as JSON.TYPE names it."""
    return values.kind(at)


def get(at: Location, key: Any = HERE, default: Any = None) -> Verb[Any]:
    """Return the value of a scalar, a live proxy of a container; below, or a default."""
    if key is HERE:
        return values.fetch(at)
    return or_else(values.fetch(place(at, key)), default)


def read(at: Location, key: Any = HERE, default: Any = None) -> Verb[Any]:
    """Return a value with all its content, as plain data; below the place, or a default."""
    return values.read(at) if key is HERE else or_else(values.content(place(at, key)), default)


def contains(at: Location, key: Any) -> Verb[bool]:
    """Return whether there is such a member or element."""
    return values.contains(place(at, key))


def pop(at: Location, key: Any = -1, default: Any = MISSING) -> Verb[Any]:
    """Remove a member or an element and return it, or a default, as plain data."""
    return pop_at(place(at, key), default)


def setdefault(at: Location, key: Any, default: Any = None) -> Verb[Any]:
    """Return a member, after storing a default if there is none."""
    return objects.setdefault(place(at, key), default)


def incr(at: Location, key: Any = HERE, amount: float = 1, default: float = 0) -> Verb[Any]:
    """Add to a number and return the new one; where nothing is, store ``default + amount``."""
    return scalars.incr(_here_or_below(at, key), amount, default)


def toggle(at: Location, key: Any = HERE) -> Verb[bool]:
    """Negate a boolean and return the new one."""
    return scalars.toggle(_here_or_below(at, key))


def concat(at: Location, key: Any, text: Any = HERE) -> Verb[None]:
    """Append to the text of a member or element; called with the text only, to the place's own."""
    if text is HERE:
        return scalars.concat(at, key)
    return scalars.concat(place(at, key), text)


def update(at: Location, other: Any = (), /, **more: Any) -> Verb[None]:
    """Store several members in one atomic step; each is replaced whole."""
    return objects.update(at, named_items(other, more))


def append(at: Location, value: Any, maxlen: int | None = None) -> Verb[None]:
    """Add an element at the end; with ``maxlen``, keep only that many, the last ones."""
    if maxlen is None:
        return arrays.append(at, value)
    return arrays.append_bounded(at, value, maxlen)


def extend(at: Location, items: Iterable[Any]) -> Verb[None]:
    """Add several elements at the end in one atomic step."""
    return arrays.extend(at, plain_items(items))


def insert(at: Location, index: Any, value: Any) -> Verb[None]:
    """Add an element before a position, clamped to the ends."""
    return arrays.insert(at, ssize(index), value)


def trim(at: Location, start: int, stop: int) -> Verb[None]:
    """Keep ``[start:stop]`` of an array and remove the rest."""
    return arrays.trim(at, start, stop)


def sort(
    at: Location, *, key: Callable[[Any], Any] | None = None, reverse: bool = False
) -> Verb[None]:
    """Sort an array by compare-and-set: two round trips, the array travels."""
    return arrays.sort(at, key, bool(operator.index(reverse)))


def length(at: Location) -> Verb[int]:
    """Count the members of an object or the elements of an array."""
    return values.length(at)


def clear(at: Location) -> Verb[None]:
    """Remove all members or elements."""
    return objects.clear(at, "")


def merge(at: Location, patch: Mapping[str, Any]) -> Verb[None]:
    """Apply a JSON merge patch to an object. Source: RFC 7396."""
    return objects.merge(at, patch)


def query(at: Location, jsonpath: str, wants: str = "") -> Operation[list[Any]]:
    """Return all values that a JSONPath matches, as plain data; ``$`` is this place."""
    from redisjson_dict.jsonpath import expression

    return values.query(at, expression(jsonpath, below_root=bool(at.steps)), wants)


def get_many(at: Location, keys: Iterable[Any], wants: str = "") -> Verb[Found]:
    """Return those of several members or elements that are there."""
    wanted = {}
    for key in several(keys):
        try:
            place(at, key)
        except (TypeError, ValueRangeError):
            hash(key)
            continue
        wanted[key] = path_of(key if isinstance(key, tuple) else (key,))
    return values.get_many(at, wanted, wants)


def replace(at: Location, value: Any) -> Verb[None]:
    """Replace the whole content of an object by a mapping, of an array by a sequence.

    Raises:
        UnsupportedValueError: the value is neither.
    """
    if isinstance(value, Mapping):
        return values.replace(at, value, "object")
    if isinstance(value, (str, bytes, bytearray)) or not isinstance(value, Iterable):
        raise UnsupportedValueError(
            f"content is replaced by a mapping or a sequence, not by {type(value).__name__}"
        )
    return values.replace(at, list(plain_items(value)), "array")


def modify(at: Location, function: Callable[[Any], Any], tries: int = 100) -> Verb[Any]:
    """Replace a value by ``function(value)`` unless others change it meanwhile; then again."""
    return values.modify(at, function, tries)


def plain_items(items: Iterable[Any]) -> Iterable[Any]:
    """Return the elements of a live array as plain data, read at once; others as they are."""
    if is_live(items):
        result: Iterable[Any] = items.to_python()  # type: ignore[attr-defined]  # live values have it
        return result
    return items


def _here_or_below(at: Location, key: Any) -> Location:
    return at if key is HERE else place(at, key)
