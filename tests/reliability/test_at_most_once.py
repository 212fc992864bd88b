"""Whatever byte a connection breaks at: a verb was applied once or not at all, and it is told."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis
from both_ways import LOST, WAYS, Blocking, Subject, notes
from clusters import LocalCluster, free_ports, until
from redis.backoff import ConstantBackoff
from relay import Fault, Relay
from test_retries import load_scripts, marker

from redisjson_dict import RedisJSONDict
from redisjson_dict.exchange import slot_of
from redisjson_dict.server import Server

START: dict[str, Any] = {"l": [3, 1, 2], "n": 1, "f": True, "t": "x", "o": {"a": 1, "b": 2}}


class Case(NamedTuple):
    """A verb: what its request contains, how to call it, its result, and what it leaves."""

    what: str
    call: Callable[[Subject], Any]
    result: Any
    after: dict[str, Any]


def changed(**members: Any) -> dict[str, Any]:
    return START | members


def fill(batch: Any) -> None:
    batch["doc"]["l"].append(9)
    batch["doc"]["n"].set(2)
    batch["doc"]["l"].append(8)


def below(*path: Any) -> Callable[[Subject], Any]:
    return lambda s: s.d.at("doc", *path)


EVERY_BYTE = {
    "append": Case(
        "JSON.ARRAPPEND",
        lambda s: s.run(s.d.at("doc", "l").append(9)),
        None,
        changed(l=[3, 1, 2, 9]),
    ),
    "compare-and-set": Case(
        "compare_and_set",
        lambda s: s.run(s.d.at("doc", "n").modify(lambda n: n + 9)),
        10,
        changed(n=10),
    ),
    "batch": Case("MULTI", lambda s: s.batch(fill), None, changed(l=[3, 1, 2, 9, 8], n=2)),
}


def case(what: str, verb: Callable[[Any], Any], result: Any, **members: Any) -> Case:
    """Return a verb on the reference to the document."""
    return Case(what, lambda s: s.run(verb(s.d.at("doc"))), result, changed(**members))


FEW_BYTES = {
    "append maxlen": case("append", lambda r: r["l"].append(9, 3), None, l=[1, 2, 9]),
    "extend": case("JSON.ARRAPPEND", lambda r: r["l"].extend([8, 9]), None, l=[3, 1, 2, 8, 9]),
    "insert": case("splice", lambda r: r["l"].insert(1, 9), None, l=[3, 9, 1, 2]),
    "pop": case("JSON.ARRPOP", lambda r: r["l"].pop(), 2, l=[3, 1]),
    "pop first": case("JSON.ARRPOP", lambda r: r["l"].pop(0), 3, l=[1, 2]),
    "remove": case("remove", lambda r: r["l"].remove(1), None, l=[3, 2]),
    "trim": case("trim", lambda r: r["l"].trim(0, 2), None, l=[3, 1]),
    "sort": case("compare_and_shrink", lambda r: r["l"].sort(), None, l=[1, 2, 3]),
    "reverse": case("compare_and_shrink", lambda r: r["l"].reverse(), None, l=[2, 1, 3]),
    "delete": case("delete", lambda r: r["l"][0].delete(), None, l=[1, 2]),
    "popitem": case("popitem", lambda r: r["o"].popitem(), ("b", 2), o={"a": 1}),
    "incr": case("incr", lambda r: r.incr("n"), 2, n=2),
    "toggle": case("JSON.TOGGLE", lambda r: r.toggle("f"), False, f=False),
    "concat": case("JSON.STRAPPEND", lambda r: r.concat("t", "y"), None, t="xy"),
    "setdefault": case("setdefault", lambda r: r.setdefault("new", 5), 5, new=5),
    "unwritable": case("compare_and_set", lambda r: r["a\\b"].set(1), None, **{"a\\b": 1}),
}


@pytest.fixture
def truth(d: RedisJSONDict, client: redis.Redis) -> RedisJSONDict:
    """The same documents, seen past the relay."""
    load_scripts(client)
    d["doc"], d["other"] = START, 0
    return d


class Tally:
    """What became of the verbs; checks each against the truth."""

    def __init__(self, subject: Subject, truth: RedisJSONDict) -> None:
        self.subject, self.truth = subject, truth
        self.counts = {"returned": 0, "unknown": 0, "nothing": 0}
        self.others = int(truth["other"])

    def check(
        self, case: Case, losing: AbstractContextManager[Fault] | None = None, *, clean: bool = True
    ) -> str:
        """Call a verb under a fault and check all that is promised; return what became of it."""
        self.truth["doc"] = START
        with losing or nullcontext() as fault:
            outcome = self._call(case)
        if fault is not None and fault.hits and outcome == "returned":
            fault.ended.wait(0.05)  # or the next verb may be lost, too
        self.counts[outcome] += 1
        left = self.truth["doc"].to_python()
        allowed = {"returned": [case.after], "nothing": [START], "unknown": [START, case.after]}
        assert left in allowed[outcome], outcome
        self.others += 1
        assert self.subject.run(self.subject.d.incr("other")) == self.others
        assert self.truth["doc"].to_python() == left
        assert not clean or self.subject.borrowed() == 0
        return outcome

    def _call(self, case: Case) -> str:
        try:
            result = case.call(self.subject)
        except LOST as error:
            told = notes(error)
            assert ("outcome unknown" in told) != ("nothing was" in told or "read" in told), told
            return "unknown" if "outcome unknown" in told else "nothing"
        assert result == case.result
        return "returned"


def traffic_of(relay: Relay, tally: Tally, case: Case) -> tuple[int, int]:
    """Return how many bytes a verb sends and gets."""
    tally.check(case)
    tally.truth["doc"] = START
    before = relay.traffic
    case.call(tally.subject)
    spent = relay.traffic - before
    return spent.up, spent.down


CLIENTS: dict[str, dict[str, Any]] = {
    "default": {},
    "retries": {"retries": 5},
    "single": {"retries": 3, "single_connection_client": True},
    "forever": {"retries": -1, "protocol": 2},
    "watched": {"retries": 2, "health_check_interval": 1},
}


FULL = os.environ.get("RELIABILITY") == "full"


@pytest.mark.parametrize("options", CLIENTS if FULL else ["default", "retries", "single"])
@pytest.mark.parametrize("verb", EVERY_BYTE)
@pytest.mark.parametrize("way", WAYS)
def test_cut_at_every_byte(
    relay: Relay, truth: Any, prefix: str, way: str, verb: str, options: str, effort: Any, figures
) -> None:
    case = EVERY_BYTE[verb]
    stride = effort.pick(19, 1) if options in ("default", "retries") else effort.pick(67, 3)
    with WAYS[way](relay.url, prefix, **CLIENTS[options]) as subject:
        tally = Tally(subject, truth)
        up, down = traffic_of(relay, tally, case)
        for after in {*range(0, up + 1, stride), up - 1, up}:
            tally.check(case, relay.losing(marker(case.what), "cut", after=after))
        requests = dict(tally.counts)
        for after in {*range(0, down + 1, effort.pick(9, 1)), 1, down - 1, down}:
            tally.check(case, relay.losing(marker(case.what), "reply", after=after))

    assert requests["unknown"] >= up // stride // 4
    assert tally.counts["unknown"] > requests["unknown"]
    name = f"{verb} cut at every {stride}. byte, {way}, {options}"
    figures[name] = ", ".join(f"{count} {what}" for what, count in tally.counts.items())


@pytest.mark.parametrize("verb", FEW_BYTES)
@pytest.mark.parametrize("way", WAYS)
def test_cut_at_a_few_bytes(
    relay: Relay, truth: Any, prefix: str, way: str, verb: str, effort: Any
) -> None:
    case = FEW_BYTES[verb]
    with WAYS[way](relay.url, prefix, retries=3) as subject:
        tally = Tally(subject, truth)
        up, down = traffic_of(relay, tally, case)
        for after in (0, up // 3, up - 1, *effort.pick((), range(1, up, 7))):
            tally.check(case, relay.losing(marker(case.what), "cut", after=after))
        for after in (0, down - 1, down, *effort.pick((), range(1, down, 2))):
            tally.check(case, relay.losing(marker(case.what), "reply", after=after))

    assert tally.counts["unknown"] >= 2


@pytest.mark.parametrize("way", WAYS)
def test_cut_in_a_batch_without_transaction(
    relay: Relay, truth: Any, prefix: str, way: str, effort: Any
) -> None:
    """Parts of it may have been applied, none of them twice."""
    with WAYS[way](relay.url, prefix, retries=3) as subject:
        for mode in ("cut", "reply"):
            for after in range(0, 400, effort.pick(79, 5)):
                truth["doc"] = START
                with relay.losing(b"JSON.ARRAPPEND", mode, after=after):
                    told = call_of(
                        subject, Case("", lambda s: s.batch(fill, atomic=False), None, {})
                    )
                assert told == "returned" or "outcome unknown" in told
                left = truth["doc"].to_python()
                assert left["l"] in ([3, 1, 2], [3, 1, 2, 9], [3, 1, 2, 9, 8])
                assert left["n"] in (1, 2)
                assert subject.run(subject.d.at("doc", "n").get()) == left["n"]


# How many bytes of each request may be let through: not all, or the handshake may yet succeed.
HANDSHAKE = {b"HELLO": 40, b"SETINFO": 40, b"SELECT": 23, b"AUTH": 40}


@pytest.fixture(scope="module")
def locked() -> Iterator[str]:
    """The URL of a server that wants a password, and of a database that is not the first."""
    with Server(port=0) as server:
        admin = server.client()
        load_scripts(admin)
        admin.config_set("requirepass", "s3cret-of-nobody")
        yield server.url.replace("redis://", "redis://:s3cret-of-nobody@") + "/1"


@pytest.mark.parametrize("retries", [0, 3])
@pytest.mark.parametrize("step", HANDSHAKE)
@pytest.mark.parametrize("way", WAYS)
def test_cut_during_the_handshake(
    locked: str, way: str, step: bytes, retries: int, effort: Any
) -> None:
    """Nothing was sent, and with retries the verb is done."""
    options = {"protocol": 2} if step in (b"AUTH", b"SELECT") else {}
    outcomes = set()
    with Relay(locked) as relay, redis.Redis.from_url(locked) as admin:
        truth = RedisJSONDict(admin, "t:")
        truth["doc"], truth["other"] = START, 0
        for mode, up_to in (("cut", HANDSHAKE[step]), ("reply", 5)):  # "+OK" is through with five
            for after in effort.pick((0, 4), range(up_to)):
                with WAYS[way](relay.url, "t:", retries=retries, **options) as subject:
                    tally = Tally(subject, truth)
                    losing = relay.losing(step, mode, after=after)
                    outcomes.add(tally.check(EVERY_BYTE["append"], losing))

    assert "unknown" not in outcomes
    if retries:
        assert outcomes == {"returned"}
    else:
        assert "nothing" in outcomes or step == b"SETINFO"


@pytest.mark.parametrize("retries", [0, 2])
@pytest.mark.parametrize("way", WAYS)
def test_health_check_that_breaks(relay: Relay, truth: Any, prefix: str, way: str, retries: int):
    options = {"retries": retries, "health_check_interval": 1, "socket_timeout": 0.2}
    with WAYS[way](relay.url, prefix, **options) as subject:
        tally = Tally(subject, truth)
        for mode, name in (("cut", "append"), ("reply", "batch"), ("swallow", "compare-and-set")):
            connection = only_connection(subject)
            connection.next_health_check = -1.0  # due
            with relay.losing(b"\r\nPING\r\n", mode) as fault:
                outcome = tally.check(EVERY_BYTE[name])
            assert fault.hits == 1
            assert outcome == ("returned" if retries else "nothing")


def only_connection(subject: Subject) -> Any:
    subject.run(lambda: subject.d.incr("warm"))
    (connection,) = subject.client.connection_pool._available_connections
    return connection


@pytest.mark.parametrize("way", WAYS)
def test_killed_by_another_client_between_verbs(
    url: str, truth: Any, client: redis.Redis, prefix: str, way: str
):
    with WAYS[way](url, prefix, retries=2) as subject:
        tally = Tally(subject, truth)
        for verb in EVERY_BYTE.values():
            number = subject.run(lambda: subject.client.client_id())
            client.client_kill_filter(_id=str(number))
            assert tally.check(verb) == "returned"


@pytest.mark.parametrize("way", WAYS)
def test_killed_by_another_client_all_the_time(
    url: str, truth: Any, client: redis.Redis, prefix: str, way: str, effort: Any, figures: Any
):
    """Every append that returned is there once, no other one twice."""
    truth["l"] = []
    stop = threading.Event()
    done: list[int] = []
    unknown: list[int] = []

    def kill_all() -> None:
        while not stop.is_set():
            client.client_kill_filter(_type="normal", skipme=True)
            time.sleep(0.005)

    killer = threading.Thread(target=kill_all)
    with WAYS[way](url, prefix, retries=20) as subject:
        killer.start()
        for number in range(effort.pick(100, 3_000)):
            try:
                subject.run(lambda n=number: subject.d.at("l").append(n))
                done.append(number)
            except LOST as error:
                if "outcome unknown" in notes(error):
                    unknown.append(number)
        stop.set()
        killer.join()
        assert subject.borrowed() == 0
    stored = until("the truth connects again", lambda: truth["l"].to_python())

    assert len(stored) == len(set(stored))
    assert set(done) <= set(stored) <= set(done) | set(unknown)
    figures[f"CLIENT KILL, {way}: appended, unknown"] = f"{len(done)}, {len(unknown)}"


@pytest.mark.parametrize("retries", [0, 100])
@pytest.mark.parametrize("way", WAYS)
def test_server_that_is_loading(way: str, retries: int, tmp_path: Path):
    """It refuses everything: nothing was changed, and what the client retries is done later."""
    (port,) = free_ports(1)
    slow = {"key_load_delay": "300", "loading_process_events_interval_bytes": "1024"}
    with Server(tmp_path, port=port, appendfsync="always") as server:
        truth = RedisJSONDict(server.client(), "t:")
        truth.update({f"filling {n}": ["x" * 100] * 4 for n in range(1_000)})
        truth["doc"], truth["other"] = START, 0
        server.client().bgrewriteaof()  # only a snapshot is loaded slowly
        until("rewritten", lambda: list((tmp_path / "appendonlydir").glob("*.2.base.rdb")))
    options = {"retries": retries, "backoff": ConstantBackoff(0.05)}
    with ExitStack() as stack:
        subject = stack.enter_context(WAYS[way](f"redis://127.0.0.1:{port}", "t:", **options))
        started: list[Server] = []
        starting = threading.Thread(
            target=lambda: started.append(Server(tmp_path, port=port, **slow))
        )
        starting.start()
        try:
            told = refused_while_loading(subject)
            outcomes = [call_of(subject, case) for case in EVERY_BYTE.values()]
        finally:
            starting.join()
            stack.callback(started[0].close)
        left = RedisJSONDict(started[0].client(), "t:")["doc"].to_python()

    assert "LOADING" in told
    if retries:
        assert outcomes == ["returned"] * 3
        assert left == changed(l=[3, 1, 2, 9, 9, 8], n=2)
    else:
        assert [o for o in outcomes if "nothing" not in o] == []
        assert left == START


def refused_while_loading(subject: Subject) -> str:
    """Return the server's words, as soon as it refuses."""
    port = subject.client.connection_pool.connection_kwargs["port"]
    with redis.Redis(port=port, retry=None) as asking:

        def refused() -> str:
            try:
                asking.execute_command("JSON.TYPE", "t:doc")
            except redis.exceptions.BusyLoadingError as error:
                return f"LOADING: {error}"
            return ""

        return str(until("the server is loading", refused))


def call_of(subject: Subject, case: Case) -> str:
    try:
        case.call(subject)
    except LOST as error:
        return f"{error} {notes(error)}"
    return "returned"


@pytest.mark.parametrize("way", WAYS)
def test_errors_that_the_client_retries_are_not_applied_twice(
    relay: Relay, truth: Any, prefix: str, way: str
):
    options: dict[str, Any] = {"retry_on_error": [redis.ResponseError, redis.ConnectionError]}
    with WAYS[way](relay.url, prefix, retries=4, **options) as subject:
        tally = Tally(subject, truth)
        for case in EVERY_BYTE.values():
            with relay.losing(marker(case.what), "close", times=99) as fault:
                assert tally.check(case) == "unknown"
            assert fault.hits == 1


@pytest.mark.parametrize("way", WAYS)
def test_idempotent_write_tells_what_is_known(relay: Relay, truth: Any, prefix: str, way: str):
    with WAYS[way](relay.url, prefix, retries=2) as subject:
        with relay.losing(marker("JSON.SET"), "close", times=99), pytest.raises(LOST) as caught:
            subject.run(lambda: subject.d.at("doc", "n").set(5))
        with relay.losing(marker("put_many"), "close", times=99), pytest.raises(LOST) as assigned:
            subject.run(lambda: subject.d.update(other=7))
        with relay.losing(b"JSON.GET", "close", times=99), pytest.raises(LOST) as read:
            subject.run(lambda: subject.d.at("doc").to_python())

    assert "safe to do the same again" in notes(caught.value)
    assert "outcome unknown" in notes(caught.value)
    assert "outcome unknown" in notes(assigned.value) or truth["other"] == 7
    assert "changed nothing" in notes(read.value)


# On a cluster: each node behind a relay of its own.


@pytest.fixture(scope="module")
def lab() -> Iterator[tuple[LocalCluster, dict[int, Relay]]]:
    with LocalCluster(2) as cluster, ExitStack() as stack:
        relays = {node.port: stack.enter_context(Relay(node.server.url)) for node in cluster.nodes}
        for node in cluster.nodes:
            load_scripts(node.client)
        yield cluster, relays


@pytest.mark.parametrize("verb", [*EVERY_BYTE, *(FEW_BYTES if FULL else ["incr"])])
@pytest.mark.parametrize("way", WAYS)
def test_cut_on_a_cluster(lab: Any, way: str, verb: str, effort: Any) -> None:
    cluster, relays = lab
    case = (EVERY_BYTE | FEW_BYTES)[verb]

    def remap(address: tuple[str, int]) -> tuple[str, int]:
        return address[0], relays[address[1]].port if address[1] in relays else address[1]

    urls = [relay.url for relay in relays.values()]
    truth = RedisJSONDict(cluster.client(), f"{way} {verb} {{tag}}")
    truth["doc"], truth["other"] = START, 0
    slot = slot_of(cluster.client())
    assert slot is not None
    relay = relays[cluster.owner(slot(b"{tag}")).port]
    with WAYS[way](urls, f"{way} {verb} {{tag}}", address_remap=remap) as subject:
        # redis-py sends a first command anywhere, and does not remap where MOVED points to.
        subject.run(lambda: subject.d.incr("warm"))
        tally = Tally(subject, truth)
        for mode, until_byte in (("cut", 150), ("reply", 12)):
            for after in effort.pick((0, 4, until_byte - 7), range(0, until_byte, 5)):
                tally.check(case, relay.losing(marker(case.what), mode, after=after), clean=False)

    assert tally.counts["unknown"] >= 3, (tally.counts, [r.traffic for r in relays.values()])


def test_the_checks_notice_a_verb_applied_twice(truth: Any, url: str, prefix: str):
    """What the tests above stand on."""
    twice = Case(
        "JSON.ARRAPPEND",
        lambda s: s.d.at("doc", "l").append(9) or s.d.at("doc", "l").append(9),
        None,
        EVERY_BYTE["append"].after,
    )
    with Blocking(url, prefix) as subject, pytest.raises(AssertionError):
        Tally(subject, truth).check(twice)
