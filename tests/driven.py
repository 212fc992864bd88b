"""The asyncio shell called from plain code: each verb runs to its end on one private event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

import redis.asyncio
from closing import Closing

from redisjson_dict.asyncio import AsyncReference

_END = object()


class Driver(Closing):
    """An event loop with a client of its own, both closed at the end."""

    def __init__(self, url: str, **options: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self.client = redis.asyncio.Redis.from_url(url, **options)

    def close(self) -> None:
        try:
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.run_until_complete(self.client.aclose())
        finally:
            self.loop.close()

    def run(self, verb: Awaitable[Any]) -> Any:
        async def main() -> Any:
            return await verb

        return self.loop.run_until_complete(main())

    def walk(self, items: AsyncIterator[Any]) -> Iterator[Any]:
        """Iterate step by step: nothing is asked before it is needed."""
        while (item := self.run(anext(items, _END))) is not _END:
            yield item


class Driven:
    """A reference whose verbs return their results, as those of the blocking one do."""

    def __init__(self, driver: Driver, reference: AsyncReference) -> None:
        self._driver = driver
        self._reference = reference

    def __getitem__(self, step: Any) -> Driven:
        return Driven(self._driver, self._reference[step])

    def __setitem__(self, step: Any, value: Any) -> None:
        self._driver.run(self._reference[step].set(value))

    def __delitem__(self, step: Any) -> None:
        self._driver.run(self._reference[step].delete())

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._reference, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._driver.run(verb(*args, **kwargs))

        return call
