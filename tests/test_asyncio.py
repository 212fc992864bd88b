"""`redisjson_dict.asyncio`: the same verbs, results and errors, awaited; walking is free."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import math
import operator
import random
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from relay import Relay

from redisjson_dict import (
    JSONArray,
    JSONObject,
    NotADocumentError,
    PipelineError,
    UnsupportedValueError,
    ValueRangeError,
)
from redisjson_dict import RedisJSONDict as Blocking
from redisjson_dict.asyncio import AsyncReference, RedisJSONDict
from redisjson_dict.references import DocumentVerbs, PlaceVerbs

UNSPELLABLE = 0.23217612806301458  # a float that takes a script on this server
LOST = (redis.ConnectionError, redis.TimeoutError)

HOSTILE = ["", " ", " lead", "a b", "'", '"', "\\", "'\"", "\x00", "\n", "a.b[0]", "$", "$..*"]
HOSTILE += ["*", "é", "一", "\U0001f600", "Ā", "-1", "0", "a'\"\\ b", "\x7f", "lua", "]", "['"]

CONTENT: dict[str, Any] = {
    "n": 1,
    "x": 2.5,
    "f": True,
    "t": "text",
    "nil": None,
    "l": [3, 1, 2, [4], {"k": 5}],
    "s": [2, 1, 3],
    "o": {"a": 1, "b": {"c": [0]}},
    "a\\b": {"x": [1], "y\\": {"z": 1}},
    " lead": [2, 1],
    "'\"": {"in": 1},
}

Body = Callable[[RedisJSONDict], Awaitable[Any]]


def borrowed(client: Any) -> int:
    """Return how many connections are out of the pool."""
    return len(client.connection_pool._in_use_connections) - (client.connection is not None)


@pytest.fixture(autouse=True, scope="module")
def nothing_is_forgotten() -> Iterator[None]:
    """What nobody awaited or closed is warned of, which is an error."""
    yield
    gc.collect()


@pytest.fixture
def go(url: str, corner: tuple[redis.Redis, str]) -> Callable[..., Any]:
    """Runs a coroutine function with a dict of its own; every connection is back in the end."""

    def run(body: Body, *, to: str = url, client: dict[str, Any] | None = None, **options: Any):
        async def main() -> Any:
            user = redis.asyncio.Redis.from_url(to, **client or {})
            try:
                result = await body(RedisJSONDict(user, corner[1], **options))
                assert borrowed(user) == 0
                return result
            finally:
                await user.aclose()

        return asyncio.run(main())

    return run


def plain(value: Any) -> Any:
    """Return a result as data that both shells have in common: containers by where they are."""
    if isinstance(value, (AsyncReference, JSONObject, JSONArray)):
        return "container"
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return (type(value).__name__, value)


def failure(error: Exception) -> Any:
    if isinstance(error, (KeyError, IndexError)):
        return type(error), error.args
    return type(error), str(error).replace(":a:foreign", ":s:foreign")


def blocking(call: Callable[[], Any]) -> Any:
    try:
        return "returned", plain(call())
    except Exception as error:
        return "raised", failure(error)


async def awaited(call: Callable[[], Any]) -> Any:
    try:
        return "returned", plain(await call())
    except Exception as error:
        return "raised", failure(error)


Call = Callable[[Any], Any]

PLACE: dict[str, Call] = {
    "set": lambda r: r["n"].set([1, UNSPELLABLE]),
    "set new": lambda r: r["new"].set({"é": None}),
    "set index": lambda r: r["l"][-1].set(9),
    "set far index": lambda r: r["l"][99].set(9),
    "set odd": lambda r: r["b\\c"].set(1),
    "set in text": lambda r: r["t"]["x"].set(1),
    "set in nothing": lambda r: r["none"]["x"].set(1),
    "set NaN": lambda r: r["n"].set(math.nan),
    "set object": lambda r: r["n"].set(object),
    "set big": lambda r: r["n"].set(2**64),
    "set surrogate": lambda r: r["n"].set("\ud800"),
    "set keys": lambda r: r["n"].set({1: 2}),
    "delete": lambda r: r["n"].delete(),
    "delete nothing": lambda r: r["none"].delete(),
    "delete odd": lambda r: r["a\\b"].delete(),
    "delete index": lambda r: r["l", 0].delete(),
    "delete far index": lambda r: r["l", 99].delete(),
    "exists": lambda r: r["n"].exists(),
    "exists nothing": lambda r: r["none", "x"].exists(),
    "exists odd": lambda r: r["a\\b", "y\\", "z"].exists(),
    "kind": lambda r: r["o"].kind(),
    "kind nothing": lambda r: r["none"].kind(),
    "kind odd": lambda r: r[" lead"].kind(),
    "to_python": lambda r: r.to_python(),
    "to_python nothing": lambda r: r["none"].to_python(),
    "to_python odd": lambda r: r["a\\b"]["y\\"].to_python(),
    "get scalar": lambda r: r["n"].get(),
    "get key": lambda r: r.get("t"),
    "get default": lambda r: r.get("none", 5),
    "get path": lambda r: r.get(("o", "a")),
    "get nothing": lambda r: r["none"].get(),
    "get in scalar": lambda r: r["n"].get("x", 7),
    "get wrong type": lambda r: r.get(1.5),
    "contains": lambda r: r.contains("n"),
    "contains path": lambda r: r.contains(("l", 4, "k")),
    "contains nothing": lambda r: r.contains("none"),
    "contains in nothing": lambda r: r["none"].contains("x"),
    "length": lambda r: r["l"].length(),
    "length of a number": lambda r: r["n"].length(),
    "length odd": lambda r: r[" lead"].length(),
    "keys": lambda r: r.keys(),
    "keys of an array": lambda r: r["l"].keys(),
    "get_many": lambda r: r.get_many(["n", "l", "none", ("o", "a"), " lead"]),
    "get_many negative": lambda r: r["l"].get_many([0, -1, 99]),
    "query": lambda r: r.query("$..k"),
    "query odd": lambda r: r["'\""].query("$.in"),
    "query bad": lambda r: r.query("$["),
    "query no dollar": lambda r: r.query("a"),
    "query lead": lambda r: r[" lead"].query("$[0]"),
    "pop": lambda r: r["l"].pop(),
    "pop 0": lambda r: r["s"].pop(0),
    "pop member": lambda r: r.pop("n"),
    "pop odd": lambda r: r.pop("a\\b"),
    "pop nothing": lambda r: r.pop("none"),
    "pop default": lambda r: r.pop("none", 5),
    "pop far": lambda r: r["l"].pop(99),
    "pop in a number": lambda r: r["n"].pop("x"),
    "popitem": lambda r: r["o"].popitem(),
    "popitem odd": lambda r: r["a\\b"].popitem(),
    "popitem of an array": lambda r: r["l"].popitem(),
    "setdefault": lambda r: r.setdefault("n", 5),
    "setdefault new": lambda r: r.setdefault("new", 5),
    "setdefault container": lambda r: r.setdefault("new", [5]),
    "setdefault odd": lambda r: r.setdefault("b\\c", 5),
    "setdefault in a number": lambda r: r["n"].setdefault("x", 5),
    "update": lambda r: r.update({"n": 5}, new=UNSPELLABLE),
    "update nothing": lambda r: r.update(),
    "update pairs": lambda r: r.update([("n", 5)]),
    "update odd": lambda r: r.update({"b\\c": 5}),
    "update keys": lambda r: r.update({1: 5}),
    "update in an array": lambda r: r["l"].update(a=1),
    "clear": lambda r: r["l"].clear(),
    "clear object": lambda r: r["o"].clear(),
    "clear odd": lambda r: r["a\\b"].clear(),
    "clear number": lambda r: r["n"].clear(),
    "merge": lambda r: r.merge({"n": None, "o": {"a": 2}}),
    "merge odd": lambda r: r.merge({"a\\b": {"x": None}}),
    "merge number": lambda r: r["n"].merge({"a": 1}),
    "merge no mapping": lambda r: r.merge([1]),
    "replace": lambda r: r["o"].replace({"z": UNSPELLABLE}),
    "replace array": lambda r: r["l"].replace([1]),
    "replace kind": lambda r: r["l"].replace({"a": 1}),
    "replace number": lambda r: r["n"].replace(5),
    "modify": lambda r: r["n"].modify(lambda n: n + 1),
    "modify odd": lambda r: r["a\\b"].modify(lambda o: {**o, "x": 2}),
    "modify to NaN": lambda r: r["n"].modify(lambda n: math.nan),
    "modify that fails": lambda r: r["n"].modify(lambda n: n / 0),
    "modify nothing": lambda r: r["none"].modify(lambda n: n),
    "append": lambda r: r["l"].append({"é": 1}),
    "append repaired": lambda r: r["l"].append(UNSPELLABLE),
    "append maxlen": lambda r: r["l"].append(9, maxlen=2),
    "append maxlen bad": lambda r: r["l"].append(9, maxlen=-1),
    "append odd": lambda r: r[" lead"].append(9),
    "append to object": lambda r: r["o"].append(9),
    "append to nothing": lambda r: r["none"].append(9),
    "extend": lambda r: r["l"].extend([8, 9]),
    "extend nothing": lambda r: r["l"].extend([]),
    "extend generator": lambda r: r["l"].extend(iter("ab")),
    "extend number": lambda r: r["l"].extend(5),
    "insert": lambda r: r["l"].insert(1, "in"),
    "insert far": lambda r: r["l"].insert(-99, "in"),
    "insert float": lambda r: r["l"].insert(1.0, "in"),
    "remove": lambda r: r["l"].remove(1.0),
    "remove container": lambda r: r["l"].remove([4]),
    "remove nothing": lambda r: r["l"].remove(99),
    "index": lambda r: r["l"].index(True),
    "index range": lambda r: r["l"].index(1, 2, 3),
    "index container": lambda r: r["l"].index({"k": 5}),
    "count": lambda r: r["l"].count(1),
    "get_slice": lambda r: r["l"].get_slice(slice(None, None, -2)),
    "get_slice zero": lambda r: r["l"].get_slice(slice(None, None, 0)),
    "get_slice odd": lambda r: r[" lead"].get_slice(slice(1)),
    "sort": lambda r: r["s"].sort(),
    "sort reverse": lambda r: r["s"].sort(key=lambda n: -n, reverse=True),
    "sort mixed": lambda r: r["l"].sort(),
    "sort odd": lambda r: r[" lead"].sort(),
    "sort object": lambda r: r["o"].sort(),
    "reverse": lambda r: r["l"].reverse(),
    "trim": lambda r: r["l"].trim(1, -1),
    "trim odd": lambda r: r[" lead"].trim(1, 2),
    "incr": lambda r: r.incr("n"),
    "incr here": lambda r: r["n"].incr(),
    "incr by": lambda r: r["n"].incr(amount=UNSPELLABLE),
    "incr new": lambda r: r.incr("new", 2, 5),
    "incr odd": lambda r: r["a\\b"]["x"].incr(0),
    "incr text": lambda r: r.incr("t"),
    "incr big": lambda r: r["n"].incr(amount=2**53),
    "incr overflow": lambda r: r["n"].incr(amount=2**64 - 1),
    "incr by text": lambda r: r["n"].incr(amount="1"),
    "incr float overflow": lambda r: r["x"].incr(amount=math.inf),
    "toggle": lambda r: r.toggle("f"),
    "toggle here": lambda r: r["f"].toggle(),
    "toggle number": lambda r: r.toggle("n"),
    "toggle nothing": lambda r: r["none"].toggle(),
    "concat": lambda r: r.concat("t", "é\x00"),
    "concat here": lambda r: r["t"].concat("y"),
    "concat number": lambda r: r.concat("n", "y"),
    "concat a number": lambda r: r["t"].concat(5),
    "at": lambda r: r.at("o", "b", "c", -1).get(),
    "bad step": lambda r: r[1.5].get(),
    "empty path": lambda r: r[()].get(),
    "surrogate step": lambda r: r["\ud800"].get(),
    "far index": lambda r: r["l"][2**70].get(),
    "too many arguments": lambda r: r.append(1, 2, 3),
    "unknown argument": lambda r: r["l"].append(1, least=2),
}

TOP: dict[str, Call] = {
    "get scalar": lambda d: d.get("number"),
    "get default": lambda d: d.get("none", 5),
    "get path": lambda d: d.get(("doc", "o", "a")),
    "get type": lambda d: d.get(5),
    "get unhashable": lambda d: d.get([]),
    "get foreign": lambda d: d.get("foreign"),
    "set": lambda d: d.set("new", CONTENT),
    "set over": lambda d: d.set("doc", UNSPELLABLE),
    "set path": lambda d: d.set(("doc", "o", "a"), 1),
    "set type": lambda d: d.set(5, 1),
    "set bytes": lambda d: d.set("new", b"x"),
    "set foreign": lambda d: d.set("foreign", 1),
    "set surrogate": lambda d: d.set("\ud800", 1),
    "delete": lambda d: d.delete("doc"),
    "delete nothing": lambda d: d.delete("none"),
    "delete path": lambda d: d.delete(("doc", "n")),
    "delete type": lambda d: d.delete(5),
    "delete foreign": lambda d: d.delete("foreign"),
    "contains": lambda d: d.contains("doc"),
    "contains nothing": lambda d: d.contains("none"),
    "contains type": lambda d: d.contains(5),
    "contains unhashable": lambda d: d.contains({}),
    "contains path": lambda d: d.contains(("doc", "none")),
    "contains foreign": lambda d: d.contains("foreign"),
    "get_many": lambda d: d.get_many(["doc", "none", ("doc", "n"), "number", 5]),
    "get_many foreign": lambda d: d.get_many(["foreign"]),
    "pop": lambda d: d.pop("doc"),
    "pop nothing": lambda d: d.pop("none"),
    "pop default": lambda d: d.pop("none", None),
    "pop path": lambda d: d.pop(("doc", "l", 0)),
    "pop type": lambda d: d.pop(5),
    "pop type default": lambda d: d.pop(5, 6),
    "pop foreign": lambda d: d.pop("foreign", 1),
    "setdefault": lambda d: d.setdefault("number", 5),
    "setdefault new": lambda d: d.setdefault("new", 5),
    "setdefault container": lambda d: d.setdefault("new", []),
    "setdefault path": lambda d: d.setdefault(("doc", "new"), 5),
    "setdefault type": lambda d: d.setdefault(5, 5),
    "setdefault foreign": lambda d: d.setdefault("foreign", 5),
    "update": lambda d: d.update({"doc": 1}, new=[UNSPELLABLE]),
    "update nothing": lambda d: d.update(),
    "update type": lambda d: d.update({5: 1}),
    "update path": lambda d: d.update({("a", "b"): 1}),
    "update no pairs": lambda d: d.update([1]),
    "update foreign": lambda d: d.update({"new": 1, "foreign": 1}),
    "incr": lambda d: d.incr("number"),
    "incr new": lambda d: d.incr("new", 2.5),
    "incr object": lambda d: d.incr("doc"),
    "incr path": lambda d: d.incr(("doc", "n"), 5),
    "incr foreign": lambda d: d.incr("foreign"),
    "toggle": lambda d: d.toggle(("doc", "f")),
    "toggle nothing": lambda d: d.toggle("none"),
    "concat": lambda d: d.concat(("doc", "t"), "é"),
    "concat number": lambda d: d.concat("number", "é"),
    "rename": lambda d: d.rename("doc", "new"),
    "rename nothing": lambda d: d.rename("none", "new"),
    "rename over": lambda d: d.rename("doc", "number"),
    "rename foreign": lambda d: d.rename("doc", "foreign"),
    "rename type": lambda d: d.rename("doc", 5),
    "ttl": lambda d: d.ttl("doc"),
    "ttl nothing": lambda d: d.ttl("none"),
    "ttl tuple": lambda d: d.ttl(("doc",)),
    "ttl foreign": lambda d: d.ttl("foreign"),
    "expire": lambda d: d.expire("doc", timedelta(hours=1)),
    "expire nothing": lambda d: d.expire("none", 60),
    "expire bad": lambda d: d.expire("doc", -1),
    "expire text": lambda d: d.expire("doc", "60"),
    "expire foreign": lambda d: d.expire("foreign", 60),
    "expireat": lambda d: d.expireat("doc", datetime(2030, 1, 1, tzinfo=UTC)),
    "expireat naive": lambda d: d.expireat("doc", datetime(2030, 1, 1)),
    "persist": lambda d: d.persist("doc"),
    "persist nothing": lambda d: d.persist("none"),
    "clear": lambda d: d.clear(),
    "to_python": lambda d: d.to_python(),
    "at": lambda d: d.at("doc", "n").incr(),
    "at number": lambda d: d.at("number").incr(),
    "at new": lambda d: d.at("new").incr(),
    "at foreign": lambda d: d.at("foreign").append(1),
    "at document set": lambda d: d.at("doc").set([1]),
    "at document delete": lambda d: d.at("doc").delete(),
    "at nothing delete": lambda d: d.at("none").delete(),
    "at exists": lambda d: d.at("doc").exists(),
    "at foreign exists": lambda d: d.at("foreign").exists(),
    "at bad": lambda d: d.at(5).get(),
}

STEPS: dict[str, tuple[Any, ...]] = {
    "document": ("doc",),
    "deep": ("deep", "é", 1, "x"),
    "lead": ("deep", " lead"),
    "backslash": ("deep", "a\\b", -1),
}


def setting(client: redis.Redis, prefix: str) -> Blocking:
    """Return a dict with documents and a foreign key."""
    d = Blocking(client, prefix)
    d.update(doc=CONTENT, number=1)
    d["deep"] = {"é": [0, {"x": CONTENT}], " lead": CONTENT, "a\\b": [0, CONTENT]}
    client.set(f"{prefix}foreign", "text")
    return d


async def compared(user: Any, one: tuple[Blocking, RedisJSONDict], call: Call, at: Any) -> None:
    """Run a call on both dicts: results, errors and what is left are the same."""
    d, a = one
    same = blocking(lambda: call(d.at(*at) if at else Set(d)))
    got = await awaited(lambda: call(a.at(*at) if at else a))

    assert got == same
    assert await a.to_python() == d.to_python()


class Set:
    """The blocking dict with the names that assignment and membership have when awaited."""

    def __init__(self, d: Blocking) -> None:
        self.d = d

    def __getattr__(self, name: str) -> Any:
        return getattr(self.d, name)

    def set(self, key: Any, value: Any) -> None:
        self.d[key] = value

    def delete(self, key: Any) -> None:
        del self.d[key]

    def contains(self, key: Any) -> bool:
        return key in self.d

    def get(self, key: Any, default: Any = None) -> Any:
        found = self.d.get(key, default)
        return found.to_python() if isinstance(found, (JSONObject, JSONArray)) else found


@pytest.fixture
def twins(
    corner: tuple[redis.Redis, str], url: str
) -> Iterator[Callable[[dict[str, Call], tuple[Any, ...]], None]]:
    """Runs each of several calls on a blocking and an asyncio dict with the same content."""
    client, prefix = corner

    def run(calls: dict[str, Call], at: tuple[Any, ...]) -> None:
        async def main() -> None:
            async with redis.asyncio.Redis.from_url(url) as user:
                different = {}
                for name, call in calls.items():
                    client.delete(*client.keys(f"{prefix}*") or ["none"])
                    d = setting(client, f"{prefix}s:")
                    setting(client, f"{prefix}a:")
                    a = RedisJSONDict(user, f"{prefix}a:")
                    try:
                        await compared(user, (d, a), call, at)
                    except AssertionError as error:
                        different[name] = error
                    assert client.get(f"{prefix}a:foreign") == b"text"
                    assert borrowed(user) == 0
                assert not different, "\n\n".join(f"{k}: {v}" for k, v in different.items())

        asyncio.run(main())

    return run


@pytest.mark.parametrize("place", STEPS)
def test_place_verbs_are_the_blocking_ones(twins: Any, place: str) -> None:
    twins(PLACE, STEPS[place])


def test_verbs_of_the_dict_are_the_blocking_ones(twins: Any) -> None:
    twins(TOP, ())


def test_tables_have_every_verb() -> None:
    source = inspect.getsource(inspect.getmodule(test_tables_have_every_verb))
    places = {name for name in vars(PlaceVerbs) if not name.startswith("_")}
    whole = {name for name in vars(DocumentVerbs) if not name.startswith("_")}

    assert [name for name in places if f".{name}(" not in source] == []
    assert [name for name in whole if f"d.{name}(" not in source] == []


def test_verbs_are_awaitable_and_walking_is_not(go: Any) -> None:
    async def body(d: RedisJSONDict) -> None:
        walked = d["a"]["b", 0].at("c")

        assert type(walked) is AsyncReference
        assert not inspect.isawaitable(walked)
        assert "'a'" in repr(walked)
        assert "'c'" in repr(walked)
        pending = d.set("a", 1)
        assert inspect.isawaitable(pending)
        assert not await d.contains("a")
        await pending
        assert await d.contains("a")

    go(body)


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_key_at_the_top(go: Any, client: Any, prefix: str, name: str) -> None:
    async def body(d: RedisJSONDict) -> None:
        await d.set(name, {"l": [1]})
        await d[name]["l"].append(name)
        await d[name].update(n=1)

        assert await d[name].get() == {"l": [1, name], "n": 1}
        assert await d.get(name) == await d[name].to_python()
        assert await d.contains(name)
        assert await d.keys() == [name]
        assert [key async for key in d] == [name]
        assert [key async for key, _ in d.items()] == [name]
        assert await d.incr((name, "n")) == 2
        assert await d.get_many([name]) != {}
        assert await d.to_python() == {name: {"l": [1, name], "n": 2}}
        assert await d.setdefault(name, 5) is not None
        await d.rename(name, f"{name}2")
        assert await d.pop(f"{name}2") == {"l": [1, name], "n": 2}
        assert await d.pop(name, 7) == 7
        assert await d.length() == 0

    go(body)


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_name_below(go: Any, raw: Any, name: str) -> None:
    async def body(d: RedisJSONDict) -> None:
        await d.set("doc", {"before": 0})
        o = d["doc"]
        await o[name].set({"l": [1], name: {}})
        await o[name]["l"].append(name)
        await o[name][name].update({name: 1, "x": UNSPELLABLE if name == "é" else 2.5})

        assert await o[name]["l"].get() == [1, name]
        assert await o.get(name) == await o[name].get() == (await o.get())[name]
        assert await o.contains(name)
        assert await o.contains((name, name, name))
        assert await o.keys() == ["before", name]
        assert [key async for key, _ in o.items()] == ["before", name]
        assert [item async for item in o[name]["l"].elements()] == [1, name]
        assert await o[name, name].incr(name) == 2
        assert await o[name]["l"].pop() == name
        assert await o[name].setdefault("l", 5) is not None
        assert await o[name]["l"].length() == 1
        assert await o[name][name].pop(name) == 2
        assert await o.pop(name, 7) != 7
        assert await o.pop(name, 7) == 7
        assert await o.get() == {"before": 0}

    go(body)


def places_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    children: Any = ()
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list):
        children = enumerate(value)
    found = [(path, value)]
    for step, child in children:
        found += places_in(child, (*path, step))
    return found


def random_value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(9 if depth < 2 else 7)
    if kind == 7:
        return [random_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 8:
        return {rng.choice(HOSTILE): random_value(rng, depth + 1) for _ in range(rng.randrange(4))}
    return [
        None,
        rng.random() < 0.5,
        rng.randrange(-(2**63), 2**64),
        round(rng.random(), 3),
        rng.choice([0.1 + 0.2, 5e-324, -0.0, 1e300]),
        rng.choice(HOSTILE),
        rng.randrange(10),
    ][kind]


async def change_object(rng: random.Random, ref: AsyncReference, value: dict[str, Any]) -> None:
    name, new = rng.choice(HOSTILE), random_value(rng)
    match rng.randrange(5):
        case 0:
            value[name] = new
            await ref[name].set(new)
        case 1:
            value.update({name: new, "u": 1})
            await ref.update({name: new, "u": 1})
        case 2:
            assert await ref.pop(name, None) == value.pop(name, None)
        case 3:
            value.setdefault(name, new)
            await ref.setdefault(name, new)
        case _:
            assert sorted(await ref.keys()) == sorted(value)


async def change_array(rng: random.Random, ref: AsyncReference, value: list[Any]) -> None:
    position, new = rng.randrange(-4, 5), random_value(rng)
    match rng.randrange(6):
        case 0:
            value.append(new)
            await ref.append(new)
        case 1:
            value.insert(position, new)
            await ref.insert(position, new)
        case 2:
            value.extend([new, 1])
            await ref.extend([new, 1])
        case 3 if value:
            assert await ref.pop() == value.pop()
        case 4:
            value.reverse()
            await ref.reverse()
        case _:
            assert await ref.get_slice(slice(position, None)) == value[position:]


async def random_step(rng: random.Random, d: RedisJSONDict, root: dict[str, Any]) -> None:
    """Change a random place in both."""
    path, value = rng.choice([(p, v) for p, v in places_in(root) if p])
    ref, new = d.at(*path), random_value(rng)
    if isinstance(value, dict):
        await change_object(rng, ref, value)
    elif isinstance(value, list):
        await change_array(rng, ref, value)
    else:
        assert repr(await ref.get()) == repr(value)
        holder = functools.reduce(operator.getitem, path[:-1], root)
        if rng.random() < 0.3 and len(path) > 1:
            del holder[path[-1]]
            await ref.delete()
        else:
            holder[path[-1]] = new
            await ref.set(new)


@pytest.mark.parametrize("seed", range(4))
def test_random_history_matches_plain_data(go: Any, seed: int) -> None:
    async def body(d: RedisJSONDict) -> None:
        rng = random.Random(seed)
        root = {name: random_value(rng) for name in rng.sample(HOSTILE, 3)} | {"o": {}, "l": []}
        await d.update(root)
        for number in range(120):
            await random_step(rng, d, root)
            if number % 10 == 0:
                assert await d.to_python() == root
        assert await d.to_python() == root

    go(body)


ONE_TURN: dict[str, Call] = {
    name: PLACE[name]
    for name in (
        "set",
        "set new",
        "set index",
        "delete",
        "exists",
        "kind",
        "to_python",
        "get scalar",
        "contains",
        "length",
        "keys",
        "query",
        "pop",
        "pop member",
        "pop default",
        "popitem",
        "setdefault",
        "setdefault container",
        "update",
        "clear",
        "merge",
        "replace",
        "append",
        "append repaired",
        "append maxlen",
        "extend",
        "insert",
        "remove",
        "index",
        "count",
        "get_slice",
        "trim",
        "incr",
        "incr new",
        "toggle",
        "concat",
        "at",
    )
}


def test_verb_is_one_round_trip_however_deep(
    go: Any, relay: Relay, client: Any, prefix: str
) -> None:
    turns = {}

    async def body(d: RedisJSONDict) -> None:
        nested: Any = CONTENT
        steps = ["doc", "a", 1, "b", "é", "c"]
        for step in reversed(steps[1:]):
            nested = {step: nested} if isinstance(step, str) else [0, nested]
        for name, call in ONE_TURN.items():
            await d.set("doc", nested)
            await awaited(lambda call=call: call(d.at(*steps)))  # the server knows the script
            await d.set("doc", nested)
            before = relay.traffic
            walked = d["doc"]["a", 1].at("b")["é"]["c"]
            assert relay.traffic == before
            await call(walked)
            turns[name] = relay.traffic.turns - before.turns

    go(body, to=relay.url)
    assert turns == dict.fromkeys(ONE_TURN, 1)


def test_iterating_the_dict(go: Any, client: Any, prefix: str) -> None:
    content: dict[str, Any] = {f"k{n}": [n] if n % 3 else n for n in range(2_345)}

    async def body(d: RedisJSONDict) -> None:
        assert [key async for key in d] == await d.keys() == []
        assert [value async for value in d.values()] == []
        await d.update(content)
        client.set(f"{prefix}foreign", "text")
        client.set(f"{prefix}".encode() + b"\xff", "text")

        assert sorted([key async for key in d]) == sorted(content)
        assert sorted(await d.keys()) == sorted(content)
        assert await d.length() == len(content)
        assert await d.to_python() == content
        seen = {}
        async for key, value in d.items():
            assert key not in seen
            seen[key] = value
        assert {k: v for k, v in seen.items() if not isinstance(v, AsyncReference)} == {
            k: v for k, v in content.items() if not isinstance(v, list)
        }
        for key in ("k1", "k2000"):
            assert await seen[key].get() == content[key]
            await seen[key].append("more")
            assert await d[key][-1].get() == "more"
        kinds = [type(value) async for value in d.values()]
        assert kinds.count(AsyncReference) == sum(isinstance(v, list) for v in content.values())
        await d.clear()
        assert await d.length() == 0

    go(body)
    assert client.get(f"{prefix}foreign") == b"text"


def test_iterating_members_and_elements(go: Any) -> None:
    members: dict[str, Any] = {f"k{n}": {"n": n} if n % 500 == 0 else n for n in range(2_345)}
    elements: list[Any] = [[n] if n % 500 == 0 else n for n in range(2_000)]

    async def body(d: RedisJSONDict) -> None:
        for place in (("doc", "o"), ("doc", " lead", "a\\b")):
            await d.set("doc", {"o": members, " lead": {"a\\b": members}})
            seen = {name: value async for name, value in d[place].items()}
            assert list(seen) == list(members)
            assert {n: v for n, v in seen.items() if not isinstance(v, AsyncReference)} == {
                n: v for n, v in members.items() if not isinstance(v, dict)
            }
            assert await seen["k2000"]["n"].get() == 2000
            assert await seen["k0"].get() == {"n": 0}
        for place in (("doc", "l"), ("doc", " lead", -1)):
            await d.set("doc", {"l": elements, " lead": [elements]})
            items = [item async for item in d[place].elements()]
            assert [i for i in items if not isinstance(i, AsyncReference)] == [
                i for i in elements if not isinstance(i, list)
            ]
            assert await items[1500].get() == [1500]
        for size in (0, 1, 999, 1000, 1001):
            await d.set("l", list(range(size)))
            await d.set("o", {f"{n}": n for n in range(size)})
            assert [item async for item in d["l"].elements()] == list(range(size))
            assert [item async for _, item in d["o"].items()] == list(range(size))

    go(body)


def test_iterating_in_pages(go: Any, relay: Relay) -> None:
    async def body(d: RedisJSONDict) -> None:
        await d.set("o", {f"k{n}": [n] for n in range(1_500)})
        await d.set("l", [[n] for n in range(1_500)])
        for walk in (d["o"].items, d["l"].elements):
            assert len([item async for item in walk()]) == 1_500  # the server knows the scripts
            before = relay.traffic.turns
            assert len([item async for item in walk()]) == 1_500
            assert relay.traffic.turns - before == 2

    go(body, to=relay.url)


def test_iterating_what_is_not_there(go: Any) -> None:
    async def body(d: RedisJSONDict) -> None:
        await d.set("doc", {"n": 1, "l": [], "o": {}})
        for walk, error in (
            (d["none"].items(), KeyError),
            (d["none"].elements(), KeyError),
            (d["doc"]["none"].items(), KeyError),
            (d["doc"]["n"].items(), TypeError),
            (d["doc"]["l"].items(), TypeError),
            (d["doc"]["o"].elements(), TypeError),
        ):
            with pytest.raises(error):
                async for _ in walk:
                    pytest.fail("found something")

    go(body)


def test_iteration_is_left_early(go: Any) -> None:
    async def body(d: RedisJSONDict) -> None:
        await d.update({f"k{n}": [n] for n in range(1_200)})
        await d.set("o", {f"k{n}": [n] for n in range(1_200)})
        for walk in (d, d.items(), d.values(), d["o"].items()):
            async for _ in walk:
                break
        assert await d.get("k1") == [1]

    go(body)


def test_blocking_protocols_say_no(go: Any) -> None:
    async def body(d: RedisJSONDict) -> None:
        await d.set("a", {"b": 1})
        for call in (
            lambda: d.__setitem__("a", 1),
            lambda: d.__delitem__("a"),
            lambda: d["a"].__setitem__("b", 1),
            lambda: list(d),
            lambda: "a" in d,
            lambda: list(d["a"]),
            lambda: "b" in d["a"],
            lambda: len(d["a"]),
            lambda: len(d),
        ):
            with pytest.raises((TypeError, AttributeError)):
                call()
        assert await d.to_python() == {"a": {"b": 1}}

    go(body)


def test_what_cannot_be_awaited_says_what_to_write(go: Any) -> None:
    async def body(d: RedisJSONDict) -> None:
        await d.set("run", {"x": 1, "l": []})
        for call, instead in (
            (lambda: d["run"] == {"x": 1}, r"await d\['run'\]\.to_python\(\) == "),
            (lambda: d["run", "x"] != 1, r"await d\['run', 'x'\]\.to_python\(\) == "),
            (lambda: operator.eq({"x": 1}, d["run"]), r"\.to_python\(\)"),
            (lambda: d["run"]["x"] in ("a", None), r"\.to_python\(\)"),
            (lambda: d == {}, r"await d\.to_python\(\) == "),
            (lambda: bool(d["run"]["no"]), r"d\['run', 'no'\]\.exists\(\), .*\.get\(\)"),
            (lambda: d["run"].__setitem__(("l", 0), 1), r"await d\['run', 'l', 0\]\.set\(\.\.\.\)"),
            (lambda: d.__setitem__("run", 1), r"await d\['run'\]\.set\("),
            (lambda: d["run"].__delitem__("x"), r"await d\['run', 'x'\]\.delete\(\)"),
            (lambda: d.__delitem__("run"), r"await d\['run'\]\.delete\(\)"),
            (lambda: d.pipeline().__enter__(), "'async with d.pipeline"),
        ):
            with pytest.raises(TypeError, match=instead):
                call()
        assert await d["run"].to_python() == {"x": 1, "l": []}

    go(body)


def test_references_can_be_told_apart(go: Any) -> None:
    async def body(d: RedisJSONDict) -> None:
        await d.update(o={}, l=[1], t="text")
        o = d["o"]
        assert o == o
        assert o != object()
        assert o != d["l"]
        assert {o: 1}[o] == 1
        assert [k async for k, value in d.items() if value == "text"] == ["t"]
        found = await d.get_many(["l", "o"])
        assert found["l"] != {}
        with pytest.raises(TypeError, match="to_python"):
            assert found["o"] == {}

    go(body)


def test_reference_is_no_value(go: Any) -> None:
    async def body(d: RedisJSONDict) -> None:
        await d.update(a=[1], b={"c": 1})
        for value in (d["a"], [d["a"]], {"x": d["b"]}, d):
            with pytest.raises(TypeError):
                await d.set("new", value)
            with pytest.raises(TypeError):
                await d["a"].append(value)
        assert await d.to_python() == {"a": [1], "b": {"c": 1}}

    go(body)


def test_batch_is_one_transaction(go: Any, relay: Relay) -> None:
    async def body(d: RedisJSONDict) -> None:
        assert await d.get("none") is None
        before = relay.traffic
        async with d.pipeline() as batch:
            batch["a"] = {"l": [1]}
            batch["a"]["l"].append(2)
            await d.set("b", UNSPELLABLE)
            await d["a"]["l"].append(3)
            got = batch["a"]["l"].get(), batch["a"].get(), batch.incr("n"), batch.get("b")
            with pytest.raises(PipelineError):
                got[0].result()
            assert relay.traffic == before
        assert (relay.traffic - before).requests == 10
        assert await d.get("a") == {"l": [1, 2, 3]}
        assert type(got[1].result()) is AsyncReference
        assert await got[1].result().get() == {"l": [1, 2, 3]}
        assert await got[0].result().get() == [1, 2, 3]
        assert got[2].result() == 1
        assert repr(got[3].result()) == repr(UNSPELLABLE)

    go(body, to=relay.url)


def test_batch_that_raises_sends_nothing(go: Any) -> None:
    async def body(d: RedisJSONDict) -> None:
        with pytest.raises(ZeroDivisionError):
            async with d.pipeline() as batch:
                await d.set("a", 1)
                batch["b"] = 1
                raise ZeroDivisionError
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001), d.pipeline() as batch:
                batch["b"] = 1
                await asyncio.sleep(10)
        assert await d.length() == 0
        assert d._run.batches == {}

    go(body)


def test_reads_in_a_batch_see_the_state_before(go: Any) -> None:
    async def body(d: RedisJSONDict) -> None:
        await d.set("a", {"n": 1})
        async with d.pipeline():
            await d["a"]["n"].set(2)
            await d.set("b", 1)
            assert await d["a"]["n"].get() == 1
            assert await d.get("b") is None
            assert [key async for key in d] == ["a"]
            assert not await d.contains("b")
        assert await d.to_python() == {"a": {"n": 2}, "b": 1}

    go(body)


def test_batch_refuses_what_it_cannot(go: Any) -> None:
    async def body(d: RedisJSONDict) -> None:
        await d.set("a", {"n": 1, "l": [2, 1]})
        async with d.pipeline() as batch:
            for call in (
                lambda: d["a"].incr("n"),
                lambda: d["a"]["l"].pop(),
                lambda: d.pop("a"),
                lambda: d.popitem(),
                lambda: d.setdefault("a", 1),
                lambda: d["a"]["l"].sort(),
                lambda: d["a"]["l"].reverse(),
                lambda: d["a"].modify(lambda value: pytest.fail("called")),
                lambda: d["a"]["b\\c"].set(1),
            ):
                with pytest.raises(PipelineError):
                    await call()
            with pytest.raises(PipelineError):
                batch["a"]["l"].sort()
            assert len(batch) == 0
        with pytest.raises(PipelineError) as caught:
            async with d.pipeline() as batch:
                batch["a"]["n"].append(1)
                batch["b"] = 1
        assert isinstance(caught.value.__cause__, TypeError)
        assert caught.value.location == "document 'a' at $['n']"
        assert await d.get("b") == 1

    go(body)


def test_batches_join(go: Any) -> None:
    async def body(d: RedisJSONDict) -> None:
        async with d.pipeline():
            await d.set("a", 1)
            async with d.pipeline() as inner:
                inner["b"] = 1
            with contextlib.suppress(ZeroDivisionError):
                async with d.pipeline() as dropped:
                    dropped["c"] = 1
                    raise ZeroDivisionError
            assert await d.length() == 0
        assert await d.to_python() == {"a": 1, "b": 1}

    go(body)


def test_batches_of_tasks_are_apart(go: Any) -> None:
    async def body(d: RedisJSONDict) -> None:
        async def own(number: int) -> None:
            with contextlib.suppress(ZeroDivisionError):
                async with d.pipeline(atomic=number % 3 > 0) as batch:
                    await d.set(f"{number}", 1)
                    await asyncio.sleep(0)
                    batch.incr("total")
                    if number % 2:
                        raise ZeroDivisionError

        async with d.pipeline():
            await d.set("mine", 1)
            await asyncio.gather(*map(own, range(40)))
            await asyncio.create_task(d["child"].set(1))
            assert await d.get("child") == 1
            assert await d.get("total") == 20
            assert await d.get("mine") is None
        assert await d.get("mine") == 1
        assert await d.length() == 23

    go(body)


def test_clear_in_a_batch(go: Any) -> None:
    async def body(d: RedisJSONDict) -> None:
        await d.update({f"k{n}": n for n in range(1_500)})
        async with d.pipeline():
            await d.clear()
            await d.set("k1", "again")
            assert await d.length() == 1_500
        assert await d.to_python() == {"k1": "again"}

    go(body)


def test_expiry_blocks(go: Any) -> None:
    async def body(d: RedisJSONDict) -> None:
        async def put(name: str) -> None:
            await d.set(name, 1)

        with d.expire_at(60):
            await d.set("a", 1)
            await d.update(b=1)
            await d["c"].set(1)
            await d.incr("d")
            await asyncio.gather(put("child"), asyncio.create_task(put("task")))
            await put("awaited")
            async with d.pipeline() as batch:
                batch["e"] = 1
                await d.set("f", 1)
            with pytest.raises(ZeroDivisionError), d.expire_at(timedelta(hours=1)):
                await d.set("inner", 1)
                raise ZeroDivisionError
            await d.set("after inner", 1)
        await d.set("after", 1)

        for name in ("a", "b", "c", "d", "e", "f", "awaited", "after inner"):
            assert 50 < await d.ttl(name) <= 60
        assert await d.ttl("inner") > 3_000
        for name in ("child", "task", "after"):
            assert await d.ttl(name) is None

    go(body)


def test_times_to_live(go: Any) -> None:
    async def body(d: RedisJSONDict) -> None:
        await d.set("a", {"n": 1})
        assert 50 < await d.ttl("a") <= 60
        await d.expire("a", timedelta(hours=1))
        await d["a"]["n"].incr()
        await d.set("a", 2)
        assert 3_000 < await d.ttl("a") <= 3_600
        assert await d.persist("a") is True
        assert await d.persist("a") is False
        await d.expireat("a", 2_000_000_000)
        assert await d.ttl("a") > 0
        for bad in (-1, 0, math.nan, True, "60", None):
            with pytest.raises((ValueRangeError, UnsupportedValueError)):
                await d.expire("a", bad)

    go(body, expire=60, preserve_expiration=True)


def test_options_of_the_dict(go: Any, client: Any, prefix: str) -> None:
    async def body(d: RedisJSONDict) -> None:
        await d.set("a", {"when": datetime(2030, 1, 1)})
        assert await d.get("a") == {"when": "2030-01-01 00:00:00"}
        other = RedisJSONDict(d._run.client, namespace=f"{prefix}space")
        await other.set("x", 1)
        assert await d.contains("space:x")

    go(body, default=str)


def test_client_must_be_of_asyncio(client: Any, prefix: str, url: str) -> None:
    async def main() -> None:
        async with redis.asyncio.Redis.from_url(url) as user:
            for wrong in (client, client.pipeline(), user.pipeline(), url, None):
                with pytest.raises(TypeError):
                    RedisJSONDict(wrong, prefix)
            with pytest.raises(TypeError):
                Blocking(user, prefix)
            for bad in ({"prefix": 5}, {"prefix": "a", "namespace": "b"}, {"expire": "1"}):
                with pytest.raises(TypeError):
                    RedisJSONDict(user, **bad)

    asyncio.run(main())


def test_from_url_owns_its_client(url: str, prefix: str, d: Blocking, client: Any) -> None:
    name = f"test-{uuid.uuid4().hex}"

    def connections() -> int:
        return sum(one["name"] == name for one in client.client_list())

    async def main() -> None:
        async with RedisJSONDict.from_url(url, prefix, expire=60, client_name=name) as mine:
            await mine.set("a", 1)
            assert connections() == 1
            assert 50 < await mine.ttl("a") <= 60
        while connections():  # the server notices in its own time
            await asyncio.sleep(0.001)
        other = RedisJSONDict.from_url(url, namespace=prefix[:-1], client_name=name)
        assert await other.get("a") == 1
        await other.aclose()
        await other.aclose()
        for bad in ({"expire": -1}, {"namespace": 5}, {"nonsense": 1}):
            with pytest.raises((TypeError, ValueError)):
                await RedisJSONDict.from_url(url, **bad).get("a")

    asyncio.run(main())


def test_users_client_stays_open(url: str, prefix: str, d: Blocking) -> None:
    async def main() -> None:
        async with redis.asyncio.Redis.from_url(url) as user:
            callbacks = dict(user.response_callbacks)
            async with RedisJSONDict(user, prefix) as mine:
                await mine.set("a", {"b": [1]})
                await mine["a"]["b"].append(2)
            connection = await user.connection_pool.get_connection()
            assert connection.is_connected
            await user.connection_pool.release(connection)
            assert await user.ping()
            assert user.response_callbacks == callbacks

    asyncio.run(main())


CLIENTS: dict[str, dict[str, Any]] = {
    "resp2": {"protocol": 2},
    "resp3": {"protocol": 3},
    "resp2 decoding": {"protocol": 2, "decode_responses": True},
    "resp3 decoding": {"protocol": 3, "decode_responses": True},
    "single": {"single_connection_client": True},
    "single decoding": {"single_connection_client": True, "decode_responses": True},
    "one connection": {"max_connections": 1},
    "latin-1": {"encoding": "latin-1", "decode_responses": True},
}


async def routine(d: RedisJSONDict) -> None:
    """Read, write and fail in every way once, alone and in batches."""
    names = ["plain", "é", "一", "'", "a\\b", "'\"", " lead", "", "\x00\n"]
    content = [1, 2.5, "é一\x00", None, 0.1 + 0.2]
    await d.set("doc", {n: {"x": content} for n in names} | {"n": 1})
    o = d["doc"]
    for name in names:
        assert await o[name]["x"].get() == content
        assert await o[name]["x"][-3].get() == "é一\x00"
        assert await o[name]["x"].index(2.5) == 1
        assert await o[name]["x"].kind() == "array"
        await o[name]["x"].append(1 / 3)
        assert await o[name]["x"].pop() == 1 / 3
        await o[name]["x"].reverse()
        assert await o[name].incr("c") == 1
    assert await o.keys() == [*names, "n"]
    assert [name async for name, _ in o.items()] == [*names, "n"]
    assert await o.get_many(["n", "none"]) == {"n": 1}
    assert await o.query("$.n") == [1]
    assert await d.keys() == ["doc"]
    assert await o.modify(lambda value: {"n": 5}) == {"n": 5}
    assert await d.to_python() == {"doc": {"n": 5}}
    assert await o["n"].incr(amount=2**53) == 2**53 + 5
    for error, call in (
        (KeyError, lambda: o["none"].get()),
        (KeyError, lambda: d["none"].append(1)),
        (TypeError, lambda: o["n"].append(1)),
        (ValueError, lambda: o.query("$[")),
    ):
        with pytest.raises(error):
            await call()
    async with d.pipeline() as batch:
        batch["é"] = {"ä": UNSPELLABLE}
        got = batch["é"]["ä"].get(), batch["é"].to_python(), batch["é"].keys(), batch["é"].kind()
    assert [one.result() for one in got] == [UNSPELLABLE, {"ä": UNSPELLABLE}, ["ä"], "object"]
    async with d.pipeline(atomic=False) as batch:
        taken = batch.pop("é")
    assert taken.result() == {"ä": UNSPELLABLE}
    assert await d.popitem() == ("doc", {"n": 2**53 + 5})
    with pytest.raises(KeyError):
        await d.popitem()


@pytest.mark.parametrize("options", CLIENTS)
def test_every_client(go: Any, options: str) -> None:
    go(routine, client=CLIENTS[options])


@pytest.mark.parametrize("decode", [False, True])
def test_client_on_which_json_was_called(go: Any, protocol: int, decode: bool) -> None:
    async def body(d: RedisJSONDict) -> None:
        d._run.client.json()
        await routine(d)

    go(body, client={"protocol": protocol, "decode_responses": decode})


def test_every_server(go: Any, every_url: str, protocol: int) -> None:
    go(routine, to=every_url, client={"protocol": protocol})


def test_pool_of_one_connection(url: str, prefix: str, d: Blocking) -> None:
    async def main() -> None:
        pool = redis.asyncio.BlockingConnectionPool.from_url(url, max_connections=1, timeout=20)
        async with redis.asyncio.Redis(connection_pool=pool) as user:
            mine = RedisJSONDict(user, prefix)
            await routine(mine)
            await mine.set("doc", {"l": [], "n": 0})

            async def work(number: int) -> None:
                await mine["doc"]["l"].append(number)
                await mine["doc"]["n"].modify(lambda n: n + 1)
                async with mine.pipeline() as batch:
                    batch["doc"].incr("m")
                with contextlib.suppress(KeyError):
                    await mine["none"].get()

            await asyncio.gather(*map(work, range(20)))
            assert sorted(await mine["doc"]["l"].get()) == list(range(20))
            assert await mine["doc"].get_many(["n", "m"]) == {"n": 20, "m": 20}
        await pool.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("options", ["resp3", "single"])
def test_many_tasks_lose_nothing(go: Any, options: str) -> None:
    async def body(d: RedisJSONDict) -> None:
        await d.set("doc", {"l": [], "n": 0, "m": 0, "a\\b": [], "o": {}})
        o = d["doc"]

        async def work(number: int) -> None:
            await o["l"].append(number)
            await o.incr("n")
            await o["m"].modify(lambda m: m + 1)
            await o["a\\b"].append(number)
            await o["o"].update({f"{number}": number})
            async with d.pipeline() as batch:
                batch["doc"]["l"].append(-number)
                batch["doc"].incr("n")
            assert await o["o"][f"{number}"].get() == number
            await d.set(f"k{number}", number)

        await asyncio.gather(*map(work, range(40)))
        assert sorted(await o["l"].get()) == sorted([*range(40), *(-n for n in range(40))])
        assert sorted(await o["a\\b"].get()) == list(range(40))
        assert await o.get_many(["n", "m"]) == {"n": 80, "m": 40}
        assert await o["o"].get() == {f"{n}": n for n in range(40)}
        assert await d.length() == 41

    go(body, client=CLIENTS[options])


def test_popitem_gives_each_task_another(go: Any) -> None:
    async def body(d: RedisJSONDict) -> None:
        await d.update({f"k{n}": n for n in range(30)})
        taken = await asyncio.gather(*(d.popitem() for _ in range(30)))
        assert sorted(value for _, value in taken) == list(range(30))
        assert await d.length() == 0

    go(body)


def test_setdefault_of_many_tasks_stores_once(go: Any) -> None:
    async def body(d: RedisJSONDict) -> None:
        top = await asyncio.gather(*(d.setdefault("a", n) for n in range(20)))
        assert len({*top}) == 1
        await d.set("o", {})
        below = await asyncio.gather(*(d["o"].setdefault("a", n) for n in range(20)))
        assert len({*below}) == 1

    go(body)


# What is cancelled in the middle: a verb, and what it may leave.
CANCELLED: dict[str, tuple[Call, Callable[[Any], Any]]] = {
    "append": (lambda d: d["doc"]["l"].append(1), lambda v: {**v, "l": [*v["l"], 1]}),
    "incr": (lambda d: d["doc"].incr("n"), lambda v: {**v, "n": v["n"] + 1}),
    "sort": (lambda d: d["doc"]["l"].reverse(), lambda v: {**v, "l": v["l"][::-1]}),
    "set": (lambda d: d["doc"]["t"].set("y"), lambda v: {**v, "t": "y"}),
    "modify": (
        lambda d: d["doc"]["n"].modify(lambda n: n + 1),
        lambda v: {**v, "n": v["n"] + 1},
    ),
    "odd": (
        lambda d: d["doc"]["a\\b"].append(0),
        lambda v: {**v, "a\\b": [*v["a\\b"], 0]},
    ),
    "get": (lambda d: d["doc"].get(), lambda v: v),
    "keys": (lambda d: d.keys(), lambda v: v),
    "items": (lambda d: listed(d), lambda v: v),
    "batch": (
        lambda d: batched(d),
        lambda v: {**v, "l": [*v["l"], 7], "n": v["n"] + 1},
    ),
    "error": (lambda d: missing(d), lambda v: v),
}


async def listed(d: RedisJSONDict) -> list[Any]:
    return [item async for item in d["doc"].items()]


async def missing(d: RedisJSONDict) -> None:
    with contextlib.suppress(KeyError):
        await d["none"]["x"].append(1)


async def batched(d: RedisJSONDict) -> None:
    async with d.pipeline() as batch:
        batch["doc"]["l"].append(7)
        batch["doc"].incr("n")


async def cancel_often(d: RedisJSONDict, truth: Blocking, rng: random.Random) -> dict[bool, int]:
    """Cancel every verb after another number of turns of the loop; count what was finished."""
    counts = {True: 0, False: 0}
    for call, after in CANCELLED.values():
        truth["doc"] = {"l": [2, 1], "n": 0, "t": "x", "a\\b": []}
        for turns in [*range(0, 24, 2), *(rng.randrange(40) for _ in range(6))]:
            before = truth["doc"].to_python()
            task = asyncio.ensure_future(call(d))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            try:
                await task
                finished = True
            except asyncio.CancelledError:
                finished = False
            counts[finished] += 1
            got = await d["doc"].get()

            assert got == truth["doc"].to_python()
            assert got in ([after(before)] if finished else [before, after(before)])
            assert d._run.batches == {}
            assert borrowed(d._run.client) == 0
    return counts


@pytest.mark.parametrize("options", ["resp2", "resp3", "single", "one connection"])
def test_cancelled_verb_leaves_before_or_after(go: Any, d: Blocking, options: str) -> None:
    async def body(mine: RedisJSONDict) -> None:
        counts = await cancel_often(mine, d, random.Random(1))
        assert counts[False] > 10

    go(body, client=CLIENTS[options])


def test_cancelled_through_a_relay(go: Any, relay: Relay, d: Blocking) -> None:
    async def body(mine: RedisJSONDict) -> None:
        rng = random.Random(2)
        d["doc"] = {"l": [], "n": 0}
        for number in range(120):
            before = d["doc"].to_python()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(mine["doc"]["l"].append(number), rng.random() * 0.002)
            await mine["doc"]["l"].length()  # behind the append, if that arrived at all
            assert await mine["doc"].get() in (before, {**before, "l": [*before["l"], number]})
        assert await mine["doc"]["l"].get() == d["doc", "l"].to_python()

    go(body, to=relay.url)


def test_cancelled_while_the_reply_is_awaited(go: Any, relay: Relay, d: Blocking) -> None:
    async def body(mine: RedisJSONDict) -> None:
        d["l"] = []
        await mine["l"].append(0)
        with relay.losing(b"JSON.ARRAPPEND", "swallow") as fault:
            task = asyncio.ensure_future(mine["l"].append(1))
            while fault.hits == 0:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.05)  # a cancel while sending may be lost in Python 3.11
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
        assert "outcome unknown" in " ".join(caught.value.__notes__)
        await mine["l"].append(2)
        assert await mine["l"].get() == [0, 1, 2]

    go(body, to=relay.url)


def test_cancelled_crowd(go: Any, d: Blocking) -> None:
    async def body(mine: RedisJSONDict) -> None:
        rng = random.Random(3)
        d["doc"] = {"n": 0}

        async def work() -> None:
            await mine["doc"].incr("n")

        done = 0
        for _ in range(10):
            tasks = [asyncio.create_task(work()) for _ in range(20)]
            for _ in range(rng.randrange(20)):
                await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert not [r for r in results if isinstance(r, Exception)]
            done += sum(result is None for result in results)
        assert done <= d["doc", "n"] <= 200
        assert await mine["doc"]["n"].get() == d["doc", "n"]

    go(body)


ONCE: dict[str, tuple[bytes, Call, Any]] = {
    "append": (b"JSON.ARRAPPEND", lambda d: d["doc"]["l"].append(1), {"l": [3, 1, 2, 1]}),
    "delete": (b"EVALSHA", lambda d: d["doc"]["l"][0].delete(), {"l": [1, 2]}),
    "incr": (b"EVALSHA", lambda d: d["doc"].incr("n"), {"n": 2}),
    "pop": (b"JSON.ARRPOP", lambda d: d["doc"]["l"].pop(), {"l": [3, 1]}),
    "insert": (b"EVALSHA", lambda d: d["doc"]["l"].insert(1, 9), {"l": [3, 9, 1, 2]}),
    "batch": (b"\r\nEXEC\r\n", lambda d: batched(d), {"l": [3, 1, 2, 7], "n": 2}),
}


@pytest.mark.parametrize(
    ("mode", "options"), [("close", "resp2"), ("close", "single"), ("swallow", "resp3")]
)
@pytest.mark.parametrize("verb", ONCE)
def test_at_most_once(
    go: Any, relay: Relay, d: Blocking, verb: str, mode: str, options: str
) -> None:
    marker, call, after = ONCE[verb]
    start = {"l": [3, 1, 2], "n": 1}

    async def body(mine: RedisJSONDict) -> None:
        d["doc"] = start
        await call(mine)  # the server knows the script
        d["doc"] = start
        with relay.losing(marker, mode, times=99) as fault:
            with pytest.raises(LOST) as caught:
                await call(mine)
            assert fault.hits == 1
        assert "outcome unknown" in " ".join(caught.value.__notes__)
        left = [{**start, **after}]
        if verb == "batch" and mode == "close":  # the relay may close before EXEC has passed
            left.append(start)
        assert d["doc"].to_python() in left
        assert await mine["doc"].get() in left

    settings = {"retry": Retry(NoBackoff(), 5), "socket_timeout": 0.25}
    go(body, to=relay.url, client={**CLIENTS[options], **settings})


def test_what_may_be_sent_again_is(go: Any, relay: Relay, d: Blocking) -> None:
    async def body(mine: RedisJSONDict) -> None:
        d["doc"] = {"n": 1}
        for marker, call in (
            (b"JSON.GET", lambda: mine["doc"].to_python()),
            (b"JSON.SET", lambda: mine["doc"]["n"].set(2)),
            (b"EVALSHA", lambda: mine.set("doc", {"n": 2})),
        ):
            await call()
            with relay.losing(marker, "close") as fault:
                await call()
            assert fault.hits == 1
        assert await mine["doc"].get() == {"n": 2}

    go(body, to=relay.url, client={"retry": Retry(NoBackoff(), 3)})


def test_connections_dropped_in_between(go: Any, relay: Relay) -> None:
    async def drop() -> None:
        relay.drop()
        await asyncio.sleep(0.05)  # until the loop has heard of it

    async def body(d: RedisJSONDict) -> None:
        await d.set("l", [])
        for number in range(3):
            await drop()
            await d["l"].append(number)
            await drop()
            async with d.pipeline() as batch:
                batch["l"].append(number)
            await drop()
            assert await d["l"].length() == 2 * number + 2

    go(body, to=relay.url, client={"retry": Retry(NoBackoff(), 3)})


def test_server_that_is_gone(prefix: str) -> None:
    async def main() -> None:
        async with redis.asyncio.Redis(port=1, retry=Retry(NoBackoff(), 1)) as user:
            d = RedisJSONDict(user, prefix)
            for call in (lambda: d["l"].append(1), lambda: batched(d)):
                with pytest.raises(redis.ConnectionError) as caught:
                    await call()
                assert "nothing was sent" in " ".join(caught.value.__notes__)

    asyncio.run(main())


def test_scripts_forgotten_by_the_server(go: Any, client: Any) -> None:
    async def body(d: RedisJSONDict) -> None:
        for number in range(3):
            client.script_flush()
            assert await d.incr("n") == 2 * number + 1
            client.script_flush()
            async with d.pipeline() as batch:
                got = batch.incr("n")
                client.script_flush()
            assert got.result() == 2 * number + 2

    go(body)


def test_foreign_keys_are_left_alone(go: Any, client: Any, prefix: str) -> None:
    client.rpush(f"{prefix}foreign", 1)

    async def body(d: RedisJSONDict) -> None:
        for call in (
            lambda: d.set("foreign", 1),
            lambda: d["foreign"].get(),
            lambda: d["foreign"].append(1),
            lambda: d.delete("foreign"),
            lambda: d.ttl("foreign"),
        ):
            with pytest.raises(NotADocumentError):
                await call()
        assert not await d.contains("foreign")
        assert not await d["foreign"].exists()
        assert await d.keys() == []
        await d.clear()
        with pytest.raises(KeyError):
            await d.popitem()

    go(body)
    assert client.lrange(f"{prefix}foreign", 0, -1) == [b"1"]


def test_single_connection_is_one(url: str, prefix: str, d: Blocking) -> None:
    async def body() -> None:
        async with redis.asyncio.Redis.from_url(url, single_connection_client=True) as client:
            mine = RedisJSONDict(client, prefix)
            d["n"] = 1
            before = await client.info("stats")
            await asyncio.gather(*(mine["n"].get() for _ in range(8)))
            after = await client.info("stats")
        assert after["total_connections_received"] == before["total_connections_received"]

    asyncio.run(body())


def test_single_connection_is_made_by_the_first_verb(url: str, prefix: str, d: Blocking) -> None:
    async def body() -> None:
        d["n"] = 1
        client = redis.asyncio.Redis.from_url(url, single_connection_client=True)
        mine = RedisJSONDict(client, prefix)
        before = d._run.client.info("stats")["total_connections_received"]
        assert await asyncio.gather(*(mine["n"].get() for _ in range(8))) == [1] * 8
        assert d._run.client.info("stats")["total_connections_received"] == before + 1
        await client.aclose()

    asyncio.run(body())
