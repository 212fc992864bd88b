"""The comparison in the README says what the page on performance says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PERFORMANCE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
CONTENDERS = ["redisjson_dict, path key", "redis-json-dict", "redis-dict"]
LEAST = "EC: execute_command + orjson"


def _rows(text: str) -> dict[str, list[str]]:
    """Return the rows of a table by their first cell; the names of the columns are under ""."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first: rest for first, *rest in cells}


def _number(cell: str) -> float:
    """Return the first number of a cell, as "1 107", "2,000,000", "**0.3**" or "80 / 1 / 1"."""
    found = re.match(r"[\d.]+(?:[ ,]\d{3})*", cell.strip("*"))
    assert found is not None, cell
    return float(re.sub(r"[ ,]", "", found[0]))


COMPARED = _rows(README.partition("\n## Beside the alternatives\n")[2].partition("\n## ")[0])


def _published(table: str, column: str) -> dict[str, float]:
    rows = _rows(PERFORMANCE.partition(f"<!-- table: {table} -->\n")[2].partition("<!-- end")[0])
    place = rows[""].index(column)
    wanted = [LEAST, *CONTENDERS]
    return {name: _number(rows[name][place]) for name in wanted if name in rows}


@pytest.mark.parametrize(
    ("row", "table", "column", "relative"),
    [
        ("- bytes for one field of 1 MB", "wire", "set 1 MB", False),
        ("- time, document of 1 KB", "nested set", "1 KB", True),
        ("- time, document of 1 MB", "nested set", "1 MB", True),
        ("Read one field of 1 KB", "nested read", "1 KB", True),
        ("Store a document of 1 MB", "whole", "1 MB", True),
    ],
)
def test_figures_are_those_of_the_last_measurement(row, table, column, relative):
    published = _published(table, column)
    unit = published[LEAST] if relative else 1

    for cell, name in zip(COMPARED[row], CONTENDERS, strict=True):
        if name in published:
            assert _number(cell) == pytest.approx(published[name] / unit, rel=0.3)
        else:
            assert cell == "not measured"


def test_versions_are_those_that_were_measured():
    assert COMPARED[""] == [
        "redisjson_dict",
        *(
            re.sub(r"\.\d+$", "", found[0])
            for name in CONTENDERS[1:]
            if (found := re.search(rf"(?<=, ){name} [\d.]+(?=,)", PERFORMANCE))
        ),
    ]
