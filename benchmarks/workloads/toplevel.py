"""Whole documents: set, get, in, del of small ones, set of large ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.bench import Bench, Case, workload
from benchmarks.contenders import L1, ByHand, Call, Contender, Helper, Raw
from benchmarks.documents import KB, MB, label, mixed
from benchmarks.ours import Ours
from benchmarks.peers import PEERS, RedisJsonDict


@workload("toplevel", "top-level set, get, in and del of numbers")
def toplevel(bench: Bench) -> None:
    """What one command on one small value costs everybody."""
    table = bench.table("toplevel", "Top level, documents that are numbers, ratio to L1", L1)
    makes: dict[str, Callable[[Contender], Call]] = {
        "set": lambda member: member.top_set("t"),
        "get": lambda member: member.top_get("t"),
        "in": lambda member: member.top_in("t"),
        "in, absent": lambda member: member.top_in("nothing"),
    }
    with bench.team([Raw, ByHand, Helper, Ours, *PEERS]) as members:
        members = bench.store(members, "t", 1000)
        for column, make in makes.items():
            bench.compare(table, column, bench.offered(table, column, members, make))
        bench.compare(table, "del", [_deleting(member) for member in members])


def _deleting(member: Contender) -> Case:
    """Return a case whose documents are made before each chunk."""
    delete: Call = lambda: None  # noqa: E731  replaced by each chunk's own

    def before(count: int) -> None:
        nonlocal delete
        names = [f"x{number}" for number in range(count)]
        stock = dict.fromkeys(names, 1)
        member.updater(stock)()
        delete = member.top_del(names)

    return Case(member.name, lambda: delete(), before)


@workload("whole", "whole documents of 1 KB to 1 MB")
def whole(bench: Bench) -> None:
    """Storing a document: what checking it and its floats adds."""
    table = bench.table("whole", "`d[k] = document`, ratio to L1", L1)
    for size in bench.pick((KB, 10 * KB, 100 * KB, MB), (KB,)):
        document: Any = mixed(size)
        with bench.team([Raw, ByHand, Helper, Ours, RedisJsonDict]) as members:
            cases = bench.offered(
                table, label(size), members, lambda m, d=document: m.top_set("t", d)
            )
            bench.compare(table, label(size), cases)


__all__ = ["toplevel", "whole"]
