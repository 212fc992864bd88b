"""The ways to run a verb: now, awaited, or queued for later. Only here a verb meets a client.

Theory of operation. The happy path is straight: one operation, one round trip, one decoded reply.
Everything else (a flow of several operations, a fallback, finding out why the server did nothing)
is a generator that yields what is to be sent and is sent the answers, so that blocking and
awaiting differ in nothing but how they wait: compare `Blocking` and `Awaiting` side by side.

What may be sent again after a broken connection goes by the client's own `execute_command`; what
would then be applied twice goes by `exchange`, at most once.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

from redis.exceptions import (
    ClusterError,
    ConnectionError,
    NoScriptError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

from redisjson_dict.errors import PipelineError
from redisjson_dict.exchange import (
    REDIRECTIONS,
    aexchange,
    aexchange_node,
    exchange,
    exchange_node,
    has_decoder,
    is_cluster,
    was_sent,
)
from redisjson_dict.expiry import Owner, owner
from redisjson_dict.location import Location
from redisjson_dict.operations import (
    UNDONE,
    Container,
    Flow,
    Found,
    Operation,
    Pause,
    Verb,
)
from redisjson_dict.queue import Queue, batch_error, executed, name_of, with_sources
from redisjson_dict.refusals import FAILURES, Asking, failed, is_state, json_probe, unscanned
from redisjson_dict.replies import Refusal, Reply, scanned

__all__ = ["Awaiting", "Blocking", "Shell"]

T = TypeVar("T")

_SCAN_COUNT = 10_000
_NOT_EXECUTED = (*REDIRECTIONS, NoScriptError)


class Shell:
    """What the ways to run have in common.

    Attributes:
        client: the user's own; borrowed from, never changed.
        show: makes of a `Container` what a reader gets.
        refer: makes a lazy reference to a place.
        batches: the open batch of each process, thread and task that is in one.
    """

    __slots__ = ("batches", "client", "refer", "show")

    def __init__(
        self,
        client: Any,
        show: Callable[[Any, Container], Any],
        refer: Callable[[Any, Location], Any],
    ) -> None:
        self.client = client
        self.show = show
        self.refer = refer
        self.batches: dict[Owner, Queue] = {}

    def queued(self, verb: Verb[Any]) -> bool:
        """Queue a write if the caller is in a batch; return whether it was.

        Raises:
            PipelineError: it must read first, or must return what it found.
        """
        batch = self.batches.get(owner())
        if batch is None or not verb.writes:
            return False
        batch.add(verb, answers=False)
        return True

    def refuse_in_batch(self, name: str) -> None:
        """Complain of a verb that a batch cannot do, if the caller is in one.

        Raises:
            PipelineError: the caller is in a batch.
        """
        if self.batches and owner() in self.batches:
            raise PipelineError(f"{name} must read before it writes: do it outside of the batch")

    def shown(self, result: Any) -> Any:
        """Return a result as a reader gets it."""
        if type(result) is Container:
            return self.show(self, result)
        if type(result) is Found:
            return {key: self.shown(value) for key, value in result.items()}
        return result


class Blocking(Shell):
    """Run verbs on a `redis.Redis` or `RedisCluster`, one after the other."""

    __slots__ = ()

    def __call__(self, verb: Verb[Any]) -> Any:
        """Return the result of a verb; a container that was found as what a reader gets.

        Raises:
            RedisJSONDictError, LookupError, TypeError: as `errors` says.
            redis.RedisError: connection, time-out, authentication, out of memory, read-only
                replica, refused by ACL: as redis-py names them.
        """
        if self.batches and self.queued(verb):
            return None
        if isinstance(verb, Flow):
            return self.shown(self._drive(_flow(verb)))
        try:
            result = self._ask(verb)
        except FAILURES as error:
            return self._drive(failed(verb, error))
        if result is UNDONE:
            return self.shown(self._drive(_perform_slowly(verb)))
        return self.shown(result)

    def commit(self, queue: Queue) -> None:
        """Send a batch: one write to the socket, one wait.

        Raises:
            PipelineError: something in it failed; says what, where, and what was applied.
        """
        if not queue.entries:
            return
        operations = [operation for operation, _ in queue.entries]
        if not queue.atomic:
            self._drive(_settling(queue, self._together(operations)))
            return
        commands = [("MULTI",), *with_sources(operations), ("EXEC",)]
        replies = exchange(self.client, queue.key, commands)
        self._drive(_settling(queue, executed(queue, replies)))

    def _together(self, operations: list[Operation[Any]]) -> list[Reply]:
        """Return the replies of operations sent without a transaction, one write for each node."""
        replies: list[Reply] = [None] * len(operations)
        for node, numbers in _by_node(self.client, operations).items():
            commands = with_sources([operations[number] for number in numbers])
            try:
                answers = (
                    exchange(self.client, b"", commands)
                    if node is None
                    else exchange_node(self.client, node, commands)
                )
            except (ConnectionError, TimeoutError) as error:
                if node is None:
                    raise
                answers = _once_more([operations[number] for number in numbers], error)
            for number, reply in zip(numbers, answers, strict=True):
                replies[number] = reply
        return replies

    def scan(self, pattern: bytes) -> Iterator[bytes]:
        """Walk the keys of all JSON documents that match a pattern, each once."""
        if is_cluster(self.client):
            self.client.nodes_manager.initialize()  # a node that joined would be missed
        seen: set[bytes] = set()
        for node in _nodes(self.client):
            cursor = 0
            while True:
                cursor, keys = self._page(cursor, pattern, node)
                yield from _unseen(keys, seen)
                if cursor == 0:
                    break
        if not seen:  # SCAN does not complain of a type that the server does not know
            self._drive(_perform(json_probe(pattern)))

    def _page(self, cursor: int, pattern: bytes, node: dict[str, Any]) -> tuple[int, list[bytes]]:
        try:
            return scanned(self.client.execute_command(*_scan(cursor, pattern), **node))
        except ResponseError as error:  # Valkey does complain of the type
            if is_state(error):
                raise unscanned(error, pattern) from None
            self._drive(_perform(json_probe(pattern)))
            raise

    def _drive(self, asking: Asking[T]) -> T:
        started = time.monotonic()
        try:
            item = next(asking)
            while True:
                try:
                    if isinstance(item, Pause):
                        time.sleep(random.random() * item.longest())
                        answer: Any = time.monotonic() - started
                    elif isinstance(item, list):
                        answer = self._gather(item)
                    else:
                        answer = self._ask(item)
                except Exception as error:
                    item = asking.throw(error)
                else:
                    item = asking.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result

    def _gather(self, operations: list[Operation[Any]]) -> list[Any]:
        """Run operations that do not depend on each other; on a Cluster, at once on each node."""
        if len(operations) == 1:
            return [self._drive(_perform(operations[0]))]
        return self._drive(_all_settled(operations, self._together(operations)))

    def _ask(self, operation: Operation[T]) -> T:
        try:
            reply = self._send(operation)
        except NoScriptError:
            reply = self._send(operation.with_source())
        return operation.result(reply)

    def _send(self, operation: Operation[Any]) -> Reply:
        if not operation.resend:
            return _only(exchange(self.client, operation.at.key, [operation.command]))
        if operation.script is not None:
            try:
                return self.client.execute_command(*operation.command, NEVER_DECODE=True)
            except (ClusterError, TryAgainError):  # redis-py waits for a moving slot 0.4 s
                if not is_cluster(self.client):
                    raise
                return _only(exchange(self.client, operation.at.key, [operation.command]))
        if has_decoder(self.client, operation.command[0]):
            return _only(exchange(self.client, operation.at.key, [operation.command]))
        return self.client.execute_command(
            *operation.command, NEVER_DECODE=True, keys=_cache_keys(operation)
        )


class Awaiting(Shell):
    """Run verbs on a client of `redis.asyncio`; each call returns an awaitable."""

    __slots__ = ()

    async def __call__(self, verb: Verb[Any]) -> Any:
        """Return the result of a verb, as `Blocking` does."""
        if self.batches and self.queued(verb):
            return None
        if isinstance(verb, Flow):
            return self.shown(await self._drive(_flow(verb)))
        try:
            result = await self._ask(verb)
        except FAILURES as error:
            return await self._drive(failed(verb, error))
        if result is UNDONE:
            return self.shown(await self._drive(_perform_slowly(verb)))
        return self.shown(result)

    async def commit(self, queue: Queue) -> None:
        """Send a batch, as `Blocking` does."""
        if not queue.entries:
            return
        operations = [operation for operation, _ in queue.entries]
        if not queue.atomic:
            await self._drive(_settling(queue, await self._together(operations)))
            return
        commands = [("MULTI",), *with_sources(operations), ("EXEC",)]
        replies = await aexchange(self.client, queue.key, commands)
        await self._drive(_settling(queue, executed(queue, replies)))

    async def _together(self, operations: list[Operation[Any]]) -> list[Reply]:
        await self.client.initialize()
        replies: list[Reply] = [None] * len(operations)
        for node, numbers in _by_node(self.client, operations).items():
            commands = with_sources([operations[number] for number in numbers])
            try:
                answers = await (
                    aexchange(self.client, b"", commands)
                    if node is None
                    else aexchange_node(self.client, node, commands)
                )
            except (ConnectionError, TimeoutError) as error:
                if node is None:
                    raise
                answers = _once_more([operations[number] for number in numbers], error)
            for number, reply in zip(numbers, answers, strict=True):
                replies[number] = reply
        return replies

    async def scan(self, pattern: bytes) -> AsyncIterator[bytes]:
        """Walk the keys of all JSON documents that match a pattern, each once."""
        await self.client.initialize()
        if is_cluster(self.client):
            await self.client.nodes_manager.initialize()  # a node that joined would be missed
        seen: set[bytes] = set()
        for node in _nodes(self.client):
            cursor = 0
            while True:
                cursor, keys = await self._page(cursor, pattern, node)
                for key in _unseen(keys, seen):
                    yield key
                if cursor == 0:
                    break
        if not seen:
            await self._drive(_perform(json_probe(pattern)))

    async def _page(
        self, cursor: int, pattern: bytes, node: dict[str, Any]
    ) -> tuple[int, list[bytes]]:
        try:
            return scanned(await self.client.execute_command(*_scan(cursor, pattern), **node))
        except ResponseError as error:
            if is_state(error):
                raise unscanned(error, pattern) from None
            await self._drive(_perform(json_probe(pattern)))
            raise

    async def _drive(self, asking: Asking[T]) -> T:
        started = time.monotonic()
        try:
            item = next(asking)
            while True:
                try:
                    if isinstance(item, Pause):
                        await asyncio.sleep(random.random() * item.longest())
                        answer: Any = time.monotonic() - started
                    elif isinstance(item, list):
                        answer = await self._gather(item)
                    else:
                        answer = await self._ask(item)
                except Exception as error:
                    item = asking.throw(error)
                else:
                    item = asking.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result

    async def _gather(self, operations: list[Operation[Any]]) -> list[Any]:
        if len(operations) == 1:
            return [await self._drive(_perform(operations[0]))]
        return await self._drive(_all_settled(operations, await self._together(operations)))

    async def _ask(self, operation: Operation[T]) -> T:
        try:
            reply = await self._send(operation)
        except NoScriptError:
            reply = await self._send(operation.with_source())
        return operation.result(reply)

    async def _send(self, operation: Operation[Any]) -> Reply:
        if not operation.resend:
            return _only(await aexchange(self.client, operation.at.key, [operation.command]))
        if operation.script is not None:
            try:
                return await self.client.execute_command(*operation.command, NEVER_DECODE=True)
            except (ClusterError, TryAgainError):
                if not is_cluster(self.client):
                    raise
                return _only(await aexchange(self.client, operation.at.key, [operation.command]))
        if has_decoder(self.client, operation.command[0]):
            return _only(await aexchange(self.client, operation.at.key, [operation.command]))
        return await self.client.execute_command(
            *operation.command, NEVER_DECODE=True, keys=_cache_keys(operation)
        )


def _perform(verb: Verb[T]) -> Asking[T]:
    """Run a verb to its end, whatever it takes."""
    if isinstance(verb, Flow):
        return (yield from _flow(verb))
    try:
        result: T = yield verb
    except FAILURES as error:
        return (yield from failed(verb, error))
    if result is UNDONE:
        return (yield from _perform_slowly(verb))
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
        return (yield from _perform(operation))
    try:
        result = operation.result(_only([reply]))
    except (Refusal, ResponseError) as error:
        return (yield from failed(operation, error, tries=0))
    if result is UNDONE:
        return (yield from undone(operation))
    return result


def _all_settled(operations: list[Operation[Any]], replies: list[Reply]) -> Asking[list[Any]]:
    """Return what replies that came together mean; the first error is raised when all are known."""
    results, errors = [], []
    for operation, reply in zip(operations, replies, strict=True):
        try:
            results.append((yield from _settled(operation, reply, _perform_slowly)))
        except Exception as error:
            errors.append(error)
    if errors and operations[0].writes:
        errors[0].add_note(f"{len(results)} of {len(operations)} commands sent together were done")
    if errors:
        raise errors[0]
    return results


def _once_more(operations: list[Operation[Any]], error: Exception) -> list[Reply]:
    """Return, after a broken connection, what stands for the replies of one node.

    What was not sent, or may be sent again, is asked again one by one, which finds the new node.
    """
    again = not was_sent(error) or all(operation.resend for operation in operations)
    return [TryAgainError("the connection broke") if again else error for _ in operations]


def _by_node(client: Any, operations: list[Operation[Any]]) -> dict[Any, list[int]]:
    """Group operations, by their numbers, by the node of a Cluster that has their keys."""
    if not is_cluster(client):
        return {None: list(range(len(operations)))}
    groups: dict[Any, list[int]] = {}
    for number, operation in enumerate(operations):
        node = client.get_node_from_key(operation.at.key)
        groups.setdefault(node, []).append(number)
    return groups


def _settling(queue: Queue, replies: list[Reply]) -> Asking[None]:
    """Tell every promise of a batch its result; raise if something failed."""
    failed = []
    for (operation, pending), reply in zip(queue.entries, replies, strict=True):
        try:
            pending.resolve((yield from _settled(operation, reply, _too_much)))
        except Exception as error:
            pending.fail(error)
            failed.append((operation, error))
    if failed:
        raise batch_error(queue, failed)


def _too_much(operation: Operation[T]) -> Asking[T]:
    """Complain of an operation in a batch that its script has left to the caller."""
    yield from ()
    raise PipelineError(
        f"{name_of(operation)} at {operation.at.describe()} is too much for one step: nothing was "
        "changed by it; do it outside of a batch"
    )


def _perform_slowly(operation: Operation[T]) -> Asking[T]:
    """Go the way that an operation's script has left to the caller."""
    if operation.fallback is None:
        raise RuntimeError(f"{operation.command[0]} was left undone and has no other way")
    return (yield from _flow(operation.fallback))


def _flow(flow: Flow[T]) -> Asking[T]:
    """Run the operations of a flow, each to its end."""
    steps = flow.start()
    try:
        item: Any = next(steps)
        while True:
            try:
                if isinstance(item, (Operation, Flow)):
                    answer: Any = yield from _perform(item)
                else:
                    answer = yield item
            except Exception as error:
                item = steps.throw(error)
            else:
                item = steps.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result


def _only(replies: list[Reply]) -> Reply:
    """Return the one reply; an error is raised."""
    reply = replies[0]
    if isinstance(reply, Exception):
        raise reply
    return reply


def _cache_keys(operation: Operation[Any]) -> list[bytes]:
    """Return what redis-py's client-side cache asks for: all keys that a read depends on."""
    if operation.command[0] == "JSON.MGET":
        return list(operation.command[1:-1])
    return [operation.at.key]


def _scan(cursor: int, pattern: bytes) -> tuple[Any, ...]:
    return "SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN_COUNT, "TYPE", "ReJSON-RL"


def _nodes(client: Any) -> list[dict[str, Any]]:
    """Return what names each node to be scanned; on one server nothing."""
    if not is_cluster(client):
        return [{"NEVER_DECODE": True}]
    return [{"target_nodes": node, "NEVER_DECODE": True} for node in client.get_primaries()]


def _unseen(keys: list[bytes], seen: set[bytes]) -> Iterator[bytes]:
    for key in keys:
        if key not in seen:
            seen.add(key)
            yield key
