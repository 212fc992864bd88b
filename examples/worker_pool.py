"""A pool of processes that shares its progress, one of which is killed.

    python examples/worker_pool.py [redis://...]

Workers claim tasks by an atomic counter and store each result with the count in one transaction.
One is killed in the middle: what it had acknowledged is there, what it had only claimed is found
and done again. The exit status is 0 when every task was counted exactly once.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack
from multiprocessing import Barrier, Pipe, Process
from typing import TYPE_CHECKING

from redisjson_dict import RedisJSONDict
from redisjson_dict.server import Server

if TYPE_CHECKING:
    from multiprocessing import connection, synchronize

PREFIX = "pool:"
TASKS, WORKERS = 200, 4
DOOMED, FATAL = 0, 5  # this worker dies when it has claimed its fifth task


def compute(task: int) -> int:
    return task * task


def store(d: RedisJSONDict, task: int, worker: int) -> None:
    """Keep a result: all of it in one transaction, or nothing."""
    with d.pipeline() as batch:
        batch["job"]["done"][str(task)] = compute(task)
        batch["job"].incr("finished")
        batch["job"]["log"].append({"worker": worker, "task": task})


def work(
    url: str, worker: int, acknowledged: connection.Connection, all_there: synchronize.Barrier
) -> None:
    """Do tasks until there are none; say which were stored."""
    with RedisJSONDict.from_url(url, PREFIX) as d:
        job = d["job"]
        all_there.wait()
        turn = 0
        while (task := job.incr("claimed") - 1) < TASKS:
            turn += 1
            if (worker, turn) == (DOOMED, FATAL):
                os.kill(os.getpid(), signal.SIGKILL)
            store(d, task, worker)
            acknowledged.send(task)


def run_all(url: str) -> set[int]:
    """Run the workers to their ends, whatever these are; return what they acknowledged."""
    all_there = Barrier(WORKERS)
    ours, theirs = zip(*[Pipe(duplex=False) for _ in range(WORKERS)], strict=True)
    workers = [
        Process(target=work, args=(url, number, end, all_there))
        for number, end in enumerate(theirs)
    ]
    for process, end in zip(workers, theirs, strict=True):
        process.start()
        end.close()
    acknowledged: set[int] = set()
    for end in ours:
        with end:
            while True:
                try:
                    acknowledged.add(end.recv())
                except EOFError:  # this worker has ended
                    break
    for process in workers:
        process.join()
    return acknowledged


def main(arguments: list[str]) -> int:
    with ExitStack() as stack:
        url = arguments[0] if arguments else stack.enter_context(Server()).url
        d = stack.enter_context(RedisJSONDict.from_url(url, PREFIX))
        d["job"] = {"claimed": 0, "finished": 0, "done": {}, "log": []}
        acknowledged = run_all(url)
        done = {int(task) for task in d["job"]["done"]}
        print(f"acknowledged: {len(acknowledged)}, lost of them: {len(acknowledged - done)}")
        missing = set(range(TASKS)) - done
        print(f"claimed by the worker that was killed, not done: {len(missing)}")
        for task in sorted(missing):
            store(d, task, worker=-1)
        job = d["job"].to_python()
        print(f"finished: {job['finished']} of {TASKS}, {len(job['log'])} lines in the log")
        right = job["done"] == {str(task): compute(task) for task in range(TASKS)}
        d.clear()
    return 0 if right and job["finished"] == TASKS and acknowledged <= done else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
