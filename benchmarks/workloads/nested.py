"""A change, a read and a count inside documents of every size, and in a real one."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import orjson

from benchmarks.bench import Bench, Table, workload
from benchmarks.contenders import EC, L1, ByHand, Call, Contender, Helper
from benchmarks.documents import KB, MB, SIZES, label, mixed
from benchmarks.measure import Case
from benchmarks.ours import Ours
from benchmarks.peers import KvDict, Pottery, RedisDict, RedisJsonDict

OPERATIONS: dict[str, Callable[[Contender], Call]] = {
    "set": lambda member: member.setter("k"),
    "append": lambda member: member.appender("k"),
    "read": lambda member: member.reader("k"),
    "len": lambda member: member.counter("k"),
}
_RESTORED = 100 * KB  # below, appending would make the document noticeably longer


@workload("nested", "nested set, append, read and len at 0.4 KB to 10 MB, everybody")
def nested(bench: Bench) -> None:
    """The four operations, size by size."""
    titles = {
        "set": "`d[k]['a']['b']['c'] = v`",
        "append": "`d[k]['a']['b']['list'].append(v)`",
        "read": "`d[k]['a']['b']['c']`",
        "len": "`len(d[k]['rows'])`",
    }
    tables = {
        verb: bench.table(f"nested {verb}", f"{title}, ratio to L1", L1)
        for verb, title in titles.items()
    }
    for size in bench.pick(SIZES, SIZES[:3]):
        bench.say(f"        {label(size)}")
        document = mixed(size)
        with bench.team() as members:
            able = bench.store(members, "k", document)
            for verb, make in OPERATIONS.items():
                _sized(bench, tables[verb], size, able, make, document)


def _sized(
    bench: Bench,
    table: Table,
    size: int,
    members: list[Contender],
    make: Callable[[Contender], Call],
    document: Any,
) -> None:
    def before(member: Contender) -> Callable[[int], Any] | None:
        if table.name != "nested append" or size > _RESTORED:
            return None
        return lambda count: member.store("k", document)

    cases = bench.offered(table, label(size), members, make, before)
    bench.compare(table, label(size), cases)


@workload("growth", "the same verb on documents of every size, side by side")
def growth(bench: Bench) -> None:
    """Whether a verb gets slower as the document grows; EC shows what the server does."""
    for kind in (Ours, ByHand):
        table = bench.table(
            f"growth {'EC' if kind is ByHand else 'redisjson_dict'}",
            f"{kind.name}: time at each size, as a multiple of the time at 1 KB",
            "1 KB",
        )
        sizes = bench.pick(SIZES[1:], SIZES[1:3])
        with bench.team([kind]) as (member,):
            for size in sizes:
                member.store(f"k{size}", mixed(size))
            for verb in ("setter", "appender", "reader", "counter"):
                column = {"setter": "set", "appender": "append", "reader": "read"}.get(verb, "len")
                cases = [Case(label(s), getattr(member, verb)(f"k{s}")) for s in sizes]
                bench.compare(table, column, cases)


@workload("real", "edits spread over a real document of 20 MB")
def real(bench: Bench) -> None:
    """The data behind the compatibility tables of MDN, as a user would edit them."""
    table = bench.table("real", "@mdn/browser-compat-data, edits all over it, ratio to EC", EC)
    document = _browser_compat_data(bench)
    if isinstance(document, str):
        for column in ("store it", "set", "read"):
            table.fail(column, Ours.name, document)
        return
    spots = _spots(document, bench.pick(200, 20))
    table.put("JSON text, MB", "document", round(len(orjson.dumps(document)) / MB, 1))
    table.put("edits", "document", len(spots))
    kinds = [ByHand, Helper, Ours, RedisJsonDict, RedisDict, Pottery, KvDict]
    with bench.team(kinds[: bench.pick(None, 3)]) as members:
        effort = bench.effort._replace(rounds=bench.pick(5, 1), turns=1, budget=3.0)
        stores = [Case(m.name, _storing(m, document)) for m in members]
        bench.compare(table, "store it", stores, effort._replace(rounds=1))
        for column, make in (("set", _editing), ("read", _reading)):
            cases = [Case(m.name, make(m, spots)) for m in members]
            bench.compare(table, column, cases, effort)


def _storing(member: Contender, document: Any) -> Call:
    return lambda: member.store("bcd", document)


def _editing(member: Contender, spots: list[tuple[str, ...]]) -> Call:
    """Return a callable that sets a member ``note`` at the next spot."""
    spot, name = cycle(spots).__next__, f"{member.prefix}bcd"
    if isinstance(member, Helper):
        json = member.json
        return lambda: json.set(name, f"{_path(spot())}.note", "edited")
    if isinstance(member, ByHand):
        run = member.client.execute_command
        return lambda: run("JSON.SET", name, f"{_path(spot())}.note", orjson.dumps("edited"))
    if isinstance(member, Ours):
        d = member.d
        return lambda: d.__setitem__(("bcd", *spot(), "note"), "edited")
    return _editing_copy(member, spot)


def _editing_copy(member: Any, spot: Callable[[], tuple[str, ...]]) -> Call:
    through = isinstance(member, (RedisJsonDict, KvDict))

    def edit() -> None:
        document = node = member.d["bcd"]
        for step in spot():
            node = node[step]
        node["note"] = "edited"
        if not through:
            member.d["bcd"] = document

    return edit


def _reading(member: Any, spots: list[tuple[str, ...]]) -> Call:
    """Return a callable that reads the text ``mdn_url`` at the next spot."""
    spot, name = cycle(spots).__next__, f"{member.prefix}bcd"
    if isinstance(member, Helper):
        json = member.json
        return lambda: json.get(name, f"{_path(spot())}.mdn_url")[0]
    if isinstance(member, ByHand):
        run = member.client.execute_command
        return lambda: orjson.loads(run("JSON.GET", name, f"{_path(spot())}.mdn_url"))[0]
    if isinstance(member, Ours):
        d = member.d
        return lambda: d[("bcd", *spot(), "mdn_url")]

    def read() -> Any:
        node = member.d["bcd"]
        for step in spot():
            node = node[step]
        return node["mdn_url"]

    return read


def _path(steps: tuple[str, ...]) -> str:
    return "$" + "".join(f"[{json.dumps(step)}]" for step in steps)


def _spots(document: Any, count: int) -> list[tuple[str, ...]]:
    """Return the paths of objects, evenly spread over the document in its own order."""
    found = list(_objects(document, ()))
    return found[:: max(1, len(found) // count)][:count]


def _objects(node: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(node, dict) and "mdn_url" in node.get("__compat", ()):
        yield (*path, "__compat")
    if isinstance(node, dict):
        for name, below in node.items():
            yield from _objects(below, (*path, name))


def _browser_compat_data(bench: Bench) -> dict[str, Any] | str:
    """Fetch the package; return its content, or why there is none."""
    npm = shutil.which("npm")
    if not bench.fetch:
        return "skipped: nothing is to be fetched"
    if npm is None:
        return "skipped: npm is not here to fetch the package"
    with tempfile.TemporaryDirectory() as home:
        command = [npm, "pack", "--silent", "@mdn/browser-compat-data"]
        try:
            subprocess.run(command, cwd=home, check=True, capture_output=True, timeout=120)
        except (subprocess.SubprocessError, OSError) as error:
            return f"skipped: the package could not be fetched ({type(error).__name__})"
        archive = next(Path(home).glob("*.tgz"), None)
        if archive is None:
            return "skipped: npm left no package"
        with tarfile.open(archive) as package:
            member = package.extractfile("package/data.json")
            return orjson.loads(member.read()) if member else "skipped: no data in the package"


__all__ = ["OPERATIONS", "growth", "nested", "real"]
