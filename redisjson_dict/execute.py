"""The ways to run a verb: now, awaited, or queued for later. Only here a verb meets a client.

Theory of operation. The happy path is straight: one operation, one round trip, one decoded reply.
Everything else (a flow of several operations, a fallback, finding out why the server did nothing)
is a generator that yields what is to be sent and is sent the answers, so that blocking and
awaiting differ in nothing but how they wait: compare `Blocking` and `Awaiting` side by side.

On one server a request goes out on a connection borrowed from the client (see `loans`): sent again
after a broken connection as the client's own policy says, or at most once, where it would then be
applied twice. On a Cluster, or where `execute_command` is not just redis-py's, that sends what may
be sent again.

Frames of this machinery say nothing to who looks for a mistake in the caller's: pytest and IPython
leave out those that have a `__tracebackhide__`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

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
    aexchange,
    aexchange_node,
    ainitialize,
    arefresh,
    exchange,
    exchange_node,
    has_decoder,
    has_user,
    is_cluster,
    is_plain,
    refresh,
)
from redisjson_dict.expiry import Owner, owner
from redisjson_dict.flows import all_settled, perform, run, slowly, with_sources
from redisjson_dict.keyspace import Keyspace
from redisjson_dict.loans import arepeatable, once, repeatable, tell, was_sent
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
from redisjson_dict.refusals import FAILURES, Asking, failed, json_probe, unscanned
from redisjson_dict.replies import Reply, scanned

if TYPE_CHECKING:
    from redisjson_dict.queue import Queue

__all__ = ["Awaiting", "Blocking", "Shell"]

T = TypeVar("T")

_SCAN_COUNT = 10_000
_FIRST_PAGES = 10
_EMPTY = [("MULTI",), ("EXEC",)]


class Shell:
    """What the ways to run have in common.

    Attributes:
        client: the user's own; borrowed from, never changed.
        show: makes of a `Container` what a reader gets.
        refer: makes a lazy reference to a place.
        batches: the open batch of each process, thread and task that is in one.
        transacts: whether MULTI need not be tried before a batch is sent. Where it is refused, what
            comes after it is run all the same; so a user who may lack the right tries once.
    """

    __slots__ = ("_plain", "batches", "client", "refer", "show", "transacts")

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
        self._plain = is_plain(client)
        self.transacts = not has_user(client)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client cannot be copied or pickled: take what to_python() gives")

    def batch(self) -> Queue | None:
        """Return the open batch that the caller is in."""
        now = owner()
        queue = self.batches.get(now)
        if queue is not None and queue.abandoned:
            del self.batches[now]
            return None
        return queue

    def queued(self, verb: Verb[Any]) -> bool:
        """Queue a write if the caller is in a batch; return whether it was.

        Raises:
            PipelineError: it must read first, or must return what it found.
        """
        batch = self.batch()
        if batch is None or not verb.writes:
            return False
        batch.take(verb, answers=False)
        return True

    def refuse_in_batch(self, name: str) -> None:
        """Complain of a verb that a batch cannot do, if the caller is in one.

        Raises:
            PipelineError: the caller is in a batch.
        """
        if self.batches and self.batch() is not None:
            raise PipelineError(f"{name} must read before it writes: do it outside of the batch")

    def hint(self, verb: Verb[Any], error: KeyError) -> None:
        """Say of what is missing that it is queued, if the caller is in a batch that has it."""
        batch = self.batch() if self.batches else None
        if batch is not None and batch.concerns(verb.at.key):
            error.add_note(
                f"writes to {verb.at.name!r} are queued in the open pipeline, and reads see the "
                "state before: write through the batch, as in batch['run']['log'].append(1), or "
                "by d.at(...)"
            )

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
        __tracebackhide__ = True
        if self.batches and self.queued(verb):
            return None
        if isinstance(verb, Flow):
            return self.shown(self._drive(run(verb)))
        try:
            result = self._ask(verb)
        except FAILURES as error:
            result = self._drive(failed(verb, error))
        except KeyError as error:
            self.hint(verb, error)
            raise
        if result is UNDONE:
            return self.shown(self._drive(slowly(verb)))
        return self.shown(result)

    def commit(self, queue: Queue) -> None:
        """Send a batch: one write to the socket, one wait.

        Raises:
            PipelineError: something in it failed; says what, where, and what was applied.
        """
        from redisjson_dict.settlement import check_multi, settling, transacted

        if not queue.entries:
            return
        if not queue.atomic:
            operations = [operation for operation, _ in queue.entries]
            alone = [(operation, 1) for operation in operations]
            self._drive(settling(queue, alone, self._together(operations)))
            return
        bundles = queue.bundles()
        commands = with_sources([operation for operation, _ in bundles])
        if not self.transacts:
            check_multi(queue, exchange(self.client, queue.key, _EMPTY))
            self.transacts = True
        request = [("MULTI",), *commands, ("EXEC",), *queue.wait]
        replies = exchange(self.client, queue.key, request)
        self._drive(transacted(queue, bundles, replies))

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

    def scan(self, space: Keyspace) -> Iterator[list[bytes]]:
        """Walk the keys of all JSON documents of a dict, each once, page by page."""
        refresh(self.client)
        seen: set[bytes] = set()
        for node in _nodes(self.client):
            cursor = 0
            while True:
                cursor, keys = self._page(cursor, space, node)
                yield _unseen(keys, seen)
                if cursor == 0:
                    break
        if not seen:  # SCAN does not complain of a type that the server does not know
            self._drive(perform(json_probe(space)))

    def first_keys(self, space: Keyspace, enough: int) -> tuple[list[bytes], bool]:
        """Look for more than `enough` keys in a few pages, of all nodes in turn.

        Cost: at most ten round trips, or one for each node of a larger Cluster.

        Returns:
            The keys, and whether these are all: the search came to the end of the keyspace.
        """
        refresh(self.client)
        seen: set[bytes] = set()
        left = [(0, node) for node in _nodes(self.client)]
        for _ in range(max(_FIRST_PAGES, len(left))):
            cursor, node = left.pop(0)
            cursor, keys = self._page(cursor, space, node)
            seen.update(keys)
            if cursor:
                left.append((cursor, node))
            if not left or len(seen) > enough:
                break
        if not seen and not left:
            self._drive(perform(json_probe(space)))
        return list(seen), not left

    def _page(self, cursor: int, space: Keyspace, node: dict[str, Any]) -> tuple[int, list[bytes]]:
        try:
            return scanned(self.client.execute_command(*_scan(cursor, space.pattern), **node))
        except (ConnectionError, TimeoutError) as error:
            tell(error, writes=False)
            raise
        except ResponseError as error:
            self._drive(unscanned(space, error))
            raise

    def _drive(self, asking: Asking[T]) -> T:
        __tracebackhide__ = True
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
            return [self._drive(perform(operations[0]))]
        return self._drive(all_settled(operations, self._together(operations)))

    def _ask(self, operation: Operation[T]) -> T:
        __tracebackhide__ = True
        try:
            reply = self._send(operation)
        except NoScriptError:
            reply = self._send(operation.with_source())
        return operation.result(reply)

    def _send(self, operation: Operation[Any]) -> Reply:
        if self._plain:
            if operation.resend:
                return repeatable(self.client, operation.command, writes=operation.writes)
            return once(self.client, operation.command)
        if operation.resend and not has_decoder(self.client, operation.command[0]):
            try:
                return self.client.execute_command(*operation.command, **_options(operation))
            except (ConnectionError, TimeoutError) as error:
                tell(error, writes=operation.writes)
                raise
            except (ClusterError, TryAgainError):  # redis-py waits for a moving slot 0.4 s
                if operation.script is None:
                    raise
        return _only(exchange(self.client, operation.at.key, [operation.command]))


class Awaiting(Shell):
    """Run verbs on a client of `redis.asyncio`; each call returns an awaitable."""

    __slots__ = ()

    async def __call__(self, verb: Verb[Any]) -> Any:
        """Return the result of a verb, as `Blocking` does."""
        __tracebackhide__ = True
        if self.batches and self.queued(verb):
            return None
        if isinstance(verb, Flow):
            return self.shown(await self._drive(run(verb)))
        try:
            result = await self._ask(verb)
        except FAILURES as error:
            result = await self._drive(failed(verb, error))
        except KeyError as error:
            self.hint(verb, error)
            raise
        if result is UNDONE:
            return self.shown(await self._drive(slowly(verb)))
        return self.shown(result)

    async def commit(self, queue: Queue) -> None:
        """Send a batch, as `Blocking` does."""
        from redisjson_dict.settlement import check_multi, settling, transacted

        if not queue.entries:
            return
        if not queue.atomic:
            operations = [operation for operation, _ in queue.entries]
            alone = [(operation, 1) for operation in operations]
            await self._drive(settling(queue, alone, await self._together(operations)))
            return
        bundles = queue.bundles()
        commands = with_sources([operation for operation, _ in bundles])
        if not self.transacts:
            check_multi(queue, await aexchange(self.client, queue.key, _EMPTY))
            self.transacts = True
        request = [("MULTI",), *commands, ("EXEC",), *queue.wait]
        replies = await aexchange(self.client, queue.key, request)
        await self._drive(transacted(queue, bundles, replies))

    async def _together(self, operations: list[Operation[Any]]) -> list[Reply]:
        await ainitialize(self.client)
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

    async def scan(self, space: Keyspace) -> AsyncIterator[list[bytes]]:
        """Walk the keys of all JSON documents of a dict, each once, page by page."""
        await arefresh(self.client)
        seen: set[bytes] = set()
        for node in _nodes(self.client):
            cursor = 0
            while True:
                cursor, keys = await self._page(cursor, space, node)
                yield _unseen(keys, seen)
                if cursor == 0:
                    break
        if not seen:
            await self._drive(perform(json_probe(space)))

    async def _page(
        self, cursor: int, space: Keyspace, node: dict[str, Any]
    ) -> tuple[int, list[bytes]]:
        try:
            return scanned(await self.client.execute_command(*_scan(cursor, space.pattern), **node))
        except (ConnectionError, TimeoutError) as error:
            tell(error, writes=False)
            raise
        except ResponseError as error:
            await self._drive(unscanned(space, error))
            raise

    async def _drive(self, asking: Asking[T]) -> T:
        __tracebackhide__ = True
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
            return [await self._drive(perform(operations[0]))]
        return await self._drive(all_settled(operations, await self._together(operations)))

    async def _ask(self, operation: Operation[T]) -> T:
        __tracebackhide__ = True
        try:
            reply = await self._send(operation)
        except NoScriptError:
            reply = await self._send(operation.with_source())
        return operation.result(reply)

    async def _send(self, operation: Operation[Any]) -> Reply:
        if operation.resend:
            if self._plain:
                return await arepeatable(self.client, operation.command, writes=operation.writes)
            if not has_decoder(self.client, operation.command[0]):
                try:
                    return await self.client.execute_command(
                        *operation.command, **_options(operation)
                    )
                except (ConnectionError, TimeoutError) as error:
                    tell(error, writes=operation.writes)
                    raise
                except (ClusterError, TryAgainError):  # redis-py waits for a moving slot 0.4 s
                    if operation.script is None:
                        raise
        return _only(await aexchange(self.client, operation.at.key, [operation.command]))


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


def _options(operation: Operation[Any]) -> dict[str, Any]:
    """Return redis-py's options: its client-side cache asks for all keys that are read."""
    if operation.script is not None:
        return {"NEVER_DECODE": True}
    many = operation.command[0] == "JSON.MGET"
    keys = list(operation.command[1:-1]) if many else [operation.at.key]
    return {"NEVER_DECODE": True, "keys": keys}


def _scan(cursor: int, pattern: bytes) -> tuple[Any, ...]:
    return "SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN_COUNT, "TYPE", "ReJSON-RL"


def _nodes(client: Any) -> list[dict[str, Any]]:
    """Return what names each node to be scanned; on one server nothing."""
    if not is_cluster(client):
        return [{"NEVER_DECODE": True}]
    return [{"target_nodes": node, "NEVER_DECODE": True} for node in client.get_primaries()]


def _unseen(keys: list[bytes], seen: set[bytes]) -> list[bytes]:
    """Return the keys that were not there before, each once: SCAN may repeat itself."""
    fresh = set(keys) - seen if seen else set(keys)
    seen |= fresh
    return list(fresh)


def _only(replies: list[Reply]) -> Reply:
    """Return the one reply; an error is raised."""
    reply = replies[0]
    if isinstance(reply, Exception):
        raise reply
    return reply
