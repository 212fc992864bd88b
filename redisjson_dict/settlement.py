"""What comes of a batch: every promise kept or broken, and the error that tells what was applied.

Loaded when a batch is sent; its generators are driven as those of `flows`.
"""

from __future__ import annotations

from itertools import islice
from typing import Any, TypeVar

from redisjson_dict.errors import NotReplicatedError, PipelineError
from redisjson_dict.flows import settled
from redisjson_dict.loans import was_sent
from redisjson_dict.operations import UNDONE, Operation
from redisjson_dict.queue import Bundle, Entry, Queue
from redisjson_dict.refusals import Asking, where
from redisjson_dict.replies import Reply

__all__ = ["check_multi", "settling", "transacted"]

T = TypeVar("T")


def check_multi(queue: Queue, replies: list[Reply]) -> None:
    """Complain of a user who may not begin a transaction: the rest would run without it."""
    if isinstance(replies[0], Exception):
        raise _refused_batch(queue.entries[0][0], replies[0])


def transacted(queue: Queue, bundles: list[Bundle], replies: list[Reply]) -> Asking[None]:
    """Settle a transaction, or raise what kept it from being executed."""
    replicated = len(bundles) + 2
    begun, *queued, done = replies[:replicated]
    if isinstance(begun, Exception):  # a right that was withdrawn: the rest ran one by one
        yield from settling(queue, bundles, queued, begun)
    elif not isinstance(done, Exception):
        try:
            yield from settling(queue, bundles, done)
        except PipelineError as error:
            try:
                _confirm(queue, replies[replicated:])
            except NotReplicatedError as missing:
                error.add_note(f"besides, of what was applied: {missing}")
            raise
        _confirm(queue, replies[replicated:])
    else:
        for (operation, _), reply in zip(bundles, queued, strict=True):
            if isinstance(reply, Exception):
                raise _refused_batch(operation, reply)
        raise _refused_batch(bundles[0][0], done)


def _refused_batch(operation: Operation[Any], reason: Exception) -> PipelineError:
    reason.add_note(where(operation))
    place = operation.at.describe()
    error = PipelineError(
        f"the batch was refused, nothing was applied: {operation.name} at {place}: "
        f"{type(reason).__name__}: {reason} (the Redis key is {operation.at.key!r})",
        location=place,
    )
    error.__cause__ = reason
    return error


def settling(
    queue: Queue, bundles: list[Bundle], replies: list[Reply], without: Exception | None = None
) -> Asking[None]:
    """Tell every promise of a batch its result; raise if something failed.

    Args:
        queue: the batch.
        bundles: what was sent.
        replies: to that.
        without: why there was no transaction, if there was to be one.
    """
    entries = iter(queue.entries)
    wrong: list[tuple[Operation[Any], Exception]] = []
    for (operation, size), reply in zip(bundles, replies, strict=True):
        if size == 1:
            entry = next(entries)
            if not _kept_at_once(entry, reply):
                wrong += yield from _kept(entry, reply)
        elif isinstance(reply, Exception):
            wrong += yield from _broken(operation, list(islice(entries, size)), reply)
        else:
            for entry, part in zip(islice(entries, size), reply[1:], strict=True):
                if not _kept_at_once(entry, part):
                    wrong += yield from _kept(entry, part)
    if wrong or without is not None:
        raise _batch_error(queue, wrong, without)


def _kept_at_once(entry: Entry, reply: Reply) -> bool:
    """Keep a promise if all went well, without a generator's cost; return whether it did."""
    if isinstance(reply, Exception):
        return False
    operation, pending = entry
    try:
        result = operation.result(reply)
    except Exception:  # which one it is, `_kept` finds out again and tells the promise
        return False
    if result is UNDONE:
        return False
    pending.resolve(result)
    return True


def _kept(entry: Entry, reply: Reply) -> Asking[list[tuple[Operation[Any], Exception]]]:
    """Keep one promise; return what failed."""
    operation, pending = entry
    try:
        pending.resolve((yield from settled(operation, reply, _too_much)))
    except Exception as error:  # whatever it is, the promise tells it
        pending.fail(error)
        return [(operation, error)]
    return []


def _broken(
    bundle: Operation[Any], entries: list[Entry], reply: Exception
) -> Asking[list[tuple[Operation[Any], Exception]]]:
    """Break the promises of a bundle that was refused as one, for one reason."""
    try:
        yield from settled(bundle, reply, _too_much)
    except Exception as error:  # whatever it is, each promise tells it
        for _, pending in entries:
            pending.fail(error)
        return [(operation, error) for operation, _ in entries]
    return []


def _too_much(operation: Operation[T]) -> Asking[T]:
    """Complain of an operation in a batch that its script has left to the caller."""
    yield from ()
    raise PipelineError(
        f"{operation.name} at {operation.at.describe()} is too much for one step: nothing was "
        "changed by it; do it outside of a batch"
    )


def _confirm(queue: Queue, replies: list[Any]) -> None:
    """Check what WAIT replied.

    Raises:
        NotReplicatedError: fewer replicas have the batch than were asked for.
    """
    for (_, wanted, milliseconds), reply in zip(queue.wait, replies, strict=True):
        refused = isinstance(reply, Exception)
        have = 0 if refused else reply
        if have < wanted:
            why = f"WAIT was refused ({reply})" if refused else f"{have} confirmed it"
            raise NotReplicatedError(
                f"the batch was applied, but {why} within {milliseconds / 1000:g} s instead of "
                f"{wanted} replicas; it is lost if the primary fails before they have it. Do not "
                f"send it again: the replicas get it when they can (first key: {queue.key!r})",
                replicas=have,
            )


def _notes(reason: Exception) -> str:
    notes = getattr(reason, "__notes__", [])
    return f" ({'; '.join(notes)})" if notes else ""


def _batch_error(
    queue: Queue,
    failed: list[tuple[Operation[Any], Exception]],
    without: Exception | None = None,
) -> PipelineError:
    """Return the error for a batch in which some operations failed, or the transaction did."""
    total = len(queue.entries)
    unknown = sum(was_sent(error) for _, error in failed)
    if without is None:
        operation, reason = failed[0]
        what, one_by_one = f"{operation.name} at {operation.at.describe()} failed", ""
    else:
        operation, reason = queue.entries[0][0], without
        what, one_by_one = f"MULTI for {operation.at.key!r} was refused", ", one by one"
    error = PipelineError(
        f"{what}: {type(reason).__name__}: {reason}{_notes(reason)}; "
        f"{total - len(failed)} of the batch's {total} operations were applied{one_by_one}"
        f"{f', of {unknown} the outcome is unknown' if unknown else ''}",
        location=operation.at.describe(),
    )
    error.__cause__ = reason
    return error
