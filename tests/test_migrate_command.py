"""`redisjson-dict migrate`, as one command of a small app."""

from __future__ import annotations

import json
import os
import pty
import select
import shelve
import subprocess
import sys

import pytest
import redis
from keyspace import snapshot
from redis_dict import RedisDict
from redis_json_dict import RedisJSONDict as OldRedisJSONDict
from relay import Relay
from sqlitedict import SqliteDict
from typer.testing import CliRunner

from redisjson_dict import RedisJSONDict
from redisjson_dict.cli.app import app
from redisjson_dict.cli.console import Code
from redisjson_dict.migration import Report


@pytest.fixture
def run(url):
    """Runs the command and returns its result."""

    def invoke(*words, **options):
        environment = {"REDIS_URL": url, "COLUMNS": "200"}
        return CliRunner(env=environment).invoke(app, ["migrate", *words], **options)

    return invoke


@pytest.fixture
def old(client, prefix):
    return OldRedisJSONDict(client, prefix + "old:")


@pytest.fixture
def new(client, prefix):
    return RedisJSONDict(client, prefix + "new:")


@pytest.fixture
def words(prefix):
    """From redis-json-dict, without asking."""
    ends = ["--prefix", prefix + "old:", "--to", prefix + "new:"]
    return ["--from", "redis-json-dict", *ends, "--yes"]


def test_command_carries(run, old, new, words):
    old["k"] = {"a": [1]}

    result = run(*words)

    assert result.exit_code == Code.OK
    assert "1  carried" in result.stdout
    assert result.stderr == ""
    assert new.to_python() == {"k": {"a": [1]}}
    assert "1  there already" in run(*words).stdout


def test_dry_run_needs_no_yes_and_writes_nothing(run, client, prefix, old, words):
    old["k"] = 1
    before = snapshot(client, prefix)

    result = run(*words[:-1], "--dry-run")

    assert result.exit_code == Code.OK
    assert "nothing was written" in result.stdout
    assert "'k': 1" in result.stdout
    assert snapshot(client, prefix) == before


def test_nobody_to_ask_is_refused(run, client, prefix, old, words):
    old["k"] = 1
    before = snapshot(client, prefix)

    result = run(*words[:-1], input="y\n")

    assert result.exit_code == Code.USAGE
    assert "--yes" in result.stderr
    assert snapshot(client, prefix) == before


def test_what_is_not_carried_has_a_code(run, client, old, new, words):
    client.set(old._prefix + "bad\x1b[2J", "bad")
    old["k"] = 1

    result = run(*words)

    assert result.exit_code == Code.NOT_CARRIED
    assert "not JSON" in result.stdout
    assert "\x1b" not in result.stdout
    assert list(new) == ["k"]


def test_conflict_has_a_code_until_overwritten(run, old, new, words):
    old["k"], new["k"] = 1, 2

    assert run(*words).exit_code == Code.NOT_CARRIED
    assert new["k"] == 2
    assert run(*words, "--overwrite").exit_code == Code.OK
    assert new["k"] == 1


def test_json_report(run, client, old, words):
    client.set(old._prefix + "bad", "bad")

    result = run(*words, "--json")
    report = json.loads(result.stdout)

    assert result.exit_code == Code.NOT_CARRIED
    assert set(report) == set(Report("", "").to_python())
    assert report["problems"][0]["key"] == "bad"


def test_redis_dict_with_conversion(run, url, prefix, new):
    with redis.Redis.from_url(url) as own:
        RedisDict(namespace=prefix + "old", redis=own)["k"] = {2, 1}
    words = ["--from", "redis-dict", "--prefix", prefix + "old", "--to", prefix + "new:", "--yes"]

    assert run(*words).exit_code == Code.NOT_CARRIED
    assert run(*words, "--convert").exit_code == Code.OK
    assert new["k"].to_python() == [1, 2]


def test_files(run, tmp_path, prefix, new):
    with shelve.open(str(tmp_path / "a")) as shelf:
        shelf["shelf"] = [1]
    with SqliteDict(str(tmp_path / "b"), tablename="t", encode=json.dumps) as opened:
        opened["table"] = [2]
        opened.commit()
    (tmp_path / "c").write_text('{"json": [3]}')
    ends = ["--to", prefix + "new:", "--yes"]

    for kind, name, *more in (
        ("shelve", "a"),
        ("sqlitedict", "b", "--table", "t", "--values", "json"),
        ("json", "c"),
    ):
        assert run("--from", kind, "--prefix", str(tmp_path / name), *more, *ends).exit_code == 0

    assert new.to_python() == {"shelf": [1], "table": [2], "json": [3]}


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        (["--url", "http://x"], Code.USAGE, "redis://"),
        (["--url", "redis://u:sec@ret@127.0.0.1:1/"], Code.ERROR, ""),
        (["--url", "redis://127.0.0.1:1"], Code.ERROR, "127.0.0.1:1"),
        (["--from-url", "redis://127.0.0.1:1"], Code.ERROR, "127.0.0.1:1"),
        (["--from", "shelve", "--prefix", "/nowhere"], Code.ERROR, "/nowhere"),
        (["--from", "json", "--from-url", "redis://127.0.0.1:1"], Code.USAGE, "--from-url"),
        (["--from", "json", "--table", "unnamed"], Code.USAGE, "--table is for sqlitedict"),
        (["--values", "pickle"], Code.USAGE, "--values is for sqlitedict"),
        (["--from", "pottery"], Code.USAGE, "pottery"),
        (["--to", "\udcff"], Code.ERROR, "surrogate"),
    ],
)
def test_error_is_one_line(run, words, more, code, told):
    result = run(*words, *more)

    assert result.exit_code == code
    assert told in result.stderr
    assert "Traceback" not in result.output
    assert "sec@ret" not in result.output
    assert code == Code.USAGE or len(result.stderr.strip().split("\n")) == 1
    assert result.stdout == ""


def test_cluster_is_refused_with_another_way(run, words):
    """Options that all commands share may stand before the command, or after it."""
    for given in (["--cluster", "migrate", *words], ["migrate", *words, "--cluster"]):
        result = CliRunner().invoke(app, given)

        assert result.exit_code == Code.USAGE
        assert "'import' with --cluster" in result.stderr


@pytest.mark.parametrize("after", [False, True])
def test_shared_options_stand_before_or_after(url, old, words, after):
    old["k"] = 1
    shared = ["--url", url, "--json"]
    given = ["migrate", *words, *shared] if after else [*shared, "migrate", *words]
    result = CliRunner().invoke(app, given)

    assert result.exit_code == Code.OK
    assert json.loads(result.stdout)["seen"] == 1


def test_prefix_before_the_command_is_told_apart(words):
    result = CliRunner().invoke(app, ["--prefix", "lab:", "migrate", *words])

    assert result.exit_code == Code.USAGE
    assert "--to is the prefix of the documents" in result.stderr


def test_what_stays_is_told_when_something_was_carried(run, url, tmp_path, prefix, new, words):
    """The connection breaks at the third page; and before the first."""
    (tmp_path / "a").write_text(json.dumps({f"k{number}": number for number in range(600)}))
    words = ["--from", "json", "--prefix", str(tmp_path / "a"), *words[4:]]
    with Relay(url) as relay, relay.losing(b"new:k599", times=100):
        result = run(*words, "--url", relay.url)

    assert result.exit_code == Code.ERROR
    told, error = result.stderr.splitlines()
    assert told == "carried 500 documents, which stay: the same command goes on from there"
    assert error.startswith("redisjson-dict: no connection to the server: ")
    assert len(new) == 500
    nothing = run(*words, "--url", "redis://127.0.0.1:1")
    assert nothing.stderr.startswith("redisjson-dict: no connection to the server: ")
    assert "stay" not in nothing.stderr


def test_overlap_is_an_error(run, old, words, prefix):
    result = run(*words, "--to", prefix + "old:new:")

    assert result.exit_code == Code.ERROR
    assert "neither's beginning" in result.stderr


def test_wrong_prefix_is_told(run, words):
    result = run(*words)

    assert result.exit_code == Code.OK
    assert "nothing is there under" in result.stdout
    assert "nothing is there under" in json.loads(run(*words, "--json").stdout)["hint"]


def test_reader_that_has_gone_is_no_error(url, old, new, words):
    old["k"] = 1
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "redisjson_dict", "migrate", *words, "--url", url],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=30,
        )
    finally:
        os.close(writing)

    assert (done.returncode, done.stderr) == (141, b"")
    assert new["k"] == 1


def test_help_names_the_codes(run):
    result = run("--help")

    assert result.exit_code == Code.OK
    assert "5 something was not carried" in " ".join(result.stdout.split())


def test_terminal_is_asked_and_shown_progress(url, old, new, words):
    """On a terminal: the question goes there, an answer is read, the report is all of stdout."""
    old["k"] = 1
    answers = []
    for answer in (b"n\n", b"y\n"):
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "redisjson_dict", "migrate", *words[:-1], "--url", url],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
            env=os.environ | {"TERM": "xterm"},
        )
        os.close(theirs)
        os.write(ours, answer)
        out, _ = process.communicate(timeout=30)
        answers.append((process.returncode, out.decode(), _rest(ours)))

    assert [code for code, _, _ in answers] == [Code.ERROR, Code.OK]
    assert all("Store redis-json-dict" in shown for _, _, shown in answers)
    assert "nothing was changed" in answers[0][2]
    assert answers[0][1] == ""
    assert "1  carried" in answers[1][1]
    assert "\x1b" not in answers[1][1]
    assert new["k"] == 1


def _rest(terminal: int) -> str:
    """Return what was shown on a terminal that nobody writes to any more."""
    shown = b""
    try:
        while select.select([terminal], [], [], 0)[0]:
            shown += os.read(terminal, 10_000)
    except OSError:  # the end, on Linux
        pass
    os.close(terminal)
    return shown.decode()
