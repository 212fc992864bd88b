"""What it takes besides time: server memory, client memory, import time."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import orjson

from benchmarks.bench import Bench, Table, workload
from benchmarks.documents import KB, MB, floats, label, mixed

_ROOT = str(Path(__file__).parents[2])
_IMPORT = """
import sys, time
import redis
known, cpu = set(sys.modules), time.process_time()
import {module}
cpu = time.process_time() - cpu
added = set(sys.modules) - known
heavy = [name for name in ("numpy", "pydantic", "rich") if name in added]
print(cpu * 1000, len(added), ",".join(heavy) or "-")
"""
_KV_DICT = "import typing; typing.override = getattr(typing, 'override', lambda f: f)\n"
_MODULES = (
    "orjson", "redisjson_dict", "redis_json_dict", "redis_dict", "kv_dict", "pottery", "redis_om",
)  # fmt: skip
_PEAK = """
import sys
from benchmarks.peak import main
main(*sys.argv[1:])
"""


@workload("memory", "server memory of a document against its text")
def memory(bench: Bench) -> None:
    """MEMORY USAGE of the document as RedisJSON and as a string."""
    table = bench.table("memory", "Server memory by kind of document", "", "bytes")
    documents: dict[str, Any] = {
        "number": 42,
        "short text": "hello world",
        "3 members": {"id": 1, "name": "item 1", "ok": True},
        "mixed 1 KB": mixed(KB),
        "mixed 100 KB": mixed(100 * KB),
        "mixed 1 MB": mixed(MB),
        "10 000 small integers": [n % 1000 for n in range(10_000)],
        "10 000 floats": floats(10_000),
        "10 000 texts, 100 distinct": [f"text {n % 100}" for n in range(10_000)],
        "one text of 100 KB": "x" * 100_000,
    }
    key = f"{bench.prefix}memory"
    for name, document in documents.items():
        text = orjson.dumps(document)
        bench.admin.set(key, text)
        string = bench.admin.memory_usage(key, samples=0)
        bench.admin.delete(key)
        bench.admin.execute_command("JSON.SET", key, "$", text)
        tree = bench.admin.execute_command("JSON.DEBUG", "MEMORY", key)
        table.put("JSON text", name, len(text))
        table.put("string in Redis", name, string)
        table.put("RedisJSON", name, tree)
        table.put("RedisJSON / text", name, round(tree / len(text), 2))
    bench.sweep()


@workload("imports", "import time on top of redis", pinned=False)
def imports(bench: Bench) -> None:
    """CPU time in fresh interpreters that have imported redis."""
    table = bench.table("imports", "Importing, after redis", "", "CPU ms, modules")
    times: dict[str, list[float]] = {name: [] for name in _MODULES}
    added: dict[str, tuple[int, str]] = {}
    with tempfile.TemporaryDirectory() as cache:
        for number in range(bench.pick(10, 2)):
            for module in _MODULES[: bench.pick(None, 3)]:
                found = _imported(module, cache)
                if found is None:
                    table.fail("CPU ms", module, "not installed, or not importable")
                elif number:  # the first time, byte code is made
                    times[module].append(found[0])
                    added[module] = found[1:]
    for module, (modules, heavy) in added.items():
        table.put("CPU ms", module, round(statistics.median(times[module]), 2))
        table.put("modules", module, modules)
        table.columns.setdefault("heavy ones", {})[module] = {"text": heavy}


def _imported(module: str, cache: str) -> tuple[float, int, str] | None:
    code = (_KV_DICT if module == "kv_dict" else "") + _IMPORT.format(module=module)
    done = _python(["-c", code], PYTHONPYCACHEPREFIX=cache, PYTHONDONTWRITEBYTECODE="")
    if done.returncode:
        return None
    cpu, modules, heavy = done.stdout.split()
    return float(cpu), int(modules), heavy


@workload("peak", "peak client memory of storing and reading large documents", pinned=False)
def peak(bench: Bench) -> None:
    """In a fresh process each, as orjson's buffers are not Python's."""
    table = bench.table(
        "peak", "Peak client memory beyond the value, as a multiple of the JSON text", "", "x text"
    )
    for size in bench.pick((10 * MB, 100 * MB), (MB,)):
        with tempfile.NamedTemporaryFile(suffix=".json") as text:
            text.write(orjson.dumps(mixed(size)))
            text.flush()
            for way in ("orjson alone", "EC", "redisjson_dict")[bench.pick(0, 2) :]:
                for verb, called in (("store", "d[k] = v"), ("read", "to_python()")):
                    arguments = (bench.url, f"{bench.prefix}peak", way, verb, text.name)
                    _enter(table, f"{called}, {label(size)}", way, arguments)
        bench.sweep()


def _enter(table: Table, column: str, way: str, arguments: tuple[str, ...]) -> None:
    done = _python(["-c", _PEAK, *arguments])
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["failed"])[-1]
        table.fail(column, way, reason[:200])
    else:
        table.put(column, way, float(done.stdout))


def _python(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH", "")]))
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )


__all__ = ["imports", "memory", "peak"]
