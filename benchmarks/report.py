"""Makes text of the results: the tables of docs/performance.md and the targets, met or not."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.costs import VERBS
from benchmarks.measure import ratio
from benchmarks.ours import OursAdding
from benchmarks.peers import EVERYBODY, PEERS
from benchmarks.targets import TARGETS, Target, judge

__all__ = ["summary", "table", "write"]

_CPU = " (CPU)"
_ORDER = {kind.name: place for place, kind in enumerate((*EVERYBODY[:7], OursAdding, *PEERS))}
_MARK = re.compile(
    r"<!-- (table|targets|about|costs)(?:: ([^>]*?))? -->\n.*?<!-- end -->", re.DOTALL
)


def write(page: Path, results: dict[str, Any]) -> None:
    """Replace what stands between the markers of a page."""
    text = page.read_text(encoding="utf-8")
    page.write_text(rendered(text, results), encoding="utf-8")


def rendered(text: str, results: dict[str, Any]) -> str:
    """Return a page's text with its tables made from the results."""

    def fill(match: re.Match[str]) -> str:
        kind, name = match[1], match[2]
        makers = {
            "table": lambda: table(results, name),
            "targets": lambda: targets(results),
            "about": lambda: about(results),
            "costs": lambda: costs(results),
        }
        head = f"<!-- {kind}: {name} -->" if name else f"<!-- {kind} -->"
        return f"{head}\n{makers[kind]()}\n<!-- end -->"

    return _MARK.sub(fill, text)


def summary(results: dict[str, Any]) -> str:
    """Return what a terminal shows: every table, and the targets."""
    parts = [
        f"{found['title']}\n\n{table(results, name)}" for name, found in results["tables"].items()
    ]
    return "\n\n".join([*parts, targets(results)])


def about(results: dict[str, Any]) -> str:
    """Return what was measured, on what."""
    facts = results["about"]
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    text = (
        f"Measured on {facts['date']}: {facts['server']}, RedisJSON {facts['json']}, Python "
        f"{facts['python']}, {facts['system']}; placement: {facts['placement'] or 'free'}; "
        f"{versions}."
    )
    if facts["absent"]:
        text += (
            " Not measured: " + ", ".join(f"{k} ({v})" for k, v in facts["absent"].items()) + "."
        )
    if facts["quick"]:
        text = f"**From a quick run, which only shows that it runs: not results.** {text}"
    return text


def table(results: dict[str, Any], name: str) -> str:
    """Return one table as Markdown; a row for each contender, or for each column if one fits.

    Args:
        results: of a run.
        name: the table's; with `` (CPU)`` after it, of the client's CPU time.
    """
    found = results["tables"].get(name.removesuffix(_CPU))
    if found is None:
        return "Not measured."
    if name.endswith(_CPU):
        found = found | {"clock": "cpu"}
    columns = found["columns"]
    rows = sorted(dict.fromkeys(row for cells in columns.values() for row in cells), key=_place)
    if len(columns) > 7 and len(rows) < len(columns):  # verbs down, contenders across
        lines = [["", *rows]]
        for column, cells in columns.items():
            lines.append([column, *(_cell(found, cells, row) for row in rows)])
    else:
        lines = [["", *columns]]
        for row in rows:
            lines.append([row, *(_cell(found, columns[column], row) for column in columns)])
    return _markdown(lines)


def _place(row: str) -> int:
    """Return where a contender stands; whoever is no contender, behind them in given order."""
    return _ORDER.get(row, len(_ORDER))


def _cell(found: dict[str, Any], cells: dict[str, Any], row: str) -> str:
    cell = cells.get(row)
    if cell is None:
        return ""
    if "failed" in cell:
        return "-" if cell["failed"].startswith("not offered") else _short(cell["failed"])
    if "text" in cell:
        return str(cell["text"])
    if "value" in cell:
        trips = f" / {cell['commands']} / {cell['trips']}" if "trips" in cell else ""
        return _number(cell["value"]) + trips
    return _timed(found, cells, row)


def _timed(found: dict[str, Any], cells: dict[str, Any], row: str) -> str:
    cell, clock = cells[row], found.get("clock", "wall")
    reference = cell.get("against") or cells.get(found["reference"], {}).get(clock)
    if "lost" in cell:
        share = f", {100 * cell['lost'] / cell['of']:.0f} % lost" if cell["lost"] else ", 0 lost"
        speed = ratio(reference, cell["wall"]) if reference else 0.0
        return f"{_number(speed)}{share}"
    if not reference:
        return _duration(median(cell[clock]))
    if row == found["reference"]:
        return f"1 ({_duration(median(cell[clock]))})"
    return _number(ratio(cell[clock], reference))


def _short(reason: str) -> str:
    return reason if len(reason) < 60 else f"{reason[:57]}..."


def _duration(microseconds: float) -> str:
    if microseconds < 1000:
        return f"{microseconds:.3g} us"
    if microseconds < 1_000_000:
        return f"{microseconds / 1000:.3g} ms"
    return f"{microseconds / 1_000_000:.3g} s"


def _number(number: float) -> str:
    if isinstance(number, int) or number >= 100:
        return f"{number:,.0f}".replace(",", " ")
    return f"{number:.2f}" if number < 10 else f"{number:.1f}"


def _markdown(lines: list[list[str]]) -> str:
    head, *body = lines
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(_escaped(c) for c in line)} |" for line in (head, rule, *body))


def _escaped(text: str) -> str:
    return text.replace("|", "&#124;")


def targets(results: dict[str, Any]) -> str:
    """Return the targets, what was measured, and whether it is met."""
    lines = [["target", "limit", "measured", ""]]
    if results["about"]["quick"]:
        lines += [_judged(target, {"tables": {}}) for target in TARGETS]
        return f"{_markdown(lines)}\n\nA quick run says nothing about them."
    for target in TARGETS:
        lines.append(_judged(target, results))
    met = sum(1 for line in lines[1:] if line[3] == "met")
    known = sum(1 for line in lines[1:] if line[3])
    note = f"{met} of {known} targets that were measured are met."
    return f"{_markdown(lines)}\n\n{note}"


def _judged(target: Target, results: dict[str, Any]) -> list[str]:
    measured = judge(target, results)
    limit = f"{'<=' if target.at_most else '>='} {target.limit:g} {target.unit}".strip()
    if measured is None:
        return [target.name, limit, "not measured", ""]
    met = measured <= target.limit if target.at_most else measured >= target.limit
    return [target.name, limit, _number(measured), "met" if met else "**not met**"]


def costs(results: dict[str, Any]) -> str:
    """Return every verb with its complexity, round trips and bytes."""
    found = results["tables"].get("costs", {"columns": {}})["columns"]
    lines = [["verb", "server", "round trips", *(f"bytes, {size} document" for size in found)]]
    for verb in VERBS:
        cells = [cells[verb.name] for cells in found.values() if verb.name in cells]
        trips = sorted({cell["trips"] for cell in cells})
        counted = [f"{cell['value']:,}".replace(",", " ") for cell in cells]
        lines.append([f"`{verb.name}`", verb.server, " to ".join(map(str, trips)), *counted])
    return _markdown(lines)
