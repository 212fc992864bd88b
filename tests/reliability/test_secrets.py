"""Passwords, and the content of documents, do not get into what is shown, logged or pickled."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
from clusters import HOST, free_ports
from redis.backoff import NoBackoff
from redis.retry import Retry

from redisjson_dict import RedisJSONDict, UnsupportedValueError, ValueRangeError
from redisjson_dict.asyncio import RedisJSONDict as AsyncRedisJSONDict
from redisjson_dict.server import Server, binaries

SECRET = "s3cr3t"
LOGIN = f"user:{SECRET}"
ONCE: dict[str, Any] = {"retry": Retry(NoBackoff(), 0), "socket_timeout": 2}

pytestmark = pytest.mark.skipif(not binaries(), reason="no server program on this machine")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server on a port, with a user whose password is secret."""
    with Server(port=0) as server:
        server.client().execute_command("ACL", "SETUSER", "user", "on", f">{SECRET}", "~*", "+@all")
        yield server.url.replace("//", f"//{LOGIN}@")


def everything(error: BaseException | None) -> str:
    """Return what any handler could show of an error: text, repr, notes, and those before it."""
    shown = []
    while error is not None:
        shown += [str(error), repr(error), *getattr(error, "__notes__", [])]
        shown += traceback.format_exception_only(error)
        error = error.__cause__ or error.__context__
    return "\n".join(shown)


def failure(call: Callable[[], Any]) -> BaseException:
    with pytest.raises(Exception) as caught:
        call()
    return caught.value


def blocking(url: Any, **options: Any) -> None:
    with RedisJSONDict.from_url(url, "secret:", **options) as d:
        d.at("a").append(1)


def awaiting(url: Any, **options: Any) -> None:
    async def main() -> None:
        async with AsyncRedisJSONDict.from_url(url, "secret:", **options) as d:
            await d["a"].append(1)

    asyncio.run(main())


WAYS = pytest.mark.parametrize("way", [blocking, awaiting])


@WAYS
@pytest.mark.parametrize(
    "bad",
    [
        f"redis://:pa/{SECRET}@{HOST}:1",
        f"redis://:{SECRET}/x@{HOST}:1",
        f"redis://:{SECRET}#x@{HOST}:1",
        f"redis://:{SECRET}?x@{HOST}:1",
        f"redis://:{SECRET}?x=1@{HOST}:1",
        f"redis://{SECRET}/x:y@{HOST}:1",
        f"redis://user:12/{SECRET}@{HOST}:1",
        f"redis://user:12#{SECRET}@{HOST}:1",
        f"redis://user:12@{SECRET}/x@{HOST}:1",
        f"redis://user:12@{SECRET}#x@{HOST}:1",
        f"redis://user:12@{SECRET}?x@{HOST}:1",
        f"unix://user:12@{SECRET}/x@/run/s",
        f"redis://user:12?{SECRET}@{HOST}:1",
        f"redis://{LOGIN}@host:port",
        f"redis://{LOGIN}@{HOST}:99999",
        f"redis://{LOGIN}@[::1",
        f"redis://user:pa[{SECRET}@{HOST}:1",
        f"rediss://user:pa/{SECRET}@{HOST}:1",
        f"unix://user:pa/{SECRET}@/run/s",
        f"http://{LOGIN}@{HOST}",
        f"user:{SECRET}@{HOST}",
        f"{SECRET}",
        "",
    ],
)
def test_malformed_url_is_refused_without_being_shown(way: Any, bad: str) -> None:
    error = failure(lambda: way(bad))

    assert type(error) is ValueError
    assert "percent-encoded" in str(error)
    assert SECRET not in everything(error)
    assert "12" not in everything(error)


@WAYS
@pytest.mark.parametrize("bad", [None, 5, f"redis://{LOGIN}@{HOST}".encode()])
def test_url_that_is_no_text(way: Any, bad: Any) -> None:
    error = failure(lambda: way(bad))

    assert type(error) is TypeError
    assert SECRET not in everything(error)


@pytest.mark.parametrize(
    "good",
    [
        f"redis://{HOST}:1/3?client_name=a@b",
        f"redis://user:p%40ss%2Fw@{HOST}:1",
        f"redis://user:p@ss@{HOST}:1",
        "redis://[::1]:1#fragment",
        "unix:///run/a@b/s?db=2",
        "unix://user:p%2F@/run/s",
        "unix://user:p@/run/a@b/s",
        "redis://",
    ],
)
def test_url_that_redis_py_reads_is_taken(good: str) -> None:
    RedisJSONDict.from_url(good).close()
    AsyncRedisJSONDict.from_url(good)


@WAYS
@pytest.mark.parametrize("what", ["wrong password", "nobody listens", "no such host", "no socket"])
def test_login_that_fails(url: str, way: Any, what: str) -> None:
    bad = {
        "wrong password": url.replace(SECRET, SECRET + "x"),
        "nobody listens": f"redis://{LOGIN}@{HOST}:{free_ports(1)[0]}",
        "no such host": f"redis://{LOGIN}@nowhere.invalid:1",
        "no socket": f"unix://{LOGIN}@/nowhere/s",
    }[what]
    error = failure(lambda: way(bad, **ONCE))

    assert isinstance(error, redis.ConnectionError)
    assert SECRET not in everything(error)
    assert "nothing was" in everything(error)


def use(d: RedisJSONDict) -> None:
    """Run verbs of every kind, some of which fail."""
    d["a"] = {"l": [1], "o": {"k": 1}}
    d["a"]["l"].append(2)
    with d.pipeline() as batch:
        batch["a"].incr("n")
    list(d.items())
    for call in (lambda: d["none"], lambda: d.at("a", "o").append(1), lambda: d["a"].query("$[")):
        failure(call)
    d.clear()


def test_log_and_warnings_while_verbs_run(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("redis").setLevel(logging.DEBUG)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            with RedisJSONDict.from_url(url, "secret:") as d:
                use(d)
            awaiting_ok(url)
            failure(lambda: blocking(url.replace(SECRET, SECRET + "x"), **ONCE))
    finally:
        logging.getLogger("redis").setLevel(logging.NOTSET)

    assert SECRET not in caplog.text
    assert not any(SECRET in str(one.message) for one in warned)


def awaiting_ok(url: str) -> None:
    async def main() -> None:
        async with AsyncRedisJSONDict.from_url(url, "secret:") as d:
            await d.set("a", [1])
            await d["a"].append(2)
            await d.clear()

    asyncio.run(main())


def test_reprs_know_no_client(url: str) -> None:
    with RedisJSONDict.from_url(url, "secret:") as d:
        d["a"] = {"l": [1]}
        with d.pipeline() as batch:
            pending = batch["a"].incr("n")
            things: list[Any] = [batch, batch["a"], pending]
        things += [d, d["a"], d["a", "l"], d.at("a"), d.keys(), d.items(), d.values(), pending]
        things += [d["a"].items(), d.pipeline(), d.expire_at(5), d._run, d._space, d.pop]
        shown = "\n".join(f"{thing!r} {thing!s} {thing!a}" for thing in things)
        d.clear()
    asyncs = AsyncRedisJSONDict.from_url(url, "secret:")
    things = [asyncs, asyncs["a"], asyncs.pipeline(), asyncs._run, asyncs["a"].get]
    shown += "\n".join(f"{thing!r} {thing!s}" for thing in things)

    assert SECRET not in shown
    assert "redis." not in shown.replace("redisjson_dict.", "")


def test_pickles_and_copies_hold_content_only(url: str) -> None:
    with RedisJSONDict.from_url(url, "secret:") as d:
        d["a"] = {"l": [1]}
        with d.pipeline() as batch:
            pending = batch["a"].incr("n")
            refused: list[Any] = [batch, batch["a"], copy.copy(pending)]
        for thing in (d, d["a"], d["a", "l"]):
            data = pickle.dumps(thing)
            assert pickle.loads(data) == thing.to_python() == copy.deepcopy(thing)
            assert SECRET.encode() not in data
            assert HOST.encode() not in data
        asyncs = AsyncRedisJSONDict.from_url(url, "secret:")
        refused += [pending, d.at("a"), d.pipeline(), d._run]
        refused += [asyncs, asyncs["a"], asyncs.pipeline()]
        for thing in refused:
            for act in (pickle.dumps, copy.deepcopy):
                with pytest.raises(TypeError):
                    act(thing)
        d.clear()


CANARY = "Canary" * 2000
REFUSED: dict[str, Any] = {
    "bytes": CANARY.encode(),
    "a surrogate": CANARY + "\ud800",
    "a name with a surrogate": {CANARY + "\ud800": 1},
    "a name that is no text": {CANARY.encode(): 1},
    "a set": {"a": [{CANARY}]},
    "a number": {CANARY: 10**3000},
    "below a long name": {CANARY: object()},
    "many steps": {CANARY: {CANARY + "1": {CANARY + "2": float("nan")}}},
    "an exception": ValueError(CANARY),
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
def test_refused_value_is_shown_in_part_at_most(d: RedisJSONDict, value: Any) -> None:
    """Its type and its place, or at most 120 characters of it."""
    d["doc"] = {"l": []}
    for call in (
        lambda: d.__setitem__("new", value),
        lambda: d.update(new=value),
        lambda: d["doc"].__setitem__("x", value),
        lambda: d["doc", "l"].append(value),
        lambda: d["doc", "l"].extend([1, value]),
        lambda: d["doc"].merge({"x": value}),
        lambda: d["doc"].modify(lambda _: {"x": value}),
        lambda: d["doc"].setdefault("x", value),
    ):
        with pytest.raises((UnsupportedValueError, ValueRangeError)) as caught:
            call()
        assert len(str(caught.value)) < 1500
        assert "Canary" * 20 not in str(caught.value)


@pytest.mark.parametrize("lost", ["wrong kind", "too large", "foreign", "missing"])
def test_stored_content_is_not_in_errors(
    d: RedisJSONDict, client: redis.Redis, prefix: str, lost: str
) -> None:
    d["doc"] = {"t": CANARY, "n": 2**63 - 1, "l": [CANARY]}
    client.set(f"{prefix}foreign", CANARY)
    calls: dict[str, list[Callable[[], Any]]] = {
        "wrong kind": [
            lambda: d["doc"].incr("t"),
            lambda: d.at("doc", "t").append(CANARY),
            lambda: d["doc"].toggle("t"),
            lambda: d["doc"].concat("l", CANARY),
            lambda: d.at("doc", "l").merge({"a": CANARY}),
        ],
        "too large": [lambda: d["doc"].incr("n", 2**64 - 1)],
        "foreign": [
            lambda: d["foreign"],
            lambda: d.__setitem__("foreign", CANARY),
            lambda: d.update(foreign=CANARY),
        ],
        "missing": [lambda: d["doc"]["none"], lambda: d["doc", "l"].remove("none")],
    }
    for call in calls[lost]:
        assert "Canary" not in everything(failure(call))
