"""Live views: what conformance does not say, and what they cost."""

from __future__ import annotations

import copy
import pickle
import uuid
from collections.abc import Callable, ItemsView, KeysView, ValuesView
from typing import Any

import pytest

from redisjson_dict import JSONArray, JSONObject, RedisJSONDict, StaleLocationError, to_python

CONTENT: dict[str, Any] = {"a": 1, "l": [1, [2]], "o": {"x": None}, " lead": [3], "b\\": {"'\"": 4}}


@pytest.fixture(params=["top", "nested", "lead", "backslash"])
def box(request, d) -> Any:
    """A mapping with `CONTENT`: the dict itself, or an object in a document."""
    if request.param == "top":
        d.update(CONTENT)
        return d
    name = {"nested": "o", "lead": " o", "backslash": "o\\"}[request.param]
    d["doc"] = {"before": 0, name: CONTENT, "after": 1}
    return d["doc"][name]


def test_views_are_the_abcs(box) -> None:
    assert isinstance(box.keys(), KeysView)
    assert isinstance(box.values(), ValuesView)
    assert isinstance(box.items(), ItemsView)


def test_views_know_their_mapping(box) -> None:
    for view in (box.keys(), box.values(), box.items()):
        assert view.mapping == CONTENT


def test_values_give_scalars_and_proxies(box) -> None:
    kinds = {name: type(value) for name, value in box.items()}

    assert kinds == {
        "a": int,
        "l": JSONArray,
        "o": JSONObject,
        " lead": JSONArray,
        "b\\": JSONObject,
    }
    assert sorted(map(str, map(type, box.values()))) == sorted(map(str, kinds.values()))


def test_proxies_from_values_are_live(box) -> None:
    for value in box.values():
        if isinstance(value, JSONArray):
            value.append("new")
        elif isinstance(value, JSONObject):
            value["new"] = 0

    assert box == {
        "a": 1,
        "l": [1, [2], "new"],
        "o": {"x": None, "new": 0},
        " lead": [3, "new"],
        "b\\": {"'\"": 4, "new": 0},
    }


def test_proxies_from_reversed_views_are_live(box) -> None:
    dict(reversed(box.items()))["l"].append(5)
    next(value for value in reversed(box.values()) if value == {"x": None})["y"] = 6

    assert box["l"] == [1, [2], 5]
    assert box["o"] == {"x": None, "y": 6}


def test_views_agree_with_each_other(box) -> None:
    assert list(box.keys()) == list(box) == [name for name, _ in box.items()]
    assert to_python(list(box.values())) == [to_python(value) for _, value in box.items()]
    assert list(reversed(box.keys())) == list(reversed(list(box.keys())))


def test_set_operations_give_plain_sets(box) -> None:
    for result in (
        box.keys() & box.keys(),
        box.keys() | {"new"},
        box.keys() - {"a"},
        box.keys() ^ {"a"},
        {"a"} & box.keys(),
        {"new"} | box.keys(),
        {"new"} - box.keys(),
        {"a"} ^ box.keys(),
        box.items() & {("a", 1)},
    ):
        assert type(result) is set


def test_items_with_unhashable_values_do_as_dict(box) -> None:
    items, plain = box.items(), CONTENT.items()

    assert items == plain
    assert plain == items
    assert items == box.items()
    assert items <= plain
    assert items >= plain
    assert not items < plain
    assert items != {("a", 1)}
    assert items > {("a", 1)}
    assert not items.isdisjoint({("a", 1)})
    assert items & [("a", 1), ("a", 2)] == {("a", 1)}
    for refused in (lambda: items | set(), lambda: items - set(), lambda: items ^ set()):
        with pytest.raises(TypeError):
            refused()


def test_items_contain_what_is_equal(box) -> None:
    assert ("l", [1, [2]]) in box.items()
    assert ("l", [1.0, [True + 1]]) in box.items()
    assert ("l", box["l"]) in box.items()
    assert ("l", (1, [2])) not in box.items()
    assert ("l", [1]) not in box.items()
    assert ("b\\", {"'\"": 4}) in box.items()
    assert (" lead", [3]) in box.items()
    assert (" lead",) not in box.items()
    assert (("o", "x"), None) not in box.items()


def test_values_contain_what_is_equal(box) -> None:
    assert [1, [2]] in box.values()
    assert box["l"] in box.values()
    assert {"x": None} in box.values()
    assert {"x": 0} not in box.values()
    assert object() not in box.values()


def test_views_see_every_change(box) -> None:
    keys, values, items = box.keys(), box.values(), box.items()
    box["new"] = "fresh"
    del box["l"]

    assert "new" in keys
    assert "l" not in keys
    assert "fresh" in values
    assert ("new", "fresh") in items
    assert len(keys) == len(values) == len(items) == len(CONTENT)


def test_values_compare_by_identity(box) -> None:
    values = box.values()

    assert values == values
    assert values != box.values()


def test_views_of_two_mappings_combine(d) -> None:
    d["x"], d["y"] = {"a": 1, "b": 2}, {"b": 2, "c": 3}
    x, y = d["x"], d["y"]

    assert x.keys() & y.keys() == {"b"}
    assert x.keys() | y.keys() == {"a", "b", "c"}
    assert x.items() - y.items() == {("a", 1)}
    assert x.items() ^ y.items() == {("a", 1), ("c", 3)}
    assert not x.keys() <= y.keys()
    assert x.keys().isdisjoint({"c": 3}.keys())
    assert {"a": 1}.keys() < x.keys()
    assert {"a": 1}.keys() | y.keys() == {"a", "b", "c"}
    assert {"b": 2}.items() <= y.items()


def test_view_of_a_stale_object_is_stale(d) -> None:
    d["x"] = {"o": {"a": 1}}
    views = d["x"]["o"].keys(), d["x"]["o"].values(), d["x"]["o"].items()
    d["x", "o"] = 5
    for view in views:
        for read in (list, len, lambda view: 1 in view.mapping.values()):
            with pytest.raises(StaleLocationError):
                read(view)
        with pytest.raises(StaleLocationError):
            list(reversed(view))
    for view in (views[0], views[2]):
        with pytest.raises(StaleLocationError):
            view & set()
        with pytest.raises(StaleLocationError):
            view == set()  # noqa: B015
    assert d["x"] == {"o": 5}


@pytest.fixture
def requests(client, prefix) -> Callable[[Callable[[], Any]], int]:
    """How many requests about keys of one's own a call sends."""

    def count(call: Callable[[], Any]) -> int:
        call()  # the server knows every script by then
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


@pytest.mark.parametrize("size", [0, 1, 999, 1_000, 1_001, 2_500])
def test_iterating_an_object_costs_one_request_a_page(d, requests, size) -> None:
    d["x"] = {f"k{number}": [number] if number % 2 else number for number in range(size)}
    o = d["x"]
    pages = max(1, -(-size // 1_000))

    # Not list(): it asks for the length, too.
    assert requests(lambda: [*iter(o.items())]) == pages
    assert requests(lambda: [*iter(o.values())]) == pages
    assert requests(lambda: [*iter(o.keys())]) == 1
    assert requests(lambda: [*iter(o)]) == 1
    assert dict(o.items()) == o.to_python()


def test_set_operation_costs_one_request(d, requests) -> None:
    d["x"] = {"a": 1, "b": [2]}
    o = d["x"]

    assert requests(lambda: o.keys() & {"a"}) == 1
    assert requests(lambda: o.keys() == {"a"}) == 1
    assert requests(lambda: o.items() & [("a", 1)]) == 1
    assert requests(lambda: o.keys().isdisjoint("xyz")) == 1
    assert requests(lambda: "a" in o.keys()) == 1  # noqa: SIM118  # the view's own
    assert requests(lambda: ("a", 1) in o.items()) == 1
    assert requests(lambda: 1 in o.values()) == 1


@pytest.mark.parametrize("size", [1, 1_000, 1_001])
def test_iterating_the_dict_costs_no_request_per_document(d, requests, size) -> None:
    d.update({f"k{number}": number for number in range(size)})
    pages = -(-size // 1_000)
    scans = requests(lambda: [*iter(d)])

    assert requests(lambda: [*iter(d.items())]) <= scans + pages
    assert requests(lambda: [*iter(d.values())]) <= scans + pages
    assert requests(lambda: d.to_python()) <= scans + pages
    assert requests(lambda: d.keys() & {"k0"}) <= scans + 1


def test_keys_deleted_while_iterating_are_left_out(d) -> None:
    d.update({f"k{number}": [number] for number in range(10)})
    pairs = iter(d.items())
    first, value = next(pairs)

    assert value == [int(first[1:])]
    assert isinstance(d, RedisJSONDict)
    d.clear()
    assert len(list(pairs)) <= 9


def test_items_contain_no_unhashable_key(box) -> None:
    with pytest.raises(TypeError):
        assert (("a", []), 1) not in box.items()


def test_keys_contain_no_path(box) -> None:
    assert ("o", "x") in box
    assert ("o", "x") not in box.keys()  # noqa: SIM118  # the view's own


@pytest.mark.parametrize("function", [copy.copy, copy.deepcopy, pickle.dumps])
@pytest.mark.parametrize("view", ["keys", "values", "items"])
def test_views_cannot_be_copied_or_pickled(box, view, function) -> None:
    with pytest.raises(TypeError):
        function(getattr(box, view)())
