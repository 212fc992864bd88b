"""A server that refuses: nothing is changed, nothing hangs, and the error says so."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
from keyspace import empty
from relay import Relay
from states import STATES, pressable, refusing

from redisjson_dict import PipelineError, RedisJSONDict
from redisjson_dict.asyncio import RedisJSONDict as AsyncRedisJSONDict
from redisjson_dict.server import Server, binaries

BEFORE = {
    "doc": {"a": [3, 1, {"x": 1}], "n": 1, "b": True, "t": "text", "o": {"k": 1}, "w\\": [2]},
    "other": [1],
}
WRITES: dict[str, Callable[[RedisJSONDict], Any]] = {
    "d[k] =": lambda d: d.__setitem__("new", 1),
    "d[k] = again": lambda d: d.__setitem__("doc", 1),
    "o[k] =": lambda d: d.__setitem__(("doc", "new"), 1),
    "o[k] = repaired": lambda d: d.__setitem__(("doc", "new"), 0.23217612806301458),
    "a[i] =": lambda d: d.__setitem__(("doc", "a", 0), 1),
    "a[-1] =": lambda d: d.__setitem__(("doc", "a", -1), 1),
    "a[i:j] =": lambda d: d["doc", "a"].__setitem__(slice(1, 2), [4, 5]),
    "a[i:j:k] =": lambda d: d["doc", "a"].__setitem__(slice(0, 3, 2), [10**9, 5]),
    "append": lambda d: d["doc", "a"].append(1),
    "append bounded": lambda d: d["doc", "a"].append(1, maxlen=3),
    "extend": lambda d: d.at("doc", "a").extend([1, 2]),
    "insert": lambda d: d.at("doc", "a").insert(0, 1),
    "modify": lambda d: d.at("doc", "a").modify(lambda value: [*value, 1]),
    "below an unwritable name": lambda d: d["doc", "w\\"].append(1),
    "setdefault": lambda d: d["doc"].setdefault("new", 1),
    "o.update": lambda d: d["doc"].update(x=1, y=2),
    "merge": lambda d: d["doc"].merge({"n": 5, "x": [1]}),
    "replace": lambda d: d["doc"].replace({"x": 1}),
    "incr": lambda d: d["doc"].incr("n"),
    "toggle": lambda d: d["doc"].toggle("b"),
    "concat": lambda d: d["doc"].concat("t", "more"),
    "update": lambda d: d.update(x=1, doc=2),
    "d.setdefault": lambda d: d.setdefault("new", 1),
    "d.incr": lambda d: d.incr("new"),
}
SHRINKS: dict[str, Callable[[RedisJSONDict], Any]] = {
    "del d[k]": lambda d: d.__delitem__("doc"),
    "del o[k]": lambda d: d.__delitem__(("doc", "n")),
    "del a[i:j]": lambda d: d["doc", "a"].__delitem__(slice(0, 2)),
    "del a[i:j:k]": lambda d: d["doc", "a"].__delitem__(slice(0, 3, 2)),
    "pop": lambda d: d["doc", "a"].pop(),
    "pop member": lambda d: d["doc"].pop("n"),
    "remove": lambda d: d["doc", "a"].remove(3),
    "reverse": lambda d: d["doc", "a"].reverse(),
    "trim": lambda d: d["doc", "a"].trim(1, 2),
    "popitem": lambda d: d["doc", "o"].popitem(),
    "clear": lambda d: d["doc"].clear(),
    "d.pop": lambda d: d.pop("doc"),
    "d.popitem": lambda d: d.popitem(),
    "d.clear": lambda d: d.clear(),
    "rename": lambda d: d.rename("doc", "new"),
    "expire": lambda d: d.expire("doc", 100),
    "persist": lambda d: d.persist("doc"),
}
READS: dict[str, Callable[[RedisJSONDict], Any]] = {
    "d[k]": lambda d: d["doc"],
    "in": lambda d: "doc" in d,
    "len": lambda d: len(d),
    "to_python": lambda d: d.to_python(),
    "o.to_python": lambda d: d.at("doc").to_python(),
    "a[i:j]": lambda d: d.at("doc", "a").get_slice(slice(0, 2)),
    "index": lambda d: d.at("doc", "a").index(3),
    "count": lambda d: d.at("doc", "a").count(3),
    "get_many": lambda d: d.get_many(["doc", ("doc", "n")]),
    "query": lambda d: d.at("doc").query("$.n"),
    "ttl": lambda d: d.ttl("doc"),
}
AWAITED: dict[str, Callable[[AsyncRedisJSONDict], Any]] = {
    "set": lambda d: d.set("new", 1),
    "set below": lambda d: d["doc", "new"].set(1),
    "append": lambda d: d["doc", "a"].append(1),
    "modify": lambda d: d["doc", "a"].modify(lambda value: [*value, 1]),
    "incr": lambda d: d["doc"].incr("n"),
    "update": lambda d: d.update({"x": 1, "doc": 2}),
}
REFUSED = [name for name in STATES if name != "BUSY"]


@pytest.fixture(scope="module", params=[b.name for b in binaries()][-2:])
def pressed_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    binary = next(b for b in binaries() if b.name == request.param)
    with pressable(binary) as server:
        yield server


class Scene:
    """A server, a dict behind a relay that counts, and another program's view of the data."""

    def __init__(self, server: Server, relay: Relay, client: redis.Redis) -> None:
        self.server = server
        self.relay = relay
        self.d = RedisJSONDict(client, "p:")
        self.plain = server.client()
        self.reset()

    def dump(self) -> dict[bytes, tuple[bytes, int]]:
        """Return every key's text and time to live, past the library."""
        return {
            key: (self.plain.execute_command("JSON.GET", key), self.plain.pttl(key))
            for key in self.plain.scan_iter()
        }

    def warm(self, work: Callable[[RedisJSONDict], Any]) -> None:
        """Do it once where the server takes it, so that its scripts are known there."""
        self.reset()
        work(self.d)
        self.reset()

    def reset(self) -> None:
        empty(self.plain)
        self.d.update(BEFORE)
        self.before = self.dump()


@pytest.fixture
def scene(pressed_server: Server) -> Iterator[Scene]:
    with Relay(pressed_server.url) as relay, redis.Redis.from_url(relay.url) as client:
        yield Scene(pressed_server, relay, client)


def told(error: BaseException) -> str:
    return " ".join([str(error), *getattr(error, "__notes__", ())])


def check_refusal(error: BaseException, state: Any, name: str) -> None:
    assert isinstance(error, state.error), (name, error)
    assert state.words in str(error), (name, error)
    assert "nothing was changed" in told(error), (name, told(error))
    assert "p:" in told(error), (name, told(error))  # the Redis key
    if name not in ("d.popitem", "d.clear", "len", "to_python"):  # or of SCAN, the pattern
        assert "at $" in told(error), (name, told(error))


@pytest.mark.parametrize("state", STATES)
def test_refused_write_changed_nothing_and_says_so(scene, state):
    verbs = WRITES if state == "out of memory" else WRITES | SHRINKS
    for work in verbs.values():
        scene.warm(work)

    found = {}
    with refusing(scene.plain, state) as kind:
        for name, work in verbs.items():
            earlier = scene.relay.traffic
            with pytest.raises(redis.RedisError) as caught:
                work(scene.d)
            check_refusal(caught.value, kind, name)
            found[name] = (scene.relay.traffic - earlier).requests
    assert scene.dump() == scene.before
    assert max(found.values()) <= 3, found  # what it reads first, and what is refused
    for work in verbs.values():  # and it works again
        scene.warm(work)


def test_what_cannot_grow_works_out_of_memory(scene):
    for name, work in SHRINKS.items():
        scene.warm(work)
        with refusing(scene.plain, "out of memory"):
            work(scene.d)
        assert name == "persist" or scene.dump() != scene.before, name


@pytest.mark.parametrize("state", STATES)
def test_read_is_answered_or_refused_with_its_place(scene, state):
    wanted = {name: work(scene.d) for name, work in READS.items()}

    with refusing(scene.plain, state) as kind:
        for name, work in READS.items():
            earlier = scene.relay.traffic
            if kind.reads:
                assert work(scene.d) == wanted[name]
                continue
            with pytest.raises(redis.RedisError) as caught:
                work(scene.d)
            check_refusal(caught.value, kind, name)
            assert (scene.relay.traffic - earlier).requests == 1, name
    assert {name: work(scene.d) for name, work in READS.items()} == wanted


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize("state", STATES)
def test_refused_batch_says_what_was_applied(scene, state, atomic):
    with (
        refusing(scene.plain, state) as kind,
        pytest.raises(PipelineError) as caught,
        scene.d.pipeline(atomic=atomic) as batch,
    ):
        batch["doc"]["a"].append(1)
        popped = batch["doc"].pop("n")
        scene.d["new"] = 1
    shrunk = state == "out of memory" and not atomic

    said = str(caught.value)
    assert "JSON.ARRAPPEND at document 'doc' at $['a']" in said
    assert caught.value.location == "document 'doc' at $['a']"
    applied = f"{int(shrunk)} of the batch's 3 operations were applied"
    assert ("nothing was applied" if atomic else applied) in said
    assert isinstance(caught.value.__cause__, kind.error)
    if shrunk:
        assert popped.result() == 1
        assert scene.d == {**BEFORE, "doc": {k: v for k, v in BEFORE["doc"].items() if k != "n"}}
    else:
        assert scene.dump() == scene.before
    with scene.d.pipeline() as batch:
        batch["doc"]["a"].append(1)
    assert scene.d["doc", "a", -1] == 1


@pytest.mark.parametrize("state", STATES)
def test_asyncio_verb_refused_changed_nothing_and_says_so(scene, state):
    async def main() -> None:
        async with redis.asyncio.Redis.from_url(scene.server.url) as client:
            d = AsyncRedisJSONDict(client, "p:")
            with refusing(scene.plain, state) as kind:
                for name, work in AWAITED.items():
                    with pytest.raises(redis.RedisError) as caught:
                        await work(d)
                    check_refusal(caught.value, kind, name)
                if not kind.reads:
                    with pytest.raises(redis.RedisError) as caught:
                        await d.to_python()
                    check_refusal(caught.value, kind, "to_python")
                with pytest.raises(PipelineError, match="nothing was applied: put at"):
                    async with d.pipeline():
                        await d.set("new", 1)
            assert scene.dump() == scene.before
            await d["doc", "a"].append(1)

    asyncio.run(main())


def test_clear_that_is_refused_midway_says_so(scene):
    """A dict of 2,500 documents is cleared in three steps; what the first removed is gone."""
    scene.d.update({f"k{number}": number for number in range(2500)})
    steps = 0

    class Stop(RedisJSONDict):
        def _pages(self) -> Iterator[Any]:
            nonlocal steps
            for page in super()._pages():
                if steps == 1:
                    scene.plain.config_set("min-replicas-to-write", "1")
                steps += 1
                yield page

    d = Stop(scene.d._run.client, "p:")
    try:
        with pytest.raises(redis.ResponseError, match="NOREPLICAS") as caught:
            d.clear()
    finally:
        scene.plain.config_set("min-replicas-to-write", "0")

    assert "nothing was changed by it" in told(caught.value)
    removed = 2502 - len(d)
    assert 0 < removed < 2502
    assert f"clear had removed {removed} documents before" in told(caught.value)
    d.clear()
    assert len(d) == 0


def test_verb_waits_for_a_short_script_of_another_client(scene):
    """A script below the threshold makes others wait, not fail."""
    scene.plain.config_set("busy-reply-threshold", "5000")
    began = time.monotonic()
    with contextlib.suppress(redis.ResponseError):
        scene.plain.eval("local n = 0 for i = 1, 1000000 do n = n + i end return n", 0)
    scene.d["doc", "n"] = 2
    scene.plain.config_set("busy-reply-threshold", "10")

    assert scene.d["doc", "n"] == 2
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("state", ["MISCONF", "replica"])
def test_nothing_hangs_and_the_same_dict_recovers_many_times(scene, state, effort):
    taken = 0
    for _ in range(effort.pick(5, 200)):
        with refusing(scene.plain, state), pytest.raises(redis.ResponseError):
            scene.d["doc", "a"].append(taken)
        scene.d["doc", "a"].append(taken)
        taken += 1

    assert scene.d["doc", "a"].to_python() == [*BEFORE["doc"]["a"], *range(taken)]
