"""The hot path: verbs of one command against the same command by hand. Ratios of client CPU too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count, cycle
from typing import Any

import orjson
import redis

from benchmarks.contenders import EC, HELPER
from benchmarks.measure import Case
from redisjson_dict import RedisJSONDict

__all__ = ["pairs"]

REFERENCE = EC
MINE = "redisjson_dict"
DOCUMENT = {
    "a": {"b": {"c": 0, "n": 0, "text": "blue", "list": [], "row": {"id": 1}}},
    "rows": [{"id": i, "name": f"row {i}", "value": i / 8} for i in range(20)],
}

Way = tuple[Callable[[], Any], Callable[[int], Any] | None]


def pairs(
    client: redis.Redis, prefix: str, helper: redis.Redis | None = None
) -> Iterator[tuple[str, list[Case]]]:
    """Yield each verb with the ways to do it, the reference first.

    Args:
        client: for this library and for the bare command.
        prefix: what the keys start with.
        helper: a client of its own for ``json()``, which changes what its client replies.
    """
    ways = {**_nested(client, prefix), **_top(client, prefix)}
    for verb, (by_hand, mine) in ways.items():
        cases = [Case(REFERENCE, *by_hand), Case(MINE, *mine)]
        if helper is not None and verb in (helped := _helped(helper, prefix)):
            cases.append(Case(HELPER, helped[verb], by_hand[1]))
        yield verb, cases


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
        "at: to_python of a scalar": (by_hand_get, (at.to_python, None)),
    }


def _helped(client: redis.Redis, prefix: str) -> dict[str, Callable[[], Any]]:
    """Return how redis-py's helper does it, where it does."""
    json, key = client.json(), f"{prefix}k"
    value = cycle(range(1000, 2000)).__next__

    def setting() -> Any:
        return json.set(key, "$.a.b.c", value())

    return {
        "held: set": setting,
        "path key: set": setting,
        "at: set": setting,
        "at, made each time: set": setting,
        "held: get scalar": lambda: json.get(key, "$.a.b.c")[0],
        "path key: get scalar": lambda: json.get(key, "$.a.b.c")[0],
        "at: get": lambda: json.get(key, "$.a.b.c")[0],
        "held: append": lambda: json.arrappend(key, "$.a.b.list", value()),
        "held: len": lambda: json.arrlen(key, "$.rows")[0],
        "held: incr": lambda: json.numincrby(key, "$.a.b.n", 1),
        "held: pop": lambda: json.arrpop(key, "$.a.b.list", -1),
        "held: insert": lambda: json.arrinsert(key, "$.a.b.list", 0, value()),
        "top level: get scalar": lambda: json.get(f"{prefix}top"),
        "top level: set": lambda: json.set(f"{prefix}top", "$", value()),
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
