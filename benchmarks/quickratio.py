"""Client CPU and wall time of the hot verbs against execute_command + orjson, in 20 seconds.

Run as ``python -m benchmarks.quickratio [VERB ...]``; a verb is any part of a row's name.
"""

from __future__ import annotations

import sys
import time
import uuid

from benchmarks.hot import MINE, REFERENCE, pairs
from benchmarks.measure import Effort, compare, placed
from redisjson_dict.server import Server

EFFORT = Effort(rounds=21, turns=2, chunk=0.004)


def main(wanted: list[str]) -> None:
    """Print one row for each verb."""
    started = time.perf_counter()
    print(f"{'':28}{'wall x':>8}{'CPU x':>8}{'us':>9}{'CPU us':>9}{'by hand':>10}{'CPU us':>9}")
    with Server(port=0) as server, placed("same", server.pid):
        client = server.client()
        for verb, cases in pairs(client, f"{uuid.uuid4().hex[:8]}:"):
            if wanted and not any(part in verb for part in wanted):
                continue
            timings = compare(cases, EFFORT)
            if failed := [timing.failed for timing in timings.values() if timing.failed]:
                print(f"{verb:28}{failed}")
                continue
            hand = timings[REFERENCE].as_json(None)
            mine = timings[MINE].as_json(timings[REFERENCE])
            print(
                f"{verb:28}{mine['x']:8.3f}{mine['cpu_x']:8.3f}{mine['us']:9.2f}"
                f"{mine['cpu_us']:9.2f}{hand['us']:10.2f}{hand['cpu_us']:9.2f}",
                flush=True,
            )
    print(f"{time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
