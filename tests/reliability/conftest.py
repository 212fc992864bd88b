"""The reliability suite: a short form in every test run, the full one by ``make reliability``."""

from __future__ import annotations

import os
from typing import NamedTuple, TypeVar

import pytest

T = TypeVar("T")


class Effort(NamedTuple):
    """How much a test does: enough to notice a fault, or enough to trust that there is none."""

    full: bool

    def pick(self, short: T, full: T) -> T:
        """Return a number of rounds, seconds or cases."""
        return full if self.full else short


EFFORT = Effort(os.environ.get("RELIABILITY", "short") == "full")
_figures: dict[str, str] = {}


@pytest.fixture(scope="session")
def effort() -> Effort:
    return EFFORT


@pytest.fixture(scope="session")
def figures() -> dict[str, str]:
    """What was counted, by what it is; shown at the end of the run."""
    return _figures


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _figures:
        terminalreporter.section("reliability figures")
        for name, figure in sorted(_figures.items()):
            terminalreporter.write_line(f"{name}: {figure}")
