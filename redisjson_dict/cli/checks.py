"""What may be wrong with a server, told from what it says of itself. Asks nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

__all__ = [
    "OK",
    "PROBLEM",
    "WARNING",
    "Check",
    "freeing",
    "frees_safely",
    "latency",
    "memory",
    "module",
    "persistence",
    "replication",
    "server",
]

OK, WARNING, PROBLEM = "ok", "warning", "problem"

_OLDEST = (7, 0)
_CAREFUL = 20_800  # RedisJSON 2.8: what the library is tested with
_FREES_IN_THREADS = 80_401  # the first release after RedisJSON's pull request 1446
_SLOW = 20.0  # milliseconds
_NEARLY_FULL = 0.9


class Check(NamedTuple):
    """One thing that was looked at.

    Attributes:
        name: what.
        level: ``ok``, ``warning`` or ``problem``.
        found: what was found.
        advice: what to do; empty where nothing is to be done.
    """

    name: str
    level: str
    found: str
    advice: str = ""


def server(name: str, version: str) -> Check:
    """Judge the program and its version."""
    found = f"{name} {version}"
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers and numbers < _OLDEST:
        return Check(
            "server", WARNING, found, "the library is tested with Redis 7 and newer, and Valkey"
        )
    return Check("server", OK, found)


def module(version: int, *, has_json: bool) -> Check:
    """Judge the JSON module.

    Args:
        version: the number that the server gives it; 0: it does not tell.
        has_json: whether it answers.
    """
    if not has_json:
        return Check(
            "json module",
            PROBLEM,
            "the server has no JSON commands",
            "they come with Redis 8, Redis Stack or the RedisJSON module; "
            "'redisjson-dict serve' starts a server that has them",
        )
    if not version:
        return Check("json module", OK, "RedisJSON, of a version that is not told")
    found = f"RedisJSON {version // 10_000}.{version // 100 % 100}.{version % 100}"
    if version < _CAREFUL:
        return Check("json module", WARNING, found, "the library is tested with 2.8 and newer")
    return Check("json module", OK, found)


def persistence(info: Mapping[str, Any], save: str | None) -> Iterator[Check]:
    """Judge what is left after a crash.

    Args:
        info: INFO persistence.
        save: the setting of that name; None where it may not be asked.
    """
    if info.get("aof_enabled"):
        yield Check("persistence", OK, "append-only file")
    elif save:
        yield Check(
            "persistence",
            WARNING,
            f"snapshots only (save {save})",
            "a crash loses what was written since the last one; appendonly yes keeps nearly all",
        )
    elif save is not None:
        yield Check(
            "persistence",
            WARNING,
            "none: a restart loses all documents",
            "fine for a cache; else CONFIG SET appendonly yes, and in the configuration file",
        )
    for field, what in _WRITTEN.items():
        if info.get(field, "ok") != "ok":
            yield Check(
                "last write to disk",
                PROBLEM,
                f"{what} failed",
                "the server may refuse writes (MISCONF): look into its log, and at its disk",
            )


_WRITTEN = {
    "rdb_last_bgsave_status": "the last snapshot",
    "aof_last_write_status": "writing the append-only file",
    "aof_last_bgrewrite_status": "rewriting the append-only file",
}


def memory(info: Mapping[str, Any]) -> Iterator[Check]:
    """Judge the limit of memory, and what is removed at the limit.

    Args:
        info: INFO memory.
    """
    limit, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    policy = str(info.get("maxmemory_policy", "noeviction"))
    of = f"{used / 1e6:,.1f} MB used" + (f" of {limit / 1e6:,.1f} MB" if limit else ", no limit")
    if limit and used > _NEARLY_FULL * limit:
        yield Check(
            "memory", WARNING, of, "at the limit writes fail: raise maxmemory, or remove documents"
        )
    else:
        yield Check("memory", OK, of)
    if policy.startswith("allkeys"):
        yield Check(
            "eviction",
            PROBLEM if limit else WARNING,
            policy,
            "at the limit of memory the server removes any document: "
            "CONFIG SET maxmemory-policy noeviction",
        )
    elif policy.startswith("volatile"):
        yield Check(
            "eviction",
            OK,
            policy,
            "at the limit of memory, documents with a time to live go before their time",
        )
    else:
        yield Check("eviction", OK, policy)


def frees_safely(version: int) -> bool:
    """Return whether the JSON module, by the number the server gives it, lets any thread free."""
    return version >= _FREES_IN_THREADS


def freeing(settings: Mapping[str, str]) -> Check:
    """Judge whether another thread frees documents, of which older modules die.

    Args:
        settings: those that have whole databases freed so, by name.
    """
    bad = sorted(name for name, value in settings.items() if value == "yes")
    if bad:
        return Check(
            "freeing",
            WARNING,
            " and ".join(bad),
            "a flush, or a replica's resynchronization, may end the server: CONFIG SET "
            + " ".join(f"{name} no" for name in bad),
        )
    return Check(
        "freeing",
        OK,
        "documents one by one",
        "FLUSHDB ASYNC, and with newer Redis any FLUSHDB outside MULTI, may end the server",
    )


def replication(info: Mapping[str, Any]) -> Check:
    """Judge the server's role.

    Args:
        info: INFO replication.
    """
    if info.get("role") == "slave":
        return Check(
            "role",
            PROBLEM,
            f"a replica of {info.get('master_host')}:{info.get('master_port')}",
            "replicas refuse writes: connect to the primary",
        )
    count = int(info.get("connected_slaves", 0))
    return Check("role", OK, f"primary with {count} replica{'' if count == 1 else 's'}")


def latency(milliseconds: list[float]) -> Check:
    """Judge how long pings took."""
    middle = sorted(milliseconds)[len(milliseconds) // 2]
    found = f"{middle:.2f} ms, at most {max(milliseconds):.2f} ms"
    if middle > _SLOW:
        advice = "every verb waits that long: be nearer, or use paths, get_many and pipelines"
        return Check("round trip", WARNING, found, advice)
    return Check("round trip", OK, found)
