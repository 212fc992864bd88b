"""`RedisJSONDict` over `redis.asyncio`: walking is free, verbs are awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, SupportsIndex

import redis.asyncio
from redis.asyncio.client import Pipeline
from redis.exceptions import RedisError

from redisjson_dict import toplevel, urls, verbs
from redisjson_dict.codec import brief
from redisjson_dict.errors import NotADocumentError
from redisjson_dict.exchange import slot_of
from redisjson_dict.execute import Awaiting
from redisjson_dict.expiry import Block, Expiry, Seconds
from redisjson_dict.keyspace import Keyspace, prefix_of
from redisjson_dict.location import Location, Settings
from redisjson_dict.operations import Container, arrays, documents, objects, values
from redisjson_dict.pipeline import AsyncPipeline
from redisjson_dict.references import Awaited, DocumentVerbs, PlaceVerbs, verb

__all__ = ["AsyncReference", "RedisJSONDict"]

_PLAIN = (dict, list, str, int, float, type(None))
_TYPES = {"object": dict, "array": list}


class _Awaited(Awaited):
    """Says what to write instead of ``==``, ``=`` and ``del``, which cannot be awaited."""

    __slots__ = ()

    def _path(self) -> tuple[Any, ...]:
        """Return the way here from the dict."""
        return ()

    def _may_be(self) -> tuple[type, ...]:
        """Return which plain data may be here."""
        return (dict,)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, self._may_be()):
            raise TypeError(
                "what is on the server cannot be compared without await: "
                f"await {_spelled(self._path())}.to_python() == ..."
            )
        return NotImplemented

    __hash__ = object.__hash__

    if not TYPE_CHECKING:  # a type checker says so itself

        def __setitem__(self, step: Any, value: Any) -> NoReturn:
            place = _spelled(self._path() + _steps(step))
            raise TypeError(f"assignment cannot be awaited: await {place}.set(...)")

        def __delitem__(self, step: Any) -> NoReturn:
            place = _spelled(self._path() + _steps(step))
            raise TypeError(f"del cannot be awaited: await {place}.delete()")


class AsyncReference(_Awaited, PlaceVerbs):
    """A place that is not known to exist: walking costs nothing, a verb is awaited.

    ``await d["run"]["sample"]["positions"].append(3)`` is one round trip. A container that is read
    comes as plain data. A reference to nothing raises ``KeyError(path)``, one to the wrong kind
    `TypeError`.
    """

    __slots__ = ("_kinds",)
    get = verb(verbs.read)

    def __init__(self, run: Any, subject: Location, kinds: tuple[type, ...] = _PLAIN) -> None:
        super().__init__(run, subject)
        self._kinds = kinds

    def _path(self) -> tuple[Any, ...]:
        return (self._subject.name, *self._subject.steps)

    def _may_be(self) -> tuple[type, ...]:
        return self._kinds

    def __bool__(self) -> NoReturn:
        place = _spelled(self._path())
        raise TypeError(
            "whether something is there cannot be told without await: "
            f"await {place}.exists(), or await {place}.get() for its value"
        )

    def __repr__(self) -> str:
        return f"<AsyncReference {self._subject.describe()}: await its .get()>"

    async def items(self) -> AsyncIterator[tuple[str, Any]]:
        """Iterate the members of an object: scalars by value, containers as references.

        Cost: one round trip a page of 1,000.
        """
        names, first = await self._run(objects.members(self._subject, toplevel.PAGE))
        for name, value in zip(names, first, strict=False):
            yield name, self._walkable(value)
        for start in range(toplevel.PAGE, len(names), toplevel.PAGE):
            page = {name: (name,) for name in names[start : start + toplevel.PAGE]}
            found = await self._run(values.get_many(self._subject, page))
            for name, value in found.items():
                yield name, value

    async def elements(self) -> AsyncIterator[Any]:
        """Iterate the elements of an array: scalars by value, containers as references.

        Cost: one round trip a page of 1,000.
        """
        start, size = 0, toplevel.PAGE
        while size == toplevel.PAGE:
            page = await self._run(arrays.elements(self._subject, start, toplevel.PAGE))
            for value in page:
                yield self._walkable(value)
            start, size = start + toplevel.PAGE, len(page)

    def _walkable(self, value: Any) -> Any:
        return self._run.shown(value)


class RedisJSONDict(_Awaited, DocumentVerbs):
    """A dict in Redis for asyncio: each top-level key is one RedisJSON document.

    ``d["run"]["count"]`` walks without asking; what follows is awaited: ``.get()``, ``.set(v)``,
    ``.append(x)`` and every other verb of a reference. Several tasks may share one dict.

    Args:
        client: the user's own `redis.asyncio.Redis` or `redis.asyncio.RedisCluster`: never changed,
            never closed, its pool only borrowed from.
        prefix: put in front of every key, literally.
        namespace: the same as ``prefix=namespace + ":"``.
        expire: the time to live of every document that is assigned, in seconds or as a timedelta;
            None: permanent.
        preserve_expiration: whether a document that is assigned anew keeps its remaining time.
        default: called for a value of a foreign type when it is stored, as in `json.dumps`.
    """

    __slots__ = ("__weakref__", "_expiry", "_owned")
    __iter__ = None
    __contains__ = None
    get = verb(toplevel.read)

    def __init__(
        self,
        client: redis.asyncio.Redis | redis.asyncio.RedisCluster,
        prefix: str = "",
        *,
        namespace: str | None = None,
        expire: Seconds | None = None,
        preserve_expiration: bool = False,
        default: Callable[[Any], Any] | None = None,
    ) -> None:
        if not isinstance(client, (redis.asyncio.Redis, redis.asyncio.RedisCluster)) or isinstance(
            client, Pipeline
        ):
            raise TypeError(
                "the client is a redis.asyncio.Redis or RedisCluster, not "
                f"{type(client).__module__}.{type(client).__name__}"
            )
        self._expiry = Expiry(expire, preserve_expiration)
        settings = Settings(default, self._expiry.lifetime)
        space = Keyspace(prefix_of(prefix, namespace), settings, slot_of(client))
        super().__init__(Awaiting(client, _walk, AsyncReference), space)
        self._owned = False

    def __repr__(self) -> str:
        return f"<asyncio RedisJSONDict {self._subject.describe()}: await its .to_python()>"

    @classmethod
    def from_url(cls, url: str, prefix: str = "", **options: Any) -> Self:
        """Return a dict with a client of its own, which `aclose` closes.

        Args:
            url: as `redis.asyncio.Redis.from_url` takes it.
            prefix: put in front of every key.
            options: those of the constructor; all others go to the client.

        Raises:
            ValueError: the URL is malformed; what was wrong is said without showing it.
        """
        urls.check(url)
        own = {name: options.pop(name) for name in toplevel.OPTIONS if name in options}
        mapping = cls(redis.asyncio.Redis.from_url(url, **options), prefix, **own)
        mapping._owned = True
        return mapping

    async def aclose(self) -> None:
        """Close the client, if `from_url` made it; a user's own client stays open."""
        if self._owned:
            await self._run.client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __getitem__(self, key: Any) -> AsyncReference:
        """Return a reference to a document, or with a path to a place inside one. Cost: none."""
        return AsyncReference(self._run, self._subject.target(key).refer())

    def at(self, key: str, *steps: str | SupportsIndex) -> AsyncReference:
        """Return a reference to a document, or to a place inside one. Cost: none."""
        return self[(key, *steps)]

    async def __aiter__(self) -> AsyncIterator[str]:
        """Iterate the keys, in no particular order, each once: SCAN with a large COUNT."""
        async for keys in self._keys():
            for name in self._subject.names(keys):
                yield name

    async def keys(self) -> list[str]:
        """Return all keys."""
        return [name async for name in self]

    async def values(self) -> AsyncIterator[Any]:
        """Iterate the values: scalars by value, containers as references."""
        async for _, value in self.items():
            yield value

    async def items(self) -> AsyncIterator[tuple[str, Any]]:
        """Iterate keys and values, 1,000 in a round trip: scalars, and references."""
        space = self._subject
        async for keys in self._pages():
            found = await self._run(toplevel.fetch_page(space, space.places(keys)))
            for name, value in toplevel.content(space, keys, found):
                yield name, self._run.shown(value)

    async def length(self) -> int:
        """Count the documents: walks the server's keyspace with SCAN."""
        return sum([len(keys) async for keys in self._keys()])

    async def to_python(self) -> dict[str, Any]:
        """Return all documents as plain data: SCAN, and one round trip per 1,000 of them."""
        content: dict[str, Any] = {}
        async for keys in self._pages():
            found = await self._run(toplevel.read_page(self._subject, keys))
            content.update(toplevel.content(self._subject, keys, found))
        return content

    async def clear(self) -> None:
        """Remove all documents under the prefix, and nothing else, 1,000 in a round trip."""
        done = 0
        try:
            async for keys in self._pages():
                await self._run(toplevel.drop(self._subject, keys))
                done += len(keys)
        except RedisError as error:
            error.add_note(f"clear had removed {done} documents before")
            raise

    async def popitem(self) -> tuple[str, Any]:
        """Remove some document and return its key and content.

        Raises:
            KeyError: there is none.
        """
        self._run.refuse_in_batch("popitem")
        async for place in self._places():
            try:
                return place.name, await self._run(documents.pop(place))
            except (KeyError, NotADocumentError):  # taken, or replaced, in between
                continue
        raise KeyError("popitem(): dictionary is empty")

    def pipeline(
        self, *, atomic: bool = True, replicas: int = 0, timeout: float = 1.0
    ) -> AsyncPipeline:
        """Return an ``async with`` block whose writes are sent at its end, in one round trip.

        Args:
            atomic: one transaction (MULTI/EXEC); on a Cluster all keys must share a slot.
                Otherwise one batch without a transaction for each node.
            replicas: how many are to confirm that they have the batch before the block ends (WAIT,
                sent with it); fewer in time: `NotReplicatedError`.
            timeout: how long to wait for them, in seconds; less than the client's socket timeout.
        """
        return AsyncPipeline(self._run, self._subject, atomic, replicas, timeout)

    def expire_at(self, time: Seconds) -> Block:
        """Give documents that are assigned in a ``with`` block another time to live.

        In force for the task that entered, until the block ends, however it ends.
        """
        return self._expiry.block(time)

    async def _keys(self) -> AsyncIterator[list[bytes]]:
        """Walk the Redis keys of all documents, as many at a time as SCAN gives."""
        async for keys in self._run.scan(self._subject):
            yield self._subject.ours(keys)

    async def _places(self) -> AsyncIterator[Location]:
        async for keys in self._keys():
            for place in self._subject.places(keys):
                yield place

    async def _pages(self) -> AsyncIterator[list[bytes]]:
        """Walk them in pages of one size, whatever SCAN gives."""
        waiting: list[bytes] = []
        async for keys in self._keys():
            waiting += keys
            while len(waiting) >= toplevel.PAGE:
                yield waiting[: toplevel.PAGE]
                del waiting[: toplevel.PAGE]
        if waiting:
            yield waiting


def _walk(run: Awaiting, found: Container) -> AsyncReference:
    """Return a reference to a container that was found."""
    return AsyncReference(run, found.at.refer(), (_TYPES[found.kind],))


def _spelled(path: tuple[Any, ...]) -> str:
    """Return how a place is written."""
    return f"d[{', '.join(map(brief, path))}]" if path else "d"


def _steps(step: Any) -> tuple[Any, ...]:
    return step if isinstance(step, tuple) else (step,)
