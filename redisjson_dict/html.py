"""What is shown of a value, as HTML: a tree that folds, of ``<details>`` alone.

No script, no other file, nothing that is not escaped. Text has the colour of the page around it,
which is mixed into every other colour: readable on light and on dark.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from redisjson_dict.layout import Branch, branch, line
from redisjson_dict.preview import Note, Start, Unseen, View

__all__ = ["tree"]

_GLANCE = 60  # characters of a folded branch that are shown beside its name

_STYLE = """<style>
.redisjson-dict { font: 13px/1.5 var(--jp-code-font-family, ui-monospace, monospace);
  max-height: 40em; overflow: auto; color: inherit; overflow-wrap: anywhere; text-align: left; }
.redisjson-dict .rows { margin-left: 0.35em; padding-left: 0.45em;
  border-left: 1px solid rgba(127, 127, 127, 0.35); }
.redisjson-dict .leaf { padding-left: 1.1em; white-space: pre-wrap; }
.redisjson-dict summary { cursor: pointer; }
.redisjson-dict i { opacity: 0.7; font-style: normal; }
.redisjson-dict b { font-weight: 600; }
.redisjson-dict details[open] > summary > .glance { display: none; }
.redisjson-dict .text { color: #c0561a; color: color-mix(in srgb, currentColor 30%, #d9641c); }
.redisjson-dict .number { color: #2f8557; color: color-mix(in srgb, currentColor 30%, #2f9d63); }
.redisjson-dict .word { color: #8a63d2; color: color-mix(in srgb, currentColor 30%, #8f62e0); }
</style>"""


def tree(title: str, view: View) -> str:
    """Return a fragment of HTML that shows a value.

    Args:
        title: what it is the value of, as plain text.
        view: what is shown.
    """
    found = branch(view)
    if found is None:
        body = _leaf(view)
    else:
        head = f"<b>{_text(title)}</b> <i>{_text(found.size)}</i>"
        body = "".join(_details(head, found, unfolded=True))
    return f'<div class="redisjson-dict">{_STYLE}{body}</div>'


def _details(head: str, found: Branch, *, unfolded: bool) -> Iterator[str]:
    yield f'<details{" open" if unfolded else ""}><summary>{head}</summary><div class="rows">'
    for number, (name, value) in enumerate(found.rows):
        yield from _row(_label(number if name is None else name), value)
    if found.rest:
        yield f'<div class="leaf"><i>... {_text(found.rest)}</i></div>'
    yield "</div></details>"


def _row(label: str, value: View) -> Iterator[str]:
    below = branch(value)
    if below is None or not (below.rows or below.rest):
        yield f'<div class="leaf">{label}: {_leaf(value)}</div>'
        return
    glance = f'<span class="glance">{_text(_shortened(line(value)))}</span>'
    head = f"{label}: {glance} <i>{_text(below.size)}</i>"
    yield from _details(head, below, unfolded=False)


def _shortened(text: str) -> str:
    return text if len(text) <= _GLANCE else f"{text[: _GLANCE - 4]} ..."


def _label(name: Any) -> str:
    return f"<i>{name}</i>" if isinstance(name, int) else f"<b>{_text(line(name))}</b>"


def _leaf(view: View) -> str:
    kind = "word"
    if isinstance(view, (Note, Unseen)):
        return f"<i>{_text(line(view))}</i>"
    if isinstance(view, (str, Start)):
        kind = "text"
    elif isinstance(view, (int, float)) and not isinstance(view, bool):
        kind = "number"
    return f'<span class="{kind}">{_text(line(view))}</span>'


def _text(text: str) -> str:
    return escape(text, quote=True)
