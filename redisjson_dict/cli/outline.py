"""The shape of a document without its content: kinds, sizes, and the first of what it holds.

Cost: one round trip for each level shown; what travels is bounded by what is shown, whatever the
size of the document.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from redisjson_dict.codec import decode
from redisjson_dict.location import Location, Step
from redisjson_dict.operations import Flow, Operation, Steps, or_else, same, scripted

__all__ = ["CUT", "Branch", "outline"]

CUT = 60
"""Bytes of a scalar that are shown."""

_CONTAINERS = ("object", "array")
_WIDEST = 500  # containers of one level that are looked into


@dataclass
class Branch:
    """A place in a document.

    Attributes:
        step: its name or index; of the place that was asked for, what the caller calls it.
        kind: as JSON.TYPE names it; empty for what was gone when it was looked at.
        at: the place; None where the server cannot walk.
        count: members or elements; for a scalar the bytes of its JSON text; -1 if not known.
        text: the beginning of a scalar's JSON text.
        children: the first of them; None: not looked at.
    """

    step: Step
    kind: str
    at: Location | None
    count: int = -1
    text: str = ""
    children: list[Branch] | None = field(default=None)

    @property
    def is_container(self) -> bool:
        """Whether something can be inside."""
        return self.kind in _CONTAINERS

    @property
    def more(self) -> int:
        """How many children are not among those shown."""
        return 0 if self.children is None else self.count - len(self.children)


def outline(at: Location, step: Step, depth: int, width: int) -> Flow[Branch]:
    """Return the outline of what is at a place.

    Args:
        at: the place; every command must be able to address it.
        step: what it is called.
        depth: levels below it.
        width: children of each container.

    Raises:
        KeyError: nothing is there.
    """

    def start() -> Steps[Branch]:
        root = Branch(step, "", at)
        _fill(root, (yield _look(at, width)))
        level = [root]
        for _ in range(depth - 1):
            level = _inner(level)
            if not level:
                break
            looks = [_look(branch.at, width) for branch in level if branch.at is not None]
            for branch, reply in zip(level, (yield looks), strict=True):
                _fill(branch, reply)
        return root

    return Flow(at, start)


def _look(at: Location, width: int) -> Operation[Any]:
    operation = scripted("outline", at, same, width, CUT, resend=True)
    if at.own != len(at.steps):
        return operation
    looked = or_else(operation, None) if at.tail else operation
    assert isinstance(looked, Operation)  # as its argument
    return looked


def _inner(level: list[Branch]) -> list[Branch]:
    """Return the containers of the next level that the server can walk into."""
    below = [child for branch in level for child in branch.children or ()]
    return [child for child in below if child.is_container and child.at is not None][:_WIDEST]


def _fill(branch: Branch, reply: Any) -> None:
    """Put into a branch what the script has replied."""
    if reply is None:  # gone, since it was seen
        branch.kind, branch.at = "", None
        return
    branch.kind = reply[0].decode()
    if not branch.is_container:
        branch.text, branch.count = _text(reply[1]), reply[2]
        return
    branch.count = reply[1]
    names = decode(reply[2])
    steps: list[Step] = names or [*range(len(reply[3]))]
    make = partial(_child, branch)
    branch.children = list(map(make, steps, reply[3], reply[4], reply[5]))


def _child(branch: Branch, step: Step, kind: bytes, text: bytes, size: int) -> Branch:
    assert branch.at is not None  # it has been looked at
    place = branch.at.child(step)
    return Branch(step, kind.decode(), place if place.writable else None, size, _text(text))


def _text(start: bytes) -> str:
    return start.decode(errors="ignore")  # cut, perhaps inside of a character
