"""Two bluesky RunEngines with shared metadata: never one scan id for two runs.

    python examples/bluesky_metadata.py [redis://...]

Each engine is a process of its own and counts a simulated detector a few times. Without a URL a
server is started and removed afterwards. The exit status is 0 when all scan ids were different.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from bluesky import RunEngine
from bluesky.plans import count

from redisjson_dict import RedisJSONDict
from redisjson_dict.server import Server

PREFIX = "beamline:"
RUNS = 10


class ScanIds:
    """Scan ids for one engine, from a counter that all engines share.

    The engine stores each id as ``md["scan_id"]`` and reads it from there for the start document.
    Between the two another engine may have stored its own. So the counter is another key, and the
    id that the engine was given goes into its start document at the end.
    """

    def __init__(self) -> None:
        self._given = 0

    def source(self, md: RedisJSONDict) -> int:
        """Return the next scan id of all engines: one atomic step."""
        self._given = md.incr("last_scan_id")
        return self._given

    def normalize(self, md: Mapping[str, Any]) -> dict[str, Any]:
        """Return what goes into a start document."""
        return {**md, "scan_id": self._given}


class Thermometer:
    """A simulated detector: what bluesky asks of one that it reads."""

    name, parent = "thermometer", None

    def read(self) -> dict[str, Any]:
        return {self.name: {"value": 20.5, "timestamp": time.time()}}

    def describe(self) -> dict[str, Any]:
        return {self.name: {"source": "simulated", "dtype": "number", "shape": []}}

    def read_configuration(self) -> dict[str, Any]:
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        return {}


def engine(md: RedisJSONDict) -> RunEngine:
    """Return an engine whose metadata is the dict itself: what one sets, all see.

    The first engine ever starts the counter where scan ids have come to without it.
    """
    md.setdefault("last_scan_id", md.get("scan_id", 0))
    ids = ScanIds()
    return RunEngine(md, scan_id_source=ids.source, md_normalizer=ids.normalize)


def measure(url: str, runs: int) -> list[dict[str, Any]]:
    """Run a plan a few times in an engine of this process; return the start documents."""
    starts: list[dict[str, Any]] = []
    with RedisJSONDict.from_url(url, PREFIX) as md:
        RE = engine(md)
        RE.subscribe(lambda _, document: starts.append(document), "start")
        for _ in range(runs):
            RE(count([Thermometer()], num=2), purpose="show")
            md["sample"].incr("measured")
    return starts


def main(arguments: list[str]) -> int:
    with ExitStack() as stack:
        url = arguments[0] if arguments else stack.enter_context(Server()).url
        md = stack.enter_context(RedisJSONDict.from_url(url, PREFIX))
        md["sample"] = {"name": "Ni foil", "measured": 0}
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            both = pool.starmap(measure, [(url, RUNS)] * 2)
        ids = [start["scan_id"] for starts in both for start in starts]
        print(f"{len(ids)} runs of two engines, {len(set(ids))} scan ids: {min(ids)} to {max(ids)}")
        print("measured, as both engines counted:", md["sample"]["measured"])
        print("sample of the first run, plain data:", both[0][0]["sample"])
        md.clear()
    return 0 if len(set(ids)) == 2 * RUNS else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
