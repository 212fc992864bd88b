"""The tree for notebooks: nothing of what is stored becomes markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redisjson_dict import html
from redisjson_dict.layout import line
from redisjson_dict.preview import Note, Part, Start, Unseen

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "</summary></details></ul></div><iframe src='javascript:alert(1)'>",
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    "<!-- ",
    "-->",
    "<![CDATA[",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#x3c;script&#x3e;",
    "\x00<\x00script>",
    "<svg/onload=alert(1)>",
    "{{ 7*7 }} ${7*7} <%= 7*7 %>",
    "$$\\href{javascript:alert(1)}{x}$$",
    "\u202e\u2066 reversed",
    "]]>",
    "javascript:alert(1)",
    "`",
    "\ud800".encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
]
TAGS = {"div", "style", "details", "summary", "span", "b", "i"}
ATTRIBUTES = {"class", "open"}


class Reader(HTMLParser):
    """What a browser would make of a fragment: tags, attributes, text; complains of bad nesting."""

    def __init__(self, fragment: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()
        self.texts: list[str] = []
        self.inside: list[str] = []
        self.feed(fragment)
        self.close()
        assert self.inside == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(attrs)
        self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.inside.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.inside:
            self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    handle_decl = handle_pi = unknown_decl = handle_comment

    @property
    def text(self) -> str:
        return "".join(self.texts)


def places(text: str) -> list[Any]:
    """A text wherever one may stand."""
    return [
        text,
        {text: text},
        [text, [text, {text: [text]}]],
        Part("object", 2, (text,), (text,)),
        Part("object", None, (Start(text, 500),), (Part("array", 3, (), (Start(text, 500),)),)),
        Note(text),
        Unseen(text),
    ]


def check(title: str, view: Any) -> Reader:
    read = Reader(html.tree(title, view))
    assert read.tags <= TAGS
    assert {name for name, _ in read.attributes} <= ATTRIBUTES
    assert {value for name, value in read.attributes if name == "class"} <= {
        *("redisjson-dict", "rows", "leaf", "glance", "text", "number", "word")
    }
    return read


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text) -> None:
    for view in places(text):
        read = check(text, view)

        assert line(text) in read.text or text in read.text or isinstance(view, Unseen)


@given(st.text(), st.sampled_from(range(7)))
def test_any_text_stays_text(text, number) -> None:
    check(text, places(text)[number])


def test_style_is_fixed_and_fetches_nothing() -> None:
    fragment = html.tree("t", {"a": 1})
    style = re.findall(r"<style>(.*?)</style>", fragment, re.DOTALL)

    assert len(style) == 1
    assert not re.search(r"url|@import|expression|javascript|</|position", style[0])
    assert all(
        rule.strip().startswith(".redisjson-dict") for rule in re.findall(r"([^{}]+)\{", style[0])
    )


def test_tree_shows_everything_that_is_shown() -> None:
    view = {
        "number": 1.5,
        "flag": True,
        "nothing": None,
        "empty": {},
        "list": [1, [2, "three"]],
        "cut": Part("array", 9, (), (7, 8)),
        "closed": Part("object", 5000, (), ()),
        "long": Start("abc", 700),
        "hidden": Unseen("array"),
    }
    text = check("JSONObject document 'x' at $", view).text

    for shown in (
        *("JSONObject document 'x' at $", "9 members", "'number': 1.5", "'flag': True"),
        *("'nothing': None", "'empty': {}", "'three'", "0: 7", "... 7 more", "5000 members"),
        *("'abc'... 700 bytes", "'hidden': [...]", "[1, [2, 'three']]"),
    ):
        assert shown in text


def test_only_the_top_is_unfolded() -> None:
    fragment = html.tree("t", {"a": {"b": {"c": 1}}})

    assert fragment.count("<details open>") == 1
    assert fragment.count("<details>") == 2


def test_glance_is_short() -> None:
    glances = re.findall(r'"glance">(.*?)</span>', html.tree("t", [["x" * 200] * 50, [1]]))

    assert glances[1] == "[1]"
    assert glances[0].endswith(" ...")
    assert len(glances[0].replace("&#x27;", "'")) == 60
