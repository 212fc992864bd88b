"""Decoding piece by piece gives what decoding at once gives, wherever the text is cut."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redisjson_dict import codec, pieces
from redisjson_dict.codec import decode
from redisjson_dict.errors import ValueRangeError

TEXTS = st.text(alphabet='ab,:"\\[]{}é\n\x00💥', max_size=12)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(TEXTS, inner, max_size=6),
    max_leaves=40,
)


@pytest.fixture
def decoded(monkeypatch):
    """The sizes of the texts that orjson is given."""
    sizes = []
    loads = orjson.loads

    class Watched:
        JSONDecodeError = orjson.JSONDecodeError
        dumps = orjson.dumps

        @staticmethod
        def loads(text):
            sizes.append(len(text))
            return loads(text)

    monkeypatch.setattr(pieces, "orjson", Watched)
    return sizes


@settings(max_examples=1000)
@given(VALUES, st.integers(1, 60))
def test_value_is_that_of_the_whole(value, size):
    text = orjson.dumps(value)

    assert orjson.dumps(pieces.loads(text, size)) == text


@settings(max_examples=500)
@given(VALUES, st.integers(1, 60))
def test_text_is_cut_unless_names_are_long_or_a_string_is_nearly_all(value, size):
    """Else every cut that goes wrong would be hidden by decoding the whole text again."""
    text = orjson.dumps(value)
    try:
        found = pieces._loads(text, size)
    except pieces._NoPieces:
        longest = max(map(len, pieces._unescaped(text).split(b'"')))
        assert longest * 4 > len(text) or size < 12 * 12
    else:
        assert orjson.dumps(found) == text


@pytest.mark.parametrize(
    "value",
    [
        {"rows": [{"id": n, "name": f"row {n}", "at": [n, -n]} for n in range(2000)]},
        [[[[n] * 3] * 3] * 3 for n in range(300)],
        {f"k{n}": {f"m{m}": {"x": [m]} for m in range(9)} for n in range(200)},
        ["],[", '","', "\\", '\\"', '"', "[{", "}]", ","] * 500,
        {"]": {"}": [{'"': "{"}, {"\\": '\\"'}] * 400}},
        [0.1] * 5000,
        [""] * 5000,
        [[]] * 5000,
        [{}, [], {"a": []}] * 2000,
        {"a": "x" * 3000, "b": list(range(3000)), "c": "," * 3000, "d": {"e": [None] * 3000}},
    ],
)
@pytest.mark.parametrize("size", [500, 999, 4096])
def test_no_piece_is_much_larger(value, size, decoded):
    text = orjson.dumps(value)

    assert orjson.dumps(pieces.loads(text, size)) == text
    assert len(decoded) > 1
    assert max(decoded) <= 8 * size + 200  # and what is open


@pytest.mark.parametrize("deep", [1, 127, 450])
def test_deep_text(deep, decoded):
    value = list(range(3000))
    for number in range(deep):
        value = [number, value, number] if number % 2 else {"a": number, "b": value, "c": number}
    text = orjson.dumps(value) if deep < 250 else _nested(deep)

    assert pieces.loads(text, 1500) == orjson.loads(text)
    assert max(decoded) < 5000


def _nested(deep):
    return b'[0,{"a":' * (deep // 2) + orjson.dumps(list(range(3000))) + b',"b":1},2]' * (deep // 2)


@pytest.mark.parametrize("long", [900, 4000])
@pytest.mark.parametrize("name", ["blob", ""])
def test_long_string_is_in_one_piece(name, long, decoded):
    text = orjson.dumps({"a": list(range(900)), name: "x,y" * (long // 3), "b": [1, 2] * 400})

    assert pieces.loads(text, 100) == orjson.loads(text)
    assert long < max(decoded) < 2 * long
    assert sum(decoded) < 2 * len(text)


def test_string_that_is_nearly_all_is_decoded_at_once(decoded):
    text = orjson.dumps({"a": 1, "blob": "x,y" * 10_000, "b": [1, 2]})

    assert pieces.loads(text, 100) == orjson.loads(text)
    assert decoded[-1] == len(text)
    assert sum(decoded[:-1]) < 100


def test_long_names_do_not_make_every_piece_large(decoded):
    text = orjson.dumps({"x" * 5000: [*range(1000), {"y" * 5000: list(range(1000))}]})

    assert pieces.loads(text, 100) == orjson.loads(text)
    assert sum(decoded) < 2 * len(text)


@pytest.mark.parametrize("size", range(1, 30))
def test_name_that_is_there_twice_is_noticed_where_kinds_differ(size):
    text = b'{"a":{"b":1,"c":2},"d":3,"a":{"e":1,"f":2},"g":[1,2]}'

    assert pieces.loads(text, size) == orjson.loads(text)


def test_failure_keeps_nothing_alive():
    with pytest.raises(orjson.JSONDecodeError) as caught:
        pieces.loads(b"[" + b"1," * 1000, 100)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[1,2,3],[4]",
        b"1,2",
        b'{"a":1},',
        b"[1,2,3",
        b"[1,2,3]]",
        b'{"a":1,"b":2]',
        b'{"a":1,2}',
        b'[1,"a',
        b"[1,,2]",
        b",",
        b"[" * 2000 + b"]" * 2000,
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7, 8, 1000])
def test_error_shows_the_whole_text(text, size):
    with pytest.raises(orjson.JSONDecodeError) as caught:
        pieces.loads(text, size)
    assert caught.value.doc == text.decode()


def test_white_space_is_allowed():
    text = b' { "a" : [ 1 , 2 , { } ] , "b" : [ [ ] , "x y" ] } '

    assert all(pieces.loads(text, n) == orjson.loads(text) for n in range(1, 50))


def test_large_text_is_decoded_in_pieces(decoded):
    value = [{"n": n, "text": f"number {n}"} for n in range(300_000)]
    text = orjson.dumps(value)
    assert len(text) > codec._LARGE

    assert decode(text) == value
    assert max(decoded) < codec._LARGE / 10


def test_large_text_that_is_cut_off_is_told():
    text = orjson.dumps(["x" * 100] * 100_000)[:-1]

    with pytest.raises(ValueRangeError, match="cannot be decoded") as caught:
        decode(text)
    assert caught.value.__cause__.doc == text.decode()
