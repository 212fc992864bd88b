"""The workloads; importing this registers them in the order in which they run."""

from benchmarks.workloads import (
    verbs,
    nested,
    toplevel,
    bulk,
    keyspace,
    concurrency,
    network,
    wire,
    footprint,
    codec,
)

__all__ = [
    "bulk",
    "codec",
    "concurrency",
    "footprint",
    "keyspace",
    "nested",
    "network",
    "toplevel",
    "verbs",
    "wire",
]
