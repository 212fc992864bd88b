"""What is shown of a value, as text: on one line as `repr` writes it, or laid out on several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from redisjson_dict.preview import Note, Part, Start, Unseen, View

__all__ = ["Branch", "block", "branch", "items", "line", "marked", "names", "values"]

_BRACKETS = {"object": "{}", "array": "[]"}
_CHILDREN = {"object": "members", "array": "elements"}
_UNSEARCHED = "not searched to the end; len(d) counts"


class Branch(NamedTuple):
    """A container as its renderers meet it, complete or not.

    Attributes:
        kind: ``"object"`` or ``"array"``.
        size: how many children there are, in words.
        rows: what is shown: name, or None in an array, and value.
        rest: how many are not shown, in words; ``""``: none.
    """

    kind: str
    size: str
    rows: list[tuple[Any, View]]
    rest: str

    @property
    def brackets(self) -> str:
        """The two characters around it."""
        return _BRACKETS[self.kind]


def branch(view: View) -> Branch | None:
    """Return a container that is shown, None for anything else."""
    if isinstance(view, dict):
        return _branch("object", len(view), list(view.items()))
    if isinstance(view, list):
        return _branch("array", len(view), [(None, value) for value in view])
    if not isinstance(view, Part):
        return None
    labels = view.names or (None,) * len(view.values)
    rows = list(zip(labels, view.values, strict=True))
    if not view.searched:
        return Branch(
            view.kind, f"{len(rows)} {_noun(view.kind, len(rows))} found", rows, _UNSEARCHED
        )
    return _branch(view.kind, view.size, rows)


def _branch(kind: str, count: int | None, rows: list[tuple[Any, View]]) -> Branch:
    noun = _noun(kind, count)
    if count is None:
        size = f"more than {len(rows)} {noun}" if rows else f"some {noun}"
        return Branch(kind, size, rows, "more")
    missing = count - len(rows)
    rest = f"{missing} {'more' if rows else noun}" if missing else ""
    return Branch(kind, f"{count} {noun}", rows, rest)


def _noun(kind: str, count: int | None) -> str:
    return _CHILDREN[kind] if count != 1 else _CHILDREN[kind][:-1]


def line(view: View) -> str:
    """Return what is shown, on one line: as `repr` writes plain data, cuts marked with ``...``."""
    found = branch(view)
    return _leaf(view) if found is None else _flat(found, _cut(found))


def names(view: View) -> str:
    """Return the names of an object as a list."""
    return _listed(view, lambda name, _: line(name))


def values(view: View) -> str:
    """Return the values of an object as a list."""
    return _listed(view, lambda _, value: line(value))


def items(view: View) -> str:
    """Return the members of an object as a list of pairs."""
    return _listed(view, lambda name, value: f"({line(name)}, {line(value)})")


def block(view: View, width: int = 79, indent: int = 0, label: str = "") -> str:
    """Return what is shown, broken into lines where one is not enough.

    Args:
        view: what is shown.
        width: columns, as far as values allow.
        indent: the column where the text starts.
        label: what stands in front of it.
    """
    found = branch(view)
    flat = label + (_leaf(view) if found is None else _flat(found, _rest(found)))
    if found is None or indent + len(flat) <= width or not found.rows:
        return flat
    if found.kind == "array" and not any(branch(value) for _, value in found.rows):
        lines = list(_filled(_children(found) + _rest(found), width - indent - 1, len(label)))
    else:
        lines = [block(value, width, indent + 1, _label(name)) for name, value in found.rows]
        lines += _rest(found)
        lines = [text + "," for text in lines[:-1]] + lines[-1:]
    return label + _enclosed(found.brackets, ["\n".ljust(indent + 2).join(lines)])


def marked(view: View) -> Any:
    """Return plain data with objects in the place of cuts, whose `repr` says what is missing."""
    found = branch(view)
    if found is None:
        plain = view is None or isinstance(view, (str, int, float))
        return view if plain else Note(_leaf(view))
    if found.kind == "array":
        return [*(marked(value) for _, value in found.rows), *map(Note, _rest(found))]
    shown = {marked(name): marked(value) for name, value in found.rows}
    return shown | ({Note("..."): Note(found.rest)} if found.rest else {})


def _listed(view: View, shown: Callable[[Any, View], str]) -> str:
    if isinstance(view, Note):
        return view.text
    found = branch(view) or Branch("object", "", [], _UNSEARCHED)
    return _enclosed("[]", [shown(name, value) for name, value in found.rows] + _cut(found))


def _leaf(view: View) -> str:
    if isinstance(view, Start):
        start = f"{view.text!r}..." if view.text else "..."
        return f"{start} {view.size} bytes"
    if isinstance(view, Unseen):
        inside = _BRACKETS.get(view.kind, "")
        return "...".join(inside) if inside else "..."
    return view.text if isinstance(view, Note) else repr(view)


def _flat(found: Branch, rest: list[str]) -> str:
    return _enclosed(found.brackets, _children(found) + rest)


def _children(found: Branch) -> list[str]:
    return [_label(name) + line(value) for name, value in found.rows]


def _rest(found: Branch) -> list[str]:
    return [f"... {found.rest}"] if found.rest else []


def _cut(found: Branch) -> list[str]:
    """Return the same where there is one line only, as in `repr`."""
    return ["..."] if found.rest == _UNSEARCHED else _rest(found)


def _label(name: Any) -> str:
    return "" if name is None else f"{line(name)}: "


def _enclosed(brackets: str, texts: list[str]) -> str:
    return f"{brackets[0]}{', '.join(texts)}{brackets[1]}"


def _filled(texts: list[str], width: int, taken: int) -> Iterator[str]:
    """Fill lines with short texts, a comma after each but the last; the first is shorter."""
    current, room = "", width - taken
    for number, text in enumerate(texts, 1):
        piece = text + ("," if number < len(texts) else "")
        if current and len(current) + 1 + len(piece) > room:
            yield current
            current, room = piece, width
        else:
            current = f"{current} {piece}" if current else piece
    yield current
