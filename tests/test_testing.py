"""What tests of other programs get: servers, keys that are removed, commands that are counted."""

from __future__ import annotations

import asyncio
import threading
import traceback

import pytest
import redis

from redisjson_dict import RedisJSONDict
from redisjson_dict import testing as parts
from redisjson_dict.asyncio import RedisJSONDict as AsyncRedisJSONDict
from redisjson_dict.server import ServerError, binaries
from redisjson_dict.testing import any_server, assert_commands, remove_keys

GLOBS = "a*[b-c]?^\\"
NAMES = ["", " ", "a.b", '"', "'", "\\", "\x00\n\r\t\x07\x08\x1b", "é", "😀", "[0 lua] ", "1] "]


def names(sent):
    return [command.name for command in sent]


@pytest.fixture
def no_embedded(monkeypatch):
    """A machine on which no server program starts."""
    monkeypatch.setattr(parts, "binaries", list)


def test_given_server_is_taken(url):
    with any_server(url) as found:
        assert found == url


@pytest.mark.skipif(not binaries(), reason="no embedded server on this machine")
def test_embedded_server_ends_with_the_block():
    with any_server() as url, redis.Redis.from_url(url) as client:
        assert client.execute_command("JSON.SET", "a", "$", "1")

    with redis.Redis.from_url(url) as client, pytest.raises(redis.ConnectionError):
        client.ping()


def test_given_server_that_is_not_there():
    with (
        pytest.raises(ServerError, match="given is no server with JSON, or does not answer"),
        any_server("redis://:secret@127.0.0.1:1"),
    ):
        pass


def test_given_url_is_not_shown():
    with pytest.raises(ValueError) as caught, any_server("redis://:sec/ret@host"):
        pass

    assert "sec" not in str(caught.value)


def test_no_server_says_what_to_do(no_embedded, monkeypatch, tmp_path):
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(parts, "_DOCKER_SOCKET", tmp_path / "none")

    with pytest.raises(ServerError, match=r"redisjson-dict\[server\].* give the URL"), any_server():
        pass


def test_docker_that_does_not_answer(no_embedded, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")

    with pytest.raises(ServerError, match="Docker did not start redis:8"), any_server():
        pass


@pytest.mark.parametrize("decoding", [False, True])
def test_keys_under_the_prefix_are_removed(url, client, prefix, decoding):
    mine = prefix + GLOBS
    others = [prefix + "aXb?^\\", prefix + "ab", prefix + "a*[b-c]?^"]
    for name in NAMES:
        client.set(mine + name, "text")
    client.execute_command("JSON.SET", mine + "json", "$", "{}")
    client.set(mine.encode() + b"\xff", "no text")
    for key in others:
        client.set(key, "1")

    with redis.Redis.from_url(url, decode_responses=decoding) as user:
        if decoding:
            client.delete(mine.encode() + b"\xff")
        assert remove_keys(user, mine) == len(NAMES) + 2 - decoding
    assert client.exists(*others) == len(others)
    assert remove_keys(client, mine) == 0


def test_more_keys_than_a_page_are_removed(client, prefix):
    client.mset({f"{prefix}{number}": 1 for number in range(2100)})

    assert remove_keys(client, prefix) == 2100


def test_empty_prefix_removes_nothing(client, prefix):
    client.set(prefix + "a", 1)
    with pytest.raises(ValueError, match="every key"):
        remove_keys(client, "")

    assert client.exists(prefix + "a")


def test_commands_are_counted(d, client, prefix):
    d["a"] = {"b": [1]}
    with assert_commands(client, prefix, 3) as sent:
        d["a"]["b"].append(2)

    assert names(sent) == ["script peek", "script peek", "JSON.ARRAPPEND"]
    assert sent[2].arguments[::2] == (prefix.encode() + b"a", b"2")  # and a path between


def test_wrong_count_lists_what_was_sent(d, client, prefix):
    with pytest.raises(AssertionError) as caught, assert_commands(client, prefix, 1):
        d["a"] = {"é\n": "x" * 100}
        del d["a"]

    assert str(caught.value) == (
        f"commands for keys under {prefix!r}: 2 were sent, expected 1\n"
        f"  1. script put '{prefix}a' '{{\"\\xe9\\\\n\":\"{'x' * 47}... ''\n"
        f"  2. JSON.DEL '{prefix}a'"
    )


def test_nothing_sent_is_no_command(client, prefix):
    with assert_commands(client, prefix, 0):
        pass
    with (
        pytest.raises(AssertionError, match="0 were sent, expected 2$"),
        assert_commands(client, prefix, 2),
    ):
        pass


@pytest.mark.parametrize("name", NAMES)
def test_odd_keys_arrive_whole(d, client, prefix, name):
    with assert_commands(client, prefix, 2) as sent:
        d[name] = name
        del d[name]

    assert sent[1].arguments == ((prefix + name).encode(),)
    assert sent[0].arguments[0] == (prefix + name).encode()


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("decoding", [False, True])
def test_client_may_decode(url, prefix, protocol, decoding):
    with redis.Redis.from_url(url, protocol=protocol, decode_responses=decoding) as client:
        d = RedisJSONDict(client, prefix)
        with assert_commands(client, prefix, 1):
            d["a"] = b"\xe9".decode("latin-1")
        del d["a"]


def test_glob_prefix_counts_walks(client, prefix):
    d = RedisJSONDict(client, prefix + GLOBS)
    with assert_commands(client, prefix + GLOBS, 2) as sent:
        d["a"] = 1
        next(iter(d))

    assert names(sent) == ["script put", "SCAN"]


def test_others_do_not_count(d, url, client, prefix):
    """Another client, in another thread, under another prefix, and one that makes errors."""
    stop, started = threading.Event(), threading.Event()

    def other():
        with redis.Redis.from_url(url) as theirs:
            neighbour = RedisJSONDict(theirs, f"{prefix[:-1]}-other:")
            while not stop.is_set():
                neighbour["a"] = 1
                started.set()
                stop.wait(0.001)
            neighbour.clear()

    thread = threading.Thread(target=other)
    thread.start()
    try:
        started.wait(10)
        with assert_commands(client, prefix, 20):
            for _ in range(20):
                d["a"] = 1
    finally:
        stop.set()
        thread.join()


def test_every_client_of_the_prefix_counts(url, client, prefix):
    async def write():
        async with AsyncRedisJSONDict.from_url(url, prefix) as d:
            await d.set("a", 1)

    with assert_commands(client, prefix, 2), redis.Redis.from_url(url) as other:
        asyncio.run(write())
        other.execute_command("JSON.NUMINCRBY", prefix + "a", "$", 1)


def test_batch_counts_its_commands(d, client, prefix):
    with assert_commands(client, prefix, 2), d.pipeline() as batch:
        batch["a"] = 1
        batch["a"].incr()


def test_another_database_does_not_count(client, prefix, url):
    with redis.Redis.from_url(url, db=1) as other:
        with assert_commands(client, prefix, 0):
            other.set(prefix + "a", 1)
        other.delete(prefix + "a")


def test_first_use_of_a_script_counts_once(client, d, prefix):
    client.script_flush()
    with assert_commands(client, prefix, 1):
        d["a"] = 1


def test_failure_is_at_the_line_of_the_block(client, prefix):
    with pytest.raises(AssertionError) as caught, assert_commands(client, prefix, 1):
        pass

    assert [frame.name for frame in traceback.extract_tb(caught.tb)] == [
        "test_failure_is_at_the_line_of_the_block",
        "__exit__",
    ]


def test_error_of_the_block_comes_first(d, client, prefix):
    with pytest.raises(KeyError), assert_commands(client, prefix, 5):
        d["missing"]
    with assert_commands(client, prefix, 1):
        d["a"] = 1
