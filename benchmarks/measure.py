"""Timing: contenders take turns within each round; a ratio compares within the same round only.

A noisy neighbour, a frequency step or a full cache then meets everybody alike. The median over
rounds of *contender / reference in the same round* is what the tables show; absolute times are for
orientation.
"""

from __future__ import annotations

import contextlib
import gc
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from statistics import median
from typing import Any, NamedTuple

__all__ = ["Case", "Effort", "Timing", "compare", "frozen", "pin", "placed", "ratio"]


class Case(NamedTuple):
    """One contender's way to do one thing.

    Attributes:
        name: the contender's.
        run: does it once.
        before: called with the number of runs to come, untimed, before each chunk.
    """

    name: str
    run: Callable[[], Any]
    before: Callable[[int], Any] | None = None


class Effort(NamedTuple):
    """How long to measure.

    Attributes:
        rounds: how often everybody has a turn.
        turns: chunks of one contender within a round.
        chunk: seconds that one chunk should take.
        budget: seconds of one contender in all; a slow one leaves after fewer rounds.
    """

    rounds: int = 15
    turns: int = 3
    chunk: float = 0.003
    budget: float = 1.2


QUICK = Effort(rounds=2, turns=1, chunk=0.0005, budget=0.05)


class Timing(NamedTuple):
    """What one contender took, round by round.

    Attributes:
        wall: seconds per operation.
        cpu: of those, seconds in which this thread computed.
        failed: the error's text, if it could not do it.
    """

    wall: tuple[float, ...] = ()
    cpu: tuple[float, ...] = ()
    failed: str = ""

    def cell(self) -> dict[str, Any]:
        """Return it for the results: microseconds of each round."""
        if self.failed or not self.wall:
            return {"failed": self.failed or "no time"}
        return {
            "wall": [_digits(seconds * 1e6) for seconds in self.wall],
            "cpu": [_digits(seconds * 1e6) for seconds in self.cpu],
        }


def ratio(mine: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the ratios within each round."""
    return median(a / b if b else math.nan for a, b in zip(mine, theirs, strict=False))


def _digits(number: float) -> float:
    return float(f"{number:.4g}")


def compare(cases: Iterable[Case], effort: Effort) -> dict[str, Timing]:
    """Measure all cases in turn; the first one sets how many rounds there are."""
    runners = [_Runner(case, effort) for case in cases]
    with frozen():
        for runner in runners:
            runner.calibrate()
        for number in range(effort.rounds):
            # Nobody always follows the same neighbour.
            shift = number % max(1, len(runners))
            order = runners[shift:] + runners[:shift]
            for turn in range(effort.turns):
                for runner in order:
                    runner.turn(first=turn == 0)
            for runner in runners:
                runner.settle()
    return {runner.case.name: runner.timing() for runner in runners}


class _Runner:
    """One case, its chunk size and what it took so far."""

    def __init__(self, case: Case, effort: Effort) -> None:
        self.case = case
        self.effort = effort
        self.count = 1
        self.failed = ""
        self.spent = 0.0
        self.last = 0.0
        self.now = [0.0, 0.0, 0]
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def calibrate(self) -> None:
        """Warm up, and find how many operations make a chunk."""
        warm, count = False, 1
        while not self.failed:
            wall, cpu = self._chunk(count)
            if not warm and wall <= self.effort.budget:  # it connected and loaded scripts
                warm = True
                continue
            if wall > self.effort.budget:  # once has to be enough
                self.now = [wall, cpu, count]
                self.settle()
                return
            if wall >= self.effort.chunk / 4 or count >= 1 << 16:
                self.count = max(1, round(count * self.effort.chunk / max(wall, 1e-7)))
                self.count = min(self.count, 1 << 16)
                return
            count *= 4

    def turn(self, *, first: bool) -> None:
        """Run one chunk, unless the budget is spent; a slow case has one chunk in a round."""
        over = self.spent > self.effort.budget and self.wall
        slow = self.last > 2 * self.effort.chunk and not first
        if self.failed or over or slow:
            return
        wall, cpu = self._chunk(self.count)
        self.now = [self.now[0] + wall, self.now[1] + cpu, self.now[2] + self.count]

    def settle(self) -> None:
        """End a round."""
        wall, cpu, count = self.now
        self.now = [0.0, 0.0, 0]
        if count and not self.failed:
            self.wall.append(wall / count)
            self.cpu.append(cpu / count)

    def timing(self) -> Timing:
        """Return all rounds."""
        return Timing(tuple(self.wall), tuple(self.cpu), self.failed)

    def _chunk(self, count: int) -> tuple[float, float]:
        run, before = self.case.run, self.case.before
        try:
            if before is not None:
                before(count)
            times = repeat(None, count)
            cpu, wall = time.thread_time(), time.perf_counter()
            for _ in times:
                run()
            wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
        except Exception as error:  # a peer's failure is a result, too
            self.failed = f"{type(error).__name__}: {error}"[:200]
            return 0.0, 0.0
        self.spent += wall
        self.last = wall
        return wall, cpu


@contextlib.contextmanager
def frozen() -> Iterator[None]:
    """Keep the garbage collector still during a block."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def pin(pid: int, cores: Iterable[int]) -> bool:
    """Put all threads of a process on some cores; return whether that could be done."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    try:
        threads = [int(name) for name in os.listdir(f"/proc/{pid or 'self'}/task")]
        for thread in threads:
            os.sched_setaffinity(thread, cores)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def placed(placement: str, server_pid: int | None) -> Iterator[str]:
    """Put this process and the server where `placement` says, for a block.

    Args:
        placement: ``same`` for one core, which takes wake-ups between cores out of the numbers;
            ``free`` for wherever the system likes.
        server_pid: None for a server that is not ours to move.

    Yields:
        What was done.
    """
    if placement == "free" or not hasattr(os, "sched_getaffinity"):
        yield "free"
        return
    allowed = os.sched_getaffinity(0)
    core = {max(allowed)}
    moved = server_pid is not None and pin(server_pid, core)
    pin(0, core)
    try:
        yield "same" if moved else "client pinned, server elsewhere"
    finally:
        pin(0, allowed)
        if server_pid is not None and moved:
            pin(server_pid, allowed)
