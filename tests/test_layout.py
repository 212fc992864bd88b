"""What is shown of a value, as text: plain data as `repr` writes it, cuts marked."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redisjson_dict import layout
from redisjson_dict.preview import Note, Part, Start, Unseen

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda below: (
        st.lists(below, max_size=8) | st.dictionaries(st.text(max_size=9), below, max_size=8)
    ),
    max_leaves=25,
)

CUTS: list[tuple[Any, str]] = [
    (Part("array", 5, (), (1, [2])), "[1, [2], ... 3 more]"),
    (Part("array", 1, (), ()), "[... 1 element]"),
    (Part("array", 7, (), ()), "[... 7 elements]"),
    (Part("object", 2, ("a",), (1,)), "{'a': 1, ... 1 more}"),
    (Part("object", 1, (), ()), "{... 1 member}"),
    (Part("object", None, ("a",), (1,)), "{'a': 1, ... more}"),
    (Part("object", None, (), ()), "{... more}"),
    (Part("object", 1, (Start("ab", 500),), (1,)), "{'ab'... 500 bytes: 1}"),
    ({"a": Part("object", 1, (), ())}, "{'a': {... 1 member}}"),
    ([Start("it's", 999)], '["it\'s"... 999 bytes]'),
    ([Start("", 999)], "[... 999 bytes]"),
    (Unseen("object"), "{...}"),
    (Unseen("array"), "[...]"),
    (Unseen("string"), "..."),
    (Unseen("null"), "..."),
    (Note("<gone>"), "<gone>"),
]


@given(plain)
def test_line_of_plain_data_is_its_repr(value) -> None:
    assert layout.line(value) == repr(value)


@given(plain, st.integers(1, 100))
def test_block_of_plain_data_reads_as_it(value, width) -> None:
    text = layout.block(value, width)

    assert repr(ast.literal_eval(text)) == repr(value)
    assert "\n" not in text or len(repr(value)) > width


@pytest.mark.parametrize(("view", "text"), CUTS, ids=repr)
def test_cuts_are_marked(view, text) -> None:
    assert layout.line(view) == layout.block(view) == text
    assert layout.block(view, 1).replace("\n", " ").replace("  ", " ") == text


@pytest.mark.parametrize(
    ("view", "line", "words"),
    [
        (Part("object", None, (), (), False), "{...}", "{... WORDS}"),
        (Part("object", None, ("a",), (1,), False), "{'a': 1, ...}", "{'a': 1, ... WORDS}"),
    ],
)
def test_search_that_ended_early_asserts_nothing(view, line, words) -> None:
    words = words.replace("WORDS", "not searched to the end; len(d) counts")

    assert layout.line(view) == line
    assert layout.block(view) == words
    assert layout.block(view, 20).replace("\n", "").replace(",", ", ").replace(",  ", ", ") == words
    assert repr(layout.marked(view)).replace("...: ", "... ") == words


@pytest.mark.parametrize(("view", "text"), CUTS, ids=repr)
def test_cut_is_no_python(view, text) -> None:
    """So that nobody takes a part for the whole."""
    if "..." in text and not isinstance(view, Unseen):
        with pytest.raises(SyntaxError):
            ast.literal_eval(text)


@pytest.mark.parametrize(("view", "text"), CUTS, ids=repr)
def test_marked_data_has_no_class_of_ours_but_notes(view, text) -> None:
    def classes(value: Any) -> set[type]:
        if isinstance(value, dict):
            return {dict}.union(*map(classes, [*value, *value.values()]))
        if isinstance(value, list):
            return {list}.union(*map(classes, value))
        return {type(value)}

    shown = layout.marked(view)

    assert classes(shown) <= {dict, list, int, str, Note}
    assert ("..." in repr(shown)) == ("..." in text)


def test_block_breaks_where_it_must() -> None:
    view = {"a": {"x": "y" * 30, "z": list(range(30))}, "b": Part("array", 9, (), ([1], [2]))}

    assert layout.block(view, 50) == "\n".join(
        [
            "{'a': {'x': 'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy',",
            "  'z': [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,",
            "   13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24,",
            "   25, 26, 27, 28, 29]},",
            " 'b': [[1], [2], ... 7 more]}",
        ]
    )


@pytest.mark.parametrize(
    ("view", "names", "values", "items"),
    [
        ({}, "[]", "[]", "[]"),
        ({"a": [1]}, "['a']", "[[1]]", "[('a', [1])]"),
        (
            Part("object", 3, ("a",), ([1],)),
            "['a', ... 2 more]",
            "[[1], ... 2 more]",
            "[('a', [1]), ... 2 more]",
        ),
        (Part("object", 3, (), ()), *["[... 3 members]"] * 3),
        (Unseen("object"), *["[...]"] * 3),
        (Part("object", None, (), (), False), *["[...]"] * 3),
        (
            Part("object", None, ("a",), (1,), False),
            "['a', ...]",
            "[1, ...]",
            "[('a', 1), ...]",
        ),
        (Note("<gone>"), *["<gone>"] * 3),
    ],
    ids=repr,
)
def test_views_of_what_is_shown(view, names, values, items) -> None:
    assert layout.names(view) == names
    assert layout.values(view) == values
    assert layout.items(view) == items
