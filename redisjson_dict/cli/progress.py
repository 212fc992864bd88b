"""How far a long command is: a bar with rate and time left, for a person at a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from redisjson_dict.cli.console import on_terminal, size_of

__all__ = ["is_shown", "progress"]


class _Rate(ProgressColumn):
    """How much is done in a second."""

    def __init__(self, in_bytes: bool) -> None:
        super().__init__()
        self._in_bytes = in_bytes

    def render(self, task: Task) -> Text:
        """Return what is shown."""
        speed = task.finished_speed or task.speed or 0
        return Text(f"{size_of(int(speed))}/s" if self._in_bytes else f"{speed:,.0f} documents/s")


def is_shown() -> bool:
    """Return whether anybody would see it."""
    return on_terminal(sys.stderr)


@contextmanager
def progress(
    what: str, total: int | None, *, in_bytes: bool = False, quiet: bool = False
) -> Iterator[Callable[[int], None]]:
    """Show a bar while a block runs; yields the function that moves it on.

    Args:
        what: the word in front.
        total: all there is to do; None if that is not known.
        in_bytes: whether bytes are counted, or documents.
        quiet: whether to show nothing.
    """
    if quiet or not is_shown():
        yield lambda _: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
    )
    bar = Progress(
        *columns,
        _Rate(in_bytes),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task(what, total=total)
        yield lambda amount: bar.advance(task, amount)
