"""A dict over the master that real sentinels name goes on when there is another master."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
import redis.asyncio.sentinel
from clusters import HOST, LocalSentinel, until

import redisjson_dict.asyncio
from redisjson_dict import PipelineError, RedisJSONDict
from redisjson_dict.server import ServerError, binaries

AsyncDict = redisjson_dict.asyncio.RedisJSONDict

pytestmark = pytest.mark.skipif(
    not binaries(), reason="no server program with JSON on this machine"
)

TRIES = 1500  # a vote of the sentinels may be lost, and is repeated after seconds
PAUSE = 0.02


@pytest.fixture(scope="session")
def watched() -> Iterator[LocalSentinel]:
    """A master, a replica, three sentinels."""
    try:
        made = LocalSentinel(3)
    except ServerError as error:
        pytest.skip(str(error))
    with made:
        yield made


@pytest.fixture
def prefix() -> str:
    return f"test-{uuid.uuid4().hex[:12]}:"


def fail_over(watched: LocalSentinel) -> None:
    watched.fail_over()


def kill(watched: LocalSentinel) -> None:
    watched.kill()


BREAKS = pytest.mark.parametrize("break_it", [fail_over, kill])


class Ledger:
    """What was appended, and what is known about it.

    A token is durable when, after it was acknowledged, the replica had confirmed everything up to
    then, and the master was the same before and after.
    """

    def __init__(self, master: redis.Redis) -> None:
        self.master = master
        self.tokens = itertools.count()
        self.acknowledged: list[int] = []
        self.unknown: list[int] = []
        self.durable: list[int] = []

    def fence(self) -> str:
        """Return which server is the master, by its run id."""
        return self.master.info("server")["run_id"]

    def settle(self, token: int, before: str) -> None:
        pipe = self.master.pipeline(transaction=False)
        pipe.execute_command("INFO", "server")
        pipe.incr("fence")
        pipe.execute_command("WAIT", 1, 100)
        server, _, copies = pipe.execute()
        self.acknowledged.append(token)
        if copies and server["run_id"] == before:
            self.durable.append(token)

    def fail(self, token: int, error: BaseException) -> None:
        notes = "".join(getattr(error, "__notes__", ()))
        if isinstance(error, (redis.ConnectionError, redis.TimeoutError)):
            assert "nothing was sent" in notes or "outcome unknown" in notes
        if "nothing was sent" not in notes:
            self.unknown.append(token)

    async def append(self, act: Callable[[int], Any]) -> None:
        """Append tokens by an awaitable until one is acknowledged, a bounded number of times."""
        for _ in range(TRIES):
            before = await asyncio.to_thread(patiently, self.fence)
            token = next(self.tokens)
            try:
                await act(token)
            except redis.RedisError as error:
                self.fail(token, error)
                await asyncio.sleep(PAUSE)
            else:
                await asyncio.to_thread(patiently, lambda: self.settle(token, before))  # noqa: B023
                return
        raise AssertionError(f"nothing was acknowledged in {TRIES} tries")

    def check(self, stored: list[int]) -> None:
        assert len(set(stored)) == len(stored)  # nothing was doubled
        assert set(self.durable) <= set(stored)
        assert set(stored) <= {*self.acknowledged, *self.unknown}
        assert stored == sorted(stored)
        assert len(self.durable) >= 20


def patiently(act: Callable[[], Any]) -> Any:
    """Do it again after an error of the connection, a bounded number of times."""
    for _ in range(TRIES):
        try:
            return act()
        except (redis.RedisError, PipelineError):
            time.sleep(PAUSE)
    return act()


def replaced(watched: LocalSentinel, old: int) -> None:
    """Wait until the sentinel that is asked has heard of another master than that at a port.

    Clients ask all of them, and follow the first that knows.
    """
    until("another master", lambda: watched.address() != old)


def work_on(ledger: Ledger, watched: LocalSentinel, act: Any, break_it: Any) -> Any:
    """Return a coroutine that appends before and after the master is lost."""

    async def work() -> None:
        old = watched.address()
        for _ in range(20):
            await ledger.append(act)
        await asyncio.to_thread(break_it, watched)
        for _ in range(20):
            await ledger.append(act)
        await asyncio.to_thread(replaced, watched, old)

    return work()


@BREAKS
def test_dict_goes_on(watched, prefix, break_it) -> None:
    watched.settle()
    sentinel = watched.sentinel()
    client, other = [sentinel.master_for(watched.name, socket_timeout=5) for _ in range(2)]
    d = RedisJSONDict(client, prefix)
    d["log"] = []
    held = d["log"]
    ledger = Ledger(other)
    try:
        asyncio.run(work_on(ledger, watched, lambda t: asyncio.to_thread(held.append, t), break_it))
        ledger.check(held.to_python())
        d.update({f"k{number}": number for number in range(50)})
        with d.pipeline() as batch:
            first, second = batch.incr("n"), batch.incr("n")
        assert (first.result(), second.result()) == (1, 2)
        assert (len(d), d.to_python()["k7"], d.incr("k7")) == (52, 7, 8)
        d.clear()
        assert not d
    finally:
        client.close()
        other.close()
        watched.heal()


@BREAKS
def test_asyncio_dict_goes_on(watched, prefix, break_it) -> None:
    watched.settle()

    async def main() -> None:
        sentinel = redis.asyncio.sentinel.Sentinel([(HOST, port) for port in watched.ports])
        client = sentinel.master_for(watched.name, socket_timeout=5)
        other = watched.sentinel().master_for(watched.name, socket_timeout=5)
        ledger = Ledger(other)
        d = AsyncDict(client, prefix)
        await d.set("log", [])
        try:
            await work_on(ledger, watched, d["log"].append, break_it)
            ledger.check(await d["log"].get())
            await d.update({f"k{number}": number for number in range(50)})
            async with d.pipeline() as batch:
                first, second = batch.incr("n"), batch.incr("n")
            assert (first.result(), second.result()) == (1, 2)
            assert (await d.length(), await d.incr("k7")) == (52, 8)
            await d.clear()
        finally:
            await client.aclose()
            other.close()
            for one in sentinel.sentinels:
                await one.aclose()

    try:
        asyncio.run(main())
    finally:
        watched.heal()


def test_a_frozen_master_is_replaced(watched, prefix) -> None:
    """It answers no more, but its connections stay: a time-out, and nothing is applied twice."""
    watched.settle()
    client = watched.sentinel().master_for(watched.name, socket_timeout=0.5)
    d = RedisJSONDict(client, prefix)
    d["n"] = 0
    ledger = Ledger(client)
    ledger.settle(0, ledger.fence())
    frozen = watched.master
    applied, unknown = 0, 0
    os.kill(frozen.pid, signal.SIGSTOP)
    try:

        def incr() -> int:
            nonlocal unknown
            try:
                return d.incr("n")
            except (redis.ConnectionError, redis.TimeoutError) as error:
                unknown += "outcome unknown" in "".join(getattr(error, "__notes__", ()))
                raise

        for _ in range(10):
            patiently(incr)
            applied += 1
        assert applied <= d["n"] <= applied + unknown
        replaced(watched, int(frozen.url.rpartition(":")[2]))
    finally:
        os.kill(frozen.pid, signal.SIGCONT)
        client.close()
        until("the old master obeys", lambda: watched._role(frozen) == "slave")
        watched.settle()


def test_replica_refuses_writes(watched, prefix) -> None:
    """Reads work on a replica; a write is refused, as redis-py says it, and changes nothing."""
    watched.settle()
    sentinel = watched.sentinel()
    master = sentinel.master_for(watched.name)
    replica = sentinel.slave_for(watched.name)
    d, seen = RedisJSONDict(master, prefix), RedisJSONDict(replica, prefix)
    d["a"] = {"n": 1, "l": [1]}
    ledger = Ledger(master)
    ledger.settle(0, ledger.fence())
    assert ledger.durable == [0]

    assert (seen["a"].to_python(), seen["a", "n"], list(seen)) == (d["a"].to_python(), 1, ["a"])
    assert (seen == d, seen["a"]["l", -1], len(seen["a"])) == (True, 1, 2)
    writes: list[Callable[[], Any]] = [
        lambda: seen.__setitem__("a", 1),
        lambda: seen.incr(("a", "n")),
        lambda: seen["a"]["l"].append(1),
        lambda: seen.pop("a"),
        lambda: seen.__delitem__("a"),
        lambda: seen.update(b=1, c=2),
        lambda: seen["a"].__setitem__("n", 2),
        lambda: seen.clear(),
    ]
    for write in writes:
        with pytest.raises(redis.exceptions.ReadOnlyError):
            write()
    with pytest.raises(PipelineError, match="nothing was applied"), seen.pipeline() as batch:
        batch.incr("n")
    assert d == {"a": {"n": 1, "l": [1]}}
    d.clear()
    master.close()
    replica.close()
