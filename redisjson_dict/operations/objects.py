"""Members of an object: names, pages of values, many at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from redisjson_dict.codec import HEAVY, decode, is_light
from redisjson_dict.errors import UnsupportedValueError
from redisjson_dict.location import Location, is_writable, segment
from redisjson_dict.operations import (
    UNCHANGED,
    Container,
    Verb,
    encode_at,
    found,
    inspect,
    kind_of,
    nothing,
    repair_arguments,
    revise,
    scripted,
    shallow,
    walk,
)
from redisjson_dict.replies import Reply, absent, only

__all__ = ["clear", "members", "merge", "names", "popitem", "setdefault", "update"]

_MANY = 100_000  # members in one script; more are stored by compare-and-set
_EMPTY = "popitem(): dictionary is empty"  # as dict says it


def names(at: Location) -> Verb[list[str]]:
    """Read the names of all members, in document order."""
    if not at.writable:
        return inspect(at, lambda value, _: list(value), "object")
    return scripted("names", at, lambda _, reply: decode(reply), resend=True, wants="object")


def members(at: Location, page: int) -> Verb[tuple[list[str], list[Any]]]:
    """Read all names, and the values of the first `page` members as `values.fetch` gives them."""
    if not at.writable:
        return inspect(at, lambda value, steps: _shown(at.hold(steps), value, page), "object")

    def page_of(at: Location, reply: Reply) -> tuple[list[str], list[Any]]:
        all_names = decode(reply[0])
        text: bytes = reply[2]
        if text[:1] == b"*":
            return _shown(at.hold(), only(text[1:]), page)
        place = at.hold()
        scalars: Iterator[Any] = iter(decode(text))
        values = [
            next(scalars) if letter == 115 else _container(place, name, letter)
            for name, letter in zip(all_names[:page], reply[1], strict=False)
        ]
        return all_names, values

    return scripted("members", at, page_of, page, resend=True, wants="object")


def update(at: Location, items: Mapping[str, Any]) -> Verb[None]:
    """Store several members, each replaced whole, in one atomic step."""
    children = [at.child(name) for name in items]
    encoded = [encode_at(c, value) for c, value in zip(children, items.values(), strict=True)]
    few = len(items) <= _MANY
    if not (few and at.writable and all(child.writable for child in children)):
        fresh = {name: decode(one.text) for name, one in zip(items, encoded, strict=True)}
        return revise(at, lambda value: (None, {**value, **fresh}), "object")
    members = []
    repairs = []
    for name, one in zip(items, encoded, strict=True):
        members += [segment(name), one.text]
        repairs += [repair.below(name) for repair in one.repairs]
    needed = repair_arguments(at, repairs)
    arguments = (len(items), *members, *needed)
    return scripted("update", at, nothing, *arguments, resend=is_light(members), wants="object")


def setdefault(at: Location, value: Any) -> Verb[Any]:
    """Return what is at a member as `values.fetch` gives it, after storing `value` if nothing is.

    Atomic: of several writers exactly one stores.
    """
    encoded = encode_at(at, value)
    text = encoded.text
    if not at.writable:
        fresh = decode(text)
        return revise(at.parent(), lambda holder: _defaulted(at, holder, fresh), blamed=at)

    def kept(at: Location, reply: Reply) -> Any:
        stored = (reply[0] if type(reply) is list else reply) == b""
        if not stored:
            return found(at, reply)
        fresh = decode(text)
        if isinstance(fresh, (dict, list)):
            reply = [b"object" if isinstance(fresh, dict) else b"array", *reply[1:]]
            return found(at, reply)
        return fresh

    needed = repair_arguments(at, encoded.repairs) if encoded.repairs else ()
    return scripted("setdefault", at, kept, text, *needed, answers=True)


def popitem(at: Location) -> Verb[tuple[str, Any]]:
    """Remove the last member and return its name and value; `KeyError` when there is none."""
    slowly = revise(at, _last, "object")
    if not at.writable:
        return slowly
    return scripted("popitem", at, _taken, wants="object", fallback=slowly, answers=True)


def clear(at: Location, wants: str) -> Verb[None]:
    """Remove all members or elements."""
    if not at.writable:
        return revise(at, lambda value: (None, _emptied(at, value, wants)), wants)
    return scripted("clear", at, nothing, wants, resend=True, wants=wants or "container")


def merge(at: Location, patch: Mapping[str, Any]) -> Verb[None]:
    """Apply a JSON merge patch: None removes a member, an object merges into one, else replace.

    Source: RFC 7396.
    """
    if not isinstance(patch, Mapping):
        raise UnsupportedValueError(
            f"a merge patch for {at.describe()} is a mapping, not {type(patch).__name__}"
        )
    encoded = encode_at(at, patch)
    exact = all(
        is_writable(step) for r in encoded.repairs for step in r.steps if isinstance(step, str)
    )
    if not at.writable or not exact:
        fresh = decode(encoded.text)
        return revise(at, lambda value: (None, _merged(value, fresh)), "object")
    repairs = repair_arguments(at, encoded.repairs)
    light = len(encoded.text) < HEAVY
    return scripted("merge", at, nothing, encoded.text, *repairs, resend=light, wants="object")


def _emptied(at: Location, value: Any, wants: str) -> Any:
    if isinstance(value, (dict, list)):
        return type(value)()
    raise absent(at, len(at.steps), kind_of(value), wants or "container")


def _container(place: Location, name: str, letter: int) -> Container:
    return Container("object" if letter == 111 else "array", place.child(name).hold())


def _shown(place: Location, value: dict[str, Any], page: int) -> tuple[list[str], list[Any]]:
    all_names = list(value)
    return all_names, [shallow(place.child(name), value[name]) for name in all_names[:page]]


def _defaulted(at: Location, holder: Any, fresh: Any) -> tuple[Any, Any]:
    step = at.steps[-1]
    if isinstance(holder, dict) and isinstance(step, str) and step not in holder:
        holder[step] = fresh
        return shallow(at, fresh), holder
    value = walk(at, len(at.steps) - 1, holder)[0]
    return shallow(at, value), UNCHANGED


def _taken(_: Location, reply: Reply) -> tuple[str, Any]:
    if not reply:
        raise KeyError(_EMPTY)
    return decode(reply[0]), only(reply[1])


def _last(value: dict[str, Any]) -> tuple[tuple[str, Any], Any]:
    if not value:
        raise KeyError(_EMPTY)
    return value.popitem(), value


def _merged(target: Any, patch: Any) -> Any:
    """Apply a merge patch to plain data.

    Source: RFC 7396, section 2.
    """
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value)
    return result
