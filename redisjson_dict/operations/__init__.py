"""What an operation is: a value that says what to send and what the reply means.

It holds no connection. Whoever has a client runs it: now, awaited, or queued. Most verbs are one
`Operation`; what must compute on the client is a `Flow`, a generator of operations that ends in a
compare-and-set on the fragment it has read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Sequence
from copy import copy
from typing import Any, Generic, TypeVar

from redisjson_dict.codec import LARGEST, Encoded, Repair, decode, encode
from redisjson_dict.errors import (
    ConflictError,
    UnsupportedValueError,
    ValueRangeError,
)
from redisjson_dict.location import DEPTH_LIMIT, Location, Step, is_writable, segment
from redisjson_dict.replies import (
    OtherKind,
    Refusal,
    Reply,
    absent,
    failure,
    missing,
    only,
    refusal,
    text_of,
)
from redisjson_dict.scripts import Script, script

__all__ = [
    "ABSENT",
    "MANY",
    "MISSING",
    "UNCHANGED",
    "UNDONE",
    "Container",
    "Flow",
    "Found",
    "Operation",
    "Pause",
    "Steps",
    "Verb",
    "concerned",
    "encode_at",
    "encode_element",
    "encode_elements",
    "found",
    "inspect",
    "kind_of",
    "nothing",
    "or_else",
    "repair_arguments",
    "revise",
    "same",
    "scripted",
    "shallow",
    "walk",
]

T = TypeVar("T")
S = TypeVar("S")

UNCHANGED: Any = object()
"""What `revise`'s function returns as the new value to say that nothing is to be written."""

UNDONE: Any = object()
"""What an operation results in when its script did nothing because it would be too much for it."""

MANY = 500_000
"""Documents in one script: more keep the server from answering for seconds, until
it is declared BUSY; before Redis 7, it closes the connection at twice as many arguments."""

MISSING: Any = object()
"""What a read gives for a place that is not there, where that is no error."""

ABSENT: tuple[type[Exception], ...] = (KeyError, IndexError)
"""The errors that say that what was asked for is not there."""

_READS = frozenset(("JSON.GET", "JSON.MGET", "JSON.TYPE", "JSON.ARRLEN", "HELLO"))
_BRACKET = ord("[")
_COUNTS = [b"%d" % count for count in range(DEPTH_LIMIT + 1)]
_DEADLINE = 30.0  # seconds
_KINDS: dict[type, str] = {
    dict: "object",
    list: "array",
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
}


class Operation(Generic[T]):
    """One round trip: what to send and what the reply means.

    Attributes:
        at: the place it is about; its key routes it, and errors name it.
        command: the command and its arguments, as they travel.
        decode: what the reply means; not called for a refusal.
        resend: whether it may be sent again when a connection broke after the request: only what
            leaves the same state *and gives the same reply* when applied twice.
        script: the script of an EVALSHA, for a server that does not know it yet.
        wants: the kind of value needed at the place, for error messages.
        otherwise: what to return instead of one of the errors in `absent`; `MISSING`: raise it.
        fallback: the slower way, for what the script leaves to the caller, or for a user who may
            not run the command.
        answers: whether it changes something and its result is what the caller is after.
        absent: the errors that `otherwise` stands for.
        in_batch: makes the same as a script, for a batch: it says in its turn why it does nothing,
            which is too late to ask when the whole batch has been executed.
    """

    __slots__ = (
        "absent",
        "answers",
        "at",
        "command",
        "decode",
        "fallback",
        "in_batch",
        "otherwise",
        "resend",
        "script",
        "wants",
    )

    def __init__(
        self,
        at: Location,
        command: tuple[Any, ...],
        decode: Callable[[Location, Reply], T],
        resend: bool = False,
        script: Script | None = None,
        wants: str = "",
        otherwise: Any = MISSING,
        fallback: Flow[T] | None = None,
        answers: bool = False,
        absent: tuple[type[Exception], ...] = ABSENT,
        in_batch: Callable[[], Operation[T]] | None = None,
    ) -> None:
        self.at = at
        self.command = command
        self.decode = decode
        self.resend = resend
        self.script = script
        self.wants = wants
        self.otherwise = otherwise
        self.fallback = fallback
        self.answers = answers
        self.absent = absent
        self.in_batch = in_batch

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return self.script.name if self.script else str(self.command[0])

    @property
    def writes(self) -> bool:
        """Whether it changes something."""
        if self.script is not None:
            return not self.script.reads
        return self.command[0] not in _READS

    def result(self, reply: Reply) -> T:
        """Return what the reply means; `UNDONE` where the fallback must be taken.

        Raises:
            Refusal: the server did nothing, and why is still to be found out.
            LookupError, TypeError: what the place is, or is not; see `errors`.
        """
        __tracebackhide__ = True
        try:
            if type(reply) is list and refusal(reply):
                if reply[0] == b">":
                    undone: T = UNDONE  # seen by shells only
                    return undone
                raise failure(self.at, reply, self.wants)
            return self.decode(self.at, reply)
        except self.absent:
            if self.otherwise is MISSING:
                raise
            otherwise: T = self.otherwise
            return otherwise

    def with_source(self) -> Operation[T]:
        """Return the same operation with the script's text instead of its digest."""
        if self.script is None:
            return self
        return self.changed(command=("EVAL", self.script.source, *self.command[2:]))

    def changed(self, **changes: Any) -> Operation[Any]:
        """Return the same operation with other values of some attributes. Slow."""
        other = copy(self)
        for name, value in changes.items():
            setattr(other, name, value)
        return other


class Pause:
    """A wait after a lost race; sent back is how long the flow has been running, in seconds.

    Attributes:
        attempt: how many races were lost.
    """

    __slots__ = ("attempt",)

    def __init__(self, attempt: int) -> None:
        self.attempt = attempt

    def longest(self) -> float:
        """Return the longest time to wait, in seconds; the shell draws a part of it."""
        return min(0.05, 0.0005 * 2 ** min(self.attempt, 8)) if self.attempt > 1 else 0.0


Steps = Generator["Verb[Any] | list[Operation[Any]] | Pause", Any, T]
"""What a flow yields: a verb, whose result it is sent; operations that do not depend on each other,
whose results it is sent as a list; a pause, whose time it is sent."""


class Flow(Generic[T]):
    """Several operations, of which a later one depends on an earlier one's answer.

    Attributes:
        at: the place it is about, for error messages.
        start: begins it; the generator returns the result.
        writes: whether it changes something.
        parts: the operations, where there are no others and nobody is after their results.
    """

    __slots__ = ("at", "parts", "start", "writes")

    def __init__(
        self,
        at: Location,
        start: Callable[[], Steps[T]],
        *,
        writes: bool = False,
        parts: list[Operation[Any]] | None = None,
    ) -> None:
        self.at = at
        self.start = start
        self.writes = writes
        self.parts = parts


Verb = Operation[T] | Flow[T]


class Container:
    """A container as a reader meets it: what it is and where, never its content.

    Attributes:
        kind: ``"object"`` or ``"array"``.
        at: its place, held, with every index resolved.
    """

    __slots__ = ("at", "kind")

    def __init__(self, kind: str, at: Location) -> None:
        self.kind = kind
        self.at = at


class Found(dict[Any, Any]):
    """Several results by the keys that were asked for; containers among them as `Container`."""


def scripted(
    name: str,
    at: Location,
    decode: Callable[[Location, Reply], T],
    *arguments: Any,
    resend: bool = False,
    wants: str = "",
    fallback: Flow[T] | None = None,
    answers: bool = False,
) -> Operation[T]:
    """Return the operation that runs one of the scripts at a place."""
    source = script(name)
    tail = at.tail
    count = _COUNTS[len(tail)]
    command = ("EVALSHA", source.sha, b"1", at.document.key, at.base, count, *tail, *arguments)
    return Operation(at, command, decode, resend, source, wants, MISSING, fallback, answers)


def nothing(_: Location, reply: Reply) -> None:
    """Decode a reply that says no more than that it was done."""


def concerned(_: Location, reply: Reply) -> None:
    """Decode the reply of a command that says of each place that matches what it did: one did.

    Raises:
        Refusal: no place matched, or one that holds another kind of value.
    """
    if not reply:
        raise Refusal
    if reply[0] is None:
        raise OtherKind


def same(_: Location, reply: Reply) -> Any:
    """Decode a reply that is the result."""
    return reply


def shallow(at: Location, value: Any, steps: tuple[Step, ...] | None = None) -> Any:
    """Return plain data as a reader meets it: a scalar's value, or a `Container` at its place.

    Args:
        at: the place.
        value: what is there.
        steps: the steps with every index resolved, where that differs.
    """
    if isinstance(value, (dict, list)):
        return Container(kind_of(value), at.hold(steps))
    return value


def or_else(
    verb: Verb[T], otherwise: Any, absent: tuple[type[Exception], ...] = ABSENT
) -> Verb[Any]:
    """Return a verb that gives `otherwise` instead of an error that says: it is not there."""
    if isinstance(verb, Flow):
        return _flow_or_else(verb, otherwise, absent)
    return _operation_or_else(verb, otherwise, absent)


def _operation_or_else(
    verb: Operation[T], otherwise: Any, absent: tuple[type[Exception], ...]
) -> Operation[Any]:
    slowly = verb.fallback and _flow_or_else(verb.fallback, otherwise, absent)
    script = verb.in_batch
    in_batch = script and (lambda: _operation_or_else(script(), otherwise, absent))
    return Operation(
        verb.at,
        verb.command,
        verb.decode,
        verb.resend,
        verb.script,
        verb.wants,
        otherwise,
        slowly,
        verb.answers,
        absent,
        in_batch,
    )


def _flow_or_else(flow: Flow[T], otherwise: Any, absent: tuple[type[Exception], ...]) -> Flow[Any]:
    def start() -> Steps[Any]:
        try:
            return (yield from flow.start())
        except absent:
            return otherwise

    return Flow(flow.at, start, writes=flow.writes)


def found(at: Location, reply: Reply) -> Any:
    """Return a scalar's value, or the `Container` that was found: what ``_peek.lua`` replies.

    In a list, the indices follow that negative ones were resolved to.
    """
    steps = None
    if type(reply) is list:
        steps = _resolved(at, reply[1:])
        reply = reply[0]
    if reply[0] == _BRACKET:
        return decode(reply)[0]
    return Container(reply.decode(), at.hold(steps))


def kind_of(value: Any) -> str:
    """Return the kind of a plain value, as JSON.TYPE names it."""
    return _KINDS[type(value)]


def encode_at(at: Location, value: Any) -> Encoded:
    """Return a value as it travels to a place.

    Raises:
        UnsupportedValueError, ValueRangeError: naming the document, the path and the place inside
            the value; nothing was sent.
    """
    try:
        encoded = encode(value, at.document.settings.default, len(at.steps))
        if len(encoded.text) > LARGEST:
            raise _too_large(encoded)
        return encoded
    except (UnsupportedValueError, ValueRangeError) as error:
        where = at.describe()
        told = type(error)(f"{error} (for {where}; nothing was sent)", location=where)
        raise told from _behind(error)


def encode_elements(
    at: Location, elements: Sequence[Any]
) -> tuple[list[bytes], list[tuple[int, Repair]]]:
    """Return new elements of an array as they travel.

    Returns:
        Their texts, and the repairs with the number of the element that needs each.

    Raises:
        UnsupportedValueError, ValueRangeError: as `encode_at`.
    """
    texts = []
    repairs = []
    for number, value in enumerate(elements):
        encoded = encode_element(at, value, number, len(elements))
        texts.append(encoded.text)
        repairs += [(number, repair) for repair in encoded.repairs]
    return texts, repairs


def encode_element(at: Location, value: Any, number: int = 0, count: int = 1) -> Encoded:
    """Return a new element of an array as it travels.

    Args:
        at: the array's place.
        value: the element.
        number: which of the new elements it is, for error messages.
        count: how many there are.

    Raises:
        UnsupportedValueError, ValueRangeError: as `encode_at`.
    """
    try:
        encoded = encode(value, at.document.settings.default, len(at.steps) + 1)
        if len(encoded.text) > LARGEST:
            raise _too_large(encoded)
        return encoded
    except (UnsupportedValueError, ValueRangeError) as error:
        where = at.describe()
        which = f"new element {number + 1} of {count}"
        told = type(error)(f"{error} (in {which}, for {where}; nothing was sent)", location=where)
        raise told from _behind(error)


def _behind(error: Exception) -> BaseException | None:
    """Return what an error of `encode` does not tell: of a default= that raised, where it did."""
    return error if hasattr(error, "__notes__") else error.__cause__


def _too_large(encoded: Encoded) -> ValueRangeError:
    return ValueRangeError(
        f"the value has {len(encoded.text)} bytes as JSON; the server takes {LARGEST}"
    )


def repair_arguments(at: Location, repairs: Iterable[Repair]) -> list[bytes]:
    """Return what ``_repair.lua`` needs.

    Raises:
        ValueRangeError: one of the floats is below a name that cannot be written by path.
    """
    arguments = []
    for repair in repairs:
        odd = [s for s in repair.steps if isinstance(s, str) and not is_writable(s)]
        if odd:
            raise ValueRangeError(
                f"the float {repair.wanted.decode()} for {at.describe()} cannot be stored exactly "
                f"below the member name {odd[0]!r} on this server: round it, or store text",
                location=at.describe(),
            )
        arguments += [b"".join(map(segment, repair.steps)), repair.increment, repair.wanted]
    return arguments


def _resolved(at: Location, indices: list[int]) -> tuple[Step, ...]:
    """Return the steps of a place with its negative indices as the server resolved them."""
    left = iter(indices)
    return tuple(next(left) if isinstance(s, int) and s < 0 else s for s in at.steps)


def _fetch(at: Location) -> Operation[tuple[bytes, tuple[Step, ...]]]:
    """Return an operation that reads a fragment's text, and its steps with indices resolved."""
    return scripted("fetch", at, _fetched, resend=True)


def _fetched(at: Location, reply: Reply) -> tuple[bytes, tuple[Step, ...]]:
    if type(reply) is list:
        return text_of(reply[0]), _resolved(at, reply[1:])
    return text_of(reply), at.steps


def _compare_and_set(at: Location, old: bytes, new: Encoded) -> Operation[bytes | None]:
    """Return an operation that replies None, or the text that is there instead of `old`."""
    digest = hashlib.sha1(old, usedforsecurity=False).hexdigest()
    smaller = len(new.text) + 2 <= len(old)  # the old text is in brackets
    return scripted(
        "compare_and_shrink" if smaller else "compare_and_set",
        at,
        lambda _, reply: reply[1] if type(reply) is list else None,
        digest,
        new.text,
        *repair_arguments(at, new.repairs),
    )


def walk(at: Location, above: int, value: Any, wants: str = "") -> tuple[Any, tuple[Step, ...]]:
    """Follow the steps of a place through plain data.

    Args:
        at: the place.
        above: how many of its steps lead to `value`.
        value: what was read there.
        wants: the kind that must be found at the end; ``""`` for any.

    Returns:
        What is there, and the steps with every index after `above` resolved.

    Raises:
        LookupError, TypeError: as the server would have answered.
    """
    return _walk(at, at.steps, above, value, wants)


def _walk(
    blamed: Location, path: tuple[Step, ...], above: int, value: Any, wants: str
) -> tuple[Any, tuple[Step, ...]]:
    steps = list(path)
    for depth in range(above, len(steps)):
        step = steps[depth]
        if isinstance(step, str):
            if type(value) is not dict or step not in value:
                raise absent(blamed, depth, kind_of(value))
            value = value[step]
        else:
            index = step + len(value) if step < 0 and type(value) is list else step
            if type(value) is not list or not 0 <= index < len(value):
                raise absent(blamed, depth, kind_of(value))
            steps[depth] = index
            value = value[index]
    if wants and kind_of(value) != wants:
        raise absent(blamed, len(steps), kind_of(value), wants)
    return value, tuple(steps)


def inspect(at: Location, read: Callable[[Any, tuple[Step, ...]], T], wants: str = "") -> Flow[T]:
    """Return a read that takes place here: where the server cannot address the place by path.

    Args:
        at: the place.
        read: gets the plain value and the resolved steps; what it returns is the result.
        wants: the kind that must be there.
    """

    def start() -> Steps[T]:
        anchor = at.anchor()
        above = len(anchor.steps)
        text, resolved = yield from _anchored(at, anchor)
        value, steps = walk(at, above, only(text), wants)
        return read(value, resolved + steps[above:])

    return Flow(at, start)


def revise(
    at: Location,
    act: Callable[[Any], tuple[T, Any]],
    wants: str = "",
    tries: int | None = None,
    blamed: Location | None = None,
) -> Flow[T]:
    """Return a change that is computed here and stored if the fragment is still what was read.

    The fragment is the place itself, or the nearest place above it that can be written by path.
    Changes elsewhere in the document do not conflict.

    Cost: two round trips without contention; one more for each lost race, whose reply carries the
    new text.

    Args:
        at: the place.
        act: gets the plain value; returns the result and the new value (`UNCHANGED`: write
            nothing). Called once for each try.
        wants: the kind that must be there.
        tries: how many races may be lost; None: as many as 30 seconds allow.
        blamed: the place that errors name, where that is a member of `at`.

    Raises:
        ConflictError: too many races were lost; nothing was changed.
    """
    blamed = at if blamed is None else blamed

    def start() -> Steps[T]:
        anchor = at.anchor()
        above = len(anchor.steps)
        text, _ = yield from _anchored(blamed, anchor)
        lost = 0
        while True:
            root = only(text)
            value, steps = _walk(blamed, at.steps, above, root, wants)
            result, new = act(value)
            if new is UNCHANGED:
                return result
            if len(steps) == above:
                root = new
            else:
                _walk(blamed, steps[:-1], above, root, "")[0][steps[-1]] = new
            text = yield _compare_and_set(anchor, text, encode_at(anchor, root))
            if text is None:
                return result
            lost += 1
            elapsed = yield Pause(lost)
            if lost == tries or (tries is None and elapsed > _DEADLINE):
                raise ConflictError(
                    f"{at.describe()} was changed by others {lost} times in {elapsed:.1f} s while "
                    "a new value was being computed; nothing was stored",
                    location=at.describe(),
                )

    return Flow(at, start, writes=True)


def _anchored(at: Location, anchor: Location) -> Steps[tuple[bytes, tuple[Step, ...]]]:
    """Fetch the fragment; what is missing there is reported as missing at the place itself."""
    try:
        fetched: tuple[bytes, tuple[Step, ...]] = yield _fetch(anchor)
        return fetched
    except (KeyError, IndexError) as error:
        own = absent(at, -1, "")
        if type(own) is KeyError and own.args == error.args:
            raise own from None
        raise missing(at) from None
