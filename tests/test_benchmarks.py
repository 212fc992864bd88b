"""The benchmarks run, with whatever contenders are at hand, and the page shows what they found.

No time is asserted: that is for `make bench`, on a quiet machine.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from redisjson_dict.server import binaries

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "benchmarks" / "results" / "results.json"

sys.path.insert(0, str(ROOT))
from benchmarks import measure, report, targets  # noqa: E402  beside the tests, not installed
from benchmarks.bench import WORKLOADS  # noqa: E402
from benchmarks.wire import _Requests  # noqa: E402

needs_server = pytest.mark.skipif(not binaries(), reason="no embedded server on this machine")


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """The results of a quick run, and a page made from them."""
    home = tmp_path_factory.mktemp("bench")
    page = home / "page.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")

    done = _run("--quick", "--output", home, "--docs", page)

    assert done.returncode == 0, done.stderr[-3000:]
    text = (home / "results" / "results.json").read_text(encoding="utf-8")
    return json.loads(text), page.read_text(encoding="utf-8")


@needs_server
def test_quick_run_fills_every_table(quick):
    results, _ = quick

    assert results["about"]["quick"]
    assert results["about"]["failed"] == []
    assert all(table["columns"] for table in results["tables"].values())


@needs_server
def test_quick_run_has_this_library_in_every_cell(quick):
    results, _ = quick
    failed = {
        f"{name}, {column}, {row}": cell["failed"]
        for name, table in results["tables"].items()
        for column, cells in table["columns"].items()
        for row, cell in cells.items()
        if row.startswith("redisjson_dict") and "failed" in cell and name != "real"
    }

    assert failed == {}


@needs_server
def test_quick_run_counts_what_the_page_promises(quick):
    results, _ = quick
    columns = results["tables"]["wire"]["columns"]

    assert columns["set 1 KB"]["redisjson_dict, held proxy"]["trips"] == 1
    assert columns["set 1 KB"]["redisjson_dict, chain"]["trips"] == 4
    assert columns["update, 100 items"]["redisjson_dict, path key"]["trips"] == 1


@needs_server
def test_quick_run_loses_no_change(quick):
    results, _ = quick
    cells = [
        cells["redisjson_dict, path key"]
        for cells in results["tables"]["concurrency"]["columns"].values()
    ]

    assert len(cells) == 4
    assert {cell["lost"] for cell in cells} == {0}


@needs_server
def test_page_of_a_quick_run_says_so(quick):
    _, page = quick

    assert "not results" in page.partition("## Method")[0]
    assert "\nNot measured.\n" not in page


def test_page_shows_the_results_that_are_published():
    text = PAGE.read_text(encoding="utf-8")

    assert report.rendered(text, json.loads(RESULTS.read_text(encoding="utf-8"))) == text


def test_page_has_every_table():
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    text = PAGE.read_text(encoding="utf-8")
    shown = set(re.findall(r"<!-- table: (.+?)(?: \(CPU\))? -->", text))

    assert shown | {"costs"} == set(results["tables"])


@pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="plots need the extra [bench]"
)
def test_plots_are_drawn(tmp_path):
    from benchmarks import plot

    results = json.loads(RESULTS.read_text(encoding="utf-8"))

    assert {path.name for path in plot.draw(results, tmp_path)} >= {"nested.png", "nested.svg"}


def test_unknown_workload_is_refused():
    done = _run("--only", "nonsense")

    assert done.returncode == 2
    assert "no workload nonsense" in done.stderr


def test_every_target_names_a_table():
    tables = set(json.loads(RESULTS.read_text(encoding="utf-8"))["tables"])

    assert {target.table for target in targets.TARGETS} <= tables


def test_every_workload_says_what_it_is():
    import benchmarks.workloads  # noqa: F401  registers them

    assert all(workload.title for workload in WORKLOADS.values())


def test_ratio_is_of_the_same_round():
    assert measure.ratio([2.0, 20.0, 300.0], [1.0, 10.0, 100.0]) == 2.0


def test_failure_of_a_contender_is_a_result():
    def broken() -> None:
        raise ValueError("cannot")

    timings = measure.compare(
        [measure.Case("fine", int), measure.Case("broken", broken)], measure.QUICK
    )

    assert timings["fine"].cell()["wall"]
    assert timings["broken"].cell() == {"failed": "ValueError: cannot"}


@pytest.mark.parametrize(
    ("mine", "expected"), [(2.0, 2.0), (None, None)], ids=["measured", "missing"]
)
def test_target_is_judged_by_the_worst_column(mine, expected):
    target = targets.Target("t", 1.1, "table", ("a", "b"), "me", ("you",))
    columns = {"a": {"me": {"wall": [1.0]}, "you": {"wall": [1.0]}}}
    if mine is not None:
        columns["b"] = {"me": {"wall": [mine]}, "you": {"wall": [1.0]}}

    assert targets.judge(target, {"tables": {"table": {"columns": columns}}}) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_relay_counts_commands_in_pieces_of_any_size(size):
    data = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n" * 3 + b"*1\r\n$0\r\n\r\n"
    requests = _Requests()

    counted = [requests.feed(data[at : at + size]) for at in range(0, len(data), size)]

    assert sum(counted) == 4
