"""`JSONObject` and `JSONArray`: dict's and list's protocols at every kind of place."""

from __future__ import annotations

import copy
import itertools
import json
import operator
import pickle
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from conformance import (
    ELEMENTS,
    MAPPING,
    MAPPING_CASES,
    MEMBERS,
    ORDERED,
    SEQUENCE,
    SEQUENCE_CASES,
    Make,
    Taker,
    check_case,
    check_comparison_is_lexicographic,
    check_every_slice_reads_as_lists,
    distinct_slices,
)

from redisjson_dict import (
    JSONArray,
    JSONObject,
    NotADocumentError,
    RedisJSONDict,
    StaleLocationError,
    UnsupportedValueError,
    ValueRangeError,
)

# How a place is reached: by names that are writable by path, readable only, neither; by an index.
PLACES: dict[str, tuple[str | int, ...]] = {
    "root": (),
    "member": ("box",),
    "deep": ("a", 1, "b", 0, "c"),
    "backslash": ("a\\b",),
    "lead": (" lead",),
    "quotes": ("'\"",),
    "empty": ("",),
    "below-odd": ("x", "a\\b", 1, " lead", "y", "'\"", "z"),
}


def nested(steps: tuple[str | int, ...], content: Any) -> Any:
    """Return a document that holds the content at a place, with siblings all the way."""
    for step in reversed(steps):
        if isinstance(step, int):
            content = [*range(step), content, "after"]
        else:
            content = {"before": None, step: content, "after": 1}
    return content


def placed(d: RedisJSONDict, steps: tuple[str | int, ...]) -> Make:
    numbers = itertools.count()

    def filled(content: Any) -> Any:
        name = f"{'/'.join(map(str, steps))}#{next(numbers)}"
        d[name] = nested(steps, content)
        box = d[name]
        for step in steps:
            box = box[step]
        return box

    return filled


@pytest.fixture(params=PLACES)
def make(request, d) -> Make:
    return placed(d, PLACES[request.param])


@pytest.fixture
def everywhere(d) -> list[Make]:
    return [placed(d, PLACES[name]) for name in ("member", "backslash", "below-odd")]


@pytest.mark.parametrize("check", MAPPING + ORDERED, ids=lambda check: check.__name__)
def test_object_does_as_dict(check: Callable[[Make], None], make) -> None:
    check(dict)
    check(make)


@pytest.mark.parametrize("case", MAPPING_CASES)
def test_object_agrees_with_dict(case: str, everywhere) -> None:
    for make in everywhere:
        check_case(case, "m", MEMBERS, dict, make)


# What tries out so much that two kinds of place must do.
EXHAUSTIVE = [check_every_slice_reads_as_lists, check_comparison_is_lexicographic]


@pytest.mark.parametrize(
    "check", [c for c in SEQUENCE if c not in EXHAUSTIVE], ids=lambda check: check.__name__
)
def test_array_does_as_list(check: Callable[[Make], None], make) -> None:
    check(list)
    check(make)


@pytest.mark.parametrize("place", ["member", "below-odd"])
@pytest.mark.parametrize("check", EXHAUSTIVE, ids=lambda check: check.__name__)
def test_array_does_everything_as_list(check: Callable[[Make], None], d, place) -> None:
    check(list)
    check(placed(d, PLACES[place]))


@pytest.mark.parametrize("case", SEQUENCE_CASES)
def test_array_agrees_with_list(case: str, everywhere) -> None:
    for make in everywhere:
        check_case(case, "a", ELEMENTS, list, make)


@pytest.mark.parametrize(
    ("place", "size"),
    [*(("member", size) for size in range(6)), *(("quotes", size) for size in range(5))],
)
def test_array_deletes_every_slice_as_list(d, place, size) -> None:
    make = placed(d, PLACES[place])
    box = make([])
    for part in distinct_slices(size):
        expected = list(range(size))
        del expected[part]
        box.replace(range(size))
        del box[part]

        assert (part, box.to_python()) == (part, expected)


@pytest.mark.parametrize(
    ("place", "size"),
    [*(("member", size) for size in range(6)), *(("quotes", size) for size in range(5))],
)
def test_array_assigns_every_slice_as_list(d, place, size) -> None:
    make = placed(d, PLACES[place])
    box = make([])
    for part in distinct_slices(size):
        for fresh in ([], ["x"], ["x", ["y"], "z"], ["x"] * len(range(size)[part])):
            expected = list(range(size))
            box.replace(range(size))
            try:
                expected[part] = fresh
            except ValueError:
                with pytest.raises(ValueError):
                    box[part] = fresh
            else:
                box[part] = fresh

            assert (part, fresh, box.to_python()) == (part, fresh, expected)


OBJECT_VERBS: dict[str, Callable[[JSONObject], Any]] = {
    "getitem": lambda o: o["a"],
    "getitem odd": lambda o: o["a\\b"],
    "getitem lead": lambda o: o[" lead"],
    "getitem path": lambda o: o["a", "b"],
    "get": lambda o: o.get("a", 1),
    "get path": lambda o: o.get(("a", 0), 1),
    "contains": lambda o: "a" in o,
    "contains path": lambda o: ("a", "b") in o,
    "len": len,
    "bool": bool,
    "iter": list,
    "reversed": lambda o: list(reversed(o)),
    "keys": lambda o: list(o.keys()),
    "values": lambda o: list(o.values()),
    "items": lambda o: list(o.items()),
    "items in": lambda o: ("a", 1) in o.items(),
    "eq": lambda o: o == {},
    "or": lambda o: o | {},
    "ror": lambda o: {} | o,
    "to_python": lambda o: o.to_python(),
    "copy": lambda o: o.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": pickle.dumps,
    "setitem": lambda o: o.__setitem__("a", 1),
    "setitem new": lambda o: o.__setitem__("new", {"x": 1}),
    "setitem float": lambda o: o.__setitem__("new", 0.1 + 0.2),
    "setitem odd": lambda o: o.__setitem__("a\\b", 1),
    "setitem lead": lambda o: o.__setitem__(" lead", 1),
    "setitem path": lambda o: o.__setitem__(("a", "b"), 1),
    "delitem": lambda o: o.__delitem__("a"),
    "delitem odd": lambda o: o.__delitem__(" lead"),
    "pop": lambda o: o.pop("a"),
    "pop default": lambda o: o.pop("a", None),
    "pop odd": lambda o: o.pop("a\\b", None),
    "popitem": lambda o: o.popitem(),
    "clear": lambda o: o.clear(),
    "setdefault": lambda o: o.setdefault("a", 1),
    "setdefault odd": lambda o: o.setdefault("'\"", 1),
    "update": lambda o: o.update(a=1),
    "update odd": lambda o: o.update({"a\\b": 1}),
    "ior": lambda o: o.__ior__({"a": 1}),
    "incr": lambda o: o.incr("a"),
    "incr odd": lambda o: o.incr(" lead"),
    "toggle": lambda o: o.toggle("a"),
    "concat": lambda o: o.concat("a", "x"),
    "merge": lambda o: o.merge({"a": 1}),
    "replace": lambda o: o.replace({"a": 1}),
    "get_many": lambda o: o.get_many(["a"]),
    "get_many odd": lambda o: o.get_many([" lead", "a"]),
    "get_many path": lambda o: o.get_many([("a", "b")]),
    "modify": lambda o: o.modify(lambda value: {"a": 1}),
}

ARRAY_VERBS: dict[str, Callable[[JSONArray], Any]] = {
    "getitem": lambda a: a[0],
    "getitem negative": lambda a: a[-1],
    "getitem slice": lambda a: a[1:],
    "getitem extended": lambda a: a[::-2],
    "contains": lambda a: 1 in a,
    "contains container": lambda a: [1] in a,
    "len": len,
    "bool": bool,
    "iter": list,
    "reversed": lambda a: list(reversed(a)),
    "eq": lambda a: a == [],
    "lt": lambda a: a < [],
    "ge": lambda a: operator.ge([], a),
    "add": lambda a: operator.add(a, []),
    "radd": lambda a: operator.add([], a),
    "mul": lambda a: a * 2,
    "rmul": lambda a: 2 * a,
    "to_python": lambda a: a.to_python(),
    "copy": lambda a: a.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": pickle.dumps,
    "index": lambda a: a.index(1),
    "index container": lambda a: a.index([1]),
    "count": lambda a: a.count(1),
    "setitem": lambda a: a.__setitem__(0, 1),
    "setitem negative": lambda a: a.__setitem__(-1, 1),
    "setitem slice": lambda a: a.__setitem__(slice(1, 2), [1]),
    "setitem extended": lambda a: a.__setitem__(slice(None, None, 2), []),
    "delitem": lambda a: a.__delitem__(0),
    "delitem slice": lambda a: a.__delitem__(slice(0, 1)),
    "delitem extended": lambda a: a.__delitem__(slice(None, None, 2)),
    "append": lambda a: a.append(1),
    "append float": lambda a: a.append(0.1 + 0.2),
    "append maxlen": lambda a: a.append(1, maxlen=3),
    "extend": lambda a: a.extend([1, 2]),
    "extend nothing": lambda a: a.extend([]),
    "iadd": lambda a: a.__iadd__([1]),
    "imul": lambda a: a.__imul__(2),
    "insert": lambda a: a.insert(0, 1),
    "pop": lambda a: a.pop(),
    "pop first": lambda a: a.pop(0),
    "remove": lambda a: a.remove(1),
    "remove container": lambda a: a.remove([1]),
    "clear": lambda a: a.clear(),
    "reverse": lambda a: a.reverse(),
    "sort": lambda a: a.sort(),
    "trim": lambda a: a.trim(0, 1),
    "incr": lambda a: a.incr(0),
    "toggle": lambda a: a.toggle(0),
    "concat": lambda a: a.concat(0, "x"),
    "replace": lambda a: a.replace([1]),
    "get_many": lambda a: a.get_many([0]),
    "get_many negative": lambda a: a.get_many([-1, -9]),
    "modify": lambda a: a.modify(lambda value: [1]),
}

VERBS = [
    *[pytest.param({"a": 1}, verb, id=f"object-{name}") for name, verb in OBJECT_VERBS.items()],
    *[pytest.param([1, [1]], verb, id=f"array-{name}") for name, verb in ARRAY_VERBS.items()],
]

_HOLDERS = [("held",), ("up", 1, "held"), (" lead", "held"), ("a\\b",), ("up", "'\"", "held")]


def left_by(d: RedisJSONDict) -> dict[str, Any]:
    return d.to_python()


@pytest.mark.parametrize(("content", "verb"), VERBS)
def test_proxy_of_a_deleted_document_is_stale(d, content, verb) -> None:
    for steps in [(), *_HOLDERS]:
        box = placed(d, steps)(content)
        for name in list(d):
            del d[name]
        with pytest.raises(StaleLocationError):
            verb(box)

        assert left_by(d) == {}


@pytest.mark.parametrize(("content", "verb"), VERBS)
def test_proxy_of_a_deleted_member_is_stale(d, content, verb) -> None:
    for steps in _HOLDERS:
        box = placed(d, steps)(content)
        (name,) = d
        del d[(name, *steps)]
        left = left_by(d)
        with pytest.raises(StaleLocationError):
            verb(box)

        assert left_by(d) == left
        del d[name]


@pytest.mark.parametrize(("content", "verb"), VERBS)
def test_proxy_below_a_deleted_parent_is_stale(d, content, verb) -> None:
    for steps in [("gone", "held"), ("gone", 0, "x"), ("gone", " lead"), ("gone", "a\\b")]:
        box = placed(d, steps)(content)
        (name,) = d
        del d[name, "gone"]
        left = left_by(d)
        with pytest.raises(StaleLocationError):
            verb(box)

        assert left_by(d) == left
        del d[name]


@pytest.mark.parametrize("other", [0, "a", None, True, 1.5, "container"])
@pytest.mark.parametrize(("content", "verb"), VERBS)
def test_proxy_of_another_kind_is_stale(d, content, verb, other) -> None:
    if other == "container":
        other = [["a", 1], ["b", 2]] if isinstance(content, dict) else {"0": 1, "1": 2}
    # A number and a container everywhere; of the other kinds one place for each way to read.
    everywhere = type(other) in (int, list, dict)
    for steps in [(), *_HOLDERS] if everywhere else [("held",), (" lead", "held"), ("a\\b",)]:
        box = placed(d, steps)(content)
        (name,) = d
        d[(name, *steps)] = other
        left = left_by(d)
        with pytest.raises(StaleLocationError):
            verb(box)

        assert left_by(d) == left
        del d[name]


@pytest.mark.parametrize(("content", "verb"), VERBS)
def test_proxy_of_a_document_turned_foreign_refuses(d, client, prefix, content, verb) -> None:
    for steps in [(), ("held",), (" lead", "held"), ("a\\b",)]:
        box = placed(d, steps)(content)
        (name,) = d
        del d[name]
        client.set(prefix + name, "mine", px=1_000_000)
        with pytest.raises(NotADocumentError):
            verb(box)

        assert client.get(prefix + name) == b"mine"
        assert 0 < client.pttl(prefix + name) <= 1_000_000
        client.delete(prefix + name)


def test_proxy_lives_again_with_its_place(d) -> None:
    d["x"] = {"l": [1]}
    box = d["x"]["l"]
    del d["x"]
    d["x"] = {"l": [2]}
    box.append(3)

    assert d["x"] == {"l": [2, 3]}


@pytest.mark.parametrize("content", [{"a": 1}, [1]], ids=["object", "array"])
def test_query_of_a_stale_proxy_is_refused(d, content) -> None:
    for steps in [(), ("held",), ("a\\b",), ("up", "'\"", "held")]:
        for other in (0, "a", [["a", 1]] if isinstance(content, dict) else {"0": 1}, None):
            box = placed(d, steps)(content)
            (name,) = d
            if other is None:
                del d[name]
            else:
                d[(name, *steps)] = other
            with pytest.raises(StaleLocationError):
                box.query("$[*]")

            d.clear()


def test_stale_error_is_no_key_or_index_error(d) -> None:
    d["x"] = {"o": {}, "l": []}
    o, a = d["x"]["o"], d["x"]["l"]
    del d["x"]
    for read in (lambda: o["a"], lambda: a[0]):
        with pytest.raises(LookupError) as caught:
            read()

        assert type(caught.value) is StaleLocationError
        assert not isinstance(caught.value, (KeyError, IndexError))
        assert "document 'x'" in caught.value.location


def test_stale_proxy_shows_itself(d) -> None:
    d["x"] = {"o": {}}
    o = d["x"]["o"]
    del d["x", "o"]

    assert repr(o).startswith("<stale JSONObject")


def test_iterating_a_shrinking_array_ends(d) -> None:
    d["x"] = list(range(1_500))
    seen = []
    for item in d["x"]:
        seen.append(item)
        if item == 999:
            d["x"].clear()

    assert seen == list(range(1_000))


def test_values_read_are_live(d) -> None:
    d["x"] = {"l": [1, [2], {"k": [3]}], "o": {"a": {}}}

    assert type(d["x"]) is type(d["x"]["o"]) is type(d["x"]["l"][2]) is JSONObject
    assert type(d["x"]["l"]) is type(d["x"]["l"][1]) is type(d["x"]["l"][-1]["k"]) is JSONArray
    assert [type(value) for value in d["x"]["l"]] == [int, JSONArray, JSONObject]
    assert [type(value) for value in reversed(d["x"]["l"])] == [JSONObject, JSONArray, int]
    assert {type(value) for value in d["x"].values()} == {JSONArray, JSONObject}
    assert {type(value) for _, value in d["x"].items()} == {JSONArray, JSONObject}


def test_detached_results_are_plain(d) -> None:
    content = {"l": [[1], {"k": [2]}], "o": {"a": {}}}
    d["x"] = content
    o, a = d["x"], d["x"]["l"]
    results = [o.to_python(), o.copy(), copy.copy(o), copy.deepcopy(o), o | {}, {} | o]
    results += [a.to_python(), a.copy(), copy.copy(a), a[:], a[::-1][::-1], a * 1]
    results += [operator.add(a, []), operator.add([], a)]
    for result in results:
        assert type(result) is (dict if "l" in result else list)
        assert json.dumps(result) == json.dumps(content if "l" in result else content["l"])

    assert json.dumps([a.pop(), a.pop(0), o.pop("l"), o.popitem()])
    assert d["x"] == {}


def test_proxy_denotes_a_path(d) -> None:
    d["x"] = [["a"], ["b"]]
    proxy = d["x"][1]
    d["x"].insert(0, ["new"])

    assert proxy == ["a"]


def test_negative_index_is_resolved_once(d) -> None:
    d["x"] = [["a"], ["b"]]
    last = d["x"][-1]
    d["x"].append(["c"])
    last.append("still b")

    assert d["x"] == [["a"], ["b", "still b"], ["c"]]


def test_setdefault_of_what_is_there_writes_nothing(d, client, prefix) -> None:
    """WATCH fires at every command that could write."""
    d["x"] = {"n": 1, "l": [1]}
    with client.pipeline() as pipe:
        pipe.watch(f"{prefix}x")
        assert d["x"].setdefault("n", 2) == 1
        assert d["x"].setdefault("l", []) == [1]
        pipe.multi()
        pipe.ping()
        assert pipe.execute() == [True]


def test_setdefault_returns_the_live_value(d) -> None:
    d["x"] = {}
    d["x"].setdefault("log", []).append(1)
    d["x"].setdefault("log", []).append(2)
    d["x"].setdefault(" odd", {})["k"] = 1
    d["x"].setdefault(("log", 0), 5)

    assert d["x"] == {"log": [1, 2], " odd": {"k": 1}}


def test_update_replaces_members_whole(d) -> None:
    d["x"] = {"a": {"old": 1}, "b": 1}
    d["x"].update({"a": {"new": None}, "b": None})

    assert d["x"] == {"a": {"new": None}, "b": None}


def test_update_with_a_bad_value_changes_nothing(d, raw) -> None:
    d["x"] = {"a": 1}
    before = raw("x")
    for bad in ({"a": 2, "b": object()}, {"a": 2, "b": float("nan")}, {"a": 2, 1: 1}):
        with pytest.raises((TypeError, ValueError)):
            d["x"].update(bad)

        assert raw("x") == before


@pytest.mark.parametrize("key", [1, None, 1.5, b"a", True, frozenset(), ("a", 1.5), ()])
def test_object_stores_no_key_of_another_type(d, key) -> None:
    d["x"] = {"a": {}}
    o = d["x"]
    for write in (
        lambda: o.__setitem__(key, 1),
        lambda: o.setdefault(key, 1),
        lambda: o.incr(key),
        lambda: o.update({key: 1}),
        lambda: o.replace({key: 1}),
        lambda: o.merge({key: 1}),
        lambda: d.__setitem__("x", {key: 1}),
    ):
        with pytest.raises(TypeError):
            write()

        assert o == {"a": {}}


def test_array_takes_no_path(d) -> None:
    d["x"] = [[1], {"a": 1}]
    a = d["x"]
    for verb in (
        lambda: a[0, 0],
        lambda: a.__setitem__((0, 0), 1),
        lambda: a.__delitem__((0, 0)),
        lambda: a.pop((0, 0)),
        lambda: a.insert((0,), 1),
        lambda: a.incr((0, 0)),
        lambda: a.toggle((0, 0)),
        lambda: a.concat((0, 0), "x"),
        lambda: a.get_many([(0, 0)]),
    ):
        with pytest.raises(TypeError):
            verb()

    assert a == [[1], {"a": 1}]


@pytest.mark.parametrize("steps", PLACES.values(), ids=PLACES)
def test_object_takes_paths(d, steps) -> None:
    o = placed(d, steps)({"n": 1, "t": True, "s": "x", "l": [[1], {"k": 2}], " odd": {"a\\": [3]}})

    assert o["l", 1, "k"] == o["l", -1, "k"] == 2
    assert o["l", 0].to_python() == [1]
    assert o[" odd", "a\\", -1] == 3
    assert o.get(("l", 0, 0)) == 1
    assert ("l", -2, 0) in o
    assert ("l", 2) not in o
    o["l", 1, "k"] = [4]
    o["l", 1, "new"] = 5
    o["l", -1, "k", 0] = 6
    o[" odd", "a\\", 0] = 7
    assert o["l"] == [[1], {"k": [6], "new": 5}]
    del o["l", 1, "new"]
    assert o.pop(("l", 1, "k", -1)) == 6
    assert o.pop((" odd", "a\\")) == [7]
    assert o.setdefault(("l", 1, "d"), {"x": 1}).to_python() == {"x": 1}
    assert o.incr(("l", 0, 0), 5) == 6
    assert o.incr(("l", 1, "i"), 2, default=40) == 42
    o["l", 1, "t"] = True
    assert o.toggle(("l", 1, "t")) is False
    o["l", 1, "s"] = "a"
    o.concat(("l", 1, "s"), "b")
    assert o.get_many([("l", 0, 0), "n"]) == {("l", 0, 0): 6, "n": 1}
    assert o["l"] == [[6], {"k": [], "d": {"x": 1}, "i": 42, "t": False, "s": "ab"}]


_NOWHERE = [
    ("zz", "a"),
    ("l", 5),
    ("l", -5),
    ("l", "k"),
    ("l", 2**70),
    ("l", -(2**70)),
    ("o", 0),
    ("n", "a"),
    ("n", 0),
    ("s", 0),
    ("l", 0, 0),
]


@pytest.mark.parametrize("path", _NOWHERE, ids=repr)
def test_path_that_leads_nowhere_is_a_key_error(d, path) -> None:
    content = {"n": 1, "s": "x", "l": [1], "o": {}}
    d["x"] = content
    o = d["x"]
    for verb in (
        lambda: o[path],
        lambda: o.__setitem__(path, 1),
        lambda: o.__setitem__(path, {"f": 0.1 + 0.2}),
        lambda: o.__delitem__(path),
        lambda: o.pop(path),
        lambda: o.setdefault(path, 1),
        lambda: o.incr(path),
        lambda: o.toggle(path),
        lambda: o.concat(path, "x"),
    ):
        with pytest.raises(KeyError) as caught:
            verb()

        assert type(caught.value) is KeyError
        assert caught.value.args == (path,)
    assert o.get(path) is None
    assert o.get(path, 7) == 7
    assert path not in o
    assert o.pop(path, 7) == 7
    assert d["x"] == content


def test_array_verbs_beyond_the_ends_are_index_errors(d) -> None:
    d["x"] = [1, True, "x"]
    a = d["x"]
    for index in (3, -4, 99, 2**63 - 1, -(2**63)):
        for verb in (
            operator.getitem,
            operator.delitem,
            lambda a, i: a.__setitem__(i, 0),
            lambda a, i: a.pop(i),
            lambda a, i: a.incr(i),
            lambda a, i: a.toggle(i),
            lambda a, i: a.concat(i, "y"),
        ):
            with pytest.raises(IndexError):
                verb(a, index)

    assert a == [1, True, "x"]


def test_array_verbs_far_beyond_the_ends_do_as_list(d) -> None:
    d["x"] = [1, True, "x"]
    a = d["x"]
    for index in (2**63, -(2**63) - 1, 2**70):
        for verb in (operator.getitem, operator.delitem, lambda a, i: a.__setitem__(i, 0)):
            with pytest.raises(IndexError):
                verb(a, index)
        for verb in (lambda a, i: a.pop(i), lambda a, i: a.insert(i, 0)):
            with pytest.raises(OverflowError):
                verb([], index)
            with pytest.raises(OverflowError):
                verb(a, index)

    assert a == [1, True, "x"]


def test_verb_for_another_kind_is_a_type_error(d) -> None:
    content = {"n": 1, "s": "x", "t": True, "z": None, "l": [], "o": {}}
    d["x"] = content
    o = d["x"]
    verbs = {
        "n": lambda name: o.incr(name),
        "s": lambda name: o.concat(name, "x"),
        "t": lambda name: o.toggle(name),
    }
    for right, verb in verbs.items():
        for name in content.keys() - {right}:
            with pytest.raises(TypeError):
                verb(name)

    assert o == content


@pytest.fixture
def sent(client, prefix) -> Callable[[Callable[[], Any]], list[str]]:
    """The commands on keys of one's own that a call makes the server run for a client."""

    def record(call: Callable[[], Any]) -> list[str]:
        end = uuid.uuid4().hex
        commands = []
        with client.monitor() as monitor:
            call()
            client.echo(end)
            for seen in monitor.listen():
                if end in seen["command"]:
                    return commands
                if prefix in seen["command"] and seen["client_type"] != "lua":
                    commands.append(seen["command"])
        raise AssertionError("the monitor ended")

    return record


def test_augmented_addition_sends_one_append(d, sent) -> None:
    d["log"] = [0]
    d["x"] = {"log": [0]}
    x = d["x"]

    def add() -> None:
        d["log"] += [1]

    def add_below() -> None:
        x["log"] += [1]

    def add_to_a_path() -> None:
        d["x", "log"] += [2]

    for call in (add, add_below, add_to_a_path):
        commands = sent(call)
        assert len(commands) == 2, commands  # the read, and one write of the element

    assert d["log"] == [0, 1]
    assert d["x"] == {"log": [0, 1, 2]}


def test_augmented_assignment_of_an_element_sends_one_write(d, sent) -> None:
    d["x"] = [1, [2], {"k": 3}]
    a = d["x"]

    def add() -> None:
        a[-2] += [4]

    def merge() -> None:
        a[-1] |= {"m": 5}

    def add_by_path() -> None:
        d["x", -2] += [6]

    for call in (add, merge, add_by_path):
        assert len(sent(call)) == 3  # the read, the write, and which element that is now

    assert a == [1, [2, 4, 6], {"k": 3, "m": 5}]


def test_augmented_assignment_of_an_element_by_index_sends_no_more(d, sent) -> None:
    d["x"] = [1, [2]]
    a = d["x"]

    def add() -> None:
        a[1] += [4]

    assert len(sent(add)) == 2
    assert a == [1, [2, 4]]


def test_element_from_the_end_is_another_one_after_an_append(d) -> None:
    d["x"] = [[1], [2]]
    a = d["x"]
    last = a[-1]
    a.append([3])
    a[-1] = last

    assert a == [[1], [2], [2]]


def test_path_from_the_end_leads_elsewhere_after_an_append(d) -> None:
    d["x"] = {"l": [[1], [2]]}
    last = d["x", "l", -1]
    d["x", "l"].append([3])
    d["x", "l", -1] = last

    assert d["x", "l"] == [[1], [2], [2]]


def test_assignment_of_a_proxy_elsewhere_copies(d) -> None:
    d["x"] = {"a": [1], "b": 0}
    d["x"]["b"] = d["x"]["a"]
    d["x"]["b"].append(2)
    d["y"] = d["x"]["a"]

    assert d["x"] == {"a": [1], "b": [1, 2]}
    assert d["y"] == [1]


@pytest.mark.parametrize("steps", PLACES.values(), ids=PLACES)
def test_array_verbs_beyond_list(d, steps) -> None:
    a = placed(d, steps)([1, True, "x", [1, 2], {"k": None}])

    assert a.incr(0, 2) == 3
    assert a.incr(-5, 0.5) == 3.5
    assert a.toggle(1) is False
    assert a.concat(-3, "y") is None
    assert a.get_many([0, 2]) == {0: 3.5, 2: "xy"}
    assert a.query("$[3][*]") == [1, 2] if " lead" not in steps else True
    a.append(6, maxlen=3)
    assert a == [[1, 2], {"k": None}, 6]
    a.trim(1, 3)
    assert a == [{"k": None}, 6]
    a.append(7, maxlen=0)
    assert a == []
    a.replace((1, 2))
    assert a.modify(lambda value: [*value, 3]) == [1, 2, 3]
    assert a == [1, 2, 3]
    with pytest.raises(TypeError):
        a.replace({"a": 1})
    with pytest.raises(TypeError):
        a.replace("ab")
    assert a == [1, 2, 3]


@pytest.mark.parametrize("part", list(itertools.product([None, -9, -2, 0, 1, 3, 9], repeat=2)))
def test_array_trim_keeps_the_slice(d, part) -> None:
    start, stop = (0 if part[0] is None else part[0], 99 if part[1] is None else part[1])
    for place in ("member", "quotes"):
        a = placed(d, PLACES[place])([0, 1, 2, 3])
        a.trim(start, stop)

        assert a == [0, 1, 2, 3][start:stop]


@pytest.mark.parametrize("steps", PLACES.values(), ids=PLACES)
def test_object_verbs_beyond_dict(d, steps) -> None:
    o = placed(d, steps)({"n": 1, "t": True, "s": "x", "o": {"a": 1, "b": {"c": 2}}, " l": [1]})

    assert o.incr("n") == 2
    assert o.incr("new", 2, default=5) == 7
    assert o.incr(" new", -1) == -1
    assert o.toggle("t") is False
    assert o.concat("s", "é") is None
    assert o.get_many(["n", "t", " l"]) == {"n": 2, "t": False, " l": [1]}
    o.merge({"o": {"a": None, "b": {"d": [None]}}, "s": None, " l": {"x": 1}})
    assert o == {
        "n": 2,
        "t": False,
        "new": 7,
        " new": -1,
        "o": {"b": {"c": 2, "d": [None]}},
        " l": {"x": 1},
    }
    o.replace({"z": 1, "\\": 2})
    assert o.modify(lambda value: {**value, "y": 3}) == {"z": 1, "\\": 2, "y": 3}
    assert list(o.items()) == [("z", 1), ("\\", 2), ("y", 3)]
    with pytest.raises(TypeError):
        o.replace([1])
    with pytest.raises(TypeError):
        o.merge([1])
    assert list(o) == ["z", "\\", "y"]


def test_incr_refuses_overflow(d) -> None:
    d["x"] = {"top": 2**64 - 1, "i64": 2**63 - 1, "low": -(2**63), "big": 1.7e308}
    o = d["x"]

    assert o.incr("i64") == 2**63
    for name, amount in (("top", 1), ("low", -1), ("big", 1e308)):
        before = o[name]
        with pytest.raises(ValueError):
            o.incr(name, amount)
        assert repr(o[name]) == repr(before)


def test_get_many_of_an_object_leaves_out_what_is_missing(d) -> None:
    d["x"] = {"a": 1, " b": 2}

    assert d["x"].get_many(["zz", "a"]) == {"a": 1}
    assert d["x"].get_many(["zz", " b", " zz"]) == {" b": 2}


@pytest.mark.parametrize("key", ["\ud800", ("a", "\udfff"), 1, None, b"a", (), ("a", None)])
def test_get_many_of_an_object_leaves_out_what_is_no_key(d, key) -> None:
    d["x"] = {"a": 1}

    assert d["x"].get_many([key, "a"]) == {"a": 1}


@pytest.mark.parametrize("name", ["o", " o", "o\\"])
def test_get_many_of_nothing_is_empty(d, name) -> None:
    d["doc"] = {name: {"x": 1}}

    assert d["doc"][name].get_many([]) == {}
    assert d.at("doc", name).get_many([]) == {}


def test_get_many_of_an_object_wants_hashable_keys(d) -> None:
    d["x"] = {"a": 1}
    with pytest.raises(TypeError):
        d["x"].get_many(["a", []])


def test_get_many_of_an_object_takes_paths_from_the_end(d) -> None:
    d["x"] = {"l": [1, [2]]}

    assert d["x"].get_many(["a", ("l", -1, 0), ("l", -3)]) == {("l", -1, 0): 2}


@pytest.mark.parametrize("place", PLACES)
def test_get_many_of_an_array_leaves_out_what_is_missing(d, place) -> None:
    a = placed(d, PLACES[place])([1, [2]])

    assert a.get_many([7, 0]) == {0: 1}
    assert a.get_many([0, -9, -1, 2**70, -(2**70)]) == {0: 1, -1: [2]}


def test_get_many_gives_live_values_with_resolved_indices(d) -> None:
    d["x"] = [[1], [2]]
    last = d["x"].get_many([-1])[-1]
    d["x"].append([3])
    last.append("still 2")

    assert d["x"] == [[1], [2, "still 2"], [3]]


_FROM_INDEX: dict[str, Callable[[JSONObject], Any]] = {
    "getitem": lambda o: o[(0,)],
    "delitem": lambda o: o.__delitem__((0,)),
    "setitem": lambda o: o.__setitem__((0, "a"), 1),
    "pop": lambda o: o.pop((0,)),
    "incr": lambda o: o.incr((0,)),
    "toggle": lambda o: o.toggle((0,)),
    "concat": lambda o: o.concat((0,), "x"),
    "setdefault": lambda o: o.setdefault((0,), 1),
}


@pytest.mark.parametrize("verb", _FROM_INDEX.values(), ids=_FROM_INDEX)
def test_path_of_an_object_that_starts_with_an_index_is_a_key_error(d, verb) -> None:
    d["x"] = {"a": 1}
    with pytest.raises(KeyError) as caught:
        verb(d["x"])

    assert caught.value.args[0][0] == 0
    assert d["x"] == {"a": 1}


def test_path_of_an_object_that_starts_with_an_index_is_never_found(d) -> None:
    d["x"] = {"a": 1}

    assert d["x"].get((0,), 7) == 7
    assert (0,) not in d["x"]
    assert d["x"].pop((0,), 7) == 7


def test_empty_update_of_an_unwritable_object_changes_nothing(d) -> None:
    d["x"] = {" l": {"a": 1}}
    o = d["x"][" l"]
    o.update({})
    o.update()
    o |= {}

    assert d["x"] == {" l": {"a": 1}}


def test_key_error_below_an_unwritable_name_has_the_path(d) -> None:
    d["x"] = {}
    with pytest.raises(KeyError) as caught:
        del d["x"][" odd", "a"]

    assert caught.value.args == ((" odd", "a"),)


@pytest.mark.parametrize("path", [("missing", " x"), ("missing", "a\\b"), (" missing", "a")])
def test_path_below_a_missing_member_is_never_found(d, path) -> None:
    d["x"] = {"run": {}}
    o = d["x"]["run"]

    assert o.get(path, 4) == 4
    assert o.pop(path, 4) == 4
    assert path not in o
    with pytest.raises(KeyError) as caught:
        o[path] = 1
    assert caught.value.args == (path,)


def test_reference_from_a_held_object_is_none_that_is_held(d) -> None:
    d["x"] = {"a": {"b": [1]}}
    r = d["x"]["a"].at("b")
    del d["x", "a"]
    with pytest.raises(KeyError):
        r.append(1)

    assert d["x"] == {}


def test_multiplication_defers_to_the_right_operand(d) -> None:
    d["x"] = [1]

    assert d["x"] * Taker() == [1] * Taker() == "rmul"


def test_reversed_starts_where_it_was_made(d) -> None:
    d["x"] = [1, 2]
    backwards = reversed(d["x"])
    d["x"].append(3)

    assert list(backwards) == [2, 1]


@pytest.mark.parametrize("flag", ["x", None, 1.5])
def test_sort_wants_a_flag_for_reverse(d, flag) -> None:
    d["x"] = [1, 2]
    with pytest.raises(TypeError):
        [1, 2].sort(reverse=flag)
    with pytest.raises(TypeError):
        d["x"].sort(reverse=flag)

    assert d["x"] == [1, 2]


_FATAL = ("一", "\x00")  # names that abort the server in an error text; it cuts paths at NUL


def test_array_below_fatal_names_is_sliced(d) -> None:
    d["doc"] = {"一": {"\x00": [1, 2]}}

    assert d[("doc", *_FATAL)][0:1] == [1]
    assert d[("doc", *_FATAL)][::-1] == [2, 1]


def test_array_below_fatal_names_takes_a_float_to_repair(d) -> None:
    d["doc"] = {"一": {"\x00": [1, 2]}}
    d[("doc", *_FATAL)].append(0.9654801388982029)

    assert d[("doc", *_FATAL, -1)] == 0.9654801388982029


def test_element_from_the_end_is_changed_where_it_was_read(d) -> None:
    d["x"] = [[1], [2]]
    d["x"][-1] += [5]

    assert d["x"] == [[1], [2, 5]]


def test_incr_of_an_element_from_the_end_beyond_doubles(d) -> None:
    d["x"] = [2**60]

    assert d["x"].incr(-1) == 2**60 + 1
    assert d["x"] == [2**60 + 1]


def test_incr_takes_amounts_beyond_int64_where_the_sum_fits(d) -> None:
    d["x"] = {"n": -5}

    assert d["x"].incr("n", 2**64 - 1, default=5) == 2**64 - 6


def test_incr_refuses_a_start_and_an_amount_too_large_together(d) -> None:
    d["x"] = {"n": -5}
    with pytest.raises(ValueRangeError):
        d["x"].incr("new", 2**63, default=2**63)

    assert d["x"] == {"n": -5}


def test_setdefault_by_a_path_from_the_end_gives_what_it_stored(d) -> None:
    d["x"] = {"l": [{"k": 1}]}
    stored = d["x"].setdefault(("l", -1, "z"), {})
    d["x", "l"].append({})
    stored["m"] = 1

    assert d["x", "l"] == [{"k": 1, "z": {"m": 1}}, {}]


def test_setdefault_by_a_path_from_the_end_gives_what_is_there(d) -> None:
    d["x"] = {"l": [{"k": {"m": 0}}]}
    there = d["x"].setdefault(("l", -1, "k"), {})
    d["x", "l"].append({})
    there["m"] = 1

    assert d["x", "l"] == [{"k": {"m": 1}}, {}]


def test_members_deleted_while_iterating_pages_are_left_out(d) -> None:
    d["x"] = {f"k{number}": number for number in range(3_000)}
    pairs = iter(d["x"].items())
    next(pairs)
    del d["x", "k2000"]

    assert len(list(pairs)) == 2_998


def test_modify_wants_content_of_the_same_kind(d) -> None:
    d["x"] = {"o": {"a": 1}, "l": [1]}
    for box in (d["x"]["o"], d["x"]["l"]):
        for wrong in (None, 1, "text", [] if box == {"a": 1} else {}):
            with pytest.raises(UnsupportedValueError):
                box.modify(lambda _, wrong=wrong: wrong)

    assert d["x"] == {"o": {"a": 1}, "l": [1]}


def test_live_element_is_found_in_its_array(d) -> None:
    d["x"] = [[number] for number in range(50)]

    assert d["x"].count(d["x", 3]) == 1
    assert d["x"].index(d["x", 3]) == 3
    assert d["x", 49] in d["x"]


def test_index_too_long_to_print_is_an_index_error(d) -> None:
    d["x"] = [1]
    with pytest.raises(IndexError):
        d["x"][10**5000]


def test_membership_of_a_value_nested_very_deep(d) -> None:
    value: list = []
    for _ in range(5000):
        value = [value]
    d["a"] = [1, [2]]

    assert (value in d["a"]) is (value in [1, [2]]) is False
