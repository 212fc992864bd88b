"""What to ask, in which order, until a verb has its result: generators that wait for nothing.

They yield what is to be sent and are sent the answers, so that blocking and awaiting differ in
nothing but how they wait; see `execute`, which drives them.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any, TypeVar

from redis.exceptions import NoScriptError, ResponseError

from redisjson_dict.errors import NotReplicatedError, PipelineError
from redisjson_dict.exchange import REDIRECTIONS
from redisjson_dict.operations import UNDONE, Flow, Operation, Verb
from redisjson_dict.queue import Bundle, Entry, Queue, batch_error, confirm, name_of
from redisjson_dict.refusals import FAILURES, Asking, failed, where
from redisjson_dict.replies import Refusal, Reply

__all__ = ["all_settled", "check_multi", "perform", "run", "settling", "slowly", "transacted"]

T = TypeVar("T")

_NOT_EXECUTED = (*REDIRECTIONS, NoScriptError)


def perform(verb: Verb[T]) -> Asking[T]:
    """Run a verb to its end, whatever it takes."""
    if isinstance(verb, Flow):
        return (yield from run(verb))
    try:
        result: T = yield verb
    except FAILURES as error:
        result = yield from failed(verb, error)
    if result is UNDONE:
        return (yield from slowly(verb))
    return result


def _settled(
    operation: Operation[T],
    reply: Reply,
    undone: Callable[[Operation[T]], Asking[T]],
) -> Asking[T]:
    """Return what a reply that came with others means; what a node refused goes again by itself.

    Args:
        operation: what was sent.
        reply: what came back.
        undone: goes on when the operation's script has left it to the caller.
    """
    if isinstance(reply, _NOT_EXECUTED):
        return (yield from perform(operation))
    try:
        if isinstance(reply, Exception):
            raise reply
        result = operation.result(reply)
    except (Refusal, ResponseError) as error:
        result = yield from failed(operation, error, tries=0)
    if result is UNDONE:
        return (yield from undone(operation))
    return result


def all_settled(operations: list[Operation[Any]], replies: list[Reply]) -> Asking[list[Any]]:
    """Return what replies that came together mean; the first error is raised when all are known."""
    results, errors = [], []
    for operation, reply in zip(operations, replies, strict=True):
        try:
            results.append((yield from _settled(operation, reply, slowly)))
        except Exception as error:
            errors.append(error)
    if errors and operations[0].writes:
        errors[0].add_note(f"{len(results)} of {len(operations)} commands sent together were done")
    if errors:
        raise errors[0]
    return results


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
                confirm(queue, replies[replicated:])
            except NotReplicatedError as missing:
                error.add_note(f"besides, of what was applied: {missing}")
            raise
        confirm(queue, replies[replicated:])
    else:
        for (operation, _), reply in zip(bundles, queued, strict=True):
            if isinstance(reply, Exception):
                raise _refused_batch(operation, reply)
        raise _refused_batch(bundles[0][0], done)


def _refused_batch(operation: Operation[Any], reason: Exception) -> PipelineError:
    reason.add_note(where(operation))
    place = operation.at.describe()
    error = PipelineError(
        f"the batch was refused, nothing was applied: {name_of(operation)} at {place}: "
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
        raise batch_error(queue, wrong, without)


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
        pending.resolve((yield from _settled(operation, reply, _too_much)))
    except Exception as error:
        pending.fail(error)
        return [(operation, error)]
    return []


def _broken(
    bundle: Operation[Any], entries: list[Entry], reply: Exception
) -> Asking[list[tuple[Operation[Any], Exception]]]:
    """Break the promises of a bundle that was refused as one, for one reason."""
    try:
        yield from _settled(bundle, reply, _too_much)
    except Exception as error:
        for _, pending in entries:
            pending.fail(error)
        return [(operation, error) for operation, _ in entries]
    return []


def _too_much(operation: Operation[T]) -> Asking[T]:
    """Complain of an operation in a batch that its script has left to the caller."""
    yield from ()
    raise PipelineError(
        f"{name_of(operation)} at {operation.at.describe()} is too much for one step: nothing was "
        "changed by it; do it outside of a batch"
    )


def slowly(operation: Operation[T]) -> Asking[T]:
    """Go the way that an operation's script has left to the caller."""
    if operation.fallback is None:
        raise RuntimeError(f"{operation.command[0]} was left undone and has no other way")
    return (yield from run(operation.fallback))


def run(flow: Flow[T]) -> Asking[T]:
    """Run the operations of a flow, each to its end."""
    steps = flow.start()
    try:
        item: Any = next(steps)
        while True:
            try:
                if isinstance(item, (Operation, Flow)):
                    answer: Any = yield from perform(item)
                else:
                    answer = yield item
            except Exception as error:
                item = steps.throw(error)
            else:
                item = steps.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result
