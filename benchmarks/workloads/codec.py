"""Encoding: what the checks and the exact floats add to plain orjson."""

from __future__ import annotations

from typing import Any

import orjson

from benchmarks.bench import Bench, Case, workload
from benchmarks.documents import KB, MB, floats, label, mixed
from redisjson_dict.codec import encode

_PLAIN, _OURS = "orjson.dumps", "redisjson_dict"


@workload("codec", "encoding, against plain orjson")
def codec(bench: Bench) -> None:
    """Mixed documents, and arrays of nothing but floats, which are the worst case."""
    table = bench.table("codec", "Encoding, ratio to plain orjson", _PLAIN)
    count = bench.pick(10_000, 500)
    values: dict[str, Any] = {"an integer": 42, "a text": "hello world", "a float": 0.1}
    values |= {f"mixed {label(s)}": mixed(s) for s in bench.pick((KB, 100 * KB, MB), (KB,))}
    values |= {
        f"{count} floats, 3 decimals": floats(count, 3),
        f"{count} floats, all bits": floats(count),
    }
    for name, value in values.items():
        cases = [
            Case(_PLAIN, lambda value=value: orjson.dumps(value)),
            Case(_OURS, lambda value=value: encode(value)),
        ]
        bench.compare(table, name, cases)


__all__ = ["codec"]
