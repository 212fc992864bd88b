"""What a user with fewer rights meets: a script is never stopped half-way."""

import uuid

import pytest
import redis

from redisjson_dict import RedisJSONDict, StaleLocationError, ValueRangeError


def test_reference_of_the_dict_is_no_deeper_than_documents(d):
    with pytest.raises(ValueRangeError):
        d.at("x", *["a"] * 128)


# User rights: a script must not be stopped half-way; every refusal inside one names the key.

HARD = 0.9270736078350111  # no spelling carries it: JSON.SET, then JSON.NUMINCRBY in one script
CALLS = {
    "assign": lambda u: u.__setitem__("doc", HARD),
    "update": lambda u: u.update(doc=HARD, n=[HARD]),
    "setdefault": lambda u: u.setdefault("new", HARD),
    "set": lambda u: u.__setitem__(("doc", "n"), HARD),
    "update members": lambda u: u["doc"].update(n=HARD, m=1),
    "setdefault member": lambda u: u["doc"].setdefault("q", HARD),
    "merge": lambda u: u["doc"].merge({"n": HARD}),
    "extend": lambda u: u["doc", "l"].extend([HARD, 1]),
    "insert": lambda u: u["doc", "l"].insert(0, HARD),
    "replace": lambda u: u["doc", "l"].replace([HARD]),
    "modify": lambda u: u["doc", "l"].modify(lambda v: [HARD]),
}


@pytest.fixture
def limited(client, prefix, url):
    users = []

    def allow(*refused):
        name = f"u{uuid.uuid4().hex[:8]}"
        rules = ("on", ">pw", "~*", "&*", "+@all", *(f"-{c}" for c in refused))
        client.execute_command("ACL", "SETUSER", name, *rules)
        users.append((name, redis.Redis.from_url(url, username=name, password="pw")))
        return RedisJSONDict(users[-1][1], prefix)

    yield allow
    for name, user in users:
        user.close()
        client.execute_command("ACL", "DELUSER", name)


@pytest.mark.parametrize("verb", CALLS.values(), ids=CALLS)
def test_float_to_repair_without_the_right_to_repair_is_not_stored(d, limited, verb):
    d["doc"] = {"l": [1, 2], "n": 1}
    with pytest.raises(redis.ResponseError, match="(?i)numincrby|can't run this command"):
        verb(limited("json.numincrby"))
    assert d == {"doc": {"l": [1, 2], "n": 1}}


def test_bounded_append_without_repair_needs_no_right_to_repair(d, limited):
    d["l"] = [1, 2]
    limited("json.numincrby")["l"].append(3, maxlen=9)
    assert d["l"] == [1, 2, 3]


@pytest.mark.parametrize(
    ("command", "verb"),
    [
        ("json.mset", lambda u: u.update(doc=1)),
        ("persist", lambda u: u.__setitem__("doc", 1)),
        ("json.arrtrim", lambda u: u["doc"].append(1, maxlen=2)),
        ("json.arrinsert", lambda u: u["doc"].insert(0, 1)),
    ],
)
def test_refusal_inside_a_script_names_the_key(d, prefix, limited, command, verb):
    d["doc"] = [1]
    with pytest.raises(redis.ResponseError) as caught:
        verb(limited(command))
    assert prefix + "doc" in " ".join([str(caught.value), *getattr(caught.value, "__notes__", [])])


def test_stale_proxy_of_another_kind_is_not_taken_for_its_place(d):
    d["x"] = [[1], [2]]
    last = d["x"][-1]
    d["x", 1] = {"k": 1}
    with pytest.raises(StaleLocationError):
        d["x"][-1] = last
