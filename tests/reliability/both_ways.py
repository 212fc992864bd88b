"""One face for the blocking and the asyncio dict, on one server or a cluster of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import redis
import redis.asyncio
from closing import Closing
from redis.asyncio.cluster import ClusterNode as AsyncClusterNode
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import AbstractBackoff, NoBackoff
from redis.cluster import ClusterNode
from redis.connection import parse_url
from redis.retry import Retry

import redisjson_dict
import redisjson_dict.asyncio

__all__ = ["LOST", "WAYS", "Asyncio", "Blocking", "Subject", "notes"]

LOST = (redis.ConnectionError, redis.TimeoutError)


class Subject(Closing):
    """A dict on a client of its own.

    Args:
        url: the server's; of a cluster, those of its nodes.
        prefix: the dict's.
        retries: for the client's `Retry`; None for redis-py's own choice.
        backoff: between retries.
        options: those of the client.

    Attributes:
        d: the dict, blocking or asyncio.
        client: its client.
    """

    d: Any
    client: Any

    def __init__(
        self,
        url: str | Sequence[str],
        prefix: str,
        *,
        retries: int | None = None,
        backoff: AbstractBackoff | None = None,
        **options: Any,
    ) -> None:
        if retries is not None:
            options["retry"] = self._retry(backoff or NoBackoff(), retries)
        self._open(url, prefix, options)

    def run(self, verb: Any) -> Any:
        """Return the result of a verb."""
        raise NotImplementedError

    def batch(self, fill: Callable[[Any], Any], *, atomic: bool = True) -> None:
        """Run a pipeline."""
        raise NotImplementedError

    def borrowed(self) -> int:
        """Return how many connections of the client's pool are not back."""
        own = 1 if self.client.connection else 0
        return len(getattr(self.client.connection_pool, "_in_use_connections", ())) - own

    def _open(self, url: str | Sequence[str], prefix: str, options: dict[str, Any]) -> None:
        raise NotImplementedError

    @staticmethod
    def _retry(backoff: AbstractBackoff, retries: int) -> Any:
        raise NotImplementedError


class Blocking(Subject):
    _retry = staticmethod(Retry)

    def run(self, verb: Any) -> Any:
        return verb() if callable(verb) else verb

    def batch(self, fill: Callable[[Any], Any], *, atomic: bool = True) -> None:
        with self.d.pipeline(atomic=atomic) as batch:
            fill(batch)

    def close(self) -> None:
        self.client.close()

    def _open(self, url: str | Sequence[str], prefix: str, options: dict[str, Any]) -> None:
        if isinstance(url, str):
            self.client = redis.Redis(**_arguments(url), **options)
        else:
            nodes = [ClusterNode(*_address(one)) for one in url]
            self.client = redis.RedisCluster(startup_nodes=nodes, **options)
        self.d = redisjson_dict.RedisJSONDict(self.client, prefix)


class Asyncio(Subject):
    _retry = staticmethod(AsyncRetry)

    def run(self, verb: Any) -> Any:
        async def main() -> Any:
            return await (verb() if callable(verb) else verb)

        return self.loop.run_until_complete(main())

    def batch(self, fill: Callable[[Any], Any], *, atomic: bool = True) -> None:
        async def main() -> None:
            async with self.d.pipeline(atomic=atomic) as batch:
                fill(batch)

        self.loop.run_until_complete(main())

    def close(self) -> None:
        self.loop.run_until_complete(self.client.aclose())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def _open(self, url: str | Sequence[str], prefix: str, options: dict[str, Any]) -> None:
        self.loop = asyncio.new_event_loop()
        if isinstance(url, str):
            self.client = redis.asyncio.Redis(**_arguments(url), **options)
        else:
            nodes = [AsyncClusterNode(*_address(one)) for one in url]
            self.client = redis.asyncio.RedisCluster(startup_nodes=nodes, **options)
        self.d = redisjson_dict.asyncio.RedisJSONDict(self.client, prefix)


WAYS: dict[str, type[Subject]] = {"blocking": Blocking, "asyncio": Asyncio}


def notes(error: BaseException) -> str:
    """Return what an error tells besides its message."""
    return " ".join(getattr(error, "__notes__", []))


def _arguments(url: str) -> dict[str, Any]:
    found = parse_url(url)
    if "path" in found:
        return {"unix_socket_path": found["path"]}
    return dict(found)


def _address(url: str) -> tuple[str, int]:
    found = parse_url(url)
    return found["host"], found["port"]
