"""Whole documents as the server has them: text and end of life, read in one step each."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from redisjson_dict.cli.session import Session
from redisjson_dict.location import Location
from redisjson_dict.operations import Flow, Operation, Steps
from redisjson_dict.scripts import script

__all__ = ["Content", "clock", "contents", "together"]


class Content(NamedTuple):
    """A document.

    Attributes:
        text: JSON, UTF-8, on one line.
        left: milliseconds that it has left; None: permanent.
    """

    text: bytes
    left: int | None


def contents(session: Session, keys: Iterable[str]) -> list[Content | None]:
    """Return several documents, None for those that are not there. Cost: one round trip."""
    return together(session, [_dump(session.space.document(key)) for key in keys])


def together(session: Session, operations: list[Operation[Any]]) -> list[Any]:
    """Return the results of operations that do not depend on each other, sent in one write."""

    def start() -> Steps[list[Any]]:
        results: list[Any] = (yield operations) if operations else []
        return results

    results: list[Any] = session.run(Flow(session.space.document(""), start))
    return results


def clock(session: Session) -> float:
    """Return by how many milliseconds the server's clock is ahead of ours; 0 if it may not tell."""
    if session.cluster:
        return 0.0
    try:
        before = time.time()
        seconds, microseconds = session.client.time()
        return (seconds + microseconds / 1e6) * 1000 - (before + time.time()) * 500
    except RedisError:
        return 0.0


def _dump(at: Location) -> Operation[Content | None]:
    source = script("dump")
    command = ("EVALSHA", source.sha, b"1", at.key)
    return Operation(at, command, _content, resend=True, script=source)


def _content(_: Location, reply: Any) -> Content | None:
    if reply is None:
        return None
    text, left = reply
    return Content(text[1:-1], None if left < 0 else left)  # without the brackets of a $ path
