"""The fuzz targets on random bytes, without atheris, so that they cannot rot: see ``make fuzz``."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from fuzz.targets import NAMES, PURE, SERVED, Target, Targets, drawn_expression, jsonpath, parsed


@pytest.fixture(scope="module")
def served() -> Iterator[Targets]:
    from redisjson_dict.server import Server, ServerError

    try:
        server = Server()
    except ServerError as error:
        pytest.skip(str(error))
    with server:
        targets = Targets(server.url)
        yield targets
        targets.close()


@pytest.mark.parametrize("name", NAMES)
def test_target_holds_on_random_bytes(request, effort, figures, name):
    served: Targets | None = request.getfixturevalue("served") if name in SERVED else None
    target: Target = getattr(served, name) if served is not None else PURE[name]
    seed = random.randrange(2**32)
    generator = random.Random(seed)
    count = effort.pick(50 if name == "verbs" else 300, 4_000)
    for number in range(count):
        data = generator.randbytes(generator.choice((0, 1, 8, 30, 100, 300)))
        try:
            target(data)
        except Exception as error:
            error.add_note(f"seed {seed}, input {number}: {data.hex()}")
            raise
    figures[f"fuzz target {name}: random inputs"] = f"{count:,}"


@pytest.mark.parametrize(
    "path",
    [
        b"a",
        b'$["a',
        b"$.9",
        b"$.a-b",
        b"$..a",
        b"$.",
        b"$[-1]",
        b'$["\\n"]',
        b"$['a']x",
        b"$[1:2]",
        b"$[-1:3]",
    ],
)
def test_parser_refuses_what_is_no_normal_path(path):
    with pytest.raises((ValueError, IndexError)):
        parsed(path)


def test_expressions_are_let_through_often_enough():
    generator = random.Random(1)
    inputs = [generator.randbytes(generator.choice((2, 4, 8, 20))) for _ in range(2000)]
    passed = [data for data in inputs if jsonpath(data) is not None]
    assert len(passed) > 100
    assert len({drawn_expression(data) for data in passed}) > 50
