"""Client CPU and wall time of the hot verbs against execute_command + orjson, in 20 seconds.

Run as ``python -m benchmarks.quickratio [VERB ...]``; a verb is any part of a row's name.
"""

from __future__ import annotations

import sys
import time
import uuid
from statistics import median

from benchmarks.hot import MINE, REFERENCE, pairs
from benchmarks.measure import Effort, compare, placed, ratio
from redisjson_dict.server import Server

EFFORT = Effort(rounds=21, turns=2, chunk=0.004)


def main(wanted: list[str]) -> None:
    """Print one row for each verb."""
    started = time.perf_counter()
    print(f"{'':28}{'wall x':>8}{'CPU x':>8}{'us':>9}{'CPU us':>9}{'by hand':>9}{'CPU us':>9}")
    with Server(port=0) as server, placed("same", server.pid):
        client = server.client()
        for verb, cases in pairs(client, f"{uuid.uuid4().hex[:8]}:"):
            if wanted and not any(part in verb for part in wanted):
                continue
            timings = compare(cases, EFFORT)
            if failed := [timing.failed for timing in timings.values() if timing.failed]:
                print(f"{verb:28}{failed}")
                continue
            hand, mine = timings[REFERENCE], timings[MINE]
            print(
                f"{verb:28}{ratio(mine.wall, hand.wall):8.3f}{ratio(mine.cpu, hand.cpu):8.3f}"
                + "".join(
                    f"{median(times) * 1e6:9.2f}"
                    for times in (mine.wall, mine.cpu, hand.wall, hand.cpu)
                ),
                flush=True,
            )
    print(f"{time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
