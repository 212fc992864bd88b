"""What type checkers infer: one verb, three ways to run it. Checked, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

import redis
import redis.asyncio

from redisjson_dict import JSONArray, JSONObject, RedisJSONDict, to_python
from redisjson_dict.asyncio import AsyncReference
from redisjson_dict.asyncio import RedisJSONDict as AsyncRedisJSONDict
from redisjson_dict.pipeline import AsyncPipeline, Batch, BatchReference, Pipeline
from redisjson_dict.queue import Pending
from redisjson_dict.references import Reference


def dict_verbs(d: RedisJSONDict) -> None:
    assert_type(d["a"], Any)
    assert_type(d["a", "b", 0], Any)
    assert_type(d.get("a"), Any)
    assert_type("a" in d, bool)
    assert_type(len(d), int)
    assert_type(bool(d), bool)
    assert_type(list(d), list[str])
    assert_type(list(d.keys()), list[str])
    assert_type(list(d.items()), list[tuple[str, Any]])
    assert_type(d.popitem(), tuple[str, Any])
    assert_type(d.to_python(), dict[str, Any])
    assert_type(d.copy(), dict[str, Any])
    assert_type(d | {"a": 1}, dict[str, Any])
    assert_type(d.toggle("a"), bool)
    assert_type(d.ttl("a"), float | None)
    assert_type(d.persist("a"), bool)
    assert_type(d.get_many(["a", ("b", 0)]), dict[Any, Any])
    assert_type(d.at("a", "b", 0), Reference)
    assert_type(d.pipeline(), Pipeline)
    assert_type(d.expire_at(60), AbstractContextManager[None])
    assert_type(RedisJSONDict.from_url("redis://"), RedisJSONDict)
    d["a"] = {"b": [1, None]}
    d["a", "b", 0] = 2
    d.update({"a": 1}, b=2)
    d.expire("a", timedelta(minutes=1))
    d.expire("a", 1.5)
    d.expireat("a", datetime.now(UTC))
    d.expireat("a", 2_000_000_000)
    d.rename("a", "b")
    d.concat(("a", "b"), "text")
    del d["a"]
    with d as itself:
        assert_type(itself, RedisJSONDict)


def containers(o: JSONObject, a: JSONArray) -> None:
    assert_type(o["a"], Any)
    assert_type(len(o), int)
    assert_type(list(o), list[str])
    assert_type(a[0], Any)
    assert_type(a[1:], list[Any])
    assert_type(a.index(1), int)
    assert_type(a.count(1), int)
    a[0] = 1
    a[1:] = [1, 2]
    a.append(1, maxlen=5)
    a.sort(key=str, reverse=True)


def reference_verbs(r: Reference) -> None:
    assert_type(r["a"]["b", 0], Reference)
    assert_type(r.at("a", 0), Reference)
    assert_type(r.get("a", 5), Any)
    assert_type(r.exists(), bool)
    assert_type(r.kind(), str)
    assert_type(r.contains("a"), bool)
    assert_type(r.length(), int)
    assert_type(r.keys(), list[str])
    assert_type(r.query("$.a"), list[Any])
    assert_type(r.popitem(), tuple[str, Any])
    assert_type(r.index(1, 0, 5), int)
    assert_type(r.count(1), int)
    assert_type(r.get_slice(slice(1)), list[Any])
    assert_type(r.toggle(), bool)
    assert_type(r.incr(amount=2), Any)
    r.set(1)
    r.append(1, maxlen=2)
    r.insert(0, 1)
    r.sort(key=str, reverse=True)
    r.modify(lambda value: value, tries=5)
    r.update({"a": 1}, b=2)
    r["a"] = 1
    del r["a"]


def async_dict_verbs(d: AsyncRedisJSONDict) -> None:
    assert_type(d["a"]["b", 0], AsyncReference)
    assert_type(d.at("a", "b", 0), AsyncReference)
    assert_type(d.get("a"), Awaitable[Any])
    assert_type(d.set("a", 1), Awaitable[None])
    assert_type(d.delete("a"), Awaitable[None])
    assert_type(d.contains("a"), Awaitable[bool])
    assert_type(d.pop("a"), Awaitable[Any])
    assert_type(d.toggle(("a", "b")), Awaitable[bool])
    assert_type(d.rename("a", "b"), Awaitable[None])
    assert_type(d.ttl("a"), Awaitable[float | None])
    assert_type(d.expire("a", timedelta(1)), Awaitable[None])
    assert_type(d.persist("a"), Awaitable[bool])
    assert_type(d.update({"a": 1}), Awaitable[None])
    assert_type(d.items(), AsyncIterator[tuple[str, Any]])
    assert_type(d.values(), AsyncIterator[Any])
    assert_type(d.pipeline(atomic=False), AsyncPipeline)
    assert_type(AsyncRedisJSONDict.from_url("redis://"), AsyncRedisJSONDict)


async def async_dict_results(d: AsyncRedisJSONDict) -> None:
    assert_type(await d.contains("a"), bool)
    assert_type(await d.keys(), list[str])
    assert_type(await d.length(), int)
    assert_type(await d.to_python(), dict[str, Any])
    assert_type(await d.popitem(), tuple[str, Any])
    assert_type(await d.ttl("a"), float | None)
    assert_type([key async for key in d], list[str])
    assert_type([pair async for pair in d.items()], list[tuple[str, Any]])
    with d.expire_at(60):
        await d.set("a", 1)
    async with d.pipeline() as batch:
        assert_type(batch, Batch)
    async with d as itself:
        assert_type(itself, AsyncRedisJSONDict)
    await d.aclose()


async def async_reference_verbs(r: AsyncReference) -> None:
    assert_type(r["a"].at("b"), AsyncReference)
    assert_type(r.get(), Awaitable[Any])
    assert_type(r.set(1), Awaitable[None])
    assert_type(r.append(1, maxlen=2), Awaitable[None])
    assert_type(r.length(), Awaitable[int])
    assert_type(r.query("$.a"), Awaitable[list[Any]])
    assert_type(r.popitem(), Awaitable[tuple[str, Any]])
    assert_type(r.toggle(), Awaitable[bool])
    assert_type(await r.length(), int)
    assert_type(await r.keys(), list[str])
    assert_type(await r.kind(), str)
    assert_type(await r.exists(), bool)
    assert_type(await r.index(1), int)
    assert_type(await r.get_slice(slice(2)), list[Any])
    assert_type([pair async for pair in r.items()], list[tuple[str, Any]])
    assert_type([item async for item in r.elements()], list[Any])


def batch_verbs(batch: Batch) -> None:
    assert_type(batch["a"]["b", 0], BatchReference)
    assert_type(batch.at("a", 0), BatchReference)
    assert_type(len(batch), int)
    assert_type(batch.get("a"), Pending[Any])
    assert_type(batch.set("a", 1), Pending[None])
    assert_type(batch.toggle(("a", "b")), Pending[bool])
    assert_type(batch.ttl("a"), Pending[float | None])
    assert_type(batch.persist("a"), Pending[bool])
    assert_type(batch["a"].length(), Pending[int])
    assert_type(batch["a"].append(1), Pending[None])
    assert_type(batch["a"].keys(), Pending[list[str]])
    assert_type(batch["a"].kind(), Pending[str])
    assert_type(batch["a"].popitem(), Pending[tuple[str, Any]])
    assert_type(batch["a"].length().result(), int)
    assert_type(batch.ttl("a").result(), float | None)
    batch["a"] = 1
    batch["a", "b"] = 1
    batch["a"]["b"] = 2
    del batch["a"]["b"]
    del batch["a"]


def blocks(d: RedisJSONDict) -> None:
    with d.pipeline() as batch, d.expire_at(timedelta(1)):
        assert_type(batch, Batch)


def clients(url: str) -> None:
    RedisJSONDict(redis.Redis.from_url(url), "p:")
    RedisJSONDict(redis.Redis(), namespace="p", expire=timedelta(1), preserve_expiration=True)
    AsyncRedisJSONDict(redis.asyncio.Redis(), "p:", expire=1.5, default=str)
    assert_type(to_python({"a": 1}), Any)


def mistakes(
    r: Reference, a: AsyncReference, batch: Batch, d: RedisJSONDict, e: AsyncRedisJSONDict
) -> None:
    """Each line is refused: an ignore that is not needed is an error."""
    r.append()  # type: ignore[call-arg]
    r.append(1, most=2)  # type: ignore[call-arg]
    r.insert(1)  # type: ignore[call-arg]
    a.concat()  # type: ignore[call-arg]
    batch.rename("a")  # type: ignore[call-arg]
    d.rename("a", 5)  # type: ignore[arg-type]
    d.expire("a", "60")  # type: ignore[arg-type]
    e.ttl(5)  # type: ignore[arg-type]
    e["a"] = 1  # type: ignore[index]
    a["b"] = 1  # type: ignore[index]
    r.sort(str)  # type: ignore[call-arg]
