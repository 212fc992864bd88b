"""What ordinary calls send: round trips and bytes, counted at the socket and at the server."""

from __future__ import annotations

import contextlib
import copy
import pickle
import uuid
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import pytest
import redis
from relay import Relay, Traffic

from redisjson_dict import RedisJSONDict
from redisjson_dict.scripts import script

PAGE = 1000  # documents, members or elements in one round trip: the contract
CONTENT: dict[str, Any] = {
    "number": 1,
    "float": 1.5,
    "flag": True,
    "text": "abc",
    "nothing": None,
    "array": [3, 1, 2, "x", None, True],
    "numbers": [3, 1, 2],
    "flags": [True],
    "texts": ["a"],
    "object": {"a": 1, "b": {"c": {"d": [1, {"e": 2}]}}},
    "big": list(range(2500)),
}


class Wire:
    """A dict behind a relay, and what a call costs."""

    def __init__(self, relay: Relay, prefix: str, admin: redis.Redis) -> None:
        self.relay = relay
        self.admin = admin
        self.client = redis.Redis.from_url(relay.url)
        self.d = RedisJSONDict(self.client, prefix)

    def cost(self, call: Callable[[], Any]) -> Traffic:
        """Return what a call costs, also one that raises."""
        before = self.relay.traffic
        with contextlib.suppress(LookupError, ValueError, TypeError):
            call()
        return self.relay.traffic - before

    def commands(self, call: Callable[[], Any]) -> list[str]:
        """Return the commands that the server received during a call, not those of scripts."""
        begin, end = f"begin-{uuid.uuid4()}", f"end-{uuid.uuid4()}"
        with self.admin.monitor() as monitor:
            seen = monitor.listen()
            self.client.echo(begin)
            with contextlib.suppress(LookupError, ValueError, TypeError):
                call()
            self.client.echo(end)
            names: list[str] = []
            for line in seen:
                if line["client_type"] == "lua":
                    continue
                if end in line["command"]:
                    return names
                names.append(line["command"].split(" ", 1)[0].upper())
                if begin in line["command"]:
                    names.clear()
        raise AssertionError("the monitor ended")


def load_scripts(client: redis.Redis) -> None:
    """Let the server know every script, so that no first use is counted."""
    loading = client.pipeline(transaction=False)
    for place in files("redisjson_dict.scripts").iterdir():
        if place.name.endswith(".lua") and not place.name.startswith("_"):
            loading.script_load(script(place.name.removesuffix(".lua")).source)
    loading.execute()


@pytest.fixture
def wire(relay: Relay, client: redis.Redis, prefix: str) -> Iterator[Wire]:
    load_scripts(client)
    wire = Wire(relay, prefix, client)
    wire.d["doc"] = CONTENT
    wire.d["other"] = {"x": 1}
    yield wire
    wire.client.close()


RAISES: dict[str, type[Exception]] = {
    "get missing": KeyError,
    "get missing by path": KeyError,
    "get by missing path": KeyError,
    "get through a scalar": KeyError,
    "get out of range": IndexError,
    "del missing": KeyError,
    "del out of range": IndexError,
    "pop missing": KeyError,
    "pop out of range": IndexError,
    "remove missing": ValueError,
    "remove a container": ValueError,
    "index missing": ValueError,
    "index of a container": ValueError,
    "ttl missing": KeyError,
}


def costs(wire: Wire, verb: str, table: dict[str, Any], place: Any) -> None:
    """Compare the cost of a call at a place, counted at the socket and at the server."""
    call, trips = table[verb]
    before = wire.relay.traffic
    with pytest.raises(RAISES[verb]) if verb in RAISES else contextlib.nullcontext():
        call(place)
    traffic = wire.relay.traffic - before
    assert (traffic.requests, traffic.turns) == (trips, trips)

    wire.d["doc"], wire.d["other"] = CONTENT, {"x": 1}
    assert len(wire.commands(lambda: call(place))) == trips


def add(path: tuple[Any, ...], value: Any) -> Callable[[Any], Any]:
    return lambda o: o.__setitem__(path, value)


OBJECT: dict[str, tuple[Callable[[Any], Any], int]] = {
    "get scalar": (lambda o: o["number"], 1),
    "get container": (lambda o: o["object"], 1),
    "get by path": (lambda o: o["object", "b", "c", "d", -1, "e"], 1),
    "get missing": (lambda o: o["missing"], 1),
    "get missing by path": (lambda o: o["missing", "a", 0], 1),
    "get through a scalar": (lambda o: o["number", "a"], 1),
    ".get": (lambda o: o.get("number"), 1),
    ".get missing": (lambda o: o.get("missing", 0), 1),
    ".get index out of range": (lambda o: o.get(("array", 99), 0), 1),
    ".get by no key": (lambda o: o.get(5), 0),
    "in": (lambda o: "number" in o, 1),
    "in, missing": (lambda o: "missing" in o, 1),
    "in by path": (lambda o: ("object", "b", "x", "y") in o, 1),
    "in by no key": (lambda o: 5 in o, 0),
    "set": (lambda o: o.__setitem__("number", 2), 1),
    "set new": (lambda o: o.__setitem__("new", {"a": [1]}), 1),
    "set by path": (add(("object", "b", "c", "new"), 2), 1),
    "set element by path": (add(("object", "b", "c", "d", -1), 2), 1),
    "set float to repair": (lambda o: o.__setitem__("number", 0.23217612806301458), 1),
    "del": (lambda o: o.__delitem__("number"), 1),
    "del missing": (lambda o: o.__delitem__("missing"), 1),
    "del by path": (lambda o: o.__delitem__(("object", "b", "c")), 1),
    "pop": (lambda o: o.pop("object"), 1),
    "pop default": (lambda o: o.pop("missing", 0), 1),
    "pop missing": (lambda o: o.pop("missing"), 1),
    "popitem": (lambda o: o.popitem(), 1),
    "clear": (lambda o: o.clear(), 1),
    "setdefault": (lambda o: o.setdefault("number", 0), 1),
    "setdefault new": (lambda o: o.setdefault("new", []), 1),
    "update": (lambda o: o.update({"a": 1, "b": [2]}, c={"d": 3}), 1),
    "|=": (lambda o: o.__ior__({"a": 1}), 1),
    "|": (lambda o: o | {"a": 1}, 1),
    "reversed |": (lambda o: {"a": 1} | o, 1),
    "len": (lambda o: len(o), 1),
    "bool": (lambda o: bool(o), 1),
    "iter": (lambda o: [*iter(o)], 1),
    "reversed": (lambda o: [*reversed(o)], 1),
    "items": (lambda o: [*iter(o.items())], 1),
    "values": (lambda o: [*iter(o.values())], 1),
    "keys": (lambda o: [*iter(o.keys())], 1),
    "keys &": (lambda o: o.keys() & {"a"}, 1),
    "items ==": (lambda o: o.items() == {"a": 1}.items(), 1),
    "in keys": (lambda o: "a" in o.keys(), 1),  # noqa: SIM118
    "in values": (lambda o: 1 in o.values(), 1),
    "in items": (lambda o: ("number", 1) in o.items(), 1),
    "==": (lambda o: o == {"a": 1}, 1),
    "!=": (lambda o: o != {"a": 1}, 1),
    "== no mapping": (lambda o: o == 5, 0),
    "repr": (repr, 1),
    "to_python": (lambda o: o.to_python(), 1),
    "copy": (lambda o: o.copy(), 1),
    "copy.copy": (copy.copy, 1),
    "copy.deepcopy": (copy.deepcopy, 1),
    "pickle": (pickle.dumps, 1),
    "incr": (lambda o: o.incr("number"), 1),
    "incr new": (lambda o: o.incr("new", 2, 5), 1),
    "incr by path": (lambda o: o.incr(("object", "a")), 1),
    "toggle": (lambda o: o.toggle("flag"), 1),
    "concat": (lambda o: o.concat("text", "d"), 1),
    "merge": (lambda o: o.merge({"number": None, "object": {"a": 2}}), 1),
    "replace": (lambda o: o.replace({"a": 1}), 1),
    "get_many": (lambda o: o.get_many(["number", "object", "missing", ("object", "a")]), 1),
    "query": (lambda o: o.query("$..e"), 1),
    "modify": (lambda o: o.modify(lambda value: {**value, "a": 1}), 2),
    "at": (lambda o: o.at("object", "b", "c", "d", -1), 0),
}

ARRAY: dict[str, tuple[Callable[[Any], Any], int]] = {
    "get": (lambda a: a[0], 1),
    "get from end": (lambda a: a[-1], 1),
    "get out of range": (lambda a: a[99], 1),
    "get slice": (lambda a: a[1:3], 1),
    "get extended slice": (lambda a: a[::-2], 1),
    "set": (lambda a: a.__setitem__(0, 9), 1),
    "set from end": (lambda a: a.__setitem__(-1, {"a": 1}), 1),
    "set slice": (lambda a: a.__setitem__(slice(1, 3), [7, 8, 9]), 1),
    "set extended slice": (lambda a: a.__setitem__(slice(0, 3, 2), [7, 8]), 2),
    "del": (lambda a: a.__delitem__(0), 1),
    "del from end": (lambda a: a.__delitem__(-1), 1),
    "del out of range": (lambda a: a.__delitem__(99), 1),
    "del slice": (lambda a: a.__delitem__(slice(1, 3)), 1),
    "del extended slice": (lambda a: a.__delitem__(slice(None, None, 2)), 2),
    "append": (lambda a: a.append({"a": [1]}), 1),
    "append maxlen": (lambda a: a.append(1, maxlen=3), 1),
    "append float to repair": (lambda a: a.append(0.23217612806301458), 1),
    "extend": (lambda a: a.extend(range(10)), 1),
    "+=": (lambda a: a.__iadd__([1, 2]), 1),
    "insert": (lambda a: a.insert(1, "x"), 1),
    "pop": (lambda a: a.pop(), 1),
    "pop first": (lambda a: a.pop(0), 1),
    "pop out of range": (lambda a: a.pop(99), 1),
    "remove": (lambda a: a.remove(1), 1),
    "remove missing": (lambda a: a.remove("missing"), 1),
    "remove a container": (lambda a: a.remove({"a": 1}), 1),
    "clear": (lambda a: a.clear(), 1),
    "index": (lambda a: a.index(2), 1),
    "index missing": (lambda a: a.index("missing"), 1),
    "index of a container": (lambda a: a.index([1]), 1),
    "in": (lambda a: 2 in a, 1),
    "in, missing": (lambda a: "missing" in a, 1),
    "count": (lambda a: a.count(1), 1),
    "len": (lambda a: len(a), 1),
    "iter": (lambda a: [*iter(a)], 1),
    "reversed": (lambda a: [*reversed(a)], 2),
    "sort": (lambda a: a.sort(key=str), 2),
    "reverse": (lambda a: a.reverse(), 2),
    "*=": (lambda a: a.__imul__(2), 2),
    "*": (lambda a: a * 2, 1),
    "+": (lambda a: a.__add__([1]), 1),
    "<": (lambda a: a < [9], 1),
    "==": (lambda a: a == [1], 1),
    "repr": (repr, 1),
    "to_python": (lambda a: a.to_python(), 1),
    "copy": (lambda a: a.copy(), 1),
    "pickle": (pickle.dumps, 1),
    "trim": (lambda a: a.trim(1, -1), 1),
    "incr": (lambda a: a.incr(0), 1),
    "toggle": (lambda a: a.toggle(-1), 1),
    "concat": (lambda a: a.concat(3, "y"), 1),
    "get_many": (lambda a: a.get_many([0, 1, -2, 99, -99]), 1),
    "replace": (lambda a: a.replace([1]), 1),
    "query": (lambda a: a.query("$[*]"), 1),
    "modify": (lambda a: a.modify(lambda value: value[::-1]), 2),
}

REFERENCE: dict[str, tuple[Callable[[Any], Any], int]] = {
    "get": (lambda r: r.at("object").get(), 1),
    "get below": (lambda r: r.get(("object", "b")), 1),
    "get default": (lambda r: r.get("missing", 0), 1),
    "set": (lambda r: r.at("object", "b").set({"a": 1}), 1),
    "[] =": (lambda r: r.__setitem__("number", 2), 1),
    "del []": (lambda r: r.__delitem__("number"), 1),
    "delete": (lambda r: r.at("object", "b").delete(), 1),
    "exists": (lambda r: r.at("object", "b").exists(), 1),
    "exists, missing": (lambda r: r.at("missing").exists(), 1),
    "kind": (lambda r: r.at("array").kind(), 1),
    "to_python": (lambda r: r.at("array").to_python(), 1),
    "contains": (lambda r: r.contains("array"), 1),
    "length": (lambda r: r.at("array").length(), 1),
    "keys": (lambda r: r.keys(), 1),
    "get_many": (lambda r: r.get_many(["number", "array"]), 1),
    "query": (lambda r: r.query("$.array[0]"), 1),
    "pop": (lambda r: r.pop("number"), 1),
    "pop last": (lambda r: r.at("array").pop(), 1),
    "popitem": (lambda r: r.popitem(), 1),
    "setdefault": (lambda r: r.setdefault("new", 1), 1),
    "update": (lambda r: r.update(a=1), 1),
    "clear": (lambda r: r.at("object").clear(), 1),
    "merge": (lambda r: r.merge({"number": None}), 1),
    "replace": (lambda r: r.at("array").replace([1]), 1),
    "modify": (lambda r: r.at("number").modify(lambda value: value + 1), 2),
    "append": (lambda r: r.at("array").append(1), 1),
    "extend": (lambda r: r.at("array").extend([1, 2]), 1),
    "insert": (lambda r: r.at("array").insert(0, 1), 1),
    "remove": (lambda r: r.at("array").remove(1), 1),
    "index": (lambda r: r.at("array").index(1), 1),
    "count": (lambda r: r.at("array").count(1), 1),
    "get_slice": (lambda r: r.at("array").get_slice(slice(1, 2)), 1),
    "sort": (lambda r: r.at("numbers").sort(), 2),
    "reverse": (lambda r: r.at("array").reverse(), 2),
    "trim": (lambda r: r.at("array").trim(0, 1), 1),
    "incr": (lambda r: r.at("number").incr(), 1),
    "incr below": (lambda r: r.incr("number"), 1),
    "toggle": (lambda r: r.at("flag").toggle(), 1),
    "concat": (lambda r: r.concat("text", "d"), 1),
    "walk": (lambda r: r["object"]["b"].at("c", "d", -1), 0),
}

DICT: dict[str, tuple[Callable[[Any], Any], int]] = {
    "get": (lambda d: d["doc"], 1),
    "get missing": (lambda d: d["missing"], 1),
    "get by path": (lambda d: d["doc", "object", "b", "c", "d", -1, "e"], 1),
    "get by missing path": (lambda d: d["missing", "a"], 1),
    "chain": (lambda d: d["doc"]["object"]["b"]["c"], 4),
    "chain to a scalar": (lambda d: d["doc"]["object"]["b"]["c"]["d"][1]["e"], 7),
    ".get": (lambda d: d.get("doc"), 1),
    ".get missing": (lambda d: d.get("missing", 0), 1),
    "in": (lambda d: "doc" in d, 1),
    "in, missing": (lambda d: "missing" in d, 1),
    "in by path": (lambda d: ("doc", "object", "b") in d, 1),
    "in by missing path": (lambda d: ("missing", "a") in d, 1),
    "in by no key": (lambda d: 5 in d, 0),
    "get by no key": (lambda d: d.get(5), 0),
    "set": (lambda d: d.__setitem__("doc", {"a": 1}), 1),
    "set by path": (add(("doc", "object", "b", "c"), 1), 1),
    "del": (lambda d: d.__delitem__("doc"), 1),
    "del by path": (lambda d: d.__delitem__(("doc", "object", "b")), 1),
    "pop": (lambda d: d.pop("doc"), 1),
    "pop default": (lambda d: d.pop("missing", 0), 1),
    "pop missing": (lambda d: d.pop("missing"), 1),
    "pop by path": (lambda d: d.pop(("doc", "array")), 1),
    "setdefault": (lambda d: d.setdefault("doc", 0), 1),
    "setdefault new": (lambda d: d.setdefault("other", 0), 1),
    "update": (lambda d: d.update({"doc": 1}, other=2), 1),
    "|=": (lambda d: d.__ior__({"doc": 1}), 1),
    "get_many": (lambda d: d.get_many(["doc", "other", "missing"]), 1),
    "get_many, paths": (lambda d: d.get_many(["other", ("doc", "number"), ("doc", "text")]), 2),
    "incr": (lambda d: d.incr(("doc", "number")), 1),
    "toggle": (lambda d: d.toggle(("doc", "flag")), 1),
    "concat": (lambda d: d.concat(("doc", "text"), "d"), 1),
    "rename": (lambda d: d.rename("other", "doc"), 1),
    "ttl": (lambda d: d.ttl("doc"), 1),
    "ttl missing": (lambda d: d.ttl("missing"), 1),
    "expire": (lambda d: d.expire("doc", 60), 1),
    "expireat": (lambda d: d.expireat("doc", 4e9), 1),
    "persist": (lambda d: d.persist("doc"), 1),
    "expire_at": (lambda d: d.expire_at(60), 0),
    "at": (lambda d: d.at("doc", "array").at(0), 0),
}


@pytest.mark.parametrize("verb", OBJECT)
def test_object_round_trips(wire: Wire, verb: str):
    costs(wire, verb, OBJECT, wire.d["doc"])


@pytest.mark.parametrize("verb", ARRAY)
def test_array_round_trips(wire: Wire, verb: str):
    costs(wire, verb, ARRAY, wire.d["doc"]["array"])


@pytest.mark.parametrize("verb", REFERENCE)
def test_reference_round_trips(wire: Wire, verb: str):
    costs(wire, verb, REFERENCE, wire.d.at("doc"))


@pytest.mark.parametrize("verb", DICT)
def test_dict_round_trips(wire: Wire, verb: str):
    costs(wire, verb, DICT, wire.d)


def test_every_public_verb_is_counted():
    """A verb that is added must be counted, too: compares with what there is."""
    from redisjson_dict import JSONArray, JSONObject
    from redisjson_dict.references import Reference, verb

    def uncounted(kind: type, table: dict[str, Any], known: set[str]) -> set[str]:
        words = {word.lstrip(".") for name in table for word in name.split()}
        return {name for name in vars(kind) if not name.startswith("_")} - words - known

    counted_below = {"to_python", "items", "values", "keys", "copy", "popitem", "clear"}
    assert not uncounted(JSONObject, OBJECT, {"fromkeys"})
    assert not uncounted(JSONArray, ARRAY, set())
    assert not uncounted(
        RedisJSONDict, DICT, counted_below | {"fromkeys", "close", "from_url", "pipeline"}
    )
    assert not {n for n, v in vars(Reference).items() if isinstance(v, verb)} - set(REFERENCE)


@pytest.mark.parametrize(
    ("documents", "pages"), [(0, 0), (1, 1), (PAGE, 1), (PAGE + 1, 2), (2 * PAGE + 1, 3)]
)
def test_dict_bulk_reads_go_by_pages(wire: Wire, documents: int, pages: int):
    wire.d.clear()
    wire.d.update({f"k{n}": n if n % 2 else {"n": n} for n in range(documents)})
    scan = wire.cost(lambda: len(wire.d)).requests
    bulk: list[Callable[[], Any]] = [
        lambda: wire.d.to_python(),
        lambda: wire.d.copy(),
        lambda: wire.d == {},
        lambda: repr(wire.d),
        lambda: wire.d | {},
        lambda: [*iter(wire.d.items())],
        lambda: [*iter(wire.d.values())],
        lambda: wire.d.get_many([f"k{n}" for n in range(documents)]),
    ]

    counted = [wire.cost(call).requests for call in bulk]
    assert counted == [scan + pages] * 7 + [pages]
    assert wire.cost(lambda: [*iter(wire.d.keys())]).requests == scan


def test_membership_of_a_document_is_one_plain_command(wire: Wire):
    assert wire.commands(lambda: "doc" in wire.d) == ["JSON.TYPE"]
    assert wire.commands(lambda: "missing" in wire.d) == ["JSON.TYPE"]


def test_empty_scan_asks_once_whether_there_is_json(wire: Wire):
    wire.d.clear()

    *scan, last = wire.commands(lambda: len(wire.d))
    assert set(scan) == {"SCAN"}
    assert last == "JSON.TYPE"


def test_scan_that_finds_something_asks_nothing_more(wire: Wire):
    assert set(wire.commands(lambda: len(wire.d))) == {"SCAN"}


def test_dict_clear_goes_by_pages(wire: Wire):
    wire.d.update({f"k{n}": n for n in range(PAGE)})
    documents = len(wire.d)
    scan = wire.cost(lambda: len(wire.d)).requests
    assert documents == PAGE + 2

    assert wire.cost(lambda: wire.d.clear()).requests == scan + 2
    assert len(wire.d) == 0


def test_dict_popitem_is_a_scan_and_one(wire: Wire):
    *scan, last = wire.commands(lambda: wire.d.popitem())

    assert set(scan) == {"SCAN"}
    assert last == "EVALSHA"
    assert len(wire.d) == 1


@pytest.mark.parametrize(("length", "pages"), [(0, 1), (PAGE - 1, 1), (PAGE + 1, 2), (2500, 3)])
def test_array_iteration_is_one_per_page(wire: Wire, length: int, pages: int):
    wire.d["doc"] = {"a": [[n] if n % 3 else n for n in range(length)]}
    a = wire.d["doc"]["a"]

    assert wire.cost(lambda: [*iter(a)]).requests == pages
    assert wire.cost(lambda: next(iter(a), None)).requests == 1
    assert wire.cost(lambda: [*reversed(a)]).requests == (1 + pages if length else 1)


@pytest.mark.parametrize(("length", "pages"), [(0, 1), (PAGE, 1), (PAGE + 1, 2), (2500, 3)])
def test_object_items_are_one_per_page(wire: Wire, length: int, pages: int):
    wire.d["doc"] = {f"m{n}": [n] if n % 3 else n for n in range(length)}
    o = wire.d["doc"]

    assert wire.cost(lambda: [*iter(o.items())]).requests == pages
    assert wire.cost(lambda: [*iter(o.values())]).requests == pages
    assert wire.cost(lambda: [*iter(o)]).requests == 1


@pytest.mark.parametrize("path", [("log",), ("a", "b", "log")])
def test_augmented_append_is_a_read_and_an_append(wire: Wire, path: tuple[str, ...]):
    value: Any = [1]
    for name in reversed(path):
        value = {name: value}
    wire.d["doc"] = value

    def augment() -> None:
        wire.d[("doc", *path)] += [2]

    assert wire.cost(augment).requests == 2
    assert len(wire.commands(augment)) == 2
    assert wire.d[("doc", *path)].to_python() == [1, 2, 2]


def test_augmented_append_of_a_document(wire: Wire):
    wire.d["log"] = [1]

    def augment() -> None:
        wire.d["log"] += [2]

    assert wire.cost(augment).requests == 2
    assert wire.d["log"].to_python() == [1, 2]


def test_augmented_update_of_a_member(wire: Wire):
    o = wire.d["doc"]

    def augment() -> None:
        o["object"] |= {"z": 1}

    assert wire.cost(augment).requests == 2
    assert o["object", "z"] == 1


def test_augmented_append_of_an_element_from_the_end(wire: Wire):
    wire.d["doc"] = {"rows": [[1], [2]]}
    rows = wire.d["doc"]["rows"]

    def augment() -> None:
        rows[-1] += [3]

    assert wire.cost(augment).requests == 3  # it asks once more which element that is
    assert rows.to_python() == [[1], [2, 3]]


def test_names_without_write_paths_take_two(wire: Wire):
    o = wire.d["doc"]
    for name in ("a\\b", " a", "'\""):
        o[name] = {"x": [1]}

        assert wire.cost(lambda name=name: o.__setitem__(name, 1)).requests == 2
        assert wire.cost(lambda name=name: o[name]).requests == 1
        assert wire.cost(lambda name=name: o.get(name)).requests == 1
        assert wire.cost(lambda name=name: name in o).requests == 1
        assert wire.cost(lambda name=name: o.incr(name)).requests == 2
        assert wire.cost(lambda name=name: o.__delitem__(name)).requests == 2


WRITES: dict[str, Callable[[Any], Any]] = {
    "set": lambda o: o.__setitem__("n", 5),
    "set by path": lambda o: o.__setitem__(("list", 1), 5),
    "append": lambda o: o.at("list").append(4),
    "append maxlen": lambda o: o.at("list").append(4, maxlen=3),
    "extend": lambda o: o.at("list").extend([4, 5]),
    "insert": lambda o: o.at("list").insert(1, 4),
    "pop": lambda o: o.at("list").pop(),
    "remove": lambda o: o.at("list").remove(2),
    "sort": lambda o: o.at("list").sort(),
    "modify": lambda o: o.at("list").modify(sorted),
    "incr": lambda o: o.incr("n"),
    "toggle": lambda o: o.toggle("flag"),
    "concat": lambda o: o.concat("text", "x"),
    "del": lambda o: o.__delitem__("n"),
    "update": lambda o: o.update(a=1, b=2),
    "setdefault": lambda o: o.setdefault("n", 1),
    "merge": lambda o: o.merge({"n": None}),
    "popitem": lambda o: o.popitem(),
    "set slice": lambda o: o.at("list").__setitem__(1, 7),
    "trim": lambda o: o.at("list").trim(0, 2),
    "get": lambda o: o["n"],
    "get container": lambda o: o["list"],
    "slice": lambda o: o.at("list").get_slice(slice(0, 2)),
    "in": lambda o: "n" in o,
    "keys": lambda o: list(iter(o)),
    "items": lambda o: list(iter(o.items())),
}


@pytest.fixture
def sizes(url: str) -> Iterator[tuple[Relay, list[RedisJSONDict]]]:
    """The same document twice, beside 1 KB and beside 1 MB of other content."""
    with Relay(url) as relay:
        client = redis.Redis.from_url(relay.url)
        prefix = f"size-{uuid.uuid4().hex[:12]}:"
        load_scripts(client)
        yield relay, [RedisJSONDict(client, f"{prefix}{letter}:") for letter in "ab"]
        for key in list(client.scan_iter(match=f"{prefix}*", count=10_000)):
            client.delete(key)
        client.close()


@pytest.mark.parametrize("verb", WRITES)
def test_bytes_do_not_depend_on_the_document(sizes: tuple[Relay, list[RedisJSONDict]], verb: str):
    relay, dicts = sizes
    counted = []
    for d, size in zip(dicts, (1_000, 1_000_000), strict=True):
        inner = {"n": 1, "flag": True, "text": "t", "list": [3, 1, 2]}
        d["doc"] = {"ballast": "x" * size, "more": [{"y": "z" * size}], "inner": inner}
        held = d["doc", "inner"]
        before = relay.traffic
        WRITES[verb](held)
        counted.append(relay.traffic - before)

    small, large = counted
    assert small == large
    assert large.up + large.down < 1000


@pytest.mark.parametrize(
    ("verb", "fragment"),
    [
        (lambda d, text: d.__setitem__(("doc", "a"), text), 1),
        (lambda d, text: d.at("doc", "l").append(text), 1),
        (lambda d, text: d.update(doc={"a": text, "l": []}), 1),
        (lambda d, text: d["doc"].update(a=text), 1),
        (lambda d, text: d.at("doc", "l").extend([text, text]), 2),
    ],
    ids=["set", "append", "assign", "update", "extend"],
)
def test_the_fragment_travels_once(wire: Wire, verb: Callable[..., Any], fragment: int):
    wire.d["doc"] = {"a": "", "l": []}
    size = 100_000

    traffic = wire.cost(lambda: verb(wire.d, "x" * size))
    assert fragment * size < traffic.up < fragment * size + 600
    assert traffic.down < 200


def test_a_container_is_shown_without_its_content(wire: Wire):
    wire.d["doc"] = {"big": ["x" * 1000] * 1000, "l": [["x" * 1000] * 100]}
    o = wire.d["doc"]
    calls: list[Callable[[], Any]] = [
        lambda: o["big"],
        lambda: wire.d["doc"],
        lambda: o.setdefault("big", 0),
        lambda: o.get_many(["big", "l"]),
        lambda: [*iter(o.items())],
        lambda: [*iter(o["l"])],
        lambda: [*iter(wire.d.items())],
        lambda: wire.d.setdefault("doc", 0),
        lambda: len(o["big"]),
    ]

    assert all(wire.cost(call).down < 400 for call in calls)


def test_a_slice_brings_its_elements_only(wire: Wire):
    a = wire.d["doc"]["big"]

    traffic = wire.cost(lambda: a[100:110])
    assert traffic.down < 100


def test_scripts_are_sent_again_after_a_flush(wire: Wire):
    o = wire.d["doc"]
    wire.admin.script_flush()

    assert wire.commands(lambda: o["number"]) == ["EVALSHA", "EVAL"]
    assert wire.commands(lambda: o["number"]) == ["EVALSHA"]
    assert wire.commands(lambda: o.at("array").insert(1, 1)) == ["EVALSHA", "EVAL"]
    assert wire.commands(lambda: o.at("array").insert(1, 1)) == ["EVALSHA"]
    assert o["array"].to_python() == [3, 1, 1, *CONTENT["array"][1:]]


@pytest.mark.parametrize("table", [OBJECT, ARRAY, REFERENCE, DICT], ids=["o", "a", "r", "d"])
def test_every_verb_survives_a_script_flush(wire: Wire, table: dict[str, Any]):
    """Each result is the same with the scripts unknown as with the scripts known."""

    def outcome(call: Callable[[Any], Any]) -> str:
        wire.d["doc"], wire.d["other"] = CONTENT, {"x": 1}
        o = wire.d["doc"]
        place = {id(OBJECT): o, id(ARRAY): o["array"], id(DICT): wire.d}.get(id(table))
        place = wire.d.at("doc") if place is None else place
        if flush:
            wire.admin.script_flush()
        try:
            result = repr(call(place))
        except (LookupError, ValueError, TypeError) as error:
            result = repr(error)
        return f"{result} {wire.d.to_python()}"

    for name, (call, _) in table.items():
        if name == "expire_at":  # the result is a new object each time
            continue
        flush = False
        known = outcome(call)
        flush = True
        assert outcome(call) == known


def test_nothing_is_sent_for_values_that_are_refused(wire: Wire):
    o, a = wire.d["doc"], wire.d["doc"]["array"]
    calls: list[Callable[[], Any]] = [
        lambda: o.__setitem__("a", float("nan")),
        lambda: o.__setitem__("a", {1: 2}),
        lambda: o.__setitem__("a", 2**64),
        lambda: o.__setitem__("a", {"set": {1}}),
        lambda: o.__setitem__("\ud800", 1),
        lambda: o.update(a=1, b=b""),
        lambda: a.append(object()),
        lambda: a.extend([1, float("inf")]),
        lambda: a.insert(0, "\ud800"),
        lambda: a.__setitem__(slice(0, 1), 5),
        lambda: o.query("a"),
        lambda: o.query("$[9223372036854775808]"),
        lambda: o.incr("number", float("inf")),
        lambda: wire.d.__setitem__("x", {"a": 1 + 2j}),
        lambda: wire.d.update(x=1, y={1, 2}),
        lambda: wire.d.__setitem__(5, 1),
        lambda: wire.d.__getitem__(5),
    ]

    for call in calls:
        assert wire.cost(call) == Traffic()
        with pytest.raises((TypeError, ValueError, KeyError)):
            call()
