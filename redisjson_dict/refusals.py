"""Why a server did nothing, and what a user is told of it.

A generator here yields what is to be asked and is sent the answers; see `execute`.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

from redis.exceptions import ConnectionError, ResponseError, TimeoutError

from redisjson_dict.errors import JSONModuleMissingError
from redisjson_dict.location import Location, Settings
from redisjson_dict.operations import MISSING, Operation, Pause, explain
from redisjson_dict.queue import name_of
from redisjson_dict.replies import Refusal, Reply, has_json

__all__ = ["FAILURES", "Asking", "failed", "is_state", "json_probe", "unscanned"]

T = TypeVar("T")

Asking = Generator[Operation[Any] | list[Operation[Any]] | Pause, Any, T]

FAILURES = (Refusal, ResponseError, ConnectionError, TimeoutError)
_STATES = frozenset(("BUSY", "MISCONF", "NOREPLICAS"))
_TRIES = 3


def is_state(error: Exception) -> bool:
    """Return whether a server refuses for what it is, or who asks, and not for what is asked.

    redis-py has a class for most of this, and leaves the code in the message for the rest.
    """
    if not isinstance(error, ResponseError):
        return False
    return type(error) is not ResponseError or str(error).partition(" ")[0] in _STATES


def failed(operation: Operation[T], error: Exception, tries: int = _TRIES) -> Asking[T]:
    """Find out why the server did nothing, and raise the error that says so.

    Args:
        operation: what was sent.
        error: what came of it.
        tries: how often a plain command may be sent again that was refused for no reason that is
            found: what the server complained of has been changed since.
    """
    if not isinstance(error, (Refusal, ResponseError)):
        error.add_note(_where(operation))
        raise error  # the connection broke; what is known about the outcome was said
    said = error if isinstance(error, ResponseError) else None
    reason = yield from _reason(operation, error)
    if reason is said and tries and operation.script is None and not is_state(reason):
        try:
            result: T = yield operation
            return result
        except FAILURES as later:
            return (yield from failed(operation, later, tries - 1))
    if isinstance(reason, (Refusal, ResponseError)):
        reason = yield from _refused(operation, reason)
    if isinstance(reason, (KeyError, IndexError)) and operation.otherwise is not MISSING:
        otherwise: T = operation.otherwise
        return otherwise
    if reason is said:
        raise reason
    raise reason from said


def _reason(operation: Operation[Any], error: Refusal | ResponseError) -> Asking[Exception]:
    """Return what is wrong with the place; the error itself, or another one, if nothing is."""
    if is_state(error):
        return error
    said = error if isinstance(error, ResponseError) else None
    if said is not None and operation.script is not None:
        return said  # a script says itself what is absent
    try:
        return (yield from explain(operation, said))
    except ResponseError as again:
        return again


def _refused(operation: Operation[Any], reason: Refusal | ResponseError) -> Asking[Exception]:
    """Tell a server without JSON commands, and a user without rights, from everything else."""
    if isinstance(reason, ResponseError) and is_state(reason):
        return _untouched(operation, reason)
    at = operation.at
    try:
        yield Operation(at, ("JSON.TYPE", at.key, "$"), _raw, resend=True)
    except ResponseError as plainly:
        if is_state(plainly):
            return _untouched(operation, plainly)
        if not has_json((yield Operation(at, ("HELLO",), _raw))):
            return JSONModuleMissingError(
                f"the server has no JSON commands ({plainly}); they come with Redis 8, Redis "
                "Stack, or the RedisJSON module: docker compose up, or redisjson_dict.server"
            )
    refusal = ResponseError(reason.words) if isinstance(reason, Refusal) else reason
    refusal.add_note(_where(operation))
    return refusal


def _untouched(operation: Operation[Any], error: ResponseError) -> ResponseError:
    error.add_note(f"{_where(operation)}; it was refused, so nothing was changed by it")
    return error


def _where(operation: Operation[Any]) -> str:
    at = operation.at
    return f"in {name_of(operation)} on the Redis key {at.key!r}, {at.describe()}"


def unscanned(error: ResponseError, pattern: bytes) -> ResponseError:
    """Return what a server said to SCAN, with a note."""
    error.add_note(
        f"in SCAN for the keys {pattern!r}; it was refused, so nothing was changed by it"
    )
    return error


def json_probe(key: bytes) -> Operation[Any]:
    """Return a read that fails on a server without JSON commands."""
    return Operation(Location("", key, Settings()), ("JSON.TYPE", key, b"$"), _raw, resend=True)


def _raw(_: Location, reply: Reply) -> Reply:
    return reply
