"""`redisjson-dict migrate`: another store's data become documents."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from enum import StrEnum
from typing import Annotated

import redis
import typer
from redis.exceptions import RedisError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from redisjson_dict import migration
from redisjson_dict.cli.console import (
    Code,
    Problem,
    agree,
    counted,
    on_terminal,
    print_json,
    print_line,
    say,
)
from redisjson_dict.cli.ending import resumable
from redisjson_dict.cli.session import AsJson, OnCluster, Options, Session, Url, shared
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
    url: Url = None,
    from_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="The server of the old data, if it is another.", show_default=False
        ),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The table of a sqlitedict.", show_default="unnamed"),
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
    as_json: AsJson = None,
    cluster: OnCluster = None,
) -> None:
    """Carry the data of another store into documents; the old data are left as they are.

    A second run goes on where one was interrupted. Exit codes: 0 all is there now (also when
    there was nothing), 1 an error, 2 wrong usage, 5 something was not carried.
    """
    _check_options(kind, from_url, table, values)
    given = shared(context, Options(url, as_json=as_json, cluster=cluster))
    if given.cluster:
        raise Problem(
            "migrate does not write to a Cluster: migrate to one server, then 'export' from there "
            "and 'import' with --cluster",
            Code.USAGE,
        )
    with closing(Session(given)) as new, closing(Session(Options(from_url or given.url))) as old:
        source = _source(kind, prefix, old.client, table, values)
        replacing = ", and replace those that differ" if overwrite else ""
        question = f"Store {source} as documents {to!r}... on {_server(new.client)}{replacing}?"
        agree(question, yes or dry_run)
        left = "nothing was written" if dry_run else "the same command goes on from there"
        with resumable(left), _followed(source) as follow:
            report = migration.migrate(
                source,
                RedisJSONDict(new.client, to),
                dry_run=dry_run,
                overwrite=overwrite,
                convert=convert,
                progress=follow,
            )
    _print(report, bool(given.as_json))
    if not report.ok:
        raise typer.Exit(Code.NOT_CARRIED)


def _check_options(
    kind: Kind, from_url: str | None, table: str | None, values: Values | None
) -> None:
    if from_url and kind not in _STORES:
        raise Problem("--from-url is for redis-json-dict and redis-dict only", Code.USAGE)
    for option, value in (("--table", table), ("--values", values)):
        if value is not None and kind is not Kind.SQLITEDICT:
            raise Problem(
                f"{option} is for sqlitedict only, not for {kind}: leave it out", Code.USAGE
            )


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


def _server(client: redis.Redis) -> str:
    """Return which server and database that is; nothing of a URL, which may have a password."""
    options = client.get_connection_kwargs()
    where = options.get("path") or f"{options.get('host')}:{options.get('port')}"
    return f"{where}, database {options.get('db') or 0}"


@contextmanager
def _followed(source: Source) -> Iterator[Callable[[Report], object]]:
    """Show how far it is; say what was carried before the server failed, if anything was."""
    so_far = Report("", "")

    def follow(report: Report) -> None:
        nonlocal so_far
        so_far = report
        show(report)

    try:
        with _bar(source) as show:
            yield follow
    except RedisError:
        carried = so_far.counts["carried"] + so_far.counts["replaced"]
        if carried and not so_far.dry_run:
            say(f"carried {counted(carried)}, which stay: the same command goes on from there")
        raise


@contextmanager
def _bar(source: Source) -> Iterator[Callable[[Report], object]]:
    """Show on a terminal how far it is."""
    if not on_terminal(sys.stderr):
        yield lambda report: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task("read", total=source.size())
        yield lambda report: bar.update(task, completed=report.seen)


def _print(report: Report, as_json: bool) -> None:
    if as_json:
        print_json(report.to_python())
        return
    for line in report.lines():
        print_line(line)
