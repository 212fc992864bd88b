"""Any value: read, assign, delete, take out, search below, replace, modify."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from redisjson_dict.codec import HEAVY, decode
from redisjson_dict.errors import UnsupportedValueError, ValueRangeError
from redisjson_dict.location import Location, Step
from redisjson_dict.operations import (
    Flow,
    Found,
    Operation,
    Verb,
    concerned,
    encode_at,
    found,
    inspect,
    kind_of,
    nothing,
    or_else,
    repair_arguments,
    revise,
    same,
    scripted,
    shallow,
    walk,
)
from redisjson_dict.replies import Refusal, Reply, as_text, is_ok, only

__all__ = [
    "assign",
    "contains",
    "content",
    "delete",
    "fetch",
    "get_many",
    "kind",
    "length",
    "modify",
    "pop",
    "query",
    "read",
    "replace",
]

_ENDS = ((b"-1",), (b"[0]",))
_MANY = 100_000  # paths in one script: a few seconds in which nobody else is answered


def fetch(at: Location) -> Verb[Any]:
    """Read a scalar's value, or the `Container` that is there without its content."""
    if not at.readable:
        return inspect(at, lambda value, steps: shallow(at, value, steps))
    return scripted("peek", at, found, resend=True)


def read(at: Location, wants: str = "") -> Verb[Any]:
    """Read a value with all its content, as plain data."""
    if not at.readable:
        return inspect(at, lambda value, _: value, wants)
    decode = {"object": _object, "array": _array}.get(wants, _content)
    return Operation(at, ("JSON.GET", at.key, at.path), decode, resend=True, wants=wants)


def content(at: Location) -> Verb[Any]:
    """Read a value as `read` does, by a script that also says in one round trip what is missing."""
    if not at.readable:
        return read(at)
    return scripted("fetch", at, _content_of, resend=True)


def kind(at: Location) -> Verb[str]:
    """Read which kind of value is there, as JSON.TYPE names it."""
    if not at.readable:
        return inspect(at, lambda value, _: kind_of(value))
    return scripted("kind", at, lambda _, reply: as_text(reply), resend=True)


def contains(at: Location) -> Verb[bool]:
    """Return whether something is there; only the holder's own place must exist."""
    if not at.readable:
        return or_else(inspect(at, lambda value, _: True), False)
    return or_else(scripted("kind", at, lambda _, reply: True, resend=True), False)


def assign(at: Location, value: Any) -> Verb[None]:
    """Store a value: a new member, or in the place of what is there.

    A parent never comes into being by it, and an array never grows.
    """
    encoded = encode_at(at, value)
    text, repairs = encoded.text, encoded.repairs
    if not at.writable:
        fresh = decode(text)
        return revise(at.parent(), lambda holder: (None, _with(at, holder, fresh)), blamed=at)
    light = len(text) < HEAVY
    if repairs or at.counted_from_end:
        return scripted("store", at, nothing, text, *repair_arguments(at, repairs), resend=light)
    return Operation(at, ("JSON.SET", at.document.key, at.path, text), _stored, light)


def replace(at: Location, value: Any, wants: str = "") -> Verb[None]:
    """Store a value in the place of what is there, all at once; nothing comes into being."""
    encoded = encode_at(at, value)
    if not at.writable:
        fresh = decode(encoded.text)
        return revise(at, lambda _: (None, fresh), wants)
    repairs = repair_arguments(at, encoded.repairs)
    arguments = (wants, encoded.text, *repairs)
    return scripted(
        "replace", at, nothing, *arguments, resend=len(encoded.text) < HEAVY, wants=wants
    )


def delete(at: Location) -> Verb[None]:
    """Remove a member or an element."""
    if not at.writable:
        return revise(at.parent(), lambda holder: (None, _without(at, holder)[1]), blamed=at)
    return scripted("delete", at, nothing)


def pop(at: Location) -> Verb[Any]:
    """Remove a member or an element and return it as plain data."""
    if not at.writable:
        return revise(at.parent(), lambda holder: _without(at, holder), blamed=at)
    script = partial(scripted, "pop", at, _content, answers=True)
    if at.tail[-1:] not in _ENDS:  # where JSON.ARRPOP takes the nearest element
        return script()
    command = ("JSON.ARRPOP", at.key, at.parent().path, at.steps[-1])
    return Operation(at, command, _popped, answers=True, in_batch=script)


def length(at: Location, wants: str = "") -> Verb[int]:
    """Count the members of an object or the elements of an array."""
    if not at.writable:
        return inspect(at, lambda value, _: _size(at, value), wants)
    if wants == "array":  # JSON.OBJLEN could abort a server on a document that is gone
        return Operation(at, ("JSON.ARRLEN", at.key, at.path), _count, True, None, wants)
    needed = wants or "container"
    return scripted("length", at, same, wants, resend=True, wants=needed)


def get_many(at: Location, paths: Mapping[Any, tuple[Step, ...]], wants: str = "") -> Verb[Found]:
    """Read several places below one: what is there, as `fetch` gives it, by the paths' keys."""
    if len(paths) > _MANY:
        raise ValueRangeError(
            f"{len(paths)} paths below {at.describe()} are more than {_MANY}, the most that are "
            "read in one step: ask in parts, or use to_python()",
            location=at.describe(),
        )
    children = {key: at.descend(path) for key, path in paths.items()}
    if not (at.readable and all(child.readable for child in children.values())):
        return inspect(at, lambda value, steps: _picked(at.hold(steps), value, paths), wants)
    below: list[Any] = []
    for child in children.values():
        tail = child.tail[len(at.tail) :]
        below += [len(tail), *tail]

    def there(_: Location, reply: Reply) -> Found:
        pairs = zip(children.items(), reply[1:], strict=True)
        return Found((key, found(at, one)) for (key, at), one in pairs if one is not None)

    return scripted("get_many", at, there, wants, *below, resend=True, wants=wants)


def query(at: Location, expression: bytes, wants: str = "") -> Operation[list[Any]]:
    """Return all values that a JSONPath matches; `expression` is what follows the ``$``.

    Raises:
        ValueError: the server does not understand it.
    """
    if not at.readable:
        raise ValueRangeError(
            f"{at.describe()} cannot be queried: the server's paths skip the leading space of a "
            "name; use to_python()",
            location=at.describe(),
        )

    def matches(_: Location, reply: Reply) -> list[Any]:
        if isinstance(reply, list):
            raise ValueError(
                f"the server does not understand the JSONPath ${expression.decode()}: "
                f"{as_text(reply[1])}"
            )
        result: list[Any] = decode(reply)
        return result

    deadly = any(ord(c) % 256 == 0 for s in at.steps if isinstance(s, str) for c in s)
    arguments = (wants, expression, b"1" if deadly else b"")
    return scripted("query", at, matches, *arguments, resend=True, wants=wants)


def modify(at: Location, function: Callable[[Any], Any], tries: int, wants: str = "") -> Flow[Any]:
    """Compute a new value from the old one, and store it unless somebody was faster.

    Args:
        at: the place.
        function: gets the old value as plain data, returns the new one.
        tries: how many races may be lost.
        wants: the kind that old and new value must have.
    """

    def act(value: Any) -> tuple[Any, Any]:
        fresh = decode(encode_at(at, function(value)).text)
        if wants and kind_of(fresh) != wants:
            raise UnsupportedValueError(
                f"the function returned {type(fresh).__name__} for {at.describe()}, which is an "
                f"{wants}: it has to return the whole new content; nothing was changed",
                location=at.describe(),
            )
        return fresh, fresh

    return revise(at, act, wants, tries)


def _with(at: Location, holder: Any, fresh: Any) -> Any:
    """Return the holder of a place with another value there, as the server would do it."""
    step, above = at.steps[-1], len(at.steps) - 1
    if isinstance(step, str) and isinstance(holder, dict):
        holder[step] = fresh
    else:
        holder[walk(at, above, holder)[1][-1]] = fresh
    return holder


def _without(at: Location, holder: Any) -> tuple[Any, Any]:
    """Return what is at a place and its holder without it."""
    value, steps = walk(at, len(at.steps) - 1, holder)
    del holder[steps[-1]]
    return value, holder


def _picked(place: Location, value: Any, paths: Mapping[Any, tuple[Step, ...]]) -> Found:
    picked = Found()
    for key, path in paths.items():
        child = place.descend(path)
        try:
            there, steps = walk(child, len(place.steps), value)
        except (KeyError, IndexError):
            continue
        picked[key] = shallow(child, there, steps)
    return picked


def _count(at: Location, reply: Reply) -> int:
    concerned(at, reply)
    count: int = reply[0]
    return count


def _popped(at: Location, reply: Reply) -> Any:
    concerned(at, reply)
    return decode(reply[0])


def _content(_: Location, reply: Reply) -> Any:
    try:
        return only(reply)
    except LookupError:
        raise Refusal from None


def _content_of(at: Location, reply: Reply) -> Any:
    return _content(at, reply[0] if type(reply) is list else reply)


def _object(at: Location, reply: Reply) -> Any:
    value = _content(at, reply)
    if type(value) is not dict:
        raise Refusal
    return value


def _array(at: Location, reply: Reply) -> Any:
    value = _content(at, reply)
    if type(value) is not list:
        raise Refusal
    return value


def _stored(_: Location, reply: Reply) -> None:
    if not is_ok(reply):
        raise Refusal


def _size(at: Location, value: Any) -> int:
    if isinstance(value, (dict, list)):
        return len(value)
    raise TypeError(f"{at.describe()} is {kind_of(value)}, which has no length")
