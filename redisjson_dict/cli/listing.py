"""`ls`: the documents under the prefix, with their kind, size and time to live."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any, NamedTuple

import typer

from redisjson_dict.cli.console import on_terminal, print_json, print_rows, quoted, size_of
from redisjson_dict.cli.session import Session

__all__ = ["Listed", "listed", "ls"]

_PAGE = 500  # documents asked about in one round trip
_WIDTHS = (7, -9, -11)
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"))


class Listed(NamedTuple):
    """A document as `ls` shows it.

    Attributes:
        key: without the prefix.
        redis_key: with it, as the server has it.
        kind: of its root, as JSON.TYPE names it.
        size: bytes in memory; None where this user may not ask.
        ttl: milliseconds left; None: permanent.
    """

    key: str
    redis_key: bytes
    kind: str
    size: int | None
    ttl: int | None


def ls(
    session: Session,
    size: Annotated[
        bool, typer.Option("--size/--no-size", help="Without sizes the server has less to do.")
    ] = True,
) -> None:
    """List the documents: kind, bytes in memory, time to live, key. In no order, as they come."""
    session.all_nodes()
    if on_terminal(sys.stdout) and not session.as_json:
        print_rows([("TYPE", "SIZE", "TTL", "KEY")], _WIDTHS)
    for page in listed(session, sizes=size):
        if session.as_json:
            for one in page:
                ttl = None if one.ttl is None else one.ttl / 1000
                print_json({"key": one.key, "type": one.kind, "size": one.size, "ttl": ttl})
        else:
            print_rows([_row(one) for one in page], _WIDTHS)
        sys.stdout.flush()


def listed(session: Session, *, sizes: bool) -> Iterator[list[Listed]]:
    """Walk the documents, a page for each round trip."""
    names = iter(session.documents)
    commands: list[tuple[Any, ...]] = [("JSON.TYPE", None, "$"), ("PTTL", None)]
    if sizes:
        commands.append(("MEMORY", "USAGE", None))
    while page := list(islice(names, _PAGE)):
        keys = session.space.keys(page)
        answers = session.ask(keys, *commands)
        rows = map(_listed, page, keys, answers)
        yield [row for row in rows if row is not None]


def _listed(name: str, key: bytes, answers: list[Any]) -> Listed | None:
    """Return a row; None for a document that has gone meanwhile."""
    kind, left, *size = answers
    while isinstance(kind, list):  # RESP 3 nests it deeper
        kind = kind[0] if kind else None
    if not isinstance(kind, bytes):
        return None
    ttl = left if isinstance(left, int) and left >= 0 else None
    memory = size[0] if size and isinstance(size[0], int) else None
    return Listed(name, key, kind.decode(), memory, ttl)


def _row(one: Listed) -> tuple[str, ...]:
    return one.kind, size_of(one.size), _left(one.ttl), quoted(one.key)


def _left(milliseconds: int | None) -> str:
    """Return a time for people, in its two largest units."""
    if milliseconds is None:
        return "-"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f}s"
    for number, (unit, name) in enumerate(_UNITS):
        if seconds >= unit:
            smaller, letter = [*_UNITS, (1, "s")][number + 1]
            return f"{seconds // unit:.0f}{name} {seconds % unit // smaller:.0f}{letter}"
    return ""
