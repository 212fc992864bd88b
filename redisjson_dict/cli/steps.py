"""Paths on the command line: one argument for each step.

A step that is spelled as an integer is an index where an array is found, a member's name anywhere
else. What is there is asked for such steps only.
"""

from __future__ import annotations

import re
from typing import Annotated

import typer

from redisjson_dict.cli.session import Session
from redisjson_dict.location import Step
from redisjson_dict.references import Reference

__all__ = ["Key", "Path", "path_text", "place_of", "resolve"]

Key = Annotated[str, typer.Argument(metavar="KEY", help="The document's key, without the prefix.")]
Path = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PATH",
        help="Names and indices inside it, one argument each; after -- if one starts with a dash.",
        show_default=False,
    ),
]

_INDEX = re.compile(r"0|-?[1-9][0-9]*", re.ASCII)


def place_of(session: Session, key: str, words: list[str] | None) -> Reference:
    """Return a reference to what a key and the words after it denote."""
    return session.documents.at(key, *resolve(session, key, words))


def resolve(session: Session, key: str, words: list[str] | None) -> tuple[Step, ...]:
    """Return the steps that words denote. Cost: a round trip for each that looks like an index."""
    steps: list[Step] = []
    for word in words or ():
        steps.append(int(word) if _is_index(session, key, steps, word) else word)
    return tuple(steps)


def path_text(steps: tuple[Step, ...]) -> str:
    """Return a path for a person."""
    return "".join(f"[{step!r}]" for step in steps)


def _is_index(session: Session, key: str, above: list[Step], word: str) -> bool:
    if not _INDEX.fullmatch(word):
        return False
    try:
        return bool(session.documents.at(key, *above).kind() == "array")
    except (KeyError, IndexError, TypeError):  # whoever uses the path says what is wrong with it
        return False
