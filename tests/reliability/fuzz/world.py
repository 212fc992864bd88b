"""A server full of neighbours, every verb on one place of it, and what a plain value does."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import redis
import redis.asyncio

from redisjson_dict import PipelineError, RedisJSONDict, ValueRangeError
from redisjson_dict.asyncio import RedisJSONDict as AsyncRedisJSONDict

GONE: Any = object()
PREFIX = "w*[a-z]?^\\:"  # every character that a pattern could take otherwise
NEIGHBOURS = ("w", "wx", "w*", "wxa?^\\:", "w*[a-z]?^\\", "w*[b]?^\\:", "w*aa^:", "")

State = dict[bytes, Any]
Path = tuple[str | int, ...]


class PlaceVerb(NamedTuple):
    """A verb of a place, as a reference, a live value and a plain value do it.

    Attributes:
        title: for messages.
        start: what is there before, from an odd name.
        call: does it on a reference or a live value, with the odd name.
        plain: gets the value and the name, returns the new value (`GONE`) and the result.
        live: whether live containers have it, too.
    """

    title: str
    start: Callable[[str], Any]
    call: Callable[[Any, str], Any]
    plain: Callable[[Any, str], tuple[Any, Any]]
    live: bool = True


def _obj(n: str) -> Any:
    return {"other": [1], n: [1, 2], "last": 0.1}


def _arr(n: str) -> Any:
    return [3, n, {n: 1}, 2.5, None]


def _after(act: Callable[[Any], Any]) -> Callable[[Any, str], tuple[Any, Any]]:
    """A change without a result."""

    def plain(value: Any, n: str) -> tuple[Any, Any]:
        act(value)
        return value, None

    return plain


def _with_name(act: Callable[[Any, str], Any]) -> Callable[[Any, str], tuple[Any, Any]]:
    """A change whose result is what Python's own method returns."""

    def plain(value: Any, n: str) -> tuple[Any, Any]:
        result = copy.deepcopy(act(value, n))
        return value, result

    return plain


def _read(look: Callable[[Any, str], Any]) -> Callable[[Any, str], tuple[Any, Any]]:
    return lambda value, n: (value, look(value, n))


def _becomes(make: Callable[[Any, str], Any]) -> Callable[[Any, str], tuple[Any, Any]]:
    return lambda value, n: (make(value, n), None)


def _merged(value: dict[str, Any], n: str) -> dict[str, Any]:
    """What ``{n: {n: 2}, "x": None}`` makes of ``{"x": 1, n: {"a": 1}}``."""
    return {k: {**v, n: 2} for k, v in value.items() if k == n and n != "x"}


PLACE_VERBS = [
    PlaceVerb("get", lambda n: n, lambda r, n: r.get(), _read(lambda v, n: v), False),
    PlaceVerb("set", _obj, lambda r, n: r.set({n: n}), _becomes(lambda v, n: {n: n}), False),
    PlaceVerb("delete", _obj, lambda r, n: r.delete(), _becomes(lambda v, n: GONE), False),
    PlaceVerb("exists", _obj, lambda r, n: r.exists(), _read(lambda v, n: True), False),
    PlaceVerb("kind", _arr, lambda r, n: r.kind(), _read(lambda v, n: "array"), False),
    PlaceVerb("to_python", _obj, lambda r, n: r.to_python(), _read(lambda v, n: v)),
    PlaceVerb("contains", _obj, lambda r, n: r.contains(n), _read(lambda v, n: True), False),
    PlaceVerb("length", _obj, lambda r, n: r.length(), _read(lambda v, n: len(v)), False),
    PlaceVerb("keys", _obj, lambda r, n: r.keys(), _read(lambda v, n: list(v)), False),
    PlaceVerb(
        "get_many", _obj, lambda r, n: r.get_many(["last"]), _read(lambda v, n: {"last": 0.1})
    ),
    PlaceVerb("pop", _obj, lambda r, n: r.pop(n), _with_name(lambda v, n: v.pop(n))),
    PlaceVerb("pop last", _arr, lambda r, n: r.pop(), _with_name(lambda v, n: v.pop())),
    PlaceVerb("pop first", _arr, lambda r, n: r.pop(0), _with_name(lambda v, n: v.pop(0))),
    PlaceVerb(
        "setdefault",
        lambda n: {"x": 1},
        lambda r, n: r.setdefault(n, 5),
        _with_name(lambda v, n: v.setdefault(n, 5)),
    ),
    PlaceVerb(
        "update",
        _obj,
        lambda r, n: r.update({n: {n: 1}, "new": None}),
        _with_name(lambda v, n: v.update({n: {n: 1}, "new": None})),
    ),
    PlaceVerb("clear", _obj, lambda r, n: r.clear(), _after(lambda v: v.clear())),
    PlaceVerb("clear array", _arr, lambda r, n: r.clear(), _after(lambda v: v.clear())),
    PlaceVerb(
        "merge",
        lambda n: {"x": 1, n: {"a": 1}},
        lambda r, n: r.merge({n: {n: 2}, "x": None}),
        _becomes(_merged),
    ),
    PlaceVerb("replace", _obj, lambda r, n: r.replace({n: 1}), _becomes(lambda v, n: {n: 1})),
    PlaceVerb("replace array", _arr, lambda r, n: r.replace([n]), _becomes(lambda v, n: [n])),
    PlaceVerb(
        "modify",
        _arr,
        lambda r, n: r.modify(lambda v: [n, *v]),
        lambda v, n: ([n, *v], [n, *v]),
    ),
    PlaceVerb(
        "append", _arr, lambda r, n: r.append({n: n}), _with_name(lambda v, n: v.append({n: n}))
    ),
    PlaceVerb(
        "append float",
        _arr,
        lambda r, n: r.append(0.23217612806301458),
        _after(lambda v: v.append(0.23217612806301458)),
    ),
    PlaceVerb(
        "append maxlen", _arr, lambda r, n: r.append(n, 2), _becomes(lambda v, n: [v[-1], n])
    ),
    PlaceVerb(
        "extend", _arr, lambda r, n: r.extend([n, [n]]), _with_name(lambda v, n: v.extend([n, [n]]))
    ),
    PlaceVerb(
        "insert", _arr, lambda r, n: r.insert(-1, n), _with_name(lambda v, n: v.insert(-1, n))
    ),
    PlaceVerb("remove", _arr, lambda r, n: r.remove(n), _with_name(lambda v, n: v.remove(n))),
    PlaceVerb("index", _arr, lambda r, n: r.index(n), _read(lambda v, n: v.index(n))),
    PlaceVerb("count", _arr, lambda r, n: r.count(n), _read(lambda v, n: v.count(n))),
    PlaceVerb(
        "get_slice",
        _arr,
        lambda r, n: r.get_slice(slice(None, None, -2)),
        _read(lambda v, n: v[::-2]),
        False,
    ),
    PlaceVerb("sort", lambda n: [n, "", "b"], lambda r, n: r.sort(), _after(lambda v: v.sort())),
    PlaceVerb("reverse", _arr, lambda r, n: r.reverse(), _after(lambda v: v.reverse())),
    PlaceVerb("trim", _arr, lambda r, n: r.trim(1, -1), _becomes(lambda v, n: v[1:-1])),
    PlaceVerb("incr", lambda n: 5, lambda r, n: r.incr(), lambda v, n: (6, 6), False),
    PlaceVerb("incr below", lambda n: {n: 5}, lambda r, n: r.incr(n, 2), lambda v, n: ({n: 7}, 7)),
    PlaceVerb("incr new", lambda n: {}, lambda r, n: r.incr(n), lambda v, n: ({n: 1}, 1)),
    PlaceVerb(
        "toggle", lambda n: True, lambda r, n: r.toggle(), lambda v, n: (False, False), False
    ),
    PlaceVerb(
        "toggle below",
        lambda n: {n: True},
        lambda r, n: r.toggle(n),
        lambda v, n: ({n: False}, False),
    ),
    PlaceVerb("concat", lambda n: n, lambda r, n: r.concat(n), _becomes(lambda v, n: v + n), False),
    PlaceVerb(
        "concat below",
        lambda n: {n: n},
        lambda r, n: r.concat(n, n),
        _becomes(lambda v, n: {n: n + n}),
    ),
]


def _assign(o: Any, key: Any, value: Any) -> None:
    o[key] = value


def _delete(o: Any, key: Any) -> None:
    del o[key]


class KeyVerb(NamedTuple):
    """A verb of a mapping at a key or path; see `PlaceVerb`."""

    title: str
    start: Callable[[str], Any]
    call: Callable[[Any, Any, str], Any]
    plain: Callable[[Any, str], tuple[Any, Any]]


KEY_VERBS = [
    KeyVerb("get item", lambda n: n, lambda d, k, n: d[k], _read(lambda v, n: v)),
    KeyVerb("live item", _obj, lambda d, k, n: d[k].to_python(), _read(lambda v, n: v)),
    KeyVerb("get", lambda n: 5, lambda d, k, n: d.get(k, 1), _read(lambda v, n: v)),
    KeyVerb("in", _obj, lambda d, k, n: k in d, _read(lambda v, n: True)),
    KeyVerb(
        "get_many",
        lambda n: n,
        lambda d, k, n: list(d.get_many([k]).values()),
        _read(lambda v, n: [v]),
    ),
    KeyVerb("set item", _obj, lambda d, k, n: _assign(d, k, [n]), _becomes(lambda v, n: [n])),
    KeyVerb("set float", _obj, lambda d, k, n: _assign(d, k, 0.1), _becomes(lambda v, n: 0.1)),
    KeyVerb("del item", _obj, lambda d, k, n: _delete(d, k), _becomes(lambda v, n: GONE)),
    KeyVerb("pop", _arr, lambda d, k, n: d.pop(k), lambda v, n: (GONE, v)),
    KeyVerb("setdefault", lambda n: n, lambda d, k, n: d.setdefault(k, 1), _read(lambda v, n: v)),
    KeyVerb("incr", lambda n: 5, lambda d, k, n: d.incr(k), lambda v, n: (6, 6)),
    KeyVerb("toggle", lambda n: False, lambda d, k, n: d.toggle(k), lambda v, n: (True, True)),
    KeyVerb("concat", lambda n: "a", lambda d, k, n: d.concat(k, n), _becomes(lambda v, n: v + n)),
]

LIVE_VERBS = [
    KeyVerb("len", _obj, lambda o, k, n: len(o), _read(lambda v, n: len(v))),
    KeyVerb("iter", _obj, lambda o, k, n: list(o), _read(lambda v, n: list(v))),
    KeyVerb(
        "reversed", _arr, lambda o, k, n: _plain(list(reversed(o))), _read(lambda v, n: v[::-1])
    ),
    KeyVerb("items", _obj, lambda o, k, n: _plain(dict(o.items())), _read(lambda v, n: v)),
    KeyVerb("elements", _arr, lambda o, k, n: _plain(list(o)), _read(lambda v, n: v)),
    KeyVerb("equal", _obj, lambda o, k, n: o == _obj(n), _read(lambda v, n: True)),
    KeyVerb("or", _obj, lambda o, k, n: o | {n: 1}, _read(lambda v, n: {**v, n: 1})),
    KeyVerb(
        "ior", _obj, lambda o, k, n: o.__ior__({n: 1}) and None, _becomes(lambda v, n: {**v, n: 1})
    ),
    KeyVerb("popitem", lambda n: {n: 1}, lambda o, k, n: o.popitem(), lambda v, n: ({}, (n, 1))),
    KeyVerb("member", _obj, lambda o, k, n: _plain(o[n]), _read(lambda v, n: v[n])),
    KeyVerb(
        "set member", _obj, lambda o, k, n: _assign(o, n, n), _becomes(lambda v, n: {**v, n: n})
    ),
    KeyVerb(
        "del member",
        lambda n: {n: 1, "z": 2} if n != "z" else {n: 1},
        lambda o, k, n: _delete(o, n),
        _becomes(lambda v, n: {k: x for k, x in v.items() if k != n}),
    ),
    KeyVerb(
        "set element", _arr, lambda o, k, n: _assign(o, -1, n), _becomes(lambda v, n: [*v[:-1], n])
    ),
    KeyVerb(
        "del element", _arr, lambda o, k, n: _delete(o, -2), _becomes(lambda v, n: [*v[:-2], v[-1]])
    ),
    KeyVerb("slice", _arr, lambda o, k, n: o[1:3], _read(lambda v, n: v[1:3])),
    KeyVerb(
        "set slice",
        _arr,
        lambda o, k, n: _assign(o, slice(1, 3), [n]),
        _becomes(lambda v, n: [v[0], n, *v[3:]]),
    ),
    KeyVerb(
        "set extended",
        _arr,
        lambda o, k, n: _assign(o, slice(None, None, 2), [n, 1, n]),
        _becomes(lambda v, n: [n, v[1], 1, v[3], n]),
    ),
    KeyVerb(
        "del slice",
        _arr,
        lambda o, k, n: _delete(o, slice(1, 3)),
        _becomes(lambda v, n: [v[0], *v[3:]]),
    ),
    KeyVerb("imul", _arr, lambda o, k, n: o.__imul__(2) and None, _becomes(lambda v, n: v * 2)),
    KeyVerb("list in", _arr, lambda o, k, n: n in o, _read(lambda v, n: True)),
]


def _plain(value: Any) -> Any:
    if hasattr(type(value), "to_python"):
        return value.to_python()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def relatives(name: str) -> list[str]:
    """Names that a wrong escape, a trimmed space or a pattern would take for this one."""
    candidates = [
        *(name.strip(" "), name.lstrip(" "), f" {name}", f"{name} ", name + "*", name[:-1]),
        *(name.replace("\\", "\\\\"), name.replace("\\", ""), name.replace("\\\\", "\\")),
        *(name.replace('"', '\\"'), name.replace("'", "\\'"), name.replace('"', "")),
        *(json.dumps(name), name.encode("unicode_escape").decode(), name.split("\0")[0]),
        *("a", "0", "*", "$", "", "other"),
    ]
    return [other for other in dict.fromkeys(candidates) if other != name]


class World:
    """One server, emptied and filled with neighbours; `run` does one verb and compares all."""

    def __init__(self, url: str) -> None:
        self.raw = redis.Redis.from_url(url, protocol=2)
        self.client = redis.Redis.from_url(url)
        self.d = RedisJSONDict(self.client, PREFIX)
        self._loop = asyncio.new_event_loop()
        self._aclient = redis.asyncio.Redis.from_url(url)
        self.ad = AsyncRedisJSONDict(self._aclient, PREFIX)
        self.process = self._process()
        self.done = 0

    def close(self) -> None:
        self._loop.run_until_complete(self._aclient.aclose())
        self._loop.close()
        self.client.close()
        self.raw.close()

    def _process(self) -> tuple[int, str]:
        info = self.raw.info("server")
        return info["process_id"], info["run_id"]

    def settle(self, document: str, name: str) -> None:
        """Forget everything, then write the neighbours that a mistake would hit."""
        self.raw.flushall()
        self.document, self.name = document, name
        self.key = (PREFIX + document).encode()
        pipe = self.raw.pipeline(transaction=False)
        taken = {self.key}
        for number, other in enumerate(relatives(document)):
            key = (PREFIX + other).encode()
            taken.add(key)
            if number % 4 == 3:
                pipe.set(key, "foreign")
            else:
                pipe.execute_command("JSON.SET", key, "$", json.dumps({other: [number], name: 1}))
            if number % 4 == 2:
                pipe.expire(key, 10_000)
        for prefix in NEIGHBOURS:
            key = (prefix + document).encode()
            if key not in taken:
                pipe.execute_command("JSON.SET", key, "$", json.dumps({name: prefix}))
        pipe.execute()

    def surroundings(self, path: Path, value: Any) -> Any:
        """The document's content: a value at a path, with look-alike siblings on every level."""
        for depth in range(len(path) - 1, -1, -1):
            step = path[depth]
            if isinstance(step, int):
                index = step if step >= 0 else step + 4
                value = [value if at == index else {"sibling": [at]} for at in range(4)]
            else:
                members: dict[str, Any] = {
                    other: {"sibling": number, step: [number]}
                    for number, other in enumerate(relatives(step))
                }
                members[step] = value
                value = members
        return value

    def put(self, path: Path, value: Any) -> State:
        """Write the document as another program would; return the state of the server."""
        text = json.dumps(self.surroundings(path, value))
        self.raw.execute_command("JSON.SET", self.key, "$", text)
        return self.state()

    def state(self) -> State:
        """Everything: each key's content, kind, and whether it has an end."""
        keys = sorted(self.raw.scan_iter(count=10_000))
        pipe = self.raw.pipeline(transaction=False)
        for key in keys:
            pipe.execute_command("JSON.GET", key)
            pipe.dump(key)
            pipe.ttl(key)
        replies = pipe.execute(raise_on_error=False)
        found: State = {}
        for at, key in enumerate(keys):
            text, dumped, ttl = replies[3 * at : 3 * at + 3]
            is_json = isinstance(text, bytes)
            found[key] = (json.loads(text) if is_json else dumped, ttl >= 0)
        return found

    def check(self, title: str, path: Path, before: State, new: Any, got: Any, wanted: Any) -> None:
        """Compare the result, and the whole server, with what had to happen."""
        self.done += 1
        where = f"{title} at {self.document!a} {path!a}"
        assert exact(got) == exact(wanted), f"{where}: {got!r} instead of {wanted!r}"
        expected = dict(before)
        if new is GONE:
            expected.pop(self.key)
        else:
            expected[self.key] = (new, before[self.key][1])
        after = self.state()
        assert after.keys() == expected.keys(), where
        for key, (content, ends) in expected.items():
            assert exact(after[key][0]) == exact(content), f"{where}: {key!r}"
            assert after[key][1] == ends, f"{where}: time to live of {key!r}"

    def alive(self) -> None:
        assert self._process() == self.process

    def _expected(self, before: State, path: Path, new: Any) -> Any:
        """The document with the place's value replaced."""
        if not path:
            return new
        content = copy.deepcopy(before[self.key][0])
        holder = content
        for step in path[:-1]:
            holder = holder[step]
        if new is GONE:
            del holder[path[-1]]
        else:
            holder[path[-1]] = new
        return content

    def _do(self, title: str, verb: Any, path: Path, act: Callable[[], Any]) -> None:
        before = self.put(path, verb.start(self.name))
        new, wanted = verb.plain(copy.deepcopy(verb.start(self.name)), self.name)
        try:
            got = act()
        except ValueRangeError:
            # No script can add the missing ulp below a name that cannot be written by path.
            assert verb.title == "append float"
            got = REFUSED
        if got is REFUSED:
            new, wanted = verb.start(self.name), REFUSED
        expected = self._expected(before, path, new)
        self.check(f"{title} {verb.title}", path, before, expected, got, wanted)

    def forms(self, verb: Any, path: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
        """The ways to run a verb at a path of the document."""
        name, whole = self.name, (self.document, *path)
        if isinstance(verb, PlaceVerb):
            yield "reference", lambda: _plain(verb.call(self.d.at(*whole), name))
            yield "asyncio", lambda: self._awaited(verb, whole)
            yield "batch", lambda: self._batched(verb, whole)
            if verb.live:
                yield "live", lambda: _plain(verb.call(self._walked(path), name))
        elif verb in LIVE_VERBS:
            yield "live", lambda: verb.call(self._walked(path), None, name)
        else:
            key: Any = whole if path else self.document
            yield "dict", lambda: verb.call(self.d, key, name)
            if path and isinstance(path[0], str):
                below: Any = path if len(path) > 1 else path[0]
                yield "object", lambda: verb.call(self.d[self.document], below, name)

    def run(self, verb: Any, path: Path) -> None:
        """Run one verb in every form; after each, all of the server must be as expected."""
        for title, act in self.forms(verb, path):
            self._do(title, verb, path, act)

    def run_one(self, verb: Any, path: Path, which: int) -> None:
        """Run one verb in one of its forms."""
        forms = list(self.forms(verb, path))
        title, act = forms[which % len(forms)]
        self._do(title, verb, path, act)

    def _walked(self, path: Path) -> Any:
        at = self.d[self.document]
        for step in path:
            at = at[step]
        return at

    def _awaited(self, verb: PlaceVerb, whole: Path) -> Any:
        async def run() -> Any:
            result = await verb.call(self.ad.at(*whole), self.name)
            return await result.to_python() if hasattr(type(result), "to_python") else result

        return self._loop.run_until_complete(run())

    def _batched(self, verb: PlaceVerb, whole: Path) -> Any:
        try:
            with self.d.pipeline() as batch:
                pending = verb.call(batch.__getitem__(whole), self.name)
        except PipelineError:  # it must read first: refused, nothing sent
            return REFUSED
        return _plain(pending.result())


REFUSED: Any = "<refused, nothing sent>"


def exact(value: Any) -> Any:
    """A form of plain data in which 1, 1.0 and True differ, and the order of names does not."""
    if isinstance(value, dict):
        return {key: exact(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(exact, value)]
    return (type(value).__name__, value.hex() if isinstance(value, float) else value)


ALL_VERBS: list[Any] = [*PLACE_VERBS, *KEY_VERBS, *LIVE_VERBS]
