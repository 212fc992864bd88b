"""Lazy pointers: walking costs nothing, a verb costs one round trip."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, SupportsIndex, TypeVar

from redisjson_dict import verbs
from redisjson_dict.keys import path_of
from redisjson_dict.location import Location
from redisjson_dict.operations import Verb, arrays, objects, values

if TYPE_CHECKING:
    from redisjson_dict.execute import Blocking

__all__ = ["Reference"]

P = ParamSpec("P")
T = TypeVar("T")


class verb(Generic[P, T]):  # reads like a decorator
    """A method of `Reference`, made of a function of a location."""

    def __init__(self, function: Callable[Concatenate[Location, P], Verb[T]]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __get__(self, reference: Reference, owner: type | None = None) -> Callable[P, T]:
        if reference is None:
            return self  # type: ignore[unreachable]  # on the class: for help()
        run, at, function = reference._run, reference._at, self._function

        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return run(function(at, *args, **kwargs))

        return call


class Reference:
    """A place that is not known to exist: made by ``d.at("run", "sample")``, without a round trip.

    Walking further by ``[...]`` or `at` costs nothing. Each verb is one round trip, however deep.
    A reference to nothing raises ``KeyError(path)``, one to the wrong kind `TypeError`. It is not
    iterable.
    """

    __slots__ = ("_at", "_run")
    __iter__ = None
    __contains__ = None

    def __init__(self, run: Blocking, at: Location) -> None:
        self._run = run
        self._at = at

    def __repr__(self) -> str:
        return f"<Reference {self._at.describe()}>"

    def __getitem__(self, step: str | SupportsIndex) -> Reference:
        """Return a reference to a place below. Cost: none."""
        steps = step if isinstance(step, tuple) else (step,)
        return Reference(self._run, self._at.descend(path_of(steps)).refer())

    def __setitem__(self, step: str | SupportsIndex, value: Any) -> None:
        """Store a value below. Cost: one round trip."""
        steps = step if isinstance(step, tuple) else (step,)
        self._run(verbs.assign(self._at.descend(path_of(steps)), value))

    def __delitem__(self, step: str | SupportsIndex) -> None:
        """Remove what is below. Cost: one round trip."""
        steps = step if isinstance(step, tuple) else (step,)
        self._run(verbs.delete(self._at.descend(path_of(steps))))

    def at(self, *steps: str | SupportsIndex) -> Reference:
        """Return a reference to a place below. Cost: none."""
        return self[steps] if steps else self  # type: ignore[index]  # a path is a key, too

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
