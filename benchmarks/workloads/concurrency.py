"""Eight writers on one document: how much gets done, and how much is lost."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, wait
from typing import Any

from benchmarks.bench import Bench, Table, workload
from benchmarks.contenders import EC, ByHand, Contender, Raw
from benchmarks.documents import KB, mixed
from benchmarks.ours import Ours, OursAdding, OursHeld
from benchmarks.peers import PEERS, missing, named

WORKERS = 8
_PATIENCE = 1.5  # seconds of one contender, then it has no more rounds
_barrier: Any = None  # of a worker process


@workload(
    "concurrency", "8 writers, threads and processes: throughput and lost updates", pinned=False
)
def concurrency(bench: Bench) -> None:
    """Increments and appends to one document of 10 KB; no core is fixed here."""
    workers = bench.pick(WORKERS, 2)
    title = f"{workers} writers on one 10 KB document, throughput as a ratio to EC"
    table = bench.table("concurrency", title, EC)
    wanted = (ByHand, Raw, Ours, OursHeld, OursAdding, *PEERS)
    kinds = [kind for kind in wanted[: bench.pick(None, 4)] if not missing(kind)]
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(workers)
    with ProcessPoolExecutor(workers, context, _join, (barrier,)) as pool:
        crew = _Crew(pool, barrier, workers)
        for verb in ("incr", "append"):
            _rounds(bench, table, f"{verb}, threads", kinds, verb, None)
            _rounds(bench, table, f"{verb}, processes", kinds, verb, crew)


def _rounds(
    bench: Bench,
    table: Table,
    column: str,
    kinds: list[type[Contender]],
    verb: str,
    crew: _Crew | None,
) -> None:
    """Let the contenders take turns; enter the microseconds of one change, and what was lost."""
    times: dict[str, list[float]] = {kind.name: [] for kind in kinds}
    lost: dict[str, int] = dict.fromkeys(times, 0)
    done: dict[str, int] = dict.fromkeys(times, 0)
    for number in range(bench.pick(5, 1)):
        for kind in kinds:
            name = kind.name
            each = bench.pick(40 if kind in PEERS else 100, 5)
            spent = sum(times[name]) * bench.pick(WORKERS, 2) * each / 1e6
            if (verb == "append" and kind is OursAdding) or (number and spent > _PATIENCE):
                continue
            try:
                seconds, arrived = _race(bench, kind, verb, each, crew)
            except Exception as error:  # a peer's failure is a result, too
                table.fail(column, name, f"{type(error).__name__}: {error}"[:200])
                continue
            changes = bench.pick(WORKERS, 2) * each
            times[name].append(seconds / changes * 1e6)
            done[name] += changes
            lost[name] += changes - arrived
    for name in times:
        if times[name]:
            cell = {"wall": times[name], "lost": lost[name], "of": done[name]}
            table.columns.setdefault(column, {})[name] = cell


def _race(
    bench: Bench, kind: type[Contender], verb: str, each: int, crew: _Crew | None
) -> tuple[float, int]:
    """Return the seconds that all workers took, and how many of their changes are there."""
    owner = kind(bench.url, f"{bench.prefix}race")
    try:
        owner.store("k", mixed(10 * KB))
        arguments = (kind.name, bench.url, owner.prefix, verb, each)
        if crew is None:
            spans = _threads(arguments, bench.pick(WORKERS, 2))
        else:
            spans = crew.race(arguments)
        arrived = owner.number("k") if verb == "incr" else owner.length("k")
    finally:
        owner.close()
        bench.sweep(f"*{owner.prefix}*")
    return max(end for _, end in spans) - min(start for start, _ in spans), arrived


class _Crew:
    """Processes that start together."""

    def __init__(self, pool: ProcessPoolExecutor, barrier: Any, workers: int) -> None:
        self._pool, self._barrier, self._workers = pool, barrier, workers

    def race(self, arguments: tuple[Any, ...]) -> list[tuple[float, float]]:
        """Return when each began and ended; raise what one of them raised."""
        work = [self._pool.submit(_work_in_process, *arguments) for _ in range(self._workers)]
        wait(work, timeout=180)
        if any(done.exception(0) for done in work):
            self._barrier.reset()  # whoever waited for the one that failed has broken it
        return [done.result(0) for done in work]


def _threads(arguments: tuple[Any, ...], workers: int) -> list[tuple[float, float]]:
    barrier = threading.Barrier(workers)
    spans: list[tuple[float, float]] = []
    errors: list[Exception] = []

    def work() -> None:
        try:
            spans.append(_work(*arguments, meet=barrier.wait))
        except Exception as error:
            errors.append(error)
            barrier.abort()

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return spans


def _join(barrier: Any) -> None:
    global _barrier
    _barrier = barrier


def _work_in_process(*arguments: Any) -> tuple[float, float]:
    return _work(*arguments, meet=lambda: _barrier.wait(60))


def _work(
    name: str, url: str, prefix: str, verb: str, each: int, *, meet: Callable[[], Any]
) -> tuple[float, float]:
    """Change the document `each` times; return when that began and ended."""
    member = named(name)(url, prefix)
    try:
        change = member.incrementer("k") if verb == "incr" else member.appender("k")
        member.client.ping()
        meet()
        start = time.monotonic()
        for _ in range(each):
            change()
        return start, time.monotonic()
    finally:
        member.close()


__all__ = ["WORKERS", "concurrency"]
