"""What redis-json-dict and redis-dict have stored, read from their server without changing it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

import orjson
import redis
from redis.exceptions import ConnectionError, TimeoutError

from redisjson_dict.containers import show
from redisjson_dict.errors import ValueRangeError
from redisjson_dict.exchange import is_cluster, refresh, slot_of
from redisjson_dict.execute import Blocking
from redisjson_dict.keyspace import Keyspace
from redisjson_dict.loans import tell
from redisjson_dict.location import Location, Settings
from redisjson_dict.migration.items import Item, Refusal
from redisjson_dict.migration.tagged import Decoders, is_tagged, read
from redisjson_dict.operations import Flow, Operation, Steps
from redisjson_dict.references import Reference
from redisjson_dict.replies import Reply, as_text, only, scanned
from redisjson_dict.scripts import script

__all__ = ["RedisDictSource", "RedisJSONDictSource", "State", "Stored", "states"]

_FIRST, _MOST = 25, 250  # keys that are read in one round trip
_PAGE_BYTES = 8 * 1024 * 1024  # fewer keys, where values are so large
_SCAN_COUNT = 1000


class State(NamedTuple):
    """What a Redis key holds.

    Attributes:
        kind: its Redis type; ``none`` where nothing is.
        text: of a document, in an array, or of a string; else None.
        ends: when it ends, in milliseconds since the epoch; None: never.
    """

    kind: str
    text: bytes | None
    ends: int | None


def states(space: Keyspace, places: list[Location]) -> Flow[list[State]]:
    """Return what keys hold, each seen at one moment. Cost: one round trip."""
    at = {place.key: place for place in places}
    groups = space.together(list(at)) if places else []

    def start() -> Steps[list[State]]:
        looks = [_look([at[key] for key in group]) for group in groups]
        results = (yield looks) if looks else []
        found: dict[bytes, State] = {}
        for group, seen in zip(groups, results, strict=True):
            found.update(zip(group, seen, strict=True))
        return [found[place.key] for place in places]

    return Flow(space.document(""), start)


def _look(places: list[Location]) -> Operation[list[State]]:
    source = script("state")
    command = ("EVALSHA", source.sha, len(places), *[at.key for at in places])
    return Operation(places[0], command, _states, True, source)


def _states(_: Location, reply: Reply) -> list[State]:
    return [
        State(as_text(kind), text, None if ends < 0 else ends) for kind, text, ends in reply[1:]
    ]


def _check(client: object, prefix: object, name: str) -> None:
    if not isinstance(client, (redis.Redis, redis.RedisCluster)):
        raise TypeError(
            "client must be a redis.Redis or redis.RedisCluster, and comes first; "
            f"not {type(client).__name__}"
        )
    if not isinstance(prefix, str):
        raise TypeError(f"{name} must be str, not {type(prefix).__name__}")


class Stored:
    """Redis keys with a prefix.

    Attributes:
        client: of the server that has them.
        prefix: in front of every name.
    """

    _writer = ""
    _spelling = ""  # how the prefix is given, for who has given another

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        _check(client, prefix, "prefix")
        self.client = client
        self._client: Any = client  # redis-py leaves execute_command untyped
        self.prefix = prefix
        self._space = Keyspace(prefix, Settings(), slot_of(client))
        self._run = Blocking(client, show, Reference)

    def __str__(self) -> str:
        return f"{self._writer}, Redis keys {self.prefix!r}..."

    def nothing(self) -> str:
        """Return what to tell a person where no key has the prefix."""
        return (
            f"nothing is there under {self.prefix!r} ({self._spelling}; the database is the "
            "path of the URL)"
        )

    def size(self) -> int | None:
        """Return None: how many keys have the prefix is known at the end only."""
        return None

    def __iter__(self) -> Iterator[Item]:
        """Read all values.

        Cost: one SCAN, and one round trip per 250 keys, or per about 8 MB. A key that SCAN shows
        twice, as it may while keys are added, comes twice.
        """
        page: dict[bytes, None] = {}
        wanted = _FIRST
        for key in self._keys():
            page[key] = None
            if len(page) >= wanted:
                size = yield from self._read(list(page))
                wanted = min(_MOST, max(1, _PAGE_BYTES * len(page) // max(1, size)))
                page.clear()
        yield from self._read(list(page))

    def _keys(self) -> Iterator[bytes]:
        refresh(self.client)
        nodes: list[dict[str, Any]] = [{}]
        if is_cluster(self.client):
            nodes = [{"target_nodes": node} for node in self._client.get_primaries()]
        for node in nodes:
            cursor = -1
            while cursor:
                cursor, keys = self._scan(max(cursor, 0), node)
                yield from keys

    def _scan(self, cursor: int, node: dict[str, Any]) -> tuple[int, list[bytes]]:
        command = ("SCAN", cursor, "MATCH", self._space.pattern, "COUNT", _SCAN_COUNT)
        try:
            return scanned(self._client.execute_command(*command, NEVER_DECODE=True, **node))
        except (ConnectionError, TimeoutError) as error:
            tell(error, writes=False)
            raise

    def _read(self, keys: list[bytes]) -> Generator[Item, None, int]:
        """Give what keys hold; return how many bytes that was."""
        ours = self._space.ours(keys)
        for key in set(keys).difference(ours):
            why = "the key is not UTF-8, so it is no text"
            yield Item(repr(key), Refusal("key", why))
        if not ours:
            return 0
        places = self._space.places(ours)
        found = self._run(states(self._space, places))
        for place, state in zip(places, found, strict=True):
            if state.kind != "none":  # gone since
                yield Item(place.name, self._value(state), state.ends)
        return sum(len(state.text or b"") for state in found)

    def _value(self, state: State) -> Any:
        if state.text is None:
            why = f"the key holds a Redis {state.kind}, which {self._writer} could not read either"
            return Refusal(state.kind, why, foreign=True)
        return self._document(state.text) if state.kind == "ReJSON-RL" else self._text(state.text)

    def _document(self, text: bytes) -> Any:
        why = f"the key holds a JSON document, which {self._writer} could not read either"
        return Refusal("ReJSON-RL", why, foreign=True)

    def _text(self, text: bytes) -> Any:
        raise NotImplementedError


class RedisJSONDictSource(Stored):
    """What redis-json-dict has stored: JSON in Redis strings.

    Keys that are RedisJSON documents already, which it could not read, are taken as they are. So
    this is also the source for texts of JSON and documents that a program stores by itself.

    Args:
        client: of the server that has them; only reads are sent.
        prefix: that of the old dict.

    Raises:
        TypeError: an argument is of another type.
    """

    _writer = "redis-json-dict"
    _spelling = "the prefix is that of the old dict, with its colon if it has one"

    def _document(self, text: bytes) -> Any:
        try:
            return only(text)
        except ValueRangeError as error:
            return Refusal("ReJSON-RL", str(error))

    def _text(self, text: bytes) -> Any:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            if is_tagged(text):
                return Refusal(
                    "text", "it is no JSON, but text as redis-dict writes it: is --from right?"
                )
            return Refusal("text", f"it is not JSON: {error}")


class RedisDictSource(Stored):
    """What redis-dict has stored: texts with the name of a type in front.

    Args:
        client: of the server that has them; only reads are sent.
        namespace: that of the old dict, without the colon.
        types: the decoders of types that the program had registered by `extends_type`, by the
            types' names; each takes a text and returns a value of JSON.

    Raises:
        TypeError: an argument is of another type.
    """

    _writer = "redis-dict"
    _spelling = "--prefix, in Python namespace, is the namespace without its colon"

    def __init__(
        self, client: redis.Redis, namespace: str = "main", types: Decoders | None = None
    ) -> None:
        _check(client, namespace, "namespace")
        super().__init__(client, f"{namespace}:")
        self._types = dict(types or {})

    def _text(self, text: bytes) -> Any:
        try:
            return read(text.decode(), self._types)
        except UnicodeDecodeError as error:
            return Refusal("text", f"it is not UTF-8: {error}")
