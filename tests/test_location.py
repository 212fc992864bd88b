"""Places, and how they are spelled."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redisjson_dict.errors import ValueRangeError
from redisjson_dict.keys import target
from redisjson_dict.keyspace import Keyspace
from redisjson_dict.location import (
    Location,
    Settings,
    is_readable,
    is_writable,
    normalized,
    segment,
)

FAR = 2**53
NAMES = st.text(alphabet="ab \\\"'\0\n\tĀ一😀.[]$*@~", max_size=6)
STEPS = st.one_of(NAMES, st.integers(-3, 3))


def document(own=-1):
    return Location("run", b"lab:run", Settings(), own)


def below(*steps):
    return document().descend(steps)


@pytest.mark.parametrize(
    ("step", "spelled"),
    [
        ("a", b".a"),
        ("_Ab_9", b"._Ab_9"),
        ("a-b", b'["a-b"]'),
        ("a\n", b'["a\n"]'),
        ("9a", b'["9a"]'),
        ("length", b'["length"]'),
        ("Size", b'["Size"]'),
        ("lengthy", b".lengthy"),
        ("", b'[""]'),
        ("a.b", b'["a.b"]'),
        ("$", b'["$"]'),
        ("*", b'["*"]'),
        (" a", b'[" a"]'),
        ("'", b'["\'"]'),
        ('"', b"['\"']"),
        ("\"'", b'["\\"\'"]'),
        ("\\", b'["\\\\"]'),
        ('\\"', b'["\\\\\\""]'),
        ("\n\0\x7f", b'["\n\0\x7f"]'),
        ("é一😀", '["é一😀"]'.encode()),
        ("0", b'["0"]'),
        (0, b"[0]"),
        (7, b"[7]"),
        (-1, b"-1"),
        (-7, b"-7"),
    ],
)
def test_segment_spelling(step, spelled):
    assert segment(step) == spelled


@pytest.mark.parametrize(
    ("index", "spelled"),
    [
        (FAR, b"[%d]" % FAR),
        (FAR + 1, b"[%d]" % FAR),
        (2**63, b"[%d]" % FAR),
        (10**400, b"[%d]" % FAR),
        (-FAR, b"-%d" % FAR),
        (-(2**63) - 1, b"-%d" % FAR),
        (-(10**400), b"-%d" % FAR),
    ],
)
def test_segment_bounds_huge_indices(index, spelled):
    assert segment(index) == spelled


@pytest.mark.parametrize("name", ["\ud800", "a\udfffb", "\ud83d\ude00"])
def test_segment_refuses_surrogates(name):
    with pytest.raises(ValueRangeError, match="lone surrogate"):
        segment(name)


@given(NAMES)
def test_segment_of_writable_has_no_escape(name):
    if is_writable(name):
        assert segment(name) in (
            b"." + name.encode(),
            segment(name)[:2] + name.encode() + segment(name)[-2:],
        )


@given(NAMES, NAMES)
def test_segment_tells_names_apart(one, other):
    assert (segment(one) == segment(other)) == (one == other)


@pytest.mark.parametrize("name", ["", "a", "a ", "\ta", "\u00a0a", "\ufeffa", "'", '"', "\n", "\0"])
def test_writable_names(name):
    assert is_writable(name)
    assert is_readable(name)


@pytest.mark.parametrize("name", ["\\", "a\\b", "\"'", "'\"", "x\"y'z"])
def test_readable_names_not_writable(name):
    assert not is_writable(name)
    assert is_readable(name)


@pytest.mark.parametrize("name", [" ", " a", "  ", ' "', " \\", " \"'"])
def test_leading_space_is_not_readable(name):
    assert not is_writable(name)
    assert not is_readable(name)


def test_document_is_the_root():
    at = document()

    assert (at.base, at.tail, at.steps, at.path, len(at.steps)) == (b"$", (), (), b"$", 0)


def test_descend_appends_steps():
    at = document().descend(("a", 0)).descend(("b",))

    assert at.steps == ("a", 0, "b")
    assert at.tail == (b".a", b"[0]", b".b")
    assert at.path == b"$.a[0].b"


def test_descend_leaves_the_place_alone():
    at = below("a")
    at.descend(("b", " c"))

    assert (at.steps, at.tail, at.writable, at.readable) == (("a",), (b".a",), True, True)


def test_descend_by_nothing_is_the_same_place():
    assert below("a").descend(()).path == b"$.a"


def test_child_is_one_step_down():
    assert below("a").child(2).path == below("a", 2).path


@given(st.lists(STEPS, max_size=6), st.integers(0, 6))
def test_descend_in_parts_is_descend(steps, cut):
    at = below(*steps)
    parts = below(*steps[:cut]).descend(tuple(steps[cut:]))

    assert parts.path == at.path
    assert (parts.writable, parts.readable) == (at.writable, at.readable)


@pytest.mark.parametrize(
    ("steps", "writable", "readable"),
    [
        (("a", 0, "b"), True, True),
        (("a\\",), False, True),
        (("a\\", "b"), False, True),
        ((" a",), False, False),
        (("a\\", " a", "b"), False, False),
        ((" a", "a\\"), False, False),
    ],
)
def test_descend_knows_what_paths_can(steps, writable, readable):
    at = below(*steps)

    assert (at.writable, at.readable) == (writable, readable)


def test_descend_refuses_surrogates():
    with pytest.raises(ValueRangeError):
        document().descend(("a", "\ud800"))


@pytest.mark.parametrize(
    ("steps", "path"),
    [
        ((-1,), b"$[-1:]"),
        ((-2,), b"$[-2:-1]"),
        (("a", -3, "b"), b"$.a[-3:-2].b"),
        ((-1, -1), b"$[-1:][-1:]"),
        ((-(2**70),), b"$[-%d:-%d]" % (FAR, FAR - 1)),
        ((2**70,), b"$[%d]" % FAR),
    ],
)
def test_path_spells_negatives_as_slices(steps, path):
    assert below(*steps).path == path


@pytest.mark.parametrize(
    ("steps", "counted"),
    [((), False), (("-1",), False), ((0, "a"), False), ((-1,), True), (("a", -1, "b"), True)],
)
def test_counted_from_end(steps, counted):
    assert below(*steps).counted_from_end is counted


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=9), st.integers(1, 12))
def test_slice_spelling_is_the_index(array, back):
    start, _, stop = below(-back).path[2:-1].partition(b":")
    picked = array[int(start) : int(stop) if stop else None]

    assert picked == ([array[-back]] if back <= len(array) else [])


@pytest.mark.parametrize("steps", [("a",), ("a", -1, "b"), (0, "c\\", " d")])
def test_hold_keeps_the_path(steps):
    at = below(*steps)
    held = at.hold()

    assert (held.path, held.base, held.tail) == (at.path, at.path, ())


def test_hold_is_a_place_of_its_own():
    held = below("a", "b").hold()

    assert held.held
    assert held.own == 2
    assert held.child("c").asked_key == "c"


def test_hold_takes_resolved_steps():
    held = below("a", -1).hold(("a", 4))

    assert held.steps == ("a", 4)
    assert held.path == b"$.a[4]"
    assert not held.counted_from_end


def test_hold_leaves_the_place_alone():
    at = below("a", -1)
    at.hold(("a", 4))

    assert (at.held, at.steps, at.base) == (False, ("a", -1), b"$")


def test_held_children_start_from_the_base():
    at = below("a", -1).hold(("a", 4)).descend(("b", -1))

    assert at.base == b"$.a[4]"
    assert at.tail == (b".b", b"-1")
    assert at.path == b"$.a[4].b[-1:]"


def test_hold_keeps_what_paths_can():
    assert not below(" a").hold().child("b").readable


def test_refer_is_a_place_of_its_own():
    at = below("a").hold().child("b").refer()

    assert at.own == 2
    assert at.child("c").asked_key == "c"


@pytest.mark.parametrize(
    ("at", "key"),
    [
        (document(), "run"),
        (below("a"), ("run", "a")),
        (below("a", -1), ("run", "a", -1)),
        (document().hold().child("a"), "a"),
        (document().hold().descend(("a", 0)), ("a", 0)),
        (below("a").hold().child(5), 5),
    ],
)
def test_asked_key_is_what_was_asked_for(at, key):
    assert at.asked_key == key


@pytest.mark.parametrize("steps", [("a", "b"), (-1, 2), ("a\\", " b", "c")])
def test_parent_of_a_child(steps):
    parent = below(*steps).parent()

    assert parent.steps == steps[:-1]
    assert parent.path == below(*steps[:-1]).path


@pytest.mark.parametrize(
    ("steps", "readable", "writable"),
    [((" a", "b"), False, False), (("b", " a"), True, True), (("a\\", " b"), True, False)],
)
def test_parent_knows_what_paths_can(steps, readable, writable):
    parent = below(*steps).parent()

    assert (parent.readable, parent.writable) == (readable, writable)


def test_parent_of_a_held_place():
    parent = below("a", "b").hold().parent()

    assert parent.path == b"$.a"
    assert parent.held


def test_parent_of_a_held_child_is_the_base():
    held = below("a", -1).hold(("a", 3))

    assert held.child("x").parent().path == held.path


@pytest.mark.parametrize(
    ("steps", "anchor"),
    [
        ((), ()),
        (("a", 0), ("a", 0)),
        (("a\\",), ()),
        (("a", "b\\", "c", " d"), ("a",)),
        (("a", -1, " b", "c"), ("a", -1)),
    ],
)
def test_anchor_is_above_the_unwritable(steps, anchor):
    at = below(*steps).anchor()

    assert at.path == below(*anchor).path
    assert at.writable


def test_anchor_of_a_held_unwritable_place():
    at = below("a", "b\\", "c").hold().child("d").anchor()

    assert at.path == b"$.a"
    assert at.held


@given(st.lists(STEPS, max_size=6))
def test_anchor_can_always_be_written(steps):
    at = below(*steps)
    anchor = at.anchor()

    assert anchor.writable
    assert anchor.readable
    assert at.steps[: len(anchor.steps)] == anchor.steps
    assert anchor.path == below(*anchor.steps).path


def test_hold_remembers_what_was_asked_for():
    at = below("a", -1)

    assert at.hold(("a", 3)).asked == ("a", -1)


def test_hold_of_what_was_resolved_before_asked_for_nothing():
    assert below("a", 3).hold(("a", 3)).asked is None
    assert below("a", 3).hold().asked is None


def test_only_the_place_itself_was_asked_for():
    held = below("a", -1).hold(("a", 3))

    assert held.child("b").asked is None
    assert held.hold().asked is None
    assert held.refer().asked is None


@pytest.mark.parametrize("at", [document(), document().hold(), below("a").hold()])
@pytest.mark.parametrize("path", [("b",), ("b", -1)])
def test_asked_key_of_a_path_is_the_path(at, path):
    found = target(at, path) if at.held else Keyspace("", Settings()).target(path)

    assert found.pathlike
    assert found.asked_key == path


@pytest.mark.parametrize("at", [document().hold(), below("a").hold()])
def test_asked_key_of_a_name_is_the_name(at):
    found = target(at, "b")

    assert not found.pathlike
    assert found.asked_key == "b"


def test_place_below_a_path_is_not_spelled_as_one():
    at = target(document().hold(), ("a",))

    assert not at.hold().pathlike
    assert not at.refer().pathlike
    assert at.hold().child("b").asked_key == "b"


def test_settings_take_a_function():
    assert Settings(str).default is str
    assert Settings().default is None


@pytest.mark.parametrize("default", [1, "str", {}])
def test_settings_refuse_what_cannot_be_called(default):
    with pytest.raises(TypeError, match="default is a function"):
        Settings(default)


@pytest.mark.parametrize(
    ("steps", "path"),
    [
        ((), "$"),
        (("a",), "$['a']"),
        (("a", 0, "b"), "$['a'][0]['b']"),
        ((-1,), "$[-1]"),
        (("a.b",), "$['a.b']"),
        (('a"b',), "$['a\"b']"),
        (("é一😀",), "$['é一😀']"),
        (("a\\b",), "$['a\\\\b']"),
        (("\n\t\r",), "$['\\n\\t\\r']"),
    ],
)
def test_normalized_path(steps, path):
    assert normalized(steps) == path


def test_describe_names_document_and_path():
    assert below("a", 0).describe() == "document 'run' at $['a'][0]"


def test_describe_shortens():
    assert len(below(*["name"] * 127).describe()) < 500


def test_describe_shortens_the_name():
    assert len(Location("n" * 10_000, b"k", Settings()).describe()) < 500


def test_repr_shows_the_place():
    assert repr(below("a")) == "<Location document 'run' at $['a']>"


def test_deepest_path():
    at = below(*["a"] * 127)

    assert at.path == b"$" + b".a" * 127
    assert len(at.parent().steps) == 126
    assert at.anchor() is at


@pytest.mark.parametrize("step", ["a", -1, " b", "c\\"])
@pytest.mark.parametrize("steps", [128, 100_000])
def test_longer_paths_are_refused_fast(step, steps):
    started = time.perf_counter()
    with pytest.raises(ValueRangeError, match=f"a path of {steps} steps"):
        below(*[step] * steps)

    assert time.perf_counter() - started < 1


def test_children_cannot_go_deeper():
    at = below(*["a"] * 127).hold()

    with pytest.raises(ValueRangeError):
        at.child("a")


@pytest.mark.parametrize("steps", [200, 100_000])
def test_nothing_is_found_at_a_long_path(d, steps):
    path = ("a",) * steps
    d["a"] = {}

    assert path not in d
    assert path not in d["a"]
    assert d.get(path, 7) == 7
    assert d["a"].pop(path, 7) == 7
    with pytest.raises(KeyError):
        d[path]


def test_children_in_a_chain_spell_once():
    chain = [document()]
    for _ in range(127):
        chain.append(chain[-1].child("a").hold())

    assert all(len(b.path) - len(a.path) == 2 for a, b in pairwise(chain))
    assert chain[-1].tail == ()


NASTY = [
    *("_", "Z9_z", "length", "in", "true", "values"),
    "",
    "a",
    "a.b",
    '"',
    "'",
    "\"'",
    "\\",
    'a\\"',
    "\n",
    "\0",
    "Ā",
    "一",
    "😀",
    "]",
    "a b ",
    "$",
]


@pytest.mark.parametrize("name", NASTY)
def test_server_reads_every_readable_name(d, client, prefix, name):
    d["doc"] = {other: number for number, other in enumerate(NASTY)}
    reply = client.execute_command("JSON.GET", f"{prefix}doc", below(name).path)

    assert reply == b"[%d]" % NASTY.index(name)


@pytest.mark.parametrize("name", [name for name in NASTY if is_writable(name)])
def test_server_writes_every_writable_name(d, client, prefix, name):
    d["doc"] = {}
    client.execute_command("JSON.SET", f"{prefix}doc", below(name).path, b"1")

    assert d["doc"].to_python() == {name: 1}


@pytest.mark.parametrize("index", range(-5, 5))
def test_server_resolves_indices_as_python(d, client, prefix, index):
    array = [10, 11, 12]
    d["doc"] = array
    reply = client.execute_command("JSON.GET", f"{prefix}doc", below(index).path)

    assert reply == (b"[%d]" % array[index] if -3 <= index < 3 else b"[]")


@pytest.mark.parametrize("index", [2**31, 2**53, 2**63, 2**64, 10**40])
@pytest.mark.parametrize("sign", [1, -1])
def test_server_survives_huge_indices(d, client, index, sign):
    d["doc"] = [1, 2, 3]

    with pytest.raises(IndexError):
        d["doc"][sign * index]
    assert client.ping()
