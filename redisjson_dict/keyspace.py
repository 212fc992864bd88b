"""The documents of one dict: from a key, or a path, to a place and back. Sends nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from redisjson_dict.errors import UnsupportedValueError, ValueRangeError
from redisjson_dict.keys import path_of, text_of_name
from redisjson_dict.location import DEPTH_LIMIT, Location, Settings, Step

__all__ = ["Keyspace", "prefix_of"]

_GLOB = rb"[*?\[\]^\\]"  # what SCAN's MATCH would not take literally
_REMEMBERED = 1024  # places, of each kind
_SHORT = 256  # bytes of their keys and paths

_Places = dict[str | tuple[Step, ...], Location]


class Keyspace:
    """Where the documents of one dict live, and what the dict was told about them.

    Places that were asked for are remembered, if they are short: programs use few, over and over.

    Args:
        prefix: put in front of every key, literally.
        settings: for all documents.
        slot: tells which keys one script may touch together; None: all.
    """

    __slots__ = ("_prefix", "_references", "_settings", "_slot", "_targets")

    def __init__(
        self, prefix: str, settings: Settings, slot: Callable[[bytes], Hashable] | None = None
    ) -> None:
        self._prefix = _encoded(prefix)
        self._settings = settings
        self._slot = slot
        self._references: _Places = {}
        self._targets: _Places = {}

    @property
    def pattern(self) -> bytes:
        """What SCAN's MATCH needs to find the documents."""
        return re.sub(_GLOB, rb"\\\g<0>", self._prefix) + b"*"

    def describe(self) -> str:
        """Return which documents these are, in words."""
        return f"prefix={self._prefix.decode()!r}"

    def document(self, name: Any, steps: tuple[Step, ...] = (), own: int = -1) -> Location:
        """Return the place of a document, or of a path inside it.

        Raises:
            UnsupportedValueError: the name is not str.
            ValueRangeError: a lone surrogate.
        """
        text = name if type(name) is str else text_of_name(name)
        return Location(text, self._prefix + _encoded(text), self._settings, own, steps)

    def reference(self, path: tuple[Step, ...]) -> Location:
        """Return the place of a path as one in its own right; raises as `document`."""
        known = self._references.get(path)
        if known is not None:
            return known
        at = self.document(path[0], path[1:], len(path) - 1)
        return _remembered(self._references, path, at)

    def keys(self, names: Iterable[str]) -> list[bytes]:
        """Return the Redis keys of several documents.

        Raises:
            ValueRangeError: a lone surrogate.
        """
        prefix, texts = self._prefix, list(names)
        try:
            return [prefix + text.encode() for text in texts]
        except UnicodeEncodeError:
            return [prefix + _encoded(text) for text in texts]  # raises, and says for which

    def target(self, key: Any) -> Location:
        """Return the place that a key or path writes; raises as `keys.target`."""
        if type(key) is str:
            known = self._targets.get(key)
            return _remembered(self._targets, key, self.document(key)) if known is None else known
        if not isinstance(key, tuple):
            return self.document(key)
        path = path_of(key)
        known = self._targets.get(path)
        if known is not None:
            return known
        if len(path) > DEPTH_LIMIT + 1:
            raise KeyError(key)  # no document is that deep
        at = self.document(path[0], path[1:])
        at.pathlike = True
        return _remembered(self._targets, path, at)

    def lookup(self, key: Any) -> Location:
        """Return the place that a key or path reads.

        Raises:
            KeyError: nothing can be stored under such a key.
            TypeError: the key is not hashable.
        """
        try:
            return self.target(key)
        except (UnsupportedValueError, ValueRangeError):
            hash(key)
            raise KeyError(key) from None

    def ours(self, keys: list[bytes]) -> list[bytes]:
        """Return those of scanned keys that are UTF-8: no others are ours."""
        try:
            b"\n".join(keys).decode()  # one call for all
        except UnicodeDecodeError:
            return [key for key in keys if _is_text(key)]
        return keys

    def names(self, keys: list[bytes]) -> list[str]:
        """Return the names of documents by their Redis keys."""
        size = len(self._prefix.decode())
        return [key[size:] for key in map(bytes.decode, keys)]

    def places(self, keys: list[bytes]) -> list[Location]:
        """Return the places of documents by their Redis keys."""
        settings = self._settings
        return [
            Location(name, key, settings) for name, key in zip(self.names(keys), keys, strict=True)
        ]

    @property
    def clustered(self) -> bool:
        """Whether keys are spread over slots."""
        return self._slot is not None

    def together(self, keys: list[bytes]) -> list[list[bytes]]:
        """Group Redis keys by what one script may touch."""
        if self._slot is None:
            return [keys]
        groups: dict[Hashable, list[bytes]] = {}
        for key in keys:
            groups.setdefault(self._slot(key), []).append(key)
        return list(groups.values())


def prefix_of(prefix: str, namespace: str | None) -> str:
    """Return the prefix of all keys, from either way to say it.

    Raises:
        TypeError: not str, or both.
    """
    if namespace is None:
        if isinstance(prefix, str):
            return str.__str__(prefix)
        raise TypeError(f"the prefix is str, not {type(prefix).__name__}")
    if prefix:
        raise TypeError("give a prefix or a namespace, not both")
    if isinstance(namespace, str):
        return str.__str__(namespace) + ":"
    raise TypeError(f"the namespace is str, not {type(namespace).__name__}")


def _remembered(places: _Places, path: str | tuple[Step, ...], at: Location) -> Location:
    """Remember a place, if it is short."""
    if len(at.key) + sum(map(len, at.tail)) <= _SHORT:
        if len(places) >= _REMEMBERED:
            places.clear()
        places[path] = at
    return at


def _is_text(key: bytes) -> bool:
    try:
        key.decode()
    except UnicodeDecodeError:
        return False
    return True


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueRangeError(
            f"the key {text!a} holds a lone surrogate, which UTF-8 cannot carry"
        ) from error
