"""Places are remembered, never what is there: a key that was asked for before means the same."""

from decimal import Decimal
from fractions import Fraction

import pytest

from redisjson_dict import RedisJSONDict, UnsupportedValueError
from redisjson_dict.keyspace import _REMEMBERED, _SHORT, Keyspace
from redisjson_dict.location import _BELOW, Settings


class Name(str):
    """A name that says it is another one."""

    __slots__ = ()

    def __str__(self):
        return "another"


@pytest.fixture
def space():
    return Keyspace("p:", Settings())


@pytest.mark.parametrize("odd", [0.0, Decimal(0), Fraction(0), 0j])
def test_what_equals_an_index_is_none(d, odd):
    d["k"] = {"list": [7, 8]}
    assert d["k", "list", 0] == d.at("k", "list", 0).get() == 7
    held = d["k"]["list"]
    assert held[0] == 7

    with pytest.raises(KeyError):
        d["k", "list", odd]
    with pytest.raises(UnsupportedValueError):
        d["k", "list", odd] = 1
    with pytest.raises(UnsupportedValueError):
        d.at("k", "list", odd)
    with pytest.raises(TypeError):
        held[odd]
    assert held.to_python() == [7, 8]


def test_bool_is_an_index_as_in_a_list(d):
    d["k"] = [7, 8]

    assert (d["k", 1], d["k", True], d["k", 0], d["k", False]) == (8, 8, 7, 7)
    assert (d["k"][True], d["k"][1]) == (8, 8)


@pytest.mark.parametrize("key", [1, None, b"k", 1.5, [1], {}, ("k", None), ("k", [1]), ()])
def test_no_key_stays_none(d, key):
    d["k"] = {"a": 1}
    for _ in range(2):
        with pytest.raises(UnsupportedValueError):
            d[key] = 1
        assert d["k", "a"] == 1


def test_subclass_of_str_is_its_text(d):
    d["k"] = {"a": 1}
    for _ in range(2):
        assert d[Name("k"), Name("a")] == d[Name("k")][Name("a")] == d["k", "a"] == 1


def test_error_names_what_was_asked_for(d):
    d["k"] = {}
    for _ in range(2):
        for key in ("gone", ("gone",), ("gone", "a"), ("k", "gone"), ("k", "gone", 0)):
            with pytest.raises(KeyError) as caught:
                d[key]
            assert caught.value.args == (key,)
        for key in ("gone", ("gone",), ("gone", "a")):
            with pytest.raises(KeyError) as caught:
                d["k"][key]
            assert caught.value.args == (key,)


def test_content_is_asked_for_each_time(d, client):
    d["k"] = {"a": 1, "list": [1]}
    held, at = d["k"], d.at("k", "a")
    assert (d["k", "a"], held["a"], at.get(), d["k", "list", -1], held["list"][-1]) == (1,) * 5
    client.execute_command("JSON.SET", d._space.keys(["k"])[0], "$", '{"a":2,"list":[1,2]}')
    assert (d["k", "a"], held["a"], at.get(), d["k", "list", -1], held["list"][-1]) == (2,) * 5
    d["k"] = {"b": {"a": 3}}
    with pytest.raises(KeyError):
        held["a"]
    del d["k"]
    with pytest.raises(KeyError):
        d["k", "a"]


def test_lifetime_is_that_of_the_moment(client, prefix):
    d = RedisJSONDict(client, prefix, expire=100)
    d["k"] = 1
    assert 99 < d.ttl("k") <= 100
    with d.expire_at(1000):
        d["k"] = 2
    assert 999 < d.ttl("k") <= 1000
    d["k"] = 3
    assert 99 < d.ttl("k") <= 100


def test_same_key_of_two_dicts(client, prefix):
    one, other = RedisJSONDict(client, f"{prefix}1:"), RedisJSONDict(client, f"{prefix}2:")
    for _ in range(2):
        one["k"], other["k"] = 1, 2
        assert (one["k"], other["k"]) == (1, 2)


def test_few_places_are_remembered(space):
    for number in range(3 * _REMEMBERED):
        at = space.target(f"k{number}")
        space.target(("k", f"m{number}"))
        space.reference(("k", f"m{number}"))
        assert (at.name, at.steps) == (f"k{number}", ())
    assert max(len(space._targets), len(space._references)) <= _REMEMBERED


def test_long_ones_are_not_remembered(space):
    for key in ("x" * _SHORT, ("k", "x" * _SHORT), ("k", *["step"] * 100)):
        assert space.target(key) is not space.target(key)
        assert not space._targets
    assert space.target("short") is space.target("short")


def test_few_places_below_one_are_remembered(space):
    at = space.target("k")
    for number in range(3 * _BELOW):
        assert at.remembered(f"m{number}").steps == (f"m{number}",)
    assert len(at._below) == _BELOW
    assert at.remembered("m0") is at.remembered("m0")


def test_long_names_below_one_are_not_remembered(space):
    at = space.target("k")

    assert at.remembered("x" * 1000) is not at.remembered("x" * 1000)
    assert not at._below


def test_only_the_places_of_keys_are_remembered(d):
    """Else reading a large object would fill the memory with what nobody asked for."""
    d["k"] = {f"m{number}": {} for number in range(500)}
    held = d["k"]

    assert len(list(held.values())) == len(list(held.items())) == 500
    held.update({f"n{number}": 1 for number in range(500)})
    assert not held._at._below
