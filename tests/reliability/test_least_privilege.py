"""Users who may do what docs/security.md says, and nothing else; what they meet if less."""

from __future__ import annotations

import asyncio
import contextlib
import re
import uuid
from collections.abc import Callable, Iterator
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
from clusters import HOST, LocalCluster
from redis.exceptions import RedisClusterException as ClusterError
from relay import Relay
from test_retries import AGAIN, ONCE, START, UNSPELLABLE, drop, put

from redisjson_dict import PipelineError, RedisJSONDict
from redisjson_dict.asyncio import RedisJSONDict as AsyncRedisJSONDict
from redisjson_dict.scripts import script
from redisjson_dict.server import Server, binaries

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
BLOCKS = re.findall(r"^```acl\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.M)
READER, WRITER, CLUSTER = ([w[1:] for w in b.split() if w.startswith("+")] for b in BLOCKS)
ALWAYS = {"hello", "auth", "reset", "quit"}
BASE = {"doc": START, "other": 7}
Call = Callable[[RedisJSONDict], Any]


def batch(*, atomic: bool = True) -> Call:
    def call(d: RedisJSONDict) -> None:
        with d.pipeline(atomic=atomic) as b:
            b["doc", "n"] = 5
            b.at("doc", "l").append(4)
            d.update(other=8)

    return call


def expiring(d: RedisJSONDict) -> None:
    with d.expire_at(60):
        d["other"] = 8


# Verbs that the tables of test_retries do not have.
MORE: dict[str, Call] = {
    "iterate": list,
    "bool": bool,
    "repr": repr,
    "values": lambda d: [*d.values()],
    "foreign in": lambda d: "nothing" in d,
    "ttl": lambda d: d.ttl("doc"),
    "last element": lambda d: d["doc", "l", -1],
    "length": lambda d: len(d["doc", "o"]),
    "names": lambda d: list(d["doc", "o"]),
    "shallow page": lambda d: list(d["doc"].values()),
    "query": lambda d: d["doc"].query("$..a"),
}
CHANGES: dict[str, Call] = {
    "batch": batch(),
    "batch, not atomic": batch(atomic=False),
    "expire": lambda d: d.expire("other", 60),
    "expireat": lambda d: d.expireat("other", 9e9),
    "persist": lambda d: d.persist("other"),
    "assign for a time": expiring,
    "dict clear": lambda d: d.clear(),
    "dict popitem": lambda d: d.popitem(),
    "assign repaired": put("other", UNSPELLABLE),
    "update repaired": lambda d: d.update(other=UNSPELLABLE, new=1),
    "setdefault repaired": lambda d: d.setdefault("new", UNSPELLABLE),
    "member repaired": put(("doc", "n"), UNSPELLABLE),
    "merge repaired": lambda d: d["doc"].merge({"n": UNSPELLABLE}),
    "replace repaired": lambda d: d["doc", "l"].replace([UNSPELLABLE]),
    "extend repaired": lambda d: d["doc", "l"].extend([1, UNSPELLABLE]),
    "modify repaired": lambda d: d["doc", "l"].modify(lambda _: [UNSPELLABLE]),
    "incr new document": lambda d: d.incr("new", 0.5),
    "append none": lambda d: d["doc", "l"].append(1, maxlen=0),
    "del nested member": drop(("doc", "o", "a")),
    "del middle": lambda d: drop(slice(1, 2))(d["doc", "l"]),
    "del all": lambda d: drop(slice(0, 9))(d["doc", "l"]),
    "clear object": lambda d: d["doc", "o"].clear(),
    "slice in the middle": lambda d: put(slice(1, 2), [7, 8])(d["doc", "l"]),
    "object update": lambda d: d["doc"].update({"n": 2, "new": [1]}),
    "own place": lambda d: d["doc", "l"].__iadd__([5]),
}
READS: dict[str, Call] = MORE | {
    name: call for name, (_, call, _, after) in AGAIN.items() if after is None and name != "fetch"
}
WRITES: dict[str, Call] = (
    CHANGES
    | {f"{name}!": call for name, (_, call, _) in ONCE.items()}
    | {f"{name}!!": call for name, (_, call, _, after) in AGAIN.items() if after is not None}
)


class Corner:
    """A server with an administrator and users of few rights."""

    def __init__(self, server: Server) -> None:
        self.root = server.client()
        self.server, self.name, self.told = server, server._binary.name, 0
        self.prefix = f"lab{uuid.uuid4().hex[:6]}:"
        self.truth = RedisJSONDict(self.root, self.prefix)
        self.reader, self.writer = self.user(*READER), self.user(*WRITER)

    def user(self, *commands: str, keys: str | None = None, **options: Any) -> redis.Redis:
        name = f"u{uuid.uuid4().hex[:8]}"
        rule = f"reset on >pw resetchannels ~{keys or self.prefix}*".split()
        self.root.execute_command("ACL", "SETUSER", name, *rule, *(f"+{c}" for c in commands))
        options = {"username": name, "password": "pw"} | options
        return self.server.client(**options)

    def restore(self) -> None:
        keys = list(self.root.scan_iter(f"{self.prefix}*"))
        if keys:
            self.root.delete(*keys)
        for name, value in BASE.items():
            self.truth[name] = value

    @cached_property
    def uses(self) -> dict[str, set[str]]:
        """Which commands each verb runs."""
        uses, d = {}, RedisJSONDict(self.writer, self.prefix)
        for name, call in (READS | WRITES).items():
            self.root.script_flush()
            self.restore()
            self.used()
            call(d)
            uses[name] = self.used()
        return uses

    def used(self) -> set[str]:
        """Return the commands that ran since the last call, inside scripts, too."""
        stats = self.root.info("commandstats")
        self.root.config_resetstat()
        own = {"info", "config|resetstat", "config", *ALWAYS}
        return {name.removeprefix("cmdstat_") for name in stats} - own


@pytest.fixture(scope="module", params=[b.name for b in binaries()])
def corner(request: pytest.FixtureRequest) -> Iterator[Corner]:
    binary = next(b for b in binaries() if b.name == request.param)
    with Server(binary=binary) as server:
        yield Corner(server)


def said(error: BaseException) -> str:
    """Return all that a user reads."""
    return " ".join([str(error), *getattr(error, "__notes__", [])]).lower()


TIERS = {"reader": (READER, READS), "writer": (WRITER, READS | WRITES)}


@pytest.mark.parametrize("tier", TIERS)
def test_documented_user_can_do_every_verb_and_needs_every_right(corner: Corner, tier: str) -> None:
    rule, verbs = TIERS[tier]
    d = RedisJSONDict(corner.user(*rule), corner.prefix)
    corner.root.execute_command("ACL", "LOG", "RESET")
    used = set()
    for call in verbs.values():
        corner.root.script_flush()
        corner.restore()
        corner.used()
        call(d)
        used |= corner.used()

    assert used - {"client|setinfo", "json.mget"} == set(rule)
    refused = {entry[b"object"] for entry in corner.root.execute_command("ACL", "LOG")}
    assert refused <= {b"client|setinfo", b"json.mget"}  # what is tried, and not needed


@pytest.mark.parametrize("command", WRITER)
def test_missing_right_is_named_with_the_key(
    corner: Corner, command: str, figures: dict[str, str]
) -> None:
    """Every verb that uses the command: it works, or nothing was changed and the error says why."""
    less = corner.user(*(c for c in WRITER if c != command))
    d, told = RedisJSONDict(less, corner.prefix), 0
    for name, call in (READS | WRITES).items():
        if command not in corner.uses[name]:
            continue
        if command == "eval":
            corner.root.script_flush()
        corner.restore()
        try:
            call(d)
        except (redis.ResponseError, PipelineError) as error:
            told += 1
            if command not in said(error) or corner.prefix not in said(error):
                raise AssertionError(f"{name}: not named in {said(error)}") from error
            if corner.truth.to_python() != BASE and "operations were applied" not in said(error):
                raise AssertionError(f"{name}: half-written, {said(error)}") from error

    assert told or command == "json.strlen"  # what is shown needs it, and raises nothing
    corner.told += told
    figures[
        f"{corner.name}: verbs refused for want of a right, half-written outside of batches"
    ] = f"{corner.told}, 0"


@pytest.mark.parametrize("name", WRITES)
def test_reader_changes_nothing(corner: Corner, name: str) -> None:
    corner.restore()
    before = {key: corner.root.pttl(corner.prefix + key) for key in BASE}
    with pytest.raises((redis.ResponseError, PipelineError)) as caught:
        WRITES[name](RedisJSONDict(corner.reader, corner.prefix))

    assert corner.prefix in said(caught.value)
    assert corner.truth.to_python() == BASE
    assert {key: corner.root.pttl(corner.prefix + key) for key in BASE} == before


OUTSIDE = [
    ("JSON.GET", "{out}"),
    ("JSON.MGET", "{in}", "{out}", "$"),
    ("JSON.SET", "{out}", "$", "1"),
    ("JSON.MSET", "{in}", "$", "1", "{out}", "$", "1"),
    ("JSON.DEL", "{out}"),
    ("RENAME", "{in}", "{out}"),
    ("RENAME", "{out}", "{in}"),
    ("TYPE", "{out}"),
    ("EVAL", "return 1", "1", "{out}"),
    ("EVAL", "return redis.call('JSON.GET', ARGV[1])", "0", "{out}"),
    ("EVAL", "return redis.call('JSON.MGET', ARGV[1], ARGV[2], '$')", "0", "{in}", "{out}"),
    ("EVAL", "return redis.call('JSON.SET', ARGV[1], '$', '1')", "0", "{out}"),
    ("EVAL", "return redis.call('RENAME', ARGV[1], ARGV[2])", "0", "{in}", "{out}"),
    ("EVAL", "return redis.call('GET', ARGV[1])", "0", "{text}"),
    ("GET", "{text}"),
    ("SET", "{in}", "1"),
    ("DEL", "{in}"),
    ("KEYS", "*"),
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("CONFIG", "GET", "*"),
    ("ACL", "LIST"),
    ("ACL", "WHOAMI"),
    ("INFO",),
    ("DEBUG", "JMAP"),
    ("MONITOR",),
    ("CLIENT", "LIST"),
    ("SCRIPT", "FLUSH"),
    ("FUNCTION", "LIST"),
    ("MODULE", "LIST"),
    ("PUBLISH", "{in}", "x"),
    ("SUBSCRIBE", "{in}"),
    ("SHUTDOWN", "NOSAVE"),
    ("SWAPDB", "0", "1"),
    ("SELECT", "1"),
    ("MIGRATE", "127.0.0.1", "1", "{out}", "0", "1"),
    ("JSON.DEBUG", "MEMORY", "{in}"),
]


@pytest.mark.parametrize("command", OUTSIDE, ids=lambda c: " ".join(c))
def test_documented_user_can_do_nothing_else(corner: Corner, command: tuple[str, ...]) -> None:
    corner.restore()
    corner.root.execute_command("JSON.SET", "secret", "$", '"hidden"')
    corner.root.set("text", "hidden")
    names = {"in": f"{corner.prefix}other", "out": "secret", "text": "text"}
    filled = [word.format_map(names) for word in command]
    with pytest.raises(redis.ResponseError) as caught:
        corner.writer.execute_command(*filled)

    assert "hidden" not in said(caught.value)
    assert corner.root.execute_command("JSON.GET", "secret") == b'"hidden"'
    assert corner.truth.to_python() == BASE


def test_another_prefix_is_closed(corner: Corner) -> None:
    corner.root.execute_command("JSON.SET", "secret:doc", "$", '{"n":1}')
    d = RedisJSONDict(corner.writer, "secret:")
    for call in (d.to_python, lambda: d["doc"], lambda: d.pop("doc"), lambda: "doc" in d):
        with pytest.raises(redis.exceptions.NoPermissionError) as caught:
            call()
        assert "secret:doc" in said(caught.value)


def test_scan_shows_names_but_no_content(corner: Corner) -> None:
    """As docs/security.md says."""
    corner.root.execute_command("JSON.SET", "secret:doc", "$", '{"n":1}')

    assert b"secret:doc" in set(corner.reader.scan_iter())
    assert list(RedisJSONDict(corner.reader, "secret:")) == ["doc"]


def test_prefix_with_glob_characters_when_there_is_nothing(corner: Corner) -> None:
    """Whether the server knows JSON is asked about a key that the user may ask for."""
    prefix = f"{corner.prefix}a[b]*:"
    user = corner.user(*WRITER, keys=f"{corner.prefix}a\\[b\\]\\*:")
    d = RedisJSONDict(user, prefix)

    assert list(d) == []
    d["x"] = [1]
    assert d.to_python() == {"x": [1]}
    d.clear()


def test_right_to_transactions_withdrawn_later(corner: Corner) -> None:
    """Known only when it is too late: then the error says what was applied."""
    corner.restore()
    user = corner.user(*WRITER)
    d = RedisJSONDict(user, corner.prefix)
    batch()(d)
    name = user.get_connection_kwargs()["username"]
    corner.root.execute_command("ACL", "SETUSER", name, "-multi")
    with pytest.raises(PipelineError) as caught, d.pipeline() as b:
        b["doc", "n"] = 6
        wrong = b.toggle("other")
        right = b.incr("other")

    assert "multi" in said(caught.value)
    assert corner.prefix in said(caught.value)
    assert "2 of the batch's 3 operations were applied, one by one" in said(caught.value)
    assert (corner.truth["doc", "n"], right.result()) == (6, 9)
    with pytest.raises(TypeError):
        wrong.result()


def test_batch_of_an_unnamed_user_tries_nothing_first(corner: Corner) -> None:
    corner.restore()
    with (
        Relay(corner.server.url) as relay,
        redis.Redis(host=relay.host, port=relay.port) as client,
    ):
        client.ping()
        before = relay.traffic.requests
        with RedisJSONDict(client, corner.prefix).pipeline() as b:
            b["doc", "n"] = 5

        assert relay.traffic.requests - before == 3  # MULTI, JSON.SET, EXEC


def test_connection_needs_what_it_is_asked_for(corner: Corner) -> None:
    """A database, a name, a health check: the rights for them are no part of the rule."""
    corner.restore()
    for right, option in (("select", {"db": 1}), ("client|setname", {"client_name": "x"})):
        user = corner.user(*READER, **option, retry=None)
        with pytest.raises((redis.ConnectionError, redis.ResponseError)):
            RedisJSONDict(user, corner.prefix)["other"]
        user = corner.user(*READER, right, **option)
        assert RedisJSONDict(user, corner.prefix).get("none") is None


@pytest.mark.parametrize("protocol", [2, 3])
def test_documented_user_with_asyncio(corner: Corner, protocol: int) -> None:
    corner.restore()
    name = corner.writer.get_connection_kwargs()["username"]

    async def main() -> None:
        client = redis.asyncio.Redis.from_url(
            corner.server.url, username=name, password="pw", protocol=protocol
        )
        async with client:
            d = AsyncRedisJSONDict(client, corner.prefix)
            await d["doc"]["l"].append(UNSPELLABLE)
            await d["doc"]["l"].sort()
            async with d.pipeline() as b:
                b["doc", "n"] = 5
                b["doc"]["l"].append(1)
            assert [key async for key in d] in (["doc", "other"], ["other", "doc"])
            assert (await d.to_python())["doc"]["n"] == 5
            await d.clear()

    asyncio.run(main())
    assert corner.truth.to_python() == {}


@pytest.mark.parametrize("lacking", ["json.arrtrim", "scan", "multi"])
def test_missing_right_with_asyncio(corner: Corner, lacking: str) -> None:
    corner.restore()
    user = corner.user(*(c for c in WRITER if c != lacking))
    name = user.get_connection_kwargs()["username"]

    async def main() -> None:
        client = redis.asyncio.Redis.from_url(corner.server.url, username=name, password="pw")
        async with client:
            d = AsyncRedisJSONDict(client, corner.prefix)
            if lacking == "multi":
                async with d.pipeline() as b:
                    b["doc", "n"] = 5
            elif lacking == "scan":
                await d.clear()
            else:
                await d["doc"]["l"].trim(0, 1)

    with pytest.raises((redis.ResponseError, PipelineError)) as caught:
        asyncio.run(main())
    assert lacking in said(caught.value)
    assert corner.prefix in said(caught.value)
    assert corner.truth.to_python() == BASE


def test_scripts_call_only_what_is_documented() -> None:
    """Every call names its command, so that the rule can be read off the sources."""
    for place in files("redisjson_dict.scripts").iterdir():
        if place.name.endswith(".lua"):
            text = place.read_text(encoding="utf-8")
            calls = re.findall(r"redis\.p?call\(\s*(.[A-Za-z.]*)", text)

            more = {"get", "pexpiretime"} if place.name == "state.lua" else set()  # migration's
            more |= {"info"} if place.name == "_mortal.lua" else set()  # asked if the user may
            assert {call[1:].lower() for call in calls} <= {*WRITER, *more}, place.name
            assert all(call[0] == "'" for call in calls), place.name
            if "no-writes" in text:
                one = script(place.name.removesuffix(".lua"))
                reads = {*READER, *more}
                assert {command.lower() for command in one.commands} <= reads, place.name


def test_tiers_are_what_the_page_says() -> None:
    assert set(READER) < set(WRITER)
    assert all(
        block.split()[3:7] == ["reset", "on", ">secret", "resetchannels"] for block in BLOCKS[:2]
    )
    assert all("~lab:*" in block and "@" not in block for block in BLOCKS[:2])


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    if not binaries():
        pytest.skip("no server program with JSON on this machine")
    with LocalCluster(3) as cluster:
        yield cluster


def allow(cluster: LocalCluster, *rights: str) -> dict[str, Any]:
    """Make a user on every node; return how to log in."""
    name = f"u{uuid.uuid4().hex[:8]}"
    for node in cluster.nodes:
        rule = ["reset", "on", ">pw", "resetchannels", "~lab:*", *(f"+{r}" for r in rights)]
        node.run("ACL", "SETUSER", name, *rule)
    return {"username": name, "password": "pw"}


@pytest.mark.parametrize("tier", TIERS)
def test_documented_user_of_a_cluster(cluster: LocalCluster, tier: str) -> None:
    rule, verbs = TIERS[tier]
    truth = RedisJSONDict(cluster.client(), "lab:")
    d = RedisJSONDict(cluster.client(**allow(cluster, *rule, *CLUSTER)), "lab:")
    for name, call in verbs.items():
        if name in ("batch", "rename!"):  # of keys in several slots
            continue
        truth.clear()
        truth.update(BASE)
        call(d)
    if tier == "writer":
        with d.pipeline() as b:
            b["doc", "n"] = 5
            b["doc"]["t"] = "y"


def test_documented_user_of_a_cluster_while_a_slot_moves(cluster: LocalCluster) -> None:
    login = allow(cluster, *WRITER, *CLUSTER)
    d = RedisJSONDict(cluster.client(**login), "lab:")
    d["moved"] = [1]
    with cluster.moving(cluster.client().keyslot("lab:moved")) as moving:
        moving.move("lab:moved")
        d.at("moved").append(2)
        with d.pipeline() as b:
            b["moved"].append(3)
    d.at("moved").append(4)

    assert d.pop("moved") == [1, 2, 3, 4]


def test_documented_user_of_a_cluster_with_asyncio(cluster: LocalCluster) -> None:
    login = allow(cluster, *WRITER, *CLUSTER)

    async def main() -> None:
        port = cluster.primaries()[0].port
        async with redis.asyncio.RedisCluster(host=HOST, port=port, **login) as client:
            d = AsyncRedisJSONDict(client, "lab:")
            await d.set("a", [1])
            await d["a"].append(2)
            async with d.pipeline() as b:
                b["a"].append(3)
            assert await d.pop("a") == [1, 2, 3]

    asyncio.run(main())


@pytest.mark.parametrize("right", ["cluster|slots", "command", "asking"])
def test_each_right_for_a_cluster_is_needed(cluster: LocalCluster, right: str) -> None:
    login = allow(cluster, *WRITER, *(c for c in CLUSTER if c != right))
    slot = cluster.client().keyslot("lab:moved")
    with cluster.moving(slot), pytest.raises((redis.RedisError, ClusterError)) as caught:
        d = RedisJSONDict(cluster.client(**login), "lab:")
        with contextlib.suppress(KeyError):
            del d["moved"]

    words = "cluster mode is not enabled" if right == "cluster|slots" else right
    assert words in said(caught.value)
