"""Send commands at most once, on a connection borrowed from the user's own client.

Theory of operation. redis-py sends a command again when the connection breaks after the request,
when the server may already have executed it. Here connecting and sending follow the connection's
own retry policy, since a request that was not sent whole was not executed; the replies are read
once. On a Cluster the connection is that of the key's node; where the node has moved or was not
reached, a read through the client makes redis-py follow and refresh its map, then it is tried
again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Generator, Hashable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    MovedError,
    ReadOnlyError,
    RedisClusterException,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

__all__ = [
    "REDIRECTIONS",
    "aexchange",
    "aexchange_node",
    "exchange",
    "exchange_node",
    "has_decoder",
    "is_cluster",
    "slot_of",
    "was_sent",
]

Command = tuple[Any, ...]
Replies = list[Any]

_TRIES = 16
REDIRECTIONS = (AskError, MovedError, TryAgainError, ClusterDownError)
_REFUSED = (AuthenticationError, BusyLoadingError)
_DECODED = frozenset(("JSON.GET", "JSON.MGET"))
_NOTHING_DONE = "the server refused, so nothing was changed"
_NOTHING_SENT = "nothing was sent, so nothing was changed"
_UNKNOWN = (
    "outcome unknown: the request was sent, the reply was lost; it was not sent again, "
    "because it might then have been applied twice"
)


class _Progress:
    """How far an exchange got, told by the error that ends it."""

    note = _NOTHING_SENT


def is_cluster(client: Any) -> bool:
    """Return whether a client is a `RedisCluster`, sync or asyncio."""
    return hasattr(client, "get_node_from_key")


def has_decoder(client: Any, command: str) -> bool:
    """Return whether somebody's ``client.json(decoder=...)`` would decode this reply."""
    return command in _DECODED and command in getattr(client, "response_callbacks", ())


def slot_of(client: Any) -> Callable[[bytes], Hashable] | None:
    """Return what tells which keys one script may touch together; None: it may touch all."""
    return client.keyslot if is_cluster(client) else None


def exchange(client: Any, key: bytes, commands: Sequence[Command]) -> Replies:
    """Return the replies to several commands that go out in one write; an error is a reply.

    Args:
        client: the user's.
        key: routes them, on a Cluster.
        commands: as they travel.

    Raises:
        redis.ConnectionError, redis.TimeoutError: with a note that says what is known about the
            outcome.
    """
    if not is_cluster(client):
        return _once(client, commands)
    routing = _routing(client, key, commands)
    answer: Any = None
    try:
        step = next(routing)
        while True:
            try:
                if step is None:
                    answer = client.execute_command("EXISTS", key)
                elif isinstance(step, tuple):
                    answer = _once(client.get_redis_connection(step[0]), step[1])
                else:
                    time.sleep(step)
            except (ConnectionError, TimeoutError, RedisClusterException) as error:
                step = routing.throw(error)
            else:
                step = routing.send(answer)
    except StopIteration as stop:
        replies: Replies = stop.value
        return replies


async def aexchange(client: Any, key: bytes, commands: Sequence[Command]) -> Replies:
    """Do as `exchange` does, on a client of `redis.asyncio`."""
    await client.initialize()
    if not is_cluster(client):
        return await _aonce(client, commands)
    routing = _routing(client, key, commands)
    answer: Any = None
    try:
        step = next(routing)
        while True:
            try:
                if step is None:
                    answer = await client.execute_command("EXISTS", key)
                elif isinstance(step, tuple):
                    answer = await _aonce(*step)
                else:
                    await asyncio.sleep(step)
            except (ConnectionError, TimeoutError, RedisClusterException) as error:
                step = routing.throw(error)
            else:
                step = routing.send(answer)
    except StopIteration as stop:
        replies: Replies = stop.value
        return replies


Step = tuple[Any, Sequence[Command]] | float | None


def _routing(client: Any, key: bytes, commands: Sequence[Command]) -> Generator[Step, Any, Replies]:
    """Find the node that answers for a key.

    Yields a node with the commands to send it, and is sent the replies; or None for a read through
    the client, which makes redis-py follow the key and refresh its map; or seconds to wait, while
    keys of one slot are on two nodes.
    """
    node, asking = client.get_node_from_key(key), False
    refusal: Exception = ClusterDownError(f"no node of the cluster answers for the key {key!r}")
    for attempt in range(_TRIES):
        try:
            replies = (yield node, _asked(commands, asking))[asking:]
        except (ConnectionError, TimeoutError) as error:
            if was_sent(error) or attempt == _TRIES - 1:
                raise
            refusal = error
        else:
            redirection = _redirection(replies)
            if redirection is None:
                result: Replies = replies
                return result
            refusal = redirection
        node, asking = _asked_for(client, refusal), True
        if node is None:
            yield from _following(refusal, attempt)
            node, asking = client.get_node_from_key(key), False
    refusal.add_note(_NOTHING_DONE)
    raise refusal


def _asked_for(client: Any, refusal: Exception) -> Any:
    """Return the node that an ASK names; None if it is no ASK, or the client knows no such node."""
    if isinstance(refusal, AskError):
        return client.get_node(refusal.host, refusal.port)
    return None


def _following(refusal: Exception, attempt: int) -> Generator[Step, Any, None]:
    """Wait for a moving slot, or have the client follow the key to its new node."""
    if isinstance(refusal, (AskError, TryAgainError, ClusterDownError)):
        yield 0.05 * attempt
        return
    try:
        yield None
    except Exception as error:
        error.add_note(_NOTHING_SENT)
        raise


def exchange_node(client: Any, node: Any, commands: Sequence[Command]) -> Replies:
    """Return the replies of one node of a Cluster, whatever they are."""
    return _once(client.get_redis_connection(node), commands)


async def aexchange_node(client: Any, node: Any, commands: Sequence[Command]) -> Replies:
    """Do as `exchange_node` does, on a client of `redis.asyncio`."""
    return await _aonce(node, commands)


def _once(client: Any, commands: Sequence[Command]) -> Replies:
    progress = _Progress()
    with _borrowed(client, progress) as connection:
        packed = connection.pack_commands(commands)

        def send() -> None:
            if client.connection and connection.can_read():  # closed, or an unwanted reply
                connection.disconnect()
            connection.send_packed_command(packed)

        if _is_divisible(commands):
            progress.note = _UNKNOWN
            send()
        else:
            connection.retry.call_with_retry(send, lambda error: connection.disconnect())
        progress.note = _UNKNOWN
        replies: Replies = []
        for _ in commands:
            try:
                # No command name: callbacks that somebody set on the client are not for us.
                replies.append(client.parse_response(connection, "", NEVER_DECODE=True))
            except ResponseError as error:
                replies.append(error)
        return replies


@contextmanager
def _borrowed(client: Any, progress: _Progress) -> Iterator[Any]:
    single = client.connection
    if single:
        client.single_connection_lock.acquire()
    connection = single
    try:
        connection = single or client.connection_pool.get_connection()
        yield connection
    except BaseException as error:
        if connection is not None:
            connection.disconnect()
        error.add_note(_known(progress, error))
        raise
    finally:
        if single:
            client.single_connection_lock.release()
        elif connection is not None:
            client.connection_pool.release(connection)


async def _aonce(node: Any, commands: Sequence[Command]) -> Replies:
    progress = _Progress()
    async with _aborrowed(node, progress) as connection:
        packed = connection.pack_commands(commands)

        async def send() -> None:
            await connection.connect()
            if await _has_unread(connection):
                await connection.disconnect()
            await connection.send_packed_command(packed)

        async def again(error: Exception) -> None:
            await connection.disconnect()

        if _is_divisible(commands):
            await connection.connect()
            progress.note = _UNKNOWN
            await send()
        else:
            await connection.retry.call_with_retry(send, again)
        progress.note = _UNKNOWN
        replies: Replies = []
        for _ in commands:
            try:
                replies.append(await node.parse_response(connection, "", NEVER_DECODE=True))
            except ResponseError as error:
                replies.append(error)
        return replies


@asynccontextmanager
async def _aborrowed(node: Any, progress: _Progress) -> AsyncIterator[Any]:
    """Borrow from a client's pool, its single connection, or a Cluster's node."""
    single = getattr(node, "connection", None)
    if single:
        await node._single_conn_lock.acquire()
    connection = single
    try:
        if connection is None:
            connection = await _checked_out(node)
        yield connection
    except BaseException as error:
        if connection is not None:
            await connection.disconnect(nowait=True)
        error.add_note(_known(progress, error))
        raise
    finally:
        if single:
            node._single_conn_lock.release()
        elif connection is not None:
            released = _pool(node).release(connection)
            if released is not None:
                await released


def _pool(node: Any) -> Any:
    return getattr(node, "connection_pool", node)


async def _checked_out(node: Any) -> Any:
    pool = _pool(node)
    return pool.acquire_connection() if pool is node else await pool.get_connection()


async def _has_unread(connection: Any) -> bool:
    """Return whether the socket is closed, or has a reply that nobody waits for."""
    await asyncio.sleep(0)  # the event loop learns of a closed socket only when it gets to look,
    await asyncio.sleep(0)  # and tells the connection a turn later
    probe = getattr(connection, "can_read", None) or connection.can_read_destructive
    return bool(await probe())


def _known(progress: _Progress, error: BaseException) -> str:
    """Return what is known about the outcome; some connection errors are the server's answer."""
    said_by_server = isinstance(error, _REFUSED) or isinstance(error.__context__, ReadOnlyError)
    return _NOTHING_DONE if said_by_server else progress.note


def _is_divisible(commands: Sequence[Command]) -> bool:
    """Return whether a request that was cut short may have been executed in part."""
    return len(commands) > 1 and commands[0][0] not in ("MULTI", "ASKING")


def _asked(commands: Sequence[Command], asking: bool) -> Sequence[Command]:
    return [("ASKING",), *commands] if asking else commands


def _redirection(replies: Replies) -> Any:
    return next((reply for reply in replies if isinstance(reply, REDIRECTIONS)), None)


def was_sent(error: BaseException) -> bool:
    """Return whether a connection error says that the outcome is unknown."""
    return _UNKNOWN in getattr(error, "__notes__", ())
