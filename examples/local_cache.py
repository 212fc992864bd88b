"""A local cache for those who can live with old values: cachetools on top of the dict.

    python examples/local_cache.py [redis://...]

The dict itself never caches. This reads through a TTLCache: an answer is at most so many seconds
old, and costs nothing when it is there. The program shows both, the saving and the old value.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from threading import Lock
from typing import Any

from cachetools import TTLCache

from redisjson_dict import RedisJSONDict
from redisjson_dict.server import Server

PREFIX = "cached:"


class StaleReader:
    """Reads of a dict that may be old: what another program wrote is seen after `seconds` at last.

    Args:
        d: where the values are. Write through it; then `forget` what was written, here only.
        seconds: how old an answer may be.
        size: how many answers are kept; the least used go first.
        timer: what tells the time, in seconds.
    """

    def __init__(
        self,
        d: RedisJSONDict,
        seconds: float,
        size: int = 1000,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._d = d
        self._cache: TTLCache[tuple[str | int, ...], Any] = TTLCache(size, seconds, timer)
        self._lock = Lock()  # TTLCache has none of its own

    def read(self, key: str, *steps: str | int) -> Any:
        """Return what was at a path at most `seconds` ago, as plain data of the caller's own.

        Cost: one round trip, or none.

        Raises:
            KeyError: there is nothing; that is never remembered.
        """
        path = (key, *steps)
        with self._lock:
            if path in self._cache:
                return copy.deepcopy(self._cache[path])
        value = self._d.at(key, *steps).to_python()
        with self._lock:
            self._cache[path] = value
        return copy.deepcopy(value)

    def forget(self, *path: str | int) -> None:
        """Forget what was read at a path, below it and above it; an index as it was read."""
        with self._lock:
            for known in list(self._cache):
                if known[: len(path)] == path[: len(known)]:
                    self._cache.pop(known, None)


def main(arguments: list[str]) -> int:
    with ExitStack() as stack:
        url = arguments[0] if arguments else stack.enter_context(Server()).url
        d = stack.enter_context(RedisJSONDict.from_url(url, PREFIX))
        other = stack.enter_context(RedisJSONDict.from_url(url, PREFIX))  # another program
        d["config"] = {"limits": {"low": 1, "high": 9}}
        now = [0.0]  # a clock that the program moves on itself, so that nobody has to wait
        reader = StaleReader(d, seconds=2, timer=lambda: now[0])
        began = time.perf_counter()
        for _ in range(1000):
            reader.read("config", "limits")
        print(f"1,000 reads, one of them sent: {(time.perf_counter() - began) * 1000:.1f} ms")
        other["config", "limits", "high"] = 10
        old = reader.read("config", "limits", "high")
        print(
            "another program writes 10, read at once:", reader.read("config", "limits"), "or", old
        )
        now[0] = 2.1
        print("2.1 s later:", reader.read("config", "limits"))
        d["config", "limits", "low"] = 2
        reader.forget("config", "limits", "low")
        print("written here and forgotten:", reader.read("config", "limits"))
        d.clear()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
