"""How high this process's memory goes while a large document is stored or read; Linux only.

Run in a process of its own. The kernel's high-water mark is set back before, so that it is that of
the call; the value that a read returns is not counted, by what the same value takes elsewhere.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import redis

from redisjson_dict import RedisJSONDict

__all__ = ["main"]


def main(url: str, prefix: str, way: str, verb: str, path: str) -> None:
    """Print the peak beyond the value, as a multiple of the JSON text in a file."""
    client = redis.Redis.from_url(url, socket_timeout=120)
    d = RedisJSONDict(client, prefix)
    client.ping()
    d["warm"] = {"a": [1]}
    d["warm"].to_python()
    run = client.execute_command
    text = Path(path).read_bytes()
    length = len(text)
    if verb == "store":
        value = orjson.loads(text)
        del text
        calls: dict[str, Callable[[], Any]] = {
            "orjson alone": lambda: orjson.dumps(value),
            "redisjson_dict": lambda: d.__setitem__("big", value),
            "EC": lambda: run("JSON.SET", f"{prefix}big", "$", orjson.dumps(value)),
        }
        beyond, _ = _peak(calls[way])
    else:
        run("JSON.SET", f"{prefix}big", "$", text)
        # An equal value, which is kept, shows what the result itself takes.
        equal: list[Any] = []
        _, taken = _peak(lambda: equal.append(orjson.loads(text)))
        if way != "orjson alone":
            text = b""
        proxy = d["big"]
        calls = {
            "orjson alone": lambda: orjson.loads(text),
            "redisjson_dict": lambda: proxy.to_python(),
            "EC": lambda: orjson.loads(run("JSON.GET", f"{prefix}big")),
        }
        above, _ = _peak(calls[way])
        beyond = above - taken
    print(round(max(0, beyond) / length, 2))


def _peak(call: Callable[[], Any]) -> tuple[int, int]:
    """Return by how many bytes the peak, and what stays, exceed what was there before."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _status("VmRSS")
    result = call()
    peak, after = _status("VmHWM"), _status("VmRSS")
    del result
    return peak - before, after - before


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
