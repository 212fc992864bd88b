"""A Cluster that grows: nodes that join, keys of one slot apart, scripts that a node forgot."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
import redis.asyncio
from clusters import HOST, LocalCluster
from redis.crc import key_slot

import redisjson_dict.asyncio
from redisjson_dict import RedisJSONDict
from redisjson_dict.server import ServerError

SLOT = key_slot(b"m")
WANTED = {f"k{number}": {"n": number} for number in range(30)}


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    try:
        made = LocalCluster(3)
    except ServerError as error:
        pytest.skip(str(error))
    with made:
        yield made


def test_documents_on_a_node_that_joined(cluster: LocalCluster) -> None:
    d = RedisJSONDict(cluster.client(), "{m}:")
    d.update(WANTED)
    with cluster.moving(SLOT, cluster.add()):
        pass

    assert len(d) == 30
    d.clear()
    assert "k1" not in d


def test_asyncio_documents_on_a_node_that_joined(cluster: LocalCluster) -> None:
    async def main() -> int:
        port = cluster.primaries()[0].port
        async with redis.asyncio.RedisCluster(host=HOST, port=port) as client:
            d = redisjson_dict.asyncio.RedisJSONDict(client, "{m}:")
            await d.update(WANTED)
            with cluster.moving(SLOT, cluster.add()):
                pass
            return await d.length()

    assert asyncio.run(main()) == 30


def test_keys_of_a_slot_apart_are_waited_for(cluster: LocalCluster) -> None:
    d = RedisJSONDict(cluster.client(), "{m}:")
    d.update(WANTED)
    with cluster.moving(SLOT) as moving:
        moving.move("{m}:k1")
        rest = threading.Timer(1.0, moving.move_all)
        rest.start()
        d.update({name: {"n": 0} for name in WANTED})
        rest.join()

    assert d == {name: {"n": 0} for name in WANTED}


def test_batch_whose_script_was_redirected(cluster: LocalCluster) -> None:
    source = cluster.owner(SLOT)
    other = next(
        f"{{q{number}}}:x"
        for number in range(1000)
        if cluster.owner(key_slot(f"q{number}".encode())) is source
    )
    d = RedisJSONDict(cluster.client())
    d.update({"{m}:x": 0, other: 0})
    with cluster.moving(SLOT):
        pass
    source.run("SCRIPT", "FLUSH", "SYNC")
    with d.pipeline(atomic=False) as batch:
        batch.incr("{m}:x")
        batch.incr(other)

    assert d == {"{m}:x": 1, other: 1}
