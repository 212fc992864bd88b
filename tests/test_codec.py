"""What is accepted, what is refused, and that floats survive."""

import collections
import dataclasses
import datetime
import decimal
import enum
import functools
import json
import math
import random
import struct
import types
import uuid
from collections.abc import Mapping, Sequence
from unittest import mock

import numpy as np
import orjson
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from redisjson_dict import codec
from redisjson_dict.codec import brief, decode, encode, encode_many, plain, to_python
from redisjson_dict.errors import RedisJSONDictError, UnsupportedValueError, ValueRangeError
from redisjson_dict.location import is_writable

NAN, INF = math.nan, math.inf
LOWEST, HIGHEST = -(2**63), 2**64 - 1
U64 = 2**64


class Text(str):
    """A str that would rather not be read as one."""

    def __str__(self):
        return "wrong"

    def encode(self, *_):
        return b"wrong"


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Point:
    x: int = 1


Pair = collections.namedtuple("Pair", "first second")


class Endless(Mapping):
    """A mapping in a mapping, without end."""

    def __getitem__(self, key):
        return Endless()

    def __iter__(self):
        return iter("a")

    def __len__(self):
        return 1


class Halls(Sequence):
    """A sequence in a sequence, without end."""

    def __getitem__(self, index):
        if index:
            raise IndexError
        return Halls()

    def __len__(self):
        return 1


def nested(levels, wrap=lambda inner: [inner], seed=()):
    return functools.reduce(lambda inner, _: wrap(inner), range(levels - 1), type(wrap(0))(seed))


def text_of(value, **options):
    encoded = encode(value, **options)
    assert encoded.repairs == ()
    return encoded.text


def same(one, other):
    """Whether two plain values are one, type by type and bit by bit."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return struct.pack("<d", one) == struct.pack("<d", other)
    if isinstance(one, dict):
        pairs = zip(one.items(), other.items(), strict=True)
        return len(one) == len(other) and all(same([*a], [*b]) for a, b in pairs)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def server_reads(token):
    """What the server's parser makes of a number: serde_json without float_roundtrip."""
    sign, token = (-1.0, token[1:]) if token[0] == "-" else (1.0, token)
    mantissa, _, power = token.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits, exponent = int(whole + fraction), int(power or 0) - len(fraction)
    if digits >= U64:
        raise OverflowError(token)
    number = float(digits)
    while abs(exponent) > 308 and number:
        if exponent > 0:
            raise OverflowError(token)
        number /= 1e308
        exponent += 308
    if number:
        number = (
            number * float(f"1e{exponent}") if exponent >= 0 else number / float(f"1e{-exponent}")
        )
    return sign * number


def stored(value):
    """What the server holds in the end: its own reading, and the repairs."""
    encoded = encode(value)
    root = [json.loads(encoded.text, parse_float=server_reads)]
    for repair in encoded.repairs:
        holder, step = root, 0
        for below in repair.steps:
            holder, step = holder[step], below
        holder[step] += server_reads(repair.increment.decode())
        assert holder[step] == float(repair.wanted)
    return root[0]


def from_bits(bits):
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


FLOATS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(0, 2**64 - 1).map(from_bits).filter(math.isfinite),
    st.floats(0, 1),
    st.floats(1.6e9, 1.9e9),
    st.integers(-1074, 1023).map(lambda power: 2.0**power),
    st.integers(10**14, 10**18).map(float),
)
TRICKY = st.text(alphabet='0123456789.eE+-"\\,:[]{}n \n', max_size=40)
NAMES = st.one_of(TRICKY, st.text(max_size=5))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(LOWEST, HIGHEST),
    FLOATS,
    TRICKY,
    st.text(max_size=9),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=6), st.dictionaries(NAMES, inner, max_size=6)),
    max_leaves=30,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, b"null"),
        (True, b"true"),
        (False, b"false"),
        (0, b"0"),
        (LOWEST, b"-9223372036854775808"),
        (HIGHEST, b"18446744073709551615"),
        (1.0, b"1.0"),
        (-0.0, b"-0.0"),
        ("", b'""'),
        ('a"\\\n\0', b'"a\\"\\\\\\n\\u0000"'),
        ("é一😀", '"é一😀"'.encode()),
        ("\u2028\u2029", '"\u2028\u2029"'.encode()),
        ([], b"[]"),
        ((), b"[]"),
        ({}, b"{}"),
        ((1, [2, (3,)]), b"[1,[2,[3]]]"),
        ({"b": 1, "a": {"": None}}, b'{"b":1,"a":{"":null}}'),
    ],
)
def test_encode_text(value, text):
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Text("ok"), b'"ok"'),
        (Level.LOW, b"1"),
        (np.str_("ok"), b'"ok"'),
        (collections.OrderedDict(b=1, a=2), b'{"b":1,"a":2}'),
        (collections.defaultdict(list, a=[1]), b'{"a":[1]}'),
        (collections.Counter("aab"), b'{"a":2,"b":1}'),
        (collections.ChainMap({"a": 1}, {"a": 2, "b": 3}), b'{"a":1,"b":3}'),
        (types.MappingProxyType({"a": (1,)}), b'{"a":[1]}'),
        (collections.UserDict(a=1), b'{"a":1}'),
        (collections.UserList([1]), b"[1]"),
        (Pair(1, Pair(2, 3)), b"[1,[2,3]]"),
        (range(3), b"[0,1,2]"),
        (collections.deque([1], maxlen=3), b"[1]"),
        ({Text("k"): 1}, b'{"k":1}'),
    ],
)
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [v], lambda v: {"in": [v]}])
def test_encode_converts(value, text, wrap):
    assert json.loads(text_of(wrap(value))) == wrap(json.loads(text))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int8(-1), -1),
        (np.uint64(HIGHEST), HIGHEST),
        (np.int64(LOWEST), LOWEST),
        (np.bool_(True), True),
        (np.float32(0.1), 0.10000000149011612),
        (np.float16(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.arange(3), [0, 1, 2]),
        (np.array(1.5), 1.5),
        (np.zeros((2, 0)), [[], []]),
        (np.ones((2, 1, 1)), [[[1.0]], [[1.0]]]),
        (np.array([True, False]), [True, False]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array([1, "a", None, [2]], dtype=object), [1, "a", None, [2]]),
        (np.arange(6)[::-2], [5, 3, 1]),
        (np.array([1, 2], dtype=">i4"), [1, 2]),
    ],
)
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [v], lambda v: {"in": (v, v)}])
def test_encode_numpy(value, expected, wrap):
    got = plain(wrap(value))

    assert same(got, plain(wrap(expected)))


@pytest.mark.parametrize("number", [NAN, INF, -INF, np.float32(NAN), np.float64(-INF)])
@pytest.mark.parametrize(
    ("wrap", "place"),
    [
        (lambda n: n, ""),
        (lambda n: [1, n], " at [1]"),
        (lambda n: {"a": {"b": (0.5, n)}}, " at ['a']['b'][1]"),
        (lambda n: {"a": collections.deque([n])}, " at ['a'][0]"),
        (lambda n: [[1.5] * 100, [0.0, n]], " at [1][1]"),
    ],
)
def test_encode_refuses_nan_by_place(number, wrap, place):
    with pytest.raises(ValueRangeError) as refused:
        encode(wrap(number))

    assert f"{float(number)}{place} has no place in JSON" in str(refused.value)


@pytest.mark.parametrize("number", [NAN, INF, -INF])
@pytest.mark.parametrize("others", [[None, 0.5], ["null", 0.5], [{"null": None}, "a null", 1]])
@pytest.mark.parametrize("count", [1, 10, codec._WIDE])  # many items are not all kept
def test_encode_tells_nan_from_null(number, others, count):
    items = others * count
    where = len(items) // 2
    assert orjson.loads(encode({"a": [items]}).text) == {"a": [items]}

    items.insert(where, number)
    with pytest.raises(ValueRangeError, match=rf"at \['a'\]\[0\]\[{where}\]"):
        encode({"a": [items]})
    assert encode_many([1, items, "null"]) is None


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("number", [NAN, INF, -INF])
def test_encode_refuses_nan_in_arrays(dtype, number):
    array = np.array([[0, 1], [2, number]], dtype=dtype)

    with pytest.raises(ValueRangeError, match=r"at \['a'\]\[1\]\[1\]"):
        encode({"a": array})


@pytest.mark.parametrize(
    "number", [LOWEST - 1, HIGHEST + 1, 10**400, -(10**400), pytest.param(10**5000, id="googol")]
)
@pytest.mark.parametrize(
    ("wrap", "place"),
    [(lambda n: n, ""), (lambda n: {"a": [0, n]}, " at ['a'][1]"), (lambda n: (n,), " at [0]")],
)
def test_encode_refuses_large_integers(number, wrap, place):
    with pytest.raises(ValueRangeError) as refused:
        encode(wrap(number))

    assert str(refused.value).startswith(f"integer{place} is outside")


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ud83d\ude00", Text("\ud800")])
@pytest.mark.parametrize(
    ("wrap", "place"),
    [(lambda t: t, ""), (lambda t: [0, t], " at [1]"), (lambda t: {"a": {"b": t}}, "['a']['b']")],
)
def test_encode_refuses_surrogates(text, wrap, place):
    with pytest.raises(ValueRangeError, match="lone surrogate") as refused:
        encode(wrap(text))

    assert place in str(refused.value)


@pytest.mark.parametrize("name", ["\ud800", "a\udfff", Text("\ud800")])
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [v], types.MappingProxyType])
def test_encode_refuses_surrogate_names(name, wrap):
    with pytest.raises(ValueRangeError, match="lone surrogate"):
        encode(wrap({name: 1}))


@pytest.mark.parametrize("name", [1, 1.5, None, True, b"a", (), ("a",), Level.LOW, Colour.RED])
@pytest.mark.parametrize(
    ("wrap", "place"),
    [
        (lambda v: v, ""),
        (lambda v: {"a": [v]}, " at ['a'][0]"),
        (types.MappingProxyType, ""),
        (collections.OrderedDict, ""),
    ],
)
def test_encode_refuses_other_names(name, wrap, place):
    with pytest.raises(UnsupportedValueError) as refused:
        encode(wrap({name: 1}))

    called = "bytes" if type(name) is bytes else "a"
    assert f"member name {name!r}{place} is {called}" in str(refused.value)


FOREIGN = [
    b"a",
    bytearray(b"a"),
    memoryview(b"a"),
    {1},
    frozenset(),
    datetime.datetime(2020, 1, 1),
    datetime.date(2020, 1, 1),
    datetime.time(1),
    datetime.timedelta(1),
    uuid.UUID(int=1),
    Colour.RED,
    Point(),
    decimal.Decimal("1.5"),
    collections.UserString("a"),
    1j,
    object(),
    object,
    Ellipsis,
    len,
    iter([1]),
    {}.keys(),
    {}.items(),
    types.SimpleNamespace(a=1),
    np.bytes_(b"a"),
    np.complex128(1),
    np.datetime64("2020-01-01"),
    np.datetime64("2020-01-01T00:00:00.000000001"),
    np.timedelta64(5, "ns"),
    np.array(["2020-01-01"], dtype="M8[ns]"),
    np.longdouble(1),
    np.complex64(1),
    np.dtype("f8"),
    np.float64,
    np.array([{1}], dtype=object)[0],
]


@pytest.mark.parametrize("value", FOREIGN, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    ("wrap", "place"),
    [
        (lambda v: v, ""),
        (lambda v: {"a": [0, v]}, " at ['a'][1]"),
        (lambda v: (1.5, {"b": v}), " at [1]['b']"),
        (lambda v: collections.deque([v]), " at [0]"),
    ],
)
def test_encode_refuses_foreign_types(value, wrap, place):
    with pytest.raises(UnsupportedValueError) as refused:
        encode(wrap(value))

    called = "bytes" if type(value) is bytes else "a"
    assert str(refused.value).startswith(f"the value{place} is {called}")


def test_refusal_names_a_type_as_it_is_spoken():
    for value, called in ((uuid.uuid4(), "is a UUID:"), (b"", "is bytes:"), (IndexError(), "an I")):
        with pytest.raises(UnsupportedValueError, match=called):
            encode(value)


def test_refusal_is_a_type_error():
    with pytest.raises(TypeError):
        encode({1})


def test_refusal_names_a_long_place_shortly():
    with pytest.raises(UnsupportedValueError) as refused:
        encode(nested(100, seed=[b""]))

    assert len(str(refused.value)) < 400


def test_encode_refuses_cycles():
    array = [1]
    array.append({"again": [array]})

    with pytest.raises(UnsupportedValueError, match=r"contains itself at \[1\]\['again'\]\[0\]"):
        encode(array)


def test_encode_refuses_cycles_through_tuples():
    loop = [1]
    loop.append({"again": (loop,)})

    with pytest.raises(UnsupportedValueError, match="contains itself"):
        encode(loop)


def test_encode_refuses_tuples_too_deep():
    with pytest.raises(ValueRangeError):
        encode(functools.reduce(lambda inner, _: (inner,), range(5_000), 0))


def test_encode_refuses_a_key_too_long_to_print():
    with pytest.raises(UnsupportedValueError, match="int"):
        encode({10**5000: 1})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("é", r"'\xe9'"),
        ("\ud800", r"'\ud800'"),
        ("a" * 118, "'" + "a" * 118 + "'"),
        ("a" * 119, "'" + "a" * 79 + "..." + "a" * 19 + "'"),
        pytest.param(10**5000, "<int>", id="int"),
        pytest.param([10**5000], "<list>", id="list"),
    ],
)
def test_brief_is_a_bounded_repr(value, text):
    assert brief(value) == text


def test_brief_survives_what_is_too_deep_to_show():
    deep = functools.reduce(lambda inner, _: [inner], range(100_000), 0)

    assert brief(deep) == "<list>"


def test_encode_refuses_cycles_of_mappings():
    mapping = {}
    mapping["a"] = types.MappingProxyType(mapping)

    with pytest.raises(RedisJSONDictError):
        encode(mapping)


def test_encode_takes_one_value_twice():
    shared = [1.5]

    assert text_of({"a": shared, "b": [shared, shared]}) == b'{"a":[1.5],"b":[[1.5],[1.5]]}'


def test_encode_takes_converted_values_twice():
    shared = collections.deque([1])

    assert text_of([shared, shared, [shared]]) == b"[[1],[1],[[1]]]"


WRAPS = [
    lambda inner: [inner],
    lambda inner: (inner,),
    lambda inner: {"a": inner},
    lambda inner: collections.OrderedDict(a=inner),
    lambda inner: collections.deque([inner]),
]


@pytest.mark.parametrize("wrap", WRAPS)
def test_encode_takes_127_levels(wrap):
    text = text_of(nested(127, wrap))

    assert text.count(b"[") + text.count(b"{") == 127


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("levels", [128, 129, 160, 254, 255, 400])
def test_encode_refuses_more_levels(wrap, levels):
    with pytest.raises(ValueRangeError, match="nested deeper than the 127 levels"):
        encode(nested(levels, wrap))


@pytest.mark.parametrize("wrap", [WRAPS[0], WRAPS[2], WRAPS[4]])
@pytest.mark.parametrize("above", [1, 100, 126])
def test_encode_counts_levels_above(wrap, above):
    encode(nested(127 - above, wrap), depth=above)

    with pytest.raises(ValueRangeError, match=f"{above} of them above"):
        encode(nested(128 - above, wrap), depth=above)


def test_encode_takes_a_scalar_at_the_bottom():
    assert text_of(1.5, depth=127) == b"1.5"


@pytest.mark.parametrize("empty", [[], (), {}, types.MappingProxyType({}), range(0)])
def test_encode_refuses_an_empty_level_too_many(empty):
    with pytest.raises(ValueRangeError):
        encode(empty, depth=127)


@pytest.mark.parametrize("levels", [10_000, 100_000])
def test_encode_survives_very_deep_lists(levels):
    with pytest.raises(ValueRangeError, match="nested deeper"):
        encode(nested(levels))


@pytest.mark.parametrize("value", [Endless(), Halls()])
def test_encode_refuses_endless_containers(value):
    with pytest.raises(ValueRangeError, match="nested deeper"):
        encode(value)


def test_default_is_called_for_foreign_types():
    assert text_of({"a": [{3, 1}]}, default=sorted) == b'{"a":[[1,3]]}'


def test_default_is_not_called_for_json_types():
    def never(value):
        raise AssertionError(value)

    value = {"a": [1, 1.5, "x", None, True, (Text("t"), range(2), np.int8(1), Level.LOW)]}

    assert plain(value, never) == {"a": [1, 1.5, "x", None, True, ["t", [0, 1], 1, 1]]}


def test_default_may_return_foreign_types():
    hooks = {Colour: lambda v: {v.value}, set: sorted}

    assert text_of([Colour.RED], default=lambda v: hooks[type(v)](v)) == b"[[1]]"


def test_default_sees_each_value_once():
    seen = []
    encode([b"a", {"k": b"b"}], default=lambda v: seen.append(v) or v.decode())

    assert seen == [b"a", b"b"]


def test_default_is_not_called_for_names():
    with pytest.raises(UnsupportedValueError, match="member name 1 "):
        encode({1: 2}, default=str)


def test_default_that_returns_its_argument():
    with pytest.raises(UnsupportedValueError, match=r"at \['a'\] is a set"):
        encode({"a": {1}}, default=lambda value: value)


@pytest.mark.parametrize(
    "hook",
    [
        lambda value: object(),
        lambda value: [object()],
        lambda value: {"a": object()},
        lambda value: [value],
    ],
)
def test_default_without_end_is_refused(hook):
    with pytest.raises(RedisJSONDictError):
        encode(object(), default=hook)


@pytest.mark.parametrize("result", [NAN, HIGHEST + 1, "\ud800", nested(128), {"\ud800": 1}])
def test_default_result_is_checked(result):
    with pytest.raises(ValueRangeError):
        encode([b""], default=lambda value: result)


def test_default_result_counts_as_a_level():
    with pytest.raises(ValueRangeError):
        encode(nested(127, seed=[b""]), default=lambda value: [])


def test_default_errors_pass_through_with_a_note_of_the_place():
    with pytest.raises(ZeroDivisionError) as caught:
        encode({"a": [b""]}, default=lambda value: 1 // 0)

    assert "default=" in caught.value.__notes__[0]
    assert "['a'][0]" in caught.value.__notes__[0]


@given(VALUES)
@example({'e"1.2345678901234567': ["\\", 0.1 + 0.2, '1e5"', -1e-300]})
def test_encode_is_what_json_reads(value):
    assert same(json.loads(encode(value).text), value)


@given(VALUES)
def test_decode_inverts_encode(value):
    assert same(plain(value), value)


@pytest.mark.parametrize("page", [0, 10**9])
@given(values=st.lists(VALUES, max_size=8))
@example(values=['e"1.2345678901234567\n', 0.1 + 0.2, "\\", {"\n": [1e-300, '\\"']}, 1 / 3, "1e5"])
def test_encode_many_is_encode_of_each(page, values):
    """Whether they are spelled one by one or as the lines of one text."""
    values = [[value] for value in values]  # a float by itself is spelled by another function
    with mock.patch.object(codec, "_PAGE", page):
        texts = encode_many(values)
    alone = [encode(value) for value in values]

    assert texts == [one.text for one in alone] or any(one.repairs for one in alone)


@given(FLOATS)
@example(5e-324)
@example(2.2250738585072014e-308)
@example(1.7976931348623157e308)
@example(9007199254740993.0)
@example(8102895618387548.0)
def test_float_is_stored_exactly(number):
    assert same(stored(number), number)
    assert same(float(encode(number).text), number)


@given(st.lists(FLOATS, max_size=30))
def test_floats_in_a_list_are_stored_exactly(numbers):
    assert same(stored(numbers), numbers)


@given(VALUES)
def test_floats_among_text_are_stored_exactly(value):
    assert same(stored(value), value)


@given(FLOATS, TRICKY, TRICKY)
def test_text_around_floats_is_kept(number, before, after):
    value = [before, number, {after: number, before + "x": after}, after]

    assert same(stored(value), value)


@pytest.mark.parametrize(
    "text",
    [
        "0.1234567890123456789",
        "1e400",
        '"0.30000000000000004',
        "\\0.30000000000000004",
        '\\"0.30000000000000004\\',
        "[0.30000000000000004,",
        ",5e-324,",
    ],
)
def test_text_like_a_float_is_kept(text):
    value = {text: [text, 0.1 + 0.2, text], "x": 1 / 3}

    assert same(stored(value), value)


def test_random_floats_are_stored_exactly():
    rng = random.Random(20)
    numbers = [rng.random() for _ in range(20_000)]

    assert same(stored(numbers), numbers)


def test_repairs_name_the_place():
    rng = random.Random(21)
    hard = next(x for x in iter(rng.random, None) if encode(x).repairs)
    repairs = encode({"a": [1, {'q"': hard}], "b": -hard}).repairs

    assert [repair.steps for repair in repairs] == [("a", 1, 'q"'), ("b",)]
    assert [float(repair.wanted) for repair in repairs] == [hard, -hard]


def test_short_floats_are_spelled_as_python_does():
    numbers = [0.1, 1.5, 123456.789, 1e16, 1e-7, 100.0]

    assert [float(text_of(number)) for number in numbers] == numbers
    assert (encode(0.1).text, encode(0.1).repairs) == (b"0.1", ())


def hard_floats(count):
    rng = random.Random(22)
    kinds = [
        lambda: from_bits(rng.getrandbits(64)),
        rng.random,
        lambda: 1.7e9 + rng.random() * 1e7,
        lambda: 2.0 ** rng.randint(-1074, 1023),
        lambda: from_bits(rng.getrandbits(52)),
        lambda: float(rng.getrandbits(rng.randint(54, 1000))),
        lambda: struct.unpack("<f", struct.pack("<f", rng.gauss(0, 1)))[0],
        lambda: round(rng.uniform(-1e6, 1e6), rng.randint(0, 12)),
    ]
    found = [0.0, -0.0, 5e-324, -5e-324, 1.7976931348623157e308, 2.2250738585072014e-308, 1e22]
    while len(found) < count:
        number = rng.choice(kinds)() * rng.choice((1, -1))
        if math.isfinite(number):
            found.append(number)
    return found


def test_server_keeps_top_level_floats(d):
    numbers = {str(name): number for name, number in enumerate(hard_floats(3_000))}
    for name, number in list(numbers.items())[:600]:
        d[name] = number
    d.update(list(numbers.items())[600:])

    assert same(dict(sorted(d.to_python().items())), dict(sorted(numbers.items())))


def test_server_keeps_floats_in_an_array(d):
    numbers = hard_floats(20_000)
    d["numbers"] = numbers

    assert same(d["numbers"].to_python(), numbers)


def test_server_keeps_floats_among_text(d):
    rng = random.Random(23)

    def text():
        return "".join(rng.choice('0123456789.e-+"\\[]{},:x ') for _ in range(rng.randint(0, 30)))

    def name():
        return "n" + text().replace("\\", "/").replace("'", "").replace('"', "")

    numbers = iter(hard_floats(4_000))
    document = {
        str(row): {
            name(): [next(numbers), text(), {name(): next(numbers), "t": text()}, next(numbers)],
            "text": text(),
            "number": next(numbers),
        }
        for row in range(1_000)
    }
    d["document"] = document

    assert same(d["document"].to_python(), document)


def test_server_keeps_floats_assigned_below(d):
    numbers = hard_floats(300)
    d["document"] = {"a": [0] * len(numbers), "o": {}, "l": []}
    place = d["document"]
    for index, number in enumerate(numbers):
        place["a"][index] = number
        place["o"][str(index)] = number
    place["l"].extend(numbers)

    assert same(place["a"].to_python(), numbers)
    assert same(list(place["o"].to_python().values()), numbers)
    assert same(place["l"].to_python(), numbers)


def test_server_takes_127_levels(d):
    d["lists"] = nested(127)
    d["objects"] = nested(127, lambda inner: {"a": inner})

    assert d["lists"].to_python() == nested(127)
    assert d["objects"].to_python() == nested(127, lambda inner: {"a": inner})


def test_server_takes_the_last_level_below(d):
    d["lists"] = nested(126)
    d.at("lists", *[0] * 125).append([])

    assert d["lists"].to_python() == nested(127)


def test_server_is_spared_a_level_too_many(d):
    d["lists"] = nested(127)

    with pytest.raises(ValueRangeError):
        d.at("lists", *[0] * 126).append([])
    assert d["lists"].to_python() == nested(127)


@given(VALUES)
def test_server_gives_back_what_was_stored(d, value):
    names = [s for repair in encode(value).repairs for s in repair.steps if isinstance(s, str)]
    assume(all(map(is_writable, names)))
    d["value"] = [value]

    assert same(d["value"].to_python(), [value])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"[1,1.0,-0.0]", [1, 1.0, -0.0]),
        ('{"a":"é"}', {"a": "é"}),
        (b"18446744073709551615", HIGHEST),
    ],
)
def test_decode(text, value):
    assert same(decode(text), value)


@pytest.mark.parametrize("text", [b"", b"{", b"[" * 1025 + b"]" * 1025])
def test_decode_refuses(text):
    with pytest.raises(ValueRangeError, match="cannot be decoded"):
        decode(text)


def test_plain_is_detached():
    inner = [1]
    value = plain({"a": inner})
    inner.append(2)

    assert value == {"a": [1]}


@pytest.mark.parametrize("value", [1, "a", b"a", None, object(), {1}, bytearray(b"a")])
def test_to_python_keeps_what_is_no_container(value):
    assert to_python(value) is value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, (2,)), [1, [2]]),
        (collections.deque([1]), [1]),
        (types.MappingProxyType({"a": (1,)}), {"a": [1]}),
        ({1: range(2)}, {1: [0, 1]}),
    ],
)
def test_to_python_makes_dicts_and_lists(value, expected):
    assert same(to_python(value), expected)


def test_to_python_detaches_proxies_anywhere(d):
    d["a"] = {"b": [1, {"c": 2}]}
    value = to_python({"x": (d["a"], [d["a", "b"]]), "d": d})

    content = {"b": [1, {"c": 2}]}
    assert same(value, {"x": [content, [content["b"]]], "d": {"a": content}})


def test_to_python_serves_json_dumps(d):
    d["a"] = {"b": [1.5, None]}

    assert json.dumps([d["a"], d], default=to_python) == (
        '[{"b": [1.5, null]}, {"a": {"b": [1.5, null]}}]'
    )


def test_proxies_are_encoded_by_content(d):
    d["a"] = {"b": [1, {"c": 2}]}
    d["copy"] = {"x": [d["a"], (d["a", "b"],)], "y": d["a"]}

    content = {"b": [1, {"c": 2}]}
    assert d["copy"].to_python() == {"x": [content, [content["b"]]], "y": content}


def test_refused_value_leaves_the_document(d):
    d["a"] = {"b": 1}

    with pytest.raises(UnsupportedValueError, match=r"at \['x'\]\[1\] is a set") as refused:
        d["a"]["b"] = {"x": [0, {1}]}
    assert d["a"].to_python() == {"b": 1}
    assert refused.value.location == "document 'a' at $['b']"
