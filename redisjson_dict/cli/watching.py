"""`watch`: what changes, as it changes, from the server's keyspace events."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer
from redis.exceptions import ResponseError

from redisjson_dict.cli.console import (
    Code,
    Problem,
    agree,
    print_json,
    print_rows,
    quoted,
    say,
)
from redisjson_dict.cli.ending import until_told
from redisjson_dict.cli.session import Session, text

__all__ = ["SETTING", "reports", "watch"]

SETTING = "notify-keyspace-events"
_WANTED = "Kgxed"  # by key: generic, expired, evicted, of modules
_WAIT_SECONDS = 1.0
_WIDTHS = (12, 16)


def watch(
    session: Session,
    enable: Annotated[
        bool, typer.Option("--enable", help="Make the server report changes. Asks first.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    count: Annotated[
        int | None,
        typer.Option(metavar="N", help="End after so many events.", min=1, show_default=False),
    ] = None,
) -> None:
    """Show every change of a document under the prefix until Ctrl-C: time, event and key.

    The events are the server's own: they name the command and the key, not the place inside.
    """
    if session.cluster:
        raise Problem(
            "the nodes of a Cluster report their own keys only: watch each primary by its URL, "
            "without --cluster",
            Code.USAGE,
        )
    try:
        _prepare(session, enable, yes)
    except KeyboardInterrupt:  # the end, also before anything is shown
        return
    left = -1 if count is None else count
    with until_told() as told:
        for event, key in _events(session, told):
            _show(session, event, key)
            left -= 1
            if not left:
                return


def reports(flags: str) -> bool:
    """Return whether a server with these flags of the setting reports changes of documents."""
    return "K" in flags and ("d" in flags or "A" in flags)


def _prepare(session: Session, enable: bool, yes: bool) -> None:
    """See to it that the server reports changes.

    Raises:
        Problem: it does not, and was not to be changed.
    """
    try:
        found: Any = session.client.config_get(SETTING)
    except ResponseError as error:
        say(
            f"whether the server reports changes cannot be asked ({error}): if nothing comes, "
            f"have its owner set {SETTING} to {_WANTED}"
        )
        return
    flags = text(next(iter(found.values()), ""))
    if reports(flags):
        return
    if not enable:
        raise Problem(
            f"the server reports no changes of documents ({SETTING} is {flags!r}): "
            "'redisjson-dict watch --enable' turns that on until it is restarted, for every client"
        )
    wanted = flags + "".join(flag for flag in _WANTED if flag not in flags)
    agree(f"Set {SETTING} of the server to {wanted!r}, from {flags!r}?", yes)
    session.client.config_set(SETTING, wanted)


def _events(session: Session, told: threading.Event) -> Iterator[tuple[str, str]]:
    """Wait for events of keys under the prefix."""
    options = session.client.connection_pool.connection_kwargs
    channel = f"__keyspace@{options.get('db') or 0}__:".encode()
    client: Any = session.client
    with client.pubsub() as listener:
        listener.psubscribe(channel + session.space.pattern)
        while not told.is_set():
            message = listener.get_message(timeout=_WAIT_SECONDS)
            if message is None:
                continue
            if message["type"] == "psubscribe" and not session.as_json:
                what = f"keys under {session.prefix!r}" if session.prefix else "all keys"
                say(f"watching {what}; Ctrl-C ends it")
            elif message["type"] == "pmessage":
                keys = session.space.ours([message["channel"][len(channel) :]])
                for name in session.space.names(keys):
                    yield text(message["data"]), name


def _show(session: Session, event: str, key: str) -> None:
    now = datetime.now().astimezone()
    if session.as_json:
        print_json({"time": now.isoformat(timespec="milliseconds"), "event": event, "key": key})
    else:
        print_rows([(now.strftime("%H:%M:%S.%f")[:-3], event, quoted(key))], _WIDTHS)
    sys.stdout.flush()
