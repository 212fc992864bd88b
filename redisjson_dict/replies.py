"""What the server says: reply shapes, and what a refusal means. Knows nothing of clients.

Replies are asked for as bytes (``NEVER_DECODE``). They still come in more than one shape: on a
client on which somebody called ``client.json()``, redis-py decodes JSON.SET and JSON.GET before
anybody else sees them. With ``$`` paths that is never ambiguous.
"""

from __future__ import annotations

from typing import Any

from redisjson_dict.codec import decode
from redisjson_dict.errors import NotADocumentError, StaleLocationError
from redisjson_dict.location import Location, normalized

__all__ = [
    "FOREIGN",
    "OtherKind",
    "Refusal",
    "absent",
    "as_text",
    "failure",
    "has_json",
    "is_ok",
    "missing",
    "only",
    "past",
    "refusal",
    "text_of",
]

Reply = Any
"""A reply as redis-py gives it: bytes, int, None, or a list of replies."""

FOREIGN = b"!"
_ABSENT = b"?"
_REFUSALS = (_ABSENT, FOREIGN, b">")
_DOCUMENT_TYPES = (b"none", b"ReJSON-RL")
_ARTICLES = {
    "object": "an object",
    "array": "an array",
    "string": "text",
    "integer": "an integer",
    "number": "a float",
    "boolean": "a boolean",
    "null": "null",
}
_NEEDED = {**_ARTICLES, "number": "a number", "container": "an object or an array"}


class Refusal(Exception):
    """A verb did nothing and its reply does not say why; the shell has to ask.

    Attributes:
        words: what the server said, if anything.
    """

    def __init__(self, words: str = "") -> None:
        super().__init__(words)
        self.words = words


class OtherKind(Refusal):
    """The same, because something else than the verb needs was at the place at that moment."""


def as_text(reply: bytes | str) -> str:
    """Return a status or a name as str."""
    return reply if isinstance(reply, str) else reply.decode("utf-8", "replace")


def is_ok(reply: Reply) -> bool:
    """Return whether JSON.SET wrote: nil, or None from a callback, means that nothing was."""
    return reply is True or reply in (b"OK", "OK")


def only(reply: Reply) -> Any:
    """Return the one value that a ``$`` path matched, decoded.

    Raises:
        LookupError: the path, or the document, is missing.
    """
    matches = decode(reply) if isinstance(reply, (bytes, str)) else reply
    if not matches:
        raise LookupError
    return matches[0]


def text_of(reply: Reply) -> bytes:
    """Return the JSON text that a script replied, as bytes."""
    return reply.encode() if isinstance(reply, str) else reply


def scanned(reply: Reply) -> tuple[int, list[bytes]]:
    """Return the cursor and the keys of a page of SCAN; a Cluster's cursors come by node."""
    cursor, keys = reply
    if isinstance(cursor, dict):
        (cursor,) = cursor.values()
    return int(cursor), keys


def refusal(reply: Reply) -> bool:
    """Return whether a script's reply says that nothing was done."""
    return type(reply) is list and len(reply) > 0 and reply[0] in _REFUSALS


def has_json(reply: Reply) -> bool:
    """Return whether a reply to HELLO lists the JSON module, under RESP 2 or 3."""
    if isinstance(reply, dict):
        reply = [*reply.keys(), *reply.values()]
    if isinstance(reply, list):
        return any(map(has_json, reply))
    return reply in (b"ReJSON", "ReJSON")


def failure(at: Location, reply: list[Any], wants: str = "") -> Exception:
    """Return the error that says why nothing was done.

    Args:
        at: where the verb was to act.
        reply: what `refusal` recognised; see ``scripts/_place.lua``.
        wants: the kind of value that the verb needs there.
    """
    if reply[0] == FOREIGN:
        if reply[1] in _DOCUMENT_TYPES:
            return Refusal(as_text(reply[3]) if len(reply) > 3 else "")
        return NotADocumentError(
            f"the Redis key {as_text(reply[2])!r} holds a {as_text(reply[1])}, "
            "not a JSON document; it was left as it is, and nothing was changed by this step",
            location=at.describe(),
        )
    reached = reply[1]
    kind = as_text(reply[2]) if len(reply) > 2 else ""
    return absent(at, len(at.steps) - len(at.tail) + reached if reached >= 0 else -1, kind, wants)


def absent(at: Location, depth: int, kind: str, wants: str = "") -> Exception:
    """Return the error for a place that is not there, or holds another kind than is needed.

    Args:
        at: the place.
        depth: how many of its steps lead somewhere; ``-1``: there is no such document, or not
            even the place that was held.
        kind: what is found there.
        wants: the kind of value that was needed at the place itself.
    """
    found = _ARTICLES.get(kind, kind)
    needed = _NEEDED.get(wants, wants) or "another kind of value"
    asked = len(at.steps) > at.own
    if depth >= at.own >= 0 and asked:
        step = at.steps[at.own]
        container = "object" if isinstance(step, str) else "array"
        if depth > at.own or kind == container:
            return _missing_key(at, depth, kind, needed, found)
        wants, needed = container, _ARTICLES[container]
    elif at.own < 0 and (depth < len(at.steps) or not kind):
        return KeyError(at.asked_key)
    elif at.own < 0:
        return TypeError(f"{at.describe()} is {found}, not {needed}")
    own = f"document {at.name!r} at {normalized(at.steps[: at.own])}"
    if at.held:
        state = f"holds {found}, not {needed}" if depth >= at.own else "is gone"
        return StaleLocationError(
            f"the place of this live value, {own}, {state}; nothing was changed", location=own
        )
    if depth >= at.own:
        return TypeError(f"{own} is {found}, not {needed}")
    path = (at.name, *at.steps[: at.own])
    return KeyError(path if len(path) > 1 else path[0])


def _missing_key(at: Location, depth: int, kind: str, needed: str, found: str) -> Exception:
    """Return the error for what a caller asked for below a place that is as it should be."""
    if depth == len(at.steps) and kind:
        return TypeError(f"{at.describe()} is {found}, not {needed}")
    return missing(at)


def missing(at: Location) -> KeyError | IndexError:
    """Return the error for a key, an index or a path that was asked for and is not there."""
    key = at.asked_key
    if isinstance(key, int):
        return IndexError(f"index {key} is out of range, in {at.describe()}")
    return KeyError(key)


def past(at: Location, wants: str) -> Exception:
    """Return the error for a place that held another kind at that moment, but does so no longer."""
    words = f"{at.describe()} was not {_NEEDED[wants]} at that moment; nothing was changed"
    if at.held and len(at.steps) == at.own:
        return StaleLocationError(words, location=at.describe())
    return TypeError(words)
