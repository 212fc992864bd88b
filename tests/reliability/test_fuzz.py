"""Odd names and places, values that change while they are stored, documents of other programs."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections import UserDict
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

import orjson
import pytest
import redis
from fuzz.draw import ALPHABET
from fuzz.targets import check_codec
from fuzz.world import ALL_VERBS, World
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redisjson_dict import RedisJSONDict, UnsupportedValueError, ValueRangeError, codec
from redisjson_dict.codec import brief
from redisjson_dict.errors import RedisJSONDictError
from redisjson_dict.server import Server, binaries

# Every verb on one place: nothing else changes, nothing else is returned.

names = st.lists(st.sampled_from(ALPHABET), max_size=6).map("".join)
steps = st.one_of(names, names, st.sampled_from([0, 1, -1, -4]))
paths = st.lists(steps, max_size=4).map(tuple)


@pytest.fixture(scope="module", params=[b.name for b in binaries()] or ["none"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    binary = next((b for b in binaries() if b.name == request.param), None)
    if binary is None:
        pytest.skip("no embedded server is here")
    with Server(binary=binary) as server:
        world = World(server.url)
        yield world
        world.close()


def test_verbs_change_nothing_but_their_place(world, effort, figures, request):
    @settings(
        max_examples=effort.pick(5, 80), deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(document=names, name=names, path=paths)
    def check(document: str, name: str, path: tuple[Any, ...]) -> None:
        path = (*path[:-1], name) if path and isinstance(path[-1], str) else path
        world.settle(document, name)
        for verb in ALL_VERBS:
            world.run(verb, path)
        world.alive()

    check()

    assert world.done > 190
    binary = request.node.callspec.params["world"]
    figures[f"odd names, {binary}: verbs run, the whole server compared after each"] = (
        f"{world.done:,}"
    )


# Values that change between the look at them and their encoding.


class Colour(Enum):
    RED = "red"


def deep_tuple(levels: int = 100_000) -> Any:
    value: Any = ()
    for _ in range(levels):
        value = (value,)
    return value


MEDDLED: dict[str, Any] = {
    "nan": float("nan"),
    "infinity": float("-inf"),
    "enum": Colour.RED,
    "bytes": b"x",
    "deep tuple": deep_tuple(),
    "large": 2**70,
    "float without spelling": 0.23217612806301458,
    "deep list": json.loads("[" * 500 + "]" * 500),
}
MUTABLE: dict[str, Callable[[], tuple[Any, Callable[[Any], None]]]] = {
    "list": lambda: (value := [1, "a"], value.append),
    "dict": lambda: (value := {"a": 1}, lambda item: value.update(b=item)),
    "inner list": lambda: ({"a": [(inner := [1]), 2]}, inner.append),
    "inner dict": lambda: ([(inner := {"x": "y"})], lambda item: inner.update(x=item)),
    "below a tuple": lambda: ((1, (inner := [2])), inner.append),
}


@pytest.fixture
def company():
    """Another thread, which might change a value at any moment."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    yield
    done.set()
    thread.join()


@pytest.mark.parametrize("kind", MEDDLED)
@pytest.mark.parametrize("shape", MUTABLE)
def test_encode_takes_what_it_looked_at(monkeypatch, company, kind, shape):
    value, meddle = MUTABLE[shape]()
    wanted = json.loads(json.dumps(value))
    dumps = orjson.dumps

    def late(value: Any, *args: Any, **options: Any) -> bytes:
        meddle(MEDDLED[kind])  # what another thread may do at exactly this moment
        return dumps(value, *args, **options)

    monkeypatch.setattr(orjson, "dumps", late)

    assert json.loads(codec.encode(value).text) == wanted


def test_values_changed_by_threads_are_stored_as_they_were(effort, figures):
    shared: Any = {"rows": [[1, 2], {"a": 1}], "n": 1}
    done = threading.Event()

    def meddle() -> None:
        while not done.is_set():
            for odd in MEDDLED.values():
                shared["rows"].append(odd)
                shared["n"] = odd
                shared["rows"].pop()
                shared["n"] = 1

    interval = sys.getswitchinterval()
    threads = [threading.Thread(target=meddle) for _ in range(2)]
    stored = refused = 0
    try:
        sys.setswitchinterval(1e-6)
        for thread in threads:
            thread.start()
        end = time.monotonic() + effort.pick(1.0, 30.0)
        while time.monotonic() < end:
            try:
                text = codec.encode(shared).text
            except (ValueRangeError, UnsupportedValueError):
                refused += 1
                continue
            stored += 1
            found = json.loads(text)
            fine = (1, 0.23217612806301458)
            assert found["n"] in fine
            assert all(row in ([1, 2], {"a": 1}, *fine[1:]) for row in found["rows"])
    finally:
        done.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
    assert stored > 0
    figures["values changed by threads: encoded, refused"] = f"{stored:,}, {refused:,}"


def test_default_that_adds_to_the_value_ends():
    value: list[Any] = [object()]

    def default(item: Any) -> Any:
        value.append(object())
        return 1

    assert codec.encode(value, default).text == b"[1]"


def test_names_that_lie_about_themselves():
    class Name(str):
        __slots__ = ()
        calls = 0

        def __hash__(self) -> int:
            Name.calls += 1
            return Name.calls

        def __eq__(self, other: object) -> bool:
            return False

    value = {Name("a"): [1], Name("b"): {"x": [2]}}

    assert json.loads(codec.encode(value).text) == {"a": [1], "b": {"x": [2]}}


@pytest.mark.parametrize("accompanied", [False, True])
@pytest.mark.parametrize("wrap", [lambda x: [x, x], lambda x: {"a": x, "b": (x,)}])
def test_value_that_multiplies_itself_is_refused(request, wrap, accompanied):
    if accompanied:
        request.getfixturevalue("company")
    value: Any = [1]
    for _ in range(60):
        value = wrap(value)

    with pytest.raises(ValueRangeError, match="several times"):
        codec.encode(value)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.recursive(
        st.one_of(
            *(st.none(), st.booleans(), st.integers(), st.floats(), names),
            *(st.binary(max_size=3), st.decimals(), st.just(Colour.RED), st.datetimes()),
            st.text(st.characters(exclude_categories=())),
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.lists(inner, max_size=4).map(tuple),
            st.dictionaries(st.one_of(names, st.integers()), inner, max_size=4),
            st.dictionaries(names, inner, max_size=4).map(UserDict),
        ),
        max_leaves=12,
    ),
    st.sampled_from([0, 0, 1, 120, 126, 127]),
)
def test_codec_takes_all_or_refuses_all(value, above):
    check_codec(value, above)


# Objects that close, clear, batch or leave the dict while it works.


class Meddler(UserDict[str, Any]):
    """A mapping that does something when it is looked at."""

    def __init__(self, act: Callable[[], Any]) -> None:
        super().__init__(a=1, b=2)
        self._act = act

    def __iter__(self) -> Iterator[str]:
        yield "a"
        self._act()
        yield "b"


def test_value_that_clears_the_dict(d):
    d["doc"] = {"old": 1}
    held = d["doc"]

    d["new"] = Meddler(d.clear)
    assert d == {"new": {"a": 1, "b": 2}}
    with pytest.raises(LookupError):
        held["x"] = Meddler(lambda: None)
    assert d == {"new": {"a": 1, "b": 2}}


def test_value_that_opens_a_batch(d):
    def batch() -> None:
        with d.pipeline():
            d["inner"] = [1]

    with d.pipeline() as outer:
        d["a"] = Meddler(batch)
        assert len(outer) == 2
    assert d == {"a": {"a": 1, "b": 2}, "inner": [1]}


def test_value_that_fails_in_a_batch_sends_nothing(d):
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), d.pipeline():
        d["a"] = 1
        d["b"] = Meddler(fail)
    assert d == {}


def test_value_that_closes_the_client(url, prefix):
    with RedisJSONDict.from_url(url, prefix) as d:
        d["a"] = Meddler(d.close)  # redis-py connects again
        assert d.pop("a") == {"a": 1, "b": 2}
        assert d == {}


def test_value_that_ends_the_batch_it_is_for(d):
    block = d.pipeline()
    batch = block.__enter__()
    with pytest.raises(RedisJSONDictError):
        batch["a"] = Meddler(lambda: block.__exit__(None, None, None))
    assert d == {}


def test_modify_that_reenters(d):
    d["doc"] = {"n": 0}

    def function(value: dict[str, int]) -> dict[str, int]:
        if value["n"] < 3:
            d["doc"].incr("n")
        return {"n": value["n"], "seen": value["n"]}

    assert d["doc"].modify(function) == {"n": 3, "seen": 3}
    assert d == {"doc": {"n": 3, "seen": 3}}


def test_modify_of_a_value_kept_by_the_function(d):
    d["doc"] = {"list": [1]}
    kept: list[Any] = []

    d["doc"].modify(lambda value: kept.append(value) or value)
    kept[0]["list"].append(float("nan"))

    assert d == {"doc": {"list": [1]}}


# Documents that other programs wrote.


def nested_by_others(client: redis.Redis, key: str, levels: int) -> None:
    """Write what one JSON.SET could not: arrays in one another, 100 levels at a time."""
    client.execute_command("JSON.SET", key, "$", "[" * 100 + "]" * 100)
    at = 100
    while at < levels:
        more = min(100, levels - at)
        path = "$" + "[0]" * (at - 1)
        client.execute_command("JSON.ARRAPPEND", key, path, "[" * more + "]" * more)
        at += more


@pytest.mark.parametrize("levels", [200, 1000, 1024, 1025, 2000, 5000])
def test_documents_deeper_than_ours(client, prefix, d, levels):
    nested_by_others(client, prefix + "deep", levels)
    process = client.info("server")["process_id"]
    deep = d["deep"]

    assert len(deep) == 1
    assert list(d) == ["deep"]
    assert type(deep[0]) is type(deep)
    assert type(d[("deep", *[0] * 127)]) is type(deep)
    assert d.get(("deep", *[0] * 128), 7) == 7
    for read in (deep.to_python, d.to_python, lambda: deep == [], deep.copy):
        with contextlib.suppress(ValueRangeError):
            read()
            assert levels <= 1024
    for write in (
        lambda: deep.modify(lambda v: [v]),
        lambda: deep.reverse(),
        lambda: deep.sort(),
        lambda: deep.__imul__(2),
    ):
        with pytest.raises(ValueRangeError):
            write()
    assert len(deep) == 1
    deep.append(1)
    assert deep.pop() == 1
    if levels < 1024:
        assert len(d.pop("deep")) == 1
    else:
        with pytest.raises(ValueRangeError, match="cannot be decoded") as caught:
            d.pop("deep")
        text = caught.value.__cause__.doc  # all that is left of it, and it is whole
        assert text == "[" * (levels + 1) + "]" * (levels + 1)
    d.clear()
    assert d == {}
    assert client.info("server")["process_id"] == process


def test_peculiar_documents_of_others(client, prefix, d):
    for name, text in {
        "twice": '{"a":1,"a":2}',
        "large": "[18446744073709551616,1e308,-9223372036854775809]",
        "zero": "[-0,-0.0,1E5]",
        "escapes": '{"\\u0000\\ud83d\\ude00":"\\ud800\\udc00"}'.replace("\\\\", "\\"),
        "odd": '{" ":1,"":{"\\\\":[0]}}',
    }.items():
        client.execute_command("JSON.SET", prefix + name, "$", text)

    assert d["twice"] == {"a": 2}
    assert d["large"] == [18446744073709551616.0, 1e308, -9223372036854775809.0]
    assert d["zero"] == [-0.0, -0.0, 1e5]
    assert d["escapes"] == {"\0\U0001f600": "\U00010000"}
    assert d["odd", "", "\\", 0] == 0
    for name in list(d):
        content = d[name].to_python()
        d[name] = d[name]
        d[f"{name} copy"] = d[name]
        assert d[f"{name} copy"] == content


@pytest.mark.parametrize(
    "text", [b'{"\xff":1}', b'"\xc3"', b"\x00", b"", b"nan", b'"\\ud800"', b"\xef\xbb\xbf1", b"1 2"]
)
def test_text_that_is_no_json_is_kept_out_or_read(client, prefix, d, text):
    with contextlib.suppress(redis.ResponseError):
        client.execute_command("JSON.SET", prefix + "x", "$", text)
    content = d.get("x", "none")  # the server refuses it, or has made JSON of it
    assert content in ("none", 1)
    assert client.ping()


# Expressions that keep the server busy for minutes.


@pytest.mark.parametrize(
    "jsonpath",
    [
        "$..*..*..*",
        "$" + "..*" * 20_000,
        "$..[?(@..*..*)]",
        "$" + '["a","a"]' * 60,
        "$" + "[0,0,0]" * 60,
        "$.arr[" + "0," * 20_000 + "0]",
    ],
    ids=lambda jsonpath: jsonpath[:20],
)
def test_expressions_that_multiply_are_refused(client, d, jsonpath):
    deep: Any = 1
    for _ in range(60):
        deep = {"a": [deep]}
    d["deep"] = deep

    for query in (d["deep"].query, d.at("deep").query, d["deep", "a"].query):
        with pytest.raises(ValueRangeError):
            query(jsonpath)


# Less obvious doors.


@pytest.mark.parametrize(
    "time", [0, -1, 2**63, 1e300, float("nan"), float("inf"), 10**400, "1"], ids=brief
)
def test_times_out_of_range_change_nothing(client, prefix, d, time):
    d["doc"] = 1
    for verb in (
        lambda: d.expire("doc", time),
        lambda: d.at("doc") and d.expire_at(time),
        lambda: RedisJSONDict(client, prefix, expire=time),
    ):
        with pytest.raises((ValueError, TypeError, OverflowError)):
            verb()
    if time != 0:
        with pytest.raises((ValueError, TypeError, OverflowError)):
            d.expireat("doc", time)
    assert d.ttl("doc") is None


@pytest.mark.parametrize(
    "amount", [2**64, -(2**64), 10**5000, float("nan"), float("inf"), "1", None], ids=brief
)
def test_amounts_out_of_range_change_nothing(d, amount):
    d["doc"] = {"n": 1, "x": 0.5}
    for verb in (
        lambda: d["doc"].incr("n", amount),
        lambda: d["doc"].incr("x", amount),
        lambda: d["doc"].incr("new", 1, amount),
        lambda: d.incr("doc2", amount),
        lambda: d.at("doc", "n").incr(amount=amount),
    ):
        with pytest.raises((ValueError, TypeError)):
            verb()
    assert d == {"doc": {"n": 1, "x": 0.5}}


def test_pending_and_batches_are_no_values(d):
    with d.pipeline() as batch:
        pending = batch.incr("n")
        for value in (pending, batch, batch["n"], d.pipeline()):
            with pytest.raises(UnsupportedValueError):
                d["x"] = value
            with pytest.raises(UnsupportedValueError):
                batch["x"] = {"deep": [value]}
    assert pending.result() == 1
    assert d == {"n": 1}


@pytest.mark.parametrize("prefix_of_two", ["a*", "a[bc]", "a?", "\\", "a\0", "{tag}", "a\r\n*1"])
def test_prefixes_keep_to_themselves(client, prefix, prefix_of_two):
    one = RedisJSONDict(client, prefix + prefix_of_two)
    neighbours = [p for p in ("ab", "a", "ab:", "", "x", "tag") if not p.startswith(prefix_of_two)]
    others = [RedisJSONDict(client, prefix + p) for p in neighbours]
    for other in others:
        other["k"] = "theirs"
    one["k"] = "mine"

    assert one == {"k": "mine"}
    assert one.popitem() == ("k", "mine")
    one.clear()
    assert all(other["k"] == "theirs" for other in others)


# Subclasses of str, int and float that are not what they say.


class Liar(str):
    __slots__ = ()

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        return iter("")

    def __getitem__(self, _: Any) -> str:
        return "."

    def __str__(self) -> str:
        return ""

    def __format__(self, _: str) -> str:
        return ""

    def startswith(self, *_: Any) -> bool:
        return True

    def encode(self, *_: Any) -> bytes:
        return '$["\u0100"]x y'.encode()  # which aborts the server


class Position(int):
    def __int__(self) -> int:
        return 2**70

    __index__ = __int__

    def __lt__(self, _: object) -> bool:
        return False

    __gt__ = __lt__

    def __repr__(self) -> str:
        return "0]..*"

    __str__ = __repr__

    def bit_length(self) -> int:
        return 1


class Span(float):
    def __float__(self) -> float:
        return float("nan")

    def __le__(self, _: object) -> bool:
        return True

    __ge__ = __le__

    def __round__(self, *_: Any) -> Any:
        return "k1 X"

    def __mul__(self, _: object) -> Any:
        return self


def test_text_that_lies_is_its_text(client, prefix, d):
    process = client.info("server")["process_id"]
    d["doc"] = {"a": "x"}

    with pytest.raises(ValueRangeError):
        d["doc"].query(Liar("\u0100"))
    assert d["doc"].query(Liar("$.a")) == ["x"]
    for other, key in (
        (RedisJSONDict(client, Liar(f"{prefix}one:")), "one:k"),
        (RedisJSONDict(client, namespace=Liar(f"{prefix}two")), "two:k"),
    ):
        other["k"] = Liar("v")
        assert json.loads(client.execute_command("JSON.GET", prefix + key)) == "v"
    d["doc"].concat(Liar("a"), Liar("y"))
    d.rename(Liar("doc"), Liar("new"))
    assert d["new"] == {"a": "xy"}
    assert client.info("server")["process_id"] == process


def test_numbers_that_lie_are_their_value(d):
    one, two, far = Position(1), Position(2), Position(2**80)
    d["doc"] = {"list": [0, 1, 2, 3], "n": 1}
    array = d["doc", "list"]

    assert array[one] == d["doc", "list", one] == 1
    assert array[one:two] == [1]
    assert array.index(1, one, two) == 1
    with pytest.raises(IndexError):
        array[far] = 5
    with pytest.raises(OverflowError):
        array.insert(far, 5)
    array.append(4, maxlen=Position(4))
    array.trim(one, far)
    array *= two
    assert array == [2, 3, 4] * 2
    assert d["doc"].incr("n", two) == 3


def test_times_that_lie_are_their_value(client, prefix, d):
    d["doc"] = 1
    d.expire("doc", Span(100.0))
    assert 90 < d.ttl("doc") <= 100
    for far in (Span(1e300), Span("nan"), Position(2**80)):
        with pytest.raises(ValueRangeError):
            d.expire("doc", far)
        with pytest.raises(ValueRangeError):
            d.expireat("doc", far)
        with pytest.raises(ValueRangeError):
            RedisJSONDict(client, prefix, expire=far)
    assert 90 < d.ttl("doc") <= 100
