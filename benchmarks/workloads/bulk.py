"""Many at once: update, read everything, pipelines, one field of many objects."""

from __future__ import annotations

from operator import methodcaller
from typing import Any

import orjson

from benchmarks.bench import Bench, Case, workload
from benchmarks.contenders import EC, L1, ByHand, Call, Helper, Raw
from benchmarks.documents import items, mixed
from benchmarks.ours import Ours
from benchmarks.peers import PEERS, RedisDict


@workload("bulk", "update and to_python of 10 000 small documents")
def bulk(bench: Bench) -> None:
    """All in one call, as each contender offers it."""
    count = bench.pick(10_000, 200)
    documents = items(count)
    effort = bench.effort._replace(rounds=bench.pick(7, 1), turns=1, budget=3.0)
    update = bench.table("update", f"`d.update(...)` of {count} small documents, ratio to L1", L1)
    dump = bench.table("dump", f"`d.to_python()` of {count} small documents, ratio to L1", L1)
    with bench.team([Raw, ByHand, Helper, Ours, *PEERS]) as members:
        cases = bench.offered(update, "update", members, methodcaller("updater", documents))
        bench.compare(update, "update", cases, effort)
        cases = bench.offered(dump, "read all", members, methodcaller("dumper"))
        bench.compare(dump, "read all", cases, effort)


@workload("pipeline", "a pipeline of 1 000 writes")
def pipeline(bench: Bench) -> None:
    """One transaction; redis-py's own pipeline is the reference."""
    count = bench.pick(1000, 100)
    table = bench.table("pipeline", f"A pipeline of {count} writes, ratio to EC's", EC)
    effort = bench.effort._replace(rounds=bench.pick(11, 1), turns=1)
    with bench.team([ByHand, Raw, Helper, Ours, RedisDict]) as members:
        for member in members:
            member.store("k", mixed(1000))
        for column, make in (
            ("nested sets", lambda member: member.batcher("k", count)),
            ("top-level sets", lambda member: member.top_batcher(count)),
        ):
            bench.compare(table, column, bench.offered(table, column, members, make), effort)


@workload("field", "one field of 2 000 nested objects")
def field(bench: Bench) -> None:
    """The ways to read one field of every row, and what the naive loop costs."""
    count = bench.pick(2000, 100)
    by_hand = "EC: one JSON.GET with a wildcard"
    table = bench.table(
        "field",
        f"One field of each of {count} nested objects, ratio to a wildcard by hand",
        by_hand,
    )
    rows = [{"id": n, "name": f"row {n}", "more": {"x": n % 7}} for n in range(count)]
    effort = bench.effort._replace(rounds=bench.pick(7, 1), turns=1, budget=3.0)
    with bench.team([Ours]) as (member,):
        d: Any = member.d  # type: ignore[attr-defined]  # of Ours
        d["k"] = {"rows": rows}
        held, key = d["k"]["rows"], f"{member.prefix}k"
        run = member.client.execute_command
        ways: dict[str, Call] = {
            by_hand: lambda: orjson.loads(run("JSON.GET", key, "$.rows[*].more.x")),
            'query("$[*].more.x")': lambda: held.query("$[*].more.x"),
            "to_python(), then a loop": lambda: [row["more"]["x"] for row in held.to_python()],
            "get_many(paths)": lambda: d.get_many(
                [("k", "rows", n, "more", "x") for n in range(count)]
            ),
            "for row in proxy: row.at(path).get()": lambda: [
                row.at("more", "x").get() for row in held
            ],
            "for row in proxy: row[name][name]": lambda: [row["more"]["x"] for row in held],
        }
        bench.compare(table, f"{count} objects", [Case(n, way) for n, way in ways.items()], effort)


__all__ = ["bulk", "field", "pipeline"]
