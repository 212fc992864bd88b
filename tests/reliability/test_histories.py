"""Eight processes at once, and every result explained by some order of atomic steps."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, NamedTuple

import history
import pytest
import redis
import redis.asyncio
from clusters import HOST, LocalCluster
from history import Call, Outcome, Plan
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.retry import Retry
from states import STATES, pressable, pressed

from redisjson_dict import RedisJSONDict
from redisjson_dict.asyncio import RedisJSONDict as AsyncRedisJSONDict
from redisjson_dict.server import Server

WORKERS = 8
TASKS = 3
PLACES = {"plain": "a", "backslash": "a\\b", "leading-space": " x", "both-quotes": "'\""}
WIDE = ("batch", "all")  # these look at several places at once
NARROW = [name for name in history.VERBS if name not in WIDE]
MIXED = ["batch", "batch", "all", "append", "incr", "pop first", "document get", "document pop"]

_barrier: Any = None


class Job(NamedTuple):
    """What one process is told: where, who it is, and what to do in each round."""

    url: str
    prefix: str
    process: int
    rounds: list[list[Plan]]
    kind: str


def _join(barrier: Any) -> None:
    global _barrier
    _barrier = barrier


def _space(prefix: str, number: int) -> str:
    return f"{prefix}{number}:"


def _work(job: Job) -> list[list[Call]]:
    try:
        return _KINDS[job.kind](job)
    except BaseException:
        _barrier.abort()  # else the others would wait
        raise


def _blocking(job: Job) -> list[list[Call]]:
    with redis.Redis.from_url(job.url, protocol=2 + job.process % 2) as client:
        return _rounds(job, client)


def _cluster(job: Job) -> list[list[Call]]:
    client = RedisCluster.from_url(job.url, retry=Retry(NoBackoff(), 0))
    try:
        return _rounds(job, client)
    finally:
        client.close()


def _rounds(job: Job, client: Any) -> list[list[Call]]:
    done = []
    for number, plans in enumerate(job.rounds):
        d = RedisJSONDict(client, _space(job.prefix, number))
        _barrier.wait(60)
        done.append(history.record(d, job.process, plans, held=bool(job.process // 2 % 2)))
    return done


def _awaiting(job: Job) -> list[list[Call]]:
    """Do the same with several tasks that share one dict, and so its plans."""

    async def rounds() -> list[list[Call]]:
        done = []
        async with redis.asyncio.Redis.from_url(job.url) as client:
            for number, plans in enumerate(job.rounds):
                d = AsyncRedisJSONDict(client, _space(job.prefix, number))
                _barrier.wait(60)
                shares = [plans[task::TASKS] for task in range(TASKS)]
                jobs = [
                    history.arecord(d, job.process * TASKS + task, share)
                    for task, share in enumerate(shares)
                ]
                done.append([call for calls in await asyncio.gather(*jobs) for call in calls])
        return done

    return asyncio.run(rounds())


def _naive(job: Job) -> list[list[Call]]:
    """Do it as one would without this library: read the document, change it, write it back."""
    done = []
    with redis.Redis.from_url(job.url) as client:
        for number, plans in enumerate(job.rounds):
            key = _space(job.prefix, number) + "doc"
            _barrier.wait(60)
            calls = []
            for verb, place, arguments in plans:
                start = time.monotonic_ns()
                document = json.loads(client.execute_command("JSON.GET", key))
                value = document
                for step in place[1:]:
                    value = value[step]
                result = history.VERBS[verb].model(value, *arguments)
                client.execute_command("JSON.SET", key, "$", json.dumps(document))
                outcome = Outcome("returned", result)
                calls.append(
                    Call(job.process, start, time.monotonic_ns(), verb, place, arguments, outcome)
                )
            done.append(calls)
    return done


_KINDS: dict[str, Callable[[Job], list[list[Call]]]] = {
    "blocking": _blocking,
    "asyncio": _awaiting,
    "naive": _naive,
    "cluster": _cluster,
}


class Seen(NamedTuple):
    """A round: its calls, and the documents after it."""

    calls: list[Call]
    after: dict[str, Any]


class Crowd:
    """Eight processes that go through rounds together, each round from fresh documents."""

    def __init__(self, pool: ProcessPoolExecutor, barrier: Any) -> None:
        self.pool = pool
        self.barrier = barrier

    def start(
        self, url: str, prefix: str, plans: list[list[list[Plan]]], kind: str
    ) -> list[Future[list[list[Call]]]]:
        """Start all processes; `plans` are by process and round."""
        self.barrier.reset()
        jobs = [Job(url, prefix, number, rounds, kind) for number, rounds in enumerate(plans)]
        return [self.pool.submit(_work, job) for job in jobs]


@pytest.fixture(scope="module")
def crowd() -> Iterator[Crowd]:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(WORKERS)
    with ProcessPoolExecutor(WORKERS, context, _join, (barrier,)) as pool:
        yield Crowd(pool, barrier)


def planned(
    rounds: int, name: str, count: int, verbs: Any, workers: int = WORKERS
) -> list[list[list[Plan]]]:
    """Return what each process is to do in each round; those above `workers` look on."""
    counts = [count if process < workers else 0 for process in range(WORKERS)]
    return [
        [
            history.plan(
                random.Random(f"{process} {number}"), name, process, counts[process], verbs
            )
            for number in range(rounds)
        ]
        for process in range(WORKERS)
    ]


def prepare(client: Any, prefix: str, name: str, rounds: int) -> None:
    for number in range(rounds):
        RedisJSONDict(client, _space(prefix, number)).update(history.fresh(name))


def gathered(
    client: Any, prefix: str, jobs: list[Future[list[list[Call]]]], patience: float = 240
) -> list[Seen]:
    """Return all rounds, when all processes have ended."""
    errors = [job.exception(patience) for job in jobs]
    for error in sorted(filter(None, errors), key=_is_aftermath):
        raise error
    by_process = [job.result() for job in jobs]
    return [
        Seen(
            [call for calls in by_process for call in calls[number]],
            RedisJSONDict(client, _space(prefix, number)).to_python(),
        )
        for number in range(len(by_process[0]))
    ]


def _is_aftermath(error: BaseException) -> bool:
    return isinstance(error, threading.BrokenBarrierError)


def unexplained(name: str, rounds: list[Seen]) -> list[str]:
    """Return, for each round that no order of atomic steps explains, what was seen."""
    before = history.fresh(name)
    found = [history.unexplained(before, seen.calls, seen.after) for seen in rounds]
    return list(filter(None, found))


def calls_of(rounds: list[Seen]) -> Counter[str]:
    return Counter(call.outcome.kind for seen in rounds for call in seen.calls)


# The checker itself.


def call(
    process: int,
    start: int,
    end: int,
    verb: str,
    *arguments: Any,
    gives: Any = None,
    kind: str = "",
) -> Call:
    place = ("doc", "a", history.VERBS[verb].part)
    return Call(process, start, end, verb, place, arguments, Outcome(kind or "returned", gives))


def ended(items: list[Any]) -> dict[str, Any]:
    data = history.fresh("a")
    data["doc"]["a"]["list"] = items
    return data


def explained(items: list[Any], *calls: Call) -> bool:
    return not history.unexplained(history.fresh("a"), calls, ended(items))


def test_checker_accepts_what_overlaps_in_any_order():
    one, two = call(0, 0, 9, "append", 1), call(1, 1, 8, "append", 2)

    assert explained([7, 3, 1, 2], one, two)
    assert explained([7, 3, 2, 1], one, two)


def test_checker_refuses_an_order_against_the_clock():
    one, two = call(0, 0, 1, "append", 1), call(1, 2, 3, "append", 2)

    assert explained([7, 3, 1, 2], one, two)
    assert not explained([7, 3, 2, 1], one, two)


def test_checker_refuses_a_lost_update():
    assert not explained([7, 3, 2], call(0, 0, 9, "append", 1), call(1, 1, 8, "append", 2))


def test_checker_refuses_a_write_applied_twice():
    assert not explained([7, 3, 1, 1], call(0, 0, 9, "append", 1))


def test_checker_refuses_a_double_pop():
    pops = [call(number, 0, 9, "pop", gives=3) for number in range(2)]

    assert explained([7], pops[0])
    assert not explained([7], *pops)
    assert not explained([], *pops)


def test_checker_refuses_a_stale_read():
    write = call(0, 0, 1, "append", 1)

    assert explained([7, 3, 1], write, call(1, 0, 3, "len", gives=2))
    assert explained([7, 3, 1], write, call(1, 2, 3, "len", gives=3))
    assert not explained([7, 3, 1], write, call(1, 2, 3, "len", gives=2))


def test_checker_refuses_reads_that_go_back():
    write = call(0, 0, 9, "append", 1)
    reads = [call(1, 1, 2, "len", gives=3), call(2, 3, 4, "len", gives=2)]

    assert explained([7, 3, 1], write, *reads[:1])
    assert not explained([7, 3, 1], write, *reads)


def test_checker_lets_a_call_wait_though_it_would_fit_at_once():
    pop = call(0, 0, 1, "pop first", gives=7)
    sort, push = call(1, 0, 9, "sort"), call(2, 2, 3, "extend", [1])

    assert explained([1, 3], pop, sort, push)  # a list of one is sorted; it is not the time yet


def test_checker_sees_what_nobody_touched():
    after = ended([7])
    after["doc"]["a"]["n"] = 1

    assert history.unexplained(history.fresh("a"), [call(0, 0, 1, "pop", gives=3)], after)
    assert history.unexplained(history.fresh("a"), [], ended([7]))


def test_checker_tells_one_from_true_and_a_wrong_error():
    assert not explained([7, 3], call(0, 0, 1, "in", 3, gives=1))
    assert explained([7, 3], call(0, 0, 1, "index", 5, gives="ValueError", kind="raised"))
    assert not explained([7, 3], call(0, 0, 1, "index", 7, gives="ValueError", kind="raised"))


def test_checker_takes_unknown_outcomes_once_or_not_at_all():
    lost = call(0, 0, 1, "append", 1, kind="unknown")

    assert explained([7, 3], lost)
    assert explained([7, 3, 1], lost)
    assert not explained([7, 3, 1, 1], lost)
    assert not explained([1, 7, 3], lost)
    assert explained([7, 3, 2, 1], lost, call(1, 5, 6, "append", 2))  # later than its time-out
    assert not explained([7, 3, 1], call(0, 0, 1, "append", 1, kind="refused"))


def test_checker_lets_popitem_take_any_member_but_only_once():
    before = history.fresh("a")
    before["doc"]["a"]["map"] = {"x": 1, "y": 2}
    after = history.fresh("a")
    after["doc"]["a"]["map"] = {"y": 2}

    def took(process: int, *item: Any) -> Call:
        return call(process, 0, 1, "popitem", gives=item)

    assert not history.unexplained(before, [took(0, "x", 1)], after)
    assert history.unexplained(before, [took(0, "y", 2)], after)
    assert history.unexplained(before, [took(0, "x", 1), took(1, "x", 1)], after)


def test_checker_gives_up_aloud(monkeypatch):
    monkeypatch.setattr(history, "LIMIT", 50)
    many = [call(number, 0, 9, "append", number) for number in range(6)]

    with pytest.raises(history.Undecided):
        history.unexplained(history.fresh("a"), many, ended([]))


def test_balance_tells_lost_doubled_and_disordered():
    pushes = [call(0, n, n + 1, "append", n) for n in range(3)]
    popped = call(1, 5, 6, "pop first", gives=0)

    assert history.balance([*pushes, popped], [], [1, 2]) == ""
    assert "lost" in history.balance([*pushes, popped], [], [1])
    assert "twice" in history.balance([*pushes, popped], [], [0, 1, 2])
    assert "process 0" in history.balance([*pushes, popped], [], [2, 1])


def test_checker_catches_a_client_that_reads_and_writes_back(crowd, client, prefix, url):
    plans = planned(3, "a", 6, ["append", "incr", "setdefault", "len"])
    prepare(client, prefix, "a", 3)

    rounds = gathered(client, prefix, crowd.start(url, prefix, plans, "naive"))

    assert unexplained("a", rounds)


# The library.


@pytest.mark.parametrize("place", PLACES)
def test_history_of_all_verbs_is_linearizable(crowd, client, prefix, url, effort, figures, place):
    name = PLACES[place]
    count = effort.pick(8, 100)
    plans = planned(count, name, 10, NARROW)
    prepare(client, prefix, name, count)

    rounds = gathered(client, prefix, crowd.start(url, prefix, plans, "blocking"))

    assert not unexplained(name, rounds)
    kinds = calls_of(rounds)
    assert set(kinds) == {"returned", "raised"}
    figures[f"histories, {place} name: histories, calls"] = f"{count}, {sum(kinds.values())}"


def test_history_of_asyncio_tasks_is_linearizable(crowd, client, prefix, url, effort, figures):
    count = effort.pick(5, 60)
    plans = planned(count, "a", 12, [name for name in history.ASYNC_VERBS if name not in WIDE], 3)
    prepare(client, prefix, "a", count)

    rounds = gathered(client, prefix, crowd.start(url, prefix, plans, "asyncio"))

    assert not unexplained("a", rounds)
    figures["histories, asyncio tasks: histories, calls"] = (
        f"{count}, {sum(calls_of(rounds).values())}"
    )


def test_history_of_batches_is_linearizable(crowd, client, prefix, url, effort, figures):
    count = effort.pick(6, 100)
    plans = planned(count, "a", 3, MIXED)
    prepare(client, prefix, "a", count)

    rounds = gathered(client, prefix, crowd.start(url, prefix, plans, "blocking"))

    assert not unexplained("a", rounds)
    figures["histories with batches: histories, calls"] = (
        f"{count}, {sum(calls_of(rounds).values())}"
    )


@pytest.mark.parametrize("place", PLACES)
def test_items_are_popped_once_and_kept_in_order(
    crowd, client, prefix, url, effort, figures, place
):
    name = PLACES[place]
    verbs = ["append", "append", "insert", "pop", "pop first"]
    plans = planned(1, name, effort.pick(25, 400), verbs)
    prepare(client, prefix, name, 1)

    (seen,) = gathered(client, prefix, crowd.start(url, prefix, plans, "blocking"))

    before, after = (data["doc"][name]["list"] for data in (history.fresh(name), seen.after))
    assert history.balance(seen.calls, before, after) == ""
    figures[f"one queue of 8 processes, {place} name: calls, lost, twice"] = (
        f"{len(seen.calls)}, 0, 0"
    )


@pytest.mark.parametrize("state", STATES)
def test_history_while_a_server_refuses_now_and_then_is_linearizable(
    crowd, pressed_server, effort, figures, state
):
    count = effort.pick(5, 60)
    name = PLACES[{"MISCONF": "backslash", "NOREPLICAS": "leading-space"}.get(state, "plain")]
    plans = planned(count, name, 10, NARROW)
    client = pressed_server.client()
    prefix = f"{state}:"
    prepare(client, prefix, name, count)

    jobs = crowd.start(pressed_server.url, prefix, plans, "blocking")
    with pressed(client, state) as press:
        while not all(job.done() for job in jobs):
            press()
    rounds = gathered(client, prefix, jobs)

    assert not unexplained(name, rounds)
    kinds = calls_of(rounds)
    assert min(kinds["refused"], kinds["returned"]) > 0
    assert kinds["unknown"] == 0
    figures[f"histories while {state} on and off: histories, calls, refused"] = (
        f"{count}, {sum(kinds.values())}, {kinds['refused']}"
    )


@pytest.fixture(scope="module")
def pressed_server() -> Iterator[Server]:
    with pressable() as server:
        yield server


class _Meddling(redis.Redis):
    """A client in whose pauses, between a refused command and the question why, another writes."""

    meddle: Callable[[], Any] = staticmethod(lambda: None)

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if args[0] == "EVALSHA":
            self.meddle()
        return super().execute_command(*args, **options)


def test_index_that_comes_into_range_at_that_moment_is_written(d, prefix, url):
    d["log"] = [1]
    with _Meddling.from_url(url) as client:
        held = RedisJSONDict(client, prefix)["log"]
        client.meddle = lambda: d["log"].append(2)
        held[1] = 5

    assert d["log"].to_python()[:2] == [1, 5]


def test_history_of_a_cluster_that_fails_over_is_linearizable(crowd, effort, figures):
    """A replica takes over from a primary that is well: nothing is lost, nothing is twice."""
    if not effort.full:
        pytest.skip("the long form only: RELIABILITY=full")
    count = 150
    verbs = [name for name in history.ONCE if name not in WIDE]
    with LocalCluster(replicas=1) as cluster:
        client = cluster.client()
        prefix = next(
            prefix
            for prefix in (f"{{{number}}}:" for number in range(100))
            if cluster.owner(client.keyslot(prefix.encode())) is cluster.nodes[0]
        )
        prepare(client, prefix, "a", count)
        url = f"redis://{HOST}:{cluster.nodes[1].port}"

        jobs = crowd.start(url, prefix, planned(count, "a", 10, verbs), "cluster")
        time.sleep(1)
        assert not any(job.done() for job in jobs)
        cluster.fail_over(cluster.nodes[3])
        rounds = gathered(client, prefix, jobs)

    assert not unexplained("a", rounds)
    kinds = calls_of(rounds)
    figures["histories on a Cluster that fails over: histories, calls, unknown"] = (
        f"{count}, {sum(kinds.values())}, {kinds['unknown']}"
    )
