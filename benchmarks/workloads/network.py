"""The nested operations over a network, imitated by a relay that takes its time."""

from __future__ import annotations

from benchmarks.bench import Bench, Table, workload
from benchmarks.contenders import L1, Contender
from benchmarks.documents import KB, label, mixed
from benchmarks.peers import EVERYBODY
from benchmarks.wire import Relay, check
from benchmarks.workloads.nested import OPERATIONS


@workload("network", "nested set, append and read at 0.5 and 2 ms of round trip time")
def network(bench: Bench) -> None:
    """Round trips decide here."""
    exactness = bench.table("relay", "The relay: microseconds of one PING", "", "us")
    overhead = _added(bench, 0.0)
    kinds = bench.pick(EVERYBODY, EVERYBODY[:5])
    for rtt in (0.0005, 0.002):
        delay = max(0.0, rtt - overhead)
        for name, microseconds in check(bench.url, delay, bench.others):
            exactness.put(f"{rtt * 1000:g} ms", name, round(microseconds))
        table = bench.table(
            f"network {rtt * 1000:g} ms",
            f"A round trip of {rtt * 1000:g} ms, ratio to L1 over the same link",
            L1,
        )
        with (
            Relay(bench.url, delay, bench.others) as relay,
            bench.team(kinds, relay.url) as members,
        ):
            for size in bench.pick((KB, 10 * KB, 100 * KB), (KB,)):
                _sized(bench, table, members, size)


def _sized(bench: Bench, table: Table, members: list[Contender], size: int) -> None:
    document = mixed(size)
    effort = bench.effort._replace(rounds=bench.pick(9, 1), turns=1, budget=0.8)
    able = bench.store(members, "k", document)
    for verb in ("set", "append", "read"):
        cases = bench.offered(table, f"{verb} {label(size)}", able, OPERATIONS[verb])
        bench.compare(table, f"{verb} {label(size)}", cases, effort)


def _added(bench: Bench, rtt: float) -> float:
    """Return the seconds that a relay adds of its own."""
    found = dict(check(bench.url, rtt, bench.others))
    return (found["relayed"] - found["direct"]) / 1e6


__all__ = ["network"]
