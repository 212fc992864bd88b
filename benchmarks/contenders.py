"""What a contender is, and the ways by hand: bare socket, bare command, redis-py's helper.

Each has the same methods; each method returns a callable that does the thing once. A contender
that cannot do a thing inherits a method that raises `NotOffered`. This library is in `ours`, the
others are in `peers`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping
from itertools import cycle, islice
from typing import Any, ClassVar

import orjson
import redis

__all__ = [
    "EC",
    "HELPER",
    "L1",
    "MINE",
    "ByHand",
    "Contender",
    "Helper",
    "NotOffered",
    "Raw",
    "connect",
    "pack",
    "values",
]

L1 = "L1: bare socket"
EC = "EC: execute_command + orjson"
HELPER = "redis-py json()"
MINE = "redisjson_dict, path key"

LEAF, LIST, NUMBER, ROWS = "$.a.b.c", "$.a.b.list", "$.a.b.n", "$.rows"
PAGE = 1000

Call = Callable[[], Any]


class NotOffered(Exception):
    """The contender has no such thing."""


def values() -> Call:
    """Return an endless supply of integers that are equally long."""
    return cycle(range(1000, 2000)).__next__


class Contender:
    """What every contender may offer; a method returns a callable that does it once.

    Args:
        url: the server's, by TCP or a Unix socket.
        prefix: what its keys start with; letters and digits.
    """

    name: ClassVar[str]
    module: ClassVar[str] = "redisjson_dict"

    def __init__(self, url: str, prefix: str) -> None:
        self.url = url
        self.prefix = prefix
        self.client = redis.Redis.from_url(url)

    def close(self) -> None:
        """Give back what it holds."""
        self.client.close()

    def store(self, key: str, document: Any) -> None:
        """Store a document its own way."""
        raise NotOffered

    def setter(self, key: str) -> Call:
        """Set the number ``a.b.c`` to another one."""
        raise NotOffered

    def appender(self, key: str) -> Call:
        """Append a number to ``a.b.list``."""
        raise NotOffered

    def reader(self, key: str) -> Call:
        """Read the number ``a.b.c``."""
        raise NotOffered

    def counter(self, key: str) -> Call:
        """Count ``rows``."""
        raise NotOffered

    def incrementer(self, key: str) -> Call:
        """Add one to ``a.b.n``."""
        raise NotOffered

    def number(self, key: str) -> int:
        """Return ``a.b.n``."""
        raise NotOffered

    def length(self, key: str) -> int:
        """Return the length of ``a.b.list``."""
        raise NotOffered

    def top_set(self, key: str, value: Any = None) -> Call:
        """Set a document: a number, another one each time, or a value."""
        raise NotOffered

    def top_get(self, key: str) -> Call:
        """Read a document that is a number."""
        raise NotOffered

    def top_in(self, key: str) -> Call:
        """Ask whether there is such a document."""
        raise NotOffered

    def top_del(self, keys: Iterable[str]) -> Call:
        """Delete the next document."""
        raise NotOffered

    def updater(self, documents: Mapping[str, Any]) -> Call:
        """Store many documents."""
        raise NotOffered

    def dumper(self) -> Call:
        """Read all documents as plain data."""
        raise NotOffered

    def sizer(self) -> Call:
        """Count all documents."""
        raise NotOffered

    def walker(self) -> Call:
        """Iterate over all keys."""
        raise NotOffered

    def batcher(self, key: str, count: int) -> Call:
        """Set ``a.b.c`` `count` times in one transaction."""
        raise NotOffered

    def top_batcher(self, count: int) -> Call:
        """Set `count` documents that are numbers in one transaction."""
        raise NotOffered


class ByHand(Contender):
    """redis-py's bare command and orjson: the least that a program of one's own would do."""

    name = EC

    def _run(self, *arguments: Any, **options: Any) -> Any:
        return self.client.execute_command(*arguments, **options)

    def store(self, key: str, document: Any) -> None:
        self._run("JSON.SET", self.prefix + key, "$", orjson.dumps(document))

    def setter(self, key: str) -> Call:
        name, run, value = self.prefix + key, self.client.execute_command, values()
        return lambda: run("JSON.SET", name, LEAF, orjson.dumps(value()))

    def appender(self, key: str) -> Call:
        name, run, value = self.prefix + key, self.client.execute_command, values()
        return lambda: run("JSON.ARRAPPEND", name, LIST, orjson.dumps(value()))

    def reader(self, key: str) -> Call:
        name, run = self.prefix + key, self.client.execute_command
        return lambda: orjson.loads(run("JSON.GET", name, LEAF, keys=[name]))[0]

    def counter(self, key: str) -> Call:
        name, run = self.prefix + key, self.client.execute_command
        return lambda: run("JSON.ARRLEN", name, ROWS)[0]

    def incrementer(self, key: str) -> Call:
        name, run = self.prefix + key, self.client.execute_command
        return lambda: run("JSON.NUMINCRBY", name, NUMBER, 1)

    def number(self, key: str) -> int:
        return int(orjson.loads(self._run("JSON.GET", self.prefix + key, NUMBER))[0])

    def length(self, key: str) -> int:
        return int(self._run("JSON.ARRLEN", self.prefix + key, LIST)[0])

    def top_set(self, key: str, value: Any = None) -> Call:
        name, run = self.prefix + key, self.client.execute_command
        following = values() if value is None else (lambda: value)
        return lambda: run("JSON.SET", name, "$", orjson.dumps(following()))

    def top_get(self, key: str) -> Call:
        name, run = self.prefix + key, self.client.execute_command
        return lambda: orjson.loads(run("JSON.GET", name, keys=[name]))

    def top_in(self, key: str) -> Call:
        name, run = self.prefix + key, self.client.execute_command
        return lambda: run("EXISTS", name)

    def top_del(self, keys: Iterable[str]) -> Call:
        following, run = iter(keys).__next__, self.client.execute_command
        return lambda: run("DEL", self.prefix + following())

    def updater(self, documents: Mapping[str, Any]) -> Call:
        def update() -> None:
            rest = iter(documents.items())
            while page := list(islice(rest, PAGE)):
                arguments: list[Any] = []
                for key, value in page:
                    arguments += (self.prefix + key, "$", orjson.dumps(value))
                self._run("JSON.MSET", *arguments)

        return update

    def dumper(self) -> Call:
        def dump() -> dict[str, Any]:
            found: dict[str, Any] = {}
            names = iter(self._scan())
            while page := list(islice(names, PAGE)):
                texts = self._run("JSON.MGET", *page, "$")
                for name, text in zip(page, texts, strict=True):
                    found[name[len(self.prefix) :].decode()] = orjson.loads(text)[0]
            return found

        return dump

    def sizer(self) -> Call:
        return lambda: len(self._scan())

    def walker(self) -> Call:
        return lambda: [name[len(self.prefix) :].decode() for name in self._scan()]

    def batcher(self, key: str, count: int) -> Call:
        name, value = self.prefix + key, values()

        def batch() -> None:
            with self.client.pipeline() as pipeline:
                for _ in range(count):
                    pipeline.execute_command("JSON.SET", name, LEAF, orjson.dumps(value()))
                pipeline.execute()

        return batch

    def top_batcher(self, count: int) -> Call:
        names, value = [f"{self.prefix}x{n}" for n in range(count)], values()

        def batch() -> None:
            with self.client.pipeline() as pipeline:
                for name in names:
                    pipeline.execute_command("JSON.SET", name, "$", orjson.dumps(value()))
                pipeline.execute()

        return batch

    def _scan(self) -> set[bytes]:
        found: set[bytes] = set()
        cursor = 0
        while True:
            cursor, names = self._run("SCAN", cursor, "MATCH", f"{self.prefix}*", "COUNT", 10_000)
            found.update(names)
            if int(cursor) == 0:
                return found


class Helper(ByHand):
    """redis-py's ``client.json()``, on a client of its own, whose replies it changes."""

    name = HELPER

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__(url, prefix)
        self.json = self.client.json()

    def setter(self, key: str) -> Call:
        name, json, value = self.prefix + key, self.json, values()
        return lambda: json.set(name, LEAF, value())

    def appender(self, key: str) -> Call:
        name, json, value = self.prefix + key, self.json, values()
        return lambda: json.arrappend(name, LIST, value())

    def reader(self, key: str) -> Call:
        name, json = self.prefix + key, self.json
        return lambda: json.get(name, LEAF)[0]

    def counter(self, key: str) -> Call:
        name, json = self.prefix + key, self.json
        return lambda: json.arrlen(name, ROWS)[0]

    def incrementer(self, key: str) -> Call:
        name, json = self.prefix + key, self.json
        return lambda: json.numincrby(name, NUMBER, 1)

    def number(self, key: str) -> int:
        return int(self.json.get(self.prefix + key, NUMBER)[0])

    def top_set(self, key: str, value: Any = None) -> Call:
        name, json = self.prefix + key, self.json
        following = values() if value is None else (lambda: value)
        return lambda: json.set(name, "$", following())

    def top_get(self, key: str) -> Call:
        name, json = self.prefix + key, self.json
        return lambda: json.get(name)

    def top_del(self, keys: Iterable[str]) -> Call:
        following, json = iter(keys).__next__, self.json
        return lambda: json.delete(self.prefix + following())

    def updater(self, documents: Mapping[str, Any]) -> Call:
        def update() -> None:
            rest = iter(documents.items())
            while page := list(islice(rest, PAGE)):
                self.json.mset([(self.prefix + key, "$", value) for key, value in page])

        return update

    def dumper(self) -> Call:
        def dump() -> dict[str, Any]:
            found: dict[str, Any] = {}
            names = iter(self._scan())
            while page := list(islice(names, PAGE)):
                for name, value in zip(page, self.json.mget(page, "$"), strict=True):
                    found[name[len(self.prefix) :].decode()] = value[0]
            return found

        return dump

    def batcher(self, key: str, count: int) -> Call:
        name, value = self.prefix + key, values()

        def batch() -> None:
            pipeline = self.json.pipeline()
            for _ in range(count):
                pipeline.set(name, LEAF, value())
            pipeline.execute()

        return batch

    def top_batcher(self, count: int) -> Call:
        names, value = [f"{self.prefix}x{n}" for n in range(count)], values()

        def batch() -> None:
            pipeline = self.json.pipeline()
            for name in names:
                pipeline.set(name, "$", value())
            pipeline.execute()

        return batch


def connect(url: str) -> socket.socket:
    """Return a bare connection to the server of a URL, logged in as its user."""
    with redis.Redis.from_url(url) as client:
        options = client.connection_pool.connection_kwargs
    if "path" in options:
        raw = socket.socket(socket.AF_UNIX)
        raw.connect(options["path"])
    else:
        raw = socket.create_connection(
            (options.get("host", "localhost"), options.get("port", 6379))
        )
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    login: list[list[Any]] = []
    if options.get("password"):
        user = [options["username"]] if options.get("username") else []
        login.append(["AUTH", *user, options["password"]])
    if options.get("db"):
        login.append(["SELECT", options["db"]])
    for arguments in login:
        raw.sendall(pack(*arguments))
        if not (reply := raw.recv(1 << 16)).startswith(b"+"):
            raise redis.AuthenticationError(reply.decode())
    return raw


def pack(*arguments: Any) -> bytes:
    """Return a command as it travels."""
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        data = argument if isinstance(argument, bytes) else str(argument).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


class Raw(ByHand):
    """The same bytes, packed beforehand, on a bare socket; the reply is received, not decoded."""

    name = L1

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__(url, prefix)
        self.socket = connect(url)

    def close(self) -> None:
        self.socket.close()
        super().close()

    def _sending(self, *arguments: Any) -> Call:
        """Return a callable for a command whose reply comes in one piece."""
        data, send, receive = pack(*arguments), self.socket.sendall, self.socket.recv

        def call() -> bytes:
            send(data)
            return receive(1 << 16)

        return call

    def _replaying(self, commands: list[tuple[Any, ...]]) -> Call:
        """Return a callable for commands with long replies, which must not change."""
        sizes = [(data := pack(*command), self._measured(data)) for command in commands]
        buffer = memoryview(bytearray(1 << 20))

        def call() -> None:
            for data, size in sizes:
                self.socket.sendall(data)
                while size > 0:
                    size -= self.socket.recv_into(buffer)

        return call

    def _measured(self, data: bytes) -> int:
        """Return how long a reply is, by sending a PING after the command."""
        self.socket.sendall(data + pack("PING", "the end of it"))
        end, seen, size = b"$13\r\nthe end of it\r\n", b"", 0
        while not seen.endswith(end):
            received = self.socket.recv(1 << 20)
            size += len(received)
            seen = (seen + received)[-len(end) :]
        return size - len(end)

    def setter(self, key: str) -> Call:
        return self._sending("JSON.SET", self.prefix + key, LEAF, b"1001")

    def appender(self, key: str) -> Call:
        return self._sending("JSON.ARRAPPEND", self.prefix + key, LIST, b"1001")

    def reader(self, key: str) -> Call:
        return self._sending("JSON.GET", self.prefix + key, LEAF)

    def counter(self, key: str) -> Call:
        return self._sending("JSON.ARRLEN", self.prefix + key, ROWS)

    def incrementer(self, key: str) -> Call:
        return self._sending("JSON.NUMINCRBY", self.prefix + key, NUMBER, 1)

    def top_set(self, key: str, value: Any = None) -> Call:
        text = b"1001" if value is None else orjson.dumps(value)
        return self._sending("JSON.SET", self.prefix + key, "$", text)

    def top_get(self, key: str) -> Call:
        return self._sending("JSON.GET", self.prefix + key)

    def top_in(self, key: str) -> Call:
        return self._sending("EXISTS", self.prefix + key)

    def top_del(self, keys: Iterable[str]) -> Call:
        following = iter([pack("DEL", self.prefix + key) for key in keys]).__next__

        def call() -> bytes:
            self.socket.sendall(following())
            return self.socket.recv(1 << 16)

        return call

    def updater(self, documents: Mapping[str, Any]) -> Call:
        commands = []
        rest = iter(documents.items())
        while page := list(islice(rest, PAGE)):
            arguments: list[Any] = []
            for key, value in page:
                arguments += (self.prefix + key, "$", orjson.dumps(value))
            commands.append(("JSON.MSET", *arguments))
        return self._replaying(commands)

    def dumper(self) -> Call:
        names = iter(self._scan())
        pages = iter(lambda: list(islice(names, PAGE)), [])
        return self._replaying([*self._scans(), *(("JSON.MGET", *page, "$") for page in pages)])

    def sizer(self) -> Call:
        return self._replaying(self._scans())

    def walker(self) -> Call:
        return self.sizer()

    def batcher(self, key: str, count: int) -> Call:
        return self._bulk(pack("JSON.SET", self.prefix + key, LEAF, b"1001") * count)

    def top_batcher(self, count: int) -> Call:
        names = [f"{self.prefix}x{n}" for n in range(count)]
        return self._bulk(b"".join(pack("JSON.SET", name, "$", b"1001") for name in names))

    def _bulk(self, commands: bytes) -> Call:
        """Return a callable for one transaction, sent whole."""
        data = pack("MULTI") + commands + pack("EXEC")
        size = self._measured(data)
        buffer = memoryview(bytearray(1 << 20))

        def call() -> None:
            left = size
            self.socket.sendall(data)
            while left > 0:
                left -= self.socket.recv_into(buffer)

        return call

    def _scans(self) -> list[tuple[Any, ...]]:
        commands: list[tuple[Any, ...]] = []
        cursor: Any = 0
        while True:
            commands.append(("SCAN", cursor, "MATCH", f"{self.prefix}*", "COUNT", 10_000))
            cursor, _ = self._run(*commands[-1])
            if int(cursor) == 0:
                return commands
