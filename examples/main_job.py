"""The main job: a large nested document, changed in place, by two processes at once.

    python examples/main_job.py             what `pip inspect` says about this environment
    python examples/main_job.py FILE.json   any JSON file

Stores it on a server of its own, walks it, changes single places inside, and makes the same changes
to plain data to compare. Beside each step stands how many bytes the server received, as it counts.
The exit status is 0 when all was as promised, else 1.
"""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import reduce
from itertools import islice
from operator import getitem
from pathlib import Path
from typing import Any

import redis

from redisjson_dict import JSONArray, JSONObject, RedisJSONDict, RedisJSONDictError
from redisjson_dict.server import Server

PREFIX, NAME = "demo:", "input"
ROUNDS = 250  # of one increment and one append, by each of the two processes
OVERHEAD = 300  # bytes for one step down or one change: the framing, the key, a script's digest


def load(arguments: list[str]) -> tuple[str, Any]:
    if arguments:
        return arguments[0], json.loads(Path(arguments[0]).read_bytes())
    done = subprocess.run([sys.executable, "-m", "pip", "inspect"], capture_output=True)
    if done.returncode:
        raise OSError(f"pip inspect failed: {done.stderr.decode(errors='replace').strip()[-200:]}")
    return "pip inspect", json.loads(done.stdout)


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def walked(node: Any, label: str, depth: int = 0) -> Iterator[str]:
    """Yield a line for each place near the top; nothing below is read."""
    if isinstance(node, (JSONObject, JSONArray)):
        yield f"{'  ' * depth}{label}: {type(node).__name__} of {len(node)}"
        children = node.items() if isinstance(node, JSONObject) else enumerate(node)
        for step, child in islice(children, 3 if depth < 4 else 0):
            yield from walked(child, cut(ascii(step), 40), depth + 1)
    else:
        yield f"{'  ' * depth}{label}: {cut(ascii(node), 50)}"


def places(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield every place, but those below a name that the server cannot write by path."""
    yield path, value
    steps = value if isinstance(value, dict) else range(len(value) if type(value) is list else 0)
    for step in steps:
        if not (str(step).startswith(" ") or "\\" in str(step) or '"' in str(step)):
            yield from places(value[step], (*path, step))


def at(root: Any, path: tuple[Any, ...]) -> Any:
    """Walk down, through a live dict and through a plain one alike."""
    return reduce(getitem, path, root)


class Report:
    """How much each step sent, and whether all was as promised."""

    def __init__(self, raw: redis.Redis) -> None:
        self.raw = raw
        self.rows: list[tuple[str, int]] = []
        self.failed = False
        self._asking = 0  # bytes
        self._asking = self.sent(lambda: None)

    def sent(self, act: Callable[[], Any]) -> int:
        """Return how many bytes reached the server during a step, less those of asking."""
        before = self.raw.info("stats")["total_net_input_bytes"]
        act()
        return self.raw.info("stats")["total_net_input_bytes"] - before - self._asking

    def check(self, fact: str, holds: bool) -> None:
        """Print a fact and whether it holds."""
        print(f"  {'ok' if holds else 'FAILED'}: {fact}")
        self.failed |= not holds


def work(url: str, job: tuple[Any, ...], me: int, start: Any) -> None:
    with RedisJSONDict.from_url(url, PREFIX) as d:
        start.wait(60)
        for number in range(ROUNDS):
            d.at(*job, "count").incr()
            d.at(*job, "log").append([me, number])


def two_processes(url: str, job: tuple[Any, ...]) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(2)
    both = [context.Process(target=work, args=(url, job, me, start)) for me in (0, 1)]
    for process in both:
        process.start()
    for process in both:
        process.join()


def rehearse(d: RedisJSONDict) -> None:
    """Use each script once: its text travels at its first use, later only its digest."""
    d["rehearsal"] = {"a": 1}
    d["rehearsal"].incr("a")
    del d["rehearsal"]


def change(report: Report, live: RedisJSONDict, plain: dict[str, Any]) -> tuple[Any, ...]:
    """Make the same changes to both; return the path of a corner for the two processes."""

    def both(label: str, act: Callable[[Any], Any], path: tuple[Any, ...], new: Any) -> None:
        promised = len(path) * (OVERHEAD + 2 * len(json.dumps(path))) + len(json.dumps(new))
        report.rows.append((label, sent := report.sent(lambda: act(live))))
        if sent > promised:
            report.check(f"{label}: {sent} bytes sent, {promised} promised", False)
        act(plain)

    found = list(places(plain[NAME], (NAME,)))
    leaves = [path for path, item in found if not isinstance(item, (dict, list)) or not item]
    leaf = max(leaves, key=len, default=(NAME,))
    new = "changed" if len(leaf) > 1 else {"was": at(plain, leaf)}
    label = f"walk {len(leaf) - 1} levels down, change a leaf"
    both(label, lambda d: at(d, leaf[:-1]).__setitem__(leaf[-1], new), leaf, new)
    arrays = [path for path, item in found if isinstance(item, list) and item]
    if arrays:
        longest = max(arrays, key=lambda path: len(at(plain, path)))
        label = f"walk to an array of {len(at(plain, longest)):,}, append"
        both(label, lambda d: at(d, longest).append("one more"), longest, "one more")
    root, corner = plain[NAME], {"count": 0, "log": []}
    if isinstance(root, list):
        both("append an object", lambda d: d[NAME].append(corner), (NAME,), corner)
        return NAME, len(root) - 1
    name = next(name for n in range(len(root) + 1) if (name := f"job{n}") not in root)
    both("add an object", lambda d: d[NAME].__setitem__(name, corner), (NAME, name), corner)
    return NAME, name


def prove(report: Report, live: RedisJSONDict, plain: dict[str, Any], job: Any) -> None:
    """Compare what is stored with what was promised, by raw commands too."""
    print("\nTwo processes at once:")
    count, log = live[(*job, "count")], live[(*job, "log")].to_python()
    report.check(f"{2 * ROUNDS} increments make {count}", count == 2 * ROUNDS)
    numbers = [[number for who, number in log if who == me] for me in (0, 1)]
    whole = numbers == [list(range(ROUNDS))] * 2
    report.check(f"{len(log)} elements appended, none lost, each process's in order", whole)

    print("\nAs redis-cli shows it:")
    step = f"[{job[1]}]" if isinstance(plain[NAME], list) else f".{job[1]}"
    for command in (("TYPE", f"{PREFIX}{NAME}"), ("JSON.GET", f"{PREFIX}{NAME}", f"${step}.count")):
        print(f"  > {' '.join(command)}\n  {report.raw.execute_command(*command).decode()}")
    at(plain, job).update(count=2 * ROUNDS, log=log)
    stored = json.loads(report.raw.execute_command("JSON.GET", f"{PREFIX}{NAME}"))
    same = json.dumps(stored) == json.dumps(plain[NAME])  # types and order, too
    report.check("the document is plain JSON, equal to plain data after the same changes", same)


def run(source: str, value: Any, server: Server) -> bool:
    raw = server.client()
    live, plain = RedisJSONDict(raw, PREFIX), {NAME: value}
    report = Report(raw)
    scripts = report.sent(lambda: rehearse(live))
    report.rows.append(("store it", report.sent(lambda: live.__setitem__(NAME, value))))
    size = len(raw.execute_command("JSON.GET", PREFIX + NAME))
    print(f"Document: {source}, {size:,} bytes of JSON, walked live:")
    print(*(f"  {line}" for line in islice(walked(live[NAME], NAME), 14)), "  ...", sep="\n")

    job = change(report, live, plain)
    sent = report.sent(lambda: two_processes(server.url, job)) // (4 * ROUNDS)
    report.rows.append((f"each of {4 * ROUNDS:,} changes by two processes", sent))
    print(f"\n{'What was done':44}{'bytes sent':>12}{'of the document':>18}")
    for label, sent in report.rows:
        print(f"  {label:42}{sent:>12,}{sent / size:>18.2%}")
    print(f"  (and once for a server, the scripts themselves: {scripts:,} bytes)")
    prove(report, live, plain, job)
    return not report.failed


def main(arguments: list[str]) -> None:
    try:
        source, value = load(arguments)
    except (OSError, ValueError, RecursionError) as error:
        sys.exit(f"main_job.py: no JSON document: {error}")
    try:
        with Server() as server:
            sys.exit(0 if run(source, value, server) else 1)
    except RedisJSONDictError as error:  # no server, or a value that it would not keep exactly
        sys.exit(f"main_job.py: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
