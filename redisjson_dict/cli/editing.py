"""Commands on one document, or on a place inside one: read, store, remove, add, time to live."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, TypeVarTuple

import typer

from redisjson_dict.cli.console import Code, Problem, agree, print_json, print_line
from redisjson_dict.cli.jsonl import parse, reason
from redisjson_dict.cli.session import Session
from redisjson_dict.cli.steps import Key, Path, path_text, place_of, resolve
from redisjson_dict.cli.storing import create, replace
from redisjson_dict.codec import encode
from redisjson_dict.errors import RedisJSONDictError, UnsupportedValueError, ValueRangeError
from redisjson_dict.expiry import milliseconds
from redisjson_dict.jsonpath import expression
from redisjson_dict.location import Step

__all__ = ["append", "delete", "get", "incr", "put", "query", "ttl"]

_Given = TypeVarTuple("_Given")
_Result = TypeVar("_Result")

PathAndValue = Annotated[
    list[str],
    typer.Argument(
        metavar="[PATH]... JSON",
        help="Names and indices, then the value as JSON; - reads it from standard input.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def get(
    session: Session,
    key: Key,
    path: Path = None,
    compact: Annotated[bool, typer.Option("--compact", help="On one line.")] = False,
) -> None:
    """Print a document, or what is at a place inside it, as JSON."""
    value = place_of(session, key, path).to_python()
    print_json(value, indented=not (compact or session.as_json))


def put(
    session: Session,
    key: Key,
    path_and_value: PathAndValue,
    ttl: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", help="Seconds that the document lives; else it is permanent."
        ),
    ] = None,
    yes: Yes = False,
) -> None:
    """Store JSON as a document, or at a place inside one. Replacing a whole document asks."""
    *path, text = path_and_value
    value = _value(text)
    if path:
        if ttl is not None:
            raise Problem("--ttl is for whole documents: a place inside has none", Code.USAGE)
        place_of(session, key, path).set(value)
    else:
        _put_document(session, key, value, ttl, yes)
    if session.as_json:
        print_json({"stored": key, "path": path})


def delete(session: Session, key: Key, path: Path = None, yes: Yes = False) -> None:
    """Remove a document, or what is at a place inside one. Asks first."""
    steps = resolve(session, key, path)
    place = session.documents.at(key, *steps)
    kind = place.kind()
    agree(f"Remove {_described(key, steps)} ({kind})?", yes)
    place.delete()
    if session.as_json:
        print_json({"removed": key, "path": [*steps]})


def append(
    session: Session,
    key: Key,
    path_and_value: PathAndValue,
    maxlen: Annotated[
        int | None,
        typer.Option(metavar="N", help="Keep only so many elements, the last.", min=0),
    ] = None,
) -> None:
    """Add an element at the end of an array."""
    *path, text = path_and_value
    value = _value(text)
    place_of(session, key, path).append(value, maxlen)
    if session.as_json:
        print_json({"appended": key, "path": path})


def incr(
    session: Session,
    key: Key,
    path: Path = None,
    by: Annotated[
        str, typer.Option(metavar="NUMBER", help="What to add, an integer or a float.")
    ] = "1",
) -> None:
    """Add to a number and print the new one; where nothing is, it starts from 0."""
    try:
        amount = parse(by.encode())
    except (ValueError, RecursionError) as error:
        raise Problem(f"--by is a number, not {by!r}", Code.USAGE) from error
    if isinstance(amount, bool) or not isinstance(amount, (int, float)):
        raise Problem(f"--by is a number, not {by}", Code.USAGE)
    _check(encode, amount)
    print_json(session.documents.incr((key, *resolve(session, key, path)), amount))


def ttl(
    session: Session,
    key: Key,
    seconds: Annotated[
        float | None,
        typer.Argument(
            metavar="SECONDS", help="How long it lives from now on.", show_default=False
        ),
    ] = None,
    persist: Annotated[bool, typer.Option("--persist", help="Make it permanent.")] = False,
) -> None:
    """Show, set or end a document's time to live."""
    if persist and seconds is not None:
        raise Problem("either seconds or --persist, not both", Code.USAGE)
    left: float | None
    if persist:
        session.documents.persist(key)
        left = None
    elif seconds is not None:
        left = _check(milliseconds, seconds) / 1000
        session.documents.expire(key, left)
    else:
        left = session.documents.ttl(key)
    if session.as_json:
        print_json({"key": key, "ttl": left})
    else:
        print_line("permanent" if left is None else f"{left:.3f}")


def query(
    session: Session,
    key: Key,
    jsonpath: Annotated[
        str, typer.Argument(metavar="JSONPATH", help="As '$..price'; $ is the document.")
    ],
) -> None:
    """Print all values that a JSONPath matches, one on a line."""
    _check(expression, jsonpath, False)
    try:
        found = session.documents.at(key).query(jsonpath)
    except RedisJSONDictError:
        raise
    except ValueError as error:  # the server does not understand it
        raise Problem(str(error), Code.USAGE) from error
    for value in found:
        print_json(value)


def _put_document(session: Session, key: str, value: Any, ttl: float | None, yes: bool) -> None:
    lifetime = None if ttl is None else _check(milliseconds, ttl)
    if session.run(create(session, key, value, lifetime)):
        return
    agree(f"Replace the document {key!r}, which exists?", yes)
    session.run(replace(session, key, value, lifetime))


def _described(key: str, steps: tuple[Step, ...]) -> str:
    return f"the document {key!r}" if not steps else f"{path_text(steps)} of document {key!r}"


def _value(text: str) -> Any:
    """Return a value given on the command line.

    Raises:
        Problem: it is not JSON, or cannot be stored.
    """
    source = "standard input" if text == "-" else "the value"
    content = sys.stdin.buffer.read() if text == "-" else text.encode()
    if not content.strip():
        raise Problem(f"{source} is empty, which is no JSON: an empty text is '\"\"'", Code.USAGE)
    try:
        value = parse(content)
    except (ValueError, RecursionError) as error:
        raise Problem(
            f"{source} is not JSON: {reason(error)}{_remedy(text)}", Code.USAGE
        ) from error
    _check(encode, value)
    return value


def _remedy(text: str) -> str:
    """Return how a word, or a text in single quotes, is written as JSON."""
    if len(text) > 1 and text[0] == text[-1] == "'" and text[1:-1].isprintable():
        text = text[1:-1]
    elif not text.isalpha():
        return ""
    if "'" in text or '"' in text or "\\" in text:
        return "; text needs double quotes"
    return f"; text needs quotes of its own: '\"{text}\"'"


def _check(check: Callable[[*_Given], _Result], *given: *_Given) -> _Result:
    """Return what a check of an argument returns.

    Raises:
        Problem: the argument itself is wrong, whatever the server has.
    """
    try:
        return check(*given)
    except (UnsupportedValueError, ValueRangeError) as error:
        raise Problem(str(error), Code.USAGE) from error
