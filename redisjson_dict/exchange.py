"""Send commands on a connection borrowed from the user's own client, at most once where it matters.

Theory of operation. redis-py sends a command again when the connection breaks after the request,
when the server may already have executed it. Here connecting and sending follow the connection's
own retry policy, since a request that was not sent whole was not executed; the replies are read
once (`attempt`), unless the whole may be done again (`round_trip`). Borrowing costs half of what
`execute_command` does. On a Cluster the connection is that of the key's node; where the node has moved or was not
reached, a read through the client makes redis-py follow and refresh its map, then it is tried
again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Hashable, Sequence
from functools import partial
from types import FunctionType
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
    RedisError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

__all__ = [
    "REDIRECTIONS",
    "aask",
    "aexchange",
    "aexchange_node",
    "ainitialize",
    "ask",
    "exchange",
    "exchange_node",
    "has_decoder",
    "has_user",
    "is_cluster",
    "is_plain",
    "slot_of",
    "tell",
    "was_sent",
]

Command = tuple[Any, ...]
Replies = list[Any]

_TRIES = 16
_LARGE = 2**16  # bytes that are not worth copying
REDIRECTIONS = (AskError, MovedError, TryAgainError, ClusterDownError)
_REFUSED = (AuthenticationError, BusyLoadingError)
_DECODED = frozenset(("JSON.GET", "JSON.MGET"))
_NOTHING_DONE = "the server refused, so nothing was changed"
_NOTHING_SENT = "nothing was sent, so nothing was changed"
_UNKNOWN = (
    "outcome unknown: the request was sent, the reply was lost; it was not sent again, "
    "because it might then have been applied twice"
)
_AGAIN = (
    "outcome unknown: the request may have been executed, also more than once; that makes no "
    "difference to the data, so it is safe to do the same again"
)
_READ_ONLY = "this request was a read, so it changed nothing"


def is_cluster(client: Any) -> bool:
    """Return whether a client is a `RedisCluster`, sync or asyncio."""
    return hasattr(client, "get_node_from_key")


def has_user(client: Any) -> bool:
    """Return whether a client logs in as somebody else than the server's default user."""
    options = client.get_connection_kwargs()
    return bool(options.get("username") or options.get("credential_provider"))


def is_plain(client: Any) -> bool:
    """Return whether commands may pass by ``execute_command``, which takes half of a verb's time.

    Not on a Cluster, nor with redis-py's client-side cache, nor where somebody has put their own in
    its place, as tracing does.
    """
    if is_cluster(client) or getattr(client.connection_pool, "cache", None) is not None:
        return False
    method = type(client).execute_command
    return (
        isinstance(method, FunctionType)
        and method.__module__.startswith("redis.")
        and not hasattr(method, "__wrapped__")
    )


def has_decoder(client: Any, command: str) -> bool:
    """Return whether somebody's ``client.json(decoder=...)`` would decode this reply."""
    return command in _DECODED and command in getattr(client, "response_callbacks", ())


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
            outcome; without one where it may be sent again, see `tell`.
    """
    with _Loan(client) as loan:
        packed = _packed(loan.connection, [command])
        retrying = loan.connection.retry.call_with_retry
        if resend:
            return retrying(partial(loan.round_trip, packed), loan.drop)
        return _only(retrying(partial(loan.attempt, packed, 1), loan.drop))


async def aask(client: Any, command: Command, *, resend: bool) -> Any:
    """Do as `ask` does, on a client of `redis.asyncio`."""
    async with _AsyncLoan(client) as loan:
        packed = _packed(loan.connection, [command])
        retrying = loan.connection.retry.call_with_retry
        if resend:
            return await retrying(partial(loan.round_trip, packed), loan.drop)
        return _only(await retrying(partial(loan.attempt, packed, 1), loan.drop))


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
            except (RedisError, RedisClusterException) as error:
                step = routing.throw(error)
            else:
                step = routing.send(answer)
    except StopIteration as stop:
        replies: Replies = stop.value
        return replies


async def aexchange(client: Any, key: bytes, commands: Sequence[Command]) -> Replies:
    """Do as `exchange` does, on a client of `redis.asyncio`."""
    await ainitialize(client)
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
            except (RedisError, RedisClusterException) as error:
                step = routing.throw(error)
            else:
                step = routing.send(answer)
    except StopIteration as stop:
        replies: Replies = stop.value
        return replies


async def ainitialize(client: Any) -> None:
    """Make a client of `redis.asyncio` ready: a Cluster's learns its nodes, a single one connects.

    Raises:
        redis.ConnectionError, redis.TimeoutError: with a note, as `exchange`.
    """
    try:
        await client.initialize()
    except (RedisError, RedisClusterException) as error:
        error.add_note(_NOTHING_SENT)
        raise


Step = tuple[Any, Sequence[Command]] | float | None


def _routing(client: Any, key: bytes, commands: Sequence[Command]) -> Generator[Step, Any, Replies]:
    """Find the node that answers for a key.

    Yields a node with the commands to send it, and is sent the replies; or None for a read through
    the client, which makes redis-py follow the key and refresh its map; or seconds to wait, while
    keys of one slot are on two nodes.
    """
    node, asking = _node_of(client, key), False
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
            node, asking = _node_of(client, key), False
    refusal.add_note(_NOTHING_DONE)
    raise refusal


def _node_of(client: Any, key: bytes) -> Any:
    try:
        return client.get_node_from_key(key)
    except RedisClusterException as error:  # no node serves its slot
        error.add_note(_NOTHING_SENT)
        raise


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
    with _Loan(client, divisible=_is_divisible(commands)) as loan:
        attempt = partial(loan.attempt, _packed(loan.connection, commands), len(commands))
        if loan.divisible:
            return _replies(attempt())
        return _replies(loan.connection.retry.call_with_retry(attempt, loan.drop))


async def _aonce(node: Any, commands: Sequence[Command]) -> Replies:
    async with _AsyncLoan(node, divisible=_is_divisible(commands)) as loan:
        attempt = partial(loan.attempt, _packed(loan.connection, commands), len(commands))
        if loan.divisible:
            return _replies(await attempt())
        return _replies(await loan.connection.retry.call_with_retry(attempt, loan.drop))


def _packed(connection: Any, commands: Sequence[Command]) -> Any:
    """Return commands in RESP, as redis-py packs them; but without a copy of what is large."""
    if not any([_is_large(part) for command in commands for part in command]):
        if len(commands) == 1:
            return connection.pack_command(*commands[0])
        return connection.pack_commands(commands)
    chunks = [b""]
    for command in commands:
        chunks[-1] += b"*%d\r\n" % len(command)
        for part in command:
            text = part if type(part) is bytes else str(part).encode()
            chunks[-1] += b"$%d\r\n" % len(text)
            if _is_large(text):
                chunks += [text, b"\r\n"]
            else:
                chunks[-1] += text + b"\r\n"
    return chunks


def _is_large(part: Any) -> bool:
    return type(part) is bytes and len(part) > _LARGE


class _Loan:
    """A connection borrowed from a client's pool, or its single one, for one exchange.

    Attributes:
        divisible: whether a request that was cut short may have been executed in part.
        note: what is known about the data, told by the error that ends the exchange; empty where
            that is for the caller to say.
    """

    __slots__ = ("_client", "_single", "connection", "divisible", "note")

    def __init__(self, client: Any, *, divisible: bool = False) -> None:
        self._client = client
        self._single = client.connection
        self.connection: Any = self._single
        self.divisible = divisible
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
                if self.note:
                    error.add_note(_known(self.note, error, self.divisible))
                self.connection.disconnect()
        finally:
            if self._single:
                self._client.single_connection_lock.release()
            else:
                self._client.connection_pool.release(self.connection)

    def drop(self, error: Exception) -> None:
        """Give up the socket before another try."""
        self.connection.disconnect()

    def round_trip(self, packed: Any) -> Any:
        """Send a request that may be sent again, and return its reply."""
        self.note = ""
        self.connection.send_packed_command(packed)
        return self.connection.read_response(disable_decoding=True)

    def attempt(self, packed: Any, count: int) -> Replies | Exception:
        """Send a request, and return its replies, or an error that allows no other attempt."""
        connection = self.connection
        self.note = _NOTHING_SENT
        if self._single or self.divisible:
            connection.send_packed_command([])  # connects, and asks for a PONG if that is due
        if self._single and connection.can_read():  # closed, or an unwanted reply
            connection.disconnect()
        if self.divisible:
            self.note = _UNKNOWN
        connection.send_packed_command(packed)
        self.note = _UNKNOWN
        try:
            return [self._reply() for _ in range(count)]
        except Exception as error:
            return _final(error, self.divisible)

    def _reply(self) -> Any:
        try:
            return self.connection.read_response(disable_decoding=True)
        except ResponseError as error:
            return error


class _AsyncLoan:
    """The same from a client of `redis.asyncio`, or from a node of a Cluster.

    Closing an asyncio connection still sends what waits in its buffer, so a request that was given
    up would arrive later. The buffer is dropped first.
    """

    __slots__ = ("_node", "_pool", "_single", "_transport", "connection", "divisible", "note")

    def __init__(self, node: Any, *, divisible: bool = False) -> None:
        self._node = node
        self._pool = getattr(node, "connection_pool", node)
        self._single = getattr(node, "connection", None)
        self._transport: Any = None
        self.connection: Any = self._single
        self.divisible = divisible
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
                self._abandon()
                if self.note:
                    error.add_note(_known(self.note, error, self.divisible))
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
        self._abandon()
        await self.connection.disconnect(nowait=True)

    async def round_trip(self, packed: Any) -> Any:
        """Send a request that may be sent again, and return its reply."""
        self.note = ""
        await self._connect()
        self._transport = self.connection._writer.transport
        await self.connection.send_packed_command(packed, check_health=False)
        return await self.connection.read_response(disable_decoding=True)

    async def attempt(self, packed: Any, count: int) -> Replies | Exception:
        """Send a request, and return its replies, or an error that allows no other attempt."""
        self.note = _NOTHING_SENT
        if self.connection.is_connected and await self._has_unread():
            await self.connection.disconnect(nowait=True)
        await self._connect()
        unsent = await self._send(packed)
        if unsent is not None:
            return unsent
        try:
            return [await self._reply() for _ in range(count)]
        except Exception as error:
            return _final(error, self.divisible)

    async def _connect(self) -> None:
        if self.connection.health_check_interval or not self.connection.is_connected:
            await self.connection.send_packed_command([])  # connects, or asks for a PONG

    async def _has_unread(self) -> bool:
        """Return whether the socket is closed, or has a reply that nobody waits for.

        The event loop learns of a closed socket only when it gets to look, and tells the
        connection a turn later.
        """
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        connection = self.connection
        probe = getattr(connection, "can_read", None) or connection.can_read_destructive
        return bool(await probe())

    async def _send(self, packed: Any) -> Exception | None:
        """Send a request; return an error after which it may have gone out whole."""
        self._transport = self.connection._writer.transport
        if self.divisible:
            self.note = _UNKNOWN
        try:
            await self.connection.send_packed_command(packed, check_health=False)
        except ConnectionError:
            self._transport = None  # broken: it has sent no more than a part
            raise
        except TimeoutError as error:
            self._abandon()
            if self.note is _UNKNOWN:
                return error
            raise
        self.note = _UNKNOWN
        return None

    async def _reply(self) -> Any:
        try:
            return await self.connection.read_response(disable_decoding=True)
        except ResponseError as error:
            return error

    def _abandon(self) -> None:
        """Drop what waits to be sent, and take down whether the request had gone out whole."""
        transport, self._transport = self._transport, None
        if transport is not None:
            whole = transport.get_write_buffer_size() == 0
            transport.abort()
            if self.note:
                self.note = _UNKNOWN if whole or self.divisible else _NOTHING_SENT


def _final(error: Exception, divisible: bool) -> Exception:
    """Return an error of reading, after which nothing may be sent again.

    Raises:
        BusyLoadingError: the server executed nothing: the same may be sent again.
    """
    if isinstance(error, BusyLoadingError) and not divisible:
        raise error
    return error


def _replies(outcome: Replies | Exception) -> Replies:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _only(outcome: Replies | Exception) -> Any:
    """Return the one reply; an error is raised."""
    reply = outcome if isinstance(outcome, Exception) else outcome[0]
    if isinstance(reply, Exception):
        raise reply
    return reply


def _known(note: str, error: BaseException, divisible: bool = False) -> str:
    """Return what is known about the data; some connection errors are the server's answer."""
    refused = isinstance(error, _REFUSED) or isinstance(error.__context__, ReadOnlyError)
    return _NOTHING_DONE if refused and not divisible else note


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


def tell(error: BaseException, *, writes: bool) -> None:
    """Say what is known about the data after what may be sent again.

    Args:
        error: a connection's; left alone if it says already, or tells who may connect.
        writes: whether the request changes something.
    """
    if not hasattr(error, "__notes__") and not isinstance(error, AuthenticationError):
        error.add_note(_AGAIN if writes else _READ_ONLY)
