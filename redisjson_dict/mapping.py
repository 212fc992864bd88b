"""`RedisJSONDict`: a mutable mapping whose every key is one JSON document in Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager
from datetime import datetime
from itertools import chain, islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, SupportsIndex

import redis
import redis.client
import redis.cluster
from redis.exceptions import RedisError

from redisjson_dict import toplevel, verbs
from redisjson_dict.containers import Live, as_dict, show
from redisjson_dict.display import Completed, Displayed
from redisjson_dict.errors import NotADocumentError
from redisjson_dict.exchange import slot_of
from redisjson_dict.execute import Blocking
from redisjson_dict.expiry import Expiry, Seconds
from redisjson_dict.keys import path_of
from redisjson_dict.keyspace import Keyspace, prefix_of
from redisjson_dict.location import Location, Settings
from redisjson_dict.operations import MISSING, documents
from redisjson_dict.references import Reference
from redisjson_dict.views import LiveItems, LiveKeys, LiveValues

if TYPE_CHECKING:
    from redis import Redis

    from redisjson_dict.pipeline import Pipeline
    from redisjson_dict.preview import View

__all__ = ["RedisJSONDict"]


class RedisJSONDict(Completed, Displayed, MutableMapping[str, Any]):
    """A dict in Redis: each top-level key is one RedisJSON document, nested values are live.

    Reading a scalar gives its value; reading a container gives a live proxy, `JSONObject` or
    `JSONArray`, which asks the server at every read and changes it at every write. Nothing is
    cached, every verb is one atomic step, and what is stored is plain JSON.

    A tuple as a key is a path: ``d["run", "sample", "positions", 0]`` is one round trip, however
    deep.

    Args:
        client: the user's own `redis.Redis`: never changed, never closed, its pool only borrowed
            from. RESP 2 or 3, decoding or not, with or without hiredis.
        prefix: put in front of every key, literally.
        namespace: the same as ``prefix=namespace + ":"``.
        expire: the time to live of every document that is assigned, in seconds or as a timedelta;
            None: permanent.
        preserve_expiration: whether a document that is assigned anew keeps its remaining time.
        default: called for a value of a foreign type when it is stored, as in `json.dumps`;
            returns a JSON value.

    Raises:
        ValueRangeError: the prefix holds a lone surrogate, or ``expire`` is below a millisecond.
        TypeError: the prefix is not str, or both prefix and namespace are given.
    """

    __slots__ = ("__weakref__", "_expiry", "_owned", "_run", "_space")
    __hash__ = None  # type: ignore[assignment]  # mutable, as dict
    _fetchable = True  # see codec.is_live

    def __init__(
        self,
        client: Redis,
        prefix: str = "",
        *,
        namespace: str | None = None,
        expire: Seconds | None = None,
        preserve_expiration: bool = False,
        default: Callable[[Any], Any] | None = None,
    ) -> None:
        if not isinstance(client, (redis.Redis, redis.RedisCluster)) or isinstance(
            client, (redis.client.Pipeline, redis.cluster.ClusterPipeline)
        ):
            raise TypeError(
                f"the client is a redis.Redis or RedisCluster, not {type(client).__module__}."
                f"{type(client).__name__}; for a URL there is RedisJSONDict.from_url"
            )
        prefix = prefix_of(prefix, namespace)
        self._expiry = Expiry(expire, preserve_expiration)
        settings = Settings(default, self._expiry.lifetime)
        self._space = Keyspace(prefix, settings, slot_of(client))
        self._run = Blocking(client, show, Reference)
        self._owned = False

    @classmethod
    def from_url(cls, url: str, prefix: str = "", **options: Any) -> Self:
        """Return a dict with a client of its own, which `close` closes.

        Args:
            url: as `redis.Redis.from_url` takes it.
            prefix: put in front of every key.
            options: those of the constructor; all others go to the client.

        Raises:
            ValueError: the URL is malformed; what was wrong is said without showing it.
        """
        from redisjson_dict import urls

        urls.check(url)
        own = {name: options.pop(name) for name in toplevel.OPTIONS if name in options}
        client = redis.Redis.from_url(url, **options)
        try:
            mapping = cls(client, prefix, **own)
        except BaseException:
            client.close()
            raise
        mapping._owned = True
        return mapping

    def close(self) -> None:
        """Close the client, if `from_url` made it; a user's own client stays open."""
        if self._owned:
            self._run.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __getitem__(self, key: Any) -> Any:
        """Return a scalar's value or a live proxy. Cost: one round trip."""
        return self._run(toplevel.fetch(self._space, key))

    def __setitem__(self, key: Any, value: Any) -> None:
        """Store a document, or with a path a value inside one. Cost: one round trip.

        A document that is assigned becomes permanent in the same atomic step. A foreign Redis key
        is refused.
        """
        place = self._space.target(key)
        if not (isinstance(value, Live) and value._is_at(place, self._run)):
            self._run(verbs.assign(place, value))

    def __delitem__(self, key: Any) -> None:
        """Remove a document: one JSON.DEL. With a path, a value inside one."""
        self._run(toplevel.delete(self._space, key))

    def __contains__(self, key: object) -> bool:
        """Return whether there is such a document: one JSON.TYPE. Foreign Redis keys are not."""
        return bool(self._run(toplevel.contains(self._space, key)))

    def __iter__(self) -> Iterator[str]:
        """Iterate the keys, in no particular order, each once: SCAN with a large COUNT."""
        for keys in self._keys():
            yield from self._space.names(keys)

    def __len__(self) -> int:
        """Count the documents: walks the server's keyspace with SCAN."""
        return sum(map(len, self._keys()))

    def __bool__(self) -> bool:
        return next(self._places(), None) is not None

    def __reversed__(self) -> Iterator[str]:
        return reversed(list(iter(self)))

    def _look(self) -> View:
        from redisjson_dict.preview import WIDE

        keys, all_found = self._run.first_keys(self._space, WIDE)
        return self._run(toplevel.look(self._space, self._space.ours(keys), all_found))

    def _names_at_hand(self) -> list[str]:
        keys, _ = self._run.first_keys(self._space, toplevel.PAGE)
        return self._space.names(self._space.ours(keys))

    def _whereabouts(self) -> str:
        return self._space.describe()

    def get(self, key: Any, default: Any = None) -> Any:
        """Return ``self[key]``, or a default. Cost: one round trip."""
        return self._run(toplevel.get(self._space, key, default))

    def keys(self) -> LiveKeys:
        """Return a live view of the keys."""
        return LiveKeys(self)

    def values(self) -> LiveValues:
        """Return a live view of the values; iterating reads 1,000 in a round trip."""
        return LiveValues(self)

    def items(self) -> LiveItems:
        """Return a live view of keys and values; iterating reads 1,000 in a round trip."""
        return LiveItems(self)

    def pop(self, key: Any, default: Any = MISSING) -> Any:
        """Remove a document, or with a path a value inside one, and return it as plain data."""
        return self._run(toplevel.pop(self._space, key, default))

    def popitem(self) -> tuple[str, Any]:
        """Remove some document and return its key and content.

        Takes any that SCAN finds first. Of several callers each gets another one.

        Raises:
            KeyError: there is none.
        """
        self._run.refuse_in_batch("popitem")
        for place in self._places():
            try:
                return place.name, self._run(documents.pop(place))
            except (KeyError, NotADocumentError):  # taken, or replaced, in between
                continue
        raise KeyError("popitem(): dictionary is empty")

    def clear(self) -> None:
        """Remove all documents under the prefix, and nothing else, 1,000 in a round trip."""
        done = 0
        try:
            for keys in self._pages():
                self._run(toplevel.drop(self._space, keys))
                done += len(keys)
        except RedisError as error:
            error.add_note(f"clear had removed {done} documents before")
            raise

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """Return ``self[key]``, after storing the default if there is none. One atomic step."""
        return self._run(toplevel.setdefault(self._space, key, default))

    def update(self, other: Any = (), /, **more: Any) -> None:
        """Store several documents in one atomic step; with a foreign key among them, none.

        Cost: one round trip.
        """
        self._run(toplevel.update(self._space, other, **more))

    def to_python(self) -> dict[str, Any]:
        """Return all documents as plain data: SCAN, and one round trip per 1,000 of them."""
        content: dict[str, Any] = {}
        for keys in self._pages():
            found = self._run(toplevel.read_page(self._space, keys))
            content.update(toplevel.content(self._space, keys, found))
        return content

    def copy(self) -> dict[str, Any]:
        """Return all documents as plain, detached data, as `to_python` does."""
        return self.to_python()

    def __copy__(self) -> dict[str, Any]:
        return self.to_python()

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return self.to_python()

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return dict, (self.to_python(),)

    fromkeys = staticmethod(dict.fromkeys)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return self.to_python() == as_dict(other)

    def __or__(self, other: Any) -> dict[str, Any]:
        if not isinstance(other, Mapping):
            return NotImplemented
        return self.to_python() | as_dict(other)

    def __ror__(self, other: Any) -> dict[Any, Any]:
        if not isinstance(other, Mapping):
            return NotImplemented
        return as_dict(other) | self.to_python()

    def __ior__(self, other: Any) -> Self:
        self.update(other)
        return self

    def at(self, key: str, *steps: str | SupportsIndex) -> Reference:
        """Return a lazy reference to a document, or to a place inside one. Cost: none.

        Every verb on it is one round trip, however deep: ``d.at("run", "log").append(x)``.
        """
        return Reference(self._run, self._space.reference(path_of((key, *steps))))

    def get_many(self, keys: Iterable[Any]) -> dict[Any, Any]:
        """Return those of several documents, or of several paths, that are there.

        Cost: one round trip per 1,000 documents; one more for each document that paths lead into.
        """
        result: dict[Any, Any] = self._run(toplevel.get_many(self._space, keys))
        return result

    def incr(self, key: Any, amount: float = 1, default: float = 0) -> Any:
        """Add to a number in one atomic step and return the new one; see `JSONObject.incr`."""
        return self._run(toplevel.incr(self._space, key, amount, default))

    def toggle(self, key: Any) -> bool:
        """Negate a boolean in one atomic step and return the new one."""
        return bool(self._run(toplevel.toggle(self._space, key)))

    def concat(self, key: Any, text: str) -> None:
        """Append to a text in one atomic step; only the addition travels."""
        self._run(toplevel.concat(self._space, key, text))

    def rename(self, old: str, new: str) -> None:
        """Give a document another key, in one atomic step; what is there is replaced.

        Raises:
            KeyError: there is no such document.
            NotADocumentError: one of the keys holds something that is not JSON.
        """
        self._run(toplevel.rename(self._space, old, new))

    def pipeline(self, *, atomic: bool = True, replicas: int = 0, timeout: float = 1.0) -> Pipeline:
        """Return a ``with`` block whose writes are sent at its end, in one round trip.

        Queues every write that this thread and task make in the block, through this dict, its
        proxies or the batch that the block yields. Reads through the dict see the state before.
        An exception in the block sends nothing. A block inside another joins it.

        Args:
            atomic: one transaction (MULTI/EXEC); on a Cluster all keys must share a slot.
                Otherwise one batch without a transaction for each node.
            replicas: how many are to confirm that they have the batch before the block ends (WAIT,
                sent with it).
            timeout: how long to wait for them, in seconds; less than the client's socket timeout.

        Raises:
            NotReplicatedError: at the end, when it was applied, but fewer replicas have it in time.
            PipelineError: at the end, when an operation failed: says which, where, and how many
                were applied. At a call, for a verb that must read first or return what it found.
        """
        from redisjson_dict.pipeline import Pipeline

        return Pipeline(self._run, self._space, atomic, replicas, timeout)

    def expire_at(self, time: Seconds) -> AbstractContextManager[None]:
        """Give documents that are assigned in a ``with`` block another time to live.

        In force for the thread and task that entered, until the block ends, however it ends.

        Args:
            time: seconds, or a timedelta.

        Raises:
            ValueRangeError: below one millisecond, NaN, or too long.
        """
        return self._expiry.block(time)

    def ttl(self, key: str) -> float | None:
        """Return the seconds that a document has left; None for a permanent one.

        Raises:
            KeyError: there is no such document.
        """
        result: float | None = self._run(toplevel.ttl(self._space, key))
        return result

    def expire(self, key: str, time: Seconds) -> None:
        """Set how long a document lives from now on. See PEXPIRE.

        Args:
            key: the document's.
            time: seconds, or a timedelta.

        Raises:
            KeyError: there is no such document.
            ValueRangeError: below one millisecond, NaN, or too long.
        """
        self._run(toplevel.expire(self._space, key, time))

    def expireat(self, key: str, when: float | datetime) -> None:
        """Set the moment when a document ends. See PEXPIREAT.

        Args:
            key: the document's.
            when: an aware datetime, or seconds since the epoch. A moment that has passed ends the
                document at once.

        Raises:
            KeyError: there is no such document.
            ValueRangeError: a naive datetime, a negative number, or NaN.
        """
        self._run(toplevel.expireat(self._space, key, when))

    def persist(self, key: str) -> bool:
        """Make a document permanent; return whether it was not. See PERSIST.

        Raises:
            KeyError: there is no such document.
        """
        result: bool = self._run(toplevel.persist(self._space, key))
        return result

    def _keys(self) -> Iterator[list[bytes]]:
        """Walk the Redis keys of all documents, as many at a time as SCAN gives."""
        return map(self._space.ours, self._run.scan(self._space))

    def _places(self) -> Iterator[Location]:
        return chain.from_iterable(map(self._space.places, self._keys()))

    def _pages(self) -> Iterator[list[bytes]]:
        """Walk them in pages of one size, whatever SCAN gives."""
        keys = chain.from_iterable(self._keys())
        while page := list(islice(keys, toplevel.PAGE)):
            yield page

    def _pairs(self) -> Iterator[tuple[str, Any]]:
        for keys in self._pages():
            found = self._run(toplevel.fetch_page(self._space, self._space.places(keys)))
            for name, value in toplevel.content(self._space, keys, found):
                yield name, self._run.shown(value)
