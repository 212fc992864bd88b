"""`redisjson-dict migrate`: another store's data become documents."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from enum import StrEnum
from typing import Annotated, NoReturn

import redis
import typer
from redis.exceptions import RedisError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from redisjson_dict import migration, urls
from redisjson_dict.cli.console import Code
from redisjson_dict.errors import RedisJSONDictError
from redisjson_dict.mapping import RedisJSONDict
from redisjson_dict.migration import (
    JSONSource,
    RedisDictSource,
    RedisJSONDictSource,
    Report,
    ShelveSource,
    Source,
    SqliteDictSource,
)

__all__ = ["Kind", "Values", "migrate"]

_URL = "redis://localhost:6379"
_SOCKET_SECONDS = 60.0  # a large document takes a server longer than redis-py waits
_CONNECT_SECONDS = 5.0


class Kind(StrEnum):
    """What can be migrated."""

    REDIS_JSON_DICT = "redis-json-dict"
    REDIS_DICT = "redis-dict"
    SHELVE = "shelve"
    SQLITEDICT = "sqlitedict"
    JSON = "json"


class Values(StrEnum):
    """How the values of a sqlitedict are encoded."""

    PICKLE = "pickle"
    JSON = "json"


_STORES = (Kind.REDIS_JSON_DICT, Kind.REDIS_DICT)


def migrate(
    context: typer.Context,
    kind: Annotated[Kind, typer.Option("--from", help="What wrote the old data.")],
    prefix: Annotated[
        str,
        typer.Option(
            metavar="SOURCE",
            help="The prefix of redis-json-dict, the namespace of redis-dict, or a file.",
        ),
    ],
    to: Annotated[str, typer.Option(metavar="PREFIX", help="The prefix of the new documents.")],
    url: Annotated[
        str | None,
        typer.Option(envvar="REDIS_URL", help=f"The server; else {_URL}.", show_default=False),
    ] = None,
    from_url: Annotated[
        str | None,
        typer.Option(help="The server of the old data, if it is another.", show_default=False),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(help="The table of a sqlitedict.", show_default="unnamed"),
    ] = None,
    values: Annotated[
        Values | None,
        typer.Option(help="How the values of a sqlitedict are encoded.", show_default="pickle"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done; write nothing.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace documents that differ.")
    ] = False,
    convert: Annotated[
        bool,
        typer.Option("--convert", help="Store sets as arrays, dates as text, and so on."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The report for programs.")] = False,
) -> None:
    """Carry the data of another store into documents; the old data are left as they are.

    A second run goes on where one was interrupted. Exit codes: 0 all is there now (also when
    there was nothing), 1 an error, 2 wrong usage, 5 something was not carried.
    """
    server: str = url or getattr(context.find_root().obj, "url", None) or _URL
    with _told(), ExitStack() as stack:
        _check_options(kind, from_url, table, values)
        client = stack.enter_context(_client(server))
        old = stack.enter_context(_client(from_url)) if from_url else client
        source = _source(kind, prefix, old, table, values)
        if not (dry_run or yes):
            replacing = ", and replace those that differ" if overwrite else ""
            _ask(f"Store {source} as documents {to!r}... on {_server(client)}{replacing}?")
        show = stack.enter_context(_progress(source))
        d = RedisJSONDict(client, to)
        report = migration.migrate(
            source, d, dry_run=dry_run, overwrite=overwrite, convert=convert, progress=show
        )
        stack.close()
        _print(report, as_json)
    if not report.ok:
        raise typer.Exit(Code.NOT_CARRIED)


def _check_options(
    kind: Kind, from_url: str | None, table: str | None, values: Values | None
) -> None:
    if from_url and kind not in _STORES:
        _fail("--from-url is for redis-json-dict and redis-dict only", Code.USAGE)
    for option, value in (("--table", table), ("--values", values)):
        if value is not None and kind is not Kind.SQLITEDICT:
            _fail(f"{option} is for sqlitedict only, not for {kind}: leave it out", Code.USAGE)


def _source(
    kind: Kind, where: str, client: redis.Redis, table: str | None, values: Values | None
) -> Source:
    if kind is Kind.REDIS_JSON_DICT:
        return RedisJSONDictSource(client, where)
    if kind is Kind.REDIS_DICT:
        return RedisDictSource(client, where)
    if kind is Kind.SHELVE:
        return ShelveSource(where)
    if kind is Kind.JSON:
        return JSONSource(where)
    table = "unnamed" if table is None else table
    if values is Values.JSON:
        return SqliteDictSource(where, table, json.loads)
    return SqliteDictSource(where, table)


def _client(url: str) -> closing[redis.Redis]:
    try:
        urls.check(url)
        client = redis.Redis.from_url(
            url, socket_timeout=_SOCKET_SECONDS, socket_connect_timeout=_CONNECT_SECONDS
        )
    except ValueError as error:
        _fail(str(error), Code.USAGE)
    return closing(client)


def _server(client: redis.Redis) -> str:
    """Return which server and database that is; nothing of a URL, which may have a password."""
    options = client.get_connection_kwargs()
    where = options.get("path") or f"{options.get('host')}:{options.get('port')}"
    return f"{where}, database {options.get('db') or 0}"


def _ask(question: str) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        _fail(
            f"{question} Nobody can be asked here: pass --yes, or --dry-run to look first",
            Code.USAGE,
        )
    # typer.confirm would write a space to standard output, where the report goes
    typer.echo(_visible(f"{question} [y/N]: "), nl=False, err=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        _fail("nothing was written", Code.ERROR)


@contextmanager
def _told() -> Iterator[None]:
    """Say in one line what ended the command, instead of a traceback."""
    try:
        yield
    except BrokenPipeError:  # nobody reads the report any more: the program exits with 141
        raise
    except (RedisError, RedisJSONDictError, OSError) as error:
        notes = getattr(error, "__notes__", [])
        again = "what was carried before stays: the same command goes on from there"
        _fail("; ".join([str(error), *notes, *([again] if notes else [])]), Code.ERROR)
    except KeyboardInterrupt:
        _fail("interrupted: the same command goes on from there", Code.INTERRUPTED)


@contextmanager
def _progress(source: Source) -> Iterator[Callable[[Report], object] | None]:
    """Show on a terminal how far it is."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task("read", total=source.size())
        yield lambda report: bar.update(task, completed=report.seen)


def _print(report: Report, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report.to_python()))
        return
    for line in report.lines():
        typer.echo(_visible(line))


def _visible(text: str) -> str:
    """Return a text with nothing in it that a terminal would obey."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _fail(message: str, code: Code) -> NoReturn:
    typer.echo(_visible(f"redisjson-dict: {message}"), err=True)
    raise typer.Exit(code)
