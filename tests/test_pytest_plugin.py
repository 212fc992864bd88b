"""The fixtures for other people's tests, in runs of pytest of their own."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from redisjson_dict import testing as parts
from redisjson_dict.server import binaries

pytest_plugins = ["pytester"]

DOCS = Path(__file__).parents[1] / "docs" / "testing.md"
QUIET = ("-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:xdist")
OTHERS = ("-p", "no:valkey", "-p", "no:hypothesispytest", "-p", "no:anyio")  # take time to load
DEAD = "redis://:secret@127.0.0.1:1"
USES = "def test_uses(redisjson_dict):\n    redisjson_dict['a'] = 1\n"


@pytest.fixture
def given(monkeypatch, url):
    """The server of these tests, given to theirs."""
    monkeypatch.setenv("REDISJSON_DICT_TEST_URL", url)
    return url


@pytest.fixture
def nothing_given(monkeypatch):
    monkeypatch.delenv("REDISJSON_DICT_TEST_URL", raising=False)


@pytest.fixture
def nothing_there(nothing_given, monkeypatch, tmp_path):
    """A machine without a server program and without Docker."""
    monkeypatch.setattr(parts, "binaries", list)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(parts, "_DOCKER_SOCKET", tmp_path / "none")


def test_file_in_the_docs_passes(pytester, given):
    text = DOCS.read_text(encoding="utf-8").partition("(`test_state.py`):\n")[2]
    block = re.match(r"(?:(?:    .*)?\n)+", text)
    assert block is not None
    pytester.makepyfile(test_state=textwrap.dedent(block[0]))

    pytester.runpytest_inprocess(*QUIET).assert_outcomes(passed=4)


def test_options_in_the_docs_are_those_there_are():
    text = DOCS.read_text(encoding="utf-8")

    assert all(
        f"{name}" in text for name in ("--redisjson-url", "redisjson_url =", "redisjson_missing =")
    )


def test_keys_are_removed_and_no_others(pytester, given, client, prefix, tmp_path):
    client.set(prefix + "theirs", 1)
    pytester.makepyfile(f"""
        import pathlib

        def test_leaves_keys(redisjson_dict, redisjson_client, redisjson_prefix):
            redisjson_dict["a"] = {{"b": 1}}
            redisjson_dict["glob*?[x]"] = 1
            redisjson_client.set(redisjson_prefix + "no json", "text")
            pathlib.Path({str(tmp_path / "prefix")!r}).write_text(redisjson_prefix)

        def test_fails(redisjson_dict, redisjson_prefix):
            redisjson_dict["a"] = 1
            pathlib.Path({str(tmp_path / "prefix2")!r}).write_text(redisjson_prefix)
            assert False

        def test_starts_empty(redisjson_dict):
            assert not redisjson_dict
    """)
    pytester.runpytest_inprocess(*QUIET).assert_outcomes(passed=2, failed=1)

    used = {(tmp_path / name).read_text() for name in ("prefix", "prefix2")}
    assert len(used) == 2
    assert all(list(client.scan_iter(f"{mine}*", count=10_000)) == [] for mine in used)
    assert client.exists(prefix + "theirs")


def test_wrong_count_shows_the_commands(pytester, given):
    pytester.makepyfile("""
        def test_walks(redisjson_dict, assert_commands):
            redisjson_dict["a"] = {"b": []}
            with assert_commands(1):
                redisjson_dict["a"]["b"].append(3)

        def test_other_prefix(redisjson_dict, redisjson_prefix, assert_commands):
            with assert_commands(1, prefix=redisjson_prefix + "b"):
                redisjson_dict["a"] = 1
                redisjson_dict["b"] = 1
    """)
    result = pytester.runpytest_inprocess(*QUIET)

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            ">       with assert_commands(1):",
            "E *AssertionError: commands for keys under 'pytest-*:': 3 were sent, expected 1",
            "E *1. script peek 'pytest-*:a' '$' '0'",
            "E *3. JSON.ARRAPPEND 'pytest-*:a' '$*b*' '3'",
        ]
    )


def test_absent_key_shows_no_machinery(pytester, given):
    pytester.makepyfile("""
        def test_reads(redisjson_dict):
            redisjson_dict["missing"]

        def test_refused(redisjson_dict):
            redisjson_dict.at("missing", "log").append(1)
    """)
    result = pytester.runpytest_inprocess(*QUIET)

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["E *KeyError: 'missing'"])
    for inside in ("execute.py", "operations", "refusals.py", "reply ="):
        result.stdout.no_fnmatch_line(f"*{inside}*")


@pytest.mark.parametrize(
    ("option", "variable", "setting"),
    [("url", DEAD, DEAD), (None, "url", DEAD), (None, None, "url")],
)
def test_order_of_what_is_given(pytester, url, monkeypatch, option, variable, setting):
    """The command line, the environment, the configuration; the first one there is taken."""
    option, variable, setting = [
        url if word == "url" else word for word in (option, variable, setting)
    ]
    monkeypatch.delenv("REDISJSON_DICT_TEST_URL", raising=False)
    if variable:
        monkeypatch.setenv("REDISJSON_DICT_TEST_URL", variable)
    pytester.makeini(f"[pytest]\nredisjson_url = {setting}\n")
    pytester.makepyfile(
        f"def test_url(redisjson_server):\n    assert redisjson_server == {url!r}\n"
    )

    options = [f"--redisjson-url={option}"] if option else []
    pytester.runpytest_inprocess(*QUIET, *options).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("given", "said"),
    [(DEAD, "no server with JSON, or does not answer"), ("http://:secret@a", "must begin with")],
)
@pytest.mark.parametrize("missing", ["skip", "fail"])
def test_given_server_must_be_there(pytester, nothing_given, given, said, missing):
    pytester.makeini(f"[pytest]\nredisjson_missing = {missing}\n")
    pytester.makepyfile(USES)
    result = pytester.runpytest_inprocess(*QUIET, f"--redisjson-url={given}")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*--redisjson-url: *{said}*"])
    result.stdout.no_fnmatch_line("E*secret*")


@pytest.mark.parametrize("missing", ["skip", "fail"])
def test_no_server_at_all(pytester, nothing_there, missing):
    pytester.makeini(f"[pytest]\nredisjson_missing = {missing}\n")
    pytester.makepyfile(USES)
    result = pytester.runpytest_inprocess(*QUIET, "-rs")

    result.assert_outcomes(skipped=missing == "skip", errors=missing == "fail")
    result.stdout.fnmatch_lines(["*no server with JSON starts on this machine*"])


def test_where_it_is_not_used_nothing_is_imported(pytester, nothing_given):
    pytester.makepyfile("""
        import sys

        def test_modules():
            assert "pytest_redisjson_dict" in sys.modules
            assert not {"redis", "redisjson_dict", "orjson"} & sys.modules.keys()
    """)
    result = pytester.runpytest_subprocess(*QUIET, *OTHERS, "-W", "error")

    result.assert_outcomes(passed=1)


@pytest.mark.skipif(not binaries(), reason="no embedded server on this machine")
def test_each_worker_has_a_server(pytester, nothing_given):
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    pytester.makepyfile("""
        import pathlib
        import pytest

        @pytest.mark.parametrize("number", range(2))
        def test_write(redisjson_dict, assert_commands, number, worker_id, redisjson_server):
            with assert_commands(20):
                for _ in range(20):
                    redisjson_dict.incr("n")
            pathlib.Path(f"{worker_id}.txt").write_text(redisjson_server)
    """)
    result = pytester.runpytest_subprocess("-p", "no:randomly", *OTHERS, "-n", "2", "-W", "error")

    result.assert_outcomes(passed=2)
    urls = [path.read_text() for path in pytester.path.glob("*.txt")]
    assert len(set(urls)) == len(urls) == 2
