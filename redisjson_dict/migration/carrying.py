"""From a source to a dict: page by page, nothing replaced unasked, everything read back.

Theory of operation. Per page: one round trip sees what is there, one writes what is missing, one
reads it back. A document and the moment it ends are stored by one script, which leaves alone what
appeared in between. So a run that was interrupted has left whole documents only, and the next one
finds them there and skips them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import orjson
from redis.exceptions import ResponseError

from redisjson_dict.codec import LARGEST, Encoded, decode, encode
from redisjson_dict.errors import NotADocumentError, UnsupportedValueError, ValueRangeError
from redisjson_dict.exchange import is_cluster
from redisjson_dict.location import Location
from redisjson_dict.mapping import RedisJSONDict
from redisjson_dict.migration.conversion import Converter
from redisjson_dict.migration.items import Item, Refusal, Source, SourceError
from redisjson_dict.migration.report import Problem, Report
from redisjson_dict.migration.stores import State, Stored, states
from redisjson_dict.operations import Flow, Operation, Steps, repair_arguments
from redisjson_dict.scripts import script

__all__ = ["migrate"]

Progress = Callable[[Report], object]

_SOURCE = "source must be one such as RedisDictSource(client, namespace), which gives Items"
_PAGE = 250  # items
_PAGE_BYTES = 8 * 1024 * 1024  # a server stores them in a fraction of a second
_ELSEWHERE = (  # what to do where one's own program stores a value
    "; convert it, or pass default=",
    ": store it as text",
    ": store None or text instead",
)
_SKEW = 60_000  # milliseconds that a server's clock may differ from this one's


class _Ready(NamedTuple):
    """A document that can be stored."""

    at: Location
    encoded: Encoded
    repairs: tuple[bytes, ...]
    ends: int | None
    kind: str
    converter: Converter

    def same_value(self, text: bytes) -> bool:
        """Return whether that text, in the array of a ``$`` path, is this value: types too."""
        if text[1:-1] == self.encoded.text:
            return True
        there = _canonical(text)
        return there is not None and there == _canonical(b"[%s]" % self.encoded.text)

    def is_there(self, state: State) -> bool:
        """Return whether a key holds just this."""
        return (
            state.kind == "ReJSON-RL"
            and state.ends == self.ends
            and state.text is not None
            and self.same_value(state.text)
        )

    def difference(self, state: State) -> str:
        """Return in words how what a key holds differs from this."""
        if state.kind == "none":
            return "nothing is there"
        if state.kind != "ReJSON-RL" or state.text is None:
            return f"the key holds a Redis {state.kind}, which is never replaced"
        if not self.same_value(state.text):
            return "another value is there"
        return "the same value is there, with another time to live"


def migrate(
    source: Source,
    d: RedisJSONDict,
    *,
    dry_run: bool = False,
    overwrite: bool = False,
    convert: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Store all that a source has in a dict, under the same names; change nothing in the source.

    What is there already and equal (value, types and time to live) is skipped, so that a run that
    was interrupted is continued by the next one. What is there and different is left alone, and
    what JSON cannot hold is not stored; both are in the report. Times to live are kept, as the
    moment when they end.

    Cost: the source's own, and three round trips for up to 250 documents. The memory of one such
    page.

    Args:
        source: such as `RedisDictSource(client, "main")`.
        d: where to; its `expire` and `default` are not applied.
        dry_run: whether to look only, and to report what would be done.
        overwrite: whether a different document is replaced. A foreign key never is.
        convert: whether types that JSON lacks are converted, as `CONVERSIONS` says.
        progress: called with the report so far after each page.

    Returns:
        What became of each item. `report.ok` is whether everything is there now.

    Raises:
        TypeError: the source gives no `Item`s, or `d` is no `RedisJSONDict`.
        SourceError: the source cannot be read, or its keys and those of the dict would mix.
        PipelineError: called in a block of `d.pipeline()`.
        redis.RedisError: as of any verb. What was stored before stays; call it again to go on.
    """
    _check_types(source, d)
    d._run.refuse_in_batch("migrate")
    prefix = d._space.document("").key
    _check_overlap(source, d, prefix)
    _ = "" in d  # raises where the server has no JSON
    report = Report(str(source), prefix.decode(), dry_run)
    carrier = _Carrier(d, report, overwrite, convert)
    page: list[_Ready] = []
    size = taken = 0
    for item in source:
        taken += 1
        ready = carrier.prepare(item)
        if ready is not None:
            page.append(ready)
            size += len(ready.encoded.text)
        if taken == _PAGE or size > _PAGE_BYTES:
            carrier.carry(page)
            page, size, taken = [], 0, 0
            if progress is not None:
                progress(report)
    carrier.carry(page)
    if not report.seen:
        report.hint = source.nothing() if isinstance(source, Stored) else "nothing is in it"
    if progress is not None:
        progress(report)
    return report


class _Carrier:
    """What is done with each item and each page of one migration."""

    def __init__(self, d: RedisJSONDict, report: Report, overwrite: bool, convert: bool) -> None:
        self._run = d._run
        self._space = d._space
        self._report = report
        self._overwrite = overwrite
        self._convert = convert

    def prepare(self, item: Item) -> _Ready | None:
        """Return what is to be stored; complain of what cannot be."""
        if not isinstance(item, Item):
            raise TypeError(f"{_SOURCE}; this one gave a {type(item).__name__}")
        if isinstance(item.value, Refusal):
            outcome = "foreign" if item.value.foreign else "refused"
            self._report.complain(Problem(item.name, outcome, item.value.kind, item.value.why))
            return None
        kind = type(item.value).__name__
        try:
            return self._ready(item, kind, self._convert)
        except (UnsupportedValueError, ValueRangeError) as error:
            why = str(error)
            for advice in _ELSEWHERE:
                why = why.removesuffix(advice)
            why += self._advice(item, kind)
            self._report.complain(Problem(item.name, "refused", kind, why))
            return None

    def _ready(self, item: Item, kind: str, convert: bool) -> _Ready:
        at = self._space.document(item.name)
        converter = Converter()
        encoded = encode(item.value, converter if convert else None)
        if len(encoded.text) > LARGEST:
            raise ValueRangeError(
                f"it has {len(encoded.text)} bytes as JSON; the server takes {LARGEST}"
            )
        repairs = tuple(repair_arguments(at, encoded.repairs))
        return _Ready(at, encoded, repairs, item.ends, kind, converter)

    def _advice(self, item: Item, kind: str) -> str:
        """Return what to do about a value that only a conversion makes storable."""
        if self._convert:
            return ""
        try:
            ready = self._ready(item, kind, True)
        except (UnsupportedValueError, ValueRangeError):
            return ""
        kinds = ", ".join(sorted(ready.converter.counts))
        return f" (convert=True, or --convert, would store it: {kinds})"

    def carry(self, page: list[_Ready]) -> None:
        """Store what is missing of a page, and read it back."""
        held = self._run(states(self._space, [ready.at for ready in page]))
        todo = [(r, o) for r, s in zip(page, held, strict=True) if (o := self._outcome(r, s))]
        if not todo:
            return
        if self._report.dry_run:
            for ready, outcome in todo:
                self._count(outcome, ready)
            return
        stored = self._run(_store([ready for ready, _ in todo], self._overwrite))
        found = self._run(states(self._space, [ready.at for ready, _ in todo]))
        for (ready, outcome), done, state in zip(todo, stored, found, strict=True):
            self._settle(ready, outcome if done else "same", state)

    def _outcome(self, ready: _Ready, state: State) -> str:
        """Return what storing it would be; ``""``, after counting it, if it is not to be stored."""
        if state.kind == "none":
            return "carried"
        if ready.is_there(state):
            self._count("same", ready)
        elif self._overwrite and state.kind == "ReJSON-RL":
            return "replaced"
        else:
            self._complain("conflict", ready, ready.difference(state))
        return ""

    def _settle(self, ready: _Ready, outcome: str, state: State) -> None:
        """Count what is there after storing."""
        if ready.is_there(state):
            self._count(outcome, ready)
        elif state.kind == "none" and _is_over(ready.ends):
            self._count("expired", ready)
        elif outcome == "same":  # another writer was faster
            self._complain("conflict", ready, ready.difference(state))
        else:
            self._complain("changed", ready, f"read back: {ready.difference(state)}")

    def _count(self, outcome: str, ready: _Ready) -> None:
        self._report.add(outcome, ready.at.name, ready.kind, ready.encoded.text)
        if outcome in ("carried", "replaced"):
            self._report.converted.update(ready.converter.counts)

    def _complain(self, outcome: str, ready: _Ready, why: str) -> None:
        self._report.complain(Problem(ready.at.name, outcome, ready.kind, why))


def _store(page: list[_Ready], overwrite: bool) -> Flow[list[bool]]:
    """Return the verb that stores documents, and says of each whether it did; one round trip."""
    source = script("carry")
    mode = b"1" if overwrite else b""
    operations = []
    for ready in page:
        ends = b"" if ready.ends is None else b"%d" % ready.ends
        key = ready.at.key
        command = ("EVALSHA", source.sha, 1, key, ready.encoded.text, ends, mode, *ready.repairs)
        operations.append(
            Operation(
                *(ready.at, command, _stored, False, source, ""),
                otherwise=False,
                absent=(NotADocumentError,),
            )
        )

    def start() -> Steps[list[bool]]:
        done: list[bool] = yield operations
        return done

    return Flow(page[0].at, start, writes=True)


def _stored(_: Location, reply: Any) -> bool:
    return bool(reply)


def _canonical(text: bytes) -> bytes | None:
    """Return a spelling that equal values of equal types share; None where it is too deep."""
    try:
        return orjson.dumps(decode(text), option=orjson.OPT_SORT_KEYS)
    except (ValueRangeError, TypeError):
        return None


def _is_over(ends: int | None) -> bool:
    return ends is not None and ends <= time.time() * 1000 + _SKEW


def _check_types(source: object, d: object) -> None:
    if not isinstance(d, RedisJSONDict):
        raise TypeError(f"d must be a RedisJSONDict, not {type(d).__name__}")
    if not isinstance(source, Iterable):
        raise TypeError(f"{_SOURCE}; not {type(source).__name__}")


def _check_overlap(source: Source, d: RedisJSONDict, prefix: bytes) -> None:
    """Complain of a source and a dict that share keys.

    Raises:
        SourceError: one would meet the other's keys under its own prefix.
    """
    if not isinstance(source, Stored):
        return
    old = source.prefix.encode()
    if not (old.startswith(prefix) or prefix.startswith(old)):
        return
    if not _may_share(source.client, d._run.client):
        return
    raise SourceError(
        f"the old prefix {source.prefix!r} and the new one {prefix.decode()!r} are on the same "
        "server and database, and one begins with the other, so that old keys and new documents "
        "would be taken for each other's: take a prefix that is neither's beginning, or another "
        "database"
    )


def _may_share(one: Any, other: Any) -> bool:
    """Return whether two clients may see the same keys; True where that cannot be found out."""
    if is_cluster(one) or is_cluster(other):
        return is_cluster(one) and is_cluster(other)
    if _database(one) != _database(other):
        return False
    try:
        return _dataset(one) == _dataset(other)
    except ResponseError:  # the right to ask is missing
        return True


def _database(client: Any) -> int:
    return int(client.get_connection_kwargs().get("db") or 0)


def _dataset(client: Any) -> str:
    """Return what a server and its replicas have in common, and no other server has."""
    return str(client.info("replication").get("master_replid"))
