"""What a batch holds until it is sent: operations, and promises of their results."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from redisjson_dict.codec import brief, whole
from redisjson_dict.errors import PipelineError, ValueRangeError
from redisjson_dict.expiry import owner
from redisjson_dict.operations import Container, Flow, Operation, Verb, documents

__all__ = [
    "Bundle",
    "Entry",
    "Pending",
    "Queue",
    "waiting",
]

T = TypeVar("T")

_BUNDLED = 2000  # assignments that a script stores by one command, see scripts/_swift.lua
_LARGEST = 2**30 - 2**20
"""Bytes in one transaction: the server's client-query-buffer-limit, less what it counts itself. It
closes the connection of a client that sends more."""


class Pending(Generic[T]):
    """The result of a verb in a batch, there once the batch was sent."""

    __slots__ = ("_error", "_known", "_show", "_value")

    def __init__(self, show: Callable[[Any], Any]) -> None:
        self._known = False
        self._error: Exception | None = None
        self._value: Any = None
        self._show = show

    def __repr__(self) -> str:
        if not self._known:
            return "<Pending: not sent yet>"
        if self._error is not None:
            return f"<Pending: {type(self._error).__name__}>"
        value = self._value
        if type(value) is Container:
            return f"<Pending: {value.kind}, {value.at.describe()}>"
        large = isinstance(value, (dict, list))
        return f"<Pending: {type(value).__name__ if large else brief(value)}>"

    def result(self) -> T:
        """Return the verb's result.

        Raises:
            PipelineError: the batch was not sent yet, or never will be.
            RedisJSONDictError, LookupError, TypeError: what the verb would have raised.
        """
        if not self._known:
            raise PipelineError("the result is there after the batch was sent: after its block")
        if self._error is not None:
            raise self._error
        value: T = self._show(self._value)
        return value

    def resolve(self, value: Any) -> None:
        """Keep the promise."""
        self._value, self._known = value, True

    def fail(self, error: Exception) -> None:
        """Break the promise."""
        self._error, self._known = error, True


class _Nobody(Pending[Any]):
    """Stands for the promise of a result that nobody waits for."""

    __slots__ = ()

    def resolve(self, value: Any) -> None:
        """Keep nothing."""

    def fail(self, error: Exception) -> None:
        """Keep nothing; the batch itself raises."""


_NOBODY = _Nobody(lambda result: result)


Entry = tuple[Operation[Any], Pending[Any]]


Bundle = tuple[Operation[Any], int]
"""What travels as one command, and how many of the batch's operations it stands for."""


class Queue:
    """The operations of an open batch, in order.

    Args:
        show: makes of a result what a reader gets.
        slot: tells which keys one transaction may touch together; None: all.
        atomic: whether all are applied in one transaction.
        wait: WAIT and its arguments, if replicas are to confirm the batch.
        block: what ends it; held weakly.

    Attributes:
        ended: whether the batch was sent or given up; nothing can be added then.
    """

    __slots__ = (
        "_block",
        "_owner",
        "_show",
        "_size",
        "_slot",
        "atomic",
        "ended",
        "entries",
        "wait",
    )

    def __init__(
        self,
        show: Callable[[Any], Any],
        slot: Callable[[bytes], Any] | None,
        atomic: bool,
        wait: list[tuple[Any, ...]],
        block: object,
    ) -> None:
        self._block = weakref.ref(block)
        self._show = show
        self._slot = slot
        self._owner = owner()
        self._size = 0
        self.atomic = atomic
        self.wait = wait
        self.ended = False
        self.entries: list[Entry] = []

    @property
    def key(self) -> bytes:
        """The key that routes the whole batch on a Cluster.

        Raises:
            PipelineError: the batch is atomic, but its keys are in several slots.
        """
        first = self.entries[0][0].at.key
        if self._slot is None:
            return first
        keys = {operation.at.key for operation, _ in self.entries}
        if len({self._slot(key) for key in keys}) > 1:
            raise PipelineError(
                f"the batch changes {len(keys)} documents in several slots of the cluster, which "
                "no transaction can; nothing was sent. Keep keys together by a hash tag in "
                "braces, or ask for pipeline(atomic=False)"
            )
        return first

    @property
    def abandoned(self) -> bool:
        """Whether its block is gone without having ended it, as an interrupt at its edge may do."""
        return self._block() is None

    def concerns(self, key: bytes) -> bool:
        """Return whether something is queued for a document."""
        return any(operation.at.key == key for operation, _ in self.entries)

    def drop(self, first: int) -> None:
        """Give up the operations from one on."""
        self._size -= sum([_size_of(operation) for operation, _ in self.entries[first:]])
        del self.entries[first:]

    def bundles(self) -> list[Bundle]:
        """Return the operations as they travel: adjacent assignments of documents as one.

        A transaction costs the server and redis-py a few microseconds for each of its commands.
        """
        bundles: list[Bundle] = []
        group: dict[bytes, Operation[Any]] = {}
        last: Operation[Any] | None = None
        for operation, _ in self.entries:
            if not documents.is_bundled(operation):
                if group:
                    bundles += _bundled(group)
                    group, last = {}, None
                bundles.append((operation, 1))
                continue
            key = operation.at.document.key
            if last and (
                len(group) >= _BUNDLED
                or key in group
                or not documents.is_bundled_with(last, operation)
            ):
                bundles += _bundled(group)
                group = {}
            group[key] = last = operation
        return bundles + _bundled(group)

    def add(self, verb: Verb[Any], *, answers: bool) -> Pending[Any]:
        """Queue a verb.

        Args:
            verb: what to do.
            answers: whether the caller gets the promise of its result.

        Raises:
            PipelineError: it must read first; or its result matters and nobody would get it.
            ValueRangeError: the server would not take that much in one transaction.
        """
        if self.ended or self._owner != owner():
            raise PipelineError(
                "the batch has ended; nothing was queued"
                if self.ended
                else "a batch belongs to the process, thread and task that opened it; "
                "nothing was queued"
            )
        return self.take(verb, answers=answers)

    def take(self, verb: Verb[Any], *, answers: bool) -> Pending[Any]:
        """Queue a verb of the one who opened the batch; as `add`."""
        if isinstance(verb, Flow):
            if verb.parts is not None:
                return self._add_parts(verb.parts)
            raise PipelineError(
                f"this verb at {verb.at.describe()} must read before it writes, which a batch "
                "cannot: do it outside of the batch"
            )
        if verb.in_batch is not None:
            verb = verb.in_batch()
        if verb.answers and not answers:
            raise PipelineError(
                f"{verb.name} at {verb.at.describe()} returns what it finds, which is not "
                "known before the batch is sent: call it through the batch, as in "
                "'with d.pipeline() as batch: pending = batch.pop(...)'"
            )
        size = self._size + _size_of(verb)
        if self.atomic and size > _LARGEST:
            raise ValueRangeError(
                f"with {verb.name} at {verb.at.describe()} the batch would have {size} bytes; "
                f"the server takes {_LARGEST} in one transaction: send several batches, or ask for "
                "pipeline(atomic=False). Nothing was queued",
                location=verb.at.describe(),
            )
        self._size = size
        pending: Pending[Any] = Pending(self._show) if answers else _NOBODY
        self.entries.append((verb, pending))
        return pending

    def _add_parts(self, parts: list[Operation[Any]]) -> Pending[Any]:
        """Queue operations that are one verb; its result is None, or the first one's error."""
        if not parts:
            done: Pending[Any] = Pending(self._show)
            done.resolve(None)
            return done
        promises = [self.take(part, answers=True) for part in parts]
        return promises[0]


def _bundled(group: dict[bytes, Operation[Any]]) -> list[Bundle]:
    if len(group) < 2:
        return [(operation, 1) for operation in group.values()]
    return [(documents.bundle(list(group.values())), len(group))]


def waiting(replicas: int, timeout: float) -> list[tuple[Any, ...]]:
    """Return the commands that have replicas confirm what was sent before: WAIT, or none.

    Raises:
        TypeError: the number of replicas is no integer.
        ValueError: a negative number, or a time below a millisecond, for which WAIT would wait for
            ever.
    """
    replicas = whole(replicas)
    if replicas < 0 or not 0.001 <= timeout <= 1e6:
        raise ValueError(f"replicas={replicas} within timeout={timeout} seconds is not possible")
    return [("WAIT", replicas, round(timeout * 1000))] if replicas else []


def _size_of(operation: Operation[Any]) -> int:
    """Return about how many bytes an operation has on the wire and in the server's queue."""
    command = operation.command
    try:
        return 64 * len(command) + sum(map(len, command))
    except TypeError:  # there are numbers
        return 64 * len(command) + sum([len(part) for part in command if type(part) is bytes])
