"""Files as sources: shelve's, sqlitedict's, and JSON; opened for reading only."""

from __future__ import annotations

import dbm
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from redisjson_dict.migration.items import Item, Refusal, SourceError
from redisjson_dict.migration.pickles import unpickle

__all__ = ["JSONSource", "ShelveSource", "SqliteDictSource"]

_UNREADABLE = (ValueError, TypeError, LookupError, ArithmeticError, RecursionError)


class ShelveSource:
    """A shelf of the standard library's `shelve`.

    Values are unpickled by a reader that knows plain data only and runs nothing of what a pickle
    says. The names of all keys are held in memory, values one at a time.

    Args:
        path: as `shelve.open` takes it.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = str(path)

    def __str__(self) -> str:
        return f"the shelf {self._path}"

    def size(self) -> int:
        """Return how many items it has."""
        with self._opened() as shelf:
            return len(shelf.keys())

    def __iter__(self) -> Iterator[Item]:
        """Read all values.

        Raises:
            SourceError: there is no such file, or it is of a kind that is not known here.
        """
        with self._opened() as shelf:
            for key in shelf.keys():  # noqa: SIM118  # not all kinds can be iterated
                value = unpickle(shelf[key])
                try:
                    yield Item(key.decode(), value)
                except UnicodeDecodeError:
                    yield Item(repr(key), Refusal("key", "the key is not UTF-8, so it is no text"))

    def _opened(self) -> Any:
        try:
            return closing(dbm.open(self._path, "r"))
        except (*dbm.error, OSError) as error:
            gone = dbm.whichdb(self._path) is None
            why = "there is no such file, or it cannot be read" if gone else _reason(error)
            raise SourceError(f"{self} cannot be opened: {why}") from error


class SqliteDictSource:
    """A table of sqlitedict.

    Args:
        path: the file.
        table: its `tablename`.
        decode: its `decode`; by default that of pickles, as sqlitedict's own, but by a reader that
            knows plain data only and runs nothing of what a pickle says.
    """

    def __init__(
        self,
        path: str | Path,
        table: str = "unnamed",
        decode: Callable[[Any], Any] = unpickle,
    ) -> None:
        self._path = Path(path)
        self._table = table
        self._decode = decode

    def __str__(self) -> str:
        return f"the table {self._table!r} of the sqlitedict {self._path}"

    def size(self) -> int:
        """Return how many items it has; SQLite counts them one by one."""
        (row,) = self._rows("SELECT COUNT(*) FROM {}")
        return int(row[0])

    def __iter__(self) -> Iterator[Item]:
        """Read all values.

        Raises:
            SourceError: there is no such file or table, or it is damaged.
        """
        for key, value in self._rows("SELECT key, value FROM {} ORDER BY rowid"):
            if isinstance(key, str):
                yield Item(key, self._value(value))
            else:
                yield Item(repr(key), Refusal("key", "the key is no text"))

    def _value(self, stored: Any) -> Any:
        try:
            return self._decode(stored)
        except _UNREADABLE as error:
            why = f"it cannot be decoded: {type(error).__name__}: {error}"
            return Refusal(type(stored).__name__, why)

    def _rows(self, query: str) -> Iterator[Any]:
        if not self._path.is_file():
            raise SourceError(f"{self} cannot be opened: there is no such file")
        try:
            uri = f"{self._path.resolve().as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True)) as connection:
                self._check_table(connection)
                quoted = '"' + self._table.replace('"', '""') + '"'
                yield from connection.execute(query.format(quoted))
        except sqlite3.Error as error:
            raise SourceError(f"{self} cannot be read: {error}") from error

    def _check_table(self, connection: sqlite3.Connection) -> None:
        tables = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        if self._table not in tables:
            known = ", ".join(map(repr, sorted(tables))) or "none"
            raise SourceError(f"{self} is not there: the file's tables are {known}")


class JSONSource:
    """A file with one JSON object, of which each member becomes a document. It is read whole.

    Args:
        path: the file, UTF-8.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._read: dict[str, Any] | None = None

    def __str__(self) -> str:
        return f"the JSON file {self._path}"

    def size(self) -> int:
        """Return how many members the object has."""
        return len(self._members())

    def __iter__(self) -> Iterator[Item]:
        """Give all members.

        Raises:
            SourceError: there is no such file, or there is something else in it.
        """
        for name, value in self._members().items():
            yield Item(name, value)

    def _members(self) -> dict[str, Any]:
        if self._read is None:
            try:
                content = json.loads(self._path.read_bytes())
            except (OSError, ValueError, RecursionError) as error:
                raise SourceError(f"{self} cannot be read: {_reason(error)}") from error
            if not isinstance(content, dict):
                kind = type(content).__name__
                raise SourceError(f"{self} holds a {kind}; its root must be an object")
            self._read = content
        return self._read


def _reason(error: Exception) -> str:
    """Return why a file cannot be read; an OSError would name the file again."""
    return str(getattr(error, "strerror", None) or error)
