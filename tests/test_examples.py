"""The examples as a user runs them: their own processes, exit status, what they print."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from redisjson_dict.server import binaries

ROOT = Path(__file__).parents[1]
PROMISES = (
    "ok: 500 increments make 500",
    "ok: 500 elements appended, none lost, each process's in order",
    "ok: the document is plain JSON, equal to plain data after the same changes",
    "> TYPE demo:input\n  ReJSON-RL",
)

pytestmark = pytest.mark.skipif(not binaries(), reason="no embedded server on this machine")


def _main_job(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", ROOT / "examples" / "main_job.py", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
    )


def _sent(output: str, step: str) -> int:
    """Return the bytes in the row of a step."""
    row = next(line for line in output.splitlines() if line.strip().startswith(step))
    return int(row.split()[-2].replace(",", ""))


@pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="this environment has no pip")
def test_main_job_on_its_own_input():
    done = _main_job()

    assert (done.returncode, done.stderr) == (0, "")
    assert all(fact in done.stdout for fact in PROMISES)
    assert "Document: pip inspect" in done.stdout
    assert len(done.stdout.splitlines()) < 60
    assert _sent(done.stdout, "store it") > 20 * _sent(done.stdout, "walk 5 levels")
    assert _sent(done.stdout, "add an object") < 300


@pytest.mark.parametrize(
    "value",
    [
        {"a": {"b": [1, {"c": 0.1}]}, "job0": "taken", " lead": {"x\\": 1}},
        [[1, 2, ["deep", []]], {"q": '"'}],
        [],
        {},
        "text",
        1.5,
        None,
        {"ключ": ["一", "\x00"]},
    ],
    ids=repr,
)
def test_main_job_on_any_json(value, tmp_path):
    path = tmp_path / "input.json"
    path.write_text(json.dumps(value), encoding="utf-8")

    done = _main_job(path)

    assert (done.returncode, done.stderr) == (0, "")
    assert all(fact in done.stdout for fact in PROMISES)


def test_main_job_marks_what_it_cuts(tmp_path):
    path = tmp_path / "input.json"
    path.write_text(json.dumps({"x" * 60: 1, "fits": "y" * 48, "long": "y" * 49}))

    shown = _main_job(path).stdout.splitlines()

    assert f"    '{'x' * 36}...: 1" in shown
    assert f"    'fits': '{'y' * 48}'" in shown
    assert f"    'long': '{'y' * 46}..." in shown


@pytest.mark.parametrize(
    "content",
    [None, "", "{", "[NaN]", "[18446744073709551616]", "[" * 200 + "]" * 200],
    ids=["missing", "empty", "cut", "nan", "big", "deep"],
)
def test_main_job_says_what_it_cannot_use(content, tmp_path):
    path = tmp_path / "input.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")

    done = _main_job(path)

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("main_job.py: ")
    assert done.stdout == ""
