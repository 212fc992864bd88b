"""A server that does not answer ends in a time-out, never in a hang, and is used again after it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import redis
from both_ways import LOST, WAYS, Asyncio, Blocking, Subject, notes
from clusters import LocalCluster, Node
from keyspace import empty
from redis.asyncio import BlockingConnectionPool as AsyncBlockingPool
from redis.backoff import ConstantBackoff
from test_retries import load_scripts

import redisjson_dict.asyncio
from redisjson_dict import RedisJSONDict
from redisjson_dict.exchange import slot_of
from redisjson_dict.server import Server

TIMEOUT = 0.3
SLACK = 3.0  # seconds; what is excluded is a hang, and time-outs that multiply
START: dict[str, Any] = {"l": [3, 1, 2], "n": 1, "t": "x", "o": {"a": 1}}
Call = Callable[[Subject], Any]


def below(verb: Callable[[Any], Any]) -> Call:
    return lambda s: s.run(lambda: verb(s.d.at("doc")))


def on_dict(verb: Callable[[Any], Any]) -> Call:
    return lambda s: s.run(lambda: verb(s.d))


def fill(batch: Any) -> None:
    batch["doc"]["l"].append(9)
    batch["doc"]["n"].set(2)


def keys(s: Subject) -> Any:
    return s.run(lambda: s.d.keys()) if isinstance(s, Asyncio) else list(s.d)


VERBS: dict[str, Call] = {
    "read": below(lambda r: r["n"].get()),
    "to_python": below(lambda r: r.to_python()),
    "set": below(lambda r: r["n"].set(5)),
    "append": below(lambda r: r["l"].append(9)),
    "pop": below(lambda r: r["l"].pop()),
    "incr": on_dict(lambda d: d.incr(("doc", "n"))),
    "modify": below(lambda r: r["n"].modify(lambda n: n + 9)),
    "sort": below(lambda r: r["l"].sort()),
    "update": on_dict(lambda d: d.update({"x": 1, "y": 2})),
    "batch": lambda s: s.batch(fill),
    "batch without transaction": lambda s: s.batch(fill, atomic=False),
    "scan": keys,
    "dict to_python": on_dict(lambda d: d.to_python()),
    "popitem": on_dict(lambda d: d.popitem()),
    "clear": on_dict(lambda d: d.clear()),
    "rename": on_dict(lambda d: d.rename("doc", "doc2")),
    "ttl": on_dict(lambda d: d.ttl("doc")),
}
FEW = ("read", "append", "modify", "update", "batch", "scan")


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a server: it keeps its connections, and says nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def timed_out(subject: Subject, call: Call) -> tuple[float, BaseException]:
    """Call a verb of a silent server; return how long it took, and its error."""
    began = time.monotonic()
    with pytest.raises(LOST) as caught:
        call(subject)
    took = time.monotonic() - began
    error = caught.value
    if isinstance(subject, Asyncio) and not isinstance(error, redis.TimeoutError):
        # redis-py, over a Unix socket: a handshake without an answer.
        assert isinstance(error.__cause__, redis.TimeoutError)
    else:
        assert isinstance(error, redis.TimeoutError)
    return took, error


def all_at_once(
    pid: int, subjects: Sequence[Subject], calls: Sequence[Call]
) -> list[tuple[float, BaseException]]:
    """Call verbs of a stopped server, each from a thread and with a client of its own."""
    with ThreadPoolExecutor(len(subjects)) as threads, stopped(pid):
        return list(threads.map(timed_out, subjects, calls))


@pytest.fixture(scope="module")
def frozen() -> Iterator[Server]:
    with Server(port=0) as server:
        load_scripts(server.client())
        yield server


@pytest.fixture
def truth(frozen: Server) -> RedisJSONDict:
    return emptied(frozen)


def emptied(server: Server) -> RedisJSONDict:
    client = server.client()
    empty(client)
    mine = RedisJSONDict(client, "t:")
    mine["doc"], mine["other"] = START, 0
    return mine


@pytest.fixture(scope="module", params=["tcp", "unix"])
def either(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server by each kind of socket."""
    with Server(port=0 if request.param == "tcp" else None) as server:
        load_scripts(server.client())
        yield server


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "fresh"])
@pytest.mark.parametrize("way", WAYS)
def test_every_verb_ends_in_a_timeout(
    either: Server, way: str, connected: bool, figures: Any
) -> None:
    truth = emptied(either)
    clients = [
        WAYS[way](either.url, "t:", retries=0, socket_timeout=TIMEOUT) for _ in range(len(VERBS))
    ]
    if connected:
        for subject in clients:
            assert subject.run(lambda s=subject: s.d.incr("other")) > 0
    before = truth.to_python()
    ends = all_at_once(either.pid, clients, list(VERBS.values()))
    longest = max(took for took, _ in ends)
    told = [notes(error) for _, error in ends]
    for number, subject in enumerate(clients):
        assert subject.run(lambda s=subject: s.d.incr("fresh")) == number + 1
        subject.close()

    assert [subject.borrowed() for subject in clients] == [0] * len(clients)
    assert longest < TIMEOUT + SLACK
    assert all("unknown" in t or "changed nothing" in t or "nothing was" in t for t in told)
    if not connected:
        assert truth.to_python() == before | {"fresh": len(VERBS)}
    figures[f"stopped server, {way}, socket timeout {TIMEOUT} s: longest verb"] = f"{longest:.2f} s"


@pytest.mark.parametrize("single", [False, True], ids=["pool", "single"])
@pytest.mark.parametrize("connected", [True, False], ids=["connected", "fresh"])
@pytest.mark.parametrize("way", WAYS)
def test_timeouts_do_not_multiply(
    either: Server, way: str, connected: bool, single: bool, figures: Any
) -> None:
    """Our own way to send takes no longer than redis-py's with the same settings."""
    emptied(either)
    retries, patience, pause = 2, 0.15, 0.02
    options = {
        "retries": retries,
        "backoff": ConstantBackoff(pause),
        "socket_timeout": patience,
        "single_connection_client": single,
    }

    calls: dict[str, Call] = {
        "PING": lambda s: s.run(lambda: s.client.execute_command("PING")),
        **{name: VERBS[name] for name in ("append", "modify", "batch", "set")},
    }
    with ExitStack() as stack:
        if not connected and single and way == "blocking":  # it connects when it is made
            pytest.skip("a single blocking connection is never fresh")
        subjects = [
            stack.enter_context(WAYS[way](either.url, "t:", **options)) for _ in range(len(calls))
        ]
        if connected:
            for subject in subjects:
                subject.run(lambda s=subject: s.d.incr("other"))
        ends = all_at_once(either.pid, subjects, list(calls.values()))
    theirs, *ours = [took for took, _ in ends]

    bound = (retries + 1) * (patience + pause)
    assert max(ours) < max(theirs, bound) * 1.5 + 0.5, (theirs, ours)
    name = f"stopped server, {way}, {'connected' if connected else 'fresh'}, {retries} retries"
    figures[name] = f"redis-py's PING {theirs:.2f} s, our verbs at most {max(ours):.2f} s"


@pytest.mark.parametrize("way", WAYS)
def test_connection_lost_and_server_silent(either: Server, way: str) -> None:
    """A connection that must be made anew, with a server that does not answer its handshake."""
    truth = emptied(either)
    retries, patience = 2, 0.15
    for single in (False, True):
        options = {"socket_timeout": patience, "single_connection_client": single}
        with WAYS[way](either.url, "t:", retries=retries, **options) as subject:
            subject.run(lambda s=subject: s.d.incr("other"))
            number = subject.run(lambda s=subject: s.client.client_id())
            truth._run.client.client_kill_filter(_id=str(number))
            with stopped(either.pid):
                took, error = timed_out(subject, VERBS["append"])
            assert subject.run(lambda s=subject: s.d.at("doc", "l").to_python()) == [3, 1, 2]

        assert "nothing was sent" in notes(error)
        # redis-py itself multiplies where it names a time-out a connection error (see above).
        nested = 1 if isinstance(error, redis.TimeoutError) else retries + 1
        assert took < (retries + 1) * nested * patience * 1.5 + 0.5


@pytest.mark.parametrize("way", WAYS)
def test_goes_on_after_a_stop(frozen: Server, truth: Any, way: str, effort: Any) -> None:
    """No verb ever takes the reply to an earlier one; what timed out is applied once or never."""
    with WAYS[way](frozen.url, "t:", retries=0, socket_timeout=0.1) as subject:
        d = subject.d
        appended: list[int] = []
        for number in range(effort.pick(4, 40)):
            with stopped(frozen.pid):
                timed_out(subject, lambda s, n=number: s.run(lambda: d.at("doc", "l").append(n)))
            appended.append(number)
            assert subject.run(lambda: d.at("doc", "t").get()) == "x"
            assert subject.run(lambda n=number: d.incr("other")) == number + 1
    left = truth["doc", "l"].to_python()[3:]

    assert len(left) == len(set(left))
    assert set(left) <= set(appended)


BIG = "x" * 30_000_000  # more than the buffers between take


@pytest.mark.parametrize("retries", [0, 20])
@pytest.mark.parametrize("way", WAYS)
def test_large_request_that_is_given_up_does_not_arrive_later(
    frozen: Server, truth: Any, way: str, retries: int
) -> None:
    options = {"retries": retries, "backoff": ConstantBackoff(0.05), "socket_timeout": 0.2}
    with WAYS[way](frozen.url, "t:", **options) as subject:
        assert subject.run(lambda: subject.d.at("doc", "n").get()) == 1
        os.kill(frozen.pid, signal.SIGSTOP)
        waking = threading.Timer(0.5, os.kill, (frozen.pid, signal.SIGCONT))
        waking.start()
        try:
            subject.run(lambda: subject.d.at("doc", "l").append(BIG))
            told = "returned"
        except LOST as error:
            told = notes(error)
        waking.join()
        if isinstance(subject, Asyncio):
            subject.loop.run_until_complete(asyncio.sleep(0.3))
    left = truth["doc", "l"].to_python()

    assert told == "returned" if retries else "nothing was sent" in told
    assert left == ([3, 1, 2, BIG] if retries else [3, 1, 2])


def test_cancelled_while_sending_does_not_arrive_later(frozen: Server, truth: Any) -> None:
    async def main() -> str:
        user = redis.asyncio.Redis.from_url(frozen.url)
        d = redisjson_dict.asyncio.RedisJSONDict(user, "t:")
        await d["doc"]["n"].get()
        with stopped(frozen.pid):
            task = asyncio.create_task(d["doc"]["l"].append(BIG))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
        await asyncio.sleep(0.3)
        assert await d["doc"]["l"].length() == 3
        await user.aclose()
        return notes(caught.value)

    assert "nothing was sent" in asyncio.run(main())
    assert truth["doc"].to_python() == START


def test_asyncio_timeout_around_a_silent_server(frozen: Server, truth: Any, effort: Any) -> None:
    """The pool is whole afterwards, and nothing is taken for another verb's reply."""

    async def main() -> None:
        pool = AsyncBlockingPool.from_url(frozen.url, max_connections=1, timeout=5)
        user = redis.asyncio.Redis.from_pool(pool)
        d = redisjson_dict.asyncio.RedisJSONDict(user, "t:")
        for number in range(effort.pick(5, 60)):
            before = truth["doc"].to_python()
            with stopped(frozen.pid):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.02 * (number % 5)):
                        await d["doc"]["l"].append(number)
                assert not pool._in_use_connections
            assert await d["doc"]["t"].get() == "x"
            assert truth["doc"].to_python() in (before, before | {"l": [*before["l"], number]})
        await user.aclose()

    asyncio.run(main())


def test_tasks_cancelled_at_any_point_leave_the_pool_whole(frozen: Server, truth: Any) -> None:
    async def main() -> None:
        pool = AsyncBlockingPool.from_url(frozen.url, max_connections=1, timeout=5)
        user = redis.asyncio.Redis.from_pool(pool)
        d = redisjson_dict.asyncio.RedisJSONDict(user, "t:")
        for turns in range(60):
            before = truth["doc", "n"]
            tasks = [asyncio.create_task(d["doc"].incr("n")) for _ in range(2)]
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            finished = sum(isinstance(one, int) for one in done)
            async with asyncio.timeout(5):
                assert before + finished <= await d["doc"]["n"].get() <= before + 2
            assert not pool._in_use_connections
        await user.aclose()

    asyncio.run(main())


def test_blocking_pool_of_one_connection_is_not_leaked(frozen: Server, truth: Any) -> None:
    pool = redis.BlockingConnectionPool.from_url(
        frozen.url, max_connections=1, timeout=2, socket_timeout=0.1
    )
    with redis.Redis.from_pool(pool) as user:
        d = RedisJSONDict(user, "t:")
        for _ in range(2):
            with stopped(frozen.pid):
                for name in ("append", "read", "batch", "modify"):
                    subject = object.__new__(Blocking)
                    subject.d, subject.client = d, user
                    with pytest.raises(redis.TimeoutError):
                        VERBS[name](subject)
            assert d["doc", "t"] == "x"


# On a cluster of two, of which one does not answer.


@pytest.fixture(scope="module")
def lab() -> Iterator[LocalCluster]:
    with LocalCluster(2) as cluster:
        for node in cluster.nodes:
            load_scripts(node.client)
        yield cluster


def names_of(cluster: LocalCluster, prefix: str) -> tuple[Node, str, str]:
    """Return a node, the name of a document that it has, and of one that another node has."""
    slot = slot_of(cluster.client())
    assert slot is not None
    node = cluster.nodes[0]
    names: dict[bool, str] = {}
    for number in range(100):
        name = f"doc {number}"
        names.setdefault(cluster.owner(slot(f"{prefix}{name}".encode())) is node, name)
    return node, names[True], names[False]


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "fresh"])
@pytest.mark.parametrize("way", WAYS)
def test_one_node_of_a_cluster_is_silent(
    lab: LocalCluster, way: str, connected: bool, figures: Any
) -> None:
    prefix = f"{way} {connected} "
    node, there, elsewhere = names_of(lab, prefix)
    truth = RedisJSONDict(lab.client(), prefix)
    truth[there] = truth[elsewhere] = START
    urls = [node.server.url for node in lab.nodes]
    calls: dict[str, Call] = {
        "TYPE": lambda s: s.run(lambda: s.client.execute_command("TYPE", prefix + there)),
        "append": lambda s: s.run(lambda: s.d.at(there, "l").append(9)),
        "modify": lambda s: s.run(lambda: s.d.at(there, "n").modify(lambda n: n + 1)),
        "set": lambda s: s.run(lambda: s.d.at(there, "n").set(5)),
        "read": lambda s: s.run(lambda: s.d.at(there, "n").get()),
        "batch": lambda s: s.batch(lambda b: b[there]["l"].append(9)),
        "update": lambda s: s.run(lambda: s.d.update({there: START, elsewhere: START})),
        "scan": keys,
    }
    with ExitStack() as stack:
        subjects = [
            stack.enter_context(WAYS[way](urls, prefix, retries=1, socket_timeout=TIMEOUT))
            for _ in range(len(calls))
        ]
        for subject in subjects:
            for name in (there, elsewhere) if connected else (elsewhere,):
                assert subject.run(lambda s=subject, n=name: s.d.at(n, "t").get()) == "x"
        with ThreadPoolExecutor(len(subjects)) as threads, stopped(node.server.pid):
            ends = list(threads.map(lost, subjects, calls.values()))
        lab.settle()
        for subject in subjects:
            assert subject.run(lambda s=subject: s.d.at(there, "t").get()) == "x"
    theirs, *ours = [took for took, _ in ends]

    assert max(ours) < 2 * theirs + SLACK, (calls, ends)
    assert [name for name, (_, told) in zip(calls, ends, strict=True) if not told] == ["TYPE"]
    name = f"silent node of a cluster, {way}, {'connected' if connected else 'fresh'}"
    figures[name] = f"redis-py's TYPE {theirs:.2f} s, our verbs at most {max(ours):.2f} s"


def lost(subject: Subject, call: Call) -> tuple[float, str]:
    """Return how long it took until a verb failed, and what it told."""
    began = time.monotonic()
    with pytest.raises((*LOST, redis.exceptions.RedisClusterException)) as caught:
        call(subject)
    return time.monotonic() - began, notes(caught.value)


@pytest.mark.parametrize("way", WAYS)
def test_redirections_in_a_circle_end(lab: LocalCluster, way: str) -> None:
    """Two nodes, each of which says that the other serves the slot."""
    name = f"circle {way}"
    slot = slot_of(lab.client())
    assert slot is not None
    number = slot(name.encode())
    truth = RedisJSONDict(lab.client())
    truth[name] = START
    owner = lab.owner(number)
    other = next(node for node in lab.nodes if node is not owner)
    with WAYS[way]([n.server.url for n in lab.nodes], "", retries=1) as subject:
        assert subject.run(lambda: subject.d.at(name, "t").get()) == "x"
        owner.run("CLUSTER", "SETSLOT", number, "MIGRATING", other.id)
        began = time.monotonic()
        try:
            with pytest.raises(
                (redis.RedisError, redis.exceptions.RedisClusterException)
            ) as caught:
                subject.run(lambda: subject.d.at(f"{{{name}}}", "l").append(9))
        finally:
            owner.run("CLUSTER", "SETSLOT", number, "STABLE")
        took = time.monotonic() - began
        assert subject.run(lambda: subject.d.at(name, "l").to_python()) == [3, 1, 2]

    assert "nothing was" in notes(caught.value)
    assert took < 30
