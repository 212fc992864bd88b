"""Commands on the wire: byte for byte what redis-py writes, without a copy of what is large."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis._parsers import Encoder
from redis.connection import PythonRespSerializer

from redisjson_dict.resp import packed, packed_all

LARGE = b"x" * 70_000
PARTS = st.one_of(
    st.binary(max_size=20),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    st.integers(),
)
COMMANDS = st.lists(PARTS, max_size=60).map(lambda parts: ("JSON.GET", *parts))


def theirs(*command):
    """What redis-py's own packer, the one without C, writes."""
    pack = PythonRespSerializer(6000, Encoder("utf-8", "strict", False).encode).pack
    return b"".join(map(bytes, pack(*command)))


@given(COMMANDS)
def test_command_is_written_as_by_redis_py(command):
    assert b"".join(packed(command)) == theirs(*command)


@pytest.mark.parametrize("count", [0, 1, 5, 22, 23, 24, 25, 5000])
@pytest.mark.parametrize("size", [0, 1, 9, 10, 1023, 1024, 1025, 65_535, 65_536, 65_537])
def test_sizes_around_the_limits(count, size):
    command = ("JSON.SET", *[b"k"] * count, b"v" * size)

    assert b"".join(packed(command)) == theirs(*command)


@given(st.lists(COMMANDS, min_size=1, max_size=5))
def test_commands_follow_each_other(commands):
    assert b"".join(packed_all(commands)) == b"".join(theirs(*command) for command in commands)


@pytest.mark.parametrize("before", [1, 30])
def test_large_part_is_not_copied(before):
    request = packed(("JSON.SET", *[b"k"] * before, LARGE, 7))

    assert any(chunk is LARGE for chunk in request)
    assert b"".join(request) == theirs("JSON.SET", *[b"k"] * before, LARGE, 7)


def test_large_parts_among_small_commands():
    commands = [("PING",), ("SET", b"k", LARGE), ("PING",), ("SET", LARGE, b"v")]
    request = packed_all(commands)

    assert sum(chunk is LARGE for chunk in request) == 2
    assert b"".join(request) == b"".join(theirs(*command) for command in commands)


def test_small_commands_are_one_chunk():
    assert len(packed_all([("PING",)] * 100)) == 1
