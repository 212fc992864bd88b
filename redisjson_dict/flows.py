"""What to ask, in which order, until a verb has its result: generators that wait for nothing.

They yield what is to be sent and are sent the answers, so that blocking and awaiting differ in
nothing but how they wait; see `execute`, which drives them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from redis.exceptions import NoScriptError, ResponseError

from redisjson_dict.exchange import REDIRECTIONS
from redisjson_dict.operations import UNDONE, Flow, Operation, Verb
from redisjson_dict.refusals import FAILURES, Asking, failed
from redisjson_dict.replies import Refusal, Reply

__all__ = ["all_settled", "perform", "run", "settled", "slowly", "with_sources"]

T = TypeVar("T")

_NOT_EXECUTED = (*REDIRECTIONS, NoScriptError)


def with_sources(operations: list[Operation[Any]]) -> list[tuple[Any, ...]]:
    """Return the commands of operations that go out together.

    Each script carries its source at its first use: a server that does not know it would skip
    that command and go on with the next.
    """
    known = set()
    commands = []
    for operation in operations:
        if operation.script is not None and operation.script.name not in known:
            known.add(operation.script.name)
            operation = operation.with_source()
        commands.append(operation.command)
    return commands


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


def settled(
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
            results.append((yield from settled(operation, reply, slowly)))
        except Exception as error:
            errors.append(error)
    if errors and operations[0].writes:
        errors[0].add_note(f"{len(results)} of {len(operations)} commands sent together were done")
    if errors:
        raise errors[0]
    return results


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
