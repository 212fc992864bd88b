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
from collections.abc import Callable, Generator, Hashable, Sequence
from functools import partial
from typing import Any

from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    MovedError,
    NoPermissionError,
    ReadOnlyError,
    RedisClusterException,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

__all__ = [
    "REDIRECTIONS",
    "aask",
    "aexchange",
    "aexchange_node",
    "ask",
    "exchange",
    "exchange_node",
    "has_user",
    "is_cluster",
    "slot_of",
    "was_sent",
]

Command = tuple[Any, ...]
Replies = list[Any]

_TRIES = 16
REDIRECTIONS = (AskError, MovedError, TryAgainError, ClusterDownError)
_REFUSED = (AuthenticationError, BusyLoadingError)
_NOTHING_DONE = "the server refused, so nothing was changed"
_NOTHING_SENT = "nothing was sent, so nothing was changed"
_UNKNOWN = (
    "outcome unknown: the request was sent, the reply was lost; it was not sent again, "
    "because it might then have been applied twice"
)
_UNKNOWN_SAME = (
    "outcome unknown: the request was sent, the reply was lost; doing it again is safe, because it "
    "leaves the same twice as once"
)


def is_cluster(client: Any) -> bool:
    """Return whether a client is a `RedisCluster`, sync or asyncio."""
    return hasattr(client, "get_node_from_key")


def has_user(client: Any) -> bool:
    """Return whether a client logs in as somebody else than the server's default user."""
    options = client.get_connection_kwargs()
    return bool(options.get("username") or options.get("credential_provider"))


def slot_of(client: Any) -> Callable[[bytes], Hashable] | None:
    """Return what tells which keys one script may touch together; None: it may touch all."""
    return client.keyslot if is_cluster(client) else None


def ask(client: Any, command: Command, *, resend: bool) -> Any:
    """Return the reply to one command, from one server. On the way of every verb: kept short.

    Args:
        client: the user's; not a Cluster's.
        command: as it travels.
        resend: whether it may be sent again when a connection broke after the request.

    Raises:
        redis.ResponseError: the server refused.
        redis.ConnectionError, redis.TimeoutError: with a note that says what is known about the
            outcome.
    """
    with _Loan(client) as loan:
        call = loan.connection.retry.call_with_retry
        if resend:
            return call(partial(loan.round_trip, command), loan.drop)
        call(partial(loan.send, command), loan.drop)
        loan.note = _UNKNOWN
        return loan.connection.read_response(disable_decoding=True)


async def aask(client: Any, command: Command, *, resend: bool) -> Any:
    """Do as `ask` does, on a client of `redis.asyncio`."""
    async with _AsyncLoan(client) as loan:
        call = loan.connection.retry.call_with_retry
        if resend:
            return await call(partial(loan.round_trip, command), loan.drop)
        await call(partial(loan.send, command), loan.drop)
        loan.note = _UNKNOWN
        return await loan.connection.read_response(disable_decoding=True)


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
            replies = yield node, _asked(commands, asking)
        except (ConnectionError, TimeoutError) as error:
            if was_sent(error) or attempt == _TRIES - 1:
                raise
            refusal = error
        else:
            redirection = _redirection(replies, asking)
            if redirection is None:
                result: Replies = replies[asking:]
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
    if isinstance(refusal, NoPermissionError):
        refusal.add_note(f"in ASKING, while the slot moves: {_NOTHING_DONE}")
        raise refusal
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
    with _Loan(client) as loan:
        packed = loan.connection.pack_commands(commands)
        send = partial(loan.send_packed, packed)
        if _is_divisible(commands):
            loan.note = _UNKNOWN
            send()
        else:
            loan.connection.retry.call_with_retry(send, loan.drop)
        loan.note = _UNKNOWN
        replies: Replies = []
        for _ in commands:
            try:
                replies.append(loan.connection.read_response(disable_decoding=True))
            except ResponseError as error:
                replies.append(error)
        return replies


class _Loan:
    """A connection borrowed from a client's pool, or its single one, for one exchange.

    Attributes:
        note: how far the exchange got, told by the error that ends it.
    """

    __slots__ = ("_client", "_single", "connection", "note")

    def __init__(self, client: Any) -> None:
        self._client = client
        self._single = client.connection
        self.connection: Any = self._single
        self.note = _NOTHING_SENT

    def __enter__(self) -> _Loan:
        if self._single:
            self._client.single_connection_lock.acquire()
            return self
        try:
            self.connection = self._client.connection_pool.get_connection()
        except BaseException as error:
            error.add_note(_known(self.note, error))
            raise
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        try:
            if error is not None and not isinstance(error, ResponseError):
                error.add_note(_known(self.note, error))
                self.connection.disconnect()
        finally:
            if self._single:
                self._client.single_connection_lock.release()
            else:
                self._client.connection_pool.release(self.connection)

    def drop(self, error: Exception) -> None:
        """Give up the socket before another try."""
        self.connection.disconnect()

    def send(self, command: Command) -> None:
        """Send one command; what was not sent whole was not executed."""
        self._clear()
        self.connection.send_command(*command)

    def send_packed(self, packed: Any) -> None:
        """Send commands in one write."""
        self._clear()
        self.connection.send_packed_command(packed)

    def round_trip(self, command: Command) -> Any:
        """Send a command and return its reply."""
        self.send(command)
        self.note = _UNKNOWN_SAME
        return self.connection.read_response(disable_decoding=True)

    def _clear(self) -> None:
        """Leave a socket that was closed, or has an unwanted reply; pools look for themselves."""
        if self._single and self.connection.can_read():
            self.connection.disconnect()


async def _aonce(node: Any, commands: Sequence[Command]) -> Replies:
    async with _AsyncLoan(node) as loan:
        packed = loan.connection.pack_commands(commands)
        send = partial(loan.send_packed, packed)
        if _is_divisible(commands):
            await loan.connection.connect()
            loan.note = _UNKNOWN
            await send()
        else:
            await loan.connection.retry.call_with_retry(send, loan.drop)
        loan.note = _UNKNOWN
        replies: Replies = []
        for _ in commands:
            try:
                replies.append(await loan.connection.read_response(disable_decoding=True))
            except ResponseError as error:
                replies.append(error)
        return replies


class _AsyncLoan:
    """The same from a client of `redis.asyncio`, or from a node of a Cluster."""

    __slots__ = ("_node", "_pool", "_single", "connection", "note")

    def __init__(self, node: Any) -> None:
        self._node = node
        self._pool = getattr(node, "connection_pool", node)
        self._single = getattr(node, "connection", None)
        self.connection: Any = self._single
        self.note = _NOTHING_SENT

    async def __aenter__(self) -> _AsyncLoan:
        try:
            if self._single:
                await self._node._single_conn_lock.acquire()
            elif self._pool is self._node:
                self.connection = self._node.acquire_connection()
            else:
                self.connection = await self._pool.get_connection()
        except BaseException as error:
            error.add_note(_known(self.note, error))
            raise
        return self

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        try:
            if error is not None and not isinstance(error, ResponseError):
                error.add_note(_known(self.note, error))
                await self.connection.disconnect(nowait=True)
        finally:
            if self._single:
                self._node._single_conn_lock.release()
            else:
                released = self._pool.release(self.connection)
                if released is not None:
                    await released

    async def drop(self, error: Exception) -> None:
        """Give up the socket before another try."""
        await self.connection.disconnect()

    async def send(self, command: Command) -> None:
        """Send one command; what was not sent whole was not executed."""
        await self._clear()
        await self.connection.send_command(*command)

    async def send_packed(self, packed: Any) -> None:
        """Send commands in one write."""
        await self._clear()
        await self.connection.send_packed_command(packed)

    async def round_trip(self, command: Command) -> Any:
        """Send a command and return its reply."""
        await self.connection.send_command(*command)
        self.note = _UNKNOWN_SAME
        return await self.connection.read_response(disable_decoding=True)

    async def _clear(self) -> None:
        """Leave a socket that was closed, or has an unwanted reply."""
        await self.connection.connect()
        await asyncio.sleep(
            0
        )  # the event loop learns of a closed socket only when it gets to look,
        await asyncio.sleep(0)  # and tells the connection a turn later
        unread = getattr(self.connection, "can_read", None) or self.connection.can_read_destructive
        if await unread():
            await self.connection.disconnect()


def _known(note: str, error: BaseException) -> str:
    """Return what is known about the outcome; some connection errors are the server's answer."""
    said_by_server = isinstance(error, _REFUSED) or isinstance(error.__context__, ReadOnlyError)
    return _NOTHING_DONE if said_by_server else note


def _is_divisible(commands: Sequence[Command]) -> bool:
    """Return whether a request that was cut short may have been executed in part."""
    if commands[0][0] in ("MULTI", "ASKING"):
        return bool(commands[-1][0] == "WAIT")  # EXEC may have arrived without it
    return len(commands) > 1


def _asked(commands: Sequence[Command], asking: bool) -> Sequence[Command]:
    return [("ASKING",), *commands] if asking else commands


def _redirection(replies: Replies, asking: bool) -> Any:
    """Return what kept commands from being run: a redirection, or that ASKING was refused."""
    redirections = [reply for reply in replies if isinstance(reply, REDIRECTIONS)]
    if redirections and asking and isinstance(replies[0], NoPermissionError):
        return replies[0]
    return redirections[0] if redirections else None


def was_sent(error: BaseException) -> bool:
    """Return whether a connection error says that the outcome is unknown."""
    return _UNKNOWN in getattr(error, "__notes__", ())
