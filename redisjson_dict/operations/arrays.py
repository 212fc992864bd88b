"""Elements of an array: append, insert, slices, search, order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

from redisjson_dict.codec import decode, encode, whole
from redisjson_dict.errors import ValueRangeError
from redisjson_dict.location import Location
from redisjson_dict.operations import (
    Container,
    Operation,
    Verb,
    concerned,
    encode_at,
    encode_element,
    encode_elements,
    inspect,
    kind_of,
    nothing,
    repair_arguments,
    revise,
    scripted,
)
from redisjson_dict.replies import Reply

__all__ = [
    "append",
    "append_bounded",
    "assign_slice",
    "count",
    "delete_slice",
    "elements",
    "extend",
    "get_slice",
    "holds",
    "index",
    "insert",
    "remove",
    "repeat",
    "reverse",
    "set_slice",
    "sort",
    "trim",
]

T = TypeVar("T")

_FAR = 2**53
_MANY = 100_000  # texts in one script; more are stored by compare-and-set


def append(at: Location, value: Any) -> Verb[None]:
    """Add an element at the end: one JSON.ARRAPPEND with the element only."""
    encoded = encode_element(at, value)
    text = encoded.text
    if not at.writable:
        return revise(at, lambda array: (None, [*array, decode(text)]), "array")
    if encoded.repairs:
        needed = repair_arguments(at, encoded.repairs)
        return scripted("append", at, nothing, text, b"", *needed, wants="array")
    command = ("JSON.ARRAPPEND", at.document.key, at.path, text)
    return Operation(at, command, concerned, False, None, "array")


def append_bounded(at: Location, value: Any, maxlen: int) -> Verb[None]:
    """Add an element at the end and keep only the last `maxlen`, in one atomic step."""
    maxlen = whole(maxlen)
    if maxlen < 0:
        raise ValueError(f"maxlen is {maxlen}; it must be 0 or more")
    maxlen = min(maxlen, _FAR)
    encoded = encode_element(at, value)
    if not at.writable:
        fresh = decode(encoded.text)
        return revise(at, lambda a: (None, [*a, fresh][max(0, len(a) + 1 - maxlen) :]), "array")
    needed = repair_arguments(at, encoded.repairs)
    return scripted("append", at, nothing, encoded.text, maxlen, *needed, wants="array")


def extend(at: Location, values: Iterable[Any]) -> Verb[None]:
    """Add several elements at the end, in one atomic step."""
    return set_slice(at, _FAR, _FAR, values)


def insert(at: Location, position: int, value: Any) -> Verb[None]:
    """Add an element before a position, clamped to the ends as in `list.insert`."""
    position = _bounded(position)
    return set_slice(at, position, position, [value])


def get_slice(at: Location, part: slice) -> Verb[list[Any]]:
    """Read a slice of any form as plain data; only its elements travel."""
    start, stop, step = _ends(part)
    if not at.writable:
        return inspect(at, lambda array, _: array[part], "array")
    backwards = step is not None and step < 0

    def elements_of(_: Location, reply: Reply) -> list[Any]:
        values: list[Any] = decode(reply)
        return values[::-1] if backwards else values

    arguments = ["" if end is None else end for end in (start, stop, step)]
    return scripted("slice", at, elements_of, *arguments, resend=True, wants="array")


def set_slice(at: Location, start: int, stop: int, values: Iterable[Any]) -> Verb[None]:
    """Replace a contiguous slice; only the new elements travel.

    One script, unless more than 1,000 elements go from the middle: then by compare-and-set.
    """
    texts, repairs = encode_elements(at, list(values))
    if not texts and (start, stop) != (_FAR, _FAR):
        return delete_slice(at, slice(start, stop))  # which a full server lets through

    def act(array: list[Any]) -> tuple[None, Any]:
        array[start:stop] = [decode(text) for text in texts]
        return None, array

    slowly = revise(at, act, "array")
    if not at.writable or len(texts) > _MANY:
        return slowly
    needed: list[Any] = []
    for number, repair in repairs:
        needed += [number, *repair_arguments(at, (repair,))]
    arguments = (start, stop, len(texts), *texts, *needed)
    script = partial(scripted, "splice", at, nothing, *arguments, wants="array", fallback=slowly)
    command: tuple[Any, ...] = ("JSON.ARRAPPEND", at.key, at.path, *texts)
    if start == stop == 0:
        command = ("JSON.ARRINSERT", at.key, at.path, 0, *texts)
    elif not start == stop == _FAR:  # where JSON.ARRINSERT does not clamp
        return script()
    if not texts or repairs:
        return script()
    return Operation(at, command, concerned, wants="array", in_batch=script)


def assign_slice(at: Location, part: slice, values: Iterable[Any]) -> Verb[None]:
    """Replace a slice of any form, with the errors of `list`."""
    start, stop, step = _ends(part)
    if step in (None, 1):
        return set_slice(at, *_contiguous(start, stop), values)
    fresh = decode(encode_at(at, list(values)).text)

    def act(array: list[Any]) -> tuple[None, Any]:
        array[part] = fresh
        return None, array

    return revise(at, act, "array")


def delete_slice(at: Location, part: slice) -> Verb[None]:
    """Remove a slice of any form; nothing but its ends travels when it is contiguous."""
    start, stop, step = _ends(part)

    def act(array: list[Any]) -> tuple[None, Any]:
        del array[part]
        return None, array

    slowly = revise(at, act, "array")
    if not at.writable or step not in (None, 1):
        return slowly
    ends = _contiguous(start, stop)
    return scripted("cut", at, nothing, *ends, wants="array", fallback=slowly)


def trim(at: Location, start: int, stop: int) -> Verb[None]:
    """Keep a slice and remove the rest."""
    start, stop = _bounded(start), _bounded(stop)
    if not at.writable:
        return revise(at, lambda array: (None, array[start:stop]), "array")
    return scripted("trim", at, nothing, start, stop, wants="array")


def elements(at: Location, start: int, page: int) -> Verb[list[Any]]:
    """Read a page of elements: scalars by value, containers as `Container`."""
    if not at.writable:

        def shown(array: list[Any], _: Any) -> list[Any]:
            part = enumerate(array[start : start + page], start)
            return [
                Container(kind_of(value), at.child(number).hold())
                if isinstance(value, (dict, list))
                else value
                for number, value in part
            ]

        return inspect(at, shown, "array")

    def page_of(at: Location, reply: Reply) -> list[Any]:
        scalars: Iterator[Any] = iter(decode(reply[1]))
        return [
            next(scalars)
            if letter == 115
            else Container("object" if letter == 111 else "array", at.child(number).hold())
            for number, letter in enumerate(reply[0], start)
        ]

    return scripted("elements", at, page_of, start, page, resend=True, wants="array")


def index(at: Location, value: Any, start: int = 0, stop: int = _FAR) -> Verb[int]:
    """Return where a value is first found; compares as Python does.

    A scalar is looked for by the server. Anything else, which Python may find equal to several
    texts, is looked for here, in the array fetched once.

    Raises:
        ValueError: it is not there.
    """

    def position(found: int) -> int:
        if found < 0:
            raise ValueError(f"{value!r} is not in list")
        return found

    return _search(at, value, _bounded(start), _bounded(stop), position)


def holds(at: Location, value: Any) -> Verb[bool]:
    """Return whether an element equals a value; compares as `index` does."""
    return _search(at, value, 0, _FAR, lambda found: found >= 0)


def count(at: Location, value: Any) -> Verb[int]:
    """Count the elements equal to a value, in the array fetched once."""
    return inspect(at, lambda array, _: array.count(value), "array")


def remove(at: Location, value: Any) -> Verb[None]:
    """Remove the first element equal to a value.

    Raises:
        ValueError: there is none.
    """
    texts = _equals(value)
    if texts is not None and at.writable:
        return scripted("remove", at, _removed, *texts, wants="array")

    def act(array: list[Any]) -> tuple[None, Any]:
        array.remove(value)
        return None, array

    return revise(at, act, "array")


def sort(at: Location, key: Callable[[Any], Any] | None, reverse: bool) -> Verb[None]:
    """Sort, by compare-and-set on the array."""

    def act(array: list[Any]) -> tuple[None, Any]:
        array.sort(key=key, reverse=reverse)
        return None, array

    return revise(at, act, "array")


def reverse(at: Location) -> Verb[None]:
    """Reverse, by compare-and-set on the array."""
    return revise(at, lambda array: (None, array[::-1]), "array")


def repeat(at: Location, times: int) -> Verb[None]:
    """Repeat the elements, by compare-and-set on the array."""
    times = whole(times)
    return revise(at, lambda array: (None, array * times), "array")


def _bounded(position: Any) -> int:
    return max(-_FAR, min(_FAR, whole(position)))


def _ends(part: slice) -> tuple[int | None, int | None, int | None]:
    start, stop, step = (
        None if end is None else _bounded(end) for end in (part.start, part.stop, part.step)
    )
    if step == 0:
        raise ValueError("slice step cannot be zero")
    return start, stop, step


def _contiguous(start: int | None, stop: int | None) -> tuple[int, int]:
    return 0 if start is None else start, _FAR if stop is None else stop


def _removed(_: Location, reply: Reply) -> None:
    if reply < 0:
        raise ValueError("list.remove(x): x not in list")


def _search(at: Location, value: Any, start: int, stop: int, then: Callable[[int], T]) -> Verb[T]:
    texts = _equals(value)
    if texts is not None and at.writable:
        arguments = (start, stop, *texts)
        return scripted(
            "index", at, lambda _, reply: then(reply), *arguments, resend=True, wants="array"
        )

    def position(array: list[Any], _: Any) -> T:
        first, last, _step = slice(start, stop).indices(len(array))
        equal = (number for number in range(first, last) if array[number] == value)
        return then(next(equal, -1))  # list.index would show the value when it is not there

    return inspect(at, position, "array")


def _equals(value: Any) -> list[bytes] | None:
    """Return the texts of all scalars that Python finds equal to a value.

    None where they cannot be listed: foreign types, containers, NaN, numbers out of range.
    """
    kind = type(value)
    if kind is str or value is None:
        candidates: list[Any] = [value]
    elif kind in (int, float, bool):
        if value != value or abs(value) > 2**64:
            return None
        whole = int(value)
        candidates = [whole] if whole == value else []
        candidates += [double] if (double := float(value)) == value else []
        candidates += [bool(whole)] if value in (0, 1) else []
    else:
        return None
    try:
        encoded = [encode(candidate) for candidate in candidates]
    except ValueRangeError:
        return None
    return None if any(one.repairs for one in encoded) else [one.text for one in encoded]
