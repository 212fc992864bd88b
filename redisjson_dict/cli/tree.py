"""`tree`: what is in a document, without fetching it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from redisjson_dict.cli.console import Problem, print_json, print_line, quoted, size_of
from redisjson_dict.cli.outline import CUT, Branch, outline
from redisjson_dict.cli.session import Session
from redisjson_dict.cli.steps import Key, Path, resolve

__all__ = ["tree"]


def tree(
    session: Session,
    key: Key,
    path: Path = None,
    depth: Annotated[int, typer.Option(metavar="N", help="Levels below.", min=1, max=100)] = 3,
    width: Annotated[
        int, typer.Option(metavar="N", help="Children of each.", min=1, max=10_000)
    ] = 10,
) -> None:
    """Show the shape of a document: kinds, sizes, and the first of what it holds.

    Costs one round trip a level. Sends no more than is shown, however large the document is.
    """
    steps = resolve(session, key, path)
    place = session.place(key).descend(steps)
    if not place.writable:
        raise Problem(
            "the server cannot walk below a name with a backslash, with both kinds of quotes or "
            "with a space in front: 'redisjson-dict get' fetches what is there"
        )
    root = session.run(outline(place, steps[-1] if steps else key, depth, width))
    [[size]] = session.ask([place.key], ("MEMORY", "USAGE", None))
    size = size if isinstance(size, int) and not steps else None
    if session.as_json:
        print_json({"key": key, "path": [*steps], "bytes": size, **_shape(root)})
        return
    memory = f", {size_of(size)} in memory" if size is not None else ""
    print_line(_headline(root) + memory)
    for line in _lines(root, ""):
        print_line(line)


def _lines(branch: Branch, indent: str) -> Iterator[str]:
    children = branch.children or []
    for number, child in enumerate(children, 1):
        last = number == len(children) and not branch.more
        yield f"{indent}{'└─' if last else '├─'} {_headline(child)}"
        yield from _lines(child, indent + ("   " if last else "│  "))
    if branch.more:
        yield f"{indent}└─ ... {branch.more:,} more"


def _headline(branch: Branch) -> str:
    name = f"[{branch.step}]" if isinstance(branch.step, int) else quoted(branch.step)
    return f"{name}: {_described(branch)}"


def _described(branch: Branch) -> str:
    if not branch.kind:
        return "gone meanwhile"
    if branch.is_container:
        what = "member" if branch.kind == "object" else "element"
        if branch.count < 0:
            return branch.kind
        return f"{branch.kind} of {branch.count:,} {what}{'' if branch.count == 1 else 's'}"
    if branch.count < 0:  # below a name that the server cannot read by path
        return branch.kind
    if branch.count > CUT:
        end = '"' if branch.text.startswith('"') else ""
        return f"{branch.text}...{end} ({branch.kind}, {size_of(branch.count)})"
    return branch.text


def _shape(branch: Branch) -> dict[str, Any]:
    """Return a branch as it is written for programs."""
    shape: dict[str, Any] = {"type": branch.kind}
    if branch.is_container:
        if branch.count >= 0:
            shape["length"] = branch.count
        if branch.children is not None:
            children = [{"step": child.step, **_shape(child)} for child in branch.children]
            shape |= {"children": children, "more": branch.more}
    elif branch.count >= 0:
        shape |= {"text": branch.text, "size": branch.count}
    return shape
