"""What a client is, and how several commands get to the node that answers for a key.

Theory of operation. On one server that is a loan (see `loans`). On a Cluster the loan is from the
key's node; where the node has moved or was not reached, a read through the client makes redis-py
follow and refresh its map, then it is tried again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Hashable, Sequence
from types import FunctionType
from typing import Any

from redis.exceptions import (
    AskError,
    ClusterDownError,
    ConnectionError,
    MovedError,
    NoPermissionError,
    RedisClusterException,
    RedisError,
    TimeoutError,
    TryAgainError,
)

from redisjson_dict.loans import (
    NOTHING_DONE,
    NOTHING_SENT,
    Replies,
    atogether,
    together,
    was_sent,
)
from redisjson_dict.resp import Command

__all__ = [
    "REDIRECTIONS",
    "aexchange",
    "aexchange_node",
    "ainitialize",
    "arefresh",
    "exchange",
    "exchange_node",
    "has_decoder",
    "has_user",
    "is_cluster",
    "is_plain",
    "refresh",
    "slot_of",
]

_TRIES = 16
REDIRECTIONS = (AskError, MovedError, TryAgainError, ClusterDownError)
_DECODED = frozenset(("JSON.GET", "JSON.MGET"))


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
        "execute_command" not in vars(client)
        and isinstance(method, FunctionType)
        and method.__module__.startswith("redis.")
        and not hasattr(method, "__wrapped__")
    )


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
        return together(client, commands)
    routing = _routing(client, key, commands)
    answer: Any = None
    try:
        step = next(routing)
        while True:
            try:
                if step is None:
                    answer = client.execute_command("EXISTS", key)
                elif isinstance(step, tuple):
                    answer = together(client.get_redis_connection(step[0]), step[1])
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
        return await atogether(client, commands)
    routing = _routing(client, key, commands)
    answer: Any = None
    try:
        step = next(routing)
        while True:
            try:
                if step is None:
                    answer = await client.execute_command("EXISTS", key)
                elif isinstance(step, tuple):
                    answer = await atogether(*step)
                else:
                    await asyncio.sleep(step)
            except (RedisError, RedisClusterException) as error:
                step = routing.throw(error)
            else:
                step = routing.send(answer)
    except StopIteration as stop:
        replies: Replies = stop.value
        return replies


def refresh(client: Any) -> None:
    """Have a Cluster's client look at the nodes: keys on one that has joined would be missed.

    Raises:
        redis.RedisError, redis.RedisClusterException: with a note, as `exchange`.
    """
    if is_cluster(client):
        try:
            client.nodes_manager.initialize()
        except (RedisError, RedisClusterException) as error:
            error.add_note(NOTHING_SENT)
            raise


async def arefresh(client: Any) -> None:
    """Do as `refresh` does, on a client of `redis.asyncio`."""
    await ainitialize(client)
    if is_cluster(client):
        try:
            await client.nodes_manager.initialize()
        except (RedisError, RedisClusterException) as error:
            error.add_note(NOTHING_SENT)
            raise


async def ainitialize(client: Any) -> None:
    """Make a client of `redis.asyncio` ready: a Cluster's learns its nodes, a single one connects.

    Raises:
        redis.ConnectionError, redis.TimeoutError: with a note, as `exchange`.
    """
    try:
        await client.initialize()
    except (RedisError, RedisClusterException) as error:
        error.add_note(NOTHING_SENT)
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
    refusal.add_note(NOTHING_DONE)
    raise refusal


def _node_of(client: Any, key: bytes) -> Any:
    try:
        return client.get_node_from_key(key)
    except RedisClusterException as error:  # no node serves its slot
        error.add_note(NOTHING_SENT)
        raise


def _asked_for(client: Any, refusal: Exception) -> Any:
    """Return the node that an ASK names; None if it is no ASK, or the client knows no such node."""
    if isinstance(refusal, AskError):
        return client.get_node(refusal.host, refusal.port)
    return None


def _following(refusal: Exception, attempt: int) -> Generator[Step, Any, None]:
    """Wait for a moving slot, or have the client follow the key to its new node."""
    if isinstance(refusal, NoPermissionError):
        refusal.add_note(f"in ASKING, while the slot moves: {NOTHING_DONE}")
        raise refusal
    if isinstance(refusal, (AskError, TryAgainError, ClusterDownError)):
        yield 0.05 * attempt
        return
    try:
        yield None
    except Exception as error:
        error.add_note(NOTHING_SENT)
        raise


def exchange_node(client: Any, node: Any, commands: Sequence[Command]) -> Replies:
    """Return the replies of one node of a Cluster, whatever they are."""
    return together(client.get_redis_connection(node), commands)


async def aexchange_node(client: Any, node: Any, commands: Sequence[Command]) -> Replies:
    """Do as `exchange_node` does, on a client of `redis.asyncio`."""
    return await atogether(node, commands)


def _asked(commands: Sequence[Command], asking: bool) -> Sequence[Command]:
    return [("ASKING",), *commands] if asking else commands


def _redirection(replies: Replies, asking: bool) -> Any:
    """Return what kept commands from being run: a redirection, or that ASKING was refused."""
    redirections = [reply for reply in replies if isinstance(reply, REDIRECTIONS)]
    if redirections and asking and isinstance(replies[0], NoPermissionError):
        return replies[0]
    return redirections[0] if redirections else None
