"""Every way in which a user may have made the client; it is left exactly as it was."""

from __future__ import annotations

import contextlib
import functools
import json
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
import redis
from keyspace import empty
from redis.backoff import NoBackoff
from redis.cache import CacheConfig
from redis.connection import parse_url
from redis.retry import Retry

from redisjson_dict import (
    JSONModuleMissingError,
    NotADocumentError,
    RedisJSONDict,
    StaleLocationError,
)
from redisjson_dict.server import Server, ServerError, binaries

_BINARIES = {binary.name: binary for binary in binaries()}
needs_binary = pytest.mark.skipif(not _BINARIES, reason="no server program on this machine")


def routine(d: RedisJSONDict, other: redis.Redis, prefix: str) -> None:
    """Read, write and fail in every way once; `other` is a plain client of the same server."""
    names = ["plain", "é", "一", "'", '"', "a\\b", "'\"", " lead", "", "\x00\n", "$.x[0]"]
    value: dict[str, Any] = {name: {"x": [1, 2.5, "é一\x00", None, True]} for name in names}
    d["doc"] = value | {"n": 1, "l": [3, 1, 2], "t": "ä", "f": False, "o": {}}
    _read(d["doc"], d, names)
    _write(d["doc"], d)
    _fail(d, other, prefix)
    d.clear()
    assert len(d) == 0


def _read(o: Any, d: RedisJSONDict, names: list[str]) -> None:
    for name in names:
        assert o[name, "x"].to_python() == [1, 2.5, "é一\x00", None, True]
        assert o[name]["x", -3] == "é一\x00"
        assert name in o
    assert [*iter(o)] == [*names, "n", "l", "t", "f", "o"]
    assert {k for k, _ in o.items()} == set(o.keys()) == set(o.to_python())
    assert o["l"][::-1] == [2, 1, 3]
    assert [*iter(o["l"])] == [3, 1, 2]
    assert [*reversed(o["l"])] == [2, 1, 3]
    assert (o["l"].index(1.0), o["l"].count(3), len(o["l"]), 2 in o["l"]) == (1, 1, 3, True)
    assert o.get_many(["n", "t"]) == {"n": 1, "t": "ä"}
    assert d.get_many(["doc", "none"]).keys() == {"doc"}
    assert o.query('$["é"].x[2]') == ["é一\x00"]
    assert d.at("doc", "t").kind() == "string"
    assert (list(d), len(d), "doc" in d, "none" in d) == (["doc"], 1, True, False)
    assert d.to_python() == {"doc": o.to_python()}
    assert (d.get("none"), o.get("none"), o.get(("l", 9), 5), "none" in o) == (None, None, 5, False)
    assert json.loads(json.dumps(o.to_python())) == o.to_python() == o


def _write(o: Any, d: RedisJSONDict) -> None:
    a = o["l"]
    a.append(0.1 + 0.2)
    a.append(0.23217612806301458)
    a.insert(0, "é")
    a.extend([{"k": []}, None])
    a[1:2] = ["x", "y"]
    assert a.pop() is None
    a.remove("y")
    del a[0]
    a[-1] = 5
    a.reverse()
    a.append(6, maxlen=4)
    assert a.to_python() == [0.23217612806301458, 0.1 + 0.2, 2, 6] or a[-1] == 6
    a.trim(0, 1)
    assert len(a) == 1
    assert (o.incr("n"), o.incr("new", 2.5), o.toggle("f")) == (2, 2.5, True)
    o.concat("t", "ö一")
    assert o["t"] == "äö一"
    assert o.setdefault("s", {"z": 1})["z"] == 1
    assert o.setdefault("s", 5)["z"] == 1
    o.update({"é": 1, "u": [1]}, v=None)
    o.merge({"u": None, "s": {"w": 1}})
    assert (o["s"].to_python(), "u" in o, o["v"]) == ({"z": 1, "w": 1}, False, None)
    for name in ("a\\b", " lead", "'\"", "一"):
        o[name] = 7
        assert (o.incr(name), o.pop(name), o.pop(name, None)) == (8, 8, None)
    assert o["s"].popitem() in [("w", 1), ("z", 1)]
    assert o.at("n").modify(lambda n: n * 10) == 20
    o["o"].replace({"r": [1]})
    o["o", "r", 0] = 2
    del o["o", "r"]
    assert o["o"].to_python() == {}
    d.update({"é": 1, "b": [1]})
    assert (d.incr("é", 2), d.setdefault("b", 0).to_python(), d.setdefault("c", 9)) == (3, [1], 9)
    d.rename("c", "é")
    assert d.pop("é") == 9
    d["b"] += [2]
    assert d["b"].to_python() == [1, 2]
    del d["b"]
    d["again"] = d["doc"]
    assert d.pop("again") == d["doc"]


def _fail(d: RedisJSONDict, other: redis.Redis, prefix: str) -> None:
    o, a = d["doc"], d["doc"]["l"]
    errors: list[tuple[type[Exception], Callable[[], Any]]] = [
        (KeyError, lambda: d["none"]),
        (KeyError, lambda: d.pop("none")),
        (KeyError, lambda: d.__delitem__("none")),
        (KeyError, lambda: d.rename("none", "x")),
        (KeyError, lambda: o["none"]),
        (KeyError, lambda: d["doc", "none", 0]),
        (KeyError, lambda: o.__delitem__("none")),
        (KeyError, lambda: d.at("none", "a").append(1)),
        (IndexError, lambda: a[9]),
        (IndexError, lambda: a.pop(-9)),
        (ValueError, lambda: a.remove("none")),
        (ValueError, lambda: a.index("none")),
        (ValueError, lambda: o.query("$[")),
        (TypeError, lambda: o.incr("t")),
        (TypeError, lambda: o.toggle("n")),
        (TypeError, lambda: d.at("doc", "n").append(1)),
    ]
    other.set(f"{prefix}foreign", "text")
    errors += [
        (NotADocumentError, lambda: d["foreign"]),
        (NotADocumentError, lambda: d.__setitem__("foreign", 1)),
        (NotADocumentError, lambda: d.__delitem__("foreign")),
        (NotADocumentError, lambda: d.update(foreign=1)),
        (NotADocumentError, lambda: d.at("foreign").append(1)),
    ]
    d["stale"] = {"l": [1]}
    stale, gone = d["stale", "l"], d["stale"]
    other.delete(f"{prefix}stale")
    errors += [
        (StaleLocationError, lambda: stale.append(1)),
        (StaleLocationError, lambda: stale.to_python()),
        (StaleLocationError, lambda: stale.sort()),
        (StaleLocationError, lambda: gone.__setitem__("a", 1)),
        (StaleLocationError, lambda: gone["l"]),
        (StaleLocationError, lambda: gone.update(a=1)),
    ]
    for kind, call in errors:
        with pytest.raises(kind):
            call()
    assert other.get(f"{prefix}foreign") in (b"text", "text")
    other.delete(f"{prefix}foreign")


def state(client: redis.Redis) -> tuple[Any, ...]:
    """Return everything of a client that is nobody's business but the user's."""
    pool = client.connection_pool
    return (
        dict(client.response_callbacks),
        {k: id(v) for k, v in vars(client).items()},
        set(vars(pool)),
        {k: repr(v) for k, v in pool.connection_kwargs.items()},
        pool.max_connections,
        type(pool),
    )


def borrowed(client: redis.Redis) -> int:
    """Return how many connections are out of the pool."""
    pool = client.connection_pool
    if isinstance(pool, redis.BlockingConnectionPool):
        idle = sum(1 for connection in pool.pool.queue if connection is not None)
        return len(pool._connections) - idle
    return len(pool._in_use_connections) - (client.connection is not None)


def try_client(user: redis.Redis, other: redis.Redis, prefix: str, times: int = 1) -> None:
    """Run the routine and compare the client before and after."""
    try:
        before = state(user)
        for _ in range(times):
            routine(RedisJSONDict(user, prefix), other, prefix)

        assert state(user) == before
        assert borrowed(user) == 0
        assert user.ping()
    finally:
        user.close()


def test_every_server_protocol_and_decoding(every_url: str, protocol: int, decode_responses: bool):
    """The `matrix` of conftest, with the client and the prefix in hand."""
    prefix = f"matrix-{uuid.uuid4().hex[:12]}:"
    options = {"protocol": protocol, "decode_responses": decode_responses}
    with redis.Redis.from_url(every_url) as other:
        try_client(redis.Redis.from_url(every_url, **options), other, prefix)


def test_matrix(matrix: RedisJSONDict):
    matrix["doc"] = {"l": [1]}
    matrix["doc"]["l"].append("é")
    with pytest.raises(KeyError):
        matrix["doc", "none"]

    assert matrix.to_python() == {"doc": {"l": [1, "é"]}}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="plain"),
        pytest.param({"single_connection_client": True}, id="single"),
        pytest.param({"encoding": "latin-1", "decode_responses": True}, id="latin-1"),
        pytest.param({"encoding": "latin-1"}, id="latin-1 bytes"),
        pytest.param({"encoding_errors": "ignore"}, id="encoding errors"),
        pytest.param({"health_check_interval": 1}, id="health check"),
        pytest.param({"socket_timeout": 20}, id="timeout"),
        pytest.param({"retry": Retry(NoBackoff(), 3)}, id="retry"),
        pytest.param({"retry_on_error": [redis.ResponseError]}, id="retry on error"),
        pytest.param({"max_connections": 1}, id="one connection"),
        pytest.param({"db": 1}, id="db 1"),
        pytest.param({"client_name": "name"}, id="name"),
        pytest.param({"socket_read_size": 7}, id="small reads"),
        pytest.param(
            {"single_connection_client": True, "decode_responses": True}, id="single decoded"
        ),
    ],
)
def test_client_options(url: str, prefix: str, protocol: int, options: dict[str, Any]):
    database = {"db": options["db"]} if "db" in options else {}
    with redis.Redis.from_url(url, **database) as other:
        user = redis.Redis.from_url(url, protocol=protocol, **options)
        try_client(user, other, prefix)


def test_default_constructor(url: str, client: redis.Redis, prefix: str):
    """redis-py's own defaults differ from those of from_url."""
    options = parse_url(url)
    if options.pop("connection_class", None) is not None:
        options["unix_socket_path"] = options.pop("path")
    try_client(redis.Redis(**options), client, prefix)


@pytest.mark.parametrize("protocol", [2, 3])
def test_parser_in_python(url: str, client: redis.Redis, prefix: str, protocol: int):
    from redis._parsers import _RESP2Parser, _RESP3Parser

    parser = _RESP2Parser if protocol == 2 else _RESP3Parser
    user = redis.Redis.from_url(url, protocol=protocol)
    user.connection_pool.connection_kwargs["parser_class"] = parser
    try_client(user, client, prefix)


def test_hiredis(url: str, client: redis.Redis, prefix: str, protocol: int):
    pytest.importorskip("hiredis")
    user = redis.Redis.from_url(url, protocol=protocol)
    parser = user.connection_pool.make_connection()._parser

    assert "Hiredis" in type(parser).__name__
    try_client(user, client, prefix)


@pytest.mark.parametrize("decode", [False, True])
def test_client_on_which_json_was_called(
    url: str, client: redis.Redis, prefix: str, protocol: int, decode: bool
):
    user = redis.Redis.from_url(url, protocol=protocol, decode_responses=decode)
    user.json()
    try_client(user, client, prefix)


def test_user_callbacks_are_kept_and_do_no_harm(url: str, client: redis.Redis, prefix: str):
    """Callbacks for commands whose replies redis-py leaves alone."""
    user = redis.Redis.from_url(url)
    calls: list[str] = []
    for name in ("JSON.ARRAPPEND", "JSON.DEL", "ECHO"):
        user.set_response_callback(name, lambda reply, name=name, **_: calls.append(name))
    d = RedisJSONDict(user, prefix)
    d["doc"] = {"l": []}
    d["doc"]["l"].append(1)
    del d["doc"]

    assert user.echo("x") is None
    assert calls == ["ECHO"]
    user.close()


def test_blocking_pool_with_one_connection(
    url: str, client: redis.Redis, prefix: str, protocol: int
):
    pool = redis.BlockingConnectionPool.from_url(
        url, max_connections=1, timeout=5, protocol=protocol
    )
    try_client(redis.Redis(connection_pool=pool), client, prefix)
    assert len(pool._connections) == 1
    pool.disconnect()


def test_blocking_pool_is_waited_for(url: str, prefix: str):
    """Eight threads share one connection; nobody waits for ever, nothing is mixed up."""
    pool = redis.BlockingConnectionPool.from_url(url, max_connections=1, timeout=30)
    d = RedisJSONDict(redis.Redis(connection_pool=pool), prefix)
    _hammer(d)
    d.clear()
    pool.disconnect()


@pytest.mark.parametrize("single", [False, True], ids=["pool", "single"])
def test_threads_share_a_client(url: str, prefix: str, protocol: int, single: bool):
    user = redis.Redis.from_url(url, protocol=protocol, single_connection_client=single)
    d = RedisJSONDict(user, prefix)
    _hammer(d)

    assert borrowed(user) == 0
    d.clear()
    user.close()


def _hammer(d: RedisJSONDict) -> None:
    d["shared"] = {"n": 0, "l": []}
    problems: list[BaseException] = []

    def work(number: int) -> None:
        try:
            name, shared = f"own{number}", d["shared"]
            d[name] = {"l": []}
            own = d[name]["l"]
            for step in range(25):
                own.append([number, step])
                assert own[-1].to_python() == [number, step]
                shared.incr("n")
                shared["l"].append(number)
                with pytest.raises(KeyError):
                    d[name, f"none{number}"]
            assert len(own) == 25
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert d["shared", "n"] == 200
    assert sorted(d["shared", "l"].to_python()) == sorted([*range(8)] * 25)


def test_pool_holds_no_more_connections_than_before(url: str, prefix: str):
    user = redis.Redis.from_url(url)
    user.ping()
    d = RedisJSONDict(user, prefix)
    d["doc"] = {"l": []}
    iterators = [iter(d), iter(d["doc"].items()), iter(d["doc"]["l"]), iter(d.items())]
    for iterator in iterators:
        next(iterator, None)
    d["doc"]["l"].append(1)

    assert len(user.connection_pool._available_connections) == 1
    assert borrowed(user) == 0
    del iterators
    d.clear()
    user.close()


def test_close_leaves_the_user_client_open(url: str, prefix: str):
    user = redis.Redis.from_url(url)
    with RedisJSONDict(user, prefix) as d:
        d["a"] = 1
    connection = user.connection_pool._available_connections[0]

    assert connection._sock is not None
    assert user.ping()
    del d["a"]
    user.close()


def test_from_url_closes_what_it_opened(url: str, client: redis.Redis, prefix: str):
    name = f"mine-{uuid.uuid4().hex}"

    def there() -> bool:
        return name in [connection["name"] for connection in client.client_list()]

    with RedisJSONDict.from_url(url, prefix, client_name=name) as d:
        d["a"] = 1
        assert d.pop("a") == 1
        assert there()

    _until(lambda: not there())


@pytest.fixture(scope="module", params=list(_BINARIES))
def tcp_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server on a TCP port: redis-py caches on no other."""
    with Server(binary=_BINARIES[request.param], port=0) as server:
        yield server.url


@pytest.fixture
def caching(tcp_url: str) -> Iterator[redis.Redis]:
    """A client that caches, where the server and redis-py support it."""
    if int(redis.__version__.split(".")[0]) < 7:
        pytest.skip("redis-py before 7 ignores the arguments in its cache's keys")
    user = redis.Redis.from_url(tcp_url, protocol=3, cache_config=CacheConfig())
    try:
        user.ping()
    except redis.ConnectionError as error:
        user.close()
        if "7.4 or later" not in str(error):
            raise
        pytest.skip(str(error))
    yield user
    user.close()


def test_client_side_cache(caching: redis.Redis, tcp_url: str):
    with redis.Redis.from_url(tcp_url) as other:
        before = state(caching)
        d = RedisJSONDict(caching, "cache:")
        for _ in range(3):
            routine(d, other, "cache:")

        assert state(caching) == before
        assert borrowed(caching) == 0


def test_client_side_cache_sees_what_others_write(caching: redis.Redis, tcp_url: str):
    """One document; a client of one thread."""
    with redis.Redis.from_url(tcp_url) as other:
        d, theirs = RedisJSONDict(caching, "c:"), RedisJSONDict(other, "c:")
        d["doc"] = {"n": 0, "o": {"m": 0}}
        o = d["doc"]
        for number in range(20):
            assert o.to_python() == {"n": number, "o": {"m": number}}
            theirs["doc"].incr("n")
            theirs["doc", "o", "m"] = number + 1
            _until(lambda number=number: o["o"].to_python() == {"m": number + 1})
            _until(lambda number=number: o.to_python()["n"] == number + 1)
        o["n"] = "mine"
        assert o.to_python()["n"] == "mine"
        d.clear()


def _until(true: Callable[[], bool]) -> None:
    """Wait for an invalidation message that is on its way."""
    for _ in range(500):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("still not so after five seconds")


def no_leak(user: redis.Redis) -> None:
    assert borrowed(user) == 0


@pytest.fixture
def acl(every_url: str) -> Iterator[Callable[..., RedisJSONDict]]:
    """Makes dicts whose user has only some rights."""
    name, prefix = f"u{uuid.uuid4().hex[:8]}", f"acl-{uuid.uuid4().hex[:8]}:"
    with redis.Redis.from_url(every_url) as admin, contextlib.ExitStack() as stack:
        RedisJSONDict(admin, prefix)["doc"] = {"l": [1, 2], "n": 1, "f": True, "t": "x"}

        def allow(*rules: str, **options: Any) -> RedisJSONDict:
            keys = () if any(rule.startswith("~") for rule in rules) else ("~*",)
            admin.execute_command("ACL", "SETUSER", name, "reset", "on", ">pw", *keys, *rules)
            user = redis.Redis.from_url(every_url, username=name, password="pw", **options)
            stack.callback(user.close)
            stack.callback(lambda: no_leak(user))
            return RedisJSONDict(user, prefix)

        yield allow
        admin.execute_command("ACL", "DELUSER", name)
        for key in admin.scan_iter(match=f"{prefix}*", count=10_000):
            admin.delete(key)


def test_all_rights_by_name_and_password(acl: Any, protocol: int):
    d = acl("+@all", protocol=protocol)
    d["doc", "l"].append(3)
    with pytest.raises(KeyError):
        d["none"]

    assert d["doc", "l"].to_python() == [1, 2, 3]


def test_wrong_password(every_url: str):
    with redis.Redis.from_url(every_url, username="nobody", password="x") as user:
        d = RedisJSONDict(user)
        for call in (lambda: d["a"], lambda: d.at("a").append(1), lambda: d.update(a=1)):
            with pytest.raises(redis.AuthenticationError):
                call()
        assert borrowed(user) == 0


@pytest.mark.parametrize(
    ("rules", "call"),
    [
        (("+@all", "-json.arrappend"), lambda d: d.at("doc", "l").append(1)),
        (("+@all", "-json.set"), lambda d: d.__setitem__(("doc", "n"), 1)),
        (("+@all", "-json.get"), lambda d: d.at("doc").to_python()),
        (("+@all", "-json.del"), lambda d: d.__delitem__("doc")),
        (("+@all", "-json.type"), lambda d: d["doc"]),
        (("+@all", "-json.type"), lambda d: d["doc", "n"]),
        (("+@all", "-scan"), lambda d: list(d)),
        (("+@all", "-@scripting"), lambda d: d["doc"]),
        (("+@all", "-@scripting"), lambda d: d.__setitem__("doc", 1)),
        (("+@all", "-@scripting"), lambda d: d.at("doc", "l").insert(1, 1)),
        (("+@all", "-@scripting"), lambda d: d.incr(("doc", "n"))),
        (("-@all", "+ping"), lambda d: d["doc"]),
        (("-@all", "+ping"), lambda d: d.at("doc", "l").append(1)),
        (("+@all", "~elsewhere:*"), lambda d: d["doc"]),
        (("+@all", "~elsewhere:*"), lambda d: d.at("doc", "l").append(1)),
        (("+@all", "~elsewhere:*"), lambda d: d.__setitem__("doc", 1)),
        (("+@all", "~elsewhere:*"), lambda d: d.update(doc=1)),
        (("+@all", "~elsewhere:*"), lambda d: d.pop("doc")),
    ],
)
def test_refused_by_acl(acl: Any, rules: tuple[str, ...], call: Callable[[Any], Any]):
    d = acl(*rules)
    with pytest.raises(redis.exceptions.NoPermissionError):
        call(d)

    assert acl("+@all")["doc"].to_python() == {"l": [1, 2], "n": 1, "f": True, "t": "x"}


@pytest.mark.parametrize(
    ("command", "call"),
    [
        ("json.set", lambda d: d.__setitem__("new", 1)),
        ("json.set", lambda d: d["doc"].setdefault("new", 1)),
        ("json.set", lambda d: d["doc"].update(n=2)),
        ("json.get", lambda d: d["doc", "n"]),
        ("json.get", lambda d: d["doc"].pop("n")),
        ("json.mget -json.get", lambda d: d.to_python()),
        ("json.get", lambda d: d["doc"].get_many(["n"])),
        ("json.arrlen", lambda d: d["doc", "l"].insert(1, 1)),
        ("json.numincrby", lambda d: d["doc"].incr("n")),
        ("json.toggle", lambda d: d["doc"].toggle("f")),
        ("json.strappend", lambda d: d["doc"].concat("t", "y")),
        ("json.objkeys", lambda d: list(d["doc"])),
        ("json.merge", lambda d: d["doc"].merge({"n": None})),
        ("json.merge", lambda d: d["doc"].__delitem__("n")),
        ("json.arrpop", lambda d: d["doc", "l"].pop()),
        ("json.arrtrim", lambda d: d["doc", "l"].trim(0, 1)),
        ("json.clear", lambda d: d["doc"].clear()),
        ("json.arrindex", lambda d: d["doc", "l"].index(1)),
        ("json.del", lambda d: d.pop("doc")),
        ("rename", lambda d: d.rename("doc", "x")),
        ("type", lambda d: d.setdefault("doc", 1)),
    ],
)
def test_refused_by_acl_inside_a_script(acl: Any, command: str, call: Callable[[Any], Any]):
    """The server's words, the operation, and the key are there; nothing was changed."""
    d = acl("+@all", *f"-{command}".split())
    with pytest.raises(redis.ResponseError) as caught:
        call(d)

    said = " ".join([str(caught.value), *caught.value.__notes__])
    assert command.split("-")[-1] in said.lower() or "can't run this command" in said
    assert "acl-" in said
    assert acl("+@all")["doc"].to_python() == {"l": [1, 2], "n": 1, "f": True, "t": "x"}
    assert "new" not in acl("+@all")


def test_many_documents_are_read_without_the_right_to_mget(acl: Any):
    d = acl("+@all", "-json.mget")
    everything = acl("+@all").to_python()

    assert d.to_python() == everything
    assert d == everything


@pytest.mark.parametrize(
    ("command", "call"),
    [
        ("json.mset", lambda d: d.update(doc=1, new=2)),
        ("persist", lambda d: d.__setitem__("doc", 1)),
        ("persist", lambda d: d.update(doc=1, new=2)),
        ("json.set", lambda d: d.setdefault("new", 1)),
        ("persist", lambda d: d.setdefault("new", 1)),
        ("json.arrtrim", lambda d: d["doc", "l"].append(3, maxlen=2)),
        ("json.arrpop", lambda d: d["doc", "l"].__setitem__(slice(0, 1), [7, 8])),
        ("json.arrinsert", lambda d: d["doc", "l"].__setitem__(slice(0, 1), [7, 8])),
    ],
)
def test_refused_by_acl_before_the_first_write(acl: Any, command: str, call: Callable[[Any], Any]):
    """A script of several writes does none of them when one is not allowed."""
    d = acl("+@all", f"-{command}")
    with pytest.raises(redis.exceptions.NoPermissionError, match=f"(?i)'{command}'"):
        call(d)

    assert acl("+@all").to_python() == {"doc": {"l": [1, 2], "n": 1, "f": True, "t": "x"}}


class Plain:
    """A server program of this machine, without the JSON module."""

    def __init__(self, binary: Any, place: Path, *options: str) -> None:
        self.url = f"unix://{place}/s"
        arguments = ["--port", "0", "--unixsocket", f"{place}/s", "--save", "", "--dir", place]
        self.process = subprocess.Popen(
            [binary.program, *arguments, *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with redis.Redis.from_url(self.url) as client:
            _until(lambda: self._answers(client))

    @staticmethod
    def _answers(client: redis.Redis) -> bool:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


@pytest.fixture(scope="module", params=list(_BINARIES))
def plain_url(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[str]:
    server = Plain(_BINARIES[request.param], tmp_path_factory.mktemp("p"))
    yield server.url
    server.close()


WITHOUT_JSON: dict[str, Callable[[Any], Any]] = {
    "get": lambda d: d["a"],
    "get by path": lambda d: d["a", "b"],
    ".get": lambda d: d.get("a"),
    "in by path": lambda d: ("a", "b") in d,
    "set": lambda d: d.__setitem__("a", 1),
    "set by path": lambda d: d.__setitem__(("a", "b"), 1),
    "del": lambda d: d.__delitem__("a"),
    "del by path": lambda d: d.__delitem__(("a", "b")),
    "pop": lambda d: d.pop("a"),
    "pop default": lambda d: d.pop("a", None),
    "setdefault": lambda d: d.setdefault("a", 1),
    "update": lambda d: d.update(a=1, b=2),
    "get_many by path": lambda d: d.get_many([("a", "b")]),
    "incr": lambda d: d.incr("a"),
    "toggle": lambda d: d.toggle("a"),
    "concat": lambda d: d.concat("a", "b"),
    "reference get": lambda d: d.at("a").get(),
    "reference set": lambda d: d.at("a").set(1),
    "append": lambda d: d.at("a").append(1),
    "append maxlen": lambda d: d.at("a").append(1, 5),
    "extend": lambda d: d.at("a").extend([1]),
    "to_python": lambda d: d.at("a").to_python(),
    "query": lambda d: d.at("a").query("$.a"),
    "sort": lambda d: d.at("a").sort(),
    "modify": lambda d: d.at("a").modify(lambda value: value),
    "merge": lambda d: d.at("a").merge({}),
    "length": lambda d: d.at("a").length(),
    "keys": lambda d: d.at("a").keys(),
    "popitem": lambda d: d.at("a").popitem(),
    "unwritable": lambda d: d.at("a").__setitem__("a\\b", 1),
}


@needs_binary
def test_server_without_json(plain_url: str, protocol: int, decode_responses: bool):
    options = {"protocol": protocol, "decode_responses": decode_responses}
    with redis.Redis.from_url(plain_url, **options) as user:
        d = RedisJSONDict(user, "p:")
        for call in WITHOUT_JSON.values():
            with pytest.raises(JSONModuleMissingError, match=r"Redis 8.*redisjson_dict\.server"):
                call(d)

        assert borrowed(user) == 0
        assert user.dbsize() == 0


@pytest.fixture(scope="module", params=list(_BINARIES))
def replica(request: pytest.FixtureRequest) -> Iterator[tuple[RedisJSONDict, redis.Redis]]:
    """A read-only replica that holds one document."""
    binary = _BINARIES[request.param]
    soon = {"repl_diskless_sync_delay": "0"}
    with Server(binary=binary, port=0, **soon) as primary, Server(binary=binary, port=0) as server:
        RedisJSONDict(primary.client())["doc"] = CONTENT
        client = server.client()
        client.execute_command("REPLICAOF", "127.0.0.1", urlsplit(primary.url).port)
        _until(lambda: client.exists("doc") == 1)
        yield RedisJSONDict(client), client


CONTENT: dict[str, Any] = {
    "l": [*range(3000)],
    "n": 1,
    "t": "x",
    "f": True,
    "o": {"a": 1, "b": 2},
    "one": {"x": 1},
}

GROWING: dict[str, Callable[[Any], Any]] = {
    "assign": lambda d: d.__setitem__("new", 1),
    "update documents": lambda d: d.update(new=1),
    "setdefault document": lambda d: d.setdefault("new", 1),
    "incr document": lambda d: d.incr("new"),
    "set": lambda d: d.__setitem__(("doc", "new"), 1),
    "set element": lambda d: d.__setitem__(("doc", "l", -1), 1),
    "append": lambda d: d.at("doc", "l").append(1),
    "append maxlen": lambda d: d.at("doc", "l").append(1, 10**6),
    "extend": lambda d: d.at("doc", "l").extend([1]),
    "insert": lambda d: d.at("doc", "l").insert(0, 1),
    "slice": lambda d: d["doc", "l"].__setitem__(slice(0, 1), [1, 2]),
    "extended slice": lambda d: d["doc", "l"].__setitem__(slice(0, 3, 2), ["new", "new"]),
    "*=": lambda d: d["doc", "l"].__imul__(2),
    "modify": lambda d: d.at("doc", "n").modify(lambda n: n + 9),
    "incr": lambda d: d.incr(("doc", "n")),
    "toggle": lambda d: d.toggle(("doc", "f")),
    "concat": lambda d: d.concat(("doc", "t"), "y"),
    "update": lambda d: d["doc"].update(n=2),
    "setdefault": lambda d: d["doc"].setdefault("new", 1),
    "merge": lambda d: d["doc"].merge({"n": 2}),
    "replace": lambda d: d["doc"].replace({}),
    "unwritable": lambda d: d["doc"].__setitem__("a\\b", 1),
}

SHRINKING: dict[str, Callable[[Any], Any]] = {
    "del member": lambda d: d.__delitem__(("doc", "n")),
    "del nested member": lambda d: d.__delitem__(("doc", "o", "a")),
    "del last member": lambda d: d.__delitem__(("doc", "one", "x")),
    "pop member": lambda d: d["doc"].pop("t"),
    "popitem": lambda d: d["doc"].popitem(),
    "clear": lambda d: d["doc"].clear(),
    "clear array": lambda d: d["doc", "l"].clear(),
    "del element": lambda d: d.__delitem__(("doc", "l", 5)),
    "pop": lambda d: d["doc", "l"].pop(),
    "pop first": lambda d: d["doc", "l"].pop(0),
    "remove": lambda d: d["doc", "l"].remove(7),
    "del head": lambda d: d["doc", "l"].__delitem__(slice(None, 2000)),
    "del tail": lambda d: d["doc", "l"].__delitem__(slice(2000, None)),
    "del middle": lambda d: d["doc", "l"].__delitem__(slice(500, 1500)),
    "trim": lambda d: d["doc", "l"].trim(5, 10),
    "sort": lambda d: d["doc", "l"].sort(reverse=True),
    "reverse": lambda d: d["doc", "l"].reverse(),
    "modify": lambda d: d.at("doc", "n").modify(lambda n: n + 1),
    "del extended slice": lambda d: d["doc", "l"].__delitem__(slice(None, None, 2)),
    "del": lambda d: d.__delitem__("doc"),
    "pop document": lambda d: d.pop("doc"),
    "popitem of the dict": lambda d: d.popitem(),
    "clear the dict": lambda d: d.clear(),
    "rename": lambda d: d.rename("doc", "moved"),
}


@needs_binary
def test_replica_is_read_only(replica: tuple[RedisJSONDict, redis.Redis]):
    d, client = replica
    for call in [*GROWING.values(), *SHRINKING.values()]:
        with pytest.raises(redis.exceptions.ReadOnlyError):
            call(d)
        assert borrowed(client) == 0

    assert d.to_python() == {"doc": CONTENT}


@needs_binary
def test_replica_can_be_read(replica: tuple[RedisJSONDict, redis.Redis]):
    d, _ = replica
    assert d["doc"] == CONTENT
    assert (d["doc", "n"], d["doc", "l"].index(5), d["doc", "l"][-1]) == (1, 5, 2999)
    assert [*iter(d["doc", "o"].items())] == [("a", 1), ("b", 2)]
    assert d["doc"].query("$.o.*") == [1, 2]


@pytest.fixture(scope="module", params=list(_BINARIES))
def full(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    with Server(binary=_BINARIES[request.param]) as server:
        yield server.client()


@pytest.fixture
def crowded(full: redis.Redis) -> Iterator[RedisJSONDict]:
    """A dict on a server that has no memory left."""
    empty(full)
    d = RedisJSONDict(full)
    d["doc"] = CONTENT
    full.config_set("maxmemory", "1mb")
    yield d
    full.config_set("maxmemory", "0")


@needs_binary
def test_growth_without_memory(crowded: RedisJSONDict):
    for call in GROWING.values():
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            call(crowded)

    assert crowded.to_python() == {"doc": CONTENT}


@needs_binary
def test_shrinking_without_memory(crowded: RedisJSONDict, full: redis.Redis):
    for call in SHRINKING.values():
        full.config_set("maxmemory", "0")
        crowded.clear()
        crowded["doc"] = CONTENT
        full.config_set("maxmemory", "1mb")
        call(crowded)
        assert crowded.to_python() != {"doc": CONTENT}


@needs_binary
def test_reading_without_memory(crowded: RedisJSONDict):
    assert crowded["doc"] == CONTENT
    assert crowded["doc", "l"].index(5) == 5


@needs_binary
def test_password_in_the_url():
    with Server(port=0) as server:
        server.client().config_set("requirepass", "secret")
        parts = urlsplit(server.url)
        url = urlunsplit(("redis", f":secret@{parts.netloc}", "/0", "", ""))
        with redis.Redis.from_url(url) as user, RedisJSONDict.from_url(url) as d:
            d["a"] = [1]
            RedisJSONDict(user)["a"].append(2)
            assert d["a"].to_python() == [1, 2]
            user.config_set("requirepass", "")


@needs_binary
def test_server_error_is_no_client_error():
    with pytest.raises(ServerError):
        Server(binary=next(iter(_BINARIES.values())), no_such_option="1")


def test_what_is_no_client():
    for wrong in (None, "redis://localhost", object()):
        with pytest.raises(TypeError, match="from_url"):
            RedisJSONDict(wrong)


def test_execute_command_of_a_subclass_is_used(url: str, prefix: str):
    """Who traces commands in a class of their own sees what may be sent again."""
    seen = []

    class Traced(redis.Redis):
        def execute_command(self, *args: Any, **options: Any) -> Any:
            seen.append(args[0])
            return super().execute_command(*args, **options)

    with Traced.from_url(url) as user:
        d = RedisJSONDict(user, prefix)
        d["a"] = [1]
        d["a"].append(2)
        assert d["a"].to_python() == [1, 2]

    assert seen[-1] == "JSON.GET"
    assert "JSON.ARRAPPEND" not in seen  # sent at most once, which execute_command does not promise


def test_execute_command_that_was_wrapped_is_used(
    url: str, prefix: str, monkeypatch: pytest.MonkeyPatch
):
    seen = []
    own = redis.Redis.execute_command

    @functools.wraps(own)
    def wrapped(self: redis.Redis, *args: Any, **options: Any) -> Any:
        seen.append(args[0])
        return own(self, *args, **options)

    monkeypatch.setattr(redis.Redis, "execute_command", wrapped)
    with redis.Redis.from_url(url) as user:
        d = RedisJSONDict(user, prefix)
        d["a"] = 1
        assert d["a"] == 1

    assert "EVALSHA" in seen


def test_execute_command_put_on_a_client_is_used(url: str, prefix: str):
    seen = []
    with redis.Redis.from_url(url) as user:
        own = user.execute_command

        def traced(*args: Any, **options: Any) -> Any:
            seen.append(args[0])
            return own(*args, **options)

        user.execute_command = traced
        d = RedisJSONDict(user, prefix)
        d["a"] = 1
        assert d["a"] == 1

    assert "EVALSHA" in seen


def test_large_text_among_many_small_ones(url: str, prefix: str):
    """Packed in linear time: the test would take minutes."""
    with redis.Redis.from_url(url, socket_timeout=60) as user:
        d = RedisJSONDict(user, prefix)
        items = {f"k{n}": n for n in range(60_000)} | {"big": "x" * 100_000}
        d.update(items)
        assert d.to_python() == items
        d.clear()
