"""Lazy pointers: walking costs nothing, a verb costs one round trip.

`verb` makes a method of a function in `verbs` or `toplevel`, for every way of running: what a
method of a blocking reference returns, an asyncio one lets await, and a batch promises.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    NoReturn,
    ParamSpec,
    Self,
    SupportsIndex,
    TypeVar,
    overload,
)

from redisjson_dict import toplevel, verbs
from redisjson_dict.keys import path_of
from redisjson_dict.location import Location
from redisjson_dict.operations import Verb, arrays, objects, values

if TYPE_CHECKING:
    from redisjson_dict.queue import Pending

__all__ = [
    "Awaited",
    "Direct",
    "DocumentVerbs",
    "PlaceVerbs",
    "Queued",
    "Reference",
    "Writing",
    "verb",
]

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")


class _Subject:
    """What methods made by `verb` need: something to act on and a way to run."""

    __slots__ = ("_run", "_subject")

    def __init__(self, run: Any, subject: Any) -> None:
        self._run = run
        self._subject = subject


class Direct(_Subject):
    """Verbs return their results."""

    __slots__ = ()
    _fetchable = True  # see codec.is_live


class Awaited(_Subject):
    """Verbs return awaitables."""

    __slots__ = ()


class Queued(_Subject):
    """Verbs return promises, kept when the batch is sent."""

    __slots__ = ()


class verb(Generic[S, P, T]):  # reads like a decorator
    """A method made of a function of a place, or of a dict's keyspace."""

    def __init__(self, function: Callable[Concatenate[S, P], Verb[T]]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Direct, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, instance: Awaited, owner: type) -> Callable[P, Awaitable[T]]: ...
    @overload
    def __get__(self, instance: Queued, owner: type) -> Callable[P, Pending[T]]: ...
    def __get__(self, instance: _Subject | None, owner: type) -> Any:
        """Return the method, bound to an instance and its way of running."""
        if instance is None:
            return self
        run, subject, function = instance._run, instance._subject, self._function

        def call(*args: P.args, **kwargs: P.kwargs) -> Any:
            return run(function(subject, *args, **kwargs))

        return call


class PlaceVerbs(_Subject):
    """A place that is not known to exist. Not iterable: what is there is not known, either."""

    __slots__ = ()
    __iter__ = None
    __contains__ = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._subject.describe()}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} is a place, not a value: copy or pickle its to_python()")

    def __getitem__(self, step: str | SupportsIndex | tuple[str | SupportsIndex, ...]) -> Self:
        """Return a reference to a place below. Cost: none."""
        return type(self)(self._run, _below(self._subject, step).refer())

    def at(self, *steps: str | SupportsIndex) -> Self:
        """Return a reference to a place below. Cost: none."""
        return self[steps] if steps else self

    get = verb(verbs.get)
    set = verb(verbs.assign)
    delete = verb(verbs.delete)
    exists = verb(verbs.exists)
    kind = verb(verbs.kind)
    to_python = verb(values.read)

    contains = verb(verbs.contains)
    length = verb(verbs.length)
    keys = verb(objects.names)
    get_many = verb(verbs.get_many)
    query = verb(verbs.query)

    pop = verb(verbs.pop)
    popitem = verb(objects.popitem)
    setdefault = verb(verbs.setdefault)
    update = verb(verbs.update)
    clear = verb(verbs.clear)
    merge = verb(verbs.merge)
    replace = verb(verbs.replace)
    modify = verb(verbs.modify)

    append = verb(verbs.append)
    extend = verb(verbs.extend)
    insert = verb(verbs.insert)
    remove = verb(arrays.remove)
    index = verb(arrays.index)
    count = verb(arrays.count)
    get_slice = verb(arrays.get_slice)
    sort = verb(verbs.sort)
    reverse = verb(arrays.reverse)
    trim = verb(verbs.trim)

    incr = verb(verbs.incr)
    toggle = verb(verbs.toggle)
    concat = verb(verbs.concat)


class Writing(_Subject):
    """Assignment and ``del`` below a place, for the ways of running that need not be awaited."""

    __slots__ = ()

    def __setitem__(self, step: Any, value: Any) -> None:
        """Store a value below. Cost: one round trip."""
        self._run(verbs.assign(_below(self._subject, step), value))

    def __delitem__(self, step: Any) -> None:
        """Remove what is below. Cost: one round trip."""
        self._run(verbs.delete(_below(self._subject, step)))


class Reference(Direct, Writing, PlaceVerbs):
    """A place that is not known to exist: made by ``d.at("run", "sample")``, without a round trip.

    Walking further by ``[...]`` or `at` costs nothing. Each verb is one round trip, however deep.
    A reference to nothing raises ``KeyError(path)``, one to the wrong kind `TypeError`. It is not
    iterable.
    """

    __slots__ = ()


class DocumentVerbs(_Subject):
    """The verbs of a dict as a whole, by key or path."""

    __slots__ = ()

    get = verb(toplevel.get)
    set = verb(toplevel.assign)
    delete = verb(toplevel.delete)
    contains = verb(toplevel.contains)
    get_many = verb(toplevel.get_many)
    pop = verb(toplevel.pop)
    setdefault = verb(toplevel.setdefault)
    update = verb(toplevel.update)
    incr = verb(toplevel.incr)
    toggle = verb(toplevel.toggle)
    concat = verb(toplevel.concat)
    rename = verb(toplevel.rename)
    ttl = verb(toplevel.ttl)
    expire = verb(toplevel.expire)
    expireat = verb(toplevel.expireat)
    persist = verb(toplevel.persist)


def _below(at: Location, step: Any) -> Location:
    return at.descend(path_of(step if isinstance(step, tuple) else (step,)))
