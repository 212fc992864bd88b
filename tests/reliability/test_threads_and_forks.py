"""One dict in many threads, in forked processes, and in several event loops."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
import redis.asyncio

from redisjson_dict import PipelineError, RedisJSONDict
from redisjson_dict.asyncio import RedisJSONDict as AsyncRedisJSONDict

THREADS = 32
PATIENCE = 60.0

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
]


def _pooled(url: str) -> redis.Redis:
    return redis.Redis.from_url(url)


def _scarce(url: str) -> redis.Redis:
    pool = redis.BlockingConnectionPool.from_url(url, max_connections=4, timeout=PATIENCE)
    return redis.Redis.from_pool(pool)


def _single(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, single_connection_client=True)


CLIENTS = {"pool": _pooled, "pool of 4": _scarce, "one connection": _single}


@pytest.fixture(params=CLIENTS)
def shared(request: pytest.FixtureRequest, url: str, prefix: str) -> Iterator[RedisJSONDict]:
    """A dict whose client has connections of each kind."""
    with CLIENTS[request.param](url) as client:
        yield RedisJSONDict(client, prefix)


def together(work: Callable[[int], Any], count: int = THREADS) -> list[Any]:
    """Return what each of many threads returns that start at the same moment."""
    barrier = threading.Barrier(count)

    def begin(number: int) -> Any:
        barrier.wait(PATIENCE)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


def forked(work: Callable[[], Any], meanwhile: Callable[[], Any] = lambda: None) -> None:
    """Run something in a forked process to its end; what it raises is an error here."""
    receive, send = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            os.write(send, traceback.format_exc().encode()[-4000:])
        finally:
            os._exit(0)
    os.close(send)
    meanwhile()
    ended = _waited(pid)
    with open(receive, "rb") as said:
        problem = said.read().decode()
    assert ended, "the child hung"
    assert not problem, problem


def _waited(pid: int) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return True
        time.sleep(0.005)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return False


# Threads.


def test_threads_share_one_dict_with_every_kind_of_verb(shared, effort):
    count = effort.pick(2, 20)
    shared["doc"] = {"log": [], "n": 0, "own": {}, "a\\b": [], "text": ""}
    shared["list"] = list(range(THREADS * count))
    held = shared["doc"]  # made in this thread, used in the others

    def work(number: int) -> list[Any]:
        popped = []
        for step in range(count):
            item = number * 1000 + step
            held["log"].append(item)
            held.incr("n")
            held["own"][f"{number}"] = [item]
            shared["doc", "a\\b"].modify(lambda value: [*value, 1], tries=100_000)
            held.concat("text", "x")
            popped.append(shared["list"].pop())
            shared[f"mine{number}"] = {"n": item}
            with shared.pipeline() as batch:
                found = batch[f"mine{number}"].incr("n", 1)
                batch["doc"]["log"].append(-item)
            assert found.result() == item + 1
            assert shared[f"mine{number}", "n"] == item + 1
            assert f"mine{number}" in shared
        assert sum(key == f"mine{number}" for key in shared) == 1
        return popped

    popped = [item for items in together(work) for item in items]

    log = shared["doc", "log"].to_python()
    items = [n * 1000 + step for n in range(THREADS) for step in range(count)]
    assert sorted(log) == sorted([*items, *(-item for item in items)])
    assert [item for item in log if item // 1000 == 7] == items[7 * count : 8 * count]
    assert sorted(popped) == list(range(THREADS * count))
    assert shared["doc", "n"] == len(shared["doc", "text"]) == THREADS * count
    assert len(shared["doc", "a\\b"]) == THREADS * count
    assert shared["doc", "own"] == {f"{n}": [n * 1000 + count - 1] for n in range(THREADS)}


def test_proxy_made_in_a_thread_is_used_in_others(d):
    made = together(lambda number: d.setdefault(f"k{number}", []), 8)

    together(lambda number: made[(number + 1) % 8].append(number), 8)

    assert d == {f"k{(number + 1) % 8}": [number] for number in range(8)}


def test_expiry_blocks_of_threads_do_not_mix(d):
    def work(number: int) -> float | None:
        if number % 2:
            with d.expire_at(1000 + number):
                d[f"k{number}"] = number
        else:
            d[f"k{number}"] = number
        return d.ttl(f"k{number}")

    left = together(work)

    assert left[::2] == [None] * (THREADS // 2)
    assert all(999 + n - 60 < left[n] <= 1000 + n for n in range(1, THREADS, 2))


def test_batches_of_threads_do_not_mix(shared):
    shared["log"] = []

    def work(number: int) -> None:
        with shared.pipeline():
            for step in range(5):
                shared.at("log").append([number, step])
                time.sleep(0.001)

    together(work)

    log = shared["log"].to_python()
    runs = [log[start : start + 5] for start in range(0, len(log), 5)]
    assert sorted(run[0][0] for run in runs) == list(range(THREADS))
    assert all(run == [[run[0][0], step] for step in range(5)] for run in runs)


# Forks.


@pytest.mark.parametrize("kind", ["pool", "pool of 4"])
def test_dict_works_on_both_sides_of_a_fork(url, prefix, kind, effort):
    with CLIENTS[kind](url) as client:
        d = RedisJSONDict(client, prefix)
        d["doc"] = {"parent": 0, "child": 0, "log": []}
        held = d["doc"]
        count = effort.pick(50, 400)

        def child() -> None:
            for step in range(count):
                assert held.incr("child") == step + 1
                held["log"].append("c")
                assert held["log"].count("c") == step + 1

        forked(child, lambda: [held.incr("parent") for _ in range(count)])

        assert held["child"] == held["parent"] == len(held["log"]) == count


def test_one_connection_after_a_fork_is_as_with_redis_py(url, prefix):
    """Child and parent share a socket: right as long as they take turns, as with redis-py's own."""
    with _single(url) as client:
        d = RedisJSONDict(client, prefix)
        d["doc"] = {"log": []}

        def child() -> None:
            assert client.ping()
            d["doc", "log"].append("child")
            assert d["doc"].to_python() == {"log": ["child"]}

        forked(child)
        d["doc", "log"].append("parent")

        assert client.ping()
        assert d["doc"] == {"log": ["child", "parent"]}


def test_fork_amid_verbs_of_other_threads_hangs_nobody(url, prefix, d, effort):
    """The child has a client of its own: redis-py's pool may be locked for ever in a child that is
    forked while another thread borrows from it, with redis-py's own commands, too.
    """
    d["doc"] = {"n": 0, "log": [], "child": 0}
    ended = threading.Event()

    def work() -> int:
        done = 0
        while not ended.is_set():
            d["doc"].incr("n")
            d.at("doc", "log").modify(lambda value: value[-5:], tries=100_000)
            with d.pipeline(), d.expire_at(9):
                d.at("doc", "log").append(done)
            done += 1
        return done

    def child() -> None:
        with redis.Redis.from_url(url) as client:
            own = RedisJSONDict(client, prefix)
            own["doc"].incr("child")
            with own.pipeline(), own.expire_at(5):
                own["new"] = 1
            assert own.pop("new") == 1

    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(work) for _ in range(4)]
        forks = effort.pick(8, 100)
        try:
            for _ in range(forks):
                forked(child)
        finally:
            ended.set()
        total = sum(job.result(PATIENCE) for job in jobs)

    assert d["doc", "n"] == total
    assert d["doc", "child"] == forks


def _child_of_multiprocessing(d: RedisJSONDict) -> None:
    d["doc"].append(os.getpid())


def test_process_of_multiprocessing_uses_the_dict_that_it_was_forked_with(d):
    d["doc"] = []
    context = multiprocessing.get_context("fork")

    children = [context.Process(target=_child_of_multiprocessing, args=(d,)) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join(PATIENCE)

    assert [child.exitcode for child in children] == [0] * 4
    assert sorted(d["doc"]) == sorted(child.pid for child in children)


def test_child_forked_in_a_batch_writes_at_once(d):
    with d.pipeline() as batch:
        d["parent"] = 1

        def child() -> None:
            d["child"] = 1
            assert d["child"] == 1
            assert "parent" not in d
            with pytest.raises(PipelineError, match="process"):
                batch["parent"] = 2
            with d.pipeline() as own:
                number = own.incr("own", 5)
            assert number.result() == 5
            assert d.popitem()[0] in ("child", "own")

        forked(child)
        assert "parent" not in d

    assert d["parent"] == 1
    assert len(d) == 2


@pytest.mark.parametrize("depth", [1, 2])
def test_batch_is_sent_once_though_a_child_leaves_its_block(d, depth):
    d["log"] = []

    def leave(*blocks: Any) -> None:
        with pytest.raises(PipelineError, match="nothing was sent"):
            for block in blocks:
                block.__exit__(None, None, None)
        d["after"] = "the child"
        assert d["after"] == "the child"

    blocks = [d.pipeline() for _ in range(depth)]
    for block in blocks:
        block.__enter__()
    d.at("log").append("once")
    forked(lambda: leave(*reversed(blocks)))
    assert d["log"] == []
    for block in reversed(blocks):
        block.__exit__(None, None, None)

    assert d["log"] == ["once"]


def test_child_that_leaves_a_batch_by_an_exception_raises_that(d):
    def child() -> None:
        block.__exit__(KeyError, error, None)
        assert error.__context__ is None

    error = KeyError("mine")
    block = d.pipeline()
    block.__enter__()
    d["parent"] = 1
    forked(child)
    block.__exit__(None, None, None)

    assert d == {"parent": 1}


def test_child_that_leaves_two_batches_by_an_exception_raises_that(d):
    def child() -> None:
        with pytest.raises(KeyError, match="mine"), d.pipeline():
            raise KeyError("mine")
        inner.__exit__(KeyError, error, None)
        outer.__exit__(KeyError, error, None)

    error = KeyError("mine")
    outer, inner = d.pipeline(), d.pipeline()
    outer.__enter__()
    inner.__enter__()
    d["parent"] = 1
    forked(child)
    inner.__exit__(None, None, None)
    outer.__exit__(None, None, None)

    assert d == {"parent": 1}


def test_child_forked_in_an_expiry_block_is_not_in_it(d):
    with d.expire_at(100):

        def child() -> None:
            d["child"] = 1
            assert d.ttl("child") is None
            with d.expire_at(50):
                d["inner"] = 1
            assert d.ttl("inner") <= 50

        forked(child)
        d["parent"] = 1

    assert d.ttl("parent") <= 100
    assert d.ttl("child") is None


# asyncio.


def test_event_loops_in_threads_have_a_client_each(url, prefix, d, effort):
    count = effort.pick(10, 100)
    d["doc"] = {"log": [], "n": 0}

    async def work(number: int) -> list[int]:
        async with redis.asyncio.Redis.from_url(url) as client:
            mine = AsyncRedisJSONDict(client, prefix)

            async def one(task: int) -> int:
                seen = 0
                for step in range(count):
                    await mine["doc", "log"].append([number, task, step])
                    seen = await mine["doc"].incr("n")
                return seen

            return await asyncio.gather(*[one(task) for task in range(3)])

    seen = together(lambda number: asyncio.run(work(number)), 6)

    log = d["doc", "log"].to_python()
    assert max(n for numbers in seen for n in numbers) == d["doc", "n"] == 18 * count
    assert sorted(log) == [[n, t, s] for n in range(6) for t in range(3) for s in range(count)]


def test_tasks_share_a_dict_and_not_its_batches(url, prefix, d):
    d["log"] = []

    async def work(mine: AsyncRedisJSONDict, number: int) -> None:
        with mine.expire_at(1000 + number):
            async with mine.pipeline() as batch:
                for step in range(5):
                    batch["log"].append([number, step])
                    await asyncio.sleep(0.001)
                await mine.set(f"k{number}", number)

    async def main() -> None:
        async with redis.asyncio.Redis.from_url(url) as client:
            mine = AsyncRedisJSONDict(client, prefix)
            await asyncio.gather(*[work(mine, number) for number in range(THREADS)])

    asyncio.run(main())

    log = d["log"].to_python()
    runs = [log[start : start + 5] for start in range(0, len(log), 5)]
    assert all(run == [[run[0][0], step] for step in range(5)] for run in runs)
    assert all(999 + n - 60 < d.ttl(f"k{n}") <= 1000 + n for n in range(THREADS))
    assert len(log) == 5 * THREADS
