"""Keys, values, indices and objects made to break things: neighbours must not notice."""

from __future__ import annotations

import contextlib
import json
import operator
from collections import UserList
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
import redis

from redisjson_dict import (
    NotADocumentError,
    RedisJSONDict,
    RedisJSONDictError,
    StaleLocationError,
    UnsupportedValueError,
    ValueRangeError,
)

# What aborts a server when it gets into a path as it is, or into an error text.
KILLERS = [
    "$.\u4e00",
    "$.\U0001f600",
    "$.\u0100",
    "$.a b\u0100",
    '$["\u0100"]x y',
    '["\u0100"]',
    "$.arr[9223372036854775808]",
    "$.arr[-9223372036854775809]",
    "$.arr[0:99999999999999999999]",
    "$.arr[0:1:99999999999999999999]",
    "$.arr[00000000000000000000000000000000009223372036854775808]",
    '$["arr"][99999999999999999999]',
    "$.arr[?(@ > 99999999999999999999)]",
    "$.arr[?" + "(" * 20_000 + "@==1" + ")" * 20_000 + "]",
    "$" + '["a"]' * 20_000,
    "$" + "[*]" * 20_000,
    "$" + "..a" * 30_000,
    "$" + ".a" * 100_000,
]
PECULIAR = [
    '$.arr[?(@=="M")]',
    '$..[?(@=="M")]',
    '$.arr[?(@=~"(a+)+$")]',
    '$.arr[?(@=~"(")]',
    '$.arr[?(@=~"(a{1000}){1000}")]',
    "$.arr[-9223372036854775807]",
    "$.arr[::-1]",
    "$.arr[0:0:0]",
    "$.arr[1,,2]",
    "$.a b",
    "$[",
    "$]",
    "$..",
    "$",
    "$ ",
    "$$",
    "$.$",
    "$['",
    '$["',
    "$['\\'][1]['\\']",
    '$["\\"][1]["\\"]',
    "$[?(@)]",
    "$[?(@.a==$.a)]",
    "$[*]..[?(@.x=='M')]",
    "$\x00",
    "$.\n",
    "$.\x7f",
    "$.\u00e9",
    "$.arr[?(@ > 1e999999)]",
    "$.arr[?(@ > -1e-999999)]",
    "$.arr[?(@ == 9223372036854775807)]",
]
NAMES = [
    *("", " ", "  ", " x", "x ", "\t", "\n", "\r\n", "\x00", "\x01", "\x1f", "\x7f", "\u2028"),
    *("a\\b", "\\", "\\\\", "\\n", "\\u0041", "\\x", "/", "a/b", "\\/"),
    *("'", '"', "'\"", "\"'", "\\'\"", '"]', "']", '"]["', "'] ['", '\\"', "\\'"),
    *("$", "$.a", "@", "*", "..", "**", ".", "a.b", "[*]", "[0]", "0", "-1", "0:1", "?(@)", "~"),
    *("\u00e9", "e\u0301", "\u0100", "\u3000", "\u4e00", "\uac00", "\U0001f600", "\U00010000"),
    *("\ufeff", "\ufeffa", " \u4e00", "\\\u4e00", "'\"\u0100", "\U0010ffff", "\u0000\u0100"),
    *("null", "__proto__", "to_python", "{}", "[]", "nan", "?", "[a-z]", "^a", "h?llo*"),
]
LONG = {
    "plain": "k" * 2**20,
    "quotes": '"' * 2**20,
    "backslashes": "\\" * 2**20,
    "both-quotes": "'\"" * 2**19,
    "spaces": " " * 2**20,
    "256": "\u4e00" * 2**18,
}
SURROGATES = ["\ud800", "a\udfff", "\udcff\ud800", " \ud83d", "\\\ude00"]
HUGE = [2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 2**64 + 1, 10**400]
FAR = [*HUGE, *[-index for index in HUGE], -(2**63) - 1]
NEAR = [index for index in FAR if -(2**63) <= index < 2**63]  # what list's own methods take
SHOWN = 2**256  # a larger index is not shown in full


def shown(name: str) -> str:
    return ascii(name)[:30]


@pytest.fixture(autouse=True)
def _survivor(client: redis.Redis) -> Iterator[None]:
    """The server is the same process before and after, and has not been busy restarting."""
    before = client.info("server")
    yield
    after = client.info("server")
    assert after["process_id"] == before["process_id"]
    assert after["run_id"] == before["run_id"]
    assert after["uptime_in_seconds"] >= before["uptime_in_seconds"]


def relatives(name: str) -> dict[str, Any]:
    """Members that a wrong escape of the name would hit, with values to recognise them by."""
    candidates = [
        name.lstrip(" "),
        name.rstrip(" "),
        f" {name}",
        f"{name} ",
        name.replace("\\", "\\\\"),
        name.replace("\\", ""),
        name.replace("\\\\", "\\"),
        name.replace('"', '\\"'),
        name.replace("'", "\\'"),
        name.replace('"', ""),
        json.dumps(name),
        *("a", "b", "0", "*", "$"),
    ]
    others = [other for other in dict.fromkeys(candidates) if other != name]
    return {other: {"sibling": number, "list": [number]} for number, other in enumerate(others)}


Start = Any
Verb = tuple[Start, Callable[[Any, str], Any], Callable[[dict[str, Any], str], Any]]
NOTHING: Any = object()


def _set(o: Any, n: Any, value: Any) -> None:
    o[n] = value


def _del(o: Any, n: Any) -> None:
    del o[n]


def _ior(o: Any, other: Any) -> None:
    o |= other


def both(function: Callable[[Any, str], Any]) -> tuple[Any, Any]:
    """A verb that dict has, too."""
    return function, function


def becomes(value: Any, result: Any = None) -> Callable[[dict[str, Any], str], Any]:
    def act(o: dict[str, Any], n: str) -> Any:
        o[n] = value
        return result

    return act


# What is at the name before; the verb on a live mapping; the same on a dict.
MEMBER_VERBS: dict[str, Verb] = {
    "get item": (5, *both(lambda o, n: o[n])),
    "get": (5, *both(lambda o, n: o.get(n))),
    "get default": (NOTHING, *both(lambda o, n: o.get(n, 4))),
    "in": (5, *both(lambda o, n: n in o)),
    "not in": (NOTHING, *both(lambda o, n: n in o)),
    "set new": (NOTHING, *both(lambda o, n: _set(o, n, [1, {"a": 2.5}]))),
    "set": (5, *both(lambda o, n: _set(o, n, "other"))),
    "set object": ({"old": 1}, *both(lambda o, n: _set(o, n, {"new": None}))),
    "set null": ({"old": 1}, *both(lambda o, n: _set(o, n, None))),
    "set path": (5, lambda o, n: _set(o, (n,), 6), becomes(6)),
    "set below": ({"a": 1}, lambda o, n: _set(o, (n, "a"), 6), becomes({"a": 6})),
    "set same below": ({}, lambda o, n: _set(o, (n, n), 6), lambda o, n: _set(o[n], n, 6)),
    "del": (5, *both(_del)),
    "del object": ({"a": 1}, *both(_del)),
    "del below": ({"a": 1, "b": 2}, lambda o, n: _del(o, (n, "a")), becomes({"b": 2})),
    "pop": ([1], *both(lambda o, n: o.pop(n))),
    "pop default": (
        NOTHING,
        *both(lambda o, n: o.setdefault("unrelated", 1) and o.pop("unrelated")),
    ),
    "setdefault": (5, *both(lambda o, n: o.setdefault(n, 6))),
    "setdefault new": (NOTHING, *both(lambda o, n: o.setdefault(n, 6))),
    "update": (5, *both(lambda o, n: o.update({n: [7]}))),
    "update pairs": (NOTHING, *both(lambda o, n: o.update([(n, {"x": None})]))),
    "ior": (5, *both(lambda o, n: _ior(o, {n: 7}))),
    "incr": (5, lambda o, n: o.incr(n, 2), becomes(7, 7)),
    "incr new": (NOTHING, lambda o, n: o.incr(n, 2, default=1), becomes(3, 3)),
    "incr float": (0.5, lambda o, n: o.incr(n, 0.25), becomes(0.75, 0.75)),
    "incr far": (2**63, lambda o, n: o.incr(n), becomes(2**63 + 1, 2**63 + 1)),
    "toggle": (True, lambda o, n: o.toggle(n), becomes(False, False)),
    "concat": ("a", lambda o, n: o.concat(n, '"\u4e00\\'), becomes('a"\u4e00\\')),
    "get_many": (5, lambda o, n: o.get_many([n]), lambda o, n: {n: o[n]}),
    "append": ([1], lambda o, n: o[n].append(2), becomes([1, 2])),
    "append bounded": ([1], lambda o, n: o[n].append(2, maxlen=1), becomes([2])),
    "extend": ([1], *both(lambda o, n: o[n].extend([2, [3]]))),
    "insert": ([1], *both(lambda o, n: o[n].insert(0, 0))),
    "list set": ([1, 2], *both(lambda o, n: _set(o[n], -1, 5))),
    "list del": ([1, 2], *both(lambda o, n: _del(o[n], -2))),
    "list pop": ([1, 2], *both(lambda o, n: o[n].pop())),
    "list pop first": ([1, 2], *both(lambda o, n: o[n].pop(0))),
    "remove": ([1, 2], *both(lambda o, n: o[n].remove(2))),
    "index": ([1, 2], *both(lambda o, n: o[n].index(2))),
    "count": ([1, 1], *both(lambda o, n: o[n].count(True))),
    "list in": ([1, 2], *both(lambda o, n: 2 in o[n])),
    "sort": ([2, 1], *both(lambda o, n: o[n].sort())),
    "reverse": ([2, 1], *both(lambda o, n: o[n].reverse())),
    "list clear": ([2, 1], *both(lambda o, n: o[n].clear())),
    "slice": ([1, 2, 3], *both(lambda o, n: o[n][::-2])),
    "slice set": ([1, 2, 3], *both(lambda o, n: _set(o[n], slice(1, 2), "ab"))),
    "slice del": ([1, 2, 3], *both(lambda o, n: _del(o[n], slice(1, None)))),
    "slice del extended": ([1, 2, 3], *both(lambda o, n: _del(o[n], slice(None, None, 2)))),
    "trim": ([1, 2, 3], lambda o, n: o[n].trim(1, 2), becomes([2])),
    "list": ([1, "a", None], *both(lambda o, n: list(o[n]))),
    "len": ([1, 2], *both(lambda o, n: len(o[n]))),
    "object len": ({"a": 1}, *both(lambda o, n: len(o[n]))),
    "object keys": ({"a": 1, " b": 2}, *both(lambda o, n: list(o[n]))),
    "object items": ({"a": 1, " b": 2}, *both(lambda o, n: list(o[n].items()))),
    "popitem": ({"a": 1}, *both(lambda o, n: o[n].popitem())),
    "clear": ({"a": 1}, *both(lambda o, n: o[n].clear())),
    "merge": ({"a": 1}, lambda o, n: o[n].merge({"a": None, "b": 2}), becomes({"b": 2})),
    "replace": ({"a": 1}, lambda o, n: o[n].replace({"b": 2}), becomes({"b": 2})),
    "modify": ([1], lambda o, n: o[n].modify(lambda v: [*v, 2]), becomes([1, 2], [1, 2])),
    "to_python": ({"a": [1]}, lambda o, n: o[n].to_python(), lambda o, n: o[n]),
    "reference get": (5, lambda o, n: o.at(n).get(), lambda o, n: o[n]),
    "reference set": (5, lambda o, n: o.at(n).set(6), becomes(6)),
    "reference set below": ({}, lambda o, n: o.at(n, n).set(6), lambda o, n: _set(o[n], n, 6)),
    "reference append": ([1], lambda o, n: o.at(n).append(2), becomes([1, 2])),
    "reference update": ({}, lambda o, n: o.at(n).update({n: 2}), lambda o, n: _set(o[n], n, 2)),
    "reference exists": (5, lambda o, n: o.at(n).exists(), lambda o, n: True),
    "reference kind": (5, lambda o, n: o.at(n).kind(), lambda o, n: "integer"),
    "reference incr": (5, lambda o, n: o.at(n).incr(), becomes(6, 6)),
    "reference delete": (5, lambda o, n: o.at(n).delete(), _del),
}


def content(value: Any) -> Any:
    return value.to_python() if hasattr(type(value), "to_python") else value


def check_members(make: Callable[[dict[str, Any]], Any], name: str) -> None:
    """Run every verb on one member among its relatives; compare with what a dict does."""
    for title, (start, live_verb, plain_verb) in MEMBER_VERBS.items():
        before = relatives(name)
        if start is not NOTHING:
            before[name] = start
        wanted = json.loads(json.dumps(before))
        result = plain_verb(wanted, name)

        live, stored = make(before)
        got = live_verb(live, name)

        assert content(got) == content(result), title
        assert stored() == wanted, title


@pytest.mark.parametrize("name", NAMES, ids=shown)
def test_every_verb_takes_every_name_nested(d, raw, name):
    d["neighbour"] = relatives(name)

    def make(members: dict[str, Any]) -> tuple[Any, Any]:
        d["doc"] = members
        return d["doc"], lambda: json.loads(raw("doc"))

    check_members(make, name)

    assert d["neighbour"] == relatives(name)


# Every name was nested; the further places share the names out among them.


@pytest.mark.parametrize("name", NAMES[1::2], ids=shown)
def test_every_verb_takes_every_name_below_itself(d, raw, name):
    def make(members: dict[str, Any]) -> tuple[Any, Any]:
        d["doc"] = {**relatives(name), name: members, "after": 1}

        def stored() -> Any:
            document = json.loads(raw("doc"))
            assert {**document, name: 0} == {**relatives(name), name: 0, "after": 1}
            return document[name]

        return d["doc", name], stored

    check_members(make, name)


@pytest.mark.parametrize("name", NAMES[::3], ids=shown)
def test_every_verb_takes_every_name_in_an_array(d, raw, name):
    def make(members: dict[str, Any]) -> tuple[Any, Any]:
        d["doc"] = [0, members, {name: 1}]

        def stored() -> Any:
            first, document, last = json.loads(raw("doc"))
            assert (first, last) == (0, {name: 1})
            return document

        return d["doc"][-2], stored

    check_members(make, name)


@pytest.mark.parametrize("name", NAMES[::2], ids=shown)
def test_every_verb_takes_every_name_as_document(d, client, prefix, name):
    def make(documents: dict[str, Any]) -> tuple[Any, Any]:
        d.clear()
        d.update(documents)

        def stored() -> Any:
            keys = {key: (prefix + key).encode() for key in d}
            return {n: json.loads(client.execute_command("JSON.GET", k)) for n, k in keys.items()}

        return d, stored

    check_members(make, name)


@pytest.mark.parametrize("name", NAMES, ids=shown)
def test_documents_of_any_name_are_listed_and_renamed(d, name):
    d[name] = {"a": 1}
    d["other"] = 2

    assert set(d) == {name, "other"}
    assert dict(d.items()) == {name: {"a": 1}, "other": 2}
    d.rename(name, f"{name}{name}!")
    assert d.to_python() == {f"{name}{name}!": {"a": 1}, "other": 2}
    d.rename(f"{name}{name}!", name)
    assert d.pop(name) == {"a": 1}
    assert d == {"other": 2}


@pytest.mark.parametrize("killer", [k[:3000] for k in KILLERS + PECULIAR], ids=shown)
def test_paths_that_kill_are_names_like_others(d, raw, killer):
    def make(members: dict[str, Any]) -> tuple[Any, Any]:
        d["doc"] = members
        return d["doc"], lambda: json.loads(raw("doc"))

    check_members(make, killer)


@pytest.mark.parametrize("name", LONG.values(), ids=LONG.keys())
def test_names_of_a_megabyte(d, name):
    d[name] = {name: [1], "x": 1}

    d[name][name].append(2)
    d[name, name].append(3)
    d.at(name, name).append(4)
    d[name].update({name + "2": 5})
    d[name].incr("x")

    assert d == {name: {name: [1, 2, 3, 4], "x": 2, name + "2": 5}}
    assert d[name].popitem()[1] == 5
    del d[name, name]
    assert d.pop(name) == {"x": 2}


# Prefixes.


PREFIXES = [
    "*",
    "?",
    "[ab]",
    "[^a]",
    "\\",
    "\\*",
    "^",
    "a]b",
    "\x00",
    "\n",
    "\U0001f600",
    " ",
    "{t}",
]


@pytest.mark.parametrize("ending", PREFIXES, ids=shown)
def test_prefix_is_literal(client, prefix, ending):
    others = [prefix, prefix + "a", prefix + "b:k", prefix + "xx", prefix + "*x", prefix + "\\x"]
    others = [key for key in others if not key.startswith(prefix + ending)]
    for key in others:
        client.execute_command("JSON.SET", key, "$", "1")
    d = RedisJSONDict(client, prefix + ending)
    d["k"], d[""], d["*"] = 1, {"a": [2]}, 3

    assert d.to_python() == {"k": 1, "": {"a": [2]}, "*": 3}
    assert len(d) == 3
    assert "a" not in d
    d.clear()

    assert not d
    assert [client.execute_command("JSON.GET", key) for key in others] == [b"1"] * len(others)


@pytest.fixture
def reader(url, prefix):
    client = redis.Redis.from_url(url, protocol=3, decode_responses=True)
    yield RedisJSONDict(client, prefix)
    client.close()


def test_keys_that_are_not_utf8_are_invisible(client, prefix, d, reader):
    foreign = [prefix.encode() + tail for tail in (b"\xff", b"\xc3", b"a\xed\xa0\x80", b"\xf8x")]
    for key in foreign:
        client.execute_command("JSON.SET", key, "$", '{"a":1}')
    d["own"] = [1]

    for one in (d, reader):
        assert list(one) == ["own"]
        assert len(one) == 1
        assert one == {"own": [1]}
        assert list(one.items()) == [("own", [1])]
        assert repr(one) == "{'own': [1]}"
    assert reader.popitem() == ("own", [1])
    with pytest.raises(KeyError):
        reader.popitem()
    reader.clear()
    assert all(client.exists(key) for key in foreign)


FOREIGN: dict[str, Callable[[redis.Redis, str], Any]] = {
    "string": lambda c, k: c.set(k, "text"),
    "json text": lambda c, k: c.set(k, '{"a":1}'),
    "hash": lambda c, k: c.hset(k, "a", "1"),
    "list": lambda c, k: c.rpush(k, "a"),
    "set": lambda c, k: c.sadd(k, "a"),
    "zset": lambda c, k: c.zadd(k, {"a": 1}),
    "stream": lambda c, k: c.xadd(k, {"a": 1}),
}
ON_FOREIGN: dict[str, Callable[[RedisJSONDict, str], Any]] = {
    "get item": lambda d, k: d[k],
    "get": lambda d, k: d.get(k),
    "get path": lambda d, k: d[k, "a"],
    "set": lambda d, k: _set(d, k, 1),
    "set path": lambda d, k: _set(d, (k, "a"), 1),
    "set unwritable path": lambda d, k: _set(d, (k, " a"), 1),
    "del": _del,
    "del path": lambda d, k: _del(d, (k, "a")),
    "pop": lambda d, k: d.pop(k, None),
    "pop path": lambda d, k: d.pop((k, "a"), None),
    "setdefault": lambda d, k: d.setdefault(k, 1),
    "setdefault path": lambda d, k: d.setdefault((k, "a"), 1),
    "update": lambda d, k: d.update({"fresh": 1, k: 2}),
    "get_many": lambda d, k: d.get_many(["own", k]),
    "get_many path": lambda d, k: d.get_many(["own", (k, "a")]),
    "incr": lambda d, k: d.incr(k),
    "incr path": lambda d, k: d.incr((k, "a")),
    "toggle": lambda d, k: d.toggle(k),
    "concat": lambda d, k: d.concat(k, "x"),
    "rename": lambda d, k: d.rename(k, "fresh"),
    "rename over": lambda d, k: d.rename("own", k),
    "append": lambda d, k: d.at(k).append(1),
    "extend": lambda d, k: d.at(k).extend([1]),
    "insert": lambda d, k: d.at(k).insert(0, 1),
    "remove": lambda d, k: d.at(k).remove("a"),
    "sort": lambda d, k: d.at(k).sort(),
    "trim": lambda d, k: d.at(k).trim(0, 1),
    "clear": lambda d, k: d.at(k).clear(),
    "merge": lambda d, k: d.at(k).merge({"a": 1}),
    "replace": lambda d, k: d.at(k).replace({"a": 1}),
    "modify": lambda d, k: d.at(k).modify(lambda v: v),
    "popitem": lambda d, k: d.at(k).popitem(),
    "length": lambda d, k: d.at(k).length(),
    "keys": lambda d, k: d.at(k).keys(),
    "to_python": lambda d, k: d.at(k).to_python(),
    "query": lambda d, k: d.at(k).query("$"),
    "kind": lambda d, k: d.at(k).kind(),
}


@pytest.mark.parametrize("foreign", FOREIGN)
def test_foreign_keys_are_refused_and_untouched(client, prefix, d, foreign):
    FOREIGN[foreign](client, prefix + "k")
    client.pexpire(prefix + "k", 10_000_000)
    before = client.dump(prefix + "k")
    d["own"] = 1

    for title, verb in ON_FOREIGN.items():
        with pytest.raises(NotADocumentError):
            verb(d, "k")
            pytest.fail(title)

    assert "k" not in d
    assert ("k", "a") not in d
    assert d == {"own": 1}
    d.clear()
    assert client.dump(prefix + "k") == before
    assert client.pttl(prefix + "k") > 9_000_000


def test_foreign_key_makes_held_values_refuse(client, prefix, d):
    d["k"] = {"a": [1]}
    held, inner = d["k"], d["k"]["a"]
    client.set(prefix + "k", "text")

    for verb in (lambda: held["a"], lambda: held.update(a=1), lambda: inner.append(1), inner.sort):
        with pytest.raises(NotADocumentError):
            verb()
    assert client.get(prefix + "k") == b"text"


# Indices and slices.


ON_INDEX: list[Callable[[Any, Any], Any]] = [
    lambda a, i: a[i],
    lambda a, i: _set(a, i, 0),
    _del,
    lambda a, i: a.incr(i),
    lambda a, i: a.toggle(i),
    lambda a, i: a.concat(i, ""),
]


@pytest.mark.parametrize("name", ["list", " x"])
def test_indices_beyond_the_end_are_index_errors(d, name):
    d["a"] = {name: [1, 2, 3]}
    array = d["a", name]
    for index in FAR:
        for verb in ON_INDEX:
            with pytest.raises(IndexError):
                verb(array, index)
    assert array == [1, 2, 3]


@pytest.mark.parametrize("name", ["list", " x"])
@pytest.mark.parametrize(
    "verb", [lambda a, i: a.pop(i), lambda a, i: a.insert(i, 0)], ids=["pop", "insert"]
)
def test_positions_beyond_64_bits_overflow_as_in_list(d, name, verb):
    d["a"] = {name: [1, 2, 3]}
    array = d["a", name]
    for far in (2**63, -(2**63) - 1, 2**64, 10**400):
        with pytest.raises(OverflowError) as by_list:
            verb([1, 2, 3], far)
        with pytest.raises(OverflowError) as caught:
            verb(array, far)
        assert str(caught.value) == str(by_list.value)
    assert array == [1, 2, 3]


@pytest.mark.parametrize("name", ["list", " x"])
def test_positions_of_64_bits_are_out_of_range(d, name):
    d["a"] = {name: [1, 2, 3]}
    for far in NEAR:
        with pytest.raises(IndexError):
            d["a", name].pop(far)
    assert d["a"] == {name: [1, 2, 3]}


@pytest.mark.parametrize("name", ["list", " x", "\\"])
def test_paths_with_far_indices_are_key_errors(d, name):
    d["a"] = {name: [1, {"b": 2}]}
    for index in FAR:
        for path in ((name, index), (name, index, "b")):
            assert d["a"].get(path) is None
            assert ("a", *path) not in d
            assert d.get(("a", *path), 3) == 3
            for holder, key in ((d, ("a", *path)), (d["a"], path)):
                with pytest.raises(KeyError) as caught:
                    holder[key]
                bounded = [max(-SHOWN, min(SHOWN, s)) if s is index else s for s in key]
                assert caught.value.args == (tuple(bounded),)
    assert d["a"] == {name: [1, {"b": 2}]}


@pytest.mark.parametrize("name", ["list", " x"])
def test_slices_of_any_ends_are_those_of_list(d, name):
    ends = [None, 0, 1, -1, 2**53, -(2**53), 2**63, -(2**63), 2**64, -(2**64)]
    steps = [None, 1, -1, 2, 2**63, -(2**63), 2**64]
    plain = [0, 1, 2, 3]
    d["a"] = {name: plain}
    array = d["a", name]
    for start in ends:
        for stop in ends:
            for step in steps:
                part = slice(start, stop, step)
                assert array[part] == plain[part], part


@pytest.mark.parametrize("name", ["list", " x"])
def test_slice_writes_of_any_ends_are_those_of_list(d, name):
    ends = [None, 1, -1, 2**53, 2**63, -(2**63), 2**64, -(2**64)]
    d["a"] = {name: []}
    array = d["a", name]
    for start in ends:
        for stop in ends:
            plain = [0, 1, 2, 3]
            array.replace(plain)
            array[start:stop] = ["x", "y"]
            plain[start:stop] = ["x", "y"]
            assert array == plain, (start, stop)
            del array[start:stop]
            del plain[start:stop]
            assert array == plain, (start, stop)
            for step in (2, -1, 2**63, -(2**63)):
                del array[start:stop:step]
                del plain[start:stop:step]
                assert array == plain, (start, stop, step)


@pytest.mark.parametrize("name", ["list", " x"])
def test_other_positions_clamp_as_list_does(d, name):
    d["a"] = {name: [0, 1, 2]}
    array = d["a", name]
    for far in FAR:
        if far in NEAR:
            array.insert(far, "new")
            assert array.pop(0 if far < 0 else -1) == "new"
            assert array == [0, 1, 2]
        assert array.index(1, -abs(far), abs(far)) == 1
        with pytest.raises(ValueError):
            array.index(1, abs(far))
        array.trim(-abs(far), abs(far))
        array.append(3, maxlen=abs(far))
        assert array.pop() == 3
    assert array == [0, 1, 2]
    array.trim(2**64, -(2**64))
    assert array == []


# Surrogates.


WITH_NAME: dict[str, Callable[[Any, Any], Any]] = {
    "set": lambda o, n: _set(o, n, 1),
    "setdefault": lambda o, n: o.setdefault(n, 1),
    "update": lambda o, n: o.update({"fine": 1, n: 1}),
    "update pairs": lambda o, n: o.update([(n, 1)]),
    "ior": lambda o, n: _ior(o, {n: 1}),
    "incr": lambda o, n: o.incr(n),
    "at": lambda o, n: o.at(n).set(1),
    "at below": lambda o, n: o.at("a", n).set(1),
}
WITH_VALUE: dict[str, Callable[[Any, Any], Any]] = {
    "set": lambda o, v: _set(o, "n", v),
    "set path": lambda o, v: _set(o, ("obj", "n"), v),
    "set unwritable": lambda o, v: _set(o, ("obj", " n"), v),
    "setdefault": lambda o, v: o.setdefault("n", v),
    "update": lambda o, v: o.update({"n": v}),
    "ior": lambda o, v: _ior(o, {"n": v}),
    "merge": lambda o, v: o.merge({"n": v}),
    "replace": lambda o, v: o.replace({"n": v}),
    "modify": lambda o, v: o.modify(lambda _: {"n": v}),
    "append": lambda o, v: o["list"].append(v),
    "append bounded": lambda o, v: o["list"].append(v, maxlen=1),
    "extend": lambda o, v: o["list"].extend([1, v]),
    "iadd": lambda o, v: o["list"].__iadd__([v]),
    "insert": lambda o, v: o["list"].insert(0, v),
    "list set": lambda o, v: _set(o["list"], 0, v),
    "list set last": lambda o, v: _set(o["list"], -1, v),
    "slice set": lambda o, v: _set(o["list"], slice(0, 1), [v]),
    "slice set extended": lambda o, v: _set(o["list"], slice(None, None, 2), [v]),
    "list replace": lambda o, v: o["list"].replace([v]),
    "list modify": lambda o, v: o["list"].modify(lambda _: [v]),
    "unwritable append": lambda o, v: o[" x"].append(v),
    "unwritable set": lambda o, v: _set(o[" x"], 0, v),
    "unwritable slice": lambda o, v: _set(o[" x"], slice(0, 0), [v]),
    "reference set": lambda o, v: o.at("n").set(v),
    "reference append": lambda o, v: o.at("list").append(v),
    "reference update": lambda o, v: o.at("obj").update({"n": v}),
}
DOCUMENT: dict[str, Any] = {"list": [0], "obj": {}, " x": [1]}


@pytest.mark.parametrize("name", SURROGATES, ids=ascii)
def test_lone_surrogates_in_names_are_refused(d, name):
    d["doc"] = {"a": {}}
    for holder in (d, d["doc"], d["doc", "a"]):
        for title, verb in WITH_NAME.items():
            with pytest.raises(ValueRangeError):
                verb(holder, name)
                pytest.fail(title)
        assert holder.get(name, 3) == 3
        assert name not in holder
        assert holder.pop(name, 3) == 3
        assert holder.get(("doc", name), 3) == 3
        for verb in (lambda o: o[name], lambda o: _del(o, name), lambda o: o.toggle(name)):
            with pytest.raises(KeyError):
                verb(holder)
    assert d == {"doc": {"a": {}}}


@pytest.mark.parametrize("text", SURROGATES, ids=ascii)
def test_lone_surrogates_in_values_are_refused(d, text):
    d["doc"] = DOCUMENT
    for title, verb in WITH_VALUE.items():
        for value in (text, [text], {"deep": [{"er": text}]}, {text: 1}, [{"x": {text: 1}}]):
            with pytest.raises(ValueRangeError):
                verb(d["doc"], value)
                pytest.fail(title)
    for verb in (lambda: _set(d, "n", text), lambda: d.update(a=1, n=[text])):
        with pytest.raises(ValueRangeError):
            verb()
    assert d == {"doc": DOCUMENT}
    assert text not in d["doc", "list"]
    assert d["doc", "list"].count(text) == 0


def test_lone_surrogates_elsewhere_are_refused(client, d):
    d["doc"] = {"text": "a", "list": ["a"]}
    for verb in (
        lambda: d["doc"].concat("text", "\ud800"),
        lambda: d["doc"].query("$.\ud800"),
        lambda: d.rename("doc", "\ud800"),
        lambda: RedisJSONDict(client, "\ud800"),
        lambda: d["doc", "list"].index("\ud800"),
        lambda: d["doc", "list"].remove("\ud800"),
    ):
        with pytest.raises(ValueError):
            verb()
    assert d == {"doc": {"text": "a", "list": ["a"]}}


# Depth.


def nested(levels: int, make: Callable[[Any], Any] = lambda inner: [inner], core: Any = 0) -> Any:
    """Return containers inside one another, `levels` of them."""
    for _ in range(levels):
        core = make(core)
    return core


DEEP_VALUES = {
    "lists": lambda: nested(100_000),
    "dicts": lambda: nested(100_000, lambda inner: {"a": inner}),
    "tuples": lambda: nested(5_000, lambda inner: (inner,)),
    "user lists": lambda: nested(300, lambda inner: UserList([inner])),
    "one too many": lambda: nested(128),
}


@pytest.mark.parametrize("make", DEEP_VALUES.values(), ids=DEEP_VALUES.keys())
def test_depth_bombs_are_refused_by_every_verb(d, make):
    d["doc"] = DOCUMENT
    bomb = make()
    for title, verb in WITH_VALUE.items():
        with pytest.raises(ValueRangeError):
            verb(d["doc"], bomb)
            pytest.fail(title)
    for verb in (
        lambda: _set(d, "n", bomb),
        lambda: d.setdefault("n", bomb),
        lambda: d.update({"a": 1, "n": bomb}),
        lambda: d.at("n").set(bomb),
    ):
        with pytest.raises(ValueRangeError):
            verb()
    assert d == {"doc": DOCUMENT}


@pytest.mark.parametrize("title", WITH_VALUE)
def test_depth_is_counted_from_the_root_by_every_verb(d, raw, title):
    taken = 0
    for levels in range(122, 129):
        d["doc"] = DOCUMENT
        try:
            WITH_VALUE[title](d["doc"], nested(levels))
        except ValueRangeError:
            assert d["doc"] == DOCUMENT
            break
        taken = levels
        assert depth(d["doc"].to_python()) <= 127
        assert d["doc"].to_python() == json.loads(raw("doc"))
    else:
        pytest.fail("never refused")
    d["doc"] = DOCUMENT
    WITH_VALUE[title](d["doc"], nested(taken))
    assert depth(d["doc"].to_python()) == 127


def depth(value: Any) -> int:
    if not isinstance(value, (dict, list)):
        return 0
    items = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth, items), default=0)


@pytest.mark.parametrize("step", ["a", " a", "a\\", 0], ids=shown)
def test_repeated_assignment_stops_at_the_limit(d, step):
    make = (lambda: [[]]) if step == 0 else (lambda: {step: {}})
    d["doc"] = make()
    place = d.at("doc", step)
    reached = 2

    with contextlib.suppress(ValueRangeError):
        while reached < 200:
            place.set(make())
            place = place[step]
            reached += 1

    assert reached == 127
    assert depth(d["doc"].to_python()) == 127
    with pytest.raises(ValueRangeError):
        place.set({"b": {}})
    place.set(1)
    del d["doc"]


@pytest.mark.parametrize("verb", ["append", "extend", "insert", "slice", "setdefault", "update"])
def test_repeated_growth_stops_at_the_limit(d, verb):
    d["doc"] = [] if verb in ("append", "extend", "insert", "slice") else {}
    live = d["doc"]
    with pytest.raises(ValueRangeError):
        for _ in range(200):
            if verb == "append":
                live.append([])
            elif verb == "extend":
                live.extend([[]])
            elif verb == "insert":
                live.insert(0, [])
            elif verb == "slice":
                live[:] = [[]]
            elif verb == "setdefault":
                live.setdefault("a", {})
            else:
                live.update(a={})
            live = live[0] if isinstance(d["doc"].to_python(), list) else live["a"]
    assert depth(d["doc"].to_python()) == 127


def test_copies_of_deep_parts_are_counted_at_their_new_place(d):
    d["doc"] = {"a": nested(120), "b": nested(10, lambda inner: {"b": inner}, {})}
    place = d.at("doc", *["b"] * 10)

    with pytest.raises(ValueRangeError):
        place["c"] = d["doc", "a"]
    with pytest.raises(ValueRangeError):
        place.setdefault("c", d["doc", "a"])
    assert depth(d["doc"].to_python()) == 121


def test_cycles_are_refused_by_every_verb(d):
    d["doc"] = DOCUMENT
    loop: list[Any] = []
    loop.append({"again": [loop]})
    for title, verb in WITH_VALUE.items():
        with pytest.raises(UnsupportedValueError):
            verb(d["doc"], loop)
            pytest.fail(title)
    assert d["doc"] == DOCUMENT


def test_values_without_end_are_refused(d):
    class Endless(Sequence):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            if index:
                raise IndexError
            return Endless()

    with pytest.raises(ValueRangeError):
        d["a"] = Endless()
    endless = RedisJSONDict(d._run.client, "never:", default=lambda value: {"more": object()})
    with pytest.raises(ValueRangeError):
        endless["a"] = object()
    assert d == {}


# Queries.


@pytest.mark.parametrize("jsonpath", KILLERS, ids=shown)
def test_queries_that_kill_are_refused(d, jsonpath):
    d["doc"] = {"arr": [1, {"m": "M"}, "M"], "\u4e00": {"a": 1}}
    for place in (d["doc"], d["doc", "arr"], d.at("doc"), d.at("doc", "arr"), d.at("nothing")):
        with pytest.raises((ValueError, KeyError, RedisJSONDictError)):
            place.query(jsonpath)
    assert d["doc"] == {"arr": [1, {"m": "M"}, "M"], "\u4e00": {"a": 1}}


@pytest.mark.parametrize("jsonpath", PECULIAR, ids=shown)
def test_peculiar_queries_answer_or_are_refused(d, jsonpath):
    d["doc"] = {"arr": [1, {"m": "M"}, "M", "a" * 40], "s": "x", "o": {"arr": [{"x": "M"}]}}
    for place in (d["doc"], d["doc", "arr"], d.at("doc", "o")):
        try:
            found = place.query(jsonpath)
        except ValueError:
            continue
        assert type(found) is list
    assert d["doc", "s"] == "x"


def test_query_of_another_place_is_not_reached(d):
    d["doc"] = {"secret": 1, "o": {"a": 2}}

    for jsonpath in ("$.a", "$..a", "$['a']"):
        assert d["doc", "o"].query(jsonpath) == [2]
    for jsonpath in ("$[?($.secret==1)]", "secret", ".secret", "o.a", "", " $", "\ufeff$"):
        with pytest.raises(ValueError):
            d["doc", "o"].query(jsonpath)


# Objects that misbehave.


class Boom(Exception):
    pass


def boom(*_: Any, **__: Any) -> Any:
    raise Boom


class BadSequence(Sequence):
    """Fails, or lies, where told to."""

    def __init__(self, **methods: Any) -> None:
        self.methods = methods

    def __len__(self):
        return self.methods.get("len", lambda: 2)()

    def __getitem__(self, index):
        return self.methods.get("item", lambda i: [1, 2][i])(index)

    def __iter__(self):
        return self.methods.get("iter", lambda: iter([1, 2]))()


class BadMapping(Mapping):
    def __init__(self, **methods: Any) -> None:
        self.methods = methods

    def __len__(self):
        return self.methods.get("len", lambda: 1)()

    def __getitem__(self, key):
        return self.methods.get("item", lambda k: 1)(key)

    def __iter__(self):
        return self.methods.get("iter", lambda: iter(["a"]))()


class BadIndex:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __index__(self):
        return self.answer() if callable(self.answer) else self.answer


def _fails_later():
    yield 1
    raise Boom


BAD_VALUES = {
    "iter": lambda: BadSequence(iter=boom),
    "iter later": lambda: BadSequence(iter=_fails_later),
    "mapping iter": lambda: BadMapping(iter=boom),
    "mapping item": lambda: BadMapping(item=boom),
    "inside": lambda: {"a": [1, BadMapping(item=boom)]},
}


@pytest.mark.parametrize("make", BAD_VALUES.values(), ids=BAD_VALUES.keys())
def test_values_that_fail_change_nothing(d, make):
    d["doc"] = DOCUMENT
    for title, verb in WITH_VALUE.items():
        with pytest.raises(Boom):
            verb(d["doc"], make())
            pytest.fail(title)
    for verb in (lambda: _set(d, "n", make()), lambda: d.update(a=1, n=make())):
        with pytest.raises(Boom):
            verb()
    assert d == {"doc": DOCUMENT}


def test_values_that_fail_in_update_change_nothing(d):
    d["doc"] = {"a": 0}

    class Keys:
        def __init__(self, keys, item):
            self.keys, self.item = keys, item

        def __getitem__(self, key):
            return self.item(key)

    for other in (Keys(boom, boom), Keys(lambda: ["a", "b"], boom), Keys(_fails_later, boom)):
        for holder in (d, d["doc"], d.at("doc")):
            with pytest.raises(Boom):
                holder.update(other)
    for other in (Keys(lambda: 5, boom), [1], [(1, 2, 3)], 5, "ab"):
        for holder in (d, d["doc"], d.at("doc")):
            with pytest.raises((TypeError, ValueError)):
                holder.update(other)
    assert d == {"doc": {"a": 0}}


def test_indices_that_misbehave(d):
    d["doc"] = {"list": [1, 2, 3]}
    array = d["doc", "list"]
    for verb in (
        lambda i: array[i],
        lambda i: _set(array, i, 0),
        lambda i: _del(array, i),
        lambda i: array.pop(i),
        lambda i: array.insert(i, 0),
        lambda i: array[i:],
        lambda i: array[:i],
        lambda i: array[::i],
        lambda i: _set(array, slice(i, None), [1]),
        lambda i: _del(array, slice(None, i)),
        lambda i: array.index(1, i),
        lambda i: array.trim(i, 1),
        lambda i: array.append(1, maxlen=i),
        lambda i: array * i,
        lambda i: operator.imul(array, i),
        lambda i: array.get_many([i]),
    ):
        with pytest.raises(Boom):
            verb(BadIndex(boom))
        for wrong in (BadIndex("1"), BadIndex(1.0), 1.5, "0", (0,), object()):
            with pytest.raises(TypeError):
                verb(wrong)
    assert array == [1, 2, 3]
    assert array[BadIndex(1)] == 2
    assert array[True] == 2
    assert d["doc", "list", BadIndex(-1)] == 3


def test_objects_that_reenter_the_dict(d):
    d["doc"] = {"list": [1], "n": 0}

    def write_then(answer: Any) -> Any:
        d["doc"].incr("n")
        d["doc", "list"].append(0)
        return answer

    reentrant = BadSequence(iter=lambda: write_then(iter([7, 8])))
    d["doc", "copy"] = reentrant
    d["doc", "list"].extend(reentrant)
    d["doc", "list"][0:1] = reentrant
    d["doc"].update(BadMapping(item=lambda key: write_then(9)))
    assert d["doc", "list"][BadIndex(lambda: write_then(-1))] == 0

    stored = d["doc"].to_python()
    assert stored["n"] == d["doc", "list"].count(0) >= 5
    assert stored["copy"] == [7, 8]
    assert [item for item in stored["list"] if item] == [7, 8, 7, 8]
    assert stored["a"] == 9


def test_comparisons_that_misbehave_change_nothing(d):
    class BadEqual:
        def __eq__(self, other):
            raise Boom

        __hash__ = None

    d["doc"] = {"list": [1, [2]], " x": [1]}
    for array in (d["doc", "list"], d["doc", " x"]):
        for verb in (array.index, array.count, array.remove, array.__contains__):
            with pytest.raises(Boom):
                verb(BadEqual())
    for verb in (lambda: boom() < 1, lambda: d["doc", "list"].sort(key=boom)):
        with pytest.raises(Boom):
            verb()
    with pytest.raises(TypeError):
        d["doc", "list"].sort()
    for verb in (
        lambda: d["doc"].modify(boom),
        lambda: d["doc"] == BadMapping(iter=boom),
        lambda: d == BadMapping(item=boom),
        lambda: d["doc"] | BadMapping(item=boom),
    ):
        with pytest.raises(Boom):
            verb()
    assert d == {"doc": {"list": [1, [2]], " x": [1]}}


def test_comparison_that_writes_loses_nothing(d):
    class Meddler:
        def __eq__(self, other):
            if len(d["doc", "list"]) < 6:
                d["doc", "list"].append("late")
            return other == 2

        __hash__ = None

    d["doc"] = {"list": [1, 2, 3]}

    d["doc", "list"].remove(Meddler())

    assert d["doc", "list"] == [1, 3, "late", "late", "late"]


def test_sort_key_that_deletes_the_array_does_not_revive_it(d):
    d["doc"] = {"list": [2, 1]}
    array = d["doc", "list"]

    def key(item):
        d["doc"].pop("list", None)
        return item

    with pytest.raises(StaleLocationError):
        array.sort(key=key)
    assert d == {"doc": {}}


@pytest.mark.parametrize("name", ["list", " x"])
def test_modify_that_deletes_the_document_does_not_revive_it(d, name):
    d["doc"] = {name: [2, 1]}

    def forget(value):
        d.pop("doc", None)
        return value

    with pytest.raises(StaleLocationError):
        d["doc", name].modify(forget)
    assert d == {}


def test_lying_lengths_and_iterators(d):
    d["a"] = BadSequence(len=lambda: 10**9)
    assert d["a"] == [1, 2]
    d["a"] = BadMapping(len=boom)
    assert d["a"] == {"a": 1}
    d["b"] = [1]
    with pytest.raises(Boom):
        d["b"].extend(_fails_later())
    with pytest.raises(Boom):
        d["b"][:] = _fails_later()
    assert d["b"] == [1]


def test_keys_with_their_own_ideas_are_their_text(d):
    class Name(str):
        __slots__ = ()

        def __hash__(self):
            return 7

        def __eq__(self, other):
            return False

        def __str__(self):
            return "other"

        def encode(self, *_):
            return b'"] evil'

        def startswith(self, *_):
            return False

        def replace(self, *_):
            return "evil"

    for text in ("plain", " lead", "q\"'\\"):
        d[Name(text)] = {Name(text): [1], "b": Name(text)}
        d[Name(text), Name(text)].append(2)
        d[text].update({Name(text + "2"): 1})
        d[text].incr(Name("n"))
        d.at(Name(text), Name("n")).incr()

        assert d.pop(text) == {text: [1, 2], "b": text, text + "2": 1, "n": 2}
    assert d == {}


def test_numbers_with_their_own_ideas_are_their_value(d):
    class Number(int):
        def __repr__(self):
            return '"] evil'

        __str__ = __repr__
        __format__ = boom

    class Real(float):
        def __repr__(self):
            return "evil"

        __str__ = __repr__

    d["doc"] = {"n": Number(5), "x": Real(0.1), "list": [Number(1), Real(-0.0)]}
    d["doc"].incr("n", Number(2))
    d["doc"].incr("x", Real(0.2))
    d["doc", "list"][Number(0)] = Number(9)
    d["doc", "list", Number(-1)] = Real(2.5)

    assert d["doc"] == {"n": 7, "x": 0.1 + 0.2, "list": [9, 2.5]}
    assert d["doc", "list"].index(Number(9)) == 0
