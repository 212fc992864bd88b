"""Many processes and threads on one dict: nothing lost, nothing twice."""

from __future__ import annotations

import multiprocessing
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from typing import Any

import pytest
import redis

from redisjson_dict import ConflictError, RedisJSONDict, StaleLocationError

WORKERS = 8
PLACES = {
    "plain": "a",
    "backslash": "a\\b",
    "leading-space": " x",
    "both-quotes": "'\"",
}
UNWRITABLE = [name for name in PLACES if name != "plain"]

_barrier: Any = None


def _join(barrier: Any) -> None:
    global _barrier
    _barrier = barrier


def _work(job: Callable[..., Any], url: str, prefix: str, number: int, arguments: Any) -> Any:
    client = redis.Redis.from_url(url, protocol=2 + number % 2)
    try:
        d = RedisJSONDict(client, prefix)
        _barrier.wait(60)
        return job(d, number, *arguments)
    finally:
        client.close()


class Crowd:
    """Eight workers that start a job at the same moment."""

    def __init__(self, pool: Any, url: str, prefix: str) -> None:
        self.pool = pool
        self.url = url
        self.prefix = prefix

    def __call__(self, job: Callable[..., Any], *arguments: Any) -> list[Any]:
        jobs = [
            self.pool.submit(_work, job, self.url, self.prefix, number, arguments)
            for number in range(WORKERS)
        ]
        return [job.result(120) for job in jobs]


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(WORKERS)
    with ProcessPoolExecutor(WORKERS, context, _join, (barrier,)) as pool:
        yield pool


class Threads:
    """Eight threads that share one dict and its client."""

    def __init__(self, d: RedisJSONDict) -> None:
        self.d = d

    def __call__(self, job: Callable[..., Any], *arguments: Any) -> list[Any]:
        barrier = threading.Barrier(WORKERS)

        def work(number: int) -> Any:
            barrier.wait(60)
            return job(self.d, number, *arguments)

        with ThreadPoolExecutor(WORKERS) as pool:
            return list(pool.map(work, range(WORKERS)))


@pytest.fixture(params=["processes", "threads"])
def crowd(request: pytest.FixtureRequest, url: str, prefix: str, d: RedisJSONDict) -> Any:
    if request.param == "threads":
        return Threads(d)
    return Crowd(request.getfixturevalue("processes"), url, prefix)


@pytest.fixture(params=PLACES.values(), ids=PLACES.keys())
def name(request: pytest.FixtureRequest) -> str:
    """A member's name: one that every command can write, and those that none can."""
    return request.param


def each(results: list[list[Any]]) -> list[Any]:
    return list(chain.from_iterable(results))


def mine(number: int, count: int) -> list[int]:
    return [number * 1000 + step for step in range(count)]


def is_subsequence(part: list[Any], whole: list[Any]) -> bool:
    rest = iter(whole)
    return all(item in rest for item in part)


# The jobs: module level, so that a spawned process can import them.


def append(d: RedisJSONDict, number: int, name: str, count: int) -> None:
    held = d["doc"][name]
    for step, item in enumerate(mine(number, count)):
        if step % 3 == 0:
            held.append(item)
        elif step % 3 == 1:
            d.at("doc", name).append(item)
        else:
            d["doc", name].extend([item])


def insert(d: RedisJSONDict, number: int, name: str, count: int) -> None:
    held = d["doc"][name]
    for step, item in enumerate(mine(number, count)):
        held.insert((0, step, -1)[step % 3], item)


def increment(d: RedisJSONDict, number: int, name: str, count: int) -> list[int]:
    held = d["doc"]
    return [
        held.incr(name) if step % 2 else d.incr(("doc", name), default=0) for step in range(count)
    ]


def increment_document(d: RedisJSONDict, number: int, count: int) -> list[int]:
    return [d.incr("counter", default=10) for _ in range(count)]


def toggle(d: RedisJSONDict, number: int, name: str, count: int) -> list[bool]:
    return [d["doc"].toggle(name) for _ in range(count)]


def concat(d: RedisJSONDict, number: int, name: str, count: int) -> None:
    for step in range(count):
        d["doc"].concat(name, f"<{number}.{step}>")


def setdefault(d: RedisJSONDict, number: int, name: str, count: int) -> list[Any]:
    held = d["doc"]
    return [held.setdefault(f"{name}{step}", [number, step]).to_python() for step in range(count)]


def setdefault_document(d: RedisJSONDict, number: int, count: int) -> list[Any]:
    return [d.setdefault(f"own{step}", {"by": number}).to_python() for step in range(count)]


def remove(d: RedisJSONDict, number: int, name: str, count: int) -> list[int]:
    taken = []
    for item in range(count):
        try:
            d["doc"][name].remove(item)
        except ValueError:
            continue
        taken.append(item)
    return taken


def pop_element(d: RedisJSONDict, number: int, name: str) -> list[int]:
    taken = []
    held = d["doc"][name]
    while True:
        try:
            taken.append(held.pop((0, -1)[number % 2]))
        except IndexError:
            return taken


def pop_member(d: RedisJSONDict, number: int, name: str, count: int) -> list[Any]:
    missing = object()
    found = [d["doc"].pop((name, str(step)), missing) for step in range(count)]
    return [item for item in found if item is not missing]


def popitem(d: RedisJSONDict, number: int, name: str) -> list[Any]:
    taken = []
    held = d["doc"][name]
    while True:
        try:
            taken.append(held.popitem())
        except KeyError:
            return taken


def popitem_document(d: RedisJSONDict, number: int) -> list[Any]:
    taken = []
    while True:
        try:
            taken.append(d.popitem())
        except KeyError:
            return taken


def pop_document(d: RedisJSONDict, number: int, count: int) -> list[Any]:
    taken = []
    for step in range(count):
        with suppress(KeyError):
            taken.append(d.pop(f"own{step}"))
    return taken


def replace_head(d: RedisJSONDict, number: int, name: str, count: int) -> None:
    """Worker 0 rewrites the first two elements; the others append."""
    held = d["doc"][name]
    if number:
        append(d, number, name, count)
        return
    for step in range(count):
        held[0:2] = [-step, -step]


def sort_or_append(d: RedisJSONDict, number: int, name: str, count: int) -> None:
    """Worker 0 sorts, worker 1 reverses; the others append to the same array."""
    if number > 1:
        append(d, number, name, count)
        return
    for _ in range(count // 2):
        if number:
            d["doc"][name].reverse()
        else:
            d["doc"][name].sort()


def double_slices(d: RedisJSONDict, number: int, name: str, count: int) -> None:
    """Worker 0 deletes what it inserted in the middle; the others append."""
    if number:
        append(d, number, name, count)
        return
    held = d["doc"][name]
    for _ in range(count):
        held[1:1] = ["mine", "mine"]
        del held[1:3]


def modify(d: RedisJSONDict, number: int, name: str, count: int) -> int:
    done = 0
    for _ in range(count):
        d.at("doc", name).modify(lambda value: [*value, len(value)], tries=10_000)
        done += 1
    return done


def modify_apart(d: RedisJSONDict, number: int, name: str, count: int) -> int:
    """Each changes its own fragment and never loses a race against the others."""
    held = d["doc"][str(number)]
    for _ in range(count):
        held.modify(lambda value: {**value, "n": value["n"] + 1}, tries=1)
    return count


def own_members(d: RedisJSONDict, number: int, name: str, count: int) -> None:
    held = d["doc", name]
    for step in range(count):
        held[f"{number}.{step}"] = step
        held.update({f"{number}.u{step}": [step]})
        if step % 2:
            del held[f"{number}.{step}"]


def own_members_unwritable(d: RedisJSONDict, number: int, name: str, count: int) -> None:
    for step in range(count):
        d["doc", f"{name}{number}.{step}"] = step


def bounded(d: RedisJSONDict, number: int, name: str, count: int) -> None:
    for item in mine(number, count):
        d["doc"][name].append(item, maxlen=10)


def swap_kinds(d: RedisJSONDict, number: int, name: str, count: int) -> int:
    """Half replace and delete a member, the others write below it: never a half-way state."""
    done = 0
    for step in range(count):
        if number % 2:
            d["doc", name] = {"list": []}
            d.at("doc").pop(name, None)
        else:
            try:
                d["doc", name, "list"].append(step)
                done += 1
            except (KeyError, StaleLocationError):
                continue
    return done


def update_many(d: RedisJSONDict, number: int, count: int) -> None:
    for step in range(count):
        d.update({key: [number, step] for key in ("one", "two", "three")})


# The tests.


def test_appends_are_kept_once_and_in_order(crowd, d, name):
    d["doc"] = {name: [], "other": [1]}

    crowd(append, name, 12)

    stored = d["doc", name].to_python()
    assert Counter(stored) == Counter(each([mine(n, 12) for n in range(WORKERS)]))
    assert all(is_subsequence(mine(n, 12), stored) for n in range(WORKERS))
    assert d["doc", "other"] == [1]


def test_inserts_are_kept_once(crowd, d, name):
    d["doc"] = {name: [-1, -2, -3]}

    crowd(insert, name, 9)

    wanted = [-1, -2, -3, *each([mine(n, 9) for n in range(WORKERS)])]
    assert Counter(d["doc", name].to_python()) == Counter(wanted)


def test_every_increment_counts_and_replies_its_own(crowd, d, name):
    d["doc"] = {}

    replies = each(crowd(increment, name, 15))

    assert sorted(replies) == list(range(1, WORKERS * 15 + 1))
    assert d["doc", name] == WORKERS * 15


def test_increments_near_the_limit_of_doubles_count(crowd, d):
    d["doc"] = {"n": 2**53 - 20}

    replies = each(crowd(increment, "n", 6))

    assert sorted(replies) == list(range(2**53 - 19, 2**53 - 20 + WORKERS * 6 + 1))


def test_document_is_incremented_by_all_from_one_start(crowd, d):
    replies = each(crowd(increment_document, 15))

    assert sorted(replies) == list(range(11, 11 + WORKERS * 15))


def test_toggles_alternate(crowd, d, name):
    d["doc"] = {name: False}

    replies = each(crowd(toggle, name, 8))

    assert Counter(replies) == {True: WORKERS * 4, False: WORKERS * 4}
    assert d["doc", name] is False


def test_concatenations_are_whole_and_once(crowd, d, name):
    d["doc"] = {name: ""}

    crowd(concat, name, 8)

    pieces = d["doc", name].removeprefix("<").removesuffix(">").split("><")
    assert Counter(pieces) == Counter(f"{n}.{s}" for n in range(WORKERS) for s in range(8))


def test_setdefault_has_one_winner_that_all_see(crowd, d, name):
    d["doc"] = {}

    seen = crowd(setdefault, name, 8)

    assert all(one == seen[0] for one in seen)
    assert d["doc"] == {f"{name}{step}": seen[0][step] for step in range(8)}


def test_setdefault_of_documents_has_one_winner(crowd, d):
    seen = crowd(setdefault_document, 10)

    assert all(one == seen[0] for one in seen)
    assert d == {f"own{step}": seen[0][step] for step in range(10)}


def test_remove_takes_each_value_once(crowd, d, name):
    d["doc"] = {name: [*range(20), "left"]}

    taken = each(crowd(remove, name, 20))

    assert sorted(taken) == list(range(20))
    assert d["doc", name] == ["left"]


def test_pop_gives_each_element_once(crowd, d, name):
    d["doc"] = {name: list(range(80))}

    taken = each(crowd(pop_element, name))

    assert sorted(taken) == list(range(80))
    assert d["doc", name] == []


def test_pop_gives_each_member_once(crowd, d, name):
    d["doc"] = {name: {str(step): step for step in range(30)}}

    taken = each(crowd(pop_member, name, 30))

    assert sorted(taken) == list(range(30))
    assert d["doc", name] == {}


def test_popitem_gives_each_member_once(crowd, d, name):
    content = {f"{prefix}{step}": step for step in range(15) for prefix in ("", " ", "\\")}
    d["doc"] = {name: content}

    taken = each(crowd(popitem, name))

    assert Counter(taken) == Counter(content.items())
    assert d["doc", name] == {}


def test_popitem_gives_each_document_once(crowd, d):
    d.update({f"own{step}": step for step in range(60)})

    taken = each(crowd(popitem_document))

    assert Counter(taken) == Counter((f"own{step}", step) for step in range(60))
    assert len(d) == 0


def test_pop_gives_each_document_once(crowd, d):
    d.update({f"own{step}": step + 1 for step in range(30)})

    taken = each(crowd(pop_document, 30))

    assert sorted(taken) == list(range(1, 31))
    assert not d


def test_slice_assignment_spares_appends(crowd, d, name):
    d["doc"] = {name: [0, 0]}

    crowd(replace_head, name, 9)

    stored = d["doc", name].to_python()
    assert stored[:2] == [-8, -8]
    assert Counter(stored[2:]) == Counter(each([mine(n, 9) for n in range(1, WORKERS)]))


def test_slices_of_the_middle_spare_appends(crowd, d, name):
    d["doc"] = {name: ["first"]}

    crowd(double_slices, name, 9)

    wanted = ["first", *each([mine(n, 9) for n in range(1, WORKERS)])]
    assert Counter(d["doc", name].to_python()) == Counter(wanted)


def test_sort_and_reverse_spare_appends(crowd, d, name):
    d["doc"] = {name: []}

    crowd(sort_or_append, name, 10)

    wanted = each([mine(n, 10) for n in range(2, WORKERS)])
    assert Counter(d["doc", name].to_python()) == Counter(wanted)


def test_modify_of_one_place_by_all_loses_none(crowd, d, name):
    d["doc"] = {name: []}

    crowd(modify, name, 5)

    assert d["doc", name] == list(range(WORKERS * 5))


def test_modify_of_disjoint_fragments_never_conflicts(crowd, d):
    d["doc"] = {str(number): {"n": 0} for number in range(WORKERS)}

    crowd(modify_apart, "", 15)

    assert d["doc"] == {str(number): {"n": 15} for number in range(WORKERS)}


def test_modify_gives_up_after_its_tries(d):
    d["doc"] = {"n": 0}

    def meddle(value: Any) -> Any:
        d["doc", "n"] = value["n"] + 1
        return {"lost": True}

    with pytest.raises(ConflictError):
        d["doc"].modify(meddle, tries=3)
    assert d["doc"] == {"n": 3}


def test_disjoint_members_do_not_disturb_each_other(crowd, d, name):
    d["doc"] = {name: {}, "other": 1}

    crowd(own_members, name, 6)

    kept = {f"{n}.{s}": s for n in range(WORKERS) for s in range(0, 6, 2)}
    updated = {f"{n}.u{s}": [s] for n in range(WORKERS) for s in range(6)}
    assert d["doc"] == {name: kept | updated, "other": 1}


@pytest.mark.parametrize("kind", UNWRITABLE)
def test_new_unwritable_members_are_all_kept(crowd, d, kind):
    name = PLACES[kind]
    d["doc"] = {"other": 1}

    crowd(own_members_unwritable, name, 6)

    fresh = {f"{name}{n}.{s}": s for n in range(WORKERS) for s in range(6)}
    assert d["doc"] == {"other": 1, **fresh}


def test_bounded_appends_keep_the_bound(crowd, d, name):
    d["doc"] = {name: []}

    crowd(bounded, name, 8)

    stored = d["doc", name].to_python()
    assert len(stored) == len(set(stored)) == 10
    assert set(stored) <= set(each([mine(n, 8) for n in range(WORKERS)]))


def test_write_below_what_others_delete_never_revives_it(crowd, d, name):
    d["doc"] = {}

    crowd(swap_kinds, name, 10)

    assert d["doc"] == {}


def test_update_of_documents_is_all_or_nothing(crowd, d):
    crowd(update_many, 20)

    stored = d.to_python()
    assert stored.keys() == {"one", "two", "three"}
    assert stored["one"] == stored["two"] == stored["three"]
    assert stored["one"][1] == 19
