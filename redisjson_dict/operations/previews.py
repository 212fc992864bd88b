"""A bounded look at a value, in one round trip, however large it is."""

from __future__ import annotations

from typing import Any

from redisjson_dict.location import Location, Step
from redisjson_dict.operations import Flow, Steps, Verb, scripted, walk
from redisjson_dict.preview import SHARE, Part, Start, Unseen, View, parse
from redisjson_dict.replies import Reply, absent

__all__ = ["look"]


def look(at: Location, wants: str) -> Verb[View]:
    """Read what is to be shown of a container.

    Below a name that no path spells for every command, the nearest place above is looked at, and
    what is shown of that is followed down.

    Args:
        at: the place.
        wants: the kind that must be there.
    """
    if all(map(_is_measured, at.steps)):
        return scripted("preview", at, _parsed, wants, SHARE, resend=True, wants=wants)
    anchor = at.anchor()

    def start() -> Steps[View]:
        above: Any = yield scripted("preview", anchor, _parsed, "", SHARE, resend=True)
        return _follow(at, len(anchor.steps), above, wants)

    return Flow(at, start)


def _parsed(_: Location, reply: Reply) -> View:
    return parse(reply)


def _is_measured(step: Step) -> bool:
    """Return whether the commands that tell lengths find a member of this name by path."""
    if isinstance(step, int) or step.startswith(" "):
        return isinstance(step, int)
    return '"' not in step or ("'" not in step and "\\" not in step)


def _follow(at: Location, above: int, seen: View, wants: str) -> View:
    """Return what is shown of a place, from what is shown of one above it.

    Raises:
        StaleLocationError: it is not there, or of another kind.
    """
    for depth in range(above, len(at.steps)):
        if not isinstance(seen, Part):
            return walk(at, depth, _plain(seen), wants)[0]
        seen = seen.child(at.steps[depth])
        if isinstance(seen, Unseen):
            return Unseen(wants)
    if not isinstance(seen, Part):
        return walk(at, len(at.steps), _plain(seen), wants)[0]
    if seen.kind == wants:
        return seen
    raise absent(at, len(at.steps), seen.kind, wants)


def _plain(seen: View) -> Any:
    return seen.text if isinstance(seen, Start) else seen
