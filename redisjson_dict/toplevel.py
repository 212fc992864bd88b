"""Verbs of a dict as a whole: on a key or a path of it, or on several documents at once.

Like `verbs`, they are shared by the blocking dict, the asyncio dict and batches.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from redisjson_dict import verbs
from redisjson_dict.errors import NotADocumentError
from redisjson_dict.expiry import Seconds, milliseconds, moment
from redisjson_dict.keys import named_items, several
from redisjson_dict.keyspace import Keyspace
from redisjson_dict.location import Location
from redisjson_dict.operations import (
    MISSING,
    Flow,
    Found,
    Operation,
    Steps,
    Verb,
    documents,
    or_else,
    scalars,
    values,
)

if TYPE_CHECKING:
    from redisjson_dict.preview import View

__all__ = [
    "OPTIONS",
    "PAGE",
    "assign",
    "concat",
    "contains",
    "content",
    "delete",
    "drop",
    "expire",
    "expireat",
    "fetch",
    "fetch_page",
    "get",
    "get_many",
    "incr",
    "look",
    "persist",
    "pop",
    "read",
    "read_page",
    "rename",
    "setdefault",
    "toggle",
    "ttl",
    "update",
]

OPTIONS = ("namespace", "expire", "preserve_expiration", "default")
"""The options that every dict takes, besides those of its client."""

PAGE = 1000
"""Documents or elements fetched in one round trip when many are read."""


def fetch(space: Keyspace, key: Any) -> Verb[Any]:
    """Return a scalar's value, or a proxy of the container there."""
    return values.fetch(space.lookup(key))


def get(space: Keyspace, key: Any, default: Any = None) -> Verb[Any]:
    """Return a document, or with a path a value inside one, or a default."""
    try:
        return or_else(fetch(space, key), default)
    except KeyError:
        return _known(space, default)


def read(space: Keyspace, key: Any, default: Any = None) -> Verb[Any]:
    """Return a document, or a value inside one, as plain data, or a default."""
    try:
        return or_else(values.content(space.lookup(key)), default)
    except KeyError:
        return _known(space, default)


def assign(space: Keyspace, key: Any, value: Any) -> Verb[None]:
    """Store a document, or with a path a value inside one."""
    return verbs.assign(space.target(key), value)


def delete(space: Keyspace, key: Any) -> Verb[None]:
    """Remove a document, or with a path a value inside one."""
    return verbs.delete(space.lookup(key))


def contains(space: Keyspace, key: Any) -> Verb[bool]:
    """Return whether there is such a document, or such a value inside one."""
    try:
        return verbs.exists(space.lookup(key))
    except KeyError:
        return _known(space, False)


def pop(space: Keyspace, key: Any, default: Any = MISSING) -> Verb[Any]:
    """Remove a document, or a value inside one, and return it, or a default, as plain data."""
    try:
        place = space.lookup(key)
    except KeyError:
        if default is MISSING:
            raise
        return _known(space, default)
    return verbs.pop_at(place, default)


def setdefault(space: Keyspace, key: Any, default: Any = None) -> Verb[Any]:
    """Return what is there, after storing a default if nothing is, in one atomic step."""
    return verbs.setdefault_at(space.target(key), default)


def update(space: Keyspace, other: Any = (), /, **more: Any) -> Verb[None]:
    """Store several documents: in one atomic step where one script may touch them all."""
    items = named_items(other, more)
    keys = space.keys(items)
    groups = space.together(keys)
    if len(groups) == 1 and keys:
        return documents.update(keys, list(items.values()), space.places)
    value_of = dict(zip(keys, items.values(), strict=True))
    return _all(
        space,
        [documents.update(g, [value_of[k] for k in g], space.places) for g in groups if g],
    )


def incr(space: Keyspace, key: Any, amount: float = 1, default: float = 0) -> Verb[Any]:
    """Add to a number and return the new one; where nothing is, store ``default + amount``."""
    return scalars.incr(space.target(key), amount, default)


def toggle(space: Keyspace, key: Any) -> Verb[bool]:
    """Negate a boolean and return the new one."""
    return scalars.toggle(space.lookup(key))


def concat(space: Keyspace, key: Any, text: str) -> Verb[None]:
    """Append to a text; only the addition travels."""
    return scalars.concat(space.lookup(key), text)


def rename(space: Keyspace, old: str, new: str) -> Operation[None]:
    """Give a document another key; a document there is replaced, a foreign key refused.

    Raises:
        ValueError: on a Cluster, the keys are in different slots.
    """
    places = [space.document(old), space.document(new)]
    if len(space.together([place.key for place in places])) > 1:
        raise ValueError(
            f"{old!r} and {new!r} are in different slots of the cluster: a common hash tag in "
            "braces, as in '{run}:1', keeps keys together"
        )
    return documents.rename(*places)


def ttl(space: Keyspace, key: str) -> Operation[float | None]:
    """Return the seconds that a document has left; None for a permanent one."""
    return documents.ttl(space.document(key))


def expire(space: Keyspace, key: str, time: Seconds) -> Operation[None]:
    """Set how long a document lives from now on, in seconds or as a timedelta."""
    return documents.expire(space.document(key), milliseconds(time))


def expireat(space: Keyspace, key: str, when: float | datetime) -> Operation[None]:
    """Set the moment when a document ends: an aware datetime, or seconds since the epoch."""
    return documents.expireat(space.document(key), moment(when))


def persist(space: Keyspace, key: str) -> Operation[bool]:
    """Make a document permanent; return whether it was not."""
    return documents.persist(space.document(key))


def get_many(space: Keyspace, keys: Iterable[Any]) -> Flow[Found]:
    """Return those of several documents, or of several paths, that are there."""
    whole: dict[Any, Location] = {}
    inside: dict[str, dict[Any, Any]] = {}
    wanted = list(dict.fromkeys(several(keys)))
    for key in wanted:
        try:
            place = space.lookup(key)
        except KeyError:
            continue
        if place.steps:
            inside.setdefault(place.name, {})[key] = place.steps
        else:
            whole[key] = place

    def start() -> Steps[Found]:
        found: dict[Any, Any] = {}
        rest = iter(whole.items())
        while page := dict(islice(rest, PAGE)):
            results = yield fetch_page(space, list(page.values()))
            found.update(zip(page, map(_raised, results), strict=True))
        for name, paths in inside.items():
            found.update((yield or_else(values.get_many(space.document(name), paths), {})))
        return Found((k, found[k]) for k in wanted if found.get(k, MISSING) is not MISSING)

    return Flow(space.document(""), start)


def fetch_page(space: Keyspace, places: list[Location]) -> Flow[list[Any]]:
    """Read several documents, in order; see `documents.fetch_many`."""
    return _each(space, places, _together(space, places), documents.fetch_many)


def read_page(space: Keyspace, keys: list[bytes]) -> Verb[list[Any]]:
    """Read the content of several documents by their Redis keys, in order, or `MISSING`.

    On a Cluster one by one, sent together: while a slot moves, its documents are on two nodes.
    """
    if space.clustered:
        places = space.places(keys)
        return _each(space, places, [[place] for place in places], documents.read_many)
    return documents.read_keys(space.places(keys[:1])[0], keys)


def look(space: Keyspace, keys: list[bytes], all_found: bool) -> Flow[View]:
    """Return what is to be shown of a dict: of the first documents by name, one look at all.

    Args:
        space: the dict's.
        keys: the Redis keys of documents.
        all_found: whether there are no others; else there may be.
    """
    from redisjson_dict.preview import SHARE, WIDE, Part

    first = sorted(keys)[:WIDE]
    shown = space.places(first)

    def read(group: list[Location]) -> Operation[list[View]]:
        return documents.look_many(group, SHARE * len(group) // len(shown))

    def start() -> Steps[View]:
        found = (yield _each(space, shown, _together(space, shown), read)) if shown else []
        there = dict(content(space, first, found))
        rest = len(keys) - len(first)
        if all_found and not rest:
            return there
        count = len(there) + rest if all_found else None
        searched = all_found or rest > 0
        return Part("object", count, tuple(there), tuple(there.values()), searched)

    return Flow(space.document(""), start)


def content(space: Keyspace, keys: list[bytes], found: list[Any]) -> list[tuple[str, Any]]:
    """Return the names and values of what was found under scanned keys; a foreign key has none."""
    pairs = zip(space.names(keys), found, strict=True)
    if {type(MISSING), NotADocumentError}.isdisjoint(map(type, found)):  # as nearly always
        return list(pairs)
    return [
        (name, value)
        for name, value in pairs
        if value is not MISSING and type(value) is not NotADocumentError
    ]


def drop(space: Keyspace, keys: list[bytes]) -> Verb[Any]:
    """Remove several documents by their Redis keys; what is none is left alone."""
    groups = [space.places(group) for group in space.together(keys)]
    if len(groups) == 1:
        return documents.drop_many(groups[0])
    return _all(space, [documents.drop_many(group) for group in groups])


def _raised(result: Any) -> Any:
    if isinstance(result, NotADocumentError):
        raise result
    return result


def _together(space: Keyspace, places: list[Location]) -> list[list[Location]]:
    """Group documents by what one script may touch."""
    at = {place.key: place for place in places}
    return [[at[key] for key in group] for group in space.together(list(at))]


def _each(
    space: Keyspace, places: list[Location], groups: list[list[Location]], read: Any
) -> Flow[list[Any]]:
    """Return what is read of several documents, in their order, group by group."""

    def start() -> Steps[list[Any]]:
        results = yield [read(group) for group in groups if group]
        found: dict[bytes, Any] = {}
        for group, values_of in zip(groups, results, strict=True):
            found.update(zip([place.key for place in group], values_of, strict=True))
        return [found[place.key] for place in places]

    return Flow(space.document(""), start)


def _all(space: Keyspace, operations: list[Operation[Any]]) -> Flow[None]:
    """Return operations that do not depend on each other as one verb."""

    def start() -> Steps[None]:
        if operations:
            yield operations

    return Flow(space.document(""), start, writes=True, parts=operations)


def _known(space: Keyspace, value: Any) -> Flow[Any]:
    """Return an answer that needs no question."""

    def start() -> Steps[Any]:
        yield from ()
        return value

    return Flow(space.document(""), start)
