"""The command line: what it prints, exits with, and leaves alone."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from clusters import until
from commands import ODD, Done, run, start
from test_clients import Plain

from redisjson_dict import RedisJSONDict
from redisjson_dict.cli import checks
from redisjson_dict.cli.app import app
from redisjson_dict.cli.console import Code, escaped, quoted, size_of
from redisjson_dict.cli.rights import READER, WRITER
from redisjson_dict.cli.watching import reports
from redisjson_dict.location import is_writable
from redisjson_dict.server import Server, binaries

DOCS = Path(__file__).parents[1] / "docs"
needs_binary = pytest.mark.skipif(not binaries(), reason="no server program with JSON here")
NOWHERE = "redis://127.0.0.1:1"


@pytest.fixture
def cli(url, prefix):
    """Run a command on the test's own corner of the server."""

    def call(*arguments: Any, **options: Any) -> Done:
        return run("--url", url, "--prefix", prefix, *arguments, **options)

    return call


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A server whose settings may be changed."""
    with Server() as server:
        yield server


def parsed(done):
    return [json.loads(line) for line in done.lines]


# What a person or a program sees of keys and values.


def test_ls_shows_kind_size_ttl_and_key(cli, d):
    d["run"] = {"a": 1}
    d.expire("run", 90_000)

    assert re.fullmatch(r"object +\d+ B +1d (0|1)h  run\n", cli("ls").out)


def test_ls_for_programs(cli, d):
    d["run"], d["n"] = [1], 5
    d.expire("n", 100)
    rows = {row["key"]: row for row in parsed(cli("ls", "--json"))}

    assert set(rows) == {"run", "n"}
    assert rows["run"]["type"] == "array"
    assert rows["run"]["ttl"] is None
    assert rows["run"]["size"] > 0
    assert 99 < rows["n"]["ttl"] <= 100


def test_ls_leaves_foreign_keys_out(cli, client, prefix):
    client.set(f"{prefix}text", "x")

    assert cli("ls") == Done(0, "", "")


def test_ls_without_sizes(cli, d):
    d["a"] = 1

    assert parsed(cli("ls", "--no-size", "--json"))[0]["size"] is None


def test_odd_keys_are_one_safe_line_each(cli, d):
    d.update(dict.fromkeys(ODD, 1))
    out = cli("ls").out

    assert len(out.splitlines()) == len(ODD)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", out)


def test_odd_keys_for_programs_are_exact(cli, d):
    d.update(dict.fromkeys(ODD, 1))

    assert {row["key"] for row in parsed(cli("ls", "--json"))} == set(ODD)


@pytest.mark.parametrize("key", ODD)
def test_odd_key_is_stored_read_and_removed(cli, d, key):
    value = {key: [key]}

    assert cli("set", "--", key, json.dumps(value)).code == 0
    assert d[key].to_python() == value
    assert json.loads(cli("get", "--", key, key).out) == [key]
    assert cli("del", "--yes", "--", key).code == 0
    assert key not in d


def test_page_of_ls_is_one_round_trip(cli, d, client):
    d.update({f"k{i}": i for i in range(450)})
    before = client.info("stats")["total_reads_processed"]
    cli("ls")

    assert client.info("stats")["total_reads_processed"] - before < 40  # of 1,350 commands


# Paths: a step that looks like an index is one where an array is.


def test_integer_is_an_index_of_an_array(cli, d):
    d["x"] = {"l": [5, {"0": "zero"}]}

    assert cli("get", "x", "l", "1", "0").out == '"zero"\n'
    assert cli("get", "--", "x", "l", "-1").out == '{\n  "0": "zero"\n}\n'


def test_integer_is_a_name_of_an_object(cli, d):
    d["x"] = {}

    assert cli("set", "x", "7", "[1]").code == 0
    assert cli("set", "x", "7", "0", "2").code == 0
    assert d["x"].to_python() == {"7": [2]}


@pytest.mark.parametrize("step", ["01", "+1", "١", "1.0", ""])
def test_other_spellings_are_names(cli, d, step):
    d["x"] = {step: "found"}

    assert cli("get", "x", step).out == '"found"\n'


def test_negative_step_says_what_to_do(cli, d):
    done = cli("get", "x", "-1")

    assert done.code == Code.USAGE
    assert "--" in done.err


# Reading and changing.


def test_get_is_indented_for_people_and_not_for_programs(cli, d):
    d["x"] = {"a": [1.5]}

    assert cli("get", "x").out == '{\n  "a": [\n    1.5\n  ]\n}\n'
    assert cli("get", "x", "--json").out == '{"a":[1.5]}\n'
    assert cli("get", "x", "--compact").out == '{"a":[1.5]}\n'


@pytest.mark.parametrize("path", [[], ["a"], ["a", "0"], ["zz", "1"]])
def test_nothing_there_is_not_found(cli, d, path):
    d["x"] = {"a": []}
    done = cli("get", "x" if path else "nope", *path, *(["9"] if path else []))

    assert done.code == Code.NOT_FOUND
    assert done.out == ""
    assert "not found" in done.err
    assert done.err.count("\n") == 1


def test_set_of_a_new_document_asks_nobody(cli, d):
    assert cli("set", "x", '{"a": 1}') == Done(0, "", "")
    assert d["x"].to_python() == {"a": 1}


@pytest.mark.parametrize(
    "command", [["get"], ["tree"], ["del", "--yes"], ["incr"], ["set"], ["append"]]
)
def test_missing_document_is_told_from_a_missing_place(cli, d, command):
    d["x"] = {"a": 1}
    more = ["5"] if command[0] in ("set", "append") else []

    assert "there is no document 'nope'" in cli(*command, "nope", "a", *more).err
    assert "document 'x' has nothing at ['z']" in cli(*command, "x", "z", "z", *more).err


def test_set_of_an_existing_document_needs_yes(cli, d):
    d["x"] = 1
    refused = cli("set", "x", "2")

    assert refused.code == Code.USAGE
    assert "--yes" in refused.err
    assert d["x"] == 1
    assert cli("set", "x", "2", "--yes").code == 0
    assert d["x"] == 2


def test_set_inside_asks_nobody(cli, d):
    d["x"] = {"a": 1}

    assert cli("set", "x", "a", "2").code == 0
    assert d["x", "a"] == 2


def test_set_reads_standard_input(cli, d):
    assert cli("set", "x", "-", stdin=b' [1, "\xc3\xa9"]\n').code == 0
    assert d["x"].to_python() == [1, "é"]


def test_set_with_a_time_to_live(cli, d):
    assert cli("set", "x", "1", "--ttl", "50").code == 0
    assert 49 < d.ttl("x") <= 50
    assert cli("set", "x", "2", "--yes").code == 0
    assert d.ttl("x") is None


def test_set_inside_has_no_time_to_live(cli, d):
    d["x"] = {}

    assert cli("set", "x", "a", "1", "--ttl", "5").code == Code.USAGE
    assert d["x"].to_python() == {}


@pytest.mark.parametrize("text", ["blue", "{'a': 1}", "NaN", "1 2", "", '"\\ud800"', "[" * 3000])
def test_set_of_what_is_no_json_stores_nothing(cli, d, text):
    done = cli("set", "x", text)

    assert done.code in (Code.USAGE, Code.ERROR)
    assert done.err.count("\n") == 1
    assert "x" not in d


@pytest.mark.parametrize("number", ["123456789012345678901234567890", "1e400"])
def test_set_of_a_number_that_would_change_is_refused(cli, d, number):
    assert cli("set", "x", number).code == Code.USAGE
    assert "x" not in d


def test_set_keeps_large_integers_and_floats(cli, d):
    assert cli("set", "x", "[18446744073709551615, 0.9270736078350111, -0.0, 1.0]").code == 0
    assert repr(d["x"].to_python()) == "[18446744073709551615, 0.9270736078350111, -0.0, 1.0]"


def test_del_needs_yes(cli, d):
    d["x"] = {"a": [1, 2]}

    assert cli("del", "x", "a").code == Code.USAGE
    assert d["x"].to_python() == {"a": [1, 2]}
    assert cli("del", "x", "a", "0", "--yes").code == 0
    assert d["x"].to_python() == {"a": [2]}


def test_append(cli, d):
    d["x"] = {"l": [1]}

    assert cli("append", "x", "l", '{"n": 2}').code == 0
    assert cli("append", "x", "l", "3", "--maxlen", "2").code == 0
    assert d["x", "l"].to_python() == [{"n": 2}, 3]


def test_append_to_another_kind_is_one_line(cli, d):
    d["x"] = {"l": 1}
    done = cli("append", "x", "l", "1")

    assert done.code == Code.ERROR
    assert "not an array" in done.err
    assert done.err.count("\n") == 1


def test_incr(cli, d):
    d["x"] = {"n": 1}

    assert cli("incr", "x", "n").out == "2\n"
    assert cli("incr", "x", "n", "--by", "-0.5").out == "1.5\n"
    assert cli("incr", "x", "new").out == "1\n"
    assert cli("incr", "x", "n", "--by", "true").code == Code.USAGE
    assert cli("incr", "x", "n", "--by", "12345678901234567890123").code == Code.USAGE


def test_ttl_is_shown_set_and_ended(cli, d):
    d["x"] = 1

    assert cli("ttl", "x").out == "permanent\n"
    assert cli("ttl", "x", "50").out == "50.000\n"
    assert 49 < d.ttl("x") <= 50
    assert parsed(cli("ttl", "x", "--json"))[0]["ttl"] > 49
    assert cli("ttl", "x", "--persist").out == "permanent\n"
    assert cli("ttl", "x", "5", "--persist").code == Code.USAGE
    assert cli("ttl", "x", "0").code == cli("ttl", "x", "--", "-5").code == Code.USAGE
    assert cli("set", "y", "1", "--ttl", "0").code == Code.USAGE
    assert cli("ttl", "nope").code == Code.NOT_FOUND
    assert d.ttl("x") is None


def test_query_prints_a_match_a_line(cli, d):
    d["x"] = {"a": {"p": 1}, "b": {"p": "two\nlines"}}

    assert cli("query", "x", "$..p").lines == ["1", '"two\\nlines"']
    assert cli("query", "x", "$..none") == Done(0, "", "")
    for wrong in ("p", "$[", "$..a..b..c"):
        assert cli("query", "x", wrong).code == Code.USAGE


def test_foreign_key_is_refused(cli, client, prefix):
    client.set(f"{prefix}x", "text")
    for command in (["get"], ["tree"], ["incr"], ["del", "--yes"], ["ttl"]):
        done = cli(*command, "x")

        assert done.code == Code.ERROR
        assert "not a JSON document" in done.err
    assert cli("set", "x", "1", "--yes").code == Code.ERROR
    assert client.get(f"{prefix}x") == b"text"


# The shape of a document.


def test_tree_shows_kinds_counts_and_scalars(cli, d):
    d["x"] = {"l": list(range(12)), "o": {}, "s": "é" * 100, "n": None, "deep": [[[[1]]]]}
    lines = cli("tree", "x").lines

    assert lines[0].startswith("x: object of 5 members, ")
    assert "├─ l: array of 12 elements" in lines
    assert "│  ├─ [9]: 9" in lines
    assert "│  └─ ... 2 more" in lines
    assert "├─ o: object of 0 members" in lines
    assert "├─ n: null" in lines
    assert lines[-1] == "      └─ [0]: array of 1 element"


def test_tree_closes_the_quotes_of_what_it_cuts(cli, d):
    d["x"] = {"s": "y" * 100}

    assert f'└─ s: "{"y" * 59}..." (string, 102 B)' in cli("tree", "x").lines


def test_tree_of_a_place_inside(cli, d):
    d["x"] = {"l": [1, 2, 3]}
    [shape] = parsed(cli("tree", "x", "l", "--width", "2", "--json"))

    assert shape["path"] == ["l"]
    assert (shape["type"], shape["length"], shape["more"]) == ("array", 3, 1)
    assert [child["text"] for child in shape["children"]] == ["1", "2"]


def test_tree_counts_what_it_does_not_follow(cli, d):
    """Where the server can say: it takes some odd names for others."""
    d["x"] = {name: {name: [1, 2]} for name in ODD} | {"l": [[], [1]]}
    [shape] = parsed(cli("tree", "x", "--depth", "1", "--width", "50", "--json"))
    lengths = {child["step"]: child.get("length") for child in shape["children"]}

    unknown = [name for name in ODD if lengths[name] != 1]
    assert lengths["l"] == 2
    assert all(lengths[name] is None and not is_writable(name) for name in unknown)
    assert len(unknown) < 5
    assert not any("children" in child for child in shape["children"])


def test_tree_of_odd_names(cli, d):
    d["x"] = {name: {name: 1} for name in ODD}
    done = cli("tree", "x", "--width", "50")

    assert done.code == 0
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", done.out)
    assert all(quoted(name) in done.out for name in ODD)


def test_tree_cannot_walk_below_what_is_no_path(cli, d):
    d["x"] = {"a\\b": [1]}
    done = cli("tree", "x", "a\\b")

    assert done.code == Code.ERROR
    assert "get" in done.err


def test_tree_of_a_large_document_fetches_little(cli, d, client):
    d["x"] = {"blob": "z" * 3_000_000, "wide": {f"name{i}": "v" * 50 for i in range(20_000)}}
    before = client.info("stats")["total_net_output_bytes"]
    done = cli("tree", "x")

    assert "... 19,990 more" in done.out
    assert client.info("stats")["total_net_output_bytes"] - before < 60_000


# Options, and where they come from.


@pytest.mark.parametrize("after", [False, True])
def test_shared_options_stand_before_or_after(url, prefix, d, after):
    d["x"] = [1]
    shared = ["--url", url, "--prefix", prefix, "--json"]

    done = run("get", "x", *shared) if after else run(*shared, "get", "x")
    assert done.out == "[1]\n"


def test_options_come_from_the_environment(url, prefix, d):
    d["x"] = 1

    assert run("get", "x", REDIS_URL=url, REDISJSON_DICT_PREFIX=prefix).out == "1\n"
    assert run("get", "x", "--prefix", "", REDIS_URL=url, REDISJSON_DICT_PREFIX=prefix).code == 3
    assert run("get", "x", "--url", NOWHERE, REDIS_URL=url).code == Code.ERROR


# What goes wrong is one line.


@pytest.mark.parametrize(
    "command",
    [["ls"], ["get", "x"], ["tree", "x"], ["export"], ["doctor"], ["watch"], ["set", "x", "1"]],
    ids=lambda command: command[0],
)
def test_no_server_is_one_line(command):
    done = run("--url", NOWHERE, *command)

    assert done.code == Code.ERROR
    assert done.err.splitlines()[-1].startswith("redisjson-dict: no connection to the server")
    assert "Traceback" not in done.err


def test_wrong_password_is_one_line_without_it(own):
    done = run("ls", "--url", own.url.replace("unix://", "unix://ann:hunter2@"))

    assert done.code == Code.ERROR
    assert "user or password" in done.err
    assert "hunter2" not in done.err
    assert done.err.count("\n") == 1


def test_malformed_url_is_a_wrong_use_and_not_shown():
    done = run("ls", "--url", "redis://ann:p@ss/word@host")

    assert done.code == Code.USAGE
    assert "ss/word" not in done.err


@needs_binary
@pytest.mark.parametrize("command", [["ls"], ["get", "x"], ["tree", "x"], ["export"]])
def test_server_without_json_is_one_line(plain, command):
    done = run("--url", plain, *command)

    assert done.code == Code.ERROR
    assert "no JSON commands" in done.err


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The URL of a server without JSON."""
    server = Plain(binaries()[0], tmp_path_factory.mktemp("p"))
    yield server.url
    server.close()


@pytest.mark.parametrize(
    "arguments", [["nope"], ["get"], ["get", "--nope", "x"], ["ttl", "x", "y"], ["migrate"]]
)
def test_wrong_use_is_one_line(arguments):
    done = run(*arguments)

    assert done.code == Code.USAGE
    assert done.err.count("\n") == 1
    assert "--help" in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tre", "x"], "Did you mean 'tree'? Try '"),
        (["migrate", "--from", "jsn", "--prefix", "a", "--to", "b"], "Did you mean 'json'? Try '"),
        (["ttl", "x", "y"], "'SECONDS': it must be a valid number. Try '"),
        (["tree", "x", "--depth", "0"], "'--depth': it must be greater than or equal to 1. Try '"),
        (["get"], "Missing argument 'KEY'. Try '"),
        (["--url", NOWHERE, "ls"], "Connection refused; pass"),
    ],
)
def test_complaint_is_plain(arguments, words):
    done = run(*arguments)

    assert words in done.err
    assert "Value error" not in done.err


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("tree", "KEY [PATH]..."),
        ("set", "KEY [PATH]... JSON"),
        ("ttl", "KEY [SECONDS]"),
        ("import", "FILE"),
        ("query", "KEY JSONPATH"),
    ],
)
def test_help_is_spelled_as_the_page(name, usage):
    shown = run(name, "--help", COLUMNS="100").out

    assert f" {name} [OPTIONS] {usage} " in " ".join(shown.split())
    assert "bool" not in shown


def test_without_arguments_there_is_help():
    done = run()

    assert done.code == Code.USAGE
    assert "tree" in done.out + done.err


def test_version():
    assert re.fullmatch(r"redisjson-dict \d+\.\d+\.\d+\n", run("--version").out)


# The server as seen by doctor and watch.


def test_doctor_finds_a_server_fit(own):
    done = run("doctor", "--url", own.url, "--json")
    levels = {check["name"]: check["level"] for check in parsed(done)}

    assert done.code == 0
    assert levels["json module"] == levels["rights"] == levels["scripts"] == "ok"
    assert levels["persistence"] == "warning"


def test_doctor_exits_with_its_code_for_a_problem(own):
    client = own.client()
    client.config_set("maxmemory", "500mb")
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        done = run("doctor", "--url", own.url)
    finally:
        client.config_set("maxmemory", "0")
        client.config_set("maxmemory-policy", "noeviction")

    assert done.code == Code.PROBLEMS
    assert re.search(r"^problem +eviction +allkeys-lru$", done.out, re.MULTILINE)
    assert "noeviction" in done.out


def test_doctor_warns_of_what_ends_the_server(own):
    """RedisJSON 2.8 does not survive that another thread frees documents."""
    done = run("doctor", "--url", own.url)
    assert re.search(r"^ok +freeing +documents one by one", done.out, re.MULTILINE)
    own.client().config_set("lazyfree-lazy-user-flush", "yes")
    try:
        done = run("doctor", "--url", own.url)
    finally:
        own.client().config_set("lazyfree-lazy-user-flush", "no")

    assert re.search(r"^warning +freeing +lazyfree-lazy-user-flush$", done.out, re.MULTILINE)
    assert "CONFIG SET lazyfree-lazy-user-flush no" in done.out


def test_doctor_knows_which_modules_free_in_threads():
    assert [checks.frees_safely(version) for version in (0, 20_803, 80_401)] == [False, False, True]


@needs_binary
def test_doctor_misses_the_module(plain):
    done = run("doctor", "--url", plain)

    assert done.code == Code.PROBLEMS
    assert re.search(r"^problem +json module +the server has no JSON", done.out, re.MULTILINE)


def user_of(server, name, *rights):
    server.client().execute_command("ACL", "SETUSER", name, "reset", "on", ">pw", *rights)
    return server.url.replace("unix://", f"unix://{name}:pw@")


def granted(commands):
    return [f"+{command}" for command in commands]


def test_doctor_asks_about_rights_without_hurting_the_server(own):
    """A server ends when it is asked about EVAL by its own script function."""
    url = user_of(own, "all", "~lab:*", "+@all")
    done = run("doctor", "--url", url, "--prefix", "lab:")

    assert "to read and to write" in done.out
    assert own.running


@pytest.mark.parametrize(
    ("rights", "level", "says"),
    [
        ([*granted(READER), "+eval", "+evalsha"], "warning", "+json.set"),
        (["+json.get", "+eval", "+evalsha"], "problem", "+json.type"),
        (["+json.get"], "problem", "+eval"),
        ([*granted(READER), "+eval"], "problem", "+evalsha"),
    ],
)
def test_doctor_names_the_rights_that_are_missing(own, rights, level, says):
    url = user_of(own, "few", "~lab:*", *rights)
    done = run("doctor", "--url", url, "--prefix", "lab:")

    assert re.search(rf"^{level} +(rights|scripts) ", done.out, re.MULTILINE)
    assert says in done.out


def test_reader_can_look_and_export(own):
    RedisJSONDict(own.client(), "lab:")["x"] = {"a": [1]}
    url = user_of(own, "reader", "~lab:*", *granted(READER), "+eval", "+evalsha")
    for command in (
        ["ls"],
        ["tree", "x"],
        ["get", "x", "a", "0"],
        ["export"],
        ["query", "x", "$.a"],
    ):
        done = run(*command, "--url", url, "--prefix", "lab:")

        assert done.code == 0, done.err
        assert done.out


def test_rights_are_those_of_the_security_page():
    page = (DOCS / "security.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```acl\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    reader, writer = ({w[1:] for w in block.split() if w[0] == "+"} for block in blocks[:2])

    assert {*READER, "eval", "evalsha"} == reader
    assert {*READER, *WRITER, "eval", "evalsha"} == writer


def test_watch_says_what_to_do_when_nothing_is_reported(own):
    own.client().config_set("notify-keyspace-events", "")
    done = run("watch", "--url", own.url)

    assert done.code == Code.ERROR
    assert "--enable" in done.err
    assert run("watch", "--url", own.url, "--enable").code == Code.USAGE
    assert own.client().config_get("notify-keyspace-events")["notify-keyspace-events"] == ""


@pytest.mark.parametrize(
    ("flags", "enough"),
    [("", False), ("K", False), ("Ed", False), ("Kd", True), ("AKE", True), ("g$lshzxeKt", False)],
)
def test_watch_knows_which_flags_it_needs(flags, enough):
    assert reports(flags) is enough


def test_watch_shows_events_until_it_is_told_to_end(own):
    client = own.client()
    client.config_set("notify-keyspace-events", "El")
    d = RedisJSONDict(client, "w[1]:")
    arguments = ["--enable", "--yes", "--json", "--url", own.url, "--prefix", "w[1]:"]
    with start("watch", *arguments) as process:
        until("it listens", client.pubsub_numpat)
        d["a\nb"] = {"l": []}
        RedisJSONDict(client, "w1:")["other"] = 1
        d["a\nb", "l"].append(1)
        del d["a\nb"]
        events = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)

    assert [event["event"] for event in events] == ["json.set", "json.arrappend", "json.del"]
    assert {event["key"] for event in events} == {"a\nb"}
    assert process.returncode == 0
    assert err == b""
    assert set("ElKgxd") <= set(client.config_get()["notify-keyspace-events"])


def test_watch_may_be_told_to_end_before_it_has_begun():
    """The server takes the connection, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        with start("watch", "--url", url) as process:
            taken, _ = silent.accept()
            with taken:
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=30)

    assert (process.returncode, out, err) == (0, b"", b"")


def test_watch_of_no_prefix_says_so(own):
    own.client().config_set("notify-keyspace-events", "KA")
    with start("watch", "--url", own.url) as process:
        assert process.stderr.readline() == b"watching all keys; Ctrl-C ends it\n"


# Verdicts, without a server.


@pytest.mark.parametrize(
    ("check", "level"),
    [
        (checks.server("redis", "6.2.1"), "warning"),
        (checks.server("valkey", "9.1.2"), "ok"),
        (checks.module(0, has_json=False), "problem"),
        (checks.module(20_403, has_json=True), "warning"),
        (checks.module(0, has_json=True), "ok"),
        (checks.module(80_200, has_json=True), "ok"),
        (checks.replication({"role": "slave"}), "problem"),
        (checks.latency([1.0, 90.0, 80.0]), "warning"),
        (next(checks.persistence({"aof_enabled": 1}, "")), "ok"),
        (next(checks.persistence({"aof_enabled": 0}, "60 1")), "warning"),
        (next(checks.persistence({"rdb_last_bgsave_status": "err"}, None)), "problem"),
        (next(checks.memory({"maxmemory": 100, "used_memory": 95})), "warning"),
        ([*checks.memory({"maxmemory_policy": "allkeys-lfu"})][1], "warning"),
        ([*checks.memory({"maxmemory_policy": "volatile-ttl", "maxmemory": 9})][1], "ok"),
    ],
)
def test_verdict(check, level):
    assert check.level == level
    assert check.advice or level == "ok"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain", "plain"),
        ("with space", "with space"),
        ("back\\slash", "back\\slash"),
        ("", '""'),
        (" lead", '" lead"'),
        ('"q"', '"\\"q\\""'),
        ("\x1b[0m", '"\\u001b[0m"'),
        ("\x9b0m", '"\\u009b0m"'),
        ("\U000e0041", '"\\udb40\\udc41"'),
        ("é😀", "é😀"),
    ],
)
def test_name_is_quoted_where_it_could_be_misread(name, shown):
    assert quoted(name) == shown
    if shown[0] == '"':
        assert json.loads(shown) == name


def test_message_cannot_break_its_line():
    assert escaped("a\r\nb\x07") == "a\\u000d\\u000ab\\u0007"


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "-"), (999, "999 B"), (1000, "1.0 kB"), (10**8, "100.0 MB"), (3 * 10**12, "3000.0 GB")],
)
def test_size_for_people(count, text):
    assert size_of(count) == text


# As a process.


def test_without_the_extra_one_line_says_how_to_get_it():
    code = "import sys; sys.modules['typer'] = None; import redisjson_dict.__main__ as m; m.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "pip install 'redisjson-dict[cli]'" in done.stderr


def test_reader_that_goes_away_ends_it_quietly(url, prefix, d):
    d.update({f"k{i}": "x" * 1000 for i in range(2000)})
    with start("export", "--url", url, "--prefix", prefix) as process:
        process.stdout.readline()
        process.stdout.close()
        error = process.stderr.read()

    assert process.wait(30) == Code.CLOSED
    assert error == b""


def test_interrupt_ends_without_a_trace(url, prefix, d):
    more = b"".join(b'{"key":"k%d","value":1}\n' % number for number in range(700))
    with start("import", "-", "--url", url, "--prefix", prefix) as process:
        process.stdin.write(b'{"key":"a","value":1}\n' + b"\n" * 10 + more)
        process.stdin.flush()
        until("the first page is stored", lambda: "a" in d)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)

    assert process.returncode == Code.INTERRUPTED
    assert b"interrupted; the same command with --resume goes on" in error
    assert b"Traceback" not in error


@needs_binary
def test_serve_runs_until_told_and_keeps_its_data(tmp_path):
    with start("serve", "--port", "0", "--path", tmp_path, "--json") as process:
        url = json.loads(process.stdout.readline())["url"]

        assert run("set", "x", "5", "--url", url).code == 0
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=30)

    assert process.returncode == 0
    assert error == b""
    assert run("ls", "--url", url).code == Code.ERROR
    with Server(tmp_path) as server:
        assert run("get", "x", "--url", server.url).out == "5\n"


@needs_binary
def test_serve_on_a_port_that_is_taken(own):
    with Server(port=0) as other:
        done = run("serve", "--port", other.url.rpartition(":")[2])

    assert done.code == Code.ERROR
    assert re.search(r"port \d+ is taken; take another, or --port 0", done.err)


@needs_binary
def test_serve_says_where_the_data_are(tmp_path):
    given = os.path.relpath(tmp_path / "new" / "data")
    with start("serve", "--port", "0", "--path", given) as process:
        process.stdout.readline()
        line = process.stderr.readline().decode()

    assert f"kept in {tmp_path / 'new' / 'data'}\n" in line


@pytest.mark.parametrize("option", [["--url", NOWHERE], ["--prefix", "a:"], ["--cluster"]])
def test_serve_has_no_use_for_another_server(option):
    done = run(*option, "serve", "--port", "0")

    assert done.code == Code.USAGE
    assert "a server of its own" in done.err


def at_terminal(*arguments, answer=b""):
    """Run a command as a person does; return its code and all that is on the screen."""
    ours, theirs = os.openpty()
    with start(*arguments, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        os.write(ours, answer)
        screen = b""
        with contextlib.suppress(OSError):  # Linux says so when the other end has closed
            while piece := os.read(ours, 10_000):
                screen += piece
        os.close(ours)
        return process.wait(30), screen.decode()


def test_person_is_asked_and_may_say_no(url, prefix, d):
    d["x\x1b[31m"] = {"a": 1}
    place = ["--url", url, "--prefix", prefix]
    code, screen = at_terminal("del", "x\x1b[31m", *place, answer=b"n\n")

    assert code == Code.ERROR
    assert "Remove the document 'x\\x1b[31m' (object)? [y/N]" in screen
    assert "x\x1b[31m" in d


def test_interrupt_at_a_question_is_a_no(url, prefix, d):
    d["x"] = 1
    ours, theirs = os.openpty()
    with start(
        "del", "x", "--url", url, "--prefix", prefix, stdin=theirs, stderr=theirs
    ) as process:
        screen = b""
        while b"[y/N]" not in screen:
            screen += os.read(ours, 10_000)
        process.send_signal(signal.SIGINT)
        code = process.wait(30)
    os.close(theirs)
    os.close(ours)

    assert code == Code.ERROR
    assert d["x"] == 1


def test_doctor_fits_the_terminal(own):
    code, screen = at_terminal("doctor", "--url", own.url)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", screen)

    assert code == 0
    assert max(map(len, plain.splitlines())) <= 80
    assert len(plain.splitlines()) > len(run("doctor", "--url", own.url).lines)


def test_terminal_is_not_obeyed_by_what_it_shows(url, prefix, d):
    d["x"] = {"\x9b31m": "\u202e"}
    code, screen = at_terminal("get", "x", "--url", url, "--prefix", prefix)

    assert code == 0
    assert json.loads(screen) == {"\x9b31m": "\u202e"}
    assert not re.search("[\x1b\x80-\x9f\u202e]", screen)


# The page.


def test_every_command_and_code_is_documented():
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    names = {command.name for command in app.registered_commands}

    assert {name for name in names if not re.search(rf"^### {name}$", page, re.MULTILINE)} == set()
    assert {
        code for code in Code if not re.search(rf"^\| {code:d} \|", page, re.MULTILINE)
    } == set()


@pytest.mark.parametrize("name", [command.name for command in app.registered_commands])
def test_every_option_is_documented(name):
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    section = (
        page.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
        + page.partition("\n## Options")[2].partition("\n## ")[0]
    )
    options = set(re.findall(r"--[a-z][a-z-]+", run(name, "--help", COLUMNS="200").out))

    assert {option for option in options - {"--help"} if option not in section} == set()


def test_unbuffered_output_is_whole(url, prefix, d, monkeypatch):
    """Python itself loses the rest of a write that a full pipe cuts short."""
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    d["big"] = ["x" * 90] * 20_000
    with start("get", "big", "--json", "--url", url, "--prefix", prefix) as process:
        time.sleep(0.5)  # so that the pipe is full
        output, _ = process.communicate(timeout=30)

    assert json.loads(output) == d["big"].to_python()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("incr", "run", "z", "--by", "abc"), "--by is a number"),
        (("set", "run", "z", "blue"), "text needs quotes of its own: '\"blue\"'"),
        (("set", "run", "z", "'blue sky'"), "text needs quotes of its own: '\"blue sky\"'"),
        (("set", "run", "z", "'a\"b'"), "text needs double quotes"),
        (("set", "run", "z", ""), "the value is empty, which is no JSON"),
    ],
)
def test_what_is_no_json_is_told_with_the_remedy(arguments, words):
    done = run(*arguments)

    assert done.code == Code.USAGE
    assert words in done.err


def test_hint_of_quotes_is_for_words_only():
    assert "quotes of its own" not in run("set", "run", "z", '{"x":').err


def test_malformed_url_is_told_for_the_command_line():
    done = run("ls", "--url", "foo")

    assert done.code == Code.USAGE
    assert "redis://" in done.err
    assert "urllib" not in done.err
