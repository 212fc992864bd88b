"""Waiting for replicas: what was applied and is there, and what was applied and may be lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
from clusters import HOST, LocalCluster, until
from keyspace import empty
from redis.backoff import NoBackoff
from redis.retry import Retry
from relay import Relay

from redisjson_dict import NotReplicatedError, PipelineError, RedisJSONDict
from redisjson_dict.asyncio import RedisJSONDict as AsyncRedisJSONDict
from redisjson_dict.loans import _is_divisible
from redisjson_dict.server import Server, binaries

NAMES = [binary.name for binary in binaries()]
pytestmark = pytest.mark.skipif(not NAMES, reason="no server program on this machine")


class Pair:
    """A primary and its replica."""

    def __init__(self, primary: Server, replica: Server) -> None:
        self.primary, self.replica = primary, replica
        self.name = primary._binary.name
        self.root, self.copy = primary.client(), replica.client()
        port = self.root.config_get("port")["port"]
        self.copy.replicaof(HOST, port)
        until("the replica follows", lambda: self.copy.execute_command("ROLE")[3] == b"connected")

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the replica during a block."""
        os.kill(self.replica.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.replica.pid, signal.SIGCONT)


@pytest.fixture(scope="module", params=NAMES)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    binary = next(b for b in binaries() if b.name == request.param)
    options = {"binary": binary, "port": 0, "repl_diskless_sync_delay": "0"}
    with Server(**options) as primary, Server(**options) as replica:
        yield Pair(primary, replica)


@pytest.fixture
def d(pair: Pair) -> RedisJSONDict:
    empty(pair.root)
    return RedisJSONDict(pair.root, "lab:")


def test_write_is_on_the_replica_when_the_block_ends(
    pair: Pair, d: RedisJSONDict, effort: Any, figures: dict[str, str]
) -> None:
    there, rounds = RedisJSONDict(pair.copy, "lab:"), effort.pick(100, 5000)
    for number in range(rounds):
        with d.pipeline(replicas=1, timeout=5) as batch:
            d["run"] = {"n": number}
            added = batch["run"].incr("n")
        assert there["run", "n"] == number + 1 == added.result()
    figures[f"{pair.name}: batches waited for, missing on the replica"] = f"{rounds}, 0"


def test_replica_that_is_stopped_is_told(pair: Pair, d: RedisJSONDict) -> None:
    d["run"] = {"n": 0}
    with pair.stopped():
        with (
            pytest.raises(NotReplicatedError, match="was applied, but 0 confirmed it") as caught,
            d.pipeline(replicas=1, timeout=0.1) as batch,
        ):
            added = batch["run"].incr("n")

        assert d["run", "n"] == 1 == added.result()
        assert caught.value.replicas == 0
        assert "lab:run" in str(caught.value)
    with d.pipeline(replicas=1, timeout=5):
        d["run", "n"] = 2
    assert RedisJSONDict(pair.copy, "lab:")["run", "n"] == 2


def test_more_replicas_than_there_are(d: RedisJSONDict) -> None:
    with pytest.raises(NotReplicatedError) as caught, d.pipeline(replicas=2, timeout=0.05):
        d["run"] = 1

    assert caught.value.replicas <= 1
    assert d["run"] == 1


def test_asyncio_waits_too(pair: Pair, d: RedisJSONDict) -> None:
    async def main() -> None:
        async with AsyncRedisJSONDict.from_url(pair.primary.url, "lab:") as a:
            async with a.pipeline(replicas=1, timeout=5) as batch:
                batch["run"] = 1
            assert RedisJSONDict(pair.copy, "lab:")["run"] == 1
            with pair.stopped(), pytest.raises(NotReplicatedError):
                async with a.pipeline(replicas=1, timeout=0.05) as batch:
                    batch["run"] = 2
            assert await a["run"].get() == 2

    asyncio.run(main())


def test_failed_verb_comes_first(pair: Pair, d: RedisJSONDict) -> None:
    with (
        pytest.raises(PipelineError, match="1 of the batch's 2 operations") as caught,
        d.pipeline(replicas=1, timeout=5) as batch,
    ):
        batch["none"].incr("n")
        d["run"] = 1

    assert type(caught.value) is PipelineError
    assert RedisJSONDict(pair.copy, "lab:")["run"] == 1


def test_empty_batch_asks_nothing(pair: Pair, d: RedisJSONDict) -> None:
    with pair.stopped(), d.pipeline(replicas=1, timeout=5):
        pass


def test_inner_block_joins_the_one_that_waits(pair: Pair, d: RedisJSONDict) -> None:
    with d.pipeline(replicas=1, timeout=5), d.pipeline(), d.pipeline(replicas=1, timeout=5):
        d["run"] = 1
    with (
        pytest.raises(PipelineError, match="outer block"),
        d.pipeline(),
        d.pipeline(replicas=1),
    ):
        d["run"] = 2

    assert d["run"] == 1


@pytest.mark.parametrize(
    "options",
    [
        {"replicas": -1},
        {"replicas": 1, "timeout": 0},
        {"replicas": 1, "timeout": float("nan")},
        {"replicas": 1, "atomic": False},
    ],
)
def test_what_cannot_be_waited_for_is_refused(d: RedisJSONDict, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        d.pipeline(**options)


def test_wait_that_is_refused(pair: Pair, d: RedisJSONDict) -> None:
    """The batch was applied all the same, and the error says so."""
    rule = ("reset", "on", ">pw", "~lab:*", "+@all", "-wait")
    pair.root.execute_command("ACL", "SETUSER", "hasty", *rule)
    hasty = RedisJSONDict(pair.primary.client(username="hasty", password="pw"), "lab:")
    with pytest.raises(NotReplicatedError, match="WAIT was refused"), hasty.pipeline(replicas=1):
        hasty["run"] = 1

    assert d["run"] == 1


@pytest.mark.parametrize("missing", [1, 20, 31, 32, 45, 100])
def test_request_cut_short_is_not_sent_again(pair: Pair, d: RedisJSONDict, missing: int) -> None:
    """EXEC may have arrived although WAIT has not: at most once."""
    d["run"] = {"l": []}
    with (
        Relay(pair.primary.url) as relay,
        redis.Redis(host=relay.host, port=relay.port, retry=Retry(NoBackoff(), 3)) as client,
    ):
        through = RedisJSONDict(client, "lab:")
        client.ping()
        before = relay.traffic.up
        append_two(through)
        size = relay.traffic.up - before
        with (
            relay.losing(b"MULTI", "cut", after=size - missing) as fault,
            pytest.raises(redis.ConnectionError) as caught,
        ):
            append_two(through)

    assert fault.hits == 1
    assert "outcome unknown" in " ".join(caught.value.__notes__)
    applied = [1, 2] if missing <= 31 else []  # WAIT is 31 bytes
    assert d["run", "l"].to_python() == [1, 2, *applied]


def append_two(d: RedisJSONDict) -> None:
    with d.pipeline(replicas=1, timeout=5) as batch:
        batch["run"]["l"].append(1)
        batch["run"]["l"].append(2)


def test_what_follows_exec_makes_a_request_divisible() -> None:
    """A part of it that arrived may have been run, so that none of it is sent twice."""
    batch: list[tuple[Any, ...]] = [("MULTI",), ("JSON.DEL", b"k"), ("EXEC",)]

    assert not _is_divisible(batch)
    assert not _is_divisible([("ASKING",), *batch])
    assert _is_divisible([*batch, ("WAIT", 1, 5000)])
    assert _is_divisible([("ASKING",), *batch, ("WAIT", 1, 5000)])


def test_wait_by_hand_on_one_connection(pair: Pair, d: RedisJSONDict) -> None:
    """For verbs that a batch cannot do: redis-py's own WAIT, as docs/pipelines.md says."""
    d["run"] = [3, 1, 2]
    with pair.primary.client(single_connection_client=True) as client:
        one = RedisJSONDict(client, "lab:")
        one["run"].sort()
        assert client.wait(1, 5000) == 1
        assert RedisJSONDict(pair.copy, "lab:")["run"].to_python() == [1, 2, 3]
        with pair.stopped():
            one["run"].reverse()
            assert client.wait(1, 50) == 0


def test_cluster_waits_too() -> None:
    with LocalCluster(1, 1) as cluster:
        d = RedisJSONDict(cluster.client(), "lab:")
        with d.pipeline(replicas=1, timeout=10):
            d["{a}run"] = 1
        replica = next(node for node in cluster.nodes if not node.is_primary)
        replica.run("READONLY")
        assert replica.run("JSON.GET", "lab:{a}run", "$") == "[1]"
        with pytest.raises(NotReplicatedError), d.pipeline(replicas=2, timeout=0.05):
            d["{a}run"] = 2
