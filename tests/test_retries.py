"""At most once: a verb that must not be applied twice is not, whatever redis-py would resend."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry
from relay import Relay

from redisjson_dict import RedisJSONDict
from redisjson_dict.scripts import script

TIMEOUT = 0.15  # seconds until a swallowed reply is given up
UNSPELLABLE = 0.23217612806301458  # a float that takes a script on this server
LOST = (redis.ConnectionError, redis.TimeoutError)

START: dict[str, Any] = {
    "n": 1,
    "f": True,
    "t": "x",
    "l": [3, 1, 2],
    "o": {"a": 1, "b": 2},
    "keep": [0],
}


def changed(**members: Any) -> dict[str, Any]:
    return {"doc": START | members, "other": 7}


def without(name: str) -> dict[str, Any]:
    return {"doc": {k: v for k, v in START.items() if k != name}, "other": 7}


def put(key: Any, value: Any) -> Callable[[Any], None]:
    return lambda place: place.__setitem__(key, value)


def drop(key: Any) -> Callable[[Any], None]:
    return lambda place: place.__delitem__(key)


Call = Callable[[RedisJSONDict], Any]

# What is applied at most once: what to lose (a command or a script), the verb, what one
# application leaves.
ONCE: dict[str, tuple[str, Call, dict[str, Any]]] = {
    "append": ("JSON.ARRAPPEND", lambda d: d.at("doc", "l").append(9), changed(l=[3, 1, 2, 9])),
    "append maxlen": ("append", lambda d: d.at("doc", "l").append(9, 3), changed(l=[1, 2, 9])),
    "append repaired": (
        "append",
        lambda d: d.at("doc", "l").append(UNSPELLABLE),
        changed(l=[3, 1, 2, UNSPELLABLE]),
    ),
    "extend": (
        "JSON.ARRAPPEND",
        lambda d: d.at("doc", "l").extend([8, 9]),
        changed(l=[3, 1, 2, 8, 9]),
    ),
    "insert": ("splice", lambda d: d.at("doc", "l").insert(1, 9), changed(l=[3, 9, 1, 2])),
    "slice": ("splice", lambda d: put(slice(0, 1), [8, 9])(d["doc", "l"]), changed(l=[8, 9, 1, 2])),
    "extended slice": (
        "compare_and_shrink",
        lambda d: put(slice(0, 3, 2), [8, 9])(d["doc", "l"]),
        changed(l=[8, 1, 9]),
    ),
    "del slice": ("cut", lambda d: drop(slice(0, 1))(d["doc", "l"]), changed(l=[1, 2])),
    "trim": ("trim", lambda d: d.at("doc", "l").trim(1, 3), changed(l=[1, 2])),
    "remove": ("remove", lambda d: d.at("doc", "l").remove(1), changed(l=[3, 2])),
    "sort": ("compare_and_shrink", lambda d: d.at("doc", "l").sort(), changed(l=[1, 2, 3])),
    "reverse": ("compare_and_shrink", lambda d: d.at("doc", "l").reverse(), changed(l=[2, 1, 3])),
    "*=": ("compare_and_set", lambda d: d["doc", "l"].__imul__(2), changed(l=[3, 1, 2] * 2)),
    "modify": (
        "compare_and_shrink",
        lambda d: d.at("doc", "n").modify(lambda n: n + 1),
        changed(n=2),
    ),
    "modify to more": (
        "compare_and_set",
        lambda d: d.at("doc", "n").modify(lambda n: n + 9),
        changed(n=10),
    ),
    "pop element": ("JSON.ARRPOP", lambda d: d.at("doc", "l").pop(), changed(l=[3, 1])),
    "pop first": ("JSON.ARRPOP", lambda d: d.at("doc", "l").pop(0), changed(l=[1, 2])),
    "del element": ("delete", lambda d: drop(0)(d["doc", "l"]), changed(l=[1, 2])),
    "pop member": ("pop", lambda d: d["doc"].pop("n"), without("n")),
    "pop with a default": ("pop", lambda d: d["doc"].pop("n", None), without("n")),
    "del member": ("delete", lambda d: drop("n")(d["doc"]), without("n")),
    "popitem": ("popitem", lambda d: d.at("doc", "o").popitem(), changed(o={"a": 1})),
    "incr": ("incr", lambda d: d["doc"].incr("n"), changed(n=2)),
    "incr new": ("incr", lambda d: d["doc"].incr("new"), changed(new=1)),
    "incr big": (
        "compare_and_set",
        lambda d: d.at("doc", "n").incr(amount=2**53),
        changed(n=2**53 + 1),
    ),
    "toggle": ("JSON.TOGGLE", lambda d: d["doc"].toggle("f"), changed(f=False)),
    "concat": ("JSON.STRAPPEND", lambda d: d["doc"].concat("t", "y"), changed(t="xy")),
    "setdefault": ("setdefault", lambda d: d["doc"].setdefault("new", 5), changed(new=5)),
    "dict setdefault": (
        "put_default",
        lambda d: d.setdefault("new", 5),
        {"doc": START, "other": 7, "new": 5},
    ),
    "expireat in the past": ("lifetime", lambda d: d.expireat("other", 1), {"doc": START}),
    "dict incr": ("incr", lambda d: d.incr("other"), {"doc": START, "other": 8}),
    "dict pop": ("take", lambda d: d.pop("other"), {"doc": START}),
    "dict del": ("JSON.DEL", drop("other"), {"doc": START}),
    "rename": ("rename", lambda d: d.rename("other", "new"), {"doc": START, "new": 7}),
    "unwritable name": (
        "compare_and_set",
        lambda d: put("a\\b", 1)(d["doc"]),
        {"doc": START | {"a\\b": 1}, "other": 7},
    ),
}

# What is sent again: what to lose, the verb, its result, what it leaves (None: as it was).
AGAIN: dict[str, tuple[str, Call, Any, dict[str, Any] | None]] = {
    "set member": ("JSON.SET", lambda d: put("n", 5)(d["doc"]), None, changed(n=5)),
    "set by path": ("JSON.SET", put(("doc", "o", "new"), 5), None, None),
    "set last": ("store", lambda d: put(-1, 5)(d["doc", "l"]), None, changed(l=[3, 1, 5])),
    "update": ("update", lambda d: d["doc"].update(n=5, new=6), None, changed(n=5, new=6)),
    "merge": ("merge", lambda d: d["doc"].merge({"n": None}), None, without("n")),
    "replace": ("replace", lambda d: d["doc", "l"].replace([1]), None, changed(l=[1])),
    "clear": ("clear", lambda d: d["doc", "l"].clear(), None, changed(l=[])),
    "assign": ("put", put("other", 8), None, {"doc": START, "other": 8}),
    "dict update": ("put_many", lambda d: d.update(other=8), None, {"doc": START, "other": 8}),
    "get": ("peek", lambda d: d["doc", "n"], 1, None),
    "get missing": ("peek", lambda d: d.get(("doc", "missing"), 0), 0, None),
    "to_python": ("JSON.GET", lambda d: d.at("doc").to_python(), START, None),
    "dict to_python": ("JSON.MGET", lambda d: d.to_python(), changed(), None),
    "get_many": ("get_many", lambda d: d["doc"].get_many(["n"]), {"n": 1}, None),
    "dict get_many": ("peek_many", lambda d: d.get_many(["other"]), {"other": 7}, None),
    "len": ("length", lambda d: len(d["doc", "o"]), 2, None),
    "len array": ("JSON.ARRLEN", lambda d: len(d["doc", "l"]), 3, None),
    "keys": ("names", lambda d: list(iter(d["doc", "o"])), ["a", "b"], None),
    "items": ("members", lambda d: [*iter(d["doc", "o"].items())], [("a", 1), ("b", 2)], None),
    "elements": ("elements", lambda d: [*iter(d["doc", "l"])], [3, 1, 2], None),
    "slice": ("slice", lambda d: d["doc", "l"][1:], [1, 2], None),
    "index": ("index", lambda d: d["doc", "l"].index(1), 1, None),
    "query": ("query", lambda d: d["doc"].query("$.n"), [1], None),
    "in": ("kind", lambda d: "n" in d["doc"], True, None),
    "dict in": ("JSON.TYPE", lambda d: "other" in d, True, None),
    "fetch": ("fetch", lambda d: d["doc", "l"].sort(), None, changed(l=[1, 2, 3])),
    "len dict": ("SCAN", lambda d: len(d), 2, None),
}
AGAIN["set by path"] = (*AGAIN["set by path"][:3], changed(o={"a": 1, "b": 2, "new": 5}))


def marker(what: str) -> bytes:
    """Return what a request for a command, or for a script, contains."""
    if what.isupper():
        return b"\r\n%b\r\n" % what.encode()
    return script(what).sha


def load_scripts(client: redis.Redis) -> None:
    loading = client.pipeline(transaction=False)
    for place in files("redisjson_dict.scripts").iterdir():
        if place.name.endswith(".lua") and not place.name.startswith("_"):
            loading.script_load(script(place.name.removesuffix(".lua")).source)
    loading.execute()


@pytest.fixture
def truth(d: RedisJSONDict, client: redis.Redis) -> RedisJSONDict:
    """The same documents, seen past the relay."""
    load_scripts(client)
    d["doc"], d["other"] = START, 7
    return d


@pytest.fixture
def connect(relay: Relay) -> Iterator[Callable[..., redis.Redis]]:
    """Makes clients with redis-py's own settings, but for those given."""
    made: list[redis.Redis] = []

    def connect(**options: Any) -> redis.Redis:
        made.append(redis.Redis(**parse_url(relay.url) | options))
        return made[-1]

    yield connect
    for client in made:
        client.close()


CLIENTS: dict[str, dict[str, Any]] = {
    "default": {},
    "retry": {"retry": Retry(NoBackoff(), 5)},
    "single": {"single_connection_client": True, "retry": Retry(NoBackoff(), 5)},
    "resp2": {"protocol": 2},
}


def lost_once(
    relay: Relay, user: redis.Redis, prefix: str, what: str, call: Call, mode: str
) -> BaseException:
    """Lose the reply of a verb and return its error; the client is as good as before."""
    d = RedisJSONDict(user, prefix)
    assert d["other"] == 7
    with relay.losing(marker(what), mode, times=99) as fault:
        with pytest.raises(LOST) as caught:
            call(d)
        assert fault.hits == 1
    assert d.get(("doc", "keep", 0)) == 0
    return caught.value


def notes(error: BaseException) -> str:
    return " ".join(getattr(error, "__notes__", []))


FEW = ("append", "insert", "pop member", "sort", "dict del")


@pytest.mark.parametrize(
    ("options", "verb"),
    [("default", verb) for verb in ONCE]
    + [(options, verb) for options in CLIENTS if options != "default" for verb in FEW],
)
def test_connection_lost_after_the_request(
    relay: Relay, connect: Any, truth: RedisJSONDict, prefix: str, options: str, verb: str
):
    what, call, after = ONCE[verb]
    user = connect(**CLIENTS[options])
    error = lost_once(relay, user, prefix, what, call, "close")

    assert truth.to_python() == after
    assert "outcome unknown" in notes(error)


@pytest.mark.parametrize("verb", ONCE)
def test_no_reply_within_the_timeout(
    relay: Relay, connect: Any, truth: RedisJSONDict, prefix: str, verb: str
):
    what, call, after = ONCE[verb]
    user = connect(socket_timeout=TIMEOUT)
    error = lost_once(relay, user, prefix, what, call, "swallow")

    assert isinstance(error, redis.TimeoutError)
    assert truth.to_python() == after
    assert "outcome unknown" in notes(error)


@pytest.mark.parametrize(
    ("mode", "verb"),
    [*(("close", v) for v in AGAIN), *(("swallow", v) for v in ("get", "assign", "to_python"))],
)
def test_what_may_be_sent_again_is(
    relay: Relay, connect: Any, truth: RedisJSONDict, prefix: str, mode: str, verb: str
):
    what, call, result, after = AGAIN[verb]
    user = connect(retry=Retry(NoBackoff(), 3), socket_timeout=TIMEOUT)
    with relay.losing(marker(what), mode) as fault:
        assert call(RedisJSONDict(user, prefix)) == result

    assert fault.hits == 1
    assert truth.to_python() == (after or changed())


@pytest.mark.parametrize("verb", ["set member", "get", "assign", "update"])
def test_redis_py_default_sends_again(
    relay: Relay, connect: Any, truth: RedisJSONDict, prefix: str, verb: str
):
    what, call, result, after = AGAIN[verb]
    with relay.losing(marker(what)) as fault:
        assert call(RedisJSONDict(connect(), prefix)) == result

    assert fault.hits == 1
    assert truth.to_python() == (after or changed())


def test_retries_that_the_user_forbade_do_not_happen(
    relay: Relay, connect: Any, truth: RedisJSONDict, prefix: str
):
    d = RedisJSONDict(connect(retry=Retry(NoBackoff(), 0)), prefix)
    with relay.losing(marker("JSON.SET"), times=99) as fault, pytest.raises(LOST):
        d["doc", "n"] = 5

    assert fault.hits == 1


BIG = "x" * 7_000_000  # more than the buffers between take

CUT: dict[str, tuple[str, Call, dict[str, Any]]] = {
    "append": ("JSON.ARRAPPEND", lambda d: d.at("doc", "keep").append(BIG), changed(keep=[0, BIG])),
    "extend": (
        "JSON.ARRAPPEND",
        lambda d: d.at("doc", "keep").extend([BIG]),
        changed(keep=[0, BIG]),
    ),
    "insert": (
        "JSON.ARRINSERT",
        lambda d: d.at("doc", "keep").insert(0, BIG),
        changed(keep=[BIG, 0]),
    ),
    "slice": ("splice", lambda d: put(slice(0, 1), [BIG])(d["doc", "keep"]), changed(keep=[BIG])),
    "concat": ("JSON.STRAPPEND", lambda d: d["doc"].concat("t", BIG), changed(t="x" + BIG)),
    "setdefault": ("setdefault", lambda d: d["doc"].setdefault("new", BIG), changed(new=BIG)),
    "modify": ("compare_and_set", lambda d: d.at("doc", "t").modify(lambda _: BIG), changed(t=BIG)),
    "dict setdefault": (
        "put_default",
        lambda d: d.setdefault("new", BIG),
        {"doc": START, "other": 7, "new": BIG},
    ),
    "set": ("JSON.SET", lambda d: put("t", BIG)(d["doc"]), changed(t=BIG)),
    "assign": ("put", put("other", BIG), {"doc": START, "other": BIG}),
}


@pytest.mark.parametrize(
    ("options", "verb"), [*(("default", verb) for verb in CUT), ("single", "append")]
)
def test_request_cut_half_way_is_sent_again(
    relay: Relay, connect: Any, truth: RedisJSONDict, prefix: str, options: str, verb: str
):
    what, call, after = CUT[verb]
    d = RedisJSONDict(connect(**CLIENTS[options]), prefix)
    assert d["other"] == 7
    with relay.losing(marker(what), "cut", after=1_000_000) as fault:
        call(d)

    assert fault.hits == 1
    assert truth.to_python() == after


def test_request_cut_half_way_without_retries(
    relay: Relay, connect: Any, truth: RedisJSONDict, prefix: str
):
    d = RedisJSONDict(connect(retry=Retry(NoBackoff(), 0)), prefix)
    with (
        relay.losing(marker("JSON.ARRAPPEND"), "cut", after=1_000_000),
        pytest.raises(redis.ConnectionError) as caught,
    ):
        d.at("doc", "keep").append(BIG)

    assert "nothing was sent" in notes(caught.value)
    assert truth.to_python() == changed()
    d.at("doc", "keep").append(1)
    assert truth["doc", "keep"].to_python() == [0, 1]


@pytest.mark.parametrize("after", [30, 50, 60])
def test_small_request_cut_on_its_way_is_not_applied(
    relay: Relay, connect: Any, truth: RedisJSONDict, prefix: str, after: int
):
    """It left this machine whole, as far as anybody here can know."""
    d = RedisJSONDict(connect(), prefix)
    with (
        relay.losing(b"JSON.ARRAPPEND", "cut", after=after) as fault,
        pytest.raises(redis.ConnectionError) as caught,
    ):
        d.at("doc", "l").append(9)

    assert fault.hits == 1
    assert "outcome unknown" in notes(caught.value)
    assert truth.to_python() == changed()


@pytest.mark.parametrize("options", CLIENTS)
@pytest.mark.parametrize("verb", FEW)
def test_connection_closed_between_two_verbs(
    relay: Relay, connect: Any, truth: RedisJSONDict, prefix: str, options: str, verb: str
):
    """A server restart, or its idle time-out: the next verb goes on a new connection."""
    _, call, after = ONCE[verb]
    d = RedisJSONDict(connect(**CLIENTS[options]), prefix)
    assert d["other"] == 7
    relay.drop()
    call(d)

    assert truth.to_python() == after


@pytest.mark.parametrize("verb", ONCE)
def test_nobody_listens(url: str, verb: str):
    with Relay(url) as relay:
        options = parse_url(relay.url)
    user = redis.Redis(**options, retry=Retry(NoBackoff(), 1))
    d = RedisJSONDict(user, "x")
    with pytest.raises(redis.ConnectionError) as caught:
        ONCE[verb][1](d)

    assert "outcome unknown" not in notes(caught.value)
    user.close()


def test_nobody_listens_says_that_nothing_was_sent(url: str):
    with Relay(url) as relay:
        options = parse_url(relay.url)
    user = redis.Redis(**options, retry=Retry(NoBackoff(), 1))
    with pytest.raises(redis.ConnectionError) as caught:
        RedisJSONDict(user, "x").at("doc", "l").append(1)

    assert "nothing was sent" in notes(caught.value)
    user.close()


def test_reply_of_another_verb_is_never_taken(
    relay: Relay, connect: Any, truth: RedisJSONDict, prefix: str
):
    """What comes after a time-out on the old connection is not the next verb's answer."""
    d = RedisJSONDict(connect(socket_timeout=TIMEOUT), prefix)
    for number in range(3):
        with relay.losing(marker("incr"), "swallow"), pytest.raises(redis.TimeoutError):
            d.incr(("doc", "n"), 100)
        assert d.incr(("doc", "n")) == 1 + (number + 1) * 101

    assert d.at("doc", "l").pop() == 2


def test_threads_on_one_client_apply_each_append_once(
    relay: Relay, connect: Any, truth: RedisJSONDict, prefix: str
):
    d = RedisJSONDict(connect(), prefix)
    d["doc"] = {"l": []}
    done: list[int] = []
    unknown: list[int] = []

    def work(first: int) -> None:
        for number in range(first, first + 60):
            try:
                d.at("doc", "l").append(number)
                done.append(number)
            except LOST:
                unknown.append(number)

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 100, 200, 300)]
    with relay.losing(b"JSON.ARRAPPEND", times=40):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    stored = truth["doc", "l"].to_python()
    assert len(unknown) == 40
    assert sorted(stored) == sorted(done + unknown)


def test_a_loss_leaves_no_connection_borrowed(
    relay: Relay, connect: Any, truth: RedisJSONDict, prefix: str
):
    user = connect(max_connections=2)
    d = RedisJSONDict(user, prefix)
    for _ in range(5):
        with relay.losing(b"JSON.ARRAPPEND"), pytest.raises(redis.ConnectionError):
            d.at("doc", "l").append(9)
        with relay.losing(marker("splice"), "cut", after=100), pytest.raises(redis.ConnectionError):
            d.at("doc", "l").insert(1, 9)

    pool = user.connection_pool
    assert len(pool._in_use_connections) == 0
    assert len(pool._available_connections) == 1
    assert truth["doc", "l"].to_python() == [3, 1, 2, *[9] * 5]


class Alarmed:
    """A socket whose user gets a signal, with a handler that raises, just when all was sent."""

    def __init__(self, socket: Any, error: type[Exception]) -> None:
        self._socket, self._error = socket, error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def sendall(self, data: bytes) -> None:
        self._socket.sendall(data)
        raise self._error("the alarm of a program's own")


@pytest.mark.parametrize("error", [TimeoutError, OSError])
@pytest.mark.parametrize("options", ["default", "retry", "single"])
def test_handler_of_signals_that_raises_leaves_the_outcome_unknown(
    connect: Any, truth: RedisJSONDict, prefix: str, options: str, error: type[Exception]
):
    """redis-py takes what it raises for the socket's: as if nothing had been sent."""
    user = connect(**CLIENTS[options])
    d = RedisJSONDict(user, prefix)
    assert d["other"] == 7
    connection = user.connection or user.connection_pool._available_connections[-1]
    connection._sock = Alarmed(connection._sock, error)
    with pytest.raises(LOST) as caught:
        d.at("doc", "keep").append(9)

    assert "outcome unknown" in notes(caught.value)
    assert truth["doc", "keep"].to_python() in ([0], [0, 9])
    d.at("doc", "keep").append(1)
    assert truth["doc", "keep"].to_python() in ([0, 1], [0, 9, 1])


@pytest.mark.parametrize(
    "call",
    [
        lambda d: d.at("doc", "keep").append(9),
        lambda d: put("n", 5)(d["doc"]),
        lambda d: put("other", 8)(d),
    ],
    ids=["append", "set", "assign"],
)
def test_note_is_not_of_what_the_caller_was_handling(
    relay: Relay, connect: Any, truth: RedisJSONDict, prefix: str, call: Call
):
    """As in a program that fails over: it handles a refusal when its connection breaks."""
    d = RedisJSONDict(connect(retry=Retry(NoBackoff(), 0)), prefix)
    assert d["other"] == 7
    place = d["doc"]  # read before replies are lost
    assert place["n"] == 1
    try:
        raise redis.exceptions.ReadOnlyError("of another client")
    except redis.exceptions.ReadOnlyError:
        with (
            relay.losing(b"\r\n", "close", times=99),
            pytest.raises(redis.ConnectionError) as caught,
        ):
            call(d)

    assert "outcome unknown" in notes(caught.value) or "changed nothing" in notes(caught.value)
    assert "refused" not in notes(caught.value)
