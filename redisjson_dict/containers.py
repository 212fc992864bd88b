"""Live objects and arrays: they know where they are and how to run a verb, never any content."""

from __future__ import annotations

from collections.abc import (
    Callable,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    MutableSequence,
)
from typing import TYPE_CHECKING, Any, Self, SupportsIndex, overload

from redisjson_dict import verbs
from redisjson_dict.codec import is_live, whole
from redisjson_dict.display import Completed, Displayed
from redisjson_dict.errors import UnsupportedValueError
from redisjson_dict.execute import Blocking
from redisjson_dict.keys import index_of, lookup, named_items, path_of, several, ssize, target
from redisjson_dict.location import Location
from redisjson_dict.operations import (
    MISSING,
    Container,
    arrays,
    objects,
    or_else,
    scalars,
    values,
)
from redisjson_dict.views import LiveItems, LiveKeys, LiveValues

if TYPE_CHECKING:
    from redisjson_dict.preview import View
    from redisjson_dict.references import Reference

PAGE = 1000  # children in one round trip
_COMPLETED = 5000  # names, which travel at once

__all__ = ["JSONArray", "JSONObject", "Live", "as_dict", "show"]


def show(run: Blocking, found: Container) -> JSONObject | JSONArray:
    """Return the live proxy for a container that was found."""
    return (JSONObject if found.kind == "object" else JSONArray)(run, found.at)


class Live(Displayed):
    """What live objects and arrays have in common. Made by reading, not by calling.

    A proxy denotes a place, not an identity: after ``a.insert(0, x)`` the proxy of the old
    ``a[3]`` denotes what is now at index 3. When the place is gone or holds another kind, every
    verb raises `StaleLocationError`; a write never brings it back.
    """

    __slots__ = ("__weakref__", "_at", "_run")
    __hash__ = None  # type: ignore[assignment]  # mutable, as dict and list
    _kind = ""
    _fetchable = True  # see codec.is_live

    def __init__(self, run: Blocking, at: Location) -> None:
        self._run = run
        self._at = at

    def to_python(self) -> Any:
        """Return the whole content as plain, detached data.

        Cost: one round trip; the content travels.

        Raises:
            StaleLocationError: the place is gone or holds another kind.
        """
        return self._run(values.read(self._at, self._kind))

    def copy(self) -> Any:
        """Return the content as plain, detached data, as `to_python` does."""
        return self.to_python()

    def __copy__(self) -> Any:
        return self.to_python()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self.to_python()

    def _look(self) -> View:
        from redisjson_dict.operations import previews

        return self._run(previews.look(self._at, self._kind))

    def _whereabouts(self) -> str:
        return self._at.describe()

    def at(self, *steps: str | SupportsIndex) -> Reference:
        """Return a lazy reference to a place below: no round trip until a verb is called."""
        place = self._at.descend(path_of(steps)) if steps else self._at
        result: Reference = self._run.refer(self._run, place.refer())
        return result

    def query(self, jsonpath: str) -> list[Any]:
        """Return all values that a JSONPath matches, as plain data; ``$`` is this place.

        Cost: one round trip; the matches travel.

        Raises:
            ValueRangeError: the expression could crash or mislead the server.
            ValueError: the server does not understand it.
            StaleLocationError: the place is gone.

        Source: RFC 9535, as far as RedisJSON follows it.
        """
        result: list[Any] = self._run(verbs.query(self._at, jsonpath, self._kind))
        return result

    def modify(self, function: Callable[[Any], Any], tries: int = 100) -> Any:
        """Replace the content by ``function(content)`` and return the new content.

        The function gets plain data and may be called again: the result is stored only if the
        content is unchanged since it was read. Changes elsewhere in the document do not matter.

        Cost: two round trips, one more for each lost race; the content travels both ways.

        Args:
            function: computes the new value; must not have side effects.
            tries: how many races may be lost.

        Raises:
            ConflictError: too many races were lost; nothing was changed.
            StaleLocationError: the place is gone or holds another kind.
        """
        return self._run(values.modify(self._at, function, tries, self._kind))

    def _is_at(self, place: Location, run: Blocking) -> bool:
        """Return whether this is the live value of a place: then assigning it changes nothing.

        After ``a[-1] += [x]`` the index is asked for once more: it may mean another element now.
        """
        if self._run is not run or self._at.key != place.key:
            return False
        if self._at.asked is None or self._at.asked != place.steps:
            return self._at.steps == place.steps
        now = run(or_else(values.fetch(place), None))
        return type(now) is type(self) and now._at.steps == self._at.steps


class JSONObject(Completed, Live, MutableMapping[str, Any]):
    """A live JSON object: every read asks the server, every write is one atomic step there.

    Does what `dict` does. Reading a scalar gives its value, reading a container a live proxy.
    A tuple as a key is a path: ``o["sample", "positions", 0]``, one round trip however deep.
    """

    __slots__ = ()
    _kind = "object"

    def to_python(self) -> dict[str, Any]:
        """Return the whole content as plain, detached data. Cost: one round trip."""
        result: dict[str, Any] = super().to_python()
        return result

    def __getitem__(self, key: Any) -> Any:
        """Return a scalar's value or a live proxy. Cost: one round trip."""
        return self._run(values.fetch(lookup(self._at, key)))

    def __setitem__(self, key: Any, value: Any) -> None:
        """Store a value: one JSON.SET with the value only. Cost: one round trip."""
        place = target(self._at, key)
        if not (isinstance(value, Live) and value._is_at(place, self._run)):
            self._run(values.assign(place, value))

    def __delitem__(self, key: Any) -> None:
        """Remove a member. Cost: one round trip."""
        self._run(values.delete(lookup(self._at, key)))

    def __contains__(self, key: object) -> bool:
        """Return whether there is such a member. Cost: one round trip."""
        try:
            place = lookup(self._at, key)
        except KeyError:
            return False
        return bool(self._run(values.contains(place)))

    def __len__(self) -> int:
        """Count the members. Cost: one round trip."""
        return int(self._run(values.length(self._at, "object")))

    def __iter__(self) -> Iterator[str]:
        """Iterate the names, read in one round trip."""
        return iter(self._run(objects.names(self._at)))

    def __reversed__(self) -> Iterator[str]:
        result: Iterator[str] = reversed(self._run(objects.names(self._at)))
        return result

    def get(self, key: Any, default: Any = None) -> Any:
        """Return ``self[key]``, or a default. Cost: one round trip."""
        try:
            place = lookup(self._at, key)
        except KeyError:
            return default
        return self._run(or_else(values.fetch(place), default))

    def keys(self) -> LiveKeys:
        """Return a live view of the names."""
        return LiveKeys(self)

    def values(self) -> LiveValues:
        """Return a live view of the values. Iterating costs one round trip a page."""
        return LiveValues(self)

    def items(self) -> LiveItems:
        """Return a live view of names and values. Iterating costs one round trip a page."""
        return LiveItems(self)

    def pop(self, key: Any, default: Any = MISSING) -> Any:
        """Remove a member and return it as plain data. Cost: one round trip."""
        try:
            place = lookup(self._at, key)
        except KeyError:
            if default is MISSING:
                raise
            return default
        return self._run(verbs.pop_at(place, default))

    def popitem(self) -> tuple[str, Any]:
        """Remove the last member and return its name and value. Cost: one round trip."""
        result: tuple[str, Any] = self._run(objects.popitem(self._at))
        return result

    def clear(self) -> None:
        """Remove all members. Cost: one round trip."""
        self._run(objects.clear(self._at, "object"))

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """Return ``self[key]``, after storing the default if there is none. One atomic step."""
        return self._run(objects.setdefault(target(self._at, key), default))

    def update(self, other: Any = (), /, **more: Any) -> None:
        """Store several members in one atomic step; each is replaced whole.

        Cost: one round trip; the new values travel.
        """
        self._run(objects.update(self._at, named_items(other, more)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return bool(self.to_python() == as_dict(other))

    def __or__(self, other: Any) -> dict[str, Any]:
        if not isinstance(other, Mapping):
            return NotImplemented
        return self.to_python() | as_dict(other)

    def __ror__(self, other: Any) -> dict[Any, Any]:
        if not isinstance(other, Mapping):
            return NotImplemented
        return as_dict(other) | self.to_python()

    def __ior__(self, other: Any) -> Self:
        self.update(other)
        return self

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return dict, (self.to_python(),)

    fromkeys = staticmethod(dict.fromkeys)

    def incr(self, key: Any, amount: float = 1, default: float = 0) -> Any:
        """Add to a number in one atomic step and return the new one.

        Args:
            key: the member's name, or a path.
            amount: what to add; negative to subtract.
            default: what to start from where there is no such member.

        Raises:
            TypeError: there is something else than a number.
            ValueRangeError: the sum leaves the range of integers, or of floats.
        """
        return self._run(scalars.incr(target(self._at, key), amount, default))

    def toggle(self, key: Any) -> bool:
        """Negate a boolean in one atomic step and return the new one."""
        return bool(self._run(scalars.toggle(lookup(self._at, key))))

    def concat(self, key: Any, text: str) -> None:
        """Append to a text in one atomic step; only the addition travels."""
        self._run(scalars.concat(lookup(self._at, key), text))

    def merge(self, patch: Mapping[str, Any]) -> None:
        """Apply a JSON merge patch in one atomic step.

        A None in the patch removes a member, an object merges into the one there, anything else
        replaces.

        Source: RFC 7396.
        """
        self._run(objects.merge(self._at, patch))

    def get_many(self, keys: Iterable[Any]) -> dict[Any, Any]:
        """Return those of several members that are there, in one round trip.

        Args:
            keys: names, or paths.
        """
        result: dict[Any, Any] = self._run(verbs.get_many(self._at, keys, "object"))
        return result

    def replace(self, value: Mapping[str, Any]) -> None:
        """Replace the whole content in one atomic step; the place must still be there."""
        if not isinstance(value, Mapping):
            raise UnsupportedValueError(
                f"an object is replaced by a mapping, not by {type(value).__name__}"
            )
        self._run(verbs.replace(self._at, value))

    def _names_at_hand(self) -> list[str]:
        if not self._at.writable or len(self) > _COMPLETED:  # too much would travel
            return []
        names: list[str] = self._run(objects.names(self._at))
        return names

    def _pairs(self) -> Iterator[tuple[str, Any]]:
        names, first = self._run(objects.members(self._at, PAGE))
        yield from zip(names, map(self._shown, first), strict=False)
        for start in range(PAGE, len(names), PAGE):
            page = names[start : start + PAGE]
            yield from self._run(values.get_many(self._at, {n: (n,) for n in page})).items()

    def _shown(self, value: Any) -> Any:
        return show(self._run, value) if type(value) is Container else value


class JSONArray(Live, MutableSequence[Any]):
    """A live JSON array: every read asks the server, every write is one atomic step there.

    Does what `list` does. Reading a scalar gives its value, reading a container a live proxy, a
    slice plain data. A negative index is resolved by the server in the same round trip.
    """

    __slots__ = ()
    _kind = "array"

    def to_python(self) -> list[Any]:
        """Return the whole content as plain, detached data. Cost: one round trip."""
        result: list[Any] = super().to_python()
        return result

    @overload
    def __getitem__(self, index: SupportsIndex) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        """Return a scalar's value, a live proxy, or plain data for a slice. One round trip."""
        if isinstance(index, slice):
            return self._run(arrays.get_slice(self._at, index))
        return self._run(values.fetch(self._element(index)))

    @overload
    def __setitem__(self, index: SupportsIndex, value: Any) -> None: ...
    @overload
    def __setitem__(self, index: slice, value: Iterable[Any]) -> None: ...
    def __setitem__(self, index: SupportsIndex | slice, value: Any) -> None:
        """Store an element, or replace a slice. Cost: one round trip.

        An extended slice, or more than 1,000 elements from the middle, is computed here and
        stored by compare-and-set: two round trips, the array travels.
        """
        if isinstance(index, slice):
            if not isinstance(value, Iterable):
                raise TypeError("can only assign an iterable")
            self._run(arrays.assign_slice(self._at, index, verbs.plain_items(value)))
            return
        place = self._element(index)
        if not (isinstance(value, Live) and value._is_at(place, self._run)):
            self._run(values.assign(place, value))

    def __delitem__(self, index: SupportsIndex | slice) -> None:
        """Remove an element or a slice. Cost: one round trip, as for assignment."""
        if isinstance(index, slice):
            self._run(arrays.delete_slice(self._at, index))
        else:
            self._run(values.delete(self._element(index)))

    def __contains__(self, value: object) -> bool:
        return bool(self._run(arrays.holds(self._at, _needle(value))))

    def __len__(self) -> int:
        """Count the elements. Cost: one round trip."""
        return int(self._run(values.length(self._at, "array")))

    def __iter__(self) -> Iterator[Any]:
        """Iterate the elements. Cost: one round trip a page of 1,000."""
        start = 0
        while True:
            page = self._run(arrays.elements(self._at, start, PAGE))
            yield from map(self._shown, page)
            if len(page) < PAGE:
                return
            start += PAGE

    def __reversed__(self) -> Iterator[Any]:
        return self._backwards(len(self))

    def _backwards(self, stop: int) -> Iterator[Any]:
        while stop > 0:
            start = max(0, stop - PAGE)
            page = self._run(arrays.elements(self._at, start, stop - start))
            yield from map(self._shown, reversed(page))
            stop = start

    def append(self, value: Any, maxlen: int | None = None) -> None:
        """Add an element at the end: one JSON.ARRAPPEND with the element only.

        Args:
            value: the element.
            maxlen: keep only that many elements, the last ones, in the same atomic step.
        """
        self._run(verbs.append(self._at, value, maxlen))

    def extend(self, values: Iterable[Any]) -> None:
        """Add several elements at the end in one atomic step; only they travel."""
        self._run(arrays.extend(self._at, verbs.plain_items(values)))

    def insert(self, index: SupportsIndex, value: Any) -> None:
        """Add an element before a position, clamped to the ends. Cost: one round trip."""
        self._run(verbs.insert(self._at, index, value))

    def pop(self, index: SupportsIndex = -1) -> Any:
        """Remove an element and return it as plain data. Cost: one round trip."""
        return self._run(values.pop(self._element(ssize(index))))

    def remove(self, value: Any) -> None:
        """Remove the first element that equals a value. Cost: one round trip.

        Something else than str, int, float, bool or None is looked for here: two round trips,
        the array travels.
        """
        self._run(arrays.remove(self._at, _needle(value)))

    def clear(self) -> None:
        """Remove all elements. Cost: one round trip."""
        self._run(objects.clear(self._at, "array"))

    def index(self, value: Any, start: int = 0, stop: int = 2**53) -> int:
        """Return where a value is first found. Cost: one round trip, as for `remove`."""
        return int(self._run(arrays.index(self._at, _needle(value), start, stop)))

    def count(self, value: Any) -> int:
        """Count the elements that equal a value; the array travels once."""
        return int(self._run(arrays.count(self._at, _needle(value))))

    def reverse(self) -> None:
        """Reverse by compare-and-set: two round trips, the array travels."""
        self._run(arrays.reverse(self._at))

    def sort(self, *, key: Callable[[Any], Any] | None = None, reverse: bool = False) -> None:
        """Sort by compare-and-set: two round trips, the array travels.

        Args:
            key: gets an element as plain data.
            reverse: descending.
        """
        self._run(verbs.sort(self._at, key=key, reverse=reverse))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (list, JSONArray)):
            return NotImplemented
        return bool(self.to_python() == _as_list(other))

    def __lt__(self, other: Any) -> bool:
        if not isinstance(other, (list, JSONArray)):
            return NotImplemented
        return bool(self.to_python() < _as_list(other))

    def __le__(self, other: Any) -> bool:
        if not isinstance(other, (list, JSONArray)):
            return NotImplemented
        return bool(self.to_python() <= _as_list(other))

    def __gt__(self, other: Any) -> bool:
        if not isinstance(other, (list, JSONArray)):
            return NotImplemented
        return bool(self.to_python() > _as_list(other))

    def __ge__(self, other: Any) -> bool:
        if not isinstance(other, (list, JSONArray)):
            return NotImplemented
        return bool(self.to_python() >= _as_list(other))

    def __add__(self, other: Any) -> list[Any]:
        if not isinstance(other, (list, JSONArray)):
            return NotImplemented
        return self.to_python() + _as_list(other)

    def __radd__(self, other: Any) -> list[Any]:
        if not isinstance(other, list):
            return NotImplemented
        return other + self.to_python()

    def __iadd__(self, other: Any) -> Self:
        self.extend(other)
        return self

    def __mul__(self, times: SupportsIndex) -> list[Any]:
        if not hasattr(type(times), "__index__"):
            return NotImplemented
        return self.to_python() * whole(times)

    __rmul__ = __mul__

    def __imul__(self, times: SupportsIndex) -> Self:
        if not hasattr(type(times), "__index__"):
            return NotImplemented
        self._run(arrays.repeat(self._at, whole(times)))
        return self

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return list, (self.to_python(),)

    def trim(self, start: int, stop: int) -> None:
        """Keep ``self[start:stop]`` and remove the rest, in one atomic step."""
        self._run(arrays.trim(self._at, start, stop))

    def incr(self, index: SupportsIndex, amount: float = 1, default: float = 0) -> Any:
        """Add to a number in one atomic step and return the new one; see `JSONObject.incr`."""
        return self._run(scalars.incr(self._element(index), amount, default))

    def toggle(self, index: SupportsIndex) -> bool:
        """Negate a boolean in one atomic step and return the new one."""
        return bool(self._run(scalars.toggle(self._element(index))))

    def concat(self, index: SupportsIndex, text: str) -> None:
        """Append to a text in one atomic step; only the addition travels."""
        self._run(scalars.concat(self._element(index), text))

    def get_many(self, indices: Iterable[SupportsIndex]) -> dict[int, Any]:
        """Return those of several elements that are there, in one round trip."""
        result: dict[int, Any] = self._run(
            verbs.get_many(self._at, map(index_of, several(indices)), "array")
        )
        return result

    def replace(self, value: Iterable[Any]) -> None:
        """Replace the whole content in one atomic step; the place must still be there."""
        if isinstance(value, Mapping):
            raise UnsupportedValueError("an array is replaced by a sequence, not by a mapping")
        self._run(verbs.replace(self._at, value))

    def _element(self, index: Any) -> Location:
        return self._at.remembered(index_of(index))

    def _shown(self, value: Any) -> Any:
        return show(self._run, value) if type(value) is Container else value


def as_dict(other: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return a mapping as a dict: the content of a live one is fetched at once."""
    if is_live(other):
        result: dict[Any, Any] = other.to_python()  # type: ignore[attr-defined]  # live values have it
        return result
    return other if isinstance(other, dict) else dict(other)


def _as_list(other: list[Any] | JSONArray) -> list[Any]:
    return other if isinstance(other, list) else other.to_python()


def _needle(value: Any) -> Any:
    """Return what to look for: of a live value the content, fetched once."""
    return value.to_python() if isinstance(value, Live) else value
