"""Commands of the command line, run in this process or as processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

import typer.testing
from typer.main import get_command
from typer.testing import CliRunner

from redisjson_dict.cli.app import app

__all__ = ["ODD", "Done", "PROGRAM", "run", "start"]

PROGRAM = [sys.executable, "-m", "redisjson_dict"]
COMMAND = get_command(app)  # CliRunner itself would make it anew for each call
ENVIRONMENT = {"REDIS_URL", "REDISJSON_DICT_PREFIX"}

ODD = [
    "",
    "a.b[0]",
    'say "x"',
    '"quoted"',
    "it's",
    " lead",
    "trail ",
    "back\\slash",
    "line\nbreak",
    "\x1b[31mred",
    "\x9b31m",
    "nul\0",
    "\u202eturned",
    "é😀",
    "--yes",
    "-1",
]


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


def run(*arguments: Any, stdin: bytes = b"", **environment: str) -> Done:
    """Run a command in this process."""
    clean = dict.fromkeys(ENVIRONMENT) | environment
    with patch.object(typer.testing, "_get_command", lambda _: COMMAND):
        found = CliRunner().invoke(app, [str(a) for a in arguments], input=stdin, env=clean)
    assert isinstance(found.exception, (SystemExit, type(None))), found.exception
    return Done(found.exit_code, found.stdout, found.stderr)


def _listen() -> None:
    """Take interrupts, also where the tests run as a job in the background, which ignores them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def start(*arguments: Any, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command as a process, which does not outlive the block."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE) | options
    clean = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    command = [*PROGRAM, *map(str, arguments)]
    with subprocess.Popen(command, env=clean, preexec_fn=_listen, **pipes) as process:
        try:
            yield process
        finally:
            process.terminate()  # nothing, where it has ended
