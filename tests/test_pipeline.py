"""Batches: one transaction, one round trip, nothing sent when the block fails."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from redis.backoff import NoBackoff
from redis.cache import CacheConfig
from redis.connection import parse_url
from redis.retry import Retry
from relay import Relay

from redisjson_dict import (
    JSONArray,
    JSONModuleMissingError,
    JSONObject,
    NotADocumentError,
    PipelineError,
    RedisJSONDict,
    StaleLocationError,
    UnsupportedValueError,
    ValueRangeError,
)
from redisjson_dict.server import binaries

UNSPELLABLE = 0.23217612806301458  # a float that takes a script on this server
LOST = (redis.ConnectionError, redis.TimeoutError)
HOSTILE = ["", " ", " lead", "a b", "'", '"', "\\", "'\"", "\x00", "\n", "a.b[0]", "$", "$..*"]
HOSTILE += ["*", "é", "一", "\U0001f600", "Ā", "-1", "0", "EXEC", "DISCARD", "a\r\nb"]

_BINARIES = {binary.name: binary for binary in binaries()}


def fib() -> Iterator[int]:
    a, b = 0, 1
    while True:
        yield a
        a, b = b, a + b


class Holding:
    """A relay that lets nothing through to the server before a marker has arrived.

    A client that waits for a reply before it has sent the marker waits in vain.
    """

    def __init__(self, url: str, marker: bytes) -> None:
        self._parts = urlsplit(url)
        self._marker = marker
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _server(self) -> socket.socket:
        if self._parts.scheme == "unix":
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._parts.path)
            return server
        return socket.create_connection((self._parts.hostname, self._parts.port or 6379))

    def _serve(self) -> None:
        with self._listener, self._listener.accept()[0] as client, self._server() as server:
            back = threading.Thread(target=self._copy, args=(server, client), daemon=True)
            back.start()
            held = b""
            while data := client.recv(1 << 20):
                held += data
                if b"\r\nMULTI\r\n" not in held or self._marker in held:
                    server.sendall(held)
                    held = b""
            server.shutdown(socket.SHUT_RDWR)
            back.join()

    def _copy(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 20):
                client.sendall(data)

    def close(self) -> None:
        self._thread.join()


@pytest.fixture
def sent(client: redis.Redis, prefix: str) -> Callable[[Callable[[], Any]], list[str]]:
    """Returns the names of the commands that a client, no script, sent in a call."""

    def listen(call: Callable[[], Any]) -> list[str]:
        end = uuid.uuid4().hex
        names = []
        with client.monitor() as monitor:
            with contextlib.suppress(ZeroDivisionError, PipelineError):
                call()
            client.echo(end)
            for command in monitor.listen():
                if end in command["command"]:
                    break
                name = command["command"].split()[0]
                if command["client_type"] != "lua" and name not in ("CLIENT", "HELLO"):
                    names.append(name)
        return names

    return listen


@pytest.fixture
def connect(relay: Relay) -> Iterator[Callable[..., redis.Redis]]:
    made: list[redis.Redis] = []

    def connect(**options: Any) -> redis.Redis:
        made.append(redis.Redis(**parse_url(relay.url) | options))
        return made[-1]

    yield connect
    for client in made:
        client.close()


@pytest.fixture
def full(d: RedisJSONDict) -> RedisJSONDict:
    d["doc"] = {
        "n": 1,
        "f": True,
        "t": "x",
        "l": [3, 1, 2],
        "o": {"a": 1, "b": {"c": [0]}},
        "a\\b": {"x": [1]},
    }
    d["other"] = 7
    return d


def put(place: Any, key: Any, value: Any) -> None:
    place[key] = value


def drop(place: Any, key: Any) -> None:
    del place[key]


def repeat(place: Any, times: int) -> None:
    place *= times


def test_block_is_one_transaction(d: RedisJSONDict, sent: Any) -> None:
    def call() -> None:
        with d.pipeline() as batch:
            d["x"] = 1
            batch["y"] = {"l": []}
            batch["y"]["l"].append(2)
            d.update(z=3)

    names = sent(call)

    assert names[0] == "MULTI"
    assert names[-1] == "EXEC"
    assert len(names) == 5  # x and y are assigned by one
    assert d.to_python() == {"x": 1, "y": {"l": [2]}, "z": 3}


def test_ten_items_in_one_round_trip(url: str, prefix: str) -> None:
    holding = Holding(url, b"\r\nEXEC\r\n")
    with redis.Redis.from_url(holding.url, socket_timeout=20, max_connections=1) as user:
        d = RedisJSONDict(user, prefix)
        numbers = fib()
        with d.pipeline():
            for number in range(10):
                d[f"fib {number}"] = next(numbers)

        assert d.to_python() == {
            f"fib {n}": v for n, v in zip(range(10), [0, 1, 1, 2, 3, 5, 8, 13, 21, 34], strict=True)
        }
    holding.close()


def test_commands_counted_at_the_server(client: Any, d: RedisJSONDict) -> None:
    d["warm"] = 1
    before = client.info("stats")["total_commands_processed"]
    with d.pipeline():
        for number in range(10):
            d[f"fib {number}"] = number
    after = client.info("stats")["total_commands_processed"]
    calls = client.info("commandstats")

    assert after - before <= 1 + 12 + 10 * 4  # INFO, the batch, what the scripts call
    assert calls["cmdstat_exec"]["calls"] >= 1
    assert len(d) == 11


def test_requests_counted_at_the_relay(relay: Relay, connect: Any, d: RedisJSONDict) -> None:
    user = connect()
    through = RedisJSONDict(user, d._space._prefix.decode())
    assert through.get("none") is None
    before = relay.traffic
    with through.pipeline():
        for number in range(10):
            through[f"fib {number}"] = number
        assert relay.traffic == before

    assert (relay.traffic - before).requests == 3
    assert len(d) == 10


def test_script_travels_once_in_a_batch(relay: Relay, connect: Any, prefix: str) -> None:
    through = RedisJSONDict(connect(), prefix)
    through["warm"] = 1
    ups = []
    for size in (1, 11):
        before = relay.traffic
        with through.pipeline():
            for number in range(size):
                through[f"{number}"] = 1
        ups.append((relay.traffic - before).up)

    assert (ups[1] - ups[0]) / 10 < 200


def test_nothing_is_sent_when_the_block_raises(d: RedisJSONDict, sent: Any) -> None:
    def call() -> None:
        with d.pipeline() as batch:
            d["x"] = 1
            batch["y"]["z"].append(1)
            raise ZeroDivisionError

    assert sent(call) == []
    assert len(d) == 0


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_any_exception_passes_and_drops(d: RedisJSONDict, error: type[BaseException]) -> None:
    raised = error("x")
    with pytest.raises(error) as caught, d.pipeline():
        d["x"] = 1
        raise raised
    d["y"] = 2

    assert caught.value is raised
    assert d.to_python() == {"y": 2}


def test_generator_that_fails_in_the_middle_leaves_nothing(d: RedisJSONDict) -> None:
    def failing() -> Iterator[int]:
        for number, value in enumerate(fib()):
            if number == 5:
                raise ArithmeticError("enough")
            yield value

    with pytest.raises(ArithmeticError), d.pipeline():
        for number, value in enumerate(failing()):
            d[f"fib {number}"] = value

    assert len(d) == 0


def test_empty_block_sends_nothing(d: RedisJSONDict, sent: Any) -> None:
    def call() -> None:
        with d.pipeline() as batch:
            assert len(batch) == 0

    assert sent(call) == []


def test_order_is_kept(d: RedisJSONDict) -> None:
    with d.pipeline() as batch:
        d["x"] = 1
        d["x"] = [1]
        batch["x"].append(2)
        batch.at("x").extend([3, 4])
        d["x", 0] = 0
        del batch["x", 1]
        d.rename("x", "y")
        d["x"] = "again"

    assert d.to_python() == {"x": "again", "y": [0, 3, 4]}


def test_others_see_all_or_nothing(url: str, d: RedisJSONDict, prefix: str) -> None:
    done = threading.Event()
    torn = []

    def poll() -> None:
        with redis.Redis.from_url(url) as other:
            while not done.is_set():
                a, b = other.execute_command("JSON.MGET", f"{prefix}a", f"{prefix}b", "$")
                if a != b:
                    torn.append((a, b))

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        for number in range(200):
            with d.pipeline():
                d["a"] = number
                d["b"] = number
    finally:
        done.set()
        thread.join()

    assert torn == []


def test_batch_walks_lazily(full: RedisJSONDict, sent: Any) -> None:
    def call() -> None:
        with full.pipeline() as batch:
            batch["doc"]["o"]["b"]["c"].append(1)
            batch["doc", "o", "b", "c"].append(2)
            batch.at("doc", "o").at("b")["c"][-1].incr()
            batch["doc"]["o"].at("b", "d").set(5)
            batch["doc"]["l"][-1] = UNSPELLABLE
            del batch["doc"]["l"][0]
            batch["nowhere"]["at"]["all"]  # walking is nothing

    names = sent(call)

    assert names[0] == "MULTI"
    assert names[-1] == "EXEC"
    assert len(names) == 8
    assert full["doc", "o", "b"] == {"c": [0, 1, 3], "d": 5}
    assert full["doc", "l"] == [1, UNSPELLABLE]


def test_pending_before_and_after(full: RedisJSONDict) -> None:
    with full.pipeline() as batch:
        pending = {
            "incr": batch["doc"].incr("n"),
            "again": batch["doc"]["n"].incr(amount=10),
            "toggle": batch["doc"].toggle("f"),
            "concat": batch["doc"].concat("t", "y"),
            "pop": batch["doc"]["l"].pop(),
            "pop member": batch["doc"]["o"].pop("a"),
            "pop default": batch["doc"].pop("missing", 5),
            "setdefault": batch["doc"].setdefault("t", 1),
            "setdefault new": batch["doc"].setdefault("new", [1]),
            "popitem": batch["doc"]["o"].popitem(),
            "get": batch["doc"]["n"].get(),
            "length": batch["doc"]["l"].length(),
            "index": batch["doc"]["l"].index(1),
            "keys": batch["doc"]["o"].keys(),
            "to_python": batch["doc"]["l"].to_python(),
            "query": batch["doc"].query("$.n"),
            "kind": batch["doc"]["l"].kind(),
            "slice": batch["doc"]["l"].get_slice(slice(None, None, -1)),
            "append": batch["doc"]["l"].append(9),
            "top": batch.get("other"),
            "top default": batch.get("missing", 3),
            "top incr": batch.incr("other"),
            "top pop": batch.pop("other"),
            "top setdefault": batch.setdefault("fresh", {"a": 1}),
            "container": batch["doc"].get(),
            "nested exists": batch["doc"]["n"].exists(),
            "nested contains": batch["doc"].contains("missing"),
            "ttl": batch.ttl("doc"),
            "persist": batch.persist("doc"),
            "get_many": batch["doc"].get_many(["n", "l", "missing"]),
            "set": batch.set("q", 1),
        }
        for promise in pending.values():
            with pytest.raises(PipelineError):
                promise.result()
            assert "not sent" in repr(promise)
    results = {name: promise.result() for name, promise in pending.items()}

    assert type(results["container"]) is JSONObject
    assert type(results["setdefault new"]) is JSONArray
    assert type(results["top setdefault"]) is JSONObject
    assert type(results["get_many"]) is dict
    assert type(results["get_many"]["l"]) is JSONArray
    assert results == {
        "incr": 2,
        "again": 12,
        "toggle": False,
        "concat": None,
        "pop": 2,
        "pop member": 1,
        "pop default": 5,
        "setdefault": "xy",
        "setdefault new": [1],
        "popitem": ("b", {"c": [0]}),
        "get": 12,
        "length": 2,
        "index": 1,
        "keys": [],
        "to_python": [3, 1],
        "query": [12],
        "kind": "array",
        "slice": [1, 3],
        "append": None,
        "top": 7,
        "top default": 3,
        "top incr": 8,
        "top pop": 8,
        "top setdefault": {"a": 1},
        "container": full["doc"],
        "nested exists": True,
        "nested contains": False,
        "ttl": None,
        "persist": False,
        "get_many": {"n": 12, "l": [3, 1, 9]},
        "set": None,
    }
    assert [promise.result() for promise in pending.values()] == list(results.values())


def test_pending_of_a_block_that_raised(d: RedisJSONDict) -> None:
    with pytest.raises(ZeroDivisionError), d.pipeline() as batch:
        pending = batch.incr("n")
        raise ZeroDivisionError

    with pytest.raises(PipelineError):
        pending.result()
    assert "n" not in d


def test_pending_of_an_operation_that_failed(full: RedisJSONDict) -> None:
    with pytest.raises(PipelineError), full.pipeline() as batch:
        good = batch["doc"].incr("n")
        bad = {
            TypeError: batch["doc"]["t"].incr(),
            KeyError: batch["missing"].append(1),
            ValueError: batch["doc"]["l"].remove(99),
            NotADocumentError: batch["foreign"].pop("x"),
        }
        full._run.client.set(full._space.document("foreign").key, "text")
        last = batch["doc"]["l"].pop(0)

    assert good.result() == 2
    assert last.result() == 3
    for kind, pending in bad.items():
        for _ in range(2):
            with pytest.raises(kind):
                pending.result()
    with pytest.raises(KeyError) as caught:
        bad[KeyError].result()
    assert caught.value.args == ("missing",)


def test_reads_see_the_state_before(full: RedisJSONDict) -> None:
    o, a = full["doc"], full["doc", "l"]
    with full.pipeline():
        full["new"] = 1
        full["doc", "n"] = 2
        o["t"] = "changed"
        a.append(4)
        del full["other"]

        assert full["doc", "n"] == o["n"] == o.get("n") == 1
        assert full.get("new") is None
        assert "new" not in full
        assert full["other"] == 7
        assert sorted(full) == ["doc", "other"]
        assert len(a) == 3
        assert list(a) == [3, 1, 2]
        assert full["doc"]["o"]["b"]["c"][0] == 0
        assert full.at("doc", "t").get() == "x"
        assert full.to_python()["doc"] == o.to_python()
        assert full.ttl("doc") is None
        assert dict(full.items()).keys() == {"doc", "other"}
        assert a.index(1) == 1
        with pytest.raises(KeyError):
            full["new"]
    assert full["new"] == 1
    assert o["t"] == "changed"
    assert a == [3, 1, 2, 4]
    assert "other" not in full


def test_navigating_by_the_dict_inside(full: RedisJSONDict) -> None:
    with full.pipeline():
        full["doc"]["l"].append(4)
        full["doc"]["o"]["b"]["c"][0] = UNSPELLABLE
        full["doc"]["o"].update(a=2, z=[])
        full.at("doc", "o", "y").set(1)
        full["doc"]["l"] += [5]
        full["other"] += 1
        del full["doc"]["t"]
        full["doc"]["l"][1:2] = ["a", "b"]
        full["doc"]["l"].remove(2)
        full["doc"]["l"].insert(0, "first")
        full["doc"].merge({"f": None})
        full["doc"].concat(("new"), "x") if "new" in full["doc"] else None

    assert full.to_python() == {
        "doc": {
            "n": 1,
            "l": ["first", 3, "a", "b", 4, 5],
            "o": {"a": 2, "b": {"c": [UNSPELLABLE]}, "z": [], "y": 1},
            "a\\b": {"x": [1]},
        },
        "other": 8,
    }


RETURNING: dict[str, Callable[[RedisJSONDict], Any]] = {
    "pop": lambda d: d.pop("other"),
    "pop default": lambda d: d.pop("missing", None),
    "pop path": lambda d: d.pop(("doc", "n")),
    "popitem": lambda d: d.popitem(),
    "setdefault": lambda d: d.setdefault("other", 1),
    "setdefault path": lambda d: d.setdefault(("doc", "new"), 1),
    "incr": lambda d: d.incr("other"),
    "incr path": lambda d: d.incr(("doc", "n")),
    "toggle": lambda d: d.toggle(("doc", "f")),
    "persist": lambda d: d.persist("doc"),
    "nested pop": lambda d: d["doc"].pop("n"),
    "nested popitem": lambda d: d["doc"].popitem(),
    "nested setdefault": lambda d: d["doc"].setdefault("new", 1),
    "nested incr": lambda d: d["doc"].incr("n"),
    "nested toggle": lambda d: d["doc"].toggle("f"),
    "element pop": lambda d: d["doc"]["l"].pop(),
    "element incr": lambda d: d["doc"]["l"].incr(0),
    "reference pop": lambda d: d.at("doc").pop("n"),
    "reference incr": lambda d: d.at("other").incr(),
    "reference setdefault": lambda d: d.at("doc").setdefault("new"),
    "reference popitem": lambda d: d.at("doc").popitem(),
}

READING_FIRST: dict[str, Callable[[Any], Any]] = {
    "sort": lambda d: d["doc"]["l"].sort(),
    "reverse": lambda d: d["doc"]["l"].reverse(),
    "remove container": lambda d: d["doc"]["l"].remove([1]),
    "odd name": lambda d: put(d["doc"], "b\\c", 1),
    "odd name path": lambda d: put(d, ("doc", "b\\c"), 1),
    "odd name del": lambda d: drop(d["doc"], "a\\b"),
    "odd name update": lambda d: d["doc"].update({"b\\c": 1}),
    "below odd name": lambda d: d["doc"]["a\\b"]["x"].append(1),
    "set below odd name": lambda d: put(d["doc"]["a\\b"], "x", 1),
    "incr below odd name": lambda d: d["doc"]["a\\b"].incr("x"),
}

READING_FIRST_PROXIES: dict[str, Callable[[RedisJSONDict], Any]] = {
    "*=": lambda d: repeat(d["doc"]["l"], 2),
    "extended slice": lambda d: put(d["doc"]["l"], slice(None, None, 2), [1, 2]),
    "del extended slice": lambda d: drop(d["doc"]["l"], slice(None, None, 2)),
    "modify": lambda d: d.at("doc").modify(lambda value: pytest.fail("called")),
    "modify object": lambda d: d["doc"].modify(lambda value: pytest.fail("called")),
}


@pytest.mark.parametrize("verb", RETURNING)
def test_verb_that_returns_what_it_found(full: RedisJSONDict, verb: str) -> None:
    before = full.to_python()
    with full.pipeline() as batch:
        with pytest.raises(PipelineError, match=r"batch\.|outside of the batch"):
            RETURNING[verb](full)
        assert len(batch) == 0

    assert full.to_python() == before


@pytest.mark.parametrize("verb", READING_FIRST)
@pytest.mark.parametrize("through", ["dict", "batch"])
def test_verb_that_must_read_first(full: RedisJSONDict, verb: str, through: str) -> None:
    before = full.to_python()
    with full.pipeline() as batch:
        with pytest.raises(PipelineError):
            READING_FIRST[verb](full if through == "dict" else batch)
        assert len(batch) == 0

    assert full.to_python() == before


@pytest.mark.parametrize("verb", READING_FIRST_PROXIES)
def test_proxy_verb_that_must_read_first(full: RedisJSONDict, verb: str) -> None:
    before = full.to_python()
    with full.pipeline() as batch:
        with pytest.raises(PipelineError):
            READING_FIRST_PROXIES[verb](full)
        assert len(batch) == 0

    assert full.to_python() == before


def test_batch_modify_is_refused_without_calling(full: RedisJSONDict) -> None:
    with full.pipeline() as batch:
        for place in (batch["doc"]["n"], batch["doc"], batch["other"]):
            with pytest.raises(PipelineError):
                place.modify(lambda value: pytest.fail("called"))


def test_refused_verb_may_be_caught(full: RedisJSONDict) -> None:
    with full.pipeline() as batch:
        full["x"] = 1
        with pytest.raises(PipelineError):
            full["doc"]["l"].sort()
        with pytest.raises(UnsupportedValueError):
            full["y"] = object()
        with pytest.raises(ValueRangeError):
            batch["y"] = float("nan")
        with pytest.raises(TypeError):
            full[5] = 1
        with pytest.raises(KeyError):
            full["missing"]
        batch["z"] = 2

    assert {k: full[k] for k in "xz"} == {"x": 1, "z": 2}
    assert "y" not in full


def test_refused_verb_names_operation_and_place(full: RedisJSONDict) -> None:
    with pytest.raises(PipelineError, match=r"'doc' at.*'l'"), full.pipeline():
        full["doc", "l"].sort()
    with pytest.raises(PipelineError, match=r"incr.*'doc' at.*'n'"), full.pipeline():
        full["doc"].incr("n")


def test_failing_command_is_reported(full: RedisJSONDict) -> None:
    with pytest.raises(PipelineError) as caught, full.pipeline() as batch:
        batch["x"] = 1
        batch["doc"]["t"].append(1)
        batch["y"] = 2
        batch["missing"]["a"] = 1
    error = caught.value

    assert "JSON.ARRAPPEND" in str(error)
    assert "document 'doc' at $['t']" in str(error)
    assert "2 of the batch's 4 operations were applied" in str(error)
    assert error.location == "document 'doc' at $['t']"
    assert isinstance(error.__cause__, TypeError)
    assert error.__cause__.__cause__ is None
    assert error.__cause__.__suppress_context__
    assert isinstance(error, RuntimeError)
    assert (full["x"], full["y"], full["doc", "t"]) == (1, 2, "x")
    assert "missing" not in full


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda b: b["missing"]["a"].append(1), KeyError),
        (lambda b: put(b["missing"], "a", 1), KeyError),
        (lambda b: put(b["doc"]["missing"], "a", 1), KeyError),
        (lambda b: put(b["doc"]["l"], 9, 1), LookupError),
        (lambda b: drop(b, "missing"), KeyError),
        (lambda b: drop(b["doc"], "missing"), KeyError),
        (lambda b: b.pop("missing"), KeyError),
        (lambda b: b.rename("missing", "x"), KeyError),
        (lambda b: b.expire("missing", 5), KeyError),
        (lambda b: b.ttl("missing"), KeyError),
        (lambda b: b.incr("doc"), TypeError),
        (lambda b: b["doc"].toggle("n"), TypeError),
        (lambda b: b["doc"]["n"].update(a=1), TypeError),
        (lambda b: b["doc"]["o"].append(1), TypeError),
        (lambda b: b["doc"]["l"].remove(99), ValueError),
        (lambda b: b["doc"]["l"].index(99), ValueError),
        (lambda b: put(b, "foreign", 1), NotADocumentError),
        (lambda b: b.update({"foreign": 1, "ok": 2}), NotADocumentError),
        (lambda b: drop(b, "foreign"), NotADocumentError),
        (lambda b: b["foreign"].append(1), NotADocumentError),
        (lambda b: b.rename("other", "foreign"), NotADocumentError),
        (lambda b: b.setdefault("foreign", 1), NotADocumentError),
        (lambda b: b["doc"].query("$["), ValueError),
    ],
)
def test_every_failure_has_its_cause(
    full: RedisJSONDict, client: Any, prefix: str, atomic: bool, call: Any, kind: Any
) -> None:
    client.set(f"{prefix}foreign", "text")
    before = full.to_python()
    with pytest.raises(PipelineError) as caught, full.pipeline(atomic=atomic) as batch:
        batch["first"] = 1
        pending = call(batch)
        batch["last"] = 1

    assert isinstance(caught.value.__cause__, kind)
    assert "2 of the batch's 3" in str(caught.value)
    assert full.to_python() == before | {"first": 1, "last": 1}
    assert client.get(f"{prefix}foreign") == b"text"
    if pending is not None:
        with pytest.raises(kind):
            pending.result()


def test_stale_proxy_inside(full: RedisJSONDict) -> None:
    held = full["doc", "o", "b"]
    with pytest.raises(PipelineError) as caught, full.pipeline():
        del full["doc", "o"]
        held["c"] = 1
        held["c"].append(1)

    assert isinstance(caught.value.__cause__, StaleLocationError)
    assert "o" not in full["doc"]


def test_too_much_for_one_step(d: RedisJSONDict) -> None:
    d["l"] = list(range(4000))
    with pytest.raises(PipelineError), d.pipeline() as batch:
        batch["x"] = 1
        d["l"][1500:3000] = []

    assert d["x"] == 1
    assert len(d["l"]) == 4000


def test_big_increment_is_not_done_wrongly(d: RedisJSONDict) -> None:
    d["n"] = 2**53
    with pytest.raises(PipelineError), d.pipeline() as batch:
        pending = batch.incr("n")
        batch["x"] = 1

    assert d["n"] == 2**53
    assert d["x"] == 1
    with pytest.raises(PipelineError):
        pending.result()


def test_blocks_join(d: RedisJSONDict, sent: Any) -> None:
    def call() -> None:
        with d.pipeline() as outer:
            outer["a"] = 1
            with d.pipeline() as inner:
                inner["b"] = 2
                with d.pipeline():
                    d["c"] = 3
            d["d"] = 4
            assert len(outer) == len(inner) == 4
            assert d.get("b") is None

    names = sent(call)

    assert names.count("MULTI") == names.count("EXEC") == 1
    assert d.to_python() == {"a": 1, "b": 2, "c": 3, "d": 4}


def test_error_in_an_inner_block_drops_its_part(d: RedisJSONDict) -> None:
    with d.pipeline() as outer:
        d["a"] = 1
        with contextlib.suppress(ZeroDivisionError), d.pipeline() as inner:
            dropped = inner.incr("b")
            with d.pipeline() as innermost:
                innermost["c"] = 1
            raise ZeroDivisionError
        with contextlib.suppress(ZeroDivisionError), d.pipeline():
            d["e"] = 1
            with contextlib.suppress(ZeroDivisionError), d.pipeline():
                d["f"] = 1
                raise ZeroDivisionError
            d["g"] = 1
        kept = outer.incr("h")

    assert d.to_python() == {"a": 1, "e": 1, "g": 1, "h": 1}
    assert kept.result() == 1
    with pytest.raises(PipelineError):
        dropped.result()


def test_error_that_passes_all_blocks_drops_all(d: RedisJSONDict) -> None:
    with pytest.raises(ZeroDivisionError), d.pipeline():
        d["a"] = 1
        with d.pipeline():
            d["b"] = 1
            raise ZeroDivisionError

    assert len(d) == 0


def test_block_object_is_used_again(d: RedisJSONDict) -> None:
    block = d.pipeline()
    for name in "ab":
        with block as batch:
            batch[name] = 1
    with block, block:
        d["c"] = 1

    assert d.to_python() == {"a": 1, "b": 1, "c": 1}


def test_pipelines_of_two_dicts_are_apart(client: Any, prefix: str) -> None:
    one, two = RedisJSONDict(client, f"{prefix}1:"), RedisJSONDict(client, f"{prefix}2:")
    with one.pipeline():
        one["a"] = 1
        two["b"] = 2

        assert two["b"] == 2
        assert len(one) == 0
        with two.pipeline():
            two["c"] = 3
        assert two["c"] == 3
    assert one["a"] == 1


def test_other_threads_are_not_in_the_block(d: RedisJSONDict) -> None:
    inside, done = threading.Event(), threading.Event()

    def other() -> None:
        inside.wait()
        d["other"] = 1
        assert d["other"] == 1
        with d.pipeline():
            d["other's batch"] = 1
        assert d["other's batch"] == 1
        done.set()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(other)
        with d.pipeline():
            d["mine"] = 1
            inside.set()
            done.wait(20)
            seen = d.to_python()
        future.result()

    assert seen == {"other": 1, "other's batch": 1}
    assert d["mine"] == 1


def test_many_threads_have_their_own_batches(d: RedisJSONDict) -> None:
    barrier = threading.Barrier(8)

    def worker(number: int) -> None:
        barrier.wait()
        for turn in range(10):
            with contextlib.suppress(ZeroDivisionError), d.pipeline() as batch:
                d[f"{number}.{turn}"] = turn
                batch.incr("total")
                if turn % 2:
                    raise ZeroDivisionError

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(worker, range(8)))

    assert d["total"] == 40
    assert sorted(d) == sorted(["total", *(f"{n}.{t}" for n in range(8) for t in range(0, 10, 2))])


def test_tasks_are_apart(d: RedisJSONDict) -> None:
    async def outside() -> None:
        d["outside"] = 1
        assert d["outside"] == 1

    async def own(number: int) -> None:
        with contextlib.suppress(ZeroDivisionError), d.pipeline():
            d[f"{number}"] = 1
            await asyncio.sleep(0)
            assert d.get(f"{number}") is None
            await asyncio.sleep(0)
            if number % 2:
                raise ZeroDivisionError

    async def main() -> None:
        with d.pipeline():
            d["mine"] = 1
            await asyncio.create_task(outside())
            await asyncio.gather(*map(own, range(10)))
            await asyncio.to_thread(d.__setitem__, "thread", 1)

            assert sorted(d) == sorted(["outside", "thread", *"02468"])

    asyncio.run(main())

    assert d["mine"] == 1


def test_no_batch_is_left_open(d: RedisJSONDict) -> None:
    for _ in range(3):
        with contextlib.suppress(ZeroDivisionError), d.pipeline(), d.pipeline():
            raise ZeroDivisionError
        with d.pipeline(), d.pipeline():
            d["x"] = 1
        with pytest.raises(PipelineError), d.pipeline():
            del d["missing"]

    assert d._run.batches == {}


@pytest.fixture
def plain_url(tmp_path_factory: Any) -> Iterator[str]:
    """A server without the JSON module."""
    if not _BINARIES:
        pytest.skip("no server program on this machine")
    place = tmp_path_factory.mktemp("p")
    program = next(iter(_BINARIES.values())).program
    options = ["--port", "0", "--unixsocket", f"{place}/s", "--save", "", "--dir", place]
    process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    try:
        while not (place / "s").exists():
            time.sleep(0.01)
        yield f"unix://{place}/s"
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("atomic", [True, False])
def test_missing_module_is_named(plain_url: str, atomic: bool) -> None:
    with redis.Redis.from_url(plain_url) as user:
        d = RedisJSONDict(user)
        with pytest.raises(PipelineError) as caught, d.pipeline(atomic=atomic) as batch:
            d["x"] = 1
            pending = batch.incr("n")

        assert isinstance(caught.value.__cause__, JSONModuleMissingError)
        with pytest.raises(JSONModuleMissingError):
            pending.result()
        assert user.dbsize() == 0


def test_missing_module_keeps_all_from_being_applied(plain_url: str) -> None:
    with redis.Redis.from_url(plain_url) as user:
        d = RedisJSONDict(user)
        with pytest.raises((PipelineError, JSONModuleMissingError)), d.pipeline() as batch:
            batch["x"]["y"] = 1  # an unknown command, not a script that fails
            pending = batch["x"].append(1)

        with pytest.raises((PipelineError, JSONModuleMissingError)):
            pending.result()
        assert user.ping()


def test_not_atomic_is_one_write_without_a_transaction(d: RedisJSONDict, sent: Any) -> None:
    def call() -> None:
        with d.pipeline(atomic=False) as batch:
            d["x"] = 1
            batch["x"].incr()
            batch.pop("missing", None)
            d["y"] = [1]

    names = sent(call)

    assert not {"MULTI", "EXEC"} & {*names}
    assert len(names) == 4
    assert d.to_python() == {"x": 2, "y": [1]}


def test_not_atomic_gives_results(full: RedisJSONDict) -> None:
    with full.pipeline(atomic=False) as batch:
        one, two = batch["doc"].incr("n"), batch["doc"]["l"].get()

    assert one.result() == 2
    assert two.result() == [3, 1, 2]


def test_ten_thousand_writes(d: RedisJSONDict, client: Any) -> None:
    d["l"] = []
    with d.pipeline() as batch:
        for number in range(5_000):
            d[f"k{number}"] = number
            batch["l"].append(number)

        assert len(batch) == 10_000

    assert d["l"].to_python() == list(range(5_000))
    assert len(d) == 5_001
    assert d["k4999"] == 4999


def test_large_values(d: RedisJSONDict) -> None:
    text = "x" * 3_000_000
    with d.pipeline() as batch:
        for number in range(5):
            d[f"{number}"] = [text]
        read = batch["4"][0].get()

    assert read.result() == text
    assert d["0", 0] == text


def test_many_replies_of_a_large_batch(d: RedisJSONDict) -> None:
    d["big"] = ["y" * 100_000]
    with d.pipeline() as batch:
        pending = [batch["big"].to_python() for _ in range(200)]

    assert all(promise.result() == ["y" * 100_000] for promise in pending)


def test_scripts_forgotten_by_the_server(d: RedisJSONDict, client: Any) -> None:
    d["x"] = 1
    with d.pipeline() as batch:
        d["x"] = 2
        batch.incr("x")
        client.script_flush()
        batch.incr("x")
        d["y"] = 1
    client.script_flush()
    with d.pipeline(atomic=False) as batch:
        batch.incr("x")
        client.script_flush()
        batch.incr("x")

    assert d.to_python() == {"x": 6, "y": 1}


def test_scripts_flushed_all_the_time(url: str, d: RedisJSONDict) -> None:
    done = threading.Event()

    def flush() -> None:
        with redis.Redis.from_url(url) as other:
            while not done.is_set():
                other.script_flush()

    thread = threading.Thread(target=flush)
    thread.start()
    try:
        for _ in range(100):
            with d.pipeline() as batch:
                for _ in range(5):
                    batch.incr("n")
                    batch.setdefault("o", {})
    finally:
        done.set()
        thread.join()

    assert d["n"] == 500


def test_adjacent_assignments_are_one_command(d: RedisJSONDict, sent: Any) -> None:
    d["n"] = {"x": 0}

    def call() -> None:
        with d.pipeline() as batch:
            batch["a"], batch["b"], batch["n", "x"], d["c"], d["a"] = 1, {"k": [2]}, 3, 4, 5

    assert sent(call) == ["MULTI", "EVAL", "JSON.SET", "EVALSHA", "EXEC"]
    assert d.to_python() == {"a": 5, "b": {"k": [2]}, "n": {"x": 3}, "c": 4}


@pytest.mark.parametrize("atomic", [True, False])
def test_foreign_key_among_assignments_fails_alone(
    d: RedisJSONDict, client: Any, prefix: str, atomic: bool
) -> None:
    client.set(f"{prefix}foreign", "text", ex=1000)
    d["old"] = 0
    d.expire("old", 1000)
    applied = "4 of the batch's 5 operations were applied"
    with (
        pytest.raises(PipelineError, match=applied) as caught,
        d.pipeline(atomic=atomic) as batch,
    ):
        kept = [batch.set("a", 1), batch.set("old", 2)]
        lost = batch.set("foreign", 3)
        kept += [batch.set("b", 4), batch.set("c", {})]

    assert isinstance(caught.value.__cause__, NotADocumentError)
    assert "foreign" in str(caught.value)
    assert [pending.result() for pending in kept] == [None] * 4
    with pytest.raises(NotADocumentError, match="foreign"):
        lost.result()
    assert client.get(f"{prefix}foreign") == b"text"
    assert client.ttl(f"{prefix}foreign") > 900
    assert d.to_python() == {"a": 1, "old": 2, "b": 4, "c": {}}
    assert d.ttl("old") is None


def test_assignments_refused_as_one_give_one_reason(
    url: str, d: RedisJSONDict, client: Any, prefix: str
) -> None:
    name = f"u{uuid.uuid4().hex[:8]}"
    rules = ("on", ">pw", "~*", "&*", "+@all", "-json.mset")
    client.execute_command("ACL", "SETUSER", name, *rules)
    user = redis.Redis.from_url(url, username=name, password="pw")
    few = RedisJSONDict(user, prefix)
    with pytest.raises(PipelineError, match="0 of the batch's 200") as caught, few.pipeline() as b:
        pending = [b.set(f"k{n}", n) for n in range(200)]
    user.close()
    client.execute_command("ACL", "DELUSER", name)

    assert "json.mset" in str(caught.value).lower()
    assert len(str(caught.value)) < 1500
    with pytest.raises(redis.ResponseError):
        pending[199].result()
    assert d.to_python() == {}


def test_block_that_never_ended_is_none(d: RedisJSONDict) -> None:
    """An interrupt between entering and the first line leaves a block that nobody will end."""
    d.pipeline().__enter__()
    d["x"] = 1
    assert d["x"] == 1
    with d.pipeline():
        d["y"] = 2

    assert d.to_python() == {"x": 1, "y": 2}


def test_waiting_for_replicas_is_not_forgotten_when_a_verb_fails(d: RedisJSONDict) -> None:
    d["t"] = "text"
    with (
        pytest.raises(PipelineError, match="1 of the batch's 2") as caught,
        d.pipeline(replicas=1, timeout=0.01) as batch,
    ):
        d["state"] = "paid"
        batch.incr("t")

    assert "instead of 1 replicas" in " ".join(caught.value.__notes__)


def test_dropped_inner_block_counts_no_more(d: RedisJSONDict, monkeypatch: Any) -> None:
    monkeypatch.setattr("redisjson_dict.queue._LARGEST", 100_000)
    with d.pipeline():
        d["a"] = "x" * 60_000
        with contextlib.suppress(ZeroDivisionError), d.pipeline():
            d["b"] = "x" * 30_000
            raise ZeroDivisionError
        d["c"] = "x" * 30_000
        with pytest.raises(ValueRangeError):
            d["e"] = "x" * 30_000

    assert set(d) == {"a", "c"}


def test_assignments_of_a_key_twice_keep_their_order(d: RedisJSONDict) -> None:
    with d.pipeline():
        for number in range(50):
            d[f"k{number % 7}"] = number

    assert d.to_python() == {f"k{n % 7}": n for n in range(50)}


def test_assignments_with_several_lifetimes(d: RedisJSONDict) -> None:
    d["kept"] = 0
    d.expire("kept", 5000)
    with d.pipeline():
        d["a"], d["b"] = 1, 2
        with d.expire_at(100):
            d["c"], d["e"] = 3, 4
        with d.expire_at(200):
            d["f"] = 5
        d["kept"] = 6

    assert [d.ttl(key) for key in ("a", "b", "kept")] == [None] * 3
    assert all(90 < (d.ttl(key) or 0) <= 100 for key in "ce")
    assert 190 < (d.ttl("f") or 0) <= 200


def test_assignments_that_preserve_lifetimes(client: Any, prefix: str) -> None:
    d = RedisJSONDict(client, prefix, expire=100, preserve_expiration=True)
    d["old"] = 0
    d.expire("old", 5000)
    with d.pipeline():
        d["old"], d["new"], d["exact"] = 1, 2, [UNSPELLABLE]

    assert (d.ttl("old") or 0) > 4000
    assert 90 < (d.ttl("new") or 0) <= 100
    assert d.to_python() == {"old": 1, "new": 2, "exact": [UNSPELLABLE]}


def test_more_assignments_than_one_command_takes(d: RedisJSONDict, client: Any) -> None:
    client.config_resetstat()
    with d.pipeline():
        for number in range(12_001):
            d[f"k{number}"] = [number]

    assert client.info("commandstats")["cmdstat_eval"]["calls"] <= 3
    assert len(d) == 12_001
    assert d["k12000", 0] == 12_000


def test_expiry_block_inside(d: RedisJSONDict) -> None:
    with d.pipeline() as batch:
        with d.expire_at(60):
            d["a"] = 1
            batch["b"] = 1
            batch.setdefault("c", 1)
            d.update(e=1)
        d["d"] = 1
        d.expire("d", 100)

    assert all(50 < d.ttl(name) <= 60 for name in "abce")
    assert 60 < d.ttl("d") <= 100


def test_pipeline_inside_an_expiry_block(d: RedisJSONDict) -> None:
    with d.expire_at(60), d.pipeline():
        d["a"] = 1

    assert d.ttl("a") > 0


def test_times_inside(d: RedisJSONDict) -> None:
    d["a"] = d["b"] = 1
    with d.pipeline() as batch:
        d.expire("a", 60)
        d.expireat("b", 2_000_000_000)
        left, persisted = batch.ttl("a"), batch.persist("b")

    assert 50 < left.result() <= 60
    assert persisted.result() is True
    assert d.ttl("b") is None


def test_clear_inside(full: RedisJSONDict, client: Any, prefix: str) -> None:
    client.set(f"{prefix}foreign", "text")
    with full.pipeline():
        full["before"] = 1
        full.clear()
        full["after"] = 1

        assert sorted(full) == ["doc", "other"]

    assert full.to_python() == {"before": 1, "after": 1}
    assert client.get(f"{prefix}foreign") == b"text"


def test_clear_of_many_inside(d: RedisJSONDict) -> None:
    d.update({f"k{number}": 1 for number in range(2_500)})
    with d.pipeline():
        d.clear()
        d["k1"] = "again"

        assert len(d) == 2_500

    assert d.to_python() == {"k1": "again"}


def test_nested_clear_inside(full: RedisJSONDict) -> None:
    with full.pipeline() as batch:
        full["doc"]["l"].clear()
        batch["doc"]["o"].clear()

    assert full["doc", "l"] == []
    assert full["doc", "o"] == {}


def test_update_inside(full: RedisJSONDict) -> None:
    with full.pipeline() as batch:
        full.update({"a": 1}, b=[UNSPELLABLE])
        batch.update([("c", {"x": 1})])
        full["doc"].update(n=2, new=[1])
        batch["doc"].update({"m": 3})
        full["doc"]["o"] |= {"z": 1}
        full |= {"e": 5}

    assert {k: full[k] for k in "ae"} == {"a": 1, "e": 5}
    assert full["b"] == [UNSPELLABLE]
    assert full["doc"].get_many(["n", "m"]) == {"n": 2, "m": 3}
    assert full["doc", "o", "z"] == 1


def test_floats_are_exact(d: RedisJSONDict) -> None:
    floats = [UNSPELLABLE, 0.1 + 0.2, 5e-324, 1.7976931348623157e308, -0.0, 1 / 3]
    with d.pipeline() as batch:
        d["top"] = UNSPELLABLE
        d["doc"] = {"l": floats, "o": {}}
        for value in floats:
            batch["doc"]["l"].append(value)
            batch["doc"]["o"][repr(value)] = value
        batch["doc"]["l"].extend(floats)
        batch["doc"]["l"].insert(0, UNSPELLABLE)
        read = batch["doc"]["l"].to_python()

    assert repr(d["top"]) == repr(UNSPELLABLE)
    assert repr(read.result()) == repr([UNSPELLABLE, *floats * 3])
    assert repr(d["doc", "o"].to_python()) == repr({repr(value): value for value in floats})


@pytest.mark.parametrize("atomic", [True, False])
def test_hostile_keys_at_the_top(d: RedisJSONDict, atomic: bool) -> None:
    with d.pipeline(atomic=atomic) as batch:
        for name in HOSTILE:
            d[name] = {"x": 1}
            batch[name]["y"] = 2
            batch[name]["x"].incr()
        pending = {name: batch[name].to_python() for name in HOSTILE}

    assert d.to_python() == {name: {"x": 2, "y": 2} for name in HOSTILE}
    assert {name: promise.result()["y"] for name, promise in pending.items()} == dict.fromkeys(
        HOSTILE, 2
    )
    with d.pipeline(atomic=atomic) as batch:
        for name in HOSTILE:
            del d[name]
    assert len(d) == 0


def test_hostile_names_below_do_it_or_say_so(d: RedisJSONDict) -> None:
    d["doc"] = {}
    expected = {}
    with d.pipeline() as batch:
        for name in HOSTILE:
            try:
                batch["doc"][name] = {"l": []}
                batch["doc"][name]["l"].append(name)
            except PipelineError:
                assert "'" in name or '"' in name or "\\" in name or name[:1] == " "
            else:
                expected[name] = {"l": [name]}

    assert d["doc"] == expected
    assert len(expected) >= len(HOSTILE) - 8


def test_batch_is_no_container(d: RedisJSONDict) -> None:
    with d.pipeline() as batch:
        for call in (
            lambda: list(batch),
            lambda: "a" in batch,
            lambda: list(batch["a"]),
            lambda: "a" in batch["a"],
            lambda: batch[5],
            lambda: batch[None],
            lambda: batch[()],
            lambda: batch["a", 1.5],
        ):
            with pytest.raises(TypeError):
                call()

        assert "a" in repr(batch["a"]["b"])
        assert len(batch) == 0


def test_foreign_values_are_refused_at_the_call(d: RedisJSONDict) -> None:
    with d.pipeline() as batch:
        for value in (object(), {1: 2}, b"x", {1}):
            with pytest.raises(TypeError):
                batch["a"] = value
            with pytest.raises(TypeError):
                batch["a"]["b"].append(value)
        for value in (float("nan"), 2**64, "\ud800"):
            with pytest.raises(ValueError):
                d["a"] = value

        assert len(batch) == 0


def test_value_is_taken_when_queued(d: RedisJSONDict) -> None:
    value = {"l": [1]}
    with d.pipeline():
        d["a"] = value
        value["l"].append(2)
        d["b"] = value

    assert d.to_python() == {"a": {"l": [1]}, "b": {"l": [1, 2]}}


def test_proxy_as_a_value_is_read_at_once(full: RedisJSONDict) -> None:
    with full.pipeline() as batch:
        full["doc", "l"] = []
        batch["copy"] = full["doc", "l"]
        batch["copy"].extend(full["doc", "l"])
        batch["doc"]["o"].update(full["doc"]["o"])

    assert full["copy"] == [3, 1, 2, 3, 1, 2]
    assert full["doc", "l"] == []


def test_batch_is_at_most_once_when_the_reply_is_lost(
    relay: Relay, connect: Any, d: RedisJSONDict, prefix: str
) -> None:
    for options in ({}, {"protocol": 2}, {"single_connection_client": True}):
        d["l"] = []
        user = connect(retry=Retry(NoBackoff(), 5), **options)
        through = RedisJSONDict(user, prefix)
        assert through["l"] == []
        with (
            relay.losing(b"\r\nEXEC\r\n", "close", times=99) as fault,
            pytest.raises(redis.ConnectionError) as caught,
            through.pipeline() as batch,
        ):
            batch["l"].append(1)
            batch["l"].append(2)
            pending = batch["l"].length()

        assert fault.hits == 1
        assert "outcome unknown" in " ".join(caught.value.__notes__)
        assert d["l"].to_python() in ([], [1, 2])  # the relay may close before EXEC has passed
        assert through["l"].to_python() in ([], [1, 2])
        with pytest.raises(PipelineError):
            pending.result()


def test_batch_is_at_most_once_without_a_reply_in_time(
    relay: Relay, connect: Any, d: RedisJSONDict, prefix: str
) -> None:
    d["l"] = []
    through = RedisJSONDict(connect(socket_timeout=0.3, retry=Retry(NoBackoff(), 5)), prefix)
    with (
        relay.losing(b"\r\nEXEC\r\n", "swallow", times=99) as fault,
        pytest.raises(redis.TimeoutError) as caught,
        through.pipeline() as batch,
    ):
        batch["l"].append(1)

    assert fault.hits == 1
    assert "outcome unknown" in " ".join(caught.value.__notes__)
    assert d["l"] == through["l"] == [1]


def test_batch_cut_short_is_not_applied(
    relay: Relay, connect: Any, d: RedisJSONDict, prefix: str
) -> None:
    d["l"] = []
    through = RedisJSONDict(connect(retry=Retry(NoBackoff(), 0)), prefix)
    with (
        relay.losing(b"MARK", "cut", times=99, after=1 << 16),
        pytest.raises(LOST),
        through.pipeline() as batch,
    ):
        batch["l"].append(1)
        batch["big"] = "MARK" * 2_000_000

    assert d.to_python() == {"l": []}
    assert through.to_python() == {"l": []}


def test_transaction_cut_short_is_sent_again(
    relay: Relay, connect: Any, d: RedisJSONDict, prefix: str
) -> None:
    d["l"] = []
    through = RedisJSONDict(connect(retry=Retry(NoBackoff(), 3)), prefix)
    with relay.losing(b"MARK", "cut", after=1 << 16) as fault, through.pipeline() as batch:
        batch["l"].append(1)
        batch["big"] = "MARK" * 5_000_000

    assert fault.hits == 1
    assert d["l"] == [1]
    assert len(d["big"]) == 20_000_000


def test_server_that_is_gone_changes_nothing(relay: Relay, connect: Any, d: RedisJSONDict) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with redis.Redis("127.0.0.1", port, retry=Retry(NoBackoff(), 1)) as user:
        through = RedisJSONDict(user)
        with pytest.raises(redis.ConnectionError) as caught, through.pipeline() as batch:
            batch["x"] = 1
        assert "nothing was sent" in " ".join(caught.value.__notes__)
        assert through._run.batches == {}


CLIENTS: dict[str, dict[str, Any]] = {
    "resp2": {"protocol": 2},
    "resp3": {"protocol": 3},
    "resp2 decoding": {"protocol": 2, "decode_responses": True},
    "resp3 decoding": {"protocol": 3, "decode_responses": True},
    "single": {"single_connection_client": True},
    "single decoding": {"single_connection_client": True, "decode_responses": True},
    "one connection": {"max_connections": 1},
    "latin-1": {"encoding": "latin-1", "decode_responses": True},
    "ascii": {"encoding": "ascii", "decode_responses": True},
}


def outcome(pending: Any) -> Any:
    try:
        result = pending.result()
    except Exception as error:
        return type(error), error.args
    return result.to_python() if isinstance(result, (JSONArray, JSONObject)) else result


def results(d: RedisJSONDict) -> list[Any]:
    with pytest.raises(PipelineError) as caught, d.pipeline() as batch:
        d["doc"] = {"l": [1, "é一\x00"], "n": 1, "f": True, "t": "ä", "x": UNSPELLABLE}
        d["é"] = None
        doc = batch["doc"]
        pending = [
            doc["l"].kind(),
            doc.to_python(),
            doc.keys(),
            doc.length(),
            doc.query("$.l[1]"),
            doc.get_many(["t", "n"]),
            doc["l"].append("ö"),
            doc["l"].pop(),
            doc["l"].index(1.0),
            doc["l"].get_slice(slice(1, None)),
            doc.incr("n", 1.5),
            doc.toggle("f"),
            doc.concat("t", "ü"),
            doc.setdefault("t", 0),
            doc.setdefault("s", ["ß"]),
            doc["s"].popitem(),  # an array has none
            doc.pop("t"),
            batch["missing"].append(1),
            batch.ttl("é"),
            batch.persist("é"),
            batch.rename("é", "e"),
            batch.pop("e"),
            batch.pop("missing"),
            doc.get("t", 5),
            doc["x"].get(),
            doc["n"].exists(),
            doc["l"].get(),
            batch.set("done", [True]),
        ]
    assert "27 of the batch's 30 operations were applied" in str(caught.value)
    return [outcome(promise) for promise in pending]


EXPECTED: list[Any] = [
    "array",
    {"l": [1, "é一\x00"], "n": 1, "f": True, "t": "ä", "x": UNSPELLABLE},
    ["l", "n", "f", "t", "x"],
    5,
    ["é一\x00"],
    {"t": "ä", "n": 1},
    None,
    "ö",
    0,
    ["é一\x00"],
    2.5,
    False,
    None,
    "äü",
    ["ß"],
    TypeError,
    "äü",
    (KeyError, ("missing",)),
    None,
    False,
    None,
    None,
    (KeyError, ("missing",)),
    5,
    UNSPELLABLE,
    True,
    [1, "é一\x00"],
    None,
]


def check_results(d: RedisJSONDict) -> None:
    for _ in range(2):
        got = results(d)
        got[15] = got[15][0]  # the words are of no interest

        assert got == EXPECTED
        assert sorted(d) == ["doc", "done"]


@pytest.mark.parametrize("options", CLIENTS)
def test_every_client(url: str, prefix: str, d: RedisJSONDict, options: str) -> None:
    user = redis.Redis.from_url(url, **CLIENTS[options])
    try:
        callbacks = dict(user.response_callbacks)
        check_results(RedisJSONDict(user, prefix))

        assert user.response_callbacks == callbacks
        assert user.ping()
    finally:
        user.close()


@pytest.mark.parametrize("decode", [False, True])
def test_client_on_which_json_was_called(
    url: str, prefix: str, d: RedisJSONDict, protocol: int, decode: bool
) -> None:
    with redis.Redis.from_url(url, protocol=protocol, decode_responses=decode) as user:
        user.json()
        check_results(RedisJSONDict(user, prefix))


def test_every_server(matrix: RedisJSONDict) -> None:
    check_results(matrix)


def test_client_with_a_cache(relay: Relay, connect: Any, d: RedisJSONDict, prefix: str) -> None:
    through = RedisJSONDict(connect(protocol=3, cache_config=CacheConfig()), prefix)
    d["a"] = {"n": 0}
    for number in range(1, 5):
        assert through.at("a").to_python() == {"n": number - 1}
        with through.pipeline() as batch:
            batch["a"]["n"] = number
            read = batch["a"].to_python()
        assert read.result() == {"n": number}
        deadline = time.monotonic() + 10
        while through.at("a").to_python() != {"n": number}:
            assert time.monotonic() < deadline


def test_pool_has_all_its_connections_back(url: str, prefix: str) -> None:
    pool = redis.BlockingConnectionPool.from_url(url, max_connections=1, timeout=5)
    user = redis.Redis(connection_pool=pool)
    d = RedisJSONDict(user, prefix)
    try:
        for _ in range(3):
            with d.pipeline():
                d["x"] = 1
                assert d.get("y") is None
            with pytest.raises(PipelineError), d.pipeline():
                del d["missing"]
            with contextlib.suppress(ZeroDivisionError), d.pipeline():
                raise ZeroDivisionError
        d.clear()
    finally:
        pool.disconnect()


def test_users_own_pipeline_is_no_client(client: Any, prefix: str) -> None:
    with pytest.raises(TypeError):
        RedisJSONDict(client.pipeline(), prefix)


def test_empty_update_inside(d: RedisJSONDict) -> None:
    with d.pipeline() as batch:
        d.update({})
        batch.update()
        d |= {}
        d["x"] = 1

    assert d.to_python() == {"x": 1}


@pytest.mark.parametrize(
    ("first", "then", "error"),
    [
        (lambda b: b["w"].toggle("n"), lambda b: b.delete("w"), TypeError),
        (lambda b: b["w"]["n"].extend([1]), lambda b: b["w"]["n"].set([]), TypeError),
        (lambda b: b["w"]["n"].insert(0, 1), lambda b: b["w"]["n"].set([]), TypeError),
        (lambda b: b["w"].concat("n", "x"), lambda b: b["w"]["n"].set("y"), TypeError),
        (lambda b: b["gone"].insert(0, 1), lambda b: b.set("gone", []), KeyError),
        (lambda b: b["w"]["l"].pop(), lambda b: b["w"]["l"].append(1), IndexError),
    ],
)
def test_error_is_of_the_moment_not_of_the_end(d, first, then, error) -> None:
    """What comes later in a batch does not change what is said of an earlier verb."""
    d["w"] = {"n": 1, "l": []}
    with pytest.raises(PipelineError), d.pipeline() as batch:
        promise = first(batch)
        then(batch)

    with pytest.raises(error):
        promise.result()


def test_default_of_a_pop_holds_although_something_comes_later(d) -> None:
    with d.pipeline() as batch:
        promise = batch["q"].pop(-1, "default")
        batch["q"] = [1, 2]

    assert promise.result() == "default"
    assert d["q"].to_python() == [1, 2]


@pytest.mark.parametrize("replicas", [1.0, "1", None])
def test_replicas_are_counted_by_an_integer(d, replicas) -> None:
    with pytest.raises(TypeError):
        d.pipeline(replicas=replicas)


def test_missing_document_that_is_queued_is_hinted_at(d) -> None:
    with d.pipeline():
        d["q"] = {"a": [1]}
        with pytest.raises(KeyError) as hinted:
            d["q"]["a"].append(2)
        with pytest.raises(KeyError) as plain:
            d["other"]

    assert "queued in the open pipeline" in " ".join(hinted.value.__notes__)
    assert not hasattr(plain.value, "__notes__")
