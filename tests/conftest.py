"""Real servers and clean corners of them; nothing here imitates Redis."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import redis
from hypothesis import HealthCheck, settings
from relay import Relay

from redisjson_dict import RedisJSONDict
from redisjson_dict.server import Server, ServerError, binaries
from redisjson_dict.testing import container

settings.register_profile(
    "default",
    deadline=None,
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "60")),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("default")

_URL = os.environ.get("REDISJSON_DICT_TEST_URL")
_BINARIES = [] if _URL else binaries()


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """The server that most tests use: the URL given, a container, or the embedded one."""
    if _URL:
        yield _URL
        return
    with suppress(ServerError), container() as started:
        yield started
        return
    try:
        with Server() as server:
            yield server.url
    except ServerError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def relay(url: str) -> Iterator[Relay]:
    """A relay in front of that server, of the test file's own."""
    with Relay(url) as relay:
        yield relay


@pytest.fixture(scope="session", params=[b.name for b in _BINARIES] or ["url"])
def every_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every server at hand, one after the other."""
    if request.param == "url":
        yield request.getfixturevalue("url")
        return
    binary = next(b for b in _BINARIES if b.name == request.param)
    with Server(binary=binary) as server:
        yield server.url


@contextmanager
def _corner(url: str) -> Iterator[tuple[redis.Redis, str]]:
    client = redis.Redis.from_url(url)
    prefix = f"test-{uuid.uuid4().hex[:12]}:"
    yield client, prefix
    for key in list(client.scan_iter(match=f"{prefix}*", count=10_000)):
        client.delete(key)
    client.close()


@pytest.fixture
def corner(url: str) -> Iterator[tuple[redis.Redis, str]]:
    """A client and a prefix of one's own, emptied afterwards."""
    with _corner(url) as mine:
        yield mine


@pytest.fixture
def client(corner: tuple[redis.Redis, str]) -> redis.Redis:
    return corner[0]


@pytest.fixture
def prefix(corner: tuple[redis.Redis, str]) -> str:
    return corner[1]


@pytest.fixture
def d(corner: tuple[redis.Redis, str]) -> RedisJSONDict:
    """An empty dict."""
    return RedisJSONDict(*corner)


@pytest.fixture
def raw(corner: tuple[redis.Redis, str]):
    """Another program's view of a document: its text by JSON.GET, or None."""
    client, prefix = corner

    def text(name: str) -> bytes | None:
        return client.execute_command("JSON.GET", prefix + name)

    return text


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def protocol(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(params=[False, True], ids=["bytes", "decoded"])
def decode_responses(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture
def matrix(every_url: str, protocol: int, decode_responses: bool) -> Iterator[RedisJSONDict]:
    """An empty dict on every server x RESP 2 and 3 x decoding or not."""
    with _corner(every_url) as (_, prefix):
        user = redis.Redis.from_url(every_url, protocol=protocol, decode_responses=decode_responses)
        yield RedisJSONDict(user, prefix)
        user.close()
