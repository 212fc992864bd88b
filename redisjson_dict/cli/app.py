"""All commands together, and how each of them ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from redisjson_dict.cli import (
    doctor,
    editing,
    exporting,
    importing,
    listing,
    migrate,
    serving,
    tree,
    watching,
)
from redisjson_dict.cli.console import Code, Problem, say, use_utf8
from redisjson_dict.cli.failures import EXPECTED, outcome
from redisjson_dict.cli.session import AsJson, OnCluster, Options, Prefix, Url, connected
from redisjson_dict.cli.usage import Command, unvalued

__all__ = ["app"]


class Program(TyperGroup):
    """The whole command line: whatever happens is one line on standard error and an exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command and exit."""
        use_utf8()
        try:
            code = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        except EXPECTED as error:
            text, code = outcome(error)
            if code == Code.CLOSED:
                _give_up_output()
            elif text:
                say(f"redisjson-dict: {text}")
        if standalone_mode:
            sys.exit(code or 0)
        return code

    def get_params(self, ctx: Any) -> Any:
        """Return all options."""
        return unvalued(super().get_params(ctx))

    def invoke(self, ctx: Any) -> Any:
        """Run a command, and notice when nobody reads what it writes: typer would exit with 1."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError as error:
            raise Problem("", Code.CLOSED) from error
        return result


app = typer.Typer(
    cls=Program,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Look at, change, move and watch JSON documents in Redis.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"redisjson-dict {version('redisjson-dict')}")
        raise typer.Exit


@app.callback()
def shared(
    context: typer.Context,
    url: Url = None,
    prefix: Prefix = None,
    as_json: AsJson = None,
    cluster: OnCluster = None,
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version."),
    ] = False,
) -> None:
    """Look at, change, move and watch JSON documents in Redis."""
    if prefix is not None and context.invoked_subcommand == "migrate":
        raise Problem(
            "--prefix before 'migrate' has no meaning: after it, --prefix is where the old data "
            "are, and --to is the prefix of the documents",
            Code.USAGE,
        )
    context.obj = Options(url, prefix, as_json, cluster)


_COMMANDS: dict[str, Callable[..., None]] = {
    "ls": listing.ls,
    "tree": tree.tree,
    "get": editing.get,
    "set": editing.put,
    "del": editing.delete,
    "append": editing.append,
    "incr": editing.incr,
    "ttl": editing.ttl,
    "query": editing.query,
    "export": exporting.export,
    "import": importing.load,
    "watch": watching.watch,
    "doctor": doctor.doctor,
}
for _name, _function in _COMMANDS.items():
    app.command(_name, cls=Command)(connected(_function))


app.command("serve", cls=Command)(serving.serve)
app.command("migrate", cls=Command)(migrate.migrate)


def _give_up_output() -> None:
    """Let nothing be written at the end to a reader that has gone: it would only complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
