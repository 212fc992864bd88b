"""Fixtures for programs that keep their state in a `RedisJSONDict`; see docs/testing.md.

A module beside the package, not in it: pytest imports this file in every project where the library
is installed, and importing the package would bring redis-py along. So the fixtures import what they
need when they are used.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from redis import Redis

    from redisjson_dict import RedisJSONDict
    from redisjson_dict.testing import Command

__all__ = ["AssertCommands"]

_VARIABLE = "REDISJSON_DICT_TEST_URL"


class AssertCommands(Protocol):
    """What the fixture `assert_commands` is."""

    def __call__(
        self, count: int, *, prefix: str | None = None
    ) -> AbstractContextManager[list[Command]]:
        """Fail unless the block sends so many commands; see `redisjson_dict.testing`."""
        ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ways to name a server."""
    group = parser.getgroup("redisjson-dict")
    group.addoption("--redisjson-url", metavar="URL", help="server with JSON for redisjson_server")
    parser.addini("redisjson_url", "server with JSON for the fixture redisjson_server")
    parser.addini(
        "redisjson_missing",
        "what the fixture redisjson_server does where no server can be had: fail or skip",
        default="fail",
    )


@pytest.fixture(scope="session")
def redisjson_server(pytestconfig: pytest.Config) -> Iterator[str]:
    """The URL of a server with JSON: the one given, an embedded one, or a container's."""
    from redisjson_dict.server import ServerError
    from redisjson_dict.testing import any_server

    origin, url = _given(pytestconfig)
    with ExitStack() as stack:
        try:
            found = stack.enter_context(any_server(url))
        except (ServerError, ValueError) as error:
            if url is None and pytestconfig.getini("redisjson_missing") == "skip":
                pytest.skip(str(error))
            pytest.fail(f"{origin}{error}", pytrace=False)
        yield found


@pytest.fixture
def redisjson_client(redisjson_server: str) -> Iterator[Redis]:
    """A `redis.Redis` of that server, closed afterwards."""
    import redis

    with redis.Redis.from_url(redisjson_server) as client:
        yield client


@pytest.fixture
def redisjson_prefix(redisjson_client: Redis) -> Iterator[str]:
    """A prefix of the test's own; every key under it is deleted afterwards, and no other."""
    from redisjson_dict.testing import remove_keys

    prefix = f"pytest-{uuid.uuid4().hex[:16]}:"
    yield prefix
    remove_keys(redisjson_client, prefix)


@pytest.fixture
def redisjson_dict(redisjson_client: Redis, redisjson_prefix: str) -> RedisJSONDict:
    """An empty dict under that prefix."""
    from redisjson_dict import RedisJSONDict

    return RedisJSONDict(redisjson_client, redisjson_prefix)


@pytest.fixture
def assert_commands(redisjson_client: Redis, redisjson_prefix: str) -> AssertCommands:
    """A context manager that fails unless its block sends so many commands for the test's keys."""
    from redisjson_dict import testing

    def asserting(
        count: int, *, prefix: str | None = None
    ) -> AbstractContextManager[list[Command]]:
        under = redisjson_prefix if prefix is None else prefix
        return testing.assert_commands(redisjson_client, under, count)

    return asserting


def _given(config: pytest.Config) -> tuple[str, str | None]:
    """Return where the URL comes from, for a message, and the URL; nothing if none was given."""
    places = [
        ("--redisjson-url: ", config.getoption("redisjson_url")),
        (f"{_VARIABLE}: ", os.environ.get(_VARIABLE)),
        ("redisjson_url in the configuration: ", config.getini("redisjson_url")),
    ]
    return next(((origin, url) for origin, url in places if url), ("", None))
