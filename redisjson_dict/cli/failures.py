"""What a command's user is told when something fails: one line, and an exit code."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

import redis
import typer
from redis.exceptions import (
    AuthenticationError,
    MovedError,
    NoPermissionError,
    RedisClusterException,
    RedisError,
)

from redisjson_dict.cli.console import Code, Problem
from redisjson_dict.cli.session import IN_CLUSTER
from redisjson_dict.errors import RedisJSONDictError

__all__ = ["EXPECTED", "outcome"]

# typer's own class of complaints; where it is imported from changed with its versions.
_COMPLAINT: type[Exception] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)

_CHECKED = re.compile("Input should be")
_TELLING = re.compile(", unable to parse .*|Value error, ")
_CHOICE = re.compile("'([^']*)' is not one of (.*)")
_QUOTED = re.compile("'([^']*)'")

EXPECTED: tuple[type[BaseException], ...] = (
    Problem,
    _COMPLAINT,
    typer.Abort,
    RedisError,
    RedisClusterException,
    RedisJSONDictError,
    LookupError,
    TypeError,
    ValueError,
    OSError,
    RecursionError,
    KeyboardInterrupt,
)
"""What may end a command; all that the library raises is among them."""


def outcome(error: BaseException) -> tuple[str, Code]:
    """Return what to tell of an error, which may be nothing, and what to exit with."""
    if isinstance(error, Problem):
        return str(error), error.code
    if isinstance(error.__cause__, KeyboardInterrupt):
        return "interrupted", Code.INTERRUPTED
    for kinds, describe, code in _OUTCOMES:
        if isinstance(error, kinds):
            return describe(error), code
    return _words(error), Code.ERROR


def _words(error: BaseException, notes: int = 3) -> str:
    """Return an error on one line, with the notes that say what it did."""
    text = " ".join(str(error).split()).rstrip(".")
    return "; ".join([text, *getattr(error, "__notes__", [])[:notes]])


def _not_found(error: KeyError) -> str:
    key = error.args[0] if error.args else ""
    if not isinstance(key, tuple):
        return f"not found: there is no document {key!r}"
    name, *steps = key
    path = "".join(f"[{step!r}]" for step in steps)
    return f"not found: document {name!r} has nothing at {path}"


def _usage(error: Any) -> str:
    text = _plainly(" ".join(error.format_message().split()).rstrip("."))
    if not text:  # called without arguments: the help has been shown
        return ""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "redisjson-dict"
    if str(getattr(error, "option_name", ""))[1:].isdigit():
        text += " (a step or a value that starts with a dash goes after --)"
    stop = "" if text.endswith("?") else "."
    return f"{text}{stop} Try '{command} --help'"


def _plainly(text: str) -> str:
    """Return a complaint of typer without the words of what it is made of; with what was meant."""
    text = _CHECKED.sub("it must be", _TELLING.sub("", text))
    given = _CHOICE.search(text)
    if given is None:
        return text
    close = get_close_matches(given[1], _QUOTED.findall(given[2]))
    return f"{text}. Did you mean {' or '.join(map(repr, close))}?" if close else text


def _refused(error: Exception) -> str:
    words = _words(error)
    if isinstance(error, AuthenticationError) or words.startswith(("NOAUTH", "WRONGPASS")):
        return (
            f"the server does not accept this user or password: {words}; a URL with both is "
            "redis://USER:PASSWORD@HOST:PORT, in REDIS_URL so that it is not shown"
        )
    if isinstance(error, NoPermissionError):
        return f"this user may not do that: {words}; docs/security.md says which rights are needed"
    if isinstance(error, redis.TimeoutError):
        return f"no answer from the server: {_words(error, 1)}"
    if isinstance(error, (redis.ConnectionError, RedisClusterException)):
        return (
            f"no connection to the server: {_words(error, 1)}; pass its address by --url or "
            "REDIS_URL, or start one with 'redisjson-dict serve'"
        )
    if isinstance(error, MovedError):
        return IN_CLUSTER
    return f"the server refused: {words}"


def _file(error: Any) -> str:
    return f"{error.filename or 'a file'}: {error.strerror or error}"


_Kinds = type[BaseException] | tuple[type[BaseException], ...]
_OUTCOMES: list[tuple[_Kinds, Callable[[Any], str], Code]] = [  # the first that fits
    (KeyboardInterrupt, lambda _: "interrupted", Code.INTERRUPTED),
    (typer.Abort, lambda _: "nothing was changed", Code.ERROR),
    (_COMPLAINT, _usage, Code.USAGE),
    ((RedisError, RedisClusterException), _refused, Code.ERROR),
    (KeyError, _not_found, Code.NOT_FOUND),
    (LookupError, lambda error: f"not found: {error}", Code.NOT_FOUND),
    (OSError, _file, Code.ERROR),
    (RecursionError, lambda _: "the value is nested too deep", Code.ERROR),
]
