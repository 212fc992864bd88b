"""Log-log plots of the results, as PNG and SVG."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams["svg.hashsalt"] = "benchmarks"  # the same picture is the same file
from matplotlib import pyplot as plt  # noqa: E402  after the choice of the backend

__all__ = ["draw"]

_SHOWN = {
    "L1: bare socket": ("black", ":"),
    "EC: execute_command + orjson": ("dimgrey", "--"),
    "redisjson_dict, path key": ("tab:red", "-"),
    "redisjson_dict, chain": ("tab:red", "--"),
    "redis-json-dict": ("tab:blue", "-"),
    "redis-dict": ("tab:green", "-"),
    "kv-dict": ("tab:orange", "-"),
    "pottery": ("tab:purple", "-"),
    "redis-om": ("tab:brown", "-"),
}
_NESTED = {"set": "set a number", "append": "append", "read": "read a number", "len": "len"}


def draw(results: dict[str, Any], home: Path) -> Iterator[Path]:
    """Draw what there is; yield the files."""
    home.mkdir(parents=True, exist_ok=True)
    tables = results["tables"]
    nested = {name: f"nested {name}" for name in _NESTED if f"nested {name}" in tables}
    if nested:
        panels = [(_NESTED[name], tables[table]) for name, table in nested.items()]
        yield from _figure(home / "nested", panels, "size of the document, bytes of JSON", results)
    walks = [
        (tables[n]["title"].split(",")[0], tables[n]) for n in ("len", "iterate") if n in tables
    ]
    if walks:
        yield from _figure(home / "keyspace", walks, "foreign keys on the server", results)
    slow = [name for name in tables if name.startswith("network ")]
    if slow:
        panels = [
            (f"{verb}, round trip {name.split(' ', 1)[1]}", _sizes_of(tables[name], verb))
            for name in slow
            for verb in ("set", "append", "read")
        ]
        yield from _figure(home / "network", panels, "size of the document, bytes of JSON", results)


def _sizes_of(table: dict[str, Any], verb: str) -> dict[str, Any]:
    """Return the columns of one verb, named by their size."""
    columns = table["columns"].items()
    return table | {
        "columns": {c.removeprefix(f"{verb} "): v for c, v in columns if c.startswith(f"{verb} ")}
    }


def _figure(
    path: Path, panels: list[tuple[str, dict[str, Any]]], label: str, results: dict[str, Any]
) -> Iterator[Path]:
    across = 3 if len(panels) > 4 else 2
    down = -(-len(panels) // across)
    figure, axes = plt.subplots(
        down, across, figsize=(4.6 * across, 3.6 * down), squeeze=False, sharex=True
    )
    for axis, (title, table) in zip(axes.flat, panels, strict=False):
        _panel(axis, title, table)
    for axis in axes[-1]:
        axis.set_xlabel(label)
    for axis in axes[:, 0]:
        axis.set_ylabel("microseconds")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    if results["about"]["quick"]:
        figure.suptitle("quick run: not results", color="tab:red")
    figure.tight_layout(rect=(0, 0.14 if down == 1 else 0.1, 1, 1))
    for kind in ("png", "svg"):
        target = path.with_suffix(f".{kind}")
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(target, dpi=110, metadata=metadata)
        yield target
    plt.close(figure)


def _panel(axis: Any, title: str, table: dict[str, Any]) -> None:
    for row, (color, style) in _SHOWN.items():
        points = [
            (_amount(column), median(cells[row]["wall"]))
            for column, cells in table["columns"].items()
            if "wall" in cells.get(row, {})
        ]
        if points:
            xs, ys = zip(*sorted(points), strict=True)
            width = 2.2 if row.startswith("redisjson_dict") else 1.2
            axis.loglog(xs, ys, style, color=color, marker="o", ms=3, lw=width, label=row)
    axis.set_title(title, fontsize=10)
    axis.grid(visible=True, which="major", alpha=0.3)


def _amount(column: str) -> float:
    """Return the number that a column's name stands for."""
    words = column.split()
    unit = {"KB": 1e3, "MB": 1e6}.get(words[-1])
    return float(words[0]) * unit if unit else float("".join(words[:-1]))
