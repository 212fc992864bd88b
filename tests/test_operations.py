"""Operations as values: what exactly is sent, and what recorded replies mean."""

import hashlib
import random

import pytest
from redis.exceptions import ResponseError

from redisjson_dict.codec import encode
from redisjson_dict.errors import (
    ConflictError,
    StaleLocationError,
    UnsupportedValueError,
    ValueRangeError,
)
from redisjson_dict.location import Location, Settings
from redisjson_dict.operations import (
    MISSING,
    UNDONE,
    Container,
    Flow,
    Operation,
    Pause,
    arrays,
    documents,
    encode_at,
    encode_element,
    objects,
    or_else,
    scalars,
    values,
)
from redisjson_dict.refusals import explain, failed
from redisjson_dict.replies import OtherKind, Refusal
from redisjson_dict.scripts import script

FAR = 2**53
KEY, OTHER = b"lab:run", b"lab:other"
DOCUMENT = Location("run", KEY, Settings())
HELD = DOCUMENT.descend(("a", 0)).hold()
CHILD = HELD.child("x")
LAST = HELD.child(-1)
BELOW_LAST = LAST.child("x")
REFERENCE = DOCUMENT.descend(("a", -1)).refer()
ESCAPED = HELD.child("b\\")
SPACED = HELD.child(" b")
HARD = next(x for x in iter(random.Random(21).random, None) if encode(x).repairs)
REPAIR = encode(HARD).repairs[0]
INCREMENT, WANTED = REPAIR.increment, REPAIR.wanted
TEXT = encode(HARD).text

PATHS = {
    "held": (HELD, b"$.a[0]", (), b"$.a[0]"),
    "child": (CHILD, b"$.a[0]", (b".x",), b"$.a[0].x"),
    "last": (LAST, b"$.a[0]", (b"-1",), b"$.a[0][-1:]"),
    "reference": (REFERENCE, b"$", (b".a", b"-1"), b"$.a[-1:]"),
    "document": (DOCUMENT, b"$", (), b"$"),
}


def evalsha(name, base, tail, *arguments):
    return ("EVALSHA", script(name).sha, b"1", KEY, base, b"%d" % len(tail), *tail, *arguments)


SCRIPTED = [
    (values.fetch, (), "peek", ()),
    (values.kind, (), "kind", ()),
    (values.contains, (), "kind", ()),
    (values.replace, ({"k": [1]}, "object"), "replace", ("object", b'{"k":[1]}')),
    (values.replace, (HARD,), "replace", ("", TEXT, b"", INCREMENT, WANTED)),
    (values.pop, (), "pop", ()),
    (values.length, (), "length", ("",)),
    (values.length, ("object",), "length", ("object",)),
    (objects.names, (), "names", ()),
    (objects.members, (1000,), "members", (1000,)),
    (objects.update, ({"k": 1, "l": [2]},), "update", (2, b".k", b"1", b".l", b"[2]")),
    (
        objects.update,
        ({"k": [HARD]},),
        "update",
        (1, b".k", b"[" + TEXT + b"]", b".k[0]", INCREMENT, WANTED),
    ),
    (objects.setdefault, ([],), "setdefault", (b"[]",)),
    (objects.popitem, (), "popitem", ()),
    (objects.clear, ("object",), "clear", ("object",)),
    (objects.merge, ({"k": None},), "merge", (b'{"k":null}',)),
    (arrays.append, (HARD,), "append", (TEXT, b"", b"", INCREMENT, WANTED)),
    (arrays.append_bounded, ("v", 3), "append", (b'"v"', 3)),
    (arrays.append_bounded, ("v", 2**80), "append", (b'"v"', FAR)),
    (arrays.extend, ((),), "splice", (FAR, FAR, 0)),
    (arrays.insert, (-2, None), "splice", (-2, -2, 1, b"null")),
    (arrays.insert, (2**80, HARD), "splice", (FAR, FAR, 1, TEXT, 0, b"", INCREMENT, WANTED)),
    (arrays.insert, (1, {"k": HARD}), "splice", None),
    (arrays.set_slice, (1, 3, [[HARD]]), "splice", None),
    (arrays.get_slice, (slice(None),), "slice", ("", "", "")),
    (arrays.get_slice, (slice(-3, 2**80, -2),), "slice", (-3, FAR, -2)),
    (arrays.assign_slice, (slice(None), [1]), "splice", (0, FAR, 1, b"1")),
    (arrays.delete_slice, (slice(2, -1),), "cut", (2, -1)),
    (arrays.delete_slice, (slice(None, None, 1),), "cut", (0, FAR)),
    (arrays.trim, (-5, 2**80), "trim", (-5, FAR)),
    (arrays.elements, (1000, 1000), "elements", (1000, 1000)),
    (arrays.index, ("v",), "index", (0, FAR, b'"v"')),
    (arrays.index, (1, -3, 7), "index", (-3, 7, b"1", b"1.0", b"true")),
    (arrays.index, (0.0,), "index", (0, FAR, b"0", b"0.0", b"false")),
    (arrays.index, (2,), "index", (0, FAR, b"2", b"2.0")),
    (arrays.index, (2.5,), "index", (0, FAR, b"2.5")),
    (arrays.index, (2**53 + 1,), "index", (0, FAR, b"9007199254740993")),
    (arrays.holds, (None,), "index", (0, FAR, b"null")),
    (arrays.remove, (True,), "remove", (b"1", b"1.0", b"true")),
    (scalars.incr, (), "incr", (b"1", b"1", b"")),
    (scalars.incr, (-2, 7), "incr", (b"-2", b"5", b"")),
    (scalars.incr, (0.5, 1), "incr", (b"0.5", b"1.5", b"")),
    (scalars.incr, (HARD,), "incr", (b"", TEXT, b"", b"", INCREMENT, WANTED)),
]


@pytest.mark.parametrize("place", PATHS)
@pytest.mark.parametrize(("verb", "given", "name", "sent"), SCRIPTED)
def test_script_command(place, verb, given, name, sent):
    at, base, tail, _ = PATHS[place]
    if verb is values.pop and tail[-1:] == (b"-1",):
        pytest.skip("a command does it")
    operation = verb(at, *given)
    if sent is None:
        text = encode(given[-1]).text if verb is arrays.insert else b"[" + TEXT + b"]"
        start, stop = (1, 1) if verb is arrays.insert else (1, 3)
        below = b".k" if verb is arrays.insert else b"[0]"
        sent = (start, stop, 1, text, 0, below, INCREMENT, WANTED)

    assert operation.command == evalsha(name, base, tail, *sent)
    assert operation.script is script(name)
    assert operation.at is at


PLAIN = [
    (values.read, (), ("JSON.GET",), ()),
    (values.read, ("array",), ("JSON.GET",), ()),
    (values.length, ("array",), ("JSON.ARRLEN",), ()),
    (arrays.append, ({"v": 1},), ("JSON.ARRAPPEND",), (b'{"v":1}',)),
]


@pytest.mark.parametrize("place", PATHS)
@pytest.mark.parametrize(("verb", "given", "name", "sent"), PLAIN)
def test_plain_command(place, verb, given, name, sent):
    at, _, _, path = PATHS[place]
    operation = verb(at, *given)

    assert operation.command == (*name, KEY, path, *sent)
    assert operation.script is None


@pytest.mark.parametrize("place", ["held", "child"])
def test_assign_is_one_json_set(place):
    at, _, _, path = PATHS[place]

    assert values.assign(at, [1]).command == ("JSON.SET", KEY, path, b"[1]")


@pytest.mark.parametrize("place", ["held", "child", "last", "reference"])
@pytest.mark.parametrize(
    ("verb", "given", "command", "sent"),
    [
        (arrays.append, (1,), "JSON.ARRAPPEND", (b"1",)),
        (arrays.extend, ([1, "v"],), "JSON.ARRAPPEND", (b"1", b'"v"')),
        (arrays.insert, (0, [1]), "JSON.ARRINSERT", (0, b"[1]")),
        (arrays.insert, (2**80, 1), "JSON.ARRAPPEND", (b"1",)),
        (arrays.set_slice, (0, 0, [1, 2]), "JSON.ARRINSERT", (0, b"1", b"2")),
        (scalars.toggle, (), "JSON.TOGGLE", ()),
        (scalars.concat, ('"é',), "JSON.STRAPPEND", ('"\\"é"'.encode(),)),
    ],
)
def test_one_command_says_it(place, verb, given, command, sent):
    at, _, _, path = PATHS[place]

    assert verb(at, *given).command == (command, KEY, path, *sent)


@pytest.mark.parametrize("index", [0, -1])
def test_ends_of_an_array_are_popped_by_a_command(index):
    command = values.pop(CHILD.child(index)).command

    assert command == ("JSON.ARRPOP", KEY, b"$.a[0].x", index)


@pytest.mark.parametrize("place", ["last", "reference"])
def test_assign_counted_from_the_end(place):
    at, base, tail, _ = PATHS[place]

    assert values.assign(at, [1]).command == evalsha("store", base, tail, b"[1]")


def test_assign_with_a_repair():
    sent = (b"[" + TEXT + b"]", b"[0]", INCREMENT, WANTED)
    command = values.assign(CHILD, [HARD]).command

    assert command == evalsha("store", b"$.a[0]", (b".x",), *sent)


def test_get_many_sends_paths_below():
    operation = values.get_many(HELD, {"k": ("k",), ("l", 0): ("l", 0)})

    below = (1, b".k", 2, b".l", b"[0]")
    assert operation.command == evalsha("get_many", b"$.a[0]", (), "", *below)


def test_get_many_says_which_kind_it_wants():
    command = values.get_many(LAST, {-1: (-1,)}, "array").command

    assert command == evalsha("get_many", b"$.a[0]", (b"-1",), "array", 1, b"-1")


def test_query_sends_what_follows_the_dollar():
    command = values.query(HELD, b"..b").command

    assert command[:7] == evalsha("query", b"$.a[0]", (), "")
    assert b"..b" in command[7:]


TWO = [DOCUMENT, Location("other", OTHER, Settings())]


def on_keys(name, keys, *arguments):
    return ("EVALSHA", script(name).sha, b"%d" % len(keys), *keys, *arguments)


@pytest.mark.parametrize(
    ("operation", "command"),
    [
        (documents.contains(DOCUMENT), ("JSON.TYPE", KEY, b"$")),
        (documents.delete(DOCUMENT), ("JSON.DEL", KEY)),
        (documents.assign(DOCUMENT, {"k": 1}), on_keys("put", [KEY], b'{"k":1}', b"")),
        (
            documents.assign(DOCUMENT, HARD),
            on_keys("put", [KEY], TEXT, b"", b"", INCREMENT, WANTED),
        ),
        (
            documents.setdefault(DOCUMENT, []),
            on_keys("put_default", [KEY], b"$", 0, b"[]", b""),
        ),
        (documents.pop(DOCUMENT), on_keys("take", [KEY])),
        (documents.rename(*TWO), on_keys("rename", [KEY, OTHER])),
        (
            documents.update([KEY, OTHER], [1, []], lambda keys: TWO[: len(keys)]),
            on_keys("put_many", [KEY, OTHER], b"1", b"[]", b""),
        ),
        (
            documents.update([KEY, OTHER], [1, [HARD]], lambda keys: TWO[: len(keys)]),
            on_keys(
                "put_many",
                [KEY, OTHER],
                b"1",
                b"[" + TEXT + b"]",
                b"",
                *(1, b"[0]", INCREMENT, WANTED),
            ),
        ),
        (documents.drop_many(TWO), on_keys("drop_many", [KEY, OTHER])),
        (documents.fetch_many(TWO), on_keys("peek_many", [KEY, OTHER])),
        (documents.read_many(TWO), on_keys("read_many", [KEY, OTHER])),
        (documents.ttl(DOCUMENT), on_keys("ttl", [KEY])),
        (documents.expire(DOCUMENT, 1500), on_keys("lifetime", [KEY], b"PEXPIRE", 1500)),
        (documents.expireat(DOCUMENT, 99), on_keys("lifetime", [KEY], b"PEXPIREAT", 99)),
        (documents.persist(DOCUMENT), on_keys("lifetime", [KEY], b"PERSIST")),
    ],
)
def test_document_command(operation, command):
    assert operation.command == command


ONCE = [
    values.delete(CHILD),
    values.pop(CHILD),
    objects.setdefault(CHILD, 1),
    objects.popitem(HELD),
    arrays.append(HELD, 1),
    arrays.append(HELD, HARD),
    arrays.append_bounded(HELD, 1, 3),
    arrays.extend(HELD, [1]),
    arrays.insert(HELD, 0, 1),
    arrays.delete_slice(HELD, slice(0, 1)),
    arrays.trim(HELD, 1, 2),
    arrays.remove(HELD, 1),
    scalars.incr(CHILD),
    scalars.toggle(CHILD),
    scalars.concat(CHILD, "v"),
    documents.delete(DOCUMENT),
    documents.pop(DOCUMENT),
    documents.setdefault(DOCUMENT, 1),
    documents.rename(*TWO),
    documents.persist(DOCUMENT),
]
AGAIN = [
    values.fetch(CHILD),
    values.read(CHILD),
    values.kind(CHILD),
    values.contains(CHILD),
    values.length(HELD),
    values.length(HELD, "array"),
    values.assign(CHILD, 1),
    values.get_many(HELD, {"k": ("k",)}),
    objects.names(HELD),
    objects.members(HELD, 10),
    objects.update(HELD, {"k": 1}),
    objects.clear(HELD, "object"),
    arrays.get_slice(HELD, slice(0, 1)),
    arrays.elements(HELD, 0, 10),
    arrays.index(HELD, 1),
    documents.contains(DOCUMENT),
    documents.assign(DOCUMENT, 1),
    documents.update([KEY, OTHER], [1, 2], lambda keys: TWO[: len(keys)]),
    documents.fetch_many(TWO),
    documents.read_many(TWO),
    documents.ttl(DOCUMENT),
]


@pytest.mark.parametrize("operation", ONCE, ids=lambda o: o.script.name if o.script else "plain")
def test_never_sent_twice(operation):
    assert not operation.resend


@pytest.mark.parametrize("operation", AGAIN, ids=lambda o: o.script.name if o.script else "plain")
def test_may_be_sent_again(operation):
    assert operation.resend


def shown(result):
    """A result with its containers as their kinds and paths."""
    if isinstance(result, Container):
        assert result.at.held
        return result.kind, result.at.path
    if isinstance(result, (list, tuple)):
        return type(result)(map(shown, result))
    return {k: shown(v) for k, v in result.items()} if isinstance(result, dict) else result


BASE = b"$.a[0]"


@pytest.mark.parametrize(
    ("operation", "reply", "result"),
    [
        (values.fetch(CHILD), b"[1.0]", 1.0),
        (values.fetch(CHILD), b"[null]", None),
        (values.fetch(CHILD), b'["object"]', "object"),
        (values.fetch(CHILD), b"object", ("object", BASE + b".x")),
        (values.fetch(LAST), [b"array", 4], ("array", BASE + b"[4]")),
        (values.fetch(REFERENCE), [b"object", 2], ("object", b"$.a[2]")),
        (values.read(CHILD), b'[{"k":[1]}]', {"k": [1]}),
        (values.read(CHILD), [{"k": [1]}], {"k": [1]}),
        (values.kind(CHILD), b"integer", "integer"),
        (values.contains(CHILD), b"null", True),
        (values.contains(CHILD), [b"?", 0, b"object"], False),
        (values.assign(CHILD, 1), b"OK", None),
        (values.assign(CHILD, 1), True, None),
        (values.delete(CHILD), 1, None),
        (values.pop(CHILD), b"[[1,2]]", [1, 2]),
        (values.pop(HELD.child(0)), [b'{"k":1}'], {"k": 1}),
        (values.pop(HELD.child(-1)), [b"null"], None),
        (values.length(HELD), 0, 0),
        (values.length(HELD, "array"), [3], 3),
        (
            values.get_many(HELD, {"k": ("k",), "l": ("l",), ("m", 0): ("m", 0)}),
            [b"+", b"array", None, b"[null]"],
            {"k": ("array", BASE + b".k"), ("m", 0): None},
        ),
        (
            values.get_many(LAST, {-1: (-1,), 0: (0,), "k": ("k",)}),
            [b"+", [b"object", 4, 7], [b"[1]", 4], None],
            {-1: ("object", BASE + b"[4][7]"), 0: 1},
        ),
        (objects.names(HELD), b'["b","a"]', ["b", "a"]),
        (
            objects.members(HELD, 3),
            [b'["p","q","r","s"]', b"soa", b"[1]"],
            (
                ["p", "q", "r", "s"],
                [1, ("object", BASE + b".q"), ("array", BASE + b".r")],
            ),
        ),
        (objects.members(HELD, 2), [b"[]", b"", b"[]"], ([], [])),
        (
            objects.members(HELD, 2),
            [b'[" p","q"]', b"so", b'*[{" p":1,"q":{}}]'],
            ([" p", "q"], [1, ("object", BASE + b".q")]),
        ),
        (objects.setdefault(CHILD, [1]), b"", ("array", BASE + b".x")),
        (objects.setdefault(CHILD, 2), b"", 2),
        (objects.setdefault(CHILD, ""), b"", ""),
        (objects.setdefault(BELOW_LAST, {}), [b"", 6], ("object", BASE + b"[6].x")),
        (objects.setdefault(BELOW_LAST, 2), [b"", 6], 2),
        (objects.setdefault(BELOW_LAST, 2), [b"array", 6], ("array", BASE + b"[6].x")),
        (objects.setdefault(BELOW_LAST, 2), [b"[7]", 6], 7),
        (objects.setdefault(CHILD, 2), b"[7]", 7),
        (objects.setdefault(CHILD, 2), b"object", ("object", BASE + b".x")),
        (objects.popitem(HELD), [b'"k"', b"[[1]]"], ("k", [1])),
        (objects.popitem(HELD), [b">"], UNDONE),
        (arrays.append(HELD, 1), [3], None),
        (arrays.extend(HELD, [1]), [b">"], UNDONE),
        (arrays.get_slice(HELD, slice(1, 3)), b"[1,2]", [1, 2]),
        (arrays.get_slice(HELD, slice(3, 1, -1)), b"[1,2]", [2, 1]),
        (
            arrays.elements(HELD, 1000, 3),
            [b"soa", b'["v"]'],
            ["v", ("object", BASE + b"[1001]"), ("array", BASE + b"[1002]")],
        ),
        (arrays.elements(HELD, 0, 3), [b"", b"[]"], []),
        (arrays.index(HELD, 1), 4, 4),
        (arrays.holds(HELD, 1), 0, True),
        (arrays.holds(HELD, 1), -1, False),
        (arrays.remove(HELD, 1), 0, None),
        (scalars.incr(CHILD), b"[8]", 8),
        (scalars.incr(CHILD), b"[8.0]", 8.0),
        (scalars.incr(CHILD), [b">"], UNDONE),
        (scalars.toggle(CHILD), [0], False),
        (scalars.toggle(CHILD), [1], True),
        (documents.contains(DOCUMENT), [b"object"], True),
        (documents.contains(DOCUMENT), [[b"null"]], True),
        (documents.contains(DOCUMENT), ["object"], True),
        (documents.contains(DOCUMENT), None, False),
        (documents.contains(DOCUMENT), [None], False),
        (documents.delete(DOCUMENT), 1, None),
        (documents.pop(DOCUMENT), b"[{}]", {}),
        (documents.setdefault(DOCUMENT, {}), None, ("object", b"$")),
        (documents.setdefault(DOCUMENT, {}), b"[1]", 1),
        (documents.fetch_many(TWO), [b"+", b"[1]", b"array"], [1, ("array", b"$")]),
        (documents.fetch_many(TWO), [b"+", None, b"[null]"], [MISSING, None]),
        (documents.read_many(TWO), [b"[[1]]", None], [[1], MISSING]),
        (documents.read_many(TWO), [[{"k": 1}], [None]], [{"k": 1}, None]),
        (documents.ttl(DOCUMENT), 1500, 1.5),
        (documents.ttl(DOCUMENT), -1, None),
        (documents.persist(DOCUMENT), 1, True),
        (documents.persist(DOCUMENT), 0, False),
    ],
)
def test_reply_means(operation, reply, result):
    found = shown(operation.result(reply))

    assert (type(found), found) == (type(result), result)


@pytest.mark.parametrize(
    ("operation", "reply", "error"),
    [
        (values.fetch(CHILD), [b"?", 0, b"object"], KeyError),
        (values.fetch(LAST), [b"?", 0, b"array"], IndexError),
        (values.fetch(CHILD), [b"?", -1], StaleLocationError),
        (values.fetch(CHILD), [b"?", 0, b"array"], StaleLocationError),
        (values.contains(CHILD), [b"?", -1], StaleLocationError),
        (values.read(HELD, "object"), b"[[1]]", Refusal),
        (values.read(HELD, "array"), b'[{"k":1}]', Refusal),
        (values.read(HELD, "object"), b"[]", Refusal),
        (values.read(HELD, "object"), None, Refusal),
        (values.length(HELD, "array"), [], Refusal),
        (values.length(HELD, "array"), [None], Refusal),
        (values.assign(CHILD, 1), None, Refusal),
        (values.replace(HELD, {}, "object"), [b"?", 0, b"array"], StaleLocationError),
        (values.pop(CHILD), [b"?", 0, b"object"], KeyError),
        (objects.popitem(HELD), [], KeyError),
        (objects.popitem(HELD), [b"?", 0, b"array"], StaleLocationError),
        (arrays.append(HELD, 1), [], Refusal),
        (arrays.append(HELD, 1), [None], Refusal),
        (arrays.append(HELD, 1), None, Refusal),
        (arrays.index(HELD, 1), -1, ValueError),
        (arrays.remove(HELD, 1), -1, ValueError),
        (arrays.trim(REFERENCE, 0, 1), [b"?", 2, b"object"], TypeError),
        (scalars.toggle(CHILD), [b"?", 1, b"integer"], TypeError),
        (scalars.incr(CHILD), [b"?", 1, b"string"], TypeError),
        (documents.delete(DOCUMENT), 0, KeyError),
        (documents.pop(DOCUMENT), None, KeyError),
        (documents.rename(*TWO), 0, KeyError),
        (documents.assign(DOCUMENT, 1), [b"!", b"hash", KEY], TypeError),
        (documents.ttl(DOCUMENT), -2, KeyError),
        (documents.expire(DOCUMENT, 1), None, KeyError),
        (documents.persist(DOCUMENT), None, KeyError),
    ],
)
def test_refusal_means(operation, reply, error):
    with pytest.raises(error) as refused:
        operation.result(reply)

    assert refused.type is error or not issubclass(
        error, (KeyError, IndexError, StaleLocationError)
    )


def test_or_else_gives_the_default():
    operation = or_else(values.fetch(CHILD), "default")

    assert operation.result([b"?", 0, b"object"]) == "default"


@pytest.mark.parametrize("reply", [[b"?", -1], [b"?", 0, b"array"]])
def test_or_else_never_hides_staleness(reply):
    with pytest.raises(StaleLocationError):
        or_else(values.fetch(CHILD), "default").result(reply)


def test_with_source_is_the_same_call():
    operation = values.fetch(LAST)
    source = operation.with_source()

    assert source.command == ("EVAL", script("peek").source, *operation.command[2:])


def test_with_source_without_a_script():
    operation = values.read(CHILD)

    assert operation.with_source() is operation


@pytest.mark.parametrize("place", [ESCAPED, SPACED])
@pytest.mark.parametrize(
    "verb",
    [
        lambda at: values.assign(at, 1),
        lambda at: values.delete(at),
        lambda at: values.pop(at),
        lambda at: objects.setdefault(at, 1),
        lambda at: objects.clear(at, "object"),
        lambda at: objects.names(at),
        lambda at: objects.update(at, {"k": 1}),
        lambda at: arrays.append(at, 1),
        lambda at: arrays.trim(at, 0, 1),
        lambda at: scalars.incr(at),
        lambda at: scalars.toggle(at),
        lambda at: scalars.concat(at, "v"),
    ],
)
def test_unwritable_place_starts_with_its_anchor(place, verb):
    flow = verb(place)
    first = next(flow.start())

    assert isinstance(flow, Flow)
    assert first.command == evalsha("fetch", BASE, ())


@pytest.mark.parametrize("verb", [values.fetch, values.read, values.kind, values.contains])
def test_readable_place_is_read_by_path(verb):
    assert isinstance(verb(ESCAPED), Operation)
    assert isinstance(verb(SPACED), Flow)


def answers(flow, *replies):
    """What a flow yields when it is sent these answers, and what it returns."""
    steps, seen = flow.start(), []
    item = next(steps)
    for reply in replies:
        seen.append(item)
        try:
            item = steps.send(reply)
        except StopIteration as stop:
            return seen, stop.value
    raise AssertionError(f"still waiting: {item}")


def read(text):
    """What a fetch of the held array gives."""
    return text, HELD.steps


def swap(old, new, name="compare_and_shrink"):
    digest = hashlib.sha1(old).hexdigest()
    return evalsha(name, BASE, (), digest, new)


@pytest.mark.parametrize(
    ("at", "reply", "steps"),
    [
        (HELD, b"[[1]]", ("a", 0)),
        (LAST, [b"[[1]]", 3], ("a", 0, 3)),
        (REFERENCE, [b"[[1]]", 7], ("a", 7)),
    ],
)
def test_fetch_gives_the_text_and_where_it_was(at, reply, steps):
    first = next(arrays.reverse(at).start())

    assert first.result(reply) == (b"[[1]]", steps)


def test_revision_compares_and_sets():
    seen, result = answers(arrays.sort(HELD, None, False), read(b"[[3,1,2]]"), None)

    assert [item.command for item in seen] == [
        evalsha("fetch", BASE, ()),
        swap(b"[[3,1,2]]", b"[1,2,3]"),
    ]
    assert result is None


@pytest.mark.parametrize(
    ("new", "name"),
    [
        ([], "compare_and_shrink"),
        ([9], "compare_and_shrink"),
        ([10], "compare_and_set"),
        ([1, 1], "compare_and_set"),
    ],
)
def test_revision_shrinks_when_the_text_is_not_longer(new, name):
    seen, _ = answers(values.modify(HELD, lambda _: new, 1), read(b"[[1]]"), None)

    assert seen[1].command == swap(b"[[1]]", str(new).replace(" ", "").encode(), name)


def test_revision_starts_again_after_a_lost_race():
    flow = arrays.reverse(HELD)
    seen, _ = answers(flow, read(b"[[1,2]]"), b"[[1,2,3]]", 0.0, None)

    assert seen[1].command == swap(b"[[1,2]]", b"[2,1]")
    assert seen[2].attempt == 1
    assert seen[3].command == swap(b"[[1,2,3]]", b"[3,2,1]")


def test_revision_below_an_unwritable_name():
    seen, _ = answers(values.assign(SPACED, [1]), read(b'[{"k":1}]'), None)

    assert seen[1].command == swap(b'[{"k":1}]', b'{"k":1," b":[1]}', "compare_and_set")


def test_modify_gives_up_after_its_tries():
    steps = values.modify(HELD, lambda array: [*array, 1], 2).start()
    next(steps)
    steps.send(read(b"[[]]"))
    for elapsed in (0.1, 0.2):
        assert isinstance(steps.send(b"[[7]]"), Pause)
        if elapsed == 0.2:
            with pytest.raises(ConflictError, match="2 times"):
                steps.send(elapsed)
        else:
            steps.send(elapsed)


def test_verb_without_tries_has_a_deadline():
    steps = arrays.reverse(HELD).start()
    next(steps)
    steps.send(read(b"[[1]]"))
    assert isinstance(steps.send(b"[[2]]"), Pause)

    with pytest.raises(ConflictError):
        steps.send(31.0)


def test_pauses_stay_short():
    assert all(0 <= Pause(lost).longest() <= 0.05 for lost in range(1, 5_000))


@pytest.mark.parametrize(
    "verb",
    [
        lambda v: values.assign(CHILD, v),
        lambda v: values.replace(HELD, v),
        lambda v: documents.assign(DOCUMENT, v),
        lambda v: objects.setdefault(CHILD, v),
        lambda v: arrays.append(HELD, v),
        lambda v: documents.update([KEY, OTHER], [1, v], lambda keys: TWO[: len(keys)]),
    ],
)
@pytest.mark.parametrize(
    ("value", "error"),
    [([{1}], UnsupportedValueError), ([2**64], ValueRangeError), (["\ud800"], ValueRangeError)],
)
def test_refused_value_names_the_document(verb, value, error):
    with pytest.raises(error, match=r"at \[0\].*nothing was sent") as refused:
        verb(value)

    assert refused.value.location.startswith("document '")


def test_float_that_no_path_can_repair_is_refused():
    with pytest.raises(ValueRangeError, match="cannot be stored exactly"):
        values.assign(CHILD, {"b\\": HARD})


@pytest.mark.parametrize("maxlen", [-1, -(2**70)])
def test_append_wants_room(maxlen):
    with pytest.raises(ValueError, match="must be 0 or more"):
        arrays.append_bounded(HELD, 1, maxlen)


@pytest.mark.parametrize("amount", ["1", None, [1], True, 1j])
def test_incr_wants_a_number(amount):
    with pytest.raises(TypeError):
        scalars.incr(CHILD, amount)


def test_slice_step_of_zero_is_refused():
    with pytest.raises(ValueError, match="slice step cannot be zero"):
        arrays.get_slice(HELD, slice(None, None, 0))


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        2**70,
        -(2**64),
        [1],
        (),
        {},
        object(),
        {1},
        b"v",
        "\ud800",
        1e300,
    ],
)
def test_unlisted_equals_are_looked_for_here(value):
    found = arrays.index(HELD, value)

    assert isinstance(found, Flow)


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (values.pop(HELD.child(-1)), IndexError),
        (values.pop(HELD.refer().child(0)), IndexError),
        (scalars.toggle(HELD.child("k")), KeyError),
        (scalars.toggle(HELD), StaleLocationError),
        (arrays.append(HELD, 1), StaleLocationError),
        (arrays.append(HELD.refer(), 1), KeyError),
        (values.assign(HELD.child("k"), 1), StaleLocationError),
    ],
    ids=lambda x: x.command[0] if isinstance(x, Operation) else "",
)
def test_what_is_there_again_was_missing_then(operation, error):
    """Between a command that did nothing and the question why, another client put it back."""
    asking = explain(operation, Refusal())
    probe = next(asking)
    wanted = "object" if operation.command[0] == "JSON.SET" else operation.wants or "integer"
    with pytest.raises(StopIteration) as stop:
        asking.send(wanted)

    assert probe.script.name == "kind"
    assert type(stop.value.value) is error


@pytest.mark.parametrize(
    ("operation", "name", "sent"),
    [
        (scalars.toggle(CHILD), "toggle", ()),
        (scalars.concat(CHILD, "v"), "concat", (b'"v"',)),
        (arrays.extend(CHILD, [1]), "splice", (FAR, FAR, 1, b"1")),
        (arrays.insert(CHILD, 0, 1), "splice", (0, 0, 1, b"1")),
        (values.pop(CHILD.child(0)), "pop", ()),
        (or_else(values.pop(CHILD.child(-1)), 7), "pop", ()),
    ],
    ids=lambda x: x.command[0] if isinstance(x, Operation) else "",
)
def test_a_batch_takes_the_script(operation, name, sent):
    script_form = operation.in_batch()

    tail = script_form.at.tail
    assert script_form.command == evalsha(name, b"$.a[0]", tail, *sent)
    assert script_form.otherwise == operation.otherwise
    assert script_form.answers == operation.answers
    assert script_form.writes


@pytest.mark.parametrize(
    "operation",
    [scalars.toggle(CHILD), scalars.concat(CHILD, "v"), arrays.append(HELD, 1)],
    ids=lambda operation: operation.command[0],
)
def test_what_must_not_be_sent_twice_is_not_after_an_unknown_error(operation):
    """An error may be a proxy's, which knows no more than we do what the server has done."""
    error = ResponseError("upstream failure")
    asking = failed(operation, error)
    sent = []
    with pytest.raises(ResponseError) as caught:
        sent.append(next(asking))
        while True:
            sent.append(asking.send(operation.wants))

    assert caught.value is error
    assert operation not in sent


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (scalars.toggle(HELD.child("k")), TypeError),
        (scalars.toggle(HELD.refer()), TypeError),
        (arrays.append(HELD, 1), StaleLocationError),
        (arrays.extend(HELD, [1]), StaleLocationError),
        (values.pop(HELD.child(-1)), IndexError),
    ],
)
def test_what_is_the_right_kind_by_now_was_another_then(operation, error):
    asking = explain(operation, OtherKind())
    next(asking)
    with pytest.raises(StopIteration) as stop:
        asking.send(operation.wants or "integer")

    assert type(stop.value.value) is error


@pytest.mark.parametrize("encode_value", [encode_at, encode_element])
def test_refused_value_is_told_once(encode_value):
    with pytest.raises(UnsupportedValueError) as caught:
        encode_value(Location("d", b"d", Settings()), {"a": {1}})

    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("encode_value", [encode_at, encode_element])
def test_default_that_raises_stays_visible(encode_value):
    def default(value):
        raise UnsupportedValueError("mine")

    with pytest.raises(UnsupportedValueError, match=r"mine .*for document 'd'") as caught:
        encode_value(Location("d", b"d", Settings(default)), {1})

    assert str(caught.value.__cause__) == "mine"
