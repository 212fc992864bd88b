"""What ``keys()``, ``values()`` and ``items()`` return: live views with dict's set operations.

A view holds its mapping only. Iterating reads pages; a set operation or a comparison reads a
snapshot once instead of asking for every element.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, Set, ValuesView
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

if TYPE_CHECKING:
    from redisjson_dict.preview import View

__all__ = ["LiveItems", "LiveKeys", "LiveValues", "Source"]


class Source(Protocol):
    """What a view needs of its mapping."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[str]: ...
    def __contains__(self, key: object) -> bool: ...
    def get(self, key: Any, default: Any = None) -> Any:
        """Return a value, or a default."""

    def to_python(self) -> dict[str, Any]:
        """Return the content as plain data."""
        ...

    def _pairs(self) -> Iterator[tuple[str, Any]]: ...
    def _view(self) -> View: ...


def _snapshot(other: object) -> Any:
    return other._snapshot() if isinstance(other, _SetOperations) else other


class _SetOperations:
    """The operators of dict's own views, on one snapshot."""

    def _snapshot(self) -> Set[Any]:
        raise NotImplementedError

    def __and__(self, other: Iterable[Any]) -> Any:
        return self._snapshot() & _snapshot(other)

    def __rand__(self, other: Iterable[Any]) -> Any:
        return _snapshot(other) & self._snapshot()

    def __or__(self, other: Iterable[Any]) -> Any:
        return self._snapshot() | _snapshot(other)

    def __ror__(self, other: Iterable[Any]) -> Any:
        return _snapshot(other) | self._snapshot()

    def __sub__(self, other: Iterable[Any]) -> Any:
        return self._snapshot() - _snapshot(other)

    def __rsub__(self, other: Iterable[Any]) -> Any:
        return _snapshot(other) - self._snapshot()

    def __xor__(self, other: Iterable[Any]) -> Any:
        return self._snapshot() ^ _snapshot(other)

    def __rxor__(self, other: Iterable[Any]) -> Any:
        return _snapshot(other) ^ self._snapshot()

    def __le__(self, other: Any) -> Any:
        return self._snapshot() <= _snapshot(other)

    def __lt__(self, other: Any) -> Any:
        return self._snapshot() < _snapshot(other)

    def __ge__(self, other: Any) -> Any:
        return self._snapshot() >= _snapshot(other)

    def __gt__(self, other: Any) -> Any:
        return self._snapshot() > _snapshot(other)

    def __eq__(self, other: object) -> Any:
        return self._snapshot() == _snapshot(other)

    __hash__ = None  # type: ignore[assignment]  # unhashable, as dict's own views

    def isdisjoint(self, other: Iterable[Any]) -> bool:
        """Return whether nothing is in both."""
        return self._snapshot().isdisjoint(_snapshot(other))


class _Uncopied:
    """Views are not copied or pickled, as dict's own."""

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")


class LiveKeys(_Uncopied, _SetOperations, KeysView[str]):
    """The names, in the mapping's order."""

    def __init__(self, mapping: Source) -> None:
        self.mapping = mapping
        self._mapping: Mapping[str, Any] = mapping  # type: ignore[assignment]  # for KeysView

    def __repr__(self) -> str:
        from redisjson_dict import layout

        return f"dict_keys({layout.names(self.mapping._view())})"

    def __contains__(self, key: object) -> bool:
        if isinstance(key, tuple):  # a path is no name
            hash(key)
            return False
        return key in self.mapping

    def __reversed__(self) -> Iterator[str]:
        return reversed(list(self.mapping))

    def _snapshot(self) -> Set[str]:
        return dict.fromkeys(self.mapping).keys()


class LiveValues(_Uncopied, ValuesView[Any]):
    """The values: scalars by value, containers as live proxies."""

    def __init__(self, mapping: Source) -> None:
        self.mapping = mapping
        self._mapping: Mapping[str, Any] = mapping  # type: ignore[assignment]  # for ValuesView

    def __repr__(self) -> str:
        from redisjson_dict import layout

        return f"dict_values({layout.values(self.mapping._view())})"

    def __contains__(self, value: object) -> bool:
        return value in self.mapping.to_python().values()

    def __iter__(self) -> Iterator[Any]:
        return (value for _, value in self.mapping._pairs())

    def __reversed__(self) -> Iterator[Any]:
        yield from reversed(list(self))


class LiveItems(_Uncopied, _SetOperations, ItemsView[str, Any]):
    """Pairs of name and value: scalars by value, containers as live proxies."""

    def __init__(self, mapping: Source) -> None:
        self.mapping = mapping
        self._mapping: Mapping[str, Any] = mapping  # type: ignore[assignment]  # for ItemsView

    def __repr__(self) -> str:
        from redisjson_dict import layout

        return f"dict_items({layout.items(self.mapping._view())})"

    def __contains__(self, item: object) -> bool:
        if not isinstance(item, tuple) or len(item) != 2:
            return False
        if isinstance(item[0], tuple):  # a path is no name
            hash(item[0])
            return False
        missing = object()
        found = self.mapping.get(item[0], missing)
        return found is not missing and bool(found == item[1])

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return self.mapping._pairs()

    def __reversed__(self) -> Iterator[tuple[str, Any]]:
        yield from reversed(list(self))

    def _snapshot(self) -> Set[tuple[str, Any]]:
        return self.mapping.to_python().items()
