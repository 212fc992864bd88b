"""A real server in the states in which it refuses: made by its own settings, ended the same way."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import redis

from redisjson_dict.server import Binary, Server

__all__ = ["STATES", "State", "pressable", "pressed", "refusing"]


class State(NamedTuple):
    """A state in which a server refuses.

    Attributes:
        on: the command that begins it.
        off: the command that ends it.
        error: what redis-py raises.
        words: what the message has.
        reads: whether reads are answered.
    """

    on: tuple[str, ...]
    off: tuple[str, ...]
    error: type[redis.RedisError]
    words: str
    reads: bool = True


STATES: dict[str, State] = {
    "out of memory": State(
        ("CONFIG", "SET", "maxmemory", "1"),
        ("CONFIG", "SET", "maxmemory", "0"),
        redis.exceptions.OutOfMemoryError,
        "maxmemory",
    ),
    "replica": State(
        ("REPLICAOF", "127.0.0.1", "1"),  # nobody listens there: the data stay
        ("REPLICAOF", "NO", "ONE"),
        redis.exceptions.ReadOnlyError,
        "read only replica",
    ),
    "cut-off replica": State(
        ("REPLICAOF", "127.0.0.1", "1"),
        ("REPLICAOF", "NO", "ONE"),
        redis.exceptions.ResponseError,
        "",
        reads=False,
    ),
    "MISCONF": State(
        ("CONFIG", "SET", "stop-writes-on-bgsave-error", "yes"),
        ("CONFIG", "SET", "stop-writes-on-bgsave-error", "no"),
        redis.exceptions.ResponseError,
        "MISCONF",
    ),
    "NOREPLICAS": State(
        ("CONFIG", "SET", "min-replicas-to-write", "1"),
        ("CONFIG", "SET", "min-replicas-to-write", "0"),
        redis.exceptions.ResponseError,
        "NOREPLICAS",
    ),
    "BUSY": State((), (), redis.exceptions.ResponseError, "BUSY", reads=False),
}

_LOOP = "local n = 0 for i = 1, 3000000 do n = n + i end return n"


@contextlib.contextmanager
def pressable(binary: Binary | None = None) -> Iterator[Server]:
    """Start a server whose last snapshot failed, for it was to replace a directory."""
    options = {"dbfilename": "taken", "save": "86400 1000000", "busy_reply_threshold": "10"}
    with Server(binary=binary, **options) as server, redis.Redis.from_url(server.url) as client:
        client.config_set("stop-writes-on-bgsave-error", "no")
        (Path(client.config_get("dir")["dir"]) / "taken").mkdir()
        client.set("something", "to save")
        client.bgsave()
        deadline = time.monotonic() + 20
        while client.info("persistence")["rdb_last_bgsave_status"] != "err":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        client.delete("something")
        yield server
        client.config_set("save", "")  # else it would not end without a snapshot


@contextlib.contextmanager
def refusing(client: redis.Redis, name: str) -> Iterator[State]:
    """Have a server refuse during a block."""
    state = STATES[name]
    if name == "BUSY":
        with _busy(client):
            yield state
        return
    client.config_set("replica-serve-stale-data", "yes" if state.reads else "no")
    client.execute_command(*state.on)
    try:
        yield state
    finally:
        client.execute_command(*state.off)


@contextlib.contextmanager
def _busy(client: redis.Redis) -> Iterator[None]:
    """Keep a server busy with another client's script, which is killed in the end."""

    def run() -> None:
        options = client.get_connection_kwargs() | {"retry": None, "socket_timeout": None}
        pool = redis.ConnectionPool(
            connection_class=client.connection_pool.connection_class, **options
        )
        with redis.Redis(connection_pool=pool) as other, contextlib.suppress(redis.ResponseError):
            other.eval("while true do end", 0)
        pool.disconnect()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not _is_busy(client):
            assert time.monotonic() < deadline
        yield
    finally:
        client.execute_command("SCRIPT", "KILL")
        thread.join()


def _is_busy(client: redis.Redis) -> bool:
    try:
        client.ping()
    except redis.ResponseError:
        return True
    return False


@contextlib.contextmanager
def pressed(client: redis.Redis, name: str) -> Iterator[Callable[[], None]]:
    """Yield what has a server refuse for a moment, and work for a moment."""
    state = STATES[name]
    client.config_set("replica-serve-stale-data", "yes" if state.reads else "no")

    def press() -> None:
        if name == "BUSY":
            began = time.monotonic()
            client.eval(_LOOP, 0)
            time.sleep(time.monotonic() - began)
        else:
            client.execute_command(*state.on)
            time.sleep(0.002)
            client.execute_command(*state.off)
        time.sleep(0.004)

    yield press
