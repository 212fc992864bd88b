"""`Reference`: walking is free, every verb is one round trip and does as on what it points at."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from redisjson_dict import JSONArray, JSONObject

STEPS: dict[str, tuple[str | int, ...]] = {
    "member": ("doc", "box"),
    "deep": ("doc", "a", 1, "b", 0, "c"),
    "backslash": ("doc", "a\\b"),
    "lead": ("doc", " lead"),
    "quotes": ("doc", "'\"", "x"),
    "below-odd": ("doc", " x", 1, "y\\", -2, "z"),
}


def nested(steps: tuple[str | int, ...], content: Any) -> Any:
    for step in reversed(steps):
        if isinstance(step, str):
            content = {"before": 0, step: content, "after": 1}
        else:
            content = [*range(max(step, 0)), content, *range(max(-step - 1, 0))]
    return content


@pytest.fixture(params=[("doc",), *STEPS.values()], ids=["document", *STEPS])
def put(request, d) -> Callable[[Any], Any]:
    """Store some content and return a reference to it."""

    def stored(content: Any) -> Any:
        d["doc"] = nested(request.param[1:], content)
        return d.at(*request.param)

    return stored


@pytest.fixture
def requests(client, prefix) -> Callable[[Callable[[], Any]], int]:
    def count(call: Callable[[], Any]) -> int:
        end = uuid.uuid4().hex
        seen = 0
        with client.monitor() as monitor:
            call()
            client.echo(end)
            for command in monitor.listen():
                if end in command["command"]:
                    break
                seen += prefix in command["command"] and command["client_type"] != "lua"
        return seen

    return count


def test_reference_reads_an_object(put) -> None:
    r = put({"a": 1, "l": [1], "o": {"k": None}, " x": 2})

    assert type(r.get()) is JSONObject
    assert r.get("a") == 1
    assert r.get(" x") == 2
    assert r.get("zz") is None
    assert r.get("zz", 5) == 5
    assert r.get(("o", "k"), 5) is None
    assert r.get(("o", "zz"), 5) == 5
    assert type(r.get("l")) is JSONArray
    assert r["l"][0].get() == r["l", 0].get() == r.at("l", 0).get() == r.at("l").at(-1).get() == 1
    assert r.exists() is True
    assert r["zz"].exists() is False
    assert r.kind() == "object"
    assert r["o"]["k"].kind() == "null"
    assert type(r.to_python()) is dict
    assert r.to_python() == {"a": 1, "l": [1], "o": {"k": None}, " x": 2}
    assert r.contains("a") is True
    assert r.contains("zz") is False
    assert r.contains(("o", "k")) is True
    assert r.length() == 4
    assert r.keys() == ["a", "l", "o", " x"]
    assert r.get_many(["a", "zz", "o", ("l", 0), ("l", 9)]) == {
        "a": 1,
        "o": {"k": None},
        ("l", 0): 1,
    }


def test_reference_reads_an_array(put) -> None:
    r = put([1, [2], {"k": 3}, 1.0])

    assert type(r.get()) is JSONArray
    assert r.get(0) == 1
    assert r.get(-1) == 1.0
    assert r.get(9, 5) == 5
    assert r.get(-9) is None
    assert r[1][0].get() == r[-2]["k"].get() - 1 == 2
    assert r.kind() == "array"
    assert r[0].kind() == "integer"
    assert r[3].kind() == "number"
    assert r.length() == 4
    assert r.index(1) == 0
    assert r.index(1, 1) == 3
    assert r.index({"k": 3}) == 2
    assert r.count(1) == 2
    assert r.get_slice(slice(1, None, 2)) == [[2], 1.0]
    assert r.get_slice(slice(None, None, -1)) == [1.0, {"k": 3}, [2], 1]
    assert r.get_many([0, 9]) == {0: 1}
    with pytest.raises(ValueError):
        r.index(7)
    with pytest.raises(ValueError):
        r.index(1, 1, 3)


def test_reference_writes_an_object(put) -> None:
    r = put({"n": 1, "t": True, "s": "x", "l": [1]})
    r["new"] = [0]
    r["l", 0] = 5
    r[" odd"] = {"a\\": 1}
    r[" odd"]["a\\"] = 2
    r["a"].set(7)
    del r["a"]
    r["s"].concat("y")
    r.concat("s", "z")

    assert r["n"].incr() == 2
    assert r.incr("n", 2) == 4
    assert r.incr("m", default=9) == 10
    assert r["t"].toggle() is False
    assert r.toggle("t") is True
    assert r.pop("t") is True
    assert r.pop("zz", 3) == 3
    assert r.pop(("l", 0)) == 5
    assert r.setdefault("d", [1]) == [1]
    assert r.setdefault("d", 2) == [1]
    r.update({"u": 1}, v=2)
    r.update([("w", None)])
    r.merge({"u": None, " odd": {"b": 3}})
    assert r.to_python() == {
        "n": 4,
        "s": "xyz",
        "l": [],
        "new": [0],
        " odd": {"a\\": 2, "b": 3},
        "m": 10,
        "d": [1],
        "v": 2,
        "w": None,
    }
    r.replace({"a": 1, "b": 2})
    assert r.modify(lambda value: {**value, "c": 3}) == {"a": 1, "b": 2, "c": 3}
    assert r.popitem() == ("c", 3)
    r["a"].delete()
    assert r.to_python() == {"b": 2}
    r.clear()
    assert r.to_python() == {}
    with pytest.raises(KeyError):
        r.popitem()


def test_reference_writes_an_array(put) -> None:
    r = put([3, 1])
    r.append({"k": 1})
    r.extend([4, [5]])
    r.insert(-99, "first")
    r.insert(99, 0.1 + 0.2)
    r[0] = "FIRST"
    r[-1].set("last")
    r[3]["k"] = 2

    assert r.to_python() == ["FIRST", 3, 1, {"k": 2}, 4, [5], "last"]
    assert r.pop() == "last"
    assert r.pop(0) == "FIRST"
    assert r.pop(9, "none") == "none"
    r.remove(1.0)
    del r[-1], r[1]
    assert r.to_python() == [3, 4]
    r.extend(x for x in (2, 9, 1))
    r.sort()
    assert r.to_python() == [1, 2, 3, 4, 9]
    r.sort(key=lambda x: -x, reverse=True)
    r.reverse()
    assert r.to_python() == [9, 4, 3, 2, 1]
    r.trim(1, -1)
    assert r.to_python() == [4, 3, 2]
    r.append(7, maxlen=2)
    assert r.to_python() == [2, 7]
    assert r[0].incr(amount=5) == 7
    assert r.incr(1, 5) == 12
    r.extend(r.get())
    assert r.to_python() == [7, 12, 7, 12]
    assert r.modify(lambda value: value[:1]) == [7]
    r.replace([])
    with pytest.raises(IndexError):
        r.pop()
    with pytest.raises(ValueError):
        r.remove(1)


NEEDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "length": ("container", lambda r: r.length()),
    "keys": ("object", lambda r: r.keys()),
    "popitem": ("object", lambda r: r.popitem()),
    "update": ("object", lambda r: r.update(a=1)),
    "update odd": ("object", lambda r: r.update({"a\\": 1})),
    "merge": ("object", lambda r: r.merge({"a": 1})),
    "append": ("array", lambda r: r.append(1)),
    "append float": ("array", lambda r: r.append(0.1 + 0.2)),
    "append maxlen": ("array", lambda r: r.append(1, maxlen=2)),
    "extend": ("array", lambda r: r.extend([1])),
    "insert": ("array", lambda r: r.insert(0, 1)),
    "remove": ("array", lambda r: r.remove(1)),
    "index": ("array", lambda r: r.index(1)),
    "count": ("array", lambda r: r.count(1)),
    "get_slice": ("array", lambda r: r.get_slice(slice(1))),
    "sort": ("array", lambda r: r.sort()),
    "reverse": ("array", lambda r: r.reverse()),
    "trim": ("array", lambda r: r.trim(0, 1)),
    "incr": ("number", lambda r: r.incr()),
    "toggle": ("boolean", lambda r: r.toggle()),
}
ANYWHERE: dict[str, Callable[[Any], Any]] = {
    "get": lambda r: r.get(),
    "delete": lambda r: r.delete(),
    "kind": lambda r: r.kind(),
    "to_python": lambda r: r.to_python(),
    "replace": lambda r: r.replace({"a": 1}),
    "modify": lambda r: r.modify(lambda value: value),
}
VALUES: dict[str, Any] = {
    "object": {"a": 1},
    "array": [1],
    "number": 1,
    "text": "x",
    "boolean": True,
    "null": None,
}


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("verb", NEEDS)
def test_reference_to_the_wrong_kind_is_a_type_error(d, verb, kind) -> None:
    needs, call = NEEDS[verb]
    if kind == needs or (needs == "container" and kind in ("object", "array")):
        pytest.skip("the right kind")
    for steps in [("doc",), *STEPS.values()]:
        d["doc"] = nested(steps[1:], VALUES[kind])
        before = d["doc"] if len(steps) == 1 else d["doc"].to_python()
        with pytest.raises(TypeError) as caught:
            call(d.at(*steps))

        assert type(caught.value) is TypeError
        assert d["doc"] == before


@pytest.mark.parametrize("verb", [*NEEDS, *ANYWHERE])
def test_reference_to_nothing_is_a_key_error(d, verb) -> None:
    call = ANYWHERE[verb] if verb in ANYWHERE else NEEDS[verb][1]
    content = {"l": [1], "o": {}, "s": "x"}
    d["doc"] = content
    for path in (("doc", "zz", "a"), ("doc", "l", 5), ("doc", "s", "a"), ("gone", "a")):
        with pytest.raises(KeyError) as caught:
            call(d.at(*path))

        assert type(caught.value) is KeyError
        assert caught.value.args == (path,)
        assert d == {"doc": content}


def test_reference_never_creates_a_parent(d) -> None:
    for path in (("gone", "a"), ("gone", 0), ("gone", "a", "b"), ("gone", " a"), ("gone", "a\\")):
        r = d.at(*path)
        for write in (lambda: r.set(1), lambda: r.set(0.1 + 0.2), lambda: r.incr()):  # noqa: B023
            with pytest.raises(KeyError):
                write()

        assert len(d) == 0


def test_reference_to_a_document_assigns_it(d, client, prefix) -> None:
    d.at("new").set({"a": 1})
    client.pexpire(prefix + "new", 1_000_000)
    d.at("new").set([1])

    assert d == {"new": [1]}
    assert client.pttl(prefix + "new") == -1
    d.at("new").delete()
    assert len(d) == 0
    assert d.at("n").incr(amount=2) == 2
    assert d == {"n": 2}


def test_walking_costs_nothing(d, requests) -> None:
    d["doc"] = {"a": [{"b": 1}]}

    assert requests(lambda: d.at("doc", "a", 0)["b"].at()["c"]["d", 5].at("e", -1)) == 0
    assert requests(lambda: d.at("nowhere")["a"]) == 0


def test_each_verb_costs_one_request(d, requests) -> None:
    d["doc"] = {"l": [{"n": 1}], "t": True}
    r = d.at("doc", "l", -1, "n")
    verbs: list[Callable[[], Any]] = [
        lambda: r.get(),
        lambda: r.set(2),
        lambda: r.incr(),
        lambda: r.exists(),
        lambda: r.kind(),
        lambda: d.at("doc", "l", 0)["m"].set([]),
        lambda: d.at("doc", "l", -1, "m").append(1),
        lambda: d.at("doc", "l", -1, "m").extend([1]),
        lambda: d.at("doc", "l", -1, "m").pop(),
        lambda: d.at("doc", "t").toggle(),
        lambda: d.at("doc").update(a=1, b=2),
        lambda: d.at("doc").setdefault("c", []),
        lambda: d.at("doc").to_python(),
        lambda: d.at("doc").get_many(["a", "b"]),
    ]
    for verb in verbs:
        verb()  # the server knows every script by then
    for number, verb in enumerate(verbs):
        assert (number, requests(verb)) == (number, 1)


def test_held_object_gives_references(d) -> None:
    d["doc"] = {"a": {"b": [1]}}
    o = d["doc"]["a"]
    o.at("b").append(2)
    o.at().update(c=3)
    o.at("b", -1).set(5)

    assert o == {"b": [1, 5], "c": 3}


def test_held_array_gives_references(d) -> None:
    d["doc"] = {"l": [[1], {"k": 2}]}
    a = d["doc"]["l"]

    assert a.at(-1, "k").incr() == 3
    a.at(0).append(4)
    assert a == [[1, 4], {"k": 3}]


def test_reference_is_no_collection(d) -> None:
    r = d.at("doc")
    d["doc"] = [1]
    for misuse in (iter, list, len, lambda r: 1 in r, lambda r: [*r]):
        with pytest.raises(TypeError):
            misuse(r)


def test_reference_refuses_what_is_no_step(d) -> None:
    r = d.at("doc")
    for misuse in (
        lambda: r[1.5],
        lambda: r[None],
        lambda: r["a", b"b"],
        lambda: r[()],
        lambda: r.at("a", None),
        lambda: r.__setitem__(1.5, 1),
        lambda: r.__delitem__(None),
        lambda: d.at(1),
        lambda: d.at(),
        lambda: d.at(None, "a"),
    ):
        with pytest.raises(TypeError):
            misuse()


def test_reference_refuses_bad_values_unsent(d, requests) -> None:
    d["doc"] = {"l": []}

    def attempts() -> None:
        for call in (
            lambda: d.at("doc", "x").set(object()),
            lambda: d.at("doc", "x").set(float("nan")),
            lambda: d.at("doc", "l").append({1: 2}),
            lambda: d.at("doc", "l").extend([1, {2}]),
            lambda: d.at("doc").update({"a": 1, "b": b""}),
        ):
            with pytest.raises((TypeError, ValueError)):
                call()

    assert requests(attempts) == 0
    assert d == {"doc": {"l": []}}


def test_reference_says_where_it_points(d) -> None:
    assert repr(d.at("doc", "a", 0, "é")) == "<Reference document 'doc' at $['a'][0]['é']>"


COMPUTED: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
    "sort": (lambda r: r.sort(), [1, 2, 2]),
    "reverse": (lambda r: r.reverse(), [2, 1, 2]),
    "count": (lambda r: r.count(2), [2, 1, 2]),
    "index of a float": (lambda r: r.index(2.0, 1), [2, 1, 2]),
    "modify": (lambda r: r.modify(lambda value: value[:1]), [2]),
    "remove": (lambda r: r.remove(2), [1, 2]),
    "incr": (lambda r: r.incr(-1, 2**60), [2, 1, 2**60 + 2]),
}


@pytest.mark.parametrize("verb", COMPUTED)
def test_reference_counted_from_the_end_computes(d, verb) -> None:
    call, left = COMPUTED[verb]
    d["doc"] = [[0], [2, 1, 2]]
    call(d.at("doc", -1))

    assert d["doc"] == [[0], left]


def test_reference_counted_from_the_end_counts(d) -> None:
    d["doc"] = [[0], [2, 1, 2]]

    assert d.at("doc", -1).count(2) == 2


def test_reference_counted_from_the_end_updates_odd_names(d) -> None:
    d["doc"] = [{"a": 1}]
    d.at("doc", -1).update({"b\\": 2})

    assert d["doc"] == [{"a": 1, "b\\": 2}]


@pytest.mark.parametrize("value", [5, "text", True, 1.5, None])
@pytest.mark.parametrize("name", [" n", "n\\", "n"])
def test_clear_of_a_scalar_is_a_type_error(d, name, value) -> None:
    d["doc"] = {name: value}
    with pytest.raises(TypeError):
        d.at("doc", name).clear()

    assert d["doc"] == {name: value}


@pytest.mark.parametrize(
    "verb",
    ["get", "delete", "kind", "to_python", "length", "clear", "keys", "sort", "toggle"],
)
def test_reference_to_no_document_names_it(d, verb) -> None:
    with pytest.raises(KeyError) as caught:
        getattr(d.at("gone"), verb)()

    assert caught.value.args == ("gone",)


def test_reference_to_no_document_does_not_exist(d) -> None:
    assert d.at("gone").exists() is False
    assert d.at("gone", "a").exists() is False


def test_reference_to_a_document_appends_to_its_text(d) -> None:
    d["t"] = "a"
    d.at("t").concat("b")

    assert d["t"] == "ab"


def test_empty_update_below_an_unwritable_name_changes_nothing(d) -> None:
    d["doc"] = {" x": {"a": 1}}

    assert d["doc", " x"].update({}) is None
    assert d.at("doc", " x").update({}) is None
    assert d["doc"] == {" x": {"a": 1}}


def test_reference_says_unprintable_steps_by_their_codes(d) -> None:
    assert (
        repr(d.at("a'b", "c'd", "\x0b")) == "<Reference document \"a'b\" at $['c\\'d']['\\u000b']>"
    )
