"""What may stand between brackets."""

import enum

import numpy as np
import pytest

from redisjson_dict.errors import UnsupportedValueError, ValueRangeError
from redisjson_dict.keys import (
    index_of,
    lookup,
    named_items,
    path_of,
    place,
    ssize,
    target,
    text_of_name,
)
from redisjson_dict.location import Location, Settings

AT = Location("run", b"lab:run", Settings())


class Text(str):
    """A str that would rather not be read as one."""

    def __str__(self):
        return "wrong"


class Name(enum.StrEnum):
    A = "a"


class Index:
    def __index__(self):
        return 2


class Keyed:
    """What `dict.update` takes besides mappings and pairs."""

    def keys(self):
        return iter("ab")

    def __getitem__(self, key):
        return key * 2


class Unhashable(str):
    __hash__ = None


STRANGE = [1, 1.5, None, True, b"a", frozenset(), object(), Index()]


@pytest.mark.parametrize("find", [lookup, target])
@pytest.mark.parametrize("name", ["", "a", "a.b", " a", "\\", "\0", "0", "-1", "Ā"])
def test_name_is_one_step(find, name):
    assert find(AT, name).steps == (name,)


@pytest.mark.parametrize("find", [lookup, target])
@pytest.mark.parametrize(
    ("path", "steps"),
    [
        (("a",), ("a",)),
        (("a", 0, "b", -1), ("a", 0, "b", -1)),
        ((Text("a"), Index(), True, np.int64(3)), ("a", 2, 1, 3)),
    ],
)
def test_path_is_its_steps(find, path, steps):
    found = find(AT, path).steps

    assert found == steps
    assert [type(step) for step in found] == [type(step) for step in steps]


@pytest.mark.parametrize("name", [Text("a"), Name.A])
def test_subclasses_of_str_are_their_text(name):
    step = target(AT, name).steps[0]

    assert (type(step), step) == (str, "a")


@pytest.mark.parametrize("key", STRANGE)
def test_target_refuses_other_keys(key):
    with pytest.raises(UnsupportedValueError, match=f"keys are str, not {type(key).__name__}"):
        target(AT, key)


@pytest.mark.parametrize("key", STRANGE)
def test_lookup_misses_other_keys(key):
    with pytest.raises(KeyError) as missed:
        lookup(AT, key)

    assert missed.value.args == (key,)


@pytest.mark.parametrize("key", [[], {}, set(), ("a", []), ([],)])
def test_lookup_wants_hashable_keys(key):
    with pytest.raises(TypeError, match="unhashable"):
        lookup(AT, key)


@pytest.mark.parametrize("key", ["\ud800", ("a", "\udfff")])
def test_lookup_misses_surrogates(key):
    with pytest.raises(KeyError) as missed:
        lookup(AT, key)

    assert missed.value.args == (key,)


@pytest.mark.parametrize("key", ["\ud800", ("a", "\udfff")])
def test_target_refuses_surrogates(key):
    with pytest.raises(ValueRangeError, match="lone surrogate"):
        target(AT, key)


@pytest.mark.parametrize("path", [(), ("a", 1.5), ("a", None), (b"a",), ("a", ("b",)), ("a", [])])
def test_path_refuses_what_is_no_step(path):
    with pytest.raises(UnsupportedValueError):
        path_of(path)


def test_empty_path_names_no_member():
    with pytest.raises(UnsupportedValueError, match=r"\(\) is no path"):
        target(AT, ())


def test_empty_path_is_never_found():
    with pytest.raises(KeyError) as missed:
        lookup(AT, ())

    assert missed.value.args == ((),)


def test_text_of_name_takes_unhashable_text():
    assert text_of_name(Unhashable("a")) == "a"


@pytest.mark.parametrize(
    ("index", "expected"),
    [(0, 0), (-1, -1), (True, 1), (Index(), 2), (np.int8(3), 3), (2**70, 2**70)],
)
def test_index_of_takes_what_list_takes(index, expected):
    number = index_of(index)

    assert (type(number), number) == (int, expected)


@pytest.mark.parametrize("sign", [1, -1])
def test_index_of_bounds_what_is_too_long_to_show(sign):
    assert index_of(sign * (2**256 - 1)) == sign * (2**256 - 1)
    assert index_of(sign * 10**5000) == sign * 2**256
    assert path_of(("a", sign * 10**5000)) == ("a", sign * 2**256)


@pytest.mark.parametrize("index", [0, -1, True, Index(), np.int8(3), 2**63 - 1, -(2**63)])
def test_ssize_takes_what_list_takes(index):
    [].insert(index, 1)
    number = ssize(index)

    assert (type(number), number) == (int, index.__index__())


@pytest.mark.parametrize("index", [2**63, -(2**63) - 1, 10**5000], ids=["top", "low", "long"])
def test_ssize_overflows_as_list_does(index):
    with pytest.raises(OverflowError) as by_list:
        [].insert(index, 1)
    with pytest.raises(OverflowError) as refused:
        ssize(index)

    assert str(refused.value) == str(by_list.value)


@pytest.mark.parametrize("index", ["0", 1.0, None, (0,)])
def test_ssize_wants_an_index(index):
    with pytest.raises(TypeError):
        ssize(index)


@pytest.mark.parametrize(
    ("key", "steps"),
    [("a", ("a",)), (0, (0,)), (-1, (-1,)), (("a", 0), ("a", 0)), ((0, "a"), (0, "a"))],
)
def test_place_takes_names_indices_and_paths(key, steps):
    assert place(AT, key).steps == steps


@pytest.mark.parametrize("key", [1.5, None, b"a", frozenset(), object(), (), ("a", None)])
def test_place_refuses_other_keys(key):
    with pytest.raises(UnsupportedValueError):
        place(AT, key)


@pytest.mark.parametrize("find", [lookup, target])
@pytest.mark.parametrize("path", [(0,), (-1, "a"), ("a",) * 128], ids=["index", "end", "deep"])
def test_path_that_cannot_lead_anywhere_is_a_key_error(find, path):
    with pytest.raises(KeyError) as missed:
        find(AT, path)

    assert missed.value.args == (path,)


@pytest.mark.parametrize("index", ["0", 1.0, None, (0,), b"0", 1j])
def test_index_of_refuses_as_list_does(index):
    with pytest.raises(TypeError) as by_list:
        [][index]
    with pytest.raises(TypeError) as refused:
        index_of(index)

    assert str(refused.value) == str(by_list.value)


@pytest.mark.parametrize(
    ("other", "more", "items"),
    [
        ({"a": 1}, {}, {"a": 1}),
        ([("a", 1), ["b", 2]], {}, {"a": 1, "b": 2}),
        ((), {"self": 1, "other": 2}, {"self": 1, "other": 2}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        (Keyed(), {}, {"a": "aa", "b": "bb"}),
        (iter([("a", 1)]), {"b": 2}, {"a": 1, "b": 2}),
        (["ab"], {}, {"a": "b"}),
        ({Text("a"): 1}, {}, {"a": 1}),
    ],
)
def test_named_items_as_dict_update(other, more, items):
    named = named_items(other, more)

    assert named == items
    assert all(type(name) is str for name in named)


@pytest.mark.parametrize("other", [1, None, [1], ["abc"], [("a",)], "abc", [("a", 1, 2)]])
def test_named_items_refuses_as_dict_does(other):
    with pytest.raises((TypeError, ValueError)) as by_dict:
        {}.update(other)
    with pytest.raises((TypeError, ValueError)) as refused:
        named_items(other, {})

    assert type(refused.value) is type(by_dict.value)


@pytest.mark.parametrize("name", [1, None, ("a",), b"a"])
def test_named_items_wants_names(name):
    with pytest.raises(UnsupportedValueError, match="keys are str"):
        named_items({name: 1}, {})


def test_named_items_leaves_its_argument_alone():
    given = {"a": 1}
    named_items(given, {"b": 2})

    assert given == {"a": 1}


def test_named_items_reads_a_live_object(d):
    d["a"] = {"b": {"c": [1]}}

    assert named_items(d["a"], {"x": 1}) == {"b": {"c": [1]}, "x": 1}


@pytest.mark.parametrize("key", [1, 1.5, None, b"a", frozenset(), (), ("a", None), "\ud800"])
def test_strange_keys_read_as_in_a_dict(d, key):
    d["a"] = {"b": 1}
    for mapping in (d, d["a"]):
        assert key not in mapping
        assert mapping.get(key, 7) == 7
        assert mapping.pop(key, 7) == 7
        with pytest.raises(KeyError) as missed:
            mapping[key]
        assert missed.value.args == (key,)


@pytest.mark.parametrize("key", [1, None, b"a", frozenset(), (), ("a", None)])
def test_strange_keys_are_never_stored(d, key):
    d["a"] = {"b": 1}
    for mapping in (d, d["a"]):
        with pytest.raises(TypeError):
            mapping[key] = 1

    assert d.to_python() == {"a": {"b": 1}}
