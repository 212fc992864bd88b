"""`RedisJSONDict` at the top level: dict's protocol, paths, foreign keys, further verbs."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conformance import MAPPING, MAPPING_CASES, MEMBERS, Make, check_case

from redisjson_dict import NotADocumentError, RedisJSONDict, ValueRangeError


@pytest.fixture
def make(client, prefix) -> Make:
    numbers = itertools.count()

    def filled(content: dict[str, Any]) -> RedisJSONDict:
        box = RedisJSONDict(client, f"{prefix}{next(numbers)}:")
        box.update(content)
        return box

    return filled


@pytest.mark.parametrize("check", MAPPING, ids=lambda check: check.__name__)
def test_mapping_does_as_dict(check: Callable[[Make], None], make) -> None:
    check(dict)
    check(make)


@pytest.mark.parametrize("case", MAPPING_CASES)
def test_mapping_agrees_with_dict(case: str, make) -> None:
    check_case(case, "m", MEMBERS, dict, make)


READS: dict[str, Callable[[RedisJSONDict], Any]] = {
    "getitem": lambda d: d["k"],
    "getitem path": lambda d: d["k", "a"],
    "getitem odd path": lambda d: d["k", " a", "b\\"],
    "get": lambda d: d.get("k"),
    "get path": lambda d: d.get(("k", 0), 1),
    "get_many": lambda d: d.get_many(["other", "k"]),
    "get_many path": lambda d: d.get_many([("k", "a")]),
    "items contains": lambda d: ("k", "mine") in d.items(),
}

WRITES: dict[str, Callable[[RedisJSONDict], Any]] = {
    "setitem": lambda d: d.__setitem__("k", 1),
    "setitem container": lambda d: d.__setitem__("k", {"a": [0.1 + 0.2]}),
    "setitem path": lambda d: d.__setitem__(("k", "a"), 1),
    "setitem float path": lambda d: d.__setitem__(("k", "a"), 0.1 + 0.2),
    "setitem odd path": lambda d: d.__setitem__(("k", "a\\"), 1),
    "delitem": lambda d: d.__delitem__("k"),
    "delitem path": lambda d: d.__delitem__(("k", "a")),
    "delitem odd path": lambda d: d.__delitem__(("k", " a")),
    "pop": lambda d: d.pop("k"),
    "pop default": lambda d: d.pop("k", 1),
    "pop path": lambda d: d.pop(("k", "a"), 1),
    "setdefault": lambda d: d.setdefault("k", 1),
    "setdefault path": lambda d: d.setdefault(("k", "a"), 1),
    "update": lambda d: d.update(k=1),
    "update several": lambda d: d.update(a=1, k=2, z=3),
    "ior": lambda d: d.__ior__({"k": 1}),
    "incr": lambda d: d.incr("k"),
    "incr path": lambda d: d.incr(("k", "a")),
    "toggle": lambda d: d.toggle("k"),
    "concat": lambda d: d.concat("k", "x"),
    "concat path": lambda d: d.concat(("k", "a"), "x"),
    "rename from": lambda d: d.rename("k", "new"),
    "rename onto": lambda d: d.rename("other", "k"),
    "at get": lambda d: d.at("k").get(),
    "at get below": lambda d: d.at("k", "a").get(),
    "at set": lambda d: d.at("k").set(1),
    "at set below": lambda d: d.at("k", "a").set(1),
    "at delete": lambda d: d.at("k").delete(),
    "at pop": lambda d: d.at("k").pop("a"),
    "at append": lambda d: d.at("k").append(1),
    "at append below": lambda d: d.at("k", "a").append(1),
    "at extend": lambda d: d.at("k").extend([1]),
    "at insert": lambda d: d.at("k").insert(0, 1),
    "at remove": lambda d: d.at("k").remove(1),
    "at trim": lambda d: d.at("k").trim(0, 1),
    "at sort": lambda d: d.at("k").sort(),
    "at reverse": lambda d: d.at("k").reverse(),
    "at incr": lambda d: d.at("k").incr(),
    "at toggle": lambda d: d.at("k").toggle(),
    "at update": lambda d: d.at("k").update(a=1),
    "at merge": lambda d: d.at("k").merge({"a": 1}),
    "at replace": lambda d: d.at("k").replace({}),
    "at modify": lambda d: d.at("k").modify(lambda value: 1),
    "at clear": lambda d: d.at("k").clear(),
    "at popitem": lambda d: d.at("k").popitem(),
    "at setdefault": lambda d: d.at("k").setdefault("a", 1),
    "at to_python": lambda d: d.at("k").to_python(),
    "at length": lambda d: d.at("k").length(),
    "at keys": lambda d: d.at("k").keys(),
    "at kind": lambda d: d.at("k").kind(),
    "at query": lambda d: d.at("k").query("$"),
}

FOREIGN: dict[str, Callable[[Any, str], Any]] = {
    "string": lambda client, key: client.set(key, "mine"),
    "json text": lambda client, key: client.set(key, '{"a": 1}'),
    "number": lambda client, key: client.set(key, "5"),
    "list": lambda client, key: client.rpush(key, "mine"),
    "hash": lambda client, key: client.hset(key, "a", "mine"),
    "stream": lambda client, key: client.xadd(key, {"a": "mine"}),
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("verb", [*READS.values(), *WRITES.values()], ids=[*READS, *WRITES])
def test_foreign_key_is_refused_and_untouched(d, client, prefix, verb, kind) -> None:
    d["other"] = [1]
    FOREIGN[kind](client, prefix + "k")
    client.pexpire(prefix + "k", 1_000_000)
    before = client.dump(prefix + "k")
    with pytest.raises(NotADocumentError) as caught:
        verb(d)

    assert isinstance(caught.value, TypeError)
    assert client.dump(prefix + "k") == before
    assert 0 < client.pttl(prefix + "k") <= 1_000_000
    assert d.to_python() == {"other": [1]}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_key_is_invisible(d, client, prefix, kind) -> None:
    FOREIGN[kind](client, prefix + "k")
    d["other"] = [1]

    assert "k" not in d
    assert ("k", "a") not in d
    assert ("k", " a", 0) not in d
    assert "k" not in d.keys()  # noqa: SIM118  # the view's own
    assert list(d) == list(d.keys()) == list(reversed(d)) == ["other"]
    assert len(d) == len(d.items()) == 1
    assert [*d.values()] == [[1]]
    assert d == d.copy() == {"other": [1]}
    assert repr(d) == "{'other': [1]}"
    assert d.popitem() == ("other", [1])
    d.clear()
    with pytest.raises(KeyError):
        d.popitem()
    assert client.exists(prefix + "k")


def test_clear_leaves_other_prefixes(d, client, prefix) -> None:
    near = RedisJSONDict(client, prefix[:-1] + ";")
    near["a"] = 1
    d.update(dict.fromkeys(map(str, range(2_500)), 1))
    d.clear()

    assert near.to_python() == {"a": 1}
    assert len(d) == 0
    near.clear()


@pytest.mark.parametrize(
    "odd", ["*", "?", "[ab]", "[^a]", "\\", "a*b?c[d]\\e", "é一", "\n", "\x00"]
)
def test_prefix_is_literal(client, prefix, odd) -> None:
    d = RedisJSONDict(client, prefix + odd)
    other = RedisJSONDict(client, prefix)
    other["a"] = other["ab"] = other["xxbxcd\\e"] = 1
    d["k"] = 2

    assert d.to_python() == {"k": 2}
    assert odd + "k" in other
    d.clear()
    assert sorted(other) == ["a", "ab", "xxbxcd\\e"]


def test_keys_that_are_not_utf8_are_invisible(d, client, prefix) -> None:
    key = prefix.encode() + b"\xff\xfe"
    client.execute_command("JSON.SET", key, "$", "1")
    d["a"] = 2

    assert list(d) == ["a"]
    assert d.to_python() == {"a": 2}
    d.clear()
    assert client.delete(key) == 1


@pytest.mark.parametrize("key", [1, None, 1.5, b"a", True, frozenset(), object(), ("a", 1.5), ()])
def test_key_of_another_type_is_not_stored(d, key) -> None:
    d["a"] = {}
    for write in (
        lambda: d.__setitem__(key, 1),
        lambda: d.setdefault(key, 1),
        lambda: d.incr(key),
        lambda: d.update({key: 1}),
        lambda: d.update([("b", 1), (key, 1)]),
        lambda: d.rename("a", key),
        lambda: d.rename(key, "a"),
        lambda: d.at(key),
    ):
        with pytest.raises(TypeError):
            write()

        assert d == {"a": {}}


def test_path_is_no_key_for_update_and_rename(d) -> None:
    d["a"] = {"b": 1}
    for verb in (
        lambda: d.update({("a", "b"): 2}),
        lambda: d.rename(("a",), "c"),
        lambda: d.rename("a", ("c",)),
    ):
        with pytest.raises(TypeError):
            verb()

        assert d == {"a": {"b": 1}}


def test_update_with_a_bad_value_changes_nothing(d) -> None:
    d["a"] = 1
    for bad in (
        {"a": 2, "b": object()},
        {"a": 2, "b": float("inf")},
        {"a": 2, "b": {1: 1}},
        {"a": 2, "b": 2**64},
        [("a", 2), ("b", 1, 1)],
        [("a", 2), 5],
    ):
        with pytest.raises((TypeError, ValueError)):
            d.update(bad)

        assert d == {"a": 1}


def test_path_reaches_every_depth(d) -> None:
    d["run"] = {"l": [[1], {"k": 2}], "t": True, "s": "a", " odd": {"a\\": [3]}, "": {"": 0}}

    assert d["run", "l", 1, "k"] == d["run", "l", -1, "k"] == 2
    assert d["run", "l", 0] == [1]
    assert d["run", " odd", "a\\", -1] == 3
    assert d["run", "", ""] == 0
    assert d["run",] == d["run"]
    assert d.get(("run", "l", 0, 0)) == 1
    assert ("run", "l", -2, 0) in d
    assert ("run", "l", 2) not in d
    d["run", "l", 1, "k"] = [4]
    d["run", "l", 1, "new"] = 5
    d["run", "l", -1, "k", 0] = 6
    d["run", " odd", "a\\", 0] = 7
    d["run", " odd", "'\""] = 8
    assert d["run", "l"] == [[1], {"k": [6], "new": 5}]
    del d["run", "l", 1, "new"]
    assert d.pop(("run", "l", 1, "k", -1)) == 6
    assert d.pop(("run", " odd", "a\\")) == [7]
    assert d.pop(("run", " odd", "missing"), 9) == 9
    assert d.setdefault(("run", "l", 1, "d"), {"x": 1}).to_python() == {"x": 1}
    assert d.setdefault(("run", "l", 0, 0), 5) == 1
    assert d.incr(("run", "l", 0, 0), 5) == 6
    assert d.incr(("run", "l", 1, "i"), 2, default=40) == 42
    assert d.toggle(("run", "t")) is False
    d.concat(("run", "s"), "b")
    assert d.get_many([("run", "s"), "run", ("run", "l", 0, 0)])["run", "s"] == "ab"
    d["run", "l"] += [9]
    d["run", " odd"] |= {"q": [0]}
    assert d["run"] == {
        "l": [[6], {"k": [], "d": {"x": 1}, "i": 42}, 9],
        "t": False,
        "s": "ab",
        " odd": {"'\"": 8, "q": [0]},
        "": {"": 0},
    }


_NOWHERE = [
    ("gone", "a"),
    ("gone", 0),
    ("run", "zz", "a"),
    ("run", "l", 5),
    ("run", "l", -5),
    ("run", "l", "k"),
    ("run", "l", 2**70),
    ("run", "l", -(2**70)),
    ("run", "o", 0),
    ("run", "n", "a"),
    ("run", "n", 0),
    ("run", "s", 0),
    ("run", 0),
    ("run", -1),
    ("number", "a"),
    ("number", 0),
    ("list", "a"),
    ("list", 7),
    ("run", "n", " a"),
    ("run", "l", "a\\"),
]


@pytest.mark.parametrize("path", _NOWHERE, ids=repr)
def test_path_that_leads_nowhere_is_a_key_error(d, path) -> None:
    content = {"run": {"n": 1, "s": "x", "l": [1], "o": {}}, "number": 1, "list": [1]}
    d.update(content)
    for verb in (
        lambda: d[path],
        lambda: d.__setitem__(path, 1),
        lambda: d.__setitem__(path, {"f": 0.1 + 0.2}),
        lambda: d.__delitem__(path),
        lambda: d.pop(path),
        lambda: d.setdefault(path, 1),
        lambda: d.incr(path),
        lambda: d.toggle(path),
        lambda: d.concat(path, "x"),
        lambda: d.at(*path).get(),
        lambda: d.at(*path).set(1),
        lambda: d.at(*path).delete(),
        lambda: d.at(*path).append(1),
        lambda: d.at(*path).to_python(),
    ):
        with pytest.raises(KeyError) as caught:
            verb()

        assert type(caught.value) is KeyError
        assert caught.value.args == (path,)
    assert d.get(path) is None
    assert d.get(path, 7) == 7
    assert path not in d
    assert d.pop(path, 7) == 7
    assert d == content


def test_missing_document_is_a_key_error_without_prefix(d) -> None:
    for verb in (
        lambda: d["gone"],
        lambda: d.__delitem__("gone"),
        lambda: d.pop("gone"),
        lambda: d.toggle("gone"),
        lambda: d.concat("gone", "x"),
        lambda: d.rename("gone", "new"),
        lambda: d.rename("gone", "gone"),
        lambda: d.at("gone").get(),
        lambda: d.at("gone").delete(),
        lambda: d.at("gone").append(1),
        lambda: d.at("gone").update(a=1),
        lambda: d.at("gone").modify(lambda value: value),
    ):
        with pytest.raises(KeyError) as caught:
            verb()

        assert caught.value.args == ("gone",)
    assert len(d) == 0


def test_scalar_documents(d) -> None:
    assert d.incr("n") == 1
    assert d.incr("n", 2) == 3
    assert d.incr("f", 0.5, default=1) == 1.5
    d.update(t=True, s="a", z=None)
    assert d.toggle("t") is False
    d.concat("s", "b")
    assert d == {"n": 3, "f": 1.5, "t": False, "s": "ab", "z": None}
    for verb in (
        lambda: d.incr("s"),
        lambda: d.toggle("n"),
        lambda: d.concat("n", "x"),
        lambda: d.concat("s", 1),
        lambda: d.incr("n", "1"),
    ):
        with pytest.raises(TypeError):
            verb()
    assert d == {"n": 3, "f": 1.5, "t": False, "s": "ab", "z": None}


def test_rename_moves_and_replaces(d, client, prefix) -> None:
    d.update(a={"x": 1}, b=2)
    client.pexpire(prefix + "a", 1_000_000)
    d.rename("a", "b")

    assert d == {"b": {"x": 1}}
    assert client.pttl(prefix + "b") > 0
    d.rename("b", "b")
    d.rename("b", "a\\ '\"")
    assert d == {"a\\ '\"": {"x": 1}}


def test_assignment_makes_a_document_permanent(d, client, prefix) -> None:
    for write in (
        lambda: d.__setitem__("a", 2),
        lambda: d.update(a=2),
        lambda: d.__ior__({"a": 2}),
    ):
        d["a"] = 1
        client.pexpire(prefix + "a", 1_000_000)
        write()

        assert client.pttl(prefix + "a") == -1


def test_nested_writes_keep_the_time_to_live(d, client, prefix) -> None:
    d["a"] = {"l": [1], "n": 1, "o\\": {}}
    client.pexpire(prefix + "a", 1_000_000)
    d["a"]["x"] = 1
    d["a", "o\\", "y"] = 0.1 + 0.2
    d["a"].update(z=1)
    d["a", "l"] += [1]
    d["a"]["l"].sort()
    d["a"].incr("n")
    d["a"].clear()
    d["a"].setdefault("q", 1)
    d["a"] |= {"r": 1}
    d["a"].pop("q")

    assert 0 < client.pttl(prefix + "a") <= 1_000_000
    assert d["a"] == {"r": 1}


def test_setdefault_and_incr_keep_what_is_there(d, client, prefix) -> None:
    d["a"] = 1
    client.pexpire(prefix + "a", 1_000_000)

    assert d.setdefault("a", 2) == 1
    assert d.incr("a") == 2
    assert client.pttl(prefix + "a") > 0


def test_get_many_gives_what_is_there(d) -> None:
    d.update(a=1, b={"x": [5], "y": None}, c=None)

    assert d.get_many(["a", "b", "zz", "c", 1, None, (), ("b", "y")]) == {
        "a": 1,
        "b": {"x": [5], "y": None},
        "c": None,
        ("b", "y"): None,
    }
    assert d.get_many(iter("ab"))["b"]["x"][0] == 5
    assert d.get_many([]) == {}
    assert type(d.get_many(["b"])["b"]).__name__ == "JSONObject"


def test_popitem_of_two_dicts_takes_each_once(d, client, prefix) -> None:
    other = RedisJSONDict(client, prefix)
    d.update({str(number): number for number in range(20)})
    taken = [box.popitem() for _ in range(10) for box in (d, other)]

    assert sorted(value for _, value in taken) == list(range(20))
    assert not other


def test_namespace_is_a_prefix_with_a_colon(client, prefix) -> None:
    d = RedisJSONDict(client, namespace=prefix + "ns")
    d["a"] = 1

    assert RedisJSONDict(client, prefix + "ns:") == {"a": 1}
    with pytest.raises(TypeError):
        RedisJSONDict(client, prefix, namespace="x")


def test_dict_needs_a_client_and_a_text() -> None:
    for bad in ("redis://localhost", None, {}):
        with pytest.raises(TypeError):
            RedisJSONDict(bad)
    with pytest.raises(TypeError):
        RedisJSONDict()


def test_close_leaves_a_users_client_open(d, client) -> None:
    with d as same:
        assert same is d
        d["a"] = 1
    d.close()

    assert d == {"a": 1}
    assert client.ping()


def test_from_url_owns_its_client(url, prefix) -> None:
    with RedisJSONDict.from_url(url, prefix) as d:
        d["a"] = [1]
        with RedisJSONDict.from_url(url, prefix=prefix) as other:
            assert other == {"a": [1]}
        d.clear()


def test_path_below_an_odd_name_is_counted_from_the_end(d) -> None:
    d["x"] = {"l": [{" a": 1, "b\\": 2}]}

    assert d["x", "l", -1, " a"] == 1
    assert ("x", "l", -1, " a") in d
    d["x", "l", -1, "b\\"] = 3
    assert d["x"] == {"l": [{" a": 1, "b\\": 3}]}


def test_path_counts_from_the_end_above_and_below_an_odd_name(d) -> None:
    d["x"] = [{" x": [1]}]
    d["x", -1, " x"].append(2)
    d["x", -1, " x", -1] = 7

    assert d["x", -1, " x"] == [1, 7]
    assert d["x"] == [{" x": [1, 7]}]


def test_setdefault_by_a_path_from_the_end_keeps_its_element(d) -> None:
    d["x"] = {"l": [{"k": 1}]}
    last = d.setdefault(("x", "l", -1), {})
    d["x", "l"].append({"k": 2})
    last["n"] = 1

    assert d["x", "l"] == [{"k": 1, "n": 1}, {"k": 2}]


@pytest.mark.parametrize("keys", ["run", "", b"run"])
def test_get_many_refuses_one_key(d, keys) -> None:
    d["run"], d["log"] = {"run": 1}, [1]
    for place in (d, d["run"], d["log"], d.at("run")):
        with pytest.raises(TypeError, match=r"several keys: give a list, \[b?'(run)?'\]"):
            place.get_many(keys)
    with d.pipeline() as batch:
        for place in (batch, batch["run"]):
            with pytest.raises(TypeError, match="several keys"):
                place.get_many(keys)


def test_get_many_leaves_out_paths_to_nothing(d) -> None:
    d["x"] = {"a": 1, "l": [5]}

    assert d.get_many([("x", "zz"), ("x", "a")]) == {("x", "a"): 1}
    assert d.get_many([("x", "l", 7), ("x", "l", -9), ("x", "l", -1)]) == {("x", "l", -1): 5}
    assert d.get_many([("gone", "a"), ("x", "a", "b")]) == {}


NOT_THERE: dict[str, Callable[[RedisJSONDict, Any], Any]] = {
    "getitem": lambda d, p: d[p],
    "pop": lambda d, p: d.pop(p),
    "delitem": lambda d, p: d.__delitem__(p),
    "setitem": lambda d, p: d.__setitem__(p, 1),
    "incr": lambda d, p: d.incr(p),
    "setdefault": lambda d, p: d.setdefault(p, 1),
}


@pytest.mark.parametrize("verb", NOT_THERE.values(), ids=NOT_THERE)
@pytest.mark.parametrize(
    "path", [("x", "zz", "a\\"), ("gone", "a\\"), ("x", " q", " r"), ("x", "zz", " a")], ids=repr
)
def test_key_error_names_the_whole_path(d, verb, path) -> None:
    d["x"] = {}
    with pytest.raises(KeyError) as caught:
        verb(d, path)

    assert caught.value.args == (path,)


@pytest.mark.parametrize("verb", ["getitem", "pop", "delitem"])
def test_key_error_of_a_path_of_one_step_is_the_path(d, verb) -> None:
    with pytest.raises(KeyError) as caught:
        NOT_THERE[verb](d, ("gone",))

    assert caught.value.args == (("gone",),)


@pytest.mark.parametrize("default", ["default", None, {}])
def test_pop_of_a_missing_document_gives_the_default(d, default) -> None:
    assert d.pop("missing", default) is default


def test_incr_of_a_document_takes_amounts_beyond_int64(d) -> None:
    d["i"] = -5

    assert d.incr("i", 2**63, default=2**63) == 2**63 - 5


def test_incr_of_a_missing_document_refuses_too_large_a_sum(d) -> None:
    with pytest.raises(ValueRangeError):
        d.incr("new", 2**63, default=2**63)

    assert len(d) == 0


def test_paths_longer_than_documents_are_deep_are_never_found(d) -> None:
    d["x"] = {"a": {}}
    path = ("x", *["a"] * 128)

    assert path not in d
    assert d.get(path, 7) == 7
    assert d.pop(path, 7) == 7
    assert d.get_many([path, "x"]) == {"x": {"a": {}}}
    for verb in NOT_THERE.values():
        with pytest.raises(KeyError) as caught:
            verb(d, path)
        assert caught.value.args == (path,)


def test_reference_is_no_deeper_than_documents(d) -> None:
    d["x"] = {}
    with pytest.raises(ValueRangeError):
        d.at("x", *["a"] * 127)["a"]
    with pytest.raises(ValueRangeError):
        d["x"].at(*["a"] * 128)


def test_batch_of_commands_is_no_client(client) -> None:
    with pytest.raises(TypeError):
        RedisJSONDict(client.pipeline(), "x")


def test_numpy_numbers_and_arrays_are_stored_exactly(d) -> None:
    d["a"] = np.arange(3)
    d["x"] = np.float32(0.1)

    assert d.to_python() == {"a": [0, 1, 2], "x": 0.10000000149011612}


def test_one_document_as_deep_as_can_be_read_spares_the_others(d, client, prefix):
    d["deep"], d["flat"] = json.loads("[" * 100 + "]" * 100), {"a": 1}
    inside = "$" + "[0]" * 99  # the innermost array
    for levels in [*[100] * 9, 33]:
        client.execute_command("JSON.SET", f"{prefix}deep", inside, "[" * levels + "]" * levels)
        inside += "[0]" * (levels - 1)

    content = d.to_python()

    assert content["flat"] == {"a": 1}
    levels, value = 0, content["deep"]
    while value:
        levels, value = levels + 1, value[0]
    assert levels == 1022


@pytest.mark.parametrize("fill", ["set", "hset"])
def test_foreign_key_of_the_prefix_itself_is_invisible(client, prefix, fill) -> None:
    """As the key "" of another store under the same prefix."""
    client.set(prefix, "x") if fill == "set" else client.hset(prefix, "f", "x")
    d = RedisJSONDict(client, prefix)

    assert (len(d), list(d), bool(d), d.to_python(), d == {}) == (0, [], False, {}, True)
    assert "" not in d
    assert repr(d) == "{}"
    with pytest.raises(KeyError):
        d.popitem()
    d.clear()
    assert client.exists(prefix)
