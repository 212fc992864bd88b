"""What the library is to reach, as data: ratios within one run, by medians."""

from __future__ import annotations

from typing import Any, NamedTuple

from benchmarks.contenders import EC, HELPER, L1, MINE
from benchmarks.measure import ratio

__all__ = ["TARGETS", "Target", "judge"]

OURS = "redisjson_dict"
PEERS = ("redis-json-dict", "redis-dict", "kv-dict", "pottery", "redis-om")
SIZES = ("0.4 KB", "1 KB", "10 KB", "100 KB", "1 MB", "10 MB")


class Target(NamedTuple):
    """One fact that should hold.

    Attributes:
        name: what it says.
        limit: the number to keep.
        table: in the results.
        columns: the worst of these counts.
        mine: whose cell.
        against: the cell in the same column to compare with; several: the fastest of them; none:
            the number in the cell itself.
        at_most: whether the limit is an upper one.
        unit: of the limit.
        field: ``wall``: time as a multiple of the other's; ``faster``: the other's time as a
            multiple of ours; ``lost``: changes that were lost; ``value``: a plain number.
    """

    name: str
    limit: float
    table: str
    columns: tuple[str, ...]
    mine: str
    against: tuple[str, ...] = ()
    at_most: bool = True
    unit: str = ""
    field: str = "wall"


def _hot(name: str, limit: float, *columns: str, against: str = EC) -> Target:
    unit = "x EC" if against == EC else "x json()"
    return Target(name, limit, "hot", columns, OURS, (against,), unit=unit)


def _faster(verb: str, limit: float, size: str) -> Target:
    peer = ("redis-json-dict",)
    name = f"nested {verb}, {size}: faster than redis-json-dict"
    table = f"nested {verb}"
    return Target(
        name, limit, table, (size,), MINE, peer, at_most=False, unit="times", field="faster"
    )


_LEADS = {"1 KB": 2.5, "10 KB": 15.0, "100 KB": 150.0, "1 MB": 1000.0}
_WAYS = ("threads", "processes")
_ONE_COMMAND = ("held: set", "held: append", "held: len", "held: to_python")
_SCRIPTS = ("held: in", "held: incr", "held: pop", "held: insert", "held: setdefault, absent")

TARGETS: tuple[Target, ...] = (
    *(_hot(column, 1.10, column) for column in _ONE_COMMAND),
    _hot("path key: set", 1.10, "path key: set"),
    _hot("at: set", 1.10, "at: set", "at, made each time: set"),
    *(
        _hot(f"{column}: against json()", 1.0, column, against=HELPER)
        for column in ("held: set", "held: append", "held: len", "path key: set", "at: set")
    ),
    *(
        _hot(f"{column}, kind unknown", 1.20, column)
        for column in ("held: get scalar", "path key: get scalar", "at: get")
    ),
    _hot("held: get container, kind unknown", 1.20, "held: get container"),
    *(
        _hot(column, 1.25, column)
        for column in _SCRIPTS
    ),
    _hot("top level: in", 1.08, "top level: in"),
    _hot("top level: del", 1.08, "top level: del"),
    _hot("top level: get scalar", 1.25, "top level: get scalar"),
    _hot("top level: set", 1.25, "top level: set"),
    Target("top-level set from 100 KB", 1.15, "whole", ("100 KB", "1 MB"), MINE, (EC,),
           unit="x EC"),
    *(
        Target(f"nested {verb}: 1 KB to 10 MB", 1.10, "growth redisjson_dict", (verb,), "10 MB",
               ("1 KB",), unit="x 1 KB")
        for verb in ("set", "append", "read", "len")
    ),
    *(
        _faster(verb, limit, size)
        for verb in ("set", "append", "read")
        for size, limit in _LEADS.items()
    ),
    *(
        Target(f"nested {verb}: faster than every peer at every size", 1.0, f"nested {verb}", SIZES,
               MINE, PEERS, at_most=False, unit="times", field="faster")
        for verb in ("set", "append", "read", "len")
    ),
    Target("update of 10 000 items", 1.9, "update", ("update",), MINE, (EC,), unit="x EC"),
    Target("reading 10 000 items", 1.4, "dump", ("read all",), MINE, (L1,), unit="x L1"),
    Target("pipeline of 1 000 nested sets", 1.15, "pipeline", ("nested sets",), MINE, (EC,),
           unit="x redis-py's"),
    Target("pipeline of 1 000 top-level sets", 1.15, "pipeline", ("top-level sets",), MINE, (EC,),
           unit="x redis-py's"),
    *(
        Target(f"{what} at every number of others", 1.6, table,
               ("1 000 others", "100 000 others", "1 000 000 others"), MINE, (EC,),
               unit="x raw SCAN")
        for what, table in (("len(d)", "len"), ("for k in d", "iterate"))
    ),
    *(
        Target(f"8 writers, {verb}, {way}: lost", 0, "concurrency", (f"{verb}, {way}",), MINE,
               field="lost")
        for verb in ("incr", "append") for way in _WAYS
    ),
    *(
        Target(f"8 writers, {verb}, {way}: throughput", 0.85, "concurrency", (f"{verb}, {way}",),
               MINE, (EC,), at_most=False, unit="x EC", field="faster")
        for verb in ("incr", "append") for way in _WAYS
    ),
    *(
        Target(f"at 0.5 ms: {verb}", 1.15, "network 0.5 ms",
               tuple(f"{verb} {size}" for size in ("1 KB", "10 KB", "100 KB")), MINE, (L1,),
               unit="x L1")
        for verb in ("set", "append", "read")
    ),
    Target("import on top of redis", 5, "imports", ("CPU ms",), OURS, unit="ms", field="value"),
    Target("encoding mixed data with exact floats", 1.3, "codec",
           ("mixed 1 KB", "mixed 100 KB", "mixed 1 MB"), OURS, ("orjson.dumps",), unit="x orjson"),
    *(
        Target(f"peak memory of {verb}", 3, "peak", (f"{verb}, 10 MB", f"{verb}, 100 MB"), OURS,
               unit="x text", field="value")
        for verb in ("d[k] = v", "to_python()")
    ),
)  # fmt: skip


def judge(target: Target, results: dict[str, Any]) -> float | None:
    """Return the worst of what was measured, or None if a column is missing."""
    columns = results["tables"].get(target.table, {"columns": {}})["columns"]
    found = [
        number
        for column in target.columns
        if (number := _measured(target, columns.get(column, {}))) is not None
    ]
    if len(found) < len(target.columns):
        return None
    return max(found) if target.at_most else min(found)


def _measured(target: Target, cells: dict[str, Any]) -> float | None:
    mine = cells.get(target.mine, {})
    if target.field in ("lost", "value"):
        number: float | None = mine.get(target.field)
        return number
    if "wall" not in mine:
        return None
    others = [cells[name]["wall"] for name in target.against if "wall" in cells.get(name, {})]
    if "against" in mine:
        others = [mine["against"]]
    if not others:
        return None
    if target.field == "faster":
        return min(ratio(other, mine["wall"]) for other in others)
    return max(ratio(mine["wall"], other) for other in others)
