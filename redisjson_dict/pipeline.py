"""Batches: many writes, one round trip, all or nothing sent."""

from __future__ import annotations

from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from redisjson_dict import toplevel
from redisjson_dict.errors import PipelineError
from redisjson_dict.exchange import slot_of
from redisjson_dict.execute import Awaiting, Blocking, Shell
from redisjson_dict.expiry import Owner, owner
from redisjson_dict.keyspace import Keyspace
from redisjson_dict.queue import Pending, Queue, waiting
from redisjson_dict.references import DocumentVerbs, PlaceVerbs, Queued, Writing

__all__ = ["AsyncPipeline", "Batch", "BatchReference", "Pending", "Pipeline"]

S = TypeVar("S", bound=Shell)


class BatchReference(Queued, Writing, PlaceVerbs):
    """A place reached through a batch: walking costs nothing, verbs are queued."""

    __slots__ = ()


class Batch(Queued, DocumentVerbs):
    """The dict as seen in a batch: nothing is read, every verb is queued.

    ``batch["a"]["b"].append(3)`` walks lazily. Verbs return a `Pending`.
    """

    __slots__ = ("_queue",)
    __iter__ = None
    __contains__ = None

    def __init__(self, queue: Queue, space: Keyspace) -> None:
        super().__init__(partial(queue.add, answers=True), space)
        self._queue = queue

    def __repr__(self) -> str:
        state = "ended" if self._queue.ended else "queued"
        return f"<Batch {self._subject.describe()}: {len(self)} {state}>"

    def __getitem__(self, key: Any) -> BatchReference:
        """Return a reference to a document, or with a path to a place inside one."""
        return BatchReference(self._run, self._subject.target(key).refer())

    def __setitem__(self, key: Any, value: Any) -> None:
        """Queue the assignment of a document, or with a path of a value inside one."""
        self._queue.add(toplevel.assign(self._subject, key, value), answers=False)

    def __delitem__(self, key: Any) -> None:
        """Queue the removal of a document, or with a path of a value inside one."""
        self._queue.add(toplevel.delete(self._subject, key), answers=False)

    def __len__(self) -> int:
        """Count what is queued."""
        return len(self._queue.entries)

    def popitem(self) -> NoReturn:
        """Refuse: which document there is must be read first.

        Raises:
            PipelineError: always.
        """
        raise PipelineError("popitem must read before it writes: do it outside of the batch")

    def clear(self) -> NoReturn:
        """Refuse: which documents there are must be read first; the dict's own `clear` does that.

        Raises:
            PipelineError: always.
        """
        raise PipelineError(
            "clear reads which documents there are: call it on the dict, inside the block or not"
        )

    def at(self, key: str, *steps: Any) -> BatchReference:
        """Return a reference to a document, or to a place inside one."""
        return self[(key, *steps)]


class _Block(Generic[S]):
    """What blocking and asyncio batches have in common: opening, joining, giving up."""

    __slots__ = ("__weakref__", "_atomic", "_entered", "_run", "_space", "_wait")
    _statement = "with"

    def __init__(
        self, run: S, space: Keyspace, atomic: bool, replicas: int, timeout: float
    ) -> None:
        self._wait = waiting(replicas, timeout)
        if self._wait and not atomic:
            raise ValueError("replicas can confirm one transaction only, not atomic=False")
        self._run = run
        self._space = space
        self._atomic = atomic
        self._entered: list[tuple[Owner, int]] = []

    def __repr__(self) -> str:
        name, place = type(self).__name__, self._space.describe()
        return f"<{name} {place}: use it as '{self._statement} d.pipeline() as batch:'>"

    def _open(self) -> Batch:
        now = owner()
        queue = self._run.batch()
        if queue is None:
            slot = slot_of(self._run.client)
            queue = Queue(self._run.shown, slot, self._atomic, self._wait, self)
            self._entered.append((now, -1))
            self._run.batches[now] = queue
        elif self._wait and self._wait != queue.wait:
            raise PipelineError("the outer block decides how many replicas are waited for")
        else:  # join the one that is open
            self._entered.append((now, len(queue.entries)))
        return Batch(queue, self._space)

    def _end(self, failed: bool) -> Queue | None:
        """Return what is to be sent now, if anything.

        Raises:
            PipelineError: the block was opened in another process, thread or task; nothing is sent.
        """
        now = owner()
        mine = [entry for entry in self._entered if entry[0] == now]
        entered_by, joined = mine[-1] if mine else self._entered[-1]
        self._entered.remove((entered_by, joined))
        if joined >= 0 and mine:
            if failed:
                self._run.batches[entered_by].drop(joined)
            return None
        queue = self._run.batches.pop(entered_by, None)
        if queue is not None:  # else the inner block was not left by who opened it, either
            queue.ended = True
        if not mine and not failed:
            raise PipelineError(
                "a batch ends in the process, thread and task that opened it; nothing was sent"
            )
        return None if failed else queue


class Pipeline(_Block[Blocking]):
    """A ``with`` block whose writes are sent at its end, in one round trip."""

    __slots__ = ()

    def __enter__(self) -> Batch:
        return self._open()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        queue = self._end(error is not None)
        if queue is not None:
            self._run.commit(queue)


class AsyncPipeline(_Block[Awaiting]):
    """An ``async with`` block whose writes are sent at its end, in one round trip."""

    __slots__ = ()
    _statement = "async with"

    if not TYPE_CHECKING:  # a type checker says so itself

        def __enter__(self) -> NoReturn:
            raise TypeError(f"a batch of the asyncio dict is sent by await: {self!r}")

        def __exit__(self, *_: object) -> None:
            pass

    async def __aenter__(self) -> Batch:
        return self._open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        queue = self._end(error is not None)
        if queue is not None:
            await self._run.commit(queue)
