"""What a workload works with: the server, the contenders at hand, and the tables it fills."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import redis

from benchmarks.contenders import Call, Contender, NotOffered
from benchmarks.measure import Case, Effort, compare
from benchmarks.peers import EVERYBODY, missing

__all__ = ["WORKLOADS", "Bench", "Case", "Table", "Workload", "workload"]


class Table:
    """Cells by column and contender.

    Attributes:
        name: identifies it in the results and in the documentation.
        title: what it says.
        reference: the contender that ratios are to; empty for plain numbers.
        unit: of plain numbers.
        columns: for each column, the cell of each contender: ``wall`` and ``cpu`` with the
            microseconds of each round, ``value`` with a number, or ``failed`` with the reason.
    """

    def __init__(self, name: str, title: str, reference: str = "", unit: str = "us") -> None:
        self.name, self.title, self.reference, self.unit = name, title, reference, unit
        self.columns: dict[str, dict[str, dict[str, Any]]] = {}

    def put(self, column: str, row: str, value: float | None, **more: Any) -> None:
        """Enter a plain number."""
        cell = {"failed": "not known"} if value is None else {"value": value, **more}
        self.columns.setdefault(column, {})[row] = cell

    def fail(self, column: str, row: str, reason: str) -> None:
        """Enter why there is none."""
        self.columns.setdefault(column, {})[row] = {"failed": reason}

    def as_json(self) -> dict[str, Any]:
        """Return it for the results."""
        return {
            "title": self.title,
            "reference": self.reference,
            "unit": self.unit,
            "columns": self.columns,
        }


class Bench:
    """One run on one server.

    Attributes:
        url: the server's.
        effort: how long to measure.
        quick: whether everything is to be tiny.
        server_pid: of the server, if it may be moved; None otherwise.
        placement: ``same`` or ``free``.
        others: the cores that neither the server nor the client use under ``same``.
        fetch: whether data may be fetched from elsewhere.
        broken: contenders that could not do what all must do, and why.
    """

    def __init__(
        self,
        url: str,
        effort: Effort,
        *,
        quick: bool,
        server_pid: int | None,
        placement: str,
        others: set[int] | None,
        fetch: bool,
        say: Callable[[str], None],
    ) -> None:
        self.url, self.effort, self.quick = url, effort, quick
        self.server_pid, self.placement, self.others = server_pid, placement, others
        self.fetch = fetch
        self.say = say
        self.admin = redis.Redis.from_url(url)
        self.prefix = f"bench{uuid.uuid4().hex[:8]}"
        self.tables: list[Table] = []
        self.broken: dict[str, str] = {}

    def pick(self, full: Any, quick: Any) -> Any:
        """Return the one or the other."""
        return quick if self.quick else full

    def table(self, name: str, title: str, reference: str = "", unit: str = "us") -> Table:
        """Return a new table, to be filled."""
        table = Table(name, title, reference, unit)
        self.tables.append(table)
        return table

    @contextlib.contextmanager
    def team(
        self, kinds: Iterable[type[Contender]] = EVERYBODY, url: str | None = None
    ) -> Iterator[list[Contender]]:
        """Set up the contenders at hand, each with keys of its own; remove them afterwards."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.sweep)
            members = []
            for number, kind in enumerate(kinds):
                member = self._made(kind, url or self.url, f"{self.prefix}n{number}x")
                if member is not None:
                    stack.callback(member.close)
                    members.append(member)
            yield members

    def _made(self, kind: type[Contender], url: str, prefix: str) -> Contender | None:
        if missing(kind):
            return None
        try:
            return kind(url, prefix)
        except Exception as error:  # a peer's failure is a result, too
            self.broken[kind.name] = f"{type(error).__name__}: {error}"[:200]
            return None

    def store(self, members: Iterable[Contender], key: str, document: Any) -> list[Contender]:
        """Store a document in every contender's way; return those who could."""
        able = []
        for member in members:
            try:
                member.store(key, document)
                able.append(member)
            except Exception as error:  # a peer's failure is a result, too
                self.broken[member.name] = f"store: {type(error).__name__}: {error}"[:200]
        return able

    def sweep(self, pattern: str = "") -> None:
        """Remove every key of this run, or some."""
        found: list[bytes] = []
        for key in self.admin.scan_iter(match=pattern or f"*{self.prefix}*", count=10_000):
            found.append(key)
            if len(found) >= 1000:
                self.admin.unlink(*found)
                found.clear()
        if found:
            self.admin.unlink(*found)

    def compare(
        self,
        table: Table,
        column: str,
        cases: Iterable[Case],
        effort: Effort | None = None,
        against: str = "",
    ) -> None:
        """Measure cases against each other and enter what they took.

        Args:
            table: where to enter it.
            column: under what.
            cases: what to measure.
            effort: how long; None for the usual.
            against: a case that takes part in several comparisons of one column: its times are
                kept with each cell.
        """
        cells = {name: t.cell() for name, t in compare(cases, effort or self.effort).items()}
        for name, cell in cells.items():
            if against and name != against and "wall" in cell:
                cell["against"] = cells[against].get("wall", [])
            table.columns.setdefault(column, {})[name] = cell

    def offered(
        self,
        table: Table,
        column: str,
        members: Iterable[Contender],
        make: Callable[[Contender], Call],
        before: Callable[[Contender], Callable[[int], Any] | None] = lambda member: None,
    ) -> list[Case]:
        """Return the cases of those who can; enter why the others cannot."""
        cases = []
        for member in members:
            try:
                cases.append(Case(member.name, make(member), before(member)))
            except NotOffered as reason:
                table.fail(column, member.name, f"not offered {reason}".strip())
            except Exception as error:  # a peer's failure is a result, too
                table.fail(column, member.name, f"{type(error).__name__}: {error}"[:200])
        return cases


class Workload(NamedTuple):
    """Something to measure.

    Attributes:
        name: for ``--only``.
        title: what it is.
        run: fills tables.
        pinned: whether the server and the client share a core, if they may.
    """

    name: str
    title: str
    run: Callable[[Bench], None]
    pinned: bool


WORKLOADS: dict[str, Workload] = {}


def workload(
    name: str, title: str, *, pinned: bool = True
) -> Callable[[Callable[[Bench], None]], Callable[[Bench], None]]:
    """Register a function as a workload."""

    def register(function: Callable[[Bench], None]) -> Callable[[Bench], None]:
        WORKLOADS[name] = Workload(name, title, function, pinned)
        return function

    return register
