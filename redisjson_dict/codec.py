"""Python values to JSON text and back, strictly and exactly. Knows nothing of places or Redis.

Theory of operation. orjson does the coding. It is fast, but more generous than this package: it
writes NaN as ``null``, accepts enums and UUIDs, and corrupts memory on tuples nested deep. So a
survey looks at the types that occur first, level by level, by the garbage collector's own walk,
which runs in C; anything unusual goes to `_Plain`, the one definition of what is accepted, which
walks the value in Python, converts what may be converted and names the place of what may not.

What is encoded has to be what was looked at. Where other threads run, which may change the value at
any moment, a copy is surveyed and encoded.

Floats are spelled for the server's own parser, see `floats`; where no spelling carries one, the
write is followed by the missing ulp (`Repair`).
"""

from __future__ import annotations

import math
import operator
from collections import UserString
from collections.abc import Callable, Mapping, Sequence
from gc import get_referents
from threading import active_count
from types import NoneType
from typing import Any, NoReturn

import orjson

from redisjson_dict.errors import UnsupportedValueError, ValueRangeError
from redisjson_dict.floats import respell, spell

__all__ = [
    "HEAVY",
    "LARGEST",
    "Encoded",
    "Repair",
    "brief",
    "decode",
    "encode",
    "encode_many",
    "is_light",
    "is_live",
    "plain",
    "to_python",
    "whole",
]

Default = Callable[[Any], Any] | None

LARGEST = 512 * 1024 * 1024
"""Bytes in one argument: the server's proto-max-bulk-len."""

_OPTIONS = (
    orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)
_LEVELS = 127  # what the server's parser takes
_WIDE = 2**17  # containers in one level; few documents have that many
_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1
_SCALARS = frozenset((str, int, float, bool, NoneType))
_CONTAINERS = frozenset((dict, list, tuple))
HEAVY = 32 * 1024 * 1024
"""Bytes that keep a server busy for about a second: a client might give up waiting for more."""
_EACH = 300  # as many bytes take as long as storing one text
_LARGE = 2**23  # bytes of JSON that is decoded a piece at a time, in about the same time
_PIECE = 2**18
_PAGE = 2**22  # bytes of texts that are worth a copy
_STEPS = frozenset((str, int))
_NOT_ARRAYS = (bytes, bytearray, memoryview, UserString)
_COMMON = _SCALARS | _CONTAINERS


class Repair:
    """A float that no spelling carries, and the increment that makes it exact.

    Attributes:
        steps: where it is inside the value.
        increment: what JSON.NUMINCRBY is to add, spelled.
        wanted: the float that must result, as `repr` gives it.
    """

    __slots__ = ("increment", "steps", "wanted")

    def __init__(self, steps: tuple[str | int, ...], increment: bytes, wanted: bytes) -> None:
        self.steps = steps
        self.increment = increment
        self.wanted = wanted

    def below(self, step: str | int) -> Repair:
        """Return the same, for who holds the value as a member or an element."""
        return Repair((step, *self.steps), self.increment, self.wanted)


class Encoded:
    """A value as it travels.

    Attributes:
        text: JSON, UTF-8.
        repairs: what must be added afterwards, in the same atomic step; nearly always empty.
    """

    __slots__ = ("repairs", "text")

    def __init__(self, text: bytes, repairs: tuple[Repair, ...] = ()) -> None:
        self.text = text
        self.repairs = repairs


def encode(value: Any, default: Default = None, depth: int = 0) -> Encoded:
    """Return the JSON text of a value, such that the server stores exactly that value.

    Args:
        value: JSON's own types, mappings, sequences, numpy's scalars and arrays, live proxies
            (their content is fetched).
        default: called with a value of any other type; returns one that is allowed.
        depth: how many levels of nesting lie above the place it is for.

    Raises:
        UnsupportedValueError: a type, or a member name, that JSON cannot hold, or a cycle.
        ValueRangeError: NaN, an infinity, an integer outside [-2^63, 2^64-1], a lone surrogate,
            too deep a nesting, or a float that cannot be made exact.
    """
    encoder = _ENCODERS.get(type(value))
    if encoder is not None:
        encoded = encoder(value)
    elif type(value) in _CONTAINERS:
        encoded = _encode_container(value, depth)
    else:
        encoded = None
    if encoded is not None:
        return encoded
    return _encode_plain(_Plain(default, depth).convert(value))


def encode_many(values: list[Any]) -> list[bytes] | None:
    """Return the texts of several documents, looked at together: that is what small ones cost most.

    None where one of them needs more than a spelling: then `encode` each.
    """
    copied = _settled(values, -1)
    survey = None if copied is None else _survey(copied, -1)
    if copied is None or survey is None:
        return None
    try:
        texts = [orjson.dumps(value, None, _OPTIONS) for value in copied]
    except TypeError:
        return None
    if not survey.floats:
        return texts
    if not _is_finite(copied, survey, sum([text.count(b"null") for text in texts])):
        return None
    return _respelled_together(texts)


def _respelled_together(texts: list[bytes]) -> list[bytes] | None:
    """Respell texts as the lines of one, for orjson writes none itself.

    None where a float is left that no spelling carries.
    """
    if sum(map(len, texts)) > _PAGE:
        respelled = [respell(text) for text in texts]
        return None if any([left for _, left in respelled]) else [text for text, _ in respelled]
    lines = b"\n".join(texts)
    spelled, left = respell(lines)
    if left:
        return None
    return texts if spelled is lines else spelled.split(b"\n")


def decode(text: bytes | str) -> Any:
    """Return the Python value of JSON text from the server.

    Raises:
        ValueRangeError: the document is nested deeper than can be decoded (1024 levels), which
            only another client can have written.
    """
    try:
        if len(text) < _LARGE or isinstance(text, str):
            return orjson.loads(text)
        from redisjson_dict import pieces

        return pieces.loads(text, _PIECE)
    except orjson.JSONDecodeError as error:
        raise ValueRangeError(
            f"what the server sent cannot be decoded: {error}; the text itself is __cause__.doc of "
            "this error, which is all there is after a verb that takes out, as pop does"
        ) from error


def is_light(texts: Sequence[bytes]) -> bool:
    """Return whether the server takes so many texts quickly.

    The client would give up waiting for heavier ones, and redis-py then sends them up to ten times.
    """
    return sum(map(len, texts)) + _EACH * len(texts) < HEAVY


def plain(value: Any, default: Default = None, depth: int = 0) -> Any:
    """Return a value as it will come back from the server: plain data, checked, detached."""
    return decode(encode(value, default, depth).text)


def to_python(value: Any) -> Any:
    """Return plain, detached data for anything: live proxies at any depth become dict and list.

    Serves as ``json.dumps(x, default=to_python)``. What is no container is returned as it is.

    Cost: one round trip for each proxy met.
    """
    if is_live(value):
        return value.to_python()
    if isinstance(value, Mapping):
        return {key: to_python(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, *_NOT_ARRAYS)):
        return [to_python(item) for item in value]
    return value


def whole(number: Any) -> int:
    """Return an index as plain int: a subclass may show, compare or convert itself as another one.

    Raises:
        TypeError: it has no `__index__`.
    """
    return int.__int__(operator.index(number))


def is_live(value: Any) -> bool:
    """Return whether a value is a live one of this package, with a `to_python` that fetches it."""
    return getattr(type(value), "_fetchable", False) is True


def _encode_container(value: Any, depth: int) -> Encoded | None:
    """Encode JSON's own types; None when something else is among them."""
    value = _settled(value, depth)
    survey = None if value is None else _survey(value, depth)
    if survey is None:
        return None
    try:
        text = orjson.dumps(value, None, _OPTIONS)
    except TypeError:
        return None
    if not survey.floats:
        return Encoded(text)
    if not _is_finite(value, survey, text.count(b"null")):
        return None
    return _exact(value, text)


def _encode_plain(value: Any) -> Encoded:
    """Encode what `_Plain` made: JSON's own types, checked."""
    scalar = _ENCODERS.get(type(value))
    encoded = scalar(value) if scalar is not None else _exact(value, orjson.dumps(value))
    assert encoded is not None  # checked scalars are never refused
    return encoded


def _encode_text(value: str) -> Encoded | None:
    try:
        return Encoded(orjson.dumps(value))
    except TypeError:  # a lone surrogate
        return None


def _encode_int(value: int) -> Encoded | None:
    return Encoded(b"%d" % value) if _INT_MIN <= value <= _INT_MAX else None


def _encode_float(value: float) -> Encoded | None:
    if not math.isfinite(value):
        return None
    text, missing = spell(value)
    return Encoded(text) if missing is None else Encoded(text, (Repair((), *missing),))


_TRUE, _FALSE, _NULL = Encoded(b"true"), Encoded(b"false"), Encoded(b"null")
_ENCODERS: dict[type, Callable[[Any], Encoded | None]] = {
    str: _encode_text,
    int: _encode_int,
    float: _encode_float,
    bool: lambda value: _TRUE if value else _FALSE,
    NoneType: lambda value: _NULL,
}


class _Survey:
    """What was found in a value.

    Attributes:
        floats: whether there are any.
        nones: items, with all that are None among them.
    """

    __slots__ = ("floats", "nones")

    def __init__(self) -> None:
        self.floats = False
        self.nones: list[Sequence[Any]] = []


def _nones(items: Sequence[Any]) -> list[None]:
    return [item for item in items if item is None]


def _survey(value: Any, depth: int) -> _Survey | None:
    """Look at every item, level by level; None when the value is to be walked."""
    items: Sequence[Any] = [value]
    found = _Survey()
    for _ in range(depth, _LEVELS):
        kinds = set(map(type, items))
        if not kinds <= _COMMON:
            return None
        found.floats = found.floats or float in kinds
        if NoneType in kinds:  # of many items, which take as much as the text, only these are kept
            found.nones.append(_nones(items) if len(items) > _WIDE else items)
        if not kinds & _CONTAINERS:
            return found
        if len(items) > _WIDE:
            _check_crowd(value, items)
        items = get_referents(*items)
    return None


def _is_finite(value: Any, survey: _Survey, nulls: int) -> bool:
    """Return whether there is no NaN and no infinity, which orjson writes as null.

    Args:
        value: as it was surveyed.
        survey: of it.
        nulls: how often its text has ``null``. Each None gives one; a surplus comes from a NaN or
            from a string, so then every float is looked at.
    """
    if nulls == 0 or nulls == sum([len(_nones(items)) for items in survey.nones]):
        return True
    items: Sequence[Any] = [value]
    while items:
        if not all(map(math.isfinite, [item for item in items if type(item) is float])):
            return False
        items = get_referents(*items)
    return True


def _settled(value: Any, depth: int) -> Any:
    """Return a value that no other thread changes: a copy of its containers where others run.

    None where one has a name whose comparison is foreign code, or is nested too deep.
    """
    if active_count() == 1:
        return value
    root = _shallow_copy(value)
    level = [root]
    for _ in range(depth, _LEVELS):
        seen: list[Any] = []
        level = _detach(level, seen)
        if len(level) < len(seen):
            return None
        if not level:
            return root
        if len(seen) > _WIDE:
            _check_crowd(value, seen)
    return None


def _shallow_copy(container: Any) -> Any:
    return container.copy() if type(container) is dict else [*container]


def _detach(level: list[Any], seen: list[Any]) -> list[Any]:
    """Put copies in the place of the containers that some of our own hold; return the copies.

    Args:
        level: containers that nobody else has.
        seen: gets what was copied; one more than there are copies where a name was met whose
            comparison is foreign code.
    """
    below: list[Any] = []
    for holder in level:
        for step, item in holder.items() if type(holder) is dict else enumerate(holder):
            if type(item) in _CONTAINERS:
                seen.append(item)
                if type(step) not in _STEPS:
                    return below
                # _shallow_copy in place: this loop is most of what encoding costs
                holder[step] = item = item.copy() if type(item) is dict else [*item]
                below.append(item)
    return below


def _check_crowd(value: Any, items: Sequence[Any]) -> None:
    """Refuse what is small only because it holds the same containers again and again."""
    crowd = [id(item) for item in items if type(item) in _CONTAINERS]
    if (
        len(crowd) > _WIDE
        and len(set(crowd)) * 2 < len(crowd)
        and _spread(value, 0, {}) * 2 > LARGEST
    ):
        raise ValueRangeError(
            "written out, the containers that the value holds several times are more than the "
            f"{LARGEST} bytes that the server takes"
        )


def _spread(value: Any, depth: int, known: dict[int, int]) -> int:
    """Count the items of a container, written out, down to the deepest level that is taken."""
    if depth > _LEVELS:
        return 0
    found = known.get(id(value))
    if found is None:
        items = list(value.values()) if type(value) is dict else value
        found = len(items) + sum(
            _spread(item, depth + 1, known) for item in items if type(item) in _CONTAINERS
        )
        known[id(value)] = found
    return found


def _detached(value: Any) -> Any:
    """Return what nobody else changes: another thread, or default=, may be adding to a value."""
    if type(value) in _CONTAINERS:
        return _shallow_copy(value)
    if isinstance(value, (Mapping, Sequence)) and is_live(value):
        return value.to_python()  # type: ignore[union-attr]  # live values have it
    return value


class _Plain:
    """The definition of what is accepted: a walk that converts, or names the place."""

    def __init__(self, default: Default, depth: int) -> None:
        self._default = default
        self._above = depth
        self._steps: list[str | int] = []
        self._open: set[int] = set()

    def convert(self, value: Any) -> Any:
        kind = type(value)
        if value is None or kind is bool:
            return value
        if isinstance(value, str):
            return self._text(value, "text")
        if isinstance(value, int):
            return self._integer(int.__int__(value))
        if isinstance(value, float):
            return self._float(float.__float__(value))
        return self._compound(value)

    def _text(self, value: str, role: str) -> str:
        text = str.__str__(value)
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueRangeError(
                f"{role} {brief(value)}{self._place()} holds a lone surrogate, which UTF-8 "
                "cannot carry"
            ) from error
        return text

    def _integer(self, value: int) -> int:
        if _INT_MIN <= value <= _INT_MAX:
            return value
        raise ValueRangeError(
            f"integer{self._place()} is outside [-2**63, 2**64 - 1]; the server would turn it "
            "into a float: store it as text"
        )

    def _float(self, value: float) -> float:
        if math.isfinite(value):
            return value
        raise ValueRangeError(
            f"{value}{self._place()} has no place in JSON: store None or text instead"
        )

    def _compound(self, value: Any) -> Any:
        if id(value) in self._open:
            raise UnsupportedValueError(f"the value contains itself{self._place()}")
        if len(self._open) > _LEVELS + 32:  # deeper than containers alone can be: by default=
            if len(self._steps) > 32:
                self._too_deep()
            self._unsupported(value)
        self._open.add(id(value))
        try:
            return self._container(value)
        finally:
            self._open.discard(id(value))

    def _container(self, value: Any) -> Any:
        value = _detached(value)
        if isinstance(value, Mapping):
            self._check_depth()
            return self._members(value)
        if isinstance(value, Sequence) and not isinstance(value, _NOT_ARRAYS):
            self._check_depth()
            return [self._below(index, item) for index, item in enumerate(value)]
        if type(value).__module__ == "numpy" and _dtype_kind(value) in "biufOU":
            array: Any = value
            listed = array.tolist()
            if type(listed) is not type(value):  # a long double stays what it is
                return self.convert(listed)
        if self._default is None:
            self._unsupported(value)
        try:
            replaced = self._default(value)
        except Exception as error:  # whatever the user's function raises passes on, with a note
            error.add_note(f"raised by default= for {brief(value)}{self._place()}")
            raise
        if replaced is value:
            self._unsupported(value)
        return self.convert(replaced)

    def _members(self, value: Mapping[Any, Any]) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for key, item in value.items():
            name = self._name(key)
            if name in members:
                raise UnsupportedValueError(
                    f"two member names{self._place()} are the same text {brief(name)}"
                )
            members[name] = self._below(name, item)
        return members

    def _below(self, step: str | int, item: Any) -> Any:
        self._steps.append(step)
        converted = self.convert(item)
        self._steps.pop()
        return converted

    def _name(self, key: Any) -> str:
        if isinstance(key, str):
            return self._text(key, "member name")
        raise UnsupportedValueError(
            f"member name {brief(key)}{self._place()} is {_article(key)}: JSON names are str"
        )

    def _check_depth(self) -> None:
        if self._above + len(self._steps) >= _LEVELS:
            self._too_deep()

    def _too_deep(self) -> NoReturn:
        raise ValueRangeError(
            f"nested deeper than the {_LEVELS} levels that the server takes"
            + (f" ({self._above} of them above this value)" if self._above else "")
        )

    def _unsupported(self, value: Any) -> NoReturn:
        raise UnsupportedValueError(
            f"the value{self._place()} is {_article(value)}: JSON holds str, int, float, bool, "
            "None, mappings and sequences; convert it, or pass default="
        )

    def _place(self) -> str:
        if not self._steps:
            return ""
        shown = "".join(f"[{brief(step)}]" for step in self._steps[:20])
        return f" at {shown}" + ("..." if len(self._steps) > 20 else "")


def brief(value: Any) -> str:
    """Return what to call a value in a message: its repr, bounded."""
    try:
        text = ascii(value)
    except (ValueError, RecursionError):  # an integer too long for the limit on its digits
        return f"<{type(value).__name__}>"
    return text if len(text) <= 120 else f"{text[:80]}...{text[-20:]}"


def _dtype_kind(value: Any) -> str:
    """Return the kind of numpy's data: times would come out as integers, records as lists."""
    return getattr(getattr(value, "dtype", None), "kind", "-")


def _article(value: Any) -> str:
    name = type(value).__name__
    if name == "bytes":
        return name
    return f"an {name}" if name[:1].lower() in "aeio" else f"a {name}"  # a UUID, a URL


def _exact(value: Any, text: bytes) -> Encoded:
    """Return the text with every float spelled exactly, and the repairs for the rest."""
    text, left = respell(text)
    return Encoded(text, tuple(_repairs(value, ()))) if left else Encoded(text)


def _repairs(value: Any, steps: tuple[str | int, ...]) -> list[Repair]:
    """Walk a value for the floats that no spelling carries."""
    found = []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for step, item in items:
        if type(item) is float:
            repair = spell(item)[1]
            if repair is not None:
                found.append(Repair((*steps, step), *repair))
        elif type(item) in _CONTAINERS:
            found += _repairs(item, (*steps, step))
    return found
