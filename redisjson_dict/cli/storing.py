"""Storing a document, only where there is none or in any case."""

from __future__ import annotations

from typing import Any

from redisjson_dict.cli.session import Session
from redisjson_dict.operations import Operation, documents

__all__ = ["create", "replace"]


def create(session: Session, key: str, value: Any, lifetime: int | None = None) -> Operation[bool]:
    """Return an operation that stores a document if there is none; whether it did.

    Args:
        session: where.
        key: without the prefix.
        value: plain data.
        lifetime: in milliseconds.

    Raises:
        UnsupportedValueError, ValueRangeError: the value, or the key, cannot be stored.
    """
    operation = documents.setdefault(session.place(key, lifetime), value)
    return operation.changed(decode=lambda _, reply: reply is None)


def replace(session: Session, key: str, value: Any, lifetime: int | None = None) -> Operation[bool]:
    """Return an operation that stores a document, whether there is one or not; true.

    Takes and raises what `create` does.
    """
    at = session.place(key, lifetime)
    operation: Operation[Any] = documents.assign(at, value)
    return operation.changed(decode=lambda _, reply: True)
