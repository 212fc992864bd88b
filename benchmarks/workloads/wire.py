"""Bytes, commands and round trips: exact counts, by contender and by verb."""

from __future__ import annotations

from collections.abc import Callable
from operator import methodcaller
from typing import Any

from benchmarks.bench import Bench, Table, workload
from benchmarks.contenders import Call, Contender, NotOffered
from benchmarks.costs import VERBS
from benchmarks.documents import KB, MB, items, label, mixed
from benchmarks.ours import Ours
from benchmarks.peers import EVERYBODY
from benchmarks.wire import COUNTING, Relay, Traffic
from redisjson_dict import RedisJSONDict


@workload("wire", "bytes, commands and round trips of an operation, everybody")
def wire(bench: Bench) -> None:
    """What passes the relay while each contender does a thing once."""
    table = bench.table("wire", "Bytes both ways / commands / round trips", "", "bytes")
    sizes = bench.pick((10 * KB, MB), (KB,))
    makes: dict[str, Callable[[Contender], Call]] = {
        "set": lambda member: member.setter("k"),
        "append": lambda member: member.appender("k"),
        "read": lambda member: member.reader("k"),
        "incr": lambda member: member.incrementer("k"),
    }
    kinds = bench.pick(EVERYBODY, EVERYBODY[:7])
    with Relay(bench.url, COUNTING, bench.others) as relay:
        for size in sizes:
            for kind in kinds:
                with bench.team([kind], relay.url) as members:
                    for member in bench.store(members, "k", mixed(size)):
                        for verb, make in makes.items():
                            _count(relay, table, f"{verb} {label(size)}", member, make)
        hundred = methodcaller("updater", items(100))
        for kind in kinds:
            with bench.team([kind], relay.url) as members:
                for member in members:
                    _count(relay, table, "update, 100 items", member, hundred)
                    _count(relay, table, "read all, 100 items", member, methodcaller("dumper"))


def _count(
    relay: Relay, table: Table, column: str, member: Contender, make: Callable[[Contender], Call]
) -> None:
    try:
        call = make(member)
        call()  # scripts are loaded, connections are made
        _enter(table, column, member.name, relay.cost(call))
    except NotOffered:
        table.fail(column, member.name, "not offered")
    except Exception as error:  # a peer's failure is a result, too
        table.fail(column, member.name, f"{type(error).__name__}: {error}"[:200])


def _enter(table: Table, column: str, row: str, cost: Traffic) -> None:
    table.put(column, row, cost.up + cost.down, commands=cost.commands, trips=cost.trips)


@workload("costs", "bytes and round trips of every verb, in a small and in a large document")
def costs(bench: Bench) -> None:
    """Whether a verb's bytes grow with the document."""
    table = bench.table("costs", "Every verb: bytes both ways / round trips", "", "bytes")
    with Relay(bench.url, COUNTING, bench.others) as relay:
        for size in bench.pick((KB, 100 * KB), (KB,)):
            with bench.team([Ours], relay.url) as (member,):
                relayed: Any = member.d  # type: ignore[attr-defined]  # of Ours
                direct = RedisJSONDict(bench.admin, member.prefix)
                document = mixed(size)
                for verb in VERBS:
                    for step in (verb.warm, None):  # scripts are loaded when it counts
                        direct.update({"k": document | verb.content, "new": 1})
                        if step is not None:
                            step(direct)
                    _enter(table, label(size), verb.name, relay.cost(verb.prepare(relayed)))


__all__ = ["costs", "wire"]
