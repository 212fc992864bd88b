"""Why the server did nothing: asked when a verb has failed, so that the error can say it.

Generators, as in `execute`, which runs them: they yield what is to be asked.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

from redis.exceptions import NoPermissionError, ResponseError

from redisjson_dict.errors import JSONModuleMissingError
from redisjson_dict.keyspace import Keyspace
from redisjson_dict.location import Location
from redisjson_dict.operations import MISSING, UNDONE, Operation, explain
from redisjson_dict.queue import name_of
from redisjson_dict.replies import Refusal, Reply, as_text, has_json
from redisjson_dict.scripts import script

__all__ = ["failed", "json_probe", "unscanned", "where"]

T = TypeVar("T")
Asking = Generator[Operation[Any], Any, T]


def failed(operation: Operation[T], error: Refusal | ResponseError) -> Asking[T]:
    """Find out why the server did nothing, and raise the error that says so.

    Returns:
        What stands for the result; `UNDONE` where the user may not run a command that there is
        another way for.
    """
    if isinstance(error, ResponseError) and type(error) is not ResponseError:
        return _named(operation, error)
    said = error if isinstance(error, ResponseError) else None
    reason: Exception = error
    if said is None or operation.script is None:  # a script says itself what is absent
        try:
            reason = yield from explain(operation, said)
        except ResponseError as again:
            reason = again
    if isinstance(reason, (Refusal, ResponseError)):
        reason = yield from _refused(operation, reason)
    if operation.otherwise is not MISSING and isinstance(reason, operation.absent):
        otherwise: T = operation.otherwise
        return otherwise
    if reason is said:
        raise reason
    raise reason from said


def _named(operation: Operation[T], error: ResponseError) -> T:
    """Raise an error that redis-py has a name for, unless there is a way around it."""
    if isinstance(error, NoPermissionError):
        if operation.script is None and operation.fallback is not None:
            undone: T = UNDONE
            return undone
        error.add_note(where(operation))
    raise error


def _refused(operation: Operation[Any], reason: Refusal | ResponseError) -> Asking[Exception]:
    """Tell a server without JSON commands, and a user without rights, from everything else."""
    at = operation.at
    try:
        yield Operation(at, ("JSON.TYPE", at.key, "$"), _raw, resend=True)
    except ResponseError as plainly:
        if type(plainly) is not ResponseError:
            plainly.add_note(where(operation))
            return plainly
        if not has_json((yield Operation(at, ("HELLO",), _raw))):
            return JSONModuleMissingError(
                f"the server has no JSON commands ({plainly}); they come with Redis 8, Redis "
                "Stack, or the RedisJSON module: docker compose up, or redisjson_dict.server"
            )
    refusal = ResponseError(reason.words) if isinstance(reason, Refusal) else reason
    refusal.add_note(where(operation))
    if operation.script is not None:
        try:
            denied = yield _denials(operation)
        except ResponseError:  # not even this may be asked
            denied = []
        if denied:
            refusal.add_note(f"this user may not run there: {', '.join(denied)}")
    return refusal


def _denials(operation: Operation[Any]) -> Operation[list[str]]:
    """Return an operation that tells which commands of a script the user may not run there."""
    assert operation.script is not None
    source = script("rights")
    command = ("EVALSHA", source.sha, 1, operation.at.key, *operation.script.commands)
    return Operation(operation.at, command, _names, resend=True, script=source)


def _names(_: Location, reply: Reply) -> list[str]:
    return [as_text(name) for name in reply]


def where(operation: Operation[Any]) -> str:
    """Return which operation it was, and on which key, in words."""
    at = operation.at
    return f"in {name_of(operation)} on the Redis key {at.key!r}, {at.describe()}"


def json_probe(space: Keyspace) -> Operation[Any]:
    """Return a read that fails on a server without JSON commands."""
    at = space.document("")  # the prefix is a key that a user of these documents may ask for
    return Operation(at, ("JSON.TYPE", at.key, b"$"), _raw, resend=True)


def unscanned(space: Keyspace, error: ResponseError) -> Asking[None]:
    """Find out why SCAN was refused; return if there is nothing to add to what the server said."""
    error.add_note(f"in SCAN for the Redis keys {space.pattern!r}")
    if not isinstance(error, NoPermissionError):  # Valkey does not know the type without JSON
        yield json_probe(space)


def _raw(_: Location, reply: Reply) -> Reply:
    return reply
