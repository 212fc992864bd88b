"""A TCP relay between a client and a real server: counts what passes, and loses it when told to.

Requests are told apart by reading RESP, so a count is exact whatever the size of the packets; a
request is counted, and forwarded, only when it has arrived whole. What was counted when the client
has its reply is final: counting precedes forwarding.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from closing import Closing

__all__ = ["Fault", "Relay", "Traffic"]

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: close() resets the connection


class Traffic(NamedTuple):
    """What passed the relay.

    Attributes:
        requests: whole commands.
        turns: how often a request was sent when every earlier one had been answered.
        up: bytes from the client.
        down: bytes to the client.
    """

    requests: int = 0
    turns: int = 0
    up: int = 0
    down: int = 0

    def __sub__(self, other: Traffic) -> Traffic:  # type: ignore[override]
        return Traffic(*(mine - theirs for mine, theirs in zip(self, other, strict=True)))


class Fault:
    """What is to happen to the next requests that contain a marker.

    Attributes:
        mode: ``close``: the server executes it, its reply is thrown away, the client's connection
            is closed; ``swallow``: the same, but the connection stays open and silent; ``cut``:
            only the first `after` bytes arrive, then both connections are reset; ``reply``: the
            server executes it, the client gets the first `after` bytes of what comes back, then
            both connections are closed.
        times: how many requests it still applies to.
        hits: how many it was applied to.
        ended: set when the connection that it was applied to has been closed.
    """

    def __init__(self, mode: str, marker: bytes, times: int = 1, after: int = 0) -> None:
        self.mode = mode
        self.marker = marker
        self.times = times
        self.after = after
        self.hits = 0
        self.ended = threading.Event()
        self._lock = threading.Lock()

    def takes(self, data: bytes | bytearray) -> bool:
        """Return whether a request is to be lost, and count it."""
        with self._lock:
            if self.times <= 0 or self.marker not in data:
                return False
            self.times -= 1
            self.hits += 1
            return True

    def cuts(self, data: bytearray) -> bool:
        """Return whether a request that has arrived so far is to be cut here, and count it."""
        return self.mode == "cut" and len(data) >= self.after and self.takes(data)


class Relay(Closing):
    """A relay in front of one server.

    Args:
        url: the server's, with a TCP port or a Unix socket.
    """

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._lock = threading.Lock()
        self._traffic = Traffic()
        self._fault: Fault | None = None
        self._pairs: list[_Pair] = []
        self._closed = False
        self._listener = socket.socket()
        # A small buffer, inherited by what is accepted: a large request blocks its sender early.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(64)
        self.host, self.port = self._listener.getsockname()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def url(self) -> str:
        """The same server's URL by way of the relay."""
        user, at, _ = self._parts.netloc.rpartition("@")
        database = "" if self._parts.scheme == "unix" else self._parts.path
        return urlunsplit(("redis", f"{user}{at}{self.host}:{self.port}", database, "", ""))

    @property
    def traffic(self) -> Traffic:
        """Everything so far."""
        with self._lock:
            return self._traffic

    @contextlib.contextmanager
    def losing(
        self, marker: bytes, mode: str = "close", times: int = 1, after: int = 0
    ) -> Iterator[Fault]:
        """Lose requests that contain a marker, or their replies, during a block."""
        fault = self._fault = Fault(mode, marker, times, after)
        try:
            yield fault
        finally:
            self._fault = None

    def drop(self) -> None:
        """Close all connections, as a server that restarts does."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            pair.close()
        for pair in pairs:
            pair.join()

    def close(self) -> None:
        """Stop; every connection is closed and every thread has ended."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        self.drop()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            pair = _Pair(self, client, self._connect())
            with self._lock:
                self._pairs.append(pair)
            pair.start()

    def _connect(self) -> socket.socket:
        if self._parts.scheme == "unix":
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._parts.path)
            return server
        return socket.create_connection((self._parts.hostname, self._parts.port or 6379))

    def _count(self, requests: int = 0, turns: int = 0, up: int = 0, down: int = 0) -> None:
        with self._lock:
            now = self._traffic
            self._traffic = Traffic(
                now.requests + requests, now.turns + turns, now.up + up, now.down + down
            )


class _Pair:
    """One client's connection and the server's."""

    def __init__(self, relay: Relay, client: socket.socket, server: socket.socket) -> None:
        self.relay, self.client, self.server = relay, client, server
        self.doomed: Fault | None = None
        self.cutting = False
        self.passed = 0  # bytes of a reply that is to be cut
        self.answered = True
        self.threads = [
            threading.Thread(target=work, daemon=True) for work in (self._up, self._down)
        ]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def join(self) -> None:
        for thread in self.threads:
            thread.join()
        self.client.close()
        self.server.close()

    def close(self, *, reset: bool = False) -> None:
        # The server's first: when the client learns of it, no byte reaches the server any more.
        for end in (self.server, self.client):
            with contextlib.suppress(OSError):
                if reset:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    end.close()
                else:
                    end.shutdown(socket.SHUT_RDWR)

    def _up(self) -> None:
        pending = bytearray()
        try:
            while data := self.client.recv(1 << 20):
                pending += data
                fault = self.relay._fault
                if fault is not None and fault.cuts(pending):
                    self._cut(bytes(pending[: fault.after]))
                    fault.ended.set()
                    return
                while (size := _request_size(pending)) and len(pending) >= size:
                    self._forward(bytes(pending[:size]))
                    del pending[:size]
        except OSError:
            pass
        self.close()

    def _cut(self, part: bytes) -> None:
        self.cutting = True
        self.server.sendall(part)
        self.server.shutdown(socket.SHUT_WR)
        while self.server.recv(1 << 16):  # until the server has seen that no more comes
            pass
        self.close(reset=True)

    def _forward(self, request: bytes) -> None:
        fault = self.relay._fault
        if self.doomed is not fault and self.passed:
            self.doomed = None  # the reply was shorter than where it was to be cut
        if fault is not None and fault.mode != "cut" and fault.takes(request):
            self.doomed, self.passed = fault, 0
        self.relay._count(requests=1, turns=int(self.answered), up=len(request))
        self.answered = False
        self.server.sendall(request)

    def _down(self) -> None:
        try:
            while data := self.server.recv(1 << 20):
                self.answered = True
                doomed = self.doomed  # as it is now: the client may send more when it has this
                if doomed is not None and doomed.mode == "swallow":
                    continue
                if doomed is not None:
                    data = data[: doomed.after - self.passed]
                    self.passed += len(data)
                self.relay._count(down=len(data))
                self.client.sendall(data)
                if doomed is not None and self.passed == doomed.after:
                    break
        except OSError:
            pass
        if not self.cutting:
            self.close()
        if self.doomed is not None:
            self.doomed.ended.set()


def _request_size(data: bytearray) -> int:
    """Return how many bytes the first request has; 0 while that cannot be told."""
    if not data:
        return 0
    assert data[:1] == b"*", data[:50]
    end = data.find(b"\r\n")
    if end < 0:
        return 0
    at = end + 2
    for _ in range(int(data[1:end])):
        end = data.find(b"\r\n", at)
        if end < 0:
            return 0
        at = end + 2 + int(data[at + 1 : end]) + 2
    return at
