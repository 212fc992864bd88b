"""`serve`: a real server with JSON on this machine, for as long as the command runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from redisjson_dict.cli.console import Code, Problem, print_json, print_line, say
from redisjson_dict.cli.ending import until_told
from redisjson_dict.cli.session import AsJson, Options, shared
from redisjson_dict.server import Server, ServerError

__all__ = ["serve"]

_PORT = 6379
_LOOK_SECONDS = 1.0


def serve(
    context: typer.Context,
    path: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the data in this directory; else nothing is kept."),
    ] = None,
    port: Annotated[
        int,
        typer.Option(
            metavar="N", help="Listen on 127.0.0.1 there; 0: any free port.", min=0, max=65535
        ),
    ] = _PORT,
    as_json: AsJson = None,
) -> None:
    """Run a server with JSON on this machine until Ctrl-C. Needs the extra 'server'."""
    given = shared(context, Options(as_json=as_json))
    if given.url is not None or given.prefix is not None or given.cluster is not None:
        raise Problem(
            "serve starts a server of its own: --url, --prefix and --cluster are for the other "
            "commands; --port says where it listens",
            Code.USAGE,
        )
    place = None if path is None else path.resolve()
    with until_told() as told, _server(place, port) as server:
        _announce(server, place, bool(given.as_json))
        while not told.wait(_LOOK_SECONDS):
            if not server.running:
                raise Problem("the server has ended by itself")


def _server(path: Path | None, port: int) -> Server:
    try:
        return Server(path, port=port)
    except ServerError as error:
        raise Problem(str(error).replace("port=0", "--port 0")) from error


def _announce(server: Server, path: Path | None, as_json: bool) -> None:
    if as_json:
        print_json({"url": server.url, "pid": server.pid, "path": str(path) if path else None})
        sys.stdout.flush()
        return
    option = "" if server.url.endswith(f":{_PORT}") else f" --url {server.url}"
    print_line(server.url)
    sys.stdout.flush()
    say(f"  data      {f'kept in {path}' if path else 'gone when it ends (--path DIR keeps them)'}")
    say(f"  Python    RedisJSONDict.from_url({server.url!r})")
    say(f"  shell     redisjson-dict{option} ls")
    say("  end it    Ctrl-C")
