"""What several processes did to one dict at the same time, and whether atomic steps explain it.

Theory of operation. Every call is recorded with the moments when it began and ended, on the clock
that all processes of a machine share. A history is *linearizable* (Herlihy and Wing, 1990) if its
calls can be put into one order such that a call that ended before another began comes first, each
call, done at once to plain Python data, gives the result that was recorded, and the data end as
those of the server did. The search is Wing and Gong's with Lowe's memory: a set of done calls and
the data that they led to are never looked at twice. A read that fits, or an error, is taken at
once: it changes nothing wherever it comes, so where it can come first it need not come later.

What was refused must not have happened; what has an unknown outcome may have happened, once, at any
time after it began.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import redis
import redis.asyncio

from redisjson_dict import ConflictError, PipelineError, RedisJSONDict
from redisjson_dict.asyncio import RedisJSONDict as AsyncRedisJSONDict

__all__ = [
    "ASYNC_VERBS",
    "ONCE",
    "VERBS",
    "Call",
    "Outcome",
    "Plan",
    "Undecided",
    "arecord",
    "balance",
    "fresh",
    "plan",
    "record",
    "unexplained",
]

Data = dict[str, Any]
Place = tuple[str, ...]

_MEMBERS = ("list", "map", "n", "text", "flag")
LIMIT = 400_000  # sets of calls looked at before a search is given up


class Undecided(Exception):
    """The search was given up: the history has too many calls at the same time."""


class Outcome(NamedTuple):
    """How a call ended.

    Attributes:
        kind: ``returned``, ``raised``, ``refused`` (nothing was changed) or ``unknown``.
        value: the result, or the error's class; for the other two what was said.
    """

    kind: str
    value: Any = None


class Call(NamedTuple):
    """One call of a history; times in nanoseconds of the machine's monotonic clock."""

    process: int
    start: int
    end: int
    verb: str
    place: Place
    arguments: tuple[Any, ...]
    outcome: Outcome


class Plan(NamedTuple):
    """A call that is still to be made."""

    verb: str
    place: Place
    arguments: tuple[Any, ...] = ()


class _Verb(NamedTuple):
    """A verb, on a place of the dict and on the same place of plain data.

    Attributes:
        run: gets a proxy or a reference, or for a verb of the whole the dict; and the arguments.
        model: gets the plain value, changes it, and returns what `run` would.
        draw: makes arguments of a random generator and a number that nobody else uses.
        part: the member of a fresh document that it is about; "." for the object that has them,
            "" for the dict as a whole.
        choose: what the server may choose: more arguments for the model, in all possible ways.
        proxied: whether it needs a proxy, which asyncio does not have.
        resent: whether redis-py may send it again, between the calls of others.
        touches: what it may depend on or change, where that is not its part alone.
    """

    run: Callable[..., Any]
    model: Callable[..., Any]
    draw: Callable[[random.Random, int], tuple[Any, ...]]
    part: str = "list"
    choose: Callable[..., Iterable[tuple[Any, ...]]] = lambda *_: ((),)
    proxied: bool = False
    resent: bool = False
    touches: tuple[str, ...] = ()


def fresh(name: str) -> Data:
    """Return the documents that a history begins with; what changes is below a member `name`."""
    parts = {"list": [7, 3], "map": {"k0": 0}, "n": 0, "text": "", "flag": False}
    return {"doc": {name: parts, "other": 1}, "own0": 5}


def _nothing(_: random.Random, __: int) -> tuple[Any, ...]:
    return ()


def _one(_: random.Random, unique: int) -> tuple[Any, ...]:
    return (unique,)


def _key(rng: random.Random, _: int) -> tuple[Any, ...]:
    return (f"k{rng.randrange(3)}",)


def _key_and(rng: random.Random, unique: int) -> tuple[Any, ...]:
    return (f"k{rng.randrange(3)}", unique)


def _document(rng: random.Random, _: int) -> tuple[Any, ...]:
    return (f"own{rng.randrange(3)}",)


def _range(rng: random.Random, _: int) -> tuple[Any, ...]:
    return rng.choice([(0, 2), (1, 3), (-2, None), (1, 1), (None, 1)])


def _bounded(value: list[Any], item: Any, most: int) -> None:
    value.append(item)
    del value[:-most]


def _trimmed(value: list[Any], start: int, stop: int) -> None:
    value[:] = value[start:stop]


def _grown(value: list[Any]) -> list[Any]:
    return [*value, len(value)]


def _modified(value: list[Any]) -> list[Any]:
    value[:] = _grown(value)
    return list(value)


def _sliced(value: list[Any], start: int | None, stop: int | None, new: list[Any]) -> None:
    value[start:stop] = new


def _cut(value: list[Any], start: int | None, stop: int | None) -> None:
    del value[start:stop]


def _swapped(value: list[Any], index: int, item: Any) -> None:
    value[index] = item


def _popped(value: Data, key: str) -> tuple[str, Any]:
    return key, value.pop(key)


def _keys(value: Data) -> list[tuple[str]]:
    """Return what popitem may take: any member. Without one, it is called as it is."""
    return [(key,) for key in value] or [()]


def _any_popped(value: Data, *key: str) -> tuple[str, Any]:
    return _popped(value, *key) if key else value.popitem()


def _merged(value: Data, patch: Data) -> None:
    for key, item in patch.items():
        if item is None:
            value.pop(key, None)
        else:
            value[key] = item


def _counted(value: Data, key: str, amount: int) -> int:
    value[key] = value.get(key, 0) + amount
    return int(value[key])


def _toggled(value: Data) -> bool:
    value["flag"] = not value["flag"]
    return bool(value["flag"])


def _joined(value: Data, text: str) -> None:
    value["text"] += text


def _renamed(root: Data, old: str, new: str) -> None:
    root[new] = root.pop(old)


def _batch(d: RedisJSONDict, name: str, item: int) -> int:
    with d.pipeline() as batch:
        batch["doc", name, "list"].append(item)
        number = batch["doc", name].incr("n")
        d["own1"] = item
    return number.result()


def _batched(root: Data, name: str, item: int) -> int:
    root["doc"][name]["list"].append(item)
    root["own1"] = item
    return _counted(root["doc"][name], "n", 1)


VERBS: dict[str, _Verb] = {
    "append": _Verb(lambda r, x: r.append(x), list.append, _one),
    "append bounded": _Verb(
        lambda r, x, most: r.append(x, maxlen=most), _bounded, lambda _, unique: (unique, 3)
    ),
    "extend": _Verb(lambda r, xs: r.extend(xs), list.extend, lambda _, x: ([x, x + 1],)),
    "pop": _Verb(lambda r: r.pop(), list.pop, _nothing),
    "pop first": _Verb(lambda r: r.pop(0), lambda v: v.pop(0), _nothing),
    "insert": _Verb(
        lambda r, i, x: r.insert(i, x), list.insert, lambda rng, x: (rng.choice([0, 1, -1, 9]), x)
    ),
    "remove": _Verb(
        lambda r, x: r.remove(x), list.remove, lambda rng, _: (rng.choice([7, 3, 0, 1, 2]),)
    ),
    "trim": _Verb(
        lambda r, i, j: r.trim(i, j), _trimmed, lambda rng, _: rng.choice([(0, 3), (1, 9), (-2, 9)])
    ),
    "sort": _Verb(lambda r: r.sort(), list.sort, _nothing),
    "reverse": _Verb(lambda r: r.reverse(), list.reverse, _nothing),
    "modify": _Verb(lambda r: r.modify(_grown, tries=10_000), _modified, _nothing),
    "slice =": _Verb(
        _sliced, _sliced, lambda rng, x: (*_range(rng, x), [x] * rng.randrange(3)), proxied=True
    ),
    "del slice": _Verb(_cut, _cut, _range, proxied=True),
    "a[i] =": _Verb(
        _swapped, _swapped, lambda rng, x: (rng.choice([0, 1, -1]), x), proxied=True, resent=True
    ),
    "a[i]": _Verb(
        lambda r, i: r[i], lambda v, i: v[i], lambda rng, _: (rng.choice([0, 1, -1]),), proxied=True
    ),
    "slice": _Verb(lambda r, i, j: r[i:j], lambda v, i, j: v[i:j], _range, proxied=True),
    "index": _Verb(lambda r, x: r.index(x), list.index, lambda rng, _: (rng.choice([7, 3, 0]),)),
    "count": _Verb(lambda r, x: r.count(x), list.count, lambda rng, _: (rng.choice([7, 3, 0]),)),
    "in": _Verb(lambda r, x: x in r, lambda v, x: x in v, lambda *_: (3,), proxied=True),
    "len": _Verb(lambda r: len(r), len, _nothing, proxied=True),
    "to_python": _Verb(lambda r: r.to_python(), list, _nothing),
    "setdefault": _Verb(
        lambda r, k, x: r.setdefault(k, x), lambda v, k, x: v.setdefault(k, x), _key_and, "map"
    ),
    "popitem": _Verb(lambda r: r.popitem(), _any_popped, _nothing, "map", _keys),
    "pop member": _Verb(lambda r, k: r.pop(k), lambda v, k: v.pop(k), _key, "map"),
    "get": _Verb(lambda r, k: r.get(k), lambda v, k: v.get(k), _key, "map"),
    "update": _Verb(
        lambda r, items: r.update(items),
        lambda v, items: v.update(items),
        lambda _, x: ({"k0": x, "k1": x},),
        "map",
        resent=True,
    ),
    "merge": _Verb(
        lambda r, patch: r.merge(patch),
        _merged,
        lambda _, x: ({"k0": None, "k2": x},),
        "map",
        resent=True,
    ),
    "incr member": _Verb(lambda r, k: r.incr(k, 2), lambda v, k: _counted(v, k, 2), _key, "map"),
    "map": _Verb(lambda r: r.to_python(), dict, _nothing, "map"),
    "incr": _Verb(
        lambda r: r.incr("n"), lambda v: _counted(v, "n", 1), _nothing, ".", touches=("n",)
    ),
    "toggle": _Verb(lambda r: r.toggle("flag"), _toggled, _nothing, ".", touches=("flag",)),
    "concat": _Verb(
        lambda r, x: r.concat("text", x), _joined, lambda _, x: (f"<{x}>",), ".", touches=("text",)
    ),
    "all": _Verb(lambda r: r.to_python(), dict, _nothing, ".", touches=_MEMBERS),
    "document setdefault": _Verb(
        lambda d, k, x: d.setdefault(k, x),
        lambda v, k, x: v.setdefault(k, x),
        lambda rng, x: (*_document(rng, x), x),
        "",
    ),
    "document pop": _Verb(lambda d, k: d.pop(k), lambda v, k: v.pop(k), _document, ""),
    "document get": _Verb(lambda d, k: d.get(k), lambda v, k: v.get(k), _document, ""),
    "documents update": _Verb(
        lambda d, items: d.update(items),
        lambda v, items: v.update(items),
        lambda _, x: ({"own0": x, "own1": x},),
        "",
        resent=True,
    ),
    "rename": _Verb(
        lambda d, old, new: d.rename(old, new), _renamed, lambda *_: ("own0", "own2"), ""
    ),
    "batch": _Verb(_batch, _batched, _one, "", proxied=True, touches=("list", "n", "")),
}
_READS = frozenset(
    (
        "a[i]",
        "slice",
        "index",
        "count",
        "in",
        "len",
        "to_python",
        "get",
        "map",
        "all",
        "document get",
    )
)
ASYNC_VERBS = [name for name, verb in VERBS.items() if not verb.proxied]
"""What a dict of asyncio does under the same name."""

ONCE = [name for name, verb in VERBS.items() if not verb.resent]
"""What is sent at most once, whatever the client's retry policy."""


def plan(
    rng: random.Random, name: str, process: int, count: int, verbs: Iterable[str] = VERBS
) -> list[Plan]:
    """Return what one process is to do.

    Args:
        rng: draws.
        name: below which member of the document.
        process: who.
        count: how many calls.
        verbs: which; each equally likely.
    """
    names = list(verbs)
    plans = []
    for step in range(count):
        verb = rng.choice(names)
        part = VERBS[verb].part
        place: Place = () if not part else ("doc", name) if part == "." else ("doc", name, part)
        drawn = VERBS[verb].draw(rng, process * 100_000 + step * 10 + 10)
        plans.append(Plan(verb, place, (name, *drawn) if verb == "batch" else drawn))
    return plans


def record(d: RedisJSONDict, process: int, plans: Iterable[Plan], *, held: bool) -> list[Call]:
    """Do what was planned, and return the calls.

    Args:
        d: the dict.
        process: who does it.
        plans: what to do.
        held: use proxies wherever there is a choice, not references.
    """
    calls = []
    for verb, place, arguments in plans:
        spec = VERBS[verb]
        start = time.monotonic_ns()
        try:
            target: Any = d if not place else d[place] if held or spec.proxied else d.at(*place)
            outcome = Outcome("returned", spec.run(target, *arguments))
        except (LookupError, ValueError, TypeError, RuntimeError, redis.RedisError) as error:
            outcome = _judged(error)
        calls.append(Call(process, start, time.monotonic_ns(), verb, place, arguments, outcome))
    return calls


async def arecord(d: AsyncRedisJSONDict, process: int, plans: Iterable[Plan]) -> list[Call]:
    """Do as `record` does, on a dict of asyncio."""
    calls = []
    for verb, place, arguments in plans:
        start = time.monotonic_ns()
        try:
            result = await VERBS[verb].run(d.at(*place) if place else d, *arguments)
            outcome = Outcome("returned", result)
        except (LookupError, ValueError, TypeError, RuntimeError, redis.RedisError) as error:
            outcome = _judged(error)
        calls.append(Call(process, start, time.monotonic_ns(), verb, place, arguments, outcome))
        await asyncio.sleep(0)
    return calls


def _judged(error: Exception) -> Outcome:
    """Return what an error says about the data; one of a server or a batch must say something."""
    said = " ".join([type(error).__name__, str(error), *getattr(error, "__notes__", ())])
    if not isinstance(error, (redis.RedisError, PipelineError, ConflictError)):
        return Outcome("raised", type(error).__name__)
    if "outcome unknown" in said:
        return Outcome("unknown", said)
    if any(words in said for words in ("nothing was", "0 of the batch's")):
        return Outcome("refused", said)
    raise AssertionError(f"an error that does not say what happened to the data: {said}") from error


def unexplained(before: Data, calls: Iterable[Call], after: Data) -> str:
    """Return how far one gets in explaining a history by atomic steps; "" if all is explained.

    What touches different members is looked at apart: a history is linearizable if its calls on
    each object are.

    Args:
        before: the data at first.
        calls: by all processes, in any order.
        after: the data at last.

    Raises:
        Undecided: that would take too long to find out.
    """
    done = sorted(
        (call for call in calls if call.outcome.kind != "refused"),
        key=lambda call: (call.end, call.start),
    )
    groups = _apart([_touched(call) for call in done])
    if _text(_mixed(before, after, set().union(*groups))) != _text(after):
        return f"something was changed that nobody touched: {before}, {after}"
    for group in groups:
        search = _Search(
            [call for call in done if _touched(call) <= group],
            _text(_mixed(before, after, group)),
        )
        if not search.run(_text(before)):
            return search.stuck()
    return ""


def _touched(call: Call) -> set[str]:
    verb = VERBS[call.verb]
    return set(verb.touches or (verb.part,))


def _apart(touched: list[set[str]]) -> list[set[str]]:
    """Return sets that have nothing in common, each made of those that have."""
    groups: list[set[str]] = []
    for one in touched:
        common = [group for group in groups if group & one]
        groups = [group for group in groups if not group & one] + [one.union(*common)]
    return groups


def _mixed(before: Data, after: Data, parts: set[str]) -> Data:
    """Return the data before, with some parts as after."""
    name = next(key for key in before["doc"] if key != "other")
    members = {part: after["doc"][name][part] for part in parts if part}
    documents = after if "" in parts else before
    return {**documents, "doc": before["doc"] | {name: before["doc"][name] | members}}


class _Search:
    """A depth-first search for an order; `seen` are the sets of calls, as bits, and their data."""

    def __init__(self, calls: list[Call], wanted: str) -> None:
        self.calls = calls
        self.wanted = wanted
        self.needed = sum(
            1 << number for number, call in enumerate(calls) if call.outcome.kind != "unknown"
        )
        self.seen: set[tuple[int, str]] = set()
        self.steps: dict[tuple[int, str], list[str]] = {}

    def run(self, text: str) -> bool:
        """Return whether there is an order."""
        path: list[tuple[int, Iterator[tuple[int, str]]]] = [(0, self._moves(0, text))]
        while path:
            done, moves = path[-1]
            move = next(moves, None)
            if move is None:
                path.pop()
                continue
            number, after = move
            if number < 0:
                return True
            state = (done | 1 << number, after)
            if state in self.seen:
                continue
            self.seen.add(state)
            if len(self.seen) > LIMIT:
                raise Undecided(f"{len(self.calls)} calls, {LIMIT} sets of them looked at")
            path.append((state[0], self._moves(*state)))
        return False

    def stuck(self) -> str:
        """Return the longest order that was found, as the data after it, and what is left then."""
        done, data = max(self.seen, key=lambda state: state[0].bit_count(), default=(0, ""))
        left = [call for number, call in enumerate(self.calls) if not done >> number & 1]
        lines = [f"{done.bit_count()} of {len(self.calls)} calls lead to {data}; then come", *left]
        return "\n".join(
            map(str, [*lines, f"and in the end {self.wanted}. All calls:", *self.calls])
        )

    def _moves(self, done: int, text: str) -> Iterator[tuple[int, str]]:
        """Yield which call may come next and the data after it; -1: none need come."""
        if done & self.needed == self.needed and text == self.wanted:
            yield -1, text
            return
        left = [n for n in range(len(self.calls)) if not done >> n & 1]
        ends = (self.calls[n].end for n in left if self.needed >> n & 1)
        first_end = min(ends, default=float("inf"))
        branches = []
        for number in left:
            if self.calls[number].start > first_end:
                continue
            for after in self._after(number, text):
                if _is_read(self.calls[number]):
                    yield number, after
                    return
                branches.append((number, after))
        yield from branches

    def _after(self, number: int, text: str) -> list[str]:
        known = self.steps.get((number, text))
        if known is None:
            known = self.steps[number, text] = list(_steps(self.calls[number], text))
        return known


def _is_read(call: Call) -> bool:
    return call.outcome.kind == "raised" or call.verb in _READS


def _steps(call: Call, text: str) -> Iterator[str]:
    """Yield the data after a call, in all ways that fit its outcome."""
    verb = VERBS[call.verb]
    for chosen in verb.choose(_at(json.loads(text), call.place)):
        root = json.loads(text)
        try:
            result = verb.model(_at(root, call.place), *call.arguments, *chosen)
            outcome = Outcome("returned", result)
        except (LookupError, ValueError) as error:
            outcome = Outcome("raised", type(error).__name__)
        if call.outcome.kind == "unknown" or _same(outcome, call.outcome):
            yield _text(root)


def _at(root: Data, place: Place) -> Any:
    value: Any = root
    for step in place:
        value = value[step]
    return value


def _same(one: Outcome, other: Outcome) -> bool:
    return one.kind == other.kind and _text(one.value) == _text(other.value)


def _text(value: Any) -> str:
    """Return data as text: equal only if they are, types included; a tuple is as a list."""
    return json.dumps(value, sort_keys=True)


def balance(calls: Iterable[Call], before: list[Any], after: list[Any]) -> str:
    """Return what is wrong with what was pushed and popped; "" if nothing is.

    Every item that was pushed (`append`, `insert`) was popped once or is still there; what each
    process appended and was not popped is there in its order.
    """
    pushed = Counter(before)
    popped: list[Call] = []
    mine: dict[int, list[Any]] = {}
    for call in calls:
        if call.verb in ("append", "insert") and call.outcome.kind == "returned":
            pushed[call.arguments[-1]] += 1
            if call.verb == "append":
                mine.setdefault(call.process, []).append(call.arguments[-1])
        elif call.verb in ("pop", "pop first") and call.outcome.kind == "returned":
            popped.append(call)
    gone = Counter(call.outcome.value for call in popped)
    if gone + Counter(after) != pushed:
        return f"lost {pushed - gone - Counter(after)}, twice {gone + Counter(after) - pushed}"
    for process, items in mine.items():
        left = [item for item in after if item in items]
        if left != [item for item in items if item in left]:
            return f"process {process} pushed {items}, found {left}"
    return ""
