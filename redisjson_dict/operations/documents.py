"""Whole documents: assign, take, rename, many at once. Each is one Redis key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from redisjson_dict.codec import HEAVY, LARGEST, decode, encode_many, is_light
from redisjson_dict.errors import NotADocumentError, ValueRangeError
from redisjson_dict.location import Location
from redisjson_dict.operations import (
    ABSENT,
    MANY,
    MISSING,
    Container,
    Flow,
    Operation,
    Steps,
    encode_at,
    found,
    kind_of,
    nothing,
    repair_arguments,
    same,
)
from redisjson_dict.replies import Reply, failure, only, refusal
from redisjson_dict.scripts import script

if TYPE_CHECKING:
    from redisjson_dict.preview import View

__all__ = [
    "FOREIGN_TOO",
    "assign",
    "bundle",
    "contains",
    "delete",
    "drop_many",
    "expire",
    "expireat",
    "fetch_many",
    "is_bundled",
    "is_bundled_with",
    "look_many",
    "persist",
    "pop",
    "read_keys",
    "read_many",
    "rename",
    "setdefault",
    "ttl",
    "update",
]


_JOINED = 2**20  # bytes of texts that are decoded at once; more would only be copied

FOREIGN_TOO = (*ABSENT, NotADocumentError)
"""The errors that say that there is no such document, a foreign key counted in."""


def contains(at: Location) -> Operation[bool]:
    """Return whether the key holds a JSON document: one JSON.TYPE; a foreign key is none."""
    command = ("JSON.TYPE", at.document.key, b"$")
    return Operation(at, command, _is_there, True, None, "", False, None, False, FOREIGN_TOO)


def assign(at: Location, value: Any) -> Operation[None]:
    """Store a document with its lifetime, in one atomic step; a foreign key is refused."""
    encoded = encode_at(at, value)
    text = encoded.text
    key, settings = at.document.key, at.document.settings
    source = script("put")
    needed = repair_arguments(at, encoded.repairs) if encoded.repairs else ()
    command = ("EVALSHA", source.sha, b"1", key, text, settings.lifetime(), *needed)
    return Operation(at, command, nothing, len(text) < HEAVY, source)


def is_bundled(operation: Operation[Any]) -> bool:
    """Return whether an operation may travel with others: an assignment with no float to repair."""
    return len(operation.command) == 6 and operation.script is script("put")


def is_bundled_with(one: Operation[Any], other: Operation[Any]) -> bool:
    """Return whether two that are bundled can travel as one: they have the same lifetime."""
    same_lifetime: bool = one.command[5] == other.command[5]
    return same_lifetime


def bundle(assignments: Sequence[Operation[Any]]) -> Operation[Any]:
    """Return assignments of different documents as one operation, which replies as each would."""
    keys = [operation.command[3] for operation in assignments]
    texts = [operation.command[4] for operation in assignments]
    first = assignments[0]
    return _documents("put_each", first.at, keys, same, *texts, first.command[5])


def setdefault(at: Location, value: Any) -> Operation[Any]:
    """Return what is there, after storing `value` with its lifetime if nothing is."""
    encoded = encode_at(at, value)
    fresh = decode(encoded.text)

    def kept(at: Location, reply: Reply) -> Any:
        if reply is not None:
            return found(at, reply)
        return Container(kind_of(fresh), at.hold()) if isinstance(fresh, (dict, list)) else fresh

    repairs = repair_arguments(at, encoded.repairs)
    arguments = (b"$", 0, encoded.text, at.settings.lifetime(), *repairs)
    return _documents("put_default", at, [at.key], kept, *arguments, answers=True)


def delete(at: Location) -> Operation[None]:
    """Remove a document: one JSON.DEL, which refuses a foreign key."""
    return Operation(at, ("JSON.DEL", at.key), _deleted)


def pop(at: Location) -> Operation[Any]:
    """Remove a document and return its content."""
    return _documents("take", at, [at.key], _taken, answers=True)


def rename(at: Location, to: Location) -> Operation[None]:
    """Give a document another key; a document there is replaced, a foreign key refused."""
    return _documents("rename", at, [at.key, to.key], _deleted)


def update(
    keys: list[bytes], values: Sequence[Any], places: Callable[[list[bytes]], list[Location]]
) -> Operation[None]:
    """Store several documents in one atomic step; with a foreign key among them none is.

    Args:
        keys: their Redis keys.
        values: what to store.
        places: makes places of keys, which costs more than all the rest, for those that need it.

    Raises:
        ValueRangeError: so many that the server would not answer others for seconds.
    """
    if len(keys) > MANY:
        raise ValueRangeError(
            f"{len(keys)} documents are more than {MANY}, the most that are stored in one step, "
            "which nobody can interrupt: update in parts; nothing was sent"
        )
    needed: list[Any] = []
    texts = encode_many(list(values))
    if texts is None or max(map(len, texts)) > LARGEST:
        texts = []
        for number, (at, value) in enumerate(zip(places(keys), values, strict=True)):
            encoded = encode_at(at, value)
            texts.append(encoded.text)
            for repair in encoded.repairs:
                needed += [number, *repair_arguments(at, (repair,))]
    (first,) = places(keys[:1])
    arguments = (*texts, first.settings.lifetime(), *needed)
    return _documents("put_many", first, keys, nothing, *arguments, resend=is_light(texts))


def ttl(at: Location) -> Operation[float | None]:
    """Return the seconds that a document has left; None for a permanent one."""
    return _documents("ttl", at, [at.key], _seconds, resend=True)


def expire(at: Location, milliseconds: int) -> Operation[None]:
    """Set how long a document lives from now on."""
    return _documents("lifetime", at, [at.key], _timed, b"PEXPIRE", milliseconds)


def expireat(at: Location, milliseconds: int) -> Operation[None]:
    """Set the moment when a document ends, in milliseconds since the epoch."""
    return _documents("lifetime", at, [at.key], _timed, b"PEXPIREAT", milliseconds)


def persist(at: Location) -> Operation[bool]:
    """Make a document permanent; return whether it was not."""
    return _documents("lifetime", at, [at.key], _persisted, b"PERSIST", answers=True)


def drop_many(places: Sequence[Location]) -> Operation[int]:
    """Remove several documents; what is none is left alone."""
    return _documents("drop_many", places[0], [at.key for at in places], same, resend=True)


def fetch_many(places: Sequence[Location]) -> Operation[list[Any]]:
    """Read several documents: scalars by value, containers as `Container`.

    `MISSING` stands for one that is not there, an error for a foreign key.
    """
    return _found_each("peek_many", places, found)


def look_many(places: Sequence[Location], share: int) -> Operation[list[View]]:
    """Read what is to be shown of several documents, as `fetch_many` reads them.

    Args:
        places: the documents.
        share: what the look may cost, at all of them together.
    """
    from redisjson_dict.preview import parse

    return _found_each("preview_many", places, lambda _, reply: parse(reply), share)


def _found_each(
    name: str, places: Sequence[Location], meaning: Any, *arguments: Any
) -> Operation[list[Any]]:
    def one(at: Location, reply: Reply) -> Any:
        if reply is None:
            return MISSING
        if isinstance(reply, Exception):
            raise reply
        return failure(at, reply) if refusal(reply) else meaning(at, reply)

    def each(_: Location, reply: Reply) -> list[Any]:
        return [one(at, of) for at, of in zip(places, reply[1:], strict=True)]

    keys = [at.key for at in places]
    return _documents(name, places[0], keys, each, *arguments, resend=True)


def read_many(places: Sequence[Location]) -> Operation[list[Any]]:
    """Read the content of several documents, `MISSING` for none."""
    return _read_each(places[0], [at.key for at in places])


def read_keys(at: Location, keys: list[bytes]) -> Operation[list[Any]]:
    """Read as `read_many` does, faster: one JSON.MGET.

    A user who may run that can read every document, since servers check the rights on its first
    key only; for one who may not there is the script.
    """

    def without_mget() -> Steps[list[Any]]:
        contents: list[Any] = yield _read_each(at, keys)
        return contents

    command = ("JSON.MGET", *keys, b"$")
    return Operation(at, command, _contents, True, fallback=Flow(at, without_mget))


def _read_each(at: Location, keys: list[bytes]) -> Operation[list[Any]]:
    return _documents("read_many", at, keys, _contents, resend=True)


def _contents(_: Location, reply: Reply) -> list[Any]:
    texts = [b"null" if text is None else text for text in reply]
    if set(map(type, texts)) == {bytes} and sum(map(len, texts)) <= _JOINED:
        with suppress(ValueRangeError):  # one of them is as deep as can be decoded: by itself
            joined = decode(b"[" + b",".join(texts) + b"]")
            return [MISSING if content is None else content[0] for content in joined]
    return [MISSING if text is None else only(text) for text in reply]


def _documents(
    name: str,
    at: Location,
    keys: list[bytes],
    decode: Any,
    *arguments: Any,
    resend: bool = False,
    answers: bool = False,
) -> Operation[Any]:
    source = script(name)
    command = ("EVALSHA", source.sha, b"%d" % len(keys), *keys, *arguments)
    return Operation(at, command, decode, resend, source, answers=answers)


def _is_there(_: Location, reply: Reply) -> bool:
    return reply not in (None, [None], [], [[]])


def _seconds(at: Location, reply: Reply) -> float | None:
    if reply == -2:
        raise KeyError(at.asked_key)
    return None if reply == -1 else reply / 1000


def _persisted(at: Location, reply: Reply) -> bool:
    if reply is None:
        raise KeyError(at.asked_key)
    return bool(reply)


def _timed(at: Location, reply: Reply) -> None:
    _persisted(at, reply)


def _deleted(at: Location, reply: Reply) -> None:
    if not reply:
        raise KeyError(at.asked_key)


def _taken(at: Location, reply: Reply) -> Any:
    if reply is None:
        raise KeyError(at.asked_key)
    return only(reply)
