"""Which rights of those in ``docs/security.md`` a user lacks, on a key under the prefix."""

from __future__ import annotations

from redisjson_dict.cli.session import Session
from redisjson_dict.operations import Operation, same
from redisjson_dict.replies import as_text
from redisjson_dict.scripts import script

__all__ = ["READER", "WRITER", "denied"]

READER = (
    *("json.get", "json.type", "json.arrlen", "json.objlen", "json.objkeys", "json.arrindex"),
    "json.strlen",
    *("type", "pttl", "scan"),
)
"""What a user who reads needs, besides EVAL and EVALSHA.

Those must not be asked about: a server that is asked by ``redis.acl_check_cmd`` whether a user may
run EVAL reads beyond the arguments that it was given, and ends.
"""

WRITER = (
    *("json.set", "json.mset", "json.merge", "json.del", "json.clear"),
    *("json.numincrby", "json.strappend", "json.toggle"),
    *("json.arrappend", "json.arrinsert", "json.arrpop", "json.arrtrim"),
    *("exists", "persist", "pexpire", "pexpireat", "rename", "multi", "exec"),
)
"""What a user who writes needs besides."""


def denied(session: Session, commands: tuple[str, ...]) -> list[str]:
    """Return those commands that the user may not run. Cost: one round trip, and EVAL.

    Raises:
        redis.ResponseError: this may not be asked; or the server is older than Redis 7.
    """
    at = session.space.document("")
    source = script("rights")
    command = ("EVALSHA", source.sha, b"1", at.key, *commands)
    reply = session.run(Operation(at, command, same, resend=True, script=source))
    return [as_text(name) for name in reply]
