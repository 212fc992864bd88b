"""What one look at a value shows: true, bounded, in one round trip, whatever is stored."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st
from relay import Relay
from test_wire import Wire, load_scripts

from redisjson_dict import RedisJSONDict, StaleLocationError
from redisjson_dict.operations import MISSING, kind_of
from redisjson_dict.preview import Part, Start, Unseen, parse

ODD = [
    "",
    " ",
    " a",
    "a\\b",
    "a\\",
    "'\"",
    '"',
    "\\\"'",
    "a.b[0]",
    "$",
    "\n\x00",
    "é😀一Ā",
    "[0]",
    "*",
]
LIMIT = 200_000  # bytes of a reply: the promise of docs/looking.md


def agrees(view: Any, value: Any) -> bool:
    """Whether what is shown is true, and says what it leaves out."""
    if isinstance(view, Part):
        if view.kind != kind_of(value) or view.size != len(value):
            return False
        if view.kind == "array":
            return all(map(agrees, view.values, value))
        names = list(value)[: len(view.names)]
        return all(map(agrees, view.names, names)) and all(
            agrees(below, value[name]) for name, below in zip(names, view.values, strict=True)
        )
    if isinstance(view, Start):
        size = len(value.encode())
        return view.size == size > 400 and value.startswith(view.text)
    if isinstance(view, Unseen):
        return view.kind in ("", kind_of(value))
    return repr(view) == repr(value)


def look(d: RedisJSONDict, content: Any) -> Any:
    d["doc"] = content
    return d["doc"]._look()


names = st.one_of(st.sampled_from(ODD), st.text(max_size=5), st.integers(1, 600).map("n".__mul__))
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.sampled_from([0.1, -0.0, 1e300, 5e-324]),
    st.text(max_size=5),
    st.integers(300, 500).map("é".__mul__),
    st.integers(395, 405).map("\x01".__mul__),
    st.integers(80, 1200).map(lambda n: list(range(n))),
)
trees = st.recursive(
    leaves,
    lambda below: st.lists(below, max_size=5) | st.dictionaries(names, below, max_size=5),
    max_leaves=8,
)
wide = st.tuples(st.sampled_from([2, 90, 101, 130]), trees)
rows = wide.map(lambda of: [of[1]] * of[0])
tables = wide.map(lambda of: {**{f"k{n}": of[1] for n in range(of[0])}, " k1": 0})


@settings(max_examples=25)
@given(content=st.dictionaries(names, trees | rows, max_size=4) | st.lists(tables, max_size=2))
def test_what_is_shown_is_true(d, content) -> None:
    assert agrees(look(d, content), content)


@settings(max_examples=15)
@given(content=st.dictionaries(names, trees, max_size=6), odd=st.sampled_from(ODD))
def test_what_is_shown_below_odd_names_is_true(d, content, odd) -> None:
    d["doc"] = {odd: content, odd.strip(): 0} if odd != odd.strip() else {odd: content}
    seen = d["doc", odd]._look()

    assert isinstance(seen, Unseen) or agrees(seen, content)
    assert not isinstance(seen, Unseen) or len(repr(content)) > 400


@pytest.mark.parametrize("content", [{}, [], {"a": {}}, [[]], {name: name for name in ODD}])
def test_small_is_plain(matrix, content) -> None:
    seen = look(matrix, content)

    assert type(seen) is type(content)
    assert repr(seen) == repr(content)


@pytest.mark.parametrize(("elements", "shown"), [(999, 999), (1000, 100), (10**5, 100)])
def test_long_arrays_are_cut(d, elements, shown) -> None:
    seen = look(d, list(range(elements)))

    assert len(getattr(seen, "values", seen)) == shown
    assert agrees(seen, list(range(elements)))


def test_cut_arrays_show_what_their_elements_hold(d) -> None:
    content = [{"id": n, "tags": ["a", "b"]} for n in range(1000)]

    assert look(d, content) == Part("array", 1000, (), tuple(content[:100]))


def test_wide_object_shows_its_first_members(d) -> None:
    content = {f"m{n}": n for n in range(10_000)}

    assert look(d, content) == Part(
        "object", 10_000, tuple(content)[:100], tuple(content.values())[:100]
    )


def test_names_of_a_very_wide_object_are_not_asked_for(d) -> None:
    assert look(d, {f"m{n}": n for n in range(10_001)}) == Part("object", 10_001, (), ())


def test_deep_is_cut(d) -> None:
    content: Any = "bottom"
    for _ in range(100):
        content = {"down": content}
    seen, depth = look(d, content), 0
    while seen.values:
        seen, depth = seen.values[0], depth + 1

    assert depth == 20
    assert seen == Part("object", 1, (), ())


def test_twenty_levels_are_whole(d) -> None:
    content: Any = 1
    for _ in range(20):
        content = [content]

    assert look(d, content) == content


@pytest.mark.parametrize("character", ["x", "é", "一", "😀", "\x01", '"', "\\", "\n", "\u2028"])
@pytest.mark.parametrize("bytes_", [400, 404, 65_536, 65_540])
def test_long_texts_are_cut_between_characters(d, character, bytes_) -> None:
    text = character * (bytes_ // len(character.encode()))
    for shift in ("", "a", "ab", "abc", "abcd", "abcde"):
        (seen,) = getattr(look(d, [shift + text]), "values", d["doc"]._look())

        assert agrees(seen, shift + text)
        if isinstance(seen, Start) and seen.size <= 65_536:
            assert len(seen.text.encode()) >= 60
        elif isinstance(seen, Start):
            assert seen.text == ""


def test_long_names_are_cut(d) -> None:
    content = {"é" * 500: 1, "x" * 100_000: [1], **{f"k{n}": n for n in range(9)}}
    seen = look(d, content)

    assert seen.names[:2] == (Start("é" * 200, 1000), Start("x" * 400, 100_000))
    assert seen.values[:2] == (1, [1])


def test_neighbours_of_an_odd_name_are_not_taken_for_it(d) -> None:
    """By path ' a' would find 'a', and 'x\\"y' for a command of lengths 'x"y'."""
    decoys = {" a": "first", "a": [1], 'x\\"y': "long " * 200, 'x"y': "short", "'\"": 5}
    seen = look(d, {**decoys, "log": list(range(1000))})

    assert agrees(seen, d["doc"].to_python())
    assert dict(zip(seen.names, seen.values, strict=True)) | {"log": 0} == {
        " a": Unseen("string"),
        "a": [1],
        'x\\"y': Unseen("string"),
        'x"y': "short",
        "'\"": Unseen("integer"),
        "log": 0,
    }


@pytest.mark.parametrize("name", [" a", "a\\b", "'\"", 'x\\"y'])
def test_place_below_an_odd_name_is_seen_through_the_one_above(d, name) -> None:
    d["doc"] = {"o": {name.strip("\\ "): 0, name: {"in": [{"deep": 1}]}}}
    place = d["doc", "o", name, "in", 0]
    assert place._look() == {"deep": 1}
    d["doc", "o", "log"] = list(range(5000))

    assert place._look() == ({"deep": 1} if name == "a\\b" else Unseen("object"))
    assert repr(d["doc", "o", name]) in ("{'in': [{'deep': 1}]}", "{... 1 member}")
    d["doc", "o"] = {name: {"in": [[]]}}
    with pytest.raises(StaleLocationError):
        place._look()
    del d["doc"]
    with pytest.raises(StaleLocationError):
        place._look()


@pytest.mark.parametrize("there", ["x" * 1000, 5, [], {"a": 1}, {" x": []}])
def test_place_whose_holder_was_replaced_is_stale_or_cut(d, there) -> None:
    d["doc"] = {"b\\c": {" x": {"in": 1}}, "log": list(range(5000))}
    o = d["doc", "b\\c", " x"]
    d["doc", "b\\c"] = there

    with pytest.raises(StaleLocationError):
        o._look()


HEAVY: dict[str, Any] = {
    "texts": ["x" * 399] * 5000,
    "longer texts": ["\x01" * 60_000] * 10,
    "names": {"n" * 300 + str(n): n for n in range(3000)},
    "small names": {"n" * 3000 + str(n): n for n in range(200)},
    "floats": [1 / 3] * 50_000,
    "rows": [{f"c{n}": n for n in range(200)}] * 200,
    "tables": [[[[1] * 20] * 20] * 20] * 20,
    "one text": "x" * 2_000_000,
    "hidden": {" secret": ["x" * 1000] * 1000, "a": list(range(2000))},
    "empty": [{}] * 20_000,
}


@pytest.fixture
def wire(relay: Relay, client: redis.Redis, prefix: str) -> Any:
    load_scripts(client)
    wire = Wire(relay, prefix, client)
    yield wire
    wire.client.close()


@pytest.mark.parametrize("kind", HEAVY)
def test_look_at_anything_is_one_small_round_trip(wire, kind) -> None:
    wire.d["doc"] = {"heavy": HEAVY[kind], "light": 1}
    places = [wire.d["doc"]]
    if not isinstance(HEAVY[kind], str):
        places.append(wire.d["doc", "heavy"])
    for place in places:
        cost = wire.cost(place._look)

        assert (cost.requests, cost.turns) == (1, 1)
        assert cost.down < LIMIT
        assert agrees(place._look(), place.to_python())


@pytest.mark.parametrize("name", [" odd", "od\\d", "'\""])
def test_look_below_an_odd_name_is_one_small_round_trip(wire, name) -> None:
    wire.d["doc"] = {name: {"heavy": HEAVY["texts"]}}
    cost = wire.cost(wire.d["doc", name]._look)

    assert (cost.requests, cost.turns) == (1, 1)
    assert cost.down < LIMIT


@pytest.mark.parametrize("documents", [1, 100, 101, 1500])
def test_look_at_a_dict_is_a_page_of_scan_and_a_small_read(wire, documents) -> None:
    wire.d.update({f"k{n:04}": ["x" * 300] * 99 if n < 120 else n for n in range(documents)})
    seen = wire.d._look()
    cost = wire.cost(wire.d._look)

    assert cost.requests == 2
    assert cost.down < LIMIT
    assert wire.commands(wire.d._look) == ["SCAN", "EVALSHA"]
    shown = seen.names if isinstance(seen, Part) else tuple(seen)
    assert shown == tuple(sorted(wire.d)[:100])
    assert isinstance(seen, dict) == (documents <= 100)
    assert isinstance(seen, dict) or seen.size in (documents, None)


def test_look_at_an_empty_dict_asks_whether_there_is_json(wire) -> None:
    assert wire.commands(wire.d._look) in (["SCAN", "JSON.TYPE"], ["SCAN"])
    assert wire.d._look() in ({}, Part("object", None, (), ()))


def test_foreign_and_vanished_documents_are_not_shown(d, client, prefix) -> None:
    from redisjson_dict import toplevel

    d["a"], d["c"] = 1, {"b": 2}
    client.set(prefix + "text", "foreign")
    keys = [prefix.encode() + name for name in (b"text", b"c", b"gone", b"a")]

    assert d._run(toplevel.look(d._space, keys, True)) == {"a": 1, "c": {"b": 2}}
    assert d._run(toplevel.look(d._space, keys, False)).searched is False
    assert MISSING not in d._look().values()


def test_dict_is_shown_in_the_order_of_names(d) -> None:
    d.update({name: 1 for name in ("b", "", "é", "a", " ", "一")})

    assert list(d._look()) == sorted(d)


@pytest.mark.parametrize(
    ("reply", "view"),
    [
        (b'{"a":[1.0]}', {"a": [1.0]}),
        ([b"t", 500, b'"ab\\u00'], Start("ab", 500)),
        ([b"t", 500, b'"ab\\'], Start("ab", 500)),
        ([b"t", 500, b'"ab\xc3'], Start("ab", 500)),
        ([b"t", 500, b""], Start("", 500)),
        ([b"u", b"object"], Unseen("object")),
        ([b"a", 3, b"1", [b"o", 2]], Part("array", 3, (), (1, Part("object", 2, (), ())))),
        ([b"o", 9, [b"t", 500, b"n\xc3"], b"1"], Part("object", 9, (Start("n", 500),), (1,))),
    ],
)
def test_replies_mean(reply, view) -> None:
    assert parse(reply) == view
