"""`doctor`: looks at a server, and says what is wrong and what to do."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from shutil import get_terminal_size
from textwrap import wrap
from typing import Any

import typer
from redis.exceptions import NoPermissionError, NoScriptError, ResponseError
from rich.console import Console

from redisjson_dict.cli import checks
from redisjson_dict.cli.checks import OK, PROBLEM, WARNING, Check
from redisjson_dict.cli.console import Code, escaped, on_terminal, print_json, print_line
from redisjson_dict.cli.rights import READER, WRITER, denied
from redisjson_dict.cli.session import Session, paired, text
from redisjson_dict.cli.watching import SETTING, reports
from redisjson_dict.errors import JSONModuleMissingError
from redisjson_dict.refusals import json_probe
from redisjson_dict.server import FREE_AT_ONCE

__all__ = ["doctor"]

_PINGS = 5
_MARGIN = 34  # of the level and the name
_NARROWEST = 30
_COLOURS = {OK: "green", WARNING: "yellow", PROBLEM: "bold red"}


def doctor(session: Session) -> None:
    """Look at the server: is it fit for documents, and what is to be done if not?

    Exits with 4 when a problem was found. Changes nothing.
    """
    worst = OK
    levels = [OK, WARNING, PROBLEM]
    for check in _checks(session):
        worst = max(worst, check.level, key=levels.index)
        _show(session, check)
    if worst == PROBLEM:
        raise typer.Exit(Code.PROBLEMS)


def _checks(session: Session) -> Iterator[Check]:
    yield _latency(session)
    hello = session.hello()
    modules = {text(m["name"]): m["ver"] for m in map(paired, hello.get("modules", ()))}
    version = modules.get("ReJSON", 0)
    yield from _hello(session, hello, version)
    hiredis = find_spec("hiredis") is not None
    yield Check(
        "parser",
        OK,
        "hiredis" if hiredis else "redis-py's own",
        "" if hiredis else "faster: pip install 'redisjson-dict[hiredis]'",
    )
    yield from _asked("scripts", lambda: _scripts(session))
    yield from _asked("rights", lambda: _rights(session))
    yield from _asked(
        "persistence", lambda: checks.persistence(_info(session, "persistence"), _save(session))
    )
    yield from _asked("memory", lambda: checks.memory(_info(session, "memory")))
    if not checks.frees_safely(version):
        yield from _asked(
            "freeing", lambda: iter([checks.freeing(_settings(session, *FREE_AT_ONCE))])
        )
    yield from _asked("role", lambda: iter([checks.replication(_info(session, "replication"))]))
    yield from _asked(SETTING, lambda: _events(session))


def _asked(name: str, look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """Yield what a look yields; or that this user may not look, or nobody may."""
    try:
        yield from look()
    except NoPermissionError as error:
        yield Check(name, WARNING, f"not known: {error}", "ask as a user with more rights")
    except ResponseError as error:
        yield Check(name, WARNING, f"not known: {error}")


def _latency(session: Session) -> Check:
    """Measure some pings; raises when there is no connection."""
    took = []
    for _ in range(_PINGS):
        started = time.perf_counter()
        with suppress(NoPermissionError):  # an answer, too
            session.client.ping()
        took.append((time.perf_counter() - started) * 1000)
    return checks.latency(took[1:])  # the first one has connected


def _hello(session: Session, hello: dict[str, Any], version: int) -> Iterator[Check]:
    """Tell what every user may ask: the program, its JSON module and the protocol."""
    if hello:
        yield checks.server(text(hello["server"]), text(hello["version"]))
        yield Check("protocol", OK, f"RESP {hello['proto']}")
    yield checks.module(version, has_json=_has_json(session))
    if session.cluster:
        yield Check("cluster", OK, "what follows is of one of its nodes")
    elif text(hello.get("mode")) == "cluster":
        yield Check("cluster", WARNING, "a node of a Cluster", "commands need --cluster")


def _has_json(session: Session) -> bool:
    try:
        session.run(json_probe(session.space))
    except JSONModuleMissingError:
        return False
    except ResponseError:  # a matter of rights, which come later, or of slots
        return True
    return True


def _scripts(session: Session) -> Iterator[Check]:
    key = session.space.document("").key
    try:
        session.client.eval("#!lua flags=no-writes\nreturn 1", 1, key)
        with suppress(NoScriptError):
            session.client.evalsha("0" * 40, 1, key)
    except NoPermissionError as error:
        yield Check(
            "scripts",
            PROBLEM,
            f"not allowed: {error}",
            "verbs that look before they write need +eval +evalsha",
        )
    else:
        yield Check("scripts", OK, "allowed")


def _rights(session: Session) -> Iterator[Check]:
    try:
        reading, writing = denied(session, READER), denied(session, WRITER)
    except JSONModuleMissingError:  # which has been told
        return
    except ResponseError as error:
        yield Check("rights", WARNING, f"not known: {error}", "see docs/security.md")
        return
    advice = "see docs/security.md: ACL SETUSER ... "
    if reading:
        yield Check("rights", PROBLEM, "too few to read", advice + _grants(reading + writing))
    elif writing:
        yield Check("rights", WARNING, "to read; too few to write", advice + _grants(writing))
    else:
        yield Check("rights", OK, "to read and to write")


def _grants(commands: list[str]) -> str:
    return " ".join(f"+{command}" for command in commands)


def _events(session: Session) -> Iterator[Check]:
    flags = _settings(session, SETTING).get(SETTING, "")
    if reports(flags):
        yield Check(SETTING, OK, flags)
    else:
        yield Check(SETTING, OK, flags or "off", "'redisjson-dict watch --enable' turns it on")


def _save(session: Session) -> str | None:
    try:
        return _settings(session, "save").get("save")
    except ResponseError:
        return None


def _settings(session: Session, *names: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:  # servers before 7.0 take one at a time
        reply: Any = session.client.config_get(name)
        found |= {text(key): text(value) for key, value in _one(reply).items()}
    return found


def _info(session: Session, section: str) -> dict[str, Any]:
    found: Any = session.client.info(section)
    return dict(_one(found))


def _one(reply: Any) -> Any:
    """Return the first node's reply, where a Cluster's come by node."""
    values = list(reply.values()) if isinstance(reply, dict) else []
    return values[0] if values and isinstance(values[0], (dict, list)) else reply


def _show(session: Session, check: Check) -> None:
    if session.as_json:
        print_json(check._asdict())
        return
    [first, *more] = _wrapped(check.found)
    line = f"  {check.name:<24}{first}"
    if on_terminal(sys.stdout):
        console = Console(highlight=False, soft_wrap=True)
        console.print(f"{check.level:<8}", style=_COLOURS[check.level], end="", markup=False)
        console.print(escaped(line), markup=False)
    else:
        print_line(f"{check.level:<8}{line}")
    for line in more + (_wrapped(check.advice) if check.advice else []):
        print_line(f"{'':<{_MARGIN}}{line}")


def _wrapped(words: str) -> list[str]:
    """Return words in lines that fit beside the margin of a terminal; on one line elsewhere."""
    if not on_terminal(sys.stdout):
        return [words]
    width = max(_NARROWEST, get_terminal_size().columns - _MARGIN)
    lines = wrap(escaped(words), width, break_long_words=False, break_on_hyphens=False)
    return lines or [""]
