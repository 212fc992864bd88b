"""What is stored: mixed documents of a given size, small items, arrays of floats."""

from __future__ import annotations

import random
from typing import Any

import orjson

__all__ = ["COLORS", "KB", "MB", "SIZES", "floats", "items", "label", "mixed"]

KB, MB = 1000, 1_000_000
SIZES = (400, KB, 10 * KB, 100 * KB, MB, 10 * MB)
"""Bytes of JSON text."""

_DIFFERENT = 10_000  # rows; about 1.3 MB

COLORS = ("red", "green", "blue", "white", "grey")


def label(size: int) -> str:
    """Return a size as a table shows it."""
    if size >= MB:
        return f"{size // MB} MB"
    return f"{size / KB:g} KB"


def mixed(size: int) -> dict[str, Any]:
    """Return a document of about `size` bytes of JSON text.

    The verbs act on ``a.b``, which is the same in every size; ``rows`` fill the rest: integers,
    floats, text, booleans, nulls, arrays and objects.
    """
    document: dict[str, Any] = {"a": {"b": {"c": 1000, "n": 0, "list": []}}, "rows": []}
    chance = random.Random(7)
    left = size - len(orjson.dumps(document))
    number = 0
    while left > 0 and number < _DIFFERENT:
        row = _row(chance, number)
        left -= len(orjson.dumps(row)) + 1
        document["rows"].append(row)
        number += 1
    block = orjson.dumps(document["rows"])
    while left > 0:  # the same ones again, as objects of their own
        again = orjson.loads(block)
        share = min(1.0, left / len(block))
        document["rows"] += again[: max(1, round(len(again) * share))]
        left -= round(len(block) * share) + 1
    return document


def _row(chance: random.Random, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"row {number}",
        "value": round(chance.uniform(-1000, 1000), 3),
        "color": chance.choice(COLORS),
        "ok": chance.random() < 0.5,
        "none": None,
        "at": [chance.randrange(1000), chance.randrange(1000)],
        "more": {"x": chance.randrange(10), "note": "".join(chance.choices("abcdefgh ", k=12))},
    }


def items(count: int) -> dict[str, Any]:
    """Return small documents: three members each."""
    return {f"item{n}": {"id": n, "name": f"item {n}", "value": n / 8} for n in range(count)}


def floats(count: int, digits: int | None = None) -> list[float]:
    """Return random floats with all their bits, or rounded."""
    chance = random.Random(7)
    values = [chance.uniform(-1000, 1000) for _ in range(count)]
    return values if digits is None else [round(value, digits) for value in values]
