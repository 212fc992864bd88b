"""Commands that run until they are told to end, which is no failure then."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["until_told"]


@contextmanager
def until_told() -> Iterator[threading.Event]:
    """Turn Ctrl-C and SIGTERM into an event that the block waits for."""
    told = threading.Event()

    def end(*_: Any) -> None:
        told.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
