"""Why the server did nothing, and what a user is told of it.

A generator here yields what is to be asked and is sent the answers; see `flows`.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

from redis.exceptions import ConnectionError, NoPermissionError, ResponseError, TimeoutError

from redisjson_dict.errors import JSONModuleMissingError, StaleLocationError
from redisjson_dict.keyspace import Keyspace
from redisjson_dict.location import Location
from redisjson_dict.operations import (
    MISSING,
    UNDONE,
    Operation,
    Pause,
    documents,
    same,
    scripted,
)
from redisjson_dict.replies import (
    OtherKind,
    Refusal,
    Reply,
    absent,
    as_text,
    has_json,
    missing,
    past,
)
from redisjson_dict.scripts import script

__all__ = ["FAILURES", "Asking", "explain", "failed", "json_probe", "unscanned", "where"]

T = TypeVar("T")

Asking = Generator[Operation[Any] | list[Operation[Any]] | Pause, Any, T]

FAILURES = (Refusal, ResponseError, ConnectionError, TimeoutError)
_STATES = frozenset(("BUSY", "MISCONF", "NOREPLICAS"))
_TRIES = 3
_ANYWAY = frozenset(("JSON.GET", "JSON.MGET", "JSON.TYPE", "JSON.DEL"))
"""What the server does not refuse for there being no document."""


def _is_state(error: Exception) -> bool:
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

    Returns:
        What stands for the result; `UNDONE` where the user may not run a command that there is
        another way for.
    """
    __tracebackhide__ = True
    if not isinstance(error, (Refusal, ResponseError)):
        error.add_note(where(operation))
        raise error  # the connection broke; what is known about the outcome was said
    plain = operation.script is None
    if plain and operation.fallback is not None and isinstance(error, NoPermissionError):
        undone: T = UNDONE
        return undone
    if _is_state(error):
        raise _untouched(operation, error)
    reason = yield from _reason(operation, error)
    again = plain and operation.resend and type(error) is ResponseError
    if reason is error and tries and again:
        try:
            result: T = yield operation
            return result
        except FAILURES as later:
            return (yield from failed(operation, later, tries - 1))
    return (yield from _told(operation, error, reason))


def _told(operation: Operation[T], error: Exception, reason: Exception) -> Asking[T]:
    """Raise what is to be said of a failure, or return what stands for the result."""
    __tracebackhide__ = True
    if isinstance(reason, (Refusal, ResponseError)):
        reason = yield from _refused(operation, reason)
    if operation.otherwise is not MISSING and isinstance(reason, operation.absent):
        otherwise: T = operation.otherwise
        return otherwise
    if reason is error:
        raise reason
    if isinstance(error, Refusal) or isinstance(reason, (LookupError, TypeError)):
        raise reason from None  # which says all, and more exactly
    raise reason from error


def _reason(operation: Operation[Any], error: Refusal | ResponseError) -> Asking[Exception]:
    """Return what is wrong with the place; the error itself, or another one, if nothing is."""
    if isinstance(error, ResponseError) and operation.script is not None:
        return error  # a script says itself what is absent
    try:
        return (yield from explain(operation, error))
    except ResponseError as again:
        return again


def _refused(operation: Operation[Any], reason: Refusal | ResponseError) -> Asking[Exception]:
    """Tell a server without JSON commands, and a user without rights, from everything else."""
    if isinstance(reason, ResponseError) and _is_state(reason):
        return _untouched(operation, reason)
    at = operation.at
    try:
        yield Operation(at, ("JSON.TYPE", at.key, "$"), same, resend=True)
    except ResponseError as plainly:
        if _is_state(plainly):
            return _untouched(operation, plainly)
        if not has_json((yield Operation(at, ("HELLO",), same))):
            return JSONModuleMissingError(
                f"the server has no JSON commands ({plainly}); they come with Redis 8, Redis "
                "Stack, or the RedisJSON module: docker compose up, or redisjson_dict.server"
            )
    refusal = ResponseError(reason.words) if isinstance(reason, Refusal) else reason
    refusal.add_note(where(operation))
    if operation.script is not None:
        yield from _add_denials(operation, refusal)
    return refusal


def _untouched(operation: Operation[Any], error: Exception) -> Exception:
    error.add_note(f"{where(operation)}; it was refused, so nothing was changed by it")
    return error


def _add_denials(operation: Operation[Any], refusal: Exception) -> Asking[None]:
    """Name the commands of a script that the user may not run."""
    try:
        denied = yield _denials(operation)
    except ResponseError:  # not even this may be asked
        return
    if denied:
        refusal.add_note(
            f"this user may not run there: {', '.join(denied)}; nothing was changed by it"
        )


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
    return f"in {operation.name} on the Redis key {at.key!r}, {at.describe()}"


def json_probe(space: Keyspace) -> Operation[Any]:
    """Return a read that fails on a server without JSON commands."""
    # The prefix itself is a key that a user of these documents may ask for, whatever it holds.
    return documents.contains(space.document(""))


def unscanned(space: Keyspace, error: ResponseError) -> Asking[None]:
    """Find out why SCAN was refused; return if there is nothing to add to what the server said."""
    wanted = f"in SCAN for the Redis keys {space.pattern!r}"
    error.add_note(f"{wanted}; it was refused, so nothing was changed by it")
    if not _is_state(error):  # Valkey does not know the type without JSON
        probe = json_probe(space)
        try:
            yield probe
        except ResponseError as unknown:
            yield from failed(probe, unknown)


def explain(
    operation: Operation[Any], error: Refusal | ResponseError
) -> Generator[Operation[Any], Any, Exception]:
    """Find out why an operation did nothing, and return the error to raise.

    Args:
        operation: what was sent.
        error: what the server said; a `Refusal` if it said nothing.
    """
    __tracebackhide__ = True
    at = operation.at
    said = None if isinstance(error, Refusal) else error
    adds = operation.command[0] == "JSON.SET" and isinstance(at.steps[-1], str)
    place = at.parent() if adds else at  # what is to be added need not be there
    probe = scripted("kind", place, lambda _, reply: as_text(reply), resend=True)
    try:
        kind = yield probe.changed(at=at)
    except Refusal as silent:
        return said if said is not None else silent
    except KeyError as reason:
        return said if said is not None and operation.command[0] in _ANYWAY else reason
    except (LookupError, TypeError) as reason:
        return reason
    wants = "object" if adds else operation.wants
    if wants and kind != wants:
        return absent(at, len(place.steps), kind, operation.wants)
    if said is not None and (operation.resend or "exist" not in str(said)):
        return said  # else "could not perform this operation on a key that doesn't exist"
    if isinstance(error, OtherKind) and operation.wants:
        return past(at, operation.wants)
    return _back_again(at, adds)


def _back_again(at: Location, adds: bool) -> Exception:
    """Return the error for a place that is there now, but was not when the command came."""
    if len(at.steps) > at.own >= 0 and not adds:
        return missing(at)
    if not at.held:
        return KeyError(at.asked_key)
    return StaleLocationError(
        f"{at.describe()} was not there at that moment; nothing was changed",
        location=at.describe(),
    )
