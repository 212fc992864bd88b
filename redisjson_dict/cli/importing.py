"""`import`: documents from JSON Lines, checked after they were stored."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Any, BinaryIO, NamedTuple

import orjson
import typer

from redisjson_dict.cli.console import Code, Problem, agree, counted, print_json, say
from redisjson_dict.cli.contents import Content, clock, contents, together
from redisjson_dict.cli.ending import resumable
from redisjson_dict.cli.jsonl import Record, records
from redisjson_dict.cli.progress import progress
from redisjson_dict.cli.session import Session
from redisjson_dict.cli.storing import create, replace
from redisjson_dict.errors import NotADocumentError, UnsupportedValueError, ValueRangeError
from redisjson_dict.operations import Operation, or_else

__all__ = ["load"]

_TOGETHER = 2 * 1024 * 1024  # bytes of lines that are stored in one round trip
_MOST = 500
_TOLERANCE = 5000  # milliseconds between the moment of a line and what the server will do
_FOREIGN: Any = object()


@dataclass
class Tally:
    """What became of the lines of a file."""

    imported: int = 0
    unchanged: int = 0
    skipped: int = 0
    expired: int = 0
    checked: int = 0


class Rules(NamedTuple):
    """What to do with documents that exist, and whether to read back what was stored."""

    overwrite: bool
    skip: bool
    resume: bool
    check: bool


def load(
    session: Session,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where from; - is standard input.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace documents that exist. Asks first.")
    ] = False,
    skip: Annotated[
        bool, typer.Option("--skip-existing", help="Leave documents that exist as they are.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on after an import that broke off: what is there is fine."
        ),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Read back what was stored, and compare.")
    ] = True,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Store the documents of an export. Never replaces one that exists, unless told to."""
    if overwrite and skip:
        raise Problem("either --overwrite or --skip-existing, not both", Code.USAGE)
    if overwrite:
        agree(f"Replace documents under the prefix {session.prefix!r} that are in {file!r}?", yes)
    job = Import(session, file, Rules(overwrite, skip, resume, check))
    done = False
    try:
        with resumable("the same command with --resume goes on"):
            _load_all(job, file)
        done = True
    finally:
        if done or session.as_json or any(asdict(job.tally).values()):
            _report(session, job.tally)


def _load_all(job: Import, file: str) -> None:
    with _source(file) as (stream, size), progress("importing", size, in_bytes=True) as advance:
        for batch in _batches(records(stream, file)):
            job.store(batch)
            advance(sum(record.size for record in batch))


class Import:
    """Stores records, some at a time, by the rules, and counts."""

    def __init__(self, session: Session, name: str, rules: Rules) -> None:
        self._session = session
        self._name = name
        self._rules = rules
        self._ahead = clock(session)
        self.tally = Tally()

    def store(self, batch: list[Record]) -> None:
        """Store records in one round trip, and check them in another.

        Raises:
            Problem: names the file and the line.
        """
        now = time.time() * 1000 + self._ahead
        alive = [one for one in batch if one.expire_at is None or one.expire_at > now]
        self.tally.expired += len(batch) - len(alive)
        if self._rules.overwrite and self._rules.resume:
            alive = self._without_same(alive)
        results = together(self._session, [self._operation(one, now) for one in alive])
        stored = [one for one, done in zip(alive, results, strict=True) if done is True]
        foreign = [one for one, done in zip(alive, results, strict=True) if done is _FOREIGN]
        there = [one for one, done in zip(alive, results, strict=True) if done is False]
        self.tally.imported += len(stored)
        if self._rules.check:
            self._check(stored)
        if self._rules.resume:
            there = self._without_same(there)
        if self._rules.skip:
            self.tally.skipped += len(there) + len(foreign)
        elif foreign or there:
            self._refuse(foreign, there)

    def _operation(self, record: Record, now: float) -> Operation[Any]:
        """Return what stores a record: whether it did, or that the key is foreign."""
        left = None if record.expire_at is None else max(1, round(record.expire_at - now))
        try:
            if self._rules.overwrite:
                operation = replace(self._session, record.key, record.value, left)
            else:
                operation = create(self._session, record.key, record.value, left)
        except (UnsupportedValueError, ValueRangeError) as error:
            raise self._problem(record, str(error)) from error
        tolerant = or_else(operation, _FOREIGN, (NotADocumentError,))
        assert isinstance(tolerant, Operation)  # as its argument
        return tolerant

    def _without_same(self, batch: list[Record]) -> list[Record]:
        """Return the records whose documents are not there just so; count the others."""
        found = contents(self._session, [one.key for one in batch])
        differing = [
            one
            for one, content in zip(batch, found, strict=True)
            if content is None or not _is_same(one, content)
        ]
        self.tally.unchanged += len(batch) - len(differing)
        return differing

    def _check(self, stored: list[Record]) -> None:
        last = {one.key: one for one in stored}  # of several lines of one document the last holds
        now = time.time() * 1000 + self._ahead
        for one, content in zip(last.values(), contents(self._session, last), strict=True):
            if content is None:
                if one.expire_at is None or one.expire_at > now + _TOLERANCE:
                    raise self._problem(one, f"document {one.key!r} was stored, but is gone")
            elif not _is_same(one, content):
                raise self._problem(
                    one,
                    f"document {one.key!r} was stored, but reads back differently: has another "
                    "program changed it?",
                )
            elif not _ends_alike(one, content, now):
                raise self._problem(one, f"document {one.key!r} has another time to live")
        self.tally.checked += len(stored)

    def _refuse(self, foreign: list[Record], there: list[Record]) -> None:
        first = min([*foreign, *there])
        if first in foreign:
            raise self._problem(
                first,
                f"the key {first.key!r} holds something that is not JSON; it was left as it is. "
                "--skip-existing passes over it",
            )
        differs = " with other content" if self._rules.resume else ""
        raise self._problem(
            first,
            f"document {first.key!r} exists{differs}; it was left as it is. "
            "--overwrite replaces it, --skip-existing passes over it, --resume accepts it if it is "
            "the same",
        )

    def _problem(self, record: Record, text: str) -> Problem:
        return Problem(f"{self._name}, line {record.line}: {text}")


def _is_same(record: Record, content: Content) -> bool:
    """Return whether a document holds just the value of a record: order, kinds and every bit."""
    return orjson.dumps(orjson.loads(content.text)) == orjson.dumps(record.value)


def _ends_alike(record: Record, content: Content, now: float) -> bool:
    if record.expire_at is None or content.left is None:
        return record.expire_at is None and content.left is None
    return abs(now + content.left - record.expire_at) < _TOLERANCE


def _batches(lines: Iterable[Record]) -> Iterator[list[Record]]:
    """Gather records; what came before a line that is wrong is handed out first."""
    batch: list[Record] = []
    size = 0
    wrong: Problem | None = None
    try:
        for record in lines:
            batch.append(record)
            size += record.size
            if size >= _TOGETHER or len(batch) >= _MOST:
                yield batch
                batch, size = [], 0
    except Problem as problem:
        wrong = problem
    if batch:
        yield batch
    if wrong is not None:
        raise wrong


@contextmanager
def _source(name: str) -> Iterator[tuple[BinaryIO, int | None]]:
    if name == "-":
        yield sys.stdin.buffer, None
        return
    with open(name, "rb") as file:
        yield file, os.fstat(file.fileno()).st_size


def _report(session: Session, tally: Tally) -> None:
    if session.as_json:
        print_json(asdict(tally))
        return
    more = {
        "already there": tally.unchanged,
        "skipped": tally.skipped,
        "expired meanwhile": tally.expired,
        "read back and compared": tally.checked,
    }
    text = "".join(f", {count:,} {what}" for what, count in more.items() if count)
    say(f"imported {counted(tally.imported)}{text}")
