"""What Ctrl-C does: it ends some commands, which is no failure, and interrupts others."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redisjson_dict.cli.console import Code, Problem

__all__ = ["resumable", "until_told"]


@contextmanager
def resumable(how: str) -> Iterator[None]:
    """Say after Ctrl-C what is to be done.

    Raises:
        Problem: the block was interrupted.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Problem(f"interrupted; {how}", Code.INTERRUPTED) from None


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
