"""Which expressions are sent, and that what is sent is harmless."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redisjson_dict.errors import UnsupportedValueError, ValueRangeError
from redisjson_dict.jsonpath import expression

I64 = 2**63 - 1

HARMLESS = [
    "$",
    "$.a",
    "$..a",
    "$.*",
    "$[*]",
    "$['a']",
    '$["a"].b[0]',
    "$.a[-1:]",
    "$.a[0:2:1]",
    "$.a[?(@.b>1)]",
    '$.a[?(@.b=="x")]',
    '$.a[?(@.b=="é😁")]',
    f"$.a[{I64}]",
    f"$.a[-{I64}]",
    "$.a[0000000000000000000000001]",
    f'$["{2**70}"]',
    f"$['{2**70}']",
    '$["a\\"b"]',
    "$['a\\'b']",
    "$.a[?(@>0.5)]",
    "$" + ".a" * 1000,
    "$" + "[0]" * 128,
]


@pytest.mark.parametrize("jsonpath", HARMLESS)
def test_expression_follows_the_dollar(jsonpath):
    assert expression(jsonpath, below_root=False) == jsonpath[1:].encode()


@pytest.mark.parametrize("jsonpath", [1, None, b"$.a", ["$"], ("$",)])
def test_expression_is_text(jsonpath):
    with pytest.raises(UnsupportedValueError, match=f"not {type(jsonpath).__name__}"):
        expression(jsonpath, below_root=False)


@pytest.mark.parametrize("jsonpath", ["", "a", ".a", " $", "@.a", "['$']", "\ufeff$.a", ".", "\n$"])
def test_leading_dollar_is_needed(jsonpath):
    with pytest.raises(ValueRangeError, match=r"does not start with '\$'"):
        expression(jsonpath, below_root=False)


@pytest.mark.parametrize("jsonpath", ["$a", "$$", "$ ", "$ .a", "$-1", "$\n", "$?", "$("])
def test_legacy_paths_are_refused(jsonpath):
    with pytest.raises(ValueRangeError, match="after its"):
        expression(jsonpath, below_root=False)


@pytest.mark.parametrize("code", [0x100, 0x3000, 0x4E00, 0xAC00, 0x1F600, 0x10FF00, 0])
@pytest.mark.parametrize("shape", ['$["{}"]', "$.{}", "$.a[?(@=='{}')]", "$.a {}"])
def test_deadly_characters_are_refused(code, shape):
    with pytest.raises(ValueRangeError, match="can abort the server"):
        expression(shape.format(chr(code)), below_root=False)


@given(st.characters(min_codepoint=1, exclude_categories=["Cs"]))
def test_other_characters_are_allowed(character):
    jsonpath = '$["' + character.replace("\\", "\\\\").replace('"', '\\"') + '"]'
    if ord(character) % 256:
        assert expression(jsonpath, below_root=False) == jsonpath[1:].encode()


@pytest.mark.parametrize("jsonpath", ['$["\ud801"]', "$.\udfff"])
def test_surrogates_are_refused(jsonpath):
    with pytest.raises(ValueRangeError, match="lone surrogate"):
        expression(jsonpath, below_root=False)


@pytest.mark.parametrize("number", [I64 + 1, 2**64, 10**30, "0" * 30 + str(I64 + 1)])
@pytest.mark.parametrize(
    "shape", ["$.a[{}]", "$.a[-{}]", "$.a[0:{}]", "$.a[::{}]", "$.a[?(@>{})]", "$..[{},1]"]
)
def test_large_numbers_are_refused(number, shape):
    with pytest.raises(ValueRangeError, match="64 bits"):
        expression(shape.format(number), below_root=False)


@pytest.mark.parametrize("quote", ["'", '"'])
def test_large_number_after_a_string_is_refused(quote):
    jsonpath = f"$[{quote}a\\\\{quote}][{2**63}]"

    with pytest.raises(ValueRangeError, match="64 bits"):
        expression(jsonpath, below_root=False)


@pytest.mark.parametrize("jsonpath", ["$" + "[0]" * 129, "$[?(" + "(" * 128 + ")", "$" + "[(" * 65])
def test_many_brackets_are_refused(jsonpath):
    with pytest.raises(ValueRangeError, match="brackets"):
        expression(jsonpath, below_root=False)


def test_brackets_in_text_do_not_count():
    assert expression('$["' + "[(" * 1000 + '"]', below_root=False)


def test_very_long_expressions_are_refused():
    with pytest.raises(ValueRangeError, match="characters"):
        expression("$" + ".a" * 40_000, below_root=False)


@pytest.mark.parametrize("jsonpath", ["$.a[?(@.b>$.c)]", "$.a[?($)]", "$['a'][?(@==$[0])]"])
def test_second_dollar_below_the_root(jsonpath):
    assert expression(jsonpath, below_root=False)

    with pytest.raises(ValueRangeError, match=r"second '\$'"):
        expression(jsonpath, below_root=True)


@pytest.mark.parametrize("jsonpath", ['$["$"]', "$['a$b'][0]", '$.a[?(@=="$")]'])
def test_dollar_in_text_is_allowed(jsonpath):
    assert expression(jsonpath, below_root=True) == jsonpath[1:].encode()


def test_refusal_shows_little_of_a_long_path():
    with pytest.raises(ValueRangeError) as refused:
        expression("$." + "x" * 60_000 + "\u0100", below_root=False)

    assert len(str(refused.value)) < 500


DOCUMENT = {"a": [1, 2, {"b": 3, "c": None}], "$a": 5, "é'\"": {"b": [4]}}


@pytest.mark.parametrize(
    ("jsonpath", "matches"),
    [
        ("$", [DOCUMENT]),
        ("$.a[0]", [1]),
        ("$..b", [3, [4]]),
        ("$.a[*].b", [3]),
        ("$.a[?(@.b==3)]", [{"b": 3, "c": None}]),
        ("$.a[-1:].c", [None]),
        ("$.missing", []),
        (f"$.a[{I64}]", []),
        ('$["$a"]', [5]),
    ],
)
def test_query_of_a_document(d, jsonpath, matches):
    d["doc"] = DOCUMENT

    assert d["doc"].query(jsonpath) == matches


@pytest.mark.parametrize(
    ("jsonpath", "matches"),
    [("$", [[1, 2, {"b": 3, "c": None}]]), ("$[1]", [2]), ("$[*].b", [3]), ("$..b", [3])],
)
def test_query_starts_at_the_place(d, jsonpath, matches):
    d["doc"] = DOCUMENT

    assert d["doc", "a"].query(jsonpath) == matches


BROKEN = ["$[", "$.", "$.a[?(", "$.a[01]", '$["a"', "$.a b", "$.a[?(@>1e999)]", "$.a[::0]", "$.a]"]


@pytest.mark.parametrize("jsonpath", BROKEN)
@pytest.mark.parametrize("path", [("doc",), ("doc", "x"), ("doc", "Ā一\U0001f600")])
def test_broken_expression_is_a_value_error(d, client, jsonpath, path):
    d["doc"] = {"x": {"a": [1]}, "Ā一\U0001f600": {"a": [1]}}

    with pytest.raises(ValueError):
        d[path].query(jsonpath)
    assert client.ping()


@given(st.text(alphabet="$.[]()?@*:,-0129ab'\"\\ é&|!=<>~", max_size=14))
def test_server_survives_every_expression(d, client, tail):
    d["doc"] = {"a": [1, 2], "b": {"a": "b"}}
    for place in (d["doc"], d["doc", "b"]):
        try:
            found = place.query("$" + tail)
        except ValueError:
            continue
        assert isinstance(found, list)
    assert client.ping()
