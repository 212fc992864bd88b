"""`RedisJSONDict` at the top level: dict's protocol, paths, foreign keys, further verbs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from redisjson_dict import RedisJSONDict

from conformance import MAPPING, MAPPING_CASES, MEMBERS, Make, check_case


@pytest.fixture
def make(client, prefix) -> Make:
    numbers = itertools.count()

    def filled(content: dict[str, Any]) -> RedisJSONDict:
        box = RedisJSONDict(client, f"{prefix}{next(numbers)}:")
        box.update(content)
        return box

    return filled


@pytest.mark.parametrize("check", MAPPING, ids=lambda check: check.__name__)
def test_mapping_does_as_dict(check: Callable[[Make], None], make) -> None:
    check(dict)
    check(make)


@pytest.mark.parametrize("case", MAPPING_CASES)
def test_mapping_agrees_with_dict(case: str, make) -> None:
    check_case(case, "m", MEMBERS, dict, make)
