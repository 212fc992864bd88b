"""Random histories on two interleaved clients, compared step by step with plain dict and list."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import struct
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import redis
from driven import Driven, Driver
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from redisjson_dict import JSONArray, JSONObject, RedisJSONDict, StaleLocationError, ValueRangeError
from redisjson_dict.asyncio import AsyncReference
from redisjson_dict.asyncio import RedisJSONDict as Awaited

NAMES = [
    *("a", "b", "", " ", " x", "x ", "  y", "a\\b", "\\", "\\\\", "'", '"', "'\"", "\"'\\", '"]'),
    *("$", "*", "@", "..", "a.b", "a/b", "0", "-1", "[0]", "?(@)", "\n", "\t", "\x00", "\x7f"),
    *("é", "\u0100", "\u3000", "\u4e00", "\uac00", "\U0001f600", " \u4e00", "\\\u0100", "\ufeff"),
]
DOCUMENTS = ["doc", " d*", "\u4e00\n", ""]
INTEGERS = [0, 1, -1, 7, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63, 2**64 - 1]
INTEGERS += [-(2**63), -(2**63) + 1, 2**52, 2**52 + 1, 10**18]


def _double(bits: int) -> float:
    return float(struct.unpack("<d", bits.to_bytes(8, "little"))[0])


names = st.sampled_from(NAMES) | st.text(max_size=3)
integers = st.sampled_from(INTEGERS) | st.integers(-(2**63), 2**64 - 1) | st.integers(-9, 9)
floats = (
    st.integers(0, 2**64 - 1).map(_double).filter(math.isfinite)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0.0, -0.0, 1.0, 0.1, 1e16, 5e-324, 1.7976931348623157e308])
    | st.floats(0, 1)
)
scalars = st.none() | st.booleans() | integers | floats | st.text(max_size=4) | names
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)
objects = st.dictionaries(names, values, max_size=4)
arrays = st.lists(values, max_size=6)
positions = st.integers(-8, 8) | st.sampled_from([2**31, -(2**31), 2**63, -(2**63) - 1, 2**70])
ends = st.none() | positions
steps = st.none() | st.sampled_from([1, 2, 3, -1, -2, 2**63, -(2**64)])
amounts = st.integers(-3, 3) | integers | floats

Plain = Any
Steps = tuple[Any, ...]
Outcome = tuple[Any, BaseException | None]


class Call(NamedTuple):
    """A verb with its arguments: what it does to plain data, and what is called on a live one."""

    name: str
    plain: Callable[[Any], Any]
    live: Callable[[Any], Any]
    refer: Callable[[Any], Any] | None = None
    reorders: bool = False


def bits(value: Plain) -> Any:
    """Return what tells values apart as strictly as the contract does: type and every bit."""
    if isinstance(value, dict):
        return {name: bits(item) for name, item in value.items()}
    if isinstance(value, list):
        return [bits(item) for item in value]
    if type(value) is float:
        return struct.pack(">d", value)
    return (type(value), value)


def order(value: Plain, free: Steps | None) -> Any:
    """Return the order of all members; of the object at `free`, and below it, none."""
    if free == ():
        return None
    if isinstance(value, dict):
        return [(name, order(item, _below(free, name))) for name, item in value.items()]
    if isinstance(value, list):
        return [order(item, _below(free, index)) for index, item in enumerate(value)]
    return None


def _below(free: Steps | None, step: Any) -> Steps | None:
    return free[1:] if free is not None and free[0] == step else None


def plain(value: Any) -> Plain:
    """Return a verb's result as plain data: live values, also one level down, by content."""
    if isinstance(value, (JSONObject, JSONArray)):
        return value.to_python()
    if type(value) is dict:
        return {name: plain(item) for name, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(plain, value))
    return value


def attempt(function: Callable[[], Any]) -> Outcome:
    try:
        return function(), None
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        return None, error


def places(value: Plain, above: Steps = ()) -> Iterator[tuple[Steps, Plain]]:
    """Walk all containers, the outermost first."""
    if isinstance(value, (dict, list)):
        yield above, value
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for step, item in items:
            yield from places(item, (*above, step))


def reach(value: Plain, path: Steps) -> Plain:
    for step in path:
        if type(value) is not (dict if isinstance(step, str) else list):
            raise LookupError(step)
        value = value[step]
    return value


# What the verbs beyond dict and list do to plain data.


def increased(value: Plain, amount: Any) -> Plain:
    if type(value) not in (int, float):
        raise TypeError
    total = value + amount
    if type(total) is int and not -(2**63) <= total < 2**64:
        raise ValueRangeError("overflow")
    if type(total) is float and not math.isfinite(total):
        raise ValueRangeError("overflow")
    return total


def incr(holder: Plain, key: Any, amount: Any, default: Any) -> Plain:
    if isinstance(holder, dict):
        holder[key] = increased(holder.get(key, default), amount)
    else:
        holder[key] = increased(holder[key], amount)
    return holder[key]


def toggle(holder: Plain, key: Any) -> Plain:
    if type(holder[key]) is not bool:
        raise TypeError
    holder[key] = not holder[key]
    return holder[key]


def concat(holder: Plain, key: Any, text: str) -> None:
    if type(holder[key]) is not str:
        raise TypeError
    holder[key] += text


def merged(target: Plain, patch: Plain) -> Plain:
    """RFC 7396, section 2, letter by letter."""
    if isinstance(patch, dict):
        if not isinstance(target, dict):
            target = {}
        for name, value in patch.items():
            if value is None:
                target.pop(name, None)
            else:
                target[name] = merged(target.get(name), value)
        return target
    return patch


def merge(holder: Plain, patch: Plain) -> None:
    merged(holder, patch)


def append(array: list[Any], value: Any, maxlen: int | None) -> None:
    array.append(value)
    if maxlen is not None:
        del array[: max(0, len(array) - maxlen)]


def replace(holder: Plain, value: Plain) -> None:
    if isinstance(holder, dict):
        holder.clear()
        holder.update(value)
    else:
        holder[:] = value


def found(holder: Plain, keys: list[Any]) -> dict[Any, Any]:
    results = {}
    for key in keys:
        with contextlib.suppress(LookupError, TypeError):
            results[key] = reach_any(holder, key)
    return results


def reach_any(holder: Plain, key: Any) -> Plain:
    return reach(holder, key if isinstance(key, tuple) else (key,))


def _put(t: Any, key: Any, value: Any) -> None:
    t[key] = value


def _drop(t: Any, key: Any) -> None:
    del t[key]


def _or(t: Any, other: Any) -> None:
    t |= other


def _plus(t: Any, other: Any) -> None:
    t += other


def _times(t: Any, count: int) -> None:
    t *= count


def _modified(t: Any, function: Callable[[Any], Any]) -> Any:
    new = function(copy.deepcopy(t))
    replace(t, new)
    return new


def member_calls(data: st.DataObject, holder: Plain) -> list[Call]:
    """The verbs that objects, arrays and paths have in common, on one member or element."""
    if isinstance(holder, dict):
        key = data.draw(st.sampled_from(list(holder)) | names if holder else names, "key")
    else:
        inside = st.integers(-len(holder), len(holder) - 1)
        key = data.draw(inside | positions if holder else positions, "index")
    value, text = data.draw(values, "value"), data.draw(st.text(max_size=3), "text")
    amount = data.draw(amounts, "amount")
    default = data.draw(amounts, "default")
    return [
        Call("[]", lambda t: t[key], lambda t: t[key], lambda r: r[key].get()),
        Call("[]=", *[lambda t: _put(t, key, copy.deepcopy(value))] * 3),
        Call("del", *[lambda t: _drop(t, key)] * 3, reorders=True),
        Call("pop", lambda t: t.pop(key), *[lambda t: t.pop(key)] * 2, reorders=True),
        Call("toggle", lambda t: toggle(t, key), *[lambda t: t.toggle(key)] * 2),
        Call("concat", lambda t: concat(t, key, text), *[lambda t: t.concat(key, text)] * 2),
        Call(
            "incr",
            lambda t: incr(t, key, amount, default),
            *[lambda t: t.incr(key, amount, default)] * 2,
        ),
        *(
            [Call("setdefault", *[lambda t: t.setdefault(key, copy.deepcopy(value))] * 3)]
            if isinstance(holder, dict)
            else []
        ),
    ]


def object_calls(data: st.DataObject, holder: dict[str, Any]) -> list[Call]:
    other, patch = data.draw(objects, "other"), data.draw(objects, "patch")
    key = data.draw(names, "another")

    def grow(content: dict[str, Any]) -> dict[str, Any]:
        return {**content, key: len(content)}

    return [
        Call("get", *[lambda t: t.get(key, 5)] * 3),
        Call("pop default", *[lambda t: t.pop(key, 5)] * 3, reorders=True),
        Call("popitem", *[lambda t: t.popitem()] * 3),
        Call("clear", *[lambda t: t.clear()] * 3),
        Call("update", *[lambda t: t.update(copy.deepcopy(other))] * 3),
        Call("update pairs", *[lambda t: t.update(list(other.items()))] * 3),
        Call("|=", *[lambda t: _or(t, copy.deepcopy(other))] * 2),
        Call(
            "merge",
            lambda t: merge(t, copy.deepcopy(patch)),
            *[lambda t: t.merge(patch)] * 2,
            reorders=True,
        ),
        Call("replace", lambda t: replace(t, other), *[lambda t: t.replace(other)] * 2),
        Call("modify", lambda t: _modified(t, grow), *[lambda t: t.modify(grow)] * 2),
        Call("in", lambda t: key in t, lambda t: key in t, lambda r: r.contains(key)),
        Call("list", list, list, lambda r: r.keys()),
        Call("items", lambda t: list(t.items()), lambda t: list(t.items())),
        Call("values", lambda t: list(t.values()), lambda t: list(t.values())),
        Call("len", len, len, lambda r: r.length()),
        Call("copy", *[lambda t: t.copy()] * 2, lambda r: r.to_python()),
    ]


def array_calls(data: st.DataObject, holder: list[Any]) -> list[Call]:
    i, j, step = data.draw(ends, "start"), data.draw(ends, "stop"), data.draw(steps, "step")
    part, fresh, value = slice(i, j, step), data.draw(arrays, "new"), data.draw(values, "value")
    at, till = data.draw(positions, "at"), data.draw(positions, "till")
    maxlen = data.draw(st.none() | st.integers(0, 6), "maxlen")
    times = data.draw(st.integers(-1, 2), "times")
    sought = data.draw(st.sampled_from(holder) | scalars if holder else scalars, "sought")
    many = data.draw(st.lists(st.integers(-9, 9) | positions, max_size=3), "indices")
    fits = fresh * 6 if fresh else []
    exact = fits[: len(range(len(holder))[part])]

    def doubled(content: list[Any]) -> list[Any]:
        return [*content, len(content)]

    return [
        Call(
            "append", lambda t: append(t, value, maxlen), *[lambda t: t.append(value, maxlen)] * 2
        ),
        Call("extend", *[lambda t: t.extend(copy.deepcopy(fresh))] * 3),
        Call("+=", *[lambda t: _plus(t, copy.deepcopy(fresh))] * 2),
        Call("*=", *[lambda t: _times(t, times)] * 2),
        Call("insert", lambda t: t.insert(at, value), *[lambda t: t.insert(at, value)] * 2),
        Call("remove", *[lambda t: t.remove(sought)] * 3),
        Call("index", *[lambda t: t.index(sought)] * 3),
        Call("index in", *[lambda t: t.index(sought, at, till)] * 3),
        Call("count", *[lambda t: t.count(sought)] * 3),
        Call("in", lambda t: sought in t, lambda t: sought in t),
        Call("sort", *[lambda t: t.sort(key=repr)] * 3),
        Call("sort down", *[lambda t: t.sort(key=repr, reverse=True)] * 3),
        Call("reverse", *[lambda t: t.reverse()] * 3),
        Call("clear", *[lambda t: t.clear()] * 3),
        Call("pop last", lambda t: t.pop(), lambda t: t.pop(), lambda r: r.pop()),
        Call("slice", lambda t: t[part], lambda t: t[part], lambda r: r.get_slice(part)),
        Call("slice =", *[lambda t: _put(t, part, copy.deepcopy(fresh))] * 2),
        Call("slice = of its length", *[lambda t: _put(t, part, copy.deepcopy(exact))] * 2),
        Call("slice del", *[lambda t: _drop(t, part)] * 2),
        Call("trim", lambda t: replace(t, t[at:till]), *[lambda t: t.trim(at, till)] * 2),
        Call("replace", lambda t: replace(t, fresh), *[lambda t: t.replace(fresh)] * 2),
        Call("modify", lambda t: _modified(t, doubled), *[lambda t: t.modify(doubled)] * 2),
        Call("get_many", lambda t: found(t, many), *[lambda t: t.get_many(many)] * 2),
        Call("list", list, list),
        Call("reversed", lambda t: list(reversed(t)), lambda t: list(reversed(t))),
        Call("len", len, len, lambda r: r.length()),
        Call("copy", *[lambda t: t.copy()] * 2, lambda r: r.to_python()),
    ]


class Held(NamedTuple):
    """A live value that is kept: it denotes a path and a kind, whatever happens there."""

    live: Any
    path: Steps
    kind: type


class Histories(RuleBasedStateMachine):
    """Clients on one prefix, and what plain Python makes of the same steps."""

    clients: tuple[redis.Redis, ...] = ()
    drivers: tuple[Driver, ...] = ()

    @initialize(start=st.dictionaries(st.sampled_from(DOCUMENTS), values, max_size=3))
    def begin(self, start: dict[str, Any]) -> None:
        self.prefix = f"model-{uuid.uuid4().hex[:12]}*:"
        self.dicts = [RedisJSONDict(client, self.prefix) for client in self.clients]
        self.model: dict[str, Any] = copy.deepcopy(start)
        self.held: list[Held] = []
        self.dicts[0].update(start)
        self.compare()

    def teardown(self) -> None:
        if hasattr(self, "dicts"):
            self.dicts[0].clear()

    # Comparing.

    def compare(self, free: Steps | None = None) -> None:
        """Check the whole store, by each client and as another program sees it."""
        for d in self.dicts:
            stored = d.to_python()
            assert bits(stored) == bits(self.model)
            for name, value in self.model.items():
                inside = free[1:] if free and free[0] == name else None
                assert order(stored[name], inside) == order(value, inside)
        for name in self.model:
            key = (self.prefix + name).encode()
            text = self.clients[0].execute_command("JSON.GET", key)
            assert bits(json.loads(text)) == bits(self.model[name])
            self.model[name] = json.loads(text)  # in the order that deletions left

    def judge(
        self, wanted: Outcome, got: Outcome, inexact: bool, broad: tuple[type, ...] = ()
    ) -> bool:
        """Compare what came out, and return whether the model takes part in the step."""
        (value, error), (live, problem) = wanted, got
        if inexact and isinstance(problem, ValueRangeError) and "exactly" in str(problem):
            return False  # documented: a float that only a path could repair, where there is none
        if error is None:
            assert problem is None, f"{type(problem).__name__}: {problem}"
            assert bits(plain(live)) == bits(plain(value))
        else:
            assert problem is not None, f"got {live!r}, wanted {error!r}"
            classes = broad or (type(error),)
            stale = StaleLocationError in classes
            assert isinstance(problem, classes), repr(problem)
            assert isinstance(problem, StaleLocationError) == stale, repr(problem)
        return True

    def step(
        self,
        call: Call,
        path: Steps,
        run: Callable[[], Any],
        broad: tuple[type, ...] = (),
    ) -> Any:
        """Run a verb on plain data and on live data, and compare everything."""
        model = copy.deepcopy(self.model)
        wanted = attempt(lambda: copy.deepcopy(call.plain(reach(model, path))))
        got = attempt(run)
        if self.judge(wanted, got, True, broad) and wanted[1] is None:
            self.model = model
        self.compare(path if call.reorders else None)
        return got[0]

    # Choosing.

    def any_place(self, data: st.DataObject) -> tuple[Steps, Plain]:
        return data.draw(st.sampled_from([p for p in places(self.model) if p[0]]), "place")

    def any_dict(self, data: st.DataObject) -> RedisJSONDict:
        return data.draw(st.sampled_from(self.dicts), "client")

    def calls(self, data: st.DataObject, holder: Plain) -> list[Call]:
        more = object_calls if isinstance(holder, dict) else array_calls
        return member_calls(data, holder) + more(data, holder)

    def spelled(self, data: st.DataObject, path: Steps) -> Steps:
        """Return a path with some of its indices counted from the end."""
        value, steps = self.model, []
        for step in path:
            if isinstance(step, int) and data.draw(st.booleans(), "from the end"):
                steps.append(step - len(value))
            else:
                steps.append(step)
            value = value[step]
        return tuple(steps)

    def keep(self, live: Any, path: Steps) -> None:
        if isinstance(live, (JSONObject, JSONArray)):
            kind = dict if isinstance(live, JSONObject) else list
            self.held = [*self.held, Held(live, path, kind)][-6:]

    # Steps.

    @rule(data=st.data(), name=st.sampled_from(DOCUMENTS), value=values)
    def assign_document(self, data: st.DataObject, name: str, value: Any) -> None:
        put = Call("doc =", lambda t: _put(t, name, value), lambda d: None)
        d = self.any_dict(data)
        self.step(put, (), lambda: _put(d, name, value))

    @rule(data=st.data())
    def by_chain(self, data: st.DataObject) -> None:
        """``d[a][b].verb(...)``"""
        if not any(path for path, _ in places(self.model)):
            return
        path, holder = self.any_place(data)
        live: Any = self.any_dict(data)
        for number, one in enumerate(self.spelled(data, path), 1):
            live = live[one]
            if data.draw(st.booleans(), "keep"):
                self.keep(live, path[:number])
        call = data.draw(st.sampled_from(self.calls(data, holder)), "verb")
        self.step(call, path, lambda: call.live(live))

    @rule(data=st.data())
    def by_path(self, data: st.DataObject) -> None:
        """``d[a, b, key]``, or the same path on a live object on the way."""
        if not any(path for path, _ in places(self.model)):
            return
        path, holder = self.any_place(data)
        spelled = self.spelled(data, path)
        target: Any = self.any_dict(data)
        above = 0
        if data.draw(st.booleans(), "from a live object"):
            above = data.draw(st.integers(0, len(path)), "above")
            if not isinstance(reach(self.model, path[:above]), dict):
                above = 0
            target = target[spelled[:above]] if above else target
        call = data.draw(st.sampled_from(member_calls(data, holder)), "verb")
        routed = _Routed(target, spelled[above:])
        live = self.step(
            call,
            path,
            lambda: call.live(routed),
            (KeyError,) if self.lacks(call, path) else (),
        )
        if call.name == "[]" and routed.key is not None and isinstance(routed.key, str):
            self.keep(live, (*path, routed.key))

    def lacks(self, call: Call, path: Steps) -> bool:
        """Return whether the verb would find nothing there: with a path always a `KeyError`."""
        error = attempt(lambda: call.plain(copy.deepcopy(reach(self.model, path))))[1]
        far = call.name == "pop" and isinstance(error, OverflowError)  # list's own limit, no path's
        return far or isinstance(error, LookupError)

    @rule(data=st.data())
    def by_reference(self, data: st.DataObject) -> None:
        """``d.at(a, b).verb(...)``"""
        if not any(path for path, _ in places(self.model)):
            return
        path, holder = self.any_place(data)
        reference = self.any_dict(data).at(*self.spelled(data, path))
        possible = [call for call in self.calls(data, holder) if call.refer is not None]
        call = data.draw(st.sampled_from(possible), "verb")
        absent = (KeyError, IndexError) if self.lacks(call, path) else ()
        self.step(call, path, lambda: call.refer(reference), absent)  # type: ignore[misc]

    @rule(data=st.data())
    def by_awaited_reference(self, data: st.DataObject) -> None:
        """``await d[a][b].verb(...)``"""
        if not any(path for path, _ in places(self.model)):
            return
        path, holder = self.any_place(data)
        driver = data.draw(st.sampled_from(self.drivers), "driver")
        reference = Awaited(driver.client, self.prefix).at(*self.spelled(data, path))
        driven = Driven(driver, reference)
        possible = [call for call in self.calls(data, holder) if call.refer is not None]
        call = data.draw(st.sampled_from(possible), "verb")
        absent = (KeyError, IndexError) if self.lacks(call, path) else ()

        def run() -> Any:
            result = call.refer(driven)  # type: ignore[misc]
            assert not isinstance(result, (JSONObject, JSONArray))
            if isinstance(result, AsyncReference):
                return driver.run(result.to_python())
            return result

        self.step(call, path, run, absent)

    @rule(data=st.data())
    def by_held(self, data: st.DataObject) -> None:
        """A verb on a live value that was kept: what is at its path now, or stale."""
        if not self.held:
            return
        live, path, kind = data.draw(st.sampled_from(self.held), "held")
        there, error = attempt(lambda: reach(self.model, path))
        if error is None and type(there) is kind:
            call = data.draw(st.sampled_from(self.calls(data, there)), "verb")
            self.step(call, path, lambda: call.live(live))
            return
        sample = {"a": 1} if kind is dict else [1, 2]
        call = data.draw(st.sampled_from(self.calls(data, sample)), "verb on nothing")
        refused = attempt(lambda: call.plain(copy.deepcopy(sample)))[1]
        far = isinstance(refused, OverflowError)  # an argument that is refused before it is sent
        with pytest.raises(OverflowError if far else StaleLocationError):
            call.live(live)
        self.compare()

    @rule(data=st.data(), key=names)
    def keep_children(self, data: st.DataObject, key: str) -> None:
        """Live values that came out of iterating denote their own paths."""
        if not any(path for path, _ in places(self.model)):
            return
        path, holder = self.any_place(data)
        live = self.any_dict(data)[path]
        pairs = live.items() if isinstance(holder, dict) else enumerate(live)
        for step, child in pairs:
            self.keep(child, (*path, step))

    @rule(data=st.data())
    def copy_live(self, data: st.DataObject) -> None:
        """Assigning a live value stores its content, wherever else it goes."""
        if not any(path for path, _ in places(self.model)):
            return
        source, _ = self.any_place(data)
        path, holder = self.any_place(data)
        live, target = self.any_dict(data)[source], self.any_dict(data)[path]
        content = copy.deepcopy(reach(self.model, source))
        if isinstance(holder, dict):
            key = data.draw(names, "key")
            call = Call("= live", lambda t: _put(t, key, content), lambda t: None)
            self.step(call, path, lambda: _put(target, key, live))
        else:
            call = Call("append live", lambda t: t.append(content), lambda t: None)
            self.step(call, path, lambda: target.append(live))

    @rule(
        data=st.data(),
        name=st.sampled_from(DOCUMENTS),
        other=st.sampled_from(DOCUMENTS),
        documents=st.dictionaries(st.sampled_from(DOCUMENTS), values, max_size=3),
        value=values,
        amount=amounts,
        default=amounts,
    )
    def on_documents(
        self,
        data: st.DataObject,
        name: str,
        other: str,
        documents: dict[str, Any],
        value: Any,
        amount: Any,
        default: Any,
    ) -> None:
        """The verbs of the whole dict."""

        def renamed(t: dict[str, Any]) -> None:
            t[other] = t.pop(name)

        calls = [
            Call("del", *[lambda t: _drop(t, name)] * 2),
            Call("pop", *[lambda t: t.pop(name)] * 2),
            Call("pop default", *[lambda t: t.pop(name, 3)] * 2),
            Call("setdefault", *[lambda t: t.setdefault(name, copy.deepcopy(value))] * 2),
            Call("update", *[lambda t: t.update(copy.deepcopy(documents))] * 2),
            Call("|=", *[lambda t: _or(t, copy.deepcopy(documents))] * 2),
            Call("rename", renamed, lambda t: t.rename(name, other)),
            Call(
                "incr",
                lambda t: incr(t, name, amount, default),
                lambda t: t.incr(name, amount, default),
            ),
            Call("toggle", lambda t: toggle(t, name), lambda t: t.toggle(name)),
            Call("concat", lambda t: concat(t, name, "\u4e00"), lambda t: t.concat(name, "\u4e00")),
            Call("clear", *[lambda t: t.clear()] * 2),
            Call("get", *[lambda t: t.get(name, 4)] * 2),
            Call("in", *[lambda t: name in t] * 2),
            Call("len", len, len),
            Call("iter", lambda t: sorted(t), lambda t: sorted(t)),
            Call("items", lambda t: dict(t.items()), lambda t: dict(t.items())),
            Call(
                "get_many",
                lambda t: found(t, [name, other]),
                lambda t: t.get_many([name, other]),
            ),
        ]
        d = self.any_dict(data)
        call = data.draw(st.sampled_from(calls), "verb")
        self.keep(self.step(call, (), lambda: call.live(d)), (name,))

    @rule(data=st.data())
    def take_any_document(self, data: st.DataObject) -> None:
        """Which one is the server's choice: it is put back, so that histories can be replayed."""
        d = self.any_dict(data)
        got, error = attempt(d.popitem)
        if not self.model:
            assert type(error) is KeyError
            return
        name, content = got
        assert bits(content) == bits(self.model[name])
        assert name not in d
        d[name] = content
        self.compare()


class _Routed:
    """The verbs of one place, spelled as path keys on something above it."""

    def __init__(self, target: Any, path: Steps) -> None:
        self.target = target
        self.path = path
        self.key: Any = None

    def _key(self, key: Any) -> Steps:
        self.key = key
        return (*self.path, key)

    def __getitem__(self, key: Any) -> Any:
        return self.target[self._key(key)]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.target[self._key(key)] = value

    def __delitem__(self, key: Any) -> None:
        del self.target[self._key(key)]

    def pop(self, key: Any) -> Any:
        return self.target.pop(self._key(key))

    def setdefault(self, key: Any, value: Any) -> Any:
        return self.target.setdefault(self._key(key), value)

    def incr(self, key: Any, amount: Any, default: Any) -> Any:
        return self.target.incr(self._key(key), amount, default)

    def toggle(self, key: Any) -> bool:
        return self.target.toggle(self._key(key))

    def concat(self, key: Any, text: str) -> None:
        self.target.concat(self._key(key), text)


def test_random_histories_equal_plain_python(url):
    resp2 = redis.Redis.from_url(url, protocol=2)
    resp3 = redis.Redis.from_url(url, protocol=3, decode_responses=True)
    try:
        with (
            Driver(url, protocol=2) as driver2,
            Driver(url, protocol=3, decode_responses=True) as driver3,
        ):
            members = {"clients": (resp2, resp3), "drivers": (driver2, driver3)}
            machine = type("Histories", (Histories,), members)
            run_state_machine_as_test(machine, settings=settings(stateful_step_count=30))
    finally:
        resp2.close()
        resp3.close()
