"""A connection borrowed from the user's own client for one exchange; what is known when it breaks.

Theory of operation. redis-py sends a command again when the connection breaks after the request,
when the server may already have executed it. Here connecting and sending follow the connection's
own retry policy, since a request that was not sent whole was not executed; the replies are read
once (`attempt`), unless the whole may be done again (`round_trip`). Borrowing costs half of what
``execute_command`` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, repeat
from types import TracebackType
from typing import Any

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
)

from redisjson_dict.resp import Command, packed, packed_all

__all__ = [
    "NOTHING_DONE",
    "NOTHING_SENT",
    "Replies",
    "arepeatable",
    "atogether",
    "once",
    "repeatable",
    "tell",
    "together",
    "was_sent",
]

Replies = list[Any]

NOTHING_DONE = "the server refused, so nothing was changed"
NOTHING_SENT = "nothing was sent, so nothing was changed"
_UNKNOWN = (
    "outcome unknown: the request was sent, the reply was lost; it was not sent again, "
    "because it might then have been applied twice"
)
_AGAIN = (
    "outcome unknown: the request may have been executed, also more than once; that makes no "
    "difference to the data, so it is safe to do the same again"
)
_READ_ONLY = "this request was a read, so it changed nothing"
_SENDERS = frozenset(("redis", "ssl", "socket", "gevent", "eventlet"))
_REFUSED = (AuthenticationError, BusyLoadingError)


def repeatable(client: Any, command: Command, *, writes: bool) -> Any:
    """Send a command that may be sent again when a connection breaks, and return its reply.

    Args:
        client: the user's; not a Cluster's.
        command: as it travels.
        writes: whether it changes something.

    Raises:
        redis.ResponseError: the server refused.
        redis.ConnectionError, redis.TimeoutError: with a note that says what is known about the
            outcome.
    """
    request, lost = packed(command), _lost(writes)
    return _request(
        client,
        request,
        lost,
        lambda loan, error, sent: loan.again(partial(loan.round_trip, request, lost), error),
    )


def once(client: Any, command: Command) -> Any:
    """Send a command at most once, and return its reply; raises as `repeatable` does."""
    request = packed(command)
    return _request(
        client, request, _UNKNOWN, lambda loan, error, sent: loan.finish(request, error, sent)
    )


def _request(
    client: Any,
    request: list[bytes],
    lost: str,
    go_on: Callable[[Loan, BaseException | None, bool], Any],
) -> Any:
    """Send a request and return its reply.

    This is on the path of every verb, so it is no more than what goes well. The rest is left to a
    loan, which takes the connection over.

    Args:
        client: the user's; not a Cluster's.
        request: as it travels.
        lost: what is known when the reply is lost.
        go_on: sends it by a loan. Gets the error of the first try, if there was one, and whether
            that had sent the request whole.
    """
    if client.connection:
        with Loan(client) as loan:
            return go_on(loan, None, False)
    pool = client.connection_pool
    connection = _borrowed(pool)
    sent = False
    try:
        connection.send_packed_command(request)
        sent = True
        reply = connection.read_response(disable_decoding=True)
    except ResponseError:
        pool.release(connection)
        raise
    except BaseException as error:
        with Loan(client, connection) as loan:
            loan.note = _outcome(error, NOTHING_SENT, lost, sent=sent)
            return go_on(loan, error, sent)
    pool.release(connection)
    return reply


def _borrowed(pool: Any) -> Any:
    try:
        return pool.get_connection()
    except BaseException as error:
        error.add_note(_known(NOTHING_SENT, error))
        raise


async def arepeatable(client: Any, command: Command, *, writes: bool) -> Any:
    """Do as `repeatable` does, on a client of `redis.asyncio`."""
    async with AsyncLoan(client) as loan:
        trip = partial(loan.round_trip, packed(command), _lost(writes))
        return await loan.connection.retry.call_with_retry(trip, loan.drop)


def _lost(writes: bool) -> str:
    return _AGAIN if writes else _READ_ONLY


def together(client: Any, commands: Sequence[Command]) -> Replies:
    """Send commands at most once, in one write, and return the replies; an error is a reply.

    Raises:
        redis.ConnectionError, redis.TimeoutError: with a note that says what is known about the
            outcome.
    """
    with Loan(client, divisible=_is_divisible(commands)) as loan:
        attempt = partial(loan.attempt, packed_all(commands), len(commands))
        return _replies(attempt() if loan.divisible else loan.again(attempt))


async def atogether(node: Any, commands: Sequence[Command]) -> Replies:
    """Do as `together` does, on a client of `redis.asyncio`, or on a node of a Cluster."""
    async with AsyncLoan(node, divisible=_is_divisible(commands)) as loan:
        attempt = partial(loan.attempt, packed_all(commands), len(commands))
        if loan.divisible:
            return _replies(await attempt())
        return _replies(await loan.connection.retry.call_with_retry(attempt, loan.drop))


class Loan:
    """A connection borrowed from a client's pool, or its single one, for one exchange.

    Attributes:
        divisible: whether a request that was cut short may have been executed in part.
        note: what is known about the data, told by the error that ends the exchange.
    """

    __slots__ = ("_client", "_single", "connection", "divisible", "note")

    def __init__(self, client: Any, connection: Any = None, *, divisible: bool = False) -> None:
        self._client = client
        self._single = client.connection
        self.connection: Any = connection or self._single
        self.divisible = divisible
        self.note = NOTHING_SENT

    def __enter__(self) -> Loan:
        if self._single:
            self._client.single_connection_lock.acquire()
        elif self.connection is None:
            self.connection = _borrowed(self._client.connection_pool)
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        try:
            if error is not None and not isinstance(error, ResponseError):
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

    def again(self, trip: Callable[[], Any], error: BaseException | None = None) -> Any:
        """Do something as often as the connection's own retry policy says.

        Args:
            trip: what to do.
            error: how it ended when it was tried once already.
        """
        trips = chain(() if error is None else (_raising(error),), repeat(trip))
        return self.connection.retry.call_with_retry(lambda: next(trips)(), self.drop)

    def finish(self, request: list[bytes], error: BaseException | None, sent: bool) -> Any:
        """Send a request, and return its reply; not again once it may have gone out whole.

        Args:
            request: as it travels.
            error: how the first try ended, if there was one.
            sent: whether that had sent it whole.
        """
        refused = isinstance(error, BusyLoadingError)  # the server is loading, and did nothing
        if error is not None and not refused and (sent or _interrupts(error)):
            raise error
        (reply,) = _replies(self.again(partial(self.attempt, request, 1), error))
        if isinstance(reply, Exception):
            raise reply
        return reply

    def round_trip(self, request: list[bytes], lost: str) -> Any:
        """Send a request that may be sent again, and return its reply."""
        before, self.note = self.note, lost
        sent = False
        try:
            self.connection.send_packed_command(request)
            sent = True
            return self.connection.read_response(disable_decoding=True)
        except (ConnectionError, TimeoutError) as error:
            self.note = _outcome(error, before, lost, sent=sent)
            raise

    def attempt(self, request: list[bytes], count: int) -> Replies | Exception:
        """Send a request, and return its replies, or an error that allows no other attempt."""
        connection = self.connection
        self.note = NOTHING_SENT
        if self._single or self.divisible:
            connection.send_packed_command([])  # connects, and asks for a PONG if that is due
        if self._single and connection.can_read():  # closed, or an unwanted reply
            connection.disconnect()
        self.note = _UNKNOWN
        try:
            connection.send_packed_command(request)
        except (ConnectionError, TimeoutError) as error:
            if _interrupts(error):
                return error
            self.note = _UNKNOWN if self.divisible else NOTHING_SENT
            raise
        try:
            return self._read(count)
        except Exception as error:
            return _final(error, self.divisible)

    def _read(self, count: int) -> Replies:
        read, replies = self.connection.read_response, []
        for _ in range(count):
            try:
                replies.append(read(disable_decoding=True))
            except ResponseError as error:
                replies.append(error)
        return replies


class AsyncLoan:
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
        self.note = NOTHING_SENT

    async def __aenter__(self) -> AsyncLoan:
        try:
            if getattr(self._node, "single_connection_client", False):
                await self._node.initialize()
                self.connection = self._single = self._node.connection
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

    async def round_trip(self, request: list[bytes], lost: str) -> Any:
        """Send a request that may be sent again, and return its reply; as `Loan.round_trip`."""
        before = self.note
        await self._connect()
        self._transport = self.connection._writer.transport
        self.note = lost
        await self.connection.send_packed_command(request, check_health=False)
        try:
            return await self.connection.read_response(disable_decoding=True)
        except ConnectionError as error:
            self.note = before if _is_refusal(error) else lost
            raise

    async def attempt(self, request: list[bytes], count: int) -> Replies | Exception:
        """Send a request, and return its replies, or an error that allows no other attempt."""
        self.note = NOTHING_SENT
        if self.connection.is_connected and await self._has_unread():
            await self.connection.disconnect(nowait=True)
        await self._connect()
        unsent = await self._send(request)
        if unsent is not None:
            return unsent
        try:
            return await self._read(count)
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

    async def _send(self, request: list[bytes]) -> Exception | None:
        """Send a request; return an error after which it may have gone out whole."""
        self._transport = self.connection._writer.transport
        if self.divisible:
            self.note = _UNKNOWN
        try:
            await self.connection.send_packed_command(request, check_health=False)
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

    async def _read(self, count: int) -> Replies:
        read, replies = self.connection.read_response, []
        for _ in range(count):
            try:
                replies.append(await read(disable_decoding=True))
            except ResponseError as error:
                replies.append(error)
        return replies

    def _abandon(self) -> None:
        """Drop what waits to be sent, and take down whether the request had gone out whole."""
        transport, self._transport = self._transport, None
        if transport is not None:
            whole = transport.get_write_buffer_size() == 0
            transport.abort()
            if self.note is _UNKNOWN or self.note is NOTHING_SENT:
                self.note = _UNKNOWN if whole or self.divisible else NOTHING_SENT


def _raising(error: BaseException) -> Callable[[], Any]:
    def trip() -> Any:
        raise error

    return trip


def _outcome(error: BaseException, before: str, lost: str, *, sent: bool) -> str:
    """Return what is known after a request failed.

    Args:
        error: how it ended.
        before: what was known before.
        lost: what is known when the reply is lost.
        sent: whether the request went out whole; if not, it was not executed.
    """
    if sent:
        return before if isinstance(error, ConnectionError) and _is_refusal(error) else lost
    broken = isinstance(error, (ConnectionError, TimeoutError)) and not _interrupts(error)
    return before if broken else lost


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


def _known(note: str, error: BaseException, divisible: bool = False) -> str:
    """Return what is known about the data."""
    known = divisible or note is _AGAIN or not _is_refusal(error)
    return note if known else NOTHING_DONE


def _is_refusal(error: BaseException) -> bool:
    """Return whether a connection error is the server's answer: it executed nothing."""
    return isinstance(error, _REFUSED) or isinstance(_behind(error), ReadOnlyError)


def _behind(error: BaseException) -> BaseException | None:
    """Return what redis-py made a connection error of; not what the caller was handling already."""
    cause = error.__context__
    trace = None if cause is None else cause.__traceback__
    if trace is None or _library(trace) != "redis":  # caught where its traceback starts
        return None
    return cause


def _interrupts(error: BaseException) -> bool:
    """Return whether an error of sending was raised by a handler of signals.

    redis-py takes the built-in TimeoutError or OSError of a handler for the socket's. It may come
    when the request has gone out whole.
    """
    cause = _behind(error)
    trace = None if cause is None else cause.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and _library(trace) not in _SENDERS


def _library(trace: TracebackType) -> str:
    name: str = trace.tb_frame.f_globals.get("__name__", "")
    return name.partition(".")[0]


def _is_divisible(commands: Sequence[Command]) -> bool:
    """Return whether a request that was cut short may have been executed in part."""
    if commands[0][0] in ("MULTI", "ASKING"):
        return bool(commands[-1][0] == "WAIT")  # EXEC may have arrived without it
    return len(commands) > 1


def was_sent(error: BaseException) -> bool:
    """Return whether a connection error says that the outcome is unknown."""
    return _UNKNOWN in getattr(error, "__notes__", ())


def tell(error: BaseException, *, writes: bool) -> None:
    """Say what is known about the data after redis-py's own way to send, which sends again.

    Args:
        error: a connection's; left alone if it says already, or tells who may connect.
        writes: whether the request changes something.
    """
    if not hasattr(error, "__notes__") and not isinstance(error, AuthenticationError):
        error.add_note(_lost(writes))
