"""What a source of documents gives: names, values, and why a value cannot be had."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from redisjson_dict.errors import RedisJSONDictError

__all__ = ["Item", "Refusal", "Source", "SourceError"]


class SourceError(RedisJSONDictError):
    """What is to be migrated cannot be opened or read, or must not be; nothing was changed."""


class Refusal(NamedTuple):
    """Why something in a source is no value.

    Attributes:
        kind: the type that it has, as its writer named it.
        why: for a person; begins after "cannot be carried:".
        foreign: whether it is a key of a Redis type that the old program never writes: it is not
            its data.
    """

    kind: str
    why: str
    foreign: bool = False


class Item(NamedTuple):
    """One document to be.

    Attributes:
        name: without the old prefix.
        value: as the old program would have read it, or why there is none.
        ends: the moment when it ends, in milliseconds since the epoch; None: never.
    """

    name: str
    value: Any
    ends: int | None = None


class Source(Protocol):
    """Where documents come from; anything with these three, which gives `Item`s, will do."""

    def __str__(self) -> str:
        """Return what it is, for a person."""
        ...

    def __iter__(self) -> Iterator[Item]:
        """Read all of it once, holding no more than a page at a time.

        Raises:
            SourceError, redis.RedisError: it cannot be read.
        """
        ...

    def size(self) -> int | None:
        """Return how many items it has, where that is cheap to know."""
        ...
