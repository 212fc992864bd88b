"""len and iteration of 1 000 keys among others: what walking the server's keys costs."""

from __future__ import annotations

from benchmarks.bench import Bench, Table, workload
from benchmarks.contenders import EC, ByHand, Contender, Raw
from benchmarks.documents import items
from benchmarks.measure import Effort
from benchmarks.ours import Ours
from benchmarks.peers import PEERS

_POPULATE = """
for n = tonumber(ARGV[1]), tonumber(ARGV[2]) - 1 do redis.call("SET", KEYS[1] .. n, 1) end
"""
_PATIENCE = 8.0  # seconds; whoever will need longer, by what he took for fewer keys, is left out


@workload("keyspace", "len and iteration with 1 000 keys among 1 000 to 1 000 000 others")
def keyspace(bench: Bench) -> None:
    """The others are the keys of the reference, and strings."""
    tables = [
        bench.table("len", "`len(d)`, 1 000 documents, ratio to a raw SCAN COUNT 10 000", EC),
        bench.table("iterate", "`[k for k in d]`, ratio to a raw SCAN COUNT 10 000", EC),
    ]
    ours, there = bench.pick(1000, 50), 0
    with bench.team([ByHand, Raw, Ours, *PEERS[: bench.pick(None, 1)]]) as (reference, *members):
        for foreign in bench.pick((1_000, 100_000, 1_000_000), (100, 1_000)):
            _populate(bench, there, foreign - ours)
            there = foreign - ours
            rounds = bench.pick(5 if foreign > 100_000 else 9, 1)
            effort = bench.effort._replace(rounds=rounds, turns=1, budget=1.5)
            column = f"{foreign:,} others".replace(",", " ")
            for member in members:
                _pair(bench, tables, column, (reference, member), ours, effort)


def _populate(bench: Bench, there: int, wanted: int) -> None:
    for start in range(there, wanted, 20_000):
        end = min(wanted, start + 20_000)
        bench.admin.eval(_POPULATE, 1, f"other{bench.prefix}:", start, end)


def _pair(
    bench: Bench,
    tables: list[Table],
    column: str,
    pair: tuple[Contender, Contender],
    ours: int,
    effort: Effort,
) -> None:
    """Measure one contender beside the reference: more of them would be more keys."""
    patient = [table for table in tables if not _endless(table, column, pair[1])]
    if not patient:
        return
    try:
        for member in pair:
            member.updater(items(ours))()
        for table in patient:
            make = Contender.sizer if table.name == "len" else Contender.walker
            cases = bench.offered(table, column, pair, lambda m, n=make.__name__: getattr(m, n)())
            bench.compare(table, column, cases, effort, against=EC)
    finally:
        for member in pair:
            bench.sweep(f"*{member.prefix}*")


def _endless(table: Table, column: str, member: Contender) -> bool:
    """Return whether a contender would take too long, and enter that."""
    before = [cells for name, cells in table.columns.items() if name != column]
    last = before[-1] if before else {}
    took = last.get(member.name, {}).get("wall", [0.0])
    if min(took) / 1e6 * 10 > _PATIENCE:
        table.fail(column, member.name, f"left out: more than {_PATIENCE:.0f} s")
        return True
    return False


__all__ = ["keyspace"]
