"""Times to live: what assignment applies, what blocks change, what every verb leaves alone."""

from __future__ import annotations

import asyncio
import contextvars
import math
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
import redis

from redisjson_dict import (
    NotADocumentError,
    RedisJSONDict,
    RedisJSONDictError,
    UnsupportedValueError,
    ValueRangeError,
)
from redisjson_dict.expiry import milliseconds, moment

UNSPELLABLE = 0.23217612806301458  # a float that takes a script on this server
HOUR = 3600
LEFT = 1000  # seconds that a document has left before a verb; no test takes as long
LONGEST = 2**53 / 1000


def brief(value: Any) -> str:
    return value.__name__ if isinstance(value, type) else repr(value)[:40]


BAD_SPANS: list[tuple[Any, type[Exception]]] = [
    (0, ValueRangeError),
    (-1, ValueRangeError),
    (0.0, ValueRangeError),
    (-0.5, ValueRangeError),
    (0.0004, ValueRangeError),
    (math.nan, ValueRangeError),
    (math.inf, ValueRangeError),
    (-math.inf, ValueRangeError),
    (10**400, ValueRangeError),
    (LONGEST * 2, ValueRangeError),
    (timedelta(0), ValueRangeError),
    (timedelta(seconds=-1), ValueRangeError),
    (timedelta(microseconds=999), ValueRangeError),
    (True, UnsupportedValueError),
    (False, UnsupportedValueError),
    ("60", UnsupportedValueError),
    (b"60", UnsupportedValueError),
    ([60], UnsupportedValueError),
    ({}, UnsupportedValueError),
    (60 + 0j, UnsupportedValueError),
    (Decimal(60), UnsupportedValueError),
    (datetime(2030, 1, 1, tzinfo=UTC), UnsupportedValueError),
    pytest.param(object(), UnsupportedValueError, id="object"),
]

BAD_MOMENTS: list[tuple[Any, type[Exception]]] = [
    (-1, ValueRangeError),
    (-0.001, ValueRangeError),
    (math.nan, ValueRangeError),
    (math.inf, ValueRangeError),
    (-math.inf, ValueRangeError),
    (10**300, ValueRangeError),
    (LONGEST * 2, ValueRangeError),
    (datetime(2030, 1, 1), ValueRangeError),
    (datetime(1950, 1, 1, tzinfo=UTC), ValueRangeError),
    (True, UnsupportedValueError),
    ("2030-01-01", UnsupportedValueError),
    (b"60", UnsupportedValueError),
    (None, UnsupportedValueError),
    (timedelta(60), UnsupportedValueError),
    (datetime(2030, 1, 1).date(), UnsupportedValueError),
    (Decimal(2_000_000_000), UnsupportedValueError),
]


def seconds(left: float | None) -> int | None:
    """Return a time to live as it was set: nothing here takes ten seconds."""
    return None if left is None else math.ceil(left / 10) * 10


@pytest.fixture
def timed(corner: tuple[redis.Redis, str]) -> Callable[..., RedisJSONDict]:
    return lambda **options: RedisJSONDict(*corner, **options)


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (1, 1000),
        (60, 60_000),
        (0.001, 1),
        (1.5, 1500),
        (0.0014, 1),
        (timedelta(minutes=1), 60_000),
        (timedelta(milliseconds=1), 1),
        (timedelta(days=36_500), 36_500 * 86_400_000),
        (2**53 // 1000, 2**53 // 1000 * 1000),
    ],
)
def test_span_becomes_milliseconds(span: Any, expected: int) -> None:
    assert milliseconds(span) == expected
    assert type(milliseconds(span)) is int


@pytest.mark.parametrize(("span", "error"), BAD_SPANS, ids=brief)
def test_bad_span_is_refused(span: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        milliseconds(span)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (0, 0),
        (1.5, 1500),
        (2_000_000_000, 2_000_000_000_000),
        (datetime(2030, 1, 1, tzinfo=UTC), 1_893_456_000_000),
        (datetime(2030, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), 1_893_456_000_000),
        (datetime.max.replace(tzinfo=UTC), 253_402_300_800_000),
    ],
)
def test_moment_becomes_milliseconds(when: Any, expected: int) -> None:
    assert moment(when) == expected


@pytest.mark.parametrize(("when", "error"), BAD_MOMENTS, ids=brief)
def test_bad_moment_is_refused(when: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        moment(when)


def test_errors_of_bad_times_are_builtin_ones_too() -> None:
    with pytest.raises(ValueError):
        milliseconds(-1)
    with pytest.raises(TypeError):
        milliseconds("60")
    with pytest.raises(RedisJSONDictError):
        milliseconds(True)


@pytest.mark.parametrize("span", [60, 60.0, 59.5, timedelta(minutes=1)], ids=brief)
def test_expire_is_applied_by_assignment(timed: Any, span: Any) -> None:
    d = timed(expire=span)
    d["a"] = 1
    d["b"] = {"x": [1]}

    assert seconds(d.ttl("a")) == seconds(d.ttl("b")) == 60


def test_without_expire_documents_are_permanent(d: RedisJSONDict, client: Any, prefix: str) -> None:
    d["a"] = 1

    assert d.ttl("a") is None
    assert client.ttl(f"{prefix}a") == -1


def test_numpy_spans_are_numbers(timed: Any) -> None:
    np = pytest.importorskip("numpy")
    d = timed(expire=np.float64(60))
    d["a"] = 1

    assert seconds(d.ttl("a")) == 60


@pytest.mark.parametrize(("span", "error"), BAD_SPANS, ids=brief)
def test_dict_with_a_bad_expire_is_not_made(timed: Any, span: Any, error: Any) -> None:
    with pytest.raises(error):
        timed(expire=span)


def test_document_is_gone_in_the_end(timed: Any, client: Any, prefix: str) -> None:
    d = timed(expire=0.001)
    d["a"] = {"x": 1}
    while client.exists(f"{prefix}a"):
        time.sleep(0.001)

    assert "a" not in d
    assert len(d) == 0
    with pytest.raises(KeyError) as caught:
        d.ttl("a")
    assert caught.value.args == ("a",)


def test_assignment_makes_permanent(d: RedisJSONDict) -> None:
    d["a"] = 1
    d.expire("a", 60)
    d["a"] = 2

    assert d.ttl("a") is None


@pytest.mark.parametrize("count", [1, 3, 2000, 2001, 4500])
def test_update_makes_permanent(d: RedisJSONDict, client: Any, prefix: str, count: int) -> None:
    """Few documents are stored by another way than many."""
    names = [f"k{number}" for number in range(count)]
    some = [names[0], names[count // 2], names[-1]]
    d.update({key: [1] for key in some})
    for name in some:
        d.expire(name, HOUR)
    d.update({name: {"n": name} for name in names})

    assert d.to_python() == {name: {"n": name} for name in names}
    assert [client.ttl(prefix + name) for name in names] == [-1] * count


def test_update_makes_permanent_in_another_database(client: Any, prefix: str) -> None:
    """The script asks INFO whether anything has a time to live: of all databases."""
    options = client.get_connection_kwargs() | {"db": 9}
    pool = redis.ConnectionPool(connection_class=client.connection_pool.connection_class, **options)
    with redis.Redis(connection_pool=pool) as other:
        d = RedisJSONDict(other, prefix)
        d.update(a=1, b=2)
        d.expire("a", HOUR)
        d.update(a=3, b=4)

        assert (d.ttl("a"), d.ttl("b"), d.to_python()) == (None, None, {"a": 3, "b": 4})
        d.clear()
    pool.disconnect()


@pytest.mark.parametrize("count", [3, 2000, 2001])
def test_update_with_a_foreign_key_changes_nothing(
    d: RedisJSONDict, client: Any, prefix: str, count: int
) -> None:
    """The foreign key comes last, when one command has stored the rest."""
    names = [f"k{number}" for number in range(count)]
    d.update({name: 1 for name in names[:-1:2]})
    d.expire(names[0], HOUR)
    before = d.to_python()
    client.set(prefix + names[-1], "mine", ex=HOUR)
    with pytest.raises(NotADocumentError):
        d.update({name: 2 for name in names})

    assert d.to_python() == before
    assert client.get(prefix + names[-1]) == b"mine"
    assert seconds(client.ttl(prefix + names[-1])) == seconds(d.ttl(names[0])) == HOUR


def test_assignment_starts_the_time_anew(timed: Any) -> None:
    d = timed(expire=60)
    d["a"] = 1
    d.expire("a", HOUR)
    d["a"] = 2

    assert seconds(d.ttl("a")) == 60


def test_assignment_of_its_own_proxy_changes_no_time(d: RedisJSONDict) -> None:
    d["a"] = [1]
    d.expire("a", 60)
    d["a"] += [2]
    d["a"] = d["a"]

    assert d["a"] == [1, 2]
    assert seconds(d.ttl("a")) == 60


@pytest.mark.parametrize("expire", [None, 60])
def test_preserve_keeps_the_remaining_time(timed: Any, expire: int | None) -> None:
    d = timed(expire=expire, preserve_expiration=True)
    d["new"] = 1
    d["kept"] = 1
    d.expire("kept", HOUR)
    d["forever"] = 1
    d.persist("forever")
    for name in ("kept", "forever"):
        d[name] = {"x": UNSPELLABLE}
    d.update({name: [2] for name in ("kept", "forever", "other")})

    assert seconds(d.ttl("new")) == expire
    assert seconds(d.ttl("other")) == expire
    assert seconds(d.ttl("kept")) == HOUR
    assert d.ttl("forever") is None


def test_preserve_holds_inside_a_block(timed: Any) -> None:
    d = timed(preserve_expiration=True)
    d["kept"] = 1
    d.expire("kept", HOUR)
    with d.expire_at(60):
        d["kept"] = 2
        d["new"] = 2

    assert seconds(d.ttl("kept")) == HOUR
    assert seconds(d.ttl("new")) == 60


def test_namespaces_have_their_own_times(client: Any, prefix: str) -> None:
    one = RedisJSONDict(client, namespace=f"{prefix}one", expire=60)
    two = RedisJSONDict(client, namespace=f"{prefix}two")
    with two.expire_at(HOUR):
        one["a"] = two["a"] = 1
    one["b"] = two["b"] = 1

    assert (seconds(one.ttl("a")), seconds(two.ttl("a"))) == (60, HOUR)
    assert (seconds(one.ttl("b")), two.ttl("b")) == (60, None)
    assert client.ttl(f"{prefix}one:a") > 0


def test_block_sets_the_time(d: RedisJSONDict) -> None:
    with d.expire_at(60):
        d["gone"] = "in sixty seconds"
    d["stays"] = 1

    assert seconds(d.ttl("gone")) == 60
    assert d.ttl("stays") is None


@pytest.mark.parametrize("span", [60, 59.5, timedelta(minutes=1)], ids=brief)
def test_block_takes_every_form(timed: Any, span: Any) -> None:
    d = timed(expire=HOUR)
    with d.expire_at(span):
        d["a"] = 1
    d["b"] = 1

    assert (seconds(d.ttl("a")), seconds(d.ttl("b"))) == (60, HOUR)


@pytest.mark.parametrize(("span", "error"), [*BAD_SPANS, (None, UnsupportedValueError)], ids=brief)
def test_block_with_a_bad_time_is_not_entered(d: RedisJSONDict, span: Any, error: Any) -> None:
    with pytest.raises(error), d.expire_at(span):
        pytest.fail("entered")
    d["a"] = 1

    assert d.ttl("a") is None


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, GeneratorExit, SystemExit])
def test_block_ends_with_any_exception(d: RedisJSONDict, error: type[BaseException]) -> None:
    with pytest.raises(error), d.expire_at(60):
        d["a"] = 1
        raise error
    d["b"] = 1

    assert (seconds(d.ttl("a")), d.ttl("b")) == (60, None)


def test_blocks_nest(d: RedisJSONDict) -> None:
    with d.expire_at(60):
        with d.expire_at(HOUR):
            d["inner"] = 1
            with pytest.raises(KeyError), d.expire_at(20):
                d["innermost"] = 1
                d["none"]
            d["inner again"] = 1
        d["outer"] = 1
    d["after"] = 1

    assert [seconds(d.ttl(k)) for k in ("innermost", "inner", "inner again", "outer", "after")] == [
        20,
        HOUR,
        HOUR,
        60,
        None,
    ]


def test_block_is_entered_again(d: RedisJSONDict) -> None:
    block = d.expire_at(60)
    for name in ("a", "b"):
        with block:
            d[name] = 1
    with block, block:
        d["c"] = 1
    with block:
        with block:
            pass
        d["d"] = 1
    d["e"] = 1

    assert [seconds(d.ttl(k)) for k in "abcde"] == [60, 60, 60, 60, None]


def test_block_applies_before_it_is_entered_to_nothing(d: RedisJSONDict) -> None:
    block = d.expire_at(60)
    d["a"] = 1
    with block:
        pass

    assert d.ttl("a") is None


def test_block_is_of_its_dict_alone(corner: Any) -> None:
    one, two = RedisJSONDict(*corner), RedisJSONDict(*corner)
    with one.expire_at(60):
        two["two"] = 1
        one["one"] = 1

    assert (seconds(one.ttl("one")), one.ttl("two")) == (60, None)


def test_block_is_not_seen_by_other_threads(d: RedisJSONDict) -> None:
    inside, done = threading.Event(), threading.Event()

    def other() -> None:
        inside.wait()
        d["other"] = 1
        with d.expire_at(HOUR):
            d["other's own"] = 1
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with d.expire_at(60):
        inside.set()
        done.wait()
        d["mine"] = 1
    thread.join()

    assert (seconds(d.ttl("mine")), d.ttl("other")) == (60, None)
    assert seconds(d.ttl("other's own")) == HOUR


def test_block_is_not_seen_by_a_copied_context(d: RedisJSONDict) -> None:
    with d.expire_at(60), ThreadPoolExecutor(1) as pool:
        pool.submit(contextvars.copy_context().run, d.__setitem__, "a", 1).result()

    assert d.ttl("a") is None


def test_block_in_force_in_a_copied_context_of_the_thread(d: RedisJSONDict) -> None:
    with d.expire_at(60):
        contextvars.copy_context().run(d.__setitem__, "a", 1)

    assert seconds(d.ttl("a")) == 60


def test_block_is_not_inherited_by_tasks(d: RedisJSONDict) -> None:
    async def put(name: str) -> None:
        d[name] = 1

    async def own(name: str) -> None:
        with d.expire_at(HOUR):
            await asyncio.sleep(0)
            d[name] = 1

    async def main() -> None:
        with d.expire_at(60):
            task = asyncio.create_task(put("child"))
            await asyncio.gather(put("gathered"), own("own"), task)
            await asyncio.to_thread(d.__setitem__, "thread", 1)
            await put("awaited")
            d["mine"] = 1

    with d.expire_at(20):
        d["outside"] = 1
        asyncio.run(main())
        d["outside again"] = 1

    for name in ("child", "gathered", "thread"):
        assert d.ttl(name) is None
    assert seconds(d.ttl("awaited")) == seconds(d.ttl("mine")) == 60
    assert seconds(d.ttl("own")) == HOUR
    assert seconds(d.ttl("outside")) == seconds(d.ttl("outside again")) == 20


def test_blocks_of_many_tasks_do_not_mix(d: RedisJSONDict) -> None:
    async def worker(number: int) -> None:
        with d.expire_at(100 * number):
            await asyncio.sleep(0)
            d[f"{number} a"] = 1
            with d.expire_at(100 * number + 50):
                await asyncio.sleep(0)
                d[f"{number} b"] = 1
            await asyncio.sleep(0)
            d[f"{number} c"] = 1
        d[f"{number} d"] = 1

    async def main() -> None:
        await asyncio.gather(*map(worker, range(1, 20)))

    asyncio.run(main())
    for number in range(1, 20):
        assert [seconds(d.ttl(f"{number} {part}")) for part in "abcd"] == [
            100 * number,
            100 * number + 50,
            100 * number,
            None,
        ]


def test_blocks_of_many_threads_do_not_mix(d: RedisJSONDict) -> None:
    barrier = threading.Barrier(8)

    def worker(number: int) -> None:
        barrier.wait()
        for turn in range(10):
            with d.expire_at(100 * number):
                d[f"{number} {turn}"] = 1
            d[f"{number} {turn} after"] = 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(worker, range(1, 9)))

    for number in range(1, 9):
        for turn in range(10):
            assert seconds(d.ttl(f"{number} {turn}")) == 100 * number
            assert d.ttl(f"{number} {turn} after") is None


def test_ttl_is_seconds_as_float(d: RedisJSONDict) -> None:
    d["a"] = 1
    d.expire("a", 59.5)
    left = d.ttl("a")

    assert type(left) is float
    assert 0 < left <= 59.5


def test_expire_and_persist_return_what_they_say(d: RedisJSONDict) -> None:
    d["a"] = {"x": 1}

    assert d.expire("a", timedelta(minutes=1)) is None
    assert seconds(d.ttl("a")) == 60
    assert d.persist("a") is True
    assert d.persist("a") is False
    assert d.ttl("a") is None
    assert d["a"] == {"x": 1}


def test_expireat_takes_a_moment(d: RedisJSONDict, client: Any, prefix: str) -> None:
    d["a"] = 1
    for when in (1_893_456_000, 1_893_456_000.0, datetime(2030, 1, 1, tzinfo=UTC)):
        d.persist("a")

        assert d.expireat("a", when) is None
        assert client.pexpiretime(f"{prefix}a") == 1_893_456_000_000


@pytest.mark.parametrize("when", [0, 1, datetime(2001, 1, 1, tzinfo=UTC)], ids=brief)
def test_expireat_in_the_past_ends_the_document(d: RedisJSONDict, when: Any) -> None:
    d["a"] = 1
    d.expireat("a", when)

    assert "a" not in d


def test_longest_times_are_taken(d: RedisJSONDict) -> None:
    d["a"] = 1
    d.expire("a", 2**53 // 1000)
    assert d.ttl("a") > 2**53 // 1000 - 1000
    d.expireat("a", 2**53 // 1000)
    assert d.ttl("a") > 0
    with d.expire_at(2**53 // 1000):
        d["a"] = 2
    assert d.ttl("a") > 2**53 // 1000 - 1000


TIMES: dict[str, Callable[[RedisJSONDict, Any], Any]] = {
    "ttl": lambda d, key: d.ttl(key),
    "expire": lambda d, key: d.expire(key, 60),
    "expireat": lambda d, key: d.expireat(key, 2_000_000_000),
    "persist": lambda d, key: d.persist(key),
}


@pytest.mark.parametrize("verb", TIMES)
@pytest.mark.parametrize("key", ["missing", "", "a b", "'\"", "\\", "\x00", "\U0001f600"])
def test_time_of_a_missing_document(d: RedisJSONDict, verb: str, key: str) -> None:
    with pytest.raises(KeyError) as caught:
        TIMES[verb](d, key)

    assert caught.value.args == (key,)
    assert len(d) == 0


@pytest.mark.parametrize("key", ["", "a b", "'\"", "\\", "\x00", "\U0001f600", "*", "$.x"])
def test_time_of_every_name(d: RedisJSONDict, key: str) -> None:
    d[key] = 1
    d.expire(key, 60)
    assert seconds(d.ttl(key)) == 60
    d.expireat(key, 2_000_000_000)
    assert d.ttl(key) > 60
    assert d.persist(key) is True
    with d.expire_at(60):
        d[key] = 2
    assert seconds(d.ttl(key)) == 60


@pytest.mark.parametrize("verb", TIMES)
@pytest.mark.parametrize("key", [("a",), ("a", "x"), 1, None, b"a", ["a"]], ids=brief)
def test_time_of_what_is_no_key(d: RedisJSONDict, verb: str, key: Any) -> None:
    d["a"] = {"x": 1}
    d.expire("a", LEFT)
    with pytest.raises((TypeError, KeyError)):
        TIMES[verb](d, key)

    assert seconds(d.ttl("a")) == LEFT


FOREIGN: dict[str, Callable[[RedisJSONDict], Any]] = {
    "ttl": lambda d: d.ttl("foreign"),
    "expire": lambda d: d.expire("foreign", 60),
    "expireat": lambda d: d.expireat("foreign", 2_000_000_000),
    "expireat past": lambda d: d.expireat("foreign", 1),
    "persist": lambda d: d.persist("foreign"),
    "assign": lambda d: d.__setitem__("foreign", 1),
    "update": lambda d: d.update({"doc": 1, "foreign": 1}),
    "setdefault": lambda d: d.setdefault("foreign", 1),
    "incr": lambda d: d.incr("foreign"),
    "rename": lambda d: d.rename("doc", "foreign"),
    "rename it": lambda d: d.rename("foreign", "new"),
    "del": lambda d: d.__delitem__("foreign"),
    "pop": lambda d: d.pop("foreign"),
}


@pytest.mark.parametrize("left", [None, LEFT])
@pytest.mark.parametrize("verb", FOREIGN)
@pytest.mark.parametrize("kind", ["set", "hset"])
def test_foreign_keys_keep_their_time(
    d: RedisJSONDict, client: Any, prefix: str, verb: str, kind: str, left: int | None
) -> None:
    key = f"{prefix}foreign"
    getattr(client, kind)(key, *(["text"] if kind == "set" else ["field", "text"]))
    if left:
        client.expire(key, left)
    d["doc"] = 1
    d.expire("doc", LEFT)
    before = client.dump(key)
    with pytest.raises(NotADocumentError), d.expire_at(60):
        FOREIGN[verb](d)

    assert client.dump(key) == before
    assert seconds(client.ttl(key) if left else None) == left
    assert seconds(d.ttl("doc")) == LEFT
    assert client.ttl(key) == -1 or left


@pytest.mark.parametrize(("span", "error"), [*BAD_SPANS, (None, UnsupportedValueError)], ids=brief)
def test_bad_span_changes_no_document(d: RedisJSONDict, span: Any, error: Any) -> None:
    d["a"] = 1
    d.expire("a", LEFT)
    with pytest.raises(error):
        d.expire("a", span)

    assert d["a"] == 1
    assert seconds(d.ttl("a")) == LEFT


@pytest.mark.parametrize(("when", "error"), BAD_MOMENTS, ids=brief)
def test_bad_moment_changes_no_document(d: RedisJSONDict, when: Any, error: Any) -> None:
    d["a"] = 1
    d.expire("a", LEFT)
    with pytest.raises(error):
        d.expireat("a", when)

    assert d["a"] == 1
    assert seconds(d.ttl("a")) == LEFT


class Effect(NamedTuple):
    """A verb, and the time to live that a document has afterwards.

    Attributes:
        call: it, on a dict that assigns for 60 seconds.
        left: what "doc" has left; it had `LEFT`. ``...``: it is gone.
        others: what other documents have left.
    """

    call: Callable[[Any], Any]
    left: Any = LEFT
    others: dict[str, int | None] = {}


def put(place: Any, key: Any, value: Any) -> None:
    place[key] = value


def drop(place: Any, key: Any) -> None:
    del place[key]


def union(place: Any, other: Any) -> None:
    place |= other


def extend(place: Any, other: Any) -> None:
    place += other


def repeat(place: Any, times: int) -> None:
    place *= times


def first(items: Any) -> Any:
    return next(iter(items))


CONTENT: dict[str, Any] = {
    "n": 1,
    "f": True,
    "t": "x",
    "l": [3, 1, 2, [4], {"k": 5}],
    "o": {"a": 1, "b": {"c": [0]}},
    "a\\b": {"x": [1]},
    " lead": [2],
    "last": 0,
}

NESTED: dict[str, Callable[[Any], Any]] = {
    "get": lambda o: o["n"],
    "get path": lambda o: o["o", "b", "c", 0],
    "get default": lambda o: o.get("missing", 1),
    "in": lambda o: "n" in o,
    "len": len,
    "iter": list,
    "items": lambda o: list(o.items()),
    "to_python": lambda o: o.to_python(),
    "query": lambda o: o.query("$..x"),
    "get_many": lambda o: o.get_many(["n", "l"]),
    "==": lambda o: o == {},
    "put": lambda o: put(o, "n", 2),
    "put new": lambda o: put(o, "new", [1]),
    "put path": lambda o: put(o, ("o", "b", "d"), 1),
    "put repaired": lambda o: put(o, "n", UNSPELLABLE),
    "put odd name": lambda o: put(o, "b\\c", 1),
    "put below odd name": lambda o: put(o["a\\b"], "x", 1),
    "put += 1": lambda o: put(o, "n", o["n"] + 1),
    "del": lambda o: drop(o, "n"),
    "del odd name": lambda o: drop(o, "a\\b"),
    "del all": lambda o: [drop(o, name) for name in list(o)],
    "pop": lambda o: o.pop("n"),
    "pop default": lambda o: o.pop("missing", 1),
    "pop odd name": lambda o: o.pop("a\\b"),
    "pop all": lambda o: [o.pop(name) for name in list(o)],
    "popitem": lambda o: o.popitem(),
    "popitem all": lambda o: [o.popitem() for _ in range(len(o))],
    "clear": lambda o: o.clear(),
    "setdefault": lambda o: o.setdefault("n", 5),
    "setdefault new": lambda o: o.setdefault("new", 5),
    "setdefault odd name": lambda o: o.setdefault("b\\c", 5),
    "update": lambda o: o.update(n=5, new=6),
    "update odd name": lambda o: o.update({"b\\c": 6}),
    "|=": lambda o: union(o, {"n": 5}),
    "incr": lambda o: o.incr("n"),
    "incr new": lambda o: o.incr("new"),
    "incr big": lambda o: o.incr("n", 2**53),
    "toggle": lambda o: o.toggle("f"),
    "concat": lambda o: o.concat("t", "y"),
    "merge": lambda o: o.merge({"n": None, "o": {"a": 2}}),
    "merge all away": lambda o: o.merge(dict.fromkeys(CONTENT)),
    "replace": lambda o: o.replace({"z": UNSPELLABLE}),
    "modify": lambda o: o.modify(lambda value: {**value, "n": 7}),
    "append": lambda o: o["l"].append(5),
    "append maxlen": lambda o: o["l"].append(5, maxlen=2),
    "append repaired": lambda o: o["l"].append(UNSPELLABLE),
    "+=": lambda o: extend(o["l"], [5]),
    "+= in place": lambda o: put(o, "l", o["l"].__iadd__([1])),
    "extend": lambda o: o["l"].extend([5]),
    "insert": lambda o: o["l"].insert(0, 5),
    "put element": lambda o: put(o["l"], 0, 5),
    "put last": lambda o: put(o["l"], -1, 5),
    "put slice": lambda o: put(o["l"], slice(0, 2), [5]),
    "put extended slice": lambda o: put(o["l"], slice(None, None, 2), [5, 6, 7]),
    "del element": lambda o: drop(o["l"], 0),
    "del slice": lambda o: drop(o["l"], slice(0, 2)),
    "del every element": lambda o: drop(o["l"], slice(None)),
    "pop element": lambda o: o["l"].pop(),
    "remove": lambda o: o["l"].remove(1),
    "remove container": lambda o: o["l"].remove([4]),
    "reverse": lambda o: o["l"].reverse(),
    "sort": lambda o: o["l"].sort(key=str),
    "*=": lambda o: repeat(o["l"], 2),
    "*= 0": lambda o: repeat(o["l"], 0),
    "trim": lambda o: o["l"].trim(1, 2),
    "clear array": lambda o: o["l"].clear(),
    "replace array": lambda o: o["l"].replace([1]),
    "append below odd name": lambda o: o[" lead"].append(1),
}

ON_DOCUMENT: dict[str, Callable[[Any], Any]] = {  # r refers to the document, or is its path
    "get": lambda r: r.get(),
    "exists": lambda r: r.exists(),
    "kind": lambda r: r.kind(),
    "to_python": lambda r: r.to_python(),
    "put below": lambda r: put(r, "n", 1),
    "delete below": lambda r: r["n"].delete(),
    "set below": lambda r: r["o", "b"].set(1),
    "update": lambda r: r.update(n=UNSPELLABLE),
    "clear": lambda r: r.clear(),
    "merge": lambda r: r.merge({"n": None}),
    "replace": lambda r: r.replace({"z": 1}),
    "modify": lambda r: r.modify(lambda value: {}),
    "pop below": lambda r: r.pop("n"),
    "popitem": lambda r: r.popitem(),
    "setdefault below": lambda r: r.setdefault("new", 1),
    "incr below": lambda r: r.incr("n"),
    "deep": lambda r: r["o"]["b"]["c"].append(1),
}

TOP: dict[str, Effect] = {
    "get": Effect(lambda d: d["doc"]),
    "get_many": Effect(lambda d: d.get_many(["doc", ("doc", "n")])),
    "in": Effect(lambda d: "doc" in d),
    "iter": Effect(lambda d: list(d)),
    "values": Effect(lambda d: list(d.values())),
    "to_python": Effect(lambda d: d.to_python()),
    "==": Effect(lambda d: d == {}),
    "assign": Effect(lambda d: put(d, "doc", 1), 60),
    "assign repaired": Effect(lambda d: put(d, "doc", {"x": [UNSPELLABLE]}), 60),
    "assign new": Effect(lambda d: put(d, "new", 1), LEFT, {"new": 60}),
    "assign copy": Effect(lambda d: put(d, "new", d["doc"]), LEFT, {"new": 60}),
    "assign itself": Effect(lambda d: put(d, "doc", d["doc"])),
    "assign itself as plain data": Effect(lambda d: put(d, "doc", d["doc"].to_python()), 60),
    "assign path": Effect(lambda d: put(d, ("doc", "n"), 1)),
    "assign path of one": Effect(lambda d: put(d, ("doc",), 1), 60),
    "set by reference": Effect(lambda d: d.at("doc").set(1), 60),
    "set new by reference": Effect(lambda d: d.at("new").set(1), LEFT, {"new": 60}),
    "update": Effect(lambda d: d.update(doc=1, new=2), 60, {"new": 60}),
    "update repaired": Effect(lambda d: d.update(doc=UNSPELLABLE, new=2), 60, {"new": 60}),
    "|=": Effect(lambda d: union(d, {"doc": 1}), 60),
    "update nothing": Effect(lambda d: d.update()),
    "setdefault": Effect(lambda d: d.setdefault("doc", 1)),
    "setdefault new": Effect(lambda d: d.setdefault("new", 1), LEFT, {"new": 60}),
    "setdefault new container": Effect(lambda d: d.setdefault("new", []), LEFT, {"new": 60}),
    "setdefault path": Effect(lambda d: d.setdefault(("doc", "new"), 1)),
    "incr": Effect(lambda d: d.incr("number"), LEFT, {"number": None}),
    "incr new": Effect(lambda d: d.incr("new"), LEFT, {"new": 60}),
    "incr new float": Effect(lambda d: d.incr("new", UNSPELLABLE), LEFT, {"new": 60}),
    "incr new by reference": Effect(lambda d: d.at("new").incr(), LEFT, {"new": 60}),
    "incr big": Effect(lambda d: d.incr("number", 2**53), LEFT, {"number": None}),
    "incr path": Effect(lambda d: d.incr(("doc", "n"))),
    "incr new path": Effect(lambda d: d.incr(("doc", "new"))),
    "toggle": Effect(lambda d: d.toggle(("doc", "f"))),
    "concat": Effect(lambda d: d.concat(("doc", "t"), "y")),
    "del": Effect(lambda d: drop(d, "doc"), ...),
    "del path": Effect(lambda d: drop(d, ("doc", "n"))),
    "pop": Effect(lambda d: d.pop("doc"), ...),
    "pop path": Effect(lambda d: d.pop(("doc", "n"))),
    "pop other": Effect(lambda d: d.pop("missing", None)),
    "rename": Effect(lambda d: d.rename("doc", "new"), ..., {"new": LEFT}),
    "rename over permanent": Effect(lambda d: d.rename("doc", "number"), ..., {"number": LEFT}),
    "rename permanent over": Effect(lambda d: d.rename("number", "doc"), None, {"number": ...}),
    "rename to itself": Effect(lambda d: d.rename("doc", "doc")),
    "ttl": Effect(lambda d: d.ttl("doc")),
    "expire": Effect(lambda d: d.expire("doc", 20), 20),
    "persist": Effect(lambda d: d.persist("doc"), None),
    "clear": Effect(lambda d: d.clear(), ..., {"number": ...}),
    "popitem": Effect(lambda d: [d.popitem(), d.popitem()], ..., {"number": ...}),
    "delete and assign": Effect(lambda d: [d.pop("doc"), put(d, "doc", 1)], 60),
    "nested +=": Effect(lambda d: put(d, ("doc", "l"), d["doc", "l"].__iadd__([1]))),
    "scalar += 1": Effect(lambda d: put(d, "number", d["number"] + 1), LEFT, {"number": 60}),
}


def left(d: RedisJSONDict, key: str) -> Any:
    try:
        return seconds(d.ttl(key))
    except KeyError:
        return ...


@pytest.fixture
def standing(timed: Any, d: RedisJSONDict) -> RedisJSONDict:
    """A dict that assigns for 60 seconds, and holds a document with `LEFT`, and a permanent one."""
    d["doc"], d["number"] = CONTENT, 1
    d.expire("doc", LEFT)
    return timed(expire=60)


@pytest.mark.parametrize("verb", NESTED)
def test_nested_verb_keeps_the_time(standing: RedisJSONDict, verb: str) -> None:
    with standing.expire_at(20):
        NESTED[verb](standing["doc"])

    assert left(standing, "doc") == LEFT


@pytest.mark.parametrize("verb", NESTED)
def test_nested_verb_keeps_a_document_permanent(standing: RedisJSONDict, verb: str) -> None:
    standing.persist("doc")
    NESTED[verb](standing["doc"])

    assert left(standing, "doc") is None


@pytest.mark.parametrize("verb", NESTED)
def test_deeper_verb_keeps_the_time(standing: RedisJSONDict, verb: str) -> None:
    standing["deep"] = {"x": [0, CONTENT]}
    standing.expire("deep", LEFT)
    NESTED[verb](standing["deep", "x", -1])

    assert left(standing, "deep") == LEFT


@pytest.mark.parametrize("verb", ON_DOCUMENT)
def test_reference_verb_keeps_the_time(standing: RedisJSONDict, verb: str) -> None:
    ON_DOCUMENT[verb](standing.at("doc"))

    assert left(standing, "doc") == LEFT


@pytest.mark.parametrize("verb", TOP)
def test_top_level_verb_and_the_time(standing: RedisJSONDict, verb: str) -> None:
    effect = TOP[verb]
    effect.call(standing)

    assert left(standing, "doc") == effect.left
    for name, expected in effect.others.items():
        assert (name, left(standing, name)) == (name, expected)


@pytest.mark.parametrize("verb", TOP)
def test_without_expire_what_is_assigned_is_permanent(
    standing: RedisJSONDict, d: RedisJSONDict, verb: str
) -> None:
    effect = TOP[verb]
    effect.call(d)

    assert left(d, "doc") == (None if effect.left == 60 else effect.left)
    for name, expected in effect.others.items():
        assert left(d, name) == (None if expected == 60 else expected)


@pytest.mark.parametrize("verb", TOP)
def test_block_gives_the_time_as_the_option_does(
    standing: RedisJSONDict, d: RedisJSONDict, verb: str
) -> None:
    effect = TOP[verb]
    with d.expire_at(60):
        effect.call(d)

    assert left(d, "doc") == effect.left
    for name, expected in effect.others.items():
        assert left(d, name) == expected


FAILING: dict[str, Callable[[RedisJSONDict], Any]] = {
    "assign NaN": lambda d: put(d, "doc", math.nan),
    "assign object": lambda d: put(d, "doc", object()),
    "update": lambda d: d.update({"doc": 1, "other": {1: 2}}),
    "incr an object": lambda d: d.incr("doc"),
    "toggle": lambda d: d.toggle("doc"),
    "rename missing": lambda d: d.rename("missing", "doc"),
    "nested type": lambda d: d.at("doc", "n").append(1),
    "missing member": lambda d: drop(d, ("doc", "missing")),
    "odd float": lambda d: put(d, "doc", {"a\\b": UNSPELLABLE, "c\\": [UNSPELLABLE]}),
}


@pytest.mark.parametrize("verb", FAILING)
def test_verb_that_fails_keeps_the_time(standing: RedisJSONDict, verb: str) -> None:
    with pytest.raises((TypeError, ValueError, KeyError)):
        FAILING[verb](standing)

    assert left(standing, "doc") == LEFT
    assert standing["doc"] == CONTENT


ATOMIC: dict[str, Callable[[RedisJSONDict], Any]] = {
    "assign": lambda d: put(d, "new", 1),
    "assign over": lambda d: put(d, "number", {"x": UNSPELLABLE}),
    "update": lambda d: d.update(new=1, number=UNSPELLABLE),
    "setdefault": lambda d: d.setdefault("new", [UNSPELLABLE]),
    "incr": lambda d: d.incr("new", UNSPELLABLE),
    "reference": lambda d: d.at("new").set(1),
}


@pytest.mark.parametrize("verb", ATOMIC)
def test_value_and_time_go_in_one_command(
    standing: RedisJSONDict, client: Any, prefix: str, verb: str
) -> None:
    ATOMIC[verb](standing)  # the server knows the script now
    standing.pop("new", None)
    end = uuid.uuid4().hex
    sent = []
    with client.monitor() as monitor:
        ATOMIC[verb](standing)
        client.echo(end)
        for command in monitor.listen():
            if end in command["command"]:
                break
            if prefix in command["command"]:
                sent.append((command["client_type"] == "lua", command["command"].split()[0]))

    assert [name for inner, name in sent if not inner] == ["EVALSHA"]
    assert "PEXPIRE" in [name for inner, name in sent if inner]


def test_document_is_never_seen_without_its_time(url: str, timed: Any, prefix: str) -> None:
    d = timed(expire=60)
    done = threading.Event()
    seen: set[int] = set()

    def poll() -> None:
        with redis.Redis.from_url(url) as other:
            while not done.is_set():
                seen.update(other.ttl(f"{prefix}{name}") for name in "abc")

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        for number in range(150):
            d["a"] = {"n": number, "x": UNSPELLABLE}
            d.update(b=number, c=[UNSPELLABLE])
            if number % 5 == 0:
                d.clear()
                d.setdefault("b", number)
                d.incr("c")
    finally:
        done.set()
        thread.join()

    assert -1 not in seen
    assert max(seen) > 0


def test_block_that_never_ended_is_not_in_force(d: RedisJSONDict) -> None:
    """An interrupt between entering and the first line leaves a block that nobody will end."""
    d.expire_at(60).__enter__()
    d["x"] = 1
    assert d.ttl("x") is None
    with d.expire_at(50):
        d["y"] = 1
    assert 40 < (d.ttl("y") or 0) <= 50
