"""export and import: what comes back is what was there, and nothing else is touched."""

from __future__ import annotations

import io
import json
import random
import re
import signal
import struct
import time

import pytest
import redis
from clusters import HOST, LocalCluster, until
from commands import ODD, Done, run, start

from redisjson_dict import RedisJSONDict
from redisjson_dict.cli import importing
from redisjson_dict.cli.console import Code, Problem
from redisjson_dict.cli.jsonl import header, line_of, records, trailer
from redisjson_dict.server import binaries

NUMBERS = [0.9270736078350111, -0.0, 0.0, 1.0, 1, True, 1e308, 5e-324, 2**64 - 1, -(2**63)]


@pytest.fixture
def cli(url, prefix):
    """Run a command on the documents that are there."""

    def call(*arguments, **options) -> Done:
        return run(*arguments, "--url", url, "--prefix", prefix, **options)

    return call


@pytest.fixture
def copy(client, prefix):
    """Another, empty dict in the same corner."""
    return RedisJSONDict(client, f"{prefix}copy:")


@pytest.fixture
def into(url, prefix):
    """Run a command on that other dict."""

    def call(*arguments, **options) -> Done:
        return run(*arguments, "--url", url, "--prefix", f"{prefix}copy:", **options)

    return call


@pytest.fixture
def file(tmp_path):
    return tmp_path / "all.jsonl"


def lines(*documents, **values):
    return b"".join(json.dumps(one).encode() + b"\n" for one in documents) + b"".join(
        json.dumps({"key": key, "value": value}).encode() + b"\n" for key, value in values.items()
    )


def tally(done):
    return json.loads(done.lines[-1])


def test_all_comes_back_exactly(cli, into, d, copy, file):
    draw = random.Random(7)
    floats = [struct.unpack("d", draw.randbytes(8))[0] for _ in range(200)]
    d.update({key: {key: [key, None]} for key in ODD})
    d["numbers"] = NUMBERS + [x for x in floats if x == x and abs(x) != float("inf")]
    d["order"] = {"z": 1, "a": {"y": [], "b": {}}}
    before = repr(sorted(d.to_python().items()))

    assert cli("export", file).code == 0
    assert into("import", file).code == 0
    assert repr(sorted(copy.to_python().items())) == before


def test_many_pages_come_back(cli, into, d, copy, file):
    d.update({f"k{i}": {"i": i, "t": "x" * 50} for i in range(1_203)})
    d["large"] = {"t": "y" * 5_000_000}
    cli("export", file)
    done = into("import", file, "--json")

    assert tally(done) == {
        **{"imported": 1_204, "unchanged": 0, "skipped": 0, "expired": 0, "checked": 1_204}
    }
    assert copy == {key: value for key, value in d.to_python().items() if "copy:" not in key}


def test_file_is_as_documented(cli, d, file, prefix):
    d["a"] = {"b": [1.5, "é"]}
    d.expire("a", 100)
    cli("export", file)
    first, middle, last = file.read_bytes().splitlines()

    assert json.loads(first) == {"format": "redisjson-dict", "version": 1, "prefix": prefix}
    assert json.loads(middle)["value"] == {"b": [1.5, "é"]}
    assert 90_000 < json.loads(middle)["expire_at"] - time.time() * 1000 < 110_000
    assert json.loads(last) == {"documents": 1}


def test_export_to_a_pipe(cli, d):
    d["a"] = 1
    done = cli("export")

    assert [*map(json.loads, done.lines)][1:] == [{"key": "a", "value": 1}, {"documents": 1}]
    assert "exported 1 document" in done.err


def test_foreign_keys_are_not_exported(cli, client, prefix, d):
    client.set(f"{prefix}text", "x")

    assert json.loads(cli("export").lines[-1]) == {"documents": 0}


def test_moments_are_kept(cli, into, d, copy, file):
    d["short"], d["always"] = 1, 2
    d.expire("short", 500)
    cli("export", file)
    into("import", file)

    assert copy.ttl("always") is None
    assert abs(copy.ttl("short") - d.ttl("short")) < 2


def test_what_has_ended_meanwhile_is_left_out(into, copy):
    past = {"key": "old", "expire_at": 1_000, "value": 1}
    done = into("import", "-", "--json", stdin=lines(past, new=1))

    assert tally(done)["expired"] == 1
    assert copy == {"new": 1}


# A document that exists is left as it is, unless told otherwise.


def test_existing_document_stops_an_import(into, copy):
    copy["b"] = "mine"
    done = into("import", "-", stdin=lines(a=1, b=2))

    assert done.code == Code.ERROR
    assert "-, line 2: document 'b' exists" in done.err
    assert copy["b"] == "mine"


def test_skipping_what_exists(into, copy, client, prefix):
    copy["b"] = "mine"
    client.set(f"{prefix}copy:text", "x")
    done = into("import", "-", "--skip-existing", "--json", stdin=lines(a=1, b=2, text=3))

    assert done.code == 0
    assert (tally(done)["imported"], tally(done)["skipped"]) == (1, 2)
    assert copy == {"a": 1, "b": "mine"}


def test_overwriting_needs_yes(into, copy):
    copy["b"] = "mine"

    assert into("import", "-", "--overwrite", stdin=lines(b=2)).code == Code.USAGE
    assert copy["b"] == "mine"
    assert into("import", "-", "--overwrite", "--yes", stdin=lines(b=2)).code == 0
    assert copy["b"] == 2


def test_overwriting_spares_foreign_keys(into, client, prefix):
    client.set(f"{prefix}copy:b", "text")
    done = into("import", "-", "--overwrite", "--yes", stdin=lines(a=1, b=2))

    assert done.code == Code.ERROR
    assert "line 2" in done.err
    assert client.get(f"{prefix}copy:b") == b"text"


def test_overwriting_takes_the_last_of_equal_keys(into, copy):
    text = lines(a=1) + lines(a=2)

    assert into("import", "-", "--overwrite", "--yes", stdin=text).code == 0
    assert copy["a"] == 2


def test_two_ways_at_once_are_a_wrong_use(into):
    assert into("import", "-", "--overwrite", "--skip-existing", "--yes").code == Code.USAGE


# Going on.


def test_import_goes_on(into, copy):
    copy["a"], copy["b"] = {"x": [1, 1.0]}, 2
    text = lines(a={"x": [1, 1.0]}, b=2, c=3)
    done = into("import", "-", "--resume", "--json", stdin=text)

    assert done.code == 0
    assert (tally(done)["unchanged"], tally(done)["imported"]) == (2, 1)


@pytest.mark.parametrize(
    ("there", "wanted"),
    [(1, 1.0), (True, 1), (-0.0, 0.0), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), ([], {})],
)
def test_import_goes_on_only_over_the_very_same(into, copy, there, wanted):
    copy["a"] = there
    done = into("import", "-", "--resume", stdin=lines(a=wanted))

    assert done.code == Code.ERROR
    assert "other content" in done.err
    assert repr(copy.to_python()["a"]) == repr(there)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.5, 0.99])
def test_export_goes_on_with_a_cut_file(cli, into, d, copy, file, share):
    d.update({f"k{i}": {"i": i} for i in range(300)})
    cli("export", file)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    d["new"] = "later"

    done = cli("export", file, "--resume")
    if 0 < share < 0.01:  # not even the first line is whole
        assert done.code == Code.ERROR
        return
    assert done.code == 0
    assert into("import", file).code == 0
    assert len(file.read_bytes().splitlines()) == 303
    assert set(copy) == {*d} - {f"copy:{key}" for key in copy}


def test_export_goes_on_with_its_own_prefix_only(cli, into, d, file):
    d["a"] = 1
    cli("export", file)
    before = file.read_bytes()

    assert into("export", file, "--resume").code == Code.ERROR
    assert file.read_bytes() == before


def test_export_without_a_server_touches_no_file(file):
    file.write_text("mine")

    assert run("export", file, "--overwrite", "--url", "redis://127.0.0.1:1").code == Code.ERROR
    assert file.read_text() == "mine"


def test_export_replaces_no_file_unless_told(cli, d, file):
    file.write_text("mine")

    assert cli("export", file).code == Code.ERROR
    assert cli("export", file, "--resume").code == Code.ERROR
    assert file.read_text() == "mine"
    assert cli("export", file, "--overwrite").code == 0


def test_cut_file_is_noticed_by_import(cli, into, d, copy, file):
    d.update({f"k{i}": i for i in range(10)})
    cli("export", file)
    whole = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(whole[:6]))
    done = into("import", file)

    assert done.code == Code.ERROR
    assert f"{file}, line 6" in done.err
    assert len(copy) == 5


# A Cluster is all of its nodes.


@pytest.mark.skipif(not binaries(), reason="no server program with JSON here")
def test_cluster_is_copied_whole_or_not_at_all(file):
    with LocalCluster(3) as cluster:
        node = f"redis://{HOST}:{cluster.primaries()[0].port}"
        with redis.RedisCluster.from_url(node) as client:
            d, other = RedisJSONDict(client, "a:"), RedisJSONDict(client, "b:")
            d.update({f"k{i}": {"i": i} for i in range(50)})
            for command in (["export", file], ["ls"]):
                done = run(*command, "--url", node, "--prefix", "a:")

                assert done.code == Code.USAGE
                assert "--cluster" in done.err
            assert not file.exists()
            assert run("export", file, "--url", node, "--prefix", "a:", "--cluster").code == 0
            assert run("import", file, "--url", node, "--prefix", "b:", "--cluster").code == 0
            assert other == d.to_python()
            assert run("doctor", "--url", node, "--cluster").code == 0
            assert {
                run("get", f"k{i}", "--url", node, "--prefix", "a:").code for i in range(9)
            } == {*(0, Code.ERROR)}


# What is wrong is told with its line, and all before it is stored.


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"\xff",
        b"[]",
        b"1",
        b'{"key":"x"}',
        b'{"value":1}',
        b'{"key":5,"value":1}',
        b'{"key":"x","value":NaN}',
        b'{"key":"x","value":1,"ttl":5}',
        b'{"key":"x","value":1,"expire_at":1.5}',
        b'{"key":"x","value":1,"expire_at":true}',
        b'{"key":"x","value":123456789012345678901234567890}',
        b'{"key":"x","value":' + b"[" * 200 + b"]" * 200 + b"}",
        b'{"key":"\\ud800","value":1}',
        b'{"format":"other","version":1}',
        b'{"format":"redisjson-dict","version":2}',
    ],
)
def test_bad_line_is_named(into, copy, line):
    done = into("import", "-", stdin=lines(a=1) + b"\n" + line + b"\n" + lines(b=1))

    assert done.code == Code.ERROR
    assert "redisjson-dict: -, line 3: " in done.err
    assert "Traceback" not in done.err
    assert set(copy) <= {"a"}


@pytest.mark.parametrize("text", ['{\n "a": 1\n}\n', '{"a": 1}', "[1]", "[\n1\n]"])
def test_other_json_is_told_where_it_belongs(into, file, text):
    file.write_text(text)
    done = into("import", file)

    assert done.code == Code.ERROR
    assert "JSON Lines" in done.err
    assert "migrate --from json" in done.err
    assert "imported" not in done.err
    assert "JSON Lines" not in into("import", "-", stdin=lines(a=1) + b"1\n").err


def test_unknown_member_is_named(into):
    done = into("import", "-", stdin=b'{"key":"x","value":1,"ttl":5}\n')

    assert done.err.startswith("redisjson-dict: -, line 1: unknown member 'ttl': a line has")
    assert done.err.count("\n") == 1


def test_interrupted_export_says_how_to_go_on(url, prefix, d, file):
    d.update({f"k{i}": "x" * 10_000 for i in range(5_000)})
    with start("export", file, "--url", url, "--prefix", prefix) as process:
        until("it has begun", lambda: file.exists() and file.stat().st_size > 0)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)

    assert process.returncode == Code.INTERRUPTED
    assert b"interrupted; the same command with --resume goes on" in error


def test_missing_file_is_named(into, tmp_path):
    done = into("import", tmp_path / "nope")
    assert "imported" not in done.err

    assert done.code == Code.ERROR
    assert "nope: No such file" in done.err


def test_file_that_was_written_by_hand(into, copy):
    assert into("import", "-", stdin=b'\n {"value": [1], "key": "a"} \r\n').code == 0
    assert copy == {"a": [1]}


# The check sees what it is there for.


@pytest.mark.parametrize("other", [b"2", b"1.0", None])
def test_check_notices_a_difference(into, client, prefix, monkeypatch, other):
    real = importing.together

    def meddled(session, operations):
        results = real(session, operations)
        if other is None:
            client.delete(f"{prefix}copy:a")
        else:
            client.execute_command("JSON.SET", f"{prefix}copy:a", "$", other)
        return results

    monkeypatch.setattr(importing, "together", meddled)
    done = into("import", "-", stdin=lines(a=1))

    assert done.code == Code.ERROR
    assert re.search(r"line 1: .*(reads back differently|is gone)", done.err)
    assert into("import", "-", "--no-check", "--skip-existing", stdin=lines(a=1)).code == 0


def test_check_notices_another_time_to_live(into, client, prefix, monkeypatch):
    real = importing.together

    def meddled(session, operations):
        results = real(session, operations)
        client.persist(f"{prefix}copy:a")
        return results

    monkeypatch.setattr(importing, "together", meddled)
    later = {"key": "a", "expire_at": int(time.time() * 1000) + 500_000, "value": 1}
    done = into("import", "-", stdin=lines(later))

    assert "another time to live" in done.err


# The format, without a server.


def test_lines_are_read_as_written():
    text = header("p:") + line_of("\n", 5, b"[1.0]") + line_of("b", None, b"2") + trailer(2)
    found = [
        (one.line, one.key, one.expire_at, one.value) for one in records(io.BytesIO(text), "f")
    ]

    assert found == [(2, "\n", 5, [1.0]), (3, "b", None, 2)]


def test_exports_one_after_the_other_are_one():
    text = header("") + line_of("a", None, b"1") + trailer(1)

    assert [one.key for one in records(io.BytesIO(text + text), "f")] == ["a", "a"]
    with pytest.raises(Problem, match="line 5: the export was cut"):
        [*records(io.BytesIO(text + text[: -len(trailer(1))]), "f")]
