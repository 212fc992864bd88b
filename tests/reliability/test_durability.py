"""Exactly what was acknowledged: a server is killed under load, nothing is lost or doubled."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis
from both_ways import LOST, WAYS, Subject
from clusters import free_ports, kill
from redis.backoff import ConstantBackoff

from redisjson_dict import RedisJSONDict
from redisjson_dict.server import Binary, Server, binaries

SPAWN = multiprocessing.get_context("spawn")
PREFIX = "lab:"
WORKERS = 4


class Log(NamedTuple):
    """What a writer did: token by token, whether it was acknowledged, and with what result."""

    done: dict[str, Any]
    unknown: set[str]
    nothing: set[str]


Action = Callable[[Subject, str, int], Any]


def fill(batch: Any, token: str) -> None:
    batch["batches"]["one"].append(token)
    batch["batches"]["two"].append(token)
    batch["batch set"][token].set(1)


def add_sorted(s: Subject, token: str, worker: int) -> None:
    """Append by compare-and-set, twice over: `modify`, and `sort` of what only we change."""
    s.run(lambda: s.d.at("modified").modify(lambda old: [*old, token]))
    s.run(lambda: s.d.at(f"own {worker}", "l").sort())


ACTIONS: dict[str, Action] = {
    "append": lambda s, token, _: s.run(lambda: s.d.at("appended").append(token)),
    "insert": lambda s, token, _: s.run(lambda: s.d.at("inserted").insert(0, token)),
    "set": lambda s, token, _: s.run(lambda: s.d.at("set", "deep", token).set({"a": [token]})),
    "setdefault": lambda s, token, _: s.run(lambda: s.d.at("defaults").setdefault(token, token)),
    "incr": lambda s, _, worker: s.run(lambda: s.d.incr(("counts", f"own {worker}"))),
    "incr shared": lambda s, _, worker: s.run(lambda: s.d.incr(("counts", "shared"))),
    "update": lambda s, token, w: s.run(
        lambda: s.d.update({f"many {w} {n}": {"token": token} for n in range(3)})
    ),
    "batch": lambda s, token, _: s.batch(lambda batch: fill(batch, token)),
    "modify": add_sorted,
}
EMPTY: dict[str, Any] = {
    "appended": [],
    "inserted": [],
    "modified": [],
    "set": {"deep": {}},
    "defaults": {},
    "counts": {"shared": 0},
    "batches": {"one": [], "two": []},
    "batch set": {},
}


def act(subject: Subject, worker: int, name: str, number: int, log: Log) -> None:
    """Do one thing and take down what was said about it."""
    token = f"{name}-{worker}-{number}"
    try:
        log.done[token] = ACTIONS[name](subject, token, worker)
    except LOST as error:
        told = " ".join(getattr(error, "__notes__", []))
        (log.unknown if "unknown" in told else log.nothing).add(token)
        time.sleep(0.005)


def write(subject: Subject, worker: int, going: Callable[[], bool]) -> Log:
    """Write as fast as possible, until told to stop."""
    log = Log({}, set(), set())
    number = 0
    while going():
        for name in ACTIONS:
            act(subject, worker, name, number, log)
        number += 1
    return log


def write_in_process(way: str, url: str, worker: int, pipe: Connection) -> None:
    with WAYS[way](url, PREFIX, retries=3, backoff=ConstantBackoff(0.02)) as subject:
        pipe.send(None)
        log = write(subject, worker, lambda: not pipe.poll())
    pipe.send(log)
    pipe.close()


class Writers:
    """Four writers at once: two threads that share one dict, and two processes, one asyncio."""

    def __init__(self, url: str, shared: Subject) -> None:
        self._stop = threading.Event()
        self.logs: dict[int, Log] = {}
        self._threads = [
            threading.Thread(target=self._thread, args=(shared, worker)) for worker in (0, 1)
        ]
        self._processes = []
        for worker, way in ((2, "blocking"), (3, "asyncio")):
            mine, theirs = SPAWN.Pipe()
            process = SPAWN.Process(target=write_in_process, args=(way, url, worker, theirs))
            process.start()
            theirs.close()
            self._processes.append((worker, process, mine))
        for _, _, pipe in self._processes:
            pipe.recv()
        for thread in self._threads:
            thread.start()

    def _thread(self, subject: Subject, worker: int) -> None:
        self.logs[worker] = write(subject, worker, lambda: not self._stop.is_set())

    def stop(self) -> dict[int, Log]:
        self._stop.set()
        for _, _, pipe in self._processes:
            pipe.send(None)
        for thread in self._threads:
            thread.join()
        for worker, process, pipe in self._processes:
            self.logs[worker] = pipe.recv()
            pipe.close()
            process.join()
            process.close()
        return self.logs


def once_each(stored: list[str], name: str, logs: dict[int, Log]) -> int:
    """Check that what was acknowledged is there once, and nothing else but what is unknown."""
    done = {t for log in logs.values() for t in log.done if t.startswith(f"{name}-")}
    unknown = {t for log in logs.values() for t in log.unknown if t.startswith(f"{name}-")}
    assert len(stored) == len(set(stored)), f"{name}: twice"
    assert done <= set(stored), f"{name}: lost"
    assert set(stored) <= done | unknown, f"{name}: from nowhere, or said not to be there"
    return len(done)


def check_counts(state: dict[str, Any], logs: dict[int, Log]) -> None:
    """An `incr` was counted once, and each result was given to one caller."""
    shared: list[int] = []
    maybe = 0
    for worker, log in logs.items():
        own = [v for t, v in log.done.items() if t.startswith("incr-")]
        lost = sum(t.startswith("incr-") for t in log.unknown)
        assert own == sorted(set(own))
        count = state["counts"].get(f"own {worker}", 0)
        assert max(own, default=0) <= count
        assert len(own) <= count <= len(own) + lost
        shared += [v for t, v in log.done.items() if t.startswith("incr shared-")]
        maybe += sum(t.startswith("incr shared-") for t in log.unknown)
    assert len(shared) == len(set(shared))
    assert max(shared, default=0) <= state["counts"]["shared"] <= len(shared) + maybe


def check_updates(state: dict[str, Any], logs: dict[int, Log]) -> None:
    """All three documents of an `update` were stored together, the last acknowledged or later."""
    for worker, log in logs.items():
        tokens = {state.get(f"many {worker} {n}", {}).get("token") for n in range(3)}
        assert len(tokens) == 1, "half an update"
        (token,) = tokens
        done = [int(t.rpartition("-")[2]) for t in log.done if t.startswith("update-")]
        tried = done + [int(t.rpartition("-")[2]) for t in log.unknown if t.startswith("update-")]
        if done:
            number = int(token.rpartition("-")[2])
            assert number in tried
            assert number >= max(done)


def check(state: dict[str, Any], logs: dict[int, Log]) -> int:
    """Check all that is promised; return how many writes had been acknowledged."""
    once_each(state["appended"], "append", logs)
    once_each(state["inserted"], "insert", logs)
    once_each(list(state["defaults"]), "setdefault", logs)
    once_each(list(state["set"]["deep"]), "set", logs)
    once_each(state["batches"]["one"], "batch", logs)
    stored = state["modified"]
    assert len(stored) == len(set(stored))
    done = {t for log in logs.values() for t in log.done if t.startswith("modify-")}
    assert done <= set(stored)
    assert state["batches"]["one"] == state["batches"]["two"], "half a batch"
    assert set(state["batches"]["one"]) == set(state["batch set"]), "half a batch"
    assert all(v == {"a": [t]} for t, v in state["set"]["deep"].items())
    assert all(v == t for t, v in state["defaults"].items())
    for log in logs.values():
        assert all(v == t for t, v in log.done.items() if t.startswith("setdefault-"))
    check_counts(state, logs)
    check_updates(state, logs)
    return sum(len(log.done) for log in logs.values())


@pytest.fixture(params=[binary.name for binary in binaries()] or ["none"])
def binary(request: pytest.FixtureRequest) -> Binary:
    found = [binary for binary in binaries() if binary.name == request.param]
    if not found:
        pytest.skip("no server program starts on this machine")
    return found[0]


class Restarting:
    """A server on a port and a directory of its own, that is killed and started again."""

    def __init__(self, binary: Binary, path: Path) -> None:
        self.binary, self.path = binary, path
        (self.port,) = free_ports(1)
        self.server = self._start()
        self.url = self.server.url

    def _start(self) -> Server:
        return Server(self.path, port=self.port, binary=self.binary, appendfsync="always")

    def kill(self) -> None:
        kill(self.server)

    def restart(self) -> None:
        self.server = self._start()

    def close(self) -> None:
        self.server.close()


@pytest.fixture
def restarting(binary: Binary, tmp_path: Path) -> Iterator[Restarting]:
    one = Restarting(binary, tmp_path)
    yield one
    one.close()


def prepared(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        truth = RedisJSONDict(client, PREFIX)
        truth.update(EMPTY)
        truth.update({f"own {worker}": {"l": [3, 1, 2]} for worker in range(WORKERS)})


def state_of(url: str) -> dict[str, Any]:
    with redis.Redis.from_url(url) as client:
        return RedisJSONDict(client, PREFIX).to_python()


def test_killed_under_load(restarting: Restarting, effort: Any, figures: Any) -> None:
    """With appendfsync always: all that was acknowledged, and nothing twice."""
    prepared(restarting.url)
    options: dict[str, Any] = {"retries": 3, "backoff": ConstantBackoff(0.02)}
    rounds = effort.pick(2, 10)
    with WAYS["blocking"](restarting.url, PREFIX, **options) as shared:
        writers = Writers(restarting.url, shared)
        for _ in range(rounds):
            time.sleep(effort.pick(0.25, 2.0))
            restarting.kill()
            time.sleep(0.05)
            restarting.restart()
        time.sleep(0.2)
        logs = writers.stop()
        # The same dict and client go on.
        assert shared.run(lambda: shared.d.incr("afterwards")) == 1
    restarting.kill()
    restarting.restart()
    done = check(state_of(restarting.url), logs)

    unknown = sum(len(log.unknown) for log in logs.values())
    refused = sum(len(log.nothing) for log in logs.values())
    assert all(len(log.done) > 10 for log in logs.values())
    assert unknown + refused > 0
    figures[f"kill -9 under load, {restarting.binary.name}, {rounds} times"] = (
        f"{done} writes acknowledged, 0 lost, 0 twice; {unknown} unknown, {refused} not done"
    )


def _restarted(restarting: Restarting, subject: Subject, number: int) -> None:
    d = subject.d
    subject.run(lambda: d.update(doc={"l": [1, 2, 3], "n": 0}))
    restarting.kill()
    restarting.restart()
    with redis.Redis.from_url(restarting.url) as asking:
        assert asking.info("memory")["number_of_cached_scripts"] == 0
    assert subject.run(lambda: d.at("doc", "l").pop()) == 3
    assert subject.run(lambda: d.incr(("doc", "n"))) == 1
    subject.batch(lambda b: b["doc"]["l"].insert(0, number))
    assert subject.run(lambda: d.at("doc").to_python()) == {"l": [number, 1, 2], "n": 1}


def test_scripts_are_loaded_again_after_a_restart(restarting: Restarting) -> None:
    for way in WAYS.values():
        with way(restarting.url, PREFIX, retries=3) as subject:
            for number in range(2):
                _restarted(restarting, subject, number)


@pytest.mark.parametrize("way", WAYS)
def test_scripts_flushed_under_load(
    restarting: Restarting, way: str, effort: Any, figures: Any
) -> None:
    """Nobody notices, in batches neither; each incr has its own result."""
    prepared(restarting.url)
    stop = threading.Event()
    flushes = 0

    def flush() -> None:
        nonlocal flushes
        with redis.Redis.from_url(restarting.url) as client:
            while not stop.is_set():
                client.script_flush()
                flushes += 1

    logs: dict[int, Log] = {}
    end = time.monotonic() + effort.pick(0.5, 10.0)

    def work(worker: int) -> None:
        with WAYS[way](restarting.url, PREFIX, retries=0) as subject:
            logs[worker] = write(subject, worker, lambda: time.monotonic() < end)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(WORKERS)]
    flushing = threading.Thread(target=flush)
    for thread in (*threads, flushing):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    flushing.join()
    done = check(state_of(restarting.url), logs)

    assert [log.unknown | log.nothing for log in logs.values()] == [set()] * WORKERS
    assert flushes > 10
    name = f"SCRIPT FLUSH under load, {restarting.binary.name}, {way}"
    figures[name] = f"{done} writes, {flushes} flushes, no error"


def test_checks_notice_what_is_lost_or_doubled() -> None:
    """What the tests above stand on."""
    log = {0: Log({"append-0-0": None, "append-0-1": None}, {"append-0-2"}, set())}

    assert once_each(["append-0-1", "append-0-0"], "append", log) == 2
    assert once_each(["append-0-1", "append-0-0", "append-0-2"], "append", log) == 2
    for wrong in (["append-0-0"], ["append-0-0", "append-0-1", "append-0-1"], ["append-0-3"]):
        with pytest.raises(AssertionError):
            once_each(wrong, "append", log)
