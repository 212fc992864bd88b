"""What the server says, in every shape that it comes in."""

import pytest
import redis

from redisjson_dict.errors import NotADocumentError, StaleLocationError, ValueRangeError
from redisjson_dict.location import Location, Settings
from redisjson_dict.replies import (
    Refusal,
    absent,
    as_text,
    failure,
    has_json,
    is_ok,
    only,
    refusal,
    text_of,
)

DOCUMENT = Location("run", b"lab:run", Settings())
HELD = DOCUMENT.descend(("a", "b")).hold()
REFERENCE = DOCUMENT.descend(("a", "b")).refer()


@pytest.mark.parametrize("reply", [b"ReJSON-RL", "ReJSON-RL"])
def test_as_text_of_bytes_and_text(reply):
    assert as_text(reply) == "ReJSON-RL"


def test_as_text_survives_what_is_no_utf8():
    assert as_text(b"a\xff") == "a\ufffd"


@pytest.mark.parametrize(
    ("reply", "ok"),
    [(b"OK", True), ("OK", True), (True, True), (None, False), (False, False), (b"", False)],
)
def test_is_ok(reply, ok):
    assert is_ok(reply) is ok


@pytest.mark.parametrize("reply", [b"[1]", "[1]", [1]])
def test_only_takes_every_shape(reply):
    assert only(reply) == 1


@pytest.mark.parametrize(
    ("reply", "value"),
    [(b"[null]", None), ([None], None), (b"[[]]", []), ([[]], []), (b"[false]", False), ([0], 0)],
)
def test_only_keeps_what_is_false(reply, value):
    found = only(reply)

    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("reply", [None, b"[]", "[]", []])
def test_only_misses_nothing_found(reply):
    with pytest.raises(LookupError):
        only(reply)


@pytest.mark.parametrize("reply", ['"é"', '"é"'.encode()])
def test_text_of_is_bytes(reply):
    assert text_of(reply) == '"é"'.encode()


@pytest.mark.parametrize("reply", [[b"?", -1], [b"?", 0, b"object"], [b"!", b"string"], [b">"]])
def test_refusal_is_recognised(reply):
    assert refusal(reply)


@pytest.mark.parametrize(
    "reply", [None, 1, b"?", b"!", [], [1], [b"+"], [b"~", b"?"], ["?", "a"], [b"object"], [None]]
)
def test_no_refusal(reply):
    assert not refusal(reply)


@pytest.mark.parametrize(
    ("reply", "there"),
    [
        ([b"modules", [[b"name", b"ReJSON", b"ver", 20803]]], True),
        ({b"modules": [{b"name": b"ReJSON", b"ver": 20803}]}, True),
        ({"modules": [{"name": "ReJSON"}]}, True),
        ([b"modules", [[b"name", b"search"], [b"name", b"ReJSON"]]], True),
        ([b"server", b"redis", b"modules", []], False),
        ({b"modules": [{b"name": b"search"}]}, False),
        (None, False),
    ],
)
def test_has_json(reply, there):
    assert has_json(reply) is there


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("decode_responses", [False, True])
def test_has_json_of_a_server(url, protocol, decode_responses):
    options = {"protocol": protocol, "decode_responses": decode_responses}
    with redis.Redis.from_url(url, **options) as client:
        assert has_json(client.execute_command("HELLO"))


def key_error(key):
    return KeyError, (key,)


@pytest.mark.parametrize(
    ("at", "reply", "error"),
    [
        (DOCUMENT, [b"?", -1], key_error("run")),
        (DOCUMENT.child("a"), [b"?", -1], key_error(("run", "a"))),
        (DOCUMENT.child("a"), [b"?", 0, b"object"], key_error(("run", "a"))),
        (DOCUMENT.child("a"), [b"?", 0, b"string"], key_error(("run", "a"))),
        (DOCUMENT.descend(("a", -1)), [b"?", 1, b"array"], key_error(("run", "a", -1))),
        (HELD.child("c"), [b"?", 0, b"object"], key_error("c")),
        (HELD.descend(("c", 0)), [b"?", 0, b"object"], key_error(("c", 0))),
        (HELD.descend(("c", 0)), [b"?", 1, b"string"], key_error(("c", 0))),
        (REFERENCE, [b"?", -1], key_error(("run", "a", "b"))),
        (REFERENCE, [b"?", 1, b"object"], key_error(("run", "a", "b"))),
        (REFERENCE, [b"?", 1, b"integer"], key_error(("run", "a", "b"))),
        (REFERENCE.child("c"), [b"?", 1, b"object"], key_error(("run", "a", "b"))),
        (REFERENCE.child("c"), [b"?", 2, b"object"], key_error("c")),
    ],
)
def test_what_is_absent_is_a_key_error(at, reply, error):
    found = failure(at, reply)

    assert (type(found), found.args) == error


@pytest.mark.parametrize("index", [0, 7, -1])
def test_absent_index_is_an_index_error(index):
    found = failure(HELD.child(index), [b"?", 0, b"array"])

    assert type(found) is IndexError
    assert str(index) in str(found)


@pytest.mark.parametrize(
    ("at", "reply"),
    [
        (HELD, [b"?", -1]),
        (HELD.child("c"), [b"?", -1]),
        (HELD.child(0), [b"?", -1]),
        (HELD.descend(("c", "d")), [b"?", -1]),
    ],
)
def test_held_place_that_is_gone_is_stale(at, reply):
    found = failure(at, reply)

    assert type(found) is StaleLocationError
    assert "document 'run' at $['a']['b'], is gone" in str(found)
    assert found.location == "document 'run' at $['a']['b']"


@pytest.mark.parametrize(
    ("at", "kind", "wants", "words"),
    [
        (HELD, "array", "object", "holds an array, not an object"),
        (HELD, "integer", "array", "holds an integer, not an array"),
        (HELD, "string", "container", "holds text, not an object or an array"),
        (HELD.child("c"), "array", "", "holds an array, not an object"),
        (HELD.child(0), "null", "", "holds null, not an array"),
    ],
)
def test_held_place_of_another_kind_is_stale(at, kind, wants, words):
    found = absent(at, 2, kind, wants)

    assert type(found) is StaleLocationError
    assert words in str(found)


@pytest.mark.parametrize(
    ("at", "depth", "kind", "wants", "words"),
    [
        (REFERENCE, 2, "string", "array", "at $['a']['b'] is text, not an array"),
        (REFERENCE.child("c"), 2, "array", "", "at $['a']['b'] is an array, not an object"),
        (DOCUMENT, 0, "array", "object", "document 'run' at $ is an array, not an object"),
        (DOCUMENT.child("a"), 1, "string", "boolean", "at $['a'] is text, not a boolean"),
        (HELD.child("c"), 3, "object", "number", "at $['a']['b']['c'] is an object, not a number"),
    ],
)
def test_wrong_kind_is_a_type_error(at, depth, kind, wants, words):
    found = absent(at, depth, kind, wants)

    assert type(found) is TypeError
    assert words in str(found)


@pytest.mark.parametrize("kind", [b"string", b"hash", b"zset", "list"])
def test_foreign_key_is_not_a_document(kind):
    found = failure(DOCUMENT, [b"!", kind, b"lab:run", b"words"])

    assert type(found) is NotADocumentError
    assert f"'lab:run' holds a {as_text(kind)}" in str(found)


@pytest.mark.parametrize("kind", [b"none", b"ReJSON-RL"])
def test_silent_refusal_carries_the_words(kind):
    found = failure(DOCUMENT, [b"!", kind, b"lab:run", b"words"])

    assert type(found) is Refusal
    assert found.words == "words"


def test_undecodable_reply_is_a_range_error():
    with pytest.raises(ValueRangeError):
        only(b"[1")


KINDS = {"object": {}, "array": [], "string": "", "integer": 0, "number": 0.5, "boolean": True}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("below", ["c", 0])
def test_server_explains_a_held_place(d, kind, below):
    d["a"] = {"b": {"c": 1} if below == "c" else [1]}
    held = d["a", "b"]
    d["a", "b"] = KINDS[kind]
    wanted = "object" if below == "c" else "array"
    expected = StaleLocationError if kind != wanted else KeyError if below == "c" else IndexError

    with pytest.raises(expected):
        held[below]


@pytest.mark.parametrize("make", [lambda c, k: c.set(k, 1), lambda c, k: c.hset(k, "a", 1)])
def test_server_names_a_foreign_key(d, client, prefix, make):
    make(client, f"{prefix}foreign")

    for act in (
        lambda: d["foreign"],
        lambda: d["foreign", "a"],
        lambda: d.__setitem__("foreign", 1),
        lambda: d.__delitem__("foreign"),
        lambda: d.pop("foreign"),
        lambda: d.setdefault("foreign", 1),
        lambda: d.incr("foreign"),
        lambda: d.update(foreign=1),
        lambda: d.rename("foreign", "other"),
        lambda: d.at("foreign", "a").append(1),
    ):
        with pytest.raises(NotADocumentError):
            act()


def test_replies_after_client_json(d, client):
    client.json()
    d["a"] = {"b": [1, 1.5, None, "x"], "c": {}}
    d["a"]["d"] = "new"

    assert d["a"].to_python() == {"b": [1, 1.5, None, "x"], "c": {}, "d": "new"}
    assert d["a", "b"][-1] == "x"
    assert d.to_python() == {"a": d["a"].to_python()}
    assert d["a"].incr("e", 2) == 2
    assert d.pop("a")["e"] == 2
