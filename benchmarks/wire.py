"""A relay on loopback, in a process of its own: counts what passes, and takes its time about it.

One thread and `select`, whose time-out has microseconds (that of `epoll` has milliseconds). What
arrives is due at the other side after half the round trip time; both directions keep their order.

- A *command* is counted when its last byte has arrived.
- A *round trip* begins with the first byte from the client after something was delivered to it;
  the parts of a long request, or of a pipeline, belong to the same one. That is exact as long as a
  client sends all of it before the first answer can be back: counting relays wait 10 ms.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import multiprocessing.connection
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from benchmarks.contenders import connect, pack

__all__ = ["COUNTING", "Relay", "Traffic", "check"]

COUNTING = 0.010
"""Seconds of round trip time of a relay that counts."""

_PIECE = 1 << 20
_AWAKE = 0.0004  # seconds by which a sleep may be late on a virtual machine
_TIMER_SLACK = 29  # prctl(PR_SET_TIMERSLACK)


class Traffic(NamedTuple):
    """What passed.

    Attributes:
        commands: whole commands.
        trips: round trips.
        up: bytes from the client.
        down: bytes to the client.
    """

    commands: int = 0
    trips: int = 0
    up: int = 0
    down: int = 0


class Relay:
    """A relay in front of a server, for a ``with`` block.

    Args:
        url: the server's.
        rtt: seconds that every round trip takes longer.
        cores: where its process runs; None for anywhere.
    """

    def __init__(self, url: str, rtt: float = 0.0, cores: set[int] | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, url, rtt / 2, cores), daemon=True
        )
        self._process.start()
        theirs.close()
        self.port: int = self._pipe.recv()
        self.url = f"redis://127.0.0.1:{self.port}"

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(OSError):
            self._pipe.send("end")
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()

    def traffic(self) -> Traffic:
        """Return what passed so far; final for every call that has returned."""
        self._pipe.send("count")
        return Traffic(*self._pipe.recv())

    def cost(self, call: Callable[[], Any]) -> Traffic:
        """Return what one call costs."""
        before = self.traffic()
        call()
        return Traffic(*(now - then for now, then in zip(self.traffic(), before, strict=True)))


class _Requests:
    """Counts the commands in a stream of RESP, whatever the size of its pieces."""

    def __init__(self) -> None:
        self._line = b""
        self._skip = 0
        self._left = 0

    def feed(self, data: bytes) -> int:
        """Return how many commands end in this piece."""
        ended = at = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                at += step
                self._skip -= step
                if not self._skip and not self._left:
                    ended += 1
                continue
            end = data.find(b"\n", at)
            if end < 0:
                self._line += data[at:]
                break
            self._header(self._line + data[at:end])
            self._line = b""
            at = end + 1
        return ended

    def _header(self, line: bytes) -> None:
        number = int(line[1:])
        if line[:1] == b"*":
            self._left = number
        else:
            self._left -= 1
            self._skip = number + 2


class _Way:
    """One direction of one connection: what waits to be delivered."""

    def __init__(self, source: socket.socket, target: socket.socket, *, up: bool) -> None:
        self.source = source
        self.target = target
        self.up = up
        self.waiting: deque[tuple[float, memoryview]] = deque()
        self.requests = _Requests()
        self.partner: _Way | None = None
        self.asking = False


class _Server:
    """The relay's loop."""

    def __init__(self, pipe: Any, url: str, delay: float) -> None:
        self.pipe, self.url, self.delay = pipe, url, delay
        self.counts = [0, 0, 0, 0]
        self.ways: dict[socket.socket, _Way] = {}
        self.listener = socket.create_server(("127.0.0.1", 0))
        pipe.send(self.listener.getsockname()[1])

    def run(self) -> None:
        while True:
            now = time.perf_counter()
            blocked = [way.target for way in self.ways.values() if self._due(way) <= now]
            readable, _, _ = select.select(
                [self.pipe, self.listener, *self.ways], blocked, [], self._pause(now)
            )
            for source in readable:
                if source is self.pipe:
                    if not self._control():
                        return
                elif source is self.listener:
                    self._accept()
                elif source in self.ways:
                    self._receive(self.ways[source])
            for way in list(self.ways.values()):
                self._deliver(way)

    def _control(self) -> bool:
        try:
            wanted = self.pipe.recv()
        except EOFError:
            return False
        if wanted == "count":
            self.pipe.send(self.counts)
        return bool(wanted == "count")

    def _accept(self) -> None:
        client, _ = self.listener.accept()
        server = connect(self.url)
        up, down = _Way(client, server, up=True), _Way(server, client, up=False)
        up.partner, down.partner = down, up
        for end in (client, server):
            end.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.ways |= {client: up, server: down}

    def _receive(self, way: _Way) -> None:
        try:
            data = way.source.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(way)
            return
        if way.up:
            self.counts[0] += way.requests.feed(data)
            self.counts[1] += not way.asking
            way.asking = True
        self.counts[2 if way.up else 3] += len(data)
        way.waiting.append((time.perf_counter() + self.delay, memoryview(data)))

    def _deliver(self, way: _Way) -> None:
        while self._due(way) <= time.perf_counter():
            when, data = way.waiting[0]
            try:
                sent = way.target.send(data)
            except BlockingIOError:
                return
            except OSError:
                self._drop(way)
                return
            if not way.up and way.partner is not None:
                way.partner.asking = False
            if sent < len(data):
                way.waiting[0] = (when, data[sent:])
            else:
                way.waiting.popleft()

    def _drop(self, way: _Way) -> None:
        for end in (way.source, way.target):
            self.ways.pop(end, None)
            end.close()

    def _pause(self, now: float) -> float | None:
        """Return how long to sleep; the last part is waited out awake, for exactness."""
        due = min((self._due(way) for way in self.ways.values()), default=float("inf"))
        left = due - now
        if due == float("inf") or left <= 0:  # then the client's buffer is full: wait for it
            return None
        return max(0.0, left - _AWAKE)

    @staticmethod
    def _due(way: _Way) -> float:
        return way.waiting[0][0] if way.waiting else float("inf")


def _serve(pipe: Any, url: str, delay: float, cores: set[int] | None) -> None:
    with contextlib.suppress(OSError, AttributeError):  # Linux only; elsewhere delays are coarser
        ctypes.CDLL(None).prctl(_TIMER_SLACK, 1000, 0, 0, 0)
    if cores:
        from benchmarks.measure import pin

        pin(0, cores)
    _Server(pipe, url, delay).run()


def check(url: str, rtt: float, cores: set[int] | None) -> Iterator[tuple[str, float]]:
    """Yield how exact a relay is: microseconds of one PING, without and with it."""
    with Relay(url, rtt, cores) as relay:
        for name, address in (("direct", url), ("relayed", relay.url)):
            with contextlib.closing(connect(address)) as raw:
                times = []
                for _ in range(60):
                    started = time.perf_counter()
                    raw.sendall(pack("PING"))
                    raw.recv(100)
                    times.append(time.perf_counter() - started)
                yield name, sorted(times)[30] * 1e6
