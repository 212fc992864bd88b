"""What a caller may write between brackets: names, indices, and paths of both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from redisjson_dict.codec import brief, is_live, whole
from redisjson_dict.errors import UnsupportedValueError, ValueRangeError
from redisjson_dict.location import DEPTH_LIMIT, Location, Step

__all__ = [
    "index_of",
    "lookup",
    "named_items",
    "path_of",
    "place",
    "several",
    "ssize",
    "target",
    "text_of_name",
]

_BITS = 256


def lookup(at: Location, key: Any) -> Location:
    """Return the place that a key reads.

    Raises:
        KeyError: nothing can be stored under such a key.
        TypeError: the key is not hashable.
    """
    try:
        return target(at, key)
    except (TypeError, ValueRangeError):
        hash(key)
        raise KeyError(key) from None


def target(at: Location, key: Any) -> Location:
    """Return the place that a key writes.

    Raises:
        UnsupportedValueError: the key is neither str nor a path.
        KeyError: a path that cannot lead anywhere.
        ValueRangeError: it holds a lone surrogate.
    """
    if type(key) is str:
        return at.remembered(key)
    if not isinstance(key, tuple):
        return at.descend((text_of_name(key),))
    steps = path_of(key)
    if isinstance(steps[0], int) or len(steps) > DEPTH_LIMIT:
        raise KeyError(key)  # an object has no indices, and no document is that deep
    found = at.descend(steps)
    found.pathlike = True
    return found


def place(at: Location, key: Any) -> Location:
    """Return the place that a name, an index or a path denotes below one of unknown kind.

    Raises:
        UnsupportedValueError: the key is none of them.
        ValueRangeError: it holds a lone surrogate.
    """
    return at.descend(path_of(key if isinstance(key, tuple) else (key,)))


def path_of(key: tuple[Any, ...]) -> tuple[Step, ...]:
    """Return the steps of a path: names and indices.

    Raises:
        UnsupportedValueError: a step is neither, or there is none.
    """
    if not key:
        raise UnsupportedValueError("() is no path: it names no member")
    if type(key) is tuple and set(map(type, key)) == {str}:
        return key
    return tuple([text_of_name(s) if isinstance(s, str) else _index_step(s, key) for s in key])


def text_of_name(key: Any) -> str:
    """Return a name as plain str; of a subclass of str its text.

    Raises:
        UnsupportedValueError: it is not str.
    """
    if isinstance(key, str):
        return str.__str__(key)
    raise UnsupportedValueError(f"keys are str, not {type(key).__name__}: {brief(key)}")


def index_of(key: Any) -> int:
    """Return an array index, with the error of `list` for anything that is none."""
    try:
        return _sane(whole(key))
    except TypeError:
        raise TypeError(
            f"list indices must be integers or slices, not {type(key).__name__}"
        ) from None


def several(keys: Iterable[Any]) -> Iterable[Any]:
    """Return keys that were asked for together.

    Raises:
        TypeError: it is one key, of which the letters would be asked for.
    """
    if isinstance(keys, (str, bytes)):
        raise TypeError(f"get_many takes several keys: give a list, [{brief(keys)}]")
    return keys


def ssize(index: Any) -> int:
    """Return an index where `list` wants one that fits its size type.

    Raises:
        OverflowError: it does not fit, as `list` says it.
    """
    number = whole(index)
    if -(2**63) <= number < 2**63:
        return number
    raise OverflowError("Python int too large to convert to C ssize_t")


def named_items(other: Any, more: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the arguments of ``dict.update`` add up to.

    Raises:
        UnsupportedValueError: a key is not str.
        TypeError, ValueError: as `dict` raises them for what are no pairs.
    """
    items = dict(other.to_python() if is_live(other) else other)
    items.update(more)
    if set(map(type, items)) <= {str}:
        return items
    return {text_of_name(key): value for key, value in items.items()}


def _sane(index: int) -> int:
    """Return an index that can be shown and sent; a larger one is out of range just the same."""
    if index.bit_length() <= _BITS:
        return index
    result: int = 2**_BITS if index > 0 else -(2**_BITS)
    return result


def _index_step(step: Any, path: tuple[Any, ...]) -> int:
    try:
        return _sane(whole(step))
    except TypeError:
        raise UnsupportedValueError(
            f"a path is made of names and indices; {brief(path)} has a {type(step).__name__}"
        ) from None
