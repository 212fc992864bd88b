"""The hot path: verbs of one command against the same command by hand. Ratios of client CPU too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count, cycle
from typing import Any

import orjson
import redis

from benchmarks.measure import Case
from redisjson_dict import RedisJSONDict

__all__ = ["pairs"]

REFERENCE = "execute_command + orjson"
MINE = "redisjson_dict"
DOCUMENT = {
    "a": {"b": {"c": 0, "n": 0, "text": "blue", "list": [], "row": {"id": 1}}},
    "rows": [{"id": i, "name": f"row {i}", "value": i / 8} for i in range(20)],
}

Way = tuple[Callable[[], Any], Callable[[int], Any] | None]


def pairs(client: redis.Redis, prefix: str) -> Iterator[tuple[str, list[Case]]]:
    """Yield each verb with the two ways to do it, the reference first."""
    ways = {**_nested(client, prefix), **_top(client, prefix)}
    for verb, (by_hand, mine) in ways.items():
        yield verb, [Case(REFERENCE, *by_hand), Case(MINE, *mine)]


def _nested(client: redis.Redis, prefix: str) -> dict[str, tuple[Way, Way]]:
    d = RedisJSONDict(client, prefix)
    d["k"] = DOCUMENT
    node, rows, items = d["k"]["a"]["b"], d["k"]["rows"], d["k"]["a"]["b"]["list"]
    at, key, run = d.at("k", "a", "b", "c"), f"{prefix}k", client.execute_command
    dumps, loads = orjson.dumps, orjson.loads
    values = cycle(range(1000, 2000))
    names = count()

    def fill(number: int) -> None:
        run("JSON.SET", key, "$.a.b.list", dumps([7] * number))

    def restore(number: int) -> None:
        run("JSON.SET", key, "$.a.b", dumps(DOCUMENT["a"]["b"]))

    by_hand_set: Way = (
        lambda: run("JSON.SET", key, "$.a.b.c", dumps(next(values))),
        None,
    )
    by_hand_get: Way = (lambda: loads(run("JSON.GET", key, "$.a.b.c", keys=[key]))[0], None)
    return {
        "held: set": (by_hand_set, (lambda: node.__setitem__("c", next(values)), None)),
        "held: get scalar": (by_hand_get, (lambda: node["c"], None)),
        "held: get container": (
            (lambda: run("JSON.TYPE", key, "$.a.b.row"), None),
            (lambda: node["row"], None),
        ),
        "held: in": (
            (lambda: run("JSON.TYPE", key, "$.a.b.c"), None),
            (lambda: "c" in node, None),
        ),
        "held: append": (
            (lambda: run("JSON.ARRAPPEND", key, "$.a.b.list", dumps(next(values))), restore),
            (lambda: items.append(next(values)), restore),
        ),
        "held: len": (
            (lambda: run("JSON.ARRLEN", key, "$.rows"), None),
            (lambda: len(rows), None),
        ),
        "held: to_python": (
            (lambda: loads(run("JSON.GET", key, "$.a.b.row", keys=[key]))[0], None),
            (d["k"]["a"]["b"]["row"].to_python, None),
        ),
        "held: incr": (
            (lambda: run("JSON.NUMINCRBY", key, "$.a.b.n", 1)[0], None),  # RESP 3: decoded
            (lambda: node.incr("n"), None),
        ),
        "held: pop": (
            (lambda: loads(run("JSON.ARRPOP", key, "$.a.b.list", -1)[0]), fill),
            (items.pop, fill),
        ),
        "held: insert": (
            (lambda: run("JSON.ARRINSERT", key, "$.a.b.list", 0, dumps(next(values))), restore),
            (lambda: items.insert(0, next(values)), restore),
        ),
        "held: setdefault, absent": (
            (
                lambda: run("JSON.SET", key, f"$.a.b.d{next(names)}", b"1", "NX"),
                restore,
            ),
            (lambda: node.setdefault(f"d{next(names)}", 1), restore),
        ),
        "path key: set": (
            by_hand_set,
            (lambda: d.__setitem__(("k", "a", "b", "c"), next(values)), None),
        ),
        "path key: get scalar": (by_hand_get, (lambda: d["k", "a", "b", "c"], None)),
        "at: set": (by_hand_set, (lambda: at.set(next(values)), None)),
        "at, made each time: set": (
            by_hand_set,
            (lambda: d.at("k", "a", "b", "c").set(next(values)), None),
        ),
        "at: get": (by_hand_get, (at.get, None)),
    }


def _top(client: redis.Redis, prefix: str) -> dict[str, tuple[Way, Way]]:
    d = RedisJSONDict(client, prefix)
    d["top"] = 1
    key, run = f"{prefix}top", client.execute_command
    dumps, loads = orjson.dumps, orjson.loads
    values = cycle(range(1000, 2000))
    doomed: Iterator[int] = iter(())

    def stock(number: int) -> None:
        nonlocal doomed
        doomed = iter(range(number))
        with client.pipeline(transaction=False) as batch:
            for i in range(number):
                batch.execute_command("JSON.SET", f"{prefix}x{i}", "$", i)
            batch.execute()

    return {
        "top level: get scalar": (
            (lambda: loads(run("JSON.GET", key, keys=[key])), None),
            (lambda: d["top"], None),
        ),
        "top level: set": (
            (lambda: run("JSON.SET", key, "$", dumps(next(values))), None),
            (lambda: d.__setitem__("top", next(values)), None),
        ),
        "top level: in": ((lambda: run("EXISTS", key), None), (lambda: "top" in d, None)),
        "top level: del": (
            (lambda: run("DEL", f"{prefix}x{next(doomed)}"), stock),
            (lambda: d.__delitem__(f"x{next(doomed)}"), stock),
        ),
    }
