"""`export`: all documents under the prefix, as JSON Lines."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import orjson
import typer

from redisjson_dict.cli.console import (
    Code,
    Problem,
    counted,
    on_terminal,
    print_json,
    print_line,
    say,
    size_of,
)
from redisjson_dict.cli.contents import clock, contents
from redisjson_dict.cli.ending import resumable
from redisjson_dict.cli.jsonl import header, is_header, line_of, trailer
from redisjson_dict.cli.listing import Listed, listed
from redisjson_dict.cli.progress import is_shown, progress
from redisjson_dict.cli.session import Session

__all__ = ["export"]

_TOGETHER = 4 * 1024 * 1024  # bytes in the server's memory that are fetched in one round trip
_UNKNOWN = 64 * 1024  # what a document counts for where its size may not be asked


class _Target:
    """Where lines go, and what has gone there."""

    def __init__(self, file: BinaryIO, done: set[str]) -> None:
        self._file = file
        self.done = done
        self.count = 0
        self.size = 0

    def write(self, line: bytes) -> None:
        if on_terminal(sys.stdout) and self._file is sys.stdout.buffer:
            print_line(line.decode().rstrip("\n"))
        else:
            self._file.write(line)
        self.size += len(line)


def export(
    session: Session,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Where to; - is standard output.")
    ] = "-",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a file that was cut.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:
    """Write all documents as JSON Lines, exactly, and the moments when they end."""
    if resume and (file == "-" or overwrite):
        raise Problem("--resume goes on with a file, and does not replace it", Code.USAGE)
    session.all_nodes()  # before a file is touched
    started = time.monotonic()
    option = "--resume in place of --overwrite" if overwrite else "--resume"
    how = "run it again" if file == "-" else f"the same command with {option} goes on"
    with resumable(how), _target(session, file, resume, overwrite) as target:
        _write_all(session, target, quiet=file == "-" and on_terminal(sys.stdout))
        target.write(trailer(target.count + len(target.done)))
    took = time.monotonic() - started
    facts = {"exported": target.count, "already": len(target.done), "bytes": target.size}
    if session.as_json and file != "-":
        print_json({**facts, "seconds": round(took, 3)})
        return
    already = f", {len(target.done)} were there already" if target.done else ""
    say(f"exported {counted(target.count)}, {size_of(target.size)}, in {took:.1f} s{already}")


def _write_all(session: Session, target: _Target, quiet: bool) -> None:
    total = len(session.documents) if is_shown() and not quiet else None
    ahead = clock(session)
    with progress("exporting", total, quiet=quiet) as advance:
        for page in listed(session, sizes=True):
            for part in _parts([one for one in page if one.key not in target.done]):
                keys = [one.key for one in part]
                found = contents(session, keys)
                now = time.time() * 1000 + ahead
                for key, content in zip(keys, found, strict=True):
                    if content is not None:
                        end = None if content.left is None else round(now + content.left)
                        target.write(line_of(key, end, content.text))
                        target.count += 1
            advance(len(page))


def _parts(page: list[Listed]) -> Iterator[list[Listed]]:
    """Cut a page into what may be in memory at once."""
    part: list[Listed] = []
    weight = 0
    for one in page:
        size = _UNKNOWN if one.size is None else one.size
        if part and weight + size > _TOGETHER:
            yield part
            part, weight = [], 0
        part.append(one)
        weight += size
    if part:
        yield part


@contextmanager
def _target(session: Session, name: str, resume: bool, overwrite: bool) -> Iterator[_Target]:
    if name == "-":
        sys.stdout.flush()
        target = _Target(sys.stdout.buffer, set())
        target.write(header(session.prefix))
        yield target
        sys.stdout.buffer.flush()
        return
    path = Path(name)
    if path.exists() and not (resume or overwrite):
        raise Problem(f"{name} exists: --resume goes on with it, --overwrite replaces it")
    going_on = resume and path.exists()
    with path.open("r+b" if going_on else "wb") as file:
        target = _Target(file, _kept(file, name, session.prefix) if going_on else set())
        if file.tell() == 0:
            target.write(header(session.prefix))
        yield target
        file.flush()
        os.fsync(file.fileno())


def _kept(file: BinaryIO, name: str, prefix: str) -> set[str]:
    """Return the keys that a file has already; it is cut after the last whole line of them.

    Raises:
        Problem: it is no export, or one of another prefix.
    """
    kept: set[str] = set()
    end = 0
    for number, line in enumerate(file, 1):
        if number == 1 and not is_header(line):
            raise Problem(f"{name}, line 1: this file is no export: --overwrite replaces it")
        try:
            content = orjson.loads(line) if line.endswith(b"\n") else {}
        except ValueError:
            content = {}
        if number == 1 and content.get("prefix") != prefix:
            raise Problem(
                f"{name} is an export of the prefix {content.get('prefix')!r}, not of {prefix!r}"
            )
        if number > 1 and "key" not in content:
            break
        if number > 1:
            kept.add(content["key"])
        end += len(line)
    file.seek(end)
    file.truncate()
    return kept
