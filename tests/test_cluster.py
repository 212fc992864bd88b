"""Every verb on a real Redis Cluster, while slots move and primaries change."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
import redis.asyncio
from clusters import HOST, LocalCluster, Node, kill, until
from conformance import (
    ELEMENTS,
    MAPPING,
    MAPPING_CASES,
    MEMBERS,
    ORDERED,
    SEQUENCE_CASES,
    Make,
    check_case,
)
from redis.cluster import RedisCluster
from redis.crc import key_slot

import redisjson_dict.asyncio
from redisjson_dict import (
    NotADocumentError,
    PipelineError,
    RedisJSONDict,
    StaleLocationError,
)
from redisjson_dict.server import ServerError, binaries

AsyncDict = redisjson_dict.asyncio.RedisJSONDict

pytestmark = pytest.mark.skipif(
    not binaries(), reason="no server program with JSON on this machine"
)

ODD = ["", " ", "{", "}", "{}", "{}x", "a{b}c", "a}{b}", "\x00", "a\nb", "é", "\U0001f600"]
ODD += ["*", "[x]", "\\", "'", '"', "k" * 5000, "{a", "$.x"]


@pytest.fixture(scope="session")
def cluster() -> Iterator[LocalCluster]:
    """Three primaries; the first has a replica."""
    try:
        made = LocalCluster(3, replicas=1)
    except ServerError as error:
        pytest.skip(str(error))
    with made:
        yield made


@pytest.fixture(scope="session")
def shared(cluster: LocalCluster) -> RedisCluster:
    return cluster.client()


@pytest.fixture
def prefix(cluster: LocalCluster) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:12]}:"
    yield name
    for node in cluster.primaries():
        for key in node.client.scan_iter(match=f"*{name}*", count=10_000):
            node.client.delete(key)


@pytest.fixture
def d(shared: RedisCluster, prefix: str) -> RedisJSONDict:
    """An empty dict whose keys are spread over the slots."""
    return RedisJSONDict(shared, prefix)


@pytest.fixture
def lab(shared: RedisCluster, prefix: str) -> RedisJSONDict:
    """An empty dict whose keys all share one slot."""
    return RedisJSONDict(shared, f"{{{prefix}}}:")


@pytest.fixture
def awaited(cluster: LocalCluster, prefix: str) -> Callable[..., Any]:
    """Run a coroutine function on an asyncio dict with a client of its own."""

    def run(act: Callable[[AsyncDict], Awaitable[Any]], prefix: str = prefix) -> Any:
        async def main() -> Any:
            port = cluster.primaries()[0].port
            async with redis.asyncio.RedisCluster(host=HOST, port=port) as client:
                return await act(AsyncDict(client, prefix))

        return asyncio.run(main())

    return run


def slot_of(lab: RedisJSONDict) -> int:
    """Return the slot of a dict whose keys share one."""
    return key_slot(lab._space.document("x").key)


def on_each_node(cluster: LocalCluster, prefix: str, count: int) -> dict[Node, list[str]]:
    """Return names whose keys are on each primary, as many on each."""
    found: dict[Node, list[str]] = {node: [] for node in cluster.primaries()}
    for number in itertools.count():
        name = f"n{number}"
        node = cluster.owner(key_slot((prefix + name).encode()))
        if len(found[node]) < count:
            found[node].append(name)
        elif all(len(names) == count for names in found.values()):
            return found


def many(count: int) -> dict[str, Any]:
    return {f"k{number}": {"n": number, "l": [number, None]} for number in range(count)}


def in_threads(count: int, work: Callable[[int], None]) -> list[BaseException]:
    """Run a function in several threads; return what they raised."""
    raised: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


# Every verb


@pytest.fixture
def mapping(shared: RedisCluster, prefix: str) -> Make:
    numbers = itertools.count()

    def make(content: Any) -> RedisJSONDict:
        made = RedisJSONDict(shared, f"{prefix}{next(numbers)}:")
        made.update(content)
        return made

    return make


@pytest.fixture
def nested(d: RedisJSONDict) -> Make:
    numbers = itertools.count()

    def make(content: Any) -> Any:
        name = f"doc{next(numbers)}"
        d[name] = {"a": [0, {"b": content}]}
        return d[name, "a", 1, "b"]

    return make


def test_dict_does_as_dict(mapping) -> None:
    for check in MAPPING:
        check(mapping)


def test_dict_agrees_with_dict(mapping) -> None:
    for case in MAPPING_CASES[::4]:  # all of them are tried on one server
        check_case(case, "m", MEMBERS, dict, mapping)


def test_object_does_as_dict(nested) -> None:
    for check in MAPPING + ORDERED:
        check(nested)
    for case in MAPPING_CASES:
        check_case(case, "m", MEMBERS, dict, nested)


def test_array_does_as_list(nested) -> None:
    for case in SEQUENCE_CASES:
        check_case(case, "a", ELEMENTS, list, nested)


@pytest.mark.parametrize("options", [{"protocol": 2}, {"decode_responses": True}], ids=str)
def test_settings_of_client(cluster, prefix, options) -> None:
    d = RedisJSONDict(cluster.client(**options), prefix)
    d.update(many(50))
    d["k1"]["l"].append("é")

    assert d.to_python() == many(50) | {"k1": {"n": 1, "l": [1, None, "é"]}}
    assert d.pop("k1") == {"n": 1, "l": [1, None, "é"]}
    assert (d.incr(("k2", "n")), len(d), "k1" in d) == (3, 49, False)
    with d.pipeline(atomic=False) as batch:
        pending = [batch.incr((f"k{number}", "n")) for number in range(2, 50)]
    assert [p.result() for p in pending] == [4, *range(4, 51)]
    d.clear()
    assert not d


def test_verbs_of_every_document(cluster, d, prefix) -> None:
    for name in itertools.chain(*on_each_node(cluster, prefix, 2).values()):
        d[name] = {"n": 1, "f": True, "t": "a", "l": [3, 1, 2], "o": {}}
        o, at = d[name], d.at(name, "l")
        assert (d.incr((name, "n"), 2), o.incr("n"), at.incr(0)) == (3, 4, 4)
        assert (d.toggle((name, "f")), o.toggle("f")) == (False, True)
        d.concat((name, "t"), "b")
        o.concat("t", "c")
        o.merge({"m": {"x": None, "y": 1}})
        o["o"].update(z=0.1 + 0.2)
        at.append({"k": None}, maxlen=3)
        at.trim(1, 2)
        o["l"].extend([9, 8])
        o["l"].sort(key=str)
        assert o.modify(lambda value: value | {"new": [0]})["new"] == [0]
        assert d.setdefault((name, "new"), 1) == [0]
        d[name, "new", 0] = "é"
        assert o.query("$..n") == [4]
        assert o.get_many(["n", ("l", 0), "none"]) == {"n": 4, ("l", 0): 2}
        assert d.get((name, "none"), 7) == 7
        del d[name, "f"]
        assert d.pop((name, "m")) == {"y": 1}
        expected = {"n": 4, "t": "abc", "o": {"z": 0.1 + 0.2}, "new": ["é"]}
        assert {k: v for k, v in o.to_python().items() if k != "l"} == expected
        assert (o["l", -1], len(o["l"]), o["l"].index(9)) == (9, 3, 2)
        assert d.at(name, "l").kind() == "array"
        o.replace({"only": 1})
        assert d[name] == {"only": 1}
        assert d.at(name).delete() is None
        with pytest.raises(StaleLocationError):
            o["only"] = 2
        with pytest.raises(KeyError) as missing:
            d.at(name, "l").append(1)
        assert missing.value.args == ((name, "l"),)
        assert name not in d


def test_asyncio_verbs_of_every_document(cluster, awaited, prefix) -> None:
    async def act(d: AsyncDict) -> None:
        for name in itertools.chain(*on_each_node(cluster, prefix, 2).values()):
            await d[name].set({"n": 1, "f": True, "t": "a", "l": [3, 1, 2], "o": {}})
            o, array = d[name], d[name]["l"]
            assert await d.incr((name, "n"), 2) == 3
            assert await o.incr("n") == 4
            assert await array.incr(0) == 4
            assert (await d.toggle((name, "f")), await o.toggle("f")) == (False, True)
            await d.concat((name, "t"), "b")
            await o["o"].update(z=0.1 + 0.2)
            await array.append({"k": None}, maxlen=3)
            await array.extend([9, 8])
            await array.insert(0, 0)
            assert await array.pop() == 8
            await array.reverse()
            await array.remove(9)
            assert await array.get() == [{"k": None}, 2, 1, 0]
            assert (await array.length(), await array.index(1), await array.count(2)) == (4, 2, 1)
            await array.trim(1, 3)
            await array.sort()
            assert await array.get_slice(slice(None)) == [1, 2]
            assert await o.keys() == ["n", "f", "t", "l", "o"]
            assert {k async for k, _ in o.items()} == {"n", "f", "t", "l", "o"}
            assert [x async for x in array.elements()] == [1, 2]
            assert await o.setdefault("new", []) is not None
            assert (await o.modify(lambda value: value | {"m": 1}))["m"] == 1
            await o.merge({"m": None})
            assert await o.query("$.n") == [4]
            assert (await o.popitem())[0] == "new"
            assert await o.get_many(["n", "none"]) == {"n": 4}
            assert await o.contains("n")
            assert await o["n"].kind() == "integer"
            assert await d.pop((name, "o")) == {"z": 0.1 + 0.2}
            await o.replace({"only": 1})
            assert await d.get(name) == {"only": 1}
            await d.expire(name, 100)
            assert 0 < await d.ttl(name) <= 100
            assert await d.persist(name)
            await d.delete(name)
            assert not await d.contains(name)
            with pytest.raises(KeyError):
                await o["l"].append(1)

    awaited(act)


@pytest.mark.parametrize("name", ODD, ids=ascii)
def test_odd_keys(d, awaited, name) -> None:
    d[name] = {name: [1]}
    d[name][name].append(2)
    assert d.incr((name, "n")) == 1
    assert (list(d), name in d, len(d)) == ([name], True, 1)
    assert d.to_python() == {name: {name: [1, 2], "n": 1}} == d
    assert d.get_many([name, (name, name, -1)]) == {name: d[name], (name, name, -1): 2}
    d.rename(name, name)
    d.expire(name, 100)

    async def act(d: AsyncDict) -> None:
        assert await d.incr((name, "n")) == 2
        assert await d[name][name].get() == [1, 2]
        assert await d.to_python() == {name: {name: [1, 2], "n": 2}}
        assert await d.keys() == [name]
        assert await d.ttl(name) > 0
        async with d.pipeline() as batch:
            pending = batch.incr((name, "n"))
        assert pending.result() == 3

    awaited(act)
    assert d.pop(name) == {name: [1, 2], "n": 3}
    assert not d


# Several slots at once


def test_bulk_verbs_over_all_slots(d, cluster, prefix) -> None:
    content = many(2500)
    d.update(content)

    assert len(d) == 2500
    assert sorted(d) == sorted(content)
    assert d.to_python() == content == d
    assert {key: value.to_python() for key, value in d.items()} == content
    assert sorted(v["n"] for v in d.values()) == list(range(2500))
    wanted = [*content, "none", ("k7", "n"), ("k8", "l", -1), ("k9", "none")]
    found = d.get_many(wanted)
    assert list(found) == [*content, ("k7", "n"), ("k8", "l", -1)]
    assert (found["k3"].to_python(), found["k7", "n"]) == (content["k3"], 7)
    assert all(node.client.dbsize() > 500 for node in cluster.primaries())
    other = RedisJSONDict(d._run.client, prefix[:-1] + "|")
    other["keep"] = 1
    d.clear()
    assert (len(d), bool(d), dict(d), other.pop("keep")) == (0, False, {}, 1)


def test_asyncio_bulk_verbs_over_all_slots(awaited) -> None:
    content = many(2500)

    async def act(d: AsyncDict) -> None:
        await d.update(content)
        assert await d.length() == 2500
        assert sorted([key async for key in d]) == sorted(content) == sorted(await d.keys())
        assert await d.to_python() == content
        assert {key async for key, _ in d.items()} == set(content)
        found = await d.get_many([*content, "none", ("k7", "n")])
        assert list(found) == [*content, ("k7", "n")]
        await d.clear()
        assert await d.length() == 0

    awaited(act)


def test_popitem_takes_each_document_once(d) -> None:
    content = many(200)
    d.update(content)
    taken: list[tuple[str, Any]] = []

    def work(_: int) -> None:
        with contextlib.suppress(KeyError):
            while True:
                taken.append(d.popitem())

    assert in_threads(4, work) == []
    assert (len(taken), dict(taken), len(d)) == (200, content, 0)


BULK: dict[str, Callable[[RedisJSONDict], Any]] = {
    "update": lambda d: d.update(many(1000)),
    "get_many": lambda d: d.get_many(many(1000)),
    "to_python": lambda d: d.to_python(),
    "items": lambda d: dict(d.items()),
    "==": lambda d: d == many(1000),
    "len": lambda d: len(d),
    "clear": lambda d: d.clear(),
    "pipeline": lambda d: appended_to(d, many(1000)),
}


def appended_to(d: RedisJSONDict, names: Iterable[str]) -> None:
    with d.pipeline(atomic=False) as batch:
        for name in names:
            batch[name]["l"].append(1)


@pytest.mark.parametrize("verb", BULK)
def test_bulk_verbs_do_not_ask_for_each_document(cluster, d, verb) -> None:
    """How often each server had to read from a socket for a thousand documents."""
    d.update(many(1000))
    BULK[verb](d)  # every script is known, every connection is open
    d.update(many(1000))
    before = [node.client.info("stats") for node in cluster.primaries()]

    BULK[verb](d)

    after = [node.client.info("stats") for node in cluster.primaries()]
    for old, new in zip(before, after, strict=True):
        reads = new["total_reads_processed"] - old["total_reads_processed"]
        assert 2 <= reads < 60  # one write of 6,000 bytes after the other, for 333 documents


def test_update_with_a_foreign_key_leaves_other_slots_whole(cluster, d, shared, prefix) -> None:
    nodes = on_each_node(cluster, prefix, 3)
    names = list(itertools.chain(*nodes.values()))
    shared.set(prefix + names[0], "foreign")

    with pytest.raises(NotADocumentError):
        d.update(dict.fromkeys(names, 1))

    assert shared.get(prefix + names[0]) == b"foreign"
    assert d.to_python().items() <= dict.fromkeys(names[1:], 1).items()


# Hash tags


def test_hash_tag_keeps_documents_together(lab, awaited, prefix) -> None:
    content = many(1200)
    lab.update(content)
    assert lab == content
    lab.rename("k1", "k2")
    lab.rename("k3", "new")
    with lab.pipeline() as batch:
        lab["x"] = 1
        lab["k4"]["l"].append(2)
        batch["k5"]["l"].pop()
        pending = batch.incr(("k6", "n"))
        lab.rename("k7", "k8")
    assert pending.result() == 7
    del content["k1"], content["k3"], content["k7"]
    content |= {"k2": many(2)["k1"], "new": many(4)["k3"], "x": 1, "k8": many(8)["k7"]}
    content["k4"]["l"].append(2)
    content["k5"]["l"].pop()
    content["k6"]["n"] += 1
    assert lab == content

    async def act(d: AsyncDict) -> None:
        await d.rename("new", "newer")
        async with d.pipeline() as batch:
            first, second = batch.incr("a"), batch.incr("b")
        assert (first.result(), second.result()) == (1, 1)
        await d.update({"y": 1, "z": 2})

    awaited(act, f"{{{prefix}}}:")
    content |= {"newer": content.pop("new"), "a": 1, "b": 1, "y": 1, "z": 2}
    assert lab == content
    with lab.pipeline():
        lab.clear()
    assert not lab


def test_failed_pipeline_applies_nothing_of_its_operation(lab) -> None:
    lab.update({"a": [], "b": 1})
    with pytest.raises(PipelineError) as failed, lab.pipeline() as batch:
        batch["a"].append(1)
        batch["b"].append(1)
    assert "1 of the batch's 2" in str(failed.value)
    assert lab == {"a": [1], "b": 1}


# What cannot be atomic


def test_rename_across_slots_is_refused_first(cluster, d, shared, awaited, prefix) -> None:
    here, there, *_ = [names[0] for names in on_each_node(cluster, prefix, 1).values()]
    d.update({here: 1, there: 2})
    before = [node.client.info("commandstats") for node in cluster.primaries()]

    with pytest.raises(ValueError, match="different slots"):
        d.rename(here, there)

    after = [node.client.info("commandstats") for node in cluster.primaries()]
    assert [a["cmdstat_evalsha"]["calls"] for a in after] == [
        b["cmdstat_evalsha"]["calls"] for b in before
    ]

    async def act(d: AsyncDict) -> None:
        with pytest.raises(ValueError, match="hash tag"):
            await d.rename(here, there)

    awaited(act)
    assert d == {here: 1, there: 2}


def test_atomic_pipeline_over_slots_is_refused_first(cluster, d, awaited, prefix) -> None:
    here, there, *_ = [names[0] for names in on_each_node(cluster, prefix, 1).values()]

    with pytest.raises(PipelineError, match=r"atomic=False.*") as refused, d.pipeline() as batch:
        pending = batch.incr(here)
        d[there] = 1
    assert "nothing was sent" in str(refused.value)
    with pytest.raises(PipelineError):
        pending.result()

    async def act(d: AsyncDict) -> None:
        with pytest.raises(PipelineError, match="nothing was sent"):
            async with d.pipeline() as batch:
                batch.incr(here)
                batch.incr(there)

    awaited(act)
    assert d == {}
    d[there] = [1]  # the dict is as usable as before
    assert d == {there: [1]}


def test_pipeline_over_slots(d, awaited) -> None:
    d.update(many(60))
    with d.pipeline(atomic=False) as batch:
        numbers = [batch.incr((f"k{number}", "n")) for number in range(60)]
        for number in range(60):
            d[f"k{number}"]["l"].append("x")
        popped = batch.pop("k59")
        d["new"] = {}
    assert [p.result() for p in numbers] == list(range(1, 61))
    assert popped.result() == {"n": 60, "l": [59, None, "x"]}
    assert (len(d), d["k7"]) == (60, {"n": 8, "l": [7, None, "x"]})

    async def act(d: AsyncDict) -> None:
        async with d.pipeline(atomic=False) as batch:
            pending = [batch.incr((f"k{number}", "n")) for number in range(59)]
        assert [p.result() for p in pending] == list(range(2, 61))

    awaited(act)


def test_pipeline_over_slots_takes_verbs_of_many_documents(d) -> None:
    d.update(many(60))
    with d.pipeline(atomic=False):
        d.update(x=1, y=2, z=3)
        assert "x" not in d
    assert (len(d), d["z"]) == (63, 3)
    with d.pipeline(atomic=False):
        d.clear()
        assert len(d) == 63
    assert len(d) == 0


async def _update(d: AsyncDict) -> None:
    await d.update(many(20))


async def _get_many(d: AsyncDict) -> None:
    assert await d.get_many(many(20)) == {}


async def _pipeline(d: AsyncDict) -> None:
    async with d.pipeline(atomic=False) as batch:
        pending = [batch.incr(name) for name in many(20)]
    assert [p.result() for p in pending] == [1] * 20


async def _incr(d: AsyncDict) -> None:
    assert await d.incr("n") == 1


@pytest.mark.parametrize("act", [_update, _get_many, _pipeline, _incr])
def test_first_verb_of_an_asyncio_client(cluster, prefix, act) -> None:
    async def main() -> None:
        client = redis.asyncio.RedisCluster(host=HOST, port=cluster.primaries()[0].port)
        try:
            await act(AsyncDict(client, prefix))
        finally:
            await client.aclose()

    asyncio.run(main())


def test_failure_in_pipeline_over_slots_is_told(d) -> None:
    d.update({f"k{number}": number for number in range(30)})
    with pytest.raises(PipelineError) as failed, d.pipeline(atomic=False) as batch:
        pending = [batch.incr(f"k{number}") for number in range(30)]
        wrong = batch["k3"].append(1)
        missing = batch["none"].append(1)
    assert "30 of the batch's 32" in str(failed.value)
    assert [p.result() for p in pending] == list(range(1, 31))
    with pytest.raises(TypeError):
        wrong.result()
    with pytest.raises(KeyError):
        missing.result()


def test_exception_in_block_sends_nothing(d) -> None:
    with pytest.raises(ZeroDivisionError), d.pipeline(atomic=False) as batch:
        for number in range(20):
            batch.incr(f"k{number}")
        raise ZeroDivisionError
    assert len(d) == 0


# Foreign keys, lifetimes


def test_foreign_keys_are_left_alone(cluster, d, shared, prefix) -> None:
    nodes = on_each_node(cluster, prefix, 2)
    for document, alien in nodes.values():
        d[document] = [1]
        shared.rpush(prefix + alien, "x")
        shared.expire(prefix + alien, 1000)
    aliens = [alien for _, alien in nodes.values()]
    documents = [document for document, _ in nodes.values()]

    assert sorted(d) == sorted(documents)
    assert (len(d), len(d.to_python())) == (3, 3)
    for alien in aliens:
        assert alien not in d
        verbs: list[Callable[[], Any]] = [
            lambda key=alien: d[key],
            lambda key=alien: d.get(key),
            lambda key=alien: d.pop(key),
            lambda key=alien: d.incr(key),
            lambda key=alien: d.setdefault(key, 1),
            lambda key=alien: d.update({key: 1, documents[0]: 1}),
            lambda key=alien: d.rename(key, key),
            lambda key=alien: d.expire(key, 5),
            lambda key=alien: d.persist(key),
            lambda key=alien: d.ttl(key),
            lambda key=alien: d.at(key, "x").append(1),
            lambda key=alien: d.get_many([key, documents[0]]),
            lambda key=alien: d.__setitem__(key, 1),
            lambda key=alien: d.__delitem__(key),
        ]
        for verb in verbs:
            with pytest.raises(NotADocumentError):
                verb()
    d.clear()
    for alien in aliens:
        assert shared.lrange(prefix + alien, 0, -1) == [b"x"]
        assert shared.ttl(prefix + alien) > 900


def test_lifetimes(shared, prefix, awaited) -> None:
    d = RedisJSONDict(shared, prefix, expire=timedelta(seconds=1000))
    d.update(many(50))
    assert all(900 < d.ttl(f"k{number}") <= 1000 for number in range(50))
    with d.expire_at(50):
        d["k1"] = 1
        with d.pipeline(atomic=False):
            d["k2"] = 2
            d["k3"] = 3
    assert all(d.ttl(f"k{number}") <= 50 for number in (1, 2, 3))
    d["k4"]["n"] = 5
    assert d.persist("k4") is True
    assert (d.ttl("k4"), d.persist("k4")) == (None, False)
    d.expireat("k5", 1)
    assert "k5" not in d
    d.expire("k6", 0.001)
    until("k6 ends", lambda: "k6" not in d)
    with pytest.raises(KeyError):
        d.ttl("k6")

    async def act(d: AsyncDict) -> None:
        with d.expire_at(70):
            await d.update({f"a{number}": 1 for number in range(20)})
        assert all([0 < await d.ttl(f"a{number}") <= 70 for number in range(20)])

    awaited(act)


# Scripts


def test_every_node_learns_the_scripts(cluster, d, awaited, prefix) -> None:
    nodes = on_each_node(cluster, prefix, 2)
    names = list(itertools.chain(*nodes.values()))
    for turn, flushed in enumerate([*nodes, *nodes], 1):
        flushed.run("SCRIPT", "FLUSH", "SYNC")
        assert [d.incr(name) for name in names] == [2 * turn - 1] * len(names)
        flushed.run("SCRIPT", "FLUSH", "SYNC")
        assert len(d.get_many(names)) == len(names)
        flushed.run("SCRIPT", "FLUSH", "SYNC")
        with d.pipeline(atomic=False) as batch:
            pending = [batch.incr(name) for name in names]
        assert [p.result() for p in pending] == [2 * turn] * len(names)
        flushed.run("SCRIPT", "FLUSH", "SYNC")
        d.update({name + "x": 1 for name in names})
        flushed.run("SCRIPT", "FLUSH", "SYNC")
        with d.pipeline() as batch:
            batch.incr(names[0] + "x")
            batch.incr(names[0] + "x")
        assert d.pop(names[0] + "x") == 3

    async def act(d: AsyncDict) -> None:
        for node in nodes:
            node.run("SCRIPT", "FLUSH", "SYNC")
            assert {await d.incr(name) for name in names} == {await d.get(names[0])}
            node.run("SCRIPT", "FLUSH", "SYNC")
            assert len(await d.get_many(names)) == len(names)

    awaited(act)


# A slot on its way


class Load:
    """Threads that append and count without a pause, each on a dict and client of its own."""

    def __init__(self, cluster: LocalCluster, prefix: str, documents: int, threads: int) -> None:
        self.names = [f"k{number}" for number in range(documents)]
        self.stop = threading.Event()
        self.done = [0] * threads
        self.raised: list[BaseException] = []
        self.dicts = [RedisJSONDict(cluster.client(), prefix) for _ in range(threads)]
        self.dicts[0].update({name: {"n": 0, "l": []} for name in self.names})
        self.threads = [
            threading.Thread(target=self._work, args=(number,)) for number in range(threads)
        ]

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        until("all threads work", lambda: all(count > 20 for count in self.done) or self.raised)
        return self

    def __exit__(self, *error: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def more(self) -> None:
        """Wait until every thread has done something since now."""
        before = list(self.done)
        until(
            "the threads go on",
            lambda: (
                self.raised or all(now > old for now, old in zip(self.done, before, strict=True))
            ),
        )

    def _work(self, number: int) -> None:
        d = self.dicts[number]
        try:
            while not self.stop.is_set():
                turn = self.done[number]
                name = self.names[turn % len(self.names)]
                d.at(name, "l").append([number, turn])
                d.incr((name, "n"))
                self.done[number] += 1
        except BaseException as error:
            self.raised.append(error)

    def check(self, d: RedisJSONDict) -> None:
        assert self.raised == []
        total = sum(self.done)
        stored = [d.at(name).to_python() for name in self.names]
        assert sum(one["n"] for one in stored) == total
        got = [tuple(entry) for one in stored for entry in one["l"]]
        sent = [(t, turn) for t, count in enumerate(self.done) for turn in range(count)]
        assert sorted(got) == sent  # none is lost, none is doubled
        for one in stored:  # and each thread's are in order
            for thread in range(len(self.done)):
                own = [turn for number, turn in one["l"] if number == thread]
                assert own == sorted(own)


def test_slot_moves_under_load(cluster, lab, prefix) -> None:
    with Load(cluster, f"{{{prefix}}}:", 40, 3) as load:
        for _ in range(2):
            with cluster.moving(slot_of(lab)) as moving:
                while keys := moving.keys(7):
                    moving.move(*keys)
                    load.more()
                load.more()
            load.more()
    load.check(lab)


def test_verbs_of_one_document_while_its_slot_moves(cluster, lab, awaited, prefix) -> None:
    lab.update({name: {"n": 0, "l": [1]} for name in ("moved", "left")})
    with cluster.moving(slot_of(lab)) as moving:
        moving.move(f"{{{prefix}}}:moved")
        moving.source.run("SCRIPT", "FLUSH", "SYNC")
        moving.target.run("SCRIPT", "FLUSH", "SYNC")
        for name in ("moved", "left"):
            assert lab.incr((name, "n")) == 1
            lab[name]["l"].append(2)
            assert lab[name, "l", -1] == 2
            assert lab[name]["l"].pop() == 2
            assert lab.pop((name, "none"), None) is None
            lab[name]["new"] = {}
            del lab[name, "new"]
            lab.expire(name, 100)
            assert lab.persist(name)
            assert (name in lab, lab.ttl(name)) == (True, None)
            lab[name]["l"].sort(reverse=True)
            assert lab.at(name).modify(lambda v: v | {"m": 1})["m"] == 1
            with lab.pipeline() as batch:
                first, second = batch.incr((name, "n")), batch.incr((name, "n"))
            assert (first.result(), second.result()) == (2, 3)
        lab["new"] = 1  # a key that is on neither side
        assert (lab["new"], lab.incr("newer"), lab.setdefault("newest", 3)) == (1, 1, 3)
        assert lab.pop("new") == 1
        assert sorted(lab) == ["left", "moved", "newer", "newest"]
        assert (len(lab), "none" in lab, lab.get("none")) == (4, False, None)

        async def act(d: AsyncDict) -> None:
            for name in ("moved", "left"):
                assert await d.incr((name, "n")) == 4
                await d[name]["l"].append(2)
                assert await d[name]["l"].get() == [1, 2]
                async with d.pipeline() as batch:
                    pending = batch.incr((name, "n"))
                assert pending.result() == 5
            assert sorted(await d.keys()) == ["left", "moved", "newer", "newest"]

        awaited(act, f"{{{prefix}}}:")
    expected = {"n": 5, "l": [1, 2], "m": 1}
    assert lab == {"moved": expected, "left": expected, "newer": 1, "newest": 3}


def test_documents_on_both_sides_are_never_left_out(cluster, lab, awaited, prefix) -> None:
    """A verb that cannot see all documents of a slot says so."""
    content = many(20)
    lab.update(content)
    seen: list[Any] = []
    with cluster.moving(slot_of(lab)) as moving:
        moving.move(*moving.keys(10))
        assert sorted(lab) == sorted(content)
        for act in (lab.to_python, lambda: lab | {}, lambda: dict(lab.get_many(content))):
            with contextlib.suppress(redis.RedisError):
                seen.append(act())
        with contextlib.suppress(redis.RedisError):
            seen.append(awaited(AsyncDict.to_python, f"{{{prefix}}}:"))
        with lab.pipeline(atomic=False) as batch:
            pending = [batch.incr((name, "n")) for name in content]
        assert [p.result() for p in pending] == list(range(1, 21))
    assert all(one == content for one in seen)
    assert lab == {name: one | {"n": one["n"] + 1} for name, one in content.items()}


def test_bulk_verbs_after_a_slot_has_moved(cluster, lab, prefix) -> None:
    """A client that has not heard of it learns it on the way."""
    content = many(30)
    lab.update(content)
    for act in (
        lambda d: d == content,
        lambda d: len(d.get_many(content)) == 30,
        lambda d: len(dict(d.items())) == 30,
        lambda d: d.update(content) is None,
        lambda d: d.rename("k1", "k1") is None,
        lambda d: appended_to(d, content) is None,
        lambda d: d.update(content) is None,
        lambda d: d.clear() is None and len(d) == 0,
    ):
        d = RedisJSONDict(cluster.client(), f"{{{prefix}}}:")
        assert len(d) == 30
        with cluster.moving(slot_of(lab)):
            pass
        assert act(d)


def test_pipeline_of_one_slot_while_it_moves(cluster, lab, prefix) -> None:
    """A transaction over keys on both sides waits until they are together, or is refused whole."""
    lab.update({"moved": 0, "left": 0})
    applied = 0
    with cluster.moving(slot_of(lab)) as moving:
        moving.move(f"{{{prefix}}}:moved")
        with contextlib.suppress(redis.RedisError, PipelineError):
            with lab.pipeline() as batch:
                batch.incr("moved")
                batch.incr("left")
            applied = 1
    assert lab == {"moved": applied, "left": applied}
    with lab.pipeline() as batch:
        batch.incr("moved")
        batch.incr("left")
    assert lab == {"moved": applied + 1, "left": applied + 1}


# Another primary


def test_fail_over_under_load(cluster, shared, prefix) -> None:
    """The replica takes over and gives back, while everybody works on the same dicts."""
    first = cluster.nodes[0] if cluster.nodes[0].is_primary else cluster.nodes[3]
    replica = cluster.replica_of(first)
    assert replica is not None
    names = on_each_node(cluster, prefix, 2)
    d = RedisJSONDict(shared, prefix)
    d.update(dict.fromkeys(itertools.chain(*names.values()), 0))
    held = names[first][0]
    d[held] = {"l": []}
    proxy = d[held]["l"]
    unaware = RedisJSONDict(cluster.client(), prefix)
    assert len(unaware) == 6
    with Load(cluster, prefix, 30, 2) as load:
        cluster.fail_over(replica)
        load.more()

    assert cluster.owner(key_slot((prefix + held).encode())) is replica
    load.check(d)
    proxy.append(1)
    assert (proxy.to_python(), d[held].incr("n")) == ([1], 1)
    assert len(d) == 36
    assert len(d.to_python()) == 36
    assert len(d.get_many(itertools.chain(*names.values()))) == 6
    with unaware.pipeline(atomic=False) as batch:
        pending = [batch.incr((f"k{number}", "n")) for number in range(30)]
    assert all(p.result() > 0 for p in pending)
    d.update({name: 5 for name in names[first]})
    d.clear()
    assert not d


class Ledger:
    """Tokens that were appended, and what is known about each."""

    def __init__(self) -> None:
        self.tokens = itertools.count()
        self.acknowledged: list[int] = []
        self.unknown: list[int] = []

    async def append(self, act: Callable[[int], Awaitable[None]]) -> None:
        """Append new tokens until one is acknowledged, a bounded number of times."""
        for _ in range(1000):
            token = next(self.tokens)
            try:
                await act(token)
            except redis.RedisError as error:
                if "nothing was sent" not in "".join(getattr(error, "__notes__", ())):
                    self.unknown.append(token)
                await asyncio.sleep(0.02)
            else:
                self.acknowledged.append(token)
                return
        raise AssertionError("nothing was acknowledged in 1000 tries")


def test_dicts_go_on_after_a_primary_was_killed(prefix) -> None:
    """Its replica takes over; what was acknowledged and replicated is there, nothing is doubled."""
    with LocalCluster(3, replicas=1) as cluster:
        first, replica = cluster.nodes[0], cluster.nodes[3]
        name = on_each_node(cluster, prefix, 1)[first][0]
        d = RedisJSONDict(cluster.client(), prefix)
        d[name] = []
        ledger = Ledger()

        async def main() -> None:
            port = cluster.nodes[1].port
            async with redis.asyncio.RedisCluster(host=HOST, port=port) as client:
                ad = AsyncDict(client, prefix)
                for turn in range(20):
                    if turn == 10:
                        until("replicated", lambda: _caught_up(first, replica))
                        kill(first.server)
                    await ledger.append(lambda t: asyncio.to_thread(d.at(name).append, t))
                    await ledger.append(ad[name].append)
                assert await ad[name].get() == d[name]

        asyncio.run(main())
        stored = d[name].to_python()
        assert replica.is_primary
        assert len(ledger.acknowledged) == 40
        assert [token for token in stored if token not in ledger.unknown] == ledger.acknowledged
        assert len(set(stored)) == len(stored)


def _caught_up(primary: Node, replica: Node) -> bool:
    return primary.run("ROLE")[1] == replica.run("ROLE")[4]


# Threads and tasks


def test_threads_share_a_dict(d) -> None:
    d.update({f"k{number}": {"n": 0, "l": []} for number in range(20)})

    def work(number: int) -> None:
        for turn in range(60):
            name = f"k{turn % 20}"
            d.incr((name, "n"))
            d[name]["l"].append([number, turn])
            with d.pipeline(atomic=False) as batch:
                batch.incr((f"k{(turn + 1) % 20}", "n"))
                batch.incr((f"k{(turn + 2) % 20}", "n"))

    assert in_threads(4, work) == []
    content = d.to_python()
    assert sum(one["n"] for one in content.values()) == 4 * 60 * 3
    assert sorted(entry for one in content.values() for entry in one["l"]) == [
        [number, turn] for number in range(4) for turn in range(60)
    ]


def test_tasks_share_a_dict(awaited) -> None:
    async def act(d: AsyncDict) -> None:
        async def work(number: int) -> None:
            for turn in range(20):
                await d.incr(f"k{turn}")
                await d["log"].append([number, turn])
                async with d.pipeline(atomic=False) as batch:
                    batch.incr(f"k{turn}")
                    batch.incr("all")

        await d.set("log", [])
        await asyncio.gather(*map(work, range(8)))
        assert await d.get("all") == 160
        assert [await d.get(f"k{turn}") for turn in range(20)] == [16] * 20
        log = await d["log"].get()
        assert sorted(log) == [[number, turn] for number in range(8) for turn in range(20)]

    awaited(act)


def test_client_is_left_as_it_was(cluster, prefix) -> None:
    client = cluster.client()
    d = RedisJSONDict(client, prefix)
    callbacks = dict(client.cluster_response_callbacks)
    d.update(many(30))
    d["k1"]["l"].append(1)
    with d.pipeline(atomic=False) as batch:
        batch.incr("a")
        batch.incr("b")
    d.to_python()
    assert client.cluster_response_callbacks == callbacks
    for node in client.get_primaries():
        pool = client.get_redis_connection(node).connection_pool
        assert not pool._in_use_connections
    assert client.ping()


def test_look_takes_a_page_of_each_node_and_all_documents_at_once(cluster, d) -> None:
    d.update({f"k{n:03}": {"n": n} for n in range(60)})
    assert repr(d) == repr({f"k{n:03}": {"n": n} for n in range(60)})
    before = [node.client.info("stats")["total_reads_processed"] for node in cluster.primaries()]
    repr(d)
    after = [node.client.info("stats")["total_reads_processed"] for node in cluster.primaries()]
    assert sum(after) - sum(before) < 30  # for 60 documents in as many slots

    d.update({f"m{n:03}": [n] * 100 for n in range(300)})
    seen = repr(d)
    assert seen.startswith("{'k0")
    assert seen.endswith(" more}")
    shown = re.findall(r"'([km]\d+)': ", seen)
    assert shown == sorted(shown)
    assert len(shown) == 100
    assert len(seen) < 20_000
    assert repr(d["m000"]) == repr([0] * 100)
