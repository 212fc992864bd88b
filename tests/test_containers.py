"""`JSONObject` and `JSONArray`: dict's and list's protocols at every kind of place."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from redisjson_dict import JSONArray, JSONObject, RedisJSONDict

from conformance import (
    ELEMENTS,
    MAPPING,
    MAPPING_CASES,
    MEMBERS,
    ORDERED,
    SEQUENCE,
    SEQUENCE_CASES,
    Make,
    check_case,
    distinct_slices,
    outcome,
)

# How a place is reached: by names that are writable by path, readable only, neither; by an index.
PLACES: dict[str, tuple[str | int, ...]] = {
    "root": (),
    "member": ("box",),
    "deep": ("a", 1, "b", 0, "c"),
    "backslash": ("a\\b",),
    "lead": (" lead",),
    "quotes": ("'\"",),
    "empty": ("",),
    "below-odd": ("x", "a\\b", 1, " lead", "y", "'\"", "z"),
}


def nested(steps: tuple[str | int, ...], content: Any) -> Any:
    """Return a document that holds the content at a place, with siblings all the way."""
    for step in reversed(steps):
        if isinstance(step, int):
            content = [*range(step), content, "after"]
        else:
            content = {"before": None, step: content, "after": 1}
    return content


def placed(d: RedisJSONDict, steps: tuple[str | int, ...]) -> Make:
    numbers = itertools.count()

    def filled(content: Any) -> Any:
        name = f"{'/'.join(map(str, steps))}#{next(numbers)}"
        d[name] = nested(steps, content)
        box = d[name]
        for step in steps:
            box = box[step]
        return box

    return filled


@pytest.fixture(params=PLACES)
def make(request, d) -> Make:
    return placed(d, PLACES[request.param])


@pytest.fixture
def everywhere(d) -> list[Make]:
    return [placed(d, steps) for steps in PLACES.values()]


@pytest.mark.parametrize("check", MAPPING + ORDERED, ids=lambda check: check.__name__)
def test_object_does_as_dict(check: Callable[[Make], None], make) -> None:
    check(dict)
    check(make)


@pytest.mark.parametrize("case", MAPPING_CASES)
def test_object_agrees_with_dict(case: str, everywhere) -> None:
    for make in everywhere:
        check_case(case, "m", MEMBERS, dict, make)


@pytest.mark.parametrize("check", SEQUENCE, ids=lambda check: check.__name__)
def test_array_does_as_list(check: Callable[[Make], None], make) -> None:
    check(list)
    check(make)


@pytest.mark.parametrize("case", SEQUENCE_CASES)
def test_array_agrees_with_list(case: str, everywhere) -> None:
    for make in everywhere:
        check_case(case, "a", ELEMENTS, list, make)


@pytest.mark.parametrize("size", range(7))
@pytest.mark.parametrize("place", ["member", "quotes"])
def test_array_deletes_every_slice_as_list(d, place, size) -> None:
    make = placed(d, PLACES[place])
    box = make([])
    for part in distinct_slices(size):
        expected = list(range(size))
        del expected[part]
        box.replace(range(size))
        del box[part]

        assert (part, box.to_python()) == (part, expected)


@pytest.mark.parametrize("size", range(7))
@pytest.mark.parametrize("place", ["member", "quotes"])
def test_array_assigns_every_slice_as_list(d, place, size) -> None:
    make = placed(d, PLACES[place])
    box = make([])
    for part in distinct_slices(size):
        for fresh in ([], ["x"], ["x", ["y"], "z"], ["x"] * len(range(size)[part])):
            expected = list(range(size))
            box.replace(range(size))
            try:
                expected[part] = fresh
            except ValueError:
                with pytest.raises(ValueError):
                    box[part] = fresh
            else:
                box[part] = fresh

            assert (part, fresh, box.to_python()) == (part, fresh, expected)
