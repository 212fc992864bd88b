"""`python -m benchmarks`: measure, write results, plots and the tables of docs/performance.md."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import redis

import benchmarks.workloads  # noqa: F401  registers them
from benchmarks.bench import WORKLOADS, Bench, Workload
from benchmarks.measure import QUICK, Effort, placed
from benchmarks.peers import EVERYBODY, missing
from redisjson_dict.server import Server

HERE = Path(__file__).parent
_DISTRIBUTIONS = (
    "redisjson-dict", "redis", "hiredis", "orjson",
    "redis-json-dict", "redis-dict", "kv-dict", "pottery", "redis-om",
)  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    options = _options(arguments)
    if options.list:
        for workload in WORKLOADS.values():
            print(f"{workload.name:12} {workload.title}")
        return 0
    if options.render:
        return _render(options)
    chosen = _chosen(options)
    if chosen is None:
        return 2
    started = time.perf_counter()
    with _server(options.url) as (url, pid):
        results = _measure(options, chosen, url, pid)
    results["about"]["seconds"] = round(time.perf_counter() - started)
    _write(options, results)
    failed = results["about"]["failed"]
    _say(f"{results['about']['seconds']} s" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return _render(options) or int(bool(failed))


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--url", help="a server; without it, an embedded one is started")
    parser.add_argument("--quick", action="store_true", help="tiny: whether everything runs")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these workloads; see --list")
    parser.add_argument("--placement", choices=("same", "free"), default="same")
    parser.add_argument("--skip-download", action="store_true", help="fetch no document")
    parser.add_argument("--output", type=Path, help="directory for results and plots")
    parser.add_argument("--docs", type=Path, help="the page whose tables are written")
    parser.add_argument(
        "--render", action="store_true", help="measure nothing; write plots, tables"
    )
    parser.add_argument("--list", action="store_true", help="show the workloads")
    options = parser.parse_args(arguments)
    if options.output is None:  # a part, or a quick run, does not replace what is published
        whole = not options.quick and not options.only
        options.output = HERE if whole or options.render else Path("build/benchmarks")
        if options.docs is None and options.output == HERE:
            options.docs = HERE.parent / "docs" / "performance.md"
    return options


def _chosen(options: argparse.Namespace) -> list[Workload] | None:
    names = options.only or list(WORKLOADS)
    unknown = [name for name in names if name not in WORKLOADS]
    if unknown:
        print(
            f"no workload {', '.join(unknown)}; there are {', '.join(WORKLOADS)}", file=sys.stderr
        )
        return None
    return [WORKLOADS[name] for name in names]


@contextlib.contextmanager
def _server(url: str | None) -> Iterator[tuple[str, int | None]]:
    """Yield the URL, and the process of a server that is ours to move."""
    if url:
        yield url, None
        return
    with Server(port=0) as server:
        yield server.url, server.pid


def _measure(
    options: argparse.Namespace, chosen: list[Workload], url: str, pid: int | None
) -> dict[str, Any]:
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    same = options.placement == "same"
    bench = Bench(
        url,
        QUICK if options.quick else Effort(),
        quick=options.quick,
        server_pid=pid,
        placement=options.placement,
        others=(cores - {max(cores)}) or None if same and cores else None,
        fetch=not options.skip_download and not options.quick,
        say=_say,
    )
    places = set()
    spent: dict[str, float] = {}
    failed: list[str] = []
    try:
        for number, workload in enumerate(chosen, 1):
            _say(f"[{number:2}/{len(chosen)}] {workload.title} ...")
            with placed(options.placement if workload.pinned else "free", pid) as where:
                spent[workload.name] = round(_attempt(workload, bench, failed), 1)
            places |= {where} if workload.pinned else set()
            _say(f"        {spent[workload.name]:.1f} s")
    finally:
        bench.sweep()
    about = _about(bench, options) | {"placement": ", ".join(sorted(places)), "took": spent}
    about["failed"] = failed
    bench.admin.close()
    return {"about": about, "tables": {table.name: table.as_json() for table in bench.tables}}


def _attempt(workload: Workload, bench: Bench, failed: list[str]) -> float:
    """Run one workload; one that fails does not take the others' results along."""
    started = time.perf_counter()
    try:
        workload.run(bench)
    except Exception:  # printed, and counted as failed: the others go on
        traceback.print_exc()
        failed.append(workload.name)
        bench.sweep()
    return time.perf_counter() - started


def _about(bench: Bench, options: argparse.Namespace) -> dict[str, Any]:
    info: Any = bench.admin.info()
    modules: Any = bench.admin.execute_command("MODULE", "LIST")
    return {
        "quick": options.quick,
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "server": f"{info.get('server_name', 'redis')} {info['redis_version']}",
        "json": _module_version(modules),
        "embedded": options.url is None,
        "versions": {name: found for name in _DISTRIBUTIONS if (found := _version(name))},
        "absent": {k.name: reason for k in EVERYBODY if (reason := missing(k))} | bench.broken,
    }


def _module_version(modules: Any) -> str:
    for module in modules:
        fields = (
            module
            if isinstance(module, dict)
            else dict(zip(module[::2], module[1::2], strict=True))
        )
        if fields.get(b"name", fields.get("name")) in (b"ReJSON", "ReJSON"):
            return str(fields.get(b"ver", fields.get("ver")))
    return "built in"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _write(options: argparse.Namespace, results: dict[str, Any]) -> None:
    path = options.output / "results" / "results.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_json(results), encoding="utf-8")
    _say(f"wrote {path}")


def _json(results: dict[str, Any]) -> str:
    """Return results with one line for each cell, so that changes can be read."""
    lines = ["{", f'"about": {json.dumps(results["about"], indent=1)},', '"tables": {']
    tables = []
    for name, table in results["tables"].items():
        columns = []
        for column, cells in table["columns"].items():
            rows = ",\n   ".join(f"{json.dumps(row)}: {json.dumps(c)}" for row, c in cells.items())
            columns.append(f"  {json.dumps(column)}: {{\n   {rows}\n  }}")
        head = {key: value for key, value in table.items() if key != "columns"}
        body = ",\n".join(columns)
        tables.append(f'{json.dumps(name)}: {json.dumps(head)[:-1]}, "columns": {{\n{body}\n }}}}')
    return "\n".join([*lines, ",\n".join(tables), "}", "}"]) + "\n"


def _render(options: argparse.Namespace) -> int:
    """Make plots and tables of the results."""
    from benchmarks import report

    path = options.output / "results" / "results.json"
    results = json.loads(path.read_text(encoding="utf-8"))
    print(report.summary(results))
    if options.docs is not None:
        report.write(options.docs, results)
        _say(f"wrote the tables of {options.docs}")
    try:
        from benchmarks import plot
    except ImportError:
        _say("no plots: matplotlib is not installed")
    else:
        for drawn in plot.draw(results, options.output / "plots"):
            _say(f"wrote {drawn}")
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except redis.ConnectionError as error:
        sys.exit(f"benchmarks: {error}")
