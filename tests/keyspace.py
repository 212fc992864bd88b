"""All that is stored under a prefix, to compare before and after."""

from __future__ import annotations

import redis


def snapshot(client: redis.Redis, prefix: str) -> dict[bytes, tuple[bytes | None, int]]:
    """Return content and end of each Redis key with a prefix, whatever its type."""
    keys = sorted(key for key in client.scan_iter(count=10_000) if key.startswith(prefix.encode()))
    return {key: (client.dump(key), client.pexpiretime(key)) for key in keys}


def empty(client: redis.Redis) -> None:
    """Remove all keys, inside MULTI: newer Redis frees them in a thread else, which RedisJSON 2.8
    does not survive if others write meanwhile.
    """
    with client.pipeline() as block:
        block.flushall()
        block.execute()
