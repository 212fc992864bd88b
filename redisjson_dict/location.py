"""Where a value lives: a document's key and a path inside it. Knows nothing of Redis clients.

Theory of operation. RedisJSON reads and writes member names by different rules (up to 8.6): in a
path that is *written* to, an escaped name is taken letter by letter, so a name that needs an
escape would silently create or change another member. Three classes of names follow:

- *writable*: can be spelled without any escape; every command works on them;
- *readable*: need an escape (a backslash, or both kinds of quotes); JSON.GET and JSON.TYPE find
  them, nothing else does;
- neither: names that start with a space, which the path grammar skips.

A `Location` is cheap to extend and spells itself once: `base` is the path that is known to be
there (a held proxy's own place, or ``$``), `tail` the further steps, which a script resolves one
by one. A negative index stays a bare number in `tail` until the server has resolved it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redisjson_dict.errors import ValueRangeError

__all__ = ["DEPTH_LIMIT", "Location", "Settings", "Step", "is_readable", "is_writable", "segment"]

Step = str | int

DEPTH_LIMIT = 127
"""Levels of nesting of a document. The server's parser takes 127; far deeper ones abort it."""

_FAR = 2**53
"""No array is that long. Larger indices would abort the server (beyond i64) or round in Lua."""

_MINUS = ord("-")

_WORDS = frozenset(
    (
        *(
            "and",
            "anyof",
            "append",
            "avg",
            "concat",
            "contains",
            "count",
            "empty",
            "false",
            "first",
        ),
        *("in", "index", "indexof", "keys", "last", "length", "match", "max", "min", "nin"),
        *("noneof", "not", "null", "or", "search", "size", "sizeof", "stddev", "subsetof", "sum"),
        *("true", "type", "undefined", "value", "values"),
    )
)
"""What is, or may become, more than a name after a dot: extended JSONPath has functions and
operators."""


def is_readable(name: str) -> bool:
    """Return whether JSON.GET and JSON.TYPE can find a member of this name by path."""
    return not name.startswith(" ")


def is_writable(name: str) -> bool:
    """Return whether every command can address a member of this name by path."""
    if name.startswith(" ") or "\\" in name:
        return False
    return '"' not in name or "'" not in name


def segment(step: Step) -> bytes:
    """Spell one step of a path; a negative index as a bare number, to be resolved by a script.

    Raises:
        ValueRangeError: the name holds a lone surrogate, which UTF-8 cannot carry.
    """
    if isinstance(step, str):
        return _spelling(step).segment
    index = max(-_FAR, min(_FAR, step))
    return b"[%d]" % index if index >= 0 else b"%d" % index


class _Spelling:
    """A member name as it travels, and what may be done by it."""

    __slots__ = ("readable", "segment", "writable")

    def __init__(self, name: str) -> None:
        if name.isascii() and name.isidentifier() and name.lower() not in _WORDS:
            # The server compiles it in 0.7 to 0.8 of the time of brackets.
            self.segment = b"." + name.encode()
            self.writable = self.readable = True
        else:
            self.segment = _bracketed(name)
            self.writable = is_writable(name)
            self.readable = is_readable(name)


_spelled: dict[str, _Spelling] = {}
_REMEMBERED = 1024  # short names: programs use few of them, over and over
_SHORT = 64
_BELOW = 32  # places remembered below one


def _spelling(name: str) -> _Spelling:
    spelling = _spelled.get(name)
    if spelling is None:
        spelling = _Spelling(name)
        if len(name) <= _SHORT:
            if len(_spelled) >= _REMEMBERED:
                _spelled.clear()
            _spelled[name] = spelling
    return spelling


def _bracketed(name: str) -> bytes:
    try:
        text = name.encode()
    except UnicodeEncodeError as error:
        raise ValueRangeError(
            f"the name {name!r} holds a lone surrogate, which UTF-8 cannot carry"
        ) from error
    if b'"' not in text and b"\\" not in text:
        return b'["' + text + b'"]'
    if b"'" not in text and b"\\" not in text:
        return b"['" + text + b"']"
    return b'["' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"]'


def _permanent() -> bytes:
    return b""


class Settings:
    """What a dict was told once, for all its documents.

    Attributes:
        default: the user's hook for values of a foreign type, or ``None``.
        lifetime: what becomes of a document's time to live when it is assigned; see
            ``scripts/_lifetime.lua``.
    """

    __slots__ = ("default", "lifetime")

    def __init__(
        self,
        default: Callable[[Any], Any] | None = None,
        lifetime: Callable[[], bytes] = _permanent,
    ) -> None:
        if default is not None and not callable(default):
            raise TypeError(f"default is a function, not {type(default).__name__}")
        self.default = default
        self.lifetime = lifetime


class Document:
    """A whole document, as all places inside it share it.

    Attributes:
        name: its key as the user knows it, without prefix.
        key: the Redis key, as UTF-8.
        settings: what the dict was told.
    """

    __slots__ = ("key", "name", "settings")

    def __init__(self, name: str, key: bytes, settings: Settings) -> None:
        self.name = name
        self.key = key
        self.settings = settings


class Location:
    """A place in a document: never changed once made, though it remembers what was made of it.

    Attributes:
        document: the document it is in.
        steps: names and indices from the document's root.
        base: the spelled path that further steps start from.
        tail: the spelled steps after `base`.
        own: how many steps form the place itself; what follows is the key a caller asked for.
            ``-1`` when the document's name is part of that key, as in ``d["run", "a"]``.
        held: whether the place has been seen to exist (a live proxy) or not (a reference).
        writable: whether every step can be written through by path.
        readable: whether every step can be read through by path.
        counted_from_end: whether a negative index is still to be resolved.
        asked: the steps as first asked for, when a negative index was among them.
        pathlike: whether the key that was asked for was spelled as a path.
    """

    __slots__ = (
        "_below",
        "_path",
        "asked",
        "base",
        "counted_from_end",
        "document",
        "held",
        "own",
        "pathlike",
        "readable",
        "steps",
        "tail",
        "writable",
    )

    asked: tuple[Step, ...] | None
    _below: dict[Step, Location] | None
    _path: bytes

    def __init__(
        self,
        name: str,
        key: bytes,
        settings: Settings,
        own: int = -1,
        steps: tuple[Step, ...] = (),
    ) -> None:
        self.document = Document(name, key, settings)
        self.steps: tuple[Step, ...] = ()
        self.base = b"$"
        self.tail: tuple[bytes, ...] = ()
        self.own = own
        self.held = False
        self.writable = True
        self.readable = True
        self.counted_from_end = False
        self.asked = None
        self.pathlike = False
        self._below = None
        if steps:
            self._go(steps)

    def _with(
        self, steps: tuple[Step, ...], base: bytes, tail: tuple[bytes, ...], own: int, held: bool
    ) -> Location:
        """Return a place in the same document. On every path from a call to the wire: kept flat."""
        other = _unmade(Location)
        other.document = self.document
        other.steps = steps
        other.base = base
        other.tail = tail
        other.own = own
        other.held = held
        other.writable = self.writable
        other.readable = self.readable
        other.counted_from_end = bool(tail) and self.counted_from_end
        other.asked = None
        other.pathlike = False
        other._below = None
        return other

    def __repr__(self) -> str:
        return f"<Location {self.describe()}>"

    def describe(self) -> str:
        """Return the place in words, with the normalized path; a very long one is shortened.

        Source: RFC 9535, section 2.7.
        """
        return f"document {_shorten(repr(self.name))} at {_shorten(normalized(self.steps))}"

    @property
    def name(self) -> str:
        """The document's key as the user knows it, without prefix."""
        return self.document.name

    @property
    def key(self) -> bytes:
        """The Redis key, as UTF-8."""
        return self.document.key

    @property
    def settings(self) -> Settings:
        """What the dict was told."""
        return self.document.settings

    @property
    def path(self) -> bytes:
        """The whole path, with negative indices in the exact slice spelling.

        ``[-i]`` would clamp to the first element; ``[-i:-i+1]`` matches nothing when out of range.
        """
        try:
            return self._path
        except AttributeError:
            tail = map(_exact, self.tail) if self.counted_from_end else self.tail
            self._path = self.base + b"".join(tail)
            return self._path

    @property
    def asked_key(self) -> object:
        """What the caller asked for: the argument of its `KeyError`."""
        rest = self.steps[self.own :] if self.own >= 0 else ()
        rest = rest or (self.name, *self.steps)
        return rest[0] if len(rest) == 1 and not self.pathlike else rest

    def child(self, step: Step) -> Location:
        """Return the place one step further down."""
        return self.descend((step,))

    def remembered(self, step: Step) -> Location:
        """Return the same as `child`; the first few are remembered.

        Programs ask for few places below one, over and over.
        """
        if self._below is None:
            self._below = {}
        place = self._below.get(step)
        if place is None:
            place = self.child(step)
            if len(self._below) < _BELOW and (isinstance(step, int) or len(step) <= _SHORT):
                self._below[step] = place
        return place

    def descend(self, steps: tuple[Step, ...]) -> Location:
        """Return the place several steps further down.

        Raises:
            ValueRangeError: a name holds a lone surrogate, or no document is that deep.
        """
        other = self._with(self.steps, self.base, self.tail, self.own, self.held)
        other._go(steps)
        return other

    def _go(self, steps: tuple[Step, ...]) -> None:
        """Go further down; only for a place that nobody has seen yet."""
        self.steps += steps
        if len(self.steps) > DEPTH_LIMIT:
            raise ValueRangeError(
                f"a path of {len(self.steps)} steps: no document is deeper than "
                f"{DEPTH_LIMIT} levels"
            )
        spelled = []
        for step in steps:
            if type(step) is str:
                spelling = _spelled.get(step) or _spelling(step)
                spelled.append(spelling.segment)
                if not spelling.writable:
                    self.writable = False
                    self.readable = self.readable and spelling.readable
            else:
                text = segment(step)
                spelled.append(text)
                if text[0] == _MINUS:
                    self.counted_from_end = True
        self.tail += tuple(spelled)

    def refer(self) -> Location:
        """Return the same place as one in its own right, not known to exist."""
        return self._with(self.steps, self.base, self.tail, len(self.steps), held=False)

    def hold(self, steps: tuple[Step, ...] | None = None) -> Location:
        """Return the same place as one that was seen to exist.

        Args:
            steps: the steps with every index resolved, where that differs.
        """
        if steps is None or steps == self.steps:
            return self._with(self.steps, self.path, (), len(self.steps), held=True)
        base = b"$" + b"".join(map(segment, steps))
        other = self._with(steps, base, (), len(steps), held=True)
        other.asked = self.steps
        return other

    def parent(self) -> Location:
        """Return the place one step up; only for a place that was reached by `child`."""
        return self._upto(len(self.steps) - 1)

    def anchor(self) -> Location:
        """Return the nearest place up the path that every command can address."""
        for depth, step in enumerate(self.steps):
            if isinstance(step, str) and not is_writable(step):
                return self._upto(depth)
        return self

    def _upto(self, depth: int) -> Location:
        steps = self.steps[:depth]
        settled = len(self.steps) - len(self.tail)
        if depth >= settled:
            base, tail = self.base, self.tail[: depth - settled]
        else:
            base, tail = b"$", tuple(map(segment, steps))
        other = self._with(steps, base, tail, min(self.own, depth), self.held)
        other.counted_from_end = any([step[0] == _MINUS for step in tail])
        names = [step for step in steps if isinstance(step, str)]
        other.writable = all(map(is_writable, names))
        other.readable = all(map(is_readable, names))
        return other


_unmade = object.__new__


def normalized(steps: tuple[Step, ...]) -> str:
    """Return the normalized path of a place.

    Source: RFC 9535, section 2.7.
    """
    return "$" + "".join(
        f"[{step}]" if isinstance(step, int) else f"['{step.translate(_ESCAPES)}']"
        for step in steps
    )


_ESCAPES = {code: f"\\u{code:04x}" for code in range(32)}
_ESCAPES |= {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 39: "\\'", 92: "\\\\"}


def _shorten(text: str) -> str:
    return text if len(text) <= 400 else f"{text[:200]} ... {text[-100:]}"


def _exact(step: bytes) -> bytes:
    if step[0] != _MINUS:
        return step
    index = int(step)
    return b"[-1:]" if index == -1 else b"[%d:%d]" % (index, index + 1)
